/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/quantize/quantize_tune.h"
#include "kernels/train/layers.h"

#include <math.h>
#include <string.h>

enum { INPUTS = 6, UNITS = 8, ROWS = 256, BATCH = 64 };

static float rows[ROWS * INPUTS], logits[ROWS];

static double error_of(struct ig_backprop *bp)
{
    double sum = 0;
    for (size_t first = 0; first < ROWS; first += BATCH) {
        ig_backprop_forward(bp, rows + first * INPUTS, BATCH, IG_BACKPROP_INFER);
        const float *values = ig_backprop_values(bp, ig_backprop_logits(bp));
        for (size_t i = 0; i < BATCH; i++) sum += pow((double)(values[i] - logits[first + i]), 2);
    }
    return sum / ROWS;
}

static float *weights_of(struct ig_network *network, uint32_t layer)
{
    const void *data = ig_network_input(network, &network->layers[layer], 1)->data;
    float *weights;
    memcpy(&weights, &data, sizeof weights);
    return weights;
}

/* A weight so large that the others have few steps, zeros, and an output in units of its own. */
static struct ig_network *uneven(float unit)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    struct ig_rng rng;
    bool norms[2 * IG_LAYERS_MAX];
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = UNITS, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 1}};
    if (ig_layers_make(&network, norms, &(struct ig_layers){0, 0, INPUTS, items, 2, 3}, &err))
        fail_msg("%s", err.message);
    float *weights = weights_of(network, 0), *last = weights_of(network, 1);
    weights[0] = 30;
    for (size_t i = 5; i < UNITS * INPUTS; i += 7) weights[i] = 0;
    for (size_t i = 0; i < UNITS; i++) last[i] *= unit;
    ig_rng_seed(&rng, 1);
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        rows[i] = i % INPUTS ? (float)ig_rng_unit(&rng) - 0.5F : 0.05F * (float)ig_rng_unit(&rng);
    return network;
}

/* Shares of the outputs' variance that int8 gets wrong, before and after. */
static void tune(double errors[2], struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_backprop *bp = NULL;
    const struct ig_backprop_options options = {.batch_max = BATCH};
    bool tuned = false;
    uint32_t count;
    double sum = 0, squares = 0;
    assert_int_equal(ig_backprop_new(&bp, network, &options, &err), IG_OK);
    for (size_t first = 0; first < ROWS; first += BATCH) {
        ig_backprop_forward(bp, rows + first * INPUTS, BATCH, IG_BACKPROP_INFER);
        memcpy(logits + first, ig_backprop_values(bp, ig_backprop_logits(bp)), BATCH * 4);
    }
    for (size_t i = 0; i < ROWS; i++) sum += (double)logits[i] / ROWS;
    for (size_t i = 0; i < ROWS; i++) squares += pow((double)logits[i] - sum, 2) / ROWS;
    ig_backprop_simulate(
        bp, &(struct ig_backprop_int8){.weights = true, .per_tensor_dense = true, .frozen = true});
    struct ig_range *output = &ig_backprop_ranges(bp)[ig_backprop_logits(bp)];
    *output = (struct ig_range){(float)(sum - 4 * sqrt(squares)), (float)(sum + 4 * sqrt(squares))};
    errors[0] = error_of(bp) / squares;
    struct ig_quantize_lesson lesson = {rows, logits, ROWS, squares, BATCH, 1};
    assert_int_equal(ig_quantize_tune(&tuned, bp, &lesson, &err), IG_OK);
    assert_true(tuned);
    errors[1] = error_of(bp) / squares;
    const struct ig_parameter *weights = ig_backprop_parameters(bp, &count);
    for (size_t i = 5; i < UNITS * INPUTS; i += 7) assert_true(weights[0].values[i] == 0);
    lesson.rows_count = (size_t)1 << 40; /* none of which is looked at */
    assert_int_equal(ig_quantize_tune(&tuned, bp, &lesson, &err), IG_OK);
    assert_false(tuned);
    assert_true(error_of(bp) / squares == errors[1]);
    ig_backprop_free(bp);
}

static void learns_to_round(void **state)
{
    (void)state;
    double errors[2];
    for (float unit = 1e-3F; unit < 2e6F; unit *= 1000) {
        struct ig_network *network = uneven(unit);
        tune(errors, network);
        if (!(errors[0] > 1e-3 && errors[1] < errors[0] / 2))
            fail_msg("unit %g: error %g, before %g", (double)unit, errors[1], errors[0]);
        ig_network_free(network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(learns_to_round)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
