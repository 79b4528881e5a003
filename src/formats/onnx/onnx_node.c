/* SPDX-License-Identifier: Apache-2.0 */
/* NodeProto and AttributeProto. Subgraphs are refused, so that no message nests without bound.
 * Source: onnx.proto (ONNX IR). */
#include "formats/onnx/onnx_priv.h"

enum { NODE_INPUT = 1, NODE_OUTPUT = 2, NODE_NAME = 3, NODE_OP = 4, NODE_ATTRIBUTE = 5 };
enum { NODE_DOMAIN = 7 };
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F = 2,
    ATTRIBUTE_I = 3,
    ATTRIBUTE_S = 4,
    ATTRIBUTE_T = 5,
    ATTRIBUTE_G = 6,
    ATTRIBUTE_FLOATS = 7,
    ATTRIBUTE_INTS = 8,
    ATTRIBUTE_STRINGS = 9,
    ATTRIBUTE_TENSORS = 10,
    ATTRIBUTE_GRAPHS = 11,
    ATTRIBUTE_SPARSE = 22,
    ATTRIBUTE_SPARSES = 23,
    ATTRIBUTE_TYPE = 20,
    ATTRIBUTE_REFERENCE = 21,
};

struct attribute {
    struct onnx_reader *reader;
    struct ig_onnx_wire wire;
    struct ig_str bytes;
    struct ig_attribute *out;
    struct ig_str text, tensor;
    size_t strings_count;
    uint64_t type, single;
};

static bool refuse(const struct attribute *attribute, const char *what)
{
    ig_fail(attribute->reader->err, IG_UNSUPPORTED, "attribute '%.*s': %s",
            IG_STR_ARGS(attribute->out->name), what);
    return false;
}

static bool read_field(struct attribute *attribute, const struct ig_onnx_field *field)
{
    struct onnx_reader *reader = attribute->reader;
    switch (field->number) {
    case ATTRIBUTE_NAME:
        return onnx_text(reader, &attribute->out->name, field->bytes);
    case ATTRIBUTE_F:
    case ATTRIBUTE_I:
        attribute->single = field->value;
        return true;
    case ATTRIBUTE_S:
        attribute->text = field->bytes;
        return true;
    case ATTRIBUTE_T:
        attribute->tensor = field->bytes;
        return true;
    case ATTRIBUTE_TYPE:
        attribute->type = field->value;
        return true;
    case ATTRIBUTE_STRINGS:
        attribute->strings_count++;
        return true;
    case ATTRIBUTE_FLOATS:
        return onnx_numbers_add(reader, &reader->numbers, &attribute->wire, field, IG_ONNX_WIRE_32);
    case ATTRIBUTE_INTS:
        return onnx_numbers_add(reader, &reader->numbers, &attribute->wire, field,
                                IG_ONNX_WIRE_VARINT);
    case ATTRIBUTE_G:
    case ATTRIBUTE_GRAPHS:
        return refuse(attribute, "subgraphs are not read here");
    case ATTRIBUTE_TENSORS:
    case ATTRIBUTE_SPARSE:
    case ATTRIBUTE_SPARSES:
    case ATTRIBUTE_REFERENCE:
        return refuse(attribute, "of a kind that is not read here");
    default:
        return true;
    }
}

static bool keep_numbers(struct attribute *attribute, bool floats)
{
    struct onnx_reader *reader = attribute->reader;
    size_t count = reader->numbers.count;
    void *list = ig_arena_array(reader->arena, count + 1, floats ? sizeof(float) : sizeof(int64_t));
    if (!list) return onnx_no_memory(reader);
    for (size_t i = 0; i < count; i++)
        if (floats)
            ((float *)list)[i] = onnx_float(reader->numbers.items[i]);
        else
            ((int64_t *)list)[i] = (int64_t)reader->numbers.items[i];
    attribute->out->count = count;
    if (floats)
        attribute->out->f32 = list;
    else
        attribute->out->i64 = list;
    return true;
}

static bool keep_strings(struct attribute *attribute)
{
    struct onnx_reader *reader = attribute->reader;
    struct ig_onnx_field field;
    struct ig_str *texts =
        ig_arena_array(reader->arena, attribute->strings_count + 1, sizeof *texts);
    if (!texts) return onnx_no_memory(reader);
    size_t at = 0;
    while (ig_onnx_wire_next(&attribute->wire, &field))
        if (field.number == ATTRIBUTE_STRINGS && !onnx_text(reader, &texts[at++], field.bytes))
            return false;
    attribute->out->count = attribute->strings_count;
    attribute->out->strings = texts;
    return true;
}

static bool keep_tensor(struct attribute *attribute)
{
    struct onnx_reader *reader = attribute->reader;
    struct ig_tensor *tensor = ig_arena_zalloc(reader->arena, sizeof *tensor);
    if (!tensor) return onnx_no_memory(reader);
    if (!onnx_tensor_read(reader, tensor, NULL, &attribute->wire, attribute->tensor)) {
        ig_err_prefix(reader->err, "attribute '%.*s'", IG_STR_ARGS(attribute->out->name));
        return false;
    }
    attribute->out->tensor = tensor;
    return true;
}

static bool keep(struct attribute *attribute)
{
    struct onnx_reader *reader = attribute->reader;
    struct ig_attribute *out = attribute->out;
    struct ig_str *text;
    out->kind = (enum ig_attribute_kind)attribute->type;
    out->count = 1;
    switch (attribute->type) {
    case IG_ATTRIBUTE_F32:
    case IG_ATTRIBUTE_I64:
        reader->numbers.count = 0;
        if (!IG_VEC_PUSH(&reader->numbers, attribute->single, SIZE_MAX))
            return onnx_no_memory(reader);
        return keep_numbers(attribute, attribute->type == IG_ATTRIBUTE_F32);
    case IG_ATTRIBUTE_F32S:
    case IG_ATTRIBUTE_I64S:
        return keep_numbers(attribute, attribute->type == IG_ATTRIBUTE_F32S);
    case IG_ATTRIBUTE_STRING:
        text = ig_arena_zalloc(reader->arena, sizeof *text);
        if (!text) return onnx_no_memory(reader);
        out->strings = text;
        return onnx_text(reader, text, attribute->text);
    case IG_ATTRIBUTE_STRINGS:
        return keep_strings(attribute);
    case IG_ATTRIBUTE_TENSOR:
        return keep_tensor(attribute);
    default:
        return refuse(attribute, "of a kind that is not read here");
    }
}

static bool read_attribute(struct onnx_reader *reader, struct ig_attribute *out,
                           const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    struct attribute attribute = {reader, ig_onnx_wire_enter(outer, bytes), bytes, out, .type = 0};
    struct ig_onnx_field field;
    reader->numbers.count = 0;
    while (ig_onnx_wire_next(&attribute.wire, &field))
        if (!read_field(&attribute, &field)) return false;
    attribute.wire = ig_onnx_wire_enter(outer, bytes);
    return reader->err->code == IG_OK && keep(&attribute);
}

static bool name_value(struct onnx_reader *reader, uint32_t *out, const struct ig_onnx_field *field)
{
    if (field->bytes.len > 0) return onnx_value(reader, out, field->bytes);
    *out = IG_GRAPH_NONE;
    return true;
}

static bool read_node_field(struct onnx_reader *reader, struct ig_graph_node *out,
                            const struct ig_onnx_wire *wire, const struct ig_onnx_field *field)
{
    switch (field->number) {
    case NODE_INPUT:
        return name_value(reader, &out->inputs[out->inputs_count++], field);
    case NODE_OUTPUT:
        return name_value(reader, &out->outputs[out->outputs_count++], field);
    case NODE_NAME:
        return onnx_text(reader, &out->name, field->bytes);
    case NODE_OP:
        return onnx_text(reader, &out->op, field->bytes);
    case NODE_DOMAIN:
        if (ig_str_is(field->bytes, "ai.onnx")) return true;
        return onnx_text(reader, &out->domain, field->bytes);
    case NODE_ATTRIBUTE:
        return read_attribute(reader, &out->attributes[out->attributes_count++], wire,
                              field->bytes);
    default:
        return true;
    }
}

static bool read_node(struct onnx_reader *reader, struct ig_graph_node *out,
                      const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    struct ig_onnx_wire wire = ig_onnx_wire_enter(outer, bytes);
    struct ig_onnx_field field;
    size_t inputs = 0;
    size_t outputs = 0;
    size_t attributes = 0;
    while (ig_onnx_wire_next(&wire, &field)) {
        inputs += field.number == NODE_INPUT;
        outputs += field.number == NODE_OUTPUT;
        attributes += field.number == NODE_ATTRIBUTE;
    }
    if (reader->err->code != IG_OK) return false;
    out->inputs = ig_arena_array(reader->arena, inputs + 1, sizeof *out->inputs);
    out->outputs = ig_arena_array(reader->arena, outputs + 1, sizeof *out->outputs);
    out->attributes = ig_arena_array(reader->arena, attributes + 1, sizeof *out->attributes);
    if (!out->inputs || !out->outputs || !out->attributes) return onnx_no_memory(reader);
    wire = ig_onnx_wire_enter(outer, bytes);
    while (ig_onnx_wire_next(&wire, &field))
        if (!read_node_field(reader, out, &wire, &field)) return false;
    return reader->err->code == IG_OK;
}

bool onnx_node_read(struct onnx_reader *reader, struct ig_graph_node *out,
                    const struct ig_onnx_wire *outer, struct ig_str bytes)
{
    if (read_node(reader, out, outer, bytes)) return true;
    ig_err_prefix(reader->err, "node '%.*s' (%.*s)", IG_STR_ARGS(out->name), IG_STR_ARGS(out->op));
    return false;
}
