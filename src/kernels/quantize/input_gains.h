/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_INPUT_GAINS_H
#define IG_KERNELS_QUANTIZE_INPUT_GAINS_H

/* Cross-layer equalization of a network's inputs with its first layer, where what makes the inputs
 * can multiply each by a gain of its own (kernels/train/encoder.h): all of them share the steps of
 * one tensor, and those that the layer listens to most need the finest. */

#include "model/network.h"

/* The layer that alone reads the one input and multiplies each of its elements by weights of their
 * own (FULLY_CONNECTED over all of a row); NULL: there is none. */
const struct ig_network_layer *ig_input_gains_layer(const struct ig_network *network);

/* gains[elements of the input], 2^-10 to 2^10: with them an input's greatest magnitude in `rows` is
 * that of its weights; one that is always 0 there counts as 1. */
void ig_input_gains_find(float *gains, const struct ig_network *network, const float *rows,
                         size_t rows_count);

/* The same function of inputs that are times their gains. Changes a float network that is the
 * caller's own (ig_network_dup); NO_MEMORY when its arena is full. */
enum ig_code ig_input_gains_apply(struct ig_network *network, const float *gains,
                                  struct ig_err *err);

#endif
