/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

#include <string.h>

static const uint32_t WORDS[] = {0x0000000bU, 0x80000001U}; /* codes 0, 1, 3, 32, 63 */
static struct ig_category_set SETS[] = {{WORDS, 64}};

static struct ig_model rules(bool xgboost)
{
    return (struct ig_model){
        .inputs_f32 = xgboost, .category_truncates = !xgboost, .sets = SETS, .sets_count = 1};
}

static void test_float_threshold_and_one_unit_beside(void **state)
{
    (void)state;
    struct ig_model model = rules(true);
    float t = 0.1F;
    struct ig_node node = {.op = IG_NODE_LT, .value = (double)t, .missing = IG_NODE_MISSING_NAN};
    assert_false(ig_tree_goes_left(&model, &node, (double)t));
    assert_true(ig_tree_goes_left(&model, &node, (double)nextafterf(t, -1)));
    assert_false(ig_tree_goes_left(&model, &node, (double)nextafterf(t, 1)));
    assert_false(ig_tree_goes_left(&model, &node, 0.1)); /* rounds up to the threshold */
    assert_false(ig_tree_goes_left(&model, &node, NAN));
    node.flags = IG_NODE_DEFAULT_LEFT;
    assert_true(ig_tree_goes_left(&model, &node, NAN));
    node.value = 0;
    assert_false(ig_tree_goes_left(&model, &node, -0.0));
    node.value = INFINITY;
    assert_false(ig_tree_goes_left(&model, &node, 1e300)); /* infinite as a float */
}

static void test_double_threshold_is_inclusive(void **state)
{
    (void)state;
    struct ig_model model = rules(false);
    struct ig_node node = {.op = IG_NODE_LE, .value = 0.1, .missing = IG_NODE_MISSING_NAN};
    assert_true(ig_tree_goes_left(&model, &node, 0.1));
    assert_false(ig_tree_goes_left(&model, &node, nextafter(0.1, 1)));
    assert_false(ig_tree_goes_left(&model, &node, NAN));
}

static void test_missing_kinds(void **state)
{
    (void)state;
    struct ig_model model = rules(false);
    struct ig_node node = {.op = IG_NODE_LE, .value = -5};
    assert_false(ig_tree_goes_left(&model, &node, NAN)); /* read as 0 */
    node.value = 5;
    assert_true(ig_tree_goes_left(&model, &node, NAN));
    node.missing = IG_NODE_MISSING_ZERO;
    assert_false(ig_tree_goes_left(&model, &node, NAN));
    assert_false(ig_tree_goes_left(&model, &node, 0));
    assert_false(ig_tree_goes_left(&model, &node, -IG_TREE_ZERO));
    assert_true(ig_tree_goes_left(&model, &node, nextafter(IG_TREE_ZERO, 1)));
    assert_int_equal(memcmp(&(double){IG_TREE_ZERO}, &(double){(double)1e-35F}, 8), 0);
}

static void test_categories(void **state)
{
    (void)state;
    struct ig_model xgboost = rules(true);
    struct ig_node right = {.op = IG_NODE_IN, .missing = IG_NODE_MISSING_NAN};
    const double members[] = {0, -0.0, 1, 1.9, 3, 32, 63};
    const double others[] = {2, -0.5, -1, 64, 16777216, 1e30, INFINITY, -INFINITY};
    for (size_t i = 0; i < 7; i++) assert_false(ig_tree_goes_left(&xgboost, &right, members[i]));
    for (size_t i = 0; i < 8; i++) assert_true(ig_tree_goes_left(&xgboost, &right, others[i]));
    struct ig_model lightgbm = rules(false);
    struct ig_node left = right;
    left.flags = IG_NODE_SET_LEFT;
    for (size_t i = 0; i < 7; i++) assert_true(ig_tree_goes_left(&lightgbm, &left, members[i]));
    assert_true(ig_tree_goes_left(&lightgbm, &left, -0.5));
    assert_false(ig_tree_goes_left(&lightgbm, &left, -1));
    assert_false(ig_tree_goes_left(&lightgbm, &left, 2147483648.0));
    assert_false(ig_tree_goes_left(&lightgbm, &left, NAN));
}

/* Sums that differ by rule: 1e8f + 1 is 1e8f in float. */
static void test_sum_rules(void **state)
{
    (void)state;
    struct ig_tree trees[] = {{.nodes_count = 1, .weight = 1},
                              {.first_node = 1, .nodes_count = 1, .weight = 0.5}};
    struct ig_node nodes[] = {{.value = 3, .left = -1, .right = -1},
                              {.value = 2, .left = -1, .right = -1}};
    double base = 1e8;
    double margin = 0;
    struct ig_model model = {.trees = trees,
                             .trees_count = 2,
                             .nodes = nodes,
                             .nodes_count = 2,
                             .outputs_count = 1,
                             .iterations_count = 2,
                             .base_margin = &base};
    ig_tree_walk_margin(&model, NULL, &margin);
    assert_true(margin == 1e8); /* each step is lost */
    model.sum_rule = IG_SUM_F32_BASE_LAST;
    ig_tree_walk_margin(&model, NULL, &margin);
    assert_true(margin == 100000000.0); /* 4 is half a unit: to even */
    model.sum_rule = IG_SUM_F64;
    ig_tree_walk_margin(&model, NULL, &margin);
    assert_true(margin == 100000004.0);
    model.average = true;
    ig_tree_walk_margin(&model, NULL, &margin);
    assert_true(margin == 100000002.0);
}

static void test_linear_leaf_falls_back_on_missing(void **state)
{
    (void)state;
    uint32_t features[] = {1, 0};
    double coefficients[] = {2, 0.5};
    struct ig_linear_leaf linear = {10, features, coefficients, 2};
    struct ig_model model = {.linear = &linear, .linear_count = 1, .linear_leaves = true};
    struct ig_node leaf = {.value = 7, .left = -1, .right = -1};
    assert_true(ig_tree_linear_leaf(&model, &leaf, (double[]){4, 3}) == 18);
    assert_true(ig_tree_linear_leaf(&model, &leaf, (double[]){NAN, 3}) == 7);
    leaf.extra = IG_MODEL_NONE;
    assert_true(ig_tree_linear_leaf(&model, &leaf, (double[]){4, 3}) == 7);
}

static void test_leaf_vectors(void **state)
{
    (void)state;
    struct ig_tree tree = {.nodes_count = 1, .weight = 2};
    struct ig_node leaf = {.left = -1, .right = -1, .extra = 1};
    double values[] = {1, 2, 3, 4};
    double base[] = {0.5, 0};
    struct ig_model model = {.trees = &tree,
                             .trees_count = 1,
                             .nodes = &leaf,
                             .nodes_count = 1,
                             .outputs_count = 2,
                             .leaf_vectors = true,
                             .leaf_values = values,
                             .leaf_values_count = 2,
                             .base_margin = base};
    double margins[2];
    ig_tree_walk_margin(&model, NULL, margins);
    assert_true(margins[0] == 6.5 && margins[1] == 8);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_float_threshold_and_one_unit_beside),
        cmocka_unit_test(test_double_threshold_is_inclusive),
        cmocka_unit_test(test_missing_kinds),
        cmocka_unit_test(test_categories),
        cmocka_unit_test(test_sum_rules),
        cmocka_unit_test(test_linear_leaf_falls_back_on_missing),
        cmocka_unit_test(test_leaf_vectors),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
