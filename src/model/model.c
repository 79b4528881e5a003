/* SPDX-License-Identifier: Apache-2.0 */
/* The in-memory model: birth, end, validation and the step from margins to predictions.
 *
 * Validation relies on one rule of the contract: a child's index is greater than its parent's. One
 * forward pass over a tree then finds cycles, shared children and unreachable nodes without a
 * stack. Thread rule: a checked model is immutable. */
#include "model/model.h"

#include "model/derived.h"
#include "model/foreign.h"
#include "model/graph.h"
#include "model/network.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

enum { CHUNK_BYTES = 64 * 1024 };

struct check {
    struct ig_model *model;
    struct ig_err *err;
    uint32_t *depths; /* of the nodes of the tree in hand; IG_MODEL_NONE: not reached yet */
    uint32_t tree;
};

struct ig_model *ig_model_new(size_t max_bytes)
{
    struct ig_model *model = ig_zalloc(sizeof *model);
    if (!model) return NULL;
    ig_arena_init(&model->arena, CHUNK_BYTES, max_bytes);
    model->transform_parameter = 1;
    model->iterations_count = 1;
    return model;
}

void ig_model_free(struct ig_model *model)
{
    if (!model) return;
    ig_graph_free(model->graph);
    ig_network_free(model->network);
    if (model->foreign) model->foreign->free(model->foreign);
    if (model->derived) ig_model_free(model->derived->trees);
    ig_arena_deinit(&model->arena);
    ig_free(model);
}

static bool is_float(double value)
{
    return (double)(float)value == value;
}

static bool check_sizes(const struct check *check)
{
    const struct ig_model *model = check->model;
    uint32_t predictions = model->transform == IG_TRANSFORM_ARGMAX ? 1 : model->outputs_count;
    if (model->features_count == 0 || model->features_count > INT32_MAX)
        ig_fail(check->err, IG_INVALID, "feature count %u is not in 1..%d", model->features_count,
                INT32_MAX);
    else if (model->outputs_count == 0 || model->outputs_count > INT32_MAX)
        ig_fail(check->err, IG_INVALID, "output count %u is not in 1..%d", model->outputs_count,
                INT32_MAX);
    else if ((unsigned)model->transform >= IG_TRANSFORMS_COUNT)
        ig_fail(check->err, IG_INVALID, "transform %d is unknown", (int)model->transform);
    else if (model->predictions_count != predictions)
        ig_fail(check->err, IG_INVALID, "prediction count %u, expected %u",
                model->predictions_count, predictions);
    else if (!isfinite(model->transform_parameter))
        ig_fail(check->err, IG_INVALID, "transform parameter is not finite");
    else if (model->average && model->iterations_count == 0)
        ig_fail(check->err, IG_INVALID, "an averaged model without iterations");
    else if (!model->base_margin)
        ig_fail(check->err, IG_INVALID, "base margin is absent");
    return check->err->code == IG_OK;
}

static bool check_base(const struct check *check)
{
    const struct ig_model *model = check->model;
    for (uint32_t i = 0; i < model->outputs_count; i++) {
        double base = model->base_margin[i];
        if (!isfinite(base) || (model->inputs_f32 && !is_float(base))) {
            ig_fail(check->err, IG_INVALID, "base margin of output %u is %g", i, base);
            return false;
        }
    }
    return true;
}

static bool node_fail(const struct check *check, uint32_t node, const char *what, double value)
{
    ig_fail(check->err, IG_INVALID, "tree %u, node %u: %s %.17g", check->tree, node, what, value);
    return false;
}

static bool check_linear_leaf(const struct check *check, uint32_t at, uint32_t extra)
{
    const struct ig_model *model = check->model;
    if (extra >= model->linear_count) return node_fail(check, at, "no linear leaf", extra);
    const struct ig_linear_leaf *leaf = &model->linear[extra];
    if (!isfinite(leaf->constant)) return node_fail(check, at, "leaf constant", leaf->constant);
    for (uint32_t i = 0; i < leaf->count; i++) {
        if (leaf->features[i] >= model->features_count)
            return node_fail(check, at, "linear leaf's feature", leaf->features[i]);
        if (!isfinite(leaf->coefficients[i]))
            return node_fail(check, at, "linear leaf's coefficient", leaf->coefficients[i]);
    }
    return true;
}

static bool check_leaf(const struct check *check, uint32_t at, const struct ig_node *node)
{
    const struct ig_model *model = check->model;
    if (node->left != -1 || node->right != -1)
        return node_fail(check, at, "a leaf with child", node->left);
    if (!isfinite(node->value) || (model->inputs_f32 && !is_float(node->value)))
        return node_fail(check, at, "leaf value", node->value);
    if (model->leaf_vectors && node->extra >= model->leaf_values_count)
        return node_fail(check, at, "no leaf vector", node->extra);
    if (model->linear_leaves && node->extra != IG_MODEL_NONE)
        return check_linear_leaf(check, at, node->extra);
    return true;
}

static bool check_split(const struct check *check, uint32_t at, const struct ig_node *node)
{
    const struct ig_model *model = check->model;
    if (node->feature >= model->features_count)
        return node_fail(check, at, "feature out of range:", node->feature);
    if (node->op == IG_NODE_IN) {
        if (node->extra >= model->sets_count)
            return node_fail(check, at, "no category set", node->extra);
        return true;
    }
    if (isnan(node->value) || (model->inputs_f32 && !is_float(node->value)))
        return node_fail(check, at, "threshold", node->value);
    return true;
}

static bool reach_child(const struct check *check, uint32_t at, int32_t child)
{
    const struct ig_tree *tree = &check->model->trees[check->tree];
    if (child <= (int64_t)at || child >= (int64_t)tree->nodes_count)
        return node_fail(check, at, "child out of order:", child);
    if (check->depths[child] != IG_MODEL_NONE)
        return node_fail(check, at, "child has another parent:", child);
    check->depths[child] = check->depths[at] + 1;
    return true;
}

static bool check_node(const struct check *check, uint32_t at)
{
    struct ig_tree *tree = &check->model->trees[check->tree];
    const struct ig_node *node = &check->model->nodes[tree->first_node + at];
    uint32_t depth = check->depths[at];
    if (depth == IG_MODEL_NONE) return node_fail(check, at, "not reached from the root:", at);
    if (depth > tree->depth) tree->depth = depth;
    if (!isfinite(node->cover) || node->cover < 0)
        return node_fail(check, at, "cover", node->cover);
    if (node->op > IG_NODE_IN) return node_fail(check, at, "unknown kind of node", node->op);
    if (node->missing > IG_NODE_MISSING_NAN)
        return node_fail(check, at, "unknown missing type", node->missing);
    if (node->op == IG_NODE_LEAF) {
        tree->leaves_count++;
        return check_leaf(check, at, node);
    }
    return check_split(check, at, node) && reach_child(check, at, node->left) &&
           reach_child(check, at, node->right);
}

static bool check_tree(struct check *check, uint32_t first_node)
{
    struct ig_model *model = check->model;
    struct ig_tree *tree = &model->trees[check->tree];
    if (tree->first_node != first_node || tree->nodes_count == 0 || tree->nodes_count > INT32_MAX ||
        tree->nodes_count > model->nodes_count - first_node) {
        ig_fail(check->err, IG_INVALID, "tree %u: nodes %u..+%u of %u", check->tree,
                tree->first_node, tree->nodes_count, model->nodes_count);
        return false;
    }
    if (tree->output >= model->outputs_count) {
        ig_fail(check->err, IG_INVALID, "tree %u: output %u of %u", check->tree, tree->output,
                model->outputs_count);
        return false;
    }
    if (!isfinite(tree->weight) || (model->inputs_f32 && !is_float(tree->weight))) {
        ig_fail(check->err, IG_INVALID, "tree %u: weight %g", check->tree, tree->weight);
        return false;
    }
    tree->depth = 0;
    tree->leaves_count = 0;
    for (uint32_t i = 0; i < tree->nodes_count; i++) check->depths[i] = IG_MODEL_NONE;
    check->depths[0] = 0;
    for (uint32_t i = 0; i < tree->nodes_count; i++)
        if (!check_node(check, i)) return false;
    return true;
}

static bool check_trees(struct check *check)
{
    struct ig_model *model = check->model;
    uint32_t first = 0;
    for (uint32_t i = 0; i < model->trees_count; i++) {
        check->tree = i;
        if (!check_tree(check, first)) return false;
        first += model->trees[i].nodes_count;
    }
    if (first != model->nodes_count) {
        ig_fail(check->err, IG_INVALID, "%u nodes belong to no tree", model->nodes_count - first);
        return false;
    }
    return true;
}

static bool check_numbers(const struct check *check, const double *values, size_t count,
                          const char *what)
{
    for (size_t i = 0; i < count; i++) {
        if (isfinite(values[i])) continue;
        ig_fail(check->err, IG_INVALID, "%s %zu is not finite", what, i);
        return false;
    }
    return true;
}

/* A row of the model is a row of what runs it. */
static bool check_foreign(const struct check *check)
{
    const struct ig_model *model = check->model;
    const struct ig_foreign *foreign = model->foreign;
    if (foreign && foreign->features_count == model->features_count &&
        foreign->values_count == model->outputs_count)
        return true;
    ig_fail(check->err, IG_INVALID,
            "the foreign model takes %u numbers and gives %u, expected %u "
            "and %u",
            foreign ? foreign->features_count : 0, foreign ? foreign->values_count : 0,
            model->features_count, model->outputs_count);
    return false;
}

static size_t elements(const struct ig_network *network, const uint32_t *tensors, uint32_t count)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ig_network_tensor_count(&network->tensors[tensors[i]]);
    return sum;
}

static bool check_network(const struct check *check)
{
    const struct ig_model *model = check->model;
    const struct ig_network *network = model->network;
    if (!network || ig_network_check(network, check->err) != IG_OK) return false;
    size_t inputs = elements(network, network->inputs, network->inputs_count);
    size_t outputs = elements(network, network->outputs, network->outputs_count);
    if (inputs == model->features_count && outputs == model->outputs_count) return true;
    ig_fail(check->err, IG_INVALID,
            "the network takes %zu numbers and gives %zu, expected %u and %u", inputs, outputs,
            model->features_count, model->outputs_count);
    return false;
}

static bool check_body(struct check *check)
{
    struct ig_model *model = check->model;
    if (model->kind == IG_MODEL_GRAPH)
        return model->graph && ig_graph_check(model->graph, check->err) == IG_OK;
    if (model->kind == IG_MODEL_FOREIGN) return check_foreign(check);
    if (model->kind == IG_MODEL_NETWORK) return check_network(check);
    if (model->kind == IG_MODEL_DERIVED)
        return model->derived && ig_derived_check(model->derived, model, check->err) == IG_OK;
    if (model->kind == IG_MODEL_LINEAR)
        return check_numbers(check, model->weights,
                             ((size_t)model->features_count + 1) * model->outputs_count,
                             "linear weight");
    if (model->leaf_vectors &&
        !check_numbers(check, model->leaf_values,
                       (size_t)model->leaf_values_count * model->outputs_count, "leaf value"))
        return false;
    check->depths = ig_zalloc_array(model->nodes_count ? model->nodes_count : 1, sizeof(uint32_t));
    if (!check->depths) {
        ig_fail(check->err, IG_NO_MEMORY, "no memory to check %u nodes", model->nodes_count);
        return false;
    }
    bool good = check_trees(check);
    ig_free(check->depths);
    return good;
}

enum ig_code ig_model_check(struct ig_model *model, struct ig_err *err)
{
    struct check check = {.model = model, .err = err};
    if (model->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "the model exceeds its memory");
    if (check_sizes(&check) && check_base(&check) && check_body(&check)) return IG_OK;
    return err->code;
}

static float sigmoid_f32(float x)
{
    float negative = -x < 88.7F ? -x : 88.7F; /* keeps expf finite */
    return 1.0F / (expf(negative) + 1.0F + 1e-16F);
}

static float softplus_f32(float x)
{
    return x > 0 ? x + log1pf(expf(-x)) : log1pf(expf(x));
}

static double each_f32(enum ig_transform transform, float x)
{
    switch (transform) {
    case IG_TRANSFORM_SIGMOID:
    case IG_TRANSFORM_SIGMOID_EACH:
        return (double)sigmoid_f32(x);
    case IG_TRANSFORM_EXP:
        return (double)expf(x);
    case IG_TRANSFORM_HINGE:
        return x > 0 ? 1 : 0;
    default:
        return (double)x;
    }
}

static double each_f64(enum ig_transform transform, double parameter, double x)
{
    switch (transform) {
    case IG_TRANSFORM_SIGMOID:
    case IG_TRANSFORM_SIGMOID_EACH:
        return 1.0 / (1.0 + exp(-parameter * x));
    case IG_TRANSFORM_EXP:
        return exp(x);
    case IG_TRANSFORM_HINGE:
        return x > 0 ? 1 : 0;
    case IG_TRANSFORM_SIGNED_SQUARE:
        return ((x > 0) - (x < 0)) * x * x;
    case IG_TRANSFORM_LOG1P_EXP:
        return log1p(exp(x));
    default:
        return x;
    }
}

/* XGBoost sums the float exponentials in double and divides by the sum as float. */
static void softmax_f32(const double *margins, uint32_t count, double *out)
{
    float greatest = (float)margins[0];
    for (uint32_t i = 1; i < count; i++) greatest = fmaxf((float)margins[i], greatest);
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = (double)expf((float)margins[i] - greatest);
        sum += out[i];
    }
    for (uint32_t i = 0; i < count; i++) out[i] = (double)((float)out[i] / (float)sum);
}

static void softmax_f64(const double *margins, uint32_t count, double *out)
{
    double greatest = margins[0];
    for (uint32_t i = 1; i < count; i++)
        if (margins[i] > greatest) greatest = margins[i];
    double sum = 0;
    for (uint32_t i = 0; i < count; i++) {
        out[i] = exp(margins[i] - greatest);
        sum += out[i];
    }
    for (uint32_t i = 0; i < count; i++) out[i] /= sum;
}

static uint32_t argmax(const double *margins, uint32_t count)
{
    uint32_t best = 0;
    for (uint32_t i = 1; i < count; i++)
        if (margins[i] > margins[best]) best = i;
    return best;
}

static int compare_doubles(const void *left, const void *right)
{
    double a = *(const double *)left;
    double b = *(const double *)right;
    return (a > b) - (a < b);
}

static void cumulate_softplus(const double *margins, uint32_t count, double *out)
{
    float sum = (float)margins[0];
    out[0] = (double)sum;
    for (uint32_t i = 1; i < count; i++) {
        sum += 1e-6F + softplus_f32((float)margins[i]);
        out[i] = (double)sum;
    }
}

void ig_model_transform(const struct ig_model *model, const double *margins, double *predictions)
{
    uint32_t count = model->outputs_count;
    switch (model->transform) {
    case IG_TRANSFORM_SOFTMAX:
        (model->inputs_f32 ? softmax_f32 : softmax_f64)(margins, count, predictions);
        return;
    case IG_TRANSFORM_ARGMAX:
        predictions[0] = argmax(margins, count);
        return;
    case IG_TRANSFORM_CUMULATIVE_SOFTPLUS:
        cumulate_softplus(margins, count, predictions);
        return;
    case IG_TRANSFORM_SORT:
        for (uint32_t i = 0; i < count; i++) predictions[i] = margins[i];
        qsort(predictions, count, sizeof *predictions, compare_doubles);
        return;
    default:
        break;
    }
    for (uint32_t i = 0; i < count; i++)
        predictions[i] = model->inputs_f32
                             ? each_f32(model->transform, (float)margins[i])
                             : each_f64(model->transform, model->transform_parameter, margins[i]);
}

bool ig_model_gives_probabilities(const struct ig_model *model)
{
    return model->transform == IG_TRANSFORM_SIGMOID || model->transform == IG_TRANSFORM_SOFTMAX ||
           model->transform == IG_TRANSFORM_SIGMOID_EACH ||
           model->transform == IG_TRANSFORM_PROBABILITY;
}

const char *ig_transform_name(enum ig_transform transform)
{
    static const char *const names[] = {
#define IG_TRANSFORM(name, doc) #name,
#include "model/transforms.def"
#undef IG_TRANSFORM
    };
    return (unsigned)transform < IG_TRANSFORMS_COUNT ? names[transform] : "unknown";
}
