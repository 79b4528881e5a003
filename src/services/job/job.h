/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_H
#define IG_SERVICES_JOB_JOB_H

/* Training jobs. A job is a row, a directory jobs/ID/ (spec.json, log, metrics.jsonl; package.zip
 * until it ends) and, while it runs, an exec'd child of this program in its own process group with
 * time and memory limits; the child dies with the server. One supervisor thread starts, watches and
 * ends children.
 *
 *   queued -> running -> succeeded | failed | cancelled
 *   running -> interrupted   (the server ended; found at the next open)
 *   queued survives a restart and runs then.
 *
 * A success registers the model version and the job's end in one transaction. Thread-safe; worker
 * threads only; reads wait for no writer and no child. */

#include "services/job/job_drop.h"
#include "services/job/job_params.h"
#include "services/registry/registry.h"

#define IG_JOB_STATES(X)                                                                           \
    X(QUEUED, "queued")                                                                            \
    X(RUNNING, "running")                                                                          \
    X(SUCCEEDED, "succeeded")                                                                      \
    X(FAILED, "failed")                                                                            \
    X(CANCELLED, "cancelled")                                                                      \
    X(INTERRUPTED, "interrupted")
enum ig_job_state {
#define X(id, name) IG_JOB_##id,
    IG_JOB_STATES(X)
#undef X
        IG_JOB_STATES_COUNT
};
const char *ig_job_state_name(enum ig_job_state state);
bool ig_job_state_final(enum ig_job_state state);

struct ig_jobs;

struct ig_jobs_options {
    struct ig_db *db;
    struct ig_blob_store *blobs;
    struct ig_registry *registry;
    int dirfd;                     /* the data directory; borrowed */
    const char *program;           /* to exec; NULL: /proc/self/exe */
    const char *verb;              /* its first argument; NULL: "train-child" */
    unsigned running_max;          /* 0: 1 */
    unsigned keep_days;            /* at open, directories of jobs that ended earlier go; 0: none */
    unsigned queued_max;           /* 0: 100; submit gives EXHAUSTED beyond */
    const char *const *data_roots; /* directories whose files data_path may name; NULL: none */
    size_t data_roots_count;
};

/* Marks what was running as interrupted, removes old directories and takes up the queue. */
enum ig_code ig_jobs_open(struct ig_jobs **out, const struct ig_jobs_options *options,
                          struct ig_err *err);
/* Kills running children (their jobs become interrupted). NULL is allowed. */
void ig_jobs_close(struct ig_jobs *jobs);

struct ig_job_spec {
    struct ig_str data_digest;   /* an uploaded table (CSV, plain or gzip) in the blob store, or */
    struct ig_str data_path;     /* a file beneath one of data_roots; both may be empty where an
                                    engine only makes a registered model smaller */
    struct ig_str target;        /* column to predict; of those engines of the truth, or empty */
    struct ig_drop drop;         /* columns left out */
    struct ig_str model;         /* name to register under; made when absent */
    struct ig_job_params params; /* begin with ig_params_defaults */
    int64_t time_limit_s;        /* 0: 3600; wall clock */
    int64_t memory_limit_mb;     /* 0: none */
};

/* Durable when it returns. Checks names, limits, and that the data and the models that parameters
 * name are there, each then by its number (an alias may move); the table itself is checked by the
 * child. */
enum ig_code ig_job_submit(char id[IG_ID_SIZE], struct ig_jobs *jobs,
                           const struct ig_principal *who, const struct ig_job_spec *spec,
                           struct ig_err *err);

struct ig_job {
    struct ig_str id;
    enum ig_job_state state;
    struct ig_str model;
    int64_t version; /* of a success; else 0 */
    struct ig_str engine, target, data_digest;
    struct ig_str params_json;                   /* one JSON object */
    struct ig_str drop_json;                     /* one JSON array of names */
    int64_t created_ms, started_ms, finished_ms; /* 0: not yet */
    double progress;                             /* 0 to 1 */
    struct ig_str metrics_json; /* running: the newest round's; success: the final ones; or "{}" */
    struct ig_str error;        /* failed, interrupted: why, as one sentence */
};
struct ig_job_list {
    const struct ig_job *items; /* newest first */
    size_t count;
};
enum ig_code ig_job_get(struct ig_job *out, struct ig_jobs *jobs, struct ig_str id,
                        struct ig_arena *arena, struct ig_err *err);
/* Older than id `before` (empty: the newest), at most `limit` (0: 100, cap 1000). */
enum ig_code ig_job_list(struct ig_job_list *out, struct ig_jobs *jobs, struct ig_str before,
                         size_t limit, struct ig_arena *arena, struct ig_err *err);
/* Queued or running: its end follows soon. CONFLICT when it has ended already. */
enum ig_code ig_job_cancel(struct ig_jobs *jobs, const struct ig_principal *who, struct ig_str id,
                           struct ig_err *err);

enum ig_job_file { IG_JOB_FILE_LOG, IG_JOB_FILE_METRICS /* one JSON object a line */ };
/* Nothing when the directory has been removed, see keep_days. Appends up to buf->max_bytes from
 * byte `offset` on; the caller goes on at offset + buf->len. Nothing at the end so far. */
enum ig_code ig_job_read(struct ig_buf *buf, struct ig_jobs *jobs, struct ig_str id,
                         enum ig_job_file file, uint64_t offset, struct ig_err *err);
/* Waits until the job has ended or `timeout_ms` passed; true when it has ended. For tests and the
 * command line. */
bool ig_job_wait(struct ig_jobs *jobs, struct ig_str id, uint64_t timeout_ms);

#endif
