/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a section of a network and checks all of it: every tensor lies within the arena or the
 * constants, shapes of every layer agree, and what kernels rely on holds. Stateless. */
#include "ingot_edge_file.h"

#ifndef IGE_NO_NETWORKS

enum { FACTS_BYTES = 24, INPUTS_MAX = 255, COUNT_MAX = 1 << 28, TABLE_BYTES = 256 };

/* ---- what a file says ---- */

uint32_t ige_count(const uint8_t *tensor)
{
    return ige_dim(tensor, 0) * ige_dim(tensor, 1) * ige_dim(tensor, 2) * ige_dim(tensor, 3);
}

struct ige_layer ige_layer_at(const uint8_t *at, size_t left)
{
    /* Bytes of an operator's numbers. */
    static const uint8_t BYTES[IGE_OPS_COUNT] = {0, 20, 16, 8, 11, 11, 0, 16, 17, 17, 17,
                                                 1, 13, 4,  4, 4,  4,  4, 7,  4,  0};
    struct ige_layer layer = {at + 3, at + 3, at, 0, 0};
    if (left < 3 || at[0] >= IGE_OPS_COUNT) return layer;
    size_t tensors = 2U + 2U * at[2], bytes = BYTES[at[0]];
    if (left - 3 < tensors + bytes) return layer;
    layer.op = at[0];
    layer.inputs = at[2];
    layer.numbers = layer.tensors + tensors;
    layer.next = layer.numbers + bytes;
    return layer;
}

/* Cells of the filter with its holes. */
static uint32_t covered(const struct ige_side *side)
{
    return (side->filter - 1) * side->dilation + 1;
}

/* Cells of the output; 0 when no window fits. */
static uint32_t outputs_of(const struct ige_side *side, uint32_t valid)
{
    if (!valid) return (side->in + side->stride - 1) / side->stride;
    return side->in < covered(side) ? 0 : (side->in - covered(side)) / side->stride + 1;
}

struct ige_side ige_side(const uint8_t *in, const uint8_t *out, const uint8_t *window,
                         uint32_t columns)
{
    struct ige_side side = {ige_dim(in, 1 + columns), ige_dim(out, 1 + columns),
                            ige_u16(window + 2 * columns), window[4 + columns],
                            window[6 + columns]};
    return side;
}

uint32_t ige_pad_before(const struct ige_side *side, uint32_t valid)
{
    uint32_t needed = (side->out - 1) * side->stride + covered(side);
    return valid || needed <= side->in ? 0 : (needed - side->in) / 2;
}

int ige_mean_shape(struct ige_mean_shape *shape, const uint8_t *tensor, uint32_t axes)
{
    uint32_t *parts[] = {&shape->outer, &shape->cells, &shape->inner};
    unsigned part = 0;
    shape->outer = shape->cells = shape->inner = 1;
    for (uint32_t d = 0; d < 4; d++) {
        uint32_t size = ige_dim(tensor, d);
        int goes = (int)(axes >> d & 1);
        if (size == 1) continue;
        if (goes != (part == 1)) part++;
        if (part > 2) return 0;
        *parts[part] *= size;
    }
    return 1;
}

/* ---- checks ---- */

static int is_within(uint32_t at, uint64_t bytes, uint32_t size)
{
    return at <= size && bytes <= size - at;
}

static enum ige_status check_tensor(const struct ige_network *network, const uint8_t *tensor)
{
    uint32_t type = tensor[0] & ~(uint32_t)IGE_TENSOR_CONSTANT, at = ige_u32(tensor + 8);
    int constant = tensor[0] & IGE_TENSOR_CONSTANT;
    uint64_t count = 1;
    if (type > IGE_TENSOR_I8 || tensor[1] > 4) return IGE_BAD_FILE;
    for (uint32_t d = 0; d < 4; d++) {
        count *= ige_dim(tensor, d);
        if (!count || count > COUNT_MAX || (d >= tensor[1] && ige_dim(tensor, d) != 1))
            return IGE_BAD_FILE;
    }
    if (type != IGE_TENSOR_I8) {
        if (!IGE_HAS_FLOAT) return IGE_UNSUPPORTED;
        if (constant || at % 4) return IGE_BAD_FILE;
        count *= sizeof(float);
    }
    return is_within(at, count, constant ? network->constants_bytes : network->arena_bytes)
               ? IGE_OK
               : IGE_BAD_FILE;
}

static int check_shift(const uint8_t *shift)
{
    return (uint8_t)(*shift + 31) <= 61;
}

static int check_multiplier(const uint8_t *fraction, const uint8_t *shift)
{
    uint32_t bits = ige_u32(fraction);
    return (bits == 0 || bits >> 30 == 1) && check_shift(shift);
}

/* What a layer is checked with. */
struct check {
    const struct ige_network *network;
    struct ige_layer layer;
    const uint8_t *in, *out;
    uint32_t in_count, out_count;
};

/* Bias, multipliers and `weights` bytes behind them. */
static int check_constants(const struct check *check, uint32_t channels, uint64_t weights)
{
    const uint8_t *numbers = check->layer.numbers;
    uint32_t at = ige_u32(numbers + 4), count = numbers[0] & IGE_PER_CHANNEL ? channels : 1;
    if (!is_within(at, 4 * (uint64_t)channels + 5 * (uint64_t)count + weights,
                   check->network->constants_bytes) ||
        numbers[3] < 1 || numbers[3] > 32)
        return 0;
    const uint8_t *fractions = check->network->constants + at + 4 * channels;
    for (uint32_t c = 0; c < count; c++)
        if (!check_multiplier(fractions + 4 * c, fractions + 4 * count + c)) return 0;
    return 1;
}

static int check_window(const struct check *check, const uint8_t *window)
{
    uint32_t valid = check->layer.numbers[0] & IGE_VALID;
    for (uint32_t columns = 0; columns < 2; columns++) {
        struct ige_side side = ige_side(check->in, check->out, window, columns);
        if (!side.filter || !side.stride || !side.dilation || outputs_of(&side, valid) != side.out)
            return 0;
    }
    return ige_dim(check->in, 0) == ige_dim(check->out, 0);
}

static int check_conv(const struct check *check)
{
    const uint8_t *numbers = check->layer.numbers;
    int depthwise = check->layer.op == IGE_OP_DEPTHWISE_CONV_2D;
    uint32_t in = ige_dim(check->in, 3), out = ige_dim(check->out, 3);
    uint64_t cells = (uint64_t)ige_u16(numbers + 8) * ige_u16(numbers + 10);
    if (!check_window(check, numbers + 8) || (depthwise && out % in)) return 0;
    if (!depthwise) cells *= in;
    if (cells > IGE_SUM_CELLS_MAX || !check_constants(check, out, cells * out)) return 0;
    if (depthwise) return 1;
    uint32_t scratch = ige_u32(numbers + 16);
    return scratch % 4 == 0 &&
           is_within(scratch, (cells + 3) / 4 * 16, check->network->arena_bytes);
}

static int check_connected(const struct check *check)
{
    uint32_t channels = ige_last_dim(check->out), rows = check->out_count / channels;
    uint32_t depth = check->in_count / rows;
    return depth * rows == check->in_count && depth && depth <= IGE_SUM_CELLS_MAX &&
           check_constants(check, channels, (uint64_t)depth * channels);
}

static int check_pool(const struct check *check)
{
    return check_window(check, check->layer.numbers + 3) &&
           ige_dim(check->in, 3) == ige_dim(check->out, 3) &&
           ige_dim(check->in, 1) * ige_dim(check->in, 2) <= IGE_MEAN_CELLS_MAX &&
           check->layer.numbers[9] == 1 && check->layer.numbers[10] == 1;
}

static int check_pad(const struct check *check)
{
    for (uint32_t d = 0; d < 4; d++) {
        const uint8_t *pads = check->layer.numbers + 4 * d;
        if (ige_dim(check->in, d) + ige_u16(pads) + ige_u16(pads + 2) != ige_dim(check->out, d))
            return 0;
    }
    return 1;
}

static int check_arithmetic(const struct check *check)
{
    for (uint32_t i = 0; i < 2; i++) {
        uint32_t number = ige_u16(check->layer.tensors + 2 + 2 * i);
        if (check->out_count % ige_count(ige_tensor_at(check->network, number))) return 0;
    }
    for (uint32_t i = 0; i < 3; i++) {
        const uint8_t *at = check->layer.numbers + 2 + 5 * i;
        if (!check_multiplier(at, at + 4) || (i < 2 && (int8_t)at[4] > 0)) return 0;
    }
    return 1;
}

static int check_concatenation(const struct check *check)
{
    uint32_t axis = check->layer.numbers[0], sum = 0;
    if (axis > 3) return 0;
    for (uint32_t i = 0; i < check->layer.inputs; i++) {
        const uint8_t *in =
            ige_tensor_at(check->network, ige_u16(check->layer.tensors + 2 + 2 * i));
        for (uint32_t d = 0; d < 4; d++)
            if (d != axis && ige_dim(in, d) != ige_dim(check->out, d)) return 0;
        sum += ige_dim(in, axis);
    }
    return sum == ige_dim(check->out, axis);
}

static int check_softmax(const struct check *check)
{
    const uint8_t *numbers = check->layer.numbers;
    uint32_t width = ige_last_dim(check->in), step = ige_u32(numbers + 4);
    if (check->network->flags & IGE_DOUBLE_ROUNDING)
        return width <= IGE_SOFTMAX_MAX && step <= INT32_MAX &&
               check_multiplier(numbers + 8, numbers + 12);
    return step > 0 && step < 0x7f800000U;
}

static int check_mean(const struct check *check)
{
    struct ige_mean_shape shape;
    const uint8_t *numbers = check->layer.numbers;
    return ige_mean_shape(&shape, check->in, numbers[1]) && shape.cells <= IGE_MEAN_CELLS_MAX &&
           shape.outer * shape.inner == check->out_count && check_shift(numbers + 6) &&
           ige_u32(numbers + 2) <= INT32_MAX;
}

static int check_table(const struct check *check)
{
    return is_within(ige_u32(check->layer.numbers), TABLE_BYTES, check->network->constants_bytes);
}

/* A RESHAPE moves nothing: its output lies where its input does. */
static int check_reshape(const struct check *check)
{
    return check->in[0] == check->out[0] && ige_u32(check->in + 8) == ige_u32(check->out + 8);
}

/* Operators that a program does not have cost it nothing. */
static int check_numbers(const struct check *check)
{
    const uint32_t op = check->layer.op;
    const uint32_t convs = IGE_BIT(IGE_OP_CONV_2D) | IGE_BIT(IGE_OP_DEPTHWISE_CONV_2D);
    const uint32_t pools = IGE_BIT(IGE_OP_AVERAGE_POOL_2D) | IGE_BIT(IGE_OP_MAX_POOL_2D);
    if (IGE_IS_ANY(op, convs)) return check_conv(check);
    if (IGE_IS(op, IGE_OP_FULLY_CONNECTED)) return check_connected(check);
    if (IGE_IS_ANY(op, pools)) return check_pool(check);
    if (IGE_IS(op, IGE_OP_PAD)) return check_pad(check);
    if (IGE_IS_ANY(op, IGE_OPS_ARITHMETIC)) return check_arithmetic(check);
    if (IGE_IS(op, IGE_OP_CONCATENATION)) return check_concatenation(check);
    if (IGE_IS(op, IGE_OP_MEAN)) return check_mean(check);
    if (check->in_count != check->out_count) return 0;
    if (IGE_IS(op, IGE_OP_RESHAPE)) return check_reshape(check);
    if (IGE_IS(op, IGE_OP_SOFTMAX)) return check_softmax(check);
    if (!IGE_IS_ANY(op, IGE_OPS_TABLES)) return 1;
    return (check->in[0] & IGE_TENSOR_I8) == 0 || check_table(check); /* or QUANTIZE of floats */
}

/* Types: all int8, but for what goes between it and float. */
static int check_types(const struct check *check)
{
    uint32_t in = check->in[0] & IGE_TENSOR_I8, out = check->out[0] & IGE_TENSOR_I8;
    if (!IGE_HAS_FLOAT || check->layer.op == IGE_OP_RESHAPE) return 1;
    if (check->layer.op == IGE_OP_QUANTIZE) return out != 0;
    if (check->layer.op == IGE_OP_DEQUANTIZE) return in && !out;
    return in && out;
}

static int check_inputs(struct check *check)
{
    const struct ige_layer *layer = &check->layer;
    uint32_t expected = IGE_IS_ANY(layer->op, IGE_OPS_ARITHMETIC) ? 2 : 1;
    if (!layer->inputs || (layer->inputs != expected && !IGE_IS(layer->op, IGE_OP_CONCATENATION)))
        return 0;
    for (uint32_t i = 0; i <= layer->inputs; i++)
        if (ige_u16(layer->tensors + 2 * i) >= check->network->tensors_count) return 0;
    check->out = ige_tensor_at(check->network, ige_u16(layer->tensors));
    if (check->out[0] & IGE_TENSOR_CONSTANT && layer->op != IGE_OP_RESHAPE) return 0;
    for (uint32_t i = layer->inputs; i > 0; i--) {
        check->in = ige_tensor_at(check->network, ige_u16(layer->tensors + 2 * i));
        if (!check_types(check)) return 0;
    }
    check->in_count = ige_count(check->in);
    check->out_count = ige_count(check->out);
    return 1;
}

static enum ige_status check_layers(const struct ige_network *network)
{
    struct check check = {network, {NULL, NULL, network->layers, 0, 0}, NULL, NULL, 0, 0};
    const uint8_t *end = network->layers + network->layers_bytes;
    for (uint32_t i = 0; i < network->layers_count; i++) {
        check.layer = ige_layer_at(check.layer.next, (size_t)(end - check.layer.next));
        if (!check.layer.op) return IGE_BAD_FILE;
        if (!IGE_HAS(check.layer.op)) return IGE_UNSUPPORTED;
        if (!check_inputs(&check) || !check_numbers(&check)) return IGE_BAD_FILE;
    }
    return check.layer.next == end ? IGE_OK : IGE_BAD_FILE;
}

static enum ige_status check_tensors(const struct ige_network *network)
{
    enum ige_status status = IGE_OK;
    uint32_t ends = (uint32_t)network->inputs + network->outputs;
    for (uint32_t i = 0; status == IGE_OK && i < network->tensors_count; i++)
        status = check_tensor(network, ige_tensor_at(network, i));
    for (uint32_t i = 0; status == IGE_OK && i < ends; i++) {
        uint32_t number = ige_u16(network->ends + 2 * i);
        if (number >= network->tensors_count ||
            ige_tensor_at(network, number)[0] & IGE_TENSOR_CONSTANT)
            status = IGE_BAD_FILE;
    }
    return status;
}

enum ige_status ige_network_load(struct ige_model *model, const uint8_t *section, size_t size)
{
    struct ige_network *network = &model->network;
    if (size < FACTS_BYTES) return IGE_BAD_FILE;
    network->tensors_count = (uint16_t)ige_u16(section);
    network->layers_count = (uint16_t)ige_u16(section + 2);
    network->inputs = (uint16_t)ige_u16(section + 4);
    network->outputs = (uint16_t)ige_u16(section + 6);
    network->arena_bytes = ige_u32(section + 8);
    network->constants_bytes = ige_u32(section + 12);
    network->layers_bytes = ige_u32(section + 16);
    network->flags = section[20];
    network->threshold = (int8_t)section[21];
    if (!IGE_HAS_ROUNDING(network->flags & IGE_DOUBLE_ROUNDING)) return IGE_UNSUPPORTED;
    network->ends = section + FACTS_BYTES;
    uint64_t tensors_at = FACTS_BYTES + 2 * ((uint64_t)network->inputs + network->outputs);
    uint64_t layers_at = tensors_at + (uint64_t)network->tensors_count * IGE_TENSOR_BYTES;
    uint64_t constants_at = (layers_at + network->layers_bytes + 3) / 4 * 4;
    if (!network->inputs || !network->outputs || constants_at + network->constants_bytes != size)
        return IGE_BAD_FILE;
    network->tensors = section + (size_t)tensors_at;
    network->layers = section + (size_t)layers_at;
    network->constants = section + (size_t)constants_at;
    enum ige_status status = check_tensors(network);
    return status == IGE_OK ? check_layers(network) : status;
}
#endif
