/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_LIME_PRIV_H
#define IG_KERNELS_EXPLAIN_LIME_PRIV_H

/* The space of samples, and least squares on the moments of (1, z, y). */

#include "base/random.h"
#include "kernels/explain/lime.h"

#include <math.h>

enum { IG_LIME_BINS = 4 }; /* continuous: at most, besides missing */

/* What a feature's samples can be. Continuous: bins, the last of all outcomes may be missing.
 * Categorical: codes (missing is one of them). */
struct ig_lime_outcome {
    double share;       /* of the table */
    double value;       /* a category's code; the mean of a bin; NaN: missing */
    double spread;      /* standard deviation of a bin + 1e-11 */
    double low, high;   /* of the bin */
    double below, span; /* normal CDF at `low`, and from there to `high`; span 0: a point */
    uint32_t bin;       /* continuous: how many cuts are below it */
};

struct ig_lime_feature {
    bool categorical;
    uint32_t first, count; /* outcomes */
    double cuts[IG_LIME_BINS - 1];
    uint32_t cuts_count;
};

struct ig_lime_space {
    uint32_t features_count;
    struct ig_lime_feature *features;
    struct ig_lime_outcome *outcomes;
    double *until; /* running sum of shares within a feature */
    uint32_t outcomes_count;
    struct ig_arena arena; /* owns all */
};

/* The outcome that a value belongs to, within its feature; `count` of the feature when the table
 * has none like it. */
uint32_t ig_lime_outcome_of(const struct ig_lime_space *space, uint32_t feature, double value);
/* The row's bin as result->low and high have it. */
void ig_lime_bounds(double *low, double *high, const struct ig_lime_space *space, uint32_t feature,
                    uint32_t outcome);
static inline double ig_lime_cdf(double x) /* of a standard normal */
{
    return 0.5 * erfc(-x * 0.70710678118654752);
}
/* x with P(X <= x) = share of a standard normal; 0 < share < 1. */
double ig_lime_quantile(double share);

/* An outcome as it is drawn. */
struct ig_lime_draw {
    double before;       /* shares of the outcomes before it */
    double scale, below; /* from the dice beyond them to a share of the normal */
    double value, spread;
    double low, high; /* NaN: none */
};

/* A feature as it is drawn: outcome `first` + how many of the ends a number in [0, 1) reaches. */
struct ig_lime_dice {
    uint32_t first;
    uint32_t ends_count;
    const double *ends;
};

struct ig_lime_draws {
    const struct ig_lime_space *space;
    const uint32_t *home; /* the row's outcomes, by feature */
    const struct ig_lime_dice *dice;
    const struct ig_lime_draw *outcomes;
    struct ig_rng rng;
    /* of a batch's values */
    uint32_t *picked; /* outcomes */
    double *units;    /* dice, then quantiles */
    double *shares;
};

/* All but the generator's seed; for at most `rows_max` rows at once. `home` is borrowed, and read
 * when rows are drawn. False: no memory. */
bool ig_lime_draws_init(struct ig_lime_draws *draws, const struct ig_lime_space *space,
                        const uint32_t *home, size_t rows_max, struct ig_arena *arena);
/* The next `count` samples and their z, features_count a row. */
void ig_lime_draw(struct ig_lime_draws *draws, size_t count, double *rows, uint8_t *z);

/* Weighted sums of products of (1, z_1 .. z_n, y): full square matrix of n + 2. */
struct ig_lime_moments {
    double *sums;
    uint32_t n;
};

struct ig_lime_samples {
    const uint8_t *z; /* count x n, 0 or 1 */
    const double *y;
    const double *weight;
    size_t count;
};

/* Adds samples to the sums on and above the diagonal; those below are undefined until all are
 * mirrored. Scratch is 64-byte aligned and holds ig_lime_add_bytes(n). */
void ig_lime_add(struct ig_lime_moments *moments, const struct ig_lime_samples *samples,
                 void *scratch);
size_t ig_lime_add_bytes(uint32_t n);
void ig_lime_mirror(struct ig_lime_moments *moments);

struct ig_lime_ridge {
    const uint32_t *chosen; /* of the z */
    uint32_t count;
    double alpha;
};

/* A ridge on `count` of the z with a free intercept. coefficients[count]; *intercept; returns R2.
 * `work`: count x (count + 2). */
double ig_lime_ridge(double *coefficients, double *intercept, const struct ig_lime_moments *moments,
                     const struct ig_lime_ridge *ridge, double *work);
/* Fills chosen[most], returns how many. `work`: n x (n + 4). */
uint32_t ig_lime_select(uint32_t *chosen, const struct ig_lime_moments *moments, uint32_t most,
                        double *work);

#endif
