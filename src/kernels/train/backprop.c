/* SPDX-License-Identifier: Apache-2.0 */
/* A network made ready for training: its parameters as arrays of their own, room for a batch of
 * every activation and its gradient, and the passes over the layers.
 *
 * Invariants: layers stand in topological order, so one loop forward and one backward are enough;
 * gradients of tensors that several layers read add up. */
#include "kernels/train/backprop_priv.h"

#include "base/mem.h"
#include "kernels/train/blas.h"

#include <math.h>

enum { CHUNK_BYTES = 1 << 20, COLUMNS_FLOATS = 1 << 18 };
static const size_t DEFAULT_BYTES = (size_t)1 << 30;

typedef void pass_fn(struct ig_backprop *, const struct bp_layer *);

static const struct {
    pass_fn *forward, *backward;
} passes[IG_NETWORK_OPS_COUNT] = {
    [IG_NETWORK_CONV_2D] = {bp_conv_forward, bp_conv_backward},
    [IG_NETWORK_DEPTHWISE_CONV_2D] = {bp_depthwise_forward, bp_depthwise_backward},
    [IG_NETWORK_FULLY_CONNECTED] = {bp_dense_forward, bp_dense_backward},
    [IG_NETWORK_AVERAGE_POOL_2D] = {bp_average_forward, bp_average_backward},
    [IG_NETWORK_MAX_POOL_2D] = {bp_max_forward, bp_max_backward},
    [IG_NETWORK_RESHAPE] = {bp_copy_forward, bp_copy_backward},
    [IG_NETWORK_PAD] = {bp_pad_forward, bp_pad_backward},
    [IG_NETWORK_ADD] = {bp_add_forward, bp_add_backward},
    [IG_NETWORK_SOFTMAX] = {bp_softmax_forward, bp_softmax_backward},
    [IG_NETWORK_LOGISTIC] = {bp_logistic_forward, bp_logistic_backward},
    [IG_NETWORK_TANH] = {bp_tanh_forward, bp_tanh_backward},
    [IG_NETWORK_RELU] = {bp_copy_forward, bp_copy_backward},
    [IG_NETWORK_RELU6] = {bp_copy_forward, bp_copy_backward},
    [IG_NETWORK_RELU_N1_TO_1] = {bp_copy_forward, bp_copy_backward},
};

bool ig_backprop_trains(enum ig_network_op op)
{
    return passes[op].forward != NULL;
}

static void *room(struct ig_backprop *bp, size_t count, size_t item_bytes)
{
    return ig_arena_array(&bp->arena, count, item_bytes);
}

static bool has_weights(enum ig_network_op op)
{
    return op == IG_NETWORK_CONV_2D || op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           op == IG_NETWORK_FULLY_CONNECTED;
}

/* ---- what can be trained ---- */

static enum ig_code check_layer(const struct ig_network *network, uint32_t index,
                                const struct ig_backprop_options *options, struct ig_err *err)
{
    const struct ig_network_layer *layer = &network->layers[index];
    const struct ig_network_tensor *out = &network->tensors[layer->output];
    const char *name = ig_network_op_name(layer->op);
    if (!passes[layer->op].forward)
        return ig_fail(err, IG_UNSUPPORTED, "layer %u (%s): this operator cannot be trained", index,
                       name);
    for (uint32_t i = 0; i < layer->inputs_count; i++) {
        const struct ig_network_tensor *tensor = ig_network_input(network, layer, i);
        bool constant = has_weights(layer->op) && i > 0;
        if (tensor && (tensor->type != IG_NETWORK_F32 || !tensor->data != !constant))
            return ig_fail(err, IG_UNSUPPORTED,
                           "layer %u (%s): input %u, expected %s of type float32", index, name, i,
                           constant ? "a constant" : "an activation");
    }
    if (has_weights(layer->op) && options->batch_norm && options->batch_norm[index] &&
        !ig_network_input(network, layer, 2))
        return ig_fail(err, IG_INVALID, "layer %u (%s): batch norm needs a bias", index, name);
    if (!has_weights(layer->op) && options->batch_norm && options->batch_norm[index])
        return ig_fail(err, IG_INVALID, "layer %u (%s): batch norm without weights", index, name);
    if (layer->op == IG_NETWORK_ADD &&
        ig_network_tensor_count(ig_network_input(network, layer, 0)) !=
            ig_network_tensor_count(ig_network_input(network, layer, 1)))
        return ig_fail(err, IG_UNSUPPORTED, "layer %u (%s): the addends' shapes differ", index,
                       name);
    if (layer->op != IG_NETWORK_RESHAPE && layer->op != IG_NETWORK_FULLY_CONNECTED &&
        out->dims[0] != 1)
        return ig_fail(err, IG_UNSUPPORTED, "layer %u (%s): a batch of %u, expected 1", index, name,
                       out->dims[0]);
    return IG_OK;
}

static enum ig_code check_network(const struct ig_network *network,
                                  const struct ig_backprop_options *options, struct ig_err *err)
{
    if (options->batch_max == 0) return ig_fail(err, IG_INVALID, "batch_max is 0");
    if (network->inputs_count != 1 || network->outputs_count != 1)
        return ig_fail(err, IG_UNSUPPORTED, "%u inputs and %u outputs, expected one of each",
                       network->inputs_count, network->outputs_count);
    if (network->layers_count == 0) return ig_fail(err, IG_INVALID, "the network has no layer");
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (check_layer(network, i, options, err)) return ig_err_code(err);
    return IG_OK;
}

/* ---- building ---- */

static struct ig_parameter *add_parameter(struct ig_backprop *bp, enum ig_parameter_kind kind,
                                          uint32_t layer, uint32_t tensor)
{
    for (uint32_t i = 0; tensor != IG_NETWORK_NONE && i < bp->parameters_count; i++)
        if (bp->parameters[i].tensor == tensor) return &bp->parameters[i];
    const struct ig_network_layer *of = &bp->network->layers[layer];
    const struct ig_network_tensor *weights = ig_network_input(bp->network, of, 1);
    bool depthwise = of->op == IG_NETWORK_DEPTHWISE_CONV_2D;
    struct ig_parameter *parameter = &bp->parameters[bp->parameters_count++];
    *parameter = (struct ig_parameter){.kind = kind,
                                       .tensor = tensor,
                                       .layer = layer,
                                       .channels = weights->dims[depthwise ? 3 : 0],
                                       .interleaved = depthwise};
    parameter->count =
        kind == IG_PARAMETER_WEIGHTS ? ig_network_tensor_count(weights) : parameter->channels;
    parameter->values = room(bp, parameter->count, sizeof *parameter->values);
    parameter->gradients = room(bp, parameter->count, sizeof *parameter->gradients);
    parameter->used = kind == IG_PARAMETER_WEIGHTS
                          ? room(bp, parameter->count, sizeof *parameter->used)
                          : parameter->values;
    if (bp->arena.overflowed) return parameter;
    for (size_t i = 0; i < parameter->count; i++)
        parameter->values[i] = tensor == IG_NETWORK_NONE
                                   ? 1.0F
                                   : ((const float *)bp->network->tensors[tensor].data)[i];
    if (kind == IG_PARAMETER_WEIGHTS)
        memcpy(parameter->used, parameter->values, parameter->count * sizeof *parameter->used);
    return parameter;
}

static struct bp_norm *add_norm(struct ig_backprop *bp, uint32_t index, size_t elements)
{
    struct bp_norm *norm = room(bp, 1, sizeof *norm);
    if (!norm) return NULL;
    norm->gain = add_parameter(bp, IG_PARAMETER_GAIN, index, IG_NETWORK_NONE);
    uint32_t channels = norm->gain->channels;
    norm->mean = room(bp, channels, sizeof(float));
    norm->variance = room(bp, channels, sizeof(float));
    norm->inverse = room(bp, channels, sizeof(float));
    norm->center = room(bp, channels, sizeof(float));
    norm->normed = room(bp, elements, bp->batch_max * sizeof(float));
    if (bp->arena.overflowed) return NULL;
    for (uint32_t c = 0; c < channels; c++) norm->variance[c] = 1;
    return norm;
}

static void set_geometry(struct bp_geometry *g, const struct ig_network *network,
                         const struct ig_network_layer *layer)
{
    const struct ig_network_tensor *in = ig_network_input(network, layer, 0);
    const struct ig_network_tensor *out = &network->tensors[layer->output];
    const struct ig_network_window *window = &layer->window;
    ig_network_filter(network, layer, &g->filter_h, &g->filter_w);
    g->in_h = in->dims[1], g->in_w = in->dims[2], g->in_c = in->dims[3];
    g->out_h = out->dims[1], g->out_w = out->dims[2], g->out_c = out->dims[3];
    g->stride_h = window->stride_h, g->stride_w = window->stride_w;
    g->dilation_h = window->dilation_h ? window->dilation_h : 1;
    g->dilation_w = window->dilation_w ? window->dilation_w : 1;
    g->pad_h =
        ig_network_pad_before(window->padding, g->in_h, g->filter_h, g->stride_h, g->dilation_h);
    g->pad_w =
        ig_network_pad_before(window->padding, g->in_w, g->filter_w, g->stride_w, g->dilation_w);
}

static enum ig_network_activation activation_of(const struct ig_network_layer *layer)
{
    switch (layer->op) {
    case IG_NETWORK_RELU:
        return IG_NETWORK_ACTIVATION_RELU;
    case IG_NETWORK_RELU6:
        return IG_NETWORK_ACTIVATION_RELU6;
    case IG_NETWORK_RELU_N1_TO_1:
        return IG_NETWORK_ACTIVATION_RELU_N1_TO_1;
    default:
        return layer->activation;
    }
}

static void make_layer(struct ig_backprop *bp, uint32_t index, bool norm)
{
    const struct ig_network_layer *layer = &bp->network->layers[index];
    struct bp_layer *made = &bp->layers[index];
    *made = (struct bp_layer){.layer = layer,
                              .in = &bp->tensors[layer->inputs[0]],
                              .out = &bp->tensors[layer->output],
                              .activation = activation_of(layer),
                              .forward = passes[layer->op].forward,
                              .backward = passes[layer->op].backward};
    made->out->root = ig_steps_shared(layer->op) ? made->in->root : layer->output;
    made->out->has_fixed = ig_steps_fixed(layer->op, &made->out->fixed);
    if (layer->op == IG_NETWORK_ADD) made->other = &bp->tensors[layer->inputs[1]];
    if (has_weights(layer->op)) {
        made->weights = add_parameter(bp, IG_PARAMETER_WEIGHTS, index, layer->inputs[1]);
        if (ig_network_input(bp->network, layer, 2))
            made->bias = add_parameter(bp, IG_PARAMETER_BIAS, index, layer->inputs[2]);
        if (norm) made->norm = add_norm(bp, index, made->out->count);
    }
    if (layer->op == IG_NETWORK_CONV_2D || layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ||
        layer->op == IG_NETWORK_AVERAGE_POOL_2D || layer->op == IG_NETWORK_MAX_POOL_2D)
        set_geometry(&made->geometry, bp->network, layer);
}

/* Room for the columns of as many images as fit a cache, of the convolution that needs most. */
static void make_columns(struct ig_backprop *bp)
{
    size_t most = 0;
    for (uint32_t i = 0; i < bp->network->layers_count; i++) {
        const struct bp_geometry *g = &bp->layers[i].geometry;
        size_t floats = (size_t)g->out_h * g->out_w * g->filter_h * g->filter_w * g->in_c;
        if (bp->network->layers[i].op == IG_NETWORK_CONV_2D && floats > most) most = floats;
    }
    if (most == 0) return;
    bp->columns_images = most > COLUMNS_FLOATS ? 1 : (uint32_t)(COLUMNS_FLOATS / most);
    if (bp->columns_images > bp->batch_max) bp->columns_images = bp->batch_max;
    bp->columns = room(bp, most, bp->columns_images * sizeof(float));
    bp->column_gradients = room(bp, most, bp->columns_images * sizeof(float));
}

static void find_logits(struct ig_backprop *bp)
{
    uint32_t output = bp->network->outputs[0];
    bp->logits = output;
    for (uint32_t i = 0; i < bp->network->layers_count; i++) {
        const struct ig_network_layer *layer = &bp->network->layers[i];
        bool last = layer->op == IG_NETWORK_SOFTMAX || layer->op == IG_NETWORK_LOGISTIC;
        if (layer->output == output && last && !bp->network->tensors[layer->inputs[0]].data)
            bp->logits = layer->inputs[0];
    }
}

static void build(struct ig_backprop *bp, const struct ig_backprop_options *options)
{
    const struct ig_network *network = bp->network;
    bp->tensors = room(bp, network->tensors_count, sizeof *bp->tensors);
    bp->ranges = room(bp, network->tensors_count, sizeof *bp->ranges);
    bp->layers = room(bp, network->layers_count, sizeof *bp->layers);
    bp->parameters = room(bp, network->layers_count * (size_t)3, sizeof *bp->parameters);
    if (bp->arena.overflowed) return;
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        struct bp_tensor *tensor = &bp->tensors[i];
        tensor->root = i;
        tensor->count = ig_network_tensor_count(&network->tensors[i]);
        bp->ranges[i] = (struct ig_range){INFINITY, -INFINITY};
        if (network->tensors[i].data) continue;
        tensor->values = room(bp, tensor->count, bp->batch_max * sizeof(float));
        tensor->gradients = room(bp, tensor->count, bp->batch_max * sizeof(float));
        tensor->passes = room(bp, tensor->count, bp->batch_max);
    }
    for (uint32_t i = 0; i < network->layers_count && !bp->arena.overflowed; i++)
        make_layer(bp, i, options->batch_norm && options->batch_norm[i]);
    make_columns(bp);
    find_logits(bp);
}

enum ig_code ig_backprop_new(struct ig_backprop **out, const struct ig_network *network,
                             const struct ig_backprop_options *options, struct ig_err *err)
{
    if (check_network(network, options, err) || ig_blas_load(err)) return ig_err_code(err);
    struct ig_backprop *bp = ig_zalloc(sizeof *bp);
    if (!bp) return ig_fail(err, IG_NO_MEMORY, "training");
    ig_arena_init(&bp->arena, CHUNK_BYTES, options->max_bytes ? options->max_bytes : DEFAULT_BYTES);
    bp->network = network;
    bp->batch_max = options->batch_max;
    build(bp, options);
    if (bp->arena.overflowed) {
        ig_backprop_free(bp);
        return ig_fail(err, IG_NO_MEMORY, "training with %u rows a batch", options->batch_max);
    }
    *out = bp;
    return IG_OK;
}

void ig_backprop_free(struct ig_backprop *backprop)
{
    if (!backprop) return;
    ig_arena_deinit(&backprop->arena);
    ig_free(backprop);
}

/* ---- passes ---- */

void ig_backprop_forward(struct ig_backprop *bp, const float *rows, uint32_t rows_count,
                         enum ig_backprop_mode mode)
{
    IG_ASSERT(rows_count > 0 && rows_count <= bp->batch_max);
    struct bp_tensor *input = &bp->tensors[bp->network->inputs[0]];
    bp->rows_count = rows_count;
    bp->mode = mode;
    memcpy(input->values, rows, rows_count * input->count * sizeof *rows);
    bp_int8_input(bp);
    if (bp->int8.weights) bp_int8_weights(bp);
    for (uint32_t i = 0; i < bp->network->layers_count; i++) {
        const struct bp_layer *layer = &bp->layers[i];
        layer->forward(bp, layer);
        if (bp->observer.see && layer->weights)
            bp->observer.see(bp->observer.context, i, layer->out->values);
        if (layer->norm) bp_norm_forward(bp, layer);
        bp_finish_forward(bp, layer);
    }
}

void ig_backprop_backward(struct ig_backprop *bp, uint32_t tensor, const float *gradient)
{
    for (uint32_t i = 0; i < bp->network->tensors_count; i++)
        if (bp->tensors[i].gradients)
            memset(bp->tensors[i].gradients, 0,
                   bp->rows_count * bp->tensors[i].count * sizeof(float));
    for (uint32_t i = 0; i < bp->parameters_count; i++)
        memset(bp->parameters[i].gradients, 0, bp->parameters[i].count * sizeof(float));
    memcpy(bp->tensors[tensor].gradients, gradient,
           bp->rows_count * bp->tensors[tensor].count * sizeof *gradient);
    uint32_t last = bp->network->layers_count;
    while (last > 0 && bp->network->layers[last - 1].output != tensor) last--;
    for (uint32_t i = last; i-- > 0;) {
        const struct bp_layer *layer = &bp->layers[i];
        bp_finish_backward(bp, layer);
        if (layer->norm) bp_norm_backward(bp, layer);
        layer->backward(bp, layer);
    }
}

/* ---- the rest ---- */

const struct ig_network *ig_backprop_network(const struct ig_backprop *bp)
{
    return bp->network;
}

struct ig_parameter *ig_backprop_parameters(struct ig_backprop *bp, uint32_t *count)
{
    *count = bp->parameters_count;
    return bp->parameters;
}

const float *ig_backprop_values(const struct ig_backprop *bp, uint32_t tensor)
{
    return bp->tensors[tensor].values;
}

const float *ig_backprop_gradients(const struct ig_backprop *bp, uint32_t tensor)
{
    return bp->tensors[tensor].gradients;
}

uint32_t ig_backprop_logits(const struct ig_backprop *bp)
{
    return bp->logits;
}

uint32_t ig_backprop_input(const struct ig_backprop *bp)
{
    return bp->network->inputs[0];
}

uint32_t ig_backprop_output(const struct ig_backprop *bp)
{
    return bp->network->outputs[0];
}

size_t ig_backprop_elements(const struct ig_backprop *bp, uint32_t tensor)
{
    return bp->tensors[tensor].count;
}

struct ig_range *ig_backprop_ranges(struct ig_backprop *bp)
{
    return bp->ranges;
}

uint32_t ig_backprop_root(const struct ig_backprop *bp, uint32_t tensor)
{
    return bp->tensors[tensor].root;
}

void ig_backprop_observe(struct ig_backprop *bp, const struct ig_backprop_observer *observer)
{
    bp->observer = observer ? *observer : (struct ig_backprop_observer){0};
}

void ig_backprop_simulate(struct ig_backprop *bp, const struct ig_backprop_int8 *options)
{
    ig_backprop_fold(bp);
    bp->int8 = *options;
    for (uint32_t i = 0; i < bp->parameters_count; i++) {
        struct ig_parameter *parameter = &bp->parameters[i];
        if (parameter->kind == IG_PARAMETER_WEIGHTS)
            memcpy(parameter->used, parameter->values, parameter->count * sizeof(float));
    }
}

void ig_backprop_fold(struct ig_backprop *bp)
{
    for (uint32_t i = 0; i < bp->network->layers_count; i++) {
        if (!bp->layers[i].norm) continue;
        bp_norm_fold(&bp->layers[i]);
        bp->layers[i].norm = NULL;
    }
}

/* Copies every array of the state, to `state` or from it. */
static void each_state(const struct ig_backprop *bp, float *state, bool restore)
{
    float *at = state;
    for (uint32_t i = 0; i < bp->parameters_count; i++) {
        const struct ig_parameter *p = &bp->parameters[i];
        memcpy(restore ? p->values : at, restore ? at : p->values, p->count * sizeof *at);
        at += p->count;
    }
    for (uint32_t i = 0; i < bp->network->layers_count; i++) {
        const struct bp_norm *norm = bp->layers[i].norm;
        if (!norm) continue;
        size_t bytes = norm->gain->channels * sizeof *at;
        memcpy(restore ? norm->mean : at, restore ? at : norm->mean, bytes);
        at += norm->gain->channels;
        memcpy(restore ? norm->variance : at, restore ? at : norm->variance, bytes);
        at += norm->gain->channels;
    }
    size_t bytes = bp->network->tensors_count * sizeof *bp->ranges;
    memcpy(restore ? (void *)bp->ranges : at, restore ? at : (void *)bp->ranges, bytes);
}

size_t ig_backprop_state_count(const struct ig_backprop *bp)
{
    size_t count = bp->network->tensors_count * (size_t)2;
    for (uint32_t i = 0; i < bp->parameters_count; i++)
        count += bp->parameters[i].count *
                 (bp->parameters[i].kind == IG_PARAMETER_GAIN ? 3 : 1); /* with two averages */
    return count;
}

void ig_backprop_save(const struct ig_backprop *bp, float *state)
{
    each_state(bp, state, false);
}

void ig_backprop_restore(struct ig_backprop *bp, const float *state)
{
    float *from;
    memcpy(&from, &state, sizeof from); /* it is only read */
    each_state(bp, from, true);
    if (bp->int8.weights) return;
    for (uint32_t i = 0; i < bp->parameters_count; i++)
        if (bp->parameters[i].kind == IG_PARAMETER_WEIGHTS)
            memcpy(bp->parameters[i].used, bp->parameters[i].values,
                   bp->parameters[i].count * sizeof(float));
}

enum ig_code ig_backprop_export(struct ig_network **out, struct ig_backprop *bp, struct ig_err *err)
{
    size_t bytes = 0;
    ig_backprop_fold(bp);
    for (uint32_t i = 0; i < bp->network->tensors_count; i++)
        if (bp->network->tensors[i].data)
            bytes += ig_network_tensor_bytes(&bp->network->tensors[i]);
    struct ig_network *network =
        ig_network_dup(bp->network, 2 * bytes + 2 * ig_network_bytes(bp->network) + CHUNK_BYTES);
    if (!network) return ig_fail(err, IG_NO_MEMORY, "the trained network");
    for (uint32_t i = 0; i < bp->parameters_count; i++) {
        const struct ig_parameter *p = &bp->parameters[i];
        if (p->tensor == IG_NETWORK_NONE) continue;
        for (size_t at = 0; at < p->count; at++)
            if (!isfinite(p->values[at]))
                ig_fail(err, IG_INVALID,
                        "training diverged: a weight of layer %u is not finite (a smaller "
                        "learning rate helps)",
                        p->layer);
        network->tensors[p->tensor].data =
            ig_network_keep(network, p->values, p->count * sizeof *p->values);
    }
    if (err->code != IG_OK || ig_network_check(network, err) != IG_OK) {
        ig_network_free(network);
        return ig_err_code(err);
    }
    *out = network;
    return IG_OK;
}
