/* SPDX-License-Identifier: Apache-2.0 */
/* Reads and writes what evaluation datasets hold. */
#include "api/mlflow_evaluations.h"
#include "api/mlflow_request.h"
#include "api/rest.h"
#include "api/route.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { FIELD_MAX = 64, TYPE_MAX = 16, PAGE_USUAL = 1000, PAGE_MAX = 50000 };

/* ---- decoding ---- */

/* An error that a reader gave of a text within the request is the request's. */
static enum ig_code of_text(struct ig_err *err, const char *name)
{
    if (err->code == IG_PARSE) err->code = IG_INVALID;
    if (err->code == IG_INVALID) ig_err_prefix(err, "%s", name);
    return err->code;
}

static enum ig_code take_tag(struct ig_tracking_pair *out, struct ig_json *json)
{
    out->key = json->text;
    enum ig_json_event event = ig_json_next(json);
    out->value = json->text;
    if (event == IG_JSON_BOOL) out->value = json->boolean ? IG_STR("True") : IG_STR("False");
    if (event == IG_JSON_NULL) out->value.ptr = NULL;
    if (event == IG_JSON_ARRAY || event == IG_JSON_OBJECT)
        return ig_fail(json->err, IG_INVALID, "%.*s: expected a text, found %s",
                       out->key.len > FIELD_MAX ? FIELD_MAX : (int)out->key.len, out->key.ptr,
                       ig_json_event_name(event));
    return json->err->code;
}

enum ig_code ig_mlflow_tags_decode(struct ig_tracking_pairs *out, struct ig_str text,
                                   struct ig_arena *arena, struct ig_err *err)
{
    struct ig_tracking_pair *items = NULL;
    size_t count = 0, cap = 0;
    struct ig_json json;
    *out = (struct ig_tracking_pairs){NULL, 0};
    if (!text.len) return IG_OK;
    ig_json_init(&json, text, arena, err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "tags")) return of_text(err, "tags");
    while (ig_json_member(&json)) {
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "tags: too many");
        if (take_tag(&items[count], &json) != IG_OK) return of_text(err, "tags");
        count += items[count].value.ptr != NULL;
    }
    if (err->code != IG_OK || ig_json_next(&json) != IG_JSON_END) return of_text(err, "tags");
    *out = (struct ig_tracking_pairs){items, count};
    return IG_OK;
}

/* {"source_type", "source_data": {"trace_id", "source_id"}} */
struct source {
    struct ig_str type, data, trace_id, source_id;
};

static enum ig_code read_ids(struct source *out, struct ig_str text, struct ig_json *outer)
{
    struct ig_json json;
    ig_json_init(&json, text, outer->arena, outer->err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "source_data")) return outer->err->code;
    while (ig_json_member(&json)) {
        struct ig_str *id = ig_str_is(json.text, "trace_id")    ? &out->trace_id
                            : ig_str_is(json.text, "source_id") ? &out->source_id
                                                                : NULL;
        struct ig_json ahead = json;
        if (!ig_json_skip(&json)) break;
        if (id && ig_json_next(&ahead) == IG_JSON_STRING) *id = ahead.text;
    }
    return outer->err->code;
}

static enum ig_code read_source(struct source *out, struct ig_json *json)
{
    *out = (struct source){.data = IG_STR("{}")};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "source")) return json->err->code;
    while (ig_json_member(json)) {
        struct ig_json ahead = *json;
        bool told = ig_json_next(&ahead) != IG_JSON_NULL;
        if (told && ig_str_is(json->text, "source_type")) {
            ig_json_string(json, &out->type, "source.source_type");
        } else if (told && ig_str_is(json->text, "source_data")) {
            if (ig_json_raw(json, &out->data)) read_ids(out, out->data, json);
        } else {
            ig_json_skip(json);
        }
        if (json->err->code != IG_OK) break;
    }
    return json->err->code;
}

static enum ig_code take_source(struct ig_evaluation_record *record, struct ig_json *json)
{
    static const char *const types[] = {"UNSPECIFIED", "TRACE", "HUMAN", "DOCUMENT", "CODE"};
    struct source source;
    if (read_source(&source, json) != IG_OK) return json->err->code;
    size_t i = 0;
    while (i < COUNT(types) && !ig_str_eq_nocase(source.type, ig_str_view(types[i]))) i++;
    if (i == COUNT(types))
        return ig_fail(json->err, IG_INVALID,
                       "Invalid dataset record source type: %.*s. Valid source types: "
                       "['UNSPECIFIED', 'TRACE', 'HUMAN', 'DOCUMENT', 'CODE']",
                       source.type.len > TYPE_MAX ? TYPE_MAX : (int)source.type.len,
                       source.type.ptr ? source.type.ptr : "");
    const char *text =
        ig_arena_printf(json->arena, "{\"source_type\": \"%s\", \"source_data\": %.*s}", types[i],
                        IG_STR_ARGS(source.data));
    if (!text) return ig_fail(json->err, IG_NO_MEMORY, "records: too large");
    record->source = ig_str_view(text);
    record->source_type = ig_str_view(types[i]);
    record->source_id =
        ig_str_is(record->source_type, "TRACE") ? source.trace_id : source.source_id;
    return IG_OK;
}

static enum ig_code find_user(struct ig_evaluation_record *record, struct ig_json *json)
{
    struct ig_tracking_pairs tags;
    if (ig_mlflow_tags_decode(&tags, record->tags, json->arena, json->err) != IG_OK)
        return json->err->code;
    for (size_t i = 0; i < tags.count; i++)
        if (ig_str_is(tags.items[i].key, "mlflow.user")) record->user = tags.items[i].value;
    return IG_OK;
}

static enum ig_code read_member(struct ig_evaluation_record *record, struct ig_json *json)
{
    struct ig_str name = json->text;
    struct ig_json ahead = *json;
    enum ig_json_event event = ig_json_next(&ahead);
    struct ig_str *object = ig_str_is(name, "inputs")         ? &record->inputs
                            : ig_str_is(name, "expectations") ? &record->expectations
                            : ig_str_is(name, "tags")         ? &record->tags
                                                              : NULL;
    if (ig_str_is(name, "outputs")) {
        record->outputs_told = true;
        if (ig_json_raw(json, &record->outputs) && event == IG_JSON_NULL)
            record->outputs.ptr = NULL;
    } else if (event != IG_JSON_NULL && ig_str_is(name, "source")) {
        return take_source(record, json);
    } else if (!object || (event == IG_JSON_NULL && object != &record->inputs)) {
        ig_json_skip(json);
    } else if (event != IG_JSON_OBJECT && event != IG_JSON_ERROR) {
        return ig_fail(json->err, IG_INVALID, "%.*s: expected an object, found %s",
                       IG_STR_ARGS(name), ig_json_event_name(event));
    } else if (ig_json_raw(json, object) && object == &record->tags) {
        return find_user(record, json);
    }
    return json->err->code;
}

static enum ig_code read_record(struct ig_evaluation_record *out, struct ig_json *json)
{
    *out = (struct ig_evaluation_record){.inputs = IG_STR("{}")};
    if (!ig_json_expect(json, IG_JSON_OBJECT, "record")) return json->err->code;
    while (ig_json_member(json))
        if (read_member(out, json) != IG_OK) break;
    return json->err->code;
}

enum ig_code ig_mlflow_records_decode(struct ig_evaluation_records *out, struct ig_str text,
                                      struct ig_arena *arena, struct ig_err *err)
{
    struct ig_evaluation_record *items = NULL;
    size_t count = 0, cap = 0;
    struct ig_json json;
    char name[FIELD_MAX];
    ig_json_init(&json, text, arena, err);
    if (!ig_json_expect(&json, IG_JSON_ARRAY, "list")) return of_text(err, "records");
    while (ig_json_element(&json)) {
        if (count == IG_EVALUATION_RECORDS_MAX)
            return ig_fail(err, IG_INVALID, "records: more than %d", IG_EVALUATION_RECORDS_MAX);
        items = ig_arena_grow(arena, items, count, &cap, sizeof *items);
        if (!items) return ig_fail(err, IG_NO_MEMORY, "records: too many");
        snprintf(name, sizeof name, "records[%zu]", count);
        if (read_record(&items[count], &json) != IG_OK) return of_text(err, name);
        count++;
    }
    if (err->code != IG_OK || ig_json_next(&json) != IG_JSON_END) return of_text(err, "records");
    *out = (struct ig_evaluation_records){items, count, false};
    return IG_OK;
}

/* ---- calls ---- */

enum ig_code ig_mlflow_records_upsert(struct ig_call *call)
{
    struct ig_str text = IG_STR("");
    struct ig_evaluation_records records = {NULL, 0, false};
    struct ig_evaluation_counts counts;
    struct ig_json_out out;
    const struct ig_mlflow_field fields[] = {{"records", IG_MLFLOW_TEXT, &text, true}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK ||
        ig_mlflow_records_decode(&records, text, call->arena, &call->err) != IG_OK ||
        ig_evaluation_upsert(&counts, call->app->db, call->params[0], records, call->arena,
                             &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "inserted_count", (int64_t)counts.inserted);
    ig_json_out_kv_i64(&out, "updated_count", (int64_t)counts.updated);
    ig_json_out_object_end(&out);
    return IG_OK;
}

static void write_record(struct ig_json_out *out, const struct ig_evaluation_record *record,
                         struct ig_str dataset)
{
    const struct {
        const char *name;
        struct ig_str json, text;
    } members[] = {{"outputs", record->outputs, {NULL, 0}},
                   {"expectations", record->expectations, {NULL, 0}},
                   {"tags", record->tags, {NULL, 0}},
                   {"source", record->source, {NULL, 0}},
                   {"source_id", {NULL, 0}, record->source_id},
                   {"source_type", {NULL, 0}, record->source_type},
                   {"created_by", {NULL, 0}, record->created_by},
                   {"last_updated_by", {NULL, 0}, record->updated_by}};
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "dataset_record_id", record->id);
    ig_json_out_kv_str(out, "dataset_id", dataset);
    ig_rest_kv_raw(out, "inputs", record->inputs);
    ig_json_out_kv_i64(out, "created_time", record->created_ms);
    ig_json_out_kv_i64(out, "last_update_time", record->updated_ms);
    for (size_t i = 0; i < COUNT(members); i++) {
        if (members[i].json.ptr) ig_rest_kv_raw(out, members[i].name, members[i].json);
        if (members[i].text.ptr) ig_json_out_kv_str(out, members[i].name, members[i].text);
    }
    ig_json_out_object_end(out);
}

static enum ig_code write_page(struct ig_call *call, const struct ig_evaluation_records *records)
{
    struct ig_json_out out;
    struct ig_buf inner;
    ig_buf_init(&inner, call->exchange->reply.max_bytes);
    ig_json_out_init(&out, &inner);
    ig_json_out_array(&out);
    for (size_t i = 0; i < records->count; i++)
        write_record(&out, &records->items[i], call->params[0]);
    ig_json_out_array_end(&out);
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "records", ig_buf_view(&inner));
    if (records->more) {
        char token[32];
        snprintf(token, sizeof token, "%lld", (long long)records->items[records->count - 1].seq);
        ig_json_out_kv_str(&out, "next_page_token", ig_str_view(token));
    }
    ig_json_out_object_end(&out);
    if (inner.overflowed || out.buf->overflowed)
        ig_fail(&call->err, IG_TOO_LARGE, "records: one of them is larger than a reply may be");
    ig_buf_deinit(&inner);
    return call->err.code;
}

enum ig_code ig_mlflow_records_list(struct ig_call *call)
{
    struct ig_str token = IG_STR("");
    int64_t max = 0;
    struct ig_evaluation_page page = {.id = call->params[0],
                                      .bytes_max = call->exchange->reply.max_bytes / 4};
    struct ig_evaluation_records records;
    const struct ig_mlflow_field fields[] = {{"max_results", IG_MLFLOW_I64, &max, false},
                                             {"page_token", IG_MLFLOW_TEXT, &token, false}};
    if (ig_mlflow_read(call, fields, COUNT(fields)) != IG_OK) return call->err.code;
    if (!max) max = PAGE_USUAL;
    if (max < 0 || max > PAGE_MAX)
        return ig_fail(&call->err, IG_INVALID, "max_results must be between 1 and %d.", PAGE_MAX);
    if (token.len && (!ig_str_to_i64(token, &page.after) || page.after < 0))
        return ig_fail(&call->err, IG_INVALID, "Invalid page token '%.*s'",
                       token.len > FIELD_MAX ? FIELD_MAX : (int)token.len, token.ptr);
    page.max = (size_t)max;
    if (ig_evaluation_list(&records, call->app->db, &page, call->arena, &call->err) != IG_OK)
        return call->err.code;
    return write_page(call, &records);
}

enum ig_code ig_mlflow_records_delete(struct ig_call *call)
{
    struct ig_mlflow_texts ids = {0};
    struct ig_json_out out;
    int64_t removed = 0;
    const struct ig_mlflow_field fields[] = {{"dataset_record_ids", IG_MLFLOW_TEXTS, &ids, false}};
    if (ig_mlflow_read(call, fields, 1) != IG_OK ||
        ig_evaluation_remove(&removed, call->app->db, call->params[0], ids.items, ids.count,
                             &call->err) != IG_OK)
        return call->err.code;
    ig_call_json(call, &out);
    ig_json_out_object(&out);
    ig_json_out_kv_i64(&out, "deleted_count", removed);
    ig_json_out_object_end(&out);
    return IG_OK;
}
