/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_API_MLFLOW_TRACES_TESTING_H
#define IG_API_MLFLOW_TRACES_TESTING_H

/* Calls about traces, on a database of their own. */

#include "api/call_testing.h"
#include "api/mlflow_traces.h"
#include "api/route.h"
#include "services/registry/world_testing.h"

#define TRACE "tr-0123456789abcdef0123456789abcdef"
#define SPANS                                                                                      \
    "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{\"traceId\":"                               \
    "\"0123456789abcdef0123456789abcdef\",\"spanId\":\"00000000000000a1\",\"name\":\"root\","      \
    "\"startTimeUnixNano\":\"1700000000000000000\",\"endTimeUnixNano\":\"1700000001500000000\"}]"  \
    "}]}]}"

static struct ig_call_testing test;
static struct ig_world world;
static struct ig_tracking *tracking;
static struct ig_err err;

static inline int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    ig_world_open(&world);
    test.app.db = world.db;
    ASSERT_OK(ig_tracking_open(&tracking, world.db, &err));
    return 0;
}

static inline int teardown(void **state)
{
    (void)state;
    ig_tracking_close(tracking);
    ig_world_close(&world);
    ig_call_testing_deinit(&test);
    return 0;
}

static inline const char *ask(enum ig_code (*handler)(struct ig_call *), const char *type,
                              const char *body, const char *id)
{
    ig_call_testing_again(&test);
    test.call.who = IG_PRINCIPAL_LOCAL;
    test.call.params[0] = IG_STR(TRACE);
    test.call.params[1] = ig_str_view(id);
    ig_call_testing_header(&test, "Content-Type", type);
    ig_call_testing_header(&test, "X-MLflow-Experiment-Id", "0");
    test.exchange.request.method = IG_STR("POST");
    test.exchange.body = ig_str_view(body);
    if (handler(&test.call) != IG_OK) return test.call.err.message;
    return test.exchange.reply.ptr ? test.exchange.reply.ptr : "";
}

#define JSON "application/json"

static inline const char *by_query(enum ig_code (*handler)(struct ig_call *), const char *query)
{
    ig_call_testing_again(&test);
    test.call.who = IG_PRINCIPAL_LOCAL;
    test.exchange.request.query = ig_str_view(query);
    return handler(&test.call) == IG_OK ? test.exchange.reply.ptr : test.call.err.message;
}

#endif
