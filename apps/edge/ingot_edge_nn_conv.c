/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D: what two output positions see is gathered into scratch, as ige_nn_pair wants it, and
 * multiplied with two channels at a time. Stateless. */
#include "ingot_edge_nn_core.h"

static int32_t ige_nn_conv_depth(const struct ige_nn_conv *conv)
{
    return conv->window.filter_h * conv->window.filter_w * conv->in_c;
}

int32_t ige_nn_conv_scratch_bytes(const struct ige_nn_conv *conv)
{
    return (ige_nn_conv_depth(conv) + 3) / 4 * 4 * 4;
}

/* Numbers from `at` on of a position's row: what `from` has, or 0 without one. */
static void ige_nn_conv_put(int16_t *row, int32_t at, const int8_t *from, int32_t count,
                            int32_t zero)
{
    if (!((at | count) & 3) && from) {
        IGE_NN_FORM(ige_nn_expand)(row + 2 * at, from, count / 4, zero);
        return;
    }
    for (int32_t i = 0; i < count; i++)
        row[ige_nn_place(at + i)] = (int16_t)(from ? from[i] - zero : 0);
}

/* Gathers what output position `index` sees. */
static void ige_nn_conv_gather(const struct ige_nn_conv *conv, int16_t *row, int32_t index)
{
    const struct ige_nn_window *w = &conv->window;
    int32_t x = index % conv->out_w, line = index / conv->out_w, y = line % conv->out_h;
    const int8_t *image = conv->input + line / conv->out_h * conv->in_h * conv->in_w * conv->in_c;
    int32_t at = 0, top = y * w->stride_h - w->pad_h, left = x * w->stride_w - w->pad_w;
    int32_t whole = w->dilation_w == 1 && left >= 0 && left + w->filter_w <= conv->in_w;
    int32_t cells = whole ? w->filter_w : 1, count = cells * conv->in_c;
    for (int32_t fy = 0; fy < w->filter_h; fy++, top += w->dilation_h) {
        const int8_t *from = image + (top * conv->in_w + left) * conv->in_c;
        int32_t column = left, above = top < 0 || top >= conv->in_h;
        for (int32_t fx = 0; fx < w->filter_w; fx += cells, column += w->dilation_w) {
            int32_t outside = above || column < 0 || column >= conv->in_w;
            ige_nn_conv_put(row, at, outside ? NULL : from, count, conv->input_zero);
            from += w->dilation_w * conv->in_c;
            at += count;
        }
    }
    for (; at & 3; at++) row[ige_nn_place(at)] = 0;
}

/* Both gathered positions in all channels. */
static void ige_nn_conv_pair(const struct ige_nn_conv *conv, const struct ige_nn_ready *ready,
                             int8_t *out0, int8_t *out1)
{
    const int16_t *x = conv->scratch;
    const int8_t *weights = conv->weights;
    int32_t depth = ige_nn_conv_depth(conv);
    uint32_t sums[4];
    for (int32_t c = 0; c < conv->out_c; c += 2, weights += 2 * depth) {
        int32_t two = c + 1 < conv->out_c, stride = two ? depth : 0;
        sums[0] = sums[1] = (uint32_t)ige_nn_i32(ready->bias + 4 * c);
        sums[2] = sums[3] = (uint32_t)ige_nn_i32(ready->bias + 4 * (c + two));
        IGE_NN_FORM(ige_nn_pair)(sums, x, weights, stride, depth / 4);
        for (int32_t i = depth & ~3; i < depth; i++) {
            int32_t a = x[ige_nn_place(i)], b = x[ige_nn_place(i) + IGE_NN_QUAD];
            sums[0] += (uint32_t)(a * weights[i]), sums[1] += (uint32_t)(b * weights[i]);
            sums[2] += (uint32_t)(a * weights[i + stride]),
                sums[3] += (uint32_t)(b * weights[i + stride]);
        }
        for (int32_t k = 0; k <= two; k++) {
            struct ige_nn_channel channel = ige_nn_channel(ready, c + k);
            out0[c + k] = ige_nn_finish(ready, &channel, sums[2 * k]);
            out1[c + k] = ige_nn_finish(ready, &channel, sums[2 * k + 1]);
        }
    }
    ige_nn_clamp(out0, conv->out_c, ready->least, ready->most);
    ige_nn_clamp(out1, conv->out_c, ready->least, ready->most);
}

void ige_nn_conv(const struct ige_nn_conv *conv)
{
    struct ige_nn_ready ready;
    int32_t positions = conv->images * conv->out_h * conv->out_w;
    int16_t *row = conv->scratch;
    ige_nn_prepare(&ready, &conv->finish, conv->out_c);
    for (int32_t i = 0; i < positions; i += 2) {
        int32_t other = i + 1 < positions ? i + 1 : i; /* the last odd one is made twice */
        ige_nn_conv_gather(conv, row, i);
        ige_nn_conv_gather(conv, row + IGE_NN_QUAD, other);
        ige_nn_conv_pair(conv, &ready, conv->output + i * conv->out_c,
                         conv->output + other * conv->out_c);
    }
}
