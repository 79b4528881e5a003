/* SPDX-License-Identifier: Apache-2.0 */
/* int8 from QuantizeLinear and DequantizeLinear. A pair around a tensor means that its numbers are
 * steps of a scale: the tensor is marked, and numbers go on as if nothing was. At the end a layer
 * between marked tensors that keeps the rules of int8 networks becomes an int8 one; any other stays
 * float, with DEQUANTIZE and QUANTIZE around it. uint8 becomes int8, 128 less. Stateless. */
#include "formats/onnx/onnx_network_priv.h"

#include <math.h>
#include <string.h>

/* Scales and zero points of a node: inputs 1 and 2. */
static bool read_scales(struct onnx_net *n, enum ig_tensor_type type, struct onnx_codes *out)
{
    const struct ig_tensor *scale = onnx_net_constant(n, 1), *zero = onnx_net_constant(n, 2);
    int32_t *zeros;
    if (!scale || scale->type != IG_TENSOR_F32 || scale->rank > 1 || scale->count == 0 ||
        (onnx_net_in(n, 2) && (!zero || zero->count != scale->count || zero->type != type)))
        return onnx_net_refuse(n, "scale or zero point are no constants of one size");
    zeros = ig_arena_array(&n->arena, scale->count, sizeof *zeros);
    if (!zeros) return onnx_net_no_memory(n);
    for (size_t i = 0; i < scale->count; i++) {
        float s = ((const float *)scale->data)[i];
        if (!isfinite(s) || s <= 0) return onnx_net_refuse(n, "scale %zu is %g", i, (double)s);
        zeros[i] = zero ? (int32_t)ig_tensor_get(zero->data, type, i) : 0;
        if (type == IG_TENSOR_U8) zeros[i] -= 128;
    }
    out->scales = scale->data;
    out->zero_points = zeros;
    out->count = (uint32_t)scale->count;
    return true;
}

static bool read_steps(struct onnx_net *n, float *scale, int32_t *zero_point)
{
    const struct ig_tensor *zero = onnx_net_constant(n, 2);
    int64_t wanted = ig_graph_i64(n->node, "output_dtype", IG_TENSOR_U8);
    enum ig_tensor_type type = zero ? zero->type : (enum ig_tensor_type)wanted;
    struct onnx_codes codes = {0};
    if (type != IG_TENSOR_I8 && type != IG_TENSOR_U8)
        return onnx_net_refuse(n, "to %s, expected int8 or uint8", ig_tensor_type_name(type));
    if (!read_scales(n, type, &codes)) return false;
    if (codes.count != 1) return onnx_net_refuse(n, "%u scales of what is computed", codes.count);
    *scale = codes.scales[0];
    *zero_point = codes.zero_points[0];
    return true;
}

static void give_steps(struct onnx_net *n, const struct onnx_known_value *as, bool is_codes)
{
    onnx_net_alias(n, as);
    n->values[n->node->outputs[0]].is_codes = is_codes;
}

bool onnx_net_read_quantize(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_activation(n, 0);
    float scale;
    int32_t zero_point;
    uint32_t tensor;
    if (!in || !read_steps(n, &scale, &zero_point)) return false;
    struct onnx_tensor_facts *facts = &n->facts[in->tensor];
    bool same = facts->stepped && facts->scale == scale && facts->zero_point == zero_point;
    if (!same && (facts->stepped || facts->pinned || in->uses > 1)) {
        const struct onnx_known_value from = *in;
        if (!onnx_net_simple(n, IG_NETWORK_QUANTIZE, in, &tensor)) return false;
        struct onnx_known_value made = from;
        made.tensor = tensor;
        made.uses = 1;
        onnx_net_alias(n, &made);
        n->values[n->node->outputs[0]].is_codes = true;
        facts = &n->facts[tensor];
    } else {
        give_steps(n, in, true);
    }
    facts->stepped = true;
    facts->scale = scale;
    facts->zero_point = zero_point;
    return true;
}

/* A constant's codes and the numbers that they stand for. */
static bool dequantize_constant(struct onnx_net *n, const struct ig_tensor *from)
{
    struct onnx_codes codes = {.tensor = from};
    int64_t axis = ig_graph_i64(n->node, "axis", 1);
    size_t inner = 1;
    if (from->type != IG_TENSOR_I8 && from->type != IG_TENSOR_U8 && from->type != IG_TENSOR_I32)
        return onnx_net_refuse(n, "of %s", ig_tensor_type_name(from->type));
    if (!read_scales(n, from->type, &codes)) return false;
    const struct ig_tensor *scale = onnx_net_constant(n, 1);
    if (scale->rank == 1 && codes.count > 1) {
        if (axis < 0) axis += from->rank;
        if (axis < 0 || axis >= from->rank || from->dims[axis] != (int64_t)codes.count)
            return onnx_net_refuse(n, "%u scales along axis %lld", codes.count, (long long)axis);
        codes.axis = (uint32_t)axis;
        for (uint32_t d = codes.axis + 1; d < from->rank; d++) inner *= (size_t)from->dims[d];
    }
    const struct ig_tensor *made = onnx_net_new_constant(n, IG_TENSOR_F32, from->dims, from->rank);
    if (!made) return onnx_net_no_memory(n);
    int32_t turn = from->type == IG_TENSOR_U8 ? 128 : 0;
    for (size_t i = 0; i < from->count; i++) {
        size_t c = codes.count > 1 ? i / inner % codes.count : 0;
        double code = ig_tensor_get(from->data, from->type, i) - turn - codes.zero_points[c];
        ((float *)(uintptr_t)made->data)[i] = (float)code * codes.scales[c];
    }
    onnx_net_give_constant(n, made);
    n->values[n->node->outputs[0]].codes = codes;
    return true;
}

bool onnx_net_read_dequantize(struct onnx_net *n)
{
    const struct onnx_known_value *in = onnx_net_in(n, 0);
    float scale;
    int32_t zero_point;
    if (in && in->known == ONNX_CONSTANT) return dequantize_constant(n, in->constant);
    if (!in || !in->is_codes) return onnx_net_refuse(n, "its input is no int8 codes");
    if (!read_steps(n, &scale, &zero_point)) return false;
    const struct onnx_tensor_facts *facts = &n->facts[in->tensor];
    if (facts->scale != scale || facts->zero_point != zero_point)
        return onnx_net_refuse(n, "scale or zero point are not those of the QuantizeLinear before");
    give_steps(n, in, false);
    return true;
}

/* ---- the end ---- */

static bool same_steps(const struct onnx_tensor_facts *a, const struct onnx_tensor_facts *b)
{
    return a->scale == b->scale && a->zero_point == b->zero_point;
}

static bool has_weights(enum ig_network_op op)
{
    return op == IG_NETWORK_CONV_2D || op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           op == IG_NETWORK_FULLY_CONNECTED;
}

/* What int8 networks ask of an operator's steps. */
static bool keeps_rules(const struct onnx_net *n, const struct ig_network_layer *layer)
{
    const struct onnx_tensor_facts *out = &n->facts[layer->output];
    switch (layer->op) {
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
    case IG_NETWORK_RESHAPE:
    case IG_NETWORK_PAD:
    case IG_NETWORK_CONCATENATION:
        for (uint32_t i = 0; i < layer->inputs_count; i++)
            if (!same_steps(&n->facts[layer->inputs[i]], out)) return false;
        return true;
    case IG_NETWORK_SOFTMAX:
    case IG_NETWORK_LOGISTIC:
        return out->zero_point == -128 && out->scale == 1.0F / 256;
    case IG_NETWORK_TANH:
        return out->zero_point == 0 && out->scale == 1.0F / 128;
    default:
        return true;
    }
}

static bool is_int8(const struct onnx_net *n, const struct ig_network_layer *layer)
{
    bool weights = has_weights(layer->op);
    if (!n->facts[layer->output].stepped) return false;
    if (weights && n->network->tensors[layer->inputs[1]].type != IG_NETWORK_I8) return false;
    for (uint32_t i = 0; i < (weights ? 1 : layer->inputs_count); i++)
        if (!n->facts[layer->inputs[i]].stepped) return false;
    return keeps_rules(n, layer);
}

/* The bias as codes of input scale times weight scale. */
static bool code_bias(struct onnx_net *n, const struct ig_network_layer *layer)
{
    struct ig_network_tensor *bias = &n->network->tensors[layer->inputs[2]];
    const struct ig_network_quantization *w = &n->network->tensors[layer->inputs[1]].quantization;
    const struct onnx_codes *codes = n->facts[layer->inputs[2]].codes;
    uint32_t count = bias->dims[0];
    float *scales = ig_arena_array(&n->network->arena, w->count, sizeof *scales);
    int32_t *zeros = ig_arena_array(&n->network->arena, w->count, sizeof *zeros);
    int32_t *made = ig_arena_array(&n->network->arena, count, sizeof *made);
    double in = (double)n->facts[layer->inputs[0]].scale;
    if (!scales || !zeros || !made) return onnx_net_no_memory(n);
    for (uint32_t i = 0; i < w->count; i++) scales[i] = (float)(in * (double)w->scales[i]);
    for (uint32_t i = 0; i < count; i++) {
        double step = in * (double)w->scales[w->count > 1 ? i : 0];
        double real = (double)((const float *)bias->data)[i];
        if (codes && codes->tensor->type == IG_TENSOR_I32)
            real = ig_tensor_get(codes->tensor->data, IG_TENSOR_I32, i) *
                   (double)codes->scales[codes->count > 1 ? i : 0];
        double code = rint(real / step);
        made[i] = (int32_t)fmin(fmax(code, INT32_MIN), INT32_MAX);
    }
    bias->type = IG_NETWORK_I32;
    bias->data = made;
    bias->quantization = (struct ig_network_quantization){scales, zeros, w->count, 0};
    return true;
}

static uint32_t add_like(struct onnx_net *n, uint32_t tensor)
{
    struct ig_network_tensor like = n->network->tensors[tensor];
    like.name = IG_STR("");
    like.type = IG_NETWORK_F32;
    like.quantization = (struct ig_network_quantization){0};
    uint32_t made = ig_network_add_tensor(n->network, &like);
    if (made == IG_NETWORK_NONE) onnx_net_set_no_memory(n);
    return made;
}

static bool add_turn(struct onnx_net *n, enum ig_network_op op, uint32_t from, uint32_t to)
{
    const struct ig_network_layer layer = {
        .op = op, .inputs = &from, .inputs_count = 1, .output = to};
    return ig_network_add_layer(n->network, &layer) != IG_NETWORK_NONE || onnx_net_no_memory(n);
}

/* A float layer: its inputs as numbers, its output as steps again where it has them. */
static bool add_float_layer(struct onnx_net *n, const struct ig_network_layer *layer,
                            uint32_t *real, uint32_t tensors)
{
    struct ig_network_layer made = *layer;
    uint32_t inputs[IG_NETWORK_LAYER_INPUTS_MAX], output = layer->output;
    bool stepped = n->facts[output].stepped;
    for (uint32_t i = 0; i < layer->inputs_count; i++) {
        uint32_t tensor = inputs[i] = layer->inputs[i];
        if (tensor == IG_NETWORK_NONE || tensor >= tensors || !n->facts[tensor].stepped) continue;
        if (real[tensor] == IG_NETWORK_NONE) {
            real[tensor] = add_like(n, tensor);
            if (real[tensor] == IG_NETWORK_NONE ||
                !add_turn(n, IG_NETWORK_DEQUANTIZE, tensor, real[tensor]))
                return false;
        }
        inputs[i] = real[tensor];
    }
    made.inputs = inputs;
    if (stepped) made.output = add_like(n, output);
    if (made.output == IG_NETWORK_NONE) return false;
    if (ig_network_add_layer(n->network, &made) == IG_NETWORK_NONE) return onnx_net_no_memory(n);
    return !stepped || add_turn(n, IG_NETWORK_QUANTIZE, made.output, output);
}

static bool add_again(struct onnx_net *n, struct ig_network_layer *layer, uint32_t *real,
                      uint32_t tensors)
{
    bool int8 = is_int8(n, layer), bias = layer->inputs_count == 3 && has_weights(layer->op);
    if (layer->op == IG_NETWORK_QUANTIZE) int8 = true; /* takes either */
    if (!int8) return add_float_layer(n, layer, real, tensors);
    if (bias && layer->inputs[2] != IG_NETWORK_NONE && !code_bias(n, layer)) return false;
    return ig_network_add_layer(n->network, layer) != IG_NETWORK_NONE || onnx_net_no_memory(n);
}

static void set_type(struct onnx_net *n, uint32_t tensor)
{
    struct ig_network_tensor *of = &n->network->tensors[tensor];
    struct onnx_tensor_facts *facts = &n->facts[tensor];
    float *scale = ig_arena_array(&n->network->arena, 1, sizeof *scale);
    int32_t *zero = ig_arena_array(&n->network->arena, 1, sizeof *zero);
    if (!scale || !zero) return; /* sticks */
    *scale = facts->scale;
    *zero = facts->zero_point;
    of->type = IG_NETWORK_I8;
    of->quantization = (struct ig_network_quantization){scale, zero, 1, 0};
}

bool onnx_net_finish_steps(struct onnx_net *n)
{
    struct ig_network *network = n->network;
    struct ig_network_layer *layers = network->layers;
    uint32_t layers_count = network->layers_count, tensors = network->tensors_count, any = 0;
    uint32_t *real = ig_arena_array(&n->arena, tensors + (size_t)1, sizeof *real);
    if (!real) return onnx_net_no_memory(n);
    for (uint32_t i = 0; i < tensors; i++) {
        real[i] = IG_NETWORK_NONE;
        any |= n->facts[i].stepped;
        if (n->facts[i].stepped) set_type(n, i);
    }
    if (network->arena.overflowed) return onnx_net_no_memory(n);
    if (!any) return true;
    network->layers = NULL;
    network->layers_count = 0;
    network->layers_cap = 0;
    for (uint32_t i = 0; i < layers_count; i++)
        if (!add_again(n, &layers[i], real, tensors)) return false;
    return true;
}
