/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/nn/nn.h"
#include "kernels/quantize/int8_testing.h"
#include "kernels/quantize/quantize.h"
#include "kernels/train/network_testing.h"

#include <math.h>

static struct digits digits;

/* All operators of the vocabulary that int8 knows. */
static const struct ig_layer items[] = {
    {.kind = IG_LAYER_CONV,
     .units = 8,
     .filter = 3,
     .stride = 2,
     .batch_norm = true,
     .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_DEPTHWISE,
     .units = 1,
     .filter = 3,
     .activation = IG_NETWORK_ACTIVATION_RELU6},
    {.kind = IG_LAYER_ADD, .back = 1, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_MAX_POOL, .filter = 2, .stride = 1, .valid = true},
    {.kind = IG_LAYER_CONV, .units = 16, .filter = 2, .activation = IG_NETWORK_ACTIVATION_RELU},
    {.kind = IG_LAYER_AVERAGE_POOL, .filter = 2},
    {.kind = IG_LAYER_DENSE, .units = 10},
    {.kind = IG_LAYER_SOFTMAX},
};

static struct ig_network *trained(void)
{
    static struct ig_network *network;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *fresh = NULL;
    static bool norms[2 * IG_LAYERS_MAX];
    if (network) return network;
    const struct ig_layers layers = {8, 8, 1, items, sizeof items / sizeof *items, 2};
    if (ig_layers_make(&fresh, norms, &layers, &err)) fail_msg("%s", err.message);
    const struct ig_fit_options options = {.loss = IG_FIT_SOFTMAX,
                                           .optimizer = {.learning_rate = 0.02},
                                           .epochs = 6,
                                           .batch = 16,
                                           .seed = 3,
                                           .alpha = 1,
                                           .cosine = true,
                                           .batch_norm = norms};
    if (ig_fit_run(&network, fresh, &digits.train, NULL, &options, &err))
        fail_msg("%s", err.message);
    ig_network_free(fresh);
    return network;
}

static double plain_accuracy(const struct ig_network *network, const struct ig_fit_data *data)
{
    size_t right = 0;
    for (size_t i = 0; i < data->rows_count; i++) {
        float out[10];
        int best = 0;
        plain_network(network, data->inputs + i * DIGITS_CELLS, network->outputs[0], out);
        for (int c = 1; c < 10; c++)
            if (out[c] > out[best]) best = c;
        right += best == (int)data->labels[i];
    }
    return (double)right / (double)data->rows_count;
}

/* The product's own kernels, which round as the network says, give the same steps. */
static void kernels_agree(const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn = NULL;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    if (ig_nn_new(&nn, network, &options, &err)) fail_msg("%s", err.message);
    struct ig_predictor predictor = ig_nn_predictor(nn);
    void *scratch = ig_alloc_aligned(64, predictor.scratch_bytes(&predictor, 1) + 64);
    for (size_t i = 0; i < digits.test.rows_count; i++) {
        double row[DIGITS_CELLS], values[10];
        float plain[10];
        for (size_t k = 0; k < DIGITS_CELLS; k++)
            row[k] = (double)digits.test.inputs[i * DIGITS_CELLS + k];
        predictor.run(&predictor, row, 1, values, scratch);
        plain_network(network, digits.test.inputs + i * DIGITS_CELLS, network->outputs[0], plain);
        for (int c = 0; c < 10; c++) assert_float_equal((float)values[c], plain[c], 1e-6);
    }
    ig_free(scratch);
    ig_nn_free(nn);
}

static struct ig_quantize_options calibration(void)
{
    return (struct ig_quantize_options){
        .rows = digits.valid.inputs, .rows_count = 80, .calibrator = -1};
}

static double float_accuracy(const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_fit_score score;
    if (ig_fit_score(&score, network, &digits.test, IG_FIT_SOFTMAX, &err))
        fail_msg("%s", err.message);
    return score.metric;
}

static void int8_answers_as_the_float_network(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_quantize_result result;
    const struct ig_quantize_options options = calibration();
    ig_arena_init(&arena, 4096, 1 << 20);
    if (ig_quantize_run(&result, &arena, trained(), &options, &err)) fail_msg("%s", err.message);
    const struct ig_quantize_report *report = &result.report;
    assert_true(report->error <= report->error_min_max && report->error < 0.01);
    assert_true(report->float_bytes > 3 * report->int8_bytes);
    assert_int_equal(report->layers_count, trained()->layers_count);
    for (uint32_t i = 0; i < report->layers_count; i++)
        assert_true(report->layers[i].error <= report->layers[report->worst_layer].error &&
                    report->layers[i].error < 0.05);
    /* the input, two convolutions, one depthwise, the sum and the logits */
    assert_int_equal(report->tensors_count, 6);
    kernels_agree(result.network);
    double before = float_accuracy(trained()), after = plain_accuracy(result.network, &digits.test);
    if (!(before > 0.9 && fabs(before - after) <= 0.014)) /* two of 150 */
        fail_msg("accuracy %g, in int8 %g", before, after);
    const struct ig_network_tensor *conv =
        ig_network_input(result.network, &result.network->layers[0], 1);
    assert_true(conv->type == IG_NETWORK_I8 && conv->quantization.count == 8);
    const struct ig_network_layer *dense =
        &result.network->layers[result.network->layers_count - 2];
    assert_int_equal(ig_network_input(result.network, dense, 1)->quantization.count, 1);
    ig_network_free(result.network);
    ig_arena_deinit(&arena);
}

/* What the simulation says of logits is what integers give, but for a step now and then. */
static void simulation_and_integers_agree(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_backprop *bp = NULL;
    struct ig_network *network = NULL;
    const struct ig_backprop_options batch = {.batch_max = 64};
    assert_int_equal(ig_backprop_new(&bp, trained(), &batch, &err), IG_OK);
    ig_backprop_simulate(bp, &(struct ig_backprop_int8){.weights = true, .activations = true});
    ig_backprop_forward(bp, digits.train.inputs, 64, IG_BACKPROP_TRAIN); /* finds the ranges */
    ig_backprop_forward(bp, digits.test.inputs, 64, IG_BACKPROP_INFER);
    const struct ig_quantize_form form = {false, IG_NETWORK_ROUNDING_SINGLE};
    if (ig_quantize_emit(&network, bp, &form, &err)) fail_msg("%s", err.message);
    const float *simulated = ig_backprop_values(bp, ig_backprop_logits(bp));
    uint32_t logits = network->layers[network->layers_count - 1].inputs[0];
    float step = network->tensors[logits].quantization.scales[0];
    size_t apart = 0;
    for (size_t i = 0; i < 64; i++) {
        float out[10];
        plain_network(network, digits.test.inputs + i * DIGITS_CELLS, logits, out);
        for (size_t c = 0; c < 10; c++) {
            float steps = fabsf(out[c] - simulated[10 * i + c]) / step;
            if (steps > 2.1F) fail_msg("row %zu: logit %zu is %g steps off", i, c, (double)steps);
            apart += steps > 0.5F;
        }
    }
    if (apart > 32) fail_msg("%zu of 640 outputs are a step apart", apart);
    ig_network_free(network);
    ig_backprop_free(bp);
}

static void each_calibrator_and_float_ends(void **state)
{
    (void)state;
    struct ig_arena arena;
    double chosen = 0;
    ig_arena_init(&arena, 4096, 1 << 20);
    for (int c = -1; c < IG_CALIBRATORS_COUNT; c++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_quantize_options options = calibration();
        struct ig_quantize_result result;
        options.calibrator = c;
        options.no_equalization = options.no_correction = options.no_tuning = true;
        options.per_channel_dense = options.float_ends = true;
        options.rounding = IG_NETWORK_ROUNDING_DOUBLE;
        if (ig_quantize_run(&result, &arena, trained(), &options, &err))
            fail_msg("%s", err.message);
        if (c == -1) chosen = result.report.error;
        assert_true(!result.report.equalized && !result.report.corrected);
        if (c == IG_CALIBRATE_MIN_MAX)
            assert_true(result.report.error == result.report.error_min_max &&
                        chosen <= result.report.error);
        const struct ig_network *network = result.network;
        assert_int_equal(network->layers[0].op, IG_NETWORK_QUANTIZE);
        assert_int_equal(network->layers[network->layers_count - 1].op, IG_NETWORK_DEQUANTIZE);
        assert_int_equal(network->tensors[network->inputs[0]].type, IG_NETWORK_F32);
        assert_int_equal(network->rounding, IG_NETWORK_ROUNDING_DOUBLE);
        const struct ig_network_layer *dense = &network->layers[network->layers_count - 3];
        assert_int_equal(ig_network_input(network, dense, 1)->quantization.count, 10);
        ig_network_free(result.network);
    }
    ig_arena_deinit(&arena);
}

/* One channel a hundred times the others and an input with an outlier: what equalization, cuts and
 * correction are for. */
static void hard_networks(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_quantize_result plain, whole;
    const struct ig_layer dense[] = {
        {.kind = IG_LAYER_DENSE, .units = 16, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 10}};
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = NULL;
    static float rows[200 * DIGITS_CELLS];
    memcpy(rows, digits.inputs, sizeof rows);
    rows[5] = 40;
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){0, 0, DIGITS_CELLS, dense, 2, 4}, &err),
        IG_OK);
    const void *data = ig_network_input(network, &network->layers[0], 1)->data;
    float *weights;
    memcpy(&weights, &data, sizeof weights);
    for (int i = 0; i < DIGITS_CELLS; i++) weights[i] *= 100;
    data = ig_network_input(network, &network->layers[1], 1)->data;
    memcpy(&weights, &data, sizeof weights);
    for (int c = 0; c < 10; c++) weights[16 * c] /= 100;
    struct ig_quantize_options options = {.rows = rows,
                                          .rows_count = 200,
                                          .calibrator = IG_CALIBRATE_MIN_MAX,
                                          .no_equalization = true,
                                          .no_correction = true,
                                          .no_tuning = true};
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_quantize_run(&plain, &arena, network, &options, &err), IG_OK);
    options = (struct ig_quantize_options){.rows = rows, .rows_count = 200, .calibrator = -1};
    assert_int_equal(ig_quantize_run(&whole, &arena, network, &options, &err), IG_OK);
    assert_true(whole.report.equalized);
    assert_float_equal((float)plain.report.error, (float)whole.report.error_min_max, 1e-9);
    if (!(whole.report.error < 0.05 * plain.report.error))
        fail_msg("error %g, by min-max %g", whole.report.error, plain.report.error);
    ig_network_free(plain.network);
    ig_network_free(whole.network);
    ig_network_free(network);
    ig_arena_deinit(&arena);
}

/* Inputs of many sizes, of which the smallest count most: gains give them steps of their own. */
static void inputs_of_many_sizes(void **state)
{
    (void)state;
    enum { ROWS = 200 };
    static float rows[ROWS * DIGITS_CELLS], gained[DIGITS_CELLS];
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_quantize_result with, without;
    const struct ig_layer dense[] = {
        {.kind = IG_LAYER_DENSE, .units = 16, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = 3}};
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = NULL;
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){0, 0, DIGITS_CELLS, dense, 2, 4}, &err),
        IG_OK);
    const void *data = ig_network_input(network, &network->layers[0], 1)->data;
    float *weights;
    memcpy(&weights, &data, sizeof weights);
    for (int i = 0; i < 16 * DIGITS_CELLS; i++) weights[i] *= i % 4 ? 0.02F : 1;
    for (size_t i = 0; i < ROWS * DIGITS_CELLS; i++) rows[i] = digits.inputs[i] * (i % 4 ? 50 : 1);
    struct ig_quantize_options options = {
        .rows = rows, .rows_count = ROWS, .calibrator = -1, .no_tuning = true};
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_quantize_run(&without, &arena, network, &options, &err), IG_OK);
    assert_true(!without.gains && !without.report.gained);
    options.gains = true;
    assert_int_equal(ig_quantize_run(&with, &arena, network, &options, &err), IG_OK);
    assert_true(with.gains && with.report.gained);
    if (!(with.report.error < 0.02 * without.report.error))
        fail_msg("error %g, without gains %g", with.report.error, without.report.error);
    float out[3];
    double off = 0, all = 0;
    for (size_t i = 0; i < ROWS; i++) { /* the int8 network, which takes inputs times gains */
        const float *row = rows + i * DIGITS_CELLS;
        for (size_t k = 0; k < DIGITS_CELLS; k++) gained[k] = row[k] * with.gains[k];
        plain_network(with.network, gained, with.network->outputs[0], out);
        for (int c = 0; c < 3; c++) {
            double real =
                ((const float *)ig_network_input(network, &network->layers[1], 2)->data)[c];
            for (int h = 0; h < 16; h++) {
                double sum =
                    ((const float *)ig_network_input(network, &network->layers[0], 2)->data)[h];
                for (size_t k = 0; k < DIGITS_CELLS; k++)
                    sum += (double)weights[h * DIGITS_CELLS + (int)k] * (double)row[k];
                real += fmax(sum, 0) *
                        (double)((const float *)ig_network_input(network, &network->layers[1], 1)
                                     ->data)[c * 16 + h];
            }
            off += (real - (double)out[c]) * (real - (double)out[c]);
            all += real * real;
        }
    }
    if (!(off < 0.003 * all)) fail_msg("off by %g of %g", off, all);
    ig_network_free(with.network);
    ig_network_free(without.network);
    ig_network_free(network);
    ig_arena_deinit(&arena);
}

static void survives_without_memory(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_quantize_result result;
    struct ig_quantize_options options = calibration();
    options.rows_count = 4;
    uint64_t n = 1;
    struct ig_err ignored = IG_ERR_INIT;
    const struct ig_layer dense[] = {{.kind = IG_LAYER_DENSE, .units = 4},
                                     {.kind = IG_LAYER_DENSE, .units = 2}};
    bool norms[2 * IG_LAYERS_MAX];
    struct ig_network *network = NULL;
    const struct ig_layers layers = {0, 0, DIGITS_CELLS, dense, 2, 4};
    assert_int_equal(ig_layers_make(&network, norms, &layers, &ignored), IG_OK);
    const struct ig_network_tensor nobodys = {.type = IG_NETWORK_F32, .rank = 1, .dims = {3}};
    ig_network_add_tensor(network, &nobodys);
    ig_arena_init(&arena, 4096, 1 << 20);
    for (enum ig_code code = IG_NO_MEMORY; code != IG_OK; n++) {
        struct ig_err err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_quantize_run(&result, &arena, network, &options, &err);
        ig_mem_fail_after(0);
        assert_true(code == IG_OK || code == IG_NO_MEMORY);
    }
    assert_true(n > 8);
    ig_network_free(result.network);
    ig_network_free(network);
    ig_arena_deinit(&arena);
}

static void refuses(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_quantize_result result;
    ig_arena_init(&arena, 4096, 1 << 20);
    const struct {
        struct ig_quantize_options options;
        const char *message;
    } cases[] = {
        {{.rows = digits.inputs, .rows_count = 1, .calibrator = -1}, "1 rows to calibrate"},
        {{.rows = digits.inputs, .rows_count = 9, .calibrator = 99}, "calibrator is 99"},
        {{.rows = digits.inputs, .rows_count = 9, .held_out = digits.inputs, .calibrator = 0},
         "no held-out rows"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ig_err err = IG_ERR_INIT;
        assert_int_equal(ig_quantize_run(&result, &arena, trained(), &cases[i].options, &err),
                         IG_INVALID);
        if (!strstr(err.message, cases[i].message)) fail_msg("%s", err.message);
    }
    struct ig_err err = IG_ERR_INIT;
    struct ig_backprop *bp = NULL;
    struct ig_network *none = NULL;
    const struct ig_backprop_options batch = {.batch_max = 1};
    const struct ig_quantize_form form = {0};
    assert_int_equal(ig_backprop_new(&bp, trained(), &batch, &err), IG_OK);
    assert_int_equal(ig_quantize_emit(&none, bp, &form, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "its range is not known"));
    ig_backprop_free(bp);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(int8_answers_as_the_float_network),
                                       cmocka_unit_test(simulation_and_integers_agree),
                                       cmocka_unit_test(each_calibrator_and_float_ends),
                                       cmocka_unit_test(hard_networks),
                                       cmocka_unit_test(inputs_of_many_sizes),
                                       cmocka_unit_test(survives_without_memory),
                                       cmocka_unit_test(refuses)};
    testing_digits(&digits);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ig_network_free(trained());
    return failed;
}
