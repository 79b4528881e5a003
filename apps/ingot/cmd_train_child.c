/* SPDX-License-Identifier: Apache-2.0 */
/* The training child: reads the table, hands it to the engine, which trains, judges and writes the
 * package, and says how it goes.
 *
 * 1. It dies with the server: the death signal is set first, then the parent is checked, so a
 * server that ended in between is noticed.
 * 2. Limits come before any input is read.
 *
 * Thread rule: main thread; the library runs threads of its own. */
#include "train_child.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/process.h"
#include "base/thread.h"
#include "train_engine.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { EVENTS_MAX = 2000, SPEC_MAX = 1 << 20 };
static const size_t ARENA_MAX_BYTES = (size_t)16 << 30, PACKAGE_MAX_BYTES = (size_t)2 << 30;

void ig_train_child_say(const struct ig_train_event *event)
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

static enum ig_code read_spec(struct ig_train_child *child, struct ig_err *err)
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

static enum ig_code read_table(struct ig_train_child *child, struct ig_err *err)
{
    struct ig_table_options options = {0};
    const struct ig_job_params *params = &child->spec.params;
    bool edge = params->engine == IG_JOB_EDGE;
    const struct ig_train_options train = {
        .target = child->spec.target,
        .drop = child->spec.drop,
        .objective = edge ? params->edge.objective.text : params->xgboost.objective.text,
        .validation_fraction =
            edge ? params->edge.validation_fraction : params->xgboost.validation_fraction,
        .seed = (uint64_t)(edge ? params->edge.seed : params->xgboost.seed),
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

enum ig_code ig_train_child_read(struct ig_buf *bytes, int fd, struct ig_err *err)
{
    for (;;) {
        if (!ig_buf_reserve(bytes, 1 << 16))
            return ig_fail(err, IG_NO_MEMORY, "no memory for what a descriptor holds");
        ssize_t got = read(fd, bytes->ptr + bytes->len, 1 << 16);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return ig_fail(err, IG_IO, "a descriptor: %s", strerror(errno));
        if (got == 0) return IG_OK;
        bytes->len += (size_t)got;
    }
}

enum ig_code ig_train_child_open(struct ig_package **out, int fd, struct ig_str uri,
                                 struct ig_err *err)
{
    struct ig_buf bytes;
    ig_buf_init(&bytes, PACKAGE_MAX_BYTES);
    if (ig_train_child_read(&bytes, fd, err) != IG_OK ||
        ig_package_open_bytes(out, ig_buf_view(&bytes), NULL, err) != IG_OK)
        ig_err_prefix(err, "%.*s", IG_STR_ARGS(uri));
    ig_buf_deinit(&bytes);
    ig_file_close(&fd);
    return err->code;
}

bool ig_train_child_tells(int64_t step, int64_t steps)
{
    int64_t every = (steps + EVENTS_MAX - 1) / EVENTS_MAX;
    return step % every == 0 || step == 1 || step == steps;
}

void ig_train_child_metadata(struct ig_buf *buf, const struct ig_train_child *child,
                             const char *engine_version)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "engine", ig_str_view(ig_job_engine_name(child->spec.params.engine)));
    ig_json_out_kv_str(&out, "engine_version", ig_str_view(engine_version));
    ig_json_out_kv_str(&out, "job_id", child->spec.job_id);
    ig_json_out_kv_str(&out, "data_digest", child->spec.data_digest);
    if (child->table) {
        ig_json_out_kv_i64(&out, "rows", (int64_t)child->table->rows_count);
        ig_json_out_kv_i64(&out, "columns", (int64_t)child->table->columns_count);
    }
    ig_json_out_kv_i64(&out, "trained_ms", ig_clock_unix_ms());
    ig_json_out_key(&out, IG_STR("drop"));
    ig_drop_write(&out, &child->spec.drop);
    ig_json_out_key(&out, IG_STR("params"));
    ig_params_write(&out, &child->spec.params);
    ig_json_out_key(&out, IG_STR("metrics"));
    ig_json_out_raw(&out, ig_buf_view(&child->metrics));
    ig_json_out_object_end(&out);
}

enum ig_code ig_train_child_write(struct ig_train_child *child, const struct ig_train_made *made,
                                  struct ig_err *err)
{
    struct ig_buf zip, metadata;
    ig_buf_init(&zip, PACKAGE_MAX_BYTES);
    ig_buf_init(&metadata, 1 << 20);
    ig_train_child_metadata(&metadata, child, made->engine_version);
    const struct ig_package_spec spec = {.model_bytes = made->model,
                                         .schema = made->schema,
                                         .encoder_json = made->encoder_json,
                                         .name = child->spec.model,
                                         .metadata_json = ig_buf_view(&metadata),
                                         .golden_rows = made->golden_rows,
                                         .golden_count = made->golden_count};
    enum ig_code code = ig_package_write(&zip, &spec, err);
    if (code == IG_OK)
        code = ig_file_replace(IG_CHILD_DIR_FD, "package.zip", ig_buf_view(&zip), err);
    ig_buf_deinit(&metadata);
    ig_buf_deinit(&zip);
    return code;
}

static enum ig_code train(struct ig_train_child *child, struct ig_err *err)
{
    enum ig_code code = read_spec(child, err);
    if (code == IG_OK) code = limit_resources(&child->spec, err);
    if (code == IG_OK && ig_job_engine_shrinks(child->spec.params.engine))
        return ig_train_child_shrink(child, err);
    if (code == IG_OK) code = read_table(child, err);
    if (code != IG_OK) return code;
    return child->spec.params.engine == IG_JOB_EDGE ? ig_train_child_edge(child, err)
                                                    : ig_train_child_xgboost(child, err);
}

/* Running out of memory shows in many words; under a limit the cause is said first. */
static void name_memory_limit(const struct ig_train_child *child, struct ig_err *err)
{
    bool out_of_memory = err->code == IG_NO_MEMORY || strstr(err->message, "bad_alloc") ||
                         strstr(err->message, "memory allowed");
    if (child->spec.memory_limit_mb > 0 && out_of_memory)
        ig_err_prefix(err, "the memory limit of %lld MB was reached",
                      (long long)child->spec.memory_limit_mb);
}

int ig_train_child(long parent_pid)
{
    struct ig_train_child *child = ig_zalloc(sizeof *child);
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
    ig_train_child_say(&event);
    fflush(NULL);
    /* The library's threads and destructors are left alone: the process ends here. */
    _exit(err.code == IG_OK ? 0 : 1);
}
