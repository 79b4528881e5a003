/* SPDX-License-Identifier: Apache-2.0 */
/* One-hot, scaling and missing values of tables. Owns nothing. */
#include "kernels/train/encoder.h"

#include <math.h>

static const double CLIP = 5;

static bool is_missing(const struct ig_encoder_feature *feature, double value)
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
        if (is_missing(feature, value)) {
            feature->missing = true;
            continue;
        }
        if (isinf(value))
            return ig_fail(err, IG_INVALID, "feature %u: row %zu is %g", at, i, value);
        count++;
        double before = value - sum; /* sum is the running mean: Welford 1962 */
        sum += before / (double)count;
        squares += before * (value - sum);
    }
    feature->mean = sum;
    feature->deviation = count ? sqrt(squares / (double)count) : 0;
    if (!(feature->deviation > 0)) feature->deviation = 1;
    return IG_OK;
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
        inputs += (feature->categories ? (uint64_t)feature->categories : 1) + feature->missing;
        if (inputs > IG_ENCODER_INPUTS_MAX)
            return ig_fail(err, IG_UNSUPPORTED, "feature %u: more than %d inputs", i,
                           IG_ENCODER_INPUTS_MAX);
    }
    made.inputs_count = (uint32_t)inputs;
    *encoder = made;
    return IG_OK;
}

static void run_feature(const struct ig_encoder_feature *feature, double value, float *inputs)
{
    uint32_t columns = feature->categories ? feature->categories : 1;
    bool missing = is_missing(feature, value);
    memset(inputs, 0, (columns + feature->missing) * sizeof *inputs);
    if (missing && feature->missing) inputs[columns] = 1;
    if (missing) return;
    if (feature->categories) {
        if (value < feature->categories) inputs[(uint32_t)value] = 1;
        return;
    }
    inputs[0] = (float)fmin(fmax((value - feature->mean) / feature->deviation, -CLIP), CLIP);
}

void ig_encoder_run(const struct ig_encoder *encoder, const double *rows, size_t rows_count,
                    float *inputs)
{
    for (size_t i = 0; i < rows_count; i++)
        for (uint32_t f = 0; f < encoder->features_count; f++)
            run_feature(&encoder->features[f], rows[i * encoder->features_count + f],
                        inputs + i * encoder->inputs_count + encoder->features[f].first);
}
