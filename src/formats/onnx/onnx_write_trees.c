/* SPDX-License-Identifier: Apache-2.0 */
/* Tree ensembles and linear models as ONNX.
 *
 * Thresholds become the float that parts floats as the double did, so every float takes the model's
 * own way. A NaN goes where `nodes_missing_value_tracks_true` sends it: the default direction, or
 * where 0 goes at a node that reads it as 0. Sets of categories need TreeEnsemble of ai.onnx.ml 5;
 * everything else is a TreeEnsembleClassifier or Regressor, which every runtime knows.
 *
 * ONNX Runtime takes two classes whose weights all lie with one class and are not negative for
 * probabilities: such models are written with a weight for both. Of two classes with weights for
 * both it takes base values otherwise than the text says: they are a tree of one leaf then.
 * Stateless. */
#include "base/mem.h"
#include "formats/onnx/onnx_write_priv.h"

#include <math.h>

#define ZERO 1e-35F /* of IG_NODE_MISSING_ZERO */

enum { MODE_LEQ = 0, MODE_LT = 1, MODE_MEMBER = 6 }; /* of TreeEnsemble */

struct trees {
    struct onnx_writer *w;
    const struct onnx_model *m;
    bool both;    /* two classes, each with its weight */
    bool in_tree; /* base values are a tree that is one leaf */
    /* A row a node. */
    int64_t *tree_ids, *node_ids, *features, *yes, *no, *missing;
    float *thresholds;
    struct ig_str *modes;
    size_t nodes_count;
    /* A row a weight of a leaf. */
    int64_t *leaf_trees, *leaf_nodes, *leaf_targets;
    float *weights;
    size_t weights_count;
};

static bool full(const struct onnx_writer *w)
{
    ig_fail(w->err, IG_NO_MEMORY, "no memory for the trees");
    return false;
}

/* The float that parts floats as `threshold` parts them. */
static float threshold_f32(const struct ig_node *node)
{
    float value = (float)node->value;
    if (node->op == IG_NODE_LE && (double)value > node->value) return nextafterf(value, -INFINITY);
    if (node->op == IG_NODE_LT && (double)value < node->value) return nextafterf(value, INFINITY);
    return value;
}

static bool left_of(const struct ig_node *node, double x)
{
    return node->op == IG_NODE_LT ? x < node->value : x <= node->value;
}

static bool refuse_zero(const struct trees *t, const struct ig_node *node)
{
    ig_fail(t->w->err, IG_UNSUPPORTED,
            "feature %s: zeros count as missing and go against their order; ONNX cannot say so",
            onnx_feature_name(t->w, t->m->model, node->feature));
    return false;
}

/* Whether NaN goes left; false with the error where zeros go a way that ONNX cannot say. */
static bool missing_left(const struct trees *t, const struct ig_node *node, bool *left)
{
    bool by_default = node->flags & IG_NODE_DEFAULT_LEFT;
    *left = by_default;
    if (node->op == IG_NODE_IN) {
        if (node->missing == IG_NODE_MISSING_ZERO) return refuse_zero(t, node);
        const struct ig_category_set *set = &t->m->model->sets[node->extra];
        bool zero = set->bits > 0 && (set->words[0] & 1);
        if (node->missing == IG_NODE_MISSING_NONE)
            *left = zero == !!(node->flags & IG_NODE_SET_LEFT);
        return true;
    }
    if (node->missing == IG_NODE_MISSING_NONE) *left = left_of(node, 0);
    if (node->missing == IG_NODE_MISSING_ZERO &&
        (left_of(node, (double)ZERO) != by_default || left_of(node, -(double)ZERO) != by_default))
        return refuse_zero(t, node);
    return true;
}

/* A leaf's value for an output, with the tree's weight and the mean's share. */
static float leaf_value(const struct ig_model *model, const struct ig_tree *tree,
                        const struct ig_node *leaf, uint32_t output)
{
    double value = leaf->value, share = model->average ? model->iterations_count : 1;
    if (model->leaf_vectors)
        value = model->leaf_values[(size_t)leaf->extra * model->outputs_count + output];
    return (float)(value * tree->weight / share);
}

static void add_weight(struct trees *t, uint32_t tree, int64_t node, int64_t target, float weight)
{
    t->leaf_trees[t->weights_count] = tree;
    t->leaf_nodes[t->weights_count] = node;
    t->leaf_targets[t->weights_count] = target;
    t->weights[t->weights_count++] = weight;
}

static void add_leaf(struct trees *t, uint32_t tree, uint32_t node)
{
    const struct ig_model *model = t->m->model;
    const struct ig_tree *of = &model->trees[tree];
    const struct ig_node *leaf = &model->nodes[of->first_node + node];
    uint32_t outputs = model->leaf_vectors ? model->outputs_count : 1;
    if (t->both) add_weight(t, tree, node, 0, 0);
    for (uint32_t o = 0; o < outputs; o++) {
        int64_t target = model->leaf_vectors ? o : of->output;
        add_weight(t, tree, node, t->both ? 1 : target, leaf_value(model, of, leaf, o));
    }
}

static bool add_node(struct trees *t, uint32_t tree, uint32_t index)
{
    const struct ig_node *node = &t->m->model->nodes[t->m->model->trees[tree].first_node + index];
    size_t row = t->nodes_count++;
    bool left;
    t->tree_ids[row] = tree;
    t->node_ids[row] = index;
    t->modes[row] = IG_STR("LEAF");
    if (node->op == IG_NODE_LEAF) {
        add_leaf(t, tree, index);
        return true;
    }
    if (!missing_left(t, node, &left)) return false;
    t->modes[row] = node->op == IG_NODE_LT ? IG_STR("BRANCH_LT") : IG_STR("BRANCH_LEQ");
    t->features[row] = node->feature;
    t->thresholds[row] = threshold_f32(node);
    t->yes[row] = node->left;
    t->no[row] = node->right;
    t->missing[row] = left;
    return true;
}

static bool make_rows(struct trees *t, size_t nodes, size_t weights)
{
    struct ig_arena *arena = &t->w->arena;
    int64_t **const by_node[] = {&t->tree_ids, &t->node_ids, &t->features,
                                 &t->yes,      &t->no,       &t->missing};
    int64_t **const by_weight[] = {&t->leaf_trees, &t->leaf_nodes, &t->leaf_targets};
    for (size_t i = 0; i < 6; i++) *by_node[i] = ig_arena_array(arena, nodes, sizeof(int64_t));
    for (size_t i = 0; i < 3; i++) *by_weight[i] = ig_arena_array(arena, weights, sizeof(int64_t));
    t->thresholds = ig_arena_array(arena, nodes, sizeof *t->thresholds);
    t->modes = ig_arena_array(arena, nodes, sizeof *t->modes);
    t->weights = ig_arena_array(arena, weights, sizeof *t->weights);
    return !arena->overflowed || full(t->w);
}

static size_t weights_of(const struct trees *t)
{
    const struct ig_model *model = t->m->model;
    size_t leaves = 0, each = model->leaf_vectors ? model->outputs_count : 1;
    for (uint32_t i = 0; i < model->trees_count; i++) leaves += model->trees[i].leaves_count;
    return leaves * (each + t->both) + model->outputs_count + 1;
}

/* Base values as the last tree, which is one leaf. */
static void add_base_tree(struct trees *t)
{
    const struct ig_model *model = t->m->model;
    size_t row = t->nodes_count++;
    t->tree_ids[row] = model->trees_count;
    t->modes[row] = IG_STR("LEAF");
    if (t->both) add_weight(t, model->trees_count, 0, 0, 0);
    for (uint32_t o = 0; o < model->outputs_count; o++)
        add_weight(t, model->trees_count, 0, o + t->both, (float)model->base_margin[o]);
}

static const float *base_values(const struct trees *t, uint32_t *count)
{
    const struct ig_model *model = t->m->model;
    float *base = ig_arena_array(&t->w->arena, model->outputs_count + (size_t)1, sizeof *base);
    *count = model->outputs_count;
    for (uint32_t o = 0; base && o < model->outputs_count; o++)
        base[o] = (float)model->base_margin[o];
    return base;
}

static void write_rows(struct trees *t, bool classifier)
{
    struct onnx_writer *w = t->w;
    size_t nodes = t->nodes_count, weights = t->weights_count;
    onnx_attribute_i64s(w, "nodes_treeids", t->tree_ids, nodes);
    onnx_attribute_i64s(w, "nodes_nodeids", t->node_ids, nodes);
    onnx_attribute_texts(w, "nodes_modes", t->modes, nodes);
    onnx_attribute_i64s(w, "nodes_featureids", t->features, nodes);
    onnx_attribute_f32s(w, "nodes_values", t->thresholds, nodes);
    onnx_attribute_i64s(w, "nodes_truenodeids", t->yes, nodes);
    onnx_attribute_i64s(w, "nodes_falsenodeids", t->no, nodes);
    onnx_attribute_i64s(w, "nodes_missing_value_tracks_true", t->missing, nodes);
    onnx_attribute_i64s(w, classifier ? "class_treeids" : "target_treeids", t->leaf_trees, weights);
    onnx_attribute_i64s(w, classifier ? "class_nodeids" : "target_nodeids", t->leaf_nodes, weights);
    onnx_attribute_i64s(w, classifier ? "class_ids" : "target_ids", t->leaf_targets, weights);
    onnx_attribute_f32s(w, classifier ? "class_weights" : "target_weights", t->weights, weights);
}

static void write_labels(struct onnx_writer *w, const struct onnx_model *m)
{
    int64_t *numbers = ig_arena_array(&w->arena, m->classes_count, sizeof *numbers);
    if (m->classes) {
        onnx_attribute_texts(w, "classlabels_strings", m->classes, m->classes_count);
        return;
    }
    for (uint32_t i = 0; numbers && i < m->classes_count; i++) numbers[i] = i;
    if (numbers) onnx_attribute_i64s(w, "classlabels_int64s", numbers, m->classes_count);
}

static const char *post_transform(const struct trees *t)
{
    switch (t->m->model->transform) {
    case IG_TRANSFORM_SIGMOID:
        return t->both ? "SOFTMAX" : "LOGISTIC"; /* of 0 and s it is the logistic of s */
    case IG_TRANSFORM_SIGMOID_EACH:
        return "LOGISTIC";
    case IG_TRANSFORM_SOFTMAX:
        return "SOFTMAX";
    default:
        return "NONE";
    }
}

static bool write_classifier(struct trees *t)
{
    struct onnx_writer *w = t->w;
    bool scores = t->m->model->transform == IG_TRANSFORM_ARGMAX;
    const char *out = onnx_declare_scores(w, t->m, scores ? "scores" : "probabilities");
    uint32_t count;
    const float *base = base_values(t, &count);
    if (!base) return full(w);
    onnx_open_node(w, ONNX_ML, "TreeEnsembleClassifier",
                   &(struct onnx_ends){{ONNX_INPUT}, {"label", out}});
    write_rows(t, true);
    write_labels(w, t->m);
    if (!t->in_tree) onnx_attribute_f32s(w, "base_values", base, count);
    onnx_attribute_text(w, "post_transform", post_transform(t));
    onnx_close_node(w);
    return true;
}

static bool write_regressor(struct trees *t)
{
    struct onnx_writer *w = t->w;
    const struct ig_model *model = t->m->model;
    bool plain = !t->m->classes_count && (model->transform == IG_TRANSFORM_IDENTITY ||
                                          model->transform == IG_TRANSFORM_PROBABILITY);
    const char *out = plain ? onnx_declare_variable(w, t->m) : onnx_new_name(w, "margins");
    uint32_t count;
    const float *base = base_values(t, &count);
    if (!base) return full(w);
    onnx_open_node(w, ONNX_ML, "TreeEnsembleRegressor", &(struct onnx_ends){{ONNX_INPUT}, {out}});
    write_rows(t, false);
    onnx_attribute_i64(w, "n_targets", model->outputs_count);
    onnx_attribute_f32s(w, "base_values", base, count);
    onnx_close_node(w);
    if (!plain) onnx_write_transform(w, t->m, out);
    return true;
}

/* What TreeEnsembleClassifier says itself. */
static bool classifies(const struct onnx_model *m)
{
    enum ig_transform transform = m->model->transform;
    bool sloped = m->model->transform_parameter != 1;
    if (!m->classes_count || transform == IG_TRANSFORM_HINGE) return false;
    return !sloped || (transform != IG_TRANSFORM_SIGMOID && transform != IG_TRANSFORM_SIGMOID_EACH);
}

static bool all_positive(const struct ig_model *model)
{
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        for (uint32_t n = 0; n < tree->nodes_count; n++) {
            const struct ig_node *node = &model->nodes[tree->first_node + n];
            if (node->op == IG_NODE_LEAF && leaf_value(model, tree, node, 0) < 0) return false;
        }
    }
    return true;
}

static bool write_plain(struct trees *t)
{
    const struct ig_model *model = t->m->model;
    bool classifier = classifies(t->m);
    t->both = classifier && model->outputs_count == 1 && all_positive(model);
    t->in_tree = classifier && (t->both || model->outputs_count == 2);
    if (!make_rows(t, model->nodes_count + (size_t)1, weights_of(t))) return false;
    for (uint32_t i = 0; i < model->trees_count; i++)
        for (uint32_t n = 0; n < model->trees[i].nodes_count; n++)
            if (!add_node(t, i, n)) return false;
    if (t->in_tree) add_base_tree(t);
    return classifier ? write_classifier(t) : write_regressor(t);
}

/* ---- sets of categories: TreeEnsemble, which knows inner nodes and leaves apart ---- */

struct ensemble {
    struct onnx_writer *w;
    const struct onnx_model *m;
    struct trees shared; /* its messages alone */
    int64_t *features, *yes, *no, *yes_leaf, *no_leaf, *missing, *roots, *targets;
    float *splits, *weights, *members;
    uint8_t *modes;
    size_t nodes, leaves, roots_count, members_count;
    const char *input;
    int64_t *place; /* of a tree's nodes among inner nodes, or leaves */
};

static size_t members_of(const struct ig_model *model)
{
    size_t count = 0;
    for (uint32_t i = 0; i < model->sets_count; i++) count += model->sets[i].bits + (size_t)1;
    for (uint32_t i = 0; i < model->nodes_count; i++) /* sets may be shared by nodes */
        if (model->nodes[i].op == IG_NODE_IN) count += model->sets[model->nodes[i].extra].bits + 1;
    return count;
}

static bool make_ensemble(struct ensemble *e)
{
    const struct ig_model *model = e->m->model;
    struct ig_arena *arena = &e->w->arena;
    size_t copies = model->leaf_vectors ? model->outputs_count : 1, rows, members;
    if (!ig_mul(&rows, (size_t)model->nodes_count + model->trees_count, copies) ||
        !ig_mul(&members, members_of(model) + 1, copies))
        return full(e->w);
    int64_t **const columns[] = {&e->features, &e->yes,     &e->no,    &e->yes_leaf, &e->no_leaf,
                                 &e->missing,  &e->targets, &e->roots, &e->place};
    for (size_t i = 0; i < 9; i++) *columns[i] = ig_arena_array(arena, rows + 1, sizeof(int64_t));
    e->splits = ig_arena_array(arena, rows + 1, sizeof *e->splits);
    e->weights = ig_arena_array(arena, rows + 1, sizeof *e->weights);
    e->modes = ig_arena_array(arena, rows + 1, 1);
    e->members = ig_arena_array(arena, members, sizeof *e->members);
    return !arena->overflowed || full(e->w);
}

/* The members, closed by a NaN. */
static void add_members(struct ensemble *e, const struct ig_category_set *set)
{
    for (uint32_t code = 0; code < set->bits; code++)
        if (set->words[code / 32] >> (code % 32) & 1) e->members[e->members_count++] = (float)code;
    e->members[e->members_count++] = NAN;
}

static bool empty(const struct ig_category_set *set)
{
    for (uint32_t code = 0; code < set->bits; code++)
        if (set->words[code / 32] >> (code % 32) & 1) return false;
    return true;
}

static bool add_split(struct ensemble *e, const struct ig_node *node)
{
    size_t row = e->nodes++;
    bool left, swapped = node->op == IG_NODE_IN && !(node->flags & IG_NODE_SET_LEFT);
    if (!missing_left(&e->shared, node, &left)) return false;
    e->features[row] = node->feature;
    e->yes[row] = swapped ? node->right : node->left; /* numbers within the tree, placed later */
    e->no[row] = swapped ? node->left : node->right;
    e->missing[row] = left != swapped;
    e->modes[row] = node->op == IG_NODE_LT ? MODE_LT : MODE_LEQ;
    if (node->op != IG_NODE_IN) {
        e->splits[row] = threshold_f32(node);
    } else if (empty(&e->m->model->sets[node->extra])) {
        e->modes[row] = MODE_LT;
        e->splits[row] = -INFINITY;
    } else {
        e->modes[row] = MODE_MEMBER;
        add_members(e, &e->m->model->sets[node->extra]);
    }
    return true;
}

/* A tree that is one leaf: a split whose ways both lead to it. */
static void add_lone_leaf(struct ensemble *e)
{
    size_t row = e->nodes++;
    e->modes[row] = MODE_LEQ;
    e->yes[row] = e->no[row] = (int64_t)e->leaves - 1;
    e->yes_leaf[row] = e->no_leaf[row] = 1;
}

/* A tree's leaves and splits, for one output of its leaves. */
static bool add_tree(struct ensemble *e, const struct ig_tree *tree, uint32_t output)
{
    const struct ig_model *model = e->m->model;
    const struct ig_node *nodes = model->nodes + tree->first_node;
    size_t first = e->nodes;
    e->roots[e->roots_count++] = (int64_t)first;
    for (uint32_t n = 0; n < tree->nodes_count; n++) {
        if (nodes[n].op != IG_NODE_LEAF) {
            e->place[n] = (int64_t)e->nodes;
            if (!add_split(e, &nodes[n])) return false;
            continue;
        }
        e->place[n] = (int64_t)e->leaves;
        e->targets[e->leaves] = output;
        e->weights[e->leaves++] = leaf_value(model, tree, &nodes[n], output);
    }
    if (tree->nodes_count == 1) add_lone_leaf(e);
    for (size_t row = first; tree->nodes_count > 1 && row < e->nodes; row++) {
        e->yes_leaf[row] = nodes[e->yes[row]].op == IG_NODE_LEAF;
        e->no_leaf[row] = nodes[e->no[row]].op == IG_NODE_LEAF;
        e->yes[row] = e->place[e->yes[row]];
        e->no[row] = e->place[e->no[row]];
    }
    return true;
}

static void write_floats(struct ensemble *e, const char *name, const float *values, size_t count)
{
    const struct ig_tensor tensor = {IG_TENSOR_F32, 1, {(int64_t)count}, count, values};
    onnx_attribute_tensor(e->w, name, &tensor);
}

static const char *write_ensemble_node(struct ensemble *e)
{
    struct onnx_writer *w = e->w;
    const struct ig_tensor modes = {IG_TENSOR_U8, 1, {(int64_t)e->nodes}, e->nodes, e->modes};
    const char *out = onnx_new_name(w, "sums");
    onnx_open_node(w, ONNX_ML, "TreeEnsemble", &(struct onnx_ends){{e->input}, {out}});
    w->ml_opset = ONNX_ML_OPSET_SETS;
    onnx_attribute_i64(w, "n_targets", e->m->model->outputs_count);
    onnx_attribute_i64s(w, "tree_roots", e->roots, e->roots_count);
    onnx_attribute_i64s(w, "nodes_featureids", e->features, e->nodes);
    onnx_attribute_tensor(w, "nodes_modes", &modes);
    write_floats(e, "nodes_splits", e->splits, e->nodes);
    onnx_attribute_i64s(w, "nodes_truenodeids", e->yes, e->nodes);
    onnx_attribute_i64s(w, "nodes_trueleafs", e->yes_leaf, e->nodes);
    onnx_attribute_i64s(w, "nodes_falsenodeids", e->no, e->nodes);
    onnx_attribute_i64s(w, "nodes_falseleafs", e->no_leaf, e->nodes);
    onnx_attribute_i64s(w, "nodes_missing_value_tracks_true", e->missing, e->nodes);
    onnx_attribute_i64s(w, "leaf_targetids", e->targets, e->leaves);
    write_floats(e, "leaf_weights", e->weights, e->leaves);
    write_floats(e, "membership_values", e->members, e->members_count);
    onnx_close_node(w);
    return out;
}

/* The rows with the codes of categories cut to whole numbers, as the model reads them. */
static const char *write_codes(struct ensemble *e)
{
    const struct ig_model *model = e->m->model;
    struct onnx_writer *w = e->w;
    uint8_t *is_code = ig_arena_array(&w->arena, model->features_count, 1);
    if (!is_code) return NULL;
    for (int pass = 0; pass < 2; pass++) /* a feature that is also split by order is left alone */
        for (uint32_t i = 0; i < model->nodes_count; i++)
            if (model->nodes[i].op != IG_NODE_LEAF && (model->nodes[i].op == IG_NODE_IN) != pass)
                is_code[model->nodes[i].feature] = !pass;
    const struct ig_tensor mask = {
        IG_TENSOR_BOOL, 1, {model->features_count}, model->features_count, is_code};
    const char *out = onnx_new_name(w, "codes"), *whole = ONNX_INPUT;
    if (model->category_truncates) whole = onnx_node(w, "Abs", whole, NULL, NULL);
    whole = onnx_node(w, "Floor", whole, NULL, NULL);
    if (model->category_truncates)
        whole = onnx_node(w, "Mul", whole, onnx_node(w, "Sign", ONNX_INPUT, NULL, NULL), NULL);
    onnx_open_node(
        w, "", "Where",
        &(struct onnx_ends){{onnx_constant(w, "is_code", &mask), whole, ONNX_INPUT}, {out}});
    onnx_close_node(w);
    return out;
}

static bool write_ensemble(struct ensemble *e)
{
    const struct ig_model *model = e->m->model;
    uint32_t count;
    if (!make_ensemble(e) || !(e->input = write_codes(e))) return full(e->w);
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        uint32_t first = model->leaf_vectors ? 0 : tree->output;
        uint32_t last = model->leaf_vectors ? model->outputs_count - 1 : tree->output;
        for (uint32_t o = first; o <= last; o++)
            if (!add_tree(e, tree, o)) return false;
    }
    const float *base = base_values(&e->shared, &count);
    if (!base) return full(e->w);
    const char *sums = write_ensemble_node(e);
    const char *add = onnx_constant_f32s(e->w, "base", base, count);
    onnx_write_transform(e->w, e->m, onnx_node(e->w, "Add", sums, add, NULL));
    return true;
}

static void declare_input(struct onnx_writer *w, const struct ig_model *model)
{
    const int64_t dims[] = {ONNX_OPEN_DIM, model->features_count};
    onnx_input(w, ONNX_INPUT, IG_TENSOR_F32, dims, 2);
}

bool onnx_write_trees(struct onnx_writer *w, const struct onnx_model *m)
{
    struct trees trees = {.w = w, .m = m};
    struct ensemble ensemble = {.w = w, .m = m, .shared = trees};
    bool sets = false;
    if (m->model->linear_leaves) {
        ig_fail(w->err, IG_UNSUPPORTED, "leaves are linear models, which ONNX's trees cannot have");
        return false;
    }
    for (uint32_t i = 0; i < m->model->nodes_count; i++)
        sets |= m->model->nodes[i].op == IG_NODE_IN;
    declare_input(w, m->model);
    return sets ? write_ensemble(&ensemble) : write_plain(&trees);
}

/* ---- linear models ---- */

/* Products in ONNX's order of classes: coefficients of output 0 first. A missing value counts 0,
 * as in the model's own sums. */
bool onnx_write_linear(struct onnx_writer *w, const struct onnx_model *m)
{
    static const float ZEROS[] = {0};
    const struct ig_model *model = m->model;
    uint32_t features = model->features_count, outputs = model->outputs_count;
    size_t count;
    float *weights = ig_mul(&count, features, outputs)
                         ? ig_arena_array(&w->arena, count + 1, sizeof *weights)
                         : NULL;
    float *biases = ig_arena_array(&w->arena, outputs, sizeof *biases);
    if (!weights || !biases) return full(w);
    for (uint32_t o = 0; o < outputs; o++) {
        for (uint32_t f = 0; f < features; f++)
            weights[(size_t)o * features + f] = (float)model->weights[(size_t)f * outputs + o];
        biases[o] = (float)(model->weights[(size_t)features * outputs + o] + model->base_margin[o]);
    }
    declare_input(w, model);
    const char *filled = onnx_new_name(w, "filled"), *margins = onnx_new_name(w, "margins");
    onnx_open_node(w, ONNX_ML, "Imputer", &(struct onnx_ends){{ONNX_INPUT}, {filled}});
    onnx_attribute_f32s(w, "imputed_value_floats", ZEROS, 1);
    onnx_attribute_f32(w, "replaced_value_float", NAN);
    onnx_close_node(w);
    onnx_open_node(w, ONNX_ML, "LinearRegressor", &(struct onnx_ends){{filled}, {margins}});
    onnx_attribute_f32s(w, "coefficients", weights, (size_t)features * outputs);
    onnx_attribute_f32s(w, "intercepts", biases, outputs);
    onnx_attribute_i64(w, "targets", outputs);
    onnx_close_node(w);
    onnx_write_transform(w, m, margins);
    return true;
}
