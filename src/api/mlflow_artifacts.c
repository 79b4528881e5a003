/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's artifact proxy (mlflow-artifacts:/ URIs), as its HTTP clients use it. Uploads and
 * downloads stream; nothing that was uploaded is ever shown as what it says it is: every answer is
 * application/octet-stream, to be saved, and never sniffed. */
#include "api/rest.h"
#include "api/route.h"
#include "net/client.h"

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
    struct ig_artifact artifact;
    if (ig_artifacts_get(&artifact, call->app->db, path, &call->err) != IG_OK)
        return call->err.code;
    if (offer_as_file(call, path) != IG_OK) return call->err.code;
    return ig_rest_blob_send(call, ig_str_view(artifact.digest));
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

static void write_entry(struct ig_json_out *out, const struct ig_artifact_entry *entry)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "path", entry->name);
    ig_json_out_kv_bool(out, "is_dir", entry->is_dir);
    if (!entry->is_dir) ig_json_out_kv_i64(out, "file_size", entry->size_bytes);
    ig_json_out_object_end(out);
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
    ig_json_out_key(&out, IG_STR("files"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_entry(&out, &list.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}
