/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes MLflow's requests. */
#include "api/mlflow_request.h"

#include "services/tracking/artifact_uploads.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#define SEE_DOCS " See the API docs for more information about request parameters."
enum { PATH_SIZE = 64, SHOWN_MAX = 100, ITEM_FIELDS_MAX = 8 };

/* Where a value stands, as in "datasets[2].tags[0].key"; made a text for errors alone. */
struct place {
    const struct place *of;
    const char *name; /* NULL: element `at` */
    size_t at;
};

static const char *place_text(char text[PATH_SIZE], const struct place *place)
{
    size_t used = 0;
    if (place->of) {
        place_text(text, place->of);
        used = strlen(text);
    }
    if (place->name)
        snprintf(text + used, PATH_SIZE - used, "%s%s", place->of ? "." : "", place->name);
    else
        snprintf(text + used, PATH_SIZE - used, "[%zu]", place->at);
    return text;
}

static enum ig_code missing(const struct place *place, struct ig_err *err)
{
    char path[PATH_SIZE];
    return ig_fail(err, IG_INVALID, "Missing value for required parameter '%s'." SEE_DOCS,
                   place_text(path, place));
}

static enum ig_code wrong_type(struct ig_str value, const char *type, const struct place *place,
                               struct ig_err *err)
{
    char path[PATH_SIZE];
    int shown = value.len > SHOWN_MAX ? SHOWN_MAX : (int)value.len;
    const char *quote = strcmp(type, "str") == 0 ? "\"" : "";
    return ig_fail(err, IG_INVALID,
                   "Invalid value %s%.*s%s for parameter '%s' supplied:  Hint: Value was of type "
                   "'%s'." SEE_DOCS,
                   quote, shown, value.ptr ? value.ptr : "", quote, place_text(path, place), type);
}

/* The value that was just read is of another type than its field. */
static enum ig_code mismatch(const struct ig_json *json, enum ig_json_event event,
                             const struct place *place)
{
    switch (event) {
    case IG_JSON_ERROR:
        return json->err->code;
    case IG_JSON_STRING:
        return wrong_type(json->text, "str", place, json->err);
    case IG_JSON_NUMBER:
        return wrong_type(json->text, "int", place, json->err);
    case IG_JSON_BOOL:
        return wrong_type(ig_str_view(json->boolean ? "true" : "false"), "bool", place, json->err);
    case IG_JSON_ARRAY:
        return wrong_type(IG_STR("[...]"), "list", place, json->err);
    default:
        return wrong_type(IG_STR("{...}"), "dict", place, json->err);
    }
}

/* 12, "12" and 12.0; the last only where a double holds every whole number. */
static bool to_i64(struct ig_str text, int64_t *out)
{
    static const double EXACT = 9007199254740992.0;
    double value;
    if (ig_str_to_i64(text, out)) return true;
    if (!ig_str_to_f64(text, &value) || !(fabs(value) <= EXACT) || value != floor(value))
        return false;
    *out = (int64_t)value;
    return true;
}

static bool convert(const struct ig_mlflow_field *field, struct ig_str text)
{
    if (field->kind == IG_MLFLOW_I64) return to_i64(text, field->out);
    if (field->kind == IG_MLFLOW_F64) return ig_str_to_f64(text, field->out);
    if (field->kind == IG_MLFLOW_BOOL) {
        *(bool *)field->out = ig_str_eq_nocase(text, IG_STR("true"));
        return *(bool *)field->out || ig_str_eq_nocase(text, IG_STR("false"));
    }
    *(struct ig_str *)field->out = text;
    return true;
}

/* A text or a number; null leaves it as it is. */
static enum ig_code read_scalar(struct ig_json *json, const struct ig_mlflow_field *field,
                                const struct place *place, bool *given)
{
    enum ig_json_event event = ig_json_next(json);
    bool text = field->kind == IG_MLFLOW_TEXT;
    if (event == IG_JSON_NULL) return IG_OK;
    if (field->kind == IG_MLFLOW_BOOL) {
        if (event != IG_JSON_BOOL) return mismatch(json, event, place);
        *(bool *)field->out = json->boolean;
        *given = true;
        return IG_OK;
    }
    if (event != IG_JSON_STRING && (text || event != IG_JSON_NUMBER))
        return mismatch(json, event, place);
    if (!convert(field, json->text)) return mismatch(json, event, place);
    *given = json->text.len > 0;
    return IG_OK;
}

/* One object of a list; the list's own field for "run_id" is no matter here. */
static enum ig_code read_item(struct ig_json *json, const struct ig_mlflow_field *fields,
                              size_t count, const struct place *place)
{
    bool given[ITEM_FIELDS_MAX] = {false};
    enum ig_json_event event = ig_json_next(json);
    IG_ASSERT(count <= ITEM_FIELDS_MAX);
    if (event != IG_JSON_OBJECT) return mismatch(json, event, place);
    while (ig_json_member(json)) {
        size_t i = 0;
        while (i < count && !ig_str_is(json->text, fields[i].name)) i++;
        if (i == count) {
            if (!ig_json_skip(json)) return json->err->code;
            continue;
        }
        const struct place inner = {place, fields[i].name, 0};
        if (read_scalar(json, &fields[i], &inner, &given[i]) != IG_OK) return json->err->code;
    }
    for (size_t i = 0; json->err->code == IG_OK && i < count; i++)
        if (fields[i].required && !given[i])
            return missing(&(struct place){place, fields[i].name, 0}, json->err);
    return json->err->code;
}

static enum ig_code read_pair(void *item, struct ig_json *json, const struct place *place)
{
    struct ig_tracking_pair *out = item;
    *out = (struct ig_tracking_pair){.key = IG_STR(""), .value = IG_STR("")};
    const struct ig_mlflow_field fields[] = {{"key", IG_MLFLOW_TEXT, &out->key, true},
                                             {"value", IG_MLFLOW_TEXT, &out->value, false}};
    return read_item(json, fields, 2, place);
}

static enum ig_code read_metric(void *item, struct ig_json *json, const struct place *place)
{
    struct ig_tracking_metric *out = item;
    *out = (struct ig_tracking_metric){.key = IG_STR("")};
    const struct ig_mlflow_field fields[] = {
        {"key", IG_MLFLOW_TEXT, &out->key, true},
        {"value", IG_MLFLOW_F64, &out->value, true},
        {"timestamp", IG_MLFLOW_I64, &out->at_ms, true},
        {"step", IG_MLFLOW_I64, &out->step, false},
        {"model_id", IG_MLFLOW_TEXT, &out->model_id, false},
        {"dataset_name", IG_MLFLOW_TEXT, &out->dataset_name, false},
        {"dataset_digest", IG_MLFLOW_TEXT, &out->dataset_digest, false}};
    return read_item(json, fields, 7, place);
}

/* The elements of an array, each read by `read`; in the arena, *count of them. */
static void *read_list(struct ig_json *json, const struct place *list, size_t item_bytes,
                       enum ig_code (*read)(void *, struct ig_json *, const struct place *),
                       size_t *count)
{
    char *items = NULL;
    size_t cap = 0;
    *count = 0;
    while (ig_json_element(json)) {
        items = ig_arena_grow(json->arena, items, *count, &cap, item_bytes);
        if (!items) {
            ig_fail(json->err, IG_NO_MEMORY, "%s: too many", list->name);
            return NULL;
        }
        const struct place element = {list, NULL, *count};
        if (read(items + (*count)++ * item_bytes, json, &element) != IG_OK) return NULL;
    }
    return items;
}

static enum ig_code read_pairs(struct ig_tracking_pairs *out, struct ig_json *json,
                               const struct place *list)
{
    out->items = read_list(json, list, sizeof *out->items, read_pair, &out->count);
    return json->err->code;
}

static enum ig_code read_metrics(struct ig_tracking_metrics *out, struct ig_json *json,
                                 const struct place *list)
{
    out->items = read_list(json, list, sizeof *out->items, read_metric, &out->count);
    return json->err->code;
}

static enum ig_code read_dataset(void *item, struct ig_json *json, const struct place *place)
{
    struct ig_tracking_dataset *out = item;
    bool given = false;
    *out = (struct ig_tracking_dataset){.id = 0};
    const struct ig_mlflow_field fields[] = {
        {"name", IG_MLFLOW_TEXT, &out->name, true},
        {"digest", IG_MLFLOW_TEXT, &out->digest, true},
        {"source_type", IG_MLFLOW_TEXT, &out->source_type, true},
        {"source", IG_MLFLOW_TEXT, &out->source, true},
        {"schema", IG_MLFLOW_TEXT, &out->schema, false},
        {"profile", IG_MLFLOW_TEXT, &out->profile, false}};
    enum ig_json_event event = ig_json_next(json);
    if (event != IG_JSON_OBJECT) return mismatch(json, event, place);
    while (ig_json_member(json)) {
        bool tags = ig_str_is(json->text, "tags"), dataset = ig_str_is(json->text, "dataset");
        const struct place inner = {place, tags ? "tags" : "dataset", 0};
        given = given || dataset;
        if (dataset)
            read_item(json, fields, 6, &inner);
        else if (!tags)
            ig_json_skip(json);
        else if ((event = ig_json_next(json)) != IG_JSON_ARRAY)
            mismatch(json, event, &inner);
        else
            read_pairs(&out->tags, json, &inner);
        if (json->err->code != IG_OK) return json->err->code;
    }
    if (json->err->code == IG_OK && !given)
        missing(&(struct place){place, "dataset", 0}, json->err);
    return json->err->code;
}

static enum ig_code read_datasets(struct ig_tracking_datasets *out, struct ig_json *json,
                                  const struct place *list)
{
    out->items = read_list(json, list, sizeof *out->items, read_dataset, &out->count);
    return json->err->code;
}

static enum ig_code read_model_use(void *item, struct ig_json *json, const struct place *place)
{
    struct ig_tracking_model_use *out = item;
    *out = (struct ig_tracking_model_use){.model_id = IG_STR("")};
    const struct ig_mlflow_field fields[] = {{"model_id", IG_MLFLOW_TEXT, &out->model_id, true},
                                             {"step", IG_MLFLOW_I64, &out->step, false}};
    return read_item(json, fields, 2, place);
}

static enum ig_code read_part(void *item, struct ig_json *json, const struct place *place)
{
    struct ig_upload_part *out = item;
    *out = (struct ig_upload_part){.digest = IG_STR("")};
    const struct ig_mlflow_field fields[] = {{"part_number", IG_MLFLOW_I64, &out->number, true},
                                             {"etag", IG_MLFLOW_TEXT, &out->digest, true}};
    return read_item(json, fields, 2, place);
}

static enum ig_code read_parts(struct ig_upload_parts *out, struct ig_json *json,
                               const struct place *list)
{
    out->items = read_list(json, list, sizeof *out->items, read_part, &out->count);
    return json->err->code;
}

static enum ig_code read_model_uses(struct ig_tracking_model_uses *out, struct ig_json *json,
                                    const struct place *list)
{
    out->items = read_list(json, list, sizeof *out->items, read_model_use, &out->count);
    return json->err->code;
}

static enum ig_code read_event(void *item, struct ig_json *json, const struct place *place)
{
    struct ig_tracking_pair *out = item;
    *out = (struct ig_tracking_pair){.key = IG_STR(""), .value = IG_STR("")};
    const struct ig_mlflow_field fields[] = {{"entity", IG_MLFLOW_WORD, &out->key, true},
                                             {"action", IG_MLFLOW_WORD, &out->value, true}};
    return read_item(json, fields, 2, place);
}

static enum ig_code read_events(struct ig_tracking_pairs *out, struct ig_json *json,
                                const struct place *list)
{
    out->items = read_list(json, list, sizeof *out->items, read_event, &out->count);
    return json->err->code;
}

static enum ig_code add_text(struct ig_mlflow_texts *out, struct ig_str text, const char *name,
                             struct ig_arena *arena, struct ig_err *err)
{
    out->items = ig_arena_grow(arena, out->items, out->count, &out->cap, sizeof *out->items);
    if (!out->items) return ig_fail(err, IG_NO_MEMORY, "%s: too many", name);
    out->items[out->count++] = text;
    return IG_OK;
}

static enum ig_code read_texts(struct ig_mlflow_texts *out, struct ig_json *json,
                               const struct place *list)
{
    *out = (struct ig_mlflow_texts){NULL, 0, 0};
    while (ig_json_element(json)) {
        enum ig_json_event event = ig_json_next(json);
        if (event != IG_JSON_STRING)
            return mismatch(json, event, &(struct place){list, NULL, out->count});
        if (add_text(out, json->text, list->name, json->arena, json->err) != IG_OK) break;
    }
    return json->err->code;
}

static enum ig_code read_value(struct ig_json *json, const struct ig_mlflow_field *field,
                               bool *given)
{
    const struct place place = {NULL, field->name, 0};
    if (field->kind < IG_MLFLOW_TEXTS) return read_scalar(json, field, &place, given);
    if (field->kind == IG_MLFLOW_EVENT) {
        *given = true;
        return read_event(field->out, json, &place);
    }
    enum ig_json_event event = ig_json_next(json);
    if (event == IG_JSON_NULL) return IG_OK;
    if (event != IG_JSON_ARRAY) return mismatch(json, event, &place);
    *given = true;
    if (field->kind == IG_MLFLOW_TEXTS) return read_texts(field->out, json, &place);
    if (field->kind == IG_MLFLOW_METRICS) return read_metrics(field->out, json, &place);
    if (field->kind == IG_MLFLOW_DATASETS) return read_datasets(field->out, json, &place);
    if (field->kind == IG_MLFLOW_EVENTS) return read_events(field->out, json, &place);
    if (field->kind == IG_MLFLOW_PARTS) return read_parts(field->out, json, &place);
    if (field->kind == IG_MLFLOW_MODELS) return read_model_uses(field->out, json, &place);
    return read_pairs(field->out, json, &place);
}

static size_t find_field(const struct ig_mlflow_field *fields, size_t count, struct ig_str name)
{
    size_t i = 0;
    if (ig_str_is(name, "run_uuid")) name = IG_STR("run_id");
    while (i < count && !ig_str_is(name, fields[i].name)) i++;
    return i;
}

static enum ig_code read_object(struct ig_json *json, const struct ig_mlflow_field *fields,
                                size_t count, bool *given)
{
    while (ig_json_member(json)) {
        size_t i = find_field(fields, count, json->text);
        if (i == count) {
            if (!ig_json_skip(json)) return json->err->code;
        } else if (read_value(json, &fields[i], &given[i]) != IG_OK) {
            return json->err->code;
        }
    }
    if (json->err->code == IG_OK) ig_json_next(json); /* END, or an error */
    return json->err->code;
}

static enum ig_code check_required(const struct ig_mlflow_field *fields, size_t count,
                                   const bool *given, struct ig_err *err)
{
    for (size_t i = 0; i < count; i++)
        if (fields[i].required && !given[i])
            return missing(&(struct place){NULL, fields[i].name, 0}, err);
    return IG_OK;
}

enum ig_code ig_mlflow_decode(const struct ig_mlflow_field *fields, size_t count,
                              struct ig_str body, struct ig_arena *arena, struct ig_err *err)
{
    bool given[IG_MLFLOW_FIELDS_MAX] = {false};
    struct ig_json json;
    IG_ASSERT(count <= IG_MLFLOW_FIELDS_MAX);
    if (!ig_str_trim(body).len) return check_required(fields, count, given, err);
    ig_json_init(&json, body, arena, err);
    json.allow_nan = true;
    enum ig_json_event event = ig_json_next(&json);
    if (event == IG_JSON_STRING) {
        struct ig_str inner = json.text;
        if (ig_json_next(&json) == IG_JSON_ERROR) return err->code;
        ig_json_init(&json, inner, arena, err);
        json.allow_nan = true;
        event = ig_json_next(&json);
    }
    if (event == IG_JSON_ERROR) return err->code;
    if (event != IG_JSON_OBJECT)
        return ig_fail_at(err, IG_PARSE, ig_json_position(&json),
                          "body: expected an object, found %s", ig_json_event_name(event));
    if (read_object(&json, fields, count, given) != IG_OK) return err->code;
    return check_required(fields, count, given, err);
}

/* Of lists those of texts alone have a form in a query. */
static enum ig_code read_query(struct ig_call *call, const struct ig_mlflow_field *fields,
                               size_t count)
{
    bool given[IG_MLFLOW_FIELDS_MAX] = {false};
    struct ig_str rest = call->exchange->request.query, name, value;
    while (ig_http_query_next(&rest, &name, &value)) {
        size_t i = find_field(fields, count, name);
        if (i == count || fields[i].kind >= IG_MLFLOW_PAIRS) continue;
        if (ig_http_percent_decode(&value, call->arena, value, true, &call->err) != IG_OK)
            return call->err.code;
        if (fields[i].kind == IG_MLFLOW_TEXTS) {
            if (add_text(fields[i].out, value, fields[i].name, call->arena, &call->err) != IG_OK)
                return call->err.code;
            given[i] = true;
            continue;
        }
        if (!convert(&fields[i], value))
            return wrong_type(value, "str", &(struct place){NULL, fields[i].name, 0}, &call->err);
        given[i] = value.len > 0;
    }
    return check_required(fields, count, given, &call->err);
}

enum ig_code ig_mlflow_expect_json(struct ig_call *call)
{
    const struct ig_http_request *request = &call->exchange->request;
    struct ig_str type = ig_http_header(request, IG_STR("content-type"));
    if (!ig_str_eq_nocase(ig_str_trim(ig_str_cut(&type, ';')), IG_STR("application/json")))
        return ig_fail(&call->err, IG_INVALID,
                       "Bad Request. Content-Type must be one of ['application/json'].");
    return ig_call_expect_json(call);
}

bool ig_mlflow_named(struct ig_str name, const char *field)
{
    size_t at = 0;
    if (ig_str_is(name, field)) return true;
    for (; *field && at < name.len; at++) {
        bool capital = *field == '_';
        field += capital;
        if (name.ptr[at] != (capital ? *field - 'a' + 'A' : *field++)) return false;
        field += capital;
    }
    return !*field && at == name.len;
}

enum ig_code ig_mlflow_map_read(struct ig_tracking_pairs *out, struct ig_json *json,
                                const char *field)
{
    struct ig_tracking_pair *items = NULL;
    size_t count = 0, cap = 0;
    if (!ig_json_expect(json, IG_JSON_OBJECT, field)) return json->err->code;
    while (ig_json_member(json)) {
        items = ig_arena_grow(json->arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(json->err, IG_NO_MEMORY, "%s: too many", field);
        items[count].key = json->text;
        if (!ig_json_string(json, &items[count].value, field)) return json->err->code;
        count++;
    }
    *out = (struct ig_tracking_pairs){items, count};
    return json->err->code;
}

bool ig_mlflow_asks_by_query(const struct ig_call *call)
{
    struct ig_str method = call->exchange->request.method;
    return ig_str_is(method, "GET") || ig_str_is(method, "HEAD");
}

enum ig_code ig_mlflow_read(struct ig_call *call, const struct ig_mlflow_field *fields,
                            size_t count)
{
    IG_ASSERT(count <= IG_MLFLOW_FIELDS_MAX);
    if (ig_mlflow_asks_by_query(call)) return read_query(call, fields, count);
    if (ig_mlflow_expect_json(call) != IG_OK) return call->err.code;
    return ig_mlflow_decode(fields, count, call->exchange->body, call->arena, &call->err);
}
