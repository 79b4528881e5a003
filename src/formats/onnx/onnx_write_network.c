/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as ONNX: float, and int8 as QuantizeLinear and DequantizeLinear pairs around float
 * operators (S8S8, weights per channel, int32 biases), which runtimes fuse into int8 ones.
 *
 * ONNX wants images with channels first, a network has them last. A tensor of four dimensions has
 * a name in either layout, and a Transpose is written only where the other one is needed: at the
 * ends, and before what depends on the order of elements. Where one of channels and places is a
 * single one, the order is the same and nothing is written. Rows are open ("N") where no layer
 * mixes them. Stateless. */
#include "formats/onnx/onnx_write_priv.h"

#include <math.h>
#include <string.h>

static const uint32_t FIRST_OF[] = {0, 3, 1, 2}; /* NHWC's dimension of NCHW's */
static const uint32_t LAST_OF[] = {0, 2, 3, 1};  /* NCHW's dimension of NHWC's */

struct net {
    struct onnx_writer *w;
    const struct ig_network *network;
    const char **plain, **first; /* by tensor: names of its values; NULL: not written */
    uint32_t *source;            /* by tensor: the constant that it is of, else NONE */
    bool open;                   /* any number of rows */
    bool symmetric;              /* int8 with zero points of 0 alone */
};

static const struct ig_network_tensor *tensor_of(const struct net *n, uint32_t tensor)
{
    return &n->network->tensors[tensor];
}

static void fill_dims(const struct net *n, const struct ig_network_tensor *tensor, int64_t *dims)
{
    for (uint32_t d = 0; d < tensor->rank; d++) dims[d] = tensor->dims[d];
    if (n->open && tensor->rank) dims[0] = -1;
}

/* ---- constants ---- */

struct layout {
    uint32_t rank, dims[IG_NETWORK_RANK_MAX];
    uint32_t from[IG_NETWORK_RANK_MAX]; /* dimension of the tensor, led by ones, of each of ours */
    uint32_t axis;                      /* of the scales */
};

/* Elements of `source`, its dimensions led by ones up to the rank, in another order. */
static const void *permute(struct net *n, const struct ig_network_tensor *source,
                           const struct layout *to)
{
    size_t size = ig_network_type_bytes(source->type), strides[IG_NETWORK_RANK_MAX], step = 1;
    char *out = ig_arena_array(&n->w->arena, ig_network_tensor_count(source), size);
    uint32_t lead = to->rank - source->rank, at[IG_NETWORK_RANK_MAX] = {0};
    if (!out) return NULL;
    for (uint32_t d = to->rank; d-- > 0;) {
        strides[d] = step;
        step *= d >= lead ? source->dims[d - lead] : 1;
    }
    for (size_t i = 0; i < ig_network_tensor_count(source); i++) {
        size_t from = 0;
        for (uint32_t d = 0; d < to->rank; d++) from += at[d] * strides[to->from[d]];
        memcpy(out + i * size, (const char *)source->data + from * size, size);
        for (uint32_t d = to->rank; d-- > 0 && ++at[d] == to->dims[d];) at[d] = 0;
    }
    return out;
}

static const void *widen(struct net *n, const uint16_t *halves, size_t count)
{
    float *out = ig_arena_array(&n->w->arena, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++) out[i] = ig_network_f16(halves[i]);
    return out;
}

static const char *scale_name(struct net *n, const float *scales, uint32_t count)
{
    if (count == 1) return onnx_constant_f32(n->w, scales[0]);
    return onnx_constant_f32s(n->w, "scales", scales, count);
}

static const char *zero_name(struct net *n, const int32_t *zeros, uint32_t count)
{
    int8_t *items = ig_arena_array(&n->w->arena, count, 1);
    for (uint32_t i = 0; items && i < count; i++) items[i] = (int8_t)zeros[i];
    const struct ig_tensor tensor = {IG_TENSOR_I8, count > 1, {count}, count, items};
    return items ? onnx_constant(n->w, "zero_point", &tensor) : "";
}

static const char *dequantize(struct net *n, const char *from, const char *scale, const char *zero,
                              int64_t axis)
{
    const char *out = onnx_new_name(n->w, "real");
    onnx_open_node(n->w, "", "DequantizeLinear", &(struct onnx_ends){{from, scale, zero}, {out}});
    if (axis >= 0) onnx_attribute_i64(n->w, "axis", axis);
    onnx_close_node(n->w);
    return out;
}

/* A constant's numbers as floats, in a layout. */
static const char *write_constant(struct net *n, uint32_t tensor, const struct layout *to)
{
    static const enum ig_tensor_type types[IG_NETWORK_TYPES_COUNT] = {
        [IG_NETWORK_F32] = IG_TENSOR_F32,
        [IG_NETWORK_F16] = IG_TENSOR_F32,
        [IG_NETWORK_I8] = IG_TENSOR_I8,
        [IG_NETWORK_I32] = IG_TENSOR_I32,
    };
    uint32_t from = n->source[tensor] == IG_NETWORK_NONE ? tensor : n->source[tensor];
    const struct ig_network_tensor *source = tensor_of(n, from);
    const struct ig_network_quantization *q = &source->quantization;
    struct ig_tensor out = {.type = types[source->type], .rank = to->rank};
    out.count = ig_network_tensor_count(source);
    out.data = permute(n, source, to);
    for (uint32_t d = 0; d < to->rank; d++) out.dims[d] = to->dims[d];
    if (out.data && source->type == IG_NETWORK_F16) out.data = widen(n, out.data, out.count);
    if (!out.data) return "";
    const char *name = onnx_constant(n->w, "constant", &out);
    if (source->type != IG_NETWORK_I8) return name;
    return dequantize(n, name, scale_name(n, q->scales, q->count),
                      zero_name(n, q->zero_points, q->count),
                      q->count > 1 ? (int64_t)to->axis : -1);
}

/* As it lies, or with its channels first among four dimensions. */
static const char *constant_of(struct net *n, uint32_t tensor, bool first)
{
    const char **names = first ? n->first : n->plain;
    const struct ig_network_tensor *of = tensor_of(n, tensor);
    uint32_t rank = first ? 4 : of->rank, lead = rank - of->rank;
    struct layout to = {.rank = rank, .axis = of->quantization.dimension};
    if (names[tensor]) return names[tensor];
    for (uint32_t d = 0; d < rank; d++) {
        uint32_t from = first ? FIRST_OF[d] : d;
        to.from[d] = from;
        to.dims[d] = from < lead ? 1 : of->dims[from - lead];
    }
    return names[tensor] = write_constant(n, tensor, &to);
}

/* ---- values ---- */

static bool is_constant(const struct net *n, uint32_t tensor)
{
    return tensor_of(n, tensor)->data || n->source[tensor] != IG_NETWORK_NONE;
}

/* Whether both layouts have their elements in the same order. */
static bool same_order(const struct ig_network_tensor *tensor)
{
    return tensor->rank != 4 || tensor->dims[3] == 1 ||
           (size_t)tensor->dims[1] * tensor->dims[2] == 1;
}

static const char *transpose(struct net *n, const char *from, const uint32_t *order)
{
    const char *out = onnx_new_name(n->w, "turned");
    const int64_t wide[] = {order[0], order[1], order[2], order[3]};
    onnx_open_node(n->w, "", "Transpose", &(struct onnx_ends){{from}, {out}});
    onnx_attribute_i64s(n->w, "perm", wide, 4);
    onnx_close_node(n->w);
    return out;
}

static const char *value(struct net *n, uint32_t tensor, bool first)
{
    const char **wanted = first ? n->first : n->plain;
    if (is_constant(n, tensor)) return constant_of(n, tensor, first);
    if (!wanted[tensor])
        wanted[tensor] = first ? transpose(n, n->plain[tensor], FIRST_OF)
                               : transpose(n, n->first[tensor], LAST_OF);
    return wanted[tensor];
}

/* In an order of elements that is the network's own, whatever the dimensions. */
static const char *value_in_order(struct net *n, uint32_t tensor)
{
    bool first = !is_constant(n, tensor) && !n->plain[tensor] && same_order(tensor_of(n, tensor));
    return value(n, tensor, first);
}

/* Whether a layer had better work with channels first: its inputs lie so already. */
static bool prefers_first(const struct net *n, const struct ig_network_layer *layer)
{
    bool lies = false;
    for (uint32_t i = 0; i < layer->inputs_count; i++) {
        uint32_t tensor = layer->inputs[i];
        const struct ig_network_tensor *of = tensor_of(n, tensor);
        if (of->rank > 4 || (of->rank != 4 && !is_constant(n, tensor))) return false;
        lies |= !is_constant(n, tensor) && n->first[tensor] && !n->plain[tensor];
    }
    return lies;
}

static const char *quantize(struct net *n, const char *from,
                            const struct ig_network_quantization *q)
{
    const char *scale = scale_name(n, q->scales, 1), *zero = zero_name(n, q->zero_points, 1);
    const char *codes = onnx_new_name(n->w, "codes");
    onnx_open_node(n->w, "", "QuantizeLinear", &(struct onnx_ends){{from, scale, zero}, {codes}});
    onnx_close_node(n->w);
    return dequantize(n, codes, scale, zero, -1);
}

static const char *clip(struct net *n, const char *from, float least, float most)
{
    const char *out = onnx_new_name(n->w, "kept");
    onnx_open_node(
        n->w, "", "Clip",
        &(struct onnx_ends){{from, onnx_constant_f32(n->w, least), onnx_constant_f32(n->w, most)},
                            {out}});
    onnx_close_node(n->w);
    return out;
}

static const char *activate(struct net *n, enum ig_network_activation activation, const char *from)
{
    switch (activation) {
    case IG_NETWORK_ACTIVATION_RELU:
        return onnx_node(n->w, "Relu", from, NULL, NULL);
    case IG_NETWORK_ACTIVATION_RELU6:
        return clip(n, from, 0, 6);
    case IG_NETWORK_ACTIVATION_RELU_N1_TO_1:
        return clip(n, from, -1, 1);
    default:
        return from;
    }
}

/* What a layer computed, as its output. */
static void give(struct net *n, const struct ig_network_layer *layer, const char *name, bool first)
{
    const struct ig_network_tensor *out = tensor_of(n, layer->output);
    name = activate(n, layer->activation, name);
    if (out->type == IG_NETWORK_I8) name = quantize(n, name, &out->quantization);
    (first ? n->first : n->plain)[layer->output] = name;
}

/* ---- layers ---- */

static const char *reshape(struct net *n, const char *from, const int64_t *dims, uint32_t rank)
{
    return onnx_node(n->w, "Reshape", from, onnx_constant_i64s(n->w, "shape", dims, rank), NULL);
}

/* TensorRT takes such networks as int8, and no int32 for their biases. */
static bool is_symmetric(const struct ig_network *network)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[i];
        if (tensor->type != IG_NETWORK_I8 || tensor->data) continue;
        if (tensor->quantization.zero_points[0]) return false;
        count++;
    }
    return count > 0;
}

/* The number of each code, in float. */
static const char *real_bias(struct net *n, const struct ig_network_tensor *of,
                             const struct ig_network_quantization *q)
{
    size_t count = ig_network_tensor_count(of);
    const int32_t *codes = of->data;
    float *values = ig_arena_array(&n->w->arena, count, sizeof *values);
    if (!values) return NULL;
    for (size_t i = 0; i < count; i++)
        values[i] = (float)((double)codes[i] * (double)q->scales[q->count > 1 ? i : 0]);
    return onnx_constant_f32s(n->w, "bias", values, (int64_t)count);
}

/* The bias: a constant of one dimension, int32 by its scales or, of a symmetric network, float. */
static const char *bias(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *of = ig_network_input(n->network, layer, 2);
    const struct ig_network_tensor *weights = ig_network_input(n->network, layer, 1);
    struct ig_network_quantization q;
    if (!of) return NULL;
    if (of->type != IG_NETWORK_I32) return constant_of(n, layer->inputs[2], false);
    q = of->quantization;
    if (q.count == 0) { /* as the rules say: of input and weights */
        q.count = weights->quantization.count;
        float *scales = ig_arena_array(&n->w->arena, q.count, sizeof *scales);
        float in = tensor_of(n, layer->inputs[0])->quantization.scales[0];
        for (uint32_t i = 0; scales && i < q.count; i++)
            scales[i] = in * weights->quantization.scales[i];
        if (!scales) return NULL;
        q.scales = scales;
    }
    if (n->symmetric) return real_bias(n, of, &q);
    return dequantize(n, constant_of(n, layer->inputs[2], false), scale_name(n, q.scales, q.count),
                      NULL, q.count > 1 ? 0 : -1);
}

static void write_dense(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *in = tensor_of(n, layer->inputs[0]);
    const struct ig_network_tensor *out = tensor_of(n, layer->output);
    uint32_t outputs = tensor_of(n, layer->inputs[1])->dims[0];
    uint32_t depth = tensor_of(n, layer->inputs[1])->dims[1];
    const struct layout to = {2, {outputs, depth}, {0, 1}, 0};
    const char *rows = value_in_order(n, layer->inputs[0]);
    const char *weights = write_constant(n, layer->inputs[1], &to), *add = bias(n, layer);
    const char *made = onnx_new_name(n->w, "value");
    int64_t dims[IG_NETWORK_RANK_MAX] = {-1, depth};
    if (in->rank != 2 || in->dims[1] != depth) rows = reshape(n, rows, dims, 2);
    onnx_open_node(n->w, "", "Gemm", &(struct onnx_ends){{rows, weights, add}, {made}});
    onnx_attribute_i64(n->w, "transB", 1);
    onnx_close_node(n->w);
    fill_dims(n, out, dims);
    if (out->rank != 2) made = reshape(n, made, dims, out->rank);
    give(n, layer, made, false);
}

static void attribute_pair(struct net *n, const char *name, int64_t a, int64_t b)
{
    const int64_t pair[] = {a, b};
    onnx_attribute_i64s(n->w, name, pair, 2);
}

/* Strides, filter and what is around, of convolutions and pools. */
static void write_window(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_window *window = &layer->window;
    const struct ig_network_tensor *in = tensor_of(n, layer->inputs[0]);
    const struct ig_network_tensor *out = tensor_of(n, layer->output);
    const uint32_t strides[] = {window->stride_h, window->stride_w};
    const uint32_t dilations[] = {window->dilation_h ? window->dilation_h : 1,
                                  window->dilation_w ? window->dilation_w : 1};
    uint32_t filter[2];
    int64_t pads[4] = {0};
    ig_network_filter(n->network, layer, &filter[0], &filter[1]);
    for (int d = 0; d < 2; d++) {
        uint32_t size = in->dims[d + 1];
        int64_t before =
            ig_network_pad_before(window->padding, size, filter[d], strides[d], dilations[d]);
        int64_t covered = (int64_t)(out->dims[d + 1] - 1) * strides[d] +
                          (int64_t)(filter[d] - 1) * dilations[d] + 1;
        pads[d] = before;
        pads[d + 2] = covered > size ? covered - size - before : 0;
    }
    attribute_pair(n, "kernel_shape", filter[0], filter[1]);
    attribute_pair(n, "strides", strides[0], strides[1]);
    onnx_attribute_i64s(n->w, "pads", pads, 4);
    if (dilations[0] != 1 || dilations[1] != 1)
        attribute_pair(n, "dilations", dilations[0], dilations[1]);
}

static void write_conv(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *weights = tensor_of(n, layer->inputs[1]);
    const uint32_t *d = weights->dims;
    bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    uint32_t channels = tensor_of(n, layer->inputs[0])->dims[3];
    const struct layout conv = {4, {d[0], d[3], d[1], d[2]}, {0, 3, 1, 2}, 0};
    const struct layout each = {4, {d[3], 1, d[1], d[2]}, {3, 0, 1, 2}, 0};
    const char *from = value(n, layer->inputs[0], true), *made = onnx_new_name(n->w, "value");
    const char *filter = write_constant(n, layer->inputs[1], depthwise ? &each : &conv);
    const char *add = bias(n, layer);
    onnx_open_node(n->w, "", "Conv", &(struct onnx_ends){{from, filter, add}, {made}});
    write_window(n, layer);
    if (depthwise) onnx_attribute_i64(n->w, "group", channels);
    onnx_close_node(n->w);
    give(n, layer, made, true);
}

static void write_pool(struct net *n, const struct ig_network_layer *layer)
{
    bool greatest = layer->op == IG_NETWORK_MAX_POOL_2D;
    const char *from = value(n, layer->inputs[0], true), *made = onnx_new_name(n->w, "value");
    onnx_open_node(n->w, "", greatest ? "MaxPool" : "AveragePool",
                   &(struct onnx_ends){{from}, {made}});
    write_window(n, layer);
    onnx_close_node(n->w);
    give(n, layer, made, true);
}

static void write_reshape(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *out = tensor_of(n, layer->output);
    int64_t dims[IG_NETWORK_RANK_MAX];
    fill_dims(n, out, dims);
    give(n, layer, reshape(n, value_in_order(n, layer->inputs[0]), dims, out->rank), false);
}

static void write_pad(struct net *n, const struct ig_network_layer *layer)
{
    uint32_t rank = tensor_of(n, layer->output)->rank;
    bool first = prefers_first(n, layer);
    int64_t pads[2 * IG_NETWORK_RANK_MAX];
    for (uint32_t d = 0; d < rank; d++) {
        uint32_t of = first ? FIRST_OF[d] : d;
        pads[d] = layer->pads[of][0];
        pads[d + rank] = layer->pads[of][1];
    }
    const char *from = value(n, layer->inputs[0], first);
    give(n, layer,
         onnx_node(n->w, "Pad", from, onnx_constant_i64s(n->w, "pads", pads, 2 * rank), NULL),
         first);
}

static void write_arithmetic(struct net *n, const struct ig_network_layer *layer)
{
    const char *op = layer->op == IG_NETWORK_ADD   ? "Add"
                     : layer->op == IG_NETWORK_SUB ? "Sub"
                                                   : "Mul";
    bool first = prefers_first(n, layer);
    const char *a = value(n, layer->inputs[0], first), *b = value(n, layer->inputs[1], first);
    give(n, layer, onnx_node(n->w, op, a, b, NULL), first);
}

static void write_concatenation(struct net *n, const struct ig_network_layer *layer)
{
    const char *inputs[IG_NETWORK_LAYER_INPUTS_MAX], *made = onnx_new_name(n->w, "value");
    bool first = prefers_first(n, layer);
    for (uint32_t i = 0; i < layer->inputs_count; i++)
        inputs[i] = value(n, layer->inputs[i], first);
    onnx_open_node_of(n->w, "Concat", inputs, layer->inputs_count, made);
    onnx_attribute_i64(n->w, "axis", first ? LAST_OF[layer->axis] : layer->axis);
    onnx_close_node(n->w);
    give(n, layer, made, first);
}

static void write_softmax(struct net *n, const struct ig_network_layer *layer)
{
    bool first = prefers_first(n, layer);
    const char *from = value(n, layer->inputs[0], first), *made = onnx_new_name(n->w, "value");
    if (layer->beta != 1)
        from = onnx_node(n->w, "Mul", from, onnx_constant_f32(n->w, layer->beta), NULL);
    onnx_open_node(n->w, "", "Softmax", &(struct onnx_ends){{from}, {made}});
    onnx_attribute_i64(n->w, "axis", first ? 1 : (int64_t)tensor_of(n, layer->output)->rank - 1);
    onnx_close_node(n->w);
    give(n, layer, made, first);
}

static void write_mean(struct net *n, const struct ig_network_layer *layer)
{
    enum { PLACES = 1 << 1 | 1 << 2, ROWS = 1 << 0, CHANNELS = 1 << 3 };
    int64_t axes[IG_NETWORK_RANK_MAX];
    size_t count = 0;
    /* What remains has the same order in both layouts when no places remain beside channels. */
    bool order = layer->keep_dims || (layer->axes & PLACES) == PLACES || (layer->axes & CHANNELS);
    bool first = prefers_first(n, layer) && order;
    const char *from = value(n, layer->inputs[0], first), *made = onnx_new_name(n->w, "value");
    for (uint32_t d = 0; d < tensor_of(n, layer->inputs[0])->rank; d++)
        if (layer->axes >> (first ? FIRST_OF[d] : d) & 1) axes[count++] = d;
    onnx_open_node(n->w, "", "ReduceMean", &(struct onnx_ends){{from}, {made}});
    onnx_attribute_i64s(n->w, "axes", axes, count);
    onnx_attribute_i64(n->w, "keepdims", layer->keep_dims);
    onnx_close_node(n->w);
    give(n, layer, made, first && layer->keep_dims);
}

static const char *write_unary_node(struct net *n, enum ig_network_op op, const char *from)
{
    switch (op) {
    case IG_NETWORK_LOGISTIC:
        return onnx_node(n->w, "Sigmoid", from, NULL, NULL);
    case IG_NETWORK_TANH:
        return onnx_node(n->w, "Tanh", from, NULL, NULL);
    case IG_NETWORK_RELU:
        return activate(n, IG_NETWORK_ACTIVATION_RELU, from);
    case IG_NETWORK_RELU6:
        return activate(n, IG_NETWORK_ACTIVATION_RELU6, from);
    case IG_NETWORK_RELU_N1_TO_1:
        return activate(n, IG_NETWORK_ACTIVATION_RELU_N1_TO_1, from);
    default: /* QUANTIZE and DEQUANTIZE: `give` writes what it takes */
        return from;
    }
}

static void write_unary(struct net *n, const struct ig_network_layer *layer)
{
    bool first = prefers_first(n, layer);
    if (layer->op == IG_NETWORK_DEQUANTIZE && is_constant(n, layer->inputs[0])) {
        n->source[layer->output] = layer->inputs[0];
        return;
    }
    give(n, layer, write_unary_node(n, layer->op, value(n, layer->inputs[0], first)), first);
}

static void write_layer(struct net *n, const struct ig_network_layer *layer)
{
    typedef void write_fn(struct net *, const struct ig_network_layer *);
    static write_fn *const by_op[IG_NETWORK_OPS_COUNT] = {
        [IG_NETWORK_CONV_2D] = write_conv,
        [IG_NETWORK_DEPTHWISE_CONV_2D] = write_conv,
        [IG_NETWORK_FULLY_CONNECTED] = write_dense,
        [IG_NETWORK_AVERAGE_POOL_2D] = write_pool,
        [IG_NETWORK_MAX_POOL_2D] = write_pool,
        [IG_NETWORK_RESHAPE] = write_reshape,
        [IG_NETWORK_PAD] = write_pad,
        [IG_NETWORK_ADD] = write_arithmetic,
        [IG_NETWORK_SUB] = write_arithmetic,
        [IG_NETWORK_MUL] = write_arithmetic,
        [IG_NETWORK_CONCATENATION] = write_concatenation,
        [IG_NETWORK_SOFTMAX] = write_softmax,
        [IG_NETWORK_MEAN] = write_mean,
    };
    (by_op[layer->op] ? by_op[layer->op] : write_unary)(n, layer);
}

/* ---- the whole ---- */

static bool keeps_rows(const struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *out = tensor_of(n, layer->output);
    bool weights = layer->op == IG_NETWORK_DEQUANTIZE && is_constant(n, layer->inputs[0]);
    if (weights) return true;
    if (out->rank == 0 || out->dims[0] != 1) return false;
    if (layer->op == IG_NETWORK_MEAN) return !(layer->axes & 1);
    return layer->op != IG_NETWORK_CONCATENATION || layer->axis != 0;
}

/* A network of one row, no layer of which looks beyond it, takes any number of them. A constant
 * that is joined to rows stands for one. */
static bool is_open(const struct net *n)
{
    const struct ig_network *network = n->network;
    for (uint32_t i = 0; i < network->inputs_count; i++) {
        const struct ig_network_tensor *tensor = tensor_of(n, network->inputs[i]);
        if (tensor->rank == 0 || tensor->dims[0] != 1) return false;
    }
    for (uint32_t i = 0; i < network->layers_count; i++) {
        const struct ig_network_layer *layer = &network->layers[i];
        if (!keeps_rows(n, layer)) return false;
        for (uint32_t k = 0; layer->op == IG_NETWORK_CONCATENATION && k < layer->inputs_count; k++)
            if (is_constant(n, layer->inputs[k])) return false;
    }
    return true;
}

/* Names of ends: the tensors' own when they differ and are none of ours. */
static bool own_names(const struct net *n, const uint32_t *tensors, uint32_t count,
                      const uint32_t *others, uint32_t others_count)
{
    for (uint32_t i = 0; i < count; i++) {
        struct ig_str name = tensor_of(n, tensors[i])->name;
        if (!name.len || name.ptr[0] == '/' || !ig_str_utf8_valid(name) ||
            memchr(name.ptr, 0, name.len))
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (ig_str_eq(name, tensor_of(n, tensors[k])->name)) return false;
        for (uint32_t k = 0; k < others_count; k++)
            if (ig_str_eq(name, tensor_of(n, others[k])->name)) return false;
    }
    return true;
}

static const char *end_name(struct net *n, bool own, const char *word, uint32_t index,
                            uint32_t tensor)
{
    const char *name = own ? ig_arena_cstr(&n->w->arena, tensor_of(n, tensor)->name)
                           : ig_arena_printf(&n->w->arena, "%s_%u", word, index);
    return name ? name : "";
}

static bool prepare(struct net *n)
{
    uint32_t count = n->network->tensors_count;
    n->plain = ig_arena_array(&n->w->arena, count + (size_t)1, sizeof *n->plain);
    n->first = ig_arena_array(&n->w->arena, count + (size_t)1, sizeof *n->first);
    n->source = ig_arena_array(&n->w->arena, count + (size_t)1, sizeof *n->source);
    if (!n->plain || !n->first || !n->source) {
        ig_fail(n->w->err, IG_NO_MEMORY, "no memory for %u tensors", count);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) n->source[i] = IG_NETWORK_NONE;
    n->open = is_open(n);
    return true;
}

static void write_inputs(struct net *n, bool own)
{
    int64_t dims[IG_NETWORK_RANK_MAX];
    for (uint32_t i = 0; i < n->network->inputs_count; i++) {
        uint32_t input = n->network->inputs[i];
        const struct ig_network_tensor *tensor = tensor_of(n, input);
        const char *name = end_name(n, own, "input", i, input);
        fill_dims(n, tensor, dims);
        onnx_input(n->w, name, IG_TENSOR_F32, dims, tensor->rank);
        if (tensor->type == IG_NETWORK_I8) name = quantize(n, name, &tensor->quantization);
        n->plain[input] = name;
    }
}

/* The one input, out of a table's rows. */
static bool write_encoded(struct net *n, const struct ig_encoder *encoder)
{
    uint32_t input = n->network->inputs[0];
    const struct ig_network_tensor *tensor = tensor_of(n, input);
    const char *name = onnx_write_encoder(n->w, encoder);
    int64_t dims[IG_NETWORK_RANK_MAX];
    if (!name) {
        ig_fail(n->w->err, IG_NO_MEMORY, "no memory for the encoder");
        return false;
    }
    fill_dims(n, tensor, dims);
    if (tensor->rank != 2) name = reshape(n, name, dims, tensor->rank);
    if (tensor->type == IG_NETWORK_I8) name = quantize(n, name, &tensor->quantization);
    n->plain[input] = name;
    return true;
}

bool onnx_write_network(struct onnx_writer *w, const struct ig_network *network,
                        const struct ig_encoder *encoder)
{
    struct net n = {.w = w, .network = network, .symmetric = is_symmetric(network)};
    int64_t dims[IG_NETWORK_RANK_MAX];
    const uint32_t *in = network->inputs, *out = network->outputs;
    if (!prepare(&n)) return false;
    bool own = !encoder && own_names(&n, in, network->inputs_count, out, network->outputs_count) &&
               own_names(&n, out, network->outputs_count, in, network->inputs_count);
    if (!encoder)
        write_inputs(&n, own);
    else if (!write_encoded(&n, encoder))
        return false;
    for (uint32_t i = 0; i < network->layers_count && !onnx_write_failed(w); i++)
        write_layer(&n, &network->layers[i]);
    for (uint32_t i = 0; i < network->outputs_count && !onnx_write_failed(w); i++) {
        const struct ig_network_tensor *tensor = tensor_of(&n, out[i]);
        const char *name = end_name(&n, own, "output", i, out[i]);
        fill_dims(&n, tensor, dims);
        onnx_node(w, "Identity", value(&n, out[i], false), NULL, name);
        onnx_output(w, name, IG_TENSOR_F32, dims, tensor->rank);
    }
    return w->err->code == IG_OK;
}
