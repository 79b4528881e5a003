/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_PROTO_H
#define IG_BASE_PROTO_H

/* The Protocol Buffers wire format (protobuf.dev/programming-guides/encoding): a pull reader over
 * bytes in memory, and appending writers. It knows no messages. Nothing is allocated; groups are
 * refused. Thread rule: a reader belongs to one thread. */

#include "base/str.h"

struct ig_proto {
    const unsigned char *at, *end;
    bool bad; /* malformed; sticky */
};

enum ig_proto_wire { IG_PROTO_VARINT = 0, IG_PROTO_64 = 1, IG_PROTO_BYTES = 2, IG_PROTO_32 = 5 };

struct ig_proto_field {
    uint32_t number;
    enum ig_proto_wire wire;
    uint64_t value;      /* of VARINT, 64 and 32 (little-endian) */
    struct ig_str bytes; /* of BYTES: a view */
};

void ig_proto_init(struct ig_proto *proto, struct ig_str message);
/* False at the end, and when the rest is malformed. */
bool ig_proto_next(struct ig_proto *proto, struct ig_proto_field *out);
/* The next number of a packed field; false at its end. */
bool ig_proto_varint(struct ig_proto *proto, uint64_t *out);

void ig_proto_add_varint(struct ig_buf *out, uint32_t number, uint64_t value);
void ig_proto_add_bytes(struct ig_buf *out, uint32_t number, struct ig_str bytes);
void ig_proto_add_f32(struct ig_buf *out, uint32_t number, float value);
void ig_proto_add_f64(struct ig_buf *out, uint32_t number, double value);
/* A number alone, as packed fields hold them. */
void ig_proto_put_varint(struct ig_buf *out, uint64_t value);
/* A message within: append its fields to `out`, then close it with what open returned. */
size_t ig_proto_open(struct ig_buf *out, uint32_t number);
void ig_proto_close(struct ig_buf *out, size_t at);

#endif
