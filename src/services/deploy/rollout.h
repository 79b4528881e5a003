/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_ROLLOUT_H
#define IG_SERVICES_DEPLOY_ROLLOUT_H

/* What changes by itself: rollouts, which widen a canary step by step as long as no guardrail of
 * their plan breaks and else send everybody back to the stable side, and the shares of bandits.
 *
 * A rollout is a row and goes on after a restart. A change of the deployment by anybody else ends
 * it. One thread looks once a second while there are rollouts or bandits; worker threads call the
 * rest. */

#include "services/deploy/deploy.h"
#include "services/deploy/rollout_plan.h"

struct ig_rollouts;

struct ig_rollouts_options {
    struct ig_db *db;
    struct ig_deploy *deploy;
    struct ig_learning *learning;
    unsigned tick_ms; /* 0: 1000 */
};

enum ig_code ig_rollouts_open(struct ig_rollouts **out, const struct ig_rollouts_options *options,
                              struct ig_err *err);
void ig_rollouts_close(struct ig_rollouts *rollouts); /* NULL is allowed */

struct ig_rollout {
    struct ig_str deployment;
    struct ig_rollout_plan plan;
    uint32_t step; /* from 0 */
    int64_t revision;
    struct ig_str state;  /* "running", "paused", "done", "rolled_back", "aborted", "superseded" */
    struct ig_str reason; /* what it waits for, or why it ended */
    int64_t step_ms, started_ms;
};

/* The model becomes a candidate at the plan's first step. CONFLICT while one is under way. */
enum ig_code ig_rollouts_start(struct ig_rollouts *rollouts, const struct ig_principal *who,
                               const struct ig_deployment_spec *spec,
                               const struct ig_rollout_plan *plan, struct ig_err *err);
/* The latest of a deployment; NOT_FOUND. */
enum ig_code ig_rollouts_get(struct ig_rollout *out, struct ig_rollouts *rollouts,
                             struct ig_str deployment, struct ig_arena *arena, struct ig_err *err);
enum ig_rollout_action { IG_ROLLOUT_PAUSE, IG_ROLLOUT_RESUME, IG_ROLLOUT_ABORT };
/* A paused one stays at its step, guardrails and all; an aborted one goes back to the stable side.
 * CONFLICT when its state does not allow it. */
enum ig_code ig_rollouts_act(struct ig_rollouts *rollouts, const struct ig_principal *who,
                             struct ig_str deployment, enum ig_rollout_action action,
                             struct ig_str why, struct ig_err *err);
/* One look at everything, as the thread does: for tests. False: nothing changes by itself. */
bool ig_rollouts_tick(struct ig_rollouts *rollouts);

#endif
