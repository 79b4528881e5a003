/* SPDX-License-Identifier: Apache-2.0 */
/* Conv on float32: tiles of positions and output channels, each output a sum in double over the
 * kernel's taps in order (channel, row, column), rounded once: the same on any instruction set.
 * Source: ONNX operators. */
#include "kernels/graph/program_conv.h"

#include "kernels/cpu/cpu.h"

#include <string.h>

void prog_conv_lanes(const struct prog_window *window, const float *line, int64_t first,
                     double *lanes)
{
    int64_t stride = window->stride[1];
    if (stride == 1 && first >= 0 && first + PROG_CONV_LANES <= window->in[1]) {
        for (size_t i = 0; i < PROG_CONV_LANES; i++) lanes[i] = (double)line[first + (int64_t)i];
        return;
    }
    for (size_t i = 0; i < PROG_CONV_LANES; i++) {
        int64_t column = first + (int64_t)i * stride;
        lanes[i] = column >= 0 && column < window->in[1] ? (double)line[column] : 0;
    }
}

static void add_tap(struct prog_conv_tile *tile, const float *tap, const double *lanes)
{
    for (size_t k = 0; k < tile->channels; k++) {
        double weight = (double)tap[k * tile->taps];
        for (size_t i = 0; i < PROG_CONV_LANES; i++) tile->sums[k][i] += weight * lanes[i];
    }
}

/* Taps in order of the kernel: channel, row, column. */
void prog_conv_sum_scalar(const struct prog_conv *conv, struct prog_conv_tile *tile)
{
    const struct prog_window *window = &conv->window;
    size_t plane = (size_t)(window->in[0] * window->in[1]);
    const float *tap = tile->kernel;
    double lanes[PROG_CONV_LANES];
    memset(tile->sums, 0, sizeof tile->sums);
    for (size_t c = 0; c < conv->in_channels; c++)
        for (int64_t y = 0; y < window->kernel[0]; y++) {
            int64_t row = tile->row + y * window->dilation[0];
            if (row < 0 || row >= window->in[0]) {
                tap += window->kernel[1];
                continue;
            }
            const float *line = tile->image + c * plane + (size_t)(row * window->in[1]);
            for (int64_t x = 0; x < window->kernel[1]; x++, tap++) {
                prog_conv_lanes(window, line, tile->column + x * window->dilation[1], lanes);
                add_tap(tile, tap, lanes);
            }
        }
}

/* A block of output channels: `out` is the first one's plane. */
static void conv_block(const struct prog_conv *conv, struct prog_conv_tile *tile, const float *bias,
                       float *out)
{
    const struct prog_window *window = &conv->window;
    size_t plane = (size_t)(window->out[0] * window->out[1]);
    for (int64_t y = 0; y < window->out[0]; y++)
        for (int64_t x = 0; x < window->out[1]; x += PROG_CONV_LANES) {
            size_t lanes = window->out[1] - x < PROG_CONV_LANES ? (size_t)(window->out[1] - x)
                                                                : PROG_CONV_LANES;
            tile->row = y * window->stride[0] - window->pad[0];
            tile->column = x * window->stride[1] - window->pad[1];
            conv->sum(conv, tile);
            for (size_t k = 0; k < tile->channels; k++)
                for (size_t i = 0; i < lanes; i++)
                    out[k * plane + (size_t)(y * window->out[1] + x) + i] =
                        (float)(tile->sums[k][i] + (bias ? (double)bias[k] : 0));
        }
}

static void run_conv(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct prog_conv *conv = step->state;
    const struct prog_window *window = &conv->window;
    const float *image = prog_data(frame, step->in[0]);
    const float *kernels = prog_data(frame, step->in[1]);
    const float *bias = prog_optional(frame, step->in, step->in_count, 2);
    float *out = prog_data(frame, step->out[0]);
    size_t taps = conv->in_channels * (size_t)(window->kernel[0] * window->kernel[1]);
    size_t in_plane = (size_t)(window->in[0] * window->in[1]);
    size_t out_plane = (size_t)(window->out[0] * window->out[1]);
    for (size_t n = 0; n < conv->images; n++)
        for (size_t g = 0; g < conv->groups; g++) {
            struct prog_conv_tile tile = {.image = image, .taps = taps};
            for (size_t c = 0; c < conv->out_channels; c += PROG_CONV_BLOCK) {
                size_t channel = g * conv->out_channels + c;
                size_t left = conv->out_channels - c;
                tile.kernel = kernels + channel * taps;
                tile.channels = left < PROG_CONV_BLOCK ? left : PROG_CONV_BLOCK;
                conv_block(conv, &tile, bias ? bias + channel : NULL, out);
                out += tile.channels * out_plane;
            }
            image += conv->in_channels * in_plane;
        }
}

/* A kernel of one place without strides or padding sees a plane as one long row. */
static void join_rows(struct prog_window *window)
{
    for (uint32_t side = 0; side < 2; side++)
        if (window->kernel[side] != 1 || window->stride[side] != 1 || window->pad[side] != 0 ||
            window->pad_end[side] != 0)
            return;
    window->in[1] *= window->in[0];
    window->out[1] *= window->out[0];
    window->in[0] = window->out[0] = 1;
}

bool prog_plan_conv(struct prog_plan *plan)
{
    const struct prog_tensor *x = prog_need(plan, 0, IG_TENSOR_F32);
    const struct prog_tensor *w = x ? prog_need(plan, 1, IG_TENSOR_F32) : NULL;
    struct prog_conv *conv = w ? prog_state(plan, sizeof *conv) : NULL;
    if (!conv) return false;
    int64_t groups = ig_graph_i64(plan->step->node, "group", 1);
    if ((x->rank != 3 && x->rank != 4) || w->rank != x->rank)
        return prog_refuse(plan, "one or two spatial dimensions are supported, not rank %u",
                           x->rank);
    if (groups < 1 || w->dims[0] % groups != 0 || x->dims[1] % groups != 0 ||
        x->dims[1] / groups != w->dims[1])
        return prog_refuse(plan, "weights do not fit %lld channels in %lld groups",
                           (long long)x->dims[1], (long long)groups);
    if (!prog_window_plan(plan, &conv->window, x, w->dims + 2)) return false;
    const struct prog_tensor *bias = prog_in(plan, 2);
    if (bias && (bias->type != IG_TENSOR_F32 || bias->count != (size_t)w->dims[0]))
        return prog_refuse(plan, "B does not fit the output's channels");
    conv->images = (size_t)x->dims[0];
    conv->groups = (size_t)groups;
    conv->in_channels = (size_t)w->dims[1];
    conv->out_channels = (size_t)(w->dims[0] / groups);
    plan->step->run = run_conv;
    conv->sum = ig_cpu_isa() >= IG_ISA_AVX2 ? prog_conv_sum_avx2 : prog_conv_sum_scalar;
    if (!prog_window_shape(plan, &conv->window, x, w->dims[0])) return false;
    join_rows(&conv->window);
    return true;
}
