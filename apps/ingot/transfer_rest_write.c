/* SPDX-License-Identifier: Apache-2.0 */
/* A server that speaks MLflow's REST, written to. What makes something is not repeated blindly: it
 * is looked for first. Thread rule: one thread. */
#include "transfer_rest.h"

#include "base/mem.h"
#include "base/num.h"

#include <stdio.h>
#include <string.h>

enum { REPLY_MAX = 256 << 20, REQUEST_MAX = 32 << 20 };
enum { BATCH = 1000, PAIRS_BATCH = 100, VERSIONS_MAX = 10000 };

static enum ig_code tag_experiment(struct rest *rest, struct ig_str id, struct ig_tracking_pair tag,
                                   struct ig_err *err)
{
    struct ig_json_out *body = rest_body(rest);
    ig_json_out_kv_str(body, "experiment_id", id);
    ig_json_out_kv_str(body, "key", tag.key);
    ig_json_out_kv_str(body, "value", tag.value);
    return rest_send(rest, "POST", API "experiments/set-experiment-tag", true, err);
}

/* Deletes or restores. */
static enum ig_code move(struct rest *rest, const char *path, const char *key, struct ig_str id,
                         struct ig_err *err)
{
    ig_json_out_kv_str(rest_body(rest), key, id);
    return rest_send(rest, "POST", path, true, err);
}

static enum ig_code rest_delete_experiment(struct ig_transfer_side *side, struct ig_str id,
                                           struct ig_err *err)
{
    return move((struct rest *)side, API "experiments/delete", "experiment_id", id, err);
}

/* False: there is none of that name, or an error. */
static bool find_experiment(struct ig_transfer_experiment *out, struct rest *rest,
                            struct ig_str name, struct ig_arena *arena, struct ig_err *err)
{
    struct ig_err local = IG_ERR_INIT;
    struct ig_transfer_experiments found = {0};
    struct ig_json json;
    rest_path(rest, API "experiments/get-by-name");
    rest_query(rest, "experiment_name", name);
    enum ig_code code = rest_get(rest, &local);
    if (code != IG_OK) {
        if (code != IG_NOT_FOUND) ig_fail(err, code, "%s", local.message);
        return false;
    }
    rest_reply(&json, rest, arena, err);
    if (err->code != IG_OK || !rest_enter(&json)) return false;
    while (ig_json_member(&json)) {
        if (ig_str_is(json.text, "experiment"))
            rest_read_experiment(&found, &json);
        else
            ig_json_skip(&json);
    }
    if (found.count) *out = found.items[0];
    return err->code == IG_OK && found.count > 0;
}

static enum ig_code rest_put_experiment(struct ig_str *id, struct ig_transfer_side *side,
                                        const struct ig_transfer_experiment *experiment,
                                        struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_transfer_experiment found;
    if (!find_experiment(&found, rest, experiment->name, arena, err)) {
        struct ig_err local = IG_ERR_INIT;
        if (err->code != IG_OK) return err->code;
        struct ig_json_out *body = rest_body(rest);
        ig_json_out_kv_str(body, "name", experiment->name);
        enum ig_code code = rest_send(rest, "POST", API "experiments/create", true, &local);
        if (code != IG_OK && code != IG_EXISTS) return ig_fail(err, code, "%s", local.message);
        if (!find_experiment(&found, rest, experiment->name, arena, err))
            return ig_fail(err, IG_INTERNAL, "an experiment that was made is not there");
    }
    if (ig_str_is(found.stage, "deleted") &&
        move(rest, API "experiments/restore", "experiment_id", found.id, err) != IG_OK)
        return err->code;
    for (size_t i = 0; i < experiment->tags.count; i++)
        if (tag_experiment(rest, found.id, experiment->tags.items[i], err) != IG_OK)
            return err->code;
    *id = found.id;
    return IG_OK;
}

static enum ig_code rest_find_run(struct ig_transfer_run *out, struct ig_transfer_side *side,
                                  struct ig_str experiment, struct ig_str source,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_transfer_runs found = {0};
    const char *filter =
        ig_arena_printf(arena, "tags.`" IG_TRANSFER_SOURCE_TAG "` = '%.*s'", IG_STR_ARGS(source));
    *out = (struct ig_transfer_run){.id = IG_STR("")};
    if (!filter || memchr(source.ptr ? source.ptr : "", '\'', source.len))
        return ig_fail(err, IG_INVALID, "run id '%.*s'", IG_STR_ARGS(source));
    const struct rest_query query = {experiment, ig_str_view(filter), NULL};
    if (rest_search_runs(&found, rest, &query, arena, err) == IG_OK && found.count)
        *out = found.items[0];
    return err->code;
}

static bool is_hex(struct ig_str text, size_t digits)
{
    if (!text.ptr || text.len != digits) return false;
    for (size_t i = 0; i < digits; i++)
        if (!memchr("0123456789abcdef", text.ptr[i], 16)) return false;
    return true;
}

static enum ig_code rest_make_run(struct ig_transfer_run *out, struct ig_transfer_side *side,
                                  struct ig_str experiment, const struct ig_transfer_run *run,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    if (out->id.len)
        return ig_str_is(out->stage, "deleted")
                   ? move(rest, API "runs/restore", "run_id", out->id, err)
                   : IG_OK;
    for (unsigned i = 0; i < TRIES; i++) {
        struct ig_err local = IG_ERR_INIT;
        struct ig_json_out *body = rest_body(rest);
        ig_json_out_kv_str(body, "experiment_id", experiment);
        if (is_hex(run->id, 32)) ig_json_out_kv_str(body, "run_id", run->id); /* Ingot keeps it */
        ig_json_out_kv_str(body, "user_id", run->user);
        ig_json_out_kv_i64(body, "start_time", run->start_ms);
        if (run->name.len) ig_json_out_kv_str(body, "run_name", run->name);
        const struct ig_tracking_pair source = {IG_STR(IG_TRANSFER_SOURCE_TAG), run->id};
        rest_add_pairs(body, "tags", (struct ig_tracking_pairs){&source, 1});
        enum ig_code code = rest_send(rest, "POST", API "runs/create", false, &local);
        if (code != IG_OK && !rest_is_passing(code, rest->reply.status) && code != IG_EXISTS)
            return ig_fail(err, code, "%s", local.message);
        if (rest_find_run(out, side, experiment, run->id, arena, err) != IG_OK || out->id.len)
            return err->code;
        if (code == IG_EXISTS) break;
    }
    return ig_fail(err, IG_CONFLICT, "it is in another experiment there, or cannot be made");
}

static enum ig_code rest_log(struct ig_transfer_side *side, const struct ig_transfer_run *to,
                             struct ig_str key, const struct ig_mlruns_points *points,
                             struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    char text[IG_NUM_TEXT_MAX];
    for (size_t from = 0; from < points->count; from += BATCH) {
        struct ig_json_out *body = rest_body(rest);
        ig_json_out_kv_str(body, "run_id", to->id);
        ig_json_out_key(body, IG_STR("metrics"));
        ig_json_out_array(body);
        for (size_t i = from; i < points->count && i < from + BATCH; i++) {
            const struct ig_mlruns_point *point = &points->items[i];
            double value = point->value;
            ig_json_out_object(body);
            ig_json_out_kv_str(body, "key", key);
            ig_num_format_f64(text, value);
            if (value != value) /* NaN */
                ig_json_out_kv_str(body, "value", IG_STR("NaN"));
            else if (value - value != 0)
                ig_json_out_kv_str(body, "value",
                                   value > 0 ? IG_STR("Infinity") : IG_STR("-Infinity"));
            else
                ig_json_out_kv_f64(body, "value", value);
            ig_json_out_kv_i64(body, "timestamp", point->at_ms);
            ig_json_out_kv_i64(body, "step", point->step);
            ig_json_out_object_end(body);
        }
        ig_json_out_array_end(body);
        if (rest_send(rest, "POST", API "runs/log-batch", true, err) != IG_OK) return err->code;
    }
    return IG_OK;
}

static enum ig_code log_pairs(struct rest *rest, struct ig_str run, const char *name,
                              struct ig_tracking_pairs pairs, struct ig_err *err)
{
    for (size_t from = 0; from < pairs.count; from += PAIRS_BATCH) {
        size_t left = pairs.count - from;
        const struct ig_tracking_pairs some = {pairs.items + from,
                                               left < PAIRS_BATCH ? left : PAIRS_BATCH};
        struct ig_json_out *body = rest_body(rest);
        ig_json_out_kv_str(body, "run_id", run);
        rest_add_pairs(body, name, some);
        if (rest_send(rest, "POST", API "runs/log-batch", true, err) != IG_OK) return err->code;
    }
    return IG_OK;
}

static enum ig_code rest_end_run(struct ig_transfer_side *side, const struct ig_transfer_run *to,
                                 const struct ig_transfer_run *run, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    if (log_pairs(rest, to->id, "params", run->params, err) != IG_OK) return err->code;
    if (run->inputs.len) {
        struct ig_json_out *body = rest_body(rest);
        ig_json_out_kv_str(body, "run_id", to->id);
        ig_json_out_key(body, IG_STR("datasets"));
        ig_json_out_raw(body, run->inputs);
        if (rest_send(rest, "POST", API "runs/log-inputs", true, err) != IG_OK) return err->code;
    }
    struct ig_json_out *body = rest_body(rest);
    ig_json_out_kv_str(body, "run_id", to->id);
    ig_json_out_kv_str(body, "status", run->status);
    if (run->end_ms >= 0) ig_json_out_kv_i64(body, "end_time", run->end_ms);
    if (rest_send(rest, "POST", API "runs/update", true, err) != IG_OK ||
        log_pairs(rest, to->id, "tags", run->tags, err) != IG_OK)
        return err->code;
    return ig_str_is(run->stage, "deleted") ? move(rest, API "runs/delete", "run_id", to->id, err)
                                            : IG_OK;
}

static enum ig_code find_logged(struct ig_transfer_loggeds *found, struct rest *rest,
                                struct ig_str experiment, struct ig_str source,
                                struct ig_arena *arena, struct ig_err *err)
{
    const char *filter =
        ig_arena_printf(arena, "tags.`" IG_TRANSFER_SOURCE_TAG "` = '%.*s'", IG_STR_ARGS(source));
    if (!filter || memchr(source.ptr ? source.ptr : "", '\'', source.len))
        return ig_fail(err, IG_INVALID, "model id '%.*s'", IG_STR_ARGS(source));
    return rest_search_loggeds(found, rest, experiment, ig_str_view(filter), arena, err);
}

static enum ig_code make_logged(struct rest *rest, struct ig_str experiment,
                                const struct ig_transfer_logged *logged, struct ig_arena *arena,
                                struct ig_err *err)
{
    struct ig_json_out *body = rest_body(rest);
    struct ig_tracking_pair *tags = ig_arena_array(arena, logged->tags.count + 1, sizeof *tags);
    size_t count = 0;
    if (!tags) return ig_fail(err, IG_NO_MEMORY, "tags of a logged model");
    for (size_t i = 0; i < logged->tags.count; i++)
        if (!ig_str_is(logged->tags.items[i].key, IG_TRANSFER_SOURCE_TAG))
            tags[count++] = logged->tags.items[i];
    tags[count++] = (struct ig_tracking_pair){IG_STR(IG_TRANSFER_SOURCE_TAG), logged->id};
    ig_json_out_kv_str(body, "experiment_id", experiment);
    struct ig_str digits = {logged->id.ptr + 2, logged->id.len < 2 ? 0 : logged->id.len - 2};
    if (is_hex(digits, 32)) ig_json_out_kv_str(body, "model_id", logged->id);
    ig_json_out_kv_str(body, "name", logged->name);
    if (logged->type.len) ig_json_out_kv_str(body, "model_type", logged->type);
    if (logged->run.len) ig_json_out_kv_str(body, "source_run_id", logged->run);
    rest_add_pairs(body, "params", logged->params);
    rest_add_pairs(body, "tags", (struct ig_tracking_pairs){tags, count});
    return rest_send(rest, "POST", API "logged-models", false, err);
}

static enum ig_code rest_put_logged(struct ig_transfer_logged *out, struct ig_transfer_side *side,
                                    struct ig_str experiment,
                                    const struct ig_transfer_logged *logged, struct ig_arena *arena,
                                    struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_transfer_loggeds found = {0};
    if (find_logged(&found, rest, experiment, logged->id, arena, err) != IG_OK) return err->code;
    if (!found.count && (make_logged(rest, experiment, logged, arena, err) != IG_OK ||
                         find_logged(&found, rest, experiment, logged->id, arena, err) != IG_OK))
        return err->code;
    if (!found.count) return ig_fail(err, IG_INTERNAL, "a model that was made is not there");
    *out = found.items[0];
    if (!logged->status.len || ig_str_eq(out->status, logged->status)) return IG_OK;
    struct ig_json_out *body = rest_body(rest);
    const char *path = ig_arena_printf(arena, API "logged-models/%.*s", IG_STR_ARGS(out->id));
    ig_json_out_kv_str(body, "model_id", out->id);
    ig_json_out_kv_str(body, "status", logged->status);
    if (!path) return ig_fail(err, IG_NO_MEMORY, "a logged model");
    return rest_send(rest, "PATCH", path, true, err);
}

static enum ig_code rest_put_model(struct ig_transfer_side *side,
                                   const struct ig_transfer_model *model, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_err local = IG_ERR_INIT;
    struct ig_json_out *body = rest_body(rest);
    ig_json_out_kv_str(body, "name", model->name);
    ig_json_out_kv_str(body, "description", model->description);
    rest_add_pairs(body, "tags", model->tags);
    enum ig_code code = rest_send(rest, "POST", API "registered-models/create", true, &local);
    return code == IG_OK || code == IG_EXISTS ? IG_OK : ig_fail(err, code, "%s", local.message);
}

static enum ig_code move_version(struct rest *rest, const char *verb, struct ig_str model,
                                 int64_t version, struct ig_str stage, struct ig_err *err)
{
    char number[24], path[64];
    struct ig_json_out *body = rest_body(rest);
    snprintf(number, sizeof number, "%lld", (long long)version);
    ig_json_out_kv_str(body, "name", model);
    ig_json_out_kv_str(body, "version", ig_str_view(number));
    if (stage.len) {
        ig_json_out_kv_str(body, "stage", stage);
        ig_json_out_kv_bool(body, "archive_existing_versions", false);
    }
    snprintf(path, sizeof path, API "model-versions/%s", verb);
    return rest_send(rest, stage.len ? "POST" : "DELETE", path, true, err);
}

/* Not repeated: the numbers would go on. */
static enum ig_code make_version(int64_t *number, struct rest *rest, struct ig_str model,
                                 const struct ig_transfer_version *version, struct ig_err *err)
{
    struct ig_str prefix = IG_STR("models:/m-");
    struct ig_json_out *body = rest_body(rest);
    struct ig_arena arena;
    struct ig_json json;
    struct ig_transfer_versions made = {0};
    ig_json_out_kv_str(body, "name", model);
    ig_json_out_kv_str(body, "source", version->source);
    if (version->run.len) ig_json_out_kv_str(body, "run_id", version->run);
    if (version->description.len) ig_json_out_kv_str(body, "description", version->description);
    if (ig_str_starts(version->source, prefix))
        ig_json_out_kv_str(body, "model_id",
                           (struct ig_str){version->source.ptr + 8, version->source.len - 8});
    else if (version->model_id.len)
        ig_json_out_kv_str(body, "model_id", version->model_id);
    rest_add_pairs(body, "tags", version->tags);
    if (rest_send(rest, "POST", API "model-versions/create", false, err) != IG_OK) return err->code;
    ig_arena_init(&arena, 16 << 10, 64 << 20);
    rest_reply(&json, rest, &arena, err);
    if (err->code == IG_OK && rest_enter(&json))
        while (ig_json_member(&json)) {
            if (ig_str_is(json.text, "model_version"))
                rest_read_version(&made, &json);
            else
                ig_json_skip(&json);
        }
    *number = made.count ? made.items[0].version : 0;
    ig_arena_deinit(&arena);
    return err->code;
}

/* Numbers that were deleted at the source are made and deleted here. */
static enum ig_code rest_put_version(struct ig_transfer_side *side, struct ig_str model,
                                     const struct ig_transfer_version *version, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    int64_t number = 0;
    for (unsigned i = 0; i < VERSIONS_MAX && number != version->version; i++) {
        if (make_version(&number, rest, model, version, err) != IG_OK) return err->code;
        if (number == version->version) break;
        if (move_version(rest, "delete", model, number, IG_STR(""), err) != IG_OK) return err->code;
        if (number > version->version || number < 1)
            return ig_fail(err, IG_CONFLICT, "version %lld cannot have its number there any more",
                           (long long)version->version);
    }
    if (!version->stage.len || ig_str_is(version->stage, "None")) return IG_OK;
    return move_version(rest, "transition-stage", model, number, version->stage, err);
}

static enum ig_code rest_put_alias(struct ig_transfer_side *side, struct ig_str model,
                                   struct ig_tracking_pair alias, struct ig_err *err)
{
    struct rest *rest = (struct rest *)side;
    struct ig_json_out *body = rest_body(rest);
    ig_json_out_kv_str(body, "name", model);
    ig_json_out_kv_str(body, "alias", alias.key);
    ig_json_out_kv_str(body, "version", alias.value);
    return rest_send(rest, "POST", API "registered-models/alias", true, err);
}

static void rest_close(struct ig_transfer_side *side)
{
    struct rest *rest = (struct rest *)side;
    ig_buf_deinit(&rest->reply.body);
    ig_buf_deinit(&rest->path);
    ig_buf_deinit(&rest->body);
    ig_free(rest);
}

enum ig_code ig_transfer_rest_open(struct ig_transfer_side **out, struct ig_client *client,
                                   struct ig_err *err)
{
    static const struct ig_transfer_ops ops = {.close = rest_close,
                                               .experiments = rest_experiments,
                                               .runs = rest_runs,
                                               .history = rest_history,
                                               .loggeds = rest_loggeds,
                                               .files = rest_files,
                                               .fetch = rest_fetch,
                                               .models = rest_models,
                                               .versions = rest_versions,
                                               .location = rest_location,
                                               .put_experiment = rest_put_experiment,
                                               .delete_experiment = rest_delete_experiment,
                                               .find_run = rest_find_run,
                                               .make_run = rest_make_run,
                                               .log = rest_log,
                                               .end_run = rest_end_run,
                                               .put_logged = rest_put_logged,
                                               .put_file = rest_put_file,
                                               .put_model = rest_put_model,
                                               .put_version = rest_put_version,
                                               .put_alias = rest_put_alias};
    struct rest *rest = ig_zalloc(sizeof *rest);
    if (!rest) return ig_fail(err, IG_NO_MEMORY, "a copy");
    rest->side.ops = &ops;
    rest->client = client;
    ig_buf_init(&rest->reply.body, REPLY_MAX);
    ig_buf_init(&rest->path, 64 << 10);
    ig_buf_init(&rest->body, REQUEST_MAX);
    *out = &rest->side;
    return IG_OK;
}
