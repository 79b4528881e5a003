/* SPDX-License-Identifier: Apache-2.0 */
/* The reference predictor: one row, one tree after another, sums in the source library's order and
 * precision. Floats are compared and added as doubles that hold floats, rounded after each step,
 * which gives the same bits. Owns nothing; stateless. */
#include "kernels/tree/tree_predict_walk.h"

#include <math.h>

static bool is_missing(const struct ig_node *node, double x)
{
    if (node->missing == IG_NODE_MISSING_NONE) return false;
    if (isnan(x)) return true;
    return node->missing == IG_NODE_MISSING_ZERO && fabs(x) <= IG_TREE_ZERO;
}

static bool is_member(const struct ig_model *model, const struct ig_category_set *set, double x)
{
    double lowest = model->category_truncates ? -1 : 0;
    double end = model->category_truncates ? 2147483648.0 : 16777216.0;
    bool above = model->category_truncates ? x > lowest : x >= lowest;
    if (!above || !(x < end)) return false;
    uint32_t code = (uint32_t)(int64_t)x;
    return code < set->bits && (set->words[code / 32] >> (code % 32) & 1);
}

bool ig_tree_goes_left(const struct ig_model *model, const struct ig_node *node, double x)
{
    if (model->inputs_f32) x = (double)(float)x;
    if (is_missing(node, x)) return node->flags & IG_NODE_DEFAULT_LEFT;
    if (isnan(x)) x = 0;
    if (node->op == IG_NODE_LT) return x < node->value;
    if (node->op == IG_NODE_LE) return x <= node->value;
    return is_member(model, &model->sets[node->extra], x) == !!(node->flags & IG_NODE_SET_LEFT);
}

uint32_t ig_tree_walk(const struct ig_model *model, const struct ig_tree *tree, const double *row)
{
    const struct ig_node *nodes = model->nodes + tree->first_node;
    int32_t at = 0;
    while (nodes[at].op != IG_NODE_LEAF) {
        bool left = ig_tree_goes_left(model, &nodes[at], row[nodes[at].feature]);
        at = left ? nodes[at].left : nodes[at].right;
    }
    return (uint32_t)at;
}

double ig_tree_linear_leaf(const struct ig_model *model, const struct ig_node *leaf,
                           const double *row)
{
    if (leaf->extra == IG_MODEL_NONE) return leaf->value;
    const struct ig_linear_leaf *linear = &model->linear[leaf->extra];
    double sum = linear->constant;
    for (uint32_t i = 0; i < linear->count; i++) {
        double x = row[linear->features[i]];
        if (isnan(x)) return leaf->value;
        sum += linear->coefficients[i] * x;
    }
    return sum;
}

static double add(const struct ig_model *model, double sum, double weight, double value)
{
    if (model->sum_rule == IG_SUM_F64) return sum + value * weight;
    float product = (float)value * (float)weight;
    return (double)((float)sum + product);
}

static void add_tree(const struct ig_model *model, const struct ig_tree *tree, const double *row,
                     double *margins)
{
    const struct ig_node *leaf = &model->nodes[tree->first_node + ig_tree_walk(model, tree, row)];
    double *own = margins + tree->output;
    if (model->linear_leaves) {
        *own = add(model, *own, tree->weight, ig_tree_linear_leaf(model, leaf, row));
    } else if (model->leaf_vectors) {
        const double *values = model->leaf_values + (size_t)leaf->extra * model->outputs_count;
        for (uint32_t o = 0; o < model->outputs_count; o++)
            margins[o] = add(model, margins[o], tree->weight, values[o]);
    } else {
        *own = add(model, *own, tree->weight, leaf->value);
    }
}

void ig_tree_walk_margin(const struct ig_model *model, const double *row, double *margins)
{
    bool first = model->sum_rule == IG_SUM_F32_BASE_FIRST;
    for (uint32_t o = 0; o < model->outputs_count; o++)
        margins[o] = first ? model->base_margin[o] : 0;
    for (uint32_t t = 0; t < model->trees_count; t++)
        add_tree(model, &model->trees[t], row, margins);
    for (uint32_t o = 0; o < model->outputs_count; o++) {
        if (model->average) margins[o] /= (double)model->iterations_count;
        if (!first) margins[o] = add(model, margins[o], 1, model->base_margin[o]);
    }
}
