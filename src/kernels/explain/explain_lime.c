/* SPDX-License-Identifier: Apache-2.0 */
/* LIME, sampled and exact, row by row. The state owns the space, and for exact LIME the leaves'
 * tables; a row's samples live in an arena of their own, only its surrogate stays. */
#include "base/mem.h"
#include "kernels/explain/explain_priv.h"
#include "kernels/explain/lime_exact.h"

#include <string.h>

enum { ROW_ARENA_MAX = 1 << 30 };

struct lime {
    struct ig_lime_space *space;
    struct ig_lime_exact *exact; /* NULL: sampled */
};

static bool admits_any(const struct ig_engine *engine)
{
    (void)engine;
    return true;
}

static void dispose(struct ig_explain *explain)
{
    struct lime *lime = explain->state;
    ig_lime_exact_free(lime->exact);
    ig_lime_space_free(lime->space);
    ig_free(lime);
}

static enum ig_code prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    struct lime *lime = ig_zalloc(sizeof *lime);
    if (!lime) return ig_fail(err, IG_NO_MEMORY, "no memory for an explainer");
    explain->state = lime;
    if (ig_lime_space_new(&lime->space, spec->background, spec->categorical, err) == IG_OK &&
        explain->id == IG_EXPLAINER_LIME_EXACT)
        ig_lime_exact_new(&lime->exact, model, lime->space, spec->memory_max_bytes, err);
    if (err->code != IG_OK) dispose(explain);
    return err->code;
}

static size_t memory_bytes(const struct ig_explain *explain)
{
    const struct lime *lime = explain->state;
    size_t exact = lime->exact ? ig_lime_exact_memory_bytes(lime->exact) : 0;
    return sizeof *lime + ig_lime_space_memory_bytes(lime->space) + exact;
}

/* The output asked for, or that of the greatest margin. */
static uint32_t output_of(const struct ig_explain *explain, const struct ig_explain_call *call,
                          size_t row)
{
    uint32_t outputs = ig_engine_model(explain->engine)->outputs_count, best = 0;
    const double *margins = call->margins + row * outputs;
    if (call->options->output != IG_EXPLAIN_PREDICTED) return call->options->output;
    if (explain->values_count != outputs) return 0;
    for (uint32_t o = 1; o < outputs; o++)
        if (margins[o] > margins[best]) best = o;
    return best;
}

static void *keep(struct ig_arena *arena, const void *from, size_t count, size_t each)
{
    void *to = ig_arena_array(arena, count, each);
    if (to && count) memcpy(to, from, count * each);
    return to;
}

static enum ig_code keep_result(struct ig_lime_result *out, const struct ig_lime_result *from,
                                const struct ig_explain_call *call)
{
    struct ig_lime_result own = *from;
    own.features = keep(call->arena, from->features, from->count, sizeof *from->features);
    own.coefficients = keep(call->arena, from->coefficients, from->count, sizeof(double));
    own.se = keep(call->arena, from->se, from->count, sizeof(double));
    own.low = keep(call->arena, from->low, from->count, sizeof(double));
    own.high = keep(call->arena, from->high, from->count, sizeof(double));
    if (call->arena->overflowed) return ig_fail(call->err, IG_NO_MEMORY, "surrogates");
    *out = own;
    return IG_OK;
}

static enum ig_code run_row(const struct ig_explain *explain, const struct ig_explain_call *call,
                            size_t row, struct ig_arena *arena, struct ig_lime_result *out)
{
    const struct lime *lime = explain->state;
    const struct ig_model *model = ig_engine_model(explain->engine);
    const double *values = call->rows + row * model->features_count;
    struct ig_explain_note *note = &call->notes[row];
    struct ig_lime_options options = {.seed = ig_explain_seed(explain, call, row),
                                      .samples = call->options->samples,
                                      .features = call->options->features,
                                      .value = output_of(explain, call, row)};
    note->output = options.value;
    if (lime->exact) {
        bool known = options.value < model->outputs_count;
        const struct ig_lime_exact_input input = {
            values, known ? call->margins[row * model->outputs_count + options.value] : 0};
        return ig_lime_exact_run(out, lime->exact, &input, &options, arena, call->err);
    }
    const struct ig_predictor predictor = explain->probability
                                              ? ig_predictor_response(explain->engine)
                                              : ig_predictor_margin(explain->engine);
    const struct ig_lime_input input = {lime->space, &predictor, values};
    if (ig_lime_run(out, &input, &options, arena, call->err) != IG_OK) return call->err->code;
    note->exact = false;
    note->seed = options.seed;
    note->samples = out->samples;
    note->stopped = "samples";
    note->quantile = 1.959964;
    return IG_OK;
}

static enum ig_code run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    struct ig_arena arena;
    struct ig_lime_result *results = ig_arena_array(call->arena, call->rows_count, sizeof *results);
    if (!results) return ig_fail(call->err, IG_NO_MEMORY, "surrogates");
    ig_arena_init(&arena, 1 << 16, ROW_ARENA_MAX);
    for (size_t i = 0; call->err->code == IG_OK && i < call->rows_count; i++) {
        struct ig_lime_result result;
        if (run_row(explain, call, i, &arena, &result) == IG_OK)
            keep_result(&results[i], &result, call);
        ig_arena_reset(&arena);
    }
    ig_arena_deinit(&arena);
    call->out->surrogates = results;
    return call->err->code;
}

const struct ig_explain_method ig_explain_method_LIME = {
    .admits = admits_any,
    .prepare = prepare,
    .dispose = dispose,
    .run = run,
    .memory_bytes = memory_bytes,
};

const struct ig_explain_method ig_explain_method_LIME_EXACT = {
    .admits = ig_explain_admits_trees,
    .prepare = prepare,
    .dispose = dispose,
    .run = run,
    .memory_bytes = memory_bytes,
};
