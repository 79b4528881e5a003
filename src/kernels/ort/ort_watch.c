/* SPDX-License-Identifier: Apache-2.0 */
/* Runs with a deadline. One thread of the process, started by the first of them, waits for the
 * earliest and tells the library to end a run that is over its own, which it does before its next
 * operator. Invariants, under `lock`: the list holds the runs that have begun and not ended; the
 * options of those are alive. Thread rule: any. */
#include "kernels/ort/ort_priv.h"

#include "base/clock.h"
#include "base/thread.h"

#include <time.h>

static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    struct ort_watch *first;
    bool started;
} watchers = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Under lock. Ends those that are late; the next deadline, or 0. */
static uint64_t look(uint64_t now_ns)
{
    uint64_t next_ns = 0;
    for (struct ort_watch *watch = watchers.first; watch; watch = watch->next) {
        if (watch->late) continue;
        if (watch->deadline_ns <= now_ns) {
            const struct ort_api *api = &watch->library->api;
            watch->late = true;
            api->ReleaseStatus(api->RunOptionsSetTerminate(watch->options));
        } else if (!next_ns || watch->deadline_ns < next_ns) {
            next_ns = watch->deadline_ns;
        }
    }
    return next_ns;
}

static void *watch_over(void *context)
{
    (void)context;
    pthread_detach(pthread_self()); /* it stays as long as the library does */
    pthread_mutex_lock(&watchers.lock);
    for (;;) {
        uint64_t next_ns = look(ig_clock_ns());
        const struct timespec until = {.tv_sec = (time_t)(next_ns / 1000000000),
                                       .tv_nsec = (long)(next_ns % 1000000000)};
        if (next_ns)
            pthread_cond_timedwait(&watchers.changed, &watchers.lock, &until);
        else
            pthread_cond_wait(&watchers.changed, &watchers.lock);
    }
    return NULL;
}

/* Under lock. */
static bool start(struct ig_err *err)
{
    pthread_condattr_t monotonic;
    uint64_t thread;
    if (watchers.started) return true;
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&watchers.changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
    watchers.started = ig_thread_start(&thread, "ort-watch", watch_over, NULL, err) == IG_OK;
    if (!watchers.started) pthread_cond_destroy(&watchers.changed);
    return watchers.started;
}

bool ort_watch_begin(struct ort_watch *out, const struct ort_library *library, uint32_t timeout_ms,
                     struct ig_err *err)
{
    *out = (struct ort_watch){.library = library,
                              .deadline_ns = ig_clock_ns() + (uint64_t)timeout_ms * 1000000};
    if (!ort_good(library, library->api.CreateRunOptions(&out->options), "run options", err))
        return false;
    pthread_mutex_lock(&watchers.lock);
    bool good = start(err);
    if (good) {
        out->next = watchers.first;
        watchers.first = out;
        pthread_cond_signal(&watchers.changed);
    }
    pthread_mutex_unlock(&watchers.lock);
    if (!good) library->api.ReleaseRunOptions(out->options);
    return good;
}

bool ort_watch_is_late(struct ort_watch *watch)
{
    pthread_mutex_lock(&watchers.lock);
    bool late = watch->late;
    pthread_mutex_unlock(&watchers.lock);
    return late;
}

void ort_watch_end(struct ort_watch *watch)
{
    pthread_mutex_lock(&watchers.lock);
    struct ort_watch **at = &watchers.first;
    while (*at != watch) at = &(*at)->next;
    *at = watch->next;
    pthread_mutex_unlock(&watchers.lock);
    watch->library->api.ReleaseRunOptions(watch->options);
}
