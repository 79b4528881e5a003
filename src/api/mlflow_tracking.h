/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_TRACKING_H
#define IG_API_MLFLOW_TRACKING_H

/* Experiments and runs in MLflow's JSON: absent fields are left out, whole numbers are numbers, NaN
 * and infinities are texts. */

#include "api/call.h"
#include "base/num.h"
#include "services/tracking/tracking.h"

/* [{"key", "value"}] as this member; left out when there are none. */
void ig_mlflow_write_pairs(struct ig_json_out *out, const char *key,
                           struct ig_tracking_pairs pairs);
/* The same as an object of texts; write_map: nothing where there are none. */
void ig_mlflow_write_object(struct ig_json_out *out, const char *key,
                            struct ig_tracking_pairs pairs);
void ig_mlflow_write_map(struct ig_json_out *out, const char *key, struct ig_tracking_pairs pairs);
void ig_mlflow_write_experiment(struct ig_json_out *out,
                                const struct ig_tracking_experiment *experiment);
void ig_mlflow_write_run_info(struct ig_json_out *out, const struct ig_tracking_run *run);
/* {"info", "data", "inputs", "outputs"} */
void ig_mlflow_write_run(struct ig_json_out *out, const struct ig_tracking_run *run);
/* {"run"} as the answer. */
enum ig_code ig_mlflow_reply_run(struct ig_call *call, const struct ig_tracking_run *run);
/* A metric's value in JSON: a number, "NaN", "Infinity" or "-Infinity". Returns its length. */
size_t ig_mlflow_value_text(char out[IG_NUM_TEXT_MAX], double value);
/* `run` may be empty: it is not said whose the metric is. */
void ig_mlflow_write_metric(struct ig_json_out *out, const struct ig_tracking_metric *metric,
                            struct ig_str run);

#endif
