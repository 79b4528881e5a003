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
static uint32_t ige_nn_depthwise_one(const struct ige_nn_taps *taps, const int8_t *x,
                                     const int8_t *w)
{
    int32_t sum = 0;
    for (int32_t row = taps->rows; row; row--, x += taps->x_row, w += taps->w_row)
        for (int32_t column = 0; column < taps->columns; column++)
            sum += (x[column * taps->x_column] - taps->zero) * w[column * taps->w_column];
    return (uint32_t)sum;
}

/* All channels of a position whose first cell inside is x. */
static void ige_nn_depthwise_position(const struct ige_nn_conv *conv,
                                      const struct ige_nn_ready *ready, struct ige_nn_taps *taps,
                                      const int8_t *x, const int8_t *w, int8_t *out)
{
    uint32_t sums[IGE_NN_BLOCK];
    int32_t count, each = conv->out_c / conv->in_c;
    for (int32_t c = 0; c < conv->out_c; c += count) {
        count = conv->out_c - c < IGE_NN_BLOCK ? conv->out_c - c : IGE_NN_BLOCK;
        if (each == 1 && count > 4) count &= ~3;
        taps->groups = count / 4;
        if (each == 1 && count >= 4)
            IGE_NN_FORM(ige_nn_taps)(sums, x + c, w + c, taps);
        else
            for (int32_t k = 0; k < count; k++)
                sums[k] = ige_nn_depthwise_one(taps, x + (c + k) / each, w + c + k);
        ige_nn_bytes(out + c, sums, ready, c, count);
    }
    ige_nn_clamp(out, conv->out_c, ready->least, ready->most);
}

/* A line of output positions. */
static void ige_nn_depthwise_line(const struct ige_nn_conv *conv, const struct ige_nn_ready *ready,
                                  int32_t line)
{
    const struct ige_nn_window *w = &conv->window;
    int32_t y = line % conv->out_h, left = -w->pad_w;
    int32_t extent = (w->filter_w - 1) * w->dilation_w, columns_inside = conv->in_w - extent;
    struct ige_nn_span rows =
        ige_nn_depthwise_span(y * w->stride_h - w->pad_h, w->filter_h, w->dilation_h, conv->in_h);
    const int8_t *in =
        conv->input + (line / conv->out_h * conv->in_h + rows.at) * conv->in_w * conv->in_c;
    const int8_t *weights = conv->weights + rows.first * w->filter_w * conv->out_c;
    int8_t *out = conv->output + line * conv->out_w * conv->out_c;
    struct ige_nn_taps taps;
    taps.rows = rows.count;
    taps.x_row = w->dilation_h * conv->in_w * conv->in_c;
    taps.x_column = w->dilation_w * conv->in_c;
    taps.w_row = w->filter_w * conv->out_c;
    taps.w_column = conv->out_c;
    taps.zero = conv->input_zero;
    for (int32_t x = 0; x < conv->out_w; x++, left += w->stride_w, out += conv->out_c) {
        struct ige_nn_span columns = {0, w->filter_w, left};
        if (left < 0 || left >= columns_inside)
            columns = ige_nn_depthwise_span(left, w->filter_w, w->dilation_w, conv->in_w);
        taps.columns = columns.count;
        ige_nn_depthwise_position(conv, ready, &taps, in + columns.at * conv->in_c,
                                  weights + columns.first * conv->out_c, out);
    }
}

void ige_nn_depthwise(const struct ige_nn_conv *conv)
{
    struct ige_nn_ready ready;
    ige_nn_prepare(&ready, &conv->finish, conv->out_c);
    for (int32_t line = 0; line < conv->images * conv->out_h; line++)
        ige_nn_depthwise_line(conv, &ready, line);
}
