/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of a table on their way through a deployment's graph, for ig_fairness_models_run. Thread
 * rule: any one thread that may block. */
#include "services/deploy/routing_fairness.h"

#include "base/num.h"
#include "services/deploy/inference.h"

enum { TEXT_SIZE = IG_NUM_TEXT_MAX };

struct ways {
    const struct ig_routing *routing;
    struct ig_rules_value *values; /* of the attributes, of the row at hand */
    char (*texts)[TEXT_SIZE];      /* numbers among them, as text */
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

static enum ig_code route(void *context, uint32_t *out, const struct ig_fairness_rows *rows,
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

static enum ig_code answer(void *context, struct ig_fairness_answers *out,
                           const struct ig_fairness_ask *ask, struct ig_arena *arena,
                           struct ig_err *err)
{
    const struct ways *ways = context;
    const struct ig_servable *servable = ig_routing_servable(ways->routing, ask->model);
    const struct ig_inference_request request = {
        .rows = ask->rows, .rows_count = ask->rows_count, .explain = ask->explain};
    struct ig_inference_result result;
    if (ig_inference_run(&result, servable, &request, arena, err) == IG_OK) {
        *out = (struct ig_fairness_answers){result.predictions, result.explanations.contributions};
    } else if (ask->explain && err->code == IG_UNSUPPORTED) {
        ig_err_clear(err);
        ig_fail(err, IG_UNSUPPORTED, "attributions: model '%s' has no exact tree explanation",
                ig_servable_name(servable));
    }
    return err->code;
}

enum ig_code ig_routing_fairness(struct ig_fairness_table *out, struct ig_str csv,
                                 const struct ig_fairness_spec *spec,
                                 const struct ig_routing *routing, struct ig_arena *arena,
                                 struct ig_err *err)
{
    const struct ig_routing_spec *graph = &routing->spec;
    size_t attributes_count = graph->attributes_count + (size_t)1;
    struct ig_fairness_model *models = ig_arena_array(arena, graph->nodes_count, sizeof *models);
    struct ways ways = {routing, ig_arena_array(arena, attributes_count, sizeof *ways.values),
                        ig_arena_array(arena, attributes_count, sizeof *ways.texts)};
    if (!models || !ways.values || !ways.texts)
        return ig_fail(err, IG_NO_MEMORY, "fairness: no memory for %u models", graph->nodes_count);
    for (uint32_t i = 0; i < graph->nodes_count; i++) {
        models[i] = (struct ig_fairness_model){.name = graph->nodes[i].name};
        if (!ig_routing_kind_answers(graph->nodes[i].kind)) continue;
        models[i].model = ig_routing_servable(routing, i)->package->model;
        models[i].map = ig_routing_map(routing, i);
    }
    const struct ig_fairness_models asked = {.schema = routing->schema,
                                             .models = models,
                                             .models_count = graph->nodes_count,
                                             .route = graph->nodes_count > 1 ? route : NULL,
                                             .answer = answer,
                                             .context = &ways};
    return ig_fairness_models_run(out, csv, spec, &asked, arena, err);
}
