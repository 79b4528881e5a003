/* SPDX-License-Identifier: Apache-2.0 */
/* FlatBuffers: offsets are unsigned 32-bit and forward, but a table's to its vtable, which is
 * signed. Invariant: a table that was opened lies in the buffer with its vtable, so a field needs
 * only to be compared with the table's size. */
#include "formats/tflite/flatbuffer.h"

#include <string.h>

enum { VTABLE_HEAD_BYTES = 4 };

static void bad(struct ig_flatbuffer *buffer, uint64_t at, const char *what)
{
    (void)ig_fail_at(buffer->err, IG_PARSE, at, "%s lies outside of the %u bytes", what,
                     buffer->len);
}

/* Whether `size` bytes lie at `at`. */
static bool inside(struct ig_flatbuffer *buffer, uint64_t at, uint64_t size, const char *what)
{
    if (buffer->err->code != IG_OK) return false;
    if (at <= buffer->len && size <= buffer->len - at) return true;
    bad(buffer, at, what);
    return false;
}

static uint16_t load_u16(const struct ig_flatbuffer *buffer, uint32_t at)
{
    return (uint16_t)(buffer->bytes[at] | buffer->bytes[at + 1] << 8);
}

static uint32_t load_u32(const struct ig_flatbuffer *buffer, uint32_t at)
{
    return load_u16(buffer, at) | (uint32_t)load_u16(buffer, at + 2) << 16;
}

static struct ig_flatbuffer_table table_at(struct ig_flatbuffer *buffer, uint64_t at)
{
    const struct ig_flatbuffer_table none = {0};
    if (!inside(buffer, at, 4, "a table")) return none;
    int64_t vtable = (int64_t)at - (int32_t)load_u32(buffer, (uint32_t)at);
    if (vtable < 0 || !inside(buffer, (uint64_t)vtable, VTABLE_HEAD_BYTES, "a vtable")) {
        if (buffer->err->code == IG_OK) bad(buffer, at, "a vtable");
        return none;
    }
    struct ig_flatbuffer_table table = {(uint32_t)at, (uint32_t)vtable, 0, 0};
    table.vtable_bytes = load_u16(buffer, table.vtable);
    table.bytes = load_u16(buffer, table.vtable + 2);
    if (table.vtable_bytes < VTABLE_HEAD_BYTES || table.bytes < 4) {
        (void)ig_fail_at(buffer->err, IG_PARSE, vtable, "a vtable of %u bytes, a table of %u",
                         table.vtable_bytes, table.bytes);
        return none;
    }
    if (!inside(buffer, table.vtable, table.vtable_bytes, "a vtable") ||
        !inside(buffer, at, table.bytes, "a table"))
        return none;
    return table;
}

/* Where an offset that stands at `at` leads. */
static uint64_t follow(const struct ig_flatbuffer *buffer, uint32_t at)
{
    return (uint64_t)at + load_u32(buffer, at);
}

struct ig_flatbuffer_table ig_flatbuffer_root(struct ig_flatbuffer *buffer, struct ig_str bytes,
                                              const char *identifier, struct ig_err *err)
{
    const struct ig_flatbuffer_table none = {0};
    *buffer = (struct ig_flatbuffer){(const uint8_t *)bytes.ptr, 0, err};
    if (bytes.len > INT32_MAX) {
        (void)ig_fail(err, IG_TOO_LARGE, "%zu bytes, at most %d", bytes.len, INT32_MAX);
        return none;
    }
    buffer->len = (uint32_t)bytes.len;
    if (!inside(buffer, 0, 8, "the head")) return none;
    if (memcmp(bytes.ptr + 4, identifier, 4) != 0) {
        (void)ig_fail_at(err, IG_PARSE, 4, "the identifier is not %s", identifier);
        return none;
    }
    return table_at(buffer, follow(buffer, 0));
}

/* Where a field's `size` bytes lie; 0 when it is absent. */
static uint32_t field_at(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                         uint32_t field, uint32_t size)
{
    uint32_t slot = VTABLE_HEAD_BYTES + 2 * field;
    if (!table.at || buffer->err->code != IG_OK || slot + 2 > table.vtable_bytes) return 0;
    uint32_t offset = load_u16(buffer, table.vtable + slot);
    if (offset == 0) return 0;
    if (offset + size > table.bytes) {
        (void)ig_fail_at(buffer->err, IG_PARSE, table.vtable + slot,
                         "field %u lies outside of its table", field);
        return 0;
    }
    return table.at + offset;
}

uint8_t ig_flatbuffer_u8(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                         uint32_t field, uint8_t absent)
{
    uint32_t at = field_at(buffer, table, field, 1);
    return at ? buffer->bytes[at] : absent;
}

int32_t ig_flatbuffer_i32(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                          uint32_t field, int32_t absent)
{
    uint32_t at = field_at(buffer, table, field, 4);
    return at ? (int32_t)load_u32(buffer, at) : absent;
}

float ig_flatbuffer_f32(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                        uint32_t field, float absent)
{
    uint32_t at = field_at(buffer, table, field, 4);
    if (at) {
        uint32_t bits = load_u32(buffer, at);
        memcpy(&absent, &bits, sizeof absent);
    }
    return absent;
}

bool ig_flatbuffer_has(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                       uint32_t field)
{
    return field_at(buffer, table, field, 1) != 0;
}

struct ig_flatbuffer_table ig_flatbuffer_child(struct ig_flatbuffer *buffer,
                                               struct ig_flatbuffer_table table, uint32_t field)
{
    uint32_t at = field_at(buffer, table, field, 4);
    if (!at) return (struct ig_flatbuffer_table){0};
    return table_at(buffer, follow(buffer, at));
}

struct ig_flatbuffer_vector ig_flatbuffer_vector(struct ig_flatbuffer *buffer,
                                                 struct ig_flatbuffer_table table, uint32_t field,
                                                 uint32_t item_bytes)
{
    const struct ig_flatbuffer_vector none = {0};
    uint32_t at = field_at(buffer, table, field, 4);
    if (!at) return none;
    uint64_t start = follow(buffer, at);
    if (!inside(buffer, start, 4, "a vector")) return none;
    struct ig_flatbuffer_vector vector = {(uint32_t)start + 4, load_u32(buffer, (uint32_t)start)};
    if (!inside(buffer, vector.at, (uint64_t)vector.count * item_bytes, "a vector")) return none;
    return vector;
}

struct ig_str ig_flatbuffer_text(struct ig_flatbuffer *buffer, struct ig_flatbuffer_table table,
                                 uint32_t field)
{
    struct ig_flatbuffer_vector vector = ig_flatbuffer_vector(buffer, table, field, 1);
    if (!vector.count) return (struct ig_str){0};
    return (struct ig_str){(const char *)buffer->bytes + vector.at, vector.count};
}

int32_t ig_flatbuffer_i32_at(const struct ig_flatbuffer *buffer, struct ig_flatbuffer_vector vector,
                             uint32_t index)
{
    IG_ASSERT(index < vector.count);
    return (int32_t)load_u32(buffer, vector.at + 4 * index);
}

int64_t ig_flatbuffer_i64_at(const struct ig_flatbuffer *buffer, struct ig_flatbuffer_vector vector,
                             uint32_t index)
{
    IG_ASSERT(index < vector.count);
    uint32_t at = vector.at + 8 * index;
    return (int64_t)(load_u32(buffer, at) | (uint64_t)load_u32(buffer, at + 4) << 32);
}

struct ig_flatbuffer_table ig_flatbuffer_table_at(struct ig_flatbuffer *buffer,
                                                  struct ig_flatbuffer_vector vector,
                                                  uint32_t index)
{
    IG_ASSERT(index < vector.count);
    return table_at(buffer, follow(buffer, vector.at + 4 * index));
}
