/* SPDX-License-Identifier: Apache-2.0 */
/* Gains of inputs. Stateless. Source: as kernels/quantize/equalize.c, with what makes the inputs in
 * the place of the first layer. */
#include "kernels/quantize/input_gains.h"

#include <math.h>

static const float GAIN_MOST = 1024;

static bool is_output(const struct ig_network *network, uint32_t tensor)
{
    for (uint32_t i = 0; i < network->outputs_count; i++)
        if (network->outputs[i] == tensor) return true;
    return false;
}

const struct ig_network_layer *ig_input_gains_layer(const struct ig_network *network)
{
    const struct ig_network_layer *reader = NULL;
    if (network->inputs_count != 1 || is_output(network, network->inputs[0])) return NULL;
    for (uint32_t i = 0; i < network->layers_count; i++)
        for (uint32_t k = 0; k < network->layers[i].inputs_count; k++) {
            if (network->layers[i].inputs[k] != network->inputs[0]) continue;
            if (reader || k) return NULL;
            reader = &network->layers[i];
        }
    if (!reader || reader->op != IG_NETWORK_FULLY_CONNECTED) return NULL;
    const struct ig_network_tensor *weights = ig_network_input(network, reader, 1);
    size_t inputs = ig_network_tensor_count(&network->tensors[network->inputs[0]]);
    bool whole = weights->data && weights->type == IG_NETWORK_F32 && weights->rank == 2 &&
                 weights->dims[1] == inputs;
    return whole ? reader : NULL;
}

/* Greatest magnitude in a column of a matrix. */
static float greatest(const float *matrix, size_t rows_count, size_t columns, size_t column)
{
    float most = 0;
    for (size_t i = 0; i < rows_count; i++) most = fmaxf(most, fabsf(matrix[i * columns + column]));
    return most;
}

void ig_input_gains_find(float *gains, const struct ig_network *network, const float *rows,
                         size_t rows_count)
{
    const struct ig_network_layer *layer = ig_input_gains_layer(network);
    const struct ig_network_tensor *weights = ig_network_input(network, layer, 1);
    for (size_t k = 0; k < weights->dims[1]; k++) {
        float input = greatest(rows, rows_count, weights->dims[1], k);
        float weight = greatest(weights->data, weights->dims[0], weights->dims[1], k);
        if (!(input > 0)) input = 1; /* a category that the rows do not have */
        gains[k] = fminf(fmaxf(sqrtf(weight / input), 1 / GAIN_MOST), GAIN_MOST);
    }
}

enum ig_code ig_input_gains_apply(struct ig_network *network, const float *gains,
                                  struct ig_err *err)
{
    const struct ig_network_layer *layer = ig_input_gains_layer(network);
    struct ig_network_tensor *weights = &network->tensors[layer->inputs[1]];
    size_t count = ig_network_tensor_count(weights), inputs = weights->dims[1];
    const float *from = weights->data;
    float *scaled = ig_arena_array(&network->arena, count, sizeof *scaled);
    if (!scaled) return ig_fail(err, IG_NO_MEMORY, "weights behind gains");
    for (size_t i = 0; i < count; i++) scaled[i] = from[i] / gains[i % inputs];
    weights->data = scaled;
    return IG_OK;
}
