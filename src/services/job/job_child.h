/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_SERVICES_JOB_JOB_CHILD_H
#define IG_SERVICES_JOB_JOB_CHILD_H

/* Starting and ending one training child. */

#include "base/process.h"

struct ig_child {
    struct ig_process process;
    int events; /* non-blocking read end of its standard output; -1 after its end */
};

struct ig_child_options {
    const char *program;
    const char *verb;
    int data_fd, log_fd, dir_fd; /* borrowed; see job_spec.h for where they arrive */
    const int *model_fds;        /* borrowed too */
    size_t models_count;
};

enum ig_code ig_child_start(struct ig_child *out, const struct ig_child_options *options,
                            struct ig_err *err);
void ig_child_kill(const struct ig_child *child); /* SIGKILL to its whole group */
/* Waits for its end, kills what is left of its group, closes; returns the status of waitpid. */
int ig_child_reap(struct ig_child *child);

#endif
