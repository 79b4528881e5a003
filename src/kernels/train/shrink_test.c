/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/train/network_testing.h"
#include "kernels/train/shrink.h"

#include <math.h>

static const struct ig_layer deep[] = {
    {.kind = IG_LAYER_CONV, .units = 8, .filter = 3, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_DEPTHWISE, .units = 1, .filter = 3, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_CONV, .units = 6, .filter = 1, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_CONV, .units = 6, .filter = 3, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_ADD, .back = 1, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_MAX_POOL, .filter = 2},
    {.kind = IG_LAYER_DENSE, .units = 12, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_DENSE, .units = 5},
    {.kind = IG_LAYER_SOFTMAX},
};

static struct ig_network *make(const struct ig_layer *items, uint32_t count)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    static bool norms[2 * IG_LAYERS_MAX];
    if (ig_layers_make(&network, norms, &(struct ig_layers){6, 6, 2, items, count, 3}, &err))
        fail_msg("%s", err.message);
    return network;
}

static float *constant(const struct ig_network *network, uint32_t layer, uint32_t input)
{
    const void *data = ig_network_input(network, &network->layers[layer], input)->data;
    float *values;
    memcpy(&values, &data, sizeof values);
    return values;
}

static void outputs(float *out, const struct ig_network *network, const float *rows, uint32_t count)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_backprop *bp = NULL;
    const struct ig_backprop_options batch = {.batch_max = count};
    if (ig_backprop_new(&bp, network, &batch, &err)) fail_msg("%s", err.message);
    ig_backprop_forward(bp, rows, count, IG_BACKPROP_INFER);
    memcpy(out, ig_backprop_values(bp, ig_backprop_output(bp)), count * 5 * sizeof *out);
    ig_backprop_free(bp);
}

/* Channels that give nothing are those that go, and the answers stay what they were. */
static void dead_channels_go_without_trace(void **state)
{
    (void)state;
    enum { ROWS = 5 };
    static float rows[ROWS * 72], before[ROWS * 5], after[ROWS * 5];
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = make(deep, 9), *small = NULL;
    struct ig_shrink_report report;
    struct ig_rng rng;
    ig_rng_seed(&rng, 1);
    for (int i = 0; i < ROWS * 72; i++) rows[i] = (float)ig_rng_unit(&rng) - 0.3F;
    for (uint32_t c = 1; c < 8; c += 2) /* every other channel of the first convolution */
        memset(constant(network, 0, 1) + c * 18, 0, 18 * sizeof(float));
    for (uint32_t c = 0; c < 3; c++) { /* of the two that are added, the same channels */
        memset(constant(network, 2, 1) + c * 8, 0, 8 * sizeof(float));
        memset(constant(network, 3, 1) + c * 54, 0, 54 * sizeof(float));
    }
    for (uint32_t c = 0; c < 6; c++)
        memset(constant(network, 7, 1) + c * 54, 0, 54 * sizeof(float));
    outputs(before, network, rows, ROWS);
    const struct ig_shrink_options half = {0.5};
    if (ig_shrink_run(&small, &report, network, &half, &err)) fail_msg("%s", err.message);
    assert_true(report.channels_before == 8 + 6 + 12 && report.channels_after == 4 + 3 + 6);
    /* 3x3x2x8+8, 3x3x8+8, 8x6+6, 3x3x6x6+6, 54x12+12, 12x5+5 */
    assert_int_equal(report.parameters_before, 152 + 80 + 54 + 330 + 660 + 65);
    assert_int_equal(report.parameters_after, 76 + 40 + 15 + 84 + 168 + 35);
    assert_int_equal(report.products_before, 36 * (144 + 72 + 48 + 324) + 648 + 60);
    assert_int_equal(report.products_after, 36 * (72 + 36 + 12 + 81) + 162 + 30);
    outputs(after, small, rows, ROWS);
    for (int i = 0; i < ROWS * 5; i++) assert_float_equal(after[i], before[i], 1e-5);
    ig_network_free(network);
    ig_network_free(small);
}

static void what_stays(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = make(deep, 9), *small = NULL;
    struct ig_shrink_report report;
    const struct ig_shrink_options most = {0.999}, none = {0}, all = {1}, less = {-0.1};
    assert_int_equal(ig_shrink_run(&small, &report, network, &none, &err), IG_OK);
    assert_int_equal(report.parameters_after, report.parameters_before);
    ig_network_free(small);
    assert_int_equal(ig_shrink_run(&small, &report, network, &most, &err), IG_OK);
    assert_int_equal(report.channels_after, 3); /* one of each group */
    assert_int_equal(small->tensors[small->outputs[0]].dims[1], 5);
    assert_int_equal(small->tensors[small->inputs[0]].dims[3], 2);
    ig_network_free(small);
    assert_int_equal(ig_shrink_run(&small, &report, network, &all, &err), IG_INVALID);
    ig_err_clear(&err);
    assert_int_equal(ig_shrink_run(&small, &report, network, &less, &err), IG_INVALID);
    ig_network_free(network);
    const struct ig_layer fixed[] = {/* a sum with the input, then the output */
                                     {.kind = IG_LAYER_CONV, .units = 2, .filter = 3},
                                     {.kind = IG_LAYER_ADD, .back = 1},
                                     {.kind = IG_LAYER_DENSE, .units = 5}};
    network = make(fixed, 3);
    ig_err_clear(&err);
    assert_int_equal(ig_shrink_run(&small, &report, network, &most, &err), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "no channel"));
    ig_network_free(network);
    const struct ig_layer twice[] = {/* two filters a channel: the convolution before stays whole */
                                     {.kind = IG_LAYER_CONV, .units = 4, .filter = 3},
                                     {.kind = IG_LAYER_DEPTHWISE, .units = 2, .filter = 3},
                                     {.kind = IG_LAYER_DENSE, .units = 6},
                                     {.kind = IG_LAYER_DENSE, .units = 5}};
    network = make(twice, 4);
    ig_err_clear(&err);
    assert_int_equal(ig_shrink_run(&small, &report, network, &most, &err), IG_OK);
    assert_true(report.channels_before == 6 && report.channels_after == 1);
    ig_network_free(small);
    for (uint64_t n = 1; n < 12; n++) {
        ig_err_clear(&err);
        ig_mem_fail_after(n);
        enum ig_code code = ig_shrink_run(&small, &report, network, &most, &err);
        ig_mem_fail_after(0);
        if (code == IG_OK) {
            ig_network_free(small);
            break;
        }
        assert_int_equal(code, IG_NO_MEMORY);
    }
    ig_network_free(network);
}

/* Half of the channels of a trained network: less than half its size, and as good after a while. */
static void digits_by_half_the_channels(void **state)
{
    (void)state;
    static struct digits digits;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL, *whole = NULL, *small = NULL, *tuned = NULL;
    bool norms[2 * IG_LAYERS_MAX];
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = 64, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 32, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 10},
        {.kind = IG_LAYER_SOFTMAX}};
    testing_digits(&digits);
    struct ig_fit_options options = {.loss = IG_FIT_SOFTMAX,
                                     .optimizer = {.learning_rate = 0.005},
                                     .epochs = 20,
                                     .batch = 32,
                                     .seed = 1,
                                     .alpha = 1,
                                     .cosine = true};
    struct ig_shrink_report report;
    struct ig_fit_score before, after;
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){0, 0, 64, items, 4, 1}, &err), IG_OK);
    assert_int_equal(ig_fit_run(&whole, network, &digits.train, NULL, &options, &err), IG_OK);
    const struct ig_shrink_options half = {0.5};
    assert_int_equal(ig_shrink_run(&small, &report, whole, &half, &err), IG_OK);
    assert_int_equal(ig_fit_run(&tuned, small, &digits.train, NULL, &options, &err), IG_OK);
    assert_int_equal(ig_fit_score(&before, whole, &digits.test, IG_FIT_SOFTMAX, &err), IG_OK);
    assert_int_equal(ig_fit_score(&after, tuned, &digits.test, IG_FIT_SOFTMAX, &err), IG_OK);
    assert_true((double)report.parameters_before > 2.2 * (double)report.parameters_after);
    if (!(before.metric > 0.93 && after.metric >= before.metric - 0.014))
        fail_msg("accuracy %g, with half the channels %g", before.metric, after.metric);
    ig_network_free(network);
    ig_network_free(whole);
    ig_network_free(small);
    ig_network_free(tuned);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(dead_channels_go_without_trace),
                                       cmocka_unit_test(what_stays),
                                       cmocka_unit_test(digits_by_half_the_channels)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
