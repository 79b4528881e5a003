/* SPDX-License-Identifier: Apache-2.0 */
/* Values are moved as they are written, never parsed: the request's reader judges them. Thread
 * rule: pure. */
#include "api/scoring.h"

#include <string.h>

struct column {
    struct ig_str name;
    struct ig_json values; /* at the next one */
};

struct scoring {
    struct ig_buf *out;
    struct ig_json json;
    struct ig_arena *arena;
    struct ig_err *err;
};

/* PARSE: the body has not the form that it says; INVALID: what it holds cannot fit a schema. As
 * MLflow tells them apart. */
static enum ig_code fail(struct scoring *scoring, enum ig_code code, const char *what)
{
    if (scoring->err->code != IG_OK) return scoring->err->code;
    return ig_fail_at(scoring->err, code, ig_json_position(&scoring->json), "%s", what);
}

static bool expect(struct scoring *scoring, enum ig_json_event event, const char *what,
                   enum ig_code code)
{
    enum ig_json_event got = ig_json_next(&scoring->json);
    if (got != event && got != IG_JSON_ERROR)
        ig_fail_at(scoring->err, code, ig_json_position(&scoring->json),
                   "%s: expected %s, found %s", what, ig_json_event_name(event),
                   ig_json_event_name(got));
    return got == event;
}

static enum ig_code fail_unknown(struct scoring *scoring, const char *within, struct ig_str name)
{
    return ig_fail_at(scoring->err, IG_PARSE, ig_json_position(&scoring->json),
                      "%s%.*s: unknown member", within, (int)(name.len > 64 ? 64 : name.len),
                      name.ptr);
}

/* The text of the value that comes. */
static bool take_value(struct ig_str *out, struct ig_json *json)
{
    const char *start = json->at;
    if (!ig_json_skip(json)) return false;
    while (start < json->at && strchr(" \t\r\n:,", *start)) start++;
    *out = (struct ig_str){start, (size_t)(json->at - start)};
    return true;
}

static enum ig_code copy_value(struct scoring *scoring)
{
    struct ig_str text;
    if (!take_value(&text, &scoring->json)) return scoring->err->code;
    ig_buf_add_str(scoring->out, text);
    return IG_OK;
}

static void add_key(struct scoring *scoring, size_t at, struct ig_str name)
{
    struct ig_json_out out;
    if (at) ig_buf_add_char(scoring->out, ',');
    ig_json_out_init(&out, scoring->out);
    ig_json_out_str(&out, name);
    ig_buf_add_char(scoring->out, ':');
}

/* ---- dataframe_split ---- */

static enum ig_code read_columns(struct scoring *scoring, struct ig_str **out, size_t *count)
{
    struct ig_json *json = &scoring->json;
    size_t cap = 0;
    *count = 0;
    if (!expect(scoring, IG_JSON_ARRAY, "dataframe_split.columns", IG_PARSE))
        return scoring->err->code;
    while (ig_json_element(json)) {
        if (*count == IG_SCORING_COLUMNS_MAX)
            return fail(scoring, IG_PARSE, "dataframe_split.columns: more than 65536");
        if (*count >= cap) {
            cap = cap ? cap * 4 : 16;
            struct ig_str *grown = ig_arena_array(scoring->arena, cap, sizeof *grown);
            if (!grown) return ig_fail(scoring->err, IG_NO_MEMORY, "no memory for the call");
            if (*count) memcpy(grown, *out, *count * sizeof *grown);
            *out = grown;
        }
        if (!expect(scoring, IG_JSON_STRING, "dataframe_split.columns", IG_PARSE))
            return scoring->err->code;
        (*out)[(*count)++] = json->text;
    }
    return scoring->err->code;
}

static enum ig_code write_record(struct scoring *scoring, const struct ig_str *columns,
                                 size_t columns_count)
{
    struct ig_json *json = &scoring->json;
    size_t at = 0;
    if (!expect(scoring, IG_JSON_ARRAY, "dataframe_split.data", IG_PARSE))
        return scoring->err->code;
    ig_buf_add_char(scoring->out, '{');
    for (; ig_json_element(json); at++) {
        if (at == columns_count)
            return fail(scoring, IG_PARSE,
                        "dataframe_split.data: a row has more values than columns");
        add_key(scoring, at, columns[at]);
        if (copy_value(scoring) != IG_OK) return scoring->err->code;
    }
    ig_buf_add_char(scoring->out, '}');
    if (scoring->err->code == IG_OK && at != columns_count)
        return fail(scoring, IG_PARSE, "dataframe_split.data: a row has fewer values than columns");
    return scoring->err->code;
}

static enum ig_code write_split(struct scoring *scoring)
{
    struct ig_json *json = &scoring->json, data;
    struct ig_str *columns = NULL;
    size_t count = 0;
    bool has_data = false;
    if (!expect(scoring, IG_JSON_OBJECT, "dataframe_split", IG_PARSE)) return scoring->err->code;
    while (ig_json_member(json)) {
        struct ig_str name = json->text;
        if (ig_str_is(name, "columns")) {
            if (read_columns(scoring, &columns, &count) != IG_OK) return scoring->err->code;
            continue;
        }
        if (!ig_str_is(name, "data") && !ig_str_is(name, "index"))
            return fail_unknown(scoring, "dataframe_split.", name);
        has_data = has_data || ig_str_is(name, "data");
        if (ig_str_is(name, "data")) data = *json;
        if (!ig_json_skip(json)) return scoring->err->code;
    }
    if (!has_data) return fail(scoring, IG_PARSE, "dataframe_split.data: missing");
    if (!columns) return fail(scoring, IG_INVALID, "dataframe_split.columns: missing");
    struct ig_json after = *json;
    *json = data;
    if (!expect(scoring, IG_JSON_ARRAY, "dataframe_split.data", IG_PARSE))
        return scoring->err->code;
    for (size_t i = 0; ig_json_element(json); i++) {
        if (i) ig_buf_add_char(scoring->out, ',');
        if (write_record(scoring, columns, count) != IG_OK) return scoring->err->code;
    }
    *json = after;
    return scoring->err->code;
}

/* ---- inputs ---- */

static enum ig_code open_columns(struct scoring *scoring, struct column **out, size_t *count)
{
    struct ig_json *json = &scoring->json;
    size_t cap = 0;
    while (ig_json_member(json)) {
        if (*count == IG_SCORING_COLUMNS_MAX)
            return fail(scoring, IG_PARSE, "inputs: more than 65536 columns");
        if (*count >= cap) {
            cap = cap ? cap * 4 : 16;
            struct column *grown = ig_arena_array(scoring->arena, cap, sizeof *grown);
            if (!grown) return ig_fail(scoring->err, IG_NO_MEMORY, "no memory for the call");
            if (*count) memcpy(grown, *out, *count * sizeof *grown);
            *out = grown;
        }
        struct column *column = &(*out)[(*count)++];
        column->name = json->text;
        column->values = *json;
        if (!ig_json_expect(&column->values, IG_JSON_ARRAY, "inputs") || !ig_json_skip(json))
            return scoring->err->code;
    }
    return scoring->err->code;
}

/* One row of what stands in columns; *more false behind the last. */
static enum ig_code write_transposed(struct scoring *scoring, struct column *columns, size_t count,
                                     bool *more)
{
    struct ig_str text;
    *more = count && ig_json_element(&columns[0].values);
    for (size_t i = 1; i < count; i++)
        if (ig_json_element(&columns[i].values) != *more)
            return fail(scoring, IG_INVALID, "inputs: its columns have different lengths");
    if (!*more) return scoring->err->code;
    ig_buf_add_char(scoring->out, '{');
    for (size_t i = 0; i < count; i++) {
        add_key(scoring, i, columns[i].name);
        if (!take_value(&text, &columns[i].values)) return scoring->err->code;
        ig_buf_add_str(scoring->out, text);
    }
    ig_buf_add_char(scoring->out, '}');
    return IG_OK;
}

static enum ig_code write_elements(struct scoring *scoring)
{
    for (size_t i = 0; ig_json_element(&scoring->json); i++) {
        if (i) ig_buf_add_char(scoring->out, ',');
        if (copy_value(scoring) != IG_OK) return scoring->err->code;
    }
    return scoring->err->code;
}

static enum ig_code write_inputs(struct scoring *scoring)
{
    struct column *columns = NULL;
    size_t count = 0;
    bool more = true;
    enum ig_json_event event = ig_json_next(&scoring->json);
    if (event == IG_JSON_ARRAY) return write_elements(scoring);
    if (event != IG_JSON_OBJECT)
        return fail(scoring, IG_INVALID, "inputs: expected an object or an array");
    if (open_columns(scoring, &columns, &count) != IG_OK) return scoring->err->code;
    for (size_t i = 0; more; i++) {
        size_t before = scoring->out->len;
        if (i) ig_buf_add_char(scoring->out, ',');
        if (write_transposed(scoring, columns, count, &more) != IG_OK) return scoring->err->code;
        if (!more && !scoring->out->overflowed) scoring->out->len = before;
    }
    return IG_OK;
}

static enum ig_code write_list(struct scoring *scoring, const char *what, enum ig_code code)
{
    if (!expect(scoring, IG_JSON_ARRAY, what, code)) return scoring->err->code;
    return write_elements(scoring);
}

static bool is_rows(struct ig_str key)
{
    return ig_str_is(key, "dataframe_split") || ig_str_is(key, "dataframe_records") ||
           ig_str_is(key, "instances") || ig_str_is(key, "inputs");
}

static enum ig_code write_rows(struct scoring *scoring, struct ig_str key)
{
    if (ig_str_is(key, "dataframe_split")) return write_split(scoring);
    if (ig_str_is(key, "inputs")) return write_inputs(scoring);
    if (ig_str_is(key, "instances")) return write_list(scoring, "instances", IG_INVALID);
    return write_list(scoring, "dataframe_records", IG_PARSE);
}

/* Members beside the rows ("params", a client's id of the request) are passed over. */
static enum ig_code write_body(struct scoring *scoring)
{
    struct ig_json *json = &scoring->json;
    struct ig_str other = {NULL, 0};
    unsigned given = 0;
    if (!expect(scoring, IG_JSON_OBJECT, "body", IG_PARSE)) return scoring->err->code;
    while (ig_json_member(json)) {
        struct ig_str key = json->text;
        if (!is_rows(key)) {
            if (!ig_str_is(key, "params")) other = key;
            if (!ig_json_skip(json)) return scoring->err->code;
            continue;
        }
        if (given++)
            return fail(scoring, IG_PARSE,
                        "give exactly one of dataframe_split, dataframe_records, "
                        "instances, inputs");
        if (write_rows(scoring, key) != IG_OK) return scoring->err->code;
    }
    if (scoring->err->code == IG_OK) ig_json_next(json); /* END, or an error */
    if (scoring->err->code == IG_OK && !given && other.ptr) return fail_unknown(scoring, "", other);
    if (scoring->err->code == IG_OK && !given)
        return fail(scoring, IG_PARSE,
                    "one of dataframe_split, dataframe_records, instances, inputs is expected");
    return scoring->err->code;
}

enum ig_code ig_scoring_instances(struct ig_buf *out, struct ig_str body, struct ig_arena *arena,
                                  struct ig_err *err)
{
    struct scoring scoring = {.out = out, .arena = arena, .err = err};
    ig_json_init(&scoring.json, body, arena, err);
    scoring.json.allow_nan = true;
    ig_buf_add_cstr(out, "{\"instances\":[");
    write_body(&scoring);
    ig_buf_add_cstr(out, "]}");
    if (err->code == IG_OK && out->overflowed)
        ig_fail(err, IG_TOO_LARGE, "the request is too large");
    return err->code;
}

bool ig_scoring_is_binary(struct ig_str content_type)
{
    return ig_str_eq_nocase(ig_str_trim(ig_str_cut(&content_type, ';')),
                            IG_STR("application/vnd.sagemaker-triton.binary+json"));
}

enum ig_code ig_scoring_json_bytes(int64_t *out, struct ig_str content_type, struct ig_err *err)
{
    struct ig_str rest = content_type;
    ig_str_cut(&rest, ';');
    while (rest.ptr) {
        struct ig_str value = ig_str_trim(ig_str_cut(&rest, ';'));
        struct ig_str name = ig_str_cut(&value, '=');
        if (!ig_str_eq_nocase(name, IG_STR("json-header-size"))) continue;
        if (value.ptr && ig_str_to_i64(value, out) && *out >= 0) return IG_OK;
        return ig_fail(err, IG_INVALID, "Content-Type: json-header-size '%.*s' is no length",
                       (int)(value.len > 32 ? 32 : value.len), value.ptr ? value.ptr : "");
    }
    return ig_fail(err, IG_INVALID, "Content-Type: json-header-size is missing");
}

bool ig_scoring_is_oip(struct ig_str body, struct ig_arena *arena)
{
    struct ig_json json;
    struct ig_err unused = IG_ERR_INIT;
    ig_json_init(&json, body, arena, &unused);
    if (ig_json_next(&json) != IG_JSON_OBJECT) return false;
    while (ig_json_member(&json)) {
        if (!ig_str_is(json.text, "inputs")) {
            if (!ig_json_skip(&json)) return false;
            continue;
        }
        if (ig_json_next(&json) != IG_JSON_ARRAY || !ig_json_element(&json) ||
            ig_json_next(&json) != IG_JSON_OBJECT)
            return false;
        while (ig_json_member(&json)) {
            if (ig_str_is(json.text, "datatype")) return true;
            if (!ig_json_skip(&json)) return false;
        }
        return false;
    }
    return false;
}
