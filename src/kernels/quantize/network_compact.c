/* SPDX-License-Identifier: Apache-2.0 */
/* A network's tensors and layers as a device has them. Constants that layers with weights read are
 * theirs; other constants are tensors. */
#include "kernels/quantize/network_compact_priv.h"

#include <math.h>
#include <string.h>

enum { CHUNK_BYTES = 16384, MEMORY_MAX = 1 << 26 };

uint32_t compact_constants_begin(struct ig_network_compact *compact)
{
    while (compact->constants.len % 4 && !compact->constants.overflowed)
        ig_buf_add_char(&compact->constants, 0);
    return (uint32_t)compact->constants.len;
}

static bool has_weights(enum ig_network_op op)
{
    return op == IG_NETWORK_CONV_2D || op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           op == IG_NETWORK_FULLY_CONNECTED;
}

static enum ig_code add_tensor(struct ig_network_compact *compact, uint32_t *index,
                               uint32_t *numbers, uint32_t tensor, struct ig_err *err)
{
    const struct ig_network_tensor *from = &compact->network->tensors[tensor];
    if (numbers[tensor]) {
        *index = numbers[tensor] - 1;
        return IG_OK;
    }
    struct ig_compact_tensor *made = &compact->tensors[compact->tensors_count];
    *made = (struct ig_compact_tensor){.tensor = from, .constant = from->data != NULL};
    if (from->rank > IG_COMPACT_RANK_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "a tensor of rank %u, at most %d on devices",
                       from->rank, IG_COMPACT_RANK_MAX);
    for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++) {
        made->dims[d] = d < from->rank ? from->dims[d] : 1;
        if (made->dims[d] > IG_COMPACT_DIM_MAX)
            return ig_fail(err, IG_UNSUPPORTED, "dimension %u is %u, at most %d on devices", d,
                           made->dims[d], IG_COMPACT_DIM_MAX);
    }
    if (made->constant && from->type != IG_NETWORK_I8)
        return ig_fail(err, IG_UNSUPPORTED, "a constant of type %s, int8 on devices",
                       ig_network_type_name(from->type));
    if (made->constant) {
        made->offset = compact_constants_begin(compact);
        ig_buf_add(&compact->constants, from->data, ig_network_tensor_bytes(from));
    }
    numbers[tensor] = ++compact->tensors_count;
    *index = numbers[tensor] - 1;
    return IG_OK;
}

static uint64_t products_of(const struct ig_network_compact *compact,
                            const struct ig_compact_layer *made)
{
    if (!has_weights(made->layer->op)) return 0;
    const struct ig_network_tensor *weights = compact_in(compact, made, 1);
    uint64_t outputs = ig_network_tensor_count(compact_out(compact, made));
    return outputs * (ig_network_tensor_count(weights) / made->channels);
}

static enum ig_code add_layer(struct ig_network_compact *compact, uint32_t *numbers,
                              uint32_t number, struct ig_err *err)
{
    const struct ig_network_layer *layer = &compact->network->layers[number];
    struct ig_compact_layer *made = &compact->layers[number];
    made->layer = layer;
    made->inputs_count = has_weights(layer->op) ? 1 : layer->inputs_count;
    made->inputs = ig_arena_array(&compact->arena, made->inputs_count, sizeof *made->inputs);
    if (!made->inputs) return ig_fail(err, IG_NO_MEMORY, "no memory for its inputs");
    for (uint32_t i = 0; i < made->inputs_count; i++)
        if (add_tensor(compact, &made->inputs[i], numbers, layer->inputs[i], err) != IG_OK)
            return err->code;
    if (add_tensor(compact, &made->output, numbers, layer->output, err) != IG_OK ||
        compact_layer(compact, made, err) != IG_OK)
        return err->code;
    compact->products += products_of(compact, made);
    return IG_OK;
}

static enum ig_code add_ends(struct ig_network_compact *compact, uint32_t *numbers,
                             struct ig_err *err)
{
    const struct ig_network *network = compact->network;
    for (uint32_t i = 0; i < network->inputs_count; i++)
        if (add_tensor(compact, &compact->inputs[i], numbers, network->inputs[i], err) != IG_OK)
            return err->code;
    for (uint32_t i = 0; i < network->outputs_count; i++)
        if (add_tensor(compact, &compact->outputs[i], numbers, network->outputs[i], err) != IG_OK)
            return err->code;
    return IG_OK;
}

static void set_threshold(struct ig_network_compact *compact)
{
    const struct ig_network *network = compact->network;
    const struct ig_network_tensor *out = &network->tensors[network->outputs[0]];
    compact->probability =
        ig_network_gives_probabilities(network) && ig_network_tensor_count(out) == 1;
    if (out->type != IG_NETWORK_I8) return;
    double steps = compact->probability ? floor(0.5 / (double)out->quantization.scales[0]) : 0;
    steps += out->quantization.zero_points[0];
    compact->class_threshold = (int32_t)fmin(steps, INT8_MAX);
}

static enum ig_code build(struct ig_network_compact *compact, struct ig_err *err)
{
    const struct ig_network *network = compact->network;
    struct ig_arena *arena = &compact->arena;
    uint32_t *numbers = ig_arena_array(arena, network->tensors_count + (size_t)1, sizeof *numbers);
    compact->tensors =
        ig_arena_array(arena, network->tensors_count + (size_t)1, sizeof *compact->tensors);
    compact->layers =
        ig_arena_array(arena, network->layers_count + (size_t)1, sizeof *compact->layers);
    compact->inputs = ig_arena_array(arena, network->inputs_count + (size_t)1, sizeof(uint32_t));
    compact->outputs = ig_arena_array(arena, network->outputs_count + (size_t)1, sizeof(uint32_t));
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "no memory for the network");
    compact->layers_count = network->layers_count;
    compact->inputs_count = network->inputs_count;
    compact->outputs_count = network->outputs_count;
    if (network->layers_count > IG_COMPACT_LAYERS_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "%u layers, at most %d on devices",
                       network->layers_count, IG_COMPACT_LAYERS_MAX);
    if (!network->inputs_count) return ig_fail(err, IG_UNSUPPORTED, "the network has no input");
    if (add_ends(compact, numbers, err) != IG_OK) return err->code;
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (add_layer(compact, numbers, i, err) != IG_OK) {
            ig_err_prefix(err, "layer %u (%s)", i, ig_network_op_name(network->layers[i].op));
            return err->code;
        }
    if (compact->constants.overflowed)
        return ig_fail(err, IG_TOO_LARGE, "constants of over %d bytes",
                       IG_COMPACT_NETWORK_BYTES_MAX);
    set_threshold(compact);
    return IG_OK;
}

enum ig_code ig_network_compact_prepare(struct ig_network_compact **out,
                                        const struct ig_network *network, struct ig_err *err)
{
    struct ig_network_compact *compact = ig_zalloc(sizeof *compact);
    if (!compact) return ig_fail(err, IG_NO_MEMORY, "no memory for a compact network");
    ig_arena_init(&compact->arena, CHUNK_BYTES, MEMORY_MAX);
    ig_buf_init(&compact->constants, IG_COMPACT_NETWORK_BYTES_MAX);
    compact->network = network;
    if (build(compact, err) == IG_OK) {
        *out = compact;
        return IG_OK;
    }
    ig_network_compact_free(compact);
    return ig_err_code(err);
}

enum ig_code ig_network_compact_new(struct ig_network_compact **out,
                                    const struct ig_network *network, struct ig_err *err)
{
    struct ig_network_compact *compact = NULL;
    if (ig_network_compact_prepare(&compact, network, err) == IG_OK &&
        compact_plan(compact, err) == IG_OK) {
        *out = compact;
        return IG_OK;
    }
    ig_network_compact_free(compact);
    return err->code;
}

void ig_network_compact_free(struct ig_network_compact *compact)
{
    if (!compact) return;
    ig_buf_deinit(&compact->constants);
    ig_arena_deinit(&compact->arena);
    ig_free(compact);
}
