/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_PREDICT_SETS_H
#define IG_KERNELS_TREE_TREE_PREDICT_SETS_H

/* Category splits as bit tables. A categorical feature has one column: its code, or one of two
 * values past all codes, for what is no known code and for missing. A split's table has a bit for
 * each: set = right. Immutable after `init`; memory from the caller's arena. */

#include "kernels/tree/tree_predict_rank.h"

struct ig_tree_sets_column {
    uint32_t feature;
    uint32_t codes; /* as many as the widest set has; then "unknown", then "missing" */
};

struct ig_tree_sets {
    bool f32;
    bool truncates;
    uint32_t first_column;
    uint32_t columns_count;
    struct ig_tree_sets_column *columns;
    uint32_t tables_count;
    uint32_t *tables; /* start of each table in words */
    uint32_t *words;
};

/* Fills tests[] of category nodes: the column from first_column on, and the table as threshold.
 * IG_TOO_LARGE: the tables do not fit their 16 bits or a memory limit. */
enum ig_code ig_tree_sets_init(struct ig_tree_sets *sets, const struct ig_model *model,
                               struct ig_tree_test *tests, struct ig_arena *arena,
                               struct ig_err *err);
/* The columns of one row, at ranks[first_column ...]. */
void ig_tree_sets_row(const struct ig_tree_sets *sets, const double *row, uint16_t *ranks);

static inline uint32_t ig_tree_sets_right(const struct ig_tree_sets *sets, uint32_t table,
                                          uint32_t code)
{
    return sets->words[sets->tables[table] + code / 32] >> (code % 32) & 1;
}

#endif
