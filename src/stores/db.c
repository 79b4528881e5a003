/* SPDX-License-Identifier: Apache-2.0 */
/* The database front: the writer thread with group commit, the pool of readers, the directory lock,
 * and the counter that makes the n-th store call fail in tests.
 *
 * Owns: one writer connection, used by the writer thread alone (by ig_db_open before it starts and
 * ig_db_close after it ended, and see 6); `readers_count` read-only connections, opened when they
 * are first needed and lent out under `readers_lock`.
 *
 * 1. A write request is its caller's: of ig_db_write on the stack of one who sleeps until it is
 *    done.
 * 2. Requests that wait at the same time share a transaction; each has a savepoint, unless it is
 *    alone. `done` is called only after the commit (or its failure), so OK means durable.
 * 3. A commit that fails fails every request of its batch.
 * 4. Checkpoints run on the writer thread between transactions.
 * 5. Those that were answered together come back together, while the commit of the others is under
 *    way, so that of two groups each would wait for the other's. The writer therefore waits for as
 *    many as it saw last, at most for half of a commit's time, and not again for a while when
 *    fewer came meanwhile than pay for it.
 * 6. A connection reads the whole schema before its first statement, which a start would pay for
 *    twice. So until the first write the thread that opened the database reads by the writer's
 *    connection, where the driver lets it.
 *
 * Thread rule: thread-safe throughout; lock order: none is held while another is taken. */
#include "stores/db_priv.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

enum { BATCH_MAX = 256, READERS_MAX = 64, IDLE_S = 2, OPEN_NS = 1000000 };
enum { GATHER_LEAST_NS = 100000, GATHER_MOST_NS = 5000000, GATHER_REST = 32 };

struct ig_db_tx {
    struct ig_db *db;
    struct ig_db_conn *conn;
};

/* One that waits for its write. */
struct waiter {
    struct ig_db_pending pending; /* first */
    pthread_mutex_t lock;
    pthread_cond_t told;
    bool done;
};

struct ig_db {
    const struct ig_db_driver *driver;
    struct ig_db_place place;
    int lock_fd;
    struct ig_db_conn *writer;
    uint64_t writer_thread;
    uint64_t wal_max_bytes;
    int64_t schema_version;

    pthread_mutex_t queue_lock;
    pthread_cond_t queue_filled;
    struct ig_db_pending *first, *last;
    unsigned queued, queue_max;
    unsigned wanted;    /* the writer thread waits for so many; or 0 */
    unsigned seen;      /* in the last batch, and waiting at its end */
    unsigned rest;      /* batches without a wait */
    uint64_t commit_ns; /* what the last one took; the writer thread's */
    bool stopping;
    bool started;

    pthread_mutex_t readers_lock;
    pthread_cond_t reader_free;
    pthread_t opener;
    enum { WRITER_IDLE, WRITER_READS, WRITER_WRITES } writer_state; /* writes: for good */
    struct ig_db_conn *readers[READERS_MAX]; /* the first `readers_idle` are free */
    unsigned readers_idle, readers_count, readers_max;
    bool reader_opens; /* one at a time */

    atomic_uint_fast64_t writes, commits, checkpoints;
};

static atomic_int_fast64_t fail_countdown;
static atomic_bool fail_happened;

void ig_db_fail_after(uint64_t calls)
{
    atomic_store(&fail_happened, false);
    atomic_store(&fail_countdown, (int_fast64_t)calls);
}

bool ig_db_failed(void)
{
    return atomic_load(&fail_happened);
}

/* Counts 1 down to -1 and stays there, so that 0 means "off". */
static enum ig_code injected(struct ig_err *err)
{
    int_fast64_t now = atomic_load(&fail_countdown);
    if (now == 0) return IG_OK;
    while (now > 0 && !atomic_compare_exchange_weak(&fail_countdown, &now, now == 1 ? -1 : now - 1))
        ;
    if (now > 1 || now == 0) return IG_OK; /* 0: switched off meanwhile */
    atomic_store(&fail_happened, true);
    return ig_fail(err, IG_IO, "database: injected failure");
}

enum ig_code ig_db_query(struct ig_db_rows **out, struct ig_db_tx *tx, const char *sql,
                         const struct ig_db_value *values, size_t values_count, struct ig_err *err)
{
    enum ig_code code = injected(err);
    if (code != IG_OK) return code;
    return tx->db->driver->query(out, tx->conn, sql, values, values_count, err);
}

enum ig_code ig_db_query_once(struct ig_db_rows **out, struct ig_db_tx *tx, const char *sql,
                              const struct ig_db_value *values, size_t values_count,
                              struct ig_err *err)
{
    enum ig_code code = injected(err);
    if (code != IG_OK) return code;
    return tx->db->driver->query_once(out, tx->conn, sql, values, values_count, err);
}

bool ig_db_next(struct ig_db_rows *rows, struct ig_err *err)
{
    if (injected(err) != IG_OK) return false;
    return rows->driver->next(rows, err);
}

void ig_db_finish(struct ig_db_rows *rows)
{
    if (rows) rows->driver->finish(rows);
}

enum ig_code ig_db_get_i64(int64_t *out, struct ig_db_tx *tx, const char *sql,
                           const struct ig_db_value *values, size_t values_count,
                           struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, values, values_count, err) != IG_OK) return err->code;
    if (ig_db_next(rows, err)) *out = ig_db_i64(rows, 0);
    ig_db_finish(rows);
    return err->code;
}

enum ig_code ig_db_exec(struct ig_db_tx *tx, const char *sql, const struct ig_db_value *values,
                        size_t values_count, struct ig_err *err)
{
    struct ig_db_rows *rows;
    enum ig_code code = ig_db_query(&rows, tx, sql, values, values_count, err);
    if (code != IG_OK) return code;
    struct ig_err local = IG_ERR_INIT;
    while (tx->db->driver->next(rows, &local))
        ;
    tx->db->driver->finish(rows);
    if (local.code == IG_OK) return IG_OK;
    return ig_fail(err, local.code, "%s", local.message);
}

int64_t ig_db_changes(const struct ig_db_tx *tx)
{
    return tx->db->driver->changes(tx->conn);
}

int64_t ig_db_i64(struct ig_db_rows *rows, int column)
{
    return rows->driver->column_i64(rows, column);
}

double ig_db_f64(struct ig_db_rows *rows, int column)
{
    return rows->driver->column_f64(rows, column);
}

struct ig_str ig_db_text(struct ig_db_rows *rows, int column)
{
    return rows->driver->column_text(rows, column);
}

struct ig_str ig_db_text_dup(struct ig_db_rows *rows, int column, struct ig_arena *arena)
{
    struct ig_str text = rows->driver->column_text(rows, column);
    return (struct ig_str){ig_arena_cstr(arena, text), text.len};
}

bool ig_db_is_null(struct ig_db_rows *rows, int column)
{
    return rows->driver->column_is_null(rows, column);
}

static void run_work(struct ig_db *db, struct ig_db_pending *request)
{
    struct ig_db_tx tx = {db, db->writer};
    request->code = request->work(&tx, request->context, request->err);
    if (request->code != IG_OK && request->err->code == IG_OK)
        ig_fail(request->err, request->code, "database work failed");
}

/* One of several requests inside the batch's transaction. */
static void run_apart(struct ig_db *db, struct ig_db_pending *request)
{
    struct ig_err ignored = IG_ERR_INIT;
    request->code = db->driver->step(db->writer, "savepoint one", request->err);
    if (request->code != IG_OK) return;
    run_work(db, request);
    if (!db->driver->in_transaction(db->writer)) return; /* the database gave the whole of it up */
    if (request->code == IG_OK)
        request->code = db->driver->step(db->writer, "release one", request->err);
    if (request->code != IG_OK)
        db->driver->script(db->writer, "rollback to one; release one", &ignored);
}

static enum ig_code commit(struct ig_db *db, struct ig_err *err)
{
    enum ig_code code = injected(err);
    uint64_t began = ig_clock_ns();
    if (code == IG_OK) code = db->driver->commit(db->writer, err);
    db->commit_ns = ig_clock_ns() - began;
    if (code == IG_OK) atomic_fetch_add(&db->commits, 1);
    return code;
}

/* From here on the connection is the writer thread's alone. */
static enum ig_code take_connection(struct ig_db *db, struct ig_err *err)
{
    enum ig_code code = IG_OK;
    pthread_mutex_lock(&db->readers_lock);
    while (db->writer_state == WRITER_READS) pthread_cond_wait(&db->reader_free, &db->readers_lock);
    if (db->writer_state == WRITER_IDLE) code = db->driver->only_read(db->writer, false, err);
    if (code == IG_OK) db->writer_state = WRITER_WRITES;
    pthread_mutex_unlock(&db->readers_lock);
    return code;
}

static enum ig_code begin(struct ig_db *db, const struct ig_db_pending *batch, struct ig_err *err)
{
    bool durable = false;
    for (const struct ig_db_pending *at = batch; at; at = at->next) durable |= !at->derived;
    if (take_connection(db, err) != IG_OK) return err->code;
    if (db->driver->sync_commits && db->driver->sync_commits(db->writer, durable, err) != IG_OK)
        return err->code;
    return db->driver->begin(db->writer, err);
}

/* A database elsewhere gives a transaction up only by losing the connection, which may show after
 * the write itself was answered. */
static enum ig_code fail_given_up(const struct ig_db *db, enum ig_code why, struct ig_err *err)
{
    if (db->driver->elsewhere || why == IG_UNAVAILABLE)
        return ig_fail(err, IG_UNAVAILABLE,
                       "database: the connection was lost before the commit, nothing of this write "
                       "was kept: try again");
    return ig_fail(err, IG_IO, "database: a write of the same batch ended them all");
}

static void run_batch(struct ig_db *db, struct ig_db_pending *batch)
{
    struct ig_err err = IG_ERR_INIT, ignored = IG_ERR_INIT;
    unsigned good = 0;
    enum ig_code code = begin(db, batch, &err);
    for (struct ig_db_pending *at = batch; at && code == IG_OK; at = at->next) {
        if (batch->next)
            run_apart(db, at);
        else
            run_work(db, at);
        good += at->code == IG_OK;
        if (!db->driver->in_transaction(db->writer)) code = fail_given_up(db, at->code, &err);
    }
    if (code == IG_OK && good > 0) code = commit(db, &err);
    if (db->driver->in_transaction(db->writer))
        db->driver->script(db->writer, "rollback", &ignored);
    for (struct ig_db_pending *at = batch; at && code != IG_OK; at = at->next) {
        if (at->code == IG_OK) at->code = ig_fail(at->err, code, "%s", err.message);
    }
    if (code == IG_OK) atomic_fetch_add(&db->writes, good);
}

static void maybe_checkpoint(struct ig_db *db)
{
    struct ig_err err = IG_ERR_INIT;
    if (db->driver->log_bytes(db->writer) < db->wal_max_bytes) return;
    if (db->driver->checkpoint(db->writer, false, &err) == IG_OK)
        atomic_fetch_add(&db->checkpoints, 1);
    else
        ig_log_err(IG_LOG_ERROR, "checkpoint", &err);
}

/* Cuts at most BATCH_MAX requests off the queue's head; the lock is held. */
static struct ig_db_pending *take_batch(struct ig_db *db)
{
    struct ig_db_pending *batch = db->first, *last = batch;
    unsigned count = 1;
    for (; last->next && count < BATCH_MAX; count++) last = last->next;
    db->first = last->next;
    if (!db->first) db->last = NULL;
    last->next = NULL;
    db->queued -= count;
    return batch;
}

/* Until there is a request or the end; the lock is held, but not while the driver has its turn. */
static void wait_for_work(struct ig_db *db)
{
    while (!db->first && !db->stopping) {
        struct timespec until;
        if (!db->driver->idle) {
            pthread_cond_wait(&db->queue_filled, &db->queue_lock);
            continue;
        }
        clock_gettime(CLOCK_REALTIME, &until);
        until.tv_sec += IDLE_S;
        if (pthread_cond_timedwait(&db->queue_filled, &db->queue_lock, &until) != ETIMEDOUT)
            continue;
        pthread_mutex_unlock(&db->queue_lock);
        db->driver->idle(db->writer);
        pthread_mutex_lock(&db->queue_lock);
    }
}

/* Before any of the `count` is answered and can come back. */
static void note_seen(struct ig_db *db, unsigned count)
{
    pthread_mutex_lock(&db->queue_lock);
    db->seen = count + db->queued < BATCH_MAX ? count + db->queued : BATCH_MAX;
    pthread_mutex_unlock(&db->queue_lock);
}

/* See 5 above; the lock is held, but not while it waits. */
static void gather(struct ig_db *db)
{
    uint64_t limit_ns = db->commit_ns / 2, began = ig_clock_ns();
    unsigned before = db->queued;
    if (before >= db->seen || limit_ns < GATHER_LEAST_NS) return;
    if (limit_ns > GATHER_MOST_NS) limit_ns = GATHER_MOST_NS;
    if (db->rest) {
        db->rest--;
        return;
    }
    const struct timespec until = {.tv_sec = (time_t)((began + limit_ns) / 1000000000),
                                   .tv_nsec = (long)((began + limit_ns) % 1000000000)};
    db->wanted = db->seen;
    while (db->queued < db->wanted && !db->stopping &&
           pthread_cond_clockwait(&db->queue_filled, &db->queue_lock, CLOCK_MONOTONIC, &until) == 0)
        ;
    db->wanted = 0;
    uint64_t waited_ns = ig_clock_ns() - began;
    if ((db->queued - before) * db->commit_ns < before * waited_ns) db->rest = GATHER_REST;
}

static void *writer_main(void *context)
{
    struct ig_db *db = context;
    pthread_mutex_lock(&db->queue_lock);
    for (;;) {
        wait_for_work(db);
        if (!db->first) break;
        gather(db);
        unsigned queued = db->queued;
        struct ig_db_pending *batch = take_batch(db);
        unsigned count = queued - db->queued;
        pthread_mutex_unlock(&db->queue_lock);
        run_batch(db, batch);
        note_seen(db, count);
        while (batch) {
            struct ig_db_pending *next = batch->next;
            batch->done(batch);
            batch = next;
        }
        maybe_checkpoint(db);
        if (db->driver->extend_log) db->driver->extend_log(db->writer);
        pthread_mutex_lock(&db->queue_lock);
    }
    pthread_mutex_unlock(&db->queue_lock);
    return NULL;
}

enum ig_code ig_db_write_later(struct ig_db *db, struct ig_db_pending *pending)
{
    pending->next = NULL;
    pthread_mutex_lock(&db->queue_lock);
    if (db->stopping || db->queued >= db->queue_max) {
        pthread_mutex_unlock(&db->queue_lock);
        return ig_fail(pending->err, db->stopping ? IG_UNAVAILABLE : IG_EXHAUSTED, "database: %s",
                       db->stopping ? "closing" : "too many writes wait");
    }
    bool first = !db->first;
    if (first)
        db->first = pending;
    else
        db->last->next = pending;
    db->last = pending;
    db->queued++;
    bool wakes = first || db->queued == db->wanted; /* else the writer was told already */
    pthread_mutex_unlock(&db->queue_lock);
    if (wakes) pthread_cond_signal(&db->queue_filled);
    return IG_OK;
}

static void tell(struct ig_db_pending *pending)
{
    struct waiter *waiter = (struct waiter *)pending;
    pthread_mutex_lock(&waiter->lock);
    waiter->done = true;
    pthread_cond_signal(&waiter->told);
    pthread_mutex_unlock(&waiter->lock);
}

static enum ig_code write_and_wait(struct ig_db *db, const struct ig_db_pending *pending)
{
    struct waiter waiter = {
        .pending = *pending, .lock = PTHREAD_MUTEX_INITIALIZER, .told = PTHREAD_COND_INITIALIZER};
    if (ig_db_write_later(db, &waiter.pending) != IG_OK) return pending->err->code;
    ig_pool_wait_begin();
    pthread_mutex_lock(&waiter.lock);
    while (!waiter.done) pthread_cond_wait(&waiter.told, &waiter.lock);
    pthread_mutex_unlock(&waiter.lock);
    ig_pool_wait_end();
    pthread_cond_destroy(&waiter.told);
    pthread_mutex_destroy(&waiter.lock);
    return waiter.pending.code;
}

enum ig_code ig_db_write(struct ig_db *db, ig_db_work *work, void *context, struct ig_err *err)
{
    return write_and_wait(
        db, &(struct ig_db_pending){.work = work, .context = context, .err = err, .done = tell});
}

enum ig_code ig_db_write_derived(struct ig_db *db, ig_db_work *work, void *context,
                                 struct ig_err *err)
{
    return write_and_wait(
        db, &(struct ig_db_pending){
                .work = work, .context = context, .err = err, .done = tell, .derived = true});
}

/* Whether one came back in the time that it would take to open another; the lock is held. */
static bool wait_for_reader(struct ig_db *db)
{
    struct timespec until;
    if (db->readers_idle) return true;
    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_nsec += OPEN_NS;
    if (until.tv_nsec >= 1000000000) {
        until.tv_sec++;
        until.tv_nsec -= 1000000000;
    }
    while (db->readers_idle == 0 &&
           pthread_cond_timedwait(&db->reader_free, &db->readers_lock, &until) != ETIMEDOUT)
        ;
    return db->readers_idle > 0;
}

/* The lock is held, but not while the driver has its turn. */
static enum ig_code open_reader(struct ig_db_conn **out, struct ig_db *db, struct ig_err *err)
{
    db->readers_count++;
    db->reader_opens = true;
    pthread_mutex_unlock(&db->readers_lock);
    enum ig_code code = db->driver->open(out, &db->place, false, err);
    pthread_mutex_lock(&db->readers_lock);
    db->reader_opens = false;
    if (code != IG_OK) db->readers_count--;
    pthread_cond_broadcast(&db->reader_free); /* those who did not open one meanwhile */
    return code;
}

/* The writer's connection as long as it may be; else one that is free, or soon will be, else a new
 * one, else the first to come back. */
static enum ig_code lend_reader(struct ig_db_conn **out, struct ig_db *db, struct ig_err *err)
{
    enum ig_code code = IG_OK;
    pthread_mutex_lock(&db->readers_lock);
    if (db->writer_state == WRITER_IDLE && pthread_equal(pthread_self(), db->opener)) {
        db->writer_state = WRITER_READS;
        *out = db->writer;
        goto out;
    }
    while (db->readers_idle == 0) {
        if (db->reader_opens || db->readers_count == db->readers_max) {
            pthread_cond_wait(&db->reader_free, &db->readers_lock);
        } else if (db->readers_count == 0 || !wait_for_reader(db)) {
            code = open_reader(out, db, err);
            goto out;
        }
    }
    *out = db->readers[--db->readers_idle];
out:
    pthread_mutex_unlock(&db->readers_lock);
    return code;
}

static enum ig_code read_with(struct ig_db_conn *conn, struct ig_db *db, ig_db_work *work,
                              void *context, struct ig_err *err)
{
    struct ig_err ignored = IG_ERR_INIT;
    struct ig_db_tx tx = {db, conn};
    enum ig_code code = db->driver->begin(conn, err);
    if (code == IG_OK) code = work(&tx, context, err);
    if (code != IG_OK && err->code == IG_OK) ig_fail(err, code, "database work failed");
    if (db->driver->in_transaction(conn)) db->driver->step(conn, "rollback", &ignored);
    pthread_mutex_lock(&db->readers_lock);
    if (conn == db->writer) {
        db->writer_state = WRITER_IDLE;
        pthread_cond_broadcast(&db->reader_free); /* the writer thread waits among others */
    } else {
        db->readers[db->readers_idle++] = conn;
        pthread_cond_signal(&db->reader_free);
    }
    pthread_mutex_unlock(&db->readers_lock);
    return code;
}

enum ig_code ig_db_read(struct ig_db *db, ig_db_work *work, void *context, struct ig_err *err)
{
    struct ig_db_conn *conn = NULL;
    if (db->driver->elsewhere) ig_pool_wait_begin();
    enum ig_code code = lend_reader(&conn, db, err);
    if (code == IG_OK) code = read_with(conn, db, work, context, err);
    if (db->driver->elsewhere) ig_pool_wait_end();
    return code;
}

enum ig_code ig_db_directory_lock(int *out, int dirfd, struct ig_err *err)
{
    char text[32] = {0};
    int fd = openat(dirfd, "lock", O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return ig_fail(err, IG_IO, "data directory: cannot open its lock: %s", strerror(errno));
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        ssize_t length = pread(fd, text, sizeof text - 1, 0);
        close(fd);
        return ig_fail(err, IG_CONFLICT, "data directory is in use by process %s",
                       length > 0 ? text : "(unknown)");
    }
    /* Cut off only what is longer than ours: to truncate costs a disk's turn. */
    int length = snprintf(text, sizeof text, "%ld", (long)getpid());
    off_t old = lseek(fd, 0, SEEK_END);
    if (old < 0 || pwrite(fd, text, (size_t)length, 0) != length ||
        (old > length && ftruncate(fd, length) != 0)) {
        close(fd);
        return ig_fail(err, IG_IO, "data directory: cannot write its lock: %s", strerror(errno));
    }
    *out = fd;
    return IG_OK;
}

static enum ig_code open_connections(struct ig_db *db, struct ig_err *err)
{
    enum ig_code code = db->driver->open(&db->writer, &db->place, true, err);
    if (code == IG_OK) code = ig_db_migrate(&db->schema_version, db->driver, db->writer, err);
    if (code == IG_OK && db->driver->only_read) return db->driver->only_read(db->writer, true, err);
    db->writer_state = WRITER_WRITES;
    if (code == IG_OK) code = db->driver->open(&db->readers[0], &db->place, false, err);
    if (code == IG_OK) db->readers_idle = db->readers_count = 1;
    return code;
}

enum ig_code ig_db_open(struct ig_db **out, const struct ig_db_options *options, struct ig_err *err)
{
    struct ig_db *db = ig_zalloc(sizeof *db);
    if (!db) return ig_fail(err, IG_NO_MEMORY, "database");
    db->readers_max = options->readers ? options->readers : 4;
    db->lock_fd = -1;
    db->opener = pthread_self();
    db->queue_max = options->queue_max ? options->queue_max : 4096;
    db->wal_max_bytes = options->wal_max_bytes ? options->wal_max_bytes : UINT64_C(16) << 20;
    pthread_mutex_init(&db->queue_lock, NULL);
    pthread_cond_init(&db->queue_filled, NULL);
    pthread_mutex_init(&db->readers_lock, NULL);
    pthread_cond_init(&db->reader_free, NULL);

    enum ig_code code = IG_OK;
    if (db->readers_max > READERS_MAX)
        code = ig_fail(err, IG_INVALID, "database readers: %u, at most %d", db->readers_max,
                       READERS_MAX);
    if (code == IG_OK) code = ig_db_directory_lock(&db->lock_fd, options->dirfd, err);
    if (code == IG_OK) code = ig_db_place_init(&db->place, &db->driver, options, err);
    if (code == IG_OK) code = open_connections(db, err);
    if (code == IG_OK) code = ig_db_place_note(&db->place, db->driver, err);
    if (code == IG_OK)
        code = ig_thread_start(&db->writer_thread, "db-writer", writer_main, db, err);
    if (code != IG_OK) {
        ig_db_close(db);
        return code;
    }
    db->started = true;
    *out = db;
    return IG_OK;
}

void ig_db_close(struct ig_db *db)
{
    struct ig_err err = IG_ERR_INIT;
    if (!db) return;
    if (db->started) {
        pthread_mutex_lock(&db->queue_lock);
        db->stopping = true;
        pthread_cond_signal(&db->queue_filled);
        pthread_mutex_unlock(&db->queue_lock);
        ig_thread_join(db->writer_thread);
    }
    for (unsigned i = 0; i < db->readers_idle; i++) db->driver->close(db->readers[i]);
    if (db->writer) {
        if (db->started && db->driver->checkpoint(db->writer, true, &err) != IG_OK)
            ig_log_err(IG_LOG_WARN, "checkpoint at close", &err);
        db->driver->close(db->writer);
    }
    if (db->lock_fd >= 0) close(db->lock_fd);
    ig_db_place_deinit(&db->place);
    pthread_cond_destroy(&db->reader_free);
    pthread_mutex_destroy(&db->readers_lock);
    pthread_cond_destroy(&db->queue_filled);
    pthread_mutex_destroy(&db->queue_lock);
    ig_free(db);
}

void ig_db_stats(struct ig_db *db, struct ig_db_stats *out)
{
    *out = (struct ig_db_stats){
        .writes = atomic_load(&db->writes),
        .commits = atomic_load(&db->commits),
        .checkpoints = atomic_load(&db->checkpoints),
        .schema_version = db->schema_version,
    };
}
