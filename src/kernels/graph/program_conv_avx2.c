/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: a tile's sums in eight registers, four channels at a time. Stateless. */
#include "kernels/graph/program_conv.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES 4
#define PARTS 2
typedef __m256d lanes;

static inline lanes lanes_zero(void)
{
    return _mm256_setzero_pd();
}

static inline lanes lanes_add_product(lanes sum, const double *weight, lanes x)
{
    return _mm256_fmadd_pd(_mm256_set1_pd(*weight), x, sum);
}

static inline lanes lanes_set(double x)
{
    return _mm256_set1_pd(x);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm256_add_pd(a, b);
}

static inline void lanes_put(float *to, lanes value)
{
    _mm_storeu_ps(to, _mm256_cvtpd_ps(value));
}

static inline lanes lanes_load(const float *from)
{
    return _mm256_cvtps_pd(_mm_loadu_ps(from));
}

#include "kernels/graph/program_conv_lanes.h"

void prog_conv_fill_avx2(const struct prog_conv *conv, const struct prog_conv_tile *tile)
{
    if (tile->channels == 1) {
        fill_channels(conv, tile, 0, 1);
        return;
    }
    fill_channels(conv, tile, 0, 4);
    if (tile->channels > 4) fill_channels(conv, tile, 4, 4);
}

#else

void prog_conv_fill_avx2(const struct prog_conv *conv, const struct prog_conv_tile *tile)
{
    prog_conv_fill_scalar(conv, tile);
}

#endif
