/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_COUNTERFACTUAL_H
#define IG_KERNELS_EXPLAIN_COUNTERFACTUAL_H

/* Counterfactuals: the nearest changes of a row that bring a tree ensemble's answer where it is
 * wanted (Wachter et al. 2017), under constraints on each feature (Ustun et al. 2019).
 *
 * Distance: sum over changed features of |change| / scale (L1, as of DiCE and Alibi), plus `price`
 * for each. A changed category costs 1, as does a value that becomes missing or was.
 *
 * Search: thresholds cut each feature into cells, within which the model is constant. A greedy
 * start is improved by exchanging features; then branch and bound over boxes of cells, bounded by
 * the leaves that each tree can reach in a box, finds the nearest or proves that there is none (the
 * idea of Parmentier and Vidal 2021, without a solver). Every answer is checked by the engine. */

#include "kernels/engine.h"
#include "kernels/explain/background.h"

struct ig_counterfactual_space;

/* Cells and compiled trees. UNSUPPORTED: no tree ensemble with constant leaves, or a feature that
 * is split by sets and by thresholds. `background` (or NULL) gives scales: the median absolute
 * deviation, else the standard deviation; without it the spread of the model's own thresholds.
 * `categories_count` (or NULL): by feature, 0 for numeric. */
enum ig_code ig_counterfactual_space_new(struct ig_counterfactual_space **out,
                                         const struct ig_engine *engine,
                                         const struct ig_background *background,
                                         const uint32_t *categories_count, struct ig_err *err);
void ig_counterfactual_space_free(struct ig_counterfactual_space *space); /* NULL is allowed */
size_t ig_counterfactual_space_memory_bytes(const struct ig_counterfactual_space *space);
double ig_counterfactual_scale(const struct ig_counterfactual_space *space, uint32_t feature);

/* Zeroed: no constraint. A row's own value is always allowed. */
struct ig_counterfactual_constraint {
    bool immutable, only_up, only_down;
    bool has_low, has_high;
    bool may_go_missing;
    double low, high; /* of a new value, inclusive */
    double step;      /* new values are the row's (0 if missing) plus a multiple of it; 0: any */
    double scale;     /* of the distance; 0: the space's */
};

enum ig_counterfactual_want {
    IG_COUNTERFACTUAL_ABOVE, /* margin of `output` > low */
    IG_COUNTERFACTUAL_BELOW, /* margin of `output` <= high */
    IG_COUNTERFACTUAL_RANGE, /* low <= margin of `output` <= high */
    IG_COUNTERFACTUAL_CLASS, /* margin of `output` is the greatest */
};

struct ig_counterfactual_options {
    enum ig_counterfactual_want want;
    uint32_t output;
    double low, high;
    const struct ig_counterfactual_constraint *constraints; /* features_count, or NULL */
    double price;         /* of each changed feature, in units of the distance */
    uint32_t changes_max; /* features that may change; 0: all */
    uint32_t count;       /* alternatives, each without a feature of every one before; 0: 1 */
    uint64_t boxes_max;   /* that the search opens; 0: 20000 */
    uint64_t deadline_ns; /* by ig_clock_ns; 0: none */
    uint64_t seed;        /* of a search that draws */
};

enum { IG_COUNTERFACTUALS_MAX = 8 };

struct ig_counterfactual {
    const double *row; /* features_count: the changed one */
    uint32_t changes_count;
    const uint32_t *changes; /* features, by falling part of the distance */
    double distance;
    double bound; /* no answer is nearer; equal to the distance where it is proved nearest */
    bool is_nearest;
    const double *margins;     /* outputs_count */
    const double *predictions; /* predictions_count; NULL from the search itself */
};

struct ig_counterfactual_result {
    bool is_there_already; /* the row as it is is wanted: no alternatives */
    bool none;             /* proved: no allowed change does it */
    uint32_t count;
    const struct ig_counterfactual *items;
    uint64_t boxes; /* opened */
};

/* One row; results in the arena. INVALID: an output or range that makes no sense, a constraint with
 * a negative step or scale, or low above high. Deterministic unless a deadline stops it. */
enum ig_code ig_counterfactual_run(struct ig_counterfactual_result *out,
                                   const struct ig_counterfactual_space *space, const double *row,
                                   const struct ig_counterfactual_options *options,
                                   struct ig_arena *arena, struct ig_err *err);

#endif
