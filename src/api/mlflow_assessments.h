/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_ASSESSMENTS_H
#define IG_API_MLFLOW_ASSESSMENTS_H

/* Assessments in JSON, as protobuf's has them. */

#include "api/mlflow_request.h"
#include "services/tracking/assessments.h"

/* The object that comes next; `told`, unless NULL, says whether it has feedback, an expectation or
 * an issue, one of which it has to have when that is NULL. Texts live in the reader's arena. */
enum ig_code ig_mlflow_assessment_read(struct ig_assessment *out, struct ig_json *json, bool *told);
/* A list of them. */
enum ig_code ig_mlflow_assessments_read(struct ig_assessments *out, struct ig_json *json);
enum ig_code ig_mlflow_assessments_parse(struct ig_assessments *out, struct ig_str content,
                                         struct ig_arena *arena, struct ig_err *err);
void ig_mlflow_assessment_write(struct ig_json_out *out, const struct ig_assessment *assessment);

#endif
