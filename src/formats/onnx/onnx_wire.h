/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_WIRE_H
#define IG_FORMATS_ONNX_ONNX_WIRE_H

/* The wire form of protocol buffers: a message as a row of fields, read in place and
 * bounds-checked. Groups are refused. Thread rule: one thread a reader.
 *
 * Source: protobuf.dev, Encoding. */

#include "base/err.h"
#include "base/str.h"

enum ig_onnx_wire_type {
    IG_ONNX_WIRE_VARINT = 0,
    IG_ONNX_WIRE_64 = 1,
    IG_ONNX_WIRE_BYTES = 2,
    IG_ONNX_WIRE_32 = 5,
};

struct ig_onnx_wire {
    const uint8_t *at, *end;
    const uint8_t *start; /* of the file: byte positions of messages */
    struct ig_err *err;
};

struct ig_onnx_field {
    uint32_t number;
    enum ig_onnx_wire_type type;
    uint64_t value;      /* VARINT, 64, 32 (little-endian bits) */
    struct ig_str bytes; /* BYTES: a view */
};

struct ig_onnx_wire ig_onnx_wire_begin(struct ig_str bytes, struct ig_err *err);
/* A reader of a message within another. */
struct ig_onnx_wire ig_onnx_wire_enter(const struct ig_onnx_wire *outer, struct ig_str bytes);
/* The next field; false at the message's end or, with err set, when the bytes are malformed. */
bool ig_onnx_wire_next(struct ig_onnx_wire *wire, struct ig_onnx_field *field);
/* One base-128 number at the cursor; false (err set) when it does not end within ten bytes. */
bool ig_onnx_wire_varint(struct ig_onnx_wire *wire, uint64_t *value);

#endif
