/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_FIXED_H
#define IG_KERNELS_NN_NN_FIXED_H

/* Fixed-point arithmetic of 8-bit networks, bit by bit as TensorFlow Lite's kernels and gemmlowp
 * define it. A real multiplier is fraction * 2^(shift - 31), the fraction between 2^30 and 2^31.
 * Source: tensorflow/lite/kernels/internal/common.h, quantization_util.cc; gemmlowp fixedpoint.h.
 */

#include "model/network.h"

struct nn_multiplier {
    int32_t fraction;
    int32_t shift; /* -31..30 */
};

/* The nearest multiplier; 0 for what is less than 2^-32, the greatest for what is over 2^30. */
struct nn_multiplier nn_multiplier_of(double real);

/* 2 * a * b / 2^32, rounded to nearest, ties towards plus infinity; saturates. */
static inline int32_t nn_high_product(int32_t a, int32_t b)
{
    if (a == INT32_MIN && b == INT32_MIN) return INT32_MAX;
    int64_t product = (int64_t)a * b;
    int64_t nudge = product >= 0 ? INT64_C(1) << 30 : 1 - (INT64_C(1) << 30);
    return (int32_t)((product + nudge) / (INT64_C(1) << 31));
}

/* x / 2^bits, rounded to nearest, ties away from zero; bits 0..62. */
static inline int32_t nn_divide_pot(int32_t x, int32_t bits)
{
    int64_t mask = (INT64_C(1) << bits) - 1, rest = x & mask;
    int64_t threshold = (mask >> 1) + (x < 0);
    return (int32_t)((int64_t)x >> bits) + (rest > threshold);
}

/* x * multiplier, rounded once: half towards plus infinity. */
static inline int64_t nn_scale_single(int32_t x, struct nn_multiplier m)
{
    int32_t bits = 31 - m.shift;
    return ((int64_t)x * m.fraction + (INT64_C(1) << (bits - 1))) >> bits;
}

/* x * multiplier, rounded after the product and after the shift. */
static inline int64_t nn_scale_double(int32_t x, struct nn_multiplier m)
{
    int32_t left = m.shift > 0 ? m.shift : 0, right = m.shift > 0 ? 0 : -m.shift;
    int32_t shifted = (int32_t)((uint32_t)x << left);
    return nn_divide_pot(nn_high_product(shifted, m.fraction), right);
}

static inline int64_t nn_scale(int32_t x, struct nn_multiplier m, enum ig_network_rounding rounding)
{
    return rounding == IG_NETWORK_ROUNDING_SINGLE ? nn_scale_single(x, m) : nn_scale_double(x, m);
}

static inline int8_t nn_clamp(int64_t value, int32_t least, int32_t most)
{
    return (int8_t)(value < least ? least : value > most ? most : value);
}

/* Nearest step of a real number, ties away from zero, within int8; NaN becomes the zero point. */
int8_t nn_quantize(float real, float scale, int32_t zero_point);

/* gemmlowp's functions of fixed-point numbers. exp(x) of x <= 0 with `integer_bits` (at most 5)
 * integer bits, as a fraction of 2^31. */
int32_t nn_exp_negative(int32_t x, int32_t integer_bits);
/* 1 / (1 + x) and (1 - x) / (1 + x) for x in 0..1, all fractions of 2^31. */
int32_t nn_reciprocal_plus_one(int32_t x);
int32_t nn_one_minus_over_plus(int32_t x);
/* Of a number with 4 integer bits, as a fraction of 2^31. */
int32_t nn_logistic(int32_t x);
int32_t nn_tanh(int32_t x);
/* Inputs of so many steps and more are taken as without end. */
int32_t nn_input_radius(int32_t integer_bits, int32_t left_shift);

#endif
