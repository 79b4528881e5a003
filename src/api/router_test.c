/* SPDX-License-Identifier: Apache-2.0 */
/* Matching: methods, parameters, suffixes, escapes; every route finds itself. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"

#include <stdio.h>

static struct ig_router *router;
static struct ig_call_testing test;
static char allow[64];

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    return ig_router_new(&router, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_router_free(router);
    ig_call_testing_deinit(&test);
    return 0;
}

static const struct ig_route *match(const char *method, const char *path)
{
    const struct ig_route *route = NULL;
    ig_call_testing_again(&test);
    test.exchange.request.method = ig_str_view(method);
    test.exchange.request.path = ig_str_view(path);
    return ig_router_match(&route, router, &test.call, allow) == IG_OK ? route : NULL;
}

static void test_console_prefix(void **state)
{
    (void)state;
    const struct ig_route *search = match("POST", "/api/2.0/mlflow/runs/search");
    const struct ig_route *info = match("GET", "/api/3.0/mlflow/server-info");
    assert_non_null(search);
    assert_non_null(info);
    assert_ptr_equal(match("POST", "/ajax-api/2.0/mlflow/runs/search"), search);
    assert_ptr_equal(match("GET", "/ajax-api/3.0/mlflow/server-info"), info);
    assert_null(match("GET", "/ajax-api/v1/models"));
    assert_null(match("GET", "/ajax-api/v1/models/m"));
    assert_null(match("GET", "/ajax-api"));
    assert_null(match("GET", "/ajax-api/"));
}

static void test_every_route_finds_itself(void **state)
{
    (void)state;
    for (size_t i = 0; i < ig_routes_count(); i++) {
        char path[256] = "";
        size_t length = 0;
        for (const char *at = IG_ROUTES[i].path; *at; at++) {
            if (*at == '{') at = strchr(at, '}');
            path[length++] = *at == '}' ? 'n' : *at;
        }
        const struct ig_route *route = match(IG_ROUTES[i].method, path);
        if (route != &IG_ROUTES[i]) fail_msg("%s %s", IG_ROUTES[i].method, path);
        assert_int_equal(ig_route_index(route), i);
        assert_true(strlen(IG_ROUTES[i].doc) > 3);
    }
}

static void test_parameters(void **state)
{
    (void)state;
    assert_non_null(match("GET", "/api/v1/models/a%20b/versions/3"));
    assert_true(ig_str_is(test.call.params[0], "a b"));
    assert_true(ig_str_is(test.call.params[1], "3"));
    const struct ig_route *route = match("POST", "/v1/models/m%3Apredict");
    assert_non_null(route);
    assert_string_equal(route->path, "/v1/models/{model}:predict");
    assert_true(ig_str_is(test.call.params[0], "m"));
    route = match("HEAD", "/api/v1/models");
    assert_non_null(route);
    assert_string_equal(route->method, "GET");
}

static void test_refusals(void **state)
{
    (void)state;
    static const char *const nowhere[] = {"/",
                                          "/api/v1/model",
                                          "/api/v1/models/",
                                          "/api/v1/models//versions",
                                          "/api/v1/models/..",
                                          "/api/v1/models/%2e%2e",
                                          "/api/v1/models/a%2fb",
                                          "/v1/models/:predict",
                                          "/a/b/c/d/e/f/g/h/i/j",
                                          "/ajax-api/v1/models",
                                          "/ajax-api/",
                                          "/ajax-api/4.0/mlflow/server-info",
                                          "/ajax-api//api/v1/models",
                                          "*"};
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        if (match("POST", nowhere[i])) fail_msg("%s", nowhere[i]);
        if (test.call.err.code != IG_NOT_FOUND && test.call.err.code != IG_METHOD)
            fail_msg("%s: %s", nowhere[i], test.call.err.message);
    }
    assert_null(match("GET", "/api/v1/models/%00"));
    assert_int_equal(test.call.err.code, IG_INVALID);
}

#define ARTIFACTS "/api/2.0/mlflow-artifacts/artifacts"

/* "{path*}" takes the rest of a path, decoded once and segment by segment. */
static void test_rest_of_path(void **state)
{
    (void)state;
    static const struct {
        const char *path, *rest;
    } cases[] = {
        {ARTIFACTS "/a", "a"},
        {ARTIFACTS "/0/run/artifacts/model/data/x%20y.txt", "0/run/artifacts/model/data/x y.txt"},
        {ARTIFACTS "/1/2/3/4/5/6/7/8/9/10/11/12", "1/2/3/4/5/6/7/8/9/10/11/12"},
        {ARTIFACTS "/a%2525/...", "a%25/..."},
        {"/ajax-api/2.0/mlflow-artifacts/artifacts/a/b", "a/b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct ig_route *route = match("PUT", cases[i].path);
        if (!route) fail_msg("%s", cases[i].path);
        assert_string_equal(route->path, ARTIFACTS "/{path*}");
        if (!ig_str_is(test.call.params[0], cases[i].rest)) fail_msg("%s", cases[i].path);
    }
    const struct ig_route *list = match("GET", ARTIFACTS);
    assert_non_null(list);
    assert_string_equal(list->path, ARTIFACTS);
    assert_null(match("POST", ARTIFACTS "/a/b"));
    assert_int_equal(test.call.err.code, IG_METHOD);
    assert_string_equal(allow, "GET, PUT, DELETE");
}

static void test_rest_refusals(void **state)
{
    (void)state;
    static const char *const nowhere[] = {
        "/",         "//",       "/a/",         "/a//b",     "/..",           "/a/../b",
        "/a/..",     "/./a",     "/%2e%2e/etc", "/a/%2E%2e", "/.%2e/a",       "/a%2fb",
        "/a/..%2fb", "/a/%2e/b", "/%2f/etc",    "/a/b%2f..", "/a/b/c/d/../e", "/a/b/c/d/e/",
    };
    char path[1024];
    for (size_t i = 0; i < sizeof nowhere / sizeof nowhere[0]; i++) {
        snprintf(path, sizeof path, ARTIFACTS "%s", nowhere[i]);
        if (match("PUT", path)) fail_msg("%s", path);
        assert_int_equal(test.call.err.code, IG_NOT_FOUND);
    }
    assert_null(match("PUT", ARTIFACTS "/a/b/c/d/e/f/%00"));
    assert_int_equal(test.call.err.code, IG_INVALID);
    assert_null(match("PUT", ARTIFACTS "/a/b/c/d/e/f/%fe"));
    assert_int_equal(test.call.err.code, IG_INVALID);
    size_t length = (size_t)snprintf(path, sizeof path, "%s", ARTIFACTS);
    for (int i = 0; i < 64; i++) length += (size_t)snprintf(path + length, 3, "/x");
    assert_non_null(match("PUT", path));
    assert_int_equal(test.call.params[0].len, 127);
    snprintf(path + length, 3, "/x");
    assert_null(match("PUT", path));
    assert_int_equal(test.call.err.code, IG_NOT_FOUND);
}

static void test_method_not_allowed(void **state)
{
    (void)state;
    assert_null(match("PATCH", "/api/v1/models/m/aliases/a"));
    assert_int_equal(test.call.err.code, IG_METHOD);
    assert_string_equal(allow, "PUT, DELETE");
    assert_null(match("DELETE", "/api/v1/jobs"));
    assert_string_equal(allow, "POST, GET");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_route_finds_itself),
        cmocka_unit_test(test_console_prefix),
        cmocka_unit_test(test_parameters),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_rest_of_path),
        cmocka_unit_test(test_rest_refusals),
        cmocka_unit_test(test_method_not_allowed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
