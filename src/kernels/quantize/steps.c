/* SPDX-License-Identifier: Apache-2.0 */
/* Scales and zero points. Stateless. Source: LiteRT 8-bit quantization specification; the widening
 * and the nudge of the zero point are those of TensorFlow Lite's converter. */
#include "kernels/quantize/steps.h"

#include <math.h>

/* A bias is at most so many steps: the product with the multiplier still tells them apart, and a
 * sum of 2^16 products of int8 beside it fits 32 bits. */
#define BIAS_STEPS_MAX 0x1p24F
#define WEIGHT_STEPS 127.0F

struct ig_steps ig_steps_of_range(struct ig_range range)
{
    float least = fminf(range.least, 0), most = fmaxf(range.most, 0);
    float scale = (most - least) / 255;
    if (!(scale > 1e-30F)) return (struct ig_steps){1.0F, 0};
    double zero = -128 - (double)least / (double)scale;
    int32_t rounded = (int32_t)lround(zero);
    if (rounded < INT8_MIN) rounded = INT8_MIN;
    if (rounded > INT8_MAX) rounded = INT8_MAX;
    return (struct ig_steps){scale, rounded};
}

struct ig_range ig_steps_range(struct ig_steps steps)
{
    return (struct ig_range){steps.scale * (float)(INT8_MIN - steps.zero_point),
                             steps.scale * (float)(INT8_MAX - steps.zero_point)};
}

int8_t ig_steps_quantize(struct ig_steps steps, float real)
{
    float step = roundf(real / steps.scale) + (float)steps.zero_point;
    if (isnan(step)) return (int8_t)steps.zero_point;
    return (int8_t)(step < INT8_MIN ? INT8_MIN : step > INT8_MAX ? INT8_MAX : step);
}

bool ig_steps_fixed(enum ig_network_op op, struct ig_steps *steps)
{
    if (op == IG_NETWORK_SOFTMAX || op == IG_NETWORK_LOGISTIC)
        *steps = (struct ig_steps){1.0F / 256, -128};
    else if (op == IG_NETWORK_TANH)
        *steps = (struct ig_steps){1.0F / 128, 0};
    else
        return false;
    return true;
}

bool ig_steps_shared(enum ig_network_op op)
{
    return op == IG_NETWORK_AVERAGE_POOL_2D || op == IG_NETWORK_MAX_POOL_2D ||
           op == IG_NETWORK_RESHAPE || op == IG_NETWORK_PAD || op == IG_NETWORK_CONCATENATION;
}

float ig_steps_weight_scale(const struct ig_steps_weights *weights)
{
    float most = 0;
    for (size_t i = 0; i < weights->count; i++)
        most = fmaxf(most, fabsf(weights->values[i * weights->stride]));
    float scale = most / WEIGHT_STEPS;
    if (weights->input_scale > 0)
        scale = fmaxf(scale, weights->bias_most / (weights->input_scale * BIAS_STEPS_MAX));
    return scale > 1e-20F ? scale : 1.0F / WEIGHT_STEPS;
}

int8_t ig_steps_quantize_weight(float scale, float real)
{
    return (int8_t)fminf(fmaxf(roundf(real / scale), -WEIGHT_STEPS), WEIGHT_STEPS);
}
