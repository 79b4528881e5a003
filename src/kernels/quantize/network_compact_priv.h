/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_NETWORK_COMPACT_PRIV_H
#define IG_KERNELS_QUANTIZE_NETWORK_COMPACT_PRIV_H

#include "base/mem.h"
#include "kernels/nn/nn_numbers.h"
#include "kernels/quantize/network_compact.h"

/* Checks that devices run the layer, computes its numbers and puts its constants behind the others.
 * layer, inputs and output are set. */
enum ig_code compact_layer(struct ig_network_compact *compact, struct ig_compact_layer *made,
                           struct ig_err *err);
/* Offsets of activations and scratch; arena_bytes. */
enum ig_code compact_plan(struct ig_network_compact *compact, struct ig_err *err);
/* Where constants of 32-bit numbers may begin. */
uint32_t compact_constants_begin(struct ig_network_compact *compact);

static inline const struct ig_network_tensor *compact_in(const struct ig_network_compact *compact,
                                                         const struct ig_compact_layer *made,
                                                         uint32_t index)
{
    return ig_network_input(compact->network, made->layer, index);
}

static inline const struct ig_network_tensor *compact_out(const struct ig_network_compact *compact,
                                                          const struct ig_compact_layer *made)
{
    return &compact->network->tensors[made->layer->output];
}

#endif
