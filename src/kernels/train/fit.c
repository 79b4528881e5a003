/* SPDX-License-Identifier: Apache-2.0 */
/* The loop of training. Owns a backprop, an optimizer, masks, one batch of rows and the best state.
 *
 * Outputs that are numbers are learned as (number - mean) / spread of the labels, which the last
 * layer takes back at the end. */
#include "kernels/train/fit.h"

#include "base/arena.h"
#include "base/mem.h"
#include "base/random.h"

#include <math.h>

static const size_t BYTES_MAX = (size_t)1 << 31;
enum { CHUNK_BYTES = 1 << 16, BATCH_MAX = 1 << 16, EPOCHS_MAX = 1 << 20, SCORE_BATCH = 256 };

struct fit {
    struct ig_arena arena;
    const struct ig_fit_options *options;
    const struct ig_fit_data *train, *held_out;
    struct ig_backprop *bp;
    struct ig_optimizer *optimizer;
    struct ig_pruning *pruning;
    struct ig_rng rng;
    size_t *order;
    size_t inputs, outputs, labels; /* elements of a row */
    float *rows, *row_labels, *row_teacher, *gradient;
    float *means, spread; /* of the labels; 0 and 1 where they are classes */
    float *best;          /* state */
    double best_loss;
    uint32_t best_epoch;
    int64_t step, steps;
    bool int8;
};

/* ---- checks ---- */

static enum ig_code check_labels(const struct fit *fit, const struct ig_fit_data *data,
                                 const char *name, struct ig_err *err)
{
    size_t classes = fit->options->loss == IG_FIT_LOGISTIC ? 2 : fit->outputs;
    if (!data->labels && !data->teacher)
        return ig_fail(err, IG_INVALID, "%s rows have neither labels nor a teacher", name);
    for (size_t i = 0; i < data->rows_count * fit->inputs; i++)
        if (!isfinite(data->inputs[i]))
            return ig_fail(err, IG_INVALID, "%s row %zu: input %zu is %g", name, i / fit->inputs,
                           i % fit->inputs, (double)data->inputs[i]);
    for (size_t i = 0; data->teacher && i < data->rows_count * fit->outputs; i++)
        if (!isfinite(data->teacher[i]))
            return ig_fail(err, IG_INVALID, "%s row %zu: the teacher's answer is %g", name,
                           i / fit->outputs, (double)data->teacher[i]);
    for (size_t i = 0; data->labels && i < data->rows_count * fit->labels; i++) {
        float label = data->labels[i];
        bool good = fit->options->loss == IG_FIT_SQUARED
                        ? isfinite(label)
                        : label >= 0 && label < (float)classes && label == floorf(label);
        if (!good && !(isnan(label) && data->teacher))
            return ig_fail(err, IG_INVALID, "%s row %zu: label %g", name, i / fit->labels,
                           (double)label);
    }
    return IG_OK;
}

static enum ig_code check_options(const struct ig_fit_options *o, size_t outputs,
                                  struct ig_err *err)
{
    if (o->epochs == 0 || o->epochs > EPOCHS_MAX)
        return ig_fail(err, IG_INVALID, "epochs is %u, expected 1 to %d", o->epochs, EPOCHS_MAX);
    if (o->batch == 0 || o->batch > BATCH_MAX)
        return ig_fail(err, IG_INVALID, "batch is %u, expected 1 to %d", o->batch, BATCH_MAX);
    if (!(o->alpha >= 0 && o->alpha <= 1))
        return ig_fail(err, IG_INVALID, "alpha is %g, expected 0 to 1", o->alpha);
    if (!(o->temperature >= 0 && o->temperature <= 1000))
        return ig_fail(err, IG_INVALID, "temperature is %g, expected 0 to 1000", o->temperature);
    if (outputs > IG_FIT_OUTPUTS_MAX || (o->loss == IG_FIT_SOFTMAX && outputs < 2) ||
        (o->loss == IG_FIT_LOGISTIC && outputs != 1))
        return ig_fail(err, IG_INVALID, "%zu outputs do not fit the loss (at most %d)", outputs,
                       IG_FIT_OUTPUTS_MAX);
    return IG_OK;
}

static bool masks_final(const struct fit *fit)
{
    const struct ig_pruning_schedule *schedule = fit->options->pruning;
    if (!schedule) return true;
    return fit->step > (schedule->kind == IG_PRUNING_CONSTANT ? schedule->begin : schedule->end);
}

static enum ig_code check_run(const struct fit *fit, struct ig_err *err)
{
    const struct ig_fit_options *o = fit->options;
    if (fit->train->rows_count == 0) return ig_fail(err, IG_INVALID, "no rows to train on");
    if (check_labels(fit, fit->train, "training", err)) return ig_err_code(err);
    if (fit->held_out && check_labels(fit, fit->held_out, "held-out", err)) return ig_err_code(err);
    if (o->pruning) {
        int64_t last =
            o->pruning->kind == IG_PRUNING_CONSTANT ? o->pruning->begin : o->pruning->end;
        if (last >= fit->steps)
            return ig_fail(err, IG_INVALID, "pruning reaches its end at step %lld of %lld",
                           (long long)last, (long long)fit->steps);
    }
    if (o->int8_from >= o->epochs)
        return ig_fail(err, IG_INVALID, "int8_from is %u of %u epochs", o->int8_from, o->epochs);
    return IG_OK;
}

/* ---- outputs that are numbers ---- */

/* The last layer's parameters, where the output is its sums. */
static bool last_layer(struct fit *fit, struct ig_parameter **weights, struct ig_parameter **bias)
{
    const struct ig_network *network = ig_backprop_network(fit->bp);
    const struct ig_network_layer *last = &network->layers[network->layers_count - 1];
    uint32_t count;
    struct ig_parameter *parameters = ig_backprop_parameters(fit->bp, &count);
    *weights = *bias = NULL;
    if (last->output != network->outputs[0] || last->op != IG_NETWORK_FULLY_CONNECTED ||
        last->activation != IG_NETWORK_ACTIVATION_NONE)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (parameters[i].layer != network->layers_count - 1) continue;
        if (parameters[i].kind == IG_PARAMETER_WEIGHTS) *weights = &parameters[i];
        if (parameters[i].kind == IG_PARAMETER_BIAS) *bias = &parameters[i];
        if (parameters[i].kind == IG_PARAMETER_GAIN) return false;
    }
    return *weights && *bias && (*weights)->channels == fit->outputs;
}

static void measure_labels(struct fit *fit)
{
    const float *from = fit->train->labels;
    double squares = 0;
    for (size_t c = 0; c < fit->outputs; c++) {
        double sum = 0, count = (double)fit->train->rows_count;
        for (int pass = 0; pass < 2; pass++)
            for (size_t i = 0; i < fit->train->rows_count; i++) {
                size_t at = i * fit->outputs + c;
                bool labelled = from && !isnan(from[i * fit->outputs]);
                double value = (double)(labelled ? from[at] : fit->train->teacher[at]);
                if (pass == 0)
                    sum += value / count;
                else
                    squares += (value - sum) * (value - sum) / count;
            }
        fit->means[c] = (float)sum;
    }
    fit->spread = (float)sqrt(squares / (double)fit->outputs);
    if (!(fit->spread > 0)) fit->spread = 1;
}

/* From the labels' units to the learned ones, or back. */
static void convert_last(struct fit *fit, bool back)
{
    struct ig_parameter *weights, *bias;
    if (!last_layer(fit, &weights, &bias)) return;
    float scale = back ? fit->spread : 1 / fit->spread;
    for (size_t i = 0; i < weights->count; i++) weights->used[i] = weights->values[i] *= scale;
    for (size_t c = 0; c < fit->outputs; c++)
        bias->values[c] = back ? bias->values[c] * fit->spread + fit->means[c]
                               : (bias->values[c] - fit->means[c]) / fit->spread;
}

/* ---- batches ---- */

static void take_row(struct fit *fit, const struct ig_fit_data *data, size_t row, size_t at)
{
    memcpy(fit->rows + at * fit->inputs, data->inputs + row * fit->inputs,
           fit->inputs * sizeof(float));
    bool numbers = fit->options->loss == IG_FIT_SQUARED;
    for (size_t c = 0; data->labels && c < fit->labels; c++) {
        float label = data->labels[row * fit->labels + c];
        fit->row_labels[at * fit->labels + c] =
            numbers ? (label - fit->means[c]) / fit->spread : label;
    }
    for (size_t c = 0; data->teacher && c < fit->outputs; c++) {
        float answer = data->teacher[row * fit->outputs + c];
        fit->row_teacher[at * fit->outputs + c] =
            numbers ? (answer - fit->means[c]) / fit->spread : answer;
    }
}

static struct ig_fit_batch as_batch(const struct fit *fit, const struct ig_fit_data *data,
                                    size_t count)
{
    return (struct ig_fit_batch){ig_backprop_values(fit->bp, ig_backprop_logits(fit->bp)),
                                 data->labels ? fit->row_labels : NULL,
                                 data->teacher ? fit->row_teacher : NULL,
                                 count,
                                 fit->outputs,
                                 fit->options->loss,
                                 fit->options->alpha,
                                 fit->options->temperature > 0 ? fit->options->temperature : 1};
}

static struct ig_fit_score score_rows(struct fit *fit, const struct ig_fit_data *data, size_t batch)
{
    double loss = 0, scale = (double)fit->spread * (double)fit->spread;
    size_t right = 0;
    for (size_t first = 0; first < data->rows_count; first += batch) {
        size_t count = data->rows_count - first < batch ? data->rows_count - first : batch, good;
        for (size_t i = 0; i < count; i++) take_row(fit, data, first + i, i);
        ig_backprop_forward(fit->bp, fit->rows, (uint32_t)count, IG_BACKPROP_INFER);
        struct ig_fit_batch of = as_batch(fit, data, count);
        loss += ig_fit_loss_of(&of, NULL, &good) * (double)count;
        right += good;
    }
    loss = loss / (double)data->rows_count * scale;
    return (struct ig_fit_score){loss, fit->options->loss == IG_FIT_SQUARED
                                           ? loss
                                           : (double)right / (double)data->rows_count};
}

static void shuffle(struct fit *fit)
{
    for (size_t i = fit->train->rows_count; i > 1; i--) {
        size_t other = (size_t)ig_rng_below(&fit->rng, i), kept = fit->order[i - 1];
        fit->order[i - 1] = fit->order[other];
        fit->order[other] = kept;
    }
}

static double train_batch(struct fit *fit, size_t first, size_t count)
{
    const double pi = 3.14159265358979323846;
    double rate = 1;
    if (fit->pruning) ig_pruning_step(fit->pruning, fit->step);
    for (size_t i = 0; i < count; i++) take_row(fit, fit->train, fit->order[first + i], i);
    ig_backprop_forward(fit->bp, fit->rows, (uint32_t)count, IG_BACKPROP_TRAIN);
    struct ig_fit_batch batch = as_batch(fit, fit->train, count);
    double loss = ig_fit_loss_of(&batch, fit->gradient, NULL);
    ig_backprop_backward(fit->bp, ig_backprop_logits(fit->bp), fit->gradient);
    if (fit->options->cosine) rate = 0.5 * (1 + cos(pi * (double)fit->step / (double)fit->steps));
    ig_optimizer_step(fit->optimizer, rate);
    if (fit->pruning) ig_pruning_apply(fit->pruning);
    fit->step++;
    return loss;
}

/* Batches of nearly equal size: a last one of few rows would have moments of its own. */
static size_t batches_of(const struct fit *fit)
{
    return (fit->train->rows_count + fit->options->batch - 1) / fit->options->batch;
}

static double train_epoch(struct fit *fit)
{
    size_t rows = fit->train->rows_count, batches = batches_of(fit), first = 0;
    double loss = 0;
    shuffle(fit);
    for (size_t i = 1; i <= batches; i++) {
        size_t next = rows / batches * i + rows % batches * i / batches;
        loss += train_batch(fit, first, next - first) * (double)(next - first);
        first = next;
    }
    return loss / (double)rows * (double)fit->spread * (double)fit->spread;
}

/* ---- the run ---- */

/* Whether training is over. */
static bool judge(struct fit *fit, const struct ig_fit_epoch *epoch)
{
    bool counts = masks_final(fit) && (fit->options->int8_from == 0 || fit->int8);
    if (!counts || !fit->held_out) return false;
    if (epoch->held_out < fit->best_loss) {
        fit->best_loss = epoch->held_out;
        fit->best_epoch = epoch->epoch;
        ig_backprop_save(fit->bp, fit->best);
    }
    if (fit->best_epoch == 0) fit->best_epoch = epoch->epoch; /* no loss was a number yet */
    return fit->options->patience && epoch->epoch - fit->best_epoch >= fit->options->patience;
}

static void run_epochs(struct fit *fit)
{
    const struct ig_fit_options *o = fit->options;
    fit->best_loss = INFINITY;
    for (uint32_t at = 1; at <= o->epochs; at++) {
        struct ig_fit_epoch epoch = {at, o->epochs, 0, (double)NAN, (double)NAN, 0, false};
        if (o->int8_from && at == o->int8_from + 1) {
            struct ig_backprop_int8 int8 = o->int8;
            int8.weights = int8.activations = fit->int8 = true;
            ig_backprop_simulate(fit->bp, &int8);
        }
        epoch.train = train_epoch(fit);
        if (fit->held_out) {
            struct ig_fit_score score = score_rows(fit, fit->held_out, o->batch);
            epoch.held_out = score.loss;
            epoch.metric = score.metric;
        }
        epoch.zeros = fit->pruning ? ig_pruning_zeros(fit->pruning) : 0;
        epoch.int8 = fit->int8;
        if (o->report) o->report(o->context, &epoch);
        if (judge(fit, &epoch)) break;
    }
    if (fit->best_loss < (double)INFINITY) ig_backprop_restore(fit->bp, fit->best);
}

static enum ig_code make_room(struct fit *fit, uint32_t batch, struct ig_err *err)
{
    fit->inputs = ig_backprop_elements(fit->bp, ig_backprop_input(fit->bp));
    fit->outputs = ig_backprop_elements(fit->bp, ig_backprop_logits(fit->bp));
    fit->labels = fit->options->loss == IG_FIT_SQUARED ? fit->outputs : 1;
    fit->spread = 1;
    fit->order = ig_arena_array(&fit->arena, fit->train->rows_count + 1, sizeof *fit->order);
    fit->rows = ig_arena_array(&fit->arena, fit->inputs, batch * sizeof(float));
    fit->row_labels = ig_arena_array(&fit->arena, fit->labels, batch * sizeof(float));
    fit->row_teacher = ig_arena_array(&fit->arena, fit->outputs, batch * sizeof(float));
    fit->gradient = ig_arena_array(&fit->arena, fit->outputs, batch * sizeof(float));
    fit->means = ig_arena_array(&fit->arena, fit->outputs, sizeof(float));
    fit->best = ig_arena_array(&fit->arena, ig_backprop_state_count(fit->bp), sizeof(float));
    if (fit->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "a batch of %u rows", batch);
    for (size_t i = 0; i < fit->train->rows_count; i++) fit->order[i] = i;
    return IG_OK;
}

static enum ig_code open_fit(struct fit *fit, const struct ig_network *network, uint32_t batch,
                             struct ig_err *err)
{
    const struct ig_backprop_options options = {batch, fit->options->batch_norm, 0};
    ig_arena_init(&fit->arena, CHUNK_BYTES, BYTES_MAX);
    ig_rng_seed(&fit->rng, fit->options->seed);
    if (batch == 0 || batch > BATCH_MAX)
        return ig_fail(err, IG_INVALID, "batch is %u, expected 1 to %d", batch, BATCH_MAX);
    if (ig_backprop_new(&fit->bp, network, &options, err) || make_room(fit, batch, err))
        return ig_err_code(err);
    return check_options(fit->options, fit->outputs, err);
}

static void close_fit(struct fit *fit)
{
    ig_pruning_free(fit->pruning);
    ig_optimizer_free(fit->optimizer);
    ig_backprop_free(fit->bp);
    ig_arena_deinit(&fit->arena);
}

static enum ig_code run(struct ig_network **out, struct fit *fit, struct ig_err *err)
{
    const struct ig_fit_options *o = fit->options;
    struct ig_parameter *weights, *bias;
    fit->steps = (int64_t)(batches_of(fit) * o->epochs);
    if (check_run(fit, err) || ig_optimizer_new(&fit->optimizer, fit->bp, &o->optimizer, err))
        return ig_err_code(err);
    if (o->pruning && ig_pruning_new(&fit->pruning, fit->bp, o->pruning, &o->pattern, err))
        return ig_err_code(err);
    if (o->loss == IG_FIT_SQUARED && last_layer(fit, &weights, &bias)) {
        measure_labels(fit);
        if (!o->fresh) convert_last(fit, false);
    }
    run_epochs(fit);
    if (o->loss == IG_FIT_SQUARED) convert_last(fit, true);
    return ig_backprop_export(out, fit->bp, err);
}

enum ig_code ig_fit_run(struct ig_network **out, const struct ig_network *network,
                        const struct ig_fit_data *train, const struct ig_fit_data *held_out,
                        const struct ig_fit_options *options, struct ig_err *err)
{
    struct fit fit = {.options = options, .train = train};
    if (held_out && held_out->rows_count) fit.held_out = held_out;
    enum ig_code code = open_fit(&fit, network, options->batch, err);
    if (code == IG_OK) code = run(out, &fit, err);
    close_fit(&fit);
    return code;
}

enum ig_code ig_fit_score(struct ig_fit_score *score, const struct ig_network *network,
                          const struct ig_fit_data *data, enum ig_fit_loss loss, struct ig_err *err)
{
    const struct ig_fit_options options = {.loss = loss, .epochs = 1, .batch = SCORE_BATCH};
    struct fit fit = {.options = &options, .train = data};
    enum ig_code code = open_fit(&fit, network, SCORE_BATCH, err);
    if (code == IG_OK && data->rows_count == 0) code = ig_fail(err, IG_INVALID, "no rows to score");
    if (code == IG_OK) code = check_labels(&fit, data, "scored", err);
    if (code == IG_OK) *score = score_rows(&fit, data, SCORE_BATCH);
    close_fit(&fit);
    return code;
}
