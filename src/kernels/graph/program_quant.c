/* SPDX-License-Identifier: Apache-2.0 */
/* QuantizeLinear and DequantizeLinear, per tensor and per axis. Source: ONNX operators: round half
 * to even, then saturate. */
#include "kernels/graph/program_priv.h"

#include <math.h>

struct scales {
    size_t count, inner; /* scales, and elements that share one before the next */
};

/* Elements that share a scale. */
struct span {
    size_t count;
    double offset;
    float scale;
};

static bool plan_scales(struct prog_plan *plan, struct scales *scales, enum ig_tensor_type zeros)
{
    const struct prog_tensor *in = prog_in(plan, 0);
    const struct prog_tensor *scale = prog_need(plan, 1, IG_TENSOR_F32);
    const struct prog_tensor *zero = prog_in(plan, 2);
    uint32_t axis;
    if (!scale) return false;
    if (ig_graph_i64(plan->step->node, "block_size", 0) != 0)
        return prog_refuse(plan, "blocks are not supported");
    if (zero && (zero->type != zeros || zero->count != scale->count))
        return prog_refuse(plan, "zero points do not fit the scales");
    *scales = (struct scales){scale->count, 1};
    if (scale->rank == 0 || scale->count == 1) {
        scales->count = 1;
        scales->inner = in->count;
        return true;
    }
    if (!prog_axis(plan, ig_graph_i64(plan->step->node, "axis", 1), in->rank, &axis)) return false;
    if (scale->rank != 1 || scale->count != (size_t)in->dims[axis])
        return prog_refuse(plan, "%zu scales for an axis of %lld", scale->count,
                           (long long)in->dims[axis]);
    for (uint32_t i = axis + 1; i < in->rank; i++) scales->inner *= (size_t)in->dims[i];
    return true;
}

static bool are_constant(const struct prog_plan *plan)
{
    const struct prog_tensor *scale = prog_in(plan, 1), *zero = prog_in(plan, 2);
    return scale && scale->constant && (!zero || zero->constant);
}

static void quantize(const float *in, uint8_t *out, size_t count, float scale, float offset,
                     bool is_signed)
{
    float low = is_signed ? -128 : 0;
    float high = is_signed ? 127 : 255;
    for (size_t i = 0; i < count; i++) {
        float value = rintf(in[i] / scale) + offset;
        value = value > low ? value : low; /* NaN too */
        out[i] = (uint8_t)(int)(value < high ? value : high);
    }
}

static void run_quantize(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct scales *scales = step->state;
    const float *in = prog_data(frame, step->in[0]);
    const float *scale = prog_data(frame, step->in[1]);
    const void *zero = prog_optional(frame, step->in, step->in_count, 2);
    uint8_t *out = prog_data(frame, step->out[0]);
    enum ig_tensor_type type = step->out[0]->type;
    for (size_t i = 0, at = 0; i < step->out[0]->count; i += scales->inner) {
        float offset = zero ? (float)ig_tensor_get(zero, type, at) : 0;
        quantize(in + i, out + i, scales->inner, scale[at], offset, type == IG_TENSOR_I8);
        at = at + 1 == scales->count ? 0 : at + 1;
    }
}

bool prog_plan_quantize(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_F32);
    const struct prog_tensor *zero = prog_in(plan, 2);
    struct scales *scales = in ? prog_state(plan, sizeof *scales) : NULL;
    if (!scales) return false;
    int64_t wanted = ig_graph_i64(plan->step->node, "output_dtype", IG_TENSOR_U8);
    enum ig_tensor_type type = zero ? zero->type : (enum ig_tensor_type)wanted;
    if (type != IG_TENSOR_U8 && type != IG_TENSOR_I8)
        return prog_refuse(plan, "to %s; only int8 and uint8 are supported",
                           ig_tensor_type_name(type));
    plan->step->apart = are_constant(plan);
    plan->step->run = run_quantize;
    return plan_scales(plan, scales, type) && prog_shape_like(plan, prog_out(plan, 0), type, in);
}

static void dequantize(const void *in, enum ig_tensor_type type, size_t first, float *out,
                       const struct span *span)
{
    for (size_t i = 0; i < span->count; i++) {
        double value = type == IG_TENSOR_I8 ? (double)((const int8_t *)in)[first + i]
                                            : ig_tensor_get(in, type, first + i);
        out[first + i] = (float)(value - span->offset) * span->scale;
    }
}

static void run_dequantize(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct scales *scales = step->state;
    const void *in = prog_data(frame, step->in[0]);
    const float *scale = prog_data(frame, step->in[1]);
    const void *zero = prog_optional(frame, step->in, step->in_count, 2);
    float *out = prog_data(frame, step->out[0]);
    enum ig_tensor_type type = step->in[0]->type;
    for (size_t i = 0, at = 0; i < step->out[0]->count; i += scales->inner) {
        struct span span = {scales->inner, zero ? ig_tensor_get(zero, type, at) : 0, scale[at]};
        dequantize(in, type, i, out, &span);
        at = at + 1 == scales->count ? 0 : at + 1;
    }
}

bool prog_plan_dequantize(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct scales *scales = in ? prog_state(plan, sizeof *scales) : NULL;
    if (!scales) return false;
    if (in->type != IG_TENSOR_U8 && in->type != IG_TENSOR_I8 && in->type != IG_TENSOR_I32)
        return prog_refuse(plan, "not for %s", ig_tensor_type_name(in->type));
    plan->step->apart = are_constant(plan);
    plan->step->run = run_dequantize;
    return plan_scales(plan, scales, in->type) &&
           prog_shape_like(plan, prog_out(plan, 0), IG_TENSOR_F32, in);
}
