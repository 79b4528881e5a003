/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_INTERVENTIONAL_H
#define IG_KERNELS_TREE_TREE_INTERVENTIONAL_H

/* Exact interventional SHAP values of a tree ensemble against a background, in time that does not
 * depend on the background's size; and pairwise interactions, interventional or path-dependent.
 *
 * The game: v(S) is the mean margin over the background's rows b of the row that takes the features
 * of S from x and the others from b. Contributions are its Shapley values in margin units; the base
 * value is the background's mean margin.
 *
 * Shapes: row-major doubles; rows n x features_count (NaN = missing), margins n x outputs_count,
 * contributions n x outputs_count x (players + 1), the base value last.
 *
 * Without a background the game is the path-dependent one of tree_shap.h: each player of a path
 * passes with its share of the covers, on its own.
 *
 * Interactions are Shapley interaction values I_ij (Lundberg et al., 2020): instead of
 * contributions a row gets a symmetric matrix of (players + 1)^2 an output, with I_ij / 2 beside
 * the diagonal, on it the contribution less the row's other entries, and the base value in the last
 * corner, so that all entries add up to the margin.
 *
 * Tables hold floats, sums are double; an ensemble whose leaves are so large that floats would not
 * hold 1e-5*(1+|margin|) gets tables of doubles. The same bits for a row on every instruction set,
 * alone or within any batch. Immutable after `new`, shared by all threads; borrows the model and
 * copies what it needs of the background. `run` cannot fail. */

#include "kernels/explain/background.h"
#include "model/model.h"

struct ig_tree_interventional;

struct ig_tree_interventional_options {
    const struct ig_players *players; /* NULL: each feature its own */
    size_t memory_max_bytes;          /* of the tables; 0: 512 MiB. Leaves beyond it are walked */
    bool interactions;
};

struct ig_tree_interventional_io {
    const double *rows;
    size_t rows_count;
    const double *margins; /* of these rows, as the predictor gives them */
    double *contributions; /* out; with interactions: n x outputs_count x (players + 1)^2 */
    double *additivity;    /* out, rows_count: greatest |sum of contributions - margin| */
};

/* What `new` would build, known before it is built and whatever the background. */
struct ig_tree_interventional_plan {
    size_t table_bytes;
    uint32_t leaves_count; /* of all trees (and outputs, where leaves are vectors) */
    uint32_t walked_count; /* of these without a table: each runs over the background's patterns */
};
enum ig_code ig_tree_interventional_plan(struct ig_tree_interventional_plan *out,
                                         const struct ig_model *model,
                                         const struct ig_tree_interventional_options *options,
                                         struct ig_err *err);

/* IG_UNSUPPORTED: linear leaves. IG_TOO_LARGE: a path with more than 64 different players, or
 * patterns of walked leaves beyond memory_max_bytes. IG_INVALID: not a tree ensemble. `background`
 * NULL: the path-dependent game. `options` may be NULL. */
enum ig_code ig_tree_interventional_new(struct ig_tree_interventional **out,
                                        const struct ig_model *model,
                                        const struct ig_background *background,
                                        const struct ig_tree_interventional_options *options,
                                        struct ig_err *err);
void ig_tree_interventional_free(struct ig_tree_interventional *self); /* NULL is allowed */
/* Scratch is 64-byte aligned, contents undefined before and after. */
size_t ig_tree_interventional_scratch_bytes(const struct ig_tree_interventional *self);
void ig_tree_interventional_run(const struct ig_tree_interventional *self,
                                const struct ig_tree_interventional_io *io, void *scratch);
/* base[outputs_count] */
void ig_tree_interventional_base(const struct ig_tree_interventional *self, double *base);
size_t ig_tree_interventional_memory_bytes(const struct ig_tree_interventional *self);
/* "tables", "walk" (every leaf runs over the background's patterns) or "mixed". */
const char *ig_tree_interventional_variant(const struct ig_tree_interventional *self);

#endif
