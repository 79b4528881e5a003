/* SPDX-License-Identifier: Apache-2.0 */
/* FlatBuffers, front to back. Each table is preceded by a vtable of its own; fields of four bytes
 * come before those of one, so all are aligned. Stateless but for the buffer. */
#include "formats/tflite/flatbuffer_write.h"

#include "base/err.h"

#include <string.h>

static void put(struct ig_flatbuffer_writer *writer, const void *bytes, size_t size)
{
    ig_buf_add(writer->out, bytes, size);
}

static void put_u16(struct ig_flatbuffer_writer *writer, uint32_t value)
{
    const uint8_t bytes[2] = {(uint8_t)value, (uint8_t)(value >> 8)};
    put(writer, bytes, sizeof bytes);
}

static void put_u32(struct ig_flatbuffer_writer *writer, uint32_t value)
{
    put_u16(writer, value & 0xffff);
    put_u16(writer, value >> 16);
}

/* Zeros until the position after `ahead` more bytes is aligned. */
static void align(struct ig_flatbuffer_writer *writer, uint32_t alignment, size_t ahead)
{
    while (!writer->out->overflowed && (writer->out->len + ahead) % alignment != 0)
        ig_buf_add_char(writer->out, '\0');
}

void ig_flatbuffer_link(struct ig_flatbuffer_writer *writer, size_t slot, size_t target)
{
    if (writer->out->overflowed) return;
    IG_ASSERT(target > slot && slot + 4 <= writer->out->len && target - slot <= INT32_MAX);
    for (size_t i = 0; i < 4; i++) writer->out->ptr[slot + i] = (char)((target - slot) >> (8 * i));
}

void ig_flatbuffer_write_head(struct ig_flatbuffer_writer *writer, const char *identifier)
{
    put_u32(writer, 0);
    put(writer, identifier, 4);
}

struct ig_flatbuffer_slots ig_flatbuffer_write_table(struct ig_flatbuffer_writer *writer,
                                                     const struct ig_flatbuffer_field *fields,
                                                     uint32_t count)
{
    uint16_t offsets[IG_FLATBUFFER_FIELDS_MAX] = {0};
    struct ig_flatbuffer_slots slots = {0};
    uint32_t numbers = 0, size = 4;
    IG_ASSERT(count <= IG_FLATBUFFER_FIELDS_MAX);
    for (uint32_t pass = 4; pass > 0; pass /= 4)
        for (uint32_t i = 0; i < count; i++) {
            if (fields[i].size_bytes != pass) continue;
            IG_ASSERT(fields[i].number < IG_FLATBUFFER_FIELDS_MAX);
            offsets[fields[i].number] = (uint16_t)size;
            if (fields[i].number >= numbers) numbers = fields[i].number + 1;
            size += pass;
        }
    uint32_t vtable = 4 + 2 * numbers;
    align(writer, 4, vtable);
    put_u16(writer, vtable);
    put_u16(writer, size);
    for (uint32_t i = 0; i < numbers; i++) put_u16(writer, offsets[i]);
    slots.table = writer->out->len;
    put_u32(writer, vtable);
    for (uint32_t pass = 4; pass > 0; pass /= 4)
        for (uint32_t i = 0; i < count; i++) {
            if (fields[i].size_bytes != pass) continue;
            slots.at[i] = writer->out->len;
            if (pass == 4)
                put_u32(writer, fields[i].value);
            else
                ig_buf_add_char(writer->out, (char)fields[i].value);
        }
    return slots;
}

size_t ig_flatbuffer_write_vector(struct ig_flatbuffer_writer *writer, size_t slot,
                                  const void *items, uint32_t count, uint32_t item_bytes,
                                  uint32_t alignment)
{
    size_t bytes = (size_t)count * item_bytes;
    align(writer, alignment < 4 ? 4 : alignment, 4);
    ig_flatbuffer_link(writer, slot, writer->out->len);
    put_u32(writer, count);
    size_t first = writer->out->len;
    if (items)
        put(writer, items, bytes);
    else if (ig_buf_reserve(writer->out, bytes))
        for (size_t i = 0; i < bytes; i++) ig_buf_add_char(writer->out, '\0');
    return first;
}

void ig_flatbuffer_write_text(struct ig_flatbuffer_writer *writer, size_t slot, struct ig_str text)
{
    ig_flatbuffer_write_vector(writer, slot, text.len ? text.ptr : "", (uint32_t)text.len, 1, 4);
    ig_buf_add_char(writer->out, '\0');
}
