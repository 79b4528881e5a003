/* SPDX-License-Identifier: Apache-2.0 */
/* Both forms come down to names and texts: a list is a name that comes several times.
 *
 * Thread rule: pure. */
#include "api/mlflow_search_request.h"

#include "base/json.h"
#include "net/http1.h"
#include "services/tracking/tracking.h"

#define SEE_DOCS " See the API docs for more information about request parameters."
enum { SHOWN_MAX = 100 };

enum field_kind { TEXT, NUMBER, VIEW, ORDERS, ID, IDS, DATASETS, LOCATIONS, COUNTED };

static const struct field {
    const char *name;
    enum field_kind kind;
} FIELDS[] = {
    {"filter", TEXT},        {"filter_string", TEXT},  {"page_token", TEXT},
    {"max_results", NUMBER}, {"run_view_type", VIEW},  {"view_type", VIEW},
    {"order_by", ORDERS},    {"experiment_id", ID},    {"experiment_ids", IDS},
    {"datasets", DATASETS},  {"locations", LOCATIONS}, {"include_trace_count", COUNTED},
};

struct request {
    struct ig_tracking_search *search;
    struct ig_str *orders;
    struct ig_tracking_logged_order *logged_orders;
    struct ig_tracking_of_dataset *datasets;
    int64_t *ids;
    struct ig_arena *arena;
    struct ig_err *err;
};

static enum ig_code wrong(const struct field *field, struct ig_str value, const char *expected,
                          struct ig_err *err)
{
    int shown = value.len > SHOWN_MAX ? SHOWN_MAX : (int)value.len;
    return ig_fail(err, IG_INVALID,
                   "Invalid value %.*s for parameter '%s' supplied: expected %s." SEE_DOCS, shown,
                   value.ptr ? value.ptr : "", field->name, expected);
}

static const struct field *find_field(const struct request *request, struct ig_str name)
{
    enum ig_tracking_kind kind = request->search->kind;
    bool runs = kind == IG_TRACKING_RUNS, viewed = runs || kind == IG_TRACKING_EXPERIMENTS;
    bool logged = kind == IG_TRACKING_LOGGED, traces = kind == IG_TRACKING_TRACES;
    bool evaluations = kind == IG_TRACKING_EVALUATIONS, issues = kind == IG_TRACKING_ISSUES;
    if (ig_str_is(name, evaluations || issues ? "filter" : "filter_string")) return NULL;
    for (size_t i = 0; i < sizeof FIELDS / sizeof FIELDS[0]; i++) {
        if (!ig_str_is(name, FIELDS[i].name)) continue;
        if (FIELDS[i].kind == VIEW && (!viewed || runs != ig_str_is(name, "run_view_type")))
            return NULL;
        if (FIELDS[i].kind == DATASETS && !logged) return NULL;
        if (FIELDS[i].kind == LOCATIONS && !traces) return NULL;
        if (FIELDS[i].kind == ID || FIELDS[i].kind == COUNTED ? !issues
                                                              : FIELDS[i].kind == ORDERS && issues)
            return NULL;
        return FIELDS[i].kind == IDS && !runs && !logged && !traces && !evaluations ? NULL
                                                                                    : &FIELDS[i];
    }
    return NULL;
}

static enum ig_code take_view(struct request *request, const struct field *field,
                              struct ig_str value)
{
    static const char *const names[][2] = {
        [IG_TRACKING_ACTIVE] = {"ACTIVE_ONLY", "1"},
        [IG_TRACKING_DELETED] = {"DELETED_ONLY", "2"},
        [IG_TRACKING_ALL] = {"ALL", "3"},
    };
    for (int view = IG_TRACKING_ACTIVE; view <= IG_TRACKING_ALL; view++) {
        if (!ig_str_is(value, names[view][0]) && !ig_str_is(value, names[view][1])) continue;
        request->search->view = (enum ig_tracking_view)view;
        return IG_OK;
    }
    return wrong(field, value, "ACTIVE_ONLY, DELETED_ONLY or ALL", request->err);
}

static enum ig_code take_order(struct request *request, struct ig_str value)
{
    struct ig_tracking_search *search = request->search;
    if (!request->orders)
        request->orders =
            ig_arena_array(request->arena, IG_TRACKING_ORDERS_MAX, sizeof *request->orders);
    if (!request->orders) return ig_fail(request->err, IG_NO_MEMORY, "order_by");
    if (search->orders_count == IG_TRACKING_ORDERS_MAX)
        return ig_fail(request->err, IG_INVALID, "order_by: more than %d clauses",
                       IG_TRACKING_ORDERS_MAX);
    request->orders[search->orders_count++] = value;
    search->orders = request->orders;
    return IG_OK;
}

static enum ig_code take_id(struct request *request, struct ig_str value)
{
    struct ig_tracking_search *search = request->search;
    if (!request->ids)
        request->ids =
            ig_arena_array(request->arena, IG_TRACKING_SEARCHED_MAX, sizeof *request->ids);
    if (!request->ids) return ig_fail(request->err, IG_NO_MEMORY, "experiment_ids");
    if (search->experiments_count == IG_TRACKING_SEARCHED_MAX)
        return ig_fail(request->err, IG_INVALID, "experiment_ids: more than %d experiments",
                       IG_TRACKING_SEARCHED_MAX);
    if (ig_tracking_experiment_id(&request->ids[search->experiments_count], value, request->err) !=
        IG_OK)
        return request->err->code;
    search->experiments_count++;
    search->experiments = request->ids;
    return IG_OK;
}

static enum ig_code take(struct request *request, const struct field *field, struct ig_str value)
{
    struct ig_tracking_search *search = request->search;
    switch (field->kind) {
    case TEXT:
        *(field->name[0] == 'f' ? &search->filter : &search->token) = value;
        return IG_OK;
    case NUMBER:
        if (ig_str_to_i64(value, &search->results_max)) return IG_OK;
        return wrong(field, value, "a whole number", request->err);
    case VIEW:
        return take_view(request, field, value);
    case COUNTED:
        search->traces_counted = ig_str_is(value, "true");
        return search->traces_counted || ig_str_is(value, "false")
                   ? IG_OK
                   : wrong(field, value, "true or false", request->err);
    case ORDERS:
        return take_order(request, value);
    case ID:
    case IDS:
    case DATASETS:
    case LOCATIONS:
        break;
    }
    return take_id(request, value);
}

static enum ig_code take_json(struct request *request, const struct field *field,
                              struct ig_json *json)
{
    enum ig_json_event event = ig_json_next(json);
    bool number = event == IG_JSON_NUMBER && field->kind != TEXT && field->kind != ORDERS;
    if (event == IG_JSON_ERROR) return json->err->code;
    if (event == IG_JSON_BOOL && field->kind == COUNTED)
        return take(request, field, json->boolean ? IG_STR("true") : IG_STR("false"));
    if (event == IG_JSON_STRING || number) return take(request, field, json->text);
    return wrong(field, ig_str_view(ig_json_event_name(event)),
                 field->kind == TEXT || field->kind == ORDERS ? "a string" : "a number or string",
                 request->err);
}

/* {"field_name", "ascending", "dataset_name", "dataset_digest"}; of a dataset the last two. */
static enum ig_code read_item(struct ig_tracking_logged_order *out, struct ig_json *json,
                              const struct field *field)
{
    *out = (struct ig_tracking_logged_order){IG_STR(""), false, {IG_STR(""), IG_STR("")}};
    if (!ig_json_expect(json, IG_JSON_OBJECT, field->name)) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_json ahead = *json;
        bool ascending = true;
        struct ig_str *text = ig_str_is(json->text, "field_name")       ? &out->field
                              : ig_str_is(json->text, "dataset_name")   ? &out->dataset.name
                              : ig_str_is(json->text, "dataset_digest") ? &out->dataset.digest
                                                                        : NULL;
        bool flag = ig_str_is(json->text, "ascending");
        if ((!text && !flag) || ig_json_next(&ahead) == IG_JSON_NULL)
            ig_json_skip(json);
        else if (flag && ig_json_bool(json, &ascending, "order_by.ascending"))
            out->descending = !ascending;
        else if (text)
            ig_json_string(json, text, field->name);
        if (json->err->code != IG_OK) break;
    }
    return json->err->code;
}

static enum ig_code add_dataset(struct request *request, struct ig_tracking_of_dataset dataset)
{
    struct ig_tracking_search *search = request->search;
    if (!dataset.name.len)
        return ig_fail(request->err, IG_INVALID,
                       "`dataset_name` in the `datasets` clause must be specified.");
    if (!request->datasets)
        request->datasets =
            ig_arena_array(request->arena, IG_TRACKING_LOGGED_SETS_MAX, sizeof *request->datasets);
    if (!request->datasets) return ig_fail(request->err, IG_NO_MEMORY, "datasets");
    if (search->datasets_count == IG_TRACKING_LOGGED_SETS_MAX)
        return ig_fail(request->err, IG_INVALID, "datasets: more than %d",
                       IG_TRACKING_LOGGED_SETS_MAX);
    request->datasets[search->datasets_count++] = dataset;
    search->datasets = request->datasets;
    return IG_OK;
}

static enum ig_code add_logged_order(struct request *request,
                                     const struct ig_tracking_logged_order *order)
{
    struct ig_tracking_search *search = request->search;
    if (!order->field.len)
        return ig_fail(request->err, IG_INVALID,
                       "`field_name` in the `order_by` clause must be specified.");
    if (!request->logged_orders)
        request->logged_orders =
            ig_arena_array(request->arena, IG_TRACKING_ORDERS_MAX, sizeof *request->logged_orders);
    if (!request->logged_orders) return ig_fail(request->err, IG_NO_MEMORY, "order_by");
    if (search->orders_count == IG_TRACKING_ORDERS_MAX)
        return ig_fail(request->err, IG_INVALID, "order_by: more than %d clauses",
                       IG_TRACKING_ORDERS_MAX);
    request->logged_orders[search->orders_count++] = *order;
    search->logged_orders = request->logged_orders;
    return IG_OK;
}

/* Of logged models: orders and datasets are objects. */
static enum ig_code read_items(struct request *request, const struct field *field,
                               struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, field->name)) return json->err->code;
    while (ig_json_element(json)) {
        struct ig_tracking_logged_order item;
        if (read_item(&item, json, field) != IG_OK) break;
        if (field->kind == DATASETS)
            add_dataset(request, item.dataset);
        else
            add_logged_order(request, &item);
        if (request->err->code != IG_OK) break;
    }
    return request->err->code;
}

/* Of traces: {"type", "mlflow_experiment": {"experiment_id"}}; no trace is in another place. */
static enum ig_code read_location(struct request *request, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_OBJECT, "locations")) return json->err->code;
    while (ig_json_member(json)) {
        if (!ig_str_is(json->text, "mlflow_experiment")) {
            ig_json_skip(json);
            continue;
        }
        if (!ig_json_expect(json, IG_JSON_OBJECT, "locations.mlflow_experiment")) break;
        while (ig_json_member(json)) {
            struct ig_str id;
            if (!ig_str_is(json->text, "experiment_id"))
                ig_json_skip(json);
            else if (ig_json_string(json, &id, "experiment_id"))
                take_id(request, id);
            if (json->err->code != IG_OK) return json->err->code;
        }
    }
    return json->err->code;
}

static enum ig_code read_locations(struct request *request, struct ig_json *json)
{
    if (!ig_json_expect(json, IG_JSON_ARRAY, "locations")) return json->err->code;
    while (ig_json_element(json))
        if (read_location(request, json) != IG_OK) break;
    return json->err->code;
}

static enum ig_code read_member(struct request *request, struct ig_json *json)
{
    const struct field *field = find_field(request, json->text);
    struct ig_json ahead = *json;
    if (!field || ig_json_next(&ahead) == IG_JSON_NULL) {
        ig_json_skip(json);
        return json->err->code;
    }
    if (field->kind == LOCATIONS) return read_locations(request, json);
    if (field->kind == DATASETS ||
        (field->kind == ORDERS && request->search->kind == IG_TRACKING_LOGGED))
        return read_items(request, field, json);
    if (field->kind != ORDERS && field->kind != IDS) return take_json(request, field, json);
    if (!ig_json_expect(json, IG_JSON_ARRAY, field->name)) return json->err->code;
    while (ig_json_element(json))
        if (take_json(request, field, json) != IG_OK) return json->err->code;
    return json->err->code;
}

static struct request start(struct ig_tracking_search *out, enum ig_tracking_kind kind,
                            struct ig_arena *arena, struct ig_err *err)
{
    static const int defaults[IG_TRACKING_KINDS_COUNT] = {
        IG_TRACKING_RESULTS_DEFAULT,  IG_TRACKING_RESULTS_DEFAULT, IG_TRACKING_MODELS_DEFAULT,
        IG_TRACKING_VERSIONS_DEFAULT, IG_TRACKING_LOGGED_DEFAULT,  IG_TRACKING_TRACES_DEFAULT,
        IG_TRACKING_RESULTS_DEFAULT,  IG_TRACKING_ISSUES_DEFAULT};
    bool viewed = kind == IG_TRACKING_RUNS || kind == IG_TRACKING_EXPERIMENTS;
    *out = (struct ig_tracking_search){
        .kind = kind,
        .filter = IG_STR(""),
        .token = IG_STR(""),
        .view = viewed || kind == IG_TRACKING_LOGGED ? IG_TRACKING_ACTIVE : IG_TRACKING_ALL,
        .results_max = defaults[kind]};
    return (struct request){.search = out, .arena = arena, .err = err};
}

enum ig_code ig_mlflow_search_decode(struct ig_tracking_search *out, enum ig_tracking_kind kind,
                                     struct ig_str body, struct ig_arena *arena, struct ig_err *err)
{
    struct request request = start(out, kind, arena, err);
    struct ig_json json;
    if (!ig_str_trim(body).len) return IG_OK;
    ig_json_init(&json, body, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "body")) return err->code;
    while (ig_json_member(&json))
        if (read_member(&request, &json) != IG_OK) return err->code;
    if (err->code == IG_OK) ig_json_next(&json); /* END, or an error */
    return err->code;
}

enum ig_code ig_mlflow_search_decode_query(struct ig_tracking_search *out,
                                           enum ig_tracking_kind kind, struct ig_str query,
                                           struct ig_arena *arena, struct ig_err *err)
{
    struct request request = start(out, kind, arena, err);
    struct ig_str name, value;
    while (ig_http_query_next(&query, &name, &value)) {
        if (ig_http_percent_decode(&name, arena, name, true, err) != IG_OK ||
            ig_http_percent_decode(&value, arena, value, true, err) != IG_OK)
            return err->code;
        const struct field *field = find_field(&request, name);
        if (field && field->kind == LOCATIONS) continue;
        if (field && kind == IG_TRACKING_LOGGED &&
            (field->kind == ORDERS || field->kind == DATASETS))
            continue; /* objects have no form in a query */
        if (field && take(&request, field, value) != IG_OK) return err->code;
    }
    return IG_OK;
}
