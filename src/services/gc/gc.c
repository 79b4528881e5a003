/* SPDX-License-Identifier: Apache-2.0 */
/* Collections, and the thread that runs them by itself where retention is set. Thread rule: a mutex
 * lets one collection run at a time. */
#include "services/gc/gc_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#include <time.h>

enum { ARENA_CHUNK = 16 << 10, ARENA_MAX = 16 << 20, MINUTE_MS = 60 * 1000 };
static const int64_t DAY_MS = 24 * 3600 * 1000;
static const struct ig_principal BY_ITSELF = {.name = "retention", .scopes = ~0u};

bool ig_gc_is_over(const struct ig_gc_pass *pass)
{
    return atomic_load(&pass->gc->stopping) || (pass->until_ns && ig_clock_ns() >= pass->until_ns);
}

enum ig_code ig_gc_run(struct ig_gc_report *out, struct ig_gc *gc, const struct ig_principal *who,
                       const struct ig_gc_ask *ask, struct ig_err *err)
{
    struct ig_gc_report report = {.rows_done = ask->no_rows, .slice = ask->slice};
    struct ig_gc_pass pass = {.gc = gc, .who = who, .ask = ask, .report = &report};
    if (ask->unused_before_ms > ig_clock_unix_ms() - IG_GC_UNUSED_MIN_MS)
        return ig_fail(err, IG_INVALID,
                       "objects that came in the last 10 minutes may belong to calls under way");
    if (pthread_mutex_trylock(&gc->running) != 0)
        return ig_fail(err, IG_CONFLICT, "another garbage collection is under way");
    uint64_t until_ns = ask->budget_ns ? ig_clock_ns() + ask->budget_ns : 0;
    /* The next call would not find again what is named and gone. */
    if (!ask->runs_count && !ask->experiments_count) pass.until_ns = until_ns;
    ig_arena_init(&pass.arena, ARENA_CHUNK, ARENA_MAX);
    if (!ask->no_rows) ig_gc_rows(&pass, err);
    pass.until_ns = until_ns;
    if (err->code == IG_OK && report.rows_done && !ask->no_objects) ig_gc_objects(&pass, err);
    if (ask->no_objects) report.done = report.rows_done;
    ig_arena_deinit(&pass.arena);
    pthread_mutex_unlock(&gc->running);
    if (err->code == IG_OK) *out = report;
    return err->code;
}

/* ---- by itself ---- */

static void look(struct ig_gc *gc)
{
    const struct ig_gc_options *options = &gc->options;
    struct ig_err err = IG_ERR_INIT;
    struct ig_gc_report report = {0};
    int64_t now = ig_clock_unix_ms();
    const struct ig_gc_ask ask = {
        .deleted_before_ms = now - (int64_t)options->deleted_days * DAY_MS,
        .unused_before_ms =
            now - (int64_t)(options->unused_days ? options->unused_days : 1) * DAY_MS,
        .no_rows = !options->deleted_days,
        .no_objects = !options->unused_days,
    };
    if (ig_gc_run(&report, gc, &BY_ITSELF, &ask, &err) == IG_CONFLICT) return;
    if (err.code != IG_OK)
        ig_log_err(IG_LOG_WARN, "retention", &err);
    else if (report.runs || report.experiments || report.logged_models || report.objects)
        ig_log(IG_LOG_INFO, "retention", IG_LOG_I("runs", report.runs),
               IG_LOG_I("experiments", report.experiments),
               IG_LOG_I("logged_models", report.logged_models),
               IG_LOG_I("objects", report.objects));
}

static void *run(void *context)
{
    struct ig_gc *gc = context;
    unsigned pause_ms = gc->options.first_ms;
    for (;;) {
        struct timespec at;
        clock_gettime(CLOCK_MONOTONIC, &at);
        uint64_t ns = (uint64_t)at.tv_nsec + (uint64_t)pause_ms * 1000000;
        at.tv_sec += (time_t)(ns / 1000000000);
        at.tv_nsec = (long)(ns % 1000000000);
        pthread_mutex_lock(&gc->wake_lock);
        if (!atomic_load(&gc->stopping))
            pthread_cond_clockwait(&gc->wake, &gc->wake_lock, CLOCK_MONOTONIC, &at);
        pthread_mutex_unlock(&gc->wake_lock);
        if (atomic_load(&gc->stopping)) return NULL;
        look(gc);
        pause_ms = gc->options.every_ms;
    }
}

enum ig_code ig_gc_open(struct ig_gc **out, const struct ig_gc_options *options, struct ig_err *err)
{
    struct ig_gc *gc = ig_zalloc(sizeof *gc);
    if (!gc) return ig_fail(err, IG_NO_MEMORY, "garbage collection");
    gc->options = *options;
    if (!gc->options.first_ms) gc->options.first_ms = MINUTE_MS;
    if (!gc->options.every_ms) gc->options.every_ms = 60 * MINUTE_MS;
    pthread_mutex_init(&gc->running, NULL);
    pthread_mutex_init(&gc->wake_lock, NULL);
    pthread_cond_init(&gc->wake, NULL);
    gc->has_thread = (options->deleted_days || options->unused_days) &&
                     ig_thread_start(&gc->thread, "retention", run, gc, err) == IG_OK;
    if (err->code != IG_OK) {
        ig_gc_close(gc);
        return err->code;
    }
    *out = gc;
    return IG_OK;
}

void ig_gc_close(struct ig_gc *gc)
{
    if (!gc) return;
    pthread_mutex_lock(&gc->wake_lock);
    atomic_store(&gc->stopping, true);
    pthread_cond_signal(&gc->wake);
    pthread_mutex_unlock(&gc->wake_lock);
    if (gc->has_thread) ig_thread_join(gc->thread);
    pthread_cond_destroy(&gc->wake);
    pthread_mutex_destroy(&gc->wake_lock);
    pthread_mutex_destroy(&gc->running);
    ig_free(gc);
}
