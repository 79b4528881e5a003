/* SPDX-License-Identifier: Apache-2.0 */
/* Gates before aliases over HTTP and by the command line: neither registry's call takes an alias
 * past one, and what opens it. */
#include "support/live.h"

#include <stdio.h>
#include <string.h>

static struct live live;
static struct live_run ran;

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

#define RUN(wanted, ...)                                                                           \
    do {                                                                                           \
        live_run(&ran, &live, (const char *const[]){__VA_ARGS__, NULL});                           \
        if (ran.code != (wanted)) fail_msg("%d: %s%s", ran.code, ran.out, ran.err);                \
    } while (0)

static void expect_text(const char *path, const char *wanted)
{
    if (strcmp(live_text(&live, path), wanted) != 0) fail_msg("%s: %s", path, live_body(&live));
}

/* Trains "churn" on a table: version 1 with a package, golden rows and metrics. */
static void train(void)
{
    live_write_table(&live, "table.csv", 200);
    char id[64];
    snprintf(id, sizeof id, "%s", live_submit(&live, "churn", "table.csv", 3));
    assert_string_equal(live_wait_job(&live, id), "succeeded");
}

static void test_trained_version(void **state)
{
    (void)state;
    static const char alias[] = "{\"name\":\"churn\",\"alias\":\"champion\",\"version\":\"1\"}";
    train();
    RUN(0, "model", "gate", "churn", "champion", "--check", "golden", "--check", "fairness",
        "--check", "no_such_metric>=0.5", "--approver", "local");
    assert_non_null(strstr(ran.out, "\"no_such_metric\""));
    EXPECT(409, "PUT", "/api/v1/models/churn/aliases/champion", "{\"version\":1}");
    EXPECT(200, "POST", "/api/2.0/mlflow/registered-models/create", "{\"name\":\"other\"}");
    EXPECT(200, "POST", "/api/v1/models/churn/versions/1/checks", "");
    expect_text("gates.0.checks.0.state", "passed");
    expect_text("gates.0.checks.1.state", "missing");
    expect_text("gates.0.checks.2.state", "failed");
    expect_text("gates.0.checks.2.detail", "no finite metric 'no_such_metric' is known");
    RUN(0, "model", "gate", "churn", "champion", "--check", "golden", "--check", "fairness",
        "--approver", "local");
    RUN(0, "model", "check", "churn", "1", "--failed", "fairness", "--detail", "gap of 0.2");
    EXPECT(409, "PUT", "/api/v1/models/churn/aliases/champion", "{\"version\":1}");
    assert_non_null(strstr(live_text(&live, "error.message"),
                           "version 1 lacks: check 'fairness' has failed (gap of 0.2); 1 approval "
                           "more of local"));
    RUN(0, "model", "check", "churn", "1", "--passed", "fairness");
    RUN(0, "model", "approve", "churn", "1", "champion", "--why", "seen");
    RUN(0, "model", "gates", "churn", "--version", "1");
    assert_non_null(strstr(ran.out, "\"open\": true"));
    RUN(0, "model", "approve", "churn", "1", "champion", "--withdraw");
    EXPECT(409, "PUT", "/api/v1/models/churn/aliases/champion", "{\"version\":1}");
    RUN(0, "model", "approve", "churn", "1", "champion", "--why", "seen again");
    EXPECT(200, "PUT", "/api/v1/models/churn/aliases/champion", "{\"version\":1}");
    EXPECT(404, "POST", "/api/2.0/mlflow/registered-models/alias", alias); /* not MLflow's */
    RUN(0, "model", "gate", "churn", "champion", "--delete");
    RUN(1, "model", "gate", "churn", "champion", "--delete");
    RUN(2, "model", "gate", "churn", "champion", "--check", "auc>=high");
}

/* A version of MLflow's clients whose files are elsewhere, held to a metric of its run. */
static void test_mlflow_version(void **state)
{
    (void)state;
    static const char alias[] = "{\"name\":\"m\",\"alias\":\"champion\",\"version\":\"1\"}";
    char run[40], body[512];
    EXPECT(200, "POST", "/api/2.0/mlflow/runs/create", "{\"experiment_id\":\"0\"}");
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    EXPECT(200, "POST", "/api/2.0/mlflow/registered-models/create", "{\"name\":\"m\"}");
    snprintf(body, sizeof body, "{\"name\":\"m\",\"source\":\"s3://b/m\",\"run_id\":\"%s\"}", run);
    EXPECT(200, "POST", "/api/2.0/mlflow/model-versions/create", body);
    EXPECT(200, "PUT", "/api/v1/models/m/gates/champion",
           "{\"checks\":[{\"name\":\"good\",\"kind\":\"metric\",\"metric\":\"auc\",\"min\":0.8},"
           "{\"name\":\"rows\",\"kind\":\"golden\"}]}");
    EXPECT(409, "POST", "/api/2.0/mlflow/registered-models/alias", alias);
    expect_text("error_code", "INVALID_STATE");
    assert_non_null(strstr(live_text(&live, "message"), "check 'good' is missing"));
    static const char *const values[] = {"\"NaN\"", "0.7", "0.8"};
    static const char *const details[] = {"no finite metric 'auc' is known", "auc 0.7 is below 0.8",
                                          "auc is 0.8"};
    for (int i = 0; i < 3; i++) {
        snprintf(body, sizeof body,
                 "{\"run_id\":\"%s\",\"key\":\"auc\",\"value\":%s,\"timestamp\":%d,\"step\":%d}",
                 run, values[i], i, i);
        EXPECT(200, "POST", "/api/2.0/mlflow/runs/log-metric", body);
        EXPECT(200, "POST", "/api/v1/models/m/versions/1/checks", "");
        expect_text("gates.0.checks.0.detail", details[i]);
        expect_text("gates.0.checks.0.state", i == 2 ? "passed" : "failed");
        expect_text("gates.0.checks.1.detail", "the version has no package");
    }
    EXPECT(200, "PUT", "/api/v1/models/m/gates/champion",
           "{\"checks\":[{\"name\":\"good\",\"kind\":\"metric\",\"metric\":\"auc\",\"min\":0.8}]}");
    EXPECT(200, "POST", "/api/2.0/mlflow/registered-models/alias", alias);
    /* The gate goes where its model goes, and with it. */
    EXPECT(200, "POST", "/api/2.0/mlflow/registered-models/rename",
           "{\"name\":\"m\",\"new_name\":\"a b\"}");
    EXPECT(200, "GET", "/api/v1/models/a%20b/versions/1/gates", NULL);
    expect_text("gates.0.checks.0.state", "passed");
    EXPECT(200, "DELETE", "/api/2.0/mlflow/registered-models/delete", "{\"name\":\"a b\"}");
    EXPECT(404, "GET", "/api/v1/models/a%20b/gates", NULL);
    EXPECT(200, "POST", "/api/2.0/mlflow/registered-models/create", "{\"name\":\"a b\"}");
    EXPECT(200, "GET", "/api/v1/models/a%20b/gates", NULL);
    expect_text("gates.0.alias", "");
}

static void test_bad_requests(void **state)
{
    (void)state;
    EXPECT(200, "POST", "/api/2.0/mlflow/registered-models/create", "{\"name\":\"x\"}");
    static const struct {
        const char *body, *text;
    } bad[] = {
        {"{}", "a gate needs checks, approvals or both"},
        {"{\"checks\":1}", "checks"},
        {"{\"checks\":[{\"name\":\"a\"}]}", "kind: '' is not golden, metric or reported"},
        {"{\"checks\":[{\"name\":\"a\",\"kind\":\"magic\"}]}", "kind: 'magic'"},
        {"{\"checks\":[{\"name\":\"a\",\"kind\":\"golden\",\"x\":1}]}", "unknown member 'x'"},
        {"{\"checks\":[{\"name\":\"a b\",\"kind\":\"golden\"}]}", "checks.name: 'a b'"},
        {"{\"approvers\":[\"a\",\"a\"]}", "approvers: 'a' stands there twice"},
        {"{\"approvers\":[\"a\"],\"approvals\":2}", "approvals: 2 of 1 approvers"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EXPECT(400, "PUT", "/api/v1/models/x/gates/champion", bad[i].body);
        if (!strstr(live_body(&live), bad[i].text)) fail_msg("%s", live_body(&live));
    }
    EXPECT(404, "PUT", "/api/v1/models/none/gates/champion", "{\"approvers\":[\"a\"]}");
    EXPECT(404, "POST", "/api/v1/models/x/versions/1/checks", "");
    EXPECT(400, "GET", "/api/v1/models/x/versions/zero/gates", NULL);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_trained_version), CASE(test_mlflow_version),
                                       CASE(test_bad_requests)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
