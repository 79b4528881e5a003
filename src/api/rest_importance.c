/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/v1/importance: which features a deployment goes by. */
#include "api/groups_json.h"
#include "api/importance_json.h"
#include "api/rest.h"
#include "api/route.h"
#include "services/deploy/routing_reports.h"

static const size_t TABLE_MAX_BYTES = (size_t)1 << 30, REPORT_MAX_BYTES = (size_t)4 << 30;

struct request {
    struct ig_importance_spec spec;
    struct ig_str deployment, data_digest;
    int64_t seed, repeats, top;
    struct ig_json groups; /* before its value, which the deployment's schema tells how to read */
};

static enum ig_code keep_groups(void *out, struct ig_json *json)
{
    *(struct ig_json *)out = *json;
    ig_json_skip(json);
    return json->err->code;
}

static enum ig_code read_request(struct request *request, struct ig_call *call)
{
    struct ig_importance_spec *spec = &request->spec;
    const struct ig_rest_field fields[] = {
        {"deployment", IG_REST_STR, &request->deployment, true, NULL},
        {"kind", IG_REST_STR, &spec->kind, false, NULL},
        {"data_digest", IG_REST_STR, &request->data_digest, false, NULL},
        {"label", IG_REST_STR, &spec->label, false, NULL},
        {"metric", IG_REST_STR, &spec->metric, false, NULL},
        {"class", IG_REST_STR, &spec->class_name, false, NULL},
        {"groups", IG_REST_CALL, &request->groups, false, keep_groups},
        {"seed", IG_REST_I64, &request->seed, false, NULL},
        {"repeats", IG_REST_I64, &request->repeats, false, NULL},
        {"top", IG_REST_I64, &request->top, false, NULL},
    };
    *request = (struct request){.top = INT64_MAX};
    if (ig_rest_read(call, fields, sizeof fields / sizeof *fields) != IG_OK) return call->err.code;
    const char *negative = request->seed < 0      ? "seed"
                           : request->repeats < 0 ? "repeats"
                           : request->top < 0     ? "top"
                                                  : NULL;
    if (negative) {
        call->field = negative;
        return ig_fail(&call->err, IG_INVALID, "%s: expected a number of at least 0", negative);
    }
    spec->seed = (uint64_t)request->seed;
    spec->repeats = (uint64_t)request->repeats;
    call->field = "data_digest";
    if (request->data_digest.len && ig_blob_check_digest(request->data_digest, &call->err) != IG_OK)
        return call->err.code;
    call->field = NULL;
    return IG_OK;
}

static enum ig_code read_groups(struct request *request, struct ig_call *call,
                                const struct ig_schema *schema)
{
    if (!request->groups.start) return IG_OK;
    call->field = "groups";
    if (ig_groups_json_read(&request->spec.groups, &request->groups, schema) == IG_OK)
        call->field = NULL;
    return call->err.code;
}

/* The field that a message begins with: one of the request, or an attribute of the context. */
static const char *field_of(struct ig_call *call)
{
    static const char *const FIELDS[] = {"kind",   "label",   "metric", "class",
                                         "groups", "repeats", NULL};
    struct ig_str rest = ig_str_view(call->err.message), first = ig_str_cut(&rest, ':');
    if (ig_str_starts(first, IG_STR("context."))) return ig_arena_cstr(call->arena, first);
    return ig_call_field(&call->err, FIELDS);
}

static enum ig_code report(struct ig_call *call, struct request *request,
                           const struct ig_routing *routing)
{
    struct ig_importance_report found;
    struct ig_json_out out;
    struct ig_arena arena;
    struct ig_buf csv;
    ig_arena_init(&arena, 1 << 20, REPORT_MAX_BYTES);
    ig_buf_init(&csv, TABLE_MAX_BYTES);
    if (!request->data_digest.len ||
        ig_blob_read(&csv, call->app->blobs, request->data_digest, &call->err) == IG_OK) {
        request->spec.csv = ig_buf_view(&csv);
        if (ig_routing_reports_importance(&found, &request->spec, routing, &arena, &call->err) ==
            IG_OK) {
            ig_call_json(call, &out);
            ig_importance_write(&out, &found, (size_t)request->top);
        } else {
            call->field = field_of(call);
        }
    }
    ig_buf_deinit(&csv);
    ig_arena_deinit(&arena);
    return call->err.code;
}

enum ig_code ig_rest_importance_post(struct ig_call *call)
{
    struct request request;
    if (read_request(&request, call) != IG_OK) return call->err.code;
    const struct ig_routing *routing = ig_rest_routing(call, request.deployment);
    if (!routing) return call->err.code;
    if (read_groups(&request, call, routing->schema) == IG_OK) report(call, &request, routing);
    ig_routing_unref(routing);
    return call->err.code;
}
