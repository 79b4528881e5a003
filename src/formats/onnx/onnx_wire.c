/* SPDX-License-Identifier: Apache-2.0 */
/* The protobuf wire reader: no allocation, no recursion, every length checked against what is
 * left. */
#include "formats/onnx/onnx_wire.h"

enum { VARINT_BYTES_MAX = 10 };

struct ig_onnx_wire ig_onnx_wire_begin(struct ig_str bytes, struct ig_err *err)
{
    const uint8_t *at = (const uint8_t *)bytes.ptr;
    return (struct ig_onnx_wire){at, bytes.len ? at + bytes.len : at, at, err};
}

struct ig_onnx_wire ig_onnx_wire_enter(const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    struct ig_onnx_wire inner = ig_onnx_wire_begin(bytes, outer->err);
    inner.start = outer->start;
    return inner;
}

static bool malformed(const struct ig_onnx_wire *wire, const char *what)
{
    ig_fail_at(wire->err, IG_PARSE, wire->at - wire->start, "%s", what);
    return false;
}

bool ig_onnx_wire_varint(struct ig_onnx_wire *wire, uint64_t *value)
{
    uint64_t bits = 0;
    for (unsigned i = 0; i < VARINT_BYTES_MAX; i++) {
        if (wire->at == wire->end) return malformed(wire, "the bytes end within a number");
        uint8_t byte = *wire->at++;
        bits |= (uint64_t)(byte & 0x7F) << (7 * i);
        if (byte < 0x80) {
            *value = bits;
            return true;
        }
    }
    return malformed(wire, "a number of more than ten bytes");
}

static bool read_fixed(struct ig_onnx_wire *wire, unsigned bytes_count, uint64_t *value)
{
    if ((size_t)(wire->end - wire->at) < bytes_count)
        return malformed(wire, "the bytes end within a field");
    uint64_t bits = 0;
    for (unsigned i = 0; i < bytes_count; i++) bits |= (uint64_t)wire->at[i] << (8 * i);
    wire->at += bytes_count;
    *value = bits;
    return true;
}

bool ig_onnx_wire_next(struct ig_onnx_wire *wire, struct ig_onnx_field *field)
{
    uint64_t key;
    uint64_t length;
    if (wire->at == wire->end || wire->err->code != IG_OK) return false;
    if (!ig_onnx_wire_varint(wire, &key)) return false;
    if (key >> 3 == 0 || key >> 3 > UINT32_MAX >> 3) return malformed(wire, "field number 0");
    *field = (struct ig_onnx_field){.number = (uint32_t)(key >> 3)};
    switch (key & 7) {
    case IG_ONNX_WIRE_VARINT:
        field->type = IG_ONNX_WIRE_VARINT;
        return ig_onnx_wire_varint(wire, &field->value);
    case IG_ONNX_WIRE_64:
        field->type = IG_ONNX_WIRE_64;
        return read_fixed(wire, 8, &field->value);
    case IG_ONNX_WIRE_32:
        field->type = IG_ONNX_WIRE_32;
        return read_fixed(wire, 4, &field->value);
    case IG_ONNX_WIRE_BYTES:
        field->type = IG_ONNX_WIRE_BYTES;
        if (!ig_onnx_wire_varint(wire, &length)) return false;
        if (length > (uint64_t)(wire->end - wire->at))
            return malformed(wire, "a field is longer than what is left");
        field->bytes = (struct ig_str){(const char *)wire->at, (size_t)length};
        wire->at += length;
        return true;
    default:
        return malformed(wire, "a field of a type that is none");
    }
}
