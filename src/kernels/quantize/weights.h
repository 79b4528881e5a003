/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_WEIGHTS_H
#define IG_KERNELS_QUANTIZE_WEIGHTS_H

/* Smaller files of networks that go on computing in float: no rows are needed. */

#include "model/network.h"

enum ig_weights_form {
    IG_WEIGHTS_F16, /* all float constants as halves, which DEQUANTIZE brings back */
    IG_WEIGHTS_I8,  /* weights of layers with them, a scale a channel; biases stay */
};

/* A network of its own from a float one, accepted by ig_network_check. INVALID when a number is
 * beyond a half's range. */
enum ig_code ig_weights_run(struct ig_network **out, const struct ig_network *network,
                            enum ig_weights_form form, struct ig_err *err);
/* The nearest half, ties to even; beyond its range an infinity. */
uint16_t ig_weights_half(float value);

#endif
