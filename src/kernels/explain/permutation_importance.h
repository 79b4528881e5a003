/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_PERMUTATION_IMPORTANCE_H
#define IG_KERNELS_EXPLAIN_PERMUTATION_IMPORTANCE_H

/* How much worse a model predicts when a player's columns are shuffled over the rows (Breiman 2001;
 * scikit-learn's permutation_importance): by any metric of the table below, mean and standard
 * deviation over repeats. Metrics that are means over rows also have a 95% interval: the mean rise
 * in loss is a U-statistic of two rows, one that is scored and one that lends its columns, and its
 * variance that of a row's share in both parts. */

#include "base/arena.h"
#include "base/err.h"
#include "kernels/explain/background.h"

/* Importance is the rise of a loss, or the fall of a score. */
enum ig_loss {
    IG_LOSS_LOG_LOSS, /* of the true class's probability, cut at 1e-15 */
    IG_LOSS_ERROR,    /* share of wrong classes: 1 - accuracy */
    IG_LOSS_AUC,      /* score; two classes */
    IG_LOSS_MAE,
    IG_LOSS_MSE,
    IG_LOSS_RMSE,
    IG_LOSS_R2, /* score */
    IG_LOSSES_COUNT
};

const char *ig_loss_name(enum ig_loss metric); /* "log_loss" */
bool ig_loss_parse(struct ig_str name, enum ig_loss *out);
/* Whether it is of classes; the others are of numbers. */
bool ig_loss_is_of_classes(enum ig_loss metric);

/* What is asked: a function of a row and of which row of the table it stands for. */
struct ig_permutation_model {
    uint32_t features_count;
    uint32_t values_count; /* a row: probabilities, or numbers (the first counts) */
    /* values[count x values_count], at most IG_PERMUTATION_BLOCK rows for the table's from `first`
     * on. */
    enum ig_code (*run)(void *context, double *values, const double *rows, size_t first,
                        size_t count, struct ig_err *err);
    void *context;
};

enum { IG_PERMUTATION_BLOCK = 256 };

struct ig_permutation_input {
    const struct ig_permutation_model *model;
    const double *rows;               /* rows_count x features_count */
    const double *labels;             /* rows_count: class indices or numbers, no NaN */
    size_t rows_count;                /* at least 2 */
    const struct ig_players *players; /* NULL: each feature its own */
};

struct ig_permutation_options {
    enum ig_loss metric;
    uint32_t repeats; /* 0: 5 */
    uint64_t seed;
};

struct ig_permutation_result {
    double score;      /* of the rows as they are */
    double *mean, *sd; /* players; sd over repeats (divisor repeats) as scikit-learn's */
    double *half;      /* players: half-width of the 95% interval; NaN where the metric has none */
    uint32_t players_count;
};

/* Results and scratch (four arrays of rows, a block of rows) in the arena. INVALID: fewer than two
 * rows, a class without a probability, a metric that does not fit the model's values; else what the
 * model failed with. Deterministic by seed. */
enum ig_code ig_permutation_importance_run(struct ig_permutation_result *out,
                                           const struct ig_permutation_input *input,
                                           const struct ig_permutation_options *options,
                                           struct ig_arena *arena, struct ig_err *err);

#endif
