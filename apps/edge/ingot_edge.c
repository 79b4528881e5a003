/* SPDX-License-Identifier: Apache-2.0 */
/* The file around the model, and the calls that a program makes. Stateless. */
#include "ingot_edge_file.h"

enum { HEADER_BYTES = 16, SECTION_BYTES = 12, CRC_AT = 12, VERSION = 1, SECTIONS_MAX = 16 };

/* CRC-32 by nibbles: 64 bytes of table. */
static uint32_t crc_of(uint32_t crc, const uint8_t *bytes, size_t count)
{
    static const uint32_t TABLE[16] = {0x00000000U, 0x1db71064U, 0x3b6e20c8U, 0x26d930acU,
                                       0x76dc4190U, 0x6b6b51f4U, 0x4db26158U, 0x5005713cU,
                                       0xedb88320U, 0xf00f9344U, 0xd6d6a3e8U, 0xcb61b38cU,
                                       0x9b64c2b0U, 0x86d3d2d4U, 0xa00ae278U, 0xbdbdf21cU};
    for (size_t i = 0; i < count; i++) {
        crc ^= bytes[i];
        crc = crc >> 4 ^ TABLE[crc & 15];
        crc = crc >> 4 ^ TABLE[crc & 15];
    }
    return crc;
}

static enum ige_status check_header(const uint8_t *bytes, size_t size)
{
    if (size < HEADER_BYTES || ige_u32(bytes) != 0x1a454749U) return IGE_BAD_FILE;
    if (bytes[4] != VERSION) return IGE_UNSUPPORTED;
    if (ige_u32(bytes + 8) != size) return IGE_BAD_FILE;
    uint32_t crc = crc_of(0xffffffffU, bytes, CRC_AT);
    crc = ~crc_of(crc, bytes + HEADER_BYTES, size - HEADER_BYTES);
    if (crc != ige_u32(bytes + CRC_AT)) return IGE_BAD_CRC;
    if (bytes[5] > SECTIONS_MAX || HEADER_BYTES + (size_t)bytes[5] * SECTION_BYTES > size)
        return IGE_BAD_FILE;
    return IGE_OK;
}

enum ige_status ige_load(struct ige_model *model, const void *file, size_t size)
{
    const uint8_t *bytes = file;
    const uint8_t *trees = NULL;
    size_t trees_bytes = 0;
    enum ige_status status = check_header(bytes, size);
    if (status != IGE_OK) return status;
    for (uint32_t i = 0; i < bytes[5]; i++) {
        const uint8_t *entry = bytes + HEADER_BYTES + i * SECTION_BYTES;
        uint32_t start = ige_u32(entry + 4), length = ige_u32(entry + 8);
        if (start > size || length > size - start) return IGE_BAD_FILE;
        if (ige_u32(entry) == 0x45455254U) { /* TREE */
            if (trees) return IGE_BAD_FILE;
            trees = bytes + start;
            trees_bytes = length;
        } else if (entry[0] < 'a' || entry[0] > 'z') {
            return IGE_UNSUPPORTED;
        }
    }
    return trees ? ige_load_trees(model, trees, trees_bytes) : IGE_BAD_FILE;
}

static size_t output_bytes(const struct ige_model *model)
{
    return (size_t)model->outputs * (model->leaf == IGE_LEAF_F64 ? 8 : 4);
}

size_t ige_arena_bytes(const struct ige_model *model)
{
    return output_bytes(model) + (size_t)model->features * sizeof(float) +
           (size_t)model->columns * model->rank_bytes;
}

enum ige_status ige_allocate_tensors(struct ige_interpreter *interpreter,
                                     const struct ige_model *model, void *arena, size_t size)
{
    uint8_t *bytes = arena;
    if (size < ige_arena_bytes(model) || (uintptr_t)arena % 8) return IGE_ARENA_TOO_SMALL;
    interpreter->model = model;
    interpreter->output.count = model->outputs;
    interpreter->output.exponent = 0;
    interpreter->output.type = model->leaf == IGE_LEAF_F32 ? IGE_FLOAT32 : IGE_FLOAT64;
    interpreter->output.data.f64 = arena;
    if (model->leaf >= IGE_LEAF_I16) {
        interpreter->output.type = IGE_INT32;
        interpreter->output.exponent = model->exponent;
    }
    interpreter->input.type = IGE_FLOAT32;
    interpreter->input.count = model->features;
    interpreter->input.exponent = 0;
    interpreter->input.data.f32 = (float *)(void *)(bytes + output_bytes(model));
    interpreter->columns = interpreter->input.data.f32 + model->features;
    for (uint32_t i = 0; i < model->features; i++) interpreter->input.data.f32[i] = 0;
    return IGE_OK;
}

struct ige_tensor *ige_input(struct ige_interpreter *interpreter)
{
    return &interpreter->input;
}

const struct ige_tensor *ige_output(const struct ige_interpreter *interpreter)
{
    return &interpreter->output;
}
