/* SPDX-License-Identifier: Apache-2.0 */
/* Isolated deployments with this very program as the replica: run with "replica" it is one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "kernels/explain/explain_rows.h"
#include "services/deploy/replica_child.h"
#include "services/deploy/replica_set.h"
#include "services/registry/world_testing.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SLOW_SAMPLES = 1000000, CALLS = 5 };
static const uint64_t MS = 1000000, LONG_NS = 300000 * MS;

struct fixture {
    struct ig_world world;
    struct ig_backgrounds *backgrounds;
    struct ig_replica_host *host;
    const struct ig_routing *routing;
    char background[IG_SHA256_HEX];
    struct ig_arena arena;
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_world *world = &fixture.world;
    struct ig_err err = IG_ERR_INIT;
    fixture = (struct fixture){0};
    ig_world_open(world);
    ig_world_register(world, "m", -0.75);
    ig_world_register(world, "m", 2);
    ig_arena_init(&fixture.arena, 1 << 16, 64 << 20);
    ASSERT_OK(
        ig_backgrounds_open(&fixture.backgrounds, world->db, world->blobs, world->registry, &err));
    ASSERT_OK(ig_blob_put(fixture.background, world->blobs, IG_STR("size\n1\n2\n3\n"), &err));
    const struct ig_replica_host_options options = {.dirfd = world->temp.fd};
    ASSERT_OK(ig_replica_host_open(&fixture.host, &options, &err));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ig_routing_unref(fixture->routing);
    ig_replica_host_close(fixture->host);
    ig_backgrounds_close(fixture->backgrounds);
    ig_arena_deinit(&fixture->arena);
    ig_world_close(&fixture->world);
    return 0;
}

static const struct ig_routing *build(struct fixture *fixture, const char *graph,
                                      struct ig_err *err)
{
    static const struct ig_servable_source NO_LIMIT = {0};
    struct ig_servable_source servables = NO_LIMIT;
    struct ig_routing_spec spec;
    servables.blobs = fixture->world.blobs;
    const struct ig_routing_source source = {
        .servables = &servables, .registry = fixture->world.registry, .host = fixture->host};
    const struct ig_routing *routing = NULL;
    if (ig_routing_spec_read(&spec, ig_str_view(graph), &fixture->arena, err) == IG_OK)
        ig_routing_new(&routing, &source, IG_STR("d"), 1, &spec, err);
    return routing;
}

static const struct ig_routing *isolate(struct fixture *fixture, const char *resources)
{
    char graph[512];
    struct ig_err err = IG_ERR_INIT;
    snprintf(graph, sizeof graph,
             "{\"root\":{\"model\":\"m\",\"version\":1},\"resources\":{\"isolation\":\"process\"%s}"
             "}",
             resources);
    fixture->routing = build(fixture, graph, &err);
    ASSERT_OK(err.code);
    assert_non_null(fixture->routing->replicas);
    return fixture->routing;
}

static struct ig_replicas_stats stats_of(const struct fixture *fixture)
{
    struct ig_replicas_stats stats;
    ig_replicas_stats(&stats, fixture->routing->replicas);
    return stats;
}

/* Whether it comes to be within a while. */
static bool becomes(const struct fixture *fixture,
                    bool (*holds)(const struct ig_replicas_stats *stats, uint64_t wanted),
                    uint64_t wanted)
{
    for (int i = 0; i < 2000; i++) {
        struct ig_replicas_stats stats = stats_of(fixture);
        if (holds(&stats, wanted)) return true;
        usleep(5000);
    }
    return false;
}

static bool runs(const struct ig_replicas_stats *stats, uint64_t wanted)
{
    return stats->running == wanted && !stats->starting;
}

static bool is_busy(const struct ig_replicas_stats *stats, uint64_t wanted)
{
    return stats->busy == wanted;
}

static bool has_started(const struct ig_replicas_stats *stats, uint64_t wanted)
{
    return stats->started == wanted;
}

static enum ig_code predict(const struct fixture *fixture, struct ig_arena *arena, double *margin,
                            struct ig_err *err)
{
    const double row = 1;
    struct ig_inference_result result = {0};
    const struct ig_inference_request request = {.rows = &row, .rows_count = 1};
    if (ig_inference_run(&result, fixture->routing->face, &request, arena, err) == IG_OK)
        *margin = result.margins[0];
    return err->code;
}

static void assert_predicts(struct fixture *fixture, double expected)
{
    struct ig_err err = IG_ERR_INIT;
    double margin = 0;
    ASSERT_OK(predict(fixture, &fixture->arena, &margin, &err));
    assert_true(margin == expected);
}

/* ---- the same answers ---- */

static void assert_same(struct fixture *fixture, const struct ig_servable *shared,
                        const struct ig_explain_ask *ask)
{
    static const double rows[] = {1, 2, 0.5};
    struct ig_err err = IG_ERR_INIT;
    struct ig_inference_result here = {0}, there = {0};
    struct ig_inference_request request = {.rows = rows, .rows_count = 3, .explain = ask != NULL};
    struct ig_explain_choice choice;
    struct ig_explain_ask elsewhere;
    if (ask) {
        assert_true(ig_explaining_choose(&choice, shared, fixture->backgrounds, ask, true, &err));
        ASSERT_OK(err.code);
        request.options = ask->options;
        request.choice = &choice;
    }
    ASSERT_OK(ig_inference_run(&here, shared, &request, &fixture->arena, &err));
    if (ask) {
        elsewhere = *ask;
        request.choice = NULL;
        request.ask = &elsewhere;
    }
    ASSERT_OK(ig_inference_run(&there, fixture->routing->face, &request, &fixture->arena, &err));
    assert_memory_equal(here.margins, there.margins, 3 * sizeof(double));
    assert_memory_equal(here.predictions, there.predictions, 3 * sizeof(double));
    if (!ask) return;
    assert_int_equal(there.choice->method, choice.method);
    assert_string_equal(there.choice->unit, choice.unit);
    assert_string_equal(there.choice->background, choice.background);
    for (size_t i = 0; i < 3; i++) {
        unsigned char one[IG_SHA256_BYTES], other[IG_SHA256_BYTES];
        const struct ig_model *model = shared->package->model;
        assert_true(ig_explanations_digest(one, &here.explanations, i, model));
        assert_true(ig_explanations_digest(other, &there.explanations, i, model));
        assert_memory_equal(one, other, sizeof one);
    }
}

static void test_same_answers(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    isolate(fixture, "");
    const struct ig_routing *shared =
        build(fixture, "{\"root\":{\"model\":\"m\",\"version\":1}}", &err);
    ASSERT_OK(err.code);
    assert_same(fixture, shared->face, NULL);
    for (int method = 0; method < IG_EXPLAINERS_COUNT; method++) {
        struct ig_explain_ask ask = {.method_given = true,
                                     .method = (enum ig_explainer)method,
                                     .rows_count = 3,
                                     .options = {.output = IG_EXPLAIN_PREDICTED, .samples = 200}};
        if (!ig_explain_admits(shared->face->package->engine, ask.method)) continue;
        if (ig_explainer_takes(ask.method, IG_EXPLAINER_BACKGROUND))
            ask.background = ask.background_digest = ig_str_view(fixture->background);
        assert_same(fixture, shared->face, &ask);
    }
    struct ig_inference_result result;
    const double row = 1;
    const struct ig_explain_ask lacks = {.method_given = true, .method = IG_EXPLAINER_LIME};
    const struct ig_inference_request request = {
        .rows = &row, .rows_count = 1, .explain = true, .ask = &lacks};
    assert_int_equal(
        ig_inference_run(&result, fixture->routing->face, &request, &fixture->arena, &err),
        IG_INVALID);
    assert_non_null(strstr(err.message, "background: method lime needs one"));
    assert_int_equal(stats_of(fixture).crashed, 0);
    ig_routing_unref(shared);
}

static void test_graph(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    fixture->routing = build(
        fixture,
        "{\"root\":{\"ensemble\":{\"combine\":\"mean_margin\",\"members\":[{\"model\":\"m\","
        "\"version\":1},{\"node\":{\"model\":\"m\",\"version\":2},\"weight\":3}]}},\"resources\":{"
        "\"isolation\":\"process\"}}",
        &err);
    ASSERT_OK(err.code);
    assert_int_equal(fixture->routing->face->members_count, 2);
    assert_null(fixture->routing->face->package->engine);
    assert_predicts(fixture, (-0.75 + 3 * 2) / 4);
}

static void test_what_does_not_load(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err = IG_ERR_INIT;
    char path[IG_SHA256_HEX + 16], digest[IG_SHA256_HEX];
    struct ig_registry_version version;
    ASSERT_OK(ig_registry_version_get(&version, fixture->world.registry, IG_STR("m"), 2,
                                      &fixture->arena, &err));
    snprintf(digest, sizeof digest, "%.*s", IG_STR_ARGS(version.digest));
    snprintf(path, sizeof path, "blobs/%.2s/%s", digest, digest);
    assert_int_equal(unlinkat(fixture->world.temp.fd, path, 0), 0);
    assert_null(build(fixture,
                      "{\"root\":{\"model\":\"m\",\"version\":2},\"resources\":{\"isolation\":"
                      "\"process\"}}",
                      &err));
    assert_int_equal(err.code, IG_NOT_FOUND);
    assert_non_null(strstr(err.message, "model 'm' version 2"));
}

/* ---- processes that end ---- */

static void test_one_that_is_killed_is_replaced(void **state)
{
    struct fixture *fixture = *state;
    isolate(fixture, "");
    assert_predicts(fixture, -0.75);
    kill(stats_of(fixture).pids[0], SIGKILL);
    assert_predicts(fixture, -0.75); /* on the new one, whoever notices first */
    struct ig_replicas_stats stats = stats_of(fixture);
    assert_int_equal(stats.crashed, 1);
    assert_int_equal(stats.started, 2);
    assert_non_null(strstr(stats.failure, "signal 9"));
}

/* A call that takes a while, on a thread. */
struct slow {
    struct fixture *fixture;
    struct ig_arena arena;
    struct ig_err err;
    uint64_t thread, deadline_ns, samples;
};

static void *run_slow(void *context)
{
    struct slow *slow = context;
    const double row = 1;
    struct ig_str background = ig_str_view(slow->fixture->background);
    struct ig_inference_result result;
    const struct ig_explain_ask ask = {
        .method_given = true,
        .method = IG_EXPLAINER_LIME,
        .background = background,
        .background_digest = background,
        .rows_count = 1,
        .options = {.samples = slow->samples, .output = IG_EXPLAIN_PREDICTED}};
    const struct ig_inference_request request = {.rows = &row,
                                                 .rows_count = 1,
                                                 .explain = true,
                                                 .ask = &ask,
                                                 .deadline_ns = slow->deadline_ns};
    ig_inference_run(&result, slow->fixture->routing->face, &request, &slow->arena, &slow->err);
    return NULL;
}

static void start_slow(struct slow *slow, struct fixture *fixture, uint64_t samples,
                       uint64_t within_ns)
{
    struct ig_err err = IG_ERR_INIT;
    *slow = (struct slow){.fixture = fixture,
                          .err = IG_ERR_INIT,
                          .deadline_ns = ig_clock_ns() + within_ns,
                          .samples = samples};
    ig_arena_init(&slow->arena, 1 << 16, 64 << 20);
    ASSERT_OK(ig_thread_start(&slow->thread, "slow", run_slow, slow, &err));
}

static void end_slow(struct slow *slow)
{
    ig_thread_join(slow->thread);
    ig_arena_deinit(&slow->arena);
}

static void test_a_call_goes_on_elsewhere(void **state)
{
    struct fixture *fixture = *state;
    struct slow slow;
    isolate(fixture, "");
    start_slow(&slow, fixture, SLOW_SAMPLES, LONG_NS);
    assert_true(becomes(fixture, is_busy, 1));
    kill(stats_of(fixture).pids[0], SIGKILL);
    end_slow(&slow);
    assert_string_equal(slow.err.message, "");
    assert_int_equal(stats_of(fixture).crashed, 1);
    assert_int_equal(stats_of(fixture).started, 2);
}

static void test_a_call_that_kills_two_is_refused(void **state)
{
    struct fixture *fixture = *state;
    struct slow slow;
    isolate(fixture, "");
    start_slow(&slow, fixture, SLOW_SAMPLES, LONG_NS);
    for (uint64_t started = 1; started <= 2; started++) {
        assert_true(becomes(fixture, has_started, started));
        assert_true(becomes(fixture, is_busy, 1));
        kill(stats_of(fixture).pids[0], SIGKILL);
    }
    end_slow(&slow);
    assert_int_equal(slow.err.code, IG_UNAVAILABLE);
    assert_non_null(strstr(slow.err.message, "as did the one before: "));
    assert_predicts(fixture, -0.75);
}

static void test_deadline(void **state)
{
    struct fixture *fixture = *state;
    struct slow slow, waits;
    isolate(fixture, "");
    start_slow(&slow, fixture, 20 * SLOW_SAMPLES, 300 * MS);
    assert_true(becomes(fixture, is_busy, 1));
    start_slow(&waits, fixture, 100, 20 * MS);
    end_slow(&waits);
    assert_int_equal(waits.err.code, IG_DEADLINE);
    assert_non_null(strstr(waits.err.message, "no process was free"));
    end_slow(&slow);
    assert_int_equal(slow.err.code, IG_DEADLINE);
    assert_non_null(strstr(slow.err.message, "its process was ended"));
    assert_predicts(fixture, -0.75);
    assert_int_equal(stats_of(fixture).crashed, 0); /* it did nothing wrong */
}

/* ---- how many ---- */

static void test_scaling(void **state)
{
    struct fixture *fixture = *state;
    struct slow slow[CALLS];
    isolate(fixture, ",\"replicas\":{\"min\":0,\"max\":3},\"idle_s\":1");
    assert_int_equal(stats_of(fixture).running, 1); /* it said what the model is */
    for (int i = 0; i < CALLS; i++) start_slow(&slow[i], fixture, 4 * SLOW_SAMPLES, LONG_NS);
    assert_true(becomes(fixture, is_busy, 3));
    for (int i = 0; i < CALLS; i++) {
        end_slow(&slow[i]);
        assert_string_equal(slow[i].err.message, "");
    }
    assert_int_equal(stats_of(fixture).started, 3);
    assert_true(becomes(fixture, runs, 0)); /* nothing to do */
    assert_predicts(fixture, -0.75);        /* and it comes back */
    assert_int_equal(stats_of(fixture).running, 1);
    assert_int_equal(stats_of(fixture).crashed, 0);
}

static void test_quick_calls_need_no_more(void **state)
{
    struct fixture *fixture = *state;
    isolate(fixture, ",\"replicas\":{\"min\":1,\"max\":3}");
    for (int i = 0; i < 200; i++) assert_predicts(fixture, -0.75);
    assert_int_equal(stats_of(fixture).started, 1);
    assert_int_equal(stats_of(fixture).calls, 200);
}

/* A tenth of a core: what calls take on average, whatever the machine does besides. Those that wait
 * for CPU time need no more processes. */
static void test_cpu_limit(void **state)
{
    struct fixture *fixture = *state;
    struct slow slow;
    isolate(fixture, ",\"cpu\":0.1,\"replicas\":{\"min\":1,\"max\":3}");
    uint64_t started_ns = ig_clock_ns(), spent_ns = 0;
    for (int i = 0; i < 4; i++) {
        spent_ns = stats_of(fixture).cpu_ns; /* the last call may overdraw */
        start_slow(&slow, fixture, 20000, LONG_NS);
        end_slow(&slow);
        assert_string_equal(slow.err.message, "");
    }
    uint64_t most_ns = (ig_clock_ns() - started_ns) / 10 + 20 * MS;
    assert_true(spent_ns > 0 && spent_ns <= most_ns);
    assert_int_equal(stats_of(fixture).started, 1);
}

/* A prediction on a thread of its own; row i of the stump's two sides in turn. */
struct quick {
    struct fixture *fixture;
    struct ig_arena arena;
    struct ig_err err;
    double row, margin;
    uint64_t thread;
};

static void *run_quick(void *context)
{
    struct quick *quick = context;
    struct ig_inference_result result = {0};
    const struct ig_inference_request request = {.rows = &quick->row, .rows_count = 1};
    if (ig_inference_run(&result, quick->fixture->routing->face, &request, &quick->arena,
                         &quick->err) == IG_OK)
        quick->margin = result.margins[0];
    return NULL;
}

/* While the only process is busy, predictions gather; then they are one call. */
static void test_batching(void **state)
{
    struct fixture *fixture = *state;
    enum { QUICK = 12, FEWEST = 3 };
    struct slow slow;
    struct quick quick[QUICK];
    struct ig_err err = IG_ERR_INIT;
    isolate(fixture, ",\"batching\":{\"max_rows\":5,\"max_delay_us\":100}");
    start_slow(&slow, fixture, 4 * SLOW_SAMPLES, LONG_NS);
    assert_true(becomes(fixture, is_busy, 1));
    for (int i = 0; i < QUICK; i++) {
        quick[i] = (struct quick){.fixture = fixture, .err = IG_ERR_INIT, .row = 1 + i % 2};
        ig_arena_init(&quick[i].arena, 1 << 12, 1 << 20);
        ASSERT_OK(ig_thread_start(&quick[i].thread, "quick", run_quick, &quick[i], &err));
    }
    for (int i = 0; i < QUICK; i++) {
        ig_thread_join(quick[i].thread);
        assert_string_equal(quick[i].err.message, "");
        assert_true(quick[i].margin == (i % 2 ? 0.75 : -0.75));
        ig_arena_deinit(&quick[i].arena);
    }
    end_slow(&slow);
    uint64_t calls = stats_of(fixture).calls;
    assert_in_range(calls, 1 + FEWEST, 1 + FEWEST + 2); /* that came while none was busy */
}

#ifdef INGOT_SANITIZED
enum { MEMORY_CAN_BE_LIMITED = 0 }; /* a sanitizer's own memory counts */
#else
enum { MEMORY_CAN_BE_LIMITED = 1 };
#endif

static void test_memory_limit(void **state)
{
    struct fixture *fixture = *state;
    struct slow slow;
    if (!MEMORY_CAN_BE_LIMITED) skip();
    isolate(fixture, ",\"memory_mb\":32");
    start_slow(&slow, fixture, 8 * SLOW_SAMPLES, LONG_NS);
    end_slow(&slow);
    assert_int_equal(slow.err.code, IG_NO_MEMORY);
    assert_predicts(fixture, -0.75);
}

int main(int argc, char **argv)
{
    int64_t parent = 0;
    if (argc == 3 && ig_str_to_i64(ig_str_view(argv[2]), &parent))
        return ig_replica_child((long)parent);
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(test_same_answers),
        TEST(test_graph),
        TEST(test_what_does_not_load),
        TEST(test_one_that_is_killed_is_replaced),
        TEST(test_a_call_goes_on_elsewhere),
        TEST(test_a_call_that_kills_two_is_refused),
        TEST(test_deadline),
        TEST(test_scaling),
        TEST(test_quick_calls_need_no_more),
        TEST(test_batching),
        TEST(test_cpu_limit),
        TEST(test_memory_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
