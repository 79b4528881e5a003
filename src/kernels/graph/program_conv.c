/* SPDX-License-Identifier: Apache-2.0 */
/* Conv on float32: tiles of positions and output channels, each output a sum in double over the
 * kernel's taps in order (channel, row, column), rounded once: the same on any instruction set.
 * Source: ONNX operators. */
#include "kernels/graph/program_conv.h"

#include "kernels/cpu/cpu.h"

#include <string.h>

enum { KERNELS_MAX = 1 << 17 }; /* doubles of laid weights */

/* Taps in order of the kernel: channel, row, column. */
static void sum_tile(const struct prog_conv *conv, const struct prog_conv_tile *tile,
                     double (*sums)[PROG_CONV_LANES])
{
    const struct prog_window *window = &conv->window;
    const double *tap = tile->kernel;
    for (size_t c = 0; c < conv->in_channels; c++)
        for (int64_t y = 0; y < window->kernel[0]; y++) {
            int64_t row = tile->row + y * window->dilation[0];
            bool inside = row >= 0 && row < window->in[0];
            const float *line = tile->lines + c * (size_t)window->in[0] * conv->line;
            for (int64_t i = 0; i < window->kernel[1]; i++, tap += PROG_CONV_BLOCK)
                for (size_t k = 0; inside && k < tile->channels; k++)
                    for (size_t lane = 0; lane < PROG_CONV_LANES; lane++)
                        sums[k][lane] +=
                            tap[k] * (double)line[(size_t)row * conv->line + conv->views[i] + lane];
        }
}

void prog_conv_fill_scalar(const struct prog_conv *conv, const struct prog_conv_tile *tile)
{
    double sums[PROG_CONV_BLOCK][PROG_CONV_LANES] = {{0}};
    sum_tile(conv, tile, sums);
    for (size_t k = 0; k < tile->channels; k++)
        for (size_t i = 0; i < tile->lanes; i++)
            tile->out[k * tile->plane + i] = (float)(sums[k][i] + tile->bias[k]);
}

/* The weights of a block of output channels, tap by tap. */
static void lay_kernel(const struct prog_conv *conv, const float *weights, size_t channels,
                       double *to)
{
    for (size_t tap = 0; tap < conv->taps; tap++)
        for (size_t k = 0; k < PROG_CONV_BLOCK; k++)
            *to++ = k < channels ? (double)weights[k * conv->taps + tap] : 0;
}

static void lay_line(const struct prog_conv *conv, const float *from, float *to)
{
    size_t pad = (size_t)conv->window.pad[1], columns = (size_t)conv->window.in[1];
    size_t stride = (size_t)conv->window.stride[1];
    memset(to, 0, conv->line * sizeof *to);
    if (stride == 1) {
        size_t room = conv->part > pad ? conv->part - pad : 0;
        if (room) memcpy(to + pad, from, (columns < room ? columns : room) * sizeof *to);
        return;
    }
    size_t part = pad % stride, at = pad / stride, parts = conv->line / conv->part;
    for (size_t i = 0; i < columns && at < conv->part; i++) {
        if (part < parts) to[part * conv->part + at] = from[i];
        if (++part < stride) continue;
        part = 0;
        at++;
    }
}

/* A block of output channels. */
static void conv_block(const struct prog_conv *conv, struct prog_conv_tile *tile,
                       const float *lines, float *out)
{
    const struct prog_window *window = &conv->window;
    for (int64_t y = 0; y < window->out[0]; y++)
        for (int64_t x = 0; x < window->out[1]; x += PROG_CONV_LANES) {
            size_t left = (size_t)(window->out[1] - x);
            tile->lanes = left < PROG_CONV_LANES ? left : PROG_CONV_LANES;
            tile->row = y * window->stride[0] - window->pad[0];
            tile->lines = lines + x;
            tile->out = out + y * window->out[1] + x;
            conv->fill(conv, tile);
        }
}

static void set_bias(struct prog_conv_tile *tile, const float *bias)
{
    for (size_t k = 0; k < PROG_CONV_BLOCK; k++)
        tile->bias[k] = bias && k < tile->channels ? (double)bias[k] : 0;
}

/* Scratch: a block's kernel, then a group's lines of one image. */
static void run_conv(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct prog_conv *conv = step->state;
    const struct prog_window *window = &conv->window;
    const float *image = prog_data(frame, step->in[0]);
    const float *kernels = prog_data(frame, step->in[1]);
    const float *bias = prog_optional(frame, step->in, step->in_count, 2);
    float *out = prog_data(frame, step->out[0]);
    double *kernel = frame->scratch;
    float *lines = (float *)(kernel + conv->taps * PROG_CONV_BLOCK);
    size_t lines_count = conv->in_channels * (size_t)window->in[0];
    struct prog_conv_tile tile = {.plane = (size_t)(window->out[0] * window->out[1])};
    for (size_t n = 0; n < conv->images; n++) {
        const double *laid = conv->kernels;
        for (size_t g = 0; g < conv->groups; g++) {
            for (size_t i = 0; i < lines_count; i++, image += window->in[1])
                lay_line(conv, image, lines + i * conv->line);
            for (size_t c = 0; c < conv->out_channels; c += PROG_CONV_BLOCK) {
                size_t channel = g * conv->out_channels + c;
                size_t left = conv->out_channels - c;
                tile.channels = left < PROG_CONV_BLOCK ? left : PROG_CONV_BLOCK;
                tile.kernel = laid ? laid : kernel;
                if (laid)
                    laid += conv->taps * PROG_CONV_BLOCK;
                else
                    lay_kernel(conv, kernels + channel * conv->taps, tile.channels, kernel);
                set_bias(&tile, bias ? bias + channel : NULL);
                conv_block(conv, &tile, lines, out);
                out += tile.channels * tile.plane;
            }
        }
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

/* The layout of a line; a tile may reach beyond the last column by less than a tile. */
static bool plan_lines(struct prog_plan *plan, struct prog_conv *conv)
{
    const struct prog_window *window = &conv->window;
    size_t stride = (size_t)window->stride[1], kernel = (size_t)window->kernel[1];
    size_t reach = (kernel - 1) * (size_t)window->dilation[1];
    size_t lines, floats, kernel_bytes;
    size_t *views = ig_arena_array(plan->arena, kernel, sizeof *views);
    if (!views) return prog_no_memory(plan);
    conv->part = (size_t)window->out[1] + PROG_CONV_LANES - 1 + reach / stride;
    for (size_t i = 0; i < kernel; i++) {
        size_t column = i * (size_t)window->dilation[1];
        views[i] = column % stride * conv->part + column / stride;
    }
    conv->views = views;
    /* No kernel sees more remainders than it has columns, nor than lie in its reach. */
    size_t parts = reach + 1 < stride ? reach + 1 : stride;
    if (!ig_mul(&conv->line, parts, conv->part) ||
        !ig_mul(&lines, conv->in_channels, (size_t)window->in[0]) ||
        !ig_mul(&floats, lines, conv->line) || !ig_mul(&floats, floats, sizeof(float)) ||
        !ig_mul(&kernel_bytes, conv->taps, PROG_CONV_BLOCK * sizeof(double)) ||
        !ig_add(&plan->step->scratch_bytes, kernel_bytes, floats))
        return prog_no_memory(plan);
    return true;
}

/* Lays constant weights once, where they are no larger than a cache. */
static bool plan_kernels(struct prog_plan *plan, struct prog_conv *conv, const float *weights)
{
    size_t blocks = (conv->out_channels + PROG_CONV_BLOCK - 1) / PROG_CONV_BLOCK * conv->groups;
    size_t block = conv->taps * PROG_CONV_BLOCK;
    if (!weights || blocks == 0 || block > KERNELS_MAX / blocks) return true;
    double *kernels = ig_arena_alloc_aligned(plan->arena, blocks * block * sizeof *kernels + 1, 64);
    if (!kernels) return prog_no_memory(plan);
    conv->kernels = kernels;
    for (size_t g = 0; g < conv->groups; g++)
        for (size_t c = 0; c < conv->out_channels; c += PROG_CONV_BLOCK, kernels += block) {
            size_t left = conv->out_channels - c;
            lay_kernel(conv, weights + (g * conv->out_channels + c) * conv->taps,
                       left < PROG_CONV_BLOCK ? left : PROG_CONV_BLOCK, kernels);
        }
    return true;
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
    plan->step->apart = w->constant && (!bias || bias->constant);
    plan->step->run = run_conv;
    if (!prog_window_shape(plan, &conv->window, x, w->dims[0])) return false;
    join_rows(&conv->window);
    conv->taps = conv->in_channels * (size_t)(conv->window.kernel[0] * conv->window.kernel[1]);
    enum ig_isa isa = ig_cpu_isa();
    conv->fill = isa >= IG_ISA_AVX512 ? prog_conv_fill_avx512
                 : isa >= IG_ISA_AVX2 ? prog_conv_fill_avx2
                                      : prog_conv_fill_scalar;
    return plan_lines(plan, conv) && plan_kernels(plan, conv, w->constant);
}
