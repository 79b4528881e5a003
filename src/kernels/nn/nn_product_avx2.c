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

static inline __m128i wide_eight(const int8_t *from)
{
    return _mm_cvtepi8_epi16(_mm_loadl_epi64((const __m128i *)from));
}

/* Eight channels' sums in a register. A product of 9 and 8 bits fits 16. */
static __m256i depthwise_eight(const struct nn_cells *cells, size_t channel)
{
    const __m128i zero = _mm_set1_epi16(cells->zero);
    __m256i sum = _mm256_setzero_si256();
    for (size_t y = 0; y < cells->rows; y++) {
        const int8_t *x = cells->x + y * cells->x_row + channel;
        const int8_t *weights = cells->weights + y * cells->weights_row + channel;
        for (size_t i = 0; i < cells->columns; i++) {
            __m128i product =
                _mm_mullo_epi16(_mm_sub_epi16(wide_eight(x), zero), wide_eight(weights));
            sum = _mm256_add_epi32(sum, _mm256_cvtepi16_epi32(product));
            x += cells->x_column;
            weights += cells->weights_column;
        }
    }
    return sum;
}

static void depthwise_i8(int32_t *sums, const struct nn_cells *cells, size_t count)
{
    size_t c = 0;
    for (; c + LANES <= count; c += LANES)
        _mm256_storeu_si256((__m256i *)(sums + c), depthwise_eight(cells, c));
    struct nn_cells rest = *cells;
    rest.x += c;
    rest.weights += c;
    if (c < count) nn_products_scalar.depthwise_i8(sums + c, &rest, count - c);
}

/* Four sums scaled with one rounding: a 64-bit product, half of the last bit that stays, and a
 * shift, which AVX2 has for unsigned numbers alone. Multipliers of at most 1, so results fit. */
static inline __m128i scale_four(__m128i sums, const struct nn_multiplier *multipliers)
{
    const __m256i one = _mm256_set1_epi64x(1), sign = _mm256_set1_epi64x(INT64_MIN);
    __m256i m = _mm256_loadu_si256((const __m256i *)multipliers);
    __m256i shift = _mm256_srli_epi64(m, 32); /* of 32 bits, may be negative */
    __m256i bits = _mm256_srli_epi64(
        _mm256_slli_epi64(_mm256_sub_epi32(_mm256_set1_epi64x(31), shift), 32), 32);
    __m256i product = _mm256_mul_epi32(_mm256_cvtepi32_epi64(sums), m);
    __m256i half = _mm256_sllv_epi64(one, _mm256_sub_epi64(bits, one));
    __m256i shifted =
        _mm256_srlv_epi64(_mm256_xor_si256(_mm256_add_epi64(product, half), sign), bits);
    shifted = _mm256_sub_epi64(shifted, _mm256_srlv_epi64(sign, bits));
    __m256i low = _mm256_permutevar8x32_epi32(shifted, _mm256_setr_epi32(0, 2, 4, 6, 0, 2, 4, 6));
    return _mm256_castsi256_si128(low);
}

static void finish_four(int8_t *out, const int32_t *sums, const struct nn_finish *finish,
                        size_t first, size_t count)
{
    enum { FOUR = 4 };
    const __m128i zero = _mm_set1_epi32(finish->zero);
    const __m128i least = _mm_set1_epi32(finish->least - finish->zero);
    const __m128i most = _mm_set1_epi32(finish->most - finish->zero);
    size_t c = 0;
    bool vector = finish->shrinks && finish->rounding == IG_NETWORK_ROUNDING_SINGLE;
    for (; vector && c + FOUR <= count; c += FOUR) {
        __m128i sum = _mm_add_epi32(_mm_loadu_si128((const __m128i *)(sums + c)),
                                    _mm_loadu_si128((const __m128i *)(finish->bias + first + c)));
        __m128i step = scale_four(sum, finish->multipliers + first + c);
        step = _mm_add_epi32(_mm_min_epi32(_mm_max_epi32(step, least), most), zero);
        step = _mm_packs_epi32(step, step);
        int32_t bytes = _mm_cvtsi128_si32(_mm_packs_epi16(step, step));
        memcpy(out + c, &bytes, sizeof bytes);
    }
    for (; c < count; c++) out[c] = nn_finish_one(finish, sums[c], first + c);
}

/* Lanes 0, 1, 2, 3 of each half behind one another. */
static inline __m256i in_order(__m256i x)
{
    return _mm256_permute4x64_epi64(x, _MM_SHUFFLE(3, 1, 2, 0));
}

/* The odd numbers of a, then those of b. */
static inline __m256i odd_ones(__m256i a, __m256i b)
{
    __m256 odd = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0xdd);
    return in_order(_mm256_castps_si256(odd));
}

static inline __m256i even_ones(__m256i a, __m256i b)
{
    __m256 even = _mm256_shuffle_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b), 0x88);
    return in_order(_mm256_castps_si256(even));
}

/* Eight sums by multipliers of less than a quarter. One rounding: the shift takes away all of a
 * product's low word and a bit more at least, so its high word is enough. Two: the bits from 31 on
 * are rounded first, then again, half away from zero. */
static inline __m256i scale_eight(__m256i sums, const struct nn_multiplier *multipliers, bool twice)
{
    const __m256i one = _mm256_set1_epi32(1), nudge = _mm256_set1_epi64x(INT64_C(1) << 30);
    __m256i low_m = _mm256_loadu_si256((const __m256i *)multipliers);
    __m256i high_m = _mm256_loadu_si256((const __m256i *)(multipliers + 4));
    __m256i low = _mm256_mul_epi32(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(sums)), low_m);
    __m256i high =
        _mm256_mul_epi32(_mm256_cvtepi32_epi64(_mm256_extracti128_si256(sums, 1)), high_m);
    __m256i right = _mm256_sub_epi32(_mm256_setzero_si256(), odd_ones(low_m, high_m)), value;
    if (twice) {
        low = _mm256_srli_epi64(_mm256_add_epi64(low, nudge), 31);
        high = _mm256_srli_epi64(_mm256_add_epi64(high, nudge), 31);
        value = even_ones(low, high);
        __m256i mask = _mm256_sub_epi32(_mm256_sllv_epi32(one, right), one);
        __m256i most = _mm256_sub_epi32(_mm256_srli_epi32(mask, 1), _mm256_srai_epi32(value, 31));
        __m256i up = _mm256_cmpgt_epi32(_mm256_and_si256(value, mask), most);
        return _mm256_sub_epi32(_mm256_srav_epi32(value, right), up);
    }
    right = _mm256_sub_epi32(right, one);
    __m256i half = _mm256_sllv_epi32(one, _mm256_sub_epi32(right, one));
    return _mm256_srav_epi32(_mm256_add_epi32(odd_ones(low, high), half), right);
}

static void finish_i8(int8_t *out, const int32_t *sums, const struct nn_finish *finish,
                      size_t first, size_t count)
{
    const __m256i zero = _mm256_set1_epi32(finish->zero);
    const __m256i least = _mm256_set1_epi32(finish->least - finish->zero);
    const __m256i most = _mm256_set1_epi32(finish->most - finish->zero);
    size_t c = 0;
    bool twice = finish->rounding == IG_NETWORK_ROUNDING_DOUBLE;
    for (; finish->small && c + LANES <= count; c += LANES) {
        __m256i sum = _mm256_loadu_si256((const __m256i *)(sums + c));
        sum =
            _mm256_add_epi32(sum, _mm256_loadu_si256((const __m256i *)(finish->bias + first + c)));
        __m256i step = scale_eight(sum, finish->multipliers + first + c, twice);
        step = _mm256_min_epi32(_mm256_max_epi32(step, least), most);
        step = in_order(_mm256_packs_epi32(_mm256_add_epi32(step, zero), step));
        __m128i bytes = _mm256_castsi256_si128(step);
        _mm_storel_epi64((__m128i *)(void *)(out + c), _mm_packs_epi16(bytes, bytes));
    }
    if (c < count) finish_four(out + c, sums + c, finish, first + c, count - c);
}

const struct nn_products nn_products_avx2 = {rows_i8, rows_f32,     row_i8,
                                             row_f32, depthwise_i8, finish_i8};

#else

const struct nn_products nn_products_avx2 = {0}; /* ig_cpu_isa never says AVX2 here */

#endif
