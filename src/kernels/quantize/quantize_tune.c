/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning of int8 weights. Owns an optimizer and a batch of rows. In the spirit of AdaQuant (Hubara
 * et al. 2020), over the whole network at once, with the straight-through gradient. */
#include "kernels/quantize/quantize_tune.h"

#include "base/arena.h"
#include "base/random.h"
#include "kernels/train/optimizer.h"

#include <math.h>

enum { EPOCHS_MOST = 40, CHUNK_BYTES = 1 << 16 };
static const double PRODUCTS_MOST = 1e9; /* of all passes: a second at most */
/* In int8 steps: how far a parameter can go, and by one step of learning. */
static const double WAY_MOST = 10, STEP_MOST = 1.0 / 20;
static const size_t BYTES_MAX = (size_t)1 << 31;

struct tuning {
    struct ig_arena arena;
    struct ig_backprop *bp;
    const struct ig_quantize_lesson *lesson;
    struct ig_optimizer *optimizer;
    struct ig_rng rng;
    struct ig_parameter *parameters;
    uint32_t parameters_count;
    double *steps; /* of each parameter */
    size_t inputs, outputs;
    size_t *order;
    float *rows, *gradient;
};

static bool has_weights(const struct ig_network_layer *layer)
{
    return layer->op == IG_NETWORK_CONV_2D || layer->op == IG_NETWORK_DEPTHWISE_CONV_2D ||
           layer->op == IG_NETWORK_FULLY_CONNECTED;
}

/* Products of a row. */
static double products_of(const struct ig_network *network)
{
    double sum = 0;
    for (uint32_t i = 0; i < network->layers_count; i++) {
        const struct ig_network_layer *layer = &network->layers[i];
        if (!has_weights(layer)) continue;
        const struct ig_network_tensor *out = &network->tensors[layer->output];
        size_t cells = ig_network_tensor_count(out) / out->dims[out->rank - 1];
        sum += (double)cells * (double)ig_network_tensor_count(ig_network_input(network, layer, 1));
    }
    return sum;
}

/* The int8 step of each parameter: of a layer's weights the mean, of its biases its output's. */
static void find_steps(const struct tuning *t, float *scales)
{
    const struct ig_network *network = ig_backprop_network(t->bp);
    for (uint32_t i = 0; i < t->parameters_count; i++) {
        const struct ig_parameter *p = &t->parameters[i];
        uint32_t output = network->layers[p->layer].output;
        t->steps[i] = 0;
        if (p->kind == IG_PARAMETER_BIAS) {
            struct ig_range range = ig_backprop_ranges(t->bp)[ig_backprop_root(t->bp, output)];
            t->steps[i] = (double)ig_steps_of_range(range).scale;
        } else if (p->kind == IG_PARAMETER_WEIGHTS) {
            uint32_t count = ig_backprop_weight_scales(t->bp, p->layer, scales);
            for (uint32_t c = 0; c < count; c++) t->steps[i] += (double)scales[c] / count;
        }
    }
}

static void shuffle(struct tuning *t)
{
    for (size_t i = t->lesson->rows_count; i > 1; i--) {
        size_t other = (size_t)ig_rng_below(&t->rng, i), kept = t->order[i - 1];
        t->order[i - 1] = t->order[other];
        t->order[other] = kept;
    }
}

/* A weight that was pruned stays zero: Adam leaves what never had a gradient. */
static void keep_zeros(struct tuning *t)
{
    for (uint32_t i = 0; i < t->parameters_count; i++) {
        struct ig_parameter *p = &t->parameters[i];
        for (size_t k = 0; p->kind == IG_PARAMETER_WEIGHTS && k < p->count; k++)
            if (p->values[k] == 0) p->gradients[k] = 0;
    }
}

static void learn_batch(struct tuning *t, size_t first, uint32_t count, double rate)
{
    const struct ig_quantize_lesson *lesson = t->lesson;
    for (size_t i = 0; i < count; i++)
        memcpy(t->rows + i * t->inputs, lesson->rows + t->order[first + i] * t->inputs,
               t->inputs * sizeof *t->rows);
    ig_backprop_forward(t->bp, t->rows, count, IG_BACKPROP_TRAIN);
    const float *given = ig_backprop_values(t->bp, ig_backprop_logits(t->bp));
    const double each = 2 / (lesson->variance * (double)(count * t->outputs));
    for (size_t i = 0; i < count * t->outputs; i++) {
        size_t row = t->order[first + i / t->outputs];
        float wanted = lesson->logits[row * t->outputs + i % t->outputs];
        t->gradient[i] = (float)(each * ((double)given[i] - (double)wanted));
    }
    ig_backprop_backward(t->bp, ig_backprop_logits(t->bp), t->gradient);
    keep_zeros(t);
    ig_optimizer_step(t->optimizer, rate);
}

static void learn(struct tuning *t, uint32_t epochs)
{
    const double pi = 3.14159265358979323846;
    const uint32_t batch = t->lesson->batch;
    size_t rows = t->lesson->rows_count, batches = (rows + batch - 1) / batch, step = 0;
    for (uint32_t epoch = 0; epoch < epochs; epoch++) {
        shuffle(t);
        for (size_t first = 0; first < rows; first += batch) {
            double done = (double)step++ / (double)(batches * epochs);
            learn_batch(t, first, (uint32_t)(rows - first < batch ? rows - first : batch),
                        0.5 * (1 + cos(pi * done)));
        }
    }
}

/* In int8 steps: the rate falls to zero, so its mean is half of this one. */
static double rate_of(const struct ig_quantize_lesson *lesson, uint32_t epochs)
{
    size_t batches = (lesson->rows_count + lesson->batch - 1) / lesson->batch;
    return fmin(2 * WAY_MOST / (double)(batches * epochs), STEP_MOST);
}

static enum ig_code open_tuning(struct tuning *t, uint32_t epochs, struct ig_err *err)
{
    uint32_t widest = 1;
    t->parameters = ig_backprop_parameters(t->bp, &t->parameters_count);
    ig_arena_init(&t->arena, CHUNK_BYTES, BYTES_MAX);
    ig_rng_seed(&t->rng, t->lesson->seed);
    for (uint32_t i = 0; i < t->parameters_count; i++)
        if (t->parameters[i].channels > widest) widest = t->parameters[i].channels;
    t->inputs = ig_backprop_elements(t->bp, ig_backprop_input(t->bp));
    t->outputs = ig_backprop_elements(t->bp, ig_backprop_logits(t->bp));
    t->order = ig_arena_array(&t->arena, t->lesson->rows_count, sizeof *t->order);
    t->rows = ig_arena_array(&t->arena, t->lesson->batch, t->inputs * sizeof *t->rows);
    t->gradient = ig_arena_array(&t->arena, t->lesson->batch, t->outputs * sizeof *t->gradient);
    t->steps = ig_arena_array(&t->arena, t->parameters_count, sizeof *t->steps);
    float *scales = ig_arena_array(&t->arena, widest, sizeof *scales);
    if (t->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "tuning");
    for (size_t i = 0; i < t->lesson->rows_count; i++) t->order[i] = i;
    find_steps(t, scales);
    const struct ig_optimizer_options options = {.learning_rate = rate_of(t->lesson, epochs),
                                                 .shares = t->steps};
    return ig_optimizer_new(&t->optimizer, t->bp, &options, err);
}

enum ig_code ig_quantize_tune(bool *tuned, struct ig_backprop *simulated,
                              const struct ig_quantize_lesson *lesson, struct ig_err *err)
{
    struct tuning t = {.bp = simulated, .lesson = lesson};
    double pass = 3 * (double)lesson->rows_count * products_of(ig_backprop_network(simulated));
    double affordable = pass > 0 ? floor(PRODUCTS_MOST / pass) : 0;
    uint32_t epochs = (uint32_t)fmin(affordable, EPOCHS_MOST);
    *tuned = epochs >= 1;
    if (!*tuned) return IG_OK;
    if (open_tuning(&t, epochs, err) == IG_OK) learn(&t, epochs);
    ig_optimizer_free(t.optimizer);
    ig_arena_deinit(&t.arena);
    return err->code;
}
