/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/explaining.h"
#include "services/deploy/servable_priv.h"
#include "services/registry/world_testing.h"

struct fixture {
    struct ig_world world;
    struct ig_backgrounds *backgrounds;
    const struct ig_servable *servable;
    char digest[IG_SHA256_HEX];
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_world *world = &fixture.world;
    struct ig_registry_version version;
    struct ig_err err = IG_ERR_INIT;
    ig_world_open(world);
    ig_world_register(world, "m", -0.75);
    ASSERT_OK(
        ig_registry_version_get(&version, world->registry, IG_STR("m"), 1, &world->arena, &err));
    ASSERT_OK(ig_servable_load(&fixture.servable, &(struct ig_servable_source){world->blobs, 0},
                               IG_STR("d"), &version, &err));
    ASSERT_OK(
        ig_backgrounds_open(&fixture.backgrounds, world->db, world->blobs, world->registry, &err));
    ASSERT_OK(ig_blob_put(fixture.digest, world->blobs, IG_STR("size\n1\n2\n"), &err));
    const struct ig_background_spec spec = {IG_STR("m"), IG_STR("all"),
                                            ig_str_view(fixture.digest)};
    ASSERT_OK(ig_backgrounds_set(fixture.backgrounds, &IG_PRINCIPAL_LOCAL, &spec, &err));
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ig_servable_unref(fixture->servable);
    ig_backgrounds_close(fixture->backgrounds);
    ig_world_close(&fixture->world);
    return 0;
}

static bool choose(struct ig_explain_choice *out, const struct fixture *fixture,
                   const struct ig_explain_ask *ask, bool wait, struct ig_err *err)
{
    *err = IG_ERR_INIT;
    *out = (struct ig_explain_choice){0};
    return ig_explaining_choose(out, fixture->servable, fixture->backgrounds, ask, wait, err);
}

/* Not on the loop the first time; from then on it is found there. */
static void test_prepared_off_the_loop(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err;
    struct ig_explain_choice choice;
    const struct ig_explain_ask ask = {.background = IG_STR("all"), .rows_count = 1};
    assert_false(choose(&choice, fixture, &ask, false, &err));
    assert_int_equal(err.code, IG_OK);
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_int_equal(err.code, IG_OK);
    assert_int_equal(choice.method, IG_EXPLAINER_TREE_INTERVENTIONAL);
    assert_string_equal(choice.background, fixture->digest);
    assert_true(choice.explain && choice.cost_ns > 0);
    assert_true(choose(&choice, fixture, &ask, false, &err));
    assert_non_null(choice.explain);
    const struct ig_explain_ask plain = {.rows_count = 1};
    assert_true(choose(&choice, fixture, &plain, false, &err));
    assert_null(choice.explain);
    assert_int_equal(choice.method, IG_EXPLAINER_TREE_PATH_DEPENDENT);
}

static void test_budget(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err;
    struct ig_explain_choice choice;
    struct ig_explain_ask ask = {
        .background = IG_STR("all"), .rows_count = 1, .budget_ns = 1000000000};
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_int_equal(err.code, IG_OK);
    assert_int_equal(choice.method, IG_EXPLAINER_TREE_INTERVENTIONAL);
    assert_non_null(strstr(choice.why, "the best that fits: about "));
    ask.budget_ns = 1;
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_int_equal(err.code, IG_INVALID);
    assert_non_null(strstr(err.message, "budget_us: no method explains these rows within 0 us"));
    ask.method_given = true;
    ask.method = IG_EXPLAINER_EXACT;
    ask.rows_count = 1000;
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_int_equal(err.code, IG_INVALID);
    assert_non_null(strstr(err.message, "budget_us: method exact takes about "));
    ask.method = IG_EXPLAINER_LEVERAGE; /* samples for as long as it may */
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_int_equal(err.code, IG_OK);
    assert_non_null(strstr(choice.why, "it samples until"));
}

static void test_refusals(void **state)
{
    struct fixture *fixture = *state;
    struct ig_err err;
    struct ig_explain_choice choice;
    struct ig_explain_ask ask = {.background = IG_STR("none"), .rows_count = 1};
    assert_true(choose(&choice, fixture, &ask, false, &err));
    assert_string_equal(err.message, "background: model 'm' has no background 'none'");
    ask = (struct ig_explain_ask){
        .method_given = true, .method = IG_EXPLAINER_EXACT, .rows_count = 1};
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_string_equal(err.message, "background: method exact needs one");
    ask.method = IG_EXPLAINER_SAABAS;
    ask.background = IG_STR("all");
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_string_equal(err.message, "background: method saabas takes none; it is for "
                                     "tree_interventional, linear, exact, leverage, permutation, "
                                     "lime, lime_exact, counterfactual, "
                                     "tree_interactions_interventional");
    ask = (struct ig_explain_ask){.given = 1U << IG_EXPLAIN_OPTION_SAMPLES, .rows_count = 1};
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_non_null(strstr(err.message, "samples: method tree_path_dependent takes none"));
    ask.budget_ns = UINT64_C(1000000000);
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_int_equal(err.code, IG_OK);
    ask = (struct ig_explain_ask){.method_given = true,
                                  .method = IG_EXPLAINER_SAABAS,
                                  .background = IG_STR("all"),
                                  .rows_count = 1};
    ask.method = IG_EXPLAINER_LINEAR;
    assert_true(choose(&choice, fixture, &ask, true, &err));
    assert_int_equal(err.code, IG_UNSUPPORTED);
    assert_int_equal(ig_prepared_count(fixture->servable->prepared), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_prepared_off_the_loop, setup, teardown),
        cmocka_unit_test_setup_teardown(test_budget, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
