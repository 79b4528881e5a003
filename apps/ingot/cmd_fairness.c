/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot fairness`: bias of decisions between groups of a table's rows, as text or JSON. */
#include "cli.h"
#include "model_source.h"

#include "api/fairness_json.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { TOP = 10, GROUP_WIDTH = 24 };

static const size_t TABLE_MAX = (size_t)1 << 30, REPORT_MAX = (size_t)8 << 30;

static void print_rate(FILE *out, struct ig_fairness_rate rate)
{
    if (isnan(rate.value))
        fprintf(out, "%22s", "-");
    else
        fprintf(out, "  %.3f (%.3f, %.3f)", rate.value, rate.low, rate.high);
}

static void print_groups(FILE *out, const struct ig_fairness_table *table,
                         const struct ig_fairness_column *column)
{
    fprintf(out, "\n%-*.*s  %8s  %-20s", GROUP_WIDTH, (int)column->name.len, column->name.ptr,
            "rows", "selection rate");
    if (table->has_labels)
        fprintf(out, "  %-20s  %-20s  %-20s", "true positive rate", "false positive rate",
                "precision");
    if (table->has_labels && table->has_scores)
        fprintf(out, "  %-20s  %s", "label - score", "calibration error");
    fputc('\n', out);
    for (uint32_t g = 0; g < column->groups_count; g++) {
        const struct ig_fairness_group *group = &column->report.groups[g];
        struct ig_str name = column->group_names[g];
        fprintf(out, "%-*.*s%s  %8zu", GROUP_WIDTH - 1, (int)name.len, name.ptr,
                group->compared ? " " : "*", group->rows);
        print_rate(out, group->selection_rate);
        if (table->has_labels) {
            print_rate(out, group->true_positive_rate);
            print_rate(out, group->false_positive_rate);
            print_rate(out, group->precision);
        }
        if (table->has_labels && table->has_scores) {
            print_rate(out, group->calibration);
            print_rate(out, group->calibration_error);
        }
        fputc('\n', out);
    }
}

static void print_gap(FILE *out, const char *what, const struct ig_fairness_column *column,
                      const struct ig_fairness_gap *gap)
{
    fprintf(out, "  %-32s", what);
    if (isnan(gap->difference.value)) {
        fputs("  undefined\n", out);
        return;
    }
    print_rate(out, gap->difference);
    fprintf(out, "   ratio");
    print_rate(out, gap->ratio);
    fprintf(out, "   %.*s - %.*s\n", IG_STR_ARGS(column->group_names[gap->most]),
            IG_STR_ARGS(column->group_names[gap->least]));
}

static void print_attributions(FILE *out, const struct ig_fairness_column *column)
{
    fputs("  mean contributions differ most for\n", out);
    for (uint32_t i = 0; i < column->attributions_count && i < TOP; i++) {
        const struct ig_fairness_attribution *gap = &column->attributions[i];
        fprintf(out, "    %-30.*s", IG_STR_ARGS(gap->feature));
        print_rate(out, gap->difference);
        fprintf(out, "   %.*s - %.*s\n", IG_STR_ARGS(column->group_names[gap->most]),
                IG_STR_ARGS(column->group_names[gap->least]));
    }
}

static void print_column(FILE *out, const struct ig_fairness_table *table,
                         const struct ig_fairness_column *column)
{
    const struct ig_fairness_report *report = &column->report;
    print_groups(out, table, column);
    print_gap(out, "demographic parity difference", column, &report->demographic_parity);
    fprintf(out, "  %-32s  %s\n", "four-fifths rule",
            ig_fairness_verdict_name(report->four_fifths));
    if (table->has_labels) {
        print_gap(out, "equal opportunity difference", column, &report->equal_opportunity);
        print_gap(out, "false positive rate difference", column, &report->false_positives);
        fprintf(out, "  %-32s", "equalised odds difference");
        print_rate(out, report->equalized_odds_difference);
        fprintf(out, "   ratio");
        print_rate(out, report->equalized_odds_ratio);
        fputc('\n', out);
        print_gap(out, "precision difference", column, &report->precision);
        print_gap(out, "accuracy difference", column, &report->accuracy);
    }
    if (column->attributions) print_attributions(out, column);
}

static void print_text(FILE *out, const struct ig_fairness_table *table)
{
    bool all = true;
    fprintf(out, "%zu rows, positive: %.*s; rates with 95%% intervals\n", table->rows_count,
            IG_STR_ARGS(table->positive));
    for (size_t c = 0; c < table->columns_count; c++) {
        const struct ig_fairness_column *column = &table->columns[c];
        print_column(out, table, column);
        for (uint32_t g = 0; g < column->groups_count; g++)
            all = all && column->report.groups[g].compared;
    }
    if (!all) fputs("\n* too few rows to be compared (--min-rows)\n", out);
}

static void print_json(FILE *out, const struct ig_fairness_table *table)
{
    struct ig_json_out json;
    struct ig_buf buf;
    ig_buf_init(&buf, (size_t)1 << 30);
    ig_json_out_init(&json, &buf);
    ig_fairness_write(&json, table, SIZE_MAX);
    fprintf(out, "%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

/* --protected, repeated or with commas. */
static enum ig_code read_columns(struct ig_str *columns, struct ig_fairness_spec *spec,
                                 const struct ig_cli *cli, struct ig_err *err)
{
    const char *item;
    for (size_t i = 0; (item = ig_cli_item(cli, "protected", i)); i++)
        for (struct ig_str rest = ig_str_view(item); rest.len;) {
            if (spec->columns_count == IG_FAIRNESS_COLUMNS_MAX)
                return ig_fail(err, IG_INVALID, "--protected: more than %d columns",
                               IG_FAIRNESS_COLUMNS_MAX);
            columns[spec->columns_count++] = ig_str_cut(&rest, ',');
        }
    spec->columns = columns;
    return IG_OK;
}

static enum ig_code read_spec(struct ig_str *columns, struct ig_fairness_spec *spec,
                              const struct ig_cli *cli, struct ig_err *err)
{
    struct ig_str threshold = ig_str_view(ig_cli_text(cli, "threshold"));
    *spec = (struct ig_fairness_spec){
        .label = ig_str_view(ig_cli_text(cli, "label")),
        .positive = ig_str_view(ig_cli_text(cli, "positive")),
        .decision = ig_str_view(ig_cli_text(cli, "decision")),
        .score = ig_str_view(ig_cli_text(cli, "score")),
        .intersections = ig_cli_flag(cli, "intersections"),
        .attributions = ig_cli_text(cli, "model") != NULL && !ig_cli_flag(cli, "no-attributions"),
        .rows_min = ig_cli_count(cli, "min-rows"),
    };
    if (!ig_str_to_f64(threshold, &spec->threshold))
        return ig_fail(err, IG_INVALID, "--threshold: '%.*s' is no number", IG_STR_ARGS(threshold));
    return read_columns(columns, spec, cli, err);
}

int ig_cmd_fairness(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_str columns[IG_FAIRNESS_COLUMNS_MAX];
    struct ig_fairness_spec spec;
    struct ig_fairness_table table;
    struct ig_package *package = NULL;
    struct ig_arena arena;
    struct ig_buf csv;
    ig_arena_init(&arena, 1 << 20, REPORT_MAX);
    ig_buf_init(&csv, TABLE_MAX);
    if (read_spec(columns, &spec, cli, &err) == IG_OK &&
        ig_file_read(&csv, IG_FILE_CWD, ig_cli_text(cli, "input"), &err) == IG_OK &&
        (!ig_cli_text(cli, "model") || ig_model_source_open(&package, cli, &err) == IG_OK) &&
        ig_fairness_table_run(&table, ig_buf_view(&csv), &spec, package, &arena, &err) == IG_OK) {
        bool json = strcmp(ig_cli_text(cli, "format"), "json") == 0;
        (json ? print_json : print_text)(stdout, &table);
    }
    ig_package_free(package);
    ig_buf_deinit(&csv);
    ig_arena_deinit(&arena);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
