/* SPDX-License-Identifier: Apache-2.0 */
/* CONV_2D and FULLY_CONNECTED: rows of inputs against blocks of weights. A convolution gathers what
 * each output position sees into a row; cells outside are 0 there, since a row holds int8 inputs
 * without their zero point. A fully connected layer's rows are its inputs.
 *
 * State: weights laid out for nn_product.h, biases and multipliers padded to whole blocks. */
#include "kernels/nn/nn_priv.h"

#include <string.h>

struct conv {
    size_t depth;            /* numbers of a row */
    size_t padded;           /* of a row in scratch: even for int8 */
    size_t blocks;           /* of output channels */
    size_t channels;         /* outputs of a row */
    size_t rows;             /* output positions */
    const void *weights;     /* blocks x padded x NN_BLOCK */
    struct nn_finish finish; /* int8 */
    int32_t zero_in;
    const float *bias; /* float, blocks x NN_BLOCK */
    float least_f32, most_f32;
    /* CONV_2D: how rows are gathered */
    bool gathers;
    size_t in_h, in_w, in_c, out_h, out_w, filter_h, filter_w;
    size_t stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
};

/* ---- rows ---- */

static void copy_i8(const struct conv *conv, int16_t *to, const int8_t *from, size_t count)
{
    int16_t zero = (int16_t)conv->zero_in;
    for (size_t i = 0; i < count; i++) to[i] = (int16_t)(from[i] - zero);
}

/* Columns of one line of the window at output (y, x): from `from` on, `count` filter columns apart
 * by the dilation lie inside. */
static void inside(const struct conv *conv, size_t x, size_t *first, size_t *end)
{
    ptrdiff_t left = (ptrdiff_t)(x * conv->stride_w) - (ptrdiff_t)conv->pad_w;
    size_t d = conv->dilation_w;
    *first = left < 0 ? ((size_t)-left + d - 1) / d : 0;
    ptrdiff_t room = (ptrdiff_t)conv->in_w - left; /* columns from the window's left to the end */
    *end = room <= 0 ? 0 : ((size_t)room + d - 1) / d;
    if (*end > conv->filter_w) *end = conv->filter_w;
    if (*first > *end) *first = *end;
}

/* What position `row` (of image, y, x) sees, as 16-bit numbers or floats. */
static void gather(const struct conv *conv, void *to, const void *in, size_t row, bool i8)
{
    size_t x = row % conv->out_w, y = row / conv->out_w % conv->out_h;
    size_t image = row / conv->out_w / conv->out_h, each = i8 ? sizeof(int16_t) : sizeof(float);
    size_t first, end, line = conv->filter_w * conv->in_c;
    inside(conv, x, &first, &end);
    memset(to, 0, conv->padded * each);
    for (size_t fy = 0; fy < conv->filter_h; fy++) {
        ptrdiff_t at_y = (ptrdiff_t)(y * conv->stride_h + fy * conv->dilation_h);
        at_y -= (ptrdiff_t)conv->pad_h;
        if (at_y < 0 || at_y >= (ptrdiff_t)conv->in_h) continue;
        bool whole = conv->dilation_w == 1;
        for (size_t fx = first; fx < end; fx += whole ? end - first : 1) {
            size_t at_x = x * conv->stride_w + fx * conv->dilation_w - conv->pad_w;
            size_t from = ((image * conv->in_h + (size_t)at_y) * conv->in_w + at_x) * conv->in_c;
            size_t cell = fy * line + fx * conv->in_c;
            size_t count = (whole ? end - first : 1) * conv->in_c;
            if (i8)
                copy_i8(conv, (int16_t *)to + cell, (const int8_t *)in + from, count);
            else
                memcpy((float *)to + cell, (const float *)in + from, count * sizeof(float));
        }
    }
}

/* Up to NN_ROWS rows from `row` on, in scratch. */
static void load_rows(const struct conv *conv, void *to, const void *in, size_t row, size_t count,
                      bool i8)
{
    for (size_t r = 0; r < count; r++) {
        char *at = (char *)to + r * conv->padded * (i8 ? sizeof(int16_t) : sizeof(float));
        size_t from = (row + r) * conv->depth;
        if (conv->gathers) {
            gather(conv, at, in, row + r, i8);
        } else if (i8) {
            copy_i8(conv, (int16_t *)(void *)at, (const int8_t *)in + from, conv->depth);
            if (conv->padded > conv->depth) ((int16_t *)(void *)at)[conv->depth] = 0;
        } else {
            memcpy(at, (const float *)in + from, conv->depth * sizeof(float));
        }
    }
}

/* ---- int8 ---- */

static void run_i8(const struct nn_run *run, const struct nn_step *step)
{
    const struct conv *conv = step->state;
    const struct nn_products *products = run->nn->products;
    const void *in = nn_read(run, step->layer->inputs[0]);
    int8_t *out = nn_write(run, step->layer->output);
    int32_t sums[NN_ROWS][NN_BLOCK];
    for (size_t row = 0; row < conv->rows; row += NN_ROWS) {
        size_t count = conv->rows - row < NN_ROWS ? conv->rows - row : NN_ROWS;
        load_rows(conv, run->scratch, in, row, count, true);
        const int8_t *weights = conv->weights;
        for (size_t b = 0; b < conv->blocks; b++, weights += conv->padded * NN_BLOCK) {
            if (count == 1)
                products->i8_row(sums[0], run->scratch, weights, conv->padded / 2);
            else
                products->i8(sums, run->scratch, weights, conv->padded / 2);
            size_t first = b * NN_BLOCK, left = conv->channels - first;
            for (size_t r = 0; r < count; r++)
                products->finish_i8(out + (row + r) * conv->channels + first, sums[r],
                                    &conv->finish, first, left < NN_BLOCK ? left : NN_BLOCK);
        }
    }
}

/* ---- float ---- */

static void run_f32(const struct nn_run *run, const struct nn_step *step)
{
    const struct conv *conv = step->state;
    const struct nn_products *products = run->nn->products;
    const void *in = nn_read(run, step->layer->inputs[0]);
    float *out = nn_write(run, step->layer->output);
    float sums[NN_ROWS][NN_BLOCK];
    for (size_t row = 0; row < conv->rows; row += NN_ROWS) {
        size_t count = conv->rows - row < NN_ROWS ? conv->rows - row : NN_ROWS;
        load_rows(conv, run->scratch, in, row, count, false);
        const float *weights = conv->weights;
        for (size_t b = 0; b < conv->blocks; b++, weights += conv->padded * NN_BLOCK) {
            size_t first = b * NN_BLOCK, left = conv->channels - first;
            if (count == 1)
                products->f32_row(sums[0], run->scratch, weights, conv->padded);
            else
                products->f32(sums, run->scratch, weights, conv->padded);
            for (size_t r = 0; r < count; r++)
                for (size_t c = 0; c < (left < NN_BLOCK ? left : NN_BLOCK); c++)
                    out[(row + r) * conv->channels + first + c] = nn_clamp_f32(
                        sums[r][c] + conv->bias[first + c], conv->least_f32, conv->most_f32);
        }
    }
}

/* ---- preparation ---- */

/* weights[channels][depth] by blocks: int8 in pairs of inputs, floats one by one. */
static void lay_out_i8(const struct conv *conv, int8_t *to, const int8_t *weights)
{
    for (size_t c = 0; c < conv->channels; c++)
        for (size_t i = 0; i < conv->depth; i++)
            to[(c / NN_BLOCK * conv->padded / 2 + i / 2) * 2 * NN_BLOCK + c % NN_BLOCK * 2 +
               i % 2] = weights[c * conv->depth + i];
}

static void lay_out_f32(const struct conv *conv, float *to, const float *weights)
{
    for (size_t c = 0; c < conv->channels; c++)
        for (size_t i = 0; i < conv->depth; i++)
            to[(c / NN_BLOCK * conv->padded + i) * NN_BLOCK + c % NN_BLOCK] =
                weights[c * conv->depth + i];
}

static enum ig_code lay_out(struct ig_nn *nn, struct nn_step *step, struct conv *conv, bool i8,
                            struct ig_err *err)
{
    const struct ig_network_layer *layer = step->layer;
    const struct ig_network_tensor *bias = nn_in(nn, step, 2);
    size_t outputs = conv->blocks * NN_BLOCK;
    void *weights = ig_arena_array(&nn->arena, outputs * conv->padded, i8 ? 1 : sizeof(float));
    if (!weights) return nn_no_memory(err);
    conv->weights = weights;
    if (i8) {
        lay_out_i8(conv, weights, nn->data[layer->inputs[1]]);
        return nn_prepare_finish(nn, step, &conv->finish, (uint32_t)outputs, err);
    }
    float *biases = ig_arena_array(&nn->arena, outputs, sizeof *biases);
    const float *numbers = nn_weights_f32(nn, step);
    if (!numbers || !biases) return nn_no_memory(err);
    if (bias) memcpy(biases, nn->data[layer->inputs[2]], ig_network_tensor_bytes(bias));
    conv->bias = biases;
    lay_out_f32(conv, weights, numbers);
    return IG_OK;
}

static enum ig_code finish(struct ig_nn *nn, struct nn_step *step, struct conv *conv,
                           struct ig_err *err)
{
    const struct ig_network_tensor *in = nn_in(nn, step, 0), *out = nn_out(nn, step);
    bool i8 = in->type == IG_NETWORK_I8;
    conv->padded = i8 ? (conv->depth + 1) / 2 * 2 : conv->depth;
    conv->blocks = (conv->channels + NN_BLOCK - 1) / NN_BLOCK;
    conv->rows = ig_network_tensor_count(out) / conv->channels;
    if (i8) conv->zero_in = in->quantization.zero_points[0];
    nn_range_f32(step->layer->activation, &conv->least_f32, &conv->most_f32);
    step->run = i8 ? run_i8 : run_f32;
    step->state = conv;
    step->scratch_bytes = NN_ROWS * conv->padded * (i8 ? sizeof(int16_t) : sizeof(float));
    step->products = (uint64_t)conv->rows * conv->channels * conv->depth;
    return lay_out(nn, step, conv, i8, err);
}

enum ig_code nn_prepare_conv(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    const struct ig_network_tensor *in = nn_in(nn, step, 0), *weights = nn_in(nn, step, 1);
    const struct ig_network_tensor *out = nn_out(nn, step);
    const struct ig_network_window *window = &step->layer->window;
    struct conv *conv = ig_arena_zalloc(&nn->arena, sizeof *conv);
    if (!conv) return nn_no_memory(err);
    conv->in_h = in->dims[1];
    conv->in_w = in->dims[2];
    conv->in_c = in->dims[3];
    conv->out_h = out->dims[1];
    conv->out_w = out->dims[2];
    conv->channels = out->dims[3];
    conv->filter_h = weights->dims[1];
    conv->filter_w = weights->dims[2];
    conv->stride_h = window->stride_h;
    conv->stride_w = window->stride_w;
    conv->dilation_h = window->dilation_h;
    conv->dilation_w = window->dilation_w;
    conv->pad_h = ig_network_pad_before(window->padding, in->dims[1], weights->dims[1],
                                        window->stride_h, window->dilation_h);
    conv->pad_w = ig_network_pad_before(window->padding, in->dims[2], weights->dims[2],
                                        window->stride_w, window->dilation_w);
    conv->depth = conv->filter_h * conv->filter_w * conv->in_c;
    /* A filter of one cell that goes step by step sees its input as it lies. */
    conv->gathers = conv->filter_h * conv->filter_w * conv->stride_h * conv->stride_w != 1;
    return finish(nn, step, conv, err);
}

enum ig_code nn_prepare_fully_connected(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    const struct ig_network_tensor *weights = nn_in(nn, step, 1);
    struct conv *conv = ig_arena_zalloc(&nn->arena, sizeof *conv);
    if (!conv) return nn_no_memory(err);
    conv->channels = weights->dims[0];
    conv->depth = weights->dims[1];
    return finish(nn, step, conv, err);
}
