/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2: a block of channels in two registers, four rows at a time. Pairs of 16-bit products are
 * summed in 32 bits, exactly; floats are multiplied and added apart, as in the portable form. */
#include "kernels/nn/nn_product.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

enum { HALVES = 2, LANES = 8 };

static inline __attribute__((always_inline)) void sum_i8(int32_t *sums, const int16_t *rows,
                                                         const int8_t *weights, size_t pairs,
                                                         const size_t rows_count)
{
    __m256i acc[NN_ROWS * HALVES];
#pragma GCC unroll 8
    for (size_t i = 0; i < rows_count * HALVES; i++) acc[i] = _mm256_setzero_si256();
    for (size_t p = 0; p < pairs; p++, weights += 2 * NN_BLOCK) {
        __m256i low = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)weights));
        __m256i high = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(weights + NN_BLOCK)));
#pragma GCC unroll 4
        for (size_t r = 0; r < rows_count; r++) {
            int32_t pair;
            memcpy(&pair, rows + r * 2 * pairs + 2 * p, sizeof pair);
            __m256i x = _mm256_set1_epi32(pair);
            acc[2 * r] = _mm256_add_epi32(acc[2 * r], _mm256_madd_epi16(x, low));
            acc[2 * r + 1] = _mm256_add_epi32(acc[2 * r + 1], _mm256_madd_epi16(x, high));
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows_count * HALVES; i++)
        _mm256_storeu_si256((__m256i *)(sums + i * LANES), acc[i]);
}

static void rows_i8(int32_t sums[NN_ROWS][NN_BLOCK], const int16_t *rows, const int8_t *weights,
                    size_t pairs)
{
    sum_i8(sums[0], rows, weights, pairs, NN_ROWS);
}

static void row_i8(int32_t sums[NN_BLOCK], const int16_t *row, const int8_t *weights, size_t pairs)
{
    sum_i8(sums, row, weights, pairs, 1);
}

static inline __attribute__((always_inline)) void
sum_f32(float *sums, const float *rows, const float *weights, size_t count, const size_t rows_count)
{
    __m256 acc[NN_ROWS * HALVES];
#pragma GCC unroll 8
    for (size_t i = 0; i < rows_count * HALVES; i++) acc[i] = _mm256_setzero_ps();
    for (size_t k = 0; k < count; k++, weights += NN_BLOCK) {
        __m256 low = _mm256_loadu_ps(weights), high = _mm256_loadu_ps(weights + LANES);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows_count; r++) {
            __m256 x = _mm256_set1_ps(rows[r * count + k]);
            acc[2 * r] = _mm256_add_ps(acc[2 * r], _mm256_mul_ps(x, low));
            acc[2 * r + 1] = _mm256_add_ps(acc[2 * r + 1], _mm256_mul_ps(x, high));
        }
    }
#pragma GCC unroll 8
    for (size_t i = 0; i < rows_count * HALVES; i++) _mm256_storeu_ps(sums + i * LANES, acc[i]);
}

static void rows_f32(float sums[NN_ROWS][NN_BLOCK], const float *rows, const float *weights,
                     size_t count)
{
    sum_f32(sums[0], rows, weights, count, NN_ROWS);
}

static void row_f32(float sums[NN_BLOCK], const float *row, const float *weights, size_t count)
{
    sum_f32(sums, row, weights, count, 1);
}

/* A product of 9 and 8 bits fits 16. */
static void depthwise_i8(int32_t *sums, const int8_t *x, int16_t zero, const int8_t *weights,
                         size_t count)
{
    const __m256i zeros = _mm256_set1_epi16(zero);
    size_t c = 0;
    for (; c + NN_BLOCK <= count; c += NN_BLOCK) {
        __m256i a = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(x + c)));
        __m256i w = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(weights + c)));
        __m256i product = _mm256_mullo_epi16(_mm256_sub_epi16(a, zeros), w);
        __m256i low = _mm256_cvtepi16_epi32(_mm256_castsi256_si128(product));
        __m256i high = _mm256_cvtepi16_epi32(_mm256_extracti128_si256(product, 1));
        __m256i *to = (__m256i *)(sums + c);
        _mm256_storeu_si256(to, _mm256_add_epi32(_mm256_loadu_si256(to), low));
        _mm256_storeu_si256(to + 1, _mm256_add_epi32(_mm256_loadu_si256(to + 1), high));
    }
    for (; c < count; c++) sums[c] += (x[c] - zero) * weights[c];
}

const struct nn_products nn_products_avx2 = {rows_i8, rows_f32, row_i8, row_f32, depthwise_i8};

#else

const struct nn_products nn_products_avx2 = {0}; /* ig_cpu_isa never says AVX2 here */

#endif
