/* SPDX-License-Identifier: Apache-2.0 */
/* Gates before aliases, what was found of versions, and approvals. */
#include "api/mlflow_models.h"
#include "api/rest.h"
#include "api/route.h"
#include "services/approval/approval.h"

/* ---- replies ---- */

static void write_check(struct ig_json_out *out, const struct ig_gate *gate, size_t at)
{
    const struct ig_gate_check *check = &gate->checks[at];
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", check->name);
    ig_json_out_kv_str(out, "kind", ig_str_view(ig_gate_kind_name(check->kind)));
    if (check->kind == IG_GATE_METRIC) ig_json_out_kv_str(out, "metric", check->metric);
    if (check->has_min) ig_json_out_kv_f64(out, "min", check->min);
    if (check->has_max) ig_json_out_kv_f64(out, "max", check->max);
    if (gate->findings) {
        const struct ig_finding *finding = &gate->findings[at];
        ig_json_out_kv_str(out, "state", ig_str_view(ig_finding_state_name(finding->state)));
        if (finding->state != IG_FINDING_MISSING) {
            ig_json_out_kv_str(out, "detail", finding->detail);
            ig_json_out_kv_str(out, "by", finding->by);
            ig_rest_kv_time(out, "at", finding->at_ms);
        }
    }
    ig_json_out_object_end(out);
}

static void write_given(struct ig_json_out *out, const struct ig_gate *gate)
{
    ig_json_out_key(out, IG_STR("given"));
    ig_json_out_array(out);
    for (size_t i = 0; i < gate->given_count; i++) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "by", gate->given[i].by);
        ig_json_out_kv_str(out, "reason", gate->given[i].reason);
        ig_rest_kv_time(out, "at", gate->given[i].at_ms);
        ig_json_out_kv_bool(out, "outdated", gate->given[i].outdated);
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
    ig_json_out_kv_bool(out, "open", gate->open);
}

static void write_gate(struct ig_json_out *out, const struct ig_gate *gate)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "alias", gate->alias);
    ig_json_out_key(out, IG_STR("checks"));
    ig_json_out_array(out);
    for (size_t i = 0; i < gate->checks_count; i++) write_check(out, gate, i);
    ig_json_out_array_end(out);
    ig_json_out_key(out, IG_STR("approvers"));
    ig_json_out_array(out);
    for (size_t i = 0; i < gate->approvers_count; i++) ig_json_out_str(out, gate->approvers[i]);
    ig_json_out_array_end(out);
    ig_json_out_kv_i64(out, "approvals", gate->approvals);
    if (gate->findings) write_given(out, gate);
    ig_json_out_object_end(out);
}

/* version 0: of the model alone. */
static enum ig_code reply(struct ig_call *call, int64_t version)
{
    struct ig_gates gates;
    struct ig_json_out out;
    if (ig_gate_list(&gates, call->app->db, call->params[0], version, call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "model", call->params[0]);
    if (version) {
        ig_json_out_kv_i64(&out, "version", version);
        ig_json_out_kv_str(&out, "digest", gates.digest);
    }
    ig_json_out_key(&out, IG_STR("gates"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < gates.count; i++) write_gate(&out, &gates.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* ---- requests ---- */

static enum ig_code read_check(struct ig_gate_check *out, struct ig_json *json)
{
    struct ig_str kind = IG_STR("");
    *out = (struct ig_gate_check){.name = IG_STR(""), .metric = IG_STR("")};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "checks")) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_str key = json->text;
        bool good = true;
        if (ig_str_is(key, "name"))
            good = ig_json_string(json, &out->name, "checks.name");
        else if (ig_str_is(key, "kind"))
            good = ig_json_string(json, &kind, "checks.kind");
        else if (ig_str_is(key, "metric"))
            good = ig_json_string(json, &out->metric, "checks.metric");
        else if (ig_str_is(key, "min"))
            good = out->has_min = ig_json_f64(json, &out->min, "checks.min");
        else if (ig_str_is(key, "max"))
            good = out->has_max = ig_json_f64(json, &out->max, "checks.max");
        else
            return ig_fail(json->err, IG_INVALID, "checks: unknown member '%.*s'",
                           key.len > 64 ? 64 : (int)key.len, key.ptr);
        if (!good) return json->err->code;
    }
    if (json->err->code != IG_OK) return json->err->code;
    return ig_gate_kind_parse(&out->kind, kind, json->err);
}

static enum ig_code read_checks(void *out, struct ig_json *json)
{
    struct ig_gate *gate = out;
    size_t cap = 0, count = 0;
    struct ig_gate_check *items = NULL;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "checks")) return json->err->code;
    while (ig_json_element(json)) {
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(json->err, IG_NO_MEMORY, "checks: too many");
        if (read_check(&items[count++], json) != IG_OK) break;
    }
    gate->checks = items;
    gate->checks_count = count;
    return json->err->code;
}

static enum ig_code read_approvers(void *out, struct ig_json *json)
{
    struct ig_gate *gate = out;
    size_t cap = 0, count = 0;
    struct ig_str *items = NULL;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "approvers")) return json->err->code;
    while (ig_json_element(json)) {
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(json->err, IG_NO_MEMORY, "approvers: too many");
        if (!ig_json_string(json, &items[count++], "approvers")) break;
    }
    gate->approvers = items;
    gate->approvers_count = count;
    return json->err->code;
}

enum ig_code ig_rest_gate_list(struct ig_call *call)
{
    return reply(call, 0);
}

enum ig_code ig_rest_gate_put(struct ig_call *call)
{
    struct ig_gate gate = {.alias = call->params[1], .approvals = -1};
    const struct ig_rest_field fields[] = {
        {"checks", IG_REST_CALL, &gate, false, read_checks},
        {"approvers", IG_REST_CALL, &gate, false, read_approvers},
        {"approvals", IG_REST_I64, &gate.approvals, false, NULL}};
    static const char *const NAMES[] = {"checks", "approvers", "approvals", "alias", NULL};
    if (ig_rest_read(call, fields, 3) != IG_OK) return call->err.code;
    if (gate.approvals == -1) gate.approvals = gate.approvers_count > 0;
    if (ig_gate_set(call->app->db, &call->who, call->params[0], &gate, &call->err) != IG_OK) {
        call->field = ig_call_field(&call->err, NAMES);
        return call->err.code;
    }
    return reply(call, 0);
}

enum ig_code ig_rest_gate_delete(struct ig_call *call)
{
    if (ig_gate_delete(call->app->db, &call->who, call->params[0], call->params[1], &call->err) !=
        IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

static enum ig_code read_subject(struct ig_gate_subject *out, struct ig_call *call)
{
    out->model = call->params[0];
    return ig_rest_version_number(&out->version, call, call->params[1]);
}

enum ig_code ig_rest_version_gates(struct ig_call *call)
{
    struct ig_gate_subject subject;
    if (read_subject(&subject, call) != IG_OK) return call->err.code;
    return reply(call, subject.version);
}

enum ig_code ig_rest_version_check(struct ig_call *call)
{
    struct ig_gate_subject subject;
    const struct ig_registered_by by = ig_mlflow_by(call);
    if (read_subject(&subject, call) != IG_OK || ig_rest_read(call, NULL, 0) != IG_OK ||
        ig_registered_check(&by, subject.model, subject.version, &call->err) != IG_OK)
        return call->err.code;
    return reply(call, subject.version);
}

enum ig_code ig_rest_version_report(struct ig_call *call)
{
    struct ig_gate_subject subject;
    struct ig_gate_report report = {.check = call->params[2], .detail = IG_STR("")};
    const struct ig_rest_field fields[] = {{"passed", IG_REST_BOOL, &report.passed, true, NULL},
                                           {"detail", IG_REST_STR, &report.detail, false, NULL}};
    if (read_subject(&subject, call) != IG_OK || ig_rest_read(call, fields, 2) != IG_OK ||
        ig_gate_report(call->app->db, &call->who, subject, &report, &call->err) != IG_OK)
        return call->err.code;
    return reply(call, subject.version);
}

enum ig_code ig_rest_version_approve(struct ig_call *call)
{
    struct ig_gate_subject subject;
    struct ig_str reason = IG_STR("");
    const struct ig_rest_field fields[] = {{"reason", IG_REST_STR, &reason, false, NULL}};
    if (read_subject(&subject, call) != IG_OK || ig_rest_read(call, fields, 1) != IG_OK ||
        ig_gate_approve(call->app->db, &call->who, subject, call->params[2], reason, &call->err) !=
            IG_OK)
        return call->err.code;
    return reply(call, subject.version);
}

enum ig_code ig_rest_version_withdraw(struct ig_call *call)
{
    struct ig_gate_subject subject;
    if (read_subject(&subject, call) != IG_OK ||
        ig_gate_withdraw(call->app->db, &call->who, subject, call->params[2], &call->err) != IG_OK)
        return call->err.code;
    return reply(call, subject.version);
}
