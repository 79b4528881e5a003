/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, SUB and MUL. Sums bring both inputs to a common scale with 20 more bits. Stateless. */
#include "ingot_edge_nn_core.h"

enum { IGE_NN_MORE_BITS = 20, IGE_NN_INPUT_BITS = 28 };

/* A multiplier with its way. */
struct ige_nn_scaler {
    struct ige_nn_ready ready;
    struct ige_nn_channel channel;
};

static struct ige_nn_scaler ige_nn_scaler_of(struct ige_nn_multiplier multiplier, int32_t bits,
                                             uint32_t rounding)
{
    struct ige_nn_scaler scaler;
    scaler.channel = ige_nn_prepare_one(&scaler.ready, multiplier, bits, rounding);
    return scaler;
}

/* Sums and differences, all three scaled in ways that the compiler may know. */
IGE_NN_INLINE void ige_nn_arithmetic_way(const struct ige_nn_arithmetic *arithmetic,
                                         const struct ige_nn_scaler scale[3], uint32_t way_a,
                                         uint32_t way_b, uint32_t way)
{
    const struct ige_nn_arithmetic held = *arithmetic;
    const struct ige_nn_scaler scale_a = scale[0], scale_b = scale[1], scale_sum = scale[2];
    int32_t a = 0, b = 0, sign = held.operation == IGE_NN_SUB ? -1 : 1;
    for (int32_t i = 0; i < held.count; i++) {
        int32_t x = (held.a[a] - held.a_zero) * (1 << IGE_NN_MORE_BITS);
        int32_t y = (held.b[b] - held.b_zero) * (1 << IGE_NN_MORE_BITS);
        x = ige_nn_value(way_a, &scale_a.ready, &scale_a.channel, x);
        y = ige_nn_value(way_b, &scale_b.ready, &scale_b.channel, y);
        x = ige_nn_value(way, &scale_sum.ready, &scale_sum.channel, x + sign * y);
        held.output[i] = (int8_t)ige_nn_byte(x + held.zero);
        if (++a == held.a_count) a = 0;
        if (++b == held.b_count) b = 0;
    }
}

static void ige_nn_arithmetic_sum(const struct ige_nn_arithmetic *arithmetic)
{
    uint32_t rounding = arithmetic->rounding;
    struct ige_nn_scaler scale[3] = {
        ige_nn_scaler_of(arithmetic->a_multiplier, IGE_NN_INPUT_BITS, rounding),
        ige_nn_scaler_of(arithmetic->b_multiplier, IGE_NN_INPUT_BITS, rounding),
        ige_nn_scaler_of(arithmetic->multiplier, IGE_NN_INPUT_BITS, rounding)};
    uint32_t a = scale[0].ready.way, b = scale[1].ready.way, sum = scale[2].ready.way;
    if (IGE_NN_HAS_SINGLE && a == IGE_NN_WAY_SINGLE && b == a && sum == a)
        ige_nn_arithmetic_way(arithmetic, scale, IGE_NN_WAY_SINGLE, IGE_NN_WAY_SINGLE,
                              IGE_NN_WAY_SINGLE);
    else if (IGE_NN_HAS_DOUBLE && ige_nn_is_double(rounding) && a != IGE_NN_WAY_EXACT &&
             b != IGE_NN_WAY_EXACT && sum == IGE_NN_WAY_DOUBLE)
        ige_nn_arithmetic_way(arithmetic, scale, IGE_NN_WAY_WIDE, IGE_NN_WAY_WIDE,
                              IGE_NN_WAY_DOUBLE);
    else
        ige_nn_arithmetic_way(arithmetic, scale, IGE_NN_WAY_EXACT, IGE_NN_WAY_EXACT,
                              IGE_NN_WAY_EXACT);
}

static void ige_nn_arithmetic_product(const struct ige_nn_arithmetic *arithmetic)
{
    int32_t a = 0, b = 0;
    for (int32_t i = 0; i < arithmetic->count; i++) {
        int32_t x = arithmetic->a[a] - arithmetic->a_zero;
        int32_t y = arithmetic->b[b] - arithmetic->b_zero;
        x = ige_nn_scale(x * y, arithmetic->multiplier, arithmetic->rounding);
        arithmetic->output[i] = (int8_t)ige_nn_byte(x + arithmetic->zero);
        if (++a == arithmetic->a_count) a = 0;
        if (++b == arithmetic->b_count) b = 0;
    }
}

void ige_nn_arithmetic(const struct ige_nn_arithmetic *arithmetic)
{
    if (arithmetic->operation == IGE_NN_MUL)
        ige_nn_arithmetic_product(arithmetic);
    else
        ige_nn_arithmetic_sum(arithmetic);
    ige_nn_clamp(arithmetic->output, arithmetic->count, arithmetic->least, arithmetic->most);
}
