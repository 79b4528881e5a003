/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX. TensorFlow Lite computes it in floats: here the same floats are integers, a mantissa and
 * an exponent, so that neither a table nor float arithmetic is needed. TensorFlow Lite Micro works
 * in fixed point. Stateless. Source: TensorFlow Lite's activations.cc, reference/softmax.h;
 * gemmlowp's fixedpoint.h. */
#include "ingot_edge_nn_core.h"

/* A float: mantissa * 2^exponent, the mantissa in 2^23..2^24 - 1, or 0. */
struct ige_nn_real {
    uint32_t mantissa;
    int32_t exponent;
};

enum { IGE_NN_DIFFERENCE_BITS = 5, IGE_NN_SUM_BITS = 12, IGE_NN_SQUARES = 6, IGE_NN_TERMS = 8 };

/* The float next to value * 2^exponent, of two the even one. */
IGE_NN_SMALL static struct ige_nn_real ige_nn_round(uint64_t value, int32_t exponent)
{
    struct ige_nn_real real = {0, 0};
    uint32_t rest = 0; /* the last bit lost, and whether any before it was 1 */
    if (!value) return real;
    for (; value >> 24; value >>= 1, exponent++) rest = (uint32_t)(value & 1) << 1 | (rest != 0);
    for (; !(value >> 23); value <<= 1) exponent--;
    if (rest + (value & 1) > 2) value++; /* to 2^24 at most, which is used as it is */
    real.mantissa = (uint32_t)value;
    real.exponent = exponent;
    return real;
}

IGE_NN_SMALL IGE_NN_APART static uint64_t ige_nn_high64(uint64_t a, uint64_t b)
{
    uint64_t low_a = (uint32_t)a, low_b = (uint32_t)b, high_a = a >> 32, high_b = b >> 32;
    uint64_t cross = high_a * low_b + (low_a * low_b >> 32), other = low_a * high_b;
    other += (uint32_t)cross;
    return high_a * high_b + (cross >> 32) + (other >> 32);
}

/* exp(-step * i): e^-r by its series for a 64th of r, where r is what whole powers of 2 leave. */
IGE_NN_SMALL static struct ige_nn_real ige_nn_exp(struct ige_nn_real step, uint32_t i)
{
    /* 2^64 / k!; of the first two what fits */
    static const uint64_t terms[IGE_NN_TERMS] = {
        0xffffffffffffffffU, 0xffffffffffffffffU, 0x8000000000000000U, 0x2aaaaaaaaaaaaaabU,
        0x0aaaaaaaaaaaaaabU, 0x0222222222222222U, 0x005b05b05b05b05bU, 0x000d00d00d00d00dU};
    const uint64_t ln2 = 0x0162e42fefa39ef3U; /* times 2^57 */
    const int32_t bits = 57;
    struct ige_nn_real none = {0, 0}, t = ige_nn_round((uint64_t)step.mantissa * i, step.exponent);
    int32_t shift = t.exponent + bits, powers = 0;
    if (i && shift > 64 - 24) return none; /* 128 and more, whose power no float holds */
    uint64_t rest = !i            ? 0
                    : shift >= 0  ? (uint64_t)t.mantissa << shift
                    : shift > -32 ? t.mantissa >> -shift
                                  : 0;
    for (; rest >= ln2; rest -= ln2) powers++;
    rest <<= 64 - bits - IGE_NN_SQUARES;
    uint64_t sum = terms[IGE_NN_TERMS - 1];
    for (int32_t k = IGE_NN_TERMS - 2; k >= 0; k--) sum = terms[k] - ige_nn_high64(rest, sum);
    for (int32_t k = 0; k < IGE_NN_SQUARES; k++) sum = ige_nn_high64(sum, sum);
    return ige_nn_round(rest ? sum : (uint64_t)1 << 63, rest ? -64 - powers : -63 - powers);
}

IGE_NN_SMALL static struct ige_nn_real ige_nn_add(struct ige_nn_real a, struct ige_nn_real b)
{
    if (!a.mantissa) return b;
    if (!b.mantissa) return a;
    struct ige_nn_real great = a.exponent > b.exponent ? a : b;
    struct ige_nn_real small = a.exponent > b.exponent ? b : a;
    int32_t distance = great.exponent - small.exponent;
    if (distance > 32) return great;
    return ige_nn_round(((uint64_t)great.mantissa << distance) + small.mantissa, small.exponent);
}

/* 256 / x */
IGE_NN_SMALL static struct ige_nn_real ige_nn_inverse(struct ige_nn_real x)
{
    uint64_t quotient = 0, rest = 1;
    for (int32_t i = 0; i < 50; i++) { /* 2^49 / mantissa, bit by bit */
        quotient <<= 1;
        if (rest >= x.mantissa) {
            rest -= x.mantissa;
            quotient |= 1;
        }
        rest <<= 1;
    }
    return ige_nn_round(quotient << 1 | (rest != 0), 8 - 50 - x.exponent);
}

/* Nearest integer, half away from zero. */
IGE_NN_SMALL static int32_t ige_nn_integer(struct ige_nn_real x)
{
    if (!x.mantissa || x.exponent < -25) return 0;
    if (x.exponent >= 0) return 256;
    return (int32_t)((x.mantissa + (1U << (-x.exponent - 1))) >> -x.exponent);
}

IGE_NN_SMALL static int32_t ige_nn_softmax_greatest(const int8_t *in, int32_t width)
{
    int32_t greatest = -128;
    for (int32_t i = 0; i < width; i++)
        if (in[i] > greatest) greatest = in[i];
    return greatest;
}

IGE_NN_SMALL static void ige_nn_softmax_single(const struct ige_nn_softmax *softmax,
                                               const int8_t *in, int8_t *out)
{
    int32_t greatest = ige_nn_softmax_greatest(in, softmax->width);
    struct ige_nn_real step =
        ige_nn_round((softmax->step & 0x7fffffU) | 0x800000U, (int32_t)(softmax->step >> 23) - 150);
    struct ige_nn_real sum = {0, 0};
    for (int32_t i = 0; i < softmax->width; i++)
        sum = ige_nn_add(sum, ige_nn_exp(step, (uint32_t)(greatest - in[i])));
    sum = ige_nn_inverse(sum);
    for (int32_t i = 0; i < softmax->width; i++) {
        struct ige_nn_real e = ige_nn_exp(step, (uint32_t)(greatest - in[i]));
        uint64_t product = (uint64_t)e.mantissa * sum.mantissa;
        int32_t value = ige_nn_integer(ige_nn_round(product, e.exponent + sum.exponent));
        out[i] = (int8_t)ige_nn_byte(value - 128);
    }
}

/* ---- fixed point ---- */

/* x / 2^bits, to nearest, half away from zero; bits of at least 1. */
IGE_NN_SMALL static int32_t ige_nn_halves(int32_t x, int32_t bits)
{
    return (int32_t)(((int64_t)x - (x < 0) + ((int64_t)1 << (bits - 1))) >> bits);
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
    static const int32_t powers[] = {1672461947, 1302514674, 790015084, 290630308,
                                     39332535,   720401,     242};
    const int32_t quarter = 1 << (31 - IGE_NN_DIFFERENCE_BITS - 2);
    const int32_t exp_minus_eighth = 1895147668, third = 715827883;
    if (x == 0) return INT32_MAX;
    int32_t part = (x & (quarter - 1)) - quarter;
    int32_t rest = ige_nn_sum(part, -x);
    int32_t a = ige_nn_shift_left(part, IGE_NN_DIFFERENCE_BITS) + (1 << 28);
    int32_t a2 = ige_nn_high31(a, a), a3 = ige_nn_high31(a2, a), a4 = ige_nn_high31(a2, a2);
    int32_t cubic = ige_nn_high31(ige_nn_halves(a4, 2) + a3, third);
    a = ige_nn_sum(a, ige_nn_halves(cubic + a2, 1));
    int32_t result = ige_nn_sum(exp_minus_eighth, ige_nn_high31(exp_minus_eighth, a));
    for (int32_t i = 0; i < IGE_NN_DIFFERENCE_BITS + 2; i++)
        if (rest & quarter << i) result = ige_nn_high31(result, powers[i]);
    return result;
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

IGE_NN_SMALL static void ige_nn_softmax_double(const struct ige_nn_softmax *softmax,
                                               const int8_t *in, int8_t *out)
{
    int32_t greatest = ige_nn_softmax_greatest(in, softmax->width), headroom = 0, reciprocal = 0;
    uint32_t sum = 0;
    for (int32_t pass = 0; pass < 2; pass++) {
        for (int32_t i = 0; i < softmax->width; i++) {
            int32_t difference = in[i] - greatest, value = -128;
            if (difference >= -softmax->radius) {
                difference = ige_nn_scale(difference, softmax->multiplier, IGE_NN_DOUBLE);
                int32_t e = ige_nn_exp_fixed(difference);
                if (!pass) sum += (uint32_t)ige_nn_halves(e, IGE_NN_SUM_BITS);
                value += ige_nn_halves(ige_nn_high31(reciprocal, e),
                                       IGE_NN_SUM_BITS - headroom + 31 - 8);
            }
            if (pass) out[i] = (int8_t)ige_nn_byte(value);
        }
        if (pass) return;
        for (; !(sum >> 31); sum <<= 1) headroom++;
        reciprocal = ige_nn_reciprocal((int32_t)(sum & 0x7fffffffU));
    }
}

IGE_NN_SMALL void ige_nn_softmax(const struct ige_nn_softmax *softmax)
{
    for (int32_t r = 0; r < softmax->rows; r++) {
        const int8_t *in = softmax->input + r * softmax->width;
        int8_t *out = softmax->output + r * softmax->width;
        if (ige_nn_is_double(softmax->rounding))
            ige_nn_softmax_double(softmax, in, out);
        else
            ige_nn_softmax_single(softmax, in, out);
    }
}
