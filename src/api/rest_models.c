/* SPDX-License-Identifier: Apache-2.0 */
/* Models, versions and aliases. */
#include "api/rest.h"
#include "api/route.h"

static void write_version(struct ig_json_out *out, const struct ig_registry_version *version)
{
    struct ig_str aliases = version->aliases;
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "model", version->model);
    ig_json_out_kv_i64(out, "version", version->version);
    ig_json_out_kv_str(out, "digest", version->digest);
    ig_json_out_kv_str(out, "model_digest", version->model_digest);
    ig_json_out_kv_i64(out, "size_bytes", version->size_bytes);
    ig_json_out_kv_str(out, "format", version->format);
    ig_json_out_kv_str(out, "state", version->state);
    ig_json_out_kv_str(out, "job_id", version->job_id);
    ig_json_out_kv_str(out, "source", version->source);
    ig_rest_kv_raw(out, "metrics", version->metrics_json);
    ig_json_out_key(out, IG_STR("aliases"));
    ig_json_out_array(out);
    while (aliases.len) ig_json_out_str(out, ig_str_cut(&aliases, ','));
    ig_json_out_array_end(out);
    ig_rest_kv_time(out, "created_at", version->created_ms);
    ig_json_out_object_end(out);
}

static void write_model_members(struct ig_json_out *out, const struct ig_registry_model *model)
{
    ig_json_out_kv_str(out, "name", model->name);
    ig_json_out_kv_str(out, "description", model->description);
    ig_json_out_kv_i64(out, "latest_version", model->latest_version);
    ig_rest_kv_time(out, "created_at", model->created_ms);
}

static void write_versions(struct ig_json_out *out, const struct ig_registry_versions *versions)
{
    ig_json_out_key(out, IG_STR("versions"));
    ig_json_out_array(out);
    for (size_t i = 0; i < versions->count; i++) write_version(out, &versions->items[i]);
    ig_json_out_array_end(out);
}

static void write_aliases(struct ig_json_out *out, const struct ig_registry_aliases *aliases)
{
    ig_json_out_key(out, IG_STR("aliases"));
    ig_json_out_object(out);
    for (size_t i = 0; i < aliases->count; i++) {
        ig_json_out_key(out, aliases->items[i].alias);
        ig_json_out_i64(out, aliases->items[i].version);
    }
    ig_json_out_object_end(out);
}

enum ig_code ig_rest_model_list(struct ig_call *call)
{
    struct ig_registry_models models;
    struct ig_json_out out;
    struct ig_str after;
    if (ig_call_query_str(&after, call, "after") != IG_OK) return call->err.code;
    if (ig_registry_model_list(&models, call->app->registry, after, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("models"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < models.count; i++) {
        ig_json_out_object(&out);
        write_model_members(&out, &models.items[i]);
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code reply_model(struct ig_call *call, struct ig_str name)
{
    struct ig_registry *registry = call->app->registry;
    struct ig_registry_model model;
    struct ig_registry_versions versions;
    struct ig_registry_aliases aliases;
    struct ig_json_out out;
    struct ig_err *err = &call->err;
    if (ig_registry_model_get(&model, registry, name, call->arena, err) != IG_OK ||
        ig_registry_version_list(&versions, registry, name, call->arena, err) != IG_OK ||
        ig_registry_alias_list(&aliases, registry, name, call->arena, err) != IG_OK)
        return err->code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_model_members(&out, &model);
    write_aliases(&out, &aliases);
    write_versions(&out, &versions);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_model_post(struct ig_call *call)
{
    struct ig_str name = {NULL, 0}, description = IG_STR("");
    const struct ig_rest_field fields[] = {
        {"name", IG_REST_STR, &name, true, NULL},
        {"description", IG_REST_STR, &description, false, NULL},
    };
    if (ig_rest_read(call, fields, 2) != IG_OK) return call->err.code;
    if (ig_registry_model_create(call->app->registry, &call->who, name, description, &call->err) !=
        IG_OK)
        return call->err.code;
    call->exchange->status = 201;
    return reply_model(call, name);
}

enum ig_code ig_rest_model_get(struct ig_call *call)
{
    return reply_model(call, call->params[0]);
}

enum ig_code ig_rest_model_delete(struct ig_call *call)
{
    if (ig_registry_model_delete(call->app->registry, &call->who, call->params[0], &call->err) !=
        IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_rest_version_list(struct ig_call *call)
{
    struct ig_registry_model model;
    struct ig_registry_versions versions;
    struct ig_json_out out;
    struct ig_str name = call->params[0];
    if (ig_registry_model_get(&model, call->app->registry, name, call->arena, &call->err) != IG_OK)
        return call->err.code;
    if (ig_registry_version_list(&versions, call->app->registry, name, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_versions(&out, &versions);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* `ref`: a number or an alias. */
static enum ig_code reply_version(struct ig_call *call, struct ig_str ref)
{
    struct ig_registry_version version;
    struct ig_json_out out;
    if (ig_registry_find(&version, call->app->registry, call->params[0], ref, call->arena,
                         &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_version(&out, &version);
    return IG_OK;
}

static enum ig_code reply_version_number(struct ig_call *call, int64_t version)
{
    struct ig_registry_version found;
    struct ig_json_out out;
    if (ig_registry_version_get(&found, call->app->registry, call->params[0], version, call->arena,
                                &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_version(&out, &found);
    return IG_OK;
}

/* By its number, whatever alias it was named by. */
static enum ig_code read_source(struct ig_str *out, struct ig_call *call, struct ig_str uri)
{
    struct ig_registry_version version;
    call->field = "source";
    if (ig_registry_resolve(&version, call->app->registry, uri, call->arena, &call->err) != IG_OK)
        return call->err.code;
    call->field = NULL;
    const char *text = ig_arena_printf(call->arena, "models:/%.*s/%lld", IG_STR_ARGS(version.model),
                                       (long long)version.version);
    if (!text) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the source");
    *out = ig_str_view(text);
    return IG_OK;
}

enum ig_code ig_rest_version_post(struct ig_call *call)
{
    struct ig_version_spec spec = {.model = call->params[0]};
    int64_t version;
    struct ig_str source = IG_STR("");
    const struct ig_rest_field fields[] = {
        {"digest", IG_REST_STR, &spec.digest, true, NULL},
        {"source", IG_REST_STR, &source, false, NULL},
    };
    if (ig_rest_read(call, fields, 2) != IG_OK) return call->err.code;
    if (source.len && read_source(&spec.source, call, source) != IG_OK) return call->err.code;
    call->field = "digest";
    if (ig_blob_check_digest(spec.digest, &call->err) != IG_OK) return call->err.code;
    call->field = NULL;
    if (ig_registry_version_create(&version, call->app->registry, &call->who, &spec, &call->err) !=
        IG_OK)
        return call->err.code;
    call->exchange->status = 201;
    return reply_version_number(call, version);
}

enum ig_code ig_rest_version_get(struct ig_call *call)
{
    return reply_version(call, call->params[1]);
}

enum ig_code ig_rest_version_delete(struct ig_call *call)
{
    int64_t version;
    if (ig_rest_version_number(&version, call, call->params[1]) != IG_OK) return call->err.code;
    if (ig_registry_version_delete(call->app->registry, &call->who, call->params[0], version,
                                   &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_rest_alias_list(struct ig_call *call)
{
    struct ig_registry_model model;
    struct ig_registry_aliases aliases;
    struct ig_json_out out;
    struct ig_str name = call->params[0];
    if (ig_registry_model_get(&model, call->app->registry, name, call->arena, &call->err) != IG_OK)
        return call->err.code;
    if (ig_registry_alias_list(&aliases, call->app->registry, name, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_aliases(&out, &aliases);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_alias_put(struct ig_call *call)
{
    int64_t version = 0;
    struct ig_json_out out;
    const struct ig_rest_field fields[] = {{"version", IG_REST_I64, &version, true, NULL}};
    if (ig_rest_read(call, fields, 1) != IG_OK) return call->err.code;
    if (ig_registry_alias_set(call->app->registry, &call->who, call->params[0], call->params[1],
                              version, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model", call->params[0]);
    ig_json_out_kv_str(&out, "alias", call->params[1]);
    ig_json_out_kv_i64(&out, "version", version);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_alias_delete(struct ig_call *call)
{
    if (ig_registry_alias_delete(call->app->registry, &call->who, call->params[0], call->params[1],
                                 &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
