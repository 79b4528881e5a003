/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a table on their way through a deployment's graph, as formats/row_models.h asks for them.
 * Thread rule: any one thread that may block. */
#include "services/deploy/routing_reports.h"

#include "base/num.h"
#include "services/deploy/inference.h"
#include "services/deploy/residency.h"

enum { TEXT_SIZE = IG_NUM_TEXT_MAX };

/* A node's explainer of groups: of one report alone, so a model's own set does not grow by it. */
struct grouping {
    const struct ig_servable *loaded; /* a reference */
    struct ig_explain *explain;
};

struct ways {
    const struct ig_routing *routing;
    struct ig_rules_value *values; /* of the attributes, of the row at hand */
    char (*texts)[TEXT_SIZE];      /* numbers among them, as text */
    struct grouping *groupings;    /* by node */
};

static struct ig_str no_header(void *context, struct ig_str name)
{
    (void)context, (void)name;
    return (struct ig_str){0};
}

/* A cell's text; a number's shortest form. ptr NULL: missing. */
static struct ig_str cell_text(const struct ig_column *column, size_t row, char text[TEXT_SIZE])
{
    if (column->type == IG_COLUMN_CATEGORICAL) {
        int32_t code = column->codes[row];
        return code < 0 ? (struct ig_str){0} : column->categories[code];
    }
    double value = column->values[row];
    if (value != value) return (struct ig_str){0};
    return (struct ig_str){text, ig_num_format_f64(text, value)};
}

static enum ig_code read_attribute(struct ways *ways, uint32_t index, const struct ig_table *table,
                                   size_t row, struct ig_err *err)
{
    const struct ig_rules_attribute *attribute = &ways->routing->attributes[index];
    struct ig_rules_value *value = &ways->values[index];
    const struct ig_column *column = ig_table_column(table, attribute->name);
    *value = (struct ig_rules_value){0};
    if (!column) return IG_OK;
    if (attribute->type == IG_RULES_TEXT) {
        value->text = cell_text(column, row, ways->texts[index]);
        value->present = value->text.ptr != NULL;
        return IG_OK;
    }
    if (column->type != IG_COLUMN_NUMERIC)
        return ig_fail(err, IG_INVALID,
                       "context.%.*s: the deployment takes a number, and column '%.*s' has values "
                       "that are no numbers",
                       IG_STR_ARGS(attribute->name), IG_STR_ARGS(attribute->name));
    value->number = column->values[row];
    value->present = value->number == value->number;
    return IG_OK;
}

static enum ig_code route(void *context, uint32_t *out, const struct ig_row_span *rows,
                          struct ig_err *err)
{
    struct ways *ways = context;
    const struct ig_column *units = ig_table_column(rows->table, IG_STR("unit_id"));
    uint32_t width = ways->routing->schema->features_count;
    for (size_t i = 0; i < rows->count; i++) {
        size_t row = rows->first + i;
        char unit[TEXT_SIZE];
        struct ig_routing_path path;
        struct ig_routing_input input = {
            .row = rows->values + i * width, .attributes = ways->values, .header = no_header};
        if (units) input.unit = cell_text(units, row, unit);
        if (!input.unit.ptr)
            input.unit = (struct ig_str){unit, ig_num_format_f64(unit, (double)row + 1)};
        for (uint32_t a = 0; a < ways->routing->spec.attributes_count; a++)
            if (read_attribute(ways, a, rows->table, row, err) != IG_OK) return err->code;
        ig_routing_route(&path, ways->routing, &input);
        out[i] = path.node;
    }
    return IG_OK;
}

static enum ig_code prepare(struct grouping *grouping, const struct ig_servable *servable,
                            const struct ig_players *players, struct ig_err *err)
{
    const struct ig_explain_spec spec = {.method = IG_EXPLAINER_TREE_PATH_DEPENDENT,
                                         .players = players};
    if (grouping->explain) return IG_OK;
    if (!grouping->loaded)
        grouping->loaded =
            servable->residency ? ig_residency_get(servable, true, err) : ig_servable_ref(servable);
    if (!grouping->loaded) return err->code;
    return ig_explain_new(&grouping->explain, grouping->loaded->package->engine, &spec, err);
}

/* Groups are players of an explainer of their own; another process makes its own choice of one. */
static enum ig_code explain_groups(struct ig_inference_result *out, const struct ways *ways,
                                   const struct ig_row_ask *ask, struct ig_arena *arena,
                                   struct ig_err *err)
{
    const struct ig_servable *servable = ig_routing_servable(ways->routing, ask->model);
    struct grouping *grouping = &ways->groupings[ask->model];
    struct ig_inference_request request = {
        .rows = ask->rows, .rows_count = ask->rows_count, .explain = true};
    if (servable->replicas) {
        const struct ig_explain_ask groups = {.method = IG_EXPLAINER_TREE_PATH_DEPENDENT,
                                              .method_given = true,
                                              .players = *ask->players,
                                              .rows_count = ask->rows_count};
        request.ask = &groups;
        return ig_inference_run(out, servable, &request, arena, err);
    }
    if (prepare(grouping, servable, ask->players, err) != IG_OK) return err->code;
    const struct ig_explain_choice choice = {.method = IG_EXPLAINER_TREE_PATH_DEPENDENT,
                                             .explain = grouping->explain,
                                             .players = *ask->players};
    request.choice = &choice;
    return ig_inference_run(out, grouping->loaded, &request, arena, err);
}

static enum ig_code answer(void *context, struct ig_row_answers *out, const struct ig_row_ask *ask,
                           struct ig_arena *arena, struct ig_err *err)
{
    const struct ways *ways = context;
    const struct ig_servable *servable = ig_routing_servable(ways->routing, ask->model);
    struct ig_inference_request request = {
        .rows = ask->rows, .rows_count = ask->rows_count, .explain = ask->explain};
    struct ig_inference_result result;
    if (ask->explain && ask->players)
        explain_groups(&result, ways, ask, arena, err);
    else
        ig_inference_run(&result, servable, &request, arena, err);
    if (ask->explain && err->code == IG_UNSUPPORTED) { /* it has no exact contributions */
        ig_err_clear(err);
        request.explain = false;
        ig_inference_run(&result, servable, &request, arena, err);
    }
    if (err->code == IG_OK)
        *out = (struct ig_row_answers){result.margins, result.predictions,
                                       result.explanations.contributions};
    return err->code;
}

static void forget_groups(const struct ig_row_models *models)
{
    const struct ways *ways = models->context;
    for (uint32_t i = 0; i < models->models_count; i++) {
        ig_explain_free(ways->groupings[i].explain);
        ig_servable_unref(ways->groupings[i].loaded);
    }
}

/* Callbacks over `ways`, which comes from the arena as well. */
static enum ig_code models_of(struct ig_row_models *out, const struct ig_routing *routing,
                              struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_routing_spec *graph = &routing->spec;
    size_t attributes_count = graph->attributes_count + (size_t)1;
    struct ig_row_model *models = ig_arena_array(arena, graph->nodes_count, sizeof *models);
    struct ways *ways = ig_arena_zalloc(arena, sizeof *ways);
    if (!models || !ways)
        return ig_fail(err, IG_NO_MEMORY, "report: no memory for %u models", graph->nodes_count);
    ways->routing = routing;
    ways->values = ig_arena_array(arena, attributes_count, sizeof *ways->values);
    ways->texts = ig_arena_array(arena, attributes_count, sizeof *ways->texts);
    ways->groupings = ig_arena_zalloc(arena, graph->nodes_count * sizeof *ways->groupings);
    if (!ways->values || !ways->texts || !ways->groupings)
        return ig_fail(err, IG_NO_MEMORY, "report: no memory for %zu attributes", attributes_count);
    for (uint32_t i = 0; i < graph->nodes_count; i++) {
        models[i] = (struct ig_row_model){.name = graph->nodes[i].name};
        if (!ig_routing_kind_answers(graph->nodes[i].kind)) continue;
        models[i].model = ig_routing_servable(routing, i)->package->model;
        models[i].map = ig_routing_map(routing, i);
    }
    *out = (struct ig_row_models){.schema = routing->schema,
                                  .models = models,
                                  .models_count = graph->nodes_count,
                                  .route = graph->nodes_count > 1 ? route : NULL,
                                  .answer = answer,
                                  .context = ways};
    return IG_OK;
}

enum ig_code ig_routing_reports_fairness(struct ig_fairness_table *out, struct ig_str csv,
                                         const struct ig_fairness_spec *spec,
                                         const struct ig_routing *routing, struct ig_arena *arena,
                                         struct ig_err *err)
{
    struct ig_row_models models;
    if (models_of(&models, routing, arena, err) != IG_OK) return err->code;
    ig_fairness_models_run(out, csv, spec, &models, arena, err);
    forget_groups(&models);
    return err->code;
}

static bool is_meta(const struct ig_routing_spec *graph, uint32_t index)
{
    for (uint32_t i = 0; i < graph->nodes_count; i++) {
        const struct ig_routing_node *node = &graph->nodes[i];
        if (node->kind == IG_ROUTING_ENSEMBLE && ig_combine_takes_meta(node->combine) &&
            graph->edges[node->first_edge + node->edges_count - 1].to == index)
            return true;
    }
    return false;
}

/* The graph's models, each by the name of its node. What comes and goes is taken as it looks. */
static enum ig_code parts_of(struct ig_importance_models *out, const struct ig_routing *routing,
                             struct ig_arena *arena, struct ig_err *err)
{
    const struct ig_routing_spec *graph = &routing->spec;
    out->parts = ig_arena_array(arena, graph->nodes_count, sizeof *out->parts);
    if (!out->parts)
        return ig_fail(err, IG_NO_MEMORY, "report: no memory for %u models", graph->nodes_count);
    for (uint32_t i = 0; i < graph->nodes_count; i++) {
        const struct ig_routing_node *node = &graph->nodes[i];
        if (node->kind != IG_ROUTING_MODEL) continue;
        out->parts[out->parts_count++] =
            (struct ig_importance_part){.name = node->name,
                                        .model = node->model,
                                        .version = node->version,
                                        .meta = is_meta(graph, i),
                                        .package = ig_routing_servable(routing, i)->package};
    }
    return IG_OK;
}

enum ig_code ig_routing_reports_importance(struct ig_importance_report *out,
                                           const struct ig_importance_spec *spec,
                                           const struct ig_routing *routing, struct ig_arena *arena,
                                           struct ig_err *err)
{
    struct ig_importance_models models = {0};
    if (models_of(&models.rows, routing, arena, err) != IG_OK) return err->code;
    if (parts_of(&models, routing, arena, err) == IG_OK)
        ig_importance_models_run(out, &models, spec, arena, err);
    forget_groups(&models.rows);
    return err->code;
}
