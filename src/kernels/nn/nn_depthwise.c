/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: channels of an output position are summed together, tap by tap.
 *
 * State: the weights as they lie (taps x outputs), multipliers by channel. */
#include "kernels/nn/nn_priv.h"

#include <string.h>

struct depthwise {
    size_t in_h, in_w, in_c, out_h, out_w, out_c, each; /* each: outputs of an input channel */
    size_t images, filter_h, filter_w, stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
    const void *weights;
    const float *bias;
    struct nn_finish finish; /* int8 */
    int32_t zero_in;
    float least_f32, most_f32;
};

/* Filter rows or columns whose cells lie inside, of the window that begins at start - pad. */
struct taps {
    size_t first, end;
};

static struct taps inside(size_t start, size_t pad, size_t dilation, size_t filter, size_t size)
{
    struct taps taps = {start < pad ? (pad - start + dilation - 1) / dilation : 0, 0};
    if (size + pad > start) taps.end = (size + pad - start + dilation - 1) / dilation;
    if (taps.end > filter) taps.end = filter;
    if (taps.first > taps.end) taps.first = taps.end;
    return taps;
}

/* An output position and what it sees. */
struct position {
    const struct depthwise *layer;
    size_t image, y, x; /* of the window's first cell, with padding */
    struct taps rows, columns;
};

/* Where in the input, in pixels, a tap's cell lies. */
static size_t cell(const struct position *at, size_t fy, size_t fx)
{
    const struct depthwise *d = at->layer;
    size_t y = at->y + fy * d->dilation_h - d->pad_h, x = at->x + fx * d->dilation_w - d->pad_w;
    return (at->image * d->in_h + y) * d->in_w + x;
}

/* More than one output of an input channel. */
static void spread_i8(int32_t *sums, const struct depthwise *d, const struct nn_cells *cells)
{
    memset(sums, 0, d->out_c * sizeof *sums);
    for (size_t i = 0; i < cells->rows * cells->columns; i++) {
        size_t y = i / cells->columns, x = i % cells->columns;
        const int8_t *in = cells->x + y * cells->x_row + x * cells->x_column;
        const int8_t *weights = cells->weights + y * cells->weights_row + x * cells->weights_column;
        for (size_t c = 0; c < d->out_c; c++)
            sums[c] += (in[c / d->each] - d->zero_in) * weights[c];
    }
}

static void position_i8(const struct nn_run *run, const struct position *at, const int8_t *in,
                        int8_t *out)
{
    const struct depthwise *d = at->layer;
    size_t fy = at->rows.first, fx = at->columns.first, rows = at->rows.end - fy;
    int32_t *sums = run->scratch;
    struct nn_cells cells = {
        .rows = rows,
        .columns = at->columns.end - fx,
        .x_row = d->dilation_h * d->in_w * d->in_c,
        .x_column = d->dilation_w * d->in_c,
        .weights_row = d->filter_w * d->out_c,
        .weights_column = d->out_c,
        .zero = (int16_t)d->zero_in,
    };
    if (cells.rows && cells.columns) {
        cells.x = in + cell(at, fy, fx) * d->in_c;
        cells.weights = (const int8_t *)d->weights + (fy * d->filter_w + fx) * d->out_c;
    } else {
        cells.rows = 0;
    }
    if (d->each == 1)
        run->nn->products->depthwise_i8(sums, &cells, d->out_c);
    else
        spread_i8(sums, d, &cells);
    run->nn->products->finish_i8(out, sums, &d->finish, 0, d->out_c);
}

static void add_f32(float *sums, const struct depthwise *d, const float *x, const float *weights)
{
    if (d->each == 1)
        for (size_t c = 0; c < d->out_c; c++) sums[c] += x[c] * weights[c];
    else
        for (size_t c = 0; c < d->out_c; c++) sums[c] += x[c / d->each] * weights[c];
}

static void position_f32(const struct nn_run *run, const struct position *at, const float *in,
                         float *out)
{
    const struct depthwise *d = at->layer;
    float *sums = run->scratch;
    memset(sums, 0, d->out_c * sizeof *sums);
    for (size_t fy = at->rows.first; fy < at->rows.end; fy++)
        for (size_t fx = at->columns.first; fx < at->columns.end; fx++)
            add_f32(sums, d, in + cell(at, fy, fx) * d->in_c,
                    (const float *)d->weights + (fy * d->filter_w + fx) * d->out_c);
    for (size_t c = 0; c < d->out_c; c++)
        out[c] = nn_clamp_f32(sums[c] + (d->bias ? d->bias[c] : 0), d->least_f32, d->most_f32);
}

static void run_positions(const struct nn_run *run, const struct nn_step *step, bool i8)
{
    const struct depthwise *d = step->state;
    const void *in = nn_read(run, step->layer->inputs[0]);
    void *out = nn_write(run, step->layer->output);
    for (size_t i = 0; i < d->images * d->out_h * d->out_w; i++) {
        size_t y = i / d->out_w % d->out_h * d->stride_h, x = i % d->out_w * d->stride_w;
        const struct position at = {
            .layer = d,
            .image = i / d->out_w / d->out_h,
            .y = y,
            .x = x,
            .rows = inside(y, d->pad_h, d->dilation_h, d->filter_h, d->in_h),
            .columns = inside(x, d->pad_w, d->dilation_w, d->filter_w, d->in_w),
        };
        if (i8)
            position_i8(run, &at, in, (int8_t *)out + i * d->out_c);
        else
            position_f32(run, &at, in, (float *)out + i * d->out_c);
    }
}

static void run_i8(const struct nn_run *run, const struct nn_step *step)
{
    run_positions(run, step, true);
}

static void run_f32(const struct nn_run *run, const struct nn_step *step)
{
    run_positions(run, step, false);
}

static void measure(struct depthwise *d, const struct ig_nn *nn, const struct nn_step *step)
{
    const struct ig_network_tensor *in = nn_in(nn, step, 0), *weights = nn_in(nn, step, 1);
    const struct ig_network_tensor *out = nn_out(nn, step);
    const struct ig_network_window *window = &step->layer->window;
    *d = (struct depthwise){
        .images = in->dims[0],
        .in_h = in->dims[1],
        .in_w = in->dims[2],
        .in_c = in->dims[3],
        .out_h = out->dims[1],
        .out_w = out->dims[2],
        .out_c = out->dims[3],
        .each = out->dims[3] / in->dims[3],
        .filter_h = weights->dims[1],
        .filter_w = weights->dims[2],
        .stride_h = window->stride_h,
        .stride_w = window->stride_w,
        .dilation_h = window->dilation_h,
        .dilation_w = window->dilation_w,
    };
    d->pad_h = ig_network_pad_before(window->padding, in->dims[1], weights->dims[1],
                                     window->stride_h, window->dilation_h);
    d->pad_w = ig_network_pad_before(window->padding, in->dims[2], weights->dims[2],
                                     window->stride_w, window->dilation_w);
    nn_range_f32(step->layer->activation, &d->least_f32, &d->most_f32);
}

enum ig_code nn_prepare_depthwise(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    const struct ig_network_layer *layer = step->layer;
    const struct ig_network_tensor *in = nn_in(nn, step, 0), *out = nn_out(nn, step);
    struct depthwise *d = ig_arena_alloc(&nn->arena, sizeof *d);
    if (!d) return nn_no_memory(err);
    bool i8 = in->type == IG_NETWORK_I8;
    measure(d, nn, step);
    d->weights = i8 ? nn->data[layer->inputs[1]] : nn_weights_f32(nn, step);
    if (!d->weights) return nn_no_memory(err);
    if (i8) {
        d->zero_in = in->quantization.zero_points[0];
        if (nn_prepare_finish(nn, step, &d->finish, (uint32_t)d->out_c, err)) return err->code;
    } else if (nn_in(nn, step, 2)) {
        d->bias = nn->data[layer->inputs[2]];
    }
    step->run = i8 ? run_i8 : run_f32;
    step->state = d;
    step->scratch_bytes = d->out_c * sizeof(int32_t);
    step->products = (uint64_t)ig_network_tensor_count(out) * d->filter_h * d->filter_w;
    return IG_OK;
}
