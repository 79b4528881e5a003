/* SPDX-License-Identifier: Apache-2.0 */
/* What MLflow's clients log becomes servable: files, a registered version, a deployment,
 * predictions; by every URI of the command line; and what cannot be served, with why. */
#include "support/live.h"

#include <stdio.h>
#include <string.h>

#define API "/api/2.0/mlflow/"
#define SIGNED                                                                                     \
    "signature:\n  inputs: '[{\"type\": \"double\", \"name\": \"floor size\", \"required\": "      \
    "true}]"                                                                                       \
    "'\n"

static struct live live;
static char run[64], id[64];

static const char STUMP[] =
    "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\nmax_feature_idx=0\n"
    "objective=regression\nfeature_names=floor_size\nfeature_infos=[0:9]\ntree_sizes=1\n\nTree=0\n"
    "num_leaves=2\nnum_cat=0\nsplit_feature=0\nthreshold=1.5\ndecision_type=8\nleft_child=-1\n"
    "right_child=-2\nleaf_value=3 4\nleaf_count=5 5\ninternal_count=10\n\nend of trees\n";

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

static void call(int wanted, const char *method, const char *path, const char *body)
{
    char url[256];
    snprintf(url, sizeof url, API "%s", path);
    const struct ig_client_call sent = {.method = method,
                                        .path = url,
                                        .content_type = "application/json",
                                        .body = ig_str_view(body)};
    int got = live_send(&live, &sent);
    if (got != wanted) fail_msg("%s %s: %d %s", method, path, got, live_body(&live));
}

/* A logged model "model" of a new run, and a version of `name` made of it. */
static void log_and_register(const char *name, const char *mlmodel)
{
    char path[200], body[512];
    call(200, "POST", "runs/create", "{\"experiment_id\":\"0\",\"start_time\":5}");
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    snprintf(body, sizeof body,
             "{\"experiment_id\":\"0\",\"name\":\"model\",\"source_run_id\":\"%s\"}", run);
    call(200, "POST", "logged-models", body);
    snprintf(id, sizeof id, "%s", live_text(&live, "model.info.model_id"));
    snprintf(path, sizeof path, "/api/2.0/mlflow-artifacts/artifacts/0/models/%s/artifacts/MLmodel",
             id);
    EXPECT(200, "PUT", path, mlmodel);
    snprintf(path, sizeof path,
             "/api/2.0/mlflow-artifacts/artifacts/0/models/%s/artifacts/model.lgb", id);
    EXPECT(200, "PUT", path, STUMP);
    snprintf(path, sizeof path,
             "/api/2.0/mlflow-artifacts/artifacts/0/models/%s/artifacts/input_example.json", id);
    EXPECT(200, "PUT", path, "{\"columns\":[\"floor size\"],\"data\":[[1],[2],[null]]}");
    snprintf(body, sizeof body,
             "{\"name\":\"%s\",\"source\":\"models:/%s\",\"run_id\":\"%s\",\"model_id\":\"%s\"}",
             name, id, run, id);
    call(200, "POST", "model-versions/create", body);
}

static void ingot(const char *wanted, const char *const *arguments)
{
    static struct live_run done;
    live_run(&done, &live, arguments);
    if (!strstr(done.code ? done.err : done.out, wanted))
        fail_msg("%s: %d %s%s", arguments[0], done.code, done.out, done.err);
}
#define INGOT(wanted, ...) ingot(wanted, (const char *const[]){__VA_ARGS__, NULL})

static void test_served(void **state)
{
    (void)state;
    char uri[128], direct[128];
    call(200, "POST", "registered-models/create", "{\"name\":\"house\"}");
    log_and_register("house", "flavors:\n  lightgbm:\n    data: model.lgb\n" SIGNED);
    assert_string_equal(live_text(&live, "model_version.tags.0.key"), "ingot.servable");
    assert_string_equal(live_text(&live, "model_version.tags.0.value"), "yes");
    call(200, "POST", "registered-models/alias",
         "{\"name\":\"house\",\"alias\":\"champion\",\"version\":\"1\"}");
    INGOT("champion", "deploy", "a", "--model", "models:/house@champion");
    EXPECT(200, "POST", "/models/a/invoke", "{\"dataframe_records\":[{\"floor size\":2}]}");
    assert_true(live_number(&live, "predictions.0") == 4);
    live_write(&live, "rows.csv", "floor size\n1\n2\n");
    snprintf(uri, sizeof uri, "runs:/%s/model", run);
    snprintf(direct, sizeof direct, "models:/%s", id);
    const char *const uris[] = {"models:/house/1", "models:/house@champion", uri, direct};
    for (size_t i = 0; i < sizeof uris / sizeof uris[0]; i++) {
        INGOT("3\n4\n", "predict", "--model", uris[i], "--input", live_path(&live, "rows.csv"));
        INGOT("floor size", "inspect", uris[i]);
    }
    INGOT("\"revision\": 1", "deploy", "b", "--model", uri);
    INGOT("\"revision\": 1", "deploy", "c", "--model", direct);
    INGOT("has no model 'other'", "predict", "--model",
          (snprintf(uri, sizeof uri, "runs:/%s/other", run), uri), "--input",
          live_path(&live, "rows.csv"));
    INGOT("is not registered; do it with mlflow.register_model(", "deploy", "d", "--model", uri);
    INGOT("is not runs:/RUN/PATH", "deploy", "d", "--model", "runs:/x");
    INGOT("leave --data out", "predict", "--model", uri, "--data", live_path(&live, "data"),
          "--input", live_path(&live, "rows.csv"));
    call(409, "DELETE", "model-versions/delete", "{\"name\":\"house\",\"version\":\"1\"}");
    if (!strstr(live_text(&live, "message"), "version 1 of model 'house' is deployed"))
        fail_msg("%s", live_body(&live));
    call(409, "DELETE", "registered-models/delete", "{\"name\":\"house\"}");
}

/* The input example that a client saved: golden rows of the package, which a gate asks for. */
static void test_golden_rows(void **state)
{
    (void)state;
    call(200, "POST", "registered-models/create", "{\"name\":\"rows\"}");
    log_and_register("rows", "flavors:\n  lightgbm:\n    data: model.lgb\n" SIGNED);
    log_and_register("rows", "flavors:\n  lightgbm:\n    data: model.lgb\n" SIGNED
                             "\nsaved_input_example_info:\n  artifact_path: input_example.json\n"
                             "  type: dataframe\n");
    INGOT("\"golden\"", "model", "gate", "rows", "champion", "--check", "golden");
    INGOT("0 golden rows: the package has none", "model", "check", "rows", "1");
    INGOT("3 golden rows reproduced", "model", "check", "rows", "2");
    call(409, "POST", "registered-models/alias",
         "{\"name\":\"rows\",\"alias\":\"champion\",\"version\":\"1\"}");
    call(200, "POST", "registered-models/alias",
         "{\"name\":\"rows\",\"alias\":\"champion\",\"version\":\"2\"}");
    INGOT("| golden rows | 3, reproduced for this card |", "model", "card", "rows", "2");
    INGOT("\"revision\": 1", "deploy", "golden", "--model", "models:/rows@champion");
}

static void test_refused(void **state)
{
    (void)state;
    char uri[128];
    call(200, "POST", "registered-models/create", "{\"name\":\"pickle\"}");
    log_and_register("pickle", "flavors:\n  sklearn:\n    pickled_model: model.pkl\n" SIGNED);
    INGOT(
        "version 1 of model 'pickle' cannot be served: the sklearn flavor holds Python objects or "
        "code, which are never opened; convert it: mlflow.onnx.log_model(skl2onnx.to_onnx(",
        "deploy", "e", "--model", "models:/pickle/1");
    snprintf(uri, sizeof uri, "runs:/%s/model", run);
    INGOT("cannot be served: no: the sklearn flavor", "deploy", "e", "--model", uri);
    INGOT("the sklearn flavor holds Python objects", "inspect", uri);
    call(200, "POST", "registered-models/alias",
         "{\"name\":\"pickle\",\"alias\":\"live\",\"version\":\"1\"}");
    INGOT("cannot be served", "model", "alias", "pickle", "live", "--version", "1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_served),
                                       cmocka_unit_test(test_golden_rows),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
