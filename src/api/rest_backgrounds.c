/* SPDX-License-Identifier: Apache-2.0 */
/* Background populations of models. */
#include "api/rest.h"
#include "api/route.h"

static void write_background(struct ig_json_out *out, const struct ig_background_info *info)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "model", info->model);
    ig_json_out_kv_str(out, "name", info->name);
    ig_json_out_kv_str(out, "digest", info->digest);
    ig_json_out_kv_i64(out, "rows", info->rows_count);
    ig_rest_kv_time(out, "created_at", info->created_ms);
    ig_json_out_object_end(out);
}

enum ig_code ig_rest_background_list(struct ig_call *call)
{
    struct ig_background_list list;
    struct ig_json_out out;
    if (ig_backgrounds_list(&list, call->app->backgrounds, call->params[0], call->arena,
                            &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_key(&out, IG_STR("backgrounds"));
    ig_json_out_array(&out);
    for (size_t i = 0; i < list.count; i++) write_background(&out, &list.items[i]);
    ig_json_out_array_end(&out);
    ig_json_out_object_end(&out);
    return IG_OK;
}

enum ig_code ig_rest_background_get(struct ig_call *call)
{
    struct ig_background_info info;
    struct ig_json_out out;
    if (ig_backgrounds_get(&info, call->app->backgrounds, call->params[0], call->params[1],
                           call->arena, &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    write_background(&out, &info);
    return IG_OK;
}

enum ig_code ig_rest_background_put(struct ig_call *call)
{
    struct ig_background_spec spec = {.model = call->params[0], .name = call->params[1]};
    const struct ig_rest_field fields[] = {
        {"data_digest", IG_REST_STR, &spec.digest, true, NULL},
    };
    if (ig_rest_read(call, fields, 1) != IG_OK) return call->err.code;
    if (ig_backgrounds_set(call->app->backgrounds, &call->who, &spec, &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_background_get(call);
}

enum ig_code ig_rest_background_delete(struct ig_call *call)
{
    if (ig_backgrounds_delete(call->app->backgrounds, &call->who, call->params[0], call->params[1],
                              &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
