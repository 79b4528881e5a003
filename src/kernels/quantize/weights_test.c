/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/quantize/weights.h"
#include "kernels/train/layers.h"

#include <math.h>
#include <string.h>

static struct ig_network *make(void)
{
    const struct ig_layer items[] = {{.kind = IG_LAYER_CONV, .units = 3, .filter = 3},
                                     {.kind = IG_LAYER_DEPTHWISE, .units = 2, .filter = 3},
                                     {.kind = IG_LAYER_DENSE, .units = 4}};
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    bool norms[2 * IG_LAYERS_MAX];
    if (ig_layers_make(&network, norms, &(struct ig_layers){5, 5, 2, items, 3, 1}, &err))
        fail_msg("%s", err.message);
    return network;
}

static void halves_round_to_even(void **state)
{
    (void)state;
    for (uint32_t bits = 0; bits < 0x10000; bits++) { /* every half is itself */
        float value = ig_network_f16((uint16_t)bits);
        if (!isnan(value)) assert_int_equal(ig_weights_half(value), bits);
    }
    assert_int_equal(ig_weights_half(1 + 0x1p-11F), 0x3c00); /* halfway: the even one */
    assert_int_equal(ig_weights_half(1 + 3 * 0x1p-11F), 0x3c02);
    assert_int_equal(ig_weights_half(0x1.ffep0F), 0x4000); /* carries into the exponent */
    assert_int_equal(ig_weights_half(0x1p-25F), 0);
    assert_int_equal(ig_weights_half(0x1.8p-25F), 1);
    assert_int_equal(ig_weights_half(65519), 0x7bff);
    assert_int_equal(ig_weights_half(-65520), 0xfc00);
    assert_true(isnan(ig_network_f16(ig_weights_half(NAN))));
}

static void halves_of_a_network(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = make(), *made = NULL;
    if (ig_weights_run(&made, network, IG_WEIGHTS_F16, &err)) fail_msg("%s", err.message);
    assert_int_equal(made->layers_count, network->layers_count + 6);
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *a = &network->tensors[i], *b = &made->tensors[i];
        if (!a->data) continue;
        assert_int_equal(b->type, IG_NETWORK_F16);
        for (size_t k = 0; k < ig_network_tensor_count(a); k++) {
            float value = ((const float *)a->data)[k];
            assert_float_equal(ig_network_f16(((const uint16_t *)b->data)[k]), value,
                               0x1p-11F * fabsf(value) + 0x1p-25F);
        }
    }
    ig_network_free(made);
    uint32_t bias = network->layers[0].inputs[2];
    const void *kept = network->tensors[bias].data;
    const float values[3] = {0, 1e6F, 0};
    network->tensors[bias].data = values;
    made = NULL;
    assert_int_equal(ig_weights_run(&made, network, IG_WEIGHTS_F16, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "1e+06 is beyond"));
    network->tensors[bias].data = kept;
    ig_network_free(network);
}

static void int8_weights_of_a_network(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = make(), *made = NULL, *none = NULL;
    if (ig_weights_run(&made, network, IG_WEIGHTS_I8, &err)) fail_msg("%s", err.message);
    const uint32_t channels[] = {3, 6, 4}, dimensions[] = {0, 3, 0}, layers[] = {0, 1, 3};
    for (int n = 0; n < 3; n++) {
        const struct ig_network_layer *layer = &network->layers[layers[n]];
        const struct ig_network_tensor *a = ig_network_input(network, layer, 1);
        const struct ig_network_tensor *b = ig_network_input(made, layer, 1);
        const struct ig_network_quantization *q = &b->quantization;
        assert_true(b->type == IG_NETWORK_I8 && q->count == channels[n]);
        assert_int_equal(q->dimension, dimensions[n]);
        assert_int_equal(ig_network_input(made, layer, 2)->type, IG_NETWORK_F32);
        size_t count = ig_network_tensor_count(a);
        for (size_t k = 0; k < count; k++) {
            float scale = q->scales[q->dimension ? k % q->count : k / (count / q->count)];
            assert_float_equal(scale * ((const int8_t *)b->data)[k], ((const float *)a->data)[k],
                               scale * 0.51F);
        }
    }
    assert_int_equal(ig_weights_run(&none, made, IG_WEIGHTS_I8, &err), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "int8, expected float32"));
    ig_network_free(made);
    for (int form = 0; form < 2; form++)
        for (uint64_t n = 1; n < 6; n++) {
            ig_err_clear(&err);
            ig_mem_fail_after(n);
            enum ig_code code = ig_weights_run(&made, network, (enum ig_weights_form)form, &err);
            ig_mem_fail_after(0);
            if (code == IG_OK) {
                ig_network_free(made);
                break;
            }
            assert_int_equal(code, IG_NO_MEMORY);
        }
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(halves_round_to_even),
                                       cmocka_unit_test(halves_of_a_network),
                                       cmocka_unit_test(int8_weights_of_a_network)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
