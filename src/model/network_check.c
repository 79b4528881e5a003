/* SPDX-License-Identifier: Apache-2.0 */
/* What a network must be before anything runs or exports it: indices, order, types, shapes, and the
 * rules of 8-bit quantization.
 *
 * Layers stand in topological order, so one forward pass proves that there is no cycle. Source:
 * LiteRT 8-bit quantization specification; the tolerance of a bias's scale is that of TensorFlow
 * Lite's fully connected layer. */
#include "base/mem.h"
#include "model/network_priv.h"

#include <math.h>
#include <string.h>

/* Who gives a tensor: nobody yet, the file or the caller, or layer n as n + GIVEN_BY_LAYER. */
enum { GIVEN_NONE, GIVEN_OUTSIDE, GIVEN_BY_LAYER };

static enum ig_code check_quantization(const struct ig_network_tensor *tensor, struct ig_err *err)
{
    const struct ig_network_quantization *q = &tensor->quantization;
    if (q->count == 0) return IG_OK;
    bool each = q->dimension < tensor->rank && q->count == tensor->dims[q->dimension];
    if (!(each || (q->count == 1 && q->dimension == 0)) || !q->scales || !q->zero_points)
        return ig_fail(err, IG_INVALID, "%u scales along dimension %u", q->count, q->dimension);
    if (tensor->type != IG_NETWORK_I8 && tensor->type != IG_NETWORK_I32)
        return ig_fail(err, IG_INVALID, "scales of type %s", ig_network_type_name(tensor->type));
    for (uint32_t i = 0; i < q->count; i++) {
        if (!isfinite(q->scales[i]) || q->scales[i] <= 0)
            return ig_fail(err, IG_INVALID, "scale %u is %g, expected a positive number", i,
                           (double)q->scales[i]);
        int32_t zero = q->zero_points[i];
        if (tensor->type == IG_NETWORK_I32 ? zero != 0 : zero < INT8_MIN || zero > INT8_MAX)
            return ig_fail(err, IG_INVALID, "zero point %u is %d", i, zero);
    }
    return IG_OK;
}

static enum ig_code check_tensor(const struct ig_network_tensor *tensor, struct ig_err *err)
{
    size_t bytes;
    if (tensor->rank > IG_NETWORK_RANK_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "rank %u, at most %d", tensor->rank,
                       IG_NETWORK_RANK_MAX);
    if (!ig_network_measure(tensor, &bytes))
        return ig_fail(err, IG_UNSUPPORTED,
                       "a type or dimensions that are not allowed (at most %d elements, none 0)",
                       IG_NETWORK_ELEMENTS_MAX);
    if (!tensor->data && tensor->type != IG_NETWORK_F32 && tensor->type != IG_NETWORK_I8)
        return ig_fail(err, IG_UNSUPPORTED, "type %s is of constants alone",
                       ig_network_type_name(tensor->type));
    if (tensor->type == IG_NETWORK_I8 && tensor->quantization.count == 0)
        return ig_fail(err, IG_INVALID, "int8 without a scale");
    if (!tensor->data && tensor->quantization.count > 1)
        return ig_fail(err, IG_INVALID, "%u scales, but only constants have more than one",
                       tensor->quantization.count);
    return check_quantization(tensor, err);
}

static enum ig_code check_tensors(const struct ig_network *network, struct ig_err *err)
{
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[i];
        if (check_tensor(tensor, err)) {
            ig_err_prefix(err, "tensor %u '%.*s'", i, IG_STR_ARGS(tensor->name));
            return ig_err_code(err);
        }
    }
    return IG_OK;
}

static enum ig_code check_ends(const struct ig_network *network, uint32_t *given,
                               struct ig_err *err)
{
    if (network->outputs_count == 0) return ig_fail(err, IG_INVALID, "the network has no output");
    for (uint32_t i = 0; i < network->tensors_count; i++)
        if (network->tensors[i].data) given[i] = GIVEN_OUTSIDE;
    for (uint32_t i = 0; i < network->inputs_count; i++) {
        uint32_t tensor = network->inputs[i];
        if (tensor >= network->tensors_count || given[tensor])
            return ig_fail(err, IG_INVALID,
                           "input %u is tensor %u: unknown, a constant, or an input before", i,
                           tensor);
        given[tensor] = GIVEN_OUTSIDE;
    }
    return IG_OK;
}

static bool windowed(enum ig_network_op op)
{
    return op == IG_NETWORK_CONV_2D || op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           op == IG_NETWORK_AVERAGE_POOL_2D || op == IG_NETWORK_MAX_POOL_2D;
}

bool ig_network_has_weights(enum ig_network_op op)
{
    return op == IG_NETWORK_CONV_2D || op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           op == IG_NETWORK_FULLY_CONNECTED;
}

static bool activates(enum ig_network_op op)
{
    return windowed(op) || op == IG_NETWORK_FULLY_CONNECTED || op == IG_NETWORK_ADD ||
           op == IG_NETWORK_SUB || op == IG_NETWORK_MUL;
}

/* Indices and numbers of a layer; marks its output. */
static enum ig_code check_wiring(const struct ig_network *network, uint32_t index, uint32_t *given,
                                 struct ig_err *err)
{
    static const struct {
        uint32_t least, most;
    } inputs[IG_NETWORK_OPS_COUNT] = {
#define IG_NETWORK_OP(name, inputs_min, inputs_max, doc) {inputs_min, inputs_max},
#include "model/network_ops.def"
#undef IG_NETWORK_OP
    };
    const struct ig_network_layer *layer = &network->layers[index];
    uint32_t count = layer->inputs_count;
    if (count < inputs[layer->op].least || count > inputs[layer->op].most)
        return ig_fail(err, IG_INVALID, "%u inputs, expected %u to %u", count,
                       inputs[layer->op].least, inputs[layer->op].most);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t tensor = layer->inputs[i];
        if (tensor == IG_NETWORK_NONE && i == 2 && ig_network_has_weights(layer->op)) continue;
        if (tensor >= network->tensors_count || !given[tensor])
            return ig_fail(err, IG_INVALID, "input %u (tensor %u) comes from no earlier layer", i,
                           tensor);
    }
    if (layer->output >= network->tensors_count || given[layer->output])
        return ig_fail(err, IG_INVALID, "output tensor %u is unknown or given twice",
                       layer->output);
    given[layer->output] = index + GIVEN_BY_LAYER;
    if ((uint32_t)layer->activation >= IG_NETWORK_ACTIVATIONS_COUNT ||
        (layer->activation && !activates(layer->op)))
        return ig_fail(err, IG_INVALID, "activation %d", (int)layer->activation);
    if (layer->op == IG_NETWORK_SOFTMAX && !(layer->beta > 0 && isfinite(layer->beta)))
        return ig_fail(err, IG_INVALID, "beta is %g, expected a positive number",
                       (double)layer->beta);
    return IG_OK;
}

/* Weights and bias are constants, or what DEQUANTIZE makes of one. */
static enum ig_code check_constant(const struct ig_network *network, uint32_t tensor,
                                   const uint32_t *given, struct ig_err *err)
{
    if (network->tensors[tensor].data) return IG_OK;
    if (given[tensor] >= GIVEN_BY_LAYER) {
        const struct ig_network_layer *source = &network->layers[given[tensor] - GIVEN_BY_LAYER];
        if (source->op == IG_NETWORK_DEQUANTIZE && network->tensors[source->inputs[0]].data)
            return IG_OK;
    }
    return ig_fail(err, IG_UNSUPPORTED, "weights or bias (tensor %u) are no constant", tensor);
}

static uint32_t products(const struct ig_network_layer *layer,
                         const struct ig_network_tensor *weights)
{
    if (layer->op == IG_NETWORK_FULLY_CONNECTED) return weights->dims[1];
    size_t count = (size_t)weights->dims[1] * weights->dims[2];
    if (layer->op == IG_NETWORK_CONV_2D) count *= weights->dims[3];
    return (uint32_t)(count > UINT32_MAX ? UINT32_MAX : count);
}

/* Scales of an int8 layer's weights and bias: of input * weights, as far as the output sees it. */
static enum ig_code check_scales(const struct ig_network *network,
                                 const struct ig_network_layer *layer, struct ig_err *err)
{
    const struct ig_network_quantization *in = &network->tensors[layer->inputs[0]].quantization;
    const struct ig_network_quantization *w = &ig_network_input(network, layer, 1)->quantization;
    const struct ig_network_tensor *bias = ig_network_input(network, layer, 2);
    const struct ig_network_quantization *out = &network->tensors[layer->output].quantization;
    if (!bias || bias->quantization.count == 0) return IG_OK;
    if (bias->quantization.count != w->count)
        return ig_fail(err, IG_INVALID, "%u scales of the bias, %u of the weights",
                       bias->quantization.count, w->count);
    for (uint32_t c = 0; c < w->count; c++) {
        double expected = (double)in->scales[0] * (double)w->scales[c];
        double difference = fabs(expected - (double)bias->quantization.scales[c]);
        if (difference / (double)out->scales[0] > 0.02)
            return ig_fail(err, IG_INVALID,
                           "scale %u of the bias is %g, expected input * weights = %g", c,
                           (double)bias->quantization.scales[c], expected);
    }
    return IG_OK;
}

static enum ig_code check_weights(const struct ig_network *network,
                                  const struct ig_network_layer *layer, const uint32_t *given,
                                  struct ig_err *err)
{
    const struct ig_network_tensor *weights = ig_network_input(network, layer, 1);
    const struct ig_network_tensor *bias = ig_network_input(network, layer, 2);
    enum ig_network_type in = network->tensors[layer->inputs[0]].type;
    uint32_t channel = layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ? 3 : 0;
    if (check_constant(network, layer->inputs[1], given, err)) return ig_err_code(err);
    if (bias && check_constant(network, layer->inputs[2], given, err)) return ig_err_code(err);
    if (weights->type != IG_NETWORK_I8 && (in != IG_NETWORK_F32 || weights->type != IG_NETWORK_F32))
        return ig_fail(err, IG_UNSUPPORTED, "weights of type %s with an input of type %s",
                       ig_network_type_name(weights->type), ig_network_type_name(in));
    if (weights->quantization.count > 1 && weights->quantization.dimension != channel)
        return ig_fail(err, IG_INVALID, "scales of weights along dimension %u, expected %u",
                       weights->quantization.dimension, channel);
    for (uint32_t c = 0; c < weights->quantization.count; c++)
        if (weights->quantization.zero_points[c] != 0)
            return ig_fail(err, IG_UNSUPPORTED, "zero point %u of the weights is %d, expected 0", c,
                           weights->quantization.zero_points[c]);
    enum ig_network_type wanted = in == IG_NETWORK_I8 ? IG_NETWORK_I32 : IG_NETWORK_F32;
    if (bias &&
        (bias->type != wanted || bias->rank != 1 || bias->dims[0] != weights->dims[channel]))
        return ig_fail(err, IG_INVALID, "the bias is no vector of %u elements of type %s",
                       weights->dims[channel], ig_network_type_name(wanted));
    if (in != IG_NETWORK_I8) return IG_OK;
    if (products(layer, weights) > IG_NETWORK_PRODUCTS_I8_MAX)
        return ig_fail(err, IG_UNSUPPORTED, "%u products of int8 a sum, at most %d",
                       products(layer, weights), IG_NETWORK_PRODUCTS_I8_MAX);
    return check_scales(network, layer, err);
}

static bool same_steps(const struct ig_network_tensor *a, const struct ig_network_tensor *b)
{
    const struct ig_network_quantization *p = &a->quantization, *q = &b->quantization;
    return p->zero_points[0] == q->zero_points[0] &&
           fabsf(p->scales[0] - q->scales[0]) <= 1e-6F * p->scales[0];
}

/* Int8 rules of the operators without weights. */
static enum ig_code check_steps(const struct ig_network *network,
                                const struct ig_network_layer *layer, struct ig_err *err)
{
    const struct ig_network_tensor *out = &network->tensors[layer->output];
    const struct ig_network_quantization *q = &out->quantization;
    switch (layer->op) {
    case IG_NETWORK_AVERAGE_POOL_2D:
    case IG_NETWORK_MAX_POOL_2D:
    case IG_NETWORK_RESHAPE:
    case IG_NETWORK_PAD:
    case IG_NETWORK_CONCATENATION:
        for (uint32_t i = 0; i < layer->inputs_count; i++)
            if (!same_steps(ig_network_input(network, layer, i), out))
                return ig_fail(err, IG_INVALID, "scale or zero point of input %u and output differ",
                               i);
        return IG_OK;
    case IG_NETWORK_SOFTMAX:
    case IG_NETWORK_LOGISTIC:
        if (q->zero_points[0] == -128 && fabsf(q->scales[0] - 1.0F / 256) <= 1e-8F) return IG_OK;
        return ig_fail(err, IG_INVALID,
                       "output scale %g and zero point %d, expected 1/256 and -128",
                       (double)q->scales[0], q->zero_points[0]);
    case IG_NETWORK_TANH:
        if (q->zero_points[0] == 0 && fabsf(q->scales[0] - 1.0F / 128) <= 1e-8F) return IG_OK;
        return ig_fail(err, IG_INVALID, "output scale %g and zero point %d, expected 1/128 and 0",
                       (double)q->scales[0], q->zero_points[0]);
    default:
        return IG_OK;
    }
}

static enum ig_code check_types(const struct ig_network *network,
                                const struct ig_network_layer *layer, const uint32_t *given,
                                struct ig_err *err)
{
    enum ig_network_type in = network->tensors[layer->inputs[0]].type;
    enum ig_network_type out = network->tensors[layer->output].type;
    bool converts = layer->op == IG_NETWORK_QUANTIZE || layer->op == IG_NETWORK_DEQUANTIZE;
    bool good = (in == IG_NETWORK_F32 || in == IG_NETWORK_I8) && in == out;
    if (layer->op == IG_NETWORK_QUANTIZE)
        good = (in == IG_NETWORK_F32 || in == IG_NETWORK_I8) && out == IG_NETWORK_I8;
    if (layer->op == IG_NETWORK_DEQUANTIZE)
        good = (in == IG_NETWORK_F16 || in == IG_NETWORK_I8) && out == IG_NETWORK_F32;
    if (!good)
        return ig_fail(err, IG_UNSUPPORTED, "input of type %s, output of type %s",
                       ig_network_type_name(in), ig_network_type_name(out));
    if (ig_network_has_weights(layer->op)) return check_weights(network, layer, given, err);
    for (uint32_t i = 0; i < layer->inputs_count; i++) {
        const struct ig_network_tensor *tensor = ig_network_input(network, layer, i);
        if (tensor->type != in)
            return ig_fail(err, IG_UNSUPPORTED, "input %u is of type %s, input 0 of %s", i,
                           ig_network_type_name(tensor->type), ig_network_type_name(in));
        if (layer->op != IG_NETWORK_DEQUANTIZE && tensor->quantization.count > 1)
            return ig_fail(err, IG_UNSUPPORTED, "input %u has %u scales", i,
                           tensor->quantization.count);
    }
    return in == IG_NETWORK_I8 && !converts ? check_steps(network, layer, err) : IG_OK;
}

static enum ig_code check_shape(const struct ig_network *network,
                                const struct ig_network_layer *layer, struct ig_err *err)
{
    const struct ig_network_tensor *out = &network->tensors[layer->output];
    uint32_t dims[IG_NETWORK_RANK_MAX], rank;
    if (ig_network_infer(network, layer, dims, &rank, err)) return ig_err_code(err);
    if (rank != out->rank)
        return ig_fail(err, IG_INVALID, "the output has rank %u, expected %u", out->rank, rank);
    for (uint32_t d = 0; d < rank; d++)
        if (dims[d] != out->dims[d])
            return ig_fail(err, IG_INVALID, "dimension %u of the output is %u, expected %u", d,
                           out->dims[d], dims[d]);
    return IG_OK;
}

static enum ig_code check_layer(const struct ig_network *network, uint32_t index, uint32_t *given,
                                struct ig_err *err)
{
    const struct ig_network_layer *layer = &network->layers[index];
    if ((uint32_t)layer->op >= IG_NETWORK_OPS_COUNT)
        return ig_fail(err, IG_INVALID, "layer %u: operator %d is unknown", index, (int)layer->op);
    if (check_wiring(network, index, given, err) || check_types(network, layer, given, err) ||
        check_shape(network, layer, err)) {
        ig_err_prefix(err, "layer %u (%s)", index, ig_network_op_name(layer->op));
        return ig_err_code(err);
    }
    return IG_OK;
}

static enum ig_code check_all(const struct ig_network *network, uint32_t *given, struct ig_err *err)
{
    if (check_tensors(network, err) || check_ends(network, given, err)) return ig_err_code(err);
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (check_layer(network, i, given, err)) return ig_err_code(err);
    for (uint32_t i = 0; i < network->outputs_count; i++) {
        uint32_t tensor = network->outputs[i];
        if (tensor >= network->tensors_count || !given[tensor] || network->tensors[tensor].data)
            return ig_fail(err, IG_INVALID, "output %u (tensor %u) comes from no layer or input", i,
                           tensor);
    }
    return IG_OK;
}

enum ig_code ig_network_check(const struct ig_network *network, struct ig_err *err)
{
    if (network->arena.overflowed)
        return ig_fail(err, IG_NO_MEMORY, "the network exceeds its memory or a limit");
    if (network->tensors_count > IG_NETWORK_TENSORS_MAX ||
        network->layers_count > IG_NETWORK_LAYERS_MAX ||
        network->inputs_count > network->tensors_count ||
        network->outputs_count > network->tensors_count)
        return ig_fail(err, IG_UNSUPPORTED, "%u tensors, %u layers: at most %d and %d",
                       network->tensors_count, network->layers_count, IG_NETWORK_TENSORS_MAX,
                       IG_NETWORK_LAYERS_MAX);
    if (network->rounding != IG_NETWORK_ROUNDING_SINGLE &&
        network->rounding != IG_NETWORK_ROUNDING_DOUBLE)
        return ig_fail(err, IG_INVALID, "rounding %d is unknown", (int)network->rounding);
    uint32_t *given = ig_zalloc_array(network->tensors_count + (size_t)1, sizeof *given);
    if (!given)
        return ig_fail(err, IG_NO_MEMORY, "no memory to check %u tensors", network->tensors_count);
    check_all(network, given, err);
    ig_free(given);
    return err->code;
}
