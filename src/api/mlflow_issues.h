/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_ISSUES_H
#define IG_API_MLFLOW_ISSUES_H

/* Issues in MLflow's JSON. */

#include "base/json.h"
#include "services/tracking/issues.h"

void ig_mlflow_write_issue(struct ig_json_out *out, const struct ig_issue *issue, bool counted);

#endif
