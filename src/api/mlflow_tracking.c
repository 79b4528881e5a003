/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's experiments, and the JSON of experiments and runs. */
#include "api/mlflow_tracking.h"

#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"

#include <math.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { DATASET_EXPERIMENTS_MAX = 20, DATASET_USES_MAX = 1000 };

void ig_mlflow_write_pairs(struct ig_json_out *out, const char *key, struct ig_tracking_pairs pairs)
{
    if (!pairs.count) return;
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_array(out);
    for (size_t i = 0; i < pairs.count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "key", pairs.items[i].key);
        ig_json_out_kv_str(out, "value", pairs.items[i].value);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

void ig_mlflow_write_object(struct ig_json_out *out, const char *key,
                            struct ig_tracking_pairs pairs)
{
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_object(out);
    for (size_t i = 0; i < pairs.count; i++) {
        ig_json_out_key(out, pairs.items[i].key);
        ig_json_out_str(out, pairs.items[i].value);
    }
    ig_json_out_object_end(out);
}

void ig_mlflow_write_map(struct ig_json_out *out, const char *key, struct ig_tracking_pairs pairs)
{
    if (pairs.count) ig_mlflow_write_object(out, key, pairs);
}

static void write_experiment_id(struct ig_json_out *out, int64_t id)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)id);
    ig_json_out_kv_str(out, "experiment_id", ig_str_view(text));
}

void ig_mlflow_write_experiment(struct ig_json_out *out,
                                const struct ig_tracking_experiment *experiment)
{
    ig_json_out_object(out);
    write_experiment_id(out, experiment->id);
    ig_json_out_kv_str(out, "name", experiment->name);
    ig_json_out_kv_str(out, "artifact_location", experiment->artifact_root);
    ig_json_out_kv_str(out, "lifecycle_stage", experiment->stage);
    ig_json_out_kv_i64(out, "last_update_time", experiment->updated_ms);
    ig_json_out_kv_i64(out, "creation_time", experiment->created_ms);
    ig_mlflow_write_pairs(out, "tags", experiment->tags);
    ig_json_out_object_end(out);
}

size_t ig_mlflow_value_text(char out[IG_NUM_TEXT_MAX], double value)
{
    if (isfinite(value)) return ig_num_format_f64(out, value);
    const char *text = isnan(value) ? "\"NaN\"" : value > 0 ? "\"Infinity\"" : "\"-Infinity\"";
    return (size_t)snprintf(out, IG_NUM_TEXT_MAX, "%s", text);
}

void ig_mlflow_write_metric(struct ig_json_out *out, const struct ig_tracking_metric *metric,
                            struct ig_str run)
{
    char value[IG_NUM_TEXT_MAX];
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "key", metric->key);
    ig_json_out_key(out, IG_STR("value"));
    ig_json_out_raw(out, (struct ig_str){value, ig_mlflow_value_text(value, metric->value)});
    ig_json_out_kv_i64(out, "timestamp", metric->at_ms);
    ig_json_out_kv_i64(out, "step", metric->step);
    if (metric->dataset_name.len) ig_json_out_kv_str(out, "dataset_name", metric->dataset_name);
    if (metric->dataset_digest.len)
        ig_json_out_kv_str(out, "dataset_digest", metric->dataset_digest);
    if (metric->model_id.len) ig_json_out_kv_str(out, "model_id", metric->model_id);
    if (run.len) ig_json_out_kv_str(out, "run_id", run);
    ig_json_out_object_end(out);
}

void ig_mlflow_write_run_info(struct ig_json_out *out, const struct ig_tracking_run *run)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "run_uuid", run->id);
    write_experiment_id(out, run->experiment);
    ig_json_out_kv_str(out, "run_name", run->name);
    ig_json_out_kv_str(out, "user_id", run->user_id);
    ig_json_out_kv_str(out, "status", ig_str_view(ig_tracking_status_name(run->status)));
    ig_json_out_kv_i64(out, "start_time", run->start_ms);
    if (run->end_ms >= 0) ig_json_out_kv_i64(out, "end_time", run->end_ms);
    ig_json_out_kv_str(out, "artifact_uri", run->artifact_root);
    ig_json_out_kv_str(out, "lifecycle_stage", run->stage);
    ig_json_out_kv_str(out, "run_id", run->id);
    ig_json_out_object_end(out);
}

static void write_model_uses(struct ig_json_out *out, const char *key,
                             struct ig_tracking_model_uses uses, bool steps)
{
    if (!uses.count) return;
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_array(out);
    for (size_t i = 0; i < uses.count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "model_id", uses.items[i].model_id);
        if (steps) ig_json_out_kv_i64(out, "step", uses.items[i].step);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_inputs(struct ig_json_out *out, const struct ig_tracking_run *run)
{
    const struct ig_tracking_datasets inputs = run->inputs;
    ig_json_out_key(out, IG_STR("inputs"));
    ig_json_out_object(out);
    if (inputs.count) {
        ig_json_out_key(out, IG_STR("dataset_inputs"));
        ig_json_out_array(out);
    }
    for (size_t i = 0; i < inputs.count; i++) {
        const struct ig_tracking_dataset *dataset = &inputs.items[i];
        ig_json_out_object(out);
        ig_mlflow_write_pairs(out, "tags", dataset->tags);
        ig_json_out_key(out, IG_STR("dataset"));
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "name", dataset->name);
        ig_json_out_kv_str(out, "digest", dataset->digest);
        ig_json_out_kv_str(out, "source_type", dataset->source_type);
        ig_json_out_kv_str(out, "source", dataset->source);
        if (dataset->schema.ptr) ig_json_out_kv_str(out, "schema", dataset->schema);
        if (dataset->profile.ptr) ig_json_out_kv_str(out, "profile", dataset->profile);
        ig_json_out_object_end(out);
        ig_json_out_object_end(out);
    }
    if (inputs.count) ig_json_out_array_end(out);
    write_model_uses(out, "model_inputs", run->model_inputs, false);
    ig_json_out_object_end(out);
}

void ig_mlflow_write_run(struct ig_json_out *out, const struct ig_tracking_run *run)
{
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("info"));
    ig_mlflow_write_run_info(out, run);
    ig_json_out_key(out, IG_STR("data"));
    ig_json_out_object(out);
    if (run->metrics.count) {
        ig_json_out_key(out, IG_STR("metrics"));
        ig_json_out_array(out);
        for (size_t i = 0; i < run->metrics.count; i++)
            ig_mlflow_write_metric(out, &run->metrics.items[i], IG_STR(""));
        ig_json_out_array_end(out);
    }
    ig_mlflow_write_pairs(out, "params", run->params);
    ig_mlflow_write_pairs(out, "tags", run->tags);
    ig_json_out_object_end(out);
    write_inputs(out, run);
    ig_json_out_key(out, IG_STR("outputs"));
    ig_json_out_object(out);
    write_model_uses(out, "model_outputs", run->model_outputs, true);
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

enum ig_code ig_mlflow_server_info(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "store_type", IG_STR("SqlStore"));
    ig_json_out_kv_bool(&out, "workspaces_enabled", false);
    ig_json_out_kv_bool(&out, "trace_archival_enabled", false);
    ig_json_out_kv_bool(&out, "multipart_uploads_enabled", false);
    ig_json_out_kv_bool(&out, "multipart_downloads_enabled", false);
    ig_json_out_key(&out, IG_STR("features_enabled"));
    ig_json_out_raw(&out, IG_STR("{\"gateway\":true}"));
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_experiment_create(struct ig_call *call)
{
    struct ig_tracking_experiment_spec spec = {0};
    struct ig_json_out out;
    int64_t id;
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &spec.name, true},
        {"artifact_location", IG_MLFLOW_TEXT, &spec.artifact_root, false},
        {"tags", IG_MLFLOW_PAIRS, &spec.tags, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_create(&id, call->app->tracking, &call->who, &spec, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    write_experiment_id(&out, id);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* The experiment_id that every other request has, and its further fields. */
static enum ig_code read_id(int64_t *id, struct ig_call *call, struct ig_mlflow_field *fields,
                            size_t count)
{
    struct ig_str text = IG_STR("");
    fields[0] = (struct ig_mlflow_field){"experiment_id", IG_MLFLOW_TEXT, &text, true};
    if (ig_mlflow_read(call, fields, count) != IG_OK) return call->err.code;
    return ig_tracking_experiment_id(id, text, &call->err);
}

static enum ig_code reply_experiment(struct ig_call *call,
                                     const struct ig_tracking_experiment *experiment)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("experiment"));
    ig_mlflow_write_experiment(&out, experiment);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_experiment_get(struct ig_call *call)
{
    struct ig_tracking_experiment found;
    struct ig_mlflow_field fields[1];
    int64_t id = 0;
    if (read_id(&id, call, fields, 1) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_get(&found, call->app->tracking, id, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    return reply_experiment(call, &found);
}

enum ig_code ig_mlflow_experiment_find(struct ig_call *call)
{
    struct ig_tracking_experiment found;
    struct ig_str name = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"experiment_name", IG_MLFLOW_TEXT, &name, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_find(&found, call->app->tracking, name, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    return reply_experiment(call, &found);
}

enum ig_code ig_mlflow_experiment_update(struct ig_call *call)
{
    struct ig_str name = IG_STR("");
    struct ig_mlflow_field fields[2] = {[1] = {"new_name", IG_MLFLOW_TEXT, &name, true}};
    int64_t id = 0;
    if (read_id(&id, call, fields, 2) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_rename(call->app->tracking, &call->who, id, name, &call->err) !=
        IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_experiment_delete(struct ig_call *call)
{
    struct ig_mlflow_field fields[1];
    int64_t id = 0;
    if (read_id(&id, call, fields, 1) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_delete(call->app->tracking, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_experiment_restore(struct ig_call *call)
{
    struct ig_mlflow_field fields[1];
    int64_t id = 0;
    if (read_id(&id, call, fields, 1) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_restore(call->app->tracking, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_experiment_tag(struct ig_call *call)
{
    struct ig_tracking_pair tag = {IG_STR(""), IG_STR("")};
    struct ig_mlflow_field fields[3] = {[1] = {"key", IG_MLFLOW_TEXT, &tag.key, true},
                                        [2] = {"value", IG_MLFLOW_TEXT, &tag.value, false}};
    int64_t id = 0;
    if (read_id(&id, call, fields, 3) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_tag(call->app->tracking, id, tag, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_experiment_untag(struct ig_call *call)
{
    struct ig_str key = IG_STR("");
    struct ig_mlflow_field fields[2] = {[1] = {"key", IG_MLFLOW_TEXT, &key, true}};
    int64_t id = 0;
    if (read_id(&id, call, fields, 2) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_untag(call->app->tracking, id, key, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

static enum ig_code write_uses(struct ig_json_out *out, struct ig_call *call, struct ig_str text,
                               size_t *room)
{
    struct ig_tracking_dataset_uses uses;
    int64_t id;
    if (ig_tracking_experiment_id(&id, text, &call->err) != IG_OK ||
        ig_tracking_datasets_of(&uses, call->app->tracking, id, *room, call->arena, &call->err) !=
            IG_OK)
        return call->err.code;
    for (size_t i = 0; i < uses.count; i++) {
        ig_json_out_object(out);
        write_experiment_id(out, id);
        ig_json_out_kv_str(out, "name", uses.items[i].name);
        ig_json_out_kv_str(out, "digest", uses.items[i].digest);
        if (uses.items[i].context.ptr) ig_json_out_kv_str(out, "context", uses.items[i].context);
        ig_json_out_object_end(out);
    }
    *room -= uses.count;
    return IG_OK;
}

enum ig_code ig_mlflow_datasets_search(struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_json_out out;
    size_t room = DATASET_USES_MAX;
    const struct ig_mlflow_field fields[] = {{"experiment_ids", IG_MLFLOW_TEXTS, &ids, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (!ids.count)
        return ig_fail(&call->err, IG_INVALID,
                       "SearchDatasets request must specify at least one experiment_id.");
    if (ids.count > DATASET_EXPERIMENTS_MAX)
        return ig_fail(&call->err, IG_INVALID,
                       "SearchDatasets request cannot specify more than %d experiment_ids. "
                       "Received %zu experiment_ids.",
                       DATASET_EXPERIMENTS_MAX, ids.count);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("dataset_summaries"));
    ig_json_out_array(&out);
    for (size_t i = 0; call->err.code == IG_OK && i < ids.count; i++)
        write_uses(&out, call, ids.items[i], &room);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return call->err.code;
}
