/* SPDX-License-Identifier: Apache-2.0 */
/* A length that is not known yet takes five bytes: a varint may be longer than it needs to be. */
#include "base/proto.h"

#include <string.h>

enum { LENGTH_BYTES = 5 };

void ig_proto_init(struct ig_proto *proto, struct ig_str message)
{
    proto->at = (const unsigned char *)(message.ptr ? message.ptr : "");
    proto->end = proto->at + message.len;
    proto->bad = false;
}

bool ig_proto_varint(struct ig_proto *proto, uint64_t *out)
{
    uint64_t value = 0;
    if (proto->bad || proto->at == proto->end) return false;
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
    if (!ig_proto_varint(proto, &tag)) return false;
    *out = (struct ig_proto_field){.number = (uint32_t)(tag >> 3),
                                   .wire = (enum ig_proto_wire)(tag & 7)};
    if (tag >> 32 || !out->number) proto->bad = true;
    switch (out->wire) {
    case IG_PROTO_VARINT:
        if (!ig_proto_varint(proto, &out->value)) proto->bad = true;
        break;
    case IG_PROTO_64:
        take(proto, &out->value, 8);
        break;
    case IG_PROTO_32:
        if (take(proto, &word, 4)) out->value = word;
        break;
    case IG_PROTO_BYTES:
        if (!ig_proto_varint(proto, &length) || length > (uint64_t)(proto->end - proto->at)) {
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

void ig_proto_put_varint(struct ig_buf *out, uint64_t value)
{
    while (value > 127) {
        ig_buf_add_char(out, (char)(value | 128));
        value >>= 7;
    }
    ig_buf_add_char(out, (char)value);
}

void ig_proto_add_varint(struct ig_buf *out, uint32_t number, uint64_t value)
{
    ig_proto_put_varint(out, (uint64_t)number << 3 | IG_PROTO_VARINT);
    ig_proto_put_varint(out, value);
}

void ig_proto_add_bytes(struct ig_buf *out, uint32_t number, struct ig_str bytes)
{
    ig_proto_put_varint(out, (uint64_t)number << 3 | IG_PROTO_BYTES);
    ig_proto_put_varint(out, bytes.len);
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
    static const char ROOM[LENGTH_BYTES];
    ig_proto_put_varint(out, (uint64_t)number << 3 | IG_PROTO_BYTES);
    ig_buf_add(out, ROOM, sizeof ROOM);
    return out->len;
}

void ig_proto_close(struct ig_buf *out, size_t at)
{
    if (out->overflowed) return;
    size_t length = out->len - at;
    for (size_t i = 0; i < LENGTH_BYTES; i++, length >>= 7)
        out->ptr[at - LENGTH_BYTES + i] = (char)((length & 127) | (i + 1 < LENGTH_BYTES ? 128 : 0));
}
