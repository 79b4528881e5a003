/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_STATS_FAIRNESS_H
#define IG_KERNELS_STATS_FAIRNESS_H

/* Bias of decisions between groups, as the package fairlearn defines it, with 95% intervals.
 *
 * Rates have Wilson's score interval, differences of two rates Newcombe's hybrid of those, ratios
 * the interval of the logarithm by the delta method (Katz). Disparities are between the group of
 * the greatest and that of the least rate among groups of at least rows_min rows; the interval is
 * of that pair as it was found, so it does not account for having been picked.
 *
 * The expected calibration error is a sum of sizes, which noise makes greater: no interval around
 * it has exactly 95% near 0. This one has at least that. Its upper end is the normal one: the sum
 * of sizes is never below the sum by the true signs, which is unbiased. Its lower end takes off
 * what noise alone may have added (by the triangle inequality, the sum of its sizes: half-normal),
 * in bins whose sign is beyond doubt only what it adds by that sign. */

#include "base/arena.h"
#include "base/err.h"

struct ig_fairness_input {
    size_t rows_count;
    const uint32_t *groups; /* rows_count numbers < groups_count */
    uint32_t groups_count;
    const uint8_t *decisions; /* rows_count: 1 selected, 0 not */
    const double *labels;     /* rows_count: 1, 0, NaN unknown; NULL: none */
    const double *scores;     /* rows_count probabilities; NULL: none */
    size_t rows_min;          /* groups below it are reported, not compared; at least 1 */
};

/* NaN where undefined: nothing to divide by. */
struct ig_fairness_rate {
    double value, low, high;
};

struct ig_fairness_group {
    size_t rows, labelled, selected, positives, true_positives, false_positives;
    bool compared;
    struct ig_fairness_rate selection_rate;
    struct ig_fairness_rate base_rate; /* of the label; these and below of labelled rows */
    struct ig_fairness_rate true_positive_rate, false_positive_rate, precision, accuracy;
    struct ig_fairness_rate calibration; /* mean of label - score, labelled rows; normal interval */
    struct ig_fairness_rate brier;       /* mean of (label - score)^2; normal interval */
    struct ig_fairness_rate calibration_error; /* expected, over ten equal bins of the score */
    double mean_score;
};

/* Between the groups of the greatest and the least rate. */
struct ig_fairness_gap {
    uint32_t most, least;                      /* groups; both 0 where undefined */
    struct ig_fairness_rate difference, ratio; /* greatest - least; least / greatest */
};

enum ig_fairness_verdict {
    IG_FAIRNESS_UNKNOWN,
    IG_FAIRNESS_PASS,
    IG_FAIRNESS_FAIL,
    IG_FAIRNESS_OPEN
};

struct ig_fairness_report {
    struct ig_fairness_group *groups;          /* groups_count */
    struct ig_fairness_gap demographic_parity; /* selection rates */
    struct ig_fairness_gap equal_opportunity;  /* true positive rates */
    struct ig_fairness_gap false_positives, precision, accuracy;
    /* The worse of true and false positive rates, in value and in both ends: of two gaps alike the
     * greater is found above their common value, so its own interval would be too high. */
    struct ig_fairness_rate equalized_odds_difference, equalized_odds_ratio;
    enum ig_fairness_verdict four_fifths; /* of the selection rates' ratio: PASS when its interval
                                             lies above 0.8, FAIL when below, else OPEN */
};

/* Report in the arena. INVALID: no rows, a group or decision out of range. */
enum ig_code ig_fairness_run(struct ig_fairness_report *out, const struct ig_fairness_input *input,
                             struct ig_arena *arena, struct ig_err *err);
/* Wilson's interval of `hits` of `all`; NaN when all is 0. */
struct ig_fairness_rate ig_fairness_rate(size_t hits, size_t all);

#endif
