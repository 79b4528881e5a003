/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_RESPONSES_H
#define IG_SERVICES_DEPLOY_RESPONSES_H

/* Answers of one revision of a deployment, kept for rows that come again bit for bit: margins and
 * predictions by node and row, where its resources ask for it. Explanations have a cache of their
 * own (services/explain/cache.h). Loop-safe, nothing waits. */

#include "base/lru.h"
#include "services/deploy/inference.h"

struct ig_responses;

enum ig_code ig_responses_new(struct ig_responses **out, size_t max_bytes, struct ig_err *err);
void ig_responses_free(struct ig_responses *responses); /* NULL is allowed */

/* All rows were answered before, and not longer ago than the graph allows. Else false. */
bool ig_responses_find(struct ig_inference_result *out, const struct ig_routing *routing,
                       uint32_t node, const struct ig_inference_request *request,
                       struct ig_arena *arena);
void ig_responses_keep(const struct ig_routing *routing, uint32_t node,
                       const struct ig_inference_request *request,
                       const struct ig_inference_result *result);

struct ig_responses_stats {
    uint64_t hits, misses; /* rows */
    uint64_t hit_ns;       /* of looking up what was there */
    uint64_t miss_ns;      /* of looking up what was not, and of keeping it then */
};

/* Since the revision began to serve; zeros of one that keeps no answers. */
struct ig_responses_stats ig_responses_stats(const struct ig_routing *routing);

#endif
