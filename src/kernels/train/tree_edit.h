/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_TREE_EDIT_H
#define IG_KERNELS_TRAIN_TREE_EDIT_H

/* A tree ensemble under change: splits become leaves, leaves and thresholds get other values; and
 * what it then is as a model of its own. Borrows the model. One thread. */

#include "base/err.h"
#include "model/model.h"

enum ig_tree_edit_kind { IG_TREE_SPLIT, IG_TREE_LEAF, IG_TREE_GONE };

struct ig_tree_edit {
    const struct ig_model *model;
    struct ig_arena arena;
    uint32_t width;     /* values a leaf: 1, or outputs_count */
    uint8_t *kinds;     /* by the model's node */
    double *values;     /* nodes_count x width: what a leaf adds to the margins, in the end: its
                           tree's weight and an average's divisor are in it */
    double *thresholds; /* by node */
    uint32_t splits_count;
    uint32_t leaves_count; /* of trees that split; what the others add goes to the base margins */
    uint32_t trees_count;  /* that split */
};

/* UNSUPPORTED: no trees, or trees whose leaves are linear. */
enum ig_code ig_tree_edit_init(struct ig_tree_edit *edit, const struct ig_model *model,
                               struct ig_err *err);
void ig_tree_edit_deinit(struct ig_tree_edit *edit); /* also after a failed init */
/* Back to the model as it was. */
void ig_tree_edit_reset(struct ig_tree_edit *edit);
/* Makes a split of the tree a leaf; its value is the caller's to set. */
void ig_tree_edit_cut(struct ig_tree_edit *edit, uint32_t tree, uint32_t node);
/* A checked model of its own that gives these trees' margins by plain sums: no weights, no average.
 * Trees that do not split are not in it. */
enum ig_code ig_tree_edit_model(struct ig_model **out, const struct ig_tree_edit *edit,
                                struct ig_err *err);

/* What the margin starts from. */
static inline double ig_tree_edit_base(const struct ig_tree_edit *edit, uint32_t output)
{
    const struct ig_model *model = edit->model;
    bool divided = model->average && model->sum_rule == IG_SUM_F32_BASE_FIRST;
    return model->base_margin[output] / (divided ? (double)model->iterations_count : 1);
}

/* The margin that value `w` of a leaf of the tree belongs to. */
static inline uint32_t ig_tree_edit_output(const struct ig_tree_edit *edit, uint32_t tree,
                                           uint32_t w)
{
    return edit->model->leaf_vectors ? w : edit->model->trees[tree].output;
}

#endif
