/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_EVALUATIONS_H
#define IG_API_MLFLOW_EVALUATIONS_H

/* Evaluation datasets in MLflow's JSON, and their records, which come as a text that holds JSON. */

#include "api/call.h"
#include "services/tracking/evaluations.h"

void ig_mlflow_write_evaluation(struct ig_json_out *out, const struct ig_evaluation *evaluation);

/* [{"inputs", "outputs", "expectations", "tags", "source"}]; texts live as long as `text` and the
 * arena. INVALID names the record and its member. */
enum ig_code ig_mlflow_records_decode(struct ig_evaluation_records *out, struct ig_str text,
                                      struct ig_arena *arena, struct ig_err *err);
/* {"key": "value"}: numbers and booleans as texts, null as absent. */
enum ig_code ig_mlflow_tags_decode(struct ig_tracking_pairs *out, struct ig_str text,
                                   struct ig_arena *arena, struct ig_err *err);

#endif
