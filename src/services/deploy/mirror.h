/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_MIRROR_H
#define IG_SERVICES_DEPLOY_MIRROR_H

/* Shadows: what a deployment answered is computed again by the mirrors of its graph, on threads of
 * their own, and compared in the decision log. The caller never waits: what finds the queue full is
 * dropped and counted. */

#include "services/deploy/decision_log.h"
#include "services/deploy/routing.h"

struct ig_mirror;

struct ig_mirror_options {
    struct ig_decision_log *log;
    unsigned threads;   /* 0: 1 */
    unsigned queue_max; /* calls that may wait; 0: 1024 */
    size_t bytes_max;   /* of their rows; 0: 64 MiB */
};

enum ig_code ig_mirror_open(struct ig_mirror **out, const struct ig_mirror_options *options,
                            struct ig_err *err);
void ig_mirror_close(struct ig_mirror *mirror); /* finishes what is queued; NULL is allowed */

/* Rows that one way of an answered call took. Everything is copied. */
struct ig_mirror_call {
    const struct ig_routing *routing;
    uint32_t node;         /* the shadow */
    const double *rows;    /* in the order of routing->schema */
    const double *scores;  /* by row: what the primary scored (ig_inference_score) */
    const int32_t *labels; /* by row: the class it decided for; -1 of a regression */
    size_t rows_count;
    uint64_t primary_ns;
    struct ig_str request_id;
};
/* Loop-safe. Each mirror takes its percentage of calls, chosen by the request's id. */
void ig_mirror_call(struct ig_mirror *mirror, const struct ig_mirror_call *call);

struct ig_mirror_stats {
    uint64_t taken, dropped; /* calls, by mirror */
};
void ig_mirror_stats(struct ig_mirror *mirror, struct ig_mirror_stats *out);

#endif
