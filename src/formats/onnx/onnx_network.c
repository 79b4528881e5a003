/* SPDX-License-Identifier: Apache-2.0 */
/* ONNX graphs as networks: nodes become layers one after the other, with images turned to channels
 * last on paper (a Transpose is a word about a tensor, not a layer), constants folded, clamps and
 * biases taken into the layers before them. QuantizeLinear marks a tensor as steps; what that makes
 * int8 is settled at the end. Labels beside probabilities, and what only they need, are left out.
 *
 * Every tensor's size is bounded before it is made, and memory by the graph's. */
#include "formats/onnx/onnx_network_priv.h"

#include "base/mem.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, FACTOR = 8 };
static const size_t FLOOR_BYTES = 16 << 20;

void onnx_net_set_refused(struct onnx_net *n, const char *format, ...)
{
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    ig_fail(n->err, IG_UNSUPPORTED, "no network: node '%.*s' (%.*s): %s",
            IG_STR_ARGS(n->node->name), IG_STR_ARGS(n->node->op), text);
}

void onnx_net_set_no_memory(struct onnx_net *n)
{
    ig_fail(n->err, IG_NO_MEMORY, "no memory for the network, or over a limit");
}

/* ---- values ---- */

struct onnx_known_value *onnx_net_in(struct onnx_net *n, uint32_t index)
{
    if (index >= n->node->inputs_count || n->node->inputs[index] == IG_GRAPH_NONE) return NULL;
    return &n->values[n->node->inputs[index]];
}

struct onnx_known_value *onnx_net_activation(struct onnx_net *n, uint32_t index)
{
    struct onnx_known_value *value = onnx_net_in(n, index);
    if (value && value->known == ONNX_ACTIVATION && !value->is_codes) return value;
    onnx_net_set_refused(n, "input %u is %s, expected numbers that are computed", index,
                         !value            ? "left out"
                         : value->is_codes ? "int8 codes"
                                           : "a constant");
    return NULL;
}

const struct ig_tensor *onnx_net_constant(struct onnx_net *n, uint32_t index)
{
    const struct onnx_known_value *value = onnx_net_in(n, index);
    return value && value->known == ONNX_CONSTANT ? value->constant : NULL;
}

static struct onnx_known_value *output(struct onnx_net *n)
{
    return &n->values[n->node->outputs[0]];
}

/* Takes what is known over; how often the value is used stays its own. */
static void become(struct onnx_known_value *value, const struct onnx_known_value *as)
{
    uint32_t uses = value->uses;
    *value = *as;
    value->uses = uses;
}

void onnx_net_alias(struct onnx_net *n, const struct onnx_known_value *as)
{
    if (as->known == ONNX_ACTIVATION && as->uses > 1) n->facts[as->tensor].pinned = true;
    become(output(n), as);
}

void onnx_net_give_constant(struct onnx_net *n, const struct ig_tensor *tensor)
{
    struct onnx_known_value value = {.known = ONNX_CONSTANT, .rank = tensor->rank};
    memcpy(value.dims, tensor->dims, sizeof value.dims);
    value.constant = tensor;
    become(output(n), &value);
}

const struct ig_tensor *onnx_net_new_constant(struct onnx_net *n, enum ig_tensor_type type,
                                              const int64_t *dims, uint32_t rank)
{
    struct ig_tensor *tensor = ig_arena_zalloc(&n->arena, sizeof *tensor);
    if (!tensor) return NULL;
    tensor->type = type;
    tensor->rank = rank;
    memcpy(tensor->dims, dims, rank * sizeof *dims);
    if (!ig_tensor_size(&tensor->count, dims, rank)) return NULL;
    tensor->data = ig_arena_array(&n->arena, tensor->count + 1, ig_tensor_type_bytes(type));
    return tensor->data ? tensor : NULL;
}

/* Rows are one; every other dimension is known. */
static bool tensor_dims(struct onnx_net *n, const struct onnx_known_value *value)
{
    uint64_t count = 1;
    if (value->rank == 0 || value->rank > IG_NETWORK_RANK_MAX)
        return onnx_net_refuse(n, "a value of %u dimensions, expected 1 to %d", value->rank,
                               IG_NETWORK_RANK_MAX);
    for (uint32_t d = 0; d < value->rank; d++) {
        if (value->dims[d] < 1 || value->dims[d] > IG_NETWORK_ELEMENTS_MAX ||
            (count *= (uint64_t)value->dims[d]) > IG_NETWORK_ELEMENTS_MAX)
            return onnx_net_refuse(n, "dimension %u is %lld: sizes must be known and small", d,
                                   (long long)value->dims[d]);
    }
    return true;
}

/* ---- tensors and layers of the network ---- */

static uint32_t add_tensor(struct onnx_net *n, const struct ig_network_tensor *tensor)
{
    struct onnx_tensor_facts *facts =
        ig_arena_grow(&n->arena, n->facts, n->network->tensors_count, &n->facts_cap, sizeof *facts);
    uint32_t index = facts ? ig_network_add_tensor(n->network, tensor) : IG_NETWORK_NONE;
    if (index == IG_NETWORK_NONE) {
        onnx_net_set_no_memory(n);
        return index;
    }
    n->facts = facts;
    facts[index] = (struct onnx_tensor_facts){0};
    return index;
}

uint32_t onnx_net_floats(struct onnx_net *n, const float *values, const uint32_t *dims,
                         uint32_t rank)
{
    struct ig_network_tensor tensor = {.type = IG_NETWORK_F32, .rank = rank};
    memcpy(tensor.dims, dims, rank * sizeof *dims);
    tensor.data =
        ig_network_keep(n->network, values, ig_network_tensor_count(&tensor) * sizeof *values);
    if (!tensor.data) {
        onnx_net_set_no_memory(n);
        return IG_NETWORK_NONE;
    }
    return add_tensor(n, &tensor);
}

static bool fits(const uint32_t *dims, uint32_t rank)
{
    uint64_t count = 1;
    for (uint32_t d = 0; d < rank; d++) {
        count *= dims[d];
        if (dims[d] == 0 || count > IG_NETWORK_ELEMENTS_MAX) return false;
    }
    return true;
}

/* Steps go through layers that only move numbers. */
static void carry_steps(struct onnx_net *n, const struct ig_network_layer *layer)
{
    const struct onnx_tensor_facts *first = &n->facts[layer->inputs[0]];
    bool moves = layer->op == IG_NETWORK_RESHAPE || layer->op == IG_NETWORK_PAD ||
                 layer->op == IG_NETWORK_MAX_POOL_2D || layer->op == IG_NETWORK_CONCATENATION;
    for (uint32_t i = 0; moves && i < layer->inputs_count; i++) {
        const struct onnx_tensor_facts *from = &n->facts[layer->inputs[i]];
        moves =
            from->stepped && from->scale == first->scale && from->zero_point == first->zero_point;
    }
    struct onnx_tensor_facts *to = &n->facts[layer->output];
    to->stepped = moves;
    to->scale = moves ? first->scale : 0;
    to->zero_point = moves ? first->zero_point : 0;
}

bool onnx_net_layer(struct onnx_net *n, struct ig_network_layer *layer, const uint32_t *dims,
                    uint32_t rank, uint32_t *out)
{
    struct ig_network_tensor tensor = {.type = IG_NETWORK_F32, .rank = rank};
    struct ig_err err = IG_ERR_INIT;
    if (dims) {
        memcpy(tensor.dims, dims, rank * sizeof *dims);
    } else if (ig_network_infer(n->network, layer, tensor.dims, &tensor.rank, &err) != IG_OK) {
        return onnx_net_refuse(n, "%s", err.message);
    }
    if (tensor.rank > IG_NETWORK_RANK_MAX || !fits(tensor.dims, tensor.rank))
        return onnx_net_refuse(n, "a tensor over %d elements", IG_NETWORK_ELEMENTS_MAX);
    tensor.name = n->node->outputs_count ? n->graph->values[n->node->outputs[0]].name : IG_STR("");
    layer->output = add_tensor(n, &tensor);
    if (layer->output == IG_NETWORK_NONE) return false;
    if (ig_network_add_layer(n->network, layer) == IG_NETWORK_NONE) return onnx_net_no_memory(n);
    n->facts[layer->output].layer = n->network->layers_count;
    carry_steps(n, layer);
    *out = layer->output;
    return true;
}

void onnx_net_give(struct onnx_net *n, uint32_t tensor, enum onnx_order order)
{
    const struct ig_network_tensor *of = &n->network->tensors[tensor];
    struct onnx_known_value value = {.known = ONNX_ACTIVATION, .rank = of->rank};
    bool image = order == ONNX_LAST && of->rank == 4;
    value.tensor = tensor;
    value.order = image ? ONNX_LAST : ONNX_PLAIN;
    for (uint32_t d = 0; d < of->rank; d++) value.dims[d] = of->dims[d];
    if (image) {
        value.dims[1] = of->dims[3];
        value.dims[2] = of->dims[1];
        value.dims[3] = of->dims[2];
    }
    become(output(n), &value);
}

bool onnx_net_simple(struct onnx_net *n, enum ig_network_op op, const struct onnx_known_value *in,
                     uint32_t *out)
{
    struct ig_network_layer layer = {.op = op, .inputs = &in->tensor, .inputs_count = 1, .beta = 1};
    return onnx_net_layer(n, &layer, NULL, 0, out);
}

bool onnx_net_reshape(struct onnx_net *n, uint32_t tensor, const int64_t *dims, uint32_t rank,
                      uint32_t *out)
{
    struct ig_network_layer layer = {
        .op = IG_NETWORK_RESHAPE, .inputs = &tensor, .inputs_count = 1};
    struct onnx_known_value as = {.rank = rank};
    uint32_t narrow[IG_NETWORK_RANK_MAX];
    if (rank > IG_NETWORK_RANK_MAX) return onnx_net_refuse(n, "%u dimensions", rank);
    memcpy(as.dims, dims, rank * sizeof *dims);
    if (!tensor_dims(n, &as)) return false;
    for (uint32_t d = 0; d < rank; d++) narrow[d] = (uint32_t)dims[d];
    return onnx_net_layer(n, &layer, narrow, rank, out);
}

static bool same_order(const int64_t *image) /* channels, height, width */
{
    return image[0] == 1 || (image[1] == 1 && image[2] == 1);
}

bool onnx_net_to_image(struct onnx_net *n, struct onnx_known_value *value)
{
    if (value->order == ONNX_LAST) return true;
    if (value->rank != 4 || !same_order(value->dims + 1))
        return onnx_net_refuse(n, "its input is no image with channels first");
    const int64_t *d = value->dims, turned[] = {d[0], d[2], d[3], d[1]};
    if (!onnx_net_reshape(n, value->tensor, turned, 4, &value->tensor)) return false;
    value->order = ONNX_LAST;
    return true;
}

bool onnx_net_to_plain(struct onnx_net *n, struct onnx_known_value *value)
{
    if (value->order == ONNX_PLAIN) return true;
    const int64_t image[] = {value->image[0], value->image[1], value->image[2]};
    bool flat = value->order == ONNX_FLAT_IMAGE;
    if (!same_order(flat ? image : value->dims + 1))
        return onnx_net_refuse(n, "it needs the elements of an image with channels first in their "
                                  "order; here channels are last");
    if (!flat && !onnx_net_reshape(n, value->tensor, value->dims, value->rank, &value->tensor))
        return false;
    value->order = ONNX_PLAIN;
    return true;
}

struct ig_network_layer *onnx_net_producer(struct onnx_net *n, const struct onnx_known_value *value)
{
    const struct onnx_tensor_facts *facts = &n->facts[value->tensor];
    if (!facts->layer || facts->pinned || facts->stepped || value->uses != 1) return NULL;
    struct ig_network_layer *layer = &n->network->layers[facts->layer - 1];
    return layer->activation == IG_NETWORK_ACTIVATION_NONE ? layer : NULL;
}

/* ---- the graph's ends ---- */

static bool is_among(struct ig_str op, const char *const *names, size_t count)
{
    for (size_t i = 0; i < count; i++)
        if (ig_str_is(op, names[i])) return true;
    return false;
}

/* Marks the values that are read as images with channels first, through what asks for no order. */
static void mark_images(struct onnx_net *n)
{
    static const char *const images[] = {"Conv",          "MaxPool",
                                         "AveragePool",   "GlobalAveragePool",
                                         "GlobalMaxPool", "BatchNormalization"};
    static const char *const turns[] = {"Transpose", "Reshape",    "Flatten", "Squeeze",
                                        "Unsqueeze", "ReduceMean", "Gemm",    "MatMul"};
    for (uint32_t i = n->graph->nodes_count; i-- > 0;) {
        const struct ig_graph_node *node = &n->graph->nodes[i];
        bool image = false;
        for (uint32_t k = 0; k < node->outputs_count; k++)
            if (node->outputs[k] != IG_GRAPH_NONE) image |= n->values[node->outputs[k]].is_image;
        if (is_among(node->op, turns, sizeof turns / sizeof *turns)) image = false;
        if (is_among(node->op, images, sizeof images / sizeof *images)) image = true;
        for (uint32_t k = 0; n->needed[i] && image && k < node->inputs_count; k++)
            if (node->inputs[k] != IG_GRAPH_NONE) n->values[node->inputs[k]].is_image = true;
    }
}

/* The graph's first dimension, where it is open, is one row. */
static bool read_input(struct onnx_net *n, uint32_t index, uint32_t *tensor)
{
    const struct ig_graph_value *from = &n->graph->values[index];
    struct onnx_known_value *value = &n->values[index];
    struct ig_network_tensor made = {.name = from->name, .type = IG_NETWORK_F32};
    n->end = (struct ig_graph_node){.name = from->name, .op = IG_STR("input")};
    n->node = &n->end;
    if (from->type != IG_TENSOR_F32 || !from->declared)
        return onnx_net_refuse(n, "its type is %s, expected float32 of a known shape",
                               from->declared ? ig_tensor_type_name(from->type) : "not told");
    value->known = ONNX_ACTIVATION;
    value->rank = from->rank;
    memcpy(value->dims, from->dims, sizeof value->dims);
    if (value->rank && value->dims[0] == -1) value->dims[0] = 1;
    if (!tensor_dims(n, value)) return false;
    made.rank = value->rank;
    bool image = value->rank == 4 && value->is_image;
    value->order = image ? ONNX_LAST : ONNX_PLAIN;
    for (uint32_t d = 0; d < made.rank; d++) {
        static const uint32_t LAST[] = {0, 2, 3, 1};
        made.dims[d] = (uint32_t)value->dims[image ? LAST[d] : d];
    }
    value->tensor = *tensor = add_tensor(n, &made);
    return *tensor != IG_NETWORK_NONE;
}

/* The numbers of an output: of a ZipMap those that it names. NONE: a label, which has no place. */
static uint32_t numbers_of(const struct onnx_net *n, uint32_t value)
{
    for (uint32_t i = 0; i < n->graph->nodes_count; i++) {
        const struct ig_graph_node *node = &n->graph->nodes[i];
        if (node->outputs_count && node->outputs[0] == value && ig_str_is(node->op, "ZipMap"))
            return node->inputs_count ? node->inputs[0] : IG_GRAPH_NONE;
    }
    const struct ig_graph_value *of = &n->graph->values[value];
    bool label = of->type == IG_TENSOR_I64 || of->type == IG_TENSOR_I32 ||
                 of->type == IG_TENSOR_STRING || of->type == IG_TENSOR_BOOL;
    return label ? IG_GRAPH_NONE : value;
}

/* Marks what the wanted outputs need, from behind; counts uses. */
static void mark(struct onnx_net *n)
{
    for (uint32_t i = n->graph->nodes_count; i-- > 0;) {
        const struct ig_graph_node *node = &n->graph->nodes[i];
        for (uint32_t k = 0; k < node->outputs_count; k++)
            if (node->outputs[k] != IG_GRAPH_NONE && n->values[node->outputs[k]].uses)
                n->needed[i] = true;
        for (uint32_t k = 0; n->needed[i] && k < node->inputs_count; k++)
            if (node->inputs[k] != IG_GRAPH_NONE) n->values[node->inputs[k]].uses++;
    }
}

static bool read_nodes(struct onnx_net *n)
{
    for (uint32_t i = 0; i < n->graph->nodes_count; i++) {
        if (!n->needed[i]) continue;
        n->node = &n->graph->nodes[i];
        onnx_net_read *read = onnx_net_operator(n->node);
        if (!read) return onnx_net_refuse(n, "the operator has no place in a network for devices");
        if (n->node->outputs_count == 0 || n->node->outputs[0] == IG_GRAPH_NONE)
            return onnx_net_refuse(n, "it has no output");
        for (uint32_t k = 0; k < n->node->inputs_count; k++)
            if (n->node->inputs[k] != IG_GRAPH_NONE &&
                n->values[n->node->inputs[k]].known == ONNX_UNKNOWN)
                return onnx_net_refuse(n, "input %u is another output than a node's first", k);
        if (!read(n)) return false;
    }
    return true;
}

static bool set_outputs(struct onnx_net *n, const uint32_t *wanted, uint32_t count)
{
    uint32_t *tensors = ig_arena_array(&n->arena, count, sizeof *tensors);
    if (!tensors) return onnx_net_no_memory(n);
    for (uint32_t i = 0; i < count; i++) {
        struct onnx_known_value *value = &n->values[wanted[i]];
        struct ig_str name = n->graph->values[wanted[i]].name;
        n->end = (struct ig_graph_node){.name = name, .op = IG_STR("output")};
        n->node = &n->end;
        if (value->known != ONNX_ACTIVATION || value->is_codes)
            return onnx_net_refuse(n, "it is not computed, or int8 codes");
        if (value->order == ONNX_FLAT_IMAGE && !onnx_net_to_plain(n, value)) return false;
        tensors[i] = value->tensor;
        n->network->tensors[value->tensor].name = ig_arena_dup(&n->network->arena, name);
    }
    return ig_network_set_outputs(n->network, tensors, count) || onnx_net_no_memory(n);
}

static bool read_graph(struct onnx_net *n)
{
    const struct ig_graph *graph = n->graph;
    uint32_t count = 0;
    uint32_t *wanted = ig_arena_array(&n->arena, graph->outputs_count + (size_t)1, sizeof *wanted);
    uint32_t *inputs = ig_arena_array(&n->arena, graph->inputs_count + (size_t)1, sizeof *inputs);
    n->values = ig_arena_array(&n->arena, graph->values_count + (size_t)1, sizeof *n->values);
    n->needed = ig_arena_array(&n->arena, graph->nodes_count + (size_t)1, sizeof *n->needed);
    if (!wanted || !inputs || !n->values || !n->needed) return onnx_net_no_memory(n);
    for (uint32_t i = 0; i < graph->outputs_count; i++) {
        uint32_t numbers = numbers_of(n, graph->outputs[i]);
        if (numbers == IG_GRAPH_NONE) continue;
        n->values[numbers].uses++;
        wanted[count++] = numbers;
    }
    if (count == 0) {
        ig_fail(n->err, IG_UNSUPPORTED, "no network: its outputs are labels alone");
        return false;
    }
    mark(n);
    mark_images(n);
    for (uint32_t i = 0; i < graph->values_count; i++) {
        const struct ig_tensor *tensor = graph->values[i].initialiser;
        if (!tensor) continue;
        n->values[i].known = ONNX_CONSTANT;
        n->values[i].constant = tensor;
        n->values[i].rank = tensor->rank;
        memcpy(n->values[i].dims, tensor->dims, sizeof tensor->dims);
    }
    for (uint32_t i = 0; i < graph->inputs_count; i++)
        if (!read_input(n, graph->inputs[i], &inputs[i])) return false;
    if (!ig_network_set_inputs(n->network, inputs, graph->inputs_count))
        return onnx_net_no_memory(n);
    return read_nodes(n) && set_outputs(n, wanted, count) && onnx_net_finish_steps(n);
}

/* ---- the whole ---- */

/* Whether an input lies otherwise than the graph's. */
static bool is_moved(const struct onnx_known_value *value)
{
    return value->order == ONNX_LAST && !same_order(value->dims + 1);
}

/* Of each element of a network's input, where it lies among the graph's features from `base` on. */
static void map_input(const struct onnx_known_value *value, size_t count, size_t base,
                      uint32_t *map)
{
    size_t c = 1, places = count;
    if (value->order == ONNX_LAST) {
        c = (size_t)value->dims[1];
        places = (size_t)(value->dims[2] * value->dims[3]);
    }
    for (size_t k = 0; k < count; k++) { /* k = (row * places + place) * c + channel */
        size_t channel = k % c, place = k / c % places, row = k / c / places;
        map[k] = (uint32_t)(base + (row * c + channel) * places + place);
    }
}

static bool map_features(struct onnx_net *n, uint32_t **features)
{
    const struct ig_network *network = n->network;
    size_t total = 0, base = 0;
    bool moved = false;
    for (uint32_t i = 0; i < network->inputs_count; i++) {
        total += ig_network_tensor_count(&network->tensors[network->inputs[i]]);
        moved |= is_moved(&n->values[n->graph->inputs[i]]);
    }
    if (!moved) return true;
    uint32_t *map = ig_arena_array(&n->network->arena, total, sizeof *map);
    if (!map) return onnx_net_no_memory(n);
    for (uint32_t i = 0; i < network->inputs_count; i++) {
        size_t count = ig_network_tensor_count(&network->tensors[network->inputs[i]]);
        map_input(&n->values[n->graph->inputs[i]], count, base, map + base);
        base += count;
    }
    *features = map;
    return true;
}

enum ig_code ig_onnx_network(struct ig_onnx_network *out, const struct ig_graph *graph,
                             struct ig_err *err)
{
    struct onnx_net n = {.graph = graph, .err = err};
    struct ig_onnx_network made = {0};
    size_t bound;
    if (!ig_mul(&bound, graph->arena.held_bytes, FACTOR) || !ig_add(&bound, bound, FLOOR_BYTES))
        return ig_fail(err, IG_TOO_LARGE, "the graph holds %zu bytes", graph->arena.held_bytes);
    n.opset = ig_graph_opset(graph, IG_STR(""));
    n.network = ig_network_new(bound);
    ig_arena_init(&n.arena, CHUNK_BYTES, bound);
    if (!n.network) {
        onnx_net_set_no_memory(&n);
    } else if (read_graph(&n) && map_features(&n, &made.features)) {
        n.network->description = ig_arena_dup(&n.network->arena, graph->producer);
        if (ig_network_check(n.network, err) == IG_OK) made.network = n.network;
    }
    ig_arena_deinit(&n.arena);
    if (err->code != IG_OK) {
        ig_network_free(n.network);
        return err->code;
    }
    *out = made;
    return IG_OK;
}
