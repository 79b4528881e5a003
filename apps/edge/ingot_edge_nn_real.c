/* SPDX-License-Identifier: Apache-2.0 */
/* QUANTIZE and DEQUANTIZE, where there are floats at all. Stateless. */
#include "ingot_edge_nn_core.h"

#ifndef IGE_NO_FLOAT
void ige_nn_quantize(int8_t *output, const float *input, int32_t count, float scale, int8_t zero)
{
    const float most = 512;
    for (int32_t i = 0; i < count; i++) {
        float steps = input[i] / scale;
        int32_t whole = 0;
        if (steps > most) steps = most;
        if (steps < -most) steps = -most;
        if (steps >= -most && steps <= most) {
            whole = (int32_t)steps; /* toward zero; the rest is exact */
            float rest = steps - (float)whole;
            whole += rest >= 0.5F ? 1 : rest <= -0.5F ? -1 : 0;
        }
        output[i] = (int8_t)ige_nn_byte(whole + zero);
    }
}

void ige_nn_dequantize(float *output, const int8_t *input, int32_t count, float scale, int8_t zero)
{
    for (int32_t i = 0; i < count; i++) output[i] = scale * (float)(input[i] - zero);
}
#endif
