/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_STEPS_H
#define IG_KERNELS_QUANTIZE_STEPS_H

/* From ranges of real numbers to the scales and zero points of int8, as the LiteRT 8-bit
 * quantization specification wants them, and the rounding itself. Pure. */

#include "model/network.h"

struct ig_range {
    float least, most;
};

struct ig_steps {
    float scale;
    int32_t zero_point;
};

/* int8 steps -128..127 over a range, which is widened to hold 0; 0 is a step exactly. */
struct ig_steps ig_steps_of_range(struct ig_range range);
/* The numbers that the first and last step stand for. */
struct ig_range ig_steps_range(struct ig_steps steps);
/* Nearest step, ties away from zero; what lies outside saturates, NaN is the zero point. */
int8_t ig_steps_quantize(struct ig_steps steps, float real);

/* Steps that an operator prescribes for its output: softmax, logistic, tanh. */
bool ig_steps_fixed(enum ig_network_op op, struct ig_steps *steps);
/* Whether an operator's output has the steps of its input. */
bool ig_steps_shared(enum ig_network_op op);

/* Scale of weights -127..127: greatest magnitude / 127, and no less than a bias needs that is
 * counted in steps of input * weights. */
struct ig_steps_weights {
    const float *values; /* of one channel, or all */
    size_t count, stride;
    float bias_most;   /* greatest magnitude of the biases concerned */
    float input_scale; /* 0: no bias is counted */
};
float ig_steps_weight_scale(const struct ig_steps_weights *weights);
int8_t ig_steps_quantize_weight(float scale, float real); /* -127..127 */

#endif
