/* SPDX-License-Identifier: Apache-2.0 */
/* Rows to the network's inputs, the quantizers, judging, and the file. Stateless. */
#include "services/edge/edge_quantize.h"

#include "formats/tflite/tflite.h"
#include "kernels/nn/nn_encoded.h"
#include "kernels/quantize/quantize_core.h"

#include <math.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX, GOLDEN_ROWS = 16 };
static const size_t MEMORY_MAX = (size_t)8 << 30;

struct work {
    const struct ig_package *package;
    const struct ig_edge_quantize *options;
    struct ig_edge_quantized *out;
};

/* ---- options ---- */

/* Which of `words` it is; -1: none. */
static int find_word(const char *word, const char *const *words)
{
    for (int i = 0; words[i]; i++)
        if (strcmp(word, words[i]) == 0) return i;
    return -1;
}

enum ig_code ig_edge_quantize_parse(struct ig_edge_quantize *out, const char *to,
                                    const char *calibrator, const char *rounding,
                                    const char *device, struct ig_err *err)
{
    static const char *const TO[] = {"int8", "weights", "float16", NULL};
    static const char *const ROUNDINGS[] = {"single", "double", NULL};
    int kind = find_word(to, TO), rounds = find_word(rounding, ROUNDINGS), by = -1;
    for (int i = 0; i < IG_CALIBRATORS_COUNT; i++)
        if (strcmp(calibrator, ig_calibrator_name((enum ig_calibrator)i)) == 0) by = i;
    out->device = ig_nn_device_find(device);
    if (kind < 0) return ig_fail(err, IG_INVALID, "to: '%s' is unknown", to);
    if (rounds < 0) return ig_fail(err, IG_INVALID, "rounding: '%s' is unknown", rounding);
    if (by < 0 && strcmp(calibrator, "auto") != 0)
        return ig_fail(err, IG_INVALID, "calibrator: '%s' is unknown", calibrator);
    if (!out->device) return ig_fail(err, IG_INVALID, "device: '%s' is unknown", device);
    out->to = (enum ig_edge_quantize_to)kind;
    out->calibrator = by;
    out->rounding = rounds ? IG_NETWORK_ROUNDING_DOUBLE : IG_NETWORK_ROUNDING_SINGLE;
    return IG_OK;
}

/* ---- making ---- */

/* Where element i of the rows lies, in the network's order of features. */
static size_t in_order(const struct work *work, size_t features, size_t i)
{
    const uint32_t *order = work->out->source.features;
    return order ? i / features * features + order[i % features] : i;
}

/* What the network takes of the rows: without an encoder, a missing value has no place in it. */
static enum ig_code make_inputs(float **out, const struct work *work, struct ig_err *err)
{
    const struct ig_model *model = work->package->model;
    const struct ig_edge_quantize *options = work->options;
    size_t features = model->features_count, count = options->rows_count;
    size_t each = model->encoder ? model->encoder->inputs_count : features;
    float *inputs = ig_arena_array(&work->out->arena, count + 1, each * sizeof *inputs);
    if (!inputs) return ig_fail(err, IG_NO_MEMORY, "no memory for %zu rows", count);
    *out = inputs;
    if (model->encoder) {
        ig_encoder_run(model->encoder, options->rows, count, inputs);
        return IG_OK;
    }
    for (size_t i = 0; i < count * features; i++) {
        if (!isfinite(options->rows[i]))
            return ig_fail(err, IG_INVALID, "row %zu: column %zu is no number", i / features + 1,
                           i % features + 1);
        inputs[i] = (float)options->rows[in_order(work, features, i)];
    }
    return IG_OK;
}

static enum ig_code quantize(const struct work *work, struct ig_err *err)
{
    const struct ig_edge_quantize *wanted = work->options;
    struct ig_edge_quantized *out = work->out;
    struct ig_quantize_result result;
    float *inputs = NULL;
    if (!wanted->rows_count) return ig_fail(err, IG_INVALID, "int8 needs rows like those to come");
    if (make_inputs(&inputs, work, err) != IG_OK) return err->code;
    const struct ig_quantize_options options = {.calibrator = wanted->calibrator,
                                                .float_ends = wanted->float_ends,
                                                .symmetric = wanted->symmetric,
                                                .rounding = wanted->rounding,
                                                .gains = wanted->packaged &&
                                                         work->package->model->encoder,
                                                .rows = inputs,
                                                .rows_count = wanted->rows_count};
    if (ig_quantize_core_run(&result, &out->arena, out->source.network, &options, err) != IG_OK)
        return err->code;
    out->made = result.network;
    out->int8 = result.report;
    out->has_int8 = true;
    if (!result.gains) return IG_OK;
    return ig_encoder_add_gains(&out->encoder, &out->arena, result.gains, err);
}

static enum ig_code make(const struct work *work, struct ig_err *err)
{
    enum ig_edge_quantize_to to = work->options->to;
    if (to == IG_EDGE_TO_INT8) return quantize(work, err);
    return ig_weights_run(&work->out->made, work->out->source.network,
                          to == IG_EDGE_TO_FLOAT16 ? IG_WEIGHTS_F16 : IG_WEIGHTS_I8, err);
}

/* ---- judging ---- */

static enum ig_code judge_made(const struct work *work, struct ig_err *err)
{
    const struct ig_package *package = work->package;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    struct ig_edge_quantized *out = work->out;
    size_t features = package->model->features_count;
    size_t count = work->options->rows_count * features;
    struct ig_nn *nn = NULL;
    const double *rows = work->options->rows;
    if (out->source.features) {
        double *ordered = ig_arena_array(&out->arena, count + 1, sizeof *ordered);
        if (!ordered) return ig_fail(err, IG_NO_MEMORY, "no memory for the rows");
        for (size_t i = 0; i < count; i++) ordered[i] = rows[in_order(work, features, i)];
        rows = ordered;
    }
    if (ig_nn_new(&nn, out->made, &options, err) != IG_OK) return err->code;
    const struct ig_nn_encoded encoded = {nn, &out->encoder};
    const struct ig_predictor made =
        package->model->encoder ? ig_nn_encoded_predictor(&encoded) : ig_nn_predictor(nn);
    ig_edge_labels_judge(&out->after, &work->options->labels, &package->schema, &made, rows, err);
    ig_nn_free(nn);
    return err->code;
}

static enum ig_code judge(const struct work *work, struct ig_err *err)
{
    const struct ig_edge_quantize *options = work->options;
    const struct ig_predictor before = ig_predictor_response(work->package->engine);
    if (!options->labels.values) return IG_OK;
    if (options->labels.count != options->rows_count)
        return ig_fail(err, IG_INVALID, "label: %zu labels of %zu rows", options->labels.count,
                       options->rows_count);
    work->out->judged = true;
    if (ig_edge_labels_judge(&work->out->before, &options->labels, &work->package->schema, &before,
                             options->rows, err) != IG_OK)
        return err->code;
    return judge_made(work, err);
}

enum ig_code ig_edge_quantize_run(struct ig_edge_quantized *out, const struct ig_package *package,
                                  const struct ig_edge_quantize *options, struct ig_err *err)
{
    const struct work work = {package, options, out};
    *out = (struct ig_edge_quantized){.source_bytes = package->model_bytes,
                                      .rows_count = options->rows_count};
    ig_arena_init(&out->arena, 1 << 16, MEMORY_MAX);
    ig_buf_init(&out->file, FILE_MAX);
    if (package->model->encoder) out->encoder = *package->model->encoder;
    if (ig_edge_source_open(&out->source, package, err) != IG_OK || make(&work, err) != IG_OK ||
        ig_tflite_write(&out->file, out->made, err) != IG_OK ||
        ig_nn_device_estimate(&out->estimate, options->device, out->made, out->file.len, err) !=
            IG_OK)
        return err->code;
    return judge(&work, err);
}

void ig_edge_quantized_deinit(struct ig_edge_quantized *quantized)
{
    ig_network_free(quantized->made);
    ig_edge_source_deinit(&quantized->source);
    ig_buf_deinit(&quantized->file);
    ig_arena_deinit(&quantized->arena);
}

/* ---- the package ---- */

enum ig_code ig_edge_quantized_package(struct ig_buf *zip,
                                       const struct ig_edge_quantized *quantized,
                                       const struct ig_package *package,
                                       const struct ig_edge_quantize *options,
                                       struct ig_str metadata_json, struct ig_err *err)
{
    size_t features = package->model->features_count;
    size_t count = options->rows_count < GOLDEN_ROWS ? options->rows_count : GOLDEN_ROWS;
    struct ig_arena arena;
    struct ig_json_out out;
    struct ig_buf encoder;
    if (quantized->source.features)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the network takes an image with its channels last, the package's rows "
                       "have them first: a .tflite file can hold it, a package of them not");
    ig_arena_init(&arena, 1 << 16, MEMORY_MAX);
    ig_buf_init(&encoder, FILE_MAX);
    double *golden = ig_arena_array(&arena, count + 1, features * sizeof *golden);
    if (!golden) ig_fail(err, IG_NO_MEMORY, "no memory for golden rows");
    for (size_t i = 0; i < count && golden; i++)
        memcpy(golden + i * features, options->rows + i * options->rows_count / count * features,
               features * sizeof *golden);
    ig_json_out_init(&out, &encoder);
    if (package->model->encoder) ig_encoder_write(&out, &quantized->encoder);
    const struct ig_package_spec spec = {.model_bytes = ig_buf_view(&quantized->file),
                                         .schema = &package->schema,
                                         .encoder_json = ig_buf_view(&encoder),
                                         .name = package->name,
                                         .metadata_json = metadata_json,
                                         .golden_rows = golden,
                                         .golden_count = count};
    if (err->code == IG_OK) ig_package_write(zip, &spec, err);
    ig_buf_deinit(&encoder);
    ig_arena_deinit(&arena);
    return err->code;
}
