/* SPDX-License-Identifier: Apache-2.0 */
/* Linear models against a background: a feature's Shapley value is what it adds for the row less
 * what it adds for the background in the mean, where a missing input adds nothing. */
#include "base/mem.h"
#include "kernels/explain/explain_priv.h"
#include "kernels/linear/linear.h"

#include <math.h>

static bool admits(const struct ig_engine *engine)
{
    return ig_engine_model(engine)->kind == IG_MODEL_LINEAR;
}

static size_t values_of(const struct ig_model *model)
{
    return (size_t)model->outputs_count * (model->features_count + (size_t)1);
}

/* state: the background's mean contributions by feature, base value last. */
static enum ig_code prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    const struct ig_background *background = spec->background;
    size_t values = values_of(model);
    double *mean = ig_zalloc_array(values, sizeof *mean);
    double *one = ig_zalloc_array(values, sizeof *one);
    if (!mean || !one) {
        ig_free(mean);
        ig_free(one);
        return ig_fail(err, IG_NO_MEMORY, "no memory for an explainer");
    }
    for (size_t i = 0; i < background->rows_count; i++) {
        double weight =
            background->weights ? background->weights[i] : 1 / (double)background->rows_count;
        ig_linear_contributions(model, background->rows + i * model->features_count, one);
        for (size_t k = 0; k < values; k++) mean[k] += weight * one[k];
    }
    ig_free(one);
    explain->state = mean;
    return IG_OK;
}

static void dispose(struct ig_explain *explain)
{
    ig_free(explain->state);
}

static size_t memory_bytes(const struct ig_explain *explain)
{
    return values_of(ig_engine_model(explain->engine)) * sizeof(double);
}

static void explain_row(const struct ig_explain *explain, const double *by_feature,
                        const double *margins, double *out, double *additivity)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    const double *mean = explain->state;
    uint32_t features = model->features_count, players = explain->players.count;
    for (uint32_t o = 0; o < model->outputs_count; o++, out += players + 1) {
        const double *own = by_feature + o * (features + (size_t)1);
        const double *other = mean + o * (features + (size_t)1);
        double base = other[features], sum = 0;
        for (uint32_t p = 0; p < players; p++) out[p] = 0;
        for (uint32_t f = 0; f < features; f++) {
            out[ig_player_of(&explain->players, f)] += own[f] - other[f];
            base += other[f];
        }
        for (uint32_t p = 0; p < players; p++) sum += out[p];
        out[players] = base;
        *additivity = fmax(*additivity, fabs(sum + base - margins[o]));
    }
}

static enum ig_code run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    size_t each = model->outputs_count * (explain->players.count + (size_t)1);
    double *out = ig_explain_contributions(explain, call);
    double *by_feature = out ? ig_explain_doubles(call, 1, values_of(model)) : NULL;
    if (!by_feature) return call->err->code;
    for (size_t i = 0; i < call->rows_count; i++) {
        ig_linear_contributions(model, call->rows + i * model->features_count, by_feature);
        explain_row(explain, by_feature, call->margins + i * model->outputs_count, out + i * each,
                    &call->notes[i].additivity);
    }
    return IG_OK;
}

const struct ig_explain_method ig_explain_method_LINEAR = {
    .admits = admits,
    .prepare = prepare,
    .dispose = dispose,
    .run = run,
    .memory_bytes = memory_bytes,
};
