/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_LOGGED_H
#define IG_API_MLFLOW_LOGGED_H

/* Logged models in MLflow's JSON. */

#include "api/call.h"
#include "services/tracking/logged.h"

/* {"info", "data"} */
void ig_mlflow_write_logged(struct ig_json_out *out, const struct ig_logged_model *model);

#endif
