/* SPDX-License-Identifier: Apache-2.0 */
/* Closed forms, and simulations in which somebody looks after every observation: how often a true
 * null hypothesis is ever refused stays at or below alpha. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/stats/sequential.h"

#include <math.h>

static void assert_near(double got, double want, double tolerance)
{
    if (!(fabs(got - want) <= tolerance)) fail_msg("%.17g, wanted %.17g", got, want);
}

static void test_moments(void **state)
{
    (void)state;
    static const double VALUES[] = {3, -1, 4, 1, -5, 9, 2, 6};
    struct ig_moments all = {0}, parts[2] = {{0}};
    for (int i = 0; i < 8; i++) {
        ig_moments_add(&all, VALUES[i]);
        ig_moments_add(&parts[i >= 3], VALUES[i]);
    }
    assert_near(all.mean, 19.0 / 8, 1e-12);
    assert_near(ig_moments_variance(&all), 18.267857142857142, 1e-12); /* numpy.var(ddof=1) */
    ig_moments_merge(&parts[0], &parts[1]);
    assert_near(parts[0].mean, all.mean, 1e-12);
    assert_near(parts[0].m2, all.m2, 1e-12);
    struct ig_moments none = {0};
    ig_moments_merge(&all, &none);
    assert_int_equal(all.count, 8);
    struct ig_moments counts = ig_moments_of_counts(30, 100);
    assert_near(counts.mean, 0.3, 1e-15);
    assert_near(counts.m2, 21, 1e-12);
}

static void test_interval_and_p_agree(void **state)
{
    (void)state;
    struct ig_moments a = ig_moments_of_counts(1000, 10000);
    for (uint64_t ones = 900; ones < 1300; ones += 7) {
        struct ig_moments b = ig_moments_of_counts(ones, 10000);
        struct ig_sequential test = ig_sequential_difference(&a, &b, 0.05);
        bool excludes_zero = test.low > 0 || test.high < 0;
        assert_int_equal(excludes_zero, test.p_value < 0.05);
        assert_near(test.estimate, ((double)ones - 1000) / 10000, 1e-12);
        assert_near(test.high - test.estimate, test.estimate - test.low, 1e-12);
    }
}

static void test_undecided_below_the_least(void **state)
{
    (void)state;
    struct ig_moments a = ig_moments_of_counts(0, 99), b = ig_moments_of_counts(99, 1000);
    struct ig_sequential test = ig_sequential_difference(&a, &b, 0.05);
    assert_false(test.decided);
    assert_true(test.p_value == 1 && isinf(test.low) && isinf(test.high));
    a = ig_moments_of_counts(0, 100); /* nobody at all: no certainty from a variance of 0 */
    b = ig_moments_of_counts(0, 100);
    test = ig_sequential_difference(&a, &b, 0.05);
    assert_true(test.decided && test.p_value == 1 && test.low < 0 && test.high > 0);
}

static double draw(int kind, double shift, struct ig_rng *rng)
{
    double u = ig_rng_unit(rng);
    if (kind == 0) return u < 0.1 + shift;     /* conversion */
    if (kind == 1) return -log(1 - u) + shift; /* latency, value */
    return pow(1 - u, -0.25) + shift;          /* heavy: no fourth moment */
}

/* Looks after every observation; returns how many of the runs ever refused. */
static int peek(int kind, double shift, double share, int runs, int observations, uint64_t seed)
{
    struct ig_rng rng;
    int refused = 0;
    ig_rng_seed(&rng, seed);
    for (int run = 0; run < runs; run++) {
        struct ig_moments arms[2] = {{0}};
        for (int i = 0; i < observations; i++) {
            int arm = ig_rng_unit(&rng) < share;
            ig_moments_add(&arms[arm], draw(kind, arm ? shift : 0, &rng));
            if (ig_sequential_difference(&arms[0], &arms[1], 0.05).p_value < 0.05) {
                refused++;
                break;
            }
        }
    }
    return refused;
}

/* alpha 0.05 over 1,000 runs, plus three standard errors of a binomial: 50 + 3 * 6.9. */
static void test_false_alarms_under_peeking(void **state)
{
    (void)state;
    for (int kind = 0; kind < 3; kind++)
        for (int share = 1; share <= 5; share += 4) {
            int refused = peek(kind, 0, share / 10.0, 1000, 3000, 77);
            if (refused > 70) fail_msg("kind %d share %d: %d of 1000", kind, share, refused);
        }
}

static void test_finds_what_is_there(void **state)
{
    (void)state;
    assert_true(peek(0, 0.08, 0.5, 100, 4000, 5) >= 95);
    assert_true(peek(1, 0.3, 0.5, 100, 4000, 6) >= 95);
}

/* The true difference lies in the interval at every look. */
static void test_coverage(void **state)
{
    (void)state;
    struct ig_rng rng;
    int missed = 0;
    ig_rng_seed(&rng, 8);
    for (int run = 0; run < 500; run++) {
        struct ig_moments arms[2] = {{0}};
        bool miss = false;
        for (int i = 0; i < 2000; i++) {
            int arm = i % 2;
            ig_moments_add(&arms[arm], draw(1, arm ? 0.5 : 0, &rng));
            struct ig_sequential test = ig_sequential_difference(&arms[0], &arms[1], 0.1);
            miss = miss || test.low > 0.5 || test.high < 0.5;
        }
        missed += miss;
    }
    assert_true(missed <= 70); /* 0.1 of 500 and three standard errors */
}

static void test_mean(void **state)
{
    (void)state;
    struct ig_moments a = ig_moments_of_counts(300, 1000);
    struct ig_sequential test = ig_sequential_mean(&a, 0.05);
    assert_true(test.low > 0.23 && test.low < 0.3 && test.high > 0.3 && test.high < 0.37);
}

static void test_shares(void **state)
{
    (void)state;
    struct ig_rng rng;
    int alarms = 0, found = 0;
    ig_rng_seed(&rng, 9);
    for (int run = 0; run < 1000; run++) {
        struct ig_shares_test fair = {0}, skewed = {0};
        for (int i = 0; i < 4000; i++) {
            uint32_t arm = ig_rng_unit(&rng) < 0.1;
            ig_shares_test_add(&fair, arm, 2, arm ? 0.1 : 0.9);
            arm = ig_rng_unit(&rng) < 0.5;
            ig_shares_test_add(&skewed, arm, 2, arm ? 0.44 : 0.56);
        }
        alarms += ig_shares_test_p(&fair) < 0.05;
        found += ig_shares_test_p(&skewed) < 0.05;
    }
    assert_true(alarms <= 70);
    assert_true(found >= 950);
    struct ig_shares_test none = {0};
    assert_true(ig_shares_test_p(&none) == 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_moments),
        cmocka_unit_test(test_interval_and_p_agree),
        cmocka_unit_test(test_undecided_below_the_least),
        cmocka_unit_test(test_false_alarms_under_peeking),
        cmocka_unit_test(test_finds_what_is_there),
        cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_mean),
        cmocka_unit_test(test_shares),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
