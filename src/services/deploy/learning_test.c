/* SPDX-License-Identifier: Apache-2.0 */
/* What is learned from decisions, and that the log alone teaches the same again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "services/deploy/learning.h"
#include "services/registry/world_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct fixture {
    struct ig_world world;
    const struct ig_routing *routing; /* canary of m/1 and m/2 at 25 %, m/3 as a mirror of stable */
    struct ig_learning *learning;
    struct ig_decision_log *log;
};

static const char GRAPH[] =
    "{\"root\":{\"canary\":{\"stable\":{\"shadow\":{\"primary\":{\"model\":\"m\",\"version\":1},"
    "\"mirrors\":[{\"name\":\"next\",\"node\":{\"model\":\"m\",\"version\":3}}]}},\"candidate\":{"
    "\"model\":\"m\",\"version\":2},\"canary_percent\":25}}}";

static void open_both(struct fixture *fixture)
{
    struct ig_err err = IG_ERR_INIT;
    ASSERT_OK(ig_learning_open(&fixture->learning, fixture->world.temp.fd, &err));
    const struct ig_decision_log_options options = {.dirfd = fixture->world.temp.fd,
                                                    .rings = 1,
                                                    .ring_records = 1 << 14,
                                                    .flush_ms = 1,
                                                    .observe = ig_learning_observe,
                                                    .context = fixture->learning};
    ASSERT_OK(ig_decision_log_open(&fixture->log, &options, &err));
}

static void close_both(struct fixture *fixture)
{
    ig_decision_log_close(fixture->log);
    ig_learning_close(fixture->learning);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec spec;
    ig_world_open(&fixture.world);
    for (int i = 1; i <= 3; i++) ig_world_register(&fixture.world, "m", i);
    const struct ig_servable_source servables = {.blobs = fixture.world.blobs};
    const struct ig_routing_source source = {.servables = &servables,
                                             .registry = fixture.world.registry};
    ASSERT_OK(ig_routing_spec_read(&spec, ig_str_view(GRAPH), &fixture.world.arena, &err));
    ASSERT_OK(ig_routing_new(&fixture.routing, &source, IG_STR("d"), 1, &spec, &err));
    open_both(&fixture);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    close_both(fixture);
    ig_routing_unref(fixture->routing);
    ig_world_close(&fixture->world);
    return 0;
}

/* One answer for a unit; returns the arm. */
static uint32_t answer(struct fixture *fixture, int unit, int status, uint64_t latency_ns)
{
    static const unsigned char KEY[16];
    const double row = 1;
    struct ig_routing_path path;
    char text[24], arms[IG_DECISION_ARMS_SIZE], id[24];
    snprintf(text, sizeof text, "unit-%d", unit);
    snprintf(id, sizeof id, "r%d", unit);
    const struct ig_routing_input input = {.row = &row, .unit = ig_str_view(text)};
    ig_routing_route(&path, fixture->routing, &input);
    size_t length = ig_routing_path_arms(arms, sizeof arms, fixture->routing, &path);
    const struct ig_decision decision = {.at_ms = unit + 1,
                                         .latency_ns = latency_ns,
                                         .rows = 1,
                                         .status = (uint16_t)status,
                                         .value = 0.25,
                                         .unit = ig_siphash(KEY, text, strlen(text)),
                                         .request_id = ig_str_view(id),
                                         .deployment = IG_STR("d"),
                                         .arms = {arms, length}};
    while (!ig_decision_log_put(fixture->log, 0, &decision)) ig_decision_log_flush(fixture->log);
    return path.steps[0].edge;
}

static void reward(struct fixture *fixture, int unit, const char *metric, double value)
{
    char id[24];
    snprintf(id, sizeof id, "r%d", unit);
    const struct ig_decision decision = {.kind = IG_DECISION_REWARD,
                                         .value = value,
                                         .request_id = ig_str_view(id),
                                         .deployment = IG_STR("d"),
                                         .metric = ig_str_view(metric)};
    while (!ig_decision_log_put_shared(fixture->log, &decision))
        ig_decision_log_flush(fixture->log);
}

static struct ig_learned_arm *read_arm(struct fixture *fixture, uint32_t edge)
{
    static struct ig_learned_arm arms[2];
    memset(&arms[edge], 0, sizeof arms[edge]);
    ig_learning_arm(&arms[edge], fixture->learning, fixture->routing, 0, edge);
    return &arms[edge];
}

static void check_arms(struct fixture *fixture, const uint64_t answers[2], const uint64_t sales[2])
{
    for (uint32_t edge = 0; edge < 2; edge++) {
        const struct ig_learned_arm *arm = read_arm(fixture, edge);
        assert_int_equal(arm->answers, answers[edge]);
        assert_int_equal(arm->scores.count + arm->errors, answers[edge]);
        const struct ig_learned_metric *metric = ig_learned_metric(arm, IG_STR("sale"));
        assert_non_null(metric);
        assert_true(metric->conversions);
        assert_int_equal(metric->rewards.count, answers[edge]);
        assert_true(fabs(metric->rewards.mean * (double)answers[edge] - (double)sales[edge]) <
                    1e-6);
        assert_null(ig_learned_metric(arm, IG_STR("other")));
        double p99 = ig_sketch_quantile(&arm->latencies, 0.5);
        assert_true(fabs(p99 / (edge ? 0.003 : 0.002) - 1) < 0.03);
    }
}

static void test_arms_and_rewards_and_again_from_the_log(void **state)
{
    struct fixture *fixture = *state;
    uint64_t answers[2] = {0}, sales[2] = {0}, units;
    enum { N = 4000 };
    for (int i = 0; i < N; i++) {
        char text[24];
        snprintf(text, sizeof text, "unit-%d", i);
        uint32_t arm = ig_routing_bucket(fixture->routing, 0, ig_str_view(text)) >= 7500;
        assert_int_equal(answer(fixture, i, i % 500 ? 200 : 503, arm ? 3000000 : 2000000), arm);
        answers[arm]++;
        sales[arm] += i % 7 == 0;
    }
    ig_decision_log_flush(fixture->log); /* rewards come after their answers */
    for (int i = 0; i < N; i++) reward(fixture, i, "sale", i % 7 == 0);
    ig_decision_log_flush(fixture->log);
    check_arms(fixture, answers, sales);
    assert_true(ig_learning_shares_p(fixture->learning, fixture->routing, 0, &units) > 0.05);
    assert_int_equal(units, N);
    close_both(fixture);
    open_both(fixture);
    check_arms(fixture, answers, sales);
    ig_learning_shares_p(fixture->learning, fixture->routing, 0, &units);
    assert_int_equal(units, N);
    struct ig_learned_totals totals;
    ig_learning_totals(&totals, fixture->learning, IG_STR("d"));
    assert_int_equal(totals.answers + totals.errors, N);
    assert_int_equal(totals.rows, totals.answers);
    assert_int_equal(totals.errors, N / 500);
    ig_learning_totals(&totals, fixture->learning, IG_STR("other"));
    assert_int_equal(totals.answers, 0);
}

/* Answers are counted by their size, of the first sizes that came, told in order. */
static void test_batches(void **state)
{
    struct fixture *fixture = *state;
    struct ig_learned_totals totals;
    struct ig_decision decision = {.deployment = IG_STR("b"),
                                   .request_id = IG_STR("r"),
                                   .status = 200,
                                   .latency_ns = 100,
                                   .before_ns = 20,
                                   .compute_ns = 50};
    for (uint32_t i = 0; i < 2 * IG_LEARNING_BATCHES_MAX; i++) {
        decision.rows = 2 * IG_LEARNING_BATCHES_MAX - i;
        ig_learning_observe(fixture->learning, &decision);
    }
    decision.rows = 100;
    decision.compute_ns = 90; /* more than is left: nothing came behind it */
    ig_learning_observe(fixture->learning, &decision);
    decision.status = 503;
    ig_learning_observe(fixture->learning, &decision);
    ig_learning_totals(&totals, fixture->learning, IG_STR("b"));
    assert_int_equal(totals.answers, 2 * IG_LEARNING_BATCHES_MAX + 1);
    assert_int_equal(totals.batches_count, IG_LEARNING_BATCHES_MAX);
    for (uint32_t i = 0; i < IG_LEARNING_BATCHES_MAX; i++) {
        const struct ig_learned_batch *batch = &totals.batches[i];
        uint64_t times = batch->rows == 100 ? 2 : 1;
        assert_int_equal(batch->rows, IG_LEARNING_BATCHES_MAX + 1 + i);
        assert_int_equal(batch->answers, times);
        assert_int_equal(batch->before_ns, 20 * times);
        assert_int_equal(batch->compute_ns, times == 2 ? 140 : 50);
        assert_int_equal(batch->after_ns, 30);
    }
}

static void test_matching(void **state)
{
    struct fixture *fixture = *state;
    char deployment[IG_NAME_SIZE], metric[8];
    struct ig_str id = IG_STR("r1");
    answer(fixture, 1, 200, 1000);
    ig_decision_log_flush(fixture->log);
    assert_int_equal(ig_learning_match(fixture->learning, IG_STR("r2"), IG_STR("sale"), deployment),
                     IG_REWARD_UNKNOWN);
    assert_int_equal(ig_learning_match(fixture->learning, id, IG_STR("sale"), deployment),
                     IG_REWARD_TAKEN);
    assert_string_equal(deployment, "d");
    reward(fixture, 1, "sale", 12.5);
    reward(fixture, 1, "sale", 99); /* not counted again */
    ig_decision_log_flush(fixture->log);
    assert_int_equal(ig_learning_match(fixture->learning, id, IG_STR("sale"), deployment),
                     IG_REWARD_AGAIN);
    for (uint32_t edge = 0; edge < 2; edge++) {
        const struct ig_learned_arm *arm = read_arm(fixture, edge);
        const struct ig_learned_metric *own = ig_learned_metric(arm, IG_STR("sale"));
        if (own) assert_true(own->rewards.count == 1 && own->rewards.mean == 12.5);
        if (own) assert_false(own->conversions);
    }
    for (int i = 1; i < IG_LEARNING_METRICS_MAX; i++) {
        snprintf(metric, sizeof metric, "m%d", i);
        reward(fixture, 1, metric, 1);
    }
    ig_decision_log_flush(fixture->log);
    assert_int_equal(ig_learning_match(fixture->learning, id, IG_STR("more"), deployment),
                     IG_REWARD_TOO_MANY_METRICS);
}

/* The same unit again and again is one unit; a share that does not come is noticed. */
static void test_shares(void **state)
{
    struct fixture *fixture = *state;
    uint64_t units;
    for (int i = 0; i < 1000; i++) answer(fixture, 7, 200, 1000);
    ig_decision_log_flush(fixture->log);
    assert_true(ig_learning_shares_p(fixture->learning, fixture->routing, 0, &units) > 0.05);
    assert_int_equal(units, 1);
    for (int i = 0; i < 4000; i++) { /* those of the candidate get lost every second time */
        char text[24];
        snprintf(text, sizeof text, "unit-%d", i);
        bool candidate = ig_routing_bucket(fixture->routing, 0, ig_str_view(text)) >= 7500;
        if (!candidate || i % 2) answer(fixture, i, 200, 1000);
    }
    ig_decision_log_flush(fixture->log);
    assert_true(ig_learning_shares_p(fixture->learning, fixture->routing, 0, &units) < 1e-3);
}

static void test_mirrors(void **state)
{
    struct fixture *fixture = *state;
    static struct ig_learned_mirror mirror;
    int32_t shadow = ig_routing_spec_find(&fixture->routing->spec, IG_STR("root.stable"));
    char arms[IG_DECISION_ARMS_SIZE];
    assert_false(
        ig_learning_mirror(&mirror, fixture->learning, fixture->routing, (uint32_t)shadow, 1));
    size_t length = ig_routing_arm_text(arms, sizeof arms, fixture->routing, (uint32_t)shadow, 1);
    for (int i = 0; i < 100; i++) {
        const struct ig_decision decision = {.kind = IG_DECISION_MIRROR,
                                             .rows = 2,
                                             .flips = i % 10 == 0,
                                             .status = i == 50 ? 500 : 200,
                                             .latency_ns = 2000,
                                             .compute_ns = 1000,
                                             .value = 0.125,
                                             .deployment = IG_STR("d"),
                                             .arms = {arms, length}};
        assert_true(ig_decision_log_put_shared(fixture->log, &decision));
    }
    ig_decision_log_flush(fixture->log);
    assert_true(
        ig_learning_mirror(&mirror, fixture->learning, fixture->routing, (uint32_t)shadow, 1));
    assert_int_equal(mirror.answers, 100);
    assert_int_equal(mirror.rows, 200);
    assert_int_equal(mirror.failures, 1);
    assert_int_equal(mirror.flips, 9);
    assert_true(fabs(ig_sketch_quantile(&mirror.differences, 0.5) / 0.125 - 1) < 0.03);
    assert_true(fabs(ig_sketch_quantile(&mirror.latencies, 0.5) / 2e-6 - 1) < 0.03);
}

/* Far more answers than are kept: the oldest give way, the latest are found. */
static void test_answers_give_way(void **state)
{
    struct fixture *fixture = *state;
    char deployment[IG_NAME_SIZE], id[24];
    int found = 0, count = IG_LEARNING_ANSWERS + 20000;
    for (int i = 0; i < count; i++) answer(fixture, i, 200, 1000);
    ig_decision_log_flush(fixture->log);
    ig_decision_log_flush(fixture->log);
    for (int i = count - 1000; i < count; i++) {
        snprintf(id, sizeof id, "r%d", i);
        found += ig_learning_match(fixture->learning, ig_str_view(id), IG_STR("sale"),
                                   deployment) == IG_REWARD_TAKEN;
    }
    assert_int_equal(found, 1000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_arms_and_rewards_and_again_from_the_log),
        TEST(test_batches),
        TEST(test_matching),
        TEST(test_shares),
        TEST(test_mirrors),
        TEST(test_answers_give_way),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
