/* SPDX-License-Identifier: Apache-2.0 */
/* The portable form, which is the reference. Stateless. */
#include "kernels/nn/nn_product.h"

#include <string.h>

static void row_i8(int32_t sums[NN_BLOCK], const int16_t *row, const int8_t *weights, size_t pairs)
{
    memset(sums, 0, NN_BLOCK * sizeof *sums);
    for (size_t p = 0; p < pairs; p++, row += 2, weights += 2 * (size_t)NN_BLOCK)
        for (size_t c = 0; c < NN_BLOCK; c++)
            sums[c] += row[0] * weights[2 * c] + row[1] * weights[2 * c + 1];
}

static void rows_i8(int32_t sums[NN_ROWS][NN_BLOCK], const int16_t *rows, const int8_t *weights,
                    size_t pairs)
{
    for (size_t r = 0; r < NN_ROWS; r++) row_i8(sums[r], rows + r * 2 * pairs, weights, pairs);
}

static void row_f32(float sums[NN_BLOCK], const float *row, const float *weights, size_t count)
{
    memset(sums, 0, NN_BLOCK * sizeof *sums);
    for (size_t i = 0; i < count; i++, weights += NN_BLOCK)
        for (size_t c = 0; c < NN_BLOCK; c++) sums[c] += row[i] * weights[c];
}

static void rows_f32(float sums[NN_ROWS][NN_BLOCK], const float *rows, const float *weights,
                     size_t count)
{
    for (size_t r = 0; r < NN_ROWS; r++) row_f32(sums[r], rows + r * count, weights, count);
}

static void depthwise_i8(int32_t *sums, const struct nn_cells *cells, size_t count)
{
    memset(sums, 0, count * sizeof *sums);
    for (size_t y = 0; y < cells->rows; y++)
        for (size_t x = 0; x < cells->columns; x++) {
            const int8_t *in = cells->x + y * cells->x_row + x * cells->x_column;
            const int8_t *weights =
                cells->weights + y * cells->weights_row + x * cells->weights_column;
            for (size_t c = 0; c < count; c++) sums[c] += (in[c] - cells->zero) * weights[c];
        }
}

static void finish_i8(int8_t *out, const int32_t *sums, const struct nn_finish *finish,
                      size_t first, size_t count)
{
    for (size_t c = 0; c < count; c++) out[c] = nn_finish_one(finish, sums[c], first + c);
}

#define NN_ENTRY(form, isa) [IG_ISA_##isa] = &nn_products_##form,
const struct nn_products *const nn_products_of[IG_ISAS_COUNT] = {NN_FORMS(NN_ENTRY)};

const struct nn_products nn_products_scalar = {rows_i8, rows_f32,     row_i8,
                                               row_f32, depthwise_i8, finish_i8};
