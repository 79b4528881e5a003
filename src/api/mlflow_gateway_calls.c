/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of language models, at the paths and with the answers of MLflow's gateway. They run on
 * stream workers: a model may take minutes. */
#include "api/mlflow_access.h"
#include "api/mlflow_request.h"
#include "api/route.h"
#include "base/clock.h"
#include "base/log.h"
#include "services/gateway/gateway_call.h"
#include "services/gateway/gateway_value.h"

#include <stdio.h>

enum { PIECE = 64 << 10 };

/* ---- requests ---- */

static enum ig_code read_body(struct ig_str *out, struct ig_call *call)
{
    struct ig_buf body;
    char *piece = ig_arena_alloc(call->arena, PIECE);
    int64_t got = 0;
    if (!piece) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the request");
    ig_buf_init(&body, IG_GATEWAY_REQUEST_MAX);
    while ((got = ig_exchange_read(call->exchange, piece, PIECE, &call->err)) > 0)
        ig_buf_add(&body, piece, (size_t)got);
    *out = ig_arena_dup(call->arena, ig_buf_view(&body));
    bool lost = body.overflowed || !out->ptr;
    ig_buf_deinit(&body);
    if (got < 0) return call->err.code;
    return lost ? ig_fail(&call->err, IG_NO_MEMORY, "no memory for the request") : IG_OK;
}

static enum ig_code refuse(struct ig_call *call, int status, const char *text)
{
    call->status = status;
    return ig_fail(&call->err, IG_INVALID, "%s", text);
}

static enum ig_code read_object(struct ig_gateway_object *out, struct ig_call *call,
                                struct ig_str body)
{
    struct ig_err err = IG_ERR_INIT;
    if (ig_gateway_object_read(out, body, call->arena, &err) == IG_OK) return IG_OK;
    if (err.code == IG_NO_MEMORY) return ig_fail(&call->err, IG_NO_MEMORY, "%s", err.message);
    call->status = 400;
    return ig_fail(&call->err, IG_INVALID, "Invalid JSON payload: %s", err.message);
}

/* Numbers of a chat with their ranges, as OpenAI's API has them. */
static const struct {
    const char *name;
    double least, most;
    bool whole;
} NUMBERS[] = {{"n", 1, 1e9, true},
               {"max_tokens", 1, 1e9, true},
               {"max_completion_tokens", 1, 1e9, true},
               {"top_k", 1, 1e9, true},
               {"temperature", 0, 2, false},
               {"top_p", 0, 1, false},
               {"presence_penalty", -2, 2, false},
               {"frequency_penalty", -2, 2, false}};

static enum ig_code check_numbers(struct ig_call *call, const struct ig_gateway_object *object)
{
    for (size_t i = 0; i < sizeof NUMBERS / sizeof NUMBERS[0]; i++) {
        struct ig_str text = ig_gateway_get(object, NUMBERS[i].name);
        int64_t whole;
        double value;
        if (!text.ptr) continue;
        if (ig_str_to_f64(text, &value) && value >= NUMBERS[i].least && value <= NUMBERS[i].most &&
            (!NUMBERS[i].whole || ig_str_to_i64(text, &whole)))
            continue;
        call->status = 400;
        return ig_fail(&call->err, IG_INVALID,
                       "Invalid chat payload: %s: '%.*s' is not a%s number from %g to %g",
                       NUMBERS[i].name, (int)(text.len > 32 ? 32 : text.len), text.ptr,
                       NUMBERS[i].whole ? " whole" : "", NUMBERS[i].least, NUMBERS[i].most);
    }
    return IG_OK;
}

static enum ig_code check_chat(struct ig_call *call, const struct ig_gateway_object *object)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_gateway_array messages;
    struct ig_gateway_object message;
    struct ig_str list = ig_gateway_get(object, "messages");
    struct ig_str stream = ig_gateway_get(object, "stream");
    if (!list.ptr || ig_gateway_array_read(&messages, list, call->arena, &err) != IG_OK ||
        !messages.count)
        return refuse(call, 400,
                      "Invalid chat payload: messages: a list of at least one is needed");
    for (size_t i = 0; i < messages.count; i++)
        if (ig_gateway_object_read(&message, messages.items[i], call->arena, &err) != IG_OK ||
            !ig_gateway_get_text(&message, "role", call->arena).ptr)
            return refuse(call, 400,
                          "Invalid chat payload: messages: each is an object with a 'role'");
    if (stream.ptr && !ig_str_is(stream, "true") && !ig_str_is(stream, "false"))
        return refuse(call, 400, "Invalid chat payload: stream: true or false is needed");
    return check_numbers(call, object);
}

static enum ig_code check_embeddings(struct ig_call *call, const struct ig_gateway_object *object)
{
    struct ig_str input = ig_gateway_get(object, "input");
    if (input.len && (input.ptr[0] == '"' || input.ptr[0] == '[')) return IG_OK;
    return refuse(call, 400, "Invalid embeddings payload: input: a text or a list is needed");
}

/* Headers that say how a provider is to answer; no credentials, and nothing of this server's. */
static bool passes(struct ig_str name)
{
    static const char *const PREFIXES[] = {"anthropic-", "openai-", "x-stainless-", "x-goog-"};
    static const char *const NAMES[] = {"user-agent", "idempotency-key"};
    char lower[64] = "";
    if (name.len >= sizeof lower) return false;
    for (size_t i = 0; i < name.len; i++)
        lower[i] =
            (char)(name.ptr[i] >= 'A' && name.ptr[i] <= 'Z' ? name.ptr[i] | 0x20 : name.ptr[i]);
    struct ig_str text = ig_str_view(lower);
    if (ig_str_is(text, "x-goog-api-key") || ig_str_is(text, "anthropic-version")) return false;
    for (size_t i = 0; i < sizeof NAMES / sizeof NAMES[0]; i++)
        if (ig_str_is(text, NAMES[i])) return true;
    for (size_t i = 0; i < sizeof PREFIXES / sizeof PREFIXES[0]; i++)
        if (ig_str_starts(text, ig_str_view(PREFIXES[i]))) return true;
    return false;
}

static const char *headers_of(struct ig_call *call)
{
    const struct ig_http_request *request = &call->exchange->request;
    struct ig_buf text;
    ig_buf_init(&text, 16 << 10);
    for (size_t i = 0; i < request->headers_count; i++)
        if (passes(request->headers[i].name) &&
            ig_http_field_value_valid(request->headers[i].value))
            ig_buf_printf(&text, "%.*s: %.*s\r\n", IG_STR_ARGS(request->headers[i].name),
                          IG_STR_ARGS(request->headers[i].value));
    const char *out =
        text.len && !text.overflowed ? ig_arena_cstr(call->arena, ig_buf_view(&text)) : NULL;
    ig_buf_deinit(&text);
    return out;
}

/* ---- answers ---- */

struct streaming {
    struct ig_call *call;
    bool begun;
};

static enum ig_code take(void *context, struct ig_str events, struct ig_err *err)
{
    struct streaming *streaming = context;
    struct ig_exchange *exchange = streaming->call->exchange;
    if (!streaming->begun) {
        exchange->content_type = "text/event-stream";
        ig_exchange_header(exchange, "Cache-Control", IG_STR("no-cache"), err);
        if (ig_exchange_begin(exchange, IG_HTTP_CHUNKED, err) != IG_OK) return err->code;
        streaming->begun = true;
    }
    return ig_exchange_write(exchange, events.ptr, events.len, err);
}

static bool is_gone(const void *context)
{
    const struct streaming *streaming = context;
    return ig_exchange_cancelled(streaming->call->exchange);
}

/* The head has gone with 200: what failed behind it is an event, as with MLflow. */
static enum ig_code end_stream(struct ig_call *call)
{
    struct ig_json_out out;
    struct ig_buf event;
    struct ig_err err = IG_ERR_INIT;
    ig_log_err(IG_LOG_WARN, "gateway_stream_broken", &call->err);
    ig_buf_init(&event, 8192);
    ig_buf_add_cstr(&event, "data: ");
    ig_json_out_init(&out, &event);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("error"));
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "message", ig_str_view(call->err.message));
    ig_json_out_kv_str(&out, "type", IG_STR("HTTPException"));
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
    ig_buf_add_cstr(&event, "\n\n");
    if (call->err.code == IG_CANCELLED || event.overflowed ||
        ig_exchange_write(call->exchange, event.ptr, event.len, &err) != IG_OK)
        ig_exchange_abort(call->exchange);
    ig_buf_deinit(&event);
    return IG_OK;
}

static void add_ms(struct ig_call *call, const char *name, uint64_t ns)
{
    struct ig_err ignored = IG_ERR_INIT;
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)(ns / 1000000));
    ig_exchange_header(call->exchange, name, ig_str_view(text), &ignored);
}

/* A user needs USE of the endpoint, which the body may name: so it is looked at here, and not with
 * what other routes need. What is not there is denied as well, as with MLflow. */
static enum ig_code check_use(struct ig_call *call, struct ig_str name)
{
    struct ig_gateway_endpoint endpoint;
    bool has = false;
    if (!ig_mlflow_viewer(call).user) return IG_OK;
    if (ig_gateway_endpoint_get(&endpoint, call->app->gateway, IG_STR(""), name, call->arena,
                                &call->err) == IG_OK)
        ig_mlflow_has(&has, call, IG_PERMISSION_USE, IG_OBJECT_ENDPOINT, endpoint.id);
    if (call->err.code == IG_NOT_FOUND) ig_err_clear(&call->err);
    if (call->err.code != IG_OK || has) return call->err.code;
    return ig_fail(&call->err, IG_DENIED, "Permission denied.");
}

static enum ig_code ask(struct ig_call *call, struct ig_gateway_call *asked)
{
    struct streaming streaming = {.call = call};
    struct ig_gateway_answer answer;
    if (check_use(call, asked->endpoint) != IG_OK) return call->err.code;
    asked->take = take;
    asked->is_gone = is_gone;
    asked->context = &streaming;
    if (asked->action > IG_GATEWAY_EMBEDDINGS) asked->headers = headers_of(call);
    enum ig_code code =
        ig_gateway_call_model(&answer, call->app->gateway, asked, call->arena, &call->err);
    if (streaming.begun) return code == IG_OK ? IG_OK : end_stream(call);
    uint64_t whole_ns = ig_clock_ns() - call->started_ns;
    add_ms(call, "X-MLflow-Gateway-Duration-Ms", whole_ns);
    add_ms(call, "X-MLflow-Gateway-Overhead-Duration-Ms",
           whole_ns > answer.waited_ns ? whole_ns - answer.waited_ns : 0);
    call->status = answer.status;
    if (code != IG_OK) return code;
    call->exchange->content_type = "application/json";
    ig_buf_add_str(&call->exchange->reply, answer.body);
    return IG_OK;
}

/* The endpoint that the body's "model" names. */
static enum ig_code ask_named(struct ig_call *call, enum ig_gateway_action action)
{
    struct ig_gateway_call asked = {.action = action, .has_model = true};
    struct ig_gateway_object object;
    if (read_body(&asked.body, call) != IG_OK || read_object(&object, call, asked.body) != IG_OK)
        return call->err.code;
    asked.endpoint = ig_gateway_get_text(&object, "model", call->arena);
    if (!asked.endpoint.len)
        return refuse(call, 400, "Missing required 'model' parameter in request body");
    if (action == IG_GATEWAY_CHAT && check_chat(call, &object) != IG_OK) return call->err.code;
    return ask(call, &asked);
}

/* What a body asks for is told by what it has. */
static enum ig_code invoke(struct ig_call *call, struct ig_str endpoint, struct ig_str body)
{
    struct ig_gateway_call asked = {.endpoint = endpoint, .body = body};
    struct ig_gateway_object object;
    if (read_object(&object, call, body) != IG_OK) return call->err.code;
    bool chat = ig_gateway_get(&object, "messages").ptr;
    if (!chat && !ig_gateway_get(&object, "input").ptr)
        return refuse(call, 400,
                      "Invalid request: payload format must be either chat or embeddings");
    asked.action = chat ? IG_GATEWAY_CHAT : IG_GATEWAY_EMBEDDINGS;
    if ((chat ? check_chat(call, &object) : check_embeddings(call, &object)) != IG_OK)
        return call->err.code;
    return ask(call, &asked);
}

/* ---- routes ---- */

enum ig_code ig_mlflow_gateway_invocations(struct ig_call *call)
{
    struct ig_str body;
    if (read_body(&body, call) != IG_OK) return call->err.code;
    return invoke(call, call->params[0], body);
}

enum ig_code ig_mlflow_gateway_chat(struct ig_call *call)
{
    return ask_named(call, IG_GATEWAY_CHAT);
}

enum ig_code ig_mlflow_gateway_openai_chat(struct ig_call *call)
{
    return ask_named(call, IG_GATEWAY_OPENAI_CHAT);
}

enum ig_code ig_mlflow_gateway_openai_embeddings(struct ig_call *call)
{
    return ask_named(call, IG_GATEWAY_OPENAI_EMBEDDINGS);
}

enum ig_code ig_mlflow_gateway_openai_responses(struct ig_call *call)
{
    return ask_named(call, IG_GATEWAY_OPENAI_RESPONSES);
}

enum ig_code ig_mlflow_gateway_openai_compact(struct ig_call *call)
{
    return ask_named(call, IG_GATEWAY_OPENAI_COMPACT);
}

enum ig_code ig_mlflow_gateway_anthropic(struct ig_call *call)
{
    return ask_named(call, IG_GATEWAY_ANTHROPIC_MESSAGES);
}

/* NAME:generateContent, NAME:streamGenerateContent */
enum ig_code ig_mlflow_gateway_gemini(struct ig_call *call)
{
    struct ig_str method = call->params[0];
    struct ig_gateway_call asked = {.endpoint = ig_str_cut(&method, ':')};
    asked.action = ig_str_is(method, "streamGenerateContent") ? IG_GATEWAY_GEMINI_STREAM
                                                              : IG_GATEWAY_GEMINI_GENERATE;
    if (asked.action == IG_GATEWAY_GEMINI_GENERATE && !ig_str_is(method, "generateContent"))
        return ig_fail(&call->err, IG_NOT_FOUND,
                       "expected /gateway/gemini/v1beta/models/NAME:generateContent or "
                       "NAME:streamGenerateContent");
    if (read_body(&asked.body, call) != IG_OK) return call->err.code;
    return ask(call, &asked);
}

/* ---- the old way ---- */

/* gateway/NAME/invocations */
static struct ig_str invoked(struct ig_str path)
{
    struct ig_str none = {NULL, 0}, rest = path;
    while (rest.len && rest.ptr[0] == '/') rest = (struct ig_str){rest.ptr + 1, rest.len - 1};
    while (rest.len && rest.ptr[rest.len - 1] == '/') rest.len--;
    if (!ig_str_is(ig_str_cut(&rest, '/'), "gateway") || !rest.ptr) return none;
    struct ig_str name = ig_str_cut(&rest, '/');
    return name.len && ig_str_is(rest, "invocations") ? name : none;
}

static enum ig_code wrong_path(struct ig_call *call, struct ig_str path, const char *method)
{
    if (!path.len)
        return ig_fail(&call->err, IG_INVALID,
                       "Deployments proxy request must specify a gateway_path.");
    return ig_fail(&call->err, IG_INVALID, "Invalid gateway_path: %.*s for method: %s",
                   (int)(path.len > 128 ? 128 : path.len), path.ptr, method);
}

/* As MLflow's console asked models before it had endpoints of its own: {"gateway_path":
 * "gateway/NAME/invocations", "json_data": ...}. */
enum ig_code ig_mlflow_gateway_proxy(struct ig_call *call)
{
    struct ig_gateway_object object = {NULL, 0};
    struct ig_str body;
    if (ig_mlflow_expect_json(call) != IG_OK || read_body(&body, call) != IG_OK ||
        read_object(&object, call, body) != IG_OK)
        return call->err.code;
    struct ig_str path = ig_gateway_get_text(&object, "gateway_path", call->arena);
    struct ig_str name = invoked(path), data = ig_gateway_get(&object, "json_data");
    if (!name.ptr) return wrong_path(call, path, "POST");
    return invoke(call, name, data.ptr ? data : IG_STR("{}"));
}

enum ig_code ig_mlflow_gateway_proxied(struct ig_call *call)
{
    const struct ig_gateway_endpoint *endpoints = NULL;
    struct ig_str path = IG_STR("");
    struct ig_json_out out;
    size_t count = 0;
    const struct ig_mlflow_field fields[] = {{"gateway_path", IG_MLFLOW_TEXT, &path, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK) return call->err.code;
    if (!ig_str_is(path, "api/2.0/endpoints")) return wrong_path(call, path, "GET");
    if (ig_gateway_endpoints(&endpoints, &count, call->app->gateway, IG_STR(""), call->arena,
                             &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("endpoints"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < count; i++) {
        const struct ig_gateway_model *model = &endpoints[i].mappings[0].model;
        const char *url = ig_arena_printf(call->arena, "/gateway/%.*s/invocations",
                                          IG_STR_ARGS(endpoints[i].name));
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "name", endpoints[i].name);
        ig_json_out_kv_str(&out, "endpoint_type", IG_STR("llm/v1/chat"));
        ig_json_out_key(&out, IG_STR("model"));
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "name", model->model);
        ig_json_out_kv_str(&out, "provider", model->provider);
        ig_json_out_object_end(&out);
        ig_json_out_kv_str(&out, "endpoint_url", ig_str_view(url));
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}
