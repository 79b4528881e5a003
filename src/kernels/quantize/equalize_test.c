/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/quantize/equalize.h"
#include "kernels/train/backprop.h"
#include "kernels/train/layers.h"

#include <math.h>
#include <string.h>

enum { ROWS = 4 };

static void outputs(float *out, size_t count, const struct ig_network *network, const float *rows)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_backprop *bp = NULL;
    const struct ig_backprop_options batch = {.batch_max = ROWS};
    assert_int_equal(ig_backprop_new(&bp, network, &batch, &err), IG_OK);
    ig_backprop_forward(bp, rows, ROWS, IG_BACKPROP_INFER);
    memcpy(out, ig_backprop_values(bp, ig_backprop_output(bp)), ROWS * count * sizeof *out);
    ig_backprop_free(bp);
}

/* Greatest weight of the channel with the greatest over that of the one with the least. */
static double unevenness(const struct ig_network *network, uint32_t layer)
{
    const struct ig_network_tensor *w = ig_network_input(network, &network->layers[layer], 1);
    size_t each = ig_network_tensor_count(w) / w->dims[0];
    float least = INFINITY, most = 0;
    for (uint32_t c = 0; c < w->dims[0]; c++) {
        float greatest = 0;
        for (size_t i = 0; i < each; i++)
            greatest = fmaxf(greatest, fabsf(((const float *)w->data)[c * each + i]));
        least = fminf(least, greatest);
        most = fmaxf(most, greatest);
    }
    return (double)(most / least);
}

static void equal_channels_same_function(void **state)
{
    (void)state;
    static float rows[ROWS * 6 * 6 * 2], before[ROWS * 3], after[ROWS * 3];
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_CONV, .units = 4, .filter = 3, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DEPTHWISE,
         .units = 2,
         .filter = 3,
         .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_CONV, .units = 5, .filter = 1, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_MAX_POOL, .filter = 2},
        {.kind = IG_LAYER_DENSE, .units = 8, .activation = IG_NETWORK_ACTIVATION_RELU6},
        {.kind = IG_LAYER_DENSE, .units = 3}};
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    struct ig_rng rng;
    bool norms[2 * IG_LAYERS_MAX];
    uint32_t pairs = 0;
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){6, 6, 2, items, 6, 1}, &err), IG_OK);
    ig_rng_seed(&rng, 1);
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        rows[i] = (float)ig_rng_unit(&rng) - 0.5F;
    float *weights, *bias;
    const void *data[] = {ig_network_input(network, &network->layers[0], 1)->data,
                          ig_network_input(network, &network->layers[0], 2)->data};
    memcpy(&weights, &data[0], sizeof weights);
    memcpy(&bias, &data[1], sizeof bias);
    for (int i = 0; i < 18; i++) weights[i] *= 100; /* channel 0 takes all steps of the tensor */
    bias[0] = 3;
    outputs(before, 3, network, rows);
    double uneven = unevenness(network, 0);
    assert_int_equal(ig_equalize_run(&pairs, network, &err), IG_OK);
    /* conv and depthwise, depthwise and conv, conv and dense; a RELU6 does not scale */
    assert_int_equal(pairs, 3);
    outputs(after, 3, network, rows);
    for (int i = 0; i < ROWS * 3; i++)
        assert_float_equal(after[i], before[i], 1e-4F * (1 + fabsf(before[i])));
    assert_true(uneven > 20 && unevenness(network, 0) < uneven / 3);
    ig_network_free(network);
}

static void no_pairs(void **state)
{
    (void)state;
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = 4, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_TANH},
        {.kind = IG_LAYER_DENSE, .units = 4},
        {.kind = IG_LAYER_ADD, .back = 1}, /* reads the tanh, which then has two readers */
        {.kind = IG_LAYER_SOFTMAX}};
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL, *small = NULL;
    bool norms[2 * IG_LAYERS_MAX];
    uint32_t pairs = 9;
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){0, 0, 4, items, 5, 1}, &err), IG_OK);
    assert_int_equal(ig_equalize_run(&pairs, network, &err), IG_OK);
    assert_int_equal(pairs, 0);
    small = ig_network_dup(network, 1 << 20);
    assert_non_null(small);
    small->arena.max_bytes = small->arena.held_bytes;
    ig_mem_fail_after(1);
    while (ig_arena_alloc(&small->arena, 1024)) {
    }
    assert_int_equal(ig_equalize_run(&pairs, small, &err), IG_NO_MEMORY);
    ig_mem_fail_after(0);
    ig_network_free(network);
    ig_network_free(small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(equal_channels_same_function),
                                       cmocka_unit_test(no_pairs)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
