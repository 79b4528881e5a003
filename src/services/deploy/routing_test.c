/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/thread.h"
#include "services/deploy/routing.h"
#include "services/registry/world_testing.h"

#include <math.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    static struct ig_world world;
    ig_world_open(&world);
    for (int i = 1; i <= 3; i++) ig_world_register(&world, "m", i);
    ig_world_register(&world, "n", 5);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    ig_world_close(*state);
    return 0;
}

static const struct ig_routing *build(struct ig_world *world, const char *json,
                                      const struct ig_routing *current, struct ig_err *err)
{
    const struct ig_servable_source servables = {.blobs = world->blobs};
    const struct ig_routing_source source = {
        .servables = &servables, .registry = world->registry, .current = current};
    const struct ig_routing *routing = NULL;
    struct ig_routing_spec spec;
    if (ig_routing_spec_read(&spec, ig_str_view(json), &world->arena, err) != IG_OK) return NULL;
    ig_routing_new(&routing, &source, IG_STR("d"), 7, &spec, err);
    return routing;
}

static double predict(const struct ig_servable *servable, double size)
{
    double margin, prediction;
    _Alignas(64) char scratch[1 << 16];
    const struct ig_engine *engine = servable->package->engine;
    IG_ASSERT(ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, 1) <= sizeof scratch);
    ig_engine_predict(engine, &size, 1, (struct ig_engine_scores){&margin, &prediction, NULL},
                      scratch);
    return prediction;
}

static double sigmoid(double margin)
{
    return 1 / (1 + exp(-margin));
}

static const struct ig_servable *
route(struct ig_routing_path *out, const struct ig_routing *routing, double size, const char *unit)
{
    const struct ig_rules_value none[IG_ROUTING_ATTRIBUTES_MAX] = {0};
    const struct ig_routing_input input = {
        .row = &size, .attributes = none, .unit = ig_str_view(unit)};
    ig_routing_route(out, routing, &input);
    return ig_routing_servable(routing, out->node);
}

static void test_one_model(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_path taken;
    const struct ig_routing *routing = build(*state, "{\"root\":{\"model\":\"m\"}}", NULL, &err);
    ASSERT_OK(err.code);
    assert_int_equal(routing->revision, 7);
    assert_int_equal(routing->spec.nodes[0].version, 3); /* the latest, pinned */
    assert_ptr_equal(routing->single, routing->face);
    assert_ptr_equal(route(&taken, routing, 1, "u"), routing->face);
    assert_int_equal(taken.steps_count, 0);
    assert_true(taken.propensity == 1);
    assert_int_equal(ig_routing_path_text(routing, &taken, &((struct ig_world *)*state)->arena).len,
                     0);
    ig_routing_unref(routing);
}

static void test_concurrency(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_routing *routing =
        build(*state, "{\"root\":{\"model\":\"m\"},\"resources\":{\"concurrency\":2}}", NULL, &err);
    ASSERT_OK(err.code);
    for (int round = 0; round < 3; round++) {
        assert_true(ig_routing_enter(routing) && ig_routing_enter(routing));
        assert_false(ig_routing_enter(routing));
        ig_routing_leave(routing);
        assert_true(ig_routing_enter(routing));
        ig_routing_leave(routing);
        ig_routing_leave(routing);
    }
    ig_routing_unref(routing);
}

static void test_reuses_what_is_loaded(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_routing *first =
        build(*state, "{\"root\":{\"model\":\"m\",\"version\":1}}", NULL, &err);
    const struct ig_routing *second =
        build(*state,
              "{\"root\":{\"canary\":{\"stable\":{\"model\":\"m\",\"version\":1},\"candidate\":{"
              "\"model\":\"m\",\"version\":2},\"canary_percent\":10}}}",
              first, &err);
    ASSERT_OK(err.code);
    assert_ptr_equal(second->face, first->face);
    /* the tag of a branch is that of what stands behind it */
    const struct ig_routing *third =
        build(*state,
              "{\"root\":{\"canary\":{\"stable\":{\"model\":\"m\",\"version\":1},\"candidate\":{"
              "\"model\":\"m\",\"version\":3},\"canary_percent\":20}}}",
              second, &err);
    for (uint32_t edge = 0; edge < 2; edge++) {
        char before[64], after[64];
        assert_int_equal(ig_routing_arm_text(before, sizeof before, second, 0, edge),
                         edge ? 23 : 20);
        ig_routing_arm_text(after, sizeof after, third, 0, edge);
        assert_int_equal(strcmp(before, after) == 0, edge == 0);
    }
    ig_routing_unref(third);
    assert_null(second->single);
    ig_routing_unref(first);
    assert_true(predict(second->face, 1) == sigmoid(1));
    ig_routing_unref(second);
}

static void test_split_is_sticky_and_by_weight(void **state)
{
    static const char *const GRAPH =
        "{\"root\":{\"split\":{\"salt\":\"s\",\"arms\":[{\"name\":\"x\",\"weight\":%g,\"node\":{"
        "\"model\":\"m\",\"version\":1}},{\"name\":\"y\",\"weight\":%g,\"node\":{\"model\":\"m\","
        "\"version\":2}}]}}}";
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    enum { UNITS = 40000 };
    static unsigned char before[UNITS];
    const double weights[] = {90, 70.55};
    int moved_back = 0, counts[2] = {0};
    for (int round = 0; round < 2; round++) {
        char json[512];
        snprintf(json, sizeof json, GRAPH, weights[round], 100 - weights[round]);
        const struct ig_routing *routing = build(world, json, NULL, &err);
        ASSERT_OK(err.code);
        for (int i = 0; i < UNITS; i++) {
            struct ig_routing_path taken;
            char unit[16];
            snprintf(unit, sizeof unit, "user-%d", i);
            route(&taken, routing, 1, unit);
            unsigned char arm = (unsigned char)taken.steps[0].edge;
            assert_true(fabs(taken.propensity -
                             (arm ? 100 - weights[round] : weights[round]) / 100) < 1e-12);
            assert_int_equal(taken.arm_step, 0);
            assert_true(taken.chances[0] == taken.propensity);
            /* the border itself is the next arm's */
            assert_int_equal(arm, ig_routing_bucket(routing, 0, ig_str_view(unit)) >=
                                      (uint32_t)lround(weights[round] * 100));
            moved_back += round && before[i] > arm;
            before[i] = arm;
            counts[round] += arm == 0;
        }
        ig_routing_unref(routing);
        double share = weights[round] / 100;
        double error = sqrt(share * (1 - share) / UNITS);
        assert_true(fabs((double)counts[round] / UNITS - share) < 4 * error);
    }
    assert_int_equal(moved_back, 0); /* who was on y stays on y while y grows */
}

static void test_segment_of_canary_of_ensemble(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_routing *routing = build(
        world,
        "{\"root\":{\"segment\":{\"rules\":[{\"name\":\"big\",\"when\":\"size > 5\",\"then\":{"
        "\"canary\":{\"stable\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[{\"model\":\"m\","
        "\"version\":1},{\"node\":{\"model\":\"m\",\"version\":2},\"weight\":3}]}},\"candidate\":{"
        "\"model\":\"m\",\"version\":3},\"canary_percent\":0}}},{\"when\":\"plan == 'gold'\","
        "\"then\":{\"model\":\"n\"}}],\"default\":{\"model\":\"m\",\"version\":1}}},\"context\":{"
        "\"plan\":\"text\"}}",
        NULL, &err);
    ASSERT_OK(err.code);
    struct ig_routing_path taken;
    const struct ig_servable *servable = route(&taken, routing, 6, "u");
    struct ig_str path = ig_routing_path_text(routing, &taken, &world->arena);
    assert_true(ig_str_is(path, "big/stable"));
    char arms[256];
    size_t length = ig_routing_path_arms(arms, sizeof arms, routing, &taken);
    arms[length] = 0;
    assert_memory_equal(arms, "root.big=stable@", 16);
    assert_string_equal(arms + 24, ":1");
    assert_int_equal(ig_routing_path_arms(arms, 10, routing, &taken), 0);
    assert_int_equal(servable->members_count, 2);
    double expected = (sigmoid(-1) + 3 * sigmoid(-2)) / 4;
    assert_true(fabs(predict(servable, 6) - expected) < 1e-12);
    assert_int_equal(strlen(servable->digest), 64);
    servable = route(&taken, routing, 2, "u");
    assert_true(ig_str_is(ig_routing_path_text(routing, &taken, &world->arena), "default"));
    assert_ptr_equal(servable, routing->face);
    const double size = 2;
    const struct ig_rules_value gold = {.present = true, .text = IG_STR("gold")};
    const struct ig_routing_input input = {.row = &size, .attributes = &gold};
    ig_routing_route(&taken, routing, &input);
    assert_string_equal(ig_routing_servable(routing, taken.node)->model, "n");
    assert_true(ig_str_is(ig_routing_path_text(routing, &taken, &world->arena), "rule"));
    ig_routing_unref(routing);
}

static void test_versions(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_path taken;
    const double size = 1;
    const struct ig_routing *routing =
        build(*state,
              "{\"root\":{\"versions\":{\"default\":{\"model\":\"m\",\"version\":2},\"others\":[{"
              "\"model\":\"m\",\"version\":1},{\"model\":\"m\"}]}}}",
              NULL, &err);
    ASSERT_OK(err.code);
    assert_ptr_equal(routing->single, routing->face);
    static const int64_t ASKED[] = {0, 1, 2, 3, 9}, ANSWERED[] = {2, 1, 2, 3, 2};
    for (int i = 0; i < 5; i++) {
        const struct ig_routing_input input = {.row = &size, .version = ASKED[i]};
        ig_routing_route(&taken, routing, &input);
        assert_int_equal(ig_routing_servable(routing, taken.node)->version, ANSWERED[i]);
        assert_int_equal(ig_routing_serves(routing, ASKED[i]), ASKED[i] >= 1 && ASKED[i] <= 3);
    }
    ig_routing_unref(routing);
    assert_null(
        build(*state,
              "{\"root\":{\"versions\":{\"default\":{\"model\":\"m\"},\"others\":[{\"model\":"
              "\"m\",\"version\":3}]}}}",
              NULL, &err));
    assert_non_null(strstr(err.message, "graph.nodes.root: version 3 stands twice"));
}

static void test_shadow(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_routing_path taken;
    const struct ig_routing *routing =
        build(*state,
              "{\"root\":{\"shadow\":{\"primary\":{\"model\":\"m\",\"version\":1},\"mirrors\":[{"
              "\"name\":\"next\",\"node\":{\"model\":\"m\",\"version\":2},\"percent\":50}]}}}",
              NULL, &err);
    ASSERT_OK(err.code);
    assert_ptr_equal(route(&taken, routing, 1, "u"), routing->single);
    assert_int_equal(taken.mirror_node, 0);
    ig_routing_unref(routing);
}

static const char *const BANDIT =
    "{\"root\":{\"bandit\":{\"arms\":[{\"name\":\"x\",\"node\":{\"model\":\"m\",\"version\":1}},{"
    "\"name\":\"y\",\"node\":{\"model\":\"m\",\"version\":2}},{\"name\":\"z\",\"node\":{\"model\":"
    "\"m\",\"version\":3}}]}}}";

static void test_bandit_follows_its_shares(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_routing *routing = build(*state, BANDIT, NULL, &err);
    ASSERT_OK(err.code);
    double shares[3];
    ig_routing_get_shares(routing, 0, shares);
    for (int i = 0; i < 3; i++) assert_true(fabs(shares[i] - 1.0 / 3) < 1e-12);
    const double wanted[3] = {0.05, 0.9, 0.05};
    ig_routing_set_shares(routing, 0, wanted);
    int counts[3] = {0};
    for (int i = 0; i < 20000; i++) {
        struct ig_routing_path taken;
        char unit[16];
        snprintf(unit, sizeof unit, "u%d", i);
        route(&taken, routing, 1, unit);
        unsigned arm = taken.steps[0].edge;
        counts[arm]++;
        assert_true(fabs(taken.propensity - wanted[arm]) < 1e-9);
    }
    for (int i = 0; i < 3; i++)
        assert_true(fabs(counts[i] / 20000.0 - wanted[i]) <
                    4 * sqrt(wanted[i] * (1 - wanted[i]) / 20000));
    ig_routing_unref(routing);
}

struct writer {
    const struct ig_routing *routing;
    atomic_bool stop;
};

static void *write_shares(void *context)
{
    struct writer *writer = context;
    const double a[3] = {0.8, 0.1, 0.1}, b[3] = {0.1, 0.1, 0.8};
    while (!atomic_load(&writer->stop)) {
        ig_routing_set_shares(writer->routing, 0, a);
        ig_routing_set_shares(writer->routing, 0, b);
    }
    return NULL;
}

/* A reader sees one writing or the other, never half of each. */
static void test_shares_change_whole(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct writer writer = {build(*state, BANDIT, NULL, &err), false};
    uint64_t thread;
    ASSERT_OK(err.code);
    const double first[3] = {0.8, 0.1, 0.1};
    ig_routing_set_shares(writer.routing, 0, first);
    ASSERT_OK(ig_thread_start(&thread, "shares", write_shares, &writer, &err));
    for (int i = 0; i < 20000; i++) {
        double shares[3];
        ig_routing_get_shares(writer.routing, 0, shares);
        double high = shares[0] > shares[2] ? shares[0] : shares[2];
        double low = shares[0] > shares[2] ? shares[2] : shares[0];
        if (fabs(high - 0.8) > 1e-9 || fabs(low - 0.1) > 1e-9 || fabs(shares[1] - 0.1) > 1e-9)
            fail_msg("%g %g %g", shares[0], shares[1], shares[2]);
    }
    atomic_store(&writer.stop, true);
    ig_thread_join(thread);
    ig_routing_unref(writer.routing);
}

/* A model of two features, unlike "m". */
static void register_other(struct ig_world *world)
{
    struct ig_err err = IG_ERR_INIT;
    char text[1024], digest[IG_SHA256_HEX];
    int64_t version;
    ig_world_model(text, 1, 2);
    memcpy(strstr(text, "size\n"), "mass\n", 5);
    ASSERT_OK(ig_blob_put(digest, world->blobs, ig_str_view(text), &err));
    const struct ig_version_spec spec = {.model = IG_STR("other"), .digest = ig_str_view(digest)};
    ASSERT_OK(
        ig_registry_version_create(&version, world->registry, &IG_PRINCIPAL_LOCAL, &spec, &err));
}

static void test_refuses(void **state)
{
    static const struct {
        const char *json, *message;
        enum ig_code code;
    } CASES[] = {
        {"{\"root\":{\"model\":\"nope\"}}", "model 'nope' does not exist", IG_NOT_FOUND},
        {"{\"root\":{\"canary\":{\"stable\":{\"model\":\"m\"},\"candidate\":{\"model\":\"m\","
         "\"version\":9}}}}",
         "graph.nodes.root.candidate: ", IG_NOT_FOUND},
        {"{\"root\":{\"canary\":{\"stable\":{\"model\":\"m\"},\"candidate\":{\"model\":\"other\"}"
         "}}}",
         "graph.nodes.root.candidate: schema: 'other' does not fit 'm': it has a feature 'mass', "
         "which the others lack",
         IG_INVALID},
        {"{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[{\"model\":\"m\"},{\"model\":"
         "\"other\"}]}}}",
         "graph.nodes.root: members[1] does not fit members[0]: it has a feature 'mass'",
         IG_INVALID},
        {"{\"root\":{\"segment\":{\"rules\":[{\"when\":\"width > 1\",\"then\":{\"model\":\"m\"}}],"
         "\"default\":{\"model\":\"n\"}}}}",
         "graph.nodes.root.segment: rules[0]: byte 0: 'width' is neither", IG_INVALID},
        {"{\"root\":{\"segment\":{\"rules\":[{\"when\":\"size > 1\",\"then\":{\"model\":\"m\"}},{"
         "\"when\":\"size > 2\",\"then\":{\"model\":\"m\"}}],\"default\":{\"model\":\"n\"}}}}",
         "graph.nodes.root.segment: rules[1]: no request reaches it", IG_INVALID},
        {"{\"root\":{\"model\":\"m\"},\"context\":{\"size\":\"text\"}}",
         "graph.context.size: a feature has that name", IG_INVALID},
    };
    struct ig_world *world = *state;
    register_other(world);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_err err = IG_ERR_INIT;
        assert_null(build(world, CASES[i].json, NULL, &err));
        if (err.code != CASES[i].code || !strstr(err.message, CASES[i].message))
            fail_msg("%s\n gave %s", CASES[i].json, err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_one_model),
        TEST(test_concurrency),
        TEST(test_reuses_what_is_loaded),
        TEST(test_split_is_sticky_and_by_weight),
        TEST(test_segment_of_canary_of_ensemble),
        TEST(test_versions),
        TEST(test_shadow),
        TEST(test_bandit_follows_its_shares),
        TEST(test_shares_change_whole),
        TEST(test_refuses),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
