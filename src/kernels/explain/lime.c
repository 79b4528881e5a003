/* SPDX-License-Identifier: Apache-2.0 */
/* LIME on samples: draw, ask the model in batches, gather moments by eighths of the sample, select,
 * fit, and a second pass for the errors. The draws are one sequence of the seed, whatever the
 * batches. Owns nothing; all memory is the arena's. */
#include "kernels/explain/lime.h"

#include "kernels/explain/lime_priv.h"
#include "model/foreign.h"

#include <math.h>
#include <string.h>

enum { BATCH = 256, PARTS = 8, SAMPLES_DEFAULT = 5000, SAMPLES_MIN = 100, FEATURES_DEFAULT = 10 };

struct sampler {
    const struct ig_lime_space *space;
    const struct ig_predictor *predictor;
    const double *row;
    uint32_t value; /* of the predictor's values */
    uint64_t samples;
    uint32_t *home; /* outcome of the row, by feature */
    double *weight_of_flips;
    struct ig_lime_draws draws;
    double *rows; /* BATCH x features */
    double *values;
    void *scratch;
    void *adding;
    uint8_t *z;     /* samples x features */
    double *y;      /* samples */
    double *weight; /* samples */
    struct ig_lime_moments parts[PARTS], all;
    double *work; /* n x (n + 4) */
    struct ig_arena *arena;
    struct ig_err *err;
};

/* The samples `first` .. `first` + `count`, eighth by eighth of all. */
static void add(struct sampler *s, uint64_t first, uint64_t count)
{
    const uint64_t end = first + count;
    while (first < end) {
        uint64_t part = first * PARTS / s->samples;
        uint64_t until = ((part + 1) * s->samples + PARTS - 1) / PARTS;
        if (until > end) until = end;
        const struct ig_lime_samples samples = {s->z + first * s->space->features_count,
                                                s->y + first, s->weight + first,
                                                (size_t)(until - first)};
        ig_lime_add(&s->parts[part], &samples, s->adding);
        first = until;
    }
}

static void sample(struct sampler *s)
{
    uint32_t n = s->space->features_count, each = s->predictor->values_count;
    for (uint64_t first = 0; first < s->samples; first += BATCH) {
        size_t count = s->samples - first < BATCH ? s->samples - first : BATCH;
        size_t own = first == 0; /* the row itself */
        uint8_t *z = s->z + first * n;
        if (own) {
            memcpy(s->rows, s->row, n * sizeof *s->rows);
            memset(z, 1, n);
        }
        ig_lime_draw(&s->draws, count - own, s->rows + own * n, z + own * n);
        for (size_t i = 0; i < count; i++) {
            uint32_t same = 0;
            for (uint32_t f = 0; f < n; f++) same += z[i * n + f];
            s->weight[first + i] = s->weight_of_flips[n - same];
        }
        s->predictor->run(s->predictor, s->rows, count, s->values, s->scratch);
        for (size_t i = 0; i < count; i++) s->y[first + i] = s->values[i * each + s->value];
        add(s, first, count);
    }
    size_t cells = (size_t)(n + 2) * (n + 2);
    for (int p = 0; p < PARTS; p++) {
        ig_lime_mirror(&s->parts[p]);
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
        for (uint32_t k = 0; k < count; k++) {
            double scaled = scale * z[k], *row = middle + (size_t)k * count;
            for (uint32_t j = 0; j <= k; j++) row[j] += scaled * z[j];
        }
    }
    for (uint32_t k = 0; k < count; k++)
        for (uint32_t j = 0; j < k; j++) middle[j * count + k] = middle[k * count + j];
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
    s->adding = ig_arena_alloc_aligned(arena, ig_lime_add_bytes(n), 64);
    s->z = ig_arena_array(arena, s->samples, n);
    s->y = ig_arena_array(arena, s->samples, sizeof(double));
    s->weight = ig_arena_array(arena, s->samples, sizeof(double));
    s->work = ig_arena_array(arena, (size_t)3 * n * (n + 4), sizeof(double));
    s->all = (struct ig_lime_moments){ig_arena_array(arena, cells, sizeof(double)), n};
    for (int p = 0; p < PARTS; p++)
        s->parts[p] = (struct ig_lime_moments){ig_arena_array(arena, cells, sizeof(double)), n};
    return ig_lime_draws_init(&s->draws, s->space, s->home, BATCH, arena) && !arena->overflowed;
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
    ig_rng_seed(&s.draws.rng, options->seed);
    double width = 0.75 * sqrt(n);
    for (uint32_t f = 0; f < n; f++) s.home[f] = ig_lime_outcome_of(space, f, row[f]);
    for (uint32_t k = 0; k <= n; k++)
        s.weight_of_flips[k] = sqrt(exp(-(double)k / (width * width)));
    sample(&s);
    if (ig_foreign_marked(s.y, s.samples))
        return ig_fail(err, IG_INTERNAL, "the model failed on a sample");
    return report(out, &s, options->features ? options->features : FEATURES_DEFAULT);
}
