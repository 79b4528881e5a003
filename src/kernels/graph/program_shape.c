/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that move elements and change shapes: copies, Transpose, Concat, Gather, Shape,
 * Constant. Source: ONNX operators. */
#include "kernels/graph/program_priv.h"

#include <string.h>

static size_t bytes_of(const struct prog_tensor *tensor)
{
    return tensor->count * ig_tensor_type_bytes(tensor->type);
}

static void run_copy(const struct prog_step *step, const struct prog_frame *frame)
{
    size_t bytes = bytes_of(step->out[0]);
    if (bytes) memcpy(prog_data(frame, step->out[0]), prog_data(frame, step->in[0]), bytes);
}

static bool plan_copy(struct prog_plan *plan, const int64_t *dims, uint32_t rank)
{
    const struct prog_tensor *in = prog_in(plan, 0);
    struct prog_tensor *out = prog_out(plan, 0);
    plan->step->run = run_copy;
    if (!out) return prog_refuse(plan, "its output is left out");
    plan->step->apart = true;
    if (!prog_shape(plan, out, in->type, dims, rank)) return false;
    return out->count == in->count ||
           prog_refuse(plan, "%zu elements do not fill %zu places", in->count, out->count);
}

/* Identity, Dropout in inference, ZipMap (its maps are the scores themselves, in label order). */
bool prog_plan_copy(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    const struct prog_tensor *training = prog_in(plan, 2);
    if (!in) return false;
    if (training &&
        (!training->constant || ig_tensor_get(training->constant, training->type, 0) != 0))
        return prog_refuse(plan, "training mode");
    return plan_copy(plan, in->dims, in->rank);
}

bool prog_plan_reshape(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    const int64_t *shape;
    size_t rank;
    if (!in || !prog_need(plan, 1, IG_TENSOR_I64) || !prog_integers(plan, 1, NULL, &shape, &rank))
        return false;
    bool zeros = ig_graph_i64(plan->step->node, "allowzero", 0) != 0;
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t known = 1;
    size_t open = rank;
    if (rank > IG_GRAPH_RANK_MAX) return prog_refuse(plan, "%zu dimensions", rank);
    for (size_t i = 0; i < rank; i++) {
        dims[i] = shape[i];
        if (dims[i] == 0 && !zeros) {
            if (i >= in->rank) return prog_refuse(plan, "dimension %zu of the input", i);
            dims[i] = in->dims[i];
        }
        if (dims[i] == -1 && open == rank)
            open = i;
        else if (dims[i] < 0 || !ig_mul(&known, known, (size_t)dims[i]))
            return prog_refuse(plan, "dimension %zu is %lld", i, (long long)shape[i]);
    }
    if (open < rank) {
        if (known == 0) return prog_refuse(plan, "-1 beside a dimension of 0");
        dims[open] = (int64_t)(in->count / known);
    }
    return plan_copy(plan, dims, (uint32_t)rank);
}

bool prog_plan_flatten(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    if (!in) return false;
    int64_t axis = ig_graph_i64(plan->step->node, "axis", 1);
    if (axis < 0) axis += in->rank;
    if (axis < 0 || axis > (int64_t)in->rank) return prog_refuse(plan, "axis is out of range");
    int64_t dims[2] = {1, 1};
    for (uint32_t i = 0; i < in->rank; i++) dims[i >= axis] *= in->dims[i];
    return plan_copy(plan, dims, 2);
}

/* Marks the axes; `rank` is that which they count in. */
static bool mark_axes(struct prog_plan *plan, uint32_t rank, bool *marks, size_t *count)
{
    const int64_t *axes;
    if (!prog_integers(plan, 1, "axes", &axes, count)) return false;
    if (rank + (prog_is(plan, "Unsqueeze") ? *count : 0) > IG_GRAPH_RANK_MAX)
        return prog_refuse(plan, "more than %d dimensions", IG_GRAPH_RANK_MAX);
    uint32_t within = rank + (prog_is(plan, "Unsqueeze") ? (uint32_t)*count : 0);
    for (size_t i = 0; i < *count; i++) {
        uint32_t axis;
        if (!prog_axis(plan, axes[i], within, &axis)) return false;
        if (marks[axis]) return prog_refuse(plan, "an axis twice");
        marks[axis] = true;
    }
    return true;
}

bool prog_plan_squeeze(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    bool marks[IG_GRAPH_RANK_MAX] = {false};
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t count;
    uint32_t rank = 0;
    if (!in || !mark_axes(plan, in->rank, marks, &count)) return false;
    if (prog_is(plan, "Unsqueeze")) {
        uint32_t from = 0;
        for (uint32_t i = 0; i < in->rank + count; i++)
            dims[rank++] = marks[i] ? 1 : in->dims[from++];
        return plan_copy(plan, dims, rank);
    }
    for (uint32_t i = 0; i < in->rank; i++) {
        if (marks[i] && in->dims[i] != 1) return prog_refuse(plan, "axis %u is not of size 1", i);
        if (!(marks[i] || (count == 0 && in->dims[i] == 1))) dims[rank++] = in->dims[i];
    }
    return plan_copy(plan, dims, rank);
}

struct transpose {
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t strides[IG_GRAPH_RANK_MAX]; /* of the input, in the output's order */
    size_t element_bytes;
};

static void run_transpose(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct transpose *transpose = step->state;
    const char *in = prog_data(frame, step->in[0]);
    char *out = prog_data(frame, step->out[0]);
    int64_t at[IG_GRAPH_RANK_MAX] = {0};
    size_t offset = 0;
    for (size_t i = 0; i < step->out[0]->count; i++, out += transpose->element_bytes) {
        memcpy(out, in + offset * transpose->element_bytes, transpose->element_bytes);
        for (uint32_t d = transpose->rank; d-- > 0;) {
            offset += transpose->strides[d];
            if (++at[d] < transpose->dims[d]) break;
            offset -= transpose->strides[d] * (size_t)at[d];
            at[d] = 0;
        }
    }
}

bool prog_plan_transpose(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct transpose *transpose = in ? prog_state(plan, sizeof *transpose) : NULL;
    size_t count;
    if (!transpose) return false;
    const int64_t *order = ig_graph_i64s(plan->step->node, "perm", &count);
    bool seen[IG_GRAPH_RANK_MAX] = {false};
    size_t strides[IG_GRAPH_RANK_MAX];
    size_t stride = 1;
    if (order && count != in->rank) return prog_refuse(plan, "perm has %zu numbers", count);
    for (uint32_t i = in->rank; i-- > 0; stride *= (size_t)in->dims[i]) strides[i] = stride;
    for (uint32_t i = 0; i < in->rank; i++) {
        int64_t from = order ? order[i] : (int64_t)(in->rank - 1 - i);
        if (from < 0 || from >= (int64_t)in->rank || seen[from])
            return prog_refuse(plan, "perm is no permutation");
        seen[from] = true;
        transpose->dims[i] = in->dims[from];
        transpose->strides[i] = strides[from];
    }
    transpose->rank = in->rank;
    transpose->element_bytes = ig_tensor_type_bytes(in->type);
    plan->step->apart = order && count > 0 && order[0] == 0;
    plan->step->run = run_transpose;
    return prog_shape(plan, prog_out(plan, 0), in->type, transpose->dims, in->rank);
}

struct concat {
    size_t outer;
    size_t *widths; /* bytes of each input a row */
};

static void run_concat(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct concat *concat = step->state;
    char *out = prog_data(frame, step->out[0]);
    for (size_t row = 0; row < concat->outer; row++)
        for (uint32_t i = 0; i < step->in_count; i++) {
            const char *in = prog_data(frame, step->in[i]);
            if (concat->widths[i]) memcpy(out, in + row * concat->widths[i], concat->widths[i]);
            out += concat->widths[i];
        }
}

bool prog_plan_concat(struct prog_plan *plan)
{
    const struct prog_tensor *first = prog_need(plan, 0, IG_TENSOR_NONE);
    struct concat *concat = first ? prog_state(plan, sizeof *concat) : NULL;
    uint32_t axis;
    if (!concat || !prog_axis(plan, ig_graph_i64(plan->step->node, "axis", 0), first->rank, &axis))
        return false;
    int64_t dims[IG_GRAPH_RANK_MAX];
    memcpy(dims, first->dims, sizeof dims);
    dims[axis] = 0;
    concat->widths = ig_arena_array(plan->arena, plan->step->in_count, sizeof *concat->widths);
    if (!concat->widths) return prog_no_memory(plan);
    for (uint32_t i = 0; i < plan->step->in_count; i++) {
        const struct prog_tensor *in = prog_need(plan, i, first->type);
        if (!in) return false;
        if (in->rank != first->rank) return prog_refuse(plan, "input %u is of another rank", i);
        size_t width = ig_tensor_type_bytes(in->type);
        for (uint32_t d = 0; d < in->rank; d++) {
            if (d != axis && in->dims[d] != first->dims[d])
                return prog_refuse(plan, "input %u is of another size", i);
            if (d >= axis) width *= (size_t)in->dims[d];
        }
        dims[axis] += in->dims[axis];
        concat->widths[i] = width;
    }
    concat->outer = 1;
    for (uint32_t d = 0; d < axis; d++) concat->outer *= (size_t)dims[d];
    plan->step->apart = axis > 0;
    plan->step->run = run_concat;
    return prog_shape(plan, prog_out(plan, 0), first->type, dims, first->rank);
}

struct gather {
    size_t outer, inner_bytes;
    int64_t size; /* of the axis */
};

/* An index out of range gives zeros: run cannot fail. */
static void run_gather(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct gather *gather = step->state;
    const char *in = prog_data(frame, step->in[0]);
    const void *indices = prog_data(frame, step->in[1]);
    char *out = prog_data(frame, step->out[0]);
    size_t row_bytes = (size_t)gather->size * gather->inner_bytes;
    bool wide = step->in[1]->type == IG_TENSOR_I64;
    for (size_t row = 0; row < gather->outer; row++)
        for (size_t i = 0; i < step->in[1]->count; i++, out += gather->inner_bytes) {
            int64_t at = wide ? ((const int64_t *)indices)[i] : ((const int32_t *)indices)[i];
            if (at < 0) at += gather->size;
            if (at >= 0 && at < gather->size)
                memcpy(out, in + row * row_bytes + (size_t)at * gather->inner_bytes,
                       gather->inner_bytes);
            else
                memset(out, 0, gather->inner_bytes);
        }
}

bool prog_plan_gather(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    const struct prog_tensor *indices = in ? prog_need(plan, 1, IG_TENSOR_NONE) : NULL;
    struct gather *gather = indices ? prog_state(plan, sizeof *gather) : NULL;
    uint32_t axis;
    if (!gather || !prog_axis(plan, ig_graph_i64(plan->step->node, "axis", 0), in->rank, &axis))
        return false;
    if (indices->type != IG_TENSOR_I64 && indices->type != IG_TENSOR_I32)
        return prog_refuse(plan, "indices are %s", ig_tensor_type_name(indices->type));
    if (in->rank - 1 + indices->rank > IG_GRAPH_RANK_MAX)
        return prog_refuse(plan, "more than %d dimensions", IG_GRAPH_RANK_MAX);
    int64_t dims[IG_GRAPH_RANK_MAX];
    uint32_t rank = 0;
    *gather = (struct gather){1, ig_tensor_type_bytes(in->type), in->dims[axis]};
    for (uint32_t i = 0; i < axis; i++) {
        gather->outer *= (size_t)in->dims[i];
        dims[rank++] = in->dims[i];
    }
    for (uint32_t i = 0; i < indices->rank; i++) dims[rank++] = indices->dims[i];
    for (uint32_t i = axis + 1; i < in->rank; i++) {
        gather->inner_bytes *= (size_t)in->dims[i];
        dims[rank++] = in->dims[i];
    }
    plan->step->apart = indices->constant ? axis > 0 : in->constant != NULL && axis == 0;
    plan->step->run = run_gather;
    return prog_shape(plan, prog_out(plan, 0), in->type, dims, rank);
}

/* The output is known as soon as it is planned: it becomes a constant and no step runs. */
static bool give_constant(struct prog_plan *plan, const void *data)
{
    struct prog_tensor *out = prog_out(plan, 0);
    size_t bytes = out ? bytes_of(out) : 0;
    void *copy = ig_arena_alloc(plan->arena, bytes + 1);
    if (!out || !copy) return prog_no_memory(plan);
    if (bytes) memcpy(copy, data, bytes);
    plan->step->state = copy;
    plan->step->known = true;
    return true;
}

static void run_constant(const struct prog_step *step, const struct prog_frame *frame)
{
    size_t bytes = bytes_of(step->out[0]);
    if (bytes) memcpy(prog_data(frame, step->out[0]), step->state, bytes);
}

bool prog_plan_shape(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    if (!in) return false;
    int64_t first = ig_graph_i64(plan->step->node, "start", 0);
    int64_t after = ig_graph_i64(plan->step->node, "end", in->rank);
    if (first < 0) first += in->rank;
    if (after < 0) after += in->rank;
    if (first < 0) first = 0;
    if (after > (int64_t)in->rank) after = in->rank;
    int64_t count = after > first ? after - first : 0;
    plan->step->run = run_constant;
    return prog_shape(plan, prog_out(plan, 0), IG_TENSOR_I64, &count, 1) &&
           give_constant(plan, in->dims + (count ? first : 0));
}

bool prog_plan_constant(struct prog_plan *plan)
{
    static const struct {
        const char *name;
        enum ig_tensor_type type;
        uint32_t rank;
    } forms[] = {
        {"value_float", IG_TENSOR_F32, 0},     {"value_int", IG_TENSOR_I64, 0},
        {"value_string", IG_TENSOR_STRING, 0}, {"value_floats", IG_TENSOR_F32, 1},
        {"value_ints", IG_TENSOR_I64, 1},      {"value_strings", IG_TENSOR_STRING, 1},
    };
    const struct ig_attribute *value = ig_graph_attribute(plan->step->node, "value");
    plan->step->run = run_constant;
    if (value && value->kind == IG_ATTRIBUTE_TENSOR)
        return prog_shape(plan, prog_out(plan, 0), value->tensor->type, value->tensor->dims,
                          value->tensor->rank) &&
               give_constant(plan, value->tensor->data);
    for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
        const struct ig_attribute *form = ig_graph_attribute(plan->step->node, forms[i].name);
        if (!form || form->kind == IG_ATTRIBUTE_TENSOR) continue;
        int64_t count = (int64_t)form->count;
        const void *data = form->f32;
        return prog_shape(plan, prog_out(plan, 0), forms[i].type, &count, forms[i].rank) &&
               give_constant(plan, data);
    }
    return prog_refuse(plan, "no value that is read here");
}

/* ---- Pad: constant values around ---- */

struct pad {
    size_t element_bytes, first; /* the input's first element, in the output */
    size_t strides[IG_GRAPH_RANK_MAX];
    int64_t dims[IG_GRAPH_RANK_MAX]; /* of the input */
    uint32_t rank;
    double value;
};

static void run_pad(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct pad *pad = step->state;
    const char *in = prog_data(frame, step->in[0]);
    char *out = prog_data(frame, step->out[0]);
    int64_t at[IG_GRAPH_RANK_MAX] = {0};
    size_t offset = pad->first, bytes = pad->element_bytes;
    for (size_t i = 0; i < step->out[0]->count; i++)
        ig_tensor_put(out, step->out[0]->type, i, pad->value);
    for (size_t i = 0; i < step->in[0]->count; i++, in += bytes) {
        memcpy(out + offset * bytes, in, bytes);
        for (uint32_t d = pad->rank; d-- > 0;) {
            offset += pad->strides[d];
            if (++at[d] < pad->dims[d]) break;
            offset -= pad->strides[d] * (size_t)at[d];
            at[d] = 0;
        }
    }
}

static bool pad_value(struct prog_plan *plan, enum ig_tensor_type type, double *value)
{
    const struct prog_tensor *given = prog_in(plan, 2);
    *value = (double)ig_graph_f32(plan->step->node, "value", 0);
    if (!given) return true;
    if (!given->constant || given->count != 1 || given->type != type)
        return prog_refuse(plan, "its value is no constant number of the input's type");
    *value = ig_tensor_get(given->constant, type, 0);
    return true;
}

bool prog_plan_pad(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct pad *pad = in ? prog_state(plan, sizeof *pad) : NULL;
    struct ig_str mode = ig_graph_string(plan->step->node, "mode", "constant");
    int64_t dims[IG_GRAPH_RANK_MAX];
    const int64_t *pads;
    size_t count, stride = 1;
    if (!pad || !prog_integers(plan, 1, "pads", &pads, &count)) return false;
    if (!ig_str_is(mode, "constant") || prog_in(plan, 3))
        return prog_refuse(plan, "mode %.*s, or axes", IG_STR_ARGS(mode));
    if (count != (size_t)2 * in->rank || !prog_numeric(in->type))
        return prog_refuse(plan, "%zu pads of %u dimensions", count, in->rank);
    if (!pad_value(plan, in->type, &pad->value)) return false;
    for (uint32_t d = in->rank; d-- > 0;) {
        int64_t before = pads[d], behind = pads[d + in->rank];
        if (before < 0 || behind < 0 || before > INT32_MAX || behind > INT32_MAX)
            return prog_refuse(plan, "pads %lld and %lld", (long long)before, (long long)behind);
        dims[d] = in->dims[d] + before + behind;
        pad->dims[d] = in->dims[d];
        pad->strides[d] = stride;
        pad->first += (size_t)before * stride;
        stride *= (size_t)dims[d];
    }
    pad->rank = in->rank;
    pad->element_bytes = ig_tensor_type_bytes(in->type);
    plan->step->apart = in->rank > 0 && in->dims[0] == dims[0];
    plan->step->run = run_pad;
    return prog_shape(plan, prog_out(plan, 0), in->type, dims, in->rank);
}
