/* SPDX-License-Identifier: Apache-2.0 */
/* Training jobs. */
#include "api/rest.h"
#include "api/route.h"
#include "services/instances/instances.h"

#include <stdio.h>

enum { LOG_PIECE = 1 << 20 };

static void write_job(struct ig_json_out *out, const struct ig_job *job)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "id", job->id);
    ig_json_out_kv_str(out, "state", ig_str_view(ig_job_state_name(job->state)));
    ig_json_out_kv_str(out, "model", job->model);
    ig_json_out_key(out, IG_STR("version"));
    if (job->version)
        ig_json_out_i64(out, job->version);
    else
        ig_json_out_null(out);
    ig_json_out_kv_str(out, "engine", job->engine);
    ig_json_out_kv_str(out, "target", job->target);
    ig_json_out_kv_str(out, "data_digest", job->data_digest);
    ig_rest_kv_raw(out, "drop", job->drop_json);
    ig_rest_kv_raw(out, "params", job->params_json);
    ig_json_out_kv_f64(out, "progress", job->progress);
    ig_rest_kv_raw(out, "metrics", job->metrics_json);
    if (job->error.len) ig_json_out_kv_str(out, "error", job->error);
    ig_rest_kv_time(out, "created_at", job->created_ms);
    ig_rest_kv_time(out, "started_at", job->started_ms);
    ig_rest_kv_time(out, "finished_at", job->finished_ms);
    ig_json_out_object_end(out);
}

static enum ig_code reply_job(struct ig_call *call, struct ig_str id)
{
    struct ig_job job;
    struct ig_json_out out;
    if (ig_job_get(&job, call->app->jobs, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_job(&out, &job);
    return IG_OK;
}

/* Parameters as they came: the engine that says what they mean may stand behind them. */
static enum ig_code read_params(void *params, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "params")) return json->err->code;
    size_t from = ig_json_position(json) - 1;
    if (ig_json_skip_open(json))
        *(struct ig_str *)params =
            (struct ig_str){json->start + from, ig_json_position(json) - from};
    return json->err->code;
}

static enum ig_code apply_params(struct ig_call *call, struct ig_job_spec *spec,
                                 struct ig_str engine, struct ig_str params)
{
    struct ig_json json;
    enum ig_job_engine parsed;
    call->field = "engine";
    if (ig_job_engine_parse(&parsed, engine, &call->err) != IG_OK) return call->err.code;
    ig_params_defaults(&spec->params, parsed);
    call->field = "params";
    ig_json_init(&json, params, call->arena, &call->err);
    if (ig_params_read(&spec->params, &json) != IG_OK) return call->err.code;
    call->field = NULL;
    return IG_OK;
}

static enum ig_code read_drop(void *drop, struct ig_json *json)
{
    return ig_drop_read(drop, json);
}

/* An instance type's memory and cores, where the job does not say its own. */
static enum ig_code apply_instance(struct ig_call *call, struct ig_job_spec *spec,
                                   struct ig_str name)
{
    const struct ig_instance *instance;
    call->field = "instance";
    if (ig_instance_find(&instance, name, "instance", &call->err) != IG_OK) return call->err.code;
    call->field = NULL;
    if (!spec->memory_limit_mb) spec->memory_limit_mb = instance->memory_mb;
    if (!spec->params.xgboost.threads)
        spec->params.xgboost.threads = (instance->cpu_thousandths + 999) / 1000;
    return IG_OK;
}

/* What only makes a model smaller may go without a table. */
static enum ig_code check_data(struct ig_call *call, struct ig_job_spec *spec)
{
    bool shrinks = ig_job_engine_shrinks(spec->params.engine);
    bool digest = spec->data_digest.len > 0, path = spec->data_path.len > 0;
    if (!spec->target.ptr) {
        call->field = "target";
        spec->target = IG_STR("");
        if (!shrinks) return ig_fail(&call->err, IG_INVALID, "target: missing");
    }
    call->field = "data_digest";
    if ((digest && path) || (!digest && !path && !shrinks))
        return ig_fail(&call->err, IG_INVALID,
                       "data_digest: give either the digest of an uploaded table or data_path");
    call->field = NULL;
    return IG_OK;
}

enum ig_code ig_rest_job_post(struct ig_call *call)
{
    struct ig_job_spec spec = {0};
    struct ig_str instance = IG_STR(""), engine = IG_STR(""), params = IG_STR("{}");
    char id[IG_ID_SIZE];
    const struct ig_rest_field fields[] = {
        {"model", IG_REST_STR, &spec.model, true, NULL},
        {"target", IG_REST_STR, &spec.target, false, NULL},
        {"data_digest", IG_REST_STR, &spec.data_digest, false, NULL},
        {"data_path", IG_REST_STR, &spec.data_path, false, NULL},
        {"engine", IG_REST_STR, &engine, false, NULL},
        {"drop", IG_REST_CALL, &spec.drop, false, read_drop},
        {"params", IG_REST_CALL, &params, false, read_params},
        {"time_limit_s", IG_REST_I64, &spec.time_limit_s, false, NULL},
        {"memory_limit_mb", IG_REST_I64, &spec.memory_limit_mb, false, NULL},
        {"instance", IG_REST_STR, &instance, false, NULL},
    };
    if (ig_rest_read(call, fields, sizeof fields / sizeof fields[0]) != IG_OK)
        return call->err.code;
    if (apply_params(call, &spec, engine, params) != IG_OK) return call->err.code;
    if (instance.len && apply_instance(call, &spec, instance) != IG_OK) return call->err.code;
    if (check_data(call, &spec) != IG_OK) return call->err.code;
    if (ig_job_submit(id, call->app->jobs, &call->who, &spec, &call->err) != IG_OK)
        return call->err.code;
    call->exchange->status = 201;
    return reply_job(call, ig_str_view(id));
}

enum ig_code ig_rest_job_list(struct ig_call *call)
{
    struct ig_job_list list;
    struct ig_json_out out;
    struct ig_str before;
    uint64_t limit;
    if (ig_call_query_u64(&limit, call, "limit", 100) != IG_OK) return call->err.code;
    if (ig_call_query_str(&before, call, "before") != IG_OK) return call->err.code;
    if (ig_job_list(&list, call->app->jobs, before, limit, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("jobs"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_job(&out, &list.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_job_get(struct ig_call *call)
{
    return reply_job(call, call->params[0]);
}

enum ig_code ig_rest_job_cancel(struct ig_call *call)
{
    if (ig_job_cancel(call->app->jobs, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return reply_job(call, call->params[0]);
}

/* A piece of one of a job's files; the next offset goes into a header. */
static enum ig_code reply_file(struct ig_call *call, enum ig_job_file file, const char *type)
{
    uint64_t offset;
    char text[24];
    struct ig_buf piece;
    if (ig_call_query_u64(&offset, call, "offset", 0) != IG_OK) return call->err.code;
    ig_buf_init(&piece, LOG_PIECE);
    if (ig_job_read(&piece, call->app->jobs, call->params[0], file, offset, &call->err) == IG_OK) {
        int length = snprintf(text, sizeof text, "%llu", (unsigned long long)offset + piece.len);
        ig_exchange_header(call->exchange, "X-Next-Offset", (struct ig_str){text, (size_t)length},
                           &call->err);
        call->exchange->content_type = type;
        ig_buf_add_str(&call->exchange->reply, ig_buf_view(&piece));
    }
    ig_buf_deinit(&piece);
    return call->err.code;
}

enum ig_code ig_rest_job_logs(struct ig_call *call)
{
    return reply_file(call, IG_JOB_FILE_LOG, "text/plain; charset=utf-8");
}

enum ig_code ig_rest_job_metrics(struct ig_call *call)
{
    return reply_file(call, IG_JOB_FILE_METRICS, "application/x-ndjson");
}

static void write_choices(struct ig_json_out *out, struct ig_str choices)
{
    ig_json_out_key(out, IG_STR("choices"));
    ig_json_out_array(out);
    while (choices.len) ig_json_out_str(out, ig_str_cut(&choices, '|'));
    ig_json_out_array_end(out);
}

static void write_param(struct ig_json_out *out, const struct ig_param_info *info)
{
    static const char *const types[] = {[IG_PARAM_INT] = "integer",
                                        [IG_PARAM_REAL] = "number",
                                        [IG_PARAM_CHOICE] = "string",
                                        [IG_PARAM_STRING] = "string"};
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", ig_str_view(info->name));
    ig_json_out_kv_str(out, "type", ig_str_view(types[info->type]));
    ig_json_out_kv_str(out, "default", ig_str_view(info->standard));
    if (info->type == IG_PARAM_INT || info->type == IG_PARAM_REAL) {
        ig_json_out_kv_f64(out, "minimum", info->least);
        ig_json_out_kv_f64(out, "maximum", info->greatest);
    }
    if (info->type == IG_PARAM_CHOICE) write_choices(out, ig_str_view(info->choices));
    ig_json_out_kv_str(out, "doc", ig_str_view(info->doc));
    ig_json_out_object_end(out);
}

enum ig_code ig_rest_job_params(struct ig_call *call)
{
    struct ig_json_out out;
    struct ig_str name;
    enum ig_job_engine engine;
    if (ig_call_query_str(&name, call, "engine") != IG_OK) return call->err.code;
    if (ig_job_engine_parse(&engine, name, &call->err) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("parameters"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < ig_params_count(engine); i++) write_param(&out, ig_param_at(engine, i));
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_instance_types(struct ig_call *call)
{
    struct ig_json_out out;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("instance_types"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < ig_instances_count(); i++) {
        const struct ig_instance *instance = ig_instance_at(i);
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "name", ig_str_view(instance->name));
        ig_json_out_kv_f64(&out, "cpu", instance->cpu_thousandths / 1000.0);
        ig_json_out_kv_i64(&out, "memory_mb", instance->memory_mb);
        ig_json_out_kv_str(&out, "description", ig_str_view(instance->doc));
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}
