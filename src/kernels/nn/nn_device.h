/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_DEVICE_H
#define IG_KERNELS_NN_NN_DEVICE_H

/* What a network takes on a kind of device, as an estimate: products of weights, values of layers
 * and of softmax, each times the instructions that kernels of that kind need for one, and energy as
 * if an instruction were a cycle. Memory is that of the plan here; a runtime's own comes on top. */

#include "base/json.h"
#include "kernels/nn/nn.h"

struct ig_nn_device {
    const char *name;
    double int8_product, int8_value, int8_softmax; /* instructions */
    double float_product;
    double picojoules; /* a cycle; 0: no figure */
    const char *doc;
};
size_t ig_nn_devices_count(void);
const struct ig_nn_device *ig_nn_device_at(size_t index);
const struct ig_nn_device *ig_nn_device_find(const char *name); /* NULL when unknown */

struct ig_nn_estimate {
    const struct ig_nn_device *device;
    size_t ram_bytes;   /* of activations */
    size_t flash_bytes; /* the file as it is */
    uint64_t products;
    bool int8;
    double instructions;      /* a row */
    double energy_microjoule; /* a row; NaN: no figure */
};
enum ig_code ig_nn_device_estimate(struct ig_nn_estimate *out, const struct ig_nn_device *device,
                                   const struct ig_network *network, size_t file_bytes,
                                   struct ig_err *err);
/* The member "estimate" of an open object. */
void ig_nn_estimate_write(struct ig_json_out *out, const struct ig_nn_estimate *estimate);

#endif
