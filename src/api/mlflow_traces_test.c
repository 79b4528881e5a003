/* SPDX-License-Identifier: Apache-2.0 */
/* Traces' times, and the bodies that clients 3.x send. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/mlflow_traces.h"
#include "api/route.h"
#include "services/registry/world_testing.h"

#include <string.h>

static void test_times(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t ms; /* -1: no time */
    } times[] = {
        {"1970-01-01T00:00:00Z", 0},
        {"2024-02-29T12:34:56.789123Z", 1709210096789},
        {"2026-11-27T00:00:00.5+01:00", 1795734000500},
        {"2000-03-01T00:00:00-00:30", 951870600000},
        {"1970-01-01 00:00:00Z", -1},
        {"1970-13-01T00:00:00Z", -1},
        {"1970-01-01T00:00:00", -1},
        {"1970-01-01T00:00:00.Z", -1},
        {"1970-01-01T00:00:00Zx", -1},
        {"1970-01-01T24:00:00Z", -1},
        {"", -1},
    };
    static const struct {
        const char *text;
        int64_t ms;
    } durations[] = {{"0s", 0},   {"1.5s", 1500}, {"0.002s", 2},  {"3600s", 3600000}, {"1", -1},
                     {"-1s", -1}, {"NaNs", -1},   {"1e300s", -1}, {"s", -1}};
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++) {
        int64_t ms = -1;
        if (!ig_mlflow_time_parse(&ms, ig_str_view(times[i].text))) ms = -1;
        if (ms != times[i].ms) fail_msg("%s: %lld", times[i].text, (long long)ms);
    }
    for (size_t i = 0; i < sizeof durations / sizeof durations[0]; i++) {
        int64_t ms = -1;
        if (!ig_mlflow_duration_parse(&ms, ig_str_view(durations[i].text))) ms = -1;
        if (ms != durations[i].ms) fail_msg("%s: %lld", durations[i].text, (long long)ms);
    }
}

static const char *ask(struct ig_call_testing *test, enum ig_code (*handler)(struct ig_call *),
                       const char *body)
{
    ig_call_testing_again(test);
    test->call.who = IG_PRINCIPAL_LOCAL;
    ig_call_testing_header(test, "Content-Type", "application/json");
    test->exchange.request.method = IG_STR("POST");
    test->exchange.body = ig_str_view(body);
    if (handler(&test->call) != IG_OK) return test->call.err.message;
    return test->exchange.reply.ptr;
}

#define TRACE(more)                                                                                \
    "{\"trace\":{\"trace_info\":{\"trace_id\":\"tr-1\",\"trace_location\":{\"type\":"              \
    "\"MLFLOW_EXPERIMENT\",\"mlflow_experiment\":{\"experiment_id\":\"0\"}}" more "},"             \
    "\"spans\":[{\"x\":1}]}}"

static void test_bodies(void **state)
{
    (void)state;
    struct ig_call_testing test;
    struct ig_world world;
    ig_call_testing_init(&test);
    ig_world_open(&world);
    struct ig_tracking *tracking;
    struct ig_err err = IG_ERR_INIT;
    test.app.db = world.db;
    ASSERT_OK(ig_tracking_open(&tracking, world.db, &err));
    assert_string_equal(
        ask(&test, ig_mlflow_trace_put,
            TRACE(",\"request_time\":\"2024-02-29T12:34:56.789Z\",\"execution_duration\":"
                  "\"1.005s\",\"state\":\"OK\",\"trace_metadata\":{\"a\":\"b\"},\"tags\":{},"
                  "\"request_preview\":\"q\",\"response_preview\":null,\"assessments\" : "
                  "[ {\"assessment_id\":\"a-1\",\"assessment_name\":\"n\",\"create_time\":"
                  "\"2024-01-01T00:00:00Z\",\"last_update_time\":\"2024-01-01T00:00:01Z\","
                  "\"feedback\":{\"value\":1}} ],\"unknown\":[1]")),
        "{\"trace\":{\"trace_info\":{\"trace_id\":\"tr-1\",\"trace_location\":{\"type\":"
        "\"MLFLOW_EXPERIMENT\",\"mlflow_experiment\":{\"experiment_id\":\"0\"}},"
        "\"request_preview\":\"q\",\"request_time\":\"2024-02-29T12:34:56.789Z\","
        "\"execution_duration\":\"1.005s\",\"state\":\"OK\",\"trace_metadata\":{\"a\":\"b\"},"
        "\"tags\":{\"mlflow.artifactLocation\":\"mlflow-artifacts:/0/traces/tr-1/artifacts\"},"
        "\"assessments\":[{\"assessment_id\":\"a-1\",\"assessment_name\":\"n\","
        "\"trace_id\":\"tr-1\",\"source\":{\"source_type\":\"SOURCE_TYPE_UNSPECIFIED\"},"
        "\"create_time\":\"2024-01-01T00:00:00.000Z\","
        "\"last_update_time\":\"2024-01-01T00:00:01.000Z\",\"feedback\":{\"value\":1.0},"
        "\"valid\":true}]}}}");
    static const struct {
        const char *body, *words;
    } bad[] = {
        {"{}", "Missing value for required parameter 'trace'."},
        {"{\"trace\":{\"trace_info\":{}}}", "parameter 'trace.trace_info.trace_location'"},
        {TRACE(",\"state\":\"GOOD\""), "Invalid value \"GOOD\" for parameter 'state' supplied"},
        {TRACE(",\"request_time\":\"now\""), "for parameter 'request_time' supplied"},
        {TRACE(",\"execution_duration\":\"1\""), "for parameter 'execution_duration' supplied"},
        {TRACE(",\"tags\":{\"a\":1}"), "tags"},
        {TRACE(",\"tags\":{\"\":\"x\"}"), "tags[0].key"},
        {TRACE(",\"assessments\":3"), "assessments"},
        {TRACE(",\"assessments\":[{}]"), "Unknown assessment type: None"},
        {"{\"trace\":", ""},
        {"[]", "body"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *said = ask(&test, ig_mlflow_trace_put, bad[i].body);
        if (test.call.err.code == IG_OK || !strstr(said, bad[i].words))
            fail_msg("%s: %s", bad[i].body, said);
    }
    assert_non_null(strstr(ask(&test, ig_mlflow_traces_batch, "{\"trace_ids\":[\"x\",\"tr-1\"]}"),
                           "{\"trace_infos\":[{\"trace_id\":\"tr-1\""));
    assert_non_null(strstr(ask(&test, ig_mlflow_traces_search,
                               "{\"locations\":[{\"type\":\"MLFLOW_EXPERIMENT\","
                               "\"mlflow_experiment\":{\"experiment_id\":\"0\"}}]}"),
                           "{\"traces\":[{\"trace_id\":\"tr-1\""));
    assert_string_equal(ask(&test, ig_mlflow_traces_search, "{}"),
                        "Missing value for required parameter 'locations'.");
    assert_string_equal(ask(&test, ig_mlflow_traces_delete, "{\"experiment_id\":\"0\"}"),
                        "Either `max_timestamp_millis` or `trace_ids` must be specified.");
    assert_string_equal(ask(&test, ig_mlflow_traces_delete,
                            "{\"experiment_id\":\"0\",\"max_timestamp_millis\":1709210096789}"),
                        "{\"traces_deleted\":1}");
    ig_tracking_close(tracking);
    ig_world_close(&world);
    ig_call_testing_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_times), cmocka_unit_test(test_bodies)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
