/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_PRIV_H
#define IG_SERVICES_JOB_JOB_PRIV_H

/* Shared by job.c (the calls), job_check.c and job_supervisor.c (the thread). */

#include "services/job/job.h"
#include "services/job/job_child.h"
#include "services/job/job_spec.h"

#include <pthread.h>

enum { IG_JOBS_RUNNING_MAX = 16 };

/* A running job. Taken by the supervisor; fields marked (shared) under jobs->lock. */
struct ig_job_slot {
    bool used;             /* (shared) */
    bool cancelled;        /* (shared) set by ig_job_cancel */
    char id[IG_ID_SIZE];   /* (shared) */
    double progress;       /* (shared) */
    struct ig_buf metrics; /* (shared) newest round's, one JSON object */
    struct ig_child child;
    struct ig_buf line; /* of events, so far without its end */
    struct ig_principal who;
    char model[IG_NAME_SIZE];
    char source[IG_PARAM_STRING_SIZE]; /* of the version that it makes; or "" */
    int64_t time_limit_s;
    int64_t memory_limit_mb; /* 0: none */
    uint64_t deadline_ns;
    bool timed_out;
    bool done;       /* said "done"; final metrics are in `metrics` */
    char error[400]; /* said "error" */
    int dir_fd, metrics_fd;
};

struct ig_jobs {
    struct ig_jobs_options options;
    int root;    /* jobs/ */
    int wake_fd; /* eventfd: something for the supervisor */
    uint64_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t changed; /* a job ended */
    bool stopping;          /* (shared) */
    struct ig_job_slot slots[IG_JOBS_RUNNING_MAX];
};

void *ig_jobs_supervisor_main(void *jobs);
/* Removes the directories that keep_days says; one that cannot be removed is logged. */
enum ig_code ig_jobs_forget_old(struct ig_jobs *jobs, struct ig_err *err);
void ig_jobs_wake(struct ig_jobs *jobs);
/* Names, limits, the table, and what the engine asks for. */
enum ig_code ig_jobs_check(const struct ig_jobs *jobs, const struct ig_job_spec *spec,
                           struct ig_err *err);
/* Opens a table that is allowed by data_roots. */
enum ig_code ig_jobs_open_path(int *fd, const struct ig_jobs *jobs, struct ig_str path,
                               struct ig_err *err);

#endif
