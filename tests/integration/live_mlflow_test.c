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
    expect_error(post("runs/log-inputs", body), 400, "INVALID_PARAMETER_VALUE",
                 "models[0].model_id");
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

/* Two runs with 5 and 3 values of "b", a third without. */
static void test_bulk(void **state)
{
    (void)state;
    char ids[3][40], body[256], path[512];
    for (int run = 0; run < 3; run++) {
        expect(post("runs/create", "{\"experiment_id\":\"0\",\"start_time\":5}"), 200);
        snprintf(ids[run], sizeof ids[run], "%s", live_text(&live, "run.info.run_id"));
        for (int i = 0; run < 2 && i < 5 - 2 * run; i++) {
            snprintf(body, sizeof body,
                     "{\"run_id\":\"%s\",\"key\":\"b\",\"value\":%s,\"timestamp\":%d,"
                     "\"step\":%d}",
                     ids[run], i == 1 ? "\"NaN\"" : "0.5", 10 + i, i);
            expect(post("runs/log-metric", body), 200);
        }
    }
    bool swapped = strcmp(ids[0], ids[1]) > 0;
    snprintf(path, sizeof path,
             "/ajax-api/2.0/mlflow/metrics/get-history-bulk?run_id=%s&run_id=%s&run_id=%s&run_id=%s"
             "&run_id=none&metric_key=b",
             ids[0], ids[1], ids[2], ids[0]);
    expect(live_call(&live, "GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "metrics.0.run_id"), ids[swapped]);
    assert_string_equal(live_text(&live, "metrics.1.value"), "NaN");
    assert_string_equal(live_text(&live, "metrics.7.run_id"), ids[!swapped]);
    assert_string_equal(live_text(&live, "metrics.8.run_id"), "");
    snprintf(path, sizeof path,
             API "metrics/get-history-bulk?run_id=%s&run_id=%s&metric_key=b&max_results=6", ids[0],
             ids[1]);
    expect(live_call(&live, "GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "metrics.5.run_id"), ids[!swapped]);
    assert_string_equal(live_text(&live, "metrics.6.run_id"), "");
    snprintf(path, sizeof path,
             "/ajax-api/2.0/mlflow/metrics/get-history-bulk-interval?run_ids=%s&run_ids=%s"
             "&metric_key=b&max_results=2",
             ids[1], ids[0]);
    expect(live_call(&live, "GET", path, NULL), 200);
    assert_string_equal(live_text(&live, "metrics.0.run_id"), ids[1]);
    assert_true(live_number(&live, "metrics.1.step") == 2);
    assert_string_equal(live_text(&live, "metrics.2.run_id"), ids[0]);
    assert_true(live_number(&live, "metrics.3.step") == 4);
    snprintf(path, sizeof path,
             API "metrics/get-history-bulk-interval?run_ids=%s&metric_key=b&start_step=1"
                 "&end_step=2",
             ids[0]);
    expect(live_call(&live, "GET", path, NULL), 200);
    assert_true(live_number(&live, "metrics.0.step") == 1);
    assert_true(live_number(&live, "metrics.1.step") == 2);
    assert_string_equal(live_text(&live, "metrics.2.run_id"), "");
}

static void test_bulk_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *query, *text;
    } bad[] = {
        {"bulk?metric_key=b", "GetMetricHistoryBulk request must specify at least one run_id."},
        {"bulk?run_id=r", "GetMetricHistoryBulk request must specify a metric_key."},
        {"bulk?run_id=r&metric_key=b&max_results=0", "It must be a positive integer."},
        {"bulk-interval?metric_key=b", "Missing value for required parameter 'run_ids'."},
        {"bulk-interval?run_ids=r", "Missing value for required parameter 'metric_key'."},
        {"bulk-interval?run_ids=r&metric_key=b&max_results=2501",
         "max_results must be between 1 and 2500."},
        {"bulk-interval?run_ids=r&metric_key=b&start_step=1",
         "If either start step or end step are specified, both must be specified."},
        {"bulk-interval?run_ids=r&metric_key=b&start_step=2&end_step=1",
         "end_step must be greater than start_step. Found start_step=2 and end_step=1."},
        {"bulk-interval?run_ids=r&metric_key=b&start_step=x&end_step=1", "parameter 'start_step'"},
    };
    char path[2048];
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        snprintf(path, sizeof path, API "metrics/get-history-%s", bad[i].query);
        expect_error(live_call(&live, "GET", path, NULL), 400, "INVALID_PARAMETER_VALUE",
                     bad[i].text);
    }
    size_t used = (size_t)snprintf(path, sizeof path, API "metrics/get-history-bulk?metric_key=b");
    for (int i = 0; i < 101; i++)
        used += (size_t)snprintf(path + used, sizeof path - used, "&run_id=%d", i);
    expect_error(live_call(&live, "GET", path, NULL), 400, "INVALID_PARAMETER_VALUE",
                 "cannot specify more than 100 run_ids. Received 101 run_ids.");
}

static void test_datasets(void **state)
{
    (void)state;
    char body[512], id[32];
    expect(post("experiments/create", "{\"name\":\"datasets\"}"), 200);
    snprintf(id, sizeof id, "%s", live_text(&live, "experiment_id"));
    snprintf(body, sizeof body, "{\"experiment_id\":\"%s\"}", id);
    for (int i = 0; i < 2; i++) {
        expect(post("runs/create", body), 200);
        snprintf(body, sizeof body,
                 "{\"run_id\":\"%s\",\"datasets\":[{\"dataset\":{\"name\":\"n\",\"digest\":"
                 "\"d\",\"source_type\":\"t\",\"source\":\"s\"},\"tags\":[{\"key\":"
                 "\"mlflow.data.context\",\"value\":\"training\"}]},{\"dataset\":{\"name\":"
                 "\"n\",\"digest\":\"%d\",\"source_type\":\"t\",\"source\":\"s\"}}]}",
                 live_text(&live, "run.info.run_id"), i);
        expect(post("runs/log-inputs", body), 200);
        snprintf(body, sizeof body, "{\"experiment_id\":\"%s\"}", id);
    }
    snprintf(body, sizeof body, "{\"experiment_ids\":[\"%s\"]}", id);
    expect(post("experiments/search-datasets", body), 200);
    snprintf(body, sizeof body,
             "{\"dataset_summaries\":[{\"experiment_id\":\"%s\",\"name\":\"n\",\"digest\":\"0\"},"
             "{\"experiment_id\":\"%s\",\"name\":\"n\",\"digest\":\"1\"},{\"experiment_id\":\"%s\","
             "\"name\":\"n\",\"digest\":\"d\",\"context\":\"training\"}]}",
             id, id, id);
    assert_string_equal(live_body(&live), body);
    expect_error(post("experiments/search-datasets", "{}"), 400, "INVALID_PARAMETER_VALUE",
                 "SearchDatasets request must specify at least one experiment_id.");
    expect_error(post("experiments/search-datasets",
                      "{\"experiment_ids\":[\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\","
                      "\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\",\"1\"]}"),
                 400, "INVALID_PARAMETER_VALUE", "cannot specify more than 20 experiment_ids");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_experiments), cmocka_unit_test(test_run), cmocka_unit_test(test_bulk),
        cmocka_unit_test(test_bulk_refusals), cmocka_unit_test(test_datasets)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
