/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs of tensor operators: birth, end, validation and the attributes' lookups.
 *
 * Nodes must lie in topological order, as ONNX demands: one forward pass then proves that there is
 * no cycle. Thread rule: a checked graph is immutable. */
#include "model/graph.h"

#include "base/mem.h"

#include <string.h>

enum { CHUNK_BYTES = 64 * 1024, ELEMENTS_MAX = INT32_MAX };

static const struct {
    enum ig_tensor_type type;
    size_t bytes;
    const char *name;
} types[] = {
    {IG_TENSOR_F32, 4, "float32"}, {IG_TENSOR_U8, 1, "uint8"},
    {IG_TENSOR_I8, 1, "int8"},     {IG_TENSOR_I32, 4, "int32"},
    {IG_TENSOR_I64, 8, "int64"},   {IG_TENSOR_BOOL, 1, "bool"},
    {IG_TENSOR_F64, 8, "float64"}, {IG_TENSOR_STRING, sizeof(struct ig_str), "string"},
};

struct ig_graph *ig_graph_new(size_t max_bytes)
{
    struct ig_graph *graph = ig_zalloc(sizeof *graph);
    if (!graph) return NULL;
    ig_arena_init(&graph->arena, CHUNK_BYTES, max_bytes);
    return graph;
}

void ig_graph_free(struct ig_graph *graph)
{
    if (!graph) return;
    ig_arena_deinit(&graph->arena);
    ig_free(graph);
}

size_t ig_tensor_type_bytes(enum ig_tensor_type type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type) return types[i].bytes;
    return 0;
}

const char *ig_tensor_type_name(enum ig_tensor_type type)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].type == type) return types[i].name;
    return "unknown";
}

double ig_tensor_get(const void *data, enum ig_tensor_type type, size_t index)
{
    switch (type) {
    case IG_TENSOR_F32:
        return (double)((const float *)data)[index];
    case IG_TENSOR_F64:
        return ((const double *)data)[index];
    case IG_TENSOR_I64:
        return (double)((const int64_t *)data)[index];
    case IG_TENSOR_I32:
        return ((const int32_t *)data)[index];
    case IG_TENSOR_I8:
        return ((const int8_t *)data)[index];
    default:
        return ((const uint8_t *)data)[index];
    }
}

void ig_tensor_put(void *data, enum ig_tensor_type type, size_t index, double value)
{
    bool is_nan = value != value;
    switch (type) {
    case IG_TENSOR_F32:
        ((float *)data)[index] = (float)value;
        break;
    case IG_TENSOR_F64:
        ((double *)data)[index] = value;
        break;
    case IG_TENSOR_I64:
        ((int64_t *)data)[index] =
            is_nan || value >= 0x1p63 || value < -0x1p63 ? INT64_MIN : (int64_t)value;
        break;
    case IG_TENSOR_I32:
        ((int32_t *)data)[index] =
            is_nan || value >= 0x1p31 || value < -0x1p31 ? INT32_MIN : (int32_t)value;
        break;
    case IG_TENSOR_BOOL:
        ((uint8_t *)data)[index] = value != 0;
        break;
    default: /* uint8 and int8: the low byte */
        ((uint8_t *)data)[index] =
            is_nan || value > 255 || value < -128 ? 0 : (uint8_t)(int32_t)value;
        break;
    }
}

bool ig_tensor_size(size_t *count, const int64_t *dims, uint32_t rank)
{
    size_t product = 1;
    for (uint32_t i = 0; i < rank; i++)
        if (dims[i] < 0 || !ig_mul(&product, product, (size_t)dims[i]) || product > ELEMENTS_MAX)
            return false;
    *count = product;
    return true;
}

/* Marks a value as given; false when it already was. */
static bool give(uint8_t *given, uint32_t value)
{
    if (given[value]) return false;
    given[value] = 1;
    return true;
}

static bool check_tensor(const struct ig_tensor *tensor)
{
    size_t count;
    return tensor->rank <= IG_GRAPH_RANK_MAX && ig_tensor_type_bytes(tensor->type) > 0 &&
           ig_tensor_size(&count, tensor->dims, tensor->rank) && count == tensor->count &&
           (tensor->data || count == 0);
}

static bool check_ends(const struct ig_graph *graph, uint8_t *given, struct ig_err *err)
{
    for (uint32_t i = 0; i < graph->values_count; i++) {
        const struct ig_graph_value *value = &graph->values[i];
        if (value->rank > IG_GRAPH_RANK_MAX)
            ig_fail(err, IG_UNSUPPORTED, "value '%.*s': rank %u, at most %d",
                    IG_STR_ARGS(value->name), value->rank, IG_GRAPH_RANK_MAX);
        else if (value->initialiser && !check_tensor(value->initialiser))
            ig_fail(err, IG_INVALID, "initialiser '%.*s': wrong size or type",
                    IG_STR_ARGS(value->name));
        if (err->code != IG_OK) return false;
        if (value->initialiser) given[i] = 1;
    }
    for (uint32_t i = 0; i < graph->inputs_count; i++)
        if (graph->inputs[i] >= graph->values_count || !give(given, graph->inputs[i])) {
            ig_fail(err, IG_INVALID, "input %u is given twice or unknown", i);
            return false;
        }
    return true;
}

static bool node_fail(const struct ig_graph_node *node, uint32_t index, const char *what,
                      struct ig_err *err)
{
    ig_fail(err, IG_INVALID, "node %u '%.*s' (%.*s): %s", index, IG_STR_ARGS(node->name),
            IG_STR_ARGS(node->op), what);
    return false;
}

static bool check_node(const struct ig_graph *graph, uint32_t index, uint8_t *given,
                       struct ig_err *err)
{
    const struct ig_graph_node *node = &graph->nodes[index];
    for (uint32_t i = 0; i < node->inputs_count; i++) {
        uint32_t value = node->inputs[i];
        if (value != IG_GRAPH_NONE && (value >= graph->values_count || !given[value]))
            return node_fail(node, index, "an input comes from no earlier node", err);
    }
    for (uint32_t i = 0; i < node->outputs_count; i++) {
        uint32_t value = node->outputs[i];
        if (value != IG_GRAPH_NONE && (value >= graph->values_count || !give(given, value)))
            return node_fail(node, index, "an output is given twice", err);
    }
    for (uint32_t i = 0; i < node->attributes_count; i++) {
        const struct ig_attribute *attribute = &node->attributes[i];
        if (attribute->kind == IG_ATTRIBUTE_TENSOR && !check_tensor(attribute->tensor))
            return node_fail(node, index, "an attribute's tensor has a wrong size or type", err);
    }
    return true;
}

static bool check_all(const struct ig_graph *graph, uint8_t *given, struct ig_err *err)
{
    if (!check_ends(graph, given, err)) return false;
    for (uint32_t i = 0; i < graph->nodes_count; i++)
        if (!check_node(graph, i, given, err)) return false;
    for (uint32_t i = 0; i < graph->outputs_count; i++)
        if (graph->outputs[i] >= graph->values_count || !given[graph->outputs[i]]) {
            ig_fail(err, IG_INVALID, "output %u comes from no node", i);
            return false;
        }
    return true;
}

enum ig_code ig_graph_check(const struct ig_graph *graph, struct ig_err *err)
{
    if (graph->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "the graph exceeds its memory");
    if (graph->outputs_count == 0) return ig_fail(err, IG_INVALID, "the graph has no output");
    uint8_t *given = ig_zalloc_array(graph->values_count + (size_t)1, 1);
    if (!given)
        return ig_fail(err, IG_NO_MEMORY, "no memory to check %u values", graph->values_count);
    bool good = check_all(graph, given, err);
    ig_free(given);
    return good ? IG_OK : ig_err_code(err);
}

int64_t ig_graph_opset(const struct ig_graph *graph, struct ig_str domain)
{
    if (ig_str_is(domain, "ai.onnx")) domain.len = 0;
    for (uint32_t i = 0; i < graph->opsets_count; i++)
        if (ig_str_eq(graph->opsets[i].domain, domain)) return graph->opsets[i].version;
    return 0;
}

const struct ig_attribute *ig_graph_attribute(const struct ig_graph_node *node, const char *name)
{
    for (uint32_t i = 0; i < node->attributes_count; i++)
        if (ig_str_is(node->attributes[i].name, name)) return &node->attributes[i];
    return NULL;
}

static const struct ig_attribute *of_kind(const struct ig_graph_node *node, const char *name,
                                          enum ig_attribute_kind kind)
{
    const struct ig_attribute *attribute = ig_graph_attribute(node, name);
    return attribute && attribute->kind == kind ? attribute : NULL;
}

int64_t ig_graph_i64(const struct ig_graph_node *node, const char *name, int64_t fallback)
{
    const struct ig_attribute *attribute = of_kind(node, name, IG_ATTRIBUTE_I64);
    return attribute ? *attribute->i64 : fallback;
}

float ig_graph_f32(const struct ig_graph_node *node, const char *name, float fallback)
{
    const struct ig_attribute *attribute = of_kind(node, name, IG_ATTRIBUTE_F32);
    return attribute ? *attribute->f32 : fallback;
}

struct ig_str ig_graph_string(const struct ig_graph_node *node, const char *name,
                              const char *fallback)
{
    const struct ig_attribute *attribute = of_kind(node, name, IG_ATTRIBUTE_STRING);
    return attribute ? *attribute->strings : ig_str_view(fallback);
}

const int64_t *ig_graph_i64s(const struct ig_graph_node *node, const char *name, size_t *count)
{
    const struct ig_attribute *attribute = of_kind(node, name, IG_ATTRIBUTE_I64S);
    *count = attribute ? attribute->count : 0;
    return attribute && attribute->count ? attribute->i64 : NULL;
}

const float *ig_graph_f32s(const struct ig_graph_node *node, const char *name, size_t *count)
{
    const struct ig_attribute *attribute = of_kind(node, name, IG_ATTRIBUTE_F32S);
    *count = attribute ? attribute->count : 0;
    return attribute && attribute->count ? attribute->f32 : NULL;
}

const struct ig_str *ig_graph_strings(const struct ig_graph_node *node, const char *name,
                                      size_t *count)
{
    const struct ig_attribute *attribute = of_kind(node, name, IG_ATTRIBUTE_STRINGS);
    *count = attribute ? attribute->count : 0;
    return attribute && attribute->count ? attribute->strings : NULL;
}
