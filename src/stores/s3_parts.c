/* SPDX-License-Identifier: Apache-2.0 */
/* Uploads in parts, one after the other: each has its own checksum, and what failed is ended, so
 * that nobody pays for parts that no object has. Thread rule: pure but for the calls. */
#include "base/mem.h"
#include "stores/s3_priv.h"
#include "stores/s3_xml.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { PART_BYTES = 16 << 20, PARTS_MAX = 10000, UPLOAD_ID_MAX = 1024, LIST_MAX = 4 << 20 };

struct parts {
    struct ig_s3 *s3;
    const char *name;
    char upload[UPLOAD_ID_MAX + 1];
    struct ig_buf list; /* the parts for the end, as XML */
};

static bool take_upload(void *context, const struct ig_s3_element *element)
{
    struct parts *parts = context;
    if (!ig_str_is(element->name, "UploadId") || element->text.len > UPLOAD_ID_MAX) return true;
    memcpy(parts->upload, element->text.ptr, element->text.len);
    parts->upload[element->text.len] = 0;
    return false;
}

static enum ig_code begin(struct parts *parts, struct ig_err *err)
{
    struct s3_call call;
    s3_call_init(&call, "POST", parts->name);
    s3_call_query(&call, "uploads", IG_STR(""));
    s3_call_header(&call, "content-type", IG_STR("application/octet-stream"));
    s3_call_header(&call, "x-amz-checksum-algorithm", IG_STR("SHA256"));
    if (s3_call(parts->s3, &call, err) == IG_OK)
        ig_s3_xml_walk(ig_buf_view(&call.exchange.reply), take_upload, parts, err);
    if (err->code == IG_OK && !parts->upload[0])
        ig_fail(err, IG_IO, "S3: an upload in parts began without a name");
    s3_call_deinit(&call);
    return err->code;
}

static enum ig_code hash_part(unsigned char digest[IG_SHA256_BYTES], int fd, uint64_t at,
                              uint64_t bytes, struct ig_err *err)
{
    enum { PIECE = 256 << 10 };
    struct ig_sha256 *hash = ig_sha256_new();
    char *piece = ig_alloc(PIECE);
    if (!hash || !piece) ig_fail(err, IG_NO_MEMORY, "S3: a part");
    for (uint64_t done = 0; err->code == IG_OK && done < bytes;) {
        size_t want = bytes - done < PIECE ? (size_t)(bytes - done) : PIECE;
        ssize_t got = pread(fd, piece, want, (off_t)(at + done));
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) {
            ig_fail(err, IG_IO, "S3: a part: %s", got < 0 ? strerror(errno) : "it is too short");
            break;
        }
        ig_sha256_update(hash, piece, (size_t)got);
        done += (uint64_t)got;
    }
    if (err->code == IG_OK) ig_sha256_final(hash, digest);
    ig_sha256_free(hash);
    ig_free(piece);
    return err->code;
}

static enum ig_code put_part(struct parts *parts, unsigned number, int fd, uint64_t at,
                             uint64_t bytes, struct ig_err *err)
{
    unsigned char digest[IG_SHA256_BYTES];
    char hex[IG_SHA256_HEX], checksum[IG_SHA256_BASE64], text[12];
    struct s3_call call;
    if (hash_part(digest, fd, at, bytes, err) != IG_OK) return err->code;
    ig_hex(hex, digest, sizeof digest);
    ig_sha256_base64(checksum, digest);
    snprintf(text, sizeof text, "%u", number);
    s3_call_init(&call, "PUT", parts->name);
    s3_call_query(&call, "partNumber", ig_str_view(text));
    s3_call_query(&call, "uploadId", ig_str_view(parts->upload));
    s3_call_header(&call, "x-amz-checksum-sha256", ig_str_view(checksum));
    call.body_hash = hex;
    call.exchange.body_fd = fd;
    call.exchange.body_at = at;
    call.exchange.body_bytes = bytes;
    if (s3_call(parts->s3, &call, err) == IG_OK) {
        if (!call.exchange.etag[0] || strpbrk(call.exchange.etag, "<>&"))
            ig_fail(err, IG_IO, "S3: a part was taken without an ETag");
        ig_buf_printf(&parts->list,
                      "<Part><PartNumber>%u</PartNumber><ETag>%s</ETag>"
                      "<ChecksumSHA256>%s</ChecksumSHA256></Part>",
                      number, call.exchange.etag, checksum);
    }
    s3_call_deinit(&call);
    return err->code;
}

static enum ig_code end(struct parts *parts, uint64_t size_bytes, struct ig_err *err)
{
    char hex[IG_SHA256_HEX];
    struct s3_call call;
    struct ig_err local = IG_ERR_INIT, head = IG_ERR_INIT;
    uint64_t there = 0;
    ig_buf_add_cstr(&parts->list, "</CompleteMultipartUpload>");
    if (parts->list.overflowed) return ig_fail(err, IG_NO_MEMORY, "S3: the list of parts");
    ig_sha256_hex(parts->list.ptr, parts->list.len, hex);
    s3_call_init(&call, "POST", parts->name);
    s3_call_query(&call, "uploadId", ig_str_view(parts->upload));
    s3_call_header(&call, "content-type", IG_STR("application/xml"));
    call.body_hash = hex;
    call.exchange.body = parts->list.ptr;
    call.exchange.body_bytes = parts->list.len;
    enum ig_code code = s3_call(parts->s3, &call, &local);
    s3_call_deinit(&call);
    /* An end whose answer was lost is not known any more: what counts is what is there. */
    if (code != IG_OK && code != IG_NOT_FOUND) return ig_fail(err, code, "%s", local.message);
    if (ig_s3_head(&there, parts->s3, parts->name, &head) == IG_OK && there == size_bytes)
        return IG_OK;
    if (code != IG_OK) return ig_fail(err, IG_IO, "%s", local.message);
    if (head.code != IG_OK) return ig_fail(err, head.code, "%s", head.message);
    return ig_fail(err, IG_CORRUPT, "S3: of %" PRIu64 " bytes in parts %" PRIu64 " are there",
                   size_bytes, there);
}

enum ig_code s3_abort_parts(struct ig_s3 *s3, const char *name, struct ig_str upload,
                            struct ig_err *err)
{
    struct s3_call call;
    struct ig_err local = IG_ERR_INIT;
    s3_call_init(&call, "DELETE", name);
    s3_call_query(&call, "uploadId", upload);
    enum ig_code code = s3_call(s3, &call, &local);
    s3_call_deinit(&call);
    return code == IG_OK || code == IG_NOT_FOUND ? IG_OK : ig_fail(err, code, "%s", local.message);
}

enum ig_code s3_put_parts(struct ig_s3 *s3, const char *name, int fd, uint64_t size_bytes,
                          struct ig_err *err)
{
    struct parts parts = {.s3 = s3, .name = name};
    struct ig_err local = IG_ERR_INIT;
    uint64_t part = PART_BYTES;
    unsigned number = 0;
    while (part * PARTS_MAX < size_bytes) part *= 2;
    ig_buf_init(&parts.list, LIST_MAX);
    ig_buf_add_cstr(&parts.list, "<CompleteMultipartUpload "
                                 "xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">");
    begin(&parts, err);
    for (uint64_t at = 0; err->code == IG_OK && at < size_bytes; at += part)
        put_part(&parts, ++number, fd, at, size_bytes - at < part ? size_bytes - at : part, err);
    if (err->code == IG_OK) end(&parts, size_bytes, err);
    if (err->code != IG_OK && parts.upload[0])
        s3_abort_parts(s3, name, ig_str_view(parts.upload), &local);
    ig_buf_deinit(&parts.list);
    return err->code;
}
