/* SPDX-License-Identifier: Apache-2.0 */
/* The words between the supervisor and a training child. Thread rule: pure. */
#include "services/job/job_spec.h"

#include <string.h>

void ig_train_spec_write(struct ig_buf *buf, const struct ig_train_spec *spec)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "job_id", spec->job_id);
    ig_json_out_kv_str(&out, "engine", ig_str_view(ig_job_engine_name(spec->params.engine)));
    ig_json_out_kv_str(&out, "target", spec->target);
    ig_json_out_kv_str(&out, "model", spec->model);
    ig_json_out_kv_str(&out, "data_digest", spec->data_digest);
    ig_json_out_kv_bool(&out, "has_data", spec->has_data);
    ig_json_out_kv_i64(&out, "time_limit_s", spec->time_limit_s);
    ig_json_out_kv_i64(&out, "memory_limit_mb", spec->memory_limit_mb);
    ig_json_out_key(&out, IG_STR("drop"));
    ig_drop_write(&out, &spec->drop);
    ig_json_out_key(&out, IG_STR("params"));
    ig_params_write(&out, &spec->params);
    ig_json_out_object_end(&out);
}

static bool read_member(struct ig_train_spec *spec, struct ig_json *json)
{
    struct ig_str name = json->text, engine;
    if (ig_str_is(name, "job_id")) return ig_json_string(json, &spec->job_id, "job_id");
    if (ig_str_is(name, "engine"))
        return ig_json_string(json, &engine, "engine") &&
               ig_job_engine_parse(&spec->params.engine, engine, json->err) == IG_OK;
    if (ig_str_is(name, "target")) return ig_json_string(json, &spec->target, "target");
    if (ig_str_is(name, "model")) return ig_json_string(json, &spec->model, "model");
    if (ig_str_is(name, "data_digest"))
        return ig_json_string(json, &spec->data_digest, "data_digest");
    if (ig_str_is(name, "has_data")) return ig_json_bool(json, &spec->has_data, "has_data");
    if (ig_str_is(name, "time_limit_s"))
        return ig_json_i64(json, &spec->time_limit_s, "time_limit_s");
    if (ig_str_is(name, "memory_limit_mb"))
        return ig_json_i64(json, &spec->memory_limit_mb, "memory_limit_mb");
    if (ig_str_is(name, "drop")) return ig_drop_read(&spec->drop, json) == IG_OK;
    if (ig_str_is(name, "params")) return ig_params_read(&spec->params, json) == IG_OK;
    ig_fail(json->err, IG_INVALID, "training spec: member '%.*s' is unknown",
            name.len > 40 ? 40 : (int)name.len, name.ptr);
    return false;
}

enum ig_code ig_train_spec_read(struct ig_train_spec *out, struct ig_str text,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    struct ig_train_spec spec;
    memset(&spec, 0, sizeof spec);
    ig_params_defaults(&spec.params, IG_JOB_XGBOOST);
    ig_json_init(&json, text, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "training spec")) return err->code;
    while (ig_json_member(&json)) {
        if (!read_member(&spec, &json)) break;
    }
    if (err->code == IG_OK) ig_json_expect(&json, IG_JSON_END, "training spec");
    if (err->code == IG_OK) *out = spec;
    return err->code;
}

static bool read_event_member(struct ig_train_event *event, struct ig_str *kind,
                              struct ig_json *json)
{
    struct ig_str name = json->text;
    if (ig_str_is(name, "event")) return ig_json_string(json, kind, "event");
    if (ig_str_is(name, "progress")) return ig_json_f64(json, &event->progress, "progress");
    if (ig_str_is(name, "message")) return ig_json_string(json, &event->message, "message");
    if (!ig_str_is(name, "metrics")) return ig_json_skip(json);
    if (!ig_json_expect(json, IG_JSON_OBJECT, "metrics")) return false;
    size_t from = ig_json_position(json) - 1;
    if (!ig_json_skip_open(json)) return false;
    event->metrics_json = (struct ig_str){json->start + from, ig_json_position(json) - from};
    return true;
}

enum ig_code ig_train_event_read(struct ig_train_event *out, struct ig_str line,
                                 struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    struct ig_train_event event = {.metrics_json = IG_STR("{}")};
    struct ig_str kind = {"", 0};
    ig_json_init(&json, line, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "training event")) return err->code;
    while (ig_json_member(&json)) {
        if (!read_event_member(&event, &kind, &json)) break;
    }
    if (err->code != IG_OK) return err->code;
    if (ig_str_is(kind, "progress"))
        event.kind = IG_TRAIN_PROGRESS;
    else if (ig_str_is(kind, "done"))
        event.kind = IG_TRAIN_DONE;
    else if (ig_str_is(kind, "error"))
        event.kind = IG_TRAIN_ERROR;
    else
        return ig_fail(err, IG_INVALID, "training event '%.*s' is unknown",
                       kind.len > 40 ? 40 : (int)kind.len, kind.ptr);
    if (!(event.progress >= 0 && event.progress <= 1))
        return ig_fail(err, IG_INVALID, "training event: progress is not from 0 to 1");
    *out = event;
    return IG_OK;
}

void ig_train_event_write(struct ig_buf *buf, const struct ig_train_event *event)
{
    static const char *const names[] = {"progress", "done", "error"};
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "event", ig_str_view(names[event->kind]));
    if (event->kind == IG_TRAIN_ERROR)
        ig_json_out_kv_str(&out, "message", event->message);
    else
        ig_json_out_kv_f64(&out, "progress", event->progress);
    if (event->metrics_json.len) {
        ig_json_out_key(&out, IG_STR("metrics"));
        ig_json_out_raw(&out, event->metrics_json);
    }
    ig_json_out_object_end(&out);
    ig_buf_add_char(buf, '\n');
}
