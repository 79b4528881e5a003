/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_TREE_COMPACT_PRIV_H
#define IG_KERNELS_QUANTIZE_TREE_COMPACT_PRIV_H

#include "kernels/quantize/tree_compact.h"

/* What is known of a node while the form is built. */
struct ig_compact_node {
    uint32_t column, threshold; /* splits */
    uint32_t leaf;              /* leaves: row of the values */
    uint32_t splits, leaves;    /* of the subtree */
    uint32_t shallow;           /* splits before the nearest leaf below */
    uint32_t at;                /* in the stream */
};

struct ig_compact_inputs;

struct ig_compact_build {
    struct ig_tree_compact *compact;
    struct ig_compact_inputs *inputs;
    const struct ig_model *model;
    struct ig_arena scratch;
    struct ig_compact_node *nodes; /* by the model's numbers */
    double *values;                /* leaf rows as the model would add them */
    uint8_t *rows;                 /* the same as they are kept */
    uint8_t *tree_shifts;
    struct ig_err *err;
};

/* Each step false with the error set. */
bool ig_compact_build_inputs(struct ig_compact_build *build);
bool ig_compact_build_sets(struct ig_compact_build *build);
bool ig_compact_build_leaves(struct ig_compact_build *build, enum ig_compact_want want);
bool ig_compact_build_stream(struct ig_compact_build *build);
/* Thresholds, once their bits are known, which spare keys where there are enough of them. */
bool ig_compact_build_thresholds(struct ig_compact_build *build);
/* Keeps a feature's thresholds, whose different keys ascend; leaves their ranks in `keys`. */
bool ig_compact_keep_keys(struct ig_compact_build *build, struct ig_compact_source *source,
                          int32_t *keys, uint32_t count, uint32_t ranks_max);
void ig_compact_put(uint8_t *at, uint64_t value, uint32_t bytes);
bool ig_compact_no_memory(struct ig_compact_build *build, const char *what);

#endif
