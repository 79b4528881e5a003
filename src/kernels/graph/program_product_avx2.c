/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: products of matrices by vectors of four doubles. Stateless. */
#include "kernels/graph/program_product.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES 4
typedef __m256d lanes;
typedef __m128i lanes_mask;

static inline lanes_mask lanes_first(size_t count)
{
    return _mm_cmpgt_epi32(_mm_set1_epi32(count < LANES ? (int)count : LANES),
                           _mm_setr_epi32(0, 1, 2, 3));
}

static inline lanes lanes_zero(void)
{
    return _mm256_setzero_pd();
}

static inline lanes lanes_load(const float *from)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(from));
}

static inline lanes lanes_load_masked(const float *from, lanes_mask mask)
{
    return _mm256_cvtps_pd(_mm_maskload_ps(from, mask));
}

static inline lanes lanes_add_product(lanes sum, const double *left, lanes right)
{
    return _mm256_fmadd_pd(_mm256_set1_pd(*left), right, sum);
}

static inline void lanes_store(double *to, lanes sum)
{
    _mm256_store_pd(to, sum);
}

#include "kernels/graph/program_product_lanes.h"

void prog_product_sum_avx2(const struct prog_product *product, struct prog_product_tile *tile)
{
    sum_any_tile(product, tile);
}

#else

void prog_product_sum_avx2(const struct prog_product *product, struct prog_product_tile *tile)
{
    prog_product_sum_scalar(product, tile);
}

#endif
