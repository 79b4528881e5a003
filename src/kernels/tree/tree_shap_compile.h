/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_SHAP_COMPILE_H
#define IG_KERNELS_TREE_TREE_SHAP_COMPILE_H

/* Between the two steps of compiling an ensemble: the scan of its nodes (tree_shap_scan.c) and the
 * building of blocks (tree_shap_compile.c). */

#include "kernels/tree/tree_shap_priv.h"

/* A split of the model. */
struct ig_shap_node {
    double zero;     /* product of the player's shares above */
    uint32_t above;  /* nearest split above of the same player, in the tree; or NONE */
    bool above_left; /* this one is below its left child */
    uint32_t level;
    uint32_t used;   /* its feature, among those that have splits */
    uint32_t player; /* its player, among those that have splits */
    uint32_t slot;
    float threshold;
};

/* A tree for one output (a tree with leaf vectors has one for each). */
struct ig_shap_job {
    uint32_t tree;
    uint32_t output;
    uint32_t points;
    uint32_t splits;
    uint32_t repeats;
    uint32_t nodes_first; /* within its block */
    uint32_t together;    /* of a block's first job: how many share it */
};

/* Over the trees of an output: of their greatest |leaf - mean|. */
struct ig_shap_scale {
    double sum;
    double squares;
};

struct ig_shap_compiler {
    struct ig_tree_shap *shap;
    const struct ig_model *model;
    struct ig_shap_node *infos; /* of the model's nodes */
    struct ig_shap_job *jobs;
    uint32_t jobs_count;
    uint32_t features_count;      /* that have splits */
    uint32_t *local_of;           /* used player -> block's player; NONE between blocks */
    struct ig_shap_scale *scales; /* of outputs */

    /* Sizes that grouping finds. */
    uint32_t blocks_count;
    uint32_t splits_count; /* with padding */
    uint32_t plain_count;  /* without */
    uint32_t repeats_count;
    uint32_t block_nodes_max;
    size_t table_size;

    /* In double, as they are built; in the order of ig_shap_constants. */
    double *left;
    double *right;
    double *mean;
    double *leaves;
    double *table;
    uint32_t *above; /* as in the split's record */
    uint32_t leaves_count;
    uint32_t table_count;
    uint32_t children_count;

    /* Built on the heap and kept at their final size. */
    struct ig_shap_slot *slots;
    double *ranks;
    uint32_t ranks_count;
    struct ig_shap_span *spans;
    uint32_t *children;
    uint32_t *features;
};

/* Own copy in the arena; INVALID for a number out of range. */
enum ig_code ig_tree_shap_copy_players(struct ig_tree_shap *shap, const struct ig_players *players,
                                       struct ig_err *err);
/* Fills infos, jobs, used players, slots and ranks. */
enum ig_code ig_tree_shap_scan(struct ig_shap_compiler *c, struct ig_err *err);
/* Moves slots and ranks into the arena: ig_tree_shap_keys works from then on. False: no memory. */
bool ig_tree_shap_settle_keys(struct ig_shap_compiler *c);
/* Sorts the jobs and counts what their blocks need. */
enum ig_code ig_tree_shap_group(struct ig_shap_compiler *c, struct ig_err *err);
/* Fills the blocks and their arrays, which hold what grouping counted. */
enum ig_code ig_tree_shap_build(struct ig_shap_compiler *c, struct ig_err *err);
/* Frees what is on the heap. */
void ig_tree_shap_compiler_deinit(struct ig_shap_compiler *c);

#endif
