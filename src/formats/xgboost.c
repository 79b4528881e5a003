/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost models, 0.90 to 3.x, saved as JSON or UBJSON: the document's walk.
 *
 *   {"learner": {"attributes", "feature_names", "feature_types", "learner_model_param",
 * "objective", "gradient_booster": {"name": "gbtree", "model": {"trees", "tree_info", ...}} |
 * {"name": "dart", "gbtree": {"name", "model"}, "weight_drop"} | {"name": "gblinear", "model":
 * {"weights"}}}, "version": [3, 2, 0]}
 *
 * or the same as "Model" of a serialised booster. Members come in any order (XGBoost sorts them,
 * other writers do not), so everything that depends on another member is settled in finish(). The
 * formats of the single values follow XGBoost's src/learner.cc, src/gbm and src/tree. Thread rule:
 * none shared. */
#include "base/num.h"
#include "formats/xgboost_priv.h"

#include <math.h>
#include <string.h>

enum {
    SCRATCH_CHUNK_BYTES = 16 * 1024,
    UNNAMED_MAX = 131072 /* features that a small file may have without naming them */
};

struct strings {
    struct ig_str *items;
    size_t count, cap;
};

/* A column of "cats": the texts of its codes. */
struct column {
    struct ig_str *texts;
    uint32_t count;
};

struct reader {
    struct xgb_source *source;
    struct ig_err *err;
    struct ig_model *model;
    struct xgb_builder builder;
    struct xgb_tree_arrays tree;
    struct xgb_numbers tree_info, weight_drop, weights, indptr, version, offsets, values;
    struct strings names, types;
    struct {
        struct column *items;
        size_t count, cap;
    } columns;
    struct ig_str base_score, objective, booster;
    int64_t features_count, classes_count, targets_count, parallel_count;
    bool has_trees;
};

typedef bool member_fn(struct reader *reader, struct ig_str key, bool *known);

/* Walks an object's members; what `member` does not know is passed over. */
static bool read_object(struct reader *reader, const char *what, member_fn *member)
{
    struct xgb_source *source = reader->source;
    struct ig_str key;
    if (!source->ops->object(source, what)) return false;
    while (source->ops->member(source, &key)) {
        bool known = false;
        if (!member(reader, key, &known)) return false;
        if (!known && !source->ops->skip(source)) return false;
    }
    return reader->err->code == IG_OK;
}

static bool read_text(struct reader *reader, struct ig_str *out, const char *what)
{
    struct ig_str text;
    if (!reader->source->ops->text(reader->source, &text, what)) return false;
    *out = ig_arena_dup(&reader->model->arena, text);
    if (out->ptr) return true;
    ig_fail(reader->err, IG_NO_MEMORY, "%s: out of memory", what);
    return false;
}

/* Parameters are written as strings ("8"); plain numbers are taken too. */
static bool read_integer(struct reader *reader, int64_t *out, const char *what)
{
    struct ig_str text;
    int64_t value;
    if (!reader->source->ops->text(reader->source, &text, what)) return false;
    if (!ig_str_to_i64(text, &value) || value < 0 || value > INT32_MAX) {
        ig_fail_at(reader->err, IG_INVALID, reader->source->ops->position(reader->source),
                   "%s: '%.*s' is not a number from 0 to %d", what,
                   (int)(text.len < 64 ? text.len : 64), text.ptr, INT32_MAX);
        return false;
    }
    *out = value;
    return true;
}

static bool read_numbers(struct reader *reader, struct xgb_numbers *out, bool as_float,
                         const char *what)
{
    return reader->source->ops->numbers(reader->source, out, as_float, what);
}

static bool read_strings(struct reader *reader, struct strings *out, const char *what)
{
    struct xgb_source *source = reader->source;
    out->count = 0;
    if (!source->ops->array(source, what)) return false;
    while (source->ops->element(source)) {
        struct ig_str text;
        if (!read_text(reader, &text, what)) return false;
        if (!IG_VEC_PUSH(out, text, source->bytes.len)) {
            ig_fail(reader->err, IG_NO_MEMORY, "%s: out of memory", what);
            return false;
        }
    }
    return reader->err->code == IG_OK;
}

static bool is(struct ig_str key, const char *name, bool *known)
{
    if (!ig_str_is(key, name)) return false;
    *known = true;
    return true;
}

static const struct {
    const char *name;
    size_t offset;
    bool as_float;
} tree_fields[] = {
#define FIELD(name, as_float)                                                                      \
    {                                                                                              \
#name, offsetof(struct xgb_tree_arrays, name), as_float                                    \
    }
    FIELD(left_children, false),       FIELD(right_children, false),
    FIELD(split_indices, false),       FIELD(split_conditions, true),
    FIELD(default_left, false),        FIELD(sum_hessian, true),
    FIELD(loss_changes, true),         FIELD(base_weights, true),
    FIELD(leaf_weights, true),         FIELD(split_type, false),
    FIELD(categories, false),          FIELD(categories_nodes, false),
    FIELD(categories_segments, false), FIELD(categories_sizes, false),
#undef FIELD
};

enum { TREE_FIELDS_COUNT = sizeof tree_fields / sizeof *tree_fields };

static struct xgb_numbers *tree_numbers(struct reader *reader, size_t field)
{
    return (struct xgb_numbers *)(void *)((char *)&reader->tree + tree_fields[field].offset);
}

static bool tree_param_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "size_leaf_vector", known))
        return read_integer(reader, &reader->tree.size_leaf_vector, "size_leaf_vector");
    if (is(key, "num_nodes", known))
        return read_integer(reader, &reader->tree.nodes_count, "num_nodes");
    return true;
}

static bool tree_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "tree_param", known)) return read_object(reader, "tree_param", tree_param_member);
    for (size_t i = 0; i < TREE_FIELDS_COUNT; i++)
        if (is(key, tree_fields[i].name, known))
            return read_numbers(reader, tree_numbers(reader, i), tree_fields[i].as_float,
                                tree_fields[i].name);
    return true;
}

static bool read_tree(struct reader *reader)
{
    for (size_t i = 0; i < TREE_FIELDS_COUNT; i++) tree_numbers(reader, i)->count = 0;
    reader->tree.size_leaf_vector = 0;
    reader->tree.nodes_count = -1;
    if (read_object(reader, "tree", tree_member))
        return xgb_builder_add_tree(&reader->builder, &reader->tree);
    ig_err_prefix(reader->err, "tree %zu", reader->builder.trees.count);
    return false;
}

static bool read_trees(struct reader *reader)
{
    struct xgb_source *source = reader->source;
    if (reader->has_trees) {
        ig_fail_at(reader->err, IG_INVALID, source->ops->position(source), "trees: given twice");
        return false;
    }
    reader->has_trees = true;
    if (!source->ops->array(source, "trees")) return false;
    while (source->ops->element(source))
        if (!read_tree(reader)) return false;
    return reader->err->code == IG_OK;
}

static bool column_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "offsets", known)) return read_numbers(reader, &reader->offsets, false, "offsets");
    if (is(key, "values", known)) return read_numbers(reader, &reader->values, false, "values");
    return true;
}

static bool category_text(struct reader *reader, size_t index, struct ig_str *out)
{
    struct ig_arena *arena = &reader->model->arena;
    if (reader->offsets.count == 0) {
        *out = ig_str_view(ig_arena_printf(arena, "%.0f", reader->values.items[index]));
        return out->ptr != NULL;
    }
    double first = reader->offsets.items[index];
    double after = reader->offsets.items[index + 1];
    if (!(first >= 0 && first <= after && after <= (double)reader->values.count)) return false;
    size_t length = (size_t)after - (size_t)first;
    char *text = ig_arena_alloc(arena, length + 1);
    if (!text) return false;
    for (size_t i = 0; i < length; i++) {
        double byte = reader->values.items[(size_t)first + i];
        if (!(byte >= -128 && byte <= 255)) return false;
        text[i] = (char)(int)byte;
    }
    text[length] = '\0';
    *out = (struct ig_str){text, length};
    return true;
}

/* One column of "cats": {"offsets", "values"} (texts, as bytes) or {"type", "values"} (integers).
 */
static bool read_column(struct reader *reader)
{
    struct column column = {0};
    reader->offsets.count = reader->values.count = 0;
    if (!read_object(reader, "enc", column_member)) return false;
    size_t count = reader->offsets.count ? reader->offsets.count - 1 : reader->values.count;
    column.texts = ig_arena_array(&reader->model->arena, count + 1, sizeof *column.texts);
    for (size_t i = 0; column.texts && i < count; i++, column.count++)
        if (!category_text(reader, i, &column.texts[i])) break;
    if (column.count != count) {
        ig_fail(reader->err, IG_INVALID, "cats: column %zu: category %u has no text",
                reader->columns.count, column.count);
        return false;
    }
    if (column.texts && IG_VEC_PUSH(&reader->columns, column, reader->source->bytes.len))
        return true;
    ig_fail(reader->err, IG_NO_MEMORY, "cats: out of memory");
    return false;
}

static bool cats_member(struct reader *reader, struct ig_str key, bool *known)
{
    struct xgb_source *source = reader->source;
    if (!is(key, "enc", known)) return true;
    reader->columns.count = 0;
    if (!source->ops->array(source, "enc")) return false;
    while (source->ops->element(source))
        if (!read_column(reader)) return false;
    return reader->err->code == IG_OK;
}

static bool booster_param_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "num_parallel_tree", known))
        return read_integer(reader, &reader->parallel_count, "num_parallel_tree");
    return true;
}

static bool booster_model_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "trees", known)) return read_trees(reader);
    if (is(key, "tree_info", known))
        return read_numbers(reader, &reader->tree_info, false, "tree_info");
    if (is(key, "iteration_indptr", known))
        return read_numbers(reader, &reader->indptr, false, "iteration_indptr");
    if (is(key, "weight_drop", known))
        return read_numbers(reader, &reader->weight_drop, true, "weight_drop");
    if (is(key, "weights", known)) return read_numbers(reader, &reader->weights, true, "weights");
    if (is(key, "gbtree_model_param", known))
        return read_object(reader, "gbtree_model_param", booster_param_member);
    if (is(key, "cats", known)) return read_object(reader, "cats", cats_member);
    return true;
}

/* The gbtree within a dart booster. */
static bool inner_booster_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "model", known)) return read_object(reader, "model", booster_model_member);
    return true;
}

static bool booster_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "name", known)) return read_text(reader, &reader->booster, "name");
    if (is(key, "gbtree", known)) return read_object(reader, "gbtree", inner_booster_member);
    if (is(key, "weight_drop", known))
        return read_numbers(reader, &reader->weight_drop, true, "weight_drop");
    return inner_booster_member(reader, key, known);
}

static bool objective_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "name", known)) return read_text(reader, &reader->objective, "objective");
    return true;
}

static bool learner_param_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "base_score", known)) return read_text(reader, &reader->base_score, "base_score");
    if (is(key, "num_feature", known))
        return read_integer(reader, &reader->features_count, "num_feature");
    if (is(key, "num_class", known))
        return read_integer(reader, &reader->classes_count, "num_class");
    if (is(key, "num_target", known))
        return read_integer(reader, &reader->targets_count, "num_target");
    return true;
}

static bool learner_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "learner_model_param", known))
        return read_object(reader, "learner_model_param", learner_param_member);
    if (is(key, "gradient_booster", known))
        return read_object(reader, "gradient_booster", booster_member);
    if (is(key, "objective", known)) return read_object(reader, "objective", objective_member);
    if (is(key, "feature_names", known))
        return read_strings(reader, &reader->names, "feature_names");
    if (is(key, "feature_types", known))
        return read_strings(reader, &reader->types, "feature_types");
    return true;
}

static bool model_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "learner", known)) return read_object(reader, "learner", learner_member);
    if (is(key, "version", known)) return read_numbers(reader, &reader->version, false, "version");
    return true;
}

static bool document_member(struct reader *reader, struct ig_str key, bool *known)
{
    if (is(key, "Model", known)) return read_object(reader, "Model", model_member);
    return model_member(reader, key, known);
}

/* Major * 100 + minor; a file without a version counts as the newest. */
static bool settle_version(struct reader *reader, int64_t *out)
{
    const double *parts = reader->version.items;
    *out = 9999;
    if (reader->version.count == 0) return true;
    for (size_t i = 0; i < reader->version.count; i++)
        if (reader->version.count != 3 || !(parts[i] >= -1 && parts[i] < 1000)) {
            ig_fail(reader->err, IG_INVALID, "version: expected three small numbers");
            return false;
        }
    reader->model->source_version = ig_str_view(
        ig_arena_printf(&reader->model->arena, "%.0f.%.0f.%.0f", parts[0], parts[1], parts[2]));
    if (parts[0] >= 0) *out = (int64_t)parts[0] * 100 + (int64_t)parts[1];
    return true;
}

static bool settle_sizes(struct reader *reader)
{
    struct ig_model *model = reader->model;
    size_t bytes = reader->source->bytes.len;
    size_t features_max = bytes / 8 > UNNAMED_MAX ? bytes / 8 : UNNAMED_MAX;
    int64_t outputs = reader->classes_count;
    if (reader->targets_count > outputs) outputs = reader->targets_count;
    if (outputs < 1) outputs = 1;
    if (reader->classes_count > 1 && reader->targets_count > 1)
        ig_fail(reader->err, IG_UNSUPPORTED, "num_class %lld with num_target %lld",
                (long long)reader->classes_count, (long long)reader->targets_count);
    else if (reader->features_count < 1)
        ig_fail(reader->err, IG_INVALID, "num_feature: expected at least 1");
    else if ((uint64_t)reader->features_count > features_max)
        ig_fail(reader->err, IG_TOO_LARGE,
                "num_feature %lld: a file of %zu bytes may have at most %zu; more have to be named "
                "in it",
                (long long)reader->features_count, bytes, features_max);
    else if ((uint64_t)outputs > bytes / 8)
        ig_fail(reader->err, IG_TOO_LARGE,
                "num_class or num_target %lld: more than a file of %zu bytes can hold",
                (long long)outputs, bytes);
    model->features_count = (uint32_t)reader->features_count;
    model->outputs_count = (uint32_t)outputs;
    return reader->err->code == IG_OK;
}

/* "5E-1", "[5E-1]", "(1,2)": one value for all outputs or one for each. */
static bool parse_base_score(struct reader *reader, float *base, size_t count)
{
    struct ig_str rest = ig_str_trim(reader->base_score);
    size_t values = 0;
    if (rest.len >= 2 && (*rest.ptr == '[' || *rest.ptr == '('))
        rest = (struct ig_str){rest.ptr + 1, rest.len - 2};
    while (rest.ptr && values < count) {
        struct ig_str text = ig_str_trim(ig_str_cut(&rest, ','));
        if (text.len == 0 && !rest.ptr && values > 0) break;
        if (!ig_num_parse_f32(text, &base[values]) || !isfinite(base[values])) {
            ig_fail(reader->err, IG_INVALID, "base_score: '%.*s' is not a finite number",
                    (int)(text.len < 64 ? text.len : 64), text.ptr);
            return false;
        }
        values++;
    }
    if (values == 0 || ig_str_trim(rest).len > 0 || (values != 1 && values != count)) {
        ig_fail(reader->err, IG_INVALID, "base_score '%.*s': expected 1 or %zu values",
                (int)(reader->base_score.len < 64 ? reader->base_score.len : 64),
                reader->base_score.ptr, count);
        return false;
    }
    for (; values < count; values++) base[values] = base[0];
    return true;
}

static bool settle_output(struct reader *reader, int64_t version)
{
    struct ig_model *model = reader->model;
    size_t count = model->outputs_count;
    struct xgb_objective objective;
    if (!xgb_objective_find(reader->objective, version, &objective)) {
        ig_fail(reader->err, IG_UNSUPPORTED, "objective '%.*s' is unknown",
                (int)(reader->objective.len < 64 ? reader->objective.len : 64),
                reader->objective.ptr ? reader->objective.ptr : "");
        return false;
    }
    float *base = ig_arena_array(&model->arena, count, sizeof *base);
    model->base_margin = ig_arena_array(&model->arena, count, sizeof *model->base_margin);
    if (!base || !model->base_margin) {
        ig_fail(reader->err, IG_NO_MEMORY, "base_score: out of memory");
        return false;
    }
    if (!parse_base_score(reader, base, count) ||
        !xgb_objective_link(&objective, version, base, count, reader->err))
        return false;
    /* gblinear adds the first output's base to every output. */
    for (size_t i = 0; i < count; i++)
        model->base_margin[i] = (double)base[model->kind == IG_MODEL_LINEAR ? 0 : i];
    model->objective = reader->objective;
    model->transform = objective.transform;
    model->predictions_count =
        objective.transform == IG_TRANSFORM_ARGMAX ? 1 : model->outputs_count;
    return true;
}

static bool settle_weight_drop(struct reader *reader)
{
    struct ig_model *model = reader->model;
    size_t count = reader->weight_drop.count;
    bool dart = ig_str_is(reader->booster, "dart");
    if (count > model->trees_count || (dart && count != model->trees_count)) {
        ig_fail(reader->err, IG_INVALID, "weight_drop has %zu elements, expected %u", count,
                model->trees_count);
        return false;
    }
    for (size_t i = 0; i < count; i++) model->trees[i].weight = reader->weight_drop.items[i];
    return true;
}

static bool settle_trees(struct reader *reader)
{
    struct ig_model *model = reader->model;
    if (!xgb_builder_finish(&reader->builder, model)) return false;
    if (!reader->has_trees) {
        ig_fail(reader->err, IG_INVALID, "trees: absent");
        return false;
    }
    if (model->leaf_vectors && reader->builder.leaf_vector_size != model->outputs_count) {
        ig_fail(reader->err, IG_INVALID, "size_leaf_vector %lld, expected %u (num_target)",
                (long long)reader->builder.leaf_vector_size, model->outputs_count);
        return false;
    }
    if (reader->tree_info.count != model->trees_count) {
        ig_fail(reader->err, IG_INVALID, "tree_info has %zu elements, expected %u",
                reader->tree_info.count, model->trees_count);
        return false;
    }
    for (uint32_t i = 0; i < model->trees_count; i++) {
        double output = reader->tree_info.items[i];
        if (!(output >= 0 && output < model->outputs_count) || output != floor(output)) {
            ig_fail(reader->err, IG_INVALID, "tree_info[%u] is %.17g, expected 0 to %u", i, output,
                    model->outputs_count - 1);
            return false;
        }
        model->trees[i].output = (uint32_t)output;
    }
    int64_t layer = (reader->parallel_count > 1 ? reader->parallel_count : 1) *
                    (model->leaf_vectors ? 1 : model->outputs_count);
    model->iterations_count = reader->indptr.count > 1 ? (uint32_t)(reader->indptr.count - 1)
                                                       : (uint32_t)(model->trees_count / layer);
    return settle_weight_drop(reader);
}

static bool settle_linear(struct reader *reader)
{
    struct ig_model *model = reader->model;
    size_t count = ((size_t)model->features_count + 1) * model->outputs_count;
    if (reader->weights.count != count) {
        ig_fail(reader->err, IG_INVALID, "weights has %zu elements, expected %zu",
                reader->weights.count, count);
        return false;
    }
    model->weights = ig_arena_array(&model->arena, count, sizeof *model->weights);
    if (!model->weights) {
        ig_fail(reader->err, IG_NO_MEMORY, "weights: out of memory");
        return false;
    }
    memcpy(model->weights, reader->weights.items, count * sizeof *model->weights);
    return true;
}

static enum ig_input_kind input_kind(struct ig_str type)
{
    if (ig_str_is(type, "c")) return IG_INPUT_CATEGORICAL;
    if (ig_str_is(type, "int") || ig_str_is(type, "i")) return IG_INPUT_INTEGER;
    if (ig_str_is(type, "float") || ig_str_is(type, "q")) return IG_INPUT_NUMERIC;
    return IG_INPUT_UNKNOWN;
}

static bool check_count(struct reader *reader, size_t count, const char *what)
{
    if (count == 0 || count == reader->model->features_count) return true;
    ig_fail(reader->err, IG_INVALID, "%s has %zu elements, expected %u (num_feature)", what, count,
            reader->model->features_count);
    return false;
}

/* Names, types and categories, where the file has any; a categorical split makes its feature
 * categorical whatever the types say. */
static bool settle_inputs(struct reader *reader)
{
    struct ig_model *model = reader->model;
    if (!check_count(reader, reader->names.count, "feature_names") ||
        !check_count(reader, reader->types.count, "feature_types") ||
        !check_count(reader, reader->columns.count, "cats"))
        return false;
    if (!reader->names.count && !reader->types.count && !reader->columns.count &&
        !model->sets_count)
        return true;
    model->inputs = ig_arena_array(&model->arena, model->features_count, sizeof *model->inputs);
    if (!model->inputs) {
        ig_fail(reader->err, IG_NO_MEMORY, "feature_names: out of memory");
        return false;
    }
    for (uint32_t i = 0; i < model->features_count; i++) {
        struct ig_input *input = &model->inputs[i];
        if (reader->names.count) input->name = reader->names.items[i];
        if (reader->types.count) input->kind = input_kind(reader->types.items[i]);
        if (reader->columns.count && reader->columns.items[i].count) {
            input->categories = reader->columns.items[i].texts;
            input->categories_count = reader->columns.items[i].count;
        }
    }
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_IN && node->feature < model->features_count)
            model->inputs[node->feature].kind = IG_INPUT_CATEGORICAL;
    }
    return true;
}

static bool finish(struct reader *reader)
{
    struct ig_model *model = reader->model;
    int64_t version;
    bool linear = ig_str_is(reader->booster, "gblinear");
    if (!linear && !ig_str_is(reader->booster, "gbtree") && !ig_str_is(reader->booster, "dart")) {
        ig_fail(reader->err, IG_UNSUPPORTED, "gradient_booster '%.*s' is unknown",
                (int)(reader->booster.len < 64 ? reader->booster.len : 64),
                reader->booster.ptr ? reader->booster.ptr : "");
        return false;
    }
    if (!settle_version(reader, &version) || !settle_sizes(reader)) return false;
    model->kind = linear ? IG_MODEL_LINEAR : IG_MODEL_TREES;
    model->inputs_f32 = true;
    model->sum_rule = version >= 103 ? IG_SUM_F32_BASE_FIRST : IG_SUM_F32_BASE_LAST;
    return (linear ? settle_linear(reader) : settle_trees(reader)) &&
           settle_output(reader, version) && settle_inputs(reader);
}

static void deinit(struct reader *reader)
{
    for (size_t i = 0; i < TREE_FIELDS_COUNT; i++) IG_VEC_FREE(tree_numbers(reader, i));
    IG_VEC_FREE(&reader->tree_info);
    IG_VEC_FREE(&reader->weight_drop);
    IG_VEC_FREE(&reader->weights);
    IG_VEC_FREE(&reader->indptr);
    IG_VEC_FREE(&reader->version);
    IG_VEC_FREE(&reader->offsets);
    IG_VEC_FREE(&reader->values);
    IG_VEC_FREE(&reader->names);
    IG_VEC_FREE(&reader->types);
    IG_VEC_FREE(&reader->columns);
    xgb_builder_deinit(&reader->builder);
}

enum ig_code xgb_read(struct ig_model **out, struct xgb_source *source, struct ig_err *err)
{
    struct reader reader = {.source = source, .err = err, .targets_count = 1};
    reader.builder.err = err;
    reader.builder.bytes_count = source->bytes.len;
    reader.model = ig_model_new(((size_t)1 << 22) + source->bytes.len * 64);
    if (!reader.model) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    bool good = read_object(&reader, "document", document_member) && source->ops->end(source) &&
                finish(&reader);
    deinit(&reader);
    if (good && ig_model_check(reader.model, err) == IG_OK) {
        *out = reader.model;
        return IG_OK;
    }
    ig_model_free(reader.model);
    if (err->code == IG_OK) ig_fail(err, IG_INTERNAL, "the document was not understood");
    return err->code;
}
