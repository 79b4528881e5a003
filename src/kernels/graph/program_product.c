/* SPDX-License-Identifier: Apache-2.0 */
/* Products of matrices for Gemm and MatMul: rows of the left side become doubles in scratch, one
 * group of rows at a time, and each tile of outputs is summed by an instruction set's form.
 * Stateless. */
#include "kernels/graph/program_product.h"

#include "kernels/cpu/cpu.h"

#include <string.h>

void prog_product_choose(struct prog_product *product)
{
    enum ig_isa isa = product->right_column == 1 ? ig_cpu_isa() : IG_ISA_SCALAR;
    product->lanes = isa == IG_ISA_AVX2 ? 4 : 8;
    product->sum = isa >= IG_ISA_AVX512 ? prog_product_sum_avx512
                   : isa >= IG_ISA_AVX2 ? prog_product_sum_avx2
                                        : prog_product_sum_scalar;
}

size_t prog_product_scratch_bytes(size_t depth)
{
    size_t bytes;
    return ig_mul(&bytes, depth, PROG_PRODUCT_ROWS * sizeof(double)) ? bytes : 0;
}

void prog_product_sum_scalar(const struct prog_product *product, struct prog_product_tile *tile)
{
    const double *left = tile->left;
    const float *right = tile->right;
    memset(tile->sums, 0, sizeof tile->sums);
    for (size_t k = 0; k < product->depth; k++) {
        for (size_t i = 0; i < tile->height; i++)
            for (size_t j = 0; j < tile->columns; j++)
                tile->sums[i * tile->width + j] +=
                    left[i] * (double)right[j * product->right_column];
        left += tile->height;
        right += product->right_row;
    }
}

/* Rows beyond the last repeat it; nobody reads their sums. */
static void widen(const struct prog_product *product, size_t row, size_t height, double *to)
{
    for (size_t i = 0; i < height; i++) {
        size_t from = row + i < product->rows ? row + i : product->rows - 1;
        const float *left = product->left + from * product->left_row;
        for (size_t k = 0; k < product->depth; k++)
            to[k * height + i] = (double)left[k * product->left_column];
    }
}

static void put(const struct prog_product *product, size_t row, size_t column, size_t count,
                const double *sums)
{
    float *out = product->out + row * product->columns + column;
    double alpha = product->alpha, beta = product->beta;
    if (!product->bias) {
        for (size_t j = 0; j < count; j++) out[j] = (float)(sums[j] * alpha);
        return;
    }
    const float *bias = product->bias + row * product->bias_row + column * product->bias_column;
    if (product->bias_column == 1)
        for (size_t j = 0; j < count; j++)
            out[j] = (float)(sums[j] * alpha + beta * (double)bias[j]);
    else
        for (size_t j = 0; j < count; j++) out[j] = (float)(sums[j] * alpha + beta * (double)*bias);
}

void prog_product_run(const struct prog_product *product, double *scratch)
{
    struct prog_product_tile tile = {.left = scratch};
    for (size_t row = 0; row < product->rows; row += tile.height) {
        size_t rows = product->rows - row;
        tile.height = rows > 1 ? PROG_PRODUCT_ROWS : 1;
        if (rows > tile.height) rows = tile.height;
        widen(product, row, tile.height, scratch);
        for (size_t column = 0; column < product->columns; column += tile.width) {
            size_t columns = product->columns - column;
            bool wide = tile.height == 1 && columns > 2 * product->lanes;
            tile.width = product->lanes * (wide ? 8 : 2);
            tile.columns = columns < tile.width ? columns : tile.width;
            tile.right = product->right + column * product->right_column;
            product->sum(product, &tile);
            for (size_t i = 0; i < rows; i++)
                put(product, row + i, column, tile.columns, tile.sums + i * tile.width);
        }
    }
}
