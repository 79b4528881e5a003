/* SPDX-License-Identifier: Apache-2.0 */
/* Estimates for devices. Thread rule: pure. */
#include "kernels/nn/nn_device.h"

#include <math.h>
#include <string.h>

static const struct ig_nn_device DEVICES[] = {
#define IG_NN_DEVICE(id, name, ...) {name, __VA_ARGS__},
#include "kernels/nn/nn_devices.def"
#undef IG_NN_DEVICE
};

size_t ig_nn_devices_count(void)
{
    return sizeof DEVICES / sizeof DEVICES[0];
}

const struct ig_nn_device *ig_nn_device_at(size_t index)
{
    IG_ASSERT(index < ig_nn_devices_count());
    return &DEVICES[index];
}

const struct ig_nn_device *ig_nn_device_find(const char *name)
{
    for (size_t i = 0; i < ig_nn_devices_count(); i++)
        if (strcmp(DEVICES[i].name, name) == 0) return &DEVICES[i];
    return NULL;
}

static bool works_in_int8(const struct ig_network *network)
{
    for (uint32_t i = 0; i < network->tensors_count; i++)
        if (!network->tensors[i].data && network->tensors[i].type == IG_NETWORK_I8) return true;
    return false;
}

static double int8_instructions(const struct ig_nn_device *device, const struct ig_network *network,
                                uint64_t products)
{
    double sum = (double)products * device->int8_product;
    for (uint32_t i = 0; i < network->layers_count; i++) {
        const struct ig_network_layer *layer = &network->layers[i];
        double values = (double)ig_network_tensor_count(&network->tensors[layer->output]);
        if (layer->op == IG_NETWORK_RESHAPE) continue;
        sum +=
            values * (layer->op == IG_NETWORK_SOFTMAX ? device->int8_softmax : device->int8_value);
    }
    return sum;
}

enum ig_code ig_nn_device_estimate(struct ig_nn_estimate *out, const struct ig_nn_device *device,
                                   const struct ig_network *network, size_t file_bytes,
                                   struct ig_err *err)
{
    struct ig_nn *nn = NULL;
    const struct ig_nn_options options = {.isa = IG_ISA_SCALAR};
    if (ig_nn_new(&nn, network, &options, err) != IG_OK) return err->code;
    struct ig_nn_estimate estimate = {.device = device,
                                      .ram_bytes = ig_nn_arena_bytes(nn),
                                      .flash_bytes = file_bytes,
                                      .products = ig_nn_products(nn),
                                      .int8 = works_in_int8(network)};
    ig_nn_free(nn);
    estimate.instructions = estimate.int8 ? int8_instructions(device, network, estimate.products)
                                          : (double)estimate.products * device->float_product;
    estimate.energy_microjoule =
        device->picojoules > 0 ? estimate.instructions * device->picojoules / 1e6 : (double)NAN;
    *out = estimate;
    return IG_OK;
}

void ig_nn_estimate_write(struct ig_json_out *out, const struct ig_nn_estimate *estimate)
{
    ig_json_out_key(out, IG_STR("estimate"));
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "device", ig_str_view(estimate->device->name));
    ig_json_out_kv_i64(out, "ram_bytes", (int64_t)estimate->ram_bytes);
    ig_json_out_kv_i64(out, "flash_bytes", (int64_t)estimate->flash_bytes);
    ig_json_out_kv_i64(out, "products", (int64_t)estimate->products);
    ig_json_out_kv_f64(out, "instructions", estimate->instructions);
    if (!isnan(estimate->energy_microjoule))
        ig_json_out_kv_f64(out, "energy_microjoule", estimate->energy_microjoule);
    ig_json_out_object_end(out);
}
