/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_NETWORK_TESTING_H
#define IG_KERNELS_QUANTIZE_NETWORK_TESTING_H

/* For tests only: random int8 networks of all operators, checked. */

#include "base/mem.h"
#include "model/network.h"

#include <string.h>

struct network_maker {
    struct ig_network *network;
    uint64_t random;
    uint32_t last; /* the tensor that the chain has come to */
    uint32_t kept; /* one before it, for additions; or NONE */
};

static inline uint32_t maker_random(struct network_maker *maker, uint32_t below)
{
    maker->random = maker->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(maker->random >> 33) % below;
}

static inline float maker_scale(struct network_maker *maker)
{
    return 0.005F + 0.0001F * (float)maker_random(maker, 900);
}

static inline uint32_t maker_tensor(struct network_maker *maker, uint32_t rank,
                                    const uint32_t *dims, float scale, int32_t zero)
{
    struct ig_network_tensor tensor = {.type = IG_NETWORK_I8, .rank = rank};
    memcpy(tensor.dims, dims, rank * sizeof *dims);
    if (scale > 0)
        tensor.quantization = (struct ig_network_quantization){&scale, &zero, 1, 0};
    else
        tensor.type = IG_NETWORK_F32;
    return ig_network_add_tensor(maker->network, &tensor);
}

static inline uint32_t maker_activation(struct network_maker *maker, uint32_t rank,
                                        const uint32_t *dims)
{
    float scale = maker_scale(maker);
    return maker_tensor(maker, rank, dims, scale, (int32_t)maker_random(maker, 256) - 128);
}

static inline const struct ig_network_tensor *maker_last(const struct network_maker *maker)
{
    return &maker->network->tensors[maker->last];
}

/* The layer's output takes the shape that its inputs give, and moves the chain on. `same`: its
 * scale is the input's. */
static inline void maker_layer(struct network_maker *maker, struct ig_network_layer *layer,
                               bool same)
{
    struct ig_err err = IG_ERR_INIT;
    uint32_t dims[IG_NETWORK_RANK_MAX], rank;
    struct ig_network_quantization q = maker_last(maker)->quantization;
    if (ig_network_infer(maker->network, layer, dims, &rank, &err) != IG_OK) return;
    layer->output = same ? maker_tensor(maker, rank, dims, q.scales[0], q.zero_points[0])
                         : maker_activation(maker, rank, dims);
    if (layer->op == IG_NETWORK_SOFTMAX || layer->op == IG_NETWORK_LOGISTIC)
        layer->output = maker_tensor(maker, rank, dims, 1.0F / 256, -128);
    if (layer->op == IG_NETWORK_TANH)
        layer->output = maker_tensor(maker, rank, dims, 1.0F / 128, 0);
    ig_network_add_layer(maker->network, layer);
    if (maker->kept == IG_NETWORK_NONE || maker_random(maker, 2)) maker->kept = maker->last;
    maker->last = layer->output;
}

static inline uint32_t maker_weights(struct network_maker *maker, uint32_t rank,
                                     const uint32_t *dims, uint32_t dimension)
{
    size_t count = 1;
    for (uint32_t d = 0; d < rank; d++) count *= dims[d];
    int8_t *data = ig_alloc(count);
    float scales[64];
    int32_t zeros[64] = {0};
    for (size_t i = 0; i < count; i++) data[i] = (int8_t)((int32_t)maker_random(maker, 255) - 127);
    for (int i = 0; i < 64; i++) scales[i] = maker_scale(maker) * 0.02F;
    struct ig_network_tensor tensor = {.type = IG_NETWORK_I8, .rank = rank};
    memcpy(tensor.dims, dims, rank * sizeof *dims);
    tensor.data = ig_network_keep(maker->network, data, count);
    tensor.quantization = (struct ig_network_quantization){scales, zeros, 1, 0};
    if (maker_random(maker, 3)) {
        tensor.quantization.count = dims[dimension];
        tensor.quantization.dimension = dims[dimension] > 1 ? dimension : 0;
    }
    ig_free(data);
    return ig_network_add_tensor(maker->network, &tensor);
}

static inline uint32_t maker_bias(struct network_maker *maker, uint32_t channels)
{
    int32_t values[64];
    for (int i = 0; i < 64; i++) values[i] = (int32_t)maker_random(maker, 4000) - 2000;
    struct ig_network_tensor tensor = {.type = IG_NETWORK_I32, .rank = 1, .dims = {channels}};
    tensor.data = ig_network_keep(maker->network, values, channels * sizeof *values);
    return maker_random(maker, 5) ? ig_network_add_tensor(maker->network, &tensor)
                                  : IG_NETWORK_NONE;
}

static inline struct ig_network_window maker_window(struct network_maker *maker, bool dilates)
{
    struct ig_network_window w = {
        .padding = (enum ig_network_padding)maker_random(maker, 2),
        .stride_h = 1 + maker_random(maker, 2),
        .stride_w = 1 + maker_random(maker, 3) / 2,
        .dilation_h = dilates ? 1 + maker_random(maker, 4) / 3 : 0,
        .dilation_w = dilates ? 1 + maker_random(maker, 4) / 3 : 0,
        .filter_h = 1 + maker_random(maker, 3),
        .filter_w = 1 + maker_random(maker, 3),
    };
    return w;
}

static inline enum ig_network_activation maker_clamp(struct network_maker *maker)
{
    return (enum ig_network_activation)maker_random(maker, IG_NETWORK_ACTIVATIONS_COUNT);
}

static inline void maker_weighted(struct network_maker *maker, enum ig_network_op op)
{
    const struct ig_network_tensor *in = maker_last(maker);
    uint32_t inputs[3] = {maker->last};
    struct ig_network_layer layer = {.op = op, .inputs = inputs, .inputs_count = 3};
    layer.activation = maker_clamp(maker);
    layer.window = maker_window(maker, true);
    uint32_t fh = layer.window.filter_h, fw = layer.window.filter_w;
    uint32_t channels = 1 + maker_random(maker, 20);
    if (op == IG_NETWORK_FULLY_CONNECTED) {
        const uint32_t dims[] = {channels, (uint32_t)ig_network_tensor_count(in)};
        layer.window = (struct ig_network_window){0};
        inputs[1] = maker_weights(maker, 2, dims, 0);
    } else if (op == IG_NETWORK_CONV_2D) {
        const uint32_t dims[] = {channels, fh, fw, in->dims[3]};
        inputs[1] = maker_weights(maker, 4, dims, 0);
    } else {
        channels = in->dims[3] * (in->dims[3] <= 20 ? 1 + maker_random(maker, 4) / 3 : 1);
        const uint32_t dims[] = {1, fh, fw, channels};
        inputs[1] = maker_weights(maker, 4, dims, 3);
    }
    inputs[2] = maker_bias(maker, channels);
    maker_layer(maker, &layer, false);
}

static inline void maker_binary(struct network_maker *maker, enum ig_network_op op)
{
    const struct ig_network_tensor *in = maker_last(maker);
    uint32_t inputs[] = {maker->last, maker->last};
    struct ig_network_layer layer = {.op = op, .inputs = inputs, .inputs_count = 2};
    bool fits = maker->kept != IG_NETWORK_NONE;
    if (fits) {
        const struct ig_network_tensor *kept = &maker->network->tensors[maker->kept];
        fits = kept->rank == in->rank && memcmp(kept->dims, in->dims, sizeof in->dims) == 0;
    }
    if (fits) inputs[1] = maker->kept;
    layer.activation =
        op == IG_NETWORK_CONCATENATION ? IG_NETWORK_ACTIVATION_NONE : maker_clamp(maker);
    if (op == IG_NETWORK_CONCATENATION) {
        inputs[1] = maker->last; /* of the same scale */
        layer.axis = in->rank - 1;
    } else if (in->dims[in->rank - 1] <= 64 && maker_random(maker, 4) == 0) { /* a constant */
        const uint32_t dims[] = {in->dims[in->rank - 1]};
        inputs[1] = maker_weights(maker, 1, dims, 0);
        struct ig_network_quantization *q = &maker->network->tensors[inputs[1]].quantization;
        q->count = 1;
        q->dimension = 0;
    }
    maker_layer(maker, &layer, op == IG_NETWORK_CONCATENATION);
}

static inline void maker_plain(struct network_maker *maker, enum ig_network_op op)
{
    const struct ig_network_tensor *in = maker_last(maker);
    bool pool = op == IG_NETWORK_AVERAGE_POOL_2D || op == IG_NETWORK_MAX_POOL_2D;
    struct ig_network_layer layer = {.op = op, .inputs = &maker->last, .inputs_count = 1};
    uint32_t input = maker->last;
    layer.inputs = &input;
    layer.beta = op == IG_NETWORK_SOFTMAX ? 1 + (float)maker_random(maker, 3) : 0;
    if (pool) {
        layer.window = maker_window(maker, false);
        layer.activation = maker_clamp(maker);
    }
    if (op == IG_NETWORK_PAD)
        for (uint32_t d = 1; d < in->rank; d++) layer.pads[d][maker_random(maker, 2)] = 1;
    if (op == IG_NETWORK_MEAN) {
        layer.axes = 6;
        layer.keep_dims = maker_random(maker, 2);
    }
    if (op == IG_NETWORK_RESHAPE) {
        const uint32_t dims[] = {1, (uint32_t)ig_network_tensor_count(in)};
        layer.output = maker_tensor(maker, 2, dims, in->quantization.scales[0],
                                    in->quantization.zero_points[0]);
        ig_network_add_layer(maker->network, &layer);
        maker->last = layer.output;
        return;
    }
    maker_layer(maker, &layer, pool || op == IG_NETWORK_PAD);
}

static inline void maker_step(struct network_maker *maker)
{
    enum ig_network_op op = (enum ig_network_op)maker_random(maker, IG_NETWORK_DEQUANTIZE);
    const struct ig_network_tensor *in = maker_last(maker);
    bool image = in->rank == 4;
    if (ig_network_tensor_count(in) > 4000 &&
        (op == IG_NETWORK_PAD || op == IG_NETWORK_CONCATENATION))
        return;
    switch (op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
        if (image && in->dims[3] <= 40) maker_weighted(maker, op);
        return;
    case IG_NETWORK_FULLY_CONNECTED:
        if (maker_random(maker, 3) == 0) maker_weighted(maker, op);
        return;
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
    case IG_NETWORK_CONCATENATION:
        maker_binary(maker, op);
        return;
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
    case IG_NETWORK_MEAN:
        if (image) maker_plain(maker, op);
        return;
    case IG_NETWORK_RESHAPE:
        if (maker_random(maker, 3) == 0) maker_plain(maker, op);
        return;
    default:
        maker_plain(maker, op);
        return;
    }
}

/* Half of them take and give floats. */
static inline struct ig_network *ig_testing_network(uint64_t seed)
{
    struct ig_err err = IG_ERR_INIT;
    struct network_maker maker = {ig_network_new(1 << 22), seed, 0, IG_NETWORK_NONE};
    const uint32_t dims[] = {1, 3 + maker_random(&maker, 8), 2 + maker_random(&maker, 8),
                             1 + maker_random(&maker, 12)};
    bool floats = maker_random(&maker, 2);
    uint32_t input = maker_activation(&maker, 4, dims);
    maker.last = input;
    if (floats) {
        input = maker_tensor(&maker, 4, dims, 0, 0);
        const struct ig_network_layer layer = {
            .op = IG_NETWORK_QUANTIZE, .inputs = &input, .inputs_count = 1, .output = maker.last};
        ig_network_add_layer(maker.network, &layer);
    }
    for (int i = 0; i < 12; i++) maker_step(&maker);
    if (maker_last(&maker)->dims[maker_last(&maker)->rank - 1] < 4096)
        maker_plain(&maker, IG_NETWORK_SOFTMAX);
    uint32_t output = maker.last;
    if (floats) {
        const struct ig_network_tensor *in = maker_last(&maker);
        output = maker_tensor(&maker, in->rank, in->dims, 0, 0);
        const struct ig_network_layer layer = {.op = IG_NETWORK_DEQUANTIZE,
                                               .inputs = &maker.last,
                                               .inputs_count = 1,
                                               .output = output};
        ig_network_add_layer(maker.network, &layer);
    }
    ig_network_set_inputs(maker.network, &input, 1);
    ig_network_set_outputs(maker.network, &output, 1);
    if (ig_network_check(maker.network, &err) != IG_OK)
        fail_msg("seed %d: %s", (int)seed, err.message);
    return maker.network;
}

#endif
