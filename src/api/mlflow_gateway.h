/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_GATEWAY_H
#define IG_API_MLFLOW_GATEWAY_H

/* The gateway's configuration in MLflow's JSON. */

#include "api/mlflow_request.h"
#include "services/gateway/gateway.h"

/* What a request has besides plain fields. */
struct ig_mlflow_gateway_extra {
    struct ig_tracking_pairs secret, config;
    bool has_secret, has_config, has_uses, has_fallback, has_tracked, tracked;
    struct ig_gateway_use uses[IG_GATEWAY_MODELS_MAX];
    size_t uses_count;
    struct ig_str fallback_strategy; /* ptr NULL: none */
    int64_t fallback_attempts;       /* -1: not told */
};
enum ig_code ig_mlflow_gateway_extra_read(struct ig_mlflow_gateway_extra *out,
                                          struct ig_call *call);

void ig_mlflow_gateway_write_secret(struct ig_json_out *out,
                                    const struct ig_gateway_secret *secret);
void ig_mlflow_gateway_write_model(struct ig_json_out *out, const struct ig_gateway_model *model);
void ig_mlflow_gateway_write_mapping(struct ig_json_out *out,
                                     const struct ig_gateway_mapping *mapping);
void ig_mlflow_gateway_write_endpoint(struct ig_json_out *out,
                                      const struct ig_gateway_endpoint *endpoint);
void ig_mlflow_gateway_write_binding(struct ig_json_out *out,
                                     const struct ig_gateway_binding *binding);

#endif
