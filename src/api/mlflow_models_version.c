/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's versions of registered models. */
#include "api/mlflow_models.h"
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum ig_code ig_mlflow_reply_version(struct ig_call *call, enum ig_code code,
                                     const struct ig_registered_version *version)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("model_version"));
    ig_mlflow_write_version(&out, version);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* The name and version that all other requests have, and their further fields. */
static enum ig_code read_version(struct ig_call *call, struct ig_str *name, struct ig_str *version,
                                 struct ig_mlflow_field *fields, size_t count)
{
    *name = *version = IG_STR("");
    fields[0] = (struct ig_mlflow_field){"name", IG_MLFLOW_TEXT, name, true};
    fields[1] = (struct ig_mlflow_field){"version", IG_MLFLOW_TEXT, version, true};
    return ig_mlflow_read(call, fields, count);
}

enum ig_code ig_mlflow_version_create(struct ig_call *call)
{
    struct ig_registered_version_spec spec = {.name = IG_STR(""),
                                              .source = IG_STR(""),
                                              .description = IG_STR(""),
                                              .run_link = IG_STR("")};
    struct ig_registered_version version;
    const struct ig_registered_by who = ig_mlflow_by(call);
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &spec.name, true},
        {"source", IG_MLFLOW_TEXT, &spec.source, true},
        {"run_id", IG_MLFLOW_TEXT, &spec.run, false},
        {"tags", IG_MLFLOW_PAIRS, &spec.tags, false},
        {"run_link", IG_MLFLOW_TEXT, &spec.run_link, false},
        {"description", IG_MLFLOW_TEXT, &spec.description, false},
        {"model_id", IG_MLFLOW_TEXT, &spec.model_id, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    return ig_mlflow_reply_version(
        call, ig_registered_version_create(&version, &who, &spec, &call->err), &version);
}

static enum ig_code get_version(struct ig_registered_version *out, struct ig_call *call)
{
    struct ig_str name, version;
    struct ig_mlflow_field fields[2];
    if (read_version(call, &name, &version, fields, 2) != IG_OK) return call->err.code;
    return ig_registered_version_get(out, call->app->db, name, version, call->arena, &call->err);
}

enum ig_code ig_mlflow_version_get(struct ig_call *call)
{
    struct ig_registered_version found;
    return ig_mlflow_reply_version(call, get_version(&found, call), &found);
}

enum ig_code ig_mlflow_version_uri(struct ig_call *call)
{
    struct ig_registered_version found = {0};
    struct ig_json_out out;
    if (get_version(&found, call) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "artifact_uri", found.location);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_version_update(struct ig_call *call)
{
    struct ig_str name, version, description = IG_STR("");
    struct ig_registered_version found;
    const struct ig_registered_by who = ig_mlflow_by(call);
    struct ig_mlflow_field fields[3] = {[2] = {"description", IG_MLFLOW_TEXT, &description, false}};
    if (read_version(call, &name, &version, fields, 3) != IG_OK) return call->err.code;
    return ig_mlflow_reply_version(
        call, ig_registered_version_describe(&found, &who, name, version, description, &call->err),
        &found);
}

enum ig_code ig_mlflow_version_move(struct ig_call *call)
{
    struct ig_registered_move move = {.stage = IG_STR("")};
    struct ig_registered_version found;
    const struct ig_registered_by who = ig_mlflow_by(call);
    struct ig_mlflow_field fields[4] = {
        [2] = {"stage", IG_MLFLOW_TEXT, &move.stage, true},
        [3] = {"archive_existing_versions", IG_MLFLOW_BOOL, &move.archive, false}};
    if (read_version(call, &move.name, &move.version, fields, 4) != IG_OK) return call->err.code;
    return ig_mlflow_reply_version(
        call, ig_registered_version_move(&found, &who, &move, &call->err), &found);
}

enum ig_code ig_mlflow_version_delete(struct ig_call *call)
{
    struct ig_str name, version;
    const struct ig_registered_by who = ig_mlflow_by(call);
    struct ig_mlflow_field fields[2];
    if (read_version(call, &name, &version, fields, 2) != IG_OK) return call->err.code;
    if (ig_registered_version_delete(&who, name, version, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_version_tag(struct ig_call *call)
{
    struct ig_str name, version;
    struct ig_tracking_pair tag = {IG_STR(""), IG_STR("")};
    const struct ig_registered_by who = ig_mlflow_by(call);
    struct ig_mlflow_field fields[4] = {[2] = {"key", IG_MLFLOW_TEXT, &tag.key, true},
                                        [3] = {"value", IG_MLFLOW_TEXT, &tag.value, false}};
    if (read_version(call, &name, &version, fields, 4) != IG_OK) return call->err.code;
    if (ig_registered_version_tag(&who, name, version, tag, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_version_untag(struct ig_call *call)
{
    struct ig_str name, version, key = IG_STR("");
    const struct ig_registered_by who = ig_mlflow_by(call);
    struct ig_mlflow_field fields[3] = {[2] = {"key", IG_MLFLOW_TEXT, &key, true}};
    if (read_version(call, &name, &version, fields, 3) != IG_OK) return call->err.code;
    if (ig_registered_version_untag(&who, name, version, key, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
