/* SPDX-License-Identifier: Apache-2.0 */
/* QUANTIZE and DEQUANTIZE, where there are floats at all. Stateless. */
#include "ingot_edge_nn_core.h"

#ifndef IGE_NO_FLOAT
#ifdef IGE_NN_DIVIDES_WHOLE
IGE_NN_APART float ige_nn_divide_reals(float a, float b)
{
    return ige_nn_divide_reals_whole(a, b);
}
#endif

/* The nearest whole number, halves away from zero, as far as 512; 0 for NaN. */
static int32_t ige_nn_whole(float value)
{
    const uint32_t infinite = 0x7f800000U, most = 0x44000000U;
    uint32_t bits = ige_nn_bits_of(value), size = bits & 0x7fffffffU, power, whole;
    if (size > infinite) return 0;
    if (size > most) size = most;
    power = size >> 23;
    if (power < 126) return 0;
    whole = (((size & 0x7fffffU) | 0x800000U) >> (149 - power)) + 1;
    return bits >> 31 ? -(int32_t)(whole >> 1) : (int32_t)(whole >> 1);
}

void ige_nn_quantize(int8_t *output, const float *input, int32_t count, float scale, int8_t zero)
{
    for (int32_t i = 0; i < count; i++)
        output[i] = (int8_t)ige_nn_byte(ige_nn_whole(ige_nn_divide_reals(input[i], scale)) + zero);
}

void ige_nn_dequantize(float *output, const int8_t *input, int32_t count, float scale, int8_t zero)
{
    for (int32_t i = 0; i < count; i++) output[i] = scale * (float)(input[i] - zero);
}
#endif
