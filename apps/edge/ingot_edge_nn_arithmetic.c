/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, SUB and MUL. Sums bring both inputs to a common scale with 20 more bits. Stateless. */
#include "ingot_edge_nn_core.h"

enum { IGE_NN_MORE_BITS = 20, IGE_NN_INPUT_BITS = 28, IGE_NN_PRODUCT_BITS = 16 };

void ige_nn_arithmetic(const struct ige_nn_arithmetic *arithmetic)
{
    struct ige_nn_ready ready_a, ready_b, ready;
    int32_t product = arithmetic->operation == IGE_NN_MUL, a = 0, b = 0;
    uint32_t rounding = arithmetic->rounding;
    struct ige_nn_channel scale_a =
        ige_nn_prepare_one(&ready_a, arithmetic->a_multiplier, IGE_NN_INPUT_BITS, rounding);
    struct ige_nn_channel scale_b =
        ige_nn_prepare_one(&ready_b, arithmetic->b_multiplier, IGE_NN_INPUT_BITS, rounding);
    struct ige_nn_channel scale =
        ige_nn_prepare_one(&ready, arithmetic->multiplier,
                           product ? IGE_NN_PRODUCT_BITS : IGE_NN_INPUT_BITS, rounding);
    ready.zero = arithmetic->zero;
    for (int32_t i = 0; i < arithmetic->count; i++) {
        int32_t x = arithmetic->a[a] - arithmetic->a_zero;
        int32_t y = arithmetic->b[b] - arithmetic->b_zero;
        if (product) {
            x *= y;
        } else {
            x = ige_nn_value(&ready_a, &scale_a, x * (1 << IGE_NN_MORE_BITS));
            y = ige_nn_value(&ready_b, &scale_b, y * (1 << IGE_NN_MORE_BITS));
            x = arithmetic->operation == IGE_NN_SUB ? x - y : x + y;
        }
        arithmetic->output[i] = ige_nn_finish(&ready, &scale, (uint32_t)x);
        if (++a == arithmetic->a_count) a = 0;
        if (++b == arithmetic->b_count) b = 0;
    }
    ige_nn_clamp(arithmetic->output, arithmetic->count, arithmetic->least, arithmetic->most);
}
