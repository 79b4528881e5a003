/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers with weights prepare alike: multipliers by channel, and weights as floats.
 * Source: TensorFlow Lite's kernel_util.cc (PopulateConvolutionQuantizationParams,
 * GetQuantizedConvolutionMultipler). */
#include "kernels/nn/nn_priv.h"

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

const struct nn_multiplier *nn_channel_multipliers(struct ig_nn *nn, const struct nn_step *step,
                                                   uint32_t channels, uint32_t padded)
{
    struct nn_multiplier *all = ig_arena_array(&nn->arena, padded, sizeof *all);
    for (uint32_t c = 0; all && c < channels; c++)
        all[c] = nn_multiplier_of(real_multiplier(nn, step, c));
    return all;
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
