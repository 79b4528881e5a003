/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/stats/bandit.h"

#include <math.h>

static double sum(const double *shares, uint32_t arms, double floor)
{
    double sum = 0;
    for (uint32_t i = 0; i < arms; i++) {
        assert_true(shares[i] >= floor - 1e-12);
        sum += shares[i];
    }
    return sum;
}

static void test_no_reward_is_even(void **state)
{
    (void)state;
    const struct ig_moments none[4] = {{0}};
    const struct ig_bandit bandit = {4, none, 0.01, 1};
    double shares[4];
    for (int kind = 0; kind < 3; kind++) {
        if (kind == 2)
            ig_bandit_epsilon_greedy(shares, &bandit, 0.1);
        else
            ig_bandit_thompson(shares, &bandit, kind == 0);
        assert_true(fabs(sum(shares, 4, 0.01) - 1) < 1e-12);
        for (int i = 0; i < 4; i++) assert_true(fabs(shares[i] - 0.25) < 0.03);
    }
}

/* P(Beta(31, 71) > Beta(21, 81)) = 0.9476 by numerical integration in scipy. */
static void test_thompson_is_the_probability_of_being_best(void **state)
{
    (void)state;
    const struct ig_moments rewards[2] = {ig_moments_of_counts(20, 100),
                                          ig_moments_of_counts(30, 100)};
    const struct ig_bandit bandit = {2, rewards, 0, 3};
    double shares[2], again[2];
    ig_bandit_thompson(shares, &bandit, true);
    assert_true(fabs(shares[1] - 0.9476) < 0.015);
    ig_bandit_thompson(again, &bandit, true);
    assert_true(shares[1] == again[1]);
    /* normal: Phi(0.1 / sqrt(v0/n + v1/n)) */
    ig_bandit_thompson(shares, &bandit, false);
    double error = sqrt((0.16 + 0.21) / 99);
    assert_true(fabs(shares[1] - 0.5 * erfc(-0.1 / error / sqrt(2))) < 0.02);
}

/* Rewards beyond 0 and 1, which clients may send, count as these. */
static void test_conversions_beyond_one(void **state)
{
    (void)state;
    struct ig_moments wild[2] = {ig_moments_of_counts(10, 10), ig_moments_of_counts(10, 10)};
    const struct ig_moments tame[2] = {ig_moments_of_counts(0, 10), ig_moments_of_counts(10, 10)};
    const struct ig_bandit given = {2, wild, 0.01, 7}, clamped = {2, tame, 0.01, 7};
    double shares[2], expected[2];
    wild[0].mean = -3;
    wild[1].mean = 5;
    ig_bandit_thompson(shares, &given, true);
    ig_bandit_thompson(expected, &clamped, true);
    assert_true(shares[0] == expected[0] && shares[1] == expected[1]);
}

static void test_floor(void **state)
{
    (void)state;
    const struct ig_moments rewards[3] = {ig_moments_of_counts(900, 1000),
                                          ig_moments_of_counts(10, 1000),
                                          ig_moments_of_counts(10, 1000)};
    const struct ig_bandit bandit = {3, rewards, 0.05, 3};
    double shares[3];
    ig_bandit_thompson(shares, &bandit, true);
    assert_true(fabs(sum(shares, 3, 0.05) - 1) < 1e-12);
    assert_true(fabs(shares[0] - 0.9) < 1e-12);
    ig_bandit_epsilon_greedy(shares, &bandit, 0.3);
    assert_true(fabs(sum(shares, 3, 0.05) - 1) < 1e-12);
    assert_true(fabs(shares[0] - (0.05 + 0.85 * 0.8)) < 1e-12);
}

/* Played against itself the bandit ends on the best arm, and loses little on the way. */
static void test_learns(void **state)
{
    (void)state;
    static const double CHANCE[3] = {0.05, 0.08, 0.15};
    struct ig_moments rewards[3] = {{0}};
    struct ig_rng rng;
    double shares[3] = {1.0 / 3, 1.0 / 3, 1.0 / 3};
    uint64_t ones = 0;
    ig_rng_seed(&rng, 12);
    for (uint64_t round = 0; round < 100; round++) {
        for (int i = 0; i < 100; i++) {
            double point = ig_rng_unit(&rng);
            int arm = point < shares[0] ? 0 : point < shares[0] + shares[1] ? 1 : 2;
            bool one = ig_rng_unit(&rng) < CHANCE[arm];
            ig_moments_add(&rewards[arm], one);
            ones += one;
        }
        const struct ig_bandit bandit = {3, rewards, 0.02, round};
        ig_bandit_thompson(shares, &bandit, true);
    }
    assert_true(shares[2] > 0.9);
    assert_true(ones > 1300); /* evenly divided it would be 933, always the best 1,500 */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_no_reward_is_even),
        cmocka_unit_test(test_thompson_is_the_probability_of_being_best),
        cmocka_unit_test(test_floor),
        cmocka_unit_test(test_conversions_beyond_one),
        cmocka_unit_test(test_learns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
