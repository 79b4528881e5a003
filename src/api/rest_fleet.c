/* SPDX-License-Identifier: Apache-2.0 */
/* The fleet as its operators see it: groups, bundles, devices, rollouts. What devices call stands
 * in rest_fleet_device.c. */
#include "api/rest.h"
#include "api/route.h"
#include "services/fleet/fleet_rollout.h"
#include "services/fleet/fleet_telemetry.h"

static enum ig_code read_page(struct ig_fleet_page *page, struct ig_call *call)
{
    if (ig_call_query_u64(&page->limit, call, "limit", 100) != IG_OK) return call->err.code;
    return ig_call_query_str(&page->after, call, "after");
}

static enum ig_code fail(struct ig_call *call)
{
    static const char *const NAMES[] = {
        "name",         "target", "public_key", "drift_threshold", "digest",
        "signature",    "labels", "waves",      "soak_s",          "halt_min",
        "halt_percent", "action", "why",        "group",           NULL};
    call->field = ig_call_field(&call->err, NAMES);
    return call->err.code;
}

static void begin_list(struct ig_call *call, struct ig_json_out *out, struct ig_str name)
{
    ig_call_json(call, out);
    ig_json_out_object(out);
    ig_json_out_key(out, name);
    ig_json_out_array(out);
}

static enum ig_code end_list(struct ig_json_out *out)
{
    ig_json_out_array_end(out);
    ig_json_out_object_end(out);
    return IG_OK;
}

/* ---- groups ---- */

static void write_group(struct ig_json_out *out, const struct ig_fleet_group *group)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", group->name);
    ig_json_out_kv_str(out, "target", group->target);
    ig_json_out_kv_str(out, "public_key", group->public_key);
    ig_json_out_kv_f64(out, "drift_threshold", group->drift_threshold);
    ig_json_out_kv_i64(out, "devices", group->devices);
    ig_json_out_kv_i64(out, "drifting", group->drifting);
    ig_rest_kv_time(out, "created_at", group->created_ms);
    ig_json_out_object_end(out);
}

static enum ig_code reply_group(struct ig_call *call, struct ig_str name)
{
    struct ig_fleet_group group;
    struct ig_json_out out;
    if (ig_fleet_group_get(&group, call->app->fleet, name, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_group(&out, &group);
    return IG_OK;
}

enum ig_code ig_rest_fleet_group_list(struct ig_call *call)
{
    struct ig_fleet_page page;
    struct ig_fleet_groups list;
    struct ig_json_out out;
    if (read_page(&page, call) != IG_OK ||
        ig_fleet_group_list(&list, call->app->fleet, &page, call->arena, &call->err) != IG_OK)
        return call->err.code;
    begin_list(call, &out, IG_STR("groups"));
    for (size_t i = 0; i < list.count; i++) write_group(&out, &list.items[i]);
    return end_list(&out);
}

enum ig_code ig_rest_fleet_group_post(struct ig_call *call)
{
    struct ig_fleet_group spec = {.target = IG_STR(""), .drift_threshold = 0.2};
    const struct ig_rest_field fields[] = {
        {"name", IG_REST_STR, &spec.name, true, NULL},
        {"target", IG_REST_STR, &spec.target, false, NULL},
        {"public_key", IG_REST_STR, &spec.public_key, true, NULL},
        {"drift_threshold", IG_REST_F64, &spec.drift_threshold, false, NULL},
    };
    if (ig_rest_read(call, fields, 4) != IG_OK) return call->err.code;
    if (ig_fleet_group_create(call->app->fleet, &call->who, &spec, &call->err) != IG_OK)
        return fail(call);
    call->exchange->status = 201;
    return reply_group(call, spec.name);
}

enum ig_code ig_rest_fleet_group_get(struct ig_call *call)
{
    return reply_group(call, call->params[0]);
}

enum ig_code ig_rest_fleet_group_delete(struct ig_call *call)
{
    if (ig_fleet_group_delete(call->app->fleet, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

/* ---- keys ---- */

enum ig_code ig_rest_fleet_key_list(struct ig_call *call)
{
    struct ig_fleet_keys list;
    struct ig_json_out out;
    if (ig_fleet_key_list(&list, call->app->fleet, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    begin_list(call, &out, IG_STR("keys"));
    for (size_t i = 0; i < list.count; i++) {
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "public_key", list.items[i].public_key);
        ig_json_out_kv_str(&out, "signature", list.items[i].signature);
        ig_rest_kv_time(&out, "created_at", list.items[i].created_ms);
        ig_json_out_object_end(&out);
    }
    return end_list(&out);
}

enum ig_code ig_rest_fleet_key_put(struct ig_call *call)
{
    struct ig_fleet_key key = {.created_ms = 0};
    const struct ig_rest_field fields[] = {
        {"public_key", IG_REST_STR, &key.public_key, true, NULL},
        {"signature", IG_REST_STR, &key.signature, true, NULL},
    };
    if (ig_rest_read(call, fields, 2) != IG_OK) return call->err.code;
    if (ig_fleet_key_rotate(call->app->fleet, &call->who, call->params[0], &key, &call->err) !=
        IG_OK)
        return fail(call);
    return reply_group(call, call->params[0]);
}

/* ---- bundles ---- */

static void write_bundle(struct ig_json_out *out, const struct ig_fleet_bundle *bundle)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "digest", bundle->digest);
    ig_json_out_kv_str(out, "id", bundle->id);
    ig_json_out_kv_str(out, "target", bundle->target);
    ig_json_out_kv_i64(out, "counter", bundle->counter);
    ig_json_out_kv_str(out, "source", bundle->source);
    ig_json_out_kv_i64(out, "size_bytes", bundle->size_bytes);
    ig_json_out_kv_i64(out, "arena_bytes", bundle->arena_bytes);
    ig_rest_kv_time(out, "expires_at", bundle->expiry_s * 1000);
    ig_rest_kv_time(out, "created_at", bundle->created_ms);
    ig_json_out_object_end(out);
}

enum ig_code ig_rest_fleet_bundle_list(struct ig_call *call)
{
    struct ig_fleet_bundles list;
    struct ig_json_out out;
    if (ig_fleet_bundle_list(&list, call->app->fleet, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    begin_list(call, &out, IG_STR("bundles"));
    for (size_t i = 0; i < list.count; i++) write_bundle(&out, &list.items[i]);
    return end_list(&out);
}

enum ig_code ig_rest_fleet_bundle_post(struct ig_call *call)
{
    struct ig_fleet_bundle_spec spec = {.group = call->params[0], .model = IG_STR("")};
    struct ig_fleet_bundle bundle;
    struct ig_json_out out;
    const struct ig_rest_field fields[] = {
        {"digest", IG_REST_STR, &spec.digest, true, NULL},
        {"signature", IG_REST_STR, &spec.signature, true, NULL},
        {"model", IG_REST_STR, &spec.model, false, NULL},
        {"version", IG_REST_I64, &spec.version, false, NULL},
    };
    if (ig_rest_read(call, fields, 4) != IG_OK) return call->err.code;
    if (spec.model.len) {
        struct ig_registry_version version;
        if (ig_registry_version_get(&version, call->app->registry, spec.model, spec.version,
                                    call->arena, &call->err) != IG_OK)
            return call->err.code;
    }
    if (ig_fleet_bundle_add(call->app->fleet, &call->who, &spec, &call->err) != IG_OK ||
        ig_fleet_bundle_get(&bundle, call->app->fleet, spec.group, spec.digest, call->arena,
                            &call->err) != IG_OK)
        return fail(call);
    call->exchange->status = 201;
    ig_call_json(call, &out);
    write_bundle(&out, &bundle);
    return IG_OK;
}

enum ig_code ig_rest_fleet_baseline_put(struct ig_call *call)
{
    if (ig_fleet_baseline_set(call->app->fleet, &call->who, call->params[0], call->params[1],
                              call->exchange->body, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

/* ---- devices ---- */

static void write_device(struct ig_json_out *out, const struct ig_fleet_device *device)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "id", device->id);
    ig_json_out_kv_str(out, "group", device->group);
    ig_json_out_kv_str(out, "target", device->target);
    ig_json_out_key(out, IG_STR("labels"));
    ig_json_out_object(out);
    for (size_t i = 0; i < device->labels_count; i++) {
        ig_json_out_key(out, device->labels[i].name);
        ig_json_out_str(out, device->labels[i].value);
    }
    ig_json_out_object_end(out);
    ig_json_out_kv_str(out, "agent", device->agent);
    ig_json_out_kv_str(out, "digest", device->digest);
    ig_json_out_kv_i64(out, "counter", device->counter);
    ig_json_out_kv_i64(out, "trial", device->trial);
    ig_json_out_kv_str(out, "state", device->state);
    ig_json_out_kv_str(out, "word", device->word);
    ig_json_out_kv_bool(out, "revoked", device->revoked_ms != 0);
    ig_json_out_kv_f64(out, "slice_percent", (double)device->slice * 100 / (double)IG_FLEET_SLICES);
    ig_json_out_kv_i64(out, "telemetry_seq", device->telemetry_seq);
    ig_json_out_kv_i64(out, "telemetry_lost", device->telemetry_lost);
    ig_json_out_key(out, IG_STR("drift"));
    if (device->drift < 0)
        ig_json_out_null(out);
    else
        ig_json_out_f64(out, device->drift);
    ig_rest_kv_time(out, "last_seen_at", device->seen_ms);
    ig_rest_kv_time(out, "created_at", device->created_ms);
    ig_json_out_object_end(out);
}

enum ig_code ig_rest_fleet_device_list(struct ig_call *call)
{
    struct ig_fleet_filter filter;
    struct ig_fleet_devices list;
    struct ig_json_out out;
    struct ig_str drifting, label;
    if (read_page(&filter.page, call) != IG_OK ||
        ig_call_query_str(&filter.group, call, "group") != IG_OK ||
        ig_call_query_str(&filter.state, call, "state") != IG_OK ||
        ig_call_query_str(&label, call, "label") != IG_OK ||
        ig_call_query_str(&drifting, call, "drifting") != IG_OK)
        return call->err.code;
    filter.label.value = label;
    filter.label.name = ig_str_cut(&filter.label.value, '=');
    filter.drifting = ig_str_is(drifting, "true");
    if (ig_fleet_device_list(&list, call->app->fleet, &filter, call->arena, &call->err) != IG_OK)
        return call->err.code;
    begin_list(call, &out, IG_STR("devices"));
    for (size_t i = 0; i < list.count; i++) write_device(&out, &list.items[i]);
    return end_list(&out);
}

static enum ig_code read_labels(void *out, struct ig_json *json)
{
    struct ig_fleet_device_spec *spec = out;
    struct ig_fleet_label *items = NULL;
    size_t cap = 0, count = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "labels")) return json->err->code;
    while (ig_json_member(json)) {
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(json->err, IG_NO_MEMORY, "labels: too many");
        items[count].name = json->text;
        if (!ig_json_string(json, &items[count++].value, "labels")) break;
    }
    spec->labels = items;
    spec->labels_count = count;
    return json->err->code;
}

static enum ig_code reply_token(struct ig_call *call, const struct ig_fleet_registered *made)
{
    struct ig_json_out out;
    call->exchange->status = 201;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "id", ig_str_view(made->id));
    ig_json_out_kv_str(&out, "token", ig_str_view(made->token));
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_fleet_device_post(struct ig_call *call)
{
    struct ig_fleet_device_spec spec = {.id = IG_STR(""), .target = IG_STR("")};
    struct ig_fleet_registered made;
    const struct ig_rest_field fields[] = {
        {"id", IG_REST_STR, &spec.id, false, NULL},
        {"group", IG_REST_STR, &spec.group, true, NULL},
        {"target", IG_REST_STR, &spec.target, false, NULL},
        {"labels", IG_REST_CALL, &spec, false, read_labels},
    };
    if (ig_rest_read(call, fields, 4) != IG_OK) return call->err.code;
    if (ig_fleet_device_register(&made, call->app->fleet, &call->who, &spec, &call->err) != IG_OK)
        return fail(call);
    return reply_token(call, &made);
}

enum ig_code ig_rest_fleet_device_get(struct ig_call *call)
{
    struct ig_fleet_device device;
    struct ig_json_out out;
    if (ig_fleet_device_get(&device, call->app->fleet, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_device(&out, &device);
    return IG_OK;
}

enum ig_code ig_rest_fleet_device_delete(struct ig_call *call)
{
    if (ig_fleet_device_delete(call->app->fleet, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_rest_fleet_token_post(struct ig_call *call)
{
    struct ig_fleet_registered made;
    if (ig_rest_read(call, NULL, 0) != IG_OK ||
        ig_fleet_device_renew(&made, call->app->fleet, &call->who, call->params[0], &call->err) !=
            IG_OK)
        return call->err.code;
    return reply_token(call, &made);
}

enum ig_code ig_rest_fleet_token_delete(struct ig_call *call)
{
    if (ig_fleet_device_revoke(call->app->fleet, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_rest_fleet_device_history(struct ig_call *call)
{
    struct ig_fleet_events list;
    struct ig_json_out out;
    if (ig_fleet_device_history(&list, call->app->fleet, call->params[0], call->arena,
                                &call->err) != IG_OK)
        return call->err.code;
    begin_list(call, &out, IG_STR("events"));
    for (size_t i = 0; i < list.count; i++) {
        ig_json_out_object(&out);
        ig_json_out_kv_i64(&out, "counter", list.items[i].counter);
        ig_json_out_kv_str(&out, "state", list.items[i].state);
        ig_json_out_kv_str(&out, "word", list.items[i].word);
        ig_rest_kv_time(&out, "at", list.items[i].at_ms);
        ig_json_out_object_end(&out);
    }
    return end_list(&out);
}

static void write_part(struct ig_json_out *out, const struct ig_fleet_drift_part *part)
{
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("feature"));
    if (part->feature < 0)
        ig_json_out_null(out);
    else
        ig_json_out_i64(out, part->feature);
    ig_json_out_kv_i64(out, "rows", part->rows);
    ig_json_out_kv_i64(out, "missing", part->missing);
    ig_json_out_kv_f64(out, "min", part->low);
    ig_json_out_kv_f64(out, "max", part->high);
    ig_json_out_kv_f64(out, "index", part->index);
    ig_json_out_object_end(out);
}

enum ig_code ig_rest_fleet_drift(struct ig_call *call)
{
    struct ig_fleet_drift drift;
    struct ig_json_out out;
    if (ig_fleet_drift_get(&drift, call->app->fleet, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "counter", drift.counter);
    ig_rest_kv_time(&out, "day", drift.day * 86400 * 1000);
    ig_json_out_kv_str(&out, "against", drift.baseline ? IG_STR("baseline") : IG_STR("group"));
    ig_json_out_key(&out, IG_STR("index"));
    if (drift.index < 0)
        ig_json_out_null(&out);
    else
        ig_json_out_f64(&out, drift.index);
    ig_json_out_kv_f64(&out, "threshold", drift.threshold);
    ig_json_out_kv_bool(&out, "drifting", drift.index > drift.threshold);
    ig_json_out_key(&out, IG_STR("features"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < drift.count; i++) write_part(&out, &drift.parts[i]);
    return end_list(&out);
}

/* ---- rollouts ---- */

static void write_rollout(struct ig_json_out *out, const struct ig_fleet_rollout *rollout)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "id", rollout->id);
    ig_json_out_kv_str(out, "group", rollout->group);
    ig_json_out_kv_str(out, "digest", rollout->digest);
    ig_json_out_kv_i64(out, "counter", rollout->counter);
    ig_json_out_kv_str(out, "state", rollout->state);
    ig_json_out_kv_str(out, "reason", rollout->reason);
    ig_json_out_key(out, IG_STR("waves"));
    ig_fleet_waves_write(out, &rollout->plan);
    ig_json_out_kv_i64(out, "wave", rollout->wave);
    ig_json_out_kv_i64(out, "soak_s", rollout->plan.soak_s);
    ig_json_out_kv_f64(out, "halt_percent", rollout->plan.halt_percent);
    ig_json_out_kv_i64(out, "halt_min", rollout->plan.halt_min);
    ig_json_out_key(out, IG_STR("devices"));
    ig_json_out_object(out);
    for (int i = 0; i < IG_FLEET_STATES_COUNT; i++)
        ig_json_out_kv_i64(out, ig_fleet_state_name((enum ig_fleet_state)i), rollout->by_state[i]);
    ig_json_out_object_end(out);
    ig_rest_kv_time(out, "created_at", rollout->created_ms);
    ig_rest_kv_time(out, "changed_at", rollout->changed_ms);
    ig_json_out_object_end(out);
}

static enum ig_code reply_rollout(struct ig_call *call, struct ig_str id)
{
    struct ig_fleet_rollout rollout;
    struct ig_json_out out;
    if (ig_fleet_rollout_get(&rollout, call->app->fleet, id, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_rollout(&out, &rollout);
    return IG_OK;
}

enum ig_code ig_rest_fleet_rollout_list(struct ig_call *call)
{
    struct ig_fleet_rollouts list;
    struct ig_fleet_group group;
    struct ig_json_out out;
    struct ig_fleet *fleet = call->app->fleet;
    if (ig_fleet_group_get(&group, fleet, call->params[0], call->arena, &call->err) != IG_OK ||
        ig_fleet_rollout_list(&list, fleet, group.name, call->arena, &call->err) != IG_OK)
        return call->err.code;
    begin_list(call, &out, IG_STR("rollouts"));
    for (size_t i = 0; i < list.count; i++) write_rollout(&out, &list.items[i]);
    return end_list(&out);
}

static enum ig_code read_waves(void *out, struct ig_json *json)
{
    return ig_fleet_waves_read(out, json);
}

enum ig_code ig_rest_fleet_rollout_post(struct ig_call *call)
{
    static const struct ig_fleet_wave ALL = {.percent = 100};
    struct ig_fleet_rollout_spec spec = {
        .group = call->params[0],
        .plan = {.waves = &ALL, .waves_count = 1, .halt_percent = 5, .halt_min = 1}};
    char id[IG_ID_SIZE];
    const struct ig_rest_field fields[] = {
        {"digest", IG_REST_STR, &spec.digest, true, NULL},
        {"waves", IG_REST_CALL, &spec.plan, false, read_waves},
        {"soak_s", IG_REST_I64, &spec.plan.soak_s, false, NULL},
        {"halt_percent", IG_REST_F64, &spec.plan.halt_percent, false, NULL},
        {"halt_min", IG_REST_I64, &spec.plan.halt_min, false, NULL},
    };
    if (ig_rest_read(call, fields, 5) != IG_OK) return call->err.code;
    if (ig_fleet_rollout_start(id, call->app->fleet, &call->who, &spec, &call->err) != IG_OK)
        return fail(call);
    call->exchange->status = 201;
    return reply_rollout(call, ig_str_view(id));
}

enum ig_code ig_rest_fleet_rollout_get(struct ig_call *call)
{
    return reply_rollout(call, call->params[0]);
}

enum ig_code ig_rest_fleet_rollout_act(struct ig_call *call)
{
    struct ig_fleet_action action = {.why = IG_STR("")};
    const struct ig_rest_field fields[] = {
        {"action", IG_REST_STR, &action.action, true, NULL},
        {"why", IG_REST_STR, &action.why, false, NULL},
    };
    if (ig_rest_read(call, fields, 2) != IG_OK) return call->err.code;
    if (ig_fleet_rollout_act(call->app->fleet, &call->who, call->params[0], &action, &call->err) !=
        IG_OK)
        return fail(call);
    return reply_rollout(call, call->params[0]);
}

enum ig_code ig_rest_fleet_rollout_devices(struct ig_call *call)
{
    struct ig_fleet_page page;
    struct ig_fleet_members list;
    struct ig_json_out out;
    if (read_page(&page, call) != IG_OK ||
        ig_fleet_rollout_members(&list, call->app->fleet, call->params[0], &page, call->arena,
                                 &call->err) != IG_OK)
        return call->err.code;
    begin_list(call, &out, IG_STR("devices"));
    for (size_t i = 0; i < list.count; i++) {
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "id", list.items[i].device);
        ig_json_out_kv_str(&out, "state", list.items[i].state);
        ig_json_out_kv_str(&out, "word", list.items[i].word);
        ig_rest_kv_time(&out, "at", list.items[i].at_ms);
        ig_json_out_object_end(&out);
    }
    return end_list(&out);
}
