/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_COUNTERFACTUAL_ANY_PRIV_H
#define IG_KERNELS_EXPLAIN_COUNTERFACTUAL_ANY_PRIV_H

/* Between the face (counterfactual_any.c: features, axes, alternatives) and the search for one
 * answer (counterfactual_any_search.c). */

#include "base/random.h"
#include "kernels/explain/counterfactual_any.h"
#include "kernels/explain/counterfactual_priv.h"

enum {
    CF_BATCH = 64, /* rows that the model is asked for at once */
    CF_STARTS = 4, /* rows kept behind them */
};

struct cf_any_feature {
    double scale;
    double *values; /* of the background, ascending; of a category its codes */
    uint32_t count;
    bool is_category;
};

struct ig_counterfactual_any {
    struct ig_predictor predictor;
    struct ig_arena arena; /* owns what follows */
    const double *weights; /* of a linear margin, borrowed; or NULL */
    struct cf_any_feature *features;
    double *rows; /* some of the background's */
    size_t rows_count;
};

/* What a feature of the row may become. */
struct cf_any_axis {
    struct ig_counterfactual_constraint constraint;
    double scale;
    bool is_category;
    double *values; /* to try, none of them the row's own; NaN: missing */
    uint32_t count;
};

struct cf_any_search {
    const struct ig_counterfactual_any *any;
    const struct ig_counterfactual_options *options;
    const double *row;
    uint32_t features, outputs;
    struct cf_any_axis *axes;
    uint32_t *active; /* features that have values to try */
    uint32_t active_count;
    uint32_t *order; /* of active features, in hand */
    uint32_t changes_max;
    struct ig_rng rng;
    double *batch;   /* CF_BATCH rows */
    double *margins; /* of them */
    void *scratch;
    double *point; /* a row in hand */
    double *best;
    double best_cost; /* infinite: none yet */
    bool failed;      /* the model, on some row that was tried */
    uint64_t evals, evals_max;
    uint64_t tries_max; /* of single changes from a point */
    struct ig_arena *arena;
    struct ig_err *err;
};

/* A number or nothing, as the other. */
bool cf_same(double a, double b);
/* Of the feature's change from the row to `value`. */
double cf_any_cost(const struct cf_any_search *search, uint32_t feature, double value);
double cf_any_cost_of(const struct cf_any_search *search, const double *point);
/* The nearest allowed number, no farther from the row than it need be; NaN: none. */
double cf_any_allowed(const struct ig_counterfactual_constraint *constraint, double own,
                      double value);
/* By the model. */
bool cf_any_is_wanted(struct cf_any_search *search, const double *point);
/* Fills best and best_cost. */
void cf_any_solve(struct cf_any_search *search);
/* The same by weights: proved to be the nearest, up to rounding, or that there is none. False: not
 * within its limits. */
bool cf_any_solve_line(struct cf_any_search *search);

#endif
