/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the header of bundles: the server keeps them without looking at their models. Stateless. */
#include "formats/edge/edge_header.h"

enum {
    VERSION = 1,
    SIZE_AT = 8,
    ID_AT = 16,
    ID_BYTES = 32,
    COUNTER_AT = 48,
    EXPIRY_AT = 56,
    TARGET_AT = 64,
    TARGET_BYTES = 16,
    ARENA_AT = 80,
    MODEL_AT = 84,
    MODEL_BYTES_AT = 88,
};

static uint64_t number(struct ig_str bundle, size_t at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | (unsigned char)bundle.ptr[at + i];
    return value;
}

static struct ig_str text(struct ig_str bundle, size_t at, size_t bytes)
{
    const char *end = memchr(bundle.ptr + at, 0, bytes);
    return (struct ig_str){bundle.ptr + at, end ? (size_t)(end - bundle.ptr) - at : bytes};
}

enum ig_code ig_edge_header_read(struct ig_edge_header *out, struct ig_str bundle,
                                 struct ig_err *err)
{
    if (bundle.len < IG_EDGE_HEADER_BYTES || memcmp(bundle.ptr, "IGB\x1a", 4) != 0)
        return ig_fail(err, IG_CORRUPT, "it is no bundle (ingot edge bundle makes one)");
    if (number(bundle, 4, 4) != VERSION)
        return ig_fail(err, IG_CORRUPT, "its version is %u, expected %d",
                       (unsigned)number(bundle, 4, 4), VERSION);
    if (number(bundle, SIZE_AT, 4) != bundle.len)
        return ig_fail(err, IG_CORRUPT, "it has %zu bytes and says %u", bundle.len,
                       (unsigned)number(bundle, SIZE_AT, 4));
    struct ig_edge_header header = {
        .id = text(bundle, ID_AT, ID_BYTES),
        .target = text(bundle, TARGET_AT, TARGET_BYTES),
        .counter = number(bundle, COUNTER_AT, 8),
        .expiry = number(bundle, EXPIRY_AT, 8),
        .arena_bytes = (uint32_t)number(bundle, ARENA_AT, 4),
        .model_at = (uint32_t)number(bundle, MODEL_AT, 4),
        .model_bytes = (uint32_t)number(bundle, MODEL_BYTES_AT, 4),
    };
    if (!ig_str_utf8_valid(header.id) || !ig_str_utf8_valid(header.target))
        return ig_fail(err, IG_CORRUPT, "its id or target is no text");
    if (header.counter == 0 || header.counter > INT64_MAX || header.expiry > INT64_MAX)
        return ig_fail(err, IG_CORRUPT, "its counter or expiry is out of range");
    if (header.model_at > bundle.len || header.model_bytes > bundle.len - header.model_at)
        return ig_fail(err, IG_CORRUPT, "its model is not all there");
    *out = header;
    return IG_OK;
}

void ig_edge_header_renew(struct ig_buf *bundle, uint64_t counter, uint64_t expiry)
{
    for (size_t i = 0; i < 8; i++) {
        bundle->ptr[COUNTER_AT + i] = (char)(counter >> (8 * i));
        bundle->ptr[EXPIRY_AT + i] = (char)(expiry >> (8 * i));
    }
}
