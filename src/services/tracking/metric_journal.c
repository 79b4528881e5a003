/* SPDX-License-Identifier: Apache-2.0 */
/* The table metric_journal.
 *
 * 1. A row is what one call logged of a run: of each metric the key's length (2 bytes), the key and
 *    the point (metric_points.h).
 * 2. The last row's `points_total` is at least the number of metrics in the journal.
 * 3. The journal is emptied by the transaction that puts its metrics where they are read, so each
 *    is in one place, whatever the moment at which a process is killed.
 * 4. A disk that takes no more is read all the same: in a transaction that is undone.
 *
 * Thread rule: as the transaction; ig_tracking_read and ig_tracking_settle are thread-safe. */
#include "services/tracking/metric_journal.h"

#include "base/vec.h"
#include "services/tracking/metric_points.h"

#include <string.h>

enum { LENGTH_BYTES = 2, CHUNK_BYTES = 64 << 10, KEPT_BYTES_MAX = 32 << 20 };

/* ---- writing ---- */

static size_t encode(unsigned char *out, const struct ig_tracking_metric *metric)
{
    const struct ig_tracking_point point = {metric->at_ms, metric->step, metric->value};
    out[0] = (unsigned char)metric->key.len;
    out[1] = (unsigned char)(metric->key.len >> 8);
    memcpy(out + LENGTH_BYTES, metric->key.ptr, metric->key.len);
    ig_metric_point_encode(out + LENGTH_BYTES + metric->key.len, &point);
    return LENGTH_BYTES + metric->key.len + IG_METRIC_POINT_BYTES;
}

static enum ig_code read_last(int64_t *id, int64_t *total, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select id, points_total from metric_journal order by id desc limit 1", NULL, 0,
                    err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err)) {
        *id = ig_db_i64(rows, 0);
        *total = ig_db_i64(rows, 1);
    }
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_metric_journal_add(struct ig_db_tx *tx, struct ig_str run,
                                   struct ig_tracking_metrics metrics, struct ig_err *err)
{
    int64_t id = 0, total = 0;
    size_t size = 0, at = 0;
    if (read_last(&id, &total, tx, err) != IG_OK) return err->code;
    if (total >= IG_METRIC_JOURNAL_MAX) {
        if (ig_metric_journal_settle(tx, err) != IG_OK) return err->code;
        id = total = 0;
    }
    for (size_t i = 0; i < metrics.count; i++)
        size += LENGTH_BYTES + metrics.items[i].key.len + IG_METRIC_POINT_BYTES;
    unsigned char *bytes = ig_alloc(size);
    if (!bytes) return ig_fail(err, IG_NO_MEMORY, "metrics");
    for (size_t i = 0; i < metrics.count; i++) at += encode(bytes + at, &metrics.items[i]);
    ig_db_exec(tx,
               "insert into metric_journal(id, run, points_total, points) values($1, $2, $3, $4)",
               IG_DB_VALUES(IG_DB_I(id + 1), IG_DB_T(run), IG_DB_I(total + (int64_t)metrics.count),
                            IG_DB_B(((struct ig_str){(char *)bytes, size}))),
               err);
    ig_free(bytes);
    return err->code;
}

/* ---- settling ---- */

/* The metrics of a run, which come one after another. */
struct settling {
    struct ig_db_tx *tx;
    struct ig_arena arena; /* holds the keys */
    struct ig_str run;
    struct {
        struct ig_tracking_metric *items;
        size_t count, cap;
    } metrics;
};

/* What is logged of a run that is gone since is of no use. */
static enum ig_code find_experiment(int64_t *out, bool *there, const struct settling *settling,
                                    struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, settling->tx, "select experiment from runs where id = $1",
                    IG_DB_VALUES(IG_DB_T(settling->run)), err) != IG_OK)
        return err->code;
    *there = ig_db_next(rows, err);
    if (*there) *out = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code put_run(struct settling *settling, struct ig_err *err)
{
    const struct ig_tracking_metrics metrics = {settling->metrics.items, settling->metrics.count};
    int64_t experiment = 0;
    bool there = false;
    if (metrics.count && find_experiment(&experiment, &there, settling, err) == IG_OK && there)
        ig_tracking_metrics_put(settling->tx, settling->run, experiment, metrics, err);
    settling->metrics.count = 0;
    settling->run = (struct ig_str){0};
    ig_arena_reset(&settling->arena);
    return err->code;
}

static enum ig_code take(struct settling *settling, struct ig_str row, struct ig_err *err)
{
    struct ig_str kept = ig_arena_dup(&settling->arena, row);
    if (!kept.ptr) return ig_fail(err, IG_NO_MEMORY, "metrics that were logged");
    while (kept.len) {
        const unsigned char *bytes = (const unsigned char *)kept.ptr;
        size_t length = kept.len < LENGTH_BYTES ? 0 : bytes[0] | (size_t)bytes[1] << 8;
        size_t size = LENGTH_BYTES + length + IG_METRIC_POINT_BYTES;
        if (kept.len < size)
            return ig_fail(err, IG_CORRUPT, "a row of the journal of metrics ends too early");
        struct ig_tracking_point point = ig_metric_point_decode(bytes + LENGTH_BYTES + length);
        const struct ig_tracking_metric metric = {.key = {kept.ptr + LENGTH_BYTES, length},
                                                  .value = point.value,
                                                  .at_ms = point.at_ms,
                                                  .step = point.step};
        if (!IG_VEC_PUSH(&settling->metrics, metric,
                         IG_METRIC_JOURNAL_MAX + IG_TRACKING_METRICS_MAX))
            return ig_fail(err, IG_NO_MEMORY, "metrics that were logged");
        kept = (struct ig_str){kept.ptr + size, kept.len - size};
    }
    return IG_OK;
}

enum ig_code ig_metric_journal_settle(struct ig_db_tx *tx, struct ig_err *err)
{
    struct settling settling = {.tx = tx};
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select run, points from metric_journal order by run, id", NULL, 0,
                    err) != IG_OK)
        return err->code;
    ig_arena_init(&settling.arena, CHUNK_BYTES, KEPT_BYTES_MAX);
    while (err->code == IG_OK && ig_db_next(rows, err)) {
        if (!ig_str_eq(settling.run, ig_db_text(rows, 0)) && put_run(&settling, err) != IG_OK)
            break;
        if (!settling.run.len) settling.run = ig_db_text_dup(rows, 0, &settling.arena);
        take(&settling, ig_db_text(rows, 1), err);
    }
    if (err->code == IG_OK) put_run(&settling, err);
    ig_db_finish(rows);
    IG_VEC_FREE(&settling.metrics);
    ig_arena_deinit(&settling.arena);
    if (err->code == IG_OK) ig_db_exec(tx, "delete from metric_journal", NULL, 0, err);
    return err->code;
}

/* ---- reading ---- */

struct reading {
    ig_db_work *work;
    void *context;
    bool unsettled, read;
};

static enum ig_code look(struct reading *reading, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from metric_journal limit 1", NULL, 0, err) != IG_OK)
        return err->code;
    reading->unsettled = ig_db_next(rows, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_settled(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct reading *reading = context;
    if (look(reading, tx, err) != IG_OK || reading->unsettled || !reading->work) return err->code;
    return reading->work(tx, reading->context, err);
}

static enum ig_code settle(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_metric_journal_settle(tx, err);
}

/* Fails, so that nothing of what was settled has to be kept. */
static enum ig_code read_undone(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct reading *reading = context;
    if (ig_metric_journal_settle(tx, err) != IG_OK) return err->code;
    enum ig_code code = reading->work(tx, reading->context, err);
    reading->read = code == IG_OK;
    return reading->read ? IG_EXHAUSTED : code;
}

enum ig_code ig_tracking_read(struct ig_db *db, ig_db_work *work, void *context, struct ig_err *err)
{
    struct reading reading = {.work = work, .context = context};
    if (ig_db_read(db, read_settled, &reading, err) != IG_OK || !reading.unsettled)
        return err->code;
    enum ig_code code = ig_db_write_derived(db, settle, NULL, err);
    if (!work) return code;
    if (code == IG_OK) return ig_db_read(db, work, context, err); /* later calls' stay unsettled */
    if (code != IG_EXHAUSTED && code != IG_IO) return code;
    ig_err_clear(err);
    ig_db_write(db, read_undone, &reading, err);
    if (reading.read) ig_err_clear(err);
    return err->code;
}

enum ig_code ig_tracking_settle(struct ig_db *db, struct ig_err *err)
{
    return ig_tracking_read(db, NULL, NULL, err);
}
