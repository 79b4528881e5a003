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

static void devices_are_found_by_name(void **state)
{
    (void)state;
    assert_null(ig_nn_device_find("z80"));
    for (size_t i = 0; i < ig_nn_devices_count(); i++) {
        const struct ig_nn_device *device = ig_nn_device_at(i);
        assert_ptr_equal(ig_nn_device_find(device->name), device);
        assert_true(device->int8_instructions > 0 && strlen(device->doc) > 5);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(estimates_follow_the_products),
        cmocka_unit_test(devices_are_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
