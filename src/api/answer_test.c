/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of an answer, letter by letter, for each task. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/answer.h"

#include <math.h>
#include <string.h>

static struct ig_str sexes[] = {{"Female", 6}, {"Male", 4}};
static struct ig_str classes[] = {{"no", 2}, {"yes", 3}, {"maybe", 5}};
static struct ig_feature features[] = {
    {.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
    {.name = {"sex", 3},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = sexes,
     .categories_count = 2},
    {.name = {"pay", 3}, .type = IG_FEATURE_NUMERIC},
};

struct fixture {
    struct ig_schema schema;
    struct ig_model model;
    struct ig_answer answer;
    uint32_t order[3];
    struct ig_buf buf;
};

static const double row[] = {39, 1, NAN};

static void begin(struct fixture *fixture, enum ig_task task, uint32_t outputs)
{
    *fixture = (struct fixture){
        .schema = {.features = features, .features_count = 3, .task = task},
        .model = {.features_count = 3, .outputs_count = outputs, .predictions_count = outputs}};
    fixture->answer = (struct ig_answer){.schema = &fixture->schema,
                                         .model = &fixture->model,
                                         .row = row,
                                         .values_count = outputs,
                                         .players_count = 3,
                                         .method = "m",
                                         .top = 2,
                                         .order = fixture->order};
    ig_buf_init(&fixture->buf, 1 << 16);
}

static void expect(struct fixture *fixture, const char *json)
{
    struct ig_json_out out;
    ig_json_out_init(&out, &fixture->buf);
    ig_json_out_object(&out);
    ig_answer_prediction(&out, &fixture->answer);
    ig_answer_explanation(&out, &fixture->answer);
    ig_json_out_object_end(&out);
    assert_string_equal(fixture->buf.ptr, json);
    ig_buf_deinit(&fixture->buf);
}

static void test_binary(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, IG_TASK_BINARY, 1);
    fixture.schema.classes = classes;
    fixture.schema.classes_count = 2;
    fixture.model.transform = IG_TRANSFORM_SIGMOID;
    fixture.answer.margins = (double[]){1};
    fixture.answer.predictions = (double[]){0.75};
    fixture.answer.contributions = (double[]){0.5, -1, 0.25, 1.25};
    fixture.answer.additivity_error = 0;
    expect(&fixture,
           "{\"prediction\":\"yes\",\"probability\":0.75,\"explanation\":{\"top_features\":["
           "{\"feature\":\"sex\",\"value\":\"Male\",\"contribution\":-1},"
           "{\"feature\":\"age\",\"value\":39,\"contribution\":0.5}],"
           "\"shap_values\":{\"age\":0.5,\"sex\":-1,\"pay\":0.25},\"base_value\":1.25,"
           "\"margin\":1,\"method\":\"m\",\"additivity_error\":0}}");
}

static void test_regression(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, IG_TASK_REGRESSION, 1);
    fixture.answer.top = 1;
    fixture.answer.margins = fixture.answer.predictions = (double[]){7.5};
    fixture.answer.contributions = (double[]){0, 0, 5.5, 2};
    expect(&fixture, "{\"prediction\":7.5,\"explanation\":{\"top_features\":["
                     "{\"feature\":\"pay\",\"value\":null,\"contribution\":5.5}],"
                     "\"shap_values\":{\"age\":0,\"sex\":0,\"pay\":5.5},\"base_value\":2,"
                     "\"margin\":7.5,\"method\":\"m\",\"additivity_error\":0}}");
}

static void test_multiclass(void **state)
{
    (void)state;
    struct fixture fixture;
    begin(&fixture, IG_TASK_MULTICLASS, 3);
    fixture.schema.classes = classes;
    fixture.schema.classes_count = 3;
    fixture.model.transform = IG_TRANSFORM_SOFTMAX;
    fixture.answer.top = 1;
    fixture.answer.margins = (double[]){1, 2, 3};
    fixture.answer.predictions = (double[]){0.125, 0.25, 0.625};
    fixture.answer.contributions = (double[]){1, 0, 0, 0, 0, 2, 0, 0, 0, 0, -3, 6};
    expect(&fixture,
           "{\"prediction\":\"maybe\",\"probability\":{\"no\":0.125,\"yes\":0.25,\"maybe\":0.625},"
           "\"explanation\":{\"top_features\":["
           "{\"feature\":\"pay\",\"value\":null,\"contribution\":-3}],"
           "\"shap_values\":{\"no\":{\"age\":1,\"sex\":0,\"pay\":0},"
           "\"yes\":{\"age\":0,\"sex\":2,\"pay\":0},\"maybe\":{\"age\":0,\"sex\":0,\"pay\":-3}},"
           "\"base_value\":{\"no\":0,\"yes\":0,\"maybe\":6},"
           "\"margin\":{\"no\":1,\"yes\":2,\"maybe\":3},\"method\":\"m\",\"additivity_error\":0}}");
}

static void test_class_without_names(void **state)
{
    (void)state;
    struct fixture fixture;
    char text[16];
    begin(&fixture, IG_TASK_MULTICLASS, 3);
    fixture.model.transform = IG_TRANSFORM_ARGMAX;
    fixture.model.predictions_count = 1;
    fixture.answer.predictions = (double[]){2};
    assert_int_equal(ig_answer_class(&fixture.answer), 2);
    assert_int_equal(ig_answer_output(&fixture.answer), 2);
    assert_true(ig_str_is(ig_answer_output_name(&fixture.answer, 2, text), "2"));
}

/* A sampled method on groups says how sure it is; a group has no value of its own. */
static void test_details(void **state)
{
    static const uint32_t MAP[] = {0, 1, 0};
    const struct ig_str names[] = {IG_STR("both"), IG_STR("sex")};
    const struct ig_explain_note note = {
        .seed = 7, .samples = 320, .stopped = "samples", .quantile = 2.125};
    const struct ig_answer_details details = {.note = &note,
                                              .se = (double[]){0.5, 0.25, 0},
                                              .unit = "probability",
                                              .variant = "",
                                              .why = "it fits",
                                              .background = IG_STR("all"),
                                              .background_digest = IG_STR("d1")};
    (void)state;
    struct fixture fixture;
    begin(&fixture, IG_TASK_REGRESSION, 1);
    fixture.answer.margins = fixture.answer.predictions = (double[]){4};
    fixture.answer.contributions = (double[]){-3, 1, 6};
    fixture.answer.players_count = 2;
    fixture.answer.player_of_feature = MAP;
    fixture.answer.player_names = names;
    fixture.answer.details = &details;
    expect(&fixture,
           "{\"prediction\":4,\"explanation\":{\"top_features\":["
           "{\"feature\":\"both\",\"contribution\":-3},"
           "{\"feature\":\"sex\",\"value\":\"Male\",\"contribution\":1}],"
           "\"shap_values\":{\"both\":-3,\"sex\":1},\"base_value\":6,\"margin\":4,"
           "\"method\":\"m\",\"additivity_error\":0,\"exact\":false,\"unit\":\"probability\","
           "\"samples\":320,\"seed\":7,\"stopped_by\":\"samples\",\"interval_se\":2.125,"
           "\"standard_errors\":{\"both\":0.5,\"sex\":0.25},"
           "\"background\":{\"name\":\"all\",\"digest\":\"d1\"},\"chosen\":\"it fits\"}}");
}

static void expect_reasons(const struct ig_answer *answer, const struct ig_reason_codes *codes,
                           size_t top, const char *json)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_json_out out;
    struct ig_buf buf;
    ig_arena_init(&arena, 1 << 10, 1 << 16);
    ig_buf_init(&buf, 1 << 12);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    assert_int_equal(ig_answer_reasons(&out, answer, codes, top, &arena, &err), IG_OK);
    ig_json_out_object_end(&out);
    assert_string_equal(buf.ptr, json);
    ig_buf_deinit(&buf);
    ig_arena_deinit(&arena);
}

/* Features of one text count together; what helps is no adverse reason. */
static void test_reasons(void **state)
{
    static const struct ig_reason_text TEXTS[] = {{{"age", 3}, {"Who you are", 11}},
                                                  {{"sex", 3}, {"Who you are", 11}}};
    (void)state;
    struct fixture fixture;
    begin(&fixture, IG_TASK_BINARY, 1);
    fixture.answer.margins = (double[]){2.5};
    fixture.answer.predictions = (double[]){0.75};
    fixture.answer.contributions = (double[]){0.5, 0.25, 0.5, 1.25};
    struct ig_reason_codes codes = {.adverse_high = true, .texts = TEXTS, .count = 2};
    expect_reasons(&fixture.answer, &codes, 1,
                   "{\"reasons\":[{\"reason\":\"Who you are\",\"features\":[\"age\",\"sex\"],"
                   "\"contribution\":0.75}],\"margin_to_next_reason\":0.25}");
    expect_reasons(&fixture.answer, &codes, 5,
                   "{\"reasons\":[{\"reason\":\"Who you are\",\"features\":[\"age\",\"sex\"],"
                   "\"contribution\":0.75},{\"reason\":\"pay\",\"features\":[\"pay\"],"
                   "\"contribution\":0.5}],\"margin_to_next_reason\":null}");
    codes.adverse_high = false;
    expect_reasons(&fixture.answer, &codes, 5, "{\"reasons\":[],\"margin_to_next_reason\":null}");
    ig_buf_deinit(&fixture.buf);
}

/* Ranking agrees with a plain sort for every top, ties by index. */
static void test_rank(void **state)
{
    (void)state;
    enum { COUNT = 100 };
    double contributions[COUNT + 1];
    uint32_t order[COUNT], all[COUNT];
    struct ig_schema schema = {.features_count = COUNT};
    struct ig_model model = {.features_count = COUNT, .outputs_count = 1};
    struct ig_answer answer = {.schema = &schema,
                               .model = &model,
                               .contributions = contributions,
                               .values_count = 1,
                               .players_count = COUNT,
                               .order = order};
    for (int i = 0; i <= COUNT; i++) contributions[i] = (double)((i * 37) % 21) - 10;
    answer.top = COUNT;
    assert_int_equal(ig_answer_rank(&answer, 0), COUNT);
    memcpy(all, order, sizeof all);
    for (int i = 1; i < COUNT; i++) {
        double a = fabs(contributions[all[i - 1]]), b = fabs(contributions[all[i]]);
        assert_true(a > b || (a == b && all[i - 1] < all[i]));
    }
    for (size_t top = 0; top <= COUNT; top++) {
        answer.top = top;
        assert_int_equal(ig_answer_rank(&answer, 0), top);
        assert_memory_equal(order, all, top * sizeof *order);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_binary),     cmocka_unit_test(test_regression),
        cmocka_unit_test(test_multiclass), cmocka_unit_test(test_class_without_names),
        cmocka_unit_test(test_details),    cmocka_unit_test(test_rank),
        cmocka_unit_test(test_reasons),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
