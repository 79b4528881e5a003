/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_ANY_SHAP_H
#define IG_KERNELS_EXPLAIN_ANY_SHAP_H

/* SHAP values of any model, which is asked for values of made-up rows only.
 *
 * The game: v(S) is the weighted mean over the background's rows b of the model's value of the row
 * that takes the features of S's players from x and the others from b, for each of the model's
 * values. Base value: the background's mean value; contributions add up to the value of x.
 *
 *   exact        all 2^M coalitions of M players
 *   leverage     pairs of complementary coalitions, every size as often, none twice, a weighted
 *                regression (LeverageSHAP, arXiv 2410.01917); error as of a stratified sample
 *   permutation  marginal gains along random orders and their reverses (as shap's permutation
 *                explainer); error over the pairs of orders
 *
 * A player whose features are the same bits in x and in every row of the background has the value
 * 0 and does not play: what follows counts the others. Where all coalitions are no more than what a
 * sampled method needs at least, or than what it may ask for while it has no deadline or error to
 * stop at, it asks for all and is exact. A standard error is of the sampling alone: the background
 * is taken as it is. */

#include "base/arena.h"
#include "kernels/explain/background.h"
#include "kernels/predictor.h"

enum {
    IG_ANY_SHAP_EXACT_PLAYERS = 16,       /* most players of exact */
    IG_ANY_SHAP_LEVERAGE_PLAYERS = 512,   /* and of leverage, whose regression is cubic in them */
    IG_ANY_SHAP_LEVERAGE_EVALS = 1 << 22, /* it keeps them all: a greater evals_max is this */
};

enum ig_any_shap_method { IG_ANY_SHAP_EXACT, IG_ANY_SHAP_LEVERAGE, IG_ANY_SHAP_PERMUTATION };

struct ig_any_shap_options {
    enum ig_any_shap_method method;
    const struct ig_players *players; /* NULL: each feature its own */
    uint64_t seed;
    uint64_t evals_max;   /* coalitions to ask for; 0: 2 M + 2048, for permutation 20 (M - 1) */
    double target_se;     /* stop when every standard error is at most this; 0: never */
    uint64_t deadline_ns; /* by ig_clock_ns; 0: none. Looked at every 32 coalitions or pair of
                             orders, after the fewest evaluations. Exact heeds none */
};

enum ig_any_shap_stop {
    IG_ANY_SHAP_ALL,      /* every coalition was asked for: exact */
    IG_ANY_SHAP_EVALS,    /* evals_max */
    IG_ANY_SHAP_TARGET,   /* target_se */
    IG_ANY_SHAP_DEADLINE, /* evals_max = evals repeats it bit for bit */
};

struct ig_any_shap_result {
    double *contributions; /* values x (players + 1), base value last */
    double *se;            /* the same shape; 0 where exact */
    double *value;         /* values: of x */
    double quantile;       /* half-width of a 95% interval in standard errors; 0 where exact */
    uint32_t playing;      /* players that can matter */
    uint64_t evals;        /* coalitions asked for; of nobody and of all only where exact */
    enum ig_any_shap_stop stop;
};

/* The fewest coalitions that a method needs for M players; no fewer for more players. */
uint64_t ig_any_shap_evals_min(enum ig_any_shap_method method, uint32_t players);
/* Coalitions that a call without a limit of its own asks for. */
uint64_t ig_any_shap_evals_default(enum ig_any_shap_method method, uint32_t players);

struct ig_any_shap_input {
    const struct ig_predictor *predictor;
    const struct ig_background *background;
    const double *row; /* features_count */
};

/* One row; results in the arena. INVALID: too many players play, evals_max below the fewest, a
 * background of another width. NO_MEMORY: the arena is full. Same seed and evals: same bits,
 * whatever the predictor makes of batches. In the arena, in doubles: 512 rows of features and
 * values, the predictor's scratch for 512 rows, 12 arrays of values x players; exact 2^M x values;
 * leverage 3 M^2 and, a pair of coalitions, values + M/64 + 4; permutation 2 M (values + M/64). */
enum ig_code ig_any_shap_run(struct ig_any_shap_result *out, const struct ig_any_shap_input *input,
                             const struct ig_any_shap_options *options, struct ig_arena *arena,
                             struct ig_err *err);

#endif
