/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_PRIV_H
#define IG_KERNELS_NN_NN_PRIV_H

/* How the files of kernels/nn share a network in the making and in its run. */

#include "base/mem.h"
#include "kernels/nn/nn.h"
#include "kernels/nn/nn_numbers.h"
#include "kernels/nn/nn_product.h"

struct nn_run {
    const struct ig_nn *nn;
    char *arena;
    void *scratch; /* 64-byte aligned */
};

struct nn_step {
    const struct ig_network_layer *layer;
    void (*run)(const struct nn_run *run, const struct nn_step *step);
    const void *state; /* what was prepared */
    size_t scratch_bytes;
    uint64_t products, work; /* work: where it is more than its products and elements */
};

struct ig_nn {
    struct ig_arena arena; /* owns all below */
    const struct ig_network *network;
    enum ig_isa isa;
    const struct nn_products *products; /* of the instruction set */
    const void **data;                  /* by tensor: constants, folded ones too; else NULL */
    size_t *offsets;                    /* by tensor */
    struct nn_step *steps;
    uint32_t steps_count;
    size_t arena_bytes, scratch_bytes; /* the latter of the hungriest step */
};

static inline const void *nn_read(const struct nn_run *run, uint32_t tensor)
{
    const void *data = run->nn->data[tensor];
    return data ? data : run->arena + run->nn->offsets[tensor];
}

/* A layer that is folded writes where its constant will be read. */
static inline void *nn_write(const struct nn_run *run, uint32_t tensor)
{
    const void *data = run->nn->data[tensor];
    return data ? (void *)(uintptr_t)data : run->arena + run->nn->offsets[tensor];
}

static inline const struct ig_network_tensor *nn_in(const struct ig_nn *nn,
                                                    const struct nn_step *step, uint32_t index)
{
    return ig_network_input(nn->network, step->layer, index);
}

static inline const struct ig_network_tensor *nn_out(const struct ig_nn *nn,
                                                     const struct nn_step *step)
{
    return &nn->network->tensors[step->layer->output];
}

/* Clamps of a float output. */
void nn_range_f32(enum ig_network_activation activation, float *least, float *most);

static inline float nn_clamp_f32(float value, float least, float most)
{
    value = value < least ? least : value;
    return value > most ? most : value;
}

/* Prepare a step: run, state, scratch_bytes and products. Fail when memory is out. */
typedef enum ig_code nn_prepare_fn(struct ig_nn *nn, struct nn_step *step, struct ig_err *err);
nn_prepare_fn nn_prepare_conv, nn_prepare_depthwise, nn_prepare_fully_connected, nn_prepare_pool,
    nn_prepare_pad, nn_prepare_arithmetic, nn_prepare_concatenation, nn_prepare_softmax,
    nn_prepare_unary, nn_prepare_mean, nn_prepare_quantize, nn_prepare_dequantize;
enum ig_code nn_no_memory(struct ig_err *err);

/* Biases and multipliers of an int8 layer's channels, padded by zeros to `padded` of them. */
enum ig_code nn_prepare_finish(struct ig_nn *nn, const struct nn_step *step,
                               struct nn_finish *finish, uint32_t padded, struct ig_err *err);
/* Weights as numbers: themselves, or what int8 ones stand for; channel d of `dimension` has its
 * own scale where there are several. NULL when out of memory. */
const float *nn_weights_f32(struct ig_nn *nn, const struct nn_step *step);

#endif
