/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor: one thread that starts queued jobs, reads what their children say, and ends them.
 *
 *   start_next:   row QUEUED -> RUNNING, directory, spec.json, log, spawn
 *   read_events:  progress -> slot and metrics.jsonl; "done"; "error"
 *   finish:       reap, decide, package -> blob -> version and row in one transaction
 *
 * 1. A slot is taken before the row says RUNNING, so a cancel always finds one or the other.
 * 2. A package is imported only from a child that said "done" and exited with 0.
 * 3. When the server stops, children are killed and their jobs say INTERRUPTED.
 *
 * Thread rule: this thread owns all of a slot but the fields marked (shared). */
#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "services/job/job_models.h"
#include "services/job/job_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

enum { ARENA_CHUNK = 16 << 10, ARENA_MAX = 4 << 20, METRICS_FILE_MAX = 64 << 20 };

/* What a row says of a job to start. */
struct ready {
    struct ig_arena *arena;
    bool found;
    struct ig_train_spec spec;
    struct ig_str engine, data_path, params_json, drop_json, principal_id, principal_name;
};

static enum ig_code read_oldest(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ready *ready = context;
    struct ig_arena *arena = ready->arena;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select id, engine, target, model, data_digest, time_limit_s, memory_limit_mb, data_path,"
        " params, principal_id, principal_name, dropped from jobs where state = $1 order by id "
        "limit 1",
        IG_DB_VALUES(IG_DB_I(IG_JOB_QUEUED)), err);
    if (code != IG_OK) return code;
    ready->found = ig_db_next(rows, err);
    if (ready->found) {
        ready->spec.job_id = ig_db_text_dup(rows, 0, arena);
        ready->engine = ig_db_text_dup(rows, 1, arena);
        ready->spec.target = ig_db_text_dup(rows, 2, arena);
        ready->spec.model = ig_db_text_dup(rows, 3, arena);
        ready->spec.data_digest = ig_db_text_dup(rows, 4, arena);
        ready->spec.time_limit_s = ig_db_i64(rows, 5);
        ready->spec.memory_limit_mb = ig_db_i64(rows, 6);
        ready->data_path = ig_db_text_dup(rows, 7, arena);
        ready->params_json = ig_db_text_dup(rows, 8, arena);
        ready->principal_id = ig_db_text_dup(rows, 9, arena);
        ready->principal_name = ig_db_text_dup(rows, 10, arena);
        ready->drop_json = ig_db_text_dup(rows, 11, arena);
        ready->spec.has_data = ready->spec.data_digest.len || ready->data_path.len;
    }
    ig_db_finish(rows);
    if (arena->overflowed) ig_fail(err, IG_NO_MEMORY, "job");
    return err->code;
}

/* How a job ends. */
struct ending {
    struct ig_job_slot *slot;
    enum ig_job_state state;
    struct ig_str error;
    struct ig_str metrics;
    struct ig_version_spec version_spec; /* of a success */
    struct ig_version_facts facts;
    int64_t version;
};

static enum ig_code mark_running(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    enum ig_code code =
        ig_db_exec(tx, "update jobs set state = $1, started_ms = $2 where id = $3 and state = $4",
                   IG_DB_VALUES(IG_DB_I(IG_JOB_RUNNING), IG_DB_I(ig_clock_unix_ms()),
                                IG_DB_C(context), IG_DB_I(IG_JOB_QUEUED)),
                   err);
    if (code == IG_OK && ig_db_changes(tx) == 0)
        code = ig_fail(err, IG_CANCELLED, "cancelled before it started");
    return code;
}

static enum ig_code mark_ended(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct ending *ending = context;
    const struct ig_job_slot *slot = ending->slot;
    enum ig_code code = IG_OK;
    if (ending->state == IG_JOB_SUCCEEDED)
        code = ig_registry_version_add(&ending->version, tx, &slot->who, &ending->version_spec,
                                       &ending->facts, err);
    if (code != IG_OK) return code;
    return ig_db_exec(
        tx,
        "update jobs set state = $1, finished_ms = $2, progress = $3, metrics = $4, error = $5,"
        " version = $6 where id = $7 and state = $8",
        IG_DB_VALUES(IG_DB_I(ending->state), IG_DB_I(ig_clock_unix_ms()),
                     IG_DB_F(ending->state == IG_JOB_SUCCEEDED ? 1 : slot->progress),
                     IG_DB_T(ending->metrics), IG_DB_T(ending->error), IG_DB_I(ending->version),
                     IG_DB_C(slot->id), IG_DB_I(IG_JOB_RUNNING)),
        err);
}

static void release_slot(struct ig_jobs *jobs, struct ig_job_slot *slot)
{
    ig_file_close(&slot->dir_fd);
    ig_file_close(&slot->metrics_fd);
    ig_buf_deinit(&slot->line);
    pthread_mutex_lock(&jobs->lock);
    ig_buf_deinit(&slot->metrics);
    slot->used = false;
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
}

/* What was registered is in the blob store; what was not has no use. */
static void remove_package(const struct ig_job_slot *slot)
{
    struct ig_err err = IG_ERR_INIT;
    if (slot->dir_fd >= 0 && ig_file_remove(slot->dir_fd, "package.zip", &err) != IG_OK)
        ig_log_err(IG_LOG_WARN, "job's package", &err);
}

/* Writes the end of a job and gives its slot back. */
static void end_job(struct ig_jobs *jobs, struct ending *ending)
{
    struct ig_err err = IG_ERR_INIT;
    if (ig_db_write(jobs->options.db, mark_ended, ending, &err) != IG_OK) {
        ig_log_err(IG_LOG_ERROR, "job end", &err);
        if (ending->state == IG_JOB_SUCCEEDED) { /* say at least that it failed, and why */
            struct ig_err again = IG_ERR_INIT;
            ending->state = IG_JOB_FAILED;
            ending->error = ig_str_view(err.message);
            if (ig_db_write(jobs->options.db, mark_ended, ending, &again) != IG_OK)
                ig_log_err(IG_LOG_ERROR, "job end", &again);
        }
    }
    if (ending->state == IG_JOB_SUCCEEDED) ig_registry_changed(jobs->options.registry);
    remove_package(ending->slot);
    ig_log(IG_LOG_INFO, "job ended", IG_LOG_C("job", ending->slot->id),
           IG_LOG_C("state", ig_job_state_name(ending->state)), IG_LOG_S("error", ending->error),
           IG_LOG_I("version", ending->version));
    release_slot(jobs, ending->slot);
}

static enum ig_code open_new(int *out, int dirfd, const char *name, struct ig_err *err)
{
    *out = openat(dirfd, name, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (*out < 0) return ig_fail(err, IG_IO, "job file '%s': %s", name, strerror(errno));
    return IG_OK;
}

static void copy_text(char *to, size_t size, struct ig_str text)
{
    size_t length = text.len < size - 1 ? text.len : size - 1;
    memcpy(to, text.ptr, length);
    to[length] = 0;
}

static enum ig_code open_data(int *fd, struct ig_jobs *jobs, const struct ready *ready,
                              struct ig_err *err)
{
    uint64_t size;
    if (!ready->spec.has_data) return ig_file_open_read(fd, IG_FILE_CWD, "/dev/null", err);
    if (ready->spec.data_digest.len)
        return ig_blob_get(fd, &size, jobs->options.blobs, ready->spec.data_digest, err);
    return ig_jobs_open_path(fd, jobs, ready->data_path, err);
}

static enum ig_code write_spec(int dirfd, struct ready *ready, struct ig_err *err)
{
    struct ig_json json;
    struct ig_buf text;
    enum ig_job_engine engine;
    enum ig_code code = ig_job_engine_parse(&engine, ready->engine, err);
    if (code != IG_OK) return code;
    ig_params_defaults(&ready->spec.params, engine);
    ig_json_init(&json, ready->params_json, ready->arena, err);
    code = ig_params_read(&ready->spec.params, &json);
    if (code != IG_OK) return code;
    ig_json_init(&json, ready->drop_json, ready->arena, err);
    code = ig_drop_read(&ready->spec.drop, &json);
    if (code != IG_OK) return code;
    ig_buf_init(&text, 256 << 10);
    ig_train_spec_write(&text, &ready->spec);
    code = text.overflowed ? ig_fail(err, IG_NO_MEMORY, "job spec")
                           : ig_file_replace(dirfd, "spec.json", ig_buf_view(&text), err);
    ig_buf_deinit(&text);
    return code;
}

static enum ig_code start_child(struct ig_jobs *jobs, struct ig_job_slot *slot, struct ready *ready,
                                struct ig_err *err)
{
    int data_fd = -1, log_fd = -1, models[IG_JOB_MODELS_MAX];
    size_t models_count = 0;
    const struct ig_job_models from = {jobs->options.registry, jobs->options.blobs};
    enum ig_code code = ig_dir_make(&slot->dir_fd, jobs->root, slot->id, err);
    if (code == IG_OK) code = write_spec(slot->dir_fd, ready, err);
    if (code == IG_OK && ig_params_source(&ready->spec.params))
        copy_text(slot->source, sizeof slot->source,
                  ig_str_view(ig_params_source(&ready->spec.params)));
    if (code == IG_OK) code = open_new(&log_fd, slot->dir_fd, "log", err);
    if (code == IG_OK) code = open_new(&slot->metrics_fd, slot->dir_fd, "metrics.jsonl", err);
    if (code == IG_OK) code = open_data(&data_fd, jobs, ready, err);
    if (code == IG_OK)
        code = ig_job_models_open(models, &models_count, &from, &ready->spec.params, err);
    if (code == IG_OK) {
        struct ig_child_options child = {.program = jobs->options.program,
                                         .verb = jobs->options.verb,
                                         .data_fd = data_fd,
                                         .log_fd = log_fd,
                                         .model_fds = models,
                                         .models_count = models_count,
                                         .dir_fd = slot->dir_fd};
        code = ig_child_start(&slot->child, &child, err);
    }
    ig_file_close(&data_fd);
    ig_file_close(&log_fd);
    for (size_t i = 0; i < models_count; i++) ig_file_close(&models[i]);
    if (code != IG_OK) return code;
    slot->deadline_ns = ig_clock_ns() + (uint64_t)slot->time_limit_s * 1000000000;
    ig_log(IG_LOG_INFO, "job started", IG_LOG_C("job", slot->id),
           IG_LOG_I("pid", slot->child.process.pid));
    return IG_OK;
}

static void take_slot(struct ig_jobs *jobs, struct ig_job_slot *slot, const struct ready *ready)
{
    pthread_mutex_lock(&jobs->lock);
    memset(slot, 0, sizeof *slot);
    slot->used = true;
    copy_text(slot->id, sizeof slot->id, ready->spec.job_id);
    ig_buf_init(&slot->metrics, IG_TRAIN_LINE_MAX);
    pthread_mutex_unlock(&jobs->lock);
    slot->dir_fd = slot->metrics_fd = -1;
    slot->child = (struct ig_child){.process = {.pid = 0, .pidfd = -1}, .events = -1};
    slot->time_limit_s = ready->spec.time_limit_s;
    slot->memory_limit_mb = ready->spec.memory_limit_mb;
    ig_buf_init(&slot->line, IG_TRAIN_LINE_MAX);
    copy_text(slot->model, sizeof slot->model, ready->spec.model);
    copy_text(slot->who.id, sizeof slot->who.id, ready->principal_id);
    copy_text(slot->who.name, sizeof slot->who.name, ready->principal_name);
}

/* Starts the oldest queued job in a free slot; false when there is none, or no slot. */
static bool start_next(struct ig_jobs *jobs)
{
    struct ig_job_slot *slot = NULL;
    struct ig_arena arena;
    struct ready ready = {.arena = &arena};
    struct ig_err err = IG_ERR_INIT;
    for (size_t i = 0; i < jobs->options.running_max && !slot; i++) {
        if (!jobs->slots[i].used) slot = &jobs->slots[i];
    }
    if (!slot) return false;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    enum ig_code code = ig_db_read(jobs->options.db, read_oldest, &ready, &err);
    bool found = code == IG_OK && ready.found;
    if (code != IG_OK) ig_log_err(IG_LOG_ERROR, "job queue", &err);
    if (!found) goto out;
    take_slot(jobs, slot, &ready);
    code = ig_db_write(jobs->options.db, mark_running, slot->id, &err);
    if (code != IG_OK) {
        found = code == IG_CANCELLED; /* else the store refuses: wait for the next wake */
        if (code != IG_CANCELLED) ig_log_err(IG_LOG_ERROR, "job start", &err);
        release_slot(jobs, slot);
        goto out;
    }
    if (start_child(jobs, slot, &ready, &err) != IG_OK) {
        struct ending ending = {.slot = slot,
                                .state = IG_JOB_FAILED,
                                .error = ig_str_view(err.message),
                                .metrics = IG_STR("{}")};
        end_job(jobs, &ending);
    }
out:
    ig_arena_deinit(&arena);
    return found;
}

static void keep_metrics(struct ig_jobs *jobs, struct ig_job_slot *slot,
                         const struct ig_train_event *event)
{
    struct stat info;
    pthread_mutex_lock(&jobs->lock);
    slot->progress = event->progress;
    ig_buf_reset(&slot->metrics);
    ig_buf_add_str(&slot->metrics, event->metrics_json);
    pthread_mutex_unlock(&jobs->lock);
    if (event->kind != IG_TRAIN_PROGRESS) return;
    if (fstat(slot->metrics_fd, &info) != 0 || info.st_size > METRICS_FILE_MAX) return;
    struct iovec parts[2] = {{(void *)(uintptr_t)event->metrics_json.ptr, event->metrics_json.len},
                             {"\n", 1}};
    if (writev(slot->metrics_fd, parts, 2) < 0)
        ig_log(IG_LOG_WARN, "job metrics", IG_LOG_C("error", strerror(errno)));
}

static void take_line(struct ig_jobs *jobs, struct ig_job_slot *slot, struct ig_str line)
{
    struct ig_train_event event;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, ARENA_CHUNK, ARENA_MAX);
    if (ig_train_event_read(&event, line, &arena, &err) != IG_OK) {
        snprintf(slot->error, sizeof slot->error, "the trainer said something odd: %.300s",
                 err.message);
    } else if (event.kind == IG_TRAIN_ERROR) {
        copy_text(slot->error, sizeof slot->error, event.message);
    } else {
        slot->done = event.kind == IG_TRAIN_DONE;
        keep_metrics(jobs, slot, &event);
    }
    ig_arena_deinit(&arena);
}

/* Reads what the pipe holds now. */
static void read_events(struct ig_jobs *jobs, struct ig_job_slot *slot)
{
    char chunk[4096];
    while (slot->child.events >= 0) {
        ssize_t got = read(slot->child.events, chunk, sizeof chunk);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) {
            ig_file_close(&slot->child.events);
            return;
        }
        for (ssize_t i = 0; i < got; i++) {
            if (chunk[i] != '\n') {
                ig_buf_add_char(&slot->line, chunk[i]);
                continue;
            }
            if (!slot->line.overflowed) take_line(jobs, slot, ig_buf_view(&slot->line));
            ig_buf_reset(&slot->line);
        }
    }
}

/* Package to blob, opened once as a proof. */
static enum ig_code import_package(struct ig_jobs *jobs, struct ending *ending,
                                   char digest[IG_SHA256_HEX], struct ig_err *err)
{
    struct ig_job_slot *slot = ending->slot;
    int fd = -1;
    enum ig_code code = ig_file_open_read(&fd, slot->dir_fd, "package.zip", err);
    if (code == IG_OK) code = ig_blob_put_fd(digest, NULL, jobs->options.blobs, fd, err);
    ig_file_close(&fd);
    if (code != IG_OK) return code;
    ending->version_spec = (struct ig_version_spec){.model = ig_str_view(slot->model),
                                                    .digest = ig_str_view(digest),
                                                    .job_id = ig_str_view(slot->id),
                                                    .source = ig_str_view(slot->source),
                                                    .metrics_json = ig_buf_view(&slot->metrics)};
    code = ig_registry_version_check(&ending->facts, jobs->options.registry, &ending->version_spec,
                                     err);
    return code;
}

static void explain_status(char *text, size_t size, const struct ig_job_slot *slot, int status)
{
    char limit[64] = "";
    int signal = WIFSIGNALED(status) ? WTERMSIG(status) : 0;
    if (slot->memory_limit_mb)
        snprintf(limit, sizeof limit, " (its memory limit was %lld MB)",
                 (long long)slot->memory_limit_mb);
    if (signal == SIGKILL)
        snprintf(text, size, "the trainer was killed, perhaps by the system for lack of memory%s",
                 limit);
    else if (signal == SIGXCPU)
        snprintf(text, size, "the trainer used up its CPU time");
    else if (signal)
        snprintf(text, size, "the trainer ended with signal %d (%s); see the job's log%s", signal,
                 strsignal(signal), limit);
    else
        snprintf(text, size, "the trainer ended with status %d and no result; see the job's log%s",
                 WEXITSTATUS(status), limit);
}

static void finish(struct ig_jobs *jobs, struct ig_job_slot *slot, bool stopping)
{
    struct ig_err err = IG_ERR_INIT;
    char text[512] = "", digest[IG_SHA256_HEX];
    struct ending ending = {.slot = slot, .state = IG_JOB_FAILED};
    read_events(jobs, slot);
    int status = ig_child_reap(&slot->child);
    pthread_mutex_lock(&jobs->lock);
    bool cancelled = slot->cancelled;
    pthread_mutex_unlock(&jobs->lock);
    if (stopping) {
        ending.state = IG_JOB_INTERRUPTED;
        snprintf(text, sizeof text, "the server ended while the job ran");
    } else if (cancelled) {
        ending.state = IG_JOB_CANCELLED;
    } else if (slot->timed_out) {
        snprintf(text, sizeof text, "the time limit of %lld s was reached",
                 (long long)slot->time_limit_s);
    } else if (slot->error[0]) {
        snprintf(text, sizeof text, "%s", slot->error);
    } else if (!slot->done || !WIFEXITED(status) || WEXITSTATUS(status) != 0) {
        explain_status(text, sizeof text, slot, status);
    } else if (import_package(jobs, &ending, digest, &err) != IG_OK) {
        snprintf(text, sizeof text, "%s", err.message);
    } else {
        ending.state = IG_JOB_SUCCEEDED;
    }
    ending.error = ig_str_view(text);
    ending.metrics = slot->metrics.len ? ig_buf_view(&slot->metrics) : IG_STR("{}");
    end_job(jobs, &ending);
}

/* Milliseconds until the next deadline, -1 without one. */
static int next_timeout(const struct ig_jobs *jobs)
{
    uint64_t now = ig_clock_ns(), least = UINT64_MAX;
    for (size_t i = 0; i < IG_JOBS_RUNNING_MAX; i++) {
        const struct ig_job_slot *slot = &jobs->slots[i];
        if (slot->used && slot->deadline_ns < least) least = slot->deadline_ns;
    }
    if (least == UINT64_MAX) return -1;
    if (least <= now) return 0;
    uint64_t ms = (least - now) / 1000000 + 1;
    return ms > 60000 ? 60000 : (int)ms;
}

static void wait_for_news(struct ig_jobs *jobs)
{
    struct pollfd polls[1 + 2 * IG_JOBS_RUNNING_MAX];
    nfds_t count = 0;
    eventfd_t ignored;
    polls[count++] = (struct pollfd){.fd = jobs->wake_fd, .events = POLLIN};
    for (size_t i = 0; i < IG_JOBS_RUNNING_MAX; i++) {
        if (!jobs->slots[i].used) continue;
        polls[count++] =
            (struct pollfd){.fd = jobs->slots[i].child.process.pidfd, .events = POLLIN};
        polls[count++] = (struct pollfd){.fd = jobs->slots[i].child.events, .events = POLLIN};
    }
    poll(polls, count, next_timeout(jobs));
    eventfd_read(jobs->wake_fd, &ignored);
}

static bool child_ended(const struct ig_job_slot *slot)
{
    struct pollfd ended = {.fd = slot->child.process.pidfd, .events = POLLIN};
    return poll(&ended, 1, 0) > 0;
}

static void look_after(struct ig_jobs *jobs, struct ig_job_slot *slot, bool stopping)
{
    pthread_mutex_lock(&jobs->lock);
    bool cancelled = slot->cancelled;
    pthread_mutex_unlock(&jobs->lock);
    read_events(jobs, slot);
    if (!slot->timed_out && ig_clock_ns() >= slot->deadline_ns && !child_ended(slot))
        slot->timed_out = true;
    if (cancelled || stopping || slot->timed_out) ig_child_kill(&slot->child);
    if (stopping || child_ended(slot)) finish(jobs, slot, stopping);
}

void *ig_jobs_supervisor_main(void *context)
{
    struct ig_jobs *jobs = context;
    for (;;) {
        pthread_mutex_lock(&jobs->lock);
        bool stopping = jobs->stopping;
        pthread_mutex_unlock(&jobs->lock);
        for (size_t i = 0; i < IG_JOBS_RUNNING_MAX; i++) {
            if (jobs->slots[i].used) look_after(jobs, &jobs->slots[i], stopping);
        }
        if (stopping) return NULL;
        while (start_next(jobs))
            ;
        wait_for_news(jobs);
    }
}
