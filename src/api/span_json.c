/* SPDX-License-Identifier: Apache-2.0 */
/* Thread rule: pure. */
#include "api/span_json.h"

#include "base/base64.h"
#include "base/hash.h"

#include <math.h>

enum { VALUES_DEPTH_MAX = 24 /* four levels of the answer each */ };

/* ---- values ---- */

static void write_number(struct ig_json_out *out, struct ig_str text)
{
    int64_t whole;
    double real = 0;
    if (ig_str_to_i64(text, &whole)) {
        ig_json_out_kv_i64(out, "int_value", whole);
        return;
    }
    ig_str_to_f64(text, &real);
    if (isfinite(real))
        ig_json_out_kv_f64(out, "double_value", real);
    else
        ig_json_out_kv_str(out, "double_value",
                           ig_str_view(isnan(real) ? "NaN"
                                       : real > 0  ? "Infinity"
                                                   : "-Infinity"));
}

static void open_list(struct ig_json_out *out, bool object)
{
    ig_json_out_object(out);
    ig_json_out_key(out, ig_str_view(object ? "kvlist_value" : "array_value"));
    ig_json_out_object(out);
    ig_json_out_key(out, IG_STR("values"));
    ig_json_out_array(out);
}

static void write_scalar(struct ig_json_out *out, const struct ig_json *json,
                         enum ig_json_event event)
{
    ig_json_out_object(out);
    if (event == IG_JSON_STRING) ig_json_out_kv_str(out, "string_value", json->text);
    if (event == IG_JSON_BOOL) ig_json_out_kv_bool(out, "bool_value", json->boolean);
    if (event == IG_JSON_NUMBER) write_number(out, json->text);
    ig_json_out_object_end(out);
}

/* The value that comes next as an AnyValue; a copy of the reader has seen how deep it is. */
static void write_value(struct ig_json_out *out, struct ig_json *json)
{
    uint64_t objects = 0; /* a bit a level */
    int depth = 0;
    do {
        enum ig_json_event event = ig_json_next(json);
        bool opens = event == IG_JSON_ARRAY || event == IG_JSON_OBJECT;
        if (event == IG_JSON_KEY) {
            ig_json_out_object(out);
            ig_json_out_kv_str(out, "key", json->text);
            ig_json_out_key(out, IG_STR("value"));
            continue;
        }
        if (opens) {
            open_list(out, event == IG_JSON_OBJECT);
            objects = objects << 1 | (event == IG_JSON_OBJECT);
            depth++;
            continue;
        }
        if (event == IG_JSON_ARRAY_END || event == IG_JSON_OBJECT_END) {
            ig_json_out_array_end(out);
            ig_json_out_object_end(out);
            ig_json_out_object_end(out);
            objects >>= 1;
            depth--;
        } else {
            write_scalar(out, json, event);
        }
        if (depth && (objects & 1)) ig_json_out_object_end(out); /* of the key and its value */
    } while (depth);
}

/* Whether the value that comes is JSON throughout, and not too deep. */
static bool may_be_written(const struct ig_json *json)
{
    struct ig_json ahead = *json;
    struct ig_err err = IG_ERR_INIT;
    int depth = 0;
    ahead.err = &err;
    do {
        enum ig_json_event event = ig_json_next(&ahead);
        if (event == IG_JSON_ERROR || event == IG_JSON_END) return false;
        if (event == IG_JSON_ARRAY || event == IG_JSON_OBJECT) depth++;
        if (event == IG_JSON_ARRAY_END || event == IG_JSON_OBJECT_END) depth--;
        if (depth > VALUES_DEPTH_MAX) return false;
    } while (depth);
    return true;
}

static void write_text_value(struct ig_json_out *out, struct ig_str text)
{
    ig_json_out_object(out);
    ig_json_out_kv_str(out, "string_value", text);
    ig_json_out_object_end(out);
}

/* A text that holds JSON; what is none stays a text. */
static void write_from_text(struct ig_json_out *out, struct ig_str text, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    ig_json_init(&json, text, arena, &err);
    json.allow_nan = true;
    if (!may_be_written(&json)) {
        write_text_value(out, text);
        return;
    }
    struct ig_json rest = json; /* nothing but white space may follow */
    if (!ig_json_skip(&rest) || ig_json_next(&rest) != IG_JSON_END)
        write_text_value(out, text);
    else
        write_value(out, &json);
}

/* ---- members ---- */

/* {"key": value} as [{"key", "value"}]. `as_texts`: the values are texts that hold JSON. */
static void write_attributes(struct ig_json_out *out, struct ig_json *json, bool as_texts)
{
    struct ig_str text;
    if (!ig_json_expect(json, IG_JSON_OBJECT, "attributes")) return;
    ig_json_out_key(out, IG_STR("attributes"));
    ig_json_out_array(out);
    while (ig_json_member(json)) {
        struct ig_json ahead = *json;
        ig_json_out_object(out);
        ig_json_out_kv_str(out, "key", json->text);
        ig_json_out_key(out, IG_STR("value"));
        if (as_texts && ig_json_next(&ahead) == IG_JSON_STRING) {
            if (ig_json_string(json, &text, "attributes")) write_from_text(out, text, json->arena);
        } else if (may_be_written(json)) {
            write_value(out, json);
        } else {
            ig_json_skip(json);
            write_text_value(out, IG_STR(""));
        }
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_time(struct ig_json_out *out, struct ig_json *json, const char *key)
{
    struct ig_json ahead = *json;
    int64_t time;
    if (ig_json_next(&ahead) == IG_JSON_NULL)
        ig_json_skip(json);
    else if (ig_json_i64(json, &time, key))
        ig_json_out_kv_i64(out, key, time);
}

/* An id: base64 as it stands, or of links hex with "tr-" before it. */
static void write_id(struct ig_json_out *out, struct ig_json *json, const char *key, bool hex)
{
    struct ig_json ahead = *json;
    struct ig_str text;
    char bytes[16], encoded[25];
    struct ig_buf buf;
    if (ig_json_next(&ahead) == IG_JSON_NULL) {
        ig_json_skip(json);
        return;
    }
    if (!ig_json_string(json, &text, key)) return;
    if (!hex) {
        if (text.len) ig_json_out_kv_str(out, key, text);
        return;
    }
    if (ig_str_starts(text, IG_STR("tr-"))) text = (struct ig_str){text.ptr + 3, text.len - 3};
    size_t size = text.len / 2 < sizeof bytes ? text.len / 2 : sizeof bytes;
    for (size_t i = 0; i < size; i++)
        bytes[i] = (char)((ig_hex_digit(text.ptr[2 * i]) & 15) << 4 |
                          (ig_hex_digit(text.ptr[2 * i + 1]) & 15));
    ig_buf_init(&buf, sizeof encoded);
    ig_base64_add(&buf, (struct ig_str){bytes, size});
    ig_json_out_kv_str(out, key, ig_buf_view(&buf));
    ig_buf_deinit(&buf);
}

static void write_status(struct ig_json_out *out, struct ig_json *json)
{
    struct ig_str code = IG_STR(""), message = IG_STR("");
    if (!ig_json_expect(json, IG_JSON_OBJECT, "status")) return;
    while (ig_json_member(json)) {
        struct ig_json ahead = *json;
        struct ig_str *to = ig_str_is(json->text, "code")      ? &code
                            : ig_str_is(json->text, "message") ? &message
                                                               : NULL;
        if (!(to && ig_json_next(&ahead) == IG_JSON_STRING ? ig_json_string(json, to, "status")
                                                           : ig_json_skip(json)))
            return;
    }
    ig_json_out_key(out, IG_STR("status"));
    ig_json_out_object(out);
    if (message.len) ig_json_out_kv_str(out, "message", message);
    if (code.len && !ig_str_is(code, "STATUS_CODE_UNSET")) ig_json_out_kv_str(out, "code", code);
    ig_json_out_object_end(out);
}

/* Events, or links. */
static void write_list(struct ig_json_out *out, struct ig_json *json, const char *key)
{
    struct ig_str name;
    struct ig_json ahead = *json;
    bool empty = ig_json_next(&ahead) != IG_JSON_ARRAY;
    if (!empty) empty = ig_json_next(&ahead) == IG_JSON_ARRAY_END;
    if (empty) {
        ig_json_skip(json);
        return;
    }
    ig_json_expect(json, IG_JSON_ARRAY, key);
    ig_json_out_key(out, ig_str_view(key));
    ig_json_out_array(out);
    while (ig_json_element(json)) {
        ig_json_out_object(out);
        if (!ig_json_expect(json, IG_JSON_OBJECT, key)) break;
        while (ig_json_member(json)) {
            ahead = *json;
            bool nothing = ig_json_next(&ahead) == IG_JSON_NULL;
            if (!nothing && ig_str_is(json->text, "attributes"))
                write_attributes(out, json, false);
            else if (ig_str_is(json->text, "time_unix_nano"))
                write_time(out, json, "time_unix_nano");
            else if (ig_str_is(json->text, "trace_id"))
                write_id(out, json, "trace_id", true);
            else if (ig_str_is(json->text, "span_id"))
                write_id(out, json, "span_id", true);
            else if (!nothing && ig_str_is(json->text, "name") &&
                     ig_json_string(json, &name, "name"))
                ig_json_out_kv_str(out, "name", name);
            else
                ig_json_skip(json);
        }
        ig_json_out_object_end(out);
    }
    ig_json_out_array_end(out);
}

static void write_member(struct ig_json_out *out, struct ig_json *json)
{
    static const char *const ids[] = {"trace_id", "span_id", "parent_span_id"};
    static const char *const times[] = {"start_time_unix_nano", "end_time_unix_nano"};
    struct ig_str name = json->text, text;
    for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++)
        if (ig_str_is(name, ids[i])) {
            write_id(out, json, ids[i], false);
            return;
        }
    for (size_t i = 0; i < sizeof times / sizeof times[0]; i++)
        if (ig_str_is(name, times[i])) {
            write_time(out, json, times[i]);
            return;
        }
    if (ig_str_is(name, "attributes"))
        write_attributes(out, json, true);
    else if (ig_str_is(name, "status"))
        write_status(out, json);
    else if (ig_str_is(name, "events"))
        write_list(out, json, "events");
    else if (ig_str_is(name, "links"))
        write_list(out, json, "links");
    else if (!ig_str_is(name, "name"))
        ig_json_skip(json);
    else if (ig_json_string(json, &text, "name"))
        ig_json_out_kv_str(out, "name", text);
}

enum ig_code ig_span_json_write(struct ig_json_out *out, struct ig_str content,
                                struct ig_arena *arena, struct ig_err *err)
{
    struct ig_json json;
    ig_json_init(&json, content, arena, err);
    json.allow_nan = true;
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "span")) return err->code;
    ig_json_out_object(out);
    while (ig_json_member(&json)) write_member(out, &json);
    ig_json_out_object_end(out);
    return err->code;
}
