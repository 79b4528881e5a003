/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_TREE_PRUNE_H
#define IG_KERNELS_TRAIN_TREE_PRUNE_H

/* Smaller tree ensembles: splits that matter least become leaves, or whole trees go.
 *
 * Minimal cost-complexity pruning (Breiman, Friedman, Olshen and Stone 1984, chapter 3) over all
 * trees at once: the split goes next whose subtree gains least a leaf. What a subtree gains is the
 * second-order change of the loss (Friedman 2001, Chen and Guestrin 2016) on given rows, at the
 * margins of the ensemble as it then is, and what the leaves' covers say of training, as if that
 * were so many rows more; without rows the covers alone, which for a single tree of squared error
 * or Gini impurity is Breiman's own. Deterministic. */

#include "kernels/train/tree_loss.h"

struct ig_tree_prune_options {
    const struct ig_tree_rows *fit;   /* to decide and refit by; NULL: covers alone */
    const struct ig_tree_rows *judge; /* for loss_max and the report; NULL: fit */
    double prior;                     /* the covers' weight beside the rows', over 0 */
    bool whole_trees;                 /* trees go whole, the others stay as they are */
    bool refit;                       /* leaves learn from the fit rows what went */
    /* One of three ends: */
    uint32_t leaves_max; /* 0: none */
    uint64_t bytes_max;  /* 0: none; by `bytes`, which gives 0 after a failure */
    uint64_t (*bytes)(void *context, const struct ig_model *model);
    void *context;
    double loss_max; /* as small as the judge's loss stays at most this; NaN: none */
};

struct ig_tree_prune_side {
    uint32_t trees, leaves;
    double loss, accuracy; /* of the judge's rows; NaN without rows, or without classes */
};

struct ig_tree_prune_report {
    struct ig_tree_prune_side before, after;
};

/* A checked model of its own. INVALID names the option, or a loss
 * that the model itself does not reach; UNSUPPORTED as ig_tree_edit_init. Two
 * leaves stay at least: TOO_LARGE when that is not small enough. */
enum ig_code ig_tree_prune_run(struct ig_model **out, struct ig_tree_prune_report *report,
                               const struct ig_model *model,
                               const struct ig_tree_prune_options *options, struct ig_err *err);

/* The sequence of pruned ensembles by covers alone, as far as the root: from `alpha` on (twice the
 * loss a row of training that a leaf must be worth) `leaves` are left. */
struct ig_tree_prune_step {
    double alpha;
    uint32_t leaves;
};
/* In the arena; the first step has alpha 0 and all leaves. */
enum ig_code ig_tree_prune_path(struct ig_tree_prune_step **out, size_t *count,
                                struct ig_arena *arena, const struct ig_model *model,
                                struct ig_err *err);

#endif
