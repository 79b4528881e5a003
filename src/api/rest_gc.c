/* SPDX-License-Identifier: Apache-2.0 */
/* Garbage collection, some seconds a call: a worker is not held for longer, and a caller that goes
 * away stops it. */
#include "api/rest.h"
#include "api/route.h"
#include "base/clock.h"

static const uint64_t BUDGET_NS = 10ULL * 1000 * 1000 * 1000;
static const int64_t SECONDS_MAX = INT32_MAX;

struct run_ids {
    struct ig_str items[IG_GC_IDS_MAX];
    size_t count;
};
struct experiment_ids {
    int64_t items[IG_GC_IDS_MAX];
    size_t count;
};

static enum ig_code too_many(struct ig_json *json)
{
    return ig_fail_at(json->err, IG_INVALID, ig_json_position(json), "more than %d ids",
                      IG_GC_IDS_MAX);
}

static enum ig_code read_runs(void *out, struct ig_json *json)
{
    struct run_ids *ids = out;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "run_ids")) return json->err->code;
    while (ig_json_element(json)) {
        if (ids->count == IG_GC_IDS_MAX) return too_many(json);
        if (!ig_json_string(json, &ids->items[ids->count++], "run_ids")) break;
    }
    return json->err->code;
}

static enum ig_code read_experiments(void *out, struct ig_json *json)
{
    struct experiment_ids *ids = out;
    struct ig_str text;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "experiment_ids")) return json->err->code;
    while (ig_json_element(json)) {
        if (ids->count == IG_GC_IDS_MAX) return too_many(json);
        if (!ig_json_string(json, &text, "experiment_ids") ||
            ig_tracking_experiment_id(&ids->items[ids->count++], text, json->err) != IG_OK)
            break;
    }
    return json->err->code;
}

static enum ig_code check_range(struct ig_call *call, const char *field, int64_t value, int64_t low,
                                int64_t high)
{
    if (value >= low && value <= high) return IG_OK;
    call->field = field;
    return ig_fail(&call->err, IG_INVALID, "%s: %lld is not from %lld to %lld", field,
                   (long long)value, (long long)low, (long long)high);
}

/* What models look like goes behind the last object, when their packages are gone. */
static enum ig_code collect_faces(int64_t *removed, struct ig_call *call,
                                  const struct ig_gc_report *report, bool dry_run)
{
    *removed = 0;
    if (!report->done || !call->app->deploy) return IG_OK;
    return ig_deploy_collect(removed, call->app->deploy, dry_run, &call->err);
}

static enum ig_code reply(struct ig_call *call, const struct ig_gc_report *report, int64_t faces)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "runs", report->runs);
    ig_json_out_kv_i64(&out, "experiments", report->experiments);
    ig_json_out_kv_i64(&out, "logged_models", report->logged_models);
    ig_json_out_kv_i64(&out, "traces", report->traces);
    ig_json_out_kv_i64(&out, "metrics", report->metrics);
    ig_json_out_kv_i64(&out, "artifacts", report->artifacts);
    ig_json_out_kv_i64(&out, "kept", report->kept);
    ig_json_out_kv_i64(&out, "objects", report->objects);
    ig_json_out_kv_i64(&out, "faces", faces);
    ig_json_out_kv_bool(&out, "done", report->done);
    ig_json_out_key(&out, IG_STR("next"));
    if (report->rows_done && !report->done)
        ig_json_out_u64(&out, report->slice);
    else
        ig_json_out_null(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_gc_post(struct ig_call *call)
{
    struct run_ids *runs = ig_arena_zalloc(call->arena, sizeof *runs);
    struct experiment_ids *experiments = ig_arena_zalloc(call->arena, sizeof *experiments);
    int64_t older_s = 0, unused_s = 24 * 3600, next = -1, now = ig_clock_unix_ms();
    struct ig_gc_ask ask = {.budget_ns = BUDGET_NS};
    struct ig_gc_report report;
    if (!runs || !experiments) return ig_fail(&call->err, IG_NO_MEMORY, "garbage collection");
    const struct ig_rest_field fields[] = {
        {"older_than_s", IG_REST_I64, &older_s, false, NULL},
        {"unused_older_than_s", IG_REST_I64, &unused_s, false, NULL},
        {"run_ids", IG_REST_CALL, runs, false, read_runs},
        {"experiment_ids", IG_REST_CALL, experiments, false, read_experiments},
        {"dry_run", IG_REST_BOOL, &ask.dry_run, false, NULL},
        {"next", IG_REST_I64, &next, false, NULL}};
    if (ig_rest_read(call, fields, sizeof fields / sizeof *fields) != IG_OK ||
        check_range(call, "older_than_s", older_s, 0, SECONDS_MAX) != IG_OK ||
        check_range(call, "unused_older_than_s", unused_s, IG_GC_UNUSED_MIN_MS / 1000,
                    SECONDS_MAX) != IG_OK ||
        (next >= 0 && check_range(call, "next", next, 0, IG_GC_SLICES) != IG_OK))
        return call->err.code;
    ask.deleted_before_ms = now - older_s * 1000 + (older_s ? 0 : 1);
    ask.unused_before_ms = now - unused_s * 1000;
    ask.runs = runs->items;
    ask.runs_count = runs->count;
    ask.experiments = experiments->items;
    ask.experiments_count = experiments->count;
    ask.no_rows = next >= 0;
    ask.slice = next >= 0 ? (unsigned)next : 0;
    if (ask.dry_run) ask.budget_ns = 0; /* it would count the same again */
    int64_t faces;
    if (ig_gc_run(&report, call->app->gc, &call->who, &ask, &call->err) != IG_OK ||
        collect_faces(&faces, call, &report, ask.dry_run) != IG_OK)
        return call->err.code;
    return reply(call, &report, faces);
}
