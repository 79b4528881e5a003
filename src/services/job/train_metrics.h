/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_TRAIN_METRICS_H
#define IG_SERVICES_JOB_TRAIN_METRICS_H

/* How good predictions are, computed by ourselves so that every engine is judged alike. */

#include "base/err.h"
#include "base/json.h"

enum ig_metric {
    IG_METRIC_ACCURACY,
    IG_METRIC_AUC,     /* area under the ROC curve; ties count half */
    IG_METRIC_LOGLOSS, /* natural; probabilities clipped at 1e-15 */
    IG_METRIC_RMSE,
    IG_METRIC_MAE,
    IG_METRIC_R2,
    IG_METRICS_COUNT
};
const char *ig_metric_name(enum ig_metric metric); /* "auc" */

struct ig_metrics {
    double values[IG_METRICS_COUNT]; /* NaN: does not apply, or not defined on these rows */
};

/* labels[n]: class 0 or 1; probabilities[n] of class 1. NO_MEMORY. */
enum ig_code ig_metrics_binary(struct ig_metrics *out, const double *labels,
                               const double *probabilities, size_t n, struct ig_err *err);
/* labels[n]: class; probabilities n x classes. */
void ig_metrics_multiclass(struct ig_metrics *out, const double *labels,
                           const double *probabilities, size_t n, size_t classes);
void ig_metrics_regression(struct ig_metrics *out, const double *labels, const double *predictions,
                           size_t n);
/* Members of an open object: "accuracy": 0.87, ...; what does not apply is left out. */
void ig_metrics_write(struct ig_json_out *out, const struct ig_metrics *metrics);

#endif
