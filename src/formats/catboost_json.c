/* SPDX-License-Identifier: Apache-2.0 */
/* CatBoost models saved as JSON: oblivious trees over numbers.
 *
 * CatBoost reads features as floats and goes right where the value is above the border. We compare
 * doubles, so a border becomes the double at which rounding to float passes it. All nodes of a
 * level test the same split; the last split of a tree is its root, as in the library's own SHAP
 * values. Categories are hashed by CatBoost and texts and embeddings turned by its own code; such
 * models are refused with the way out.
 *
 * Owns nothing; the model is the caller's. Thread rule: pure. */
#include "formats/format.h"

#include "base/json.h"
#include "base/vec.h"

#include <math.h>
#include <string.h>

enum { SPLITS_MAX = 16, FEATURES_MAX = 1 << 20, NODES_MAX = 1 << 28 };

/* What the library's predict makes of the raw sums, by loss. */
static const struct {
    const char *loss;
    enum ig_transform transform;
} LOSSES[] = {
    {"Logloss", IG_TRANSFORM_SIGMOID},
    {"CrossEntropy", IG_TRANSFORM_SIGMOID},
    {"Focal", IG_TRANSFORM_SIGMOID},
    {"MultiClass", IG_TRANSFORM_SOFTMAX},
    {"MultiClassOneVsAll", IG_TRANSFORM_SIGMOID_EACH},
    {"Poisson", IG_TRANSFORM_EXP},
    {"Tweedie", IG_TRANSFORM_EXP},
    {"MultiLogloss", IG_TRANSFORM_SIGMOID_EACH},
    {"MultiCrossEntropy", IG_TRANSFORM_SIGMOID_EACH},
    {"RMSE", IG_TRANSFORM_IDENTITY},
    {"MAE", IG_TRANSFORM_IDENTITY},
    {"Quantile", IG_TRANSFORM_IDENTITY},
    {"MultiQuantile", IG_TRANSFORM_IDENTITY},
    {"LogLinQuantile", IG_TRANSFORM_IDENTITY},
    {"MAPE", IG_TRANSFORM_IDENTITY},
    {"RMSPE", IG_TRANSFORM_IDENTITY},
    {"Huber", IG_TRANSFORM_IDENTITY},
    {"Expectile", IG_TRANSFORM_IDENTITY},
    {"Lq", IG_TRANSFORM_IDENTITY},
    {"LogCosh", IG_TRANSFORM_IDENTITY},
    {"SurvivalAft", IG_TRANSFORM_IDENTITY},
    {"Cox", IG_TRANSFORM_IDENTITY},
    {"MultiRMSE", IG_TRANSFORM_IDENTITY},
    {"MultiRMSEWithMissingValues", IG_TRANSFORM_IDENTITY},
    {"GroupQuantile", IG_TRANSFORM_IDENTITY},
    {"YetiRank", IG_TRANSFORM_IDENTITY},
    {"YetiRankPairwise", IG_TRANSFORM_IDENTITY},
    {"PairLogit", IG_TRANSFORM_IDENTITY},
    {"PairLogitPairwise", IG_TRANSFORM_IDENTITY},
    {"QueryRMSE", IG_TRANSFORM_IDENTITY},
    {"QuerySoftMax", IG_TRANSFORM_IDENTITY},
    {"QueryCrossEntropy", IG_TRANSFORM_IDENTITY},
    {"StochasticFilter", IG_TRANSFORM_IDENTITY},
    {"StochasticRank", IG_TRANSFORM_IDENTITY},
    {"LambdaMart", IG_TRANSFORM_IDENTITY},
    {"PythonUserDefinedPerObject", IG_TRANSFORM_IDENTITY},
};

struct feature {
    struct ig_str name;
    uint32_t column;    /* flat_feature_index */
    bool missing_right; /* nan_value_treatment AsTrue */
    bool known;
};

struct split {
    uint32_t feature; /* among the float features */
    double border;
};

struct reader {
    struct ig_json json;
    struct ig_arena scratch;
    struct ig_err *err;
    struct ig_model *model;
    struct feature *features; /* by index among the float features */
    uint32_t features_count;
    struct {
        struct ig_tree *items;
        size_t count, cap;
    } trees;
    struct {
        struct ig_node *items;
        size_t count, cap;
    } nodes;
    struct {
        double *items;
        size_t count, cap;
    } values; /* of leaves, as they come */
    struct {
        double *items;
        size_t count, cap;
    } weights; /* of the leaves of one tree */
    double scale;
};

static bool fail(struct reader *reader, const char *message)
{
    if (reader->err->code == IG_OK)
        ig_fail_at(reader->err, IG_INVALID, ig_json_position(&reader->json), "%s", message);
    return false;
}

static bool fail_word(struct reader *reader, const char *what, struct ig_str word)
{
    if (reader->err->code == IG_OK)
        ig_fail_at(reader->err, IG_UNSUPPORTED, ig_json_position(&reader->json),
                   "%s: '%.*s' is not supported", what, (int)(word.len > 64 ? 64 : word.len),
                   word.ptr);
    return false;
}

static bool ok(const struct reader *reader)
{
    return reader->err->code == IG_OK;
}

/* ---- features ---- */

static bool read_feature(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct feature feature = {.known = true};
    uint64_t index = UINT64_MAX, column = UINT64_MAX;
    struct ig_str text;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "float_features")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "feature_index")) {
            ig_json_u64(json, &index, "feature_index");
        } else if (ig_str_is(json->text, "flat_feature_index")) {
            ig_json_u64(json, &column, "flat_feature_index");
        } else if (ig_str_is(json->text, "feature_id")) {
            if (ig_json_string(json, &text, "feature_id"))
                feature.name = ig_arena_dup(&reader->model->arena, text);
        } else if (ig_str_is(json->text, "nan_value_treatment")) {
            if (!ig_json_string(json, &text, "nan_value_treatment")) return false;
            feature.missing_right = ig_str_is(text, "AsTrue");
            /* AsIs: a missing value is above no border */
            if (!feature.missing_right && !ig_str_is(text, "AsFalse") && !ig_str_is(text, "AsIs"))
                return fail_word(reader, "nan_value_treatment", text);
        } else {
            ig_json_skip(json);
        }
        if (!ok(reader)) return false;
    }
    if (!ok(reader)) return false;
    if (index != reader->features_count || column >= FEATURES_MAX)
        return fail(reader, "float_features: feature_index and flat_feature_index do not count up");
    feature.column = (uint32_t)column;
    reader->features[reader->features_count++] = feature;
    return true;
}

static bool read_float_features(struct reader *reader)
{
    struct ig_json *json = &reader->json, before = *json;
    size_t count = 0;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "float_features")) return false;
    while (ig_json_element(json)) {
        if (!ig_json_skip(json)) return false;
        count++;
    }
    if (!ok(reader)) return false;
    if (reader->features || count > FEATURES_MAX)
        return fail(reader, "features_info.float_features: given twice, or too many");
    reader->features = ig_arena_array(&reader->scratch, count + 1, sizeof *reader->features);
    if (!reader->features) return fail(reader, "out of memory");
    *json = before;
    ig_json_expect(json, IG_JSON_ARRAY, "float_features");
    while (ig_json_element(json))
        if (!read_feature(reader)) return false;
    return ok(reader);
}

static bool refuse_features(struct reader *reader, const char *message)
{
    if (!ig_json_expect(&reader->json, IG_JSON_ARRAY, "features_info")) return false;
    if (ig_json_element(&reader->json)) return fail(reader, message);
    return ok(reader);
}

static bool read_features(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "features_info")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "float_features"))
            read_float_features(reader);
        else if (ig_str_is(json->text, "categorical_features"))
            refuse_features(reader, "features_info.categorical_features: CatBoost's hashed "
                                    "categories are not supported; encode them as numbers before "
                                    "training, or save the model as ONNX");
        else if (ig_str_is(json->text, "text_features") ||
                 ig_str_is(json->text, "embedding_features"))
            refuse_features(reader, "features_info: text and embedding features are not supported");
        else
            ig_json_skip(json);
        if (!ok(reader)) return false;
    }
    return ok(reader);
}

/* ---- trees ---- */

static bool read_split(struct reader *reader, struct split *out)
{
    struct ig_json *json = &reader->json;
    uint64_t feature = UINT64_MAX;
    struct ig_str text;
    bool has_border = false;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "splits")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "float_feature_index")) {
            ig_json_u64(json, &feature, "float_feature_index");
        } else if (ig_str_is(json->text, "border")) {
            has_border = ig_json_f64(json, &out->border, "border");
        } else if (ig_str_is(json->text, "split_type")) {
            if (ig_json_string(json, &text, "split_type") && !ig_str_is(text, "FloatFeature"))
                return fail(reader,
                            "splits: only splits of type FloatFeature are supported; encode "
                            "categories as numbers before training");
        } else {
            ig_json_skip(json);
        }
        if (!ok(reader)) return false;
    }
    if (!ok(reader)) return false;
    if (feature > UINT32_MAX || !has_border)
        return fail(reader, "splits: float_feature_index or border is missing");
    out->feature = (uint32_t)feature;
    return true;
}

static bool read_numbers(struct reader *reader, double **items, size_t *count, size_t *cap,
                         const char *what)
{
    if (!ig_json_expect(&reader->json, IG_JSON_ARRAY, what)) return false;
    while (ig_json_element(&reader->json)) {
        double value;
        if (!ig_json_f64(&reader->json, &value, what)) return false;
        if (!ig_vec_room((void **)items, *count, cap, sizeof **items, NODES_MAX))
            return fail(reader, "out of memory");
        (*items)[(*count)++] = value;
    }
    return ok(reader);
}

/* The greatest double that rounds to a float of at most `border`, and whether it is in: halfway to
 * the next float goes to the even one. */
static double last_left(float border, bool *included)
{
    uint32_t bits;
    float next = nextafterf(border, INFINITY);
    memcpy(&bits, &border, sizeof bits);
    *included = !(bits & 1);
    if (isinf(next)) return (double)border + ((double)border - (double)nextafterf(border, 0)) / 2;
    return (double)border + ((double)next - (double)border) / 2;
}

/* Level by level: node i of a full tree has the children 2i + 1 and 2i + 2. */
static bool add_nodes(struct reader *reader, const struct split *splits, uint32_t depth,
                      size_t first_value)
{
    uint32_t inner = (1u << depth) - 1, leaves = 1u << depth;
    struct ig_tree tree = {
        .first_node = (uint32_t)reader->nodes.count, .nodes_count = inner + leaves, .weight = 1};
    if (reader->nodes.count + inner + leaves > NODES_MAX) return fail(reader, "too many nodes");
    for (uint32_t i = 0; i < inner + leaves; i++) {
        struct ig_node node = {.left = -1, .right = -1, .extra = IG_MODEL_NONE};
        node.source_id = (int32_t)(i < inner ? i : i - inner);
        if (i < inner) {
            uint32_t level = 31 - (uint32_t)__builtin_clz(i + 1);
            const struct split *split = &splits[depth - 1 - level];
            bool included;
            node.value = last_left((float)split->border, &included);
            node.op = included ? IG_NODE_LE : IG_NODE_LT;
            node.missing = IG_NODE_MISSING_NAN;
            node.feature = split->feature; /* a column once all features are read */
            node.left = (int32_t)(2 * i + 1);
            node.right = (int32_t)(2 * i + 2);
        } else {
            node.op = IG_NODE_LEAF;
            node.cover = reader->weights.items[i - inner];
            node.extra = (uint32_t)(first_value + (i - inner));
        }
        if (!IG_VEC_PUSH(&reader->nodes, node, NODES_MAX)) return fail(reader, "out of memory");
    }
    struct ig_node *nodes = &reader->nodes.items[tree.first_node];
    for (uint32_t i = inner; i-- > 0;)
        nodes[i].cover = nodes[2 * i + 1].cover + nodes[2 * i + 2].cover;
    return IG_VEC_PUSH(&reader->trees, tree, NODES_MAX) || fail(reader, "out of memory");
}

static bool read_tree(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct split splits[SPLITS_MAX];
    uint32_t depth = 0;
    size_t values_before = reader->values.count;
    bool has_weights = false;
    reader->weights.count = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "oblivious_trees")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "leaf_values")) {
            read_numbers(reader, &reader->values.items, &reader->values.count, &reader->values.cap,
                         "leaf_values");
        } else if (ig_str_is(json->text, "leaf_weights")) {
            has_weights = read_numbers(reader, &reader->weights.items, &reader->weights.count,
                                       &reader->weights.cap, "leaf_weights");
        } else if (ig_str_is(json->text, "splits")) {
            if (ig_json_next(json) == IG_JSON_NULL) continue; /* a lone leaf */
            if (depth) return fail(reader, "splits: given twice");
            while (ok(reader) && ig_json_element(json)) {
                if (depth == SPLITS_MAX) return fail(reader, "splits: more than 16 in a tree");
                if (!read_split(reader, &splits[depth++])) return false;
            }
        } else {
            ig_json_skip(json);
        }
        if (!ok(reader)) return false;
    }
    if (!ok(reader)) return false;
    size_t leaves = (size_t)1 << depth, values = reader->values.count - values_before;
    uint32_t outputs = reader->model->outputs_count;
    if (!outputs && values % leaves == 0) /* the first tree tells how many */
        outputs = reader->model->outputs_count = (uint32_t)(values / leaves);
    if (!outputs || values != leaves * outputs)
        return fail(reader,
                    "leaf_values: not as many as the tree has leaves and the model outputs");
    if (has_weights && reader->weights.count != leaves)
        return fail(reader, "leaf_weights: not as many as the tree has leaves");
    for (size_t i = reader->weights.count; i < leaves; i++)
        if (!IG_VEC_PUSH(&reader->weights, 1, NODES_MAX)) return fail(reader, "out of memory");
    reader->model->covers_counted = reader->model->covers_counted || !has_weights;
    return add_nodes(reader, splits, depth, values_before / outputs);
}

/* ---- the rest ---- */

static bool read_scale(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct {
        double *items;
        size_t count, cap;
    } bias = {0};
    bool good = ig_json_expect(json, IG_JSON_ARRAY, "scale_and_bias") && ig_json_element(json) &&
                ig_json_f64(json, &reader->scale, "scale_and_bias") && ig_json_element(json) &&
                read_numbers(reader, &bias.items, &bias.count, &bias.cap, "scale_and_bias") &&
                !ig_json_element(json) && ok(reader);
    if (good) {
        reader->model->base_margin = ig_arena_array(&reader->model->arena, bias.count + 1,
                                                    sizeof *reader->model->base_margin);
        good = reader->model->base_margin != NULL;
        if (good && bias.items)
            memcpy(reader->model->base_margin, bias.items, bias.count * sizeof *bias.items);
        reader->model->iterations_count = (uint32_t)bias.count; /* until the trees are counted */
    }
    IG_VEC_FREE(&bias);
    return good || fail(reader, "scale_and_bias: expected [scale, [bias, ...]]");
}

static bool read_loss(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    struct ig_str text;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "loss_function")) return false;
    while (ig_json_member(json)) {
        if (!ig_str_is(json->text, "type")) {
            if (!ig_json_skip(json)) return false;
            continue;
        }
        if (!ig_json_string(json, &text, "loss_function.type")) return false;
        size_t i = 0;
        while (i < sizeof LOSSES / sizeof *LOSSES && !ig_str_is(text, LOSSES[i].loss)) i++;
        if (i == sizeof LOSSES / sizeof *LOSSES) return fail_word(reader, "loss_function", text);
        reader->model->objective = ig_arena_dup(&reader->model->arena, text);
        reader->model->transform = LOSSES[i].transform;
    }
    return ok(reader);
}

/* model_info.params.loss_function, all else passed over. */
static bool read_info(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "model_info")) return false;
    while (ig_json_member(json)) {
        bool params = ig_str_is(json->text, "params");
        if (!params) {
            if (!ig_json_skip(json)) return false;
            continue;
        }
        if (!ig_json_expect(json, IG_JSON_OBJECT, "model_info.params")) return false;
        while (ig_json_member(json)) {
            bool loss = ig_str_is(json->text, "loss_function");
            if (loss ? !read_loss(reader) : !ig_json_skip(json)) return false;
        }
    }
    return ok(reader);
}

static bool read_model(struct reader *reader)
{
    struct ig_json *json = &reader->json;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "model")) return false;
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "features_info")) {
            read_features(reader);
        } else if (ig_str_is(json->text, "oblivious_trees")) {
            if (!ig_json_expect(json, IG_JSON_ARRAY, "oblivious_trees")) return false;
            while (ok(reader) && ig_json_element(json)) read_tree(reader);
        } else if (ig_str_is(json->text, "trees")) {
            return fail(reader, "trees: only symmetric trees are supported; train with "
                                "grow_policy=SymmetricTree");
        } else if (ig_str_is(json->text, "scale_and_bias")) {
            read_scale(reader);
        } else if (ig_str_is(json->text, "model_info")) {
            read_info(reader);
        } else {
            ig_json_skip(json);
        }
        if (!ok(reader)) return false;
    }
    return ok(reader) && (ig_json_next(json) == IG_JSON_END || ok(reader));
}

static bool settle_features(struct reader *reader)
{
    struct ig_model *model = reader->model;
    for (uint32_t i = 0; i < reader->features_count; i++)
        if (reader->features[i].column >= model->features_count)
            model->features_count = reader->features[i].column + 1;
    if (!reader->features_count || model->features_count != reader->features_count)
        return fail(reader, "features_info: the columns of the features have gaps");
    model->inputs = ig_arena_array(&model->arena, model->features_count, sizeof *model->inputs);
    if (!model->inputs) return fail(reader, "out of memory");
    for (uint32_t i = 0; i < reader->features_count; i++)
        model->inputs[reader->features[i].column] =
            (struct ig_input){.name = reader->features[i].name, .kind = IG_INPUT_NUMERIC};
    for (size_t i = 0; i < reader->nodes.count; i++) {
        struct ig_node *node = &reader->nodes.items[i];
        if (node->op == IG_NODE_LEAF) continue;
        if (node->feature >= reader->features_count)
            return fail(reader, "splits: float_feature_index is beyond features_info");
        const struct feature *feature = &reader->features[node->feature];
        node->feature = feature->column;
        node->flags = feature->missing_right ? 0 : IG_NODE_DEFAULT_LEFT;
    }
    return true;
}

static bool settle_leaves(struct reader *reader)
{
    struct ig_model *model = reader->model;
    uint32_t outputs = model->outputs_count;
    for (size_t i = 0; i < reader->values.count; i++) reader->values.items[i] *= reader->scale;
    model->leaf_vectors = outputs > 1;
    if (!model->leaf_vectors) {
        for (size_t i = 0; i < reader->nodes.count; i++) {
            struct ig_node *node = &reader->nodes.items[i];
            if (node->op != IG_NODE_LEAF) continue;
            node->value = reader->values.items[node->extra];
            node->extra = IG_MODEL_NONE;
        }
        return true;
    }
    model->leaf_values =
        ig_arena_array(&model->arena, reader->values.count, sizeof *model->leaf_values);
    if (!model->leaf_values) return fail(reader, "out of memory");
    memcpy(model->leaf_values, reader->values.items,
           reader->values.count * sizeof *model->leaf_values);
    model->leaf_values_count = (uint32_t)(reader->values.count / outputs);
    return true;
}

static bool settle(struct reader *reader)
{
    struct ig_model *model = reader->model;
    uint32_t biases = model->iterations_count;
    if (!reader->trees.count) return fail(reader, "oblivious_trees: missing");
    if (!settle_features(reader) || !settle_leaves(reader)) return false;
    if (!model->base_margin) {
        model->base_margin =
            ig_arena_array(&model->arena, model->outputs_count, sizeof *model->base_margin);
        biases = model->outputs_count;
    }
    if (!model->base_margin) return fail(reader, "out of memory");
    if (biases != model->outputs_count)
        return fail(reader, "scale_and_bias: not as many biases as the model has outputs");
    model->predictions_count = model->outputs_count;
    model->iterations_count = model->trees_count = (uint32_t)reader->trees.count;
    model->nodes_count = (uint32_t)reader->nodes.count;
    model->trees = ig_arena_array(&model->arena, model->trees_count, sizeof *model->trees);
    model->nodes = ig_arena_array(&model->arena, model->nodes_count, sizeof *model->nodes);
    if (!model->trees || !model->nodes) return fail(reader, "out of memory");
    memcpy(model->trees, reader->trees.items, model->trees_count * sizeof *model->trees);
    memcpy(model->nodes, reader->nodes.items, model->nodes_count * sizeof *model->nodes);
    return true;
}

bool ig_catboost_json_probe(struct ig_str bytes)
{
    struct ig_str head = {bytes.ptr, bytes.len < 128 ? bytes.len : 128};
    struct ig_str start = ig_str_trim(head);
    return start.len && *start.ptr == '{' &&
           (memmem(head.ptr, head.len, "\"features_info\"", 15) ||
            memmem(head.ptr, head.len, "\"ctr_data\"", 10) ||
            memmem(head.ptr, head.len, "\"oblivious_trees\"", 17));
}

enum ig_code ig_catboost_json_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    struct reader reader = {.err = err, .scale = 1};
    reader.model = ig_model_new(((size_t)1 << 22) + bytes.len * 64);
    if (!reader.model) return ig_fail(err, IG_NO_MEMORY, "out of memory");
    reader.model->sum_rule = IG_SUM_F64;
    reader.model->transform_parameter = 1;
    ig_arena_init(&reader.scratch, 64 << 10, ((size_t)1 << 20) + bytes.len * 16);
    ig_json_init(&reader.json, bytes, &reader.scratch, err);
    reader.json.allow_nan = true;
    bool good = read_model(&reader) && settle(&reader);
    IG_VEC_FREE(&reader.trees);
    IG_VEC_FREE(&reader.nodes);
    IG_VEC_FREE(&reader.values);
    IG_VEC_FREE(&reader.weights);
    ig_arena_deinit(&reader.scratch);
    if (good && ig_model_check(reader.model, err) == IG_OK) {
        *out = reader.model;
        return IG_OK;
    }
    ig_model_free(reader.model);
    return err->code;
}
