/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_GATEWAY_GATEWAY_TRACE_H
#define IG_SERVICES_GATEWAY_GATEWAY_TRACE_H

/* What a call through an endpoint leaves in the endpoint's experiment, where its usage is tracked:
 * a trace, with the call as its root and a span for each model that was tried, named as MLflow's
 * gateway names them. */

#include "services/gateway/gateway_work.h"

enum { IG_GATEWAY_TRACED_MAX = 1 << 20 }; /* of inputs and of outputs; longer ones are left out */

struct ig_gateway_attempt {
    const char *provider;
    struct ig_str model;
    int64_t began_ms, ended_ms;
    struct ig_gateway_usage usage;
    const char *failure; /* NULL: it answered */
};
struct ig_gateway_traced {
    const struct ig_gateway_endpoint *endpoint;
    enum ig_gateway_action action;
    struct ig_str inputs, outputs; /* outputs ptr NULL: a failure */
    const struct ig_gateway_attempt *attempts;
    size_t attempts_count;
};
/* A failure is logged and hurts nobody else. */
void ig_gateway_trace(struct ig_gateway *gateway, const struct ig_gateway_traced *traced,
                      struct ig_arena *arena);

#endif
