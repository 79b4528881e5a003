/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_IMPORTANCE_REPORT_H
#define IG_FORMATS_IMPORTANCE_REPORT_H

/* Importance of a model's features: as training left it in the trees (importances.def), the mean
 * size of contributions over a table ("shap"), or the harm that shuffling a column does to a metric
 * on a labelled table ("permutation"). Pure. */

#include "formats/groups.h"
#include "formats/package.h"
#include "kernels/explain/importance.h"
#include "kernels/explain/permutation_importance.h"

struct ig_importance_spec {
    struct ig_str kind;   /* "gain", ..., "shap", "permutation"; empty: shap with a table, else gain
                           * or, where the file has none, split */
    struct ig_str csv;    /* of shap and permutation; else empty */
    struct ig_str label;  /* permutation: column of the truth; empty: the schema's target */
    struct ig_str metric; /* permutation; empty: log_loss or error for classes, else rmse */
    uint64_t seed;
    uint64_t repeats;         /* permutation; 0: 5, at most 1000 */
    struct ig_str class_name; /* shap, several outputs: of which; empty: mean over all */
    struct ig_groups groups;  /* shap and permutation */
};

struct ig_importance_item {
    struct ig_str name; /* feature or group */
    double importance;
    double half;          /* half-width of its 95% interval; NaN: none */
    double sd;            /* permutation: over repeats; else NaN */
    double mean, largest; /* shap: mean contribution, greatest |contribution|; else NaN */
};

struct ig_importance_report {
    struct ig_str kind;
    const char *metric;                     /* permutation; else NULL */
    const char *method;                     /* shap: of the contributions; else NULL */
    double score;                           /* permutation: of the table as it is */
    size_t rows_count;                      /* of the table; 0: none */
    const struct ig_importance_item *items; /* by falling importance */
    size_t count;
};

/* In the arena. INVALID names the member: an unknown kind or metric, a table that is missing or has
 * no such column, a label that is no class of the model. UNSUPPORTED: the model's file has no gains
 * or covers, or the model has no trees. */
enum ig_code ig_importance_report_run(struct ig_importance_report *out,
                                      const struct ig_package *package,
                                      const struct ig_importance_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err);

#endif
