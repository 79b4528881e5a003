/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's registered models, and the JSON of models and versions. Versions' own requests stand in
 * mlflow_models_version.c, searches in mlflow_search.c. */
#include "api/mlflow_models.h"

#include "api/mlflow_request.h"
#include "api/mlflow_tracking.h"
#include "api/rest.h"
#include "api/route.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

struct ig_registered_by ig_mlflow_by(struct ig_call *call)
{
    return (struct ig_registered_by){call->app->db,       &call->who,
                                     call->arena,         call->app->blobs,
                                     call->app->webhooks, call->app->model_sources};
}

/* ---- JSON ---- */

static void write_number(struct ig_json_out *out, const char *key, int64_t number)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    ig_json_out_kv_str(out, key, ig_str_view(text));
}

void ig_mlflow_write_version(struct ig_json_out *out, const struct ig_registered_version *version)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", version->name);
    write_number(out, "version", version->version);
    ig_json_out_kv_i64(out, "creation_timestamp", version->created_ms);
    ig_json_out_kv_i64(out, "last_updated_timestamp", version->updated_ms);
    ig_json_out_kv_str(out, "current_stage", version->stage);
    ig_json_out_kv_str(out, "description", version->description);
    ig_json_out_kv_str(out, "source", version->source);
    ig_json_out_kv_str(out, "run_id", version->run);
    ig_json_out_kv_str(out, "status", IG_STR("READY"));
    ig_json_out_kv_str(out, "run_link", version->run_link);
    ig_mlflow_write_pairs(out, "tags", version->tags);
    if (version->aliases_count) {
        ig_json_out_key(out, IG_STR("aliases"));
        ig_json_out_array(out);
        for (size_t i = 0; i < version->aliases_count; i++)
            ig_json_out_str(out, version->aliases[i]);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

/* Left out when there are none. */
static void write_versions(struct ig_json_out *out, const char *key,
                           struct ig_registered_versions versions)
{
    if (!versions.count) return;
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_array(out);
    for (size_t i = 0; i < versions.count; i++) ig_mlflow_write_version(out, &versions.items[i]);
    ig_json_out_array_end(out);
}

void ig_mlflow_write_model(struct ig_json_out *out, const struct ig_registered_model *model)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", model->name);
    ig_json_out_kv_i64(out, "creation_timestamp", model->created_ms);
    ig_json_out_kv_i64(out, "last_updated_timestamp", model->updated_ms);
    if (model->description.len) ig_json_out_kv_str(out, "description", model->description);
    write_versions(out, "latest_versions", model->latest);
    ig_mlflow_write_pairs(out, "tags", model->tags);
    if (model->aliases.count) {
        ig_json_out_key(out, IG_STR("aliases"));
        ig_json_out_array(out);
        for (size_t i = 0; i < model->aliases.count; i++) {
            ig_json_out_object(out);
            ig_json_out_kv_str(out, "alias", model->aliases.items[i].key);
            ig_json_out_kv_str(out, "version", model->aliases.items[i].value);
            ig_json_out_object_end(out);
        }
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
}

/* The answer of a call that came out with `code`. */
static enum ig_code reply(struct ig_call *call, enum ig_code code,
                          const struct ig_registered_model *model)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("registered_model"));
    ig_mlflow_write_model(&out, model);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- requests ---- */

enum ig_code ig_mlflow_model_create(struct ig_call *call)
{
    struct ig_registered_spec spec = {.name = IG_STR(""), .description = IG_STR("")};
    struct ig_registered_model model;
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &spec.name, true},
        {"tags", IG_MLFLOW_PAIRS, &spec.tags, false},
        {"description", IG_MLFLOW_TEXT, &spec.description, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    return reply(call, ig_registered_create(&model, &who, &spec, &call->err), &model);
}

enum ig_code ig_mlflow_model_get(struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    struct ig_registered_model model;
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    return reply(call, ig_registered_get(&model, call->app->db, name, call->arena, &call->err),
                 &model);
}

enum ig_code ig_mlflow_model_rename(struct ig_call *call)
{
    struct ig_str name = IG_STR(""), new_name = IG_STR("");
    struct ig_registered_model model;
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true},
                                             {"new_name", IG_MLFLOW_TEXT, &new_name, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    return reply(call, ig_registered_rename(&model, &who, name, new_name, &call->err), &model);
}

enum ig_code ig_mlflow_model_update(struct ig_call *call)
{
    struct ig_str name = IG_STR(""), description = IG_STR("");
    struct ig_registered_model model;
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true},
                                             {"description", IG_MLFLOW_TEXT, &description, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    return reply(call, ig_registered_describe(&model, &who, name, description, &call->err), &model);
}

enum ig_code ig_mlflow_model_delete(struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_registered_delete(&who, name, &call->err) != IG_OK) return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_model_tag(struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    struct ig_tracking_pair tag = {IG_STR(""), IG_STR("")};
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true},
                                             {"key", IG_MLFLOW_TEXT, &tag.key, true},
                                             {"value", IG_MLFLOW_TEXT, &tag.value, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_registered_tag(&who, name, tag, &call->err) != IG_OK) return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_model_untag(struct ig_call *call)
{
    struct ig_str name = IG_STR(""), key = IG_STR("");
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true},
                                             {"key", IG_MLFLOW_TEXT, &key, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_registered_untag(&who, name, key, &call->err) != IG_OK) return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_alias_put(struct ig_call *call)
{
    struct ig_str name = IG_STR(""), alias = IG_STR(""), version = IG_STR("");
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true},
                                             {"alias", IG_MLFLOW_TEXT, &alias, true},
                                             {"version", IG_MLFLOW_TEXT, &version, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_registered_alias(&who, name, alias, version, &call->err) != IG_OK) return call->err.code;
    return ig_rest_done(call);
}

static enum ig_code read_alias(struct ig_call *call, struct ig_str *name, struct ig_str *alias)
{
    *name = *alias = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, name, true},
                                             {"alias", IG_MLFLOW_TEXT, alias, true}};
    return ig_mlflow_read(call, fields, COUNT(fields));
}

enum ig_code ig_mlflow_alias_delete(struct ig_call *call)
{
    struct ig_str name, alias;
    const struct ig_registered_by who = ig_mlflow_by(call);
    if (read_alias(call, &name, &alias) != IG_OK) return call->err.code;
    if (ig_registered_unalias(&who, name, alias, &call->err) != IG_OK) return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_alias_get(struct ig_call *call)
{
    struct ig_str name, alias;
    struct ig_registered_version version;
    if (read_alias(call, &name, &alias) != IG_OK) return call->err.code;
    return ig_mlflow_reply_version(
        call,
        ig_registered_version_find(&version, call->app->db, name, alias, call->arena, &call->err),
        &version);
}

enum ig_code ig_mlflow_model_latest(struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    struct ig_mlflow_texts stages = {0};
    struct ig_registered_versions versions;
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true},
                                             {"stages", IG_MLFLOW_TEXTS, &stages, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_registered_latest(&versions, call->app->db, name,
                             (struct ig_registered_stages){stages.items, stages.count}, call->arena,
                             &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_versions(&out, "model_versions", versions);
    ig_json_out_object_end(&out);
    return IG_OK;
}
