/* SPDX-License-Identifier: Apache-2.0 */
/* Runs each model on its rows and prints the margins' bits; then says whether the exported C file
 * gives the same, and how long both took in ticks of the clock. */
#include "firmware.h"

#include "ingot_edge.h"
#include "ingot_edge_file.h"

enum { ARENA_BYTES = 16384, MARGINS_MAX = 64 };

static uint64_t arena[ARENA_BYTES / 8];
static struct ige_model model;
static struct ige_interpreter interpreter;

static void put_hex(uint32_t value)
{
    char text[10];
    for (int i = 0; i < 8; i++) text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    text[8] = ' ';
    text[9] = 0;
    platform_put(text);
}

static void put_value(const char *name, uint32_t value)
{
    platform_put(name);
    put_hex(value);
}

static void set_row(const struct firmware_model *firmware, uint32_t row)
{
    uint32_t *input = (uint32_t *)(void *)ige_input(&interpreter)->data.f32;
    for (uint32_t f = 0; f < model.features; f++)
        input[f] = firmware->rows[row * model.features + f];
}

static uint32_t words_of_output(void)
{
    const struct ige_tensor *output = ige_output(&interpreter);
    return output->type == IGE_FLOAT64 ? 2 * output->count : output->count;
}

/* Splits that the row in hand passes. */
static uint32_t count_splits(void)
{
    const uint8_t *narrow = interpreter.columns, *at = model.nodes;
    const uint16_t *wide = interpreter.columns;
    const uint32_t *shifted = interpreter.columns;
    uint32_t count = 0;
    if (model.first_category < model.columns) return 0;
    for (uint32_t t = 0; t < model.trees; t++) {
        uint32_t bytes = ige_get(model.tree_bytes + t * model.tree_width, model.tree_width);
        const uint8_t *place = at;
        int leaf = bytes == model.leaf_bytes;
        while (!leaf) {
            struct ige_split split = ige_read_split(&model, place);
            uint32_t value = model.rank_bytes == 4
                                 ? shifted[split.column] >> (32 - model.threshold_bits)
                             : model.rank_bytes == 1 ? narrow[split.column]
                                                     : wide[split.column];
            int right = value >= split.threshold;
            place += model.node_bytes + (right ? split.skip : 0);
            leaf = right ? split.right_leaf : split.left_leaf;
            count++;
        }
        at += bytes;
    }
    return count;
}

static void check_rows(const struct firmware_model *firmware)
{
    static uint64_t margins[MARGINS_MAX];
    uint32_t wrong = 0, splits = 0;
    for (uint32_t row = 0; row < firmware->rows_count; row++) {
        const uint32_t *words = (const uint32_t *)(void *)ige_output(&interpreter)->data.i32;
        const uint32_t *others = (const uint32_t *)(void *)margins;
        set_row(firmware, row);
        ige_invoke(&interpreter);
        firmware->margins(ige_input(&interpreter)->data.f32, margins);
        for (uint32_t i = 0; i < words_of_output(); i++) {
            put_hex(words[i]);
            wrong += words[i] != others[i];
        }
        platform_put("\n");
        splits += count_splits();
    }
    put_value("wrong ", wrong);
    put_value("arena ", (uint32_t)ige_arena_bytes(&model));
    put_value("structs ", (uint32_t)(sizeof model + sizeof interpreter));
    put_value("splits ", splits);
}

static void count(const struct firmware_model *firmware)
{
    static uint64_t margins[MARGINS_MAX];
    uint32_t runtime = 0, exported = 0;
    for (uint32_t i = 0; i < firmware_repeats * firmware->rows_count; i++) {
        set_row(firmware, i % firmware->rows_count);
        uint32_t start = platform_ticks();
        ige_invoke(&interpreter);
        uint32_t middle = platform_ticks();
        firmware->margins(ige_input(&interpreter)->data.f32, margins);
        runtime += (start - middle) & 0xffffffU;
        exported += (middle - platform_ticks()) & 0xffffffU;
    }
    put_value("runtime ", runtime);
    put_value("exported ", exported);
}

int main(void)
{
    for (uint32_t i = 0; i < firmware_models_count; i++) {
        const struct firmware_model *firmware = &firmware_models[i];
        put_value("model ", i);
        enum ige_status status = ige_load(&model, firmware->bytes, firmware->size);
        if (status == IGE_OK)
            status = ige_allocate_tensors(&interpreter, &model, arena, sizeof arena);
        put_value("status ", (uint32_t)status);
        platform_put("\n");
        if (status != IGE_OK) continue;
        check_rows(firmware);
        if (firmware_repeats) count(firmware);
        platform_put("\n");
    }
    platform_put("end\n");
    platform_exit(0);
    return 0;
}
