/* SPDX-License-Identifier: Apache-2.0 */
/* Helpers of the REST handlers, and health, readiness and metrics. */
#include "api/rest.h"

#include "api/metrics.h"
#include "api/route.h"
#include "base/clock.h"

#include <stdatomic.h>

static enum ig_code read_value(struct ig_call *call, struct ig_json *json,
                               const struct ig_rest_field *field)
{
    if (field->kind == IG_REST_CALL) return field->read(field->out, json);
    if (field->kind == IG_REST_I64) ig_json_i64(json, field->out, field->name);
    if (field->kind == IG_REST_F64) ig_json_f64(json, field->out, field->name);
    if (field->kind == IG_REST_BOOL) ig_json_bool(json, field->out, field->name);
    if (field->kind == IG_REST_STR) ig_json_string(json, field->out, field->name);
    if (field->kind != IG_REST_TEXT_OR_I64) return call->err.code;
    struct ig_str *text = field->out;
    enum ig_json_event event = ig_json_next(json);
    if (event == IG_JSON_ERROR) return call->err.code;
    *text = json->text;
    if (event == IG_JSON_STRING || event == IG_JSON_NUMBER) return IG_OK;
    return ig_fail_at(&call->err, IG_INVALID, ig_json_position(json),
                      "%s: expected a string or a number, found %s", field->name,
                      ig_json_event_name(event));
}

static enum ig_code read_member(struct ig_call *call, struct ig_json *json,
                                const struct ig_rest_field *fields, size_t count, uint32_t *seen)
{
    struct ig_str name = json->text;
    for (size_t i = 0; i < count; i++) {
        if (!ig_str_is(name, fields[i].name)) continue;
        call->field = fields[i].name;
        if (*seen & (1u << i))
            return ig_fail_at(&call->err, IG_INVALID, ig_json_position(json), "%s: given twice",
                              fields[i].name);
        *seen |= 1u << i;
        return read_value(call, json, &fields[i]);
    }
    call->field = ig_arena_cstr(call->arena, name);
    return ig_fail_at(&call->err, IG_INVALID, ig_json_position(json), "%.*s: unknown member",
                      (int)(name.len > 64 ? 64 : name.len), name.ptr);
}

static enum ig_code read_object(struct ig_call *call, const struct ig_rest_field *fields,
                                size_t count, uint32_t *seen)
{
    struct ig_json *json = ig_arena_alloc(call->arena, sizeof *json);
    if (!json) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    if (ig_call_json_reader(call, json) != IG_OK) return call->err.code;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "body")) return call->err.code;
    while (ig_json_member(json))
        if (read_member(call, json, fields, count, seen) != IG_OK) return call->err.code;
    if (call->err.code == IG_OK) ig_json_next(json); /* END, or an error */
    return call->err.code;
}

enum ig_code ig_rest_read(struct ig_call *call, const struct ig_rest_field *fields, size_t count)
{
    uint32_t seen = 0;
    if (call->exchange->body.len && read_object(call, fields, count, &seen) != IG_OK) {
        if (call->err.code == IG_PARSE) call->field = NULL; /* broken syntax is no member's fault */
        return call->err.code;
    }
    for (size_t i = 0; i < count; i++) {
        call->field = fields[i].name;
        if (fields[i].required && !(seen & (1u << i)))
            return ig_fail(&call->err, IG_INVALID, "%s: missing", fields[i].name);
    }
    call->field = NULL;
    return IG_OK;
}

enum ig_code ig_rest_version_number(int64_t *out, struct ig_call *call, struct ig_str text)
{
    if (ig_str_to_i64(text, out) && *out >= 1) return IG_OK;
    call->field = "version";
    return ig_fail(&call->err, IG_INVALID, "version: '%.*s' is not a version number",
                   (int)(text.len > 64 ? 64 : text.len), text.ptr);
}

void ig_rest_kv_time(struct ig_json_out *out, const char *key, int64_t unix_ms)
{
    char text[IG_CLOCK_ISO_SIZE];
    ig_json_out_key(out, ig_str_view(key));
    if (!unix_ms) {
        ig_json_out_null(out);
        return;
    }
    ig_clock_iso(text, unix_ms);
    ig_json_out_str(out, ig_str_view(text));
}

void ig_rest_kv_raw(struct ig_json_out *out, const char *key, struct ig_str json)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_raw(out, json.len ? json : IG_STR("{}"));
}

enum ig_code ig_rest_done(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code status(struct ig_call *call, const char *word)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "status", ig_str_view(word));
    ig_json_out_kv_str(&out, "version", IG_STR(INGOT_VERSION));
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_health(struct ig_call *call)
{
    return status(call, "ok");
}

enum ig_code ig_rest_ready(struct ig_call *call)
{
    if (atomic_load(&call->app->draining))
        return ig_fail(&call->err, IG_UNAVAILABLE, "the server is shutting down");
    if (!ig_deploy_ready(call->app->deploy))
        return ig_fail(&call->err, IG_UNAVAILABLE,
                       "a deployment failed to load (see /api/v1/deployments)");
    return status(call, "ready");
}

enum ig_code ig_rest_metrics(struct ig_call *call)
{
    call->exchange->content_type = "text/plain; version=0.0.4; charset=utf-8";
    ig_metrics_scrape(&call->exchange->reply, call->app, call->arena);
    return IG_OK;
}

const struct ig_routing *ig_rest_routing(struct ig_call *call, struct ig_str name)
{
    const struct ig_routing *routing = ig_deploy_get_routing(call->app->deploy, name);
    if (routing) return routing;
    call->field = "deployment";
    ig_fail(&call->err, IG_NOT_FOUND, "deployment '%.*s' does not exist",
            (int)(name.len > 128 ? 128 : name.len), name.ptr);
    return NULL;
}
