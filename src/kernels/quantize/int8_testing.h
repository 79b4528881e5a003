/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_INT8_TESTING_H
#define IG_KERNELS_QUANTIZE_INT8_TESTING_H

/* For tests: an int8 network run as the LiteRT 8-bit quantization specification reads, one element
 * after the other, sums in integers, multipliers in double. One row at a time. */

#include "base/mem.h"
#include "kernels/quantize/steps.h"

#include <math.h>

struct plain_run {
    const struct ig_network *network;
    int8_t *values[64]; /* by tensor */
};

static inline struct ig_steps plain_steps(const struct plain_run *run, uint32_t tensor)
{
    const struct ig_network_quantization *q = &run->network->tensors[tensor].quantization;
    return (struct ig_steps){q->scales[0], q->zero_points[0]};
}

static inline int8_t plain_store(const struct plain_run *run, const struct ig_network_layer *layer,
                                 double real)
{
    struct ig_steps steps = plain_steps(run, layer->output);
    if (layer->activation != IG_NETWORK_ACTIVATION_NONE) real = fmax(real, 0);
    if (layer->activation == IG_NETWORK_ACTIVATION_RELU6) real = fmin(real, 6);
    double step = floor(real / (double)steps.scale + 0.5) + steps.zero_point;
    return (int8_t)fmin(fmax(step, -128), 127);
}

/* A layer with weights: the sum of one output, `depth` inputs a cell of the filter. */
static inline double plain_sum(const struct plain_run *run, const struct ig_network_layer *layer,
                               uint32_t y, uint32_t x, uint32_t channel)
{
    const struct ig_network_tensor *in = ig_network_input(run->network, layer, 0);
    const struct ig_network_tensor *w = ig_network_input(run->network, layer, 1);
    const struct ig_network_tensor *b = ig_network_input(run->network, layer, 2);
    const int8_t *weights = w->data, *values = run->values[layer->inputs[0]];
    bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    bool dense = layer->op == IG_NETWORK_FULLY_CONNECTED;
    const uint32_t one[] = {1, 1, 1, 1};
    const uint32_t *size = dense ? one : in->dims;
    uint32_t fh = dense ? 1 : w->dims[1], fw = dense ? 1 : w->dims[2];
    uint32_t depth = dense ? w->dims[1] : in->dims[3], channels = w->dims[depthwise ? 3 : 0];
    const struct ig_network_window *window = &layer->window;
    uint32_t top =
        dense ? 0 : ig_network_pad_before(window->padding, size[1], fh, window->stride_h, 1);
    uint32_t left =
        dense ? 0 : ig_network_pad_before(window->padding, size[2], fw, window->stride_w, 1);
    int32_t zero = in->quantization.zero_points[0], sum = 0;
    for (uint32_t at = 0; at < fh * fw; at++) {
        int64_t row = (int64_t)y * (dense ? 1 : window->stride_h) + at / fw - top;
        int64_t column = (int64_t)x * (dense ? 1 : window->stride_w) + at % fw - left;
        if (row < 0 || column < 0 || row >= size[1] || column >= size[2]) continue;
        const int8_t *cell = values + (row * size[2] + column) * depth;
        if (depthwise) {
            sum += (cell[channel / (channels / depth)] - zero) * weights[at * channels + channel];
            continue;
        }
        for (uint32_t i = 0; i < depth; i++)
            sum += (cell[i] - zero) * weights[(channel * fh * fw + at) * depth + i];
    }
    if (b) sum += ((const int32_t *)b->data)[channel];
    const struct ig_network_quantization *q = &w->quantization;
    return (double)in->quantization.scales[0] * (double)q->scales[q->count > 1 ? channel : 0] * sum;
}

static inline void plain_weights(struct plain_run *run, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *out = &run->network->tensors[layer->output];
    uint32_t h = out->rank == 4 ? out->dims[1] : 1, w = out->rank == 4 ? out->dims[2] : 1;
    uint32_t channels = out->dims[out->rank - 1];
    int8_t *to = run->values[layer->output];
    for (uint32_t i = 0; i < h * w * channels; i++)
        to[i] = plain_store(
            run, layer, plain_sum(run, layer, i / channels / w, i / channels % w, i % channels));
}

static inline void plain_pool(struct plain_run *run, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *in = ig_network_input(run->network, layer, 0);
    const struct ig_network_tensor *out = &run->network->tensors[layer->output];
    const int8_t *values = run->values[layer->inputs[0]];
    uint32_t fh, fw, channels = in->dims[3];
    ig_network_filter(run->network, layer, &fh, &fw);
    const struct ig_network_window *window = &layer->window;
    uint32_t top = ig_network_pad_before(window->padding, in->dims[1], fh, window->stride_h, 1);
    uint32_t left = ig_network_pad_before(window->padding, in->dims[2], fw, window->stride_w, 1);
    for (uint32_t i = 0; i < out->dims[1] * out->dims[2] * channels; i++) {
        uint32_t y = i / channels / out->dims[2], x = i / channels % out->dims[2];
        int sum = 0, count = 0, most = -128;
        for (uint32_t at = 0; at < fh * fw; at++) {
            int64_t row = (int64_t)y * window->stride_h + at / fw - top;
            int64_t column = (int64_t)x * window->stride_w + at % fw - left;
            if (row < 0 || column < 0 || row >= in->dims[1] || column >= in->dims[2]) continue;
            int value = values[(row * in->dims[2] + column) * channels + i % channels];
            sum += value;
            count++;
            most = value > most ? value : most;
        }
        bool average = layer->op == IG_NETWORK_AVERAGE_POOL_2D;
        run->values[layer->output][i] = (int8_t)(average ? lround((double)sum / count) : most);
    }
}

static inline double plain_real(const struct plain_run *run, uint32_t tensor, size_t i)
{
    struct ig_steps steps = plain_steps(run, tensor);
    return (double)steps.scale * (run->values[tensor][i] - steps.zero_point);
}

static inline void plain_elements(struct plain_run *run, const struct ig_network_layer *layer)
{
    size_t count = ig_network_tensor_count(&run->network->tensors[layer->output]);
    double sum = 0;
    for (size_t i = 0; i < count; i++) sum += exp(plain_real(run, layer->inputs[0], i));
    for (size_t i = 0; i < count; i++) {
        double real = plain_real(run, layer->inputs[0], i);
        if (layer->op == IG_NETWORK_ADD) real += plain_real(run, layer->inputs[1], i);
        if (layer->op == IG_NETWORK_SOFTMAX) real = exp(real) / sum;
        if (layer->op == IG_NETWORK_LOGISTIC) real = 1 / (1 + exp(-real));
        run->values[layer->output][i] = plain_store(run, layer, real);
    }
}

/* values[elements of an activation]: real numbers. */
static inline void plain_network(const struct ig_network *network, const float *row,
                                 uint32_t tensor, float *values)
{
    struct plain_run run = {.network = network};
    assert_true(network->tensors_count <= 64);
    for (uint32_t i = 0; i < network->tensors_count; i++)
        if (!network->tensors[i].data)
            run.values[i] = ig_alloc(ig_network_tensor_count(&network->tensors[i]));
    uint32_t input = network->inputs[0];
    for (size_t i = 0; i < ig_network_tensor_count(&network->tensors[input]); i++)
        run.values[input][i] = ig_steps_quantize(plain_steps(&run, input), row[i]);
    for (uint32_t i = 0; i < network->layers_count; i++) {
        const struct ig_network_layer *layer = &network->layers[i];
        if (layer->op == IG_NETWORK_CONV_2D || layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ||
            layer->op == IG_NETWORK_FULLY_CONNECTED)
            plain_weights(&run, layer);
        else if (layer->op == IG_NETWORK_AVERAGE_POOL_2D || layer->op == IG_NETWORK_MAX_POOL_2D)
            plain_pool(&run, layer);
        else if (layer->op == IG_NETWORK_RESHAPE)
            memcpy(run.values[layer->output], run.values[layer->inputs[0]],
                   ig_network_tensor_count(&network->tensors[layer->output]));
        else
            plain_elements(&run, layer);
    }
    for (size_t i = 0; i < ig_network_tensor_count(&network->tensors[tensor]); i++)
        values[i] = (float)plain_real(&run, tensor, i);
    for (uint32_t i = 0; i < network->tensors_count; i++) ig_free(run.values[i]);
}

#endif
