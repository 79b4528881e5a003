/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: four neighbouring channels of a position at a time; one by one where an input
 * channel has several outputs. Only cells inside are summed. Stateless. */
#include "ingot_edge_nn_core.h"

/* A window along one side: its cells inside, the first of which lies at `at`. */
struct ige_nn_span {
    int32_t first, count, at;
};

static struct ige_nn_span ige_nn_depthwise_span(int32_t start, int32_t filter, int32_t dilation,
                                                int32_t size)
{
    struct ige_nn_span span = {0, 0, start};
    for (int32_t i = 0; i < filter; i++, start += dilation) {
        if (start < 0) {
            span.first++;
            span.at = start + dilation;
        } else if (start < size) {
            span.count++;
        }
    }
    return span;
}

/* A channel whose input is not beside its weights. */
static int32_t ige_nn_depthwise_one(const struct ige_nn_taps *taps, const int8_t *x,
                                    const int8_t *w)
{
    int32_t sum = 0;
    for (int32_t row = taps->rows; row; row--, x += taps->x_row, w += taps->w_row)
        for (int32_t column = taps->columns; column; column--) {
            sum += (*x - taps->zero) * *w;
            x += taps->x_column;
            w += taps->w_column;
        }
    return sum;
}

static void ige_nn_depthwise_position(const struct ige_nn_conv *conv,
                                      const struct ige_nn_ready *ready, int32_t index)
{
    const struct ige_nn_window *w = &conv->window;
    int32_t x = index % conv->out_w, line = index / conv->out_w, y = line % conv->out_h;
    struct ige_nn_span rows =
        ige_nn_depthwise_span(y * w->stride_h - w->pad_h, w->filter_h, w->dilation_h, conv->in_h);
    struct ige_nn_span columns =
        ige_nn_depthwise_span(x * w->stride_w - w->pad_w, w->filter_w, w->dilation_w, conv->in_w);
    const int8_t *in = conv->input, *weights = conv->weights;
    int8_t *out = conv->output + index * conv->out_c;
    int32_t each = conv->out_c / conv->in_c, step;
    uint32_t sums[4];
    struct ige_nn_taps taps;
    taps.rows = rows.count;
    taps.columns = columns.count;
    taps.x_column = w->dilation_w * conv->in_c;
    taps.x_row = w->dilation_h * conv->in_w * conv->in_c - columns.count * taps.x_column;
    taps.w_column = conv->out_c;
    taps.w_row = (w->filter_w - columns.count) * conv->out_c;
    taps.zero = conv->input_zero;
    in += ((line / conv->out_h * conv->in_h + rows.at) * conv->in_w + columns.at) * conv->in_c;
    weights += (rows.first * w->filter_w + columns.first) * conv->out_c;
    for (int32_t c = 0; c < conv->out_c; c += step) {
        step = each == 1 && c + 4 <= conv->out_c ? 4 : 1;
        for (int32_t k = 0; k < step; k++)
            sums[k] = (uint32_t)ige_nn_i32(ready->bias + 4 * (c + k));
        if (step == 4)
            IGE_NN_FORM(ige_nn_taps)(sums, in + c, weights + c, &taps);
        else
            sums[0] += (uint32_t)ige_nn_depthwise_one(&taps, in + c / each, weights + c);
        for (int32_t k = 0; k < step; k++) {
            struct ige_nn_channel channel = ige_nn_channel(ready, c + k);
            out[c + k] = ige_nn_finish(ready, &channel, sums[k]);
        }
    }
    ige_nn_clamp(out, conv->out_c, ready->least, ready->most);
}

void ige_nn_depthwise(const struct ige_nn_conv *conv)
{
    struct ige_nn_ready ready;
    int32_t positions = conv->images * conv->out_h * conv->out_w;
    ige_nn_prepare(&ready, &conv->finish, conv->out_c);
    for (int32_t i = 0; i < positions; i++) ige_nn_depthwise_position(conv, &ready, i);
}
