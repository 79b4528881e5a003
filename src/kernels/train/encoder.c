/* SPDX-License-Identifier: Apache-2.0 */
/* One-hot, scaling and missing values of tables. Owns nothing. */
#include "kernels/train/encoder.h"

#include "base/mem.h"

#include <math.h>
#include <stdlib.h>

static const float CLIP = IG_ENCODER_CLIP;

static bool is_missing(const struct ig_encoder_feature *feature, float value)
{
    return isnan(value) || (feature->categories && value < 0);
}

static enum ig_code fit_feature(struct ig_encoder_feature *feature,
                                const struct ig_encoder_rows *rows, uint32_t at, struct ig_err *err)
{
    double sum = 0, squares = 0;
    size_t count = 0;
    for (size_t i = 0; i < rows->rows_count; i++) {
        double value = rows->values[i * rows->features_count + at];
        if (is_missing(feature, (float)value)) {
            feature->missing = true;
            continue;
        }
        if (!isfinite((float)value))
            return ig_fail(err, IG_INVALID, "feature %u: row %zu is %g, beyond a float's range", at,
                           i, value);
        count++;
        double before = value - sum; /* sum is the running mean: Welford 1962 */
        sum += before / (double)count;
        squares += before * (value - sum);
    }
    feature->mean = (float)sum;
    feature->deviation = count ? (float)sqrt(squares / (double)count) : 0;
    if (!(feature->deviation > 0) || !isfinite(feature->deviation)) feature->deviation = 1;
    return IG_OK;
}

static int ascending(const void *a, const void *b)
{
    float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* Knots over the different values: a tail of few rows has its share of them. */
static enum ig_code fit_ranks(struct ig_encoder_feature *feature,
                              const struct ig_encoder_rows *rows, uint32_t at, struct ig_err *err)
{
    float *values = ig_zalloc_array(rows->rows_count + 1, sizeof *values);
    size_t count = 0, different = 0;
    if (!values) return ig_fail(err, IG_NO_MEMORY, "ranks of %zu rows", rows->rows_count);
    for (size_t i = 0; i < rows->rows_count; i++) {
        float value = (float)rows->values[i * rows->features_count + at];
        if (!isnan(value)) values[count++] = value;
    }
    qsort(values, count, sizeof *values, ascending);
    for (size_t i = 0; i < count; i++)
        if (different == 0 || values[i] != values[different - 1]) values[different++] = values[i];
    feature->knots_count = (uint32_t)(different < IG_ENCODER_KNOTS ? different : IG_ENCODER_KNOTS);
    for (uint32_t k = 0; k < feature->knots_count; k++)
        feature->knots[k] =
            values[feature->knots_count > 1 ? k * (different - 1) / (feature->knots_count - 1) : 0];
    if (different && !isfinite(values[different - 1] - values[0])) feature->knots_count = 0;
    ig_free(values);
    return IG_OK;
}

static uint32_t columns_of(const struct ig_encoder_feature *feature)
{
    return feature->categories ? feature->categories : feature->knots_count > 1 ? 2 : 1;
}

uint32_t ig_encoder_columns(const struct ig_encoder_feature *feature)
{
    return columns_of(feature) + feature->missing;
}

enum ig_code ig_encoder_fit(struct ig_encoder *encoder, struct ig_arena *arena,
                            const struct ig_encoder_rows *rows, struct ig_err *err)
{
    struct ig_encoder made = {.features_count = rows->features_count};
    uint64_t inputs = 0;
    if (rows->features_count == 0) return ig_fail(err, IG_INVALID, "no features");
    made.features = ig_arena_array(arena, rows->features_count, sizeof *made.features);
    if (!made.features) return ig_fail(err, IG_NO_MEMORY, "%u features", rows->features_count);
    for (uint32_t i = 0; i < rows->features_count; i++) {
        struct ig_encoder_feature *feature = &made.features[i];
        feature->categories = rows->categories ? rows->categories[i] : 0;
        feature->first = (uint32_t)inputs;
        if (fit_feature(feature, rows, i, err)) return ig_err_code(err);
        if (rows->ranks && !feature->categories && fit_ranks(feature, rows, i, err))
            return ig_err_code(err);
        inputs += ig_encoder_columns(feature);
        if (inputs > IG_ENCODER_INPUTS_MAX)
            return ig_fail(err, IG_UNSUPPORTED, "feature %u: more than %d inputs", i,
                           IG_ENCODER_INPUTS_MAX);
    }
    made.inputs_count = (uint32_t)inputs;
    *encoder = made;
    return IG_OK;
}

static float rank(const struct ig_encoder_feature *feature, float value)
{
    uint32_t last = feature->knots_count - 1, k = 0;
    if (value <= feature->knots[0]) return -1;
    if (value >= feature->knots[last]) return 1;
    while (value >= feature->knots[k + 1]) k++;
    float part = (value - feature->knots[k]) / (feature->knots[k + 1] - feature->knots[k]);
    return 2 * ((float)k + part) / (float)last - 1;
}

static void run_feature(const struct ig_encoder_feature *feature, float value, float *inputs)
{
    uint32_t columns = columns_of(feature);
    bool missing = is_missing(feature, value);
    memset(inputs, 0, (columns + feature->missing) * sizeof *inputs);
    if (missing && feature->missing) inputs[columns] = 1;
    if (missing) return;
    if (feature->categories) {
        if (value < (float)feature->categories) inputs[(uint32_t)value] = 1;
        return;
    }
    inputs[0] = fminf(fmaxf((value - feature->mean) / feature->deviation, -CLIP), CLIP);
    if (columns == 2) inputs[1] = rank(feature, value);
}

void ig_encoder_run(const struct ig_encoder *encoder, const double *rows, size_t rows_count,
                    float *inputs)
{
    for (size_t i = 0; i < rows_count; i++) {
        float *row = inputs + i * encoder->inputs_count;
        for (uint32_t f = 0; f < encoder->features_count; f++)
            run_feature(&encoder->features[f], (float)rows[i * encoder->features_count + f],
                        row + encoder->features[f].first);
        for (uint32_t k = 0; encoder->gains && k < encoder->inputs_count; k++)
            row[k] *= encoder->gains[k];
    }
}

enum ig_code ig_encoder_add_gains(struct ig_encoder *encoder, struct ig_arena *arena,
                                  const float *gains, struct ig_err *err)
{
    float *made = ig_arena_array(arena, encoder->inputs_count, sizeof *made);
    if (!made) return ig_fail(err, IG_NO_MEMORY, "gains of %u inputs", encoder->inputs_count);
    for (uint32_t k = 0; k < encoder->inputs_count; k++) {
        made[k] = gains[k] * (encoder->gains ? encoder->gains[k] : 1);
        if (!((double)made[k] >= IG_ENCODER_GAIN_LEAST && (double)made[k] <= IG_ENCODER_GAIN_MOST))
            return ig_fail(err, IG_INVALID, "input %u: its gain would be %g, expected %g to %g", k,
                           (double)made[k], IG_ENCODER_GAIN_LEAST, IG_ENCODER_GAIN_MOST);
    }
    encoder->gains = made;
    return IG_OK;
}
