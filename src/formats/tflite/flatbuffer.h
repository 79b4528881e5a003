/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_TFLITE_FLATBUFFER_H
#define IG_FORMATS_TFLITE_FLATBUFFER_H

/* Reads FlatBuffers without a copy. Every access is checked against the buffer; the first that
 * leaves it sets `err` with its byte, and from then on everything reads as absent, so a caller may
 * test once at the end of a unit. Source: FlatBuffers internals (binary format). */

#include "base/err.h"
#include "base/str.h"

struct ig_flatbuffer {
    const uint8_t *bytes;
    uint32_t len;
    struct ig_err *err;
};

/* A table; `at` 0 when it is absent (all its fields read as absent too). */
struct ig_flatbuffer_table {
    uint32_t at, vtable, vtable_bytes, bytes;
};

struct ig_flatbuffer_vector {
    uint32_t at; /* of the first item */
    uint32_t count;
};

/* The root table of bytes that carry the identifier (4 characters). */
struct ig_flatbuffer_table ig_flatbuffer_root(struct ig_flatbuffer *buffer, struct ig_str bytes,
                                              const char *identifier, struct ig_err *err);

/* Scalar fields; `absent` where the table has none. */
uint8_t ig_flatbuffer_u8(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                         uint32_t field, uint8_t absent);
int32_t ig_flatbuffer_i32(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                          uint32_t field, int32_t absent);
float ig_flatbuffer_f32(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                        uint32_t field, float absent);
bool ig_flatbuffer_has(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                       uint32_t field);

struct ig_flatbuffer_table ig_flatbuffer_child(struct ig_flatbuffer *buffer,
                                               struct ig_flatbuffer_table table, uint32_t field);
struct ig_str ig_flatbuffer_text(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                                 uint32_t field);
/* Items of item_bytes each lie within the buffer. */
struct ig_flatbuffer_vector ig_flatbuffer_vector(struct ig_flatbuffer *buffer,
                                                 struct ig_flatbuffer_table table, uint32_t field,
                                                 uint32_t item_bytes);
/* Items of vectors; index < count. */
int32_t ig_flatbuffer_i32_at(const struct ig_flatbuffer *buffer, struct ig_flatbuffer_vector vector,
                             uint32_t index);
int64_t ig_flatbuffer_i64_at(const struct ig_flatbuffer *buffer, struct ig_flatbuffer_vector vector,
                             uint32_t index);
struct ig_flatbuffer_table ig_flatbuffer_table_at(struct ig_flatbuffer *buffer,
                                                  struct ig_flatbuffer_vector vector,
                                                  uint32_t index);

#endif
