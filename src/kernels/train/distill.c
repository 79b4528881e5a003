/* SPDX-License-Identifier: Apache-2.0 */
/* Teacher's answers and synthetic rows. Source: Hinton, Vinyals and Dean 2015; the sampling is in
 * the spirit of MUNGE (Bucila, Caruana and Niculescu-Mizil 2006), by conditionals. */
#include "kernels/train/distill.h"

#include "base/mem.h"
#include "base/random.h"

#include <math.h>

enum { ASK_ROWS = 256, CANDIDATES_MAX = 1024, COMPARED_MAX = 32 };
static const double LEAST_PROBABILITY = 1e-7;

/* ---- answers ---- */

static double bounded(double probability)
{
    return fmin(fmax(probability, LEAST_PROBABILITY), 1 - LEAST_PROBABILITY);
}

static void as_logits(float *logits, const double *values, const struct ig_distill_ask *ask)
{
    uint32_t count = ask->teacher->values_count;
    if (ask->loss == IG_FIT_LOGISTIC) {
        double p = bounded(values[count - 1]); /* of class 1, whether class 0 is said or not */
        logits[0] = (float)log(p / (1 - p));
        return;
    }
    for (uint32_t c = 0; c < count; c++)
        logits[c] = (float)(ask->loss == IG_FIT_SOFTMAX ? log(fmax(values[c], LEAST_PROBABILITY))
                                                        : values[c]);
}

static enum ig_code check_ask(const struct ig_distill_ask *ask, struct ig_err *err)
{
    uint32_t count = ask->teacher->values_count;
    bool fits = ask->loss == IG_FIT_LOGISTIC ? ask->outputs == 1 && (count == 1 || count == 2)
                                             : count == ask->outputs;
    if (!fits)
        return ig_fail(err, IG_INVALID, "the teacher gives %u values a row, the student %zu", count,
                       ask->outputs);
    return IG_OK;
}

static enum ig_code check_values(const struct ig_distill_ask *ask, const double *values,
                                 size_t rows, size_t first, struct ig_err *err)
{
    uint32_t count = ask->teacher->values_count;
    for (size_t i = 0; i < rows * count; i++) {
        bool good = ask->loss == IG_FIT_SQUARED ? isfinite(values[i])
                                                : values[i] >= -1e-6 && values[i] <= 1 + 1e-6;
        if (!good)
            return ig_fail(err, IG_INVALID, "the teacher's answer to row %zu is %g, expected %s",
                           first + i / count, values[i],
                           ask->loss == IG_FIT_SQUARED ? "a number" : "a probability");
    }
    return IG_OK;
}

enum ig_code ig_distill_answers(float *logits, const struct ig_distill_ask *ask, struct ig_err *err)
{
    const struct ig_predictor *teacher = ask->teacher;
    if (check_ask(ask, err)) return ig_err_code(err);
    void *scratch = ig_alloc_aligned(64, teacher->scratch_bytes(teacher, ASK_ROWS) + 64);
    double *values = ig_zalloc_array(teacher->values_count, ASK_ROWS * sizeof *values);
    enum ig_code code = scratch && values ? IG_OK : ig_fail(err, IG_NO_MEMORY, "the teacher");
    for (size_t first = 0; first < ask->rows_count && code == IG_OK; first += ASK_ROWS) {
        size_t left = ask->rows_count - first, count = left < ASK_ROWS ? left : ASK_ROWS;
        teacher->run(teacher, ask->rows + first * teacher->features_count, count, values, scratch);
        code = check_values(ask, values, count, first, err);
        for (size_t i = 0; i < count && code == IG_OK; i++)
            as_logits(logits + (first + i) * ask->outputs, values + i * teacher->values_count, ask);
    }
    ig_free(values);
    ig_free(scratch);
    return code;
}

/* ---- synthetic rows ---- */

struct sampler {
    const struct ig_distill_sampling *options;
    struct ig_rng rng;
    uint32_t compared[COMPARED_MAX], compared_count; /* columns that a distance looks at */
};

static const double *row_of(const struct sampler *sampler, size_t row)
{
    const struct ig_encoder_rows *from = &sampler->options->from;
    return from->values + row * from->features_count;
}

static double cell_distance(const struct ig_encoder_feature *feature, double a, double b)
{
    bool a_missing = isnan(a), b_missing = isnan(b);
    if (a_missing || b_missing) return a_missing && b_missing ? 0 : 1;
    if (feature->categories) return a == b ? 0 : 1;
    return fmin(fabs(a - b) / (double)feature->deviation, 2);
}

static double distance(const struct sampler *sampler, const double *a, const double *b,
                       uint32_t without)
{
    double sum = 0;
    for (uint32_t i = 0; i < sampler->compared_count; i++) {
        uint32_t c = sampler->compared[i];
        if (c != without) sum += cell_distance(&sampler->options->encoder->features[c], a[c], b[c]);
    }
    return sum;
}

/* Of wide tables some columns, other ones for every row. */
static void choose_compared(struct sampler *sampler)
{
    uint32_t features = sampler->options->from.features_count;
    sampler->compared_count = features < COMPARED_MAX ? features : COMPARED_MAX;
    for (uint32_t i = 0; i < sampler->compared_count; i++)
        sampler->compared[i] =
            features > COMPARED_MAX ? (uint32_t)ig_rng_below(&sampler->rng, features) : i;
}

static double draw_cell(struct sampler *sampler, const double *row, uint32_t column)
{
    const struct ig_distill_sampling *o = sampler->options;
    double best = INFINITY, value = row[column];
    for (uint32_t i = 0; i < o->candidates; i++) {
        const double *other = row_of(sampler, ig_rng_below(&sampler->rng, o->from.rows_count));
        double apart = distance(sampler, row, other, column);
        if (apart < best) {
            best = apart;
            value = other[column];
        }
    }
    return value;
}

enum ig_code ig_distill_sample(double *rows, size_t rows_count, const struct ig_distill_sampling *o,
                               struct ig_err *err)
{
    struct sampler sampler = {.options = o};
    uint32_t features = o->from.features_count;
    if (o->from.rows_count == 0) return ig_fail(err, IG_INVALID, "no rows to sample from");
    if (!(o->resampled >= 0 && o->resampled <= 1))
        return ig_fail(err, IG_INVALID, "resampled is %g, expected 0 to 1", o->resampled);
    if (o->candidates == 0 || o->candidates > CANDIDATES_MAX)
        return ig_fail(err, IG_INVALID, "candidates is %u, expected 1 to %d", o->candidates,
                       CANDIDATES_MAX);
    if (o->encoder->features_count != features)
        return ig_fail(err, IG_INVALID, "an encoder of %u features for rows of %u",
                       o->encoder->features_count, features);
    ig_rng_seed(&sampler.rng, o->seed);
    for (size_t i = 0; i < rows_count; i++) {
        double *row = rows + i * features;
        choose_compared(&sampler);
        memcpy(row, row_of(&sampler, ig_rng_below(&sampler.rng, o->from.rows_count)),
               features * sizeof *row);
        for (uint32_t c = 0; c < features; c++)
            if (ig_rng_unit(&sampler.rng) < o->resampled) row[c] = draw_cell(&sampler, row, c);
    }
    return IG_OK;
}
