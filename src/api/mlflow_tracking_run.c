/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's runs and what they log. */
#include "api/mlflow_tracking.h"

#include "api/front.h"
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"
#include "base/clock.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum { LOOP_BODY_MAX = 16 << 10 }; /* reading more is work for the pool */

enum ig_code ig_mlflow_reply_run(struct ig_call *call, const struct ig_tracking_run *run)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("run"));
    ig_mlflow_write_run(&out, run);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_run_create(struct ig_call *call)
{
    struct ig_str experiment = IG_STR("0");
    struct ig_tracking_run_spec spec = {.start_ms = ig_clock_unix_ms()};
    struct ig_tracking_run run;
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &spec.id, false},
                                             {"experiment_id", IG_MLFLOW_TEXT, &experiment, false},
                                             {"run_name", IG_MLFLOW_TEXT, &spec.name, false},
                                             {"user_id", IG_MLFLOW_TEXT, &spec.user_id, false},
                                             {"start_time", IG_MLFLOW_I64, &spec.start_ms, false},
                                             {"tags", IG_MLFLOW_PAIRS, &spec.tags, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_experiment_id(&spec.experiment, experiment, &call->err) != IG_OK)
        return call->err.code;
    if (ig_tracking_run_create(&run, call->app->tracking, &spec, call->arena, &call->err) != IG_OK)
        return call->err.code;
    return ig_mlflow_reply_run(call, &run);
}

enum ig_code ig_mlflow_run_get(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    struct ig_tracking_run run;
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_run_get(&run, call->app->tracking, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    return ig_mlflow_reply_run(call, &run);
}

enum ig_code ig_mlflow_run_update(struct ig_call *call)
{
    struct ig_tracking_run_update update = {.end_ms = -1};
    struct ig_str status = IG_STR("");
    struct ig_tracking_run run;
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &update.id, true},
                                             {"status", IG_MLFLOW_TEXT, &status, false},
                                             {"end_time", IG_MLFLOW_I64, &update.end_ms, false},
                                             {"run_name", IG_MLFLOW_TEXT, &update.name, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (status.len && !ig_tracking_status_parse(&update.status, status))
        return ig_fail(&call->err, IG_INVALID,
                       "Invalid value \"%.*s\" for parameter 'status' supplied: expected RUNNING, "
                       "SCHEDULED, FINISHED, FAILED or KILLED",
                       (int)(status.len > 64 ? 64 : status.len), status.ptr);
    if (ig_tracking_run_update(&run, call->app->tracking, &update, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("run_info"));
    ig_mlflow_write_run_info(&out, &run);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_mlflow_run_delete(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_run_delete(call->app->tracking, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_run_restore(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_run_restore(call->app->tracking, &call->who, id, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_run_untag(struct ig_call *call)
{
    struct ig_str id = IG_STR(""), key = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true},
                                             {"key", IG_MLFLOW_TEXT, &key, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_run_untag(call->app->tracking, id, key, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

struct logging {
    struct ig_tracking_logging tracking; /* first */
    struct ig_call *call;
};

static void logged(struct ig_tracking_logging *tracking, enum ig_code code)
{
    struct ig_call *call = ((struct logging *)tracking)->call;
    ig_front_answer(call, code == IG_OK ? ig_rest_done(call) : code);
}

/* On the loop: answered from where it is written, so no thread waits for the disk. */
static enum ig_code log_later(struct ig_call *call, struct ig_str id,
                              const struct ig_tracking_batch *batch)
{
    struct logging *logging = ig_arena_zalloc(call->arena, sizeof *logging);
    if (!logging) return ig_fail(&call->err, IG_NO_MEMORY, "what a run logs");
    *logging = (struct logging){.tracking = {.tracking = call->app->tracking,
                                             .id = id,
                                             .batch = *batch,
                                             .err = &call->err,
                                             .done = logged},
                                .call = call};
    call->later = true;
    enum ig_code code = ig_tracking_log_later(&logging->tracking);
    if (code != IG_OK) call->later = false;
    return code;
}

/* One parameter or tag; NULL when it cannot be read. */
static struct ig_tracking_pair *read_pair(struct ig_str *id, struct ig_call *call)
{
    struct ig_tracking_pair *pair = ig_arena_zalloc(call->arena, sizeof *pair);
    *id = IG_STR("");
    if (!pair) {
        ig_fail(&call->err, IG_NO_MEMORY, "what a run logs");
        return NULL;
    }
    pair->key = pair->value = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, id, true},
                                             {"key", IG_MLFLOW_TEXT, &pair->key, true},
                                             {"value", IG_MLFLOW_TEXT, &pair->value, false}};
    return ig_mlflow_read(call, fields, COUNT(fields)) == IG_OK ? pair : NULL;
}

enum ig_code ig_mlflow_run_tag(struct ig_call *call)
{
    struct ig_str id;
    struct ig_tracking_pair *tag = read_pair(&id, call);
    const struct ig_tracking_batch batch = {.tags = {tag, 1}, .single = true};
    return tag ? log_later(call, id, &batch) : call->err.code;
}

enum ig_code ig_mlflow_run_param(struct ig_call *call)
{
    struct ig_str id;
    struct ig_tracking_pair *param = read_pair(&id, call);
    const struct ig_tracking_batch batch = {.params = {param, 1}, .single = true};
    return param ? log_later(call, id, &batch) : call->err.code;
}

enum ig_code ig_mlflow_run_metric(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    struct ig_tracking_metric *metric = ig_arena_zalloc(call->arena, sizeof *metric);
    if (!metric) return ig_fail(&call->err, IG_NO_MEMORY, "what a run logs");
    const struct ig_tracking_batch batch = {.metrics = {metric, 1}, .single = true};
    const struct ig_mlflow_field fields[] = {
        {"run_id", IG_MLFLOW_TEXT, &id, true},
        {"key", IG_MLFLOW_TEXT, &metric->key, true},
        {"value", IG_MLFLOW_F64, &metric->value, true},
        {"timestamp", IG_MLFLOW_I64, &metric->at_ms, true},
        {"step", IG_MLFLOW_I64, &metric->step, false},
        {"model_id", IG_MLFLOW_TEXT, &metric->model_id, false},
        {"dataset_name", IG_MLFLOW_TEXT, &metric->dataset_name, false},
        {"dataset_digest", IG_MLFLOW_TEXT, &metric->dataset_digest, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    return log_later(call, id, &batch);
}

static enum ig_code read_batch(struct ig_str *id, struct ig_tracking_batch *batch,
                               struct ig_call *call)
{
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, id, true},
                                             {"metrics", IG_MLFLOW_METRICS, &batch->metrics, false},
                                             {"params", IG_MLFLOW_PAIRS, &batch->params, false},
                                             {"tags", IG_MLFLOW_PAIRS, &batch->tags, false}};
    return ig_mlflow_read(call, fields, COUNT(fields));
}

static enum ig_code log_in_pool(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    struct ig_tracking_batch batch = {0};
    if (read_batch(&id, &batch, call) != IG_OK ||
        ig_tracking_log(call->app->tracking, id, &batch, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_run_batch(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    struct ig_tracking_batch batch = {0};
    if (call->exchange->body.len > LOOP_BODY_MAX) {
        call->in_pool = log_in_pool;
        return IG_OK;
    }
    if (read_batch(&id, &batch, call) != IG_OK) return call->err.code;
    return log_later(call, id, &batch);
}

enum ig_code ig_mlflow_run_inputs(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    struct ig_tracking_datasets datasets = {0};
    struct ig_tracking_model_uses models = {0};
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true},
                                             {"datasets", IG_MLFLOW_DATASETS, &datasets, false},
                                             {"models", IG_MLFLOW_MODELS, &models, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_inputs_log(call->app->tracking, id, datasets, models, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_run_outputs(struct ig_call *call)
{
    struct ig_str id = IG_STR("");
    struct ig_tracking_model_uses models = {0};
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true},
                                             {"models", IG_MLFLOW_MODELS, &models, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_outputs_log(call->app->tracking, id, models, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_mlflow_run_model(struct ig_call *call)
{
    struct ig_str id = IG_STR(""), model = IG_STR("");
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true},
                                             {"model_json", IG_MLFLOW_TEXT, &model, true}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (ig_tracking_model_note(call->app->tracking, id, model, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
