/* SPDX-License-Identifier: Apache-2.0 */
/* Graphs that are one tree ensemble, as a model for the fast engine and exact explanations.
 *
 * What struct ig_model cannot hold stays a graph: BRANCH_EQ, NEQ and MEMBER, MIN and MAX, PROBIT,
 * SOFTMAX_ZERO, and the odd forms of two classes. ONNX files carry no covers worth the name
 * (writers set all hit rates to 1), so every leaf covers 1: path-dependent explanations then weigh
 * leaves alike, those against a background do not depend on it. Two classes with non-negative
 * weights of one class score [1 - s, s]: two outputs with base [1, 0]; any other form of one class
 * alone is one margin. Thread rule: none shared. */
#include "base/mem.h"
#include "formats/format.h"
#include "formats/onnx/onnx.h"
#include "kernels/graph/ensemble.h"

#include <math.h>

/* Shares are rounded to float once a leaf. */
static const double SHARES_TOLERANCE = 1e-5;

struct conversion {
    const struct ig_graph *graph;
    const struct ig_graph_node *node;
    const struct ig_graph_value *input;
    struct ig_ensemble ensemble;
    struct ig_err *err;
    struct ig_model *model;
    bool mirrored; /* two outputs, [-w, w] a leaf */
};

static bool refuse(const struct conversion *conversion, const char *what)
{
    ig_fail(conversion->err, IG_UNSUPPORTED, "no model of trees alone: %s", what);
    return false;
}

static bool is_ensemble(const struct ig_graph_node *node)
{
    return ig_str_is(node->domain, "ai.onnx.ml") &&
           (ig_str_is(node->op, "TreeEnsembleClassifier") ||
            ig_str_is(node->op, "TreeEnsembleRegressor") || ig_str_is(node->op, "TreeEnsemble"));
}

/* What may stand beside the ensemble: nothing that changes a score. */
static bool harmless(const struct ig_graph_node *node)
{
    if (ig_str_is(node->op, "ZipMap") && ig_str_is(node->domain, "ai.onnx.ml")) return true;
    if (node->domain.len > 0) return false;
    return ig_str_is(node->op, "Identity") || ig_str_is(node->op, "Cast");
}

static bool find_ensemble(struct conversion *conversion)
{
    const struct ig_graph *graph = conversion->graph;
    for (uint32_t i = 0; i < graph->nodes_count; i++) {
        const struct ig_graph_node *node = &graph->nodes[i];
        if (is_ensemble(node)) {
            if (conversion->node) return refuse(conversion, "two tree ensembles");
            conversion->node = node;
        } else if (!harmless(node)) {
            ig_fail(conversion->err, IG_UNSUPPORTED,
                    "no model of trees alone: node '%.*s' (%.*s) computes too",
                    IG_STR_ARGS(node->name), IG_STR_ARGS(node->op));
            return false;
        }
    }
    if (!conversion->node) return refuse(conversion, "no tree ensemble");
    if (graph->inputs_count != 1 || conversion->node->inputs_count < 1 ||
        conversion->node->inputs[0] != graph->inputs[0])
        return refuse(conversion, "the ensemble does not read the graph's one input");
    conversion->input = &graph->values[graph->inputs[0]];
    if (conversion->input->type != IG_TENSOR_F32 && conversion->input->type != IG_TENSOR_F64)
        return refuse(conversion, "its input is neither float nor double");
    return true;
}

static bool check_forms(const struct conversion *conversion)
{
    const struct ig_ensemble *ensemble = &conversion->ensemble;
    for (uint32_t i = 0; i < ensemble->nodes_count; i++)
        if (ensemble->nodes[i].mode > IG_ENSEMBLE_GT && ensemble->nodes[i].mode != IG_ENSEMBLE_LEAF)
            return refuse(conversion, "BRANCH_EQ, BRANCH_NEQ or BRANCH_MEMBER");
    if (ensemble->aggregate != IG_ENSEMBLE_SUM && ensemble->aggregate != IG_ENSEMBLE_AVERAGE)
        return refuse(conversion, "aggregate function MIN or MAX");
    if (ensemble->transform == IG_ENSEMBLE_PROBIT ||
        ensemble->transform == IG_ENSEMBLE_SOFTMAX_ZERO)
        return refuse(conversion, "post transform PROBIT or SOFTMAX_ZERO");
    if (ensemble->doubles != (conversion->input->type == IG_TENSOR_F64))
        return refuse(conversion, "thresholds and input differ in precision");
    if (!ensemble->classifier) return true;
    if (ensemble->targets_count < 2) return refuse(conversion, "one class alone");
    if (ensemble->targets_count == 2 && ensemble->base_count > (ensemble->single_class ? 1 : 0))
        return refuse(conversion, "base values of two classes");
    if (!ensemble->single_class) return true;
    if (ensemble->weights[0].target != 0) return refuse(conversion, "the second class alone");
    if (ensemble->weights_positive && (ensemble->transform == IG_ENSEMBLE_LOGISTIC ||
                                       (ensemble->base_count && ensemble->base[0] != 0)))
        return refuse(conversion, "non-negative weights of one class with a threshold of 0.5");
    return true;
}

static void set_outputs(struct conversion *conversion)
{
    const struct ig_ensemble *ensemble = &conversion->ensemble;
    struct ig_model *model = conversion->model;
    conversion->mirrored = ensemble->single_class && ensemble->weights_positive;
    model->outputs_count = ensemble->targets_count;
    if (ensemble->single_class && !conversion->mirrored) model->outputs_count = 1;
    model->predictions_count = model->outputs_count;
    bool one = model->outputs_count == 1;
    if (ensemble->transform == IG_ENSEMBLE_LOGISTIC && (!one || ensemble->classifier))
        model->transform = one ? IG_TRANSFORM_SIGMOID : IG_TRANSFORM_SIGMOID_EACH;
    if (ensemble->transform == IG_ENSEMBLE_SOFTMAX && !one && !conversion->mirrored)
        model->transform = IG_TRANSFORM_SOFTMAX;
}

static bool set_base(struct conversion *conversion)
{
    const struct ig_ensemble *ensemble = &conversion->ensemble;
    struct ig_model *model = conversion->model;
    model->base_margin = ig_arena_array(&model->arena, model->outputs_count, sizeof(double));
    if (!model->base_margin) return false;
    if (conversion->mirrored) {
        model->base_margin[0] = 1;
        return true;
    }
    /* A regressor takes base values one a target or not at all, a classifier as many as there are.
     */
    bool all = ensemble->classifier || ensemble->base_count == ensemble->targets_count;
    for (uint32_t i = 0; all && i < ensemble->base_count && i < model->outputs_count; i++)
        model->base_margin[i] = ensemble->base[i];
    return true;
}

/* Whether each leaf adds to one output and all leaves of a tree to the same. */
static bool scalar_leaves(const struct ig_ensemble *ensemble)
{
    for (uint32_t t = 0; t < ensemble->trees_count; t++) {
        uint32_t after =
            t + 1 < ensemble->trees_count ? ensemble->roots[t + 1] : ensemble->nodes_count;
        uint32_t target = IG_MODEL_NONE;
        for (uint32_t i = ensemble->roots[t]; i < after; i++) {
            const struct ig_ensemble_node *node = &ensemble->nodes[i];
            if (node->mode != IG_ENSEMBLE_LEAF) continue;
            if (node->count != 1) return false;
            uint32_t own = ensemble->weights[node->first].target;
            if (target != IG_MODEL_NONE && target != own) return false;
            target = own;
        }
    }
    return true;
}

static void convert_split(const struct ig_ensemble_node *from, uint32_t root, struct ig_node *node)
{
    bool swapped = from->mode == IG_ENSEMBLE_GTE || from->mode == IG_ENSEMBLE_GT;
    bool less = from->mode == IG_ENSEMBLE_LT || from->mode == IG_ENSEMBLE_GTE;
    node->op = less ? IG_NODE_LT : IG_NODE_LE;
    node->value = from->value;
    node->feature = from->feature;
    node->left = (int32_t)((swapped ? from->no : from->yes) - root);
    node->right = (int32_t)((swapped ? from->yes : from->no) - root);
    node->missing = IG_NODE_MISSING_NAN;
    /* NaN compares false: it goes to `no` unless the node tracks missing values. */
    if (from->missing_yes != swapped) node->flags = IG_NODE_DEFAULT_LEFT;
}

static void convert_leaf(const struct conversion *conversion, const struct ig_ensemble_node *from,
                         struct ig_node *node)
{
    const struct ig_ensemble_weight *weights = conversion->ensemble.weights + from->first;
    struct ig_model *model = conversion->model;
    node->op = IG_NODE_LEAF;
    node->left = node->right = -1;
    if (!model->leaf_vectors) {
        node->value = weights[0].value;
        return;
    }
    double *values = model->leaf_values + (size_t)model->leaf_values_count * model->outputs_count;
    node->extra = model->leaf_values_count++;
    for (uint32_t i = 0; i < from->count; i++) {
        double *value = &values[conversion->mirrored ? 1 : weights[i].target];
        *value += weights[i].value;
        if (model->inputs_f32) *value = (double)(float)*value;
    }
    if (conversion->mirrored) values[0] = -values[1];
}

/* Covers: one a leaf, summed upward; children come after their parents. */
static void set_covers(struct ig_node *nodes, uint32_t count)
{
    for (uint32_t i = count; i-- > 0;)
        nodes[i].cover = nodes[i].op == IG_NODE_LEAF
                             ? 1
                             : nodes[nodes[i].left].cover + nodes[nodes[i].right].cover;
}

static void convert_tree(const struct conversion *conversion, uint32_t tree)
{
    const struct ig_ensemble *ensemble = &conversion->ensemble;
    struct ig_model *model = conversion->model;
    uint32_t first = ensemble->roots[tree];
    uint32_t after =
        tree + 1 < ensemble->trees_count ? ensemble->roots[tree + 1] : ensemble->nodes_count;
    struct ig_tree *out = &model->trees[tree];
    *out = (struct ig_tree){.first_node = first, .nodes_count = after - first, .weight = 1};
    for (uint32_t i = first; i < after; i++) {
        const struct ig_ensemble_node *from = &ensemble->nodes[i];
        struct ig_node *node = &model->nodes[i];
        *node = (struct ig_node){.extra = IG_MODEL_NONE, .source_id = (int32_t)(i - first)};
        if (from->mode != IG_ENSEMBLE_LEAF) {
            convert_split(from, first, node);
            continue;
        }
        convert_leaf(conversion, from, node);
        if (!model->leaf_vectors && model->outputs_count > 1)
            out->output = ensemble->weights[from->first].target;
    }
    set_covers(model->nodes + first, after - first);
}

static bool convert_trees(struct conversion *conversion)
{
    const struct ig_ensemble *ensemble = &conversion->ensemble;
    struct ig_model *model = conversion->model;
    model->leaf_vectors = conversion->mirrored || !scalar_leaves(ensemble);
    model->trees_count = ensemble->trees_count;
    model->nodes_count = ensemble->nodes_count;
    model->trees =
        ig_arena_array(&model->arena, model->trees_count + (size_t)1, sizeof *model->trees);
    model->nodes = ig_arena_array(&model->arena, model->nodes_count, sizeof *model->nodes);
    if (!model->trees || !model->nodes) return false;
    if (model->leaf_vectors) {
        size_t values = (size_t)model->nodes_count * model->outputs_count;
        model->leaf_values = ig_arena_array(&model->arena, values, sizeof(double));
        if (!model->leaf_values) return false;
    }
    for (uint32_t i = 0; i < model->trees_count; i++) convert_tree(conversion, i);
    return true;
}

/* The sum of a leaf's values, or -1 where one of them is no share. */
static double leaf_shares(const struct ig_model *model, const struct ig_node *leaf)
{
    const double *values = model->leaf_values + (size_t)leaf->extra * model->outputs_count;
    double sum = 0;
    for (uint32_t i = 0; i < model->outputs_count; i++) {
        if (!(values[i] >= 0)) return -1;
        sum += values[i];
    }
    return sum;
}

/* What each of a tree's leaves shares out among the classes; -1 where they differ. */
static double tree_shares(const struct ig_model *model, const struct ig_tree *tree)
{
    double all = -1;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[tree->first_node + i];
        if (node->op != IG_NODE_LEAF) continue;
        double own = leaf_shares(model, node);
        if (all < 0) all = own;
        if (own < 0 || fabs(own - all) > SHARES_TOLERANCE) return -1;
    }
    return all;
}

/* The most that a tree adds to the second of two classes, which the first loses. */
static double tree_second_max(const struct ig_model *model, const struct ig_tree *tree)
{
    double most = 0;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[tree->first_node + i];
        if (node->op == IG_NODE_LEAF)
            most = fmax(most, model->leaf_values[2 * (size_t)node->extra + 1]);
    }
    return most;
}

/* A forest's classes get probabilities where every leaf shares the same out: its file does not say
 * so, yet no row can get anything else. */
static bool gives_probabilities(const struct conversion *conversion)
{
    const struct ig_ensemble *ensemble = &conversion->ensemble;
    const struct ig_model *model = conversion->model;
    double sum = 0, base = 0, trees = model->average ? model->trees_count : 1;
    if (!ensemble->classifier || ensemble->transform != IG_ENSEMBLE_NONE || !model->leaf_vectors)
        return false;
    for (uint32_t i = 0; i < model->trees_count; i++) {
        double own = conversion->mirrored ? tree_second_max(model, &model->trees[i])
                                          : tree_shares(model, &model->trees[i]);
        if (own < 0) return false;
        sum += own / trees;
    }
    if (conversion->mirrored) return sum <= 1 + SHARES_TOLERANCE;
    for (uint32_t i = 0; i < model->outputs_count; i++) {
        if (!(model->base_margin[i] >= 0)) return false;
        base += model->base_margin[i];
    }
    return fabs(sum + base - 1) <= SHARES_TOLERANCE;
}

/* The node's operator; a classifier's with the prefix from which packages tell the task. */
static bool set_objective(const struct conversion *conversion)
{
    struct ig_model *model = conversion->model;
    const char *task = model->outputs_count == 1 ? "binary:" : "multi:";
    const char *text =
        ig_arena_printf(&model->arena, "%s%.*s", conversion->ensemble.classifier ? task : "",
                        IG_STR_ARGS(conversion->node->op));
    model->objective = ig_str_view(text);
    return text != NULL;
}

static bool refuse_memory(const struct conversion *conversion)
{
    ig_fail(conversion->err, IG_NO_MEMORY, "the model exceeds its memory");
    return false;
}

static bool convert(struct conversion *conversion)
{
    const struct ig_ensemble *ensemble = &conversion->ensemble;
    struct ig_model *model = conversion->model;
    const struct ig_graph_value *input = conversion->input;
    int64_t width = input->declared && input->rank == 2 ? input->dims[1] : -1;
    model->kind = IG_MODEL_TREES;
    model->covers_counted = true;
    model->inputs_f32 = input->type == IG_TENSOR_F32;
    model->sum_rule = model->inputs_f32 ? IG_SUM_F32_BASE_LAST : IG_SUM_F64;
    model->features_count = ensemble->features_count ? ensemble->features_count : 1;
    if (width > (int64_t)INT32_MAX || (width >= 0 && width < (int64_t)ensemble->features_count))
        return refuse(conversion, "a feature beyond the input's columns");
    if (width > 0) model->features_count = (uint32_t)width;
    model->average = ensemble->aggregate == IG_ENSEMBLE_AVERAGE;
    model->iterations_count = ensemble->trees_count;
    set_outputs(conversion);
    if (!set_objective(conversion)) return refuse_memory(conversion);
    model->source_version = ig_arena_dup(&model->arena, conversion->graph->producer);
    if (!set_base(conversion) || !convert_trees(conversion)) return refuse_memory(conversion);
    if (gives_probabilities(conversion)) model->transform = IG_TRANSFORM_PROBABILITY;
    return true;
}

/* Memory of a model: nodes, leaf vectors and outputs, all bounded by what the ensemble holds. */
static bool model_bytes(const struct ig_ensemble *ensemble, size_t *out)
{
    size_t vectors;
    size_t nodes;
    return ig_mul(&vectors, (size_t)ensemble->nodes_count + 1,
                  ((size_t)ensemble->targets_count + 1) * sizeof(double)) &&
           ig_mul(&nodes, (size_t)ensemble->nodes_count + 1, 4 * sizeof(struct ig_node)) &&
           ig_add(out, vectors, nodes) && ig_add(out, *out, 1 << 20);
}

enum ig_code ig_onnx_trees(struct ig_model **out, const struct ig_graph *graph, struct ig_err *err)
{
    struct conversion conversion = {.graph = graph, .err = err};
    struct ig_arena arena;
    size_t max_bytes = 0;
    if (!find_ensemble(&conversion)) return ig_err_code(err);
    ig_arena_init(&arena, 1 << 16, graph->arena.max_bytes);
    bool good = ig_ensemble_read(&conversion.ensemble, conversion.node, &arena, err) == IG_OK &&
                check_forms(&conversion);
    if (good && (!model_bytes(&conversion.ensemble, &max_bytes) ||
                 !(conversion.model = ig_model_new(max_bytes)))) {
        ig_fail(err, IG_NO_MEMORY, "out of memory");
        good = false;
    }
    good = good && convert(&conversion) && ig_model_check(conversion.model, err) == IG_OK;
    ig_arena_deinit(&arena);
    if (!good) {
        ig_model_free(conversion.model);
        return ig_err_code(err);
    }
    *out = conversion.model;
    return IG_OK;
}

bool ig_onnx_is_trees(const struct ig_graph *graph)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    bool is = ig_onnx_trees(&model, graph, &err) == IG_OK;
    ig_model_free(model);
    return is;
}
