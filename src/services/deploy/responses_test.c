/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/responses.h"
#include "services/registry/world_testing.h"

#include <math.h>
#include <stdio.h>
#include <unistd.h>

struct fixture {
    struct ig_world world;
    const struct ig_routing *routing;
};

static void build(struct fixture *fixture, const char *cache)
{
    struct ig_world *world = &fixture->world;
    const struct ig_servable_source servables = {.blobs = world->blobs};
    const struct ig_routing_source source = {.servables = &servables, .registry = world->registry};
    struct ig_routing_spec spec;
    struct ig_err err = IG_ERR_INIT;
    char graph[256];
    snprintf(graph, sizeof graph,
             "{\"root\":{\"canary\":{\"stable\":{\"model\":\"m\",\"version\":1},\"candidate\":{"
             "\"model\":\"m\",\"version\":2},\"canary_percent\":50}},\"resources\":{\"cache\":%s}}",
             cache);
    ASSERT_OK(ig_routing_spec_read(&spec, ig_str_view(graph), &world->arena, &err));
    ASSERT_OK(ig_routing_new(&fixture->routing, &source, IG_STR("d"), 1, &spec, &err));
}

static int setup(void **state)
{
    static struct fixture fixture;
    ig_world_open(&fixture.world);
    ig_world_register(&fixture.world, "m", 1);
    ig_world_register(&fixture.world, "m", 2);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ig_routing_unref(fixture->routing);
    ig_world_close(&fixture->world);
    return 0;
}

static void test_rows_and_nodes_are_told_apart(void **state)
{
    struct fixture *fixture = *state;
    struct ig_arena *arena = &fixture->world.arena;
    static const double rows[] = {1, 2, NAN, -0.0}, other[] = {1, 0.0};
    struct ig_inference_request request = {.rows = rows, .rows_count = 4};
    struct ig_inference_result computed, found;
    struct ig_err err = IG_ERR_INIT;
    build(fixture, "{\"max_mb\":1}");
    for (uint32_t node = 1; node <= 2; node++) {
        assert_false(ig_responses_find(&found, fixture->routing, node, &request, arena));
        ASSERT_OK(ig_inference_run(&computed, ig_routing_servable(fixture->routing, node), &request,
                                   arena, &err));
        ig_responses_keep(fixture->routing, node, &request, &computed);
        assert_true(ig_responses_find(&found, fixture->routing, node, &request, arena));
        assert_int_equal(found.rows_count, 4);
        assert_true(found.probabilities);
        assert_memory_equal(found.margins, computed.margins, 4 * sizeof(double));
        assert_memory_equal(found.predictions, computed.predictions, 4 * sizeof(double));
        assert_true(found.margins[0] == (double)node);
    }
    assert_int_equal(ig_responses_stats(fixture->routing).hits, 8);
    assert_int_equal(ig_responses_stats(fixture->routing).misses, 2); /* one was enough to tell */
    struct ig_responses_stats before = ig_responses_stats(fixture->routing), after;
    assert_true(before.hit_ns > 0 && before.miss_ns > 0);
    request = (struct ig_inference_request){.rows = other, .rows_count = 1};
    assert_true(ig_responses_find(&found, fixture->routing, 1, &request, arena));
    after = ig_responses_stats(fixture->routing);
    assert_true(after.hit_ns > before.hit_ns && after.miss_ns == before.miss_ns);
    request.rows_count = 2; /* one that is not there: none is */
    assert_false(ig_responses_find(&found, fixture->routing, 1, &request, arena));
    assert_true(ig_responses_stats(fixture->routing).hit_ns == after.hit_ns);
    assert_true(ig_responses_stats(fixture->routing).miss_ns > after.miss_ns);
}

static void test_with_members_skipped(void **state)
{
    struct fixture *fixture = *state;
    struct ig_arena *arena = &fixture->world.arena;
    const double rows[] = {1, 2};
    uint32_t skipped[] = {1, 0};
    struct ig_inference_request request = {.rows = rows, .rows_count = 2};
    struct ig_inference_result computed, found;
    struct ig_err err = IG_ERR_INIT;
    build(fixture, "{\"max_mb\":1}");
    ASSERT_OK(ig_inference_run(&computed, ig_routing_servable(fixture->routing, 1), &request, arena,
                               &err));
    computed.skipped = skipped;
    ig_responses_keep(fixture->routing, 1, &request, &computed);
    request.rows_count = 1;
    assert_false(ig_responses_find(&found, fixture->routing, 1, &request, arena));
    request.rows = rows + 1;
    assert_true(ig_responses_find(&found, fixture->routing, 1, &request, arena));
}

static void test_age(void **state)
{
    struct fixture *fixture = *state;
    struct ig_arena *arena = &fixture->world.arena;
    const double row = 1;
    const struct ig_inference_request request = {.rows = &row, .rows_count = 1};
    struct ig_inference_result computed, found;
    struct ig_err err = IG_ERR_INIT;
    build(fixture, "{\"max_mb\":1,\"ttl_s\":1}");
    ASSERT_OK(ig_inference_run(&computed, ig_routing_servable(fixture->routing, 1), &request, arena,
                               &err));
    ig_responses_keep(fixture->routing, 1, &request, &computed);
    assert_true(ig_responses_find(&found, fixture->routing, 1, &request, arena));
    usleep(1100000);
    assert_false(ig_responses_find(&found, fixture->routing, 1, &request, arena));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_rows_and_nodes_are_told_apart, setup, teardown),
        cmocka_unit_test_setup_teardown(test_with_members_skipped, setup, teardown),
        cmocka_unit_test_setup_teardown(test_age, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
