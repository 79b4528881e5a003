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

static inline lanes lanes_set(double x)
{
    return _mm256_set1_pd(x);
}

static inline lanes lanes_multiply(lanes a, lanes b)
{
    return _mm256_mul_pd(a, b);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_pd(a, b);
}

static inline void lanes_store(double *to, lanes value)
{
    _mm256_storeu_pd(to, value);
}

static inline void lanes_put(float *to, lanes value)
{
    _mm_storeu_ps(to, _mm256_cvtpd_ps(value));
}

static inline void lanes_put_masked(float *to, lanes_mask mask, lanes value)
{
    _mm_maskstore_ps(to, mask, _mm256_cvtpd_ps(value));
}

#include "kernels/graph/program_product_lanes.h"

void prog_product_run_avx2(const struct prog_product *product, size_t row, size_t rows,
                           double *wide)
{
    run_group(product, row, rows, wide);
}

#else

void prog_product_run_avx2(const struct prog_product *product, size_t row, size_t rows,
                           double *wide)
{
    prog_product_run_scalar(product, row, rows, wide);
}

#endif
