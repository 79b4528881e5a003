/* SPDX-License-Identifier: Apache-2.0 */
/* The whole path through the real program: train, register, deploy, predict; versions,
 * aliases, rollback; bad requests; and all of it again behind kill -9. */
#include "support/live.h"

#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ROW "{\"model\":\"churn\",\"features\":{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}}"

static struct live live;
static struct live_run out;

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})

static void train(const char *model, int rounds)
{
    char id[64];
    snprintf(id, sizeof id, "%s", live_submit(&live, model, "table.csv", rounds));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
}

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    live_start(&live, NULL);
    train("churn", 20);
    assert_string_equal(live_text(&live, "version"), "1");
    train("churn", 40);
    assert_string_equal(live_text(&live, "version"), "2");
    EXPECT(200, "PUT", "/api/v1/deployments/churn", "{\"model\":\"churn\",\"version\":1}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void test_job_tells_its_story(void **state)
{
    (void)state;
    char id[64], path[128];
    EXPECT(200, "GET", "/api/v1/jobs?limit=1", NULL);
    EXPECT(200, "GET", "/api/v1/models/churn/versions/1", NULL);
    snprintf(id, sizeof id, "%s", live_text(&live, "job_id"));
    assert_true(strlen(live_text(&live, "digest")) == 64);
    snprintf(path, sizeof path, "/api/v1/jobs/%s", id);
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_text(&live, "state"), "succeeded");
    assert_string_equal(live_text(&live, "target"), "label");
    assert_true(live_number(&live, "progress") == 1);
    assert_string_equal(live_text(&live, "params.rounds"), "20");
    snprintf(path, sizeof path, "/api/v1/jobs/%s/metrics", id);
    EXPECT(200, "GET", path, NULL);
    assert_int_equal(live_body(&live)[0], '{');
    snprintf(path, sizeof path, "/api/v1/jobs/%s/logs?offset=0", id);
    EXPECT(200, "GET", path, NULL);
    EXPECT(404, "GET", "/api/v1/jobs/01h00000000000000000000000", NULL);
}

/* The reply holds what the issue promises, and its parts add up. */
static void test_explained_prediction(void **state)
{
    (void)state;
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    assert_string_equal(live_text(&live, "prediction"), "yes");
    double probability = live_number(&live, "probability");
    double margin = live_number(&live, "explanation.margin");
    double sum = live_number(&live, "explanation.base_value") +
                 live_number(&live, "explanation.shap_values.x0") +
                 live_number(&live, "explanation.shap_values.x1") +
                 live_number(&live, "explanation.shap_values.colour");
    assert_true(probability > 0.5 && probability < 1);
    assert_true(fabs(probability - 1 / (1 + exp(-margin))) < 1e-6);
    assert_true(fabs(sum - margin) <= 1e-5 * (1 + fabs(margin)));
    assert_true(live_number(&live, "explanation.additivity_error") <= 1e-5 * (1 + fabs(margin)));
    assert_string_equal(live_text(&live, "explanation.method"), "tree_path_dependent");
    assert_string_equal(live_text(&live, "model.name"), "churn");
    assert_string_equal(live_text(&live, "model.version"), "1");
    assert_int_equal(strlen(live_text(&live, "model.digest")), 64);
    assert_true(*live_text(&live, "request_id"));
    assert_true(live_number(&live, "duration_us") >= 0);
    assert_non_null(
        strstr(live_body(&live), "\"top_features\":[{\"feature\":\"x0\",\"value\":0.9,"));
}

static void test_instances(void **state)
{
    (void)state;
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"churn\",\"instances\":[{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"},"
           "[0.05,0.9,\"red\"],{}],\"top\":0}");
    const char *body = live_body(&live);
    assert_int_equal(strncmp(body, "{\"results\":[{\"prediction\":\"yes\"", 31), 0);
    assert_non_null(strstr(body, "},{\"prediction\":\"no\""));
    assert_non_null(strstr(body, "\"top_features\":[]"));
}

static void test_kserve(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/v1/models", NULL);
    assert_string_equal(live_body(&live), "{\"models\":[\"churn\"]}");
    EXPECT(200, "GET", "/v1/models/churn", NULL);
    assert_string_equal(live_body(&live), "{\"name\":\"churn\",\"ready\":true}");
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    double probability = live_number(&live, "probability");
    EXPECT(200, "POST", "/v1/models/churn:predict", "{\"instances\":[[0.9,0.1,\"green\"]]}");
    double predicted = strtod(live_body(&live) + strlen("{\"predictions\":["), NULL);
    assert_true(predicted == probability);
    EXPECT(200, "POST", "/v1/models/churn:explain", "{\"instances\":[[0.9,0.1,\"green\"]]}");
    assert_int_equal(strncmp(live_body(&live), "{\"explanations\":[{\"prediction\":", 31), 0);
    EXPECT(404, "GET", "/v1/models/none", NULL);
    EXPECT(404, "POST", "/v1/models/none:predict", "{\"instances\":[[1,2,3]]}");
    assert_true(*live_text(&live, "error"));
    static char large[(16 << 20) + 2]; /* the server refuses it before any handler sees it */
    memset(large, ' ', sizeof large - 1);
    EXPECT(413, "POST", "/v1/models/churn:predict", large);
    assert_string_equal(live_body(&live), "{\"error\":\"the body exceeds the cap of this route\"}");
}

struct bad {
    int status;
    const char *body, *field, *message;
};

static void test_bad_requests(void **state)
{
    (void)state;
    static const struct bad bad[] = {
        {400, "{\"model\":\"churn\",\"features\":{\"x0\":\"high\"}}", "features.x0",
         "features.x0: expected a number, found the string 'high'"},
        {400, "{\"model\":\"churn\",\"features\":{\"x9\":1}}", "features.x9", "no such feature"},
        {400, "{\"model\":\"churn\",\"features\":{},\"method\":\"magic\"}", "method", "magic"},
        {400, "{\"model\":\"churn\"", "", ""},
        {400, "{\"model\":\"churn\", bad", "", "JSON: "},
        {400, "", NULL, ""},
        {404, "{\"model\":\"none\",\"features\":{}}", "model", "none"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        EXPECT(bad[i].status, "POST", "/predict-with-explanation", bad[i].body);
        assert_non_null(strstr(live_text(&live, "error.message"), bad[i].message));
        if (bad[i].field) assert_string_equal(live_text(&live, "error.field"), bad[i].field);
        assert_true(*live_text(&live, "request_id"));
    }
    EXPECT(400, "POST", "/predict-with-explanation",
           "{\"model\":\"churn\",\"features\":{\"x0\":\"high\"}}");
    assert_true(live_number(&live, "error.position") > 0);
    struct ig_client_call call = {.method = "POST",
                                  .path = "/predict-with-explanation",
                                  .content_type = "text/csv",
                                  .body = {"a,b", 3}};
    assert_int_equal(live_send(&live, &call), 415);
    EXPECT(405, "PUT", "/predict-with-explanation", "{}");
    EXPECT(404, "GET", "/api/v1/nothing", NULL);
    EXPECT(404, "GET", "/api/v1/models/..%2f..%2fetc", NULL);
    EXPECT(400, "POST", "/api/v1/jobs",
           "{\"model\":\"m\",\"target\":\"y\",\"data_digest\":\"x\",\"instance\":\"huge\"}");
    assert_string_equal(live_text(&live, "error.field"), "instance");
    EXPECT(200, "GET", "/api/v1/instance-types", NULL);
    assert_string_equal(live_text(&live, "instance_types.1.name"), "small");
    EXPECT(400, "POST", "/api/v1/jobs", "{\"model\":\"m\"}");
    assert_string_equal(live_text(&live, "error.field"), "target");
    EXPECT(400, "PUT", "/api/v1/deployments/a%20b", "{\"model\":\"churn\"}");
    EXPECT(404, "PUT", "/api/v1/deployments/ok", "{\"model\":\"none\"}");
    EXPECT(400, "GET", "/api/v1/blobs/xyz", NULL);
}

static void test_aliases_and_rollback(void **state)
{
    (void)state;
    EXPECT(200, "PUT", "/api/v1/models/churn/aliases/champion", "{\"version\":2}");
    EXPECT(404, "PUT", "/api/v1/models/churn/aliases/champion", "{\"version\":9}");
    EXPECT(200, "PUT", "/api/v1/deployments/churn", "{\"model\":\"models:/churn/champion\"}");
    assert_string_equal(live_text(&live, "version"), "2");
    assert_string_equal(live_text(&live, "previous.version"), "1");
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    assert_string_equal(live_text(&live, "model.version"), "2");
    EXPECT(409, "DELETE", "/api/v1/models/churn/versions/2", NULL);
    EXPECT(200, "POST", "/api/v1/deployments/churn/rollback", "{}");
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    assert_string_equal(live_text(&live, "model.version"), "1");
    EXPECT(200, "GET", "/api/v1/models/churn", NULL);
    assert_string_equal(live_text(&live, "aliases.champion"), "2");
    EXPECT(200, "DELETE", "/api/v1/models/churn/aliases/champion", NULL);
}

/* In a process of its own: predicts until told to stop; 0 when every answer was whole and came from
 * one of the two versions. */
static int predict_until(int stop_fd)
{
    struct pollfd stop = {.fd = stop_fd, .events = POLLIN};
    struct ig_err err = IG_ERR_INIT;
    uint64_t seen[3] = {0};
    if (ig_client_new(&live.client, live.url, NULL, &err) != IG_OK) return 2;
    while (poll(&stop, 1, 0) == 0) {
        if (live_try(&live, "POST", "/predict-with-explanation", ROW) != 200) return 3;
        const char *version = live_text(&live, "model.version");
        if (strcmp(version, "1") != 0 && strcmp(version, "2") != 0) return 4;
        seen[version[0] - '0']++;
    }
    return seen[1] && seen[2] ? 0 : 5;
}

/* Versions are swapped while others predict: no request fails, none sees a mixture. */
static void test_swap_under_load(void **state)
{
    (void)state;
    enum { CALLERS = 2, SWAPS = 40 };
    int stop[2], status;
    pid_t callers[CALLERS];
    assert_int_equal(pipe2(stop, O_CLOEXEC), 0);
    for (int i = 0; i < CALLERS; i++) {
        callers[i] = fork();
        assert_true(callers[i] >= 0);
        if (callers[i] == 0) {
            close(stop[1]);
            _exit(predict_until(stop[0]));
        }
    }
    for (int i = 0; i < SWAPS; i++) {
        EXPECT(200, "PUT", "/api/v1/deployments/churn",
               i % 2 ? "{\"model\":\"churn\",\"version\":1}"
                     : "{\"model\":\"churn\",\"version\":2}");
        nanosleep(&(struct timespec){0, 5000000}, NULL);
    }
    close(stop[1]);
    for (int i = 0; i < CALLERS; i++) {
        assert_int_equal(waitpid(callers[i], &status, 0), callers[i]);
        assert_true(WIFEXITED(status));
        assert_int_equal(WEXITSTATUS(status), 0);
    }
    close(stop[0]);
}

/* The verbs do what the API does. */
static void test_verbs(void **state)
{
    (void)state;
    RUN("train", "--data", live_path(&live, "table.csv"), "--target", "label", "--name", "verb",
        "--param", "rounds=5", "--param", "threads=1");
    if (out.code != 0) fail_msg("%s%s", out.out, out.err);
    assert_non_null(strstr(out.out, "models:/verb/1"));
    RUN("deploy", "verb", "--model", "models:/verb/1");
    assert_int_equal(out.code, 0);
    RUN("model", "list");
    assert_non_null(strstr(out.out, "verb"));
    RUN("job", "list");
    assert_non_null(strstr(out.out, "succeeded"));
    live_write(&live, "rows.csv", "colour,x1,x0,label\ngreen,0.1,0.9,yes\n");
    RUN("predict", "--model", "models:/churn/1", "--input", live_path(&live, "rows.csv"));
    if (out.code != 0) fail_msg("%s", out.err);
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    assert_true(strtod(out.out, NULL) == live_number(&live, "probability"));
    RUN("explain", "--model", "models:/churn/1", "--input", live_path(&live, "rows.csv"),
        "--format", "text");
    assert_non_null(strstr(out.out, "colour = green"));
    RUN("deploy", "verb", "--delete");
    assert_int_equal(out.code, 0);
    RUN("train", "--data", live_path(&live, "table.csv"), "--target", "lable", "--name", "verb");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "lable"));
    RUN("train", "--data", live_path(&live, "table.csv"), "--target", "label", "--param",
        "rounds=0");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "rounds"));
}

static void test_registry_verbs(void **state)
{
    (void)state;
    RUN("model", "register", "golden", "tests/golden/xgboost/binary_missing/model.json");
    if (out.code != 0) fail_msg("%s", out.err);
    assert_non_null(strstr(out.out, "\"format\": \"xgboost-json\""));
    RUN("model", "alias", "golden", "best", "--version", "1");
    assert_int_equal(out.code, 0);
    RUN("deploy", "golden", "--model", "models:/golden/best");
    assert_int_equal(out.code, 0);
    RUN("deploy", "golden", "--rollback");
    assert_int_equal(out.code, 1);
    RUN("model", "delete", "golden");
    assert_int_equal(out.code, 1);
    RUN("deploy", "golden", "--delete");
    assert_int_equal(out.code, 0);
    RUN("model", "get", "golden");
    assert_non_null(strstr(out.out, "\"best\": 1"));
    RUN("model", "alias", "golden", "best", "--delete");
    assert_int_equal(out.code, 0);
    RUN("model", "delete", "golden");
    assert_int_equal(out.code, 0);
    RUN("model", "get", "golden");
    assert_int_equal(out.code, 1);
    live_write(&live, "broken.json", "{\"learner\":{}}");
    RUN("model", "register", "golden", live_path(&live, "broken.json"));
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "ingot model register: "));
    RUN("model", "alias", "golden", "best");
    assert_int_equal(out.code, 2);
}

/* A table that cannot be read fails its job, which says where. */
static void test_broken_table(void **state)
{
    (void)state;
    live_write(&live, "ragged.csv", "a,label\n1,x\n2,y,z\n");
    RUN("train", "--data", live_path(&live, "ragged.csv"), "--target", "label", "--name", "rag");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "line 3"));
    RUN("train", "--data", live_path(&live, "absent.csv"), "--target", "label");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "absent.csv"));
}

static void test_demo(void **state)
{
    (void)state;
    RUN("demo", "--data", live_path(&live, "table.csv"), "--target", "label", "--name", "demo",
        "--param", "rounds=10", "--param", "threads=1");
    if (out.code != 0) fail_msg("%s%s", out.out, out.err);
    assert_non_null(strstr(out.out, "registered models:/demo/1"));
    const char *title = strstr(out.out, "prediction for row 1 of the table: ");
    char class[8], named[8];
    double probability;
    assert_non_null(title);
    assert_int_equal(
        sscanf(title, "%*[^:]: %7s   probability of %7s %lf\n", class, named, &probability), 3);
    assert_string_equal(class, named);
    assert_true(probability >= 0.5 && probability < 1);
    assert_non_null(strstr(out.out, "base value"));
    assert_non_null(strstr(out.out, "\"shap_values\": {"));
    assert_non_null(strstr(out.out, "curl -s http://127.0.0.1:"));
    EXPECT(200, "DELETE", "/api/v1/deployments/demo", NULL);
}

/* A column that is left out is no feature, and rows to predict do without it. */
static void test_dropped_columns(void **state)
{
    (void)state;
    RUN("demo", "--data", live_path(&live, "table.csv"), "--target", "label", "--name", "dropped",
        "--drop", "colour", "--drop=x1", "--param", "rounds=5", "--param", "threads=1");
    if (out.code != 0) fail_msg("%s%s", out.out, out.err);
    assert_null(strstr(out.out, "colour"));
    EXPECT(200, "GET", "/api/v1/jobs?limit=1", NULL);
    assert_non_null(strstr(live_body(&live), "\"drop\":[\"colour\",\"x1\"]"));
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"dropped\",\"features\":{\"x0\":0.9}}");
    assert_null(strstr(live_body(&live), "colour"));
    EXPECT(400, "POST", "/predict-with-explanation",
           "{\"model\":\"dropped\",\"features\":{\"x0\":0.9,\"colour\":\"red\"}}");
    EXPECT(200, "DELETE", "/api/v1/deployments/dropped", NULL);
    RUN("train", "--data", live_path(&live, "table.csv"), "--target", "label", "--name", "dropped",
        "--drop", "color");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "dropped column 'color' is no column of the table"));
    RUN("train", "--data", live_path(&live, "table.csv"), "--target", "label", "--drop", "label");
    assert_int_equal(out.code, 1);
    assert_non_null(strstr(out.err, "drop: 'label' is the target"));
    EXPECT(400, "POST", "/api/v1/jobs", "{\"model\":\"m\",\"target\":\"y\",\"drop\":\"id\"}");
    assert_string_equal(live_text(&live, "error.field"), "drop");
}

static void test_metrics_and_description(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/metrics", NULL);
    assert_non_null(strstr(live_body(&live), "ingot_http_requests_total{method=\"POST\",route=\""
                                             "/predict-with-explanation\",status=\"2xx\"} "));
    assert_non_null(strstr(live_body(&live), "\ningot_inference_rows_total "));
    assert_non_null(strstr(live_body(&live), "\ningot_decisions_dropped_total "));
    assert_null(strstr(live_body(&live), "\ningot_decisions_total 0\n"));
    EXPECT(200, "GET", "/api/v1/openapi.json", NULL);
    assert_string_equal(live_text(&live, "openapi"), "3.1.0");
}

/* Killed and started anew it serves the last deployment, with the same answer bit for bit. */
static void test_after_kill(void **state)
{
    (void)state;
    char before[8192];
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    snprintf(before, sizeof before, "%s", live_body(&live));
    live_stop(&live, SIGKILL);
    live_start(&live, NULL);
    EXPECT(200, "GET", "/readyz", NULL);
    EXPECT(200, "POST", "/predict-with-explanation", ROW);
    size_t length = (size_t)(strstr(before, "\"request_id\"") - before);
    assert_memory_equal(live_body(&live), before, length);
    int status = live_stop(&live, SIGTERM);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    RUN("predict", "--model", "models:/churn/2", "--data", live_path(&live, "data"), "--input",
        live_path(&live, "rows.csv"));
    if (out.code != 0) fail_msg("%s", out.err);
    live_start(&live, NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_job_tells_its_story),
        cmocka_unit_test(test_explained_prediction),
        cmocka_unit_test(test_instances),
        cmocka_unit_test(test_kserve),
        cmocka_unit_test(test_bad_requests),
        cmocka_unit_test(test_aliases_and_rollback),
        cmocka_unit_test(test_swap_under_load),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_registry_verbs),
        cmocka_unit_test(test_broken_table),
        cmocka_unit_test(test_demo),
        cmocka_unit_test(test_dropped_columns),
        cmocka_unit_test(test_metrics_and_description),
        cmocka_unit_test(test_after_kill),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
