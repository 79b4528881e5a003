/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: pure. */
#include "api/mlflow_gateway.h"

#include "api/mlflow_tracking.h"

#include <stdio.h>

/* ---- reading ---- */

static enum ig_code bad_linkage(struct ig_json *json, size_t at, bool listed)
{
    char place[40] = "model_config";
    if (listed) snprintf(place, sizeof place, "model_configs[%zu]", at);
    return ig_fail(json->err, IG_INVALID,
                   "Invalid or missing value for required parameter 'linkage_type' in %s. Must be "
                   "one of: PRIMARY, FALLBACK.",
                   place);
}

/* {"model_definition_id", "linkage_type", "weight", "fallback_order"} */
static enum ig_code read_use(struct ig_mlflow_gateway_extra *out, struct ig_json *json, bool listed)
{
    struct ig_str linkage = IG_STR("");
    if (out->uses_count == IG_GATEWAY_MODELS_MAX)
        return ig_fail(json->err, IG_INVALID, "model_configs: at most %d", IG_GATEWAY_MODELS_MAX);
    struct ig_gateway_use *use = &out->uses[out->uses_count];
    *use = (struct ig_gateway_use){.model = IG_STR(""), .weight = 1, .order = -1};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "model_config")) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_json ahead = *json;
        bool good, nothing = ig_json_next(&ahead) == IG_JSON_NULL;
        if (!nothing && ig_mlflow_named(json->text, "model_definition_id"))
            good = ig_json_string(json, &use->model, "model_definition_id");
        else if (!nothing && ig_mlflow_named(json->text, "linkage_type"))
            good = ig_json_string(json, &linkage, "linkage_type");
        else if (!nothing && ig_str_is(json->text, "weight"))
            good = ig_json_f64(json, &use->weight, "weight");
        else if (!nothing && ig_mlflow_named(json->text, "fallback_order"))
            good = ig_json_i64(json, &use->order, "fallback_order");
        else
            good = ig_json_skip(json);
        if (!good) return json->err->code;
    }
    if (json->err->code != IG_OK) return json->err->code;
    use->fallback = ig_str_is(linkage, "FALLBACK");
    if (!use->fallback && !ig_str_is(linkage, "PRIMARY"))
        return bad_linkage(json, out->uses_count, listed);
    if (!use->model.len)
        return ig_fail(json->err, IG_INVALID,
                       "Missing value for required parameter 'model_definition_id'.");
    out->uses_count++;
    return IG_OK;
}

static enum ig_code read_fallback(struct ig_mlflow_gateway_extra *out, struct ig_json *json)
{
    out->has_fallback = true;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "fallback_config")) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_json ahead = *json;
        bool nothing = ig_json_next(&ahead) == IG_JSON_NULL;
        if (!(nothing ? ig_json_skip(json)
              : ig_str_is(json->text, "strategy")
                  ? ig_json_string(json, &out->fallback_strategy, "strategy")
              : ig_mlflow_named(json->text, "max_attempts")
                  ? ig_json_i64(json, &out->fallback_attempts, "max_attempts")
                  : ig_json_skip(json)))
            return json->err->code;
    }
    if (json->err->code != IG_OK || !out->fallback_strategy.ptr ||
        ig_str_is(out->fallback_strategy, "SEQUENTIAL"))
        return json->err->code;
    return ig_fail(json->err, IG_INVALID, "fallback_config.strategy: '%.*s' is not SEQUENTIAL",
                   (int)(out->fallback_strategy.len > 64 ? 64 : out->fallback_strategy.len),
                   out->fallback_strategy.ptr);
}

static enum ig_code read_uses(struct ig_mlflow_gateway_extra *out, struct ig_json *json)
{
    out->has_uses = true;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "model_configs")) return json->err->code;
    while (ig_json_element(json))
        if (read_use(out, json, true) != IG_OK) break;
    return json->err->code;
}

static enum ig_code read_member(struct ig_mlflow_gateway_extra *out, struct ig_json *json)
{
    struct ig_json ahead = *json;
    struct ig_str name = json->text;
    if (ig_json_next(&ahead) == IG_JSON_NULL) return ig_json_skip(json) ? IG_OK : json->err->code;
    if (ig_mlflow_named(name, "secret_value")) {
        out->has_secret = true;
        return ig_mlflow_map_read(&out->secret, json, "secret_value");
    }
    if (ig_mlflow_named(name, "auth_config")) {
        out->has_config = true;
        return ig_mlflow_map_read(&out->config, json, "auth_config");
    }
    if (ig_mlflow_named(name, "model_configs")) return read_uses(out, json);
    if (ig_mlflow_named(name, "model_config")) return read_use(out, json, false);
    if (ig_mlflow_named(name, "fallback_config")) return read_fallback(out, json);
    if (ig_mlflow_named(name, "usage_tracking")) {
        out->has_tracked = true;
        return ig_json_bool(json, &out->tracked, "usage_tracking") ? IG_OK : json->err->code;
    }
    return ig_json_skip(json) ? IG_OK : json->err->code;
}

enum ig_code ig_mlflow_gateway_extra_read(struct ig_mlflow_gateway_extra *out, struct ig_call *call)
{
    struct ig_json json;
    out->fallback_attempts = -1;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "body")) return call->err.code;
    while (ig_json_member(&json))
        if (read_member(out, &json) != IG_OK) break;
    return call->err.code;
}

/* ---- writing ---- */

static void write_optional(struct ig_json_out *out, const char *key, struct ig_str text)
{
    if (text.ptr) ig_json_out_kv_str(out, key, text);
}

static void write_marks(struct ig_json_out *out, const struct ig_gateway_marks *marks)
{
    ig_json_out_kv_i64(out, "created_at", marks->created_ms);
    ig_json_out_kv_i64(out, "last_updated_at", marks->updated_ms);
    write_optional(out, "created_by", marks->created_by);
    write_optional(out, "last_updated_by", marks->updated_by);
}

void ig_mlflow_gateway_write_secret(struct ig_json_out *out, const struct ig_gateway_secret *secret)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "secret_id", secret->id);
    ig_json_out_kv_str(out, "secret_name", secret->name);
    ig_mlflow_write_map(out, "masked_values", secret->values);
    write_optional(out, "provider", secret->provider);
    ig_mlflow_write_map(out, "auth_config", secret->config);
    write_marks(out, &secret->marks);
    ig_json_out_object_end(out);
}

void ig_mlflow_gateway_write_model(struct ig_json_out *out, const struct ig_gateway_model *model)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "model_definition_id", model->id);
    ig_json_out_kv_str(out, "name", model->name);
    write_optional(out, "secret_id", model->secret);
    write_optional(out, "secret_name", model->secret_name);
    ig_json_out_kv_str(out, "provider", model->provider);
    ig_json_out_kv_str(out, "model_name", model->model);
    write_marks(out, &model->marks);
    ig_json_out_object_end(out);
}

void ig_mlflow_gateway_write_mapping(struct ig_json_out *out,
                                     const struct ig_gateway_mapping *mapping)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "mapping_id", mapping->id);
    ig_json_out_kv_str(out, "endpoint_id", mapping->endpoint);
    ig_json_out_kv_str(out, "model_definition_id", mapping->model.id);
    ig_json_out_key(out, IG_STR("model_definition"));
    ig_mlflow_gateway_write_model(out, &mapping->model);
    ig_json_out_kv_f64(out, "weight", mapping->weight);
    ig_json_out_kv_str(out, "linkage_type",
                       mapping->fallback ? IG_STR("FALLBACK") : IG_STR("PRIMARY"));
    if (mapping->order >= 0) ig_json_out_kv_i64(out, "fallback_order", mapping->order);
    ig_json_out_kv_i64(out, "created_at", mapping->created_ms);
    write_optional(out, "created_by", mapping->created_by);
    ig_json_out_object_end(out);
}

static void write_fallback(struct ig_json_out *out, const struct ig_gateway_endpoint *endpoint)
{
    if (!endpoint->has_fallback) return;
    ig_json_out_key(out, IG_STR("fallback_config"));
    ig_json_out_object(out);
    write_optional(out, "strategy", endpoint->fallback_strategy);
    if (endpoint->fallback_attempts >= 0)
        ig_json_out_kv_i64(out, "max_attempts", endpoint->fallback_attempts);
    ig_json_out_object_end(out);
}

void ig_mlflow_gateway_write_endpoint(struct ig_json_out *out,
                                      const struct ig_gateway_endpoint *endpoint)
{
    char experiment[24];
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "endpoint_id", endpoint->id);
    ig_json_out_kv_str(out, "name", endpoint->name);
    if (endpoint->mappings_count) {
        ig_json_out_key(out, IG_STR("model_mappings"));
        ig_json_out_array(out);
        for (size_t i = 0; i < endpoint->mappings_count; i++)
            ig_mlflow_gateway_write_mapping(out, &endpoint->mappings[i]);
        ig_json_out_array_end(out);
    }
    if (endpoint->tags.count) {
        ig_json_out_key(out, IG_STR("tags"));
        ig_json_out_array(out);
        for (size_t i = 0; i < endpoint->tags.count; i++) {
            ig_json_out_object(out);
            ig_json_out_kv_str(out, "key", endpoint->tags.items[i].key);
            ig_json_out_kv_str(out, "value", endpoint->tags.items[i].value);
            ig_json_out_object_end(out);
        }
        ig_json_out_array_end(out);
    }
    write_optional(out, "routing_strategy", endpoint->routing);
    write_fallback(out, endpoint);
    snprintf(experiment, sizeof experiment, "%lld", (long long)endpoint->experiment);
    if (endpoint->experiment >= 0)
        ig_json_out_kv_str(out, "experiment_id", ig_str_view(experiment));
    ig_json_out_kv_bool(out, "usage_tracking", endpoint->tracked);
    write_marks(out, &endpoint->marks);
    ig_json_out_object_end(out);
}

void ig_mlflow_gateway_write_binding(struct ig_json_out *out,
                                     const struct ig_gateway_binding *binding)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "endpoint_id", binding->endpoint);
    ig_json_out_kv_str(out, "resource_type", binding->type);
    ig_json_out_kv_str(out, "resource_id", binding->resource);
    write_marks(out, &binding->marks);
    ig_json_out_object_end(out);
}
