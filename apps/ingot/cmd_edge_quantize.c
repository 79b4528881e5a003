/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge quantize`: a smaller file of a network, as TensorFlow Lite reads it. */
#include "block.h"
#include "cmd_edge.h"
#include "model_source.h"

#include "base/file.h"
#include "base/json.h"
#include "formats/tflite/tflite.h"
#include "kernels/quantize/quantize.h"
#include "kernels/quantize/weights.h"

#include <math.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX, ROWS_MAX_BYTES = 1 << 30, SHOWN = 5 };
static const size_t MEMORY_MAX = (size_t)8 << 30;

struct work {
    struct ig_block block;
    struct ig_arena arena;
    struct ig_network *made;
    struct ig_quantize_report report; /* of int8 */
    size_t rows_count;
    struct ig_buf file;
};

enum ig_code ig_cmd_edge_network(const struct ig_network **out, const struct ig_package *package,
                                 struct ig_err *err)
{
    if (package->model->kind != IG_MODEL_NETWORK)
        return ig_fail(
            err, IG_UNSUPPORTED,
            "the model is no network of TensorFlow Lite; trees are packed by edge convert");
    *out = package->model->network;
    return IG_OK;
}

/* All rows, as floats; a missing value has no place in a network. */
static enum ig_code read_rows(float **out, struct work *work, struct ig_err *err)
{
    struct ig_block *block = &work->block;
    size_t features = block->package->model->features_count, count = 0, cap = 0;
    float *rows = NULL;
    while (ig_block_next(block, err)) {
        for (size_t i = 0; i < block->rows_count; i++) {
            if ((count + 1) * features * sizeof *rows > ROWS_MAX_BYTES)
                return ig_fail(err, IG_TOO_LARGE, "--input: over %d MiB of rows",
                               ROWS_MAX_BYTES >> 20);
            rows = ig_arena_grow(&work->arena, rows, count, &cap, features * sizeof *rows);
            if (!rows) return ig_fail(err, IG_NO_MEMORY, "--input: rows");
            for (size_t f = 0; f < features; f++) {
                double value = block->values[i * features + f];
                if (!isfinite(value))
                    return ig_fail(err, IG_INVALID, "--input: row %zu: column %zu is no number",
                                   count + 1, f + 1);
                rows[count * features + f] = (float)value;
            }
            count++;
        }
    }
    work->rows_count = count;
    *out = rows;
    return err->code;
}

static enum ig_code quantize(struct work *work, const struct ig_cli *cli, struct ig_err *err)
{
    const struct ig_network *network = NULL;
    struct ig_quantize_result result;
    const char *wanted = ig_cli_text(cli, "calibrator");
    struct ig_quantize_options options = {.calibrator = -1,
                                          .float_ends = ig_cli_flag(cli, "float-ends")};
    float *rows = NULL;
    for (int i = 0; i < IG_CALIBRATORS_COUNT; i++)
        if (strcmp(wanted, ig_calibrator_name((enum ig_calibrator)i)) == 0) options.calibrator = i;
    options.rounding = strcmp(ig_cli_text(cli, "rounding"), "double") == 0
                           ? IG_NETWORK_ROUNDING_DOUBLE
                           : IG_NETWORK_ROUNDING_SINGLE;
    if (ig_block_open_input(&work->block, cli, IG_ENGINE_MARGIN, err) != IG_OK ||
        ig_cmd_edge_network(&network, work->block.package, err) != IG_OK ||
        read_rows(&rows, work, err) != IG_OK)
        return err->code;
    options.rows = rows;
    options.rows_count = work->rows_count;
    if (ig_quantize_run(&result, &work->arena, network, &options, err) != IG_OK) return err->code;
    work->made = result.network;
    work->report = result.report;
    return IG_OK;
}

/* Weights alone, which needs no rows. */
static enum ig_code shrink(struct work *work, const struct ig_cli *cli, bool halves,
                           struct ig_err *err)
{
    const struct ig_network *network = NULL;
    work->block = (struct ig_block){.input = -1};
    if (ig_model_source_open(&work->block.package, cli, err) != IG_OK ||
        ig_cmd_edge_network(&network, work->block.package, err) != IG_OK)
        return err->code;
    return ig_weights_run(&work->made, network, halves ? IG_WEIGHTS_F16 : IG_WEIGHTS_I8, err);
}

static void print_text(const struct work *work)
{
    const struct ig_quantize_report *report = &work->report;
    printf("file           %zu bytes\n", work->file.len);
    if (!work->rows_count) return;
    printf("rows           %zu\n", work->rows_count);
    printf("constants      %zu bytes, as floats %zu\n", report->int8_bytes, report->float_bytes);
    printf("error          %.3g of the outputs' variance, by min-max %.3g\n", report->error,
           report->error_min_max);
    printf("equalized      %s\nbias corrected %s\n", report->equalized ? "yes" : "no",
           report->corrected ? "yes" : "no");
    for (uint32_t i = 0; i < report->layers_count; i++)
        printf("layer %-4u     %.3g%s\n", report->layers[i].layer, report->layers[i].error,
               i == report->worst_layer ? "  (worst)" : "");
}

static void print_json(const struct work *work)
{
    const struct ig_quantize_report *report = &work->report;
    struct ig_json_out out;
    struct ig_buf buf;
    ig_buf_init(&buf, FILE_MAX);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "file_bytes", (int64_t)work->file.len);
    if (work->rows_count) {
        ig_json_out_kv_i64(&out, "rows", (int64_t)work->rows_count);
        ig_json_out_kv_i64(&out, "float_bytes", (int64_t)report->float_bytes);
        ig_json_out_kv_i64(&out, "int8_bytes", (int64_t)report->int8_bytes);
        ig_json_out_kv_f64(&out, "error", report->error);
        ig_json_out_kv_f64(&out, "error_min_max", report->error_min_max);
        ig_json_out_kv_bool(&out, "equalized", report->equalized);
        ig_json_out_kv_bool(&out, "bias_corrected", report->corrected);
        ig_json_out_key(&out, IG_STR("layers"));
        ig_json_out_array(&out);
        for (uint32_t i = 0; i < report->layers_count; i++) {
            ig_json_out_object(&out);
            ig_json_out_kv_i64(&out, "layer", report->layers[i].layer);
            ig_json_out_kv_f64(&out, "error", report->layers[i].error);
            ig_json_out_object_end(&out);
        }
        ig_json_out_array_end(&out);
    }
    ig_json_out_object_end(&out);
    printf("%.*s\n", IG_STR_ARGS(ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

int ig_cmd_edge_quantize(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct work work = {.block.input = -1};
    const char *to = ig_cli_text(cli, "to"), *output = ig_cli_text(cli, "output");
    bool int8 = strcmp(to, "int8") == 0;
    if (!output || strcmp(output, "-") == 0)
        return ig_cli_usage(cli, "--output: expected the file to write");
    if (!ig_cli_text(cli, "model")) return ig_cli_usage(cli, "--model is required");
    if (int8 && !ig_cli_text(cli, "input"))
        return ig_cli_usage(cli, "--to int8 needs --input: rows like those to come");
    ig_arena_init(&work.arena, 1 << 16, MEMORY_MAX);
    ig_buf_init(&work.file, FILE_MAX);
    if (int8)
        quantize(&work, cli, &err);
    else
        shrink(&work, cli, strcmp(to, "float16") == 0, &err);
    if (err.code == IG_OK && ig_tflite_write(&work.file, work.made, &err) == IG_OK)
        ig_file_replace(IG_FILE_CWD, output, ig_buf_view(&work.file), &err);
    if (err.code == IG_OK && strcmp(ig_cli_text(cli, "format"), "json") == 0)
        print_json(&work);
    else if (err.code == IG_OK)
        print_text(&work);
    bool written = ig_block_close(&work.block, cli);
    ig_network_free(work.made);
    ig_buf_deinit(&work.file);
    ig_arena_deinit(&work.arena);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return written ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
