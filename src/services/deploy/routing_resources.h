/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROUTING_RESOURCES_H
#define IG_SERVICES_DEPLOY_ROUTING_RESOURCES_H

/* What a deployment may use: "resources" of its graph.
 *
 *   {"isolation": "shared" | "process",
 *    "concurrency": N,                          (shared) calls in the worker pool at a time
 *    "replicas": N | {"min": N, "max": N},      (process) how many processes
 *    "queue": N, "idle_s": N,                   (process)
 *    "batching": {"max_rows": N, "max_delay_us": N},   (process)
 *    "instance": TYPE, "memory_mb": N, "cpu": CORES, "gpu": SHARE,
 *    "cache": {"max_mb": N, "ttl_s": N}}        answers kept for rows that come again
 *
 * docs/serving.md says what each does. */

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "services/instances/instances.h"

enum {
    IG_RESOURCES_REPLICAS_MAX = 64,
    IG_RESOURCES_QUEUE = 256, /* by default */
    IG_RESOURCES_IDLE_S = 60, /* likewise */
};

struct ig_resources {
    const struct ig_instance
        *instance;            /* whose CPU and memory count where none are given; or NULL */
    bool isolated;            /* models run in processes of their own */
    uint32_t concurrency;     /* shared: calls in the worker pool; 0: any number */
    uint32_t replicas_min;    /* 0: none while there is nothing to do */
    uint32_t replicas_max;    /* isolated: at least 1 */
    uint32_t queue_max;       /* isolated: calls that may wait for a replica */
    uint32_t idle_s;          /* isolated: after which a replica beyond the least ends */
    uint32_t memory_mb;       /* isolated: of each replica; shared: of the models; 0: any */
    uint32_t batch_rows;      /* isolated: predictions computed as one; 0: each alone */
    uint32_t batch_delay_us;  /* how long one that is not full waits for more */
    uint32_t cache_mb;        /* of answers; 0: none are kept */
    uint32_t cache_ttl_s;     /* 0: until the next revision */
    uint32_t cpu_thousandths; /* of a core, on average; 0: any */
};

/* The object's value comes next. INVALID; the message begins with "graph.resources". */
enum ig_code ig_resources_read(struct ig_resources *out, struct ig_json *json);
/* Whether there is anything to write. */
bool ig_resources_given(const struct ig_resources *resources);
void ig_resources_write(struct ig_json_out *out, const struct ig_resources *resources);

#endif
