/* SPDX-License-Identifier: Apache-2.0 */
/* Networks as TensorFlow Lite files. What a layer holds as numbers (a shape, paddings, axes)
 * becomes a constant tensor behind the network's own, as the operators want it. Source: LiteRT's
 * schema.fbs; tflite-micro docs/offline_memory_plan.md. */
#include "base/mem.h"
#include "formats/tflite/flatbuffer_write.h"
#include "formats/tflite/tflite_priv.h"
#include "kernels/nn/nn.h"

#include <string.h>

enum { CHUNK_BYTES = 16384, PLAN_HEAD = 3, DATA_ALIGNMENT = 16, METADATA_MAX = 2 };
static const size_t SCRATCH_BYTES = (size_t)256 << 20;

struct writer {
    struct ig_flatbuffer_writer to;
    const struct ig_network *network;
    struct ig_err *err;
    struct ig_arena arena;             /* owns all below */
    struct ig_network_tensor *tensors; /* the network's, then those of operands */
    uint32_t tensors_count;
    uint32_t *operand;     /* by layer: its additional input, or NONE */
    uint32_t *code;        /* by layer: its operator code */
    uint32_t *code_layers; /* by operator code: a layer that has it */
    uint32_t codes_count, buffers_count;
    struct ig_str metadata_names[METADATA_MAX], metadata[METADATA_MAX];
    uint32_t metadata_count;
};

static bool no_memory(struct writer *w)
{
    (void)ig_fail(w->err, IG_NO_MEMORY, "no memory to write the network");
    return false;
}

/* ---- operands ---- */

static bool add_constant(struct writer *w, uint32_t layer, struct ig_network_tensor tensor,
                         const void *data)
{
    size_t bytes = ig_network_tensor_bytes(&tensor);
    void *copy = ig_arena_zalloc(&w->arena, bytes);
    if (!copy) return no_memory(w);
    if (data) memcpy(copy, data, bytes);
    tensor.data = copy;
    w->operand[layer] = w->tensors_count;
    w->tensors[w->tensors_count++] = tensor;
    return true;
}

/* A bias of zeros; of int8 with the scales that it must have. */
static bool add_bias(struct writer *w, uint32_t index)
{
    const struct ig_network_layer *layer = &w->network->layers[index];
    const struct ig_network_tensor *in = ig_network_input(w->network, layer, 0);
    const struct ig_network_tensor *weights = ig_network_input(w->network, layer, 1);
    const struct ig_network_quantization *q = &weights->quantization;
    uint32_t channels = weights->dims[layer->op == IG_NETWORK_CONV_2D ? 0 : 3];
    struct ig_network_tensor bias = {.name = IG_STR("bias"), .type = IG_NETWORK_F32, .rank = 1};
    bias.dims[0] = channels;
    if (in->type == IG_NETWORK_I8) {
        float *scales = ig_arena_array(&w->arena, q->count, sizeof *scales);
        int32_t *zeros = ig_arena_array(&w->arena, q->count, sizeof *zeros);
        if (!scales || !zeros) return no_memory(w);
        for (uint32_t c = 0; c < q->count; c++)
            scales[c] = in->quantization.scales[0] * q->scales[c];
        bias.type = IG_NETWORK_I32;
        bias.quantization = (struct ig_network_quantization){scales, zeros, q->count, 0};
    }
    return add_constant(w, index, bias, NULL);
}

static bool add_operand(struct writer *w, uint32_t index)
{
    const struct ig_network_layer *layer = &w->network->layers[index];
    const struct ig_network_tensor *in = ig_network_input(w->network, layer, 0);
    const struct ig_network_tensor *out = &w->network->tensors[layer->output];
    struct ig_network_tensor tensor = {.type = IG_NETWORK_I32, .rank = 1};
    uint32_t axes[IG_NETWORK_RANK_MAX];
    switch (layer->op) {
    case IG_NETWORK_RESHAPE:
        if (out->rank == 0) return true; /* the output's own shape says it */
        tensor.name = IG_STR("shape");
        tensor.dims[0] = out->rank;
        return add_constant(w, index, tensor, out->dims);
    case IG_NETWORK_PAD:
        tensor.name = IG_STR("paddings");
        tensor.rank = 2;
        tensor.dims[0] = in->rank;
        tensor.dims[1] = 2;
        return add_constant(w, index, tensor, layer->pads);
    case IG_NETWORK_MEAN:
        tensor.name = IG_STR("axes");
        for (uint32_t d = 0; d < in->rank; d++)
            if (layer->axes >> d & 1) axes[tensor.dims[0]++] = d;
        return add_constant(w, index, tensor, axes);
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
        return ig_network_input(w->network, layer, 2) || add_bias(w, index);
    default:
        return true;
    }
}

/* ---- operator codes ---- */

static uint32_t version_of(const struct ig_network *network, const struct ig_network_layer *layer)
{
    bool i8 = ig_network_input(network, layer, 0)->type == IG_NETWORK_I8;
    const struct ig_network_tensor *weights = ig_network_input(network, layer, 1);
    switch (layer->op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
        return i8 ? 3 : weights->type == IG_NETWORK_I8 ? 2 : 1;
    case IG_NETWORK_FULLY_CONNECTED:
        if (layer->keep_dims) return 5;
        return i8 ? 4 : weights->type == IG_NETWORK_I8 ? 3 : 1;
    case IG_NETWORK_RESHAPE:
    case IG_NETWORK_RELU_N1_TO_1:
        return 1;
    case IG_NETWORK_DEQUANTIZE:
        return i8 ? 2 : 3;
    default:
        return i8 ? 2 : 1;
    }
}

static void number_code(struct writer *w, uint32_t index)
{
    const struct ig_network_layer *layer = &w->network->layers[index];
    uint32_t version = version_of(w->network, layer);
    for (uint32_t i = 0; i < w->codes_count; i++) {
        const struct ig_network_layer *other = &w->network->layers[w->code_layers[i]];
        if (other->op != layer->op || version_of(w->network, other) != version) continue;
        w->code[index] = i;
        return;
    }
    w->code[index] = w->codes_count;
    w->code_layers[w->codes_count++] = index;
}

static void write_codes(struct writer *w, size_t slot)
{
    size_t at = ig_flatbuffer_write_vector(&w->to, slot, NULL, w->codes_count, 4, 4);
    for (uint32_t i = 0; i < w->codes_count; i++) {
        const struct ig_network_layer *layer = &w->network->layers[w->code_layers[i]];
        int32_t code;
        uint8_t options;
        tflite_code_of(layer->op, &code, &options);
        const struct ig_flatbuffer_field fields[] = {
            {CODE_DEPRECATED, 1, (uint32_t)(code < INT8_MAX ? code : INT8_MAX)},
            {CODE_VERSION, 4, version_of(w->network, layer)},
            {CODE_BUILTIN, 4, (uint32_t)code},
        };
        ig_flatbuffer_link(&w->to, at + 4 * (size_t)i,
                           ig_flatbuffer_write_table(&w->to, fields, 3).table);
    }
}

/* ---- tensors ---- */

static void write_quantization(struct writer *w, size_t slot,
                               const struct ig_network_quantization *q)
{
    const struct ig_flatbuffer_field fields[] = {
        {QUANTIZATION_SCALE, 4, 0},
        {QUANTIZATION_ZERO_POINT, 4, 0},
        {QUANTIZATION_DIMENSION, 4, q->dimension},
    };
    struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&w->to, fields, 3);
    ig_flatbuffer_link(&w->to, slot, slots.table);
    ig_flatbuffer_write_vector(&w->to, slots.at[0], q->scales, q->count, sizeof(float), 4);
    int64_t *zeros = ig_arena_array(&w->arena, q->count, sizeof *zeros);
    for (uint32_t i = 0; zeros && i < q->count; i++) zeros[i] = q->zero_points[i];
    ig_flatbuffer_write_vector(&w->to, slots.at[1], zeros, q->count, sizeof *zeros, 8);
}

static void write_tensor(struct writer *w, size_t slot, const struct ig_network_tensor *tensor,
                         uint32_t buffer)
{
    static const uint8_t types[IG_NETWORK_TYPES_COUNT] = {
        [IG_NETWORK_F32] = TYPE_FLOAT32,
        [IG_NETWORK_F16] = TYPE_FLOAT16,
        [IG_NETWORK_I8] = TYPE_INT8,
        [IG_NETWORK_I32] = TYPE_INT32,
    };
    const struct ig_flatbuffer_field fields[] = {
        {TENSOR_SHAPE, 4, 0}, {TENSOR_TYPE, 1, types[tensor->type]}, {TENSOR_BUFFER, 4, buffer},
        {TENSOR_NAME, 4, 0},  {TENSOR_QUANTIZATION, 4, 0},
    };
    struct ig_flatbuffer_slots slots =
        ig_flatbuffer_write_table(&w->to, fields, tensor->quantization.count ? 5 : 4);
    ig_flatbuffer_link(&w->to, slot, slots.table);
    ig_flatbuffer_write_vector(&w->to, slots.at[0], tensor->dims, tensor->rank, 4, 4);
    ig_flatbuffer_write_text(&w->to, slots.at[3], tensor->name);
    if (tensor->quantization.count) write_quantization(w, slots.at[4], &tensor->quantization);
}

/* Buffer 0 is empty; each constant has one of its own, in order. */
static void write_tensors(struct writer *w, size_t slot)
{
    size_t at = ig_flatbuffer_write_vector(&w->to, slot, NULL, w->tensors_count, 4, 4);
    for (uint32_t i = 0; i < w->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &w->tensors[i];
        write_tensor(w, at + 4 * (size_t)i, tensor, tensor->data ? w->buffers_count++ : 0);
    }
}

static void write_buffer(struct writer *w, size_t slot, struct ig_str bytes)
{
    const struct ig_flatbuffer_field field = {BUFFER_DATA, 4, 0};
    struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&w->to, &field, bytes.len ? 1 : 0);
    ig_flatbuffer_link(&w->to, slot, slots.table);
    if (bytes.len)
        ig_flatbuffer_write_vector(&w->to, slots.at[0], bytes.ptr, (uint32_t)bytes.len, 1,
                                   DATA_ALIGNMENT);
}

static void write_buffers(struct writer *w, size_t slot)
{
    size_t at =
        ig_flatbuffer_write_vector(&w->to, slot, NULL, w->buffers_count + w->metadata_count, 4, 4);
    write_buffer(w, at, (struct ig_str){0});
    for (uint32_t i = 0; i < w->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &w->tensors[i];
        if (!tensor->data) continue;
        at += 4;
        write_buffer(w, at, (struct ig_str){tensor->data, ig_network_tensor_bytes(tensor)});
    }
    for (uint32_t i = 0; i < w->metadata_count; i++) {
        at += 4;
        write_buffer(w, at, w->metadata[i]);
    }
}

/* ---- operators ---- */

/* Fields of a layer's options; their number. */
static uint32_t window_fields(const struct ig_network_layer *layer, uint32_t multiplier,
                              struct ig_flatbuffer_field *fields)
{
    const struct ig_network_window *window = &layer->window;
    uint32_t act = (uint32_t)layer->activation, count = 0;
    fields[count++] = (struct ig_flatbuffer_field){WINDOW_PADDING, 1, (uint32_t)window->padding};
    fields[count++] = (struct ig_flatbuffer_field){WINDOW_STRIDE_W, 4, window->stride_w};
    fields[count++] = (struct ig_flatbuffer_field){WINDOW_STRIDE_H, 4, window->stride_h};
    if (layer->op == IG_NETWORK_CONV_2D) {
        fields[count++] = (struct ig_flatbuffer_field){CONV_ACTIVATION, 1, act};
        fields[count++] = (struct ig_flatbuffer_field){CONV_DILATION_W, 4, window->dilation_w};
        fields[count++] = (struct ig_flatbuffer_field){CONV_DILATION_H, 4, window->dilation_h};
    } else if (layer->op == IG_NETWORK_DEPTHWISE_CONV_2D) {
        fields[count++] = (struct ig_flatbuffer_field){DEPTHWISE_MULTIPLIER, 4, multiplier};
        fields[count++] = (struct ig_flatbuffer_field){DEPTHWISE_ACTIVATION, 1, act};
        fields[count++] = (struct ig_flatbuffer_field){DEPTHWISE_DILATION_W, 4, window->dilation_w};
        fields[count++] = (struct ig_flatbuffer_field){DEPTHWISE_DILATION_H, 4, window->dilation_h};
    } else {
        fields[count++] = (struct ig_flatbuffer_field){POOL_FILTER_W, 4, window->filter_w};
        fields[count++] = (struct ig_flatbuffer_field){POOL_FILTER_H, 4, window->filter_h};
        fields[count++] = (struct ig_flatbuffer_field){POOL_ACTIVATION, 1, act};
    }
    return count;
}

static uint32_t option_fields(const struct ig_network *network,
                              const struct ig_network_layer *layer,
                              struct ig_flatbuffer_field *fields)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    const struct ig_network_tensor *out = &network->tensors[layer->output];
    uint32_t act = (uint32_t)layer->activation, beta;
    switch (layer->op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
        return window_fields(layer, out->dims[3] / in->dims[3], fields);
    case IG_NETWORK_FULLY_CONNECTED:
        fields[0] = (struct ig_flatbuffer_field){FULLY_CONNECTED_ACTIVATION, 1, act};
        fields[1] =
            (struct ig_flatbuffer_field){FULLY_CONNECTED_KEEP_DIMS, 1, layer->keep_dims ? 1 : 0};
        return 2;
    case IG_NETWORK_SOFTMAX:
        memcpy(&beta, &layer->beta, sizeof beta);
        fields[0] = (struct ig_flatbuffer_field){SOFTMAX_BETA, 4, beta};
        return 1;
    case IG_NETWORK_CONCATENATION:
        fields[0] = (struct ig_flatbuffer_field){CONCATENATION_AXIS, 4, layer->axis};
        return 1;
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
        fields[0] = (struct ig_flatbuffer_field){ARITHMETIC_ACTIVATION, 1, act};
        return 1;
    case IG_NETWORK_MEAN:
        fields[0] = (struct ig_flatbuffer_field){REDUCER_KEEP_DIMS, 1, layer->keep_dims ? 1 : 0};
        return 1;
    default:
        return 0;
    }
}

static void write_inputs(struct writer *w, size_t slot, uint32_t index)
{
    const struct ig_network_layer *layer = &w->network->layers[index];
    uint32_t inputs[IG_NETWORK_LAYER_INPUTS_MAX + 1], count = layer->inputs_count;
    memcpy(inputs, layer->inputs, count * sizeof *inputs);
    while (count > 0 && inputs[count - 1] == IG_NETWORK_NONE) count--;
    if (w->operand[index] != IG_NETWORK_NONE) inputs[count++] = w->operand[index];
    ig_flatbuffer_write_vector(&w->to, slot, inputs, count, 4, 4);
}

static void write_operators(struct writer *w, size_t slot)
{
    uint32_t count = w->network->layers_count;
    size_t at = ig_flatbuffer_write_vector(&w->to, slot, NULL, count, 4, 4);
    for (uint32_t i = 0; i < count; i++) {
        const struct ig_network_layer *layer = &w->network->layers[i];
        struct ig_flatbuffer_field own[IG_FLATBUFFER_FIELDS_MAX];
        int32_t code;
        uint8_t options;
        tflite_code_of(layer->op, &code, &options);
        const struct ig_flatbuffer_field fields[] = {
            {OPERATOR_CODE, 4, w->code[i]},      {OPERATOR_INPUTS, 4, 0},  {OPERATOR_OUTPUTS, 4, 0},
            {OPERATOR_OPTIONS_TYPE, 1, options}, {OPERATOR_OPTIONS, 4, 0},
        };
        struct ig_flatbuffer_slots slots =
            ig_flatbuffer_write_table(&w->to, fields, options == OPTIONS_NONE ? 3 : 5);
        ig_flatbuffer_link(&w->to, at + 4 * (size_t)i, slots.table);
        write_inputs(w, slots.at[1], i);
        ig_flatbuffer_write_vector(&w->to, slots.at[2], &layer->output, 1, 4, 4);
        if (options == OPTIONS_NONE) continue;
        uint32_t own_count = option_fields(w->network, layer, own);
        ig_flatbuffer_link(&w->to, slots.at[4],
                           ig_flatbuffer_write_table(&w->to, own, own_count).table);
    }
}

/* ---- the whole ---- */

static void write_subgraphs(struct writer *w, size_t slot)
{
    const struct ig_network *network = w->network;
    const struct ig_flatbuffer_field fields[] = {
        {SUBGRAPH_TENSORS, 4, 0},   {SUBGRAPH_INPUTS, 4, 0}, {SUBGRAPH_OUTPUTS, 4, 0},
        {SUBGRAPH_OPERATORS, 4, 0}, {SUBGRAPH_NAME, 4, 0},
    };
    size_t at = ig_flatbuffer_write_vector(&w->to, slot, NULL, 1, 4, 4);
    struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&w->to, fields, 5);
    ig_flatbuffer_link(&w->to, at, slots.table);
    write_tensors(w, slots.at[0]);
    ig_flatbuffer_write_vector(&w->to, slots.at[1], network->inputs, network->inputs_count, 4, 4);
    ig_flatbuffer_write_vector(&w->to, slots.at[2], network->outputs, network->outputs_count, 4, 4);
    write_operators(w, slots.at[3]);
    ig_flatbuffer_write_text(&w->to, slots.at[4], IG_STR("main"));
}

/* Names of a signature's ends: the tensors' own where they have one. */
static void write_maps(struct writer *w, size_t slot, const char *word, const uint32_t *tensors,
                       uint32_t count)
{
    size_t at = ig_flatbuffer_write_vector(&w->to, slot, NULL, count, 4, 4);
    for (uint32_t i = 0; i < count; i++) {
        const struct ig_flatbuffer_field fields[] = {{MAP_NAME, 4, 0}, {MAP_TENSOR, 4, tensors[i]}};
        struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&w->to, fields, 2);
        struct ig_str name = w->network->tensors[tensors[i]].name;
        if (!name.len) {
            const char *text = ig_arena_printf(&w->arena, "%s_%u", word, i);
            name = ig_str_view(text);
        }
        ig_flatbuffer_link(&w->to, at + 4 * (size_t)i, slots.table);
        ig_flatbuffer_write_text(&w->to, slots.at[0], name);
    }
}

static void write_signatures(struct writer *w, size_t slot)
{
    const struct ig_network *network = w->network;
    const struct ig_flatbuffer_field fields[] = {
        {SIGNATURE_INPUTS, 4, 0},
        {SIGNATURE_OUTPUTS, 4, 0},
        {SIGNATURE_KEY, 4, 0},
        {SIGNATURE_SUBGRAPH, 4, 0},
    };
    size_t at = ig_flatbuffer_write_vector(&w->to, slot, NULL, 1, 4, 4);
    struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&w->to, fields, 4);
    ig_flatbuffer_link(&w->to, at, slots.table);
    write_maps(w, slots.at[0], "input", network->inputs, network->inputs_count);
    write_maps(w, slots.at[1], "output", network->outputs, network->outputs_count);
    ig_flatbuffer_write_text(&w->to, slots.at[2], IG_STR("serving_default"));
}

static void write_metadata(struct writer *w, size_t slot)
{
    size_t at = ig_flatbuffer_write_vector(&w->to, slot, NULL, w->metadata_count, 4, 4);
    for (uint32_t i = 0; i < w->metadata_count; i++) {
        const struct ig_flatbuffer_field fields[] = {{METADATA_NAME, 4, 0},
                                                     {METADATA_BUFFER, 4, w->buffers_count + i}};
        struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&w->to, fields, 2);
        ig_flatbuffer_link(&w->to, at + 4 * (size_t)i, slots.table);
        ig_flatbuffer_write_text(&w->to, slots.at[0], w->metadata_names[i]);
    }
}

static void write_model(struct writer *w)
{
    const struct ig_flatbuffer_field fields[] = {
        {MODEL_VERSION, 4, TFLITE_VERSION}, {MODEL_OPERATOR_CODES, 4, 0}, {MODEL_SUBGRAPHS, 4, 0},
        {MODEL_DESCRIPTION, 4, 0},          {MODEL_BUFFERS, 4, 0},        {MODEL_METADATA, 4, 0},
        {MODEL_SIGNATURES, 4, 0},
    };
    ig_flatbuffer_write_head(&w->to, TFLITE_IDENTIFIER);
    struct ig_flatbuffer_slots slots = ig_flatbuffer_write_table(&w->to, fields, 7);
    ig_flatbuffer_link(&w->to, IG_FLATBUFFER_ROOT, slots.table);
    write_codes(w, slots.at[1]);
    write_subgraphs(w, slots.at[2]);
    ig_flatbuffer_write_text(&w->to, slots.at[3], w->network->description);
    write_metadata(w, slots.at[5]);
    write_signatures(w, slots.at[6]);
    write_buffers(w, slots.at[4]);
}

/* Where each tensor lies in the arena, -1 of constants: version, subgraph, count, offsets. */
static bool plan_memory(struct writer *w)
{
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = IG_ISA_SCALAR};
    size_t count = PLAN_HEAD + (size_t)w->tensors_count;
    int32_t *plan = ig_arena_array(&w->arena, count, sizeof *plan);
    if (!plan) return no_memory(w);
    if (ig_nn_new(&nn, w->network, &options, w->err) != IG_OK) return false;
    plan[0] = 1;
    plan[2] = (int32_t)w->tensors_count;
    for (uint32_t i = 0; i < w->tensors_count; i++) {
        size_t offset = i < w->network->tensors_count ? ig_nn_offset(nn, i) : SIZE_MAX;
        plan[PLAN_HEAD + i] = offset > INT32_MAX ? -1 : (int32_t)offset;
    }
    ig_nn_free(nn);
    w->metadata_names[w->metadata_count] = IG_STR(TFLITE_MEMORY_PLAN);
    w->metadata[w->metadata_count++] = (struct ig_str){(const char *)plan, count * sizeof *plan};
    return true;
}

static bool prepare(struct writer *w)
{
    const struct ig_network *network = w->network;
    size_t layers = network->layers_count + (size_t)1;
    w->tensors = ig_arena_array(&w->arena, network->tensors_count + layers, sizeof *w->tensors);
    w->operand = ig_arena_array(&w->arena, layers, sizeof *w->operand);
    w->code = ig_arena_array(&w->arena, layers, sizeof *w->code);
    w->code_layers = ig_arena_array(&w->arena, layers, sizeof *w->code_layers);
    if (!w->tensors || !w->operand || !w->code || !w->code_layers) return no_memory(w);
    if (network->tensors_count)
        memcpy(w->tensors, network->tensors, network->tensors_count * sizeof *w->tensors);
    w->tensors_count = network->tensors_count;
    w->buffers_count = 1;
    for (uint32_t i = 0; i < network->layers_count; i++) {
        w->operand[i] = IG_NETWORK_NONE;
        if (!add_operand(w, i)) return false;
        number_code(w, i);
    }
    if (network->rounding == IG_NETWORK_ROUNDING_DOUBLE) {
        w->metadata_names[w->metadata_count] = IG_STR(TFLITE_ROUNDING);
        w->metadata[w->metadata_count++] = IG_STR("double");
    }
    return plan_memory(w);
}

enum ig_code ig_tflite_write(struct ig_buf *out, const struct ig_network *network,
                             struct ig_err *err)
{
    struct writer w = {.to = {out}, .network = network, .err = err};
    IG_ASSERT(out->len == 0);
    ig_arena_init(&w.arena, CHUNK_BYTES, SCRATCH_BYTES);
    if (prepare(&w)) {
        write_model(&w);
        if (w.arena.overflowed || out->overflowed) no_memory(&w);
    }
    ig_arena_deinit(&w.arena);
    return err->code;
}
