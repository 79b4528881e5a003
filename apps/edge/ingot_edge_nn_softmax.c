/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX. TensorFlow Lite computes it in floats. What they round to is known beforehand as long as
 * fractions of 2^32, which are near them, are not near the middle between two bytes; else the same
 * floats are computed as integers, a mantissa and an exponent, so that neither a table nor float
 * arithmetic is needed. TensorFlow Lite Micro works in fixed point. Stateless. Source: TensorFlow
 * Lite's activations.cc, reference/softmax.h; gemmlowp's fixedpoint.h. */
#include "ingot_edge_nn_core.h"

enum {
    IGE_NN_KEPT = 16,
    IGE_NN_DIFFERENCE_BITS = 5,
    IGE_NN_SUM_BITS = 12,
    IGE_NN_SQUARES = 6,
    IGE_NN_TERMS = 8
};
/* A float is a uint32_t, as IEEE 754 has positive ones, but that exponents reach twice as far. */
enum { IGE_NN_FRACTION_BITS = 23, IGE_NN_FURTHER = 128, IGE_NN_BIAS = 150 + IGE_NN_FURTHER };

IGE_NN_INLINE uint32_t ige_nn_mantissa(uint32_t real)
{
    return real ? (real & 0x7fffffU) | 0x800000U : 0;
}

/* A float is its mantissa, in 2^23..2^24 - 1, times 2^this. */
IGE_NN_INLINE int32_t ige_nn_exponent(uint32_t real)
{
    return (int32_t)(real >> IGE_NN_FRACTION_BITS) - IGE_NN_BIAS;
}

/* The float next to value * 2^exponent, of two the even one. */
IGE_NN_SMALL IGE_NN_APART static uint32_t ige_nn_round(uint64_t value, int32_t exponent)
{
    uint32_t rest = 0; /* the last bit lost, and whether any before it was 1 */
    if (!value) return 0;
    for (; value >> 24; value >>= 1, exponent++) rest = (uint32_t)(value & 1) << 1 | (rest != 0);
    for (; !(value >> 23); value <<= 1) exponent--;
    if (rest + (value & 1) > 2) value++;
    return ((uint32_t)(exponent + IGE_NN_BIAS - 1) << IGE_NN_FRACTION_BITS) + (uint32_t)value;
}

IGE_NN_SMALL IGE_NN_APART static uint64_t ige_nn_high64(uint64_t a, uint64_t b)
{
    uint64_t low_a = (uint32_t)a, low_b = (uint32_t)b, high_a = a >> 32, high_b = b >> 32;
    uint64_t cross = high_a * low_b + (low_a * low_b >> 32), other = low_a * high_b;
    other += (uint32_t)cross;
    return high_a * high_b + (cross >> 32) + (other >> 32);
}

/* exp(-step * i): e^-r by its series for a 64th of r, where r is what whole powers of 2 leave. */
IGE_NN_SMALL IGE_NN_APART static uint32_t ige_nn_exp(uint32_t step, uint32_t i)
{
    /* 2^64 / k!; of the first two what fits */
    static const uint64_t terms[IGE_NN_TERMS] = {
        0xffffffffffffffffU, 0xffffffffffffffffU, 0x8000000000000000U, 0x2aaaaaaaaaaaaaabU,
        0x0aaaaaaaaaaaaaabU, 0x0222222222222222U, 0x005b05b05b05b05bU, 0x000d00d00d00d00dU};
    const uint64_t ln2 = 0x0162e42fefa39ef3U; /* times 2^57 */
    const int32_t bits = 57;
    uint32_t t = ige_nn_round((uint64_t)ige_nn_mantissa(step) * i, ige_nn_exponent(step));
    int32_t right = 64 - 24 - bits - ige_nn_exponent(t), powers = 0;
    if (right < 0) return 0; /* of 128 and more, whose power no float holds */
    uint64_t rest = right < 64 ? (uint64_t)ige_nn_mantissa(t) << (64 - 24) >> right : 0;
    for (; rest >= ln2; rest -= ln2) powers++;
    rest <<= 64 - bits - IGE_NN_SQUARES;
    uint64_t sum = terms[IGE_NN_TERMS - 1];
    for (int32_t k = IGE_NN_TERMS - 2; k >= 0; k--) sum = terms[k] - ige_nn_high64(rest, sum);
    for (int32_t k = 0; k < IGE_NN_SQUARES; k++) sum = ige_nn_high64(sum, sum);
    return ige_nn_round(sum, -64 - powers);
}

IGE_NN_SMALL static uint32_t ige_nn_add(uint32_t a, uint32_t b)
{
    uint32_t great = a > b ? a : b, small = a > b ? b : a;
    int32_t distance = ige_nn_exponent(great) - ige_nn_exponent(small);
    if (distance > 32) return great;
    return ige_nn_round(((uint64_t)ige_nn_mantissa(great) << distance) + ige_nn_mantissa(small),
                        ige_nn_exponent(small));
}

/* 2^49 / x, and what is left, of an x in 2^23..2^24 - 1: its topmost bit is 1. */
IGE_NN_SMALL IGE_NN_APART static uint32_t ige_nn_quotient(uint32_t x, uint32_t *rest)
{
    uint32_t quotient = 0, left = 1;
    x |= 1U << 23;
    for (int32_t i = 0; i < 7; i++) {
        quotient = quotient << 7 | (left << 7) / x;
        left = (left << 7) % x;
    }
    *rest = left;
    return quotient;
}

/* Nearest integer, half away from zero, of at most 256. */
IGE_NN_SMALL static int32_t ige_nn_integer(uint32_t x)
{
    int32_t right = -ige_nn_exponent(x);
    return right > 25 ? 0 : (int32_t)((ige_nn_mantissa(x) + (1U << (right - 1))) >> right);
}

IGE_NN_SMALL static int32_t ige_nn_softmax_greatest(const int8_t *in, int32_t width)
{
    int32_t greatest = -128;
    for (int32_t i = 0; i < width; i++)
        if (in[i] > greatest) greatest = in[i];
    return greatest;
}

IGE_NN_SMALL static void ige_nn_softmax_single(uint32_t step, int32_t width, int32_t greatest,
                                               const int8_t *in, int8_t *out)
{
    uint32_t sum = 0, inverse = 0, rest;
    for (int32_t i = 0; i < 2 * width; i++) {
        int32_t at = i < width ? i : i - width;
        uint32_t e = ige_nn_exp(step, (uint32_t)(greatest - in[at]));
        if (i < width) {
            sum = ige_nn_add(sum, e);
            continue;
        }
        if (!at) { /* 256 / sum */
            uint64_t quotient = (uint64_t)ige_nn_quotient(ige_nn_mantissa(sum), &rest) << 1;
            inverse = ige_nn_round(quotient | (rest != 0), 8 - 50 - ige_nn_exponent(sum));
        }
        e = ige_nn_round((uint64_t)ige_nn_mantissa(e) * ige_nn_mantissa(inverse),
                         ige_nn_exponent(e) + ige_nn_exponent(inverse));
        out[at] = (int8_t)ige_nn_byte(ige_nn_integer(e) - 128);
    }
}

/* ---- near these floats ---- */

/* What is compiled for size goes the exact way at once. */
#ifdef __OPTIMIZE_SIZE__
enum { IGE_NN_IS_SMALL = 1 };
#else
enum { IGE_NN_IS_SMALL = 0 };
#endif

IGE_NN_INLINE uint32_t ige_nn_high32(uint32_t a, uint32_t b)
{
    return (uint32_t)((uint64_t)a * b >> 32);
}

/* 2^-(steps * i / 2^32) * 2^30, not a 2^23th of it beside it: a polynomial of the fraction with the
 * least error of all. */
IGE_NN_INLINE uint32_t ige_nn_exp_near(uint64_t steps, uint32_t i)
{
    uint64_t bits = steps * i;
    uint32_t powers = (uint32_t)(bits >> 32);
    int32_t x = -(int32_t)((uint32_t)bits >> 1);
    int32_t value = ige_nn_high_add(x, 0x01ef66d0, 0x096d3ea0);
    value = ige_nn_high_add(x, value, 0x1c4fef70);
    value = ige_nn_high_add(x, value, 0x3d7c7222);
    value = ige_nn_high_add(x, value, 0x58b8eef7);
    value = ige_nn_high_add(x, value, 1 << 30);
    return powers < 32 ? (uint32_t)value >> powers : 0;
}

/* A step's powers of 2, with 32 bits behind the point; from 256 on all the same. */
IGE_NN_SMALL static uint64_t ige_nn_steps(uint32_t step)
{
    /* by the logarithm of e to the base of 2, times 2^31 */
    uint64_t product = (uint64_t)ige_nn_mantissa(step) * 0xb8aa3b29U;
    int32_t right = -1 - ige_nn_exponent(step);
    return right < 15 ? (uint64_t)1 << 40 : product >> (right < 63 ? right : 63);
}

/* Bytes whose floats cannot round to others; 0, and none is written, when one may. Quotients are
 * off by a 2^19th of them at most (the floats' own -step * i by half of that), and by a 2^24th for
 * each float that is added. */
IGE_NN_SMALL static int32_t ige_nn_softmax_near(uint64_t steps, int32_t count, int32_t greatest,
                                                const int8_t *in, int8_t *out)
{
    const uint32_t one = 1U << 21, width = (uint32_t)count;
    uint64_t sum = 0;
    uint32_t inverse = 0, rest;
    for (int32_t pass = 0; pass < 3; pass++) {
        for (uint32_t i = 0; i < width; i++) {
            uint32_t e = ige_nn_exp_near(steps, (uint32_t)(greatest - in[i]));
            uint32_t value = ige_nn_high32(e, inverse), error;
            if (!pass) {
                sum += e;
            } else if (pass == 2) {
                out[i] = (int8_t)ige_nn_byte((int32_t)((value + one / 2) >> 21) - 128);
            } else {
                error = 16 + (value >> 18) + width * ((value >> 24) + 1);
                if (((value + one / 2 + error) & (one - 1)) < 2 * error) return 0;
            }
        }
        if (pass) continue;
        int32_t right = -7;
        for (; sum >> 24; sum >>= 1) right++;
        inverse = ige_nn_quotient((uint32_t)sum, &rest) << 5 >> right; /* 256 / sum, of 2^31 */
    }
    return 1;
}

/* ---- fixed point ---- */

/* x / 2^bits, to nearest, half up, of an x below 2^31. */
IGE_NN_INLINE uint32_t ige_nn_halves(uint32_t x, int32_t bits)
{
    return bits < 32 ? (x + (1U << (bits - 1))) >> bits : 0;
}

/* x * twice / 2^32, to nearest, half up. */
IGE_NN_INLINE uint32_t ige_nn_times(uint32_t x, uint32_t twice)
{
    uint64_t product = (uint64_t)x * twice;
    return (uint32_t)(product >> 32) + ((uint32_t)product >> 31);
}

IGE_NN_SMALL static int32_t ige_nn_shift_left(int32_t x, int32_t bits)
{
    int64_t wide = (int64_t)x * (1 << bits);
    return (int32_t)(wide > INT32_MAX ? INT32_MAX : wide < INT32_MIN ? INT32_MIN : wide);
}

/* exp(x) of x <= 0 with 5 integer bits, as a fraction of 2^31: a quarter by its Taylor series
 * around -1/8, the rest by powers. */
IGE_NN_SMALL static int32_t ige_nn_exp_fixed(int32_t x)
{
    /* times 2^32 */
    static const uint32_t powers[] = {3344923894U, 2605029348U, 1580030168U, 581260616U,
                                      78665070U,   1440802U,    484U};
    const int32_t quarter = 1 << (31 - IGE_NN_DIFFERENCE_BITS - 2);
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    if (x == 0) return INT32_MAX;
    int32_t part = (x & (quarter - 1)) - quarter; /* a has its square, which is no less than 0 */
    uint32_t rest = (uint32_t)part - (uint32_t)x;
    int32_t a = (int32_t)((uint32_t)part << IGE_NN_DIFFERENCE_BITS) + (1 << 28);
    int32_t a2 = ige_nn_high_round(2 * a, a), a3 = ige_nn_high_round(2 * a2, a);
    int32_t a4 = ige_nn_high_round(2 * a2, a2);
    int32_t terms = ige_nn_high_round(2 * (((a4 + 2) >> 2) + a3), third) + a2;
    a += (terms + (terms >= 0)) >> 1;
    uint32_t result = (uint32_t)(exp_minus_eighth + ige_nn_high_round(exp_minus_eighth, 2 * a));
    rest = rest >> (31 - IGE_NN_DIFFERENCE_BITS - 2) & 127;
    for (const uint32_t *power = powers; rest; power++, rest >>= 1)
        if (rest & 1) result = ige_nn_times(result, *power);
    return (int32_t)result;
}

/* 1 / (1 + x), of fractions of 2^31, by Newton and Raphson. */
IGE_NN_SMALL static int32_t ige_nn_reciprocal(int32_t x)
{
    const int32_t start = 1515870810, slope = -1010580540; /* 48/17, -32/17 */
    int32_t half = (int32_t)(((int64_t)x + INT32_MAX + 1) / 2);
    int32_t y = ige_nn_sum(start, ige_nn_high31(half, slope));
    for (int32_t i = 0; i < 3; i++) {
        int32_t rest = ige_nn_sum(1 << 29, -ige_nn_high31(half, y));
        y = ige_nn_sum(y, ige_nn_shift_left(ige_nn_high31(y, rest), 2));
    }
    return ige_nn_shift_left(y, 1);
}

/* A fraction of 2^31; 0 of a difference that counts for nothing. */
IGE_NN_SMALL static uint32_t ige_nn_exp_double(const struct ige_nn_softmax *softmax,
                                               int32_t difference)
{
    const struct ige_nn_multiplier multiplier = softmax->multiplier;
    const int32_t most = 0x7fffff00;
    if (difference < -softmax->radius) return 0;
    if (multiplier.shift < 0)
        return (uint32_t)ige_nn_exp_fixed(ige_nn_scale(difference, multiplier, IGE_NN_DOUBLE));
    /* the same, of all but tiny scales */
    int32_t shifted = (int32_t)((uint32_t)difference << multiplier.shift);
    int32_t scaled = ige_nn_high31(shifted, multiplier.fraction);
    return (uint32_t)ige_nn_exp_fixed(scaled < -most ? -most : scaled);
}

IGE_NN_SMALL static void ige_nn_softmax_double(const struct ige_nn_softmax *softmax,
                                               int32_t greatest, const int8_t *in, int8_t *out)
{
    uint32_t kept[IGE_NN_KEPT], sum = 0, reciprocal, e;
    int32_t headroom = 0;
    for (int32_t i = 0; i < softmax->width; i++) {
        e = ige_nn_exp_double(softmax, in[i] - greatest);
        if (i < IGE_NN_KEPT) kept[i] = e;
        sum += ige_nn_halves(e, IGE_NN_SUM_BITS);
    }
    for (; !(sum >> 31); sum <<= 1) headroom++;
    reciprocal = (uint32_t)ige_nn_reciprocal((int32_t)(sum & 0x7fffffffU));
    for (int32_t i = 0; i < softmax->width; i++) {
        e = i < IGE_NN_KEPT ? kept[i] : ige_nn_exp_double(softmax, in[i] - greatest);
        e = ige_nn_halves(ige_nn_times(reciprocal, 2 * e), IGE_NN_SUM_BITS - headroom + 31 - 8);
        out[i] = (int8_t)ige_nn_byte((int32_t)e - 128);
    }
}

IGE_NN_SMALL void ige_nn_softmax(const struct ige_nn_softmax *softmax)
{
    uint32_t step = softmax->step + ((uint32_t)IGE_NN_FURTHER << IGE_NN_FRACTION_BITS);
    uint64_t steps = ige_nn_steps(step);
    for (int32_t r = 0; r < softmax->rows; r++) {
        const int8_t *in = softmax->input + r * softmax->width;
        int8_t *out = softmax->output + r * softmax->width;
        int32_t greatest = ige_nn_softmax_greatest(in, softmax->width);
        if (ige_nn_is_double(softmax->rounding))
            ige_nn_softmax_double(softmax, greatest, in, out);
        else if (IGE_NN_IS_SMALL || !ige_nn_softmax_near(steps, softmax->width, greatest, in, out))
            ige_nn_softmax_single(step, softmax->width, greatest, in, out);
    }
}
