/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_PRODUCT_H
#define IG_KERNELS_GRAPH_PROGRAM_PRODUCT_H

/* A product of float32 matrices, tile by tile. Every output is a sum in double over the shared
 * index in ascending order, rounded once: the same on any instruction set and at any batch. A
 * product of two floats is exact in double, so a fused multiply-add gives the same bits too. */

#include "kernels/graph/program_priv.h"

enum { PROG_PRODUCT_ROWS = 4, PROG_PRODUCT_SUMS_MAX = 64 };

/* `height` rows of sums that lie `width` apart: several rows of two vectors, or one row of two or
 * eight. */
struct prog_product_tile {
    const double *left; /* [depth][height], of the tile's rows */
    const float *right; /* of the first column */
    size_t height;      /* 1 or PROG_PRODUCT_ROWS */
    size_t width, columns;
    _Alignas(64) double sums[PROG_PRODUCT_SUMS_MAX]; /* out; beyond `columns` undefined */
};

/* out[rows][columns] = alpha left right + beta bias. Strides are in elements: `row` to the next
 * row, `column` to the next column. */
struct prog_product {
    const float *left, *right, *bias; /* bias may be NULL */
    float *out;
    size_t rows, depth, columns;
    size_t left_row, left_column, right_row, right_column, bias_row, bias_column;
    double alpha, beta;
    size_t lanes; /* doubles of a vector of `sum` */
    void (*sum)(const struct prog_product *product, struct prog_product_tile *tile);
};

/* Picks the form of `sum` for this processor and strides. */
void prog_product_choose(struct prog_product *product);
/* Of prog_product_run's scratch; 0 when it overflows. */
size_t prog_product_scratch_bytes(size_t depth);
void prog_product_run(const struct prog_product *product, double *scratch);

void prog_product_sum_scalar(const struct prog_product *product, struct prog_product_tile *tile);
/* Columns of the right side must be neighbours. */
void prog_product_sum_avx2(const struct prog_product *product, struct prog_product_tile *tile);
void prog_product_sum_avx512(const struct prog_product *product, struct prog_product_tile *tile);

#endif
