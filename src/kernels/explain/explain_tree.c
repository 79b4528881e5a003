/* SPDX-License-Identifier: Apache-2.0 */
/* Methods that read a tree ensemble's own structure. Path-dependent values of a model without
 * groups are those that its engine has prepared already. */
#include "base/mem.h"
#include "kernels/explain/explain_priv.h"
#include "kernels/predictor.h"
#include "kernels/tree/tree_interventional.h"
#include "kernels/tree/tree_saabas.h"
#include "kernels/tree/tree_shap.h"

#include <math.h>

enum { ALIGNMENT = 64 };

static void *scratch_of(const struct ig_explain_call *call, size_t bytes)
{
    void *scratch = ig_arena_alloc_aligned(call->arena, bytes + ALIGNMENT, ALIGNMENT);
    if (!scratch) ig_fail(call->err, IG_NO_MEMORY, "explanation of %zu rows", call->rows_count);
    return scratch;
}

static void note_additivity(const struct ig_explain_call *call, const double *additivity)
{
    for (size_t i = 0; i < call->rows_count; i++) call->notes[i].additivity = additivity[i];
}

/* ---- path-dependent ---- */

static bool path_admits(const struct ig_engine *engine)
{
    return ig_engine_explains(engine);
}

static enum ig_code path_prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                                 struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    (void)spec;
    if (!explain->players.of_feature || model->kind != IG_MODEL_TREES) return IG_OK;
    return ig_tree_shap_new_grouped((struct ig_tree_shap **)&explain->state, model,
                                    &explain->players, ig_cpu_isa(), err);
}

static void path_dispose(struct ig_explain *explain)
{
    ig_tree_shap_free(explain->state);
}

static size_t path_memory(const struct ig_explain *explain)
{
    return explain->state ? ig_tree_shap_memory_bytes(explain->state) : 0;
}

/* Contributions by feature added up by player; base values stay last. */
static void add_up(const struct ig_explain *explain, const double *from, double *to, size_t blocks)
{
    uint32_t features = ig_engine_model(explain->engine)->features_count;
    uint32_t players = explain->players.count;
    for (size_t b = 0; b < blocks; b++, from += features + 1, to += players + 1) {
        for (uint32_t p = 0; p < players; p++) to[p] = 0;
        for (uint32_t f = 0; f < features; f++) to[ig_player_of(&explain->players, f)] += from[f];
        to[players] = from[features];
    }
}

static enum ig_code path_by_engine(const struct ig_explain *explain,
                                   const struct ig_explain_call *call, double *contributions,
                                   double *additivity)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    bool grouped = explain->players.of_feature != NULL; /* of a linear model: simply sums */
    size_t blocks = call->rows_count * model->outputs_count;
    size_t bytes =
        ig_engine_scratch_bytes(explain->engine, IG_ENGINE_CONTRIBUTIONS, call->rows_count);
    void *scratch = scratch_of(call, bytes);
    double *own = contributions;
    if (grouped) own = ig_explain_doubles(call, blocks, model->features_count + (size_t)1);
    if (!scratch || !own) return call->err->code;
    const struct ig_engine_io io = {call->rows, call->rows_count, own, additivity, NULL};
    ig_engine_explain(explain->engine, &io, scratch);
    if (grouped) add_up(explain, own, contributions, blocks);
    return IG_OK;
}

static enum ig_code path_run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    double *contributions = ig_explain_contributions(explain, call);
    double *additivity = contributions ? ig_explain_doubles(call, call->rows_count, 1) : NULL;
    if (!additivity) return call->err->code;
    if (explain->state) {
        void *scratch =
            scratch_of(call, ig_tree_shap_scratch_bytes(explain->state, call->rows_count));
        if (!scratch) return call->err->code;
        const struct ig_tree_shap_io io = {call->rows, call->rows_count, call->margins,
                                           contributions, additivity};
        ig_tree_shap_run(explain->state, &io, scratch);
    } else if (path_by_engine(explain, call, contributions, additivity) != IG_OK) {
        return call->err->code;
    }
    note_additivity(call, additivity);
    return IG_OK;
}

const struct ig_explain_method ig_explain_method_TREE_PATH_DEPENDENT = {
    .admits = path_admits,
    .prepare = path_prepare,
    .dispose = path_dispose,
    .run = path_run,
    .memory_bytes = path_memory,
};

/* ---- interventional ---- */

struct interventional {
    struct ig_tree_interventional *tables;
    double *mean_response; /* predictions_count: of the background; NULL: margins are explained */
};

bool ig_explain_admits_trees(const struct ig_engine *engine)
{
    const struct ig_model *model = ig_engine_model(engine);
    for (uint32_t i = 0; model->linear_leaves && i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        bool linear = node->op == IG_NODE_LEAF && node->extra != IG_MODEL_NONE;
        if (linear && model->linear[node->extra].count > 0) return false;
    }
    return model->kind == IG_MODEL_TREES;
}

static void interventional_dispose(struct ig_explain *explain)
{
    struct interventional *own = explain->state;
    ig_tree_interventional_free(own->tables);
    ig_free(own->mean_response);
    ig_free(own);
}

/* The mean prediction over the background: what probabilities are measured from. */
static enum ig_code find_mean_response(struct interventional *own, const struct ig_explain *explain,
                                       const struct ig_background *background, struct ig_err *err)
{
    const struct ig_predictor predictor = ig_predictor_response(explain->engine);
    size_t bytes = predictor.scratch_bytes(&predictor, 1) + ALIGNMENT;
    void *scratch = ig_alloc_aligned(ALIGNMENT, bytes);
    double *one = ig_zalloc_array(predictor.values_count, sizeof *one);
    own->mean_response = ig_zalloc_array(predictor.values_count, sizeof *own->mean_response);
    if (!scratch || !one || !own->mean_response)
        ig_fail(err, IG_NO_MEMORY, "no memory for the mean prediction");
    for (size_t i = 0; err->code == IG_OK && i < background->rows_count; i++) {
        double weight =
            background->weights ? background->weights[i] : 1 / (double)background->rows_count;
        predictor.run(&predictor, background->rows + i * background->features_count, 1, one,
                      scratch);
        for (uint32_t v = 0; v < predictor.values_count; v++)
            own->mean_response[v] += weight * one[v];
    }
    ig_free(scratch);
    ig_free(one);
    return err->code;
}

static enum ig_code interventional_prepare(struct ig_explain *explain,
                                           const struct ig_explain_spec *spec, struct ig_err *err)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    const struct ig_tree_interventional_options options = {
        .players = &explain->players,
        .memory_max_bytes = spec->memory_max_bytes,
        .interactions = ig_explainer_form(explain->id) == IG_EXPLAIN_INTERACTIONS};
    struct interventional *own = ig_zalloc(sizeof *own);
    if (!own) return ig_fail(err, IG_NO_MEMORY, "no memory for an explainer");
    explain->state = own;
    bool paired = model->outputs_count == model->predictions_count;
    if (spec->probability && !paired)
        ig_fail(err, IG_INVALID, "unit: this model has no probability for each of its margins");
    else if (ig_tree_interventional_new(&own->tables, model, spec->background, &options, err) ==
                 IG_OK &&
             spec->probability)
        find_mean_response(own, explain, spec->background, err);
    if (err->code != IG_OK) interventional_dispose(explain);
    return err->code;
}

/* Margin contributions times one factor an output (`all`: room for a row's predictions), so that
 * they add up to the probability. Where the margin is the base margin no factor does; the
 * contributions are then 0. */
static void rescale(const struct ig_explain *explain, const struct ig_explain_call *call,
                    double *contributions, double *additivity, double *all)
{
    const struct ig_model *model = ig_engine_model(explain->engine);
    const struct interventional *own = explain->state;
    size_t players = explain->players.count;
    for (size_t i = 0; i < call->rows_count; i++) {
        const double *margins = call->margins + i * model->outputs_count;
        ig_model_transform(model, margins, all);
        additivity[i] = 0;
        for (uint32_t o = 0; o < model->outputs_count; o++, contributions += players + 1) {
            double moved = margins[o] - contributions[players];
            double wanted = all[o] - own->mean_response[o], sum = own->mean_response[o];
            double factor = fabs(moved) > 1e-12 ? wanted / moved : 0;
            for (size_t p = 0; p < players; p++) sum += contributions[p] *= factor;
            contributions[players] = own->mean_response[o];
            additivity[i] = fmax(additivity[i], fabs(sum - all[o]));
        }
    }
}

static enum ig_code interventional_run(const struct ig_explain *explain,
                                       const struct ig_explain_call *call)
{
    const struct interventional *own = explain->state;
    double *contributions = ig_explain_contributions(explain, call);
    double *additivity = contributions ? ig_explain_doubles(call, call->rows_count, 1) : NULL;
    void *scratch =
        additivity ? scratch_of(call, ig_tree_interventional_scratch_bytes(own->tables)) : NULL;
    if (!scratch) return call->err->code;
    const struct ig_tree_interventional_io io = {call->rows, call->rows_count, call->margins,
                                                 contributions, additivity};
    ig_tree_interventional_run(own->tables, &io, scratch);
    if (own->mean_response) {
        double *all = ig_explain_doubles(call, 1, explain->values_count);
        if (!all) return call->err->code;
        rescale(explain, call, contributions, additivity, all);
    }
    note_additivity(call, additivity);
    return IG_OK;
}

static size_t interventional_memory(const struct ig_explain *explain)
{
    const struct interventional *own = explain->state;
    return sizeof *own + ig_tree_interventional_memory_bytes(own->tables);
}

static const char *interventional_variant(const struct ig_explain *explain)
{
    const struct interventional *own = explain->state;
    return ig_tree_interventional_variant(own->tables);
}

static const char *interventional_unit(const struct ig_explain *explain)
{
    bool same = ig_engine_model(explain->engine)->transform == IG_TRANSFORM_IDENTITY;
    if (!explain->probability) return "margin";
    return same ? "probability" : "probability_rescaled";
}

const struct ig_explain_method ig_explain_method_TREE_INTERVENTIONAL = {
    .admits = ig_explain_admits_trees,
    .prepare = interventional_prepare,
    .dispose = interventional_dispose,
    .run = interventional_run,
    .memory_bytes = interventional_memory,
    .variant = interventional_variant,
    .unit = interventional_unit,
};

/* ---- interactions ---- */

static enum ig_code interactions_run(const struct ig_explain *explain,
                                     const struct ig_explain_call *call)
{
    const struct interventional *own = explain->state;
    size_t stride = explain->players.count + (size_t)1, each;
    if (!ig_mul(&each, stride, stride) || !ig_mul(&each, each, explain->values_count))
        return ig_fail(call->err, IG_NO_MEMORY, "interactions of %u players",
                       explain->players.count);
    double *interactions = ig_explain_doubles(call, call->rows_count, each);
    double *additivity = interactions ? ig_explain_doubles(call, call->rows_count, 1) : NULL;
    void *scratch =
        additivity ? scratch_of(call, ig_tree_interventional_scratch_bytes(own->tables)) : NULL;
    if (!scratch) return call->err->code;
    const struct ig_tree_interventional_io io = {call->rows, call->rows_count, call->margins,
                                                 interactions, additivity};
    ig_tree_interventional_run(own->tables, &io, scratch);
    note_additivity(call, additivity);
    call->out->interactions = interactions;
    return IG_OK;
}

#define INTERACTIONS(id)                                                                           \
    const struct ig_explain_method ig_explain_method_##id = {                                      \
        .admits = ig_explain_admits_trees,                                                         \
        .prepare = interventional_prepare,                                                         \
        .dispose = interventional_dispose,                                                         \
        .run = interactions_run,                                                                   \
        .memory_bytes = interventional_memory,                                                     \
        .variant = interventional_variant,                                                         \
    }
INTERACTIONS(TREE_INTERACTIONS);
INTERACTIONS(TREE_INTERACTIONS_INTERVENTIONAL);

/* ---- Saabas ---- */

static enum ig_code saabas_prepare(struct ig_explain *explain, const struct ig_explain_spec *spec,
                                   struct ig_err *err)
{
    (void)spec;
    return ig_tree_saabas_new((struct ig_tree_saabas **)&explain->state,
                              ig_engine_model(explain->engine), &explain->players, err);
}

static void saabas_dispose(struct ig_explain *explain)
{
    ig_tree_saabas_free(explain->state);
}

static size_t saabas_memory(const struct ig_explain *explain)
{
    return ig_tree_saabas_memory_bytes(explain->state);
}

static enum ig_code saabas_run(const struct ig_explain *explain, const struct ig_explain_call *call)
{
    double *contributions = ig_explain_contributions(explain, call);
    double *additivity = contributions ? ig_explain_doubles(call, call->rows_count, 1) : NULL;
    if (!additivity) return call->err->code;
    ig_tree_saabas_run(explain->state, call->rows, call->rows_count, call->margins, contributions,
                       additivity);
    note_additivity(call, additivity);
    for (size_t i = 0; i < call->rows_count; i++)
        call->notes[i].exact = false; /* they add up, but are no Shapley values */
    return IG_OK;
}

const struct ig_explain_method ig_explain_method_SAABAS = {
    .admits = ig_explain_admits_trees,
    .prepare = saabas_prepare,
    .dispose = saabas_dispose,
    .run = saabas_run,
    .memory_bytes = saabas_memory,
};
