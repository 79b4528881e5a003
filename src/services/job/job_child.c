/* SPDX-License-Identifier: Apache-2.0 */
/* Spawns training children (base/process.h). Thread rule: the supervisor's thread only, which
 * outlives them. */
#include "services/job/job_child.h"

#include "base/file.h"
#include "services/job/job_spec.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum ig_code ig_child_start(struct ig_child *out, const struct ig_child_options *options,
                            struct ig_err *err)
{
    int ends[2] = {-1, -1}, given[IG_PROCESS_FDS_MAX];
    struct ig_child child = {.process = {.pidfd = -1}};
    if (pipe2(ends, O_CLOEXEC) != 0)
        return ig_fail(err, IG_IO, "training child: pipe: %s", strerror(errno));
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    given[IG_CHILD_DATA_FD] = options->data_fd;
    given[IG_CHILD_EVENTS_FD] = ends[1];
    given[IG_CHILD_LOG_FD] = options->log_fd;
    given[IG_CHILD_DIR_FD] = options->dir_fd;
    IG_ASSERT(options->models_count <= IG_PROCESS_FDS_MAX - IG_CHILD_MODELS_FD);
    for (size_t i = 0; i < options->models_count; i++)
        given[IG_CHILD_MODELS_FD + i] = options->model_fds[i];
    const struct ig_process_options process = {options->program, options->verb, given,
                                               IG_CHILD_MODELS_FD + options->models_count};
    enum ig_code code = ig_process_start(&child.process, &process, err);
    ig_file_close(&ends[1]);
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
    ig_process_kill(&child->process);
}

int ig_child_reap(struct ig_child *child)
{
    int status = ig_process_reap(&child->process);
    ig_file_close(&child->events);
    return status;
}
