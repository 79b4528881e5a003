/* SPDX-License-Identifier: Apache-2.0 */
/* ADD, SUB and MUL with broadcasting. An int8 sum brings both inputs to a common scale with 20 more
 * bits; what each of the 256 steps becomes there is a table. Source: TensorFlow Lite's add.cc,
 * sub.cc, mul.cc and reference_integer_ops. */
#include "kernels/nn/nn_priv.h"

#include <math.h>

enum { LEFT_SHIFT = 20, STEPS = 256 };

struct arithmetic {
    size_t strides[2][IG_NETWORK_RANK_MAX]; /* of both inputs by the output's dimension */
    int32_t scaled[2][STEPS];               /* int8: of ADD and SUB; of MUL without zero point */
    struct nn_multiplier multiplier;
    int32_t zero_out, least, most;
    float least_f32, most_f32;
};

static float compute_f32(enum ig_network_op op, float a, float b)
{
    return op == IG_NETWORK_ADD ? a + b : op == IG_NETWORK_SUB ? a - b : a * b;
}

static int8_t compute_i8(const struct nn_run *run, const struct nn_step *step, int8_t a, int8_t b)
{
    const struct arithmetic *s = step->state;
    int32_t x = s->scaled[0][a - INT8_MIN], y = s->scaled[1][b - INT8_MIN];
    int32_t raw = step->layer->op == IG_NETWORK_ADD   ? x + y
                  : step->layer->op == IG_NETWORK_SUB ? x - y
                                                      : x * y;
    return nn_clamp(nn_scale(raw, s->multiplier, run->nn->network->rounding) + s->zero_out,
                    s->least, s->most);
}

static void run_arithmetic(const struct nn_run *run, const struct nn_step *step)
{
    const struct arithmetic *s = step->state;
    const struct ig_network_tensor *out = nn_out(run->nn, step);
    const void *a = nn_read(run, step->layer->inputs[0]), *b = nn_read(run, step->layer->inputs[1]);
    void *to = nn_write(run, step->layer->output);
    uint32_t counters[IG_NETWORK_RANK_MAX] = {0};
    size_t count = ig_network_tensor_count(out), x = 0, y = 0;
    for (size_t i = 0; i < count; i++) {
        if (out->type == IG_NETWORK_I8)
            ((int8_t *)to)[i] =
                compute_i8(run, step, ((const int8_t *)a)[x], ((const int8_t *)b)[y]);
        else
            ((float *)to)[i] = nn_clamp_f32(
                compute_f32(step->layer->op, ((const float *)a)[x], ((const float *)b)[y]),
                s->least_f32, s->most_f32);
        for (uint32_t d = out->rank; d-- > 0;) {
            x += s->strides[0][d];
            y += s->strides[1][d];
            if (++counters[d] < out->dims[d]) break;
            x -= s->strides[0][d] * out->dims[d];
            y -= s->strides[1][d] * out->dims[d];
            counters[d] = 0;
        }
    }
}

static void prepare_strides(size_t *strides, const struct ig_network_tensor *in,
                            const struct ig_network_tensor *out)
{
    size_t stride = 1;
    for (uint32_t d = 1; d <= in->rank; d++) { /* from behind */
        uint32_t dim = in->dims[in->rank - d];
        strides[out->rank - d] = dim == 1 ? 0 : stride;
        stride *= dim;
    }
}

/* TensorFlow Lite multiplies MUL's scales as floats, TensorFlow Lite Micro as doubles. */
static double product_multiplier(float a, float b, float out, enum ig_network_rounding rounding)
{
    if (rounding == IG_NETWORK_ROUNDING_SINGLE) return (double)(a * b / out);
    return (double)a * (double)b / (double)out;
}

void nn_arithmetic_multipliers(const struct ig_network *network,
                               const struct ig_network_layer *layer, struct nn_multiplier inputs[2],
                               struct nn_multiplier *output)
{
    float a = ig_network_input(network, layer, 0)->quantization.scales[0];
    float b = ig_network_input(network, layer, 1)->quantization.scales[0];
    float out = network->tensors[layer->output].quantization.scales[0];
    double twice = 2 * fmax((double)a, (double)b);
    inputs[0] = nn_multiplier_of((double)a / twice);
    inputs[1] = nn_multiplier_of((double)b / twice);
    if (layer->op == IG_NETWORK_MUL)
        *output = nn_multiplier_of(product_multiplier(a, b, out, network->rounding));
    else
        *output = nn_multiplier_of(twice / ((1 << LEFT_SHIFT) * (double)out));
}

static void prepare_i8(struct arithmetic *s, const struct ig_nn *nn, const struct nn_step *step)
{
    const struct ig_network_quantization *in[2] = {&nn_in(nn, step, 0)->quantization,
                                                   &nn_in(nn, step, 1)->quantization};
    const struct ig_network_tensor *out = nn_out(nn, step);
    enum ig_network_rounding rounding = nn->network->rounding;
    bool product = step->layer->op == IG_NETWORK_MUL;
    struct nn_multiplier inputs[2];
    nn_arithmetic_multipliers(nn->network, step->layer, inputs, &s->multiplier);
    s->zero_out = out->quantization.zero_points[0];
    nn_range_i8(out, step->layer->activation, &s->least, &s->most);
    for (int k = 0; k < 2; k++) {
        for (int32_t i = 0; i < STEPS; i++) {
            int32_t value = i + INT8_MIN - in[k]->zero_points[0];
            s->scaled[k][i] =
                product ? value : (int32_t)nn_scale(value * (1 << LEFT_SHIFT), inputs[k], rounding);
        }
    }
}

enum ig_code nn_prepare_arithmetic(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    const struct ig_network_tensor *out = nn_out(nn, step);
    struct arithmetic *s = ig_arena_zalloc(&nn->arena, sizeof *s);
    if (!s) return nn_no_memory(err);
    for (uint32_t k = 0; k < 2; k++) prepare_strides(s->strides[k], nn_in(nn, step, k), out);
    if (out->type == IG_NETWORK_I8) prepare_i8(s, nn, step);
    nn_range_f32(step->layer->activation, &s->least_f32, &s->most_f32);
    step->run = run_arithmetic;
    step->state = s;
    return IG_OK;
}
