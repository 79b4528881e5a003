/* SPDX-License-Identifier: Apache-2.0 */
#include "kernels/stats/bandit.h"

#include "base/random.h"

#include <math.h>

enum { DRAWS = 4096 };

static double draw_normal(struct ig_rng *rng)
{
    double u = 1 - ig_rng_unit(rng), v = ig_rng_unit(rng);
    return sqrt(-2 * log(u)) * cos(6.283185307179586 * v);
}

/* Gamma of shape at least 1 (Marsaglia and Tsang 2000). */
static double draw_gamma(struct ig_rng *rng, double shape)
{
    double d = shape - 1.0 / 3, c = 1 / sqrt(9 * d);
    for (;;) {
        double x = draw_normal(rng), v = 1 + c * x;
        if (v <= 0) continue;
        v = v * v * v;
        double u = 1 - ig_rng_unit(rng);
        if (log(u) < 0.5 * x * x + d - d * v + d * log(v)) return d * v;
    }
}

static double draw_beta(struct ig_rng *rng, double a, double b)
{
    double x = draw_gamma(rng, a), y = draw_gamma(rng, b);
    return x / (x + y);
}

/* Every share at least the floor; the rest is divided as before. */
static void raise_to_floor(double *shares, const struct ig_bandit *bandit)
{
    double left = 1 - bandit->floor * bandit->arms, sum = 0;
    if (left < 0) left = 0;
    for (uint32_t i = 0; i < bandit->arms; i++) sum += shares[i];
    for (uint32_t i = 0; i < bandit->arms; i++) shares[i] = bandit->floor + left * shares[i] / sum;
}

static double draw_mean(struct ig_rng *rng, const struct ig_moments *own,
                        const struct ig_moments *all, bool conversions)
{
    double n = (double)own->count;
    if (conversions) {
        double ones = fmin(fmax(n * own->mean, 0), n); /* a reward may be neither 0 nor 1 */
        return draw_beta(rng, 1 + ones, 1 + n - ones);
    }
    bool known = own->count > 1;
    const struct ig_moments *from = known ? own : all;
    double spread = sqrt(ig_moments_variance(from)), mean = known ? own->mean : all->mean;
    if (spread == 0) spread = sqrt(ig_moments_variance(all));
    if (spread == 0) spread = 1;
    return mean + draw_normal(rng) * spread / (known ? sqrt(n) : 1);
}

void ig_bandit_thompson(double *shares, const struct ig_bandit *bandit, bool conversions)
{
    struct ig_rng rng;
    struct ig_moments all = {0};
    ig_rng_seed(&rng, bandit->seed);
    for (uint32_t i = 0; i < bandit->arms; i++) {
        ig_moments_merge(&all, &bandit->rewards[i]);
        shares[i] = 0;
    }
    for (int draw = 0; draw < DRAWS; draw++) {
        uint32_t best = 0;
        double most = -INFINITY;
        for (uint32_t i = 0; i < bandit->arms; i++) {
            double mean = draw_mean(&rng, &bandit->rewards[i], &all, conversions);
            if (mean <= most) continue;
            most = mean;
            best = i;
        }
        shares[best] += 1;
    }
    raise_to_floor(shares, bandit);
}

void ig_bandit_epsilon_greedy(double *shares, const struct ig_bandit *bandit, double epsilon)
{
    double most = -INFINITY;
    uint32_t best_count = 0;
    for (uint32_t i = 0; i < bandit->arms; i++) {
        double mean = bandit->rewards[i].count ? bandit->rewards[i].mean : INFINITY;
        if (mean > most) best_count = 0;
        if (mean >= most) best_count++;
        if (mean > most) most = mean;
    }
    for (uint32_t i = 0; i < bandit->arms; i++) {
        double mean = bandit->rewards[i].count ? bandit->rewards[i].mean : INFINITY;
        shares[i] = epsilon / bandit->arms + (mean == most ? (1 - epsilon) / best_count : 0);
    }
    raise_to_floor(shares, bandit);
}
