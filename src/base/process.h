/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_PROCESS_H
#define IG_BASE_PROCESS_H

/* Child processes: starting and ending one, and what the child does first. posix_spawn only:
 * nothing of this program's runs between fork and exec. A child leads its own process group. */

#include "base/err.h"

#include <sys/types.h>

enum { IG_PROCESS_FDS_MAX = 8 };

struct ig_process {
    pid_t pid;
    int pidfd; /* readable once it has ended; -1: none was started */
};

struct ig_process_options {
    const char *program;
    const char *verb; /* the arguments are the verb and the parent's process id */
    const int *fds;   /* borrowed; fds[i] arrives as descriptor i, every other is closed */
    size_t fds_count; /* 3 to IG_PROCESS_FDS_MAX */
};

/* The kernel may tie the child's life to the thread that calls this (see ig_process_die_with), so
 * that has to outlive it. */
enum ig_code ig_process_start(struct ig_process *out, const struct ig_process_options *options,
                              struct ig_err *err);
void ig_process_kill(const struct ig_process *process); /* SIGKILL to its whole group */
/* Waits for its end, kills what is left of its group, closes; returns the status of waitpid. */
int ig_process_reap(struct ig_process *process);
/* "signal 11 (Segmentation fault)", "status 1". */
void ig_process_describe(char *out, size_t size, int status);

/* In the child: it dies when the parent does; CANCELLED if that has happened already. */
enum ig_code ig_process_die_with(long parent_pid, struct ig_err *err);
/* RLIMIT_DATA: private writable memory. 0: no limit. */
enum ig_code ig_process_limit_memory(uint64_t bytes, struct ig_err *err);
enum ig_code ig_process_limit_cpu(uint64_t seconds, struct ig_err *err);
enum ig_code ig_process_no_core(struct ig_err *err);

#endif
