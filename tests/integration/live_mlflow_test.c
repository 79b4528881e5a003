/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's tracking over HTTP, by the requests that its clients send. */
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

static int post(const char *path, const char *body)
{
    char url[128];
    snprintf(url, sizeof url, API "%s", path);
    const struct ig_client_call call = {.method = "POST",
                                        .path = url,
                                        .content_type = "application/json",
                                        .body = ig_str_view(body)};
    return live_send(&live, &call);
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

static void test_experiments(void **state)
{
    (void)state;
    expect(live_call(&live, "GET", API "experiments/get?experiment_id=0", NULL), 200);
    assert_string_equal(live_text(&live, "experiment.name"), "Default");
    expect_error(live_call(&live, "GET", API "experiments/get-by-name?experiment_name=a%20b", NULL),
                 404, "RESOURCE_DOES_NOT_EXIST", "Could not find experiment with name 'a b'");
    expect(
        post("experiments/create", "{\"name\":\"a b\",\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]}"),
        200);
    assert_string_equal(live_text(&live, "experiment_id"), "1");
    expect_error(post("experiments/create", "{\"name\":\"a b\"}"), 400, "RESOURCE_ALREADY_EXISTS",
                 "Experiment(name=a b) already exists.");
    expect_error(post("experiments/create", "{}"), 400, "INVALID_PARAMETER_VALUE",
                 "Missing value for required parameter 'name'.");
    expect(live_call(&live, "GET",
                     "/ajax-api/2.0/mlflow/experiments/get-by-name?experiment_name=a+b", NULL),
           200);
    assert_string_equal(live_text(&live, "experiment.experiment_id"), "1");
    assert_string_equal(live_text(&live, "experiment.artifact_location"), "mlflow-artifacts:/1");
    assert_string_equal(live_text(&live, "experiment.tags.0.value"), "v");
    expect(post("experiments/update", "{\"experiment_id\":\"1\",\"new_name\":\"c\"}"), 200);
    expect(post("experiments/set-experiment-tag",
                "{\"experiment_id\":\"1\",\"key\":\"k\",\"value\":\"w\"}"),
           200);
    expect(post("experiments/delete-experiment-tag", "{\"experiment_id\":\"1\",\"key\":\"k\"}"),
           200);
    expect(post("experiments/delete", "{\"experiment_id\":\"1\"}"), 200);
    expect(live_call(&live, "GET", API "experiments/get?experiment_id=1", NULL), 200);
    assert_string_equal(live_text(&live, "experiment.lifecycle_stage"), "deleted");
    assert_string_equal(live_text(&live, "experiment.tags.0.key"), "");
    expect(post("experiments/restore", "{\"experiment_id\":\"1\"}"), 200);
    expect(live_call(&live, "GET", "/api/3.0/mlflow/server-info", NULL), 200);
}

static void test_run(void **state)
{
    (void)state;
    char id[64], body[512], path[160];
    expect(post("runs/create", "{\"experiment_id\":\"0\",\"user_id\":\"u\",\"start_time\":5,"
                               "\"run_name\":\"r\",\"tags\":[{\"key\":\"t\",\"value\":\"1\"}]}"),
           200);
    snprintf(id, sizeof id, "%s", live_text(&live, "run.info.run_id"));
    assert_int_equal(strlen(id), 32);
    assert_string_equal(live_text(&live, "run.info.run_uuid"), id);
    assert_string_equal(live_text(&live, "run.info.status"), "RUNNING");
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"p\",\"value\":\"1\"}", id);
    expect(post("runs/log-parameter", body), 200);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"p\",\"value\":\"2\"}", id);
    expect_error(post("runs/log-parameter", body), 400, "INVALID_PARAMETER_VALUE",
                 "Changing param values is not allowed.");
    snprintf(body, sizeof body,
             "{\"run_uuid\":\"%s\",\"key\":\"m\",\"value\":\"NaN\",\"timestamp\":7,\"step\":\"2\"}",
             id);
    expect(post("runs/log-metric", body), 200);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"t2\",\"value\":\"x\"}", id);
    expect(post("runs/set-tag", body), 200);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"t\"}", id);
    expect(post("runs/delete-tag", body), 200);
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"a\",\"value\":0.5,\"timestamp\":1}],"
             "\"params\":[{\"key\":\"q\",\"value\":\"z\"}]}",
             id);
    expect(post("runs/log-batch", body), 200);
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"datasets\":[{\"tags\":[{\"key\":\"c\",\"value\":\"train\"}],"
             "\"dataset\":{\"name\":\"d\",\"digest\":\"x\",\"source_type\":\"local\","
             "\"source\":\"{}\"}}]}",
             id);
    expect(post("runs/log-inputs", body), 200);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"models\":[{}]}", id);
    expect_error(post("runs/log-inputs", body), 400, "INVALID_PARAMETER_VALUE", "models: 1 given");
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"status\":\"FINISHED\",\"end_time\":9}", id);
    expect(post("runs/update", body), 200);
    assert_string_equal(live_text(&live, "run_info.status"), "FINISHED");
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    snprintf(path, sizeof path, API "runs/get?run_id=%s&run_uuid=%s", id, id);
    expect(live_call(&live, "GET", path, NULL), 200);
    assert_int_equal((int)live_number(&live, "run.info.end_time"), 9);
    assert_string_equal(live_text(&live, "run.data.metrics.1.value"), "NaN");
    assert_int_equal((int)live_number(&live, "run.data.metrics.1.step"), 2);
    assert_string_equal(live_text(&live, "run.data.params.1.value"), "z");
    assert_string_equal(live_text(&live, "run.data.tags.0.key"), "mlflow.runName");
    assert_string_equal(live_text(&live, "run.data.tags.1.key"), "t2");
    assert_string_equal(live_text(&live, "run.inputs.dataset_inputs.0.dataset.name"), "d");
    assert_string_equal(live_text(&live, "run.inputs.dataset_inputs.0.tags.0.value"), "train");
    snprintf(path, sizeof path, API "metrics/get-history?run_id=%s&metric_key=m&max_results=1", id);
    expect(live_call(&live, "GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "metrics.0.value"), "NaN");
    assert_string_equal(live_text(&live, "next_page_token"), "");
    snprintf(path, sizeof path, API "metrics/get-history?run_id=%s&metric_key=m&max_results=0", id);
    expect_error(live_call(&live, "GET", path, NULL), 400, "INVALID_PARAMETER_VALUE",
                 "It must be a positive integer.");
    snprintf(body, sizeof body, "{\"run_id\":\"%s\"}", id);
    expect(post("runs/delete", body), 200);
    expect(post("runs/restore", body), 200);
    expect_error(live_call(&live, "GET", API "runs/get?run_id=x", NULL), 404,
                 "RESOURCE_DOES_NOT_EXIST", "Run with id=x not found");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_experiments),
                                       cmocka_unit_test(test_run)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
