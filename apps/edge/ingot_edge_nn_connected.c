/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED: a row of inputs with four channels at a time, as it lies. Stateless. */
#include "ingot_edge_nn_core.h"

static void ige_nn_connected_row(const struct ige_nn_fully_connected *layer,
                                 const struct ige_nn_ready *ready, const int8_t *input,
                                 int8_t *output)
{
    const int8_t *weights = layer->weights;
    int32_t depth = layer->depth, channels = layer->channels, zero = layer->input_zero;
    int32_t each;
    uint32_t sums[4];
    for (int32_t c = 0; c < channels; c += each, weights += each * depth) {
        each = c + 4 <= channels ? 4 : 1;
        int32_t stride = each == 4 ? depth : 0;
        for (int32_t k = 0; k < 4; k++)
            sums[k] = (uint32_t)ige_nn_i32(ready->bias + 4 * (c + (k & (each - 1))));
        IGE_NN_FORM(ige_nn_row)(sums, input, weights, stride, depth / 4, zero);
        for (int32_t k = 0; k < each; k++) {
            struct ige_nn_channel channel = ige_nn_channel(ready, c + k);
            for (int32_t i = depth & ~3; i < depth; i++)
                sums[k] += (uint32_t)((input[i] - zero) * weights[k * depth + i]);
            output[c + k] = ige_nn_finish(ready, &channel, sums[k]);
        }
    }
    ige_nn_clamp(output, channels, ready->least, ready->most);
}

void ige_nn_fully_connected(const struct ige_nn_fully_connected *layer)
{
    struct ige_nn_ready ready;
    ige_nn_prepare(&ready, &layer->finish, layer->channels);
    for (int32_t row = 0; row < layer->rows; row++)
        ige_nn_connected_row(layer, &ready, layer->input + row * layer->depth,
                             layer->output + row * layer->channels);
}
