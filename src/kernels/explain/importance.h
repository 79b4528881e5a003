/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_EXPLAIN_IMPORTANCE_H
#define IG_KERNELS_EXPLAIN_IMPORTANCE_H

/* Importance of features, as the training left it in the trees: kinds in importances.def. As
 * XGBoost's get_score and LightGBM's feature_importance: weights of trees (DART) do not count;
 * LightGBM passes over splits without gain. Thread-safe. */

#include "base/str.h"
#include "kernels/explain/background.h"
#include "model/model.h"

enum ig_importance {
#define IG_IMPORTANCE(id, name, needs, mean, doc) IG_IMPORTANCE_##id,
#include "kernels/explain/importances.def"
#undef IG_IMPORTANCE
    IG_IMPORTANCES_COUNT
};

const char *ig_importance_name(enum ig_importance kind);
const char *ig_importance_doc(enum ig_importance kind);
/* False when none has that name; *out is then untouched. */
bool ig_importance_parse(struct ig_str name, enum ig_importance *out);
/* Of a kind that is a mean over splits the kind of the sum; else the kind itself. */
enum ig_importance ig_importance_sum(enum ig_importance kind);

/* out[features_count], 0 for a feature without splits. UNSUPPORTED: the model has no trees, or its
 * file gives no gains or covers. */
enum ig_code ig_importance_run(double *out, const struct ig_model *model, enum ig_importance kind,
                               struct ig_err *err);
/* Sums of features' values by player: out[players->count]. */
void ig_importance_gather(double *out, const double *values, uint32_t features_count,
                          const struct ig_players *players);

#endif
