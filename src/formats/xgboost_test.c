/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost documents, in both writings: what is understood, and what is refused and how. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/document_testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* x1 < 0.5 (missing: left) ? 1 : 2 */
static const char document[] =
    "{\"learner\":{\"learner_model_param\":{\"base_score\":\"5E-1\",\"num_class\":\"0\","
    "\"num_feature\":\"2\"},\"objective\":{\"name\":\"reg:squarederror\"},"
    "\"gradient_booster\":{\"name\":\"gbtree\",\"model\":{\"gbtree_model_param\":"
    "{\"num_parallel_tree\":\"1\"},\"tree_info\":[0],\"trees\":[{\"left_children\":[1,-1,-1],"
    "\"right_children\":[2,-1,-1],\"split_indices\":[1,0,0],\"split_conditions\":[0.5,1.0,2E0],"
    "\"default_left\":[true,false,0],\"sum_hessian\":[3,1,2],\"split_type\":[0,0,0],"
    "\"categories\":[],\"categories_nodes\":[],\"categories_segments\":[],"
    "\"categories_sizes\":[],\"base_weights\":[0,0,0],"
    "\"tree_param\":{\"num_nodes\":\"3\",\"size_leaf_vector\":\"0\"}}]}}},\"version\":[3,0,0]}";

static void test_plain_tree(void **state)
{
    (void)state;
    struct ig_model *model = load_edited(document, NULL, 0);
    assert_int_equal(model->features_count, 2);
    assert_int_equal(model->outputs_count, 1);
    assert_int_equal(model->trees_count, 1);
    assert_int_equal(model->iterations_count, 1);
    assert_true(model->inputs_f32);
    assert_int_equal(model->sum_rule, IG_SUM_F32_BASE_FIRST);
    assert_true(model->base_margin[0] == 0.5);
    const struct ig_node *root = &model->nodes[0];
    assert_int_equal(root->op, IG_NODE_LT);
    assert_int_equal(root->feature, 1);
    assert_int_equal(root->flags, IG_NODE_DEFAULT_LEFT);
    assert_int_equal(root->missing, IG_NODE_MISSING_NAN);
    assert_true(root->value == 0.5 && root->cover == 3);
    assert_true(model->nodes[2].value == 2 && model->nodes[2].cover == 2);
    assert_int_equal(model->trees[0].leaves_count, 2);
    assert_null(model->inputs);
    assert_true(ig_str_is(model->source_version, "3.0.0"));
    ig_model_free(model);
}

static void expect_base(const char *base_score, const char *objective, const char *version,
                        float expected)
{
    char score[64];
    char name[64];
    char triple[64];
    snprintf(score, sizeof score, "\"base_score\":\"%s\"", base_score);
    snprintf(name, sizeof name, "\"%s\"", objective);
    snprintf(triple, sizeof triple, "\"version\":%s", version);
    struct ig_model *model = LOAD({"\"base_score\":\"5E-1\"", score},
                                  {"\"reg:squarederror\"", name}, {"\"version\":[3,0,0]", triple});
    if (model->base_margin[0] != (double)expected)
        fail_msg("%s %s: %.9g, expected %.9g", objective, base_score, model->base_margin[0],
                 (double)expected);
    ig_model_free(model);
}

static void test_base_scores_go_through_the_link(void **state)
{
    (void)state;
    const float logit = -logf(1.0F / 0.2F - 1.0F);
    expect_base("[2E-1]", "reg:squarederror", "[3,1,0]", 0.2F);
    expect_base("(0.2)", "reg:squarederror", "[3,1,0]", 0.2F);
    expect_base("0.2", "binary:logistic", "[1,7,6]", logit);
    expect_base("0.2", "reg:logistic", "[1,7,6]", logit);
    expect_base("0.2", "binary:logitraw", "[1,7,6]", 0.2F);
    expect_base("0.2", "binary:logitraw", "[1,2,0]", logit);
    expect_base("0.2", "count:poisson", "[1,7,6]", logf(0.2F));
    expect_base("0.2", "reg:gamma", "[1,7,6]", logf(0.2F));
    expect_base("0.2", "reg:tweedie", "[1,7,6]", logf(0.2F));
    expect_base("0.2", "survival:cox", "[1,7,6]", logf(0.2F));
    expect_base("0.2", "survival:aft", "[1,7,6]", logf(0.2F));
    expect_base("0.2", "rank:ndcg", "[1,7,6]", 0.2F);
    expect_base("0.2", "gpu:binary:logistic", "[0,90,0]", logit);
    expect_base("0", "binary:logistic", "[3,2,0]", -logf(1.0F / 1e-6F - 1.0F));
}

static void test_base_score_errors(void **state)
{
    (void)state;
    REFUSE(IG_INVALID, "base_score 0: expected a value between 0 and 1", {"5E-1", "0"},
           {"reg:squarederror", "binary:logistic"});
    REFUSE(IG_INVALID, "base_score -1: expected a positive value", {"5E-1", "-1"},
           {"reg:squarederror", "count:poisson"});
    REFUSE(IG_INVALID, "base_score: 'x' is not a finite number", {"5E-1", "x"});
    REFUSE(IG_INVALID, "is not a finite number", {"5E-1", "inf"});
    REFUSE(IG_INVALID, "base_score '[1,2]': expected 1 or 1 values", {"5E-1", "[1,2]"});
    REFUSE(IG_INVALID, "base_score", {"5E-1", ""});
}

static void test_several_outputs(void **state)
{
    (void)state;
    struct ig_model *model =
        LOAD({"\"5E-1\"", "\"[1E0,2E0,3E0]\""}, {"\"num_class\":\"0\"", "\"num_class\":\"3\""},
             {"reg:squarederror", "multi:softprob"}, {"\"tree_info\":[0]", "\"tree_info\":[2]"});
    assert_int_equal(model->outputs_count, 3);
    assert_int_equal(model->predictions_count, 3);
    assert_int_equal(model->trees[0].output, 2);
    assert_true(model->base_margin[2] == 3);
    assert_int_equal(model->transform, IG_TRANSFORM_SOFTMAX);
    ig_model_free(model);
    model =
        LOAD({"\"num_class\":\"0\"", "\"num_class\":\"3\""}, {"reg:squarederror", "multi:softmax"});
    assert_int_equal(model->predictions_count, 1);
    assert_true(model->base_margin[0] == 0.5 && model->base_margin[2] == 0.5);
    ig_model_free(model);
    REFUSE(IG_INVALID, "tree_info[0] is 1, expected 0 to 0",
           {"\"tree_info\":[0]", "\"tree_info\":[1]"});
    REFUSE(IG_INVALID, "tree_info has 0 elements, expected 1",
           {"\"tree_info\":[0]", "\"tree_info\":[]"});
    REFUSE(IG_UNSUPPORTED, "num_class 2 with num_target 2",
           {"\"num_class\":\"0\"", "\"num_class\":\"2\",\"num_target\":\"2\""});
}

static void test_broken_trees(void **state)
{
    (void)state;
    REFUSE(IG_INVALID, "tree 0: left_children[1] is 0, expected a node without another parent",
           {"[1,-1,-1]", "[1,0,-1]"});
    REFUSE(IG_INVALID, "tree 0: right_children[0] is 1, expected a node without another parent",
           {"[2,-1,-1]", "[1,-1,-1]"});
    REFUSE(IG_INVALID, "tree 0: right_children[0] is 3, expected a node of the tree",
           {"[2,-1,-1]", "[3,-1,-1]"});
    REFUSE(IG_INVALID, "tree 0: left_children[0] is 0.5, expected a node of the tree",
           {"[1,-1,-1]", "[0.5,-1,-1]"});
    REFUSE(IG_INVALID, "tree 0: left_children[0] is -2, expected a node of the tree",
           {"[1,-1,-1]", "[-2,-1,-1]"});
    REFUSE(IG_INVALID, "tree 0: right_children has 2 elements, expected 3",
           {"[2,-1,-1]", "[2,-1]"});
    REFUSE(IG_INVALID, "tree 0: num_nodes is 4, left_children has 3",
           {"\"num_nodes\":\"3\"", "\"num_nodes\":\"4\""});
    REFUSE(IG_INVALID, "tree 0: split_conditions[0] is nan, expected a number", {"[0.5,", "[NaN,"});
    REFUSE(IG_INVALID, "tree 0, node 1: leaf value inf", {"0.5,1.0", "0.5,Infinity"});
    REFUSE(IG_INVALID, "tree 0, node 0: feature out of range: 2", {"[1,0,0]", "[2,0,0]"});
    REFUSE(IG_INVALID, "tree 0, node 1: cover -1", {"[3,1,2]", "[3,-1,2]"});
    REFUSE(IG_INVALID, "tree 0: default_left[0] is 2, expected 0 or 1", {"[true,", "[2,"});
    REFUSE(IG_PARSE, "tree 0: left_children: expected a number, found",
           {"[1,-1,-1]", "[\"1\",-1,-1]"});
    REFUSE(IG_PARSE, "tree 0: left_children: expected an array", {"[1,-1,-1]", "{}"});
    REFUSE(IG_INVALID, "num_nodes: 'x' is not a number",
           {"\"num_nodes\":\"3\"", "\"num_nodes\":\"x\""});
    struct ig_model *model = LOAD({"[0.5,", "[Infinity,"});
    assert_true(isinf(model->nodes[0].value));
    ig_model_free(model);
}

static void test_pruned_and_unordered_nodes(void **state)
{
    (void)state;
    /* 0 -> (4, 1); 4 -> (2, 3); 5 and 6 were pruned. */
    struct ig_model *model = LOAD(
        {"[1,-1,-1]", "[4,-1,-1,-1,2,-1,-1]"}, {"[2,-1,-1]", "[1,-1,-1,-1,3,-1,-1]"},
        {"[1,0,0]", "[1,0,0,0,0,2147483647,2147483647]"}, {"[0.5,1.0,2E0]", "[0.5,1,2,3,4,5,6]"},
        {"[true,false,0]", "[0,0,0,0,0,0,0]"}, {"[3,1,2]", "[4,1,1,2,3,0,0]"},
        {"\"split_type\":[0,0,0],", ""}, {"\"num_nodes\":\"3\"", "\"num_nodes\":\"7\""});
    static const int32_t ids[] = {0, 4, 1, 2, 3};
    assert_int_equal(model->nodes_count, 5);
    for (int i = 0; i < 5; i++) assert_int_equal(model->nodes[i].source_id, ids[i]);
    assert_int_equal(model->nodes[1].left, 3);
    assert_int_equal(model->nodes[1].right, 4);
    assert_true(model->nodes[4].value == 3);
    assert_int_equal(model->trees[0].depth, 2);
    ig_model_free(model);
}

static void test_categories(void **state)
{
    (void)state;
    struct ig_model *model = LOAD({"\"split_type\":[0,0,0]", "\"split_type\":[1,0,0]"},
                                  {"\"categories\":[]", "\"categories\":[1,33]"},
                                  {"\"categories_nodes\":[]", "\"categories_nodes\":[0]"},
                                  {"\"categories_segments\":[]", "\"categories_segments\":[0]"},
                                  {"\"categories_sizes\":[]", "\"categories_sizes\":[2]"});
    assert_int_equal(model->nodes[0].op, IG_NODE_IN);
    assert_int_equal(model->nodes[0].flags & IG_NODE_SET_LEFT, 0);
    assert_int_equal(model->sets[0].bits, 34);
    assert_int_equal(model->sets[0].words[0], 2);
    assert_int_equal(model->sets[0].words[1], 2);
    assert_int_equal(model->inputs[1].kind, IG_INPUT_CATEGORICAL);
    assert_int_equal(model->inputs[0].kind, IG_INPUT_UNKNOWN);
    ig_model_free(model);
    REFUSE(IG_INVALID, "tree 0: split_type[0] is 1, expected a set of categories",
           {"\"split_type\":[0,0,0]", "\"split_type\":[1,0,0]"});
    REFUSE(IG_INVALID, "tree 0: categories_segments has 0 elements, expected 1",
           {"\"categories_nodes\":[]", "\"categories_nodes\":[0]"});
    REFUSE(IG_INVALID, "tree 0: categories[0] is 16777215, expected a code",
           {"\"split_type\":[0,0,0]", "\"split_type\":[1,0,0]"},
           {"\"categories\":[]", "\"categories\":[16777215]"},
           {"\"categories_nodes\":[]", "\"categories_nodes\":[0]"},
           {"\"categories_segments\":[]", "\"categories_segments\":[0]"},
           {"\"categories_sizes\":[]", "\"categories_sizes\":[1]"});
    REFUSE(IG_TOO_LARGE, "tree 0: category sets take more than 16 bytes for each byte of the file",
           {"\"split_type\":[0,0,0]", "\"split_type\":[1,0,0]"},
           {"\"categories\":[]", "\"categories\":[16777214]"},
           {"\"categories_nodes\":[]", "\"categories_nodes\":[0]"},
           {"\"categories_segments\":[]", "\"categories_segments\":[0]"},
           {"\"categories_sizes\":[]", "\"categories_sizes\":[1]"});
}

static void test_sets_do_not_share_codes(void **state)
{
    (void)state;
    /* Two inner nodes (0 and 2), each claiming both codes. */
    REFUSE(IG_INVALID, "tree 0: categories_sizes[1] is 2, expected no more than categories holds",
           {"[1,-1,-1]", "[1,-1,3,-1,-1]"}, {"[2,-1,-1]", "[2,-1,4,-1,-1]"},
           {"[1,0,0]", "[1,0,0,0,0]"}, {"[0.5,1.0,2E0]", "[0,1,0,2,3]"},
           {"[true,false,0]", "[0,0,0,0,0]"}, {"[3,1,2]", "[3,1,2,1,1]"},
           {"\"split_type\":[0,0,0]", "\"split_type\":[1,0,1,0,0]"},
           {"\"num_nodes\":\"3\"", "\"num_nodes\":\"5\""},
           {"\"categories\":[]", "\"categories\":[1,2]"},
           {"\"categories_nodes\":[]", "\"categories_nodes\":[0,2]"},
           {"\"categories_segments\":[]", "\"categories_segments\":[0,0]"},
           {"\"categories_sizes\":[]", "\"categories_sizes\":[2,2]"});
}

static void test_boosters(void **state)
{
    (void)state;
    struct ig_model *model = LOAD(
        {"{\"name\":\"gbtree\",\"model\"",
         "{\"name\":\"dart\",\"weight_drop\":[0.25],\"gbtree\":{\"name\":\"gbtree\",\"model\""},
        {"}]}}},\"version\"", "}]}}}},\"version\""});
    assert_true(model->trees[0].weight == 0.25);
    ig_model_free(model);
    model = LOAD({"\"tree_info\":[0]", "\"tree_info\":[0],\"weight_drop\":[0.5]"});
    assert_true(model->trees[0].weight == 0.5);
    ig_model_free(model);
    REFUSE(IG_INVALID, "weight_drop has 2 elements, expected 1",
           {"\"tree_info\":[0]", "\"tree_info\":[0],\"weight_drop\":[1,1]"});
    model = LOAD({"\"name\":\"gbtree\",\"model\":{",
                  "\"name\":\"gblinear\",\"model\":{\"weights\":[1,2,3.5],"});
    assert_int_equal(model->kind, IG_MODEL_LINEAR);
    assert_true(model->weights[1] == 2 && model->weights[2] == 3.5);
    ig_model_free(model);
    REFUSE(
        IG_INVALID, "weights has 2 elements, expected 3",
        {"\"name\":\"gbtree\",\"model\":{", "\"name\":\"gblinear\",\"model\":{\"weights\":[1,2],"});
    REFUSE(IG_UNSUPPORTED, "gradient_booster 'forest' is unknown", {"\"gbtree\",", "\"forest\","});
    REFUSE(IG_UNSUPPORTED, "objective 'my:own' is unknown", {"reg:squarederror", "my:own"});
}

static void test_names_types_and_words(void **state)
{
    (void)state;
    struct ig_model *model = LOAD(
        {"\"version\"", "\"x\":{}, \"version\""},
        {"{\"learner\":{", "{\"learner\":{\"feature_names\":[\"a\\u00e4\",\"b\"],"
                           "\"feature_types\":[\"int\",\"c\"],"},
        {"\"tree_info\"", "\"cats\":{\"enc\":[{\"offsets\":[],\"values\":[]},{\"offsets\":[0,1,3],"
                          "\"values\":[120,-61,-92]}],\"feature_segments\":[0,0,2],"
                          "\"sorted_idx\":[0,1]},\"tree_info\""});
    assert_true(ig_str_is(model->inputs[0].name, "a\xc3\xa4"));
    assert_int_equal(model->inputs[0].kind, IG_INPUT_INTEGER);
    assert_int_equal(model->inputs[0].categories_count, 0);
    assert_int_equal(model->inputs[1].kind, IG_INPUT_CATEGORICAL);
    assert_int_equal(model->inputs[1].categories_count, 2);
    assert_true(ig_str_is(model->inputs[1].categories[0], "x"));
    assert_true(ig_str_is(model->inputs[1].categories[1], "\xc3\xa4"));
    ig_model_free(model);
    REFUSE(IG_INVALID, "feature_names has 1 elements, expected 2",
           {"{\"learner\":{", "{\"learner\":{\"feature_names\":[\"a\"],"});
    REFUSE(
        IG_INVALID, "cats: column 0: category 0 has no text",
        {"\"tree_info\"", "\"cats\":{\"enc\":[{\"offsets\":[0,9],\"values\":[1]}]},\"tree_info\""});
    REFUSE(IG_INVALID, "cats: column 0: category 0 has no text",
           {"\"tree_info\"",
            "\"cats\":{\"enc\":[{\"offsets\":[0,1],\"values\":[NaN]}]},\"tree_info\""});
}

static void test_claims_without_substance(void **state)
{
    (void)state;
    REFUSE(IG_TOO_LARGE, "num_class or num_target 2000000000",
           {"\"num_class\":\"0\"", "\"num_class\":\"2000000000\""});
    struct ig_model *wide = LOAD({"\"num_feature\":\"2\"", "\"num_feature\":\"90000\""});
    assert_int_equal(wide->features_count, 90000); /* of sparse tables, few of which split */
    ig_model_free(wide);
    REFUSE(IG_TOO_LARGE, "num_feature 2000000000",
           {"\"num_feature\":\"2\"", "\"num_feature\":\"2000000000\""});
    REFUSE(IG_INVALID, "num_feature: expected at least 1",
           {"\"num_feature\":\"2\"", "\"num_feature\":\"0\""});
    REFUSE(IG_INVALID, "num_class: '99999999999' is not a number from 0",
           {"\"num_class\":\"0\"", "\"num_class\":\"99999999999\""});
    REFUSE(IG_INVALID, "tree 0: base_weights[1] is 1, expected a row of leaf values",
           {"\"size_leaf_vector\":\"0\"", "\"size_leaf_vector\":\"2\""});
    REFUSE(IG_INVALID, "size_leaf_vector",
           {"\"size_leaf_vector\":\"0\"", "\"size_leaf_vector\":\"2\""},
           {"\"base_weights\":[0,0,0]", "\"base_weights\":[0,0,0,0,0,0]"});
}

static void test_no_tree_at_all(void **state)
{
    (void)state;
    char *text =
        edited(document, (const struct edit[]){{"\"tree_info\":[0]", "\"tree_info\":[]"}}, 1);
    char *from = strstr(text, "\"trees\":[{") + strlen("\"trees\":[");
    char *to = strstr(text, "]}}},\"version\"");
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    memmove(from, to, strlen(to) + 1);
    assert_int_equal(ig_format_load(&model, ig_str_view(text), NULL, &err), IG_OK);
    assert_int_equal(model->trees_count, 0);
    assert_int_equal(model->iterations_count, 0);
    ig_model_free(model);
    free(text);
}

static void test_serialised_booster(void **state)
{
    (void)state;
    struct ig_model *model =
        LOAD({"{\"learner\"", "{\"Config\":{\"a\":[1]},\"Model\":{\"learner\""},
             {"\"version\":[3,0,0]}", "\"version\":[1,0,2]}}"});
    assert_int_equal(model->sum_rule, IG_SUM_F32_BASE_LAST);
    ig_model_free(model);
}

/* Every cut of the bytes is refused, and nothing reads beyond them. */
static void refuse_every_cut(const char *bytes, size_t length, size_t step)
{
    for (size_t cut = 0; cut < length; cut += step) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        char *copy = malloc(cut ? cut : 1);
        memcpy(copy, bytes, cut);
        assert_int_not_equal(ig_format_load(&model, (struct ig_str){copy, cut}, NULL, &err), IG_OK);
        free(copy);
    }
}

static void fail_every_allocation(struct ig_str bytes)
{
    for (uint64_t n = 1;; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_format_load(&model, bytes, NULL, &err);
        bool refused = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_model_free(model);
        if (!refused) {
            assert_int_equal(code, IG_OK);
            assert_true(n > 10);
            return;
        }
        assert_int_equal(code, IG_NO_MEMORY);
    }
}

static void test_cut_json(void **state)
{
    (void)state;
    refuse_every_cut(document, sizeof document - 1, 1);
    REFUSE(IG_PARSE, "", {"[3,0,0]}", "[3,0,0]}}"});
    fail_every_allocation(ig_str_view(document));
}

static void read_ubjson(struct ig_buf *buf)
{
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(buf, 1 << 24);
    assert_int_equal(ig_file_read(buf, IG_FILE_CWD, "tests/corpus/ubjson/categorical.ubj", &err),
                     IG_OK);
}

static void test_cut_and_changed_ubjson(void **state)
{
    (void)state;
    struct ig_buf buf;
    read_ubjson(&buf);
    refuse_every_cut(buf.ptr, buf.len, 1);
    fail_every_allocation(ig_buf_view(&buf));
    for (size_t i = 0; i < buf.len; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = NULL;
        char kept = buf.ptr[i];
        buf.ptr[i] = (char)(kept ^ 0x55);
        if (ig_format_load(&model, ig_buf_view(&buf), NULL, &err) == IG_OK) ig_model_free(model);
        buf.ptr[i] = kept;
    }
    ig_buf_deinit(&buf);
}

static void refuse_ubjson(const char *bytes, size_t length, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    assert_int_equal(ig_format_load(&model, (struct ig_str){bytes, length}, NULL, &err), IG_PARSE);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
    assert_true(err.at_byte > 0);
}

#define REFUSE_UBJSON(bytes, message) refuse_ubjson(bytes, sizeof(bytes) - 1, message)

static void test_hostile_ubjson(void **state)
{
    (void)state;
    REFUSE_UBJSON("{U\7learner{U\7version[$d#L\x10\0\0\0\0\0\0\0",
                  "a length of 1152921504606846976, but 0 bytes are left");
    REFUSE_UBJSON("{U\7learner[$Z#L\x10\0\0\0\0\0\0\0}", "expected an object");
    REFUSE_UBJSON("{U\1x[$Z#L\x10\0\0\0\0\0\0\0U\7learner}", "elements of a type with a payload");
    REFUSE_UBJSON("{U\1x[$\0#L\x10\0\0\0\0\0\0\0U\7learner}", "elements of a type with a payload");
    REFUSE_UBJSON("{U\1x[#L\x10\0\0\0\0\0\0\0U\7learner}", "a length of 1152921504606846976");
    REFUSE_UBJSON("{U\1x[#i\xff]U\7learner}", "a length of -1");
    REFUSE_UBJSON("{U\7learnerS}", "expected");
    REFUSE_UBJSON("{U\1xHU\1"
                  "1U\7learner}",
                  "a known marker");
    char deep[512] = "{U\7learner{U\1x";
    size_t length = strlen(deep);
    memset(deep + length, '[', 100);
    refuse_ubjson(deep, length + 100, "less nesting");
}

static void test_counted_and_typed_containers_are_passed_over(void **state)
{
    (void)state;
    /* Counted, typed and nested values in unknown members, then an unknown objective. */
    static const char bytes[] =
        "{U\1a[$i#U\3\1\2\3U\1b[#U\2ZTU\1c{#U\1U\1xFU\1d[$[#U\2]$U#U\1\5U\1e{$i#U\1U\1y\7"
        "NU\7learner{}}";
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    assert_int_equal(ig_format_load(&model, (struct ig_str){bytes, sizeof bytes - 1}, NULL, &err),
                     IG_UNSUPPORTED);
    assert_string_equal(err.message, "xgboost-ubjson: gradient_booster '' is unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_plain_tree),
        cmocka_unit_test(test_base_scores_go_through_the_link),
        cmocka_unit_test(test_base_score_errors),
        cmocka_unit_test(test_several_outputs),
        cmocka_unit_test(test_broken_trees),
        cmocka_unit_test(test_pruned_and_unordered_nodes),
        cmocka_unit_test(test_categories),
        cmocka_unit_test(test_sets_do_not_share_codes),
        cmocka_unit_test(test_boosters),
        cmocka_unit_test(test_names_types_and_words),
        cmocka_unit_test(test_claims_without_substance),
        cmocka_unit_test(test_no_tree_at_all),
        cmocka_unit_test(test_serialised_booster),
        cmocka_unit_test(test_cut_json),
        cmocka_unit_test(test_cut_and_changed_ubjson),
        cmocka_unit_test(test_hostile_ubjson),
        cmocka_unit_test(test_counted_and_typed_containers_are_passed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
