/* SPDX-License-Identifier: Apache-2.0 */
/* Reason codes of models. */
#include "api/rest.h"
#include "api/route.h"

enum ig_code ig_rest_reasons_get(struct ig_call *call)
{
    struct ig_reason_codes codes;
    struct ig_json_out out;
    struct ig_str model = call->params[0];
    if (ig_reasons_find(&codes, call->app->reasons, model, call->arena, true) != IG_REASONS_FOUND)
        return ig_fail(&call->err, IG_NOT_FOUND, "model '%.*s' has no reason codes",
                       IG_STR_ARGS(model));
    ig_call_json(call, &out);
    ig_reason_codes_write(&out, &codes);
    return IG_OK;
}

enum ig_code ig_rest_reasons_put(struct ig_call *call)
{
    static const char *const FIELDS[] = {"adverse", "baseline", "texts", NULL};
    struct ig_reason_codes codes;
    struct ig_json *json = ig_arena_alloc(call->arena, sizeof *json);
    if (!json) return ig_fail(&call->err, IG_NO_MEMORY, "no memory for the call");
    if (ig_call_json_reader(call, json) != IG_OK) return call->err.code;
    if (ig_reason_codes_read(&codes, json) != IG_OK ||
        ig_reasons_set(call->app->reasons, &call->who, call->params[0], &codes, &call->err) !=
            IG_OK) {
        call->field = ig_call_field(&call->err, FIELDS);
        return call->err.code;
    }
    return ig_rest_reasons_get(call);
}

enum ig_code ig_rest_reasons_delete(struct ig_call *call)
{
    if (ig_reasons_delete(call->app->reasons, &call->who, call->params[0], &call->err) != IG_OK)
        return call->err.code;
    return ig_rest_done(call);
}
