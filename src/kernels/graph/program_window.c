/* SPDX-License-Identifier: Apache-2.0 */
/* Windows and the pooling operators. Source: ONNX operators Conv, MaxPool, AveragePool. */
#include "kernels/graph/program_window.h"

#include <math.h>

enum { SIDE_MAX = 1 << 20 };

static bool read_pairs(struct prog_plan *plan, const char *name, int64_t *out, uint32_t spatial)
{
    size_t count;
    const int64_t *list = ig_graph_i64s(plan->step->node, name, &count);
    if (!list) return true;
    if (count != spatial) return prog_refuse(plan, "%s: %zu numbers", name, count);
    for (size_t i = 0; i < count; i++) {
        if (list[i] < 1 || list[i] > SIDE_MAX)
            return prog_refuse(plan, "%s: %lld is not in 1..%d", name, (long long)list[i],
                               SIDE_MAX);
        out[2 - spatial + i] = list[i];
    }
    return true;
}

static bool read_pads(struct prog_plan *plan, struct prog_window *window, uint32_t spatial)
{
    size_t count;
    const int64_t *pads = ig_graph_i64s(plan->step->node, "pads", &count);
    if (!pads) return true;
    if (count != (size_t)2 * spatial) return prog_refuse(plan, "pads: %zu numbers", count);
    for (uint32_t i = 0; i < spatial; i++) {
        uint32_t side = 2 - spatial + i;
        window->pad[side] = pads[i];
        window->pad_end[side] = pads[spatial + i];
        if (pads[i] < 0 || pads[spatial + i] < 0 || pads[i] > SIDE_MAX ||
            pads[spatial + i] > SIDE_MAX)
            return prog_refuse(plan, "pads are not in 0..%d", SIDE_MAX);
    }
    return true;
}

/* SAME_UPPER and SAME_LOWER: out = ceil(in / stride), what is odd goes to the end or the start. */
static void same_pads(struct prog_window *window, uint32_t side, bool upper)
{
    int64_t reach = (window->kernel[side] - 1) * window->dilation[side] + 1;
    int64_t out = (window->in[side] + window->stride[side] - 1) / window->stride[side];
    int64_t total = (out - 1) * window->stride[side] + reach - window->in[side];
    if (total < 0) total = 0;
    window->pad[side] = upper ? total / 2 : total - total / 2;
    window->pad_end[side] = total - window->pad[side];
}

static bool out_sizes(struct prog_plan *plan, struct prog_window *window)
{
    for (uint32_t side = 0; side < 2; side++) {
        int64_t reach = (window->kernel[side] - 1) * window->dilation[side] + 1;
        int64_t room = window->in[side] + window->pad[side] + window->pad_end[side] - reach;
        int64_t stride = window->stride[side];
        if (room < 0) return prog_refuse(plan, "the kernel is larger than its padded input");
        window->out[side] = (window->ceiling ? room + stride - 1 : room) / stride + 1;
        /* A last window must begin within the input or its leading padding. */
        if (window->ceiling &&
            (window->out[side] - 1) * stride >= window->in[side] + window->pad[side])
            window->out[side]--;
    }
    return true;
}

bool prog_window_plan(struct prog_plan *plan, struct prog_window *window,
                      const struct prog_tensor *in, const int64_t *kernel)
{
    const struct ig_graph_node *node = plan->step->node;
    uint32_t spatial = in->rank - 2;
    struct ig_str auto_pad = ig_graph_string(node, "auto_pad", "NOTSET");
    bool upper = ig_str_is(auto_pad, "SAME_UPPER");
    *window = (struct prog_window){.in = {1, 1},
                                   .kernel = {1, 1},
                                   .stride = {1, 1},
                                   .dilation = {1, 1},
                                   .ceiling = ig_graph_i64(node, "ceil_mode", 0) != 0};
    for (uint32_t i = 0; i < spatial; i++) {
        window->in[2 - spatial + i] = in->dims[2 + i];
        if (kernel) window->kernel[2 - spatial + i] = kernel[i];
    }
    if (!kernel && !read_pairs(plan, "kernel_shape", window->kernel, spatial)) return false;
    if (!read_pairs(plan, "strides", window->stride, spatial) ||
        !read_pairs(plan, "dilations", window->dilation, spatial))
        return false;
    for (uint32_t side = 0; side < 2; side++)
        if (window->kernel[side] < 1 || window->kernel[side] > SIDE_MAX || window->in[side] < 1)
            return prog_refuse(plan, "an empty kernel or input");
    if (upper || ig_str_is(auto_pad, "SAME_LOWER")) {
        same_pads(window, 0, upper);
        same_pads(window, 1, upper);
    } else if (ig_str_is(auto_pad, "NOTSET")) {
        if (!read_pads(plan, window, spatial)) return false;
    } else if (!ig_str_is(auto_pad, "VALID")) {
        return prog_refuse(plan, "auto_pad is unknown");
    }
    return out_sizes(plan, window);
}

bool prog_window_shape(struct prog_plan *plan, const struct prog_window *window,
                       const struct prog_tensor *in, int64_t channels)
{
    int64_t dims[4] = {in->dims[0], channels, window->out[0], window->out[1]};
    if (in->rank == 3) dims[2] = window->out[1];
    return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_F32, dims, in->rank);
}

/* Which outputs of a line see a column of the kernel, first..end-1, and where: in column
 * x stride - ahead. */
struct seen {
    int64_t ahead, first, end;
};

struct pool {
    struct prog_window window;
    size_t planes;
    bool maximum, count_pads;
    const struct seen *seen; /* by column of the kernel, of a maximum */
};

/* Which of a window's places along one side lie within the input: first..end-1; and how many lie
 * before the end of the padded input. */
struct places {
    int64_t start; /* of the window, in the input's coordinates */
    int64_t first, end, padded;
};

static struct places places_within(const struct prog_window *window, uint32_t side, int64_t start)
{
    int64_t kernel = window->kernel[side], step = window->dilation[side];
    int64_t room = window->in[side] - start, padded_room = room + window->pad_end[side];
    if (start >= 0 && (kernel - 1) * step < room) return (struct places){start, 0, kernel, kernel};
    struct places places = {.start = start,
                            .first = start < 0 ? (step - 1 - start) / step : 0,
                            .end = room > 0 ? (room + step - 1) / step : 0,
                            .padded = padded_room > 0 ? (padded_room + step - 1) / step : 0};
    if (places.end > kernel) places.end = kernel;
    if (places.padded > kernel) places.padded = kernel;
    if (places.first > places.end) places.first = places.end;
    return places;
}

static bool has_nan(const float *values, int64_t count)
{
    int found = 0;
    for (int64_t i = 0; i < count; i++) found |= isnan(values[i]) ? 1 : 0;
    return found != 0;
}

static struct seen outputs_at(const struct prog_window *window, int64_t place)
{
    const int64_t stride = window->stride[1];
    struct seen seen = {.ahead = window->pad[1] - place * window->dilation[1]};
    int64_t room = window->in[1] + seen.ahead;
    seen.first = seen.ahead > 0 ? (seen.ahead + stride - 1) / stride : 0;
    seen.end = room > 0 ? (room + stride - 1) / stride : 0;
    if (seen.end > window->out[1]) seen.end = window->out[1];
    return seen;
}

/* Of a line without a NaN, by a stride that the compiler may know. */
static inline __attribute__((always_inline)) void
raise_by(const struct seen *seen, const float *line, const int64_t stride, float *out)
{
    for (int64_t x = seen->first; x < seen->end; x++) {
        float value = line[x * stride - seen->ahead], best = out[x];
        out[x] = value > best ? value : best;
    }
}

static void raise_line(const struct pool *pool, const float *line, float *out)
{
    const struct prog_window *window = &pool->window;
    for (int64_t x = 0; x < window->out[1]; x++) out[x] = -INFINITY;
    for (int64_t place = 0; place < window->kernel[1]; place++)
        if (window->stride[1] == 1)
            raise_by(&pool->seen[place], line, 1, out);
        else if (window->stride[1] == 2)
            raise_by(&pool->seen[place], line, 2, out);
        else
            raise_by(&pool->seen[place], line, window->stride[1], out);
}

/* The greatest of each column over the window's rows, then over its columns. */
static void greatest(const struct pool *pool, const float *plane, float *columns, float *out)
{
    const struct prog_window *window = &pool->window;
    const int64_t width = window->in[1];
    for (int64_t y = 0; y < window->out[0]; y++, out += window->out[1]) {
        struct places rows = places_within(window, 0, y * window->stride[0] - window->pad[0]);
        for (int64_t x = 0; x < width; x++) columns[x] = -INFINITY;
        for (int64_t i = rows.first; i < rows.end; i++) {
            const float *line = plane + (rows.start + i * window->dilation[0]) * width;
            for (int64_t x = 0; x < width; x++)
                columns[x] = line[x] > columns[x] ? line[x] : columns[x];
        }
        raise_line(pool, columns, out);
    }
}

/* A line with a NaN: a window's last one is its greatest. */
static void raise_to_nan(const struct pool *pool, const float *line, float *out)
{
    for (int64_t place = 0; place < pool->window.kernel[1]; place++) {
        const struct seen *seen = &pool->seen[place];
        for (int64_t x = seen->first; x < seen->end; x++) {
            float value = line[x * pool->window.stride[1] - seen->ahead];
            if (value > out[x] || isnan(value)) out[x] = value;
        }
    }
}

static void greatest_or_nan(const struct pool *pool, const float *plane, float *out)
{
    const struct prog_window *window = &pool->window;
    for (int64_t y = 0; y < window->out[0]; y++, out += window->out[1]) {
        struct places rows = places_within(window, 0, y * window->stride[0] - window->pad[0]);
        for (int64_t x = 0; x < window->out[1]; x++) out[x] = -INFINITY;
        for (int64_t i = rows.first; i < rows.end; i++)
            raise_to_nan(pool, plane + (rows.start + i * window->dilation[0]) * window->in[1], out);
    }
}

static double sum_of(const struct prog_window *window, const float *plane, struct places rows,
                     struct places columns)
{
    const int64_t line = window->in[1], down = window->dilation[0], right = window->dilation[1];
    double sum = 0;
    for (int64_t y = rows.first; y < rows.end; y++)
        for (int64_t x = columns.first; x < columns.end; x++)
            sum += (double)plane[(rows.start + y * down) * line + columns.start + x * right];
    return sum;
}

/* One window's average: over all places within the padded input, or within the input alone. */
static float average_at(const struct pool *pool, const float *plane, int64_t top, int64_t left)
{
    const struct prog_window *window = &pool->window;
    struct places rows = places_within(window, 0, top);
    struct places columns = places_within(window, 1, left);
    int64_t count = pool->count_pads ? rows.padded * columns.padded
                                     : (rows.end - rows.first) * (columns.end - columns.first);
    return (float)(sum_of(window, plane, rows, columns) / (double)(count > 0 ? count : 1));
}

static void averages(const struct pool *pool, const float *plane, float *out)
{
    const struct prog_window *window = &pool->window;
    for (int64_t y = 0; y < window->out[0]; y++)
        for (int64_t x = 0; x < window->out[1]; x++)
            *out++ = average_at(pool, plane, y * window->stride[0] - window->pad[0],
                                x * window->stride[1] - window->pad[1]);
}

static void run_pool(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct pool *pool = step->state;
    const struct prog_window *window = &pool->window;
    const float *plane = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    for (size_t p = 0; p < pool->planes; p++) {
        if (pool->maximum && has_nan(plane, window->in[0] * window->in[1]))
            greatest_or_nan(pool, plane, out);
        else if (pool->maximum)
            greatest(pool, plane, frame->scratch, out);
        else
            averages(pool, plane, out);
        plane += window->in[0] * window->in[1];
        out += window->out[0] * window->out[1];
    }
}

static bool plan_maximum(struct prog_plan *plan, struct pool *pool)
{
    struct seen *seen = ig_arena_array(plan->arena, (size_t)pool->window.kernel[1], sizeof *seen);
    if (!seen) return prog_no_memory(plan);
    for (int64_t i = 0; i < pool->window.kernel[1]; i++) seen[i] = outputs_at(&pool->window, i);
    pool->seen = seen;
    plan->step->scratch_bytes = (size_t)pool->window.in[1] * sizeof(float);
    return true;
}

bool prog_plan_pool(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_F32);
    struct pool *pool = in ? prog_state(plan, sizeof *pool) : NULL;
    bool global = prog_is(plan, "GlobalAveragePool") || prog_is(plan, "GlobalMaxPool");
    if (!pool) return false;
    if (in->rank != 3 && in->rank != 4)
        return prog_refuse(plan, "one or two spatial dimensions are supported, not rank %u",
                           in->rank);
    if (prog_out(plan, 1)) return prog_refuse(plan, "its second output is not given here");
    if (!prog_window_plan(plan, &pool->window, in, global ? in->dims + 2 : NULL)) return false;
    pool->planes = (size_t)(in->dims[0] * in->dims[1]);
    pool->maximum = prog_is(plan, "MaxPool") || prog_is(plan, "GlobalMaxPool");
    pool->count_pads = ig_graph_i64(plan->step->node, "count_include_pad", 0) != 0;
    plan->step->apart = true;
    plan->step->run = run_pool;
    return prog_window_shape(plan, &pool->window, in, in->dims[1]) &&
           (!pool->maximum || plan_maximum(plan, pool));
}
