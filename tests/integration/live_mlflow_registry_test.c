/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's model registry over HTTP, by the requests that its clients send; who may call what. */
#include "support/live.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define API "/api/2.0/mlflow/"

static struct live live;

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void expect_error(int status, int wanted, const char *word, const char *text)
{
    if (status != wanted) fail_msg("%d %s", status, live_body(&live));
    assert_string_equal(live_text(&live, "error_code"), word);
    if (!strstr(live_text(&live, "message"), text)) fail_msg("%s", live_body(&live));
}

static int call(const char *method, const char *path, const char *body)
{
    char url[256];
    snprintf(url, sizeof url, API "%s", path);
    return live_call(&live, method, url, body);
}

static void ok(const char *method, const char *path, const char *body)
{
    int status = call(method, path, body);
    if (status != 200) fail_msg("%s %s: %d %s", method, path, status, live_body(&live));
}

static void text(const char *path, const char *wanted)
{
    if (strcmp(live_text(&live, path), wanted) != 0) fail_msg("%s: %s", path, live_body(&live));
}

static void test_models(void **state)
{
    (void)state;
    ok("POST", "registered-models/create",
       "{\"name\":\"a b\",\"description\":\"d\",\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]}");
    text("registered_model.name", "a b");
    text("registered_model.tags.0.value", "v");
    expect_error(call("POST", "registered-models/create", "{\"name\":\"a b\"}"), 400,
                 "RESOURCE_ALREADY_EXISTS", "Registered Model (name=a b) already exists.");
    expect_error(call("POST", "registered-models/create", "{}"), 400, "INVALID_PARAMETER_VALUE",
                 "Missing value for required parameter 'name'.");
    ok("GET", "registered-models/get?name=a+b", NULL);
    text("registered_model.description", "d");
    ok("PATCH", "registered-models/update", "{\"name\":\"a b\",\"description\":\"e\"}");
    text("registered_model.description", "e");
    ok("POST", "registered-models/rename", "{\"name\":\"a b\",\"new_name\":\"c\"}");
    text("registered_model.name", "c");
    expect_error(call("GET", "registered-models/get?name=a+b", NULL), 404,
                 "RESOURCE_DOES_NOT_EXIST", "Registered Model with name=a b not found");
    ok("POST", "registered-models/set-tag", "{\"name\":\"c\",\"key\":\"k\",\"value\":\"w\"}");
    ok("DELETE", "registered-models/delete-tag", "{\"name\":\"c\",\"key\":\"k\"}");
    ok("GET", "registered-models/search?filter=name+LIKE+%27c%25%27&order_by=name+DESC", NULL);
    text("registered_models.0.name", "c");
    text("registered_models.0.tags.0.key", "");
    expect_error(call("GET", "registered-models/search?max_results=1001", NULL), 400,
                 "INVALID_PARAMETER_VALUE", "It must be at most 1000");
    ok("DELETE", "registered-models/delete", "{\"name\":\"c\"}");
    ok("GET", "registered-models/search", NULL);
    assert_string_equal(live_body(&live), "{}");
}

static void test_versions(void **state)
{
    (void)state;
    ok("POST", "registered-models/create", "{\"name\":\"m\"}");
    for (int i = 0; i < 3; i++)
        ok("POST", "model-versions/create",
           "{\"name\":\"m\",\"source\":\"s3://b/m\",\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]}");
    text("model_version.version", "3");
    text("model_version.current_stage", "None");
    text("model_version.status", "READY");
    ok("PATCH", "model-versions/update",
       "{\"name\":\"m\",\"version\":\"2\",\"description\":\"two\"}");
    text("model_version.description", "two");
    ok("POST", "model-versions/transition-stage",
       "{\"name\":\"m\",\"version\":\"1\",\"stage\":\"Production\"}");
    ok("POST", "model-versions/transition-stage",
       "{\"name\":\"m\",\"version\":\"2\",\"stage\":\"production\","
       "\"archive_existing_versions\":true}");
    text("model_version.current_stage", "Production");
    ok("POST", "registered-models/get-latest-versions",
       "{\"name\":\"m\",\"stages\":[\"archived\"]}");
    text("model_versions.0.version", "1");
    text("model_versions.1.version", "");
    ok("GET", "registered-models/get-latest-versions?name=m&stages=None&stages=Production", NULL);
    text("model_versions.0.version", "3");
    text("model_versions.1.version", "2");
    ok("POST", "registered-models/alias", "{\"name\":\"m\",\"alias\":\"best\",\"version\":\"2\"}");
    ok("GET", "registered-models/alias?name=m&alias=best", NULL);
    text("model_version.aliases.0", "best");
    ok("GET", "registered-models/get?name=m", NULL);
    text("registered_model.aliases.0.version", "2");
    text("registered_model.latest_versions.1.aliases.0", "best");
    ok("DELETE", "registered-models/alias", "{\"name\":\"m\",\"alias\":\"best\"}");
    expect_error(call("GET", "registered-models/alias?name=m&alias=best", NULL), 400,
                 "INVALID_PARAMETER_VALUE", "Registered model alias best not found.");
    ok("POST", "model-versions/set-tag",
       "{\"name\":\"m\",\"version\":\"3\",\"key\":\"k\",\"value\":\"w\"}");
    ok("GET", "model-versions/search?filter=tags.k+%3D+%27w%27+and+name+%3D+%27m%27", NULL);
    text("model_versions.0.version", "3");
    text("model_versions.1.version", "");
    ok("DELETE", "model-versions/delete-tag", "{\"name\":\"m\",\"version\":\"3\",\"key\":\"k\"}");
    ok("GET", "model-versions/get-download-uri?name=m&version=3", NULL);
    text("artifact_uri", "s3://b/m");
    ok("DELETE", "model-versions/delete", "{\"name\":\"m\",\"version\":\"3\"}");
    expect_error(call("GET", "model-versions/get?name=m&version=3", NULL), 404,
                 "RESOURCE_DOES_NOT_EXIST", "Model Version (name=m, version=3) not found");
}

/* Files of versions, by the run that their sources lie in. */
static void test_artifacts(void **state)
{
    (void)state;
    char run[40], path[256], body[512];
    ok("POST", "registered-models/create", "{\"name\":\"files\"}");
    ok("POST", "runs/create", "{\"experiment_id\":\"0\",\"start_time\":5}");
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    snprintf(path, sizeof path, "/api/2.0/mlflow-artifacts/artifacts/0/%s/artifacts/m/a.txt", run);
    EXPECT(200, "PUT", path, "text");
    snprintf(body, sizeof body,
             "{\"name\":\"files\",\"run_id\":\"%s\","
             "\"source\":\"mlflow-artifacts:/0/%s/artifacts/m/\"}",
             run, run);
    ok("POST", "model-versions/create", body);
    ok("POST", "model-versions/create", "{\"name\":\"files\",\"source\":\"s3://b/m\"}");
    EXPECT(200, "GET", "/model-versions/get-artifact?name=files&version=1&path=a.txt", NULL);
    assert_string_equal(live_body(&live), "text");
    static const struct {
        const char *query;
        int status;
        const char *text;
    } bad[] = {
        {"name=files&version=1&path=../a.txt", 400, "Invalid path"},
        {"name=files&version=1&path=none", 404, "there is no artifact"},
        {"name=files&version=1", 400, "Missing value for required parameter 'path'."},
        {"name=files&version=2&path=a", 400, "version: its artifacts are at 's3://b/m', not here"},
        {"name=files&version=3&path=a", 404, "Model Version (name=files, version=3) not found"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(path, sizeof path, "/model-versions/get-artifact?%s", bad[i].query);
        int status = live_call(&live, "GET", path, NULL);
        expect_error(status, bad[i].status,
                     status == 404 ? "RESOURCE_DOES_NOT_EXIST" : "INVALID_PARAMETER_VALUE",
                     bad[i].text);
    }
}

static void test_forms(void **state)
{
    (void)state;
    const struct ig_client_call other = {.method = "DELETE",
                                         .path = API "registered-models/delete",
                                         .content_type = "text/plain",
                                         .body = IG_STR("{\"name\":\"m\"}")};
    expect_error(live_send(&live, &other), 400, "INVALID_PARAMETER_VALUE", "Content-Type must be");
    EXPECT(200, "HEAD", API "registered-models/get?name=m", NULL);
    EXPECT(200, "GET", "/ajax-api/2.0/mlflow/registered-models/get?name=m", NULL);
    expect_error(call("POST", "model-versions/transition-stage",
                      "{\"name\":\"m\",\"version\":\"1\",\"stage\":\"Staging\","
                      "\"archive_existing_versions\":\"yes\"}"),
                 400, "INVALID_PARAMETER_VALUE", "parameter 'archive_existing_versions'");
    expect_error(call("POST", "registered-models/get-latest-versions",
                      "{\"name\":\"m\",\"stages\":[\"None\",3]}"),
                 400, "INVALID_PARAMETER_VALUE", "parameter 'stages[1]'");
}

/* What was acknowledged is there after a kill. */
static void test_kill(void **state)
{
    (void)state;
    ok("POST", "registered-models/alias", "{\"name\":\"m\",\"alias\":\"kept\",\"version\":\"1\"}");
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    ok("GET", "registered-models/alias?name=m&alias=kept", NULL);
    text("model_version.version", "1");
}

static void use_key(const char *key)
{
    struct ig_err err = IG_ERR_INIT;
    snprintf(live.headers, sizeof live.headers, "Authorization: Bearer %s\r\n", key);
    ig_client_free(live.client);
    struct ig_client_options options = {.headers = live.headers};
    assert_int_equal(ig_client_new(&live.client, live.url, &options, &err), IG_OK);
}

/* Those who train register; those who write decide. */
static void test_scopes(void **state)
{
    (void)state;
    char trainer[256], reader[256];
    EXPECT(201, "POST", "/api/v1/keys", "{\"name\":\"admin\",\"scopes\":[\"admin\"]}");
    use_key(live_text(&live, "key"));
    EXPECT(201, "POST", "/api/v1/keys", "{\"name\":\"t\",\"scopes\":[\"train\"]}");
    snprintf(trainer, sizeof trainer, "%s", live_text(&live, "key"));
    EXPECT(201, "POST", "/api/v1/keys", "{\"name\":\"r\",\"scopes\":[\"read\"]}");
    snprintf(reader, sizeof reader, "%s", live_text(&live, "key"));
    use_key(trainer);
    ok("POST", "registered-models/create", "{\"name\":\"by trainer\"}");
    ok("POST", "model-versions/create", "{\"name\":\"by trainer\",\"source\":\"s3://b/m\"}");
    expect_error(call("POST", "registered-models/alias",
                      "{\"name\":\"by trainer\",\"alias\":\"best\",\"version\":\"1\"}"),
                 403, "PERMISSION_DENIED", "lacks the scope write");
    expect_error(call("DELETE", "registered-models/delete", "{\"name\":\"by trainer\"}"), 403,
                 "PERMISSION_DENIED", "lacks the scope write");
    use_key(reader);
    ok("GET", "registered-models/get?name=by+trainer", NULL);
    expect_error(call("POST", "registered-models/create", "{\"name\":\"x\"}"), 403,
                 "PERMISSION_DENIED", "lacks the scope");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_models),    cmocka_unit_test(test_versions),
        cmocka_unit_test(test_artifacts), cmocka_unit_test(test_forms),
        cmocka_unit_test(test_kill),      cmocka_unit_test(test_scopes),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
