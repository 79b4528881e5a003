/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: four neighbouring channels of a position at a time; one by one where an input
 * channel has several outputs. Only cells inside are summed. Stateless. */
#include "ingot_edge_nn_core.h"

/* A window along one side: its cells inside, the first of which lies at `at`. */
struct ige_nn_span {
    int32_t first, count, at;
};

IGE_NN_SMALL IGE_NN_APART static struct ige_nn_span
ige_nn_depthwise_span(int32_t start, int32_t filter, int32_t dilation, int32_t size)
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
IGE_NN_SMALL static uint32_t ige_nn_depthwise_one(const struct ige_nn_taps *taps, const int8_t *x,
                                                  const int8_t *w)
{
    int32_t sum = 0;
    for (int32_t row = taps->rows; row; row--, x += taps->x_row, w += taps->w_row)
        for (int32_t column = 0; column < taps->columns; column++)
            sum += (x[column * taps->x_column] - taps->zero) * w[column * taps->w_column];
    return (uint32_t)sum;
}

/* What a position sees. */
struct ige_nn_view {
    const int8_t *x, *w; /* the first cell inside and its weights */
    struct ige_nn_taps taps;
};

/* Sums of `count` channels from c on. */
static void ige_nn_depthwise_sums(uint32_t *sums, struct ige_nn_view *view, int32_t c,
                                  int32_t count, int32_t each)
{
    int32_t done = 0;
    if (each == 1 && count >= 4) {
        view->taps.groups = count / 4;
        IGE_NN_FORM(ige_nn_taps)(sums, view->x + c, view->w + c, &view->taps);
        done = count & ~3;
    }
    for (; done < count; done++)
        sums[2 * done] =
            ige_nn_depthwise_one(&view->taps, view->x + (c + done) / each, view->w + c + done);
}

/* All channels of two neighbouring positions, or of one. */
static void ige_nn_depthwise_pair(const struct ige_nn_conv *conv, const struct ige_nn_ready *ready,
                                  struct ige_nn_view views[2], int8_t *output, int32_t two)
{
    uint32_t sums[2 * IGE_NN_BLOCK];
    int32_t count, each = conv->out_c / conv->in_c;
    for (int32_t c = 0; c < conv->out_c; c += count) {
        int8_t *out[2] = {output + c, output + (two ? conv->out_c : 0) + c};
        count = conv->out_c - c < IGE_NN_BLOCK ? conv->out_c - c : IGE_NN_BLOCK;
        for (int32_t k = 0; k <= two; k++)
            ige_nn_depthwise_sums(sums + k, &views[k], c, count, each);
        for (int32_t k = 0; !two && k < count; k++) sums[2 * k + 1] = sums[2 * k];
        IGE_NN_FORM(ige_nn_finish)(out, sums, ready, c, count);
    }
    ige_nn_clamp(output, (1 + two) * conv->out_c, ready->least, ready->most);
}

/* The columns of a view of a line. */
static void ige_nn_depthwise_look(const struct ige_nn_conv *conv, struct ige_nn_view *view,
                                  const struct ige_nn_view *line, int32_t x)
{
    const struct ige_nn_window *w = &conv->window;
    int32_t left = x * w->stride_w - w->pad_w, extent = (w->filter_w - 1) * w->dilation_w;
    struct ige_nn_span columns = {0, w->filter_w, left};
    if (left < 0 || left + extent >= conv->in_w)
        columns = ige_nn_depthwise_span(left, w->filter_w, w->dilation_w, conv->in_w);
    *view = *line;
    view->taps.columns = columns.count;
    view->x += columns.at * conv->in_c;
    view->w += columns.first * conv->out_c;
}

IGE_NN_SMALL static void ige_nn_depthwise_line(const struct ige_nn_conv *conv,
                                               const struct ige_nn_ready *ready, int32_t index)
{
    const struct ige_nn_window *w = &conv->window;
    int32_t image = index / conv->out_h * conv->in_h, y = index % conv->out_h;
    struct ige_nn_span rows =
        ige_nn_depthwise_span(y * w->stride_h - w->pad_h, w->filter_h, w->dilation_h, conv->in_h);
    int8_t *out = conv->output + index * conv->out_w * conv->out_c;
    struct ige_nn_view line, views[2];
    line.x = conv->input + (image + rows.at) * conv->in_w * conv->in_c;
    line.w = conv->weights + rows.first * w->filter_w * conv->out_c;
    line.taps.rows = rows.count;
    line.taps.x_row = w->dilation_h * conv->in_w * conv->in_c;
    line.taps.x_column = w->dilation_w * conv->in_c;
    line.taps.w_row = w->filter_w * conv->out_c;
    line.taps.w_column = conv->out_c;
    line.taps.zero = conv->input_zero;
    for (int32_t x = 0; x < conv->out_w; x += 2, out += 2 * conv->out_c) {
        int32_t two = x + 1 < conv->out_w;
        for (int32_t k = 0; k <= two; k++) ige_nn_depthwise_look(conv, &views[k], &line, x + k);
        ige_nn_depthwise_pair(conv, ready, views, out, two);
    }
}

void ige_nn_depthwise(const struct ige_nn_conv *conv)
{
    struct ige_nn_ready ready;
    ige_nn_prepare(&ready, &conv->finish, conv->out_c);
    for (int32_t line = 0; line < conv->images * conv->out_h; line++)
        ige_nn_depthwise_line(conv, &ready, line);
}
