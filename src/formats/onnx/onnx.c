/* SPDX-License-Identifier: Apache-2.0 */
/* ModelProto and GraphProto: two passes over a graph's fields, the first counts. Names become
 * indices of values through one map. Source: onnx.proto (ONNX IR). */
#include "formats/onnx/onnx_priv.h"

#include <string.h>

enum { MODEL_PRODUCER = 2, MODEL_PRODUCER_VERSION = 3, MODEL_GRAPH = 7, MODEL_OPSET = 8 };
enum { MODEL_FUNCTION = 25, OPSET_DOMAIN = 1, OPSET_VERSION = 2 };
enum {
    GRAPH_NODE = 1,
    GRAPH_INITIALISER = 5,
    GRAPH_INPUT = 11,
    GRAPH_OUTPUT = 12,
    GRAPH_VALUE = 13,
    GRAPH_SPARSE = 15,
};
enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TENSOR_ELEMENT = 1, TENSOR_SHAPE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1 };
enum { MEMORY_FACTOR = 128, MEMORY_FLOOR_BYTES = 1 << 20 };

bool onnx_no_memory(struct onnx_reader *reader)
{
    ig_fail(reader->err, IG_NO_MEMORY, "out of memory");
    return false;
}

bool onnx_text(struct onnx_reader *reader, struct ig_str *out, struct ig_str bytes)
{
    *out = ig_arena_dup(reader->arena, bytes.ptr ? bytes : IG_STR(""));
    return out->ptr || onnx_no_memory(reader);
}

static bool add_number(struct onnx_reader *reader, struct onnx_numbers *numbers, uint64_t bits)
{
    return IG_VEC_PUSH(numbers, bits, reader->bytes_count + 1) || onnx_no_memory(reader);
}

bool onnx_numbers_add(struct onnx_reader *reader, struct onnx_numbers *numbers,
                      const struct ig_onnx_wire *wire, const struct ig_onnx_field *field,
                      enum ig_onnx_wire_type wide)
{
    struct ig_onnx_wire inner = ig_onnx_wire_enter(wire, field->bytes);
    size_t each = wide == IG_ONNX_WIRE_32 ? 4 : 8;
    if (field->type == wide) return add_number(reader, numbers, field->value);
    if (field->type != IG_ONNX_WIRE_BYTES ||
        (wide != IG_ONNX_WIRE_VARINT && field->bytes.len % each != 0)) {
        ig_fail(reader->err, IG_PARSE, "a list of numbers of another type");
        return false;
    }
    while (inner.at < inner.end) {
        uint64_t bits = 0;
        if (wide == IG_ONNX_WIRE_VARINT) {
            if (!ig_onnx_wire_varint(&inner, &bits)) return false;
        } else {
            memcpy(&bits, inner.at, each);
            inner.at += each;
        }
        if (!add_number(reader, numbers, bits)) return false;
    }
    return true;
}

bool onnx_value(struct onnx_reader *reader, uint32_t *out, struct ig_str name)
{
    void *known = ig_map_get(&reader->names, name);
    if (known) {
        *out = (uint32_t)((uintptr_t)known - 1);
        return true;
    }
    struct ig_graph_value value = {0};
    if (!onnx_text(reader, &value.name, name)) return false;
    size_t index = reader->values.count;
    if (!IG_VEC_PUSH(&reader->values, value, INT32_MAX) ||
        !ig_map_put(&reader->names, value.name, (void *)(uintptr_t)(index + 1)))
        return onnx_no_memory(reader);
    *out = (uint32_t)index;
    return true;
}

static bool read_dim(struct onnx_reader *reader, struct ig_graph_value *value,
                     const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_enter(outer, bytes);
    struct ig_onnx_field field;
    if (value->rank == IG_GRAPH_RANK_MAX) {
        ig_fail(reader->err, IG_UNSUPPORTED, "value '%.*s': more than %d dimensions",
                IG_STR_ARGS(value->name), IG_GRAPH_RANK_MAX);
        return false;
    }
    int64_t dim = -1;
    while (ig_onnx_wire_next(&wire, &field))
        if (field.number == DIM_VALUE && field.type == IG_ONNX_WIRE_VARINT)
            dim = (int64_t)field.value;
    value->dims[value->rank++] = dim > 0 ? dim : -1;
    return reader->err->code == IG_OK;
}

static bool read_tensor_type(struct onnx_reader *reader, struct ig_graph_value *value,
                             const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_enter(outer, bytes);
    struct ig_onnx_field field, dim;
    value->rank = 0;
    value->declared = false;
    while (ig_onnx_wire_next(&wire, &field)) {
        if (field.number == TENSOR_ELEMENT)
            value->type = field.value <= IG_TENSOR_F64 ? (enum ig_tensor_type)field.value : 0;
        if (field.number != TENSOR_SHAPE) continue;
        struct ig_onnx_wire shape = ig_onnx_wire_enter(&wire, field.bytes);
        value->declared = true;
        while (ig_onnx_wire_next(&shape, &dim))
            if (dim.number == SHAPE_DIM && !read_dim(reader, value, &shape, dim.bytes))
                return false;
    }
    return reader->err->code == IG_OK;
}

static bool read_value_type(struct onnx_reader *reader, uint32_t index,
                            const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_enter(outer, bytes);
    struct ig_onnx_field field;
    struct ig_graph_value *value = &reader->values.items[index];
    while (ig_onnx_wire_next(&wire, &field))
        if (field.number == TYPE_TENSOR && field.type == IG_ONNX_WIRE_BYTES &&
            !read_tensor_type(reader, value, &wire, field.bytes))
            return false;
    return reader->err->code == IG_OK;
}

/* ValueInfoProto: the value and what is said of its type. */
static bool read_value(struct onnx_reader *reader, uint32_t *out, const struct ig_onnx_wire *outer,
                       struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_enter(outer, bytes);
    struct ig_onnx_field field;
    struct ig_str name = {0};
    struct ig_str type = {0};
    while (ig_onnx_wire_next(&wire, &field)) {
        if (field.number == VALUE_NAME) name = field.bytes;
        if (field.number == VALUE_TYPE) type = field.bytes;
    }
    return reader->err->code == IG_OK && onnx_value(reader, out, name) &&
           read_value_type(reader, *out, &wire, type);
}

static bool read_initialiser(struct onnx_reader *reader, const struct ig_onnx_wire *wire,
                             struct ig_str bytes)
{
    struct ig_str name;
    uint32_t value;
    struct ig_tensor *tensor = ig_arena_zalloc(reader->arena, sizeof *tensor);
    if (!tensor) return onnx_no_memory(reader);
    if (!onnx_tensor_read(reader, tensor, &name, wire, bytes)) return false;
    if (!onnx_value(reader, &value, name)) return false;
    if (reader->values.items[value].initialiser) {
        ig_fail(reader->err, IG_INVALID, "initialiser '%.*s': given twice", IG_STR_ARGS(name));
        return false;
    }
    reader->values.items[value].initialiser = tensor;
    return true;
}

static bool read_graph_field(struct onnx_reader *reader, const struct ig_onnx_wire *wire,
                             const struct ig_onnx_field *field)
{
    struct ig_graph *graph = reader->graph;
    uint32_t value;
    switch (field->number) {
    case GRAPH_NODE:
        return onnx_node_read(reader, &graph->nodes[graph->nodes_count++], wire, field->bytes);
    case GRAPH_INITIALISER:
        return read_initialiser(reader, wire, field->bytes);
    case GRAPH_INPUT:
        return read_value(reader, &graph->inputs[graph->inputs_count++], wire, field->bytes);
    case GRAPH_OUTPUT:
        return read_value(reader, &graph->outputs[graph->outputs_count++], wire, field->bytes);
    case GRAPH_VALUE:
        return read_value(reader, &value, wire, field->bytes);
    case GRAPH_SPARSE:
        ig_fail(reader->err, IG_UNSUPPORTED, "sparse initialisers are not read here");
        return false;
    default:
        return true;
    }
}

/* IR version 3 lists initialisers among the inputs. */
static void drop_initialisers(struct onnx_reader *reader)
{
    struct ig_graph *graph = reader->graph;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < graph->inputs_count; i++)
        if (!reader->values.items[graph->inputs[i]].initialiser)
            graph->inputs[kept++] = graph->inputs[i];
    graph->inputs_count = kept;
}

static bool read_graph(struct onnx_reader *reader, const struct ig_onnx_wire *outer,
                       struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_enter(outer, bytes);
    struct ig_onnx_field field;
    struct ig_graph *graph = reader->graph;
    size_t nodes = 0;
    size_t ends = 0;
    while (ig_onnx_wire_next(&wire, &field)) {
        nodes += field.number == GRAPH_NODE;
        ends += field.number == GRAPH_INPUT || field.number == GRAPH_OUTPUT;
    }
    if (reader->err->code != IG_OK) return false;
    graph->nodes = ig_arena_array(reader->arena, nodes + 1, sizeof *graph->nodes);
    graph->inputs = ig_arena_array(reader->arena, ends + 1, sizeof *graph->inputs);
    graph->outputs = ig_arena_array(reader->arena, ends + 1, sizeof *graph->outputs);
    if (!graph->nodes || !graph->inputs || !graph->outputs) return onnx_no_memory(reader);
    wire = ig_onnx_wire_enter(outer, bytes);
    while (ig_onnx_wire_next(&wire, &field))
        if (!read_graph_field(reader, &wire, &field)) return false;
    drop_initialisers(reader);
    return reader->err->code == IG_OK;
}

static bool read_opset(struct onnx_reader *reader, const struct ig_onnx_wire *outer,
                       struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_enter(outer, bytes);
    struct ig_onnx_field field;
    struct ig_graph_opset *opset = &reader->graph->opsets[reader->graph->opsets_count++];
    while (ig_onnx_wire_next(&wire, &field)) {
        if (field.number == OPSET_DOMAIN && !ig_str_is(field.bytes, "ai.onnx") &&
            !onnx_text(reader, &opset->domain, field.bytes))
            return false;
        if (field.number == OPSET_VERSION) opset->version = (int64_t)field.value;
    }
    return reader->err->code == IG_OK;
}

struct model_parts {
    struct ig_str producer, version, graph;
    size_t opsets_count;
    bool has_graph;
};

static bool find_parts(struct onnx_reader *reader, struct ig_onnx_wire wire,
                       struct model_parts *parts)
{
    struct ig_onnx_field field;
    while (ig_onnx_wire_next(&wire, &field)) {
        if (field.number == MODEL_FUNCTION) {
            ig_fail(reader->err, IG_UNSUPPORTED, "model-local functions are not read here");
            return false;
        }
        if (field.number == MODEL_PRODUCER) parts->producer = field.bytes;
        if (field.number == MODEL_PRODUCER_VERSION) parts->version = field.bytes;
        if (field.number == MODEL_OPSET) parts->opsets_count++;
        if (field.number != MODEL_GRAPH) continue;
        parts->graph = field.bytes;
        parts->has_graph = true;
    }
    if (reader->err->code == IG_OK && !parts->has_graph)
        ig_fail(reader->err, IG_PARSE, "no graph; this is no ONNX model");
    return reader->err->code == IG_OK;
}

static bool read_model(struct onnx_reader *reader, struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_begin(bytes, reader->err);
    struct ig_graph *graph = reader->graph;
    struct ig_onnx_field field;
    struct model_parts parts = {0};
    if (!find_parts(reader, wire, &parts)) return false;
    graph->opsets = ig_arena_array(reader->arena, parts.opsets_count + 1, sizeof *graph->opsets);
    char *producer = ig_arena_printf(reader->arena, "%.*s %.*s", (int)(parts.producer.len & 0xFF),
                                     parts.producer.len ? parts.producer.ptr : "",
                                     (int)(parts.version.len & 0xFF),
                                     parts.version.len ? parts.version.ptr : "");
    if (!graph->opsets || !producer) return onnx_no_memory(reader);
    graph->producer = ig_str_trim(ig_str_view(producer));
    while (ig_onnx_wire_next(&wire, &field))
        if (field.number == MODEL_OPSET && !read_opset(reader, &wire, field.bytes)) return false;
    if (!read_graph(reader, &wire, parts.graph)) return false;
    size_t count = reader->values.count;
    graph->values = ig_arena_array(reader->arena, count + 1, sizeof *graph->values);
    if (!graph->values) return onnx_no_memory(reader);
    if (count) memcpy(graph->values, reader->values.items, count * sizeof *graph->values);
    graph->values_count = (uint32_t)count;
    return ig_graph_check(graph, reader->err) == IG_OK;
}

enum ig_code ig_onnx_graph(struct ig_graph **out, struct ig_str bytes, struct ig_err *err)
{
    size_t max_bytes;
    if (!ig_mul(&max_bytes, bytes.len, MEMORY_FACTOR) ||
        !ig_add(&max_bytes, max_bytes, MEMORY_FLOOR_BYTES))
        return ig_fail(err, IG_TOO_LARGE, "%zu bytes", bytes.len);
    struct ig_graph *graph = ig_graph_new(max_bytes);
    if (!graph) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    struct onnx_reader reader = {
        .err = err, .arena = &graph->arena, .graph = graph, .bytes_count = bytes.len};
    ig_map_init(&reader.names, bytes.len + 1);
    bool good = read_model(&reader, bytes);
    ig_map_deinit(&reader.names);
    IG_VEC_FREE(&reader.values);
    IG_VEC_FREE(&reader.numbers);
    if (!good) {
        ig_graph_free(graph);
        return ig_err_code(err);
    }
    *out = graph;
    return IG_OK;
}
