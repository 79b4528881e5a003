/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/deploy/inference.h"
#include "services/deploy/servable_priv.h"
#include "services/registry/world_testing.h"

#include <math.h>

static void test_run(void **state)
{
    struct ig_world world;
    struct ig_err err = IG_ERR_INIT;
    struct ig_registry_version version;
    struct ig_inference_result result;
    struct ig_arena small;
    const struct ig_servable *servable = NULL;
    const double rows[] = {1, 2};
    struct ig_inference_request request = {.rows = rows, .rows_count = 2};
    (void)state;
    ig_world_open(&world);
    ig_world_register(&world, "m", -0.75);
    ASSERT_OK(
        ig_registry_version_get(&version, world.registry, IG_STR("m"), 1, &world.arena, &err));
    ASSERT_OK(ig_servable_load(&servable, &(struct ig_servable_source){world.blobs, 0}, IG_STR("d"),
                               &version, &err));
    assert_true(ig_inference_cost_ns(servable, &request) > 0);
    ASSERT_OK(ig_inference_run(&result, servable, &request, &world.arena, &err));
    assert_true(result.margins[0] == -0.75 && result.margins[1] == 0.75);
    assert_true(fabs(result.predictions[1] - 1 / (1 + exp(-0.75))) < 1e-12);
    assert_true(result.probabilities);
    assert_null(result.explanations.contributions);
    assert_int_equal(ig_inference_class(servable, &result, 0), 0);
    assert_int_equal(ig_inference_class(servable, &result, 1), 1);
    request.explain = true;
    ASSERT_OK(ig_inference_run(&result, servable, &request, &world.arena, &err));
    assert_int_equal(result.features_count, 1);
    assert_true(fabs(result.explanations.contributions[2] - 0.75) <
                1e-9); /* row 1: all is the one feature's */
    assert_true(fabs(result.explanations.contributions[3]) < 1e-9); /* base value: leaves balance */
    assert_true(result.margins[0] == -0.75 && result.explanations.notes[1].additivity < 1e-9);
    ig_arena_init(&small, 256, 256);
    ASSERT_FAILS(ig_inference_run(&result, servable, &request, &small, &err), IG_NO_MEMORY,
                 "2 rows");
    ig_arena_deinit(&small);
    ig_servable_unref(servable);
    ig_world_close(&world);
}

/* A row that lacks what the model needs is refused, whichever way it came in. */
static void test_required_feature(void **state)
{
    static const char model[] =
        "<PMML version='4.4'><DataDictionary><DataField name='x' optype='continuous' "
        "dataType='double'/></DataDictionary><RegressionModel functionName='regression'>"
        "<MiningSchema><MiningField name='x'/></MiningSchema><RegressionTable><NumericPredictor "
        "name='x' coefficient='2'/></RegressionTable></RegressionModel></PMML>";
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_package *package = NULL;
    struct ig_inference_result result;
    const struct ig_servable *servable = NULL;
    const double rows[] = {3, NAN};
    struct ig_inference_request request = {.rows = rows, .rows_count = 1};
    (void)state;
    ig_arena_init(&arena, 4096, 1 << 20);
    ASSERT_OK(ig_package_open_bytes(&package, ig_str_view(model), NULL, &err));
    ASSERT_OK(ig_servable_own(&servable, package, IG_STR("m"), 1, 0, &err));
    ASSERT_OK(ig_inference_run(&result, servable, &request, &arena, &err));
    assert_true(result.predictions[0] == 6);
    request.rows_count = 2;
    ASSERT_FAILS(ig_inference_run(&result, servable, &request, &arena, &err), IG_INVALID,
                 "row 1: feature 'x' is missing");
    ig_servable_unref(servable);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run),
                                       cmocka_unit_test(test_required_feature)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
