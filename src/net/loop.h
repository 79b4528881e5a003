/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_NET_LOOP_H
#define IG_NET_LOOP_H

/* One epoll loop: file descriptors, timers, and tasks posted by other threads. All bookkeeping is
 * inside the caller's structs, so nothing but ig_loop_new allocates. Thread rule: everything
 * belongs to the thread that turns the loop, except ig_loop_post and ig_loop_wait_quiescent. */

#include "base/err.h"

struct ig_loop;

struct ig_loop_source {
    void (*on_ready)(struct ig_loop_source *source, uint32_t events); /* EPOLL* bits */
};

struct ig_loop_timer {
    struct ig_loop_timer *previous, *next; /* private */
    uint64_t due_ms;                       /* 0: off. Moves later for free, see ig_loop_timer_set */
    uint32_t slot;                         /* private: 1 + wheel slot, 0: in none */
    void (*on_due)(struct ig_loop_timer *timer);
};

struct ig_loop_task {
    struct ig_loop_task *next; /* private */
    void (*run)(struct ig_loop_task *task);
};

enum ig_code ig_loop_new(struct ig_loop **out, struct ig_err *err);
void ig_loop_free(struct ig_loop *loop); /* NULL is allowed; sources and timers are the caller's */

/* One turn: waits at most max_wait_ms (-1: until something happens), then runs what is ready:
 * events, posted tasks, due timers, deferred tasks, in this order. */
void ig_loop_turn(struct ig_loop *loop, int max_wait_ms);

/* `events` as for epoll_ctl, edge triggered where EPOLLET is given. A removed source gets no event
 * in later turns; free it in a deferred task, since this turn may still hold one. */
enum ig_code ig_loop_add(struct ig_loop *loop, int fd, uint32_t events,
                         struct ig_loop_source *source, struct ig_err *err);
void ig_loop_remove(struct ig_loop *loop, int fd);

uint64_t ig_loop_now_ms(const struct ig_loop *loop); /* monotonic, taken once a turn; > 0 */
/* Calls on_due in the first turn at or behind due_ms, up to 100 ms late. */
void ig_loop_timer_set(struct ig_loop *loop, struct ig_loop_timer *timer, uint64_t due_ms);
void ig_loop_timer_clear(struct ig_loop *loop, struct ig_loop_timer *timer);

/* Runs the task at the end of this turn; not while the same task is queued. The loop forgets the
 * task before it runs it. */
void ig_loop_defer(struct ig_loop *loop, struct ig_loop_task *task);
/* Whether this turn's deferred tasks run: what is deferred now waits for the next turn. */
bool ig_loop_is_ending(const struct ig_loop *loop);
/* From any thread: runs the task on the loop soon, tasks of one thread in order. */
void ig_loop_post(struct ig_loop *loop, struct ig_loop_task *task);

/* From any other thread: returns once the loop is outside the turn that it may be in now. */
void ig_loop_wait_quiescent(struct ig_loop *loop);

#endif
