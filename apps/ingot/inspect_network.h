/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_INSPECT_NETWORK_H
#define INGOT_INSPECT_NETWORK_H

/* What `ingot inspect` says of a neural network: layers, sizes, and its ends with their scales. */

#include "base/json.h"
#include "kernels/nn/nn.h"

/* Lines on stdout. */
void ig_inspect_network_print(const struct ig_network *network);
/* The member "network". */
void ig_inspect_network_write(struct ig_json_out *out, const struct ig_network *network);

#endif
