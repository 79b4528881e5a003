/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_TELEMETRY_H
#define IG_FORMATS_EDGE_EDGE_TELEMETRY_H

/* Reads what devices upload (docs/edge-format.md): records of their log, one behind the other. */

#include "base/err.h"
#include "base/str.h"

enum { IG_EDGE_SKETCH_EDGES_MAX = 7, IG_EDGE_SKETCH_SCORE = 0xffff, IG_EDGE_RECORD_SKETCH = 'F' };

struct ig_edge_record {
    unsigned char kind;
    uint32_t number; /* from 1 */
    struct ig_str payload;
};
/* The next record; false at the end or with err set. Views of the bytes. */
bool ig_edge_record_next(struct ig_edge_record *out, struct ig_str *rest, struct ig_err *err);

/* A histogram: counts[i] values lie between edges[i - 1] and edges[i]. */
struct ig_edge_sketch {
    uint64_t counter; /* of the bundle that ran */
    uint32_t day;     /* since 1970; 0: the device has no clock */
    uint32_t feature; /* or IG_EDGE_SKETCH_SCORE */
    bool integers;    /* what keys stand for: integers, or floats in order */
    uint32_t edges_count;
    uint64_t rows, missing;
    int32_t low, high; /* keys; low above high: no value */
    int32_t edges[IG_EDGE_SKETCH_EDGES_MAX];
    uint64_t counts[IG_EDGE_SKETCH_EDGES_MAX + 1];
};
/* CORRUPT: it is none, or its numbers do not add up. */
enum ig_code ig_edge_sketch_read(struct ig_edge_sketch *out, struct ig_str payload,
                                 struct ig_err *err);
/* What a key stands for. */
double ig_edge_sketch_value(const struct ig_edge_sketch *sketch, int32_t key);

/* Population stability index of two sketches over the same edges, missing values being a bin of
 * their own; half a row is added to each bin. NaN when the edges differ. */
double ig_edge_sketch_psi(const struct ig_edge_sketch *expected,
                          const struct ig_edge_sketch *actual);

#endif
