/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot import mlflow` and `ingot export mlflow` of the real program: from server to server, to an
 * mlruns folder and back, twice each; folders that are damaged or lead elsewhere. What mlflow
 * itself makes of the folders is a matter of tests/interop. */
#include "support/live.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define API "/api/2.0/mlflow/"
#define RUN "0123456789abcdef0123456789abcdef"
#define COUNTS                                                                                     \
    "{\"experiments\": [3, 3], \"runs\": [3, 3], \"params\": [2, 2], \"tags\": [10, 10], "         \
    "\"metrics\": [4, 4], \"logged_models\": [1, 1], \"artifacts\": [3, 3], \"bytes\": [9, 9], "   \
    "\"registered_models\": [3, 3], \"versions\": [4, 4], \"there_already\": 0}\n"
#define AGAIN                                                                                      \
    "{\"experiments\": [3, 3], \"runs\": [0, 0], \"params\": [0, 0], \"tags\": [0, 0], "           \
    "\"metrics\": [0, 0], \"logged_models\": [1, 1], \"artifacts\": [1, 1], \"bytes\": [3, 3], "   \
    "\"registered_models\": [3, 3], \"versions\": [4, 4], \"there_already\": 3}\n"

static struct live live, other;
static struct live_run run;

/* Versions made of versions: of a model that is listed later, of that copy again, and of one that
 * was deleted since. */
static void fill_copies(void)
{
    EXPECT(200, "POST", API "registered-models/create", "{\"name\":\"aaa\"}");
    EXPECT(200, "POST", API "registered-models/create", "{\"name\":\"bbb\"}");
    EXPECT(200, "POST", API "model-versions/create",
           "{\"name\":\"aaa\",\"source\":\"models:/reg/2\"}");
    EXPECT(200, "POST", API "model-versions/create",
           "{\"name\":\"reg\",\"source\":\"models:/aaa/1\"}");
    EXPECT(200, "POST", API "model-versions/create",
           "{\"name\":\"aaa\",\"source\":\"models:/m-" RUN "\",\"model_id\":\"m-" RUN "\"}");
    EXPECT(200, "POST", API "model-versions/create",
           "{\"name\":\"bbb\",\"source\":\"models:/aaa/2\"}");
    EXPECT(200, "DELETE", API "model-versions/delete", "{\"name\":\"aaa\",\"version\":\"2\"}");
}

static void fill(void)
{
    EXPECT(200, "POST", API "experiments/create",
           "{\"name\":\"e\",\"tags\":[{\"key\":\"team\",\"value\":\"a\\nb: c\"}]}");
    EXPECT(200, "POST", API "experiments/create", "{\"name\":\"gone\"}");
    EXPECT(200, "POST", API "runs/create", "{\"experiment_id\":\"2\"}");
    EXPECT(200, "POST", API "experiments/delete", "{\"experiment_id\":\"2\"}");
    EXPECT(200, "POST", API "runs/create",
           "{\"experiment_id\":\"1\",\"run_id\":\"" RUN "\",\"run_name\":\"r 1\",\"user_id\":\"u\","
           "\"start_time\":5}");
    EXPECT(200, "POST", API "runs/log-batch",
           "{\"run_id\":\"" RUN "\",\"params\":[{\"key\":\"dir/lr\",\"value\":\"0.1\"},"
           "{\"key\":\"text\",\"value\":\"\\u00fc'\\\"\\n#\"}],\"metrics\":["
           "{\"key\":\"loss\",\"value\":0.1,\"timestamp\":7,\"step\":1},"
           "{\"key\":\"loss\",\"value\":\"NaN\",\"timestamp\":8,\"step\":2},"
           "{\"key\":\"sub/inf\",\"value\":\"-Infinity\",\"timestamp\":8,\"step\":-3},"
           "{\"key\":\"x\",\"value\":1e-300,\"timestamp\":8,\"step\":0}],"
           "\"tags\":[{\"key\":\"note\",\"value\":\"n\"}]}");
    EXPECT(200, "POST", API "runs/log-inputs",
           "{\"run_id\":\"" RUN "\",\"datasets\":[{\"dataset\":{\"name\":\"d\",\"digest\":\"1\","
           "\"source_type\":\"s\",\"source\":\"{}\"},\"tags\":[{\"key\":\"mlflow.data.context\","
           "\"value\":\"training\"}]}]}");
    EXPECT(200, "POST", API "runs/update",
           "{\"run_id\":\"" RUN "\",\"status\":\"FAILED\",\"end_time\":99}");
    EXPECT(200, "PUT", "/api/2.0/mlflow-artifacts/artifacts/1/" RUN "/artifacts/m/a%20b.txt",
           "hey");
    EXPECT(200, "PUT", "/api/2.0/mlflow-artifacts/artifacts/1/" RUN "/artifacts/c", "you");
    EXPECT(200, "POST", API "runs/create", "{\"experiment_id\":\"1\"}");
    char id[64], body[160];
    snprintf(id, sizeof id, "%s", live_text(&live, "run.info.run_id"));
    snprintf(body, sizeof body, "{\"run_id\":\"%s\"}", id);
    EXPECT(200, "POST", API "runs/delete", body);
    EXPECT(200, "POST", API "logged-models",
           "{\"experiment_id\":\"1\",\"name\":\"lm\",\"model_id\":\"m-" RUN "\","
           "\"source_run_id\":\"" RUN "\"}");
    EXPECT(200, "PUT", "/api/2.0/mlflow-artifacts/artifacts/1/models/m-" RUN "/artifacts/f", "abc");
    EXPECT(200, "POST", API "registered-models/create", "{\"name\":\"reg\",\"description\":\"d\"}");
    for (int i = 0; i < 2; i++)
        EXPECT(200, "POST", API "model-versions/create",
               "{\"name\":\"reg\",\"source\":\"runs:/" RUN "/m\",\"run_id\":\"" RUN "\"}");
    EXPECT(200, "DELETE", API "model-versions/delete", "{\"name\":\"reg\",\"version\":\"1\"}");
    EXPECT(200, "POST", API "registered-models/alias",
           "{\"name\":\"reg\",\"alias\":\"champion\",\"version\":\"2\"}");
    fill_copies();
}

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
    live_make(&other);
    live_start(&other, NULL);
    fill();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    live_remove(&other);
    return 0;
}

#define RUN_IT(at, ...) live_run(&run, at, (const char *const[]){__VA_ARGS__, NULL})
#define SUCCEEDED(text)                                                                            \
    do {                                                                                           \
        if (run.code != 0) fail_msg("%d: %s%s", run.code, run.out, run.err);                       \
        assert_string_equal(run.out, text);                                                        \
    } while (0)

static void expect_text(const char *path, const char *member, const char *text)
{
    assert_int_equal(live_call(&other, "GET", path, NULL), 200);
    assert_string_equal(live_text(&other, member), text);
}

/* What the copy at `other` says. */
static void assert_copied(void)
{
    expect_text(API "runs/get?run_id=" RUN, "run.info.run_name", "r 1");
    assert_string_equal(live_text(&other, "run.info.status"), "FAILED");
    assert_true(live_number(&other, "run.info.start_time") == 5);
    assert_true(live_number(&other, "run.info.end_time") == 99);
    assert_string_equal(live_text(&other, "run.data.params.1.value"), "\xC3\xBC'\"\n#");
    assert_string_equal(live_text(&other, "run.inputs.dataset_inputs.0.dataset.name"), "d");
    assert_string_equal(live_text(&other, "run.inputs.dataset_inputs.0.tags.0.value"), "training");
    expect_text(API "metrics/get-history?run_id=" RUN "&metric_key=loss", "metrics.1.value", "NaN");
    expect_text(API "metrics/get-history?run_id=" RUN "&metric_key=sub/inf", "metrics.0.step",
                "-3");
    expect_text(API "metrics/get-history?run_id=" RUN "&metric_key=x", "metrics.0.value", "1e-300");
    expect_text(API "experiments/get-by-name?experiment_name=gone", "experiment.lifecycle_stage",
                "deleted");
    expect_text(API "registered-models/alias?name=reg&alias=champion", "model_version.version",
                "2");
    assert_int_equal(live_call(&other, "GET", "/get-artifact?run_id=" RUN "&path=m/a+b.txt", NULL),
                     200);
    assert_string_equal(live_body(&other), "hey");
    assert_int_equal(live_call(&other, "GET",
                               "/model-versions/get-artifact?name=reg&version=2&"
                               "path=a+b.txt",
                               NULL),
                     200);
    assert_string_equal(live_body(&other), "hey");
    expect_text(API "logged-models/m-" RUN, "model.info.source_run_id", RUN);
    expect_text(API "model-versions/get?name=aaa&version=1", "model_version.source",
                "models:/reg/2");
    expect_text(API "model-versions/get?name=reg&version=3", "model_version.source",
                "models:/aaa/1");
    assert_int_equal(live_call(&other, "GET", API "model-versions/get?name=bbb&version=1", NULL),
                     200);
    assert_non_null(
        strstr(live_text(&other, "model_version.source"), "models/m-" RUN "/artifacts"));
    expect_text("/api/v1/models/reg/versions/2/lineage", "downstream.versions.0.model", "aaa");
    expect_text("/api/v1/models/reg/versions/2/lineage", "upstream.run.run_id", RUN);
}

static void test_servers(void **state)
{
    (void)state;
    RUN_IT(&other, "import", "mlflow", "--from", live.url, "--format", "json");
    SUCCEEDED(COUNTS);
    assert_copied();
    RUN_IT(&live, "export", "mlflow", "--to", other.url, "--format", "json");
    SUCCEEDED(AGAIN);
    RUN_IT(&other, "import", "mlflow", "--from", live.url);
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "3 runs were there already"));
}

static void test_folder(void **state)
{
    (void)state;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/mlruns", live.dir);
    struct stat info;
    RUN_IT(&live, "export", "mlflow", "--to", folder, "--format", "json");
    SUCCEEDED(COUNTS);
    RUN_IT(&live, "export", "mlflow", "--to", folder, "--format", "json");
    SUCCEEDED(AGAIN);
    assert_int_equal(stat(live_path(&live, "mlruns/1/" RUN "/metrics/sub/inf"), &info), 0);
    assert_int_equal(stat(live_path(&live, "mlruns/.trash/2/meta.yaml"), &info), 0);
    assert_int_equal(stat(live_path(&live, "mlruns/models/reg/version-2/meta.yaml"), &info), 0);
    RUN_IT(&other, "import", "mlflow", "--from", folder, "--format", "json");
    SUCCEEDED(COUNTS);
    assert_copied();
    RUN_IT(&other, "import", "mlflow", "--from", folder, "--format", "json");
    SUCCEEDED(AGAIN);
}

/* Told by the file; what came before stays, and the copy goes on when the file is mended. */
static void test_damaged(void **state)
{
    (void)state;
    char folder[96];
    snprintf(folder, sizeof folder, "%s/mlruns", live.dir);
    RUN_IT(&other, "import", "mlflow", "--from", live_path(&live, "nothing"));
    assert_int_equal(run.code, 1);
    RUN_IT(&live, "export", "mlflow", "--to", folder, "--format", "json");
    SUCCEEDED(COUNTS);
    live_write(&live, "mlruns/1/" RUN "/metrics/loss", "7 0.1 1\n8 many 2\n");
    RUN_IT(&other, "import", "mlflow", "--from", folder);
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "line 2: '8 many 2' is not a time, a value and a step"));
    live_write(&live, "mlruns/1/" RUN "/metrics/loss", "7 0.1 1\n8 nan 2\n");
    live_write(&live, "mlruns/models/reg/meta.yaml", "name: &a [*a]\n");
    RUN_IT(&other, "import", "mlflow", "--from", folder);
    assert_int_equal(run.code, 1);
    assert_non_null(strstr(run.err, "models/reg/meta.yaml"));
    live_write(&live, "mlruns/models/reg/meta.yaml", "name: reg\ndescription: d\n");
    live_write(&live, "secret", "secret");
    assert_int_equal(
        symlink(live_path(&live, "secret"), live_path(&live, "mlruns/1/" RUN "/artifacts/link")),
        0);
    RUN_IT(&other, "import", "mlflow", "--from", folder, "--format", "json");
    if (run.code != 0) fail_msg("%s%s", run.out, run.err);
    assert_copied();
    assert_int_equal(live_call(&other, "GET", "/get-artifact?run_id=" RUN "&path=link", NULL), 404);
}

static void test_ids(void **state)
{
    (void)state;
    EXPECT(400, "POST", API "runs/create", "{\"experiment_id\":\"1\",\"run_id\":\"../x\"}");
    EXPECT(400, "POST", API "runs/create", "{\"experiment_id\":\"1\",\"run_id\":\"" RUN "\"}");
    assert_string_equal(live_text(&live, "error_code"), "RESOURCE_ALREADY_EXISTS");
    EXPECT(400, "POST", API "logged-models", "{\"experiment_id\":\"1\",\"model_id\":\"" RUN "\"}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_servers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_ids, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
