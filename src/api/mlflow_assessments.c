/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's assessments of traces, by calls of their own and within traces. */
#include "api/mlflow_assessments.h"

#include "api/mlflow_traces.h"
#include "api/rest.h"
#include "api/route.h"
#include "base/clock.h"
#include "services/tracking/json_text.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- reading ---- */

/* The value that comes, as it stands. */
static enum ig_code read_raw(struct ig_str *out, struct ig_json *json)
{
    const char *before = json->at;
    if (!ig_json_skip(json)) return json->err->code;
    struct ig_str text = {before, (size_t)(json->at - before)};
    while (text.len && (*text.ptr == ':' || *text.ptr == ' ' || *text.ptr == '\n' ||
                        *text.ptr == '\t' || *text.ptr == '\r'))
        text = (struct ig_str){text.ptr + 1, text.len - 1};
    *out = text;
    return IG_OK;
}

static enum ig_code rewrite(struct ig_str *out, struct ig_str text, bool doubles,
                            struct ig_json *json)
{
    struct ig_buf buf;
    ig_buf_init(&buf, (size_t)IG_ASSESSMENT_TEXT_MAX * 8);
    if (ig_json_text_add(&buf, text, doubles, json->arena, json->err) == IG_OK) {
        *out = ig_arena_dup(json->arena, ig_buf_view(&buf));
        if (buf.overflowed || !out->ptr) ig_fail(json->err, IG_TOO_LARGE, "assessment: a value");
    }
    ig_buf_deinit(&buf);
    return json->err->code;
}

/* {"value": any, "error": {...}}, {"value": any} or {"serialized_value": {"value": "JSON"}} */
static enum ig_code read_value(struct ig_assessment *out, struct ig_json *json)
{
    struct ig_str value = IG_STR("null"), serialized = {NULL, 0};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "value")) return json->err->code;
    while (ig_json_member(json)) {
        enum ig_code code = IG_OK;
        if (ig_str_is(json->text, "value")) {
            code = read_raw(&value, json);
        } else if (ig_str_is(json->text, "error")) {
            struct ig_str error;
            code = read_raw(&error, json);
            if (code == IG_OK && !ig_str_is(error, "null")) out->error = error;
        } else if (ig_mlflow_named(json->text, "serialized_value")) {
            if (!ig_json_expect(json, IG_JSON_OBJECT, "serialized_value")) break;
            while (ig_json_member(json))
                if (!(ig_str_is(json->text, "value") ? ig_json_string(json, &serialized, "value")
                                                     : ig_json_skip(json)))
                    return json->err->code;
        } else if (!ig_json_skip(json)) {
            break;
        }
        if (code != IG_OK || json->err->code != IG_OK) return json->err->code;
    }
    if (json->err->code != IG_OK) return json->err->code;
    if (serialized.ptr) return rewrite(&out->value, serialized, false, json);
    return rewrite(&out->value, value, true, json);
}

static enum ig_code read_issue(struct ig_assessment *out, struct ig_json *json)
{
    struct ig_str name = IG_STR("");
    struct ig_buf buf;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "issue")) return json->err->code;
    while (ig_json_member(json))
        if (!(ig_mlflow_named(json->text, "issue_name") ? ig_json_string(json, &name, "issue_name")
                                                        : ig_json_skip(json)))
            return json->err->code;
    if (json->err->code != IG_OK) return json->err->code;
    ig_buf_init(&buf, (size_t)IG_ASSESSMENT_TEXT_MAX * 8);
    ig_buf_add_cstr(&buf, "{\"issue_name\": ");
    ig_json_text_add_str(&buf, name);
    ig_buf_add_char(&buf, '}');
    out->value = ig_arena_dup(json->arena, ig_buf_view(&buf));
    if (buf.overflowed || !out->value.ptr) ig_fail(json->err, IG_TOO_LARGE, "issue_name");
    ig_buf_deinit(&buf);
    return json->err->code;
}

static enum ig_code read_source(struct ig_assessment *out, struct ig_json *json)
{
    static const char *const types[] = {"SOURCE_TYPE_UNSPECIFIED", "HUMAN", "LLM_JUDGE", "CODE"};
    struct ig_str type = IG_STR("");
    int64_t number = -1;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "source")) return json->err->code;
    while (ig_json_member(json)) {
        bool good;
        if (ig_mlflow_named(json->text, "source_type")) {
            struct ig_json ahead = *json;
            good = ig_json_next(&ahead) == IG_JSON_NUMBER
                       ? ig_json_i64(json, &number, "source_type")
                       : ig_json_string(json, &type, "source_type");
        } else if (ig_mlflow_named(json->text, "source_id")) {
            good = ig_json_string(json, &out->source_id, "source_id");
        } else {
            good = ig_json_skip(json);
        }
        if (!good) return json->err->code;
    }
    for (size_t i = 0; i < COUNT(types); i++)
        if (ig_str_is(type, types[i]) || number == (int64_t)i)
            out->source_type = ig_str_view(types[i]);
    return json->err->code;
}

static enum ig_code read_time(int64_t *out, struct ig_json *json, const char *field)
{
    struct ig_str text;
    if (!ig_json_string(json, &text, field)) return json->err->code;
    if (ig_mlflow_time_parse(out, text)) return IG_OK;
    return ig_fail(json->err, IG_INVALID, "Invalid value \"%.*s\" for parameter '%s' supplied",
                   (int)(text.len > 64 ? 64 : text.len), text.ptr, field);
}

static enum ig_code read_kind(struct ig_assessment *out, struct ig_json *json,
                              enum ig_assessment_kind kind)
{
    out->kind = kind;
    return kind == IG_ASSESSMENT_ISSUE ? read_issue(out, json) : read_value(out, json);
}

static enum ig_code read_field(struct ig_assessment *out, struct ig_json *json)
{
    const struct {
        const char *name;
        struct ig_str *out;
    } texts[] = {{"assessment_id", &out->id},    {"assessment_name", &out->name},
                 {"trace_id", &out->trace},      {"span_id", &out->span},
                 {"rationale", &out->rationale}, {"overrides", &out->overrides}};
    struct ig_str name = json->text;
    struct ig_json ahead = *json;
    if (ig_json_next(&ahead) == IG_JSON_NULL) return ig_json_skip(json) ? IG_OK : json->err->code;
    for (size_t i = 0; i < COUNT(texts); i++)
        if (ig_mlflow_named(name, texts[i].name))
            return ig_json_string(json, texts[i].out, texts[i].name) ? IG_OK : json->err->code;
    for (int kind = 0; kind <= IG_ASSESSMENT_ISSUE; kind++)
        if (ig_str_is(name, ig_assessment_kind_name((enum ig_assessment_kind)kind)))
            return read_kind(out, json, (enum ig_assessment_kind)kind);
    if (ig_str_is(name, "source")) return read_source(out, json);
    if (ig_str_is(name, "metadata"))
        return ig_mlflow_map_read(&out->metadata, json, "assessment.metadata");
    if (ig_str_is(name, "valid"))
        return ig_json_bool(json, &out->valid, "valid") ? IG_OK : json->err->code;
    if (ig_mlflow_named(name, "create_time"))
        return read_time(&out->created_ms, json, "create_time");
    if (ig_mlflow_named(name, "last_update_time"))
        return read_time(&out->updated_ms, json, "last_update_time");
    return ig_json_skip(json) ? IG_OK : json->err->code;
}

enum ig_code ig_mlflow_assessment_read(struct ig_assessment *out, struct ig_json *json, bool *told)
{
    const struct ig_str none = {NULL, 0};
    struct ig_assessment read = {.id = IG_STR(""),
                                 .trace = IG_STR(""),
                                 .name = IG_STR(""),
                                 .value = none,
                                 .source_type = IG_STR("SOURCE_TYPE_UNSPECIFIED"),
                                 .valid = true};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "assessment")) return json->err->code;
    while (ig_json_member(json))
        if (read_field(&read, json) != IG_OK) return json->err->code;
    if (json->err->code != IG_OK) return json->err->code;
    /* protobuf has no texts that are absent */
    struct ig_str *const texts[] = {&read.source_id, &read.span, &read.rationale, &read.overrides};
    for (size_t i = 0; i < COUNT(texts); i++)
        if (!texts[i]->len) *texts[i] = none;
    if (told)
        *told = read.value.ptr != NULL;
    else if (!read.value.ptr)
        return ig_fail(json->err, IG_INVALID, "Unknown assessment type: None");
    *out = read;
    return IG_OK;
}

enum ig_code ig_mlflow_assessments_read(struct ig_assessments *out, struct ig_json *json)
{
    struct ig_assessment *items = NULL;
    size_t count = 0, cap = 0;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "assessments")) return json->err->code;
    while (ig_json_element(json)) {
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(json->err, IG_NO_MEMORY, "assessments: too many");
        if (ig_mlflow_assessment_read(&items[count++], json, NULL) != IG_OK) break;
    }
    *out = (struct ig_assessments){items, count};
    return json->err->code;
}

enum ig_code ig_mlflow_assessments_parse(struct ig_assessments *out, struct ig_str content,
                                         struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    ig_json_init(&json, content, arena, err);
    return ig_mlflow_assessments_read(out, &json);
}

/* ---- writing ---- */

static void write_time(struct ig_json_out *out, const char *key, int64_t unix_ms)
{
    char time[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(time, unix_ms);
    ig_json_out_kv_str(out, key, ig_str_view(time));
}

static void write_optional(struct ig_json_out *out, const char *key, struct ig_str text)
{
    if (text.ptr) ig_json_out_kv_str(out, key, text);
}

/* Lists and objects go as a text, and so does NaN, which JSON does not have. */
static bool is_written_as_text(struct ig_str value)
{
    return memchr("[{NI", *value.ptr, 4) || ig_str_is(value, "-Infinity");
}

static void write_value(struct ig_json_out *out, const struct ig_assessment *assessment)
{
    ig_json_out_key(out, ig_str_view(ig_assessment_kind_name(assessment->kind)));
    if (assessment->kind == IG_ASSESSMENT_ISSUE) {
        ig_json_out_raw(out, assessment->value);
        return;
    }
    ig_json_out_object(out);
    if (assessment->kind == IG_ASSESSMENT_EXPECTATION && is_written_as_text(assessment->value)) {
        ig_json_out_key(out, IG_STR("serialized_value"));
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "serialization_format", IG_STR("JSON_FORMAT"));
        ig_json_out_kv_str(out, "value", assessment->value);
        ig_json_out_object_end(out);
    } else {
        ig_json_out_key(out, IG_STR("value"));
        ig_json_out_raw(out, assessment->value);
    }
    if (assessment->error.ptr) ig_rest_kv_raw(out, "error", assessment->error);
    ig_json_out_object_end(out);
}

void ig_mlflow_assessment_write(struct ig_json_out *out, const struct ig_assessment *assessment)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "assessment_id", assessment->id);
    ig_json_out_kv_str(out, "assessment_name", assessment->name);
    ig_json_out_kv_str(out, "trace_id", assessment->trace);
    write_optional(out, "span_id", assessment->span);
    ig_json_out_key(out, IG_STR("source"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "source_type", assessment->source_type);
    write_optional(out, "source_id", assessment->source_id);
    ig_json_out_object_end(out);
    write_time(out, "create_time", assessment->created_ms);
    write_time(out, "last_update_time", assessment->updated_ms);
    if (assessment->kind != IG_ASSESSMENT_ISSUE) write_value(out, assessment);
    write_optional(out, "rationale", assessment->rationale);
    if (assessment->metadata.count) {
        ig_json_out_key(out, IG_STR("metadata"));
        ig_json_out_object(out);
        for (size_t i = 0; i < assessment->metadata.count; i++) {
            ig_json_out_key(out, assessment->metadata.items[i].key);
            ig_json_out_str(out, assessment->metadata.items[i].value);
        }
        ig_json_out_object_end(out);
    }
    write_optional(out, "overrides", assessment->overrides);
    ig_json_out_kv_bool(out, "valid", assessment->valid);
    if (assessment->kind == IG_ASSESSMENT_ISSUE) write_value(out, assessment);
    ig_json_out_object_end(out);
}

/* ---- calls ---- */

struct body {
    struct ig_assessment assessment;
    struct ig_str mask;
    bool found, told;
};

static enum ig_code missing(struct ig_call *call, const char *field)
{
    return ig_fail(&call->err, IG_INVALID,
                   "Missing value for required parameter '%s'. See the API docs for more "
                   "information about request parameters.",
                   field);
}

static enum ig_code read_body(struct body *out, struct ig_call *call)
{
    struct ig_json json;
    if (ig_mlflow_expect_json(call) != IG_OK) return call->err.code;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "body")) return call->err.code;
    while (ig_json_member(&json)) {
        bool good = true;
        if (ig_str_is(json.text, "assessment")) {
            good = ig_mlflow_assessment_read(&out->assessment, &json, &out->told) == IG_OK;
            out->found = true;
        } else if (ig_mlflow_named(json.text, "update_mask")) {
            good = ig_json_string(&json, &out->mask, "update_mask");
        } else {
            good = ig_json_skip(&json);
        }
        if (!good) return call->err.code;
    }
    if (call->err.code == IG_OK) ig_json_next(&json);
    if (call->err.code != IG_OK) return call->err.code;
    return out->found ? IG_OK : missing(call, "assessment");
}

static enum ig_code reply(struct ig_call *call, enum ig_code code,
                          const struct ig_assessment *assessment)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("assessment"));
    ig_mlflow_assessment_write(&out, assessment);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_assessment_create(struct ig_call *call)
{
    struct body body = {.found = false};
    struct ig_assessment made;
    if (read_body(&body, call) != IG_OK) return call->err.code;
    if (!body.told) return ig_fail(&call->err, IG_INVALID, "Unknown assessment type: None");
    body.assessment.trace = call->params[0];
    return reply(
        call, ig_assessment_create(&made, call->app->db, &body.assessment, call->arena, &call->err),
        &made);
}

enum ig_code ig_mlflow_assessment_get(struct ig_call *call)
{
    struct ig_assessment found;
    return reply(call,
                 ig_assessment_get(&found, call->app->db, call->params[0], call->params[1],
                                   call->arena, &call->err),
                 &found);
}

/* A mask that names a value without one in the body is as MLflow's: an unknown type. */
static enum ig_code read_change(struct ig_assessment_change *out, const struct body *body,
                                struct ig_call *call)
{
    struct ig_str rest = body->mask;
    const struct ig_assessment *told = &body->assessment;
    if (!body->mask.len) return missing(call, "update_mask");
    while (rest.ptr) {
        struct ig_str path = ig_str_trim(ig_str_cut(&rest, ','));
        if (ig_mlflow_named(path, "assessment_name")) {
            out->name = told->name;
        } else if (ig_str_is(path, "rationale")) {
            out->rationale = told->rationale.ptr ? told->rationale : IG_STR("");
        } else if (ig_str_is(path, "metadata")) {
            out->metadata = told->metadata;
        } else if (ig_str_is(path, "feedback") || ig_str_is(path, "expectation")) {
            if (!body->told || !ig_str_is(path, ig_assessment_kind_name(body->assessment.kind)))
                return ig_fail(&call->err, IG_INVALID, "Missing value for parameter '%.*s'",
                               IG_STR_ARGS(path));
            out->value = told;
        } else if (ig_str_is(path, "valid")) {
            return ig_fail(&call->err, IG_INVALID,
                           "update_mask: 'valid' cannot be set, an assessment that overrides "
                           "another one changes it");
        }
    }
    return IG_OK;
}

enum ig_code ig_mlflow_assessment_update(struct ig_call *call)
{
    struct body body = {.found = false};
    struct ig_assessment_change change = {.trace = call->params[0], .id = call->params[1]};
    struct ig_assessment changed;
    if (read_body(&body, call) != IG_OK || read_change(&change, &body, call) != IG_OK)
        return call->err.code;
    return reply(call,
                 ig_assessment_update(&changed, call->app->db, &change, call->arena, &call->err),
                 &changed);
}

enum ig_code ig_mlflow_assessment_delete(struct ig_call *call)
{
    if (ig_assessment_delete(call->app->db, call->params[0], call->params[1], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
