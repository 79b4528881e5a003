/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_TELEMETRY_H
#define INGOT_EDGE_TELEMETRY_H

/* What a device tells of its rows: sketches of inputs and scores, in a ring log that survives the
 * power going at any write, uploaded when there is a connection (docs/edge-format.md). C99,
 * freestanding, no heap, no float arithmetic but sums of an encoder's numbers. Thread rule: one
 * thread. */

#include "ingot_edge_bundle.h"

/* ---- the log ---- */

/* Sectors in flash, or in memory, readable where they lie: at least two, one behind the other.
 * Erased bytes are 0xff. Writes go upward to erased bytes, a multiple of 8 each. The functions give
 * 0 when they have failed. */
struct ige_log_flash {
    const uint8_t *sectors;
    size_t sector_bytes, sectors_count;
    int (*erase)(void *context, const uint8_t *sector);
    int (*write)(void *context, const uint8_t *place, const void *bytes, size_t size);
    void *context;
};

enum { IGE_LOG_HEADER_BYTES = 16, IGE_LOG_PAYLOAD_MAX = 240 };

struct ige_log {
    const struct ige_log_flash *flash;
    uint32_t next;   /* number of the record to come, from 1 */
    uint32_t acked;  /* records up to this one are at the server */
    uint32_t number; /* of the sector under way; 0: there is none */
    size_t sector, at;
};

/* Finds what is there; of an empty or foreign flash: nothing. */
void ige_log_open(struct ige_log *log, const struct ige_log_flash *flash);
/* Adds a record; the oldest ones go when there is no room. 0: flash failed, or it is too large. */
int ige_log_add(struct ige_log *log, uint8_t kind, const void *payload, size_t size);
/* The record with the least number above `after`, whole, as it is uploaded; NULL: there is none. */
const uint8_t *ige_log_find(const struct ige_log *log, uint32_t after, size_t *size);
uint32_t ige_log_number(const uint8_t *record);
/* The server has all up to `number`; of a device whose flash was erased since that may be more than
 * the log has had, which then goes on behind it. */
int ige_log_ack(struct ige_log *log, uint32_t number);

/* ---- sketches ---- */

enum { IGE_SKETCH_EDGES_MAX = 7, IGE_SKETCH_SCORE = 0xffff, IGE_SKETCH_BYTES_MAX = 92 };
enum { IGE_RECORD_SKETCH = 'F' };

/* A histogram over edges that the model gives, so that all its devices and its training rows are
 * counted alike. Values are keys in order: of a float its bits, of negative ones 0x80000000 less
 * them; of an integer itself. */
struct ige_sketch {
    uint32_t rows, missing;
    int32_t low, high;
    int32_t edges[IGE_SKETCH_EDGES_MAX]; /* a value from edge i on is in bin i + 1 at least */
    uint32_t counts[IGE_SKETCH_EDGES_MAX + 1];
    uint16_t feature; /* or IGE_SKETCH_SCORE */
    uint8_t edges_count, integers;
};

/* Over the feature's thresholds, of a category over its codes; of a network behind an encoder over
 * the feature's knots, or deviations from its mean; of another int8 network over the range of its
 * first input. 0: the model does not use it, or its input is of floats without bounds. */
int ige_sketch_of_feature(struct ige_sketch *sketch, const struct ige_interpreter *interpreter,
                          uint16_t feature);
/* Over the first outputs of the bundle's golden rows; of int8 over its range. 0: there are no rows,
 * or they are doubles. */
int ige_sketch_of_score(struct ige_sketch *sketch, const struct ige_bundle *bundle,
                        const struct ige_interpreter *interpreter);
void ige_sketch_add_float(struct ige_sketch *sketch, uint32_t bits); /* NaN: missing */
void ige_sketch_add_integer(struct ige_sketch *sketch, int32_t value);
/* The feature's value as it was set for the next inference, which may overwrite it. */
void ige_sketch_add_input(struct ige_sketch *sketch, struct ige_interpreter *interpreter);
/* The first output of the last inference. */
void ige_sketch_add_score(struct ige_sketch *sketch, const struct ige_interpreter *interpreter);
/* Keeps the edges, forgets the rows. */
void ige_sketch_clear(struct ige_sketch *sketch);
/* Adds a record of the sketch to the log. `day`: since 1970; 0: there is no clock. */
int ige_sketch_log(struct ige_log *log, const struct ige_sketch *sketch, uint64_t counter,
                   uint32_t day);
/* The record's payload; gives its size. */
size_t ige_sketch_write(uint8_t out[IGE_SKETCH_BYTES_MAX], const struct ige_sketch *sketch,
                        uint64_t counter, uint32_t day);
/* A whole record, as the log has it, for who keeps no log; gives its size. */
size_t ige_record_write(uint8_t *out, uint8_t kind, uint32_t number, const void *payload,
                        size_t size);

#endif
