/* SPDX-License-Identifier: Apache-2.0 */
/* What a network is as a model, whatever file it came from. Stateless. */
#include "formats/network_model.h"

enum { NAME_MAX = 64 };

/* Numbers of all tensors of a list; 0 when they exceed `most`. */
static uint32_t elements(const struct ig_network *network, const uint32_t *tensors, uint32_t count,
                         uint32_t most)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ig_network_tensor_count(&network->tensors[tensors[i]]);
    return sum > most ? 0 : (uint32_t)sum;
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

enum ig_code ig_network_model_fill(struct ig_model *model, struct ig_str version, size_t most,
                                   struct ig_err *err)
{
    const struct ig_network *network = model->network;
    uint32_t bound = most > INT32_MAX ? INT32_MAX : (uint32_t)most;
    uint32_t features = elements(network, network->inputs, network->inputs_count, bound);
    uint32_t outputs = elements(network, network->outputs, network->outputs_count, bound);
    if (!features || !outputs)
        return ig_fail(err, IG_UNSUPPORTED, "inputs and outputs of 1 to %u numbers are served",
                       bound);
    bool probabilities = ig_network_gives_probabilities(network);
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
    model->source_version = ig_arena_dup(&model->arena, version);
    if (model->base_margin && name_inputs(model, network)) return ig_model_check(model, err);
    return ig_fail(err, IG_NO_MEMORY, "the model exceeds its memory");
}
