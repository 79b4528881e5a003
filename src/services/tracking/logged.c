/* SPDX-License-Identifier: Apache-2.0 */
/* Logged models and what is logged of them.
 *
 * 1. A model that is deleted is not there for any call but get with `deleted_too`.
 * 2. A metric of a model is a row of its own beside the run's: whatever becomes of one, the other
 *    stays.
 *
 * Thread rule: stateless over the store. */
#include "services/tracking/logged.h"

#include "base/clock.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/random.h"
#include "services/tracking/tracking_priv.h"

#include <stdio.h>
#include <string.h>

#define VERSIONS_TAG "mlflow.modelVersions"
enum { MODEL_TYPE_MAX = 500, NAME_MAX_CHARACTERS = 500, RUN_ID_MAX = 32 };

static const char *const STATUSES[] = {"LOGGED_MODEL_STATUS_UNSPECIFIED", "LOGGED_MODEL_PENDING",
                                       "LOGGED_MODEL_READY", "LOGGED_MODEL_UPLOAD_FAILED"};
enum { STATUSES_COUNT = sizeof STATUSES / sizeof STATUSES[0] };

struct logged_call {
    const struct ig_principal *who;
    const struct ig_logged_spec *spec;
    struct ig_str id, key, name;
    struct ig_tracking_pairs pairs;
    int64_t status;
    bool deleted_too;
    struct ig_arena *arena;
    struct ig_logged_model model;
};

const char *ig_logged_status_name(int64_t status)
{
    return STATUSES[status > 0 && status < STATUSES_COUNT ? status : 0];
}

bool ig_logged_status_parse(int64_t *out, struct ig_str name)
{
    int64_t number = 0;
    for (int i = 1; i < STATUSES_COUNT; i++)
        if (ig_str_is(name, STATUSES[i])) number = i;
    if (!number && !ig_str_to_i64(name, &number)) return false;
    if (number < 1 || number >= STATUSES_COUNT) return false;
    *out = number;
    return true;
}

/* ---- reading ---- */

static enum ig_code no_model(struct ig_str id, struct ig_err *err)
{
    return ig_fail(err, IG_NOT_FOUND, "Logged model with ID '%.*s' not found.",
                   IG_STR_ARGS(ig_tracking_cut(id, 64)));
}

static enum ig_code read_row(struct ig_logged_model *out, struct ig_db_tx *tx, struct ig_str id,
                             bool deleted_too, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        ig_db_query(&rows, tx,
                    "select id, name, artifact_root, model_type, source_run, experiment, status,"
                    " created_ms, updated_ms from logged_models where id = $1"
                    " and (stage = 'active' or $2 = 1)",
                    IG_DB_VALUES(IG_DB_T(id), IG_DB_I(deleted_too)), err);
    if (code != IG_OK) return code;
    if (ig_db_next(rows, err))
        *out = (struct ig_logged_model){
            .id = ig_db_text_dup(rows, 0, arena),
            .name = ig_db_text_dup(rows, 1, arena),
            .artifact_root = ig_db_text_dup(rows, 2, arena),
            .model_type = ig_db_text_dup(rows, 3, arena),
            .source_run = ig_db_text_dup(rows, 4, arena),
            .experiment = ig_db_i64(rows, 5),
            .status = ig_db_i64(rows, 6),
            .created_ms = ig_db_i64(rows, 7),
            .updated_ms = ig_db_i64(rows, 8),
        };
    else if (err->code == IG_OK)
        no_model(id, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_metrics(struct ig_logged_model *out, struct ig_db_tx *tx,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_metric *items = NULL;
    size_t count = 0, cap = 0;
    struct ig_db_rows *rows = NULL;
    enum ig_code code =
        ig_db_query(&rows, tx,
                    "select key, step, at_ms, value, kind, run, dataset_name, dataset_digest"
                    " from logged_model_metrics where model = $1 order by key, at_ms, step, run",
                    IG_DB_VALUES(IG_DB_T(out->id)), err);
    while (code == IG_OK && ig_db_next(rows, err)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) break;
        items[count++] =
            (struct ig_tracking_metric){.key = ig_db_text_dup(rows, 0, arena),
                                        .step = ig_db_i64(rows, 1),
                                        .at_ms = ig_db_i64(rows, 2),
                                        .value = ig_tracking_metric_value(rows, 3, 4),
                                        .model_id = out->id,
                                        .run = ig_db_text_dup(rows, 5, arena),
                                        .dataset_name = ig_db_text_dup(rows, 6, arena),
                                        .dataset_digest = ig_db_text_dup(rows, 7, arena)};
    }
    ig_db_finish(rows);
    out->metrics = (struct ig_tracking_metrics){items, count};
    return err->code;
}

static enum ig_code read_pairs(struct ig_tracking_pairs *out, struct ig_db_tx *tx, const char *sql,
                               struct ig_str id, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, sql, IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK) return err->code;
    ig_tracking_pairs_read(out, rows, arena, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code read_model(struct logged_call *call, struct ig_db_tx *tx, struct ig_err *err)
{
    struct ig_logged_model model = {.status = 0};
    if (read_row(&model, tx, call->id, call->deleted_too, call->arena, err) != IG_OK ||
        read_pairs(&model.tags, tx,
                   "select key, value from logged_model_tags where model = $1 order by key",
                   call->id, call->arena, err) != IG_OK ||
        read_pairs(&model.params, tx,
                   "select key, value from logged_model_params where model = $1 order by key",
                   call->id, call->arena, err) != IG_OK ||
        read_metrics(&model, tx, call->arena, err) != IG_OK)
        return err->code;
    if (call->arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "logged model");
    call->model = model;
    return IG_OK;
}

static enum ig_code get_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    return read_model(context, tx, err);
}

enum ig_code ig_logged_get(struct ig_logged_model *out, struct ig_db *db, struct ig_str id,
                           bool deleted_too, struct ig_arena *arena, struct ig_err *err)
{
    struct logged_call call = {.id = id, .deleted_too = deleted_too, .arena = arena};
    if (ig_db_read(db, get_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

enum ig_code ig_logged_place(struct ig_logged_place *out, struct ig_db_tx *tx, struct ig_str id,
                             struct ig_arena *arena, struct ig_err *err)
{
    struct ig_logged_model model = {.status = 0};
    if (read_row(&model, tx, id, false, arena, err) != IG_OK) return err->code;
    if (arena->overflowed) return ig_fail(err, IG_NO_MEMORY, "logged model");
    *out = (struct ig_logged_place){model.artifact_root, model.source_run};
    return IG_OK;
}

/* ---- changes ---- */

static enum ig_code must_be_there(struct ig_db_tx *tx, struct ig_str id, struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select 1 from logged_models where id = $1 and stage = 'active'",
                    IG_DB_VALUES(IG_DB_T(id)), err) != IG_OK)
        return err->code;
    if (!ig_db_next(rows, err) && err->code == IG_OK) no_model(id, err);
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code put_tag(struct ig_db_tx *tx, struct ig_str id, struct ig_tracking_pair tag,
                            struct ig_err *err)
{
    return ig_db_exec(tx,
                      "insert into logged_model_tags(model, key, value) values($1, $2, $3)"
                      " on conflict (model, key) do update set value = excluded.value",
                      IG_DB_VALUES(IG_DB_T(id), IG_DB_T(tag.key), IG_DB_T(tag.value)), err);
}

static enum ig_code put_tags(struct ig_db_tx *tx, struct ig_str id, struct ig_tracking_pairs tags,
                             struct ig_err *err)
{
    for (size_t i = 0; err->code == IG_OK && i < tags.count; i++)
        put_tag(tx, id, tags.items[i], err);
    return err->code;
}

/* As a run's: the same value again is fine. */
static enum ig_code put_param(struct ig_db_tx *tx, struct ig_str id, struct ig_tracking_pair param,
                              struct ig_err *err)
{
    struct ig_db_rows *rows = NULL;
    struct ig_str key = ig_tracking_cut(param.key, 60);
    param.value = ig_tracking_cut(param.value, IG_TRACKING_PARAM_MAX);
    if (ig_db_exec(tx,
                   "insert into logged_model_params(model, key, value) values($1, $2, $3)"
                   " on conflict (model, key) do nothing",
                   IG_DB_VALUES(IG_DB_T(id), IG_DB_T(param.key), IG_DB_T(param.value)),
                   err) != IG_OK ||
        ig_db_changes(tx) ||
        ig_db_query(&rows, tx,
                    "select value from logged_model_params where model = $1 and key = $2",
                    IG_DB_VALUES(IG_DB_T(id), IG_DB_T(param.key)), err) != IG_OK)
        return err->code;
    if (ig_db_next(rows, err) && !ig_str_eq(ig_db_text(rows, 0), param.value))
        ig_fail(err, IG_INVALID,
                "Changing param values is not allowed. Param with key='%.*s' was already logged "
                "with value='%.*s' for model ID='%.*s'. Attempted logging new value '%.*s'.",
                IG_STR_ARGS(key), IG_STR_ARGS(ig_tracking_cut(ig_db_text(rows, 0), 60)),
                IG_STR_ARGS(id), IG_STR_ARGS(ig_tracking_cut(param.value, 60)));
    ig_db_finish(rows);
    return err->code;
}

static enum ig_code put_params(struct ig_db_tx *tx, struct ig_str id,
                               struct ig_tracking_pairs params, struct ig_err *err)
{
    for (size_t i = 0; err->code == IG_OK && i < params.count; i++)
        put_param(tx, id, params.items[i], err);
    return err->code;
}

static enum ig_code create_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct logged_call *call = context;
    const struct ig_logged_spec *spec = call->spec;
    char below[IG_LOGGED_ID + 16];
    struct ig_str root;
    snprintf(below, sizeof below, "models/%.*s", IG_STR_ARGS(call->id));
    if (ig_tracking_experiment_must_be_active(tx, spec->experiment, err) != IG_OK ||
        ig_tracking_artifact_root(&root, tx, spec->experiment, ig_str_view(below), call->arena,
                                  err) != IG_OK ||
        ig_db_exec(tx,
                   "insert into logged_models(id, experiment, name, artifact_root, status, stage,"
                   " model_type, source_run, created_ms, updated_ms)"
                   " values($1, $2, $3, $4, $5, 'active', $6, $7, $8, $8)",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_I(spec->experiment), IG_DB_T(call->name),
                                IG_DB_T(root), IG_DB_I(IG_LOGGED_PENDING),
                                IG_DB_T(spec->model_type), IG_DB_T(spec->source_run),
                                IG_DB_I(ig_clock_unix_ms())),
                   err) != IG_OK ||
        put_params(tx, call->id, spec->params, err) != IG_OK ||
        put_tags(tx, call->id, spec->tags, err) != IG_OK)
        return err->code;
    return read_model(call, tx, err);
}

static enum ig_code check_name(struct ig_str name, struct ig_err *err)
{
    bool good = name.len > 0;
    for (size_t i = 0; good && i < name.len; i++)
        good = name.ptr[i] && !strchr("/:.%\"'", name.ptr[i]);
    if (!good)
        return ig_fail(err, IG_INVALID,
                       "Invalid model name ('%.*s') provided. Model name must be a non-empty "
                       "string and cannot contain the following characters: ('/', ':', '.', '%%', "
                       "'\"', \"'\")",
                       IG_STR_ARGS(ig_tracking_cut(name, 100)));
    return ig_tracking_check_length(name, NAME_MAX_CHARACTERS, "name", err);
}

static enum ig_code check_keys(struct ig_tracking_pairs pairs, const char *list, struct ig_err *err)
{
    char field[48];
    for (size_t i = 0; err->code == IG_OK && i < pairs.count; i++) {
        snprintf(field, sizeof field, "%s[%zu].key", list, i);
        ig_tracking_check_key(pairs.items[i].key, field, err);
    }
    return err->code;
}

static enum ig_code check_tags(struct ig_tracking_pairs tags, struct ig_err *err)
{
    if (check_keys(tags, "tags", err) != IG_OK) return err->code;
    for (size_t i = 0; err->code == IG_OK && i < tags.count; i++)
        ig_tracking_check_length(tags.items[i].value, IG_TRACKING_TAG_MAX, "value", err);
    return err->code;
}

enum ig_code ig_logged_create(struct ig_logged_model *out, struct ig_db *db,
                              const struct ig_logged_spec *spec, struct ig_arena *arena,
                              struct ig_err *err)
{
    unsigned char random[16];
    char id[IG_LOGGED_ID + 1] = "m-", invented[64];
    struct logged_call call = {.spec = spec, .name = spec->name, .arena = arena};
    if ((spec->name.ptr && check_name(spec->name, err) != IG_OK) ||
        ig_tracking_check_length(spec->model_type, MODEL_TYPE_MAX, "model_type", err) != IG_OK ||
        ig_tracking_check_length(spec->source_run, RUN_ID_MAX, "source_run_id", err) != IG_OK ||
        check_keys(spec->params, "params", err) != IG_OK || check_tags(spec->tags, err) != IG_OK)
        return err->code;
    ig_tracking_invent_name(invented);
    if (!spec->name.ptr) call.name = ig_str_view(invented);
    ig_random_bytes(random, sizeof random);
    ig_hex(id + 2, random, sizeof random);
    call.id = ig_str_view(id);
    if (spec->id.len) {
        struct ig_str digits = {spec->id.ptr + 2, spec->id.len < 2 ? 0 : spec->id.len - 2};
        call.id = spec->id;
        if (!ig_str_starts(spec->id, IG_STR("m-"))) digits = IG_STR("");
        if (ig_tracking_check_id(digits, IG_LOGGED_ID - 2, "model_id", err) != IG_OK)
            return err->code;
    }
    if (ig_db_write(db, create_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

static enum ig_code finalize_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    struct logged_call *call = context;
    if (ig_db_exec(
            tx,
            "update logged_models set status = $1, updated_ms = $2"
            " where id = $3 and stage = 'active'",
            IG_DB_VALUES(IG_DB_I(call->status), IG_DB_I(ig_clock_unix_ms()), IG_DB_T(call->id)),
            err) != IG_OK)
        return err->code;
    return read_model(call, tx, err);
}

enum ig_code ig_logged_finalize(struct ig_logged_model *out, struct ig_db *db, struct ig_str id,
                                int64_t status, struct ig_arena *arena, struct ig_err *err)
{
    struct logged_call call = {.id = id, .status = status, .arena = arena};
    if (ig_db_write(db, finalize_model, &call, err) == IG_OK) *out = call.model;
    return err->code;
}

static enum ig_code delete_model(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct logged_call *call = context;
    if (ig_db_exec(tx,
                   "update logged_models set stage = 'deleted', updated_ms = $1"
                   " where id = $2 and stage = 'active'",
                   IG_DB_VALUES(IG_DB_I(ig_clock_unix_ms()), IG_DB_T(call->id)), err) != IG_OK)
        return err->code;
    if (!ig_db_changes(tx)) return no_model(call->id, err);
    return ig_audit_add(tx, call->who, "logged_model.delete", call->id, IG_STR(""), err);
}

enum ig_code ig_logged_delete(struct ig_db *db, const struct ig_principal *who, struct ig_str id,
                              struct ig_err *err)
{
    struct logged_call call = {.who = who, .id = id};
    return ig_db_write(db, delete_model, &call, err);
}

static enum ig_code set_tags(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct logged_call *call = context;
    if (must_be_there(tx, call->id, err) != IG_OK) return err->code;
    return put_tags(tx, call->id, call->pairs, err);
}

enum ig_code ig_logged_tag(struct ig_db *db, struct ig_str id, struct ig_tracking_pairs tags,
                           struct ig_err *err)
{
    struct logged_call call = {.id = id, .pairs = tags};
    if (check_tags(tags, err) != IG_OK) return err->code;
    return ig_db_write(db, set_tags, &call, err);
}

static enum ig_code delete_tag(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct logged_call *call = context;
    if (must_be_there(tx, call->id, err) != IG_OK ||
        ig_db_exec(tx, "delete from logged_model_tags where model = $1 and key = $2",
                   IG_DB_VALUES(IG_DB_T(call->id), IG_DB_T(call->key)), err) != IG_OK ||
        ig_db_changes(tx))
        return err->code;
    return ig_fail(err, IG_NOT_FOUND, "No tag with key '%.*s' found for model with ID '%.*s'.",
                   IG_STR_ARGS(ig_tracking_cut(call->key, 100)), IG_STR_ARGS(call->id));
}

enum ig_code ig_logged_untag(struct ig_db *db, struct ig_str id, struct ig_str key,
                             struct ig_err *err)
{
    struct logged_call call = {.id = id, .key = key};
    return ig_db_write(db, delete_tag, &call, err);
}

static enum ig_code log_params(struct ig_db_tx *tx, void *context, struct ig_err *err)
{
    const struct logged_call *call = context;
    if (must_be_there(tx, call->id, err) != IG_OK) return err->code;
    return put_params(tx, call->id, call->pairs, err);
}

enum ig_code ig_logged_params(struct ig_db *db, struct ig_str id, struct ig_tracking_pairs params,
                              struct ig_err *err)
{
    struct logged_call call = {.id = id, .pairs = params};
    if (check_keys(params, "params", err) != IG_OK) return err->code;
    return ig_db_write(db, log_params, &call, err);
}

static struct ig_str or_empty(struct ig_str text)
{
    return text.ptr ? text : IG_STR("");
}

enum ig_code ig_logged_metric_put(struct ig_db_tx *tx, struct ig_str run,
                                  const struct ig_tracking_metric *metric, struct ig_err *err)
{
    int64_t kind;
    const struct ig_db_value value = ig_tracking_metric_stored(metric->value, &kind);
    if (must_be_there(tx, metric->model_id, err) != IG_OK) return err->code;
    return ig_db_exec(tx,
                      "insert into logged_model_metrics(model, key, step, at_ms, run,"
                      " dataset_name, dataset_digest, value, kind)"
                      " values($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict do nothing",
                      IG_DB_VALUES(IG_DB_T(metric->model_id), IG_DB_T(metric->key),
                                   IG_DB_I(metric->step), IG_DB_I(metric->at_ms), IG_DB_T(run),
                                   IG_DB_T(or_empty(metric->dataset_name)),
                                   IG_DB_T(or_empty(metric->dataset_digest)), value, IG_DB_I(kind)),
                      err);
}

/* Written as Python's json.dumps does, which clients compare. The list of the tag is JSON that
 * anybody may have overwritten: what is none is begun anew. */
enum ig_code ig_logged_note_version(struct ig_db_tx *tx, struct ig_str id, struct ig_str name,
                                    int64_t version, struct ig_err *err)
{
    struct ig_buf text;
    struct ig_json_out out;
    struct ig_db_rows *rows = NULL;
    if (ig_db_query(&rows, tx, "select value from logged_model_tags where model = $1 and key = $2",
                    IG_DB_VALUES(IG_DB_T(id), IG_DB_T(IG_STR(VERSIONS_TAG))), err) != IG_OK)
        return err->code;
    ig_buf_init(&text, 1 << 20);
    struct ig_str old = ig_db_next(rows, err) ? ig_str_trim(ig_db_text(rows, 0)) : IG_STR("");
    bool list = old.len > 2 && old.ptr[0] == '[' && old.ptr[old.len - 1] == ']';
    if (list) ig_buf_add_str(&text, (struct ig_str){old.ptr, old.len - 1});
    ig_buf_add_cstr(&text, list ? ", " : "[");
    ig_db_finish(rows);
    ig_buf_add_cstr(&text, "{\"name\": ");
    ig_json_out_init(&out, &text);
    ig_json_out_str(&out, name);
    ig_buf_printf(&text, ", \"version\": %lld}", (long long)version);
    ig_buf_add_char(&text, ']');
    if (text.overflowed && err->code == IG_OK)
        ig_fail(err, IG_NO_MEMORY, "versions of a logged model");
    if (err->code == IG_OK)
        put_tag(tx, id, (struct ig_tracking_pair){IG_STR(VERSIONS_TAG), ig_buf_view(&text)}, err);
    ig_buf_deinit(&text);
    return err->code;
}
