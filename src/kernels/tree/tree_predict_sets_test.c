/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/tree/tree_predict_sets.h"
#include "kernels/tree/tree_testing.h"

static void check_shape(const struct ig_testing_shape *shape, uint64_t seed)
{
    struct ig_model *model = ig_testing_model(shape, seed);
    assert_non_null(model);
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_sets sets = {.first_column = 5};
    ig_arena_init(&arena, 65536, 1 << 30);
    struct ig_tree_test *tests = ig_zalloc_array(model->nodes_count, sizeof *tests);
    assert_int_equal(ig_tree_sets_init(&sets, model, tests, &arena, &err), IG_OK);
    static const double VALUES[] = {NAN,  -INFINITY, -1,  -0.5,     -0.0,       0,   0.5,
                                    1,    1.99,      31,  32,       33,         64,  84,
                                    95.5, 96,        200, 16777215, 16777216.0, 1e20};
    uint16_t ranks[32];
    double row[8];
    for (size_t v = 0; v < sizeof VALUES / sizeof *VALUES; v++) {
        for (uint32_t f = 0; f < model->features_count; f++) row[f] = VALUES[v];
        ig_tree_sets_row(&sets, row, ranks);
        for (uint32_t i = 0; i < model->nodes_count; i++) {
            const struct ig_node *node = &model->nodes[i];
            if (node->op != IG_NODE_IN) continue;
            assert_in_range(tests[i].column, 5, 5 + sets.columns_count - 1);
            uint32_t right = ig_tree_sets_right(&sets, tests[i].threshold, ranks[tests[i].column]);
            assert_int_equal(right, !ig_tree_goes_left(model, node, VALUES[v]));
        }
    }
    ig_free(tests);
    ig_arena_deinit(&arena);
    ig_model_free(model);
}

static void test_tables_answer_as_nodes_do(void **state)
{
    (void)state;
    const struct ig_testing_shape xgboost = {
        .features = 4, .outputs = 1, .trees = 6, .depth = 5, .f32 = true, .set_percent = 80};
    struct ig_testing_shape lightgbm = xgboost;
    lightgbm.f32 = false;
    lightgbm.sum_rule = IG_SUM_F64;
    check_shape(&xgboost, 3);
    check_shape(&lightgbm, 4);
}

static void expect_too_large(const struct ig_node *node, struct ig_category_set set)
{
    const struct ig_model model = {.features_count = 1,
                                   .nodes = (struct ig_node *)node,
                                   .nodes_count = 1,
                                   .sets = &set,
                                   .sets_count = 1};
    struct ig_tree_test test;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_sets sets = {0};
    ig_arena_init(&arena, 65536, 1 << 20);
    assert_int_equal(ig_tree_sets_init(&sets, &model, &test, &arena, &err), IG_TOO_LARGE);
    ig_arena_deinit(&arena);
}

static void test_what_columns_cannot_say_is_refused(void **state)
{
    (void)state;
    static const uint32_t WORD = 1;
    struct ig_node node = {.op = IG_NODE_IN, .missing = IG_NODE_MISSING_NAN};
    expect_too_large(&node, (struct ig_category_set){&WORD, 70000});
    node.missing = IG_NODE_MISSING_ZERO; /* 0 and 0.5 are one code, but only 0 is missing */
    expect_too_large(&node, (struct ig_category_set){&WORD, 1});
}

/* One set of 60,000 codes makes every table of the feature as wide. */
static void test_wide_tables_for_narrow_sets_are_refused(void **state)
{
    (void)state;
    enum { NODES = 500 };
    uint32_t *words = ig_zalloc_array(60000 / 32 + 1, sizeof *words);
    struct ig_category_set sets[] = {{words, 60000}, {words, 3}};
    struct ig_node *nodes = ig_zalloc_array(NODES, sizeof *nodes);
    struct ig_tree_test *tests = ig_zalloc_array(NODES, sizeof *tests);
    for (int i = 0; i < NODES; i++) {
        nodes[i].op = IG_NODE_IN;
        nodes[i].missing = IG_NODE_MISSING_NAN;
        nodes[i].extra = i > 0;
    }
    const struct ig_model model = {
        .features_count = 1, .nodes = nodes, .nodes_count = NODES, .sets = sets, .sets_count = 2};
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_sets lowered = {0};
    ig_arena_init(&arena, 65536, 1 << 30);
    assert_int_equal(ig_tree_sets_init(&lowered, &model, tests, &arena, &err), IG_TOO_LARGE);
    assert_int_equal(arena.held_bytes, 0);
    ig_arena_deinit(&arena);
    ig_free(words);
    ig_free(nodes);
    ig_free(tests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables_answer_as_nodes_do),
        cmocka_unit_test(test_wide_tables_for_narrow_sets_are_refused),
        cmocka_unit_test(test_what_columns_cannot_say_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
