/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/model.h"

#include <math.h>
#include <string.h>

/* One tree: x0 < 0.5 ? 1 : (x1 <= 2 ? 2 : 3). */
static struct ig_model *small_model(void)
{
    struct ig_model *model = ig_model_new(1 << 20);
    assert_non_null(model);
    model->features_count = 2;
    model->outputs_count = model->predictions_count = 1;
    model->base_margin = ig_arena_array(&model->arena, 1, sizeof(double));
    model->trees = ig_arena_array(&model->arena, 1, sizeof(struct ig_tree));
    model->trees_count = 1;
    model->trees[0] = (struct ig_tree){.nodes_count = 5, .weight = 1};
    model->nodes = ig_arena_array(&model->arena, 5, sizeof(struct ig_node));
    model->nodes_count = 5;
    const struct ig_node nodes[] = {
        {.value = 0.5, .cover = 10, .left = 1, .right = 2, .op = IG_NODE_LT},
        {.value = 1, .cover = 4, .left = -1, .right = -1},
        {.value = 2, .cover = 6, .left = 3, .right = 4, .feature = 1, .op = IG_NODE_LE},
        {.value = 2, .cover = 5, .left = -1, .right = -1},
        {.value = 3, .cover = 1, .left = -1, .right = -1},
    };
    memcpy(model->nodes, nodes, sizeof nodes);
    return model;
}

static void expect_refused(struct ig_model *model, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_model_check(model, &err), IG_INVALID);
    assert_string_equal(err.message, message);
    ig_model_free(model);
}

static void test_check_sets_depth_and_leaves(void **state)
{
    (void)state;
    struct ig_model *model = small_model();
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_model_check(model, &err), IG_OK);
    assert_int_equal(model->trees[0].depth, 2);
    assert_int_equal(model->trees[0].leaves_count, 3);
    ig_model_free(model);
}

static void test_check_refuses_broken_shapes(void **state)
{
    (void)state;
    struct ig_model *model = small_model();
    model->nodes[2].left = 2;
    expect_refused(model, "tree 0, node 2: child out of order: 2");
    model = small_model();
    model->nodes[2].right = 0;
    expect_refused(model, "tree 0, node 2: child out of order: 0");
    model = small_model();
    model->nodes[2].right = 5;
    expect_refused(model, "tree 0, node 2: child out of order: 5");
    model = small_model();
    model->nodes[2].right = 3;
    expect_refused(model, "tree 0, node 2: child has another parent: 3");
    model = small_model();
    model->nodes[0].right = 3;
    expect_refused(model, "tree 0, node 2: not reached from the root: 2");
    model = small_model();
    model->nodes[1].left = 2;
    expect_refused(model, "tree 0, node 1: a leaf with child 2");
    model = small_model();
    model->trees[0].nodes_count = 6;
    expect_refused(model, "tree 0: nodes 0..+6 of 5");
    model = small_model();
    model->trees[0].output = 1;
    expect_refused(model, "tree 0: output 1 of 1");
}

static void test_check_refuses_broken_numbers(void **state)
{
    (void)state;
    struct ig_model *model = small_model();
    model->nodes[2].feature = 2;
    expect_refused(model, "tree 0, node 2: feature out of range: 2");
    model = small_model();
    model->nodes[0].value = NAN;
    expect_refused(model, "tree 0, node 0: threshold nan");
    model = small_model();
    model->nodes[3].cover = -1;
    expect_refused(model, "tree 0, node 3: cover -1");
    model = small_model();
    model->nodes[3].cover = INFINITY;
    expect_refused(model, "tree 0, node 3: cover inf");
    model = small_model();
    model->nodes[4].value = INFINITY;
    expect_refused(model, "tree 0, node 4: leaf value inf");
    model = small_model();
    model->nodes[0].op = IG_NODE_IN;
    expect_refused(model, "tree 0, node 0: no category set 0");
    model = small_model();
    model->leaf_vectors = true;
    expect_refused(model, "tree 0, node 1: no leaf vector 0");
    model = small_model();
    model->inputs_f32 = true;
    model->nodes[0].value = 0.1;
    expect_refused(model, "tree 0, node 0: threshold 0.10000000000000001");
    model = small_model();
    model->base_margin[0] = NAN;
    expect_refused(model, "base margin of output 0 is nan");
    model = small_model();
    model->predictions_count = 3;
    expect_refused(model, "prediction count 3, expected 1");
}

static void test_check_accepts_infinite_thresholds(void **state)
{
    (void)state;
    struct ig_model *model = small_model();
    struct ig_err err = IG_ERR_INIT;
    model->nodes[0].value = INFINITY;
    model->inputs_f32 = true;
    assert_int_equal(ig_model_check(model, &err), IG_OK);
    ig_model_free(model);
}

static void test_check_reports_no_memory(void **state)
{
    (void)state;
    struct ig_model *model = small_model();
    struct ig_err err = IG_ERR_INIT;
    ig_mem_fail_after(1);
    assert_int_equal(ig_model_check(model, &err), IG_NO_MEMORY);
    ig_mem_fail_after(0);
    ig_model_free(model);
}

static void transform(enum ig_transform which, bool f32, uint32_t count, const double *margins,
                      double *out)
{
    struct ig_model model = {
        .transform = which, .inputs_f32 = f32, .outputs_count = count, .transform_parameter = 1};
    ig_model_transform(&model, margins, out);
}

static void test_transforms(void **state)
{
    (void)state;
    double out[3];
    transform(IG_TRANSFORM_SIGMOID, true, 1, (const double[]){0}, out);
    assert_true(out[0] == 0.5);
    transform(IG_TRANSFORM_SIGMOID, true, 1, (const double[]){-1000}, out);
    assert_true(out[0] > 0 && out[0] < 1e-37);
    transform(IG_TRANSFORM_SIGMOID, false, 1, (const double[]){1}, out);
    assert_true(fabs(out[0] - 0.73105857863000487) < 1e-16);
    transform(IG_TRANSFORM_EXP, false, 1, (const double[]){1}, out);
    assert_true(out[0] == exp(1));
    transform(IG_TRANSFORM_SIGNED_SQUARE, false, 2, (const double[]){-3, 2}, out);
    assert_true(out[0] == -9 && out[1] == 4);
    transform(IG_TRANSFORM_ARGMAX, true, 3, (const double[]){1, 4, 4}, out);
    assert_true(out[0] == 1);
    transform(IG_TRANSFORM_HINGE, true, 2, (const double[]){0, 1e-9}, out);
    assert_true(out[0] == 0 && out[1] == 1);
    transform(IG_TRANSFORM_SORT, true, 3, (const double[]){3, -1, 2}, out);
    assert_true(out[0] == -1 && out[1] == 2 && out[2] == 3);
    transform(IG_TRANSFORM_SOFTMAX, false, 3, (const double[]){1, 1, 1}, out);
    assert_true(out[0] == 1.0 / 3 && out[2] == 1.0 / 3);
    transform(IG_TRANSFORM_SOFTMAX, true, 2, (const double[]){1000, 0}, out);
    assert_true(out[0] == 1 && out[1] == 0);
    transform(IG_TRANSFORM_LOG1P_EXP, false, 1, (const double[]){0}, out);
    assert_true(out[0] == log(2) || fabs(out[0] - log(2)) < 1e-15);
    transform(IG_TRANSFORM_CUMULATIVE_SOFTPLUS, true, 2, (const double[]){1, 0}, out);
    assert_true(out[0] == 1 && fabs(out[1] - (1 + 1e-6 + log(2))) < 1e-6);
}

static void test_transform_names_and_probabilities(void **state)
{
    (void)state;
    struct ig_model model = {.transform = IG_TRANSFORM_SOFTMAX};
    assert_true(ig_model_gives_probabilities(&model));
    model.transform = IG_TRANSFORM_EXP;
    assert_false(ig_model_gives_probabilities(&model));
    assert_string_equal(ig_transform_name(IG_TRANSFORM_EXP), "EXP");
    assert_string_equal(ig_transform_name((enum ig_transform)999), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_sets_depth_and_leaves),
        cmocka_unit_test(test_check_refuses_broken_shapes),
        cmocka_unit_test(test_check_refuses_broken_numbers),
        cmocka_unit_test(test_check_accepts_infinite_thresholds),
        cmocka_unit_test(test_check_reports_no_memory),
        cmocka_unit_test(test_transforms),
        cmocka_unit_test(test_transform_names_and_probabilities),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
