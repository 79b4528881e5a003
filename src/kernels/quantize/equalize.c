/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-layer equalization. Between the layers of a pair stand only operators that scale with their
 * input: RELU, pools, RESHAPE. Weights are replaced by copies in the network's arena. */
#include "kernels/quantize/equalize.h"

#include <math.h>

enum { ROUNDS = 8 };
static const float SCALE_MOST = 1024, SETTLED = 1.01F;

struct pair {
    uint32_t before, behind; /* layers */
    float *weights, *bias, *next;
    size_t count, next_count;
    uint32_t channels, next_channels; /* outputs of each layer */
    bool interleaved, next_interleaved;
};

static bool has_weights(const struct ig_network_layer *layer)
{
    return layer->op == IG_NETWORK_CONV_2D || layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           layer->op == IG_NETWORK_FULLY_CONNECTED;
}

/* The one layer that reads a tensor, or NULL. */
static const struct ig_network_layer *reader(const struct ig_network *network, uint32_t tensor)
{
    const struct ig_network_layer *found = NULL;
    for (uint32_t i = 0; i < network->outputs_count; i++)
        if (network->outputs[i] == tensor) return NULL;
    for (uint32_t i = 0; i < network->layers_count; i++)
        for (uint32_t k = 0; k < network->layers[i].inputs_count; k++) {
            if (network->layers[i].inputs[k] != tensor) continue;
            if (found) return NULL;
            found = &network->layers[i];
        }
    return found;
}

static bool scales_along(const struct ig_network_layer *layer)
{
    bool clamps = layer->activation != IG_NETWORK_ACTIVATION_NONE &&
                  layer->activation != IG_NETWORK_ACTIVATION_RELU;
    return !clamps && (layer->op == IG_NETWORK_RELU || layer->op == IG_NETWORK_AVERAGE_POOL_2D ||
                       layer->op == IG_NETWORK_MAX_POOL_2D || layer->op == IG_NETWORK_RESHAPE);
}

/* The layer with weights behind `before` that its channels reach unchanged, or NULL. */
static const struct ig_network_layer *partner(const struct ig_network *network,
                                              const struct ig_network_layer *before)
{
    if (before->activation != IG_NETWORK_ACTIVATION_NONE &&
        before->activation != IG_NETWORK_ACTIVATION_RELU)
        return NULL;
    const struct ig_network_layer *at = reader(network, before->output);
    while (at && scales_along(at)) at = reader(network, at->output);
    return at && has_weights(at) ? at : NULL;
}

static bool used_once(const struct ig_network *network, uint32_t tensor)
{
    uint32_t uses = 0;
    for (uint32_t i = 0; i < network->layers_count; i++)
        for (uint32_t k = 0; k < network->layers[i].inputs_count; k++)
            uses += network->layers[i].inputs[k] == tensor;
    return uses == 1;
}

/* Weights that may be changed, by tensor; one is of two pairs where its layer is. */
static float *own_copy(struct ig_network *network, float **copies, uint32_t tensor)
{
    struct ig_network_tensor *of = &network->tensors[tensor];
    size_t count = ig_network_tensor_count(of);
    if (copies[tensor]) return copies[tensor];
    copies[tensor] = ig_arena_array(&network->arena, count, sizeof(float));
    if (!copies[tensor]) return NULL;
    memcpy(copies[tensor], of->data, count * sizeof(float));
    of->data = copies[tensor];
    return copies[tensor];
}

/* Whether the channels of `before` are those that `behind` reads, repeated over cells. */
static bool make_pair(struct pair *pair, struct ig_network *network, uint32_t before,
                      const struct ig_network_layer *next)
{
    const struct ig_network_layer *layer = &network->layers[before];
    const struct ig_network_tensor *w = ig_network_input(network, layer, 1);
    const struct ig_network_tensor *v = ig_network_input(network, next, 1);
    if (layer->inputs_count < 3 || layer->inputs[2] == IG_NETWORK_NONE) return false;
    if (w->type != IG_NETWORK_F32 || v->type != IG_NETWORK_F32 || !w->data || !v->data)
        return false;
    if (!used_once(network, layer->inputs[1]) || !used_once(network, layer->inputs[2]) ||
        !used_once(network, next->inputs[1]) || next->inputs[0] == next->inputs[1])
        return false;
    *pair = (struct pair){.before = before,
                          .behind = (uint32_t)(next - network->layers),
                          .count = ig_network_tensor_count(w),
                          .next_count = ig_network_tensor_count(v),
                          .interleaved = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D,
                          .next_interleaved = next->op == IG_NETWORK_DEPTHWISE_CONV_2D};
    pair->channels = w->dims[pair->interleaved ? 3 : 0];
    pair->next_channels = v->dims[pair->next_interleaved ? 3 : 0];
    uint32_t read = pair->next_interleaved ? pair->next_channels : v->dims[v->rank - 1];
    return read % pair->channels == 0;
}

/* Channel of the pair that a weight of the layer behind reads. */
static uint32_t read_channel(const struct pair *pair, size_t i)
{
    if (!pair->next_interleaved) return (uint32_t)(i % pair->channels);
    return (uint32_t)(i % pair->next_channels / (pair->next_channels / pair->channels));
}

static uint32_t channel_of(const struct pair *pair, size_t i)
{
    return (uint32_t)(pair->interleaved ? i % pair->channels : i / (pair->count / pair->channels));
}

/* One round; whether a scale was far from 1. */
static bool balance(struct pair *pair, float *before, float *behind)
{
    bool moved = false;
    memset(before, 0, pair->channels * sizeof *before);
    memset(behind, 0, pair->channels * sizeof *behind);
    for (size_t i = 0; i < pair->count; i++) {
        uint32_t c = channel_of(pair, i);
        before[c] = fmaxf(before[c], fabsf(pair->weights[i]));
    }
    for (size_t i = 0; i < pair->next_count; i++) {
        uint32_t c = read_channel(pair, i);
        behind[c] = fmaxf(behind[c], fabsf(pair->next[i]));
    }
    for (uint32_t c = 0; c < pair->channels; c++) {
        float scale = before[c] > 0 && behind[c] > 0 ? sqrtf(before[c] / behind[c]) : 1;
        scale = fminf(fmaxf(scale, 1 / SCALE_MOST), SCALE_MOST);
        moved |= scale > SETTLED || scale < 1 / SETTLED;
        before[c] = scale;
        pair->bias[c] /= scale;
    }
    for (size_t i = 0; i < pair->count; i++) pair->weights[i] /= before[channel_of(pair, i)];
    for (size_t i = 0; i < pair->next_count; i++) pair->next[i] *= before[read_channel(pair, i)];
    return moved;
}

enum ig_code ig_equalize_run(uint32_t *pairs_count, struct ig_network *network, struct ig_err *err)
{
    struct ig_arena *arena = &network->arena;
    struct pair *pairs = ig_arena_array(arena, network->layers_count, sizeof *pairs);
    float **copies = ig_arena_array(arena, network->tensors_count, sizeof *copies);
    uint32_t count = 0, widest = 0;
    for (uint32_t i = 0; pairs && copies && i < network->layers_count; i++) {
        const struct ig_network_layer *layer = &network->layers[i];
        const struct ig_network_layer *next = has_weights(layer) ? partner(network, layer) : NULL;
        if (!next || !make_pair(&pairs[count], network, i, next)) continue;
        if (pairs[count].channels > widest) widest = pairs[count].channels;
        pairs[count].weights = own_copy(network, copies, layer->inputs[1]);
        pairs[count].bias = own_copy(network, copies, layer->inputs[2]);
        pairs[count].next = own_copy(network, copies, next->inputs[1]);
        count++;
    }
    float *before = ig_arena_array(arena, widest + (size_t)1, sizeof *before);
    float *behind = ig_arena_array(arena, widest + (size_t)1, sizeof *behind);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "equalization");
    bool moved = true;
    for (int round = 0; round < ROUNDS && moved; round++) {
        moved = false;
        for (uint32_t i = 0; i < count; i++) moved |= balance(&pairs[i], before, behind);
    }
    *pairs_count = count;
    return IG_OK;
}
