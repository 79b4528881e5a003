/* SPDX-License-Identifier: Apache-2.0 */
/* The training child: reads the table, trains, judges, writes the package, and says how it goes.
 *
 * 1. It dies with the server: the death signal is set first, then the parent is checked, so a
 * server that ended in between is noticed.
 * 2. Limits come before any input is read.
 * 3. The package's margins are the engine's own; the child proves on some rows that they are what
 *    the training library gives, bit for bit, and fails the job on any difference.
 *
 * Thread rule: main thread; the library runs threads of its own. */
#include "train_child.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/thread.h"
#include "formats/package.h"
#include "services/job/train_metrics.h"
#include "trainer_xgboost.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { GOLDEN_ROWS = 16, EVENTS_MAX = 2000, SPEC_MAX = 1 << 20 };
static const size_t ARENA_MAX_BYTES = (size_t)16 << 30, PACKAGE_MAX_BYTES = (size_t)2 << 30;

struct child {
    struct ig_arena arena;
    struct ig_train_spec spec;
    struct ig_table *table;
    struct ig_train_data data;
    struct ig_trainer *trainer;
    int64_t kept_rounds;
    double progress;
    struct ig_buf metrics; /* the final ones, one JSON object */
};

static void say(const struct ig_train_event *event)
{
    struct ig_buf line;
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(&line, IG_TRAIN_LINE_MAX);
    ig_train_event_write(&line, event);
    if (line.overflowed || ig_file_write_all(IG_CHILD_EVENTS_FD, line.ptr, line.len, &err) != IG_OK)
        ig_log(IG_LOG_ERROR, "event lost", IG_LOG_C("error", err.message));
    ig_buf_deinit(&line);
}

/* Wall clock is the supervisor's; CPU time is a second net. */
static enum ig_code limit_resources(const struct ig_train_spec *spec, struct ig_err *err)
{
    uint64_t seconds = (uint64_t)(spec->time_limit_s + 60) * ig_cpu_count();
    enum ig_code code = ig_process_limit_cpu(seconds, err);
    if (code == IG_OK) code = ig_process_no_core(err);
    if (code == IG_OK) code = ig_process_limit_memory((uint64_t)spec->memory_limit_mb << 20, err);
    return code;
}

static enum ig_code read_spec(struct child *child, struct ig_err *err)
{
    struct ig_buf text;
    ig_buf_init(&text, SPEC_MAX);
    enum ig_code code = ig_file_read(&text, IG_CHILD_DIR_FD, "spec.json", err);
    if (code == IG_OK) {
        struct ig_str copy = ig_arena_dup(&child->arena, ig_buf_view(&text));
        code = copy.ptr ? ig_train_spec_read(&child->spec, copy, &child->arena, err)
                        : ig_fail(err, IG_NO_MEMORY, "spec.json");
    }
    ig_buf_deinit(&text);
    return code;
}

static enum ig_code read_table(struct child *child, struct ig_err *err)
{
    struct ig_table_options options = {0};
    const struct ig_train_options train = {
        .target = child->spec.target,
        .drop = child->spec.drop,
        .objective = child->spec.params.objective,
        .validation_fraction = child->spec.params.validation_fraction,
        .seed = (uint64_t)child->spec.params.seed,
    };
    enum ig_code code = ig_table_read_fd(&child->table, IG_CHILD_DATA_FD, &options, err);
    if (code == IG_OK)
        code = ig_train_data_init(&child->data, child->table, &train, &child->arena, err);
    if (code != IG_OK) return code;
    ig_log(IG_LOG_INFO, "table read", IG_LOG_I("rows", (int64_t)child->table->rows_count),
           IG_LOG_I("features", child->data.schema.features_count),
           IG_LOG_I("train", (int64_t)child->data.train_count),
           IG_LOG_I("validation", (int64_t)child->data.validation_count),
           IG_LOG_I("without_target", (int64_t)child->data.dropped_count),
           IG_LOG_C("task", ig_task_name(child->data.schema.task)));
    return IG_OK;
}

static void report(void *context, const struct ig_trainer_round *round)
{
    struct child *child = context;
    struct ig_json_out out;
    struct ig_buf metrics;
    char name[64];
    int64_t every = (round->rounds + EVENTS_MAX - 1) / EVENTS_MAX;
    if (round->round % every != 0 && round->round != 1 && round->round != round->rounds) return;
    ig_buf_init(&metrics, 4096);
    ig_json_out_init(&out, &metrics);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "round", round->round);
    ig_json_out_kv_i64(&out, "rounds", round->rounds);
    snprintf(name, sizeof name, "train_%s", round->metric);
    ig_json_out_kv_f64(&out, name, round->train);
    if (!isnan(round->validation)) {
        snprintf(name, sizeof name, "validation_%s", round->metric);
        ig_json_out_kv_f64(&out, name, round->validation);
    }
    ig_json_out_object_end(&out);
    child->progress = 0.02 + 0.93 * (double)round->round / (double)round->rounds;
    const struct ig_train_event event = {.kind = IG_TRAIN_PROGRESS,
                                         .progress = child->progress,
                                         .metrics_json = ig_buf_view(&metrics)};
    say(&event);
    ig_log(IG_LOG_INFO, "round", IG_LOG_I("round", round->round), IG_LOG_F("train", round->train),
           IG_LOG_F("validation", round->validation));
    ig_buf_deinit(&metrics);
}

/* Judges on the validation rows, or on the training rows when there are none. */
static enum ig_code judge(struct child *child, struct ig_err *err)
{
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
        code = ig_trainer_predict(&outputs, values, outputs_max, child->trainer, &request, err);
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
    ig_json_out_kv_i64(&out, "rounds", child->kept_rounds);
    ig_json_out_kv_i64(&out, "train_rows", (int64_t)data->train_count);
    ig_json_out_kv_i64(&out, "validation_rows", (int64_t)data->validation_count);
    ig_json_out_object_end(&out);
out:
    ig_free(values);
    ig_free(labels);
    return code;
}

static void write_metadata(struct ig_buf *buf, const struct child *child)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "engine", child->spec.engine);
    ig_json_out_kv_str(&out, "engine_version", ig_str_view(ig_trainer_version(child->trainer)));
    ig_json_out_kv_str(&out, "job_id", child->spec.job_id);
    ig_json_out_kv_str(&out, "data_digest", child->spec.data_digest);
    ig_json_out_kv_i64(&out, "rows", (int64_t)child->table->rows_count);
    ig_json_out_kv_i64(&out, "columns", (int64_t)child->table->columns_count);
    ig_json_out_kv_i64(&out, "trained_ms", ig_clock_unix_ms());
    ig_json_out_key(&out, IG_STR("drop"));
    ig_drop_write(&out, &child->spec.drop);
    ig_json_out_key(&out, IG_STR("params"));
    ig_params_write(&out, &child->spec.params);
    ig_json_out_key(&out, IG_STR("metrics"));
    ig_json_out_raw(&out, ig_buf_view(&child->metrics));
    ig_json_out_object_end(&out);
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

static enum ig_code compare_margins(const struct child *child, const struct ig_engine *engine,
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
        code = ig_trainer_predict(&theirs, expected, outputs, child->trainer, &request, err);
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
static enum ig_code prove(const struct child *child, struct ig_str model_bytes, const double *cells,
                          const size_t *rows, size_t count, struct ig_err *err)
{
    struct ig_model *model = NULL;
    struct ig_engine *engine = NULL;
    enum ig_code code = ig_format_load(&model, model_bytes, NULL, err);
    if (code == IG_OK) code = ig_engine_new(&engine, model, err);
    if (code == IG_OK) code = compare_margins(child, engine, cells, rows, count, err);
    if (engine) ig_engine_free(engine);
    if (model) ig_model_free(model);
    return code;
}

static enum ig_code write_package(struct child *child, struct ig_err *err)
{
    const struct ig_train_data *data = &child->data;
    size_t golden[GOLDEN_ROWS], features = data->schema.features_count;
    size_t count = choose_golden(golden, data);
    struct ig_buf zip, metadata;
    struct ig_str model = {"", 0};
    double *cells = ig_zalloc_array(count * features, sizeof *cells);
    enum ig_code code = cells ? IG_OK : ig_fail(err, IG_NO_MEMORY, "golden rows");
    ig_buf_init(&zip, PACKAGE_MAX_BYTES);
    ig_buf_init(&metadata, 1 << 20);
    for (size_t i = 0; i < count && code == IG_OK; i++)
        ig_train_data_row(data, golden[i], cells + i * features);
    if (code == IG_OK) code = ig_trainer_save(&model, child->trainer, err);
    if (code == IG_OK) {
        model = ig_arena_dup(&child->arena, model); /* a prediction may reuse the library's */
        if (!model.ptr) code = ig_fail(err, IG_NO_MEMORY, "model file");
    }
    if (code == IG_OK) code = prove(child, model, cells, golden, count, err);
    if (code == IG_OK) {
        write_metadata(&metadata, child);
        const struct ig_package_spec spec = {.model_bytes = model,
                                             .schema = &data->schema,
                                             .name = child->spec.model,
                                             .metadata_json = ig_buf_view(&metadata),
                                             .golden_rows = cells,
                                             .golden_count = count};
        code = ig_package_write(&zip, &spec, err);
    }
    if (code == IG_OK)
        code = ig_file_replace(IG_CHILD_DIR_FD, "package.zip", ig_buf_view(&zip), err);
    ig_buf_deinit(&metadata);
    ig_buf_deinit(&zip);
    ig_free(cells);
    return code;
}

static enum ig_code train(struct child *child, struct ig_err *err)
{
    enum ig_code code = read_spec(child, err);
    if (code == IG_OK) code = limit_resources(&child->spec, err);
    if (code == IG_OK) code = read_table(child, err);
    if (code == IG_OK)
        code = ig_trainer_open(&child->trainer, &child->data, &child->spec.params, err);
    if (code == IG_OK)
        code = ig_trainer_run(&child->kept_rounds, child->trainer, report, child, err);
    if (code == IG_OK) code = judge(child, err);
    if (code == IG_OK) code = write_package(child, err);
    return code;
}

/* Running out of memory shows in many words; under a limit the cause is said first. */
static void name_memory_limit(const struct child *child, struct ig_err *err)
{
    bool out_of_memory = err->code == IG_NO_MEMORY || strstr(err->message, "bad_alloc") ||
                         strstr(err->message, "memory allowed");
    if (child->spec.memory_limit_mb > 0 && out_of_memory)
        ig_err_prefix(err, "the memory limit of %lld MB was reached",
                      (long long)child->spec.memory_limit_mb);
}

int ig_train_child(long parent_pid)
{
    struct child *child = ig_zalloc(sizeof *child);
    struct ig_err err = IG_ERR_INIT;
    struct ig_train_event event = {.kind = IG_TRAIN_ERROR, .metrics_json = {"", 0}};
    if (!child) return 1;
    ig_arena_init(&child->arena, 1 << 20, ARENA_MAX_BYTES);
    ig_buf_init(&child->metrics, IG_TRAIN_LINE_MAX / 2);
    if (ig_process_die_with(parent_pid, &err) == IG_OK) train(child, &err);
    if (err.code == IG_OK) {
        event = (struct ig_train_event){
            .kind = IG_TRAIN_DONE, .progress = 1, .metrics_json = ig_buf_view(&child->metrics)};
        ig_log(IG_LOG_INFO, "trained", IG_LOG_S("metrics", event.metrics_json));
    } else {
        name_memory_limit(child, &err);
        event.message = ig_str_view(err.message);
        ig_log_err(IG_LOG_ERROR, "training failed", &err);
    }
    say(&event);
    fflush(NULL);
    /* The library's threads and destructors are left alone: the process ends here. */
    _exit(err.code == IG_OK ? 0 : 1);
}
