/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_MODEL_NETWORK_PRIV_H
#define IG_MODEL_NETWORK_PRIV_H

#include "model/network.h"

/* Bytes of a tensor's elements; false when its type, rank or dimensions are not allowed. */
bool ig_network_measure(const struct ig_network_tensor *tensor, size_t *size_bytes);
/* Whether inputs 1 and 2 are weights and bias. */
bool ig_network_has_weights(enum ig_network_op op);

#endif
