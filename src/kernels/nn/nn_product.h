/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_PRODUCT_H
#define IG_KERNELS_NN_NN_PRODUCT_H

/* Sums of products, the inner loops of convolutions and fully connected layers, a form for each
 * instruction set. Weights are laid out in blocks of NN_BLOCK output channels. Integer sums are
 * exact in any order; a float sum goes through its inputs in order, each product and each addition
 * rounded, so all forms give the same bits. */

#include "kernels/cpu/cpu.h"
#include "kernels/nn/nn_fixed.h"

enum { NN_BLOCK = 16, NN_ROWS = 4 };

/* What makes bytes of an int8 layer's sums. */
struct nn_finish {
    const int32_t *bias; /* by channel */
    const struct nn_multiplier *multipliers;
    int32_t zero, least, most;
    enum ig_network_rounding rounding;
    bool shrinks; /* no multiplier is over 1 */
    bool small;   /* all are less than a quarter, and no less than 2^-31 unless 0 */
};

/* What a position of a depthwise convolution sees: cells that lie inside, by row and column, with
 * how far the inputs and weights of neighbours are apart. */
struct nn_cells {
    const int8_t *x, *weights;
    size_t rows, columns, x_row, x_column, weights_row, weights_column;
    int16_t zero;
};

struct nn_products {
    /* sums[r][c] = sum over i of rows[r][i] * weights[i / 2][c][i % 2], for NN_ROWS rows of
     * 2 * pairs numbers, one behind the other. */
    void (*i8)(int32_t sums[NN_ROWS][NN_BLOCK], const int16_t *rows, const int8_t *weights,
               size_t pairs);
    /* sums[r][c] = sum over i of rows[r][i] * weights[i][c], for NN_ROWS rows of `count`. */
    void (*f32)(float sums[NN_ROWS][NN_BLOCK], const float *rows, const float *weights,
                size_t count);
    /* The same of one row. */
    void (*i8_row)(int32_t sums[NN_BLOCK], const int16_t *row, const int8_t *weights, size_t pairs);
    void (*f32_row)(float sums[NN_BLOCK], const float *row, const float *weights, size_t count);
    /* sums[c] = sum over the cells of (x[c] - zero) * weights[c], for `count` channels. */
    void (*depthwise_i8)(int32_t *sums, const struct nn_cells *cells, size_t count);
    /* out[c] = sums[c] + bias[c], scaled, clamped, for `count` channels from `first` on. */
    void (*finish_i8)(int8_t *out, const int32_t *sums, const struct nn_finish *finish,
                      size_t first, size_t count);
};

static inline int8_t nn_finish_one(const struct nn_finish *finish, int32_t sum, size_t channel)
{
    int32_t biased = (int32_t)((uint32_t)sum + (uint32_t)finish->bias[channel]);
    int64_t scaled = nn_scale(biased, finish->multipliers[channel], finish->rounding);
    return nn_clamp(scaled + finish->zero, finish->least, finish->most);
}

/* The forms, each with the instruction set that it is for. */
#define NN_FORMS(FORM) FORM(scalar, SCALAR) FORM(avx2, AVX2) FORM(avx512, AVX512)

#define NN_DECLARE(form, isa) extern const struct nn_products nn_products_##form;
NN_FORMS(NN_DECLARE)
#undef NN_DECLARE
extern const struct nn_products *const nn_products_of[IG_ISAS_COUNT];

#endif
