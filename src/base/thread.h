/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_BASE_THREAD_H
#define IG_BASE_THREAD_H

/* A bounded worker pool. Submission never blocks: it is refused when the queue is full. */

#include "base/err.h"

struct ig_pool;

/* `name` (at most 10 characters) prefixes the thread names. All threads but one start when they are
 * first needed; where one cannot, tasks wait for those that run. */
enum ig_code ig_pool_new(struct ig_pool **out, const char *name, unsigned threads,
                         unsigned queue_max, struct ig_err *err);
/* False when the queue is full or the pool is stopping. */
bool ig_pool_submit(struct ig_pool *pool, void (*run)(void *context), void *context);
/* Runs what is queued, joins, frees. */
void ig_pool_free(struct ig_pool *pool);
unsigned ig_pool_queued(struct ig_pool *pool);

/* Around what mostly waits, for a disk or a database, and not for a processor: where the calling
 * thread is a pool's, the pool runs another task meanwhile, on one of at most IG_POOL_SPARES more
 * threads that it starts when they are first needed. Not nested. */
enum { IG_POOL_SPARES = 62 };
void ig_pool_wait_begin(void);
void ig_pool_wait_end(void);

/* A named thread with all signals blocked. */
enum ig_code ig_thread_start(uint64_t *out, const char *name, void *(*run)(void *), void *context,
                             struct ig_err *err);
void ig_thread_join(uint64_t thread);
unsigned ig_cpu_count(void); /* those this process may use, at least 1 */

#endif
