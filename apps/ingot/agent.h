/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_APP_AGENT_H
#define IG_APP_AGENT_H

/* The reference agent of a device: the device's own code (apps/edge) over a file that stands for
 * its flash. It predicts with or without a connection, takes bundles, tries and confirms them, and
 * keeps telemetry and reports until the server has them. It may be killed at any time.
 *
 * Directory: `flash` (two slots, their records, the telemetry's ring), `reports` (what the server
 * is still to be told), `tried` (the counter of a trial whose end was not told yet), `key` (what
 * followed on the identity's).
 *
 * Thread rule: `lock` guards all but the client; predictions and the sync thread take turns. */

#include "ingot_edge_bundle.h"
#include "ingot_edge_sign.h"
#include "ingot_edge_slots.h"
#include "ingot_edge_telemetry.h"

#include "base/arena.h"
#include "net/client.h"

#include <pthread.h>

enum {
    AGENT_SECTOR_BYTES = 64 << 10,
    AGENT_RECORDS_BYTES = 4096,
    AGENT_LOG_SECTORS = 16,
    AGENT_LOG_SECTOR_BYTES = 16 << 10,
    AGENT_ARENA_BYTES = 8 << 20,
    AGENT_REPORTS_MAX = 32,
};

struct agent_options {
    const char *dir;
    struct ig_str identity; /* JSON: server, id, token, target, public_key */
    const char *server;     /* instead of the identity's; or NULL */
    const char *ca;
    size_t slot_bytes;
    uint64_t trial_rows; /* a trial is confirmed after so many rows; 0: once its golden rows hold */
    uint64_t flush_rows; /* sketches go to the log after so many rows, and at the end */
};

struct agent_report {
    uint64_t counter;
    char state[16], word[24];
};

/* A file read where it lies and written as flash is. */
struct agent_flash {
    int fd;
    uint8_t *map;
    size_t bytes;
    bool dirty; /* slots were written and not synced yet */
    struct ige_flash slots;
    struct ige_log_flash log;
};

struct agent {
    struct agent_options options;
    struct ig_arena memory; /* of the identity */
    const char *id, *target;
    char headers[160]; /* with the token */
    uint8_t key[IGE_KEY_BYTES];
    int dirfd;
    pthread_mutex_t lock;
    struct agent_flash flash;
    struct ige_slots slots;
    struct ige_log log;
    void *trial_arena, *arena;
    bool ready; /* there is a model */
    struct ige_model model;
    struct ige_interpreter interpreter;
    double *row; /* room for the model's inputs */
    size_t row_count;
    struct ige_sketch *sketches; /* of features the model uses, and the score */
    size_t sketches_count;
    uint64_t rows, trial_rows; /* since the last flush, and of this trial */
    uint64_t tried;            /* counter of the trial whose end is to be told; 0: none */
    struct agent_report reports[AGENT_REPORTS_MAX];
    size_t reports_count;
    struct ig_client *client;
    struct ig_client_reply reply;
    const bool _Atomic *stopping;
    char etag[40];
};

/* ---- agent_flash.c ---- */

/* Makes the file when absent; CONFLICT while another agent holds it. */
enum ig_code ig_agent_flash_open(struct agent_flash *flash, int dirfd, size_t slot_bytes,
                                 struct ig_err *err);
void ig_agent_flash_close(struct agent_flash *flash);

/* ---- agent.c ---- */

/* Opens what is there, counts a start of a trial, tells of one that ended. */
enum ig_code ig_agent_open(struct agent *agent, const struct agent_options *options,
                           const bool _Atomic *stopping, struct ig_err *err);
void ig_agent_close(struct agent *agent); /* also after a failed open */
/* One row of numbers between commas, an empty cell or NaN being missing; appends margins and a line
 * end. UNAVAILABLE: there is no model yet; INVALID: the row is not the model's. */
enum ig_code ig_agent_row(struct ig_buf *out, struct agent *agent, struct ig_str line,
                          struct ig_err *err);
/* With the lock held: */
void ig_agent_flush(struct agent *agent); /* sketches to the log */
/* Runs what the slots say; a trial counts a start. */
void ig_agent_start(struct agent *agent);
void ig_agent_tell(struct agent *agent, uint64_t counter, const char *state, const char *word);
void ig_agent_set_tried(struct agent *agent, uint64_t counter);
/* From now on a key that the device's own has signed; DENIED when it has not. Takes the lock. */
enum ig_code ig_agent_take_key(struct agent *agent, struct ig_str public_key,
                               struct ig_str signature, struct ig_err *err);
enum ig_code ig_agent_keep_reports(struct agent *agent, struct ig_err *err);
const char *ig_agent_word(enum ige_bundle_status status);

/* Numbers of a line; INVALID names the cell. */
enum ig_code ig_agent_numbers(double *out, size_t count, struct ig_str line, struct ig_err *err);
size_t ig_agent_inputs(const struct ige_interpreter *interpreter); /* numbers of a row */
/* Runs a row and counts it. */
void ig_agent_invoke(struct ige_interpreter *interpreter, const double *row,
                     struct ige_sketch *sketches, size_t count);
/* Sketches for a model; how many; *out on the heap, NULL when out of memory. */
size_t ig_agent_sketches(struct ige_sketch **out, const struct ige_bundle *bundle,
                         struct ige_interpreter *interpreter);

/* ---- agent_sync.c ---- */

/* Tells, uploads, asks, and takes what is offered. Errors leave all of it for the next time. */
enum ig_code ig_agent_sync(struct agent *agent, struct ig_err *err);

#endif
