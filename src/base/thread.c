/* SPDX-License-Identifier: Apache-2.0 */
/* Threads and a bounded worker pool. Invariants, under `lock`: 0 <= queued <= queue_max; the queue
 * is a ring that starts at `head`; a task is taken only while fewer than `width` run. Whoever makes
 * it possible to take one wakes or starts a thread for it (`invite`), and so does a thread that
 * took one and left more. */
#include "base/thread.h"

#include "base/mem.h"

#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

struct task {
    void (*run)(void *context);
    void *context;
};

struct ig_pool {
    pthread_mutex_t lock;
    pthread_cond_t work;
    struct task *ring;
    unsigned queue_max, head, queued;
    bool stopping;
    unsigned width;   /* tasks at a time, apart from those that wait */
    unsigned running; /* tasks that do not wait; more than `width` just after waits */
    unsigned idle;    /* threads without a task */
    unsigned threads_count;
    char name[12];
    uint64_t threads[]; /* room for width + IG_POOL_SPARES */
};

static _Thread_local struct ig_pool *own_pool;

struct start {
    void *(*run)(void *context);
    void *context;
    char name[16];
};

/* A thread names itself by a call; for another it would go through /proc. What it was given is
 * freed at its end: to free at all makes malloc map an arena for a thread that may need none. */
static void *begin(void *context)
{
    struct start *start = context;
    pthread_setname_np(pthread_self(), start->name);
    void *result = start->run(start->context);
    ig_free(start);
    return result;
}

enum ig_code ig_thread_start(uint64_t *out, const char *name, void *(*run)(void *), void *context,
                             struct ig_err *err)
{
    struct start *start = ig_alloc(sizeof *start);
    sigset_t all, old;
    if (!start) return ig_fail(err, IG_NO_MEMORY, "cannot start thread '%s'", name);
    *start = (struct start){.run = run, .context = context};
    snprintf(start->name, sizeof start->name, "%s", name);
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    pthread_t thread;
    int status = pthread_create(&thread, NULL, begin, start);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (status != 0) {
        ig_free(start);
        return ig_fail(err, IG_NO_MEMORY, "cannot start thread '%s': %s", name, strerror(status));
    }
    *out = (uint64_t)thread;
    return IG_OK;
}

void ig_thread_join(uint64_t thread)
{
    pthread_join((pthread_t)thread, NULL);
}

static bool may_take(const struct ig_pool *pool)
{
    return pool->queued && pool->running < pool->width;
}

static void *work(void *context);

static enum ig_code add_thread(struct ig_pool *pool, struct ig_err *err)
{
    char full[16];
    uint64_t *thread = &pool->threads[pool->threads_count];
    snprintf(full, sizeof full, "%.10s-%u", pool->name, pool->threads_count % 1000);
    if (ig_thread_start(thread, full, work, pool, err) != IG_OK) return err->code;
    pool->threads_count++;
    pool->idle++;
    return IG_OK;
}

/* A thread for the next task; the lock is held. Without one it waits for those that run. */
static void invite(struct ig_pool *pool)
{
    struct ig_err ignored = IG_ERR_INIT;
    if (!may_take(pool)) return;
    if (pool->idle)
        pthread_cond_signal(&pool->work);
    else if (pool->threads_count < pool->width + IG_POOL_SPARES && !pool->stopping)
        add_thread(pool, &ignored);
}

static void *work(void *context)
{
    struct ig_pool *pool = own_pool = context;
    pthread_mutex_lock(&pool->lock);
    for (;;) {
        while (!may_take(pool) && !(pool->stopping && !pool->queued))
            pthread_cond_wait(&pool->work, &pool->lock);
        pool->idle--;
        if (!pool->queued) break;
        struct task task = pool->ring[pool->head];
        pool->head = (pool->head + 1) % pool->queue_max;
        pool->queued--;
        pool->running++;
        invite(pool);
        if (pool->stopping && !pool->queued) pthread_cond_broadcast(&pool->work);
        pthread_mutex_unlock(&pool->lock);
        task.run(task.context);
        pthread_mutex_lock(&pool->lock);
        pool->running--;
        pool->idle++;
    }
    pthread_mutex_unlock(&pool->lock);
    return NULL;
}

void ig_pool_wait_begin(void)
{
    struct ig_pool *pool = own_pool;
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->running--;
    invite(pool);
    pthread_mutex_unlock(&pool->lock);
}

void ig_pool_wait_end(void)
{
    struct ig_pool *pool = own_pool;
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->running++;
    pthread_mutex_unlock(&pool->lock);
}

enum ig_code ig_pool_new(struct ig_pool **out, const char *name, unsigned threads,
                         unsigned queue_max, struct ig_err *err)
{
    IG_ASSERT(threads > 0 && queue_max > 0);
    struct ig_pool *pool =
        ig_zalloc(sizeof *pool + (threads + IG_POOL_SPARES) * sizeof pool->threads[0]);
    struct task *ring = ig_zalloc_array(queue_max, sizeof *ring);
    if (!pool || !ring) {
        ig_free(pool);
        ig_free(ring);
        return ig_fail(err, IG_NO_MEMORY, "out of memory for the pool '%s'", name);
    }
    pthread_mutex_init(&pool->lock, NULL);
    pthread_cond_init(&pool->work, NULL);
    pool->ring = ring;
    pool->queue_max = queue_max;
    pool->width = threads;
    snprintf(pool->name, sizeof pool->name, "%s", name);
    pthread_mutex_lock(&pool->lock);
    enum ig_code code = add_thread(pool, err);
    pthread_mutex_unlock(&pool->lock);
    if (code == IG_OK)
        *out = pool;
    else
        ig_pool_free(pool);
    return code;
}

bool ig_pool_submit(struct ig_pool *pool, void (*run)(void *context), void *context)
{
    pthread_mutex_lock(&pool->lock);
    bool admitted = !pool->stopping && pool->queued < pool->queue_max;
    if (admitted) {
        pool->ring[(pool->head + pool->queued) % pool->queue_max] = (struct task){run, context};
        pool->queued++;
        invite(pool);
    }
    pthread_mutex_unlock(&pool->lock);
    return admitted;
}

void ig_pool_free(struct ig_pool *pool)
{
    if (!pool) return;
    pthread_mutex_lock(&pool->lock);
    pool->stopping = true;
    pthread_cond_broadcast(&pool->work);
    pthread_mutex_unlock(&pool->lock);
    for (unsigned i = 0; i < pool->threads_count; i++) ig_thread_join(pool->threads[i]);
    pthread_cond_destroy(&pool->work);
    pthread_mutex_destroy(&pool->lock);
    ig_free(pool->ring);
    ig_free(pool);
}

unsigned ig_pool_queued(struct ig_pool *pool)
{
    pthread_mutex_lock(&pool->lock);
    unsigned queued = pool->queued;
    pthread_mutex_unlock(&pool->lock);
    return queued;
}

unsigned ig_cpu_count(void)
{
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) != 0) return 1;
    int count = CPU_COUNT(&set);
    return count > 0 ? (unsigned)count : 1;
}
