/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_LIME_H
#define IG_KERNELS_EXPLAIN_LIME_H

/* LIME for tables (Ribeiro, Singh, Guestrin, 2016), as the package lime defines it: continuous
 * features fall into quartile bins of a training table (percentiles 25, 50, 75 as numpy gives them,
 * searched from the left), samples draw each feature on its own from the frequencies of bins and
 * categories, a continuous value from the normal of its bin cut to the bin. A sample's z is 1 where
 * it has the row's bin or category, its weight sqrt(exp(-flips / width^2)) with width
 * 0.75 sqrt(features), and a ridge (alpha 1, intercept free) on selected z is the surrogate. The
 * first sample is the row itself.
 *
 * Beyond the package: missing values are a bin of their own; the seed decides everything, so the
 * same call gives the same bits; coefficients have standard errors; a stability score says how much
 * the choice of features depends on the draw. */

#include "base/arena.h"
#include "kernels/explain/background.h"
#include "kernels/predictor.h"

struct ig_lime_space; /* bins and frequencies of a table; immutable, thread-safe */

/* `categorical` (features_count flags: values are codes) may be NULL. The background is borrowed
 * during the call. */
enum ig_code ig_lime_space_new(struct ig_lime_space **out, const struct ig_background *background,
                               const bool *categorical, struct ig_err *err);
void ig_lime_space_free(struct ig_lime_space *space); /* NULL is allowed */
size_t ig_lime_space_memory_bytes(const struct ig_lime_space *space);

struct ig_lime_options {
    uint64_t seed;
    uint64_t samples;  /* 0: 5000; at least 100 */
    uint32_t features; /* of the surrogate; 0: 10 */
    uint32_t value;    /* which of the predictor's values */
};

struct ig_lime_result {
    uint32_t count;             /* features chosen, by falling |coefficient| */
    const uint32_t *features;   /* count */
    const double *coefficients; /* of "the row's bin or category, not another" */
    const double *se;           /* standard errors of the sampling (heteroscedastic, HC0) */
    const double *low, *high;   /* the row's bin: low < x <= high; NaN for categories and missing */
    double intercept;
    double r2;               /* weighted, on the samples */
    double local_prediction; /* the surrogate's for the row */
    double prediction;       /* the model's */
    double stability; /* mean Jaccard index of the features chosen by eighths of the sample */
    uint64_t samples;
};

struct ig_lime_input {
    const struct ig_lime_space *space;
    const struct ig_predictor *predictor;
    const double *row; /* features_count */
};

/* One row; results in the arena. INVALID: too few samples, a space of another width. Features are
 * chosen as the package's "auto": up to 6 by forward selection on R2, more by the greatest
 * coefficients of a ridge (alpha 0.01) on all. */
enum ig_code ig_lime_run(struct ig_lime_result *out, const struct ig_lime_input *input,
                         const struct ig_lime_options *options, struct ig_arena *arena,
                         struct ig_err *err);

#endif
