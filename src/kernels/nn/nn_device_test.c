/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/nn/nn_device.h"
#include "kernels/train/layers.h"

#include <math.h>
#include <string.h>

static void estimates_follow_the_products(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network;
    struct ig_nn_estimate estimate;
    bool norms[2 * IG_LAYERS_MAX];
    const struct ig_layer items[] = {{.kind = IG_LAYER_DENSE, .units = 10},
                                     {.kind = IG_LAYER_DENSE, .units = 2}};
    const struct ig_layers layers = {0, 0, 20, items, 2, 1};
    assert_int_equal(ig_layers_make(&network, norms, &layers, &err), IG_OK);
    assert_int_equal(
        ig_nn_device_estimate(&estimate, ig_nn_device_find("cortex-m4"), network, 999, &err),
        IG_OK);
    assert_int_equal(estimate.products, 220);
    assert_int_equal(estimate.flash_bytes, 999);
    assert_true(estimate.ram_bytes >= 30 * sizeof(float) && estimate.ram_bytes < 1000);
    assert_false(estimate.int8);
    assert_true(estimate.instructions == 220 * 5.0);
    assert_true(fabs(estimate.energy_microjoule - 220 * 5.0 * 275 / 1e6) < 1e-9);
    assert_int_equal(
        ig_nn_device_estimate(&estimate, ig_nn_device_find("cortex-m3"), network, 999, &err),
        IG_OK);
    assert_true(isnan(estimate.energy_microjoule));
    ig_network_free(network);
}

static uint32_t bytes(struct ig_network *network, uint32_t rows, uint32_t columns, const void *data)
{
    static const float scales[] = {0.1F, 1.0F / 256};
    static const int32_t zeros[] = {0, -128};
    size_t kind = !data && columns == 2 && network->layers_count;
    const struct ig_network_tensor made = {.type = IG_NETWORK_I8,
                                           .rank = 2,
                                           .dims = {rows, columns},
                                           .data = data,
                                           .quantization = {&scales[kind], &zeros[kind], 1, 0}};
    return ig_network_add_tensor(network, &made);
}

/* Products, values and those of softmax count apart. */
static void int8_layers_count_by_what_they_give(void **state)
{
    (void)state;
    static const int8_t weights[6] = {1, -2, 3, 4, 5, -6};
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn_estimate estimate;
    const struct ig_nn_device *device = ig_nn_device_find("cortex-m4");
    struct ig_network *network = ig_network_new(1 << 16);
    uint32_t x = bytes(network, 1, 3, NULL), w = bytes(network, 2, 3, weights);
    uint32_t y = bytes(network, 1, 2, NULL);
    const struct ig_network_layer dense = {.op = IG_NETWORK_FULLY_CONNECTED,
                                           .inputs = (uint32_t[]){x, w, IG_NETWORK_NONE},
                                           .inputs_count = 3,
                                           .output = y};
    ig_network_add_layer(network, &dense);
    uint32_t z = bytes(network, 1, 2, NULL);
    const struct ig_network_layer softmax = {
        .op = IG_NETWORK_SOFTMAX, .inputs = &y, .inputs_count = 1, .output = z, .beta = 1};
    ig_network_add_layer(network, &softmax);
    assert_true(ig_network_set_inputs(network, &x, 1) && ig_network_set_outputs(network, &z, 1));
    if (ig_nn_device_estimate(&estimate, device, network, 9, &err) != IG_OK)
        fail_msg("%s", err.message);
    assert_true(estimate.int8);
    double expected = 6 * device->int8_product + 2 * device->int8_value + 2 * device->int8_softmax;
    assert_true(fabs(estimate.instructions - expected) < 1e-9);
    ig_network_free(network);
}

static void devices_are_found_by_name(void **state)
{
    (void)state;
    assert_null(ig_nn_device_find("z80"));
    for (size_t i = 0; i < ig_nn_devices_count(); i++) {
        const struct ig_nn_device *device = ig_nn_device_at(i);
        assert_ptr_equal(ig_nn_device_find(device->name), device);
        assert_true(device->int8_product > 0 && device->int8_softmax > device->int8_value &&
                    strlen(device->doc) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_follow_the_products),
        cmocka_unit_test(int8_layers_count_by_what_they_give),
        cmocka_unit_test(devices_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
