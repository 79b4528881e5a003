/* SPDX-License-Identifier: Apache-2.0 */
/* The datasets and logged models that runs read, and the models that they make. A dataset is known
 * by its name and digest within an experiment: what was told of it first stays, and so do the tags
 * with which a run first named it. */
#include "services/tracking/tracking_priv.h"

#include <stdio.h>

enum {
    MODEL_ID_MAX = 64,
    DATASET_NAME_MAX = 500,
    DIGEST_MAX = 36,
    SOURCE_MAX = 65535,
    SCHEMA_MAX = 1048575,
    PROFILE_MAX = 16777215,
    INPUT_TAG_KEY_MAX = 255,
    INPUT_TAG_VALUE_MAX = 500,
};

struct inputs_call {
    struct ig_str run;
    struct ig_tracking_datasets datasets;
    struct ig_tracking_model_uses inputs, outputs;
};

static struct ig_db_value optional(struct ig_str text)
{
    return text.ptr ? IG_DB_T(text) : IG_DB_N();
}

/* *out 0: there is none. */
static enum ig_code read_number(int64_t *out, struct ig_db_rows *rows, struct ig_err *err)
{
    *out = ig_db_next(rows, err) ? ig_db_i64(rows, 0) : 0;
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code find_dataset(int64_t *id, struct ig_db_tx *tx, int64_t experiment,
                                 const struct ig_tracking_dataset *dataset, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx, "select id from datasets where experiment = $1 and name = $2 and digest = $3",
        IG_DB_VALUES(IG_DB_I(experiment), IG_DB_T(dataset->name), IG_DB_T(dataset->digest)), err);
    return code == IG_OK ? read_number(id, rows, err) : code;
}

static enum ig_code put_dataset(int64_t *id, struct ig_db_tx *tx, int64_t experiment,
                                const struct ig_tracking_dataset *dataset, struct ig_err *err)
{
    enum ig_code code = find_dataset(id, tx, experiment, dataset, err);
    if (code != IG_OK || *id) return code;
    code = ig_db_exec(
        tx,
        "insert into datasets(id, experiment, name, digest, source_type, source, schema, profile)"
        " values((select coalesce(max(id), 0) + 1 from datasets), $1, $2, $3, $4, $5, $6, $7)",
        IG_DB_VALUES(IG_DB_I(experiment), IG_DB_T(dataset->name), IG_DB_T(dataset->digest),
                     IG_DB_T(dataset->source_type), IG_DB_T(dataset->source),
                     optional(dataset->schema), optional(dataset->profile)),
        err);
    return code == IG_OK ? find_dataset(id, tx, experiment, dataset, err) : code;
}

static enum ig_code put_input(struct ig_db_tx *tx, struct ig_str run, int64_t experiment,
                              const struct ig_tracking_dataset *dataset, struct ig_err *err)
{
    int64_t id;
    enum ig_code code = put_dataset(&id, tx, experiment, dataset, err);
    if (code == IG_OK)
        code = ig_db_exec(tx,
                          "insert into run_inputs(run, dataset) values($1, $2)"
                          " on conflict (run, dataset) do nothing",
                          IG_DB_VALUES(IG_DB_T(run), IG_DB_I(id)), err);
    if (code != IG_OK || ig_db_changes(tx) == 0) return code;
    for (size_t i = 0; code == IG_OK && i < dataset->tags.count; i++)
        code =
            ig_db_exec(tx,
                       "insert into run_input_tags(run, dataset, key, value)"
                       " values($1, $2, $3, $4) on conflict (run, dataset, key) do update"
                       " set value = excluded.value",
                       IG_DB_VALUES(IG_DB_T(run), IG_DB_I(id), IG_DB_T(dataset->tags.items[i].key),
                                    IG_DB_T(dataset->tags.items[i].value)),
                       err);
    return code;
}

static enum ig_code put_models(struct ig_db_tx *tx, struct ig_str run,
                               struct ig_tracking_model_uses models, bool outputs,
                               struct ig_err *err)
{
    for (size_t i = 0; i < models.count; i++) {
        const struct ig_tracking_model_use *use = &models.items[i];
        if (ig_db_exec(tx,
                       "insert into run_models(run, output, model, step) values($1, $2, $3, $4)"
                       " on conflict (run, output, model, step) do nothing",
                       IG_DB_VALUES(IG_DB_T(run), IG_DB_I(outputs), IG_DB_T(use->model_id),
                                    IG_DB_I(outputs ? use->step : 0)),
                       err) != IG_OK)
            break;
    }
    return err->code;
}

static enum ig_code log_inputs(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct inputs_call *call = context;
    struct ig_db_rows *rows = NULL;
    int64_t experiment = 0;
    enum ig_code code = ig_tracking_run_must_be_active(tx, call->run, NULL, err);
    if (code == IG_OK)
        code = ig_db_query(&rows, tx, "select experiment from runs where id = $1",
                           IG_DB_VALUES(IG_DB_T(call->run)), err);
    if (code == IG_OK) code = read_number(&experiment, rows, err);
    for (size_t i = 0; code == IG_OK && i < call->datasets.count; i++)
        code = put_input(tx, call->run, experiment, &call->datasets.items[i], err);
    if (code == IG_OK) code = put_models(tx, call->run, call->inputs, false, err);
    if (code == IG_OK) code = put_models(tx, call->run, call->outputs, true, err);
    return code;
}

static enum ig_code check_dataset(const struct ig_tracking_dataset *dataset, struct ig_err *err)
{
    enum ig_code code = ig_tracking_check_length(dataset->name, DATASET_NAME_MAX, "name", err);
    if (code == IG_OK) code = ig_tracking_check_length(dataset->digest, DIGEST_MAX, "digest", err);
    if (code == IG_OK) code = ig_tracking_check_length(dataset->source, SOURCE_MAX, "source", err);
    if (code == IG_OK) code = ig_tracking_check_length(dataset->schema, SCHEMA_MAX, "schema", err);
    if (code == IG_OK)
        code = ig_tracking_check_length(dataset->profile, PROFILE_MAX, "profile", err);
    for (size_t i = 0; code == IG_OK && i < dataset->tags.count; i++) {
        const struct ig_tracking_pair *tag = &dataset->tags.items[i];
        code = ig_tracking_check_length(tag->key, INPUT_TAG_KEY_MAX, "key", err);
        if (code == IG_OK)
            code = ig_tracking_check_length(tag->value, INPUT_TAG_VALUE_MAX, "value", err);
    }
    return code;
}

static enum ig_code check_models(struct ig_tracking_model_uses models, struct ig_err *err)
{
    char field[48];
    if (models.count > IG_TRACKING_DATASETS_MAX)
        return ig_fail(err, IG_INVALID, "models: %zu given, expected at most %d", models.count,
                       IG_TRACKING_DATASETS_MAX);
    for (size_t i = 0; i < models.count; i++) {
        snprintf(field, sizeof field, "models[%zu].model_id", i);
        if (ig_tracking_check_length(models.items[i].model_id, MODEL_ID_MAX, field, err) != IG_OK)
            break;
    }
    return err->code;
}

enum ig_code ig_tracking_outputs_log(struct ig_tracking *tracking, struct ig_str run,
                                     struct ig_tracking_model_uses models, struct ig_err *err)
{
    struct inputs_call call = {.run = run, .outputs = models};
    if (check_models(models, err) != IG_OK) return err->code;
    return ig_tracking_write(tracking, run, log_inputs, &call, err);
}

enum ig_code ig_tracking_inputs_log(struct ig_tracking *tracking, struct ig_str run,
                                    struct ig_tracking_datasets datasets,
                                    struct ig_tracking_model_uses models, struct ig_err *err)
{
    struct inputs_call call = {.run = run, .datasets = datasets, .inputs = models};
    if (check_models(models, err) != IG_OK) return err->code;
    if (datasets.count > IG_TRACKING_DATASETS_MAX)
        return ig_fail(err, IG_INVALID, "datasets: %zu given, expected at most %d", datasets.count,
                       IG_TRACKING_DATASETS_MAX);
    for (size_t i = 0; i < datasets.count; i++)
        if (check_dataset(&datasets.items[i], err) != IG_OK) return err->code;
    return ig_tracking_write(tracking, run, log_inputs, &call, err);
}

static struct ig_str optional_text(struct ig_db_rows *rows, int column, struct ig_arena *arena)
{
    if (ig_db_is_null(rows, column)) return (struct ig_str){NULL, 0};
    return ig_db_text_dup(rows, column, arena);
}

static enum ig_code read_tags(struct ig_tracking_dataset *dataset, struct ig_db_tx *tx,
                              struct ig_str run, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx,
                                    "select key, value from run_input_tags"
                                    " where run = $1 and dataset = $2 order by key",
                                    IG_DB_VALUES(IG_DB_T(run), IG_DB_I(dataset->id)), err);
    if (code != IG_OK) return code;
    code = ig_tracking_pairs_read(&dataset->tags, rows, arena, err);
    ig_db_finish(rows);
    return code;
}

enum ig_code ig_tracking_inputs_read(struct ig_tracking_datasets *out, struct ig_db_tx *tx,
                                     struct ig_str run, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_dataset *items = NULL;
    size_t count = 0, cap = 0;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(
        &rows, tx,
        "select d.id, d.name, d.digest, d.source_type, d.source, d.schema, d.profile"
        " from run_inputs i join datasets d on d.id = i.dataset where i.run = $1 order by d.id",
        IG_DB_VALUES(IG_DB_T(run)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] = (struct ig_tracking_dataset){.id = ig_db_i64(rows, 0),
                                                      .name = ig_db_text_dup(rows, 1, arena),
                                                      .digest = ig_db_text_dup(rows, 2, arena),
                                                      .source_type = ig_db_text_dup(rows, 3, arena),
                                                      .source = ig_db_text_dup(rows, 4, arena),
                                                      .schema = optional_text(rows, 5, arena),
                                                      .profile = optional_text(rows, 6, arena)};
    }
    ig_db_finish(rows);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "too many datasets for one answer");
    for (size_t i = 0; items && err->code == IG_OK && i < count; i++)
        read_tags(&items[i], tx, run, arena, err);
    if (err->code == IG_OK) *out = (struct ig_tracking_datasets){items, count};
    return err->code;
}

enum ig_code ig_tracking_models_read(struct ig_tracking_model_uses *inputs,
                                     struct ig_tracking_model_uses *outputs, struct ig_db_tx *tx,
                                     struct ig_str run, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_model_use *items = NULL;
    size_t count = 0, cap = 0, inputs_count = 0;
    struct ig_db_rows *rows = NULL;
    enum ig_code code = ig_db_query(&rows, tx,
                                    "select model, step, output from run_models where run = $1"
                                    " order by output, model, step",
                                    IG_DB_VALUES(IG_DB_T(run)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] =
            (struct ig_tracking_model_use){ig_db_text_dup(rows, 0, arena), ig_db_i64(rows, 1)};
        inputs_count += ig_db_i64(rows, 2) == 0;
    }
    ig_db_finish(rows);
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "too many models for one answer");
    if (err->code != IG_OK || !items) return err->code;
    *inputs = (struct ig_tracking_model_uses){items, inputs_count};
    *outputs = (struct ig_tracking_model_uses){items + inputs_count, count - inputs_count};
    return IG_OK;
}

/* ---- datasets of an experiment ---- */

struct uses_call {
    int64_t experiment;
    size_t max;
    struct ig_arena *arena;
    struct ig_tracking_dataset_use *items;
    size_t count, cap;
};

static enum ig_code read_uses(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct uses_call *call = context;
    struct ig_db_rows *rows = NULL;
    ig_db_query(&rows, tx,
                "select distinct d.name, d.digest, t.value from datasets d"
                " join run_inputs i on i.dataset = d.id left join run_input_tags t on t.run = i.run"
                " and t.dataset = i.dataset and t.key = 'mlflow.data.context'"
                " where d.experiment = $1 order by d.name, d.digest, t.value limit $2",
                IG_DB_VALUES(IG_DB_I(call->experiment), IG_DB_I((int64_t)call->max)), err);
    while (err->code == IG_OK && ig_db_next(rows, err)) {
        call->items =
            ig_arena_grow(call->arena, call->items, call->count, &call->cap, sizeof *call->items);
        if (!call->items) break;
        call->items[call->count++] =
            (struct ig_tracking_dataset_use){.name = ig_db_text_dup(rows, 0, call->arena),
                                             .digest = ig_db_text_dup(rows, 1, call->arena),
                                             .context = optional_text(rows, 2, call->arena)};
    }
    ig_db_finish(rows);
    if (call->arena->overflowed) ig_fail(err, IG_NO_MEMORY, "datasets of an experiment");
    return err->code;
}

enum ig_code ig_tracking_datasets_of(struct ig_tracking_dataset_uses *out,
                                     struct ig_tracking *tracking, int64_t experiment, size_t max,
                                     struct ig_arena *arena, struct ig_err *err)
{
    struct uses_call call = {.experiment = experiment, .max = max, .arena = arena};
    if (ig_db_read(tracking->db, read_uses, &call, err) == IG_OK)
        *out = (struct ig_tracking_dataset_uses){call.items, call.count};
    return err->code;
}
