/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_RESPONSES_H
#define IG_SERVICES_DEPLOY_RESPONSES_H

/* Answers of one revision of a deployment, kept for rows that come again bit for bit: margins and
 * predictions by node and row, where its resources ask for it. Explanations have a cache of their
 * own (services/explain/cache.h). Loop-safe, nothing waits. */

#include "base/lru.h"
#include "services/deploy/inference.h"

/* All rows were answered before, and not longer ago than the graph allows. Else false. */
bool ig_responses_find(struct ig_inference_result *out, const struct ig_routing *routing,
                       uint32_t node, const struct ig_inference_request *request,
                       struct ig_arena *arena);
void ig_responses_keep(const struct ig_routing *routing, uint32_t node,
                       const struct ig_inference_request *request,
                       const struct ig_inference_result *result);

/* Rows that were there and rows that were not, since the revision began to serve; zeros of one that
 * keeps no answers. */
struct ig_lru_stats ig_responses_stats(const struct ig_routing *routing);

#endif
