/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge export`: a model in the format of another runtime, or as C source. */
#include "cmd_edge.h"

#include "edge_network.h"
#include "model_source.h"

#include "base/file.h"
#include "formats/coreml/coreml.h"
#include "formats/edge/edge.h"
#include "formats/edge/edge_encoder_c.h"
#include "formats/onnx/onnx.h"
#include "formats/tflite/tflite.h"

#include <stdio.h>
#include <string.h>

enum { FILE_MAX = INT32_MAX };
static const size_t MEMORY_MAX = (size_t)8 << 30;

struct job {
    const struct ig_cli *cli;
    const struct ig_package *package;
    struct ig_buf *out;
};

static enum ig_code export_onnx(const struct job *job, struct ig_err *err)
{
    return ig_onnx_write(job->out, job->package->model, &job->package->schema, err);
}

/* The package's model; of an ONNX graph a view of it as the network that it can be read as. */
static enum ig_code view_model(struct ig_model *out, struct ig_edge_network *from,
                               const struct job *job, struct ig_err *err)
{
    *out = *job->package->model;
    if (out->kind != IG_MODEL_GRAPH) return IG_OK;
    if (ig_edge_network_open(from, job->package, err) != IG_OK) return err->code;
    out->kind = IG_MODEL_NETWORK;
    out->network = from->made;
    return IG_OK;
}

static enum ig_code export_mlmodel(const struct job *job, struct ig_err *err)
{
    struct ig_edge_network from = {0};
    struct ig_model model;
    if (view_model(&model, &from, job, err) == IG_OK)
        ig_coreml_write(job->out, &model, &job->package->schema, err);
    ig_edge_network_deinit(&from);
    return err->code;
}

static bool is_end(const struct ig_network *network, uint32_t tensor)
{
    for (uint32_t i = 0; i < network->inputs_count; i++)
        if (network->inputs[i] == tensor) return true;
    for (uint32_t i = 0; i < network->outputs_count; i++)
        if (network->outputs[i] == tensor) return true;
    return false;
}

/* A copy whose tensors have no names, but for its inputs and outputs. */
static struct ig_network *strip_names(const struct ig_network *network)
{
    struct ig_network *copy = ig_network_dup(network, MEMORY_MAX);
    if (!copy) return NULL;
    for (uint32_t i = 0; i < copy->tensors_count; i++)
        if (!is_end(copy, i)) copy->tensors[i].name = IG_STR("");
    copy->description = IG_STR("");
    return copy;
}

static enum ig_code export_tflite(const struct job *job, struct ig_err *err)
{
    struct ig_edge_network from = {0};
    struct ig_network *stripped = NULL;
    bool strip = ig_cli_flag(job->cli, "strip-names");
    if (ig_edge_network_open(&from, job->package, err) == IG_OK) {
        if (strip && !(stripped = strip_names(from.network)))
            ig_fail(err, IG_NO_MEMORY, "no memory for a copy of the network");
        else
            ig_tflite_write(job->out, strip ? stripped : from.network, err);
    }
    ig_network_free(stripped);
    ig_edge_network_deinit(&from);
    return err->code;
}

static void write_c(const struct job *job, const struct ig_cmd_edge_compact *compact,
                    struct ig_err *err)
{
    struct ig_str name = ig_str_view(ig_cli_text(job->cli, "name"));
    if (compact->network)
        ig_edge_write_network_c(job->out, compact->network, name, err);
    else
        ig_edge_write_c(job->out, compact->trees, name, err);
}

static enum ig_code export_encoder(const struct job *job, struct ig_err *err)
{
    const struct ig_model *model = job->package->model;
    if (!model->encoder)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the model has no encoder: it takes its inputs as they are");
    if (model->network->inputs_count != 1)
        return ig_fail(err, IG_UNSUPPORTED,
                       "the network has %u inputs, an encoder is written for one",
                       model->network->inputs_count);
    const struct ig_edge_encoder encoder = {.encoder = model->encoder,
                                            .input =
                                                &model->network->tensors[model->network->inputs[0]],
                                            .schema = &job->package->schema,
                                            .name = ig_str_view(ig_cli_text(job->cli, "name"))};
    return ig_edge_encoder_c_write(job->out, &encoder, err);
}

static enum ig_code export_compact(const struct job *job, bool source, struct ig_err *err)
{
    struct ig_cmd_edge_compact compact = {0};
    struct ig_edge_network from = {0};
    struct ig_model model;
    if (view_model(&model, &from, job, err) == IG_OK &&
        ig_cmd_edge_compact(&compact, job->cli, &model, err) == IG_OK) {
        if (source)
            write_c(job, &compact, err);
        else
            ig_cmd_edge_write(job->out, &compact, err);
    }
    ig_cmd_edge_compact_free(&compact);
    ig_edge_network_deinit(&from);
    return err->code;
}

static enum ig_code export_c(const struct job *job, struct ig_err *err)
{
    return export_compact(job, true, err);
}

static enum ig_code export_ige(const struct job *job, struct ig_err *err)
{
    return export_compact(job, false, err);
}

static const struct {
    const char *name, *ending;
    enum ig_code (*run)(const struct job *job, struct ig_err *err);
} FORMATS[] = {
    {"encoder", ".encoder.c", export_encoder},
    {"c", ".c", export_c},
    {"ige", ".ige", export_ige},
    {"mlmodel", ".mlmodel", export_mlmodel},
    {"onnx", ".onnx", export_onnx},
    {"tflite", ".tflite", export_tflite},
};
enum { FORMATS_COUNT = sizeof FORMATS / sizeof *FORMATS };

/* What --format says, else the output's ending; FORMATS_COUNT when neither tells. */
static size_t wanted(const struct ig_cli *cli)
{
    const char *format = ig_cli_text(cli, "format");
    struct ig_str output = ig_str_view(ig_cli_text(cli, "output"));
    bool by_name = strcmp(format, "auto") != 0;
    size_t i = 0;
    while (i < FORMATS_COUNT && !(by_name ? strcmp(FORMATS[i].name, format) == 0
                                          : ig_str_ends(output, ig_str_view(FORMATS[i].ending))))
        i++;
    return i;
}

int ig_cmd_edge_export(const struct ig_cli *cli)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_package *package = NULL;
    struct ig_buf out;
    size_t format = wanted(cli);
    if (format == FORMATS_COUNT)
        return ig_cli_usage(cli, "--output %s: its ending names no format; give --format",
                            ig_cli_text(cli, "output"));
    ig_buf_init(&out, FILE_MAX);
    if (ig_model_source_open_uri(&package, cli, cli->operands[0], &err) == IG_OK) {
        const struct job job = {cli, package, &out};
        if (FORMATS[format].run(&job, &err) == IG_OK &&
            ig_file_replace(IG_FILE_CWD, ig_cli_text(cli, "output"), ig_buf_view(&out), &err) ==
                IG_OK &&
            package->model->encoder && FORMATS[format].run != export_onnx &&
            FORMATS[format].run != export_encoder)
            printf("its inputs are encoded ones: --format encoder writes what makes them\n");
    }
    ig_package_free(package);
    ig_buf_deinit(&out);
    return err.code == IG_OK ? IG_EXIT_OK : ig_cli_fail(cli, &err, NULL);
}
