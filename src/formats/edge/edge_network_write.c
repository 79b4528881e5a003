/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the section of a network (docs/edge-format.md). Stateless. */
#include "formats/edge/edge_priv.h"

#include <string.h>

static const uint8_t OP_CODES[IG_NETWORK_OPS_COUNT] = {
    [IG_NETWORK_CONV_2D] = 1,
    [IG_NETWORK_DEPTHWISE_CONV_2D] = 2,
    [IG_NETWORK_FULLY_CONNECTED] = 3,
    [IG_NETWORK_AVERAGE_POOL_2D] = 4,
    [IG_NETWORK_MAX_POOL_2D] = 5,
    [IG_NETWORK_RESHAPE] = 6,
    [IG_NETWORK_PAD] = 7,
    [IG_NETWORK_ADD] = 8,
    [IG_NETWORK_SUB] = 9,
    [IG_NETWORK_MUL] = 10,
    [IG_NETWORK_CONCATENATION] = 11,
    [IG_NETWORK_SOFTMAX] = 12,
    [IG_NETWORK_LOGISTIC] = 13,
    [IG_NETWORK_TANH] = 14,
    [IG_NETWORK_RELU] = 15,
    [IG_NETWORK_RELU6] = 16,
    [IG_NETWORK_RELU_N1_TO_1] = 17,
    [IG_NETWORK_MEAN] = 18,
    [IG_NETWORK_QUANTIZE] = 19,
    [IG_NETWORK_DEQUANTIZE] = 20,
};

bool ig_edge_op_of(enum ig_network_op *out, uint8_t code)
{
    for (int op = 0; op < IG_NETWORK_OPS_COUNT; op++)
        if (OP_CODES[op] == code) {
            *out = (enum ig_network_op)op;
            return true;
        }
    return false;
}

static void put(struct ig_buf *out, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++) ig_buf_add_char(out, (char)(value >> (8 * i)));
}

static void put_f32(struct ig_buf *out, float value)
{
    uint32_t bits;
    memcpy(&bits, &value, sizeof bits);
    put(out, bits, 4);
}

static void put_multiplier(struct ig_buf *out, struct nn_multiplier multiplier)
{
    put(out, (uint32_t)multiplier.fraction, 4);
    put(out, (uint32_t)multiplier.shift, 1);
}

static void put_tensor(struct ig_buf *out, const struct ig_compact_tensor *tensor)
{
    const struct ig_network_tensor *t = tensor->tensor;
    bool i8 = t->type == IG_NETWORK_I8;
    put(out, (i8 ? IG_EDGE_I8 : IG_EDGE_F32) + (tensor->constant ? IG_EDGE_CONSTANT : 0U), 1);
    put(out, t->rank, 1);
    put(out, i8 ? (uint32_t)t->quantization.zero_points[0] : 0, 1);
    put(out, 0, 1);
    put_f32(out, i8 ? t->quantization.scales[0] : 0);
    put(out, tensor->offset, 4);
    for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++) put(out, tensor->dims[d], 2);
}

static uint32_t flags_of(const struct ig_compact_layer *layer)
{
    return (layer->layer->window.padding == IG_NETWORK_PADDING_VALID ? IG_EDGE_VALID : 0U) |
           (layer->per_channel ? IG_EDGE_PER_CHANNEL : 0U) |
           (layer->layer->keep_dims ? IG_EDGE_KEEP_DIMS : 0U);
}

static void put_clamp(struct ig_buf *out, const struct ig_compact_layer *layer)
{
    put(out, (uint32_t)layer->least, 1);
    put(out, (uint32_t)layer->most, 1);
}

static void put_window(struct ig_buf *out, const struct ig_compact_layer *layer)
{
    const struct ig_network_window *w = &layer->layer->window;
    put(out, layer->filter_h, 2);
    put(out, layer->filter_w, 2);
    put(out, w->stride_h, 1);
    put(out, w->stride_w, 1);
    put(out, w->dilation_h ? w->dilation_h : 1, 1);
    put(out, w->dilation_w ? w->dilation_w : 1, 1);
}

/* What only some operators have. */
static void put_numbers(struct ig_buf *out, const struct ig_compact_layer *layer)
{
    const struct ig_network_layer *source = layer->layer;
    switch (source->op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
    case IG_NETWORK_FULLY_CONNECTED:
        put(out, flags_of(layer), 1);
        put_clamp(out, layer);
        put(out, layer->sum_bits, 1);
        put(out, layer->constants, 4);
        if (source->op != IG_NETWORK_FULLY_CONNECTED) put_window(out, layer);
        if (source->op == IG_NETWORK_CONV_2D) put(out, layer->scratch, 4);
        return;
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
        put(out, flags_of(layer), 1);
        put_clamp(out, layer);
        put_window(out, layer);
        return;
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
        put_clamp(out, layer);
        for (int i = 0; i < 3; i++) put_multiplier(out, layer->multipliers[i]);
        return;
    case IG_NETWORK_PAD:
        for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++)
            for (int end = 0; end < 2; end++) put(out, source->pads[d][end], 2);
        return;
    case IG_NETWORK_CONCATENATION:
        put(out, source->axis, 1);
        return;
    case IG_NETWORK_SOFTMAX:
        put_f32(out, source->beta);
        put(out, layer->step, 4);
        put_multiplier(out, layer->multipliers[2]);
        return;
    case IG_NETWORK_MEAN:
        put(out, flags_of(layer), 1);
        put(out, source->axes, 1);
        put_multiplier(out, layer->multipliers[2]);
        return;
    case IG_NETWORK_RESHAPE:
    case IG_NETWORK_DEQUANTIZE:
        return;
    default: /* a table; of QUANTIZE from float there is none */
        put(out, layer->constants, 4);
        return;
    }
}

static void put_layer(struct ig_buf *out, const struct ig_compact_layer *layer)
{
    put(out, OP_CODES[layer->layer->op], 1);
    put(out, (uint32_t)layer->layer->activation, 1);
    put(out, layer->inputs_count, 1);
    put(out, layer->output, 2);
    for (uint32_t i = 0; i < layer->inputs_count; i++) put(out, layer->inputs[i], 2);
    put_numbers(out, layer);
}

void ig_edge_put_network(struct ig_buf *out, const struct ig_network_compact *compact)
{
    bool twice = compact->network->rounding == IG_NETWORK_ROUNDING_DOUBLE;
    size_t start = out->len;
    put(out, compact->tensors_count, 2);
    put(out, compact->layers_count, 2);
    put(out, compact->inputs_count, 2);
    put(out, compact->outputs_count, 2);
    put(out, compact->arena_bytes, 4);
    put(out, compact->constants.len, 4);
    put(out, 0, 4); /* bytes of layers, when they are known */
    put(out,
        (twice ? IG_EDGE_DOUBLE_ROUNDING : 0U) | (compact->probability ? IG_EDGE_PROBABILITY : 0U),
        1);
    put(out, (uint32_t)compact->class_threshold, 1);
    put(out, 0, 2);
    for (uint32_t i = 0; i < compact->inputs_count; i++) put(out, compact->inputs[i], 2);
    for (uint32_t i = 0; i < compact->outputs_count; i++) put(out, compact->outputs[i], 2);
    for (uint32_t i = 0; i < compact->tensors_count; i++) put_tensor(out, &compact->tensors[i]);
    size_t layers = out->len;
    for (uint32_t i = 0; i < compact->layers_count; i++) put_layer(out, &compact->layers[i]);
    size_t bytes = out->len - layers;
    for (uint32_t i = 0; i < 4 && !out->overflowed; i++)
        out->ptr[start + 16 + i] = (char)(bytes >> (8 * i));
    while ((out->len - start) % IG_EDGE_ALIGN && !out->overflowed) put(out, 0, 1);
    ig_buf_add_str(out, ig_buf_view(&compact->constants));
}

enum ig_code ig_edge_write_network(struct ig_buf *out, const struct ig_network_compact *compact,
                                   struct ig_err *err)
{
    uint32_t sections = compact->encoder ? 2 : 1;
    size_t start = ig_edge_begin(out, sections), from = out->len;
    ig_edge_put_network(out, compact);
    ig_edge_end_section(out, start, 0, IG_EDGE_NETWORK, from);
    if (compact->encoder) {
        from = out->len;
        ig_edge_put_encoder(out, compact);
        ig_edge_end_section(out, start, 1, IG_EDGE_ENCODER, from);
    }
    return ig_edge_end(out, start, sections, err);
}
