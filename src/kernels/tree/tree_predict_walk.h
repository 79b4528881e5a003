/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_PREDICT_WALK_H
#define IG_KERNELS_TREE_TREE_PREDICT_WALK_H

/* The plain walk over the model's own nodes: the reference of every faster predictor, and what runs
 * where they cannot. Any checked model; thread-safe. */

#include "model/model.h"

/* Where the library reads x as 0: LightGBM's kZeroThreshold, 1e-35 as a float. */
#define IG_TREE_ZERO 1.0000000180025095e-35

/* Whether x goes left at an inner node. Rounds x to float where the model does. */
bool ig_tree_goes_left(const struct ig_model *model, const struct ig_node *node, double x);
/* Index within the tree of the leaf that the row reaches. */
uint32_t ig_tree_walk(const struct ig_model *model, const struct ig_tree *tree, const double *row);
/* What a linear leaf gives for the row. */
double ig_tree_linear_leaf(const struct ig_model *model, const struct ig_node *leaf,
                           const double *row);
/* The margins of one row. */
void ig_tree_walk_margin(const struct ig_model *model, const double *row, double *margins);

#endif
