/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a batch, several rows a statement: a database elsewhere costs a round trip for each.
 *
 * 1. The key of a history is the whole row, so one that repeats another is dropped.
 * 2. Of each key only the greatest of the batch is compared with the latest, which is the same as
 * to compare all of them.
 *
 * Thread rule: stateless, but for the statements' texts, which are made once. */
#include "base/hash.h"
#include "services/tracking/tracking_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>

enum { SIZES = 3, ROW_VALUES = 5, ROWS_MAX = 50, SLOTS = 2048, TEXT_MAX = 8192 };
static const size_t ROWS[SIZES] = {ROWS_MAX, 10, 1};

/* By size; cached by their addresses, as literals are. */
static char history_sql[SIZES][TEXT_MAX], latest_sql[SIZES][TEXT_MAX];

static const char LATEST_RULE[] =
    " on conflict (run, key) do update"
    " set step = excluded.step, at_ms = excluded.at_ms, value = excluded.value,"
    " kind = excluded.kind where excluded.step > latest_metrics.step"
    " or (excluded.step = latest_metrics.step and (excluded.at_ms > latest_metrics.at_ms"
    "  or (excluded.at_ms = latest_metrics.at_ms"
    "   and coalesce(excluded.value, 0) > coalesce(latest_metrics.value, 0))))";

/* `head` ends before the rows, whose leading `shared` values are the same in all. */
static void write_text(char out[TEXT_MAX], const char *head, size_t shared, size_t rows,
                       const char *tail)
{
    bool history = shared == 1;
    size_t at = (size_t)snprintf(out, TEXT_MAX, "%s", head);
    for (size_t i = 0; i < rows; i++) {
        size_t first = shared + 1 + i * ROW_VALUES;
        at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s($1, %s$%zu, $%zu, $%zu, $%zu, ",
                               i ? ", " : "", history ? "" : "$2, ", first, first + 1, first + 2,
                               first + 3);
        at += (size_t)snprintf(out + at, TEXT_MAX - at,
                               history ? "$%zu)" : "case $%zu when 1 then null else $%zu end)",
                               history ? first + 4 : first + 3, first + 4);
    }
    at += (size_t)snprintf(out + at, TEXT_MAX - at, "%s", tail);
    IG_ASSERT(at < TEXT_MAX);
}

static void write_texts(void)
{
    for (size_t i = 0; i < SIZES; i++) {
        write_text(history_sql[i],
                   "insert into metrics(run, key, step, at_ms, kind, value) values ", 1, ROWS[i],
                   " on conflict do nothing");
        write_text(latest_sql[i],
                   "insert into latest_metrics(run, experiment, key, step, at_ms, kind, value)"
                   " values ",
                   2, ROWS[i], LATEST_RULE);
    }
}

/* The greatest size that fits, by its index. */
static size_t size_for(size_t left)
{
    size_t size = 0;
    while (ROWS[size] > left) size++;
    return size;
}

static void bind(struct ig_db_value *rows, const struct ig_tracking_metric *const *metrics,
                 size_t count)
{
    for (size_t i = 0; i < count; i++) {
        struct ig_db_value *row = rows + i * ROW_VALUES;
        int64_t kind;
        struct ig_db_value value = ig_tracking_metric_stored(metrics[i]->value, &kind);
        row[0] = IG_DB_T(metrics[i]->key);
        row[1] = IG_DB_I(metrics[i]->step);
        row[2] = IG_DB_I(metrics[i]->at_ms);
        row[3] = IG_DB_I(kind);
        row[4] = value.kind == IG_DB_NULL ? IG_DB_F(0) : value; /* the same kind in every row */
    }
}

static enum ig_code put_history(struct ig_db_tx *tx, struct ig_str run,
                                const struct ig_tracking_metric *const *metrics, size_t count,
                                struct ig_err *err)
{
    struct ig_db_value values[1 + ROWS_MAX * ROW_VALUES] = {IG_DB_T(run)};
    for (size_t from = 0; from < count;) {
        size_t size = size_for(count - from), rows = ROWS[size];
        bind(values + 1, metrics + from, rows);
        if (ig_db_exec(tx, history_sql[size], values, 1 + rows * ROW_VALUES, err) != IG_OK)
            return err->code;
        from += rows;
    }
    return IG_OK;
}

/* Whether it goes over `old` as the latest of their key. */
static bool is_greater(const struct ig_tracking_metric *metric,
                       const struct ig_tracking_metric *old)
{
    int64_t ignored;
    if (metric->step != old->step) return metric->step > old->step;
    if (metric->at_ms != old->at_ms) return metric->at_ms > old->at_ms;
    return ig_tracking_metric_stored(metric->value, &ignored).real >
           ig_tracking_metric_stored(old->value, &ignored).real; /* NaN: 0 */
}

/* The greatest of each key, in place, in the order in which keys come first; returns how many. */
static size_t keep_greatest(const struct ig_tracking_metric **metrics, size_t count)
{
    uint16_t slots[SLOTS] = {0}; /* positions from 1 on */
    size_t kept = 0;
    for (size_t i = 0; i < count; i++) {
        const struct ig_tracking_metric *metric = metrics[i];
        size_t slot = ig_hash64(metric->key.ptr, metric->key.len) % SLOTS;
        while (slots[slot] && !ig_str_eq(metrics[slots[slot] - 1]->key, metric->key))
            slot = (slot + 1) % SLOTS;
        if (!slots[slot]) {
            metrics[kept++] = metric;
            slots[slot] = (uint16_t)kept;
        } else if (is_greater(metric, metrics[slots[slot] - 1])) {
            metrics[slots[slot] - 1] = metric;
        }
    }
    return kept;
}

enum ig_code ig_tracking_metrics_put(struct ig_db_tx *tx, struct ig_str run, int64_t experiment,
                                     struct ig_tracking_metrics metrics, struct ig_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    const struct ig_tracking_metric *all[IG_TRACKING_METRICS_MAX];
    struct ig_db_value values[2 + ROWS_MAX * ROW_VALUES] = {IG_DB_T(run), IG_DB_I(experiment)};
    pthread_once(&once, write_texts);
    IG_ASSERT(metrics.count <= IG_TRACKING_METRICS_MAX);
    for (size_t i = 0; i < metrics.count; i++) {
        all[i] = &metrics.items[i];
        if (all[i]->model_id.len && ig_logged_metric_put(tx, run, all[i], err) != IG_OK)
            return err->code;
    }
    if (put_history(tx, run, all, metrics.count, err) != IG_OK) return err->code;
    size_t count = keep_greatest(all, metrics.count);
    for (size_t from = 0; from < count;) {
        size_t size = size_for(count - from), rows = ROWS[size];
        bind(values + 2, all + from, rows);
        if (ig_db_exec(tx, latest_sql[size], values, 2 + rows * ROW_VALUES, err) != IG_OK)
            return err->code;
        from += rows;
    }
    return IG_OK;
}
