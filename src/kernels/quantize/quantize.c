/* SPDX-License-Identifier: Apache-2.0 */
/* Post-training quantization. Owns two trainers, of the float network and of the simulated int8
 * one, and a histogram for each tensor that has steps of its own. The search moves only to what has
 * less error on the held-out rows. Source: Nagel et al. 2021, A White Paper on Neural Network
 * Quantization; bias correction is its empirical one. */
#include "kernels/quantize/quantize.h"

#include "base/mem.h"
#include "kernels/quantize/equalize.h"
#include "kernels/quantize/input_gains.h"
#include "kernels/quantize/quantize_tune.h"

#include <math.h>

enum { BATCH = 64, CHUNK_BYTES = 1 << 20 };
static const size_t BYTES_MAX = (size_t)1 << 31;
static const double BETTER = 0.98; /* less error by so much, or it may be chance */

struct search {
    struct ig_arena arena;
    const struct ig_quantize_options *options;
    const struct ig_network *network; /* perhaps equalized */
    const float *gains;               /* of its inputs; NULL: none */
    struct ig_backprop *real, *int8;
    struct ig_histogram **histograms; /* by tensor; NULL: no steps of its own */
    enum ig_calibrator *chosen;
    const float *rows, *held_out;
    size_t rows_count, held_out_count, inputs;
    float *logits; /* of the float network, held_out_count x outputs */
    double variance;
    size_t outputs;
    double error_min_max, error;
    bool corrected, tuned;
    double *sums[2]; /* of each channel of each layer, float and simulated */
    float *state;    /* to go back to */
};

/* ---- running ---- */

static size_t batch_at(size_t first, size_t count)
{
    return count - first < BATCH ? count - first : BATCH;
}

static void run_at(struct ig_backprop *bp, const struct search *s, const float *rows, size_t first,
                   size_t count)
{
    ig_backprop_forward(bp, rows + first * s->inputs, (uint32_t)count, IG_BACKPROP_INFER);
}

/* The float network on the held-out rows: its logits, and their variance. */
static void run_float(struct search *s)
{
    uint32_t logits = ig_backprop_logits(s->real);
    double sum = 0, squares = 0, count = (double)(s->held_out_count * s->outputs);
    for (size_t first = 0; first < s->held_out_count; first += BATCH) {
        size_t rows = batch_at(first, s->held_out_count);
        run_at(s->real, s, s->held_out, first, rows);
        memcpy(s->logits + first * s->outputs, ig_backprop_values(s->real, logits),
               rows * s->outputs * sizeof(float));
    }
    for (size_t i = 0; i < s->held_out_count * s->outputs; i++) sum += (double)s->logits[i] / count;
    for (size_t i = 0; i < s->held_out_count * s->outputs; i++) {
        double off = (double)s->logits[i] - sum;
        squares += off * off / count;
    }
    s->variance = squares > 0 ? squares : 1;
}

static double measure(struct search *s)
{
    uint32_t logits = ig_backprop_logits(s->int8);
    double sum = 0;
    for (size_t first = 0; first < s->held_out_count; first += BATCH) {
        size_t rows = batch_at(first, s->held_out_count);
        run_at(s->int8, s, s->held_out, first, rows);
        const float *values = ig_backprop_values(s->int8, logits);
        for (size_t i = 0; i < rows * s->outputs; i++) {
            double off = (double)values[i] - (double)s->logits[first * s->outputs + i];
            sum += off * off;
        }
    }
    return sum / (double)(s->held_out_count * s->outputs) / s->variance;
}

/* ---- calibration ---- */

static bool has_own_steps(const struct search *s, uint32_t tensor)
{
    struct ig_steps steps;
    if (s->network->tensors[tensor].data || ig_backprop_root(s->real, tensor) != tensor)
        return false;
    for (uint32_t i = 0; i < s->network->layers_count; i++)
        if (s->network->layers[i].output == tensor)
            return !ig_steps_fixed(s->network->layers[i].op, &steps);
    return tensor == s->network->inputs[0];
}

static void fill_histograms(struct search *s, const float *from, size_t count)
{
    for (size_t first = 0; first < count; first += BATCH) {
        size_t rows = batch_at(first, count);
        run_at(s->real, s, from, first, rows);
        for (uint32_t i = 0; i < s->network->tensors_count; i++)
            if (s->histograms[i])
                ig_histogram_add(s->histograms[i], ig_backprop_values(s->real, i),
                                 rows * ig_backprop_elements(s->real, i));
    }
}

/* A calibrator's range; one about 0 has steps with a zero point of 0. */
static struct ig_range range_of(const struct search *s, uint32_t tensor,
                                enum ig_calibrator calibrator)
{
    struct ig_range range = ig_histogram_range(s->histograms[tensor], calibrator);
    float most = fmaxf(fabsf(range.least), fabsf(range.most));
    if (!s->options->symmetric) return range;
    return ig_steps_range((struct ig_steps){most > 0 ? most / INT8_MAX : 1, 0});
}

static void set_all(struct search *s, enum ig_calibrator calibrator)
{
    struct ig_range *ranges = ig_backprop_ranges(s->int8);
    for (uint32_t i = 0; i < s->network->tensors_count; i++) {
        if (!s->histograms[i]) continue;
        ranges[i] = range_of(s, i, calibrator);
        s->chosen[i] = calibrator;
    }
}

/* One tensor's best calibrator, all others as they stand. */
static void choose(struct search *s, uint32_t tensor)
{
    struct ig_range *range = &ig_backprop_ranges(s->int8)[tensor], kept = *range;
    for (int c = 0; c < IG_CALIBRATORS_COUNT; c++) {
        struct ig_range candidate = range_of(s, tensor, (enum ig_calibrator)c);
        if (candidate.least == kept.least && candidate.most == kept.most) continue;
        *range = candidate;
        double error = measure(s);
        if (error < s->error * BETTER) {
            s->error = error;
            s->chosen[tensor] = (enum ig_calibrator)c;
            kept = candidate;
        }
        *range = kept;
    }
}

/* The chosen calibrators with the held-out rows as well, where those were taken from the rest:
 * ranges of few rows are short. All by min-max is asked once more, as it gains most by them. */
static void widen(struct search *s)
{
    struct ig_range *ranges = ig_backprop_ranges(s->int8);
    fill_histograms(s, s->held_out, s->held_out_count);
    for (int all = 0; all < 2; all++) {
        ig_backprop_save(s->int8, s->state);
        for (uint32_t i = 0; i < s->network->tensors_count; i++)
            if (s->histograms[i])
                ranges[i] = range_of(s, i, all ? IG_CALIBRATE_MIN_MAX : s->chosen[i]);
        double error = measure(s);
        bool better = all ? s->options->calibrator < 0 && error < s->error : error <= s->error;
        if (all) s->error_min_max = fmin(s->error_min_max, error);
        if (!better) {
            ig_backprop_restore(s->int8, s->state);
            continue;
        }
        s->error = error;
        for (uint32_t i = 0; all && i < s->network->tensors_count; i++)
            s->chosen[i] = IG_CALIBRATE_MIN_MAX;
    }
}

/* ---- bias correction ---- */

struct watch {
    struct search *search;
    struct ig_backprop *bp;
    double *sums; /* layers_count x widest */
    size_t rows;
};

static uint32_t channels_of(const struct ig_network *network, uint32_t layer)
{
    const struct ig_network_tensor *out = &network->tensors[network->layers[layer].output];
    return out->rank ? out->dims[out->rank - 1] : 1;
}

static uint32_t widest(const struct ig_network *network)
{
    uint32_t most = 1;
    for (uint32_t i = 0; i < network->layers_count; i++)
        if (channels_of(network, i) > most) most = channels_of(network, i);
    return most;
}

static void add_sums(void *context, uint32_t layer, const float *values)
{
    const struct watch *watch = context;
    const struct ig_network *network = watch->search->network;
    uint32_t channels = channels_of(network, layer);
    double *sums = watch->sums + (size_t)layer * widest(network);
    size_t each = ig_backprop_elements(watch->bp, network->layers[layer].output);
    size_t cells = watch->search->rows_count * (each / channels);
    for (size_t i = 0; i < watch->rows * each; i++)
        sums[i % channels] += (double)values[i] / (double)cells;
}

/* Mean of each channel's sums over the calibration rows. */
static void mean_sums(struct search *s, struct ig_backprop *bp, double *sums)
{
    struct watch watch = {s, bp, sums, 0};
    const struct ig_backprop_observer observer = {add_sums, &watch};
    memset(sums, 0, (size_t)s->network->layers_count * widest(s->network) * sizeof *sums);
    ig_backprop_observe(bp, &observer);
    for (size_t first = 0; first < s->rows_count; first += BATCH) {
        watch.rows = batch_at(first, s->rows_count);
        run_at(bp, s, s->rows, first, watch.rows);
    }
    ig_backprop_observe(bp, NULL);
}

static struct ig_parameter *bias_of(const struct search *s, uint32_t layer)
{
    uint32_t count;
    const struct ig_network_layer *of = &s->network->layers[layer];
    struct ig_parameter *parameters = ig_backprop_parameters(s->int8, &count);
    for (uint32_t i = 0; i < count && of->inputs_count > 2; i++)
        if (parameters[i].kind == IG_PARAMETER_BIAS && parameters[i].tensor == of->inputs[2] &&
            parameters[i].layer == layer)
            return &parameters[i];
    return NULL;
}

/* Layers in order, as what one shifts the next sees. */
static void correct(struct search *s)
{
    uint32_t stride = widest(s->network);
    ig_backprop_save(s->int8, s->state);
    mean_sums(s, s->real, s->sums[0]);
    for (uint32_t i = 0; i < s->network->layers_count; i++) {
        struct ig_parameter *bias = bias_of(s, i);
        if (!bias) continue;
        mean_sums(s, s->int8, s->sums[1]);
        for (uint32_t c = 0; c < bias->channels; c++) {
            size_t at = (size_t)i * stride + c;
            bias->values[c] += (float)(s->sums[0][at] - s->sums[1][at]);
        }
    }
    double error = measure(s);
    s->corrected = error < s->error * BETTER;
    if (s->corrected)
        s->error = error;
    else
        ig_backprop_restore(s->int8, s->state);
}

/* ---- tuning ---- */

static enum ig_code tune(struct search *s, struct ig_err *err)
{
    float *logits = ig_arena_array(&s->arena, s->rows_count, s->outputs * sizeof *logits);
    const struct ig_quantize_lesson lesson = {s->rows,     logits, s->rows_count,
                                              s->variance, BATCH,  1};
    if (!logits) return ig_fail(err, IG_NO_MEMORY, "tuning");
    for (size_t first = 0; first < s->rows_count; first += BATCH) {
        size_t rows = batch_at(first, s->rows_count);
        run_at(s->real, s, s->rows, first, rows);
        memcpy(logits + first * s->outputs,
               ig_backprop_values(s->real, ig_backprop_logits(s->real)),
               rows * s->outputs * sizeof *logits);
    }
    ig_backprop_save(s->int8, s->state);
    if (ig_quantize_tune(&s->tuned, s->int8, &lesson, err) != IG_OK) return ig_err_code(err);
    if (!s->tuned) return IG_OK;
    double error = measure(s);
    s->tuned = error < s->error * BETTER;
    if (s->tuned)
        s->error = error;
    else
        ig_backprop_restore(s->int8, s->state);
    return IG_OK;
}

/* ---- the search ---- */

static const float *with_gains(struct search *s, const float *rows, size_t count)
{
    float *made = ig_arena_array(&s->arena, count, s->inputs * sizeof *made);
    for (size_t i = 0; made && i < count * s->inputs; i++)
        made[i] = rows[i] * s->gains[i % s->inputs];
    return made;
}

/* Where no rows are held out, every fourth is: tables are often in an order. */
static void split_rows(struct search *s)
{
    const struct ig_quantize_options *o = s->options;
    const float *given = s->gains ? with_gains(s, o->rows, o->rows_count) : o->rows;
    s->rows = given;
    s->rows_count = o->rows_count;
    s->held_out =
        s->gains && o->held_out ? with_gains(s, o->held_out, o->held_out_count) : o->held_out;
    s->held_out_count = o->held_out_count;
    if (o->held_out) return;
    s->held_out_count = o->rows_count / 4;
    s->rows_count = o->rows_count - s->held_out_count;
    float *rows = ig_arena_array(&s->arena, o->rows_count, s->inputs * sizeof *rows);
    if (!rows || !given) return;
    size_t at[2] = {0, s->rows_count};
    for (size_t i = 0; i < o->rows_count; i++)
        memcpy(rows + at[i % 4 == 3]++ * s->inputs, given + i * s->inputs,
               s->inputs * sizeof *rows);
    s->rows = rows;
    s->held_out = rows + s->rows_count * s->inputs;
}

static enum ig_code open_search(struct search *s, struct ig_err *err)
{
    const struct ig_backprop_options batch = {.batch_max = BATCH};
    ig_arena_init(&s->arena, CHUNK_BYTES, BYTES_MAX);
    if (ig_backprop_new(&s->real, s->network, &batch, err) ||
        ig_backprop_new(&s->int8, s->network, &batch, err))
        return ig_err_code(err);
    uint32_t tensors = s->network->tensors_count;
    size_t channels = (size_t)s->network->layers_count * widest(s->network);
    s->inputs = ig_backprop_elements(s->real, ig_backprop_input(s->real));
    s->outputs = ig_backprop_elements(s->real, ig_backprop_logits(s->real));
    split_rows(s);
    s->histograms = ig_arena_array(&s->arena, tensors, sizeof(void *));
    s->chosen = ig_arena_array(&s->arena, tensors, sizeof *s->chosen);
    s->logits = ig_arena_array(&s->arena, s->held_out_count, s->outputs * sizeof(float));
    s->sums[0] = ig_arena_array(&s->arena, channels, sizeof(double));
    s->sums[1] = ig_arena_array(&s->arena, channels, sizeof(double));
    s->state = ig_arena_array(&s->arena, ig_backprop_state_count(s->int8), sizeof(float));
    for (uint32_t i = 0; i < tensors && !s->arena.overflowed; i++)
        if (has_own_steps(s, i))
            s->histograms[i] = ig_arena_zalloc(&s->arena, sizeof **s->histograms);
    if (s->arena.overflowed) return ig_fail(err, IG_NO_MEMORY, "quantization");
    return IG_OK;
}

static void close_search(struct search *s)
{
    ig_backprop_free(s->real);
    ig_backprop_free(s->int8);
    ig_arena_deinit(&s->arena);
}

static void run_search(struct search *s)
{
    const struct ig_quantize_options *o = s->options;
    run_float(s);
    fill_histograms(s, s->rows, s->rows_count);
    ig_backprop_simulate(s->int8,
                         &(struct ig_backprop_int8){.weights = true,
                                                    .activations = true,
                                                    .per_tensor_dense = !o->per_channel_dense,
                                                    .frozen = true});
    set_all(s, IG_CALIBRATE_MIN_MAX);
    s->error = s->error_min_max = measure(s);
    if (o->calibrator >= 0) {
        set_all(s, (enum ig_calibrator)o->calibrator);
        s->error = measure(s);
    }
    for (uint32_t i = 0; i < s->network->tensors_count && o->calibrator < 0; i++)
        if (s->histograms[i]) choose(s, i);
    if (!o->held_out) widen(s);
    if (!o->no_correction) correct(s);
}

/* ---- the report ---- */

static double layer_error(const struct search *s, uint32_t layer)
{
    uint32_t tensor = s->network->layers[layer].output;
    size_t each = ig_backprop_elements(s->real, tensor);
    double sum = 0, squares = 0, errors = 0, count = (double)(s->held_out_count * each);
    for (size_t first = 0; first < s->held_out_count; first += BATCH) {
        size_t rows = batch_at(first, s->held_out_count);
        run_at(s->real, s, s->held_out, first, rows);
        run_at(s->int8, s, s->held_out, first, rows);
        const float *a = ig_backprop_values(s->real, tensor);
        const float *b = ig_backprop_values(s->int8, tensor);
        for (size_t i = 0; i < rows * each; i++) {
            double off = (double)a[i] - (double)b[i];
            sum += (double)a[i] / count;
            squares += (double)a[i] * (double)a[i] / count;
            errors += off * off / count;
        }
    }
    double variance = squares - sum * sum;
    return variance > 0 ? errors / variance : errors;
}

static size_t constant_bytes(const struct ig_network *network)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[i];
        if (tensor->data)
            bytes += ig_network_tensor_bytes(tensor) + tensor->quantization.count * sizeof(float);
    }
    return bytes;
}

static enum ig_code make_report(struct ig_quantize_report *report, struct ig_arena *arena,
                                const struct search *s, struct ig_err *err)
{
    const struct ig_range *ranges = ig_backprop_ranges(s->int8);
    report->error_min_max = s->error_min_max;
    report->error = s->error;
    report->corrected = s->corrected;
    report->tuned = s->tuned;
    report->tensors = ig_arena_array(arena, s->network->tensors_count, sizeof *report->tensors);
    report->layers = ig_arena_array(arena, s->network->layers_count, sizeof *report->layers);
    if (!report->tensors || !report->layers) return ig_fail(err, IG_NO_MEMORY, "the report");
    for (uint32_t i = 0; i < s->network->tensors_count; i++)
        if (s->histograms[i])
            report->tensors[report->tensors_count++] =
                (struct ig_quantize_tensor){i, s->chosen[i], ranges[i]};
    for (uint32_t i = 0; i < s->network->layers_count; i++) {
        report->layers[i] = (struct ig_quantize_layer){i, layer_error(s, i)};
        if (report->layers[i].error > report->layers[report->worst_layer].error)
            report->worst_layer = i;
    }
    report->layers_count = s->network->layers_count;
    return IG_OK;
}

/* ---- the whole ---- */

static enum ig_code check_options(const struct ig_quantize_options *o, struct ig_err *err)
{
    if (o->rows_count < (o->held_out ? 1 : 4))
        return ig_fail(err, IG_INVALID, "%zu rows to calibrate with, expected at least %d",
                       o->rows_count, o->held_out ? 1 : 4);
    if (o->held_out && o->held_out_count == 0) return ig_fail(err, IG_INVALID, "no held-out rows");
    if (o->calibrator < -1 || o->calibrator >= IG_CALIBRATORS_COUNT)
        return ig_fail(err, IG_INVALID, "calibrator is %d", o->calibrator);
    return IG_OK;
}

/* A copy of the network that computes the same by other weights: with the channels of its layers
 * equalized, behind gains of its inputs, or both. */
struct variant {
    bool even, gained;
    struct ig_network *copy; /* NULL: the network itself */
    float *gains;
    struct search search;
};

/* Whether there is such a variant of this network. */
static bool is_possible(const struct variant *v, const struct ig_network *network,
                        const struct ig_quantize_options *options)
{
    return !(v->even && options->no_equalization) &&
           !(v->gained && !(options->gains && ig_input_gains_layer(network)));
}

/* *pairs: of layers that are equalized. */
static enum ig_code make_variant(uint32_t *pairs, struct variant *v,
                                 const struct ig_network *network,
                                 const struct ig_quantize_options *options, struct ig_err *err)
{
    struct ig_arena *arena;
    v->copy = ig_network_dup(network, 8 * ig_network_bytes(network) + CHUNK_BYTES);
    if (!v->copy) return ig_fail(err, IG_NO_MEMORY, "a copy of the network");
    arena = &v->copy->arena;
    if (v->gained) {
        size_t inputs = ig_network_tensor_count(&network->tensors[network->inputs[0]]);
        v->gains = ig_arena_array(arena, inputs, sizeof *v->gains);
        if (!v->gains) return ig_fail(err, IG_NO_MEMORY, "gains");
        ig_input_gains_find(v->gains, network, options->rows, options->rows_count);
        if (ig_input_gains_apply(v->copy, v->gains, err) != IG_OK) return ig_err_code(err);
    }
    return v->even ? ig_equalize_run(pairs, v->copy, err) : IG_OK;
}

static void close_variant(struct variant *v)
{
    close_search(&v->search);
    ig_network_free(v->copy);
    v->copy = NULL;
    v->search = (struct search){0};
}

static enum ig_code search_variant(struct variant *v, const struct ig_network *network,
                                   const struct ig_quantize_options *options, struct ig_err *err)
{
    uint32_t pairs = 1;
    v->search.error = INFINITY;
    if (!is_possible(v, network, options)) return IG_OK;
    if ((v->even || v->gained) && make_variant(&pairs, v, network, options, err) != IG_OK)
        return ig_err_code(err);
    if (!pairs) return IG_OK;
    v->search = (struct search){.network = v->copy ? v->copy : network,
                                .options = options,
                                .gains = v->gains,
                                .error = INFINITY};
    enum ig_code code = open_search(&v->search, err);
    if (code == IG_OK) run_search(&v->search);
    if (code == IG_OK && !options->no_tuning) code = tune(&v->search, err);
    return code;
}

/* The best of all, whose search stays open. */
static enum ig_code search_all(struct variant *best, double *error_min_max,
                               const struct ig_network *network,
                               const struct ig_quantize_options *options, struct ig_err *err)
{
    enum ig_code code = search_variant(best, network, options, err);
    *error_min_max = best->search.error_min_max;
    for (int i = 1; i < 4 && code == IG_OK; i++) {
        struct variant v = {.even = i & 1, .gained = i & 2};
        code = search_variant(&v, network, options, err);
        if (code == IG_OK && v.search.error < best->search.error * BETTER) {
            close_variant(best);
            *best = v;
        } else {
            close_variant(&v);
        }
    }
    return code;
}

static enum ig_code keep_gains(struct ig_quantize_result *result, struct ig_arena *arena,
                               const struct variant *v, struct ig_err *err)
{
    if (!v->gains) return IG_OK;
    size_t bytes = v->search.inputs * sizeof *v->gains;
    float *kept = ig_arena_alloc(arena, bytes);
    if (!kept) return ig_fail(err, IG_NO_MEMORY, "gains");
    result->gains = memcpy(kept, v->gains, bytes);
    return IG_OK;
}

enum ig_code ig_quantize_run(struct ig_quantize_result *out, struct ig_arena *arena,
                             const struct ig_network *network,
                             const struct ig_quantize_options *options, struct ig_err *err)
{
    struct variant best = {0};
    struct ig_quantize_result result = {0};
    double error_min_max;
    const struct ig_quantize_form form = {options->float_ends, options->rounding};
    if (check_options(options, err) != IG_OK) return ig_err_code(err);
    enum ig_code code = search_all(&best, &error_min_max, network, options, err);
    if (code == IG_OK) code = make_report(&result.report, arena, &best.search, err);
    if (code == IG_OK) code = keep_gains(&result, arena, &best, err);
    if (code == IG_OK) code = ig_quantize_emit(&result.network, best.search.int8, &form, err);
    if (code == IG_OK) {
        result.report.error_min_max = error_min_max;
        result.report.equalized = best.even;
        result.report.gained = best.gained;
        result.report.float_bytes = constant_bytes(network);
        result.report.int8_bytes = constant_bytes(result.network);
        *out = result;
    }
    close_variant(&best);
    return code;
}

/* ---- what is told ---- */

void ig_quantize_report_write(struct ig_json_out *out, const struct ig_quantize_report *report,
                              bool layers)
{
    ig_json_out_kv_i64(out, "float_bytes", (int64_t)report->float_bytes);
    ig_json_out_kv_i64(out, "int8_bytes", (int64_t)report->int8_bytes);
    ig_json_out_kv_f64(out, "error", report->error);
    ig_json_out_kv_f64(out, "error_min_max", report->error_min_max);
    ig_json_out_kv_bool(out, "equalized", report->equalized);
    ig_json_out_kv_bool(out, "bias_corrected", report->corrected);
    ig_json_out_kv_bool(out, "input_gains", report->gained);
    ig_json_out_kv_bool(out, "tuned", report->tuned);
    if (report->layers_count)
        ig_json_out_kv_i64(out, "worst_layer", report->layers[report->worst_layer].layer);
    if (!layers) return;
    ig_json_out_key(out, IG_STR("layers"));
    ig_json_out_array(out);
    for (uint32_t i = 0; i < report->layers_count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_i64(out, "layer", report->layers[i].layer);
        ig_json_out_kv_f64(out, "error", report->layers[i].error);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}
