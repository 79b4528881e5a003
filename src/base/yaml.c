/* SPDX-License-Identifier: Apache-2.0 */
/* YAML as a tree, from libyaml's events. Invariant: stack[depth-1] is the container being filled.
 */
#include "base/yaml.h"

#include <string.h>
#include <yaml.h>

enum { NODES_MAX = 10000000, MEMBERS_MAX = 4096 };

struct level {
    struct ig_yaml *node;
    struct ig_yaml *last; /* newest child */
    struct ig_str key;
    bool has_key; /* a mapping's key waits for its value */
};

struct builder {
    struct ig_arena *arena;
    struct ig_err *err;
    struct level stack[IG_YAML_DEPTH_MAX];
    int depth;
    size_t nodes_count;
    struct ig_yaml *root;
};

static void fail_line(struct builder *builder, const yaml_event_t *event, const char *what)
{
    ig_fail_at(builder->err, IG_PARSE, event->start_mark.index, "YAML line %zu: %s",
               event->start_mark.line + 1, what);
}

static bool attach(struct builder *builder, const yaml_event_t *event, struct ig_yaml *node)
{
    if (!builder->depth) {
        builder->root = node;
        return true;
    }
    struct level *level = &builder->stack[builder->depth - 1];
    if (level->node->kind == IG_YAML_MAPPING) {
        node->key = level->key;
        level->has_key = false;
        if (level->node->count == MEMBERS_MAX) {
            fail_line(builder, event, "a mapping with more than 4096 members");
            return false;
        }
        for (const struct ig_yaml *child = level->node->first; child; child = child->next) {
            if (!ig_str_eq(child->key, node->key)) continue;
            ig_fail_at(builder->err, IG_PARSE, event->start_mark.index,
                       "YAML line %zu: key '%.*s' stands twice", event->start_mark.line + 1,
                       IG_STR_ARGS(node->key));
            return false;
        }
    }
    if (level->last)
        level->last->next = node;
    else
        level->node->first = node;
    level->last = node;
    level->node->count++;
    return true;
}

static bool wants_key(const struct builder *builder)
{
    if (!builder->depth) return false;
    const struct level *level = &builder->stack[builder->depth - 1];
    IG_ASSERT(level->node != NULL);
    return level->node->kind == IG_YAML_MAPPING && !level->has_key;
}

static struct ig_yaml *node_new(struct builder *builder, const yaml_event_t *event,
                                enum ig_yaml_kind kind)
{
    struct ig_yaml *node = ig_arena_zalloc(builder->arena, sizeof *node);
    if (!node || ++builder->nodes_count > NODES_MAX) {
        ig_fail(builder->err, IG_TOO_LARGE, "YAML: too many nodes");
        return NULL;
    }
    node->kind = kind;
    node->line = (int)event->start_mark.line + 1;
    return node;
}

static void add_scalar(struct builder *builder, const yaml_event_t *event)
{
    struct ig_str text = {(const char *)event->data.scalar.value, event->data.scalar.length};
    bool quoted = event->data.scalar.style != YAML_PLAIN_SCALAR_STYLE;
    struct ig_str copy = ig_arena_dup(builder->arena, text);
    if (!copy.ptr) {
        ig_fail(builder->err, IG_NO_MEMORY, "YAML: out of memory");
        return;
    }
    if (wants_key(builder)) {
        struct level *level = &builder->stack[builder->depth - 1];
        if (ig_str_is(copy, "<<") && !quoted) {
            fail_line(builder, event, "merge keys are not supported");
            return;
        }
        level->key = copy;
        level->has_key = true;
        return;
    }
    struct ig_yaml *node = node_new(builder, event, IG_YAML_SCALAR);
    if (!node) return;
    node->text = copy;
    node->quoted = quoted;
    attach(builder, event, node);
}

static void open_container(struct builder *builder, const yaml_event_t *event)
{
    if (wants_key(builder)) {
        fail_line(builder, event, "a key must be a scalar");
        return;
    }
    if (builder->depth == IG_YAML_DEPTH_MAX) {
        fail_line(builder, event, "nested deeper than 32");
        return;
    }
    struct ig_yaml *node =
        node_new(builder, event,
                 event->type == YAML_MAPPING_START_EVENT ? IG_YAML_MAPPING : IG_YAML_SEQUENCE);
    if (!node || !attach(builder, event, node)) return;
    builder->stack[builder->depth++] = (struct level){.node = node};
}

static bool decorated(const yaml_event_t *event)
{
    switch (event->type) {
    case YAML_SCALAR_EVENT:
        return event->data.scalar.anchor || event->data.scalar.tag;
    case YAML_SEQUENCE_START_EVENT:
        return event->data.sequence_start.anchor || event->data.sequence_start.tag;
    case YAML_MAPPING_START_EVENT:
        return event->data.mapping_start.anchor || event->data.mapping_start.tag;
    default:
        return event->type == YAML_ALIAS_EVENT;
    }
}

static void take_event(struct builder *builder, const yaml_event_t *event)
{
    if (decorated(event)) {
        fail_line(builder, event, "anchors, aliases and tags are not supported");
        return;
    }
    switch (event->type) {
    case YAML_DOCUMENT_START_EVENT:
        if (builder->root) fail_line(builder, event, "more than one document");
        break;
    case YAML_SCALAR_EVENT:
        add_scalar(builder, event);
        break;
    case YAML_SEQUENCE_START_EVENT:
    case YAML_MAPPING_START_EVENT:
        open_container(builder, event);
        break;
    case YAML_SEQUENCE_END_EVENT:
    case YAML_MAPPING_END_EVENT:
        builder->depth--;
        break;
    default:
        break;
    }
}

enum ig_code ig_yaml_parse(const struct ig_yaml **out, struct ig_str input, struct ig_arena *arena,
                           struct ig_err *err)
{
    struct builder builder = {.arena = arena, .err = err};
    yaml_parser_t parser;
    if (!yaml_parser_initialize(&parser)) return ig_fail(err, IG_NO_MEMORY, "YAML: out of memory");
    yaml_parser_set_encoding(&parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&parser, (const unsigned char *)(input.ptr ? input.ptr : ""),
                                 input.len);
    bool ended = false;
    while (!ended && err->code == IG_OK) {
        yaml_event_t event;
        if (!yaml_parser_parse(&parser, &event)) {
            ig_fail_at(err, IG_PARSE, parser.problem_offset, "YAML line %zu: %s",
                       parser.problem_mark.line + 1, parser.problem ? parser.problem : "bad input");
            break;
        }
        take_event(&builder, &event);
        ended = event.type == YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
    }
    yaml_parser_delete(&parser);
    if (err->code == IG_OK && !builder.root) ig_fail(err, IG_PARSE, "YAML: the document is empty");
    if (err->code == IG_OK) *out = builder.root;
    return err->code;
}

const struct ig_yaml *ig_yaml_get(const struct ig_yaml *mapping, const char *key)
{
    if (!mapping || mapping->kind != IG_YAML_MAPPING) return NULL;
    for (const struct ig_yaml *child = mapping->first; child; child = child->next)
        if (ig_str_is(child->key, key)) return child;
    return NULL;
}

static enum ig_code refuse(const struct ig_yaml *node, const char *what, const char *wanted,
                           struct ig_err *err)
{
    if (!node) return ig_fail(err, IG_INVALID, "%s: missing, expected %s", what, wanted);
    if (node->kind != IG_YAML_SCALAR)
        return ig_fail(err, IG_INVALID, "%s (line %d): expected %s", what, node->line, wanted);
    return ig_fail(err, IG_INVALID, "%s (line %d): '%.*s' is not %s", what, node->line,
                   IG_STR_ARGS(node->text), wanted);
}

static bool scalar(const struct ig_yaml *node)
{
    return node && node->kind == IG_YAML_SCALAR;
}

enum ig_code ig_yaml_str(struct ig_str *out, const struct ig_yaml *node, const char *what,
                         struct ig_err *err)
{
    if (!scalar(node)) return refuse(node, what, "text", err);
    *out = node->text;
    return IG_OK;
}

enum ig_code ig_yaml_f64(double *out, const struct ig_yaml *node, const char *what,
                         struct ig_err *err)
{
    if (scalar(node) && !node->quoted && ig_str_to_f64(node->text, out)) return IG_OK;
    return refuse(node, what, "a number", err);
}

enum ig_code ig_yaml_i64(int64_t *out, const struct ig_yaml *node, const char *what,
                         struct ig_err *err)
{
    if (scalar(node) && !node->quoted && ig_str_to_i64(node->text, out)) return IG_OK;
    return refuse(node, what, "an integer", err);
}

enum ig_code ig_yaml_bool(bool *out, const struct ig_yaml *node, const char *what,
                          struct ig_err *err)
{
    if (scalar(node) && !node->quoted) {
        bool is_true = ig_str_is(node->text, "true"), is_false = ig_str_is(node->text, "false");
        if (is_true || is_false) {
            *out = is_true;
            return IG_OK;
        }
    }
    return refuse(node, what, "true or false", err);
}

/* Characters beyond ASCII that a reader may fold, drop or refuse when they stand as such: C1
 * controls (among them NEL), line and paragraph separators, the byte order mark, U+FFFE and U+FFFF.
 */
static bool add_wide_escape(struct ig_buf *buf, struct ig_str character)
{
    static const struct {
        struct ig_str bytes;
        const char *escape;
    } rows[] = {{{"\xE2\x80\xA8", 3}, "\\u2028"},
                {{"\xE2\x80\xA9", 3}, "\\u2029"},
                {{"\xEF\xBB\xBF", 3}, "\\uFEFF"},
                {{"\xEF\xBF\xBE", 3}, "\\uFFFE"},
                {{"\xEF\xBF\xBF", 3}, "\\uFFFF"}};
    unsigned char first = (unsigned char)character.ptr[0];
    if (first == 0xC2 && (unsigned char)character.ptr[1] < 0xA0) {
        ig_buf_printf(buf, "\\x%02x", (unsigned char)character.ptr[1]);
        return true;
    }
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        if (!ig_str_eq(rows[i].bytes, character)) continue;
        ig_buf_add_cstr(buf, rows[i].escape);
        return true;
    }
    return false;
}

void ig_yaml_add_quoted(struct ig_buf *buf, struct ig_str text)
{
    ig_buf_add_char(buf, '"');
    while (text.len) {
        unsigned char c = (unsigned char)text.ptr[0];
        size_t length = ig_str_utf8_length(text), step = length ? length : 1;
        if (c == '"' || c == '\\') {
            ig_buf_add_char(buf, '\\');
            ig_buf_add_char(buf, (char)c);
        } else if (c < 0x20 || c == 0x7f) {
            ig_buf_printf(buf, "\\x%02x", c);
        } else if (!length) {
            ig_buf_add_cstr(buf, "\\uFFFD");
        } else if (length == 1 || !add_wide_escape(buf, (struct ig_str){text.ptr, length})) {
            ig_buf_add(buf, text.ptr, length);
        }
        text.ptr += step;
        text.len -= step;
    }
    ig_buf_add_char(buf, '"');
}
