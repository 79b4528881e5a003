/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_PRODUCT_H
#define IG_KERNELS_NN_NN_PRODUCT_H

/* Sums of products, the inner loops of convolutions and fully connected layers, a form for each
 * instruction set. Weights are laid out in blocks of NN_BLOCK output channels. Integer sums are
 * exact in any order; a float sum goes through its inputs in order, each product and each addition
 * rounded, so all forms give the same bits. */

#include <stddef.h>
#include <stdint.h>

enum { NN_BLOCK = 16, NN_ROWS = 4 };

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
    /* sums[c] += (x[c] - zero) * weights[c], for `count` channels. */
    void (*depthwise_i8)(int32_t *sums, const int8_t *x, int16_t zero, const int8_t *weights,
                         size_t count);
};

extern const struct nn_products nn_products_scalar, nn_products_avx2;

#endif
