/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments that are graphs: set, canary, promote, pause, history, and through a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/deploy_priv.h"
#include "services/registry/world_testing.h"

#include <string.h>

static const struct ig_principal *const who = &IG_PRINCIPAL_LOCAL;
static const struct ig_str D = {"d", 1};

static struct ig_deploy *open_deploy(struct ig_world *world)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_deploy *deploy = NULL;
    const struct ig_deploy_options options = {
        .db = world->db, .blobs = world->blobs, .registry = world->registry};
    ASSERT_OK(ig_deploy_open(&deploy, &options, &err));
    return deploy;
}

static int setup(void **state)
{
    static struct ig_world world;
    ig_world_open(&world);
    for (int i = 1; i <= 3; i++) ig_world_register(&world, "m", i);
    *state = &world;
    return 0;
}

static int teardown(void **state)
{
    ig_world_close(*state);
    return 0;
}

static enum ig_code set_graph(struct ig_world *world, struct ig_deploy *deploy, const char *json,
                              struct ig_err *err)
{
    struct ig_routing_spec graph;
    if (ig_routing_spec_read(&graph, ig_str_view(json), &world->arena, err) != IG_OK)
        return err->code;
    const struct ig_deployment_spec spec = {.name = D, .graph = &graph, .why = IG_STR("because")};
    return ig_deploy_set(deploy, who, &spec, err);
}

static enum ig_code set(struct ig_deploy *deploy, const char *model, const char *ref,
                        struct ig_err *err)
{
    const struct ig_deployment_spec spec = {
        .name = D, .model = ig_str_view(model), .ref = ig_str_view(ref)};
    return ig_deploy_set(deploy, who, &spec, err);
}

static enum ig_code canary(struct ig_deploy *deploy, const char *model, const char *ref,
                           uint32_t basis_points, struct ig_err *err)
{
    const struct ig_deployment_spec spec = {.name = D,
                                            .model = ig_str_view(model),
                                            .ref = ig_str_view(ref),
                                            .canary = true,
                                            .canary_basis_points = basis_points};
    return ig_deploy_set(deploy, who, &spec, err);
}

static void expect_graph(struct ig_world *world, struct ig_deploy *deploy, const char *graph)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment deployment;
    ASSERT_OK(ig_deploy_get(&deployment, deploy, D, &world->arena, &err));
    assert_string_equal(deployment.graph.ptr, graph);
    assert_int_equal(ig_deploy_acquire(deploy, D)->revision, deployment.revision);
}

#define NODE(name, version, ref)                                                                   \
    "\"" name "\":{\"model\":\"m\",\"version\":" version ",\"ref\":\"" ref "\"}"

static void test_canary_shorthand(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deploy *deploy = open_deploy(world);
    ASSERT_FAILS(canary(deploy, "m", "2", 500, &err), IG_INVALID, "nothing to compare with");
    ASSERT_OK(set(deploy, "m", "1", &err));
    ASSERT_FAILS(canary(deploy, "", "", 500, &err), IG_INVALID, "model: missing");
    ASSERT_OK(canary(deploy, "m", "2", 550, &err));
    expect_graph(world, deploy,
                 "{\"root\":\"canary\",\"nodes\":{\"canary\":{\"canary\":{\"stable\":\"stable\","
                 "\"candidate\":\"candidate\",\"canary_percent\":5.5}}," NODE(
                     "stable", "1", "1") "," NODE("candidate", "2", "2") "}}");
    /* another percentage, another candidate, the whole */
    ASSERT_OK(canary(deploy, "", "", 2500, &err));
    expect_graph(world, deploy,
                 "{\"root\":\"canary\",\"nodes\":{\"canary\":{\"canary\":{\"stable\":\"stable\","
                 "\"candidate\":\"candidate\",\"canary_percent\":25}}," NODE(
                     "stable", "1", "1") "," NODE("candidate", "2", "2") "}}");
    ASSERT_OK(canary(deploy, "m", "3", 2500, &err));
    const struct ig_routing *routing = ig_deploy_acquire(deploy, D);
    assert_int_equal(routing->spec.nodes_count, 3);
    assert_int_equal(ig_routing_servable(routing, 2)->version, 3);
    ASSERT_OK(canary(deploy, "", "", IG_ROUTING_WHOLE, &err));
    assert_int_equal(ig_deploy_acquire(deploy, D)->single->version, 3);
    ASSERT_OK(ig_deploy_rollback(deploy, who, D, 0, IG_STR(""), &err));
    assert_null(ig_deploy_acquire(deploy, D)->single);
    ASSERT_OK(set_graph(world, deploy,
                        "{\"root\":{\"segment\":{\"rules\":[{\"when\":\"size > 1\",\"then\":{"
                        "\"model\":\"m\"}}],\"default\":{\"model\":\"m\",\"version\":1}}}}",
                        &err));
    ASSERT_FAILS(canary(deploy, "m", "2", 500, &err), IG_INVALID, "begins with a segment");
    ig_deploy_close(deploy);
}

static enum ig_code promote(struct ig_deploy *deploy, struct ig_str node, struct ig_str arm,
                            struct ig_str why, struct ig_err *err)
{
    const struct ig_deploy_promotion promotion = {D, node, arm, why};
    return ig_deploy_promote(deploy, who, &promotion, err);
}

static void test_promote(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str none = IG_STR("");
    struct ig_deploy *deploy = open_deploy(world);
    ASSERT_FAILS(promote(deploy, none, none, none, &err), IG_NOT_FOUND, "'d'");
    ASSERT_OK(set(deploy, "m", "1", &err));
    ASSERT_FAILS(promote(deploy, none, none, none, &err), IG_CONFLICT, "no arm 'candidate'");
    ASSERT_OK(canary(deploy, "m", "2", 100, &err));
    ASSERT_OK(promote(deploy, none, none, IG_STR("better"), &err));
    assert_int_equal(ig_deploy_acquire(deploy, D)->single->version, 2);
    /* inside a segment, an arm of a split */
    ASSERT_OK(set_graph(world, deploy,
                        "{\"root\":{\"segment\":{\"rules\":[{\"when\":\"size > 1\",\"then\":\"ab\"}"
                        "],\"default\":{\"model\":\"m\",\"version\":1}}},\"nodes\":{\"ab\":{"
                        "\"split\":{\"arms\":[{\"name\":\"a\",\"weight\":50,\"node\":{\"model\":"
                        "\"m\",\"version\":2}},{\"name\":\"b\",\"weight\":50,\"node\":{\"model\":"
                        "\"m\",\"version\":3}}]}}}}",
                        &err));
    ASSERT_FAILS(promote(deploy, IG_STR("nope"), IG_STR("b"), none, &err), IG_INVALID,
                 "no node 'nope'");
    ASSERT_OK(promote(deploy, none, IG_STR("b"), none, &err));
    expect_graph(world, deploy,
                 "{\"root\":\"root\",\"nodes\":{\"root\":{\"segment\":{\"rules\":[{\"when\":"
                 "\"size > 1\",\"then\":\"ab.b\"}],\"default\":\"root.default\"}}," NODE(
                     "ab.b", "3", "3") "," NODE("root.default", "1", "1") "}}");
    ig_deploy_close(deploy);
}

static void test_pause_and_history(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment_changes changes;
    struct ig_deploy *deploy = open_deploy(world);
    static const char *const ACTIONS[] = {"rollback", "resume", "pause", "update", "create"};
    static const int64_t REVISIONS[] = {1, 2, 2, 2, 1};
    ASSERT_OK(set(deploy, "m", "1", &err));
    ASSERT_OK(set(deploy, "m", "2", &err));
    ASSERT_OK(ig_deploy_pause(deploy, who, D, true, IG_STR("looks wrong"), &err));
    assert_null(ig_deploy_acquire(deploy, D));
    assert_null(ig_deploy_acquire_only(deploy));
    assert_int_equal(ig_deploy_state(deploy, D), IG_DEPLOY_PAUSED);
    assert_true(ig_deploy_ready(deploy));
    ig_deploy_close(deploy);
    deploy = open_deploy(world); /* it stays paused */
    assert_int_equal(ig_deploy_state(deploy, D), IG_DEPLOY_PAUSED);
    ASSERT_OK(ig_deploy_pause(deploy, who, D, false, IG_STR(""), &err));
    assert_int_equal(ig_deploy_acquire(deploy, D)->single->version, 2);
    ASSERT_OK(ig_deploy_rollback(deploy, who, D, 0, IG_STR("it was"), &err));
    ASSERT_OK(ig_deploy_history(&changes, deploy, D, &world->arena, &err));
    assert_int_equal(changes.count, 5);
    for (size_t i = 0; i < 5; i++) {
        assert_true(ig_str_is(changes.items[i].action, ACTIONS[i]));
        assert_int_equal(changes.items[i].revision, REVISIONS[i]);
        assert_int_equal(changes.items[i].seq, 5 - i);
        assert_true(changes.items[i].graph.len > 0);
    }
    assert_true(ig_str_is(changes.items[0].why, "it was"));
    assert_true(ig_str_is(changes.items[2].why, "looks wrong"));
    assert_true(ig_str_is(changes.items[2].principal_id, who->id));
    char why[IG_DEPLOY_WHY_MAX + 2] = {0};
    memset(why, 'x', IG_DEPLOY_WHY_MAX + 1);
    ASSERT_FAILS(ig_deploy_rollback(deploy, who, D, 0, ig_str_view(why), &err), IG_INVALID,
                 "why: 1001 bytes");
    ig_deploy_close(deploy);
}

/* The same graph again is the same revision; an earlier one comes back by its number. */
static void test_revisions(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment deployment;
    struct ig_deploy *deploy = open_deploy(world);
    for (int i = 0; i < 2; i++) ASSERT_OK(set(deploy, "m", "1", &err));
    ASSERT_OK(set(deploy, "m", "2", &err));
    ASSERT_OK(set(deploy, "m", "3", &err));
    ASSERT_OK(ig_deploy_get(&deployment, deploy, D, &world->arena, &err));
    assert_int_equal(deployment.revision, 3);
    assert_int_equal(deployment.previous_revision, 2);
    ASSERT_FAILS(ig_deploy_rollback(deploy, who, D, 3, IG_STR(""), &err), IG_CONFLICT,
                 "serves revision 3 already");
    ASSERT_FAILS(ig_deploy_rollback(deploy, who, D, 9, IG_STR(""), &err), IG_NOT_FOUND,
                 "no revision 9");
    ASSERT_OK(ig_deploy_rollback(deploy, who, D, 1, IG_STR(""), &err));
    assert_int_equal(ig_deploy_acquire(deploy, D)->single->version, 1);
    /* version 2 is of neither the current revision nor the one before: it may go */
    ASSERT_OK(ig_registry_version_delete(world->registry, who, IG_STR("m"), 2, &err));
    ASSERT_FAILS(ig_registry_version_delete(world->registry, who, IG_STR("m"), 3, &err),
                 IG_CONFLICT, "deployed");
    ASSERT_FAILS(ig_deploy_rollback(deploy, who, D, 2, IG_STR(""), &err), IG_NOT_FOUND,
                 "no version 2");
    assert_int_equal(ig_deploy_acquire(deploy, D)->single->version, 1);
    ASSERT_OK(ig_deploy_delete(deploy, who, D, &err));
    ASSERT_OK(set(deploy, "m", "3", &err));
    ASSERT_OK(ig_deploy_get(&deployment, deploy, D, &world->arena, &err));
    assert_int_equal(deployment.revision, 1);
    ig_deploy_close(deploy);
}

static void test_version_policy(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deploy *deploy = open_deploy(world);
    static const int64_t LISTED[] = {1, 3}, TWICE[] = {1, 1}, UNKNOWN[] = {9};
    struct ig_deployment_spec spec = {
        .name = D, .model = IG_STR("m"), .ref = IG_STR("2"), .policy = IG_VERSIONS_ALL};
    ASSERT_OK(ig_deploy_set(deploy, who, &spec, &err));
    expect_graph(
        world, deploy,
        "{\"root\":\"versions\",\"nodes\":{\"versions\":{\"versions\":{\"default\":"
        "\"default\",\"others\":[{\"node\":\"version-3\"},{\"node\":\"version-1\"}]}}," NODE(
            "default", "2", "2") "," NODE("version-3", "3", "3") "," NODE("version-1", "1",
                                                                          "1") "}}");
    spec.policy = IG_VERSIONS_LATEST;
    spec.latest = 1;
    ASSERT_OK(ig_deploy_set(deploy, who, &spec, &err));
    assert_true(ig_routing_serves(ig_deploy_acquire(deploy, D), 3));
    assert_false(ig_routing_serves(ig_deploy_acquire(deploy, D), 1));
    spec.policy = IG_VERSIONS_LISTED;
    spec.versions = LISTED;
    spec.versions_count = 2;
    ASSERT_OK(ig_deploy_set(deploy, who, &spec, &err));
    assert_true(ig_routing_serves(ig_deploy_acquire(deploy, D), 1));
    assert_int_equal(ig_deploy_acquire(deploy, D)->single->version, 2);
    spec.versions = TWICE;
    ASSERT_FAILS(ig_deploy_set(deploy, who, &spec, &err), IG_INVALID, "versions: 1 stands twice");
    spec.versions = UNKNOWN;
    spec.versions_count = 1;
    ASSERT_FAILS(ig_deploy_set(deploy, who, &spec, &err), IG_NOT_FOUND, "no version 9");
    ig_deploy_close(deploy);
}

/* What does not fit changes nothing. Every model of a graph is protected, not only its face. */
static void test_bad_graphs_change_nothing(void **state)
{
    struct ig_world *world = *state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_deployment_changes changes;
    struct ig_deploy *deploy = open_deploy(world);
    ASSERT_OK(set_graph(world, deploy,
                        "{\"root\":{\"ensemble\":{\"combine\":\"mean\",\"members\":[{\"model\":"
                        "\"m\",\"version\":1},{\"model\":\"m\",\"version\":3}]}}}",
                        &err));
    const struct ig_routing *before = ig_deploy_acquire(deploy, D);
    assert_int_equal(before->single->members_count, 2);
    ASSERT_FAILS(set_graph(world, deploy,
                           "{\"root\":{\"segment\":{\"rules\":[{\"when\":\"weight > 1\",\"then\":{"
                           "\"model\":\"m\"}}],\"default\":{\"model\":\"m\"}}}}",
                           &err),
                 IG_INVALID, "graph.nodes.root.segment: rules[0]: byte 0: 'weight'");
    ASSERT_FAILS(set_graph(world, deploy, "{\"root\":{\"model\":\"m\",\"version\":8}}", &err),
                 IG_NOT_FOUND, "no version 8");
    assert_ptr_equal(ig_deploy_acquire(deploy, D), before);
    ASSERT_OK(ig_deploy_history(&changes, deploy, D, &world->arena, &err));
    assert_int_equal(changes.count, 1);
    ASSERT_FAILS(ig_registry_version_delete(world->registry, who, IG_STR("m"), 3, &err),
                 IG_CONFLICT, "deployed");
    ASSERT_OK(ig_registry_version_delete(world->registry, who, IG_STR("m"), 2, &err));
    ig_deploy_close(deploy);
    deploy = open_deploy(world);
    assert_int_equal(ig_deploy_acquire(deploy, D)->single->members_count, 2);
    ig_deploy_close(deploy);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
        TEST(test_version_policy), TEST(test_canary_shorthand),
        TEST(test_promote),        TEST(test_pause_and_history),
        TEST(test_revisions),      TEST(test_bad_graphs_change_nothing),
#undef TEST
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
