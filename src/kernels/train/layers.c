/* SPDX-License-Identifier: Apache-2.0 */
/* Networks from lists of layers. Shapes are asked of ig_network_infer, so there is one place that
 * knows them. */
#include "kernels/train/layers.h"

#include "base/mem.h"
#include "base/random.h"

#include <math.h>

static const size_t BYTES_MAX = (size_t)1 << 30;

struct maker {
    struct ig_network *network;
    struct ig_rng rng;
    bool *batch_norm;
    uint32_t last;                       /* tensor */
    uint32_t outputs[IG_LAYERS_MAX + 1]; /* of each item; [0] is the input */
};

static const enum ig_network_op ops[] = {
    [IG_LAYER_DENSE] = IG_NETWORK_FULLY_CONNECTED,
    [IG_LAYER_CONV] = IG_NETWORK_CONV_2D,
    [IG_LAYER_DEPTHWISE] = IG_NETWORK_DEPTHWISE_CONV_2D,
    [IG_LAYER_AVERAGE_POOL] = IG_NETWORK_AVERAGE_POOL_2D,
    [IG_LAYER_MAX_POOL] = IG_NETWORK_MAX_POOL_2D,
    [IG_LAYER_FLATTEN] = IG_NETWORK_RESHAPE,
    [IG_LAYER_ADD] = IG_NETWORK_ADD,
    [IG_LAYER_SOFTMAX] = IG_NETWORK_SOFTMAX,
    [IG_LAYER_LOGISTIC] = IG_NETWORK_LOGISTIC,
    [IG_LAYER_TANH] = IG_NETWORK_TANH,
    [IG_LAYER_RELU] = IG_NETWORK_RELU,
    [IG_LAYER_RELU6] = IG_NETWORK_RELU6,
};

static uint32_t add_constant(struct maker *maker, const struct ig_network_tensor *shape,
                             float limit)
{
    struct ig_network_tensor tensor = *shape;
    size_t count = ig_network_tensor_count(&tensor);
    float *values = ig_arena_array(&maker->network->arena, count, sizeof *values);
    if (!values) return IG_NETWORK_NONE;
    for (size_t i = 0; i < count && limit > 0; i++)
        values[i] = limit * (float)(2 * ig_rng_unit(&maker->rng) - 1);
    tensor.data = values;
    return ig_network_add_tensor(maker->network, &tensor);
}

static uint32_t add_weights(struct maker *maker, const struct ig_layer *item,
                            const struct ig_network_tensor *shape, double in, double out)
{
    bool he = item->activation == IG_NETWORK_ACTIVATION_RELU ||
              item->activation == IG_NETWORK_ACTIVATION_RELU6;
    return add_constant(maker, shape, (float)sqrt(he ? 6 / in : 6 / (in + out)));
}

/* Weights and bias of an item, behind the input in inputs[3]. */
static void add_parameters(struct maker *maker, const struct ig_layer *item, uint32_t *inputs)
{
    struct ig_network_tensor in = maker->network->tensors[inputs[0]];
    uint32_t channels = in.dims[in.rank - 1], filter = item->filter, units = item->units;
    double cells = (double)filter * filter;
    struct ig_network_tensor weights = {.type = IG_NETWORK_F32, .rank = 4};
    struct ig_network_tensor bias = {.type = IG_NETWORK_F32, .rank = 1, .dims = {units}};
    uint32_t conv[] = {units, filter, filter, channels};
    uint32_t depthwise[] = {1, filter, filter, channels * units};
    if (item->kind == IG_LAYER_DENSE) {
        weights.rank = 2;
        weights.dims[0] = units;
        weights.dims[1] = (uint32_t)ig_network_tensor_count(&in);
        inputs[1] = add_weights(maker, item, &weights, weights.dims[1], units);
    } else if (item->kind == IG_LAYER_CONV) {
        memcpy(weights.dims, conv, sizeof conv);
        inputs[1] = add_weights(maker, item, &weights, cells * channels, cells * units);
    } else {
        memcpy(weights.dims, depthwise, sizeof depthwise);
        bias.dims[0] = channels * units;
        inputs[1] = add_weights(maker, item, &weights, cells, cells * units);
    }
    inputs[2] = add_constant(maker, &bias, 0);
}

static void set_window(struct ig_network_window *window, const struct ig_layer *item,
                       const struct ig_network_tensor *in)
{
    bool pool = item->kind == IG_LAYER_AVERAGE_POOL || item->kind == IG_LAYER_MAX_POOL;
    window->padding = item->valid ? IG_NETWORK_PADDING_VALID : IG_NETWORK_PADDING_SAME;
    window->filter_h = pool ? item->filter : 0;
    window->filter_w = window->filter_h;
    if (pool && item->filter == 0) {
        window->filter_h = in->dims[1];
        window->filter_w = in->dims[2];
        window->padding = IG_NETWORK_PADDING_VALID;
    }
    window->stride_h = item->stride ? item->stride : pool ? window->filter_h : 1;
    window->stride_w = item->stride ? item->stride : pool ? window->filter_w : 1;
    window->dilation_h = window->dilation_w = pool ? 0 : 1;
}

static enum ig_code add_op(struct maker *maker, const struct ig_layer *item,
                           struct ig_network_layer *layer, struct ig_err *err)
{
    struct ig_network *network = maker->network;
    struct ig_network_tensor out = {.type = IG_NETWORK_F32};
    if (network->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "the network");
    if (layer->op == IG_NETWORK_RESHAPE) {
        out.rank = 2;
        out.dims[0] = 1;
        out.dims[1] = (uint32_t)ig_network_tensor_count(&network->tensors[layer->inputs[0]]);
    } else if (ig_network_infer(network, layer, out.dims, &out.rank, err)) {
        return ig_err_code(err);
    }
    layer->output = ig_network_add_tensor(network, &out);
    uint32_t index = ig_network_add_layer(network, layer);
    if (index == IG_NETWORK_NONE) return ig_fail(err, IG_NO_MEMORY, "the network");
    maker->batch_norm[index] = item->batch_norm && layer->inputs_count == 3;
    maker->last = layer->output;
    return IG_OK;
}

static enum ig_code check_item(const struct maker *maker, const struct ig_layer *item,
                               uint32_t index, struct ig_err *err)
{
    const struct ig_network_tensor *in = &maker->network->tensors[maker->last];
    bool filters = item->kind == IG_LAYER_CONV || item->kind == IG_LAYER_DEPTHWISE;
    bool windowed =
        filters || item->kind == IG_LAYER_AVERAGE_POOL || item->kind == IG_LAYER_MAX_POOL;
    if ((filters || item->kind == IG_LAYER_DENSE) &&
        (item->units == 0 || item->units > IG_LAYERS_UNITS_MAX))
        return ig_fail(err, IG_INVALID, "units is %u, expected 1 to %d", item->units,
                       IG_LAYERS_UNITS_MAX);
    if (windowed && in->rank != 4)
        return ig_fail(err, IG_INVALID, "a window over %u dimensions, expected images", in->rank);
    if ((filters && item->filter == 0) || item->filter > IG_LAYERS_UNITS_MAX)
        return ig_fail(err, IG_INVALID, "filter is %u", item->filter);
    if (item->kind == IG_LAYER_ADD && (item->back == 0 || item->back > index))
        return ig_fail(err, IG_INVALID, "back is %u, expected 1 to %u", item->back, index);
    return IG_OK;
}

static enum ig_code add_item(struct maker *maker, const struct ig_layer *item, uint32_t index,
                             struct ig_err *err)
{
    if (check_item(maker, item, index, err)) return ig_err_code(err);
    const struct ig_network_tensor *in = &maker->network->tensors[maker->last];
    bool weighted = item->kind == IG_LAYER_DENSE || item->kind == IG_LAYER_CONV ||
                    item->kind == IG_LAYER_DEPTHWISE;
    if (item->kind == IG_LAYER_DENSE && in->rank > 2) {
        uint32_t input = maker->last;
        struct ig_network_layer flatten = {
            .op = IG_NETWORK_RESHAPE, .inputs = &input, .inputs_count = 1};
        if (add_op(maker, item, &flatten, err)) return ig_err_code(err);
    }
    uint32_t inputs[3] = {maker->last};
    struct ig_network_layer layer = {.op = ops[item->kind],
                                     .inputs = inputs,
                                     .inputs_count = 1,
                                     .activation = item->activation,
                                     .beta = item->kind == IG_LAYER_SOFTMAX ? 1.0F : 0.0F};
    set_window(&layer.window, item, &maker->network->tensors[maker->last]);
    if (weighted) {
        add_parameters(maker, item, inputs);
        layer.inputs_count = 3;
    } else if (item->kind == IG_LAYER_ADD) {
        inputs[1] = maker->outputs[index - item->back];
        layer.inputs_count = 2;
    }
    enum ig_code code = add_op(maker, item, &layer, err);
    maker->outputs[index + 1] = maker->last;
    return code;
}

static enum ig_code make(struct maker *maker, const struct ig_layers *layers, struct ig_err *err)
{
    bool image = layers->height > 0;
    struct ig_network_tensor input = {
        .type = IG_NETWORK_F32, .rank = image ? 4 : 2, .dims = {1, layers->channels}};
    uint32_t dims[] = {1, layers->height, layers->width, layers->channels};
    if (image) memcpy(input.dims, dims, sizeof dims);
    maker->last = ig_network_add_tensor(maker->network, &input);
    if (maker->last == IG_NETWORK_NONE) return ig_fail(err, IG_NO_MEMORY, "the network");
    uint32_t first = maker->last;
    maker->outputs[0] = first;
    for (uint32_t i = 0; i < layers->count; i++)
        if (add_item(maker, &layers->items[i], i, err)) {
            ig_err_prefix(err, "layer %u", i);
            return ig_err_code(err);
        }
    if (!ig_network_set_inputs(maker->network, &first, 1) ||
        !ig_network_set_outputs(maker->network, &maker->last, 1))
        return ig_fail(err, IG_NO_MEMORY, "the network");
    return ig_network_check(maker->network, err);
}

enum ig_code ig_layers_make(struct ig_network **out, bool *batch_norm,
                            const struct ig_layers *layers, struct ig_err *err)
{
    if (layers->count == 0 || layers->count > IG_LAYERS_MAX)
        return ig_fail(err, IG_INVALID, "%u layers, expected 1 to %d", layers->count,
                       IG_LAYERS_MAX);
    if (layers->channels == 0 || (layers->height > 0) != (layers->width > 0))
        return ig_fail(err, IG_INVALID, "an input of %u x %u x %u", layers->height, layers->width,
                       layers->channels);
    struct maker maker = {.network = ig_network_new(BYTES_MAX), .batch_norm = batch_norm};
    if (!maker.network) return ig_fail(err, IG_NO_MEMORY, "the network");
    ig_rng_seed(&maker.rng, layers->seed);
    if (make(&maker, layers, err) != IG_OK) {
        ig_network_free(maker.network);
        return ig_err_code(err);
    }
    *out = maker.network;
    return IG_OK;
}
