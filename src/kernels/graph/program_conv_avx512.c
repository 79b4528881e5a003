/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: a tile's sums in eight registers, one a channel. Stateless. */
#include "kernels/graph/program_conv.h"

#if defined(__x86_64__)

#include <immintrin.h>

#define LANES 8
#define PARTS 1
typedef __m512d lanes;

static inline lanes lanes_zero(void)
{
    return _mm512_setzero_pd();
}

static inline lanes lanes_add_product(lanes sum, const double *weight, lanes x)
{
    return _mm512_fmadd_pd(_mm512_set1_pd(*weight), x, sum);
}

static inline lanes lanes_set(double x)
{
    return _mm512_set1_pd(x);
}

static inline lanes lanes_add(lanes a, lanes b)
{
    return _mm512_add_pd(a, b);
}

static inline void lanes_put(float *to, lanes value)
{
    _mm256_storeu_ps(to, _mm512_cvtpd_ps(value));
}

static inline lanes lanes_load(const float *from)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(from));
}

#include "kernels/graph/program_conv_lanes.h"

void prog_conv_fill_avx512(const struct prog_conv *conv, const struct prog_conv_tile *tile)
{
    if (tile->channels == 1)
        fill_channels(conv, tile, 0, 1);
    else if (tile->channels <= 4)
        fill_channels(conv, tile, 0, 4);
    else
        fill_channels(conv, tile, 0, 8);
}

#else

void prog_conv_fill_avx512(const struct prog_conv *conv, const struct prog_conv_tile *tile)
{
    prog_conv_fill_scalar(conv, tile);
}

#endif
