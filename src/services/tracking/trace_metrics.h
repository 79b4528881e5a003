/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_TRACE_METRICS_H
#define IG_SERVICES_TRACKING_TRACE_METRICS_H

/* Numbers over traces, their spans or their assessments: counts, sums, averages, extremes and
 * percentiles, by dimensions and by intervals of time, as MLflow 3.17.2 names and defines them.
 * Errors have its words. Thread-safe; worker threads only. */

#include "stores/db.h"

enum {
    IG_TRACE_METRIC_DIMENSIONS_MAX = 5,
    IG_TRACE_METRIC_AGGREGATIONS_MAX = 32,
    IG_TRACE_METRIC_FILTERS_MAX = 64,
    IG_TRACE_METRIC_RESULTS_MAX = 1000,
    IG_TRACE_METRIC_ROWS_MAX = 2000000, /* that one question may look at */
};

enum ig_trace_metric_view {
    IG_TRACE_METRIC_TRACES,
    IG_TRACE_METRIC_SPANS,
    IG_TRACE_METRIC_ASSESSMENTS,
};
enum ig_trace_metric_type {
    IG_TRACE_METRIC_COUNT,
    IG_TRACE_METRIC_SUM,
    IG_TRACE_METRIC_AVG,
    IG_TRACE_METRIC_PERCENTILE,
    IG_TRACE_METRIC_MIN,
    IG_TRACE_METRIC_MAX,
    IG_TRACE_METRIC_TYPES_COUNT,
};
const char *ig_trace_metric_type_name(enum ig_trace_metric_type type); /* "COUNT" */

struct ig_trace_metric_aggregation {
    enum ig_trace_metric_type type;
    double percentile; /* 0 to 100 */
};
struct ig_trace_metric_query {
    const int64_t *experiments;
    size_t experiments_count;
    enum ig_trace_metric_view view;
    struct ig_str metric; /* "latency" */
    const struct ig_trace_metric_aggregation *aggregations;
    size_t aggregations_count;
    const struct ig_str *dimensions; /* "trace_name" */
    size_t dimensions_count;
    const struct ig_str *filters; /* "trace.tag.key = 'value'", all of which hold */
    size_t filters_count;
    int64_t interval_s;        /* 0: no intervals */
    int64_t from_ms, until_ms; /* INT64_MIN, INT64_MAX: none */
    size_t results_max;
};
struct ig_trace_metric_point {
    int64_t bucket_ms;                                        /* of an interval */
    struct ig_str dimensions[IG_TRACE_METRIC_DIMENSIONS_MAX]; /* in the query's order */
    double values[IG_TRACE_METRIC_AGGREGATIONS_MAX];          /* likewise */
};
struct ig_trace_metric_points {
    const struct ig_trace_metric_point *items; /* by interval, then by dimensions */
    size_t count;
};
enum ig_code ig_trace_metrics(struct ig_trace_metric_points *out, struct ig_db *db,
                              const struct ig_trace_metric_query *query, struct ig_arena *arena,
                              struct ig_err *err);

#endif
