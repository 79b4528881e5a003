/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_TREE_PRUNE_PRIV_H
#define IG_KERNELS_TRAIN_TREE_PRUNE_PRIV_H

#include "kernels/train/tree_edit.h"
#include "kernels/train/tree_prune.h"

/* Rows beside the trees: where each stands, and what it costs. */
struct ig_prune_part {
    const struct ig_tree_rows *rows; /* NULL: none */
    uint32_t *leaves;                /* trees x rows: the model's node */
    double *margins;                 /* rows x outputs */
    double *gradients, *hessians;    /* likewise; of the fit alone */
};

/* Of one value of a node: the loss, twice, is s0 c^2 - 2 s1 c + s2 for a leaf of value c here;
 * `values` is s0 times the mean of the leaves' values. A split that is cut takes that mean and not
 * the c of least loss: many are cut at once, and each would make up for the same rest. */
struct ig_prune_sums {
    double s0, s1, s2, values;
};

struct ig_pruner {
    struct ig_tree_edit edit;
    const struct ig_tree_prune_options *options;
    struct ig_err *err;
    struct ig_prune_part fit, judge;
    uint32_t *parents;          /* by node; IG_MODEL_NONE at a root */
    uint32_t *tree_of;          /* by node */
    double *shares;             /* by node: its part of the training's weight */
    double *totals;             /* by output: what that weight is */
    double *anchors;            /* nodes x width: the value that training gave */
    uint32_t *current;          /* by node: the leaf that it is part of now */
    struct ig_prune_sums *sums; /* nodes x width */
    double *costs;              /* by node: of its being a leaf */
    double *rests;              /* by node: of the leaves that are below it now */
    uint32_t *leaves;           /* by node: how many those are */
    double *ratios;             /* by node: the heap's key */
    uint32_t *heap, *places;    /* splits by ratio; a split's place in it, or NONE */
    uint32_t heap_count;
    bool to_root; /* the last tree's root may go as well */
};

enum ig_code ig_pruner_init(struct ig_pruner *pruner, const struct ig_model *model,
                            const struct ig_tree_prune_options *options, struct ig_err *err);
void ig_pruner_deinit(struct ig_pruner *pruner);
/* Back to the model. */
void ig_pruner_reset(struct ig_pruner *pruner);
/* Margins as the leaves now are. */
void ig_pruner_score(struct ig_pruner *pruner, struct ig_prune_part *part);
/* Costs of all splits at the present margins, and the heap of them. */
void ig_pruner_weigh(struct ig_pruner *pruner);
/* Cuts the weakest split of the heap; false when it is empty or the last split of all. */
bool ig_pruner_cut(struct ig_pruner *pruner, double *ratio);
/* Rows that stood in leaves that are gone move to what took their place. */
void ig_pruner_move(struct ig_pruner *pruner);
/* One pass of Newton steps over the leaves of all trees, in order. */
void ig_pruner_refit(struct ig_pruner *pruner);

#endif
