/* SPDX-License-Identifier: Apache-2.0 */
/* Replies of errors, media types, query parameters. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"

static struct ig_call_testing test;

static int setup(void **state)
{
    (void)state;
    ig_call_testing_init(&test);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_call_testing_deinit(&test);
    return 0;
}

static void test_error_forms(void **state)
{
    (void)state;
    memcpy(test.call.request_id, "r1", 3);
    test.exchange.request.path = IG_STR("/api/v1/x");
    test.call.field = "features.age";
    ig_fail_at(&test.call.err, IG_INVALID, 7, "features.age: bad");
    ig_call_reply_error(&test.call);
    assert_int_equal(test.exchange.status, 400);
    assert_string_equal(test.exchange.reply.ptr,
                        "{\"error\":{\"code\":\"INVALID\",\"message\":\"features.age: bad\","
                        "\"field\":\"features.age\",\"position\":7},\"request_id\":\"r1\"}");
    test.exchange.request.path = IG_STR("/v1/models/x");
    test.call.status = 418;
    ig_call_reply_error(&test.call);
    assert_int_equal(test.exchange.status, 418);
    assert_string_equal(test.exchange.reply.ptr, "{\"error\":\"features.age: bad\"}");
}

/* MLflow's form on the paths of its two API versions, below both prefixes, and nowhere else. */
static void test_mlflow_forms(void **state)
{
    (void)state;
    static const struct {
        const char *path;
        bool mlflow;
    } cases[] = {
        {"/api/2.0/mlflow/runs/get", true},
        {"/api/3.0/nothing", true},
        {"/ajax-api/2.0/mlflow/x", true},
        {"/ajax-api/3.0/mlflow/x", true},
        {"/get-artifact", true},
        {"/model-versions/get-artifact", true},
        {"/ajax-api/v1/models", false},
        {"/ajax-api/4.0/mlflow/x", false},
        {"/ajax-api/", false},
        {"/api/2.0", false},
        {"/get-artifacts", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ig_call_testing_again(&test);
        test.exchange.request.path = ig_str_view(cases[i].path);
        test.call.route = IG_ROUTES; /* the path is there, and what it asks for is not */
        ig_fail(&test.call.err, IG_NOT_FOUND, "no");
        ig_call_reply_error(&test.call);
        assert_int_equal(test.exchange.status, 404);
        bool mlflow = !strcmp(test.exchange.reply.ptr,
                              "{\"error_code\":\"RESOURCE_DOES_NOT_EXIST\",\"message\":\"no\"}");
        if (mlflow != cases[i].mlflow) fail_msg("%s: %s", cases[i].path, test.exchange.reply.ptr);
    }
}

static void test_codes_of_statuses(void **state)
{
    (void)state;
    assert_int_equal(ig_call_code_of_status(404), IG_NOT_FOUND);
    assert_int_equal(ig_call_code_of_status(413), IG_TOO_LARGE);
    assert_int_equal(ig_call_code_of_status(431), IG_INVALID);
    assert_int_equal(ig_call_code_of_status(505), IG_INTERNAL);
}

static enum ig_code media(const char *type, const char *encoding)
{
    ig_call_testing_again(&test);
    if (type) ig_call_testing_header(&test, "Content-Type", type);
    if (encoding) ig_call_testing_header(&test, "content-encoding", encoding);
    return ig_call_expect_json(&test.call);
}

static void test_media_types(void **state)
{
    (void)state;
    assert_int_equal(media(NULL, NULL), IG_OK);
    assert_int_equal(media("application/json", NULL), IG_OK);
    assert_int_equal(media("Application/JSON ; charset=UTF-8", "identity"), IG_OK);
    assert_int_equal(media("application/json; charset=latin-1", NULL), IG_MEDIA_TYPE);
    assert_int_equal(media("text/plain", NULL), IG_MEDIA_TYPE);
    assert_non_null(strstr(test.call.err.message, "'text/plain'"));
    assert_int_equal(media("application/json", "gzip"), IG_MEDIA_TYPE);
}

static void test_query(void **state)
{
    (void)state;
    uint64_t number;
    struct ig_str text;
    ig_call_testing_again(&test);
    test.exchange.request.query = IG_STR("limit=12&name=a%20b&bad=-1");
    assert_int_equal(ig_call_query_u64(&number, &test.call, "limit", 5), IG_OK);
    assert_int_equal(number, 12);
    assert_int_equal(ig_call_query_u64(&number, &test.call, "other", 5), IG_OK);
    assert_int_equal(number, 5);
    assert_int_equal(ig_call_query_str(&text, &test.call, "name"), IG_OK);
    assert_true(ig_str_is(text, "a b"));
    assert_int_equal(ig_call_query_u64(&number, &test.call, "bad", 5), IG_INVALID);
    assert_string_equal(test.call.field, "bad");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_error_forms),
        cmocka_unit_test(test_mlflow_forms),
        cmocka_unit_test(test_codes_of_statuses),
        cmocka_unit_test(test_media_types),
        cmocka_unit_test(test_query),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
