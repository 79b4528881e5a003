/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_TRACKING_METRIC_POINTS_H
#define IG_SERVICES_TRACKING_METRIC_POINTS_H

/* Histories of metrics packed: a chunk is a row that holds many values of one metric. What comes
 * several at a time is written as a chunk at once, what comes by itself as a row, until there are
 * enough of both. A history is what both hold together; what repeats is dropped as it is read. */

#include "services/tracking/tracking_priv.h"

enum {
    IG_METRIC_CHUNK_MIN = 8,    /* values: fewer are rows */
    IG_METRIC_CHUNK_MAX = 4096, /* values */
    IG_METRIC_PIECES_MAX = 512, /* values in rows and smaller chunks: these become one, some time */
    IG_METRIC_POINT_BYTES = 24, /* little-endian: time, step, the value's bits */
};

void ig_metric_point_encode(unsigned char out[IG_METRIC_POINT_BYTES],
                            const struct ig_tracking_point *point);
struct ig_tracking_point ig_metric_point_decode(const unsigned char bytes[IG_METRIC_POINT_BYTES]);

/* Orders of a history. NaN counts as 0, behind a 0. */
int ig_metric_by_time(const void *a, const void *b); /* time, step, value */
int ig_metric_by_step(const void *a, const void *b); /* step, time, value */

struct ig_metric_points {
    struct ig_tracking_point *items; /* on the heap */
    size_t count, cap;
};
/* In order, each once. */
void ig_metric_points_settle(struct ig_metric_points *points,
                             int (*order)(const void *a, const void *b));
void ig_metric_points_deinit(struct ig_metric_points *points);

/* Writes chunks; the points are settled by time. */
enum ig_code ig_metric_chunks_put(struct ig_db_tx *tx, struct ig_str run, struct ig_str key,
                                  struct ig_metric_points *points, struct ig_err *err);
/* Makes one chunk, or several, of a metric's rows and small chunks, if they have become many. */
enum ig_code ig_metric_chunks_pack(struct ig_db_tx *tx, struct ig_str run, struct ig_str key,
                                   struct ig_err *err);

struct ig_metric_range {
    struct ig_str run, key;
    const struct ig_tracking_point *after; /* by time; NULL: from the start */
    size_t enough;                         /* of the first by time; SIZE_MAX: all */
    int64_t start_step, end_step;
};
/* Adds the chunks' values that lie in the range: all, or so many of the first that no other comes
 * before the `enough`th. */
enum ig_code ig_metric_chunks_read(struct ig_metric_points *points, struct ig_db_tx *tx,
                                   const struct ig_metric_range *range, struct ig_err *err);
/* One more; false: out of memory, or more than a call may hold. */
bool ig_metric_points_add(struct ig_metric_points *points, struct ig_tracking_point point);

#endif
