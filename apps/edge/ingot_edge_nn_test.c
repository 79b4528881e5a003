/* SPDX-License-Identifier: Apache-2.0 */
/* The device's kernels of networks against the server's: random layers of every kind, in both
 * roundings; and the leaves' forms against the portable one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/nn/nn.h"
#include "kernels/nn/nn_fixed.h"
#include "kernels/nn/nn_product.h"

#include "ingot_edge_nn_testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BYTES_MAX = 1 << 16, CHANNELS_MAX = 1024 };

/* A network of one layer: input, and for some a second input or weights and bias. */
struct bed {
    struct ig_rng random;
    struct ig_network *network;
    uint32_t input, second, bias, output;
    int8_t in[BYTES_MAX], other[BYTES_MAX], expected[BYTES_MAX], got[BYTES_MAX];
    int32_t biases[CHANNELS_MAX], fractions[CHANNELS_MAX];
    int8_t shifts[CHANNELS_MAX];
    float scales[CHANNELS_MAX];
    int32_t zeros[CHANNELS_MAX];
};

static int32_t below(struct bed *bed, int32_t bound)
{
    return (int32_t)ig_rng_below(&bed->random, (uint64_t)bound);
}

static int32_t between(struct bed *bed, int32_t least, int32_t most)
{
    return least + below(bed, most - least + 1);
}

static float scale_of(struct bed *bed)
{
    return (float)exp(ig_rng_unit(&bed->random) * 6 - 6);
}

/* Some bytes are the extremes. */
static void fill(struct bed *bed, int8_t *bytes, size_t count, int8_t least)
{
    bool extreme = below(bed, 4) == 0;
    for (size_t i = 0; i < count; i++) {
        int8_t byte = (int8_t)ig_rng_u64(&bed->random);
        bytes[i] = extreme ? byte & 1 ? least : INT8_MAX : byte < least ? least : byte;
    }
}

static uint32_t add(struct bed *bed, enum ig_network_type type, const uint32_t *dims, uint32_t rank,
                    const void *data)
{
    float scale = scale_of(bed);
    int32_t zero = between(bed, -128, 127);
    struct ig_network_tensor tensor = {.type = type, .rank = rank, .data = data};
    memcpy(tensor.dims, dims, rank * sizeof *dims);
    tensor.quantization = (struct ig_network_quantization){&scale, &zero, 1, 0};
    return ig_network_add_tensor(bed->network, &tensor);
}

static const struct ig_network_tensor *tensor(const struct bed *bed, uint32_t index)
{
    return &bed->network->tensors[index];
}

static void begin(struct bed *bed)
{
    bed->network = ig_network_new(1 << 20);
    bed->network->rounding = (enum ig_network_rounding)below(bed, 2);
}

static void set_scale(struct bed *bed, uint32_t index, float scale)
{
    *(float *)(uintptr_t)tensor(bed, index)->quantization.scales = scale;
}

static void set_zero(struct bed *bed, uint32_t index, int32_t zero)
{
    *(int32_t *)(uintptr_t)tensor(bed, index)->quantization.zero_points = zero;
}

/* The server's answer into `expected`. */
static void run(struct bed *bed, const struct ig_network_layer *layer)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = IG_ISA_SCALAR};
    bool two = tensor(bed, bed->second)->data == NULL && bed->second != bed->input;
    uint32_t inputs[2] = {bed->input, bed->second};
    assert_int_not_equal(ig_network_add_layer(bed->network, layer), IG_NETWORK_NONE);
    assert_true(ig_network_set_inputs(bed->network, inputs, two ? 2 : 1));
    assert_true(ig_network_set_outputs(bed->network, &bed->output, 1));
    if (ig_network_check(bed->network, &err) != IG_OK) fail_msg("%s", err.message);
    if (ig_nn_new(&nn, bed->network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    void *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn));
    ig_nn_run(nn, (const void *[]){bed->in, bed->other}, (void *[]){bed->expected}, scratch);
    ig_free(scratch);
    ig_nn_free(nn);
}

static void same(struct bed *bed, const char *what)
{
    size_t count = ig_network_tensor_count(tensor(bed, bed->output));
    for (size_t i = 0; i < count; i++)
        if (bed->got[i] != bed->expected[i])
            fail_msg("%s, rounding %d: byte %zu of %zu is %d, expected %d", what,
                     bed->network->rounding, i, count, bed->got[i], bed->expected[i]);
    ig_network_free(bed->network);
}

static struct ige_nn_multiplier multiplier(double real)
{
    struct nn_multiplier m = nn_multiplier_of(real);
    return (struct ige_nn_multiplier){m.fraction, m.fraction ? m.shift : -2};
}

static void clamp_of(const struct bed *bed, enum ig_network_activation activation, int8_t *least,
                     int8_t *most)
{
    const struct ig_network_quantization *q = &tensor(bed, bed->output)->quantization;
    double high = activation == IG_NETWORK_ACTIVATION_RELU6 ? 6 : 1;
    double low = activation == IG_NETWORK_ACTIVATION_RELU_N1_TO_1 ? -1 : 0;
    double zero = q->zero_points[0];
    *least = INT8_MIN;
    *most = INT8_MAX;
    if (activation == IG_NETWORK_ACTIVATION_NONE) return;
    *least = (int8_t)fmax(*least, fmin(round(low / (double)q->scales[0]) + zero, 127));
    if (activation == IG_NETWORK_ACTIVATION_RELU) return;
    *most = (int8_t)fmax(-128, fmin(round(high / (double)q->scales[0]) + zero, *most));
}

/* Weights of an int8 layer: scales, biases and multipliers, some of them strange. */
static struct ige_nn_finish weigh(struct bed *bed, uint32_t channels, uint32_t depth, bool one,
                                  uint32_t dimension)
{
    bool depthwise = dimension == 3;
    struct ige_nn_finish finish = {bed->biases, bed->fractions, bed->shifts, !one, 0, 0, 0, 0, 0};
    float in = tensor(bed, bed->input)->quantization.scales[0];
    int32_t strange = below(bed, 8);
    float weight = scale_of(bed);
    double most = 1;
    int64_t sums[CHANNELS_MAX];
    for (uint32_t c = 0; c < channels; c++) {
        bed->zeros[c] = 0;
        bed->scales[c] = weight * (float)(1 + ig_rng_unit(&bed->random));
        if (strange == 0 && below(bed, 4) == 0) bed->scales[c] = 1e-12F; /* a dead channel */
        bed->biases[c] = between(bed, -20000, 20000);
        if (strange == 1) bed->biases[c] = (int32_t)ig_rng_u64(&bed->random);
        sums[c] = llabs(bed->biases[c]);
        for (uint32_t i = 0; i < depth; i++)
            sums[c] += 255 * abs(bed->other[depthwise ? i * channels + c : c * depth + i]);
        most = fmax(most, (double)sums[c]);
    }
    finish.sum_bits = (uint8_t)(ilogb(most) + 1);
    float out = in * weight * (float)(70 * 70 * sqrt(depth) / 64 * exp(ig_rng_unit(&bed->random)));
    if (strange == 2) out = in * weight * (float)exp(4 - 8 * ig_rng_unit(&bed->random));
    set_scale(bed, bed->output, out);
    struct ig_network_tensor *weights = &bed->network->tensors[bed->second];
    weights->quantization =
        (struct ig_network_quantization){bed->scales, bed->zeros, one ? 1 : channels, 0};
    weights->quantization.dimension = one ? 0 : dimension;
    for (uint32_t c = 0; c < (one ? 1 : channels); c++) {
        double real = (double)in * (double)bed->scales[c] / (double)out;
        if (one && weights->rank == 2) real = (double)(in * bed->scales[0]) / (double)out;
        struct ige_nn_multiplier m = multiplier(real);
        bed->fractions[c] = m.fraction;
        bed->shifts[c] = (int8_t)m.shift;
    }
    bed->network->tensors[bed->bias].quantization.count = 0;
    finish.rounding = (uint8_t)bed->network->rounding;
    finish.zero = (int8_t)tensor(bed, bed->output)->quantization.zero_points[0];
    return finish;
}

static void run_conv(struct bed *bed, const struct ige_nn_conv *made, bool depthwise, bool over)
{
    struct ige_nn_conv conv = *made;
    size_t in_bytes = ig_network_tensor_bytes(tensor(bed, bed->input));
    size_t out_bytes = ig_network_tensor_bytes(tensor(bed, bed->output));
    size_t scratch_bytes = (size_t)ige_nn_conv_scratch_bytes(&conv);
    /* To the byte, so that the sanitizer sees what is read or written around. */
    int8_t *weights = ig_alloc(ig_network_tensor_bytes(tensor(bed, bed->second)));
    int8_t *memory = ig_alloc(over && out_bytes > in_bytes ? out_bytes : in_bytes);
    int8_t *out = over ? memory : ig_alloc(out_bytes);
    int8_t *in = over && out_bytes > in_bytes ? memory + out_bytes - in_bytes : memory;
    memcpy(weights, bed->other, ig_network_tensor_bytes(tensor(bed, bed->second)));
    memcpy(in, bed->in, in_bytes);
    conv.scratch = depthwise ? NULL : ig_alloc(scratch_bytes);
    conv.input = in;
    conv.weights = weights;
    conv.output = out;
    if (depthwise)
        ige_nn_depthwise(&conv);
    else
        ige_nn_conv(&conv);
    memcpy(bed->got, out, out_bytes);
    ig_free(conv.scratch);
    ig_free(weights);
    ig_free(memory);
    if (!over) ig_free(out);
}

static void convolve(struct bed *bed, bool depthwise)
{
    begin(bed);
    uint32_t fh = (uint32_t)between(bed, 1, 4), fw = (uint32_t)between(bed, 1, 4);
    uint32_t in_c = (uint32_t)between(bed, 1, 20), each = (uint32_t)between(bed, 1, 3);
    bool point = below(bed, 3) == 0;
    if (point) fh = fw = 1;
    if (depthwise && below(bed, 2)) each = 1;
    uint32_t out_c = depthwise ? in_c * each : (uint32_t)between(bed, 1, 20);
    struct ig_network_window w = {
        (enum ig_network_padding)below(bed, 2), 1, 1, (uint32_t)between(bed, 1, 3), 1, 0, 0};
    w.dilation_w = (uint32_t)between(bed, 1, 2);
    w.stride_h = point ? 1 : (uint32_t)between(bed, 1, 3);
    w.stride_w = point ? 1 : (uint32_t)between(bed, 1, 3);
    uint32_t in[4] = {(uint32_t)between(bed, 1, 2), (uint32_t)between(bed, 1, 9),
                      (uint32_t)between(bed, 1, 9), in_c};
    if (w.padding == IG_NETWORK_PADDING_VALID) {
        in[1] += (fh - 1) * w.dilation_h;
        in[2] += (fw - 1) * w.dilation_w;
    }
    uint32_t filter[4] = {depthwise ? 1 : out_c, fh, fw, depthwise ? out_c : in_c}, rank;
    uint32_t out[IG_NETWORK_RANK_MAX];
    bed->input = add(bed, IG_NETWORK_I8, in, 4, NULL);
    bed->second = add(bed, IG_NETWORK_I8, filter, 4, bed->other);
    bed->bias = add(bed, IG_NETWORK_I32, &out_c, 1, bed->biases);
    uint32_t inputs[3] = {bed->input, bed->second, bed->bias};
    struct ig_network_layer layer = {.op = depthwise ? IG_NETWORK_DEPTHWISE_CONV_2D
                                                     : IG_NETWORK_CONV_2D,
                                     .inputs = inputs,
                                     .inputs_count = 3,
                                     .window = w,
                                     .activation = (enum ig_network_activation)below(bed, 4)};
    struct ig_err err = IG_ERR_INIT;
    fill(bed, bed->other, ig_network_tensor_count(tensor(bed, bed->second)), -127);
    fill(bed, bed->in, ig_network_tensor_count(tensor(bed, bed->input)), -128);
    /* Types and scales are right once the layer is whole: only the shape counts here. */
    if (ig_network_infer(bed->network, &layer, out, &rank, &err) != IG_OK)
        fail_msg("%s", err.message);
    bed->output = layer.output = add(bed, IG_NETWORK_I8, out, 4, NULL);
    if (below(bed, 2)) set_zero(bed, bed->output, -128);
    struct ige_nn_conv conv = {.images = (int32_t)in[0],
                               .in_h = (int32_t)in[1],
                               .in_w = (int32_t)in[2],
                               .in_c = (int32_t)in_c,
                               .out_h = (int32_t)out[1],
                               .out_w = (int32_t)out[2],
                               .out_c = (int32_t)out_c};
    conv.finish =
        weigh(bed, out_c, fh * fw * (depthwise ? 1 : in_c), below(bed, 4) == 0, depthwise ? 3 : 0);
    clamp_of(bed, layer.activation, &conv.finish.least, &conv.finish.most);
    conv.input_zero = (int8_t)tensor(bed, bed->input)->quantization.zero_points[0];
    uint32_t pad_h = ig_network_pad_before(w.padding, in[1], fh, w.stride_h, w.dilation_h);
    uint32_t pad_w = ig_network_pad_before(w.padding, in[2], fw, w.stride_w, w.dilation_w);
    conv.window = (struct ige_nn_window){
        (int32_t)fh,           (int32_t)fw,           (int32_t)w.stride_h, (int32_t)w.stride_w,
        (int32_t)w.dilation_h, (int32_t)w.dilation_w, (int32_t)pad_h,      (int32_t)pad_w};
    run(bed, &layer);
    run_conv(bed, &conv, depthwise, point && !depthwise);
    same(bed, depthwise ? "depthwise" : "convolution");
}

static void connect(struct bed *bed)
{
    begin(bed);
    uint32_t rows = (uint32_t)between(bed, 1, 3), depth = (uint32_t)between(bed, 1, 90);
    uint32_t channels = (uint32_t)between(bed, 1, 21);
    bed->input = add(bed, IG_NETWORK_I8, (uint32_t[]){rows, depth}, 2, NULL);
    bed->second = add(bed, IG_NETWORK_I8, (uint32_t[]){channels, depth}, 2, bed->other);
    bed->bias = add(bed, IG_NETWORK_I32, &channels, 1, bed->biases);
    bed->output = add(bed, IG_NETWORK_I8, (uint32_t[]){rows, channels}, 2, NULL);
    uint32_t inputs[3] = {bed->input, bed->second, bed->bias};
    struct ig_network_layer layer = {.op = IG_NETWORK_FULLY_CONNECTED,
                                     .inputs = inputs,
                                     .inputs_count = 3,
                                     .output = bed->output,
                                     .activation = (enum ig_network_activation)below(bed, 4)};
    fill(bed, bed->other, (size_t)channels * depth, -127);
    fill(bed, bed->in, (size_t)rows * depth, -128);
    struct ige_nn_fully_connected made = {.rows = (int32_t)rows,
                                          .depth = (int32_t)depth,
                                          .channels = (int32_t)channels,
                                          .output = bed->got};
    made.finish = weigh(bed, channels, depth, below(bed, 2) == 0, 0);
    clamp_of(bed, layer.activation, &made.finish.least, &made.finish.most);
    int32_t zero = tensor(bed, bed->input)->quantization.zero_points[0];
    static int32_t folded[CHANNELS_MAX];
    for (uint32_t c = 0; c < channels; c++) {
        folded[c] = bed->biases[c];
        for (uint32_t i = 0; i < depth; i++)
            folded[c] = ige_nn_sum(folded[c], -zero * bed->other[c * depth + i]);
    }
    made.finish.bias = folded;
    int8_t *weights = ig_alloc((size_t)channels * depth), *in = ig_alloc((size_t)rows * depth);
    memcpy(weights, bed->other, (size_t)channels * depth);
    memcpy(in, bed->in, (size_t)rows * depth);
    made.weights = weights;
    made.input = in;
    run(bed, &layer);
    ige_nn_fully_connected(&made);
    ig_free(weights);
    ig_free(in);
    same(bed, "fully connected");
}

static void share_quantization(struct bed *bed)
{
    set_scale(bed, bed->output, tensor(bed, bed->input)->quantization.scales[0]);
    set_zero(bed, bed->output, tensor(bed, bed->input)->quantization.zero_points[0]);
}

static void pool(struct bed *bed)
{
    begin(bed);
    bool average = below(bed, 2);
    struct ig_network_window w = {.padding = (enum ig_network_padding)below(bed, 2),
                                  .stride_h = (uint32_t)between(bed, 1, 3),
                                  .stride_w = (uint32_t)between(bed, 1, 3),
                                  .filter_h = (uint32_t)between(bed, 1, 5),
                                  .filter_w = (uint32_t)between(bed, 1, 5)};
    uint32_t in[4] = {(uint32_t)between(bed, 1, 2), w.filter_h + (uint32_t)below(bed, 6),
                      w.filter_w + (uint32_t)below(bed, 6), (uint32_t)between(bed, 1, 9)};
    uint32_t out[IG_NETWORK_RANK_MAX], rank;
    bed->input = bed->second = add(bed, IG_NETWORK_I8, in, 4, NULL);
    struct ig_network_layer layer = {.op = average ? IG_NETWORK_AVERAGE_POOL_2D
                                                   : IG_NETWORK_MAX_POOL_2D,
                                     .inputs = &bed->input,
                                     .inputs_count = 1,
                                     .window = w,
                                     .activation = (enum ig_network_activation)below(bed, 4)};
    struct ig_err err = IG_ERR_INIT;
    if (ig_network_infer(bed->network, &layer, out, &rank, &err)) fail_msg("%s", err.message);
    bed->output = layer.output = add(bed, IG_NETWORK_I8, out, 4, NULL);
    share_quantization(bed);
    fill(bed, bed->in, ig_network_tensor_count(tensor(bed, bed->input)), -128);
    struct ige_nn_pool made = {
        .input = bed->in,
        .output = bed->got,
        .images = (int32_t)in[0],
        .in_h = (int32_t)in[1],
        .in_w = (int32_t)in[2],
        .channels = (int32_t)in[3],
        .out_h = (int32_t)out[1],
        .out_w = (int32_t)out[2],
        .window = {
            .filter_h = (int32_t)w.filter_h,
            .filter_w = (int32_t)w.filter_w,
            .stride_h = (int32_t)w.stride_h,
            .stride_w = (int32_t)w.stride_w,
            .pad_h = (int32_t)ig_network_pad_before(w.padding, in[1], w.filter_h, w.stride_h, 1),
            .pad_w = (int32_t)ig_network_pad_before(w.padding, in[2], w.filter_w, w.stride_w, 1)}};
    clamp_of(bed, layer.activation, &made.least, &made.most);
    run(bed, &layer);
    if (average)
        ige_nn_average_pool(&made);
    else
        ige_nn_max_pool(&made);
    same(bed, average ? "average pool" : "max pool");
}

/* The division by the cells goes into the multiplier. */
static struct ige_nn_multiplier mean_multiplier(double real, int32_t cells)
{
    struct nn_multiplier m = nn_multiplier_of(real);
    int32_t shift = ilogb(cells);
    if (shift > 31 + m.shift) shift = 31 + m.shift;
    m.fraction = (int32_t)(((int64_t)m.fraction << shift) / cells);
    return (struct ige_nn_multiplier){m.fraction, m.shift - shift};
}

static void average(struct bed *bed)
{
    begin(bed);
    uint32_t dims[4] = {(uint32_t)between(bed, 1, 2), (uint32_t)between(bed, 1, 9),
                        (uint32_t)between(bed, 1, 9), (uint32_t)between(bed, 1, 9)};
    bed->input = bed->second = add(bed, IG_NETWORK_I8, dims, 4, NULL);
    bed->output = add(bed, IG_NETWORK_I8, (uint32_t[]){dims[0], dims[3]}, 2, NULL);
    struct ig_network_layer layer = {.op = IG_NETWORK_MEAN,
                                     .inputs = &bed->input,
                                     .inputs_count = 1,
                                     .output = bed->output,
                                     .axes = 6};
    fill(bed, bed->in, ig_network_tensor_count(tensor(bed, bed->input)), -128);
    const struct ig_network_quantization *in = &tensor(bed, bed->input)->quantization;
    const struct ig_network_quantization *out = &tensor(bed, bed->output)->quantization;
    struct ige_nn_mean made = {.input = bed->in,
                               .output = bed->got,
                               .outer = (int32_t)dims[0],
                               .cells = (int32_t)(dims[1] * dims[2]),
                               .inner = (int32_t)dims[3],
                               .input_zero = (int8_t)in->zero_points[0],
                               .zero = (int8_t)out->zero_points[0],
                               .rounding = (uint8_t)bed->network->rounding};
    made.multiplier = mean_multiplier((double)in->scales[0] / (double)out->scales[0], made.cells);
    run(bed, &layer);
    ige_nn_mean(&made);
    same(bed, "mean");
}

static void calculate(struct bed *bed)
{
    begin(bed);
    uint32_t channels = (uint32_t)between(bed, 1, 40), rows = (uint32_t)between(bed, 1, 30);
    bool wide = below(bed, 2), first = below(bed, 2);
    uint32_t whole[2] = {rows, channels}, part[2] = {wide ? rows : 1, below(bed, 2) ? channels : 1};
    if (wide) part[1] = channels;
    bed->input = add(bed, IG_NETWORK_I8, first ? whole : part, 2, NULL);
    bed->second = add(bed, IG_NETWORK_I8, first ? part : whole, 2, NULL);
    bed->output = add(bed, IG_NETWORK_I8, whole, 2, NULL);
    uint32_t inputs[2] = {bed->input, bed->second};
    int32_t op = below(bed, 3);
    struct ig_network_layer layer = {.op = op == 0   ? IG_NETWORK_ADD
                                           : op == 1 ? IG_NETWORK_SUB
                                                     : IG_NETWORK_MUL,
                                     .inputs = inputs,
                                     .inputs_count = 2,
                                     .output = bed->output,
                                     .activation = (enum ig_network_activation)below(bed, 4)};
    const struct ig_network_quantization *a = &tensor(bed, bed->input)->quantization;
    const struct ig_network_quantization *b = &tensor(bed, bed->second)->quantization;
    const struct ig_network_quantization *out = &tensor(bed, bed->output)->quantization;
    size_t a_count = ig_network_tensor_count(tensor(bed, bed->input));
    size_t b_count = ig_network_tensor_count(tensor(bed, bed->second));
    fill(bed, bed->in, a_count, -128);
    fill(bed, bed->other, b_count, -128);
    double twice = 2 * fmax((double)a->scales[0], (double)b->scales[0]);
    struct ige_nn_arithmetic made = {.a = bed->in,
                                     .b = bed->other,
                                     .output = bed->got,
                                     .count = (int32_t)(rows * channels),
                                     .a_count = (int32_t)a_count,
                                     .b_count = (int32_t)b_count,
                                     .operation = (uint8_t)op,
                                     .rounding = (uint8_t)bed->network->rounding,
                                     .a_zero = (int8_t)a->zero_points[0],
                                     .b_zero = (int8_t)b->zero_points[0],
                                     .zero = (int8_t)out->zero_points[0]};
    made.a_multiplier = multiplier((double)a->scales[0] / twice);
    made.b_multiplier = multiplier((double)b->scales[0] / twice);
    made.multiplier = multiplier(twice / ((1 << 20) * (double)out->scales[0]));
    if (op == 2 && made.rounding == IGE_NN_SINGLE)
        made.multiplier = multiplier((double)(a->scales[0] * b->scales[0] / out->scales[0]));
    else if (op == 2)
        made.multiplier =
            multiplier((double)a->scales[0] * (double)b->scales[0] / (double)out->scales[0]);
    clamp_of(bed, layer.activation, &made.least, &made.most);
    run(bed, &layer);
    if (first) { /* over the input that is whole */
        memcpy(bed->got, bed->in, a_count);
        made.a = bed->got;
    }
    ige_nn_arithmetic(&made);
    same(bed, "arithmetic");
}

static void soften(struct bed *bed)
{
    begin(bed);
    bool halves = below(bed, 8) == 0; /* equal numbers, each half a 256th: between two bytes */
    uint32_t dims[2] = {(uint32_t)between(bed, 1, 3), halves ? 512 : (uint32_t)between(bed, 1, 40)};
    bed->input = bed->second = add(bed, IG_NETWORK_I8, dims, 2, NULL);
    bed->output = add(bed, IG_NETWORK_I8, dims, 2, NULL);
    set_scale(bed, bed->output, 1 / 256.0F);
    set_zero(bed, bed->output, -128);
    if (below(bed, 4)) set_scale(bed, bed->input, (float)exp(5 - 12 * ig_rng_unit(&bed->random)));
    struct ig_network_layer layer = {.op = IG_NETWORK_SOFTMAX,
                                     .inputs = &bed->input,
                                     .inputs_count = 1,
                                     .output = bed->output,
                                     .beta = below(bed, 2) ? 1 : (float)between(bed, 1, 30) / 10};
    fill(bed, bed->in, ig_network_tensor_count(tensor(bed, bed->input)), -128);
    float scale = tensor(bed, bed->input)->quantization.scales[0], step = scale * layer.beta;
    struct ige_nn_softmax made = {.input = bed->got,
                                  .output = bed->got,
                                  .rows = (int32_t)dims[0],
                                  .width = (int32_t)dims[1],
                                  .rounding = (uint8_t)bed->network->rounding};
    memcpy(&made.step, &step, sizeof step);
    double real = (double)layer.beta * (double)scale * (1 << 26);
    made.multiplier = multiplier(fmin(real, 0x1p31 - 1));
    made.radius = nn_input_radius(5, made.multiplier.shift);
    run(bed, &layer);
    memcpy(bed->got, bed->in, ig_network_tensor_count(tensor(bed, bed->input)));
    ige_nn_softmax(&made);
    same(bed, "softmax");
}

static void pad(struct bed *bed)
{
    begin(bed);
    uint32_t rank = (uint32_t)between(bed, 1, 4), in[4], out[4];
    struct ig_network_layer layer = {
        .op = IG_NETWORK_PAD, .inputs = &bed->input, .inputs_count = 1};
    struct ige_nn_pad made = {.input = bed->in, .output = bed->got, .rank = (int32_t)rank};
    for (uint32_t d = 0; d < rank; d++) {
        in[d] = (uint32_t)(made.dims[d] = between(bed, 1, 5));
        layer.pads[d][0] = (uint32_t)(made.before[d] = below(bed, 3));
        layer.pads[d][1] = (uint32_t)(made.after[d] = below(bed, 3));
        out[d] = in[d] + layer.pads[d][0] + layer.pads[d][1];
    }
    bed->input = bed->second = add(bed, IG_NETWORK_I8, in, rank, NULL);
    bed->output = layer.output = add(bed, IG_NETWORK_I8, out, rank, NULL);
    share_quantization(bed);
    made.zero = (int8_t)tensor(bed, bed->output)->quantization.zero_points[0];
    fill(bed, bed->in, ig_network_tensor_count(tensor(bed, bed->input)), -128);
    run(bed, &layer);
    ige_nn_pad(&made);
    same(bed, "pad");
}

static void concatenate(struct bed *bed)
{
    begin(bed);
    uint32_t outer = (uint32_t)between(bed, 1, 4), inner = (uint32_t)between(bed, 1, 6);
    uint32_t a = (uint32_t)between(bed, 1, 5), b = (uint32_t)between(bed, 1, 5);
    bed->input = add(bed, IG_NETWORK_I8, (uint32_t[]){outer, a, inner}, 3, NULL);
    bed->second = add(bed, IG_NETWORK_I8, (uint32_t[]){outer, b, inner}, 3, NULL);
    bed->output = add(bed, IG_NETWORK_I8, (uint32_t[]){outer, a + b, inner}, 3, NULL);
    share_quantization(bed);
    set_scale(bed, bed->second, tensor(bed, bed->input)->quantization.scales[0]);
    set_zero(bed, bed->second, tensor(bed, bed->input)->quantization.zero_points[0]);
    uint32_t inputs[2] = {bed->input, bed->second};
    struct ig_network_layer layer = {.op = IG_NETWORK_CONCATENATION,
                                     .inputs = inputs,
                                     .inputs_count = 2,
                                     .output = bed->output,
                                     .axis = 1};
    fill(bed, bed->in, (size_t)outer * a * inner, -128);
    fill(bed, bed->other, (size_t)outer * b * inner, -128);
    run(bed, &layer);
    struct ige_nn_lines lines = {.input = bed->in,
                                 .output = bed->got,
                                 .lines = (int32_t)outer,
                                 .bytes = (int32_t)(a * inner),
                                 .stride = (int32_t)((a + b) * inner)};
    ige_nn_lines(&lines);
    lines.input = bed->other;
    lines.at = lines.bytes;
    lines.bytes = (int32_t)(b * inner);
    ige_nn_lines(&lines);
    same(bed, "concatenation");
}

static void repeat(void (*what)(struct bed *), int times, uint64_t seed)
{
    struct bed *bed = ig_alloc(sizeof *bed);
    if (getenv("INGOT_LONG")) times *= 50;
    ig_rng_seed(&bed->random, seed);
    for (int i = 0; i < times; i++) what(bed);
    ig_free(bed);
}

static void convolve_full(struct bed *bed)
{
    convolve(bed, false);
}

static void convolve_depthwise(struct bed *bed)
{
    convolve(bed, true);
}

static void convolutions(void **state)
{
    (void)state;
    repeat(convolve_full, 400, 1);
    repeat(convolve_depthwise, 400, 2);
}

static void connections(void **state)
{
    (void)state;
    repeat(connect, 1000, 3);
}

static void pools_and_means(void **state)
{
    (void)state;
    repeat(pool, 500, 4);
    repeat(average, 500, 5);
}

static void elements(void **state)
{
    (void)state;
    repeat(calculate, 600, 6);
    repeat(soften, 1000, 7);
}

static void movements(void **state)
{
    (void)state;
    repeat(pad, 200, 8);
    repeat(concatenate, 200, 9);
}

static void tables_and_reals(void **state)
{
    (void)state;
    static int8_t table[256], bytes[256], got[256];
    static float reals[256];
    for (int i = 0; i < 256; i++) {
        table[i] = (int8_t)(i * 7);
        bytes[i] = (int8_t)(i - 128);
    }
    ige_nn_table(&(struct ige_nn_table){bytes, got, table, 256});
    assert_memory_equal(got, table, 256);
    ige_nn_dequantize(reals, bytes, 256, 0.3F, 5);
    for (int i = 0; i < 256; i++) assert_true(reals[i] == 0.3F * (float)(bytes[i] - 5));
    struct ig_rng random;
    ig_rng_seed(&random, 10);
    for (int round = 0; round < 200; round++) {
        float scale = (float)exp(8 * ig_rng_unit(&random) - 4);
        int8_t zero = (int8_t)ig_rng_u64(&random);
        for (int i = 0; i < 256; i++) /* halves, what is beyond, and what is none */
            reals[i] =
                (float)((double)scale * (double)((int64_t)ig_rng_below(&random, 1200) - 600)) / 2;
        reals[0] = NAN, reals[1] = INFINITY, reals[2] = -INFINITY, reals[3] = -1e30F;
        ige_nn_quantize(got, reals, 256, scale, zero);
        for (int i = 0; i < 256; i++) assert_int_equal(got[i], nn_quantize(reals[i], scale, zero));
    }
}

/* As the processor's, of quotients of all sizes. */
static void quotients(void **state)
{
    (void)state;
    struct ig_rng random;
    ig_rng_seed(&random, 11);
    for (int i = 0; i < 300000; i++) {
        uint64_t bits = ig_rng_u64(&random);
        uint32_t near = i % 3 ? (uint32_t)(bits >> 32) : (uint32_t)bits ^ (uint32_t)(bits >> 55);
        float a = ige_nn_real_of((uint32_t)bits), b = ige_nn_real_of(near);
        float got = ige_nn_divide_reals_whole(a, b), expected = a / b;
        bool same = isnan(expected) ? isnan(got) : ige_nn_bits_of(got) == ige_nn_bits_of(expected);
        if (!same)
            fail_msg("%a / %a is %a, not %a", (double)a, (double)b, (double)expected, (double)got);
    }
}

/* Any number by any multiplier. */
static void scales(void **state)
{
    (void)state;
    struct ig_rng random;
    ig_rng_seed(&random, 11);
    for (int i = 0; i < 200000; i++) {
        struct nn_multiplier m = nn_multiplier_of(ldexp(ig_rng_unit(&random), 30 - i % 62));
        struct ige_nn_multiplier made = {m.fraction, m.shift};
        int32_t x = (int32_t)ig_rng_u64(&random) >> (i % 31);
        for (uint32_t rounding = 0; rounding < 2; rounding++) {
            int64_t expected = nn_scale(x, m, (enum ig_network_rounding)rounding);
            if (expected > 0x7fffff00) expected = 0x7fffff00;
            if (expected < -0x7fffff00) expected = -0x7fffff00;
            assert_int_equal(ige_nn_scale(x, made, rounding), expected);
        }
    }
}

/* Sums of up to `bits` bits in every way there is, as the server finishes them. */
static void finishes(void **state)
{
    (void)state;
    enum { CHANNELS = 7 };
    struct ig_rng random;
    ig_rng_seed(&random, 13);
    for (int round = 0; round < 20000; round++) {
        struct nn_multiplier multipliers[CHANNELS];
        uint32_t sums[CHANNELS], twice[2 * CHANNELS], fractions[CHANNELS];
        int32_t bias[CHANNELS], bits = round % 32, shift = (int32_t)ig_rng_below(&random, 34) - 31;
        int8_t shifts[CHANNELS], out[CHANNELS], first[CHANNELS], second[CHANNELS];
        struct ige_nn_finish made = {.bias = bias, .multipliers = fractions, .shifts = shifts};
        made.per_channel = 1;
        made.sum_bits = (uint8_t)bits;
        made.rounding = (uint8_t)(round / 32 & 1);
        made.zero = (int8_t)ig_rng_u64(&random);
        for (int c = 0; c < CHANNELS; c++) {
            fractions[c] = 0x40000000U | (uint32_t)ig_rng_u64(&random) >> 2;
            shifts[c] = (int8_t)(shift > -31 ? shift - (int32_t)ig_rng_below(&random, 2) : shift);
            multipliers[c] = (struct nn_multiplier){(int32_t)fractions[c], shifts[c]};
            int64_t bound = (INT64_C(1) << bits) - 1;
            bias[c] = (int32_t)((int64_t)ig_rng_below(&random, (uint64_t)bound + 1) - bound / 2);
            sums[c] = (uint32_t)((int64_t)ig_rng_below(&random, (uint64_t)bound + 1) - bound / 2);
        }
        struct nn_finish finish = {.bias = bias, .multipliers = multipliers, .zero = made.zero};
        finish.least = INT8_MIN;
        finish.most = INT8_MAX;
        finish.rounding = (enum ig_network_rounding)made.rounding;
        struct ige_nn_ready ready;
        ige_nn_prepare(&ready, &made, CHANNELS);
        ige_nn_bytes(out, sums, &ready, 0, CHANNELS);
        for (size_t c = 0; c < CHANNELS; c++) twice[2 * c] = twice[2 * c + 1] = sums[c];
        ige_nn_finish_portable((int8_t *const[]){first, second}, twice, &ready, 0, CHANNELS);
        for (size_t c = 0; c < CHANNELS; c++) {
            int8_t expected = nn_finish_one(&finish, (int32_t)sums[c], c);
            assert_true(out[c] == expected && first[c] == expected && second[c] == expected);
        }
    }
}

/* Probabilities that lie between two bytes by less than what floats round off. */
static void softmax_between_bytes(void **state)
{
    (void)state;
    static const struct {
        uint32_t step;
        int8_t in[4], expected[4];
    } ROWS[] = {
        {0x3c94cd0d, {20, -70, -92, 10}, {-9, -105, -113, -29}},
        {0x3cc80aa6, {4, -2, 33, -83}, {-64, -73, 2, -120}},
        {0x3ea07ae9, {-128, -118, -102, -114}, {-128, -126, 120, -122}},
    };
    for (size_t i = 0; i < sizeof ROWS / sizeof *ROWS; i++) {
        int8_t out[4];
        struct ige_nn_softmax softmax = {
            .input = ROWS[i].in, .output = out, .rows = 1, .width = 4, .step = ROWS[i].step};
        ige_nn_softmax(&softmax);
        assert_memory_equal(out, ROWS[i].expected, 4);
    }
}

static void forms_agree(void **state)
{
    (void)state;
    uint32_t random = 12;
    for (int32_t f = 1; f < IGE_NN_FORMS_COUNT; f++) {
        if (!ige_nn_form_runs(f)) continue;
        for (int i = 0; i < 20000; i++)
            if (!ige_nn_form_agrees(&ige_nn_forms[f], &random))
                fail_msg("%s differs in round %d", ige_nn_forms[f].name, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(convolutions),
        cmocka_unit_test(connections),
        cmocka_unit_test(pools_and_means),
        cmocka_unit_test(elements),
        cmocka_unit_test(movements),
        cmocka_unit_test(tables_and_reals),
        cmocka_unit_test(quotients),
        cmocka_unit_test(scales),
        cmocka_unit_test(forms_agree),
        cmocka_unit_test(finishes),
        cmocka_unit_test(softmax_between_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
