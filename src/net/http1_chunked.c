/* SPDX-License-Identifier: Apache-2.0 */
/* The chunked coding (RFC 9112 section 7.1), decoded in place, byte exact.
 *
 *   SIZE -> [EXTENSION] -> SIZE_LF -> DATA -> DATA_CR -> DATA_LF -> SIZE ...
 *                             \ (size 0) -> TRAILER -> [NAME -> VALUE -> VALUE_LF -> TRAILER]
 *                                             \-> LAST_LF -> END
 *
 * White space around a size is refused, a bare LF too. All extensions and trailers of one body
 * together may hold OVERHEAD_MAX bytes, so that a client cannot make us read ten bytes for each one
 * of data. Thread rule: pure functions on the caller's state. */
#include "net/http1.h"

#include "base/hash.h"

enum { OVERHEAD_MAX = 8192, DIGITS_MAX = 15 };

enum state {
    SIZE,
    EXTENSION,
    SIZE_LF,
    DATA,
    DATA_CR,
    DATA_LF,
    TRAILER,
    NAME,
    VALUE,
    VALUE_LF,
    LAST_LF,
    END,
    BAD
};

static bool is_text(unsigned char c)
{
    return c == '\t' || (c >= 0x20 && c != 0x7f);
}

static enum state step_size(struct ig_http1_chunked *chunked, unsigned char c)
{
    int value = ig_hex_digit((char)c);
    if (value >= 0) {
        chunked->left = chunked->left << 4 | (uint64_t)value;
        return ++chunked->digits <= DIGITS_MAX ? SIZE : BAD;
    }
    if (!chunked->digits) return BAD;
    if (c == '\r') return SIZE_LF;
    return c == ';' ? EXTENSION : BAD;
}

/* One byte of anything but data. */
static enum state step(struct ig_http1_chunked *chunked, unsigned char c)
{
    char text = (char)c;
    switch ((enum state)chunked->state) {
    case SIZE:
        return step_size(chunked, c);
    case EXTENSION:
        chunked->overhead++;
        if (c == '\r') return SIZE_LF;
        return is_text(c) ? EXTENSION : BAD;
    case SIZE_LF:
        chunked->digits = 0;
        if (c != '\n') return BAD;
        return chunked->left ? DATA : TRAILER;
    case DATA_CR:
        return c == '\r' ? DATA_LF : BAD;
    case DATA_LF:
        return c == '\n' ? SIZE : BAD;
    case TRAILER:
        if (c == '\r') return LAST_LF;
        chunked->overhead++;
        return ig_http_token_valid((struct ig_str){&text, 1}) ? NAME : BAD;
    case NAME:
        chunked->overhead++;
        if (c == ':') return VALUE;
        return ig_http_token_valid((struct ig_str){&text, 1}) ? NAME : BAD;
    case VALUE:
        chunked->overhead++;
        if (c == '\r') return VALUE_LF;
        return is_text(c) ? VALUE : BAD;
    case VALUE_LF:
        return c == '\n' ? TRAILER : BAD;
    case LAST_LF:
        return c == '\n' ? END : BAD;
    case DATA:
    case END:
    case BAD:
        break;
    }
    return BAD;
}

enum ig_http1_chunk ig_http1_chunked(struct ig_http1_chunked *chunked, struct ig_str input,
                                     size_t *used, struct ig_str *data)
{
    size_t at = 0;
    while (at < input.len && chunked->state != DATA && chunked->state < END) {
        chunked->state = (uint8_t)step(chunked, (unsigned char)input.ptr[at++]);
        if (chunked->overhead > OVERHEAD_MAX) chunked->state = BAD;
    }
    *used = at;
    if (chunked->state == END) return IG_HTTP1_CHUNK_END;
    if (chunked->state == BAD) return IG_HTTP1_CHUNK_BAD;
    if (at == input.len) return IG_HTTP1_CHUNK_MORE;
    size_t size = input.len - at < chunked->left ? input.len - at : (size_t)chunked->left;
    *data = (struct ig_str){input.ptr + at, size};
    *used = at + size;
    chunked->left -= size;
    if (!chunked->left) chunked->state = DATA_CR;
    return IG_HTTP1_CHUNK_DATA;
}
