/* SPDX-License-Identifier: Apache-2.0 */
/* LIME on samples: draw, ask the model in batches, gather moments by eighths of the sample, select,
 * fit, and a second pass for the errors. The draws are one sequence of the seed, whatever the
 * batches. Owns nothing; all memory is the arena's. */
#include "kernels/explain/lime.h"

#include "kernels/explain/lime_priv.h"
#include "model/foreign.h"

#include <math.h>
#include <string.h>

enum { BATCH = 512, PARTS = 8, SAMPLES_DEFAULT = 5000, SAMPLES_MIN = 100, FEATURES_DEFAULT = 10 };

struct sampler {
    const struct ig_lime_space *space;
    const struct ig_predictor *predictor;
    const double *row;
    uint32_t value; /* of the predictor's values */
    uint64_t samples;
    uint32_t *home; /* outcome of the row, by feature */
    double *weight_of_flips;
    struct ig_rng rng;
    double *rows; /* BATCH x features */
    double *values;
    void *scratch;
    uint32_t *ones; /* features + 1 */
    uint8_t *z;     /* samples x features */
    double *y;      /* samples */
    double *weight; /* samples */
    struct ig_lime_moments parts[PARTS], all;
    double *work; /* n x (n + 4) */
    struct ig_arena *arena;
    struct ig_err *err;
};

/* Acklam's rational approximation of the normal quantile, relative error below 1.2e-9. */
double ig_lime_quantile(double share)
{
    static const double A[] = {-3.969683028665376e+01, 2.209460984245205e+02,
                               -2.759285104469687e+02, 1.383577518672690e+02,
                               -3.066479806614716e+01, 2.506628277459239e+00};
    static const double B[] = {-5.447609879822406e+01, 1.615858368580409e+02,
                               -1.556989798598866e+02, 6.680131188771972e+01,
                               -1.328068155288572e+01};
    static const double C[] = {-7.784894002430293e-03, -3.223964580411365e-01,
                               -2.400758277161838e+00, -2.549732539343734e+00,
                               4.374664141464968e+00,  2.938163982698783e+00};
    static const double D[] = {7.784695709041462e-03, 3.224671290700398e-01, 2.445134137142996e+00,
                               3.754408661907416e+00};
    double tail = share < 0.5 ? share : 1 - share;
    if (tail >= 0.02425) {
        /* In pairs, which do not wait for each other. */
        double q = share - 0.5, r = q * q, s = r * r;
        return (((A[0] * r + A[1]) * s + (A[2] * r + A[3])) * s + (A[4] * r + A[5])) * q /
               (((B[0] * r + B[1]) * s + (B[2] * r + B[3])) * s + (B[4] * r + 1));
    }
    double q = sqrt(-2 * log(tail > 1e-300 ? tail : 1e-300));
    double x = (((((C[0] * q + C[1]) * q + C[2]) * q + C[3]) * q + C[4]) * q + C[5]) /
               ((((D[0] * q + D[1]) * q + D[2]) * q + D[3]) * q + 1);
    return share < 0.5 ? x : -x;
}

/* `part`: uniform in [0, 1). */
static double draw_value(const struct ig_lime_outcome *outcome, double part)
{
    if (!(outcome->span > 0)) return outcome->low == outcome->high ? outcome->low : outcome->value;
    double share = outcome->below + outcome->span * part;
    double x = outcome->value + outcome->spread * ig_lime_quantile(share);
    return x < outcome->low ? outcome->low : x > outcome->high ? outcome->high : x;
}

/* One sample; returns how many features left the row's bin or category. */
static uint32_t draw(struct sampler *s, double *row, uint8_t *z)
{
    const struct ig_lime_space *space = s->space;
    uint32_t flips = 0;
    for (uint32_t f = 0; f < space->features_count; f++) {
        const struct ig_lime_feature *feature = &space->features[f];
        const double *until = space->until + feature->first;
        double dice = ig_rng_unit(&s->rng);
        uint32_t pick = 0;
        for (uint32_t i = 0; i + 1 < feature->count; i++) pick += !(dice < until[i]);
        z[f] = pick == s->home[f];
        flips += !z[f];
        const struct ig_lime_outcome *outcome = &space->outcomes[feature->first + pick];
        /* Where the dice lies within its outcome's share is uniform again. */
        double part = (dice - (pick ? until[pick - 1] : 0)) / outcome->share;
        bool as_it_is = feature->categorical || isnan(outcome->value);
        row[f] = as_it_is ? outcome->value : draw_value(outcome, part < 1 ? part : 0.5);
    }
    return flips;
}

/* Upper half only, mirrored at the end; `ones`: room for the features whose z is 1. */
static void add_moments(struct ig_lime_moments *m, const uint8_t *z, double y, double weight,
                        uint32_t *ones)
{
    uint32_t n = m->n, size = n + 2, count = 0;
    double *sums = m->sums;
    sums[0] += weight;
    sums[n + 1] += weight * y;
    sums[(size_t)(n + 1) * size + n + 1] += weight * y * y;
    for (uint32_t i = 0; i < n; i++) {
        ones[count] = i + 1;
        count += z[i];
    }
    for (uint32_t i = 0; i < count; i++) {
        double *row = sums + (size_t)ones[i] * size;
        sums[ones[i]] += weight;
        for (uint32_t k = i; k < count; k++) row[ones[k]] += weight;
        row[n + 1] += weight * y;
    }
}

static void mirror(struct ig_lime_moments *m)
{
    uint32_t size = m->n + 2;
    for (uint32_t i = 0; i < size; i++)
        for (uint32_t k = 0; k < i; k++)
            m->sums[(size_t)i * size + k] = m->sums[(size_t)k * size + i];
}

static void sample(struct sampler *s)
{
    uint32_t n = s->space->features_count, each = s->predictor->values_count;
    for (uint64_t first = 0; first < s->samples; first += BATCH) {
        size_t count = s->samples - first < BATCH ? s->samples - first : BATCH;
        for (size_t i = 0; i < count; i++) {
            uint8_t *z = s->z + (first + i) * n;
            if (first + i == 0) {
                memcpy(s->rows, s->row, n * sizeof *s->rows);
                memset(z, 1, n);
                s->weight[0] = 1;
                continue;
            }
            s->weight[first + i] = s->weight_of_flips[draw(s, s->rows + i * n, z)];
        }
        s->predictor->run(s->predictor, s->rows, count, s->values, s->scratch);
        for (size_t i = 0; i < count; i++) {
            s->y[first + i] = s->values[i * each + s->value];
            add_moments(&s->parts[(first + i) * PARTS / s->samples], s->z + (first + i) * n,
                        s->y[first + i], s->weight[first + i], s->ones);
        }
    }
    size_t cells = (size_t)(n + 2) * (n + 2);
    for (int p = 0; p < PARTS; p++) {
        mirror(&s->parts[p]);
        for (size_t i = 0; i < cells; i++) s->all.sums[i] += s->parts[p].sums[i];
    }
}

/* ---- errors and stability ---- */

/* Sandwich: B S B with B the inverse of the ridge's matrix and S the sum of w^2 r^2 of centred z.
 * B's columns are solved for one by one through ridges on unit right sides: count is small. */
static void find_errors(struct sampler *s, const struct ig_lime_result *result, double *se)
{
    uint32_t n = s->space->features_count, count = result->count, size = n + 2;
    double *inverse = s->work, *middle = inverse + (size_t)count * count;
    double *z = middle + (size_t)count * count, total = s->all.sums[0];
    memset(middle, 0, (size_t)count * count * sizeof *middle);
    for (uint64_t i = 0; i < s->samples; i++) {
        double rest = s->y[i] - result->intercept;
        for (uint32_t k = 0; k < count; k++) {
            uint32_t f = result->features[k];
            z[k] = s->z[i * n + f] - s->all.sums[f + 1] / total;
            rest -= s->z[i * n + f] ? result->coefficients[k] : 0;
        }
        double scale = s->weight[i] * s->weight[i] * rest * rest;
        for (uint32_t k = 0; k < count; k++)
            for (uint32_t j = 0; j < count; j++) middle[k * count + j] += scale * z[k] * z[j];
    }
    /* Gauss-Jordan on the positive definite matrix of the final ridge. */
    double *a = z + count;
    for (uint32_t k = 0; k < count; k++)
        for (uint32_t j = 0; j < count; j++) {
            uint32_t p = result->features[k] + 1, q = result->features[j] + 1;
            a[k * count + j] = s->all.sums[(size_t)p * size + q] -
                               s->all.sums[p] * s->all.sums[q] / total + (k == j);
            inverse[k * count + j] = k == j;
        }
    for (uint32_t k = 0; k < count; k++) {
        double pivot = a[k * count + k];
        for (uint32_t j = 0; j < count; j++) {
            a[k * count + j] /= pivot;
            inverse[k * count + j] /= pivot;
        }
        for (uint32_t i = 0; i < count; i++) {
            double times = a[i * count + k];
            if (i == k) continue;
            for (uint32_t j = 0; j < count; j++) {
                a[i * count + j] -= times * a[k * count + j];
                inverse[i * count + j] -= times * inverse[k * count + j];
            }
        }
    }
    for (uint32_t k = 0; k < count; k++) {
        double sum = 0;
        for (uint32_t i = 0; i < count; i++)
            for (uint32_t j = 0; j < count; j++)
                sum += inverse[k * count + i] * middle[i * count + j] * inverse[j * count + k];
        se[k] = sqrt(sum);
    }
}

static double jaccard(const uint32_t *a, const uint32_t *b, uint32_t count)
{
    uint32_t both = 0;
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t k = 0; k < count; k++) both += a[i] == b[k];
    return count ? (double)both / (2 * count - both) : 1;
}

/* `chosen`: PARTS x n. */
static double find_stability(struct sampler *s, uint32_t count, uint32_t *chosen)
{
    uint32_t n = s->space->features_count;
    double sum = 0;
    for (int p = 0; p < PARTS; p++)
        ig_lime_select(chosen + (size_t)p * n, &s->parts[p], count, s->work);
    for (int p = 0; p < PARTS; p++)
        for (int q = 0; q < p; q++)
            sum += jaccard(chosen + (size_t)p * n, chosen + (size_t)q * n, count);
    return sum / (PARTS * (PARTS - 1) / 2.0);
}

/* ---- the face ---- */

static bool allocate(struct sampler *s)
{
    uint32_t n = s->space->features_count;
    size_t cells = (size_t)(n + 2) * (n + 2);
    struct ig_arena *arena = s->arena;
    s->home = ig_arena_array(arena, n, sizeof *s->home);
    s->weight_of_flips = ig_arena_array(arena, n + 1U, sizeof(double));
    s->rows = ig_arena_array(arena, (size_t)BATCH * n, sizeof(double));
    s->values = ig_arena_array(arena, (size_t)BATCH * s->predictor->values_count, sizeof(double));
    s->scratch =
        ig_arena_alloc_aligned(arena, s->predictor->scratch_bytes(s->predictor, BATCH) + 64, 64);
    s->ones = ig_arena_array(arena, n + 1U, sizeof *s->ones);
    s->z = ig_arena_array(arena, s->samples, n);
    s->y = ig_arena_array(arena, s->samples, sizeof(double));
    s->weight = ig_arena_array(arena, s->samples, sizeof(double));
    s->work = ig_arena_array(arena, (size_t)3 * n * (n + 4), sizeof(double));
    s->all = (struct ig_lime_moments){ig_arena_array(arena, cells, sizeof(double)), n};
    for (int p = 0; p < PARTS; p++)
        s->parts[p] = (struct ig_lime_moments){ig_arena_array(arena, cells, sizeof(double)), n};
    return !arena->overflowed;
}

static enum ig_code report(struct ig_lime_result *out, struct sampler *s, uint32_t wanted)
{
    uint32_t n = s->space->features_count;
    struct ig_lime_result own = {.samples = s->samples, .prediction = s->y[0]};
    uint32_t *chosen = ig_arena_array(s->arena, (size_t)(PARTS + 1) * n, sizeof *chosen);
    double *numbers = ig_arena_array(s->arena, (size_t)4 * n, sizeof *numbers);
    if (!chosen || !numbers) return ig_fail(s->err, IG_NO_MEMORY, "no memory for a surrogate");
    double *coefficients = numbers, *se = numbers + n, *low = se + n, *high = low + n;
    own.count = ig_lime_select(chosen, &s->all, wanted, s->work);
    own.features = chosen;
    own.coefficients = coefficients;
    own.r2 = ig_lime_ridge(coefficients, &own.intercept, &s->all,
                           &(struct ig_lime_ridge){chosen, own.count, 1}, s->work);
    for (uint32_t i = 1; i < own.count; i++) /* by size; few */
        for (uint32_t k = i; k > 0 && fabs(coefficients[k]) > fabs(coefficients[k - 1]); k--) {
            double held = coefficients[k];
            uint32_t feature = chosen[k];
            coefficients[k] = coefficients[k - 1];
            coefficients[k - 1] = held;
            chosen[k] = chosen[k - 1];
            chosen[k - 1] = feature;
        }
    own.local_prediction = own.intercept;
    for (uint32_t i = 0; i < own.count; i++) {
        own.local_prediction += coefficients[i];
        ig_lime_bounds(&low[i], &high[i], s->space, chosen[i], s->home[chosen[i]]);
    }
    find_errors(s, &own, se);
    own.stability = find_stability(s, own.count, chosen + n);
    own.se = se;
    own.low = low;
    own.high = high;
    *out = own;
    return IG_OK;
}

enum ig_code ig_lime_run(struct ig_lime_result *out, const struct ig_lime_input *input,
                         const struct ig_lime_options *options, struct ig_arena *arena,
                         struct ig_err *err)
{
    const struct ig_lime_space *space = input->space;
    const struct ig_predictor *predictor = input->predictor;
    const double *row = input->row;
    uint32_t n = space->features_count;
    struct sampler s = {.space = space,
                        .predictor = predictor,
                        .row = row,
                        .arena = arena,
                        .err = err,
                        .value = options->value};
    s.samples = options->samples ? options->samples : SAMPLES_DEFAULT;
    if (predictor->features_count != n)
        return ig_fail(err, IG_INVALID, "background: it has %u features, the model has %u", n,
                       predictor->features_count);
    if (s.samples < SAMPLES_MIN)
        return ig_fail(err, IG_INVALID, "samples: %llu are too few for LIME, at least %d",
                       (unsigned long long)s.samples, SAMPLES_MIN);
    if (options->value >= predictor->values_count)
        return ig_fail(err, IG_INVALID, "class: %u of %u values", options->value,
                       predictor->values_count);
    if (!allocate(&s)) return ig_fail(err, IG_NO_MEMORY, "no memory for LIME's samples");
    ig_rng_seed(&s.rng, options->seed);
    double width = 0.75 * sqrt(n);
    for (uint32_t f = 0; f < n; f++) s.home[f] = ig_lime_outcome_of(space, f, row[f]);
    for (uint32_t k = 0; k <= n; k++)
        s.weight_of_flips[k] = sqrt(exp(-(double)k / (width * width)));
    sample(&s);
    if (ig_foreign_marked(s.y, s.samples))
        return ig_fail(err, IG_INTERNAL, "the model failed on a sample");
    return report(out, &s, options->features ? options->features : FEATURES_DEFAULT);
}
