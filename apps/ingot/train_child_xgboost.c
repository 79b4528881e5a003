/* SPDX-License-Identifier: Apache-2.0 */
/* The engine `xgboost` of the training child. The package's margins are the engine's own; it is
 * proved on some rows that they are what the training library gives, bit for bit, and any
 * difference fails the job. */
#include "train_engine.h"
#include "trainer_xgboost.h"

#include "base/log.h"
#include "base/mem.h"
#include "services/job/train_metrics.h"

#include <math.h>
#include <stdio.h>

enum { GOLDEN_ROWS = 16 };

struct boosting {
    struct ig_train_child *child;
    struct ig_trainer *trainer;
    int64_t kept_rounds;
};

void ig_train_child_round(struct ig_train_child *child, const struct ig_trainer_round *round,
                          const char *stage, double part)
{
    struct ig_json_out out;
    struct ig_buf metrics;
    char name[64];
    if (!ig_train_child_tells(round->round, round->rounds)) return;
    ig_buf_init(&metrics, 4096);
    ig_json_out_init(&out, &metrics);
    ig_json_out_object(&out);
    if (stage) ig_json_out_kv_str(&out, "stage", ig_str_view(stage));
    ig_json_out_kv_i64(&out, "round", round->round);
    ig_json_out_kv_i64(&out, "rounds", round->rounds);
    snprintf(name, sizeof name, "train_%s", round->metric);
    if (!isnan(round->train)) ig_json_out_kv_f64(&out, name, round->train);
    if (!isnan(round->validation)) {
        snprintf(name, sizeof name, "validation_%s", round->metric);
        ig_json_out_kv_f64(&out, name, round->validation);
    }
    ig_json_out_object_end(&out);
    child->progress = 0.02 + 0.93 * part;
    const struct ig_train_event event = {.kind = IG_TRAIN_PROGRESS,
                                         .progress = child->progress,
                                         .metrics_json = ig_buf_view(&metrics)};
    ig_train_child_say(&event);
    ig_log(IG_LOG_INFO, "round", IG_LOG_I("round", round->round), IG_LOG_F("train", round->train),
           IG_LOG_F("validation", round->validation));
    ig_buf_deinit(&metrics);
}

static void report(void *context, const struct ig_trainer_round *round)
{
    struct boosting *boosting = context;
    ig_train_child_round(boosting->child, round, NULL,
                         (double)round->round / (double)round->rounds);
}

/* Judges on the validation rows, or on the training rows when there are none. */
static enum ig_code judge(struct boosting *boosting, struct ig_err *err)
{
    struct ig_train_child *child = boosting->child;
    const struct ig_train_data *data = &child->data;
    bool held_out = data->validation_count > 0;
    const struct ig_trainer_request request = {.rows = held_out ? data->validation : data->train,
                                               .rows_count = held_out ? data->validation_count
                                                                      : data->train_count};
    size_t outputs_max = data->schema.classes_count > 2 ? data->schema.classes_count : 2, outputs;
    double *labels = ig_zalloc_array(request.rows_count, sizeof *labels);
    double *values = ig_zalloc_array(request.rows_count * outputs_max, sizeof *values);
    struct ig_metrics metrics;
    struct ig_json_out out;
    enum ig_code code = IG_OK;
    if (!labels || !values) code = ig_fail(err, IG_NO_MEMORY, "metrics");
    if (code == IG_OK)
        code = ig_trainer_predict(&outputs, values, outputs_max, boosting->trainer, &request, err);
    if (code != IG_OK) goto out;
    for (size_t i = 0; i < request.rows_count; i++) labels[i] = data->labels[request.rows[i]];
    if (data->schema.task == IG_TASK_BINARY)
        code = ig_metrics_binary(&metrics, labels, values, request.rows_count, err);
    else if (data->schema.task == IG_TASK_MULTICLASS)
        ig_metrics_multiclass(&metrics, labels, values, request.rows_count, outputs);
    else
        ig_metrics_regression(&metrics, labels, values, request.rows_count);
    if (code != IG_OK) goto out;
    ig_json_out_init(&out, &child->metrics);
    ig_json_out_object(&out);
    ig_metrics_write(&out, &metrics);
    ig_json_out_kv_i64(&out, "rounds", boosting->kept_rounds);
    ig_json_out_kv_i64(&out, "train_rows", (int64_t)data->train_count);
    ig_json_out_kv_i64(&out, "validation_rows", (int64_t)data->validation_count);
    ig_json_out_object_end(&out);
out:
    ig_free(values);
    ig_free(labels);
    return code;
}

/* Golden rows: spread over the validation rows. */
static size_t choose_golden(size_t rows[GOLDEN_ROWS], const struct ig_train_data *data)
{
    bool held_out = data->validation_count > 0;
    const size_t *from = held_out ? data->validation : data->train;
    size_t available = held_out ? data->validation_count : data->train_count;
    size_t count = available < GOLDEN_ROWS ? available : GOLDEN_ROWS;
    for (size_t i = 0; i < count; i++) rows[i] = from[i * available / count];
    return count;
}

static enum ig_code compare_margins(const struct boosting *boosting, const struct ig_engine *engine,
                                    const double *cells, const size_t *rows, size_t count,
                                    struct ig_err *err)
{
    size_t outputs = ig_engine_model(engine)->outputs_count, theirs = 0;
    const struct ig_trainer_request request = {rows, count, true};
    double *expected = ig_zalloc_array(count * outputs, sizeof *expected);
    double *actual = ig_zalloc_array(count * outputs, sizeof *actual);
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, count) + 64);
    enum ig_code code = IG_OK;
    if (!expected || !actual || !scratch) code = ig_fail(err, IG_NO_MEMORY, "golden rows");
    if (code == IG_OK)
        code = ig_trainer_predict(&theirs, expected, outputs, boosting->trainer, &request, err);
    if (code == IG_OK && theirs != outputs)
        code =
            ig_fail(err, IG_INTERNAL, "the model gives %zu outputs, xgboost %zu", outputs, theirs);
    if (code == IG_OK) ig_engine_margin(engine, cells, count, actual, scratch);
    for (size_t i = 0; code == IG_OK && actual && expected && i < count * outputs; i++) {
        if (actual[i] != expected[i])
            code = ig_fail(err, IG_INTERNAL,
                           "row %zu: our margin is %.9g, xgboost's is %.9g: the model is not used",
                           rows[i / outputs] + 1, actual[i], expected[i]);
    }
    ig_free(scratch);
    ig_free(actual);
    ig_free(expected);
    return code;
}

/* Our reader and engine must give what the library gives. */
static enum ig_code prove(const struct boosting *boosting, struct ig_str model_bytes,
                          const double *cells, const size_t *rows, size_t count, struct ig_err *err)
{
    struct ig_model *model = NULL;
    struct ig_engine *engine = NULL;
    enum ig_code code = ig_format_load(&model, model_bytes, NULL, err);
    if (code == IG_OK) code = ig_engine_new(&engine, model, err);
    if (code == IG_OK) code = compare_margins(boosting, engine, cells, rows, count, err);
    if (engine) ig_engine_free(engine);
    if (model) ig_model_free(model);
    return code;
}

static enum ig_code write_package(struct boosting *boosting, struct ig_err *err)
{
    struct ig_train_child *child = boosting->child;
    const struct ig_train_data *data = &child->data;
    size_t golden[GOLDEN_ROWS], features = data->schema.features_count;
    size_t count = choose_golden(golden, data);
    struct ig_str model = {"", 0};
    double *cells = ig_zalloc_array(count * features, sizeof *cells);
    enum ig_code code = cells ? IG_OK : ig_fail(err, IG_NO_MEMORY, "golden rows");
    for (size_t i = 0; i < count && code == IG_OK; i++)
        ig_train_data_row(data, golden[i], cells + i * features);
    if (code == IG_OK) code = ig_trainer_save(&model, boosting->trainer, err);
    if (code == IG_OK) {
        model = ig_arena_dup(&child->arena, model); /* a prediction may reuse the library's */
        if (!model.ptr) code = ig_fail(err, IG_NO_MEMORY, "model file");
    }
    if (code == IG_OK) code = prove(boosting, model, cells, golden, count, err);
    if (code == IG_OK) {
        const struct ig_train_made made = {.model = model,
                                           .schema = &data->schema,
                                           .engine_version = ig_trainer_version(boosting->trainer),
                                           .golden_rows = cells,
                                           .golden_count = count};
        code = ig_train_child_write(child, &made, err);
    }
    ig_free(cells);
    return code;
}

enum ig_code ig_train_child_xgboost(struct ig_train_child *child, struct ig_err *err)
{
    struct boosting boosting = {.child = child};
    enum ig_code code =
        ig_trainer_open(&boosting.trainer, &child->data, &child->spec.params.xgboost, err);
    if (code == IG_OK)
        code = ig_trainer_run(&boosting.kept_rounds, boosting.trainer, report, &boosting, err);
    if (code == IG_OK) code = judge(&boosting, err);
    if (code == IG_OK) code = write_package(&boosting, err);
    return code; /* the library's threads are left alone: the process ends soon */
}
