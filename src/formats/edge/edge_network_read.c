/* SPDX-License-Identifier: Apache-2.0 */
/* Reads the section of a network back. The file has multipliers where the network has scales of
 * weights: a scale is found that gives the multiplier. What was read is then written again, with
 * the file's places, and must be the section byte for byte: so the network computes what a device
 * computes from the file, and nothing in it goes unread. Stateless. */
#include "base/mem.h"
#include "formats/edge/edge_priv.h"
#include "kernels/nn/nn_numbers.h"

#include <math.h>
#include <string.h>

enum { NEIGHBOURS = 4, ZERO_EXPONENT = -40 };

struct reader {
    struct ig_str section, left, constants;
    struct ig_network *network;
    uint32_t tensors_count, layers_count, inputs_count, outputs_count, arena_bytes;
    uint32_t *offsets, *scratch; /* by tensor, by layer */
    bool *constant;              /* by tensor */
    struct ig_arena memory;
    struct ig_err *err;
};

static uint32_t get(struct reader *reader, uint32_t bytes)
{
    uint32_t value = 0;
    if (bytes > reader->left.len) {
        ig_fail(reader->err, IG_CORRUPT, "the network's section ends within its arrays");
        return 0;
    }
    for (uint32_t i = 0; i < bytes; i++) value |= (uint32_t)(uint8_t)reader->left.ptr[i] << (8 * i);
    reader->left.ptr += bytes;
    reader->left.len -= bytes;
    return value;
}

static int32_t get_i8(struct reader *reader)
{
    return (int8_t)(uint8_t)get(reader, 1);
}

static float get_f32(struct reader *reader)
{
    uint32_t bits = get(reader, 4);
    float value;
    memcpy(&value, &bits, sizeof value);
    return value;
}

static struct nn_multiplier get_multiplier(struct reader *reader)
{
    int32_t fraction = (int32_t)get(reader, 4);
    return (struct nn_multiplier){fraction, get_i8(reader)};
}

static bool good(const struct reader *reader)
{
    return reader->err->code == IG_OK;
}

static bool bad(struct reader *reader, const char *field, uint64_t value, const char *expected)
{
    ig_fail(reader->err, IG_CORRUPT, "%s is %llu, expected %s", field, (unsigned long long)value,
            expected);
    return false;
}

static const uint8_t *constants_at(struct reader *reader, uint32_t at, uint64_t bytes)
{
    if (at <= reader->constants.len && bytes <= reader->constants.len - at)
        return (const uint8_t *)reader->constants.ptr + at;
    bad(reader, "the place of a layer's constants", at, "all of them within the file's");
    return NULL;
}

static void add_tensor(struct reader *reader, uint32_t index)
{
    struct ig_network_tensor tensor = {0};
    uint32_t kind = get(reader, 1);
    tensor.rank = get(reader, 1);
    int32_t zero = get_i8(reader);
    get(reader, 1);
    float scale = get_f32(reader);
    uint32_t offset = get(reader, 4);
    for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++) tensor.dims[d] = get(reader, 2);
    if (!good(reader)) return;
    bool constant = kind & IG_EDGE_CONSTANT;
    if ((kind & ~(uint32_t)IG_EDGE_CONSTANT) > IG_EDGE_I8) {
        bad(reader, "a tensor's type", kind, "0 or 1, with 128 of a constant");
        return;
    }
    if (tensor.rank > IG_COMPACT_RANK_MAX) {
        bad(reader, "a tensor's rank", tensor.rank, "at most 4");
        return;
    }
    tensor.type = kind & IG_EDGE_I8 ? IG_NETWORK_I8 : IG_NETWORK_F32;
    if (tensor.type == IG_NETWORK_I8)
        tensor.quantization = (struct ig_network_quantization){&scale, &zero, 1, 0};
    uint64_t bytes = ig_network_type_bytes(tensor.type);
    for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++) {
        bytes *= tensor.dims[d];
        if (bytes == 0 || bytes > IG_NETWORK_ELEMENTS_MAX * (uint64_t)4) {
            bad(reader, "a tensor's dimension", tensor.dims[d], "at least 1, and 2^28 elements");
            return;
        }
    }
    for (uint32_t d = tensor.rank; d < IG_COMPACT_RANK_MAX; d++) tensor.dims[d] = 0;
    if (constant) {
        const uint8_t *at = constants_at(reader, offset, bytes);
        tensor.data = at ? ig_network_keep(reader->network, at, (size_t)bytes) : NULL;
    }
    reader->offsets[index] = offset;
    reader->constant[index] = constant;
    ig_network_add_tensor(reader->network, &tensor);
}

static const struct ig_network_tensor *tensor_at(struct reader *reader, uint32_t index)
{
    if (index < reader->tensors_count) return &reader->network->tensors[index];
    bad(reader, "a layer's tensor", index, "one of the file's");
    return NULL;
}

/* ---- layers with weights ---- */

static bool same(struct nn_multiplier a, struct nn_multiplier b)
{
    return a.fraction == b.fraction && (a.fraction == 0 || a.shift == b.shift);
}

/* A scale of weights that gives the multiplier. */
static bool find_scale(float *out, enum ig_network_op op, bool single,
                       const struct ig_network_tensor *ends[2], struct nn_multiplier wanted)
{
    float in = ends[0]->quantization.scales[0], given = ends[1]->quantization.scales[0];
    double fraction =
        wanted.fraction ? ldexp(wanted.fraction, wanted.shift - 31) : ldexp(1, ZERO_EXPONENT);
    float up = (float)(fraction * (double)given / (double)in), down = up;
    for (int i = 0; i < NEIGHBOURS; i++) {
        for (int side = 0; side < 2; side++) {
            float scale = side ? down : up;
            if (!(scale > 0) || isinf(scale)) continue;
            if (!same(nn_weights_multiplier(op, single, in, scale, given), wanted)) continue;
            *out = scale;
            return true;
        }
        up = nextafterf(up, INFINITY);
        down = nextafterf(down, 0);
    }
    return false;
}

static bool fill_scales(struct reader *reader, struct ig_network_tensor *weights,
                        const struct ig_network_tensor *ends[2], enum ig_network_op op,
                        const uint8_t *multipliers)
{
    struct ig_network_quantization *q = &weights->quantization;
    float *scales = ig_arena_array(&reader->memory, q->count, sizeof *scales);
    int32_t *zeros = ig_arena_array(&reader->memory, q->count, sizeof *zeros);
    if (!scales || !zeros) {
        ig_fail(reader->err, IG_NO_MEMORY, "no memory for %u scales", q->count);
        return false;
    }
    for (uint32_t c = 0; c < q->count; c++) {
        const uint8_t *at = multipliers + (size_t)c * 4;
        uint32_t bits =
            at[0] | (uint32_t)at[1] << 8 | (uint32_t)at[2] << 16 | (uint32_t)at[3] << 24;
        struct nn_multiplier m = {(int32_t)bits, (int8_t)multipliers[(size_t)q->count * 4 + c]};
        if (m.fraction < 0 || m.shift < -31 || m.shift > 30 ||
            !find_scale(&scales[c], op, q->count == 1, ends, m))
            return bad(reader, "the fraction of a multiplier", bits, "one that scales give");
    }
    q->scales = scales;
    q->zero_points = zeros;
    return true;
}

static void weights_dims(struct ig_network_tensor *weights, enum ig_network_op op,
                         const struct ig_network_tensor *ends[2], const uint32_t filter[2])
{
    const struct ig_network_tensor *in = ends[0], *out = ends[1];
    uint32_t channels = out->dims[out->rank - 1];
    size_t rows = ig_network_tensor_count(out) / channels;
    weights->rank = op == IG_NETWORK_FULLY_CONNECTED ? 2 : 4;
    if (op == IG_NETWORK_FULLY_CONNECTED) {
        weights->dims[0] = channels;
        weights->dims[1] = (uint32_t)(ig_network_tensor_count(in) / rows);
        return;
    }
    bool depthwise = op == IG_NETWORK_DEPTHWISE_CONV_2D;
    weights->dims[0] = depthwise ? 1 : channels;
    weights->dims[1] = filter[0];
    weights->dims[2] = filter[1];
    weights->dims[3] = depthwise ? channels : in->dims[3];
}

/* The file's biases have the input's zero point in them. */
static void unfold(int32_t *biases, const int8_t *weights, uint32_t channels, size_t depth,
                   int32_t zero)
{
    for (uint32_t c = 0; c < channels; c++) {
        int64_t sum = 0;
        for (size_t i = 0; i < depth; i++) sum += weights[c * depth + i];
        biases[c] = (int32_t)(uint32_t)(uint64_t)(biases[c] + sum * zero);
    }
}

/* Weights and bias as two tensors more. */
static bool add_weights(struct reader *reader, struct ig_network_layer *layer, uint32_t *inputs,
                        uint32_t at, const uint32_t facts[3])
{
    const struct ig_network_tensor *ends[2] = {tensor_at(reader, inputs[0]),
                                               tensor_at(reader, layer->output)};
    struct ig_network_tensor weights = {.type = IG_NETWORK_I8}, bias = {.type = IG_NETWORK_I32};
    bool connected = layer->op == IG_NETWORK_FULLY_CONNECTED;
    for (int i = 0; i < 2; i++) {
        if (!ends[i]) return false;
        if (ends[i]->type != IG_NETWORK_I8 || ends[i]->rank < 1 ||
            (!connected && ends[i]->rank != 4))
            return bad(reader, "the rank of a layer's end", ends[i]->rank, "int8, and 4 of images");
    }
    weights_dims(&weights, layer->op, ends, facts);
    uint32_t channels = bias.dims[0] = ends[1]->dims[ends[1]->rank - 1];
    size_t count = ig_network_tensor_count(&weights);
    bias.rank = 1;
    weights.quantization.count = facts[2] ? channels : 1;
    weights.quantization.dimension = facts[2] && layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ? 3 : 0;
    uint64_t numbers = (uint64_t)weights.quantization.count * 5 + (uint64_t)channels * 4;
    const uint8_t *constants = constants_at(reader, at, numbers + count);
    if (!constants || count == 0) return false;
    int32_t *biases =
        (int32_t *)(uintptr_t)ig_network_keep(reader->network, constants, (size_t)channels * 4);
    weights.data = ig_network_keep(reader->network, constants + numbers, count);
    bias.data = biases;
    if (connected && biases && weights.data)
        unfold(biases, weights.data, channels, count / channels,
               ends[0]->quantization.zero_points[0]);
    if (!fill_scales(reader, &weights, ends, layer->op, constants + (size_t)channels * 4))
        return false;
    inputs[1] = ig_network_add_tensor(reader->network, &weights);
    inputs[2] = ig_network_add_tensor(reader->network, &bias);
    layer->inputs_count = 3;
    return true;
}

static void get_window(struct reader *reader, struct ig_network_layer *layer, uint32_t filter[2])
{
    struct ig_network_window *w = &layer->window;
    filter[0] = w->filter_h = get(reader, 2);
    filter[1] = w->filter_w = get(reader, 2);
    w->stride_h = get(reader, 1);
    w->stride_w = get(reader, 1);
    w->dilation_h = get(reader, 1);
    w->dilation_w = get(reader, 1);
}

static void set_flags(struct ig_network_layer *layer, uint32_t flags)
{
    layer->keep_dims = flags & IG_EDGE_KEEP_DIMS;
    layer->window.padding =
        flags & IG_EDGE_VALID ? IG_NETWORK_PADDING_VALID : IG_NETWORK_PADDING_SAME;
}

/* What only some operators have. */
static void get_numbers(struct reader *reader, struct ig_network_layer *layer, uint32_t number,
                        uint32_t *inputs)
{
    uint32_t facts[3] = {0}, flags, constants; /* filter, and whether there are multipliers each */
    switch (layer->op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
    case IG_NETWORK_FULLY_CONNECTED:
        flags = get(reader, 1);
        get(reader, 3); /* clamp and bits of sums */
        constants = get(reader, 4);
        set_flags(layer, flags);
        facts[2] = flags & IG_EDGE_PER_CHANNEL;
        if (layer->op != IG_NETWORK_FULLY_CONNECTED) get_window(reader, layer, facts);
        if (layer->op == IG_NETWORK_CONV_2D) reader->scratch[number] = get(reader, 4);
        if (good(reader)) add_weights(reader, layer, inputs, constants, facts);
        return;
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
        set_flags(layer, get(reader, 1));
        get(reader, 2);
        get_window(reader, layer, facts);
        return;
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
        get(reader, 2);
        for (int i = 0; i < 3; i++) get_multiplier(reader);
        return;
    case IG_NETWORK_PAD:
        for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++)
            for (int end = 0; end < 2; end++) layer->pads[d][end] = get(reader, 2);
        return;
    case IG_NETWORK_CONCATENATION:
        layer->axis = get(reader, 1);
        return;
    case IG_NETWORK_SOFTMAX:
        layer->beta = get_f32(reader);
        get(reader, 4);
        get_multiplier(reader);
        return;
    case IG_NETWORK_MEAN:
        set_flags(layer, get(reader, 1));
        layer->axes = get(reader, 1);
        get_multiplier(reader);
        return;
    case IG_NETWORK_RESHAPE:
    case IG_NETWORK_DEQUANTIZE:
        return;
    default:
        get(reader, 4);
        return;
    }
}

static void add_layer(struct reader *reader, uint32_t number)
{
    struct ig_network_layer layer = {0};
    uint32_t inputs[IG_NETWORK_LAYER_INPUTS_MAX];
    uint32_t code = get(reader, 1);
    layer.activation = (enum ig_network_activation)get(reader, 1);
    layer.inputs_count = get(reader, 1);
    layer.output = get(reader, 2);
    layer.inputs = inputs;
    for (uint32_t i = 0; i < layer.inputs_count; i++) inputs[i] = get(reader, 2);
    if (!good(reader)) return;
    if (!ig_edge_op_of(&layer.op, (uint8_t)code) || code == 0) {
        bad(reader, "an operator", code, "1 to 20");
        return;
    }
    if (!layer.inputs_count) {
        bad(reader, "the inputs of a layer", 0, "at least 1");
        return;
    }
    get_numbers(reader, &layer, number, inputs);
    if (good(reader)) ig_network_add_layer(reader->network, &layer);
}

/* ---- the section ---- */

static bool get_facts(struct reader *reader)
{
    reader->tensors_count = get(reader, 2);
    reader->layers_count = get(reader, 2);
    reader->inputs_count = get(reader, 2);
    reader->outputs_count = get(reader, 2);
    reader->arena_bytes = get(reader, 4);
    uint32_t constants = get(reader, 4);
    get(reader, 4);
    reader->network->rounding = get(reader, 1) & IG_EDGE_DOUBLE_ROUNDING
                                    ? IG_NETWORK_ROUNDING_DOUBLE
                                    : IG_NETWORK_ROUNDING_SINGLE;
    get(reader, 3);
    if (!good(reader)) return false;
    if (constants > reader->left.len)
        return bad(reader, "bytes of constants", constants, "less than the section");
    if ((uint64_t)reader->tensors_count * IG_EDGE_TENSOR_BYTES > reader->left.len)
        return bad(reader, "tensors", reader->tensors_count, "within the section");
    size_t start = reader->section.len - constants;
    reader->constants = (struct ig_str){reader->section.ptr + start, constants};
    reader->offsets = ig_arena_array(&reader->memory, reader->tensors_count + 1U, sizeof(uint32_t));
    reader->scratch = ig_arena_array(&reader->memory, reader->layers_count + 1U, sizeof(uint32_t));
    reader->constant = ig_arena_array(&reader->memory, reader->tensors_count + 1U, sizeof(bool));
    if (!reader->memory.overflowed) return true;
    ig_fail(reader->err, IG_NO_MEMORY, "no memory for %u tensors", reader->tensors_count);
    return false;
}

static void get_ends(struct reader *reader, uint32_t count,
                     bool (*set)(struct ig_network *, const uint32_t *, uint32_t))
{
    uint32_t *tensors = ig_arena_array(&reader->memory, count + 1U, sizeof *tensors);
    for (uint32_t i = 0; tensors && i < count; i++) tensors[i] = get(reader, 2);
    if (good(reader) && (!tensors || !set(reader->network, tensors, count)))
        ig_fail(reader->err, IG_NO_MEMORY, "no memory for %u inputs or outputs", count);
}

static bool is_within(uint64_t at, uint64_t bytes, uint64_t size)
{
    return at % 4 == 0 && at + bytes <= size;
}

/* Whether everything has its place in the arena. */
static bool check_places(struct reader *reader, const struct ig_network_compact *compact)
{
    for (uint32_t i = 0; i < compact->tensors_count; i++) {
        const struct ig_compact_tensor *t = &compact->tensors[i];
        uint64_t bytes = ig_network_tensor_bytes(t->tensor);
        if (!t->constant && !is_within(t->offset, bytes, compact->arena_bytes))
            return bad(reader, "a tensor's place", t->offset, "a multiple of 4 within the arena");
    }
    for (uint32_t i = 0; i < compact->layers_count; i++) {
        const struct ig_compact_layer *layer = &compact->layers[i];
        if (layer->scratch_bytes &&
            !is_within(layer->scratch, layer->scratch_bytes, compact->arena_bytes))
            return bad(reader, "the place of scratch", layer->scratch,
                       "a multiple of 4 within the arena");
        uint32_t in = compact->tensors[layer->inputs[0]].offset;
        if (layer->layer->op == IG_NETWORK_RESHAPE &&
            (in != compact->tensors[layer->output].offset ||
             compact->tensors[layer->inputs[0]].constant !=
                 compact->tensors[layer->output].constant))
            return bad(reader, "the place of a RESHAPE's output", in, "that of its input");
    }
    for (uint32_t i = 0; i < compact->outputs_count; i++)
        if (compact->tensors[compact->outputs[i]].constant)
            return bad(reader, "an output", compact->outputs[i], "no constant");
    return true;
}

/* Whether all that was read says the same again. */
static bool check_again(struct reader *reader)
{
    struct ig_network_compact *compact = NULL;
    struct ig_buf again;
    if (ig_network_compact_prepare(&compact, reader->network, reader->err) != IG_OK) return false;
    compact->arena_bytes = reader->arena_bytes;
    for (uint32_t i = 0; i < compact->tensors_count && i < reader->tensors_count; i++) {
        compact->tensors[i].offset = reader->offsets[i];
        compact->tensors[i].constant = reader->constant[i];
    }
    for (uint32_t i = 0; i < compact->layers_count; i++)
        compact->layers[i].scratch = reader->scratch[i];
    ig_buf_init(&again, reader->section.len + 1);
    ig_edge_put_network(&again, compact);
    struct ig_str written = ig_buf_view(&again);
    size_t at = 0;
    while (at < written.len && at < reader->section.len &&
           written.ptr[at] == reader->section.ptr[at])
        at++;
    if (at < reader->section.len || written.len != reader->section.len || again.overflowed)
        ig_fail(reader->err, IG_CORRUPT,
                "byte %zu of the network's section is not what its other bytes make of it", at);
    else
        check_places(reader, compact);
    ig_buf_deinit(&again);
    ig_network_compact_free(compact);
    return good(reader);
}

static bool read_all(struct reader *reader)
{
    if (!get_facts(reader)) return false;
    get_ends(reader, reader->inputs_count, ig_network_set_inputs);
    get_ends(reader, reader->outputs_count, ig_network_set_outputs);
    for (uint32_t i = 0; good(reader) && i < reader->tensors_count; i++) add_tensor(reader, i);
    if (good(reader) && reader->network->arena.overflowed)
        ig_fail(reader->err, IG_NO_MEMORY, "the network exceeds its memory");
    for (uint32_t i = 0; good(reader) && i < reader->layers_count; i++) {
        add_layer(reader, i);
        if (!good(reader)) ig_err_prefix(reader->err, "layer %u", i);
    }
    return good(reader) && ig_network_check(reader->network, reader->err) == IG_OK &&
           check_again(reader);
}

enum ig_code ig_edge_read_network(struct ig_network **out, struct ig_str section, size_t max_bytes,
                                  struct ig_err *err)
{
    struct reader reader = {
        .section = section, .left = section, .network = ig_network_new(max_bytes), .err = err};
    ig_arena_init(&reader.memory, 16384, max_bytes);
    if (!reader.network)
        ig_fail(err, IG_NO_MEMORY, "no memory for a network");
    else if (read_all(&reader)) {
        *out = reader.network;
        reader.network = NULL;
    }
    ig_arena_deinit(&reader.memory);
    ig_network_free(reader.network);
    return err->code;
}
