/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of a TensorFlow Lite file with their options, as layers. What options leave out has the
 * schema's default; what a layer then must not have, ig_network_check refuses. */
#include "formats/tflite/tflite_priv.h"

struct operator_row {
    enum ig_network_op op;
    int32_t code, version_max;
    uint8_t options;
    uint32_t inputs; /* how many are tensors of the layer; 0: all */
};

/* What is read: builtin codes and the greatest versions whose meaning is known here. */
static const struct operator_row operator_rows[] = {
    {IG_NETWORK_ADD, 0, 5, OPTIONS_ADD, 0},
    {IG_NETWORK_AVERAGE_POOL_2D, 1, 3, OPTIONS_POOL, 0},
    {IG_NETWORK_CONCATENATION, 2, 4, OPTIONS_CONCATENATION, 0},
    {IG_NETWORK_CONV_2D, 3, 8, OPTIONS_CONV, 0},
    {IG_NETWORK_DEPTHWISE_CONV_2D, 4, 7, OPTIONS_DEPTHWISE, 0},
    {IG_NETWORK_DEQUANTIZE, 6, 6, OPTIONS_DEQUANTIZE, 0},
    {IG_NETWORK_FULLY_CONNECTED, 9, 13, OPTIONS_FULLY_CONNECTED, 0},
    {IG_NETWORK_LOGISTIC, 14, 3, OPTIONS_NONE, 0},
    {IG_NETWORK_MAX_POOL_2D, 17, 3, OPTIONS_POOL, 0},
    {IG_NETWORK_MUL, 18, 7, OPTIONS_MUL, 0},
    {IG_NETWORK_RELU, 19, 3, OPTIONS_NONE, 0},
    {IG_NETWORK_RELU_N1_TO_1, 20, 2, OPTIONS_NONE, 0},
    {IG_NETWORK_RELU6, 21, 3, OPTIONS_NONE, 0},
    {IG_NETWORK_RESHAPE, 22, 1, OPTIONS_RESHAPE, 1},
    {IG_NETWORK_SOFTMAX, 25, 3, OPTIONS_SOFTMAX, 0},
    {IG_NETWORK_TANH, 28, 3, OPTIONS_NONE, 0},
    {IG_NETWORK_PAD, 34, 4, OPTIONS_PAD, 1},
    {IG_NETWORK_MEAN, 40, 3, OPTIONS_REDUCER, 1},
    {IG_NETWORK_SUB, 41, 5, OPTIONS_SUB, 0},
    {IG_NETWORK_RESHAPE, 43 /* SQUEEZE */, 2, OPTIONS_SQUEEZE, 1},
    {IG_NETWORK_RESHAPE, 70 /* EXPAND_DIMS */, 1, OPTIONS_EXPAND_DIMS, 1},
    {IG_NETWORK_QUANTIZE, 114, 3, OPTIONS_QUANTIZE, 0},
};

/* What an operator is: its code, and its name where it is a custom one. */
struct operator_kind {
    int32_t code, version;
    struct ig_str custom;
};

/* Old files have the code in a byte, newer ones in an int as well: the greater counts. */
static bool read_kind(struct tflite_reader *reader, struct ig_flatbuffer_table table,
                      struct operator_kind *kind)
{
    struct ig_flatbuffer *buffer = &reader->buffer;
    uint32_t index = (uint32_t)ig_flatbuffer_i32(buffer, table, OPERATOR_CODE, 0);
    if (!tflite_ok(reader)) return false;
    if (index >= reader->codes.count) {
        (void)ig_fail(reader->err, IG_PARSE, "operator code %u of %u", index, reader->codes.count);
        return false;
    }
    struct ig_flatbuffer_table entry = ig_flatbuffer_table_at(buffer, reader->codes, index);
    int32_t old = ig_flatbuffer_u8(buffer, entry, CODE_DEPRECATED, 0);
    if (old > INT8_MAX) old -= 1 << 8; /* a signed byte */
    int32_t code = ig_flatbuffer_i32(buffer, entry, CODE_BUILTIN, 0);
    *kind = (struct operator_kind){code > old ? code : old,
                                   ig_flatbuffer_i32(buffer, entry, CODE_VERSION, 1),
                                   ig_flatbuffer_text(buffer, entry, CODE_CUSTOM)};
    return tflite_ok(reader);
}

struct ig_str tflite_operator_name(struct tflite_reader *reader, struct ig_flatbuffer_table table)
{
    struct operator_kind kind;
    if (!read_kind(reader, table, &kind)) return IG_STR("unknown");
    if (kind.code == BUILTIN_CUSTOM && kind.custom.len) {
        if (kind.custom.len > 64) kind.custom.len = 64;
        return kind.custom;
    }
    const char *name = ig_tflite_builtin_name(kind.code);
    return name ? ig_str_view(name) : IG_STR("unknown");
}

static const struct operator_row *find_row(struct tflite_reader *reader,
                                           const struct operator_kind *kind)
{
    for (size_t i = 0; i < sizeof operator_rows / sizeof *operator_rows; i++) {
        const struct operator_row *row = &operator_rows[i];
        if (row->code != kind->code) continue;
        if (kind->version >= 1 && kind->version <= row->version_max) return row;
        (void)ig_fail(reader->err, IG_UNSUPPORTED, "version %d, expected 1 to %d", kind->version,
                      row->version_max);
        return NULL;
    }
    (void)ig_fail(reader->err, IG_UNSUPPORTED, "the operator (builtin code %d) is not known here",
                  kind->code);
    return NULL;
}

void tflite_code_of(enum ig_network_op op, int32_t *code, uint8_t *options)
{
    for (size_t i = 0; i < sizeof operator_rows / sizeof *operator_rows; i++) {
        if (operator_rows[i].op != op) continue;
        *code = operator_rows[i].code;
        *options = operator_rows[i].options;
        return;
    }
    IG_ASSERT(false); /* every operator of a network has a row */
}

/* Fields of one operator's options while they are read. */
struct options {
    struct tflite_reader *reader;
    struct ig_flatbuffer_table table;
    struct ig_network_layer *layer;
};

static uint32_t number(const struct options *from, uint32_t field, int32_t absent)
{
    int32_t value = ig_flatbuffer_i32(&from->reader->buffer, from->table, field, absent);
    return value < 0 ? 0 : (uint32_t)value;
}

static bool flag(const struct options *from, uint32_t field)
{
    return ig_flatbuffer_u8(&from->reader->buffer, from->table, field, 0) != 0;
}

static bool read_activation(const struct options *from, uint32_t field)
{
    uint8_t code = ig_flatbuffer_u8(&from->reader->buffer, from->table, field, 0);
    from->layer->activation = (enum ig_network_activation)code;
    if (code < IG_NETWORK_ACTIVATIONS_COUNT) return true;
    (void)ig_fail(from->reader->err, IG_UNSUPPORTED,
                  "fused activation %u%s, expected none, relu, relu_n1_to_1 or relu6", code,
                  code == 4   ? " (tanh)"
                  : code == 5 ? " (sign bit)"
                              : "");
    return false;
}

static bool read_window(const struct options *from)
{
    struct ig_network_layer *layer = from->layer;
    struct ig_network_window *window = &layer->window;
    uint8_t padding = ig_flatbuffer_u8(&from->reader->buffer, from->table, WINDOW_PADDING, 0);
    window->padding = (enum ig_network_padding)padding;
    window->stride_w = number(from, WINDOW_STRIDE_W, 0);
    window->stride_h = number(from, WINDOW_STRIDE_H, 0);
    if (layer->op == IG_NETWORK_CONV_2D) {
        window->dilation_w = number(from, CONV_DILATION_W, 1);
        window->dilation_h = number(from, CONV_DILATION_H, 1);
        return read_activation(from, CONV_ACTIVATION);
    }
    if (layer->op == IG_NETWORK_DEPTHWISE_CONV_2D) {
        window->dilation_w = number(from, DEPTHWISE_DILATION_W, 1);
        window->dilation_h = number(from, DEPTHWISE_DILATION_H, 1);
        return read_activation(from, DEPTHWISE_ACTIVATION);
    }
    window->filter_w = number(from, POOL_FILTER_W, 0);
    window->filter_h = number(from, POOL_FILTER_H, 0);
    return read_activation(from, POOL_ACTIVATION);
}

/* A dimension that may be counted from behind, of the layer's first input. */
static bool read_axis(struct tflite_reader *reader, const struct ig_network_layer *layer,
                      int64_t axis, uint32_t *out)
{
    uint32_t rank = reader->network->tensors[layer->inputs[0]].rank;
    if (axis < 0) axis += rank;
    *out = (uint32_t)axis;
    if (axis >= 0 && axis < (int64_t)rank) return true;
    (void)ig_fail(reader->err, IG_INVALID, "axis %lld of rank %u", (long long)axis, rank);
    return false;
}

static bool read_options(const struct options *from)
{
    struct tflite_reader *reader = from->reader;
    struct ig_network_layer *layer = from->layer;
    switch (layer->op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
        return read_window(from);
    case IG_NETWORK_FULLY_CONNECTED:
        layer->keep_dims = flag(from, FULLY_CONNECTED_KEEP_DIMS);
        if (flag(from, FULLY_CONNECTED_FORMAT)) {
            (void)ig_fail(reader->err, IG_UNSUPPORTED, "weights in a shuffled format");
            return false;
        }
        return read_activation(from, FULLY_CONNECTED_ACTIVATION);
    case IG_NETWORK_SOFTMAX:
        layer->beta = ig_flatbuffer_f32(&reader->buffer, from->table, SOFTMAX_BETA, 0);
        return true;
    case IG_NETWORK_CONCATENATION:
        return read_axis(reader, layer,
                         ig_flatbuffer_i32(&reader->buffer, from->table, CONCATENATION_AXIS, 0),
                         &layer->axis) &&
               read_activation(from, CONCATENATION_ACTIVATION);
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
        return read_activation(from, ARITHMETIC_ACTIVATION);
    case IG_NETWORK_MEAN:
        layer->keep_dims = flag(from, REDUCER_KEEP_DIMS);
        return true;
    default:
        return true;
    }
}

/* PAD and MEAN have their numbers in a second, constant input. */
static bool read_operand(struct tflite_reader *reader, struct ig_network_layer *layer,
                         struct ig_flatbuffer_vector inputs)
{
    int64_t numbers[2 * IG_NETWORK_RANK_MAX];
    uint32_t count = 0, axis;
    if (layer->op != IG_NETWORK_PAD && layer->op != IG_NETWORK_MEAN) return true;
    if (inputs.count != 2) {
        (void)ig_fail(reader->err, IG_INVALID, "%u inputs, expected 2", inputs.count);
        return false;
    }
    if (!tflite_numbers(reader, ig_flatbuffer_i32_at(&reader->buffer, inputs, 1), numbers,
                        2 * IG_NETWORK_RANK_MAX, &count))
        return false;
    if (layer->op == IG_NETWORK_MEAN) {
        for (uint32_t i = 0; i < count; i++) {
            if (!read_axis(reader, layer, numbers[i], &axis)) return false;
            layer->axes |= 1U << axis;
        }
        return true;
    }
    if (count != 2 * reader->network->tensors[layer->inputs[0]].rank) {
        (void)ig_fail(reader->err, IG_INVALID, "%u paddings of rank %u", count,
                      reader->network->tensors[layer->inputs[0]].rank);
        return false;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (numbers[i] < 0 || numbers[i] > IG_NETWORK_ELEMENTS_MAX) {
            (void)ig_fail(reader->err, IG_INVALID, "padding %lld", (long long)numbers[i]);
            return false;
        }
        layer->pads[i / 2][i % 2] = (uint32_t)numbers[i];
    }
    return true;
}

/* The operator's inputs as tensors; -1 leaves an optional one out. */
static bool read_inputs(struct tflite_reader *reader, struct ig_flatbuffer_vector inputs,
                        uint32_t count, uint32_t *tensors)
{
    for (uint32_t i = 0; i < count; i++) {
        int32_t index = ig_flatbuffer_i32_at(&reader->buffer, inputs, i);
        tensors[i] = IG_NETWORK_NONE;
        if (index == -1 && i > 0) continue;
        if (!tflite_tensor(reader, index, &tensors[i])) return false;
    }
    return true;
}

static bool read_layer(struct tflite_reader *reader, const struct operator_row *row,
                       struct ig_flatbuffer_table table)
{
    struct ig_flatbuffer *buffer = &reader->buffer;
    struct ig_flatbuffer_vector inputs = ig_flatbuffer_vector(buffer, table, OPERATOR_INPUTS, 4);
    struct ig_flatbuffer_vector outputs = ig_flatbuffer_vector(buffer, table, OPERATOR_OUTPUTS, 4);
    uint8_t type = ig_flatbuffer_u8(buffer, table, OPERATOR_OPTIONS_TYPE, 0);
    if (!tflite_ok(reader)) return false;
    if (inputs.count == 0 || inputs.count > IG_NETWORK_LAYER_INPUTS_MAX || outputs.count != 1) {
        (void)ig_fail(reader->err, IG_INVALID, "%u inputs and %u outputs, expected 1 to %d and 1",
                      inputs.count, outputs.count, IG_NETWORK_LAYER_INPUTS_MAX);
        return false;
    }
    if (row->options != OPTIONS_NONE && type != OPTIONS_NONE && type != row->options) {
        (void)ig_fail(reader->err, IG_INVALID, "options of kind %u, expected %u", type,
                      row->options);
        return false;
    }
    uint32_t tensors[IG_NETWORK_LAYER_INPUTS_MAX];
    uint32_t count = row->inputs && row->inputs < inputs.count ? row->inputs : inputs.count;
    struct ig_network_layer layer = {.op = row->op, .inputs = tensors, .inputs_count = count};
    const struct options from = {reader, ig_flatbuffer_child(buffer, table, OPERATOR_OPTIONS),
                                 &layer};
    if (!read_inputs(reader, inputs, count, tensors) ||
        !tflite_tensor(reader, ig_flatbuffer_i32_at(buffer, outputs, 0), &layer.output) ||
        !read_options(&from) || !tflite_ok(reader) || !read_operand(reader, &layer, inputs))
        return false;
    return ig_network_add_layer(reader->network, &layer) != IG_NETWORK_NONE ||
           tflite_no_memory(reader);
}

bool tflite_operator(struct tflite_reader *reader, struct ig_flatbuffer_table table)
{
    struct operator_kind kind;
    if (!read_kind(reader, table, &kind)) return false;
    const struct operator_row *row = find_row(reader, &kind);
    return row && read_layer(reader, row, table);
}
