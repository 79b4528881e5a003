/* SPDX-License-Identifier: Apache-2.0 */
/* Jobs as rows: submit, read, cancel. The supervisor (job_supervisor.c) moves them on.
 *
 * 1. A state changes in one place: submit makes QUEUED; cancel ends QUEUED; the supervisor does the
 *    rest. Each statement names the state it changes from, so no race can end a job twice.
 * 2. Live progress is in memory (slots); a row gets its last values at the end.
 *
 * Thread rule: see job_priv.h for what `lock` guards. */
#include "services/job/job.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "base/thread.h"
#include "services/job/job_models.h"
#include "services/job/job_priv.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

enum { LIST_MAX = 1000, PATH_LIMIT = 4096 };

static const char *const STATE_NAMES[] = {
#define X(id, name) name,
    IG_JOB_STATES(X)
#undef X
};

const char *ig_job_state_name(enum ig_job_state state)
{
    return STATE_NAMES[state];
}

bool ig_job_state_final(enum ig_job_state state)
{
    return state != IG_JOB_QUEUED && state != IG_JOB_RUNNING;
}

void ig_jobs_wake(struct ig_jobs *jobs)
{
    eventfd_write(jobs->wake_fd, 1);
}

static enum ig_code find_running(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    bool *found = context;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx, "select 1 from jobs where state = $1",
                                    IG_DB_VALUES(IG_DB_I(IG_JOB_RUNNING)), err);
    if (code == IG_OK) *found = ig_db_next(rows, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code interrupt_running(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    (void)context;
    return ig_db_exec(
        tx, "update jobs set state = $1, finished_ms = $2, error = $3 where state = $4",
        IG_DB_VALUES(IG_DB_I(IG_JOB_INTERRUPTED), IG_DB_I(ig_clock_unix_ms()),
                     IG_DB_C("the server ended while the job ran"), IG_DB_I(IG_JOB_RUNNING)),
        err);
}

enum ig_code ig_jobs_open(struct ig_jobs **out, const struct ig_jobs_options *options,
                          struct ig_err *err)
{
    struct ig_jobs *jobs = ig_zalloc(sizeof *jobs);
    pthread_condattr_t monotonic;
    bool running = false;
    if (!jobs) return ig_fail(err, IG_NO_MEMORY, "jobs");
    jobs->options = *options;
    if (!jobs->options.program) jobs->options.program = "/proc/self/exe";
    if (!jobs->options.verb) jobs->options.verb = "train-child";
    if (!jobs->options.running_max) jobs->options.running_max = 1;
    if (!jobs->options.queued_max) jobs->options.queued_max = 100;
    jobs->root = jobs->wake_fd = -1;
    pthread_mutex_init(&jobs->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&jobs->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);

    enum ig_code code = IG_OK;
    if (jobs->options.running_max > IG_JOBS_RUNNING_MAX)
        code = ig_fail(err, IG_INVALID, "jobs running at once: %u, at most %d",
                       jobs->options.running_max, IG_JOBS_RUNNING_MAX);
    if (code == IG_OK) code = ig_dir_make(&jobs->root, options->dirfd, "jobs", err);
    if (code == IG_OK) {
        jobs->wake_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
        if (jobs->wake_fd < 0) code = ig_fail(err, IG_IO, "eventfd: %s", strerror(errno));
    }
    if (code == IG_OK) code = ig_db_read(options->db, find_running, &running, err);
    if (running) code = ig_db_write(options->db, interrupt_running, NULL, err);
    if (code == IG_OK) code = ig_jobs_forget_old(jobs, err);
    if (code == IG_OK)
        code = ig_thread_start(&jobs->thread, "jobs", ig_jobs_supervisor_main, jobs, err);
    if (code != IG_OK) {
        ig_jobs_close(jobs);
        return code;
    }
    jobs->started = true;
    *out = jobs;
    return IG_OK;
}

void ig_jobs_close(struct ig_jobs *jobs)
{
    if (!jobs) return;
    if (jobs->started) {
        pthread_mutex_lock(&jobs->lock);
        jobs->stopping = true;
        pthread_mutex_unlock(&jobs->lock);
        ig_jobs_wake(jobs);
        ig_thread_join(jobs->thread);
    }
    ig_file_close(&jobs->wake_fd);
    ig_file_close(&jobs->root);
    pthread_cond_destroy(&jobs->changed);
    pthread_mutex_destroy(&jobs->lock);
    ig_free(jobs);
}

/* What stands behind `root` in `path`, or an empty view. */
static struct ig_str beneath(struct ig_str path, const char *root)
{
    struct ig_str prefix = ig_str_view(root);
    while (prefix.len > 1 && prefix.ptr[prefix.len - 1] == '/') prefix.len--;
    if (!ig_str_starts(path, prefix) || path.len <= prefix.len + 1 || path.ptr[prefix.len] != '/')
        return (struct ig_str){"", 0};
    return (struct ig_str){path.ptr + prefix.len + 1, path.len - prefix.len - 1};
}

enum ig_code ig_jobs_open_path(int *fd, const struct ig_jobs *jobs, struct ig_str path,
                               struct ig_err *err)
{
    char name[PATH_LIMIT];
    if (path.len >= sizeof name || memchr(path.ptr, 0, path.len))
        return ig_fail(err, IG_INVALID, "data path: too long or with a NUL byte");
    for (size_t i = 0; i < jobs->options.data_roots_count; i++) {
        struct ig_str rest = beneath(path, jobs->options.data_roots[i]);
        int root = -1;
        if (rest.len == 0) continue;
        memcpy(name, rest.ptr, rest.len);
        name[rest.len] = 0;
        enum ig_code code = ig_dir_open(&root, IG_FILE_CWD, jobs->options.data_roots[i], err);
        if (code == IG_OK) code = ig_file_open_read(fd, root, name, err);
        ig_file_close(&root);
        return code;
    }
    return ig_fail(err, IG_DENIED, "data path '%.*s' is beneath none of the server's data_roots",
                   path.len > 200 ? 200 : (int)path.len, path.ptr);
}

struct submission {
    const struct ig_job_spec *spec;
    const struct ig_principal *who;
    struct ig_str id, params, drop;
    unsigned queued_max;
};

static enum ig_code insert_job(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct submission *submission = context;
    const struct ig_job_spec *spec = submission->spec;
    int64_t queued = 0;
    enum ig_code code = ig_db_get_i64(&queued, tx, "select count(*) from jobs where state = $1",
                                      IG_DB_VALUES(IG_DB_I(IG_JOB_QUEUED)), err);
    if (code != IG_OK) return code;
    if (queued >= submission->queued_max)
        return ig_fail(err, IG_EXHAUSTED, "%lld jobs are queued already, at most %u",
                       (long long)queued, submission->queued_max);
    code = ig_db_exec(
        tx,
        "insert into jobs(id, state, engine, target, data_digest, data_path, model, params,"
        " time_limit_s, memory_limit_mb, principal_id, principal_name, created_ms, started_ms,"
        " finished_ms, progress, metrics, error, version, dropped)"
        " values($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, 0, 0, 0, '{}', '', 0,"
        " $14)",
        IG_DB_VALUES(
            IG_DB_T(submission->id), IG_DB_I(IG_JOB_QUEUED),
            IG_DB_C(ig_job_engine_name(spec->params.engine)), IG_DB_T(spec->target),
            IG_DB_T(spec->data_digest), IG_DB_T(spec->data_path), IG_DB_T(spec->model),
            IG_DB_T(submission->params), IG_DB_I(spec->time_limit_s ? spec->time_limit_s : 3600),
            IG_DB_I(spec->memory_limit_mb), IG_DB_C(submission->who->id),
            IG_DB_C(submission->who->name), IG_DB_I(ig_clock_unix_ms()), IG_DB_T(submission->drop)),
        err);
    if (code != IG_OK) return code;
    return ig_audit_add(tx, submission->who, "job.submit", submission->id, IG_STR(""), err);
}

enum ig_code ig_job_submit(char id[IG_ID_SIZE], struct ig_jobs *jobs,
                           const struct ig_principal *who, const struct ig_job_spec *spec,
                           struct ig_err *err)
{
    char made[IG_ID_SIZE];
    struct ig_buf params, drop;
    struct ig_json_out out;
    struct ig_job_params numbered = spec->params;
    enum ig_code code = ig_jobs_check(jobs, spec, err);
    if (code == IG_OK) code = ig_job_models_resolve(&numbered, jobs->options.registry, err);
    if (code != IG_OK) return code;
    ig_id_new(made);
    ig_buf_init(&params, 64 << 10);
    ig_json_out_init(&out, &params);
    ig_params_write(&out, &numbered);
    ig_buf_init(&drop, IG_DROP_JSON_MAX);
    ig_json_out_init(&out, &drop);
    ig_drop_write(&out, &spec->drop);
    struct submission submission = {.spec = spec,
                                    .who = who,
                                    .id = ig_str_view(made),
                                    .params = ig_buf_view(&params),
                                    .drop = ig_buf_view(&drop),
                                    .queued_max = jobs->options.queued_max};
    if (params.overflowed)
        code = ig_fail(err, IG_NO_MEMORY, "job parameters");
    else if (drop.overflowed)
        code =
            ig_fail(err, IG_INVALID, "drop: the names take more than %d bytes", IG_DROP_JSON_MAX);
    if (code == IG_OK) code = ig_db_write(jobs->options.db, insert_job, &submission, err);
    ig_buf_deinit(&drop);
    ig_buf_deinit(&params);
    if (code != IG_OK) return code;
    memcpy(id, made, sizeof made);
    ig_jobs_wake(jobs);
    return IG_OK;
}

struct reading {
    struct ig_arena *arena;
    struct ig_str id; /* one, or empty */
    struct ig_str before;
    size_t limit;
    struct ig_job_list list;
};

static struct ig_job job_of_row(struct ig_db_rows *rows, struct ig_arena *arena)
{
    return (struct ig_job){
        .id = ig_db_text_dup(rows, 0, arena),
        .state = (enum ig_job_state)ig_db_i64(rows, 1),
        .model = ig_db_text_dup(rows, 2, arena),
        .version = ig_db_i64(rows, 3),
        .engine = ig_db_text_dup(rows, 4, arena),
        .target = ig_db_text_dup(rows, 5, arena),
        .data_digest = ig_db_text_dup(rows, 6, arena),
        .params_json = ig_db_text_dup(rows, 7, arena),
        .created_ms = ig_db_i64(rows, 8),
        .started_ms = ig_db_i64(rows, 9),
        .finished_ms = ig_db_i64(rows, 10),
        .progress = ig_db_f64(rows, 11),
        .metrics_json = ig_db_text_dup(rows, 12, arena),
        .error = ig_db_text_dup(rows, 13, arena),
        .drop_json = ig_db_text_dup(rows, 14, arena),
    };
}

static enum ig_code read_jobs(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct reading *reading = context;
    struct ig_db_rows *rows = NULL;
    size_t count = 0;
    struct ig_job *items = ig_arena_array(reading->arena, reading->limit, sizeof *items);
    if (!items) return ig_fail(err, IG_NO_MEMORY, "list of jobs");
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select id, state, model, version, engine, target, data_digest, params, created_ms,"
        " started_ms, finished_ms, progress, metrics, error, dropped from jobs"
        " where ($1 = '' or id = $1) and ($2 = '' or id < $2) order by id desc limit $3",
        IG_DB_VALUES(IG_DB_T(reading->id), IG_DB_T(reading->before),
                     IG_DB_I((int64_t)reading->limit)),
        err);
    while (code == IG_OK && count < reading->limit && ig_db_next(rows, err)) {
        items[count] = job_of_row(rows, reading->arena);
        if ((unsigned)items[count++].state >= IG_JOB_STATES_COUNT)
            code = ig_fail(err, IG_CORRUPT, "jobs: a row has an unknown state");
    }
    ig_db_finish(rows);
    if (reading->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "list of jobs");
    if (err->code == IG_OK) reading->list = (struct ig_job_list){items, count};
    return err->code;
}

static enum ig_code list_jobs(struct reading *reading, struct ig_jobs *jobs, struct ig_err *err)
{
    enum ig_code code = ig_db_read(jobs->options.db, read_jobs, reading, err);
    if (code != IG_OK) return code;
    pthread_mutex_lock(&jobs->lock);
    for (size_t i = 0; i < reading->list.count; i++) {
        struct ig_job *job = (struct ig_job *)(uintptr_t)&reading->list.items[i];
        if (job->state != IG_JOB_RUNNING) continue;
        for (size_t at = 0; at < IG_JOBS_RUNNING_MAX; at++) {
            const struct ig_job_slot *slot = &jobs->slots[at];
            if (!slot->used || !ig_str_is(job->id, slot->id)) continue;
            job->progress = slot->progress;
            if (slot->metrics.len)
                job->metrics_json =
                    ig_str_view(ig_arena_cstr(reading->arena, ig_buf_view(&slot->metrics)));
        }
    }
    pthread_mutex_unlock(&jobs->lock);
    if (reading->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "list of jobs");
    return IG_OK;
}

enum ig_code ig_job_get(struct ig_job *out, struct ig_jobs *jobs, struct ig_str id,
                        struct ig_arena *arena, struct ig_err *err)
{
    struct reading reading = {.arena = arena, .id = id, .limit = 1};
    if (id.len != IG_ID_SIZE - 1)
        return ig_fail(err, IG_NOT_FOUND, "job '%.*s' does not exist",
                       id.len > 40 ? 40 : (int)id.len, id.len ? id.ptr : "");
    enum ig_code code = list_jobs(&reading, jobs, err);
    if (code != IG_OK) return code;
    if (reading.list.count == 0)
        return ig_fail(err, IG_NOT_FOUND, "job '%.*s' does not exist", IG_STR_ARGS(id));
    *out = reading.list.items[0];
    return IG_OK;
}

enum ig_code ig_job_list(struct ig_job_list *out, struct ig_jobs *jobs, struct ig_str before,
                         size_t limit, struct ig_arena *arena, struct ig_err *err)
{
    struct reading reading = {.arena = arena, .before = before, .limit = limit ? limit : 100};
    if (reading.limit > LIST_MAX) reading.limit = LIST_MAX;
    enum ig_code code = list_jobs(&reading, jobs, err);
    if (code == IG_OK) *out = reading.list;
    return code;
}

struct cancelling {
    const struct ig_principal *who;
    struct ig_str id;
    enum ig_job_state state; /* before */
};

static enum ig_code cancel_job(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct cancelling *cancelling = context;
    struct ig_db_rows *rows = NULL;
    bool found = false;
    enum ig_code code = ig_db_query(&rows, tx, "select state from jobs where id = $1",
                                    IG_DB_VALUES(IG_DB_T(cancelling->id)), err);
    if (code != IG_OK) return code;
    found = ig_db_next(rows, err);
    if (found) cancelling->state = (enum ig_job_state)ig_db_i64(rows, 0);
    ig_db_finish(rows);
    if (err->code != IG_OK) return err->code;
    if (!found)
        return ig_fail(err, IG_NOT_FOUND, "job '%.*s' does not exist",
                       cancelling->id.len > 40 ? 40 : (int)cancelling->id.len, cancelling->id.ptr);
    if (ig_job_state_final(cancelling->state))
        return ig_fail(err, IG_CONFLICT, "job '%.*s' has ended already: %s",
                       IG_STR_ARGS(cancelling->id), ig_job_state_name(cancelling->state));
    if (cancelling->state == IG_JOB_QUEUED)
        code = ig_db_exec(tx, "update jobs set state = $1, finished_ms = $2 where id = $3",
                          IG_DB_VALUES(IG_DB_I(IG_JOB_CANCELLED), IG_DB_I(ig_clock_unix_ms()),
                                       IG_DB_T(cancelling->id)),
                          err);
    if (code != IG_OK) return code;
    return ig_audit_add(tx, cancelling->who, "job.cancel", cancelling->id, IG_STR(""), err);
}

enum ig_code ig_job_cancel(struct ig_jobs *jobs, const struct ig_principal *who, struct ig_str id,
                           struct ig_err *err)
{
    struct cancelling cancelling = {who, id, IG_JOB_QUEUED};
    enum ig_code code = ig_db_write(jobs->options.db, cancel_job, &cancelling, err);
    if (code != IG_OK) return code;
    pthread_mutex_lock(&jobs->lock);
    for (size_t i = 0; i < IG_JOBS_RUNNING_MAX; i++) {
        if (jobs->slots[i].used && ig_str_is(id, jobs->slots[i].id))
            jobs->slots[i].cancelled = true;
    }
    pthread_cond_broadcast(&jobs->changed);
    pthread_mutex_unlock(&jobs->lock);
    ig_jobs_wake(jobs);
    return IG_OK;
}

static enum ig_code read_file(struct ig_buf *buf, int fd, uint64_t offset, struct ig_err *err)
{
    size_t from = buf->len;
    if (!ig_buf_reserve(buf, buf->max_bytes - from)) return ig_fail(err, IG_NO_MEMORY, "job file");
    while (buf->len < buf->max_bytes) {
        ssize_t got = pread(fd, buf->ptr + buf->len, buf->max_bytes - buf->len,
                            (off_t)(offset + buf->len - from));
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ig_fail(err, IG_IO, "job file: %s", strerror(errno));
        if (got == 0) break;
        buf->len += (size_t)got;
    }
    buf->ptr[buf->len] = 0;
    return IG_OK;
}

enum ig_code ig_job_read(struct ig_buf *buf, struct ig_jobs *jobs, struct ig_str id,
                         enum ig_job_file file, uint64_t offset, struct ig_err *err)
{
    struct ig_arena arena;
    struct ig_job job;
    struct ig_err local = IG_ERR_INIT;
    char name[64];
    int fd = -1;
    ig_arena_init(&arena, 8 << 10, 1 << 20);
    enum ig_code code = ig_job_get(&job, jobs, id, &arena, err); /* so the id is one of ours */
    if (code == IG_OK && offset > (uint64_t)INT64_MAX / 2)
        code = ig_fail(err, IG_INVALID, "job file offset is too large");
    if (code == IG_OK) {
        snprintf(name, sizeof name, "%.*s/%s", IG_STR_ARGS(job.id),
                 file == IG_JOB_FILE_LOG ? "log" : "metrics.jsonl");
        code = ig_file_open_read(&fd, jobs->root, name, &local);
        if (code == IG_NOT_FOUND)
            code = IG_OK; /* not started yet */
        else if (code != IG_OK)
            ig_fail(err, code, "%s", local.message);
        else
            code = read_file(buf, fd, offset, err);
    }
    ig_file_close(&fd);
    ig_arena_deinit(&arena);
    return code;
}

static bool has_ended(struct ig_jobs *jobs, struct ig_str id)
{
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_job job;
    ig_arena_init(&arena, 8 << 10, 1 << 20);
    bool ended = ig_job_get(&job, jobs, id, &arena, &err) != IG_OK || ig_job_state_final(job.state);
    ig_arena_deinit(&arena);
    return ended;
}

bool ig_job_wait(struct ig_jobs *jobs, struct ig_str id, uint64_t timeout_ms)
{
    uint64_t end = ig_clock_ns() + timeout_ms * 1000000;
    for (;;) {
        if (has_ended(jobs, id)) return true;
        uint64_t now = ig_clock_ns();
        if (now >= end) return false;
        uint64_t until = now + 50 * 1000000; /* an end between the look and the wait is not lost */
        if (until > end) until = end;
        struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
        pthread_mutex_lock(&jobs->lock);
        pthread_cond_timedwait(&jobs->changed, &jobs->lock, &at);
        pthread_mutex_unlock(&jobs->lock);
    }
}
