/* SPDX-License-Identifier: Apache-2.0 */
/* A length that is not known yet takes five bytes: a varint may be longer than it needs to be. */
#include "base/proto.h"

#include <string.h>

enum { LENGTH_BYTES = 5, VARINT_MAX_BYTES = 10 };

void ig_proto_init(struct ig_proto *proto, struct ig_str message)
{
    proto->at = (const unsigned char *)(message.ptr ? message.ptr : "");
    proto->end = proto->at + message.len;
    proto->bad = false;
}

static bool long_varint(struct ig_proto *proto, uint64_t *out)
{
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 70 && proto->at < proto->end; shift += 7) {
        unsigned char byte = *proto->at++;
        if (shift < 64) value |= (uint64_t)(byte & 127) << shift;
        if (byte & 128) continue;
        *out = value;
        return true;
    }
    proto->bad = true;
    return false;
}

static inline bool varint(struct ig_proto *proto, uint64_t *out)
{
    if (proto->bad || proto->at == proto->end) return false;
    if (*proto->at & 128) return long_varint(proto, out);
    *out = *proto->at++;
    return true;
}

bool ig_proto_varint(struct ig_proto *proto, uint64_t *out)
{
    return varint(proto, out);
}

static bool take(struct ig_proto *proto, void *out, size_t size)
{
    if ((size_t)(proto->end - proto->at) < size) {
        proto->bad = true;
        return false;
    }
    memcpy(out, proto->at, size);
    proto->at += size;
    return true;
}

bool ig_proto_next(struct ig_proto *proto, struct ig_proto_field *out)
{
    uint64_t tag, length;
    uint32_t word;
    if (!varint(proto, &tag)) return false;
    *out = (struct ig_proto_field){.number = (uint32_t)(tag >> 3),
                                   .wire = (enum ig_proto_wire)(tag & 7)};
    if (tag >> 32 || !out->number) proto->bad = true;
    switch (out->wire) {
    case IG_PROTO_VARINT:
        if (!varint(proto, &out->value)) proto->bad = true;
        break;
    case IG_PROTO_64:
        take(proto, &out->value, 8);
        break;
    case IG_PROTO_32:
        if (take(proto, &word, 4)) out->value = word;
        break;
    case IG_PROTO_BYTES:
        if (!varint(proto, &length) || length > (uint64_t)(proto->end - proto->at)) {
            proto->bad = true;
            break;
        }
        out->bytes = (struct ig_str){(const char *)proto->at, length};
        proto->at += length;
        break;
    default:
        proto->bad = true;
    }
    return !proto->bad;
}

static inline size_t write_varint(char *to, uint64_t value)
{
    size_t length = 0;
    for (; value > 127; value >>= 7) to[length++] = (char)(value | 128);
    to[length++] = (char)value;
    return length;
}

/* A field's key, and the number behind it. */
static void add_pair(struct ig_buf *out, uint64_t key, uint64_t value)
{
    char bytes[2 * VARINT_MAX_BYTES];
    size_t length = write_varint(bytes, key);
    length += write_varint(bytes + length, value);
    ig_buf_add(out, bytes, length);
}

void ig_proto_put_varint(struct ig_buf *out, uint64_t value)
{
    char bytes[VARINT_MAX_BYTES];
    ig_buf_add(out, bytes, write_varint(bytes, value));
}

void ig_proto_add_varint(struct ig_buf *out, uint32_t number, uint64_t value)
{
    add_pair(out, (uint64_t)number << 3 | IG_PROTO_VARINT, value);
}

void ig_proto_add_bytes(struct ig_buf *out, uint32_t number, struct ig_str bytes)
{
    add_pair(out, (uint64_t)number << 3 | IG_PROTO_BYTES, bytes.len);
    ig_buf_add_str(out, bytes);
}

static void add_fixed(struct ig_buf *out, uint64_t bits, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++, bits >>= 8) ig_buf_add_char(out, (char)(bits & 255));
}

void ig_proto_add_f32(struct ig_buf *out, uint32_t number, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    ig_proto_put_varint(out, (uint64_t)number << 3 | IG_PROTO_32);
    add_fixed(out, bits, sizeof bits);
}

void ig_proto_add_f64(struct ig_buf *out, uint32_t number, double value)
{
    uint64_t bits;
    memcpy(&bits, &value, sizeof bits);
    ig_proto_put_varint(out, (uint64_t)number << 3 | IG_PROTO_64);
    add_fixed(out, bits, sizeof bits);
}

size_t ig_proto_open(struct ig_buf *out, uint32_t number)
{
    char bytes[VARINT_MAX_BYTES + LENGTH_BYTES] = {0};
    size_t length = write_varint(bytes, (uint64_t)number << 3 | IG_PROTO_BYTES);
    ig_buf_add(out, bytes, length + LENGTH_BYTES);
    return out->len;
}

void ig_proto_close(struct ig_buf *out, size_t at)
{
    if (out->overflowed) return;
    uint64_t length = out->len - at;
    const char bytes[LENGTH_BYTES] = {(char)(length | 128), (char)(length >> 7 | 128),
                                      (char)(length >> 14 | 128), (char)(length >> 21 | 128),
                                      (char)(length >> 28 & 127)};
    memcpy(out->ptr + at - LENGTH_BYTES, bytes, sizeof bytes);
}
