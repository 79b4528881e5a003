/* SPDX-License-Identifier: Apache-2.0 */
/* Objects, streamed both ways in pieces of PIECE bytes: memory does not grow with the object. */
#include "api/rest.h"
#include "api/route.h"
#include "base/file.h"

#include <string.h>
#include <unistd.h>

enum { PIECE = 256 << 10 };

/* The body into a writer; frees the writer on failure. */
static enum ig_code take_body(struct ig_call *call, struct ig_blob_writer *writer)
{
    char *piece = ig_arena_alloc(call->arena, PIECE);
    int64_t got = -1;
    if (!piece)
        ig_fail(&call->err, IG_NO_MEMORY, "no memory for the upload");
    else
        while ((got = ig_exchange_read(call->exchange, piece, PIECE, &call->err)) > 0)
            if (ig_blob_append(writer, piece, (size_t)got, &call->err) != IG_OK) break;
    if (call->err.code != IG_OK) ig_blob_abort(writer);
    return call->err.code;
}

enum ig_code ig_rest_blob_store(char digest[IG_SHA256_HEX], uint64_t *size, struct ig_call *call)
{
    struct ig_blob_writer *writer;
    if (ig_blob_begin(&writer, call->app->blobs, call->app->blob_max_bytes, &call->err) != IG_OK)
        return call->err.code;
    if (take_body(call, writer) != IG_OK) return call->err.code;
    return ig_blob_commit(digest, size, writer, &call->err);
}

static enum ig_code reply(struct ig_call *call, const char *digest, uint64_t size)
{
    struct ig_json_out out;
    call->exchange->status = 201;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "digest", ig_str_view(digest));
    ig_json_out_kv_i64(&out, "size_bytes", (int64_t)size);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_blob_post(struct ig_call *call)
{
    char digest[IG_SHA256_HEX];
    uint64_t size = 0;
    if (ig_rest_blob_store(digest, &size, call) != IG_OK) return call->err.code;
    return reply(call, digest, size);
}

/* Stored under the digest it has; a body that is not what the path says is refused. The object
 * itself stays: it is valid, only nobody refers to it. */
enum ig_code ig_rest_blob_put(struct ig_call *call)
{
    char digest[IG_SHA256_HEX];
    uint64_t size = 0;
    call->field = "digest";
    if (ig_blob_check_digest(call->params[0], &call->err) != IG_OK) return call->err.code;
    if (ig_rest_blob_store(digest, &size, call) != IG_OK) return call->err.code;
    if (!ig_str_is(call->params[0], digest))
        return ig_fail(&call->err, IG_INVALID, "digest: the body's SHA-256 is %s, not %.*s", digest,
                       IG_STR_ARGS(call->params[0]));
    return reply(call, digest, size);
}

static void send_file(struct ig_call *call, int fd, uint64_t size)
{
    struct ig_err err = IG_ERR_INIT;
    char *piece = ig_arena_alloc(call->arena, PIECE);
    while (piece && size) {
        ssize_t got = read(fd, piece, size < PIECE ? (size_t)size : PIECE);
        if (got <= 0) break;
        if (ig_exchange_write(call->exchange, piece, (size_t)got, &err) != IG_OK) return;
        size -= (uint64_t)got;
    }
    if (size) ig_exchange_abort(call->exchange);
}

enum ig_code ig_rest_blob_send(struct ig_call *call, struct ig_str digest, const char *type)
{
    int fd = -1;
    uint64_t size = 0;
    if (ig_blob_get(&fd, &size, call->app->blobs, digest, &call->err) != IG_OK)
        return call->err.code;
    call->exchange->content_type = type;
    if (ig_exchange_begin(call->exchange, (int64_t)size, &call->err) == IG_OK) {
        if (!ig_str_is(call->exchange->request.method, "HEAD")) send_file(call, fd, size);
        ig_err_clear(&call->err);
    }
    ig_file_close(&fd);
    return call->err.code;
}

enum ig_code ig_rest_blob_get(struct ig_call *call)
{
    call->field = "digest";
    if (ig_blob_check_digest(call->params[0], &call->err) != IG_OK) return call->err.code;
    return ig_rest_blob_send(call, call->params[0], "application/octet-stream");
}
