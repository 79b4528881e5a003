/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/inference.h"
#include "services/deploy/learning.h"
#include "services/deploy/mirror.h"
#include "services/registry/world_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

struct fixture {
    struct ig_world world;
    const struct ig_routing *routing; /* m/1 answers, m/2 and m/3 at 30 % are its mirrors */
    struct ig_learning *learning;
    struct ig_decision_log *log;
};

static const char GRAPH[] =
    "{\"root\":{\"shadow\":{\"primary\":{\"model\":\"m\",\"version\":1},\"mirrors\":[{\"name\":"
    "\"all\",\"node\":{\"model\":\"m\",\"version\":2}},{\"name\":\"some\",\"node\":{\"model\":"
    "\"m\",\"version\":3},\"percent\":30}]}}}";

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec spec;
    ig_world_open(&fixture.world);
    ig_world_register(&fixture.world, "m", 1);
    ig_world_register(&fixture.world, "m", 2);
    ig_world_register(&fixture.world, "m", -1); /* decides the other way */
    const struct ig_servable_source servables = {.blobs = fixture.world.blobs};
    const struct ig_routing_source source = {.servables = &servables,
                                             .registry = fixture.world.registry};
    ASSERT_OK(ig_routing_spec_read(&spec, ig_str_view(GRAPH), &fixture.world.arena, &err));
    ASSERT_OK(ig_routing_new(&fixture.routing, &source, IG_STR("d"), 1, &spec, &err));
    ASSERT_OK(ig_learning_open(&fixture.learning, fixture.world.temp.fd, &err));
    const struct ig_decision_log_options options = {.dirfd = fixture.world.temp.fd,
                                                    .rings = 1,
                                                    .flush_ms = 1,
                                                    .observe = ig_learning_observe,
                                                    .context = fixture.learning};
    ASSERT_OK(ig_decision_log_open(&fixture.log, &options, &err));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ig_decision_log_close(fixture->log);
    ig_learning_close(fixture->learning);
    ig_routing_unref(fixture->routing);
    ig_world_close(&fixture->world);
    return 0;
}

static double sigmoid(double margin)
{
    return 1 / (1 + exp(-margin));
}

static void call(struct fixture *fixture, struct ig_mirror *mirror, int number)
{
    const double rows[2] = {1, 2}, scores[2] = {sigmoid(1), sigmoid(-1)};
    const int32_t labels[2] = {1, 0};
    char id[16];
    snprintf(id, sizeof id, "r%d", number);
    const struct ig_mirror_call one = {fixture->routing, 0, rows, scores,
                                       labels,           2, 1000, ig_str_view(id)};
    ig_mirror_call(mirror, &one);
}

static void test_compares(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_mirror *mirror = NULL;
    struct ig_mirror_stats stats;
    static struct ig_learned_mirror all, some;
    const struct ig_mirror_options options = {.log = fixture->log, .queue_max = 4096};
    ASSERT_OK(ig_mirror_open(&mirror, &options, &err));
    for (int i = 0; i < 1000; i++) call(fixture, mirror, i);
    ig_mirror_stats(mirror, &stats);
    ig_mirror_close(mirror);
    ig_decision_log_flush(fixture->log);
    assert_true(ig_learning_mirror(&all, fixture->learning, fixture->routing, 0, 1));
    assert_true(ig_learning_mirror(&some, fixture->learning, fixture->routing, 0, 2));
    assert_int_equal(stats.dropped, 0);
    assert_int_equal(stats.taken, all.answers + some.answers);
    assert_int_equal(all.answers, 1000);
    assert_true(some.answers > 240 && some.answers < 360);
    assert_int_equal(all.flips, 0); /* surer, and of the same mind */
    assert_int_equal(all.failures, 0);
    assert_int_equal(some.flips, some.rows);                             /* the other way */
    assert_true(fabs(ig_sketch_quantile(&all.differences, 0.5)) < 1e-6); /* up and down alike */
    assert_true(ig_sketch_quantile(&all.latencies, 0.5) > 0);
}

/* A queue of nothing but a blocked worker: the caller goes on, and every drop is counted. */
static void test_drops_are_counted(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_mirror *mirror = NULL;
    struct ig_mirror_stats stats;
    const struct ig_mirror_options options = {.log = fixture->log, .bytes_max = 1};
    ASSERT_OK(ig_mirror_open(&mirror, &options, &err));
    for (int i = 0; i < 100; i++) call(fixture, mirror, i);
    ig_mirror_stats(mirror, &stats);
    assert_int_equal(stats.taken, 0);
    assert_true(stats.dropped >= 100);
    ig_mirror_close(mirror);
    ig_mirror_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_compares, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drops_are_counted, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
