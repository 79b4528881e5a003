/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_SPEC_H
#define IG_SERVICES_JOB_JOB_SPEC_H

/* What a training child is told (spec.json in the job's directory) and how it answers.
 *
 * The child is `PROGRAM train-child PARENT-PID` with these descriptors:
 *   0  the table (CSV, plain or gzip), for reading; empty without `has_data`
 *   1  a pipe: one JSON object a line, see ig_train_event
 *   2  the job's log file
 *   3  the job's directory: spec.json to read, package.zip to write
 *   4  and on: the packages of its teachers and of its source (job_models.h)
 * It exits with 0 after "done", with 1 after "error". */

#include "services/job/job_drop.h"
#include "services/job/job_params.h"

enum {
    IG_CHILD_DATA_FD = 0,
    IG_CHILD_EVENTS_FD = 1,
    IG_CHILD_LOG_FD = 2,
    IG_CHILD_DIR_FD = 3,
    IG_CHILD_MODELS_FD = 4
};

struct ig_train_spec {
    struct ig_str job_id, target, model, data_digest;
    bool has_data;       /* there is a table */
    struct ig_drop drop; /* columns left out */
    struct ig_job_params params;
    int64_t time_limit_s;
    int64_t memory_limit_mb; /* 0: none */
};

void ig_train_spec_write(struct ig_buf *buf, const struct ig_train_spec *spec);
/* Texts are views of `text` or the arena. */
enum ig_code ig_train_spec_read(struct ig_train_spec *out, struct ig_str text,
                                struct ig_arena *arena, struct ig_err *err);

/* {"event":"progress","progress":0.5,"metrics":{...}}, {"event":"done","metrics":{...}},
 * {"event":"error","message":"..."} */
enum ig_train_event_kind { IG_TRAIN_PROGRESS, IG_TRAIN_DONE, IG_TRAIN_ERROR };
enum { IG_TRAIN_LINE_MAX = 64 << 10 };
struct ig_train_event {
    enum ig_train_event_kind kind;
    double progress;            /* 0 to 1 */
    struct ig_str metrics_json; /* one object; a view of the line */
    struct ig_str message;      /* of an error */
};
enum ig_code ig_train_event_read(struct ig_train_event *out, struct ig_str line,
                                 struct ig_arena *arena, struct ig_err *err);
/* One line with its line end. */
void ig_train_event_write(struct ig_buf *buf, const struct ig_train_event *event);

#endif
