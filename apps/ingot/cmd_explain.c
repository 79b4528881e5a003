/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot explain`: contributions of every feature or group by any method, as CSV, JSON lines or
 * text. */
#include "block.h"
#include "explain_print.h"
#include "groups_option.h"
#include "precompute.h"
#include "replay.h"

#include "api/picture.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/mem.h"
#include "formats/background.h"
#include "formats/constraints.h"
#include "kernels/explain/explain_budget.h"

#include <math.h>
#include <string.h>

struct explain {
    const struct ig_cli *cli;
    struct ig_block block;
    struct ig_answer answer; /* of the row at hand */
    struct ig_explain_print print;
    const struct ig_explain_format *format; /* NULL: rows are drawn */
    struct ig_answer_details details;
    struct ig_explain *explainer;
    struct ig_explain_options options;
    struct ig_explain_budget budget; /* row_ns 0: none */
    struct ig_counterfactual_ask counterfactual;
    struct ig_background_table *background;
    char background_digest[IG_SHA256_HEX];
    struct ig_groups groups;
    struct ig_arena arena;      /* of one block's explanations */
    struct ig_picture *picture; /* with --plot, from the first row on */
    struct ig_err *err;         /* of a row that could not be printed */
};

static const size_t ARENA_MAX = (size_t)8 << 30;

static struct ig_picture_request picture_request(const struct ig_cli *cli)
{
    struct ig_picture_request request = {
        .plot = ig_str_view(ig_cli_text(cli, "plot")),
        .feature = ig_str_view(ig_cli_text(cli, "plot-feature")),
        .color_by = ig_str_view(ig_cli_text(cli, "plot-color-by")),
        .theme = ig_str_view(ig_cli_text(cli, "plot-theme")),
        .width = ig_cli_count(cli, "plot-width"),
        .row = ig_cli_count(cli, "plot-row"),
        .class_name = ig_str_view(ig_cli_text(cli, "class")),
        .top = ig_cli_count(cli, "top"),
    };
    return request;
}

static void draw_row(struct explain *explain)
{
    const struct ig_picture_request request = picture_request(explain->cli);
    if (!explain->picture)
        ig_picture_new(&explain->picture, &request, &explain->answer, explain->err);
    if (explain->picture) ig_picture_add(explain->picture, &explain->answer, explain->err);
}

static void print_picture(struct explain *explain, struct ig_err *err)
{
    ig_buf_reset(&explain->print.buf);
    if (!explain->picture)
        ig_fail(err, IG_INVALID, "--plot: the table has no rows");
    else if (ig_picture_write(&explain->print.buf, explain->picture, err) == IG_OK)
        fwrite(explain->print.buf.ptr, 1, explain->print.buf.len, explain->block.out);
}

/* The block's rows from `first` on: one after the other where each has a time of its own. */
static enum ig_code explain_rows(struct explain *explain, size_t first, size_t count,
                                 struct ig_err *err)
{
    struct ig_block *block = &explain->block;
    const struct ig_model *model = block->package->model;
    struct ig_explanations found;
    size_t stride = explain->answer.players_count + (size_t)1;
    size_t each = explain->answer.values_count * stride;
    const double *values = block->values + first * model->features_count;
    ig_arena_reset(&explain->arena);
    const struct ig_explain_rows rows = {values, count};
    if (explain->budget.row_ns)
        explain->options.deadline_ns = ig_clock_ns() + explain->budget.row_ns;
    if (ig_explain_run(&found, explain->explainer, &rows, &explain->options, &explain->arena,
                       err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < count; i++) {
        explain->answer.row = values + i * model->features_count;
        explain->answer.margins = found.margins + i * model->outputs_count;
        if (found.interactions)
            explain->answer.interactions = found.interactions + i * each * stride;
        else if (found.surrogates)
            explain->answer.surrogate = &found.surrogates[i];
        else if (found.counterfactuals)
            explain->answer.counterfactual = &found.counterfactuals[i];
        else
            explain->answer.contributions = found.contributions + i * each;
        explain->answer.additivity_error = found.notes[i].additivity;
        explain->details.note = &found.notes[i];
        explain->details.se = found.se ? found.se + i * each : NULL;
        ig_model_transform(model, explain->answer.margins, block->predictions);
        explain->print.row = block->rows_done + 1;
        if (explain->format)
            explain->format->row(&explain->print);
        else
            draw_row(explain);
        if (err->code != IG_OK) return err->code;
        block->rows_done++;
    }
    return IG_OK;
}

static enum ig_code explain_block(struct explain *explain, struct ig_err *err)
{
    struct ig_block *block = &explain->block;
    size_t step = explain->budget.row_ns ? 1 : block->rows_count;
    for (size_t i = 0; i < block->rows_count; i += step)
        if (explain_rows(explain, i, step, err) != IG_OK) return err->code;
    block->rows_count = 0;
    return IG_OK;
}

static enum ig_code read_background(struct explain *explain, struct ig_err *err)
{
    const char *path = ig_cli_text(explain->cli, "background");
    struct ig_buf csv;
    if (!path) return IG_OK;
    ig_buf_init(&csv, (size_t)1 << 30);
    if (ig_file_read(&csv, IG_FILE_CWD, path, err) == IG_OK) {
        ig_sha256_hex(csv.ptr, csv.len, explain->background_digest);
        ig_background_table_read(&explain->background, ig_buf_view(&csv),
                                 &explain->block.package->schema, err);
    }
    if (err->code != IG_OK) ig_err_prefix(err, "--background");
    ig_buf_deinit(&csv);
    return err->code;
}

/* --class, by the names of the model's outputs. */
static enum ig_code read_class(struct explain *explain, struct ig_err *err)
{
    const char *name = ig_cli_text(explain->cli, "class");
    const struct ig_package *package = explain->block.package;
    const struct ig_answer named = {.schema = &package->schema};
    uint32_t outputs = package->model->outputs_count;
    explain->options.output = IG_EXPLAIN_PREDICTED;
    for (uint32_t i = 0; name && i < outputs; i++) {
        char text[16];
        if (!ig_str_is(ig_answer_output_name(&named, i, text), name)) continue;
        explain->options.output = i;
        return IG_OK;
    }
    if (!name || outputs == 1) return IG_OK;
    return ig_fail(err, IG_INVALID, "--class: the model has no output '%s'", name);
}

static enum ig_code read_number(double *out, bool *given, const struct ig_cli *cli,
                                const char *option, struct ig_err *err)
{
    const char *text = ig_cli_text(cli, option);
    *given = text != NULL;
    if (!text || ig_str_to_f64(ig_str_view(text), out)) return IG_OK;
    return ig_fail(err, IG_INVALID, "--%s: '%s' is no number", option, text);
}

/* --constraint NAME=WORD,..., --wanted-..., --max-changes, --alternatives. */
static enum ig_code read_counterfactual(struct explain *explain, struct ig_err *err)
{
    const struct ig_cli *cli = explain->cli;
    const struct ig_schema *schema = &explain->block.package->schema;
    struct ig_counterfactual_ask *ask = &explain->counterfactual;
    struct ig_constraints constraints;
    const char *item, *class = ig_cli_text(cli, "wanted-class");
    bool priced;
    if (ig_constraints_begin(&constraints, schema, &explain->block.arena, err) != IG_OK)
        return err->code;
    for (size_t i = 0; (item = ig_cli_item(cli, "constraint", i)); i++) {
        struct ig_str rest = ig_str_view(item), name = ig_str_cut(&rest, '=');
        struct ig_counterfactual_constraint *own = ig_constraints_find(&constraints, name, err);
        while (own && rest.len)
            if (ig_constraint_parse(own, ig_str_cut(&rest, ','), err) != IG_OK) return err->code;
        if (!own) return err->code;
    }
    *ask = (struct ig_counterfactual_ask){
        .decides = schema->task == IG_TASK_BINARY,
        .class = IG_EXPLAIN_PREDICTED,
        .constraints = constraints.items,
        .changes_max = (uint32_t)ig_cli_count(cli, "max-changes"),
        .count = (uint32_t)ig_cli_count(cli, "alternatives"),
    };
    explain->options.counterfactual = ask;
    if (class && !ig_answer_find_class(schema, ig_str_view(class), &ask->class))
        return ig_fail(err, IG_INVALID, "--wanted-class: the model has no class '%s'", class);
    if (read_number(&ask->low, &ask->has_low, cli, "wanted-low", err) != IG_OK ||
        read_number(&ask->high, &ask->has_high, cli, "wanted-high", err) != IG_OK)
        return err->code;
    return read_number(&ask->price, &priced, cli, "change-price", err);
}

/* --budget-us */
static enum ig_code read_budget(struct explain *explain, struct ig_err *err)
{
    const struct ig_cli *cli = explain->cli;
    uint64_t us = ig_cli_count(cli, "budget-us");
    if (!ig_cli_given(cli, "budget-us")) return IG_OK;
    if (us == 0 || us > UINT64_MAX / 1000)
        return ig_fail(err, IG_INVALID, "--budget-us: %llu is no time, expected 1 to %llu",
                       (unsigned long long)us, UINT64_MAX / 1000ULL);
    explain->budget = (struct ig_explain_budget){
        .row_ns = us * 1000, .named = ig_cli_given(cli, "method"), .options = &explain->options};
    return IG_OK;
}

static enum ig_code read_options(struct explain *explain, struct ig_err *err)
{
    const struct ig_cli *cli = explain->cli;
    const char *target = ig_cli_text(cli, "target-se");
    if (read_class(explain, err) != IG_OK || read_counterfactual(explain, err) != IG_OK)
        return err->code;
    if (ig_cli_given(cli, "samples")) explain->options.samples = ig_cli_count(cli, "samples");
    if (ig_cli_given(cli, "seed")) explain->options.seed = ig_cli_count(cli, "seed");
    if (ig_cli_given(cli, "surrogate-features"))
        explain->options.features = (uint32_t)ig_cli_count(cli, "surrogate-features");
    if (read_budget(explain, err) != IG_OK || !target) return err->code;
    if (ig_str_to_f64(ig_str_view(target), &explain->options.target_se) &&
        explain->options.target_se >= 0)
        return IG_OK;
    return ig_fail(err, IG_INVALID, "--target-se: '%s' is not a number of at least 0", target);
}

static enum ig_code check_options(const struct ig_cli *cli, const struct ig_explain_spec *spec,
                                  struct ig_err *err)
{
    unsigned given = 0;
    size_t count;
    const enum ig_explainer *methods = ig_explain_by_quality(&count, spec->probability);
    for (unsigned i = 0; i < IG_EXPLAIN_OPTIONS_COUNT; i++) {
        const char *name = ig_explain_option_name((enum ig_explain_option)i, IG_EXPLAIN_OF_CLI);
        if (ig_cli_given(cli, name + strlen("--"))) given |= 1U << i;
    }
    if (ig_cli_given(cli, "plot")) given &= ~(1U << IG_EXPLAIN_OPTION_CLASS);
    if (ig_cli_given(cli, "budget-us") && !ig_cli_given(cli, "method"))
        return ig_explain_options_check(given, methods, count, IG_EXPLAIN_OF_CLI, err);
    return ig_explain_options_check(given, &spec->method, 1, IG_EXPLAIN_OF_CLI, err);
}

static enum ig_code prepare_explainer(struct explain *explain, struct ig_err *err)
{
    const struct ig_cli *cli = explain->cli;
    const struct ig_schema *schema = &explain->block.package->schema;
    struct ig_arena *arena = &explain->block.arena;
    bool *categorical = ig_arena_array(arena, schema->features_count, sizeof *categorical);
    uint32_t *categories = ig_arena_array(arena, schema->features_count, sizeof *categories);
    struct ig_explain_spec spec = {
        .players = &explain->groups.players, .categorical = categorical, .categories = categories};
    if (!categorical || !categories)
        return ig_fail(err, IG_NO_MEMORY, "no memory for an explainer");
    for (uint32_t i = 0; i < schema->features_count; i++) {
        categorical[i] = schema->features[i].type == IG_FEATURE_CATEGORICAL;
        categories[i] = schema->features[i].categories_count;
    }
    spec.probability = strcmp(ig_cli_text(cli, "unit"), "probability") == 0;
    if (read_background(explain, err) != IG_OK ||
        ig_groups_option(&explain->groups, cli, schema, arena, err) != IG_OK ||
        read_options(explain, err) != IG_OK)
        return err->code;
    if (explain->background) spec.background = &explain->background->background;
    const struct ig_engine *engine = explain->block.package->engine;
    spec.method = ig_explain_default(engine, explain->background != NULL);
    if (ig_cli_given(cli, "method"))
        ig_explainer_parse(ig_str_view(ig_cli_text(cli, "method")), &spec.method);
    if (check_options(cli, &spec, err) != IG_OK) return err->code;
    explain->answer.whole_interactions = strcmp(ig_cli_text(cli, "interactions"), "whole") == 0;
    if (explain->budget.row_ns)
        return ig_explain_new_within(&explain->explainer, engine, &spec, &explain->budget, err);
    return ig_explain_new(&explain->explainer, engine, &spec, err);
}

static void describe(struct explain *explain)
{
    struct ig_answer *answer = &explain->answer;
    bool compares =
        ig_explainer_takes(ig_explain_method(explain->explainer), IG_EXPLAINER_BACKGROUND);
    const char *background = compares ? ig_cli_text(explain->cli, "background") : NULL;
    enum ig_explainer method = ig_explain_method(explain->explainer);
    enum ig_explain_form form = ig_explainer_form(method);
    bool lone = form == IG_EXPLAIN_SURROGATE || form == IG_EXPLAIN_COUNTERFACTUAL;
    answer->values_count = lone ? 1 : ig_explain_values(explain->explainer);
    answer->players_count = ig_explain_players(explain->explainer);
    answer->player_of_feature = explain->groups.players.of_feature;
    answer->player_names = explain->groups.names;
    answer->method = ig_explainer_name(method);
    explain->details = (struct ig_answer_details){
        .unit = ig_explain_unit(explain->explainer),
        .variant = ig_explain_variant(explain->explainer),
        .background = ig_str_view(background),
        .background_digest = ig_str_view(explain->background_digest),
        .why = explain->budget.why,
    };
    answer->details = &explain->details;
}

static enum ig_code prepare(struct explain *explain, struct ig_err *err)
{
    const struct ig_cli *cli = explain->cli;
    struct ig_block *block = &explain->block;
    struct ig_arena *arena = &block->arena;
    const char *format = ig_cli_text(cli, "format");
    size_t features = block->package->model->features_count;
    bool is_text = strcmp(format, "text") == 0;
    if (prepare_explainer(explain, err) != IG_OK) return err->code;
    enum ig_explain_form form = ig_explainer_form(ig_explain_method(explain->explainer));
    if (!ig_cli_given(cli, "plot")) explain->format = ig_explain_format(format, form);
    explain->answer.schema = &block->package->schema;
    explain->answer.model = block->package->model;
    explain->answer.predictions = block->predictions;
    describe(explain);
    explain->answer.top = is_text ? IG_EXPLAIN_TEXT_TOP : features;
    if (ig_cli_given(cli, "top")) explain->answer.top = ig_cli_count(cli, "top");
    explain->answer.order = ig_arena_array(arena, features, sizeof(uint32_t));
    explain->print.out = block->out;
    explain->print.answer = &explain->answer;
    explain->print.bars = ig_arena_array(arena, features, sizeof *explain->print.bars);
    explain->print.values = ig_arena_array(arena, features, IG_EXPLAIN_VALUE_SIZE);
    if (arena->overflowed)
        return ig_fail(err, IG_NO_MEMORY, "no memory for %zu features", features);
    if (explain->format && explain->format->header) explain->format->header(&explain->print);
    return IG_OK;
}

static int unknown_method(const struct ig_cli *cli)
{
    struct ig_buf known;
    ig_buf_init(&known, 4096);
    ig_explainer_list(&known);
    int code = ig_cli_usage(cli, "--method: unknown method '%s'; known: %.*s",
                            ig_cli_text(cli, "method"), IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return code;
}

int ig_cmd_explain(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct explain explain = {.cli = cli, .err = &err, .print.raw = ig_cli_flag(cli, "raw")};
    enum ig_explainer method;
    if (ig_cli_given(cli, "replay")) return ig_replay(cli);
    if (ig_cli_given(cli, "precompute")) return ig_precompute(cli);
    if (!ig_cli_given(cli, "model")) return ig_cli_usage(cli, "--model is required");
    if (!ig_cli_given(cli, "input")) return ig_cli_usage(cli, "--input is required");
    if (ig_cli_given(cli, "method") &&
        !ig_explainer_parse(ig_str_view(ig_cli_text(cli, "method")), &method))
        return unknown_method(cli);
    ig_buf_init(&explain.print.buf, (size_t)1 << 30);
    ig_arena_init(&explain.arena, 1 << 20, ARENA_MAX);
    if (ig_block_open(&explain.block, cli, IG_ENGINE_CONTRIBUTIONS, &err) == IG_OK &&
        prepare(&explain, &err) == IG_OK)
        while (ig_block_next(&explain.block, &err) && explain_block(&explain, &err) == IG_OK)
            continue;
    if (err.code == IG_OK && explain.explainer && !explain.format) print_picture(&explain, &err);
    ig_picture_free(explain.picture);
    ig_explain_free(explain.explainer);
    ig_background_table_free(explain.background);
    ig_arena_deinit(&explain.arena);
    ig_buf_deinit(&explain.print.buf);
    bool written = ig_block_close(&explain.block, cli);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return written ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
