/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_TFLITE_FLATBUFFER_WRITE_H
#define IG_FORMATS_TFLITE_FLATBUFFER_WRITE_H

/* Writes FlatBuffers from front to back: a table first, with room for its offsets, then what they
 * lead to. Positions are counted from where the buffer began to be written. A failed growth sticks
 * in `out` (overflowed); positions are then meaningless but harmless. */

#include "base/str.h"

enum { IG_FLATBUFFER_FIELDS_MAX = 16 };

struct ig_flatbuffer_writer {
    struct ig_buf *out; /* empty at the beginning */
};

/* A field of a table that is to be written; size_bytes 1 or 4. An offset is a field of 4 bytes
 * whose value is linked later. */
struct ig_flatbuffer_field {
    uint32_t number;
    uint32_t size_bytes;
    uint32_t value;
};

/* Where the fields of a written table lie, by their place in the list. */
struct ig_flatbuffer_slots {
    size_t table, at[IG_FLATBUFFER_FIELDS_MAX];
};

/* Head with the identifier; the root table comes next and is linked to IG_FLATBUFFER_ROOT. */
enum { IG_FLATBUFFER_ROOT = 0 };
void ig_flatbuffer_write_head(struct ig_flatbuffer_writer *writer, const char *identifier);
struct ig_flatbuffer_slots ig_flatbuffer_write_table(struct ig_flatbuffer_writer *writer,
                                                     const struct ig_flatbuffer_field *fields,
                                                     uint32_t count);
/* Makes the offset at a slot lead to a position behind it. */
void ig_flatbuffer_link(struct ig_flatbuffer_writer *writer, size_t slot, size_t target);
/* A vector of `count` items whose first is aligned, linked to a slot. Its items: copied, or zeros
 * where `items` is NULL. Returns the position of the first item. */
size_t ig_flatbuffer_write_vector(struct ig_flatbuffer_writer *writer, size_t slot,
                                  const void *items, uint32_t count, uint32_t item_bytes,
                                  uint32_t alignment);
void ig_flatbuffer_write_text(struct ig_flatbuffer_writer *writer, size_t slot, struct ig_str text);

#endif
