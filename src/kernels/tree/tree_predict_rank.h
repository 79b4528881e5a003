/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_PREDICT_RANK_H
#define IG_KERNELS_TREE_TREE_PREDICT_RANK_H

/* Inputs as small integers. Every numeric split becomes "right iff x >= t"; the rank of x is how
 * many of the feature's different t it reaches, so "right iff rank >= k" asks exactly the same, in
 * 16 bits whatever the model's precision. What is missing at a split, and where it goes, is settled
 * by giving the feature one column for each such rule: there a missing value has rank 0 (left),
 * IG_TREE_RANK_MISSING (right) or the rank of zero.
 *
 * Immutable after `init`; memory from the caller's arena. */

#include "kernels/tree/tree_predict_walk.h"

#include <math.h>

enum {
    IG_TREE_RANK_MISSING = 0xfffe, /* above every rank of a number */
    IG_TREE_RANK_NEVER = 0xffff,   /* a threshold that nothing reaches */
    IG_TREE_RANK_FANOUT = 16,
    IG_TREE_RANK_LEVELS = 4,
};

/* Search tree of a feature's thresholds: at each level the block of 16 entries that the level above
 * chose; the last level is the sorted list. Entries past the end are NaN, which no x reaches. */
struct ig_tree_rank_feature {
    uint32_t feature;
    uint32_t count; /* different thresholds */
    uint32_t rules; /* the feature's first rule, and how many */
    uint16_t rules_count;
    uint16_t slot; /* where its rank belongs */
    uint32_t levels;
    uint32_t at[IG_TREE_RANK_LEVELS]; /* of each level, in pivots */
};

/* A column that differs from the feature's rank where the value is missing. */
struct ig_tree_rank_rule {
    uint16_t value; /* where missing */
    bool zero;      /* zero is missing too */
};

struct ig_tree_rank {
    bool f32;
    uint32_t columns_count; /* plain ranks first, then rules */
    uint32_t plain_count;
    uint32_t rules_count;
    uint32_t features_count; /* ranked: plain_count, then those whose slots follow the columns */
    uint32_t slots_count;    /* columns_count + features_count - plain_count */
    struct ig_tree_rank_feature *features;
    struct ig_tree_rank_rule *rules;
    float *pivots_f32; /* one of the two; 64-byte aligned */
    double *pivots_f64;
};

/* The test at a numeric node: right iff column's rank >= threshold. */
struct ig_tree_test {
    uint16_t column;
    uint16_t threshold;
};

/* Fills tests[nodes_count] for numeric nodes; others are left as they are. IG_TOO_LARGE: more
 * thresholds or columns than 16 bits hold. */
enum ig_code ig_tree_rank_init(struct ig_tree_rank *rank, const struct ig_model *model,
                               struct ig_tree_test *tests, struct ig_arena *arena,
                               struct ig_err *err);
/* ranks[slots_count] of one row, the columns first. */
void ig_tree_rank_row(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks);

/* Stores the rank of x, the value of features[index], and the columns of its rules. */
static inline void ig_tree_rank_store(const struct ig_tree_rank *rank, uint32_t index, double x,
                                      uint32_t value, uint16_t *ranks)
{
    const struct ig_tree_rank_feature *feature = &rank->features[index];
    const struct ig_tree_rank_rule *rule = rank->rules + feature->rules;
    uint16_t *column = ranks + rank->plain_count + feature->rules;
    ranks[feature->slot] = (uint16_t)value;
    for (uint32_t i = 0; i < feature->rules_count; i++) {
        bool missing = isnan(x) | (rule[i].zero & (fabs(x) <= IG_TREE_ZERO));
        column[i] = missing ? rule[i].value : (uint16_t)value;
    }
}

#endif
