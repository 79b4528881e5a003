/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_COUNTERFACTUAL_PRIV_H
#define IG_KERNELS_EXPLAIN_COUNTERFACTUAL_PRIV_H

/* Cells: a numeric feature's are the intervals between its thresholds, ascending; a category's are
 * its codes and, last, every other. CF_MISSING is a cell of every feature.
 *
 * A row in a search: positions. Position 0 .. count - 1 of a feature is an allowed cell with its
 * value nearest to the row's own and what that costs; `base` is the row's own. Numeric positions
 * ascend, so costs fall to `base` and rise behind it; a position for "missing" is last. */

#include "kernels/explain/counterfactual.h"

#define CF_NONE UINT32_MAX
#define CF_MISSING (UINT32_MAX - 1)

struct cf_node {
    double value;       /* leaf */
    double least, most; /* of the leaves below */
    uint32_t feature;   /* CF_NONE: a leaf */
    uint32_t left, right, parent;
    uint32_t cut;  /* cells below it go left; with a mask unused */
    uint32_t mask; /* index of the bitset of cells that go left, or CF_NONE */
    bool missing_left;
};

struct cf_tree {
    uint32_t root, output;
};

struct cf_feature {
    double *lows; /* cells: least value; the first is -infinity. NULL: categories */
    uint32_t cells;
    uint32_t nodes_count; /* that split by it */
    bool is_masked;       /* its nodes have masks */
    double scale;
};

struct ig_counterfactual_space {
    const struct ig_engine *engine;
    const struct ig_model *model;
    struct ig_arena arena; /* owns what follows */
    struct cf_feature *features;
    struct cf_node *nodes;
    uint32_t nodes_count;
    struct cf_tree *trees;
    uint32_t trees_count;
    uint64_t *masks;
    uint32_t depth_max;
};

struct cf_position {
    uint32_t cell;
    double value, cost;
};

struct cf_range {
    uint32_t lo, hi; /* positions */
};

struct cf_axis {
    struct cf_position *positions;
    uint32_t count, base;
    bool has_missing; /* the last position is "missing" */
};

struct cf_search {
    const struct ig_counterfactual_space *space;
    const struct ig_counterfactual_options *options;
    const double *row;
    struct cf_axis *axes; /* features */
    uint32_t *active;     /* features with more than one position */
    uint32_t active_count;
    uint32_t outputs;
    uint32_t changes_max;
    uint64_t boxes;              /* opened so far */
    double slack;                /* rounding of sums */
    double *sums, *highs, *lows; /* outputs: of a point, bounds of a box */
    uint32_t *stack;             /* of nodes */
    struct cf_range *ranges;     /* beside the stack */
    double *differences;         /* outputs x (positions + 1): of a sweep */
    double *moved;               /* the changed row, for the engine */
    double *margins;             /* of it */
    void *scratch;
    struct ig_arena *arena;
    struct ig_err *err;
};

/* Whether a cell goes left. */
bool cf_goes_left(const struct ig_counterfactual_space *space, const struct cf_node *node,
                  uint32_t cell);
/* search->sums: margins of the point (a position by feature). */
void cf_point_sums(struct cf_search *search, const uint32_t *point);
/* How far margins are from what is wanted: at most 0 where they are there. */
double cf_lack(const struct ig_counterfactual_options *options, const double *margins,
               uint32_t outputs);
/* Whether they are, where a tie is predicted as the first of the equals. */
bool cf_wants(const struct ig_counterfactual_options *options, const double *margins,
              uint32_t outputs);
enum ig_code cf_check_options(const struct ig_counterfactual_options *options, uint32_t outputs,
                              struct ig_err *err);
enum ig_code cf_check_constraint(const struct ig_counterfactual_constraint *c, uint32_t feature,
                                 struct ig_err *err);
/* Median absolute deviation of a column, else standard deviation; 0 when all are equal. `scratch`:
 * a number a row. */
double cf_spread(const struct ig_background *background, uint32_t feature, double *scratch);
/* Whether some point of the box may be wanted; adds to credit[features] what each feature could do
 * for it from `point`. */
bool cf_box_may(struct cf_search *search, const struct cf_range *box, const uint32_t *point,
                double *credit);
/* For every position of `feature`, others at the point: fills differences[output * stride + i]
 * with margins. */
void cf_sweep(struct cf_search *search, const uint32_t *point, uint32_t feature, size_t stride);
/* By the engine, on the point's values. Fills search->moved and search->margins. */
bool cf_is_wanted(struct cf_search *search, const uint32_t *point);

#endif
