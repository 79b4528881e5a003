/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's logged models. Searches stand in mlflow_search.c, their files in mlflow_artifacts.c. */
#include "api/mlflow_logged.h"

#include "api/mlflow_request.h"
#include "api/mlflow_tracking.h"
#include "api/rest.h"
#include "api/route.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

static void write_info(struct ig_json_out *out, const struct ig_logged_model *model)
{
    char experiment[24];
    snprintf(experiment, sizeof experiment, "%lld", (long long)model->experiment);
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "model_id", model->id);
    ig_json_out_kv_str(out, "experiment_id", ig_str_view(experiment));
    ig_json_out_kv_str(out, "name", model->name);
    ig_json_out_kv_i64(out, "creation_timestamp_ms", model->created_ms);
    ig_json_out_kv_i64(out, "last_updated_timestamp_ms", model->updated_ms);
    ig_json_out_kv_str(out, "artifact_uri", model->artifact_root);
    ig_json_out_kv_str(out, "status", ig_str_view(ig_logged_status_name(model->status)));
    if (model->model_type.len) ig_json_out_kv_str(out, "model_type", model->model_type);
    if (model->source_run.len) ig_json_out_kv_str(out, "source_run_id", model->source_run);
    ig_mlflow_write_pairs(out, "tags", model->tags);
    ig_json_out_object_end(out);
}

void ig_mlflow_write_logged(struct ig_json_out *out, const struct ig_logged_model *model)
{
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("info"));
    write_info(out, model);
    ig_json_out_key(out, IG_STR("data"));
    ig_json_out_object(out);
    ig_mlflow_write_pairs(out, "params", model->params);
    if (model->metrics.count) {
        ig_json_out_key(out, IG_STR("metrics"));
        ig_json_out_array(out);
        for (size_t i = 0; i < model->metrics.count; i++)
            ig_mlflow_write_metric(out, &model->metrics.items[i], model->metrics.items[i].run);
        ig_json_out_array_end(out);
    }
    ig_json_out_object_end(out);
    ig_json_out_object_end(out);
}

/* The answer of a call that came out with `code`. */
static enum ig_code reply(struct ig_call *call, enum ig_code code,
                          const struct ig_logged_model *model)
{
    struct ig_json_out out;
    if (code != IG_OK) return code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("model"));
    ig_mlflow_write_logged(&out, model);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_logged_create(struct ig_call *call)
{
    struct ig_str experiment = IG_STR(""), name = IG_STR("");
    struct ig_logged_spec spec = {.model_type = IG_STR(""), .source_run = IG_STR("")};
    struct ig_logged_model model;
    const struct ig_mlflow_field fields[] = {
        {"experiment_id", IG_MLFLOW_TEXT, &experiment, true},
        {"model_id", IG_MLFLOW_TEXT, &spec.id, false},
        {"name", IG_MLFLOW_TEXT, &name, false},
        {"model_type", IG_MLFLOW_TEXT, &spec.model_type, false},
        {"source_run_id", IG_MLFLOW_TEXT, &spec.source_run, false},
        {"params", IG_MLFLOW_PAIRS, &spec.params, false},
        {"tags", IG_MLFLOW_PAIRS, &spec.tags, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (name.len) spec.name = name; /* empty is as good as none */
    if (ig_tracking_experiment_id(&spec.experiment, experiment, &call->err) != IG_OK)
        return call->err.code;
    return reply(call, ig_logged_create(&model, call->app->db, &spec, call->arena, &call->err),
                 &model);
}

enum ig_code ig_mlflow_logged_get(struct ig_call *call)
{
    struct ig_logged_model model;
    bool deleted_too = false;
    const struct ig_mlflow_field fields[] = {
        {"allow_deleted", IG_MLFLOW_BOOL, &deleted_too, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    return reply(
        call,
        ig_logged_get(&model, call->app->db, call->params[0], deleted_too, call->arena, &call->err),
        &model);
}

enum ig_code ig_mlflow_logged_finalize(struct ig_call *call)
{
    struct ig_logged_model model;
    struct ig_str text = IG_STR("");
    int64_t status = 0;
    const struct ig_mlflow_field fields[] = {{"status", IG_MLFLOW_WORD, &text, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (!ig_logged_status_parse(&status, text))
        return ig_fail(&call->err, IG_INVALID,
                       "Invalid value \"%.*s\" for parameter 'status' supplied: expected "
                       "LOGGED_MODEL_PENDING, LOGGED_MODEL_READY or LOGGED_MODEL_UPLOAD_FAILED",
                       (int)(text.len > 64 ? 64 : text.len), text.ptr);
    return reply(
        call,
        ig_logged_finalize(&model, call->app->db, call->params[0], status, call->arena, &call->err),
        &model);
}

enum ig_code ig_mlflow_logged_delete(struct ig_call *call)
{
    if (ig_logged_delete(call->app->db, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_logged_tag(struct ig_call *call)
{
    struct ig_tracking_pairs tags = {0};
    const struct ig_mlflow_field fields[] = {{"tags", IG_MLFLOW_PAIRS, &tags, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_logged_tag(call->app->db, call->params[0], tags, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_logged_untag(struct ig_call *call)
{
    if (ig_logged_untag(call->app->db, call->params[0], call->params[1], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_logged_params(struct ig_call *call)
{
    struct ig_tracking_pairs params = {0};
    const struct ig_mlflow_field fields[] = {{"params", IG_MLFLOW_PAIRS, &params, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_logged_params(call->app->db, call->params[0], params, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
