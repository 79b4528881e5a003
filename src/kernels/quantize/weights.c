/* SPDX-License-Identifier: Apache-2.0 */
/* Constants in fewer bits. Int8 weights are those of post-training quantization, without its
 * activations; TensorFlow Lite calls that dynamic range. */
#include "kernels/quantize/weights.h"

#include "base/mem.h"
#include "kernels/quantize/steps.h"

#include <math.h>

enum { FIXED_BYTES = 1 << 20, HALF_FRACTION_BITS = 10, HALF_LEAST = -14 };

uint16_t ig_weights_half(float value)
{
    uint32_t sign = signbit(value) ? 0x8000 : 0;
    float magnitude = fabsf(value);
    int exponent;
    if (isnan(value)) return 0x7e00;
    if (magnitude >= 65520) return (uint16_t)(sign | 0x7c00);
    frexpf(magnitude, &exponent);
    exponent = exponent - 1 < HALF_LEAST ? HALF_LEAST : exponent - 1;
    /* as so many of the last place; one too many carries into the exponent, as it should */
    uint32_t steps = (uint32_t)rintf(ldexpf(magnitude, HALF_FRACTION_BITS - exponent));
    if (magnitude == 0) return (uint16_t)sign;
    uint32_t bits = steps + ((uint32_t)(exponent - HALF_LEAST) << HALF_FRACTION_BITS);
    return (uint16_t)(sign | bits);
}

static bool has_weights(const struct ig_network_layer *layer)
{
    return layer->op == IG_NETWORK_CONV_2D || layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           layer->op == IG_NETWORK_FULLY_CONNECTED;
}

/* ---- halves ---- */

static enum ig_code as_half(struct ig_network *out, struct ig_network_tensor *tensor,
                            struct ig_err *err)
{
    size_t count = ig_network_tensor_count(tensor);
    const float *values = tensor->data;
    uint16_t *halves = ig_arena_array(&out->arena, count, sizeof *halves);
    if (!halves) return ig_fail(err, IG_NO_MEMORY, "halves");
    for (size_t i = 0; i < count; i++) {
        halves[i] = ig_weights_half(values[i]);
        if ((halves[i] & 0x7c00) == 0x7c00)
            return ig_fail(err, IG_INVALID, "%g is beyond a half's range", (double)values[i]);
    }
    tensor->data = halves;
    tensor->type = IG_NETWORK_F16;
    return IG_OK;
}

/* Every tensor in its place, then those that DEQUANTIZE gives; those layers come first. */
static enum ig_code halve(struct ig_network *out, const struct ig_network *from, struct ig_err *err)
{
    uint32_t *given = ig_arena_array(&out->arena, from->tensors_count, sizeof *given);
    if (!given) return ig_fail(err, IG_NO_MEMORY, "halves");
    for (uint32_t i = 0; i < from->tensors_count; i++) {
        struct ig_network_tensor tensor = from->tensors[i];
        if (tensor.data && tensor.type == IG_NETWORK_F32 && as_half(out, &tensor, err))
            return ig_err_code(err);
        given[i] = ig_network_add_tensor(out, &tensor);
    }
    for (uint32_t i = 0; i < from->tensors_count; i++) {
        struct ig_network_tensor tensor = from->tensors[i];
        if (!tensor.data || tensor.type != IG_NETWORK_F32) continue;
        tensor.data = NULL;
        given[i] = ig_network_add_tensor(out, &tensor);
        const struct ig_network_layer layer = {
            .op = IG_NETWORK_DEQUANTIZE, .inputs = &i, .inputs_count = 1, .output = given[i]};
        ig_network_add_layer(out, &layer);
    }
    for (uint32_t i = 0; i < from->layers_count; i++) {
        struct ig_network_layer layer = from->layers[i];
        uint32_t *inputs = ig_arena_array(&out->arena, layer.inputs_count, sizeof *inputs);
        for (uint32_t k = 0; inputs && k < layer.inputs_count; k++)
            inputs[k] =
                layer.inputs[k] == IG_NETWORK_NONE ? IG_NETWORK_NONE : given[layer.inputs[k]];
        layer.inputs = inputs;
        ig_network_add_layer(out, &layer);
    }
    return IG_OK;
}

/* ---- int8 ---- */

static enum ig_code as_int8(struct ig_network *out, struct ig_network_tensor *tensor,
                            uint32_t dimension, struct ig_err *err)
{
    size_t count = ig_network_tensor_count(tensor);
    uint32_t channels = tensor->dims[dimension];
    const float *values = tensor->data;
    int8_t *steps = ig_arena_alloc(&out->arena, count);
    float *scales = ig_arena_array(&out->arena, channels, sizeof *scales);
    int32_t *zeros = ig_arena_array(&out->arena, channels, sizeof *zeros);
    if (!steps || !scales || !zeros) return ig_fail(err, IG_NO_MEMORY, "int8 weights");
    size_t each = count / channels, stride = dimension ? channels : 1;
    for (uint32_t c = 0; c < channels; c++) {
        size_t first = dimension ? c : c * each;
        const struct ig_steps_weights part = {values + first, each, stride, 0, 0};
        scales[c] = ig_steps_weight_scale(&part);
        for (size_t k = 0; k < each; k++)
            steps[first + k * stride] =
                ig_steps_quantize_weight(scales[c], values[first + k * stride]);
    }
    tensor->data = steps;
    tensor->type = IG_NETWORK_I8;
    tensor->quantization = (struct ig_network_quantization){scales, zeros, channels, dimension};
    return IG_OK;
}

static enum ig_code make_int8(struct ig_network *out, const struct ig_network *from,
                              struct ig_err *err)
{
    for (uint32_t i = 0; i < from->tensors_count; i++) {
        struct ig_network_tensor tensor = from->tensors[i];
        const struct ig_network_layer *user = NULL;
        for (uint32_t k = 0; k < from->layers_count && !user; k++)
            if (has_weights(&from->layers[k]) && from->layers[k].inputs[1] == i)
                user = &from->layers[k];
        bool depthwise = user && user->op == IG_NETWORK_DEPTHWISE_CONV_2D;
        if (user && tensor.data && as_int8(out, &tensor, depthwise ? 3 : 0, err))
            return ig_err_code(err);
        if (!user && tensor.data)
            tensor.data = ig_network_keep(out, tensor.data, ig_network_tensor_bytes(&tensor));
        ig_network_add_tensor(out, &tensor);
    }
    for (uint32_t i = 0; i < from->layers_count; i++) ig_network_add_layer(out, &from->layers[i]);
    return IG_OK;
}

enum ig_code ig_weights_run(struct ig_network **out, const struct ig_network *network,
                            enum ig_weights_form form, struct ig_err *err)
{
    for (uint32_t i = 0; i < network->tensors_count; i++)
        if (network->tensors[i].type != IG_NETWORK_F32)
            return ig_fail(err, IG_UNSUPPORTED, "tensor %u is of type %s, expected float32", i,
                           ig_network_type_name(network->tensors[i].type));
    struct ig_network *made = ig_network_new(4 * ig_network_bytes(network) + FIXED_BYTES);
    if (!made) return ig_fail(err, IG_NO_MEMORY, "the network");
    enum ig_code code =
        form == IG_WEIGHTS_F16 ? halve(made, network, err) : make_int8(made, network, err);
    if (code == IG_OK && (!ig_network_set_inputs(made, network->inputs, network->inputs_count) ||
                          !ig_network_set_outputs(made, network->outputs, network->outputs_count)))
        code = ig_fail(err, IG_NO_MEMORY, "the network");
    if (code == IG_OK) code = ig_network_check(made, err);
    if (code == IG_OK)
        *out = made;
    else
        ig_network_free(made);
    return code;
}
