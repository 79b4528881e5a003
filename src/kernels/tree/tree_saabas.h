/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_SAABAS_H
#define IG_KERNELS_TREE_TREE_SAABAS_H

/* Saabas's contributions of a tree ensemble: along a row's path each split is credited with the
 * change of the node's mean value (by the training covers). As cheap as a prediction and additive,
 * but no Shapley values: splits near a root get too little (XGBoost's approx_contribs).
 *
 * Shapes as in tree_shap.h: contributions n x outputs_count x (players + 1), base value last. The
 * same bits for a row in every batch. Immutable after `new`, thread-safe; borrows the model. */

#include "kernels/explain/background.h"
#include "model/model.h"

struct ig_tree_saabas;

/* `players` is copied; NULL: each feature its own. IG_UNSUPPORTED: linear leaves. IG_INVALID: not a
 * tree ensemble. */
enum ig_code ig_tree_saabas_new(struct ig_tree_saabas **out, const struct ig_model *model,
                                const struct ig_players *players, struct ig_err *err);
void ig_tree_saabas_free(struct ig_tree_saabas *saabas); /* NULL is allowed */
/* margins: of these rows, as the predictor gives them; additivity[rows_count]: the greatest
 * |sum of contributions - margin| of a row. */
void ig_tree_saabas_run(const struct ig_tree_saabas *saabas, const double *rows, size_t rows_count,
                        const double *margins, double *contributions, double *additivity);
size_t ig_tree_saabas_memory_bytes(const struct ig_tree_saabas *saabas);

#endif
