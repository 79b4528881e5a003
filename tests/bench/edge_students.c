/* SPDX-License-Identifier: Apache-2.0 */
/* From boosted trees to a small int8 network, or to a few small trees, on a real table: what each
 * step keeps and saves.
 *
 * For every seed a new split (60 % training, 20 % validation, 20 % test) and a new teacher by
 * libxgboost. Students are of one size: taught by labels alone; by the teacher on real and
 * synthetic rows; then half of the weights zero; or half of the neurons gone; each in int8. Int8
 * figures come from integers (quantize/int8_testing.h), next to min-max ranges alone.
 *
 * Then tree students of one size, as compact files with int16 leaves: by labels alone, by the
 * teacher, and the latter pruned to half of its leaves. HIDDEN 0 leaves the networks out.
 *
 *   edge_students CSV TARGET [SEEDS [HIDDEN [ROUNDS [DEPTH]]]] | --smoke CSV TARGET */
#include "base/file.h"
#include "base/mem.h"
#include "base/random.h"
#include "formats/edge/edge.h"
#include "formats/format.h"
#include "kernels/quantize/quantize.h"
#include "kernels/train/distill.h"
#include "kernels/train/layers.h"
#include "kernels/train/shrink.h"
#include "kernels/train/tree_prune.h"
#include "services/job/job_params.h"
#include "trainer_xgboost.h"

#define assert_true IG_ASSERT
#include "kernels/quantize/int8_testing.h"

#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { SEEDS_MAX = 16, CALIBRATION = 4000 };

struct figure {
    double accuracy, loss; /* of numbers: R squared, and the mean squared error */
    size_t bytes;
};

enum stage {
    TEACHER,
    BY_LABELS,
    DISTILLED,
    DISTILLED_INT8,
    DISTILLED_MIN_MAX,
    PRUNED,
    PRUNED_INT8,
    SHRUNK,
    SHRUNK_INT8,
    TREES_BY_LABELS,
    TREES_DISTILLED,
    TREES_PRUNED,
    STAGES_COUNT
};

static const char *const stage_names[STAGES_COUNT] = {"teacher, boosted trees",
                                                      "network by labels",
                                                      "network distilled",
                                                      "  int8",
                                                      "  int8 by min-max alone",
                                                      "  half the weights zero",
                                                      "    int8",
                                                      "  half the neurons gone",
                                                      "    int8",
                                                      "small trees by labels",
                                                      "small trees distilled",
                                                      "  half the leaves gone"};

struct part {
    double *rows;
    float *inputs, *labels, *logits;
    size_t count;
};

struct bench {
    struct ig_arena arena;
    struct ig_table *table;
    struct ig_train_data data;
    struct ig_encoder encoder;
    uint32_t *categories, hidden, rounds, depth; /* of tree students */
    enum ig_fit_loss loss;
    size_t outputs;
    bool smoke;
    struct part train, valid, test;
    double variance; /* of the test labels */
};

static void stop_on(enum ig_code code, const struct ig_err *err)
{
    if (code == IG_OK) return;
    fprintf(stderr, "edge_students: %s\n", err->message);
    exit(1);
}

static void *take(struct bench *b, size_t count, size_t bytes)
{
    void *memory = ig_arena_array(&b->arena, count + 1, bytes);
    IG_ASSERT(memory);
    return memory;
}

/* ---- the data of a seed ---- */

static void take_part(struct bench *b, struct part *part, const size_t *rows, size_t count,
                      size_t room)
{
    uint32_t features = b->data.schema.features_count;
    part->count = count;
    part->rows = take(b, (count + room) * features, sizeof(double));
    part->labels = take(b, count + room, sizeof(float));
    part->logits = take(b, (count + room) * b->outputs, sizeof(float));
    for (size_t i = 0; i < count; i++) {
        ig_train_data_row(&b->data, rows[i], part->rows + i * features);
        part->labels[i] = (float)b->data.labels[rows[i]];
    }
}

static void encode(struct bench *b, struct part *part)
{
    part->inputs = take(b, part->count * b->encoder.inputs_count, sizeof(float));
    ig_encoder_run(&b->encoder, part->rows, part->count, part->inputs);
}

static void shuffle(size_t *rows, size_t count, struct ig_rng *rng)
{
    for (size_t i = count; i > 1; i--) {
        size_t other = (size_t)ig_rng_below(rng, i), kept = rows[i - 1];
        rows[i - 1] = rows[other];
        rows[other] = kept;
    }
}

static void open_data(struct bench *b, const char *target, uint64_t seed)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_train_options options = {.target = ig_str_view(target),
                                             .objective = "auto",
                                             .validation_fraction = 0.2,
                                             .seed = seed};
    stop_on(ig_train_data_init(&b->data, b->table, &options, &b->arena, &err), &err);
    const struct ig_schema *schema = &b->data.schema;
    b->loss = schema->task == IG_TASK_BINARY       ? IG_FIT_LOGISTIC
              : schema->task == IG_TASK_MULTICLASS ? IG_FIT_SOFTMAX
                                                   : IG_FIT_SQUARED;
    b->outputs = b->loss == IG_FIT_SOFTMAX ? schema->classes_count : 1;
    b->categories = take(b, schema->features_count, sizeof *b->categories);
    for (uint32_t i = 0; i < schema->features_count; i++)
        b->categories[i] = schema->features[i].categories_count;
    size_t train = b->data.train_count * 3 / 4; /* the rest is the test */
    struct ig_rng rng;
    ig_rng_seed(&rng, seed);
    shuffle(b->data.train, b->data.train_count, &rng);
    shuffle(b->data.validation, b->data.validation_count, &rng); /* the first calibrate */
    size_t made = b->smoke ? 100 : train < 5000 ? 10 * train : 5 * train;
    take_part(b, &b->test, b->data.train + train, b->data.train_count - train, 0);
    take_part(b, &b->train, b->data.train, train, made);
    take_part(b, &b->valid, b->data.validation, b->data.validation_count, 0);
    b->data.train_count = train;
    const struct ig_encoder_rows real = {b->train.rows, train, schema->features_count,
                                         b->categories, true};
    stop_on(ig_encoder_fit(&b->encoder, &b->arena, &real, &err), &err);
    const struct ig_distill_sampling sampling = {real, &b->encoder, 0.5, 8, seed};
    stop_on(
        ig_distill_sample(b->train.rows + train * schema->features_count, made, &sampling, &err),
        &err);
    b->train.count += made;
    for (size_t i = train; i < b->train.count; i++) b->train.labels[i] = NAN;
    encode(b, &b->train);
    encode(b, &b->valid);
    encode(b, &b->test);
    double sum = 0, squares = 0;
    for (size_t i = 0; i < b->test.count; i++) sum += (double)b->test.labels[i];
    for (size_t i = 0; i < b->test.count; i++) {
        double off = (double)b->test.labels[i] - sum / (double)b->test.count;
        squares += off * off / (double)b->test.count;
    }
    b->variance = squares;
}

/* ---- scores ---- */

static struct figure figure_of(const struct bench *b, struct ig_fit_score score, size_t bytes)
{
    double first = b->loss == IG_FIT_SQUARED ? 1 - score.loss / b->variance : score.metric;
    return (struct figure){first, score.loss, bytes};
}

static struct figure score_logits(struct bench *b, const float *logits, size_t bytes)
{
    size_t right = 0;
    const struct ig_fit_batch batch = {logits,     b->test.labels, NULL, b->test.count,
                                       b->outputs, b->loss,        1,    1};
    double loss = ig_fit_loss_of(&batch, NULL, &right);
    return figure_of(b, (struct ig_fit_score){loss, (double)right / (double)b->test.count}, bytes);
}

static void quiet(void *context, const struct ig_trainer_round *round)
{
    (void)context;
    (void)round;
}

static struct figure run_teacher(struct bench *b)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params;
    struct ig_trainer *trainer = NULL;
    struct ig_model *model = NULL;
    struct ig_engine *engine = NULL;
    struct ig_str bytes;
    int64_t kept;
    ig_params_defaults(&params, IG_JOB_XGBOOST);
    params.xgboost.threads = 1;
    params.xgboost.rounds = b->smoke ? 5 : 500;
    params.xgboost.early_stopping = 20;
    stop_on(ig_trainer_open(&trainer, &b->data, &params.xgboost, &err), &err);
    stop_on(ig_trainer_run(&kept, trainer, quiet, NULL, &err), &err);
    stop_on(ig_trainer_save(&bytes, trainer, &err), &err);
    stop_on(ig_format_load(&model, bytes, NULL, &err), &err);
    stop_on(ig_engine_new(&engine, model, &err), &err);
    struct ig_predictor teacher = ig_predictor_response(engine);
    struct part *parts[] = {&b->train, &b->valid, &b->test};
    for (int i = 0; i < 3; i++) {
        const struct ig_distill_ask ask = {&teacher, parts[i]->rows, parts[i]->count, b->loss,
                                           b->outputs};
        stop_on(ig_distill_answers(parts[i]->logits, &ask, &err), &err);
    }
    struct figure figure = score_logits(b, b->test.logits, bytes.len);
    ig_engine_free(engine);
    ig_model_free(model);
    ig_trainer_close(trainer);
    return figure;
}

static size_t network_bytes(const struct ig_network *network)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[i];
        if (tensor->data)
            bytes += ig_network_tensor_bytes(tensor) + tensor->quantization.count * sizeof(float);
    }
    return bytes;
}

static struct figure score_float(struct bench *b, const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_fit_score score;
    const struct ig_fit_data data = {b->test.inputs, b->test.labels, NULL, b->test.count};
    stop_on(ig_fit_score(&score, network, &data, b->loss, &err), &err);
    return figure_of(b, score, network_bytes(network));
}

/* Non-zero bytes and a bit a weight, as packed files have it. */
static size_t packed_bytes(const struct ig_network *network)
{
    size_t bytes = 0;
    for (uint32_t i = 0; i < network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &network->tensors[i];
        size_t count = ig_network_tensor_count(tensor), each = ig_network_type_bytes(tensor->type);
        if (!tensor->data) continue;
        bytes += tensor->quantization.count * sizeof(float) + (tensor->rank > 1 ? count / 8 : 0);
        for (size_t k = 0; k < count; k++)
            for (size_t at = 0; at < each; at++)
                if (tensor->rank < 2 || ((const char *)tensor->data)[k * each + at] != 0) {
                    bytes += each;
                    break;
                }
    }
    return bytes;
}

static struct figure score_int8(struct bench *b, const struct ig_network *network, int calibrator)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_quantize_result result;
    const bool plain = calibrator >= 0;
    const struct ig_quantize_options options = {
        .rows = b->valid.inputs,
        .rows_count = b->valid.count < CALIBRATION ? b->valid.count : CALIBRATION,
        .calibrator = calibrator,
        .no_correction = plain,
        .no_equalization = plain,
        .no_tuning = plain,
        .gains = !plain};
    stop_on(ig_quantize_run(&result, &b->arena, network, &options, &err), &err);
    float *logits = take(b, b->test.count * b->outputs, sizeof *logits);
    const struct ig_network_layer *last = &result.network->layers[result.network->layers_count - 1];
    bool has_end = last->op == IG_NETWORK_SOFTMAX || last->op == IG_NETWORK_LOGISTIC;
    uint32_t tensor = has_end ? last->inputs[0] : last->output;
    float *row = take(b, b->encoder.inputs_count, sizeof *row);
    for (size_t i = 0; i < b->test.count; i++) {
        const float *inputs = b->test.inputs + i * b->encoder.inputs_count;
        for (size_t k = 0; k < b->encoder.inputs_count; k++)
            row[k] = inputs[k] * (result.gains ? result.gains[k] : 1);
        plain_network(result.network, row, tensor, logits + i * b->outputs);
    }
    struct figure figure = score_logits(b, logits, packed_bytes(result.network));
    if (figure.bytes > network_bytes(result.network)) figure.bytes = network_bytes(result.network);
    ig_network_free(result.network);
    return figure;
}

/* ---- students ---- */

static struct ig_network *fresh_network(struct bench *b, uint64_t seed)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network = NULL;
    bool norms[2 * IG_LAYERS_MAX];
    const struct ig_layer items[] = {
        {.kind = IG_LAYER_DENSE, .units = b->hidden, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = b->hidden, .activation = IG_NETWORK_ACTIVATION_RELU},
        {.kind = IG_LAYER_DENSE, .units = (uint32_t)b->outputs},
        {.kind = b->loss == IG_FIT_SOFTMAX ? IG_LAYER_SOFTMAX : IG_LAYER_LOGISTIC}};
    const struct ig_layers layers = {
        0, 0, b->encoder.inputs_count, items, b->loss == IG_FIT_SQUARED ? 3 : 4, seed};
    stop_on(ig_layers_make(&network, norms, &layers, &err), &err);
    return network;
}

static struct ig_fit_options fit_options(const struct bench *b, uint64_t seed, size_t rows)
{
    return (struct ig_fit_options){.loss = b->loss,
                                   .optimizer = {.learning_rate = 0.003, .weight_decay = 1e-3},
                                   .epochs = b->smoke ? 2 : 40,
                                   .batch = rows > 20000 ? 128 : 32,
                                   .patience = 10,
                                   .seed = seed,
                                   .alpha = 1,
                                   .cosine = true};
}

static struct ig_network *teach(struct bench *b, const struct ig_network *from, uint64_t seed,
                                const struct ig_pruning_schedule *pruning, bool fresh)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *out = NULL;
    struct ig_fit_options options = fit_options(b, seed, b->train.count);
    options.fresh = fresh;
    options.alpha = 0;
    options.temperature = b->loss == IG_FIT_SQUARED ? 1 : 2;
    if (!fresh) options.optimizer.learning_rate = 0.002;
    struct ig_pruning_schedule schedule;
    if (pruning) {
        int64_t steps =
            (int64_t)((b->train.count + options.batch - 1) / options.batch * options.epochs);
        schedule = *pruning;
        schedule.end = steps / 2;
        schedule.frequency = steps > 2000 ? 100 : steps / 20 + 1;
        options.pruning = &schedule;
    }
    const struct ig_fit_data train = {b->train.inputs, b->train.labels, b->train.logits,
                                      b->train.count};
    const struct ig_fit_data valid = {b->valid.inputs, b->valid.labels, NULL, b->valid.count};
    stop_on(ig_fit_run(&out, from, &train, &valid, &options, &err), &err);
    return out;
}

static struct ig_network *by_labels(struct bench *b, const struct ig_network *from, uint64_t seed)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *out = NULL;
    struct ig_fit_options options = fit_options(b, seed, b->data.train_count);
    options.fresh = true;
    const struct ig_fit_data train = {b->train.inputs, b->train.labels, NULL, b->data.train_count};
    const struct ig_fit_data valid = {b->valid.inputs, b->valid.labels, NULL, b->valid.count};
    stop_on(ig_fit_run(&out, from, &train, &valid, &options, &err), &err);
    return out;
}

/* ---- tree students ---- */

/* The model as its compact file has it. */
static struct figure score_trees(struct bench *b, const struct ig_model *model)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_compact *compact = NULL;
    struct ig_model *back = NULL;
    struct ig_engine *engine = NULL;
    struct ig_buf file;
    ig_buf_init(&file, (size_t)1 << 30);
    stop_on(ig_tree_compact_new(&compact, model, IG_COMPACT_WANT_INT16, &err), &err);
    stop_on(ig_edge_write(&file, compact, &err), &err);
    stop_on(ig_format_load(&back, ig_buf_view(&file), NULL, &err), &err);
    stop_on(ig_engine_new(&engine, back, &err), &err);
    size_t count = b->test.count, values = count * b->outputs;
    double *margins = take(b, values, sizeof *margins);
    float *logits = take(b, values, sizeof *logits);
    void *scratch = ig_arena_alloc_aligned(
        &b->arena, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, count) + 64, 64);
    ig_engine_margin(engine, b->test.rows, count, margins, scratch);
    for (size_t i = 0; i < values; i++) logits[i] = (float)margins[i];
    struct figure figure = score_logits(b, logits, file.len);
    ig_engine_free(engine);
    ig_model_free(back);
    ig_tree_compact_free(compact);
    ig_buf_deinit(&file);
    return figure;
}

static struct ig_model *grow_trees(struct bench *b, const struct ig_trainer_lesson *lesson)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_job_params params;
    struct ig_trainer *trainer = NULL;
    struct ig_model *model = NULL;
    struct ig_str bytes;
    int64_t kept;
    ig_params_defaults(&params, IG_JOB_XGBOOST);
    params.xgboost.threads = 1;
    params.xgboost.rounds = b->smoke ? 5 : b->rounds;
    params.xgboost.max_depth = b->depth;
    params.xgboost.learning_rate = 0.3;
    stop_on(ig_trainer_open_taught(&trainer, &b->data, &params.xgboost, lesson, &err), &err);
    stop_on(ig_trainer_run(&kept, trainer, quiet, NULL, &err), &err);
    stop_on(ig_trainer_save(&bytes, trainer, &err), &err);
    stop_on(ig_format_load(&model, bytes, NULL, &err), &err);
    ig_trainer_close(trainer);
    return model;
}

static uint32_t leaves_of(const struct ig_model *model)
{
    uint32_t leaves = 0;
    for (uint32_t t = 0; t < model->trees_count; t++) leaves += model->trees[t].leaves_count;
    return leaves;
}

/* So many leaves, by what the teacher says of a part of the rows. */
static struct figure prune_trees(struct bench *b, const struct ig_model *model,
                                 const float *answers, uint32_t leaves)
{
    enum { ROWS_MOST = 30000 };
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_prune_report report;
    struct ig_model *small = NULL;
    size_t count = b->train.count < ROWS_MOST ? b->train.count : ROWS_MOST;
    double *labels = take(b, count * b->outputs, sizeof *labels);
    for (size_t i = 0; i < count * b->outputs; i++) labels[i] = (double)answers[i];
    const struct ig_tree_rows fit = {b->train.rows, count, labels};
    const struct ig_tree_prune_options options = {
        .fit = &fit, .prior = 1, .refit = true, .leaves_max = leaves, .loss_max = (double)NAN};
    stop_on(ig_tree_prune_run(&small, &report, model, &options, &err), &err);
    struct figure figure = score_trees(b, small);
    ig_model_free(small);
    return figure;
}

static void run_trees(struct bench *b, struct figure figures[STAGES_COUNT])
{
    size_t values = b->train.count * b->outputs;
    float *answers = take(b, values, sizeof *answers);
    for (size_t i = 0; i < values; i++)
        answers[i] = b->loss == IG_FIT_SQUARED    ? b->train.logits[i]
                     : b->loss == IG_FIT_LOGISTIC ? 1 / (1 + expf(-b->train.logits[i]))
                                                  : expf(b->train.logits[i]);
    const struct ig_trainer_lesson lesson = {b->train.rows, b->train.count, answers};
    struct ig_model *alone = grow_trees(b, NULL), *taught = grow_trees(b, &lesson);
    figures[TREES_BY_LABELS] = score_trees(b, alone);
    figures[TREES_DISTILLED] = score_trees(b, taught);
    figures[TREES_PRUNED] = prune_trees(b, taught, answers, leaves_of(taught) / 2 + 2);
    ig_model_free(alone);
    ig_model_free(taught);
}

static void run_networks(struct bench *b, uint64_t seed, struct figure figures[STAGES_COUNT])
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *small = NULL;
    struct ig_shrink_report report;
    struct ig_network *fresh = fresh_network(b, seed), *alone = by_labels(b, fresh, seed);
    struct ig_network *distilled = teach(b, fresh, seed, NULL, true);
    const struct ig_pruning_schedule half = {IG_PRUNING_POLYNOMIAL, 0, 0.5, 0, 0, 100, 3};
    struct ig_network *pruned = teach(b, distilled, seed, &half, false);
    stop_on(ig_shrink_run(&small, &report, distilled, &(struct ig_shrink_options){0.5}, &err),
            &err);
    struct ig_network *shrunk = teach(b, small, seed, NULL, false);
    figures[BY_LABELS] = score_float(b, alone);
    figures[DISTILLED] = score_float(b, distilled);
    figures[DISTILLED_INT8] = score_int8(b, distilled, -1);
    figures[DISTILLED_MIN_MAX] = score_int8(b, distilled, IG_CALIBRATE_MIN_MAX);
    figures[PRUNED] = score_float(b, pruned);
    figures[PRUNED_INT8] = score_int8(b, pruned, -1);
    figures[SHRUNK] = score_float(b, shrunk);
    figures[SHRUNK_INT8] = score_int8(b, shrunk, -1);
    struct ig_network *all[] = {fresh, alone, distilled, pruned, small, shrunk};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) ig_network_free(all[i]);
}

static void run_seed(struct bench *b, const char *target, uint64_t seed,
                     struct figure figures[STAGES_COUNT])
{
    open_data(b, target, seed);
    figures[TEACHER] = run_teacher(b);
    if (b->hidden) run_networks(b, seed, figures);
    run_trees(b, figures);
    ig_train_data_deinit(&b->data);
}

static bool is_made(const struct bench *b, int stage)
{
    return b->hidden || stage == TEACHER || stage >= TREES_BY_LABELS;
}

static void print_gap(const char *what, const double *means, const double *losses, int alone,
                      int taught)
{
    printf("\nOf the gap between %s by labels alone and the teacher distillation closes %.0f %% "
           "(loss: %.0f %%).\n",
           what, 100 * (means[taught] - means[alone]) / (means[TEACHER] - means[alone]),
           100 * (losses[taught] - losses[alone]) / (losses[TEACHER] - losses[alone]));
}

static void print(const struct bench *b, struct figure figures[][STAGES_COUNT], size_t seeds)
{
    double means[STAGES_COUNT] = {0}, losses[STAGES_COUNT] = {0}, bytes[STAGES_COUNT] = {0};
    for (size_t s = 0; s < seeds; s++)
        for (int i = 0; i < STAGES_COUNT; i++) {
            means[i] += 100 * figures[s][i].accuracy / (double)seeds;
            losses[i] += figures[s][i].loss / (double)seeds;
            bytes[i] += (double)figures[s][i].bytes / (double)seeds;
        }
    printf("| %-24s | %-12s | %-12s | %10s | %9s |\n|---|---|---|---|---|\n", "",
           b->loss == IG_FIT_SQUARED ? "R2, %" : "accuracy, %", "loss", "bytes", "teacher /");
    for (int i = 0; i < STAGES_COUNT; i++)
        if (is_made(b, i))
            printf("| %-24s | %12.2f | %12.5g | %10.0f | %9.1f |\n", stage_names[i], means[i],
                   losses[i], bytes[i], bytes[TEACHER] / bytes[i]);
    if (b->hidden) print_gap("networks", means, losses, BY_LABELS, DISTILLED);
    print_gap("trees", means, losses, TREES_BY_LABELS, TREES_DISTILLED);
    print_gap("trees", means, losses, TREES_BY_LABELS, TREES_PRUNED);
}

int main(int argc, char **argv)
{
    static struct figure figures[SEEDS_MAX][STAGES_COUNT];
    struct ig_err err = IG_ERR_INIT;
    struct bench bench = {.hidden = 16, .rounds = 20, .depth = 4};
    const struct ig_table_options options = {0};
    if (argc > 1 && strcmp(argv[1], "--smoke") == 0) {
        bench.smoke = true;
        argv++;
        argc--;
    }
    if (argc < 3) {
        fprintf(stderr,
                "usage: edge_students [--smoke] CSV TARGET [SEEDS [HIDDEN [ROUNDS [DEPTH]]]]\n");
        return 2;
    }
    size_t seeds = argc > 3 ? strtoul(argv[3], NULL, 10) : 1;
    if (argc > 4) bench.hidden = (uint32_t)strtoul(argv[4], NULL, 10);
    if (argc > 5) bench.rounds = (uint32_t)strtoul(argv[5], NULL, 10);
    if (argc > 6) bench.depth = (uint32_t)strtoul(argv[6], NULL, 10);
    if (seeds < 1 || seeds > SEEDS_MAX) return 2;
    int fd = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        perror(argv[1]);
        return 1;
    }
    stop_on(ig_table_read_fd(&bench.table, fd, &options, &err), &err);
    close(fd);
    for (size_t s = 0; s < seeds; s++) {
        ig_arena_init(&bench.arena, 1 << 20, (size_t)4 << 30);
        run_seed(&bench, argv[2], s + 1, figures[s]);
        ig_arena_deinit(&bench.arena);
    }
    print(&bench, figures, seeds);
    ig_table_free(bench.table);
    return 0;
}
