/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/stats/sequential.h"

#include <math.h>

/* The boundary is tightest around this many observations at alpha 0.05. */
static const double TIGHTEST_AT = 5000;

void ig_moments_add(struct ig_moments *moments, double value)
{
    double delta = value - moments->mean;
    moments->mean += delta / (double)++moments->count;
    moments->m2 += delta * (value - moments->mean);
}

void ig_moments_merge(struct ig_moments *moments, const struct ig_moments *other)
{
    if (!other->count) return;
    double all = (double)(moments->count + other->count);
    double delta = other->mean - moments->mean;
    moments->m2 += other->m2 + delta * delta * (double)moments->count * (double)other->count / all;
    moments->mean += delta * (double)other->count / all;
    moments->count += other->count;
}

double ig_moments_variance(const struct ig_moments *moments)
{
    return moments->count > 1 ? moments->m2 / (double)(moments->count - 1) : 0;
}

struct ig_moments ig_moments_of_counts(uint64_t ones, uint64_t count)
{
    if (!count) return (struct ig_moments){0};
    double mean = (double)ones / (double)count;
    return (struct ig_moments){count, mean, (double)count * mean * (1 - mean)};
}

/* Robbins' mixture over n observations of an estimate with variance `variance`: the martingale is
 * exp(z^2 t / (2 (t + 1))) / sqrt(t + 1), with t = n rho^2. */
static struct ig_sequential decide(double estimate, double variance, double n, double alpha)
{
    double level = -2 * log(0.05);
    double t = n * (level + log(level) + 1) / TIGHTEST_AT;
    struct ig_sequential out = {
        .estimate = estimate, .low = -INFINITY, .high = INFINITY, .p_value = 1, .decided = true};
    double width = sqrt(variance * 2 * (t + 1) / t * (log(sqrt(t + 1)) - log(alpha)));
    out.low = estimate - width;
    out.high = estimate + width;
    double log_e = variance > 0
                       ? estimate * estimate / variance * t / (2 * (t + 1)) - 0.5 * log(t + 1)
                   : estimate == 0 ? -0.5 * log(t + 1)
                                   : INFINITY;
    out.p_value = log_e > 0 ? exp(-log_e) : 1;
    return out;
}

static struct ig_sequential undecided(double estimate)
{
    return (struct ig_sequential){estimate, -INFINITY, INFINITY, 1, false};
}

/* A variance of 0 is no certainty: as if one more observation had differed by its mean's scale. */
static double variance_of_mean(const struct ig_moments *moments)
{
    double n = (double)moments->count, variance = ig_moments_variance(moments);
    double scale = fabs(moments->mean) > 1 ? fabs(moments->mean) : 1;
    double least = scale * scale / (n + 1);
    if (variance <= 0) variance = least;
    return variance / n;
}

struct ig_sequential ig_sequential_difference(const struct ig_moments *a,
                                              const struct ig_moments *b, double alpha)
{
    double estimate = b->mean - a->mean;
    if (a->count < IG_SEQUENTIAL_MIN || b->count < IG_SEQUENTIAL_MIN) return undecided(estimate);
    return decide(estimate, variance_of_mean(a) + variance_of_mean(b),
                  (double)(a->count + b->count), alpha);
}

struct ig_sequential ig_sequential_mean(const struct ig_moments *a, double alpha)
{
    if (a->count < IG_SEQUENTIAL_MIN) return undecided(a->mean);
    return decide(a->mean, variance_of_mean(a), (double)a->count, alpha);
}

/* The predictive probability of the arm under a uniform Dirichlet prior, over the expected one. */
void ig_shares_test_add(struct ig_shares_test *test, uint32_t arm, uint32_t arms, double expected)
{
    double predictive = ((double)test->counts[arm] + 1) / ((double)test->count + arms);
    test->log_e += log(predictive) - log(expected);
    test->counts[arm]++;
    test->count++;
    if (test->log_e > test->max_log_e) test->max_log_e = test->log_e;
}

double ig_shares_test_p(const struct ig_shares_test *test)
{
    return exp(-test->max_log_e);
}
