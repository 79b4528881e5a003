/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves for x86-64 with AVX2: products of 16-bit numbers, summed by pairs into 32 bits.
 * Stateless. */
#include "ingot_edge_nn_core.h"

#if IGE_NN_HAS_X86

#include <immintrin.h>

#define IGE_NN_AVX2 __attribute__((target("avx2")))

/* Weights of one or two quads in the order of ige_nn_place, for both positions. */
IGE_NN_AVX2 static inline __m256i ige_nn_avx2_two(const int8_t *w)
{
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 0, 2, 1, 3, 4, 6, 5, 7, 4, 6, 5, 7);
    return _mm256_cvtepi8_epi16(_mm_shuffle_epi8(_mm_loadl_epi64((const __m128i *)w), order));
}

IGE_NN_AVX2 static inline __m128i ige_nn_avx2_four(const int8_t *at)
{
    return _mm_cvtepi8_epi16(_mm_loadu_si32(at));
}

IGE_NN_AVX2 static inline __m128i ige_nn_avx2_one(const int8_t *w)
{
    const __m128i order = _mm_setr_epi8(0, 2, 1, 3, 0, 2, 1, 3, -1, -1, -1, -1, -1, -1, -1, -1);
    return _mm_cvtepi8_epi16(_mm_shuffle_epi8(_mm_loadu_si32(w), order));
}

/* Of each position two numbers, four in all: the sums are sums[0] and sums[1]. */
IGE_NN_AVX2 static inline void ige_nn_avx2_give(uint32_t *sums, __m256i wide, __m128i sum)
{
    sum = _mm_add_epi32(sum, _mm256_castsi256_si128(wide));
    sum = _mm_add_epi32(sum, _mm256_extracti128_si256(wide, 1));
    _mm_storel_epi64((__m128i *)(void *)sums, _mm_hadd_epi32(sum, sum));
}

IGE_NN_AVX2 static void ige_nn_avx2_pair(uint32_t *sums, const int16_t *x, const int8_t *w,
                                         int32_t stride, int32_t quads)
{
    __m256i a = _mm256_setzero_si256(), b = a;
    __m128i c = _mm_setzero_si128(), d = c;
    for (; quads >= 2; quads -= 2) {
        __m256i y = _mm256_loadu_si256((const __m256i *)(const void *)x);
        a = _mm256_add_epi32(a, _mm256_madd_epi16(y, ige_nn_avx2_two(w)));
        b = _mm256_add_epi32(b, _mm256_madd_epi16(y, ige_nn_avx2_two(w + stride)));
        x += 2 * IGE_NN_PAIR_QUAD;
        w += 2 * IGE_NN_QUAD;
    }
    if (quads) {
        __m128i y = _mm_loadu_si128((const __m128i *)(const void *)x);
        c = _mm_madd_epi16(y, ige_nn_avx2_one(w));
        d = _mm_madd_epi16(y, ige_nn_avx2_one(w + stride));
    }
    ige_nn_avx2_give(sums, a, c);
    ige_nn_avx2_give(sums + 2, b, d);
}

IGE_NN_AVX2 static void ige_nn_avx2_row(uint32_t *sums, const int8_t *x, const int8_t *w,
                                        const struct ige_nn_rows *rows)
{
    for (int32_t c = 0; c < 4; c++, w += rows->stride) {
        __m256i wide = _mm256_setzero_si256();
        int32_t i = 0;
        for (; i + 4 <= rows->quads; i += 4) {
            __m256i y = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(x + 4 * i)));
            __m256i v = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)(w + 4 * i)));
            wide = _mm256_add_epi32(wide, _mm256_madd_epi16(y, v));
        }
        __m128i sum =
            _mm_add_epi32(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));
        for (; i < rows->quads; i++) {
            __m128i y = ige_nn_avx2_four(x + 4 * i);
            sum = _mm_add_epi32(sum, _mm_madd_epi16(y, ige_nn_avx2_four(w + 4 * i)));
        }
        sum = _mm_hadd_epi32(sum, sum);
        sums[c] = (uint32_t)_mm_cvtsi128_si32(_mm_hadd_epi32(sum, sum));
    }
}

IGE_NN_AVX2 static void ige_nn_avx2_taps(uint32_t *sums, const int8_t *x, const int8_t *w,
                                         const struct ige_nn_taps *taps)
{
    const __m128i zero = _mm_set1_epi16((int16_t)taps->zero);
    __m128i sum = _mm_setzero_si128();
    for (int32_t row = 0; row < taps->rows; row++)
        for (int32_t column = 0; column < taps->columns; column++) {
            const int8_t *at = x + row * taps->x_row + column * taps->x_column;
            const int8_t *v = w + row * taps->w_row + column * taps->w_column;
            __m128i y = _mm_sub_epi16(ige_nn_avx2_four(at), zero);
            __m128i product = _mm_mullo_epi16(y, ige_nn_avx2_four(v)); /* 9 and 8 bits */
            sum = _mm_add_epi32(sum, _mm_cvtepi16_epi32(product));
        }
    uint32_t four[4];
    _mm_storeu_si128((__m128i *)(void *)four, sum);
    for (int32_t c = 0; c < 4; c++) sums[2 * c] = four[c];
}

IGE_NN_AVX2 void ige_nn_pair_avx2(uint32_t *sums, const int16_t *x, const int8_t *w,
                                  const struct ige_nn_rows *rows)
{
    for (int32_t group = 0; group < rows->groups; group++)
        ige_nn_avx2_pair(sums + 4 * group, x, w + 2 * group * rows->stride, rows->stride,
                         rows->quads);
}

IGE_NN_AVX2 void ige_nn_row_avx2(uint32_t *sums, const int8_t *x, const int8_t *w,
                                 const struct ige_nn_rows *rows)
{
    for (int32_t group = 0; group < rows->groups; group++)
        ige_nn_avx2_row(sums + 4 * group, x, w + 4 * group * rows->stride, rows);
}

IGE_NN_AVX2 void ige_nn_taps_avx2(uint32_t *sums, const int8_t *x, const int8_t *w,
                                  const struct ige_nn_taps *taps)
{
    for (int32_t group = 0; group < taps->groups; group++)
        ige_nn_avx2_taps(sums + 8 * group, x + 4 * group, w + 4 * group, taps);
}

IGE_NN_AVX2 void ige_nn_expand_avx2(int16_t *to, const int8_t *from, int32_t quads, int32_t zero)
{
    const __m128i zeros = _mm_set1_epi16((int16_t)zero);
    for (; quads; quads--) {
        _mm_storel_epi64((__m128i *)(void *)to, _mm_sub_epi16(ige_nn_avx2_one(from), zeros));
        from += IGE_NN_QUAD;
        to += IGE_NN_PAIR_QUAD;
    }
}

void ige_nn_finish_avx2(int8_t *const out[2], const uint32_t *sums,
                        const struct ige_nn_ready *ready, int32_t first, int32_t count)
{
    ige_nn_finish_portable(out, sums, ready, first, count);
}

#endif
