/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_DERIVED_RUN_H
#define IG_KERNELS_DERIVED_RUN_H

/* Runs models whose trees take columns that are derived from a row (model/derived.h): the kernels
 * of trees on the derived columns, and the contributions of the game's players brought back to the
 * features.
 *
 * Shapes and units are those of kernels/engine.h. */

#include "kernels/engine.h"
#include "kernels/tree/tree_predict.h"
#include "kernels/tree/tree_shap.h"

/* Borrowed. */
struct ig_derived_kernels {
    const struct ig_model *model;
    const struct ig_tree_predict *predict;
    const struct ig_tree_shap *shap; /* of the players; NULL where SHAP cannot be had */
};

/* Whatever the number of rows. */
size_t ig_derived_scratch_bytes(struct ig_derived_kernels kernels);
void ig_derived_predict(struct ig_derived_kernels kernels, const double *rows, size_t rows_count,
                        double *margins, void *scratch);
void ig_derived_explain(struct ig_derived_kernels kernels, const struct ig_engine_io *io,
                        void *scratch);
/* Of one row, by ig_tree_shap_reference. */
enum ig_code ig_derived_reference(const struct ig_model *model, const double *row,
                                  double *contributions, struct ig_err *err);

#endif
