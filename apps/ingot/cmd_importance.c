/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot importance`: which features a model goes by, as text, CSV or JSON. */
#include "cli.h"
#include "groups_option.h"
#include "model_source.h"

#include "api/importance_json.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { BAR = 30, NAME_WIDTH = 28 };

static const size_t TABLE_MAX = (size_t)4 << 30, REPORT_MAX = (size_t)16 << 30;

static void print_text(const struct ig_importance_report *report, size_t top)
{
    double most = report->count ? report->items[0].importance : 0;
    printf("%.*s importance", IG_STR_ARGS(report->kind));
    if (report->method) printf(" by %s", report->method);
    if (report->metric) printf(", %s %.6g", report->metric, report->score);
    if (report->rows_count) printf(", %zu rows", report->rows_count);
    putchar('\n');
    for (size_t i = 0; i < report->count && i < top; i++) {
        const struct ig_importance_item *item = &report->items[i];
        int length = most > 0 ? (int)(BAR * item->importance / most + 0.5) : 0;
        printf("%-*.*s  %12.6g", NAME_WIDTH, IG_STR_ARGS(item->name), item->importance);
        if (isfinite(item->half)) printf(" +- %-10.3g", item->half);
        fputs("  ", stdout);
        for (int k = 0; k < length; k++) putchar('#');
        putchar('\n');
    }
}

static void print_csv(const struct ig_importance_report *report, size_t top)
{
    puts("feature,importance,low,high");
    for (size_t i = 0; i < report->count && i < top; i++) {
        const struct ig_importance_item *item = &report->items[i];
        fputc('"', stdout);
        for (size_t k = 0; k < item->name.len; k++) {
            if (item->name.ptr[k] == '"') fputc('"', stdout);
            fputc(item->name.ptr[k], stdout);
        }
        printf("\",%.17g,", item->importance);
        if (isfinite(item->half))
            printf("%.17g,%.17g", item->importance - item->half, item->importance + item->half);
        else
            putchar(',');
        putchar('\n');
    }
}

static void print_json(const struct ig_importance_report *report, size_t top)
{
    struct ig_json_out json;
    struct ig_buf buf;
    ig_buf_init(&buf, (size_t)1 << 30);
    ig_json_out_init(&json, &buf);
    ig_importance_write(&json, report, top);
    printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

static void print(const struct ig_cli *cli, const struct ig_importance_report *report)
{
    const char *format = ig_cli_text(cli, "format");
    size_t top = ig_cli_given(cli, "top") ? (size_t)ig_cli_count(cli, "top") : SIZE_MAX;
    if (strcmp(format, "json") == 0)
        print_json(report, top);
    else if (strcmp(format, "csv") == 0)
        print_csv(report, top);
    else
        print_text(report, top);
}

int ig_cmd_importance(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_importance_report report;
    struct ig_importance_spec spec = {
        .kind = ig_str_view(ig_cli_text(cli, "kind")),
        .label = ig_str_view(ig_cli_text(cli, "label")),
        .metric = ig_str_view(ig_cli_text(cli, "metric")),
        .class_name = ig_str_view(ig_cli_text(cli, "class")),
        .seed = ig_cli_count(cli, "seed"),
        .repeats = ig_cli_count(cli, "repeats"),
    };
    const char *input = ig_cli_text(cli, "input");
    struct ig_arena arena;
    struct ig_buf csv;
    ig_arena_init(&arena, 1 << 20, REPORT_MAX);
    ig_buf_init(&csv, TABLE_MAX);
    if (ig_model_source_open(&package, cli, &err) == IG_OK &&
        ig_groups_option(&spec.groups, cli, &package->schema, &arena, &err) == IG_OK &&
        (!input || ig_file_read(&csv, IG_FILE_CWD, input, &err) == IG_OK)) {
        spec.csv = ig_buf_view(&csv);
        if (ig_importance_report_run(&report, package, &spec, &arena, &err) == IG_OK)
            print(cli, &report);
    }
    ig_package_free(package);
    ig_buf_deinit(&csv);
    ig_arena_deinit(&arena);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return ig_cli_flush(cli, stdout) ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
