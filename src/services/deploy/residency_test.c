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

#include <math.h>
#include <stdio.h>
#include <string.h>
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

static void put_face(const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    char path[128];
    snprintf(path, sizeof path, "faces/%s", name);
    ASSERT_OK(ig_file_replace(world.temp.fd, path, IG_STR("left"), &err));
}

static bool has_face(const char *name)
{
    char path[128];
    snprintf(path, sizeof path, "faces/%s", name);
    return faccessat(world.temp.fd, path, F_OK, 0) == 0;
}

/* What is left of a model that is gone, or of a server that was killed at any point, goes; what a
 * deployment or a registered version needs stays, and what is missing is made again. */
static void test_faces_are_collected(void **state)
{
    static const char GONE[] = "00000000000000000000000000000000000000000000000000000000000000ab";
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    char used[IG_SHA256_HEX], registered[IG_SHA256_HEX];
    int64_t removed = 0;
    const struct ig_servable *face = ig_deploy_acquire(deploy, IG_STR("m1"))->face;
    snprintf(used, sizeof used, "%s", face->digest);
    ig_world_register(&world, "spare", 77);
    struct ig_registry_version version;
    ASSERT_OK(
        ig_registry_version_get(&version, world.registry, IG_STR("spare"), 1, &world.arena, &err));
    snprintf(registered, sizeof registered, "%.*s", IG_STR_ARGS(version.digest));
    put_face(GONE);
    put_face(registered);
    put_face(".tmp-0123");
    put_face("README");
    ASSERT_OK(ig_deploy_collect(&removed, deploy, true, &err));
    assert_int_equal(removed, 2);
    assert_true(has_face(GONE) && has_face(".tmp-0123"));
    ASSERT_OK(ig_deploy_collect(&removed, deploy, false, &err));
    assert_int_equal(removed, 2);
    assert_false(has_face(GONE) || has_face(".tmp-0123"));
    assert_true(has_face(used) && has_face(registered) && has_face("README"));
    ASSERT_OK(ig_deploy_collect(&removed, deploy, false, &err));
    assert_int_equal(removed, 0);
    ASSERT_OK(ig_registry_model_delete(world.registry, &IG_PRINCIPAL_LOCAL, IG_STR("spare"), &err));
    ASSERT_OK(ig_deploy_collect(&removed, deploy, false, &err));
    assert_int_equal(removed, 1);
    assert_false(has_face(registered));
    char path[128];
    snprintf(path, sizeof path, "faces/%s", used);
    ASSERT_OK(ig_file_remove(world.temp.fd, path, &err));
    ig_deploy_close(deploy);
    open_deploy(FEW_BYTES);
    assert_true(has_face(used));
    assert_true(predict(1, &world.arena) == 2);
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

struct running {
    void *(*work)(void *arena); /* NULL: all was well */
    struct ig_arena arena;
    void *result;
};

static void *run_thread(void *context)
{
    struct running *running = context;
    running->result = running->work(&running->arena);
    return NULL;
}

static void run_threads(void *(*work)(void *arena))
{
    struct running running[THREADS];
    uint64_t threads[THREADS];
    struct ig_err err = IG_ERR_INIT;
    for (int i = 0; i < THREADS; i++) {
        running[i].work = work;
        ig_arena_init(&running[i].arena, 1 << 16, 64 << 20);
        ASSERT_OK(ig_thread_start(&threads[i], "resident", run_thread, &running[i], &err));
    }
    for (int i = 0; i < THREADS; i++) {
        ig_thread_join(threads[i]);
        assert_null(running[i].result);
        ig_arena_deinit(&running[i].arena);
    }
}

static void test_many_threads(void **state)
{
    (void)state;
    run_threads(predict_all);
    assert_true(stats_of().bytes <= FEW_BYTES);
}

/* ---- ensembles ---- */

enum { ENSEMBLES = 30 };

static const char *ensemble_of(int i)
{
    static char name[16];
    snprintf(name, sizeof name, "e%d", i);
    return name;
}

/* Of two models of its own, one over the predictions of a third that all have. */
static void graph_of(char *text, size_t size, int i)
{
    snprintf(text, size,
             "{\"root\":{\"ensemble\":{\"combine\":\"median\",\"members\":[\"one\",\"two\","
             "{\"node\":\"m0\",\"timeout_ms\":60000}],\"on_failure\":\"skip\"}},\"nodes\":{"
             "\"one\":{\"ensemble\":{\"combine\":\"mean_margin\",\"members\":[{\"node\":\"own\","
             "\"weight\":3},\"m0\"]}},\"two\":{\"ensemble\":{\"combine\":\"stack\",\"members\":["
             "\"m0\"],\"meta\":\"over\"}},\"over\":{\"model\":\"m%d\"},\"own\":{\"model\":\"m%d\"},"
             "\"m0\":{\"model\":\"m0\"}}}",
             1 + (i + 7) % (MODELS - 1), 1 + i % (MODELS - 1));
}

static void deploy_ensemble(int i)
{
    char text[1024];
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec graph;
    const struct ig_deployment_spec spec = {.name = ig_str_view(ensemble_of(i)), .graph = &graph};
    graph_of(text, sizeof text, i);
    ASSERT_OK(ig_routing_spec_read(&graph, ig_str_view(text), &world.arena, &err));
    ASSERT_OK(ig_deploy_set(deploy, &IG_PRINCIPAL_LOCAL, &spec, &err));
}

/* The same graph with all its models loaded for good. */
static const struct ig_routing *build_here(int i)
{
    char text[1024];
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec graph;
    const struct ig_routing *routing = NULL;
    const struct ig_servable_source servables = {.blobs = world.blobs};
    const struct ig_routing_source source = {.servables = &servables, .registry = world.registry};
    graph_of(text, sizeof text, i);
    ASSERT_OK(ig_routing_spec_read(&graph, ig_str_view(text), &world.arena, &err));
    ASSERT_OK(ig_routing_new(&routing, &source, IG_STR("here"), 1, &graph, &err));
    return routing;
}

static enum ig_code ask_face(struct ig_inference_result *out, const struct ig_routing *routing,
                             uint32_t node, struct ig_arena *arena, struct ig_err *err)
{
    static const double ROWS[] = {1, 2};
    const struct ig_inference_request request = {.rows = ROWS, .rows_count = 2};
    return ig_inference_run(out, ig_routing_servable(routing, node), &request, arena, err);
}

/* Every node's answers, bit for bit. */
static void assert_same_answers(const struct ig_routing *here, const struct ig_routing *pointed)
{
    struct ig_inference_result want, got;
    struct ig_err err = IG_ERR_INIT;
    for (uint32_t i = 0; i < here->spec.nodes_count; i++) {
        const struct ig_servable *own = ig_routing_servable(here, i);
        const struct ig_servable *other = ig_routing_servable(pointed, i);
        assert_non_null(other->residency);
        assert_null(other->package->engine);
        assert_string_equal(own->digest, other->digest);
        assert_string_equal(own->model_digest, other->package->model_digest);
        ASSERT_OK(ask_face(&want, here, i, &world.arena, &err));
        ASSERT_OK(ask_face(&got, pointed, i, &world.arena, &err));
        assert_memory_equal(got.margins, want.margins, 2 * sizeof(double));
        assert_memory_equal(got.predictions, want.predictions, 2 * sizeof(double));
        assert_int_equal(got.probabilities, want.probabilities);
    }
}

static void test_ensembles(void **state)
{
    (void)state;
    uint64_t before = stats_of().loads;
    for (int i = 0; i < ENSEMBLES; i++) deploy_ensemble(i);
    assert_true(stats_of().loads > before && stats_of().bytes <= FEW_BYTES);
    for (int i = 0; i < ENSEMBLES; i += 3) {
        const struct ig_routing *here = build_here(i);
        assert_same_answers(here, ig_deploy_acquire(deploy, ig_str_view(ensemble_of(i))));
        ig_routing_unref(here);
        assert_true(stats_of().bytes <= FEW_BYTES);
    }
    before = stats_of().loads;
    ig_deploy_close(deploy); /* a start reads none */
    open_deploy(FEW_BYTES);
    assert_true(ig_deploy_ready(deploy));
    assert_int_equal(stats_of().loads, 0);
}

/* As long as an ensemble is used its members stay, and a package is here once for all. */
static void test_members(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_inference_result result;
    const struct ig_routing *used = ig_deploy_acquire(deploy, ig_str_view(ensemble_of(0)));
    ASSERT_OK(ask_face(&result, used, 0, &world.arena, &err));
    uint64_t loads = stats_of().loads;
    assert_int_equal(loads, 3);
    predict(0, &world.arena);
    assert_int_equal(stats_of().loads, loads);
    for (int round = 0; round < 2; round++)
        for (int i = 10; i < MODELS; i++) {
            predict(i, &world.arena);
            loads = stats_of().loads;
            ASSERT_OK(ask_face(&result, used, 0, &world.arena, &err));
            assert_int_equal(stats_of().loads, loads);
        }
    assert_true(stats_of().bytes <= FEW_BYTES && stats_of().unloads > 0);
    for (int i = 1; i < MODELS; i++) predict(i, &world.arena);
    assert_null(ig_residency_get(used->face, false, &err)); /* with none of its members */
    loads = stats_of().loads;
    ASSERT_OK(ask_face(&result, used, 0, &world.arena, &err));
    assert_true(stats_of().loads > loads);
    const struct ig_servable *loaded = ig_residency_get(used->face, false, &err);
    assert_non_null(loaded);
    assert_string_equal(loaded->node, used->face->node);
    assert_int_equal(loaded->members_count, 3);
    assert_string_equal(loaded->members[2].servable->model, "m0");
    assert_int_equal(loaded->members[2].timeout_ms, 60000);
    assert_true(ig_engine_skips(loaded->package->engine));
    ig_servable_unref(loaded);
}

/* A member that does not load: the call says which, and the next is well again. */
static void test_member_gone(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_inference_result result;
    struct ig_registry_version version;
    char from[IG_SHA256_HEX + 16];
    const struct ig_routing *used = ig_deploy_acquire(deploy, ig_str_view(ensemble_of(2)));
    for (int i = 11; i < MODELS; i++) predict(i, &world.arena);
    ASSERT_OK(
        ig_registry_version_get(&version, world.registry, IG_STR("m10"), 1, &world.arena, &err));
    snprintf(from, sizeof from, "blobs/%.2s/%.*s", version.digest.ptr, IG_STR_ARGS(version.digest));
    ASSERT_OK(err.code);
    assert_int_equal(renameat(world.temp.fd, from, world.temp.fd, "away"), 0);
    for (int i = 0; i < 2; i++) {
        err = IG_ERR_INIT;
        assert_int_not_equal(ask_face(&result, used, 0, &world.arena, &err), IG_OK);
        assert_non_null(strstr(err.message, "model 'm10' version 1: "));
    }
    assert_int_equal(renameat(world.temp.fd, "away", world.temp.fd, from), 0);
    err = IG_ERR_INIT;
    ASSERT_OK(ask_face(&result, used, 0, &world.arena, &err));
    for (int i = 11; i < MODELS; i++) predict(i, &world.arena); /* what was held goes as well */
    int32_t one = ig_routing_spec_find(&used->spec, IG_STR("one"));
    assert_null(ig_residency_get(used->face, false, &err));
    assert_null(ig_residency_get(ig_routing_servable(used, (uint32_t)one), false, &err));
    assert_true(stats_of().bytes <= FEW_BYTES);
}

/* A graph whose members do not fit is refused as ever. */
static void test_refused(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_spec graph;
    const struct ig_deployment_spec spec = {.name = IG_STR("bad"), .graph = &graph};
    ASSERT_OK(ig_routing_spec_read(
        &graph,
        IG_STR("{\"root\":{\"ensemble\":{\"combine\":\"mean_margin\",\"members\":[{\"node\":\"in\","
               "\"timeout_ms\":5},\"b\"]}},\"nodes\":{\"in\":{\"ensemble\":{\"combine\":"
               "\"mean_margin\",\"members\":[\"b\"]}},\"b\":{\"model\":\"m1\"}}}"),
        &world.arena, &err));
    assert_int_equal(ig_deploy_set(deploy, &IG_PRINCIPAL_LOCAL, &spec, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "members[0].timeout_ms: 5, but it is an ensemble"));
    assert_true(ig_str_starts(ig_str_view(err.message), IG_STR("graph.nodes.")));
}

static void *ask_ensembles(void *context)
{
    struct ig_arena *arena = context;
    for (int round = 0; round < 3; round++)
        for (int i = 0; i < ENSEMBLES; i++) {
            char name[16];
            struct ig_err err = IG_ERR_INIT;
            struct ig_inference_result result = {0};
            snprintf(name, sizeof name, "e%d", i);
            const struct ig_routing *routing = ig_deploy_get_routing(deploy, ig_str_view(name));
            double one = (3 * (1 + i % (MODELS - 1) + 1.0) + 1) / 4;
            double two = 1 + (i + 7) % (MODELS - 1) + 1.0, median = one < two ? one : two;
            bool good = ask_face(&result, routing, 0, arena, &err) == IG_OK && !result.skipped &&
                        fabs(result.predictions[0] - 1 / (1 + exp(-median))) < 1e-12;
            ig_routing_unref(routing);
            ig_arena_reset(arena);
            if (!good) return arena;
        }
    return NULL;
}

static void test_ensembles_of_many_threads(void **state)
{
    (void)state;
    run_threads(ask_ensembles);
    assert_true(stats_of().bytes <= FEW_BYTES);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_few_are_here),
        cmocka_unit_test(test_what_is_used_stays),
        cmocka_unit_test(test_faces_are_collected),
        cmocka_unit_test(test_held_while_used),
        cmocka_unit_test(test_start_reads_no_model),
        cmocka_unit_test(test_many_threads),
        cmocka_unit_test(test_ensembles),
        cmocka_unit_test(test_members),
        cmocka_unit_test(test_member_gone),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_ensembles_of_many_threads),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
