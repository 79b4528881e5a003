/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of metrics by time, then step, then value. A page begins behind the last one's last
 * value, so what is logged meanwhile shifts nothing. */
#include "services/tracking/metric_points.h"
#include "services/tracking/tracking_priv.h"

#include <string.h>

struct history_call {
    const struct ig_tracking_history_query *query;
    struct ig_arena *arena;
    struct ig_metric_points points;
    struct ig_tracking_history history;
    int64_t at_ms, step, kind; /* of the last page's last value */
    double value;              /* as it is stored */
};

/* "TIME.STEP.KIND.BITS", the value's */
static enum ig_code read_token(struct history_call *call, struct ig_err *err)
{
    struct ig_str rest = call->query->token;
    int64_t bits = 0;
    if (!rest.len) return IG_OK;
    struct ig_str at = ig_str_cut(&rest, '.'), step = ig_str_cut(&rest, '.');
    struct ig_str kind = ig_str_cut(&rest, '.');
    if (rest.ptr && ig_str_to_i64(at, &call->at_ms) && ig_str_to_i64(step, &call->step) &&
        ig_str_to_i64(kind, &call->kind) && ig_str_to_i64(rest, &bits)) {
        memcpy(&call->value, &bits, sizeof bits);
        if (call->value == call->value) return IG_OK;
    }
    return ig_fail(err, IG_INVALID,
                   "Invalid value \"%.*s\" for parameter 'page_token' supplied: expected the "
                   "next_page_token of an answer",
                   IG_STR_ARGS(ig_tracking_cut(call->query->token, 60)));
}

static void write_token(struct history_call *call, const struct ig_tracking_point *last)
{
    int64_t bits, kind;
    double value = ig_tracking_metric_stored(last->value, &kind).real; /* NaN: 0 */
    memcpy(&bits, &value, sizeof bits);
    call->history.next =
        ig_str_view(ig_arena_printf(call->arena, "%lld.%lld.%lld.%lld", (long long)last->at_ms,
                                    (long long)last->step, (long long)kind, (long long)bits));
}

static enum ig_code must_exist(struct ig_db_tx *tx, struct ig_str id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        ig_db_query(&rows, tx, "select 1 from runs where id = $1", IG_DB_VALUES(IG_DB_T(id)), err);
    if (code != IG_OK) return code;
    if (!ig_db_next(rows, err) && err->code == IG_OK) ig_tracking_no_run(id, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_rows(struct ig_metric_points *points, struct ig_db_tx *tx,
                              const struct history_call *call, struct ig_err *err)
{
    const struct ig_tracking_history_query *query = call->query;
    struct ig_db_rows *rows = NULL;
    const struct ig_db_value values[] = {
        IG_DB_T(query->run),  IG_DB_T(query->key), IG_DB_I((int64_t)query->max + 1),
        IG_DB_I(call->at_ms), IG_DB_I(call->step), IG_DB_F(call->value),
        IG_DB_I(call->kind)};
    /* A first page costs no comparison a row. */
    enum ig_code code =
        query->token.len
            ? ig_db_query(&rows, tx,
                          "select at_ms, step, kind, value from metrics where run = $1 and key = $2"
                          " and (at_ms, step, value, kind) > ($4, $5, $6, $7)"
                          " order by at_ms, step, value, kind limit $3",
                          values, 7, err)
            : ig_db_query(&rows, tx,
                          "select at_ms, step, kind, value from metrics where run = $1 and key = $2"
                          " order by at_ms, step, value, kind limit $3",
                          values, 3, err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        const struct ig_tracking_point point = {
            ig_db_i64(rows, 0), ig_db_i64(rows, 1),
            ig_tracking_metric_stands_for(ig_db_f64(rows, 3), ig_db_i64(rows, 2))};
        if (!ig_metric_points_add(points, point))
            code = ig_fail(err, IG_NO_MEMORY, "too long a history for one answer");
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_page(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct history_call *call = context;
    const struct ig_tracking_history_query *query = call->query;
    const struct ig_tracking_point after = {call->at_ms, call->step,
                                            ig_tracking_metric_stands_for(call->value, call->kind)};
    const struct ig_metric_range range = {.run = query->run,
                                          .key = query->key,
                                          .after = query->token.len ? &after : NULL,
                                          .enough = query->max + 1,
                                          .start_step = INT64_MIN,
                                          .end_step = INT64_MAX};
    if (!query->lenient && must_exist(tx, query->run, err) != IG_OK) return err->code;
    if (ig_metric_chunks_read(&call->points, tx, &range, err) != IG_OK ||
        read_rows(&call->points, tx, call, err) != IG_OK)
        return err->code;
    ig_metric_points_settle(&call->points, ig_metric_by_time);
    return IG_OK;
}

/* At most as many as are asked for, and where the next page begins. */
static enum ig_code cut_page(struct history_call *call, struct ig_err *err)
{
    size_t count = call->points.count, max = call->query->max;
    bool more = count > max;
    if (more) count = max;
    struct ig_tracking_point *items = ig_arena_alloc(call->arena, count * sizeof *items);
    if (items && count) memcpy(items, call->points.items, count * sizeof *items);
    call->history.points = (struct ig_tracking_points){items, count};
    if (more) write_token(call, &call->points.items[max - 1]);
    return call->arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "too long a history for one answer")
                                   : IG_OK;
}

enum ig_code ig_tracking_history(struct ig_tracking_history *out, struct ig_tracking *tracking,
                                 const struct ig_tracking_history_query *query,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct history_call call = {.query = query, .arena = arena};
    if (read_token(&call, err) != IG_OK) return err->code;
    enum ig_code code = ig_tracking_read(tracking->db, read_page, &call, err);
    if (code == IG_OK) code = cut_page(&call, err);
    if (code == IG_OK) *out = call.history;
    ig_metric_points_deinit(&call.points);
    return code;
}

/* ---- samples ---- */

struct sample_call {
    const struct ig_tracking_sample_query *query;
    struct ig_metric_points points;
};

static enum ig_code read_steps(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct sample_call *call = context;
    const struct ig_tracking_sample_query *query = call->query;
    const struct ig_metric_range range = {.run = query->run,
                                          .key = query->key,
                                          .enough = SIZE_MAX,
                                          .start_step = query->start_step,
                                          .end_step = query->end_step};
    struct ig_db_rows *rows = NULL;
    if (ig_metric_chunks_read(&call->points, tx, &range, err) != IG_OK ||
        ig_db_query(&rows, tx,
                    "select at_ms, step, value, kind from metrics where run = $1 and key = $2"
                    " and step >= $3 and step <= $4",
                    IG_DB_VALUES(IG_DB_T(query->run), IG_DB_T(query->key),
                                 IG_DB_I(query->start_step), IG_DB_I(query->end_step)),
                    err) != IG_OK)
        return err->code;
    while (err->code == IG_OK && ig_db_next(rows, err)) {
        const struct ig_tracking_point point = {ig_db_i64(rows, 0), ig_db_i64(rows, 1),
                                                ig_tracking_metric_value(rows, 2, 3)};
        if (!ig_metric_points_add(&call->points, point))
            ig_fail(err, IG_NO_MEMORY, "too long a history for one answer");
    }
    ig_db_finish(rows);
    if (err->code == IG_OK) ig_metric_points_settle(&call->points, ig_metric_by_step);
    return err->code;
}

/* Of `total` values the first of each of `max` parts that are as long as can be, the longer first,
 * but of the last part the last. */
static enum ig_code sample(struct ig_tracking_points *out, const struct ig_metric_points *points,
                           size_t max, struct ig_arena *arena, struct ig_err *err)
{
    size_t total = points->count, count = total < max ? total : max, larger = total % max;
    struct ig_tracking_point *items = ig_arena_array(arena, count, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "sample of a history");
    for (size_t part = 0; part < count; part++)
        items[part] = points->items[part * (total / max) + (part < larger ? part : larger)];
    if (count) items[count - 1] = points->items[total - 1];
    *out = (struct ig_tracking_points){items, count};
    return IG_OK;
}

enum ig_code ig_tracking_history_sample(struct ig_tracking_points *out,
                                        struct ig_tracking *tracking,
                                        const struct ig_tracking_sample_query *query,
                                        struct ig_arena *arena, struct ig_err *err)
{
    struct sample_call call = {.query = query};
    IG_ASSERT(query->max > 0);
    if (ig_tracking_read(tracking->db, read_steps, &call, err) == IG_OK)
        sample(out, &call.points, query->max, arena, err);
    ig_metric_points_deinit(&call.points);
    return err->code;
}
