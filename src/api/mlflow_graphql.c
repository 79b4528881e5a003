/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's GraphQL: each field of an operation is a call of REST, whose reply is cut to what the
 * query selects. What a message of MLflow's protobuf does not say is its default, not null. */
#include "api/graphql_plan.h"
#include "api/mlflow_access.h"
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"

#include <stdio.h>

enum { ARENA_CHUNK = 1 << 16, TYPE_MAX = 1 << 20 };

struct answer {
    struct ig_call *call;
    struct ig_json_out out;
    struct ig_mlflow_texts errors;
    struct ig_arena scratch; /* of readers, whose values are views of replies */
};

/* ---- calls of REST ---- */

struct inner { /* a call within the call */
    struct ig_exchange exchange;
    struct ig_call call;
};

static void inner_deinit(struct inner *inner)
{
    ig_buf_deinit(&inner->exchange.reply);
    ig_arena_deinit(&inner->exchange.arena);
}

/* The route that says what a user needs for it; what is of GraphQL alone is open to all. */
static const struct ig_route *route_of(enum ig_code (*handler)(struct ig_call *call),
                                       const struct ig_route *fallback)
{
    for (size_t i = 0; i < ig_routes_count(); i++)
        if (IG_ROUTES[i].handler == handler) return &IG_ROUTES[i];
    return fallback;
}

/* The reply stands in inner->exchange.reply. Deinit in any case. */
static enum ig_code run(struct inner *inner, const struct ig_call *outer,
                        enum ig_code (*handler)(struct ig_call *call), struct ig_str body)
{
    static const struct ig_http_header headers[] = {
        {{"content-type", 12}, {"application/json", 16}}};
    inner->exchange = (struct ig_exchange){.body = body, .status = 200};
    inner->exchange.deadline_ns = outer->exchange->deadline_ns;
    inner->exchange.request = outer->exchange->request;
    inner->exchange.request.method = IG_STR("POST");
    inner->exchange.request.headers = headers;
    inner->exchange.request.headers_count = 1;
    ig_buf_init(&inner->exchange.reply, outer->exchange->reply.max_bytes);
    ig_arena_init(&inner->exchange.arena, ARENA_CHUNK, outer->arena->max_bytes);
    inner->call = (struct ig_call){.exchange = &inner->exchange,
                                   .arena = &inner->exchange.arena,
                                   .app = outer->app,
                                   .route = outer->route,
                                   .who = outer->who,
                                   .err = IG_ERR_INIT};
    inner->call.route = route_of(handler, outer->route);
    if (ig_mlflow_viewer(outer).user && ig_mlflow_access_check(&inner->call) != IG_OK)
        return inner->call.err.code;
    if (handler(&inner->call) == IG_OK && inner->exchange.reply.overflowed)
        ig_fail(&inner->call.err, IG_TOO_LARGE, "the reply is larger than %zu bytes",
                inner->exchange.reply.max_bytes);
    return inner->call.err.code;
}

enum ig_code ig_graphql_echo(struct ig_call *call)
{
    struct ig_str text = IG_STR("");
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"input_string", IG_MLFLOW_TEXT, &text, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "output", text);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- replies ---- */

static void add_error(struct answer *answer, const struct ig_err *err)
{
    if (err->code == IG_DENIED) return; /* MLflow says nothing but null */
    struct ig_mlflow_texts *errors = &answer->errors;
    errors->items = ig_arena_grow(answer->call->arena, errors->items, errors->count, &errors->cap,
                                  sizeof *errors->items);
    struct ig_str text = ig_arena_dup(answer->call->arena, ig_str_view(err->message));
    if (errors->items && text.ptr)
        errors->items[errors->count++] = text;
    else
        ig_fail(&answer->call->err, IG_NO_MEMORY, "no memory for the reply");
}

/* The value of a member, as it stands; ptr NULL when there is none. */
static struct ig_str member_of(struct answer *answer, struct ig_str object, const char *name)
{
    struct ig_str value, found = {NULL, 0};
    struct ig_json json;
    ig_json_init(&json, object, &answer->scratch, &answer->call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, name)) return found;
    while (ig_json_member(&json)) {
        bool is = ig_str_is(json.text, name);
        if (!ig_json_raw(&json, &value)) break;
        if (is) found = value;
    }
    return found;
}

static void write_object(struct answer *answer, const struct ig_graphql_node *node,
                         struct ig_str object);

static void write_objects(struct answer *answer, const struct ig_graphql_node *node,
                          struct ig_str list)
{
    struct ig_str item;
    struct ig_json json;
    ig_json_out_array(&answer->out);
    if (list.ptr) {
        ig_json_init(&json, list, &answer->scratch, &answer->call->err);
        ig_json_expect(&json, IG_JSON_ARRAY, node->field->member);
        while (answer->call->err.code == IG_OK && ig_json_element(&json))
            if (ig_json_raw(&json, &item)) write_object(answer, node, item);
    }
    ig_json_out_array_end(&answer->out);
}

/* A type that JSON names. */
static void write_type(struct answer *answer, const struct ig_graphql_node *node,
                       struct ig_str quoted)
{
    struct ig_json_out out;
    struct ig_buf type;
    ig_buf_init(&type, TYPE_MAX);
    ig_json_out_init(&out, &type);
    ig_graphql_write_type(&out, (struct ig_str){quoted.ptr + 1, quoted.len - 2});
    if (type.overflowed)
        ig_fail(&answer->call->err, IG_NO_MEMORY, "no memory for the reply");
    else
        write_object(answer, node, ig_buf_view(&type));
    ig_buf_deinit(&type);
}

static void write_types(struct answer *answer, const struct ig_graphql_node *node,
                        struct ig_str list)
{
    struct ig_str item;
    struct ig_json json;
    ig_json_out_array(&answer->out);
    ig_json_init(&json, list, &answer->scratch, &answer->call->err);
    ig_json_expect(&json, IG_JSON_ARRAY, node->field->member);
    while (answer->call->err.code == IG_OK && ig_json_element(&json))
        if (ig_json_raw(&json, &item)) write_type(answer, node, item);
    ig_json_out_array_end(&answer->out);
}

/* What introspection tells, or null. */
static void write_meta(struct answer *answer, const struct ig_graphql_node *node)
{
    if (!node->value.ptr || ig_str_is(node->value, "null"))
        ig_json_out_null(&answer->out);
    else if (node->field->kind == IG_GRAPHQL_IS_TYPE)
        write_type(answer, node, node->value);
    else if (node->field->kind == IG_GRAPHQL_IS_TYPES)
        write_types(answer, node, node->value);
    else if (node->field->kind == IG_GRAPHQL_IS_PARTS)
        write_objects(answer, node, node->value);
    else
        ig_json_out_raw(&answer->out, node->value);
}

/* Of a run: what a call of its own tells. */
static void write_related(struct answer *answer, const struct ig_graphql_node *node,
                          struct ig_str run_object)
{
    bool experiment = node->field->kind == IG_GRAPHQL_IS_EXPERIMENT;
    struct ig_str info = member_of(answer, run_object, "info");
    struct ig_str id = member_of(answer, info, experiment ? "experiment_id" : "run_id");
    struct inner inner;
    char body[128];
    IG_ASSERT(id.len > 2); /* every run has them */
    /* Ids are texts of letters and digits. */
    snprintf(body, sizeof body,
             experiment ? "{\"experiment_id\":\"%.*s\"}" : "{\"filter\":\"run_id='%.*s'\"}",
             (int)(id.len - 2), id.ptr + 1);
    if (ig_exchange_cancelled(answer->call->exchange))
        ig_fail(&answer->call->err, IG_CANCELLED, "the client is gone, or its time over");
    if (run(&inner, answer->call, experiment ? ig_mlflow_experiment_get : ig_mlflow_versions_search,
            ig_str_view(body)) != IG_OK) {
        add_error(answer, &inner.call.err);
        ig_json_out_null(&answer->out);
    } else if (experiment) {
        write_object(answer, node,
                     member_of(answer, ig_buf_view(&inner.exchange.reply), "experiment"));
    } else {
        write_objects(answer, node,
                      member_of(answer, ig_buf_view(&inner.exchange.reply), "model_versions"));
    }
    inner_deinit(&inner);
}

/* Whole numbers become texts, as JavaScript has no others of 64 bits. */
static void write_scalar(struct ig_json_out *out, const struct ig_graphql_field *field,
                         struct ig_str value)
{
    char text[32];
    bool quoted = value.ptr && value.ptr[0] == '"';
    if (field->kind == IG_GRAPHQL_IS_LONG && !quoted) {
        snprintf(text, sizeof text, "%.*s", IG_STR_ARGS(value.ptr ? value : IG_STR("0")));
        ig_json_out_str(out, ig_str_view(text));
    } else if (field->kind == IG_GRAPHQL_IS_FLOAT && quoted) {
        ig_json_out_null(out);
    } else if (value.ptr) {
        ig_json_out_raw(out, value);
    } else if (field->kind == IG_GRAPHQL_IS_FLOAT) {
        ig_json_out_f64(out, 0);
    } else if (field->kind == IG_GRAPHQL_IS_BOOL) {
        ig_json_out_bool(out, false);
    } else if (field->kind == IG_GRAPHQL_IS_STRINGS) {
        ig_json_out_raw(out, IG_STR("[]"));
    } else {
        ig_json_out_str(out, ig_str_view(field->of));
    }
}

static void write_node(struct answer *answer, const struct ig_graphql_node *node,
                       struct ig_str object)
{
    ig_json_out_key(&answer->out, node->key);
    if (!node->field)
        ig_json_out_str(&answer->out, ig_str_view(node->type));
    else if (node->field->kind == IG_GRAPHQL_IS_NOTHING)
        ig_json_out_null(&answer->out);
    else if (node->field->kind >= IG_GRAPHQL_IS_EXPERIMENT)
        write_related(answer, node, object);
    else if (node->field->kind >= IG_GRAPHQL_IS_PARTS || node->field->kind == IG_GRAPHQL_IS_SAYS)
        write_meta(answer, node);
    else if (node->field->kind >= IG_GRAPHQL_IS_OBJECTS)
        write_objects(answer, node, node->value);
    else if (node->field->kind == IG_GRAPHQL_IS_OBJECT)
        write_object(answer, node, node->value.ptr ? node->value : IG_STR("{}"));
    else
        write_scalar(&answer->out, node->field, node->value);
}

/* Recursion ends at IG_GRAPHQL_DEPTH_MAX, which plans keep. */
static void write_object(struct answer *answer, const struct ig_graphql_node *of,
                         struct ig_str object)
{
    struct ig_str value;
    struct ig_json json;
    for (struct ig_graphql_node *node = of->first; node; node = node->next)
        node->value = (struct ig_str){NULL, 0};
    ig_arena_reset(&answer->scratch);
    ig_json_init(&json, object, &answer->scratch, &answer->call->err);
    ig_json_expect(&json, IG_JSON_OBJECT, "object");
    while (answer->call->err.code == IG_OK && ig_json_member(&json)) {
        struct ig_str name = json.text;
        ig_json_raw(&json, &value);
        for (struct ig_graphql_node *node = of->first; node; node = node->next)
            if (node->field && ig_str_is(name, node->field->member)) node->value = value;
    }
    ig_json_out_object(&answer->out);
    for (struct ig_graphql_node *node = of->first; node; node = node->next)
        if (answer->call->err.code == IG_OK) write_node(answer, node, object);
    if (answer->out.buf->overflowed)
        ig_fail(&answer->call->err, IG_TOO_LARGE, "the reply is larger than %zu bytes",
                answer->out.buf->max_bytes);
    ig_json_out_object_end(&answer->out);
}

static void write_root(struct answer *answer, const struct ig_graphql_node *node)
{
    struct inner inner;
    ig_json_out_key(&answer->out, node->key);
    if (!node->root) {
        ig_json_out_str(&answer->out, ig_str_view(node->type));
        return;
    }
    if (run(&inner, answer->call, node->root->handler, node->body) == IG_OK &&
        ig_str_is(ig_buf_view(&inner.exchange.reply), "null")) {
        ig_json_out_null(&answer->out);
    } else if (inner.call.err.code == IG_OK) {
        write_object(answer, node, ig_buf_view(&inner.exchange.reply));
    } else {
        add_error(answer, &inner.call.err);
        ig_json_out_null(&answer->out);
    }
    inner_deinit(&inner);
}

/* ---- the request ---- */

static enum ig_code read_text(struct ig_str *out, struct ig_json *json, const char *name)
{
    struct ig_json ahead = *json;
    if (ig_json_next(&ahead) == IG_JSON_NULL) return ig_json_skip(json) ? IG_OK : json->err->code;
    return ig_json_string(json, out, name) ? IG_OK : json->err->code;
}

static enum ig_code read_query(struct ig_graphql_query *out, struct ig_call *call)
{
    struct ig_str variables = IG_STR("");
    struct ig_json json;
    *out = (struct ig_graphql_query){.operation = IG_STR("")};
    if (ig_mlflow_expect_json(call) != IG_OK) return call->err.code;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "body")) return call->err.code;
    while (ig_json_member(&json)) {
        if (ig_str_is(json.text, "query"))
            read_text(&out->text, &json, "query");
        else if (ig_str_is(json.text, "operationName"))
            read_text(&out->operation, &json, "operationName");
        else if (ig_str_is(json.text, "variables"))
            ig_json_raw(&json, &variables);
        else
            ig_json_skip(&json);
        if (call->err.code != IG_OK) return call->err.code;
    }
    if (call->err.code == IG_OK) ig_json_next(&json); /* END, or an error */
    if (call->err.code != IG_OK) return call->err.code;
    if (!out->text.len)
        return ig_fail(&call->err, IG_INVALID, "Missing value for required parameter 'query'.");
    return ig_graphql_variables(&out->variables, variables, call->arena, &call->err);
}

enum ig_code ig_mlflow_graphql(struct ig_call *call)
{
    struct answer answer = {.call = call};
    struct ig_graphql_query query;
    struct ig_graphql_node *first = NULL;
    struct ig_str wrong;
    if (read_query(&query, call) != IG_OK ||
        ig_graphql_plan(&first, &wrong, &query, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_arena_init(&answer.scratch, ARENA_CHUNK, call->arena->max_bytes);
    ig_call_json(call, &answer.out);
    ig_json_out_object(&answer.out);
    ig_json_out_key(&answer.out, IG_STR("data"));
    if (wrong.ptr) {
        answer.errors = (struct ig_mlflow_texts){&wrong, 1, 1};
        ig_json_out_null(&answer.out);
    } else {
        ig_json_out_object(&answer.out);
        for (; first && call->err.code == IG_OK; first = first->next) write_root(&answer, first);
        ig_json_out_object_end(&answer.out);
    }
    ig_json_out_key(&answer.out, IG_STR("errors"));
    if (answer.errors.count) ig_json_out_array(&answer.out);
    for (size_t i = 0; i < answer.errors.count; i++)
        ig_json_out_str(&answer.out, answer.errors.items[i]);
    if (answer.errors.count)
        ig_json_out_array_end(&answer.out);
    else
        ig_json_out_null(&answer.out);
    ig_json_out_object_end(&answer.out);
    ig_arena_deinit(&answer.scratch);
    return call->err.code;
}
