/* SPDX-License-Identifier: Apache-2.0 */
/* Runs the layers of a loaded network: makes of each layer's bytes what its kernel takes
 * (ingot_edge_nn.h). What was checked when the file was loaded is believed. Stateless. */
#include "ingot_edge_file.h"

#ifndef IGE_NO_NETWORKS
#include "ingot_edge_nn.h"

size_t ige_network_arena_bytes(const struct ige_model *model)
{
    return model->network.arena_bytes;
}

static float float_of(uint32_t bits)
{
    union {
        uint32_t u;
        float f;
    } pun;
    pun.u = bits;
    return pun.f;
}

static int8_t *data_of(const struct ige_interpreter *interpreter, const uint8_t *tensor)
{
    const struct ige_network *network = &interpreter->model->network;
    const uint8_t *base = interpreter->columns;
    if (tensor[0] & IGE_TENSOR_CONSTANT) base = network->constants;
    return (int8_t *)(uintptr_t)(base + ige_u32(tensor + 8));
}

struct ige_tensor ige_network_end(const struct ige_interpreter *interpreter, uint32_t index)
{
    const struct ige_network *network = &interpreter->model->network;
    const uint8_t *at = ige_tensor_at(network, ige_u16(network->ends + 2 * index));
    struct ige_tensor tensor = {IGE_FLOAT32, ige_count(at), 0, (int8_t)at[2], 0, {NULL}};
    tensor.data.i8 = data_of(interpreter, at);
    if (at[0] & IGE_TENSOR_I8) {
        tensor.type = IGE_INT8;
        tensor.scale = float_of(ige_u32(at + 4));
    }
    return tensor;
}

int32_t ige_network_class(const struct ige_interpreter *interpreter)
{
    const struct ige_tensor *out = &interpreter->output;
    const struct ige_network *network = &interpreter->model->network;
    uint32_t best = 0;
    if (out->type == IGE_INT8) {
        if (out->count == 1) return out->data.i8[0] > network->threshold;
        for (uint32_t i = 1; i < out->count; i++)
            if (out->data.i8[i] > out->data.i8[best]) best = i;
        return (int32_t)best;
    }
    if (!IGE_HAS_FLOAT) return 0;
    if (out->count == 1) return out->data.f32[0] > (network->flags & IGE_PROBABILITY ? 0.5F : 0.0F);
    for (uint32_t i = 1; i < out->count; i++)
        if (out->data.f32[i] > out->data.f32[best]) best = i;
    return (int32_t)best;
}

/* A layer that runs. */
struct step {
    const struct ige_interpreter *interpreter;
    const struct ige_network *network;
    const uint8_t *numbers, *in, *out; /* in, out: the tensors */
    const int8_t *input;
    int8_t *output;
    uint8_t op, inputs, rounding;
    const uint8_t *tensors;
};

static struct ige_nn_multiplier multiplier_of(const uint8_t *at)
{
    struct ige_nn_multiplier multiplier = {(int32_t)ige_u32(at), (int8_t)at[4]};
    return multiplier;
}

/* Gives where the weights begin. */
static const int8_t *set_finish(struct ige_nn_finish *finish, const struct step *step,
                                uint32_t channels)
{
    const uint8_t *numbers = step->numbers;
    const uint8_t *constants = step->network->constants + ige_u32(numbers + 4);
    uint32_t count = numbers[0] & IGE_PER_CHANNEL ? channels : 1;
    finish->bias = constants;
    finish->multipliers = constants + 4 * channels;
    finish->shifts = (const int8_t *)constants + 4 * channels + 4 * count;
    finish->per_channel = numbers[0] & IGE_PER_CHANNEL;
    finish->least = (int8_t)numbers[1];
    finish->most = (int8_t)numbers[2];
    finish->sum_bits = numbers[3];
    finish->rounding = step->rounding;
    finish->zero = (int8_t)step->out[2];
    return finish->shifts + count;
}

static void set_window(struct ige_nn_window *window, const struct step *step, const uint8_t *at)
{
    uint32_t valid = step->numbers[0] & IGE_VALID;
    struct ige_side rows = ige_side(step->in, step->out, at, 0);
    struct ige_side columns = ige_side(step->in, step->out, at, 1);
    window->filter_h = (int32_t)rows.filter;
    window->filter_w = (int32_t)columns.filter;
    window->stride_h = (int32_t)rows.stride;
    window->stride_w = (int32_t)columns.stride;
    window->dilation_h = (int32_t)rows.dilation;
    window->dilation_w = (int32_t)columns.dilation;
    window->pad_h = (int32_t)ige_pad_before(&rows, valid);
    window->pad_w = (int32_t)ige_pad_before(&columns, valid);
}

static int32_t dim(const uint8_t *tensor, uint32_t index)
{
    return (int32_t)ige_dim(tensor, index);
}

static void run_conv(const struct step *step)
{
    struct ige_nn_conv conv;
    uint8_t *arena = step->interpreter->columns;
    conv.input = step->input;
    conv.output = step->output;
    conv.images = dim(step->in, 0);
    conv.in_h = dim(step->in, 1);
    conv.in_w = dim(step->in, 2);
    conv.in_c = dim(step->in, 3);
    conv.out_h = dim(step->out, 1);
    conv.out_w = dim(step->out, 2);
    conv.out_c = dim(step->out, 3);
    conv.input_zero = (int8_t)step->in[2];
    conv.weights = set_finish(&conv.finish, step, ige_dim(step->out, 3));
    set_window(&conv.window, step, step->numbers + 8);
    if (IGE_HAS(IGE_OP_CONV_2D) && step->op == IGE_OP_CONV_2D) {
        conv.scratch = arena + ige_u32(step->numbers + 16);
        ige_nn_conv(&conv);
    } else if (IGE_HAS(IGE_OP_DEPTHWISE_CONV_2D)) {
        conv.scratch = NULL;
        ige_nn_depthwise(&conv);
    }
}

static void run_connected(const struct step *step)
{
    struct ige_nn_fully_connected layer;
    uint32_t channels = ige_last_dim(step->out), rows = ige_count(step->out) / channels;
    layer.input = step->input;
    layer.output = step->output;
    layer.rows = (int32_t)rows;
    layer.depth = (int32_t)(ige_count(step->in) / rows);
    layer.channels = (int32_t)channels;
    layer.weights = set_finish(&layer.finish, step, channels);
    ige_nn_fully_connected(&layer);
}

static void run_pool(const struct step *step)
{
    struct ige_nn_pool pool;
    pool.input = step->input;
    pool.output = step->output;
    pool.images = dim(step->in, 0);
    pool.in_h = dim(step->in, 1);
    pool.in_w = dim(step->in, 2);
    pool.channels = dim(step->in, 3);
    pool.out_h = dim(step->out, 1);
    pool.out_w = dim(step->out, 2);
    pool.least = (int8_t)step->numbers[1];
    pool.most = (int8_t)step->numbers[2];
    set_window(&pool.window, step, step->numbers + 3);
    if (IGE_HAS(IGE_OP_MAX_POOL_2D) && step->op == IGE_OP_MAX_POOL_2D)
        ige_nn_max_pool(&pool);
    else if (IGE_HAS(IGE_OP_AVERAGE_POOL_2D))
        ige_nn_average_pool(&pool);
}

static void run_pad(const struct step *step)
{
    struct ige_nn_pad pad;
    pad.input = step->input;
    pad.output = step->output;
    pad.rank = 4;
    pad.zero = (int8_t)step->out[2];
    for (uint32_t d = 0; d < 4; d++) {
        pad.dims[d] = dim(step->in, d);
        pad.before[d] = (int32_t)ige_u16(step->numbers + 4 * d);
        pad.after[d] = (int32_t)ige_u16(step->numbers + 4 * d + 2);
    }
    ige_nn_pad(&pad);
}

static void run_arithmetic(const struct step *step)
{
    struct ige_nn_arithmetic layer;
    const uint8_t *b = ige_tensor_at(step->network, ige_u16(step->tensors + 4));
    layer.a = step->input;
    layer.b = data_of(step->interpreter, b);
    layer.output = step->output;
    layer.count = (int32_t)ige_count(step->out);
    layer.a_count = (int32_t)ige_count(step->in);
    layer.b_count = (int32_t)ige_count(b);
    layer.operation = (uint8_t)(step->op - IGE_OP_ADD);
    layer.rounding = step->rounding;
    layer.a_zero = (int8_t)step->in[2];
    layer.b_zero = (int8_t)b[2];
    layer.zero = (int8_t)step->out[2];
    layer.least = (int8_t)step->numbers[0];
    layer.most = (int8_t)step->numbers[1];
    layer.a_multiplier = multiplier_of(step->numbers + 2);
    layer.b_multiplier = multiplier_of(step->numbers + 7);
    layer.multiplier = multiplier_of(step->numbers + 12);
    ige_nn_arithmetic(&layer);
}

static void run_concatenation(const struct step *step)
{
    uint32_t axis = step->numbers[0], inner = 1;
    struct ige_nn_lines lines;
    for (uint32_t d = axis + 1; d < 4; d++) inner *= ige_dim(step->out, d);
    lines.output = step->output;
    lines.stride = (int32_t)(inner * ige_dim(step->out, axis));
    lines.lines = (int32_t)ige_count(step->out) / lines.stride;
    lines.at = 0;
    for (uint32_t i = 1; i <= step->inputs; i++) {
        const uint8_t *in = ige_tensor_at(step->network, ige_u16(step->tensors + 2 * i));
        lines.input = data_of(step->interpreter, in);
        lines.bytes = (int32_t)(inner * ige_dim(in, axis));
        ige_nn_lines(&lines);
        lines.at += lines.bytes;
    }
}

static void run_softmax(const struct step *step)
{
    struct ige_nn_softmax softmax;
    softmax.input = step->input;
    softmax.output = step->output;
    softmax.width = (int32_t)ige_last_dim(step->in);
    softmax.rows = (int32_t)ige_count(step->in) / softmax.width;
    softmax.rounding = step->rounding;
    softmax.step = ige_u32(step->numbers + 4);
    softmax.radius = (int32_t)softmax.step;
    softmax.multiplier = multiplier_of(step->numbers + 8);
    ige_nn_softmax(&softmax);
}

static void run_mean(const struct step *step)
{
    struct ige_nn_mean mean;
    struct ige_mean_shape shape;
    ige_mean_shape(&shape, step->in, step->numbers[1]);
    mean.input = step->input;
    mean.output = step->output;
    mean.outer = (int32_t)shape.outer;
    mean.cells = (int32_t)shape.cells;
    mean.inner = (int32_t)shape.inner;
    mean.input_zero = (int8_t)step->in[2];
    mean.zero = (int8_t)step->out[2];
    mean.rounding = step->rounding;
    mean.multiplier = multiplier_of(step->numbers + 2);
    ige_nn_mean(&mean);
}

static void run_table(const struct step *step)
{
    struct ige_nn_table table;
    table.input = step->input;
    table.output = step->output;
    table.table = (const int8_t *)step->network->constants + ige_u32(step->numbers);
    table.count = (int32_t)ige_count(step->in);
    ige_nn_table(&table);
}

#ifdef IGE_NO_FLOAT
static void run_real(const struct step *step)
{
    (void)step;
}
#else
/* QUANTIZE from floats, and DEQUANTIZE. */
static void run_real(const struct step *step)
{
    int32_t count = (int32_t)ige_count(step->in);
    if (IGE_HAS(IGE_OP_QUANTIZE) && step->op == IGE_OP_QUANTIZE)
        ige_nn_quantize(step->output, (const float *)(const void *)step->input, count,
                        float_of(ige_u32(step->out + 4)), (int8_t)step->out[2]);
    else if (IGE_HAS(IGE_OP_DEQUANTIZE))
        ige_nn_dequantize((float *)(void *)step->output, step->input, count,
                          float_of(ige_u32(step->in + 4)), (int8_t)step->in[2]);
}
#endif

static void run_step(const struct step *step)
{
    const uint32_t op = step->op;
    const uint32_t convs = IGE_BIT(IGE_OP_CONV_2D) | IGE_BIT(IGE_OP_DEPTHWISE_CONV_2D);
    const uint32_t pools = IGE_BIT(IGE_OP_AVERAGE_POOL_2D) | IGE_BIT(IGE_OP_MAX_POOL_2D);
    const uint32_t reals = IGE_BIT(IGE_OP_QUANTIZE) | IGE_BIT(IGE_OP_DEQUANTIZE);
    if (IGE_IS_ANY(op, convs))
        run_conv(step);
    else if (IGE_IS(op, IGE_OP_FULLY_CONNECTED))
        run_connected(step);
    else if (IGE_IS_ANY(op, pools))
        run_pool(step);
    else if (IGE_IS(op, IGE_OP_PAD))
        run_pad(step);
    else if (IGE_IS_ANY(op, IGE_OPS_ARITHMETIC))
        run_arithmetic(step);
    else if (IGE_IS(op, IGE_OP_CONCATENATION))
        run_concatenation(step);
    else if (IGE_IS(op, IGE_OP_SOFTMAX))
        run_softmax(step);
    else if (IGE_IS(op, IGE_OP_MEAN))
        run_mean(step);
    else if (IGE_IS_ANY(op, reals) && !(step->in[0] & step->out[0] & IGE_TENSOR_I8))
        run_real(step);
    else if (IGE_IS_ANY(op, IGE_OPS_TABLES))
        run_table(step);
}

void ige_network_invoke(struct ige_interpreter *interpreter)
{
    const struct ige_network *network = &interpreter->model->network;
    const uint8_t *at = network->layers, *end = at + network->layers_bytes;
    struct step step;
    step.interpreter = interpreter;
    step.network = network;
    step.rounding = network->flags & IGE_DOUBLE_ROUNDING;
    while (at < end) {
        struct ige_layer layer = ige_layer_at(at, (size_t)(end - at));
        step.op = layer.op;
        step.inputs = layer.inputs;
        step.numbers = layer.numbers;
        step.tensors = layer.tensors;
        step.out = ige_tensor_at(network, ige_u16(layer.tensors));
        step.in = ige_tensor_at(network, ige_u16(layer.tensors + 2));
        step.input = data_of(interpreter, step.in);
        step.output = data_of(interpreter, step.out);
        run_step(&step);
        at = layer.next;
    }
}
#endif
