/* SPDX-License-Identifier: Apache-2.0 */
/* Frames, encodings and texts of gRPC. Everything here is from a client: lengths are compared with
 * their cap before anything is reserved, and decompression stops at its cap. Thread rule: pure
 * functions. */
#include "net/grpc_frame.h"

#include "base/mem.h"

#include <string.h>
#include <zlib.h>

enum { INFLATE_STEP_BYTES = 64 * 1024, TIMEOUT_DIGITS_MAX = 8 };

enum ig_grpc_status ig_grpc_status_of_http(int http_status)
{
    switch (http_status) {
    case 400:
        return IG_GRPC_INTERNAL;
    case 401:
        return IG_GRPC_UNAUTHENTICATED;
    case 403:
        return IG_GRPC_PERMISSION_DENIED;
    case 404:
        return IG_GRPC_UNIMPLEMENTED;
    case 408:
        return IG_GRPC_DEADLINE_EXCEEDED;
    case 413:
    case 431:
        return IG_GRPC_RESOURCE_EXHAUSTED;
    case 429:
    case 502:
    case 503:
    case 504:
        return IG_GRPC_UNAVAILABLE;
    default:
        return IG_GRPC_UNKNOWN;
    }
}

enum ig_grpc_frame_result ig_grpc_frame_parse(struct ig_grpc_frame *frame, struct ig_str input,
                                              size_t message_max_bytes)
{
    const unsigned char *prefix = (const unsigned char *)input.ptr;
    *frame = (struct ig_grpc_frame){0};
    if (input.len && prefix[0] > 1) return IG_GRPC_FRAME_BAD;
    if (input.len < IG_GRPC_PREFIX_BYTES) return IG_GRPC_FRAME_MORE;
    size_t length = (size_t)prefix[1] << 24 | (size_t)prefix[2] << 16 | (size_t)prefix[3] << 8 |
                    (size_t)prefix[4];
    frame->compressed = prefix[0] == 1;
    frame->whole_bytes = IG_GRPC_PREFIX_BYTES + length;
    if (length > message_max_bytes) return IG_GRPC_FRAME_TOO_LARGE;
    if (input.len - IG_GRPC_PREFIX_BYTES < length) return IG_GRPC_FRAME_MORE;
    frame->message = (struct ig_str){input.ptr + IG_GRPC_PREFIX_BYTES, length};
    return IG_GRPC_FRAME_WHOLE;
}

size_t ig_grpc_frame_open(struct ig_buf *out)
{
    static const char EMPTY[IG_GRPC_PREFIX_BYTES];
    size_t at = out->len;
    ig_buf_add(out, EMPTY, sizeof EMPTY);
    return at;
}

bool ig_grpc_frame_close(struct ig_buf *out, size_t at)
{
    if (out->overflowed) return false;
    IG_ASSERT(out->len >= at + IG_GRPC_PREFIX_BYTES);
    size_t length = out->len - at - IG_GRPC_PREFIX_BYTES;
    if (length > UINT32_MAX) return false;
    char *prefix = out->ptr + at;
    prefix[0] = 0;
    for (int i = 1; i < IG_GRPC_PREFIX_BYTES; i++)
        prefix[i] = (char)(length >> (8 * (IG_GRPC_PREFIX_BYTES - 1 - i)));
    return true;
}

enum ig_grpc_encoding ig_grpc_encoding_of(struct ig_str name)
{
    if (!name.len || ig_str_eq_nocase(name, IG_STR("identity"))) return IG_GRPC_IDENTITY;
    if (ig_str_eq_nocase(name, IG_STR("gzip"))) return IG_GRPC_GZIP;
    if (ig_str_eq_nocase(name, IG_STR("deflate"))) return IG_GRPC_DEFLATE;
    return IG_GRPC_ENCODING_OTHER;
}

static void *zlib_alloc(void *context, unsigned items, unsigned size)
{
    (void)context;
    return ig_zalloc_array(items, size);
}

static void zlib_free(void *context, void *memory)
{
    (void)context;
    ig_free(memory);
}

/* Until the stream's end, with at most max_bytes beyond out->len at `start`. */
static enum ig_code inflate_all(z_stream *stream, struct ig_buf *out, size_t start,
                                size_t max_bytes, struct ig_err *err)
{
    for (;;) {
        size_t room = max_bytes - (out->len - start);
        size_t step = room < INFLATE_STEP_BYTES ? room + 1 : INFLATE_STEP_BYTES;
        if (!ig_buf_reserve(out, step))
            return ig_fail(err, IG_NO_MEMORY, "no memory to decompress a message");
        stream->next_out = (Bytef *)out->ptr + out->len;
        stream->avail_out = (uInt)step;
        int status = inflate(stream, Z_NO_FLUSH);
        size_t got = step - stream->avail_out;
        if (got > room)
            return ig_fail(err, IG_TOO_LARGE, "the decompressed message exceeds %zu bytes",
                           max_bytes);
        out->len += got;
        if (status == Z_STREAM_END) break;
        if (status == Z_MEM_ERROR)
            return ig_fail(err, IG_NO_MEMORY, "no memory to decompress a message");
        if (status != Z_OK && status != Z_BUF_ERROR)
            return ig_fail(err, IG_PARSE, "the compressed message is malformed");
        if (got < step && !stream->avail_in)
            return ig_fail(err, IG_PARSE, "the compressed message is cut short");
    }
    if (stream->avail_in)
        return ig_fail(err, IG_PARSE, "%u bytes stand behind the compressed message",
                       stream->avail_in);
    return IG_OK;
}

enum ig_code ig_grpc_inflate(struct ig_buf *out, struct ig_str bytes, size_t max_bytes,
                             struct ig_err *err)
{
    z_stream stream = {.zalloc = zlib_alloc, .zfree = zlib_free};
    size_t start = out->len;
    if (bytes.len > UINT32_MAX)
        return ig_fail(err, IG_TOO_LARGE, "the compressed message exceeds 4 GiB");
    if (inflateInit2(&stream, 15 + 32) != Z_OK) /* either header */
        return ig_fail(err, IG_NO_MEMORY, "no memory to decompress a message");
    stream.next_in = (Bytef *)bytes.ptr;
    stream.avail_in = (uInt)bytes.len;
    enum ig_code code = inflate_all(&stream, out, start, max_bytes, err);
    inflateEnd(&stream);
    if (code) out->len = start;
    return code;
}

bool ig_grpc_timeout_parse(uint64_t *out_ns, struct ig_str text)
{
    static const struct {
        char unit;
        uint64_t ns;
    } UNITS[] = {{'H', 3600000000000u}, {'M', 60000000000u}, {'S', 1000000000u},
                 {'m', 1000000u},       {'u', 1000u},        {'n', 1u}};
    uint64_t value = 0;
    if (text.len < 2 || text.len > TIMEOUT_DIGITS_MAX + 1) return false;
    for (size_t i = 0; i < text.len - 1; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        value = value * 10 + (uint64_t)(text.ptr[i] - '0');
    }
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++) {
        if (text.ptr[text.len - 1] != UNITS[i].unit) continue;
        *out_ns = value * UNITS[i].ns;
        if (value > UINT64_MAX / UNITS[i].ns) *out_ns = UINT64_MAX;
        return true;
    }
    return false;
}

void ig_grpc_message_encode(struct ig_buf *out, struct ig_str text, size_t max_bytes)
{
    static const char HEX[] = "0123456789ABCDEF";
    for (size_t i = 0; i < text.len; i++) {
        unsigned char c = (unsigned char)text.ptr[i];
        bool plain = c >= 0x20 && c <= 0x7e && c != '%';
        size_t size = plain ? 1 : 3;
        if (size > max_bytes) return;
        max_bytes -= size;
        if (plain) {
            ig_buf_add_char(out, (char)c);
            continue;
        }
        char escape[3] = {'%', HEX[c >> 4], HEX[c & 15]};
        ig_buf_add(out, escape, sizeof escape);
    }
}
