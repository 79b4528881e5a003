/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_DECISION_LOG_H
#define IG_SERVICES_DEPLOY_DECISION_LOG_H

/* The decision log: one record for every answered inference call.
 *
 * Each event loop has a bounded ring of its own (one producer); one thread empties the rings into
 * segment files decisions/<20-digit number>.igd, rotated by size. A full ring drops the record and
 * counts it: nothing ever waits. Records reach the file within flush_ms and the disk (fsync) within
 * a second or at rotation; a kill -9 of the process loses at most what is still in the rings.
 *
 * Segment, little-endian: 16 bytes "IGDECISIONS\0" + u32 format (1); then records: u32 payload
 * bytes, u32 CRC-32 of the payload, payload. Payload: i64 at_ms, u64 latency_ns, i64 version, u32
 * rows, u16 status, u8 flags, u8 arm, f64 propensity, 32 bytes input digest, 32 bytes output
 * digest, then four texts (u8 length + bytes): request id, deployment, model, principal id. A
 * reader stops at the first record that is cut or fails its CRC: that is the torn end of a killed
 * writer. */

#include "base/err.h"
#include "base/hash.h"

enum {
    IG_DECISION_EXPLAINED = 1, /* flags: contributions were asked for */
};

struct ig_decision {
    int64_t at_ms;
    uint64_t latency_ns;
    int64_t version;
    uint32_t rows;
    uint16_t status; /* HTTP status of the answer */
    uint8_t flags;
    uint8_t arm;                                            /* 0 without an experiment */
    double propensity;                                      /* 1 without an experiment */
    unsigned char input_digest[IG_SHA256_BYTES];            /* of the row doubles */
    unsigned char output_digest[IG_SHA256_BYTES];           /* of the margin doubles */
    struct ig_str request_id, deployment, model, principal; /* each at most 128 bytes, else cut */
};

struct ig_decision_log;

struct ig_decision_log_options {
    int dirfd;              /* the data directory; borrowed */
    unsigned rings;         /* one a loop */
    unsigned ring_records;  /* power of two; 0: 4096 */
    uint64_t segment_bytes; /* rotate above; 0: 64 MiB */
    uint64_t total_bytes;   /* oldest segments are removed above; 0: 1 GiB */
    unsigned flush_ms;      /* 0: 50 */
};

enum ig_code ig_decision_log_open(struct ig_decision_log **out,
                                  const struct ig_decision_log_options *options,
                                  struct ig_err *err);
/* Writes what the rings hold, syncs, joins. No producer may run. NULL is allowed. */
void ig_decision_log_close(struct ig_decision_log *log);

/* Loop-safe, wait-free. `ring` belongs to one thread. False when dropped. Copies the texts. */
bool ig_decision_log_put(struct ig_decision_log *log, unsigned ring,
                         const struct ig_decision *decision);

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
