/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_PREDICT_PLAN_H
#define IG_KERNELS_TREE_TREE_PREDICT_PLAN_H

/* Trees lowered for the kernels of kernels.def. A kernel only finds the leaf of each tree; the
 * leaves' values are added elsewhere, in the library's order.
 *
 * Trees come in groups of 16; the last group is filled up with lone leaves. A leaf is named by its
 * slot, an index into the value tables. */

#include "kernels/cpu/cpu.h"
#include "kernels/tree/tree_predict_rank.h"
#include "kernels/tree/tree_predict_sets.h"

enum {
    IG_TREE_GROUP = 16,
    IG_TREE_BLOCK_COLUMNS = 128, /* what block kernels can look up in registers */
};

/* In a byte block: above every rank, as IG_TREE_RANK_MISSING and _NEVER become. */
#define IG_TREE_BYTE_MAX 255

enum ig_tree_layout {
    /* Nodes of 8 bytes; right child beside the left one; a leaf is its own left child. Any tree. */
    IG_TREE_NODES,
    /* A tree is one complete block of 6 levels whose columns and thresholds are bytes. */
    IG_TREE_BYTE_BLOCK,
    /* A tree is one complete block of `levels` levels. */
    IG_TREE_BLOCK,
    /* A tree is a complete block of 4 levels and 16 such blocks below it. */
    IG_TREE_TWO_BLOCKS,
    /* Complete blocks of 4 levels, linked by exits. Any tree. */
    IG_TREE_LINKED_BLOCKS,
};

struct ig_tree_step {
    struct ig_tree_test test;
    uint32_t left; /* over all trees; the right child follows it */
};

/* A block of L levels holds 2^L columns, then 2^L thresholds; entry 1 is its root, 2i and 2i+1 the
 * children of i, entry 0 unused. An entry below a leaf may go either way: all exits under it lead
 * to that leaf. */
#define IG_TREE_EXIT_LEAF 0x80000000U

struct ig_tree_plan {
    enum ig_tree_layout layout;
    uint32_t levels; /* of a block */
    uint32_t trees_count;
    uint32_t groups_count;
    struct ig_tree_rank rank;
    struct ig_tree_sets sets; /* nodes only */
    uint32_t
        stride; /* slots of a row's ranks and codes, a multiple of 32, at least the block columns */
    size_t tree_bytes; /* average, to size tiles */

    struct ig_tree_step *steps;
    uint32_t *roots;  /* nodes: step; linked blocks: block. groups_count * IG_TREE_GROUP */
    uint32_t *depths; /* of each group: steps, or linked blocks, on the longest path */
    uint16_t *blocks; /* 64-byte aligned */
    uint8_t *byte_blocks;
    uint32_t *exits; /* 16 a linked block: block, or slot | IG_TREE_EXIT_LEAF */
    uint32_t slots_count;
    float *values_f32; /* leaf value * tree weight by slot; one of the two, for scalar leaves */
    double *values_f64;
    uint32_t *leaves; /* model node by slot, for leaf vectors and linear leaves */
};

/* Kernel: slots[groups * IG_TREE_GROUP] of one ranked row. `masks` has room for as many uint64_t.
 */
typedef void ig_tree_find(const struct ig_tree_plan *plan, const uint16_t *ranks, uint32_t group,
                          uint32_t groups_count, uint32_t *slots, uint64_t *masks);
typedef void ig_tree_rank_one(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks);

struct ig_tree_kernel {
    const char *name;
    enum ig_isa isa;
    bool (*usable)(void); /* or NULL */
    enum ig_tree_layout layout;
    ig_tree_rank_one *rank;
    ig_tree_find *find;
};

#define IG_TREE_KERNEL(name, isa, usable, layout, rank, find, doc)                                 \
    void rank(const struct ig_tree_rank *table, const double *row, uint16_t *ranks);               \
    void find(const struct ig_tree_plan *plan, const uint16_t *ranks, uint32_t group,              \
              uint32_t groups_count, uint32_t *slots, uint64_t *masks);
#include "kernels/tree/kernels.def"
#undef IG_TREE_KERNEL

/* Whether the layout can hold the ranked model, and pays. plan->rank and plan->sets are set. */
bool ig_tree_plan_fits(const struct ig_tree_plan *plan, const struct ig_model *model,
                       enum ig_tree_layout layout);
/* Lowers the trees; plan->rank and plan->sets are already set. False when the arena is out of
 * memory. */
bool ig_tree_plan_build(struct ig_tree_plan *plan, const struct ig_model *model,
                        const struct ig_tree_test *tests, enum ig_tree_layout layout,
                        struct ig_arena *arena);

#endif
