/* SPDX-License-Identifier: Apache-2.0 */
/* The shapes of MLflow's answers about roles, and who may ask. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_access.h"
#include "api/mlflow_users_testing.h"

#define V3 "/api/3.0/mlflow/"

static void test_roles(void **state)
{
    (void)state;
    expect_reply("POST", V3 "roles/create", "{\"name\":\"r\",\"workspace\":\"default\"}",
                 "{\"role\":{\"id\":1,\"name\":\"r\",\"workspace\":\"default\","
                 "\"description\":null,\"permissions\":[]}}");
    expect_reply("POST", V3 "roles/permissions/add",
                 "{\"role_id\":1,\"resource_type\":\"experiment\",\"resource_pattern\":\"007\","
                 "\"permission\":\"EDIT\"}",
                 "{\"role_permission\":{\"id\":1,\"role_id\":1,\"resource_type\":\"experiment\","
                 "\"resource_pattern\":\"7\",\"permission\":\"EDIT\"}}");
    expect_reply("POST", V3 "roles/assign", "{\"username\":\"ann\",\"role_id\":1}",
                 "{\"assignment\":{\"id\":1,\"user_id\":2,\"role_id\":1}}");
    expect_reply("GET", V3 "roles/users/list", "role_id=1",
                 "{\"assignments\":[{\"id\":1,\"user_id\":2,\"role_id\":1}]}");
    expect_reply("PATCH", V3 "roles/update", "{\"role_id\":1,\"description\":\"d\"}",
                 "{\"role\":{\"id\":1,\"name\":\"r\",\"workspace\":\"default\","
                 "\"description\":\"d\",\"permissions\":[{\"id\":1,\"role_id\":1,"
                 "\"resource_type\":\"experiment\",\"resource_pattern\":\"7\","
                 "\"permission\":\"EDIT\"}]}}");
    expect_reply("GET", V3 "users/permissions/list", "username=ann",
                 "{\"is_admin\":false,\"permissions\":[{\"role_id\":1,\"role_name\":\"r\","
                 "\"workspace\":\"default\",\"resource_type\":\"experiment\","
                 "\"resource_pattern\":\"7\",\"permission\":\"EDIT\"}]}");
    expect_reply("PATCH", V3 "roles/permissions/update",
                 "{\"role_permission_id\":1,\"permission\":\"READ\"}",
                 "{\"role_permission\":{\"id\":1,\"role_id\":1,\"resource_type\":\"experiment\","
                 "\"resource_pattern\":\"7\",\"permission\":\"READ\"}}");
    expect_reply("DELETE", V3 "roles/permissions/remove", "{\"role_permission_id\":1}", "{}");
    expect_reply("GET", V3 "roles/permissions/list", "role_id=1", "{\"role_permissions\":[]}");
    expect_reply("DELETE", V3 "roles/unassign", "{\"username\":\"ann\",\"role_id\":1}", "{}");
    expect_reply("DELETE", V3 "roles/delete", "{\"role_id\":1}", "{}");
    expect_reply("GET", V3 "roles/list", "workspace=default", "{\"roles\":[]}");
    expect_refusal(IG_NOT_FOUND, "GET", V3 "roles/get", "role_id=1");
    expect_refusal(IG_NOT_FOUND, "GET", V3 "roles/get", "role_id=0");
    expect_refusal(IG_INVALID, "GET", V3 "roles/get", "role_id=x");
}

static void test_permissions(void **state)
{
    (void)state;
    static const char GIVE[] = "{\"username\":\"ann\",\"resource_type\":\"registered_model\","
                               "\"resource_id\":\"m\",\"permission\":\"USE\"}";
    expect_reply("POST", V3 "users/permissions/grant", GIVE, "{}");
    expect_refusal(IG_EXISTS, "POST", V3 "users/permissions/grant", GIVE);
    expect_reply("GET", V3 "users/permissions/get",
                 "username=ann&resource_type=registered_model&resource_id=m",
                 "{\"allowed\":true,\"permission\":\"USE\"}");
    caller = ann;
    expect_reply("GET", V3 "users/current/permissions", "",
                 "{\"is_admin\":false,\"permissions\":[{\"role_id\":0,\"role_name\":"
                 "\"__user_2__\",\"workspace\":\"default\",\"resource_type\":"
                 "\"registered_model\",\"resource_pattern\":\"m\",\"permission\":\"USE\"}]}");
    caller = 0;
    expect_reply("POST", V3 "users/permissions/revoke", GIVE, "{}");
    expect_reply("GET", V3 "users/permissions/get",
                 "username=ann&resource_type=registered_model&resource_id=m",
                 "{\"allowed\":false,\"permission\":\"READ\"}");
    expect_refusal(IG_INVALID, "POST", V3 "users/permissions/grant",
                   "{\"username\":\"ann\",\"resource_type\":\"workspace\",\"resource_id\":\"*\","
                   "\"permission\":\"USE\"}");
    expect_refusal(IG_INVALID, "POST", V3 "users/permissions/grant",
                   "{\"username\":\"ann\",\"resource_type\":\"run\",\"resource_id\":\"*\","
                   "\"permission\":\"READ\"}");
    expect_refusal(IG_INVALID, "POST", V3 "users/permissions/grant",
                   "{\"username\":\"ann\",\"resource_type\":\"scorer\",\"resource_id\":\"7/s\","
                   "\"permission\":\"NO_PERMISSIONS\"}");
}

/* Whether ann may. */
static enum ig_code check(const char *method, const char *path, const char *text)
{
    caller = ann;
    ask(method, path, text);
    ig_err_clear(&test.call.err);
    enum ig_code code = ig_mlflow_access_check(&test.call);
    caller = 0;
    return code;
}

/* Who administers a workspace manages its roles, and no other's. */
static void test_who_may(void **state)
{
    (void)state;
    expect_reply("GET", V3 "roles/list", "", "{\"roles\":[]}");
    ask("POST", V3 "roles/create", "{\"name\":\"admin\",\"workspace\":\"team\"}");
    ask("POST", V3 "roles/create", "{\"name\":\"other\",\"workspace\":\"lab\"}");
    assert_int_equal(check("GET", V3 "roles/get", "role_id=1"), IG_DENIED);
    ask("POST", V3 "roles/assign", "{\"username\":\"ann\",\"role_id\":1}");
    assert_int_equal(check("GET", V3 "roles/get", "role_id=1"), IG_OK);
    assert_int_equal(check("GET", V3 "roles/users/list", "role_id=1"), IG_DENIED);
    ask("POST", V3 "roles/permissions/add",
        "{\"role_id\":1,\"resource_type\":\"workspace\",\"resource_pattern\":\"*\","
        "\"permission\":\"MANAGE\"}");
    assert_int_equal(check("GET", V3 "roles/users/list", "role_id=1"), IG_OK);
    assert_int_equal(check("GET", V3 "roles/users/list", "role_id=2"), IG_DENIED);
    /* A workspace that is named besides says nothing of another one's role. */
    assert_int_equal(check("GET", V3 "roles/users/list", "role_id=2&workspace=team"), IG_DENIED);
    assert_int_equal(check("GET", V3 "roles/get", "role_id=99"), IG_DENIED);
    assert_int_equal(check("GET", V3 "users/roles/list", "username=root"), IG_DENIED);
    assert_int_equal(check("GET", V3 "users/roles/list", "username=none"), IG_DENIED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_roles, open_api, close_api),
        cmocka_unit_test_setup_teardown(test_permissions, open_api, close_api),
        cmocka_unit_test_setup_teardown(test_who_may, open_api, close_api),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
