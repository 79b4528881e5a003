/* SPDX-License-Identifier: Apache-2.0 */
/* A span becomes the JSON that MLflow's clients write into files: values of attributes are texts of
 * JSON (mlflow/entities/span.py, 3.17.2). A text that is JSON of a text, list or object stays as it
 * is: clients have written such attributes once already.
 *
 * Thread rule: pure. */
#include "api/otlp.h"

#include "base/base64.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/proto.h"
#include "services/tracking/json_text.h"

#include <math.h>
#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof(array)[0])
enum { TRACE_BYTES = 16, SPAN_BYTES = 8, TRACE_ID = 3 + 2 * TRACE_BYTES };

struct attribute {
    struct ig_str key, text; /* JSON */
};
struct attributes {
    struct attribute *items;
    size_t count, cap;
};

struct event {
    struct ig_str name;
    uint64_t time_ns;
    struct attributes attributes;
};
struct link {
    struct ig_str trace, span; /* ids in hex */
    struct attributes attributes;
};

struct raw_span {
    struct ig_str trace, id, parent, name, message; /* ids are bytes */
    uint64_t start_ns, end_ns, status;
    struct attributes attributes;
    struct event *events;
    struct link *links;
    size_t events_count, events_cap, links_count, links_cap;
};

struct reader {
    struct ig_arena *arena;
    struct ig_err *err;
    struct ig_buf buf; /* of what is being written */
    struct ig_trace_span *spans;
    size_t count, cap, groups;
    struct attributes resource;
};

static enum ig_code malformed(struct reader *reader)
{
    return ig_fail(reader->err, IG_PARSE, "not an ExportTraceServiceRequest");
}

static enum ig_code no_memory(struct reader *reader)
{
    return ig_fail(reader->err, IG_NO_MEMORY, "spans");
}

static enum ig_code too_many(struct reader *reader, const char *what, int max)
{
    return ig_fail(reader->err, IG_TOO_LARGE, "%s: more than %d", what, max);
}

/* The bytes in the buffer, kept. */
static enum ig_code keep(struct ig_str *out, struct reader *reader)
{
    if (reader->buf.overflowed)
        return ig_fail(reader->err, IG_TOO_LARGE, "a span of more than %d bytes",
                       IG_OTLP_SPAN_BYTES_MAX);
    *out = ig_arena_dup(reader->arena, ig_buf_view(&reader->buf));
    return out->ptr ? IG_OK : no_memory(reader);
}

/* ---- values ---- */

struct frame {
    struct ig_proto rest;
    bool object, first;
};

/* The member that is set, the last one if several are. False: none. */
static bool last_member(struct ig_proto_field *out, struct reader *reader, struct ig_str any)
{
    struct ig_proto_field field;
    struct ig_proto proto;
    bool found = false;
    ig_proto_init(&proto, any);
    while (ig_proto_next(&proto, &field))
        if (field.number >= 1 && field.number <= 7) *out = field, found = true;
    if (proto.bad) malformed(reader);
    return found && !proto.bad;
}

static enum ig_code write_scalar(struct reader *reader, const struct ig_proto_field *field)
{
    double real;
    bool bytes = field->number == 1 || field->number == 7;
    if (bytes != (field->wire == IG_PROTO_BYTES)) return malformed(reader);
    switch (field->number) {
    case 1:
        if (!ig_str_utf8_valid(field->bytes)) return malformed(reader);
        ig_json_text_add_str(&reader->buf, field->bytes);
        break;
    case 2:
        ig_buf_add_cstr(&reader->buf, field->value ? "true" : "false");
        break;
    case 3:
        ig_buf_add_i64(&reader->buf, (int64_t)field->value);
        break;
    case 4:
        memcpy(&real, &field->value, sizeof real);
        ig_json_text_add_f64(&reader->buf, real);
        break;
    default:
        ig_buf_add_char(&reader->buf, '"');
        ig_base64_add(&reader->buf, field->bytes);
        ig_buf_add_char(&reader->buf, '"');
    }
    return IG_OK;
}

/* Writes a value, or opens a list or an object of them. */
static enum ig_code write_any(struct reader *reader, struct frame *stack, size_t *depth,
                              struct ig_str any)
{
    struct ig_proto_field field;
    if (!last_member(&field, reader, any)) {
        ig_buf_add_cstr(&reader->buf, "null");
        return reader->err->code;
    }
    if (field.number != 5 && field.number != 6) return write_scalar(reader, &field);
    if (field.wire != IG_PROTO_BYTES) return malformed(reader);
    if (*depth == IG_OTLP_DEPTH_MAX)
        return ig_fail(reader->err, IG_TOO_LARGE, "a value nested more than %d deep",
                       IG_OTLP_DEPTH_MAX);
    stack[*depth] = (struct frame){.object = field.number == 6, .first = true};
    ig_proto_init(&stack[(*depth)++].rest, field.bytes);
    ig_buf_add_char(&reader->buf, field.number == 6 ? '{' : '[');
    return IG_OK;
}

/* KeyValue: its key, and its value's bytes. */
static enum ig_code read_key_value(struct ig_str *key, struct ig_str *value, struct reader *reader,
                                   struct ig_str message)
{
    struct ig_proto_field field;
    struct ig_proto proto;
    *key = *value = IG_STR("");
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        if (field.number > 2) continue;
        if (field.wire != IG_PROTO_BYTES) return malformed(reader);
        *(field.number == 1 ? key : value) = field.bytes;
    }
    return proto.bad || !ig_str_utf8_valid(*key) ? malformed(reader) : IG_OK;
}

/* AnyValue as JSON, into the buffer. */
static enum ig_code write_value(struct reader *reader, struct ig_str any)
{
    struct frame stack[IG_OTLP_DEPTH_MAX];
    struct ig_proto_field field;
    size_t depth = 0;
    if (write_any(reader, stack, &depth, any) != IG_OK) return reader->err->code;
    while (depth) {
        struct frame *top = &stack[depth - 1];
        if (!ig_proto_next(&top->rest, &field)) {
            if (top->rest.bad) return malformed(reader);
            ig_buf_add_char(&reader->buf, top->object ? '}' : ']');
            depth--;
            continue;
        }
        if (field.number != 1) continue;
        if (field.wire != IG_PROTO_BYTES) return malformed(reader);
        if (!top->first) ig_buf_add_cstr(&reader->buf, ", ");
        top->first = false;
        struct ig_str value = field.bytes, key;
        if (top->object) {
            if (read_key_value(&key, &value, reader, field.bytes) != IG_OK)
                return reader->err->code;
            ig_json_text_add_str(&reader->buf, key);
            ig_buf_add_cstr(&reader->buf, ": ");
        }
        if (write_any(reader, stack, &depth, value) != IG_OK) return reader->err->code;
    }
    return IG_OK;
}

/* Whether it is JSON of a text, a list or an object. */
static bool is_json(struct ig_str text, struct ig_arena *arena)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    enum ig_json_event event;
    struct ig_str trimmed = ig_str_trim(text);
    if (!trimmed.len || !memchr("\"[{", *trimmed.ptr, 3)) return false;
    ig_json_init(&json, text, arena, &err);
    json.allow_nan = true;
    do event = ig_json_next(&json);
    while (event != IG_JSON_ERROR && event != IG_JSON_END);
    return event == IG_JSON_END;
}

static enum ig_code read_attribute(struct attributes *out, struct reader *reader,
                                   struct ig_str message)
{
    struct ig_proto_field field;
    struct ig_str key, value;
    if (read_key_value(&key, &value, reader, message) != IG_OK) return reader->err->code;
    if (out->count == IG_OTLP_ATTRIBUTES_MAX)
        return too_many(reader, "attributes", IG_OTLP_ATTRIBUTES_MAX);
    out->items =
        ig_arena_grow(reader->arena, out->items, out->count, &out->cap, sizeof *out->items);
    if (!out->items) return no_memory(reader);
    struct attribute *attribute = &out->items[out->count++];
    attribute->key = key;
    if (last_member(&field, reader, value) && field.number == 1 && field.wire == IG_PROTO_BYTES &&
        ig_str_utf8_valid(field.bytes) && is_json(field.bytes, reader->arena)) {
        attribute->text = field.bytes;
        return IG_OK;
    }
    ig_buf_reset(&reader->buf);
    if (write_value(reader, value) != IG_OK) return reader->err->code;
    return keep(&attribute->text, reader);
}

/* ---- messages ---- */

static bool is_text(const struct ig_proto_field *field)
{
    return field->wire == IG_PROTO_BYTES && ig_str_utf8_valid(field->bytes);
}

static enum ig_code read_event(struct raw_span *span, struct reader *reader, struct ig_str message)
{
    struct ig_proto_field field;
    struct ig_proto proto;
    if (span->events_count == IG_OTLP_ATTRIBUTES_MAX)
        return too_many(reader, "events", IG_OTLP_ATTRIBUTES_MAX);
    span->events = ig_arena_grow(reader->arena, span->events, span->events_count, &span->events_cap,
                                 sizeof *span->events);
    if (!span->events) return no_memory(reader);
    struct event *event = &span->events[span->events_count++];
    *event = (struct event){.name = IG_STR("")};
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        bool good = true;
        if (field.number == 1) event->time_ns = field.value;
        if (field.number == 2 && (good = is_text(&field))) event->name = field.bytes;
        if (field.number == 3)
            good = field.wire == IG_PROTO_BYTES &&
                   read_attribute(&event->attributes, reader, field.bytes) == IG_OK;
        if (!good) return malformed(reader);
    }
    return proto.bad ? malformed(reader) : IG_OK;
}

static struct ig_str hex(struct reader *reader, const char *prefix, struct ig_str bytes)
{
    char text[2 * TRACE_BYTES + 1];
    ig_hex(text, (const unsigned char *)bytes.ptr, bytes.len);
    return ig_str_view(ig_arena_printf(reader->arena, "%s%s", prefix, text));
}

static enum ig_code read_link(struct raw_span *span, struct reader *reader, struct ig_str message)
{
    struct ig_proto_field field;
    struct ig_proto proto;
    if (span->links_count == IG_OTLP_ATTRIBUTES_MAX)
        return too_many(reader, "links", IG_OTLP_ATTRIBUTES_MAX);
    span->links = ig_arena_grow(reader->arena, span->links, span->links_count, &span->links_cap,
                                sizeof *span->links);
    if (!span->links) return no_memory(reader);
    struct link *link = &span->links[span->links_count++];
    *link = (struct link){IG_STR(""), IG_STR(""), {0}};
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        bool good = true, trace = field.number == 1;
        if (trace || field.number == 2) {
            good = field.wire == IG_PROTO_BYTES &&
                   field.bytes.len == (trace ? TRACE_BYTES : SPAN_BYTES);
            if (good)
                *(trace ? &link->trace : &link->span) =
                    hex(reader, trace ? "tr-" : "", field.bytes);
        }
        if (field.number == 4)
            good = field.wire == IG_PROTO_BYTES &&
                   read_attribute(&link->attributes, reader, field.bytes) == IG_OK;
        if (!good) return malformed(reader);
    }
    return proto.bad ? malformed(reader) : IG_OK;
}

static enum ig_code read_status(struct raw_span *span, struct reader *reader, struct ig_str message)
{
    struct ig_proto_field field;
    struct ig_proto proto;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        if (field.number == 3) span->status = field.value;
        if (field.number != 2) continue;
        if (!is_text(&field)) return malformed(reader);
        span->message = field.bytes;
    }
    return proto.bad ? malformed(reader) : IG_OK;
}

static enum ig_code read_span_field(struct raw_span *span, struct reader *reader,
                                    const struct ig_proto_field *field)
{
    struct ig_str *const bytes = field->number == 1   ? &span->trace
                                 : field->number == 2 ? &span->id
                                 : field->number == 4 ? &span->parent
                                 : field->number == 5 ? &span->name
                                                      : NULL;
    bool within = bytes || field->number == 9 || field->number == 11 || field->number == 13 ||
                  field->number == 15;
    if (within && field->wire != IG_PROTO_BYTES) return malformed(reader);
    if (field->number == 5 && !is_text(field)) return malformed(reader);
    if (bytes) *bytes = field->bytes;
    if (field->number == 7) span->start_ns = field->value;
    if (field->number == 8) span->end_ns = field->value;
    if (field->number == 9) return read_attribute(&span->attributes, reader, field->bytes);
    if (field->number == 11) return read_event(span, reader, field->bytes);
    if (field->number == 13) return read_link(span, reader, field->bytes);
    if (field->number == 15) return read_status(span, reader, field->bytes);
    return IG_OK;
}

/* ---- the span of ours ---- */

static void add_id(struct reader *reader, const char *name, struct ig_str bytes)
{
    ig_buf_printf(&reader->buf, "\"%s\": \"", name);
    ig_base64_add(&reader->buf, bytes);
    ig_buf_add_cstr(&reader->buf, "\", ");
}

/* `as_texts`: the values are texts that hold JSON. */
static void add_attributes(struct reader *reader, const struct attributes *attributes,
                           bool as_texts)
{
    ig_buf_add_char(&reader->buf, '{');
    for (size_t i = 0; i < attributes->count; i++) {
        if (i) ig_buf_add_cstr(&reader->buf, ", ");
        ig_json_text_add_str(&reader->buf, attributes->items[i].key);
        ig_buf_add_cstr(&reader->buf, ": ");
        if (as_texts)
            ig_json_text_add_str(&reader->buf, attributes->items[i].text);
        else
            ig_buf_add_str(&reader->buf, attributes->items[i].text);
    }
    ig_buf_add_char(&reader->buf, '}');
}

static void add_events(struct reader *reader, const struct raw_span *span)
{
    ig_buf_add_cstr(&reader->buf, "\"events\": [");
    for (size_t i = 0; i < span->events_count; i++) {
        const struct event *event = &span->events[i];
        ig_buf_add_cstr(&reader->buf, i ? ", {\"name\": " : "{\"name\": ");
        ig_json_text_add_str(&reader->buf, event->name);
        ig_buf_add_cstr(&reader->buf, ", \"time_unix_nano\": ");
        ig_buf_add_u64(&reader->buf, event->time_ns);
        ig_buf_add_cstr(&reader->buf, ", \"attributes\": ");
        add_attributes(reader, &event->attributes, false);
        ig_buf_add_char(&reader->buf, '}');
    }
    ig_buf_add_cstr(&reader->buf, "], ");
}

static void add_links(struct reader *reader, const struct raw_span *span)
{
    ig_buf_add_cstr(&reader->buf, ", \"links\": [");
    for (size_t i = 0; i < span->links_count; i++) {
        const struct link *link = &span->links[i];
        ig_buf_printf(&reader->buf,
                      "%s{\"trace_id\": \"%.*s\", \"span_id\": \"%.*s\", \"attributes\": ",
                      i ? ", " : "", IG_STR_ARGS(link->trace), IG_STR_ARGS(link->span));
        add_attributes(reader, &link->attributes, false);
        ig_buf_add_char(&reader->buf, '}');
    }
    ig_buf_add_char(&reader->buf, ']');
}

static void add_content(struct reader *reader, const struct raw_span *span, const char *status)
{
    ig_buf_reset(&reader->buf);
    ig_buf_add_char(&reader->buf, '{');
    add_id(reader, "trace_id", span->trace);
    add_id(reader, "span_id", span->id);
    if (span->parent.len)
        add_id(reader, "parent_span_id", span->parent);
    else
        ig_buf_add_cstr(&reader->buf, "\"parent_span_id\": null, ");
    ig_buf_add_cstr(&reader->buf, "\"name\": ");
    ig_json_text_add_str(&reader->buf, span->name);
    ig_buf_printf(&reader->buf, ", \"start_time_unix_nano\": %llu, \"end_time_unix_nano\": ",
                  (unsigned long long)span->start_ns);
    if (span->end_ns)
        ig_buf_add_u64(&reader->buf, span->end_ns);
    else
        ig_buf_add_cstr(&reader->buf, "null");
    ig_buf_add_cstr(&reader->buf, ", ");
    add_events(reader, span);
    ig_buf_printf(&reader->buf, "\"status\": {\"code\": \"STATUS_CODE_%s\", \"message\": ", status);
    ig_json_text_add_str(&reader->buf, span->message);
    ig_buf_add_cstr(&reader->buf, "}, \"attributes\": ");
    add_attributes(reader, &span->attributes, true);
    add_links(reader, span);
    ig_buf_add_char(&reader->buf, '}');
}

/* The text that JSON of one is; ptr NULL when it is of something else. */
static struct ig_str unquoted(struct reader *reader, struct ig_str text)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    ig_json_init(&json, text, reader->arena, &err);
    if (ig_json_next(&json) != IG_JSON_STRING) return (struct ig_str){NULL, 0};
    return json.text;
}

/* {"input_tokens": 5, ...}, {"total_cost": 0.5, ...} */
static void read_numbers(struct ig_trace_span *span, struct reader *reader, struct ig_str text)
{
    static const char *const tokens[] = {"input_tokens", "output_tokens", "total_tokens",
                                         "cache_read_input_tokens", "cache_creation_input_tokens"};
    static const char *const costs[] = {"input_cost", "output_cost", "total_cost"};
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    ig_json_init(&json, text, reader->arena, &err);
    if (!ig_json_expect(&json, IG_JSON_OBJECT, "usage")) return;
    while (ig_json_member(&json)) {
        struct ig_str name = json.text;
        struct ig_json ahead = json;
        double number = -1;
        if (ig_json_next(&ahead) == IG_JSON_NUMBER) ig_str_to_f64(ahead.text, &number);
        if (!ig_json_skip(&json)) return;
        for (size_t i = 0; i < COUNT(tokens); i++)
            if (ig_str_is(name, tokens[i]) && number >= 0 && number < 9e15)
                span->tokens[i] = (int64_t)number;
        for (size_t i = 0; i < COUNT(costs); i++)
            if (ig_str_is(name, costs[i]) && isfinite(number)) span->costs[i] = number;
    }
}

static enum ig_code add_tag(struct ig_tracking_pair *tags, size_t *count, struct reader *reader,
                            struct ig_str key, struct ig_str text)
{
    struct ig_str value = unquoted(reader, text);
    if (!value.ptr) value = text;
    /* MLflow passes over those that would be no tag */
    if (key.len && key.len <= 250 && value.len <= 4096 && !memchr(key.ptr, '\0', key.len) &&
        !memchr(value.ptr, '\0', value.len))
        tags[(*count)++] = (struct ig_tracking_pair){key, value};
    return IG_OK;
}

/* Of the resource, and of the root what its client called a tag of the trace. */
static enum ig_code read_tags(struct ig_trace_span *out, struct reader *reader,
                              const struct raw_span *span)
{
    static const char PREFIX[] = "mlflow.traceTag.";
    struct ig_tracking_pair *tags = ig_arena_array(
        reader->arena, reader->resource.count + span->attributes.count + 1, sizeof *tags);
    size_t count = 0;
    if (!tags) return no_memory(reader);
    for (size_t i = 0; i < reader->resource.count; i++) {
        const struct attribute *of = &reader->resource.items[i];
        if (!ig_str_starts(of->key, IG_STR("telemetry.sdk.")) &&
            !ig_str_starts(of->key, IG_STR("mlflow.")))
            add_tag(tags, &count, reader, of->key, of->text);
    }
    for (size_t i = 0; !span->parent.len && i < span->attributes.count; i++) {
        const struct attribute *of = &span->attributes.items[i];
        if (ig_str_starts(of->key, ig_str_view(PREFIX)))
            add_tag(
                tags, &count, reader,
                (struct ig_str){of->key.ptr + sizeof PREFIX - 1, of->key.len - (sizeof PREFIX - 1)},
                of->text);
    }
    out->tags = (struct ig_tracking_pairs){tags, count};
    return IG_OK;
}

static void read_words(struct ig_trace_span *out, struct reader *reader,
                       const struct raw_span *span)
{
    const struct {
        const char *key;
        struct ig_str *out;
    } words[] = {{"mlflow.spanType", &out->type},           {"mlflow.llm.model", &out->model},
                 {"mlflow.llm.provider", &out->provider},   {"session.id", &out->session},
                 {"gen_ai.conversation.id", &out->session}, {"user.id", &out->user}};
    for (size_t i = 0; i < span->attributes.count; i++) {
        const struct attribute *of = &span->attributes.items[i];
        for (size_t j = 0; j < COUNT(words); j++)
            if (ig_str_is(of->key, words[j].key) && !words[j].out->ptr)
                *words[j].out = unquoted(reader, of->text);
        if (ig_str_is(of->key, "mlflow.spanInputs")) out->inputs = of->text;
        if (ig_str_is(of->key, "mlflow.spanOutputs")) out->outputs = of->text;
        if (ig_str_is(of->key, "mlflow.chat.tokenUsage") || ig_str_is(of->key, "mlflow.llm.cost"))
            read_numbers(out, reader, of->text);
    }
}

/* Whoever sends a span does not say which trace it is of but by the trace's id. */
static enum ig_code name_trace(struct raw_span *span, struct reader *reader, struct ig_str trace)
{
    struct attributes *list = &span->attributes;
    size_t at = 0;
    while (at < list->count && !ig_str_is(list->items[at].key, "mlflow.traceRequestId")) at++;
    if (at == list->count) {
        list->items =
            ig_arena_grow(reader->arena, list->items, list->count, &list->cap, sizeof *list->items);
        if (!list->items) return no_memory(reader);
        list->count++;
    }
    const char *text = ig_arena_printf(reader->arena, "\"%.*s\"", IG_STR_ARGS(trace));
    list->items[at] = (struct attribute){IG_STR("mlflow.traceRequestId"), ig_str_view(text)};
    return IG_OK;
}

static enum ig_code check_span(const struct raw_span *span, struct reader *reader)
{
    static const uint64_t LAST_NS = INT64_MAX;
    if (span->trace.len != TRACE_BYTES || span->id.len != SPAN_BYTES ||
        (span->parent.len && span->parent.len != SPAN_BYTES))
        return ig_fail(reader->err, IG_INVALID,
                       "a span's trace_id has 16 bytes, its span_id and parent_span_id 8");
    if (span->start_ns > LAST_NS || span->end_ns > LAST_NS)
        return ig_fail(reader->err, IG_INVALID, "a span's time is beyond the year 2262");
    for (size_t i = 0; i < span->events_count; i++)
        if (span->events[i].time_ns > LAST_NS)
            return ig_fail(reader->err, IG_INVALID, "an event's time is beyond the year 2262");
    return IG_OK;
}

static enum ig_code add_span(struct reader *reader, struct raw_span *span)
{
    static const char *const statuses[] = {"UNSET", "OK", "ERROR"};
    const struct ig_str none = {NULL, 0};
    const char *status = statuses[span->status < COUNT(statuses) ? span->status : 0];
    if (check_span(span, reader) != IG_OK) return reader->err->code;
    reader->spans = ig_arena_grow(reader->arena, reader->spans, reader->count, &reader->cap,
                                  sizeof *reader->spans);
    if (!reader->spans) return no_memory(reader);
    struct ig_trace_span *out = &reader->spans[reader->count++];
    *out = (struct ig_trace_span){.trace = hex(reader, "tr-", span->trace),
                                  .id = hex(reader, "", span->id),
                                  .parent = span->parent.len ? hex(reader, "", span->parent) : none,
                                  .name = span->name,
                                  .status = ig_str_view(status),
                                  .start_ns = (int64_t)span->start_ns,
                                  .end_ns = (int64_t)span->end_ns};
    for (size_t i = 0; i < IG_TRACE_TOKENS_COUNT; i++) out->tokens[i] = -1;
    for (size_t i = 0; i < IG_TRACE_COSTS_COUNT; i++) out->costs[i] = NAN;
    if (reader->arena->overflowed) return no_memory(reader);
    read_words(out, reader, span);
    if (read_tags(out, reader, span) != IG_OK || name_trace(span, reader, out->trace) != IG_OK)
        return reader->err->code;
    add_content(reader, span, status);
    return keep(&out->content, reader);
}

static enum ig_code read_span(struct reader *reader, struct ig_str message)
{
    struct raw_span span = {.name = IG_STR(""), .message = IG_STR("")};
    struct ig_proto_field field;
    struct ig_proto proto;
    if (reader->count == IG_OTLP_SPANS_MAX) return too_many(reader, "spans", IG_OTLP_SPANS_MAX);
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field))
        if (read_span_field(&span, reader, &field) != IG_OK) return reader->err->code;
    return proto.bad ? malformed(reader) : add_span(reader, &span);
}

/* Every field `number` of a message, which are messages. */
static enum ig_code each(struct reader *reader, struct ig_str message, uint32_t number,
                         enum ig_code (*read)(struct reader *reader, struct ig_str message))
{
    struct ig_proto_field field;
    struct ig_proto proto;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field)) {
        if (field.number != number) continue;
        if (field.wire != IG_PROTO_BYTES) return malformed(reader);
        if (read(reader, field.bytes) != IG_OK) return reader->err->code;
    }
    return proto.bad ? malformed(reader) : IG_OK;
}

static enum ig_code read_resource_attribute(struct reader *reader, struct ig_str message)
{
    return read_attribute(&reader->resource, reader, message);
}

static enum ig_code read_resource(struct reader *reader, struct ig_str message)
{
    return each(reader, message, 1, read_resource_attribute);
}

static enum ig_code read_scope_spans(struct reader *reader, struct ig_str message)
{
    return each(reader, message, 2, read_span);
}

static enum ig_code read_resource_spans(struct reader *reader, struct ig_str message)
{
    reader->groups++;
    reader->resource = (struct attributes){0};
    if (each(reader, message, 1, read_resource) != IG_OK) return reader->err->code;
    return each(reader, message, 2, read_scope_spans);
}

enum ig_code ig_otlp_read(struct ig_trace_span **out, size_t *count, size_t *groups,
                          struct ig_str request, struct ig_arena *arena, struct ig_err *err)
{
    struct reader reader = {.arena = arena, .err = err};
    ig_buf_init(&reader.buf, IG_OTLP_SPAN_BYTES_MAX);
    if (each(&reader, request, 1, read_resource_spans) == IG_OK) {
        *out = reader.spans;
        *count = reader.count;
        *groups = reader.groups;
    }
    ig_buf_deinit(&reader.buf);
    return err->code;
}
