/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_LEARNING_H
#define IG_SERVICES_DEPLOY_LEARNING_H

/* What the decision log teaches about the arms of deployments: how often each answered, how fast,
 * what it scored, what its answers were worth once rewards came. Everything is in memory, and is
 * the same after a restart, when the log is read again.
 *
 * An arm is a node's branch together with what stood behind it: when its model changes it is
 * another arm. A reward finds its answer by the request's id among the latest answers that took an
 * arm, about IG_LEARNING_ANSWERS of them; one reward a metric and request counts.
 *
 * Thread-safe; waits at most for another's few microseconds. */

#include "kernels/stats/sequential.h"
#include "kernels/stats/sketch.h"
#include "services/deploy/decision_log.h"
#include "services/deploy/routing.h"

enum {
    IG_LEARNING_METRICS_MAX = 8, /* of a deployment */
    IG_LEARNING_ARMS_MAX = 4096, /* over all deployments; further ones are not learned about */
    IG_LEARNING_ANSWERS = 1 << 18,
    IG_LEARNING_UNITS_MAX = 1 << 16, /* of a node, of whose shares is kept account */
    IG_LEARNING_BATCHES_MAX = 64,    /* sizes of a deployment's, the first that came */
};

struct ig_learning;

/* Reads the log in the directory. */
enum ig_code ig_learning_open(struct ig_learning **out, int dirfd, struct ig_err *err);
void ig_learning_close(struct ig_learning *learning); /* NULL is allowed */
/* For ig_decision_log_options.observe; `learning` is the context. */
void ig_learning_observe(void *learning, const struct ig_decision *decision);

enum ig_reward_match {
    IG_REWARD_UNKNOWN, /* no such answer, or it is too long ago, or it took no arm */
    IG_REWARD_AGAIN,   /* it has a reward of that metric already */
    IG_REWARD_TOO_MANY_METRICS,
    IG_REWARD_TAKEN,
};
/* What became or would become of a reward; changes nothing. *deployment (at least IG_NAME_SIZE
 * bytes) is the answer's. */
enum ig_reward_match ig_learning_match(struct ig_learning *learning, struct ig_str request_id,
                                       struct ig_str metric, char *deployment);

struct ig_learned_metric {
    char name[IG_NAME_SIZE];
    struct ig_moments rewards;
    bool conversions; /* all were 0 or 1 */
};

struct ig_learned_arm {
    uint64_t answers, rows, errors; /* errors: answers of status 500 and above */
    int64_t first_ms, last_ms;
    struct ig_moments latency; /* seconds, of what was answered */
    struct ig_sketch latencies, scores;
    struct ig_learned_metric metrics[IG_LEARNING_METRICS_MAX];
    size_t metrics_count;
};
/* Answers of one size. */
struct ig_learned_batch {
    uint32_t rows;
    uint64_t answers, before_ns, compute_ns, after_ns;
};
/* Of a deployment, over all its arms and revisions. Times are sums in nanoseconds: before an
 * answer's inference, of it, behind it. */
struct ig_learned_totals {
    uint64_t answers, rows, errors;
    uint64_t latency_ns, error_ns, before_ns, compute_ns;
    int64_t last_ms;
    struct ig_learned_batch batches[IG_LEARNING_BATCHES_MAX]; /* by size */
    size_t batches_count;
};
struct ig_learned_mirror {
    uint64_t answers, rows, failures, flips;
    struct ig_sketch differences;                  /* of scores: mirror less primary */
    struct ig_sketch latencies, primary_latencies; /* seconds, of the inference */
};

/* All zeros when nothing is known. */
void ig_learning_totals(struct ig_learned_totals *out, struct ig_learning *learning,
                        struct ig_str deployment);
/* Copies what is known of an edge of a node that splits; false: nothing yet. */
bool ig_learning_arm(struct ig_learned_arm *out, struct ig_learning *learning,
                     const struct ig_routing *routing, uint32_t node, uint32_t edge);
/* Of a mirror of a shadow (edge from 1). */
bool ig_learning_mirror(struct ig_learned_mirror *out, struct ig_learning *learning,
                        const struct ig_routing *routing, uint32_t node, uint32_t edge);
/* Whether units went to a node's arms as they were to; *units are those counted. */
double ig_learning_shares_p(struct ig_learning *learning, const struct ig_routing *routing,
                            uint32_t node, uint64_t *units);
const struct ig_learned_metric *ig_learned_metric(const struct ig_learned_arm *arm,
                                                  struct ig_str name); /* or NULL */

#endif
