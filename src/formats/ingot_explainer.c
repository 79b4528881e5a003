/* SPDX-License-Identifier: Apache-2.0 */
/* Explainers of the public library: a thin layer over kernels/explain. A run keeps its results in
 * an arena of its own and copies them out. */
#include "base/mem.h"
#include "formats/ingot_priv.h"
#include "kernels/explain/explain.h"
#include "kernels/explain/importance.h"

#include <math.h>
#include <string.h>

struct ingot_explainer {
    struct ig_explain *explain;
    uint32_t features_count;
};

static const size_t ARENA_MAX = (size_t)16 << 30;

static enum ig_code read_spec(struct ig_explain_spec *spec, const struct ingot_model *model,
                              const struct ingot_explainer_options *options, bool *categorical,
                              struct ig_err *err)
{
    const struct ig_schema *schema = &model->package->schema;
    if (options->size < sizeof *options)
        return ig_fail(err, IG_INVALID, "options: size %u, expected %zu", options->size,
                       sizeof *options);
    spec->probability = options->probability != 0;
    spec->memory_max_bytes = options->memory_max_bytes;
    spec->method = ig_explain_default(model->package->engine, options->background != NULL);
    if (options->method && !ig_explainer_parse(ig_str_view(options->method), &spec->method))
        return ig_fail(err, IG_INVALID, "method: unknown method '%.64s'", options->method);
    if (options->background &&
        (options->background_rows == 0 || options->background_rows > SIZE_MAX / sizeof(double)))
        return ig_fail(err, IG_INVALID, "background: %llu rows",
                       (unsigned long long)options->background_rows);
    for (uint32_t i = 0; i < schema->features_count; i++) {
        categorical[i] = schema->features[i].type == IG_FEATURE_CATEGORICAL;
        if (options->group_of_feature && options->group_of_feature[i] >= options->groups_count)
            return ig_fail(err, IG_INVALID, "group_of_feature[%u]: %u is not below %llu", i,
                           options->group_of_feature[i], (unsigned long long)options->groups_count);
    }
    return IG_OK;
}

enum ingot_code ingot_explainer_new(struct ingot_explainer **out, const struct ingot_model *model,
                                    const struct ingot_explainer_options *options,
                                    struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    uint32_t features = ingot_model_features_count(model);
    struct ingot_explainer *explainer = ig_zalloc(sizeof *explainer);
    bool *categorical = ig_zalloc_array(features + (size_t)1, sizeof *categorical);
    struct ig_explain_spec spec = {.categorical = categorical};
    if (!explainer || !categorical)
        ig_fail(&err, IG_NO_MEMORY, "no memory for an explainer");
    else if (read_spec(&spec, model, options, categorical, &err) == IG_OK) {
        const struct ig_background background = {options->background, NULL,
                                                 (size_t)options->background_rows, features};
        const struct ig_players players = {options->group_of_feature,
                                           (uint32_t)options->groups_count};
        if (options->background) spec.background = &background;
        if (options->group_of_feature) spec.players = &players;
        explainer->features_count = features;
        ig_explain_new(&explainer->explain, model->package->engine, &spec, &err);
    }
    ig_free(categorical);
    if (err.code != IG_OK) {
        ig_free(explainer);
        return ingot_report(error, &err);
    }
    *out = explainer;
    return INGOT_OK;
}

enum ingot_code ingot_importance(const struct ingot_model *model, const char *kind,
                                 double *importances, struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_importance which;
    if (!ig_importance_parse(ig_str_view(kind), &which))
        ig_fail(&err, IG_INVALID, "kind: unknown kind '%.64s'", kind ? kind : "");
    else
        ig_importance_run(importances, model->package->model, which, &err);
    return err.code == IG_OK ? INGOT_OK : ingot_report(error, &err);
}

void ingot_explainer_free(struct ingot_explainer *explainer)
{
    if (!explainer) return;
    ig_explain_free(explainer->explain);
    ig_free(explainer);
}

const char *ingot_explainer_method(const struct ingot_explainer *explainer)
{
    return ig_explainer_name(ig_explain_method(explainer->explain));
}

uint32_t ingot_explainer_players_count(const struct ingot_explainer *explainer)
{
    return ig_explain_players(explainer->explain);
}

uint32_t ingot_explainer_values_count(const struct ingot_explainer *explainer)
{
    enum ingot_form form = ingot_explainer_form(explainer);
    bool lone = form == INGOT_SURROGATE || form == INGOT_COUNTERFACTUAL;
    return lone ? 1 : ig_explain_values(explainer->explain);
}

enum ingot_form ingot_explainer_form(const struct ingot_explainer *explainer)
{
    switch (ig_explainer_form(ig_explain_method(explainer->explain))) {
    case IG_EXPLAIN_INTERACTIONS:
        return INGOT_INTERACTIONS;
    case IG_EXPLAIN_SURROGATE:
        return INGOT_SURROGATE;
    case IG_EXPLAIN_COUNTERFACTUAL:
        return INGOT_COUNTERFACTUAL;
    default:
        return INGOT_ADDITIVE;
    }
}

size_t ingot_explainer_row_size(const struct ingot_explainer *explainer)
{
    size_t stride = ingot_explainer_players_count(explainer) + (size_t)1;
    enum ingot_form form = ingot_explainer_form(explainer);
    size_t matrix = form == INGOT_INTERACTIONS ? stride : 1;
    if (form == INGOT_COUNTERFACTUAL) return explainer->features_count;
    return ingot_explainer_values_count(explainer) * stride * matrix;
}

static void copy_surrogates(const struct ingot_explanation *out,
                            const struct ig_explanations *found)
{
    size_t stride = found->players_count + (size_t)1;
    for (size_t row = 0; row < found->rows_count; row++) {
        const struct ig_lime_result *from = &found->surrogates[row];
        double *values = out->values + row * stride;
        for (uint32_t i = 0; i < from->count; i++) {
            values[from->features[i]] = from->coefficients[i];
            if (out->standard_errors && from->se)
                out->standard_errors[row * stride + from->features[i]] = from->se[i];
        }
        values[found->players_count] = from->intercept;
        if (!out->fits) continue;
        out->fits[row] = (struct ingot_fit){.explained = from->prediction,
                                            .local = from->local_prediction,
                                            .r2 = from->r2,
                                            .stability = from->stability,
                                            .output = found->notes[row].output};
    }
}

static void copy_counterfactuals(const struct ingot_explanation *out,
                                 const struct ig_explanations *found, size_t features)
{
    for (size_t row = 0; row < found->rows_count; row++) {
        const struct ig_counterfactual_result *from = &found->counterfactuals[row];
        double *values = out->values + row * features;
        for (size_t f = 0; f < features; f++) values[f] = from->count ? from->items->row[f] : NAN;
        if (out->distances) out->distances[row] = from->count ? from->items->distance : INFINITY;
    }
}

static void copy_out(const struct ingot_explanation *out, const struct ig_explanations *found,
                     size_t row_size)
{
    size_t bytes = found->rows_count * row_size * sizeof(double);
    memset(out->values, 0, bytes);
    if (out->standard_errors) memset(out->standard_errors, 0, bytes);
    if (found->surrogates) {
        copy_surrogates(out, found);
    } else if (found->counterfactuals) {
        copy_counterfactuals(out, found, row_size);
    } else {
        memcpy(out->values, found->interactions ? found->interactions : found->contributions,
               bytes);
        if (out->standard_errors && found->se) memcpy(out->standard_errors, found->se, bytes);
    }
    for (size_t i = 0; out->additivity_errors && i < found->rows_count; i++)
        out->additivity_errors[i] = found->notes[i].additivity;
}

enum ingot_code ingot_explainer_run(const struct ingot_explainer *explainer, const double *rows,
                                    size_t rows_count, const struct ingot_sampling *sampling,
                                    const struct ingot_explanation *out, struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_explanations found;
    struct ig_explain_options options = {.output = IG_EXPLAIN_PREDICTED};
    struct ig_arena arena;
    if (sampling && sampling->size >= sizeof *sampling) {
        options.seed = sampling->seed;
        options.samples = sampling->samples;
        options.target_se = sampling->target_se;
    }
    if (out->size < sizeof *out) {
        ig_fail(&err, IG_INVALID, "explanation: size %u, expected %zu", out->size, sizeof *out);
        return ingot_report(error, &err);
    }
    ig_arena_init(&arena, 1 << 16, ARENA_MAX);
    const struct ig_explain_rows input = {rows, rows_count};
    if (ig_explain_run(&found, explainer->explain, &input, &options, &arena, &err) == IG_OK)
        copy_out(out, &found, ingot_explainer_row_size(explainer));
    ig_arena_deinit(&arena);
    return err.code == IG_OK ? INGOT_OK : ingot_report(error, &err);
}
