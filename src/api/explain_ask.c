/* SPDX-License-Identifier: Apache-2.0 */
#include "api/explain_ask.h"

#include "api/answer.h"

#include <math.h>

enum { SHOWN_MAX = 64 };

struct reading {
    struct ig_explain_asked *out;
    const struct ig_explain_request *request;
    const struct ig_package *package;
    const struct ig_feature_map *map; /* or NULL */
    struct ig_arena *arena;
    const char **field;
    struct ig_err *err;
};

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

/* A count as the kernels hold it. */
static uint32_t small(uint64_t count)
{
    return count < UINT32_MAX ? (uint32_t)count : UINT32_MAX;
}

static enum ig_code find_method(struct reading *reading)
{
    struct ig_explain_ask *ask = &reading->out->ask;
    struct ig_str method = reading->request->method;
    struct ig_buf known;
    ask->method_given = method.ptr != NULL;
    ask->method = IG_EXPLAINER_TREE_PATH_DEPENDENT;
    if (!method.ptr || ig_explainer_parse(method, &ask->method)) return IG_OK;
    *reading->field = "method";
    ig_buf_init(&known, 1024);
    ig_explainer_list(&known);
    ig_fail(reading->err, IG_INVALID, "method: unknown method '%.*s'; known: %.*s", shown(method),
            method.ptr, IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return reading->err->code;
}

static enum ig_code find_unit(struct reading *reading)
{
    struct ig_str unit = reading->request->unit;
    bool probability = unit.ptr && ig_str_is(unit, "probability");
    reading->out->ask.probability = probability;
    if (!unit.ptr || probability || ig_str_is(unit, "margin")) return IG_OK;
    *reading->field = "unit";
    return ig_fail(reading->err, IG_INVALID, "unit: '%.*s' is neither margin nor probability",
                   shown(unit), unit.ptr);
}

static enum ig_code find_interactions(struct reading *reading)
{
    struct ig_str asked = reading->request->interactions;
    bool whole = asked.ptr && ig_str_is(asked, "whole");
    reading->out->whole_interactions = whole;
    if (!asked.ptr || whole || ig_str_is(asked, "halved")) return IG_OK;
    *reading->field = "interactions";
    return ig_fail(reading->err, IG_INVALID, "interactions: '%.*s' is neither halved nor whole",
                   shown(asked), asked.ptr);
}

/* "class": by name, else by number; of methods that explain one output. */
static enum ig_code find_class(struct reading *reading)
{
    const struct ig_schema *schema = &reading->package->schema;
    struct ig_explain_options *options = &reading->out->ask.options;
    struct ig_str name = reading->request->class_name;
    uint32_t outputs = reading->package->model->outputs_count;
    uint64_t number;
    options->output = IG_EXPLAIN_PREDICTED;
    if (!name.ptr) return IG_OK;
    for (uint32_t i = 0; outputs > 1 && i < schema->classes_count && i < outputs; i++) {
        if (!ig_str_eq(schema->classes[i], name)) continue;
        options->output = i;
        return IG_OK;
    }
    if (ig_str_to_u64(name, &number) && number < outputs) {
        options->output = (uint32_t)number;
        return IG_OK;
    }
    *reading->field = "class";
    return ig_fail(reading->err, IG_INVALID, "class: the model has no output '%.*s'", shown(name),
                   name.ptr);
}

/* The constraints of each feature, in the model's order. */
static enum ig_code find_constraints(struct reading *reading)
{
    const struct ig_schema *schema = &reading->package->schema;
    const struct ig_feature_map *map = reading->map;
    struct ig_constraints constraints = reading->request->constraints;
    reading->out->counterfactual.constraints = constraints.items;
    if (!constraints.items) {
        if (ig_constraints_begin(&constraints, schema, reading->arena, reading->err) == IG_OK)
            reading->out->counterfactual.constraints = constraints.items;
        return reading->err->code;
    }
    if (!map || !map->source_of) return IG_OK;
    struct ig_counterfactual_constraint *own =
        ig_arena_array(reading->arena, map->features_count, sizeof *own);
    if (!own) return ig_fail(reading->err, IG_NO_MEMORY, "no memory for constraints");
    for (uint32_t f = 0; f < map->features_count; f++)
        own[f] = constraints.items[map->source_of[f]];
    reading->out->counterfactual.constraints = own;
    return IG_OK;
}

static enum ig_code read_counterfactual(struct reading *reading)
{
    const struct ig_explain_request *request = reading->request;
    const struct ig_schema *schema = &reading->package->schema;
    struct ig_counterfactual_ask *ask = &reading->out->counterfactual;
    if (reading->out->ask.method != IG_EXPLAINER_COUNTERFACTUAL) return IG_OK;
    *ask = (struct ig_counterfactual_ask){
        .has_low = !isnan(request->wanted_low),
        .has_high = !isnan(request->wanted_high),
        .low = request->wanted_low,
        .high = request->wanted_high,
        .decides = schema->task == IG_TASK_BINARY,
        .class = IG_EXPLAIN_PREDICTED,
        .price = request->change_price,
        .changes_max = small(request->max_changes),
        .count = small(request->alternatives),
    };
    reading->out->ask.options.counterfactual = ask;
    if (find_constraints(reading) != IG_OK) return reading->err->code;
    if (!request->wanted_class.ptr ||
        ig_answer_find_class(schema, request->wanted_class, &ask->class))
        return IG_OK;
    *reading->field = "wanted_class";
    return ig_fail(reading->err, IG_INVALID, "wanted_class: the model has no class '%.*s'",
                   shown(request->wanted_class), request->wanted_class.ptr);
}

enum ig_code ig_explain_ask_read(struct ig_explain_asked *out,
                                 const struct ig_predict_request *request,
                                 const struct ig_explain_subject *subject, struct ig_arena *arena,
                                 const char **field, struct ig_err *err)
{
    const struct ig_explain_request *explain = &request->explain;
    struct reading reading = {out, explain, subject->package, subject->map, arena, field, err};
    bool budgeted = explain->budget_us < UINT64_MAX / 1000;
    out->ask = (struct ig_explain_ask){.background = explain->background,
                                       .budget_ns = budgeted ? explain->budget_us * 1000 : 0,
                                       .rows_count = request->rows_count};
    out->ask.given = explain->given;
    if (explain->picture.plot.ptr) out->ask.given &= ~(1U << IG_EXPLAIN_OPTION_CLASS);
    out->ask.options.seed = explain->seed;
    out->ask.options.samples = explain->samples;
    out->ask.options.target_se = explain->target_se;
    out->ask.options.features = small(explain->surrogate_features);
    if (!(explain->target_se >= 0)) {
        *field = "target_se";
        return ig_fail(err, IG_INVALID, "target_se: expected a number of at least 0");
    }
    if (ig_groups_map(&out->ask.players, &explain->groups.players, subject->map, arena, err) !=
        IG_OK)
        return err->code;
    if (find_method(&reading) != IG_OK || read_counterfactual(&reading) != IG_OK ||
        find_unit(&reading) != IG_OK || find_interactions(&reading) != IG_OK)
        return err->code;
    return find_class(&reading);
}

bool ig_explain_ask_is_plain(const struct ig_explain_ask *ask)
{
    return ask->method == IG_EXPLAINER_TREE_PATH_DEPENDENT && !ask->background.ptr &&
           !ask->budget_ns && !ask->probability && !ask->players.of_feature && !ask->given;
}
