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

static inline void lanes_store(double *to, lanes sum)
{
    _mm512_store_pd(to, sum);
}

static inline lanes lanes_load(const float *from)
{
    return _mm512_cvtps_pd(_mm256_loadu_ps(from));
}

#include "kernels/graph/program_conv_lanes.h"

void prog_conv_sum_avx512(const struct prog_conv *conv, struct prog_conv_tile *tile)
{
    if (tile->channels == 1)
        sum_channels(conv, tile, 0, 1);
    else if (tile->channels <= 4)
        sum_channels(conv, tile, 0, 4);
    else
        sum_channels(conv, tile, 0, 8);
}

#else

void prog_conv_sum_avx512(const struct prog_conv *conv, struct prog_conv_tile *tile)
{
    prog_conv_sum_scalar(conv, tile);
}

#endif
