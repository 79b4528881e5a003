/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_USERS_TESTING_H
#define IG_API_MLFLOW_USERS_TESTING_H

/* Calls of MLflow's routes for users, as the administrator root unless it is said. */

#include "api/call_testing.h"
#include "api/route.h"
#include "services/users/users_testing.h"

static struct ig_call_testing test;
static int64_t caller; /* 0: root */
static const char *media_type;

static inline int open_api(void **state)
{
    setup(state);
    ig_call_testing_init(&test);
    test.app.db = db;
    test.app.users = users;
    caller = 0;
    media_type = "application/json";
    return 0;
}

static inline int close_api(void **state)
{
    ig_call_testing_deinit(&test);
    return teardown(state);
}

/* The code of the handler; its reply, or error, is in `test`. */
static inline enum ig_code ask(const char *method, const char *path, const char *text)
{
    bool get = strcmp(method, "GET") == 0;
    ig_call_testing_again(&test);
    ig_call_testing_header(&test, "Content-Type", media_type);
    for (size_t i = 0; i < ig_routes_count(); i++)
        if (strcmp(IG_ROUTES[i].method, method) == 0 && strcmp(IG_ROUTES[i].path, path) == 0)
            test.call.route = &IG_ROUTES[i];
    assert_non_null(test.call.route);
    test.call.who = (struct ig_principal){
        .id = "user:1", .user = root, .name = "root", .scopes = IG_SCOPES_ALL};
    if (caller)
        test.call.who = (struct ig_principal){.id = "user:2", .user = caller, .name = "ann"};
    test.exchange.request.method = ig_str_view(method);
    test.exchange.request.query = ig_str_view(get ? text : "");
    test.exchange.body = ig_str_view(get ? "" : text);
    return test.call.route->handler(&test.call);
}

static inline void expect_reply(const char *method, const char *path, const char *text,
                                const char *reply)
{
    if (ask(method, path, text) != IG_OK) fail_msg("%s: %s", path, test.call.err.message);
    assert_string_equal(test.exchange.reply.ptr, reply);
}

static inline void expect_refusal(enum ig_code code, const char *method, const char *path,
                                  const char *text)
{
    enum ig_code got = ask(method, path, text);
    if (got != code) fail_msg("%s: %s %s", path, ig_code_name(got), test.call.err.message);
}

#endif
