/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics over traces, and how two filters hang together. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_traces_testing.h"

#define METRICS(more)                                                                              \
    ask(ig_mlflow_trace_metrics, JSON, "{\"experiment_ids\":[\"0\"]," more "}", "")

static void test_metrics(void **state)
{
    (void)state;
    ask(ig_mlflow_spans_put, JSON, SPANS, "");
    assert_string_equal(
        METRICS("\"view_type\":\"TRACES\",\"metric_name\":\"latency\",\"aggregations\":[{"
                "\"aggregation_type\":\"PERCENTILE\",\"percentile_value\":99},{"
                "\"aggregation_type\":\"AVG\"}],\"time_interval_seconds\":3600,\"start_time_ms\":0,"
                "\"end_time_ms\":1900000000000"),
        "{\"data_points\":[{\"metric_name\":\"latency\",\"dimensions\":{\"time_bucket\":"
        "\"2023-11-14T22:00:00+00:00\"},\"values\":{\"P99.0\":1500,\"AVG\":1500}}]}");
    assert_string_equal(
        METRICS("\"view_type\":\"SPANS\",\"metric_name\":\"span_count\",\"aggregations\":[{"
                "\"aggregation_type\":\"COUNT\"}],\"dimensions\":[\"span_name\"],\"filters\":["
                "\"span.name = 'root'\"]"),
        "{\"data_points\":[{\"metric_name\":\"span_count\",\"dimensions\":{\"span_name\":\"root\"},"
        "\"values\":{\"COUNT\":1}}]}");
    static const char *const bad[][2] = {
        {"{}", "required parameter 'experiment_ids'"},
        {"{\"experiment_ids\":[\"0\"],\"view_type\":\"TRACES\",\"metric_name\":\"latency\"}",
         "required parameter 'aggregations'"},
        {"{\"experiment_ids\":[\"0\"],\"view_type\":\"X\",\"metric_name\":\"latency\","
         "\"aggregations\":[{\"aggregation_type\":\"AVG\"}]}",
         "view_type must be one of"},
        {"{\"experiment_ids\":[\"0\"],\"view_type\":\"TRACES\",\"metric_name\":\"latency\","
         "\"aggregations\":[{\"aggregation_type\":\"PERCENTILE\"}]}",
         "Percentile value is required"},
        {"{\"experiment_ids\":[\"0\"],\"view_type\":\"TRACES\",\"metric_name\":\"latency\","
         "\"aggregations\":[{\"aggregation_type\":\"PERCENTILE\",\"percentile_value\":101}]}",
         "between 0 and 100, got 101"},
        {"{\"experiment_ids\":[\"0\"],\"view_type\":\"TRACES\",\"metric_name\":\"latency\","
         "\"aggregations\":[{\"aggregation_type\":\"MEDIAN\"}]}",
         "Invalid value \"MEDIAN\" for parameter 'aggregation_type'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *said = ask(ig_mlflow_trace_metrics, JSON, bad[i][0], "");
        if (test.call.err.code == IG_OK || !strstr(said, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], said);
    }
}

#define CORRELATE(more)                                                                            \
    ask(ig_mlflow_traces_correlation, JSON, "{\"experiment_ids\":[\"0\"]," more "}", "")

static void test_correlation(void **state)
{
    (void)state;
    ask(ig_mlflow_spans_put, JSON, SPANS, "");
    assert_string_equal(CORRELATE("\"filter_string1\":\"span.name = 'root'\",\"filter_string2\":"
                                  "\"status = 'OK'\",\"base_filter\":\"timestamp > 0\""),
                        "{\"npmi\":1,\"npmi_smoothed\":1,\"filter1_count\":1,\"filter2_count\":1,"
                        "\"joint_count\":1,\"total_count\":1}");
    assert_string_equal(CORRELATE("\"filter_string1\":\"span.name = 'x'\",\"filter_string2\":"
                                  "\"status = 'OK'\""),
                        "{\"filter1_count\":0,\"filter2_count\":1,\"joint_count\":0,"
                        "\"total_count\":1}");
    assert_non_null(strstr(CORRELATE("\"filter_string1\":\"bad.x = 'x'\",\"filter_string2\":"
                                     "\"status = 'OK'\""),
                           "Invalid entity type 'bad'"));
    assert_non_null(strstr(CORRELATE("\"filter_string1\":\"name = 'x'\""),
                           "required parameter 'filter_string2'"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_metrics, setup, teardown),
        cmocka_unit_test_setup_teardown(test_correlation, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
