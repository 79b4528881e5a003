/* SPDX-License-Identifier: Apache-2.0 */
/* Counterfactuals, row by row: what is wanted is put in margins, the rest is the search's. */
#include "base/mem.h"
#include "kernels/explain/explain_priv.h"

#include <math.h>

enum { COST_NS = 5000000 }; /* a first guess; the search has a limit of its own */

static void dispose(struct ig_explain *explain)
{
    ig_counterfactual_space_free(explain->state);
}

static enum ig_code prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    struct ig_counterfactual_space *space = NULL;
    ig_counterfactual_space_new(&space, explain->engine, spec->background, spec->categories, err);
    explain->state = space;
    return err->code;
}

static size_t memory_bytes(const struct ig_explain *explain)
{
    return ig_counterfactual_space_memory_bytes(explain->state);
}

/* The margin of a prediction; an open end stays open. */
static enum ig_code margin_of(double *margin, const struct ig_model *model, const char *what,
                              double value, struct ig_err *err)
{
    double a = model->transform_parameter;
    switch (model->transform) {
    case IG_TRANSFORM_IDENTITY:
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

static enum ig_code want_range(struct ig_counterfactual_options *out, const struct ig_model *model,
                               const struct ig_counterfactual_ask *ask, struct ig_err *err)
{
    if (model->outputs_count > 1)
        return ig_fail(err, IG_INVALID,
                       "wanted_class: of several outputs a class is wanted, not a range");
    out->low = -INFINITY;
    out->high = INFINITY;
    if (ask->has_low && margin_of(&out->low, model, "wanted_low", ask->low, err) != IG_OK)
        return err->code;
    if (ask->has_high && margin_of(&out->high, model, "wanted_high", ask->high, err) != IG_OK)
        return err->code;
    out->want = IG_COUNTERFACTUAL_RANGE;
    if (ask->has_low && ask->has_high && !(ask->low <= ask->high))
        return ig_fail(err, IG_INVALID, "wanted_low: %g is above wanted_high %g", ask->low,
                       ask->high);
    return IG_OK;
}

/* Without a wish: another decision than the present one. */
static enum ig_code want(struct ig_counterfactual_options *out, const struct ig_explain *explain,
                         const double *margins, const struct ig_counterfactual_ask *ask,
                         struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    uint32_t outputs = model->outputs_count, best = 0, second = IG_EXPLAIN_PREDICTED;
    if (ask->has_low || ask->has_high) return want_range(out, model, ask, err);
    if (outputs == 1) {
        bool decides = ask->decides || ask->class != IG_EXPLAIN_PREDICTED;
        bool up = ask->class == IG_EXPLAIN_PREDICTED ? !(margins[0] > 0) : ask->class == 1;
        if (!decides)
            return ig_fail(
                err, IG_INVALID,
                "wanted_low: a number is predicted; say from or up to where it is wanted");
        if (ask->class != IG_EXPLAIN_PREDICTED && ask->class > 1)
            return ig_fail(err, IG_INVALID, "wanted_class: there is no class %u", ask->class);
        out->want = up ? IG_COUNTERFACTUAL_ABOVE : IG_COUNTERFACTUAL_BELOW;
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

static enum ig_code run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    static const struct ig_counterfactual_ask DEFAULT = {.class = IG_EXPLAIN_PREDICTED,
                                                         .decides = true};
    const struct ig_model *model = ig_engine_model(explain->engine);
    const struct ig_counterfactual_ask *ask =
        call->options->counterfactual ? call->options->counterfactual : &DEFAULT;
    struct ig_counterfactual_result *results =
        ig_arena_array(call->arena, call->rows_count, sizeof *results);
    if (!results) return ig_fail(call->err, IG_NO_MEMORY, "counterfactuals");
    for (size_t i = 0; i < call->rows_count; i++) {
        struct ig_counterfactual_options options = {.constraints = ask->constraints,
                                                    .price = ask->price,
                                                    .changes_max = ask->changes_max,
                                                    .count = ask->count,
                                                    .boxes_max = call->options->samples,
                                                    .deadline_ns = call->options->deadline_ns};
        if (want(&options, explain, call->margins + i * model->outputs_count, ask, call->err) !=
                IG_OK ||
            ig_counterfactual_run(&results[i], explain->state,
                                  call->rows + i * model->features_count, &options, call->arena,
                                  call->err) != IG_OK)
            return call->err->code;
        call->notes[i].output = options.output;
        call->notes[i].samples = results[i].boxes;
    }
    call->out->counterfactuals = results;
    return IG_OK;
}

static uint64_t cost_ns(const struct ig_explain *explain, size_t rows_count,
                        const struct ig_explain_options *options)
{
    (void)explain;
    (void)options;
    return rows_count * (uint64_t)COST_NS;
}

const struct ig_explain_method ig_explain_method_COUNTERFACTUAL = {
    .admits = ig_explain_admits_trees,
    .prepare = prepare,
    .dispose = dispose,
    .run = run,
    .memory_bytes = memory_bytes,
    .cost_ns = cost_ns,
};
