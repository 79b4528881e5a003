/* SPDX-License-Identifier: Apache-2.0 */
#include "base/mem.h"
#include "formats/format.h"
#include "kernels/tree/tree_predict_walk.h"

#include "ingot_edge.h"

#include <math.h>
#include <string.h>
#include <zlib.h>

enum { HEADER_BYTES = 16, SIZE_AT = 8, CRC_AT = 12 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static double output_of(const struct ige_tensor *tensor, uint32_t output)
{
    if (tensor->type == IGE_FLOAT32) return (double)tensor->data.f32[output];
    if (tensor->type == IGE_FLOAT64) return tensor->data.f64[output];
    return ldexp(tensor->data.i32[output], tensor->exponent);
}

/* Where sums cannot run over, the device says what the server says of the same file. */
static void compare(const struct ige_interpreter *interpreter, const struct ig_model *model)
{
    const struct ige_tensor *output = ige_output(interpreter);
    double *row = ig_zalloc_array(model->features_count, sizeof *row);
    double *margins = ig_zalloc_array(model->outputs_count, sizeof *margins);
    for (uint32_t f = 0; row && f < model->features_count; f++)
        row[f] = (double)interpreter->input.data.f32[f];
    if (row && margins) ig_tree_walk_margin(model, row, margins);
    for (uint32_t o = 0; row && margins && o < model->outputs_count; o++) {
        double limit = output->type == IGE_INT32 ? ldexp(1, 31 + output->exponent) : INFINITY;
        if (!(fabs(margins[o]) < limit) || model->average) continue;
        IG_ASSERT(output_of(output, o) == margins[o] || isnan(margins[o]) ||
                  output->type == IGE_INT32);
    }
    ig_free(row);
    ig_free(margins);
}

/* A small network runs whatever it is; what it gives depends on places that a file may choose. */
static void run_network(const struct ige_model *model)
{
    enum { ARENA_MAX = 4096, CONSTANTS_MAX = 8192 };
    struct ige_interpreter interpreter;
    size_t bytes = ige_arena_bytes(model);
    if (bytes > ARENA_MAX || model->network.constants_bytes > CONSTANTS_MAX) return;
    void *arena = ig_alloc_aligned(8, bytes + !bytes);
    if (arena && ige_allocate_tensors(&interpreter, model, arena, bytes) == IGE_OK) {
        for (size_t i = 0; i < bytes; i++) ((uint8_t *)arena)[i] = (uint8_t)(i * 37);
        ige_invoke(&interpreter);
        IG_ASSERT(ige_class(&interpreter) >= 0);
        for (uint32_t i = 0; ige_output_at(&interpreter, i).count; i++)
            IG_ASSERT(i < model->network.outputs);
    }
    ig_free(arena);
}

static void run(const struct ige_model *model, const struct ig_model *read)
{
    if (model->network.tensors) {
        run_network(model);
        return;
    }
    struct ige_interpreter interpreter;
    size_t bytes = ige_arena_bytes(model);
    void *arena = ig_alloc_aligned(8, bytes);
    if (arena && ige_allocate_tensors(&interpreter, model, arena, bytes) == IGE_OK) {
        for (int pass = 0; pass < 3; pass++) {
            float *input = ige_input(&interpreter)->data.f32;
            for (uint32_t f = 0; f < model->features; f++)
                input[f] = pass == 2 ? NAN : pass ? 1e30F : (float)(f % 7);
            ige_invoke(&interpreter);
            IG_ASSERT(ige_class(&interpreter) >= 0);
            if (read) compare(&interpreter, read);
        }
    }
    ig_free(arena);
}

/* Size and CRC are put right first. What the server reads, the device runs. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *read = NULL;
    struct ige_model model;
    uint8_t *bytes = ig_alloc(size ? size : 1); /* exactly, for the sanitizer to see the end */
    if (!bytes) return 0;
    if (size) memcpy(bytes, data, size);
    if (size >= HEADER_BYTES) {
        for (uint32_t i = 0; i < 4; i++) bytes[SIZE_AT + i] = (uint8_t)(size >> (8 * i));
        uLong crc = crc32_z(crc32_z(0, bytes, CRC_AT), bytes + HEADER_BYTES, size - HEADER_BYTES);
        for (uint32_t i = 0; i < 4; i++) bytes[CRC_AT + i] = (uint8_t)(crc >> (8 * i));
    }
    enum ige_status status = ige_load(&model, bytes, size);
    if (ig_edge_load(&read, (struct ig_str){(const char *)bytes, size}, &err) == IG_OK)
        IG_ASSERT(status == IGE_OK);
    if (status == IGE_OK) run(&model, read);
    ig_model_free(read);
    ig_free(bytes);
    return 0;
}
