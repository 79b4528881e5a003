/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in parts to MLflow's artifact proxy, for clients that are told to
 * (MLFLOW_ENABLE_PROXY_MULTIPART_UPLOAD). Parts come to this server, wherever the objects lie: the
 * name of an artifact's object is its hash, so its bytes have to pass by. */
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"
#include "base/file.h"
#include "base/thread.h"
#include "services/tracking/artifact_uploads.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PIECE = 256 << 10, URL_MAX = 4096 };

/* The URL's directory and the last segment of a path on the client's machine. */
static enum ig_code join(struct ig_str *out, struct ig_call *call, struct ig_str path)
{
    struct ig_str directory = call->params[0], name = path;
    for (size_t at = 0; at < path.len; at++)
        if (path.ptr[at] == '/') name = (struct ig_str){path.ptr + at + 1, path.len - at - 1};
    const char *text =
        ig_arena_printf(call->arena, "%.*s/%.*s", IG_STR_ARGS(directory), IG_STR_ARGS(name));
    if (!text) return ig_fail(&call->err, IG_NO_MEMORY, "path of an artifact");
    *out = ig_str_view(text);
    return IG_OK;
}

/* Of this server as the client calls it. */
static enum ig_code write_base(struct ig_buf *url, struct ig_call *call)
{
    const struct ig_http_request *request = &call->exchange->request;
    struct ig_str proxied = ig_http_header(request, IG_STR("x-forwarded-proto"));
    bool secure = call->app->tls || ig_str_is(proxied, "https");
    if (!request->host.len)
        return ig_fail(&call->err, IG_INVALID, "Host: missing; parts need a URL to be sent to");
    ig_buf_printf(url, "%s://%.*s/api/2.0/mlflow-artifacts/mpu/parts/", secure ? "https" : "http",
                  IG_STR_ARGS(request->host));
    return IG_OK;
}

/* Each part is sent with the key that the upload was begun with. */
static enum ig_code write_credentials(struct ig_call *call, const char *id, int64_t parts)
{
    struct ig_json_out out;
    struct ig_buf url;
    struct ig_str key = ig_http_header(&call->exchange->request, IG_STR("authorization"));
    ig_buf_init(&url, URL_MAX);
    if (write_base(&url, call) == IG_OK) {
        const size_t base = url.len;
        ig_call_json(call, &out);
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "upload_id", ig_str_view(id));
        ig_json_out_key(&out, IG_STR("credentials"));
        ig_json_out_array(&out);
        for (int64_t part = 1; part <= parts; part++) {
            url.len = base;
            ig_buf_printf(&url, "%s/%lld", id, (long long)part);
            ig_json_out_object(&out);
            ig_json_out_kv_str(&out, "url", ig_buf_view(&url));
            ig_json_out_kv_i64(&out, "part_number", part);
            ig_json_out_key(&out, IG_STR("headers"));
            ig_json_out_object(&out);
            if (key.len) ig_json_out_kv_str(&out, "Authorization", key);
            ig_json_out_object_end(&out);
            ig_json_out_object_end(&out);
        }
        ig_json_out_array_end(&out);
        ig_json_out_object_end(&out);
    }
    if (url.overflowed) ig_fail(&call->err, IG_INVALID, "Host: too long");
    ig_buf_deinit(&url);
    return call->err.code;
}

enum ig_code ig_mlflow_upload_create(struct ig_call *call)
{
    struct ig_str path = IG_STR(""), whole;
    int64_t parts = 1;
    char id[IG_UPLOAD_ID_SIZE];
    const struct ig_mlflow_field fields[] = {{"path", IG_MLFLOW_TEXT, &path, true},
                                             {"num_parts", IG_MLFLOW_I64, &parts, false}};
    if (ig_mlflow_read(call, fields, 2) != IG_OK || join(&whole, call, path) != IG_OK ||
        ig_upload_create(id, call->app->db, whole, parts, &call->err) != IG_OK)
        return call->err.code;
    return write_credentials(call, id, parts);
}

enum ig_code ig_mlflow_upload_part(struct ig_call *call)
{
    struct ig_artifact object;
    struct ig_str id = call->params[0];
    char tag[IG_SHA256_HEX + 2];
    uint64_t size = 0;
    int64_t part;
    if (!ig_str_to_i64(call->params[1], &part))
        return ig_fail(&call->err, IG_INVALID, "part_number: '%.*s', expected a number",
                       (int)(call->params[1].len < 20 ? call->params[1].len : 20),
                       call->params[1].ptr);
    if (ig_upload_expects(call->app->db, id, part, &call->err) != IG_OK ||
        ig_rest_blob_store(object.digest, &size, call) != IG_OK)
        return call->err.code;
    object.size_bytes = (int64_t)size;
    if (ig_upload_put(call->app->db, id, part, &object, &call->err) != IG_OK) return call->err.code;
    snprintf(tag, sizeof tag, "\"%s\"", object.digest);
    if (ig_exchange_header(call->exchange, "ETag", ig_str_view(tag), &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

static enum ig_code append(struct ig_blob_writer *writer, struct ig_call *call, char *piece,
                           struct ig_str digest)
{
    int fd = -1;
    uint64_t left = 0;
    if (ig_blob_get(&fd, &left, call->app->blobs, digest, &call->err) != IG_OK)
        return call->err.code;
    while (left && call->err.code == IG_OK) {
        ssize_t got = read(fd, piece, left < PIECE ? (size_t)left : PIECE);
        if (got <= 0)
            ig_fail(&call->err, IG_CORRUPT, "blob %.*s: cannot be read to its end",
                    IG_STR_ARGS(digest));
        else if (ig_blob_append(writer, piece, (size_t)got, &call->err) == IG_OK)
            left -= (uint64_t)got;
    }
    ig_file_close(&fd);
    return call->err.code;
}

/* The parts as one object. */
static enum ig_code put_together(struct ig_artifact *out, struct ig_call *call,
                                 struct ig_upload_parts parts)
{
    struct ig_blob_writer *writer;
    uint64_t size = 0;
    char *piece = ig_arena_alloc(call->arena, PIECE);
    if (!piece) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the upload");
    if (ig_blob_begin(&writer, call->app->blobs, call->app->blob_max_bytes, &call->err) != IG_OK)
        return call->err.code;
    for (size_t i = 0; i < parts.count && call->err.code == IG_OK; i++)
        append(writer, call, piece, parts.items[i].digest);
    if (call->err.code == IG_OK)
        ig_blob_commit(out->digest, &size, writer, &call->err);
    else
        ig_blob_abort(writer);
    out->size_bytes = (int64_t)size;
    return call->err.code;
}

/* Which upload, and its parts unless NULL. */
static enum ig_code read_end(struct ig_upload *out, struct ig_upload_parts *parts,
                             struct ig_call *call)
{
    struct ig_str file = IG_STR("");
    out->id = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"path", IG_MLFLOW_TEXT, &file, true},
                                             {"upload_id", IG_MLFLOW_TEXT, &out->id, true},
                                             {"parts", IG_MLFLOW_PARTS, parts, true}};
    if (ig_mlflow_read(call, fields, parts ? 3 : 2) != IG_OK) return call->err.code;
    return join(&out->path, call, file);
}

enum ig_code ig_mlflow_upload_complete(struct ig_call *call)
{
    struct ig_upload upload;
    struct ig_upload_parts named = {0}, parts;
    struct ig_artifact artifact;
    if (read_end(&upload, &named, call) != IG_OK ||
        ig_upload_parts(&parts, call->app->db, &upload, named, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_pool_wait_begin();
    put_together(&artifact, call, parts);
    ig_pool_wait_end();
    if (call->err.code != IG_OK ||
        ig_artifacts_put(call->app->db, &call->who, upload.path, &artifact, &call->err) != IG_OK ||
        ig_upload_end(call->app->db, &upload, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_upload_abort(struct ig_call *call)
{
    struct ig_upload upload;
    if (read_end(&upload, NULL, call) != IG_OK ||
        ig_upload_end(call->app->db, &upload, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
