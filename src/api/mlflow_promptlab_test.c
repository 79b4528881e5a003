/* SPDX-License-Identifier: Apache-2.0 */
/* Runs of the prompt laboratory: what is refused, what is logged, what the files say, and a run
 * whose files have no place here. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"
#include "services/registry/world_testing.h"

#include <stdio.h>

static struct ig_call_testing test;
static struct ig_world world;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    ig_world_open(&world);
    test.app.db = world.db;
    test.app.blobs = world.blobs;
    ASSERT_OK(ig_tracking_open(&test.app.tracking, world.db, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_tracking_close(test.app.tracking);
    ig_world_close(&world);
    ig_call_testing_deinit(&test);
    return 0;
}

static const char *ask(const char *body)
{
    ig_call_testing_again(&test);
    test.call.who = IG_PRINCIPAL_LOCAL;
    ig_call_testing_header(&test, "Content-Type", "application/json");
    test.exchange.request.method = IG_STR("POST");
    test.exchange.body = ig_str_view(body);
    if (ig_mlflow_promptlab_create(&test.call) != IG_OK) return test.call.err.message;
    return test.exchange.reply.ptr;
}

static void expect(const char *said, const char *words)
{
    if (!strstr(said, words)) fail_msg("%s, not %s", said, words);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *body, *words;
    } cases[] = {
        {"[]", "body: expected an object"},
        {"{}", "CreatePromptlabRun request must specify experiment_id."},
        {"{\"experiment_id\":\"0\"}", "must specify prompt_template."},
        {"{\"experiment_id\":\"0\",\"prompt_template\":\"t\",\"prompt_parameters\":[]}",
         "must specify prompt_parameters."},
        {"{\"experiment_id\":\"0\",\"prompt_template\":\"t\",\"prompt_parameters\":[{\"key\":\"k\","
         "\"value\":\"v\"}],\"model_route\":null}",
         "must specify model_route."},
        {"{\"experiment_id\":\"0\",\"prompt_template\":\"t\",\"prompt_parameters\":[{\"key\":\"k\"}"
         "],"
         "\"model_route\":\"r\",\"model_input\":\"i\"}",
         "must specify mlflow_version."},
        {"{\"prompt_parameters\":[7]}", "prompt_parameters"},
        {"{\"model_parameters\":{}}", "model_parameters"},
        {"{\"start_time\":\"x\"}", "start_time"},
        {"{\"experiment_id\":[]}", "value"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        expect(ask(cases[i].body), cases[i].words);
}

#define BODY(experiment)                                                                           \
    "{\"experiment_id\":\"" experiment                                                             \
    "\",\"run_name\":\"n\",\"prompt_template\":\"{{ a }}\\n#\","                                   \
    "\"prompt_parameters\":[{\"key\":\"a\",\"value\":\"x\"}],\"model_route\":\"r\","               \
    "\"model_parameters\":[{\"key\":\"temperature\",\"value\":0.10},{\"key\":\"top\",\"value\":"   \
    "true}],\"model_input\":\"x\\n#\",\"model_output\":\"\\u00fc\\\"\",\"model_output_"            \
    "parameters\":"                                                                                \
    "[{\"key\":\"latency\",\"value\":\"100\"}],\"mlflow_version\":\"3.0\",\"user_id\":\"u\","      \
    "\"start_time\":456}"

static struct ig_str file(const char *run, const char *name)
{
    static struct ig_buf content;
    char path[128];
    struct ig_artifact found;
    ig_buf_deinit(&content);
    ig_buf_init(&content, 1 << 20);
    snprintf(path, sizeof path, "0/%s/artifacts/%s", run, name);
    ASSERT_OK(ig_artifacts_get(&found, world.db, ig_str_view(path), &err));
    ASSERT_OK(ig_blob_read(&content, world.blobs, ig_str_view(found.digest), &err));
    ig_buf_add_char(&content, '\0');
    struct ig_str copy = ig_arena_dup(&world.arena, ig_buf_view(&content));
    ig_buf_deinit(&content);
    return copy;
}

static void test_run_and_files(void **state)
{
    (void)state;
    char run[33];
    const char *said = ask(BODY("0"));
    expect(said, "\"run_name\":\"n\",\"user_id\":\"u\",\"status\":\"FINISHED\"");
    expect(said, "\"start_time\":456");
    expect(said, "{\"key\":\"temperature\",\"value\":\"0.10\"}");
    expect(said, "{\"key\":\"top\",\"value\":\"True\"}");
    expect(said, "{\"key\":\"prompt_template\",\"value\":\"{{ a }}\\n#\"}");
    expect(said, "{\"key\":\"mlflow.loggedArtifacts\",\"value\":\"[{\\\"path\\\": "
                 "\\\"eval_results_table.json\\\", \\\"type\\\": \\\"table\\\"}]\"}");
    expect(said, "{\"key\":\"mlflow.runSourceType\",\"value\":\"PROMPT_ENGINEERING\"}");
    expect(said, "mlflow.log-model.history");
    snprintf(run, sizeof run, "%.32s", strstr(said, "\"run_id\":\"") + 10);
    assert_string_equal(file(run, "eval_results_table.json").ptr,
                        "{\"columns\":[\"a\",\"prompt\",\"output\",\"latency\"],"
                        "\"data\":[[\"x\",\"x\\n#\",\"\xC3\xBC\\\"\",\"100\"]]}");
    assert_string_equal(file(run, "model/parameters.yaml").ptr,
                        "{\"model_parameters\":{\"temperature\":\"0.10\",\"top\":\"True\"},"
                        "\"model_route\":\"r\",\"prompt_parameters\":{\"a\":\"x\"},"
                        "\"prompt_template\":\"{{ a }}\\n#\"}");
    expect(file(run, "model/MLmodel").ptr, "\"loader_module\":\"mlflow.prompt.promptlab_model\"");
    expect(file(run, "model/MLmodel").ptr,
           "\"inputs\":\"[{\\\"type\\\":\\\"string\\\",\\\"name\\\":\\\"a\\\"");
    assert_string_equal(file(run, "model/input_example.json").ptr, "{\"inputs\":[\"x\"]}");
    expect(file(run, "model/requirements.txt").ptr, "mlflow[gateway]==");
}

/* Artifacts of another store are not the server's to write. */
static void test_elsewhere(void **state)
{
    (void)state;
    int64_t id;
    const struct ig_tracking_experiment_spec spec = {.name = IG_STR("e"),
                                                     .artifact_root = IG_STR("s3://b/p")};
    ASSERT_OK(
        ig_tracking_experiment_create(&id, test.app.tracking, &IG_PRINCIPAL_LOCAL, &spec, &err));
    assert_int_equal(id, 1);
    expect(ask(BODY("1")), "\"status\":\"FAILED\"");
    expect(ask(BODY("7")), "No Experiment with id=7 exists");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {CASE(test_refusals), CASE(test_run_and_files),
                                       CASE(test_elsewhere)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
