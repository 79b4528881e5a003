/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_WORLD_TESTING_H
#define IG_API_MLFLOW_WORLD_TESTING_H

/* For tests: handlers of MLflow's calls over a database of their own, by bodies and words. */

#include "api/call_testing.h"
#include "api/route.h"
#include "services/registry/world_testing.h"
#include "services/tracking/tracking.h"

static struct ig_call_testing test;
static struct ig_world world;
static struct ig_tracking *tracking;
static char id[40]; /* of the path */

static inline void open_world(void)
{
    struct ig_err err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    ig_world_open(&world);
    test.app.db = world.db;
    ASSERT_OK(ig_tracking_open(&tracking, world.db, &err));
}

static inline void close_world(void)
{
    ig_tracking_close(tracking);
    ig_world_close(&world);
    ig_call_testing_deinit(&test);
}

/* The reply, or what the error says. */
static inline const char *ask(enum ig_code (*handler)(struct ig_call *), const char *body)
{
    ig_call_testing_again(&test);
    test.call.who = IG_PRINCIPAL_LOCAL;
    test.call.params[0] = ig_str_view(id);
    ig_call_testing_header(&test, "Content-Type", "application/json");
    test.exchange.request.method = IG_STR("POST");
    test.exchange.body = ig_str_view(body);
    return handler(&test.call) == IG_OK ? test.exchange.reply.ptr : test.call.err.message;
}

static inline void expect(enum ig_code (*handler)(struct ig_call *), const char *body,
                          const char *words)
{
    const char *said = ask(handler, body);
    if (!strstr(said, words)) fail_msg("%s: %s, not %s", body, said, words);
}

#endif
