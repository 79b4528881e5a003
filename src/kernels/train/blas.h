/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_BLAS_H
#define IG_KERNELS_TRAIN_BLAS_H

/* Matrix products by OpenBLAS, which is loaded when training begins and only then: a server never
 * maps it. On one thread, so that a seed gives the same network again on the same machine. */

#include "base/err.h"

#include <stddef.h>

/* UNSUPPORTED where the library is not installed, NO_MEMORY where its buffer finds no room.
 * Idempotent; the process keeps the library. */
enum ig_code ig_blas_load(struct ig_err *err);

struct ig_blas_matrix {
    const float *values; /* row-major */
    size_t stride;       /* elements from one row to the next, as they lie */
    bool transposed;     /* taken with rows for columns */
};

/* out[rows x columns] = a[rows x inner] b[inner x columns] + keep * out. After a good load. */
struct ig_blas_product {
    float *out; /* dense */
    size_t rows, columns, inner;
    struct ig_blas_matrix a, b;
    float keep; /* 0 or 1 */
};
void ig_blas_multiply(const struct ig_blas_product *product);

#endif
