/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's traces, by the paths of its clients 3.x (/api/3.0) and 2.x. Spans are files that clients
 * put beside the runs' artifacts. Searches stand in mlflow_search.c. */
#include "api/mlflow_traces.h"

#include "api/mlflow_assessments.h"
#include "api/mlflow_request.h"
#include "api/mlflow_tracking.h"
#include "api/rest.h"
#include "api/route.h"
#include "base/clock.h"

#include <math.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- texts of protobuf's times ---- */

static bool digits(int64_t *out, struct ig_str *text, size_t count)
{
    *out = 0;
    if (text->len < count) return false;
    for (size_t i = 0; i < count; i++) {
        if (text->ptr[i] < '0' || text->ptr[i] > '9') return false;
        *out = *out * 10 + (text->ptr[i] - '0');
    }
    *text = (struct ig_str){text->ptr + count, text->len - count};
    return true;
}

static bool letter(struct ig_str *text, char c)
{
    if (!text->len || text->ptr[0] != c) return false;
    *text = (struct ig_str){text->ptr + 1, text->len - 1};
    return true;
}

/* Days since 1970-01-01 in the proleptic Gregorian calendar (H. Hinnant, chrono-compatible
 * low-level date algorithms). */
static int64_t days_since_1970(int64_t year, int64_t month, int64_t day)
{
    year -= month <= 2;
    int64_t era = year / 400, of_era = year - era * 400;
    int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;
    return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

/* Milliseconds of what stands behind a point; further digits are passed over. */
static bool fraction(int64_t *ms, struct ig_str *text)
{
    int64_t unit = 100, digit;
    *ms = 0;
    if (!letter(text, '.')) return true;
    if (!text->len || text->ptr[0] < '0' || text->ptr[0] > '9') return false;
    for (; digits(&digit, text, 1); unit /= 10) *ms += digit * unit;
    return true;
}

static bool offset(int64_t *minutes, struct ig_str *text)
{
    int64_t hour, minute;
    *minutes = 0;
    if (letter(text, 'Z')) return !text->len;
    bool west = letter(text, '-');
    if (!west && !letter(text, '+')) return false;
    if (!digits(&hour, text, 2) || !letter(text, ':') || !digits(&minute, text, 2)) return false;
    *minutes = (hour * 60 + minute) * (west ? -1 : 1);
    return !text->len && hour < 24 && minute < 60;
}

/* RFC 3339: "2026-01-31T23:59:59.123Z". */
bool ig_mlflow_time_parse(int64_t *unix_ms, struct ig_str text)
{
    int64_t part[6], ms, minutes;
    static const struct {
        size_t digits;
        char behind;
        int64_t least, most;
    } PARTS[] = {{4, '-', 1, 9999}, {2, '-', 1, 12}, {2, 'T', 1, 31},
                 {2, ':', 0, 23},   {2, ':', 0, 59}, {2, '\0', 0, 60}};
    for (size_t i = 0; i < COUNT(PARTS); i++) {
        if (!digits(&part[i], &text, PARTS[i].digits) || part[i] < PARTS[i].least ||
            part[i] > PARTS[i].most)
            return false;
        if (PARTS[i].behind && !letter(&text, PARTS[i].behind)) return false;
    }
    if (!fraction(&ms, &text) || !offset(&minutes, &text)) return false;
    int64_t days = days_since_1970(part[0], part[1], part[2]);
    int64_t seconds = days * 86400 + part[3] * 3600 + (part[4] - minutes) * 60 + part[5];
    *unix_ms = seconds * 1000 + ms;
    return true;
}

/* "1.5s" */
bool ig_mlflow_duration_parse(int64_t *ms, struct ig_str text)
{
    static const double SECONDS_MAX = 315576000000.0; /* protobuf's own */
    double seconds;
    if (text.len < 2 || text.ptr[text.len - 1] != 's') return false;
    text.len--;
    if (!ig_str_to_f64(text, &seconds) || !(seconds >= 0 && seconds <= SECONDS_MAX)) return false;
    *ms = (int64_t)llround(seconds * 1000);
    return true;
}

/* ---- answers ---- */

static void write_experiment_id(struct ig_json_out *out, const struct ig_tracking_trace *trace)
{
    char experiment[24];
    snprintf(experiment, sizeof experiment, "%lld", (long long)trace->experiment);
    ig_json_out_kv_str(out, "experiment_id", ig_str_view(experiment));
}

void ig_mlflow_write_trace(struct ig_json_out *out, const struct ig_tracking_trace *trace)
{
    char duration[32];
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "trace_id", trace->id);
    if (trace->client_id.ptr) ig_json_out_kv_str(out, "client_request_id", trace->client_id);
    ig_json_out_key(out, IG_STR("trace_location"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "type", IG_STR("MLFLOW_EXPERIMENT"));
    ig_json_out_key(out, IG_STR("mlflow_experiment"));
    ig_json_out_object(out);
    write_experiment_id(out, trace);
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
    if (trace->request_preview.ptr)
        ig_json_out_kv_str(out, "request_preview", trace->request_preview);
    if (trace->response_preview.ptr)
        ig_json_out_kv_str(out, "response_preview", trace->response_preview);
    char time[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(time, trace->start_ms);
    ig_json_out_kv_str(out, "request_time", ig_str_view(time));
    snprintf(duration, sizeof duration, "%lld.%03llds", (long long)(trace->duration_ms / 1000),
             (long long)(trace->duration_ms % 1000));
    if (trace->duration_ms >= 0)
        ig_json_out_kv_str(out, "execution_duration", ig_str_view(duration));
    ig_json_out_kv_str(out, "state",
                       ig_str_view(trace->status ? ig_tracking_trace_status_name(trace->status)
                                                 : "STATE_UNSPECIFIED"));
    ig_mlflow_write_map(out, "trace_metadata", trace->metadata);
    ig_mlflow_write_map(out, "tags", trace->tags);
    if (trace->assessments.count) {
        ig_json_out_key(out, IG_STR("assessments"));
        ig_json_out_array(out);
        for (size_t i = 0; i < trace->assessments.count; i++)
            ig_mlflow_assessment_write(out, &trace->assessments.items[i]);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

void ig_mlflow_write_trace_v2(struct ig_json_out *out, const struct ig_tracking_trace *trace)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "request_id", trace->id);
    write_experiment_id(out, trace);
    ig_json_out_kv_i64(out, "timestamp_ms", trace->start_ms);
    if (trace->duration_ms >= 0) ig_json_out_kv_i64(out, "execution_time_ms", trace->duration_ms);
    ig_json_out_kv_str(out, "status", ig_str_view(ig_tracking_trace_status_name(trace->status)));
    ig_mlflow_write_pairs(out, "request_metadata", trace->metadata);
    ig_mlflow_write_pairs(out, "tags", trace->tags);
    ig_json_out_object_end(out);
}

/* The answer of a call that came out with `code`. */
static enum ig_code reply(struct ig_call *call, enum ig_code code,
                          const struct ig_tracking_trace *trace)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("trace"));
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("trace_info"));
    ig_mlflow_write_trace(&out, trace);
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code reply_v2(struct ig_call *call, enum ig_code code,
                             const struct ig_tracking_trace *trace)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("trace_info"));
    ig_mlflow_write_trace_v2(&out, trace);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- a trace of 3.x ---- */

static enum ig_code wrong(struct ig_json *json, const char *field, struct ig_str value)
{
    return ig_fail(json->err, IG_INVALID, "Invalid value \"%.*s\" for parameter '%s' supplied",
                   (int)(value.len > 64 ? 64 : value.len), value.ptr, field);
}

/* {"type", "mlflow_experiment": {"experiment_id"}} */
static enum ig_code read_location(struct ig_str *experiment, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "trace_location")) return json->err->code;
    while (ig_json_member(json)) {
        if (!ig_str_is(json->text, "mlflow_experiment")) {
            if (!ig_json_skip(json)) break;
            continue;
        }
        if (!ig_json_expect(json, IG_JSON_OBJECT, "mlflow_experiment")) break;
        while (ig_json_member(json))
            if (!(ig_str_is(json->text, "experiment_id")
                      ? ig_json_string(json, experiment, "experiment_id")
                      : ig_json_skip(json)))
                return json->err->code;
    }
    return json->err->code;
}

static enum ig_code read_word(struct ig_tracking_trace *out, struct ig_json *json,
                              struct ig_str name)
{
    struct ig_str text;
    if (!ig_json_string(json, &text, "trace_info")) return json->err->code;
    if (ig_str_is(name, "request_time"))
        return ig_mlflow_time_parse(&out->start_ms, text) ? IG_OK
                                                          : wrong(json, "request_time", text);
    if (ig_str_is(name, "execution_duration"))
        return ig_mlflow_duration_parse(&out->duration_ms, text)
                   ? IG_OK
                   : wrong(json, "execution_duration", text);
    return ig_tracking_trace_status_parse(&out->status, text) ? IG_OK : wrong(json, "state", text);
}

static enum ig_code read_field(struct ig_tracking_trace *out, struct ig_str *experiment,
                               struct ig_json *json)
{
    struct ig_str name = json->text;
    struct ig_json ahead = *json;
    const struct {
        const char *name;
        struct ig_str *out;
    } texts[] = {{"trace_id", &out->id},
                 {"client_request_id", &out->client_id},
                 {"request_preview", &out->request_preview},
                 {"response_preview", &out->response_preview}};
    if (ig_json_next(&ahead) == IG_JSON_NULL) return ig_json_skip(json) ? IG_OK : json->err->code;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (ig_str_is(name, texts[i].name))
            return ig_json_string(json, texts[i].out, texts[i].name) ? IG_OK : json->err->code;
    if (ig_str_is(name, "trace_location")) return read_location(experiment, json);
    if (ig_str_is(name, "trace_metadata"))
        return ig_mlflow_map_read(&out->metadata, json, "trace_metadata");
    if (ig_str_is(name, "tags")) return ig_mlflow_map_read(&out->tags, json, "tags");
    if (ig_str_is(name, "assessments")) return ig_mlflow_assessments_read(&out->assessments, json);
    if (ig_str_is(name, "request_time") || ig_str_is(name, "execution_duration") ||
        ig_str_is(name, "state"))
        return read_word(out, json, name);
    return ig_json_skip(json) ? IG_OK : json->err->code;
}

/* {"trace": {"trace_info": {...}}}; spans in it are passed over, as MLflow's server does. */
static enum ig_code read_trace(struct ig_tracking_trace *out, struct ig_str *experiment,
                               struct ig_json *json)
{
    static const char *const LEVELS[] = {"trace", "trace_info"};
    size_t level = 0;
    bool found = false;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "body")) return json->err->code;
    for (;;) {
        if (!ig_json_member(json)) {
            if (json->err->code != IG_OK || !level--) break;
        } else if (level == COUNT(LEVELS)) {
            if (read_field(out, experiment, json) != IG_OK) break;
        } else if (!ig_str_is(json->text, LEVELS[level])) {
            if (!ig_json_skip(json)) break;
        } else {
            if (!ig_json_expect(json, IG_JSON_OBJECT, LEVELS[level])) break;
            found = ++level == COUNT(LEVELS) || found;
        }
    }
    if (json->err->code != IG_OK || ig_json_next(json) != IG_JSON_END) return json->err->code;
    if (!found || !experiment->len || !out->id.len)
        return ig_fail(json->err, IG_INVALID, "Missing value for required parameter '%s'.",
                       !found             ? "trace"
                       : !experiment->len ? "trace.trace_info.trace_location"
                                          : "trace.trace_info.trace_id");
    return IG_OK;
}

enum ig_code ig_mlflow_trace_named(struct ig_str *id, struct ig_str *experiment,
                                   struct ig_call *call)
{
    struct ig_tracking_trace trace = {.id = IG_STR("")};
    struct ig_json json;
    *experiment = IG_STR("");
    if (ig_mlflow_expect_json(call) != IG_OK) return call->err.code;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (read_trace(&trace, experiment, &json) == IG_OK) *id = trace.id;
    return call->err.code;
}

enum ig_code ig_mlflow_trace_put(struct ig_call *call)
{
    struct ig_tracking_trace trace = {.duration_ms = -1, .id = IG_STR("")};
    struct ig_tracking_trace made;
    struct ig_str experiment = IG_STR("");
    struct ig_json json;
    if (ig_mlflow_expect_json(call) != IG_OK) return call->err.code;
    trace.start_ms = ig_clock_unix_ms();
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (read_trace(&trace, &experiment, &json) != IG_OK ||
        ig_tracking_experiment_id(&trace.experiment, experiment, &call->err) != IG_OK)
        return call->err.code;
    return reply(call, ig_tracking_trace_put(&made, call->app->db, &trace, call->arena, &call->err),
                 &made);
}

enum ig_code ig_mlflow_trace_get(struct ig_call *call)
{
    struct ig_tracking_trace trace;
    return reply(
        call,
        ig_tracking_trace_get(&trace, call->app->db, call->params[0], call->arena, &call->err),
        &trace);
}

/* Those that are there. */
enum ig_code ig_mlflow_traces_batch(struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"trace_ids", IG_MLFLOW_TEXTS, &ids, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ids.count > IG_TRACKING_TRACES_DELETED_MAX)
        return ig_fail(&call->err, IG_INVALID, "trace_ids: %zu given, expected at most %d",
                       ids.count, IG_TRACKING_TRACES_DELETED_MAX);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("trace_infos"));
    ig_json_out_array(&out);
    for (size_t i = 0; call->err.code == IG_OK && i < ids.count; i++) {
        struct ig_tracking_trace trace;
        if (ig_tracking_trace_get(&trace, call->app->db, ids.items[i], call->arena, &call->err) ==
            IG_OK)
            ig_mlflow_write_trace(&out, &trace);
        else if (call->err.code == IG_NOT_FOUND)
            ig_err_clear(&call->err);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return call->err.code;
}

/* ---- of 2.x ---- */

enum ig_code ig_mlflow_trace_start(struct ig_call *call)
{
    struct ig_tracking_trace trace = {.status = 3, .duration_ms = -1, .id = IG_STR("")};
    struct ig_tracking_trace made;
    struct ig_str experiment = IG_STR("");
    const struct ig_mlflow_field fields[] = {
        {"experiment_id", IG_MLFLOW_TEXT, &experiment, true},
        {"timestamp_ms", IG_MLFLOW_I64, &trace.start_ms, true},
        {"request_metadata", IG_MLFLOW_PAIRS, &trace.metadata, false},
        {"tags", IG_MLFLOW_PAIRS, &trace.tags, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_tracking_experiment_id(&trace.experiment, experiment, &call->err) != IG_OK)
        return call->err.code;
    return reply_v2(
        call, ig_tracking_trace_put(&made, call->app->db, &trace, call->arena, &call->err), &made);
}

enum ig_code ig_mlflow_trace_end(struct ig_call *call)
{
    struct ig_tracking_trace_end end = {.id = call->params[0]};
    struct ig_tracking_trace trace;
    struct ig_str status = IG_STR("");
    const struct ig_mlflow_field fields[] = {
        {"timestamp_ms", IG_MLFLOW_I64, &end.end_ms, true},
        {"status", IG_MLFLOW_WORD, &status, true},
        {"request_metadata", IG_MLFLOW_PAIRS, &end.metadata, false},
        {"tags", IG_MLFLOW_PAIRS, &end.tags, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (!ig_tracking_trace_status_parse(&end.status, status))
        return ig_fail(&call->err, IG_INVALID,
                       "Invalid value \"%.*s\" for parameter 'status' supplied: expected OK, ERROR "
                       "or IN_PROGRESS",
                       (int)(status.len > 64 ? 64 : status.len), status.ptr);
    return reply_v2(
        call, ig_tracking_trace_end(&trace, call->app->db, &end, call->arena, &call->err), &trace);
}

enum ig_code ig_mlflow_trace_info(struct ig_call *call)
{
    struct ig_tracking_trace trace;
    return reply_v2(
        call,
        ig_tracking_trace_get(&trace, call->app->db, call->params[0], call->arena, &call->err),
        &trace);
}

/* ---- of both ---- */

enum ig_code ig_mlflow_trace_tag(struct ig_call *call)
{
    struct ig_tracking_pair tag = {IG_STR(""), IG_STR("")};
    const struct ig_mlflow_field fields[] = {{"key", IG_MLFLOW_TEXT, &tag.key, true},
                                             {"value", IG_MLFLOW_TEXT, &tag.value, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_tracking_trace_tag(call->app->db, call->params[0], tag, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_trace_untag(struct ig_call *call)
{
    struct ig_str key = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"key", IG_MLFLOW_TEXT, &key, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_tracking_trace_untag(call->app->db, call->params[0], key, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

static enum ig_code check_deletion(struct ig_call *call, const struct ig_mlflow_texts *ids,
                                   int64_t until_ms, int64_t max)
{
    if (ids->count && (until_ms != INT64_MIN || max != INT64_MIN))
        return ig_fail(&call->err, IG_INVALID,
                       "Only one of max_timestamp_millis, max_traces and request_ids may be told: "
                       "a time, or traces");
    if (!ids->count && until_ms == INT64_MIN)
        return ig_fail(&call->err, IG_INVALID,
                       "Either `max_timestamp_millis` or `trace_ids` must be specified.");
    if (max != INT64_MIN && max < 1)
        return ig_fail(&call->err, IG_INVALID,
                       "`max_traces` must be a positive integer, received %lld", (long long)max);
    if (ids->count > IG_TRACKING_TRACES_DELETED_MAX)
        return ig_fail(&call->err, IG_INVALID, "request_ids: %zu given, expected at most %d",
                       ids->count, IG_TRACKING_TRACES_DELETED_MAX);
    return IG_OK;
}

enum ig_code ig_mlflow_traces_delete(struct ig_call *call)
{
    struct ig_tracking_trace_deletion deletion = {.until_ms = INT64_MIN};
    struct ig_mlflow_texts ids = {0};
    struct ig_str experiment = IG_STR("");
    struct ig_json_out out;
    int64_t max = INT64_MIN, total = 0;
    const struct ig_mlflow_field fields[] = {
        {"experiment_id", IG_MLFLOW_TEXT, &experiment, true},
        {"max_timestamp_millis", IG_MLFLOW_I64, &deletion.until_ms, false},
        {"max_traces", IG_MLFLOW_I64, &max, false},
        {"request_ids", IG_MLFLOW_TEXTS, &ids, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        check_deletion(call, &ids, deletion.until_ms, max) != IG_OK ||
        ig_tracking_experiment_id(&deletion.experiment, experiment, &call->err) != IG_OK)
        return call->err.code;
    deletion.ids = ids.items;
    deletion.ids_count = ids.count;
    size_t count;
    do { /* without a number all of them, in several transactions */
        int64_t left = max == INT64_MIN ? IG_TRACKING_TRACES_DELETED_MAX : max - total;
        deletion.max =
            (size_t)(left < IG_TRACKING_TRACES_DELETED_MAX ? left : IG_TRACKING_TRACES_DELETED_MAX);
        if (ig_tracking_traces_delete(&count, call->app->db, &call->who, &deletion, call->arena,
                                      &call->err) != IG_OK)
            return call->err.code;
        total += (int64_t)count;
    } while (!ids.count && count == IG_TRACKING_TRACES_DELETED_MAX && total != max);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "traces_deleted", total);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_traces_link(struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_str run = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"trace_ids", IG_MLFLOW_TEXTS, &ids, true},
                                             {"run_id", IG_MLFLOW_TEXT, &run, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_tracking_traces_link(call->app->db, ids.items, ids.count, run, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
