/* SPDX-License-Identifier: Apache-2.0 */
/* Operators over an axis: Softmax, LogSoftmax, ArgMax, ArgMin, Reduce*, and BatchNormalization.
 * Sums run in double in index order. Source: ONNX operators. */
#include "kernels/graph/program_priv.h"

#include <math.h>
#include <string.h>

/* The tensor as outer x size x inner around one axis. */
struct along {
    size_t outer, size, inner;
    bool flag; /* LogSoftmax; ArgMin */
    bool last; /* select_last_index */
};

static void split(struct along *along, const struct prog_tensor *in, uint32_t axis)
{
    along->outer = along->inner = 1;
    along->size = (size_t)in->dims[axis];
    for (uint32_t i = 0; i < axis; i++) along->outer *= (size_t)in->dims[i];
    for (uint32_t i = axis + 1; i < in->rank; i++) along->inner *= (size_t)in->dims[i];
}

static void softmax(const float *in, float *out, const struct along *along)
{
    size_t step = along->inner;
    float greatest = in[0];
    double sum = 0;
    for (size_t i = 1; i < along->size; i++)
        if (in[i * step] > greatest) greatest = in[i * step];
    for (size_t i = 0; i < along->size; i++) {
        out[i * step] = expf(in[i * step] - greatest);
        sum += (double)out[i * step];
    }
    double log_sum = log(sum);
    for (size_t i = 0; i < along->size; i++)
        out[i * step] = along->flag ? (float)((double)(in[i * step] - greatest) - log_sum)
                                    : (float)((double)out[i * step] / sum);
}

static void run_softmax(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct along *along = step->state;
    const float *in = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    if (step->out[0]->count == 0) return;
    for (size_t o = 0; o < along->outer; o++)
        for (size_t i = 0; i < along->inner; i++) {
            size_t at = o * along->size * along->inner + i;
            softmax(in + at, out + at, along);
        }
}

bool prog_plan_softmax(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_F32);
    struct along *along = in ? prog_state(plan, sizeof *along) : NULL;
    bool flat = plan->opset < 13; /* all dimensions from the axis on are one */
    uint32_t axis;
    if (!along ||
        !prog_axis(plan, ig_graph_i64(plan->step->node, "axis", flat ? 1 : -1), in->rank, &axis))
        return false;
    split(along, in, axis);
    if (flat) {
        along->size *= along->inner;
        along->inner = 1;
    }
    along->flag = prog_is(plan, "LogSoftmax");
    plan->step->apart = axis > 0;
    plan->step->run = run_softmax;
    return prog_shape_like(plan, prog_out(plan, 0), IG_TENSOR_F32, in);
}

static void run_argmax(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct along *along = step->state;
    const void *in = prog_data(frame, step->in[0]);
    int64_t *out = prog_data(frame, step->out[0]);
    enum ig_tensor_type type = step->in[0]->type;
    for (size_t o = 0; o < along->outer; o++)
        for (size_t i = 0; i < along->inner; i++) {
            size_t at = o * along->size * along->inner + i;
            size_t best = 0;
            double extreme = ig_tensor_get(in, type, at);
            for (size_t k = 1; k < along->size; k++) {
                double value = ig_tensor_get(in, type, at + k * along->inner);
                bool better = along->flag ? value < extreme : value > extreme;
                if (!better && !(along->last && value == extreme)) continue;
                best = k;
                extreme = value;
            }
            *out++ = (int64_t)best;
        }
}

bool prog_plan_argmax(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct along *along = in ? prog_state(plan, sizeof *along) : NULL;
    const struct ig_graph_node *node = plan->step->node;
    uint32_t axis;
    if (!along || !prog_axis(plan, ig_graph_i64(node, "axis", 0), in->rank, &axis)) return false;
    if (!prog_numeric(in->type) || in->dims[axis] == 0)
        return prog_refuse(plan, "an empty axis or text");
    split(along, in, axis);
    along->flag = prog_is(plan, "ArgMin");
    along->last = ig_graph_i64(node, "select_last_index", 0) != 0;
    int64_t dims[IG_GRAPH_RANK_MAX];
    uint32_t rank = 0;
    for (uint32_t i = 0; i < in->rank; i++)
        if (i != axis)
            dims[rank++] = in->dims[i];
        else if (ig_graph_i64(node, "keepdims", 1))
            dims[rank++] = 1;
    plan->step->apart = axis > 0;
    plan->step->run = run_argmax;
    return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_I64, dims, rank);
}

enum reduction { MEAN, SUM, MAXIMUM, MINIMUM };

struct reduce {
    enum reduction kind;
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t strides[IG_GRAPH_RANK_MAX]; /* of the output; 0 along reduced dimensions */
    size_t terms;
};

static double combine(enum reduction kind, double a, double b)
{
    if (kind == MAXIMUM) return isnan(a) || a > b ? a : b;
    if (kind == MINIMUM) return isnan(a) || a < b ? a : b;
    return a + b;
}

/* Walks the input once; the accumulators are the step's scratch. */
static void run_reduce(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct reduce *reduce = step->state;
    const void *in = prog_data(frame, step->in[0]);
    double *sums = frame->scratch;
    int64_t at[IG_GRAPH_RANK_MAX] = {0};
    size_t to = 0;
    double first = 0;
    if (reduce->kind == MAXIMUM) first = -INFINITY;
    if (reduce->kind == MINIMUM) first = INFINITY;
    for (size_t i = 0; i < step->out[0]->count; i++) sums[i] = first;
    for (size_t i = 0; i < step->in[0]->count; i++) {
        sums[to] = combine(reduce->kind, sums[to], ig_tensor_get(in, step->in[0]->type, i));
        for (uint32_t d = reduce->rank; d-- > 0;) {
            to += reduce->strides[d];
            if (++at[d] < reduce->dims[d]) break;
            to -= reduce->strides[d] * (size_t)at[d];
            at[d] = 0;
        }
    }
    for (size_t i = 0; i < step->out[0]->count; i++) {
        double value = reduce->kind == MEAN ? sums[i] / (double)reduce->terms : sums[i];
        if (step->out[0]->type == IG_TENSOR_F32)
            ((float *)prog_data(frame, step->out[0]))[i] = (float)value;
        else
            ((double *)prog_data(frame, step->out[0]))[i] = value;
    }
}

static bool reduced_axes(struct prog_plan *plan, const struct prog_tensor *in, bool *marks,
                         bool *nothing)
{
    const int64_t *axes;
    size_t count;
    if (!prog_integers(plan, 1, "axes", &axes, &count)) return false;
    *nothing = count == 0 && ig_graph_i64(plan->step->node, "noop_with_empty_axes", 0) != 0;
    for (uint32_t i = 0; i < in->rank; i++) marks[i] = count == 0 && !*nothing;
    for (size_t i = 0; i < count; i++) {
        uint32_t axis;
        if (!prog_axis(plan, axes[i], in->rank, &axis)) return false;
        marks[axis] = true;
    }
    return true;
}

bool prog_plan_reduce(struct prog_plan *plan)
{
    static const char *const names[] = {"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"};
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct reduce *reduce = in ? prog_state(plan, sizeof *reduce) : NULL;
    bool marks[IG_GRAPH_RANK_MAX];
    bool nothing;
    if (!reduce || !reduced_axes(plan, in, marks, &nothing)) return false;
    if (in->type != IG_TENSOR_F32 && in->type != IG_TENSOR_F64)
        return prog_refuse(plan, "not for %s", ig_tensor_type_name(in->type));
    while (!prog_is(plan, names[reduce->kind])) reduce->kind++;
    bool keep = ig_graph_i64(plan->step->node, "keepdims", 1) != 0;
    int64_t dims[IG_GRAPH_RANK_MAX];
    uint32_t rank = 0;
    size_t stride = 1;
    reduce->rank = in->rank;
    reduce->terms = 1;
    for (uint32_t i = in->rank; i-- > 0;) {
        reduce->dims[i] = in->dims[i];
        reduce->strides[i] = marks[i] ? 0 : stride;
        if (marks[i])
            reduce->terms *= (size_t)in->dims[i];
        else
            stride *= (size_t)in->dims[i];
    }
    for (uint32_t i = 0; i < in->rank; i++)
        if (!marks[i] || keep) dims[rank++] = marks[i] ? 1 : in->dims[i];
    plan->step->apart = in->rank > 0 && !marks[0];
    plan->step->run = run_reduce;
    if (!prog_shape(plan, prog_out(plan, 0), in->type, dims, rank)) return false;
    return ig_mul(&plan->step->scratch_bytes, stride + 1, sizeof(double)) || prog_no_memory(plan);
}

struct norm {
    size_t outer, channels, inner;
    const double *scale, *shift; /* y = x * scale + shift */
};

static void run_norm(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct norm *norm = step->state;
    const float *in = prog_data(frame, step->in[0]);
    float *out = prog_data(frame, step->out[0]);
    for (size_t o = 0; o < norm->outer; o++)
        for (size_t c = 0; c < norm->channels; c++)
            for (size_t i = 0; i < norm->inner; i++)
                *out++ = (float)((double)*in++ * norm->scale[c] + norm->shift[c]);
}

bool prog_plan_batch_norm(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_F32);
    struct norm *norm = in ? prog_state(plan, sizeof *norm) : NULL;
    if (!norm) return false;
    if (in->rank < 1) return prog_refuse(plan, "a scalar");
    size_t channels = in->rank > 1 ? (size_t)in->dims[1] : 1;
    for (uint32_t i = 1; i < 5; i++) {
        const struct prog_tensor *part = prog_need(plan, i, IG_TENSOR_F32);
        if (!part) return false;
        if (!part->constant || part->count != channels)
            return prog_refuse(plan, "input %u is no constant of %zu channels", i, channels);
    }
    if (ig_graph_i64(plan->step->node, "training_mode", 0) != 0 || prog_out(plan, 1))
        return prog_refuse(plan, "training mode");
    double *scale = ig_arena_array(plan->arena, channels + 1, sizeof *scale);
    double *shift = ig_arena_array(plan->arena, channels + 1, sizeof *shift);
    if (!scale || !shift) return prog_no_memory(plan);
    const float *parts[5] = {NULL};
    for (uint32_t i = 1; i < 5; i++) parts[i] = prog_in(plan, i)->constant;
    double epsilon = (double)ig_graph_f32(plan->step->node, "epsilon", 1e-5F);
    for (size_t c = 0; c < channels; c++) {
        scale[c] = (double)parts[1][c] / sqrt((double)parts[4][c] + epsilon);
        shift[c] = (double)parts[2][c] - (double)parts[3][c] * scale[c];
    }
    *norm = (struct norm){.channels = channels, .scale = scale, .shift = shift, .inner = 1};
    for (uint32_t i = 2; i < in->rank; i++) norm->inner *= (size_t)in->dims[i];
    norm->outer = (size_t)in->dims[0];
    plan->step->apart = true;
    plan->step->run = run_norm;
    return prog_shape_like(plan, prog_out(plan, 0), IG_TENSOR_F32, in);
}
