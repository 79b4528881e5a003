/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_NETWORK_COMPACT_H
#define IG_KERNELS_QUANTIZE_NETWORK_COMPACT_H

/* An int8 network made ready for devices: no names, no scales of weights, every number that a layer
 * works with computed beforehand, every activation in its place. What the compact file
 * (docs/edge-format.md) and the exported C file hold. Thread rule: immutable after `new`. */

#include "base/str.h"
#include "kernels/nn/nn_fixed.h"
#include "kernels/train/encoder.h"
#include "model/network.h"

enum {
    IG_COMPACT_RANK_MAX = 4,
    IG_COMPACT_DIM_MAX = 65535,
    IG_COMPACT_LAYERS_MAX = 1000,
    IG_COMPACT_NETWORK_BYTES_MAX = 1 << 30, /* of all constants; of all activations */
};

struct ig_compact_tensor {
    const struct ig_network_tensor *tensor;
    bool constant;
    uint32_t offset;                    /* into the constants, or into the arena */
    uint32_t dims[IG_COMPACT_RANK_MAX]; /* behind the rank: 1 */
};

struct ig_compact_layer {
    const struct ig_network_layer *layer;
    uint32_t *inputs; /* inputs_count; without weights and bias */
    uint32_t inputs_count, output;
    int32_t least, most; /* clamp of an int8 output */
    /* Layers with weights have in the constants: a bias for each channel (int32; FULLY_CONNECTED:
     * less the input's zero point times the weights), fractions (int32) and shifts (int8) of the
     * multipliers, and the weights as TensorFlow Lite orders them. Tables
     * have their 256 steps there. */
    uint32_t constants; /* where, a multiple of 4 */
    uint32_t channels;
    bool per_channel;  /* else there is one multiplier */
    uint32_t sum_bits; /* every sum is less than 2^this, either way */
    uint32_t filter_h, filter_w;
    uint32_t scratch, scratch_bytes; /* CONV_2D: in the arena */
    /* ADD, SUB: of both inputs and the sum. MUL, MEAN, SOFTMAX (double rounding): the last alone.
     */
    struct nn_multiplier multipliers[3];
    uint32_t step; /* SOFTMAX: bits of the float scale * beta; double rounding: the radius */
};

struct ig_network_compact {
    struct ig_arena arena; /* owns all below but the network */
    const struct ig_network *network;
    const struct ig_encoder *encoder; /* what makes its one input of a row; borrowed; NULL: none */
    struct ig_compact_tensor *tensors;
    struct ig_compact_layer *layers; /* all of the network's, in order */
    uint32_t *inputs, *outputs;
    uint32_t tensors_count, layers_count, inputs_count, outputs_count;
    struct ig_buf constants; /* owned */
    uint32_t arena_bytes;
    uint64_t products;       /* multiplications of weights in a run */
    bool probability;        /* the output is one number, a probability */
    int32_t class_threshold; /* of one int8 output: above it the class is 1 */
};

/* Borrows the network, which ig_network_check has accepted. IG_UNSUPPORTED: a layer that devices do
 * not run, which the message names, and why. */
enum ig_code ig_network_compact_new(struct ig_network_compact **out,
                                    const struct ig_network *network, struct ig_err *err);
/* The same without places in an arena, which the caller knows. */
enum ig_code ig_network_compact_prepare(struct ig_network_compact **out,
                                        const struct ig_network *network, struct ig_err *err);
void ig_network_compact_free(struct ig_network_compact *compact);

#endif
