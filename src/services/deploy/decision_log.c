/* SPDX-License-Identifier: Apache-2.0 */
/* The decision log's rings, its writer thread and its syncer thread.
 *
 * 1. A ring has one producer (its loop) and one consumer (the writer thread): head is written by
 * the one, tail by the other. A record is encoded in place, framed and checksummed by the consumer.
 * 2. The writer appends whole records only. After a failed write it goes on in a new segment, so a
 *    cut record can only be the last of a file.
 * 3. A segment is synced once a second while it grows, and when it is left: by the syncer, which
 *    gets a duplicate of its descriptor, since rings would run over while the writer waits for a
 *    disk. Where the syncer has not yet taken the one before, the writer syncs by itself.
 * 4. A producer wakes the writer when its ring is half full, and with the first record after the
 *    writer fell asleep, which it does when all is written and synced; sem_post neither waits nor
 *    locks.
 *
 * Thread rule: put: the ring's owner. All else: any thread, `lock` guards the flush counters. */
#include "services/deploy/decision_log.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "services/deploy/decision_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <string.h>

enum { SYNC_EVERY_MS = 1000, BATCH_BYTES = 1 << 20 };

struct slot {
    size_t bytes;
    unsigned char record[IG_DECISION_RECORD_MAX];
};

struct ring {
    alignas(64) atomic_uint_fast64_t head; /* records ever put */
    atomic_uint_fast64_t dropped;
    alignas(64) atomic_uint_fast64_t tail; /* records ever taken */
    struct slot *slots;
};

struct ig_decision_log {
    struct ig_decision_log_options options;
    struct ring *rings; /* options.rings, and one that worker threads share */
    pthread_mutex_t shared_lock;
    int dir_fd;
    uint64_t writer, syncer;
    bool writer_started, syncer_started;
    sem_t wake;         /* the writer */
    sem_t sync_wake;    /* the syncer */
    atomic_int sync_fd; /* handed to the syncer, -1: none */
    atomic_bool sync_stopping;
    atomic_uint_fast64_t written, bytes, lost;

    pthread_mutex_t lock;
    pthread_cond_t flushed;
    bool stopping;
    uint64_t flush_wanted, flush_done;
    atomic_bool asleep; /* the writer, until it is woken */

    /* The writer thread's own. */
    int segment_fd;
    uint64_t segment_number;
    uint64_t segment_bytes;
    bool dirty;
    uint64_t synced_ns;
    struct ig_buf batch;
    uint64_t batch_records;
};

static bool put(struct ig_decision_log *log, struct ring *ring, const struct ig_decision *decision)
{
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_relaxed);
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_acquire);
    if (head - tail >= log->options.ring_records) {
        atomic_fetch_add_explicit(&ring->dropped, 1, memory_order_relaxed);
        return false;
    }
    struct slot *slot = &ring->slots[head & (log->options.ring_records - 1)];
    slot->bytes = ig_decision_encode(slot->record, decision);
    atomic_store(&ring->head, head + 1);
    bool rouse = atomic_load(&log->asleep) && atomic_exchange(&log->asleep, false);
    if (rouse || head + 1 - tail == log->options.ring_records / 2) sem_post(&log->wake);
    return true;
}

bool ig_decision_log_put(struct ig_decision_log *log, unsigned ring,
                         const struct ig_decision *decision)
{
    IG_ASSERT(ring < log->options.rings);
    return put(log, &log->rings[ring], decision);
}

bool ig_decision_log_put_shared(struct ig_decision_log *log, const struct ig_decision *decision)
{
    pthread_mutex_lock(&log->shared_lock);
    bool done = put(log, &log->rings[log->options.rings], decision);
    pthread_mutex_unlock(&log->shared_lock);
    return done;
}

/* Keeps the directory within total_bytes by removing the oldest segments. */
static void remove_oldest(struct ig_decision_log *log)
{
    struct ig_err err = IG_ERR_INIT;
    char name[IG_DECISION_NAME_SIZE];
    uint64_t *numbers = NULL;
    size_t count = 0;
    uint64_t keep = log->options.total_bytes / log->options.segment_bytes;
    if (keep < 1) keep = 1;
    if (ig_decision_segments(&numbers, &count, log->dir_fd, &err) != IG_OK) {
        ig_log_err(IG_LOG_WARN, "decision log", &err);
        return;
    }
    for (size_t i = 0; count > keep && i < count - keep; i++) {
        ig_decision_name(name, numbers[i]);
        ig_file_remove(log->dir_fd, name, &err);
    }
    ig_free(numbers);
}

static void hand_to_syncer(struct ig_decision_log *log)
{
    int none = -1;
    int fd = log->syncer_started ? fcntl(log->segment_fd, F_DUPFD_CLOEXEC, 0) : -1;
    if (fd >= 0 && atomic_compare_exchange_strong(&log->sync_fd, &none, fd)) {
        sem_post(&log->sync_wake);
    } else {
        ig_file_close(&fd);
        ig_file_sync(log->segment_fd);
    }
    log->dirty = false;
    log->synced_ns = ig_clock_ns();
}

static void *syncer_main(void *context)
{
    struct ig_decision_log *log = context;
    bool stopping = false;
    while (!stopping) {
        while (sem_wait(&log->sync_wake) != 0) IG_ASSERT(errno == EINTR);
        stopping = atomic_load(&log->sync_stopping);
        int fd = atomic_exchange(&log->sync_fd, -1);
        if (fd < 0) continue;
        ig_file_sync(fd);
        ig_file_close(&fd);
    }
    return NULL;
}

static void leave_segment(struct ig_decision_log *log)
{
    if (log->segment_fd < 0) return;
    if (log->dirty) hand_to_syncer(log);
    ig_file_close(&log->segment_fd);
}

static enum ig_code enter_segment(struct ig_decision_log *log, struct ig_err *err)
{
    unsigned char header[IG_DECISION_HEADER_BYTES];
    char name[IG_DECISION_NAME_SIZE];
    int fd = -1;
    ig_decision_name(name, ++log->segment_number);
    enum ig_code code = ig_file_open_append(&fd, log->dir_fd, name, err);
    ig_decision_header(header);
    if (code == IG_OK) code = ig_file_write_all(fd, header, sizeof header, err);
    if (code != IG_OK) {
        ig_file_close(&fd);
        return code;
    }
    ig_file_sync(log->dir_fd);
    log->segment_fd = fd;
    log->segment_bytes = sizeof header;
    remove_oldest(log);
    return IG_OK;
}

static void write_batch(struct ig_decision_log *log)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_code code = IG_OK;
    if (log->batch_records == 0) return;
    if (log->segment_fd >= 0 && log->segment_bytes >= log->options.segment_bytes)
        leave_segment(log);
    if (log->segment_fd < 0) code = enter_segment(log, &err);
    if (code == IG_OK)
        code = ig_file_write_all(log->segment_fd, log->batch.ptr, log->batch.len, &err);
    if (code == IG_OK) {
        log->segment_bytes += log->batch.len;
        log->dirty = true;
        atomic_fetch_add(&log->written, log->batch_records);
        atomic_fetch_add(&log->bytes, log->batch.len);
    } else {
        ig_log_err(IG_LOG_ERROR, "decision log", &err);
        atomic_fetch_add(&log->lost, log->batch_records);
        leave_segment(log);
    }
    ig_buf_reset(&log->batch);
    log->batch_records = 0;
}

static void observe(struct ig_decision_log *log, const struct slot *slot)
{
    struct ig_decision decision;
    if (ig_decision_decode(&decision, slot->record + IG_DECISION_FRAME_BYTES,
                           slot->bytes - IG_DECISION_FRAME_BYTES))
        log->options.observe(log->options.context, &decision);
}

static void drain_ring(struct ig_decision_log *log, struct ring *ring)
{
    uint64_t tail = atomic_load_explicit(&ring->tail, memory_order_relaxed);
    uint64_t head = atomic_load_explicit(&ring->head, memory_order_acquire);
    for (; tail != head; tail++) {
        struct slot *slot = &ring->slots[tail & (log->options.ring_records - 1)];
        ig_decision_seal(slot->record, slot->bytes);
        if (log->options.observe) observe(log, slot);
        ig_buf_add(&log->batch, slot->record, slot->bytes); /* reserved at open */
        log->batch_records++;
        atomic_store_explicit(&ring->tail, tail + 1, memory_order_release);
        if (log->batch.len > BATCH_BYTES - IG_DECISION_RECORD_MAX) write_batch(log);
    }
}

static void sync_sometimes(struct ig_decision_log *log)
{
    uint64_t age_ns = ig_clock_ns() - log->synced_ns;
    if (log->dirty && age_ns >= UINT64_C(1000000) * SYNC_EVERY_MS) hand_to_syncer(log);
}

static void wait_a_while(struct ig_decision_log *log)
{
    uint64_t until = ig_clock_ns() + (uint64_t)log->options.flush_ms * 1000000;
    struct timespec at = {(time_t)(until / 1000000000), (long)(until % 1000000000)};
    while (sem_clockwait(&log->wake, CLOCK_MONOTONIC, &at) != 0)
        if (errno == ETIMEDOUT) return;
}

static bool has_records(struct ig_decision_log *log)
{
    for (unsigned i = 0; i <= log->options.rings; i++) {
        struct ring *ring = &log->rings[i];
        if (atomic_load(&ring->head) != atomic_load_explicit(&ring->tail, memory_order_relaxed))
            return true;
    }
    return false;
}

/* Until a record comes, or somebody asks. In the one order of all these loads and stores, either
 * the producer's record is seen here or that the writer is asleep is seen there. */
static void sleep_until_more(struct ig_decision_log *log)
{
    if (log->dirty) return; /* it is still to be synced */
    atomic_store(&log->asleep, true);
    while (!has_records(log) && sem_wait(&log->wake) != 0) IG_ASSERT(errno == EINTR);
    atomic_store(&log->asleep, false);
}

static bool is_asked(struct ig_decision_log *log)
{
    pthread_mutex_lock(&log->lock);
    bool asked = log->stopping || log->flush_wanted > log->flush_done;
    pthread_mutex_unlock(&log->lock);
    return asked;
}

static void *writer_main(void *context)
{
    struct ig_decision_log *log = context;
    bool stopping = false;
    while (!stopping) {
        sleep_until_more(log);
        if (!is_asked(log)) wait_a_while(log);
        pthread_mutex_lock(&log->lock);
        stopping = log->stopping;
        uint64_t wanted = log->flush_wanted;
        pthread_mutex_unlock(&log->lock);
        for (unsigned i = 0; i <= log->options.rings; i++) drain_ring(log, &log->rings[i]);
        write_batch(log);
        sync_sometimes(log);
        pthread_mutex_lock(&log->lock);
        log->flush_done = wanted;
        pthread_cond_broadcast(&log->flushed);
        pthread_mutex_unlock(&log->lock);
    }
    leave_segment(log);
    return NULL;
}

static enum ig_code make_rings(struct ig_decision_log *log, struct ig_err *err)
{
    unsigned records = log->options.ring_records;
    if (log->options.rings == 0 || log->options.rings > 4096 || records & (records - 1))
        return ig_fail(err, IG_INVALID, "decision log: %u rings of %u records", log->options.rings,
                       records);
    size_t bytes = (log->options.rings + (size_t)1) * sizeof *log->rings;
    log->rings = ig_alloc_aligned(64, bytes);
    if (!log->rings) return ig_fail(err, IG_NO_MEMORY, "decision log");
    memset(log->rings, 0, bytes);
    for (unsigned i = 0; i <= log->options.rings; i++) {
        log->rings[i].slots = ig_zalloc_array(records, sizeof *log->rings[i].slots);
        if (!log->rings[i].slots) return ig_fail(err, IG_NO_MEMORY, "decision log");
    }
    if (!ig_buf_reserve(&log->batch, BATCH_BYTES))
        return ig_fail(err, IG_NO_MEMORY, "decision log");
    return IG_OK;
}

static enum ig_code find_last(struct ig_decision_log *log, struct ig_err *err)
{
    uint64_t *numbers = NULL;
    size_t count = 0;
    enum ig_code code = ig_dir_make(&log->dir_fd, log->options.dirfd, "decisions", err);
    if (code == IG_OK) code = ig_decision_segments(&numbers, &count, log->dir_fd, err);
    if (code == IG_OK && count) log->segment_number = numbers[count - 1];
    ig_free(numbers);
    return code;
}

static enum ig_code start_threads(struct ig_decision_log *log, struct ig_err *err)
{
    if (ig_thread_start(&log->syncer, "decisync", syncer_main, log, err) != IG_OK) return err->code;
    log->syncer_started = true;
    if (ig_thread_start(&log->writer, "decisions", writer_main, log, err) != IG_OK)
        return err->code;
    log->writer_started = true;
    return IG_OK;
}

static void stop_threads(struct ig_decision_log *log)
{
    if (log->writer_started) {
        pthread_mutex_lock(&log->lock);
        log->stopping = true;
        pthread_mutex_unlock(&log->lock);
        sem_post(&log->wake);
        ig_thread_join(log->writer);
    }
    if (log->syncer_started) {
        atomic_store(&log->sync_stopping, true);
        sem_post(&log->sync_wake);
        ig_thread_join(log->syncer);
    }
}

enum ig_code ig_decision_log_open(struct ig_decision_log **out,
                                  const struct ig_decision_log_options *options, struct ig_err *err)
{
    struct ig_decision_log *log = ig_zalloc(sizeof *log);
    if (!log) return ig_fail(err, IG_NO_MEMORY, "decision log");
    log->options = *options;
    if (!log->options.ring_records) log->options.ring_records = 4096;
    if (!log->options.segment_bytes) log->options.segment_bytes = UINT64_C(64) << 20;
    if (!log->options.total_bytes) log->options.total_bytes = UINT64_C(1) << 30;
    if (!log->options.flush_ms) log->options.flush_ms = 50;
    log->dir_fd = log->segment_fd = -1;
    ig_buf_init(&log->batch, BATCH_BYTES);
    pthread_mutex_init(&log->lock, NULL);
    pthread_mutex_init(&log->shared_lock, NULL);
    pthread_cond_init(&log->flushed, NULL);
    sem_init(&log->wake, 0, 0);
    sem_init(&log->sync_wake, 0, 0);
    atomic_init(&log->sync_fd, -1);

    enum ig_code code = make_rings(log, err);
    if (code == IG_OK) code = find_last(log, err);
    if (code == IG_OK) code = start_threads(log, err);
    if (code != IG_OK) {
        ig_decision_log_close(log);
        return code;
    }
    *out = log;
    return IG_OK;
}

void ig_decision_log_close(struct ig_decision_log *log)
{
    if (!log) return;
    stop_threads(log);
    for (unsigned i = 0; log->rings && i <= log->options.rings; i++) ig_free(log->rings[i].slots);
    ig_free(log->rings);
    ig_file_close(&log->dir_fd);
    ig_buf_deinit(&log->batch);
    pthread_cond_destroy(&log->flushed);
    sem_destroy(&log->wake);
    sem_destroy(&log->sync_wake);
    pthread_mutex_destroy(&log->lock);
    pthread_mutex_destroy(&log->shared_lock);
    ig_free(log);
}

void ig_decision_log_stats(struct ig_decision_log *log, struct ig_decision_stats *out)
{
    struct ig_decision_stats stats = {.written = atomic_load(&log->written),
                                      .bytes = atomic_load(&log->bytes),
                                      .dropped = atomic_load(&log->lost)};
    for (unsigned i = 0; i <= log->options.rings; i++) {
        stats.accepted += atomic_load(&log->rings[i].head);
        stats.dropped += atomic_load(&log->rings[i].dropped);
    }
    *out = stats;
}

void ig_decision_log_flush(struct ig_decision_log *log)
{
    pthread_mutex_lock(&log->lock);
    uint64_t mine = ++log->flush_wanted;
    sem_post(&log->wake);
    while (log->flush_done < mine) pthread_cond_wait(&log->flushed, &log->lock);
    pthread_mutex_unlock(&log->lock);
}
