/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_DECISION_LOG_H
#define IG_SERVICES_DEPLOY_DECISION_LOG_H

/* The decision log: one record for every answered inference call and way through its deployment's
 * graph, for every reward that came later, and for every mirrored call of a shadow. Everything that
 * learns reads it and nothing else.
 *
 * Each event loop has a bounded ring of its own (one producer), worker threads share one more; one
 * thread empties the rings into segment files decisions/<20-digit number>.igd, rotated by size. A
 * full ring drops the record and counts it: nothing ever waits. Records reach the file within
 * flush_ms and the disk (fsync) within a second or at rotation; a kill -9 of the process loses at
 * most what is still in the rings.
 *
 * Segment, little-endian: 16 bytes "IGDECISIONS\0" + u32 format (2); then records: u32 payload
 * bytes, u32 CRC-32 of the payload, payload. Payload: u8 kind, u8 flags, u16 status, u32 rows, u32
 * flips, i64 at_ms, u64 latency_ns, u64 compute_ns, u64 before_ns, i64 version, i64 revision, u64
 * unit, f64 propensity, f64 value, 32 bytes input digest, 32 bytes output digest, then six texts
 * (u8 length + bytes): request id, deployment, model, principal id, metric, arms. A reader stops at
 * the first record that is cut or fails its CRC: that is the torn end of a killed writer. */

#include "base/err.h"
#include "base/hash.h"

enum {
    IG_DECISION_EXPLAINED = 1,   /* flags: contributions were asked for */
    IG_DECISION_ARMS_SIZE = 256, /* of the text `arms`, with a NUL */
};

enum ig_decision_kind {
    IG_DECISION_ANSWER,
    IG_DECISION_REWARD, /* of the answer with that request id */
    IG_DECISION_MIRROR, /* what a shadow's mirror would have answered */
    IG_DECISION_KINDS_COUNT
};

struct ig_decision {
    enum ig_decision_kind kind;
    int64_t at_ms;
    uint64_t latency_ns; /* ANSWER: of the whole call; MIRROR: of its inference */
    uint64_t compute_ns; /* ANSWER: of the inference; MIRROR: of the primary's */
    uint64_t before_ns;  /* ANSWER: from the request's head to the inference */
    int64_t version;
    int64_t revision; /* of the deployment's graph */
    uint32_t rows;
    uint32_t flips;  /* MIRROR: rows that it decides otherwise */
    uint16_t status; /* HTTP status of the answer; MIRROR: 200, or 500 when it failed */
    uint8_t flags;
    uint64_t unit;     /* hash of the unit that sticks to its arms */
    double propensity; /* of the arms taken; 1 without any */
    double value;      /* ANSWER: mean score of the rows; REWARD: it; MIRROR: mean of its score less
                          the primary's */
    unsigned char input_digest[IG_SHA256_BYTES];            /* of the row doubles */
    unsigned char output_digest[IG_SHA256_BYTES];           /* of the margin doubles */
    struct ig_str request_id, deployment, model, principal; /* each at most 128 bytes, else cut */
    struct ig_str metric;                                   /* REWARD */
    /* ANSWER: "node=arm@tag:probability" of each arm taken, with ';' between; MIRROR:
     * "node=mirror@tag". At most IG_DECISION_ARMS_SIZE - 1 bytes. */
    struct ig_str arms;
};

struct ig_decision_log;

struct ig_decision_log_options {
    int dirfd;              /* the data directory; borrowed */
    unsigned rings;         /* one a loop */
    unsigned ring_records;  /* power of two; 0: 4096 */
    uint64_t segment_bytes; /* rotate above; 0: 64 MiB */
    uint64_t total_bytes;   /* oldest segments are removed above; 0: 1 GiB */
    unsigned flush_ms;      /* 0: 50 */
    /* Called by the writer thread for every record, in the order of the file; NULL: none. Texts are
     * borrowed during the call. */
    void (*observe)(void *context, const struct ig_decision *decision);
    void *context;
};

enum ig_code ig_decision_log_open(struct ig_decision_log **out,
                                  const struct ig_decision_log_options *options,
                                  struct ig_err *err);
/* Writes what the rings hold, syncs, joins. No producer may run. NULL is allowed. */
void ig_decision_log_close(struct ig_decision_log *log);

/* Loop-safe, wait-free. `ring` belongs to one thread. False when dropped. Copies the texts. */
bool ig_decision_log_put(struct ig_decision_log *log, unsigned ring,
                         const struct ig_decision *decision);
/* From any thread that is no loop, under a lock. */
bool ig_decision_log_put_shared(struct ig_decision_log *log, const struct ig_decision *decision);

struct ig_decision_stats {
    uint64_t accepted, dropped, written, bytes;
};
void ig_decision_log_stats(struct ig_decision_log *log, struct ig_decision_stats *out);
/* Waits until all accepted before the call is in the files (not yet synced): tests, shutdown. */
void ig_decision_log_flush(struct ig_decision_log *log);

/* Replay: every whole record of every segment in order; stops when `each` returns false. Texts are
 * borrowed during the call. *torn (may be NULL) counts segments that end in a cut record. Works
 * beside a running writer and without one. */
enum ig_code ig_decision_log_read(int dirfd,
                                  bool (*each)(void *context, const struct ig_decision *decision),
                                  void *context, uint64_t *torn, struct ig_err *err);

#endif
