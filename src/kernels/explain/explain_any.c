/* SPDX-License-Identifier: Apache-2.0 */
/* The methods for any model, row by row: exact enumeration, LeverageSHAP, permutations. The state
 * is a copy of the background. Their cost is that of the predictions they ask for. */
#include "base/mem.h"
#include "kernels/explain/any_shap.h"
#include "kernels/explain/explain_priv.h"

#include <math.h>
#include <string.h>

enum { ROW_ARENA_MAX = 1 << 28 };

static bool admits(const struct ig_engine *engine)
{
    (void)engine;
    return true;
}

static enum ig_any_shap_method method_of(const struct ig_explain *explain)
{
    if (explain->id == IG_EXPLAINER_EXACT) return IG_ANY_SHAP_EXACT;
    return explain->id == IG_EXPLAINER_LEVERAGE ? IG_ANY_SHAP_LEVERAGE : IG_ANY_SHAP_PERMUTATION;
}

static struct ig_predictor predictor_of(const struct ig_explain *explain)
{
    return explain->probability ? ig_predictor_response(explain->engine)
                                : ig_predictor_margin(explain->engine);
}

static enum ig_code prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    const struct ig_background *from = spec->background;
    size_t cells = from->rows_count * from->features_count, rows = from->rows_count;
    if (explain->id == IG_EXPLAINER_EXACT && explain->players.count > IG_ANY_SHAP_EXACT_PLAYERS)
        return ig_fail(err, IG_INVALID,
                       "method: exact takes at most %d features or groups, here are %u",
                       IG_ANY_SHAP_EXACT_PLAYERS, explain->players.count);
    if (explain->id == IG_EXPLAINER_LEVERAGE &&
        explain->players.count > IG_ANY_SHAP_LEVERAGE_PLAYERS)
        return ig_fail(err, IG_INVALID,
                       "method: leverage takes at most %d features or groups, here are %u",
                       IG_ANY_SHAP_LEVERAGE_PLAYERS, explain->players.count);
    struct ig_background *own = ig_zalloc(sizeof *own);
    double *copy = ig_zalloc_array(cells + rows, sizeof *copy);
    if (!own || !copy) {
        ig_free(own);
        ig_free(copy);
        return ig_fail(err, IG_NO_MEMORY, "no memory for a background of %zu rows", rows);
    }
    memcpy(copy, from->rows, cells * sizeof *copy);
    *own = (struct ig_background){copy, NULL, rows, from->features_count};
    if (from->weights) {
        memcpy(copy + cells, from->weights, rows * sizeof *copy);
        own->weights = copy + cells;
    }
    explain->state = own;
    return IG_OK;
}

static void dispose(struct ig_explain *explain)
{
    struct ig_background *own = explain->state;
    ig_free((void *)(uintptr_t)own->rows);
    ig_free(own);
}

static size_t memory_bytes(const struct ig_explain *explain)
{
    const struct ig_background *own = explain->state;
    return sizeof *own + own->rows_count * (own->features_count + (size_t)1) * sizeof(double);
}

static uint64_t evals_of(const struct ig_explain *explain, const struct ig_explain_options *options)
{
    enum ig_any_shap_method method = method_of(explain);
    if (options->samples && method != IG_ANY_SHAP_EXACT) return options->samples;
    return ig_any_shap_evals_default(method, explain->players.count);
}

static uint64_t cost_ns(const struct ig_explain *explain, size_t rows_count,
                        const struct ig_explain_options *options)
{
    const struct ig_background *own = explain->state;
    double rows = (double)evals_of(explain, options) * (double)own->rows_count;
    double row = (double)ig_engine_cost_ns(explain->engine, IG_ENGINE_MARGIN, 512) / 512;
    double made = row + own->features_count; /* a nanosecond to set a feature */
    double all = rows * made * (double)rows_count;
    return all < 1e18 ? (uint64_t)all + 1 : (uint64_t)1e18;
}

static const char *stop_text(enum ig_any_shap_stop stop)
{
    static const char *const TEXTS[] = {[IG_ANY_SHAP_ALL] = "",
                                        [IG_ANY_SHAP_EVALS] = "samples",
                                        [IG_ANY_SHAP_TARGET] = "target_se",
                                        [IG_ANY_SHAP_DEADLINE] = "budget_us"};
    return TEXTS[stop];
}

static void note(struct ig_explain_note *note, const struct ig_any_shap_result *result,
                 const struct ig_explain *explain, uint64_t seed)
{
    size_t players = explain->players.count;
    note->exact = result->stop == IG_ANY_SHAP_ALL;
    note->seed = note->exact ? 0 : seed;
    note->samples = result->evals;
    note->stopped = stop_text(result->stop);
    note->quantile = result->quantile;
    for (uint32_t v = 0; v < explain->values_count; v++) {
        double sum = 0;
        for (size_t p = 0; p <= players; p++) sum += result->contributions[v * (players + 1) + p];
        note->additivity = fmax(note->additivity, fabs(sum - result->value[v]));
    }
}

struct arrays {
    double *contributions, *se;
};

/* Each row in an arena of its own, which is forgotten after it. */
static enum ig_code run_row(const struct ig_explain *explain, const struct ig_explain_call *call,
                            size_t row, struct ig_arena *arena, const struct arrays *out)
{
    const struct ig_predictor predictor = predictor_of(explain);
    size_t each = (size_t)explain->values_count * (explain->players.count + (size_t)1);
    struct ig_any_shap_options options = {.method = method_of(explain),
                                          .players = &explain->players,
                                          .seed = ig_explain_seed(explain, call, row),
                                          .evals_max = call->options->samples,
                                          .target_se = call->options->target_se,
                                          .deadline_ns = call->options->deadline_ns};
    const struct ig_any_shap_input input = {&predictor, explain->state,
                                            call->rows + row * predictor.features_count};
    struct ig_any_shap_result result;
    if (ig_any_shap_run(&result, &input, &options, arena, call->err) != IG_OK)
        return call->err->code;
    memcpy(out->contributions + row * each, result.contributions, each * sizeof(double));
    memcpy(out->se + row * each, result.se, each * sizeof(double));
    note(&call->notes[row], &result, explain, options.seed);
    return IG_OK;
}

static enum ig_code run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    size_t each = (size_t)explain->values_count * (explain->players.count + (size_t)1);
    struct arrays out = {.contributions = ig_explain_contributions(explain, call)};
    struct ig_arena arena;
    if (out.contributions) out.se = ig_explain_doubles(call, call->rows_count, each);
    if (!out.se) return call->err->code;
    if (explain->id != IG_EXPLAINER_EXACT) call->out->se = out.se;
    ig_arena_init(&arena, 1 << 16, ROW_ARENA_MAX);
    for (size_t i = 0; call->err->code == IG_OK && i < call->rows_count; i++) {
        run_row(explain, call, i, &arena, &out);
        ig_arena_reset(&arena);
    }
    ig_arena_deinit(&arena);
    return call->err->code;
}

#define METHOD(id)                                                                                 \
    const struct ig_explain_method ig_explain_method_##id = {.admits = admits,                     \
                                                             .prepare = prepare,                   \
                                                             .dispose = dispose,                   \
                                                             .run = run,                           \
                                                             .memory_bytes = memory_bytes,         \
                                                             .cost_ns = cost_ns}
METHOD(EXACT);
METHOD(LEVERAGE);
METHOD(PERMUTATION);
