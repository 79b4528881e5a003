/* SPDX-License-Identifier: Apache-2.0 */
/* Counterfactuals, row by row: what is wanted is put in margins, the rest is the search's: over the
 * boxes of a tree ensemble, by predictions for any other model. */
#include "base/mem.h"
#include "kernels/composite.h"
#include "kernels/explain/counterfactual_any.h"
#include "kernels/explain/explain_priv.h"

#include <math.h>

enum {
    ALIGNMENT = 64,
    COST_NS = 5000000,
    PREDICTIONS = 20000
}; /* a first guess; searches have own limits */

/* One of the two. */
struct state {
    struct ig_counterfactual_space *space;
    struct ig_counterfactual_any *any;
    bool predicts; /* predictions are searched: an ensemble's mean of them is no function of its
                      margin */
};

static bool admits(const struct ig_engine *engine)
{
    (void)engine;
    return true;
}

static void dispose(struct ig_explain *explain)
{
    struct state *state = explain->state;
    if (!state) return;
    ig_counterfactual_space_free(state->space);
    ig_counterfactual_any_free(state->any);
    ig_free(state);
}

/* Trees whose boxes cannot be told apart are a model like any other. */
static enum ig_code prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    struct state *state = ig_zalloc(sizeof *state);
    struct ig_err own = IG_ERR_INIT;
    if (!state) return ig_fail(err, IG_NO_MEMORY, "no memory for counterfactuals");
    explain->state = state;
    if (ig_explain_admits_trees(explain->engine)) {
        ig_counterfactual_space_new(&state->space, explain->engine, spec->background,
                                    spec->categories, &own);
        if (own.code != IG_OK && own.code != IG_UNSUPPORTED) *err = own;
    }
    if (!state->space && err->code == IG_OK) {
        const struct ig_model *model = ig_engine_model(explain->engine);
        bool line = model->kind == IG_MODEL_LINEAR && model->outputs_count == 1;
        const struct ig_composite *ensemble = ig_engine_composite(explain->engine);
        state->predicts = ensemble && ig_composite_is_mean(ensemble) &&
                          model->predictions_count == model->outputs_count;
        const struct ig_counterfactual_any_spec any = {
            state->predicts ? ig_predictor_response(explain->engine)
                            : ig_predictor_margin(explain->engine),
            spec->background, spec->categorical, spec->categories, line ? model->weights : NULL};
        ig_counterfactual_any_new(&state->any, &any, err);
    }
    if (err->code != IG_OK) dispose(explain);
    return err->code;
}

static size_t memory_bytes(const struct ig_explain *explain)
{
    const struct state *state = explain->state;
    return state->space ? ig_counterfactual_space_memory_bytes(state->space)
                        : ig_counterfactual_any_memory_bytes(state->any);
}

static const char *variant(const struct ig_explain *explain)
{
    const struct state *state = explain->state;
    return state->space ? "" : "predictions";
}

/* The searched value of a prediction; an open end stays open. */
static enum ig_code value_of(double *margin, const struct ig_explain *explain, const char *what,
                             double value, struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    const struct state *state = explain->state;
    double a = model->transform_parameter;
    switch (state->predicts ? IG_TRANSFORM_IDENTITY : model->transform) {
    case IG_TRANSFORM_IDENTITY:
    case IG_TRANSFORM_PROBABILITY:
        *margin = value;
        return IG_OK;
    case IG_TRANSFORM_SIGMOID:
        *margin = log(value / (1 - value)) / a;
        if (value > 0 && value < 1) return IG_OK;
        return ig_fail(err, IG_INVALID, "%s: %g is no probability between 0 and 1", what, value);
    case IG_TRANSFORM_EXP:
        *margin = log(value);
        if (value > 0) return IG_OK;
        return ig_fail(err, IG_INVALID, "%s: %g, but predictions are above 0", what, value);
    default:
        return ig_fail(err, IG_INVALID,
                       "%s: predictions of this model (%s) have no margin of their own", what,
                       ig_transform_name(model->transform));
    }
}

static enum ig_code want_range(struct ig_counterfactual_options *out,
                               const struct ig_explain *explain,
                               const struct ig_counterfactual_ask *ask, struct ig_err *err)
{
    if (ig_engine_model(explain->engine)->outputs_count > 1)
        return ig_fail(err, IG_INVALID,
                       "wanted_class: of several outputs a class is wanted, not a range");
    out->low = -INFINITY;
    out->high = INFINITY;
    if (ask->has_low && value_of(&out->low, explain, "wanted_low", ask->low, err) != IG_OK)
        return err->code;
    if (ask->has_high && value_of(&out->high, explain, "wanted_high", ask->high, err) != IG_OK)
        return err->code;
    out->want = IG_COUNTERFACTUAL_RANGE;
    if (ask->has_low && ask->has_high && !(ask->low <= ask->high))
        return ig_fail(err, IG_INVALID, "wanted_low: %g is above wanted_high %g", ask->low,
                       ask->high);
    return IG_OK;
}

/* Where a single output's decision changes. */
static double border_of(const struct ig_explain *explain)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    const struct state *state = explain->state;
    bool probability = model->transform == IG_TRANSFORM_PROBABILITY ||
                       (state->predicts && ig_model_gives_probabilities(model));
    return probability ? 0.5 : 0;
}

/* Without a wish: another decision than the present one. `margins` are the searched values. */
static enum ig_code want(struct ig_counterfactual_options *out, const struct ig_explain *explain,
                         const double *margins, const struct ig_counterfactual_ask *ask,
                         struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    uint32_t outputs = model->outputs_count, best = 0, second = IG_EXPLAIN_PREDICTED;
    double border = border_of(explain);
    if (ask->has_low || ask->has_high) return want_range(out, explain, ask, err);
    if (outputs == 1) {
        bool decides = ask->decides || ask->class != IG_EXPLAIN_PREDICTED;
        bool up = ask->class == IG_EXPLAIN_PREDICTED ? !(margins[0] > border) : ask->class == 1;
        if (!decides)
            return ig_fail(
                err, IG_INVALID,
                "wanted_low: a number is predicted; say from or up to where it is wanted");
        if (ask->class != IG_EXPLAIN_PREDICTED && ask->class > 1)
            return ig_fail(err, IG_INVALID, "wanted_class: there is no class %u", ask->class);
        out->want = up ? IG_COUNTERFACTUAL_ABOVE : IG_COUNTERFACTUAL_BELOW;
        out->low = out->high = border;
        return IG_OK;
    }
    for (uint32_t o = 1; o < outputs; o++)
        if (margins[o] > margins[best]) best = o;
    for (uint32_t o = 0; o < outputs; o++)
        if (o != best && (second == IG_EXPLAIN_PREDICTED || margins[o] > margins[second]))
            second = o;
    out->want = IG_COUNTERFACTUAL_CLASS;
    out->output = ask->class == IG_EXPLAIN_PREDICTED ? second : ask->class;
    return IG_OK;
}

/* What the model says of `rows_count` rows, margins and predictions. */
static enum ig_code score(struct ig_engine_scores *out, const struct ig_explain *explain,
                          const struct ig_explain_call *call, const double *rows, size_t rows_count)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    size_t bytes = ig_engine_scratch_bytes(explain->engine, IG_ENGINE_MARGIN, rows_count);
    *out = (struct ig_engine_scores){
        .margins = ig_explain_doubles(call, rows_count, model->outputs_count),
        .predictions = ig_explain_doubles(call, rows_count, model->predictions_count)};
    void *scratch = ig_arena_alloc_aligned(call->arena, bytes + ALIGNMENT, ALIGNMENT);
    if (!out->margins || !out->predictions || !scratch)
        return ig_fail(call->err, IG_NO_MEMORY, "counterfactuals");
    ig_engine_predict(explain->engine, rows, rows_count, *out, scratch);
    return ig_engine_check(explain->engine, out->margins, rows_count * model->outputs_count,
                           call->err);
}

/* Each alternative with the model's own answer to it. */
static enum ig_code answer_items(struct ig_counterfactual_result *result,
                                 const struct ig_explain *explain,
                                 const struct ig_explain_call *call)
{
    struct ig_engine_scores scores;
    struct ig_counterfactual *items =
        ig_arena_array(call->arena, result->count + (size_t)1, sizeof *items);
    if (!items) return ig_fail(call->err, IG_NO_MEMORY, "counterfactuals");
    for (uint32_t i = 0; i < result->count; i++) {
        items[i] = result->items[i];
        if (score(&scores, explain, call, items[i].row, 1) != IG_OK) return call->err->code;
        items[i].margins = scores.margins;
        items[i].predictions = scores.predictions;
    }
    result->items = items;
    return IG_OK;
}

static enum ig_code run_row(const struct ig_explain *explain, const struct ig_explain_call *call,
                            size_t row, const struct ig_counterfactual_options *options,
                            struct ig_counterfactual_result *out)
{
    const struct state *state = explain->state;
    const double *values =
        call->rows + row * (size_t)ig_engine_model(explain->engine)->features_count;
    struct ig_explain_note *note = &call->notes[row];
    if (state->space)
        ig_counterfactual_run(out, state->space, values, options, call->arena, call->err);
    else
        ig_counterfactual_any_run(out, state->any, values, options, call->arena, call->err);
    note->output = options->output;
    note->samples = out->boxes;
    if (call->err->code == IG_OK) answer_items(out, explain, call);
    if (!state->any) return call->err->code;
    note->seed = options->seed;
    note->exact = out->is_there_already || out->none;
    for (uint32_t i = 0; i < out->count; i++)
        note->exact = (i == 0 || note->exact) && out->items[i].is_nearest;
    return call->err->code;
}

static enum ig_code run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    static const struct ig_counterfactual_ask DEFAULT = {.class = IG_EXPLAIN_PREDICTED,
                                                         .decides = true};
    const struct ig_model *model = ig_engine_model(explain->engine);
    const struct ig_counterfactual_ask *ask =
        call->options->counterfactual ? call->options->counterfactual : &DEFAULT;
    struct ig_counterfactual_result *results =
        ig_arena_array(call->arena, call->rows_count, sizeof *results);
    const struct state *state = explain->state;
    struct ig_engine_scores scores = {.margins = NULL};
    if (!results) return ig_fail(call->err, IG_NO_MEMORY, "counterfactuals");
    if (state->predicts && score(&scores, explain, call, call->rows, call->rows_count) != IG_OK)
        return call->err->code;
    const double *values = state->predicts ? scores.predictions : call->margins;
    for (size_t i = 0; i < call->rows_count; i++) {
        struct ig_counterfactual_options options = {.constraints = ask->constraints,
                                                    .price = ask->price,
                                                    .changes_max = ask->changes_max,
                                                    .count = ask->count,
                                                    .boxes_max = call->options->samples,
                                                    .deadline_ns = call->options->deadline_ns,
                                                    .seed = ig_explain_seed(explain, call, i)};
        if (want(&options, explain, values + i * model->outputs_count, ask, call->err) != IG_OK ||
            run_row(explain, call, i, &options, &results[i]) != IG_OK)
            return call->err->code;
    }
    call->out->counterfactuals = results;
    return IG_OK;
}

static uint64_t cost_ns(const struct ig_explain *explain, size_t rows_count,
                        const struct ig_explain_options *options)
{
    const struct state *state = explain->state;
    double each = COST_NS;
    double asked = options->samples ? (double)options->samples : PREDICTIONS;
    if (state->any)
        each = asked * (double)ig_engine_cost_ns(explain->engine, IG_ENGINE_MARGIN, 64) / 64;
    each *= (double)rows_count;
    return each < 1e18 ? (uint64_t)each + 1 : (uint64_t)1e18;
}

const struct ig_explain_method ig_explain_method_COUNTERFACTUAL = {
    .admits = admits,
    .prepare = prepare,
    .dispose = dispose,
    .run = run,
    .memory_bytes = memory_bytes,
    .variant = variant,
    .cost_ns = cost_ns,
};
