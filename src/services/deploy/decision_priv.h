/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_DEPLOY_DECISION_PRIV_H
#define IG_SERVICES_DEPLOY_DECISION_PRIV_H

/* The record format of decision_log.h, shared by the log's writer and reader. */

#include "services/deploy/decision_log.h"

enum {
    IG_DECISION_HEADER_BYTES = 16,
    IG_DECISION_FRAME_BYTES = 8, /* length and CRC before each payload */
    IG_DECISION_TEXT_MAX = 128,
    IG_DECISION_FIXED_BYTES = 1 + 1 + 2 + 4 + 4 + 9 * 8 + 2 * IG_SHA256_BYTES,
    IG_DECISION_RECORD_MAX = IG_DECISION_FRAME_BYTES + IG_DECISION_FIXED_BYTES +
                             5 * (1 + IG_DECISION_TEXT_MAX) + IG_DECISION_ARMS_SIZE,
    IG_DECISION_NAME_SIZE = 25 /* "00000000000000000001.igd" + NUL */
};

/* Payload behind room for the frame; returns the record's bytes. seal fills the frame in. */
size_t ig_decision_encode(unsigned char record[IG_DECISION_RECORD_MAX],
                          const struct ig_decision *decision);
void ig_decision_seal(unsigned char *record, size_t record_bytes);
/* Texts are views of the payload. False when it is malformed. */
bool ig_decision_decode(struct ig_decision *out, const unsigned char *payload,
                        size_t payload_bytes);
void ig_decision_header(unsigned char header[IG_DECISION_HEADER_BYTES]);
void ig_decision_name(char name[IG_DECISION_NAME_SIZE], uint64_t number);

struct ig_decision_replay {
    bool (*each)(void *context, const struct ig_decision *decision);
    void *context;
    uint64_t torn; /* segments that end in a cut record */
    bool stopped;  /* `each` said so */
};
/* The whole records of one segment. */
void ig_decision_replay(struct ig_decision_replay *replay, const unsigned char *bytes, size_t size);

/* Numbers of the segments in a directory, ascending; freed with ig_free. */
enum ig_code ig_decision_segments(uint64_t **out, size_t *count, int dirfd, struct ig_err *err);

#endif
