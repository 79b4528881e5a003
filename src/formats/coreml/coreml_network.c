/* SPDX-License-Identifier: Apache-2.0 */
/* Float networks as Core ML's NeuralNetwork, in its first form: blobs of [channels, height, width].
 *
 * Images come and go with their channels last, as in the network: a permutation stands at each end
 * and flattening is told to take channels last. A tensor of two dimensions is channels alone. int8
 * and half weights stay as small as they are (linear quantization; float16Value). Source:
 * NeuralNetwork.proto. Stateless. */
#include "formats/coreml/coreml_priv.h"

#include <string.h>

enum { MODEL_NETWORK = 500, NETWORK_LAYER = 1 };
enum { LAYER_NAME = 1, LAYER_INPUT = 2, LAYER_OUTPUT = 3 };
enum {
    LAYER_CONVOLUTION = 100,
    LAYER_POOLING = 120,
    LAYER_ACTIVATION = 130,
    LAYER_INNER_PRODUCT = 140,
    LAYER_SOFTMAX = 175,
    LAYER_PADDING = 200,
    LAYER_UNARY = 220,
    LAYER_ADD = 230,
    LAYER_MULTIPLY = 231,
    LAYER_SCALE = 245,
    LAYER_BIAS = 250,
    LAYER_RESHAPE = 300,
    LAYER_FLATTEN = 301,
    LAYER_PERMUTE = 310,
    LAYER_CONCAT = 320,
};
enum { WEIGHTS_F32 = 1, WEIGHTS_F16 = 2, WEIGHTS_RAW = 30, WEIGHTS_QUANTIZATION = 40 };
enum { QUANTIZATION_BITS = 1, QUANTIZATION_LINEAR = 101, LINEAR_SCALE = 1, LINEAR_BIAS = 2 };
enum {
    CONV_OUTPUTS = 1,
    CONV_CHANNELS = 2,
    CONV_GROUPS = 10,
    CONV_KERNEL = 20,
    CONV_STRIDE = 30,
    CONV_DILATION = 40,
    CONV_VALID = 50,
    CONV_HAS_BIAS = 70,
    CONV_WEIGHTS = 90,
    CONV_BIAS = 91,
};
enum { VALID_AMOUNTS = 1, AMOUNTS_BORDER = 10, EDGE_START = 1, EDGE_END = 2 };
enum {
    POOL_TYPE = 1,
    POOL_KERNEL = 10,
    POOL_STRIDE = 20,
    POOL_VALID = 30,
    POOL_EXCLUDES = 50,
    POOL_GLOBAL = 60,
};
enum { POOL_MAX = 0, POOL_AVERAGE = 1 };
enum {
    PRODUCT_INPUTS = 1,
    PRODUCT_OUTPUTS = 2,
    PRODUCT_HAS_BIAS = 10,
    PRODUCT_WEIGHTS = 20,
    PRODUCT_BIAS = 21,
};
enum {
    ACTIVATION_LINEAR = 5,
    ACTIVATION_RELU = 10,
    ACTIVATION_TANH = 30,
    ACTIVATION_SIGMOID = 40,
    LINEAR_ALPHA = 1,
};
enum { UNARY_TYPE = 1, UNARY_ALPHA = 2, UNARY_SCALE = 5, UNARY_THRESHOLD = 7 };
enum { PADDING_CONSTANT = 1, PADDING_AMOUNTS = 10 };
enum { SCALE_SHAPE = 1, SCALE_SCALE = 2, BIAS_SHAPE = 1, BIAS_BIAS = 2 };
enum { RESHAPE_SHAPE = 1, RESHAPE_MODE = 2, FLATTEN_MODE = 1, MODE_CHANNEL_LAST = 1 };
enum { PERMUTE_AXIS = 1 };

struct net {
    struct coreml_writer *w;
    const struct ig_network *network;
    const char **names; /* by tensor: its blob */
    uint32_t *source;   /* by tensor: the constant that it is of, else NONE */
    uint32_t blobs_count, layer;
    size_t open, params;
};

static const struct ig_network_tensor *tensor_of(const struct net *n, uint32_t tensor)
{
    return &n->network->tensors[tensor];
}

static bool refuse(struct net *n, const char *what)
{
    ig_fail(n->w->err, IG_UNSUPPORTED, "layer %u (%s): %s", n->layer,
            ig_network_op_name(n->network->layers[n->layer].op), what);
    return false;
}

static const char *new_blob(struct net *n)
{
    const char *name = ig_arena_printf(&n->w->arena, "/blob_%u", n->blobs_count++);
    return name ? name : "";
}

/* ---- one Core ML layer ---- */

static void open_layer(struct net *n, const char *a, const char *b, const char *output)
{
    struct ig_buf *out = &n->w->body;
    n->open = ig_proto_open(out, NETWORK_LAYER);
    ig_proto_add_bytes(out, LAYER_NAME, ig_str_view(output));
    if (a) ig_proto_add_bytes(out, LAYER_INPUT, ig_str_view(a));
    if (b) ig_proto_add_bytes(out, LAYER_INPUT, ig_str_view(b));
    ig_proto_add_bytes(out, LAYER_OUTPUT, ig_str_view(output));
}

static void open_params(struct net *n, uint32_t kind)
{
    n->params = ig_proto_open(&n->w->body, kind);
}

static void close_layer(struct net *n)
{
    ig_proto_close(&n->w->body, n->params);
    ig_proto_close(&n->w->body, n->open);
}

static void begin(struct net *n, uint32_t kind, const char *input, const char *output)
{
    open_layer(n, input, NULL, output);
    open_params(n, kind);
}

static void add_numbers(struct net *n, uint32_t field, const uint32_t *numbers, uint32_t count)
{
    size_t at = ig_proto_open(&n->w->body, field);
    for (uint32_t i = 0; i < count; i++) ig_proto_put_varint(&n->w->body, numbers[i]);
    ig_proto_close(&n->w->body, at);
}

static void add_floats(struct net *n, uint32_t field, const float *values, size_t count)
{
    size_t at = ig_proto_open(&n->w->body, field);
    ig_buf_add(&n->w->body, values, count * sizeof *values);
    ig_proto_close(&n->w->body, at);
}

/* What is around a window: before and behind of rows, then of columns. */
static void add_edges(struct net *n, uint32_t field, const uint32_t edges[4])
{
    struct ig_buf *out = &n->w->body;
    size_t amounts = ig_proto_open(out, field);
    for (int d = 0; d < 2; d++) {
        size_t edge = ig_proto_open(out, AMOUNTS_BORDER);
        ig_proto_add_varint(out, EDGE_START, edges[2 * d]);
        ig_proto_add_varint(out, EDGE_END, edges[2 * d + 1]);
        ig_proto_close(out, edge);
    }
    ig_proto_close(out, amounts);
}

static const char *activation(struct net *n, const char *from, uint32_t kind, float alpha)
{
    const char *out = new_blob(n);
    begin(n, LAYER_ACTIVATION, from, out);
    size_t at = ig_proto_open(&n->w->body, kind);
    if (kind == ACTIVATION_LINEAR) ig_proto_add_f32(&n->w->body, LINEAR_ALPHA, alpha);
    ig_proto_close(&n->w->body, at);
    close_layer(n);
    return out;
}

/* max(alpha, scale * x) */
static const char *threshold(struct net *n, const char *from, float alpha, float scale)
{
    const char *out = new_blob(n);
    begin(n, LAYER_UNARY, from, out);
    ig_proto_add_varint(&n->w->body, UNARY_TYPE, UNARY_THRESHOLD);
    ig_proto_add_f32(&n->w->body, UNARY_ALPHA, alpha);
    ig_proto_add_f32(&n->w->body, UNARY_SCALE, scale);
    close_layer(n);
    return out;
}

static const char *clip(struct net *n, const char *from, float least, float most)
{
    const char *above = threshold(n, from, least, 1);
    return activation(n, threshold(n, above, -most, -1), ACTIVATION_LINEAR, -1);
}

static const char *activate(struct net *n, enum ig_network_activation kind, const char *from)
{
    switch (kind) {
    case IG_NETWORK_ACTIVATION_RELU:
        return activation(n, from, ACTIVATION_RELU, 0);
    case IG_NETWORK_ACTIVATION_RELU6:
        return clip(n, from, 0, 6);
    case IG_NETWORK_ACTIVATION_RELU_N1_TO_1:
        return clip(n, from, -1, 1);
    default:
        return from;
    }
}

static bool give(struct net *n, const struct ig_network_layer *layer, const char *from)
{
    n->names[layer->output] = activate(n, layer->activation, from);
    return true;
}

static const char *permute(struct net *n, const char *from, const uint32_t axes[4], const char *out)
{
    begin(n, LAYER_PERMUTE, from, out);
    add_numbers(n, PERMUTE_AXIS, axes, 4);
    close_layer(n);
    return out;
}

/* ---- constants ---- */

static const struct ig_network_tensor *constant_of(const struct net *n, uint32_t tensor)
{
    uint32_t from = n->source[tensor] == IG_NETWORK_NONE ? tensor : n->source[tensor];
    return tensor_of(n, from)->data ? tensor_of(n, from) : NULL;
}

static float real(const struct ig_network_tensor *tensor, size_t i, uint32_t channel)
{
    const struct ig_network_quantization *q = &tensor->quantization;
    uint32_t c = q->count > 1 ? channel : 0;
    switch (tensor->type) {
    case IG_NETWORK_F16:
        return ig_network_f16(((const uint16_t *)tensor->data)[i]);
    case IG_NETWORK_I8:
        return q->scales[c] * (float)(((const int8_t *)tensor->data)[i] - q->zero_points[c]);
    default:
        return ((const float *)tensor->data)[i];
    }
}

/* Weights, which ig_network_check has found to be a constant. */
static const struct ig_network_tensor *weights_of(const struct net *n, uint32_t tensor)
{
    const struct ig_network_tensor *weights = constant_of(n, tensor);
    IG_ASSERT(weights);
    return weights;
}

/* Numbers of a constant whose order does not matter, as floats; NULL: out of memory. */
static float *reals(struct net *n, const struct ig_network_tensor *tensor, float by)
{
    size_t count = ig_network_tensor_count(tensor);
    float *out = ig_arena_array(&n->w->arena, count, sizeof *out);
    for (size_t i = 0; out && i < count; i++) out[i] = by * real(tensor, i, (uint32_t)i);
    return out;
}

static bool add_vector(struct net *n, uint32_t field, const struct ig_network_tensor *tensor,
                       float by)
{
    float *values = reals(n, tensor, by);
    if (!values) return coreml_no_memory(n->w);
    size_t at = ig_proto_open(&n->w->body, field);
    add_floats(n, WEIGHTS_F32, values, ig_network_tensor_count(tensor));
    ig_proto_close(&n->w->body, at);
    return true;
}

static bool add_scales(struct net *n, const struct ig_network_quantization *q)
{
    struct ig_buf *out = &n->w->body;
    float *biases = ig_arena_array(&n->w->arena, q->count, sizeof *biases);
    if (!biases) return coreml_no_memory(n->w);
    for (uint32_t i = 0; i < q->count; i++)
        biases[i] = -(128 + (float)q->zero_points[i]) * q->scales[i];
    size_t at = ig_proto_open(out, WEIGHTS_QUANTIZATION);
    ig_proto_add_varint(out, QUANTIZATION_BITS, 8);
    size_t linear = ig_proto_open(out, QUANTIZATION_LINEAR);
    add_floats(n, LINEAR_SCALE, q->scales, q->count);
    add_floats(n, LINEAR_BIAS, biases, q->count);
    ig_proto_close(out, linear);
    ig_proto_close(out, at);
    return true;
}

/* Weights, from [outer..., inner] to [outer, inner...] by three sizes: out[a][c][b] = in[a][b][c].
 */
static bool add_weights(struct net *n, uint32_t field, const struct ig_network_tensor *tensor,
                        const size_t sizes[3])
{
    static const uint32_t FIELDS[IG_NETWORK_TYPES_COUNT] = {[IG_NETWORK_F32] = WEIGHTS_F32,
                                                            [IG_NETWORK_F16] = WEIGHTS_F16,
                                                            [IG_NETWORK_I8] = WEIGHTS_RAW};
    size_t bytes = ig_network_type_bytes(tensor->type), count = ig_network_tensor_count(tensor);
    unsigned char *turned = ig_arena_array(&n->w->arena, count, bytes);
    const unsigned char *from = tensor->data;
    if (!turned) return coreml_no_memory(n->w);
    for (size_t i = 0; i < count; i++) {
        size_t c = i % sizes[2], b = i / sizes[2] % sizes[1], a = i / sizes[2] / sizes[1];
        size_t to = (a * sizes[2] + c) * sizes[1] + b;
        memcpy(turned + to * bytes, from + i * bytes, bytes);
    }
    if (tensor->type == IG_NETWORK_I8) /* from int8 to uint8 */
        for (size_t i = 0; i < count; i++) turned[i] ^= 128;
    uint32_t version = tensor->type == IG_NETWORK_I8    ? COREML_VERSION_QUANTIZED
                       : tensor->type == IG_NETWORK_F16 ? COREML_VERSION_HALVES
                                                        : COREML_VERSION;
    if (version > n->w->version) n->w->version = version;
    size_t at = ig_proto_open(&n->w->body, field);
    ig_proto_add_bytes(&n->w->body, FIELDS[tensor->type],
                       (struct ig_str){(const char *)turned, count * bytes});
    if (tensor->type == IG_NETWORK_I8 && !add_scales(n, &tensor->quantization)) return false;
    ig_proto_close(&n->w->body, at);
    return true;
}

/* ---- layers ---- */

/* Elements in the network's order, as channels alone. */
static const char *flat(struct net *n, uint32_t tensor)
{
    const struct ig_network_tensor *of = tensor_of(n, tensor);
    const char *out;
    if (of->rank <= 2) return n->names[tensor];
    out = new_blob(n);
    begin(n, LAYER_FLATTEN, n->names[tensor], out);
    ig_proto_add_varint(&n->w->body, FLATTEN_MODE, MODE_CHANNEL_LAST);
    close_layer(n);
    return out;
}

static bool write_dense(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *weights = weights_of(n, layer->inputs[1]);
    const struct ig_network_tensor *bias = ig_network_input(n->network, layer, 2);
    uint32_t outputs = weights->dims[0], depth = weights->dims[1];
    const size_t sizes[] = {1, 1, ig_network_tensor_count(weights)};
    if (ig_network_tensor_count(tensor_of(n, layer->inputs[0])) != depth)
        return refuse(n, "products of several rows");
    const char *from = flat(n, layer->inputs[0]), *out = new_blob(n);
    begin(n, LAYER_INNER_PRODUCT, from, out);
    ig_proto_add_varint(&n->w->body, PRODUCT_INPUTS, depth);
    ig_proto_add_varint(&n->w->body, PRODUCT_OUTPUTS, outputs);
    ig_proto_add_varint(&n->w->body, PRODUCT_HAS_BIAS, bias != NULL);
    if (!add_weights(n, PRODUCT_WEIGHTS, weights, sizes)) return false;
    if (bias && !add_vector(n, PRODUCT_BIAS, constant_of(n, layer->inputs[2]), 1)) return false;
    close_layer(n);
    return give(n, layer, out);
}

static void edges_of(const struct net *n, const struct ig_network_layer *layer,
                     const uint32_t filter[2], uint32_t edges[4])
{
    const struct ig_network_window *window = &layer->window;
    const struct ig_network_tensor *in = tensor_of(n, layer->inputs[0]);
    const struct ig_network_tensor *out = tensor_of(n, layer->output);
    const uint32_t strides[] = {window->stride_h, window->stride_w};
    const uint32_t dilations[] = {window->dilation_h ? window->dilation_h : 1,
                                  window->dilation_w ? window->dilation_w : 1};
    for (int d = 0; d < 2; d++) {
        uint64_t covered = (uint64_t)(out->dims[d + 1] - 1) * strides[d] +
                           (uint64_t)(filter[d] - 1) * dilations[d] + 1;
        uint32_t size = in->dims[d + 1];
        uint32_t before =
            ig_network_pad_before(window->padding, size, filter[d], strides[d], dilations[d]);
        edges[2 * d] = before;
        edges[2 * d + 1] = covered > size ? (uint32_t)(covered - size - before) : 0;
    }
}

/* Filter, strides and what is around; the fields are the layer's own. */
static void add_window(struct net *n, const struct ig_network_layer *layer, uint32_t kernel,
                       uint32_t stride, uint32_t valid)
{
    const struct ig_network_window *window = &layer->window;
    const uint32_t strides[] = {window->stride_h, window->stride_w};
    uint32_t filter[2], edges[4];
    ig_network_filter(n->network, layer, &filter[0], &filter[1]);
    edges_of(n, layer, filter, edges);
    add_numbers(n, kernel, filter, 2);
    add_numbers(n, stride, strides, 2);
    size_t at = ig_proto_open(&n->w->body, valid);
    add_edges(n, VALID_AMOUNTS, edges);
    ig_proto_close(&n->w->body, at);
}

static bool write_conv(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *weights = weights_of(n, layer->inputs[1]);
    const struct ig_network_tensor *bias = ig_network_input(n->network, layer, 2);
    const struct ig_network_window *window = &layer->window;
    const uint32_t *d = weights->dims, dilations[] = {window->dilation_h, window->dilation_w};
    bool depthwise = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    uint32_t outputs = depthwise ? d[3] : d[0], channels = depthwise ? 1 : d[3];
    const size_t sizes[] = {d[0], (size_t)d[1] * d[2], d[3]};
    const char *out = new_blob(n);
    begin(n, LAYER_CONVOLUTION, n->names[layer->inputs[0]], out);
    ig_proto_add_varint(&n->w->body, CONV_OUTPUTS, outputs);
    ig_proto_add_varint(&n->w->body, CONV_CHANNELS, channels);
    ig_proto_add_varint(&n->w->body, CONV_GROUPS,
                        depthwise ? tensor_of(n, layer->inputs[0])->dims[3] : 1);
    add_window(n, layer, CONV_KERNEL, CONV_STRIDE, CONV_VALID);
    add_numbers(n, CONV_DILATION, dilations, 2);
    ig_proto_add_varint(&n->w->body, CONV_HAS_BIAS, bias != NULL);
    if (!add_weights(n, CONV_WEIGHTS, weights, sizes)) return false;
    if (bias && !add_vector(n, CONV_BIAS, constant_of(n, layer->inputs[2]), 1)) return false;
    close_layer(n);
    return give(n, layer, out);
}

static bool write_pool(struct net *n, const struct ig_network_layer *layer)
{
    bool greatest = layer->op == IG_NETWORK_MAX_POOL_2D;
    const char *out = new_blob(n);
    begin(n, LAYER_POOLING, n->names[layer->inputs[0]], out);
    ig_proto_add_varint(&n->w->body, POOL_TYPE, greatest ? POOL_MAX : POOL_AVERAGE);
    add_window(n, layer, POOL_KERNEL, POOL_STRIDE, POOL_VALID);
    ig_proto_add_varint(&n->w->body, POOL_EXCLUDES, !greatest);
    close_layer(n);
    return give(n, layer, out);
}

static bool write_mean(struct net *n, const struct ig_network_layer *layer)
{
    enum { PLACES = 1 << 1 | 1 << 2 };
    const char *out = new_blob(n);
    if (tensor_of(n, layer->inputs[0])->rank != 4 || layer->axes != PLACES)
        return refuse(n, "a mean over other dimensions than height and width");
    begin(n, LAYER_POOLING, n->names[layer->inputs[0]], out);
    ig_proto_add_varint(&n->w->body, POOL_TYPE, POOL_AVERAGE);
    size_t at = ig_proto_open(&n->w->body, POOL_VALID);
    ig_proto_close(&n->w->body, at);
    ig_proto_add_varint(&n->w->body, POOL_GLOBAL, 1);
    close_layer(n);
    return give(n, layer, out);
}

static bool write_reshape(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *to = tensor_of(n, layer->output);
    const uint32_t shape[] = {to->dims[3], to->dims[1], to->dims[2]};
    const char *out;
    if (to->rank <= 2) return give(n, layer, flat(n, layer->inputs[0]));
    out = new_blob(n);
    begin(n, LAYER_RESHAPE, n->names[layer->inputs[0]], out);
    add_numbers(n, RESHAPE_SHAPE, shape, 3);
    ig_proto_add_varint(&n->w->body, RESHAPE_MODE, MODE_CHANNEL_LAST);
    close_layer(n);
    return give(n, layer, out);
}

static bool write_pad(struct net *n, const struct ig_network_layer *layer)
{
    const char *out = new_blob(n);
    const uint32_t edges[] = {layer->pads[1][0], layer->pads[1][1], layer->pads[2][0],
                              layer->pads[2][1]};
    bool places = tensor_of(n, layer->output)->rank == 4;
    for (uint32_t d = 0; places && d < 4; d += 3)
        places = layer->pads[d][0] == 0 && layer->pads[d][1] == 0;
    if (!places) return refuse(n, "padding of other dimensions than height and width");
    begin(n, LAYER_PADDING, n->names[layer->inputs[0]], out);
    size_t at = ig_proto_open(&n->w->body, PADDING_CONSTANT);
    ig_proto_close(&n->w->body, at);
    add_edges(n, PADDING_AMOUNTS, edges);
    close_layer(n);
    return give(n, layer, out);
}

/* x + c or x * c, of a constant for all, or for each channel. */
static const char *with_constant(struct net *n, enum ig_network_op op, const char *from,
                                 const struct ig_network_tensor *constant, float by)
{
    bool product = op == IG_NETWORK_MUL;
    uint32_t count = (uint32_t)ig_network_tensor_count(constant);
    const char *out = new_blob(n);
    begin(n, product ? LAYER_SCALE : LAYER_BIAS, from, out);
    add_numbers(n, product ? SCALE_SHAPE : BIAS_SHAPE, &count, 1);
    if (!add_vector(n, product ? SCALE_SCALE : BIAS_BIAS, constant, by)) return NULL;
    close_layer(n);
    return out;
}

static bool arithmetic_with(struct net *n, const struct ig_network_layer *layer, bool first)
{
    const struct ig_network_tensor *constant = constant_of(n, layer->inputs[first ? 0 : 1]);
    const struct ig_network_tensor *other = tensor_of(n, layer->inputs[first ? 1 : 0]);
    const struct ig_network_tensor *to = tensor_of(n, layer->output);
    const char *from = n->names[layer->inputs[first ? 1 : 0]];
    size_t count = ig_network_tensor_count(constant);
    bool fits = count == 1 || (count == other->dims[other->rank - 1] &&
                               constant->dims[constant->rank - 1] == count);
    bool minus = layer->op == IG_NETWORK_SUB;
    if (!fits || ig_network_tensor_count(to) != ig_network_tensor_count(other))
        return refuse(n, "a constant of other shape than one number, or one for each channel");
    if (minus && first) from = activation(n, from, ACTIVATION_LINEAR, -1);
    from = with_constant(n, layer->op, from, constant, minus && !first ? -1 : 1);
    return from && give(n, layer, from);
}

static bool write_arithmetic(struct net *n, const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *a = tensor_of(n, layer->inputs[0]);
    const struct ig_network_tensor *b = tensor_of(n, layer->inputs[1]);
    const char *second = n->names[layer->inputs[1]], *out;
    if (constant_of(n, layer->inputs[0]) && constant_of(n, layer->inputs[1]))
        return refuse(n, "arithmetic of constants alone");
    if (constant_of(n, layer->inputs[0])) return arithmetic_with(n, layer, true);
    if (constant_of(n, layer->inputs[1])) return arithmetic_with(n, layer, false);
    if (a->rank != b->rank || memcmp(a->dims, b->dims, a->rank * sizeof *a->dims) != 0)
        return refuse(n, "tensors of two shapes");
    if (layer->op == IG_NETWORK_SUB) second = activation(n, second, ACTIVATION_LINEAR, -1);
    out = new_blob(n);
    open_layer(n, n->names[layer->inputs[0]], second, out);
    open_params(n, layer->op == IG_NETWORK_MUL ? LAYER_MULTIPLY : LAYER_ADD);
    close_layer(n);
    return give(n, layer, out);
}

static bool write_concatenation(struct net *n, const struct ig_network_layer *layer)
{
    const char *out = new_blob(n);
    struct ig_buf *to = &n->w->body;
    if (layer->axis + 1 != tensor_of(n, layer->output)->rank)
        return refuse(n, "joined along another dimension than channels");
    for (uint32_t i = 0; i < layer->inputs_count; i++)
        if (constant_of(n, layer->inputs[i])) return refuse(n, "a constant among what is joined");
    open_layer(n, NULL, NULL, out);
    for (uint32_t i = 0; i < layer->inputs_count; i++)
        ig_proto_add_bytes(to, LAYER_INPUT, ig_str_view(n->names[layer->inputs[i]]));
    open_params(n, LAYER_CONCAT);
    close_layer(n);
    return give(n, layer, out);
}

static bool write_softmax(struct net *n, const struct ig_network_layer *layer)
{
    const char *from = n->names[layer->inputs[0]], *out;
    if (layer->beta != 1) from = activation(n, from, ACTIVATION_LINEAR, layer->beta);
    out = new_blob(n);
    begin(n, LAYER_SOFTMAX, from, out);
    close_layer(n);
    return give(n, layer, out);
}

static bool write_unary(struct net *n, const struct ig_network_layer *layer)
{
    const char *from = n->names[layer->inputs[0]];
    switch (layer->op) {
    case IG_NETWORK_LOGISTIC:
        return give(n, layer, activation(n, from, ACTIVATION_SIGMOID, 0));
    case IG_NETWORK_TANH:
        return give(n, layer, activation(n, from, ACTIVATION_TANH, 0));
    case IG_NETWORK_RELU:
        return give(n, layer, activate(n, IG_NETWORK_ACTIVATION_RELU, from));
    case IG_NETWORK_RELU6:
        return give(n, layer, activate(n, IG_NETWORK_ACTIVATION_RELU6, from));
    case IG_NETWORK_RELU_N1_TO_1:
        return give(n, layer, activate(n, IG_NETWORK_ACTIVATION_RELU_N1_TO_1, from));
    default: /* DEQUANTIZE of a constant; QUANTIZE has been refused */
        n->source[layer->output] = layer->inputs[0];
        return true;
    }
}

static bool write_layer(struct net *n, const struct ig_network_layer *layer)
{
    typedef bool write_fn(struct net *, const struct ig_network_layer *);
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
    return (by_op[layer->op] ? by_op[layer->op] : write_unary)(n, layer);
}

/* ---- the whole ---- */

static bool check_value(struct net *n, uint32_t tensor)
{
    const struct ig_network_tensor *of = tensor_of(n, tensor);
    if (of->type == IG_NETWORK_I8)
        return refuse(n, "Core ML has no int8 activations; export the float network, or one with "
                         "int8 weights alone");
    if ((of->rank == 2 || of->rank == 4) && of->dims[0] == 1) return true;
    return refuse(n, "a tensor that is neither [1, channels] nor [1, height, width, channels]");
}

/* What layers read and give, but for constants. */
static bool check_layer(struct net *n, const struct ig_network_layer *layer)
{
    for (uint32_t i = 0; i < layer->inputs_count; i++) {
        uint32_t tensor = layer->inputs[i];
        if (tensor == IG_NETWORK_NONE || constant_of(n, tensor)) continue;
        if (!check_value(n, tensor)) return false;
    }
    bool weights = layer->op == IG_NETWORK_DEQUANTIZE && constant_of(n, layer->inputs[0]);
    return weights || check_value(n, layer->output);
}

/* The tensor's name as an identifier of a programming language. */
static const char *end_name(struct net *n, uint32_t tensor, const char *word, uint32_t index)
{
    struct ig_str name = tensor_of(n, tensor)->name;
    char *text = ig_arena_printf(&n->w->arena, "%s%.*s", name.len ? "" : word, IG_STR_ARGS(name));
    for (char *at = text; at && *at; at++) {
        bool letter = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z');
        if (!letter && !(at > text && *at >= '0' && *at <= '9')) *at = '_';
    }
    if (!text) return "";
    for (uint32_t i = 0; i < n->network->tensors_count; i++)
        if (n->names[i] && strcmp(n->names[i], text) == 0) {
            text = ig_arena_printf(&n->w->arena, "%s_%u", text, index);
            return text ? text : "";
        }
    return text;
}

static void write_input(struct net *n, uint32_t index)
{
    static const uint32_t AXES[] = {0, 3, 1, 2};
    uint32_t tensor = n->network->inputs[index];
    const struct ig_network_tensor *of = tensor_of(n, tensor);
    const char *name = end_name(n, tensor, "input", index);
    coreml_input_array(n->w, name, COREML_FLOAT32, of->dims + 1, of->rank - 1);
    n->names[tensor] = of->rank == 4 ? permute(n, name, AXES, new_blob(n)) : name;
}

static void write_output(struct net *n, uint32_t index)
{
    static const uint32_t AXES[] = {0, 2, 3, 1};
    uint32_t tensor = n->network->outputs[index];
    const struct ig_network_tensor *of = tensor_of(n, tensor);
    const char *from = n->names[tensor], *name = end_name(n, tensor, "output", index);
    coreml_output_array(n->w, name, COREML_FLOAT32, of->dims + 1, of->rank - 1);
    if (of->rank == 4) {
        permute(n, from, AXES, name);
    } else {
        begin(n, LAYER_ACTIVATION, from, name);
        size_t at = ig_proto_open(&n->w->body, ACTIVATION_LINEAR);
        ig_proto_add_f32(&n->w->body, LINEAR_ALPHA, 1);
        ig_proto_close(&n->w->body, at);
        close_layer(n);
    }
    n->names[tensor] = name;
}

bool coreml_write_network(struct coreml_writer *w, const struct ig_network *network)
{
    struct net n = {.w = w, .network = network};
    size_t count = network->tensors_count + (size_t)1;
    n.names = ig_arena_array(&w->arena, count, sizeof *n.names);
    n.source = ig_arena_array(&w->arena, count, sizeof *n.source);
    if (!n.names || !n.source) return coreml_no_memory(w);
    w->type = MODEL_NETWORK;
    for (uint32_t i = 0; i < network->tensors_count; i++) n.source[i] = IG_NETWORK_NONE;
    for (uint32_t i = 0; i < network->inputs_count; i++)
        if (network->layers_count && !check_value(&n, network->inputs[i])) return false;
    for (uint32_t i = 0; i < network->inputs_count; i++) write_input(&n, i);
    for (n.layer = 0; n.layer < network->layers_count; n.layer++) {
        const struct ig_network_layer *layer = &network->layers[n.layer];
        if (!check_layer(&n, layer) || !write_layer(&n, layer)) return false;
    }
    for (uint32_t i = 0; i < network->outputs_count; i++) write_output(&n, i);
    return true;
}
