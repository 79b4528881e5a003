/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's logged models over HTTP, by the requests that its clients send. */
#include "support/live.h"

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

static int call(const char *method, const char *path, const char *body)
{
    char url[256];
    snprintf(url, sizeof url, API "%s", path);
    const struct ig_client_call sent = {.method = method,
                                        .path = url,
                                        .content_type = body ? "application/json" : NULL,
                                        .body = ig_str_view(body ? body : "")};
    return live_send(&live, &sent);
}

static void expect(int status, int wanted)
{
    if (status != wanted) fail_msg("%d %s", status, live_body(&live));
}

static void expect_error(int status, int wanted, const char *word, const char *text)
{
    expect(status, wanted);
    assert_string_equal(live_text(&live, "error_code"), word);
    if (!strstr(live_text(&live, "message"), text)) fail_msg("%s", live_body(&live));
}

static char run[64], id[64], path[200], body[512];

static void test_making(void **state)
{
    (void)state;
    expect(call("POST", "runs/create", "{\"experiment_id\":\"0\",\"start_time\":5}"), 200);
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    snprintf(body, sizeof body,
             "{\"experiment_id\":\"0\",\"name\":\"model\",\"source_run_id\":\"%s\","
             "\"params\":[{\"key\":\"depth\",\"value\":\"6\"}],"
             "\"tags\":[{\"key\":\"t\",\"value\":\"1\"}]}",
             run);
    expect(call("POST", "logged-models", body), 200);
    snprintf(id, sizeof id, "%s", live_text(&live, "model.info.model_id"));
    assert_int_equal(strlen(id), 34);
    assert_string_equal(live_text(&live, "model.info.status"), "LOGGED_MODEL_PENDING");
    assert_string_equal(live_text(&live, "model.info.source_run_id"), run);
    snprintf(body, sizeof body, "mlflow-artifacts:/0/models/%s/artifacts", id);
    assert_string_equal(live_text(&live, "model.info.artifact_uri"), body);
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"models\":[{\"model_id\":\"%s\",\"step\":\"2\"}]}", run, id);
    expect(call("POST", "runs/outputs", body), 200);
    expect(call("POST", "runs/log-inputs", body), 200);
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"auc\",\"value\":0.5,\"timestamp\":1,"
             "\"model_id\":\"%s\",\"dataset_name\":\"d\",\"dataset_digest\":\"x\"}]}",
             run, id);
    expect(call("POST", "runs/log-batch", body), 200);
    snprintf(path, sizeof path, "runs/get?run_id=%s", run);
    expect(call("GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "run.outputs.model_outputs.0.model_id"), id);
    assert_int_equal(live_number(&live, "run.outputs.model_outputs.0.step"), 2);
    assert_string_equal(live_text(&live, "run.inputs.model_inputs.0.model_id"), id);
    assert_string_equal(live_text(&live, "run.data.metrics.0.key"), "auc");
}

static void test_changing(void **state)
{
    (void)state;
    snprintf(path, sizeof path, "logged-models/%s", id);
    snprintf(body, sizeof body, "{\"model_id\":\"%s\",\"status\":\"LOGGED_MODEL_READY\"}", id);
    expect(call("PATCH", path, body), 200);
    assert_string_equal(live_text(&live, "model.info.status"), "LOGGED_MODEL_READY");
    assert_string_equal(live_text(&live, "model.data.metrics.0.run_id"), run);
    assert_string_equal(live_text(&live, "model.data.metrics.0.dataset_name"), "d");
    expect_error(call("PATCH", path, "{\"status\":\"DONE\"}"), 400, "INVALID_PARAMETER_VALUE",
                 "Invalid value \"DONE\" for parameter 'status'");
    snprintf(path, sizeof path, "logged-models/%s/tags", id);
    expect(call("PATCH", path, "{\"tags\":[{\"key\":\"a.b\",\"value\":\"2\"}]}"), 200);
    snprintf(path, sizeof path, "logged-models/%s/tags/t", id);
    expect(call("DELETE", path, NULL), 200);
    expect_error(call("DELETE", path, NULL), 404, "RESOURCE_DOES_NOT_EXIST",
                 "No tag with key 't' found for model with ID");
    snprintf(path, sizeof path, "logged-models/%s/params", id);
    expect(call("POST", path, "{\"params\":[{\"key\":\"eta\",\"value\":\"0.1\"}]}"), 200);
    snprintf(path, sizeof path, "logged-models/%s", id);
    expect(call("GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "model.info.tags.0.key"), "a.b");
    assert_string_equal(live_text(&live, "model.data.params.1.value"), "0.1");
}

static void test_searching_and_deleting(void **state)
{
    (void)state;
    expect(call("POST", "logged-models/search",
                "{\"experiment_ids\":[\"0\"],\"filter\":\"metrics.auc >= 0.5\","
                "\"datasets\":[{\"dataset_name\":\"d\"}],\"order_by\":[{\"field_name\":"
                "\"metrics.auc\",\"ascending\":false,\"dataset_name\":\"d\"}]}"),
           200);
    assert_string_equal(live_text(&live, "models.0.info.model_id"), id);
    expect_error(call("POST", "logged-models/search", "{}"), 400, "INVALID_PARAMETER_VALUE",
                 "Missing value for required parameter 'experiment_ids'.");
    expect_error(call("POST", "logged-models/search",
                      "{\"experiment_ids\":[\"0\"],\"datasets\":[{\"dataset_digest\":\"x\"}]}"),
                 400, "INVALID_PARAMETER_VALUE",
                 "`dataset_name` in the `datasets` clause must be specified.");
    snprintf(path, sizeof path, "logged-models/%s", id);
    expect(call("DELETE", path, "{}"), 200);
    expect_error(call("GET", path, NULL), 404, "RESOURCE_DOES_NOT_EXIST", "Logged model with ID");
    snprintf(path, sizeof path, "logged-models/%s?allow_deleted=true", id);
    expect(call("GET", path, NULL), 200);
}

static void test_files(void **state)
{
    (void)state;
    expect(call("POST", "logged-models", "{\"experiment_id\":\"0\",\"name\":\"m\"}"), 200);
    snprintf(id, sizeof id, "%s", live_text(&live, "model.info.model_id"));
    snprintf(path, sizeof path,
             "/api/2.0/mlflow-artifacts/artifacts/0/models/%s/artifacts/data/MLmodel", id);
    EXPECT(200, "PUT", path, "text");
    snprintf(path, sizeof path, "logged-models/%s/artifacts/directories", id);
    expect(call("GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "files.0.path"), "data");
    snprintf(path, sizeof path,
             "logged-models/%s/artifacts/directories?artifact_directory_path=data", id);
    expect(call("GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "files.0.path"), "data/MLmodel");
    snprintf(path, sizeof path,
             "/ajax-api/2.0/mlflow/logged-models/%s/artifacts/files?artifact_file_path=data%%2F"
             "MLmodel",
             id);
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_body(&live), "text");
    snprintf(path, sizeof path, "logged-models/%s/artifacts/files?artifact_file_path=..%%2Fx", id);
    expect(call("GET", path, NULL), 400);
}

static void test_older_clients(void **state)
{
    (void)state;
    expect(call("POST", "runs/create", "{\"experiment_id\":\"0\",\"start_time\":5}"), 200);
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"model_json\":\"{\\\"run_id\\\":\\\"r\\\",\\\"artifact_path\\\":"
             "\\\"m\\\",\\\"utc_time_created\\\":\\\"t\\\",\\\"flavors\\\":{}}\"}",
             run);
    expect(call("POST", "runs/log-model", body), 200);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"model_json\":\"{}\"}", run);
    expect_error(call("POST", "runs/log-model", body), 400, "INVALID_PARAMETER_VALUE",
                 "Model json is missing mandatory fields");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_making), cmocka_unit_test(test_changing),
        cmocka_unit_test(test_searching_and_deleting), cmocka_unit_test(test_files),
        cmocka_unit_test(test_older_clients)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
