/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_H
#define IG_KERNELS_NN_NN_H

/* A network made ready to run: weights laid out, multipliers computed, constants folded, every
 * activation given its place in one arena that lifetimes share. `new` can fail and names the layer;
 * run allocates nothing, returns void, and gives the same bits on every instruction set. Immutable
 * after `new`, shared by all threads; it borrows the network, which ig_network_check has accepted.
 *
 * Numbers. int8: as the network's rounding says. SINGLE is TensorFlow Lite's own (softmax, logistic
 * and tanh by tables of floats), DOUBLE is TensorFlow Lite Micro's (all in fixed point). float32:
 * sums of products in float, in index order; weights in int8 under float inputs are taken for the
 * numbers that they stand for. */

#include "kernels/cpu/cpu.h"
#include "kernels/predictor.h"
#include "model/network.h"

struct ig_nn;

struct ig_nn_options {
    size_t max_bytes;  /* bound over laid out weights, arena and scratch; 0: 1 GiB */
    enum ig_isa isa;   /* at most this; ig_cpu_isa() as a rule */
    uint64_t max_work; /* bound over a run's operations: products, or elements; 0: 2^34 */
};

enum ig_code ig_nn_new(struct ig_nn **out, const struct ig_network *network,
                       const struct ig_nn_options *options, struct ig_err *err);
void ig_nn_free(struct ig_nn *nn);

/* Bytes that a run needs: the arena of activations, and behind it the layers' working memory. */
size_t ig_nn_scratch_bytes(const struct ig_nn *nn);
size_t ig_nn_arena_bytes(const struct ig_nn *nn);
size_t ig_nn_memory_bytes(const struct ig_nn *nn); /* of the laid out weights */
enum ig_isa ig_nn_isa(const struct ig_nn *nn);     /* whose instructions it uses */
/* Products of a run: multiplications of weights. */
uint64_t ig_nn_products(const struct ig_nn *nn);
/* Where a tensor lies in the arena; SIZE_MAX of constants and of what nothing uses. */
size_t ig_nn_offset(const struct ig_nn *nn, uint32_t tensor);

/* Sees every activation: the inputs, then each layer's output when it is computed. */
struct ig_nn_observer {
    void (*see)(void *context, uint32_t tensor, const void *data);
    void *context;
};

/* inputs[i] points to the elements of input i, outputs[i] receives those of output i (NULL: not
 * wanted). `scratch` is 64-byte aligned, its contents undefined before and after. */
void ig_nn_run(const struct ig_nn *nn, const void *const *inputs, void *const *outputs,
               void *scratch);
void ig_nn_run_observed(const struct ig_nn *nn, const void *const *inputs, void *const *outputs,
                        void *scratch, const struct ig_nn_observer *observer);

/* The network as a function of rows: features are the elements of all inputs in order, values those
 * of all outputs. Numbers are real: int8 inputs are quantized (what is outside saturates, NaN is
 * the zero point), int8 outputs dequantized. */
struct ig_predictor ig_nn_predictor(const struct ig_nn *nn);

#endif
