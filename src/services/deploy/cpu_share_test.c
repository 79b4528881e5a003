/* SPDX-License-Identifier: Apache-2.0 */
#include "services/deploy/cpu_share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static const uint64_t MS = 1000000, START = 5000000000;

static void test_any(void **state)
{
    (void)state;
    struct ig_cpu_share share = {.thousandths = 0};
    ig_cpu_share_spend(&share, 3600 * 1000 * MS, START);
    assert_int_equal(ig_cpu_share_wait_ns(&share, START), 0);
}

/* Half a core: after 150 ms of work that began with 100 ms unused, 200 ms are owed. */
static void test_overdraft_and_unused(void **state)
{
    (void)state;
    struct ig_cpu_share share = {.thousandths = 500};
    assert_int_equal(ig_cpu_share_wait_ns(&share, START), 0);
    ig_cpu_share_spend(&share, 150 * MS, START);
    assert_int_equal(ig_cpu_share_wait_ns(&share, START), 200 * MS);
    assert_int_equal(ig_cpu_share_wait_ns(&share, START + 150 * MS), 50 * MS);
    assert_int_equal(ig_cpu_share_wait_ns(&share, START + 200 * MS), 0);
    ig_cpu_share_spend(&share, 10 * MS, START + 10000 * MS); /* long idle counts for no more */
    assert_int_equal(ig_cpu_share_wait_ns(&share, START + 10000 * MS), 0);
    ig_cpu_share_spend(&share, 41 * MS, START + 10000 * MS);
    assert_int_equal(ig_cpu_share_wait_ns(&share, START + 10000 * MS), 2 * MS);
}

/* Whoever asks as soon as he may gets his share and no more. */
static void test_average(void **state)
{
    (void)state;
    struct ig_cpu_share share = {.thousandths = 250};
    uint64_t now = START, spent = 0;
    for (int i = 0; i < 1000; i++) {
        now += ig_cpu_share_wait_ns(&share, now);
        uint64_t work = (uint64_t)(1 + i % 7) * MS;
        now += work;
        spent += work;
        ig_cpu_share_spend(&share, work, now);
    }
    double average = (double)spent / (double)(now - START);
    assert_true(average > 0.24 && average < 0.26);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_any),
        cmocka_unit_test(test_overdraft_and_unused),
        cmocka_unit_test(test_average),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
