/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: a tile's sums in eight registers, products and sums rounded apart as in the scalar form.
 * Stateless. */
#include "kernels/graph/program_conv.h"

#if defined(__x86_64__)

#include <immintrin.h>

struct sums {
    __m256d a0, a1, b0, b1, c0, c1, d0, d1; /* four channels of eight lanes */
};

static inline __m256d add_product(__m256d sum, const float *weight, __m256d x)
{
    return _mm256_add_pd(sum, _mm256_mul_pd(_mm256_set1_pd((double)*weight), x));
}

static inline void add_tap(struct sums *sums, const float *const kernels[4], size_t tap, __m256d x0,
                           __m256d x1)
{
    sums->a0 = add_product(sums->a0, kernels[0] + tap, x0);
    sums->a1 = add_product(sums->a1, kernels[0] + tap, x1);
    sums->b0 = add_product(sums->b0, kernels[1] + tap, x0);
    sums->b1 = add_product(sums->b1, kernels[1] + tap, x1);
    sums->c0 = add_product(sums->c0, kernels[2] + tap, x0);
    sums->c1 = add_product(sums->c1, kernels[2] + tap, x1);
    sums->d0 = add_product(sums->d0, kernels[3] + tap, x0);
    sums->d1 = add_product(sums->d1, kernels[3] + tap, x1);
}

static inline void add_line(const struct prog_window *window, const float *line, int64_t column,
                            struct sums *sums, const float *const kernels[4], size_t tap)
{
    for (int64_t x = 0; x < window->kernel[1]; x++, tap++) {
        int64_t first = column + x * window->dilation[1];
        if (window->stride[1] == 1 && first >= 0 && first + PROG_CONV_LANES <= window->in[1]) {
            add_tap(sums, kernels, tap, _mm256_cvtps_pd(_mm_loadu_ps(line + first)),
                    _mm256_cvtps_pd(_mm_loadu_ps(line + first + 4)));
            continue;
        }
        double lanes[PROG_CONV_LANES];
        prog_conv_lanes(window, line, first, lanes);
        add_tap(sums, kernels, tap, _mm256_loadu_pd(lanes), _mm256_loadu_pd(lanes + 4));
    }
}

static void store(const struct sums *sums, struct prog_conv_tile *tile)
{
    _mm256_storeu_pd(tile->sums[0], sums->a0);
    _mm256_storeu_pd(tile->sums[0] + 4, sums->a1);
    _mm256_storeu_pd(tile->sums[1], sums->b0);
    _mm256_storeu_pd(tile->sums[1] + 4, sums->b1);
    _mm256_storeu_pd(tile->sums[2], sums->c0);
    _mm256_storeu_pd(tile->sums[2] + 4, sums->c1);
    _mm256_storeu_pd(tile->sums[3], sums->d0);
    _mm256_storeu_pd(tile->sums[3] + 4, sums->d1);
}

void prog_conv_sum_avx2(const struct prog_conv *conv, struct prog_conv_tile *tile)
{
    const struct prog_window *window = &conv->window;
    size_t plane = (size_t)(window->in[0] * window->in[1]);
    __m256d zero = _mm256_setzero_pd();
    struct sums sums = {zero, zero, zero, zero, zero, zero, zero, zero};
    const float *kernels[PROG_CONV_BLOCK];
    size_t tap = 0;
    /* Channels that are not there repeat the first; nobody reads their sums. */
    for (size_t k = 0; k < PROG_CONV_BLOCK; k++)
        kernels[k] = tile->kernel + (k < tile->channels ? k * tile->taps : 0);
    for (size_t c = 0; c < conv->in_channels; c++)
        for (int64_t y = 0; y < window->kernel[0]; y++, tap += (size_t)window->kernel[1]) {
            int64_t row = tile->row + y * window->dilation[0];
            if (row < 0 || row >= window->in[0]) continue;
            const float *line = tile->image + c * plane + (size_t)(row * window->in[1]);
            add_line(window, line, tile->column, &sums, kernels, tap);
        }
    store(&sums, tile);
}

#else

void prog_conv_sum_avx2(const struct prog_conv *conv, struct prog_conv_tile *tile)
{
    prog_conv_sum_scalar(conv, tile);
}

#endif
