/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_TRAIN_SHRINK_H
#define IG_KERNELS_TRAIN_SHRINK_H

/* Structured pruning: whole neurons and channels go, and with them rows, columns and biases of the
 * weights on both sides, so the network is smaller and faster on any kernel. A channel that a sum
 * joins to others goes with them. What remains is to be trained again for a while (fit.h).
 *
 * Channels of the network's input and output stay, as do those that an operator mixes otherwise
 * than kernels/train/backprop.h knows. */

#include "model/network.h"

struct ig_shrink_options {
    double fraction; /* of each group of channels that goes, 0 up to 1; one channel stays */
};

struct ig_shrink_report {
    uint64_t parameters_before, parameters_after;
    uint64_t products_before, products_after; /* multiplications of weights a run */
    uint32_t channels_before, channels_after; /* that could go */
};

/* A float network of its own, accepted by ig_network_check. Those channels go whose weights before
 * and behind have the least product of norms. UNSUPPORTED when no channel can go. */
enum ig_code ig_shrink_run(struct ig_network **out, struct ig_shrink_report *report,
                           const struct ig_network *network,
                           const struct ig_shrink_options *options, struct ig_err *err);

#endif
