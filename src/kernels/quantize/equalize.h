/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_EQUALIZE_H
#define IG_KERNELS_QUANTIZE_EQUALIZE_H

/* Cross-layer equalization (Nagel et al. 2019): a channel between two layers is scaled so that its
 * weights before and behind are of like size, which one scale for a whole tensor needs. The
 * network's function stays the same, but for rounding. */

#include "model/network.h"

/* Changes the weights and biases of a float network that is the caller's own (ig_network_dup).
 * Gives how many pairs of layers were equalized; NO_MEMORY when its arena is full. */
enum ig_code ig_equalize_run(uint32_t *pairs_count, struct ig_network *network, struct ig_err *err);

#endif
