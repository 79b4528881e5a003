/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of one element: LOGISTIC, TANH, the RELUs, QUANTIZE and DEQUANTIZE. From int8 to int8
 * they are a table of 256 steps, made in `new` as the network's rounding asks. Source: TensorFlow
 * Lite's activations.cc and quantize.cc, TensorFlow Lite Micro's logistic.cc and tanh.cc. */
#include "kernels/nn/nn_priv.h"

#include <math.h>
#include <string.h>

enum { STEPS = 256, INPUT_BITS = 4 };

/* ---- tables ---- */

static float function(enum ig_network_op op, float x)
{
    switch (op) {
    case IG_NETWORK_LOGISTIC:
        return 1.0F / (1.0F + (float)exp(-(double)x));
    case IG_NETWORK_TANH:
        return (float)tanh((double)x);
    case IG_NETWORK_RELU:
        return x < 0 ? 0 : x;
    case IG_NETWORK_RELU6:
        return nn_clamp_f32(x, 0, 6);
    default: /* RELU_N1_TO_1 */
        return nn_clamp_f32(x, -1, 1);
    }
}

/* As TensorFlow Lite fills the table of LOGISTIC and TANH. */
static int8_t through_f32(enum ig_network_op op, const struct ig_network_quantization *in,
                          const struct ig_network_quantization *out, int32_t step)
{
    float x = in->scales[0] * (float)(step - in->zero_points[0]);
    float inverse = 1 / out->scales[0];
    return nn_clamp((int64_t)roundf(function(op, x) * inverse) + out->zero_points[0], INT8_MIN,
                    INT8_MAX);
}

/* As TensorFlow Lite Micro computes LOGISTIC and TANH: the input with 4 integer bits. */
static int8_t through_fixed(enum ig_network_op op, const struct ig_network_quantization *in,
                            int32_t step)
{
    struct nn_multiplier m = nn_multiplier_of((double)in->scales[0] * (1 << (31 - INPUT_BITS)));
    int32_t radius = nn_input_radius(INPUT_BITS, m.shift), x = step - in->zero_points[0];
    bool logistic = op == IG_NETWORK_LOGISTIC;
    if (x <= -radius) return INT8_MIN;
    if (x >= radius) return INT8_MAX;
    int32_t scaled = (int32_t)nn_scale_double(x, m);
    if (logistic)
        return nn_clamp(nn_divide_pot(nn_logistic(scaled), 31 - 8) - 128, INT8_MIN, INT8_MAX);
    return nn_clamp(nn_divide_pot(nn_tanh(scaled), 31 - 7), INT8_MIN, INT8_MAX);
}

/* The RELUs and QUANTIZE: a step of one scale as one of another, clamped. */
static int8_t rescaled(const struct ig_network_quantization *in,
                       const struct ig_network_tensor *out, enum ig_network_activation activation,
                       enum ig_network_rounding rounding, int32_t step)
{
    const struct ig_network_quantization *q = &out->quantization;
    struct nn_multiplier m = nn_multiplier_of((double)in->scales[0] / (double)q->scales[0]);
    int32_t least, most;
    nn_range_i8(out, activation, &least, &most);
    return nn_clamp(nn_scale(step - in->zero_points[0], m, rounding) + q->zero_points[0], least,
                    most);
}

static enum ig_network_activation activation_of(enum ig_network_op op)
{
    return op == IG_NETWORK_RELU           ? IG_NETWORK_ACTIVATION_RELU
           : op == IG_NETWORK_RELU6        ? IG_NETWORK_ACTIVATION_RELU6
           : op == IG_NETWORK_RELU_N1_TO_1 ? IG_NETWORK_ACTIVATION_RELU_N1_TO_1
                                           : IG_NETWORK_ACTIVATION_NONE;
}

int8_t nn_table_step(const struct ig_network *network, const struct ig_network_layer *layer,
                     int32_t value)
{
    enum ig_network_op op = layer->op;
    enum ig_network_rounding rounding = network->rounding;
    const struct ig_network_quantization *in = &ig_network_input(network, layer, 0)->quantization;
    const struct ig_network_tensor *out = &network->tensors[layer->output];
    if (op != IG_NETWORK_LOGISTIC && op != IG_NETWORK_TANH)
        return rescaled(in, out, activation_of(op), rounding, value);
    if (rounding == IG_NETWORK_ROUNDING_DOUBLE) return through_fixed(op, in, value);
    return through_f32(op, in, &out->quantization, value);
}

static void run_table(const struct nn_run *run, const struct nn_step *step)
{
    const int8_t *table = step->state, *in = nn_read(run, step->layer->inputs[0]);
    int8_t *out = nn_write(run, step->layer->output);
    size_t count = ig_network_tensor_count(nn_out(run->nn, step));
    for (size_t i = 0; i < count; i++) out[i] = table[in[i] - INT8_MIN];
}

static enum ig_code prepare_table(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    int8_t *table = ig_arena_alloc(&nn->arena, STEPS);
    if (!table) return nn_no_memory(err);
    for (int32_t i = 0; i < STEPS; i++)
        table[i] = nn_table_step(nn->network, step->layer, i + INT8_MIN);
    step->run = run_table;
    step->state = table;
    return IG_OK;
}

/* ---- floats ---- */

static void run_function(const struct nn_run *run, const struct nn_step *step)
{
    const float *in = nn_read(run, step->layer->inputs[0]);
    float *out = nn_write(run, step->layer->output);
    size_t count = ig_network_tensor_count(nn_out(run->nn, step));
    for (size_t i = 0; i < count; i++) out[i] = function(step->layer->op, in[i]);
}

enum ig_code nn_prepare_unary(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    if (nn_in(nn, step, 0)->type == IG_NETWORK_I8) return prepare_table(nn, step, err);
    step->run = run_function;
    return IG_OK;
}

static void run_quantize(const struct nn_run *run, const struct nn_step *step)
{
    const struct ig_network_quantization *q = &nn_out(run->nn, step)->quantization;
    const float *in = nn_read(run, step->layer->inputs[0]);
    int8_t *out = nn_write(run, step->layer->output);
    size_t count = ig_network_tensor_count(nn_out(run->nn, step));
    for (size_t i = 0; i < count; i++) out[i] = nn_quantize(in[i], q->scales[0], q->zero_points[0]);
}

enum ig_code nn_prepare_quantize(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    if (nn_in(nn, step, 0)->type == IG_NETWORK_I8) return prepare_table(nn, step, err);
    step->run = run_quantize;
    return IG_OK;
}

static void run_dequantize(const struct nn_run *run, const struct nn_step *step)
{
    const struct ig_network_tensor *in = nn_in(run->nn, step, 0);
    const struct ig_network_quantization *q = &in->quantization;
    const void *from = nn_read(run, step->layer->inputs[0]);
    float *out = nn_write(run, step->layer->output);
    size_t count = ig_network_tensor_count(in), each = 1;
    for (uint32_t d = q->dimension + 1; d < in->rank; d++) each *= in->dims[d];
    for (size_t i = 0; i < count; i++) {
        size_t c = q->count > 1 ? i / each % q->count : 0;
        if (in->type == IG_NETWORK_F16)
            out[i] = ig_network_f16(((const uint16_t *)from)[i]);
        else
            out[i] = q->scales[c] * (float)(((const int8_t *)from)[i] - q->zero_points[c]);
    }
}

enum ig_code nn_prepare_dequantize(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    (void)nn;
    (void)err;
    step->run = run_dequantize;
    return IG_OK;
}
