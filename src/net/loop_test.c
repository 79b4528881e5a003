/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "net/loop.h"

#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"

#include <stdatomic.h>
#include <sys/epoll.h>
#include <unistd.h>

static struct ig_loop *loop;

static int set_up(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    return ig_loop_new(&loop, &err) == IG_OK ? 0 : 1;
}

static int tear_down(void **state)
{
    (void)state;
    ig_loop_free(loop);
    return 0;
}

struct timed {
    struct ig_loop_timer timer; /* first */
    uint64_t fired_ms;
    unsigned times;
};

static void on_due(struct ig_loop_timer *timer)
{
    struct timed *timed = (struct timed *)timer;
    timed->fired_ms = ig_loop_now_ms(loop);
    timed->times++;
}

static void test_timers(void **state)
{
    (void)state;
    struct timed timed[6] = {{{0}, 0, 0}};
    uint64_t start = ig_loop_now_ms(loop), due[6];
    for (int i = 0; i < 6; i++) {
        timed[i].timer.on_due = on_due;
        due[i] = start + 40u * (unsigned)i;
        ig_loop_timer_set(loop, &timed[i].timer, due[i]);
    }
    ig_loop_timer_clear(loop, &timed[1].timer);
    ig_loop_timer_set(loop, &timed[2].timer, start + 260); /* later */
    due[2] = start + 260;
    ig_loop_timer_set(loop, &timed[5].timer, start + 10); /* sooner */
    due[5] = start + 10;
    for (int turns = 0; ig_loop_now_ms(loop) < start + 420; turns++) {
        assert_true(turns < 30); /* it sleeps between them */
        ig_loop_turn(loop, 450);
        if (timed[0].times && timed[2].times && timed[3].times && timed[4].times && timed[5].times)
            break;
    }
    for (int i = 0; i < 6; i++) {
        assert_int_equal(timed[i].times, i == 1 ? 0 : 1);
        if (i != 1) assert_in_range(timed[i].fired_ms, due[i], due[i] + 250);
        assert_int_equal(timed[i].timer.slot, 0);
    }
}

/* Moving a timer later must not lose it, however often; beyond the wheel's span too. */
static void test_timer_moves(void **state)
{
    (void)state;
    struct timed timed = {.timer.on_due = on_due};
    uint64_t start = ig_loop_now_ms(loop);
    ig_loop_timer_set(loop, &timed.timer, start + 10000000);
    ig_loop_timer_set(loop, &timed.timer, start + 30);
    for (unsigned i = 0; i < 100; i++) ig_loop_timer_set(loop, &timed.timer, start + 30 + i);
    while (ig_loop_now_ms(loop) < start + 400 && !timed.times) ig_loop_turn(loop, 50);
    assert_int_equal(timed.times, 1);
    assert_in_range(timed.fired_ms, start + 129, start + 380);
}

static void test_wait_without_timers_is_bounded(void **state)
{
    (void)state;
    uint64_t start = ig_clock_ns();
    ig_loop_turn(loop, 20);
    assert_in_range((ig_clock_ns() - start) / 1000000, 15, 500);
}

struct counted {
    struct ig_loop_task task; /* first */
    unsigned *order, number, more;
};

static void run_counted(struct ig_loop_task *task)
{
    struct counted *counted = (struct counted *)task;
    assert_int_equal(*counted->order, counted->number);
    ++*counted->order;
    assert_true(ig_loop_is_ending(loop));
    if (!counted->more--) return;
    counted->number += 3;
    ig_loop_defer(loop, task); /* in the next turn */
}

static void test_deferred_tasks(void **state)
{
    (void)state;
    unsigned order = 0;
    struct counted tasks[3];
    for (unsigned i = 0; i < 3; i++) {
        tasks[i] = (struct counted){{NULL, run_counted}, &order, i, 1};
        ig_loop_defer(loop, &tasks[i].task);
    }
    ig_loop_turn(loop, -1);
    assert_int_equal(order, 3);
    assert_false(ig_loop_is_ending(loop));
    ig_loop_turn(loop, -1);
    assert_int_equal(order, 6);
}

enum { POSTS = 20000, POSTERS = 3 };

struct poster {
    struct ig_loop_task tasks[POSTS];
    uint64_t thread;
};

static unsigned posts_run;
static struct poster *posters;
static struct ig_loop_task *last_run[POSTERS];

static void run_post(struct ig_loop_task *task)
{
    posts_run++;
    for (unsigned i = 0; i < POSTERS; i++) {
        if (task < posters[i].tasks || task >= posters[i].tasks + POSTS) continue;
        assert_true(!last_run[i] || task == last_run[i] + 1); /* in each poster's order */
        last_run[i] = task;
    }
}

static void *post_all(void *context)
{
    struct poster *poster = context;
    for (unsigned i = 0; i < POSTS; i++) {
        poster->tasks[i].run = run_post;
        ig_loop_post(loop, &poster->tasks[i]);
    }
    return NULL;
}

static void test_posts_from_threads(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    posters = ig_zalloc_array(POSTERS, sizeof *posters);
    for (unsigned i = 0; i < POSTERS; i++)
        ig_thread_start(&posters[i].thread, "poster", post_all, &posters[i], &err);
    while (posts_run < POSTERS * POSTS) ig_loop_turn(loop, 2000);
    for (unsigned i = 0; i < POSTERS; i++) ig_thread_join(posters[i].thread);
    assert_int_equal(posts_run, POSTERS * POSTS);
    ig_free(posters);
}

struct piped {
    struct ig_loop_source source; /* first */
    uint32_t events;
    unsigned times;
};

static void on_ready(struct ig_loop_source *source, uint32_t events)
{
    struct piped *piped = (struct piped *)source;
    piped->events |= events;
    piped->times++;
}

static void test_sources(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct piped piped = {.source.on_ready = on_ready};
    int fds[2];
    assert_int_equal(pipe(fds), 0);
    assert_int_equal(ig_loop_add(loop, fds[0], EPOLLIN | EPOLLET, &piped.source, &err), IG_OK);
    assert_int_equal(write(fds[1], "a", 1), 1);
    ig_loop_turn(loop, 1000);
    assert_int_equal(piped.times, 1);
    assert_int_equal(piped.events, EPOLLIN);
    ig_loop_turn(loop, 10); /* edge triggered: not again */
    assert_int_equal(piped.times, 1);
    ig_loop_remove(loop, fds[0]);
    close(fds[1]);
    ig_loop_turn(loop, 10);
    assert_int_equal(piped.times, 1);
    assert_int_equal(ig_loop_add(loop, -1, EPOLLIN, &piped.source, &err), IG_IO);
    close(fds[0]);
}

/* The reclamation that quiescence is for: a value is freed only when no turn can still see it. */
static _Atomic(int *) shared;
static atomic_bool over;

static void read_shared(struct ig_loop_task *task)
{
    const int *value = atomic_load(&shared);
    for (int i = 0; i < 100; i++) assert_int_equal(*value, 42);
    if (!atomic_load(&over)) ig_loop_defer(loop, task);
}

static void *turn_loop(void *context)
{
    (void)context;
    while (!atomic_load(&over)) ig_loop_turn(loop, 10);
    return NULL;
}

static int *new_value(void)
{
    int *value = ig_alloc(sizeof *value);
    *value = 42;
    return value;
}

static void test_quiescence(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_loop_task task = {.run = read_shared};
    uint64_t thread;
    atomic_store(&shared, new_value());
    ig_loop_defer(loop, &task);
    ig_thread_start(&thread, "turn", turn_loop, NULL, &err);
    for (int i = 0; i < 2000; i++) {
        int *old = atomic_exchange(&shared, new_value());
        ig_loop_wait_quiescent(loop);
        *old = 0;
        ig_free(old);
    }
    atomic_store(&over, true);
    ig_thread_join(thread);
    ig_free(atomic_load(&shared));
}

static void test_every_allocation_fails(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_loop *none = NULL;
    ig_mem_fail_after(1);
    enum ig_code code = ig_loop_new(&none, &err);
    ig_mem_fail_after(0);
    assert_int_equal(code, IG_NO_MEMORY);
    assert_null(none);
}

#define WITH_LOOP(test) cmocka_unit_test_setup_teardown(test, set_up, tear_down)

int main(void)
{
    const struct CMUnitTest tests[] = {
        WITH_LOOP(test_timers),
        WITH_LOOP(test_timer_moves),
        WITH_LOOP(test_wait_without_timers_is_bounded),
        WITH_LOOP(test_deferred_tasks),
        WITH_LOOP(test_posts_from_threads),
        WITH_LOOP(test_sources),
        WITH_LOOP(test_quiescence),
        cmocka_unit_test(test_every_allocation_fails),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
