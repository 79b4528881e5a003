/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_NN_CORE_H
#define INGOT_EDGE_NN_CORE_H

/* What the kernels of networks share: how sums become bytes, and the leaves, the inner loops that
 * each instruction set has in a form of its own. */

#include "ingot_edge_nn.h"

/* SMALL is what runs seldom, which compilers then make small rather than fast; APART is not to be
 * copied into its callers. */
#ifdef __GNUC__
#define IGE_NN_INLINE static inline __attribute__((always_inline, unused))
#define IGE_NN_SMALL __attribute__((cold))
#define IGE_NN_APART __attribute__((noinline))
#else
#define IGE_NN_INLINE static inline
#define IGE_NN_SMALL
#define IGE_NN_APART
#endif

/* A program whose networks have one rounding alone may leave out the other: 1 single, 2 double. */
#ifndef IGE_NN_ROUNDINGS
#define IGE_NN_ROUNDINGS 3
#endif
enum {
    IGE_NN_HAS_SINGLE = (IGE_NN_ROUNDINGS & 1) != 0,
    IGE_NN_HAS_DOUBLE = (IGE_NN_ROUNDINGS & 2) != 0,
};

IGE_NN_INLINE int32_t ige_nn_is_double(uint32_t rounding)
{
    return !IGE_NN_HAS_SINGLE || (IGE_NN_HAS_DOUBLE && rounding == IGE_NN_DOUBLE);
}

#ifndef IGE_NO_FLOAT
IGE_NN_INLINE uint32_t ige_nn_bits_of(float value)
{
    union {
        float f;
        uint32_t u;
    } pun;
    pun.f = value;
    return pun.u;
}

IGE_NN_INLINE float ige_nn_real_of(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } pun;
    pun.u = bits;
    return pun.f;
}

/* a / b, rounded as it, eight bits of the quotient at a time. */
IGE_NN_INLINE float ige_nn_divide_reals_whole(float a, float b)
{
    const uint32_t one = 0x800000U, fraction = one - 1;
    uint32_t x = ige_nn_bits_of(a), y = ige_nn_bits_of(b), quotient = 1;
    uint32_t x_power = x >> 23 & 255, y_power = y >> 23 & 255, power = x_power + 127 - y_power;
    uint32_t rest = (x & fraction) | one, by = (y & fraction) | one;
    if (rest < by) {
        rest <<= 1;
        power--;
    }
    if (x_power - 1 >= 254 || y_power - 1 >= 254 || power - 1 >= 254) return a / b;
    rest -= by;
    for (int32_t i = 0; i < 3; i++) {
        uint32_t bits = (rest << 8) / by;
        rest = (rest << 8) - bits * by;
        quotient = quotient << 8 | bits;
    }
    /* 25 bits, of which the last is no half: an exact quotient of two floats has no more than 24 */
    return ige_nn_real_of(((x ^ y) & 0x80000000U) | ((power << 23) + ((quotient + 1) >> 1) - one));
}

/* Without a float unit, but with a division of integers, the compiler's own is slower. */
#if defined(__SOFTFP__) && defined(__ARM_FEATURE_IDIV)
#define IGE_NN_DIVIDES_WHOLE
IGE_NN_API float ige_nn_divide_reals(float a, float b);
#else
IGE_NN_INLINE float ige_nn_divide_reals(float a, float b)
{
    return a / b;
}
#endif
#endif

/* The forms, each with whether the compiler can build it, and for tests whether their machine has
 * its instructions. The kernels use the one of the processor that is compiled for. */
#define IGE_NN_FORMS(FORM)                                                                         \
    FORM(portable, 1, 1)                                                                           \
    FORM(dsp, IGE_NN_HAS_DSP, 1)                                                                   \
    FORM(neon, IGE_NN_HAS_NEON, 1)                                                                 \
    FORM(avx2, IGE_NN_HAS_X86, IGE_NN_SUPPORTS("avx2"))                                            \
    FORM(avx512, IGE_NN_HAS_X86, IGE_NN_SUPPORTS("avx512bw"))

#if defined(__ARM_FEATURE_DSP) && defined(__thumb2__) && defined(__ARM_ARCH_PROFILE) &&            \
    __ARM_ARCH_PROFILE == 'M'
#define IGE_NN_HAS_DSP 1
#else
#define IGE_NN_HAS_DSP 0
#endif
#ifdef __ARM_NEON
#define IGE_NN_HAS_NEON 1
#else
#define IGE_NN_HAS_NEON 0
#endif
#if defined(__x86_64__) && defined(__GNUC__)
#define IGE_NN_HAS_X86 1
#else
#define IGE_NN_HAS_X86 0
#endif

#ifndef IGE_NN_FORM
#if IGE_NN_HAS_DSP
#define IGE_NN_FORM(name) name##_dsp
#elif IGE_NN_HAS_NEON
#define IGE_NN_FORM(name) name##_neon
#elif IGE_NN_HAS_X86 && defined(__AVX512BW__) && defined(__AVX512VL__)
#define IGE_NN_FORM(name) name##_avx512
#elif IGE_NN_HAS_X86 && defined(__AVX2__)
#define IGE_NN_FORM(name) name##_avx2
#else
#define IGE_NN_FORM(name) name##_portable
#endif
#endif

/* Rows for ige_nn_pair: two positions' inputs as 16-bit numbers without their zero point, by quads:
 * four of the first position, four of the second; in a quad the order is 0, 2, 1, 3, as halves of
 * registers take bytes apart. Behind the depth come zeros up to a whole quad. */
enum { IGE_NN_QUAD = 4, IGE_NN_PAIR_QUAD = 8 };
/* Channels whose sums are held at a time. */
enum { IGE_NN_BLOCK = 32 };

IGE_NN_INLINE int32_t ige_nn_place(int32_t i)
{
    return (i & ~3) * 2 + ((i & 1) << 1 | (i >> 1 & 1));
}

/* Rows of weights, `stride` bytes apart, in groups of two or four channels. */
struct ige_nn_rows {
    int32_t stride, quads, groups;
};

/* Cells that a depthwise position sees: its rows and columns inside, how far neighbours are apart,
 * and groups of four channels. */
struct ige_nn_taps {
    int32_t rows, columns, x_row, x_column, w_row, w_column, zero, groups;
};

struct ige_nn_ready;

/* Leaves; they give the sums of groups of channels, one group behind the other.
 * pair: sums[2 * c + p] of the two channels c and both positions p of x.
 * row: sums[c] of four channels, of x as it lies.
 * taps: sums[2 * c] of four neighbouring channels; rows and columns may be 0.
 * expand: quads of one position, less their zero point. */
#define IGE_NN_DECLARE_0(form)
#define IGE_NN_DECLARE_1(form)                                                                     \
    IGE_NN_API void ige_nn_pair_##form(uint32_t *sums, const int16_t *x, const int8_t *w,          \
                                       const struct ige_nn_rows *rows);                            \
    IGE_NN_API void ige_nn_row_##form(uint32_t *sums, const int8_t *x, const int8_t *w,            \
                                      const struct ige_nn_rows *rows);                             \
    IGE_NN_API void ige_nn_taps_##form(uint32_t *sums, const int8_t *x, const int8_t *w,           \
                                       const struct ige_nn_taps *taps);                            \
    IGE_NN_API void ige_nn_expand_##form(int16_t *to, const int8_t *from, int32_t quads,           \
                                         int32_t zero);                                            \
    IGE_NN_API void ige_nn_finish_##form(int8_t *const out[2], const uint32_t *sums,               \
                                         const struct ige_nn_ready *ready, int32_t first,          \
                                         int32_t count);
#define IGE_NN_DECLARE_IF(form, has) IGE_NN_DECLARE_##has(form)
#define IGE_NN_DECLARE(form, has, supported) IGE_NN_DECLARE_IF(form, has)
IGE_NN_FORMS(IGE_NN_DECLARE)
#undef IGE_NN_DECLARE

/* ---- how sums become bytes ---- */

enum ige_nn_way {
    IGE_NN_WAY_SINGLE, /* by the high word of a product of 32 bits */
    IGE_NN_WAY_DOUBLE,
    IGE_NN_WAY_WIDE,  /* two roundings of any sum by any multiplier */
    IGE_NN_WAY_EXACT, /* any sum and multiplier, by ige_nn_scale */
};

/* A layer's finish with its way chosen. */
struct ige_nn_ready {
    const uint8_t *bias, *multipliers;
    const int8_t *shifts;
    uint32_t channel_mask; /* 0 where one multiplier serves all */
    int32_t left;          /* sums are shifted so far before they are multiplied */
    int32_t zero, least, most;
    uint8_t way, rounding;
    uint8_t small; /* all multipliers are less than a quarter */
};

/* A channel's numbers. */
struct ige_nn_channel {
    int32_t fraction, shift;
    int32_t right, half; /* the shift after a high word, and a half of what it takes away */
};

IGE_NN_API void ige_nn_prepare(struct ige_nn_ready *ready, const struct ige_nn_finish *finish,
                               int32_t channels);
/* The same of one multiplier, for numbers below 2^bits. */
IGE_NN_API struct ige_nn_channel ige_nn_prepare_one(struct ige_nn_ready *ready,
                                                    struct ige_nn_multiplier multiplier,
                                                    int32_t bits, uint32_t rounding);
/* x * multiplier for any of both, within +-0x7fffff00. */
IGE_NN_API int32_t ige_nn_scale(int32_t x, struct ige_nn_multiplier multiplier, uint32_t rounding);
/* Bytes of sums, with the biases, of `count` channels from `first` on; not yet within the layer's
 * clamp. */
IGE_NN_API void ige_nn_bytes(int8_t *out, const uint32_t *sums, const struct ige_nn_ready *ready,
                             int32_t first, int32_t count);
/* Clamps bytes that are already within int8. */
IGE_NN_API void ige_nn_clamp(int8_t *bytes, int32_t count, int32_t least, int32_t most);

IGE_NN_INLINE int32_t ige_nn_i32(const uint8_t *at)
{
    return (int32_t)((uint32_t)at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 |
                     (uint32_t)at[3] << 24);
}

IGE_NN_INLINE int32_t ige_nn_sum(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

#if IGE_NN_HAS_DSP
/* x * y / 2^32, rounded down, plus z; and to nearest, half up. */
IGE_NN_INLINE int32_t ige_nn_high_add(int32_t x, int32_t y, int32_t z)
{
    int32_t result;
    __asm__("smmla %0, %1, %2, %3" : "=r"(result) : "r"(x), "r"(y), "r"(z));
    return result;
}

IGE_NN_INLINE int32_t ige_nn_high_round(int32_t x, int32_t y)
{
    int32_t result;
    __asm__("smmulr %0, %1, %2" : "=r"(result) : "r"(x), "r"(y));
    return result;
}
#else
IGE_NN_INLINE int32_t ige_nn_high_add(int32_t x, int32_t y, int32_t z)
{
    return ige_nn_sum((int32_t)(((int64_t)x * y) >> 32), z);
}

IGE_NN_INLINE int32_t ige_nn_high_round(int32_t x, int32_t y)
{
    return (int32_t)(((int64_t)x * y + ((int64_t)1 << 31)) >> 32);
}
#endif

#if defined(__ARM_FEATURE_SAT) && defined(__thumb2__)
IGE_NN_INLINE int32_t ige_nn_byte(int32_t x)
{
    int32_t result;
    __asm__("ssat %0, #8, %1" : "=r"(result) : "r"(x));
    return result;
}
#else
IGE_NN_INLINE int32_t ige_nn_byte(int32_t x)
{
    return x < -128 ? -128 : x > 127 ? 127 : x;
}
#endif

/* x * y / 2^31, to nearest, half up; y is not the least number. */
IGE_NN_INLINE int32_t ige_nn_high31(int32_t x, int32_t y)
{
    return (int32_t)(((int64_t)x * y + ((int64_t)1 << 30)) >> 31);
}

IGE_NN_INLINE struct ige_nn_channel ige_nn_channel(uint32_t way, const struct ige_nn_ready *ready,
                                                   int32_t fraction, int32_t shift)
{
    struct ige_nn_channel channel = {fraction, shift, 0, 0};
    if (way == IGE_NN_WAY_EXACT) return channel;
    channel.right = ready->left - 1 - shift;
    if (way == IGE_NN_WAY_WIDE && channel.right < 0) channel.right = 0;
    channel.half = (int32_t)((1U << channel.right) >> 1);
    return channel;
}

/* A sum scaled, in a way that the compiler may know. */
IGE_NN_INLINE int32_t ige_nn_value(uint32_t way, const struct ige_nn_ready *ready,
                                   const struct ige_nn_channel *channel, int32_t sum)
{
    int32_t shifted = (int32_t)((uint32_t)sum << ready->left), value;
    if (way == IGE_NN_WAY_SINGLE && IGE_NN_HAS_SINGLE)
        return ige_nn_high_add(shifted, channel->fraction, channel->half) >> channel->right;
    if (way == IGE_NN_WAY_DOUBLE && IGE_NN_HAS_DOUBLE) {
        value = ige_nn_high_round(shifted, channel->fraction);
        return ige_nn_sum(ige_nn_sum(value, value >> 31), channel->half) >> channel->right;
    }
    if (way == IGE_NN_WAY_WIDE && IGE_NN_HAS_DOUBLE) {
        if (channel->shift > 0) sum = (int32_t)((uint32_t)sum << channel->shift);
        int64_t wide = ige_nn_high31(sum, channel->fraction);
        if (channel->half) wide += channel->half - (wide < 0);
        return (int32_t)(wide >> channel->right);
    }
    struct ige_nn_multiplier multiplier;
    multiplier.fraction = channel->fraction;
    multiplier.shift = channel->shift;
    return ige_nn_scale(sum, multiplier, ready->rounding);
}

/* The loop of a leaf's finish, in a way that the compiler may know, with all that it reads in
 * variables: bytes may lie anywhere, for all that a compiler knows. */
IGE_NN_INLINE void ige_nn_finish_way(uint32_t way, int8_t *const out[2], const uint32_t *sums,
                                     const struct ige_nn_ready *ready, int32_t first, int32_t count)
{
    const struct ige_nn_ready held = *ready;
    uint32_t i = (uint32_t)first & held.channel_mask, step = 1 & held.channel_mask;
    const uint8_t *bias = held.bias + 4 * first;
    const uint32_t *end = sums + 2 * count;
    int8_t *a = out[0], *b = out[1];
    for (; sums < end; sums += 2) {
        struct ige_nn_channel channel =
            ige_nn_channel(way, &held, ige_nn_i32(held.multipliers + 4 * i), held.shifts[i]);
        int32_t add = ige_nn_i32(bias);
        int32_t value = ige_nn_value(way, &held, &channel, ige_nn_sum((int32_t)sums[0], add));
        int32_t other = ige_nn_value(way, &held, &channel, ige_nn_sum((int32_t)sums[1], add));
        *a++ = (int8_t)ige_nn_byte(value + held.zero);
        *b++ = (int8_t)ige_nn_byte(other + held.zero);
        bias += 4;
        i += step;
    }
}

#endif
