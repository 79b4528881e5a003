/* SPDX-License-Identifier: Apache-2.0 */
/* Tuning of int8 weights. Owns an optimizer and a batch of rows. In the spirit of AdaQuant (Hubara
 * et al. 2020), over the whole network at once, with the straight-through gradient. */
#include "kernels/quantize/quantize_tune.h"

#include "base/arena.h"
#include "base/random.h"
#include "kernels/train/optimizer.h"

#include <math.h>

enum { EPOCHS_MOST = 20, CHUNK_BYTES = 1 << 16 };
static const double PRODUCTS_MOST = 2e9;   /* of all passes: a second or two */
static const double STEP_SHARE = 1.0 / 20; /* of a weight's int8 step, in one step of learning */
static const size_t BYTES_MAX = (size_t)1 << 31;

struct tuning {
    struct ig_arena arena;
    struct ig_backprop *bp;
    const struct ig_quantize_lesson *lesson;
    struct ig_optimizer *optimizer;
    struct ig_rng rng;
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

/* The mean step of int8 weights, over layers. */
static double mean_step(const struct tuning *t, float *scales)
{
    const struct ig_network *network = ig_backprop_network(t->bp);
    double sum = 0, layers = 0;
    for (uint32_t i = 0; i < network->layers_count; i++) {
        if (!has_weights(&network->layers[i])) continue;
        uint32_t count = ig_backprop_weight_scales(t->bp, i, scales);
        for (uint32_t c = 0; c < count; c++) sum += (double)scales[c] / count;
        layers++;
    }
    return layers > 0 ? sum / layers : 0;
}

static void shuffle(struct tuning *t)
{
    for (size_t i = t->lesson->rows_count; i > 1; i--) {
        size_t other = (size_t)ig_rng_below(&t->rng, i), kept = t->order[i - 1];
        t->order[i - 1] = t->order[other];
        t->order[other] = kept;
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

static enum ig_code open_tuning(struct tuning *t, struct ig_err *err)
{
    uint32_t count, widest = 1;
    const struct ig_parameter *parameters = ig_backprop_parameters(t->bp, &count);
    ig_arena_init(&t->arena, CHUNK_BYTES, BYTES_MAX);
    ig_rng_seed(&t->rng, t->lesson->seed);
    for (uint32_t i = 0; i < count; i++)
        if (parameters[i].channels > widest) widest = parameters[i].channels;
    t->inputs = ig_backprop_elements(t->bp, ig_backprop_input(t->bp));
    t->outputs = ig_backprop_elements(t->bp, ig_backprop_logits(t->bp));
    t->order = ig_arena_array(&t->arena, t->lesson->rows_count, sizeof *t->order);
    t->rows = ig_arena_array(&t->arena, t->lesson->batch, t->inputs * sizeof *t->rows);
    t->gradient = ig_arena_array(&t->arena, t->lesson->batch, t->outputs * sizeof *t->gradient);
    float *scales = ig_arena_array(&t->arena, widest, sizeof *scales);
    if (t->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "tuning");
    for (size_t i = 0; i < t->lesson->rows_count; i++) t->order[i] = i;
    const struct ig_optimizer_options options = {.learning_rate =
                                                     STEP_SHARE * mean_step(t, scales)};
    return ig_optimizer_new(&t->optimizer, t->bp, &options, err);
}

enum ig_code ig_quantize_tune(bool *tuned, struct ig_backprop *simulated,
                              const struct ig_quantize_lesson *lesson, struct ig_err *err)
{
    struct tuning t = {.bp = simulated, .lesson = lesson};
    double pass = 3 * (double)lesson->rows_count * products_of(ig_backprop_network(simulated));
    double epochs = pass > 0 ? floor(PRODUCTS_MOST / pass) : 0;
    *tuned = epochs >= 1;
    if (!*tuned) return IG_OK;
    if (open_tuning(&t, err) == IG_OK)
        learn(&t, epochs < EPOCHS_MOST ? (uint32_t)epochs : EPOCHS_MOST);
    ig_optimizer_free(t.optimizer);
    ig_arena_deinit(&t.arena);
    return err->code;
}
