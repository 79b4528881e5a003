/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge quantize`: a smaller file of a network, as TensorFlow Lite reads it, or a package
 * that keeps the encoder and schema. */
#include "block.h"
#include "edge_labels.h"
#include "edge_report.h"
#include "model_source.h"

#include "base/file.h"
#include "formats/tflite/tflite.h"
#include "kernels/nn/nn_encoded.h"
#include "kernels/quantize/quantize_core.h"
#include "kernels/quantize/weights.h"
#include "services/edge/edge_pack.h"

#include <math.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX, ROWS_MAX_BYTES = 1 << 30, GOLDEN_ROWS = 16 };
static const size_t MEMORY_MAX = (size_t)8 << 30;

struct work {
    const struct ig_cli *cli;
    struct ig_block block;
    struct ig_arena arena;
    double *rows; /* as the package takes them */
    size_t rows_count;
    struct ig_edge_network network;
    struct ig_network *made;
    struct ig_quantize_report int8;
    struct ig_buf file; /* .tflite */
    struct ig_edge_report report;
};

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

/* Where element i of the rows lies, in the network's order of features. */
static size_t in_order(const struct work *work, size_t features, size_t i)
{
    const uint32_t *order = work->network.features;
    return order ? i / features * features + order[i % features] : i;
}

/* What the network takes of them: without an encoder, a missing value has no place in it. */
static enum ig_code make_inputs(float **out, struct work *work, struct ig_err *err)
{
    const struct ig_model *model = work->block.package->model;
    size_t features = model->features_count;
    size_t each = model->encoder ? model->encoder->inputs_count : features;
    float *inputs = ig_arena_array(&work->arena, work->rows_count + 1, each * sizeof *inputs);
    if (!inputs) return ig_fail(err, IG_NO_MEMORY, "--input: rows");
    *out = inputs;
    if (model->encoder) {
        ig_encoder_run(model->encoder, work->rows, work->rows_count, inputs);
        return IG_OK;
    }
    for (size_t i = 0; i < work->rows_count * features; i++) {
        if (!isfinite(work->rows[i]))
            return ig_fail(err, IG_INVALID, "--input: row %zu: column %zu is no number",
                           i / features + 1, i % features + 1);
        inputs[i] = (float)work->rows[in_order(work, features, i)];
    }
    return IG_OK;
}

static enum ig_code quantize(struct work *work, struct ig_err *err)
{
    const struct ig_cli *cli = work->cli;
    struct ig_quantize_result result;
    const char *wanted = ig_cli_text(cli, "calibrator");
    struct ig_quantize_options options = {.calibrator = -1,
                                          .float_ends = ig_cli_flag(cli, "float-ends"),
                                          .symmetric = ig_cli_flag(cli, "symmetric")};
    float *inputs = NULL;
    for (int i = 0; i < IG_CALIBRATORS_COUNT; i++)
        if (strcmp(wanted, ig_calibrator_name((enum ig_calibrator)i)) == 0) options.calibrator = i;
    options.rounding = strcmp(ig_cli_text(cli, "rounding"), "double") == 0
                           ? IG_NETWORK_ROUNDING_DOUBLE
                           : IG_NETWORK_ROUNDING_SINGLE;
    if (make_inputs(&inputs, work, err) != IG_OK) return err->code;
    options.rows = inputs;
    options.rows_count = work->rows_count;
    if (ig_quantize_core_run(&result, &work->arena, work->network.network, &options, err) != IG_OK)
        return err->code;
    work->made = result.network;
    work->int8 = result.report;
    work->report.int8 = &work->int8;
    return IG_OK;
}

static enum ig_code open_source(struct work *work, struct ig_err *err)
{
    work->block = (struct ig_block){.input = -1};
    if (!ig_cli_text(work->cli, "input"))
        ig_model_source_open(&work->block.package, work->cli, err);
    else
        ig_block_open_input(&work->block, work->cli, IG_ENGINE_MARGIN, err);
    if (err->code != IG_OK) return err->code;
    if (ig_edge_network_open(&work->network, work->block.package, err) != IG_OK) {
        ig_err_prefix(err, "--model");
        return err->code;
    }
    return ig_cli_text(work->cli, "input") ? read_rows(work, err) : IG_OK;
}

static enum ig_code make(struct work *work, struct ig_err *err)
{
    const char *to = ig_cli_text(work->cli, "to");
    if (open_source(work, err) != IG_OK) return err->code;
    if (strcmp(to, "int8") == 0) return quantize(work, err);
    return ig_weights_run(&work->made, work->network.network,
                          strcmp(to, "float16") == 0 ? IG_WEIGHTS_F16 : IG_WEIGHTS_I8, err);
}

/* ---- judging ---- */

static enum ig_code judge_made(struct work *work, const struct ig_edge_labels *labels,
                               struct ig_err *err)
{
    const struct ig_package *package = work->block.package;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    size_t features = package->model->features_count, count = work->rows_count * features;
    struct ig_nn *nn = NULL;
    double *rows = work->rows;
    if (work->network.features) {
        rows = ig_arena_array(&work->arena, count + 1, sizeof *rows);
        if (!rows) return ig_fail(err, IG_NO_MEMORY, "--input: rows");
        for (size_t i = 0; i < count; i++) rows[i] = work->rows[in_order(work, features, i)];
    }
    if (ig_nn_new(&nn, work->made, &options, err) != IG_OK) return err->code;
    const struct ig_nn_encoded encoded = {nn, package->model->encoder};
    const struct ig_predictor made =
        package->model->encoder ? ig_nn_encoded_predictor(&encoded) : ig_nn_predictor(nn);
    ig_edge_labels_judge(&work->report.after, labels, &package->schema, &made, rows, err);
    ig_nn_free(nn);
    return err->code;
}

static enum ig_code judge(struct work *work, struct ig_err *err)
{
    const struct ig_package *package = work->block.package;
    const struct ig_predictor before = ig_predictor_response(package->engine);
    struct ig_edge_labels labels = {0};
    if (!work->rows_count) return IG_OK;
    if (ig_edge_labels_read(&labels, work->cli, package, &work->arena, err) != IG_OK)
        return err->code;
    if (!labels.values) return IG_OK;
    if (labels.count != work->rows_count)
        return ig_fail(err, IG_INVALID, "--label: %zu labels of %zu rows", labels.count,
                       work->rows_count);
    work->report.judged = true;
    if (ig_edge_labels_judge(&work->report.before, &labels, &package->schema, &before, work->rows,
                             err) != IG_OK)
        return err->code;
    return judge_made(work, &labels, err);
}

static enum ig_code fill_report(struct work *work, struct ig_err *err)
{
    struct ig_edge_report *report = &work->report;
    report->file_bytes = work->file.len;
    report->source_bytes = work->block.package->model_bytes;
    report->rows_count = work->rows_count;
    report->device = ig_nn_device_find(ig_cli_text(work->cli, "device"));
    IG_ASSERT(report->device); /* a choice of the option */
    if (ig_nn_device_estimate(&report->estimate, report->device, work->made, work->file.len, err) !=
        IG_OK)
        return err->code;
    return judge(work, err);
}

/* ---- the file ---- */

/* Rows spread over the input become golden ones. */
static enum ig_code write_package(struct work *work, const char *output, struct ig_err *err)
{
    const struct ig_package *package = work->block.package;
    size_t features = package->model->features_count;
    size_t count = work->rows_count < GOLDEN_ROWS ? work->rows_count : GOLDEN_ROWS;
    double *golden = ig_arena_array(&work->arena, count + 1, features * sizeof *golden);
    struct ig_json_out out;
    struct ig_buf encoder, zip;
    if (!golden) return ig_fail(err, IG_NO_MEMORY, "golden rows");
    if (work->network.features)
        return ig_fail(err, IG_UNSUPPORTED,
                       "--output %s: the network takes an image with its channels last, the "
                       "package's rows have them first; write a .tflite file",
                       output);
    for (size_t i = 0; i < count; i++)
        memcpy(golden + i * features, work->rows + i * work->rows_count / count * features,
               features * sizeof *golden);
    ig_buf_init(&encoder, FILE_MAX);
    ig_buf_init(&zip, FILE_MAX);
    ig_json_out_init(&out, &encoder);
    if (package->model->encoder) ig_encoder_write(&out, package->model->encoder);
    const struct ig_package_spec spec = {.model_bytes = ig_buf_view(&work->file),
                                         .schema = &package->schema,
                                         .encoder_json = ig_buf_view(&encoder),
                                         .name = package->name,
                                         .metadata_json = package->metadata_json,
                                         .golden_rows = golden,
                                         .golden_count = count};
    if (ig_package_write(&zip, &spec, err) == IG_OK)
        ig_file_replace(IG_FILE_CWD, output, ig_buf_view(&zip), err);
    ig_buf_deinit(&zip);
    ig_buf_deinit(&encoder);
    return err->code;
}

static bool ends_in(const char *output, const char *ending)
{
    size_t length = strlen(output), end = strlen(ending);
    return length > end && strcmp(output + length - end, ending) == 0;
}

static enum ig_code run(struct work *work, const char *output, struct ig_err *err)
{
    if (make(work, err) != IG_OK || ig_tflite_write(&work->file, work->made, err) != IG_OK ||
        fill_report(work, err) != IG_OK)
        return err->code;
    if (ends_in(output, ".zip")) return write_package(work, output, err);
    return ig_file_replace(IG_FILE_CWD, output, ig_buf_view(&work->file), err);
}

int ig_cmd_edge_quantize(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct work work = {.cli = cli, .block.input = -1};
    const char *output = ig_cli_text(cli, "output");
    if (!output || strcmp(output, "-") == 0)
        return ig_cli_usage(cli, "--output: expected the file to write");
    if (!ends_in(output, ".tflite") && !ends_in(output, ".zip"))
        return ig_cli_usage(cli, "--output '%s': expected NAME.tflite, or NAME.zip for a package",
                            output);
    if (!ig_cli_text(cli, "model")) return ig_cli_usage(cli, "--model is required");
    if (strcmp(ig_cli_text(cli, "to"), "int8") == 0 && !ig_cli_text(cli, "input"))
        return ig_cli_usage(cli, "--to int8 needs --input: rows like those to come");
    ig_arena_init(&work.arena, 1 << 16, MEMORY_MAX);
    ig_buf_init(&work.file, FILE_MAX);
    run(&work, output, &err);
    if (err.code == IG_OK && strcmp(ig_cli_text(cli, "format"), "json") == 0)
        ig_edge_report_print_json(&work.report);
    else if (err.code == IG_OK)
        ig_edge_report_print(&work.report);
    bool written = ig_block_close(&work.block, cli);
    ig_network_free(work.made);
    ig_edge_network_deinit(&work.network);
    ig_buf_deinit(&work.file);
    ig_arena_deinit(&work.arena);
    if (err.code != IG_OK) return ig_cli_fail(cli, &err, NULL);
    return written ? IG_EXIT_OK : IG_EXIT_FAILURE;
}
