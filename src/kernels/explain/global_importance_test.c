/* SPDX-License-Identifier: Apache-2.0 */
/* Moments against two passes; the t quantile against tables; the interval's coverage. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/explain/global_importance.h"

#include <math.h>

static struct ig_arena arena;

static struct ig_global_importance start(uint32_t players)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_global_importance sums;
    ig_arena_reset(&arena);
    assert_int_equal(ig_global_importance_init(&sums, players, &arena, &err), IG_OK);
    return sums;
}

static void test_moments(void **state)
{
    static const double ROWS[][2] = {{1, -4}, {-3, 0}, {2, 2}, {0, -1}};
    struct ig_global_importance sums = start(2);
    (void)state;
    assert_true(isinf(ig_global_importance_half(&sums, 0)));
    for (size_t i = 0; i < 4; i++) ig_global_importance_add(&sums, ROWS[i]);
    assert_true(fabs(sums.mean[0] - 1.5) < 1e-15 && fabs(sums.mean[1] - 1.75) < 1e-15);
    assert_true(fabs(sums.signed_mean[0]) < 1e-15 && fabs(sums.signed_mean[1] + 0.75) < 1e-15);
    assert_true(sums.largest[0] == 3 && sums.largest[1] == 4);
    assert_true(fabs(sums.spread[0] - 5) < 1e-14);
    assert_true(fabs(ig_global_importance_half(&sums, 0) -
                     ig_student_quantile(3) * sqrt(5.0 / 3 / 4)) < 1e-14);
}

static void test_quantile(void **state)
{
    static const struct {
        uint64_t freedom;
        double t;
    } TABLE[] = {{1, 12.7062}, {2, 4.3027},  {3, 3.1824},  {4, 2.7764},   {5, 2.5706},
                 {9, 2.2622},  {29, 2.0452}, {99, 1.9842}, {1000, 1.9623}};
    (void)state;
    for (size_t i = 0; i < sizeof TABLE / sizeof *TABLE; i++)
        assert_true(fabs(ig_student_quantile(TABLE[i].freedom) / TABLE[i].t - 1) < 3e-3);
}

/* 95% intervals of 20 rows hold the true mean 93 to 97 times in 100. */
static void test_coverage(void **state)
{
    enum { TRIALS = 4000, ROWS = 20 };
    struct ig_rng rng;
    size_t held = 0;
    (void)state;
    ig_rng_seed(&rng, 11);
    for (int trial = 0; trial < TRIALS; trial++) {
        struct ig_global_importance sums = start(1);
        for (int i = 0; i < ROWS; i++) {
            double value = ig_rng_unit(&rng) - 0.5;
            ig_global_importance_add(&sums, &value);
        }
        held += fabs(sums.mean[0] - 0.25) <= ig_global_importance_half(&sums, 0);
    }
    assert_in_range(held, TRIALS * 93 / 100, TRIALS * 97 / 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_quantile),
        cmocka_unit_test(test_coverage),
    };
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
