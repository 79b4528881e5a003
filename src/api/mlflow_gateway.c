/* SPDX-License-Identifier: Apache-2.0 */
/* The configuration of MLflow's gateway. */
#include "api/mlflow_gateway.h"

#include "api/rest.h"
#include "api/route.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* An answer with one member. */
static void open_reply(struct ig_json_out *out, struct ig_call *call, const char *name)
{
    ig_call_json(call, out);
    ig_json_out_object(out);
    ig_json_out_key(out, ig_str_view(name));
}

static enum ig_code close_reply(struct ig_json_out *out)
{
    ig_json_out_object_end(out);
    return IG_OK;
}

/* Or with a list, which is left out when it is empty. */
static void open_list(struct ig_json_out *out, struct ig_call *call, const char *name, size_t count)
{
    ig_call_json(call, out);
    ig_json_out_object(out);
    if (!count) return;
    ig_json_out_key(out, ig_str_view(name));
    ig_json_out_array(out);
}

static enum ig_code close_list(struct ig_json_out *out, struct ig_call *call, size_t count)
{
    if (count) ig_json_out_array_end(out);
    ig_json_out_object_end(out);
    if (!out->buf->overflowed) return IG_OK;
    return ig_fail(&call->err, IG_TOO_LARGE, "a list: larger than a reply may be");
}

/* An empty text is none, as in protobuf. */
static void drop_empty(struct ig_str *const texts[], size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (!texts[i]->len) texts[i]->ptr = NULL;
}

static struct ig_mlflow_gateway_extra *read_extra(struct ig_call *call)
{
    struct ig_mlflow_gateway_extra *extra = ig_arena_zalloc(call->arena, sizeof *extra);
    if (!extra) ig_fail(&call->err, IG_NO_MEMORY, "gateway");
    if (!extra || ig_mlflow_gateway_extra_read(extra, call) != IG_OK) return NULL;
    return extra;
}

/* One text that has to be told. */
static enum ig_code read_one(struct ig_str *out, struct ig_call *call, const char *name)
{
    const struct ig_mlflow_field fields[] = {{name, IG_MLFLOW_TEXT, out, true}};
    return ig_mlflow_read(call, fields, 1);
}

/* ---- secrets ---- */

static enum ig_code put_secret(struct ig_call *call, bool first)
{
    struct ig_gateway_secret_spec spec = {.id = IG_STR(""), .name = IG_STR("")};
    struct ig_gateway_secret secret;
    const struct ig_mlflow_field fields[] = {
        {first ? "secret_name" : "secret_id", IG_MLFLOW_TEXT, first ? &spec.name : &spec.id, true},
        {"provider", IG_MLFLOW_TEXT, &spec.provider, false},
        {first ? "created_by" : "updated_by", IG_MLFLOW_TEXT, &spec.by, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    struct ig_mlflow_gateway_extra *extra = read_extra(call);
    if (!extra) return call->err.code;
    struct ig_str *const texts[] = {&spec.provider, &spec.by};
    drop_empty(texts, COUNT(texts));
    if (extra->has_secret && extra->secret.count) spec.values = &extra->secret;
    if (extra->has_config && extra->config.count) spec.config = &extra->config;
    struct ig_json_out out;
    if (ig_gateway_secret_put(&secret, call->app->gateway, &call->who, &spec, call->arena,
                              &call->err) != IG_OK)
        return call->err.code;
    open_reply(&out, call, "secret");
    ig_mlflow_gateway_write_secret(&out, &secret);
    return close_reply(&out);
}

enum ig_code ig_mlflow_secret_create(struct ig_call *call)
{
    return put_secret(call, true);
}

enum ig_code ig_mlflow_secret_update(struct ig_call *call)
{
    return put_secret(call, false);
}

enum ig_code ig_mlflow_secret_get(struct ig_call *call)
{
    struct ig_gateway_secret secret;
    struct ig_str id = IG_STR("");
    if (read_one(&id, call, "secret_id") != IG_OK) return call->err.code;
    struct ig_json_out out;
    if (ig_gateway_secret_get(&secret, call->app->gateway, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    open_reply(&out, call, "secret");
    ig_mlflow_gateway_write_secret(&out, &secret);
    return close_reply(&out);
}

enum ig_code ig_mlflow_secret_delete(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    if (read_one(&id, call, "secret_id") != IG_OK ||
        ig_gateway_secret_delete(call->app->gateway, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_secret_list(struct ig_call *call)
{
    const struct ig_gateway_secret *secrets = NULL;
    struct ig_str provider = IG_STR("");
    size_t count = 0;
    const struct ig_mlflow_field fields[] = {{"provider", IG_MLFLOW_TEXT, &provider, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK ||
        ig_gateway_secrets(&secrets, &count, call->app->gateway, provider, call->arena,
                           &call->err) != IG_OK)
        return call->err.code;
    struct ig_json_out out;
    open_list(&out, call, "secrets", count);
    for (size_t i = 0; i < count; i++) ig_mlflow_gateway_write_secret(&out, &secrets[i]);
    return close_list(&out, call, count);
}

enum ig_code ig_mlflow_secret_config(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_bool(&out, "secrets_available", true);
    ig_json_out_kv_bool(&out, "using_default_passphrase",
                        ig_gateway_has_own_key(call->app->gateway));
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- model definitions ---- */

static enum ig_code put_model(struct ig_call *call, bool first)
{
    struct ig_gateway_model_spec spec = {.id = IG_STR("")};
    struct ig_gateway_model model;
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &spec.name, first},
        {"secret_id", IG_MLFLOW_TEXT, &spec.secret, first},
        {"provider", IG_MLFLOW_TEXT, &spec.provider, first},
        {"model_name", IG_MLFLOW_TEXT, &spec.model, first},
        {first ? "created_by" : "updated_by", IG_MLFLOW_TEXT, &spec.by, false},
        {"model_definition_id", IG_MLFLOW_TEXT, &spec.id, !first}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (first) spec.id = IG_STR("");
    struct ig_str *const texts[] = {&spec.name, &spec.secret, &spec.provider, &spec.model,
                                    &spec.by};
    drop_empty(texts, COUNT(texts));
    struct ig_json_out out;
    if (ig_gateway_model_put(&model, call->app->gateway, &call->who, &spec, call->arena,
                             &call->err) != IG_OK)
        return call->err.code;
    open_reply(&out, call, "model_definition");
    ig_mlflow_gateway_write_model(&out, &model);
    return close_reply(&out);
}

enum ig_code ig_mlflow_definition_create(struct ig_call *call)
{
    return put_model(call, true);
}

enum ig_code ig_mlflow_definition_update(struct ig_call *call)
{
    return put_model(call, false);
}

enum ig_code ig_mlflow_definition_get(struct ig_call *call)
{
    struct ig_gateway_model model;
    struct ig_str id = IG_STR("");
    if (read_one(&id, call, "model_definition_id") != IG_OK) return call->err.code;
    struct ig_json_out out;
    if (ig_gateway_model_get(&model, call->app->gateway, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    open_reply(&out, call, "model_definition");
    ig_mlflow_gateway_write_model(&out, &model);
    return close_reply(&out);
}

enum ig_code ig_mlflow_definition_delete(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    if (read_one(&id, call, "model_definition_id") != IG_OK ||
        ig_gateway_model_delete(call->app->gateway, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_definition_list(struct ig_call *call)
{
    const struct ig_gateway_model *models = NULL;
    struct ig_gateway_ask ask = {.provider = IG_STR(""), .secret = IG_STR("")};
    size_t count = 0;
    const struct ig_mlflow_field fields[] = {{"provider", IG_MLFLOW_TEXT, &ask.provider, false},
                                             {"secret_id", IG_MLFLOW_TEXT, &ask.secret, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_gateway_models(&models, &count, call->app->gateway, &ask, call->arena, &call->err) !=
            IG_OK)
        return call->err.code;
    struct ig_json_out out;
    open_list(&out, call, "model_definitions", count);
    for (size_t i = 0; i < count; i++) ig_mlflow_gateway_write_model(&out, &models[i]);
    return close_list(&out, call, count);
}

/* ---- endpoints ---- */

static enum ig_code put_endpoint(struct ig_call *call, bool first)
{
    struct ig_gateway_endpoint_spec spec = {.id = IG_STR(""), .tracked = -1, .experiment = -1};
    struct ig_gateway_endpoint endpoint;
    struct ig_str experiment = IG_STR("");
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &spec.name, first},
        {"routing_strategy", IG_MLFLOW_WORD, &spec.routing, false},
        {"experiment_id", IG_MLFLOW_TEXT, &experiment, false},
        {first ? "created_by" : "updated_by", IG_MLFLOW_TEXT, &spec.by, false},
        {"endpoint_id", IG_MLFLOW_TEXT, &spec.id, !first}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    struct ig_mlflow_gateway_extra *extra = read_extra(call);
    if (!extra || (experiment.len &&
                   ig_tracking_experiment_id(&spec.experiment, experiment, &call->err) != IG_OK))
        return call->err.code;
    struct ig_str *const texts[] = {&spec.name, &spec.routing, &spec.by};
    drop_empty(texts, COUNT(texts));
    if (first) spec.id = IG_STR("");
    if (spec.routing.ptr && !ig_str_is(spec.routing, "REQUEST_BASED_TRAFFIC_SPLIT"))
        return ig_fail(&call->err, IG_INVALID,
                       "routing_strategy: '%.*s' is not REQUEST_BASED_TRAFFIC_SPLIT",
                       (int)(spec.routing.len > 64 ? 64 : spec.routing.len), spec.routing.ptr);
    if (extra->has_uses && (first || extra->uses_count)) spec.uses = extra->uses;
    spec.uses_count = extra->uses_count;
    spec.has_fallback = extra->has_fallback;
    spec.fallback_strategy = extra->fallback_strategy;
    spec.fallback_attempts = extra->fallback_attempts;
    if (extra->has_tracked) spec.tracked = extra->tracked;
    struct ig_json_out out;
    if (ig_gateway_endpoint_put(&endpoint, call->app->gateway, &call->who, &spec, call->arena,
                                &call->err) != IG_OK)
        return call->err.code;
    open_reply(&out, call, "endpoint");
    ig_mlflow_gateway_write_endpoint(&out, &endpoint);
    return close_reply(&out);
}

enum ig_code ig_mlflow_endpoint_create(struct ig_call *call)
{
    return put_endpoint(call, true);
}

enum ig_code ig_mlflow_endpoint_update(struct ig_call *call)
{
    return put_endpoint(call, false);
}

enum ig_code ig_mlflow_endpoint_get(struct ig_call *call)
{
    struct ig_gateway_endpoint endpoint;
    struct ig_str id = IG_STR(""), name = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"endpoint_id", IG_MLFLOW_TEXT, &id, false},
                                             {"name", IG_MLFLOW_TEXT, &name, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    struct ig_json_out out;
    if (ig_gateway_endpoint_get(&endpoint, call->app->gateway, id, name, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    open_reply(&out, call, "endpoint");
    ig_mlflow_gateway_write_endpoint(&out, &endpoint);
    return close_reply(&out);
}

enum ig_code ig_mlflow_endpoint_delete(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    if (read_one(&id, call, "endpoint_id") != IG_OK ||
        ig_gateway_endpoint_delete(call->app->gateway, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_endpoint_list(struct ig_call *call)
{
    const struct ig_gateway_endpoint *endpoints = NULL;
    struct ig_str provider = IG_STR("");
    size_t count = 0;
    const struct ig_mlflow_field fields[] = {{"provider", IG_MLFLOW_TEXT, &provider, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK ||
        ig_gateway_endpoints(&endpoints, &count, call->app->gateway, provider, call->arena,
                             &call->err) != IG_OK)
        return call->err.code;
    struct ig_json_out out;
    open_list(&out, call, "endpoints", count);
    for (size_t i = 0; i < count; i++) ig_mlflow_gateway_write_endpoint(&out, &endpoints[i]);
    return close_list(&out, call, count);
}

enum ig_code ig_mlflow_endpoint_attach(struct ig_call *call)
{
    struct ig_gateway_mapping mapping;
    struct ig_str id = IG_STR(""), by = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"endpoint_id", IG_MLFLOW_TEXT, &id, true},
                                             {"created_by", IG_MLFLOW_TEXT, &by, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    struct ig_mlflow_gateway_extra *extra = read_extra(call);
    if (!extra) return call->err.code;
    if (!extra->uses_count)
        return ig_fail(&call->err, IG_INVALID,
                       "Missing value for required parameter 'model_config'.");
    if (by.len) extra->uses[0].by = by;
    struct ig_json_out out;
    if (ig_gateway_attach(&mapping, call->app->gateway, id, &extra->uses[0], call->arena,
                          &call->err) != IG_OK)
        return call->err.code;
    open_reply(&out, call, "mapping");
    ig_mlflow_gateway_write_mapping(&out, &mapping);
    return close_reply(&out);
}

enum ig_code ig_mlflow_endpoint_detach(struct ig_call *call)
{
    struct ig_str id = IG_STR(""), model = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"endpoint_id", IG_MLFLOW_TEXT, &id, true},
                                             {"model_definition_id", IG_MLFLOW_TEXT, &model, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_gateway_detach(call->app->gateway, id, model, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_endpoint_tag(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    struct ig_tracking_pair tag = {IG_STR(""), IG_STR("")};
    const struct ig_mlflow_field fields[] = {{"endpoint_id", IG_MLFLOW_TEXT, &id, true},
                                             {"key", IG_MLFLOW_TEXT, &tag.key, true},
                                             {"value", IG_MLFLOW_TEXT, &tag.value, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_gateway_tag(call->app->gateway, id, tag, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_endpoint_untag(struct ig_call *call)
{
    struct ig_str id = IG_STR(""), key = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"endpoint_id", IG_MLFLOW_TEXT, &id, true},
                                             {"key", IG_MLFLOW_TEXT, &key, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        ig_gateway_untag(call->app->gateway, id, key, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

/* ---- bindings ---- */

static enum ig_code read_binding(struct ig_gateway_ask *ask, struct ig_str *by,
                                 struct ig_call *call, bool required)
{
    const struct ig_mlflow_field fields[] = {
        {"endpoint_id", IG_MLFLOW_TEXT, &ask->endpoint, required},
        {"resource_type", IG_MLFLOW_TEXT, &ask->type, required},
        {"resource_id", IG_MLFLOW_TEXT, &ask->resource, required},
        {"created_by", IG_MLFLOW_TEXT, by, false}};
    ask->endpoint = ask->type = ask->resource = IG_STR("");
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    drop_empty(&by, 1);
    return IG_OK;
}

enum ig_code ig_mlflow_binding_create(struct ig_call *call)
{
    struct ig_gateway_binding binding;
    struct ig_gateway_ask ask;
    struct ig_str by = IG_STR("");
    if (read_binding(&ask, &by, call, true) != IG_OK) return call->err.code;
    struct ig_json_out out;
    if (ig_gateway_bind(&binding, call->app->gateway, &ask, by, call->arena, &call->err) != IG_OK)
        return call->err.code;
    open_reply(&out, call, "binding");
    ig_mlflow_gateway_write_binding(&out, &binding);
    return close_reply(&out);
}

enum ig_code ig_mlflow_binding_delete(struct ig_call *call)
{
    struct ig_gateway_ask ask;
    struct ig_str by = IG_STR("");
    if (read_binding(&ask, &by, call, true) != IG_OK ||
        ig_gateway_unbind(call->app->gateway, &ask, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_binding_list(struct ig_call *call)
{
    const struct ig_gateway_binding *bindings = NULL;
    struct ig_gateway_ask ask;
    struct ig_str by = IG_STR("");
    size_t count = 0;
    if (read_binding(&ask, &by, call, false) != IG_OK ||
        ig_gateway_bindings(&bindings, &count, call->app->gateway, &ask, call->arena, &call->err) !=
            IG_OK)
        return call->err.code;
    struct ig_json_out out;
    open_list(&out, call, "bindings", count);
    for (size_t i = 0; i < count; i++) ig_mlflow_gateway_write_binding(&out, &bindings[i]);
    return close_list(&out, call, count);
}
