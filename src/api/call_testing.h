/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_CALL_TESTING_H
#define IG_API_CALL_TESTING_H

/* A call without a server, for unit tests: request in, reply buffer out. */

#include "api/call.h"

#include <stdlib.h>
#include <string.h>

struct ig_call_testing {
    struct ig_app app;
    struct ig_exchange exchange;
    struct ig_call call;
    struct ig_http_header headers[8];
};

static inline void ig_call_testing_init(struct ig_call_testing *test)
{
    memset(test, 0, sizeof *test);
    ig_arena_init(&test->exchange.arena, 4096, 64 << 20);
    ig_buf_init(&test->exchange.reply, 16 << 20);
    test->exchange.status = 200;
    test->exchange.request.method = IG_STR("GET");
    test->exchange.request.path = IG_STR("/");
    test->exchange.request.headers = test->headers;
    test->call.exchange = &test->exchange;
    test->call.arena = &test->exchange.arena;
    test->call.app = &test->app;
    test->call.err = IG_ERR_INIT;
    test->exchange.user = &test->call;
}

static inline void ig_call_testing_deinit(struct ig_call_testing *test)
{
    ig_buf_deinit(&test->exchange.reply);
    ig_arena_deinit(&test->exchange.arena);
}

/* A fresh call for the next request. */
static inline void ig_call_testing_again(struct ig_call_testing *test)
{
    struct ig_app app = test->app;
    ig_call_testing_deinit(test);
    ig_call_testing_init(test);
    test->app = app;
}

static inline void ig_call_testing_header(struct ig_call_testing *test, const char *name,
                                          const char *value)
{
    size_t at = test->exchange.request.headers_count++;
    test->headers[at] = (struct ig_http_header){ig_str_view(name), ig_str_view(value)};
}

#endif
