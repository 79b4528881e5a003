/* SPDX-License-Identifier: Apache-2.0 */
/* The callbacks that the HTTP server gets: refusals before a body is read, classes of routes,
 * errors that the server makes itself. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/front.h"
#include "api/metrics.h"
#include "api/route.h"
#include "base/file.h"
#include "stores/db_testing.h"

#include <stdio.h>

static struct ig_call_testing test;
static struct ig_http_handler handler;
static char dir[] = "/tmp/ingot-front-XXXXXX";
static int dirfd = -1;

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    if (!mkdtemp(dir) || ig_dir_open(&dirfd, IG_FILE_CWD, dir, &err) != IG_OK) return -1;
    struct ig_db_options db = ig_db_testing_options(dirfd);
    if (ig_db_open(&test.app.db, &db, &err) != IG_OK) return -1;
    struct ig_auth_options auth = {.db = test.app.db};
    if (ig_auth_open(&test.app.auth, &auth, &err) != IG_OK) return -1;
    if (ig_metrics_new(&test.app.metrics, 1, &err) != IG_OK) return -1;
    if (ig_router_new(&test.app.router, &err) != IG_OK) return -1;
    test.app.blob_max_bytes = 12345;
    handler = ig_front_handler(&test.app);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_router_free(test.app.router);
    ig_metrics_free(test.app.metrics);
    ig_auth_close(test.app.auth);
    ig_db_close(test.app.db);
    ig_file_close(&dirfd);
    ig_dir_remove_tree(IG_FILE_CWD, dir, &err);
    ig_call_testing_deinit(&test);
    return 0;
}

static struct ig_http_decision request(const char *method, const char *path, bool loopback)
{
    ig_call_testing_again(&test);
    test.exchange.user = NULL;
    test.exchange.request.method = ig_str_view(method);
    test.exchange.request.path = ig_str_view(path);
    test.exchange.request.is_loopback = loopback;
    return handler.on_request(handler.context, &test.exchange);
}

static void test_classes(void **state)
{
    (void)state;
    struct ig_http_decision decision = request("GET", "/healthz", false);
    assert_int_equal(decision.mode, IG_HTTP_BUFFER);
    assert_int_equal(decision.body_max_bytes, 0);
    assert_int_equal(handler.on_body(handler.context, &test.exchange), IG_HTTP_DONE);
    assert_int_equal(test.exchange.status, 200);
    handler.on_end(handler.context, &test.exchange);
    decision = request("POST", "/predict-with-explanation", true);
    assert_int_equal(decision.mode, IG_HTTP_BUFFER);
    assert_int_equal(decision.body_max_bytes, 16 << 20);
    decision = request("GET", "/api/v1/models", true);
    assert_int_equal(decision.mode, IG_HTTP_BUFFER);
    assert_int_equal(handler.on_body(handler.context, &test.exchange), IG_HTTP_TO_POOL);
    assert_non_null(test.exchange.work);
    decision = request("POST", "/api/v1/blobs", true);
    assert_int_equal(decision.mode, IG_HTTP_STREAM);
    assert_int_equal(decision.body_max_bytes, 12345);
}

/* A worker that comes to a call too late does not begin it. */
static void test_late_call(void **state)
{
    (void)state;
    request("GET", "/api/v1/training-parameters", true);
    handler.on_body(handler.context, &test.exchange);
    test.exchange.deadline_ns = 1;
    test.exchange.work(handler.context, &test.exchange);
    assert_int_equal(test.exchange.status, 504);
    request("GET", "/api/v1/training-parameters", true);
    handler.on_body(handler.context, &test.exchange);
    test.exchange.deadline_ns = UINT64_MAX;
    test.exchange.work(handler.context, &test.exchange);
    assert_int_equal(test.exchange.status, 200);
}

static void expect_refused(const char *method, const char *path, bool loopback, int status)
{
    struct ig_http_decision decision = request(method, path, loopback);
    assert_int_equal(decision.mode, IG_HTTP_RESPOND);
    assert_int_equal(test.exchange.status, status);
    assert_int_equal(strncmp(test.exchange.reply.ptr, "{\"error\":", 9), 0);
    handler.on_end(handler.context, &test.exchange);
}

/* Refused before a byte of the body: nobody without rights can make the server read one. */
static void test_refusals(void **state)
{
    (void)state;
    expect_refused("GET", "/nothing", true, 404);
    expect_refused("POST", "/api/v1/blobs", false, 401);
    expect_refused("GET", "/metrics", false, 401);
}

/* What a named workspace has is not what everybody's has: it is refused, as by MLflow's server that
 * has none, but where clients ask whether there are any. */
static void test_workspaces(void **state)
{
    (void)state;
    static const struct {
        const char *path, *workspace;
        int status;
    } cases[] = {
        {"/api/2.0/mlflow/experiments/get", "team-a", 500},
        {"/ajax-api/2.0/mlflow/experiments/get", "default", 500},
        {"/gateway/mlflow/v1/chat/completions", "team-a", 405},
        {"/api/2.0/mlflow/experiments/get", " ", 0},
        {"/api/3.0/mlflow/server-info", "team-a", 0},
        {"/api/v1/models", "team-a", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ig_call_testing_again(&test);
        ig_call_testing_header(&test, "x-mlflow-workspace", cases[i].workspace);
        test.exchange.user = NULL;
        test.exchange.request.path = ig_str_view(cases[i].path);
        test.exchange.request.is_loopback = true;
        struct ig_http_decision decision = handler.on_request(handler.context, &test.exchange);
        assert_int_equal(decision.mode, cases[i].status ? IG_HTTP_RESPOND : IG_HTTP_BUFFER);
        if (cases[i].status) assert_int_equal(test.exchange.status, cases[i].status);
        if (cases[i].status == 500)
            assert_string_equal(test.exchange.reply.ptr,
                                "{\"error_code\":\"FEATURE_DISABLED\",\"message\":\"Workspace APIs "
                                "are not available: workspaces are not enabled on this server\"}");
        handler.on_end(handler.context, &test.exchange);
    }
}

/* By this word clients know that a server does not have what they ask for. */
static void test_unknown_path_of_mlflow(void **state)
{
    (void)state;
    request("GET", "/api/3.0/mlflow/workspaces", true);
    assert_int_equal(test.exchange.status, 404);
    assert_string_equal(test.exchange.reply.ptr,
                        "{\"error_code\":\"ENDPOINT_NOT_FOUND\",\"message\":\"there is nothing at "
                        "/api/3.0/mlflow/workspaces\"}");
    handler.on_end(handler.context, &test.exchange);
}

static void test_request_ids(void **state)
{
    (void)state;
    char first[IG_REQUEST_ID_SIZE];
    request("GET", "/healthz", true);
    struct ig_call *call = test.exchange.user;
    snprintf(first, sizeof first, "%s", call->request_id);
    assert_int_equal(strlen(first), 24);
    request("GET", "/healthz", true);
    call = test.exchange.user;
    assert_string_not_equal(call->request_id, first);
}

static void test_client_request_id(void **state)
{
    (void)state;
    static const struct {
        const char *given;
        bool taken;
    } cases[] = {{"abc-1.2_X", true}, {"a b", false}, {"a\"b", false}, {"", false}};
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ig_call_testing_again(&test);
        test.exchange.request.path = IG_STR("/healthz");
        ig_call_testing_header(&test, "X-Request-Id", cases[i].given);
        handler.on_request(handler.context, &test.exchange);
        struct ig_call *call = test.exchange.user;
        assert_int_equal(strcmp(call->request_id, cases[i].given) == 0, cases[i].taken);
    }
}

static void test_server_errors(void **state)
{
    (void)state;
    struct ig_buf reply;
    ig_buf_init(&reply, 4096);
    assert_string_equal(handler.format_error(handler.context, 413, "too much",
                                             IG_STR("/predict-with-explanation"), &reply),
                        "application/json");
    assert_string_equal(reply.ptr, "{\"error\":{\"code\":\"TOO_LARGE\",\"message\":\"too much\"}}");
    ig_buf_reset(&reply);
    handler.format_error(handler.context, 413, "too much", IG_STR("/v1/models/m:predict"), &reply);
    assert_string_equal(reply.ptr, "{\"error\":\"too much\"}");
    ig_buf_reset(&reply);
    handler.format_error(handler.context, 400, "bad head", IG_STR(""), &reply);
    assert_string_equal(reply.ptr, "{\"error\":{\"code\":\"INVALID\",\"message\":\"bad head\"}}");
    ig_buf_deinit(&reply);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_classes),
        cmocka_unit_test(test_late_call),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_workspaces),
        cmocka_unit_test(test_unknown_path_of_mlflow),
        cmocka_unit_test(test_request_ids),
        cmocka_unit_test(test_client_request_id),
        cmocka_unit_test(test_server_errors),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
