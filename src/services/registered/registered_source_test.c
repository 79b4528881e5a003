/* SPDX-License-Identifier: Apache-2.0 */
/* Sources of versions against MLflow's own verdicts (tests/golden/mlflow_sources), and those that
 * name runs and other versions. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/json.h"
#include "services/registered/registered_priv.h"
#include "services/registered/registered_testing.h"
#include "services/tracking/logged.h"

#include <fcntl.h>
#include <stdio.h>

static struct ig_registered_testing world;
static struct ig_err err;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    return ig_registered_testing_open(&world);
}

static int teardown(void **state)
{
    (void)state;
    return ig_registered_testing_close(&world);
}

static const char *const ROOTS[] = {"mlflow-artifacts:/0/abc/artifacts",
                                    "mlflow-artifacts://host:80/0/abc/artifacts", "s3://bucket/a/b",
                                    "s3://bucket"};
enum { ROOTS_COUNT = sizeof ROOTS / sizeof ROOTS[0] };

struct verdict {
    struct ig_str source;
    bool down, proxied, within[ROOTS_COUNT];
};

static void read_verdict(struct verdict *out, struct ig_json *json)
{
    struct ig_str root;
    *out = (struct verdict){.source = IG_STR("")};
    assert_true(ig_json_expect(json, IG_JSON_OBJECT, "case"));
    while (ig_json_member(json)) {
        if (ig_str_is(json->text, "source")) {
            assert_true(ig_json_string(json, &out->source, "source"));
        } else if (ig_str_is(json->text, "within")) {
            assert_true(ig_json_expect(json, IG_JSON_ARRAY, "within"));
            while (ig_json_element(json)) {
                assert_true(ig_json_string(json, &root, "root"));
                for (int i = 0; i < ROOTS_COUNT; i++)
                    out->within[i] = out->within[i] || ig_str_is(root, ROOTS[i]);
            }
        } else {
            bool *verdict = ig_str_is(json->text, "down") ? &out->down : &out->proxied;
            assert_true(ig_json_bool(json, verdict, "verdict"));
        }
    }
}

static void test_golden(void **state)
{
    (void)state;
    struct ig_buf file;
    struct ig_json json;
    size_t cases = 0;
    ig_buf_init(&file, 1 << 20);
    ASSERT_OK(ig_file_read(&file, AT_FDCWD, "tests/golden/mlflow_sources/cases.json", &err));
    ig_json_init(&json, ig_buf_view(&file), &world.arena, &err);
    assert_true(ig_json_expect(&json, IG_JSON_ARRAY, "cases"));
    for (; ig_json_element(&json); cases++) {
        struct verdict wanted;
        read_verdict(&wanted, &json);
        if (ig_registered_source_leads_down(wanted.source, &world.arena) != wanted.down)
            fail_msg("%.*s: leads down", IG_STR_ARGS(wanted.source));
        if (ig_registered_source_is_proxied(wanted.source, &world.arena) != wanted.proxied)
            fail_msg("%.*s: is proxied", IG_STR_ARGS(wanted.source));
        for (int i = 0; i < ROOTS_COUNT; i++)
            if (ig_registered_source_within(wanted.source, ig_str_view(ROOTS[i]), &world.arena) !=
                wanted.within[i])
                fail_msg("%.*s: within %s", IG_STR_ARGS(wanted.source), ROOTS[i]);
    }
    assert_true(cases > 50);
    ig_buf_deinit(&file);
}

static struct ig_str make_run(const char *location)
{
    static int number;
    char name[16];
    int64_t experiment;
    struct ig_tracking_run run = {.id = IG_STR("")};
    snprintf(name, sizeof name, "e%d", number++);
    const struct ig_tracking_experiment_spec spec = {.name = ig_str_view(name),
                                                     .artifact_root = ig_str_view(location)};
    ASSERT_OK(ig_tracking_experiment_create(&experiment, world.tracking, &IG_PRINCIPAL_LOCAL, &spec,
                                            &err));
    const struct ig_tracking_run_spec of = {.experiment = experiment, .start_ms = 5};
    ASSERT_OK(ig_tracking_run_create(&run, world.tracking, &of, &world.arena, &err));
    return run.id;
}

/* A version of "m" with this source, "%s" in it being the run's id. */
static enum ig_code create(struct ig_registered_version *out, const char *source, struct ig_str run,
                           const char *model_id)
{
    char text[256], id[64];
    snprintf(id, sizeof id, "%.*s", IG_STR_ARGS(run));
    snprintf(text, sizeof text, source, id);
    const struct ig_registered_version_spec spec = {
        .name = IG_STR("m"),
        .source = ig_arena_dup(&world.arena, ig_str_view(text)),
        .description = IG_STR(""),
        .run_link = IG_STR(""),
        .run = run,
        .model_id = model_id ? ig_str_view(model_id) : (struct ig_str){NULL, 0}};
    return ig_registered_version_create(out, &world.by, &spec, &err);
}

static void test_runs(void **state)
{
    (void)state;
    struct ig_registered_version found;
    const struct ig_str none = {NULL, 0};
    ig_registered_testing_model(&world, "m", (struct ig_tracking_pairs){NULL, 0});
    struct ig_str run = make_run("mlflow-artifacts:/e"), disk = make_run("/srv/runs");
    ASSERT_OK(create(&found, "mlflow-artifacts:/e/%s/artifacts/model", run, NULL));
    assert_true(ig_str_eq(found.run, run));
    ASSERT_OK(create(&found, "runs:/%s/model", run, NULL));
    ASSERT_OK(create(&found, "s3://bucket/m", none, NULL));
    ASSERT_OK(create(&found, "/srv/runs/%s/artifacts/model", disk, NULL));
    ASSERT_OK(create(&found, "file:///srv/runs/%s/artifacts", disk, NULL));
    static const char *const foreign[] = {"mlflow-artifacts:/e/other/artifacts", "runs:/other/m",
                                          "runs://host/%s/m",
                                          "http://h/api/2.0/mlflow-artifacts/artifacts/e"};
    for (size_t i = 0; i < sizeof foreign / sizeof foreign[0]; i++)
        ASSERT_FAILS(create(&found, foreign[i], run, NULL), IG_INVALID,
                     "The run_id request parameter must identify the resource that contains the "
                     "source.");
    ASSERT_FAILS(create(&found, "mlflow-artifacts:/e/x", none, NULL), IG_INVALID,
                 "The run_id request parameter");
    ASSERT_FAILS(create(&found, "mlflow-artifacts:/e/x", IG_STR("gone"), NULL), IG_INVALID,
                 "The run_id request parameter");
    ASSERT_FAILS(create(&found, "/srv/runs/%s/artifacts", run, NULL), IG_INVALID,
                 "To use a local path as a model version source");
    ASSERT_FAILS(create(&found, "model/path", disk, NULL), IG_INVALID, "provide an absolute path");
    ASSERT_FAILS(create(&found, "/srv/runs/%s/artifacts/../../x", disk, NULL), IG_INVALID,
                 "provide an absolute path");
    ASSERT_FAILS(create(&found, "s3://bucket/m", none, "m-1"), IG_NOT_FOUND,
                 "Logged model with ID 'm-1' not found.");
}

static void test_logged_models(void **state)
{
    (void)state;
    struct ig_registered_version found;
    struct ig_logged_model model;
    const struct ig_str none = {NULL, 0};
    const struct ig_logged_spec spec = {
        .name = IG_STR("l"), .model_type = IG_STR(""), .source_run = IG_STR("r")};
    char source[128];
    ig_registered_testing_model(&world, "m", (struct ig_tracking_pairs){NULL, 0});
    ASSERT_OK(ig_logged_create(&model, world.db, &spec, &world.arena, &err));
    snprintf(source, sizeof source, "models:/%s", model.id.ptr);
    ASSERT_OK(create(&found, source, none, model.id.ptr));
    assert_true(ig_str_eq(found.location, model.artifact_root));
    assert_true(ig_str_eq(found.model_id, model.id));
    assert_true(ig_str_is(found.run, "r") && ig_str_is(found.source, source));
    ASSERT_OK(create(&found, "models:/m/1", none, NULL));
    assert_true(ig_str_eq(found.model_id, model.id));
    ASSERT_OK(create(&found, "models:/m/1", none, model.id.ptr));
    ASSERT_FAILS(create(&found, "models:/m/1", none, "m-1"), IG_INVALID, "must match");
    ASSERT_OK(create(&found, "s3://bucket/m", none, model.id.ptr));
    snprintf(source, sizeof source, "%s/data", model.artifact_root.ptr);
    ASSERT_OK(create(&found, source, none, model.id.ptr));
    ASSERT_FAILS(create(&found, source, none, NULL), IG_INVALID, "The run_id request parameter");
    snprintf(source, sizeof source, "models:/%s", model.id.ptr);
    ASSERT_FAILS(create(&found, source, none, "m-1"), IG_INVALID, "The model_id request parameter");
    ASSERT_FAILS(create(&found, "runs:/r/m", IG_STR("r"), model.id.ptr), IG_INVALID,
                 "The model_id request parameter");
    ASSERT_FAILS(create(&found, "models:/m-0", none, "m-0"), IG_NOT_FOUND,
                 "Logged model with ID 'm-0' not found.");
    ASSERT_OK(ig_logged_get(&model, world.db, model.id, false, &world.arena, &err));
    assert_int_equal(model.tags.count, 1);
    assert_true(ig_str_starts(model.tags.items[0].value,
                              IG_STR("[{\"name\": \"m\", \"version\": 1}, {\"name\": \"m\", ")));
    ASSERT_OK(ig_logged_delete(world.db, &IG_PRINCIPAL_LOCAL, model.id, &err));
    ASSERT_FAILS(create(&found, source, none, model.id.ptr), IG_NOT_FOUND, "not found.");
}

static void test_versions(void **state)
{
    (void)state;
    struct ig_registered_version found;
    const struct ig_str none = {NULL, 0};
    const struct ig_tracking_pair prompt = {IG_STR("mlflow.prompt.is_prompt"), IG_STR("true")};
    ig_registered_testing_model(&world, "m", (struct ig_tracking_pairs){NULL, 0});
    ig_registered_testing_model(&world, "p", (struct ig_tracking_pairs){&prompt, 1});
    ig_registered_testing_version(&world, "p", "prompt-template",
                                  (struct ig_tracking_pairs){&prompt, 1});
    struct ig_str run = make_run("mlflow-artifacts:/e");
    ASSERT_OK(create(&found, "mlflow-artifacts:/e/%s/artifacts/model", run, NULL));
    struct ig_str location = found.location;
    ASSERT_OK(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("best"), IG_STR("1"), &err));
    static const char *const sources[] = {"models:/m/1", "models:/m@best", "models:/m/latest",
                                          "models:/m/none"};
    for (int i = 0; i < 4; i++) { /* the last two are the version before */
        char wanted[32];
        snprintf(wanted, sizeof wanted, "models:/m/%d", i < 2 ? 1 : i + 1);
        ASSERT_OK(create(&found, sources[i], none, NULL));
        if (!ig_str_is(found.source, wanted)) fail_msg("%.*s", IG_STR_ARGS(found.source));
        assert_true(ig_str_eq(found.location, location) && ig_str_eq(found.run, run));
    }
    ASSERT_OK(create(&found, "models:/m/1", run, NULL));
    ASSERT_FAILS(create(&found, "models:/m/1", IG_STR("other"), NULL), IG_INVALID,
                 "must match the referenced model version");
    ASSERT_FAILS(create(&found, "models:/m/1", none, "m-1"), IG_INVALID,
                 "must match the referenced model version");
    ASSERT_FAILS(create(&found, "models:/p/1", none, NULL), IG_INVALID,
                 "Prompt versions cannot be used as model version sources.");
    ASSERT_FAILS(create(&found, "models:/m/99", none, NULL), IG_NOT_FOUND, "version=99");
    ASSERT_FAILS(create(&found, "models:/none/1", none, NULL), IG_NOT_FOUND, "name=none");
    ASSERT_FAILS(create(&found, "models:/m/Staging", none, NULL), IG_NOT_FOUND,
                 "No versions of model with name 'm' and stage 'Staging' found");
    ASSERT_FAILS(create(&found, "models:/m@gone", none, NULL), IG_INVALID, "alias gone not found");
    ASSERT_FAILS(create(&found, "models://host/m/1", none, NULL), IG_INVALID,
                 "must use the active model registry");
    static const char *const broken[] = {"models:/m-123", "models:/",   "models:m/1",
                                         "models:/m/1/2", "models:/m/", "models:/@best",
                                         "models:/m@"};
    for (size_t i = 0; i < sizeof broken / sizeof broken[0]; i++)
        ASSERT_FAILS(create(&found, broken[i], none, NULL), IG_INVALID,
                     "The model_id request parameter");
}

static void test_prompts(void **state)
{
    (void)state;
    struct ig_registered_version found;
    const struct ig_tracking_pair prompt = {IG_STR("mlflow.prompt.is_prompt"), IG_STR("true")};
    struct ig_registered_version_spec spec = {.name = IG_STR("p"),
                                              .source = IG_STR("prompt-template"),
                                              .description = IG_STR(""),
                                              .run_link = IG_STR(""),
                                              .tags = {&prompt, 1}};
    ig_registered_testing_model(&world, "p", (struct ig_tracking_pairs){&prompt, 1});
    ASSERT_OK(ig_registered_version_create(&found, &world.by, &spec, &err));
    spec.source = IG_STR("/etc/passwd");
    ASSERT_FAILS(ig_registered_version_create(&found, &world.by, &spec, &err), IG_INVALID,
                 "Prompt sources must use an MLflow");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void test_model_of_source(void **state)
{
    (void)state;
    static const char *const cases[][2] = {{"models:/churn/3", "churn"},
                                           {"Models:/churn/Staging", "churn"},
                                           {"models:/churn@best", "churn"},
                                           {"models:/a@b@best", "a@b"},
                                           {"models://host/churn/3", "churn"},
                                           {"models:/churn/3?x#y", "churn"},
                                           {"models:/m-0123", ""},
                                           {"models:/", ""},
                                           {"models:churn", ""},
                                           {"runs:/churn/3", ""},
                                           {"churn", ""},
                                           {"", ""}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_str model = ig_registered_source_model(ig_str_view(cases[i][0]));
        if (!ig_str_is(model, cases[i][1])) fail_msg("%s: %.*s", cases[i][0], IG_STR_ARGS(model));
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        CASE(test_golden),   CASE(test_runs),    CASE(test_logged_models),
        CASE(test_versions), CASE(test_prompts), cmocka_unit_test(test_model_of_source)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
