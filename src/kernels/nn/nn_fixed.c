/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-point numbers: multipliers, exp, logistic and tanh. Stateless. Source: gemmlowp's
 * fixedpoint.h and TensorFlow Lite's quantization_util.cc, whose names stand in the comments. */
#include "kernels/nn/nn_fixed.h"

#include <math.h>

struct nn_multiplier nn_multiplier_of(double real)
{
    int shift = 0;
    if (!isfinite(real)) return (struct nn_multiplier){INT32_MAX, 30}; /* scales of a broken file */
    double fraction = frexp(real, &shift);
    int64_t fixed = (int64_t)round(fraction * 0x1p31);
    if (fixed == INT64_C(1) << 31) {
        fixed /= 2;
        shift++;
    }
    if (shift < -31) return (struct nn_multiplier){0, 0};
    if (shift > 30) return (struct nn_multiplier){INT32_MAX, 30};
    return (struct nn_multiplier){(int32_t)fixed, shift};
}

int8_t nn_quantize(float real, float scale, int32_t zero_point)
{
    float steps = roundf(real / scale);
    if (isnan(steps)) steps = 0;
    if (steps < -512) steps = -512; /* what is beyond saturates, an infinite one too */
    if (steps > 512) steps = 512;
    return nn_clamp((int64_t)steps + zero_point, INT8_MIN, INT8_MAX);
}

/* SaturatingRoundingMultiplyByPOT of a positive exponent. */
static int32_t shift_left(int32_t x, int32_t bits)
{
    int64_t wide = (int64_t)((uint64_t)(int64_t)x << bits);
    return (int32_t)(wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : wide);
}

static int32_t wrap_add(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a + (uint32_t)b);
}

static int32_t wrap_sub(int32_t a, int32_t b)
{
    return (int32_t)((uint32_t)a - (uint32_t)b);
}

/* exp_on_interval_between_negative_one_quarter_and_0_excl: Taylor around -1/8. */
static int32_t exp_quarter(int32_t a)
{
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    int32_t x = wrap_add(a, 1 << 28);
    int32_t x2 = nn_high_product(x, x), x3 = nn_high_product(x2, x), x4 = nn_high_product(x2, x2);
    int32_t cubic = nn_high_product(wrap_add(nn_divide_pot(x4, 2), x3), third);
    int32_t rest = wrap_add(x, nn_divide_pot(wrap_add(cubic, x2), 1));
    return wrap_add(exp_minus_eighth, nn_high_product(exp_minus_eighth, rest));
}

int32_t nn_exp_negative(int32_t x, int32_t integer_bits)
{
    /* exp(-2^e) for e = -2, -1, ... */
    static const int32_t powers[] = {1672461947, 1302514674, 790015084, 290630308,
                                     39332535,   720401,     242};
    int32_t fraction_bits = 31 - integer_bits, quarter = 1 << (fraction_bits - 2);
    if (x == 0) return INT32_MAX;
    int32_t part = wrap_sub(x & (quarter - 1), quarter);
    int32_t result = exp_quarter(shift_left(part, integer_bits));
    int32_t rest = wrap_sub(part, x);
    for (int32_t e = -2; e < integer_bits && e <= 4; e++)
        if ((uint32_t)rest >> (fraction_bits + e) & 1)
            result = nn_high_product(result, powers[e + 2]);
    return result;
}

/* 2 / (1 + x) with two integer bits, by Newton and Raphson. */
static int32_t newton(int32_t x)
{
    const int32_t start = 1515870810, slope = -1010580540, one = 1 << 29; /* 48/17, -32/17 */
    int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);           /* RoundingHalfSum */
    int32_t y = wrap_add(start, nn_high_product(half, slope));
    for (int i = 0; i < 3; i++) {
        int32_t rest = wrap_sub(one, nn_high_product(half, y));
        y = wrap_add(y, shift_left(nn_high_product(y, rest), 2));
    }
    return y;
}

int32_t nn_reciprocal_plus_one(int32_t x)
{
    return shift_left(newton(x), 1);
}

int32_t nn_one_minus_over_plus(int32_t x)
{
    return shift_left(wrap_sub(newton(x), 1 << 29), 2);
}

int32_t nn_logistic(int32_t x)
{
    if (x == 0) return 1 << 30;
    int32_t positive = nn_reciprocal_plus_one(nn_exp_negative(x > 0 ? -x : x, 4));
    return x > 0 ? positive : wrap_sub(INT32_MAX, positive);
}

int32_t nn_tanh(int32_t x)
{
    if (x == 0) return 0;
    /* Twice a number with 4 integer bits is the same bits with 5. */
    int32_t t = nn_one_minus_over_plus(nn_exp_negative(x > 0 ? -x : x, 5));
    return x > 0 ? t : -t;
}

int32_t nn_input_radius(int32_t integer_bits, int32_t left_shift)
{
    double most = (double)((1 << integer_bits) - 1) * (double)(INT64_C(1) << (31 - integer_bits));
    return (int32_t)fmin(floor(ldexp(most, -left_shift)), 1 << 30);
}
