/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/engine.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

#include <string.h>

enum { ROWS = 20 };

static void test_margins_of_trees(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {
        .features = 7, .outputs = 3, .trees = 12, .depth = 5, .f32 = true};
    struct ig_model *model = ig_testing_model(&shape, 77);
    struct ig_engine *engine = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    assert_ptr_equal(ig_engine_model(engine), model);
    double rows[ROWS * 7];
    double margins[ROWS * 3];
    ig_testing_rows(model, 78, ROWS, rows);
    void *scratch = ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, ROWS));
    ig_engine_margin(engine, rows, ROWS, margins, scratch);
    for (int i = 0; i < ROWS; i++) {
        double expected[3];
        ig_tree_walk_margin(model, rows + i * 7, expected);
        assert_memory_equal(margins + i * 3, expected, sizeof expected);
    }
    assert_true(ig_engine_memory_bytes(engine) > sizeof(void *));
    assert_non_null(ig_engine_isa(engine));
    ig_free(scratch);
    ig_engine_free(engine);
    ig_model_free(model);
}

static void test_margins_of_a_linear_model(void **state)
{
    (void)state;
    double weights[] = {2, -1, 5};
    double base = 0.5;
    const struct ig_model model = {.kind = IG_MODEL_LINEAR,
                                   .inputs_f32 = true,
                                   .features_count = 2,
                                   .outputs_count = 1,
                                   .weights = weights,
                                   .base_margin = &base};
    struct ig_engine *engine = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_engine_new(&engine, &model, &err), IG_OK);
    double margins[2];
    ig_engine_margin(engine, (double[]){1, 2, 3, NAN}, 2, margins, NULL);
    assert_true(margins[0] == 5.5 && margins[1] == 11.5);
    assert_string_equal(ig_engine_isa(engine), "scalar");
    double contributions[6];
    double additivity[2];
    double scratch[64] __attribute__((aligned(64)));
    assert_true(ig_engine_scratch_bytes(engine, IG_ENGINE_CONTRIBUTIONS, 2) <= sizeof scratch);
    const struct ig_engine_io io = {(double[]){1, 2, 3, NAN}, 2, contributions, additivity, NULL};
    ig_engine_explain(engine, &io, scratch);
    const double expected[] = {2, -2, 5.5, 6, 0, 5.5};
    assert_memory_equal(contributions, expected, sizeof expected);
    assert_true(additivity[0] == 0 && additivity[1] == 0);
    ig_engine_free(engine);
}

static void test_contributions_of_trees(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {
        .features = 4, .outputs = 2, .trees = 9, .depth = 4, .f32 = true};
    struct ig_model *model = ig_testing_model(&shape, 31);
    struct ig_engine *engine = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    assert_true(ig_engine_explains(engine));
    double rows[ROWS * 4];
    double contributions[ROWS * 10];
    double additivity[ROWS];
    double margins[ROWS * 2];
    double expected[10];
    double base[2];
    ig_testing_rows(model, 32, ROWS, rows);
    ig_engine_base_values(engine, base);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_CONTRIBUTIONS, ROWS));
    const struct ig_engine_io io = {rows, ROWS, contributions, additivity, margins};
    ig_engine_explain(engine, &io, scratch);
    for (int i = 0; i < ROWS; i++) {
        double *own = contributions + i * 10;
        assert_int_equal(ig_engine_explain_reference(engine, rows + i * 4, expected, &err), IG_OK);
        for (int j = 0; j < 10; j++) assert_true(fabs(own[j] - expected[j]) < 1e-5);
        assert_true(fabs(own[4] - base[0]) < 1e-9 && fabs(own[9] - base[1]) < 1e-9);
        double sum = own[0] + own[1] + own[2] + own[3] + own[4];
        assert_true(fabs(sum - margins[i * 2]) <= additivity[i] + 1e-12);
        assert_true(additivity[i] < 1e-5 * (1 + fabs(margins[i * 2])));
        ig_tree_walk_margin(model, rows + i * 4, expected);
        assert_memory_equal(margins + i * 2, expected, 2 * sizeof(double));
    }
    assert_true(ig_engine_cost_ns(engine, IG_ENGINE_CONTRIBUTIONS, 1) > 0);
    assert_true(ig_engine_cost_ns(engine, IG_ENGINE_MARGIN, 1000) <
                ig_engine_cost_ns(engine, IG_ENGINE_MARGIN, 100000));
    ig_free(scratch);
    ig_engine_free(engine);
    ig_model_free(model);
}

static void test_linear_leaves_predict_but_do_not_explain(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {.features = 3,
                                           .outputs = 1,
                                           .trees = 3,
                                           .depth = 3,
                                           .linear_leaves = true,
                                           .sum_rule = IG_SUM_F64};
    struct ig_model *model = ig_testing_model(&shape, 5);
    struct ig_engine *engine = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    assert_false(ig_engine_explains(engine));
    double row[3] = {0.5, -1, 2};
    double margin = 0;
    double expected = 1;
    void *scratch = ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, 1));
    ig_engine_margin(engine, row, 1, &margin, scratch);
    ig_tree_walk_margin(model, row, &expected);
    assert_memory_equal(&margin, &expected, sizeof margin);
    ig_free(scratch);
    ig_engine_free(engine);
    ig_model_free(model);
}

static void test_allocation_failures_are_reported(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {
        .features = 3, .outputs = 1, .trees = 3, .depth = 3, .f32 = true};
    struct ig_model *model = ig_testing_model(&shape, 9);
    enum ig_code code = IG_NO_MEMORY;
    for (uint64_t n = 1; code != IG_OK; n++) {
        assert_true(n < 200);
        struct ig_engine *engine = NULL;
        struct ig_err err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_engine_new(&engine, model, &err);
        ig_mem_fail_after(0);
        assert_true(code == IG_OK ? engine != NULL : code == IG_NO_MEMORY && !engine);
        ig_engine_free(engine);
    }
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_margins_of_trees),
        cmocka_unit_test(test_margins_of_a_linear_model),
        cmocka_unit_test(test_contributions_of_trees),
        cmocka_unit_test(test_linear_leaves_predict_but_do_not_explain),
        cmocka_unit_test(test_allocation_failures_are_reported),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
