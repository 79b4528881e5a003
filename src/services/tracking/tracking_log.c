/* SPDX-License-Identifier: Apache-2.0 */
/* What runs log: parameters once, metrics as a history with the latest of each key beside it, tags.
 *
 * 1. A batch is one transaction: all of it is there, or nothing.
 * 2. A metric that repeats one (key, step, time and value) is dropped, as with MLflow.
 * 3. The latest of a key is the greatest by step, then time, then value, NaN counting as 0;
 * whatever the order in which metrics arrive. */
#include "services/tracking/metric_journal.h"
#include "services/tracking/tracking_priv.h"

#include "base/num.h"

#include <float.h>
#include <math.h>
#include <stdio.h>

enum { KIND_NUMBER, KIND_NAN, KIND_INFINITE, KIND_MINUS_INFINITE };

double ig_tracking_metric_stands_for(double stored, int64_t kind)
{
    switch (kind) {
    case KIND_NAN:
        return NAN;
    case KIND_INFINITE:
        return INFINITY;
    case KIND_MINUS_INFINITE:
        return -INFINITY;
    default:
        return stored;
    }
}

double ig_tracking_metric_value(struct ig_db_rows *rows, int value_column, int kind_column)
{
    return ig_tracking_metric_stands_for(ig_db_f64(rows, value_column),
                                         ig_db_i64(rows, kind_column));
}

struct ig_db_value ig_tracking_metric_stored(double value, int64_t *kind)
{
    *kind = KIND_NUMBER;
    if (isnan(value)) {
        *kind = KIND_NAN;
        return IG_DB_N();
    }
    if (isinf(value)) {
        *kind = value > 0 ? KIND_INFINITE : KIND_MINUS_INFINITE;
        return IG_DB_F(value > 0 ? DBL_MAX : -DBL_MAX);
    }
    return IG_DB_F(value);
}

struct log_call {
    struct ig_str id;
    const struct ig_tracking_batch *batch;
};

/* A parameter that is there already: the same value is fine. */
static enum ig_code compare_param(struct ig_db_tx *tx, const struct log_call *call,
                                  struct ig_tracking_pair param, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        ig_db_query(&rows, tx, "select value from params where run = $1 and key = $2",
                    IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(param.key)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err) && !ig_str_eq(ig_db_text(rows, 0), param.value)) {
        struct ig_str key = ig_tracking_cut(param.key, 60);
        struct ig_str old = ig_tracking_cut(ig_db_text(rows, 0), 60);
        struct ig_str given = ig_tracking_cut(param.value, 60);
        if (call->batch->single)
            ig_fail(err, IG_INVALID,
                    "Changing param values is not allowed. Param with key='%.*s' was already "
                    "logged with value='%.*s' for run ID='%.*s'. Attempted logging new value "
                    "'%.*s'.",
                    IG_STR_ARGS(key), IG_STR_ARGS(old), IG_STR_ARGS(call->id), IG_STR_ARGS(given));
        else
            ig_fail(err, IG_INVALID,
                    "Changing param values is not allowed. Params were already logged='[{'key': "
                    "'%.*s', 'old_value': '%.*s', 'new_value': '%.*s'}]' for run ID='%.*s'.",
                    IG_STR_ARGS(key), IG_STR_ARGS(old), IG_STR_ARGS(given), IG_STR_ARGS(call->id));
    }
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code put_param(struct ig_db_tx *tx, const struct log_call *call,
                              struct ig_tracking_pair param, struct ig_err *err)
{
    param.value = ig_tracking_cut(param.value, IG_TRACKING_PARAM_MAX);
    enum ig_code code =
        ig_db_exec(tx,
                   "insert into params(run, key, value) values($1, $2, $3)"
                   " on conflict (run, key) do nothing",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(param.key), IG_DB_T(param.value)), err);
    if (code != IG_OK || ig_db_changes(tx)) return code;
    return compare_param(tx, call, param, err);
}

/* Metrics alone go to the journal. Those that come with other things are put where they are read,
 * so that who reads a batch reads all of it. */
static enum ig_code put_metrics(struct ig_db_tx *tx, const struct log_call *call,
                                int64_t experiment, struct ig_err *err)
{
    const struct ig_tracking_batch *batch = call->batch;
    for (size_t i = 0; i < batch->metrics.count; i++)
        if (batch->metrics.items[i].model_id.len &&
            ig_logged_metric_put(tx, call->id, &batch->metrics.items[i], err) != IG_OK)
            return err->code;
    if (batch->params.count || batch->tags.count)
        return ig_tracking_metrics_put(tx, call->id, experiment, batch->metrics, err);
    return ig_metric_journal_add(tx, call->id, batch->metrics, err);
}

static enum ig_code log_batch(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct log_call *call = context;
    const struct ig_tracking_batch *batch = call->batch;
    int64_t experiment;
    enum ig_code code = ig_tracking_run_must_be_active(tx, call->id, &experiment, err);
    for (size_t i = 0; code == IG_OK && i < batch->params.count; i++)
        code = put_param(tx, call, batch->params.items[i], err);
    if (code == IG_OK && batch->metrics.count) code = put_metrics(tx, call, experiment, err);
    for (size_t i = 0; code == IG_OK && i < batch->tags.count; i++) {
        struct ig_tracking_pair tag = batch->tags.items[i];
        tag.value = ig_tracking_cut(tag.value, IG_TRACKING_TAG_MAX);
        code = ig_tracking_run_tag_put(tx, call->id, tag, err);
    }
    return code;
}

/* "key" or "params[3].key". */
static const char *field(char text[48], bool single, const char *list, size_t at, const char *name)
{
    if (single)
        snprintf(text, 48, "%s", name);
    else
        snprintf(text, 48, "%s[%zu].%s", list, at, name);
    return text;
}

/* Its place is made a text when it is wrong. */
static enum ig_code check_key(const struct ig_tracking_batch *batch, const char *list, size_t at,
                              const char *name, struct ig_str key, struct ig_err *err)
{
    struct ig_err unplaced;
    char text[48];
    ig_err_clear(&unplaced);
    if (ig_tracking_check_key(key, "", &unplaced) == IG_OK) return IG_OK;
    return ig_tracking_check_key(key, field(text, batch->single, list, at, name), err);
}

static enum ig_code check_metric(const struct ig_tracking_batch *batch, size_t at,
                                 struct ig_err *err)
{
    const struct ig_tracking_metric *metric = &batch->metrics.items[at];
    char name[48], value[IG_NUM_TEXT_MAX];
    if (check_key(batch, "metrics", at, "name", metric->key, err) != IG_OK) return err->code;
    if (metric->at_ms >= 0) return IG_OK;
    ig_num_format_f64(value, metric->value);
    return ig_fail(err, IG_INVALID,
                   "Invalid value %lld for parameter '%s' supplied: metric '%.*s' (value=%s). "
                   "Timestamp must be a nonnegative long (64-bit integer) ",
                   (long long)metric->at_ms, field(name, batch->single, "metrics", at, "timestamp"),
                   IG_STR_ARGS(ig_tracking_cut(metric->key, 100)), value);
}

static enum ig_code check_limit(const char *what, size_t limit, size_t count, struct ig_err *err)
{
    if (count <= limit) return IG_OK;
    return ig_fail(err, IG_INVALID,
                   "A batch logging request can contain at most %zu %s. Got %zu %s. Please split "
                   "up %s across multiple requests and try again.",
                   limit, what, count, what, what);
}

static enum ig_code check_limits(const struct ig_tracking_batch *batch, struct ig_err *err)
{
    size_t metrics = batch->metrics.count, params = batch->params.count, tags = batch->tags.count;
    enum ig_code code = check_limit("metrics", IG_TRACKING_METRICS_MAX, metrics, err);
    if (code == IG_OK) code = check_limit("params", IG_TRACKING_PARAMS_MAX, params, err);
    if (code == IG_OK) code = check_limit("tags", IG_TRACKING_TAGS_MAX, tags, err);
    if (code != IG_OK) return code;
    return check_limit("metrics, params, and tags", IG_TRACKING_ENTITIES_MAX,
                       metrics + params + tags, err);
}

/* At most 100 of them. */
static enum ig_code check_unique(struct ig_tracking_pairs params, struct ig_err *err)
{
    for (size_t i = 1; i < params.count; i++) {
        for (size_t j = 0; j < i; j++) {
            if (!ig_str_eq(params.items[i].key, params.items[j].key)) continue;
            return ig_fail(err, IG_INVALID,
                           "Duplicate parameter keys have been submitted: ['%.*s']. Please ensure "
                           "the request contains only one param value per param key.",
                           IG_STR_ARGS(params.items[i].key));
        }
    }
    return IG_OK;
}

static enum ig_code check_batch(const struct ig_tracking_batch *batch, struct ig_err *err)
{
    if (check_limits(batch, err) != IG_OK) return err->code;
    for (size_t i = 0; i < batch->metrics.count; i++)
        if (check_metric(batch, i, err) != IG_OK) return err->code;
    for (size_t i = 0; i < batch->params.count; i++)
        if (check_key(batch, "params", i, "key", batch->params.items[i].key, err) != IG_OK)
            return err->code;
    for (size_t i = 0; i < batch->tags.count; i++)
        if (check_key(batch, "tags", i, "key", batch->tags.items[i].key, err) != IG_OK)
            return err->code;
    return check_unique(batch->params, err);
}

enum ig_code ig_tracking_log(struct ig_tracking *tracking, struct ig_str id,
                             const struct ig_tracking_batch *batch, struct ig_err *err)
{
    struct log_call call = {id, batch};
    if (check_batch(batch, err) != IG_OK) return err->code;
    return ig_tracking_write(tracking, id, log_batch, &call, err);
}

static enum ig_code log_later(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct ig_tracking_logging *logging = context;
    struct log_call call = {logging->id, &logging->batch};
    return log_batch(tx, &call, err);
}

static void logged(struct ig_db_pending *pending)
{
    struct ig_tracking_logging *logging = pending->context;
    ig_tracking_changed(logging->tracking, logging->id);
    logging->done(logging, pending->code);
}

enum ig_code ig_tracking_log_later(struct ig_tracking_logging *logging)
{
    logging->pending = (struct ig_db_pending){
        .work = log_later, .context = logging, .err = logging->err, .done = logged};
    if (check_batch(&logging->batch, logging->err) != IG_OK) return logging->err->code;
    return ig_db_write_later(logging->tracking->db, &logging->pending);
}
