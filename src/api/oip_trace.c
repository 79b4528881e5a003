/* SPDX-License-Identifier: Apache-2.0 */
/* The trace extension of the Open Inference Protocol. Where traces go is not a client's to say. */
#include "api/infer.h"
#include "api/oip_settings.h"
#include "api/route.h"
#include "base/clock.h"

enum { SHOWN_MAX = 64 };

static const struct {
    const char *name;
    int64_t bit;
} LEVELS[] = {{"TIMESTAMPS", IG_TRACE_TIMESTAMPS}, {"TENSORS", IG_TRACE_TENSORS}};

enum { LEVELS_COUNT = sizeof LEVELS / sizeof *LEVELS };

static const struct {
    const char *name;
    int64_t min, max;
} FIELDS[IG_TRACE_FIELDS_COUNT] = {[IG_TRACE_LEVEL] = {"trace_level", 0, 0},
                                   [IG_TRACE_RATE] = {"trace_rate", 1, UINT32_MAX},
                                   [IG_TRACE_COUNT] = {"trace_count", -1, INT32_MAX},
                                   [IG_TRACE_LOG_FREQUENCY] = {"log_frequency", 0, UINT32_MAX}};

/* ["OFF"], ["TIMESTAMPS", "TENSORS"] */
static enum ig_code read_level(int64_t *out, const struct ig_oip_setting *setting,
                               struct ig_err *err)
{
    *out = 0;
    for (size_t i = 0; i < setting->count; i++) {
        struct ig_str level = setting->values[i];
        size_t at = 0;
        if (ig_str_is(level, "OFF") && setting->count > 1)
            return ig_fail(err, IG_INVALID, "Expect only one trace level 'OFF' is specified");
        while (at < LEVELS_COUNT && !ig_str_is(level, LEVELS[at].name)) at++;
        if (at < LEVELS_COUNT)
            *out |= LEVELS[at].bit;
        else if (!ig_str_is(level, "OFF"))
            return ig_fail(err, IG_INVALID,
                           "trace_level: '%.*s', expected OFF, TIMESTAMPS or TENSORS",
                           (int)(level.len > SHOWN_MAX ? SHOWN_MAX : level.len), level.ptr);
    }
    return IG_OK;
}

static enum ig_code read_setting(struct ig_trace_change *out, const struct ig_oip_setting *setting,
                                 struct ig_err *err)
{
    struct ig_str name = setting->name;
    int i = 0;
    while (i < IG_TRACE_FIELDS_COUNT && !ig_str_is(name, FIELDS[i].name)) i++;
    if (ig_str_is(name, "trace_file"))
        return ig_fail(err, IG_UNSUPPORTED,
                       "trace file location can not be updated through network protocol");
    if (i == IG_TRACE_FIELDS_COUNT)
        return ig_fail(err, IG_INVALID, "%.*s: there is no such setting",
                       (int)(name.len > SHOWN_MAX ? SHOWN_MAX : name.len), name.ptr);
    out->how[i] = setting->count ? IG_TRACE_SET : IG_TRACE_CLEAR;
    if (!setting->count) return IG_OK;
    if (i == IG_TRACE_LEVEL) return read_level(&out->values[i], setting, err);
    return ig_oip_setting_number(&out->values[i], setting, FIELDS[i].min, FIELDS[i].max, err);
}

static enum ig_code check_model(struct ig_call *call, struct ig_str model)
{
    if (model.len && ig_deploy_state(call->app->deploy, model) == IG_DEPLOY_ABSENT)
        ig_infer_fail_absent(call, model, &call->err);
    return call->err.code;
}

enum ig_code ig_oip_trace_update(struct ig_call *call, const struct ig_oip_settings *settings)
{
    struct ig_trace_change change = {0};
    for (size_t i = 0; i < settings->count; i++)
        if (read_setting(&change, &settings->items[i], &call->err) != IG_OK) return call->err.code;
    if (check_model(call, settings->model) != IG_OK) return call->err.code;
    return ig_traces_update(call->app->traces, settings->model, &change, &call->err);
}

static void tell_level(struct ig_oip_setting *item, int64_t level)
{
    for (size_t i = 0; i < LEVELS_COUNT; i++)
        if (level & LEVELS[i].bit) item->values[item->count++] = ig_str_view(LEVELS[i].name);
    if (!item->count) item->values[item->count++] = IG_STR("OFF");
}

enum ig_code ig_oip_trace_tell(struct ig_oip_settings *out, struct ig_call *call,
                               struct ig_str model)
{
    struct ig_trace_setting now;
    *out = (struct ig_oip_settings){.model = model};
    if (check_model(call, model) != IG_OK) return call->err.code;
    ig_traces_get(&now, call->app->traces, model);
    for (int i = 0; i < IG_TRACE_FIELDS_COUNT; i++) {
        struct ig_oip_setting *item = &out->items[out->count++];
        item->name = ig_str_view(FIELDS[i].name);
        if (i == IG_TRACE_LEVEL)
            tell_level(item, now.values[i]);
        else
            item->values[item->count++] =
                ig_str_view(ig_arena_printf(call->arena, "%lld", (long long)now.values[i]));
    }
    out->items[out->count++] = (struct ig_oip_setting){
        .name = IG_STR("trace_file"), .values = {IG_STR(IG_TRACES_FILE)}, .count = 1};
    out->items[out->count++] = (struct ig_oip_setting){
        .name = IG_STR("trace_mode"), .values = {IG_STR("triton")}, .count = 1};
    return IG_OK;
}

enum ig_code ig_oip_trace_get(struct ig_call *call)
{
    struct ig_oip_settings now;
    struct ig_json_out out;
    if (ig_oip_trace_tell(&now, call, call->params[0]) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    for (size_t i = 0; i < now.count; i++) {
        bool list = i == IG_TRACE_LEVEL;
        ig_json_out_key(&out, now.items[i].name);
        if (list) ig_json_out_array(&out);
        for (size_t j = 0; j < now.items[i].count; j++)
            ig_json_out_str(&out, now.items[i].values[j]);
        if (list) ig_json_out_array_end(&out);
    }
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_oip_trace_set(struct ig_call *call)
{
    struct ig_oip_settings settings;
    if (ig_oip_settings_read(&settings, call->exchange->body, call->arena, &call->err) != IG_OK)
        return call->err.code;
    settings.model = call->params[0];
    if (ig_oip_trace_update(call, &settings) != IG_OK) return call->err.code;
    return ig_oip_trace_get(call);
}

void ig_oip_trace_note(struct ig_call *call, const char *receive, const char *send)
{
    if (!call->traced.level) return;
    const struct ig_trace trace = {
        .sample = call->traced,
        .receive = receive,
        .send = send,
        .request_id = call->client_id.len ? call->client_id : ig_str_view(call->request_id),
        .received_ns = call->started_ns,
        .taken_ns = call->taken_ns,
        .decoded_ns = call->decoded_ns,
        .done_ns = call->done_ns,
        .sent_ns = send ? ig_clock_ns() : 0,
        .decisions = call->decisions,
        .decisions_count = call->decisions_count,
        .tensors = call->traced.level & IG_TRACE_TENSORS ? &call->tensors : NULL};
    ig_traces_note(call->app->traces, &trace);
    ig_buf_deinit(&call->tensors);
    call->traced.level = 0;
}
