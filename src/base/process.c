/* SPDX-License-Identifier: Apache-2.0 */
/* Child processes. The death signal and the resource limits are set by the child itself, first
 * thing: posix_spawn has no way to. All descriptors of this program are close-on-exec, so the child
 * holds what it is given and nothing else. */
#include "base/process.h"

#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAFE_FD = 16 }; /* sources above all targets, so no dup2 hits another */

static enum ig_code move_up(int *out, int fd, struct ig_err *err)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, SAFE_FD);
    if (moved < 0) return ig_fail(err, IG_IO, "child process: %s", strerror(errno));
    *out = moved;
    return IG_OK;
}

static enum ig_code spawn(pid_t *pid, const struct ig_process_options *options, const int *given,
                          struct ig_err *err)
{
    char parent[24];
    snprintf(parent, sizeof parent, "%ld", (long)getpid());
    char *arguments[] = {(char *)(uintptr_t)options->program, (char *)(uintptr_t)options->verb,
                         parent, NULL};
    posix_spawn_file_actions_t actions;
    posix_spawnattr_t attributes;
    sigset_t none, all;
    sigemptyset(&none);
    sigfillset(&all);
    posix_spawn_file_actions_init(&actions);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK |
                                              POSIX_SPAWN_SETSIGDEF);
    posix_spawnattr_setpgroup(&attributes, 0);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setsigdefault(&attributes, &all);
    int result = 0;
    for (size_t i = 0; i < options->fds_count && result == 0; i++)
        result = posix_spawn_file_actions_adddup2(&actions, given[i], (int)i);
    if (result == 0)
        result = posix_spawn(pid, options->program, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (result == 0) return IG_OK;
    return ig_fail(err, IG_IO, "child process '%s' does not start: %s", options->program,
                   strerror(result));
}

enum ig_code ig_process_start(struct ig_process *out, const struct ig_process_options *options,
                              struct ig_err *err)
{
    int given[IG_PROCESS_FDS_MAX];
    struct ig_process process = {.pidfd = -1};
    enum ig_code code = IG_OK;
    IG_ASSERT(options->fds_count >= 3 && options->fds_count <= IG_PROCESS_FDS_MAX);
    for (size_t i = 0; i < options->fds_count; i++) given[i] = -1;
    for (size_t i = 0; i < options->fds_count && code == IG_OK; i++)
        code = move_up(&given[i], options->fds[i], err);
    if (code == IG_OK) code = spawn(&process.pid, options, given, err);
    for (size_t i = 0; i < options->fds_count; i++) ig_file_close(&given[i]);
    if (code != IG_OK) return code;
    process.pidfd = pidfd_open(process.pid, 0);
    if (process.pidfd < 0) {
        code = ig_fail(err, IG_IO, "child process: pidfd: %s", strerror(errno));
        kill(-process.pid, SIGKILL);
        waitpid(process.pid, NULL, 0);
        return code;
    }
    *out = process;
    return IG_OK;
}

void ig_process_kill(const struct ig_process *process)
{
    kill(-process->pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

int ig_process_reap(struct ig_process *process)
{
    int status = 0;
    siginfo_t info;
    while (waitid(P_PID, (id_t)process->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
    kill(-process->pid, SIGKILL); /* what it may have started; the leader is not reaped yet */
    while (waitpid(process->pid, &status, 0) < 0 && errno == EINTR)
        ;
    ig_file_close(&process->pidfd);
    return status;
}

void ig_process_describe(char *out, size_t size, int status)
{
    if (WIFSIGNALED(status))
        snprintf(out, size, "signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    else
        snprintf(out, size, "status %d", WEXITSTATUS(status));
}

/* Without the death signal a kill -9 of the parent would leave the child working for nobody; a
 * parent that ended before it was set is noticed by its number. */
enum ig_code ig_process_die_with(long parent_pid, struct ig_err *err)
{
    if (prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return ig_fail(err, IG_IO, "death signal: %s", strerror(errno));
    if ((long)getppid() != parent_pid) return ig_fail(err, IG_CANCELLED, "the server has ended");
    return IG_OK;
}

static enum ig_code set_limit(int resource, uint64_t value, const char *what, struct ig_err *err)
{
    struct rlimit limit = {value, value};
    if (setrlimit((__rlimit_resource_t)resource, &limit) == 0) return IG_OK;
    return ig_fail(err, IG_IO, "%s limit: %s", what, strerror(errno));
}

/* RLIMIT_AS would count reserved address space as well. */
enum ig_code ig_process_limit_memory(uint64_t bytes, struct ig_err *err)
{
    return bytes ? set_limit(RLIMIT_DATA, bytes, "memory", err) : IG_OK;
}

enum ig_code ig_process_limit_cpu(uint64_t seconds, struct ig_err *err)
{
    return set_limit(RLIMIT_CPU, seconds, "CPU time", err);
}

enum ig_code ig_process_no_core(struct ig_err *err)
{
    return set_limit(RLIMIT_CORE, 0, "core file", err);
}
