/* SPDX-License-Identifier: Apache-2.0 */
/* Spans come in any order and in several calls, beside what the client tells of the trace
 * (`traces.told`). Until it has, the trace's times, state and sums follow the spans; sums are made
 * again of all spans of the trace, since a parent's number may hold those of its children.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/trace_spans.h"

#include "base/json.h"
#include "base/num.h"
#include "services/tracking/tracking_priv.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { PREVIEW_CHARS = 1000, NAME_MAX_BYTES = 100000, SUMS_COUNT = 8, SUMS_TEXT = 320 };

struct place {
    const struct ig_trace_span *span;
};

struct put_call {
    const struct ig_trace_spans_batch *batch;
    struct place *order; /* by trace, then as they came */
    struct ig_arena *arena;
};

/* Those of one trace. */
struct group {
    const struct place *spans;
    size_t count;
    struct ig_str trace;
    int64_t start_ms, end_ms; /* end 0: none has ended */
    const struct ig_trace_span *root;
    bool summed; /* some span has tokens or costs */
};

/* ---- sums ---- */

struct node {
    struct ig_str id, parent;
    double sums[SUMS_COUNT]; /* tokens, then costs; NaN: none */
};

static int by_id(const void *a, const void *b)
{
    struct ig_str left = ((const struct node *)a)->id, right = ((const struct node *)b)->id;
    int order = memcmp(left.ptr, right.ptr, left.len < right.len ? left.len : right.len);
    return order ? order : (left.len > right.len) - (left.len < right.len);
}

static bool has_any(const struct node *node, size_t from, size_t until)
{
    for (size_t i = from; i < until; i++)
        if (!isnan(node->sums[i])) return true;
    return false;
}

/* Whether a span above this one has numbers of this kind already. */
static bool is_held_above(const struct node *nodes, size_t count, const struct node *node,
                          size_t from, size_t until)
{
    for (size_t steps = 0; node->parent.len && steps < count; steps++) {
        const struct node key = {.id = node->parent};
        node = bsearch(&key, nodes, count, sizeof *nodes, by_id);
        if (!node) return false;
        if (has_any(node, from, until)) return true;
    }
    return false;
}

static enum ig_code read_nodes(struct node **out, size_t *count, struct ig_db_tx *tx,
                               struct ig_str trace, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct node *nodes = NULL;
    size_t used = 0, cap = 0;
    if (ig_db_query(&rows, tx,
                    "select id, parent, input_tokens, output_tokens, total_tokens,"
                    " cache_read_tokens, cache_creation_tokens, input_cost, output_cost, total_cost"
                    " from spans where trace = $1",
                    IG_DB_VALUES(IG_DB_T(trace)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        nodes = ig_arena_grow(arena, nodes, used, &cap, sizeof *nodes);
        if (!nodes) {
            ig_fail(err, IG_NO_MEMORY, "spans of a trace");
            break;
        }
        struct node *node = &nodes[used++];
        *node = (struct node){ig_db_text_dup(rows, 0, arena), ig_db_text_dup(rows, 1, arena), {0}};
        for (int i = 0; i < SUMS_COUNT; i++)
            node->sums[i] = ig_db_is_null(rows, i + 2)  ? NAN
                            : i < IG_TRACE_TOKENS_COUNT ? (double)ig_db_i64(rows, i + 2)
                                                        : ig_db_f64(rows, i + 2);
    }
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    if (used) qsort(nodes, used, sizeof *nodes, by_id);
    *out = nodes;
    *count = used;
    return arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "spans of a trace") : IG_OK;
}

static const char *const TOKENS[IG_TRACE_TOKENS_COUNT] = {"input_tokens", "output_tokens",
                                                          "total_tokens", "cache_read_input_tokens",
                                                          "cache_creation_input_tokens"};
static const char *const COSTS[IG_TRACE_COSTS_COUNT] = {"input_cost", "output_cost", "total_cost"};

static const struct sums {
    const char *key;
    const char *const *names;
    size_t from, count; /* in a node's sums */
    const char *point;  /* behind a whole number */
} SUMS[] = {{"mlflow.trace.tokenUsage", TOKENS, 0, IG_TRACE_TOKENS_COUNT, ""},
            {"mlflow.trace.cost", COSTS, IG_TRACE_TOKENS_COUNT, IG_TRACE_COSTS_COUNT, ".0"}};

/* As Python writes dictionaries, since clients read them; the first three are always there. */
static void sums_text(char text[SUMS_TEXT], const struct sums *kind, const double *sums)
{
    size_t used = 0;
    text[used++] = '{';
    for (size_t i = 0; i < kind->count; i++) {
        char number[IG_NUM_TEXT_MAX] = "";
        if (i >= 3 && isnan(sums[i])) continue;
        size_t length = ig_num_format_f64(number, isnan(sums[i]) ? 0 : sums[i]);
        bool whole = !memchr(number, '.', length) && !memchr(number, 'e', length);
        used += (size_t)snprintf(text + used, SUMS_TEXT - used, "%s\"%s\": %.*s%s",
                                 used > 1 ? ", " : "", kind->names[i], (int)length, number,
                                 whole ? kind->point : "");
    }
    memcpy(text + used, "}", 2);
}

static enum ig_code put_sum(struct ig_db_tx *tx, struct ig_str trace, const char *key,
                            const char *text, bool told, struct ig_err *err)
{
    return ig_db_exec(tx,
                      told ? "insert into trace_metadata(trace, key, value) values($1, $2, $3)"
                             " on conflict (trace, key) do nothing"
                           : "insert into trace_metadata(trace, key, value) values($1, $2, $3)"
                             " on conflict (trace, key) do update set value = excluded.value",
                      IG_DB_VALUES(IG_DB_T(trace), IG_DB_C(key), IG_DB_C(text)), err);
}

/* Over the spans above which none has such numbers; false when no span has any. */
static bool add_up(double *sums, const struct node *nodes, size_t count, const struct sums *kind)
{
    size_t until = kind->from + kind->count;
    bool any = false;
    for (size_t i = 0; i < kind->count; i++) sums[i] = NAN;
    for (size_t n = 0; n < count; n++) {
        if (!has_any(&nodes[n], kind->from, until) ||
            is_held_above(nodes, count, &nodes[n], kind->from, until))
            continue;
        any = true;
        for (size_t i = 0; i < kind->count; i++) {
            double more = nodes[n].sums[kind->from + i];
            if (!isnan(more)) sums[i] = (isnan(sums[i]) ? 0 : sums[i]) + more;
        }
    }
    return any;
}

static enum ig_code put_sums(struct ig_db_tx *tx, struct ig_str trace, bool told,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct node *nodes = NULL;
    size_t count = 0;
    if (read_nodes(&nodes, &count, tx, trace, arena, err) != IG_OK) return err->code;
    for (size_t kind = 0; err->code == IG_OK && kind < COUNT(SUMS); kind++) {
        double sums[SUMS_COUNT];
        char text[SUMS_TEXT];
        if (!add_up(sums, nodes, count, &SUMS[kind])) continue;
        sums_text(text, &SUMS[kind], sums);
        put_sum(tx, trace, SUMS[kind].key, text, told, err);
    }
    return err->code;
}

/* ---- the trace ---- */

static int64_t state_of(const struct group *group)
{
    if (!group->root) return 3;
    return ig_str_is(group->root->status, "ERROR") ? 2 : 1;
}

static enum ig_code make_trace(struct ig_db_tx *tx, const struct group *group, int64_t experiment,
                               struct ig_arena *arena, struct ig_err *err)
{
    struct ig_str place;
    if (ig_tracking_experiment_must_be_active(tx, experiment, err) != IG_OK ||
        ig_tracking_trace_place_of(&place, tx, experiment, group->trace, arena, err) != IG_OK ||
        ig_db_exec(
            tx,
            "insert into traces(id, experiment, status, start_ms, duration_ms, client_id,"
            " request_preview, response_preview, told)"
            " values($1, $2, $3, $4, $5, null, null, null, 0)",
            IG_DB_VALUES(IG_DB_T(group->trace), IG_DB_I(experiment), IG_DB_I(state_of(group)),
                         IG_DB_I(group->start_ms),
                         group->end_ms ? IG_DB_I(group->end_ms - group->start_ms) : IG_DB_N()),
            err) != IG_OK)
        return err->code;
    return ig_db_exec(tx,
                      "insert into trace_tags(trace, key, value)"
                      " values($1, 'mlflow.artifactLocation', $2)",
                      IG_DB_VALUES(IG_DB_T(group->trace), IG_DB_T(place)), err);
}

static enum ig_code find_trace(bool *found, bool *told, struct ig_db_tx *tx, struct ig_str trace,
                               struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select told from traces where id = $1",
                    IG_DB_VALUES(IG_DB_T(trace)), err) != IG_OK)
        return err->code;
    *found = ig_db_next(rows, err);
    *told = *found && ig_db_i64(rows, 0) != 0;
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code move_times(struct ig_db_tx *tx, const struct group *group, struct ig_err *err)
{
    if (ig_db_exec(
            tx,
            "update traces set start_ms = case when start_ms > $2 then $2 else start_ms end,"
            " duration_ms = case when cast($3 as bigint) = 0 then duration_ms"
            " when start_ms + coalesce(duration_ms, 0) > $3"
            " then start_ms + coalesce(duration_ms, 0) else $3 end"
            " - case when cast($3 as bigint) = 0 then 0 when start_ms > $2 then $2 else start_ms "
            "end"
            " where id = $1",
            IG_DB_VALUES(IG_DB_T(group->trace), IG_DB_I(group->start_ms), IG_DB_I(group->end_ms)),
            err) != IG_OK)
        return err->code;
    return IG_OK;
}

/* The first characters of an attribute's text, as MLflow shows them in lists. */
static struct ig_db_value preview(struct ig_str text, struct ig_arena *arena)
{
    size_t at = 0, chars = 0, keep = 0;
    if (!text.ptr) return IG_DB_N();
    for (; at < text.len && chars <= PREVIEW_CHARS; chars++) {
        size_t length = ig_str_utf8_length((struct ig_str){text.ptr + at, text.len - at});
        if (chars == PREVIEW_CHARS - 3) keep = at;
        at += length ? length : 1;
    }
    if (chars <= PREVIEW_CHARS) return IG_DB_T(text);
    return IG_DB_C(ig_arena_printf(arena, "%.*s...", (int)keep, text.ptr));
}

static enum ig_code put_root(struct ig_db_tx *tx, const struct group *group, struct ig_arena *arena,
                             struct ig_err *err)
{
    const struct ig_trace_span *root = group->root;
    return ig_db_exec(
        tx,
        "update traces set status = case when status in (0, 3) then $2 else status end,"
        " request_preview = coalesce(request_preview, $3),"
        " response_preview = coalesce(response_preview, $4) where id = $1",
        IG_DB_VALUES(IG_DB_T(group->trace), IG_DB_I(state_of(group)), preview(root->inputs, arena),
                     preview(root->outputs, arena)),
        err);
}

static enum ig_code link_run(struct ig_db_tx *tx, struct ig_str trace, struct ig_str run,
                             struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into trace_runs(trace, run) select $1, id from runs where id = $2"
                      " on conflict (trace, run) do nothing",
                      IG_DB_VALUES(IG_DB_T(trace), IG_DB_T(run)), err);
}

/* ---- spans ---- */

static struct ig_db_value text_or_null(struct ig_str text)
{
    return text.ptr ? IG_DB_T(text) : IG_DB_N();
}

static enum ig_code put_span(struct ig_db_tx *tx, const struct ig_trace_span *span,
                             struct ig_err *err)
{
    struct ig_db_value values[19] = {
        IG_DB_T(span->trace),       IG_DB_T(span->id),
        text_or_null(span->parent), IG_DB_T(span->name),
        text_or_null(span->type),   IG_DB_T(span->status),
        IG_DB_I(span->start_ns),    span->end_ns ? IG_DB_I(span->end_ns) : IG_DB_N(),
        text_or_null(span->model),  text_or_null(span->provider)};
    size_t used = 10;
    for (size_t i = 0; i < IG_TRACE_TOKENS_COUNT; i++)
        values[used++] = span->tokens[i] < 0 ? IG_DB_N() : IG_DB_I(span->tokens[i]);
    for (size_t i = 0; i < IG_TRACE_COSTS_COUNT; i++)
        values[used++] = isfinite(span->costs[i]) ? IG_DB_F(span->costs[i]) : IG_DB_N();
    values[used++] = IG_DB_T(span->content);
    IG_ASSERT(used == COUNT(values));
    if (ig_db_exec(tx, "delete from spans where trace = $1 and id = $2", values, 2, err) != IG_OK)
        return err->code;
    return ig_db_exec(tx,
                      "insert into spans(trace, id, parent, name, type, status, start_ns, end_ns,"
                      " model, provider, input_tokens, output_tokens, total_tokens,"
                      " cache_read_tokens, cache_creation_tokens, input_cost, output_cost,"
                      " total_cost, content) values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,"
                      " $12, $13, $14, $15, $16, $17, $18, $19)",
                      values, used, err);
}

static enum ig_code put_pair(struct ig_db_tx *tx, const char *sql, struct ig_str trace,
                             struct ig_str key, struct ig_str value, struct ig_err *err)
{
    return ig_db_exec(tx, sql, IG_DB_VALUES(IG_DB_T(trace), IG_DB_T(key), IG_DB_T(value)), err);
}

/* What a span says of its trace. */
static enum ig_code put_words(struct ig_db_tx *tx, const struct ig_trace_span *span,
                              struct ig_err *err)
{
    static const char METADATA[] = "insert into trace_metadata(trace, key, value)"
                                   " values($1, $2, $3) on conflict (trace, key) do nothing";
    static const char TAG[] = "insert into trace_tags(trace, key, value) values($1, $2, $3)"
                              " on conflict (trace, key) do update set value = excluded.value";
    if (span->session.ptr && put_pair(tx, METADATA, span->trace, IG_STR("mlflow.trace.session"),
                                      span->session, err) != IG_OK)
        return err->code;
    if (span->user.ptr &&
        put_pair(tx, METADATA, span->trace, IG_STR("mlflow.trace.user"), span->user, err) != IG_OK)
        return err->code;
    for (size_t i = 0; err->code == IG_OK && i < span->tags.count; i++)
        put_pair(tx, TAG, span->trace, span->tags.items[i].key, span->tags.items[i].value, err);
    return err->code;
}

static enum ig_code check_room(struct ig_db_tx *tx, struct ig_str trace, struct ig_err *err)
{
    int64_t count = 0;
    if (ig_db_get_i64(&count, tx, "select count(*) from spans where trace = $1",
                      IG_DB_VALUES(IG_DB_T(trace)), err) != IG_OK ||
        count <= IG_TRACE_SPANS_MAX)
        return err->code;
    return ig_fail(err, IG_TOO_LARGE, "Trace '%.*s' would have %lld spans, at most %d",
                   IG_STR_ARGS(trace), (long long)count, IG_TRACE_SPANS_MAX);
}

static enum ig_code put_group(struct ig_db_tx *tx, const struct put_call *call,
                              const struct group *group, struct ig_err *err)
{
    bool found = false, told = false;
    if (find_trace(&found, &told, tx, group->trace, err) != IG_OK) return err->code;
    if (!found && make_trace(tx, group, call->batch->experiment, call->arena, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < group->count; i++)
        if (put_span(tx, group->spans[i].span, err) != IG_OK ||
            put_words(tx, group->spans[i].span, err) != IG_OK)
            return err->code;
    if (check_room(tx, group->trace, err) != IG_OK ||
        (found && !told && move_times(tx, group, err) != IG_OK) ||
        (group->root && put_root(tx, group, call->arena, err) != IG_OK) ||
        (group->summed && put_sums(tx, group->trace, told, call->arena, err) != IG_OK))
        return err->code;
    if (group->root && call->batch->run.len &&
        link_run(tx, group->trace, call->batch->run, err) != IG_OK)
        return err->code;
    return ig_db_exec(tx,
                      "insert into trace_tags(trace, key, value)"
                      " values($1, '" IG_TRACE_SPANS_TAG "', 'TRACKING_STORE')"
                      " on conflict (trace, key) do update set value = excluded.value",
                      IG_DB_VALUES(IG_DB_T(group->trace)), err);
}

static struct group group_at(const struct put_call *call, size_t at)
{
    struct group group = {.spans = call->order + at, .trace = call->order[at].span->trace};
    group.start_ms = INT64_MAX;
    for (; at + group.count < call->batch->count; group.count++) {
        const struct ig_trace_span *span = call->order[at + group.count].span;
        if (!ig_str_eq(span->trace, group.trace)) break;
        int64_t start_ms = span->start_ns / 1000000, end_ms = span->end_ns / 1000000;
        if (start_ms < group.start_ms) group.start_ms = start_ms;
        if (end_ms > group.end_ms) group.end_ms = end_ms;
        if (!span->parent.ptr && !group.root) group.root = span;
        for (size_t i = 0; i < IG_TRACE_TOKENS_COUNT; i++)
            group.summed = group.summed || span->tokens[i] >= 0;
        for (size_t i = 0; i < IG_TRACE_COSTS_COUNT; i++)
            group.summed = group.summed || isfinite(span->costs[i]);
    }
    return group;
}

static enum ig_code put_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct put_call *call = context;
    for (size_t at = 0; err->code == IG_OK && at < call->batch->count;) {
        struct group group = group_at(call, at);
        put_group(tx, call, &group, err);
        at += group.count;
    }
    return err->code;
}

static int by_trace(const void *a, const void *b)
{
    const struct ig_trace_span *left = ((const struct place *)a)->span;
    const struct ig_trace_span *right = ((const struct place *)b)->span;
    size_t length = left->trace.len < right->trace.len ? left->trace.len : right->trace.len;
    int order = memcmp(left->trace.ptr, right->trace.ptr, length);
    if (!order) order = (left->trace.len > right->trace.len) - (left->trace.len < right->trace.len);
    return order ? order : (left > right) - (left < right);
}

enum ig_code ig_trace_spans_put(struct ig_db *db, const struct ig_trace_spans_batch *batch,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct put_call call = {.batch = batch, .arena = arena};
    call.order = ig_arena_array(arena, batch->count, sizeof *call.order);
    if (batch->count && !call.order) return ig_fail(err, IG_NO_MEMORY, "spans");
    for (size_t i = 0; i < batch->count; i++) {
        const struct ig_trace_span *span = call.order[i].span = &batch->spans[i];
        if (ig_tracking_trace_id_check(span->trace, err) != IG_OK ||
            ig_tracking_check_length(span->name, NAME_MAX_BYTES, "name", err) != IG_OK)
            return err->code;
    }
    if (!batch->count) return IG_OK;
    qsort(call.order, batch->count, sizeof *call.order, by_trace);
    return ig_db_write(db, put_work, &call, err);
}

/* ---- reading ---- */

struct read_call {
    struct ig_str trace;
    struct ig_arena *arena;
    struct ig_trace_spans found;
};

static enum ig_code read_contents(struct read_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_trace_spans *found = &call->found;
    struct ig_db_rows *rows = NULL;
    size_t cap = 0;
    if (ig_db_query(&rows, tx,
                    "select content from spans where trace = $1"
                    " order by case when parent is null then 0 else 1 end, start_ns, id",
                    IG_DB_VALUES(IG_DB_T(call->trace)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        found->contents = ig_arena_grow(call->arena, found->contents, found->count, &cap,
                                        sizeof *found->contents);
        if (!found->contents) {
            ig_fail(err, IG_NO_MEMORY, "spans of a trace");
            break;
        }
        found->contents[found->count++] = ig_db_text_dup(rows, 0, call->arena);
    }
    ig_db_finish(rows);
    return err->code;
}

/* "num_spans" of {"total_size_bytes": 1, "num_spans": 2, ...}; 0 when it is not told. */
static int64_t told_count(struct ig_str stats, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    int64_t count = 0;
    ig_json_init(&json, stats, arena, &err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "sizeStats")) return 0;
    while (ig_json_member(&json))
        if (!(ig_str_is(json.text, "num_spans") ? ig_json_i64(&json, &count, "num_spans")
                                                : ig_json_skip(&json)))
            return 0;
    return count;
}

static enum ig_code read_work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct read_call *call = context;
    struct ig_db_rows *rows = NULL;
    int64_t told = 0;
    if (ig_db_query(&rows, tx,
                    "select t.id, (select value from trace_metadata m where m.trace = t.id and"
                    " m.key = 'mlflow.trace.sizeStats'), (select value from trace_tags g where"
                    " g.trace = t.id and g.key = '" IG_TRACE_SPANS_TAG "')"
                    " from traces t where t.id = $1",
                    IG_DB_VALUES(IG_DB_T(call->trace)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        told = told_count(ig_db_text(rows, 1), call->arena);
        call->found.here = ig_str_is(ig_db_text(rows, 2), "TRACKING_STORE");
    } else if (err->code == IG_OK) {
        ig_fail(err, IG_NOT_FOUND, "Trace with ID %.*s is not found.",
                IG_STR_ARGS(ig_tracking_cut(call->trace, 64)));
    }
    ig_db_finish(rows);
    if (err->code != IG_OK || read_contents(call, tx, err) != IG_OK) return err->code;
    call->found.whole = (int64_t)call->found.count >= told;
    return call->arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "spans of a trace") : IG_OK;
}

enum ig_code ig_trace_spans_read(struct ig_trace_spans *out, struct ig_db *db, struct ig_str trace,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct read_call call = {.trace = trace, .arena = arena};
    if (ig_db_read(db, read_work, &call, err) == IG_OK) *out = call.found;
    return err->code;
}
