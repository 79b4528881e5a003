/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/train/backprop.h"
#include "kernels/train/layers.h"

#include <math.h>
#include <string.h>

enum { BATCH = 3 };

struct setup {
    struct ig_network *network;
    struct ig_backprop *backprop;
    bool batch_norm[2 * IG_LAYERS_MAX];
    float rows[BATCH * 512];
    float gradient[BATCH * 512]; /* of the loss: a random weight for every output */
    uint32_t output;
    size_t outputs_count;
    enum ig_backprop_mode mode;
};

static void start_setup(struct setup *s)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_rng rng;
    const struct ig_backprop_options options = {BATCH, s->batch_norm, 0};
    if (ig_backprop_new(&s->backprop, s->network, &options, &err)) fail_msg("%s", err.message);
    s->output = ig_backprop_output(s->backprop);
    s->outputs_count = ig_backprop_elements(s->backprop, s->output);
    ig_rng_seed(&rng, 77);
    for (size_t i = 0; i < sizeof s->rows / sizeof *s->rows; i++) {
        s->rows[i] = (float)(4 * ig_rng_unit(&rng) - 2);
        s->gradient[i] = (float)(2 * ig_rng_unit(&rng) - 1);
    }
    uint32_t count;
    struct ig_parameter *parameters = ig_backprop_parameters(s->backprop, &count);
    for (uint32_t p = 0; p < count; p++) /* zero biases hide what depends on them */
        for (size_t i = 0; parameters[p].kind != IG_PARAMETER_WEIGHTS && i < parameters[p].count;
             i++)
            parameters[p].values[i] += (float)(0.4 * ig_rng_unit(&rng) - 0.2);
}

static void open_setup(struct setup *s, const struct ig_layers *layers)
{
    struct ig_err err = IG_ERR_INIT;
    memset(s, 0, sizeof *s);
    if (ig_layers_make(&s->network, s->batch_norm, layers, &err)) fail_msg("%s", err.message);
    start_setup(s);
}

static void close_setup(struct setup *s)
{
    ig_backprop_free(s->backprop);
    ig_network_free(s->network);
}

static double loss(struct setup *s)
{
    double sum = 0;
    float state[8192];
    assert_true(ig_backprop_state_count(s->backprop) <= sizeof state / sizeof *state);
    ig_backprop_save(s->backprop, state); /* a norm's averages move */
    ig_backprop_forward(s->backprop, s->rows, BATCH, s->mode);
    const float *values = ig_backprop_values(s->backprop, s->output);
    for (size_t i = 0; i < BATCH * s->outputs_count; i++)
        sum += (double)values[i] * (double)s->gradient[i];
    ig_backprop_restore(s->backprop, state);
    return sum;
}

/* Central differences; a place beside a kink (a clamp, another greatest of a pool) shows in the
 * second difference, and a smaller step is taken. */
static double difference(struct setup *s, float *place, bool weights)
{
    float kept = *place;
    double slope = 0;
    for (float step = 4e-3F; step > 2e-4F; step /= 2) {
        double at[3];
        for (int i = 0; i < 3; i++) {
            *place = kept + step * (float)(i - 1);
            if (weights) { /* the forward pass takes a copy of them */
                float state[8192];
                ig_backprop_save(s->backprop, state);
                ig_backprop_restore(s->backprop, state);
            }
            at[i] = loss(s);
        }
        slope = (at[2] - at[0]) / (2 * (double)step);
        if (fabs(at[2] + at[0] - 2 * at[1]) < 2e-3 * (double)step) break;
    }
    *place = kept;
    return slope;
}

static void check_slope(const char *name, const char *what, double slope, double gradient)
{
    if (fabs(slope - gradient) > 3e-3 + 0.01 * fabs(gradient))
        fail_msg("%s: %s: difference %g, gradient %g", name, what, slope, gradient);
}

static void check_gradients(const char *name, struct setup *s)
{
    static float parameter_gradients[16][4096], input[BATCH * 512];
    uint32_t count;
    size_t inputs = ig_backprop_elements(s->backprop, ig_backprop_input(s->backprop));
    struct ig_parameter *parameters = ig_backprop_parameters(s->backprop, &count);
    assert_true(count <= 16 && inputs <= 512 && s->outputs_count <= 512);
    loss(s);
    ig_backprop_backward(s->backprop, s->output, s->gradient);
    for (uint32_t p = 0; p < count; p++)
        memcpy(parameter_gradients[p], parameters[p].gradients,
               parameters[p].count * sizeof(float));
    memcpy(input, ig_backprop_gradients(s->backprop, ig_backprop_input(s->backprop)),
           BATCH * inputs * sizeof(float));
    for (uint32_t p = 0; p < count; p++)
        for (size_t i = 0; i < parameters[p].count; i += 1 + parameters[p].count / 23) {
            double slope =
                difference(s, &parameters[p].values[i], parameters[p].kind == IG_PARAMETER_WEIGHTS);
            static const char *const kinds[] = {"weights", "bias", "gain"};
            check_slope(name, kinds[parameters[p].kind], slope, (double)parameter_gradients[p][i]);
        }
    for (size_t i = 0; i < BATCH * inputs; i += 1 + BATCH * inputs / 29)
        check_slope(name, "input", difference(s, &s->rows[i], false), (double)input[i]);
}

#define RELU_ IG_NETWORK_ACTIVATION_RELU
#define RELU6_ IG_NETWORK_ACTIVATION_RELU6
#define N1_ IG_NETWORK_ACTIVATION_RELU_N1_TO_1

static const struct {
    const char *name;
    uint32_t height, width, channels;
    struct ig_layer items[6];
} cases[] = {
    {"dense", 0, 0, 7, {{.kind = IG_LAYER_DENSE, .units = 5}}},
    {"dense relu",
     0,
     0,
     7,
     {{.kind = IG_LAYER_DENSE, .units = 9, .activation = RELU_},
      {.kind = IG_LAYER_DENSE, .units = 4}}},
    {"dense with norm",
     0,
     0,
     6,
     {{.kind = IG_LAYER_DENSE, .units = 5, .batch_norm = true, .activation = RELU_},
      {.kind = IG_LAYER_DENSE, .units = 3}}},
    {"conv", 5, 6, 2, {{.kind = IG_LAYER_CONV, .units = 3, .filter = 3}}},
    {"conv valid, stride",
     7,
     6,
     2,
     {{.kind = IG_LAYER_CONV,
       .units = 3,
       .filter = 3,
       .stride = 2,
       .valid = true,
       .activation = N1_}}},
    {"conv with norm",
     5,
     5,
     2,
     {{.kind = IG_LAYER_CONV,
       .units = 3,
       .filter = 2,
       .stride = 2,
       .batch_norm = true,
       .activation = RELU6_}}},
    {"depthwise", 5, 6, 3, {{.kind = IG_LAYER_DEPTHWISE, .units = 1, .filter = 3}}},
    {"depthwise twice, norm",
     6,
     6,
     2,
     {{.kind = IG_LAYER_DEPTHWISE, .units = 2, .filter = 3, .stride = 2, .batch_norm = true}}},
    {"average pool", 5, 5, 2, {{.kind = IG_LAYER_AVERAGE_POOL, .filter = 3, .stride = 2}}},
    {"average of all", 5, 4, 3, {{.kind = IG_LAYER_AVERAGE_POOL}}},
    {"max pool", 5, 5, 2, {{.kind = IG_LAYER_MAX_POOL, .filter = 2}}},
    {"flatten", 3, 4, 2, {{.kind = IG_LAYER_FLATTEN}, {.kind = IG_LAYER_DENSE, .units = 4}}},
    {"softmax", 0, 0, 6, {{.kind = IG_LAYER_SOFTMAX}}},
    {"logistic", 0, 0, 6, {{.kind = IG_LAYER_LOGISTIC}}},
    {"tanh", 0, 0, 6, {{.kind = IG_LAYER_TANH}}},
    {"relu", 0, 0, 9, {{.kind = IG_LAYER_RELU}}},
    {"relu6", 0, 0, 9, {{.kind = IG_LAYER_RELU6}}},
    {"residual",
     5,
     5,
     2,
     {{.kind = IG_LAYER_CONV, .units = 3, .filter = 3, .activation = RELU_},
      {.kind = IG_LAYER_CONV, .units = 3, .filter = 3},
      {.kind = IG_LAYER_ADD, .back = 1, .activation = RELU_},
      {.kind = IG_LAYER_AVERAGE_POOL},
      {.kind = IG_LAYER_DENSE, .units = 4},
      {.kind = IG_LAYER_SOFTMAX}}},
};

static uint32_t items_count(const struct ig_layer *items)
{
    uint32_t count = 1; /* the first of a case may be all zero but for its units */
    while (count < 6 && (items[count].kind || items[count].units)) count++;
    return count;
}

static void gradients_match_differences(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int mode = IG_BACKPROP_INFER; mode <= IG_BACKPROP_TRAIN; mode++) {
            static struct setup s;
            open_setup(&s, &(struct ig_layers){cases[i].height, cases[i].width, cases[i].channels,
                                               cases[i].items, items_count(cases[i].items), 5});
            s.mode = (enum ig_backprop_mode)mode;
            check_gradients(cases[i].name, &s);
            close_setup(&s);
        }
}

/* Zeros laid around an image, which no item of a list of layers does. */
static void pads_pass_gradients(void **state)
{
    (void)state;
    static struct setup s;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_layer items[] = {{.kind = IG_LAYER_CONV, .units = 2, .filter = 3}};
    const struct ig_network_tensor wide = {.type = IG_NETWORK_F32, .rank = 4, .dims = {1, 7, 5, 2}};
    memset(&s, 0, sizeof s);
    const struct ig_layers layers = {4, 5, 2, items, 1, 5};
    if (ig_layers_make(&s.network, s.batch_norm, &layers, &err)) fail_msg("%s", err.message);
    uint32_t output = ig_network_add_tensor(s.network, &wide), before = s.network->outputs[0];
    const struct ig_network_layer pad = {.op = IG_NETWORK_PAD,
                                         .inputs = &before,
                                         .inputs_count = 1,
                                         .output = output,
                                         .pads = {{0, 0}, {1, 2}, {0, 0}, {0, 0}}};
    ig_network_add_layer(s.network, &pad);
    ig_network_set_outputs(s.network, &output, 1);
    if (ig_network_check(s.network, &err)) fail_msg("%s", err.message);
    start_setup(&s);
    check_gradients("pad", &s);
    const float *values = ig_backprop_values(s.backprop, s.output);
    for (int i = 0; i < 10; i++) assert_true(values[i] == 0 && values[50 + i] == 0);
    assert_true(values[10] != 0);
    close_setup(&s);
}

static void known_values(void **state)
{
    (void)state;
    static struct setup s;
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_CONV, .units = 1, .filter = 3},
        {.kind = IG_LAYER_MAX_POOL, .filter = 2},
    };
    open_setup(&s, &(struct ig_layers){2, 2, 1, items, 2, 1});
    uint32_t count;
    struct ig_parameter *parameters = ig_backprop_parameters(s.backprop, &count);
    assert_int_equal(count, 2);
    for (int i = 0; i < 9; i++) parameters[0].used[i] = (float)i;
    parameters[1].values[0] = 0.5F;
    const float image[] = {1, 2, 3, 4};
    ig_backprop_forward(s.backprop, image, 1, IG_BACKPROP_INFER);
    /* centre 4, right 5, below 7, corner 8: 4 + 10 + 21 + 32 is the first cell, the greatest */
    assert_float_equal(ig_backprop_values(s.backprop, s.output)[0], 67.5F, 0);
    close_setup(&s);
}

static void norms_fold_without_trace(void **state)
{
    (void)state;
    static struct setup s;
    static float before[BATCH * 512];
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_CONV, .units = 4, .filter = 3, .batch_norm = true, .activation = RELU_},
        {.kind = IG_LAYER_DEPTHWISE, .units = 1, .filter = 3, .batch_norm = true},
        {.kind = IG_LAYER_DENSE, .units = 3, .batch_norm = true},
    };
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *exported = NULL;
    struct ig_backprop *again = NULL;
    open_setup(&s, &(struct ig_layers){5, 5, 2, items, 3, 9});
    for (int i = 0; i < 30; i++) /* averages that differ from 0 and 1 */
        ig_backprop_forward(s.backprop, s.rows, BATCH, IG_BACKPROP_TRAIN);
    ig_backprop_forward(s.backprop, s.rows, BATCH, IG_BACKPROP_INFER);
    memcpy(before, ig_backprop_values(s.backprop, s.output),
           BATCH * s.outputs_count * sizeof(float));
    assert_int_equal(ig_backprop_export(&exported, s.backprop, &err), IG_OK);
    ig_backprop_forward(s.backprop, s.rows, BATCH, IG_BACKPROP_INFER);
    const struct ig_backprop_options plain = {.batch_max = BATCH};
    assert_int_equal(ig_backprop_new(&again, exported, &plain, &err), IG_OK);
    ig_backprop_forward(again, s.rows, BATCH, IG_BACKPROP_INFER);
    for (size_t i = 0; i < BATCH * s.outputs_count; i++) {
        assert_float_equal(ig_backprop_values(s.backprop, s.output)[i], before[i], 2e-5);
        assert_float_equal(ig_backprop_values(again, s.output)[i], before[i], 2e-5);
    }
    ig_backprop_free(again);
    ig_network_free(exported);
    close_setup(&s);
}

static void int8_is_simulated(void **state)
{
    (void)state;
    static struct setup s;
    const struct ig_layer items[] = {{.kind = IG_LAYER_DENSE, .units = 4, .activation = RELU_},
                                     {.kind = IG_LAYER_DENSE, .units = 2}};
    open_setup(&s, &(struct ig_layers){0, 0, 6, items, 2, 3});
    uint32_t count;
    struct ig_parameter *parameters = ig_backprop_parameters(s.backprop, &count);
    ig_backprop_simulate(s.backprop,
                         &(struct ig_backprop_int8){.weights = true, .activations = true});
    ig_backprop_forward(s.backprop, s.rows, BATCH, IG_BACKPROP_TRAIN);
    for (uint32_t c = 0; c < 4; c++) { /* one scale a channel, its greatest weight step 127 */
        float most = 0;
        for (uint32_t i = 0; i < 6; i++) most = fmaxf(most, fabsf(parameters[0].values[c * 6 + i]));
        for (uint32_t i = 0; i < 6; i++) {
            float step = parameters[0].used[c * 6 + i] / (most / 127);
            assert_float_equal(step, roundf(step), 1e-3);
            assert_float_equal(parameters[0].used[c * 6 + i], parameters[0].values[c * 6 + i],
                               most / 127 / 2 + 1e-6F);
        }
    }
    const float *out = ig_backprop_values(s.backprop, s.output);
    struct ig_steps steps = ig_steps_of_range(ig_backprop_ranges(s.backprop)[s.output]);
    for (int i = 0; i < 2 * BATCH; i++) {
        float step = out[i] / steps.scale;
        assert_float_equal(step, roundf(step), 1e-3);
    }
    /* straight through: within the range a gradient passes as it came, outside none does */
    ig_backprop_ranges(s.backprop)[s.output] = (struct ig_range){-1e-6F, 1e-6F};
    ig_backprop_forward(s.backprop, s.rows, BATCH, IG_BACKPROP_INFER);
    ig_backprop_backward(s.backprop, s.output, s.gradient);
    for (size_t i = 0; i < parameters[2].count; i++)
        assert_float_equal(parameters[2].gradients[i], 0, 0);
    ig_backprop_ranges(s.backprop)[s.output] = (struct ig_range){-100, 100};
    ig_backprop_forward(s.backprop, s.rows, BATCH, IG_BACKPROP_INFER);
    ig_backprop_backward(s.backprop, s.output, s.gradient);
    for (size_t i = 0; i < 2; i++)
        assert_float_equal(parameters[3].gradients[i],
                           s.gradient[i] + s.gradient[2 + i] + s.gradient[4 + i], 1e-6);
    close_setup(&s);
}

static void refuses_what_it_cannot_train(void **state)
{
    (void)state;
    static struct setup s;
    const struct ig_layer items[] = {{.kind = IG_LAYER_DENSE, .units = 4}};
    struct ig_err err = IG_ERR_INIT;
    struct ig_backprop *none = NULL;
    open_setup(&s, &(struct ig_layers){0, 0, 6, items, 1, 3});
    const struct ig_backprop_options plain = {.batch_max = BATCH};
    s.network->layers[0].op = IG_NETWORK_MUL;
    assert_int_equal(ig_backprop_new(&none, s.network, &plain, &err), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "layer 0 (MUL): this operator cannot be trained"));
    s.network->layers[0].op = IG_NETWORK_FULLY_CONNECTED;
    s.network->outputs_count = 0;
    ig_err_clear(&err);
    assert_int_equal(ig_backprop_new(&none, s.network, &plain, &err), IG_UNSUPPORTED);
    s.network->outputs_count = 1;
    ig_err_clear(&err);
    const struct ig_backprop_options small = {.batch_max = 1 << 20, .max_bytes = 1 << 16};
    assert_int_equal(ig_backprop_new(&none, s.network, &small, &err), IG_NO_MEMORY);
    for (uint64_t n = 1; n < 20; n++) {
        ig_err_clear(&err);
        ig_mem_fail_after(n);
        enum ig_code code = ig_backprop_new(&none, s.network, &plain, &err);
        ig_mem_fail_after(0);
        if (code == IG_OK) {
            ig_backprop_free(none);
            break;
        }
        assert_int_equal(code, IG_NO_MEMORY);
    }
    close_setup(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(gradients_match_differences),
        cmocka_unit_test(pads_pass_gradients),
        cmocka_unit_test(known_values),
        cmocka_unit_test(norms_fold_without_trace),
        cmocka_unit_test(int8_is_simulated),
        cmocka_unit_test(refuses_what_it_cannot_train),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
