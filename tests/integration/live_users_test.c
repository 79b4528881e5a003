/* SPDX-License-Identifier: Apache-2.0 */
/* Users of a running server: who is nobody, what each may do with what, how much of a search each
 * sees, and that a password ends when it is changed. */
#include "support/live.h"

#include "base/base64.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define MLFLOW "/api/2.0/mlflow/"
#define PASSWORD "correct horse"

static struct live live;
static struct live_run result;

/* From now on; NULL: nobody. */
static void as(const char *name, const char *password)
{
    struct ig_err err = IG_ERR_INIT;
    char plain[128];
    struct ig_buf text;
    ig_buf_init(&text, 256);
    snprintf(plain, sizeof plain, "%s:%s", name ? name : "", password);
    ig_base64_add(&text, ig_str_view(plain));
    snprintf(live.headers, sizeof live.headers, "Authorization: Basic %s\r\n", text.ptr);
    ig_buf_deinit(&text);
    ig_client_free(live.client);
    struct ig_client_options options = {.headers = name ? live.headers : NULL};
    assert_int_equal(ig_client_new(&live.client, live.url, &options, &err), IG_OK);
}

static void run_user(const char *verb, const char *name, const char *more, int code)
{
    live_run(&result, NULL,
             (const char *const[]){"user", verb, name, "--data", live_path(&live, "data"),
                                   "--password-file", live_path(&live, "password"), more, NULL});
    if (result.code != code) fail_msg("%s", result.err);
}

static const char *body(const char *format, const char *word)
{
    static char out[512];
    snprintf(out, sizeof out, format, word);
    return out;
}

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_write(&live, "password", PASSWORD "\n");
    run_user("create", "ann", NULL, 1);
    assert_non_null(strstr(result.err, "has to be an administrator"));
    run_user("create", "root", "--admin", 0);
    run_user("create", "ann", NULL, 0);
    live_start(&live, (const char *const[]){"--set", "default_permission=NO_PERMISSIONS", NULL});
    as("root", PASSWORD);
    EXPECT(200, "POST", MLFLOW "users/create",
           "{\"username\":\"bob\",\"password\":\"" PASSWORD "\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void test_who(void **state)
{
    (void)state;
    as(NULL, "");
    EXPECT(401, "GET", MLFLOW "users/current", NULL);
    assert_non_null(strstr(live_body(&live), "You are not authenticated."));
    EXPECT(200, "GET", "/healthz", NULL);
    as("ann", "wrong horse!");
    EXPECT(401, "GET", MLFLOW "users/current", NULL);
    as("ann", PASSWORD);
    EXPECT(200, "GET", MLFLOW "users/current", NULL);
    assert_string_equal(live_text(&live, "user.username"), "ann");
    EXPECT(200, "GET", "/ajax-api/2.0/mlflow/users/current", NULL);
    EXPECT(403, "GET", "/api/v1/models", NULL);
    EXPECT(403, "POST", "/v2/models/x/infer", "{}");
    EXPECT(403, "GET", MLFLOW "users/list", NULL);
    as("root", PASSWORD);
    EXPECT(200, "GET", MLFLOW "users/list", NULL);
    EXPECT(200, "GET", "/api/v1/models", NULL);
}

static char experiment[24], run[40];

static void test_experiment(void **state)
{
    (void)state;
    as("ann", PASSWORD);
    EXPECT(200, "POST", MLFLOW "experiments/create", "{\"name\":\"of ann\"}");
    snprintf(experiment, sizeof experiment, "%s", live_text(&live, "experiment_id"));
    EXPECT(200, "POST", MLFLOW "runs/create", body("{\"experiment_id\":\"%s\"}", experiment));
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    const char *metric = "{\"run_id\":\"%s\",\"key\":\"m\",\"value\":1,\"timestamp\":1}";
    EXPECT(200, "POST", MLFLOW "runs/log-metric", body(metric, run));
    as("bob", PASSWORD);
    EXPECT(403, "POST", MLFLOW "runs/log-metric", body(metric, run));
    assert_string_equal(live_text(&live, "error_code"), "PERMISSION_DENIED");
    EXPECT(403, "GET", body(MLFLOW "runs/get?run_id=%s", run), NULL);
    EXPECT(403, "PUT", body("/api/2.0/mlflow-artifacts/artifacts/%s/x", experiment), "bytes");
    as("ann", PASSWORD);
    EXPECT(200, "POST", MLFLOW "experiments/permissions/create",
           body("{\"experiment_id\":\"%s\",\"username\":\"bob\",\"permission\":\"READ\"}",
                experiment));
    as("bob", PASSWORD);
    EXPECT(200, "GET", body(MLFLOW "runs/get?run_id=%s", run), NULL);
    EXPECT(403, "POST", MLFLOW "runs/log-metric", body(metric, run));
    EXPECT(403, "POST", MLFLOW "experiments/delete",
           body("{\"experiment_id\":\"%s\"}", experiment));
    as("root", PASSWORD);
    EXPECT(200, "POST", MLFLOW "runs/log-metric", body(metric, run));
}

static int found(const char *path, const char *request, const char *word)
{
    EXPECT(200, "POST", path, request);
    int count = 0;
    for (const char *at = live_body(&live); (at = strstr(at, word)); at++) count++;
    return count;
}

/* Pages are as long as they may be, whatever lies between that one may not see. */
static void test_search(void **state)
{
    (void)state;
    char name[64];
    for (int i = 0; i < 12; i++) {
        as(i % 3 ? "ann" : "bob", PASSWORD);
        snprintf(name, sizeof name, "{\"name\":\"searched %d\"}", i);
        EXPECT(200, "POST", MLFLOW "experiments/create", name);
        EXPECT(200, "POST", MLFLOW "registered-models/create", name);
    }
    static const char FIRST[] = "{\"max_results\":3,\"filter\":\"name LIKE 'searched%'\"}";
    as("bob", PASSWORD);
    assert_int_equal(found(MLFLOW "experiments/search", FIRST, "\"name\":\"searched"), 3);
    char next[512];
    snprintf(next, sizeof next,
             "{\"max_results\":3,\"filter\":\"name LIKE 'searched%%'\",\"page_token\":\"%s\"}",
             live_text(&live, "next_page_token"));
    assert_int_equal(found(MLFLOW "experiments/search", next, "\"name\":\"searched"), 1);
    assert_string_equal(live_text(&live, "next_page_token"), "");
    EXPECT(200, "GET", MLFLOW "registered-models/search?max_results=100", NULL);
    assert_non_null(strstr(live_body(&live), "searched 3"));
    assert_null(strstr(live_body(&live), "searched 4"));
    as("root", PASSWORD);
    assert_int_equal(found(MLFLOW "experiments/search",
                           "{\"max_results\":100,\"filter\":\"name LIKE 'searched%'\"}",
                           "\"name\":\"searched"),
                     12);
    as("bob", PASSWORD);
    assert_int_equal(
        found(MLFLOW "runs/search", "{\"experiment_ids\":[\"0\"],\"max_results\":9}", "run_id"), 0);
    EXPECT(
        200, "POST", "/graphql",
        "{\"query\":\"query { mlflowGetExperiment(input: {experimentId: \\\"0\\\"}) { experiment "
        "{ name } } }\"}");
    assert_non_null(strstr(live_body(&live), "\"mlflowGetExperiment\":null"));
}

static void test_model(void **state)
{
    (void)state;
    as("ann", PASSWORD);
    EXPECT(200, "POST", MLFLOW "registered-models/create", "{\"name\":\"model\"}");
    as("bob", PASSWORD);
    EXPECT(403, "GET", MLFLOW "registered-models/get?name=model", NULL);
    EXPECT(403, "POST", MLFLOW "model-versions/create",
           "{\"name\":\"model\",\"source\":\"s3://b/x\"}");
    as("root", PASSWORD);
    EXPECT(200, "POST", "/api/3.0/mlflow/users/permissions/grant",
           "{\"username\":\"bob\",\"resource_type\":\"registered_model\",\"resource_id\":\"model\","
           "\"permission\":\"EDIT\"}");
    as("bob", PASSWORD);
    EXPECT(200, "POST", MLFLOW "registered-models/rename",
           "{\"name\":\"model\",\"new_name\":\"renamed\"}");
    EXPECT(200, "GET", MLFLOW "registered-models/get?name=renamed", NULL);
    EXPECT(403, "DELETE", MLFLOW "registered-models/delete", "{\"name\":\"renamed\"}");
    as("ann", PASSWORD);
    EXPECT(200, "DELETE", MLFLOW "registered-models/delete", "{\"name\":\"renamed\"}");
    as("root", PASSWORD);
    EXPECT(200, "POST", MLFLOW "registered-models/create", "{\"name\":\"renamed\"}");
    as("bob", PASSWORD); /* what was given of the old one says nothing of the new */
    EXPECT(403, "GET", MLFLOW "registered-models/get?name=renamed", NULL);
}

static void test_password(void **state)
{
    (void)state;
    as("bob", PASSWORD);
    EXPECT(400, "PATCH", MLFLOW "users/update-password",
           "{\"username\":\"bob\",\"password\":\"battery staple\"}");
    EXPECT(403, "PATCH", MLFLOW "users/update-password",
           "{\"username\":\"ann\",\"password\":\"battery staple\"}");
    EXPECT(200, "PATCH", MLFLOW "users/update-password",
           "{\"username\":\"bob\",\"password\":\"battery staple\",\"current_password\":\"" PASSWORD
           "\"}");
    EXPECT(401, "GET", MLFLOW "users/current", NULL);
    as("bob", "battery staple");
    EXPECT(200, "GET", MLFLOW "users/current", NULL);
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    as("bob", PASSWORD);
    EXPECT(401, "GET", MLFLOW "users/current", NULL);
    as("bob", "battery staple");
    EXPECT(200, "GET", MLFLOW "users/current", NULL);
    as("root", PASSWORD);
    EXPECT(200, "DELETE", MLFLOW "users/delete", "{\"username\":\"bob\"}");
    as("bob", "battery staple");
    EXPECT(401, "GET", MLFLOW "users/current", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_who),      cmocka_unit_test(test_experiment),
        cmocka_unit_test(test_search),   cmocka_unit_test(test_model),
        cmocka_unit_test(test_password),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
