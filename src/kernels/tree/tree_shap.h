/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_SHAP_H
#define IG_KERNELS_TREE_TREE_SHAP_H

/* Exact path-dependent SHAP values of a tree ensemble, by Gauss-Legendre quadrature.
 *
 * The game: v(S) follows the row's own branch at a split on a feature of S, and at any other split
 * takes both branches by their shares of the training cover (child over the sum of both children;
 * a half each where both are zero). Contributions are the Shapley values of v in margin units, and
 * the base value is v of no feature plus the base margin.
 *
 * Shapes: row-major doubles; rows n x features_count (NaN = missing), margins n x outputs_count,
 * contributions n x outputs_count x (features_count + 1), the base value last.
 *
 * Precision: lanes are float, sums over blocks of trees double; an ensemble whose leaves are so
 * large that floats would not hold 1e-5*max(1,|value|) is computed in double throughout.
 * Determinism: the same bits for a row on every instruction set, alone or within any batch.
 *
 * Immutable after `new`, shared by all threads; borrows the model. `run` cannot fail. */

#include "kernels/cpu/cpu.h"
#include "kernels/explain/background.h"
#include "model/model.h"

struct ig_tree_shap;

struct ig_tree_shap_io {
    const double *rows;
    size_t rows_count;
    const double *margins; /* of these rows, as the predictor gives them */
    double *contributions; /* out */
    double *additivity;    /* out, rows_count: greatest |sum of contributions - margin| */
};

/* Uses instruction sets up to `isa`. IG_UNSUPPORTED: linear leaves. IG_TOO_LARGE: a path with more
 * than 2048 different features, or many repeating splits on paths of more than 128. IG_INVALID: not
 * a tree ensemble. */
enum ig_code ig_tree_shap_new(struct ig_tree_shap **out, const struct ig_model *model,
                              enum ig_isa isa, struct ig_err *err);
/* The same for a game of groups: the features of a player enter together, so a leaf's path merges
 * by player. contributions: n x outputs_count x (players->count + 1). `players` is copied; NULL or
 * without of_feature: each feature its own. */
enum ig_code ig_tree_shap_new_grouped(struct ig_tree_shap **out, const struct ig_model *model,
                                      const struct ig_players *players, enum ig_isa isa,
                                      struct ig_err *err);
void ig_tree_shap_free(struct ig_tree_shap *shap);
/* Scratch is 64-byte aligned, contents undefined before and after. */
size_t ig_tree_shap_scratch_bytes(const struct ig_tree_shap *shap, size_t rows_count);
/* A row with |sum - margin| > 1e-5*(1+|margin|) in some output is computed anew in double; its
 * additivity is then that of the new values. */
void ig_tree_shap_run(const struct ig_tree_shap *shap, const struct ig_tree_shap_io *io,
                      void *scratch);
/* base[outputs_count] */
void ig_tree_shap_base(const struct ig_tree_shap *shap, double *base);
/* Whether lanes are double. */
bool ig_tree_shap_is_double(const struct ig_tree_shap *shap);
size_t ig_tree_shap_memory_bytes(const struct ig_tree_shap *shap);
/* "avx512", "avx2", "scalar" */
const char *ig_tree_shap_variant(const struct ig_tree_shap *shap);

/* The same values of one row by an independent method in double: each leaf's path by its players,
 * the Shapley weights summed over polynomial coefficients. Slow; for tests. `players` may be NULL.
 * contributions: outputs_count x (players + 1). Fails as ig_tree_shap_new does. */
enum ig_code ig_tree_shap_reference(const struct ig_model *model, const struct ig_players *players,
                                    const double *row, double *contributions, struct ig_err *err);

#endif
