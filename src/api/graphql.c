/* SPDX-License-Identifier: Apache-2.0 */
/* Reads GraphQL: tokens, then a tree in the arena. Nested selections and values are kept on stacks
 * of a fixed height, never by recursion. */
#include "api/graphql.h"

#include <stdio.h>

enum { SHOWN_MAX = 40 };

enum token { END, NAME, INT, FLOAT, STRING, SPREAD, SIGN /* any other, its own character */ };

struct reader {
    const char *start, *at, *end;
    struct ig_arena *arena;
    struct ig_err *err;
    enum token token;
    struct ig_str text;    /* of the token; of strings what they say */
    const char *token_at;  /* where it begins */
    const char *behind_at; /* where the token before ended */
    size_t selections, values;
};

static bool fail_at(struct reader *reader, const char *at, const char *words, struct ig_str text)
{
    ig_fail_at(reader->err, IG_INVALID, (size_t)(at - reader->start),
               "Syntax Error: %s %.*s at byte %zu.", words,
               text.len > SHOWN_MAX ? SHOWN_MAX : (int)text.len, text.ptr ? text.ptr : "",
               (size_t)(at - reader->start));
    return false;
}

static bool unexpected(struct reader *reader, const char *expected)
{
    char words[64];
    snprintf(words, sizeof words, "Expected %s, found", expected);
    if (reader->err->code != IG_OK) return false;
    return fail_at(reader, reader->token_at, words,
                   reader->token == END ? IG_STR("<EOF>") : reader->text);
}

static void *room(struct reader *reader, size_t size_bytes)
{
    void *item = ig_arena_zalloc(reader->arena, size_bytes);
    if (!item) ig_fail(reader->err, IG_NO_MEMORY, "no memory for the query");
    return item;
}

/* ---- tokens ---- */

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_name_start(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_';
}

static bool has(const struct reader *reader, const char *text)
{
    return ig_str_starts((struct ig_str){reader->at, (size_t)(reader->end - reader->at)},
                         ig_str_view(text));
}

static void skip_blanks(struct reader *reader)
{
    for (; reader->at < reader->end; reader->at++) {
        if (*reader->at == '#')
            while (reader->at + 1 < reader->end && reader->at[1] != '\n' && reader->at[1] != '\r')
                reader->at++;
        else if (!*reader->at || !strchr(" \t\r\n,", *reader->at))
            break;
    }
}

static bool digits(struct reader *reader)
{
    const char *first = reader->at;
    while (reader->at < reader->end && is_digit(*reader->at)) reader->at++;
    return reader->at > first ||
           fail_at(reader, first, "Invalid number, expected digit", (struct ig_str){0});
}

static bool read_number(struct reader *reader)
{
    const char *first = reader->at;
    reader->token = INT;
    if (*reader->at == '-') reader->at++;
    const char *lead = reader->at;
    if (!digits(reader)) return false;
    if (*lead == '0' && reader->at - lead > 1)
        return fail_at(reader, lead, "Invalid number, unexpected digit after", IG_STR("0"));
    if (reader->at < reader->end && *reader->at == '.') {
        reader->token = FLOAT;
        reader->at++;
        if (!digits(reader)) return false;
    }
    if (reader->at < reader->end && (*reader->at == 'e' || *reader->at == 'E')) {
        reader->token = FLOAT;
        reader->at++;
        if (has(reader, "+") || has(reader, "-")) reader->at++;
        if (!digits(reader)) return false;
    }
    reader->text = (struct ig_str){first, (size_t)(reader->at - first)};
    if (reader->at < reader->end && (is_name_start(*reader->at) || *reader->at == '.'))
        return fail_at(reader, reader->at, "Invalid number, unexpected",
                       (struct ig_str){reader->at, 1});
    return true;
}

/* Its escapes are JSON's, but for a slash that none has to escape. */
static bool read_string(struct reader *reader)
{
    const char *first = reader->at++;
    struct ig_json json;
    while (reader->at < reader->end && *reader->at != '"' && *reader->at != '\n' &&
           *reader->at != '\r')
        reader->at += *reader->at == '\\' && reader->end - reader->at > 1 ? 2 : 1;
    if (reader->at >= reader->end || *reader->at != '"')
        return fail_at(reader, first, "Unterminated string.", (struct ig_str){0});
    reader->at++;
    struct ig_err inner = IG_ERR_INIT;
    ig_json_init(&json, (struct ig_str){first, (size_t)(reader->at - first)}, reader->arena,
                 &inner);
    if (ig_json_next(&json) != IG_JSON_STRING)
        return fail_at(reader, first, "Invalid string",
                       (struct ig_str){first, (size_t)(reader->at - first)});
    reader->token = STRING;
    reader->text = json.text;
    return true;
}

/* """text""", without the dedenting that only descriptions are written with. */
static bool read_block_string(struct reader *reader)
{
    const char *first = reader->at;
    reader->at += 3;
    const char *inside = reader->at;
    while (reader->at < reader->end && !has(reader, "\"\"\"")) reader->at++;
    if (reader->at >= reader->end)
        return fail_at(reader, first, "Unterminated string.", (struct ig_str){0});
    reader->token = STRING;
    reader->text = (struct ig_str){inside, (size_t)(reader->at - inside)};
    reader->at += 3;
    return true;
}

static bool next(struct reader *reader)
{
    reader->behind_at = reader->at;
    skip_blanks(reader);
    reader->token_at = reader->at;
    reader->text = (struct ig_str){reader->at, 1};
    if (reader->at >= reader->end) {
        reader->token = END;
        return true;
    }
    if (is_digit(*reader->at) || *reader->at == '-') return read_number(reader);
    if (has(reader, "\"\"\"")) return read_block_string(reader);
    if (*reader->at == '"') return read_string(reader);
    if (has(reader, "...")) {
        reader->token = SPREAD;
        reader->text.len = 3;
    } else if (is_name_start(*reader->at)) {
        const char *to = reader->at;
        while (to < reader->end && (is_name_start(*to) || is_digit(*to))) to++;
        reader->token = NAME;
        reader->text.len = (size_t)(to - reader->at);
    } else {
        if (!*reader->at || !strchr("!$&()*:=@[]{|}", *reader->at))
            return fail_at(reader, reader->at, "Unexpected character", reader->text);
        reader->token = SIGN;
    }
    reader->at += reader->text.len;
    return true;
}

static bool is_sign(const struct reader *reader, char sign)
{
    return reader->token == SIGN && reader->text.ptr[0] == sign;
}

/* Whether it was there; it is passed over then. */
static bool take_sign(struct reader *reader, char sign)
{
    return is_sign(reader, sign) && next(reader);
}

static bool expect_sign(struct reader *reader, char sign)
{
    const char expected[] = {'\'', sign, '\'', '\0'};
    return is_sign(reader, sign) ? next(reader) : unexpected(reader, expected);
}

static bool expect_name(struct reader *reader, struct ig_str *out)
{
    if (reader->token != NAME) return unexpected(reader, "Name");
    *out = reader->text;
    return next(reader);
}

/* ---- values ---- */

/* At *tail, where the list goes on. */
static struct ig_graphql_value *add_value(struct reader *reader, struct ig_graphql_value **tail)
{
    if (++reader->values > IG_GRAPHQL_VALUES_MAX)
        ig_fail(reader->err, IG_INVALID, "Syntax Error: more than %d values.",
                IG_GRAPHQL_VALUES_MAX);
    else
        *tail = room(reader, sizeof **tail);
    return *tail;
}

static enum ig_graphql_value_kind kind_of_name(struct ig_str name)
{
    if (ig_str_is(name, "null")) return IG_GRAPHQL_NULL;
    if (ig_str_is(name, "true") || ig_str_is(name, "false")) return IG_GRAPHQL_BOOL;
    return IG_GRAPHQL_ENUM;
}

/* A value but for what a list or object holds: of these the sign that opens them. */
static bool read_opening(struct reader *reader, struct ig_graphql_value *out)
{
    static const enum ig_graphql_value_kind kinds[] = {
        [INT] = IG_GRAPHQL_INT, [FLOAT] = IG_GRAPHQL_FLOAT, [STRING] = IG_GRAPHQL_STRING};
    if (take_sign(reader, '$')) {
        out->kind = IG_GRAPHQL_VARIABLE;
        return expect_name(reader, &out->text);
    }
    if (is_sign(reader, '[') || is_sign(reader, '{')) {
        out->kind = is_sign(reader, '[') ? IG_GRAPHQL_LIST : IG_GRAPHQL_OBJECT;
        return next(reader);
    }
    if (reader->token == END || reader->token > STRING) return unexpected(reader, "a value");
    out->text = reader->text;
    out->kind = reader->token == NAME ? kind_of_name(reader->text) : kinds[reader->token];
    return next(reader);
}

/* One value behind its name, with all that it holds. */
static bool read_value(struct reader *reader, struct ig_graphql_value *value)
{
    struct {
        const struct ig_graphql_value *of;
        struct ig_graphql_value **tail;
    } open[IG_GRAPHQL_NESTED_MAX];
    size_t depth = 0;
    for (;;) {
        if (!read_opening(reader, value)) return false;
        if (value->kind == IG_GRAPHQL_LIST || value->kind == IG_GRAPHQL_OBJECT) {
            if (depth == IG_GRAPHQL_NESTED_MAX)
                return fail_at(reader, reader->token_at, "values too deep", (struct ig_str){0});
            open[depth].of = value;
            open[depth++].tail = &value->first;
        }
        while (depth && is_sign(reader, open[depth - 1].of->kind == IG_GRAPHQL_LIST ? ']' : '}')) {
            IG_ASSERT(depth > 0);
            depth--;
            if (!next(reader)) return false;
        }
        if (!depth) return reader->err->code == IG_OK;
        bool named = open[depth - 1].of->kind == IG_GRAPHQL_OBJECT;
        value = add_value(reader, open[depth - 1].tail);
        if (!value) return false;
        open[depth - 1].tail = &value->next;
        if (named && (!expect_name(reader, &value->name) || !expect_sign(reader, ':')))
            return false;
    }
}

/* (name: value, ...), or nothing. */
static bool read_arguments(struct reader *reader, struct ig_graphql_value **out)
{
    if (!take_sign(reader, '(')) return reader->err->code == IG_OK;
    do {
        struct ig_graphql_value *value = add_value(reader, out);
        if (!value || !expect_name(reader, &value->name) || !expect_sign(reader, ':') ||
            !read_value(reader, value))
            return false;
        out = &value->next;
    } while (!is_sign(reader, ')'));
    return next(reader);
}

/* ---- selections ---- */

static bool read_directives(struct reader *reader, struct ig_graphql_directive **out)
{
    while (take_sign(reader, '@')) {
        struct ig_graphql_directive *directive = room(reader, sizeof *directive);
        if (!directive || !expect_name(reader, &directive->name) ||
            !read_arguments(reader, &directive->arguments))
            return false;
        *out = directive;
        out = &directive->next;
    }
    return reader->err->code == IG_OK;
}

/* Up to the selections that it may have. */
static bool read_selection(struct reader *reader, struct ig_graphql_selection *out)
{
    if (reader->token == SPREAD) {
        if (!next(reader)) return false;
        bool conditional = reader->token == NAME && ig_str_is(reader->text, "on");
        out->kind = conditional || reader->token != NAME ? IG_GRAPHQL_INLINE : IG_GRAPHQL_SPREAD;
        if (conditional && !next(reader)) return false;
        if ((conditional || reader->token == NAME) && !expect_name(reader, &out->name))
            return false;
    } else {
        if (!expect_name(reader, &out->name)) return false;
        out->key = out->name;
        out->aliased = take_sign(reader, ':');
        if (out->aliased && !expect_name(reader, &out->name)) return false;
        if (!read_arguments(reader, &out->arguments)) return false;
    }
    if (!read_directives(reader, &out->directives)) return false;
    bool opens = is_sign(reader, '{');
    if (opens && out->kind == IG_GRAPHQL_SPREAD) return unexpected(reader, "a selection");
    return opens || out->kind != IG_GRAPHQL_INLINE || unexpected(reader, "'{'");
}

static bool read_selections(struct reader *reader, struct ig_graphql_selection **out)
{
    struct ig_graphql_selection **tails[IG_GRAPHQL_NESTED_MAX], *selection;
    size_t depth = 0;
    bool opened = true; /* nothing stands behind the last '{' yet */
    if (!expect_sign(reader, '{')) return false;
    tails[0] = out;
    for (;;) {
        while (!opened && is_sign(reader, '}')) {
            if (!next(reader)) return false;
            if (!depth--) return true;
        }
        selection = room(reader, sizeof *selection);
        if (!selection || !read_selection(reader, selection)) return false;
        if (++reader->selections > IG_GRAPHQL_SELECTIONS_MAX)
            return fail_at(reader, reader->token_at, "too many selections", (struct ig_str){0});
        *tails[depth] = selection;
        tails[depth] = &selection->next;
        opened = is_sign(reader, '{');
        if (!opened) continue;
        if (++depth == IG_GRAPHQL_NESTED_MAX)
            return fail_at(reader, reader->token_at, "selections too deep", (struct ig_str){0});
        tails[depth] = &selection->first;
        if (!next(reader)) return false;
    }
}

/* ---- definitions ---- */

/* "[String!]!" */
static bool read_type(struct reader *reader, struct ig_graphql_variable *out)
{
    const char *first = reader->token_at;
    struct ig_str name;
    size_t lists = 0;
    while (take_sign(reader, '[')) lists++;
    if (lists > IG_GRAPHQL_NESTED_MAX)
        return fail_at(reader, reader->token_at, "types too deep", (struct ig_str){0});
    if (!expect_name(reader, &name)) return false;
    for (;;) {
        out->required = take_sign(reader, '!');
        if (!lists--) break;
        if (!expect_sign(reader, ']')) return false;
    }
    out->type = (struct ig_str){first, (size_t)(reader->behind_at - first)};
    return reader->err->code == IG_OK;
}

/* ($name: Type = value @directive, ...), or nothing. */
static bool read_variables(struct reader *reader, struct ig_graphql_variable **out)
{
    if (!take_sign(reader, '(')) return reader->err->code == IG_OK;
    do {
        struct ig_graphql_variable *variable = room(reader, sizeof *variable);
        struct ig_graphql_directive *ignored = NULL;
        if (!variable || !expect_sign(reader, '$') || !expect_name(reader, &variable->name) ||
            !expect_sign(reader, ':') || !read_type(reader, variable))
            return false;
        if (take_sign(reader, '=')) {
            struct ig_graphql_value *value = add_value(reader, &variable->fallback);
            if (!value || !read_value(reader, value)) return false;
            if (value->kind == IG_GRAPHQL_VARIABLE) return unexpected(reader, "a constant value");
        }
        if (!read_directives(reader, &ignored)) return false;
        *out = variable;
        out = &variable->next;
    } while (!is_sign(reader, ')'));
    return next(reader);
}

static bool read_definition(struct reader *reader, struct ig_graphql_definition *out)
{
    static const char *const words[] = {"query", "mutation", "subscription", "fragment"};
    size_t kind = 0;
    struct ig_str word = {NULL, 0};
    if (is_sign(reader, '{')) return read_selections(reader, &out->first);
    while (kind < 4 && !(reader->token == NAME && ig_str_is(reader->text, words[kind]))) kind++;
    if (kind == 4) return unexpected(reader, "a definition");
    out->kind = (enum ig_graphql_definition_kind)kind;
    if (!next(reader)) return false;
    if (out->kind == IG_GRAPHQL_FRAGMENT) {
        if (!expect_name(reader, &out->name)) return false;
        if (ig_str_is(out->name, "on")) return unexpected(reader, "a fragment's name");
        if (!expect_name(reader, &word)) return false;
        if (!ig_str_is(word, "on")) return unexpected(reader, "'on'");
        if (!expect_name(reader, &out->type)) return false;
    } else {
        if (reader->token == NAME && !expect_name(reader, &out->name)) return false;
        if (!read_variables(reader, &out->variables)) return false;
    }
    return read_directives(reader, &out->directives) && read_selections(reader, &out->first);
}

enum ig_code ig_graphql_parse(struct ig_graphql_definition **out, struct ig_str text,
                              struct ig_arena *arena, struct ig_err *err)
{
    struct reader reader = {
        .start = text.ptr, .at = text.ptr, .end = text.ptr + text.len, .arena = arena, .err = err};
    struct ig_graphql_definition *first = NULL, **tail = &first;
    size_t count = 0;
    if (text.len > IG_GRAPHQL_BYTES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "query: %zu bytes, expected at most %d", text.len,
                       IG_GRAPHQL_BYTES_MAX);
    if (!ig_str_utf8_valid(text)) return ig_fail(err, IG_INVALID, "query: not UTF-8");
    if (has(&reader, "\xEF\xBB\xBF")) reader.at += 3;
    if (!next(&reader)) return err->code;
    do {
        struct ig_graphql_definition *definition = room(&reader, sizeof *definition);
        if (++count > IG_GRAPHQL_DEFINITIONS_MAX)
            return ig_fail(err, IG_INVALID, "Syntax Error: more than %d definitions.",
                           IG_GRAPHQL_DEFINITIONS_MAX);
        if (!definition || !read_definition(&reader, definition)) return err->code;
        *tail = definition;
        tail = &definition->next;
    } while (reader.token != END);
    *out = first;
    return IG_OK;
}

/* ---- variables ---- */

/* Takes what the JSON reader has just read. */
static void set_value(struct ig_graphql_value *value, const struct ig_json *json,
                      enum ig_json_event event)
{
    static const enum ig_graphql_value_kind kinds[] = {
        [IG_JSON_NULL] = IG_GRAPHQL_NULL,  [IG_JSON_BOOL] = IG_GRAPHQL_BOOL,
        [IG_JSON_NUMBER] = IG_GRAPHQL_INT, [IG_JSON_STRING] = IG_GRAPHQL_STRING,
        [IG_JSON_ARRAY] = IG_GRAPHQL_LIST, [IG_JSON_OBJECT] = IG_GRAPHQL_OBJECT};
    value->kind = kinds[event];
    if (event == IG_JSON_BOOL) value->text = json->boolean ? IG_STR("true") : IG_STR("false");
    if (event == IG_JSON_NUMBER || event == IG_JSON_STRING) value->text = json->text;
    for (size_t i = 0; event == IG_JSON_NUMBER && i < json->text.len; i++)
        if (strchr(".eE", json->text.ptr[i])) value->kind = IG_GRAPHQL_FLOAT;
}

enum ig_code ig_graphql_variables(struct ig_graphql_value **out, struct ig_str json_text,
                                  struct ig_arena *arena, struct ig_err *err)
{
    struct reader reader = {.arena = arena, .err = err};
    struct ig_graphql_value *whole = NULL, **tails[IG_GRAPHQL_NESTED_MAX] = {&whole};
    struct ig_str name = IG_STR("");
    struct ig_json json;
    size_t depth = 0;
    *out = NULL;
    if (!ig_str_trim(json_text).len) return IG_OK;
    ig_json_init(&json, json_text, arena, err);
    for (;;) {
        enum ig_json_event event = ig_json_next(&json);
        if (event == IG_JSON_ERROR || event == IG_JSON_END) break;
        if (event == IG_JSON_KEY) {
            name = json.text;
        } else if (event == IG_JSON_ARRAY_END || event == IG_JSON_OBJECT_END) {
            IG_ASSERT(depth > 0);
            depth--;
        } else {
            struct ig_graphql_value *value = add_value(&reader, tails[depth]);
            if (!value) return err->code;
            tails[depth] = &value->next;
            value->name = name;
            name = IG_STR("");
            set_value(value, &json, event);
            if (event != IG_JSON_ARRAY && event != IG_JSON_OBJECT) continue;
            if (++depth == IG_GRAPHQL_NESTED_MAX)
                return ig_fail(err, IG_INVALID, "variables: nested deeper than %d",
                               IG_GRAPHQL_NESTED_MAX);
            tails[depth] = &value->first;
        }
    }
    if (err->code != IG_OK || !whole || whole->kind == IG_GRAPHQL_NULL) return err->code;
    if (whole->kind != IG_GRAPHQL_OBJECT)
        return ig_fail(err, IG_INVALID, "variables: expected an object");
    *out = whole->first;
    return IG_OK;
}

/* ---- finding ---- */

const struct ig_graphql_value *ig_graphql_value_named(const struct ig_graphql_value *first,
                                                      struct ig_str name)
{
    while (first && !ig_str_eq(first->name, name)) first = first->next;
    return first;
}

struct ig_graphql_definition *ig_graphql_fragment(struct ig_graphql_definition *first,
                                                  struct ig_str name)
{
    while (first && !(first->kind == IG_GRAPHQL_FRAGMENT && ig_str_eq(first->name, name)))
        first = first->next;
    return first;
}
