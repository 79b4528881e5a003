/* SPDX-License-Identifier: Apache-2.0 */
/* API keys. Every change is also a line of the audit trail. */
#include "api/rest.h"
#include "api/route.h"
#include "services/audit/audit.h"
#include "services/deploy/regions.h"

static void write_scopes(struct ig_json_out *out, unsigned scopes)
{
    ig_json_out_key(out, IG_STR("scopes"));
    ig_json_out_array(out);
    for (unsigned bit = 0; bit < IG_SCOPES_COUNT; bit++)
        if (scopes & (1u << bit))
            ig_json_out_str(out, ig_str_view(ig_scope_name((enum ig_scope_bit)bit)));
    ig_json_out_array_end(out);
}

enum ig_code ig_rest_key_list(struct ig_call *call)
{
    struct ig_key_list list;
    struct ig_json_out out;
    if (ig_auth_key_list(&list, call->app->auth, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("keys"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) {
        ig_json_out_object(&out);
        ig_json_out_kv_str(&out, "id", list.items[i].id);
        ig_json_out_kv_str(&out, "name", list.items[i].name);
        write_scopes(&out, list.items[i].scopes);
        ig_rest_kv_time(&out, "created_at", list.items[i].created_ms);
        ig_rest_kv_time(&out, "expires_at", list.items[i].expires_ms);
        ig_rest_kv_time(&out, "revoked_at", list.items[i].revoked_ms);
        ig_json_out_object_end(&out);
    }
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static enum ig_code read_scopes(void *out, struct ig_json *json)
{
    unsigned *scopes = out;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "scopes")) return json->err->code;
    while (ig_json_element(json)) {
        unsigned one;
        if (!ig_json_expect(json, IG_JSON_STRING, "scopes")) return json->err->code;
        if (ig_scopes_parse(&one, json->text, json->err) != IG_OK) return json->err->code;
        *scopes |= one;
    }
    return json->err->code;
}

enum ig_code ig_rest_key_post(struct ig_call *call)
{
    struct ig_key_spec spec = {0};
    struct ig_key_created created;
    struct ig_json_out out;
    const struct ig_rest_field fields[] = {
        {"name", IG_REST_STR, &spec.name, true, NULL},
        {"scopes", IG_REST_CALL, &spec.scopes, true, read_scopes},
        {"expires_ms", IG_REST_I64, &spec.expires_ms, false, NULL},
    };
    if (ig_rest_read(call, fields, 3) != IG_OK) return call->err.code;
    bool first = !ig_auth_keys_exist(call->app->auth) && !call->who.user;
    if (first && !(spec.scopes & IG_SCOPE_ADMIN)) {
        call->field = "scopes";
        return ig_fail(&call->err, IG_CONFLICT,
                       "scopes: the first key needs admin, else no one could manage keys");
    }
    if (ig_auth_key_create(&created, call->app->auth, &spec, &call->err) != IG_OK)
        return call->err.code;
    if (ig_audit_record(call->app->db, &call->who, "key.create", ig_str_view(created.id),
                        &call->err) != IG_OK)
        return call->err.code;
    call->exchange->status = 201;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "id", ig_str_view(created.id));
    ig_json_out_kv_str(&out, "name", spec.name);
    ig_json_out_kv_str(&out, "key", ig_str_view(created.token));
    write_scopes(&out, spec.scopes);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_key_delete(struct ig_call *call)
{
    if (ig_auth_key_revoke(call->app->auth, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    if (ig_audit_record(call->app->db, &call->who, "key.revoke", call->params[0], &call->err) !=
        IG_OK)
        return call->err.code;
    if (call->app->regions) ig_regions_remove(call->app->regions, call->params[0], IG_STR(""));
    return ig_rest_done(call);
}
