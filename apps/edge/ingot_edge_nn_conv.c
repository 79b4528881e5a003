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

/* Cells of few channels come together here before they are taken apart by quads. */
enum { IGE_NN_CONV_FEW = 64 };

/* Numbers from `at` on of a position's row, or of its bytes where there are such: what `from` has,
 * or the zero without one. */
static void ige_nn_conv_put(int16_t *row, int8_t *bytes, int32_t at, const int8_t *from,
                            int32_t count, int32_t zero)
{
    if (!bytes && !((at | count) & 3) && from) {
        IGE_NN_FORM(ige_nn_expand)(row + 2 * at, from, count / 4, zero);
        return;
    }
    for (int32_t i = 0; i < count; i++) {
        int8_t byte = (int8_t)(from ? from[i] : zero);
        if (bytes)
            bytes[at + i] = byte;
        else
            row[ige_nn_place(at + i)] = (int16_t)(byte - zero);
    }
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
    int8_t few[IGE_NN_CONV_FEW];
    int8_t *bytes = conv->in_c & 3 && ige_nn_conv_depth(conv) <= IGE_NN_CONV_FEW ? few : NULL;
    for (int32_t fy = 0; fy < w->filter_h; fy++, top += w->dilation_h) {
        const int8_t *from = image + (top * conv->in_w + left) * conv->in_c;
        int32_t column = left, above = top < 0 || top >= conv->in_h;
        for (int32_t fx = 0; fx < w->filter_w; fx += cells, column += w->dilation_w) {
            int32_t outside = above || column < 0 || column >= conv->in_w;
            ige_nn_conv_put(row, bytes, at, outside ? NULL : from, count, conv->input_zero);
            from += w->dilation_w * conv->in_c;
            at += count;
        }
    }
    ige_nn_conv_put(row, bytes, at, NULL, -at & 3, conv->input_zero);
    if (bytes) IGE_NN_FORM(ige_nn_expand)(row, bytes, (at + 3) / 4, conv->input_zero);
}

/* What is behind the last whole quad, of two channels. */
IGE_NN_SMALL static void ige_nn_conv_rest(uint32_t *sums, const int16_t *x, const int8_t *weights,
                                          int32_t stride, int32_t depth)
{
    for (int32_t i = depth & ~3; i < depth; i++) {
        int32_t a = x[ige_nn_place(i)], b = x[ige_nn_place(i) + IGE_NN_QUAD];
        int32_t y = weights[i], z = weights[i + stride];
        sums[0] += (uint32_t)(a * y), sums[1] += (uint32_t)(b * y);
        sums[2] += (uint32_t)(a * z), sums[3] += (uint32_t)(b * z);
    }
}

/* Both gathered positions in all channels. */
static void ige_nn_conv_pair(const struct ige_nn_conv *conv, const struct ige_nn_ready *ready,
                             int8_t *out0, int8_t *out1)
{
    uint32_t sums[2 * IGE_NN_BLOCK];
    int32_t depth = ige_nn_conv_depth(conv), count;
    for (int32_t c = 0; c < conv->out_c; c += count) {
        const int8_t *weights = conv->weights + c * depth;
        int8_t *out[2] = {out0 + c, out1 + c};
        struct ige_nn_rows rows = {depth, depth / 4, 0};
        count = conv->out_c - c < IGE_NN_BLOCK ? conv->out_c - c : IGE_NN_BLOCK;
        if (count > 1) count &= ~1;
        if (count == 1) rows.stride = 0; /* twice the last odd one */
        rows.groups = (count + 1) / 2;
        IGE_NN_FORM(ige_nn_pair)(sums, conv->scratch, weights, &rows);
        for (int32_t k = 0; depth & 3 && k < rows.groups; k++)
            ige_nn_conv_rest(sums + 4 * k, conv->scratch, weights + 2 * k * depth, rows.stride,
                             depth);
        IGE_NN_FORM(ige_nn_finish)(out, sums, ready, c, count);
    }
    ige_nn_clamp(out0, conv->out_c, ready->least, ready->most);
    ige_nn_clamp(out1, conv->out_c, ready->least, ready->most);
}

void ige_nn_conv(const struct ige_nn_conv *conv)
{
    struct ige_nn_ready ready;
    int32_t positions = conv->images * conv->out_h * conv->out_w;
    int16_t *row = conv->scratch;
    const struct ige_nn_window *w = &conv->window;
    int32_t plain = w->filter_h * w->filter_w * w->stride_h * w->stride_w == 1 && !(conv->in_c & 3);
    ige_nn_prepare(&ready, &conv->finish, conv->out_c);
    for (int32_t i = 0; i < positions; i += 2) {
        int32_t other = i + 1 < positions ? i + 1 : i; /* the last odd one is made twice */
        for (int32_t k = 0; k < 2; k++) {
            int32_t index = k ? other : i;
            if (plain) /* a position sees what lies in its place */
                IGE_NN_FORM(ige_nn_expand)
            (row + k * IGE_NN_QUAD, conv->input + index * conv->in_c, conv->in_c / 4,
             conv->input_zero);
            else ige_nn_conv_gather(conv, row + k * IGE_NN_QUAD, index);
        }
        ige_nn_conv_pair(conv, &ready, conv->output + i * conv->out_c,
                         conv->output + other * conv->out_c);
    }
}
