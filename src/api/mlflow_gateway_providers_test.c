/* SPDX-License-Identifier: Apache-2.0 */
/* Suggestions for the gateway's configuration. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"

static struct ig_call_testing test;

static const char *ask(enum ig_code (*handler)(struct ig_call *), const char *query,
                       const char *body)
{
    ig_call_testing_again(&test);
    if (body) {
        ig_call_testing_header(&test, "Content-Type", "application/json");
        test.exchange.request.method = IG_STR("POST");
        test.exchange.body = ig_str_view(body);
    }
    test.exchange.request.query = ig_str_view(query);
    return handler(&test.call) == IG_OK ? test.exchange.reply.ptr : test.call.err.message;
}

static void test_suggestions(void **state)
{
    (void)state;
    ig_call_testing_init(&test);
    assert_non_null(strstr(ask(ig_mlflow_gateway_providers, "", NULL), "\"openai\""));
    assert_non_null(strstr(ask(ig_mlflow_gateway_models, "", NULL), "\"provider\":\"anthropic\""));
    const char *filtered = ask(ig_mlflow_gateway_models, "provider=openai", NULL);
    assert_non_null(strstr(filtered, "{\"models\":[{\"model\":"));
    assert_null(strstr(filtered, "anthropic"));
    assert_string_equal(
        ask(ig_mlflow_gateway_provider_config, "provider=openai", NULL),
        "{\"auth_modes\":[{\"mode\":\"api_key\",\"display_name\":\"API Key\",\"description\":"
        "\"Use OpenAI API Key\",\"secret_fields\":[{\"name\":\"api_key\",\"type\":\"string\","
        "\"description\":\"OpenAI API Key\",\"required\":true}],\"config_fields\":[{\"name\":"
        "\"api_base\",\"type\":\"string\",\"description\":\"OpenAI API Base URL\",\"required\":"
        "false}]}],\"default_mode\":\"api_key\"}");
    assert_non_null(strstr(ask(ig_mlflow_gateway_provider_config, "provider=bedrock", NULL),
                           "\"mode\":\"iam_role\""));
    assert_non_null(
        strstr(ask(ig_mlflow_gateway_provider_config, "provider=mine", NULL), "Use mine API Key"));
    assert_non_null(strstr(ask(ig_mlflow_gateway_provider_config, "", NULL), "required"));
    ig_call_testing_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_suggestions),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
