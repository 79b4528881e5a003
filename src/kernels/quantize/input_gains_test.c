/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/quantize/input_gains.h"
#include "kernels/train/layers.h"

#include <math.h>

enum { INPUTS = 4, UNITS = 2 };

static struct ig_network *make(enum ig_layer_kind first)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    bool norms[2 * IG_LAYERS_MAX];
    const struct ig_layer items[] = {{.kind = first, .units = UNITS, .filter = 1}};
    const uint32_t side = first == IG_LAYER_CONV ? 1 : 0;
    if (ig_layers_make(&network, norms, &(struct ig_layers){side, side, INPUTS, items, 1, 1}, &err))
        fail_msg("%s", err.message);
    return network;
}

static void an_input_is_as_large_as_its_weights(void **state)
{
    (void)state;
    static const float WEIGHTS[UNITS * INPUTS] = {8, 0.5F, 0, 1, -2, -4, 0, 3};
    const float rows[2 * INPUTS] = {1, -16, 5, 0, -2, 1, 5, 0};
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = make(IG_LAYER_DENSE);
    const struct ig_network_layer *layer = ig_input_gains_layer(network);
    float gains[INPUTS];
    assert_ptr_equal(layer, network->layers);
    struct ig_network_tensor *weights = &network->tensors[layer->inputs[1]];
    weights->data = WEIGHTS;
    ig_input_gains_find(gains, network, rows, 2);
    /* nothing listens to the third; the fourth was never seen and counts as 1 */
    const float expected[INPUTS] = {2, 0.5F, 1.0F / 1024, sqrtf(3)};
    for (int k = 0; k < INPUTS; k++) assert_float_equal(gains[k], expected[k], 1e-6);
    assert_int_equal(ig_input_gains_apply(network, gains, &err), IG_OK);
    const float *scaled = weights->data;
    for (int i = 0; i < UNITS * INPUTS; i++)
        assert_float_equal(scaled[i] * gains[i % INPUTS], WEIGHTS[i], 1e-6);
    assert_float_equal(WEIGHTS[0], 8, 0);
    ig_network_free(network);
}

static void other_networks_have_none(void **state)
{
    (void)state;
    struct ig_network *network = make(IG_LAYER_CONV);
    assert_null(ig_input_gains_layer(network));
    ig_network_free(network);
    network = make(IG_LAYER_DENSE);
    assert_true(ig_network_set_outputs(network, network->inputs, 1));
    assert_null(ig_input_gains_layer(network)); /* the input is an output, too */
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(an_input_is_as_large_as_its_weights),
                                       cmocka_unit_test(other_networks_have_none)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
