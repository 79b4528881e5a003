/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes of MLflow's answers about users and what they were given. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_users_testing.h"

#define USERS "/api/2.0/mlflow/users/"

static void test_users(void **state)
{
    (void)state;
    expect_reply("POST", USERS "create", "{\"username\":\"bob\",\"password\":\"correct horse\"}",
                 "{\"user\":{\"id\":3,\"username\":\"bob\",\"is_admin\":false,"
                 "\"experiment_permissions\":[],\"registered_model_permissions\":[],"
                 "\"scorer_permissions\":[]}}");
    expect_reply("GET", USERS "current", "",
                 "{\"user\":{\"id\":1,\"username\":\"root\",\"is_admin\":true}}");
    expect_reply("PATCH", USERS "update-admin", "{\"username\":\"bob\",\"is_admin\":true}", "{}");
    expect_reply("GET", USERS "list", "",
                 "{\"users\":[{\"id\":1,\"username\":\"root\",\"is_admin\":true},"
                 "{\"id\":2,\"username\":\"ann\",\"is_admin\":false},"
                 "{\"id\":3,\"username\":\"bob\",\"is_admin\":true}]}");
    expect_reply("DELETE", USERS "delete", "{\"username\":\"bob\"}", "{}");
    expect_refusal(IG_NOT_FOUND, "GET", USERS "get", "username=bob");
    expect_refusal(IG_INVALID, "POST", USERS "create", "{\"username\":\"\",\"password\":\"x\"}");
    expect_refusal(IG_INVALID, "POST", USERS "create", "");
    expect_refusal(IG_INVALID, "DELETE", USERS "delete", "{\"username\":\"root\"}"); /* oneself */
}

static void test_password(void **state)
{
    (void)state;
    static const char PATH[] = USERS "update-password";
    expect_reply("PATCH", PATH, "{\"username\":\"ann\",\"password\":\"battery staple\"}", "{}");
    caller = ann;
    expect_refusal(IG_INVALID, "PATCH", PATH,
                   "{\"username\":\"ann\",\"password\":\"correct horse\"}");
    assert_non_null(strstr(test.call.err.message, "Current password is required"));
    expect_refusal(IG_INVALID, "PATCH", PATH,
                   "{\"username\":\"ann\",\"password\":\"correct horse\","
                   "\"current_password\":\"wrong\"}");
    assert_string_equal(test.call.err.message, "Current password does not match.");
    expect_refusal(IG_INVALID, "PATCH", PATH,
                   "{\"username\":\"ann\",\"password\":\"battery staple\","
                   "\"current_password\":\"battery staple\"}");
    expect_reply("PATCH", PATH,
                 "{\"username\":\"ann\",\"password\":\"correct horse\","
                 "\"current_password\":\"battery staple\"}",
                 "{}");
}

static void test_grants(void **state)
{
    (void)state;
    static const struct {
        const char *path, *object, *reply;
    } kinds[] = {
        {"/api/2.0/mlflow/experiments", "\"experiment_id\":\"7\"",
         "{\"experiment_permission\":{\"experiment_id\":\"7\",\"user_id\":2,"},
        {"/api/2.0/mlflow/registered-models", "\"name\":\"m\"",
         "{\"registered_model_permission\":{\"workspace\":\"default\",\"name\":\"m\","
         "\"user_id\":2,"},
        {"/api/3.0/mlflow/scorers", "\"experiment_id\":\"7\",\"scorer_name\":\"a/b\"",
         "{\"scorer_permission\":{\"experiment_id\":\"7\",\"scorer_name\":\"a/b\",\"user_id\":2,"},
        {"/api/3.0/mlflow/gateway/secrets", "\"secret_id\":\"s\"",
         "{\"gateway_secret_permission\":{\"secret_id\":\"s\",\"user_id\":2,"},
        {"/api/3.0/mlflow/gateway/endpoints", "\"endpoint_id\":\"e\"",
         "{\"gateway_endpoint_permission\":{\"endpoint_id\":\"e\",\"user_id\":2,"},
        {"/api/3.0/mlflow/gateway/model-definitions", "\"model_definition_id\":\"d\"",
         "{\"gateway_model_definition_permission\":{\"model_definition_id\":\"d\",\"user_id\":2,"},
    };
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        char path[96], text[256], reply[256];
        snprintf(path, sizeof path, "%s/permissions/create", kinds[i].path);
        snprintf(text, sizeof text, "{%s,\"username\":\"ann\",\"permission\":\"EDIT\"}",
                 kinds[i].object);
        snprintf(reply, sizeof reply, "%s\"permission\":\"EDIT\"}}", kinds[i].reply);
        expect_reply("POST", path, text, reply);
        expect_refusal(IG_EXISTS, "POST", path, text);
        snprintf(path, sizeof path, "%s/permissions/update", kinds[i].path);
        expect_reply("PATCH", path, text, "{}");
        snprintf(path, sizeof path, "%s/permissions/delete", kinds[i].path);
        expect_reply("DELETE", path, text, "{}");
        expect_refusal(IG_NOT_FOUND, "DELETE", path, text);
    }
    expect_refusal(IG_INVALID, "POST", "/api/2.0/mlflow/experiments/permissions/create",
                   "{\"experiment_id\":\"7\",\"username\":\"ann\",\"permission\":\"ALL\"}");
    expect_refusal(IG_NOT_FOUND, "GET", "/api/2.0/mlflow/experiments/permissions/get",
                   "experiment_id=7&username=ann");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_users, open_api, close_api),
        cmocka_unit_test_setup_teardown(test_password, open_api, close_api),
        cmocka_unit_test_setup_teardown(test_grants, open_api, close_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
