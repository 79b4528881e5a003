/* SPDX-License-Identifier: Apache-2.0 */
/* Writes the JSON of XGBoost 1.7.4 (one base score, scalar leaves), which later ones read as well.
 *
 * What XGBoost has no word for is brought into leaves: weights of trees, an average's divisor, a
 * sigmoid's slope, and what a base margin is off the one that the base score stands for. A leaf of
 * several values becomes a tree a value. XGBoost wants whole iterations, one tree an output each:
 * where outputs have different numbers of trees, trees of one zero leaf fill up. Stateless. */
#include "formats/xgboost_write.h"

#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"
#include "formats/xgboost_priv.h"
#include "kernels/quantize/tree_compact.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { VERSION = 107, NO_PARENT = INT32_MAX, TRIES = 64 };

/* Objectives that are written, each with the parameters that libxgboost asks for. */
static const struct {
    const char *name, *params, *param, *value;
    enum ig_transform transform;
} objectives[] = {
    {"reg:squarederror", "reg_loss_param", "scale_pos_weight", "1", IG_TRANSFORM_IDENTITY},
    {"binary:logitraw", "reg_loss_param", "scale_pos_weight", "1", IG_TRANSFORM_IDENTITY},
    {"binary:logistic", "reg_loss_param", "scale_pos_weight", "1", IG_TRANSFORM_SIGMOID},
    {"reg:logistic", "reg_loss_param", "scale_pos_weight", "1", IG_TRANSFORM_SIGMOID},
    {"binary:logistic", "reg_loss_param", "scale_pos_weight", "1", IG_TRANSFORM_SIGMOID_EACH},
    {"multi:softprob", "softmax_multiclass_param", "num_class", NULL, IG_TRANSFORM_SOFTMAX},
    {"multi:softmax", "softmax_multiclass_param", "num_class", NULL, IG_TRANSFORM_ARGMAX},
    {"count:poisson", "poisson_regression_param", "max_delta_step", "0.7", IG_TRANSFORM_EXP},
    {"binary:hinge", NULL, NULL, NULL, IG_TRANSFORM_HINGE},
};
enum { OBJECTIVES_COUNT = sizeof objectives / sizeof *objectives };

/* A tree of the file: one of the model's, or IG_MODEL_NONE for one of a zero leaf. */
struct written {
    uint32_t tree, output;
    double added; /* to its leaves */
};

struct writer {
    const struct ig_model *model;
    struct ig_json_out out;
    size_t objective;
    float score;
    double scale; /* of leaves and base margins */
    struct written *trees;
    size_t trees_count;
    int32_t *numbers; /* of the tree in hand: see number_nodes */
    uint32_t *order, *parents;
    struct ig_err *err;
};

static size_t find_objective(const struct ig_model *model)
{
    size_t found = OBJECTIVES_COUNT;
    for (size_t i = OBJECTIVES_COUNT; i-- > 0;)
        if (objectives[i].transform == model->transform &&
            (found == OBJECTIVES_COUNT || !ig_str_is(model->objective, objectives[found].name)))
            found = i;
    return found;
}

static enum ig_code check(const struct ig_model *model, struct ig_err *err)
{
    if (model->kind != IG_MODEL_TREES || model->linear_leaves)
        return ig_fail(err, IG_UNSUPPORTED, "XGBoost's file holds trees with constant leaves");
    if (find_objective(model) == OBJECTIVES_COUNT)
        return ig_fail(err, IG_UNSUPPORTED, "no objective of XGBoost predicts by %s",
                       ig_transform_name(model->transform));
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF) continue;
        if (node->missing == IG_NODE_MISSING_ZERO)
            return ig_fail(err, IG_UNSUPPORTED,
                           "feature %u: zeros that count as missing are not XGBoost's",
                           node->feature);
        if (node->op != IG_NODE_IN) continue;
        const struct ig_category_set *set = &model->sets[node->extra];
        bool empty = true;
        for (uint32_t w = 0; w < (set->bits + 31) / 32; w++) empty = empty && !set->words[w];
        if (empty)
            return ig_fail(err, IG_UNSUPPORTED, "feature %u is split by an empty set of categories",
                           node->feature);
    }
    return IG_OK;
}

/* ---- base score ---- */

static double margin_of(const struct writer *writer, float score)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct xgb_objective objective;
    if (!xgb_objective_find(ig_str_view(objectives[writer->objective].name), VERSION, &objective) ||
        !xgb_objective_link(&objective, VERSION, &score, 1, &ignored))
        return (double)NAN;
    return (double)score;
}

static double base_of(const struct writer *writer, uint32_t output)
{
    const struct ig_model *model = writer->model;
    bool divided = model->average && model->sum_rule == IG_SUM_F32_BASE_FIRST;
    double divisor = divided ? (double)model->iterations_count : 1;
    return model->base_margin[output] * writer->scale / divisor;
}

/* The score whose margin is the model's, or one nearest to it. */
static void find_score(struct writer *writer, double margin)
{
    enum ig_transform transform = writer->model->transform;
    double first = margin;
    if (transform == IG_TRANSFORM_SIGMOID || transform == IG_TRANSFORM_SIGMOID_EACH)
        first = 1 / (1 + exp(-margin));
    else if (transform == IG_TRANSFORM_EXP)
        first = exp(margin);
    float score = (float)first;
    for (int i = 0; i < TRIES; i++) score = nextafterf(score, -INFINITY);
    double nearest = INFINITY;
    writer->score = transform == IG_TRANSFORM_EXP ? 1.0F : 0.5F; /* margin 0 */
    for (int i = 0; i < 2 * TRIES; i++, score = nextafterf(score, INFINITY)) {
        double off = fabs(margin_of(writer, score) - margin);
        if (!(off < nearest)) continue;
        nearest = off;
        writer->score = score;
    }
}

/* ---- which trees ---- */

static bool lay_trees(struct writer *writer)
{
    const struct ig_model *model = writer->model;
    uint32_t outputs = model->outputs_count, width = model->leaf_vectors ? outputs : 1, most = 0;
    IG_ASSERT(outputs > 0);
    uint32_t *counts = ig_zalloc_array(outputs, sizeof *counts);
    size_t layers = 0, cells = 0;
    for (uint32_t t = 0; counts && t < model->trees_count; t++)
        for (uint32_t w = 0; w < width; w++) {
            uint32_t output = model->leaf_vectors ? w : model->trees[t].output;
            if (++counts[output] > most) most = counts[output];
        }
    layers = most ? most : 1;
    if (counts && ig_mul(&cells, layers, outputs))
        writer->trees = ig_zalloc_array(cells, sizeof *writer->trees);
    if (!counts || !writer->trees) {
        ig_free(counts);
        return false;
    }
    writer->trees_count = cells;
    for (size_t i = 0; i < cells; i++)
        writer->trees[i] = (struct written){IG_MODEL_NONE, (uint32_t)(i % outputs), 0};
    for (uint32_t o = 0; o < outputs; o++) {
        counts[o] = 0;
        writer->trees[o].added = base_of(writer, o) - margin_of(writer, writer->score);
    }
    for (uint32_t t = 0; t < model->trees_count; t++)
        for (uint32_t w = 0; w < width; w++) {
            uint32_t output = model->leaf_vectors ? w : model->trees[t].output;
            writer->trees[(size_t)counts[output]++ * outputs + output].tree = t;
        }
    ig_free(counts);
    return true;
}

/* ---- one tree ---- */

static bool swaps(const struct ig_node *node)
{
    return node->op == IG_NODE_IN && node->flags & IG_NODE_SET_LEFT;
}

static bool is_member(const struct ig_category_set *set, uint32_t code)
{
    return code < set->bits && (set->words[code / 32] >> (code % 32) & 1);
}

/* Where missing goes, as the file's own left. */
static bool default_left(const struct ig_model *model, const struct ig_node *node)
{
    bool left = node->flags & IG_NODE_DEFAULT_LEFT;
    if (node->missing == IG_NODE_MISSING_NONE) { /* a missing value is read as 0 */
        bool member_left = node->flags & IG_NODE_SET_LEFT;
        float threshold = node->op == IG_NODE_IN ? 0 : ig_compact_threshold(node);
        left = node->op == IG_NODE_IN ? is_member(&model->sets[node->extra], 0) == member_left
                                      : isnan(threshold) || 0 < threshold;
    }
    return left != swaps(node);
}

static float threshold_of(const struct ig_node *node)
{
    float threshold = ig_compact_threshold(node);
    if (isnan(threshold) || threshold > FLT_MAX) return FLT_MAX; /* inputs are finite there */
    return threshold < -FLT_MAX ? -FLT_MAX : threshold;
}

static float leaf_of(const struct writer *writer, const struct written *written,
                     const struct ig_node *node)
{
    const struct ig_model *model = writer->model;
    const struct ig_tree *tree = &model->trees[written->tree];
    double value =
        model->leaf_vectors
            ? model->leaf_values[(size_t)node->extra * model->outputs_count + written->output]
            : node->value;
    double divisor = model->average ? (double)model->iterations_count : 1;
    return (float)(value * tree->weight * writer->scale / divisor + written->added);
}

enum field { LEFT, RIGHT, PARENT, FEATURE, CONDITION, WEIGHT, DEFAULT, COVER, GAIN, TYPE };
static const struct {
    const char *name;
    enum field field;
} fields[] = {
    {"base_weights", WEIGHT},        {"default_left", DEFAULT},  {"left_children", LEFT},
    {"loss_changes", GAIN},          {"parents", PARENT},        {"right_children", RIGHT},
    {"split_conditions", CONDITION}, {"split_indices", FEATURE}, {"split_type", TYPE},
    {"sum_hessian", COVER},
};

/* XGBoost tells numbers from integers by how they are spelt. */
static void write_number(struct ig_json_out *out, float value)
{
    char text[IG_NUM_TEXT_MAX + 2];
    size_t length = ig_num_format_f32(text, value);
    if (!memchr(text, '.', length) && !memchr(text, 'e', length)) {
        memcpy(text + length, ".0", 2);
        length += 2;
    }
    ig_json_out_raw(out, (struct ig_str){text, length});
}

static void write_cell(struct writer *writer, const struct written *written, uint32_t index,
                       enum field field)
{
    const struct ig_model *model = writer->model;
    struct ig_json_out *out = &writer->out;
    bool filler = written->tree == IG_MODEL_NONE;
    static const struct ig_node empty = {.op = IG_NODE_LEAF, .left = -1, .right = -1};
    uint32_t at = filler ? 0 : model->trees[written->tree].first_node + writer->order[index];
    const struct ig_node *node = filler ? &empty : &model->nodes[at];
    bool leaf = node->op == IG_NODE_LEAF, swap = swaps(node);
    float value = !leaf ? 0 : filler ? (float)written->added : leaf_of(writer, written, node);
    switch (field) {
    case LEFT:
        ig_json_out_i64(out, leaf ? -1 : writer->numbers[swap ? node->right : node->left]);
        return;
    case RIGHT:
        ig_json_out_i64(out, leaf ? -1 : writer->numbers[swap ? node->left : node->right]);
        return;
    case PARENT:
        ig_json_out_i64(out, index ? writer->parents[index] : NO_PARENT);
        return;
    case FEATURE:
        ig_json_out_i64(out, node->feature);
        return;
    case CONDITION:
        write_number(out, leaf ? value : node->op == IG_NODE_IN ? 0 : threshold_of(node));
        return;
    case WEIGHT:
        write_number(out, value);
        return;
    case DEFAULT:
        ig_json_out_i64(out, !leaf && default_left(model, node));
        return;
    case COVER:
        write_number(out, (float)node->cover);
        return;
    case GAIN:
        write_number(out, model->gains && !filler ? (float)model->gains[at] : 0);
        return;
    case TYPE:
        ig_json_out_i64(out, node->op == IG_NODE_IN);
        return;
    }
}

/* The codes of all sets of the tree, and which node has which of them. */
static void write_sets(struct writer *writer, const struct written *written)
{
    static const char *const NAMES[] = {"categories", "categories_nodes", "categories_segments",
                                        "categories_sizes"};
    const struct ig_model *model = writer->model;
    struct ig_json_out *out = &writer->out;
    const struct ig_tree *tree =
        written->tree == IG_MODEL_NONE ? NULL : &model->trees[written->tree];
    for (int kind = 0; kind < 4; kind++) {
        int64_t codes = 0;
        ig_json_out_key(out, ig_str_view(NAMES[kind]));
        ig_json_out_array(out);
        for (uint32_t i = 0; tree && i < tree->nodes_count; i++) {
            const struct ig_node *node = &model->nodes[tree->first_node + writer->order[i]];
            if (node->op != IG_NODE_IN) continue;
            const struct ig_category_set *set = &model->sets[node->extra];
            int64_t first = codes;
            for (uint32_t code = 0; code < set->bits; code++) {
                if (!is_member(set, code)) continue;
                codes++;
                if (kind == 0) ig_json_out_i64(out, code);
            }
            if (kind) ig_json_out_i64(out, kind == 1 ? i : kind == 2 ? first : codes - first);
        }
        ig_json_out_array_end(out);
    }
}

static void text_number(struct ig_json_out *out, const char *key, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    ig_json_out_kv_str(out, key, ig_str_view(text));
}

/* libxgboost takes the right child to follow the left one: breadth first, so. `order` has the
 * model's nodes as they are written, `numbers` is the other way round, `parents` by what is
 * written.
 */
static void number_nodes(struct writer *writer, const struct ig_tree *tree)
{
    uint32_t count = 1;
    writer->order[0] = 0;
    writer->numbers[0] = 0;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        const struct ig_node *node = &writer->model->nodes[tree->first_node + writer->order[i]];
        if (node->op == IG_NODE_LEAF) continue;
        int32_t children[] = {swaps(node) ? node->right : node->left,
                              swaps(node) ? node->left : node->right};
        for (int c = 0; c < 2; c++, count++) {
            writer->order[count] = (uint32_t)children[c];
            writer->numbers[children[c]] = (int32_t)count;
            writer->parents[count] = i;
        }
    }
}

static void write_tree(struct writer *writer, size_t index)
{
    const struct written *written = &writer->trees[index];
    struct ig_json_out *out = &writer->out;
    bool filler = written->tree == IG_MODEL_NONE;
    uint32_t nodes = filler ? 1 : writer->model->trees[written->tree].nodes_count;
    if (!filler) number_nodes(writer, &writer->model->trees[written->tree]);
    ig_json_out_object(out);
    write_sets(writer, written);
    ig_json_out_kv_i64(out, "id", (int64_t)index);
    for (size_t f = 0; f < sizeof fields / sizeof *fields; f++) {
        ig_json_out_key(out, ig_str_view(fields[f].name));
        ig_json_out_array(out);
        for (uint32_t i = 0; i < nodes; i++) write_cell(writer, written, i, fields[f].field);
        ig_json_out_array_end(out);
    }
    ig_json_out_key(out, IG_STR("tree_param"));
    ig_json_out_object(out);
    text_number(out, "num_deleted", 0);
    text_number(out, "num_feature", writer->model->features_count);
    text_number(out, "num_nodes", nodes);
    text_number(out, "size_leaf_vector", 0);
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

/* ---- the rest of the file ---- */

static void write_booster(struct writer *writer)
{
    struct ig_json_out *out = &writer->out;
    ig_json_out_key(out, IG_STR("gradient_booster"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("model"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("gbtree_model_param"));
    ig_json_out_object(out);
    text_number(out, "num_parallel_tree", 1);
    text_number(out, "num_trees", writer->trees_count);
    text_number(out, "size_leaf_vector", 0);
    ig_json_out_object_end(out);
    ig_json_out_key(out, IG_STR("tree_info"));
    ig_json_out_array(out);
    for (size_t i = 0; i < writer->trees_count; i++) ig_json_out_i64(out, writer->trees[i].output);
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("trees"));
    ig_json_out_array(out);
    for (size_t i = 0; i < writer->trees_count; i++) write_tree(writer, i);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
    ig_json_out_kv_str(out, "name", IG_STR("gbtree"));
    ig_json_out_object_end(out);
}

static const char *type_of(const struct ig_input *input)
{
    return input->kind == IG_INPUT_CATEGORICAL ? "c"
           : input->kind == IG_INPUT_INTEGER   ? "int"
                                               : "float";
}

static void write_inputs(struct writer *writer)
{
    const struct ig_model *model = writer->model;
    struct ig_json_out *out = &writer->out;
    bool named = model->inputs != NULL;
    for (uint32_t f = 0; named && f < model->features_count; f++)
        named = model->inputs[f].name.len > 0;
    ig_json_out_key(out, IG_STR("feature_names"));
    ig_json_out_array(out);
    for (uint32_t f = 0; named && f < model->features_count; f++)
        ig_json_out_str(out, model->inputs[f].name);
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("feature_types"));
    ig_json_out_array(out);
    for (uint32_t f = 0; model->inputs && f < model->features_count; f++)
        ig_json_out_str(out, ig_str_view(type_of(&model->inputs[f])));
    ig_json_out_array_end(out);
}

static void write_learner_param(struct writer *writer)
{
    const struct ig_model *model = writer->model;
    struct ig_json_out *out = &writer->out;
    char score[32];
    bool classes =
        model->transform == IG_TRANSFORM_SOFTMAX || model->transform == IG_TRANSFORM_ARGMAX;
    snprintf(score, sizeof score, "%.9g", (double)writer->score);
    ig_json_out_key(out, IG_STR("learner_model_param"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "base_score", ig_str_view(score));
    text_number(out, "boost_from_average", 1);
    text_number(out, "num_class", classes ? model->outputs_count : 0);
    text_number(out, "num_feature", model->features_count);
    text_number(out, "num_target", classes ? 1 : model->outputs_count);
    ig_json_out_object_end(out);
}

static void write_objective(struct writer *writer)
{
    struct ig_json_out *out = &writer->out;
    const char *params = objectives[writer->objective].params;
    ig_json_out_key(out, IG_STR("objective"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", ig_str_view(objectives[writer->objective].name));
    if (params) {
        const char *value = objectives[writer->objective].value;
        ig_json_out_key(out, ig_str_view(params));
        ig_json_out_object(out);
        if (value)
            ig_json_out_kv_str(out, objectives[writer->objective].param, ig_str_view(value));
        else
            text_number(out, objectives[writer->objective].param, writer->model->outputs_count);
        ig_json_out_object_end(out);
    }
    ig_json_out_object_end(out);
}

static void write_document(struct writer *writer)
{
    struct ig_json_out *out = &writer->out;
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("learner"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("attributes"));
    ig_json_out_object(out);
    ig_json_out_object_end(out);
    write_inputs(writer);
    write_booster(writer);
    write_learner_param(writer);
    write_objective(writer);
    ig_json_out_object_end(out);
    ig_json_out_key(out, IG_STR("version"));
    ig_json_out_array(out);
    ig_json_out_i64(out, VERSION / 100);
    ig_json_out_i64(out, VERSION % 100);
    ig_json_out_i64(out, 4);
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
}

enum ig_code ig_xgboost_write(struct ig_buf *out, const struct ig_model *model, struct ig_err *err)
{
    if (check(model, err) != IG_OK) return err->code;
    bool sloped =
        model->transform == IG_TRANSFORM_SIGMOID || model->transform == IG_TRANSFORM_SIGMOID_EACH;
    struct writer writer = {.model = model,
                            .objective = find_objective(model),
                            .scale = sloped ? model->transform_parameter : 1,
                            .err = err};
    find_score(&writer, base_of(&writer, 0));
    size_t nodes = (size_t)model->nodes_count + 1;
    writer.order = ig_zalloc_array(nodes, sizeof *writer.order);
    writer.numbers = ig_zalloc_array(nodes, sizeof *writer.numbers);
    writer.parents = ig_zalloc_array(nodes, sizeof *writer.parents);
    if (writer.order && writer.numbers && writer.parents && lay_trees(&writer)) {
        ig_json_out_init(&writer.out, out);
        write_document(&writer);
        if (out->overflowed) ig_fail(err, IG_TOO_LARGE, "the model's file does not fit");
    } else {
        ig_fail(err, IG_NO_MEMORY, "no memory to write %u nodes", model->nodes_count);
    }
    ig_free(writer.trees);
    ig_free(writer.parents);
    ig_free(writer.numbers);
    ig_free(writer.order);
    return err->code;
}
