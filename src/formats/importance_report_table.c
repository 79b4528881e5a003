/* SPDX-License-Identifier: Apache-2.0 */
/* Importances over a table: it is read twice, by columns for its length, the labels and what routes
 * rows, and in the schema's order. */
#include "formats/importance_report_priv.h"

#include "base/num.h"
#include "formats/rows.h"
#include "kernels/explain/any_shap.h"
#include "kernels/explain/global_importance.h"

#include <math.h>
#include <string.h>

enum { BACKGROUND_ROWS = 200, REPEATS_MAX = 1000, SHOWN_MAX = 64 };

static const size_t ASKED_MAX_BYTES = (size_t)2 << 30, ROW_MAX_BYTES = (size_t)1 << 28;

enum ig_code ig_importance_no_memory(const struct ig_importance_run *run)
{
    return ig_fail(run->err, IG_NO_MEMORY, "no memory for importances");
}

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

enum ig_code ig_importance_start_items(struct ig_importance_run *run,
                                       const struct ig_schema *schema,
                                       const struct ig_groups *groups)
{
    bool grouped = groups && groups->players.of_feature;
    size_t count = grouped ? groups->players.count : schema->features_count;
    run->items = ig_arena_array(run->arena, count, sizeof *run->items);
    if (!run->items) return ig_importance_no_memory(run);
    for (size_t i = 0; i < count; i++)
        run->items[i] = (struct ig_importance_item){.name = grouped ? groups->names[i]
                                                                    : schema->features[i].name,
                                                    .half = NAN,
                                                    .sd = NAN,
                                                    .mean = NAN,
                                                    .largest = NAN};
    run->out->count = count;
    return IG_OK;
}

/* ---- the table ---- */

static enum ig_code read_label(struct ig_importance_run *run, const struct ig_column *column,
                               size_t row, bool of_classes)
{
    const struct ig_schema *schema = run->models->schema;
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
    run->labels[row] = value;
    if (!text.len && !isnan(value) && !(of_classes && schema->classes_count)) return IG_OK;
    char number[IG_NUM_TEXT_MAX];
    if (!isnan(value)) text = (struct ig_str){number, ig_num_format_f64(number, value)};
    return ig_fail(run->err, IG_INVALID, "label: row %zu: '%.*s' is no %s", row + 1, shown(text),
                   text.ptr, of_classes ? "class of the model" : "number");
}

static enum ig_code read_labels(struct ig_importance_run *run, const struct ig_table *table,
                                bool of_classes)
{
    struct ig_str name = run->spec->label.len ? run->spec->label : run->models->schema->target;
    if (!name.len)
        return ig_fail(run->err, IG_INVALID, "label: missing; the model names no target");
    const struct ig_column *column = ig_table_column(table, name);
    if (!column)
        return ig_fail(run->err, IG_INVALID, "label: '%.*s' is no column of the table", shown(name),
                       name.ptr);
    run->labels = ig_arena_array(run->arena, run->rows_count, sizeof *run->labels);
    if (!run->labels) return ig_importance_no_memory(run);
    for (size_t row = 0; row < run->rows_count; row++)
        if (read_label(run, column, row, of_classes) != IG_OK) return run->err->code;
    return IG_OK;
}

static enum ig_code read_rows(struct ig_importance_run *run)
{
    const struct ig_schema *schema = run->models->schema;
    struct ig_rows_options options = {.ignore_others = true};
    struct ig_rows *rows = NULL;
    size_t done = 0, count = 1;
    run->rows =
        ig_arena_array(run->arena, run->rows_count, schema->features_count * sizeof(double) + 1);
    if (!run->rows) return ig_importance_no_memory(run);
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

static enum ig_code read_table(struct ig_importance_run *run, bool with_labels, bool of_classes)
{
    struct ig_csv *csv = NULL;
    if (!run->spec->csv.len)
        return ig_fail(run->err, IG_INVALID,
                       "kind: %.*s importance is of a table, and none is given",
                       IG_STR_ARGS(run->out->kind));
    if (ig_csv_open_bytes(&csv, run->spec->csv, NULL, run->err) == IG_OK &&
        ig_table_read(&run->table, csv, NULL, run->err) == IG_OK) {
        run->out->rows_count = run->rows_count = run->table->rows_count;
        if (run->rows_count == 0) ig_fail(run->err, IG_INVALID, "the table has no rows");
        if (run->err->code == IG_OK && with_labels) read_labels(run, run->table, of_classes);
        if (run->err->code == IG_OK) read_rows(run);
    }
    ig_csv_close(csv);
    return run->err->code;
}

static enum ig_code start_answered(struct ig_importance_run *run, struct ig_row_answered **answered)
{
    *answered = NULL;
    if (!run->models->route) return IG_OK;
    *answered = ig_row_answered_new(run->models, run->arena);
    if (!*answered) return ig_importance_no_memory(run);
    run->out->answered = *answered;
    run->out->answered_count = run->models->models_count;
    return IG_OK;
}

enum ig_code ig_importance_background(struct ig_background *out, struct ig_importance_run *run)
{
    uint32_t features = run->models->schema->features_count;
    size_t count = run->rows_count < BACKGROUND_ROWS ? run->rows_count : BACKGROUND_ROWS;
    double *rows = ig_arena_array(run->arena, count, features * sizeof(double) + 1);
    if (!rows) return ig_importance_no_memory(run);
    for (size_t i = 0; i < count; i++)
        memcpy(rows + i * features, run->rows + i * run->rows_count / count * features,
               features * sizeof(double));
    *out = (struct ig_background){rows, NULL, count, features};
    return IG_OK;
}

/* ---- contributions of a model that has no exact ones ---- */

struct asking {
    const struct ig_row_models *models;
    uint32_t model;
    struct ig_arena answers, one; /* of one answer, of one row's explanation */
    struct ig_err *err;
};

static void ask(const struct ig_predictor *predictor, const double *rows, size_t rows_count,
                double *values, void *scratch)
{
    struct asking *asking = (void *)(uintptr_t)predictor->context;
    const struct ig_row_ask question = {asking->model, rows, rows_count, false, NULL};
    size_t bytes = rows_count * predictor->values_count * sizeof *values;
    struct ig_row_answers answers = {0};
    (void)scratch;
    ig_arena_reset(&asking->answers);
    if (asking->err->code == IG_OK)
        asking->models->answer(asking->models->context, &answers, &question, &asking->answers,
                               asking->err);
    if (asking->err->code == IG_OK)
        memcpy(values, answers.margins, bytes);
    else
        memset(values, 0, bytes);
}

static size_t no_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    (void)predictor, (void)rows_count;
    return 0;
}

/* As the method "leverage" derives it. */
static uint64_t seed_of(const double *row, size_t features)
{
    static const unsigned char KEY[16] = "ingot explain 1";
    uint64_t seed = ig_siphash(KEY, row, features * sizeof *row);
    seed = (seed ^ IG_EXPLAINER_LEVERAGE) >> 11;
    return seed ? seed : 1;
}

/* ---- shap ---- */

struct summing {
    struct ig_importance_run *run;
    struct ig_global_importance sums;
    struct ig_row_answered *answered;
    struct ig_background *backgrounds; /* by model, in its own order; no rows: not asked for yet */
    const struct ig_players *players;  /* by model, in its own order; NULL: each feature its own */
    double *ordered;                   /* players: one output's in the schema's order */
    const char *method;                /* so far of all rows; NULL: they differ */
    size_t rows_count;
};

/* The output whose contributions count; UINT32_MAX: all. */
static enum ig_code find_output(struct ig_importance_run *run, uint32_t values, uint32_t *output)
{
    const struct ig_schema *schema = run->models->schema;
    struct ig_str name = run->spec->class_name;
    *output = values == 1 ? 0 : UINT32_MAX;
    if (!name.len || values == 1) return IG_OK;
    for (uint32_t i = 0; i < values && i < schema->classes_count; i++)
        if (ig_str_eq(schema->classes[i], name)) *output = i;
    if (*output != UINT32_MAX) return IG_OK;
    return ig_fail(run->err, IG_INVALID, "class: the model has no output '%.*s'", shown(name),
                   name.ptr);
}

static void add_row(struct summing *summing, const struct ig_row_part *part, const double *values,
                    uint32_t output)
{
    const struct ig_row_model *asked = &summing->run->models->models[part->model];
    uint32_t outputs = asked->model->outputs_count;
    size_t stride = summing->sums.players_count + (size_t)1;
    for (uint32_t k = 0; k < outputs; k++) {
        const double *own = values + k * stride;
        if (output != UINT32_MAX && k != output) continue;
        if (!summing->players) own = ig_row_in_order(asked->map, own, summing->ordered);
        ig_global_importance_add(&summing->sums, own);
    }
}

static enum ig_code map_background(struct summing *summing, uint32_t model)
{
    struct ig_importance_run *run = summing->run;
    struct ig_background *background = &summing->backgrounds[model];
    const struct ig_feature_map *map = run->models->models[model].map;
    if (background->rows_count) return IG_OK;
    if (ig_importance_background(background, run) != IG_OK || !map) return run->err->code;
    if (ig_feature_map_is_identity(map)) return IG_OK;
    double *mapped = ig_arena_array(run->arena, background->rows_count,
                                    background->features_count * sizeof *mapped + 1);
    if (!mapped) return ig_importance_no_memory(run);
    ig_feature_map_rows(map, background->rows, background->rows_count, background->features_count,
                        mapped);
    background->rows = mapped;
    return IG_OK;
}

static enum ig_code sample_row(struct summing *summing, const struct ig_row_part *part,
                               struct asking *asking, size_t i, uint32_t output)
{
    const struct ig_model *model = summing->run->models->models[part->model].model;
    const struct ig_predictor predictor = {model->features_count, model->outputs_count, asking, ask,
                                           no_scratch};
    const double *row = part->rows + i * model->features_count;
    const struct ig_any_shap_input input = {&predictor, &summing->backgrounds[part->model], row};
    const struct ig_any_shap_options options = {
        .method = IG_ANY_SHAP_LEVERAGE,
        .players = summing->players ? &summing->players[part->model] : NULL,
        .seed = seed_of(row, model->features_count)};
    struct ig_any_shap_result result;
    ig_arena_reset(&asking->one);
    if (ig_any_shap_run(&result, &input, &options, &asking->one, asking->err) == IG_OK)
        add_row(summing, part, result.contributions, output);
    return asking->err->code;
}

static enum ig_code sample(struct summing *summing, const struct ig_row_part *part, uint32_t output,
                           struct ig_err *err)
{
    struct asking asking = {.models = summing->run->models, .model = part->model, .err = err};
    if (map_background(summing, part->model) != IG_OK) return err->code;
    ig_arena_init(&asking.answers, 1 << 16, ASKED_MAX_BYTES);
    ig_arena_init(&asking.one, 1 << 16, ROW_MAX_BYTES);
    for (size_t i = 0; i < part->count && err->code == IG_OK; i++)
        sample_row(summing, part, &asking, i, output);
    ig_arena_deinit(&asking.answers);
    ig_arena_deinit(&asking.one);
    return err->code;
}

static enum ig_code take_contributions(void *context, const struct ig_row_part *part,
                                       struct ig_err *err)
{
    struct summing *summing = context;
    const struct ig_importance_run *run = summing->run;
    const double *contributions = part->answers->contributions;
    uint32_t outputs = run->models->models[part->model].model->outputs_count, output;
    size_t each = outputs * (summing->sums.players_count + (size_t)1);
    enum ig_explainer by = contributions ? IG_EXPLAINER_TREE_PATH_DEPENDENT : IG_EXPLAINER_LEVERAGE;
    const char *method = run->out->method ? run->out->method : ig_explainer_name(by);
    if (find_output(summing->run, outputs, &output) != IG_OK) return err->code;
    for (size_t i = 0; contributions && i < part->count; i++)
        add_row(summing, part, contributions + i * each, output);
    if (!contributions && sample(summing, part, output, err) != IG_OK) return err->code;
    if (!summing->rows_count) summing->method = method;
    if (summing->method != method) summing->method = NULL;
    summing->rows_count += part->count;
    if (!summing->answered) return IG_OK;
    summing->answered[part->model].rows += part->count;
    summing->answered[part->model].method = method;
    return IG_OK;
}

static enum ig_code sum_contributions(struct summing *summing)
{
    struct ig_importance_run *run = summing->run;
    struct ig_row_blocks blocks = {.models = run->models,
                                   .explain = true,
                                   .players = summing->players,
                                   .take = take_contributions,
                                   .context = summing};
    if (!ig_row_blocks_init(&blocks, run->arena)) ig_importance_no_memory(run);
    for (size_t first = 0; first < run->rows_count && run->err->code == IG_OK;
         first += IG_ROW_BLOCK) {
        size_t left = run->rows_count - first, count = left < IG_ROW_BLOCK ? left : IG_ROW_BLOCK;
        const struct ig_row_span span = {run->table, first, count,
                                         run->rows + first * run->models->schema->features_count};
        ig_row_blocks_run(&blocks, &span, run->err);
    }
    ig_row_blocks_deinit(&blocks);
    return run->err->code;
}

enum ig_code ig_importance_shap(struct ig_importance_run *run)
{
    struct summing summing = {.run = run};
    size_t bytes = run->models->models_count * sizeof *summing.backgrounds;
    if (read_table(run, false, false) != IG_OK ||
        ig_importance_start_items(run, run->models->schema, &run->spec->groups) != IG_OK ||
        start_answered(run, &summing.answered) != IG_OK ||
        ig_row_players(&summing.players, run->models, &run->spec->groups.players, run->arena,
                       run->err) != IG_OK ||
        ig_global_importance_init(&summing.sums, (uint32_t)run->out->count, run->arena, run->err) !=
            IG_OK)
        return run->err->code;
    summing.backgrounds = ig_arena_zalloc(run->arena, bytes);
    summing.ordered = ig_arena_array(run->arena, run->out->count + 1, sizeof(double));
    if (!summing.backgrounds || !summing.ordered) return ig_importance_no_memory(run);
    if ((run->prepare && run->prepare(run) != IG_OK) || sum_contributions(&summing) != IG_OK)
        return run->err->code;
    run->out->method = summing.method;
    for (uint32_t i = 0; i < run->out->count; i++) {
        run->items[i].importance = summing.sums.mean[i];
        run->items[i].half = ig_global_importance_half(&summing.sums, i);
        run->items[i].mean = summing.sums.signed_mean[i];
        run->items[i].largest = summing.sums.largest[i];
    }
    return IG_OK;
}

/* ---- permutation ---- */

/* What the models' values are to a metric. */
struct values {
    bool probabilities; /* of all */
    bool raw;           /* margins: no probability, no class; of any */
    bool by_margin;     /* of all: predictions are class numbers, so margins are asked for */
    uint32_t count;     /* a row */
};

static enum ig_code find_values(struct values *values, const struct ig_importance_run *run)
{
    enum ig_task task = run->models->schema->task;
    bool classes = task == IG_TASK_BINARY || task == IG_TASK_MULTICLASS, first = true;
    for (uint32_t i = 0; i < run->models->models_count; i++) {
        const struct ig_model *model = run->models->models[i].model;
        if (!model) continue;
        bool by_margin = model->transform == IG_TRANSFORM_ARGMAX;
        bool raw =
            classes && model->transform == IG_TRANSFORM_IDENTITY && model->outputs_count == 1;
        bool probabilities = ig_model_gives_probabilities(model);
        uint32_t count = by_margin ? model->outputs_count : model->predictions_count;
        if (first) *values = (struct values){probabilities, raw, by_margin, count};
        first = false;
        if (by_margin != values->by_margin || count != values->count)
            return ig_fail(run->err, IG_UNSUPPORTED,
                           "kind: the deployment's models answer in different ways (classes alone, "
                           "or a value for each), which no one metric is of");
        values->probabilities = values->probabilities && probabilities;
        values->raw = values->raw || raw;
    }
    return IG_OK;
}

static enum ig_code choose_metric(const struct ig_importance_run *run, const struct values *values,
                                  enum ig_loss *metric)
{
    enum ig_task task = run->models->schema->task;
    struct ig_str name = run->spec->metric;
    bool classes = task == IG_TASK_BINARY || task == IG_TASK_MULTICLASS;
    *metric = !classes                ? IG_LOSS_RMSE
              : values->probabilities ? IG_LOSS_LOG_LOSS
              : values->raw           ? IG_LOSS_AUC
                                      : IG_LOSS_ERROR;
    if (!name.len) return IG_OK;
    if (!ig_loss_parse(name, metric))
        return ig_fail(
            run->err, IG_INVALID,
            "metric: unknown metric '%.*s'; known: log_loss, error, auc, mae, mse, rmse, "
            "r2",
            shown(name), name.ptr);
    if (values->raw && *metric != IG_LOSS_AUC)
        return ig_fail(run->err, IG_INVALID,
                       "metric: this model gives margins, of which only auc is known");
    if (ig_loss_is_of_classes(*metric) == classes) return IG_OK;
    return ig_fail(run->err, IG_INVALID, "metric: %.*s does not go with this model's task",
                   IG_STR_ARGS(name));
}

struct shuffled {
    struct ig_importance_run *run;
    const struct values *values;
    struct ig_row_blocks blocks;
    double *to; /* block's rows x values */
    struct ig_row_answered *answered;
    bool counts; /* rows as they are, which come first */
};

static enum ig_code take_values(void *context, const struct ig_row_part *part, struct ig_err *err)
{
    struct shuffled *shuffled = context;
    uint32_t count = shuffled->values->count;
    const double *from =
        shuffled->values->by_margin ? part->answers->margins : part->answers->predictions;
    (void)err;
    for (size_t i = 0; i < part->count; i++)
        memcpy(shuffled->to + part->places[i] * count, from + i * count, count * sizeof *from);
    if (shuffled->answered && shuffled->counts) shuffled->answered[part->model].rows += part->count;
    return IG_OK;
}

static enum ig_code ask_shuffled(void *context, double *values, const double *rows, size_t first,
                                 size_t count, struct ig_err *err)
{
    struct shuffled *shuffled = context;
    const struct ig_row_span span = {shuffled->run->table, first, count, rows};
    shuffled->to = values;
    ig_row_blocks_run(&shuffled->blocks, &span, err);
    if (first + count == shuffled->run->rows_count) shuffled->counts = false;
    return err->code;
}

static enum ig_code solve(struct shuffled *shuffled, struct ig_permutation_options *options)
{
    struct ig_importance_run *run = shuffled->run;
    struct ig_permutation_result result;
    const struct ig_permutation_model model = {run->models->schema->features_count,
                                               shuffled->values->count, ask_shuffled, shuffled};
    const struct ig_permutation_input input = {&model, run->rows, run->labels, run->rows_count,
                                               &run->spec->groups.players};
    if (ig_permutation_importance_run(&result, &input, options, run->arena, run->err) != IG_OK)
        return run->err->code;
    run->out->metric = ig_loss_name(options->metric);
    run->out->score = result.score;
    for (uint32_t i = 0; i < result.players_count; i++) {
        run->items[i].importance = result.mean[i];
        run->items[i].half = result.half[i];
        run->items[i].sd = result.sd[i];
    }
    return IG_OK;
}

enum ig_code ig_importance_permutation(struct ig_importance_run *run)
{
    struct values values = {0};
    struct ig_permutation_options options = {.seed = run->spec->seed,
                                             .repeats = (uint32_t)run->spec->repeats};
    struct shuffled shuffled = {
        .run = run,
        .values = &values,
        .blocks = {.models = run->models, .take = take_values, .context = &shuffled},
        .counts = true};
    if (run->spec->repeats > REPEATS_MAX)
        return ig_fail(run->err, IG_INVALID, "repeats: %llu, at most %d",
                       (unsigned long long)run->spec->repeats, REPEATS_MAX);
    if (find_values(&values, run) != IG_OK ||
        choose_metric(run, &values, &options.metric) != IG_OK ||
        read_table(run, true, ig_loss_is_of_classes(options.metric)) != IG_OK ||
        ig_importance_start_items(run, run->models->schema, &run->spec->groups) != IG_OK ||
        start_answered(run, &shuffled.answered) != IG_OK)
        return run->err->code;
    if (ig_row_blocks_init(&shuffled.blocks, run->arena))
        solve(&shuffled, &options);
    else
        ig_importance_no_memory(run);
    ig_row_blocks_deinit(&shuffled.blocks);
    return run->err->code;
}
