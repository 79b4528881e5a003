/* SPDX-License-Identifier: Apache-2.0 */
/* The end of each layer's forward pass: clamps, and int8 simulated where it is asked for, with the
 * straight-through gradient. Source: Jacob et al. 2018, Quantization and Training of Neural
 * Networks for Efficient Integer-Arithmetic-Only Inference. */
#include "kernels/train/backprop_priv.h"

#include <math.h>

static const float RANGE_MOMENTUM = 0.95F;

static const struct ig_range clamps[IG_NETWORK_ACTIVATIONS_COUNT] = {
    [IG_NETWORK_ACTIVATION_NONE] = {-INFINITY, INFINITY},
    [IG_NETWORK_ACTIVATION_RELU] = {0, INFINITY},
    [IG_NETWORK_ACTIVATION_RELU_N1_TO_1] = {-1, 1},
    [IG_NETWORK_ACTIVATION_RELU6] = {0, 6},
};

static void follow(struct ig_range *range, const float *values, size_t count)
{
    struct ig_range seen = {values[0], values[0]};
    for (size_t i = 1; i < count; i++) {
        seen.least = fminf(seen.least, values[i]);
        seen.most = fmaxf(seen.most, values[i]);
    }
    if (range->least > range->most) {
        *range = seen;
        return;
    }
    range->least += (1 - RANGE_MOMENTUM) * (seen.least - range->least);
    range->most += (1 - RANGE_MOMENTUM) * (seen.most - range->most);
}

/* The step of a mean of steps: an integer kernel rounds halves of the steps themselves, which lie
 * the zero point apart from the numbers. A half is told through the noise of float. */
static int8_t mean_step(struct ig_steps steps, float value)
{
    const float grain = 4096;
    float step = value / steps.scale + (float)steps.zero_point;
    step = roundf(roundf(step * grain) / grain);
    return (int8_t)fminf(fmaxf(step, INT8_MIN), INT8_MAX);
}

/* Rounds a tensor to its steps; false where its range is not known. */
static bool round_tensor(struct ig_backprop *bp, struct bp_tensor *tensor)
{
    size_t count = bp->rows_count * tensor->count;
    struct ig_range *range = &bp->ranges[tensor->root];
    bool root = tensor == &bp->tensors[tensor->root];
    if (root && !tensor->has_fixed && bp->mode == IG_BACKPROP_TRAIN && !bp->int8.frozen)
        follow(range, tensor->values, count);
    const struct bp_tensor *of = &bp->tensors[tensor->root];
    if (!of->has_fixed && range->least > range->most) return false;
    struct ig_steps steps = of->has_fixed ? of->fixed : ig_steps_of_range(*range);
    struct ig_range ends = ig_steps_range(steps);
    for (size_t i = 0; i < count; i++) {
        float value = tensor->values[i];
        tensor->passes[i] &= value >= ends.least && value <= ends.most;
        int8_t step = root ? ig_steps_quantize(steps, value) : mean_step(steps, value);
        tensor->values[i] = steps.scale * (float)(step - steps.zero_point);
    }
    return true;
}

void bp_int8_input(struct ig_backprop *bp)
{
    struct bp_tensor *input = &bp->tensors[bp->network->inputs[0]];
    if (bp->int8.activations) round_tensor(bp, input);
}

void bp_finish_forward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    size_t count = bp->rows_count * layer->out->count;
    struct ig_range clamp = clamps[layer->activation];
    float *values = layer->out->values;
    uint8_t *passes = layer->out->passes;
    for (size_t i = 0; i < count; i++) {
        passes[i] = values[i] > clamp.least && values[i] < clamp.most;
        values[i] = values[i] < clamp.least  ? clamp.least
                    : values[i] > clamp.most ? clamp.most
                                             : values[i];
    }
    if (bp->int8.activations) round_tensor(bp, layer->out);
}

void bp_finish_backward(struct ig_backprop *bp, const struct bp_layer *layer)
{
    size_t count = bp->rows_count * layer->out->count;
    if (layer->activation == IG_NETWORK_ACTIVATION_NONE && !bp->int8.activations) return;
    for (size_t i = 0; i < count; i++)
        if (!layer->out->passes[i]) layer->out->gradients[i] = 0;
}

/* A channel's weights, or all. */
static struct ig_steps_weights part_of(const struct ig_parameter *w, uint32_t channel, bool all)
{
    struct ig_steps_weights part = {w->values, w->count, 1, 0, 0};
    if (all) return part;
    part.count = w->count / w->channels;
    part.stride = w->interleaved ? w->channels : 1;
    part.values += w->interleaved ? channel : channel * part.count;
    return part;
}

static float scale_of(const struct ig_backprop *bp, const struct bp_layer *layer, uint32_t channel,
                      bool all)
{
    const struct ig_parameter *w = layer->weights;
    const struct ig_range *in = &bp->ranges[layer->in->root];
    struct ig_steps_weights of = part_of(w, channel, all);
    if (layer->bias && in->least <= in->most) {
        of.input_scale = ig_steps_of_range(*in).scale;
        for (uint32_t c = all ? 0 : channel; c < (all ? w->channels : channel + 1); c++)
            of.bias_most = fmaxf(of.bias_most, fabsf(layer->bias->values[c]));
    }
    return ig_steps_weight_scale(&of);
}

static bool one_scale(const struct ig_backprop *bp, const struct bp_layer *layer)
{
    return bp->int8.per_tensor_dense && layer->layer->op == IG_NETWORK_FULLY_CONNECTED;
}

void bp_int8_weights(struct ig_backprop *bp)
{
    for (uint32_t i = 0; i < bp->network->layers_count; i++) {
        const struct bp_layer *layer = &bp->layers[i];
        const struct ig_parameter *w = layer->weights;
        if (!w) continue;
        bool all = one_scale(bp, layer);
        for (uint32_t c = 0; c < (all ? 1 : w->channels); c++) {
            float scale = scale_of(bp, layer, c, all);
            struct ig_steps_weights part = part_of(w, c, all);
            float *used = w->used + (part.values - w->values);
            for (size_t k = 0; k < part.count * part.stride; k += part.stride)
                used[k] = scale * (float)ig_steps_quantize_weight(scale, part.values[k]);
        }
    }
}

uint32_t ig_backprop_weight_scales(const struct ig_backprop *bp, uint32_t layer, float *scales)
{
    const struct bp_layer *of = &bp->layers[layer];
    bool all = one_scale(bp, of);
    uint32_t count = all ? 1 : of->weights->channels;
    for (uint32_t c = 0; c < count; c++) scales[c] = scale_of(bp, of, c, all);
    return count;
}
