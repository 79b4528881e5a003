/* SPDX-License-Identifier: Apache-2.0 */
/* Weighted least squares on moments: everything that LIME selects and fits is a function of the
 * weighted sums of products of (1, z, y), taken once. Owns nothing. */
#include "kernels/explain/lime_priv.h"

#include <math.h>

static double sum_of(const struct ig_lime_moments *m, uint32_t i, uint32_t k)
{
    return m->sums[(size_t)i * (m->n + 2) + k];
}

/* Weighted covariance times the sum of weights; index 0 .. n - 1 are z, n is y. */
static double centred(const struct ig_lime_moments *m, uint32_t i, uint32_t k)
{
    return sum_of(m, i + 1, k + 1) - sum_of(m, 0, i + 1) * sum_of(m, 0, k + 1) / sum_of(m, 0, 0);
}

/* Cholesky of a (count x count, row-major), solving for x in place of b. A pivot that vanishes, a z
 * that does not vary or repeats others, gets no coefficient. */
static void solve(double *a, double *x, uint32_t count)
{
    double scale = 0;
    for (uint32_t i = 0; i < count; i++) scale = fmax(scale, a[(size_t)i * count + i]);
    for (uint32_t i = 0; i < count; i++) {
        double *row = a + (size_t)i * count;
        for (uint32_t k = 0; k <= i; k++) {
            const double *other = a + (size_t)k * count;
            double sum = row[k];
            for (uint32_t j = 0; j < k; j++) sum -= row[j] * other[j];
            if (i == k)
                row[i] = sum > 1e-13 * scale ? sqrt(sum) : 0;
            else
                row[k] = other[k] > 0 ? sum / other[k] : 0;
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        const double *row = a + (size_t)i * count;
        for (uint32_t j = 0; j < i; j++) x[i] -= row[j] * x[j];
        x[i] = row[i] > 0 ? x[i] / row[i] : 0;
    }
    for (uint32_t i = count; i-- > 0;) {
        for (uint32_t j = i + 1; j < count; j++) x[i] -= a[(size_t)j * count + i] * x[j];
        double pivot = a[(size_t)i * count + i];
        x[i] = pivot > 0 ? x[i] / pivot : 0;
    }
}

double ig_lime_ridge(double *coefficients, double *intercept, const struct ig_lime_moments *moments,
                     const struct ig_lime_ridge *ridge, double *work)
{
    const uint32_t *chosen = ridge->chosen;
    uint32_t n = moments->n, count = ridge->count;
    double total = centred(moments, n, n), left = total;
    for (uint32_t i = 0; i < count; i++) {
        for (uint32_t k = 0; k < count; k++)
            work[(size_t)i * count + k] = centred(moments, chosen[i], chosen[k]);
        work[(size_t)i * count + i] += ridge->alpha;
        coefficients[i] = centred(moments, chosen[i], n);
    }
    solve(work, coefficients, count);
    *intercept = sum_of(moments, 0, n + 1) / sum_of(moments, 0, 0);
    for (uint32_t i = 0; i < count; i++) {
        *intercept -= coefficients[i] * sum_of(moments, 0, chosen[i] + 1) / sum_of(moments, 0, 0);
        left -= 2 * coefficients[i] * centred(moments, chosen[i], n);
        for (uint32_t k = 0; k < count; k++)
            left += coefficients[i] * coefficients[k] * centred(moments, chosen[i], chosen[k]);
    }
    return total > 0 ? 1 - left / total : 0;
}

/* Adds, one after the other, the feature that raises R2 most; ties go to the first. */
static uint32_t select_forward(uint32_t *chosen, const struct ig_lime_moments *moments,
                               uint32_t most, double *work)
{
    double *coefficients = work, *rest = work + most, intercept;
    uint32_t count = 0;
    while (count < most) {
        double best = -INFINITY;
        uint32_t winner = 0;
        for (uint32_t f = 0; f < moments->n; f++) {
            bool taken = false;
            for (uint32_t i = 0; i < count && !taken; i++) taken = chosen[i] == f;
            if (taken) continue;
            chosen[count] = f;
            double r2 = ig_lime_ridge(coefficients, &intercept, moments,
                                      &(struct ig_lime_ridge){chosen, count + 1, 0}, rest);
            if (r2 > best + 1e-15) {
                best = r2;
                winner = f;
            }
        }
        chosen[count++] = winner;
    }
    return count;
}

static uint32_t select_weights(uint32_t *chosen, const struct ig_lime_moments *moments,
                               uint32_t most, double *work)
{
    uint32_t n = moments->n, count = 0;
    double *coefficients = work, *rest = work + n, intercept;
    for (uint32_t f = 0; f < n; f++) chosen[f] = f;
    ig_lime_ridge(coefficients, &intercept, moments, &(struct ig_lime_ridge){chosen, n, 0.01},
                  rest);
    for (uint32_t f = 0; f < n; f++) { /* insertion; ties to the first */
        uint32_t at = count < most ? count++ : most;
        while (at > 0 && fabs(coefficients[f]) > fabs(coefficients[chosen[at - 1]])) {
            if (at < most) chosen[at] = chosen[at - 1];
            at--;
        }
        if (at < most) chosen[at] = f;
    }
    return count;
}

uint32_t ig_lime_select(uint32_t *chosen, const struct ig_lime_moments *moments, uint32_t most,
                        double *work)
{
    if (most > moments->n) most = moments->n;
    if (most <= 6) return select_forward(chosen, moments, most, work);
    return select_weights(chosen, moments, most, work);
}
