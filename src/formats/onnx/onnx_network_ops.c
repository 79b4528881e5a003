/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of ONNX as layers, but for those with weights and windows (onnx_network_weights.c).
 * What shapes are made of (Shape, Gather and their like) is folded: sizes are known. Stateless. */
#include "formats/onnx/onnx_network_priv.h"

#include <math.h>
#include <string.h>

static const uint32_t LAST_OF[] = {0, 3, 1, 2}; /* where NCHW's dimensions lie in NHWC */

/* An axis, counted from behind when negative. */
static bool read_axis(struct onnx_net *n, int64_t axis, uint32_t rank, uint32_t *out)
{
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank)
        return onnx_net_refuse(n, "axis %lld of %u dimensions", (long long)axis, rank);
    *out = (uint32_t)axis;
    return true;
}

/* Whole numbers of an attribute, or of a constant input where the operator came to take them so. */
static bool read_numbers(struct onnx_net *n, const char *attribute, uint32_t input,
                         int64_t out[2 * IG_GRAPH_RANK_MAX], size_t *count)
{
    const int64_t *given = ig_graph_i64s(n->node, attribute, count);
    const struct ig_tensor *tensor = onnx_net_constant(n, input);
    if (!given && onnx_net_in(n, input)) {
        if (!tensor || tensor->type != IG_TENSOR_I64)
            return onnx_net_refuse(n, "%s are no constant", attribute);
        given = tensor->data;
        *count = tensor->count;
    }
    if (!given) *count = 0;
    if (*count > (size_t)2 * IG_GRAPH_RANK_MAX)
        return onnx_net_refuse(n, "%zu %s", *count, attribute);
    for (size_t i = 0; i < *count; i++) out[i] = given[i];
    return true;
}

/* ---- what changes no number ---- */

static bool read_same(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_in(n, 0);
    if (!in) return onnx_net_refuse(n, "it has no input");
    onnx_net_alias(n, in);
    return true;
}

static bool read_cast(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_in(n, 0);
    enum ig_tensor_type to = (enum ig_tensor_type)ig_graph_i64(n->node, "to", 0);
    if (!in) return onnx_net_refuse(n, "it has no input");
    if (in->known == ONNX_ACTIVATION) {
        if (to != IG_TENSOR_F32 || in->is_codes)
            return onnx_net_refuse(n, "to %s; only float32 stays itself", ig_tensor_type_name(to));
        onnx_net_alias(n, in);
        return true;
    }
    const struct ig_tensor *from = in->constant;
    if (to == IG_TENSOR_STRING || from->type == IG_TENSOR_STRING || !ig_tensor_type_bytes(to))
        return onnx_net_refuse(n, "of or to text");
    const struct ig_tensor *made = onnx_net_new_constant(n, to, from->dims, from->rank);
    if (!made) return onnx_net_no_memory(n);
    for (size_t i = 0; i < from->count; i++)
        ig_tensor_put((void *)(uintptr_t)made->data, to, i,
                      ig_tensor_get(from->data, from->type, i));
    onnx_net_give_constant(n, made);
    return true;
}

static bool read_constant(struct onnx_net *n)
{
    const struct ig_attribute *attribute = ig_graph_attribute(n->node, "value");
    if (!attribute || attribute->kind != IG_ATTRIBUTE_TENSOR)
        return onnx_net_refuse(n, "its value is no tensor");
    onnx_net_give_constant(n, attribute->tensor);
    return true;
}

static bool read_shape(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_in(n, 0);
    const int64_t rank = in ? in->rank : 0;
    if (ig_graph_attribute(n->node, "start") || ig_graph_attribute(n->node, "end"))
        return onnx_net_refuse(n, "of some dimensions alone");
    const struct ig_tensor *made = onnx_net_new_constant(n, IG_TENSOR_I64, &rank, 1);
    if (!in || !made) return onnx_net_no_memory(n);
    memcpy((void *)(uintptr_t)made->data, in->dims, in->rank * sizeof(int64_t));
    onnx_net_give_constant(n, made);
    return true;
}

/* Of a list of sizes. */
static bool read_gather(struct onnx_net *n)
{
    const struct ig_tensor *from = onnx_net_constant(n, 0), *at = onnx_net_constant(n, 1);
    bool list = from && at && from->rank == 1 && from->type == IG_TENSOR_I64 && at->rank <= 1 &&
                at->type == IG_TENSOR_I64 && ig_graph_i64(n->node, "axis", 0) == 0;
    if (!list) return onnx_net_refuse(n, "only sizes are picked from a list");
    const struct ig_tensor *made = onnx_net_new_constant(n, IG_TENSOR_I64, at->dims, at->rank);
    if (!made) return onnx_net_no_memory(n);
    for (size_t i = 0; i < at->count; i++) {
        uint32_t place;
        if (!read_axis(n, ((const int64_t *)at->data)[i], (uint32_t)from->count, &place))
            return false;
        ((int64_t *)(uintptr_t)made->data)[i] = ((const int64_t *)from->data)[place];
    }
    onnx_net_give_constant(n, made);
    return true;
}

/* ---- shapes ---- */

/* What Reshape, Flatten, Squeeze and Unsqueeze share: the same elements in other dimensions. */
static bool reshape_to(struct onnx_net *n, struct onnx_known_value *in, const int64_t *dims,
                       uint32_t rank)
{
    uint32_t tensor;
    bool same = rank == in->rank && memcmp(dims, in->dims, rank * sizeof *dims) == 0;
    if (same) {
        onnx_net_alias(n, in);
        return true;
    }
    bool flat = in->order == ONNX_LAST && rank == 2 && dims[0] == in->dims[0];
    if (flat && in->dims[0] == 1) { /* the order of elements is remembered */
        struct onnx_known_value made;
        if (!onnx_net_reshape(n, in->tensor, dims, rank, &tensor)) return false;
        const uint32_t image[] = {(uint32_t)in->dims[1], (uint32_t)in->dims[2],
                                  (uint32_t)in->dims[3]};
        onnx_net_give(n, tensor, ONNX_PLAIN);
        made = n->values[n->node->outputs[0]];
        bool plain = image[0] == 1 || (image[1] == 1 && image[2] == 1);
        made.order = plain ? ONNX_PLAIN : ONNX_FLAT_IMAGE;
        memcpy(made.image, image, sizeof image);
        n->values[n->node->outputs[0]] = made;
        return true;
    }
    if (in->order != ONNX_PLAIN) {
        const struct onnx_known_value before = *in;
        if (!onnx_net_to_plain(n, in)) return false;
        tensor = in->tensor;
        *in = before; /* others may read it as it was */
    } else {
        tensor = in->tensor;
    }
    if (!onnx_net_reshape(n, tensor, dims, rank, &tensor)) return false;
    onnx_net_give(n, tensor, ONNX_PLAIN);
    return true;
}

/* The same of a constant. */
static bool reshape_constant(struct onnx_net *n, const struct ig_tensor *from, const int64_t *dims,
                             uint32_t rank)
{
    struct ig_tensor *made = ig_arena_zalloc(&n->arena, sizeof *made);
    if (!made) return onnx_net_no_memory(n);
    made->type = from->type;
    made->rank = rank;
    memcpy(made->dims, dims, rank * sizeof *dims);
    made->data = from->data;
    if (!ig_tensor_size(&made->count, dims, rank) || made->count != from->count)
        return onnx_net_refuse(n, "a constant of %zu elements in other dimensions", from->count);
    onnx_net_give_constant(n, made);
    return true;
}

static bool give_reshaped(struct onnx_net *n, const int64_t *dims, uint32_t rank)
{
    struct onnx_known_value *in = onnx_net_in(n, 0);
    int64_t before = 1, after = 1;
    if (!in || rank > IG_GRAPH_RANK_MAX || (in->known == ONNX_ACTIVATION && in->is_codes))
        return onnx_net_refuse(n, "%u dimensions, or of codes", rank);
    if (in->known == ONNX_CONSTANT) return reshape_constant(n, in->constant, dims, rank);
    for (uint32_t d = 0; d < in->rank; d++) before *= in->dims[d];
    for (uint32_t d = 0; d < rank; d++) {
        if (dims[d] < 1 || dims[d] > IG_NETWORK_ELEMENTS_MAX || after > IG_NETWORK_ELEMENTS_MAX)
            return onnx_net_refuse(n, "dimension %u would be %lld", d, (long long)dims[d]);
        after *= dims[d];
    }
    if (before != after)
        return onnx_net_refuse(n, "%lld elements become %lld", (long long)before, (long long)after);
    return reshape_to(n, in, dims, rank);
}

static bool read_reshape(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_in(n, 0);
    int64_t dims[2 * IG_GRAPH_RANK_MAX], known = 1, count = 1;
    size_t rank, open = SIZE_MAX;
    if (!in || !read_numbers(n, "shape", 1, dims, &rank))
        return n->err->code == IG_OK && onnx_net_refuse(n, "no shape");
    for (uint32_t d = 0; d < in->rank; d++) count *= in->dims[d];
    for (size_t d = 0; d < rank; d++) {
        if (dims[d] == 0 && d < in->rank) dims[d] = in->dims[d];
        if (dims[d] == -1) open = d;
        if (dims[d] != -1 && (dims[d] < 1 || dims[d] > IG_NETWORK_ELEMENTS_MAX ||
                              (known *= dims[d]) > IG_NETWORK_ELEMENTS_MAX))
            return onnx_net_refuse(n, "dimension %zu is %lld", d, (long long)dims[d]);
    }
    if (open != SIZE_MAX) dims[open] = count / known;
    return give_reshaped(n, dims, (uint32_t)rank);
}

static bool read_flatten(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_in(n, 0);
    int64_t axis = ig_graph_i64(n->node, "axis", 1), dims[] = {1, 1};
    if (!in) return onnx_net_refuse(n, "it has no input");
    if (axis < 0) axis += in->rank;
    for (uint32_t d = 0; d < in->rank; d++) dims[d >= axis] *= in->dims[d];
    return give_reshaped(n, dims, 2);
}

static bool read_squeeze(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_in(n, 0);
    bool more = ig_str_is(n->node->op, "Unsqueeze");
    int64_t axes[2 * IG_GRAPH_RANK_MAX], dims[IG_GRAPH_RANK_MAX];
    size_t count;
    uint32_t marked = 0, rank = 0, from = 0, axis, total;
    if (!in || !read_numbers(n, "axes", 1, axes, &count))
        return n->err->code == IG_OK && onnx_net_refuse(n, "no input");
    total = in->rank + (more ? (uint32_t)count : 0);
    if (total > IG_GRAPH_RANK_MAX) return onnx_net_refuse(n, "%u dimensions", total);
    for (size_t i = 0; i < count; i++) {
        if (!read_axis(n, axes[i], total, &axis)) return false;
        marked |= 1U << axis;
    }
    for (uint32_t d = 0; !count && d < in->rank; d++)
        if (in->dims[d] == 1) marked |= 1U << d;
    for (uint32_t d = 0; d < total; d++) {
        bool one = marked >> d & 1;
        if (!more && one && in->dims[d] != 1) return onnx_net_refuse(n, "dimension %u is not 1", d);
        if (more && one) dims[rank++] = 1;
        if (!one) dims[rank++] = in->dims[more ? from : d];
        from += !one;
    }
    return give_reshaped(n, dims, rank);
}

/* Whether a permutation moves dimensions of one cell alone. */
static bool moves_nothing(const struct onnx_known_value *in, const int64_t *perm)
{
    int64_t last = -1;
    for (uint32_t d = 0; d < in->rank; d++) {
        if (in->dims[perm[d]] == 1) continue;
        if (perm[d] < last) return false;
        last = perm[d];
    }
    return true;
}

static bool transpose_constant(struct onnx_net *n, const struct ig_tensor *from,
                               const int64_t *perm)
{
    int64_t dims[IG_GRAPH_RANK_MAX];
    size_t strides[IG_GRAPH_RANK_MAX], step = 1, at[IG_GRAPH_RANK_MAX] = {0};
    size_t bytes = ig_tensor_type_bytes(from->type);
    if (from->type == IG_TENSOR_STRING) return onnx_net_refuse(n, "of text");
    for (uint32_t d = from->rank; d-- > 0; step *= (size_t)from->dims[d]) strides[d] = step;
    for (uint32_t d = 0; d < from->rank; d++) dims[d] = from->dims[perm[d]];
    const struct ig_tensor *made = onnx_net_new_constant(n, from->type, dims, from->rank);
    if (!made) return onnx_net_no_memory(n);
    for (size_t i = 0; i < from->count; i++) {
        size_t place = 0;
        for (uint32_t d = 0; d < from->rank; d++) place += at[d] * strides[perm[d]];
        memcpy((char *)(uintptr_t)made->data + i * bytes, (const char *)from->data + place * bytes,
               bytes);
        for (uint32_t d = from->rank; d-- > 0 && ++at[d] == (size_t)dims[d];) at[d] = 0;
    }
    onnx_net_give_constant(n, made);
    return true;
}

static bool read_transpose(struct onnx_net *n)
{
    static const int64_t FIRST[] = {0, 3, 1, 2}, LAST[] = {0, 2, 3, 1};
    struct onnx_known_value *in = onnx_net_in(n, 0);
    int64_t perm[2 * IG_GRAPH_RANK_MAX], dims[IG_GRAPH_RANK_MAX];
    size_t count;
    uint32_t seen = 0;
    if (!in || !read_numbers(n, "perm", UINT32_MAX, perm, &count))
        return n->err->code == IG_OK && onnx_net_refuse(n, "no input");
    for (uint32_t d = 0; !count && d < in->rank; d++) perm[d] = in->rank - 1 - d;
    for (uint32_t d = 0; d < in->rank; d++)
        if (perm[d] >= 0 && perm[d] < in->rank) seen |= 1U << perm[d];
    if ((count && count != in->rank) || seen != (1U << in->rank) - 1)
        return onnx_net_refuse(n, "perm is no permutation of %u dimensions", in->rank);
    if (in->known == ONNX_CONSTANT) return transpose_constant(n, in->constant, perm);
    for (uint32_t d = 0; d < in->rank; d++) dims[d] = in->dims[perm[d]];
    bool image = in->rank == 4;
    bool to_first = image && in->order == ONNX_PLAIN && memcmp(perm, FIRST, sizeof FIRST) == 0;
    bool to_last = image && in->order == ONNX_LAST && memcmp(perm, LAST, sizeof LAST) == 0;
    if (to_first || to_last) {
        onnx_net_alias(n, in);
        struct onnx_known_value *out = &n->values[n->node->outputs[0]];
        memcpy(out->dims, dims, sizeof dims);
        out->order = to_first ? ONNX_LAST : ONNX_PLAIN;
        return true;
    }
    if (moves_nothing(in, perm)) return give_reshaped(n, dims, in->rank);
    return onnx_net_refuse(n, "a permutation other than of images to channels first or last");
}

/* ---- element by element ---- */

static bool fuse(struct onnx_net *n, const struct onnx_known_value *in,
                 enum ig_network_activation activation)
{
    struct ig_network_layer *layer = onnx_net_producer(n, in);
    if (!layer) return false;
    switch (layer->op) {
    case IG_NETWORK_CONV_2D:
    case IG_NETWORK_DEPTHWISE_CONV_2D:
    case IG_NETWORK_FULLY_CONNECTED:
    case IG_NETWORK_ADD:
        layer->activation = activation;
        onnx_net_alias(n, in);
        return true;
    default:
        return false;
    }
}

static bool give_simple(struct onnx_net *n, enum ig_network_op op,
                        const struct onnx_known_value *in)
{
    const struct onnx_known_value from = *in;
    uint32_t tensor;
    if (!onnx_net_simple(n, op, in, &tensor)) return false;
    onnx_net_give(n, tensor, from.order);
    if (from.order != ONNX_FLAT_IMAGE) return true;
    n->values[n->node->outputs[0]].order = from.order;
    memcpy(n->values[n->node->outputs[0]].image, from.image, sizeof from.image);
    return true;
}

static bool clamp(struct onnx_net *n, enum ig_network_activation activation, enum ig_network_op op)
{
    const struct onnx_known_value *in = onnx_net_activation(n, 0);
    return in && (fuse(n, in, activation) || give_simple(n, op, in));
}

static bool read_relu(struct onnx_net *n)
{
    return clamp(n, IG_NETWORK_ACTIVATION_RELU, IG_NETWORK_RELU);
}

/* A bound of Clip: an attribute once, now an input. */
static bool read_bound(struct onnx_net *n, const char *name, uint32_t input, double *bound)
{
    const struct ig_tensor *tensor = onnx_net_constant(n, input);
    if (onnx_net_in(n, input)) {
        if (!tensor || tensor->count != 1 || tensor->type == IG_TENSOR_STRING)
            return onnx_net_refuse(n, "%s is no constant number", name);
        *bound = ig_tensor_get(tensor->data, tensor->type, 0);
    } else if (n->opset < 11) {
        *bound = (double)ig_graph_f32(n->node, name, (float)*bound);
    }
    return true;
}

static bool read_clip(struct onnx_net *n)
{
    double least = -(double)INFINITY, most = (double)INFINITY;
    if (!read_bound(n, "min", 1, &least) || !read_bound(n, "max", 2, &most)) return false;
    if (least == 0 && most >= 3.4028234e38) return read_relu(n);
    if (least == 0 && most == 6) return clamp(n, IG_NETWORK_ACTIVATION_RELU6, IG_NETWORK_RELU6);
    if (least == -1 && most == 1)
        return clamp(n, IG_NETWORK_ACTIVATION_RELU_N1_TO_1, IG_NETWORK_RELU_N1_TO_1);
    return onnx_net_refuse(n, "between %g and %g; networks have 0 to 6, -1 to 1 and from 0", least,
                           most);
}

static bool read_sigmoid(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_activation(n, 0);
    return in && give_simple(n, IG_NETWORK_LOGISTIC, in);
}

static bool read_tanh(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_activation(n, 0);
    return in && give_simple(n, IG_NETWORK_TANH, in);
}

static bool read_softmax(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_activation(n, 0);
    uint32_t axis, behind = 0;
    if (!in ||
        !read_axis(n, ig_graph_i64(n->node, "axis", n->opset < 13 ? 1 : -1), in->rank, &axis))
        return false;
    /* The tensor's last dimension; before opset 13 all from the axis on, together. */
    for (uint32_t d = axis + 1; d < in->rank; d++) behind |= in->dims[d] != 1;
    bool last =
        in->order == ONNX_LAST ? axis == 1 && (n->opset >= 13 || !behind) : axis + 1 == in->rank;
    if (!last) return onnx_net_refuse(n, "axis %u is not of channels", axis);
    return give_simple(n, IG_NETWORK_SOFTMAX, in);
}

/* A constant as floats in the order in which `beside` lies. NONE after an error. */
static uint32_t constant_beside(struct onnx_net *n, const struct ig_tensor *from,
                                const struct onnx_known_value *beside, bool inverse)
{
    uint32_t dims[IG_NETWORK_RANK_MAX] = {1}, rank = from->rank ? from->rank : 1;
    bool image = beside->order == ONNX_LAST && from->count > 1;
    bool flat = beside->order == ONNX_FLAT_IMAGE && from->count > 1;
    float *values = ig_arena_array(&n->arena, from->count + 1, sizeof *values);
    if (from->type == IG_TENSOR_STRING || rank > (image ? 4 : IG_NETWORK_RANK_MAX) ||
        !from->count) {
        onnx_net_set_refused(n, "a constant of text, or of %u dimensions", rank);
        return IG_NETWORK_NONE;
    }
    if (flat && from->dims[from->rank - 1] != (int64_t)from->count) {
        onnx_net_set_refused(n, "a constant of other shape beside a flat image");
        return IG_NETWORK_NONE;
    }
    if (!values) {
        onnx_net_set_no_memory(n);
        return IG_NETWORK_NONE;
    }
    int64_t d[4] = {1, 1, 1, 1};
    for (uint32_t i = 0; i < from->rank && !image; i++) dims[i] = (uint32_t)from->dims[i];
    for (uint32_t i = 0; i < from->rank && image; i++) d[4 - from->rank + i] = from->dims[i];
    if (image) {
        rank = 4;
        for (uint32_t i = 0; i < 4; i++) dims[LAST_OF[i]] = (uint32_t)d[i];
    }
    if (flat) {
        d[1] = beside->image[0];
        d[2] = beside->image[1];
        d[3] = beside->image[2];
    }
    for (size_t i = 0; i < from->count; i++) {
        size_t to = i;
        if (image || flat) {
            size_t places = (size_t)(d[2] * d[3]), channels = (size_t)d[1];
            size_t place = i % places, channel = i / places % channels;
            to = (i / places / channels * places + place) * channels + channel;
        }
        double value = ig_tensor_get(from->data, from->type, i);
        values[to] = inverse ? 1 / (float)value : (float)value;
    }
    return onnx_net_floats(n, values, dims, rank);
}

static bool arithmetic(struct onnx_net *n, enum ig_network_op op, const uint32_t inputs[2],
                       const struct onnx_known_value *as)
{
    struct ig_network_layer layer = {.op = op, .inputs = inputs, .inputs_count = 2};
    const struct onnx_known_value from = *as;
    uint32_t tensor;
    if (inputs[0] == IG_NETWORK_NONE || inputs[1] == IG_NETWORK_NONE ||
        !onnx_net_layer(n, &layer, NULL, 0, &tensor))
        return false;
    onnx_net_give(n, tensor, from.order);
    if (from.order != ONNX_FLAT_IMAGE) return true;
    n->values[n->node->outputs[0]].order = from.order;
    memcpy(n->values[n->node->outputs[0]].image, from.image, sizeof from.image);
    return true;
}

static bool read_arithmetic(struct onnx_net *n)
{
    struct ig_str name = n->node->op;
    enum ig_network_op op = ig_str_is(name, "Add")   ? IG_NETWORK_ADD
                            : ig_str_is(name, "Sub") ? IG_NETWORK_SUB
                                                     : IG_NETWORK_MUL;
    struct onnx_known_value *a = onnx_net_in(n, 0), *b = onnx_net_in(n, 1);
    bool divides = ig_str_is(name, "Div");
    if (!a || !b || n->node->inputs_count != 2) return onnx_net_refuse(n, "not two inputs");
    if (a->known == ONNX_CONSTANT && b->known == ONNX_CONSTANT)
        return onnx_net_refuse(n, "of constants alone");
    if (a->known == ONNX_CONSTANT || b->known == ONNX_CONSTANT) {
        bool first = a->known == ONNX_CONSTANT;
        struct onnx_known_value *constant = first ? a : b;
        struct onnx_known_value *in = onnx_net_activation(n, first);
        if (!in) return false;
        if (divides && first) return onnx_net_refuse(n, "by what is computed");
        if (op == IG_NETWORK_ADD && onnx_net_add_bias(n, in, constant)) return true;
        uint32_t other = constant_beside(n, constant->constant, in, divides);
        const uint32_t inputs[] = {first ? other : in->tensor, first ? in->tensor : other};
        return arithmetic(n, op, inputs, in);
    }
    if (divides) return onnx_net_refuse(n, "by what is computed");
    if (!onnx_net_activation(n, 0) || !onnx_net_activation(n, 1)) return false;
    if (a->order != b->order) {
        if (a->order == ONNX_LAST || b->order == ONNX_LAST) {
            if (!onnx_net_to_image(n, a) || !onnx_net_to_image(n, b)) return false;
        } else if (!onnx_net_to_plain(n, a) || !onnx_net_to_plain(n, b)) {
            return false;
        }
    }
    const uint32_t inputs[] = {a->tensor, b->tensor};
    return arithmetic(n, op, inputs, a->rank >= b->rank ? a : b);
}

/* (x - offset) * scale, of one number or one for each feature. */
static bool read_scaler(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_activation(n, 0);
    size_t offsets, scales;
    const float *offset = ig_graph_f32s(n->node, "offset", &offsets);
    const float *scale = ig_graph_f32s(n->node, "scale", &scales);
    if (!in) return false;
    if (in->order != ONNX_PLAIN || !offset || !scale || !offsets || !scales)
        return onnx_net_refuse(n, "without offset or scale, or of an image");
    const uint32_t dims[] = {(uint32_t)offsets, (uint32_t)scales};
    uint32_t first[] = {in->tensor, onnx_net_floats(n, offset, &dims[0], 1)};
    if (first[1] == IG_NETWORK_NONE || !arithmetic(n, IG_NETWORK_SUB, first, in)) return false;
    const struct onnx_known_value moved = n->values[n->node->outputs[0]];
    uint32_t second[] = {moved.tensor, onnx_net_floats(n, scale, &dims[1], 1)};
    return arithmetic(n, IG_NETWORK_MUL, second, &moved);
}

/* ---- several cells ---- */

static bool join_sizes(struct onnx_net *n)
{
    int64_t count = 0;
    for (uint32_t i = 0; i < n->node->inputs_count; i++) {
        const struct ig_tensor *part = onnx_net_constant(n, i);
        if (!part || part->type != IG_TENSOR_I64 || part->rank > 1)
            return onnx_net_refuse(n, "input %u is a constant, others are computed", i);
        count += (int64_t)part->count;
    }
    const struct ig_tensor *made = onnx_net_new_constant(n, IG_TENSOR_I64, &count, 1);
    if (!made) return onnx_net_no_memory(n);
    int64_t *to = (int64_t *)(uintptr_t)made->data;
    for (uint32_t i = 0; i < n->node->inputs_count; i++) {
        const struct ig_tensor *part = onnx_net_constant(n, i);
        memcpy(to, part->data, part->count * sizeof *to);
        to += part->count;
    }
    onnx_net_give_constant(n, made);
    return true;
}

static bool read_concat(struct onnx_net *n)
{
    uint32_t count = n->node->inputs_count, axis, tensor, inputs[IG_NETWORK_LAYER_INPUTS_MAX];
    if (count == 0 || count > IG_NETWORK_LAYER_INPUTS_MAX)
        return onnx_net_refuse(n, "%u inputs", count);
    if (onnx_net_constant(n, 0)) return join_sizes(n);
    for (uint32_t i = 0; i < count; i++) {
        struct onnx_known_value *in = onnx_net_activation(n, i);
        const struct onnx_known_value *first = onnx_net_in(n, 0);
        if (!in) return false;
        if (in->order != first->order &&
            !(first->order == ONNX_LAST ? onnx_net_to_image(n, in) : onnx_net_to_plain(n, in)))
            return false;
        if (in->order == ONNX_FLAT_IMAGE && !onnx_net_to_plain(n, in)) return false;
        inputs[i] = in->tensor;
    }
    const struct onnx_known_value first = *onnx_net_in(n, 0);
    if (!read_axis(n, ig_graph_i64(n->node, "axis", 1), first.rank, &axis)) return false;
    struct ig_network_layer layer = {.op = IG_NETWORK_CONCATENATION,
                                     .inputs = inputs,
                                     .inputs_count = count,
                                     .axis = first.order == ONNX_LAST ? LAST_OF[axis] : axis};
    if (!onnx_net_layer(n, &layer, NULL, 0, &tensor)) return false;
    onnx_net_give(n, tensor, first.order);
    return true;
}

/* Over height and width it is a pool, which trains and quantizes; steps of int8 have a mean. */
static bool give_pool(struct onnx_net *n, const struct onnx_known_value *in, bool keep)
{
    const struct onnx_known_value from = *in;
    const int64_t flat[] = {from.dims[0], from.dims[1]};
    struct ig_network_layer layer = {.op = IG_NETWORK_AVERAGE_POOL_2D,
                                     .inputs = &from.tensor,
                                     .inputs_count = 1,
                                     .window = {.padding = IG_NETWORK_PADDING_VALID,
                                                .stride_h = 1,
                                                .stride_w = 1,
                                                .filter_h = (uint32_t)from.dims[2],
                                                .filter_w = (uint32_t)from.dims[3]}};
    uint32_t tensor;
    if (!onnx_net_layer(n, &layer, NULL, 0, &tensor)) return false;
    if (!keep && !onnx_net_reshape(n, tensor, flat, 2, &tensor)) return false;
    onnx_net_give(n, tensor, keep ? ONNX_LAST : ONNX_PLAIN);
    return true;
}

static bool give_mean(struct onnx_net *n, struct onnx_known_value *in, uint32_t axes, bool keep)
{
    const struct onnx_known_value from = *in;
    struct ig_network_layer layer = {
        .op = IG_NETWORK_MEAN, .inputs = &from.tensor, .inputs_count = 1, .keep_dims = keep};
    uint32_t tensor;
    bool image = from.order == ONNX_LAST;
    for (uint32_t d = 0; d < from.rank; d++)
        if (axes >> d & 1) layer.axes |= 1U << (image ? LAST_OF[d] : d);
    /* What is left of [N, C, H, W] and [N, H, W, C] has one order unless C stays beside places. */
    bool mixed = !(axes & 2) && (axes & 12) != 12;
    if (image && axes == 12 && !n->facts[from.tensor].stepped) return give_pool(n, in, keep);
    if (image && !keep && mixed)
        return onnx_net_refuse(n, "a mean that leaves channels beside height or width");
    if (!onnx_net_layer(n, &layer, NULL, 0, &tensor)) return false;
    onnx_net_give(n, tensor, keep ? from.order : ONNX_PLAIN);
    return true;
}

static bool read_global_mean(struct onnx_net *n)
{
    struct onnx_known_value *in = onnx_net_activation(n, 0);
    return in && onnx_net_to_image(n, in) && give_mean(n, in, 12, true);
}

static bool read_mean(struct onnx_net *n)
{
    struct onnx_known_value *in = onnx_net_activation(n, 0);
    int64_t axes[2 * IG_GRAPH_RANK_MAX];
    size_t count;
    uint32_t marked = 0, axis;
    if (!in || !read_numbers(n, "axes", 1, axes, &count)) return false;
    for (size_t i = 0; i < count; i++) {
        if (!read_axis(n, axes[i], in->rank, &axis)) return false;
        marked |= 1U << axis;
    }
    if (count == 0) marked = (1U << in->rank) - 1;
    if (in->order == ONNX_FLAT_IMAGE && !onnx_net_to_plain(n, in)) return false;
    return give_mean(n, in, marked, ig_graph_i64(n->node, "keepdims", 1) != 0);
}

static bool read_pad(struct onnx_net *n)
{
    struct onnx_known_value *in = onnx_net_activation(n, 0);
    struct ig_network_layer layer = {.op = IG_NETWORK_PAD, .inputs_count = 1};
    const struct ig_tensor *value = onnx_net_constant(n, 2);
    int64_t pads[2 * IG_GRAPH_RANK_MAX];
    size_t count;
    uint32_t tensor;
    if (!in || !read_numbers(n, "pads", 1, pads, &count)) return false;
    if (!ig_str_is(ig_graph_string(n->node, "mode", "constant"), "constant") ||
        ig_graph_f32(n->node, "value", 0) != 0 || onnx_net_in(n, 3) ||
        (onnx_net_in(n, 2) && !(value && value->count == 1 && value->type != IG_TENSOR_STRING &&
                                ig_tensor_get(value->data, value->type, 0) == 0)))
        return onnx_net_refuse(n, "of other values than 0");
    if (count != 2 * (size_t)in->rank) return onnx_net_refuse(n, "%zu pads", count);
    if (in->order == ONNX_FLAT_IMAGE && !onnx_net_to_plain(n, in)) return false;
    for (uint32_t d = 0; d < in->rank; d++) {
        uint32_t to = in->order == ONNX_LAST ? LAST_OF[d] : d;
        int64_t before = pads[d], behind = pads[d + in->rank];
        if (before < 0 || behind < 0 || before > INT32_MAX || behind > INT32_MAX)
            return onnx_net_refuse(n, "pads %lld and %lld", (long long)before, (long long)behind);
        layer.pads[to][0] = (uint32_t)before;
        layer.pads[to][1] = (uint32_t)behind;
    }
    const struct onnx_known_value from = *in;
    layer.inputs = &from.tensor;
    if (!onnx_net_layer(n, &layer, NULL, 0, &tensor)) return false;
    onnx_net_give(n, tensor, from.order);
    return true;
}

onnx_net_read *onnx_net_operator(const struct ig_graph_node *node)
{
    static const struct {
        const char *domain, *op;
        onnx_net_read *read;
    } operators[] = {
        {"", "Identity", read_same},
        {"", "Dropout", read_same},
        {"", "Cast", read_cast},
        {"", "Constant", read_constant},
        {"", "Shape", read_shape},
        {"", "Gather", read_gather},
        {"", "Reshape", read_reshape},
        {"", "Flatten", read_flatten},
        {"", "Squeeze", read_squeeze},
        {"", "Unsqueeze", read_squeeze},
        {"", "Transpose", read_transpose},
        {"", "Relu", read_relu},
        {"", "Clip", read_clip},
        {"", "Sigmoid", read_sigmoid},
        {"", "Tanh", read_tanh},
        {"", "Softmax", read_softmax},
        {"", "Add", read_arithmetic},
        {"", "Sub", read_arithmetic},
        {"", "Mul", read_arithmetic},
        {"", "Div", read_arithmetic},
        {"ai.onnx.ml", "Scaler", read_scaler},
        {"", "Concat", read_concat},
        {"", "GlobalAveragePool", read_global_mean},
        {"", "ReduceMean", read_mean},
        {"", "Pad", read_pad},
        {"", "Gemm", onnx_net_read_product},
        {"", "MatMul", onnx_net_read_product},
        {"", "Conv", onnx_net_read_conv},
        {"", "MaxPool", onnx_net_read_pool},
        {"", "AveragePool", onnx_net_read_pool},
        {"", "GlobalMaxPool", onnx_net_read_pool},
        {"", "BatchNormalization", onnx_net_read_normalization},
        {"", "QuantizeLinear", onnx_net_read_quantize},
        {"", "DequantizeLinear", onnx_net_read_dequantize},
    };
    for (size_t i = 0; i < sizeof operators / sizeof *operators; i++)
        if (ig_str_is(node->domain, operators[i].domain) && ig_str_is(node->op, operators[i].op))
            return operators[i].read;
    return NULL;
}
