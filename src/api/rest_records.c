/* SPDX-License-Identifier: Apache-2.0 */
/* Records of explained decisions. */
#include "api/rest.h"
#include "api/route.h"

static void write_record(struct ig_json_out *out, const struct ig_record *record)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "id", record->id);
    ig_json_out_kv_i64(out, "seq", record->seq);
    ig_rest_kv_time(out, "at", record->at_ms);
    ig_json_out_kv_str(out, "deployment", record->deployment);
    ig_json_out_kv_str(out, "hash", record->hash);
    if (record->content.len) ig_rest_kv_raw(out, "content", record->content);
    ig_json_out_object_end(out);
}

enum ig_code ig_rest_record_list(struct ig_call *call)
{
    struct ig_record_list list;
    struct ig_json_out out;
    uint64_t limit, before;
    if (ig_call_query_u64(&limit, call, "limit", 100) != IG_OK ||
        ig_call_query_u64(&before, call, "before", 0) != IG_OK)
        return call->err.code;
    if (ig_records_list(&list, call->app->records, (int64_t)(before & INT64_MAX), limit,
                        call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("records"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_record(&out, &list.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_record_get(struct ig_call *call)
{
    struct ig_record record;
    struct ig_json_out out;
    if (ig_records_get(&record, call->app->records, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_record(&out, &record);
    return IG_OK;
}

enum ig_code ig_rest_record_verify(struct ig_call *call)
{
    struct ig_json_out out;
    int64_t count;
    if (ig_records_verify(&count, call->app->records, &call->err) != IG_OK) return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "records", count);
    ig_json_out_kv_bool(&out, "holds", true);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code reply_recording(struct ig_call *call)
{
    struct ig_json_out out;
    bool on = ig_records_wanted(call->app->records, call->params[0], true) == IG_RECORDS_YES;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "deployment", call->params[0]);
    ig_json_out_kv_bool(&out, "enabled", on);
    ig_json_out_object_end(&out);
    return IG_OK;
}

/* The deployment must exist to be switched on. */
static enum ig_code find_deployment(struct ig_call *call)
{
    struct ig_deployment deployment;
    return ig_deploy_get(&deployment, call->app->deploy, call->params[0], call->arena, &call->err);
}

enum ig_code ig_rest_recording_get(struct ig_call *call)
{
    return find_deployment(call) == IG_OK ? reply_recording(call) : call->err.code;
}

enum ig_code ig_rest_recording_put(struct ig_call *call)
{
    bool on = false;
    const struct ig_rest_field fields[] = {{"enabled", IG_REST_BOOL, &on, true, NULL}};
    if (ig_rest_read(call, fields, 1) != IG_OK) return call->err.code;
    if (find_deployment(call) != IG_OK) return call->err.code;
    if (ig_records_set(call->app->records, &call->who, call->params[0], on, &call->err) != IG_OK)
        return call->err.code;
    return reply_recording(call);
}
