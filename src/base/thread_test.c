/* SPDX-License-Identifier: Apache-2.0 */
/* The worker pool. */
#include "base/hash.h"
#include "base/mem.h"
#include "base/num.h"
#include "base/thread.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

static atomic_int ran;
static pthread_mutex_t gate = PTHREAD_MUTEX_INITIALIZER;

static void count(void *context)
{
    (void)context;
    atomic_fetch_add(&ran, 1);
}

static void wait_at_gate(void *context)
{
    pthread_mutex_lock(&gate);
    pthread_mutex_unlock(&gate);
    count(context);
}

/* Tables and keys that are made at first use, used first by many threads at once. */
static void use_lazy_tables(void *context)
{
    (void)context;
    char text[IG_NUM_TEXT_MAX];
    double value = 0;
    size_t length = ig_num_format_f64(text, 5e-324 * atomic_load(&ran) + 1e-300);
    if (!ig_num_parse_f64((struct ig_str){text, length}, &value) || value <= 0) return;
    char copy[IG_NUM_TEXT_MAX];
    memcpy(copy, text, sizeof copy);
    if (ig_hash64(text, length) != ig_hash64(copy, length)) return;
    atomic_fetch_add(&ran, 1);
}

static void test_first_use_by_many(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_pool *pool = NULL;
    atomic_store(&ran, 0);
    assert_int_equal(ig_pool_new(&pool, "lazy", 4, 100, &err), IG_OK);
    for (int i = 0; i < 100; i++)
        while (!ig_pool_submit(pool, use_lazy_tables, NULL)) usleep(100);
    ig_pool_free(pool);
    assert_int_equal(atomic_load(&ran), 100);
}

static void test_drains_on_free(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_pool *pool = NULL;
    atomic_store(&ran, 0);
    assert_int_equal(ig_pool_new(&pool, "test", 4, 1000, &err), IG_OK);
    for (int i = 0; i < 1000; i++)
        while (!ig_pool_submit(pool, count, NULL)) usleep(100);
    ig_pool_free(pool);
    assert_int_equal(atomic_load(&ran), 1000);
}

static void test_refuses_when_full(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_pool *pool = NULL;
    atomic_store(&ran, 0);
    assert_int_equal(ig_pool_new(&pool, "full", 1, 2, &err), IG_OK);
    pthread_mutex_lock(&gate);
    int admitted = 0;
    for (int i = 0; i < 50; i++) admitted += ig_pool_submit(pool, wait_at_gate, NULL);
    assert_in_range(admitted, 2, 3);
    assert_in_range(ig_pool_queued(pool), 1, 2);
    pthread_mutex_unlock(&gate);
    ig_pool_free(pool);
    assert_int_equal(atomic_load(&ran), admitted);
}

static pthread_cond_t all_here = PTHREAD_COND_INITIALIZER;
static int here, expected, most;
static bool waits;

/* Ends when `expected` are here at once. */
static void meet(void *context)
{
    (void)context;
    if (waits) ig_pool_wait_begin();
    pthread_mutex_lock(&gate);
    if (++here == expected) pthread_cond_broadcast(&all_here);
    while (here < expected) pthread_cond_wait(&all_here, &gate);
    pthread_mutex_unlock(&gate);
    if (waits) ig_pool_wait_end();
    count(NULL);
}

static void test_others_run_while_one_waits(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_pool *pool = NULL;
    atomic_store(&ran, 0);
    here = 0, expected = 2 + IG_POOL_SPARES, waits = true;
    assert_int_equal(ig_pool_new(&pool, "waits", 2, 1000, &err), IG_OK);
    for (int i = 0; i < 3 * expected; i++) assert_true(ig_pool_submit(pool, meet, NULL));
    while (atomic_load(&ran) < 3 * expected) usleep(100);
    ig_pool_free(pool);
    ig_pool_wait_begin(); /* no pool's thread */
    ig_pool_wait_end();
}

static void note_most(void *context)
{
    static int now;
    (void)context;
    pthread_mutex_lock(&gate);
    if (++now > most) most = now;
    pthread_mutex_unlock(&gate);
    usleep(200);
    pthread_mutex_lock(&gate);
    now--;
    pthread_mutex_unlock(&gate);
    count(NULL);
}

/* Spare threads are there from the waits before, and stay idle. */
static void test_width(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_pool *pool = NULL;
    atomic_store(&ran, 0);
    here = most = 0, expected = 8, waits = true;
    assert_int_equal(ig_pool_new(&pool, "width", 3, 1000, &err), IG_OK);
    for (int i = 0; i < 8; i++) assert_true(ig_pool_submit(pool, meet, NULL));
    while (atomic_load(&ran) < 8) usleep(100);
    for (int i = 0; i < 100; i++) assert_true(ig_pool_submit(pool, note_most, NULL));
    ig_pool_free(pool);
    assert_int_equal(atomic_load(&ran), 108);
    assert_int_equal(most, 3);
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n <= 2; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_pool *pool = NULL;
        ig_mem_fail_after(n);
        assert_int_equal(ig_pool_new(&pool, "none", 1, 2, &err), IG_NO_MEMORY);
        ig_mem_fail_after(0);
        assert_null(pool);
    }
    assert_true(ig_cpu_count() >= 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_use_by_many),
        cmocka_unit_test(test_drains_on_free),
        cmocka_unit_test(test_refuses_when_full),
        cmocka_unit_test(test_others_run_while_one_waits),
        cmocka_unit_test(test_width),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
