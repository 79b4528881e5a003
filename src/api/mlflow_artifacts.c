/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's artifact proxy (mlflow-artifacts:/ URIs), as its HTTP clients use it. Uploads and
 * downloads stream; nothing that was uploaded is ever run as what it says it is: every answer is to
 * be saved, is of a type that no browser executes, and never sniffed. */
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"
#include "net/client.h"
#include "services/registered/registered.h"
#include "services/tracking/logged.h"
#include "services/tracking/trace_spans.h"

#include <stdio.h>
#include <string.h>

enum { DISPOSITION_MAX = 64 + 3 * IG_ARTIFACT_NAME_MAX, URL_MAX = 16 << 10, URL_S = 900 };

static struct ig_str last_segment(struct ig_str path)
{
    struct ig_str name;
    do name = ig_str_cut(&path, '/');
    while (path.ptr);
    return name;
}

/* By the name alone, as MLflow's server does, but of its types only those that no browser runs;
 * SVG and HTML are none of them. What is read as text is plain text, whatever its kind. */
static const char *type_of(struct ig_str name)
{
    static const struct {
        const char *names, *type;
    } TYPES[] = {
        {" txt log err cfg conf cnf cf ini properties prop hocon toml yaml yml xml json js py py3 "
         "csv"
         " tsv md rst ipynb MLmodel MLproject mlproject ",
         "text/plain"},
        {" png ", "image/png"},
        {" jpg jpeg ", "image/jpeg"},
        {" gif ", "image/gif"},
        {" webp ", "image/webp"},
        {" bmp ", "image/bmp"},
        {" pdf ", "application/pdf"},
        {" zip ", "application/zip"},
    };
    char word[16];
    struct ig_str ending = name;
    for (size_t at = name.len; at-- > 1;)
        if (name.ptr[at] == '.') {
            ending = (struct ig_str){name.ptr + at + 1, name.len - at - 1};
            break;
        }
    if (!ending.len || ending.len > sizeof word - 3 || memchr(ending.ptr, ' ', ending.len))
        return "application/octet-stream";
    snprintf(word, sizeof word, " %.*s ", IG_STR_ARGS(ending));
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (strstr(TYPES[i].names, word)) return TYPES[i].type;
    return "application/octet-stream";
}

/* A name that stands in a header as it is, without quotes (RFC 9110's token). */
static bool is_token(struct ig_str name)
{
    for (size_t i = 0; i < name.len; i++) {
        char c = name.ptr[i], letter = (char)(c | 0x20);
        bool plain = (letter >= 'a' && letter <= 'z') || (c >= '0' && c <= '9');
        if (!plain && (!c || !strchr("!#$&+-.^_`|~", c))) return false;
    }
    return name.len > 0;
}

/* "attachment" with the path's last segment as the name (RFC 6266, RFC 8187). */
static void write_disposition(struct ig_buf *out, struct ig_str name)
{
    if (is_token(name)) {
        ig_buf_add_cstr(out, "attachment; filename=");
        ig_buf_add_str(out, name);
    } else {
        ig_buf_add_cstr(out, "attachment; filename*=UTF-8''");
        ig_client_escape(out, name);
    }
}

static enum ig_code offer_as_file(struct ig_call *call, struct ig_str name)
{
    struct ig_buf value;
    ig_buf_init(&value, DISPOSITION_MAX);
    write_disposition(&value, name);
    ig_exchange_header(call->exchange, "Content-Disposition", ig_buf_view(&value), &call->err);
    ig_buf_deinit(&value);
    return call->err.code;
}

static enum ig_code send(struct ig_call *call, struct ig_str path)
{
    struct ig_artifact artifact = {0};
    if (ig_artifacts_get(&artifact, call->app->db, path, &call->err) != IG_OK)
        return call->err.code;
    if (offer_as_file(call, last_segment(path)) != IG_OK) return call->err.code;
    return ig_rest_blob_send(call, ig_str_view(artifact.digest), type_of(last_segment(path)));
}

/* The run that is asked for, as `run_id` or, of older clients, `run_uuid`, and `path`, which is
 * empty when absent. */
static enum ig_code find_run(struct ig_call *call, struct ig_str *uri, struct ig_str *directory,
                             struct ig_str *path)
{
    struct ig_str run = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &run, true},
                                             {"path", IG_MLFLOW_TEXT, path, false}};
    if (ig_mlflow_read(call, fields, 2) != IG_OK) return call->err.code;
    return ig_artifacts_of_run(uri, directory, call->app->db, run, call->arena, &call->err);
}

/* Clients know paths that lead out of a directory by MLflow's two words. */
static enum ig_code check_path(struct ig_call *call, struct ig_str path)
{
    struct ig_str rest = path;
    bool leads_out = path.len && path.ptr[0] == '/';
    while (rest.ptr && !leads_out) leads_out = ig_str_is(ig_str_cut(&rest, '/'), "..");
    if (leads_out) return ig_fail(&call->err, IG_INVALID, "Invalid path");
    return ig_artifacts_check_path(path, &call->err);
}

/* A path below the run's directory; checked alone first, so that it never leads out of it. */
static enum ig_code join(struct ig_call *call, struct ig_str *out, struct ig_str directory,
                         struct ig_str path)
{
    *out = directory;
    if (!path.len) return IG_OK;
    if (check_path(call, path) != IG_OK) return call->err.code;
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

static enum ig_code send_spans(struct ig_call *call, const struct ig_trace_spans *spans)
{
    struct ig_json_out out;
    if (offer_as_file(call, IG_STR("traces.json")) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("spans"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < spans->count; i++) ig_json_out_raw(&out, spans->contents[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    if (!out.buf->overflowed) return IG_OK;
    return ig_fail(&call->err, IG_TOO_LARGE, "spans: larger than a reply may be");
}

/* The spans of a trace, for MLflow's console. */
enum ig_code ig_mlflow_trace_artifact_get(struct ig_call *call)
{
    struct ig_str id = IG_STR(""), uri = {0}, directory = {0}, whole = {0};
    struct ig_trace_spans spans;
    const struct ig_mlflow_field fields[] = {{"request_id", IG_MLFLOW_TEXT, &id, true}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK ||
        ig_trace_spans_read(&spans, call->app->db, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    if (spans.here) return send_spans(call, &spans);
    if (ig_tracking_trace_place(&uri, call->app->db, id, call->arena, &call->err) != IG_OK ||
        ig_artifacts_directory(&directory, uri, "request_id", &call->err) != IG_OK ||
        join(call, &whole, directory, IG_STR("traces.json")) != IG_OK)
        return call->err.code;
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
    if (ig_mlflow_read(call, fields, 3) != IG_OK || check_path(call, path) != IG_OK ||
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

/* ---- where an artifact lies ---- */

static enum ig_code presign(struct ig_buf *url, struct ig_call *call, struct ig_str path,
                            const struct ig_artifact *artifact, uint32_t expires_s)
{
    struct ig_buf disposition;
    ig_buf_init(&disposition, DISPOSITION_MAX);
    write_disposition(&disposition, last_segment(path));
    const struct ig_blob_offer offer = {ig_buf_view(&disposition), expires_s};
    if (ig_blob_presign(url, call->app->blobs, ig_str_view(artifact->digest), &offer, &call->err) ==
        IG_UNSUPPORTED) {
        ig_err_clear(&call->err);
        ig_fail(&call->err, IG_UNSUPPORTED,
                "Presigned download is not supported for the current artifact repository");
    }
    ig_buf_deinit(&disposition);
    return call->err.code;
}

/* {KEY: URL, "headers", "file_size"}: from S3 itself, for a while. */
static enum ig_code send_url(struct ig_call *call, const char *key, struct ig_str path,
                             uint32_t expires_s)
{
    struct ig_artifact artifact = {0};
    struct ig_json_out out;
    struct ig_buf url;
    if (ig_artifacts_get(&artifact, call->app->db, path, &call->err) != IG_OK)
        return call->err.code;
    ig_buf_init(&url, URL_MAX);
    if (presign(&url, call, path, &artifact, expires_s) == IG_OK) {
        ig_call_json(call, &out);
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, key, ig_buf_view(&url));
        ig_json_out_key(&out, IG_STR("headers"));
        ig_json_out_object(&out);
        ig_json_out_object_end(&out);
        ig_json_out_kv_i64(&out, "file_size", artifact.size_bytes);
        ig_json_out_object_end(&out);
    }
    ig_buf_deinit(&url);
    return call->err.code;
}

enum ig_code ig_mlflow_artifact_presign(struct ig_call *call)
{
    return send_url(call, "url", call->params[0], URL_S);
}

enum ig_code ig_mlflow_run_artifact_presign(struct ig_call *call)
{
    struct ig_str run = IG_STR(""), path = IG_STR(""), uri = {0}, directory = {0}, whole = {0};
    int64_t expires_s = URL_S;
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &run, true},
                                             {"path", IG_MLFLOW_TEXT, &path, true},
                                             {"expiration", IG_MLFLOW_I64, &expires_s, false}};
    if (ig_mlflow_read(call, fields, 3) != IG_OK || check_path(call, path) != IG_OK)
        return call->err.code;
    if (expires_s < 1 || expires_s > 604800)
        return ig_fail(&call->err, IG_INVALID,
                       "expiration must be between 1 and 604800 seconds (got %lld).",
                       (long long)expires_s);
    if (ig_artifacts_of_run(&uri, &directory, call->app->db, run, call->arena, &call->err) !=
            IG_OK ||
        join(call, &whole, directory, path) != IG_OK)
        return call->err.code;
    return send_url(call, "presigned_url", whole, (uint32_t)expires_s);
}

/* An object's name is its hash, so the bytes have to come by here. */
enum ig_code ig_mlflow_run_artifact_presign_put(struct ig_call *call)
{
    return ig_fail(&call->err, IG_INVALID,
                   "Presigned upload is not supported for proxied artifact storage (artifact URI "
                   "scheme: mlflow-artifacts). This endpoint requires a direct cloud storage "
                   "artifact URI.");
}

/* ---- putting, deleting, listing ---- */

/* The path is checked before the body is read, the row written behind the object. */
static enum ig_code store(struct ig_call *call, struct ig_str path, bool empty_allowed)
{
    struct ig_artifact artifact;
    uint64_t size = 0;
    if (ig_artifacts_check_path(path, &call->err) != IG_OK) return call->err.code;
    if (ig_rest_blob_store(artifact.digest, &size, call) != IG_OK) return call->err.code;
    if (!size && !empty_allowed)
        return ig_fail(&call->err, IG_INVALID, "Request must specify data.");
    artifact.size_bytes = (int64_t)size;
    if (ig_artifacts_put(call->app->db, &call->who, path, &artifact, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_artifact_put(struct ig_call *call)
{
    return store(call, call->params[0], true);
}

/* Of MLflow's console. */
enum ig_code ig_mlflow_run_artifact_put(struct ig_call *call)
{
    struct ig_str run = IG_STR(""), path = IG_STR(""), uri = {0}, directory = {0}, whole = {0};
    if (ig_call_query_str(&run, call, "run_uuid") != IG_OK ||
        ig_call_query_str(&path, call, "path") != IG_OK)
        return call->err.code;
    if (!run.len) return ig_fail(&call->err, IG_INVALID, "Request must specify run_uuid.");
    if (!path.len) return ig_fail(&call->err, IG_INVALID, "Request must specify path.");
    if (check_path(call, path) != IG_OK ||
        ig_artifacts_of_run(&uri, &directory, call->app->db, run, call->arena, &call->err) !=
            IG_OK ||
        join(call, &whole, directory, path) != IG_OK)
        return call->err.code;
    return store(call, whole, false);
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
    struct ig_str uri = {0}, directory = {0}, whole = {0}, path = IG_STR("");
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
    struct ig_str uri = {0}, directory = {0}, whole = {0}, path = IG_STR("");
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
