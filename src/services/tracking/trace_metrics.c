/* SPDX-License-Identifier: Apache-2.0 */
/* The database brings the rows in the order of their groups; the arithmetic is here, so that both
 * databases answer alike. Percentiles interpolate linearly (Hyndman and Fan's method 7, as
 * numpy.quantile does).
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/trace_metrics.h"

#include "base/json.h"
#include "base/mem.h"
#include "services/tracking/tracking_search.h"
#include "services/tracking/tracking_traces.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT_OF(array) (sizeof(array) / sizeof(array)[0])
enum {
    SQL_BYTES_MAX = 1 << 18,
    VALUES_MAX = IG_TRACKING_SEARCHED_MAX + 2 * IG_TRACE_METRIC_FILTERS_MAX + 8,
};

#define BIT(type) (1u << IG_TRACE_METRIC_##type)
#define SPREAD (BIT(AVG) | BIT(MIN) | BIT(MAX) | BIT(PERCENTILE))
#define SUMMED (SPREAD | BIT(SUM))

static const char *const TYPES[] = {"COUNT", "SUM", "AVG", "PERCENTILE", "MIN", "MAX"};
static const char *const VIEWS[] = {"TRACES", "SPANS", "ASSESSMENTS"};

/* `sql` is the value; rows where it is null do not count. With `member` it is JSON that has it. */
static const struct metric {
    enum ig_trace_metric_view view;
    const char *name, *sql, *member;
    unsigned types;
    const char *dimensions; /* "a b" */
    bool distinct;
} METRICS[] = {
#define USAGE                                                                                      \
    "(select value from trace_metadata m where m.trace = r.id and m.key ="                         \
    " 'mlflow.trace.tokenUsage')"
    {IG_TRACE_METRIC_TRACES, "trace_count", "1", NULL, BIT(COUNT), "trace_name trace_status",
     false},
    {IG_TRACE_METRIC_TRACES, "session_count",
     "(select value from trace_metadata m where m.trace = r.id and m.key = 'mlflow.trace.session')",
     NULL, BIT(COUNT), "", true},
    {IG_TRACE_METRIC_TRACES, "latency", "r.duration_ms", NULL, SPREAD, "trace_name", false},
    {IG_TRACE_METRIC_TRACES, "input_tokens", USAGE, "input_tokens", SUMMED, "trace_name", false},
    {IG_TRACE_METRIC_TRACES, "output_tokens", USAGE, "output_tokens", SUMMED, "trace_name", false},
    {IG_TRACE_METRIC_TRACES, "total_tokens", USAGE, "total_tokens", SUMMED, "trace_name", false},
    {IG_TRACE_METRIC_TRACES, "cache_read_input_tokens", USAGE, "cache_read_input_tokens", SUMMED,
     "trace_name", false},
    {IG_TRACE_METRIC_TRACES, "cache_creation_input_tokens", USAGE, "cache_creation_input_tokens",
     SUMMED, "trace_name", false},
    {IG_TRACE_METRIC_SPANS, "span_count", "1", NULL, BIT(COUNT),
     "span_model_name span_model_provider span_name span_status span_type", false},
    {IG_TRACE_METRIC_SPANS, "latency", "(s.end_ns - s.start_ns) / 1000000", NULL, SPREAD,
     "span_name span_status", false},
    {IG_TRACE_METRIC_SPANS, "input_cost", "s.input_cost", NULL, SUMMED,
     "span_model_name span_model_provider", false},
    {IG_TRACE_METRIC_SPANS, "output_cost", "s.output_cost", NULL, SUMMED,
     "span_model_name span_model_provider", false},
    {IG_TRACE_METRIC_SPANS, "total_cost", "s.total_cost", NULL, SUMMED,
     "span_model_name span_model_provider", false},
    {IG_TRACE_METRIC_ASSESSMENTS, "assessment_count", "1", NULL, BIT(COUNT),
     "assessment_name assessment_value", false},
    {IG_TRACE_METRIC_ASSESSMENTS, "assessment_value", "a.number", NULL, SPREAD, "assessment_name",
     false},
#undef USAGE
};

static const struct {
    const char *name, *sql;
} DIMENSIONS[] = {
    {"trace_name",
     "(select value from trace_tags g where g.trace = r.id and g.key = '" IG_TRACKING_TRACE_NAME
     "')"},
    {"trace_status", "case r.status when 1 then 'OK' when 2 then 'ERROR' when 3 then 'IN_PROGRESS'"
                     " else 'STATE_UNSPECIFIED' end"},
    {"span_name", "s.name"},
    {"span_type", "s.type"},
    {"span_status", "s.status"},
    {"span_model_name", "s.model"},
    {"span_model_provider", "s.provider"},
    {"assessment_name", "a.name"},
    {"assessment_value", "a.value"},
};

struct group {
    struct ig_trace_metric_point point;
    double *values; /* all of them, for percentiles */
    size_t count, cap;
    double sum, least, most;
    struct ig_str last; /* of distinct texts, which come in order */
};

struct call {
    const struct ig_trace_metric_query *query;
    const struct metric *metric;
    struct ig_buf sql;
    struct ig_db_value values[VALUES_MAX];
    size_t values_count;
    struct ig_arena *arena;
    struct group group;
    bool open; /* there is a group */
    struct ig_trace_metric_point *points;
    size_t points_count, points_cap;
};

const char *ig_trace_metric_type_name(enum ig_trace_metric_type type)
{
    return TYPES[type];
}

/* ---- checks ---- */

static bool has_word(const char *words, struct ig_str word)
{
    struct ig_str rest = ig_str_view(words);
    while (rest.ptr)
        if (word.len && ig_str_eq(ig_str_cut(&rest, ' '), word)) return true;
    return false;
}

static enum ig_code unknown_metric(const struct ig_trace_metric_query *query, struct ig_err *err)
{
    char names[320] = "";
    for (size_t i = 0, used = 0; i < COUNT_OF(METRICS); i++)
        if (METRICS[i].view == query->view)
            used += (size_t)snprintf(names + used, sizeof names - used, "%s'%s'", used ? ", " : "",
                                     METRICS[i].name);
    return ig_fail(err, IG_INVALID, "metric_name must be one of [%s], got '%.*s'", names,
                   (int)(query->metric.len > 64 ? 64 : query->metric.len), query->metric.ptr);
}

static enum ig_code check_aggregations(const struct metric *metric,
                                       const struct ig_trace_metric_query *query,
                                       struct ig_err *err)
{
    static const int by_name[] = {IG_TRACE_METRIC_AVG,        IG_TRACE_METRIC_COUNT,
                                  IG_TRACE_METRIC_MAX,        IG_TRACE_METRIC_MIN,
                                  IG_TRACE_METRIC_PERCENTILE, IG_TRACE_METRIC_SUM};
    char taken[96] = "";
    for (size_t i = 0; i < query->aggregations_count; i++) {
        enum ig_trace_metric_type type = query->aggregations[i].type;
        if (metric->types & 1u << type) continue;
        for (size_t j = 0, used = 0; j < COUNT_OF(by_name); j++)
            if (metric->types & 1u << by_name[j])
                used += (size_t)snprintf(taken + used, sizeof taken - used, "%s'%s'",
                                         used ? ", " : "", TYPES[by_name[j]]);
        return ig_fail(err, IG_INVALID,
                       "Found invalid aggregation_type(s): ['%s']. Supported aggregation types: "
                       "[%s]",
                       TYPES[type], taken);
    }
    return IG_OK;
}

static enum ig_code check_dimensions(const struct metric *metric,
                                     const struct ig_trace_metric_query *query, struct ig_err *err)
{
    for (size_t i = 0; i < query->dimensions_count; i++) {
        char taken[160] = "";
        struct ig_str rest = ig_str_view(metric->dimensions);
        if (has_word(metric->dimensions, query->dimensions[i])) continue;
        for (size_t used = 0; rest.ptr && metric->dimensions[0];) {
            struct ig_str word = ig_str_cut(&rest, ' ');
            used += (size_t)snprintf(taken + used, sizeof taken - used, "%s'%.*s'",
                                     used ? ", " : "", IG_STR_ARGS(word));
        }
        return ig_fail(err, IG_INVALID,
                       "Found invalid dimension(s): ['%.*s']. Supported dimensions: [%s]",
                       (int)(query->dimensions[i].len > 64 ? 64 : query->dimensions[i].len),
                       query->dimensions[i].ptr, taken);
    }
    return IG_OK;
}

static enum ig_code check(const struct metric **out, const struct ig_trace_metric_query *query,
                          struct ig_err *err)
{
    const struct metric *metric = NULL;
    for (size_t i = 0; i < COUNT_OF(METRICS); i++)
        if (METRICS[i].view == query->view && ig_str_is(query->metric, METRICS[i].name))
            metric = &METRICS[i];
    if (!metric) return unknown_metric(query, err);
    *out = metric;
    if (query->experiments_count > IG_TRACKING_SEARCHED_MAX ||
        query->dimensions_count > IG_TRACE_METRIC_DIMENSIONS_MAX ||
        query->aggregations_count > IG_TRACE_METRIC_AGGREGATIONS_MAX ||
        query->filters_count > IG_TRACE_METRIC_FILTERS_MAX)
        return ig_fail(err, IG_INVALID,
                       "at most %d experiment_ids, %d dimensions, %d aggregations and %d filters",
                       IG_TRACKING_SEARCHED_MAX, IG_TRACE_METRIC_DIMENSIONS_MAX,
                       IG_TRACE_METRIC_AGGREGATIONS_MAX, IG_TRACE_METRIC_FILTERS_MAX);
    if (query->interval_s && (query->from_ms == INT64_MIN || query->until_ms == INT64_MAX))
        return ig_fail(err, IG_INVALID,
                       "start_time_ms and end_time_ms are required if time_interval_seconds is "
                       "set");
    if (query->interval_s < 0 || query->interval_s > INT32_MAX)
        return ig_fail(err, IG_INVALID, "time_interval_seconds: %lld is no interval",
                       (long long)query->interval_s);
    if (query->results_max < 1 || query->results_max > IG_TRACE_METRIC_RESULTS_MAX)
        return ig_fail(err, IG_INVALID, "max_results: expected 1 to %d",
                       IG_TRACE_METRIC_RESULTS_MAX);
    if (check_aggregations(metric, query, err) != IG_OK) return err->code;
    return check_dimensions(metric, query, err);
}

/* ---- filters ---- */

static void add(struct call *call, const char *text)
{
    ig_buf_add_cstr(&call->sql, text);
}

static void add_value(struct call *call, struct ig_db_value value)
{
    IG_ASSERT(call->values_count < VALUES_MAX);
    call->values[call->values_count++] = value;
    ig_buf_printf(&call->sql, "$%zu", call->values_count);
}

struct condition {
    struct ig_str view, entity, key, value; /* key empty: none */
};

/* Up to the next of these, outside of backticks. */
static struct ig_str word_until(struct ig_str *rest, const char *ends)
{
    size_t at = 0;
    bool quoted = false;
    for (; at < rest->len && (quoted || !strchr(ends, rest->ptr[at])); at++)
        if (rest->ptr[at] == '`') quoted = !quoted;
    struct ig_str word = {rest->ptr, at};
    *rest = (struct ig_str){rest->ptr + at, rest->len - at};
    return word;
}

static bool unquote(struct ig_str *text, const char *quotes)
{
    if (text->len < 2 || !strchr(quotes, *text->ptr) || text->ptr[text->len - 1] != *text->ptr)
        return false;
    *text = (struct ig_str){text->ptr + 1, text->len - 2};
    return true;
}

static enum ig_code check_entity(const struct condition *condition, struct ig_err *err)
{
    static const struct {
        const char *view, *entities, *shown;
    } views[] = {{"trace", "status tag metadata", "'status', 'tag', 'metadata'"},
                 {"span", "name status type", "'name', 'status', 'type'"},
                 {"assessment", "name type", "'name', 'type'"}};
    bool keyed = ig_str_is(condition->entity, "tag") || ig_str_is(condition->entity, "metadata");
    size_t at = 0;
    while (at < COUNT_OF(views) && !ig_str_is(condition->view, views[at].view)) at++;
    if (at == COUNT_OF(views))
        return ig_fail(err, IG_INVALID,
                       "Invalid view type '%.*s'. Valid values are ['trace', 'span', "
                       "'assessment']",
                       (int)(condition->view.len > 64 ? 64 : condition->view.len),
                       condition->view.ptr);
    if (!has_word(views[at].entities, condition->entity))
        return ig_fail(err, IG_INVALID,
                       "Invalid entity '%.*s' specified for view type '%s'. Valid entities are "
                       "[%s]",
                       (int)(condition->entity.len > 64 ? 64 : condition->entity.len),
                       condition->entity.ptr, views[at].view, views[at].shown);
    if (keyed && !condition->key.len)
        return ig_fail(
            err, IG_INVALID, "Filtering by %.*s requires a key, e.g. '%s.%.*s.<key> = <value>'",
            IG_STR_ARGS(condition->entity), views[at].view, IG_STR_ARGS(condition->entity));
    if (!keyed && condition->key.ptr)
        return ig_fail(
            err, IG_INVALID, "Filtering by %.*s does not require a key, use '%s.%.*s' instead",
            IG_STR_ARGS(condition->entity), views[at].view, IG_STR_ARGS(condition->entity));
    return IG_OK;
}

/* trace.tag.`a key` = 'value' */
static enum ig_code read_condition(struct condition *out, struct ig_str filter, struct ig_err *err)
{
    struct ig_str rest = ig_str_trim(filter);
    struct ig_str name = word_until(&rest, " \t\n=!<>"), path = name;
    *out = (struct condition){.view = ig_str_cut(&path, '.')};
    out->entity = path.ptr ? ig_str_cut(&path, '.') : IG_STR("");
    out->key = path;
    rest = ig_str_trim(rest);
    struct ig_str op = word_until(&rest, " \t\n'\"");
    out->value = ig_str_trim(rest);
    if (!name.len || !op.len || !out->value.len || filter.len > IG_TRACKING_FILTER_BYTES_MAX)
        return ig_fail(err, IG_INVALID, "Invalid filter: '%.*s'. Expected one filter clause.",
                       (int)(filter.len > 64 ? 64 : filter.len), filter.ptr);
    unquote(&out->view, "`");
    if (check_entity(out, err) != IG_OK) return err->code;
    if (!unquote(&out->key, "\"'")) unquote(&out->key, "`");
    if (!ig_str_is(op, "="))
        return ig_fail(err, IG_INVALID,
                       "Invalid comparator: '%.*s', only '=' operator is supported",
                       (int)(op.len > 32 ? 32 : op.len), op.ptr);
    if (unquote(&out->value, "'\"") && !memchr(out->value.ptr, '\'', out->value.len)) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "Expected a quoted string value for %.*s value (e.g. 'my-value'). Got value "
                   "%.*s",
                   IG_STR_ARGS(out->entity), (int)(out->value.len > 64 ? 64 : out->value.len),
                   out->value.ptr);
}

static enum ig_code add_condition(struct call *call, struct ig_str filter, struct ig_err *err)
{
    struct condition condition;
    if (read_condition(&condition, filter, err) != IG_OK) return err->code;
    bool span = ig_str_is(condition.view, "span"), trace = ig_str_is(condition.view, "trace");
    enum ig_trace_metric_view wanted = span ? IG_TRACE_METRIC_SPANS : IG_TRACE_METRIC_ASSESSMENTS;
    if (!trace && call->query->view != wanted)
        return ig_fail(err, IG_INVALID,
                       "Filtering by %s is only supported for %s view type, got %s",
                       span ? "span" : "assessment", VIEWS[wanted], VIEWS[call->query->view]);
    if (!trace || ig_str_is(condition.entity, "status")) {
        bool type = ig_str_is(condition.entity, "type");
        bool status = ig_str_is(condition.entity, "status");
        ig_buf_printf(&call->sql, " and %s = ",
                      trace    ? DIMENSIONS[1].sql
                      : !span  ? type ? "a.kind" : "a.name"
                      : status ? "s.status"
                      : type   ? "s.type"
                               : "s.name");
        add_value(call, IG_DB_T(condition.value));
        return IG_OK;
    }
    bool run = ig_str_is(condition.entity, "metadata") &&
               ig_str_is(condition.key, IG_TRACKING_TRACE_SOURCE_RUN);
    ig_buf_printf(&call->sql, " and (exists (select 1 from %s f where f.trace = r.id and f.key = ",
                  ig_str_is(condition.entity, "tag") ? "trace_tags" : "trace_metadata");
    add_value(call, IG_DB_T(condition.key));
    add(call, " and f.value = ");
    add_value(call, IG_DB_T(condition.value));
    add(call, ")");
    if (run) { /* of the runs that made them and of those linked */
        add(call, " or exists (select 1 from trace_runs l where l.trace = r.id and l.run = ");
        ig_buf_printf(&call->sql, "$%zu)", call->values_count);
    }
    add(call, ")");
    return IG_OK;
}

/* ---- the statement ---- */

static void add_range(struct call *call, const char *column)
{
    if (call->query->from_ms != INT64_MIN) {
        ig_buf_printf(&call->sql, " and %s >= ", column);
        add_value(call, IG_DB_I(call->query->from_ms));
    }
    if (call->query->until_ms != INT64_MAX) {
        ig_buf_printf(&call->sql, " and %s <= ", column);
        add_value(call, IG_DB_I(call->query->until_ms));
    }
}

static const char *dimension_sql(struct ig_str name)
{
    for (size_t i = 0; i < COUNT_OF(DIMENSIONS); i++)
        if (ig_str_is(name, DIMENSIONS[i].name)) return DIMENSIONS[i].sql;
    return "";
}

/* Columns: the value, the time, the dimensions. */
static enum ig_code write_sql(struct call *call, struct ig_err *err)
{
    const struct ig_trace_metric_query *query = call->query;
    static const char *const tables[] = {"traces r", "spans s join traces r on r.id = s.trace",
                                         "assessments a join traces r on r.id = a.trace"};
    bool spans = query->view == IG_TRACE_METRIC_SPANS;
    bool by_span_time = spans && ig_str_ends(query->metric, IG_STR("_cost"));
    add(call, "select v, at_ms");
    for (size_t i = 0; i < query->dimensions_count; i++) ig_buf_printf(&call->sql, ", d%zu", i);
    ig_buf_printf(&call->sql, " from (select %s as v, %s as at_ms", call->metric->sql,
                  spans ? "s.start_ns / 1000000" : "r.start_ms");
    for (size_t i = 0; i < query->dimensions_count; i++)
        ig_buf_printf(&call->sql, ", %s as d%zu", dimension_sql(query->dimensions[i]), i);
    ig_buf_printf(&call->sql, " from %s where r.experiment in (", tables[query->view]);
    for (size_t i = 0; i < query->experiments_count; i++) {
        if (i) add(call, ", ");
        add_value(call, IG_DB_I(query->experiments[i]));
    }
    add(call, query->view == IG_TRACE_METRIC_ASSESSMENTS ? ") and a.valid = 1" : ")");
    add_range(call, by_span_time ? "s.start_ns / 1000000" : "r.start_ms");
    for (size_t i = 0; i < query->filters_count; i++)
        if (add_condition(call, query->filters[i], err) != IG_OK) return err->code;
    add(call, ") q where v is not null");
    for (size_t i = 0; i < query->dimensions_count; i++)
        ig_buf_printf(&call->sql, " and d%zu is not null", i);
    add(call, " order by ");
    if (query->interval_s)
        ig_buf_printf(&call->sql, "at_ms / %lld, ", (long long)query->interval_s * 1000);
    for (size_t i = 0; i < query->dimensions_count; i++) ig_buf_printf(&call->sql, "d%zu, ", i);
    ig_buf_printf(&call->sql, "v limit %d", IG_TRACE_METRIC_ROWS_MAX + 1);
    return call->sql.overflowed ? ig_fail(err, IG_NO_MEMORY, "metrics of traces") : IG_OK;
}

/* ---- groups ---- */

static int by_value(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static double percentile(const struct group *group, double percent)
{
    double at = percent / 100 * (double)(group->count - 1), below = floor(at);
    size_t low = (size_t)below, high = low + 1 < group->count ? low + 1 : low;
    double part = at - below;
    return (1 - part) * group->values[low] + part * group->values[high];
}

static enum ig_code close_group(struct call *call, struct ig_err *err)
{
    struct group *group = &call->group;
    const struct ig_trace_metric_query *query = call->query;
    bool was_open = call->open;
    call->open = false;
    if (!was_open || !group->count || call->points_count == query->results_max) return IG_OK;
    call->points = ig_arena_grow(call->arena, call->points, call->points_count, &call->points_cap,
                                 sizeof *call->points);
    if (!call->points) return ig_fail(err, IG_NO_MEMORY, "metrics of traces");
    if (call->metric->types & BIT(PERCENTILE))
        qsort(group->values, group->count, sizeof *group->values, by_value);
    for (size_t i = 0; i < query->aggregations_count; i++) {
        const double values[IG_TRACE_METRIC_TYPES_COUNT] = {
            [IG_TRACE_METRIC_COUNT] = (double)group->count,
            [IG_TRACE_METRIC_SUM] = group->sum,
            [IG_TRACE_METRIC_AVG] = group->sum / (double)group->count,
            [IG_TRACE_METRIC_MIN] = group->least,
            [IG_TRACE_METRIC_MAX] = group->most};
        const struct ig_trace_metric_aggregation *aggregation = &query->aggregations[i];
        group->point.values[i] = aggregation->type == IG_TRACE_METRIC_PERCENTILE
                                     ? percentile(group, aggregation->percentile)
                                     : values[aggregation->type];
    }
    call->points[call->points_count++] = group->point;
    return IG_OK;
}

static int64_t bucket_of(const struct call *call, int64_t at_ms)
{
    int64_t width = call->query->interval_s * 1000;
    if (!width) return 0;
    return (at_ms / width - (at_ms % width < 0)) * width;
}

static enum ig_code open_group(struct call *call, struct ig_db_rows *rows, struct ig_err *err)
{
    struct group *group = &call->group;
    int64_t bucket = bucket_of(call, ig_db_i64(rows, 1));
    bool same = call->open && group->point.bucket_ms == bucket;
    for (size_t i = 0; same && i < call->query->dimensions_count; i++)
        same = ig_str_eq(group->point.dimensions[i], ig_db_text(rows, (int)i + 2));
    if (same) return IG_OK;
    if (close_group(call, err) != IG_OK) return err->code;
    group->point = (struct ig_trace_metric_point){.bucket_ms = bucket};
    for (size_t i = 0; i < call->query->dimensions_count; i++)
        group->point.dimensions[i] = ig_db_text_dup(rows, (int)i + 2, call->arena);
    group->count = 0;
    group->sum = 0;
    group->least = INFINITY;
    group->most = -INFINITY;
    group->last = (struct ig_str){NULL, 0};
    call->open = true;
    return call->arena->overflowed ? ig_fail(err, IG_NO_MEMORY, "metrics of traces") : IG_OK;
}

/* A member of JSON, NaN when it has none. */
static double member(const struct call *call, struct ig_str text)
{
    struct ig_arena none; /* of texts with escapes, which are not ours */
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    double value = NAN;
    ig_arena_init(&none, 1, 1);
    ig_json_init(&json, text, &none, &err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "usage")) return NAN;
    while (ig_json_member(&json)) {
        if (!ig_str_is(json.text, call->metric->member)) {
            if (!ig_json_skip(&json)) break;
        } else if (!ig_json_f64(&json, &value, "usage")) {
            break;
        }
    }
    ig_arena_deinit(&none);
    return value;
}

static enum ig_code add_row(struct call *call, struct ig_db_rows *rows, struct ig_err *err)
{
    struct group *group = &call->group;
    double value = 1;
    if (open_group(call, rows, err) != IG_OK) return err->code;
    if (call->metric->distinct) {
        if (group->last.ptr && ig_str_eq(group->last, ig_db_text(rows, 0))) return IG_OK;
        group->last = ig_db_text_dup(rows, 0, call->arena);
        if (!group->last.ptr) return ig_fail(err, IG_NO_MEMORY, "metrics of traces");
    } else if (call->metric->member) {
        value = member(call, ig_db_text(rows, 0));
    } else {
        value = ig_db_f64(rows, 0);
    }
    if (isnan(value)) return IG_OK;
    if (call->metric->types & BIT(PERCENTILE)) {
        if (group->count == group->cap) {
            size_t cap = group->cap ? group->cap * 2 : 64;
            double *grown = ig_realloc(group->values, cap * sizeof *grown);
            if (!grown) return ig_fail(err, IG_NO_MEMORY, "metrics of traces");
            group->values = grown;
            group->cap = cap;
        }
        group->values[group->count] = value;
    }
    group->count++;
    group->sum += value;
    if (value < group->least) group->least = value;
    if (value > group->most) group->most = value;
    return IG_OK;
}

static enum ig_code work(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct call *call = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0;
    if (ig_db_query_once(&rows, tx, call->sql.ptr, call->values, call->values_count, err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        if (++count > IG_TRACE_METRIC_ROWS_MAX)
            ig_fail(err, IG_TOO_LARGE, "metrics of traces: more than %d rows, narrow the time",
                    IG_TRACE_METRIC_ROWS_MAX);
        else
            add_row(call, rows, err);
        if (err->code != IG_OK) break;
    }
    ig_db_finish(rows);
    return err->code == IG_OK ? close_group(call, err) : err->code;
}

enum ig_code ig_trace_metrics(struct ig_trace_metric_points *out, struct ig_db *db,
                              const struct ig_trace_metric_query *query, struct ig_arena *arena,
                              struct ig_err *err)
{
    const struct metric *metric = NULL;
    if (check(&metric, query, err) != IG_OK) return err->code;
    struct call *call = ig_arena_zalloc(arena, sizeof *call);
    if (!call) return ig_fail(err, IG_NO_MEMORY, "metrics of traces");
    call->query = query;
    call->metric = metric;
    call->arena = arena;
    ig_buf_init(&call->sql, SQL_BYTES_MAX);
    if (write_sql(call, err) == IG_OK && query->experiments_count) ig_db_read(db, work, call, err);
    ig_buf_deinit(&call->sql);
    ig_free(call->group.values);
    if (err->code == IG_OK)
        *out = (struct ig_trace_metric_points){call->points, call->points_count};
    return err->code;
}
