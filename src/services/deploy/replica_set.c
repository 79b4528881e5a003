/* SPDX-License-Identifier: Apache-2.0 */
/* Replicas of an isolated deployment.
 *
 * A set has a keeper thread that alone starts processes (the kernel ties their lives to it), ends
 * idle ones, and at the end frees the set. Callers take an idle replica, talk to it, and put it
 * back, or end it when it broke.
 *
 *   FREE -(keeper)-> STARTING -> IDLE <-(caller)-> BUSY -(broken)-> FREE
 *                                  '---(keeper: idle, or it ended)--> FREE
 *
 * Invariants, under `lock`: a slot's process and socket belong to the keeper while it is STARTING,
 * to one caller while it is BUSY, to whoever holds the lock while it is IDLE. The keeper sleeps in
 * poll on `wake` and on the processes that idle. */
#include "services/deploy/replica_set.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "services/deploy/batcher.h"
#include "services/deploy/cpu_share.h"
#include "services/deploy/replica_child.h"
#include "services/deploy/replica_wire.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

static const size_t FRAME_MAX_BYTES = (size_t)2 << 30, FACES_MAX_BYTES = (size_t)256 << 20;
static const uint64_t MS = 1000000, S = 1000000000;
static const uint64_t LOAD_MAX_NS = 300 * S, CALL_MAX_NS = 60 * S;
static const uint64_t SCALE_UP_NS = 10 * MS; /* calls wait that long before there is one more */
static const uint64_t PAUSE_NS = 50 * MS, PAUSE_MAX_NS = 30 * S;
enum { JOINING_MAX = 32 };     /* calls that can wait in batches of others */
enum { FAILURES_AT_ONCE = 3 }; /* in a row; before that a new process is started at once */

struct ig_replica_host {
    char program[512];
    int dirfd;
    const char *blobs;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    unsigned sets;
};

enum state { FREE, STARTING, IDLE, BUSY };

struct slot {
    enum state state;
    struct ig_process process;
    int socket;
    uint64_t since_ns; /* when it became what it is */
    uint64_t memory_bytes;
    struct ig_buf in, out; /* of whoever it belongs to */
};

struct ig_replicas {
    struct ig_replica_host *host;
    struct ig_resources resources;
    char name[IG_NAME_SIZE];
    struct ig_buf setup, faces;
    struct ig_pool *pool;
    struct ig_batcher *batcher; /* or NULL */
    atomic_uint references;
    int wake; /* an eventfd */

    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct slot slots[IG_RESOURCES_REPLICAS_MAX];
    bool stopping;
    unsigned waiting;
    uint64_t waiting_since_ns; /* since when calls wait, or one more was started for them */
    unsigned failures;         /* in a row */
    uint64_t retry_at_ns;
    struct ig_cpu_share cpu;
    uint64_t calls, started, crashed, cpu_ns;
    struct ig_err failure; /* the latest */
};

/* ---- counts; under lock ---- */

static unsigned count_of(const struct ig_replicas *set, enum state state)
{
    unsigned count = 0;
    for (uint32_t i = 0; i < set->resources.replicas_max; i++)
        count += set->slots[i].state == state;
    return count;
}

static unsigned alive(const struct ig_replicas *set)
{
    return set->resources.replicas_max - count_of(set, FREE);
}

static unsigned wanted(const struct ig_replicas *set, uint64_t now_ns)
{
    unsigned least = set->resources.replicas_min, most = set->resources.replicas_max;
    unsigned most_used = count_of(set, BUSY) + set->waiting;
    if (!set->faces.len && !least) least = 1; /* the first one says what the models are */
    if (!set->waiting || count_of(set, IDLE)) return least; /* they wait for CPU time */
    if (alive(set) && now_ns - set->waiting_since_ns < SCALE_UP_NS) return least;
    if (most_used > most) most_used = most;
    return most_used > least ? most_used : least;
}

static struct slot *find(struct ig_replicas *set, enum state state)
{
    struct slot *latest = NULL; /* so that the others come to rest */
    for (uint32_t i = 0; i < set->resources.replicas_max; i++) {
        struct slot *slot = &set->slots[i];
        if (slot->state != state) continue;
        if (!latest || slot->since_ns > latest->since_ns) latest = slot;
    }
    return latest;
}

static void become(struct slot *slot, enum state state)
{
    slot->state = state;
    slot->since_ns = ig_clock_ns();
    if (state == FREE) slot->memory_bytes = 0;
}

static void note_failure(struct ig_replicas *set, const struct ig_err *err)
{
    unsigned more = ++set->failures < FAILURES_AT_ONCE ? 0 : set->failures - FAILURES_AT_ONCE + 1;
    uint64_t pause_ns = more ? PAUSE_NS << (more < 10 ? more : 10) : 0;
    set->failure = *err;
    set->crashed++;
    set->retry_at_ns = ig_clock_ns() + (pause_ns < PAUSE_MAX_NS ? pause_ns : PAUSE_MAX_NS);
    ig_log(IG_LOG_WARN, "replica ended", IG_LOG_C("deployment", set->name),
           IG_LOG_C("error", err->message));
}

static void wake(const struct ig_replicas *set)
{
    const uint64_t one = 1;
    ssize_t written = write(set->wake, &one, sizeof one);
    (void)written; /* it fails only when it is awake */
}

/* ---- one process ---- */

/* Kills it, if it has not ended, and says how it ended. */
static void end_process(struct slot *slot, char *how, size_t size)
{
    ig_process_kill(&slot->process);
    int status = ig_process_reap(&slot->process);
    if (how) ig_process_describe(how, size, status);
    ig_file_close(&slot->socket);
}

static enum ig_code spawn(struct ig_replicas *set, struct slot *slot, struct ig_err *err)
{
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0)
        return ig_fail(err, IG_IO, "replica: socket: %s", strerror(errno));
    const int fds[] = {[IG_REPLICA_SOCKET_FD] = ends[1],
                       [1] = IG_REPLICA_LOG_FD,
                       [IG_REPLICA_LOG_FD] = IG_REPLICA_LOG_FD,
                       [IG_REPLICA_DIR_FD] = set->host->dirfd};
    const struct ig_process_options options = {set->host->program, "replica", fds,
                                               sizeof fds / sizeof *fds};
    ig_process_start(&slot->process, &options, err);
    ig_file_close(&ends[1]);
    slot->socket = ends[0];
    if (err->code != IG_OK) ig_file_close(&slot->socket);
    return err->code;
}

/* Until the replica speaks; false: the set is to end. */
static bool await_word(struct ig_replicas *set, struct slot *slot, uint64_t deadline_ns)
{
    struct pollfd polls[2] = {{.fd = slot->socket, .events = POLLIN},
                              {.fd = set->wake, .events = POLLIN}};
    for (;;) {
        pthread_mutex_lock(&set->lock);
        bool stopping = set->stopping;
        pthread_mutex_unlock(&set->lock);
        if (stopping) return false;
        poll(polls, 2, 1000);
        if (polls[0].revents || ig_clock_ns() > deadline_ns) return true;
        if (polls[1].revents & POLLIN) {
            uint64_t ignored;
            if (read(set->wake, &ignored, sizeof ignored) < 0) return true;
        }
    }
}

/* The replica's READY, or what went wrong. */
static enum ig_code load(struct ig_replicas *set, struct slot *slot, struct ig_err *err)
{
    uint64_t deadline_ns = ig_clock_ns() + LOAD_MAX_NS;
    enum ig_replica_message kind = IG_REPLICA_ERROR;
    struct ig_replica_usage ignored;
    char how[64];
    if (ig_replica_send(slot->socket, IG_REPLICA_SETUP, ig_buf_view(&set->setup), deadline_ns,
                        err) == IG_OK &&
        await_word(set, slot, deadline_ns) &&
        ig_replica_receive(&kind, &slot->in, slot->socket, deadline_ns, err) == IG_OK) {
        if (kind == IG_REPLICA_READY) return IG_OK;
        if (kind == IG_REPLICA_ERROR)
            ig_replica_error_read(ig_buf_view(&slot->in), &ignored, err);
        else
            ig_fail(err, IG_CORRUPT, "replica: unexpected message %d", (int)kind);
    }
    bool gone = err->code == IG_CANCELLED;
    end_process(slot, how, sizeof how);
    if (!gone) return err->code == IG_OK ? ig_fail(err, IG_CANCELLED, "stopping") : err->code;
    ig_err_clear(err);
    return ig_fail(err, IG_UNAVAILABLE, "the process that loads the models ended: %s", how);
}

/* ---- the keeper ---- */

static void keep_faces(struct ig_replicas *set, struct slot *slot, struct ig_err *err)
{
    ig_buf_add_str(&set->faces, ig_buf_view(&slot->in));
    if (set->faces.len && !set->faces.overflowed) return;
    set->faces.overflowed = false;
    ig_buf_reset(&set->faces);
    end_process(slot, NULL, 0);
    ig_fail(err, IG_CORRUPT, "replica: READY with %zu bytes of descriptions", slot->in.len);
}

/* Under lock, which is given up in between. */
static void start_one(struct ig_replicas *set)
{
    struct ig_err err = IG_ERR_INIT;
    struct slot *slot = find(set, FREE);
    if (!slot) return;
    become(slot, STARTING);
    set->waiting_since_ns = ig_clock_ns();
    pthread_mutex_unlock(&set->lock);
    uint64_t started_ns = ig_clock_ns();
    if (spawn(set, slot, &err) == IG_OK) load(set, slot, &err);
    pthread_mutex_lock(&set->lock);
    if (err.code == IG_OK && !set->faces.len) keep_faces(set, slot, &err);
    become(slot, err.code == IG_OK ? IDLE : FREE);
    if (err.code == IG_OK) {
        set->started++;
        ig_log(IG_LOG_INFO, "replica ready", IG_LOG_C("deployment", set->name),
               IG_LOG_I("pid", slot->process.pid),
               IG_LOG_I("ms", (int64_t)((ig_clock_ns() - started_ns) / MS)));
    } else if (!set->stopping) {
        note_failure(set, &err);
    }
    pthread_cond_broadcast(&set->changed);
}

/* Of those that idle: one that has ended is noted, one that has idled long ends. */
static void look_at_idle(struct ig_replicas *set, const struct pollfd *polls,
                         struct slot *const *polled, size_t count)
{
    uint64_t idle_ns = set->resources.idle_s * S;
    for (size_t i = 0; i < count; i++) {
        struct slot *slot = polled[i];
        char how[64];
        struct ig_err err = IG_ERR_INIT;
        if (slot->state != IDLE) continue;
        if (polls[i].revents) {
            end_process(slot, how, sizeof how);
            ig_fail(&err, IG_UNAVAILABLE, "an idle process of the models ended: %s", how);
            become(slot, FREE);
            note_failure(set, &err);
        } else if (ig_clock_ns() - slot->since_ns >= idle_ns &&
                   alive(set) > set->resources.replicas_min) {
            end_process(slot, NULL, 0);
            become(slot, FREE);
        }
    }
}

/* How long nothing needs the keeper, unless it is woken. */
static int rest_ms(const struct ig_replicas *set)
{
    uint64_t now_ns = ig_clock_ns(), until_ns = now_ns + 3600 * S;
    unsigned running = alive(set);
    for (uint32_t i = 0; i < set->resources.replicas_max; i++) {
        const struct slot *slot = &set->slots[i];
        uint64_t due_ns = slot->since_ns + set->resources.idle_s * S;
        if (slot->state == IDLE && running > set->resources.replicas_min && due_ns < until_ns)
            until_ns = due_ns;
    }
    if (count_of(set, BUSY) && running > set->resources.replicas_min &&
        now_ns + set->resources.idle_s * S < until_ns)
        until_ns = now_ns + set->resources.idle_s * S;
    uint64_t grow_ns = set->waiting_since_ns + SCALE_UP_NS;
    if (set->waiting && grow_ns > now_ns && grow_ns < until_ns) until_ns = grow_ns;
    if (running < wanted(set, now_ns) && set->retry_at_ns < until_ns) until_ns = set->retry_at_ns;
    return until_ns <= now_ns ? 0 : (int)((until_ns - now_ns) / MS) + 1;
}

/* Gives the lock up while it sleeps. */
static void rest(struct ig_replicas *set)
{
    struct pollfd polls[IG_RESOURCES_REPLICAS_MAX + 1];
    struct slot *polled[IG_RESOURCES_REPLICAS_MAX];
    size_t count = 0;
    uint64_t ignored;
    int timeout_ms = rest_ms(set);
    for (uint32_t i = 0; i < set->resources.replicas_max; i++) {
        struct slot *slot = &set->slots[i];
        if (slot->state != IDLE) continue;
        polls[count] = (struct pollfd){.fd = slot->process.pidfd, .events = POLLIN};
        polled[count++] = slot;
    }
    polls[count] = (struct pollfd){.fd = set->wake, .events = POLLIN};
    pthread_mutex_unlock(&set->lock);
    int ready = poll(polls, count + 1, timeout_ms);
    if (ready > 0 && polls[count].revents && read(set->wake, &ignored, sizeof ignored) < 0)
        ready = 0;
    pthread_mutex_lock(&set->lock);
    if (ready < 0) return;
    look_at_idle(set, polls, polled, count);
}

static void free_set(struct ig_replicas *set)
{
    struct ig_replica_host *host = set->host;
    ig_pool_free(set->pool);
    for (uint32_t i = 0; i < set->resources.replicas_max; i++) {
        struct slot *slot = &set->slots[i];
        if (slot->state == IDLE) end_process(slot, NULL, 0);
        ig_buf_deinit(&slot->in);
        ig_buf_deinit(&slot->out);
    }
    ig_batcher_free(set->batcher);
    ig_file_close(&set->wake);
    ig_buf_deinit(&set->setup);
    ig_buf_deinit(&set->faces);
    pthread_cond_destroy(&set->changed);
    pthread_mutex_destroy(&set->lock);
    ig_free(set);
    pthread_mutex_lock(&host->lock);
    host->sets--;
    pthread_cond_broadcast(&host->ended);
    pthread_mutex_unlock(&host->lock);
}

static void *keep(void *context)
{
    struct ig_replicas *set = context;
    pthread_detach(pthread_self());
    pthread_mutex_lock(&set->lock);
    while (!set->stopping) {
        uint64_t now_ns = ig_clock_ns();
        if (alive(set) < wanted(set, now_ns) && now_ns >= set->retry_at_ns)
            start_one(set);
        else
            rest(set);
    }
    pthread_mutex_unlock(&set->lock);
    free_set(set);
    return NULL;
}

/* ---- callers ---- */

/* Under lock, which is given up meanwhile; until `until_ns`, or a change. */
static void wait_change(struct ig_replicas *set, uint64_t until_ns)
{
    struct timespec until = {.tv_sec = (time_t)(until_ns / S), .tv_nsec = (long)(until_ns % S)};
    if (!set->waiting++) set->waiting_since_ns = ig_clock_ns();
    wake(set);
    pthread_cond_timedwait(&set->changed, &set->lock, &until);
    set->waiting--;
}

static struct slot *acquire(struct ig_replicas *set, uint64_t deadline_ns, struct ig_err *err)
{
    struct slot *slot = NULL;
    pthread_mutex_lock(&set->lock);
    while (!slot && err->code == IG_OK) {
        uint64_t now_ns = ig_clock_ns(), pause_ns = ig_cpu_share_wait_ns(&set->cpu, now_ns);
        slot = pause_ns || now_ns >= deadline_ns ? NULL : find(set, IDLE);
        if (slot)
            become(slot, BUSY);
        else if (now_ns >= deadline_ns)
            ig_fail(err, IG_DEADLINE, "model '%s': no process was free within the time of the call",
                    set->name);
        else if (!alive(set) && now_ns < set->retry_at_ns)
            ig_fail(err, IG_UNAVAILABLE, "model '%s': %s", set->name, set->failure.message);
        else
            wait_change(set, pause_ns && now_ns + pause_ns < deadline_ns ? now_ns + pause_ns
                                                                         : deadline_ns);
    }
    if (set->waiting && slot)
        wake(set); /* whether more are wanted is to be seen again */
    else if (set->waiting)
        pthread_cond_signal(&set->changed); /* which may have been meant for this one */
    pthread_mutex_unlock(&set->lock);
    return slot;
}

static void put_back(struct ig_replicas *set, struct slot *slot,
                     const struct ig_replica_usage *usage)
{
    bool full = usage->full;
    if (full) {
        ig_log(IG_LOG_INFO, "replica full", IG_LOG_C("deployment", set->name),
               IG_LOG_I("pid", slot->process.pid),
               IG_LOG_I("memory_bytes", (int64_t)usage->memory_bytes));
        end_process(slot, NULL, 0);
    }
    pthread_mutex_lock(&set->lock);
    set->calls++;
    set->cpu_ns += usage->cpu_ns;
    ig_cpu_share_spend(&set->cpu, usage->cpu_ns, ig_clock_ns());
    set->failures = 0;
    if (!full && usage->memory_bytes) slot->memory_bytes = usage->memory_bytes;
    become(slot, full ? FREE : IDLE);
    pthread_cond_signal(&set->changed);
    pthread_mutex_unlock(&set->lock);
    if (full) wake(set);
}

/* The replica broke, or has to be stopped because its call is late: no fault of its own. */
static void give_up(struct ig_replicas *set, struct slot *slot, const struct ig_err *why, char *how,
                    size_t size)
{
    struct ig_err err = IG_ERR_INIT;
    end_process(slot, how, size);
    if (why->code == IG_CANCELLED)
        ig_fail(&err, IG_UNAVAILABLE, "the process that ran the models ended: %s", how);
    else
        ig_fail(&err, IG_UNAVAILABLE, "%s", why->message);
    pthread_mutex_lock(&set->lock);
    become(slot, FREE);
    if (why->code != IG_DEADLINE) note_failure(set, &err);
    pthread_cond_broadcast(&set->changed);
    pthread_mutex_unlock(&set->lock);
    wake(set);
}

/* One try of a call that slot->out holds. */
struct attempt {
    const struct ig_model *model;
    const struct ig_inference_request *request;
    struct ig_arena *arena;
    uint64_t deadline_ns;
    struct ig_replica_result got;
    struct ig_err answer; /* a refusal of the model, whose process is well */
};

/* What a caller will index is there. */
static bool fits(const struct attempt *attempt)
{
    const struct ig_explanations *got = &attempt->got.result.explanations;
    const struct ig_inference_request *request = attempt->request;
    const struct ig_explain_choice *choice = attempt->got.result.choice;
    if (!request->explain) return got->rows_count == 0;
    bool grouped = request->ask && request->ask->players.of_feature;
    uint32_t players = grouped ? request->ask->players.count : attempt->model->features_count;
    return got->rows_count == request->rows_count && got->players_count == players &&
           (choice != NULL) == (request->ask != NULL) &&
           got->form == (choice ? ig_explainer_form(choice->method) : IG_EXPLAIN_ADDITIVE);
}

static enum ig_code ask(struct attempt *attempt, struct slot *slot, struct ig_err *err)
{
    enum ig_replica_message kind;
    if (ig_replica_send(slot->socket, IG_REPLICA_CALL, ig_buf_view(&slot->out),
                        attempt->deadline_ns, err) != IG_OK ||
        ig_replica_receive(&kind, &slot->in, slot->socket, attempt->deadline_ns, err) != IG_OK)
        return err->code;
    struct ig_str bytes = ig_buf_view(&slot->in);
    if (kind == IG_REPLICA_ERROR) {
        ig_replica_error_read(bytes, &attempt->got.usage, &attempt->answer);
        return IG_OK;
    }
    struct ig_str kept = ig_arena_dup(attempt->arena, bytes);
    if (bytes.len && !kept.len)
        return ig_fail(&attempt->answer, IG_NO_MEMORY, "no memory for the answer");
    if (ig_replica_result_read(&attempt->got, kept, attempt->request->rows_count, attempt->model,
                               attempt->arena, err) == IG_OK &&
        !fits(attempt))
        ig_fail(err, IG_CORRUPT, "replica: RESULT is of another shape");
    return err->code;
}

/* A call on its way: the request as it came, or those of a batch as one. */
struct job {
    const struct ig_servable *servable;
    struct ig_inference_request request;
    struct ig_batch *batch; /* led by this call, and open until it has its turn; or NULL */
    bool is_closed;
    struct ig_arena *arena;
};

/* In a slot of its own. What is broken then is the slot's process, if anything. */
static void run_in(struct attempt *attempt, struct job *job, struct slot *slot,
                   struct ig_err *broken)
{
    uint32_t features = job->servable->package->model->features_count;
    bool opened = job->batch && !job->is_closed;
    job->is_closed = true; /* another try is for the same */
    if (opened && !ig_batch_close(&job->request, job->batch, job->arena)) {
        ig_fail(&attempt->answer, IG_NO_MEMORY, "no memory for a batch");
        return;
    }
    ig_buf_reset(&slot->out);
    ig_replica_call_write(&slot->out, job->servable->replica_node, &job->request, features);
    if (slot->out.overflowed)
        ig_fail(&attempt->answer, IG_TOO_LARGE, "rows: more than a process takes at a time");
    else
        ask(attempt, slot, broken);
}

static enum ig_code run(struct ig_inference_result *out, struct job *job, struct ig_err *err)
{
    struct ig_replicas *set = job->servable->replicas;
    for (int tries = 0; tries < 2; tries++) {
        struct attempt attempt = {.model = job->servable->package->model,
                                  .request = &job->request,
                                  .arena = job->arena,
                                  .deadline_ns = job->request.deadline_ns,
                                  .answer = IG_ERR_INIT};
        struct ig_err broken = IG_ERR_INIT;
        char how[64] = "";
        struct slot *slot = acquire(set, job->request.deadline_ns, err);
        if (!slot) return err->code;
        run_in(&attempt, job, slot, &broken);
        if (broken.code == IG_OK) {
            put_back(set, slot, &attempt.got.usage);
            if (attempt.answer.code == IG_OK)
                *out = attempt.got.result;
            else
                *err = attempt.answer;
            return err->code;
        }
        give_up(set, slot, &broken, how, sizeof how);
        if (broken.code == IG_DEADLINE)
            return ig_fail(err, IG_DEADLINE,
                           "model '%s': no answer within the time of the call; its process was "
                           "ended",
                           set->name);
        if (tries)
            return ig_fail(err, IG_UNAVAILABLE,
                           "model '%s': the process that computed this call ended, as did the one "
                           "before: %s",
                           set->name, how);
    }
    return err->code;
}

/* A batch that fails is no reason to fail for a request that was only in it. */
static enum ig_code run_led(struct ig_inference_result *out, struct job *job, struct ig_err *err)
{
    const struct ig_inference_request own = job->request;
    struct ig_inference_result result;
    if (run(&result, job, err) == IG_OK) {
        ig_batch_end(out, job->batch, &result);
        return IG_OK;
    }
    bool with_others = ig_batch_fail(job->batch) > 0;
    if (!with_others || err->code == IG_DEADLINE) return err->code;
    ig_err_clear(err);
    job->request = own;
    job->batch = NULL;
    return run(out, job, err);
}

enum ig_code ig_replicas_run(struct ig_inference_result *out, const struct ig_servable *servable,
                             const struct ig_inference_request *request, struct ig_arena *arena,
                             struct ig_err *err)
{
    struct ig_replicas *set = servable->replicas;
    struct job job = {.servable = servable, .request = *request, .arena = arena};
    if (!job.request.deadline_ns) job.request.deadline_ns = ig_clock_ns() + CALL_MAX_NS;
    if (set->batcher && !request->explain) {
        enum ig_batcher_role role =
            ig_batcher_enter(&job.batch, out, set->batcher, servable, &job.request, arena);
        if (role == IG_BATCH_ANSWERED) return IG_OK;
    }
    return (job.batch ? run_led : run)(out, &job, err);
}

/* ---- life ---- */

static enum ig_code prepare(struct ig_replicas *set, const struct ig_replicas_spec *spec,
                            struct ig_err *err)
{
    const struct ig_replica_setup setup = {
        .deployment = spec->deployment,
        .graph = spec->graph,
        .digests = spec->digests,
        .digests_count = spec->digests_count,
        .memory_bytes = (uint64_t)spec->resources->memory_mb << 20,
        .tables_max_bytes = spec->tables_max_bytes,
        .blobs = ig_str_view(set->host->blobs),
    };
    ig_replica_setup_write(&set->setup, &setup);
    set->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (set->setup.overflowed) return ig_fail(err, IG_NO_MEMORY, "replicas");
    if (set->wake < 0) return ig_fail(err, IG_IO, "replicas: eventfd: %s", strerror(errno));
    const struct ig_resources *resources = spec->resources;
    const struct ig_batcher_options batching = {.rows_max = resources->batch_rows,
                                                .linger_ns = resources->batch_delay_us * 1000ULL};
    unsigned threads = resources->replicas_max;
    if (batching.rows_max) {
        threads += batching.rows_max < JOINING_MAX ? (unsigned)batching.rows_max : JOINING_MAX;
        if (ig_batcher_new(&set->batcher, &batching, err) != IG_OK) return err->code;
    }
    return ig_pool_new(&set->pool, "replica", threads, resources->queue_max, err);
}

/* Until the first replica is there, or has failed. */
static enum ig_code await_first(struct ig_replicas *set, struct ig_err *err)
{
    pthread_mutex_lock(&set->lock);
    while (!set->faces.len && !set->failures) pthread_cond_wait(&set->changed, &set->lock);
    if (!set->faces.len) *err = set->failure;
    pthread_mutex_unlock(&set->lock);
    return err->code;
}

enum ig_code ig_replicas_new(struct ig_replicas **out, struct ig_replica_host *host,
                             const struct ig_replicas_spec *spec, struct ig_err *err)
{
    struct ig_replicas *set = ig_zalloc(sizeof *set);
    pthread_condattr_t monotonic;
    uint64_t keeper;
    if (!set) return ig_fail(err, IG_NO_MEMORY, "replicas");
    set->host = host;
    set->resources = *spec->resources;
    set->cpu.thousandths = spec->resources->cpu_thousandths;
    snprintf(set->name, sizeof set->name, "%.*s", IG_STR_ARGS(spec->deployment));
    atomic_init(&set->references, 1);
    pthread_mutex_init(&set->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&set->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    ig_buf_init(&set->setup, FACES_MAX_BYTES);
    ig_buf_init(&set->faces, FACES_MAX_BYTES);
    for (uint32_t i = 0; i < set->resources.replicas_max; i++) {
        set->slots[i].socket = set->slots[i].process.pidfd = -1;
        ig_buf_init(&set->slots[i].in, FRAME_MAX_BYTES);
        ig_buf_init(&set->slots[i].out, FRAME_MAX_BYTES);
    }
    pthread_mutex_lock(&host->lock);
    host->sets++;
    pthread_mutex_unlock(&host->lock);
    if (prepare(set, spec, err) != IG_OK ||
        ig_thread_start(&keeper, "replicas", keep, set, err) != IG_OK) {
        free_set(set);
        return err->code;
    }
    if (await_first(set, err) == IG_OK)
        *out = set;
    else
        ig_replicas_unref(set);
    return err->code;
}

struct ig_replicas *ig_replicas_ref(struct ig_replicas *set)
{
    if (set) atomic_fetch_add_explicit(&set->references, 1, memory_order_relaxed);
    return set;
}

void ig_replicas_unref(struct ig_replicas *set)
{
    if (!set) return;
    if (atomic_fetch_sub_explicit(&set->references, 1, memory_order_acq_rel) != 1) return;
    pthread_mutex_lock(&set->lock);
    set->stopping = true;
    wake(set); /* under the lock: the keeper frees the set once it has it */
    pthread_mutex_unlock(&set->lock);
}

struct ig_str ig_replicas_faces(const struct ig_replicas *set)
{
    return ig_buf_view(&set->faces);
}

struct ig_pool *ig_replicas_pool(struct ig_replicas *set)
{
    return set->pool;
}

void ig_replicas_stats(struct ig_replicas_stats *out, struct ig_replicas *set)
{
    *out = (struct ig_replicas_stats){0};
    pthread_mutex_lock(&set->lock);
    out->busy = count_of(set, BUSY);
    out->starting = count_of(set, STARTING);
    out->running = alive(set) - out->starting;
    out->waiting = set->waiting + ig_pool_queued(set->pool);
    out->calls = set->calls;
    out->started = set->started;
    out->crashed = set->crashed;
    out->cpu_ns = set->cpu_ns;
    for (uint32_t i = 0, count = 0; i < set->resources.replicas_max; i++) {
        const struct slot *slot = &set->slots[i];
        out->memory_bytes += slot->memory_bytes;
        if (slot->state == IDLE || slot->state == BUSY) out->pids[count++] = slot->process.pid;
    }
    if (set->crashed) snprintf(out->failure, sizeof out->failure, "%.199s", set->failure.message);
    pthread_mutex_unlock(&set->lock);
}

enum ig_code ig_replica_host_open(struct ig_replica_host **out,
                                  const struct ig_replica_host_options *options, struct ig_err *err)
{
    struct ig_replica_host *host = ig_zalloc(sizeof *host);
    if (!host) return ig_fail(err, IG_NO_MEMORY, "replicas");
    snprintf(host->program, sizeof host->program, "%s",
             options->program ? options->program : "/proc/self/exe");
    host->dirfd = options->dirfd;
    host->blobs = options->blobs;
    pthread_mutex_init(&host->lock, NULL);
    pthread_cond_init(&host->ended, NULL);
    *out = host;
    return IG_OK;
}

void ig_replica_host_close(struct ig_replica_host *host)
{
    if (!host) return;
    pthread_mutex_lock(&host->lock);
    while (host->sets) pthread_cond_wait(&host->ended, &host->lock);
    pthread_mutex_unlock(&host->lock);
    pthread_cond_destroy(&host->ended);
    pthread_mutex_destroy(&host->lock);
    ig_free(host);
}
