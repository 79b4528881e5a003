/* SPDX-License-Identifier: Apache-2.0 */
/* One epoll loop with a timer wheel and a lock-free inbox.
 *
 * Invariants:
 * 1. `turn` is odd while callbacks run and even while the loop waits, so an outside thread sees
 *    quiescence as "even, or changed since".
 * 2. A timer hangs in the wheel slot of some moment at or before its due time. Moving it later only
 *    stores the new time; the slot's visit hangs it anew. The hot path of a server therefore never
 *    touches the wheel.
 * 3. The inbox is a stack that posters push with one compare-and-swap and the loop takes whole;
 * only the push onto an empty inbox writes the eventfd. Thread rule: see the header. */
#include "net/loop.h"

#include "base/clock.h"
#include "base/mem.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

enum { TICK_MS = 100, SLOTS = 512, SLOT_WORDS = SLOTS / 64, EVENTS_MAX = 256 };

struct ig_loop {
    int epoll_fd, wake_fd;
    uint64_t now_ms;
    uint64_t tick; /* the last one visited */
    struct ig_loop_timer *slots[SLOTS];
    uint64_t occupied[SLOT_WORDS];
    struct ig_loop_task *deferred, **deferred_end;
    bool ending;
    _Atomic(struct ig_loop_task *) inbox;
    _Atomic uint64_t turn;
    struct epoll_event events[EVENTS_MAX];
};

static uint64_t clock_ms(void)
{
    return ig_clock_ns() / 1000000u + 1;
}

enum ig_code ig_loop_new(struct ig_loop **out, struct ig_err *err)
{
    struct ig_loop *loop = ig_zalloc(sizeof *loop);
    if (!loop) return ig_fail(err, IG_NO_MEMORY, "no memory for an event loop");
    loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    loop->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    loop->now_ms = clock_ms();
    loop->tick = loop->now_ms / TICK_MS;
    loop->deferred_end = &loop->deferred;
    struct epoll_event event = {.events = EPOLLIN | EPOLLET}; /* data.ptr NULL: the wake-up */
    if (loop->epoll_fd < 0 || loop->wake_fd < 0 ||
        epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, loop->wake_fd, &event) != 0) {
        ig_fail(err, IG_IO, "cannot make an event loop: %s", strerror(errno));
        ig_loop_free(loop);
        return IG_IO;
    }
    *out = loop;
    return IG_OK;
}

void ig_loop_free(struct ig_loop *loop)
{
    if (!loop) return;
    if (loop->epoll_fd >= 0) close(loop->epoll_fd);
    if (loop->wake_fd >= 0) close(loop->wake_fd);
    ig_free(loop);
}

enum ig_code ig_loop_add(struct ig_loop *loop, int fd, uint32_t events,
                         struct ig_loop_source *source, struct ig_err *err)
{
    struct epoll_event event = {.events = events, .data.ptr = source};
    if (epoll_ctl(loop->epoll_fd, EPOLL_CTL_ADD, fd, &event) != 0)
        return ig_fail(err, IG_IO, "epoll_ctl: %s", strerror(errno));
    return IG_OK;
}

void ig_loop_remove(struct ig_loop *loop, int fd)
{
    (void)epoll_ctl(loop->epoll_fd, EPOLL_CTL_DEL, fd, NULL);
}

uint64_t ig_loop_now_ms(const struct ig_loop *loop)
{
    return loop->now_ms;
}

static void unhang(struct ig_loop *loop, struct ig_loop_timer *timer)
{
    if (!timer->slot) return;
    uint32_t slot = timer->slot - 1;
    if (timer->previous)
        timer->previous->next = timer->next;
    else
        loop->slots[slot] = timer->next;
    if (timer->next) timer->next->previous = timer->previous;
    if (!loop->slots[slot]) loop->occupied[slot / 64] &= ~(UINT64_C(1) << (slot % 64));
    timer->slot = 0;
}

/* Hangs it in the slot of its due time, or the farthest one, never in the one being visited. */
static void hang(struct ig_loop *loop, struct ig_loop_timer *timer)
{
    uint64_t tick = (timer->due_ms + TICK_MS - 1) / TICK_MS;
    if (tick <= loop->tick) tick = loop->tick + 1;
    if (tick > loop->tick + SLOTS - 1) tick = loop->tick + SLOTS - 1;
    uint32_t slot = (uint32_t)(tick % SLOTS);
    timer->previous = NULL;
    timer->next = loop->slots[slot];
    if (timer->next) timer->next->previous = timer;
    loop->slots[slot] = timer;
    loop->occupied[slot / 64] |= UINT64_C(1) << (slot % 64);
    timer->slot = slot + 1;
}

/* The tick at which a hung timer's slot is visited next. */
static uint64_t visit_of(const struct ig_loop *loop, const struct ig_loop_timer *timer)
{
    return loop->tick + (timer->slot - 1 + SLOTS - loop->tick % SLOTS) % SLOTS;
}

void ig_loop_timer_set(struct ig_loop *loop, struct ig_loop_timer *timer, uint64_t due_ms)
{
    timer->due_ms = due_ms;
    if (timer->slot && visit_of(loop, timer) <= (due_ms + TICK_MS - 1) / TICK_MS) return;
    unhang(loop, timer);
    hang(loop, timer);
}

void ig_loop_timer_clear(struct ig_loop *loop, struct ig_loop_timer *timer)
{
    unhang(loop, timer);
    timer->due_ms = 0;
}

static void visit_slot(struct ig_loop *loop, uint32_t slot)
{
    for (struct ig_loop_timer *timer = loop->slots[slot]; timer;) {
        unhang(loop, timer);
        if (timer->due_ms > loop->now_ms) {
            hang(loop, timer);
        } else {
            timer->due_ms = 0;
            timer->on_due(timer); /* may set, clear or free any timer */
        }
        timer = loop->slots[slot];
    }
}

static void run_timers(struct ig_loop *loop)
{
    uint64_t tick = loop->now_ms / TICK_MS;
    if (tick > loop->tick + SLOTS) loop->tick = tick - SLOTS;
    while (loop->tick < tick) {
        loop->tick++;
        visit_slot(loop, (uint32_t)(loop->tick % SLOTS));
    }
}

/* Milliseconds until the next occupied slot's moment; -1 when no timer hangs. */
static int next_timer_ms(const struct ig_loop *loop)
{
    for (uint32_t step = 1; step <= SLOTS;) {
        uint32_t slot = (uint32_t)((loop->tick + step) % SLOTS);
        uint64_t word = loop->occupied[slot / 64] >> (slot % 64);
        if (!word) {
            step += 64 - slot % 64;
            continue;
        }
        uint64_t due = (loop->tick + step + (uint32_t)__builtin_ctzll(word)) * TICK_MS;
        uint64_t now = clock_ms();
        return due > now ? (int)(due - now) : 0;
    }
    return -1;
}

void ig_loop_defer(struct ig_loop *loop, struct ig_loop_task *task)
{
    task->next = NULL;
    *loop->deferred_end = task;
    loop->deferred_end = &task->next;
}

/* What is deferred meanwhile waits for the next turn, which then does not sleep. */
static void run_deferred(struct ig_loop *loop)
{
    struct ig_loop_task *task = loop->deferred;
    loop->deferred = NULL;
    loop->deferred_end = &loop->deferred;
    loop->ending = true;
    while (task) {
        struct ig_loop_task *next = task->next;
        task->run(task);
        task = next;
    }
    loop->ending = false;
}

bool ig_loop_is_ending(const struct ig_loop *loop)
{
    return loop->ending;
}

void ig_loop_post(struct ig_loop *loop, struct ig_loop_task *task)
{
    int wake_fd = loop->wake_fd;
    struct ig_loop_task *head = atomic_load_explicit(&loop->inbox, memory_order_relaxed);
    do {
        task->next = head;
    } while (!atomic_compare_exchange_weak_explicit(&loop->inbox, &head, task, memory_order_release,
                                                    memory_order_relaxed));
    uint64_t one = 1;
    if (!head) (void)!write(wake_fd, &one, sizeof one);
}

static void run_inbox(struct ig_loop *loop)
{
    struct ig_loop_task *taken = atomic_exchange_explicit(&loop->inbox, NULL, memory_order_acquire);
    struct ig_loop_task *in_order = NULL;
    while (taken) {
        struct ig_loop_task *next = taken->next;
        taken->next = in_order;
        in_order = taken;
        taken = next;
    }
    while (in_order) {
        struct ig_loop_task *next = in_order->next;
        in_order->run(in_order);
        in_order = next;
    }
}

void ig_loop_turn(struct ig_loop *loop, int max_wait_ms)
{
    int wait_ms = loop->deferred ? 0 : next_timer_ms(loop);
    if (wait_ms < 0 || (max_wait_ms >= 0 && wait_ms > max_wait_ms)) wait_ms = max_wait_ms;
    int count = epoll_wait(loop->epoll_fd, loop->events, EVENTS_MAX, wait_ms);
    atomic_fetch_add(&loop->turn, 1);
    loop->now_ms = clock_ms();
    for (int i = 0; i < count; i++) {
        struct ig_loop_source *source = loop->events[i].data.ptr;
        if (source) source->on_ready(source, loop->events[i].events);
    }
    run_inbox(loop);
    run_timers(loop);
    run_deferred(loop);
    atomic_fetch_add(&loop->turn, 1);
}

void ig_loop_wait_quiescent(struct ig_loop *loop)
{
    /* Writing the counter, unchanged, orders the caller's stores before the loop's next turn. */
    uint64_t seen = atomic_fetch_add(&loop->turn, 0);
    while (seen % 2 && atomic_load(&loop->turn) == seen) {
        struct timespec pause = {.tv_nsec = 50000};
        nanosleep(&pause, NULL);
    }
}
