/* SPDX-License-Identifier: Apache-2.0 */
/* One function a format, of the same arguments. Stateless. */
#include "services/edge/edge_export.h"

#include "formats/coreml/coreml.h"
#include "formats/edge/edge_encoder_c.h"
#include "formats/onnx/onnx.h"
#include "formats/tflite/tflite.h"
#include "kernels/train/encoder.h"

static const size_t MEMORY_MAX = (size_t)8 << 30;

static const struct ig_edge_format_info FORMATS[] = {
#define IG_EDGE_FORMAT(id, name, ending, media_type, doc) {name, ending, media_type, doc},
#include "services/edge/edge_formats.def"
#undef IG_EDGE_FORMAT
};

const struct ig_edge_format_info *ig_edge_format_info(enum ig_edge_format format)
{
    return &FORMATS[format];
}

enum ig_code ig_edge_format_parse(enum ig_edge_format *out, struct ig_str name, struct ig_err *err)
{
    struct ig_buf known;
    for (int i = 0; i < IG_EDGE_FORMATS_COUNT; i++) {
        if (!ig_str_is(name, FORMATS[i].name)) continue;
        *out = (enum ig_edge_format)i;
        return IG_OK;
    }
    ig_buf_init(&known, 256);
    for (int i = 0; i < IG_EDGE_FORMATS_COUNT; i++)
        ig_buf_printf(&known, "%s%s", i ? ", " : "", FORMATS[i].name);
    ig_fail(err, IG_INVALID, "format: '%.*s' is not one of %.*s",
            name.len > 40 ? 40 : (int)name.len, name.len ? name.ptr : "",
            IG_STR_ARGS(ig_buf_view(&known)));
    ig_buf_deinit(&known);
    return err->code;
}

bool ig_edge_format_of_file(enum ig_edge_format *out, struct ig_str file)
{
    for (int i = 0; i < IG_EDGE_FORMATS_COUNT; i++) {
        if (!ig_str_ends(file, ig_str_view(FORMATS[i].ending))) continue;
        *out = (enum ig_edge_format)i;
        return true;
    }
    return false;
}

bool ig_edge_export_encoded(const struct ig_package *package, enum ig_edge_format format)
{
    return package->model->encoder &&
           (format == IG_EDGE_FORMAT_TFLITE || format == IG_EDGE_FORMAT_MLMODEL);
}

struct work {
    const struct ig_package *package;
    const struct ig_edge_export *options;
    struct ig_buf *out;
};

static enum ig_code write_onnx(const struct work *work, struct ig_err *err)
{
    return ig_onnx_write(work->out, work->package->model, &work->package->schema, err);
}

/* An ONNX graph is written as the network that it can be read as. */
static enum ig_code write_mlmodel(const struct work *work, struct ig_err *err)
{
    struct ig_edge_source from = {0};
    struct ig_model model = *work->package->model;
    if (model.kind == IG_MODEL_GRAPH && ig_edge_source_open(&from, work->package, err) == IG_OK) {
        model.kind = IG_MODEL_NETWORK;
        model.network = from.made;
    }
    if (err->code == IG_OK) ig_coreml_write(work->out, &model, &work->package->schema, err);
    ig_edge_source_deinit(&from);
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

static enum ig_code write_tflite(const struct work *work, struct ig_err *err)
{
    struct ig_edge_source from = {0};
    struct ig_network *stripped = NULL;
    bool strip = work->options->strip_names;
    if (ig_edge_source_open(&from, work->package, err) == IG_OK) {
        if (strip && !(stripped = strip_names(from.network)))
            ig_fail(err, IG_NO_MEMORY, "no memory for a copy of the network");
        else
            ig_tflite_write(work->out, strip ? stripped : from.network, err);
    }
    ig_network_free(stripped);
    ig_edge_source_deinit(&from);
    return err->code;
}

static enum ig_code write_encoder(const struct work *work, struct ig_err *err)
{
    const struct ig_model *model = work->package->model;
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
                                            .schema = &work->package->schema,
                                            .name = work->options->name};
    return ig_edge_encoder_c_write(work->out, &encoder, err);
}

static enum ig_code write_c(const struct work *work, struct ig_err *err)
{
    struct ig_str name = work->options->name;
    struct ig_edge_pack pack;
    if (ig_edge_pack_init(&pack, work->package, &work->options->choice, err) == IG_OK) {
        if (pack.network)
            ig_edge_write_network_c(work->out, pack.network, name, err);
        else
            ig_edge_write_c(work->out, pack.trees, name, err);
    }
    ig_edge_pack_deinit(&pack);
    return err->code;
}

static enum ig_code write_ige(const struct work *work, struct ig_err *err)
{
    struct ig_edge_pack pack;
    if (ig_edge_pack_init(&pack, work->package, &work->options->choice, err) == IG_OK)
        ig_edge_pack_write(work->out, &pack, err);
    ig_edge_pack_deinit(&pack);
    return err->code;
}

enum ig_code ig_edge_export_write(struct ig_buf *out, const struct ig_package *package,
                                  const struct ig_edge_export *options, struct ig_err *err)
{
    static enum ig_code (*const WRITERS[])(const struct work *, struct ig_err *) = {
        [IG_EDGE_FORMAT_ENCODER] = write_encoder, [IG_EDGE_FORMAT_C] = write_c,
        [IG_EDGE_FORMAT_IGE] = write_ige,         [IG_EDGE_FORMAT_MLMODEL] = write_mlmodel,
        [IG_EDGE_FORMAT_ONNX] = write_onnx,       [IG_EDGE_FORMAT_TFLITE] = write_tflite,
    };
    const struct work work = {package, options, out};
    return WRITERS[options->format](&work, err);
}
