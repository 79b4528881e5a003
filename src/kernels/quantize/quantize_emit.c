/* SPDX-License-Identifier: Apache-2.0 */
/* The int8 form of a network: tensors with steps, weights and biases as integers. Weights that two
 * layers share become two, as their biases count in different steps. Source: LiteRT 8-bit
 * quantization specification. */
#include "base/mem.h"
#include "kernels/quantize/quantize.h"

#include <math.h>

enum { FIXED_BYTES = 1 << 20 };

struct emitter {
    struct ig_network *out;
    const struct ig_network *from;
    struct ig_backprop *bp;
    uint32_t *places; /* by tensor of `from`: of activations in `out` */
    struct ig_steps *steps;
    float *scales; /* of a layer's weights */
};

static bool has_weights(enum ig_network_op op)
{
    return op == IG_NETWORK_CONV_2D || op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           op == IG_NETWORK_FULLY_CONNECTED;
}

/* The layer that gives a tensor; NULL: none does. */
static const struct ig_network_layer *giver(const struct emitter *e, uint32_t tensor)
{
    for (uint32_t i = 0; i < e->from->layers_count; i++)
        if (e->from->layers[i].output == tensor) return &e->from->layers[i];
    return NULL;
}

/* Steps of each activation: its root's range, or what its operator prescribes. */
static enum ig_code find_steps(struct emitter *e, struct ig_err *err)
{
    const struct ig_range *ranges = ig_backprop_ranges(e->bp);
    for (uint32_t i = 0; i < e->from->tensors_count; i++) {
        uint32_t root = ig_backprop_root(e->bp, i);
        const struct ig_network_layer *layer = giver(e, root);
        if (!layer && root != e->from->inputs[0]) continue; /* a constant, or nobody's */
        if (layer && ig_steps_fixed(layer->op, &e->steps[i])) continue;
        if (!(ranges[root].least <= ranges[root].most))
            return ig_fail(err, IG_INVALID, "tensor %u: its range is not known", i);
        e->steps[i] = ig_steps_of_range(ranges[root]);
    }
    return IG_OK;
}

static uint32_t add_activation(struct emitter *e, uint32_t tensor)
{
    struct ig_network_tensor copy = e->from->tensors[tensor];
    copy.type = IG_NETWORK_I8;
    copy.quantization = (struct ig_network_quantization){&e->steps[tensor].scale,
                                                         &e->steps[tensor].zero_point, 1, 0};
    return ig_network_add_tensor(e->out, &copy);
}

static const struct ig_parameter *parameter_of(const struct emitter *e, uint32_t tensor)
{
    uint32_t count, at = 0;
    const struct ig_parameter *parameters = ig_backprop_parameters(e->bp, &count);
    while (at < count && parameters[at].tensor != tensor) at++;
    IG_ASSERT(at < count);
    return &parameters[at];
}

static uint32_t add_weights(struct emitter *e, const struct ig_network_layer *layer, uint32_t count)
{
    const struct ig_parameter *w = parameter_of(e, layer->inputs[1]);
    struct ig_network_tensor tensor = e->from->tensors[layer->inputs[1]];
    int8_t *values = ig_arena_alloc(&e->out->arena, w->count);
    int32_t *zeros = ig_arena_array(&e->out->arena, count, sizeof *zeros);
    if (!values || !zeros) return IG_NETWORK_NONE;
    for (size_t i = 0; i < w->count; i++) {
        size_t c = w->interleaved ? i % w->channels : i / (w->count / w->channels);
        values[i] = ig_steps_quantize_weight(e->scales[count > 1 ? c : 0], w->values[i]);
    }
    tensor.type = IG_NETWORK_I8;
    tensor.data = values;
    tensor.quantization = (struct ig_network_quantization){e->scales, zeros, count,
                                                           count > 1 && w->interleaved ? 3 : 0};
    return ig_network_add_tensor(e->out, &tensor);
}

static uint32_t add_bias(struct emitter *e, const struct ig_network_layer *layer, uint32_t count)
{
    const struct ig_parameter *b = parameter_of(e, layer->inputs[2]);
    struct ig_network_tensor tensor = e->from->tensors[layer->inputs[2]];
    int32_t *values = ig_arena_array(&e->out->arena, b->count, sizeof *values);
    int32_t *zeros = ig_arena_array(&e->out->arena, count, sizeof *zeros);
    float in = e->steps[layer->inputs[0]].scale;
    if (!values || !zeros) return IG_NETWORK_NONE;
    for (uint32_t c = 0; c < count; c++) e->scales[c] *= in;
    for (size_t c = 0; c < b->count; c++) {
        double step = round((double)b->values[c] / (double)e->scales[count > 1 ? c : 0]);
        values[c] = (int32_t)fmin(fmax(step, -0x1p30), 0x1p30);
    }
    tensor.type = IG_NETWORK_I32;
    tensor.data = values;
    tensor.quantization = (struct ig_network_quantization){e->scales, zeros, count, 0};
    return ig_network_add_tensor(e->out, &tensor);
}

static void add_layer(struct emitter *e, uint32_t index)
{
    const struct ig_network_layer *layer = &e->from->layers[index];
    struct ig_network_layer copy = *layer;
    uint32_t inputs[3] = {e->places[layer->inputs[0]], IG_NETWORK_NONE, IG_NETWORK_NONE};
    if (has_weights(layer->op)) {
        uint32_t count = ig_backprop_weight_scales(e->bp, index, e->scales);
        inputs[1] = add_weights(e, layer, count);
        if (ig_network_input(e->from, layer, 2)) inputs[2] = add_bias(e, layer, count);
    } else if (layer->inputs_count == 2) {
        inputs[1] = e->places[layer->inputs[1]];
    }
    e->places[layer->output] = add_activation(e, layer->output);
    copy.inputs = inputs;
    copy.output = e->places[layer->output];
    ig_network_add_layer(e->out, &copy);
}

/* QUANTIZE from or DEQUANTIZE to a float tensor; gives that. */
static uint32_t add_end(struct emitter *e, uint32_t tensor, bool input)
{
    struct ig_network_tensor real = e->from->tensors[tensor];
    uint32_t inner = input ? add_activation(e, tensor) : e->places[tensor];
    uint32_t outer = ig_network_add_tensor(e->out, &real);
    struct ig_network_layer layer = {.op = input ? IG_NETWORK_QUANTIZE : IG_NETWORK_DEQUANTIZE,
                                     .inputs = input ? &outer : &inner,
                                     .inputs_count = 1,
                                     .output = input ? inner : outer};
    ig_network_add_layer(e->out, &layer);
    e->places[tensor] = inner;
    return outer;
}

static enum ig_code emit(struct emitter *e, const struct ig_quantize_form *form, struct ig_err *err)
{
    uint32_t input = e->from->inputs[0], output = e->from->outputs[0], first, last;
    if (find_steps(e, err)) return ig_err_code(err);
    if (form->float_ends)
        first = add_end(e, input, true);
    else
        first = e->places[input] = add_activation(e, input);
    for (uint32_t i = 0; i < e->from->layers_count; i++) add_layer(e, i);
    last = form->float_ends ? add_end(e, output, false) : e->places[output];
    e->out->rounding = form->rounding;
    if (!ig_network_set_inputs(e->out, &first, 1) || !ig_network_set_outputs(e->out, &last, 1))
        return ig_fail(err, IG_NO_MEMORY, "the int8 network");
    return ig_network_check(e->out, err);
}

enum ig_code ig_quantize_emit(struct ig_network **out, struct ig_backprop *backprop,
                              const struct ig_quantize_form *form, struct ig_err *err)
{
    const struct ig_network *from = ig_backprop_network(backprop);
    uint32_t parameters, widest = 1;
    size_t bytes = 0;
    const struct ig_parameter *p = ig_backprop_parameters(backprop, &parameters);
    for (uint32_t i = 0; i < parameters; i++) {
        bytes += p[i].count * 16;
        if (p[i].channels > widest) widest = p[i].channels;
    }
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, (size_t)1 << 28);
    struct emitter e = {.from = from,
                        .bp = backprop,
                        .out = ig_network_new(4 * bytes + 4 * ig_network_bytes(from) + FIXED_BYTES),
                        .places = ig_arena_array(&arena, from->tensors_count, sizeof *e.places),
                        .steps = ig_arena_array(&arena, from->tensors_count, sizeof *e.steps),
                        .scales = ig_arena_array(&arena, widest, sizeof *e.scales)};
    enum ig_code code = !e.out || arena.overflowed ? ig_fail(err, IG_NO_MEMORY, "the int8 network")
                                                   : emit(&e, form, err);
    ig_arena_deinit(&arena);
    if (code == IG_OK)
        *out = e.out;
    else
        ig_network_free(e.out);
    return code;
}
