/* SPDX-License-Identifier: Apache-2.0 */
/* The working copy: unchanged it is the model, cut it is what is left, and counts agree. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/train/tree_edit.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

enum { ROWS = 200 };

static struct ig_testing_shape shape_of(uint64_t seed)
{
    struct ig_testing_shape shape = {.features = 5,
                                     .outputs = seed % 2 ? 1 : 3,
                                     .trees = 12,
                                     .depth = 5,
                                     .leaf_percent = 15,
                                     .set_percent = seed % 3 ? 0 : 30,
                                     .f32 = seed % 5 < 3,
                                     .dart = seed % 7 == 0,
                                     .leaf_vectors = seed % 4 == 0,
                                     .average = seed % 6 == 0,
                                     .sum_rule = IG_SUM_F32_BASE_FIRST};
    if (!shape.f32) shape.sum_rule = IG_SUM_F64;
    return shape;
}

static struct ig_model *model_of(const struct ig_tree_edit *edit)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    if (ig_tree_edit_model(&model, edit, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(model->trees_count, edit->trees_count);
    assert_int_equal(model->nodes_count, edit->splits_count + edit->leaves_count);
    return model;
}

static void near(const double *a, const double *b, uint32_t count)
{
    for (uint32_t o = 0; o < count; o++)
        if (!(fabs(a[o] - b[o]) <= 1e-5 * (1 + fabs(a[o])))) fail_msg("%.9g, %.9g", a[o], b[o]);
}

static void test_unchanged_it_is_the_model(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 30; seed++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tree_edit edit;
        const struct ig_testing_shape shape = shape_of(seed);
        struct ig_model *model = ig_testing_model(&shape, seed);
        double rows[ROWS * 5], a[3], b[3];
        assert_int_equal(ig_tree_edit_init(&edit, model, &err), IG_OK);
        struct ig_model *same = model_of(&edit);
        ig_testing_rows(model, seed, ROWS, rows);
        for (size_t i = 0; i < ROWS; i++) {
            ig_tree_walk_margin(model, rows + i * 5, a);
            ig_tree_walk_margin(same, rows + i * 5, b);
            near(a, b, shape.outputs);
        }
        ig_model_free(same);
        ig_tree_edit_deinit(&edit);
        ig_model_free(model);
    }
}

/* Cuts here and there, down to nothing: rows that end in a cut get its value. */
static void test_cuts(void **state)
{
    (void)state;
    struct ig_testing_shape shape = shape_of(1);
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_edit edit;
    struct ig_model *model = ig_testing_model(&shape, 3);
    uint64_t seed = 4;
    assert_int_equal(ig_tree_edit_init(&edit, model, &err), IG_OK);
    while (edit.splits_count) {
        uint32_t t = ig_testing_below(&seed, model->trees_count);
        const struct ig_tree *tree = &model->trees[t];
        uint32_t node = tree->first_node + ig_testing_below(&seed, tree->nodes_count);
        if (edit.kinds[node] != IG_TREE_SPLIT) continue;
        edit.values[node] = 100;
        ig_tree_edit_cut(&edit, t, node);
        struct ig_model *left = model_of(&edit);
        ig_model_free(left);
    }
    assert_int_equal(edit.trees_count, 0);
    struct ig_model *constant = model_of(&edit);
    double margin, row[5] = {0};
    ig_tree_walk_margin(constant, row, &margin);
    double expected = model->base_margin[0];
    for (uint32_t t = 0; t < model->trees_count; t++)
        expected += edit.values[model->trees[t].first_node];
    near(&margin, &expected, 1);
    ig_model_free(constant);
    ig_tree_edit_reset(&edit);
    assert_int_equal(edit.splits_count + edit.leaves_count,
                     model->nodes_count - (model->trees_count - edit.trees_count));
    ig_tree_edit_deinit(&edit);
    ig_model_free(model);
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_edit edit;
    struct ig_model model = {.kind = IG_MODEL_TREES, .linear_leaves = true};
    assert_int_equal(ig_tree_edit_init(&edit, &model, &err), IG_UNSUPPORTED);
    ig_tree_edit_deinit(&edit);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_unchanged_it_is_the_model),
        cmocka_unit_test(test_cuts),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
