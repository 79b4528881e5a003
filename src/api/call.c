/* SPDX-License-Identifier: Apache-2.0 */
/* Replies and arguments common to all handlers. */
#include "api/call.h"

#include "api/route.h"

const char *ig_call_field(const struct ig_err *err, const char *const *names)
{
    struct ig_str rest = ig_str_view(err->message), first = ig_str_cut(&rest, ':');
    for (; rest.ptr && *names; names++)
        if (ig_str_is(first, *names)) return *names;
    return NULL;
}

void ig_call_json(struct ig_call *call, struct ig_json_out *out)
{
    call->exchange->content_type = "application/json";
    ig_json_out_init(out, &call->exchange->reply);
}

void ig_call_write_error(struct ig_buf *buf, const struct ig_err *err, const char *field,
                         struct ig_str request_id)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("error"));
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "code", ig_str_view(ig_code_name(err->code)));
    ig_json_out_kv_str(&out, "message", ig_str_view(err->message));
    if (field) ig_json_out_kv_str(&out, "field", ig_str_view(field));
    if (err->at_byte >= 0) ig_json_out_kv_i64(&out, "position", err->at_byte);
    ig_json_out_object_end(&out);
    if (request_id.len) ig_json_out_kv_str(&out, "request_id", request_id);
    ig_json_out_object_end(&out);
}

bool ig_call_is_kserve(struct ig_str path)
{
    return (ig_str_starts(path, IG_STR("/v1/")) && !ig_str_is(path, "/v1/traces")) ||
           ig_str_starts(path, IG_STR("/v2"));
}

void ig_call_write_kserve_error(struct ig_buf *buf, const struct ig_err *err)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "error", ig_str_view(err->message));
    ig_json_out_object_end(&out);
}

/* MLflow's scoring server: what cannot be read is BAD_REQUEST, what does not fit the model's schema
 * INVALID_PARAMETER_VALUE, each with the SQLSTATE and the class of its exceptions. */
static bool is_scoring(struct ig_str path)
{
    return ig_str_starts(path, IG_STR("/invocations")) || ig_str_starts(path, IG_STR("/models"));
}

static void write_scoring_error(struct ig_exchange *exchange, const struct ig_err *err)
{
    struct ig_json_out out;
    struct ig_str path = exchange->request.path;
    bool schema = err->code == IG_INVALID && (ig_str_starts(path, IG_STR("/invocations")) ||
                                              ig_str_ends(path, IG_STR("/invoke")));
    if (err->code == IG_MEDIA_TYPE) {
        exchange->content_type = "text/plain; charset=utf-8";
        ig_buf_add_cstr(&exchange->reply, err->message);
        return;
    }
    ig_json_out_init(&out, &exchange->reply);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "error_code", ig_str_view(ig_code_mlflow_word(err->code)));
    ig_json_out_kv_str(&out, "message", ig_str_view(err->message));
    if (ig_code_http_status(err->code) == 400) {
        ig_json_out_kv_str(&out, "sqlstate", schema ? IG_STR("KAM01") : IG_STR("KAM00"));
        ig_json_out_kv_str(&out, "error_class",
                           schema ? IG_STR("SCHEMA_ENFORCEMENT_FAILED")
                                  : IG_STR("INVALID_PARAMETER_VALUE"));
    }
    ig_json_out_object_end(&out);
}

bool ig_call_is_mlflow(struct ig_str path)
{
    static const char *const roots[] = {"/api/2.0/", "/api/3.0/", "/ajax-api/2.0/",
                                        "/ajax-api/3.0/"};
    for (size_t i = 0; i < sizeof roots / sizeof roots[0]; i++)
        if (ig_str_starts(path, ig_str_view(roots[i]))) return true;
    return ig_str_is(path, "/graphql") || ig_str_is(path, "/get-artifact") ||
           ig_str_is(path, "/signup") || ig_str_starts(path, IG_STR("/gateway/")) ||
           ig_str_is(path, "/model-versions/get-artifact") || ig_str_is(path, "/v1/traces");
}

/* By a path that is not there clients know what a server cannot do yet, and ask otherwise. */
static void write_mlflow_body(struct ig_json_out *out, const struct ig_call *call)
{
    bool nowhere = !call->route && call->err.code == IG_NOT_FOUND;
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "error_code",
                       ig_str_view(ig_code_mlflow_word(nowhere ? IG_METHOD : call->err.code)));
    ig_json_out_kv_str(out, "message", ig_str_view(call->err.message));
    ig_json_out_object_end(out);
}

/* MLflow's tracking and registry: the same form; what exists already is 400 to its clients. */
static void write_mlflow_error(struct ig_exchange *exchange, const struct ig_call *call)
{
    struct ig_json_out out;
    if (call->err.code == IG_EXISTS) exchange->status = 400;
    ig_json_out_init(&out, &exchange->reply);
    write_mlflow_body(&out, call);
}

/* MLflow's gateway: {"detail": ..}, a text of what a provider or the call lacks, else an error of
 * the form above. */
static void write_gateway_error(struct ig_exchange *exchange, const struct ig_call *call)
{
    struct ig_json_out out;
    ig_json_out_init(&out, &exchange->reply);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("detail"));
    if (call->status)
        ig_json_out_str(&out, ig_str_view(call->err.message));
    else
        write_mlflow_body(&out, call);
    ig_json_out_object_end(&out);
}

void ig_call_release(struct ig_call *call)
{
    if (call->entered) ig_routing_leave(call->held);
    call->exchange->pool = NULL; /* it may be the routing's own */
    for (size_t i = 0; i < call->residents_count; i++) ig_servable_unref(call->residents[i]);
    call->residents_count = 0;
    ig_routing_unref(call->held);
    call->entered = false;
    call->held = NULL;
}

void ig_call_reply_error(struct ig_call *call)
{
    struct ig_exchange *exchange = call->exchange;
    ig_buf_reset(&exchange->reply);
    exchange->status = call->status ? call->status : ig_code_http_status(call->err.code);
    exchange->content_type = "application/json";
    if (exchange->status == 429 || exchange->status == 503) {
        struct ig_err ignored = IG_ERR_INIT;
        ig_exchange_header(exchange, "Retry-After", IG_STR("1"), &ignored);
    }
    if (ig_call_is_kserve(exchange->request.path))
        ig_call_write_kserve_error(&exchange->reply, &call->err);
    else if (is_scoring(exchange->request.path))
        write_scoring_error(exchange, &call->err);
    else if (ig_str_starts(exchange->request.path, IG_STR("/gateway/")))
        write_gateway_error(exchange, call);
    else if (ig_call_is_mlflow(exchange->request.path))
        write_mlflow_error(exchange, call);
    else
        ig_call_write_error(&exchange->reply, &call->err, call->field,
                            ig_str_view(call->request_id));
}

enum ig_code ig_call_code_of_status(int status)
{
    for (int code = IG_OK + 1; code < IG_CODES_COUNT; code++)
        if (ig_code_http_status((enum ig_code)code) == status) return (enum ig_code)code;
    return status < 500 ? IG_INVALID : IG_INTERNAL;
}

enum ig_code ig_call_query_str(struct ig_str *out, struct ig_call *call, const char *name)
{
    *out = (struct ig_str){NULL, 0};
    enum ig_code code =
        ig_http_query_get(out, call->arena, call->exchange->request.query, name, &call->err);
    if (code == IG_OK || code == IG_NOT_FOUND) return IG_OK;
    call->field = name;
    return code;
}

enum ig_code ig_call_query_u64(uint64_t *out, struct ig_call *call, const char *name,
                               uint64_t fallback)
{
    struct ig_str text;
    if (ig_call_query_str(&text, call, name) != IG_OK) return call->err.code;
    *out = fallback;
    if (!text.ptr || ig_str_to_u64(text, out)) return IG_OK;
    call->field = name;
    return ig_fail(&call->err, IG_INVALID, "%s: '%.*s' is not a whole number", name,
                   IG_STR_ARGS(text));
}

enum ig_code ig_call_expect_identity(struct ig_call *call)
{
    const struct ig_http_request *request = &call->exchange->request;
    struct ig_str encoding = ig_http_header(request, IG_STR("content-encoding"));
    if (!encoding.len || ig_str_eq_nocase(encoding, IG_STR("identity"))) return IG_OK;
    return ig_fail(&call->err, IG_MEDIA_TYPE,
                   "Content-Encoding: '%.*s' is not supported, send the body as it is",
                   IG_STR_ARGS(encoding));
}

enum ig_code ig_call_expect_json(struct ig_call *call)
{
    struct ig_str type = ig_http_header(&call->exchange->request, IG_STR("content-type"));
    if (ig_call_expect_identity(call) != IG_OK) return call->err.code;
    if (!type.len) return IG_OK;
    struct ig_str rest = type;
    struct ig_str kind = ig_str_trim(ig_str_cut(&rest, ';'));
    bool known = ig_str_eq_nocase(kind, IG_STR("application/json")) ||
                 ig_str_eq_nocase(kind, IG_STR("application/x-www-form-urlencoded"));
    struct ig_str parameter = ig_str_trim(rest.ptr ? rest : IG_STR(""));
    bool utf8 = !parameter.len || ig_str_eq_nocase(parameter, IG_STR("charset=utf-8")) ||
                ig_str_eq_nocase(parameter, IG_STR("charset=\"utf-8\""));
    if (known && utf8) return IG_OK;
    return ig_fail(&call->err, IG_MEDIA_TYPE,
                   "Content-Type: '%.*s' is not supported, expected application/json in UTF-8",
                   IG_STR_ARGS(type));
}

enum ig_code ig_call_json_reader(struct ig_call *call, struct ig_json *json)
{
    if (ig_call_expect_json(call) != IG_OK) return call->err.code;
    ig_json_init(json, call->exchange->body, call->arena, &call->err);
    return IG_OK;
}
