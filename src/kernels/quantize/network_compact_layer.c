/* SPDX-License-Identifier: Apache-2.0 */
/* What devices run of each operator, and the numbers and constants of a layer. Stateless. */
#include "kernels/quantize/network_compact_priv.h"

#include <string.h>

enum {
    SMALL_MAX = 255,
    STEPS = 256,
    STEP_MOST = 128,
    STEPS_APART = 255,
    DEAD_SHIFT = -2,
    FIXED_SOFTMAX_MAX = 4095,
    MEAN_CELLS_MAX = 1 << 23
};

static enum ig_code want_i8(const struct ig_network_compact *compact,
                            const struct ig_compact_layer *made, struct ig_err *err)
{
    const struct ig_network_tensor *in = compact_in(compact, made, 0);
    if (in->type == IG_NETWORK_I8) return IG_OK;
    return ig_fail(err, IG_UNSUPPORTED,
                   "computes in %s, devices in int8: `ingot edge quantize` makes it so",
                   ig_network_type_name(in->type));
}

static enum ig_code window(const struct ig_network_compact *compact, struct ig_compact_layer *made,
                           struct ig_err *err)
{
    const struct ig_network_window *w = &made->layer->window;
    ig_network_filter(compact->network, made->layer, &made->filter_h, &made->filter_w);
    if (w->stride_h > SMALL_MAX || w->stride_w > SMALL_MAX || w->dilation_h > SMALL_MAX ||
        w->dilation_w > SMALL_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "strides %u, %u, dilations %u, %u: at most %d",
                       w->stride_h, w->stride_w, w->dilation_h, w->dilation_w, SMALL_MAX);
    if (made->filter_h > IG_COMPACT_DIM_MAX || made->filter_w > IG_COMPACT_DIM_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "a filter of %u x %u, at most %d on devices",
                       made->filter_h, made->filter_w, IG_COMPACT_DIM_MAX);
    return IG_OK;
}

static void put_i32(struct ig_buf *out, int32_t value)
{
    uint32_t bits = (uint32_t)value;
    for (int i = 0; i < 4; i++) ig_buf_add_char(out, (char)(bits >> (8 * i)));
}

/* Sum of a channel's weights, and in *magnitude of how far they are from 0. */
static int64_t sum_of(const struct ig_compact_layer *made, const struct ig_network_tensor *weights,
                      uint32_t channel, int64_t *magnitude)
{
    size_t each = ig_network_tensor_count(weights) / made->channels;
    bool last = made->layer->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    const int8_t *at = weights->data;
    int64_t sum = 0;
    *magnitude = 0;
    at += last ? channel : channel * each;
    for (size_t i = 0; i < each; i++, at += last ? made->channels : 1) {
        sum += *at;
        *magnitude += *at < 0 ? -*at : *at;
    }
    return sum;
}

static void put_biases(struct ig_network_compact *compact, struct ig_compact_layer *made)
{
    const struct ig_network_tensor *weights = compact_in(compact, made, 1);
    const struct ig_network_tensor *bias = compact_in(compact, made, 2);
    bool folds = made->layer->op == IG_NETWORK_FULLY_CONNECTED;
    int64_t zero = compact_in(compact, made, 0)->quantization.zero_points[0], most = 0;
    for (uint32_t c = 0; c < made->channels; c++) {
        int64_t magnitude, sum = sum_of(made, weights, c, &magnitude);
        int64_t value = bias ? ((const int32_t *)bias->data)[c] : 0;
        if (folds) value = (int32_t)(uint32_t)(uint64_t)(value - zero * sum);
        int64_t reach =
            (value < 0 ? -value : value) + (folds ? STEP_MOST : STEPS_APART) * magnitude;
        put_i32(&compact->constants, (int32_t)value);
        if (reach > most) most = reach;
    }
    made->sum_bits = 1;
    while (made->sum_bits < 32 && most >> made->sum_bits) made->sum_bits++;
}

static void put_multipliers(struct ig_network_compact *compact, struct ig_compact_layer *made)
{
    const struct ig_network_quantization *w = &compact_in(compact, made, 1)->quantization;
    float in = compact_in(compact, made, 0)->quantization.scales[0];
    float out = compact_out(compact, made)->quantization.scales[0];
    made->per_channel = w->count > 1;
    for (int part = 0; part < 2; part++)
        for (uint32_t c = 0; c < w->count; c++) {
            struct nn_multiplier m =
                nn_weights_multiplier(made->layer->op, !made->per_channel, in, w->scales[c], out);
            if (part) /* of 0 every shift gives 0: one that is no exception to kernels */
                ig_buf_add_char(&compact->constants, (char)(m.fraction ? m.shift : DEAD_SHIFT));
            else
                put_i32(&compact->constants, m.fraction);
        }
}

static enum ig_code with_weights(struct ig_network_compact *compact, struct ig_compact_layer *made,
                                 struct ig_err *err)
{
    enum ig_network_op op = made->layer->op;
    const struct ig_network_tensor *weights = compact_in(compact, made, 1);
    if (op != IG_NETWORK_FULLY_CONNECTED && window(compact, made, err) != IG_OK) return err->code;
    made->channels = weights->dims[op == IG_NETWORK_DEPTHWISE_CONV_2D ? 3 : 0];
    size_t depth = ig_network_tensor_count(weights) / made->channels;
    if (op == IG_NETWORK_CONV_2D) made->scratch_bytes = (uint32_t)((depth + 3) / 4 * 4 * 4);
    made->constants = compact_constants_begin(compact);
    put_biases(compact, made);
    put_multipliers(compact, made);
    ig_buf_add(&compact->constants, weights->data, ig_network_tensor_count(weights));
    nn_range_i8(compact_out(compact, made), made->layer->activation, &made->least, &made->most);
    return IG_OK;
}

static enum ig_code pool(struct ig_network_compact *compact, struct ig_compact_layer *made,
                         struct ig_err *err)
{
    const struct ig_network_tensor *in = compact_in(compact, made, 0);
    if ((uint64_t)in->dims[1] * in->dims[2] > MEAN_CELLS_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "an image of %u x %u, at most %d cells", in->dims[1],
                       in->dims[2], MEAN_CELLS_MAX);
    nn_range_i8(compact_out(compact, made), made->layer->activation, &made->least, &made->most);
    return window(compact, made, err);
}

/* Whether the input's dimensions are the output's last ones, and before them only ones. */
static bool repeats(const struct ig_network_tensor *in, const struct ig_network_tensor *out)
{
    uint32_t d = 1;
    while (d <= in->rank && in->dims[in->rank - d] == out->dims[out->rank - d]) d++;
    while (d <= in->rank && in->dims[in->rank - d] == 1) d++;
    return d > in->rank;
}

static enum ig_code arithmetic(struct ig_network_compact *compact, struct ig_compact_layer *made,
                               struct ig_err *err)
{
    const struct ig_network_tensor *out = compact_out(compact, made);
    for (uint32_t i = 0; i < 2; i++)
        if (!repeats(compact_in(compact, made, i), out))
            return ig_fail(err, IG_UNSUPPORTED,
                           "input %u is repeated within the output's last dimensions", i);
    nn_range_i8(out, made->layer->activation, &made->least, &made->most);
    nn_arithmetic_multipliers(compact->network, made->layer, made->multipliers,
                              &made->multipliers[2]);
    return IG_OK;
}

static enum ig_code pad(const struct ig_network_compact *compact,
                        const struct ig_compact_layer *made, struct ig_err *err)
{
    uint32_t rank = compact_in(compact, made, 0)->rank;
    for (uint32_t d = 0; d < IG_COMPACT_RANK_MAX; d++)
        for (int end = 0; end < 2; end++)
            if (made->layer->pads[d][end] > (d < rank ? IG_COMPACT_DIM_MAX : 0U))
                return ig_fail(err, IG_UNSUPPORTED, "pads of %u cells of dimension %u, at most %u",
                               made->layer->pads[d][end], d, d < rank ? IG_COMPACT_DIM_MAX : 0U);
    return IG_OK;
}

static enum ig_code softmax(struct ig_network_compact *compact, struct ig_compact_layer *made,
                            struct ig_err *err)
{
    const struct ig_network_tensor *in = compact_in(compact, made, 0);
    float scale = in->quantization.scales[0], beta = made->layer->beta, step = scale * beta;
    uint32_t width = in->rank ? in->dims[in->rank - 1] : 1;
    if (compact->network->rounding == IG_NETWORK_ROUNDING_SINGLE) {
        memcpy(&made->step, &step, sizeof made->step);
        if (step > 0 && step <= 1e30F) return IG_OK;
        return ig_fail(err, IG_UNSUPPORTED, "a step of %g, expected a positive number",
                       (double)step);
    }
    made->multipliers[2] = nn_softmax_multiplier(scale, beta);
    made->step = (uint32_t)nn_softmax_radius(made->multipliers[2]);
    if (width <= FIXED_SOFTMAX_MAX) return IG_OK;
    return ig_fail(err, IG_UNSUPPORTED, "%u classes, at most %d in fixed point", width,
                   FIXED_SOFTMAX_MAX);
}

static enum ig_code table(struct ig_network_compact *compact, struct ig_compact_layer *made)
{
    made->constants = compact_constants_begin(compact);
    for (int32_t i = 0; i < STEPS; i++)
        ig_buf_add_char(&compact->constants,
                        (char)nn_table_step(compact->network, made->layer, i + INT8_MIN));
    return IG_OK;
}

static enum ig_code mean(struct ig_network_compact *compact, struct ig_compact_layer *made,
                         struct ig_err *err)
{
    const struct ig_network_tensor *in = compact_in(compact, made, 0);
    const struct ig_network_tensor *out = compact_out(compact, made);
    size_t cells = ig_network_tensor_count(in) / ig_network_tensor_count(out);
    int changes = 0;
    bool before = false;
    for (uint32_t d = 0; d < in->rank; d++) {
        bool goes = made->layer->axes >> d & 1;
        if (in->dims[d] == 1) continue;
        changes += goes && !before;
        before = goes;
    }
    if (changes > 1)
        return ig_fail(err, IG_UNSUPPORTED, "means over dimensions that are no neighbours");
    if (cells > MEAN_CELLS_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "a mean of %zu cells, at most %d", cells,
                       MEAN_CELLS_MAX);
    made->multipliers[2] =
        nn_mean_multiplier(in->quantization.scales[0], out->quantization.scales[0], cells);
    return IG_OK;
}

enum ig_code compact_layer(struct ig_network_compact *compact, struct ig_compact_layer *made,
                           struct ig_err *err)
{
    enum ig_network_op op = made->layer->op;
    bool from_f32 = compact_in(compact, made, 0)->type == IG_NETWORK_F32;
    if (op == IG_NETWORK_RESHAPE || (op == IG_NETWORK_QUANTIZE && from_f32)) return IG_OK;
    if (want_i8(compact, made, err) != IG_OK) return err->code;
    switch (op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
    case IG_NETWORK_FULLY_CONNECTED:
        return with_weights(compact, made, err);
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
        return pool(compact, made, err);
    case IG_NETWORK_ADD:
    case IG_NETWORK_SUB:
    case IG_NETWORK_MUL:
        return arithmetic(compact, made, err);
    case IG_NETWORK_PAD:
        return pad(compact, made, err);
    case IG_NETWORK_SOFTMAX:
        return softmax(compact, made, err);
    case IG_NETWORK_MEAN:
        return mean(compact, made, err);
    case IG_NETWORK_CONCATENATION:
        if (made->inputs_count <= SMALL_MAX) return IG_OK;
        return ig_fail(err, IG_UNSUPPORTED, "%u inputs, at most %d on devices", made->inputs_count,
                       SMALL_MAX);
    case IG_NETWORK_DEQUANTIZE:
        if (compact_in(compact, made, 0)->quantization.count == 1) return IG_OK;
        return ig_fail(err, IG_UNSUPPORTED, "a constant with a scale for each channel");
    default:
        return table(compact, made);
    }
}
