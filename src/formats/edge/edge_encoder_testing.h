/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_EDGE_EDGE_ENCODER_TESTING_H
#define IG_FORMATS_EDGE_EDGE_ENCODER_TESTING_H

/* For tests only: encoders of every kind of feature before random networks, and rows for them. */

#include "base/random.h"
#include "formats/edge/edge_priv.h"
#include "kernels/nn/nn.h"
#include "kernels/quantize/network_testing.h"

#include <math.h>

/* So many inputs, of numbers with and without ranks, categories, and what is missing. */
static inline struct ig_encoder *ig_testing_encoder(struct ig_arena *arena, uint32_t inputs,
                                                    struct ig_rng *rng)
{
    struct ig_encoder *encoder = ig_arena_zalloc(arena, sizeof *encoder);
    encoder->features = ig_arena_array(arena, inputs, sizeof *encoder->features);
    while (encoder->inputs_count < inputs) {
        uint32_t left = inputs - encoder->inputs_count, kind = (uint32_t)ig_rng_below(rng, 4);
        struct ig_encoder_feature *feature = &encoder->features[encoder->features_count++];
        *feature = (struct ig_encoder_feature){.mean = (float)(ig_rng_unit(rng) * 20 - 10),
                                               .deviation = (float)ig_rng_unit(rng) + 0.01F,
                                               .first = encoder->inputs_count};
        if (kind == 0) feature->categories = 1 + (uint32_t)ig_rng_below(rng, left > 9 ? 9 : left);
        if (kind == 0) feature->mean = 0;
        if (kind == 0) feature->deviation = 1;
        if (kind == 1 && left > 1) feature->knots_count = 2 + (uint32_t)ig_rng_below(rng, 32);
        for (uint32_t k = 0; k < feature->knots_count; k++)
            feature->knots[k] = (k ? feature->knots[k - 1] : feature->mean - 1) +
                                (float)ig_rng_unit(rng) / 8 + 0.001F;
        feature->missing = ig_rng_below(rng, 2) && ig_encoder_columns(feature) < left;
        encoder->inputs_count += ig_encoder_columns(feature);
    }
    if (ig_rng_below(rng, 2)) {
        float *gains = ig_arena_array(arena, inputs, sizeof *gains);
        for (uint32_t i = 0; i < inputs; i++) gains[i] = (float)exp(ig_rng_unit(rng) * 4 - 2);
        encoder->gains = gains;
    }
    return encoder;
}

static inline float ig_testing_cell(const struct ig_encoder_feature *feature, struct ig_rng *rng)
{
    static const float STRANGE[] = {NAN, INFINITY, -INFINITY, 3e38F, -3e38F, -0.0F, 1e-42F, -1};
    uint32_t kind = (uint32_t)ig_rng_below(rng, 8);
    if (kind == 0) return STRANGE[ig_rng_below(rng, sizeof STRANGE / sizeof *STRANGE)];
    if (feature->categories) return (float)(int)ig_rng_below(rng, feature->categories + 2) - 0.5F;
    if (kind == 1 && feature->knots_count)
        return feature->knots[ig_rng_below(rng, feature->knots_count)];
    return feature->mean + feature->deviation * ((float)ig_rng_unit(rng) * 14 - 7);
}

/* The next network of one input of at most 1000 elements, from `*seed` on, which is counted up. */
static inline struct ig_network *ig_testing_encoded_network(uint64_t *seed)
{
    for (;;) {
        struct ig_network *network = ig_testing_network((*seed)++);
        if (network->inputs_count == 1 &&
            ig_network_tensor_count(&network->tensors[network->inputs[0]]) <= 1000)
            return network;
        ig_network_free(network);
    }
}

/* What the server computes of a row: its network's first output. */
static inline void ig_testing_encoded_run(void *output, const struct ig_network *network,
                                          const struct ig_encoder *encoder, const double *row)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_nn *nn = NULL;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    const struct ig_network_tensor *tensor = &network->tensors[network->inputs[0]];
    ig_arena_init(&arena, 65536, SIZE_MAX / 2);
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    float *floats = ig_arena_array(&arena, encoder->inputs_count, sizeof *floats);
    int8_t *bytes = ig_arena_alloc(&arena, encoder->inputs_count);
    void *scratch = ig_arena_alloc_aligned(&arena, ig_nn_scratch_bytes(nn) + 1, 64);
    void **outputs = ig_arena_array(&arena, network->outputs_count, sizeof *outputs);
    for (uint32_t i = 0; i < network->outputs_count; i++)
        outputs[i] =
            ig_arena_alloc(&arena, ig_network_tensor_bytes(&network->tensors[network->outputs[i]]));
    ig_encoder_run(encoder, row, 1, floats);
    bool int8 = tensor->type == IG_NETWORK_I8;
    for (uint32_t i = 0; int8 && i < encoder->inputs_count; i++)
        bytes[i] = nn_quantize(floats[i], tensor->quantization.scales[0],
                               tensor->quantization.zero_points[0]);
    ig_nn_run(nn, (const void *[]){int8 ? (const void *)bytes : floats}, outputs, scratch);
    memcpy(output, outputs[0], ig_network_tensor_bytes(&network->tensors[network->outputs[0]]));
    ig_nn_free(nn);
    ig_arena_deinit(&arena);
}

#endif
