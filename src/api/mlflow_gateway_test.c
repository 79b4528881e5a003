/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about the gateway's configuration, as clients send them. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/mlflow_gateway.h"
#include "api/route.h"
#include "services/gateway/gateway_testing.h"

#include <stdio.h>

static struct ig_call_testing test;

static const char *ask(enum ig_code (*handler)(struct ig_call *), const char *body)
{
    ig_call_testing_again(&test);
    test.app.gateway = gateway;
    test.app.db = db;
    test.call.who = IG_PRINCIPAL_LOCAL;
    ig_call_testing_header(&test, "Content-Type", "application/json");
    test.exchange.request.method = IG_STR("POST");
    test.exchange.body = ig_str_view(body);
    return handler(&test.call) == IG_OK ? test.exchange.reply.ptr : test.call.err.message;
}

static const char *by_query(enum ig_code (*handler)(struct ig_call *), const char *query)
{
    ig_call_testing_again(&test);
    test.app.gateway = gateway;
    test.call.who = IG_PRINCIPAL_LOCAL;
    test.exchange.request.query = ig_str_view(query);
    return handler(&test.call) == IG_OK ? test.exchange.reply.ptr : test.call.err.message;
}

/* The value of a member of the last answer. */
static const char *member(const char *reply, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":\"", name);
    const char *at = strstr(reply, key);
    if (!at) fail_msg("no %s in %s", name, reply);
    at += strlen(key);
    return ig_arena_cstr(&arena, (struct ig_str){at, (size_t)(strchr(at, '"') - at)});
}

#define FORMAT(...) ig_arena_printf(&arena, __VA_ARGS__)

static void test_secrets(void **state)
{
    (void)state;
    const char *made = ask(ig_mlflow_secret_create,
                           "{\"secret_name\":\"k\",\"secret_value\":{\"api_key\":\"sk-secret-12\"},"
                           "\"provider\":\"openai\",\"auth_config\":{\"api_base\":\"https://x\"},"
                           "\"created_by\":\"me\"}");
    const char *id = member(made, "secret_id");
    assert_non_null(strstr(made, "\"masked_values\":{\"api_key\":\"sk-...t-12\"},\"provider\":"
                                 "\"openai\",\"auth_config\":{\"api_base\":\"https://x\"}"));
    assert_null(strstr(made, "sk-secret"));
    assert_non_null(
        strstr(ask(ig_mlflow_secret_update,
                   FORMAT("{\"secret_id\":\"%s\",\"secret_value\":{\"a\":\"NEWKEY123456\"}}", id)),
               "{\"a\":\"NEW...3456\"}"));
    assert_non_null(strstr(by_query(ig_mlflow_secret_get, FORMAT("secret_id=%s", id)),
                           "\"secret_name\":\"k\""));
    assert_non_null(strstr(by_query(ig_mlflow_secret_list, "provider=openai"), "\"secrets\":[{"));
    assert_string_equal(by_query(ig_mlflow_secret_list, "provider=other"), "{}");
    assert_string_equal(by_query(ig_mlflow_secret_config, ""),
                        "{\"secrets_available\":true,\"using_default_passphrase\":true}");
    assert_non_null(strstr(ask(ig_mlflow_secret_create, "{\"secret_name\":\"x\"}"),
                           "required parameter 'secret_value'"));
    assert_non_null(strstr(ask(ig_mlflow_secret_create, "{\"secret_value\":{\"a\":\"b\"}}"),
                           "required parameter 'secret_name'"));
    assert_non_null(
        strstr(ask(ig_mlflow_secret_create, "{\"secret_name\":\"x\",\"secret_value\":{\"a\":1}}"),
               "secret_value"));
    assert_string_equal(ask(ig_mlflow_secret_delete, FORMAT("{\"secret_id\":\"%s\"}", id)), "{}");
}

static void test_endpoints(void **state)
{
    (void)state;
    const char *secret = member(
        ask(ig_mlflow_secret_create, "{\"secret_name\":\"k\",\"secret_value\":{\"a\":\"b\"}}"),
        "secret_id");
    const char *model =
        member(ask(ig_mlflow_definition_create,
                   FORMAT("{\"name\":\"m\",\"secret_id\":\"%s\",\"provider\":\"openai\","
                          "\"model_name\":\"gpt-4\"}",
                          secret)),
               "model_definition_id");
    const char *made = ask(
        ig_mlflow_endpoint_create,
        FORMAT(
            "{\"name\":\"e\",\"model_configs\":[{\"model_definition_id\":\"%s\",\"linkage_type\":"
            "\"PRIMARY\",\"weight\":0.5}],\"routing_strategy\":\"REQUEST_BASED_TRAFFIC_SPLIT\","
            "\"fallback_config\":{\"strategy\":\"SEQUENTIAL\",\"max_attempts\":2}}",
            model));
    const char *id = member(made, "endpoint_id");
    assert_non_null(strstr(made, "\"weight\":0.5,\"linkage_type\":\"PRIMARY\""));
    assert_non_null(strstr(made, "\"routing_strategy\":\"REQUEST_BASED_TRAFFIC_SPLIT\","
                                 "\"fallback_config\":{\"strategy\":\"SEQUENTIAL\","
                                 "\"max_attempts\":2}"));
    assert_non_null(strstr(made, "\"usage_tracking\":true"));
    assert_non_null(strstr(by_query(ig_mlflow_endpoint_get, "name=e"), id));
    assert_non_null(strstr(by_query(ig_mlflow_endpoint_get, ""), "Exactly one of"));
    static const char *const bad[][2] = {
        {"{\"name\":\"f\"}", "at least one model configuration"},
        {"{\"name\":\"f\",\"model_configs\":[{\"model_definition_id\":\"d\"}]}",
         "'linkage_type' in model_configs[0]"},
        {"{\"name\":\"f\",\"model_configs\":[{\"linkage_type\":\"PRIMARY\"}]}",
         "'model_definition_id'"},
        {"{\"name\":\"f\",\"model_configs\":[{\"model_definition_id\":\"d\",\"linkage_type\":"
         "\"PRIMARY\"}]}",
         "GatewayModelDefinition not found (model_definition_id='d')"},
        {"{\"name\":\"f\",\"routing_strategy\":\"X\"}", "routing_strategy: 'X'"},
        {"{\"name\":\"f\",\"fallback_config\":{\"strategy\":\"X\"}}", "is not SEQUENTIAL"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *said = ask(ig_mlflow_endpoint_create, bad[i][0]);
        if (!strstr(said, bad[i][1])) fail_msg("%s: %s", bad[i][0], said);
    }
    assert_non_null(strstr(ask(ig_mlflow_endpoint_attach, FORMAT("{\"endpoint_id\":\"%s\"}", id)),
                           "required parameter 'model_config'"));
    assert_string_equal(ask(ig_mlflow_endpoint_tag,
                            FORMAT("{\"endpoint_id\":\"%s\",\"key\":\"k\",\"value\":\"v\"}", id)),
                        "{}");
    const char *binding = FORMAT("{\"endpoint_id\":\"%s\",\"resource_type\":\"scorer\","
                                 "\"resource_id\":\"job\"}",
                                 id);
    assert_non_null(strstr(ask(ig_mlflow_binding_create, binding), "\"resource_id\":\"job\""));
    assert_non_null(strstr(by_query(ig_mlflow_binding_list, "resource_id=job"), "\"bindings\":[{"));
    assert_string_equal(ask(ig_mlflow_binding_delete, binding), "{}");
    assert_non_null(strstr(by_query(ig_mlflow_endpoint_list, ""),
                           "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]"));
    assert_string_equal(ask(ig_mlflow_endpoint_delete, FORMAT("{\"endpoint_id\":\"%s\"}", id)),
                        "{}");
    assert_string_equal(by_query(ig_mlflow_endpoint_list, ""), "{}");
}

static int setup_all(void **state)
{
    ig_call_testing_init(&test);
    return setup(state);
}

static int teardown_all(void **state)
{
    ig_call_testing_deinit(&test);
    return teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_secrets, setup_all, teardown_all),
        cmocka_unit_test_setup_teardown(test_endpoints, setup_all, teardown_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
