/* SPDX-License-Identifier: Apache-2.0 */
/* What the layers with weights prepare alike: multipliers by channel, and weights as floats.
 * Source: TensorFlow Lite's kernel_util.cc (PopulateConvolutionQuantizationParams,
 * GetQuantizedConvolutionMultipler). */
#include "kernels/nn/nn_priv.h"

#include <string.h>

/* Convolutions multiply the scales in double, a fully connected layer's single scale goes through a
 * float: the products differ in their last bits. */
struct nn_multiplier nn_weights_multiplier(enum ig_network_op op, bool single, float in,
                                           float weight, float out)
{
    if (op == IG_NETWORK_FULLY_CONNECTED && single)
        return nn_multiplier_of((double)(in * weight) / (double)out);
    return nn_multiplier_of((double)in * (double)weight / (double)out);
}

enum ig_code nn_prepare_finish(struct ig_nn *nn, const struct nn_step *step,
                               struct nn_finish *finish, uint32_t padded, struct ig_err *err)
{
    const struct ig_network_tensor *weights = nn_in(nn, step, 1), *bias = nn_in(nn, step, 2);
    const struct ig_network_tensor *in = nn_in(nn, step, 0), *out = nn_out(nn, step);
    const struct ig_network_quantization *w = &weights->quantization;
    uint32_t channels = weights->dims[step->layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ? 3 : 0];
    struct nn_multiplier *multipliers = ig_arena_array(&nn->arena, padded, sizeof *multipliers);
    int32_t *biases = ig_arena_array(&nn->arena, padded, sizeof *biases);
    if (!multipliers || !biases) return nn_no_memory(err);
    if (bias) memcpy(biases, nn->data[step->layer->inputs[2]], channels * sizeof *biases);
    finish->bias = biases;
    finish->multipliers = multipliers;
    finish->zero = out->quantization.zero_points[0];
    finish->rounding = nn->network->rounding;
    finish->shrinks = finish->small = true;
    nn_range_i8(out, step->layer->activation, &finish->least, &finish->most);
    for (uint32_t c = 0; c < channels; c++) {
        multipliers[c] =
            nn_weights_multiplier(step->layer->op, w->count == 1, in->quantization.scales[0],
                                  w->scales[w->count == 1 ? 0 : c], out->quantization.scales[0]);
        if (multipliers[c].fraction == 0) multipliers[c].shift = -2; /* any is right */
        finish->shrinks = finish->shrinks && multipliers[c].shift <= 0;
        finish->small = finish->small && multipliers[c].shift <= -2;
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
