/* SPDX-License-Identifier: Apache-2.0 */
/* Writes ONNX files: the protobuf messages of a ModelProto, and the choice of who writes the graph.
 *
 * A graph's fields are appended in the order in which they come about, which protobuf allows; ends
 * are gathered apart. Source: onnx.proto (ONNX IR 7 with opset 13, IR 10 with ai.onnx.ml 5). */
#include "formats/onnx/onnx_write_priv.h"

#include "base/json.h"
#include "base/mem.h"

#include <string.h>

enum { FILE_MAX = INT32_MAX, CHUNK_BYTES = 64 * 1024 };
static const size_t MEMORY_MAX = (size_t)4 << 30;
enum { IR_VERSION = 7, IR_VERSION_SETS = 10 };
enum {
    MODEL_IR = 1,
    MODEL_PRODUCER = 2,
    MODEL_PRODUCER_VERSION = 3,
    MODEL_GRAPH = 7,
    MODEL_OPSET = 8,
    MODEL_PROPERTY = 14,
};
enum { OPSET_DOMAIN = 1, OPSET_VERSION = 2, PROPERTY_KEY = 1, PROPERTY_VALUE = 2 };
enum { GRAPH_NODE = 1, GRAPH_NAME = 2, GRAPH_INITIALISER = 5, GRAPH_INPUT = 11, GRAPH_OUTPUT = 12 };
enum {
    NODE_INPUT = 1,
    NODE_OUTPUT = 2,
    NODE_NAME = 3,
    NODE_OP = 4,
    NODE_ATTRIBUTE = 5,
    NODE_DOMAIN = 7,
};
enum {
    ATTRIBUTE_NAME = 1,
    ATTRIBUTE_F32 = 2,
    ATTRIBUTE_I64 = 3,
    ATTRIBUTE_TEXT = 4,
    ATTRIBUTE_TENSOR = 5,
    ATTRIBUTE_F32S = 7,
    ATTRIBUTE_I64S = 8,
    ATTRIBUTE_TEXTS = 9,
    ATTRIBUTE_TYPE = 20,
};
enum { TENSOR_DIMS = 1, TENSOR_TYPE = 2, TENSOR_TEXTS = 6, TENSOR_NAME = 8, TENSOR_RAW = 9 };
enum { VALUE_NAME = 1, VALUE_TYPE = 2, TYPE_TENSOR = 1, TYPE_ELEMENT = 1, TYPE_SHAPE = 2 };
enum { SHAPE_DIM = 1, DIM_VALUE = 1, DIM_PARAMETER = 2 };

bool onnx_write_failed(const struct onnx_writer *w)
{
    return w->err->code != IG_OK || w->arena.overflowed || w->graph.overflowed ||
           w->inputs.overflowed || w->outputs.overflowed;
}

static void add_text(struct ig_buf *out, uint32_t number, const char *text)
{
    ig_proto_add_bytes(out, number, ig_str_view(text ? text : ""));
}

const char *onnx_new_name(struct onnx_writer *w, const char *word)
{
    const char *name = ig_arena_printf(&w->arena, "/%s_%u", word, w->names_count++);
    return name ? name : "/";
}

static void begin_node(struct onnx_writer *w, const char *domain, const char *op)
{
    w->node = ig_proto_open(&w->graph, GRAPH_NODE);
    w->node_op = op;
    w->node_domain = domain;
    if (strcmp(domain, ONNX_ML) == 0 && w->ml_opset == 0) w->ml_opset = ONNX_ML_OPSET;
}

/* Parts of a node may come in any order, but people read names first. */
static void name_node(struct onnx_writer *w)
{
    add_text(&w->graph, NODE_NAME, onnx_new_name(w, w->node_op));
    add_text(&w->graph, NODE_OP, w->node_op);
    if (*w->node_domain) add_text(&w->graph, NODE_DOMAIN, w->node_domain);
}

void onnx_open_node(struct onnx_writer *w, const char *domain, const char *op,
                    const struct onnx_ends *ends)
{
    size_t inputs = 0;
    begin_node(w, domain, op);
    for (size_t i = 0; i < sizeof ends->in / sizeof *ends->in; i++)
        if (ends->in[i]) inputs = i + 1;
    for (size_t i = 0; i < inputs; i++) add_text(&w->graph, NODE_INPUT, ends->in[i]);
    for (size_t i = 0; i < sizeof ends->out / sizeof *ends->out; i++)
        if (ends->out[i]) add_text(&w->graph, NODE_OUTPUT, ends->out[i]);
    name_node(w);
}

void onnx_open_node_of(struct onnx_writer *w, const char *op, const char *const *inputs,
                       uint32_t count, const char *output)
{
    begin_node(w, "", op);
    for (uint32_t i = 0; i < count; i++) add_text(&w->graph, NODE_INPUT, inputs[i]);
    add_text(&w->graph, NODE_OUTPUT, output);
    name_node(w);
}

void onnx_close_node(struct onnx_writer *w)
{
    ig_proto_close(&w->graph, w->node);
}

const char *onnx_node(struct onnx_writer *w, const char *op, const char *a, const char *b,
                      const char *out)
{
    const char *made = out ? out : onnx_new_name(w, "value");
    onnx_open_node(w, "", op, &(struct onnx_ends){{a, b}, {made}});
    onnx_close_node(w);
    return made;
}

/* ---- attributes ---- */

static void open_attribute(struct onnx_writer *w, const char *name, enum ig_attribute_kind kind)
{
    w->attribute = ig_proto_open(&w->graph, NODE_ATTRIBUTE);
    add_text(&w->graph, ATTRIBUTE_NAME, name);
    ig_proto_add_varint(&w->graph, ATTRIBUTE_TYPE, kind);
}

static void close_attribute(struct onnx_writer *w)
{
    ig_proto_close(&w->graph, w->attribute);
}

void onnx_attribute_i64(struct onnx_writer *w, const char *name, int64_t value)
{
    open_attribute(w, name, IG_ATTRIBUTE_I64);
    ig_proto_add_varint(&w->graph, ATTRIBUTE_I64, (uint64_t)value);
    close_attribute(w);
}

void onnx_attribute_f32(struct onnx_writer *w, const char *name, float value)
{
    open_attribute(w, name, IG_ATTRIBUTE_F32);
    ig_proto_add_f32(&w->graph, ATTRIBUTE_F32, value);
    close_attribute(w);
}

void onnx_attribute_text(struct onnx_writer *w, const char *name, const char *value)
{
    open_attribute(w, name, IG_ATTRIBUTE_STRING);
    add_text(&w->graph, ATTRIBUTE_TEXT, value);
    close_attribute(w);
}

void onnx_attribute_i64s(struct onnx_writer *w, const char *name, const int64_t *values,
                         size_t count)
{
    open_attribute(w, name, IG_ATTRIBUTE_I64S);
    size_t at = ig_proto_open(&w->graph, ATTRIBUTE_I64S);
    for (size_t i = 0; i < count; i++) ig_proto_put_varint(&w->graph, (uint64_t)values[i]);
    ig_proto_close(&w->graph, at);
    close_attribute(w);
}

void onnx_attribute_f32s(struct onnx_writer *w, const char *name, const float *values, size_t count)
{
    open_attribute(w, name, IG_ATTRIBUTE_F32S);
    size_t at = ig_proto_open(&w->graph, ATTRIBUTE_F32S);
    ig_buf_add(&w->graph, values, count * sizeof *values);
    ig_proto_close(&w->graph, at);
    close_attribute(w);
}

void onnx_attribute_texts(struct onnx_writer *w, const char *name, const struct ig_str *values,
                          size_t count)
{
    open_attribute(w, name, IG_ATTRIBUTE_STRINGS);
    for (size_t i = 0; i < count; i++) ig_proto_add_bytes(&w->graph, ATTRIBUTE_TEXTS, values[i]);
    close_attribute(w);
}

static void add_tensor(struct onnx_writer *w, const struct ig_tensor *value, const char *name)
{
    for (uint32_t d = 0; d < value->rank; d++)
        ig_proto_add_varint(&w->graph, TENSOR_DIMS, (uint64_t)value->dims[d]);
    ig_proto_add_varint(&w->graph, TENSOR_TYPE, value->type);
    if (name) add_text(&w->graph, TENSOR_NAME, name);
    if (value->type == IG_TENSOR_STRING) {
        for (size_t i = 0; i < value->count; i++)
            ig_proto_add_bytes(&w->graph, TENSOR_TEXTS, ((const struct ig_str *)value->data)[i]);
        return;
    }
    struct ig_str raw = {value->data, value->count * ig_tensor_type_bytes(value->type)};
    ig_proto_add_bytes(&w->graph, TENSOR_RAW, raw);
}

void onnx_attribute_tensor(struct onnx_writer *w, const char *name, const struct ig_tensor *value)
{
    open_attribute(w, name, IG_ATTRIBUTE_TENSOR);
    size_t at = ig_proto_open(&w->graph, ATTRIBUTE_TENSOR);
    add_tensor(w, value, NULL);
    ig_proto_close(&w->graph, at);
    close_attribute(w);
}

/* ---- constants and ends ---- */

const char *onnx_constant(struct onnx_writer *w, const char *word, const struct ig_tensor *value)
{
    const char *name = onnx_new_name(w, word);
    size_t at = ig_proto_open(&w->graph, GRAPH_INITIALISER);
    add_tensor(w, value, name);
    ig_proto_close(&w->graph, at);
    return name;
}

static const char *add_list(struct onnx_writer *w, const char *word, enum ig_tensor_type type,
                            const void *values, int64_t count)
{
    const struct ig_tensor tensor = {type, 1, {count}, (size_t)count, values};
    return onnx_constant(w, word, &tensor);
}

const char *onnx_constant_f32s(struct onnx_writer *w, const char *word, const float *values,
                               int64_t count)
{
    return add_list(w, word, IG_TENSOR_F32, values, count);
}

const char *onnx_constant_i64s(struct onnx_writer *w, const char *word, const int64_t *values,
                               int64_t count)
{
    return add_list(w, word, IG_TENSOR_I64, values, count);
}

const char *onnx_constant_f32(struct onnx_writer *w, float value)
{
    const struct ig_tensor tensor = {IG_TENSOR_F32, 0, {0}, 1, &value};
    return onnx_constant(w, "constant", &tensor);
}

static void add_value(struct ig_buf *out, uint32_t number, const char *name,
                      const struct ig_tensor *as)
{
    size_t value = ig_proto_open(out, number);
    add_text(out, VALUE_NAME, name);
    size_t type = ig_proto_open(out, VALUE_TYPE), tensor = ig_proto_open(out, TYPE_TENSOR);
    ig_proto_add_varint(out, TYPE_ELEMENT, as->type);
    size_t shape = ig_proto_open(out, TYPE_SHAPE);
    for (uint32_t d = 0; d < as->rank; d++) {
        size_t dim = ig_proto_open(out, SHAPE_DIM);
        if (as->dims[d] == ONNX_OPEN_DIM)
            add_text(out, DIM_PARAMETER, "N");
        else
            ig_proto_add_varint(out, DIM_VALUE, (uint64_t)as->dims[d]);
        ig_proto_close(out, dim);
    }
    ig_proto_close(out, shape);
    ig_proto_close(out, tensor);
    ig_proto_close(out, type);
    ig_proto_close(out, value);
}

static struct ig_tensor shaped(enum ig_tensor_type type, const int64_t *dims, uint32_t rank)
{
    struct ig_tensor as = {.type = type, .rank = rank};
    for (uint32_t d = 0; d < rank; d++) as.dims[d] = dims[d];
    return as;
}

void onnx_input(struct onnx_writer *w, const char *name, enum ig_tensor_type type,
                const int64_t *dims, uint32_t rank)
{
    const struct ig_tensor as = shaped(type, dims, rank);
    add_value(&w->inputs, GRAPH_INPUT, name, &as);
}

void onnx_output(struct onnx_writer *w, const char *name, enum ig_tensor_type type,
                 const int64_t *dims, uint32_t rank)
{
    const struct ig_tensor as = shaped(type, dims, rank);
    add_value(&w->outputs, GRAPH_OUTPUT, name, &as);
}

/* ---- the whole ---- */

const char *onnx_feature_name(struct onnx_writer *w, const struct ig_model *model, uint32_t feature)
{
    const char *text =
        model->inputs && model->inputs[feature].name.len
            ? ig_arena_printf(&w->arena, "'%.*s'", IG_STR_ARGS(model->inputs[feature].name))
            : ig_arena_printf(&w->arena, "%u", feature);
    return text ? text : "?";
}

static void add_opset(struct ig_buf *out, const char *domain, uint32_t version)
{
    size_t at = ig_proto_open(out, MODEL_OPSET);
    add_text(out, OPSET_DOMAIN, domain);
    ig_proto_add_varint(out, OPSET_VERSION, version);
    ig_proto_close(out, at);
}

static void add_property(struct ig_buf *out, const char *key, struct ig_str value)
{
    size_t at = ig_proto_open(out, MODEL_PROPERTY);
    add_text(out, PROPERTY_KEY, key);
    ig_proto_add_bytes(out, PROPERTY_VALUE, value);
    ig_proto_close(out, at);
}

static void add_names(struct ig_json_out *json, const struct ig_schema *schema)
{
    ig_json_out_array(json);
    for (uint32_t i = 0; i < schema->features_count; i++)
        ig_json_out_str(json, schema->features[i].name);
    ig_json_out_array_end(json);
}

static void add_categories(struct ig_json_out *json, const struct ig_schema *schema)
{
    ig_json_out_object(json);
    for (uint32_t i = 0; i < schema->features_count; i++) {
        const struct ig_feature *feature = &schema->features[i];
        if (!feature->categories_count) continue;
        ig_json_out_key(json, feature->name);
        ig_json_out_array(json);
        for (uint32_t k = 0; k < feature->categories_count; k++)
            ig_json_out_str(json, feature->categories[k]);
        ig_json_out_array_end(json);
    }
    ig_json_out_object_end(json);
}

/* What the columns of the one input are, and what its codes of categories stand for, in JSON. */
static void add_properties(struct ig_buf *out, const struct ig_schema *schema)
{
    static const struct {
        const char *key;
        void (*add)(struct ig_json_out *json, const struct ig_schema *schema);
    } parts[] = {{"features", add_names}, {"categories", add_categories}};
    struct ig_json_out json;
    struct ig_buf text;
    if (!schema || !schema->features_count) return;
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        ig_buf_init(&text, FILE_MAX);
        ig_json_out_init(&json, &text);
        parts[i].add(&json, schema);
        add_property(out, parts[i].key, ig_buf_view(&text));
        out->overflowed |= text.overflowed;
        ig_buf_deinit(&text);
    }
}

static void finish(struct onnx_writer *w, struct ig_buf *out, const struct ig_schema *schema)
{
    bool sets = w->ml_opset == ONNX_ML_OPSET_SETS;
    ig_proto_add_varint(out, MODEL_IR, sets ? IR_VERSION_SETS : IR_VERSION);
    add_text(out, MODEL_PRODUCER, "ingot");
    add_text(out, MODEL_PRODUCER_VERSION, INGOT_VERSION);
    size_t at = ig_proto_open(out, MODEL_GRAPH);
    add_text(out, GRAPH_NAME, "main");
    ig_buf_add_str(out, ig_buf_view(&w->inputs));
    ig_buf_add_str(out, ig_buf_view(&w->outputs));
    ig_buf_add_str(out, ig_buf_view(&w->graph));
    ig_proto_close(out, at);
    add_opset(out, "", ONNX_OPSET);
    if (w->ml_opset) add_opset(out, ONNX_ML, w->ml_opset);
    add_properties(out, schema);
}

static bool write_graph(struct onnx_writer *w, const struct onnx_model *m)
{
    switch (m->model->kind) {
    case IG_MODEL_TREES:
        return onnx_write_trees(w, m);
    case IG_MODEL_LINEAR:
        return onnx_write_linear(w, m);
    case IG_MODEL_NETWORK:
        return onnx_write_network(w, m->model->network, m->model->encoder);
    case IG_MODEL_GRAPH:
    case IG_MODEL_FOREIGN:
        ig_fail(w->err, IG_UNSUPPORTED, "the model is an ONNX file already");
        return false;
    case IG_MODEL_DERIVED:
        ig_fail(w->err, IG_UNSUPPORTED,
                "ONNX has no statistics of categories, which this CatBoost model computes");
        return false;
    default:
        ig_fail(w->err, IG_UNSUPPORTED, "an ensemble is not exported: export its members");
        return false;
    }
}

/* Texts of classes where model or schema have as many as there are. */
static void name_classes(struct onnx_model *m, const struct ig_schema *schema)
{
    const struct ig_model *model = m->model;
    uint32_t count = model->outputs_count == 1 ? 2 : model->outputs_count;
    bool several = model->outputs_count > 1 && ig_model_gives_probabilities(model);
    bool two = model->transform == IG_TRANSFORM_SIGMOID || model->transform == IG_TRANSFORM_HINGE;
    bool regression = schema && schema->task == IG_TASK_REGRESSION; /* of a share */
    if (!several && model->transform != IG_TRANSFORM_ARGMAX && (!two || regression)) return;
    m->classes_count = count;
    if (schema && schema->classes && schema->classes_count == count) m->classes = schema->classes;
    if (model->classes) m->classes = model->classes;
}

enum ig_code ig_onnx_write(struct ig_buf *out, const struct ig_model *model,
                           const struct ig_schema *schema, struct ig_err *err)
{
    struct onnx_writer w = {.err = err};
    struct onnx_model m = {.model = model};
    struct ig_buf *const parts[] = {&w.graph, &w.inputs, &w.outputs};
    IG_ASSERT(out->len == 0);
    for (size_t i = 0; i < 3; i++) ig_buf_init(parts[i], FILE_MAX);
    ig_arena_init(&w.arena, CHUNK_BYTES, MEMORY_MAX);
    name_classes(&m, schema);
    if (write_graph(&w, &m) && !onnx_write_failed(&w)) finish(&w, out, schema);
    if (err->code == IG_OK && (onnx_write_failed(&w) || out->overflowed))
        ig_fail(err, IG_NO_MEMORY, "no memory for the file, or over its limit of 2 GiB");
    for (size_t i = 0; i < 3; i++) ig_buf_deinit(parts[i]);
    ig_arena_deinit(&w.arena);
    return err->code;
}
