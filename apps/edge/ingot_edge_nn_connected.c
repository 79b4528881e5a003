/* SPDX-License-Identifier: Apache-2.0 */
/* FULLY_CONNECTED: a row of inputs with four channels at a time, as it lies. Stateless. */
#include "ingot_edge_nn_core.h"

enum { IGE_NN_CONNECTED_BLOCK = 64 };

static void ige_nn_connected_row(const struct ige_nn_fully_connected *layer,
                                 const struct ige_nn_ready *ready, const int8_t *input,
                                 int8_t *output)
{
    uint32_t sums[IGE_NN_CONNECTED_BLOCK];
    int32_t depth = layer->depth, count;
    for (int32_t c = 0; c < layer->channels; c += count) {
        const int8_t *weights = layer->weights + c * depth;
        struct ige_nn_rows rows = {depth, depth / 4, 0};
        count = layer->channels - c < IGE_NN_CONNECTED_BLOCK ? layer->channels - c
                                                             : IGE_NN_CONNECTED_BLOCK;
        if (count > 4) count &= ~3;
        if (count < 4) rows.stride = 0, count = 1; /* four times the same */
        rows.groups = (count + 3) / 4;
        IGE_NN_FORM(ige_nn_row)(sums, input, weights, &rows);
        for (int32_t i = depth & ~3; i < depth; i++)
            for (int32_t k = 0; k < count; k++)
                sums[k] += (uint32_t)(input[i] * weights[k * depth + i]);
        ige_nn_bytes(output + c, sums, ready, c, count);
    }
    ige_nn_clamp(output, layer->channels, ready->least, ready->most);
}

void ige_nn_fully_connected(const struct ige_nn_fully_connected *layer)
{
    struct ige_nn_ready ready;
    ige_nn_prepare(&ready, &layer->finish, layer->channels);
    for (int32_t row = 0; row < layer->rows; row++)
        ige_nn_connected_row(layer, &ready, layer->input + row * layer->depth,
                             layer->output + row * layer->channels);
}
