/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts as rows, and the thread that moves them and the bandits.
 *
 *   step: row says step and the revision that it will be -> the deployment is changed
 *
 * A crash between the two leaves a deployment whose revision is below the row's: the next look
 * changes it then. One above the row's was changed by somebody else, or by the last act of this
 * rollout; the history says which. `lock` serialises looks and acts. */
#include "services/deploy/rollout.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kernels/stats/bandit.h"
#include "services/deploy/deploy_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

enum { ARENA_CHUNK = 64 << 10, ARENA_MAX = 16 << 20, ROLLOUTS_MAX = 1000, REASON_MAX = 256 };

static const struct ig_principal BY_ITSELF = {.name = "rollout", .scopes = ~0u};
static const char BACK[] = "guardrail: ";

struct ig_rollouts {
    struct ig_rollouts_options options;
    pthread_mutex_t lock;
    pthread_mutex_t wake_lock;
    pthread_cond_t wake;
    bool stopping, changed; /* under wake_lock */
    bool runs;
    uint64_t thread;
    uint64_t looks;
};

/* ---- rows ---- */

struct listing {
    struct ig_arena *arena;
    struct ig_str name; /* empty: all that are under way */
    struct ig_rollout *items;
    size_t count;
};

static enum ig_code read_plan(struct ig_rollout *out, struct ig_str text, struct ig_arena *arena,
                              struct ig_err *err)
{
    struct ig_json json;
    ig_json_init(&json, text, arena, err);
    return ig_rollout_plan_read(&out->plan, &json);
}

static enum ig_code read_rows(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct listing *listing = context;
    struct ig_arena *arena = listing->arena;
    struct ig_db_rows *rows = NULL;
    size_t cap = 0;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select deployment, plan, step, revision, state, reason, step_ms, started_ms from rollouts"
        " where ($1 = '' and state in ('running', 'paused')) or deployment = $1"
        " order by deployment",
        IG_DB_VALUES(IG_DB_T(listing->name)), err);
    while (code == IG_OK && listing->count < ROLLOUTS_MAX && ig_db_next(rows, err)) {
        listing->items =
            ig_arena_grow(arena, listing->items, listing->count, &cap, sizeof *listing->items);
        if (!listing->items) {
            ig_fail(err, IG_NO_MEMORY, "rollouts");
            break;
        }
        struct ig_rollout *item = &listing->items[listing->count++];
        *item = (struct ig_rollout){.deployment = ig_db_text_dup(rows, 0, arena),
                                    .step = (uint32_t)ig_db_i64(rows, 2),
                                    .revision = ig_db_i64(rows, 3),
                                    .state = ig_db_text_dup(rows, 4, arena),
                                    .reason = ig_db_text_dup(rows, 5, arena),
                                    .step_ms = ig_db_i64(rows, 6),
                                    .started_ms = ig_db_i64(rows, 7)};
        code = read_plan(item, ig_db_text(rows, 1), arena, err);
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code list(struct listing *out, struct ig_rollouts *rollouts, struct ig_str name,
                         struct ig_arena *arena, struct ig_err *err)
{
    *out = (struct listing){.arena = arena, .name = name};
    return ig_db_read(rollouts->options.db, read_rows, out, err);
}

static enum ig_code write_row(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct ig_rollout *row = context;
    struct ig_buf plan;
    struct ig_json_out out;
    ig_buf_init(&plan, 64 << 10);
    ig_json_out_init(&out, &plan);
    ig_rollout_plan_write(&out, &row->plan);
    ig_db_exec(tx,
               "insert into rollouts(deployment, plan, step, revision, state, reason, step_ms,"
               " started_ms) values($1, $2, $3, $4, $5, $6, $7, $8)"
               " on conflict (deployment) do update set plan = excluded.plan,"
               " step = excluded.step, revision = excluded.revision, state = excluded.state,"
               " reason = excluded.reason, step_ms = excluded.step_ms,"
               " started_ms = excluded.started_ms",
               IG_DB_VALUES(IG_DB_T(row->deployment), IG_DB_T(ig_buf_view(&plan)),
                            IG_DB_I(row->step), IG_DB_I(row->revision), IG_DB_T(row->state),
                            IG_DB_T(row->reason), IG_DB_I(row->step_ms), IG_DB_I(row->started_ms)),
               err);
    ig_buf_deinit(&plan);
    return err->code;
}

static enum ig_code keep(struct ig_rollouts *rollouts, struct ig_rollout *row, struct ig_err *err)
{
    return ig_db_write(rollouts->options.db, write_row, row, err);
}

/* ---- steps ---- */

/* The deployment as the row's step says. */
static enum ig_code apply_step(struct ig_rollouts *rollouts, const struct ig_rollout *row,
                               struct ig_err *err)
{
    char why[REASON_MAX];
    uint32_t basis_points = row->plan.steps[row->step];
    snprintf(why, sizeof why, "rollout: step %u of %u, %g %%", row->step + 1, row->plan.steps_count,
             basis_points / 100.0);
    const struct ig_deployment_spec spec = {.name = row->deployment,
                                            .canary = true,
                                            .canary_basis_points = basis_points,
                                            .why = ig_str_view(why)};
    return ig_deploy_set(rollouts->options.deploy, &BY_ITSELF, &spec, err);
}

static enum ig_code go_on(struct ig_rollouts *rollouts, struct ig_rollout *row, struct ig_err *err)
{
    if (ig_deploy_rows_next(&row->revision, rollouts->options.db, row->deployment, err) != IG_OK)
        return err->code;
    row->step++;
    row->step_ms = ig_clock_unix_ms();
    row->reason = IG_STR("");
    if (keep(rollouts, row, err) != IG_OK || apply_step(rollouts, row, err) != IG_OK)
        return err->code;
    if (row->step + 1 < row->plan.steps_count) return IG_OK;
    row->state = IG_STR("done");
    row->reason = IG_STR("the candidate took over");
    return keep(rollouts, row, err);
}

static enum ig_code go_back(struct ig_rollouts *rollouts, struct ig_rollout *row,
                            const struct ig_principal *who, const char *state, struct ig_str why,
                            struct ig_err *err)
{
    const struct ig_deploy_promotion promotion = {
        .name = row->deployment, .arm = IG_STR("stable"), .why = why};
    if (ig_deploy_promote(rollouts->options.deploy, who, &promotion, err) != IG_OK)
        return err->code;
    row->state = ig_str_view(state);
    row->reason = why;
    return keep(rollouts, row, err);
}

/* The deployment is not as this rollout left it. */
static enum ig_code find_end(struct ig_rollouts *rollouts, struct ig_rollout *row,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_deployment_changes changes;
    if (ig_deploy_history(&changes, rollouts->options.deploy, row->deployment, arena, err) != IG_OK)
        return err->code;
    row->state = IG_STR("superseded");
    row->reason = IG_STR("the deployment was changed by hand");
    if (changes.count && ig_str_is(changes.items[0].principal_name, BY_ITSELF.name)) {
        bool back = ig_str_starts(changes.items[0].why, ig_str_view(BACK));
        row->state = back ? IG_STR("rolled_back") : IG_STR("done");
        row->reason = changes.items[0].why;
    }
    return keep(rollouts, row, err);
}

/* The canary that the rollout made, with what is known of both sides. */
struct sides {
    struct ig_learned_arm stable, candidate;
};

static bool read_sides(struct sides *out, struct ig_rollouts *rollouts,
                       const struct ig_routing *routing)
{
    if (routing->spec.nodes[0].kind != IG_ROUTING_CANARY) return false;
    memset(out, 0, sizeof *out);
    ig_learning_arm(&out->stable, rollouts->options.learning, routing, 0, 0);
    ig_learning_arm(&out->candidate, rollouts->options.learning, routing, 0, 1);
    return true;
}

static enum ig_code look(struct ig_rollouts *rollouts, struct ig_rollout *row,
                         const struct ig_routing *routing, struct ig_arena *arena,
                         struct ig_err *err)
{
    char reason[REASON_MAX], why[REASON_MAX + 16];
    struct sides *sides = ig_arena_alloc(arena, sizeof *sides);
    if (!sides) return ig_fail(err, IG_NO_MEMORY, "rollout");
    if (routing->revision < row->revision) return apply_step(rollouts, row, err);
    if (routing->revision > row->revision || !read_sides(sides, rollouts, routing))
        return find_end(rollouts, row, arena, err);
    int64_t seconds = (ig_clock_unix_ms() - row->step_ms) / 1000;
    switch (ig_rollout_judge(reason, &row->plan, &sides->stable, &sides->candidate, seconds)) {
    case IG_ROLLOUT_ADVANCE:
        return ig_str_is(row->state, "running") ? go_on(rollouts, row, err) : IG_OK;
    case IG_ROLLOUT_BACK:
        snprintf(why, sizeof why, "%s%s", BACK, reason);
        ig_log(IG_LOG_WARN, "rollout goes back", IG_LOG_C("deployment", routing->name),
               IG_LOG_C("reason", reason));
        return go_back(rollouts, row, &BY_ITSELF, "rolled_back", ig_str_view(why), err);
    default:
        return IG_OK;
    }
}

/* Whether any is under way. */
static bool look_at_rollouts(struct ig_rollouts *rollouts)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct listing listing;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    if (list(&listing, rollouts, IG_STR(""), &arena, &err) != IG_OK)
        ig_log_err(IG_LOG_WARN, "rollouts", &err);
    bool any = listing.count || err.code != IG_OK;
    for (size_t i = 0; err.code == IG_OK && i < listing.count; i++) {
        struct ig_rollout *row = &listing.items[i];
        const struct ig_routing *routing =
            ig_deploy_get_routing(rollouts->options.deploy, row->deployment);
        if (!routing) continue; /* paused, or failed to load: it waits */
        if (look(rollouts, row, routing, &arena, &err) != IG_OK) {
            ig_log_err(IG_LOG_WARN, "rollout", &err);
            ig_err_clear(&err);
        }
        ig_routing_unref(routing);
    }
    ig_arena_deinit(&arena);
    return any;
}

/* ---- bandits ---- */

static void refresh(struct ig_rollouts *rollouts, const struct ig_routing *routing, uint32_t index)
{
    const struct ig_routing_node *node = &routing->spec.nodes[index];
    struct ig_moments rewards[IG_ROUTING_ARMS_MAX] = {{0}};
    double shares[IG_ROUTING_ARMS_MAX];
    struct ig_learned_arm *arm = ig_zalloc(sizeof *arm);
    if (!arm) return;
    for (uint32_t i = 0; i < node->edges_count; i++) {
        if (!ig_learning_arm(arm, rollouts->options.learning, routing, index, i)) continue;
        const struct ig_learned_metric *metric = ig_learned_metric(arm, node->metric);
        if (metric) rewards[i] = metric->rewards;
    }
    ig_free(arm);
    const struct ig_bandit bandit = {node->edges_count, rewards, node->floor, rollouts->looks};
    if (node->policy == IG_BANDIT_EPSILON_GREEDY)
        ig_bandit_epsilon_greedy(shares, &bandit, node->epsilon);
    else
        ig_bandit_thompson(shares, &bandit, !node->rewards_are_values);
    ig_routing_set_shares(routing, index, shares);
}

/* Whether there is any. */
static bool refresh_bandits(struct ig_rollouts *rollouts)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_routing **routings;
    size_t count = 0;
    bool any = false;
    if (ig_deploy_get_all(&routings, &count, rollouts->options.deploy, &err) != IG_OK) return true;
    for (size_t i = 0; i < count; i++) {
        for (uint32_t n = 0; n < routings[i]->spec.nodes_count; n++) {
            if (routings[i]->spec.nodes[n].kind != IG_ROUTING_BANDIT) continue;
            refresh(rollouts, routings[i], n);
            any = true;
        }
        ig_routing_unref(routings[i]);
    }
    ig_free(routings);
    return any;
}

bool ig_rollouts_tick(struct ig_rollouts *rollouts)
{
    pthread_mutex_lock(&rollouts->lock);
    rollouts->looks++;
    bool rolls = look_at_rollouts(rollouts);
    bool learns = refresh_bandits(rollouts);
    pthread_mutex_unlock(&rollouts->lock);
    return rolls || learns;
}

/* ---- from outside ---- */

static bool is_under_way(const struct listing *listing)
{
    return listing->count && (ig_str_is(listing->items[0].state, "running") ||
                              ig_str_is(listing->items[0].state, "paused"));
}

static enum ig_code start(struct ig_rollouts *rollouts, const struct ig_principal *who,
                          const struct ig_deployment_spec *spec, const struct ig_rollout_plan *plan,
                          struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing;
    struct ig_deployment_spec first = *spec;
    int64_t now = ig_clock_unix_ms();
    struct ig_rollout row = {.deployment = spec->name,
                             .plan = *plan,
                             .state = IG_STR("running"),
                             .reason = IG_STR(""),
                             .step_ms = now,
                             .started_ms = now};
    struct ig_deployment deployment;
    first.canary = true;
    first.canary_basis_points = plan->steps[0];
    if (list(&listing, rollouts, spec->name, arena, err) != IG_OK) return err->code;
    if (is_under_way(&listing))
        return ig_fail(err, IG_CONFLICT, "rollout: one of deployment '%.*s' is under way",
                       IG_STR_ARGS(spec->name));
    if (ig_deploy_set(rollouts->options.deploy, who, &first, err) != IG_OK ||
        ig_deploy_get(&deployment, rollouts->options.deploy, spec->name, arena, err) != IG_OK)
        return err->code;
    row.revision = deployment.revision;
    if (plan->steps_count == 1) {
        row.state = IG_STR("done");
        row.reason = IG_STR("the candidate took over");
    }
    return keep(rollouts, &row, err);
}

enum ig_code ig_rollouts_start(struct ig_rollouts *rollouts, const struct ig_principal *who,
                               const struct ig_deployment_spec *spec,
                               const struct ig_rollout_plan *plan, struct ig_err *err)
{
    struct ig_arena arena;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    pthread_mutex_lock(&rollouts->lock);
    start(rollouts, who, spec, plan, &arena, err);
    pthread_mutex_unlock(&rollouts->lock);
    ig_arena_deinit(&arena);
    return err->code;
}

static enum ig_code find(struct ig_rollout *out, struct ig_rollouts *rollouts,
                         struct ig_str deployment, struct ig_arena *arena, struct ig_err *err)
{
    struct listing listing;
    if (ig_name_check(deployment, "deployment", err) != IG_OK ||
        list(&listing, rollouts, deployment, arena, err) != IG_OK)
        return err->code;
    if (!listing.count)
        return ig_fail(err, IG_NOT_FOUND, "deployment '%.*s' has no rollout",
                       IG_STR_ARGS(deployment));
    *out = listing.items[0];
    return IG_OK;
}

enum ig_code ig_rollouts_get(struct ig_rollout *out, struct ig_rollouts *rollouts,
                             struct ig_str deployment, struct ig_arena *arena, struct ig_err *err)
{
    char reason[REASON_MAX];
    if (find(out, rollouts, deployment, arena, err) != IG_OK) return err->code;
    if (!ig_str_is(out->state, "running") && !ig_str_is(out->state, "paused")) return IG_OK;
    const struct ig_routing *routing = ig_deploy_get_routing(rollouts->options.deploy, deployment);
    struct sides *sides = ig_arena_alloc(arena, sizeof *sides);
    if (routing && sides && read_sides(sides, rollouts, routing)) {
        int64_t seconds = (ig_clock_unix_ms() - out->step_ms) / 1000;
        ig_rollout_judge(reason, &out->plan, &sides->stable, &sides->candidate, seconds);
        out->reason = ig_arena_dup(arena, ig_str_view(reason));
    }
    ig_routing_unref(routing);
    return IG_OK;
}

static enum ig_code act(struct ig_rollouts *rollouts, const struct ig_principal *who,
                        struct ig_rollout *row, enum ig_rollout_action action, struct ig_str why,
                        struct ig_err *err)
{
    bool running = ig_str_is(row->state, "running"), paused = ig_str_is(row->state, "paused");
    bool fits = action == IG_ROLLOUT_PAUSE    ? running
                : action == IG_ROLLOUT_RESUME ? paused
                                              : running || paused;
    if (!fits)
        return ig_fail(err, IG_CONFLICT, "the rollout of deployment '%.*s' is %.*s",
                       IG_STR_ARGS(row->deployment), IG_STR_ARGS(row->state));
    if (action == IG_ROLLOUT_ABORT)
        return go_back(rollouts, row, who, "aborted", why.len ? why : IG_STR("aborted"), err);
    row->state = action == IG_ROLLOUT_PAUSE ? IG_STR("paused") : IG_STR("running");
    row->reason = why;
    return keep(rollouts, row, err);
}

enum ig_code ig_rollouts_act(struct ig_rollouts *rollouts, const struct ig_principal *who,
                             struct ig_str deployment, enum ig_rollout_action action,
                             struct ig_str why, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_rollout row = {0};
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    pthread_mutex_lock(&rollouts->lock);
    if (find(&row, rollouts, deployment, &arena, err) == IG_OK)
        act(rollouts, who, &row, action, why, err);
    pthread_mutex_unlock(&rollouts->lock);
    ig_arena_deinit(&arena);
    return err->code;
}

/* ---- life ---- */

static void on_change(void *context)
{
    struct ig_rollouts *rollouts = context;
    pthread_mutex_lock(&rollouts->wake_lock);
    rollouts->changed = true;
    pthread_cond_signal(&rollouts->wake);
    pthread_mutex_unlock(&rollouts->wake_lock);
}

/* Until the next look is due: while nothing changes by itself, only after somebody changed what
 * serves. False: it is to end. */
static bool wait_for_look(struct ig_rollouts *rollouts, bool watching)
{
    struct timespec at;
    int code = 0;
    pthread_mutex_lock(&rollouts->wake_lock);
    while (!watching && !rollouts->changed && !rollouts->stopping)
        pthread_cond_wait(&rollouts->wake, &rollouts->wake_lock);
    clock_gettime(CLOCK_MONOTONIC, &at);
    uint64_t ns = (uint64_t)at.tv_nsec + (uint64_t)rollouts->options.tick_ms * 1000000;
    at.tv_sec += (time_t)(ns / 1000000000);
    at.tv_nsec = (long)(ns % 1000000000);
    while (!rollouts->stopping && code == 0)
        code = pthread_cond_clockwait(&rollouts->wake, &rollouts->wake_lock, CLOCK_MONOTONIC, &at);
    rollouts->changed = false;
    bool stopping = rollouts->stopping;
    pthread_mutex_unlock(&rollouts->wake_lock);
    return !stopping;
}

static void *run(void *context)
{
    struct ig_rollouts *rollouts = context;
    bool watching = true;
    while (wait_for_look(rollouts, watching)) watching = ig_rollouts_tick(rollouts);
    return NULL;
}

enum ig_code ig_rollouts_open(struct ig_rollouts **out, const struct ig_rollouts_options *options,
                              struct ig_err *err)
{
    struct ig_rollouts *rollouts = ig_zalloc(sizeof *rollouts);
    if (!rollouts) return ig_fail(err, IG_NO_MEMORY, "rollouts");
    rollouts->options = *options;
    if (!rollouts->options.tick_ms) rollouts->options.tick_ms = 1000;
    pthread_mutex_init(&rollouts->lock, NULL);
    pthread_mutex_init(&rollouts->wake_lock, NULL);
    pthread_cond_init(&rollouts->wake, NULL);
    ig_deploy_watch(options->deploy, on_change, rollouts);
    ig_rollouts_tick(rollouts); /* bandits know what they learned before they answer */
    if (ig_thread_start(&rollouts->thread, "rollout", run, rollouts, err) != IG_OK) {
        ig_rollouts_close(rollouts);
        return err->code;
    }
    rollouts->runs = true;
    *out = rollouts;
    return IG_OK;
}

void ig_rollouts_close(struct ig_rollouts *rollouts)
{
    if (!rollouts) return;
    ig_deploy_watch(rollouts->options.deploy, NULL, NULL);
    pthread_mutex_lock(&rollouts->wake_lock);
    rollouts->stopping = true;
    pthread_cond_signal(&rollouts->wake);
    pthread_mutex_unlock(&rollouts->wake_lock);
    if (rollouts->runs) ig_thread_join(rollouts->thread);
    pthread_cond_destroy(&rollouts->wake);
    pthread_mutex_destroy(&rollouts->wake_lock);
    pthread_mutex_destroy(&rollouts->lock);
    ig_free(rollouts);
}
