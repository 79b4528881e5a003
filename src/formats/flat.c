/* SPDX-License-Identifier: Apache-2.0 */
/* FlatBuffers as flatbuffers.dev/internals describes them. A table begins with a signed distance
 * back to its vtable; a vtable holds its own length, the table's, and for each field its place in
 * the table, 0 when absent. Other things are reached by unsigned distances forward. Whatever is
 * read has been checked to lie within the buffer. */
#include "formats/flat.h"

#include "base/err.h"

#include <string.h>

static uint64_t word(const struct ig_flat *flat, size_t at, size_t bytes)
{
    uint64_t value = 0;
    for (size_t i = bytes; i-- > 0;) value = value << 8 | (unsigned char)flat->bytes.ptr[at + i];
    return value;
}

static bool within(struct ig_flat *flat, size_t at, size_t bytes)
{
    bool good = at <= flat->bytes.len && bytes <= flat->bytes.len - at;
    if (!good) flat->bad = true;
    return good && !flat->bad;
}

static bool charge(struct ig_flat *flat, size_t bytes)
{
    if (bytes > flat->charge_left) flat->bad = true;
    if (flat->bad) return false;
    flat->charge_left -= bytes;
    return true;
}

static struct ig_flat_table table_at(struct ig_flat *flat, size_t at)
{
    const struct ig_flat_table none = {0};
    struct ig_flat_table table = {.flat = flat, .at = at};
    if (!within(flat, at, 4)) return none;
    int64_t vtable = (int64_t)at - (int32_t)(uint32_t)word(flat, at, 4);
    if (vtable < 0 || !within(flat, (size_t)vtable, 4)) {
        flat->bad = true;
        return none;
    }
    table.vtable = (size_t)vtable;
    table.vtable_bytes = word(flat, table.vtable, 2);
    table.table_bytes = word(flat, table.vtable + 2, 2);
    if (!within(flat, table.vtable, table.vtable_bytes) || !within(flat, at, table.table_bytes) ||
        !charge(flat, table.vtable_bytes + table.table_bytes + 4))
        return none;
    return table;
}

/* Where a field of `bytes` lies; 0 when it is absent. */
static size_t field_at(const struct ig_flat_table *table, unsigned field, size_t bytes)
{
    size_t entry = 4 + (size_t)field * 2;
    if (!table->flat || table->flat->bad || entry + 2 > table->vtable_bytes) return 0;
    size_t place = word(table->flat, table->vtable + entry, 2);
    if (!place) return 0;
    if (place + bytes > table->table_bytes) {
        table->flat->bad = true;
        return 0;
    }
    return table->at + place;
}

/* Where the offset at `from` leads; false, the buffer bad, when that is outside. */
static bool follow(struct ig_flat *flat, size_t from, size_t *to)
{
    *to = from + word(flat, from, 4);
    return within(flat, *to, 4);
}

struct ig_flat_table ig_flat_root(struct ig_flat *flat, struct ig_str bytes)
{
    size_t at;
    *flat = (struct ig_flat){bytes, (uint64_t)bytes.len * IG_FLAT_CHARGE, false};
    if (!within(flat, 0, 4) || !follow(flat, 0, &at)) return (struct ig_flat_table){0};
    return table_at(flat, at);
}

uint8_t ig_flat_u8(const struct ig_flat_table *table, unsigned field, uint8_t otherwise)
{
    size_t at = field_at(table, field, 1);
    return at ? (uint8_t)word(table->flat, at, 1) : otherwise;
}

int32_t ig_flat_i32(const struct ig_flat_table *table, unsigned field, int32_t otherwise)
{
    size_t at = field_at(table, field, 4);
    return at ? (int32_t)(uint32_t)word(table->flat, at, 4) : otherwise;
}

static float to_f32(uint64_t bits)
{
    uint32_t narrow = (uint32_t)bits;
    float value;
    memcpy(&value, &narrow, sizeof value);
    return value;
}

static double to_f64(uint64_t bits)
{
    double value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

float ig_flat_f32(const struct ig_flat_table *table, unsigned field, float otherwise)
{
    size_t at = field_at(table, field, 4);
    return at ? to_f32(word(table->flat, at, 4)) : otherwise;
}

double ig_flat_f64(const struct ig_flat_table *table, unsigned field, double otherwise)
{
    size_t at = field_at(table, field, 8);
    return at ? to_f64(word(table->flat, at, 8)) : otherwise;
}

struct ig_flat_table ig_flat_table(const struct ig_flat_table *table, unsigned field)
{
    size_t at = field_at(table, field, 4), to;
    if (!at || !follow(table->flat, at, &to)) return (struct ig_flat_table){0};
    return table_at(table->flat, to);
}

static struct ig_flat_vector vector_at(struct ig_flat *flat, size_t at, size_t item_bytes)
{
    const struct ig_flat_vector none = {0};
    size_t count = word(flat, at, 4);
    if (!within(flat, at + 4, count * item_bytes) || !charge(flat, count * item_bytes + 4))
        return none;
    return (struct ig_flat_vector){flat, at + 4, count, item_bytes};
}

struct ig_flat_vector ig_flat_vector(const struct ig_flat_table *table, unsigned field,
                                     size_t item_bytes)
{
    size_t at = field_at(table, field, 4), to;
    if (!at || !follow(table->flat, at, &to)) return (struct ig_flat_vector){0};
    return vector_at(table->flat, to, item_bytes);
}

static struct ig_str str_at(struct ig_flat *flat, size_t at)
{
    struct ig_flat_vector bytes = vector_at(flat, at, 1);
    if (!bytes.flat) return (struct ig_str){0};
    return (struct ig_str){flat->bytes.ptr + bytes.at, bytes.count};
}

struct ig_str ig_flat_str(const struct ig_flat_table *table, unsigned field)
{
    size_t at = field_at(table, field, 4), to;
    if (!at || !follow(table->flat, at, &to)) return (struct ig_str){0};
    return str_at(table->flat, to);
}

static uint64_t item(const struct ig_flat_vector *vector, size_t index, size_t byte, size_t bytes)
{
    IG_ASSERT(index < vector->count && byte + bytes <= vector->item_bytes);
    return word(vector->flat, vector->at + index * vector->item_bytes + byte, bytes);
}

uint16_t ig_flat_item_u16(const struct ig_flat_vector *vector, size_t index, size_t byte)
{
    return (uint16_t)item(vector, index, byte, 2);
}

uint32_t ig_flat_item_u32(const struct ig_flat_vector *vector, size_t index, size_t byte)
{
    return (uint32_t)item(vector, index, byte, 4);
}

uint64_t ig_flat_item_u64(const struct ig_flat_vector *vector, size_t index, size_t byte)
{
    return item(vector, index, byte, 8);
}

float ig_flat_item_f32(const struct ig_flat_vector *vector, size_t index, size_t byte)
{
    return to_f32(item(vector, index, byte, 4));
}

double ig_flat_item_f64(const struct ig_flat_vector *vector, size_t index)
{
    return to_f64(item(vector, index, 0, 8));
}

struct ig_flat_table ig_flat_item_table(const struct ig_flat_vector *vector, size_t index)
{
    size_t to;
    IG_ASSERT(index < vector->count && vector->item_bytes == 4);
    if (!follow(vector->flat, vector->at + index * 4, &to)) return (struct ig_flat_table){0};
    return table_at(vector->flat, to);
}

struct ig_str ig_flat_item_str(const struct ig_flat_vector *vector, size_t index)
{
    size_t to;
    IG_ASSERT(index < vector->count && vector->item_bytes == 4);
    if (!follow(vector->flat, vector->at + index * 4, &to)) return (struct ig_str){0};
    return str_at(vector->flat, to);
}
