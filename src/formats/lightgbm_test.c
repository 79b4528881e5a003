/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM text files: what is understood, and what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/document_testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* colour in {0, 2} ? -1 : (size <= 1.5 ? 0.25 : 2) */
static const char document[] = "tree\n"
                               "version=v4\n"
                               "num_class=1\n"
                               "num_tree_per_iteration=1\n"
                               "label_index=0\n"
                               "max_feature_idx=1\n"
                               "objective=binary sigmoid:1\n"
                               "feature_names=size a=b\n"
                               "feature_infos=[0:9] 0:1:2\n"
                               "tree_sizes=1\n"
                               "\n"
                               "Tree=0\n"
                               "num_leaves=3\n"
                               "num_cat=1\n"
                               "split_feature=1 0\n"
                               "threshold=0 1.5000000000000002\n"
                               "decision_type=1 8\n"
                               "left_child=-1 -2\n"
                               "right_child=1 -3\n"
                               "leaf_value=-1 0.25 2\n"
                               "leaf_weight=0.5 0.25 0.125\n"
                               "leaf_count=5 3 2\n"
                               "internal_count=10 5\n"
                               "cat_boundaries=0 1\n"
                               "cat_threshold=5\n"
                               "is_linear=0\n"
                               "shrinkage=1\n"
                               "\n"
                               "end of trees\n"
                               "\n"
                               "pandas_categorical:[[\"x\", 2, true]]\n";

static void test_plain_tree(void **state)
{
    (void)state;
    struct ig_model *model = load_edited(document, NULL, 0);
    assert_int_equal(model->features_count, 2);
    assert_int_equal(model->outputs_count, 1);
    assert_int_equal(model->sum_rule, IG_SUM_F64);
    assert_false(model->inputs_f32);
    assert_true(model->category_truncates);
    assert_true(model->base_margin[0] == 0);
    const struct ig_node *nodes = model->nodes;
    assert_int_equal(nodes[0].op, IG_NODE_IN);
    assert_int_equal(nodes[0].flags, IG_NODE_SET_LEFT);
    assert_int_equal(model->sets[nodes[0].extra].bits, 32);
    assert_int_equal(model->sets[nodes[0].extra].words[0], 5);
    assert_int_equal(nodes[0].left, 2);
    assert_int_equal(nodes[0].right, 1);
    assert_int_equal(nodes[1].op, IG_NODE_LE);
    assert_int_equal(nodes[1].missing, IG_NODE_MISSING_NAN);
    assert_int_equal(nodes[1].flags, 0);
    assert_true(nodes[1].value == 1.5000000000000002);
    assert_int_equal(nodes[4].source_id, 2);
    assert_true(nodes[4].value == 2 && nodes[4].cover == 2 && nodes[0].cover == 10);
    assert_true(ig_str_is(model->inputs[1].name, "a=b"));
    assert_int_equal(model->inputs[0].kind, IG_INPUT_NUMERIC);
    assert_int_equal(model->inputs[1].kind, IG_INPUT_CATEGORICAL);
    assert_int_equal(model->inputs[1].categories_count, 3);
    assert_true(ig_str_is(model->inputs[1].categories[0], "x"));
    assert_true(ig_str_is(model->inputs[1].categories[1], "2"));
    assert_true(ig_str_is(model->inputs[1].categories[2], "True"));
    assert_true(ig_str_is(model->source_version, "v4"));
    ig_model_free(model);
}

static void test_decision_types(void **state)
{
    (void)state;
    struct ig_model *model = LOAD({"decision_type=1 8", "decision_type=1 6"});
    assert_int_equal(model->nodes[1].missing, IG_NODE_MISSING_ZERO);
    assert_int_equal(model->nodes[1].flags, IG_NODE_DEFAULT_LEFT);
    ig_model_free(model);
    model = LOAD({"decision_type=1 8", "decision_type=1 2"});
    assert_int_equal(model->nodes[1].missing, IG_NODE_MISSING_NONE);
    ig_model_free(model);
    REFUSE(IG_INVALID, "tree 0: decision_type[1] is 12, expected a known bit pattern",
           {"decision_type=1 8", "decision_type=1 12"});
}

static void test_thresholds_near_zero_act_as_zero(void **state)
{
    (void)state;
    struct ig_model *model = LOAD({"1.5000000000000002", "1e-40"});
    assert_true(model->nodes[1].value == (double)1e-35F);
    ig_model_free(model);
    model = LOAD({"1.5000000000000002", "-1.0000000180025095e-35"});
    assert_true(model->nodes[1].value < -(double)1e-35F);
    ig_model_free(model);
    model = LOAD({"1.5000000000000002", "inf"});
    assert_true(isinf(model->nodes[1].value));
    ig_model_free(model);
}

static void test_covers_fall_back(void **state)
{
    (void)state;
    struct ig_model *model = LOAD({"leaf_count=5 3 2\ninternal_count=10 5\n", ""});
    assert_true(model->nodes[2].cover == 0.5 && model->nodes[1].cover == 0.375);
    assert_true(model->nodes[0].cover == 0.875);
    ig_model_free(model);
    model = LOAD({"leaf_weight=0.5 0.25 0.125\nleaf_count=5 3 2\ninternal_count=10 5\n", ""});
    assert_true(model->nodes[4].cover == 1 && model->nodes[0].cover == 3);
    ig_model_free(model);
}

static void expect_transform(const char *objective, enum ig_transform transform, double parameter)
{
    struct ig_model *model = LOAD({"binary sigmoid:1", objective});
    assert_int_equal(model->transform, transform);
    assert_true(model->transform_parameter == parameter);
    assert_true(ig_str_is(model->objective, objective));
    ig_model_free(model);
}

static void test_objectives(void **state)
{
    (void)state;
    expect_transform("regression", IG_TRANSFORM_IDENTITY, 1);
    expect_transform("regression sqrt", IG_TRANSFORM_SIGNED_SQUARE, 1);
    expect_transform("quantile sqrt", IG_TRANSFORM_SIGNED_SQUARE, 1);
    expect_transform("huber sqrt", IG_TRANSFORM_IDENTITY, 1);
    expect_transform("poisson", IG_TRANSFORM_EXP, 1);
    expect_transform("gamma", IG_TRANSFORM_EXP, 1);
    expect_transform("tweedie", IG_TRANSFORM_EXP, 1);
    expect_transform("binary sigmoid:2.5", IG_TRANSFORM_SIGMOID, 2.5);
    expect_transform("binary sigmoid:1e-1", IG_TRANSFORM_SIGMOID, 0.1);
    expect_transform("multiclassova num_class:1 sigmoid:0.5", IG_TRANSFORM_SIGMOID_EACH, 0.5);
    expect_transform("multiclass num_class:1", IG_TRANSFORM_SOFTMAX, 1);
    expect_transform("cross_entropy", IG_TRANSFORM_SIGMOID, 1);
    expect_transform("cross_entropy_lambda", IG_TRANSFORM_LOG1P_EXP, 1);
    expect_transform("lambdarank", IG_TRANSFORM_IDENTITY, 1);
    REFUSE(IG_UNSUPPORTED, "objective 'mine' is unknown", {"binary sigmoid:1", "mine"});
    REFUSE(IG_INVALID, "objective: sigmoid '-1': expected a positive number",
           {"sigmoid:1", "sigmoid:-1"});
    struct ig_model *model = LOAD({"objective=binary sigmoid:1\n", ""});
    assert_int_equal(model->transform, IG_TRANSFORM_IDENTITY);
    ig_model_free(model);
}

static void test_linear_leaves(void **state)
{
    (void)state;
    static const char lines[] = "is_linear=1\nleaf_const=0.5 1 2\nnum_features=1 0 2\n"
                                "leaf_features=0  0 1 \nleaf_coeff=0.25  1 -3 ";
    struct ig_model *model = LOAD({"is_linear=0", lines});
    assert_true(model->linear_leaves);
    const struct ig_linear_leaf *leaf = &model->linear[model->nodes[4].extra];
    assert_int_equal(leaf->count, 2);
    assert_true(leaf->constant == 2 && leaf->coefficients[1] == -3 && leaf->features[1] == 1);
    assert_int_equal(model->linear[model->nodes[3].extra].count, 0);
    ig_model_free(model);
    REFUSE(IG_INVALID, "tree 0: leaf_const is absent", {"is_linear=0", "is_linear=1"});
    REFUSE(IG_INVALID, "tree 0, node 2: linear leaf's feature 7", {"is_linear=0", lines},
           {"leaf_features=0", "leaf_features=7"});
    REFUSE(IG_INVALID, "tree 0: leaf_coeff has 3 elements, expected 4", {"is_linear=0", lines},
           {"num_features=1 0 2", "num_features=2 0 2"}, {"leaf_features=0", "leaf_features=0 1"});
    REFUSE(IG_INVALID, "tree 0: num_features[0] is 1000000000, expected a count",
           {"is_linear=0", lines}, {"num_features=1 0 2", "num_features=1000000000 0 2"});
}

static void test_outputs_and_iterations(void **state)
{
    (void)state;
    static const char trees[] = "Tree=9\nnum_leaves=1\nnum_cat=0\nleaf_value=0.5\n\n"
                                "Tree=10\nnum_leaves=1\nleaf_value=0.75\n\nend of trees";
    struct ig_model *model =
        LOAD({"num_tree_per_iteration=1", "num_tree_per_iteration=2"}, {"end of trees", trees},
             {"label_index", "average_output\nlabel_index"});
    assert_int_equal(model->outputs_count, 2);
    assert_int_equal(model->iterations_count, 1);
    assert_int_equal(model->trees_count, 2); /* the third is of an incomplete iteration */
    assert_int_equal(model->trees[1].output, 1);
    assert_int_equal(model->trees[1].nodes_count, 1);
    assert_true(model->average);
    ig_model_free(model);
}

static void test_line_ends_and_category_comment(void **state)
{
    (void)state;
    char *crlf = malloc(2 * sizeof document);
    char *at = crlf;
    for (const char *c = document; *c; c++) {
        if (*c == '\n') *at++ = '\r';
        *at++ = *c;
    }
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    struct ig_str text = {crlf, (size_t)(at - crlf)};
    assert_int_equal(ig_format_load(&model, text, NULL, &err), IG_OK);
    assert_true(ig_str_is(model->inputs[1].name, "a=b"));
    assert_int_equal(model->inputs[1].categories_count, 3);
    ig_model_free(model);
    free(crlf);
    model = LOAD({"[[\"x\", 2, true]]", "[[\"x\"], [\"y\"]]"});
    assert_int_equal(model->inputs[1].categories_count, 0);
    ig_model_free(model);
    ig_model_free(LOAD({"[[\"x\", 2, true]]", "[[\"x\", {"}));
}

static void test_broken_files(void **state)
{
    (void)state;
    REFUSE(IG_INVALID, "num_class '': expected a number from 1", {"num_class=1\n", ""});
    REFUSE(IG_INVALID, "num_class 'x': expected a number from 1", {"num_class=1", "num_class=x"});
    REFUSE(IG_TOO_LARGE, "num_tree_per_iteration 2000000000",
           {"num_tree_per_iteration=1", "num_tree_per_iteration=2000000000"});
    REFUSE(IG_TOO_LARGE, "max_feature_idx 2000000000",
           {"max_feature_idx=1", "max_feature_idx=2000000000"});
    REFUSE(IG_INVALID, "feature_names has 2 names, expected 3",
           {"max_feature_idx=1", "max_feature_idx=2"});
    REFUSE(IG_INVALID, "tree 0: num_leaves 2000000000: expected at least 1",
           {"num_leaves=3", "num_leaves=2000000000"});
}

static void test_broken_trees(void **state)
{
    (void)state;
    REFUSE(IG_INVALID, "tree 0: leaf_value has 3 elements, expected 1000000000",
           {"num_leaves=3", "num_leaves=1000000000"});
    REFUSE(IG_INVALID, "tree 0: num_leaves is absent", {"num_leaves=3\n", ""});
    REFUSE(IG_INVALID, "tree 0: num_leaves 0: expected at least 1",
           {"num_leaves=3", "num_leaves=0"});
    REFUSE(IG_PARSE, "tree 0: leaf_value: 'abc' is not a number",
           {"leaf_value=-1", "leaf_value=abc"});
    REFUSE(IG_INVALID, "tree 0: left_child is absent", {"left_child=-1 -2\n", ""});
    REFUSE(IG_INVALID, "tree 0: left_child[0] is -4, expected a split or leaf of the tree",
           {"left_child=-1", "left_child=-4"});
    REFUSE(IG_INVALID, "tree 0: right_child[0] is 2, expected a split or leaf of the tree",
           {"right_child=1", "right_child=2"});
    REFUSE(IG_INVALID, "tree 0, node 1: child out of order: 0",
           {"left_child=-1 -2", "left_child=-1 0"});
    REFUSE(IG_INVALID, "tree 0, node 1: child has another parent: 2",
           {"left_child=-1 -2", "left_child=-1 -1"});
    REFUSE(IG_INVALID, "tree 0, node 1: feature out of range: 2",
           {"split_feature=1 0", "split_feature=1 2"});
    REFUSE(IG_INVALID, "tree 0: threshold[0] is 1, expected the index of a category set",
           {"threshold=0", "threshold=1"});
    REFUSE(IG_INVALID, "tree 0: threshold[1] is nan, expected a number",
           {"1.5000000000000002", "nan"});
    REFUSE(IG_INVALID, "tree 0: cat_boundaries[1] is 2, expected ascending indices",
           {"cat_boundaries=0 1", "cat_boundaries=0 2"});
    REFUSE(IG_INVALID, "tree 0: cat_threshold[0] is 4294967296, expected a 32-bit word",
           {"cat_threshold=5", "cat_threshold=4294967296"});
    REFUSE(IG_INVALID, "tree 0: cat_boundaries is absent", {"cat_boundaries=0 1\n", ""});
    REFUSE(IG_INVALID, "tree 0, node 2: leaf value inf", {"leaf_value=-1", "leaf_value=inf"});
    REFUSE(IG_INVALID, "tree 0, node 2: cover -5", {"leaf_count=5", "leaf_count=-5"});
}

static void test_every_cut_is_refused(void **state)
{
    (void)state;
    size_t end = (size_t)(strstr(document, "end of trees") - document) + strlen("end of trees");
    for (size_t cut = 0; cut < end; cut++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, document, cut);
        assert_int_not_equal(ig_format_load(&model, (struct ig_str){copy, cut}, NULL, &err), IG_OK);
        free(copy);
    }
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_format_load(&model, ig_str_view(document), NULL, &err);
        bool refused = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_model_free(model);
        if (!refused) {
            assert_int_equal(code, IG_OK);
            return;
        }
        assert_int_equal(code, IG_NO_MEMORY);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_tree),
        cmocka_unit_test(test_decision_types),
        cmocka_unit_test(test_thresholds_near_zero_act_as_zero),
        cmocka_unit_test(test_covers_fall_back),
        cmocka_unit_test(test_objectives),
        cmocka_unit_test(test_linear_leaves),
        cmocka_unit_test(test_outputs_and_iterations),
        cmocka_unit_test(test_line_ends_and_category_comment),
        cmocka_unit_test(test_broken_files),
        cmocka_unit_test(test_broken_trees),
        cmocka_unit_test(test_every_cut_is_refused),
        cmocka_unit_test(test_every_allocation_may_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
