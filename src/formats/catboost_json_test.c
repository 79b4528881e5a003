/* SPDX-License-Identifier: Apache-2.0 */
/* What CatBoost's answers are is in tests/golden/catboost; here: borders, and what is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/format.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FEATURES                                                                                   \
    "\"features_info\":{\"float_features\":[{\"feature_index\":0,\"flat_feature_index\":0,"        \
    "\"feature_id\":\"a\",\"nan_value_treatment\":\"AsTrue\"}]}"
#define TREE(splits, values) "{\"leaf_values\":" values ",\"splits\":" splits "}"
#define SPLIT(border)                                                                              \
    "[{\"float_feature_index\":0,\"border\":" border ",\"split_type\":\"FloatFeature\"}]"
#define MODEL(trees) "{" FEATURES ",\"oblivious_trees\":[" trees "],\"scale_and_bias\":[2,[0.5]]}"

#define NESTED(trees) "{" FEATURES ",\"trees\":[" trees "]}"
#define ELEMENT_OF(feature)                                                                        \
    "\"elements\":[{\"cat_feature_index\":" feature ",\"combination_element\":\"cat_feature_"      \
    "value\""
#define ELEMENT ELEMENT_OF("0")
#define ABOVE "{\"float_feature_index\":0,\"border\":1,\"combination_element\":\"float_feature\"}"
#define EQUAL(feature, value)                                                                      \
    "{\"cat_feature_index\":" feature ",\"value\":" value                                          \
    ",\"combination_element\":\"cat_feature_exact_value\"}"
#define ASKED "\"borders\":[0.5]"
/* One categorical feature, whose statistic is asked; the table counts the category "x". */
#define CATEGORICAL(ctr)                                                                           \
    "{\"ctr_data\":{\"key\":{\"hash_map\":[\"2254674527279604696\",1,3],\"hash_stride\":3}},"      \
    "\"features_info\":{\"categorical_features\":[{\"feature_index\":0,\"flat_feature_index\":0}]" \
    ","                                                                                            \
    "\"ctrs\":[{" ctr "}]},\"oblivious_trees\":[{\"leaf_values\":[1,2],\"splits\":["               \
    "{\"split_type\":\"OnlineCtr\",\"split_index\":0}]}]}"

#define LOSS(name)                                                                                 \
    "{\"model_info\":{\"params\":{\"loss_function\":{\"type\":\"" name "\"}}}," FEATURES           \
    ",\"oblivious_trees\":[" TREE(SPLIT("1"), "[1,2]") "]}"

static enum ig_code load(struct ig_model **out, const char *json, struct ig_err *err)
{
    *err = IG_ERR_INIT;
    *out = NULL;
    return ig_catboost_json_load(out, ig_str_view(json), err);
}

static void test_loads(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_model *model;
    const char *json = MODEL(TREE(SPLIT("1.5"), "[1,3]") "," TREE("null", "[7]"));
    assert_true(ig_catboost_json_probe(ig_str_view(json)));
    if (load(&model, json, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(model->trees_count, 2);
    assert_int_equal(model->nodes_count, 4);
    assert_true(ig_str_is(model->inputs[0].name, "a"));
    assert_false(model->nodes[0].flags & IG_NODE_DEFAULT_LEFT);
    assert_true(model->nodes[1].value == 2 && model->nodes[2].value == 6);
    assert_true(model->nodes[3].value == 14 && model->base_margin[0] == 0.5);
    assert_true(model->covers_counted);
    ig_model_free(model);
    if (load(&model, LOSS("Poisson"), &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(model->transform, IG_TRANSFORM_EXP);
    ig_model_free(model);
}

/* Right before left, no weights, and the questions behind the answers. */
static void test_nested_trees(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_model *model;
    const char *json =
        NESTED("{\"right\":{\"value\":3,\"weight\":2},\"left\":"
               "{\"left\":{\"value\":1,\"weight\":4},\"right\":{\"value\":2,\"weight\":0},"
               "\"split\":{\"float_feature_index\":0,\"border\":-1}},"
               "\"split\":{\"float_feature_index\":0,\"border\":1}}");
    if (load(&model, json, &err) != IG_OK) fail_msg("%s", err.message);
    const struct ig_node *root = &model->nodes[0];
    assert_int_equal(model->nodes_count, 5);
    assert_true(root->cover == 6 && !model->covers_counted);
    assert_true(model->nodes[root->right].value == 3);
    const struct ig_node *left = &model->nodes[root->left];
    assert_true(left->value < 0 && left->cover == 4);
    assert_true(model->nodes[left->left].value == 1 && model->nodes[left->right].value == 2);
    ig_model_free(model);
    if (load(&model, NESTED("{\"value\":[1,2]},{\"value\":[3,4]}"), &err) != IG_OK)
        fail_msg("%s", err.message);
    assert_true(model->outputs_count == 2 && model->leaf_vectors && model->covers_counted);
    ig_model_free(model);
}

/* (3 + 0) / (1 + 3 + 1) = 0.6 is above the border, what training has not seen (0) is not. */
static void test_statistics_are_sets(void **state)
{
    (void)state;
    struct ig_err err;
    struct ig_model *model;
    const char *json = CATEGORICAL(ELEMENT "}],\"identifier\":\"key\"," ASKED);
    if (load(&model, json, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(model->inputs[0].categories_count, 1);
    assert_int_equal(model->inputs[0].category_hashes[0], 3510494104);
    assert_true(model->nodes[0].op == IG_NODE_IN && model->sets[0].words[0] == 1);
    assert_int_equal(model->nodes[0].flags, IG_NODE_DEFAULT_LEFT);
    ig_model_free(model);
    json = CATEGORICAL(ELEMENT "}],\"identifier\":\"key\",\"prior_numerator\":0.75," ASKED);
    if (load(&model, json, &err) != IG_OK) fail_msg("%s", err.message);
    assert_true(model->nodes[0].flags == IG_NODE_SET_LEFT && model->sets[0].words[0] == 0);
    ig_model_free(model);
}

/* A double goes where its rounding to float would. */
static void test_borders_round_to_float(void **state)
{
    (void)state;
    static const char *const BORDERS[] = {"1.5",   "1.5000001192092896",    "-2.25", "0",
                                          "1e-45", "3.4028234663852886e38", "0.1"};
    char json[1024];
    for (size_t i = 0; i < sizeof BORDERS / sizeof *BORDERS; i++) {
        struct ig_err err;
        struct ig_model *model;
        snprintf(json, sizeof json,
                 "{" FEATURES ",\"oblivious_trees\":[{\"leaf_values\":[1,3],\"splits\":[{"
                 "\"float_feature_index\":0,\"border\":%s,\"split_type\":\"FloatFeature\"}]}]}",
                 BORDERS[i]);
        if (load(&model, json, &err) != IG_OK) fail_msg("%s: %s", BORDERS[i], err.message);
        const struct ig_node *root = &model->nodes[0];
        float border = strtof(BORDERS[i], NULL), next = nextafterf(border, INFINITY);
        double around[] = {border, next, root->value, nextafter(root->value, -INFINITY),
                           nextafter(root->value, INFINITY)};
        for (size_t v = 0; v < sizeof around / sizeof *around; v++) {
            if (isinf(next) && fabs(around[v]) > 3.5e38) continue;
            bool left = root->op == IG_NODE_LE ? around[v] <= root->value : around[v] < root->value;
            if (left != ((float)around[v] <= border))
                fail_msg("border %s, value %.17g", BORDERS[i], around[v]);
        }
        ig_model_free(model);
    }
}

/* The JSON and a part of the message. */
static void refuse(const char *const pair[2])
{
    struct ig_err err;
    struct ig_model *model;
    enum ig_code code = load(&model, pair[0], &err);
    if (code == IG_OK || !strstr(err.message, pair[1]))
        fail_msg("%s: %d %s", pair[0], code, err.message);
    assert_null(model);
}

static void test_refuses_statistics(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {CATEGORICAL("\"ctr_type\":\"Rank\""), "ctr_type: 'Rank' is not supported"},
        {CATEGORICAL(ELEMENT "},{\"float_feature_index\":0}]," ASKED),
         "combination_element: '' is not supported"},
        {CATEGORICAL(ELEMENT "}," ABOVE "]," ASKED), "ctrs: 0 is none of the 0 numeric features"},
        {CATEGORICAL("\"elements\":[" EQUAL("0", "1") "]," ASKED),
         "ctrs: a combination without a categorical feature"},
        {CATEGORICAL(ELEMENT "}," EQUAL("3", "1") "]," ASKED),
         "ctrs: 3 is none of the 1 categorical features"},
        {CATEGORICAL(ELEMENT "}," EQUAL("0", "3000000000") "]," ASKED), "expected a 32-bit hash"},
        {CATEGORICAL(ELEMENT "}," EQUAL("0", "1") "],\"identifier\":\"other\"," ASKED),
         "ctr_data: no table"},
        {CATEGORICAL(ELEMENT "}],\"identifier\":\"other\"," ASKED), "ctr_data: no table"},
        {CATEGORICAL(ELEMENT_OF("1") "}],\"identifier\":\"key\"," ASKED),
         "ctrs: cat_feature_index 1 is none of the 1 categorical features"},
        {CATEGORICAL(ELEMENT_OF("100000000") "}],\"identifier\":\"key\"," ASKED),
         "ctrs: cat_feature_index 100000000 is none of the 1 categorical features"},
        {CATEGORICAL(ELEMENT "}],\"target_border_idx\":1,\"identifier\":\"key\"," ASKED),
         "target_border_idx 1, but the table counts 2 classes"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) refuse(CASES[i]);
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"{}", "oblivious_trees: missing"},
        {"[]", "model"},
        {"{" FEATURES "}", "oblivious_trees: missing"},
        {"{" FEATURES ",\"trees\":[]}", "oblivious_trees: missing"},
        {"{\"features_info\":{\"categorical_features\":[{}]}}", "do not count up"},
        {"{\"features_info\":{\"text_features\":[{\"feature_id\":\"review\"}]}}",
         "the text feature 'review' is turned into numbers by code of CatBoost's own: turn it into "
         "columns of numbers before training"},
        {"{\"features_info\":{\"embedding_features\":[{\"flat_feature_index\":7,\"x\":[]}]}}",
         "the embedding feature of column 7 is turned"},
        {"{\"features_info\":{\"text_features\":[7]}}", "text_features: expected an object"},
        {"{\"features_info\":{\"float_features\":[{\"feature_index\":1,\"flat_feature_index\":0}]}"
         "}",
         "do not count up"},
        {"{\"features_info\":{\"float_features\":[{\"feature_index\":0,\"flat_feature_index\":3}]},"
         "\"oblivious_trees\":[" TREE("null", "[1]") "]}",
         "the columns of the features have gaps"},
        {MODEL(TREE("[{\"split_type\":\"OneHotFeature\"}]", "[1,2]")), "split_index is missing"},
        {MODEL(TREE("[{\"split_type\":\"OneHotFeature\",\"split_index\":0}]", "[1,2]")),
         "split_index 0 is beyond the 0 of features_info"},
        {MODEL(TREE("[{\"split_type\":\"Estimated\"}]", "[1,2]")), "split_type: 'Estimated'"},
        {NESTED("{\"value\":1,\"left\":{\"value\":1},\"right\":{\"value\":1}}"), "trees: expected"},
        {NESTED("{\"split\":{\"float_feature_index\":0,\"border\":1},\"left\":{\"value\":1}}"),
         "trees: expected a value, or a split with left and right"},
        {NESTED("{\"left\":{\"value\":1},\"left\":{\"value\":1}}"), "a child is given twice"},
        {NESTED("{\"value\":[1,2]},{\"value\":[1]}"), "leaf_values: not as many"},
        {NESTED("{}"), "trees: expected"},
        {MODEL(TREE("[{\"float_feature_index\":0}]", "[1,2]")), "border is missing"},
        {MODEL(TREE("[{\"float_feature_index\":1,\"border\":0}]", "[1,2]")),
         "beyond features_info"},
        {MODEL(TREE(SPLIT("1"), "[1,2,3]")), "leaf_values: not as many"},
        {MODEL(TREE(SPLIT("1"), "[]")), "leaf_values: not as many"},
        {MODEL(TREE(SPLIT("1"), "[1,2]") "," TREE(SPLIT("1"), "[1,2,3,4]")),
         "leaf_values: not as many"},
        {MODEL("{\"leaf_values\":[1,2],\"leaf_weights\":[1],\"splits\":" SPLIT("1") "}"),
         "leaf_weights: not as many"},
        {MODEL(TREE(SPLIT("1"), "[1,2,3,4]")), "scale_and_bias: not as many biases"},
        {MODEL(TREE(SPLIT("NaN"), "[1,2]")), ""},
        {MODEL(TREE(SPLIT("1"), "[1,1e400]")), ""},
        {"{" FEATURES ",\"scale_and_bias\":[1]}", "scale_and_bias: expected"},
        {MODEL(TREE(SPLIT("1"), "[1,2]")) "x", ""},
        {LOSS("RMSEWithUncertainty"), "loss_function: 'RMSEWithUncertainty' is not supported"},
        {LOSS("rmse"), "loss_function: 'rmse' is not supported"},
        {"{\"features_info\":{\"float_features\":[{\"nan_value_treatment\":\"AsTru\"}]}}",
         "nan_value_treatment: 'AsTru' is not supported"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) refuse(CASES[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loads),
        cmocka_unit_test(test_refuses_statistics),
        cmocka_unit_test(test_nested_trees),
        cmocka_unit_test(test_statistics_are_sets),
        cmocka_unit_test(test_borders_round_to_float),
        cmocka_unit_test(test_refuses),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
