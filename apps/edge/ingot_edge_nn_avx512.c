/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves for x86-64 with AVX-512 (F, BW, VL): products of 16-bit numbers, summed by pairs into
 * 32 bits, four quads at a time; of the last ones a mask lets what is there through. Stateless. */
#include "ingot_edge_nn_core.h"

#if IGE_NN_HAS_X86

#include <immintrin.h>

#define IGE_NN_AVX512 __attribute__((target("avx512f,avx512bw,avx512vl")))

enum { IGE_NN_AVX512_QUADS = 4 };

/* Ones for `each` lanes a quad, of at most four. */
static inline uint32_t ige_nn_avx512_mask(int32_t quads, int32_t each)
{
    return quads >= IGE_NN_AVX512_QUADS ? 0xffffffffU : (1U << quads * each) - 1;
}

/* Up to four quads of bytes as 16-bit numbers, for both positions, in the order of ige_nn_place. */
IGE_NN_AVX512 static inline __m512i ige_nn_avx512_place(const int8_t *from, int32_t quads)
{
    const __m256i order = _mm256_setr_epi8(0, 2, 1, 3, 0, 2, 1, 3, 4, 6, 5, 7, 4, 6, 5, 7, 8, 10, 9,
                                           11, 8, 10, 9, 11, 12, 14, 13, 15, 12, 14, 13, 15);
    __mmask16 mask = (__mmask16)ige_nn_avx512_mask(quads, IGE_NN_QUAD);
    __m256i twice = _mm256_broadcastsi128_si256(_mm_maskz_loadu_epi8(mask, from));
    return _mm512_cvtepi8_epi16(_mm256_shuffle_epi8(twice, order));
}

/* The sums of a quad's lanes: sums[0] and sums[1]. */
IGE_NN_AVX512 static inline void ige_nn_avx512_give(uint32_t *sums, __m512i lanes)
{
    __m256i half =
        _mm256_add_epi32(_mm512_castsi512_si256(lanes), _mm512_extracti64x4_epi64(lanes, 1));
    __m128i sum = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    _mm_storel_epi64((__m128i *)(void *)sums, _mm_hadd_epi32(sum, sum));
}

IGE_NN_AVX512 void ige_nn_pair_avx512(uint32_t *sums, const int16_t *x, const int8_t *w,
                                      const struct ige_nn_rows *rows)
{
    for (int32_t group = 0; group < rows->groups; group++, sums += 4, w += 2 * rows->stride) {
        __m512i a = _mm512_setzero_si512(), b = a;
        for (int32_t i = 0; i < rows->quads; i += IGE_NN_AVX512_QUADS) {
            int32_t left = rows->quads - i;
            __mmask32 mask = ige_nn_avx512_mask(left, IGE_NN_PAIR_QUAD);
            __m512i y = _mm512_maskz_loadu_epi16(mask, x + i * IGE_NN_PAIR_QUAD);
            const int8_t *v = w + i * IGE_NN_QUAD;
            a = _mm512_add_epi32(a, _mm512_madd_epi16(y, ige_nn_avx512_place(v, left)));
            v += rows->stride;
            b = _mm512_add_epi32(b, _mm512_madd_epi16(y, ige_nn_avx512_place(v, left)));
        }
        ige_nn_avx512_give(sums, a);
        ige_nn_avx512_give(sums + 2, b);
    }
}

IGE_NN_AVX512 void ige_nn_row_avx512(uint32_t *sums, const int8_t *x, const int8_t *w,
                                     const struct ige_nn_rows *rows)
{
    enum { BYTES = 32 };
    for (int32_t c = 0; c < 4 * rows->groups; c++, w += rows->stride) {
        __m512i sum = _mm512_setzero_si512();
        for (int32_t i = 0; i < rows->quads * IGE_NN_QUAD; i += BYTES) {
            int32_t left = rows->quads * IGE_NN_QUAD - i;
            __mmask32 mask = left >= BYTES ? 0xffffffffU : (1U << left) - 1;
            __m512i y = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, x + i));
            __m512i v = _mm512_cvtepi8_epi16(_mm256_maskz_loadu_epi8(mask, w + i));
            sum = _mm512_add_epi32(sum, _mm512_madd_epi16(y, v));
        }
        sums[c] = (uint32_t)_mm512_reduce_add_epi32(sum);
    }
}

/* Four groups of channels at a time. */
IGE_NN_AVX512 void ige_nn_taps_avx512(uint32_t *sums, const int8_t *x, const int8_t *w,
                                      const struct ige_nn_taps *taps)
{
    const __m256i zero = _mm256_set1_epi16((int16_t)taps->zero);
    const __m512i places =
        _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    for (int32_t group = 0; group < taps->groups; group += 4) {
        __mmask16 mask = (__mmask16)ige_nn_avx512_mask(taps->groups - group, 4);
        __m512i sum = _mm512_setzero_si512();
        for (int32_t row = 0; row < taps->rows; row++)
            for (int32_t column = 0; column < taps->columns; column++) {
                int32_t at = 4 * group + row * taps->x_row + column * taps->x_column;
                int32_t of = 4 * group + row * taps->w_row + column * taps->w_column;
                __m256i y = _mm256_cvtepi8_epi16(_mm_maskz_loadu_epi8(mask, x + at));
                __m256i v = _mm256_cvtepi8_epi16(_mm_maskz_loadu_epi8(mask, w + of));
                y = _mm256_mullo_epi16(_mm256_sub_epi16(y, zero), v); /* 9 and 8 bits */
                sum = _mm512_add_epi32(sum, _mm512_cvtepi16_epi32(y));
            }
        _mm512_mask_i32scatter_epi32(sums + 8 * group, mask, places, sum, 4);
    }
}

IGE_NN_AVX512 void ige_nn_expand_avx512(int16_t *to, const int8_t *from, int32_t quads,
                                        int32_t zero)
{
    const __m512i zeros = _mm512_set1_epi16((int16_t)zero);
    for (int32_t i = 0; i < quads; i += IGE_NN_AVX512_QUADS) {
        __mmask32 mask = 0x0f0f0f0fU & ige_nn_avx512_mask(quads - i, IGE_NN_PAIR_QUAD);
        __m512i x = ige_nn_avx512_place(from + i * IGE_NN_QUAD, quads - i);
        _mm512_mask_storeu_epi16(to + i * IGE_NN_PAIR_QUAD, mask, _mm512_sub_epi16(x, zeros));
    }
}

void ige_nn_finish_avx512(int8_t *const out[2], const uint32_t *sums,
                          const struct ige_nn_ready *ready, int32_t first, int32_t count)
{
    ige_nn_finish_portable(out, sums, ready, first, count);
}

#endif
