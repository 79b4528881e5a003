/* SPDX-License-Identifier: Apache-2.0 */
/* Explainers of the public library: a thin layer over kernels/explain. A run keeps its results in
 * an arena of its own and copies them out. */
#include "base/clock.h"
#include "base/mem.h"
#include "formats/constraints.h"
#include "formats/ingot_priv.h"
#include "kernels/explain/explain_budget.h"
#include "kernels/explain/importance.h"

#include <math.h>
#include <string.h>

struct ingot_explainer {
    struct ig_explain *explain;
    const struct ig_package *package;
    struct ig_explain_budget budget; /* row_ns 0: none */
    bool whole_interactions;
};

static const size_t ARENA_MAX = (size_t)16 << 30;

static enum ig_code check_size(const char *what, uint32_t size, size_t expected, struct ig_err *err)
{
    if (size >= expected) return IG_OK;
    return ig_fail(err, IG_INVALID, "%s: size %u, expected %zu", what, size, expected);
}

static enum ig_code read_budget(struct ig_explain_budget *budget,
                                const struct ingot_explainer_options *options, struct ig_err *err)
{
    static const struct ig_explain_options USUAL = {.output = IG_EXPLAIN_PREDICTED};
    if (options->budget_us > UINT64_MAX / 1000)
        return ig_fail(err, IG_INVALID, "budget_us: %llu is more than %llu",
                       (unsigned long long)options->budget_us, UINT64_MAX / 1000ULL);
    *budget = (struct ig_explain_budget){
        .row_ns = options->budget_us * 1000, .named = options->method != NULL, .options = &USUAL};
    return IG_OK;
}

static enum ig_code check_groups(const uint32_t *group_of_feature, uint64_t groups_count,
                                 uint32_t features_count, struct ig_err *err)
{
    if (group_of_feature && groups_count > UINT32_MAX)
        return ig_fail(err, IG_INVALID, "groups_count: %llu", (unsigned long long)groups_count);
    for (uint32_t i = 0; group_of_feature && i < features_count; i++)
        if (group_of_feature[i] >= groups_count)
            return ig_fail(err, IG_INVALID, "group_of_feature[%u]: %u is not below %llu", i,
                           group_of_feature[i], (unsigned long long)groups_count);
    return IG_OK;
}

static enum ig_code read_spec(struct ig_explain_spec *spec, const struct ingot_model *model,
                              const struct ingot_explainer_options *options, struct ig_err *err)
{
    const struct ig_schema *schema = &model->package->schema;
    spec->probability = options->probability != 0;
    spec->memory_max_bytes = options->memory_max_bytes;
    spec->method = ig_explain_default(model->package->engine, options->background != NULL);
    if (options->method && !ig_explainer_parse(ig_str_view(options->method), &spec->method))
        return ig_fail(err, IG_INVALID, "method: unknown method '%.64s'", options->method);
    if (options->background && options->method &&
        !ig_explainer_takes(spec->method, IG_EXPLAINER_BACKGROUND))
        return ig_fail(err, IG_INVALID, "background: method %s takes none", options->method);
    if (options->interactions > INGOT_WHOLE)
        return ig_fail(err, IG_INVALID, "interactions: %u is neither %d (halved) nor %d (whole)",
                       options->interactions, INGOT_HALVED, INGOT_WHOLE);
    if (options->interactions == INGOT_WHOLE &&
        ig_explainer_form(spec->method) != IG_EXPLAIN_INTERACTIONS)
        return ig_fail(err, IG_INVALID, "interactions: method %s gives none",
                       ig_explainer_name(spec->method));
    if (options->background &&
        (options->background_rows == 0 || options->background_rows > SIZE_MAX / sizeof(double)))
        return ig_fail(err, IG_INVALID, "background: %llu rows",
                       (unsigned long long)options->background_rows);
    return check_groups(options->group_of_feature, options->groups_count, schema->features_count,
                        err);
}

static enum ig_code prepare(struct ingot_explainer *explainer, const struct ingot_model *model,
                            const struct ingot_explainer_options *options, bool *categorical,
                            uint32_t *categories, struct ig_err *err)
{
    const struct ig_schema *schema = &model->package->schema;
    const struct ig_engine *engine = model->package->engine;
    struct ig_explain_spec spec = {.categorical = categorical, .categories = categories};
    const struct ig_background background = {
        options->background, NULL, (size_t)options->background_rows, schema->features_count};
    const struct ig_players players = {options->group_of_feature, (uint32_t)options->groups_count};
    for (uint32_t i = 0; i < schema->features_count; i++) {
        categorical[i] = schema->features[i].type == IG_FEATURE_CATEGORICAL;
        categories[i] = schema->features[i].categories_count;
    }
    if (read_spec(&spec, model, options, err) != IG_OK ||
        read_budget(&explainer->budget, options, err) != IG_OK)
        return err->code;
    if (options->background) spec.background = &background;
    if (options->group_of_feature) spec.players = &players;
    explainer->package = model->package;
    explainer->whole_interactions = options->interactions == INGOT_WHOLE;
    if (explainer->budget.row_ns)
        return ig_explain_new_within(&explainer->explain, engine, &spec, &explainer->budget, err);
    return ig_explain_new(&explainer->explain, engine, &spec, err);
}

enum ingot_code ingot_explainer_new(struct ingot_explainer **out, const struct ingot_model *model,
                                    const struct ingot_explainer_options *options,
                                    struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    size_t features = ingot_model_features_count(model) + (size_t)1;
    struct ingot_explainer *explainer = ig_zalloc(sizeof *explainer);
    bool *categorical = ig_zalloc_array(features, sizeof *categorical);
    uint32_t *categories = ig_zalloc_array(features, sizeof *categories);
    if (!explainer || !categorical || !categories)
        ig_fail(&err, IG_NO_MEMORY, "no memory for an explainer");
    else if (check_size("options", options->size, sizeof *options, &err) == IG_OK)
        prepare(explainer, model, options, categorical, categories, &err);
    ig_free(categorical);
    ig_free(categories);
    if (err.code != IG_OK) {
        ig_free(explainer);
        return ingot_report(error, &err);
    }
    *out = explainer;
    return INGOT_OK;
}

static enum ingot_code find_importance(double *out, const struct ingot_model *model,
                                       const char *kind, const struct ig_players *players,
                                       struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_importance which;
    uint32_t features = model->package->model->features_count;
    if (!ig_importance_parse(ig_str_view(kind), &which))
        ig_fail(&err, IG_INVALID, "kind: unknown kind '%.64s'", kind ? kind : "");
    else if (check_groups(players->of_feature, players->count, features, &err) == IG_OK)
        ig_package_importance(out, model->package, which, players, &err);
    return err.code == IG_OK ? INGOT_OK : ingot_report(error, &err);
}

enum ingot_code ingot_importance(const struct ingot_model *model, const char *kind,
                                 double *importances, struct ingot_error *error)
{
    const struct ig_players each = {NULL, model->package->model->features_count};
    return find_importance(importances, model, kind, &each, error);
}

enum ingot_code ingot_importance_groups(const struct ingot_model *model, const char *kind,
                                        const uint32_t *group_of_feature, uint32_t groups_count,
                                        double *importances, struct ingot_error *error)
{
    const struct ig_players players = {group_of_feature, groups_count};
    return find_importance(importances, model, kind, &players, error);
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

const char *ingot_explainer_chosen(const struct ingot_explainer *explainer)
{
    return explainer->budget.why;
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
    if (form == INGOT_COUNTERFACTUAL) return explainer->package->model->features_count;
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

/* Twice what lies beside the diagonals. */
static void make_whole(double *values, size_t count, size_t stride)
{
    for (size_t i = 0; i < count; i++)
        if (i % stride != i / stride % stride) values[i] *= 2;
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

/* ---- running ---- */

/* What a call asks for, in the kernel's terms; the constraints are in the arena. */
struct ask {
    struct ig_explain_options options;
    struct ig_counterfactual_ask counterfactual;
};

static enum ig_code read_constraints(struct ig_constraints *constraints,
                                     const struct ingot_wish *wish, struct ig_err *err)
{
    uint32_t features = constraints->schema->features_count;
    for (uint32_t i = 0; wish->constraints && i < features; i++)
        for (struct ig_str rest = ig_str_view(wish->constraints[i]); rest.len;)
            if (ig_constraint_parse(&constraints->items[i], ig_str_cut(&rest, ','), err) != IG_OK)
                return err->code;
    return IG_OK;
}

static enum ig_code read_wish(struct ask *ask, const struct ingot_explainer *explainer,
                              const struct ingot_wish *wish, struct ig_arena *arena,
                              struct ig_err *err)
{
    static const struct ingot_wish NONE = {.size = sizeof NONE};
    const struct ig_schema *schema = &explainer->package->schema;
    const struct ig_model *model = explainer->package->model;
    struct ig_constraints constraints;
    uint32_t classes = schema->task == IG_TASK_BINARY       ? 2
                       : schema->task == IG_TASK_MULTICLASS ? model->outputs_count
                                                            : 0;
    if (!wish) wish = &NONE;
    if (check_size("wish", wish->size, sizeof *wish, err) != IG_OK ||
        ig_constraints_begin(&constraints, schema, arena, err) != IG_OK ||
        read_constraints(&constraints, wish, err) != IG_OK)
        return err->code;
    if (wish->wanted_class > classes)
        return ig_fail(err, IG_INVALID, "wanted_class: %u, the model has %u classes",
                       wish->wanted_class, classes);
    ask->counterfactual = (struct ig_counterfactual_ask){
        .has_low = wish->has_low != 0,
        .has_high = wish->has_high != 0,
        .low = wish->low,
        .high = wish->high,
        .decides = schema->task == IG_TASK_BINARY,
        .class = wish->wanted_class ? wish->wanted_class - 1 : IG_EXPLAIN_PREDICTED,
        .constraints = constraints.items,
        .price = wish->change_price,
        .changes_max = wish->changes_max,
    };
    ask->options.counterfactual = &ask->counterfactual;
    return IG_OK;
}

static enum ig_code read_sampling(struct ask *ask, const struct ingot_explainer *explainer,
                                  const struct ingot_sampling *sampling, struct ig_arena *arena,
                                  struct ig_err *err)
{
    static const struct ingot_sampling NONE = {.size = sizeof NONE};
    uint32_t outputs = explainer->package->model->outputs_count;
    if (!sampling) sampling = &NONE;
    if (check_size("sampling", sampling->size, sizeof *sampling, err) != IG_OK) return err->code;
    if (sampling->output > outputs)
        return ig_fail(err, IG_INVALID, "output: %u, the model has %u", sampling->output, outputs);
    if (!(sampling->target_se >= 0))
        return ig_fail(err, IG_INVALID, "target_se: expected a number of at least 0");
    ask->options = (struct ig_explain_options){
        .seed = sampling->seed,
        .samples = sampling->samples,
        .target_se = sampling->target_se,
        .features = sampling->surrogate_features,
        .output = sampling->output ? sampling->output - 1 : IG_EXPLAIN_PREDICTED,
    };
    if (ig_explain_method(explainer->explain) != IG_EXPLAINER_COUNTERFACTUAL) return IG_OK;
    return read_wish(ask, explainer, sampling->wish, arena, err);
}

/* The part of the caller's arrays from a row on. */
static struct ingot_explanation part_of(const struct ingot_explanation *out, size_t row,
                                        size_t row_size)
{
    struct ingot_explanation part = *out;
    part.values += row * row_size;
    if (part.standard_errors) part.standard_errors += row * row_size;
    if (part.additivity_errors) part.additivity_errors += row;
    if (part.fits) part.fits += row;
    if (part.distances) part.distances += row;
    return part;
}

/* One row after the other where each has a time of its own; nothing is written before all are done.
 */
static enum ig_code run_rows(const struct ingot_explainer *explainer, struct ask *ask,
                             const struct ig_explain_rows *input,
                             const struct ingot_explanation *out, struct ig_err *err)
{
    size_t row_size = ingot_explainer_row_size(explainer);
    size_t features = explainer->package->model->features_count;
    uint64_t row_ns = explainer->budget.row_ns;
    size_t step = row_ns ? 1 : input->rows_count;
    size_t parts = row_ns ? input->rows_count : input->rows_count > 0;
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, ARENA_MAX);
    struct ig_explanations *found = ig_arena_array(&arena, parts + 1, sizeof *found);
    if (!found) ig_fail(err, IG_NO_MEMORY, "explanation of %zu rows", input->rows_count);
    for (size_t i = 0; i < parts && err->code == IG_OK; i++) {
        const struct ig_explain_rows some = {input->rows + i * step * features, step};
        if (row_ns) ask->options.deadline_ns = ig_clock_ns() + row_ns;
        ig_explain_run(&found[i], explainer->explain, &some, &ask->options, &arena, err);
    }
    for (size_t i = 0; i < parts && err->code == IG_OK; i++) {
        const struct ingot_explanation part = part_of(out, i * step, row_size);
        copy_out(&part, &found[i], row_size);
        if (explainer->whole_interactions)
            make_whole(part.values, found[i].rows_count * row_size,
                       found[i].players_count + (size_t)1);
    }
    ig_arena_deinit(&arena);
    return err->code;
}

enum ingot_code ingot_explainer_run(const struct ingot_explainer *explainer, const double *rows,
                                    size_t rows_count, const struct ingot_sampling *sampling,
                                    const struct ingot_explanation *out, struct ingot_error *error)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_explain_rows input = {rows, rows_count};
    struct ask ask = {0};
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 12, ARENA_MAX);
    if (check_size("explanation", out->size, sizeof *out, &err) == IG_OK &&
        read_sampling(&ask, explainer, sampling, &arena, &err) == IG_OK)
        run_rows(explainer, &ask, &input, out, &err);
    ig_arena_deinit(&arena);
    return err.code == IG_OK ? INGOT_OK : ingot_report(error, &err);
}
