/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's artifact proxy (mlflow-artifacts:/ URIs), as its HTTP clients use it. Uploads and
 * downloads stream; nothing that was uploaded is ever shown as what it says it is: every answer is
 * application/octet-stream, to be saved, and never sniffed. */
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"
#include "net/client.h"
#include "services/registered/registered.h"
#include "services/tracking/logged.h"

/* "attachment" with the path's last segment as the name (RFC 6266, RFC 8187). */
static enum ig_code offer_as_file(struct ig_call *call, struct ig_str path)
{
    struct ig_str name, rest = path;
    struct ig_buf value;
    do name = ig_str_cut(&rest, '/');
    while (rest.ptr);
    ig_buf_init(&value, 64 + 3 * IG_ARTIFACT_NAME_MAX);
    ig_buf_add_cstr(&value, "attachment; filename*=UTF-8''");
    ig_client_escape(&value, name);
    ig_exchange_header(call->exchange, "Content-Disposition", ig_buf_view(&value), &call->err);
    ig_buf_deinit(&value);
    return call->err.code;
}

static enum ig_code send(struct ig_call *call, struct ig_str path)
{
    struct ig_artifact artifact = {0};
    if (ig_artifacts_get(&artifact, call->app->db, path, &call->err) != IG_OK)
        return call->err.code;
    if (offer_as_file(call, path) != IG_OK) return call->err.code;
    return ig_rest_blob_send(call, ig_str_view(artifact.digest));
}

/* The query's run, as `run_id` or, of older clients, `run_uuid`, and its `path`, which is empty
 * when absent. */
static enum ig_code find_run(struct ig_call *call, struct ig_str *uri, struct ig_str *directory,
                             struct ig_str *path)
{
    struct ig_str run = IG_STR("");
    if (ig_call_query_str(&run, call, "run_id") != IG_OK) return call->err.code;
    if (!run.len && ig_call_query_str(&run, call, "run_uuid") != IG_OK) return call->err.code;
    if (ig_call_query_str(path, call, "path") != IG_OK) return call->err.code;
    if (!run.len)
        return ig_fail(&call->err, IG_INVALID, "Missing value for required parameter 'run_id'.");
    return ig_artifacts_of_run(uri, directory, call->app->db, run, call->arena, &call->err);
}

/* A path below the run's directory; checked alone first, so that it never leads out of it. */
static enum ig_code join(struct ig_call *call, struct ig_str *out, struct ig_str directory,
                         struct ig_str path)
{
    *out = directory;
    if (!path.len) return IG_OK;
    if (ig_artifacts_check_path(path, &call->err) != IG_OK) return call->err.code;
    const char *text =
        ig_arena_printf(call->arena, "%.*s/%.*s", IG_STR_ARGS(directory), IG_STR_ARGS(path));
    if (!text) return ig_fail(&call->err, IG_NO_MEMORY, "path of an artifact");
    *out = ig_str_view(text);
    return IG_OK;
}

enum ig_code ig_mlflow_run_artifact_get(struct ig_call *call)
{
    struct ig_str uri = IG_STR(""), directory = IG_STR(""), path = IG_STR(""), whole = IG_STR("");
    if (find_run(call, &uri, &directory, &path) != IG_OK) return call->err.code;
    if (!path.len)
        return ig_fail(&call->err, IG_INVALID, "Missing value for required parameter 'path'.");
    if (join(call, &whole, directory, path) != IG_OK) return call->err.code;
    return send(call, whole);
}

/* Of the directory where a version of a registered model lies. */
enum ig_code ig_mlflow_version_artifact_get(struct ig_call *call)
{
    struct ig_str name = IG_STR(""), version = IG_STR(""), path = IG_STR("");
    struct ig_str directory, whole;
    struct ig_registered_version found;
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &name, true},
                                             {"version", IG_MLFLOW_TEXT, &version, true},
                                             {"path", IG_MLFLOW_TEXT, &path, true}};
    if (ig_mlflow_read(call, fields, 3) != IG_OK ||
        ig_registered_version_get(&found, call->app->db, name, version, call->arena, &call->err) !=
            IG_OK ||
        ig_artifacts_directory(&directory, found.location, "version", &call->err) != IG_OK ||
        join(call, &whole, directory, path) != IG_OK)
        return call->err.code;
    return send(call, whole);
}

enum ig_code ig_mlflow_artifact_get(struct ig_call *call)
{
    return send(call, call->params[0]);
}

/* The path is checked before the body is read, the row written behind the object. */
enum ig_code ig_mlflow_artifact_put(struct ig_call *call)
{
    struct ig_artifact artifact;
    uint64_t size = 0;
    if (ig_artifacts_check_path(call->params[0], &call->err) != IG_OK) return call->err.code;
    if (ig_rest_blob_store(artifact.digest, &size, call) != IG_OK) return call->err.code;
    artifact.size_bytes = (int64_t)size;
    if (ig_artifacts_put(call->app->db, &call->who, call->params[0], &artifact, &call->err) !=
        IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_artifact_delete(struct ig_call *call)
{
    if (ig_artifacts_delete(call->app->db, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

/* With `above` (may be empty) before each name. */
static void write_files(struct ig_json_out *out, const struct ig_artifact_list *list,
                        struct ig_str above)
{
    struct ig_buf path;
    ig_buf_init(&path, 2 * IG_ARTIFACT_PATH_MAX);
    ig_json_out_key(out, IG_STR("files"));
    ig_json_out_array(out);
    for (size_t i = 0; i < list->count; i++) {
        const struct ig_artifact_entry *entry = &list->items[i];
        ig_buf_reset(&path);
        ig_buf_add_str(&path, above);
        if (above.len) ig_buf_add_char(&path, '/');
        ig_buf_add_str(&path, entry->name);
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "path", ig_buf_view(&path));
        ig_json_out_kv_bool(out, "is_dir", entry->is_dir);
        if (!entry->is_dir) ig_json_out_kv_i64(out, "file_size", entry->size_bytes);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_buf_deinit(&path);
}

/* Names alone, not paths, as MLflow's proxy answers. */
enum ig_code ig_mlflow_artifact_list(struct ig_call *call)
{
    struct ig_artifact_list list;
    struct ig_json_out out;
    struct ig_str path;
    if (ig_call_query_str(&path, call, "path") != IG_OK) return call->err.code;
    if (ig_artifacts_list(&list, call->app->db, path, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_files(&out, &list, IG_STR(""));
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* Paths from the run's directory on. */
enum ig_code ig_mlflow_run_artifact_list(struct ig_call *call)
{
    struct ig_artifact_list list;
    struct ig_json_out out;
    struct ig_str uri = IG_STR(""), directory = IG_STR(""), path = IG_STR(""), whole = IG_STR("");
    if (find_run(call, &uri, &directory, &path) != IG_OK) return call->err.code;
    if (join(call, &whole, directory, path) != IG_OK) return call->err.code;
    if (ig_artifacts_list(&list, call->app->db, whole, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "root_uri", uri);
    write_files(&out, &list, path);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* The artifact URI of a logged model, and its directory. */
static enum ig_code find_logged(struct ig_call *call, struct ig_str *uri, struct ig_str *directory)
{
    struct ig_logged_model model;
    if (ig_logged_get(&model, call->app->db, call->params[0], false, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    *uri = model.artifact_root;
    return ig_artifacts_directory(directory, model.artifact_root, "model_id", &call->err);
}

enum ig_code ig_mlflow_logged_artifact_get(struct ig_call *call)
{
    struct ig_str uri, directory, whole, path = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"artifact_file_path", IG_MLFLOW_TEXT, &path, true}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK || find_logged(call, &uri, &directory) != IG_OK ||
        join(call, &whole, directory, path) != IG_OK)
        return call->err.code;
    return send(call, whole);
}

/* Paths from the model's directory on. */
enum ig_code ig_mlflow_logged_artifact_list(struct ig_call *call)
{
    struct ig_artifact_list list;
    struct ig_json_out out;
    struct ig_str uri, directory, whole, path = IG_STR("");
    const struct ig_mlflow_field fields[] = {
        {"artifact_directory_path", IG_MLFLOW_TEXT, &path, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK || find_logged(call, &uri, &directory) != IG_OK ||
        join(call, &whole, directory, path) != IG_OK ||
        ig_artifacts_list(&list, call->app->db, whole, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "root_uri", uri);
    write_files(&out, &list, path);
    ig_json_out_object_end(&out);
    return IG_OK;
}
