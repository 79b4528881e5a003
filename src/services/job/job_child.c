/* SPDX-License-Identifier: Apache-2.0 */
/* Spawns training children. The death signal (children die with the server) and the resource limits
 * are set by the child itself, first thing: posix_spawn has no way to. All descriptors of this
 * program are close-on-exec, so the child holds what it is given and nothing else.
 *
 * Thread rule: the supervisor's thread only. It must outlive the children: the kernel sends the
 * death signal when the spawning thread ends. */
#include "services/job/job_child.h"

#include "base/file.h"
#include "services/job/job_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SAFE_FD = 16, GIVEN_COUNT = 4 }; /* sources above all targets, so no dup2 hits another */

static enum ig_code move_up(int *out, int fd, struct ig_err *err)
{
    int moved = fcntl(fd, F_DUPFD_CLOEXEC, SAFE_FD);
    if (moved < 0) return ig_fail(err, IG_IO, "training child: %s", strerror(errno));
    *out = moved;
    return IG_OK;
}

static enum ig_code spawn(pid_t *pid, const struct ig_child_options *options,
                          const int given[GIVEN_COUNT], struct ig_err *err)
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
    for (int i = 0; i < GIVEN_COUNT && result == 0; i++)
        result = posix_spawn_file_actions_adddup2(&actions, given[i], i);
    if (result == 0)
        result = posix_spawn(pid, options->program, &actions, &attributes, arguments, environ);
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&actions);
    if (result == 0) return IG_OK;
    return ig_fail(err, IG_IO, "training child '%s' does not start: %s", options->program,
                   strerror(result));
}

enum ig_code ig_child_start(struct ig_child *out, const struct ig_child_options *options,
                            struct ig_err *err)
{
    int ends[2] = {-1, -1};
    int given[GIVEN_COUNT] = {-1, -1, -1, -1};
    struct ig_child child = {.pidfd = -1};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ig_fail(err, IG_IO, "training child: pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    enum ig_code code = move_up(&given[IG_CHILD_DATA_FD], options->data_fd, err);
    if (code == IG_OK) code = move_up(&given[IG_CHILD_EVENTS_FD], ends[1], err);
    if (code == IG_OK) code = move_up(&given[IG_CHILD_LOG_FD], options->log_fd, err);
    if (code == IG_OK) code = move_up(&given[IG_CHILD_DIR_FD], options->dir_fd, err);
    if (code == IG_OK) code = spawn(&child.pid, options, given, err);
    for (int i = 0; i < GIVEN_COUNT; i++) ig_file_close(&given[i]);
    ig_file_close(&ends[1]);
    if (code == IG_OK) {
        child.pidfd = pidfd_open(child.pid, 0);
        if (child.pidfd < 0) {
            code = ig_fail(err, IG_IO, "training child: pidfd: %s", strerror(errno));
            kill(-child.pid, SIGKILL);
            waitpid(child.pid, NULL, 0);
        }
    }
    if (code != IG_OK) {
        ig_file_close(&ends[0]);
        return code;
    }
    child.events = ends[0];
    *out = child;
    return IG_OK;
}

void ig_child_kill(const struct ig_child *child)
{
    kill(-child->pid, SIGKILL); /* not reaped yet, so the number is still its own */
}

int ig_child_reap(struct ig_child *child)
{
    int status = 0;
    siginfo_t info;
    while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
    kill(-child->pid, SIGKILL); /* what it may have started; the leader is not reaped yet */
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        ;
    ig_file_close(&child->pidfd);
    ig_file_close(&child->events);
    return status;
}
