/* SPDX-License-Identifier: Apache-2.0 */
/* Gopal et al. 2009, "Fast CRC computation for generic polynomials using PCLMULQDQ", with bits
 * reflected: four registers are folded over 64 bytes at a time, then into one, then reduced by
 * Barrett's method. Each constant is x^n modulo the polynomial. Stateless. */
#include "base/crc32_priv.h"

#if defined(__x86_64__)

#include <immintrin.h>

enum { BLOCK_BYTES = 16, LANES = 4, TURN_BYTES = BLOCK_BYTES * LANES };

static __m128i load(const unsigned char *bytes)
{
    return _mm_loadu_si128((const __m128i *)bytes);
}

static __m128i fold(__m128i sum, __m128i powers, __m128i next)
{
    __m128i low = _mm_clmulepi64_si128(sum, powers, 0x00);
    __m128i high = _mm_clmulepi64_si128(sum, powers, 0x11);
    return _mm_xor_si128(_mm_xor_si128(low, high), next);
}

static uint32_t reduce(__m128i sum)
{
    const __m128i half = _mm_setr_epi32(-1, 0, -1, 0);
    const __m128i narrow = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    const __m128i last = _mm_set_epi64x(0, 0x0163cd6124);
    const __m128i barrett = _mm_set_epi64x(0x01f7011641, 0x01db710641);
    __m128i part = _mm_clmulepi64_si128(sum, narrow, 0x10);
    sum = _mm_xor_si128(_mm_srli_si128(sum, 8), part);
    part = _mm_clmulepi64_si128(_mm_and_si128(sum, half), last, 0x00);
    sum = _mm_xor_si128(_mm_srli_si128(sum, 4), part);
    part = _mm_clmulepi64_si128(_mm_and_si128(sum, half), barrett, 0x10);
    part = _mm_clmulepi64_si128(_mm_and_si128(part, half), barrett, 0x00);
    return (uint32_t)_mm_extract_epi32(_mm_xor_si128(sum, part), 1);
}

size_t ig_crc32_fold_pclmul(uint32_t *crc, const unsigned char *bytes, size_t size_bytes)
{
    const __m128i wide = _mm_set_epi64x(0x01c6e41596, 0x0154442bd4);
    const __m128i narrow = _mm_set_epi64x(0x00ccaa009e, 0x01751997d0);
    __m128i lanes[LANES];
    size_t at = TURN_BYTES;
    if (size_bytes < TURN_BYTES) return 0;
    for (size_t i = 0; i < LANES; i++) lanes[i] = load(bytes + i * BLOCK_BYTES);
    lanes[0] = _mm_xor_si128(lanes[0], _mm_cvtsi32_si128((int)~*crc));
    for (; size_bytes - at >= TURN_BYTES; at += TURN_BYTES)
        for (size_t i = 0; i < LANES; i++)
            lanes[i] = fold(lanes[i], wide, load(bytes + at + i * BLOCK_BYTES));
    for (size_t i = 1; i < LANES; i++) lanes[0] = fold(lanes[0], narrow, lanes[i]);
    for (; size_bytes - at >= BLOCK_BYTES; at += BLOCK_BYTES)
        lanes[0] = fold(lanes[0], narrow, load(bytes + at));
    *crc = ~reduce(lanes[0]);
    return at;
}

#endif
