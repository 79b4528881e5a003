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

enum { INPUTS = 6, ROWS = 256, BATCH = 64 };

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

/* A weight so large that the others have few steps. */
static struct ig_network *uneven(void)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    struct ig_rng rng;
    bool norms[2 * IG_LAYERS_MAX];
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = 8, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 1}};
    if (ig_layers_make(&network, norms, &(struct ig_layers){0, 0, INPUTS, items, 2, 3}, &err))
        fail_msg("%s", err.message);
    const void *data = ig_network_input(network, &network->layers[0], 1)->data;
    float *weights;
    memcpy(&weights, &data, sizeof weights);
    weights[0] = 30;
    ig_rng_seed(&rng, 1);
    for (size_t i = 0; i < ROWS * INPUTS; i++)
        rows[i] = i % INPUTS ? (float)ig_rng_unit(&rng) - 0.5F : 0.05F * (float)ig_rng_unit(&rng);
    return network;
}

static void learns_to_round(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = uneven();
    struct ig_backprop *bp = NULL;
    const struct ig_backprop_options options = {.batch_max = BATCH};
    bool tuned = false;
    assert_int_equal(ig_backprop_new(&bp, network, &options, &err), IG_OK);
    for (size_t first = 0; first < ROWS; first += BATCH) {
        ig_backprop_forward(bp, rows + first * INPUTS, BATCH, IG_BACKPROP_INFER);
        memcpy(logits + first, ig_backprop_values(bp, ig_backprop_logits(bp)), BATCH * 4);
    }
    ig_backprop_simulate(
        bp, &(struct ig_backprop_int8){.weights = true, .per_tensor_dense = true, .frozen = true});
    double before = error_of(bp);
    struct ig_quantize_lesson lesson = {rows, logits, ROWS, 1, BATCH, 1};
    assert_int_equal(ig_quantize_tune(&tuned, bp, &lesson, &err), IG_OK);
    double after = error_of(bp);
    assert_true(tuned);
    if (!(before > 1e-4 && after < before / 2)) fail_msg("error %g, before %g", after, before);
    lesson.rows_count = (size_t)1 << 40; /* none of which is looked at */
    assert_int_equal(ig_quantize_tune(&tuned, bp, &lesson, &err), IG_OK);
    assert_false(tuned);
    assert_true(error_of(bp) == after);
    ig_backprop_free(bp);
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(learns_to_round)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
