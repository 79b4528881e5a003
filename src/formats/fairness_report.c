/* SPDX-License-Identifier: Apache-2.0 */
/* One pass over the table in memory for groups and labels, one over its rows in the model's order
 * for decisions and contributions. Everything is in the caller's arena; the table is freed. */
#include "formats/fairness_report.h"

#include "base/table.h"
#include "formats/fairness_report_groups.h"
#include "formats/rows.h"

#include <math.h>

enum { ROWS_MIN = 30 };

struct run {
    const struct ig_fairness_spec *spec;
    const struct ig_row_models *models; /* or NULL */
    struct ig_table *table;
    struct ig_fairness_groups *groups; /* columns_count */
    size_t columns_count, rows_count;
    uint8_t *decisions;
    double *labels, *scores;             /* or NULL */
    struct ig_fairness_moments *moments; /* columns_count; or NULL */
    struct ig_row_answered *answered;    /* by model; or NULL */
    bool unscored; /* a model that answered gives no probabilities: there are no scores */
    struct ig_str positive;
    int32_t class; /* of a model's classes: the positive one; -1: a regression, cut at threshold */
    struct ig_arena *arena;
    struct ig_err *err;
};

static enum ig_code no_memory(const struct run *run)
{
    return ig_fail(run->err, IG_NO_MEMORY, "fairness: no memory for %zu rows", run->rows_count);
}

static const struct ig_column *find_column(const struct run *run, const char *what,
                                           struct ig_str name)
{
    const struct ig_column *column = ig_table_column(run->table, name);
    if (!column)
        ig_fail(run->err, IG_INVALID, "%s: '%.*s' is no column of the table", what,
                (int)(name.len > 64 ? 64 : name.len), name.ptr);
    return column;
}

/* ---- labels and decisions ---- */

static enum ig_code choose_positive(struct run *run)
{
    const struct ig_schema *schema = run->models ? run->models->schema : NULL;
    run->positive = run->spec->positive;
    run->class = -1;
    if (!schema || schema->task == IG_TASK_REGRESSION || schema->task == IG_TASK_RANKING) {
        if (!run->positive.len) run->positive = IG_STR("1");
        return IG_OK;
    }
    if (!run->positive.len)
        run->positive =
            schema->classes_count ? schema->classes[schema->classes_count - 1] : IG_STR("1");
    for (uint32_t i = 0; i < schema->classes_count; i++)
        if (ig_str_eq(schema->classes[i], run->positive)) run->class = (int32_t)i;
    uint64_t number;
    if (run->class < 0 && !schema->classes_count && ig_str_to_u64(run->positive, &number) &&
        number <= INT32_MAX)
        run->class = (int32_t)number;
    if (run->class >= 0) return IG_OK;
    return ig_fail(run->err, IG_INVALID, "positive: the model has no class '%.*s'",
                   (int)(run->positive.len > 64 ? 64 : run->positive.len), run->positive.ptr);
}

/* Whether a regression's values are cut at the threshold. */
static bool is_cut(const struct run *run)
{
    return run->models && run->class < 0;
}

/* 1, 0, NaN for missing. */
static enum ig_code read_outcomes(struct run *run, const char *what, struct ig_str name,
                                  double *out)
{
    const struct ig_column *column = find_column(run, what, name);
    double number = 0;
    size_t hits = 0;
    if (!column) return run->err->code;
    bool numeric = column->type == IG_COLUMN_NUMERIC;
    if (numeric && !is_cut(run) && !ig_str_to_f64(run->positive, &number)) number = 1;
    for (size_t row = 0; row < run->rows_count; row++) {
        bool hit = false, missing;
        if (numeric) {
            double value = column->values[row];
            missing = isnan(value);
            hit = is_cut(run) ? value >= run->spec->threshold : value == number;
        } else {
            int32_t code = column->codes[row];
            missing = code < 0;
            hit = !missing && ig_str_eq(column->categories[code], run->positive);
        }
        out[row] = missing ? NAN : hit;
        hits += hit;
    }
    if (hits) return IG_OK;
    return ig_fail(run->err, IG_INVALID, "%s: no row of column '%.*s' has the value '%.*s'", what,
                   IG_STR_ARGS(name), IG_STR_ARGS(run->positive));
}

static enum ig_code read_decisions(struct run *run)
{
    double *outcomes = ig_arena_array(run->arena, run->rows_count, sizeof *outcomes);
    if (!outcomes) return no_memory(run);
    if (read_outcomes(run, "decision", run->spec->decision, outcomes) != IG_OK)
        return run->err->code;
    for (size_t row = 0; row < run->rows_count; row++) {
        if (isnan(outcomes[row]))
            return ig_fail(run->err, IG_INVALID, "decision: row %zu has none", row + 1);
        run->decisions[row] = outcomes[row] == 1;
    }
    return IG_OK;
}

static enum ig_code read_scores(struct run *run)
{
    const struct ig_column *column = find_column(run, "score", run->spec->score);
    if (!column) return run->err->code;
    run->scores = ig_arena_array(run->arena, run->rows_count, sizeof *run->scores);
    if (!run->scores) return no_memory(run);
    if (column->type != IG_COLUMN_NUMERIC)
        return ig_fail(run->err, IG_INVALID, "score: column '%.*s' has values that are no numbers",
                       IG_STR_ARGS(column->name));
    for (size_t row = 0; row < run->rows_count; row++) {
        double score = column->values[row];
        if (!(score >= 0 && score <= 1))
            return ig_fail(run->err, IG_INVALID, "score: row %zu: %g is no probability", row + 1,
                           score);
        run->scores[row] = score;
        run->decisions[row] = score >= run->spec->threshold;
    }
    return IG_OK;
}

/* ---- a model's decisions and contributions ---- */

/* Whether decisions are the model's. */
static bool decides(const struct run *run)
{
    return run->models && !run->spec->decision.len && !run->spec->score.len;
}

/* The output that a positive decision belongs to. */
static uint32_t output_of(const struct run *run, const struct ig_model *model)
{
    bool lone = model->outputs_count == 1 || run->class < 0;
    return lone ? 0 : (uint32_t)run->class;
}

static void decide(struct run *run, size_t row, const struct ig_model *model,
                   const double *predictions)
{
    uint32_t count = model->predictions_count, class = (uint32_t)run->class;
    double threshold = run->spec->threshold;
    if (run->class < 0) {
        run->decisions[row] = predictions[0] >= threshold;
    } else if (count > 1) {
        uint32_t best = 0;
        for (uint32_t i = 1; i < count; i++)
            if (predictions[i] > predictions[best]) best = i;
        run->decisions[row] = best == class;
        run->scores[row] = class < count ? predictions[class] : 0;
    } else if (ig_model_gives_probabilities(model)) {
        run->scores[row] = class == 0 ? 1 - predictions[0] : predictions[0];
        run->decisions[row] = run->scores[row] >= threshold;
    } else if (model->transform == IG_TRANSFORM_ARGMAX) {
        run->decisions[row] = predictions[0] == (double)class;
    } else {
        run->decisions[row] = (predictions[0] > 0) == (class == 1);
    }
}

struct scoring {
    struct run *run;
    size_t first;    /* row of the table that the block begins with */
    double *ordered; /* features: one row's contributions in the schema's order */
};

static enum ig_code take_answers(void *context, const struct ig_row_part *part, struct ig_err *err)
{
    struct scoring *scoring = context;
    struct run *run = scoring->run;
    const struct ig_row_model *asked = &run->models->models[part->model];
    const struct ig_model *model = asked->model;
    size_t stride = model->features_count + (size_t)1, each = model->outputs_count * stride;
    if (run->moments && !part->answers->contributions)
        return ig_fail(err, IG_UNSUPPORTED,
                       "attributions: model '%.*s' has no exact tree explanation",
                       IG_STR_ARGS(asked->name));
    for (size_t i = 0; i < part->count; i++) {
        size_t row = scoring->first + part->places[i];
        if (decides(run))
            decide(run, row, model, part->answers->predictions + i * model->predictions_count);
        if (!run->moments) continue;
        const double *own =
            part->answers->contributions + i * each + output_of(run, model) * stride;
        own = ig_row_in_order(asked->map, own, scoring->ordered);
        for (size_t c = 0; c < run->columns_count; c++)
            ig_fairness_moments_add(&run->moments[c], run->groups[c].of_row[row], own);
    }
    if (!ig_model_gives_probabilities(model)) run->unscored = true;
    if (run->answered) run->answered[part->model].rows += part->count;
    return IG_OK;
}

static enum ig_code read_blocks(struct run *run, struct ig_rows *rows, double *values)
{
    struct scoring scoring = {run, 0,
                              ig_arena_array(run->arena,
                                             run->models->schema->features_count + (size_t)1,
                                             sizeof(double))};
    struct ig_row_blocks blocks = {.models = run->models,
                                   .explain = run->moments != NULL,
                                   .take = take_answers,
                                   .context = &scoring};
    if (!ig_row_blocks_init(&blocks, run->arena)) no_memory(run);
    while (run->err->code == IG_OK && scoring.first < run->rows_count) {
        size_t left = run->rows_count - scoring.first, count;
        size_t room = left < IG_ROW_BLOCK ? left : IG_ROW_BLOCK;
        if (ig_rows_next(rows, values, room, &count, run->err) != IG_OK || count == 0) break;
        const struct ig_row_span span = {run->table, scoring.first, count, values};
        ig_row_blocks_run(&blocks, &span, run->err);
        scoring.first += count;
    }
    ig_row_blocks_deinit(&blocks);
    return run->err->code;
}

static enum ig_code score_rows(struct run *run, struct ig_str csv)
{
    struct ig_rows_options options = {.ignore_others = true};
    size_t bytes = run->models->schema->features_count * sizeof(double) + 1;
    struct ig_rows *rows = NULL;
    double *values = ig_arena_array(run->arena, IG_ROW_BLOCK, bytes);
    if (run->models->route) run->answered = ig_row_answered_new(run->models, run->arena);
    if (decides(run) && run->class >= 0)
        run->scores = ig_arena_array(run->arena, run->rows_count, sizeof *run->scores);
    if (run->arena->overflowed) return no_memory(run);
    if (ig_rows_open_bytes(&rows, csv, run->models->schema, &options, run->err) == IG_OK)
        read_blocks(run, rows, values);
    ig_rows_close(rows);
    if (decides(run) && run->unscored) run->scores = NULL;
    return run->err->code;
}

/* ---- the report ---- */

static enum ig_code start_moments(struct run *run)
{
    if (!run->models || !run->spec->attributions) return IG_OK;
    run->moments = ig_arena_array(run->arena, run->columns_count, sizeof *run->moments);
    if (!run->moments) return no_memory(run);
    for (size_t c = 0; c < run->columns_count; c++)
        if (!ig_fairness_moments_init(&run->moments[c], run->groups[c].count,
                                      run->models->schema->features_count, run->arena))
            return no_memory(run);
    return IG_OK;
}

static enum ig_code find_groups(struct run *run)
{
    const struct ig_fairness_spec *spec = run->spec;
    bool crossed = spec->intersections && spec->columns_count > 1;
    run->columns_count = spec->columns_count + crossed;
    run->groups = ig_arena_array(run->arena, run->columns_count, sizeof *run->groups);
    if (!run->groups) return no_memory(run);
    for (size_t i = 0; i < spec->columns_count; i++) {
        const struct ig_column *column = find_column(run, "protected", spec->columns[i]);
        if (!column || ig_fairness_groups_of(&run->groups[i], column, run->rows_count, run->arena,
                                             run->err) != IG_OK)
            return run->err->code;
    }
    if (crossed)
        ig_fairness_groups_cross(&run->groups[spec->columns_count], run->groups,
                                 spec->columns_count, run->rows_count, run->arena, run->err);
    return run->err->code;
}

static enum ig_code read_rows(struct run *run, struct ig_str csv)
{
    run->decisions = ig_arena_array(run->arena, run->rows_count, 1);
    if (!run->decisions) return no_memory(run);
    if (run->spec->label.len) {
        run->labels = ig_arena_array(run->arena, run->rows_count, sizeof *run->labels);
        if (!run->labels) return no_memory(run);
        if (read_outcomes(run, "label", run->spec->label, run->labels) != IG_OK)
            return run->err->code;
    }
    if (run->spec->decision.len)
        read_decisions(run);
    else if (run->spec->score.len)
        read_scores(run);
    else if (!run->models)
        ig_fail(run->err, IG_INVALID,
                "decision: without a model a column of decisions or scores is needed");
    if (run->err->code == IG_OK && run->models && (decides(run) || run->moments))
        score_rows(run, csv);
    return run->err->code;
}

static enum ig_code report_column(struct run *run, size_t c, struct ig_fairness_column *out)
{
    const struct ig_fairness_groups *groups = &run->groups[c];
    const struct ig_fairness_input input = {
        .rows_count = run->rows_count,
        .groups = groups->of_row,
        .groups_count = groups->count,
        .decisions = run->decisions,
        .labels = run->labels,
        .scores = run->scores,
        .rows_min = run->spec->rows_min ? run->spec->rows_min : ROWS_MIN,
    };
    *out = (struct ig_fairness_column){
        .name = groups->name, .group_names = groups->names, .groups_count = groups->count};
    if (ig_fairness_run(&out->report, &input, run->arena, run->err) != IG_OK || !run->moments)
        return run->err->code;
    struct ig_fairness_attribution *gaps =
        ig_arena_array(run->arena, run->models->schema->features_count, sizeof *gaps);
    if (!gaps) return no_memory(run);
    out->attributions = gaps;
    out->attributions_count =
        ig_fairness_moments_gaps(&run->moments[c], out->report.groups, run->models->schema, gaps);
    return IG_OK;
}

static enum ig_code check_spec(const struct ig_fairness_spec *spec, struct ig_err *err)
{
    if (spec->columns_count == 0 || spec->columns_count > IG_FAIRNESS_COLUMNS_MAX)
        return ig_fail(err, IG_INVALID, "protected: %zu columns, expected 1 to %d",
                       spec->columns_count, IG_FAIRNESS_COLUMNS_MAX);
    if (!isfinite(spec->threshold))
        return ig_fail(err, IG_INVALID, "threshold: %g is no number", spec->threshold);
    if (spec->decision.len && spec->score.len)
        return ig_fail(err, IG_INVALID, "score: give either a decision or a score column");
    return IG_OK;
}

static enum ig_code run_table(struct run *run, struct ig_str csv, struct ig_fairness_table *out)
{
    run->rows_count = run->table->rows_count;
    if (run->rows_count == 0) return ig_fail(run->err, IG_INVALID, "the table has no rows");
    if (choose_positive(run) != IG_OK || find_groups(run) != IG_OK || start_moments(run) != IG_OK ||
        read_rows(run, csv) != IG_OK)
        return run->err->code;
    *out = (struct ig_fairness_table){
        .rows_count = run->rows_count,
        .positive = ig_arena_dup(run->arena, run->positive),
        .has_labels = run->labels != NULL,
        .has_scores = run->scores != NULL,
        .columns = ig_arena_array(run->arena, run->columns_count, sizeof *out->columns),
        .columns_count = run->columns_count,
        .answered = run->answered,
        .answered_count = run->answered ? run->models->models_count : 0,
    };
    if (run->arena->overflowed) return no_memory(run);
    for (size_t c = 0; c < run->columns_count; c++)
        if (report_column(run, c, &out->columns[c]) != IG_OK) return run->err->code;
    return IG_OK;
}

enum ig_code ig_fairness_models_run(struct ig_fairness_table *out, struct ig_str csv,
                                    const struct ig_fairness_spec *spec,
                                    const struct ig_row_models *models, struct ig_arena *arena,
                                    struct ig_err *err)
{
    struct run run = {.spec = spec, .models = models, .arena = arena, .err = err};
    struct ig_csv *reader = NULL;
    if (check_spec(spec, err) != IG_OK) return err->code;
    if (ig_csv_open_bytes(&reader, csv, NULL, err) == IG_OK &&
        ig_table_read(&run.table, reader, NULL, err) == IG_OK)
        run_table(&run, csv, out);
    ig_csv_close(reader);
    ig_table_free(run.table);
    return err->code;
}
