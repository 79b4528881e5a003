/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_NUMBERS_H
#define IG_KERNELS_NN_NN_NUMBERS_H

/* The numbers that int8 layers work with, made of their tensors' scales: the same for the kernels
 * here and for a file that a device runs. Layers are of a checked network. */

#include "kernels/nn/nn_fixed.h"

/* Clamps of an output, in steps. */
void nn_range_i8(const struct ig_network_tensor *out, enum ig_network_activation activation,
                 int32_t *least, int32_t *most);
/* Of a channel of a layer with weights; `single`: all channels share the weights' scale. */
struct nn_multiplier nn_weights_multiplier(enum ig_network_op op, bool single, float in,
                                           float weight, float out);
/* ADD and SUB: of the inputs, shifted left by 20 bits before, and of their sum; MUL: of the product
 * alone. */
void nn_arithmetic_multipliers(const struct ig_network *network,
                               const struct ig_network_layer *layer, struct nn_multiplier inputs[2],
                               struct nn_multiplier *output);
struct nn_multiplier nn_mean_multiplier(float in, float out, size_t cells);
/* What an operator of one element makes of an int8 input. */
int8_t nn_table_step(const struct ig_network *network, const struct ig_network_layer *layer,
                     int32_t value);
/* SOFTMAX. SINGLE: exp of an input that is so many steps below the greatest. DOUBLE: the multiplier
 * of such a difference, and the steps from which on it counts for nothing. */
float nn_softmax_exp(float scale, float beta, int32_t difference);
struct nn_multiplier nn_softmax_multiplier(float scale, float beta);
int32_t nn_softmax_radius(struct nn_multiplier multiplier);

#endif
