/* SPDX-License-Identifier: Apache-2.0 */
/* What users need, on real tables: that every route of MLflow says it, and that each need finds
 * what a call is about. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/mlflow_access.h"
#include "services/registered/registered.h"
#include "services/tracking/logged.h"
#include "services/users/users_testing.h"

static struct ig_call_testing test;
static int64_t mine, other; /* experiments of ann, and of nobody */
static char run[40];

static int open_all(void **state)
{
    struct ig_tracking_run made;
    setup(state);
    ig_users_close(users);
    open_users(IG_PERMISSION_NONE);
    ig_call_testing_init(&test);
    test.app.db = db;
    test.app.users = users;
    ASSERT_OK(ig_tracking_open(&test.app.tracking, db, &err));
    const struct ig_principal who = {.user = ann, .name = "ann"};
    const struct ig_tracking_experiment_spec first = {.name = IG_STR("mine")},
                                             second = {.name = IG_STR("other")};
    ASSERT_OK(ig_tracking_experiment_create(&mine, test.app.tracking, &who, &first, &err));
    ASSERT_OK(ig_tracking_experiment_create(&other, test.app.tracking, &IG_PRINCIPAL_LOCAL, &second,
                                            &err));
    const struct ig_tracking_run_spec spec = {.experiment = other};
    ASSERT_OK(ig_tracking_run_create(&made, test.app.tracking, &spec, &arena, &err));
    snprintf(run, sizeof run, "%.*s", IG_STR_ARGS(made.id));
    return 0;
}

static int close_all(void **state)
{
    ig_tracking_close(test.app.tracking);
    ig_call_testing_deinit(&test);
    return teardown(state);
}

static const struct ig_route *route_of(const char *method, const char *path)
{
    for (size_t i = 0; i < ig_routes_count(); i++)
        if (strcmp(IG_ROUTES[i].method, method) == 0 && strcmp(IG_ROUTES[i].path, path) == 0)
            return &IG_ROUTES[i];
    fail_msg("%s %s", method, path);
    return NULL;
}

/* As ann. */
static enum ig_code ask(const char *method, const char *path, const char *query, const char *body)
{
    ig_call_testing_again(&test);
    ig_call_testing_header(&test, "Content-Type", "application/json");
    test.call.route = route_of(method, path);
    test.call.who = (struct ig_principal){.user = ann, .name = "ann"};
    test.exchange.request.method = ig_str_view(method);
    test.exchange.request.query = ig_str_view(query);
    test.exchange.body = ig_str_view(body ? body : "");
    return ig_mlflow_access_check(&test.call);
}

static void test_table(void **state)
{
    (void)state;
    for (size_t i = 0; i < ig_routes_count(); i++) {
        const struct ig_route *route = &IG_ROUTES[i];
        bool mlflow = ig_call_is_mlflow(ig_str_view(route->path));
        if (mlflow == (route->need == IG_NEED_KEY)) fail_msg("%s %s", route->method, route->path);
        if (!*ig_need_doc(route->need)) fail_msg("%s %s", route->method, route->path);
    }
}

static const char *text(const char *format, const char *word)
{
    static char out[256];
    snprintf(out, sizeof out, format, word);
    return out;
}

static const char *number(const char *format, int64_t value)
{
    static char out[256];
    snprintf(out, sizeof out, format, (int)value);
    return out;
}

static void test_experiments(void **state)
{
    (void)state;
    assert_int_equal(
        ask("GET", "/api/2.0/mlflow/experiments/get", number("experiment_id=%d", mine), NULL),
        IG_OK);
    assert_int_equal(
        ask("GET", "/api/2.0/mlflow/experiments/get", number("experiment_id=00%d", mine), NULL),
        IG_OK);
    assert_int_equal(
        ask("GET", "/api/2.0/mlflow/experiments/get", number("experiment_id=%d", other), NULL),
        IG_DENIED);
    assert_int_equal(ask("GET", "/api/2.0/mlflow/experiments/get", "", NULL), IG_INVALID);
    assert_int_equal(
        ask("GET", "/api/2.0/mlflow/experiments/get-by-name", "experiment_name=mine", NULL), IG_OK);
    assert_int_equal(
        ask("GET", "/api/2.0/mlflow/experiments/get-by-name", "experiment_name=other", NULL),
        IG_DENIED);
    assert_int_equal(
        ask("GET", "/api/2.0/mlflow/experiments/get-by-name", "experiment_name=none", NULL),
        IG_NOT_FOUND);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/experiments/search-datasets", "",
                         number("{\"experiment_ids\":[\"%d\"]}", mine)),
                     IG_OK);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/experiments/search-datasets", "",
                         number("{\"experiment_ids\":[\"1\",\"%d\"]}", other)),
                     IG_DENIED);
}

static void test_runs(void **state)
{
    (void)state;
    assert_int_equal(
        ask("POST", "/api/2.0/mlflow/runs/log-metric", "", text("{\"run_id\":\"%s\"}", run)),
        IG_DENIED);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/runs/log-metric", "", "{\"run_id\":\"x\"}"),
                     IG_NOT_FOUND);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/runs/log-metric", "", "{}"), IG_INVALID);
    assert_int_equal(ask("GET", "/get-artifact", text("run_uuid=%s", run), NULL), IG_DENIED);
    /* A stream's arguments stand in the query. */
    assert_int_equal(ask("POST", "/api/2.0/mlflow/upload-artifact", text("run_uuid=%s", run), NULL),
                     IG_DENIED);
    assert_int_equal(
        ask("GET", "/api/2.0/mlflow/metrics/get-history-bulk", text("run_id=%s", run), NULL),
        IG_DENIED);
    assert_int_equal(ask("GET", "/api/2.0/mlflow/metrics/get-history-bulk-interval",
                         text("run_ids=%s", run), NULL),
                     IG_DENIED);
}

static void grant(const char *model)
{
    int64_t user;
    const struct ig_grant_ask ask = {IG_OBJECT_MODEL, ig_str_view(model), IG_STR("ann"),
                                     IG_PERMISSION_MANAGE};
    ASSERT_OK(ig_grant_create(&user, users, &IG_PRINCIPAL_LOCAL, &ask, &err));
}

static enum ig_code ask_version(const char *source, const char *field, const char *value)
{
    char body[256];
    snprintf(body, sizeof body, "{\"name\":\"hers\",\"source\":\"%s\",\"%s\":\"%s\"}", source,
             field, value);
    return ask("POST", "/api/2.0/mlflow/model-versions/create", "", body);
}

/* A version shows the files that it is made from to whoever may see its model. */
static void test_new_versions(void **state)
{
    (void)state;
    assert_int_equal(ask_version("s3://b/x", "tags", ""), IG_DENIED);
    grant("hers");
    assert_int_equal(ask_version("s3://b/x", "run_link", ""), IG_OK);
    assert_int_equal(ask_version("runs:/r/x", "run_id", run), IG_DENIED);
    assert_int_equal(ask_version("runs:/r/x", "run_id", "0123456789abcdef0123456789abcdef"), IG_OK);
    assert_int_equal(ask_version("models:/theirs/1", "run_link", ""), IG_DENIED);
    assert_int_equal(ask_version("models:/theirs/Production", "run_link", ""), IG_DENIED);
    assert_int_equal(ask_version("MODELS:/theirs@best", "run_link", ""), IG_DENIED);
    assert_int_equal(ask_version("models:/hers/1", "run_link", ""), IG_OK);
    grant("theirs");
    assert_int_equal(ask_version("models:/theirs@best", "run_link", ""), IG_OK);

    struct ig_logged_model made;
    const struct ig_logged_spec spec = {.experiment = other};
    ASSERT_OK(ig_logged_create(&made, db, &spec, &arena, &err));
    char id[64];
    snprintf(id, sizeof id, "%.*s", IG_STR_ARGS(made.id));
    assert_int_equal(ask_version(text("models:/%s", id), "model_id", id), IG_DENIED);
}

static enum ig_code ask_artifact(const char *path, const char *query)
{
    ask("GET", path, query, NULL);
    ig_err_clear(&test.call.err);
    return ig_mlflow_access_check(&test.call);
}

static void test_artifacts(void **state)
{
    (void)state;
    static const char LIST[] = "/api/2.0/mlflow-artifacts/artifacts";
    assert_int_equal(ask_artifact(LIST, number("path=%d/run/artifacts", mine)), IG_OK);
    assert_int_equal(ask_artifact(LIST, number("path=%d", other)), IG_DENIED);
    assert_int_equal(ask_artifact(LIST, ""), IG_DENIED); /* all of them */
    ask("GET", "/api/2.0/mlflow-artifacts/artifacts/{path*}", "", NULL);
    ig_err_clear(&test.call.err);
    test.call.params[0] = ig_str_view(number("%d/x", mine));
    assert_int_equal(ig_mlflow_access_check(&test.call), IG_OK);
}

static void test_users_routes(void **state)
{
    (void)state;
    assert_int_equal(ask("GET", "/api/2.0/mlflow/users/list", "", NULL), IG_DENIED);
    assert_int_equal(ask("GET", "/api/2.0/mlflow/users/get", "username=ann", NULL), IG_OK);
    assert_int_equal(ask("GET", "/api/2.0/mlflow/users/get", "username=root", NULL), IG_DENIED);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/experiments/permissions/create", "",
                         number("{\"experiment_id\":\"%d\"}", mine)),
                     IG_OK);
    assert_int_equal(ask("POST", "/api/2.0/mlflow/experiments/permissions/create", "",
                         number("{\"experiment_id\":\"%d\"}", other)),
                     IG_DENIED);
    assert_int_equal(ask("POST", "/api/3.0/mlflow/users/permissions/grant", "",
                         number("{\"username\":\"root\",\"resource_type\":\"experiment\","
                                "\"resource_id\":\"%d\",\"permission\":\"READ\"}",
                                mine)),
                     IG_OK);
    assert_int_equal(ask("POST", "/api/3.0/mlflow/users/permissions/grant", "",
                         "{\"username\":\"ann\",\"resource_type\":\"experiment\","
                         "\"resource_id\":\"*\",\"permission\":\"READ\"}"),
                     IG_DENIED);
    assert_int_equal(ask("GET", "/api/3.0/mlflow/roles/list", "", NULL), IG_DENIED);
    assert_int_equal(ask("GET", "/api/3.0/mlflow/users/roles/list", "username=ann", NULL), IG_OK);
    assert_int_equal(ask("GET", "/api/3.0/mlflow/users/roles/list", "username=root", NULL),
                     IG_DENIED);
}

static void test_readable(void **state)
{
    (void)state;
    int64_t ids[] = {other, mine, 12345};
    size_t count = 3;
    ask("GET", "/api/2.0/mlflow/users/get", "username=ann", NULL);
    assert_int_equal(ig_mlflow_readable(ids, &count, &test.call), IG_OK);
    assert_int_equal(count, 1);
    assert_int_equal(ids[0], mine);
    test.call.who.scopes = IG_SCOPES_ALL; /* an administrator sees all */
    count = 3;
    assert_int_equal(ig_mlflow_readable(ids, &count, &test.call), IG_OK);
    assert_int_equal(count, 3);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_table),
        cmocka_unit_test_setup_teardown(test_experiments, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_runs, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_new_versions, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_artifacts, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_users_routes, open_all, close_all),
        cmocka_unit_test_setup_teardown(test_readable, open_all, close_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
