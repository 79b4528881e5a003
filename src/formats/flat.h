/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_FLAT_H
#define IG_FORMATS_FLAT_H

/* FlatBuffers: a bounds-checked reader of tables, vectors and strings, without schema or copies.
 *
 * Offsets may let many places share one, so every table, vector and string that is looked at is
 * charged against IG_FLAT_CHARGE times the buffer's length; a reader that visits each once cannot
 * run out. The first broken offset (or charge) makes the buffer bad, after which all is empty or
 * the default; a caller may test that once at the end. Thread rule: one thread a buffer. */

#include "base/str.h"

enum { IG_FLAT_CHARGE = 64 };

struct ig_flat {
    struct ig_str bytes; /* borrowed */
    uint64_t charge_left;
    bool bad;
};

struct ig_flat_table {
    struct ig_flat *flat; /* NULL: an absent table, all of whose fields are absent */
    size_t at, vtable;
    size_t vtable_bytes, table_bytes;
};

struct ig_flat_vector {
    struct ig_flat *flat;
    size_t at; /* of element 0 */
    size_t count, item_bytes;
};

struct ig_flat_table ig_flat_root(struct ig_flat *flat, struct ig_str bytes);
/* Fields go by their number in the schema, from 0. An absent field gives `otherwise`. */
uint8_t ig_flat_u8(const struct ig_flat_table *table, unsigned field, uint8_t otherwise);
int32_t ig_flat_i32(const struct ig_flat_table *table, unsigned field, int32_t otherwise);
float ig_flat_f32(const struct ig_flat_table *table, unsigned field, float otherwise);
double ig_flat_f64(const struct ig_flat_table *table, unsigned field, double otherwise);
struct ig_flat_table ig_flat_table(const struct ig_flat_table *table, unsigned field);
struct ig_str ig_flat_str(const struct ig_flat_table *table, unsigned field);
/* Of items that take item_bytes in place: numbers and structs; 4 for offsets. */
struct ig_flat_vector ig_flat_vector(const struct ig_flat_table *table, unsigned field,
                                     size_t item_bytes);

/* `index` is below the count. Little-endian reads at `byte` within the item. */
uint16_t ig_flat_item_u16(const struct ig_flat_vector *vector, size_t index, size_t byte);
uint32_t ig_flat_item_u32(const struct ig_flat_vector *vector, size_t index, size_t byte);
uint64_t ig_flat_item_u64(const struct ig_flat_vector *vector, size_t index, size_t byte);
float ig_flat_item_f32(const struct ig_flat_vector *vector, size_t index, size_t byte);
double ig_flat_item_f64(const struct ig_flat_vector *vector, size_t index);
struct ig_flat_table ig_flat_item_table(const struct ig_flat_vector *vector, size_t index);
struct ig_str ig_flat_item_str(const struct ig_flat_vector *vector, size_t index);

#endif
