/* SPDX-License-Identifier: Apache-2.0 */
/* The file around the model, and the calls that a program makes. Stateless. */
#include "ingot_edge_file.h"

enum { HEADER_BYTES = 16, SECTION_BYTES = 12, CRC_AT = 12, VERSION = 1, SECTIONS_MAX = 16 };
enum { TREE = 0x45455254, NNET = 0x54454e4e, ENCO = 0x4f434e45 };

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

/* Where a section lies; NULL: there is none. */
struct section {
    const uint8_t *at;
    size_t size;
};

#ifdef IGE_ENCODERS
static enum ige_status load_encoder(struct ige_model *model, struct section section)
{
    model->network.encoder = NULL;
    if (!section.at) return IGE_OK;
    if (!ige_is_network(model)) return IGE_BAD_FILE;
    return ige_encoder_load(model, section.at, section.size);
}
#else
static enum ige_status load_encoder(struct ige_model *model, struct section section)
{
    (void)model;
    (void)section;
    return IGE_OK;
}
#endif

static enum ige_status load_section(struct ige_model *model, uint32_t type, struct section section)
{
    return type == TREE ? ige_trees_load(model, section.at, section.size)
                        : ige_network_load(model, section.at, section.size);
}

enum ige_status ige_load(struct ige_model *model, const void *file, size_t size)
{
    const uint8_t *bytes = file;
    struct section section = {NULL, 0}, encoder = {NULL, 0};
    uint32_t type = 0;
    enum ige_status status = check_header(bytes, size);
    if (status != IGE_OK) return status;
    for (uint32_t i = 0; i < bytes[5]; i++) {
        const uint8_t *entry = bytes + HEADER_BYTES + i * SECTION_BYTES;
        uint32_t start = ige_u32(entry + 4), length = ige_u32(entry + 8);
        if (start > size || length > size - start) return IGE_BAD_FILE;
        struct section found = {bytes + start, length};
        if (ige_u32(entry) == TREE || ige_u32(entry) == NNET) {
            if (section.at) return IGE_BAD_FILE;
            type = ige_u32(entry);
            section = found;
        } else if (IGE_HAS_ENCODERS && ige_u32(entry) == ENCO) {
            if (encoder.at) return IGE_BAD_FILE;
            encoder = found;
        } else if (entry[0] < 'a' || entry[0] > 'z') {
            return IGE_UNSUPPORTED;
        }
    }
    status = section.at ? load_section(model, type, section) : IGE_BAD_FILE;
    return status == IGE_OK ? load_encoder(model, encoder) : status;
}

#ifdef IGE_ENCODERS
/* The row, where the file has an encoder. */
static void set_row(struct ige_interpreter *interpreter)
{
    const struct ige_network *network = &interpreter->model->network;
    if (!ige_has_encoder(interpreter->model)) return;
    interpreter->input.type = IGE_FLOAT32;
    interpreter->input.count = network->features;
    interpreter->input.zero_point = 0;
    interpreter->input.scale = 0;
    interpreter->input.data.i8 = (int8_t *)interpreter->columns + network->row_at;
}

static size_t row_arena_bytes(const struct ige_model *model)
{
    return ige_has_encoder(model) ? model->network.row_arena_bytes : 0;
}

static void encode(const struct ige_interpreter *interpreter)
{
    if (ige_has_encoder(interpreter->model)) ige_encoder_run(interpreter);
}

static int takes_rows(const struct ige_model *model)
{
    return !ige_is_network(model) || ige_has_encoder(model);
}
#else
static void set_row(struct ige_interpreter *interpreter)
{
    (void)interpreter;
}

static size_t row_arena_bytes(const struct ige_model *model)
{
    (void)model;
    return 0;
}

static void encode(const struct ige_interpreter *interpreter)
{
    (void)interpreter;
}

static int takes_rows(const struct ige_model *model)
{
    return !ige_is_network(model);
}
#endif

size_t ige_arena_bytes(const struct ige_model *model)
{
    size_t with_row = row_arena_bytes(model);
    if (with_row) return with_row;
    return ige_is_network(model) ? ige_network_arena_bytes(model) : ige_trees_arena_bytes(model);
}

enum ige_status ige_allocate_tensors(struct ige_interpreter *interpreter,
                                     const struct ige_model *model, void *arena, size_t size)
{
    if (size < ige_arena_bytes(model) || (uintptr_t)arena % 8) return IGE_ARENA_TOO_SMALL;
    interpreter->model = model;
    interpreter->columns = arena;
    if (!ige_is_network(model)) {
        ige_trees_allocate(interpreter, arena);
        return IGE_OK;
    }
    interpreter->input = ige_network_end(interpreter, 0);
    interpreter->output = ige_network_end(interpreter, ige_inputs_count(model));
    set_row(interpreter);
    return IGE_OK;
}

static struct ige_tensor none(void)
{
    struct ige_tensor tensor = {IGE_INT8, 0, 0, 0, 0, {NULL}};
    return tensor;
}

struct ige_tensor ige_input_at(const struct ige_interpreter *interpreter, uint32_t index)
{
    if (index >= ige_inputs_count(interpreter->model)) return none();
    return takes_rows(interpreter->model) ? interpreter->input
                                          : ige_network_end(interpreter, index);
}

struct ige_tensor ige_output_at(const struct ige_interpreter *interpreter, uint32_t index)
{
    const struct ige_model *model = interpreter->model;
    if (index >= ige_outputs_count(model)) return none();
    return ige_is_network(model) ? ige_network_end(interpreter, ige_inputs_count(model) + index)
                                 : interpreter->output;
}

struct ige_tensor *ige_input(struct ige_interpreter *interpreter)
{
    return &interpreter->input;
}

const struct ige_tensor *ige_output(const struct ige_interpreter *interpreter)
{
    return &interpreter->output;
}

void ige_invoke(struct ige_interpreter *interpreter)
{
    encode(interpreter);
    if (ige_is_network(interpreter->model))
        ige_network_invoke(interpreter);
    else
        ige_trees_invoke(interpreter);
}

int32_t ige_class(const struct ige_interpreter *interpreter)
{
    return ige_is_network(interpreter->model) ? ige_network_class(interpreter)
                                              : ige_trees_class(interpreter);
}

#ifndef IGE_NO_FLOAT
float ige_margin(const struct ige_interpreter *interpreter, uint32_t output)
{
    union {
        uint32_t u;
        float f;
    } scale;
    const struct ige_tensor *tensor = &interpreter->output;
    if (tensor->type == IGE_FLOAT32) return tensor->data.f32[output];
    if (tensor->type == IGE_INT8)
        return tensor->scale * (float)(tensor->data.i8[output] - tensor->zero_point);
    if (tensor->type == IGE_FLOAT64) return (float)tensor->data.f64[output];
    scale.u = (uint32_t)(127 + tensor->exponent) << 23;
    return (float)tensor->data.i32[output] * scale.f;
}
#endif
