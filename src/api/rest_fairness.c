/* SPDX-License-Identifier: Apache-2.0 */
/* POST /api/v1/fairness: bias of a deployment's decisions, or of those in a table. */
#include "api/fairness_json.h"
#include "api/rest.h"
#include "api/route.h"
#include "services/deploy/routing_reports.h"

enum { TOP_DEFAULT = 10 };

static const size_t TABLE_MAX_BYTES = (size_t)1 << 30, REPORT_MAX_BYTES = (size_t)4 << 30;

struct names {
    struct ig_str items[IG_FAIRNESS_COLUMNS_MAX];
    size_t count;
};

static enum ig_code read_names(void *out, struct ig_json *json)
{
    struct names *names = out;
    if (!ig_json_expect(json, IG_JSON_ARRAY, "protected")) return json->err->code;
    while (ig_json_element(json)) {
        if (!ig_json_expect(json, IG_JSON_STRING, "protected")) return json->err->code;
        if (names->count == IG_FAIRNESS_COLUMNS_MAX)
            return ig_fail(json->err, IG_INVALID, "protected: more than %d columns",
                           IG_FAIRNESS_COLUMNS_MAX);
        names->items[names->count++] = json->text;
    }
    return json->err->code;
}

struct request {
    struct ig_fairness_spec spec;
    struct names names;
    struct ig_str deployment, data_digest;
    int64_t rows_min, top;
};

static enum ig_code read_request(struct request *request, struct ig_call *call)
{
    struct ig_fairness_spec *spec = &request->spec;
    const struct ig_rest_field fields[] = {
        {"data_digest", IG_REST_STR, &request->data_digest, true, NULL},
        {"protected", IG_REST_CALL, &request->names, true, read_names},
        {"deployment", IG_REST_STR, &request->deployment, false, NULL},
        {"label", IG_REST_STR, &spec->label, false, NULL},
        {"positive", IG_REST_TEXT_OR_I64, &spec->positive, false, NULL},
        {"decision", IG_REST_STR, &spec->decision, false, NULL},
        {"score", IG_REST_STR, &spec->score, false, NULL},
        {"threshold", IG_REST_F64, &spec->threshold, false, NULL},
        {"min_rows", IG_REST_I64, &request->rows_min, false, NULL},
        {"intersections", IG_REST_BOOL, &spec->intersections, false, NULL},
        {"attributions", IG_REST_BOOL, &spec->attributions, false, NULL},
        {"top", IG_REST_I64, &request->top, false, NULL},
    };
    *request = (struct request){.spec = {.threshold = 0.5}, .top = TOP_DEFAULT};
    if (ig_rest_read(call, fields, sizeof fields / sizeof *fields) != IG_OK) return call->err.code;
    spec->columns = request->names.items;
    spec->columns_count = request->names.count;
    if (request->rows_min < 0 || request->top < 0) {
        call->field = request->top < 0 ? "top" : "min_rows";
        return ig_fail(&call->err, IG_INVALID, "%s: expected a number of at least 0", call->field);
    }
    spec->rows_min = (size_t)request->rows_min;
    return ig_blob_check_digest(request->data_digest, &call->err);
}

/* The field that a message begins with: one of the request, or an attribute of the context. */
static const char *field_of(struct ig_call *call)
{
    static const char *const FIELDS[] = {"protected", "label",     "positive",     "decision",
                                         "score",     "threshold", "attributions", NULL};
    struct ig_str rest = ig_str_view(call->err.message), first = ig_str_cut(&rest, ':');
    if (ig_str_starts(first, IG_STR("context."))) return ig_arena_cstr(call->arena, first);
    return ig_call_field(&call->err, FIELDS);
}

static enum ig_code report(struct ig_call *call, const struct request *request,
                           const struct ig_routing *routing)
{
    const struct ig_fairness_spec *spec = &request->spec;
    struct ig_fairness_table table;
    struct ig_json_out out;
    struct ig_arena arena;
    struct ig_buf csv;
    ig_arena_init(&arena, 1 << 20, REPORT_MAX_BYTES);
    ig_buf_init(&csv, TABLE_MAX_BYTES);
    if (ig_blob_read(&csv, call->app->blobs, request->data_digest, &call->err) == IG_OK &&
        (routing ? ig_routing_reports_fairness(&table, ig_buf_view(&csv), spec, routing, &arena,
                                               &call->err)
                 : ig_fairness_table_run(&table, ig_buf_view(&csv), spec, NULL, &arena,
                                         &call->err)) == IG_OK) {
        ig_call_json(call, &out);
        ig_fairness_write(&out, &table, (size_t)request->top);
    }
    if (call->err.code != IG_OK) call->field = field_of(call);
    ig_buf_deinit(&csv);
    ig_arena_deinit(&arena);
    return call->err.code;
}

enum ig_code ig_rest_fairness_post(struct ig_call *call)
{
    struct request request;
    const struct ig_routing *routing = NULL;
    if (read_request(&request, call) != IG_OK) return call->err.code;
    if (request.deployment.len) {
        routing = ig_rest_routing(call, request.deployment);
        if (!routing) return call->err.code;
    }
    report(call, &request, routing);
    ig_routing_unref(routing);
    return call->err.code;
}
