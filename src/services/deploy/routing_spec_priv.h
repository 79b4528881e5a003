/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROUTING_SPEC_PRIV_H
#define IG_SERVICES_DEPLOY_ROUTING_SPEC_PRIV_H

#include "services/deploy/routing_spec.h"

/* Checks what was read as a whole and numbers the nodes from the root on. */
enum ig_code ig_routing_spec_settle(struct ig_routing_spec *spec, uint32_t root,
                                    struct ig_arena *arena, struct ig_err *err);

#endif
