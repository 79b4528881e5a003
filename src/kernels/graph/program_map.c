/* SPDX-License-Identifier: Apache-2.0 */
/* Operators that work element by element: unary, binary with broadcasting, Where, Clip, Cast.
 * Source: ONNX operators, broadcasting as NumPy. */
#include "kernels/graph/program_priv.h"

#include <math.h>
#include <string.h>

/* A run of elements along the last dimension; strides are 0 or 1. */
struct row {
    const void *a, *b;
    void *out;
    size_t a_stride, b_stride, count;
};

typedef void row_fn(const struct row *row);

#define BINARY(name, type, result, expression)                                                     \
    static void name(const struct row *row)                                                        \
    {                                                                                              \
        const type *left = row->a;                                                                 \
        const type *right = row->b;                                                                \
        result *out = row->out;                                                                    \
        for (size_t i = 0; i < row->count; i++) {                                                  \
            type a = left[i * row->a_stride];                                                      \
            type b = right[i * row->b_stride];                                                     \
            out[i] = (result)(expression);                                                         \
        }                                                                                          \
    }

#define COMPARISONS(suffix, type)                                                                  \
    BINARY(less_##suffix, type, uint8_t, a < b)                                                    \
    BINARY(less_equal_##suffix, type, uint8_t, a <= b)                                             \
    BINARY(greater_##suffix, type, uint8_t, a > b)                                                 \
    BINARY(greater_equal_##suffix, type, uint8_t, a >= b)                                          \
    BINARY(equal_##suffix, type, uint8_t, a == b)

#define FLOATS(suffix, type, power)                                                                \
    BINARY(add_##suffix, type, type, a + b)                                                        \
    BINARY(sub_##suffix, type, type, a - b)                                                        \
    BINARY(mul_##suffix, type, type, a *b)                                                         \
    BINARY(div_##suffix, type, type, a / b)                                                        \
    BINARY(pow_##suffix, type, type, power(a, b))                                                  \
    BINARY(min_##suffix, type, type, isnan(a) || a < b ? a : b)                                    \
    BINARY(max_##suffix, type, type, isnan(a) || a > b ? a : b)                                    \
    BINARY(prelu_##suffix, type, type, a < 0 ? a * b : a)                                          \
    COMPARISONS(suffix, type)

/* Integers wrap; a division by 0 gives 0. */
#define INTEGERS(suffix, type, wide)                                                               \
    BINARY(add_##suffix, type, type, (wide)a + (wide)b)                                            \
    BINARY(sub_##suffix, type, type, (wide)a - (wide)b)                                            \
    BINARY(mul_##suffix, type, type, (wide)a *(wide)b)                                             \
    BINARY(div_##suffix, type, type, b == 0 ? 0 : b == -1 ? (type)(0 - (wide)a) : a / b)           \
    BINARY(min_##suffix, type, type, a < b ? a : b)                                                \
    BINARY(max_##suffix, type, type, a > b ? a : b)                                                \
    COMPARISONS(suffix, type)

FLOATS(f32, float, powf)
FLOATS(f64, double, pow)
INTEGERS(i32, int32_t, uint32_t)
INTEGERS(i64, int64_t, uint64_t)
BINARY(and_bool, uint8_t, uint8_t, a &&b)
BINARY(or_bool, uint8_t, uint8_t, a || b)
BINARY(xor_bool, uint8_t, uint8_t, !a != !b)
BINARY(equal_bool, uint8_t, uint8_t, a == b)

static const struct {
    const char *op;
    bool compares;
    row_fn *f32, *f64, *i32, *i64, *boolean;
} binaries[] = {
    {"Add", false, add_f32, add_f64, add_i32, add_i64, NULL},
    {"Sum", false, add_f32, add_f64, add_i32, add_i64, NULL},
    {"Sub", false, sub_f32, sub_f64, sub_i32, sub_i64, NULL},
    {"Mul", false, mul_f32, mul_f64, mul_i32, mul_i64, NULL},
    {"Div", false, div_f32, div_f64, div_i32, div_i64, NULL},
    {"Pow", false, pow_f32, pow_f64, NULL, NULL, NULL},
    {"Min", false, min_f32, min_f64, min_i32, min_i64, NULL},
    {"Max", false, max_f32, max_f64, max_i32, max_i64, NULL},
    {"PRelu", false, prelu_f32, prelu_f64, NULL, NULL, NULL},
    {"Less", true, less_f32, less_f64, less_i32, less_i64, NULL},
    {"LessOrEqual", true, less_equal_f32, less_equal_f64, less_equal_i32, less_equal_i64, NULL},
    {"Greater", true, greater_f32, greater_f64, greater_i32, greater_i64, NULL},
    {"GreaterOrEqual", true, greater_equal_f32, greater_equal_f64, greater_equal_i32,
     greater_equal_i64, NULL},
    {"Equal", true, equal_f32, equal_f64, equal_i32, equal_i64, equal_bool},
    {"And", true, NULL, NULL, NULL, NULL, and_bool},
    {"Or", true, NULL, NULL, NULL, NULL, or_bool},
    {"Xor", true, NULL, NULL, NULL, NULL, xor_bool},
};

/* Strides of up to three tensors against the output's dimensions. */
struct spread {
    uint32_t rank;
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t strides[3][IG_GRAPH_RANK_MAX]; /* elements; 0 where the tensor is broadcast */
};

struct binary {
    row_fn *fn;
    size_t element_bytes, out_bytes;
    uint32_t terms; /* inputs folded one after another */
    struct spread *spreads;
};

static bool join_dims(int64_t *dims, uint32_t *rank, const struct prog_tensor *tensor)
{
    uint32_t wide = tensor->rank > *rank ? tensor->rank : *rank;
    int64_t joined[IG_GRAPH_RANK_MAX];
    for (uint32_t i = 0; i < wide; i++) {
        int64_t a = i + *rank >= wide ? dims[i + *rank - wide] : 1;
        int64_t b = i + tensor->rank >= wide ? tensor->dims[i + tensor->rank - wide] : 1;
        if (a != b && a != 1 && b != 1) return false;
        joined[i] = a == 1 ? b : a;
    }
    memcpy(dims, joined, wide * sizeof *dims);
    *rank = wide;
    return true;
}

static void spread_strides(const struct spread *spread, size_t *strides, const int64_t *dims,
                           uint32_t rank)
{
    size_t stride = 1;
    for (uint32_t i = spread->rank; i-- > 0;) {
        uint32_t lead = spread->rank - rank;
        int64_t dim = i >= lead ? dims[i - lead] : 1;
        strides[i] = dim == 1 ? 0 : stride;
        stride *= (size_t)dim;
    }
}

/* Advances the odometer over all dimensions but the last. */
static bool advance(const struct spread *spread, int64_t *at, size_t *offsets, size_t tensors)
{
    for (uint32_t i = spread->rank - 1; i-- > 0;) {
        at[i]++;
        for (size_t t = 0; t < tensors; t++) offsets[t] += spread->strides[t][i];
        if (at[i] < spread->dims[i]) return true;
        for (size_t t = 0; t < tensors; t++)
            offsets[t] -= spread->strides[t][i] * (size_t)spread->dims[i];
        at[i] = 0;
    }
    return false;
}

static void run_rows(const struct binary *binary, const struct spread *spread, const void *a,
                     const void *b, void *out)
{
    int64_t at[IG_GRAPH_RANK_MAX] = {0};
    size_t offsets[2] = {0, 0};
    uint32_t last = spread->rank - 1;
    size_t width = (size_t)spread->dims[last];
    char *to = out;
    do {
        struct row row = {(const char *)a + offsets[0] * binary->element_bytes,
                          (const char *)b + offsets[1] * binary->element_bytes,
                          to,
                          spread->strides[0][last],
                          spread->strides[1][last],
                          width};
        binary->fn(&row);
        to += width * binary->out_bytes;
    } while (advance(spread, at, offsets, 2));
}

static void run_binary(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct binary *binary = step->state;
    void *out = prog_data(frame, step->out[0]);
    if (step->out[0]->count == 0) return;
    if (binary->terms == 1) {
        memcpy(out, prog_data(frame, step->in[0]), step->out[0]->count * binary->out_bytes);
        return;
    }
    run_rows(binary, &binary->spreads[1], prog_data(frame, step->in[0]),
             prog_data(frame, step->in[1]), out);
    for (uint32_t i = 2; i < binary->terms; i++)
        run_rows(binary, &binary->spreads[i], out, prog_data(frame, step->in[i]), out);
}

static row_fn *binary_for(const struct prog_plan *plan, enum ig_tensor_type type, bool *compares)
{
    for (size_t i = 0; i < sizeof binaries / sizeof *binaries; i++) {
        if (!prog_is(plan, binaries[i].op)) continue;
        *compares = binaries[i].compares;
        switch (type) {
        case IG_TENSOR_F32:
            return binaries[i].f32;
        case IG_TENSOR_F64:
            return binaries[i].f64;
        case IG_TENSOR_I32:
            return binaries[i].i32;
        case IG_TENSOR_I64:
            return binaries[i].i64;
        case IG_TENSOR_BOOL:
            return binaries[i].boolean;
        default:
            return NULL;
        }
    }
    return NULL;
}

/* The output's dimensions; at least rank 1 so that a last dimension exists. */
static bool join_inputs(struct prog_plan *plan, struct spread *spread)
{
    spread->rank = 0;
    for (uint32_t i = 0; i < plan->step->in_count; i++) {
        const struct prog_tensor *in = prog_need(plan, i, IG_TENSOR_NONE);
        if (!in) return false;
        if (!join_dims(spread->dims, &spread->rank, in))
            return prog_refuse(plan, "its inputs' shapes do not fit each other");
    }
    return true;
}

/* Whether all inputs that are no constants share the output's axes. */
static bool of_one_rank(const struct prog_plan *plan)
{
    const struct prog_tensor *out = prog_out(plan, 0);
    for (uint32_t i = 0; i < plan->step->in_count; i++)
        if (!prog_in(plan, i)->constant && prog_in(plan, i)->rank != out->rank) return false;
    return true;
}

static void widen_scalar(struct spread *spread)
{
    if (spread->rank > 0) return;
    spread->rank = 1;
    spread->dims[0] = 1;
}

bool prog_plan_binary(struct prog_plan *plan)
{
    struct spread all = {0};
    const struct prog_tensor *first = prog_need(plan, 0, IG_TENSOR_NONE);
    if (!first || !join_inputs(plan, &all)) return false;
    bool compares = false;
    row_fn *fn = binary_for(plan, first->type, &compares);
    if (!fn) return prog_refuse(plan, "not for %s", ig_tensor_type_name(first->type));
    bool any_count = prog_is(plan, "Min") || prog_is(plan, "Max") || prog_is(plan, "Sum");
    if (!any_count && plan->step->in_count != 2)
        return prog_refuse(plan, "%u inputs, expected 2", plan->step->in_count);
    for (uint32_t i = 1; i < plan->step->in_count; i++)
        if (!prog_need(plan, i, first->type)) return false;
    enum ig_tensor_type type = compares ? IG_TENSOR_BOOL : first->type;
    if (!prog_shape(plan, prog_out(plan, 0), type, all.dims, all.rank)) return false;
    widen_scalar(&all);
    struct binary *binary = prog_state(plan, sizeof *binary);
    if (!binary) return false;
    uint32_t terms = plan->step->in_count;
    struct spread *spreads = ig_arena_array(plan->arena, terms, sizeof *spreads);
    if (!spreads) return prog_no_memory(plan);
    for (uint32_t i = 0; i < terms; i++) {
        const struct prog_tensor *in = prog_in(plan, i);
        spreads[i] = all;
        if (i < 2)
            spread_strides(&all, spreads[i].strides[0], first->dims, first->rank);
        else
            spread_strides(&all, spreads[i].strides[0], all.dims, all.rank);
        spread_strides(&all, spreads[i].strides[1], in->dims, in->rank);
    }
    *binary = (struct binary){fn, ig_tensor_type_bytes(first->type), ig_tensor_type_bytes(type),
                              terms, spreads};
    plan->step->apart = of_one_rank(plan);
    plan->step->run = run_binary;
    return true;
}

struct where {
    struct spread spread;
    size_t element_bytes;
};

static void run_where(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct where *where = step->state;
    const uint8_t *condition = prog_data(frame, step->in[0]);
    const char *sides[2] = {prog_data(frame, step->in[1]), prog_data(frame, step->in[2])};
    char *out = prog_data(frame, step->out[0]);
    int64_t at[IG_GRAPH_RANK_MAX] = {0};
    size_t offsets[3] = {0, 0, 0};
    uint32_t last = where->spread.rank - 1;
    size_t bytes = where->element_bytes;
    if (step->out[0]->count == 0) return;
    do {
        for (size_t i = 0; i < (size_t)where->spread.dims[last]; i++, out += bytes) {
            size_t side = condition[offsets[0] + i * where->spread.strides[0][last]] ? 1 : 2;
            size_t from = offsets[side] + i * where->spread.strides[side][last];
            memcpy(out, sides[side - 1] + from * bytes, bytes);
        }
    } while (advance(&where->spread, at, offsets, 3));
}

bool prog_plan_where(struct prog_plan *plan)
{
    struct where *where = prog_state(plan, sizeof *where);
    if (!where || !prog_need(plan, 0, IG_TENSOR_BOOL)) return false;
    const struct prog_tensor *yes = prog_need(plan, 1, IG_TENSOR_NONE);
    if (!yes || !prog_need(plan, 2, yes->type) || !join_inputs(plan, &where->spread)) return false;
    if (!prog_shape(plan, prog_out(plan, 0), yes->type, where->spread.dims, where->spread.rank))
        return false;
    widen_scalar(&where->spread);
    for (uint32_t i = 0; i < 3; i++) {
        const struct prog_tensor *in = prog_in(plan, i);
        spread_strides(&where->spread, where->spread.strides[i], in->dims, in->rank);
    }
    where->element_bytes = ig_tensor_type_bytes(yes->type);
    plan->step->apart = of_one_rank(plan);
    plan->step->run = run_where;
    return true;
}

struct unary {
    float alpha, beta;
};

#define UNARY(name, type, expression)                                                              \
    static void name(const struct prog_step *step, const struct prog_frame *frame)                 \
    {                                                                                              \
        const struct unary *state = step->state;                                                   \
        const type *in = prog_data(frame, step->in[0]);                                            \
        type *out = prog_data(frame, step->out[0]);                                                \
        (void)state;                                                                               \
        const size_t count = step->out[0]->count;                                                  \
        for (size_t i = 0; i < count; i++) {                                                       \
            type x = in[i];                                                                        \
            out[i] = (type)(expression);                                                           \
        }                                                                                          \
    }

#define UNARIES(suffix, type, f)                                                                   \
    UNARY(relu_##suffix, type, x <= 0 ? 0 : x)                                                     \
    UNARY(sigmoid_##suffix, type, x < 0 ? 1 - 1 / (1 + exp##f(x)) : 1 / (1 + exp##f(-x)))          \
    UNARY(tanh_##suffix, type, tanh##f(x))                                                         \
    UNARY(leaky_##suffix, type, x < 0 ? (type)state->alpha * x : x)                                \
    UNARY(elu_##suffix, type, x < 0 ? (type)state->alpha * expm1##f(x) : x)                        \
    UNARY(hard_##suffix, type, fmax##f(0, fmin##f(1, (type)state->alpha *x + (type)state->beta)))  \
    UNARY(sqrt_##suffix, type, sqrt##f(x))                                                         \
    UNARY(exp_##suffix, type, exp##f(x))                                                           \
    UNARY(log_##suffix, type, log##f(x))                                                           \
    UNARY(abs_##suffix, type, fabs##f(x))                                                          \
    UNARY(neg_##suffix, type, -x)                                                                  \
    UNARY(reciprocal_##suffix, type, 1 / x)                                                        \
    UNARY(floor_##suffix, type, floor##f(x))                                                       \
    UNARY(ceil_##suffix, type, ceil##f(x))                                                         \
    UNARY(erf_##suffix, type, erf##f(x))                                                           \
    UNARY(softplus_##suffix, type, x > 0 ? x + log1p##f(exp##f(-x)) : log1p##f(exp##f(x)))         \
    UNARY(sign_##suffix, type, isnan(x) ? x : (type)((x > 0) - (x < 0)))

UNARIES(f32, float, f)
UNARIES(f64, double, )
UNARY(abs_i64, int64_t, x < 0 ? 0 - (uint64_t)x : (uint64_t)x)
UNARY(neg_i64, int64_t, 0 - (uint64_t)x)
UNARY(not_bool, uint8_t, !x)

static const struct {
    const char *op;
    float alpha, beta;
    void (*f32)(const struct prog_step *step, const struct prog_frame *frame);
    void (*f64)(const struct prog_step *step, const struct prog_frame *frame);
    void (*other)(const struct prog_step *step, const struct prog_frame *frame);
} unaries[] = {
    {"Relu", 0, 0, relu_f32, relu_f64, NULL},
    {"Sigmoid", 0, 0, sigmoid_f32, sigmoid_f64, NULL},
    {"Tanh", 0, 0, tanh_f32, tanh_f64, NULL},
    {"LeakyRelu", 0.01F, 0, leaky_f32, leaky_f64, NULL},
    {"Elu", 1, 0, elu_f32, elu_f64, NULL},
    {"HardSigmoid", 0.2F, 0.5F, hard_f32, hard_f64, NULL},
    {"Sqrt", 0, 0, sqrt_f32, sqrt_f64, NULL},
    {"Exp", 0, 0, exp_f32, exp_f64, NULL},
    {"Log", 0, 0, log_f32, log_f64, NULL},
    {"Abs", 0, 0, abs_f32, abs_f64, abs_i64},
    {"Neg", 0, 0, neg_f32, neg_f64, neg_i64},
    {"Reciprocal", 0, 0, reciprocal_f32, reciprocal_f64, NULL},
    {"Floor", 0, 0, floor_f32, floor_f64, NULL},
    {"Ceil", 0, 0, ceil_f32, ceil_f64, NULL},
    {"Erf", 0, 0, erf_f32, erf_f64, NULL},
    {"Softplus", 0, 0, softplus_f32, softplus_f64, NULL},
    {"Sign", 0, 0, sign_f32, sign_f64, NULL},
    {"Not", 0, 0, NULL, NULL, not_bool},
};

bool prog_plan_unary(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct unary *state = prog_state(plan, sizeof *state);
    if (!in || !state) return false;
    enum ig_tensor_type other = prog_is(plan, "Not") ? IG_TENSOR_BOOL : IG_TENSOR_I64;
    for (size_t i = 0; i < sizeof unaries / sizeof *unaries; i++) {
        if (!prog_is(plan, unaries[i].op)) continue;
        state->alpha = ig_graph_f32(plan->step->node, "alpha", unaries[i].alpha);
        state->beta = ig_graph_f32(plan->step->node, "beta", unaries[i].beta);
        if (in->type == IG_TENSOR_F32) plan->step->run = unaries[i].f32;
        if (in->type == IG_TENSOR_F64) plan->step->run = unaries[i].f64;
        if (in->type == other) plan->step->run = unaries[i].other;
    }
    if (!plan->step->run) return prog_refuse(plan, "not for %s", ig_tensor_type_name(in->type));
    plan->step->apart = true;
    return prog_shape_like(plan, prog_out(plan, 0), in->type, in);
}

struct clip {
    double low, high;
};

static void run_clip(const struct prog_step *step, const struct prog_frame *frame)
{
    const struct clip *clip = step->state;
    size_t count = step->out[0]->count;
    if (step->in[0]->type == IG_TENSOR_F32) {
        const float *in = prog_data(frame, step->in[0]);
        float *out = prog_data(frame, step->out[0]);
        float low = (float)clip->low;
        float high = (float)clip->high;
        for (size_t i = 0; i < count; i++) {
            float x = in[i] < low ? low : in[i];
            out[i] = x > high ? high : x;
        }
        return;
    }
    const double *in = prog_data(frame, step->in[0]);
    double *out = prog_data(frame, step->out[0]);
    for (size_t i = 0; i < count; i++) {
        double x = in[i] < clip->low ? clip->low : in[i];
        out[i] = x > clip->high ? clip->high : x;
    }
}

static bool clip_bound(struct prog_plan *plan, uint32_t index, double *out)
{
    const struct prog_tensor *in = prog_in(plan, index);
    if (!in) return true;
    if (!in->constant || in->count != 1 || in->type != prog_in(plan, 0)->type)
        return prog_refuse(plan, "input %u is no constant number", index);
    *out = ig_tensor_get(in->constant, in->type, 0);
    return true;
}

bool prog_plan_clip(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    struct clip *clip = prog_state(plan, sizeof *clip);
    if (!in || !clip) return false;
    if (in->type != IG_TENSOR_F32 && in->type != IG_TENSOR_F64)
        return prog_refuse(plan, "not for %s", ig_tensor_type_name(in->type));
    clip->low = (double)ig_graph_f32(plan->step->node, "min", -INFINITY);
    clip->high = (double)ig_graph_f32(plan->step->node, "max", INFINITY);
    plan->step->apart = true;
    plan->step->run = run_clip;
    return clip_bound(plan, 1, &clip->low) && clip_bound(plan, 2, &clip->high) &&
           prog_shape_like(plan, prog_out(plan, 0), in->type, in);
}

/* Truncates toward 0; what does not fit is the type's least value. */
static int64_t to_i64(double value)
{
    return value >= -0x1p63 && value < 0x1p63 ? (int64_t)value : INT64_MIN;
}

static void store_i64(void *out, enum ig_tensor_type type, size_t index, int64_t value)
{
    switch (type) {
    case IG_TENSOR_I64:
        ((int64_t *)out)[index] = value;
        break;
    case IG_TENSOR_I32:
        ((int32_t *)out)[index] = (int32_t)(uint32_t)(uint64_t)value;
        break;
    case IG_TENSOR_F32:
        ((float *)out)[index] = (float)value;
        break;
    case IG_TENSOR_F64:
        ((double *)out)[index] = (double)value;
        break;
    case IG_TENSOR_BOOL:
        ((uint8_t *)out)[index] = value != 0;
        break;
    default:
        ((uint8_t *)out)[index] = (uint8_t)(uint64_t)value;
        break;
    }
}

static void store_f64(void *out, enum ig_tensor_type type, size_t index, double value)
{
    if (type == IG_TENSOR_F32)
        ((float *)out)[index] = (float)value;
    else if (type == IG_TENSOR_F64)
        ((double *)out)[index] = value;
    else if (type == IG_TENSOR_BOOL)
        ((uint8_t *)out)[index] = value != 0;
    else
        store_i64(out, type, index, to_i64(value));
}

static void run_cast(const struct prog_step *step, const struct prog_frame *frame)
{
    enum ig_tensor_type from = step->in[0]->type;
    enum ig_tensor_type to = step->out[0]->type;
    const void *in = prog_data(frame, step->in[0]);
    void *out = prog_data(frame, step->out[0]);
    size_t count = step->out[0]->count;
    if (from == to) {
        if (count) memcpy(out, in, count * ig_tensor_type_bytes(to));
        return;
    }
    for (size_t i = 0; i < count; i++) {
        double value = NAN;
        if (from == IG_TENSOR_I64) {
            store_i64(out, to, i, ((const int64_t *)in)[i]);
            continue;
        }
        if (from == IG_TENSOR_STRING)
            ig_str_to_f64(((const struct ig_str *)in)[i], &value);
        else
            value = ig_tensor_get(in, from, i);
        store_f64(out, to, i, value);
    }
}

bool prog_plan_cast(struct prog_plan *plan)
{
    const struct prog_tensor *in = prog_need(plan, 0, IG_TENSOR_NONE);
    if (!in) return false;
    int64_t to = ig_graph_i64(plan->step->node, "to", 0);
    enum ig_tensor_type type = to > 0 && to <= IG_TENSOR_F64 ? (enum ig_tensor_type)to : 0;
    if (ig_tensor_type_bytes(type) == 0 ||
        (type == IG_TENSOR_STRING && in->type != IG_TENSOR_STRING))
        return prog_refuse(plan, "from %s to ONNX type %lld", ig_tensor_type_name(in->type),
                           (long long)to);
    plan->step->apart = true;
    plan->step->run = run_cast;
    return prog_shape_like(plan, prog_out(plan, 0), type, in);
}
