/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: products of matrices by vectors of eight doubles. Stateless. */
#include "kernels/graph/program_product.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES 8
typedef __m512d lanes;
typedef __mmask8 lanes_mask;

static inline lanes_mask lanes_first(size_t count)
{
    return (lanes_mask)(count < LANES ? (1U << count) - 1 : 255);
}

static inline lanes lanes_zero(void)
{
    return _mm512_setzero_pd();
}

static inline lanes lanes_load(const float *from)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(from));
}

static inline lanes lanes_load_masked(const float *from, lanes_mask mask)
{
    return _mm512_cvtps_pd(_mm256_maskz_loadu_ps(mask, from));
}

static inline lanes lanes_add_product(lanes sum, const double *left, lanes right)
{
    return _mm512_fmadd_pd(_mm512_set1_pd(*left), right, sum);
}

static inline void lanes_store(double *to, lanes sum)
{
    _mm512_store_pd(to, sum);
}

#include "kernels/graph/program_product_lanes.h"

void prog_product_sum_avx512(const struct prog_product *product, struct prog_product_tile *tile)
{
    sum_any_tile(product, tile);
}

#else

void prog_product_sum_avx512(const struct prog_product *product, struct prog_product_tile *tile)
{
    prog_product_sum_scalar(product, tile);
}

#endif
