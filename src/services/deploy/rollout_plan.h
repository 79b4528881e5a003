/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROLLOUT_PLAN_H
#define IG_SERVICES_DEPLOY_ROLLOUT_PLAN_H

/* How a candidate takes over, step by step, and what sends it back.
 *
 *   {"steps": [1, 5, 25, 100], "step_seconds": 600, "min_answers": 500, "alpha": 0.05,
 *    "guardrails": {"errors": {"max_increase": 0.01},
 *                   "latency": {"quantile": 0.99, "max_ratio": 1.5},
 *                   "score_drift": {"max_psi": 0.25},
 *                   "metric": {"name": "sale", "max_drop": 0.02}}}
 *
 * A step lasts at least step_seconds and until both sides gave min_answers; then it advances,
 * unless a guardrail is broken. Guardrails are looked at all the time. Errors, the metric and
 * latency break theirs when an always-valid interval of 1 - alpha says so, so looking often is no
 * harm; the score drift when min_answers are there and its PSI is above the limit. Pure. */

#include "base/arena.h"
#include "base/err.h"
#include "base/json.h"
#include "services/deploy/learning.h"

enum { IG_ROLLOUT_STEPS_MAX = 16 };

struct ig_rollout_plan {
    uint32_t steps[IG_ROLLOUT_STEPS_MAX]; /* basis points, rising, to the whole */
    uint32_t steps_count;
    int64_t step_seconds;
    uint64_t min_answers;
    double alpha;
    bool guards_errors, guards_latency, guards_drift, guards_metric;
    double errors_max_increase; /* of the share of errors */
    double latency_quantile, latency_max_ratio;
    double drift_max_psi;
    char metric[IG_NAME_SIZE];
    double metric_max_drop; /* of its mean */
};

/* Reads the value that comes; errors name the member ("rollout.steps"). */
enum ig_code ig_rollout_plan_read(struct ig_rollout_plan *out, struct ig_json *json);
void ig_rollout_plan_write(struct ig_json_out *out, const struct ig_rollout_plan *plan);

enum ig_rollout_verdict { IG_ROLLOUT_WAIT, IG_ROLLOUT_ADVANCE, IG_ROLLOUT_BACK };
/* `reason` says what it waits for, or which guardrail broke and by how much. */
enum ig_rollout_verdict ig_rollout_judge(char reason[256], const struct ig_rollout_plan *plan,
                                         const struct ig_learned_arm *stable,
                                         const struct ig_learned_arm *candidate,
                                         int64_t seconds_in_step);

#endif
