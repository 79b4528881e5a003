/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks. */
#include "base/clock.h"

#include <time.h>

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_iso(void **state)
{
    (void)state;
    char text[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    ig_clock_iso(text, 1769903999123);
    assert_string_equal(text, "2026-01-31T23:59:59.123Z");
    ig_clock_iso(text, -1);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    ig_clock_iso(text, INT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    ig_clock_iso(text, INT64_MIN);
    assert_string_equal(text, "1000-01-01T00:00:00.000Z");
    ig_clock_iso(text, 951782400000);
    assert_string_equal(text, "2000-02-29T00:00:00.000Z");
}

static void test_moves_forward(void **state)
{
    (void)state;
    uint64_t before = ig_clock_ns(), cpu = ig_clock_cpu_ns();
    volatile uint64_t work = 0;
    for (int i = 0; i < 1000000; i++) work += (uint64_t)i;
    assert_true(work > 0);
    assert_true(ig_clock_ns() > before);
    assert_true(ig_clock_cpu_ns() > cpu);
    assert_true(ig_clock_unix_ms() > 1700000000000);
}

static void spend(uint64_t cpu_ns)
{
    uint64_t start = ig_clock_thread_cpu_ns();
    while (ig_clock_thread_cpu_ns() - start < cpu_ns) continue;
}

static void wait_for(long ns)
{
    nanosleep(&(struct timespec){0, ns}, NULL);
}

/* A run in which others had the processor is made up for by later ones. */
static void test_trials(void **state)
{
    enum { SHORT_NS = 200000, WAIT_NS = 20000000, LONG_NS = 50000000 };
    (void)state;
    struct ig_clock_trial trial = {.long_ns = LONG_NS};
    while (ig_clock_trial(&trial)) {
        spend(SHORT_NS);
        if (trial.runs <= 2) wait_for(WAIT_NS);
    }
    assert_true(trial.runs >= 3 && trial.best_ns >= SHORT_NS);
    assert_true(trial.best_ns < WAIT_NS);
    trial = (struct ig_clock_trial){.long_ns = LONG_NS};
    while (ig_clock_trial(&trial)) spend(LONG_NS);
    assert_int_equal(trial.runs, 1);
    trial = (struct ig_clock_trial){.long_ns = LONG_NS};
    while (ig_clock_trial(&trial)) wait_for(WAIT_NS); /* ends though it never computes */
    assert_true(trial.runs > 1 && trial.best_ns >= WAIT_NS);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_moves_forward),
        cmocka_unit_test(test_trials),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
