/* SPDX-License-Identifier: Apache-2.0 */
/* AVERAGE_POOL_2D, MAX_POOL_2D and MEAN. An average of int8 is rounded half away from zero over the
 * cells that lie inside. Source: TensorFlow Lite's reference_integer_ops (pooling.h, mean.h). */
#include "kernels/nn/nn_priv.h"

#include <math.h>
#include <string.h>

enum { CELLS_I8_MAX = 1 << 23 };

struct pool {
    size_t pad_h, pad_w;
    int32_t least, most;
    float least_f32, most_f32;
};

/* The cells of a window along one side that lie inside. */
struct span {
    size_t first, end;
};

static struct span span(size_t start, size_t pad, size_t filter, size_t size)
{
    size_t end = start + filter - pad;
    return (struct span){start > pad ? start - pad : 0, end < size ? end : size};
}

static void cell_i8(int32_t *sums, const int8_t *in, size_t channels, bool average)
{
    for (size_t c = 0; c < channels; c++)
        sums[c] = average ? sums[c] + in[c] : in[c] > sums[c] ? in[c] : sums[c];
}

static void cell_f32(float *sums, const float *in, size_t channels, bool average)
{
    for (size_t c = 0; c < channels; c++)
        sums[c] = average ? sums[c] + in[c] : in[c] > sums[c] ? in[c] : sums[c];
}

static int32_t rounded_mean(int32_t sum, int32_t count)
{
    return (sum > 0 ? sum + count / 2 : sum - count / 2) / count;
}

/* So that 32 bits hold the sum of bytes. */
static enum ig_code check_cells(const struct ig_nn *nn, const struct nn_step *step, uint64_t cells,
                                struct ig_err *err)
{
    if (nn_in(nn, step, 0)->type != IG_NETWORK_I8 || cells <= CELLS_I8_MAX) return IG_OK;
    return ig_fail(err, IG_UNSUPPORTED, "a mean of %llu int8 cells, at most %d",
                   (unsigned long long)cells, CELLS_I8_MAX);
}

static void window(const struct nn_run *run, const struct nn_step *step, size_t image, size_t y,
                   size_t x)
{
    const struct pool *pool = step->state;
    const struct ig_network_layer *layer = step->layer;
    const struct ig_network_tensor *in = nn_in(run->nn, step, 0), *out = nn_out(run->nn, step);
    size_t channels = in->dims[3];
    bool i8 = in->type == IG_NETWORK_I8, average = layer->op == IG_NETWORK_AVERAGE_POOL_2D;
    const struct ig_network_window *w = &layer->window;
    struct span rows = span(y * w->stride_h, pool->pad_h, w->filter_h, in->dims[1]);
    struct span columns = span(x * w->stride_w, pool->pad_w, w->filter_w, in->dims[2]);
    const void *from = nn_read(run, layer->inputs[0]);
    void *to = nn_write(run, layer->output);
    size_t at = ((image * out->dims[1] + y) * out->dims[2] + x) * channels;
    int32_t *sums = run->scratch,
            cells = (int32_t)((rows.end - rows.first) * (columns.end - columns.first));
    float *sums_f32 = run->scratch;
    for (size_t c = 0; c < channels; c++)
        if (i8)
            sums[c] = average ? 0 : INT8_MIN;
        else
            sums_f32[c] = average ? 0 : -INFINITY;
    for (size_t row = rows.first; row < rows.end; row++)
        for (size_t column = columns.first; column < columns.end; column++) {
            size_t cell = ((image * in->dims[1] + row) * in->dims[2] + column) * channels;
            if (i8)
                cell_i8(sums, (const int8_t *)from + cell, channels, average);
            else
                cell_f32(sums_f32, (const float *)from + cell, channels, average);
        }
    for (size_t c = 0; c < channels; c++)
        if (i8)
            ((int8_t *)to)[at + c] =
                nn_clamp(average ? rounded_mean(sums[c], cells) : sums[c], pool->least, pool->most);
        else
            ((float *)to)[at + c] = nn_clamp_f32(average ? sums_f32[c] / (float)cells : sums_f32[c],
                                                 pool->least_f32, pool->most_f32);
}

static void run_pool(const struct nn_run *run, const struct nn_step *step)
{
    const struct ig_network_tensor *out = nn_out(run->nn, step);
    for (size_t image = 0; image < out->dims[0]; image++)
        for (size_t y = 0; y < out->dims[1]; y++)
            for (size_t x = 0; x < out->dims[2]; x++) window(run, step, image, y, x);
}

enum ig_code nn_prepare_pool(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    const struct ig_network_tensor *in = nn_in(nn, step, 0), *out = nn_out(nn, step);
    const struct ig_network_window *w = &step->layer->window;
    struct pool *pool = ig_arena_zalloc(&nn->arena, sizeof *pool);
    if (!pool) return nn_no_memory(err);
    if (check_cells(nn, step, (uint64_t)in->dims[1] * in->dims[2], err)) return err->code;
    pool->pad_h = ig_network_pad_before(w->padding, in->dims[1], w->filter_h, w->stride_h, 1);
    pool->pad_w = ig_network_pad_before(w->padding, in->dims[2], w->filter_w, w->stride_w, 1);
    if (in->type == IG_NETWORK_I8)
        nn_range_i8(out, step->layer->activation, &pool->least, &pool->most);
    nn_range_f32(step->layer->activation, &pool->least_f32, &pool->most_f32);
    step->run = run_pool;
    step->state = pool;
    step->scratch_bytes = in->dims[3] * sizeof(float);
    uint64_t cells = (uint64_t)(w->filter_h < in->dims[1] ? w->filter_h : in->dims[1]) *
                     (w->filter_w < in->dims[2] ? w->filter_w : in->dims[2]);
    step->work = ig_network_tensor_count(out) * cells;
    return IG_OK;
}

/* ---- MEAN ---- */

struct mean {
    size_t strides[IG_NETWORK_RANK_MAX]; /* of the output, by the input's dimension; 0: it goes */
    size_t count, cells;                 /* outputs, and inputs of one */
    struct nn_multiplier multiplier;     /* int8: scale in / scale out / cells */
};

/* Adds every input to its output's sum. */
static void add_all(const struct mean *mean, const struct ig_network_tensor *in, const void *from,
                    void *sums)
{
    uint32_t counters[IG_NETWORK_RANK_MAX] = {0};
    size_t count = ig_network_tensor_count(in), at = 0;
    for (size_t i = 0; i < count; i++) {
        if (in->type == IG_NETWORK_I8)
            ((int32_t *)sums)[at] += ((const int8_t *)from)[i];
        else
            ((float *)sums)[at] += ((const float *)from)[i];
        for (uint32_t d = in->rank; d-- > 0;) {
            at += mean->strides[d];
            if (++counters[d] < in->dims[d]) break;
            at -= mean->strides[d] * in->dims[d];
            counters[d] = 0;
        }
    }
}

static void run_mean(const struct nn_run *run, const struct nn_step *step)
{
    const struct mean *mean = step->state;
    const struct ig_network_tensor *in = nn_in(run->nn, step, 0), *out = nn_out(run->nn, step);
    void *to = nn_write(run, step->layer->output);
    memset(run->scratch, 0, mean->count * sizeof(float));
    add_all(mean, in, nn_read(run, step->layer->inputs[0]), run->scratch);
    if (in->type == IG_NETWORK_F32) {
        for (size_t i = 0; i < mean->count; i++)
            ((float *)to)[i] = ((float *)run->scratch)[i] / (float)mean->cells;
        return;
    }
    int32_t zeros = in->quantization.zero_points[0] * (int32_t)mean->cells;
    for (size_t i = 0; i < mean->count; i++) {
        int32_t sum = ((int32_t *)run->scratch)[i] - zeros;
        ((int8_t *)to)[i] = nn_clamp(nn_scale(sum, mean->multiplier, run->nn->network->rounding) +
                                         out->quantization.zero_points[0],
                                     INT8_MIN, INT8_MAX);
    }
}

/* The division by the cells goes into the multiplier, with as many bits as there are. */
struct nn_multiplier nn_mean_multiplier(float in, float out, size_t cells)
{
    struct nn_multiplier m = nn_multiplier_of((double)in / (double)out);
    int32_t shift = 63 - __builtin_clzll((unsigned long long)cells);
    if (shift > 32) shift = 32;
    if (shift > 31 + m.shift) shift = 31 + m.shift;
    m.fraction = (int32_t)(((int64_t)m.fraction << shift) / (int64_t)cells);
    m.shift -= shift;
    return m;
}

enum ig_code nn_prepare_mean(struct ig_nn *nn, struct nn_step *step, struct ig_err *err)
{
    const struct ig_network_tensor *in = nn_in(nn, step, 0), *out = nn_out(nn, step);
    struct mean *mean = ig_arena_zalloc(&nn->arena, sizeof *mean);
    if (!mean) return nn_no_memory(err);
    mean->count = ig_network_tensor_count(out);
    mean->cells = ig_network_tensor_count(in) / mean->count;
    if (check_cells(nn, step, mean->cells, err)) return err->code;
    size_t stride = 1;
    for (uint32_t d = in->rank; d-- > 0;) {
        if (step->layer->axes >> d & 1) continue;
        mean->strides[d] = stride;
        stride *= in->dims[d];
    }
    if (in->type == IG_NETWORK_I8)
        mean->multiplier = nn_mean_multiplier(in->quantization.scales[0],
                                              out->quantization.scales[0], mean->cells);
    step->run = run_mean;
    step->state = mean;
    step->scratch_bytes = mean->count * sizeof(float);
    return IG_OK;
}
