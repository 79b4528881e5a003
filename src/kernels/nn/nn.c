/* SPDX-License-Identifier: Apache-2.0 */
/* A network's program: birth (folding, memory plan), run, and the face of rows.
 *
 * A step runs one layer. RESHAPE is no step: its output lies where its input does. A layer whose
 * inputs are all constants runs once, in `new`. Thread rule: immutable after `new`; a run's state
 * is in the caller's scratch. */
#include "kernels/nn/nn_plan.h"
#include "kernels/nn/nn_priv.h"

#include <math.h>
#include <string.h>

enum { ALIGNMENT = 64, CHUNK_BYTES = 64 * 1024 };
static const size_t MAX_BYTES = (size_t)1 << 30;
static const uint64_t MAX_WORK = UINT64_C(1) << 34;

static nn_prepare_fn *const prepare[IG_NETWORK_OPS_COUNT] = {
    [IG_NETWORK_CONV_2D] = nn_prepare_conv,
    [IG_NETWORK_DEPTHWISE_CONV_2D] = nn_prepare_depthwise,
    [IG_NETWORK_FULLY_CONNECTED] = nn_prepare_fully_connected,
    [IG_NETWORK_AVERAGE_POOL_2D] = nn_prepare_pool,
    [IG_NETWORK_MAX_POOL_2D] = nn_prepare_pool,
    [IG_NETWORK_PAD] = nn_prepare_pad,
    [IG_NETWORK_ADD] = nn_prepare_arithmetic,
    [IG_NETWORK_SUB] = nn_prepare_arithmetic,
    [IG_NETWORK_MUL] = nn_prepare_arithmetic,
    [IG_NETWORK_CONCATENATION] = nn_prepare_concatenation,
    [IG_NETWORK_SOFTMAX] = nn_prepare_softmax,
    [IG_NETWORK_LOGISTIC] = nn_prepare_unary,
    [IG_NETWORK_TANH] = nn_prepare_unary,
    [IG_NETWORK_RELU] = nn_prepare_unary,
    [IG_NETWORK_RELU6] = nn_prepare_unary,
    [IG_NETWORK_RELU_N1_TO_1] = nn_prepare_unary,
    [IG_NETWORK_MEAN] = nn_prepare_mean,
    [IG_NETWORK_QUANTIZE] = nn_prepare_quantize,
    [IG_NETWORK_DEQUANTIZE] = nn_prepare_dequantize,
};

enum ig_code nn_no_memory(struct ig_err *err)
{
    return ig_fail(err, IG_NO_MEMORY, "the laid out network exceeds its memory");
}

/* ---- clamps ---- */

static int32_t step_of(const struct ig_network_tensor *tensor, float real)
{
    const struct ig_network_quantization *q = &tensor->quantization;
    double steps = (double)roundf(real / q->scales[0]);
    return (int32_t)fmax(-512, fmin(512, steps)) + q->zero_points[0];
}

void nn_range_i8(const struct ig_network_tensor *out, enum ig_network_activation activation,
                 int32_t *least, int32_t *most)
{
    int32_t low = INT8_MIN, high = INT8_MAX;
    float bound = activation == IG_NETWORK_ACTIVATION_RELU6 ? 6 : 1;
    if (activation == IG_NETWORK_ACTIVATION_RELU_N1_TO_1)
        low = step_of(out, -1);
    else if (activation != IG_NETWORK_ACTIVATION_NONE)
        low = out->quantization.zero_points[0];
    if (activation == IG_NETWORK_ACTIVATION_RELU6 ||
        activation == IG_NETWORK_ACTIVATION_RELU_N1_TO_1)
        high = step_of(out, bound);
    *least = low > INT8_MIN ? low : INT8_MIN;
    *most = high < INT8_MAX ? high : INT8_MAX;
}

void nn_range_f32(enum ig_network_activation activation, float *least, float *most)
{
    bool one = activation == IG_NETWORK_ACTIVATION_RELU_N1_TO_1;
    *least = activation == IG_NETWORK_ACTIVATION_NONE ? -INFINITY : one ? -1 : 0;
    *most = one ? 1 : activation == IG_NETWORK_ACTIVATION_RELU6 ? 6 : INFINITY;
}

/* ---- birth ---- */

/* What `new` works with. */
struct birth {
    struct ig_nn *nn;
    struct ig_err *err;
    uint32_t *root; /* by tensor: the one in whose memory it lies */
    struct ig_nn_buffer *buffers;
    size_t max_bytes;
    uint64_t work_left;
};

static bool all_constant(const struct ig_nn *nn, const struct ig_network_layer *layer)
{
    for (uint32_t i = 0; i < layer->inputs_count; i++)
        if (layer->inputs[i] != IG_NETWORK_NONE && !nn->data[layer->inputs[i]]) return false;
    return true;
}

static enum ig_code fold(struct birth *birth, const struct nn_step *step)
{
    struct ig_nn *nn = birth->nn;
    size_t bytes = ig_network_tensor_bytes(nn_out(nn, step));
    void *data = ig_arena_alloc_aligned(&nn->arena, bytes, ALIGNMENT);
    void *scratch = ig_alloc_aligned(ALIGNMENT, step->scratch_bytes + 1);
    if (!data || !scratch) {
        ig_free(scratch);
        return nn_no_memory(birth->err);
    }
    nn->data[step->layer->output] = data;
    step->run(&(struct nn_run){nn, NULL, scratch}, step);
    ig_free(scratch);
    return IG_OK;
}

/* A small file can ask for very much: what a run may take is bounded. */
static enum ig_code count_work(struct birth *birth, const struct nn_step *step)
{
    uint64_t work = ig_network_tensor_count(nn_out(birth->nn, step));
    for (uint32_t i = 0; i < step->layer->inputs_count; i++) {
        const struct ig_network_tensor *in = nn_in(birth->nn, step, i);
        if (in) work += ig_network_tensor_count(in);
    }
    if (step->products > work) work = step->products;
    if (step->work > work) work = step->work;
    if (work > birth->work_left)
        return ig_fail(birth->err, IG_TOO_LARGE, "a run would take too long: %llu operations more",
                       (unsigned long long)work);
    birth->work_left -= work;
    return IG_OK;
}

static enum ig_code add_step(struct birth *birth, const struct ig_network_layer *layer)
{
    struct ig_nn *nn = birth->nn;
    struct nn_step step = {.layer = layer};
    if (layer->op == IG_NETWORK_RESHAPE) {
        nn->data[layer->output] = nn->data[layer->inputs[0]];
        birth->root[layer->output] = birth->root[layer->inputs[0]];
        return IG_OK;
    }
    if (prepare[layer->op](nn, &step, birth->err) != IG_OK || count_work(birth, &step) != IG_OK)
        return birth->err->code;
    if (all_constant(nn, layer)) return fold(birth, &step);
    if (step.scratch_bytes > nn->scratch_bytes) nn->scratch_bytes = step.scratch_bytes;
    nn->steps[nn->steps_count++] = step;
    return IG_OK;
}

static enum ig_code add_steps(struct birth *birth)
{
    struct ig_nn *nn = birth->nn;
    const struct ig_network *network = nn->network;
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (add_step(birth, &network->layers[i]) != IG_OK) {
            ig_err_prefix(birth->err, "layer %u (%s)", i,
                          ig_network_op_name(network->layers[i].op));
            return birth->err->code;
        }
    return IG_OK;
}

/* A tensor's memory lives at `step`; steps count from 1, 0 is the inputs' moment. */
static void live(struct birth *birth, uint32_t tensor, uint32_t step)
{
    if (tensor == IG_NETWORK_NONE || birth->nn->data[tensor]) return;
    const struct ig_network_tensor *tensors = birth->nn->network->tensors;
    struct ig_nn_buffer *buffer = &birth->buffers[birth->root[tensor]];
    if (buffer->size_bytes == 0) {
        buffer->size_bytes = ig_network_tensor_bytes(&tensors[birth->root[tensor]]);
        buffer->first = step;
    }
    buffer->last = step;
}

static enum ig_code place(struct birth *birth, uint32_t *order)
{
    struct ig_nn *nn = birth->nn;
    const struct ig_network *network = nn->network;
    uint32_t count = network->tensors_count;
    for (uint32_t i = 0; i < network->inputs_count; i++) live(birth, network->inputs[i], 0);
    for (uint32_t i = 0; i < nn->steps_count; i++) {
        const struct ig_network_layer *layer = nn->steps[i].layer;
        live(birth, layer->output, i + 1);
        for (uint32_t k = 0; k < layer->inputs_count; k++) live(birth, layer->inputs[k], i + 1);
    }
    for (uint32_t i = 0; i < network->outputs_count; i++)
        live(birth, network->outputs[i], nn->steps_count + 1);
    nn->arena_bytes = ig_nn_plan(birth->buffers, count, order);
    for (uint32_t i = 0; i < count; i++) {
        const struct ig_nn_buffer *buffer = &birth->buffers[birth->root[i]];
        nn->offsets[i] = nn->data[i] || !buffer->size_bytes ? SIZE_MAX : buffer->offset;
    }
    size_t bytes = ig_nn_scratch_bytes(nn);
    if (bytes <= birth->max_bytes) return IG_OK;
    return ig_fail(birth->err, IG_TOO_LARGE, "a run would need %zu bytes, at most %zu", bytes,
                   birth->max_bytes);
}

static enum ig_code build(struct birth *birth)
{
    struct ig_nn *nn = birth->nn;
    const struct ig_network *network = nn->network;
    size_t tensors = network->tensors_count + (size_t)1;
    nn->data = ig_arena_array(&nn->arena, tensors, sizeof *nn->data);
    nn->offsets = ig_arena_array(&nn->arena, tensors, sizeof *nn->offsets);
    nn->steps = ig_arena_array(&nn->arena, network->layers_count + (size_t)1, sizeof *nn->steps);
    birth->root = ig_zalloc_array(tensors, sizeof *birth->root);
    birth->buffers = ig_zalloc_array(tensors, sizeof *birth->buffers);
    uint32_t *order = ig_zalloc_array(tensors, sizeof *order);
    if (!nn->data || !nn->offsets || !nn->steps || !birth->root || !birth->buffers || !order)
        nn_no_memory(birth->err);
    for (uint32_t i = 0; birth->err->code == IG_OK && i < network->tensors_count; i++) {
        nn->data[i] = network->tensors[i].data;
        birth->root[i] = i;
    }
    if (birth->err->code == IG_OK && add_steps(birth) == IG_OK) place(birth, order);
    ig_free(order);
    ig_free(birth->root);
    ig_free(birth->buffers);
    return birth->err->code;
}

enum ig_code ig_nn_new(struct ig_nn **out, const struct ig_network *network,
                       const struct ig_nn_options *options, struct ig_err *err)
{
    struct ig_nn *nn = ig_zalloc(sizeof *nn);
    if (!nn) return ig_fail(err, IG_NO_MEMORY, "no memory for a network");
    struct birth birth = {.nn = nn, .err = err};
    birth.max_bytes = options->max_bytes ? options->max_bytes : MAX_BYTES;
    birth.work_left = options->max_work ? options->max_work : MAX_WORK;
    ig_arena_init(&nn->arena, CHUNK_BYTES, birth.max_bytes);
    nn->network = network;
    nn->isa = options->isa;
    nn->products = nn_products_of[options->isa];
    if (build(&birth) == IG_OK) {
        *out = nn;
        return IG_OK;
    }
    ig_nn_free(nn);
    return ig_err_code(err);
}

void ig_nn_free(struct ig_nn *nn)
{
    if (!nn) return;
    ig_arena_deinit(&nn->arena);
    ig_free(nn);
}

static size_t aligned(size_t bytes)
{
    return (bytes + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

size_t ig_nn_scratch_bytes(const struct ig_nn *nn)
{
    return aligned(nn->arena_bytes) + aligned(nn->scratch_bytes);
}

size_t ig_nn_arena_bytes(const struct ig_nn *nn)
{
    return nn->arena_bytes;
}

size_t ig_nn_memory_bytes(const struct ig_nn *nn)
{
    return sizeof *nn + nn->arena.held_bytes;
}

enum ig_isa ig_nn_isa(const struct ig_nn *nn)
{
    return nn->isa;
}

uint64_t ig_nn_products(const struct ig_nn *nn)
{
    uint64_t sum = 0;
    for (uint32_t i = 0; i < nn->steps_count; i++) sum += nn->steps[i].products;
    return sum;
}

size_t ig_nn_offset(const struct ig_nn *nn, uint32_t tensor)
{
    return nn->offsets[tensor];
}

/* ---- runs ---- */

static struct nn_run begin(const struct ig_nn *nn, void *scratch)
{
    return (struct nn_run){nn, scratch, (char *)scratch + aligned(nn->arena_bytes)};
}

void ig_nn_run_observed(const struct ig_nn *nn, const void *const *inputs, void *const *outputs,
                        void *scratch, const struct ig_nn_observer *observer)
{
    const struct ig_network *network = nn->network;
    const struct nn_run run = begin(nn, scratch);
    for (uint32_t i = 0; i < network->inputs_count; i++) {
        uint32_t tensor = network->inputs[i];
        if (nn->offsets[tensor] == SIZE_MAX) continue; /* nothing reads it */
        memcpy(nn_write(&run, tensor), inputs[i],
               ig_network_tensor_bytes(&network->tensors[tensor]));
        if (observer) observer->see(observer->context, tensor, nn_read(&run, tensor));
    }
    for (uint32_t i = 0; i < nn->steps_count; i++) {
        const struct nn_step *step = &nn->steps[i];
        step->run(&run, step);
        if (observer)
            observer->see(observer->context, step->layer->output,
                          nn_read(&run, step->layer->output));
    }
    for (uint32_t i = 0; i < network->outputs_count; i++)
        if (outputs[i])
            memcpy(outputs[i], nn_read(&run, network->outputs[i]),
                   ig_network_tensor_bytes(&network->tensors[network->outputs[i]]));
}

void ig_nn_run(const struct ig_nn *nn, const void *const *inputs, void *const *outputs,
               void *scratch)
{
    ig_nn_run_observed(nn, inputs, outputs, scratch, NULL);
}

/* ---- rows ---- */

static const double *put_input(const struct nn_run *run, uint32_t tensor, const double *row)
{
    const struct ig_network_tensor *in = &run->nn->network->tensors[tensor];
    const struct ig_network_quantization *q = &in->quantization;
    size_t count = ig_network_tensor_count(in);
    if (run->nn->offsets[tensor] == SIZE_MAX) return row + count;
    void *to = nn_write(run, tensor);
    for (size_t i = 0; i < count; i++)
        if (in->type == IG_NETWORK_I8)
            ((int8_t *)to)[i] = nn_quantize((float)row[i], q->scales[0], q->zero_points[0]);
        else
            ((float *)to)[i] = (float)row[i];
    return row + count;
}

static double *take_output(const struct nn_run *run, uint32_t tensor, double *values)
{
    const struct ig_network_tensor *out = &run->nn->network->tensors[tensor];
    const struct ig_network_quantization *q = &out->quantization;
    size_t count = ig_network_tensor_count(out);
    const void *from = nn_read(run, tensor);
    for (size_t i = 0; i < count; i++)
        if (out->type == IG_NETWORK_I8)
            values[i] =
                (double)(q->scales[0] * (float)(((const int8_t *)from)[i] - q->zero_points[0]));
        else
            values[i] = (double)((const float *)from)[i];
    return values + count;
}

static void predictor_run(const struct ig_predictor *predictor, const double *rows,
                          size_t rows_count, double *values, void *scratch)
{
    const struct ig_nn *nn = predictor->context;
    const struct ig_network *network = nn->network;
    const struct nn_run run = begin(nn, scratch);
    for (size_t r = 0; r < rows_count; r++) {
        for (uint32_t i = 0; i < network->inputs_count; i++)
            rows = put_input(&run, network->inputs[i], rows);
        for (uint32_t i = 0; i < nn->steps_count; i++) nn->steps[i].run(&run, &nn->steps[i]);
        for (uint32_t i = 0; i < network->outputs_count; i++)
            values = take_output(&run, network->outputs[i], values);
    }
}

static size_t predictor_scratch(const struct ig_predictor *predictor, size_t rows_count)
{
    (void)rows_count;
    return ig_nn_scratch_bytes(predictor->context);
}

static uint32_t elements(const struct ig_network *network, const uint32_t *tensors, uint32_t count)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ig_network_tensor_count(&network->tensors[tensors[i]]);
    return (uint32_t)(sum > UINT32_MAX ? UINT32_MAX : sum);
}

struct ig_predictor ig_nn_predictor(const struct ig_nn *nn)
{
    const struct ig_network *network = nn->network;
    return (struct ig_predictor){elements(network, network->inputs, network->inputs_count),
                                 elements(network, network->outputs, network->outputs_count), nn,
                                 predictor_run, predictor_scratch};
}
