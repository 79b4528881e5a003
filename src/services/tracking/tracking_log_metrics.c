/* SPDX-License-Identifier: Apache-2.0 */
/* Metrics of a run where they are read: those of a key that has several as a chunk, the others
 * several rows a statement, since a database elsewhere costs a round trip for each.
 *
 * 1. The key of a history's rows is the whole row, so one that repeats another is dropped.
 * 2. Of each key only the greatest is compared with the latest, which is the same as to compare all
 *    of them.
 * 3. Whether a key's rows and small chunks have become many is looked at once in so many metrics,
 *    as a hash of them says, so nothing is counted.
 *
 * Thread rule: the writer's thread; the statements' texts are made once. */
#include "base/hash.h"
#include "services/tracking/metric_points.h"
#include "services/tracking/tracking_priv.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SIZES = 3, ROW_VALUES = 5, ROWS_MAX = 50, TEXT_MAX = 8192, LOOK_EVERY = 64 };
enum { CHUNK_BYTES = 64 << 10, KEYS_BYTES_MAX = 16 << 20 };
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

struct key {
    const struct ig_tracking_metric *greatest;
    uint32_t first, last, count; /* its metrics: from the first on by `next` */
};

struct by_key {
    struct ig_tracking_metrics metrics;
    struct key *keys;
    size_t count;
    uint32_t *next, *slots; /* slots: of keys, from 1 on */
    size_t slots_mask;
    struct ig_arena arena;
};

static void add_metric(struct by_key *by, uint32_t at)
{
    const struct ig_tracking_metric *metric = &by->metrics.items[at];
    size_t slot = ig_hash64(metric->key.ptr, metric->key.len) & by->slots_mask;
    while (by->slots[slot] && !ig_str_eq(by->keys[by->slots[slot] - 1].greatest->key, metric->key))
        slot = (slot + 1) & by->slots_mask;
    if (!by->slots[slot]) {
        by->keys[by->count++] = (struct key){metric, at, at, 1};
        by->slots[slot] = (uint32_t)by->count;
        return;
    }
    struct key *key = &by->keys[by->slots[slot] - 1];
    if (is_greater(metric, key->greatest)) key->greatest = metric;
    by->next[key->last] = at;
    key->last = at;
    key->count++;
}

static int by_name(const void *a, const void *b)
{
    struct ig_str x = ((const struct key *)a)->greatest->key;
    struct ig_str y = ((const struct key *)b)->greatest->key;
    int order = memcmp(x.ptr, y.ptr, x.len < y.len ? x.len : y.len);
    return order ? order : (x.len > y.len) - (x.len < y.len);
}

/* In the order in which the tables have them: neighbours lie on the same pages. */
static enum ig_code sort_by_key(struct by_key *by, struct ig_tracking_metrics metrics,
                                struct ig_err *err)
{
    size_t slots = 2;
    while (slots < 2 * metrics.count) slots *= 2;
    *by = (struct by_key){.metrics = metrics, .slots_mask = slots - 1};
    ig_arena_init(&by->arena, CHUNK_BYTES, KEYS_BYTES_MAX);
    by->keys = ig_arena_array(&by->arena, metrics.count, sizeof *by->keys);
    by->next = ig_arena_array(&by->arena, metrics.count, sizeof *by->next);
    by->slots = ig_arena_array(&by->arena, slots, sizeof *by->slots);
    if (by->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "metrics");
    for (size_t i = 0; i < metrics.count; i++) add_metric(by, (uint32_t)i);
    qsort(by->keys, by->count, sizeof *by->keys, by_name);
    return IG_OK;
}

static enum ig_code put_chunk(struct ig_db_tx *tx, struct ig_str run, const struct by_key *by,
                              const struct key *key, struct ig_err *err)
{
    struct ig_metric_points points = {0};
    uint32_t at = key->first;
    for (uint32_t i = 0; i < key->count; i++, at = by->next[at]) {
        const struct ig_tracking_metric *metric = &by->metrics.items[at];
        const struct ig_tracking_point point = {metric->at_ms, metric->step, metric->value};
        if (ig_metric_points_add(&points, point)) continue;
        ig_fail(err, IG_NO_MEMORY, "metrics");
        break;
    }
    if (err->code == IG_OK) ig_metric_chunks_put(tx, run, key->greatest->key, &points, err);
    ig_metric_points_deinit(&points);
    return err->code;
}

static bool is_looked_at(struct ig_str run, const struct key *key)
{
    struct {
        int64_t at_ms, step;
        double value;
    } point = {key->greatest->at_ms, key->greatest->step, key->greatest->value};
    uint64_t hash = ig_hash64(run.ptr, run.len) ^ ig_hash64(&point, sizeof point) ^
                    ig_hash64(key->greatest->key.ptr, key->greatest->key.len);
    return key->count < IG_METRIC_PIECES_MAX && hash % LOOK_EVERY < key->count;
}

static enum ig_code put_histories(struct ig_db_tx *tx, struct ig_str run, struct by_key *by,
                                  struct ig_err *err)
{
    const struct ig_tracking_metric **rows =
        ig_arena_array(&by->arena, by->metrics.count, sizeof(struct ig_tracking_metric *));
    size_t count = 0;
    if (!rows) return ig_fail(err, IG_NO_MEMORY, "metrics");
    for (size_t i = 0; i < by->count; i++) {
        const struct key *key = &by->keys[i];
        if (key->count >= IG_METRIC_CHUNK_MIN && put_chunk(tx, run, by, key, err) != IG_OK)
            return err->code;
        uint32_t at = key->first;
        for (uint32_t j = 0; key->count < IG_METRIC_CHUNK_MIN && j < key->count; j++) {
            rows[count++] = &by->metrics.items[at];
            at = by->next[at];
        }
    }
    if (put_history(tx, run, rows, count, err) != IG_OK) return err->code;
    for (size_t i = 0; i < by->count && err->code == IG_OK; i++)
        if (is_looked_at(run, &by->keys[i]))
            ig_metric_chunks_pack(tx, run, by->keys[i].greatest->key, err);
    return err->code;
}

static enum ig_code put_latest(struct ig_db_tx *tx, struct ig_str run, int64_t experiment,
                               const struct by_key *by, struct ig_err *err)
{
    struct ig_db_value values[2 + ROWS_MAX * ROW_VALUES] = {IG_DB_T(run), IG_DB_I(experiment)};
    const struct ig_tracking_metric *greatest[ROWS_MAX];
    for (size_t from = 0; from < by->count;) {
        size_t size = size_for(by->count - from), rows = ROWS[size];
        for (size_t i = 0; i < rows; i++) greatest[i] = by->keys[from + i].greatest;
        bind(values + 2, greatest, rows);
        if (ig_db_exec(tx, latest_sql[size], values, 2 + rows * ROW_VALUES, err) != IG_OK)
            return err->code;
        from += rows;
    }
    return IG_OK;
}

enum ig_code ig_tracking_metrics_put(struct ig_db_tx *tx, struct ig_str run, int64_t experiment,
                                     struct ig_tracking_metrics metrics, struct ig_err *err)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    struct by_key by;
    pthread_once(&once, write_texts);
    if (sort_by_key(&by, metrics, err) == IG_OK && put_histories(tx, run, &by, err) == IG_OK)
        put_latest(tx, run, experiment, &by, err);
    ig_arena_deinit(&by.arena);
    return err->code;
}
