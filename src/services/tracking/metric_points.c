/* SPDX-License-Identifier: Apache-2.0 */
/* Chunks of a metric's history: the table metric_chunks.
 *
 * 1. A chunk's points are in order of time, each once; of a point 24 bytes, little-endian: time,
 *    step, the value's bits. Points of several chunks, or of rows, may repeat and overlap.
 * 2. Chunks are read in the order of their first time, so a page of a history needs those alone
 *    that begin before its end.
 *
 * Thread rule: as the transaction. */
#include "services/tracking/metric_points.h"

#include "base/vec.h"

#include <endian.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { POINT_BYTES = IG_METRIC_POINT_BYTES, POINTS_MAX = 1 << 24 };

/* ---- order ---- */

/* By value as it is stored, then by kind. */
static int by_value(double a, double b)
{
    if (isfinite(a) && isfinite(b)) return (a > b) - (a < b);
    int64_t a_kind, b_kind;
    double x = ig_tracking_metric_stored(a, &a_kind).real;
    double y = ig_tracking_metric_stored(b, &b_kind).real;
    if (x < y || x > y) return x < y ? -1 : 1; /* NaN: 0 */
    return (a_kind > b_kind) - (a_kind < b_kind);
}

int ig_metric_by_time(const void *a, const void *b)
{
    const struct ig_tracking_point *x = a, *y = b;
    if (x->at_ms != y->at_ms) return x->at_ms < y->at_ms ? -1 : 1;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return by_value(x->value, y->value);
}

int ig_metric_by_step(const void *a, const void *b)
{
    const struct ig_tracking_point *x = a, *y = b;
    if (x->step != y->step) return x->step < y->step ? -1 : 1;
    return ig_metric_by_time(a, b);
}

void ig_metric_points_settle(struct ig_metric_points *points,
                             int (*order)(const void *a, const void *b))
{
    struct ig_tracking_point *items = points->items;
    size_t ordered = 1, kept = 1;
    while (ordered < points->count && order(&items[ordered - 1], &items[ordered]) < 0) ordered++;
    if (ordered >= points->count) return;
    qsort(items, points->count, sizeof *items, order);
    for (size_t i = 1; i < points->count; i++)
        if (order(&items[kept - 1], &items[i]) != 0) items[kept++] = items[i];
    points->count = kept;
}

bool ig_metric_points_add(struct ig_metric_points *points, struct ig_tracking_point point)
{
    return IG_VEC_PUSH(points, point, POINTS_MAX);
}

void ig_metric_points_deinit(struct ig_metric_points *points)
{
    IG_VEC_FREE(points);
}

/* ---- writing ---- */

static void put_u64(unsigned char *out, uint64_t value)
{
    value = htole64(value);
    memcpy(out, &value, sizeof value);
}

static uint64_t get_u64(const unsigned char *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof value);
    return le64toh(value);
}

void ig_metric_point_encode(unsigned char out[IG_METRIC_POINT_BYTES],
                            const struct ig_tracking_point *point)
{
    uint64_t bits;
    memcpy(&bits, &point->value, sizeof bits);
    put_u64(out, (uint64_t)point->at_ms);
    put_u64(out + 8, (uint64_t)point->step);
    put_u64(out + 16, bits);
}

struct ig_tracking_point ig_metric_point_decode(const unsigned char bytes[IG_METRIC_POINT_BYTES])
{
    uint64_t bits = get_u64(bytes + 16);
    struct ig_tracking_point point = {.at_ms = (int64_t)get_u64(bytes),
                                      .step = (int64_t)get_u64(bytes + 8)};
    memcpy(&point.value, &bits, sizeof bits);
    return point;
}

static enum ig_code put_chunk(struct ig_db_tx *tx, struct ig_str run, struct ig_str key,
                              const struct ig_tracking_point *points, size_t count,
                              struct ig_err *err)
{
    unsigned char *bytes = ig_alloc(count * POINT_BYTES);
    if (!bytes) return ig_fail(err, IG_NO_MEMORY, "values of a metric");
    for (size_t i = 0; i < count; i++) ig_metric_point_encode(bytes + i * POINT_BYTES, &points[i]);
    ig_db_exec(tx,
               "insert into metric_chunks(run, key, first_ms, seq, last_ms, points_count, points)"
               " values($1, $2, $3, (select coalesce(max(c.seq), -1) + 1 from metric_chunks c"
               "  where c.run = $1 and c.key = $2 and c.first_ms = $3), $4, $5, $6)",
               IG_DB_VALUES(IG_DB_T(run), IG_DB_T(key), IG_DB_I(points[0].at_ms),
                            IG_DB_I(points[count - 1].at_ms), IG_DB_I((int64_t)count),
                            IG_DB_B(((struct ig_str){(char *)bytes, count * POINT_BYTES}))),
               err);
    ig_free(bytes);
    return err->code;
}

enum ig_code ig_metric_chunks_put(struct ig_db_tx *tx, struct ig_str run, struct ig_str key,
                                  struct ig_metric_points *points, struct ig_err *err)
{
    ig_metric_points_settle(points, ig_metric_by_time);
    for (size_t at = 0; at < points->count && err->code == IG_OK; at += IG_METRIC_CHUNK_MAX) {
        size_t left = points->count - at;
        put_chunk(tx, run, key, points->items + at,
                  left < IG_METRIC_CHUNK_MAX ? left : IG_METRIC_CHUNK_MAX, err);
    }
    return err->code;
}

static enum ig_code read_rows(struct ig_metric_points *points, struct ig_db_tx *tx,
                              struct ig_str run, struct ig_str key, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx,
                    "select at_ms, step, value, kind from metrics where run = $1 and key = $2"
                    " order by at_ms, step, value, kind",
                    IG_DB_VALUES(IG_DB_T(run), IG_DB_T(key)), err) != IG_OK)
        return err->code;
    while (ig_db_next(rows, err)) {
        const struct ig_tracking_point point = {.at_ms = ig_db_i64(rows, 0),
                                                .step = ig_db_i64(rows, 1),
                                                .value = ig_tracking_metric_value(rows, 2, 3)};
        if (ig_metric_points_add(points, point)) continue;
        ig_fail(err, IG_NO_MEMORY, "values of a metric");
        break;
    }
    ig_db_finish(rows);
    return err->code;
}

/* ---- reading ---- */

static enum ig_code take_chunk(struct ig_metric_points *points, struct ig_str chunk,
                               const struct ig_metric_range *range, struct ig_err *err)
{
    if (chunk.len % POINT_BYTES)
        return ig_fail(err, IG_CORRUPT, "a chunk of metric values has %zu bytes", chunk.len);
    for (size_t at = 0; at < chunk.len; at += POINT_BYTES) {
        struct ig_tracking_point point =
            ig_metric_point_decode((const unsigned char *)chunk.ptr + at);
        if (range->after && ig_metric_by_time(&point, range->after) <= 0) continue;
        if (point.step < range->start_step || point.step > range->end_step) continue;
        if (!ig_metric_points_add(points, point))
            return ig_fail(err, IG_NO_MEMORY, "too long a history for one answer");
    }
    return IG_OK;
}

/* Whether no point of a chunk that begins at `first_ms`, or later, is among the wanted. */
static bool is_complete(struct ig_metric_points *points, const struct ig_metric_range *range,
                        int64_t last_ms, int64_t first_ms)
{
    if (points->count < range->enough || last_ms >= first_ms) return false;
    ig_metric_points_settle(points, ig_metric_by_time);
    return points->count >= range->enough;
}

enum ig_code ig_metric_chunks_read(struct ig_metric_points *points, struct ig_db_tx *tx,
                                   const struct ig_metric_range *range, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    int64_t last_ms = INT64_MIN;
    if (ig_db_query(&rows, tx,
                    "select first_ms, last_ms, points from metric_chunks"
                    " where run = $1 and key = $2 and last_ms >= $3 order by first_ms, seq",
                    IG_DB_VALUES(IG_DB_T(range->run), IG_DB_T(range->key),
                                 IG_DB_I(range->after ? range->after->at_ms : INT64_MIN)),
                    err) != IG_OK)
        return err->code;
    while (err->code == IG_OK && ig_db_next(rows, err)) {
        if (is_complete(points, range, last_ms, ig_db_i64(rows, 0))) break;
        if (ig_db_i64(rows, 1) > last_ms) last_ms = ig_db_i64(rows, 1);
        take_chunk(points, ig_db_text(rows, 2), range, err);
    }
    ig_db_finish(rows);
    return err->code;
}

/* ---- packing ---- */

static enum ig_code read_small(struct ig_metric_points *points, struct ig_db_tx *tx,
                               const struct ig_metric_range *range, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(
            &rows, tx,
            "select points from metric_chunks"
            " where run = $1 and key = $2 and points_count < $3 order by first_ms, seq",
            IG_DB_VALUES(IG_DB_T(range->run), IG_DB_T(range->key), IG_DB_I(IG_METRIC_PIECES_MAX)),
            err) != IG_OK)
        return err->code;
    while (err->code == IG_OK && ig_db_next(rows, err))
        take_chunk(points, ig_db_text(rows, 0), range, err);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_metric_chunks_pack(struct ig_db_tx *tx, struct ig_str run, struct ig_str key,
                                   struct ig_err *err)
{
    struct ig_metric_points points = {0};
    const struct ig_metric_range all = {
        .run = run, .key = key, .start_step = INT64_MIN, .end_step = INT64_MAX};
    if (read_small(&points, tx, &all, err) == IG_OK &&
        read_rows(&points, tx, run, key, err) == IG_OK && points.count >= IG_METRIC_PIECES_MAX) {
        ig_db_exec(tx,
                   "delete from metric_chunks where run = $1 and key = $2 and points_count < $3",
                   IG_DB_VALUES(IG_DB_T(run), IG_DB_T(key), IG_DB_I(IG_METRIC_PIECES_MAX)), err);
        if (err->code == IG_OK)
            ig_db_exec(tx, "delete from metrics where run = $1 and key = $2",
                       IG_DB_VALUES(IG_DB_T(run), IG_DB_T(key)), err);
        if (err->code == IG_OK) ig_metric_chunks_put(tx, run, key, &points, err);
    }
    ig_metric_points_deinit(&points);
    return err->code;
}
