/* SPDX-License-Identifier: Apache-2.0 */
/* Products of matrices for Gemm and MatMul: rows of the left side become doubles in scratch, one
 * group of rows at a time, and an instruction set's form makes their outputs. Stateless. */
#include "kernels/graph/program_product.h"

#include "kernels/cpu/cpu.h"

#include <string.h>

enum { SCALAR_WIDTH = 8 };

void prog_product_choose(struct prog_product *product)
{
    bool apart = product->right_column != 1 && !product->packed;
    enum ig_isa isa = apart ? IG_ISA_SCALAR : ig_cpu_isa();
    product->run = isa >= IG_ISA_AVX512 ? prog_product_run_avx512
                   : isa >= IG_ISA_AVX2 ? prog_product_run_avx2
                                        : prog_product_run_scalar;
}

bool prog_product_pack(struct prog_product *product, const float *right, struct ig_arena *arena)
{
    const enum ig_isa isa = ig_cpu_isa();
    size_t width = isa >= IG_ISA_AVX512 ? 16 : 8, columns = product->columns;
    size_t tiles = (columns + width - 1) / width, count;
    if (product->rows == 1 || isa == IG_ISA_SCALAR) return true;
    if (!ig_mul(&count, tiles * width, product->depth)) return false;
    float *to = ig_arena_array(arena, count + 1, sizeof *to);
    if (!to) return false;
    product->packed = to;
    for (size_t first = 0; first < columns; first += width)
        for (size_t k = 0; k < product->depth; k++)
            for (size_t j = first; j < first + width; j++)
                *to++ = j < columns ? right[k * product->right_row + j * product->right_column] : 0;
    return true;
}

size_t prog_product_scratch_bytes(size_t depth)
{
    size_t bytes;
    return ig_mul(&bytes, depth, PROG_PRODUCT_GROUP * sizeof(double)) ? bytes : 0;
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
    for (size_t j = 0; j < count; j++)
        out[j] = (float)(sums[j] * alpha + beta * (double)bias[j * product->bias_column]);
}

void prog_product_run_scalar(const struct prog_product *product, size_t row, size_t rows,
                             double *wide)
{
    for (size_t i = row; i < row + rows; i++) {
        const float *left = product->left + i * product->left_row;
        for (size_t k = 0; k < product->depth; k++)
            wide[k] = (double)left[k * product->left_column];
        for (size_t column = 0; column < product->columns; column += SCALAR_WIDTH) {
            double sums[SCALAR_WIDTH] = {0};
            size_t count = product->columns - column;
            if (count > SCALAR_WIDTH) count = SCALAR_WIDTH;
            const float *right = product->right + column * product->right_column;
            for (size_t k = 0; k < product->depth; k++, right += product->right_row)
                for (size_t j = 0; j < count; j++)
                    sums[j] += wide[k] * (double)right[j * product->right_column];
            put(product, i, column, count, sums);
        }
    }
}

void prog_product_run(const struct prog_product *product, double *scratch)
{
    for (size_t row = 0; row < product->rows; row += PROG_PRODUCT_GROUP) {
        size_t rows = product->rows - row;
        product->run(product, row, rows < PROG_PRODUCT_GROUP ? rows : PROG_PRODUCT_GROUP, scratch);
    }
}
