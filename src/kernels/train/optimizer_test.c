/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/train/layers.h"
#include "kernels/train/optimizer.h"

#include <math.h>
#include <string.h>

/* Weights and a bias, all 1, and the gradients of four steps: Keras 3.15 gives the values (Adam,
 * AdamW with weight_decay 0.01, SGD with momentum 0.9; learning rate 0.1). */
static const float gradients[4] = {0.5F, -0.2F, 0.9F, 0.1F};

static void walk(float values[2][4], const struct ig_optimizer_options *options)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    struct ig_backprop *bp = NULL;
    struct ig_optimizer *optimizer = NULL;
    bool norms[2 * IG_LAYERS_MAX];
    uint32_t count;
    const struct ig_layer dense = {.kind = IG_LAYER_DENSE, .units = 1};
    const struct ig_backprop_options batch = {.batch_max = 1};
    assert_int_equal(
        ig_layers_make(&network, norms, &(struct ig_layers){0, 0, 1, &dense, 1, 1}, &err), IG_OK);
    assert_int_equal(ig_backprop_new(&bp, network, &batch, &err), IG_OK);
    assert_int_equal(ig_optimizer_new(&optimizer, bp, options, &err), IG_OK);
    struct ig_parameter *parameters = ig_backprop_parameters(bp, &count);
    assert_int_equal(count, 2);
    for (int p = 0; p < 2; p++) parameters[p].values[0] = 1;
    for (int step = 0; step < 4; step++) {
        for (int p = 0; p < 2; p++) parameters[p].gradients[0] = gradients[step];
        ig_optimizer_step(optimizer, 1);
        for (int p = 0; p < 2; p++) values[p][step] = parameters[p].values[0];
        assert_true(parameters[0].used[0] == parameters[0].values[0]);
    }
    ig_optimizer_free(optimizer);
    ig_backprop_free(bp);
    ig_network_free(network);
}

static void steps_are_those_of_keras(void **state)
{
    (void)state;
    static const struct {
        struct ig_optimizer_options options;
        float values[4];
    } cases[] = {
        {{.kind = IG_OPTIMIZER_ADAM, .learning_rate = 0.1},
         {0.900000751F, 0.865440547F, 0.796901941F, 0.73549366F}},
        {{.kind = IG_OPTIMIZER_ADAM, .learning_rate = 0.1, .weight_decay = 0.01},
         {0.899000764F, 0.863541543F, 0.794139385F, 0.731936932F}},
        {{.kind = IG_OPTIMIZER_SGD, .learning_rate = 0.1, .momentum = 0.9},
         {0.949999988F, 0.925000012F, 0.8125F, 0.701250017F}},
    };
    float values[2][4];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        walk(values, &cases[i].options);
        for (int step = 0; step < 4; step++) {
            assert_float_equal(values[0][step], cases[i].values[step], 1e-5);
            /* a bias does not decay */
            assert_float_equal(values[1][step], cases[i == 1 ? 0 : i].values[step], 1e-5);
        }
    }
}

static void parameters_take_their_shares(void **state)
{
    (void)state;
    const double shares[2] = {0.5, 0}, rates[2] = {0.05, 0.1};
    for (int kind = IG_OPTIMIZER_ADAM; kind <= IG_OPTIMIZER_SGD; kind++) {
        struct ig_optimizer_options options = {.kind = (enum ig_optimizer_kind)kind};
        float values[2][2][4];
        for (int i = 0; i < 2; i++) {
            options.learning_rate = rates[i];
            options.shares = i ? shares : NULL;
            walk(values[i], &options);
        }
        assert_memory_equal(values[1][0], values[0][0], sizeof values[0][0]);
        for (int step = 0; step < 4; step++) assert_true(values[1][1][step] == 1);
    }
}

static void refuses(void **state)
{
    (void)state;
    static const struct ig_optimizer_options cases[] = {
        {.learning_rate = 0},
        {.learning_rate = NAN},
        {.learning_rate = 1, .momentum = 1},
        {.learning_rate = 1, .beta1 = 1},
        {.learning_rate = 1, .weight_decay = -1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct ig_optimizer *optimizer = NULL;
        struct ig_err err = IG_ERR_INIT;
        assert_int_equal(ig_optimizer_new(&optimizer, NULL, &cases[i], &err), IG_INVALID);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(steps_are_those_of_keras),
                                       cmocka_unit_test(parameters_take_their_shares),
                                       cmocka_unit_test(refuses)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
