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

static inline lanes lanes_set(double x)
{
    return _mm512_set1_pd(x);
}

static inline lanes lanes_multiply(lanes a, lanes b)
{
    return _mm512_mul_pd(a, b);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_pd(a, b);
}

static inline void lanes_store(double *to, lanes value)
{
    _mm512_storeu_pd(to, value);
}

static inline void lanes_put(float *to, lanes value)
{
    _mm256_storeu_ps(to, _mm512_cvtpd_ps(value));
}

static inline void lanes_put_masked(float *to, lanes_mask mask, lanes value)
{
    _mm256_mask_storeu_ps(to, mask, _mm512_cvtpd_ps(value));
}

#include "kernels/graph/program_product_lanes.h"

void prog_product_run_avx512(const struct prog_product *product, size_t row, size_t rows,
                             double *wide)
{
    run_group(product, row, rows, wide);
}

#else

void prog_product_run_avx512(const struct prog_product *product, size_t row, size_t rows,
                             double *wide)
{
    prog_product_run_scalar(product, row, rows, wide);
}

#endif
