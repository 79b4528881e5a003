/* SPDX-License-Identifier: Apache-2.0 */
/* Encoder and network in one. Scratch: the network's, then the inputs of a row as doubles, then as
 * floats. Thread rule: pure. */
#include "kernels/nn/nn_encoded.h"

enum { ALIGNMENT = 64 };

static size_t network_bytes(const struct ig_nn_encoded *encoded)
{
    return (ig_nn_scratch_bytes(encoded->nn) + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

static size_t scratch_bytes(const struct ig_predictor *predictor, size_t rows_count)
{
    const struct ig_nn_encoded *encoded = predictor->context;
    (void)rows_count;
    return network_bytes(encoded) +
           encoded->encoder->inputs_count * (sizeof(double) + sizeof(float));
}

static void run(const struct ig_predictor *predictor, const double *rows, size_t rows_count,
                double *values, void *scratch)
{
    const struct ig_nn_encoded *encoded = predictor->context;
    const struct ig_encoder *encoder = encoded->encoder;
    const struct ig_predictor network = ig_nn_predictor(encoded->nn);
    double *inputs = (void *)((char *)scratch + network_bytes(encoded));
    float *floats = (void *)(inputs + encoder->inputs_count);
    for (size_t i = 0; i < rows_count; i++) {
        ig_encoder_run(encoder, rows + i * encoder->features_count, 1, floats);
        for (uint32_t k = 0; k < encoder->inputs_count; k++) inputs[k] = (double)floats[k];
        network.run(&network, inputs, 1, values + i * network.values_count, scratch);
    }
}

struct ig_predictor ig_nn_encoded_predictor(const struct ig_nn_encoded *encoded)
{
    return (struct ig_predictor){encoded->encoder->features_count,
                                 ig_nn_predictor(encoded->nn).values_count, encoded, run,
                                 scratch_bytes};
}
