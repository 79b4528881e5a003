/* SPDX-License-Identifier: Apache-2.0 */
/* Reports that are kept with versions. */
#include "api/rest.h"
#include "api/route.h"
#include "services/approval/report.h"

struct place {
    struct ig_gate_subject subject;
    enum ig_report_kind kind;
};

static enum ig_code read_place(struct place *out, struct ig_call *call)
{
    out->subject.model = call->params[0];
    if (ig_report_kind_parse(&out->kind, call->params[2], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_version_number(&out->subject.version, call, call->params[1]);
}

static enum ig_code reply(struct ig_call *call, const struct place *place)
{
    struct ig_report report;
    struct ig_json_out out;
    if (ig_report_get(&report, call->app->db, place->subject, place->kind, call->arena,
                      &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "kind", ig_str_view(ig_report_kind_name(place->kind)));
    ig_json_out_kv_str(&out, "by", report.by);
    ig_rest_kv_time(&out, "at", report.at_ms);
    ig_json_out_kv_bool(&out, "outdated", report.outdated);
    ig_json_out_key(&out, IG_STR("report"));
    ig_json_out_raw(&out, report.json);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_report_get(struct ig_call *call)
{
    struct place place;
    if (read_place(&place, call) != IG_OK) return call->err.code;
    return reply(call, &place);
}

enum ig_code ig_rest_report_put(struct ig_call *call)
{
    struct place place;
    if (read_place(&place, call) != IG_OK || ig_call_expect_json(call) != IG_OK ||
        ig_report_keep(call->app->db, &call->who, place.subject, place.kind, call->exchange->body,
                       &call->err) != IG_OK)
        return call->err.code;
    return reply(call, &place);
}

enum ig_code ig_rest_report_delete(struct ig_call *call)
{
    struct place place;
    if (read_place(&place, call) != IG_OK ||
        ig_report_delete(call->app->db, &call->who, place.subject, place.kind, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
