/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TREE_TREE_PREDICT_H
#define IG_KERNELS_TREE_TREE_PREDICT_H

/* Margins of tree ensembles. Shapes, scratch and thread rules as in kernels/engine.h; the predictor
 * borrows the model. Equal bits by every variant. */

#include "kernels/cpu/cpu.h"
#include "model/model.h"

struct ig_tree_predict;

/* Uses instruction sets up to `isa`. */
enum ig_code ig_tree_predict_new(struct ig_tree_predict **out, const struct ig_model *model,
                                 enum ig_isa isa, struct ig_err *err);
void ig_tree_predict_free(struct ig_tree_predict *predict);
size_t ig_tree_predict_scratch_bytes(const struct ig_tree_predict *predict, size_t rows_count);
void ig_tree_predict_run(const struct ig_tree_predict *predict, const double *rows,
                         size_t rows_count, double *margins, void *scratch);
/* A name from kernels.def. */
const char *ig_tree_predict_variant(const struct ig_tree_predict *predict);
enum ig_isa ig_tree_predict_isa(const struct ig_tree_predict *predict);
size_t ig_tree_predict_memory_bytes(const struct ig_tree_predict *predict);

#endif
