/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a batch: those of a key that has many as a chunk, the others several rows a statement,
 * since a database elsewhere costs a round trip for each.
 *
 * 1. The key of a history's rows is the whole row, so one that repeats another is dropped.
 * 2. Of each key only the greatest of the batch is compared with the latest, which is the same as
 * to compare all of them.
 *
 * Thread rule: the writer's thread; the statements' texts are made once. */
#include "base/hash.h"
#include "services/tracking/metric_points.h"
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

/* The batch by keys, in the order in which they come first. */
struct by_key {
    uint16_t slots[SLOTS];                                              /* of keys, from 1 on */
    const struct ig_tracking_metric *greatest[IG_TRACKING_METRICS_MAX]; /* of each key */
    uint16_t of[IG_TRACKING_METRICS_MAX];                               /* a metric's key */
    uint16_t counts[IG_TRACKING_METRICS_MAX];
    size_t count;
};

static void sort_by_key(struct by_key *keys, struct ig_tracking_metrics metrics)
{
    for (size_t i = 0; i < metrics.count; i++) {
        const struct ig_tracking_metric *metric = &metrics.items[i];
        size_t slot = ig_hash64(metric->key.ptr, metric->key.len) % SLOTS;
        while (keys->slots[slot] &&
               !ig_str_eq(keys->greatest[keys->slots[slot] - 1]->key, metric->key))
            slot = (slot + 1) % SLOTS;
        if (!keys->slots[slot]) {
            keys->greatest[keys->count++] = metric;
            keys->slots[slot] = (uint16_t)keys->count;
        }
        size_t key = keys->slots[slot] - 1u;
        if (is_greater(metric, keys->greatest[key])) keys->greatest[key] = metric;
        keys->of[i] = (uint16_t)key;
        keys->counts[key]++;
    }
}

static enum ig_code put_chunk(struct ig_db_tx *tx, struct ig_str run, size_t key,
                              const struct by_key *keys, struct ig_tracking_metrics metrics,
                              struct ig_err *err)
{
    struct ig_tracking_point items[IG_TRACKING_METRICS_MAX];
    struct ig_metric_points points = {.items = items};
    for (size_t i = 0; i < metrics.count; i++) {
        const struct ig_tracking_metric *metric = &metrics.items[i];
        if (keys->of[i] == key)
            items[points.count++] =
                (struct ig_tracking_point){metric->at_ms, metric->step, metric->value};
    }
    return ig_metric_chunks_put(tx, run, keys->greatest[key]->key, &points, err);
}

/* Rows of a metric that become many are packed. The counts are shared by hash and begin anew with
 * the process, which only moves the moment. */
static enum ig_code note_rows(struct ig_db_tx *tx, struct ig_tracking *tracking, struct ig_str run,
                              const struct by_key *keys, struct ig_err *err)
{
    uint64_t of_run = ig_hash64(run.ptr, run.len);
    for (size_t i = 0; i < keys->count && err->code == IG_OK; i++) {
        struct ig_str key = keys->greatest[i]->key;
        size_t slot = (of_run ^ ig_hash64(key.ptr, key.len)) % IG_TRACKING_ROW_COUNTS;
        uint16_t *rows = &tracking->metric_rows[slot];
        if (keys->counts[i] >= IG_METRIC_CHUNK_MIN) continue;
        *rows = (uint16_t)(*rows + keys->counts[i]);
        if (*rows < IG_METRIC_ROWS_MAX) continue;
        *rows = 0;
        ig_metric_chunks_pack(tx, run, key, err);
    }
    return err->code;
}

static enum ig_code put_histories(struct ig_db_tx *tx, struct ig_tracking *tracking,
                                  struct ig_str run, const struct by_key *keys,
                                  struct ig_tracking_metrics metrics, struct ig_err *err)
{
    const struct ig_tracking_metric *rows[IG_TRACKING_METRICS_MAX];
    size_t count = 0;
    for (size_t i = 0; i < metrics.count; i++)
        if (keys->counts[keys->of[i]] < IG_METRIC_CHUNK_MIN) rows[count++] = &metrics.items[i];
    for (size_t key = 0; key < keys->count; key++)
        if (keys->counts[key] >= IG_METRIC_CHUNK_MIN &&
            put_chunk(tx, run, key, keys, metrics, err) != IG_OK)
            return err->code;
    if (put_history(tx, run, rows, count, err) != IG_OK) return err->code;
    return note_rows(tx, tracking, run, keys, err);
}

enum ig_code ig_tracking_metrics_put(struct ig_db_tx *tx, struct ig_tracking *tracking,
                                     struct ig_str run, int64_t experiment,
                                     struct ig_tracking_metrics metrics, struct ig_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct by_key keys = {.count = 0};
    struct ig_db_value values[2 + ROWS_MAX * ROW_VALUES] = {IG_DB_T(run), IG_DB_I(experiment)};
    pthread_once(&once, write_texts);
    IG_ASSERT(metrics.count <= IG_TRACKING_METRICS_MAX);
    for (size_t i = 0; i < metrics.count; i++)
        if (metrics.items[i].model_id.len &&
            ig_logged_metric_put(tx, run, &metrics.items[i], err) != IG_OK)
            return err->code;
    sort_by_key(&keys, metrics);
    if (put_histories(tx, tracking, run, &keys, metrics, err) != IG_OK) return err->code;
    for (size_t from = 0; from < keys.count;) {
        size_t size = size_for(keys.count - from), rows = ROWS[size];
        bind(values + 2, keys.greatest + from, rows);
        if (ig_db_exec(tx, latest_sql[size], values, 2 + rows * ROW_VALUES, err) != IG_OK)
            return err->code;
        from += rows;
    }
    return IG_OK;
}
