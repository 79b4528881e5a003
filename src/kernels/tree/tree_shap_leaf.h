/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_SHAP_LEAF_H
#define IG_KERNELS_TREE_TREE_SHAP_LEAF_H

/* What every explanation of a tree ensemble reads of its leaves: values, shares, base margins. */

#include "model/model.h"

#include <math.h>

/* INVALID: not a tree ensemble. UNSUPPORTED: leaves that are linear functions. */
enum ig_code ig_tree_shap_admit(const struct ig_model *model, struct ig_err *err);

/* Share of the cover that goes left. Zero covers of both children count as equal. */
static inline double ig_tree_shap_left_share(const struct ig_node *nodes,
                                             const struct ig_node *node)
{
    double left = nodes[node->left].cover;
    double right = nodes[node->right].cover;
    double sum = left + right;
    if (!(sum > 0)) return 0.5;
    return isfinite(sum) ? left / sum : left * 0.5 / (left * 0.5 + right * 0.5);
}

/* What the leaf adds to the margin of `output`. */
static inline double ig_tree_shap_leaf_value(const struct ig_model *model,
                                             const struct ig_tree *tree, const struct ig_node *leaf,
                                             uint32_t output)
{
    double value = leaf->value;
    if (model->leaf_vectors)
        value = model->leaf_values[(size_t)leaf->extra * model->outputs_count + output];
    else if (model->linear_leaves && leaf->extra != IG_MODEL_NONE)
        value = model->linear[leaf->extra].constant;
    value *= tree->weight;
    return model->average ? value / (double)model->iterations_count : value;
}

static inline double ig_tree_shap_base_margin(const struct ig_model *model, uint32_t output)
{
    double base = model->base_margin[output];
    bool averaged = model->average && model->sum_rule == IG_SUM_F32_BASE_FIRST;
    return averaged ? base / (double)model->iterations_count : base;
}

#endif
