/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding of inference requests: values, kinds, order of members, errors with field and byte. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/predict_request.h"
#include "base/mem.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ig_str sexes[] = {{"Female", 6}, {"Male", 4}};
static struct ig_feature features[] = {
    {.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
    {.name = {"sex", 3},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = sexes,
     .categories_count = 2},
    {.name = {"code", 4}, .type = IG_FEATURE_CATEGORICAL},
};
static struct ig_schema schema = {.features = features, .features_count = 3};

struct fixture {
    struct ig_arena arena;
    struct ig_err err;
    struct ig_predict_request request;
    const char *field;
    char asked[64];
};

static const struct ig_rules_attribute attributes[] = {{{"segment", 7}, IG_RULES_TEXT},
                                                       {{"basket", 6}, IG_RULES_NUMBER}};

static bool find(struct ig_predict_target *out, void *context, struct ig_str model,
                 struct ig_err *err)
{
    struct fixture *fixture = context;
    snprintf(fixture->asked, sizeof fixture->asked, "%.*s", IG_STR_ARGS(model));
    if (ig_str_is(model, "none")) {
        ig_fail(err, IG_NOT_FOUND, "model 'none': there is no such deployment");
        return false;
    }
    *out = (struct ig_predict_target){&schema, attributes, 2};
    return true;
}

static enum ig_code decode_as(struct fixture *fixture, const char *body, bool kserve)
{
    struct ig_json json;
    struct ig_predict_source source = {find, fixture, 4, kserve, true, IG_OK};
    ig_arena_reset(&fixture->arena);
    fixture->err = IG_ERR_INIT;
    fixture->field = NULL;
    fixture->asked[0] = '\0';
    ig_json_init(&json, ig_str_view(body), &fixture->arena, &fixture->err);
    return ig_predict_request_decode(&fixture->request, &json, &source, &fixture->field);
}

static enum ig_code decode(struct fixture *fixture, const char *body)
{
    return decode_as(fixture, body, false);
}

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_schema_index(&schema, &err), IG_OK);
    ig_arena_init(&fixture.arena, 4096, 1 << 20);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ig_arena_deinit(&fixture->arena);
    ig_schema_deinit(&schema);
    return 0;
}

static void test_one_row(void **state)
{
    struct fixture *fixture = *state;
    const char *body = "{\"model\":\"m\",\"features\":{\"sex\":\"Male\",\"age\":39.5,\"code\":7},"
                       "\"top\":2,\"method\":\"x\"}";
    assert_int_equal(decode(fixture, body), IG_OK);
    assert_string_equal(fixture->asked, "m");
    assert_int_equal(fixture->request.rows_count, 1);
    assert_false(fixture->request.many);
    assert_int_equal(fixture->request.explain.top, 2);
    assert_true(ig_str_is(fixture->request.explain.method, "x"));
    assert_true(fixture->request.rows[0] == 39.5);
    assert_true(fixture->request.rows[1] == 1);
    assert_true(fixture->request.rows[2] == 7);
}

static void test_rows_before_model(void **state)
{
    struct fixture *fixture = *state;
    const char *body = "{\"instances\":[{\"age\":1},[2,\"Female\",null]], \"model\" : \"m\"}";
    assert_int_equal(decode(fixture, body), IG_OK);
    assert_string_equal(fixture->asked, "m");
    assert_true(fixture->request.many);
    assert_int_equal(fixture->request.rows_count, 2);
    assert_true(fixture->request.rows[0] == 1 && isnan(fixture->request.rows[1]));
    assert_true(fixture->request.rows[3] == 2 && fixture->request.rows[4] == 0);
    assert_true(isnan(fixture->request.rows[5]));
}

static void test_values(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(decode(fixture, "{\"features\":{\"age\":true,\"sex\":\"Other\"}}"), IG_OK);
    assert_string_equal(fixture->asked, "");
    assert_true(fixture->request.rows[0] == 1);
    assert_true(fixture->request.rows[1] == -1); /* unseen in training: in no set */
    assert_int_equal(decode(fixture, "{\"features\":{\"age\":NaN,\"sex\":null}}"), IG_OK);
    assert_true(isnan(fixture->request.rows[0]) && isnan(fixture->request.rows[1]));
    assert_int_equal(decode(fixture, "{\"features\":{}}"), IG_OK);
    assert_true(isnan(fixture->request.rows[0]));
}

static void test_kserve(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(decode_as(fixture, "{\"instances\":[[1,\"Male\",2]],\"x\":[{}]}", true),
                     IG_OK);
    assert_int_equal(fixture->request.rows_count, 1);
    assert_int_equal(decode_as(fixture, "{\"inputs\":[{\"age\":3}]}", true), IG_OK);
    assert_true(fixture->request.rows[0] == 3);
    assert_int_equal(decode_as(fixture, "{\"parameters\":{}}", true), IG_INVALID);
    assert_non_null(strstr(fixture->err.message, "instances: missing"));
}

/* Every member that says how to explain; groups before and behind the model's name. */
static void test_how_to_explain(void **state)
{
    struct fixture *fixture = *state;
    const char *body =
        "{\"groups\":{\"both\":[\"age\",\"code\"]},\"features\":{},\"background\":\"b\","
        "\"unit\":\"margin\",\"budget_us\":50,\"seed\":9007199254740993,\"samples\":300,"
        "\"target_se\":0.5,\"model\":\"m\"}";
    assert_int_equal(decode(fixture, body), IG_OK);
    const struct ig_explain_request *explain = &fixture->request.explain;
    assert_true(ig_str_is(explain->background, "b") && ig_str_is(explain->unit, "margin"));
    assert_int_equal(explain->budget_us, 50);
    assert_true(explain->seed == 9007199254740993u);
    assert_int_equal(explain->samples, 300);
    assert_true(explain->target_se == 0.5);
    assert_int_equal(explain->given,
                     1U << IG_EXPLAIN_OPTION_GROUPS | 1U << IG_EXPLAIN_OPTION_BACKGROUND |
                         1U << IG_EXPLAIN_OPTION_SEED | 1U << IG_EXPLAIN_OPTION_SAMPLES |
                         1U << IG_EXPLAIN_OPTION_TARGET_SE);
    assert_int_equal(explain->groups.players.count, 2);
    assert_true(ig_str_is(explain->groups.names[0], "both"));
    body = "{\"model\":\"m\",\"features\":{},\"groups\":{\"age\":[\"age\",\"sex\"]}}";
    assert_int_equal(decode(fixture, body), IG_OK);
    assert_int_equal(fixture->request.explain.groups.players.of_feature[1], 0);
    assert_int_equal(decode_as(fixture, "{\"instances\":[{}],\"samples\":4,\"x\":1}", true), IG_OK);
    assert_int_equal(fixture->request.explain.samples, 4);
}

struct bad {
    const char *body;
    enum ig_code code;
    const char *field;
    const char *message;
};

static const struct bad bad[] = {
    {"{\"features\":{\"age\":\"x\"}}", IG_INVALID, "features.age",
     "features.age: expected a number, found the string 'x'"},
    {"{\"features\":{\"age\":[1]}}", IG_INVALID, "features.age", "features.age: expected a number"},
    {"{\"features\":{\"sex\":1}}", IG_INVALID, "features.sex", "expected the text of a category"},
    {"{\"features\":{\"size\":1}}", IG_INVALID, "features.size",
     "features.size: the model has no such feature"},
    {"{\"features\":[1,2,3]}", IG_INVALID, "features", "expected an object of features"},
    {"{\"instances\":[{\"age\":1},{\"sex\":{}}]}", IG_INVALID, "instances[1].sex",
     "instances[1].sex: expected the text of a category"},
    {"{\"instances\":[[1,\"Male\"]]}", IG_INVALID, "instances[0]", "2 values"},
    {"{\"instances\":[[1,\"Male\",1,1]]}", IG_INVALID, "instances[0]", "more than"},
    {"{\"instances\":[]}", IG_INVALID, "instances", "at least one row"},
    {"{\"instances\":7}", IG_INVALID, "instances", "instances"},
    {"{\"instances\":[{},{},{},{},{}]}", IG_TOO_LARGE, NULL, "more than 4 rows"},
    {"{\"features\":{},\"instances\":[{}]}", IG_INVALID, NULL, "give rows once"},
    {"{\"model\":\"none\",\"features\":{}}", IG_NOT_FOUND, "model", "no such deployment"},
    {"{\"model\":7,\"features\":{}}", IG_INVALID, "model", "model"},
    {"{\"modle\":\"m\"}", IG_INVALID, "modle", "modle: unknown member"},
    {"{\"features\":{},\"groups\":{\"g\":[\"agee\"]}}", IG_INVALID, "groups",
     "groups.g: the model has no feature 'agee'"},
    {"{\"features\":{},\"groups\":{\"g\":[]}}", IG_INVALID, "groups",
     "groups.g: at least one feature is expected"},
    {"{\"features\":{},\"groups\":{\"g\":\"age\"}}", IG_INVALID, "groups", "groups"},
    {"{\"features\":{},\"groups\":{},\"groups\":{}}", IG_INVALID, "groups", "groups: given twice"},
    {"{\"features\":{},\"samples\":-1}", IG_INVALID, "samples", "samples"},
    {"{\"features\":{},\"budget_us\":0}", IG_INVALID, "budget_us", "budget_us: 0 is no time"},
    {"{\"features\":{},\"plot\":\"bar\",\"precompute\":true}", IG_INVALID, "plot",
     "plot: precompute gives no picture"},
    {"{\"model\":\"m\"}", IG_INVALID, NULL, "features: missing"},
    {"{\"features\":{\"age\":1}", IG_PARSE, NULL, ""},
    {"{\"features\":{\"age\":1}} x", IG_PARSE, NULL, ""},
    {"{\"model\":\"m\", bad", IG_PARSE, NULL, ""},
    {"{\"features\":{\"age\":1,\"sex\":bad}}", IG_PARSE, NULL, ""},
    {"{\"top\":1,", IG_PARSE, NULL, ""},
    {"[]", IG_INVALID, NULL, "request"},
    {"", IG_PARSE, NULL, ""},
};

static void test_errors(void **state)
{
    struct fixture *fixture = *state;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum ig_code code = decode(fixture, bad[i].body);
        if (code != bad[i].code || !strstr(fixture->err.message, bad[i].message))
            fail_msg("%s: %s: %s", bad[i].body, ig_code_name(code), fixture->err.message);
        if (bad[i].field) {
            assert_non_null(fixture->field);
            assert_string_equal(fixture->field, bad[i].field);
        }
        if (code == IG_PARSE) {
            assert_true(fixture->err.at_byte >= 0);
            assert_null(fixture->field);
        }
    }
    decode(fixture, "{\"features\":{\"age\":\"x\"}}");
    assert_int_equal(fixture->err.at_byte, 22); /* just behind the string */
}

static void test_no_memory(void **state)
{
    struct fixture *fixture = *state;
    const char *body = "{\"instances\":[{\"age\":1},{\"age\":2}],\"model\":\"m\"}";
    for (uint64_t n = 1;; n++) {
        ig_arena_deinit(&fixture->arena);
        ig_arena_init(&fixture->arena, 64, 1 << 20);
        ig_mem_fail_after(n);
        enum ig_code code = decode(fixture, body);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        if (!failed) {
            assert_int_equal(code, IG_OK);
            break;
        }
        assert_true(code == IG_TOO_LARGE || code == IG_NO_MEMORY);
    }
}

static void test_features_that_must_be_named(void **state)
{
    struct fixture *fixture = *state;
    features[0].named = schema.has_named = true;
    assert_int_equal(decode(fixture, "{\"model\":\"m\",\"features\":{\"age\":null}}"), IG_OK);
    assert_true(isnan(fixture->request.rows[0]));
    assert_int_equal(decode(fixture, "{\"model\":\"m\",\"instances\":[[null,\"Male\",1]]}"), IG_OK);
    assert_int_equal(
        decode(fixture, "{\"model\":\"m\",\"instances\":[{\"age\":1},{\"sex\":\"Male\"}]}"),
        IG_INVALID);
    assert_non_null(
        strstr(fixture->err.message, "age: is not given, and the model's signature requires it"));
    features[0].named = schema.has_named = false;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_one_row),   cmocka_unit_test(test_rows_before_model),
        cmocka_unit_test(test_values),    cmocka_unit_test(test_how_to_explain),
        cmocka_unit_test(test_kserve),    cmocka_unit_test(test_errors),
        cmocka_unit_test(test_no_memory), cmocka_unit_test(test_features_that_must_be_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
