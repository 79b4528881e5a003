/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics over traces, spans and assessments, against sums done by hand. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/trace_metrics.h"
#include "services/tracking/trace_spans.h"
#include "services/tracking/tracking_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static void put_trace(const char *id, const char *name, int64_t status, int64_t at_ms,
                      int64_t duration_ms)
{
    struct ig_tracking_trace made;
    const struct ig_tracking_pair tags[] = {{IG_STR(IG_TRACKING_TRACE_NAME), ig_str_view(name)},
                                            {IG_STR("env"), ig_str_view(name)}};
    char usage[64];
    snprintf(usage, sizeof usage, "{\"input_tokens\": %d}", (int)duration_ms);
    const struct ig_tracking_pair metadata[] = {
        {IG_STR("mlflow.trace.tokenUsage"), ig_str_view(usage)},
        {IG_STR("mlflow.trace.session"), ig_str_view(status == 1 ? "s1" : "s2")}};
    const struct ig_tracking_trace trace = {.id = ig_str_view(id),
                                            .status = status,
                                            .start_ms = at_ms,
                                            .duration_ms = duration_ms,
                                            .tags = {tags, 2},
                                            .metadata = {metadata, 2}};
    ASSERT_OK(ig_tracking_trace_put(&made, db, &trace, &arena, &err));
}

static int setup_traces(void **state)
{
    setup(state);
    put_trace("tr-1", "f", 1, 1000, 10);
    put_trace("tr-2", "f", 1, 61000, 20);
    put_trace("tr-3", "f", 2, 62000, 60);
    put_trace("tr-4", "g", 1, 3000, 100);
    return 0;
}

static const int64_t EXPERIMENTS[] = {0};

static struct ig_trace_metric_query query_of(enum ig_trace_metric_view view, const char *metric,
                                             const struct ig_trace_metric_aggregation *aggregation)
{
    return (struct ig_trace_metric_query){.experiments = EXPERIMENTS,
                                          .experiments_count = 1,
                                          .view = view,
                                          .metric = ig_str_view(metric),
                                          .aggregations = aggregation,
                                          .aggregations_count = 1,
                                          .from_ms = INT64_MIN,
                                          .until_ms = INT64_MAX,
                                          .results_max = 1000};
}

static const struct ig_trace_metric_aggregation HOW_MANY = {.type = IG_TRACE_METRIC_COUNT};

static void test_counts_by_dimensions_and_time(void **state)
{
    (void)state;
    const struct ig_str dimensions[] = {IG_STR("trace_status"), IG_STR("trace_name")};
    struct ig_trace_metric_query query = query_of(IG_TRACE_METRIC_TRACES, "trace_count", &HOW_MANY);
    struct ig_trace_metric_points points;
    query.dimensions = dimensions;
    query.dimensions_count = 2;
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_int_equal(points.count, 3);
    assert_true(ig_str_is(points.items[0].dimensions[0], "ERROR"));
    assert_true(ig_str_is(points.items[1].dimensions[1], "f"));
    assert_true(points.items[1].values[0] == 2);
    query.dimensions_count = 0;
    query.interval_s = 60;
    query.from_ms = 2000;
    query.until_ms = 62000;
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_int_equal(points.count, 2);
    assert_int_equal(points.items[0].bucket_ms, 0);
    assert_int_equal(points.items[1].bucket_ms, 60000);
    assert_true(points.items[0].values[0] == 1 && points.items[1].values[0] == 2);
    query.results_max = 1;
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_int_equal(points.count, 1);
    query = query_of(IG_TRACE_METRIC_TRACES, "session_count", &HOW_MANY);
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_true(points.count == 1 && points.items[0].values[0] == 2);
}

static void test_values(void **state)
{
    (void)state;
    static const struct ig_trace_metric_aggregation all[] = {
        {.type = IG_TRACE_METRIC_AVG},
        {.type = IG_TRACE_METRIC_MIN},
        {.type = IG_TRACE_METRIC_MAX},
        {.type = IG_TRACE_METRIC_PERCENTILE, .percentile = 50},
        {.type = IG_TRACE_METRIC_PERCENTILE, .percentile = 75},
        {.type = IG_TRACE_METRIC_PERCENTILE, .percentile = 100}};
    /* of 10, 20, 60, 100, as numpy.quantile has them */
    static const double expected[] = {47.5, 10, 100, 40, 70, 100};
    static const struct ig_trace_metric_aggregation sum = {.type = IG_TRACE_METRIC_SUM};
    struct ig_trace_metric_points points;
    struct ig_trace_metric_query query = query_of(IG_TRACE_METRIC_TRACES, "latency", all);
    query.aggregations_count = 6;
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    for (size_t i = 0; i < 6; i++) assert_true(points.items[0].values[i] == expected[i]);
    query = query_of(IG_TRACE_METRIC_TRACES, "input_tokens", &sum);
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_true(points.items[0].values[0] == 190);
    query.metric = IG_STR("output_tokens");
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_int_equal(points.count, 0);
}

static void test_spans_and_assessments(void **state)
{
    (void)state;
    static const struct ig_trace_metric_aggregation sum = {.type = IG_TRACE_METRIC_SUM};
    static const struct ig_trace_metric_aggregation avg = {.type = IG_TRACE_METRIC_AVG};
    struct ig_trace_span span = {.trace = IG_STR("tr-1"),
                                 .id = IG_STR("1"),
                                 .name = IG_STR("s"),
                                 .model = IG_STR("m"),
                                 .status = IG_STR("OK"),
                                 .start_ns = 1000000000,
                                 .end_ns = 3000000000,
                                 .costs = {NAN, NAN, 0.5},
                                 .tokens = {-1, -1, -1, -1, -1},
                                 .content = IG_STR("{}")};
    const struct ig_trace_spans_batch batch = {.spans = &span, .count = 1};
    const struct ig_str by_model[] = {IG_STR("span_model_name")};
    const struct ig_str by_type[] = {IG_STR("span_type")};
    const struct ig_str filter[] = {IG_STR("trace.tag.env = 'f'"), IG_STR("span.name = \"s\"")};
    struct ig_trace_metric_points points;
    ASSERT_OK(ig_trace_spans_put(db, &batch, &arena, &err));
    struct ig_trace_metric_query query = query_of(IG_TRACE_METRIC_SPANS, "total_cost", &sum);
    query.dimensions = by_model;
    query.dimensions_count = 1;
    query.filters = filter;
    query.filters_count = 2;
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_true(points.count == 1 && points.items[0].values[0] == 0.5);
    query = query_of(IG_TRACE_METRIC_SPANS, "span_count", &HOW_MANY);
    query.dimensions = by_type; /* a span without one is of no group */
    query.dimensions_count = 1;
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_int_equal(points.count, 0);
    query = query_of(IG_TRACE_METRIC_SPANS, "latency", &avg);
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_true(points.items[0].values[0] == 2000);
    static const char *const values[] = {"true", "0.5", "\"No\"", "\"text\""};
    for (size_t i = 0; i < 4; i++) {
        const struct ig_assessment given = {.id = IG_STR(""),
                                            .trace = IG_STR("tr-1"),
                                            .name = IG_STR("q"),
                                            .value = ig_str_view(values[i]),
                                            .source_type = IG_STR("CODE"),
                                            .valid = true};
        struct ig_assessment made;
        ASSERT_OK(ig_assessment_create(&made, db, &given, &arena, &err));
    }
    query = query_of(IG_TRACE_METRIC_ASSESSMENTS, "assessment_value", &avg);
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_true(points.items[0].values[0] == 0.5);
    query = query_of(IG_TRACE_METRIC_ASSESSMENTS, "assessment_count", &HOW_MANY);
    ASSERT_OK(ig_trace_metrics(&points, db, &query, &arena, &err));
    assert_true(points.items[0].values[0] == 4);
}

static void test_filters(void **state)
{
    (void)state;
    static const struct {
        const char *filter, *words; /* NULL: taken */
        double count;
    } cases[] = {
        {"trace.status = 'ERROR'", NULL, 1},
        {" trace.tag.env='g' ", NULL, 1},
        {"trace.tag.`env` = \"f\"", NULL, 3},
        {"trace.metadata.`mlflow.trace.session` = 's1'", NULL, 3},
        {"trace.metadata.mlflow.sourceRun = 'r'", NULL, 0},
        {"trace.status != 'OK'", "Invalid comparator: '!=', only '=' operator is supported", 0},
        {"trace.name = 'x'", "Invalid entity 'name' specified for view type 'trace'. Valid", 0},
        {"other.name = 'x'", "Invalid view type 'other'", 0},
        {"span.name = 'x'", "Filtering by span is only supported for SPANS view type, got TRACES",
         0},
        {"trace.tag = 'x'", "Filtering by tag requires a key", 0},
        {"trace.status.x = 'x'", "Filtering by status does not require a key", 0},
        {"trace.status = x", "Expected a quoted string value for status value", 0},
        {"trace.status = 'a' AND trace.status = 'b'", "Expected a quoted string value", 0},
        {"trace.status", "Expected one filter clause.", 0},
        {"", "Expected one filter clause.", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_trace_metric_query query =
            query_of(IG_TRACE_METRIC_TRACES, "trace_count", &HOW_MANY);
        struct ig_trace_metric_points points = {NULL, 0};
        const struct ig_str filter = ig_str_view(cases[i].filter);
        query.filters = &filter;
        query.filters_count = 1;
        ig_trace_metrics(&points, db, &query, &arena, &err);
        if (cases[i].words ? !strstr(err.message, cases[i].words)
                           : err.code != IG_OK ||
                                 (points.count ? points.items[0].values[0] : 0) != cases[i].count)
            fail_msg("%s: %s", cases[i].filter, err.message);
        ig_err_clear(&err);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    const struct ig_str dimension[] = {IG_STR("span_name")};
    static const struct ig_trace_metric_aggregation sum = {.type = IG_TRACE_METRIC_SUM};
    struct ig_trace_metric_points points;
    struct ig_trace_metric_query query = query_of(IG_TRACE_METRIC_TRACES, "nope", &HOW_MANY);
    ASSERT_FAILS(ig_trace_metrics(&points, db, &query, &arena, &err), IG_INVALID,
                 "metric_name must be one of ['trace_count', 'session_count', 'latency'");
    query = query_of(IG_TRACE_METRIC_TRACES, "trace_count", &sum);
    ASSERT_FAILS(ig_trace_metrics(&points, db, &query, &arena, &err), IG_INVALID,
                 "Found invalid aggregation_type(s): ['SUM']. Supported aggregation types: "
                 "['COUNT']");
    query = query_of(IG_TRACE_METRIC_TRACES, "trace_count", &HOW_MANY);
    query.dimensions = dimension;
    query.dimensions_count = 1;
    ASSERT_FAILS(ig_trace_metrics(&points, db, &query, &arena, &err), IG_INVALID,
                 "Found invalid dimension(s): ['span_name']. Supported dimensions: ['trace_name', "
                 "'trace_status']");
    query.dimensions_count = 0;
    query.interval_s = 60;
    ASSERT_FAILS(ig_trace_metrics(&points, db, &query, &arena, &err), IG_INVALID,
                 "start_time_ms and end_time_ms are required if time_interval_seconds is set");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_counts_by_dimensions_and_time, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_values, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_spans_and_assessments, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_filters, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup_traces, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
