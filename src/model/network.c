/* SPDX-License-Identifier: Apache-2.0 */
/* Networks: birth, end, copies, building, and the names and sizes of things. */
#include "model/network.h"

#include "base/mem.h"
#include "model/network_priv.h"

#include <string.h>

enum { CHUNK_BYTES = 64 * 1024 };

static const struct {
    size_t bytes;
    const char *name;
} types[IG_NETWORK_TYPES_COUNT] = {
    [IG_NETWORK_F32] = {4, "float32"},
    [IG_NETWORK_F16] = {2, "float16"},
    [IG_NETWORK_I8] = {1, "int8"},
    [IG_NETWORK_I32] = {4, "int32"},
};

static const char *const op_names[IG_NETWORK_OPS_COUNT] = {
#define IG_NETWORK_OP(name, inputs_min, inputs_max, doc) #name,
#include "model/network_ops.def"
#undef IG_NETWORK_OP
};

static const char *const activation_names[IG_NETWORK_ACTIVATIONS_COUNT] = {
    [IG_NETWORK_ACTIVATION_NONE] = "none",
    [IG_NETWORK_ACTIVATION_RELU] = "relu",
    [IG_NETWORK_ACTIVATION_RELU_N1_TO_1] = "relu_n1_to_1",
    [IG_NETWORK_ACTIVATION_RELU6] = "relu6",
};

struct ig_network *ig_network_new(size_t max_bytes)
{
    struct ig_network *network = ig_zalloc(sizeof *network);
    if (!network) return NULL;
    ig_arena_init(&network->arena, CHUNK_BYTES, max_bytes);
    return network;
}

void ig_network_free(struct ig_network *network)
{
    if (!network) return;
    ig_arena_deinit(&network->arena);
    ig_free(network);
}

const void *ig_network_keep(struct ig_network *network, const void *data, size_t size_bytes)
{
    void *copy = ig_arena_alloc(&network->arena, size_bytes);
    if (copy && size_bytes) memcpy(copy, data, size_bytes);
    return copy;
}

static const void *keep_array(struct ig_network *network, const void *items, size_t count,
                              size_t item_bytes)
{
    return count && items ? ig_arena_copy(&network->arena, items, count, item_bytes) : NULL;
}

/* One more item behind `count`, or NULL; the failure sticks. */
static void *grow(struct ig_network *network, void *items, uint32_t count, size_t *cap,
                  size_t item_bytes)
{
    return ig_arena_grow(&network->arena, items, count, cap, item_bytes);
}

uint32_t ig_network_add_tensor(struct ig_network *network, const struct ig_network_tensor *tensor)
{
    struct ig_network_tensor copy = *tensor;
    struct ig_network_quantization *q = &copy.quantization;
    if (network->tensors_count == IG_NETWORK_TENSORS_MAX) network->arena.overflowed = true;
    if (copy.name.len) copy.name = ig_arena_dup(&network->arena, copy.name);
    q->scales = keep_array(network, q->scales, q->count, sizeof *q->scales);
    q->zero_points = keep_array(network, q->zero_points, q->count, sizeof *q->zero_points);
    struct ig_network_tensor *tensors = grow(network, network->tensors, network->tensors_count,
                                             &network->tensors_cap, sizeof *tensors);
    if (!tensors || network->arena.overflowed) return IG_NETWORK_NONE;
    network->tensors = tensors;
    tensors[network->tensors_count] = copy;
    return network->tensors_count++;
}

uint32_t ig_network_add_layer(struct ig_network *network, const struct ig_network_layer *layer)
{
    struct ig_network_layer copy = *layer;
    if (network->layers_count == IG_NETWORK_LAYERS_MAX) network->arena.overflowed = true;
    copy.inputs = keep_array(network, copy.inputs, copy.inputs_count, sizeof *copy.inputs);
    struct ig_network_layer *layers =
        grow(network, network->layers, network->layers_count, &network->layers_cap, sizeof *layers);
    if (!layers || network->arena.overflowed) return IG_NETWORK_NONE;
    network->layers = layers;
    layers[network->layers_count] = copy;
    return network->layers_count++;
}

static bool set_list(struct ig_network *network, uint32_t **list, uint32_t *list_count,
                     const uint32_t *tensors, uint32_t count)
{
    uint32_t *copy = ig_arena_copy(&network->arena, tensors, count, sizeof *copy);
    if (!copy) return false;
    *list = copy;
    *list_count = count;
    return true;
}

bool ig_network_set_inputs(struct ig_network *network, const uint32_t *tensors, uint32_t count)
{
    return set_list(network, &network->inputs, &network->inputs_count, tensors, count);
}

bool ig_network_set_outputs(struct ig_network *network, const uint32_t *tensors, uint32_t count)
{
    return set_list(network, &network->outputs, &network->outputs_count, tensors, count);
}

static bool copy_all(struct ig_network *copy, const struct ig_network *network)
{
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        struct ig_network_tensor tensor = network->tensors[i];
        size_t bytes;
        if (tensor.data && !ig_network_measure(&tensor, &bytes)) return false;
        if (tensor.data) tensor.data = ig_network_keep(copy, tensor.data, bytes);
        if (ig_network_add_tensor(copy, &tensor) == IG_NETWORK_NONE) return false;
    }
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (ig_network_add_layer(copy, &network->layers[i]) == IG_NETWORK_NONE) return false;
    copy->rounding = network->rounding;
    if (network->description.len)
        copy->description = ig_arena_dup(&copy->arena, network->description);
    return ig_network_set_inputs(copy, network->inputs, network->inputs_count) &&
           ig_network_set_outputs(copy, network->outputs, network->outputs_count);
}

struct ig_network *ig_network_dup(const struct ig_network *network, size_t max_bytes)
{
    struct ig_network *copy = ig_network_new(max_bytes);
    if (copy && (!copy_all(copy, network) || copy->arena.overflowed)) {
        ig_network_free(copy);
        return NULL;
    }
    return copy;
}

bool ig_network_measure(const struct ig_network_tensor *tensor, size_t *size_bytes)
{
    size_t count = 1;
    if (tensor->rank > IG_NETWORK_RANK_MAX || tensor->type >= IG_NETWORK_TYPES_COUNT) return false;
    for (uint32_t i = 0; i < tensor->rank; i++)
        if (tensor->dims[i] == 0 || !ig_mul(&count, count, tensor->dims[i]) ||
            count > IG_NETWORK_ELEMENTS_MAX)
            return false;
    *size_bytes = count * types[tensor->type].bytes;
    return true;
}

size_t ig_network_tensor_count(const struct ig_network_tensor *tensor)
{
    size_t count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) count *= tensor->dims[i];
    return count;
}

size_t ig_network_tensor_bytes(const struct ig_network_tensor *tensor)
{
    return ig_network_tensor_count(tensor) * types[tensor->type].bytes;
}

size_t ig_network_bytes(const struct ig_network *network)
{
    size_t bytes = network->arena.held_bytes;
    for (uint32_t i = 0; i < network->tensors_count; i++)
        if (network->tensors[i].data) bytes += ig_network_tensor_bytes(&network->tensors[i]);
    return bytes;
}

const struct ig_network_tensor *ig_network_input(const struct ig_network *network,
                                                 const struct ig_network_layer *layer,
                                                 uint32_t index)
{
    if (index >= layer->inputs_count || layer->inputs[index] == IG_NETWORK_NONE) return NULL;
    return &network->tensors[layer->inputs[index]];
}

size_t ig_network_type_bytes(enum ig_network_type type)
{
    return type < IG_NETWORK_TYPES_COUNT ? types[type].bytes : 0;
}

const char *ig_network_type_name(enum ig_network_type type)
{
    return type < IG_NETWORK_TYPES_COUNT ? types[type].name : "unknown";
}

const char *ig_network_op_name(enum ig_network_op op)
{
    return op < IG_NETWORK_OPS_COUNT ? op_names[op] : "unknown";
}

const char *ig_network_activation_name(enum ig_network_activation activation)
{
    return activation < IG_NETWORK_ACTIVATIONS_COUNT ? activation_names[activation] : "unknown";
}

float ig_network_f16(uint16_t bits)
{
    uint32_t sign = (uint32_t)(bits & 0x8000) << 16, exponent = bits >> 10 & 31;
    uint32_t fraction = bits & 0x3ff, word;
    float value;
    if (exponent == 0) {
        value = (float)fraction * 0x1p-24F;
        return sign ? -value : value;
    }
    word = sign | (exponent == 31 ? 255U : exponent + 112) << 23 | fraction << 13;
    memcpy(&value, &word, sizeof value);
    return value;
}

bool ig_network_gives_probabilities(const struct ig_network *network)
{
    if (network->outputs_count != 1) return false;
    uint32_t tensor = network->outputs[0];
    for (uint32_t i = network->layers_count; i-- > 0;) {
        const struct ig_network_layer *layer = &network->layers[i];
        if (layer->output != tensor) continue;
        if (layer->op == IG_NETWORK_SOFTMAX || layer->op == IG_NETWORK_LOGISTIC) return true;
        if (layer->op != IG_NETWORK_RESHAPE && layer->op != IG_NETWORK_DEQUANTIZE &&
            layer->op != IG_NETWORK_QUANTIZE)
            return false;
        tensor = layer->inputs[0];
    }
    return false;
}
