/* SPDX-License-Identifier: Apache-2.0 */
/* Reading request objects and the helpers of replies. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/rest.h"

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

struct parts {
    struct ig_str name, ref;
    int64_t count;
    unsigned read;
};

static enum ig_code read_flag(void *out, struct ig_json *json)
{
    bool value;
    if (!ig_json_bool(json, &value, "flag")) return json->err->code;
    *(unsigned *)out += value;
    return IG_OK;
}

static enum ig_code read_body(struct parts *parts, const char *body)
{
    const struct ig_rest_field fields[] = {
        {"name", IG_REST_STR, &parts->name, true, NULL},
        {"count", IG_REST_I64, &parts->count, false, NULL},
        {"ref", IG_REST_TEXT_OR_I64, &parts->ref, false, NULL},
        {"flag", IG_REST_CALL, &parts->read, false, read_flag},
    };
    ig_call_testing_again(&test);
    *parts = (struct parts){0};
    test.exchange.body = ig_str_view(body);
    return ig_rest_read(&test.call, fields, 4);
}

static void test_read(void **state)
{
    (void)state;
    struct parts parts;
    assert_int_equal(read_body(&parts, "{\"ref\":7,\"name\":\"n\",\"count\":-3,\"flag\":true}"),
                     IG_OK);
    assert_true(ig_str_is(parts.name, "n") && ig_str_is(parts.ref, "7"));
    assert_int_equal(parts.count, -3);
    assert_int_equal(parts.read, 1);
    assert_int_equal(read_body(&parts, "{\"ref\":\"best\",\"name\":\"n\"}"), IG_OK);
    assert_true(ig_str_is(parts.ref, "best"));
}

static void expect_refused(const char *body, enum ig_code code, const char *field,
                           const char *message)
{
    struct parts parts;
    if (read_body(&parts, body) != code || !strstr(test.call.err.message, message))
        fail_msg("%s: %s %s", body, ig_code_name(test.call.err.code), test.call.err.message);
    if (field) assert_string_equal(test.call.field, field);
    if (code == IG_PARSE) assert_null(test.call.field);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refused("", IG_INVALID, "name", "name: missing");
    expect_refused("{\"count\":1}", IG_INVALID, "name", "name: missing");
    expect_refused("{\"name\":1}", IG_INVALID, "name", "name");
    expect_refused("{\"name\":\"a\",\"name\":\"b\"}", IG_INVALID, "name", "given twice");
    expect_refused("{\"name\":\"a\",\"size\":1}", IG_INVALID, "size", "size: unknown member");
    expect_refused("{\"name\":\"a\",\"ref\":[]}", IG_INVALID, "ref", "string or a number");
    expect_refused("{\"name\":\"a\",\"count\":1.5}", IG_INVALID, "count", "count");
    expect_refused("[]", IG_INVALID, NULL, "body");
    expect_refused("{\"name\":\"a\", bad", IG_PARSE, NULL, "");
    expect_refused("{\"name\":bad}", IG_PARSE, NULL, "");
    expect_refused("{\"name\":\"a\"", IG_PARSE, NULL, "");
    expect_refused("{\"name\":\"a\"} {}", IG_PARSE, NULL, "");
}

static void test_version_numbers(void **state)
{
    (void)state;
    int64_t version;
    ig_call_testing_again(&test);
    assert_int_equal(ig_rest_version_number(&version, &test.call, IG_STR("12")), IG_OK);
    assert_int_equal(version, 12);
    assert_int_equal(ig_rest_version_number(&version, &test.call, IG_STR("0")), IG_INVALID);
    assert_string_equal(test.call.err.message, "version: '0' is not a version number");
}

static void test_times(void **state)
{
    (void)state;
    struct ig_json_out out;
    ig_call_testing_again(&test);
    ig_call_json(&test.call, &out);
    ig_json_out_object(&out);
    ig_rest_kv_time(&out, "a", 0);
    ig_rest_kv_time(&out, "b", 1000);
    ig_rest_kv_raw(&out, "c", IG_STR(""));
    ig_json_out_object_end(&out);
    assert_string_equal(test.exchange.reply.ptr,
                        "{\"a\":null,\"b\":\"1970-01-01T00:00:01.000Z\",\"c\":{}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_read),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_version_numbers),
        cmocka_unit_test(test_times),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
