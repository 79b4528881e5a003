/* SPDX-License-Identifier: Apache-2.0 */
/* DEPTHWISE_CONV_2D: channels of an output position are summed together, tap by tap.
 *
 * State: the weights as they lie (taps x outputs), multipliers by channel. */
#include "kernels/nn/nn_priv.h"

#include <string.h>

struct depthwise {
    size_t in_h, in_w, in_c, out_h, out_w, out_c, each; /* each: outputs of an input channel */
    size_t images, filter_h, filter_w, stride_h, stride_w, dilation_h, dilation_w, pad_h, pad_w;
    const void *weights, *bias;
    const struct nn_multiplier *multipliers;
    int32_t zero_in, zero_out, least, most;
    float least_f32, most_f32;
};

/* Calls for every cell that position (image, y, x) sees: its channels and the tap's weights. */
struct cells {
    const struct depthwise *layer;
    size_t image, y, x, tap; /* tap: the next to look at */
    size_t at;               /* out: the cell, in pixels */
};

/* The next tap whose cell lies inside; false at the end. */
static bool next_cell(struct cells *cells)
{
    const struct depthwise *d = cells->layer;
    for (; cells->tap < d->filter_h * d->filter_w; cells->tap++) {
        size_t fy = cells->tap / d->filter_w, fx = cells->tap % d->filter_w;
        size_t y = cells->y * d->stride_h + fy * d->dilation_h;
        size_t x = cells->x * d->stride_w + fx * d->dilation_w;
        if (y < d->pad_h || y - d->pad_h >= d->in_h || x < d->pad_w || x - d->pad_w >= d->in_w)
            continue;
        cells->at = (cells->image * d->in_h + y - d->pad_h) * d->in_w + x - d->pad_w;
        cells->tap++;
        return true;
    }
    return false;
}

static void add_spread_i8(int32_t *sums, const struct depthwise *d, const int8_t *x,
                          const int8_t *weights)
{
    for (size_t c = 0; c < d->in_c; c++)
        for (size_t m = 0; m < d->each; m++)
            sums[c * d->each + m] += (x[c] - d->zero_in) * weights[c * d->each + m];
}

static void position_i8(const struct nn_run *run, const struct depthwise *d, struct cells cells,
                        const int8_t *in, int8_t *out)
{
    int32_t *sums = run->scratch;
    bool single = run->nn->network->rounding == IG_NETWORK_ROUNDING_SINGLE;
    memset(sums, 0, d->out_c * sizeof *sums);
    while (next_cell(&cells)) {
        const int8_t *weights = (const int8_t *)d->weights + (cells.tap - 1) * d->out_c;
        const int8_t *x = in + cells.at * d->in_c;
        if (d->each == 1)
            run->nn->products->depthwise_i8(sums, x, (int16_t)d->zero_in, weights, d->out_c);
        else
            add_spread_i8(sums, d, x, weights);
    }
    for (size_t c = 0; c < d->out_c; c++) {
        uint32_t bias = d->bias ? (uint32_t)((const int32_t *)d->bias)[c] : 0;
        int32_t sum = (int32_t)((uint32_t)sums[c] + bias);
        int64_t scaled = single ? nn_scale_single(sum, d->multipliers[c])
                                : nn_scale_double(sum, d->multipliers[c]);
        out[c] = nn_clamp(scaled + d->zero_out, d->least, d->most);
    }
}

static void position_f32(const struct nn_run *run, const struct depthwise *d, struct cells cells,
                         const float *in, float *out)
{
    float *sums = run->scratch;
    memset(sums, 0, d->out_c * sizeof *sums);
    while (next_cell(&cells)) {
        const float *weights = (const float *)d->weights + (cells.tap - 1) * d->out_c;
        const float *x = in + cells.at * d->in_c;
        for (size_t c = 0; d->each == 1 && c < d->out_c; c++) sums[c] += x[c] * weights[c];
        for (size_t c = 0; d->each > 1 && c < d->out_c; c++) sums[c] += x[c / d->each] * weights[c];
    }
    for (size_t c = 0; c < d->out_c; c++)
        out[c] = nn_clamp_f32(sums[c] + (d->bias ? ((const float *)d->bias)[c] : 0), d->least_f32,
                              d->most_f32);
}

static void run_positions(const struct nn_run *run, const struct nn_step *step, bool i8)
{
    const struct depthwise *d = step->state;
    const void *in = nn_read(run, step->layer->inputs[0]);
    void *out = nn_write(run, step->layer->output);
    size_t at = 0;
    for (size_t image = 0; image < d->images; image++)
        for (size_t y = 0; y < d->out_h; y++)
            for (size_t x = 0; x < d->out_w; x++, at += d->out_c) {
                const struct cells cells = {d, image, y, x, 0, 0};
                if (i8)
                    position_i8(run, d, cells, in, (int8_t *)out + at);
                else
                    position_f32(run, d, cells, in, (float *)out + at);
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
    d->bias = nn_in(nn, step, 2) ? nn->data[layer->inputs[2]] : NULL;
    if (i8) {
        d->zero_in = in->quantization.zero_points[0];
        d->zero_out = out->quantization.zero_points[0];
        nn_range_i8(out, layer->activation, &d->least, &d->most);
        d->multipliers = nn_channel_multipliers(nn, step, (uint32_t)d->out_c, (uint32_t)d->out_c);
    }
    if (!d->weights || (i8 && !d->multipliers)) return nn_no_memory(err);
    step->run = i8 ? run_i8 : run_f32;
    step->state = d;
    step->scratch_bytes = d->out_c * sizeof(int32_t);
    step->products = (uint64_t)ig_network_tensor_count(out) * d->filter_h * d->filter_w;
    return IG_OK;
}
