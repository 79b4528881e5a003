/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_MODELS_H
#define IG_API_MLFLOW_MODELS_H

/* Registered models and their versions in MLflow's JSON. */

#include "api/call.h"
#include "services/registered/registered.h"

void ig_mlflow_write_model(struct ig_json_out *out, const struct ig_registered_model *model);
void ig_mlflow_write_version(struct ig_json_out *out, const struct ig_registered_version *version);
/* Who changes what, of a call. */
struct ig_registered_by ig_mlflow_by(struct ig_call *call);
/* {"model_version"}, when the call came out with IG_OK. */
enum ig_code ig_mlflow_reply_version(struct ig_call *call, enum ig_code code,
                                     const struct ig_registered_version *version);

#endif
