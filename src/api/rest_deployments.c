/* SPDX-License-Identifier: Apache-2.0 */
/* Deployments. */
#include "api/rest.h"
#include "api/route.h"

static void write_deployment(struct ig_json_out *out, const struct ig_deployment *deployment)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "name", deployment->name);
    ig_json_out_kv_str(out, "state", deployment->state);
    if (deployment->error.len) ig_json_out_kv_str(out, "error", deployment->error);
    ig_json_out_kv_str(out, "model", deployment->model);
    ig_json_out_kv_str(out, "ref", deployment->ref);
    ig_json_out_kv_i64(out, "version", deployment->version);
    ig_json_out_kv_str(out, "digest", deployment->digest);
    ig_json_out_key(out, IG_STR("previous"));
    if (deployment->previous_version) {
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "model", deployment->previous_model);
        ig_json_out_kv_i64(out, "version", deployment->previous_version);
        ig_json_out_object_end(out);
    } else {
        ig_json_out_null(out);
    }
    ig_rest_kv_time(out, "created_at", deployment->created_ms);
    ig_rest_kv_time(out, "updated_at", deployment->updated_ms);
    ig_json_out_object_end(out);
}

static enum ig_code reply_deployment(struct ig_call *call)
{
    struct ig_deployment deployment;
    struct ig_json_out out;
    if (ig_deploy_get(&deployment, call->app->deploy, call->params[0], call->arena, &call->err) !=
        IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_deployment(&out, &deployment);
    return IG_OK;
}

enum ig_code ig_rest_deployment_list(struct ig_call *call)
{
    struct ig_deployments list;
    struct ig_json_out out;
    if (ig_deploy_list(&list, call->app->deploy, call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("deployments"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_deployment(&out, &list.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_deployment_get(struct ig_call *call)
{
    return reply_deployment(call);
}

/* "models:/NAME/REF", "models:/NAME@ALIAS" or "models:/NAME" into its parts. */
static void cut_uri(struct ig_str *model, struct ig_str *ref)
{
    struct ig_str prefix = IG_STR("models:/");
    if (!ig_str_starts(*model, prefix)) return;
    struct ig_str rest = {model->ptr + prefix.len, model->len - prefix.len};
    struct ig_str whole = rest, name = ig_str_cut(&rest, '/');
    if (!rest.ptr) {
        rest = whole;
        name = ig_str_cut(&rest, '@');
    }
    *model = name;
    if (rest.ptr) *ref = rest;
}

enum ig_code ig_rest_deployment_put(struct ig_call *call)
{
    struct ig_deployment_spec spec = {.name = call->params[0], .ref = IG_STR("")};
    const struct ig_rest_field fields[] = {
        {"model", IG_REST_STR, &spec.model, true, NULL},
        {"version", IG_REST_TEXT_OR_I64, &spec.ref, false, NULL},
    };
    if (ig_rest_read(call, fields, 2) != IG_OK) return call->err.code;
    cut_uri(&spec.model, &spec.ref);
    if (ig_deploy_set(call->app->deploy, &call->who, &spec, &call->err) != IG_OK)
        return call->err.code;
    return reply_deployment(call);
}

enum ig_code ig_rest_deployment_delete(struct ig_call *call)
{
    if (ig_deploy_delete(call->app->deploy, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}

enum ig_code ig_rest_deployment_rollback(struct ig_call *call)
{
    if (ig_deploy_rollback(call->app->deploy, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return reply_deployment(call);
}
