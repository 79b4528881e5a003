/* SPDX-License-Identifier: Apache-2.0 */
/* The table is read twice: by columns for its length and the labels, and in the model's order. */
#include "formats/importance_report.h"

#include "base/table.h"
#include "formats/rows.h"
#include "kernels/explain/explain.h"
#include "kernels/explain/global_importance.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { BLOCK_ROWS = 128, BACKGROUND_ROWS = 200, REPEATS_MAX = 1000, SHOWN_MAX = 64 };

static const size_t BLOCK_MAX_BYTES = (size_t)2 << 30;

struct run {
    const struct ig_package *package;
    const struct ig_importance_spec *spec;
    struct ig_importance_report *out;
    struct ig_importance_item *items;
    double *rows, *labels;
    size_t rows_count;
    struct ig_arena *arena;
    struct ig_err *err;
};

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

static enum ig_code no_memory(const struct run *run)
{
    return ig_fail(run->err, IG_NO_MEMORY, "no memory for importances");
}

static int by_importance(const void *a, const void *b)
{
    const struct ig_importance_item *x = a, *y = b;
    if (x->importance != y->importance) return x->importance < y->importance ? 1 : -1;
    size_t shared = x->name.len < y->name.len ? x->name.len : y->name.len;
    int order = memcmp(x->name.ptr, y->name.ptr, shared);
    return order ? order : (x->name.len > y->name.len) - (x->name.len < y->name.len);
}

/* One unset item a player, in order. */
static bool start_items(struct run *run, bool by_groups)
{
    const struct ig_groups *groups = &run->spec->groups;
    const struct ig_schema *schema = &run->package->schema;
    bool grouped = by_groups && groups->players.of_feature;
    size_t count = grouped ? groups->players.count : schema->features_count;
    run->items = ig_arena_array(run->arena, count, sizeof *run->items);
    if (!run->items) return no_memory(run) == IG_OK;
    for (size_t i = 0; i < count; i++)
        run->items[i] = (struct ig_importance_item){.name = grouped ? groups->names[i]
                                                                    : schema->features[i].name,
                                                    .half = NAN,
                                                    .sd = NAN,
                                                    .mean = NAN,
                                                    .largest = NAN};
    run->out->count = count;
    return true;
}

/* ---- the table ---- */

static enum ig_code read_label(struct run *run, const struct ig_column *column, size_t row,
                               bool of_classes)
{
    const struct ig_schema *schema = &run->package->schema;
    double value = NAN;
    struct ig_str text = IG_STR("");
    if (column->type == IG_COLUMN_NUMERIC) {
        value = column->values[row];
    } else if (column->codes[row] >= 0) {
        text = column->categories[column->codes[row]];
    }
    for (uint32_t i = 0; of_classes && i < schema->classes_count; i++) {
        double number;
        bool same = column->type == IG_COLUMN_NUMERIC
                        ? ig_str_to_f64(schema->classes[i], &number) && number == value
                        : ig_str_eq(schema->classes[i], text);
        if (!same) continue;
        run->labels[row] = i;
        return IG_OK;
    }
    if (text.len || isnan(value) || (of_classes && schema->classes_count))
        return ig_fail(run->err, IG_INVALID, "label: row %zu: '%.*s' is no %s", row + 1,
                       shown(text), text.ptr ? text.ptr : "",
                       of_classes ? "class of the model" : "number");
    run->labels[row] = value;
    return IG_OK;
}

static enum ig_code read_labels(struct run *run, const struct ig_table *table, bool of_classes)
{
    struct ig_str name = run->spec->label.len ? run->spec->label : run->package->schema.target;
    if (!name.len)
        return ig_fail(run->err, IG_INVALID, "label: missing; the model names no target");
    const struct ig_column *column = ig_table_column(table, name);
    if (!column)
        return ig_fail(run->err, IG_INVALID, "label: '%.*s' is no column of the table", shown(name),
                       name.ptr);
    run->labels = ig_arena_array(run->arena, run->rows_count, sizeof *run->labels);
    if (!run->labels) return no_memory(run);
    for (size_t row = 0; row < run->rows_count; row++)
        if (read_label(run, column, row, of_classes) != IG_OK) return run->err->code;
    return IG_OK;
}

static enum ig_code read_rows(struct run *run)
{
    const struct ig_schema *schema = &run->package->schema;
    struct ig_rows_options options = {.ignore_others = true};
    struct ig_rows *rows = NULL;
    size_t done = 0, count = 1;
    run->rows =
        ig_arena_array(run->arena, run->rows_count, schema->features_count * sizeof(double) + 1);
    if (!run->rows) return no_memory(run);
    if (ig_rows_open_bytes(&rows, run->spec->csv, schema, &options, run->err) == IG_OK)
        while (count > 0 && done < run->rows_count) {
            if (ig_rows_next(rows, run->rows + done * schema->features_count,
                             run->rows_count - done, &count, run->err) != IG_OK)
                break;
            done += count;
        }
    ig_rows_close(rows);
    return run->err->code;
}

static enum ig_code read_table(struct run *run, bool with_labels, bool of_classes)
{
    struct ig_csv *csv = NULL;
    struct ig_table *table = NULL;
    if (!run->spec->csv.len)
        return ig_fail(run->err, IG_INVALID,
                       "kind: %.*s importance is of a table, and none is given",
                       IG_STR_ARGS(run->out->kind));
    if (ig_csv_open_bytes(&csv, run->spec->csv, NULL, run->err) == IG_OK &&
        ig_table_read(&table, csv, NULL, run->err) == IG_OK) {
        run->out->rows_count = run->rows_count = table->rows_count;
        if (run->rows_count == 0) ig_fail(run->err, IG_INVALID, "the table has no rows");
        if (run->err->code == IG_OK && with_labels) read_labels(run, table, of_classes);
        if (run->err->code == IG_OK) read_rows(run);
    }
    ig_csv_close(csv);
    ig_table_free(table);
    return run->err->code;
}

/* ---- shap ---- */

/* Exact contributions where the model has them, else against rows spread over the table. */
static enum ig_code prepare(struct run *run, struct ig_explain **explain)
{
    const struct ig_engine *engine = run->package->engine;
    uint32_t features = run->package->model->features_count;
    size_t count = run->rows_count < BACKGROUND_ROWS ? run->rows_count : BACKGROUND_ROWS;
    double *rows = ig_arena_array(run->arena, count, features * sizeof(double) + 1);
    if (!rows) return no_memory(run);
    for (size_t i = 0; i < count; i++)
        memcpy(rows + i * features, run->rows + i * run->rows_count / count * features,
               features * sizeof(double));
    const struct ig_background background = {rows, NULL, count, features};
    bool plain = ig_engine_explains(engine);
    struct ig_explain_spec spec = {.method = ig_explain_default(engine, !plain),
                                   .background = plain ? NULL : &background,
                                   .players = &run->spec->groups.players};
    return ig_explain_new(explain, engine, &spec, run->err);
}

/* The output whose contributions count; UINT32_MAX: all. */
static enum ig_code find_output(struct run *run, uint32_t values, uint32_t *output)
{
    const struct ig_schema *schema = &run->package->schema;
    struct ig_str name = run->spec->class_name;
    *output = values == 1 ? 0 : UINT32_MAX;
    if (!name.len || values == 1) return IG_OK;
    for (uint32_t i = 0; i < values && i < schema->classes_count; i++)
        if (ig_str_eq(schema->classes[i], name)) *output = i;
    if (*output != UINT32_MAX) return IG_OK;
    return ig_fail(run->err, IG_INVALID, "class: the model has no output '%.*s'", shown(name),
                   name.ptr);
}

static void add_row(struct ig_global_importance *sums, const double *values, uint32_t values_count,
                    uint32_t output)
{
    size_t stride = sums->players_count + (size_t)1;
    if (output != UINT32_MAX) {
        ig_global_importance_add(sums, values + output * stride);
        return;
    }
    for (uint32_t k = 0; k < values_count; k++) ig_global_importance_add(sums, values + k * stride);
}

static enum ig_code sum_contributions(struct run *run, const struct ig_explain *explain,
                                      struct ig_global_importance *sums)
{
    const struct ig_explain_options options = {.output = IG_EXPLAIN_PREDICTED};
    uint32_t features = run->package->model->features_count, output;
    struct ig_arena arena;
    if (find_output(run, ig_explain_values(explain), &output) != IG_OK) return run->err->code;
    ig_arena_init(&arena, 1 << 20, BLOCK_MAX_BYTES);
    for (size_t first = 0; first < run->rows_count && run->err->code == IG_OK;
         first += BLOCK_ROWS) {
        size_t left = run->rows_count - first, count = left < BLOCK_ROWS ? left : BLOCK_ROWS;
        const struct ig_explain_rows rows = {run->rows + first * features, count};
        struct ig_explanations found;
        ig_arena_reset(&arena);
        if (ig_explain_run(&found, explain, &rows, &options, &arena, run->err) != IG_OK) break;
        size_t each = found.values_count * (found.players_count + (size_t)1);
        for (size_t i = 0; i < count; i++)
            add_row(sums, found.contributions + i * each, found.values_count, output);
    }
    ig_arena_deinit(&arena);
    return run->err->code;
}

static enum ig_code run_shap(struct run *run)
{
    struct ig_global_importance sums;
    struct ig_explain *explain = NULL;
    if (read_table(run, false, false) != IG_OK || !start_items(run, true) ||
        ig_global_importance_init(&sums, (uint32_t)run->out->count, run->arena, run->err) != IG_OK)
        return run->err->code;
    if (prepare(run, &explain) == IG_OK) {
        run->out->method = ig_explainer_name(ig_explain_method(explain));
        sum_contributions(run, explain, &sums);
    }
    ig_explain_free(explain);
    for (uint32_t i = 0; i < run->out->count; i++) {
        run->items[i].importance = sums.mean[i];
        run->items[i].half = ig_global_importance_half(&sums, i);
        run->items[i].mean = sums.signed_mean[i];
        run->items[i].largest = sums.largest[i];
    }
    return run->err->code;
}

/* ---- permutation ---- */

static enum ig_code choose_metric(struct run *run, enum ig_loss *metric)
{
    const struct ig_package *package = run->package;
    enum ig_task task = package->schema.task;
    struct ig_str name = run->spec->metric;
    bool classes = task == IG_TASK_BINARY || task == IG_TASK_MULTICLASS;
    bool probabilities = ig_model_gives_probabilities(package->model);
    bool raw = classes && package->model->transform == IG_TRANSFORM_IDENTITY &&
               package->model->outputs_count == 1; /* margins: no probability, no class */
    *metric = !classes        ? IG_LOSS_RMSE
              : probabilities ? IG_LOSS_LOG_LOSS
              : raw           ? IG_LOSS_AUC
                              : IG_LOSS_ERROR;
    if (!name.len) return IG_OK;
    if (!ig_loss_parse(name, metric))
        return ig_fail(
            run->err, IG_INVALID,
            "metric: unknown metric '%.*s'; known: log_loss, error, auc, mae, mse, rmse, "
            "r2",
            shown(name), name.ptr);
    if (raw && *metric != IG_LOSS_AUC)
        return ig_fail(run->err, IG_INVALID,
                       "metric: this model gives margins, of which only auc is known");
    if (ig_loss_is_of_classes(*metric) == classes) return IG_OK;
    return ig_fail(run->err, IG_INVALID, "metric: %.*s does not go with this model's task",
                   IG_STR_ARGS(name));
}

static enum ig_code run_permutation(struct run *run)
{
    struct ig_permutation_result result;
    struct ig_permutation_options options = {.seed = run->spec->seed,
                                             .repeats = (uint32_t)run->spec->repeats};
    const struct ig_engine *engine = run->package->engine;
    bool by_margin = run->package->model->transform == IG_TRANSFORM_ARGMAX;
    const struct ig_predictor predictor =
        by_margin ? ig_predictor_margin(engine) : ig_predictor_response(engine);
    if (run->spec->repeats > REPEATS_MAX)
        return ig_fail(run->err, IG_INVALID, "repeats: %llu, at most %d",
                       (unsigned long long)run->spec->repeats, REPEATS_MAX);
    if (choose_metric(run, &options.metric) != IG_OK ||
        read_table(run, true, ig_loss_is_of_classes(options.metric)) != IG_OK ||
        !start_items(run, true))
        return run->err->code;
    const struct ig_permutation_input input = {&predictor, run->rows, run->labels, run->rows_count,
                                               &run->spec->groups.players};
    run->out->metric = ig_loss_name(options.metric);
    if (ig_permutation_importance_run(&result, &input, &options, run->arena, run->err) != IG_OK)
        return run->err->code;
    run->out->score = result.score;
    for (uint32_t i = 0; i < result.players_count; i++) {
        run->items[i].importance = result.mean[i];
        run->items[i].half = result.half[i];
        run->items[i].sd = result.sd[i];
    }
    return IG_OK;
}

/* ---- of the trees ---- */

static enum ig_code run_trees(struct run *run, enum ig_importance kind)
{
    double *values =
        ig_arena_array(run->arena, run->package->model->features_count, sizeof *values);
    if (!values) return no_memory(run);
    if (run->spec->groups.players.of_feature)
        return ig_fail(run->err, IG_INVALID, "groups: kind %s knows single features only",
                       ig_importance_name(kind));
    if (ig_importance_run(values, run->package->model, kind, run->err) != IG_OK ||
        !start_items(run, false))
        return run->err->code;
    for (size_t i = 0; i < run->out->count; i++) run->items[i].importance = values[i];
    return IG_OK;
}

static enum ig_code unknown_kind(const struct run *run)
{
    struct ig_buf known;
    ig_buf_init(&known, 1024);
    for (int i = 0; i < IG_IMPORTANCES_COUNT; i++)
        ig_buf_printf(&known, "%s, ", ig_importance_name((enum ig_importance)i));
    ig_fail(run->err, IG_INVALID, "kind: unknown kind '%.*s'; known: %.*sshap, permutation",
            shown(run->out->kind), run->out->kind.ptr, IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return run->err->code;
}

enum ig_code ig_importance_report_run(struct ig_importance_report *out,
                                      const struct ig_package *package,
                                      const struct ig_importance_spec *spec, struct ig_arena *arena,
                                      struct ig_err *err)
{
    struct run run = {.package = package, .spec = spec, .out = out, .arena = arena, .err = err};
    enum ig_importance kind;
    *out = (struct ig_importance_report){.kind = spec->kind, .score = NAN};
    if (!out->kind.len && spec->csv.len) out->kind = IG_STR("shap");
    if (!out->kind.len) out->kind = package->model->gains ? IG_STR("gain") : IG_STR("split");
    if (ig_str_is(out->kind, "shap"))
        run_shap(&run);
    else if (ig_str_is(out->kind, "permutation"))
        run_permutation(&run);
    else if (ig_importance_parse(out->kind, &kind))
        run_trees(&run, kind);
    else
        unknown_kind(&run);
    if (err->code != IG_OK) return err->code;
    if (run.items) qsort(run.items, out->count, sizeof *run.items, by_importance);
    out->items = run.items;
    return IG_OK;
}
