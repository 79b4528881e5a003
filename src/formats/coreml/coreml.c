/* SPDX-License-Identifier: Apache-2.0 */
/* Core ML's Model message: the description of inputs and outputs around what a tree, linear or
 * network writer makes. Source: Model.proto, FeatureTypes.proto. */
#include "formats/coreml/coreml_priv.h"

#include "base/json.h"
#include "base/mem.h"

enum { FILE_MAX = INT32_MAX, CHUNK_BYTES = 64 * 1024 };
static const size_t MEMORY_MAX = (size_t)4 << 30;
enum { MODEL_VERSION = 1, MODEL_DESCRIPTION = 2 };
enum {
    DESCRIPTION_INPUT = 1,
    DESCRIPTION_OUTPUT = 10,
    DESCRIPTION_CLASS = 11,
    DESCRIPTION_PROBABILITIES = 12,
    DESCRIPTION_METADATA = 100,
};
enum {
    METADATA_TEXT = 1,
    METADATA_AUTHOR = 3,
    METADATA_ENTRY = 100,
    ENTRY_KEY = 1,
    ENTRY_VALUE = 2
};
enum { FEATURE_NAME = 1, FEATURE_TYPE = 3 };
enum { TYPE_INT64 = 1, TYPE_DOUBLE = 2, TYPE_STRING = 3, TYPE_ARRAY = 5, TYPE_DICTIONARY = 6 };
enum { ARRAY_SHAPE = 1, ARRAY_TYPE = 2, DICTIONARY_INT64 = 1, DICTIONARY_STRING = 2 };
enum { LABELS_STRING = 100, LABELS_INT64 = 101, VECTOR_ITEMS = 1 };

bool coreml_no_memory(struct coreml_writer *w)
{
    ig_fail(w->err, IG_NO_MEMORY, "no memory for the file, or over its limit of 2 GiB");
    return false;
}

bool coreml_refuse(struct coreml_writer *w, const char *what)
{
    ig_fail(w->err, IG_UNSUPPORTED, "%s", what);
    return false;
}

const char *coreml_feature_name(struct coreml_writer *w, uint32_t feature)
{
    const struct ig_model *model = w->model;
    const char *text =
        model->inputs && model->inputs[feature].name.len
            ? ig_arena_printf(&w->arena, "'%.*s'", IG_STR_ARGS(model->inputs[feature].name))
            : ig_arena_printf(&w->arena, "%u", feature);
    return text ? text : "?";
}

static void add_text(struct ig_buf *out, uint32_t number, const char *text)
{
    ig_proto_add_bytes(out, number, ig_str_view(text));
}

/* ---- the description ---- */

static void add_array(struct coreml_writer *w, uint32_t where, const char *name, uint32_t type,
                      const struct ig_network_tensor *as)
{
    struct ig_buf *out = &w->description;
    size_t feature = ig_proto_open(out, where);
    add_text(out, FEATURE_NAME, name);
    size_t kind = ig_proto_open(out, FEATURE_TYPE), array = ig_proto_open(out, TYPE_ARRAY);
    for (uint32_t d = 0; d < as->rank; d++) ig_proto_add_varint(out, ARRAY_SHAPE, as->dims[d]);
    ig_proto_add_varint(out, ARRAY_TYPE, type);
    ig_proto_close(out, array);
    ig_proto_close(out, kind);
    ig_proto_close(out, feature);
}

static struct ig_network_tensor shaped(const uint32_t *dims, uint32_t rank)
{
    struct ig_network_tensor as = {.rank = rank};
    for (uint32_t d = 0; d < rank; d++) as.dims[d] = dims[d];
    return as;
}

void coreml_input_array(struct coreml_writer *w, const char *name, uint32_t type,
                        const uint32_t *dims, uint32_t rank)
{
    const struct ig_network_tensor as = shaped(dims, rank);
    add_array(w, DESCRIPTION_INPUT, name, type, &as);
}

void coreml_output_array(struct coreml_writer *w, const char *name, uint32_t type,
                         const uint32_t *dims, uint32_t rank)
{
    const struct ig_network_tensor as = shaped(dims, rank);
    add_array(w, DESCRIPTION_OUTPUT, name, type, &as);
}

/* An output of a type whose message is empty, or a dictionary with such keys (0: none). */
static void add_output(struct coreml_writer *w, const char *name, uint32_t type, uint32_t key)
{
    struct ig_buf *out = &w->description;
    size_t feature = ig_proto_open(out, DESCRIPTION_OUTPUT);
    add_text(out, FEATURE_NAME, name);
    size_t kind = ig_proto_open(out, FEATURE_TYPE), inner = ig_proto_open(out, type);
    if (key) add_text(out, key, "");
    ig_proto_close(out, inner);
    ig_proto_close(out, kind);
    ig_proto_close(out, feature);
}

static void add_labels(struct coreml_writer *w)
{
    struct ig_buf *out = &w->body;
    size_t at = ig_proto_open(out, w->classes ? LABELS_STRING : LABELS_INT64);
    if (w->classes) {
        for (uint32_t i = 0; i < w->classes_count; i++)
            ig_proto_add_bytes(out, VECTOR_ITEMS, w->classes[i]);
    } else {
        size_t items = ig_proto_open(out, VECTOR_ITEMS);
        for (uint32_t i = 0; i < w->classes_count; i++) ig_proto_put_varint(out, i);
        ig_proto_close(out, items);
    }
    ig_proto_close(out, at);
}

void coreml_classifier(struct coreml_writer *w)
{
    add_output(w, "class", w->classes ? TYPE_STRING : TYPE_INT64, 0);
    add_output(w, "probabilities", TYPE_DICTIONARY,
               w->classes ? DICTIONARY_STRING : DICTIONARY_INT64);
    add_text(&w->description, DESCRIPTION_CLASS, "class");
    add_text(&w->description, DESCRIPTION_PROBABILITIES, "probabilities");
    add_labels(w);
}

void coreml_regressor(struct coreml_writer *w, uint32_t values)
{
    if (values == 1)
        add_output(w, "prediction", TYPE_DOUBLE, 0);
    else
        coreml_output_array(w, "prediction", COREML_DOUBLE, &values, 1);
    add_text(&w->description, DESCRIPTION_CLASS, "prediction");
}

/* ---- the whole ---- */

/* Names of features, as a list in JSON. */
static void add_names(struct ig_buf *out, const struct ig_schema *schema)
{
    struct ig_json_out json;
    struct ig_buf text;
    ig_buf_init(&text, FILE_MAX);
    ig_json_out_init(&json, &text);
    ig_json_out_array(&json);
    for (uint32_t i = 0; i < schema->features_count; i++)
        ig_json_out_str(&json, schema->features[i].name);
    ig_json_out_array_end(&json);
    size_t entry = ig_proto_open(out, METADATA_ENTRY);
    add_text(out, ENTRY_KEY, "features");
    ig_proto_add_bytes(out, ENTRY_VALUE, ig_buf_view(&text));
    ig_proto_close(out, entry);
    out->overflowed |= text.overflowed;
    ig_buf_deinit(&text);
}

static void finish(struct coreml_writer *w, struct ig_buf *out, const struct ig_schema *schema)
{
    ig_proto_add_varint(out, MODEL_VERSION, w->version);
    size_t at = ig_proto_open(out, MODEL_DESCRIPTION);
    ig_buf_add_str(out, ig_buf_view(&w->description));
    size_t metadata = ig_proto_open(out, DESCRIPTION_METADATA);
    add_text(out, METADATA_TEXT, "Written by Ingot " INGOT_VERSION);
    if (schema && schema->features_count) add_names(out, schema);
    ig_proto_close(out, metadata);
    ig_proto_close(out, at);
    at = ig_proto_open(out, w->type);
    ig_buf_add_str(out, ig_buf_view(&w->body));
    ig_proto_close(out, at);
}

static bool write_model(struct coreml_writer *w)
{
    switch (w->model->kind) {
    case IG_MODEL_TREES:
        return coreml_write_trees(w);
    case IG_MODEL_LINEAR:
        return coreml_write_linear(w);
    case IG_MODEL_NETWORK:
        return coreml_write_network(w, w->model->network);
    case IG_MODEL_GRAPH:
    case IG_MODEL_FOREIGN:
        return coreml_refuse(w, "Core ML is written of trees, linear models and networks, not of "
                                "other ONNX graphs");
    case IG_MODEL_DERIVED:
        return coreml_refuse(
            w, "Core ML has no statistics of categories, which this CatBoost model computes");
    default:
        return coreml_refuse(w, "an ensemble is not exported: export its members");
    }
}

static void name_classes(struct coreml_writer *w, const struct ig_schema *schema)
{
    const struct ig_model *model = w->model;
    uint32_t count = model->outputs_count == 1 ? 2 : model->outputs_count;
    bool one = model->outputs_count == 1, regression = schema && schema->task == IG_TASK_REGRESSION;
    if (!ig_model_gives_probabilities(model)) return;
    if (one && (model->transform != IG_TRANSFORM_SIGMOID || regression)) return;
    w->classes_count = count;
    if (schema && schema->classes && schema->classes_count == count) w->classes = schema->classes;
    if (model->classes) w->classes = model->classes;
}

enum ig_code ig_coreml_write(struct ig_buf *out, const struct ig_model *model,
                             const struct ig_schema *schema, struct ig_err *err)
{
    struct coreml_writer w = {.err = err, .version = COREML_VERSION, .model = model};
    IG_ASSERT(out->len == 0);
    ig_buf_init(&w.description, FILE_MAX);
    ig_buf_init(&w.body, FILE_MAX);
    ig_arena_init(&w.arena, CHUNK_BYTES, MEMORY_MAX);
    name_classes(&w, schema);
    bool good = write_model(&w);
    if (good && !w.arena.overflowed && !w.description.overflowed && !w.body.overflowed)
        finish(&w, out, schema);
    if (good && (out->len == 0 || out->overflowed)) coreml_no_memory(&w);
    ig_buf_deinit(&w.description);
    ig_buf_deinit(&w.body);
    ig_arena_deinit(&w.arena);
    return err->code;
}
