/* SPDX-License-Identifier: Apache-2.0 */
/* Rollouts that advance, go back, are paused, aborted, superseded and cut by a crash; bandits that
 * learn. Time is a tick, evidence comes through the decision log. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "base/thread_testing.h"
#include "services/deploy/rollout.h"
#include "services/registry/world_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;
static const struct ig_str D = {"d", 1};

struct fixture {
    struct ig_world world;
    struct ig_learning *learning;
    struct ig_decision_log *log;
    struct ig_deploy *deploy;
    struct ig_rollouts *rollouts;
    int requests;
};

static void open_all(struct fixture *fixture)
{
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_learning_open(&fixture->learning, fixture->world.temp.fd, &err));
    const struct ig_decision_log_options log = {.dirfd = fixture->world.temp.fd,
                                                .rings = 1,
                                                .flush_ms = 1,
                                                .observe = ig_learning_observe,
                                                .context = fixture->learning};
    ASSERT_OK(ig_decision_log_open(&fixture->log, &log, &err));
    const struct ig_deploy_options deploy = {.db = fixture->world.db,
                                             .blobs = fixture->world.blobs,
                                             .registry = fixture->world.registry};
    ASSERT_OK(ig_deploy_open(&fixture->deploy, &deploy, &err));
    const struct ig_rollouts_options rollouts = {.db = fixture->world.db,
                                                 .deploy = fixture->deploy,
                                                 .learning = fixture->learning,
                                                 .tick_ms = 3600 * 1000};
    ASSERT_OK(ig_rollouts_open(&fixture->rollouts, &rollouts, &err));
}

static void close_all(struct fixture *fixture)
{
    ig_rollouts_close(fixture->rollouts);
    ig_deploy_close(fixture->deploy);
    ig_decision_log_close(fixture->log);
    ig_learning_close(fixture->learning);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    memset(&fixture, 0, sizeof fixture);
    ig_world_open(&fixture.world);
    for (int i = 1; i <= 3; i++) ig_world_register(&fixture.world, "m", i);
    open_all(&fixture);
    const struct ig_deployment_spec spec = {.name = D, .model = IG_STR("m"), .ref = IG_STR("1")};
    ASSERT_OK(ig_deploy_set(fixture.deploy, who, &spec, &err));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close_all(fixture);
    ig_world_close(&fixture->world);
    return 0;
}

/* Answers to new units; those of the arm with index 1 and above fail at the given rate, and each
 * arm is rewarded at its own. */
static void serve(struct fixture *fixture, int count, double failing, const double *rewarding)
{
    const struct ig_routing *routing = ig_deploy_get_routing(fixture->deploy, D);
    struct ig_rng rng;
    ig_rng_seed(&rng, (uint64_t)fixture->requests + 1);
    for (int i = 0; i < count; i++) {
        const double row = 1;
        struct ig_routing_path path;
        char id[24], arms[IG_DECISION_ARMS_SIZE];
        snprintf(id, sizeof id, "r%d", fixture->requests++);
        const struct ig_routing_input input = {.row = &row, .unit = ig_str_view(id)};
        ig_routing_route(&path, routing, &input);
        size_t length = ig_routing_path_arms(arms, sizeof arms, routing, &path);
        uint32_t arm = path.steps_count ? path.steps[0].edge : 0;
        bool fails = arm && ig_rng_unit(&rng) < failing;
        const struct ig_decision answer = {.rows = 1,
                                           .status = fails ? 503 : 200,
                                           .latency_ns = 1000000,
                                           .unit = (uint64_t)fixture->requests,
                                           .request_id = ig_str_view(id),
                                           .deployment = D,
                                           .arms = {arms, length}};
        while (!ig_decision_log_put(fixture->log, 0, &answer)) ig_decision_log_flush(fixture->log);
        if (!rewarding) continue;
        ig_decision_log_flush(fixture->log);
        const struct ig_decision reward = {.kind = IG_DECISION_REWARD,
                                           .value = ig_rng_unit(&rng) < rewarding[arm],
                                           .request_id = ig_str_view(id),
                                           .deployment = D,
                                           .metric = IG_STR("reward")};
        assert_true(ig_decision_log_put_shared(fixture->log, &reward));
    }
    ig_decision_log_flush(fixture->log);
    ig_routing_unref(routing);
}

static void start(struct fixture *fixture, int64_t step_seconds)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_rollout_plan plan = {.steps = {1000, 5000, IG_ROUTING_WHOLE},
                                         .steps_count = 3,
                                         .step_seconds = step_seconds,
                                         .min_answers = 100,
                                         .alpha = 0.05,
                                         .guards_errors = true,
                                         .errors_max_increase = 0.01};
    const struct ig_deployment_spec spec = {
        .name = D, .model = IG_STR("m"), .ref = IG_STR("2"), .why = IG_STR("new")};
    ASSERT_OK(ig_rollouts_start(fixture->rollouts, who, &spec, &plan, &err));
}

static void expect(struct fixture *fixture, const char *state, uint32_t percent, int64_t version)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_rollout rollout;
    ASSERT_OK(ig_rollouts_get(&rollout, fixture->rollouts, D, &fixture->world.arena, &err));
    if (!ig_str_is(rollout.state, state))
        fail_msg("%.*s (%.*s), wanted %s", IG_STR_ARGS(rollout.state), IG_STR_ARGS(rollout.reason),
                 state);
    const struct ig_routing *routing = ig_deploy_acquire(fixture->deploy, D);
    if (version) {
        assert_non_null(routing->single);
        assert_int_equal(routing->single->version, version);
    } else {
        assert_int_equal(routing->spec.edges[routing->spec.nodes[0].first_edge + 1].basis_points,
                         percent * 100);
    }
}

static void test_advances_to_the_whole(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    start(fixture, 0);
    expect(fixture, "running", 10, 0);
    const struct ig_deployment_spec again = {.name = D, .model = IG_STR("m"), .ref = IG_STR("3")};
    const struct ig_rollout_plan plan = {.steps = {IG_ROUTING_WHOLE}, .steps_count = 1};
    ASSERT_FAILS(ig_rollouts_start(fixture->rollouts, who, &again, &plan, &err), IG_CONFLICT,
                 "is under way");
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "running", 10, 0); /* nobody has answered yet */
    serve(fixture, 2000, 0, NULL);
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "running", 50, 0);
    close_all(fixture);
    open_all(fixture); /* looks once: the evidence is still there */
    expect(fixture, "done", 0, 2);
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "done", 0, 2);
}

static void test_waits_for_its_time(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 1000);
    serve(fixture, 2000, 0, NULL);
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "running", 10, 0);
}

static void test_goes_back_on_a_guardrail(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_rollout rollout;
    struct ig_deployment_changes changes;
    start(fixture, 1000);
    serve(fixture, 4000, 0.5, NULL);
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "rolled_back", 0, 1);
    ASSERT_OK(ig_rollouts_get(&rollout, fixture->rollouts, D, &fixture->world.arena, &err));
    assert_non_null(strstr(rollout.reason.ptr, "guardrail: errors: the candidate fails more by"));
    ASSERT_OK(ig_deploy_history(&changes, fixture->deploy, D, &fixture->world.arena, &err));
    assert_true(ig_str_is(changes.items[0].principal_name, "rollout"));
    assert_true(ig_str_eq(changes.items[0].why, rollout.reason));
}

static void test_paused_aborted_superseded(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str none = IG_STR("");
    ASSERT_FAILS(ig_rollouts_act(fixture->rollouts, who, D, IG_ROLLOUT_PAUSE, none, &err),
                 IG_NOT_FOUND, "no rollout");
    start(fixture, 0);
    serve(fixture, 2000, 0, NULL);
    ASSERT_OK(ig_rollouts_act(fixture->rollouts, who, D, IG_ROLLOUT_PAUSE, none, &err));
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "paused", 10, 0);
    ASSERT_OK(ig_rollouts_act(fixture->rollouts, who, D, IG_ROLLOUT_RESUME, none, &err));
    ASSERT_FAILS(ig_rollouts_act(fixture->rollouts, who, D, IG_ROLLOUT_RESUME, none, &err),
                 IG_CONFLICT, "is running");
    ASSERT_OK(ig_rollouts_act(fixture->rollouts, who, D, IG_ROLLOUT_ABORT, IG_STR("no"), &err));
    expect(fixture, "aborted", 0, 1);
    ASSERT_FAILS(ig_rollouts_act(fixture->rollouts, who, D, IG_ROLLOUT_ABORT, none, &err),
                 IG_CONFLICT, "is aborted");
    start(fixture, 0);
    const struct ig_deployment_spec other = {.name = D, .model = IG_STR("m"), .ref = IG_STR("3")};
    ASSERT_OK(ig_deploy_set(fixture->deploy, who, &other, &err));
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "superseded", 0, 3);
}

/* The row said the next step, and then came the end. */
static void test_crash_between_row_and_change(void **state)
{
    struct fixture *fixture = *state;
    start(fixture, 0);
    serve(fixture, 2000, 0, NULL);
    for (uint64_t calls = 1; calls < 60; calls++) { /* every place where the store may fail */
        ig_db_fail_after(calls);
        ig_rollouts_tick(fixture->rollouts);
        bool failed = ig_db_failed();
        ig_db_fail_after(0);
        if (!failed) break;
        close_all(fixture);
        open_all(fixture);
    }
    ig_rollouts_tick(fixture->rollouts);
    ig_rollouts_tick(fixture->rollouts);
    expect(fixture, "done", 0, 2);
}

static void test_bandit_learns(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec graph;
    static const double REWARDING[] = {0.1, 0.5, 0.1};
    double shares[3];
    ASSERT_OK(ig_routing_spec_read(
        &graph,
        IG_STR("{\"root\":{\"bandit\":{\"floor\":0.05,\"arms\":[{\"name\":\"a\",\"node\":{"
               "\"model\":\"m\",\"version\":1}},{\"name\":\"b\",\"node\":{\"model\":\"m\","
               "\"version\":2}},{\"name\":\"c\",\"node\":{\"model\":\"m\",\"version\":3}}]}}}"),
        &fixture->world.arena, &err));
    const struct ig_deployment_spec spec = {.name = D, .graph = &graph};
    ASSERT_OK(ig_deploy_set(fixture->deploy, who, &spec, &err));
    for (int round = 0; round < 5; round++) {
        serve(fixture, 100, 0, REWARDING);
        ig_rollouts_tick(fixture->rollouts);
    }
    ig_routing_get_shares(ig_deploy_acquire(fixture->deploy, D), 0, shares);
    assert_true(shares[1] > 0.8);
    assert_true(shares[0] >= 0.05 - 1e-9 && shares[2] >= 0.05 - 1e-9);
    close_all(fixture);
    open_all(fixture); /* it knows again what it had learned */
    ig_routing_get_shares(ig_deploy_acquire(fixture->deploy, D), 0, shares);
    assert_true(shares[1] > 0.8);
}

/* Of a thread that looks every few milliseconds. */
static bool looks_on(void)
{
    usleep(30 * 1000);
    long before = ig_thread_sleeps("rollout");
    usleep(60 * 1000);
    assert_true(before > 0);
    return ig_thread_sleeps("rollout") > before + 2;
}

/* Nobody looks while nothing changes by itself; a change of what serves is a reason to. */
static void test_sleeps_without_reason(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec graph;
    const struct ig_rollouts_options options = {.db = fixture->world.db,
                                                .deploy = fixture->deploy,
                                                .learning = fixture->learning,
                                                .tick_ms = 5};
    ig_rollouts_close(fixture->rollouts);
    ASSERT_OK(ig_rollouts_open(&fixture->rollouts, &options, &err));
    assert_false(looks_on());
    ASSERT_OK(ig_routing_spec_read(
        &graph,
        IG_STR("{\"root\":{\"bandit\":{\"floor\":0.05,\"arms\":[{\"name\":\"a\",\"node\":{"
               "\"model\":\"m\",\"version\":1}},{\"name\":\"b\",\"node\":{\"model\":\"m\","
               "\"version\":2}}]}}}"),
        &fixture->world.arena, &err));
    const struct ig_deployment_spec bandit = {.name = D, .graph = &graph};
    ASSERT_OK(ig_deploy_set(fixture->deploy, who, &bandit, &err));
    assert_true(looks_on());
    const struct ig_deployment_spec plain = {.name = D, .model = IG_STR("m")};
    ASSERT_OK(ig_deploy_set(fixture->deploy, who, &plain, &err));
    assert_false(looks_on());
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_advances_to_the_whole),        TEST(test_waits_for_its_time),
        TEST(test_goes_back_on_a_guardrail),     TEST(test_paused_aborted_superseded),
        TEST(test_crash_between_row_and_change), TEST(test_bandit_learns),
        TEST(test_sleeps_without_reason),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
