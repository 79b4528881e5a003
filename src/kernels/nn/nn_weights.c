/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers with weights prepare alike: multipliers by channel, and weights as floats.
 * Source: TensorFlow Lite's kernel_util.cc (PopulateConvolutionQuantizationParams,
 * GetQuantizedConvolutionMultipler). */
#include "kernels/nn/nn_priv.h"

#include <string.h>

/* Convolutions multiply the scales in double, a fully connected layer's single scale goes through a
 * float: the products differ in their last bits. */
static double real_multiplier(const struct ig_nn *nn, const struct nn_step *step, uint32_t channel)
{
    const struct ig_network_quantization *w = &nn_in(nn, step, 1)->quantization;
    float in = nn_in(nn, step, 0)->quantization.scales[0];
    float weight = w->scales[w->count == 1 ? 0 : channel];
    double out = (double)nn_out(nn, step)->quantization.scales[0];
    if (step->layer->op == IG_NETWORK_FULLY_CONNECTED && w->count == 1)
        return (double)(in * weight) / out;
    return (double)in * (double)weight / out;
}

enum ig_code nn_prepare_finish(struct ig_nn *nn, const struct nn_step *step,
                               struct nn_finish *finish, uint32_t padded, struct ig_err *err)
{
    const struct ig_network_tensor *weights = nn_in(nn, step, 1), *bias = nn_in(nn, step, 2);
    const struct ig_network_tensor *out = nn_out(nn, step);
    uint32_t channels = weights->dims[step->layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ? 3 : 0];
    struct nn_multiplier *multipliers = ig_arena_array(&nn->arena, padded, sizeof *multipliers);
    int32_t *biases = ig_arena_array(&nn->arena, padded, sizeof *biases);
    if (!multipliers || !biases) return nn_no_memory(err);
    if (bias) memcpy(biases, nn->data[step->layer->inputs[2]], channels * sizeof *biases);
    finish->bias = biases;
    finish->multipliers = multipliers;
    finish->zero = out->quantization.zero_points[0];
    finish->rounding = nn->network->rounding;
    finish->shrinks = true;
    nn_range_i8(out, step->layer->activation, &finish->least, &finish->most);
    for (uint32_t c = 0; c < channels; c++) {
        multipliers[c] = nn_multiplier_of(real_multiplier(nn, step, c));
        finish->shrinks = finish->shrinks && multipliers[c].shift <= 0;
    }
    return IG_OK;
}

const float *nn_weights_f32(struct ig_nn *nn, const struct nn_step *step)
{
    const struct ig_network_tensor *weights = nn_in(nn, step, 1);
    const struct ig_network_quantization *q = &weights->quantization;
    const void *data = nn->data[step->layer->inputs[1]];
    if (weights->type == IG_NETWORK_F32) return data;
    size_t count = ig_network_tensor_count(weights);
    bool last = step->layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    size_t each = last ? 1 : count / weights->dims[0]; /* neighbours of one channel */
    float *numbers = ig_arena_array(&nn->arena, count, sizeof *numbers);
    for (size_t i = 0; numbers && i < count; i++)
        numbers[i] =
            q->scales[q->count == 1 ? 0 : i / each % q->count] * (float)((const int8_t *)data)[i];
    return numbers;
}
