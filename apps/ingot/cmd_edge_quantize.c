/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge quantize`: a smaller file of a network, as TensorFlow Lite reads it, or a package
 * that keeps the encoder and schema (services/edge/edge_quantize.h). */
#include "block.h"
#include "model_source.h"

#include "base/file.h"
#include "services/edge/edge_quantize.h"

#include <math.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX, ROWS_MAX_BYTES = 1 << 30, TEXT_MAX = 1 << 26 };
static const size_t MEMORY_MAX = (size_t)8 << 30;

struct work {
    const struct ig_cli *cli;
    struct ig_block block;
    struct ig_arena arena;
    double *rows; /* as the package takes them */
    size_t rows_count;
    struct ig_edge_quantize options;
    struct ig_edge_quantized made;
};

/* ---- what goes in ---- */

/* All rows, as the package takes them. */
static enum ig_code read_rows(struct work *work, struct ig_err *err)
{
    struct ig_block *block = &work->block;
    size_t row_bytes = block->package->model->features_count * sizeof(double), cap = 0;
    char *rows = NULL;
    while (ig_block_next(block, err)) {
        for (size_t i = 0; i < block->rows_count; i++) {
            if ((work->rows_count + 1) * row_bytes > ROWS_MAX_BYTES)
                return ig_fail(err, IG_TOO_LARGE, "--input: over %d MiB of rows",
                               ROWS_MAX_BYTES >> 20);
            rows = ig_arena_grow(&work->arena, rows, work->rows_count, &cap, row_bytes);
            if (!rows) return ig_fail(err, IG_NO_MEMORY, "--input: rows");
            memcpy(rows + work->rows_count++ * row_bytes, (char *)block->values + i * row_bytes,
                   row_bytes);
        }
    }
    work->rows = (double *)(void *)rows;
    return err->code;
}

/* Beside the rows, which need a header for that. */
static enum ig_code read_labels(struct work *work, struct ig_err *err)
{
    const struct ig_cli *cli = work->cli;
    const char *wanted = ig_cli_text(cli, "label"), *input = ig_cli_text(cli, "input");
    struct ig_buf csv;
    if (!work->rows_count) return IG_OK;
    if (strcmp(input, "-") == 0 || ig_cli_flag(cli, "no-header"))
        return wanted ? ig_fail(err, IG_INVALID, "--label: needs --input FILE with a header")
                      : IG_OK;
    ig_buf_init(&csv, FILE_MAX);
    if (ig_file_read(&csv, IG_FILE_CWD, input, err) == IG_OK)
        ig_edge_labels_read(&work->options.labels, ig_buf_view(&csv), ig_str_view(wanted),
                            &work->block.package->schema, &work->arena, err);
    ig_buf_deinit(&csv);
    return err->code;
}

static enum ig_code open_source(struct work *work, struct ig_err *err)
{
    work->block = (struct ig_block){.input = -1};
    if (!ig_cli_text(work->cli, "input"))
        return ig_model_source_open(&work->block.package, work->cli, err);
    if (ig_block_open_input(&work->block, work->cli, IG_ENGINE_MARGIN, err) != IG_OK ||
        read_rows(work, err) != IG_OK)
        return err->code;
    return read_labels(work, err);
}

static bool ends_in(const char *output, const char *ending)
{
    size_t length = strlen(output), end = strlen(ending);
    return length > end && strcmp(output + length - end, ending) == 0;
}

static enum ig_code make(struct work *work, struct ig_err *err)
{
    const struct ig_cli *cli = work->cli;
    work->options.float_ends = ig_cli_flag(cli, "float-ends");
    work->options.symmetric = ig_cli_flag(cli, "symmetric");
    work->options.packaged = ends_in(ig_cli_text(cli, "output"), ".zip");
    if (ig_edge_quantize_parse(&work->options, ig_cli_text(cli, "to"),
                               ig_cli_text(cli, "calibrator"), ig_cli_text(cli, "rounding"),
                               ig_cli_text(cli, "device"), err) != IG_OK ||
        open_source(work, err) != IG_OK)
        return err->code;
    work->options.rows = work->rows;
    work->options.rows_count = work->rows_count;
    return ig_edge_quantize_run(&work->made, work->block.package, &work->options, err);
}

/* ---- what comes out ---- */

static enum ig_code write_file(struct work *work, const char *output, struct ig_err *err)
{
    const struct ig_package *package = work->block.package;
    struct ig_buf zip;
    if (!ends_in(output, ".zip"))
        return ig_file_replace(IG_FILE_CWD, output, ig_buf_view(&work->made.file), err);
    ig_buf_init(&zip, FILE_MAX);
    if (ig_edge_quantized_package(&zip, &work->made, package, &work->options,
                                  package->metadata_json, err) == IG_OK)
        ig_file_replace(IG_FILE_CWD, output, ig_buf_view(&zip), err);
    ig_buf_deinit(&zip);
    return err->code;
}

static void print_int8(const struct ig_quantize_report *report)
{
    printf("constants      %zu bytes, as floats %zu\n", report->int8_bytes, report->float_bytes);
    printf("error          %.3g of the outputs' variance, by min-max %.3g\n", report->error,
           report->error_min_max);
    printf("equalized      %s\nbias corrected %s\n", report->equalized ? "yes" : "no",
           report->corrected ? "yes" : "no");
    printf("input gains    %s\ntuned          %s\n", report->gained ? "yes" : "no",
           report->tuned ? "yes" : "no");
    for (uint32_t i = 0; i < report->layers_count; i++)
        printf("layer %-4u     %.3g%s\n", report->layers[i].layer, report->layers[i].error,
               i == report->worst_layer ? "  (worst)" : "");
}

static void print_metrics(const struct ig_edge_quantized *report)
{
    for (int i = 0; i < IG_METRICS_COUNT; i++)
        if (!isnan(report->after.values[i]))
            printf("%-14s %.6g, before %.6g\n", ig_metric_name((enum ig_metric)i),
                   report->after.values[i], report->before.values[i]);
}

static void print_report(const struct ig_edge_quantized *report)
{
    const struct ig_nn_estimate *estimate = &report->estimate;
    printf("file           %zu bytes, before %zu\n", report->file.len, report->source_bytes);
    if (report->rows_count) printf("rows           %zu\n", report->rows_count);
    if (report->has_int8) print_int8(&report->int8);
    if (report->judged) print_metrics(report);
    printf("on a device    %s, estimated\n", estimate->device->name);
    printf("  RAM          %zu bytes of activations\n", estimate->ram_bytes);
    printf("  flash        %zu bytes\n", estimate->flash_bytes);
    printf("  instructions %.0f a row, for %llu products in %s\n", estimate->instructions,
           (unsigned long long)estimate->products, estimate->int8 ? "int8" : "float");
    if (isnan(estimate->energy_microjoule))
        printf("  energy       no figure for this device\n");
    else
        printf("  energy       %.3g uJ a row\n", estimate->energy_microjoule);
}

static void print_json(const struct ig_edge_quantized *made)
{
    struct ig_json_out out;
    struct ig_buf buf;
    ig_buf_init(&buf, TEXT_MAX);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_edge_quantized_write(&out, made, true);
    ig_json_out_object_end(&out);
    printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

/* The first of `names`, which ends with NULL, that was given; NULL: none. */
static const char *first_given(const struct ig_cli *cli, const char *const *names)
{
    while (*names && !ig_cli_given(cli, *names)) names++;
    return *names;
}

int ig_cmd_edge_quantize(const struct ig_cli *cli)
{
    static const char *const OF_INT8[] = {"calibrator", "rounding", "float-ends", "symmetric",
                                          NULL};
    static const char *const OF_ROWS[] = {"label", "no-header", "drop", NULL};
    struct ig_err err = IG_ERR_INIT;
    struct work work = {.cli = cli, .block.input = -1};
    const char *output = ig_cli_text(cli, "output"), *to = ig_cli_text(cli, "to");
    bool int8 = strcmp(to, "int8") == 0;
    if (!output || strcmp(output, "-") == 0)
        return ig_cli_usage(cli, "--output: expected the file to write");
    if (!ends_in(output, ".tflite") && !ends_in(output, ".zip"))
        return ig_cli_usage(cli, "--output '%s': expected NAME.tflite, or NAME.zip for a package",
                            output);
    if (!ig_cli_text(cli, "model")) return ig_cli_usage(cli, "--model is required");
    const char *of_int8 = first_given(cli, OF_INT8), *of_rows = first_given(cli, OF_ROWS);
    if (!int8 && of_int8) return ig_cli_usage(cli, "--%s is for int8, --to is %s", of_int8, to);
    if (!ig_cli_text(cli, "input") && of_rows)
        return ig_cli_usage(cli, "--%s is of the rows of --input", of_rows);
    if (int8 && !ig_cli_text(cli, "input"))
        return ig_cli_usage(cli, "--to int8 needs --input: rows like those to come");
    ig_arena_init(&work.arena, 1 << 16, MEMORY_MAX);
    if (make(&work, &err) == IG_OK) write_file(&work, output, &err);
    if (err.code == IG_OK && strcmp(ig_cli_text(cli, "format"), "json") == 0)
        print_json(&work.made);
    else if (err.code == IG_OK)
        print_report(&work.made);
    ig_edge_quantized_deinit(&work.made);
    bool written = ig_block_close(&work.block, cli);
    ig_arena_deinit(&work.arena);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return written ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
