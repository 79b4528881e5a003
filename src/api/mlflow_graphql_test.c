/* SPDX-License-Identifier: Apache-2.0 */
/* GraphQL's answers without a server: what needs no store. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"

static const char *ask(struct ig_call_testing *test, const char *body)
{
    ig_call_testing_again(test);
    ig_call_testing_header(test, "Content-Type", "application/json");
    test->exchange.request.method = IG_STR("POST");
    test->exchange.body = ig_str_view(body);
    if (ig_mlflow_graphql(&test->call) != IG_OK) return test->call.err.message;
    return test->exchange.reply.ptr;
}

static void test_echo(void **state)
{
    (void)state;
    struct ig_call_testing test;
    ig_call_testing_init(&test);
    assert_string_equal(
        ask(&test, "{\"query\":\"query A { test(inputString: \\\"a\\\\u00e9\\\") { output t:"
                   " __typename } __typename } query B { test { output } }\","
                   "\"operationName\":\"A\"}"),
        "{\"data\":{\"test\":{\"output\":\"a\xC3\xA9\",\"t\":\"Test\"},\"__typename\":\"Query\"},"
        "\"errors\":null}");
    assert_string_equal(ask(&test, "{\"query\":\"{ test { output } test { x } }\"}"),
                        "{\"data\":null,\"errors\":[\"Cannot query field 'x' on type 'Test'.\"]}");
    assert_string_equal(ask(&test, "{\"query\":\"mutation { m: testMutation(inputString: null) {"
                                   " output } }\"}"),
                        "{\"data\":{\"m\":{\"output\":\"\"}},\"errors\":null}");
    ig_call_testing_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_echo)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
