/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's numbers over traces: metrics by dimensions, and how two filters hang together. */
#include "api/mlflow_request.h"
#include "api/route.h"
#include "base/clock.h"
#include "services/tracking/json_text.h"
#include "services/tracking/trace_metrics.h"
#include "services/tracking/tracking_search.h"

#include <math.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* ---- reading ---- */

static enum ig_code read_experiments(int64_t **out, const struct ig_mlflow_texts *ids,
                                     struct ig_call *call)
{
    int64_t *experiments = ig_arena_array(call->arena, ids->count + 1, sizeof *experiments);
    if (!experiments) return ig_fail(&call->err, IG_NO_MEMORY, "experiment_ids");
    for (size_t i = 0; i < ids->count; i++)
        if (ig_tracking_experiment_id(&experiments[i], ids->items[i], &call->err) != IG_OK)
            return call->err.code;
    *out = experiments;
    return IG_OK;
}

static enum ig_code check_aggregation(const struct ig_trace_metric_aggregation *aggregation,
                                      struct ig_err *err)
{
    bool told = !isnan(aggregation->percentile);
    if (aggregation->type != IG_TRACE_METRIC_PERCENTILE)
        return told ? ig_fail(err, IG_INVALID,
                              "Percentile value is only allowed for PERCENTILE aggregation type, "
                              "got %s",
                              ig_trace_metric_type_name(aggregation->type))
                    : IG_OK;
    if (!told)
        return ig_fail(err, IG_INVALID, "Percentile value is required for PERCENTILE aggregation");
    if (aggregation->percentile >= 0 && aggregation->percentile <= 100) return IG_OK;
    return ig_fail(err, IG_INVALID, "Percentile value must be between 0 and 100, got %g",
                   aggregation->percentile);
}

/* {"aggregation_type": "PERCENTILE", "percentile_value": 99} */
static enum ig_code read_aggregation(struct ig_trace_metric_aggregation *out, struct ig_json *json)
{
    struct ig_str type = IG_STR("");
    int at = 0;
    *out = (struct ig_trace_metric_aggregation){.percentile = NAN};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "aggregations")) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_json ahead = *json;
        bool nothing = ig_json_next(&ahead) == IG_JSON_NULL;
        if (!(nothing ? ig_json_skip(json)
              : ig_mlflow_named(json->text, "aggregation_type")
                  ? ig_json_string(json, &type, "aggregation_type")
              : ig_mlflow_named(json->text, "percentile_value")
                  ? ig_json_f64(json, &out->percentile, "percentile_value")
                  : ig_json_skip(json)))
            return json->err->code;
    }
    if (json->err->code != IG_OK) return json->err->code;
    while (at < IG_TRACE_METRIC_TYPES_COUNT &&
           !ig_str_is(type, ig_trace_metric_type_name((enum ig_trace_metric_type)at)))
        at++;
    if (at == IG_TRACE_METRIC_TYPES_COUNT)
        return ig_fail(json->err, IG_INVALID,
                       "Invalid value \"%.*s\" for parameter 'aggregation_type' supplied",
                       (int)(type.len > 64 ? 64 : type.len), type.ptr);
    out->type = (enum ig_trace_metric_type)at;
    return check_aggregation(out, json->err);
}

static enum ig_code read_aggregations(struct ig_trace_metric_query *query,
                                      struct ig_trace_metric_aggregation *items,
                                      struct ig_call *call)
{
    struct ig_json json;
    ig_json_init(&json, call->exchange->body, call->arena, &call->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "body")) return call->err.code;
    while (ig_json_member(&json)) {
        struct ig_json ahead = json;
        if (!ig_str_is(json.text, "aggregations") || ig_json_next(&ahead) == IG_JSON_NULL) {
            if (!ig_json_skip(&json)) return call->err.code;
            continue;
        }
        if (!ig_json_expect(&json, IG_JSON_ARRAY, "aggregations")) return call->err.code;
        while (ig_json_element(&json)) {
            if (query->aggregations_count == IG_TRACE_METRIC_AGGREGATIONS_MAX)
                return ig_fail(&call->err, IG_INVALID, "aggregations: at most %d",
                               IG_TRACE_METRIC_AGGREGATIONS_MAX);
            if (read_aggregation(&items[query->aggregations_count++], &json) != IG_OK)
                return call->err.code;
        }
    }
    query->aggregations = items;
    if (call->err.code != IG_OK || query->aggregations_count) return call->err.code;
    return ig_fail(&call->err, IG_INVALID,
                   "Missing value for required parameter 'aggregations'. See the API docs for more "
                   "information about request parameters.");
}

static enum ig_code read_view(struct ig_trace_metric_query *query, struct ig_str word,
                              struct ig_call *call)
{
    static const char *const views[] = {"TRACES", "SPANS", "ASSESSMENTS"};
    for (size_t i = 0; i < COUNT(views); i++)
        if (ig_str_is(word, views[i])) {
            query->view = (enum ig_trace_metric_view)i;
            return IG_OK;
        }
    return ig_fail(&call->err, IG_INVALID,
                   "view_type must be one of ['TRACES', 'SPANS', 'ASSESSMENTS'], got '%.*s'",
                   (int)(word.len > 64 ? 64 : word.len), word.ptr);
}

static enum ig_code read_query(struct ig_trace_metric_query *query,
                               struct ig_trace_metric_aggregation *aggregations,
                               struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0}, dimensions = {0}, filters = {0};
    struct ig_str view = IG_STR("");
    int64_t *experiments = NULL;
    int64_t results_max = IG_TRACE_METRIC_RESULTS_MAX;
    const struct ig_mlflow_field fields[] = {
        {"experiment_ids", IG_MLFLOW_TEXTS, &ids, true},
        {"view_type", IG_MLFLOW_WORD, &view, true},
        {"metric_name", IG_MLFLOW_TEXT, &query->metric, true},
        {"dimensions", IG_MLFLOW_TEXTS, &dimensions, false},
        {"filters", IG_MLFLOW_TEXTS, &filters, false},
        {"time_interval_seconds", IG_MLFLOW_I64, &query->interval_s, false},
        {"start_time_ms", IG_MLFLOW_I64, &query->from_ms, false},
        {"end_time_ms", IG_MLFLOW_I64, &query->until_ms, false},
        {"max_results", IG_MLFLOW_I64, &results_max, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        read_aggregations(query, aggregations, call) != IG_OK ||
        read_view(query, view, call) != IG_OK ||
        read_experiments(&experiments, &ids, call) != IG_OK)
        return call->err.code;
    query->experiments = experiments;
    query->experiments_count = ids.count;
    query->dimensions = dimensions.items;
    query->dimensions_count = dimensions.count;
    query->filters = filters.items;
    query->filters_count = filters.count;
    query->results_max = results_max < 0 || results_max > IG_TRACE_METRIC_RESULTS_MAX
                             ? IG_TRACE_METRIC_RESULTS_MAX
                             : (size_t)results_max;
    return IG_OK;
}

/* ---- answers ---- */

static void write_dimensions(struct ig_json_out *out, const struct ig_trace_metric_query *query,
                             const struct ig_trace_metric_point *point)
{
    if (!query->dimensions_count && !query->interval_s) return;
    ig_json_out_key(out, IG_STR("dimensions"));
    ig_json_out_object(out);
    if (query->interval_s) {
        char time[IG_CLOCK_ISO_SIZE], bucket[IG_CLOCK_ISO_SIZE + 8];
        ig_clock_iso(time, point->bucket_ms);
        snprintf(bucket, sizeof bucket, "%.19s+00:00", time);
        ig_json_out_kv_str(out, "time_bucket", ig_str_view(bucket));
    }
    for (size_t i = 0; i < query->dimensions_count; i++) {
        ig_json_out_key(out, query->dimensions[i]);
        ig_json_out_str(out, point->dimensions[i]);
    }
    ig_json_out_object_end(out);
}

static void write_values(struct ig_json_out *out, const struct ig_trace_metric_query *query,
                         const struct ig_trace_metric_point *point)
{
    struct ig_buf name;
    ig_buf_init(&name, 64);
    ig_json_out_key(out, IG_STR("values"));
    ig_json_out_object(out);
    for (size_t i = 0; i < query->aggregations_count; i++) {
        const struct ig_trace_metric_aggregation *aggregation = &query->aggregations[i];
        ig_buf_reset(&name);
        ig_buf_add_cstr(&name, aggregation->type == IG_TRACE_METRIC_PERCENTILE
                                   ? "P"
                                   : ig_trace_metric_type_name(aggregation->type));
        if (aggregation->type == IG_TRACE_METRIC_PERCENTILE)
            ig_json_text_add_f64(&name, aggregation->percentile);
        ig_json_out_key(out, ig_buf_view(&name));
        ig_json_out_f64(out, point->values[i]);
    }
    ig_json_out_object_end(out);
    ig_buf_deinit(&name);
}

enum ig_code ig_mlflow_trace_metrics(struct ig_call *call)
{
    struct ig_trace_metric_aggregation aggregations[IG_TRACE_METRIC_AGGREGATIONS_MAX];
    struct ig_trace_metric_query query = {.from_ms = INT64_MIN, .until_ms = INT64_MAX};
    struct ig_trace_metric_points points;
    struct ig_json_out out;
    if (read_query(&query, aggregations, call) != IG_OK ||
        ig_trace_metrics(&points, call->app->db, &query, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    if (points.count) {
        ig_json_out_key(&out, IG_STR("data_points"));
        ig_json_out_array(&out);
        for (size_t i = 0; i < points.count; i++) {
            ig_json_out_object(&out);
            ig_json_out_kv_str(&out, "metric_name", query.metric);
            write_dimensions(&out, &query, &points.items[i]);
            write_values(&out, &query, &points.items[i]);
            ig_json_out_object_end(&out);
        }
        ig_json_out_array_end(&out);
    }
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- correlation ---- */

/* Normalized pointwise mutual information of two events that come together `both` times, one alone
 * `first` or `second` times, neither `neither` times (G. Bouma 2009). */
static double npmi(double both, double first, double second, double neither, double smoothing)
{
    double all = both + first + second + neither + 4 * smoothing;
    double one = both + first + 2 * smoothing, other = both + second + 2 * smoothing;
    double together = both + smoothing;
    if (one <= 0 || other <= 0 || together <= 0) return NAN;
    if (first == 0 && second == 0 && neither == 0) return 1;
    double value = (log(together) + log(all) - log(one) - log(other)) / (log(all) - log(together));
    return value < -1 ? -1 : value > 1 ? 1 : value;
}

enum { TOTAL, FIRST, SECOND, BOTH, COUNTS };

static void write_correlation(struct ig_json_out *out, const int64_t counts[COUNTS])
{
    static const double JEFFREYS_PRIOR = 0.5;
    double both = (double)counts[BOTH], first = (double)(counts[FIRST] - counts[BOTH]);
    double second = (double)(counts[SECOND] - counts[BOTH]);
    double neither = (double)counts[TOTAL] - both - first - second;
    bool defined = counts[FIRST] && counts[SECOND] && neither >= 0;
    ig_json_out_object(out);
    if (defined) {
        ig_json_out_kv_f64(out, "npmi", counts[BOTH] ? npmi(both, first, second, neither, 0) : -1);
        ig_json_out_kv_f64(out, "npmi_smoothed",
                           npmi(both, first, second, neither, JEFFREYS_PRIOR));
    }
    ig_json_out_kv_i64(out, "filter1_count", counts[FIRST]);
    ig_json_out_kv_i64(out, "filter2_count", counts[SECOND]);
    ig_json_out_kv_i64(out, "joint_count", counts[BOTH]);
    ig_json_out_kv_i64(out, "total_count", counts[TOTAL]);
    ig_json_out_object_end(out);
}

/* Both filters, where they are told. */
static struct ig_str joined(struct ig_call *call, struct ig_str a, struct ig_str b)
{
    if (!ig_str_trim(a).len || !ig_str_trim(b).len) return ig_str_trim(a).len ? a : b;
    return ig_str_view(
        ig_arena_printf(call->arena, "%.*s AND %.*s", IG_STR_ARGS(a), IG_STR_ARGS(b)));
}

enum ig_code ig_mlflow_traces_correlation(struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_str first = IG_STR(""), second = IG_STR(""), base = IG_STR("");
    struct ig_tracking_search search = {.kind = IG_TRACKING_TRACES, .view = IG_TRACKING_ALL};
    int64_t counts[COUNTS], *experiments = NULL;
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"experiment_ids", IG_MLFLOW_TEXTS, &ids, true},
                                             {"filter_string1", IG_MLFLOW_TEXT, &first, true},
                                             {"filter_string2", IG_MLFLOW_TEXT, &second, true},
                                             {"base_filter", IG_MLFLOW_TEXT, &base, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        read_experiments(&experiments, &ids, call) != IG_OK)
        return call->err.code;
    search.experiments = experiments;
    search.experiments_count = ids.count;
    const struct ig_str filters[COUNTS] = {[TOTAL] = base,
                                           [FIRST] = joined(call, base, first),
                                           [SECOND] = joined(call, base, second),
                                           [BOTH] =
                                               joined(call, base, joined(call, first, second))};
    const struct ig_tracking_counts asked = {filters, counts, COUNTS};
    if (ig_tracking_traces_count(&asked, call->app->db, &search, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_correlation(&out, counts);
    return IG_OK;
}
