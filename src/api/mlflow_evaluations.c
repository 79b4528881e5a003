/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's evaluation datasets. */
#include "api/mlflow_evaluations.h"

#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

/* The members of a dataset, its tags as a text that holds JSON. */
static void write_members(struct ig_json_out *out, const struct ig_evaluation *evaluation)
{
    struct ig_json_out inner;
    struct ig_buf tags;
    ig_buf_init(&tags, out->buf->max_bytes);
    ig_json_out_init(&inner, &tags);
    ig_json_out_object(&inner);
    for (size_t i = 0; i < evaluation->tags.count; i++) {
        ig_json_out_key(&inner, evaluation->tags.items[i].key);
        ig_json_out_str(&inner, evaluation->tags.items[i].value);
    }
    ig_json_out_object_end(&inner);
    ig_json_out_kv_str(out, "dataset_id", evaluation->id);
    ig_json_out_kv_str(out, "name", evaluation->name);
    ig_json_out_kv_str(out, "tags", ig_buf_view(&tags));
    ig_buf_deinit(&tags);
    if (evaluation->schema.ptr) ig_json_out_kv_str(out, "schema", evaluation->schema);
    if (evaluation->records) {
        char profile[48];
        snprintf(profile, sizeof profile, "{\"num_records\": %lld}",
                 (long long)evaluation->records);
        ig_json_out_kv_str(out, "profile", ig_str_view(profile));
    }
    ig_json_out_kv_str(out, "digest", evaluation->digest);
    ig_json_out_kv_i64(out, "created_time", evaluation->created_ms);
    ig_json_out_kv_i64(out, "last_update_time", evaluation->updated_ms);
    if (evaluation->created_by.ptr) ig_json_out_kv_str(out, "created_by", evaluation->created_by);
    if (evaluation->updated_by.ptr)
        ig_json_out_kv_str(out, "last_updated_by", evaluation->updated_by);
}

void ig_mlflow_write_evaluation(struct ig_json_out *out, const struct ig_evaluation *evaluation)
{
    ig_json_out_object(out);
    write_members(out, evaluation);
    ig_json_out_object_end(out);
}

static void write_ids(struct ig_json_out *out, const int64_t *ids, size_t count)
{
    if (!count) return;
    ig_json_out_key(out, IG_STR("experiment_ids"));
    ig_json_out_array(out);
    for (size_t i = 0; i < count; i++) {
        char text[24];
        snprintf(text, sizeof text, "%lld", (long long)ids[i]);
        ig_json_out_str(out, ig_str_view(text));
    }
    ig_json_out_array_end(out);
}

/* The answer of a call that came out with `code`; with the experiments where they were told. */
static enum ig_code reply(struct ig_call *call, enum ig_code code,
                          const struct ig_evaluation *evaluation, const int64_t *experiments,
                          size_t experiments_count)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("dataset"));
    ig_json_out_object(&out);
    write_members(&out, evaluation);
    write_ids(&out, experiments, experiments_count);
    ig_json_out_object_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code read_ids(int64_t **out, struct ig_call *call, const struct ig_mlflow_texts *ids)
{
    if (ids->count > IG_EVALUATION_EXPERIMENTS_MAX)
        return ig_fail(&call->err, IG_INVALID, "experiment_ids: %zu given, expected at most %d",
                       ids->count, IG_EVALUATION_EXPERIMENTS_MAX);
    *out = ig_arena_array(call->arena, ids->count + 1, sizeof **out);
    if (!*out) return ig_fail(&call->err, IG_NO_MEMORY, "experiment_ids: too many");
    for (size_t i = 0; i < ids->count; i++)
        if (ig_tracking_experiment_id(*out + i, ids->items[i], &call->err) != IG_OK) break;
    return call->err.code;
}

enum ig_code ig_mlflow_evaluation_create(struct ig_call *call)
{
    struct ig_evaluation_spec spec = {.name = IG_STR("")};
    struct ig_evaluation made;
    struct ig_mlflow_texts ids = {0};
    struct ig_str tags = IG_STR("");
    int64_t *experiments = NULL;
    const struct ig_mlflow_field fields[] = {{"name", IG_MLFLOW_TEXT, &spec.name, true},
                                             {"experiment_ids", IG_MLFLOW_TEXTS, &ids, false},
                                             {"tags", IG_MLFLOW_TEXT, &tags, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK ||
        read_ids(&experiments, call, &ids) != IG_OK ||
        ig_mlflow_tags_decode(&spec.tags, tags, call->arena, &call->err) != IG_OK)
        return call->err.code;
    spec.experiments = experiments;
    spec.experiments_count = ids.count;
    return reply(call, ig_evaluation_create(&made, call->app->db, &spec, call->arena, &call->err),
                 &made, experiments, ids.count);
}

enum ig_code ig_mlflow_evaluation_get(struct ig_call *call)
{
    struct ig_evaluation found;
    return reply(call,
                 ig_evaluation_get(&found, call->app->db, call->params[0], call->arena, &call->err),
                 &found, NULL, 0);
}

enum ig_code ig_mlflow_evaluation_delete(struct ig_call *call)
{
    if (ig_evaluation_delete(call->app->db, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_evaluation_tag(struct ig_call *call)
{
    struct ig_str text = IG_STR("");
    struct ig_tracking_pairs tags;
    const struct ig_mlflow_field fields[] = {{"tags", IG_MLFLOW_TEXT, &text, true}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK ||
        ig_mlflow_tags_decode(&tags, text, call->arena, &call->err) != IG_OK ||
        ig_evaluation_tag(call->app->db, call->params[0], tags, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_evaluation_untag(struct ig_call *call)
{
    if (ig_evaluation_untag(call->app->db, call->params[0], call->params[1], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_evaluation_experiments(struct ig_call *call)
{
    struct ig_evaluation_experiments found;
    struct ig_json_out out;
    if (ig_evaluation_experiments(&found, call->app->db, call->params[0], call->arena,
                                  &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_ids(&out, found.items, found.count);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code link_experiments(struct ig_call *call, bool remove)
{
    struct ig_evaluation_link link = {.id = call->params[0], .remove = remove};
    struct ig_evaluation found;
    struct ig_mlflow_texts ids = {0};
    int64_t *experiments = NULL;
    const struct ig_mlflow_field fields[] = {{"experiment_ids", IG_MLFLOW_TEXTS, &ids, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK || read_ids(&experiments, call, &ids) != IG_OK)
        return call->err.code;
    link.experiments = experiments;
    link.experiments_count = ids.count;
    return reply(call, ig_evaluation_link(&found, call->app->db, &link, call->arena, &call->err),
                 &found, NULL, 0);
}

enum ig_code ig_mlflow_evaluation_add(struct ig_call *call)
{
    return link_experiments(call, false);
}

enum ig_code ig_mlflow_evaluation_remove(struct ig_call *call)
{
    return link_experiments(call, true);
}
