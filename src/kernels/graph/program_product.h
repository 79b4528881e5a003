/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_GRAPH_PROGRAM_PRODUCT_H
#define IG_KERNELS_GRAPH_PROGRAM_PRODUCT_H

/* A product of float32 matrices, group of rows by group. Every output is a sum in double over the
 * shared index in ascending order, rounded once: the same on any instruction set and at any batch.
 * A product of two floats is exact in double, so a fused multiply-add gives the same bits too. */

#include "kernels/graph/program_priv.h"

enum { PROG_PRODUCT_GROUP = 8 };

/* out[rows][columns] = alpha left right + beta bias. Strides are in elements: `row` to the next
 * row, `column` to the next column. */
struct prog_product {
    const float *left, *right, *bias; /* bias may be NULL */
    const float *packed;              /* the right side as prog_product_pack lays it, or NULL */
    float *out;
    size_t rows, depth, columns;
    size_t left_row, left_column, right_row, right_column, bias_row, bias_column;
    double alpha, beta;
    /* Up to GROUP rows from `row` on. `wide` holds them as doubles. */
    void (*run)(const struct prog_product *product, size_t row, size_t rows, double *wide);
};

/* Lays a constant right side out for several rows, where this processor has a form for it: tile by
 * tile of the form's columns, [depth][columns of a tile], with zeros beyond the last. False: no
 * memory. */
bool prog_product_pack(struct prog_product *product, const float *right, struct ig_arena *arena);
/* Picks the form of `run` for this processor and layout. */
void prog_product_choose(struct prog_product *product);
/* Of prog_product_run's scratch; 0 when it overflows. */
size_t prog_product_scratch_bytes(size_t depth);
void prog_product_run(const struct prog_product *product, double *scratch);

void prog_product_run_scalar(const struct prog_product *product, size_t row, size_t rows,
                             double *wide);
/* Columns of the right side must be neighbours, or packed. */
void prog_product_run_avx2(const struct prog_product *product, size_t row, size_t rows,
                           double *wide);
void prog_product_run_avx512(const struct prog_product *product, size_t row, size_t rows,
                             double *wide);

#endif
