/* SPDX-License-Identifier: Apache-2.0 */
/* Models that come and go: loaded once for many, unloaded for others, the same answers, and a start
 * that reads none of them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "services/deploy/deploy.h"
#include "services/deploy/inference.h"
#include "services/deploy/residency.h"
#include "services/registry/world_testing.h"

#include <stdio.h>
#include <unistd.h>

enum { MODELS = 40, FEW_BYTES = 1 << 20, THREADS = 4 };

static struct ig_world world;
static struct ig_deploy *deploy;

static void open_deploy(size_t bytes)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_deploy_options options = {.db = world.db,
                                              .blobs = world.blobs,
                                              .registry = world.registry,
                                              .models_max_bytes = bytes,
                                              .dirfd = world.temp.fd};
    ASSERT_OK(ig_deploy_open(&deploy, &options, &err));
}

static const char *name_of(int i)
{
    static char name[16];
    snprintf(name, sizeof name, "m%d", i);
    return name;
}

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_world_open(&world);
    open_deploy(FEW_BYTES);
    for (int i = 0; i < MODELS; i++) {
        const struct ig_deployment_spec spec = {.name = ig_str_view(name_of(i)),
                                                .model = ig_str_view(name_of(i))};
        ig_world_register(&world, name_of(i), i + 1);
        ASSERT_OK(ig_deploy_set(deploy, &IG_PRINCIPAL_LOCAL, &spec, &err));
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_deploy_close(deploy);
    ig_world_close(&world);
    return 0;
}

static struct ig_residency_stats stats_of(void)
{
    struct ig_residency_stats stats;
    ig_residency_stats(&stats, ig_deploy_residency(deploy));
    return stats;
}

static double predict(int i, struct ig_arena *arena)
{
    const double row = 1;
    struct ig_err err = IG_ERR_INIT;
    struct ig_inference_result result = {0};
    const struct ig_inference_request request = {.rows = &row, .rows_count = 1};
    const struct ig_routing *routing = ig_deploy_get_routing(deploy, ig_str_view(name_of(i)));
    assert_non_null(routing);
    assert_null(routing->face->package->engine);
    ASSERT_OK(ig_inference_run(&result, routing->face, &request, arena, &err));
    ig_routing_unref(routing);
    return result.margins[0];
}

static void test_few_are_here(void **state)
{
    (void)state;
    struct ig_residency_stats stats = stats_of();
    assert_int_equal(stats.loads, MODELS); /* each was verified when it was deployed */
    assert_true(stats.resident < MODELS / 2 && stats.bytes <= FEW_BYTES);
    for (int round = 0; round < 2; round++)
        for (int i = 0; i < MODELS; i++) assert_true(predict(i, &world.arena) == i + 1);
    assert_true(stats_of().bytes <= FEW_BYTES);
    assert_true(stats_of().loads > MODELS && stats_of().unloads > 0);
}

static void test_what_is_used_stays(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_routing *routing = ig_deploy_acquire(deploy, IG_STR("m0"));
    predict(0, &world.arena);
    for (int i = 1; i < MODELS; i++) {
        predict(i, &world.arena);
        const struct ig_servable *here = ig_residency_get(routing->face, false, &err);
        assert_non_null(here); /* a look without loading, which is a use */
        assert_non_null(here->package->engine);
        ig_servable_unref(here);
    }
    uint64_t loads = stats_of().loads;
    predict(0, &world.arena);
    assert_int_equal(stats_of().loads, loads);
    for (int i = 1; i < MODELS; i++) predict(i, &world.arena);
    assert_null(ig_residency_get(routing->face, false, &err));
    ASSERT_OK(err.code);
}

/* A model under way outlives its place. */
static void test_held_while_used(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_servable *held =
        ig_residency_get(ig_deploy_acquire(deploy, IG_STR("m3"))->face, true, &err);
    assert_non_null(held);
    for (int i = 4; i < MODELS; i++) predict(i, &world.arena);
    const double row = 1;
    struct ig_inference_result result;
    const struct ig_inference_request request = {.rows = &row, .rows_count = 1};
    ASSERT_OK(ig_inference_run(&result, held, &request, &world.arena, &err));
    assert_true(result.margins[0] == 4);
    ig_servable_unref(held);
}

static void test_start_reads_no_model(void **state)
{
    (void)state;
    ig_deploy_close(deploy);
    open_deploy(FEW_BYTES);
    assert_true(ig_deploy_ready(deploy));
    assert_int_equal(stats_of().loads, 0);
    assert_true(predict(7, &world.arena) == 8);
    assert_int_equal(stats_of().loads, 1);
    /* a face that is damaged is made again */
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    char path[IG_SHA256_HEX + 8];
    ASSERT_OK(
        ig_registry_version_get(&version, world.registry, IG_STR("m5"), 1, &world.arena, &err));
    snprintf(path, sizeof path, "faces/%.*s", IG_STR_ARGS(version.digest));
    ig_deploy_close(deploy);
    ASSERT_OK(ig_file_replace(world.temp.fd, path, IG_STR("nonsense"), &err));
    open_deploy(FEW_BYTES);
    assert_true(ig_deploy_ready(deploy));
    assert_int_equal(stats_of().loads, 1);
    assert_true(predict(5, &world.arena) == 6);
}

static void *predict_all(void *context)
{
    struct ig_arena *arena = context;
    for (int round = 0; round < 5; round++)
        for (int i = 0; i < MODELS; i++) {
            const double row = 1;
            char name[16];
            struct ig_err err = IG_ERR_INIT;
            struct ig_inference_result result = {0};
            const struct ig_inference_request request = {.rows = &row, .rows_count = 1};
            snprintf(name, sizeof name, "m%d", i);
            const struct ig_routing *routing = ig_deploy_get_routing(deploy, ig_str_view(name));
            bool good = ig_inference_run(&result, routing->face, &request, arena, &err) == IG_OK &&
                        result.margins[0] == i + 1;
            ig_routing_unref(routing);
            if (!good) return arena;
        }
    return NULL;
}

static void *run_thread(void *context)
{
    void **failed = context;
    *failed = predict_all(*failed);
    return NULL;
}

static void test_many_threads(void **state)
{
    (void)state;
    struct ig_arena arenas[THREADS];
    void *results[THREADS];
    uint64_t threads[THREADS];
    struct ig_err err = IG_ERR_INIT;
    for (int i = 0; i < THREADS; i++) {
        ig_arena_init(&arenas[i], 1 << 16, 64 << 20);
        results[i] = &arenas[i];
        ASSERT_OK(ig_thread_start(&threads[i], "resident", run_thread, &results[i], &err));
    }
    for (int i = 0; i < THREADS; i++) {
        ig_thread_join(threads[i]);
        assert_null(results[i]);
        ig_arena_deinit(&arenas[i]);
    }
    assert_true(stats_of().bytes <= FEW_BYTES);
}

/* Members of an ensemble are loaded for good, the graph's other models are not. */
static void test_members_stay(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec graph;
    const struct ig_deployment_spec spec = {.name = IG_STR("graph"), .graph = &graph};
    ASSERT_OK(ig_routing_spec_read(
        &graph,
        IG_STR("{\"root\":{\"canary\":{\"stable\":\"a\",\"candidate\":{\"ensemble\":{\"combine\":"
               "\"mean_margin\",\"members\":[{\"model\":\"m1\"},{\"model\":\"m2\"}]}},"
               "\"canary_percent\":100}},\"nodes\":{\"a\":{\"model\":\"m1\"}}}"),
        &world.arena, &err));
    ASSERT_OK(ig_deploy_set(deploy, &IG_PRINCIPAL_LOCAL, &spec, &err));
    const struct ig_routing *routing = ig_deploy_acquire(deploy, IG_STR("graph"));
    for (uint32_t i = 0; i < routing->spec.nodes_count; i++) {
        const struct ig_servable *servable = ig_routing_servable(routing, i);
        if (!servable) continue;
        bool alone = ig_str_is(routing->spec.nodes[i].name, "a");
        assert_int_equal(servable->residency != NULL, alone);
        assert_int_equal(servable->package->engine == NULL, alone);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_here),    cmocka_unit_test(test_what_is_used_stays),
        cmocka_unit_test(test_held_while_used), cmocka_unit_test(test_start_reads_no_model),
        cmocka_unit_test(test_many_threads),    cmocka_unit_test(test_members_stay),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
