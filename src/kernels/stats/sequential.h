/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_STATS_SEQUENTIAL_H
#define IG_KERNELS_STATS_SEQUENTIAL_H

/* Tests that may be looked at after every observation and stopped at any time: the probability that
 * an interval is ever wrong, or that a true null hypothesis is ever refused, is at most alpha.
 *
 * Means, and differences of two: the asymptotic confidence sequence of Waudby-Smith, Arbour, Sinha,
 * Kennedy and Ramdas ("Time-uniform central limit theory and asymptotic confidence sequences",
 * 2024, Robbins' normal mixture with the variances estimated). Asymptotic: nothing is decided
 * before IG_SEQUENTIAL_MIN observations of each arm.
 *
 * Shares of arms: the sequential multinomial test of Lindon and Malek (NeurIPS 2022), one
 * observation at a time, so the expected shares may change on the way.
 *
 * Pure functions on plain structs. */

#include <stdbool.h>
#include <stdint.h>

enum { IG_SEQUENTIAL_MIN = 100 };

/* Count, mean and sum of squared deviations of what was observed (Welford). Zeroed: none. */
struct ig_moments {
    uint64_t count;
    double mean, m2;
};
void ig_moments_add(struct ig_moments *moments, double value);
void ig_moments_merge(struct ig_moments *moments, const struct ig_moments *other);
double ig_moments_variance(const struct ig_moments *moments); /* 0 below two */
/* Of `ones` ones among `count` zeros and ones. */
struct ig_moments ig_moments_of_counts(uint64_t ones, uint64_t count);

struct ig_sequential {
    double estimate, low, high; /* a confidence sequence of 1 - alpha; infinite while undecided */
    double p_value;             /* always valid, of no difference; 1 while undecided */
    bool decided;               /* enough was observed to say anything */
};
/* mean(b) - mean(a). */
struct ig_sequential ig_sequential_difference(const struct ig_moments *a,
                                              const struct ig_moments *b, double alpha);
/* mean(a). `p_value` is that of mean 0. */
struct ig_sequential ig_sequential_mean(const struct ig_moments *a, double alpha);

enum { IG_SHARES_MAX = 32 };

/* Zeroed: nothing observed. */
struct ig_shares_test {
    uint64_t counts[IG_SHARES_MAX], count;
    double log_e; /* of the e-process against the expected shares */
    double max_log_e;
};
/* One unit went to `arm` of `arms`, which was to happen with probability `expected` > 0. */
void ig_shares_test_add(struct ig_shares_test *test, uint32_t arm, uint32_t arms, double expected);
/* Always-valid p-value of the shares being as expected. */
double ig_shares_test_p(const struct ig_shares_test *test);

#endif
