/* SPDX-License-Identifier: Apache-2.0 */
/* LIME's draws, a batch in three passes: which outcome, where within it as a share of the normal,
 * and the value there. The passes are loops without a branch on what was drawn; the middle one
 * takes registers of shares. One sequence of the seed, whatever the batches. */
#include "kernels/explain/lime_priv.h"

#include <string.h>

typedef double quad __attribute__((vector_size(32)));
enum { QUAD = sizeof(quad) / sizeof(double) };

static const double TAIL = 0.02425; /* from here on the middle's approximation holds */

/* Acklam's rational approximation of the normal quantile, relative error below 1.2e-9. */
static const double A[] = {-3.969683028665376e+01, 2.209460984245205e+02,  -2.759285104469687e+02,
                           1.383577518672690e+02,  -3.066479806614716e+01, 2.506628277459239e+00};
static const double B[] = {-5.447609879822406e+01, 1.615858368580409e+02, -1.556989798598866e+02,
                           6.680131188771972e+01, -1.328068155288572e+01};
static const double C[] = {-7.784894002430293e-03, -3.223964580411365e-01, -2.400758277161838e+00,
                           -2.549732539343734e+00, 4.374664141464968e+00,  2.938163982698783e+00};
static const double D[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                           3.754408661907416e+00};

/* Of TAIL to 1 - TAIL. In pairs, which do not wait for each other. */
static inline void to_quantiles(quad *shares)
{
    quad q = *shares - 0.5, r = q * q, s = r * r;
    *shares = (((A[0] * r + A[1]) * s + (A[2] * r + A[3])) * s + (A[4] * r + A[5])) * q /
              (((B[0] * r + B[1]) * s + (B[2] * r + B[3])) * s + (B[4] * r + 1));
}

double ig_lime_quantile(double share)
{
    double tail = share < 0.5 ? share : 1 - share;
    if (tail >= TAIL) {
        quad x = share - (quad){0};
        to_quantiles(&x);
        return x[0];
    }
    double q = sqrt(-2 * log(tail > 1e-300 ? tail : 1e-300));
    double x = (((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5]) /
               ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1);
    return share < 0.5 ? x : -x;
}

/* x[i] becomes the quantile of shares[i]; both are padded to whole quads. */
static void find_quantiles(double *x, const double *shares, size_t count)
{
    for (size_t i = 0; i < count; i += QUAD) {
        quad share;
        memcpy(&share, shares + i, sizeof share);
        to_quantiles(&share);
        memcpy(x + i, &share, sizeof share);
    }
    /* What lies in a tail is rare, on which side of 0.5 a share lies is not. */
    for (size_t i = 0; i < count; i++)
        if (fabs(shares[i] - 0.5) > 0.475) x[i] = ig_lime_quantile(shares[i]);
}

/* What is a point, a category or missing has a scale and a spread of 0. */
static void read_outcome(struct ig_lime_draw *draw, const struct ig_lime_feature *feature,
                         const struct ig_lime_outcome *outcome, double before)
{
    *draw = (struct ig_lime_draw){before, 0, 0.5, outcome->value, 0, NAN, NAN};
    if (feature->categorical || isnan(outcome->value)) return;
    if (!(outcome->span > 0)) {
        if (outcome->low == outcome->high) draw->value = outcome->low;
        return;
    }
    draw->below = outcome->below;
    draw->scale = outcome->span / outcome->share;
    draw->spread = outcome->spread;
    draw->low = outcome->low;
    draw->high = outcome->high;
}

/* The ends of a feature's shares but the last, in whole quads: no dice reaches 1. */
static void read_ends(struct ig_lime_dice *dice, double *ends, const struct ig_lime_space *space,
                      const struct ig_lime_feature *feature)
{
    const uint32_t count = feature->count - 1;
    dice->first = feature->first;
    dice->ends = ends;
    dice->ends_count = (count + QUAD - 1) / QUAD * QUAD;
    for (uint32_t i = 0; i < dice->ends_count; i++)
        ends[i] = i < count ? space->until[feature->first + i] : 1;
}

bool ig_lime_draws_init(struct ig_lime_draws *draws, const struct ig_lime_space *space,
                        const uint32_t *home, size_t rows_max, struct ig_arena *arena)
{
    const uint32_t n = space->features_count;
    const size_t most = (rows_max * n + QUAD - 1) / QUAD * QUAD;
    struct ig_lime_dice *dice = ig_arena_array(arena, n, sizeof *dice);
    struct ig_lime_draw *outcomes = ig_arena_array(arena, space->outcomes_count, sizeof *outcomes);
    double *ends = ig_arena_array(arena, space->outcomes_count + (size_t)n * QUAD, sizeof *ends);
    draws->space = space;
    draws->home = home;
    draws->dice = dice;
    draws->outcomes = outcomes;
    draws->picked = ig_arena_array(arena, most, sizeof *draws->picked);
    draws->shares = ig_arena_array(arena, most, sizeof(double));
    draws->units = ig_arena_array(arena, most, sizeof(double));
    if (!dice || !outcomes || !ends || !draws->picked || !draws->shares || !draws->units)
        return false;
    for (uint32_t f = 0; f < n; f++) {
        const struct ig_lime_feature *feature = &space->features[f];
        read_ends(&dice[f], ends, space, feature);
        ends += dice[f].ends_count;
        for (uint32_t i = 0; i < feature->count; i++) {
            uint32_t at = feature->first + i;
            read_outcome(&outcomes[at], feature, &space->outcomes[at],
                         i ? space->until[at - 1] : 0);
        }
    }
    return true;
}

static inline uint32_t pick_of(const struct ig_lime_dice *dice, double unit)
{
    uint32_t pick = 0;
    for (uint32_t i = 0; i < dice->ends_count; i += QUAD) {
        const double *ends = dice->ends + i;
        pick +=
            (uint32_t)(unit >= ends[0]) + (unit >= ends[1]) + (unit >= ends[2]) + (unit >= ends[3]);
    }
    return pick;
}

void ig_lime_draw(struct ig_lime_draws *draws, size_t count, double *rows, uint8_t *z)
{
    const uint32_t n = draws->space->features_count;
    const size_t all = count * n;
    double *units = draws->units;
    ig_rng_units(&draws->rng, units, all);
    for (size_t at = 0, f = 0; at < all; at++, f = f + 1 < n ? f + 1 : 0) {
        const struct ig_lime_dice *dice = &draws->dice[f];
        uint32_t pick = pick_of(dice, units[at]);
        const struct ig_lime_draw *outcome = &draws->outcomes[dice->first + pick];
        z[at] = pick == draws->home[f];
        draws->picked[at] = dice->first + pick;
        /* Where the dice lies within its outcome's share is uniform again. */
        draws->shares[at] = outcome->below + outcome->scale * (units[at] - outcome->before);
    }
    for (size_t at = all; at % QUAD; at++) draws->shares[at] = 0.5;
    find_quantiles(units, draws->shares, all);
    for (size_t at = 0; at < all; at++) {
        const struct ig_lime_draw *outcome = &draws->outcomes[draws->picked[at]];
        double x = outcome->value + outcome->spread * units[at];
        rows[at] = x < outcome->low ? outcome->low : x > outcome->high ? outcome->high : x;
    }
}
