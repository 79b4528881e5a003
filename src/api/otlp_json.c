/* SPDX-License-Identifier: Apache-2.0 */
/* OTLP's JSON (opentelemetry.io/docs/specs/otlp, "JSON Protobuf Encoding"): protobuf's, but ids are
 * hex. A table of messages leads the way; a stack of open messages takes the place of recursion.
 *
 * Thread rule: pure. */
#include "api/mlflow_request.h"
#include "api/otlp.h"
#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/proto.h"

#define COUNT(array) (sizeof(array) / sizeof(array)[0])

enum message {
    REQUEST,
    RESOURCE_SPANS,
    RESOURCE,
    SCOPE_SPANS,
    SPAN,
    EVENT,
    LINK,
    STATUS,
    KEY_VALUE,
    ANY,
    ARRAY,
    KEY_VALUES,
};

enum type { MESSAGE, TEXT, HEX, BASE64, FIXED, WHOLE, REAL, TRUTH, STATUS_CODE };

static const struct field {
    enum message of;
    const char *name;
    uint32_t number;
    enum type type;
    enum message sub; /* of MESSAGE */
    bool repeated;
} FIELDS[] = {
    {REQUEST, "resource_spans", 1, MESSAGE, RESOURCE_SPANS, true},
    {RESOURCE_SPANS, "resource", 1, MESSAGE, RESOURCE, false},
    {RESOURCE_SPANS, "scope_spans", 2, MESSAGE, SCOPE_SPANS, true},
    {RESOURCE, "attributes", 1, MESSAGE, KEY_VALUE, true},
    {SCOPE_SPANS, "spans", 2, MESSAGE, SPAN, true},
    {SPAN, "trace_id", 1, HEX, 0, false},
    {SPAN, "span_id", 2, HEX, 0, false},
    {SPAN, "parent_span_id", 4, HEX, 0, false},
    {SPAN, "name", 5, TEXT, 0, false},
    {SPAN, "start_time_unix_nano", 7, FIXED, 0, false},
    {SPAN, "end_time_unix_nano", 8, FIXED, 0, false},
    {SPAN, "attributes", 9, MESSAGE, KEY_VALUE, true},
    {SPAN, "events", 11, MESSAGE, EVENT, true},
    {SPAN, "links", 13, MESSAGE, LINK, true},
    {SPAN, "status", 15, MESSAGE, STATUS, false},
    {EVENT, "time_unix_nano", 1, FIXED, 0, false},
    {EVENT, "name", 2, TEXT, 0, false},
    {EVENT, "attributes", 3, MESSAGE, KEY_VALUE, true},
    {LINK, "trace_id", 1, HEX, 0, false},
    {LINK, "span_id", 2, HEX, 0, false},
    {LINK, "attributes", 4, MESSAGE, KEY_VALUE, true},
    {STATUS, "message", 2, TEXT, 0, false},
    {STATUS, "code", 3, STATUS_CODE, 0, false},
    {KEY_VALUE, "key", 1, TEXT, 0, false},
    {KEY_VALUE, "value", 2, MESSAGE, ANY, false},
    {ANY, "string_value", 1, TEXT, 0, false},
    {ANY, "bool_value", 2, TRUTH, 0, false},
    {ANY, "int_value", 3, WHOLE, 0, false},
    {ANY, "double_value", 4, REAL, 0, false},
    {ANY, "array_value", 5, MESSAGE, ARRAY, false},
    {ANY, "kvlist_value", 6, MESSAGE, KEY_VALUES, false},
    {ANY, "bytes_value", 7, BASE64, 0, false},
    {ARRAY, "values", 1, MESSAGE, ANY, true},
    {KEY_VALUES, "values", 1, MESSAGE, KEY_VALUE, true},
};

struct frame {
    enum message of;
    const struct field *list; /* its elements come; NULL: members of a message do */
    size_t at;                /* where the message began in the buffer */
};

struct reader {
    struct ig_buf *out;
    struct ig_json json;
    struct frame stack[IG_JSON_DEPTH_MAX + 1];
    size_t depth;
};

static enum ig_code bad(struct reader *reader, const struct field *field)
{
    return ig_fail_at(reader->json.err, IG_PARSE, ig_json_position(&reader->json),
                      "%s: not a value of its type", field->name);
}

static enum ig_code add_hex(struct reader *reader, const struct field *field, struct ig_str text)
{
    size_t at = ig_proto_open(reader->out, field->number);
    bool good = text.len % 2 == 0;
    for (size_t i = 0; good && i < text.len; i += 2) {
        int high = ig_hex_digit(text.ptr[i]), low = ig_hex_digit(text.ptr[i + 1]);
        good = high >= 0 && low >= 0;
        ig_buf_add_char(reader->out, (char)((high & 15) << 4 | (low & 15)));
    }
    ig_proto_close(reader->out, at);
    return good ? IG_OK : bad(reader, field);
}

static enum ig_code add_base64(struct reader *reader, const struct field *field, struct ig_str text)
{
    size_t at = ig_proto_open(reader->out, field->number);
    bool good = ig_base64_decode(reader->out, text);
    ig_proto_close(reader->out, at);
    return good ? IG_OK : bad(reader, field);
}

static bool status_code(int64_t *out, struct ig_str text)
{
    static const char *const codes[] = {"STATUS_CODE_UNSET", "STATUS_CODE_OK", "STATUS_CODE_ERROR"};
    for (size_t i = 0; i < COUNT(codes); i++)
        if (ig_str_is(text, codes[i])) *out = (int64_t)i;
    return *out >= 0 || ig_str_to_i64(text, out);
}

/* A number, or a text that holds one. */
static enum ig_code add_number(struct reader *reader, const struct field *field, struct ig_str text)
{
    int64_t whole = -1;
    uint64_t natural;
    double real;
    switch (field->type) {
    case FIXED:
        if (!ig_str_to_u64(text, &natural)) return bad(reader, field);
        memcpy(&real, &natural, sizeof real); /* the same eight bytes */
        ig_proto_add_f64(reader->out, field->number, real);
        return IG_OK;
    case REAL:
        if (!ig_str_to_f64(text, &real)) return bad(reader, field);
        ig_proto_add_f64(reader->out, field->number, real);
        return IG_OK;
    default:
        if (field->type == STATUS_CODE ? !status_code(&whole, text) : !ig_str_to_i64(text, &whole))
            return bad(reader, field);
        ig_proto_add_varint(reader->out, field->number, (uint64_t)whole);
        return IG_OK;
    }
}

static enum ig_code add_scalar(struct reader *reader, const struct field *field,
                               enum ig_json_event event)
{
    struct ig_str text = reader->json.text;
    if (field->type == TRUTH) {
        if (event != IG_JSON_BOOL) return bad(reader, field);
        ig_proto_add_varint(reader->out, field->number, reader->json.boolean);
        return IG_OK;
    }
    bool number = field->type != TEXT && field->type != HEX && field->type != BASE64;
    if (event != IG_JSON_STRING && !(number && event == IG_JSON_NUMBER)) return bad(reader, field);
    if (number) return add_number(reader, field, text);
    if (field->type == HEX) return add_hex(reader, field, text);
    if (field->type == BASE64) return add_base64(reader, field, text);
    ig_proto_add_bytes(reader->out, field->number, text);
    return IG_OK;
}

static void push(struct reader *reader, enum message of, const struct field *list, size_t at)
{
    reader->stack[reader->depth++] = (struct frame){of, list, at};
}

static enum ig_code add_value(struct reader *reader, const struct field *field,
                              enum ig_json_event event)
{
    struct frame *top = &reader->stack[reader->depth - 1];
    bool of_list = top->list != NULL;
    if (event == IG_JSON_NULL && !of_list) return IG_OK;
    if (field->type == MESSAGE && field->repeated && !of_list) {
        if (event != IG_JSON_ARRAY) return bad(reader, field);
        push(reader, field->sub, field, 0);
        return IG_OK;
    }
    if (field->type != MESSAGE) return add_scalar(reader, field, event);
    if (event != IG_JSON_OBJECT) return bad(reader, field);
    push(reader, field->sub, NULL, ig_proto_open(reader->out, field->number));
    return IG_OK;
}

static const struct field *find(enum message of, struct ig_str name)
{
    for (size_t i = 0; i < COUNT(FIELDS); i++)
        if (FIELDS[i].of == of && ig_mlflow_named(name, FIELDS[i].name)) return &FIELDS[i];
    return NULL;
}

/* One member, one element, or an end. */
static enum ig_code step(struct reader *reader)
{
    struct frame top = reader->stack[reader->depth - 1];
    enum ig_json_event event = ig_json_next(&reader->json);
    if (event == IG_JSON_ERROR) return reader->json.err->code;
    if (event == IG_JSON_ARRAY_END || event == IG_JSON_OBJECT_END) {
        reader->depth--;
        if (!top.list && reader->depth) ig_proto_close(reader->out, top.at);
        return IG_OK;
    }
    if (top.list) return add_value(reader, top.list, event);
    const struct field *field = find(top.of, reader->json.text);
    if (!field) return ig_json_skip(&reader->json) ? IG_OK : reader->json.err->code;
    event = ig_json_next(&reader->json);
    return event == IG_JSON_ERROR ? reader->json.err->code : add_value(reader, field, event);
}

enum ig_code ig_otlp_json_to_proto(struct ig_buf *out, struct ig_str json, struct ig_arena *arena,
                                   struct ig_err *err)
{
    struct reader reader = {.out = out};
    ig_json_init(&reader.json, json, arena, err);
    if (!ig_json_expect(&reader.json, IG_JSON_OBJECT, "request")) return err->code;
    push(&reader, REQUEST, NULL, 0);
    while (reader.depth)
        if (step(&reader) != IG_OK) return err->code;
    if (ig_json_next(&reader.json) == IG_JSON_ERROR) return err->code;
    return out->overflowed ? ig_fail(err, IG_TOO_LARGE, "request: too large") : IG_OK;
}
