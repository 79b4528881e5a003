/* SPDX-License-Identifier: Apache-2.0 */
/* Products, convolutions, pools and normalization as layers. Weights are laid out as networks have
 * them; int8 ones stay int8, with their scales. Pads that are not TensorFlow's SAME become a layer
 * of their own. Stateless. */
#include "formats/onnx/onnx_network_priv.h"

#include <math.h>
#include <string.h>

/* Where a weight comes from: walked in the layer's order, at these strides of the constant. */
struct layout {
    uint32_t walk[4]; /* sizes */
    size_t strides[4];
    uint32_t dims[4], rank; /* of the tensor */
    uint32_t channel;       /* its dimension of outputs */
    uint32_t axis;          /* the constant's */
};

static size_t source_of(const struct layout *layout, size_t index)
{
    size_t from = 0;
    for (uint32_t d = 4; d-- > 0; index /= layout->walk[d])
        from += index % layout->walk[d] * layout->strides[d];
    return from;
}

/* Whether the constant is int8 as a layer's weights may be. */
static bool has_codes(const struct onnx_known_value *value, const struct layout *layout)
{
    const struct onnx_codes *codes = &value->codes;
    if (!codes->tensor || codes->tensor->type == IG_TENSOR_I32) return false;
    if (codes->count > 1 && codes->axis != layout->axis) return false;
    for (uint32_t i = 0; i < codes->count; i++)
        if (codes->zero_points[i] != 0) return false;
    return true;
}

static uint32_t code_weights(struct onnx_net *n, const struct onnx_known_value *value,
                             const struct layout *layout)
{
    const struct onnx_codes *codes = &value->codes;
    struct ig_network_tensor tensor = {.type = IG_NETWORK_I8, .rank = layout->rank};
    const uint8_t *from = codes->tensor->data, turn = codes->tensor->type == IG_TENSOR_U8 ? 128 : 0;
    uint8_t *data = ig_arena_alloc(&n->network->arena, codes->tensor->count + 1);
    struct onnx_tensor_facts *facts =
        ig_arena_grow(&n->arena, n->facts, n->network->tensors_count, &n->facts_cap, sizeof *facts);
    if (!data || !facts) {
        onnx_net_set_no_memory(n);
        return IG_NETWORK_NONE;
    }
    n->facts = facts;
    for (size_t i = 0; i < codes->tensor->count; i++)
        data[i] = (uint8_t)(from[source_of(layout, i)] ^ turn);
    memcpy(tensor.dims, layout->dims, sizeof layout->dims);
    tensor.data = data;
    tensor.quantization = (struct ig_network_quantization){
        codes->scales, codes->zero_points, codes->count, codes->count > 1 ? layout->channel : 0};
    uint32_t index = ig_network_add_tensor(n->network, &tensor);
    if (index == IG_NETWORK_NONE)
        onnx_net_set_no_memory(n);
    else
        facts[index] = (struct onnx_tensor_facts){0};
    return index;
}

static uint32_t add_weights(struct onnx_net *n, const struct onnx_known_value *value,
                            const struct layout *layout, float by)
{
    const struct ig_tensor *from = value->constant;
    if (by == 1 && has_codes(value, layout)) return code_weights(n, value, layout);
    float *values = ig_arena_array(&n->arena, from->count + 1, sizeof *values);
    if (from->type != IG_TENSOR_F32 || !values) {
        onnx_net_set_refused(n, "weights of type %s", ig_tensor_type_name(from->type));
        return IG_NETWORK_NONE;
    }
    for (size_t i = 0; i < from->count; i++)
        values[i] = by * ((const float *)from->data)[source_of(layout, i)];
    return onnx_net_floats(n, values, layout->dims, layout->rank);
}

/* One number for each of `count` outputs, or one for all; NONE after an error. */
static uint32_t add_bias(struct onnx_net *n, const struct onnx_known_value *value, uint32_t count,
                         float by)
{
    const struct ig_tensor *from = value->constant;
    float *values = ig_arena_array(&n->arena, count, sizeof *values);
    if (from->type == IG_TENSOR_STRING || (from->count != count && from->count != 1)) {
        onnx_net_set_refused(n, "a bias of %zu numbers for %u outputs", from->count, count);
        return IG_NETWORK_NONE;
    }
    for (uint32_t i = 0; values && i < count; i++)
        values[i] = by * (float)ig_tensor_get(from->data, from->type, from->count == 1 ? 0 : i);
    uint32_t tensor = values ? onnx_net_floats(n, values, &count, 1) : IG_NETWORK_NONE;
    if (!values) onnx_net_set_no_memory(n);
    if (tensor != IG_NETWORK_NONE && value->codes.tensor && by == 1 && from->count == count)
        n->facts[tensor].codes = &value->codes;
    return tensor;
}

/* Of the output, whose name the network's first layer of its kind keeps. */
static bool give_layer(struct onnx_net *n, struct ig_network_layer *layer, enum onnx_order order)
{
    uint32_t tensor;
    if (!onnx_net_layer(n, layer, NULL, 0, &tensor)) return false;
    onnx_net_give(n, tensor, order);
    return true;
}

/* ---- products ---- */

static bool product_layout(struct onnx_net *n, const struct onnx_known_value *in,
                           const struct onnx_known_value *weights, bool turned, struct layout *out)
{
    if (weights->rank != 2)
        return onnx_net_refuse(n, "weights of %u dimensions, expected 2", weights->rank);
    int64_t depth = weights->dims[turned], outputs = weights->dims[!turned];
    size_t step = turned ? 1 : (size_t)outputs, row = turned ? (size_t)depth : 1;
    bool flat = in->order == ONNX_FLAT_IMAGE;
    if (in->dims[in->rank - 1] != depth || depth < 1 || outputs < 1 ||
        outputs > IG_NETWORK_ELEMENTS_MAX)
        return onnx_net_refuse(n, "weights take %lld numbers, the input has %lld", (long long)depth,
                               (long long)in->dims[in->rank - 1]);
    *out = (struct layout){.walk = {(uint32_t)outputs, 1, 1, (uint32_t)depth},
                           .strides = {row, 0, 0, step},
                           .dims = {(uint32_t)outputs, (uint32_t)depth},
                           .rank = 2,
                           .axis = turned ? 0 : 1};
    if (!flat) return true;
    const uint32_t *image = in->image; /* channels, height, width */
    out->walk[1] = image[1];
    out->walk[2] = image[2];
    out->walk[3] = image[0];
    out->strides[1] = image[2] * step;
    out->strides[2] = step;
    out->strides[3] = (size_t)image[1] * image[2] * step;
    return true;
}

bool onnx_net_read_product(struct onnx_net *n)
{
    struct onnx_known_value *in = onnx_net_activation(n, 0);
    const struct onnx_known_value *weights = onnx_net_in(n, 1), *bias = onnx_net_in(n, 2);
    bool gemm = ig_str_is(n->node->op, "Gemm");
    float alpha = gemm ? ig_graph_f32(n->node, "alpha", 1) : 1;
    float beta = gemm ? ig_graph_f32(n->node, "beta", 1) : 1;
    uint32_t inputs[] = {0, 0, IG_NETWORK_NONE};
    struct layout layout;
    if (!in) return false;
    if (!onnx_net_constant(n, 1) || (bias && bias->known != ONNX_CONSTANT))
        return onnx_net_refuse(n, "weights or bias are no constants");
    if (gemm && ig_graph_i64(n->node, "transA", 0))
        return onnx_net_refuse(n, "its input is transposed");
    if (in->order == ONNX_LAST && !onnx_net_to_plain(n, in)) return false;
    if (!product_layout(n, in, weights, gemm && ig_graph_i64(n->node, "transB", 0), &layout))
        return false;
    inputs[0] = in->tensor;
    inputs[1] = add_weights(n, weights, &layout, alpha);
    if (inputs[1] == IG_NETWORK_NONE) return false;
    if (bias) {
        inputs[2] = add_bias(n, bias, layout.dims[0], beta);
        if (inputs[2] == IG_NETWORK_NONE) return false;
    }
    struct ig_network_layer layer = {.op = IG_NETWORK_FULLY_CONNECTED,
                                     .inputs = inputs,
                                     .inputs_count = 3,
                                     .keep_dims = in->rank != 2};
    return give_layer(n, &layer, ONNX_PLAIN);
}

bool onnx_net_add_bias(struct onnx_net *n, const struct onnx_known_value *to,
                       const struct onnx_known_value *bias)
{
    struct ig_network_layer *layer = onnx_net_producer(n, to);
    uint32_t axis = to->order == ONNX_LAST ? 1 : to->rank - 1;
    int64_t channels = to->dims[axis];
    bool weighted =
        layer && (layer->op == IG_NETWORK_FULLY_CONNECTED || layer->op == IG_NETWORK_CONV_2D ||
                  layer->op == IG_NETWORK_DEPTHWISE_CONV_2D);
    if (!weighted || layer->inputs[2] != IG_NETWORK_NONE || bias->rank > to->rank) return false;
    /* One number a channel: the dimension that counts from behind as the channels' does. */
    uint32_t behind = to->rank - axis;
    if (bias->constant->count != (size_t)channels || bias->rank < behind ||
        bias->dims[bias->rank - behind] != channels)
        return false;
    uint32_t tensor = add_bias(n, bias, (uint32_t)channels, 1);
    if (tensor == IG_NETWORK_NONE) return true; /* the error is set */
    ((uint32_t *)(uintptr_t)layer->inputs)[2] = tensor;
    onnx_net_alias(n, to);
    return true;
}

/* ---- windows ---- */

struct window {
    int64_t size[2], kernel[2], stride[2], dilation[2], pads[4];
};

static bool read_pair(struct onnx_net *n, const char *name, int64_t fallback, int64_t out[2])
{
    size_t count;
    const int64_t *given = ig_graph_i64s(n->node, name, &count);
    out[0] = out[1] = fallback;
    if (given && count == 2) memcpy(out, given, 2 * sizeof *out);
    if ((given && count != 2) || out[0] < 1 || out[1] < 1 || out[0] > IG_NETWORK_ELEMENTS_MAX ||
        out[1] > IG_NETWORK_ELEMENTS_MAX)
        return onnx_net_refuse(n, "%s are not two sizes", name);
    return true;
}

static void pad_same(struct window *w, bool lower)
{
    for (int d = 0; d < 2; d++) {
        int64_t out = (w->size[d] + w->stride[d] - 1) / w->stride[d];
        int64_t total =
            (out - 1) * w->stride[d] + (w->kernel[d] - 1) * w->dilation[d] + 1 - w->size[d];
        if (total < 0) total = 0;
        w->pads[d] = lower ? total - total / 2 : total / 2;
        w->pads[d + 2] = total - w->pads[d];
    }
}

static bool read_window(struct onnx_net *n, const struct onnx_known_value *in, struct window *w)
{
    struct ig_str automatic = ig_graph_string(n->node, "auto_pad", "NOTSET");
    size_t count;
    const int64_t *pads = ig_graph_i64s(n->node, "pads", &count);
    w->size[0] = in->dims[2];
    w->size[1] = in->dims[3];
    if (!read_pair(n, "strides", 1, w->stride) || !read_pair(n, "dilations", 1, w->dilation))
        return false;
    memset(w->pads, 0, sizeof w->pads);
    if (ig_str_is(automatic, "SAME_UPPER") || ig_str_is(automatic, "SAME_LOWER")) {
        pad_same(w, ig_str_is(automatic, "SAME_LOWER"));
        return true;
    }
    if (!pads || ig_str_is(automatic, "VALID")) return true;
    if (count != 4) return onnx_net_refuse(n, "%zu pads, expected 4", count);
    for (int i = 0; i < 4; i++) {
        if (pads[i] < 0 || pads[i] > IG_NETWORK_ELEMENTS_MAX)
            return onnx_net_refuse(n, "a pad of %lld", (long long)pads[i]);
        w->pads[i] = pads[i];
    }
    return true;
}

static bool is_same(const struct window *w)
{
    struct window same = *w;
    pad_same(&same, false);
    return memcmp(same.pads, w->pads, sizeof same.pads) == 0;
}

static bool is_valid(const struct window *w)
{
    return !w->pads[0] && !w->pads[1] && !w->pads[2] && !w->pads[3];
}

/* The window as the layer has it; pads that it cannot say are laid around the input first. */
static bool place_window(struct onnx_net *n, const struct window *w,
                         struct ig_network_window *window, uint32_t *tensor)
{
    struct ig_network_layer pad = {.op = IG_NETWORK_PAD, .inputs = tensor, .inputs_count = 1};
    *window = (struct ig_network_window){
        .padding = IG_NETWORK_PADDING_VALID,
        .stride_h = (uint32_t)w->stride[0],
        .stride_w = (uint32_t)w->stride[1],
        .dilation_h = (uint32_t)w->dilation[0],
        .dilation_w = (uint32_t)w->dilation[1],
        .filter_h = (uint32_t)w->kernel[0],
        .filter_w = (uint32_t)w->kernel[1],
    };
    if (is_valid(w)) return true;
    if (is_same(w)) {
        window->padding = IG_NETWORK_PADDING_SAME;
        return true;
    }
    for (int d = 0; d < 2; d++) {
        pad.pads[d + 1][0] = (uint32_t)w->pads[d];
        pad.pads[d + 1][1] = (uint32_t)w->pads[d + 2];
    }
    uint32_t from = *tensor;
    pad.inputs = &from;
    return onnx_net_layer(n, &pad, NULL, 0, tensor);
}

/* Weights [M, C / group, height, width] as OHWI, or 1HWC where each channel has its own. */
static bool conv_layout(struct onnx_net *n, const struct onnx_known_value *in,
                        const struct onnx_known_value *weights, bool *each, struct layout *out)
{
    const int64_t *d = weights->dims, group = ig_graph_i64(n->node, "group", 1);
    size_t cells = (size_t)(d[2] * d[3]);
    *each = group > 1 && group == in->dims[1] && d[1] == 1;
    if (!*each && group != 1)
        return onnx_net_refuse(n,
                               "%lld groups of %lld channels; networks have one group, or one "
                               "for each channel",
                               (long long)group, (long long)d[1]);
    if (!*each && d[1] != in->dims[1])
        return onnx_net_refuse(n, "weights take %lld channels, the input has %lld", (long long)d[1],
                               (long long)in->dims[1]);
    if (*each && d[0] % group != 0) return onnx_net_refuse(n, "%lld outputs", (long long)d[0]);
    *out = *each ? (struct layout){.walk = {1, (uint32_t)d[2], (uint32_t)d[3], (uint32_t)d[0]},
                                   .strides = {0, (size_t)d[3], 1, cells},
                                   .channel = 3}
                 : (struct layout){
                       .walk = {(uint32_t)d[0], (uint32_t)d[2], (uint32_t)d[3], (uint32_t)d[1]},
                       .strides = {(size_t)d[1] * cells, (size_t)d[3], 1, cells}};
    memcpy(out->dims, out->walk, sizeof out->dims);
    out->rank = 4;
    return true;
}

bool onnx_net_read_conv(struct onnx_net *n)
{
    struct onnx_known_value *in = onnx_net_activation(n, 0);
    const struct onnx_known_value *weights = onnx_net_in(n, 1), *bias = onnx_net_in(n, 2);
    uint32_t inputs[] = {0, 0, IG_NETWORK_NONE};
    struct layout layout;
    struct window window;
    bool each;
    if (!in || !onnx_net_to_image(n, in)) return false;
    if (!onnx_net_constant(n, 1) || weights->rank != 4 || !weights->constant->count ||
        (bias && bias->known != ONNX_CONSTANT))
        return onnx_net_refuse(n, "weights are no constant of four dimensions, or bias is none");
    window.kernel[0] = weights->dims[2];
    window.kernel[1] = weights->dims[3];
    if (!conv_layout(n, in, weights, &each, &layout) || !read_window(n, in, &window)) return false;
    struct ig_network_layer layer = {.op = each ? IG_NETWORK_DEPTHWISE_CONV_2D : IG_NETWORK_CONV_2D,
                                     .inputs = inputs,
                                     .inputs_count = 3};
    inputs[0] = in->tensor;
    if (!place_window(n, &window, &layer.window, &inputs[0])) return false;
    inputs[1] = add_weights(n, weights, &layout, 1);
    if (inputs[1] == IG_NETWORK_NONE) return false;
    if (bias) {
        inputs[2] = add_bias(n, bias, layout.dims[layout.channel], 1);
        if (inputs[2] == IG_NETWORK_NONE) return false;
    }
    return give_layer(n, &layer, ONNX_LAST);
}

/* Whether no number is below 0, so that zeros around change no greatest one. */
static bool not_negative(const struct onnx_net *n, uint32_t tensor)
{
    uint32_t index = n->facts[tensor].layer;
    if (n->facts[tensor].stepped && n->facts[tensor].zero_point == INT8_MIN) return true;
    if (!index) return false;
    const struct ig_network_layer *layer = &n->network->layers[index - 1];
    return layer->activation == IG_NETWORK_ACTIVATION_RELU ||
           layer->activation == IG_NETWORK_ACTIVATION_RELU6 || layer->op == IG_NETWORK_RELU ||
           layer->op == IG_NETWORK_RELU6 || layer->op == IG_NETWORK_LOGISTIC;
}

static bool check_pool(struct onnx_net *n, const struct window *w, bool greatest, uint32_t tensor)
{
    bool counted = ig_graph_i64(n->node, "count_include_pad", 0) != 0;
    if (n->node->outputs_count > 1 && n->node->outputs[1] != IG_GRAPH_NONE)
        return onnx_net_refuse(n, "its second output");
    for (int d = 0; d < 2 && ig_graph_i64(n->node, "ceil_mode", 0); d++) {
        int64_t room = w->size[d] + w->pads[d] + w->pads[d + 2] - w->kernel[d];
        if (room % w->stride[d] != 0)
            return onnx_net_refuse(n, "ceil_mode with a cell that is cut");
    }
    if (w->dilation[0] != 1 || w->dilation[1] != 1) return onnx_net_refuse(n, "dilations");
    if (is_valid(w) || (is_same(w) && !counted)) return true;
    if (greatest && !not_negative(n, tensor))
        return onnx_net_refuse(n, "pads other than TensorFlow's, around numbers below 0");
    if (!greatest && !counted)
        return onnx_net_refuse(n, "pads other than TensorFlow's, which are not counted");
    return true;
}

bool onnx_net_read_pool(struct onnx_net *n)
{
    struct onnx_known_value *in = onnx_net_activation(n, 0);
    bool all = ig_str_is(n->node->op, "GlobalMaxPool");
    bool greatest = all || ig_str_is(n->node->op, "MaxPool");
    struct window w = {.stride = {1, 1}, .dilation = {1, 1}};
    if (!in || !onnx_net_to_image(n, in)) return false;
    w.kernel[0] = w.size[0] = in->dims[2];
    w.kernel[1] = w.size[1] = in->dims[3];
    if (!all && (!read_pair(n, "kernel_shape", 0, w.kernel) || !read_window(n, in, &w)))
        return false;
    uint32_t tensor = in->tensor;
    if (!check_pool(n, &w, greatest, tensor)) return false;
    struct ig_network_layer layer = {.op = greatest ? IG_NETWORK_MAX_POOL_2D
                                                    : IG_NETWORK_AVERAGE_POOL_2D,
                                     .inputs = &tensor,
                                     .inputs_count = 1};
    bool counted = !greatest && !is_valid(&w) && ig_graph_i64(n->node, "count_include_pad", 0);
    if (counted) { /* zeros are cells like others: laid around, whatever TensorFlow would do */
        struct ig_network_layer pad = {
            .op = IG_NETWORK_PAD, .inputs = &in->tensor, .inputs_count = 1};
        for (int d = 0; d < 2; d++) {
            pad.pads[d + 1][0] = (uint32_t)w.pads[d];
            pad.pads[d + 1][1] = (uint32_t)w.pads[d + 2];
        }
        memset(w.pads, 0, sizeof w.pads);
        if (!onnx_net_layer(n, &pad, NULL, 0, &tensor)) return false;
    }
    if (!place_window(n, &w, &layer.window, &tensor)) return false;
    return give_layer(n, &layer, ONNX_LAST);
}

/* ---- normalization ---- */

/* Of a layer whose weights are floats: a factor and an addend for each output. */
static bool fold(struct onnx_net *n, struct ig_network_layer *layer, const float *by,
                 const float *add, uint32_t count)
{
    struct ig_network_tensor *weights = &n->network->tensors[layer->inputs[1]];
    bool each = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    size_t elements = ig_network_tensor_count(weights), inner = elements / count;
    const float *old = weights->data;
    float *scaled = ig_arena_array(&n->network->arena, elements, sizeof *scaled);
    float *sums = ig_arena_array(&n->arena, count, sizeof *sums);
    if (!scaled || !sums) return onnx_net_no_memory(n);
    for (size_t i = 0; i < elements; i++) scaled[i] = old[i] * by[each ? i % count : i / inner];
    const struct ig_network_tensor *bias = ig_network_input(n->network, layer, 2);
    for (uint32_t i = 0; i < count; i++)
        sums[i] = (bias ? ((const float *)bias->data)[i] * by[i] : 0) + add[i];
    weights->data = scaled;
    uint32_t tensor = onnx_net_floats(n, sums, &count, 1);
    if (tensor == IG_NETWORK_NONE) return false;
    ((uint32_t *)(uintptr_t)layer->inputs)[2] = tensor;
    return true;
}

static bool normalize(struct onnx_net *n, const struct onnx_known_value *in, const float *by,
                      const float *add, uint32_t count)
{
    struct onnx_known_value from = *in;
    struct ig_network_layer layer = {.op = IG_NETWORK_MUL, .inputs_count = 2};
    uint32_t first[] = {in->tensor, onnx_net_floats(n, by, &count, 1)}, second[2];
    layer.inputs = first;
    if (first[1] == IG_NETWORK_NONE || !onnx_net_layer(n, &layer, NULL, 0, &second[0]))
        return false;
    second[1] = onnx_net_floats(n, add, &count, 1);
    layer = (struct ig_network_layer){.op = IG_NETWORK_ADD, .inputs = second, .inputs_count = 2};
    return second[1] != IG_NETWORK_NONE && give_layer(n, &layer, from.order);
}

bool onnx_net_read_normalization(struct onnx_net *n)
{
    struct onnx_known_value *in = onnx_net_activation(n, 0);
    float epsilon = ig_graph_f32(n->node, "epsilon", 1e-5F);
    if (!in) return false;
    if (in->rank < 2 || in->order == ONNX_FLAT_IMAGE) return onnx_net_refuse(n, "no channels");
    if (in->rank == 4 && !onnx_net_to_image(n, in)) return false;
    if (in->rank != 2 && in->rank != 4) return onnx_net_refuse(n, "%u dimensions", in->rank);
    uint32_t count = (uint32_t)in->dims[1];
    float *by = ig_arena_array(&n->arena, count, sizeof *by);
    float *add = ig_arena_array(&n->arena, count, sizeof *add);
    if (!by || !add) return onnx_net_no_memory(n);
    for (uint32_t i = 1; i < 5; i++) {
        const struct ig_tensor *given = onnx_net_constant(n, i);
        if (!given || given->type != IG_TENSOR_F32 || given->count != count)
            return onnx_net_refuse(n, "input %u is no constant of %u floats", i, count);
    }
    for (uint32_t c = 0; c < count; c++) {
        double scale = (double)((const float *)onnx_net_constant(n, 1)->data)[c];
        double offset = (double)((const float *)onnx_net_constant(n, 2)->data)[c];
        double mean = (double)((const float *)onnx_net_constant(n, 3)->data)[c];
        double variance = (double)((const float *)onnx_net_constant(n, 4)->data)[c];
        double factor = scale / sqrt(variance + (double)epsilon);
        by[c] = (float)factor;
        add[c] = (float)(offset - mean * factor);
    }
    struct ig_network_layer *layer = onnx_net_producer(n, in);
    bool weighted =
        layer && (layer->op == IG_NETWORK_FULLY_CONNECTED || layer->op == IG_NETWORK_CONV_2D ||
                  layer->op == IG_NETWORK_DEPTHWISE_CONV_2D);
    if (!weighted || n->network->tensors[layer->inputs[1]].type != IG_NETWORK_F32)
        return normalize(n, in, by, add, count);
    if (!fold(n, layer, by, add, count)) return false;
    onnx_net_alias(n, in);
    return true;
}
