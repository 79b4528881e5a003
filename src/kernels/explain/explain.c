/* SPDX-License-Identifier: Apache-2.0 */
/* The face of all explanation methods: checks what a method takes, keeps copies of players,
 * measures costs, and hands over. The methods stand in explain_*.c, one table of functions each.
 * Immutable after `new`. */
#include "kernels/explain/explain.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/mem.h"
#include "kernels/explain/explain_priv.h"

#include <math.h>
#include <string.h>

enum { ALIGNMENT = 64, TRIAL_ROWS = 16, TRIAL_ARENA_MAX = 1 << 28, LONG_NS = 2000000 };

static const struct ig_explain_method *const METHODS[IG_EXPLAINERS_COUNT] = {
#define IG_EXPLAINER(id, name, form, flags, doc) [IG_EXPLAINER_##id] = &ig_explain_method_##id,
#include "kernels/explainers.def"
#undef IG_EXPLAINER
};

/* What makes use of a model's inside, and is a weighted mean over the members of an ensemble whose
 * margin is one. */
static bool is_by_members(const struct ig_engine *engine, enum ig_explainer method)
{
    enum ig_explain_form form = ig_explainer_form(method);
    return ig_engine_composite(engine) && method != IG_EXPLAINER_EXACT &&
           method != IG_EXPLAINER_LEVERAGE && method != IG_EXPLAINER_PERMUTATION &&
           (form == IG_EXPLAIN_ADDITIVE || form == IG_EXPLAIN_INTERACTIONS);
}

static const struct ig_explain_method *method_of(const struct ig_engine *engine,
                                                 enum ig_explainer method)
{
    return is_by_members(engine, method) ? &ig_explain_by_members : METHODS[method];
}

bool ig_explain_admits(const struct ig_engine *engine, enum ig_explainer method)
{
    if (is_by_members(engine, method)) return ig_explain_members_admit(engine, method);
    return METHODS[method]->admits(engine);
}

/* ---- preparing ---- */

static enum ig_code check_spec(const struct ig_engine *engine, const struct ig_explain_spec *spec,
                               struct ig_err *err)
{
    const char *name = ig_explainer_name(spec->method);
    const struct ig_model *model = ig_engine_model(engine);
    if (!ig_explain_admits(engine, spec->method))
        return ig_fail(err, IG_UNSUPPORTED,
                       "method: %s does not explain this kind of model; exact, leverage, "
                       "permutation and lime take any, with a background",
                       name);
    if (ig_explainer_needs_background(spec->method) && !spec->background)
        return ig_fail(err, IG_INVALID, "background: method %s needs one", name);
    if (spec->background && spec->background->features_count != model->features_count)
        return ig_fail(err, IG_INVALID, "background: it has %u features, the model has %u",
                       spec->background->features_count, model->features_count);
    if (spec->players && spec->players->of_feature &&
        !ig_explainer_takes(spec->method, IG_EXPLAINER_GROUPS))
        return ig_fail(err, IG_INVALID, "groups: method %s takes none", name);
    if (spec->probability && !ig_explainer_takes(spec->method, IG_EXPLAINER_PROBABILITY))
        return ig_fail(err, IG_INVALID, "unit: method %s explains margins only", name);
    if (spec->probability && !ig_model_gives_probabilities(model))
        return ig_fail(err, IG_INVALID, "unit: this model gives no probabilities");
    return IG_OK;
}

static enum ig_code copy_players(struct ig_explain *explain, const struct ig_players *players,
                                 struct ig_err *err)
{
    uint32_t features = ig_engine_model(explain->engine)->features_count;
    explain->players.count = features;
    if (!players || !players->of_feature) return IG_OK;
    uint32_t *copy = ig_zalloc_array(features, sizeof *copy);
    if (!copy) return ig_fail(err, IG_NO_MEMORY, "no memory for %u players", players->count);
    memcpy(copy, players->of_feature, features * sizeof *copy);
    explain->players = (struct ig_players){copy, players->count};
    return IG_OK;
}

/* Nanoseconds a row; fails as a run does. */
static double time_trial(const struct ig_explain *explain, const double *rows, size_t count,
                         struct ig_arena *arena, struct ig_err *err)
{
    static const struct ig_explain_options OPTIONS = {.output = IG_EXPLAIN_PREDICTED};
    struct ig_clock_trial clock = {.long_ns = LONG_NS};
    while (ig_clock_trial(&clock)) {
        struct ig_explanations out;
        if (ig_explain_run(&out, explain, &(struct ig_explain_rows){rows, count}, &OPTIONS, arena,
                           err) != IG_OK)
            return 0;
        ig_arena_reset(arena);
    }
    return (double)clock.best_ns / (double)count;
}

/* On rows of the background, else on rows without values. */
static enum ig_code measure(struct ig_explain *explain, const struct ig_explain_spec *spec,
                            struct ig_err *err)
{
    size_t features = ig_engine_model(explain->engine)->features_count;
    const struct ig_background *background = spec->background;
    struct ig_arena arena;
    double *rows = ig_zalloc_array(TRIAL_ROWS * features + 1, sizeof *rows);
    if (!rows) return ig_fail(err, IG_NO_MEMORY, "no memory to measure an explainer");
    for (size_t i = 0; background && i < TRIAL_ROWS; i++)
        memcpy(rows + i * features, background->rows + i % background->rows_count * features,
               features * sizeof *rows);
    ig_arena_init(&arena, 1 << 16, TRIAL_ARENA_MAX);
    explain->one_ns = time_trial(explain, rows, 1, &arena, err);
    explain->batch_ns = explain->one_ns;
    if (err->code == IG_OK && explain->one_ns < LONG_NS)
        explain->batch_ns = time_trial(explain, rows, TRIAL_ROWS, &arena, err);
    ig_arena_deinit(&arena);
    ig_free(rows);
    return err->code;
}

enum ig_code ig_explain_new(struct ig_explain **out, const struct ig_engine *engine,
                            const struct ig_explain_spec *spec, struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(engine);
    if (check_spec(engine, spec, err) != IG_OK) return err->code;
    struct ig_explain *explain = ig_zalloc(sizeof *explain);
    if (!explain) return ig_fail(err, IG_NO_MEMORY, "no memory for an explainer");
    explain->engine = engine;
    explain->id = spec->method;
    explain->probability = spec->probability;
    explain->values_count = spec->probability ? model->predictions_count : model->outputs_count;
    const struct ig_explain_method *method = method_of(engine, spec->method);
    if (copy_players(explain, spec->players, err) == IG_OK &&
        method->prepare(explain, spec, err) == IG_OK) {
        explain->method = method;
        if (explain->method->cost_ns || measure(explain, spec, err) == IG_OK) {
            *out = explain;
            return IG_OK;
        }
    }
    ig_explain_free(explain);
    return err->code;
}

void ig_explain_free(struct ig_explain *explain)
{
    if (!explain) return;
    if (explain->method) explain->method->dispose(explain);
    ig_free((void *)(uintptr_t)explain->players.of_feature);
    ig_free(explain);
}

/* ---- what it is ---- */

enum ig_explainer ig_explain_method(const struct ig_explain *explain)
{
    return explain->id;
}

uint32_t ig_explain_players(const struct ig_explain *explain)
{
    return explain->players.count;
}

uint32_t ig_explain_values(const struct ig_explain *explain)
{
    return explain->values_count;
}

size_t ig_explain_memory_bytes(const struct ig_explain *explain)
{
    size_t players = explain->players.of_feature
                         ? ig_engine_model(explain->engine)->features_count * sizeof(uint32_t)
                         : 0;
    return sizeof *explain + players + explain->method->memory_bytes(explain);
}

const char *ig_explain_variant(const struct ig_explain *explain)
{
    return explain->method->variant ? explain->method->variant(explain) : "";
}

const char *ig_explain_unit(const struct ig_explain *explain)
{
    if (explain->method->unit) return explain->method->unit(explain);
    return explain->probability ? "probability" : "margin";
}

enum ig_explainer ig_explain_default(const struct ig_engine *engine, bool has_background)
{
    static const enum ig_explainer ORDER[] = {IG_EXPLAINER_TREE_INTERVENTIONAL, IG_EXPLAINER_LINEAR,
                                              IG_EXPLAINER_LEVERAGE};
    if (!has_background) return IG_EXPLAINER_TREE_PATH_DEPENDENT;
    size_t i = 0, last = sizeof ORDER / sizeof *ORDER - 1; /* the last takes any model */
    while (i < last && !ig_explain_admits(engine, ORDER[i])) i++;
    return ORDER[i];
}

uint64_t ig_explain_cost_ns(const struct ig_explain *explain, size_t rows_count,
                            const struct ig_explain_options *options)
{
    if (explain->method->cost_ns) return explain->method->cost_ns(explain, rows_count, options);
    double row = rows_count < TRIAL_ROWS ? explain->one_ns : explain->batch_ns;
    return (uint64_t)(row * (double)rows_count) + 1;
}

/* ---- running ---- */

double *ig_explain_doubles(const struct ig_explain_call *call, size_t rows, size_t each)
{
    size_t count, bytes;
    double *out = NULL;
    if (ig_mul(&count, rows, each) && ig_mul(&bytes, count, sizeof(double)))
        out = ig_arena_alloc(call->arena, bytes);
    if (!out) ig_fail(call->err, IG_NO_MEMORY, "explanation of %zu rows", rows);
    return out;
}

double *ig_explain_contributions(const struct ig_explain *explain,
                                 const struct ig_explain_call *call)
{
    size_t each = (size_t)explain->values_count * (explain->players.count + (size_t)1);
    double *out = ig_explain_doubles(call, call->rows_count, each);
    call->out->contributions = out;
    return out;
}

uint64_t ig_explain_seed(const struct ig_explain *explain, const struct ig_explain_call *call,
                         size_t row)
{
    static const unsigned char KEY[16] = "ingot explain 1";
    if (call->options->seed) return call->options->seed;
    size_t features = ig_engine_model(explain->engine)->features_count;
    uint64_t seed = ig_siphash(KEY, call->rows + row * features, features * sizeof(double));
    seed = (seed ^ explain->id) >> 11; /* a JSON number holds 53 bits */
    return seed ? seed : 1;
}

static enum ig_code find_margins(const struct ig_explain *explain, struct ig_explain_call *call)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    size_t bytes = ig_engine_scratch_bytes(explain->engine, IG_ENGINE_MARGIN, call->rows_count);
    double *margins = ig_explain_doubles(call, call->rows_count, model->outputs_count);
    void *scratch =
        margins ? ig_arena_alloc_aligned(call->arena, bytes + ALIGNMENT, ALIGNMENT) : NULL;
    if (!scratch)
        return ig_fail(call->err, IG_NO_MEMORY, "explanation of %zu rows", call->rows_count);
    ig_engine_margin(explain->engine, call->rows, call->rows_count, margins, scratch);
    call->margins = margins;
    return ig_engine_check(explain->engine, margins, call->rows_count * model->outputs_count,
                           call->err);
}

/* Rows that a foreign model failed to answer stand behind the values as well. */
static enum ig_code check_values(const struct ig_explain *explain,
                                 const struct ig_explanations *own, struct ig_err *err)
{
    size_t each = (size_t)own->values_count * (own->players_count + (size_t)1);
    if (!own->contributions) return IG_OK;
    return ig_engine_check(explain->engine, own->contributions, own->rows_count * each, err);
}

enum ig_code ig_explain_run(struct ig_explanations *out, const struct ig_explain *explain,
                            const struct ig_explain_rows *input,
                            const struct ig_explain_options *options, struct ig_arena *arena,
                            struct ig_err *err)
{
    const double *rows = input->rows;
    size_t rows_count = input->rows_count;
    struct ig_explanations own = {.form = ig_explainer_form(explain->id),
                                  .rows_count = rows_count,
                                  .players_count = explain->players.count,
                                  .values_count = explain->values_count};
    struct ig_explain_call call = {.out = &own,
                                   .rows = rows,
                                   .rows_count = rows_count,
                                   .options = options,
                                   .arena = arena,
                                   .err = err};
    call.notes = ig_arena_array(arena, rows_count, sizeof *call.notes);
    if (!call.notes) return ig_fail(err, IG_NO_MEMORY, "explanation of %zu rows", rows_count);
    if (find_margins(explain, &call) != IG_OK) return err->code;
    for (size_t i = 0; i < rows_count; i++)
        call.notes[i] = (struct ig_explain_note){.exact = true, .stopped = ""};
    own.margins = call.margins;
    own.notes = call.notes;
    enum ig_code code = explain->method->run(explain, &call);
    if (code == IG_OK) code = check_values(explain, &own, err);
    if (code == IG_OK) *out = own;
    return code;
}
