/* SPDX-License-Identifier: Apache-2.0 */
/* SOFTMAX over the last dimension. Of int8, TensorFlow Lite sums a table of floats; TensorFlow Lite
 * Micro works in fixed point: exponentials are fractions of 2^31, their sum has 12 integer bits.
 * Both need only what each difference from the greatest input becomes: a table. Source: TensorFlow
 * Lite's activations.cc and optimized_ops.h, reference/softmax.h. */
#include "kernels/nn/nn_priv.h"

#include <math.h>

enum { STEPS = 256, DIFFERENCE_BITS = 5, SUM_BITS = 12, FIXED_WIDTH_MAX = (1 << SUM_BITS) - 1 };

struct softmax {
    size_t width;
    float beta;
    float exps[STEPS];    /* of the difference -i, SINGLE */
    int32_t fixed[STEPS]; /* DOUBLE; -1: so small that it is left out */
};

static void row_f32(const struct softmax *s, const float *in, float *out)
{
    float greatest = in[0], sum = 0;
    for (size_t i = 1; i < s->width; i++) greatest = in[i] > greatest ? in[i] : greatest;
    for (size_t i = 0; i < s->width; i++) {
        out[i] = (float)exp((double)((in[i] - greatest) * s->beta));
        sum += out[i];
    }
    for (size_t i = 0; i < s->width; i++) out[i] /= sum;
}

static int32_t greatest_of(const int8_t *in, size_t width)
{
    int32_t greatest = INT8_MIN;
    for (size_t i = 0; i < width; i++) greatest = in[i] > greatest ? in[i] : greatest;
    return greatest;
}

static void row_single(const struct softmax *s, const int8_t *in, int8_t *out)
{
    int32_t greatest = greatest_of(in, s->width);
    float sum = 0;
    for (size_t i = 0; i < s->width; i++) sum += s->exps[greatest - in[i]];
    float inverse = 1.0F / (sum * (1.0F / STEPS));
    for (size_t i = 0; i < s->width; i++)
        out[i] = nn_clamp((int64_t)roundf(s->exps[greatest - in[i]] * inverse) + INT8_MIN, INT8_MIN,
                          INT8_MAX);
}

static void row_double(const struct softmax *s, const int8_t *in, int8_t *out)
{
    int32_t greatest = greatest_of(in, s->width);
    uint32_t sum = 0; /* at least 2^19: the greatest's own 1 */
    for (size_t i = 0; i < s->width; i++) {
        int32_t e = s->fixed[greatest - in[i]];
        if (e >= 0) sum += (uint32_t)nn_divide_pot(e, SUM_BITS);
    }
    int32_t headroom = __builtin_clz(sum);
    int32_t reciprocal = nn_reciprocal_plus_one((int32_t)((sum << headroom) - (UINT32_C(1) << 31)));
    for (size_t i = 0; i < s->width; i++) {
        int32_t e = s->fixed[greatest - in[i]];
        out[i] = e < 0 ? INT8_MIN
                       : nn_clamp((int64_t)nn_divide_pot(nn_high_product(reciprocal, e),
                                                         SUM_BITS - headroom + 31 - 8) +
                                      INT8_MIN,
                                  INT8_MIN, INT8_MAX);
    }
}

static void run_softmax(const struct nn_run *run, const struct nn_step *step)
{
    const struct softmax *s = step->state;
    const struct ig_network_tensor *out = nn_out(run->nn, step);
    const void *in = nn_read(run, step->layer->inputs[0]);
    void *to = nn_write(run, step->layer->output);
    size_t count = ig_network_tensor_count(out);
    bool single = run->nn->network->rounding == IG_NETWORK_ROUNDING_SINGLE;
    for (size_t i = 0; i < count; i += s->width)
        if (out->type == IG_NETWORK_F32)
            row_f32(s, (const float *)in + i, (float *)to + i);
        else if (single)
            row_single(s, (const int8_t *)in + i, (int8_t *)to + i);
        else
            row_double(s, (const int8_t *)in + i, (int8_t *)to + i);
}

struct nn_multiplier nn_softmax_multiplier(float scale, float beta)
{
    double real = (double)beta * (double)scale * (1 << (31 - DIFFERENCE_BITS));
    return nn_multiplier_of(fmin(real, 0x1p31 - 1));
}

int32_t nn_softmax_radius(struct nn_multiplier multiplier)
{
    return nn_input_radius(DIFFERENCE_BITS, multiplier.shift);
}

float nn_softmax_exp(float scale, float beta, int32_t difference)
{
    float step = -scale * beta;
    return (float)exp((double)(step * (float)difference));
}

static void fill_tables(struct softmax *s, float scale)
{
    struct nn_multiplier m = nn_softmax_multiplier(scale, s->beta);
    int32_t least = -nn_softmax_radius(m);
    for (int32_t i = 0; i < STEPS; i++) {
        s->exps[i] = nn_softmax_exp(scale, s->beta, i);
        s->fixed[i] = -1;
        if (-i >= least)
            s->fixed[i] = nn_exp_negative((int32_t)nn_scale_double(-i, m), DIFFERENCE_BITS);
    }
}

enum ig_code nn_prepare_softmax(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    const struct ig_network_tensor *in = nn_in(nn, step, 0);
    struct softmax *s = ig_arena_zalloc(&nn->arena, sizeof *s);
    if (!s) return nn_no_memory(err);
    s->width = in->rank ? in->dims[in->rank - 1] : 1;
    s->beta = step->layer->beta;
    if (in->type == IG_NETWORK_I8 && nn->network->rounding == IG_NETWORK_ROUNDING_DOUBLE &&
        s->width > FIXED_WIDTH_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "%zu classes, at most %d in fixed point", s->width,
                       FIXED_WIDTH_MAX);
    if (in->type == IG_NETWORK_I8) fill_tables(s, in->quantization.scales[0]);
    step->run = run_softmax;
    step->state = s;
    return IG_OK;
}
