/* SPDX-License-Identifier: Apache-2.0 */
/* A TensorFlow Lite file as a model that is served: a row is the elements of all inputs in order,
 * as real numbers, and the values are those of all outputs. */
#include "base/mem.h"
#include "formats/format.h"
#include "formats/tflite/tflite.h"

#include <string.h>

enum { NUMBERS_FLOOR = 1 << 16, FEATURE_BYTES = 128, NAME_MAX = 64 };

bool ig_tflite_probe(struct ig_str bytes)
{
    return bytes.len >= 8 && memcmp(bytes.ptr + 4, "TFL3", 4) == 0;
}

/* Numbers of all tensors of a list; 0 when they exceed `most`. */
static uint32_t elements(const struct ig_network *network, const uint32_t *tensors, uint32_t count,
                         uint32_t most)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ig_network_tensor_count(&network->tensors[tensors[i]]);
    return sum > most ? 0 : (uint32_t)sum;
}

/* Whether one output holds probabilities: a softmax's or logistic's, in whatever shape and type. */
static bool gives_probabilities(const struct ig_network *network)
{
    if (network->outputs_count != 1) return false;
    uint32_t tensor = network->outputs[0];
    for (uint32_t i = network->layers_count; i-- > 0;) {
        const struct ig_network_layer *layer = &network->layers[i];
        if (layer->output != tensor) continue;
        if (layer->op == IG_NETWORK_SOFTMAX || layer->op == IG_NETWORK_LOGISTIC) return true;
        if (layer->op != IG_NETWORK_RESHAPE && layer->op != IG_NETWORK_DEQUANTIZE &&
            layer->op != IG_NETWORK_QUANTIZE)
            return false;
        tensor = layer->inputs[0];
    }
    return false;
}

/* A single number has its input's name, those of a wide input are counted. None may be missing. */
static bool name_inputs(struct ig_model *model, const struct ig_network *network)
{
    struct ig_arena *arena = &model->arena;
    uint32_t at = 0;
    model->inputs = ig_arena_array(arena, model->features_count, sizeof *model->inputs);
    for (uint32_t i = 0; model->inputs && i < network->inputs_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[network->inputs[i]];
        size_t count = ig_network_tensor_count(tensor);
        struct ig_str name = tensor->name;
        if (name.len > NAME_MAX) name.len = NAME_MAX;
        for (size_t k = 0; k < count; k++, at++) {
            model->inputs[at].kind = IG_INPUT_NUMERIC;
            model->inputs[at].required = true;
            if (!name.len || !ig_str_utf8_valid(name) || (count > 1 && network->inputs_count == 1))
                continue;
            const char *text = count == 1
                                   ? ig_arena_printf(arena, "%.*s", IG_STR_ARGS(name))
                                   : ig_arena_printf(arena, "%.*s_%zu", IG_STR_ARGS(name), k);
            model->inputs[at].name = ig_str_view(text);
        }
    }
    return model->inputs && !arena->overflowed;
}

static enum ig_code fill(struct ig_model *model, const struct ig_network *network, size_t most,
                         struct ig_err *err)
{
    uint32_t bound = most > INT32_MAX ? INT32_MAX : (uint32_t)most;
    uint32_t features = elements(network, network->inputs, network->inputs_count, bound);
    uint32_t outputs = elements(network, network->outputs, network->outputs_count, bound);
    if (!features || !outputs)
        return ig_fail(err, IG_UNSUPPORTED, "inputs and outputs of 1 to %u numbers are served",
                       bound);
    bool probabilities = gives_probabilities(network);
    const char *kind = !probabilities ? "network"
                       : outputs == 1 ? "binary:network"
                                      : "multi:network";
    model->kind = IG_MODEL_NETWORK;
    model->sum_rule = IG_SUM_F64;
    model->features_count = features;
    model->outputs_count = model->predictions_count = outputs;
    model->transform = probabilities ? IG_TRANSFORM_PROBABILITY : IG_TRANSFORM_IDENTITY;
    model->base_margin = ig_arena_array(&model->arena, outputs, sizeof(double));
    model->objective = ig_arena_dup(&model->arena, ig_str_view(kind));
    model->source_version = ig_arena_dup(
        &model->arena, network->description.len ? network->description : IG_STR("schema 3"));
    if (model->base_margin && name_inputs(model, network)) return IG_OK;
    return ig_fail(err, IG_NO_MEMORY, "the model exceeds its memory");
}

/* The network borrows its constants from the model's own copy of the file. */
enum ig_code ig_tflite_load(struct ig_model **out, struct ig_str bytes, struct ig_err *err)
{
    /* A file may declare more numbers than it has bytes, within reason. */
    size_t most = bytes.len + NUMBERS_FLOOR, max_bytes;
    if (!ig_mul(&max_bytes, most, 1 + FEATURE_BYTES + sizeof(struct ig_input)))
        return ig_fail(err, IG_TOO_LARGE, "%zu bytes", bytes.len);
    struct ig_model *model = ig_model_new(max_bytes);
    void *copy = model ? ig_arena_alloc_aligned(&model->arena, bytes.len + 1, 64) : NULL;
    if (!copy) {
        ig_model_free(model);
        return ig_fail(err, IG_NO_MEMORY, "no memory for %zu bytes", bytes.len);
    }
    memcpy(copy, bytes.ptr, bytes.len);
    if (ig_tflite_network(&model->network, (struct ig_str){copy, bytes.len}, err) == IG_OK &&
        fill(model, model->network, most, err) == IG_OK && ig_model_check(model, err) == IG_OK) {
        *out = model;
        return IG_OK;
    }
    ig_model_free(model);
    return ig_err_code(err);
}
