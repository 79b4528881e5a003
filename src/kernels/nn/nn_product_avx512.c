/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: a block of channels in one register, four rows at a time. Pairs of 16-bit products are
 * summed in 32 bits, exactly; floats are multiplied and added apart, as in the portable form. What
 * is left at an end is masked. */
#include "kernels/nn/nn_product.h"

#if defined(__x86_64__)

#include <immintrin.h>
#include <string.h>

static inline __attribute__((always_inline)) void sum_i8(int32_t *sums, const int16_t *rows,
                                                         const int8_t *weights, size_t pairs,
                                                         const size_t rows_count)
{
    __m512i acc[NN_ROWS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows_count; r++) acc[r] = _mm512_setzero_si512();
    for (size_t p = 0; p < pairs; p++, weights += 2 * NN_BLOCK) {
        __m512i block = _mm512_cvtepi8_epi16(_mm256_loadu_si256((const __m256i *)weights));
#pragma GCC unroll 4
        for (size_t r = 0; r < rows_count; r++) {
            int32_t pair;
            memcpy(&pair, rows + r * 2 * pairs + 2 * p, sizeof pair);
            acc[r] = _mm512_add_epi32(acc[r], _mm512_madd_epi16(_mm512_set1_epi32(pair), block));
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows_count; r++) _mm512_storeu_si512(sums + r * NN_BLOCK, acc[r]);
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
    __m512 acc[NN_ROWS];
#pragma GCC unroll 4
    for (size_t r = 0; r < rows_count; r++) acc[r] = _mm512_setzero_ps();
    for (size_t k = 0; k < count; k++, weights += NN_BLOCK) {
        __m512 block = _mm512_loadu_ps(weights);
#pragma GCC unroll 4
        for (size_t r = 0; r < rows_count; r++) {
            __m512 x = _mm512_set1_ps(rows[r * count + k]);
            acc[r] = _mm512_add_ps(acc[r], _mm512_mul_ps(x, block));
        }
    }
#pragma GCC unroll 4
    for (size_t r = 0; r < rows_count; r++) _mm512_storeu_ps(sums + r * NN_BLOCK, acc[r]);
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

static inline __mmask16 first_of(size_t count, size_t lanes)
{
    return (__mmask16)((1U << (count < lanes ? count : lanes)) - 1);
}

static inline __m256i wide(const int8_t *from, __mmask16 mask)
{
    return _mm256_cvtepi8_epi16(_mm_maskz_loadu_epi8(mask, from));
}

/* A product of 9 and 8 bits fits 16. */
static void depthwise_i8(int32_t *sums, const struct nn_cells *cells, size_t count)
{
    const __m256i zero = _mm256_set1_epi16(cells->zero);
    for (size_t c = 0; c < count; c += NN_BLOCK) {
        __mmask16 mask = first_of(count - c, NN_BLOCK);
        __m512i sum = _mm512_setzero_si512();
        for (size_t y = 0; y < cells->rows; y++) {
            const int8_t *x = cells->x + y * cells->x_row + c;
            const int8_t *weights = cells->weights + y * cells->weights_row + c;
            for (size_t i = 0; i < cells->columns; i++) {
                __m256i product =
                    _mm256_mullo_epi16(_mm256_sub_epi16(wide(x, mask), zero), wide(weights, mask));
                sum = _mm512_add_epi32(sum, _mm512_cvtepi16_epi32(product));
                x += cells->x_column;
                weights += cells->weights_column;
            }
        }
        _mm512_mask_storeu_epi32(sums + c, mask, sum);
    }
}

/* Eight sums in 64 bits by any multipliers, which are a fraction below and a shift above; a
 * product's lower halves are those that count. nn_scale_single and nn_scale_double as they are. */
static inline __m512i scale_single(__m512i sums, __m512i multipliers)
{
    const __m512i one = _mm512_set1_epi64(1);
    __m512i bits = _mm512_sub_epi64(_mm512_set1_epi64(31), _mm512_srai_epi64(multipliers, 32));
    __m512i half = _mm512_sllv_epi64(one, _mm512_sub_epi64(bits, one));
    return _mm512_srav_epi64(_mm512_add_epi64(_mm512_mul_epi32(sums, multipliers), half), bits);
}

static inline __m512i scale_double(__m512i sums, __m512i multipliers)
{
    const __m512i one = _mm512_set1_epi64(1), none = _mm512_setzero_si512();
    __m512i shift = _mm512_srai_epi64(multipliers, 32);
    __m512i left = _mm512_max_epi64(shift, none);
    __m512i right = _mm512_max_epi64(_mm512_sub_epi64(none, shift), none);
    __m512i product = _mm512_mul_epi32(_mm512_sllv_epi64(sums, left), multipliers);
    product = _mm512_add_epi64(product, _mm512_set1_epi64(INT64_C(1) << 30));
    __m512i value = _mm512_srai_epi64(product, 31);
    __m512i ones = _mm512_sub_epi64(_mm512_sllv_epi64(one, right), one);
    __m512i most = _mm512_add_epi64(_mm512_srli_epi64(ones, 1), _mm512_srli_epi64(value, 63));
    __mmask8 up = _mm512_cmpgt_epi64_mask(_mm512_and_si512(value, ones), most);
    value = _mm512_srav_epi64(value, right);
    return _mm512_mask_add_epi64(value, up, value, one);
}

static void finish_i8(int8_t *out, const int32_t *sums, const struct nn_finish *finish,
                      size_t first, size_t count)
{
    enum { LANES = 8 };
    const __m512i zero = _mm512_set1_epi64(finish->zero);
    const __m512i least = _mm512_set1_epi64(finish->least);
    const __m512i most = _mm512_set1_epi64(finish->most);
    for (size_t c = 0; c < count; c += LANES) {
        __mmask16 mask = first_of(count - c, LANES);
        __mmask8 lanes = (__mmask8)mask;
        __m256i sum = _mm256_add_epi32(_mm256_maskz_loadu_epi32(lanes, sums + c),
                                       _mm256_maskz_loadu_epi32(lanes, finish->bias + first + c));
        __m512i multipliers = _mm512_maskz_loadu_epi64(lanes, finish->multipliers + first + c);
        __m512i wide_sum = _mm512_cvtepi32_epi64(sum);
        __m512i value = finish->rounding == IG_NETWORK_ROUNDING_SINGLE
                            ? scale_single(wide_sum, multipliers)
                            : scale_double(wide_sum, multipliers);
        value = _mm512_min_epi64(_mm512_max_epi64(_mm512_add_epi64(value, zero), least), most);
        _mm_mask_storeu_epi8(out + c, mask, _mm512_cvtepi64_epi8(value));
    }
}

const struct nn_products nn_products_avx512 = {rows_i8, rows_f32,     row_i8,
                                               row_f32, depthwise_i8, finish_i8};

#else

const struct nn_products nn_products_avx512 = {0}; /* ig_cpu_isa never says AVX-512 here */

#endif
