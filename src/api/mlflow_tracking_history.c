/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's histories of metrics: of one run in pages, of several at once, and samples of several
 * for charts. Those of several are written run by run, so that one run's values are in memory
 * besides the answer's text. */
#include "api/mlflow_tracking.h"

#include "api/mlflow_request.h"
#include "api/route.h"
#include "base/num.h"

#include <stdlib.h>
#include <string.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum {
    RUNS_MAX = 100,    /* of one request */
    SAMPLE_MAX = 2500, /* values of a run */
    RUN_BYTES_MAX = 16 << 20,
    POINT_BYTES_MAX = 4096,
    POINT_NUMBERS_MAX = 3 * IG_NUM_TEXT_MAX + 40,
    TOGETHER = 32,
};

static char *put(char *at, const char *text, size_t length)
{
    memcpy(at, text, length);
    return at + length;
}
#define PUT(at, literal) put(at, literal, sizeof(literal) - 1)

/* `head`, which is the same in all points of a metric and run, then a point's numbers, at most
 * POINT_NUMBERS_MAX bytes with the comma. */
static char *put_point(char *at, struct ig_str head, const struct ig_tracking_point *point)
{
    at = put(at, head.ptr, head.len);
    at = PUT(at, ",\"value\":");
    at += ig_mlflow_value_text(at, point->value);
    at = PUT(at, ",\"timestamp\":");
    at += ig_num_format_i64(at, point->at_ms);
    at = PUT(at, ",\"step\":");
    at += ig_num_format_i64(at, point->step);
    return PUT(at, "},");
}

/* Of one metric and run; `run` may be empty. Some points at a time are one raw text. */
static void write_points(struct ig_json_out *out, struct ig_str key,
                         struct ig_tracking_points points, struct ig_str run)
{
    struct ig_buf text;
    struct ig_json_out head;
    ig_buf_init(&text, POINT_BYTES_MAX + TOGETHER * (POINT_BYTES_MAX + POINT_NUMBERS_MAX));
    ig_json_out_init(&head, &text);
    ig_json_out_object(&head);
    ig_json_out_kv_str(&head, "key", key);
    if (run.len) ig_json_out_kv_str(&head, "run_id", run);
    size_t length = text.len;
    bool fits =
        length <= POINT_BYTES_MAX && ig_buf_reserve(&text, TOGETHER * (length + POINT_NUMBERS_MAX));
    IG_ASSERT(fits || !points.count); /* there are no points of a key that long */
    for (size_t i = 0; i < points.count && !out->buf->overflowed;) {
        char *start = text.ptr + length, *end = start;
        for (int n = 0; n < TOGETHER && i < points.count; n++)
            end = put_point(end, (struct ig_str){text.ptr, length}, &points.items[i++]);
        ig_json_out_raw(out, (struct ig_str){start, (size_t)(end - start) - 1});
    }
    ig_buf_deinit(&text);
}

/* Without max_results a page of the greatest length: a client that pages goes on from there. */
enum ig_code ig_mlflow_metric_history(struct ig_call *call)
{
    struct ig_tracking_history_query query = {0};
    struct ig_tracking_history page;
    struct ig_json_out out;
    int64_t most = IG_TRACKING_HISTORY_MAX;
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &query.run, true},
                                             {"metric_key", IG_MLFLOW_TEXT, &query.key, true},
                                             {"page_token", IG_MLFLOW_TEXT, &query.token, false},
                                             {"max_results", IG_MLFLOW_I64, &most, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (most <= 0)
        return ig_fail(&call->err, IG_INVALID,
                       "Invalid value %lld for parameter 'max_results' supplied. It must be a "
                       "positive integer.",
                       (long long)most);
    query.max = most < IG_TRACKING_HISTORY_MAX ? (size_t)most : IG_TRACKING_HISTORY_MAX;
    if (ig_tracking_history(&page, call->app->tracking, &query, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("metrics"));
    ig_json_out_array(&out);
    write_points(&out, query.key, page.points, IG_STR(""));
    ig_json_out_array_end(&out);
    if (page.next.len) ig_json_out_kv_str(&out, "next_page_token", page.next);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- of several runs ---- */

static int compare_texts(const void *a, const void *b)
{
    const struct ig_str *x = a, *y = b;
    int order = memcmp(x->ptr, y->ptr, x->len < y->len ? x->len : y->len);
    return order ? order : (x->len > y->len) - (x->len < y->len);
}

/* By run, each run once; all runs together have at most `most` values. */
static enum ig_code write_histories(struct ig_json_out *out, struct ig_call *call,
                                    const struct ig_mlflow_texts *runs, struct ig_str key,
                                    size_t most)
{
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, RUN_BYTES_MAX);
    qsort(runs->items, runs->count, sizeof *runs->items, compare_texts);
    for (size_t i = 0; most && call->err.code == IG_OK && i < runs->count; i++) {
        const struct ig_tracking_history_query query = {
            .run = runs->items[i], .key = key, .token = IG_STR(""), .max = most, .lenient = true};
        struct ig_tracking_history page;
        if (i && ig_str_eq(runs->items[i], runs->items[i - 1])) continue;
        ig_arena_reset(&arena);
        if (ig_tracking_history(&page, call->app->tracking, &query, &arena, &call->err) != IG_OK)
            break;
        write_points(out, key, page.points, query.run);
        most -= page.points.count;
    }
    ig_arena_deinit(&arena);
    return call->err.code;
}

enum ig_code ig_mlflow_metric_bulk(struct ig_call *call)
{
    struct ig_mlflow_texts runs = {0};
    struct ig_str key = IG_STR("");
    struct ig_json_out out;
    int64_t most = IG_TRACKING_HISTORY_MAX;
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXTS, &runs, false},
                                             {"metric_key", IG_MLFLOW_TEXT, &key, false},
                                             {"max_results", IG_MLFLOW_I64, &most, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (!runs.count)
        return ig_fail(&call->err, IG_INVALID,
                       "GetMetricHistoryBulk request must specify at least one run_id.");
    if (runs.count > RUNS_MAX)
        return ig_fail(&call->err, IG_INVALID,
                       "GetMetricHistoryBulk request cannot specify more than %d run_ids. Received "
                       "%zu run_ids.",
                       RUNS_MAX, runs.count);
    if (!key.len)
        return ig_fail(&call->err, IG_INVALID,
                       "GetMetricHistoryBulk request must specify a metric_key.");
    if (most <= 0)
        return ig_fail(&call->err, IG_INVALID,
                       "Invalid value %lld for parameter 'max_results' supplied. It must be a "
                       "positive integer.",
                       (long long)most);
    if (most > IG_TRACKING_HISTORY_MAX) most = IG_TRACKING_HISTORY_MAX;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("metrics"));
    ig_json_out_array(&out);
    write_histories(&out, call, &runs, key, (size_t)most);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return call->err.code;
}

struct sampling {
    struct ig_mlflow_texts runs;
    struct ig_str key;
    int64_t start_step, end_step, most; /* steps INT64_MIN: not told */
};

static enum ig_code read_sampling(struct sampling *out, struct ig_call *call)
{
    *out = (struct sampling){.start_step = INT64_MIN, .end_step = INT64_MIN, .most = SAMPLE_MAX};
    const struct ig_mlflow_field fields[] = {{"run_ids", IG_MLFLOW_TEXTS, &out->runs, true},
                                             {"metric_key", IG_MLFLOW_TEXT, &out->key, true},
                                             {"start_step", IG_MLFLOW_I64, &out->start_step, false},
                                             {"end_step", IG_MLFLOW_I64, &out->end_step, false},
                                             {"max_results", IG_MLFLOW_I64, &out->most, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (out->runs.count > RUNS_MAX)
        return ig_fail(&call->err, IG_INVALID,
                       "GetMetricHistoryBulkInterval request must specify at most %d run_ids. "
                       "Received %zu run_ids.",
                       RUNS_MAX, out->runs.count);
    if (out->most < 1 || out->most > SAMPLE_MAX)
        return ig_fail(&call->err, IG_INVALID, "max_results must be between 1 and %d.", SAMPLE_MAX);
    if ((out->start_step == INT64_MIN) != (out->end_step == INT64_MIN))
        return ig_fail(&call->err, IG_INVALID,
                       "If either start step or end step are specified, both must be specified.");
    if (out->start_step > out->end_step)
        return ig_fail(&call->err, IG_INVALID,
                       "end_step must be greater than start_step. Found start_step=%lld and "
                       "end_step=%lld.",
                       (long long)out->start_step, (long long)out->end_step);
    if (out->end_step == INT64_MIN) out->end_step = INT64_MAX;
    return IG_OK;
}

enum ig_code ig_mlflow_metric_bulk_interval(struct ig_call *call)
{
    struct sampling sampling;
    struct ig_json_out out;
    struct ig_arena arena;
    if (read_sampling(&sampling, call) != IG_OK) return call->err.code;
    ig_arena_init(&arena, 1 << 16, RUN_BYTES_MAX);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("metrics"));
    ig_json_out_array(&out);
    for (size_t i = 0; call->err.code == IG_OK && i < sampling.runs.count; i++) {
        const struct ig_tracking_sample_query query = {.run = sampling.runs.items[i],
                                                       .key = sampling.key,
                                                       .start_step = sampling.start_step,
                                                       .end_step = sampling.end_step,
                                                       .max = (size_t)sampling.most};
        struct ig_tracking_points sample;
        ig_arena_reset(&arena);
        if (ig_tracking_history_sample(&sample, call->app->tracking, &query, &arena, &call->err) ==
            IG_OK)
            write_points(&out, query.key, sample, query.run);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    ig_arena_deinit(&arena);
    return call->err.code;
}
