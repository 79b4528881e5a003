/* SPDX-License-Identifier: Apache-2.0 */
/* Histories of metrics by time, then step, then value. A page begins behind the last one's last
 * value, so what is logged meanwhile shifts nothing. */
#include "services/tracking/tracking_priv.h"

#include <string.h>

struct history_call {
    const struct ig_tracking_history_query *query;
    struct ig_arena *arena;
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

static void write_token(struct history_call *call)
{
    int64_t bits;
    memcpy(&bits, &call->value, sizeof bits);
    call->history.next =
        ig_str_view(ig_arena_printf(call->arena, "%lld.%lld.%lld.%lld", (long long)call->at_ms,
                                    (long long)call->step, (long long)call->kind, (long long)bits));
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

static enum ig_code read_page(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct history_call *call = context;
    const struct ig_tracking_history_query *query = call->query;
    struct ig_tracking_point *items = NULL;
    struct ig_db_rows *rows = NULL;
    size_t count = 0, cap = 0;
    bool more = false;
    if (!query->lenient && must_exist(tx, query->run, err) != IG_OK) return err->code;
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
        more = count == query->max;
        if (more) break;
        items = ig_arena_grow(call->arena, items, count, &cap, sizeof *items);
        if (!items) break;
        call->at_ms = ig_db_i64(rows, 0);
        call->step = ig_db_i64(rows, 1);
        call->kind = ig_db_i64(rows, 2);
        call->value = ig_db_f64(rows, 3);
        items[count++] = (struct ig_tracking_point){
            call->at_ms, call->step, ig_tracking_metric_stands_for(call->value, call->kind)};
    }
    ig_db_finish(rows);
    call->history.points = (struct ig_tracking_points){items, count};
    if (more) write_token(call);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "too long a history for one answer");
    return err->code;
}

enum ig_code ig_tracking_history(struct ig_tracking_history *out, struct ig_tracking *tracking,
                                 const struct ig_tracking_history_query *query,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct history_call call = {.query = query, .arena = arena};
    if (read_token(&call, err) != IG_OK) return err->code;
    enum ig_code code = ig_db_read(tracking->db, read_page, &call, err);
    if (code == IG_OK) *out = call.history;
    return code;
}

/* ---- samples ---- */

struct sample_call {
    const struct ig_tracking_sample_query *query;
    struct ig_arena *arena;
    struct ig_tracking_point *items;
    size_t count;
    size_t total; /* values that are sampled */
};

static enum ig_code count_values(struct sample_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    const struct ig_tracking_sample_query *query = call->query;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select count(*) from metrics where run = $1 and key = $2 and step >= $3 and step <= $4",
        IG_DB_VALUES(IG_DB_T(query->run), IG_DB_T(query->key), IG_DB_I(query->start_step),
                     IG_DB_I(query->end_step)),
        err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err)) call->total = (size_t)ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return err->code;
}

/* Where part `part` begins: the first total % max parts have one value more. */
static size_t begin_of(const struct sample_call *call, size_t part)
{
    size_t max = call->query->max;
    IG_ASSERT(max > 0);
    size_t larger = call->total % max;
    return part * (call->total / max) + (part < larger ? part : larger);
}

static void take_value(struct sample_call *call, size_t at, const struct ig_tracking_point *value)
{
    size_t max = call->query->max;
    bool last = at + 1 == call->total;
    bool begins = call->count < max && at == begin_of(call, call->count);
    if (!begins && !last) return;
    if (call->count == max) call->count--;
    call->items[call->count++] = *value;
}

static enum ig_code read_sample(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct sample_call *call = context;
    const struct ig_tracking_sample_query *query = call->query;
    struct ig_db_rows *rows = NULL;
    if (count_values(call, tx, err) != IG_OK || !call->total) return err->code;
    call->items = ig_arena_array(call->arena, call->total < query->max ? call->total : query->max,
                                 sizeof *call->items);
    if (!call->items) return ig_fail(err, IG_NO_MEMORY, "sample of a history");
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select step, at_ms, value, kind from metrics where run = $1 and key = $2 and step >= $3"
        " and step <= $4 order by step, at_ms, value, kind",
        IG_DB_VALUES(IG_DB_T(query->run), IG_DB_T(query->key), IG_DB_I(query->start_step),
                     IG_DB_I(query->end_step)),
        err);
    if (code != IG_OK) return code;
    for (size_t at = 0; ig_db_next(rows, err); at++) {
        const struct ig_tracking_point value = {.step = ig_db_i64(rows, 0),
                                                .at_ms = ig_db_i64(rows, 1),
                                                .value = ig_tracking_metric_value(rows, 2, 3)};
        take_value(call, at, &value);
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_tracking_history_sample(struct ig_tracking_points *out,
                                        struct ig_tracking *tracking,
                                        const struct ig_tracking_sample_query *query,
                                        struct ig_arena *arena, struct ig_err *err)
{
    struct sample_call call = {.query = query, .arena = arena};
    if (ig_db_read(tracking->db, read_sample, &call, err) == IG_OK)
        *out = (struct ig_tracking_points){call.items, call.count};
    return err->code;
}
