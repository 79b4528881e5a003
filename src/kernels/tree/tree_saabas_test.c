/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_saabas.h"
#include "kernels/tree/tree_testing.h"

#include <math.h>

/* (x0 > 0.5) and (x1 > 0.5), 80 if both, from four rows, one a corner; split on `first` first. */
static struct ig_model *and_model(uint32_t first)
{
    struct ig_model *model = ig_model_new(1 << 20);
    struct ig_err err = IG_ERR_INIT;
    assert_non_null(model);
    model->features_count = 2;
    model->outputs_count = model->predictions_count = model->iterations_count = 1;
    model->sum_rule = IG_SUM_F64;
    model->nodes = ig_arena_array(&model->arena, 5, sizeof *model->nodes);
    model->trees = ig_arena_array(&model->arena, 1, sizeof *model->trees);
    model->base_margin = ig_arena_array(&model->arena, 1, sizeof(double));
    model->nodes_count = 5;
    model->trees_count = 1;
    model->trees[0] = (struct ig_tree){.nodes_count = 5, .weight = 1};
    for (uint32_t i = 0; i < 5; i++)
        model->nodes[i] = (struct ig_node){
            .op = IG_NODE_LEAF, .left = -1, .right = -1, .extra = IG_MODEL_NONE, .cover = 1};
    for (uint32_t i = 0; i <= 2; i += 2) {
        model->nodes[i].op = IG_NODE_LE;
        model->nodes[i].value = 0.5;
        model->nodes[i].feature = i ? 1 - first : first;
        model->nodes[i].left = (int32_t)i + 1;
        model->nodes[i].right = (int32_t)i + 2;
    }
    model->nodes[0].cover = 4;
    model->nodes[1].cover = model->nodes[2].cover = 2;
    model->nodes[4].value = 80;
    assert_int_equal(ig_model_check(model, &err), IG_OK);
    return model;
}

/* Both orders of the splits; their mean is what shap's test_consistency_approximate wants:
 * [-10, -10], [10, -30], [-30, 10], [30, 30]. */
static void test_and(void **state)
{
    static const double ROWS[] = {0, 0, 1, 0, 0, 1, 1, 1};
    static const double WANTED[2][12] = {{-20, 0, 20, 20, -40, 20, -20, 0, 20, 20, 40, 20},
                                         {0, -20, 20, 0, -20, 20, -40, 20, 20, 40, 20, 20}};
    (void)state;
    for (uint32_t first = 0; first < 2; first++) {
        struct ig_model *model = and_model(first);
        struct ig_tree_saabas *saabas;
        struct ig_err err = IG_ERR_INIT;
        double margins[4], contributions[12], additivity[4];
        for (int i = 0; i < 4; i++) ig_tree_walk_margin(model, ROWS + 2 * i, margins + i);
        assert_int_equal(ig_tree_saabas_new(&saabas, model, NULL, &err), IG_OK);
        ig_tree_saabas_run(saabas, ROWS, 4, margins, contributions, additivity);
        for (int i = 0; i < 12; i++) assert_true(contributions[i] == WANTED[first][i]);
        for (int i = 0; i < 4; i++) assert_true(additivity[i] == 0);
        ig_tree_saabas_free(saabas);
        ig_model_free(model);
    }
}

/* Additive for every kind of model; groups are sums of their features. */
static void test_shapes(void **state)
{
    static const struct ig_testing_shape SHAPES[] = {
        {.features = 6,
         .outputs = 3,
         .trees = 12,
         .depth = 5,
         .set_percent = 20,
         .missing_kinds = true,
         .sum_rule = IG_SUM_F64},
        {.features = 6, .outputs = 2, .trees = 6, .depth = 5, .f32 = true, .leaf_vectors = true},
        {.features = 6, .outputs = 1, .trees = 9, .depth = 4, .f32 = true, .dart = true},
        {.features = 6,
         .outputs = 1,
         .trees = 9,
         .depth = 4,
         .average = true,
         .sum_rule = IG_SUM_F64},
        {.features = 6, .outputs = 1, .trees = 3, .depth = 0, .f32 = true},
    };
    static const uint32_t MAP[] = {0, 1, 0, 2, 1, 1};
    const struct ig_players players = {MAP, 3};
    (void)state;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        struct ig_model *model = ig_testing_model(&SHAPES[i], i + 1);
        struct ig_tree_saabas *plain, *grouped;
        struct ig_err err = IG_ERR_INIT;
        enum { ROWS = 8 };
        double rows[ROWS * 6], margins[ROWS * 3], one[ROWS * 21], many[ROWS * 12], apart[ROWS];
        uint32_t outputs = SHAPES[i].outputs;
        ig_testing_rows(model, 9, ROWS, rows);
        for (int k = 0; k < ROWS; k++)
            ig_tree_walk_margin(model, rows + 6 * k, margins + outputs * (size_t)k);
        assert_int_equal(ig_tree_saabas_new(&plain, model, NULL, &err), IG_OK);
        assert_int_equal(ig_tree_saabas_new(&grouped, model, &players, &err), IG_OK);
        ig_tree_saabas_run(plain, rows, ROWS, margins, one, apart);
        for (int k = 0; k < ROWS; k++) assert_true(apart[k] <= 1e-5);
        ig_tree_saabas_run(grouped, rows, ROWS, margins, many, apart);
        for (size_t k = 0; k < ROWS * outputs; k++) {
            double sums[3] = {0};
            for (int f = 0; f < 6; f++) sums[MAP[f]] += one[k * 7 + (size_t)f];
            for (size_t p = 0; p < 3; p++) assert_true(fabs(sums[p] - many[k * 4 + p]) < 1e-12);
            assert_true(one[k * 7 + 6] == many[k * 4 + 3]);
        }
        assert_true(ig_tree_saabas_memory_bytes(plain) > 64);
        ig_tree_saabas_free(plain);
        ig_tree_saabas_free(grouped);
        ig_model_free(model);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_model *model = and_model(0);
    struct ig_tree_saabas *saabas = NULL;
    enum ig_code code = IG_NO_MEMORY;
    struct ig_err err = IG_ERR_INIT;
    for (uint64_t n = 1; code != IG_OK && n < 20; n++) {
        err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_tree_saabas_new(&saabas, model, NULL, &err);
        assert_int_equal(code, ig_mem_failed() ? IG_NO_MEMORY : IG_OK);
    }
    ig_mem_fail_after(0);
    assert_int_equal(code, IG_OK);
    ig_tree_saabas_free(saabas);
    model->kind = IG_MODEL_LINEAR;
    assert_int_equal(ig_tree_saabas_new(&saabas, model, NULL, &err), IG_INVALID);
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_and),
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
