/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_LAYERS_H
#define IG_KERNELS_TRAIN_LAYERS_H

/* New float networks from a list of layers, each on top of the one before, with weights drawn by a
 * seed (He et al. 2015 before a RELU, else Glorot and Bengio 2010), uniformly. */

#include "model/network.h"

enum ig_layer_kind {
    IG_LAYER_DENSE, /* flattens what has more dimensions */
    IG_LAYER_CONV,
    IG_LAYER_DEPTHWISE, /* units: filters a channel */
    IG_LAYER_AVERAGE_POOL,
    IG_LAYER_MAX_POOL,
    IG_LAYER_FLATTEN,
    IG_LAYER_ADD, /* of the layer before and the one `back` before it */
    IG_LAYER_SOFTMAX,
    IG_LAYER_LOGISTIC,
    IG_LAYER_TANH,
    IG_LAYER_RELU,
    IG_LAYER_RELU6,
};

enum { IG_LAYERS_MAX = 256, IG_LAYERS_UNITS_MAX = 1 << 16 };

struct ig_layer {
    enum ig_layer_kind kind;
    uint32_t units;  /* outputs, filters */
    uint32_t filter; /* rows and columns of windows; of a pool 0: all */
    uint32_t stride; /* 0: 1 of convolutions, the filter of pools */
    bool valid;      /* windows that lie inside; else padding */
    bool batch_norm;
    enum ig_network_activation activation;
    uint32_t back;
};

struct ig_layers {
    uint32_t height, width, channels; /* of the input; height 0: a vector of `channels` */
    const struct ig_layer *items;
    uint32_t count;
    uint64_t seed;
};

/* The network, and in batch_norm[network's layers_count <= 2 * count] which of its layers are to be
 * normalized (ig_backprop_options); the caller's array has room for 2 * IG_LAYERS_MAX. INVALID
 * names the item. */
enum ig_code ig_layers_make(struct ig_network **out, bool *batch_norm,
                            const struct ig_layers *layers, struct ig_err *err);

#endif
