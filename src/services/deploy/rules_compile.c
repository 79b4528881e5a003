/* SPDX-License-Identifier: Apache-2.0 */
/* Reads a rule's text. Operators wait on a small stack (Dijkstra's shunting yard), so nothing
 * recurses. Thread rule: pure. */
#include "services/deploy/rules_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN_MAX = 64, VALUES_MAX = 256 };

enum token_kind {
    TOKEN_END,
    TOKEN_WORD,
    TOKEN_QUOTED_NAME,
    TOKEN_TEXT,
    TOKEN_NUMBER,
    TOKEN_SIGN /* parentheses, comma, comparison */
};

struct token {
    enum token_kind kind;
    struct ig_str text; /* as written; of quoted ones what they mean */
    double number;
    size_t at;
};

enum { WAITING_PAREN = 255 }; /* an open parenthesis among waiting operators */

struct compile {
    struct ig_rules *rules;
    const struct ig_rules_spec *spec;
    struct ig_str text;
    size_t at;
    struct token token; /* the next one */
    struct ig_rule_op *ops;
    uint32_t ops_count, depth; /* depth: values on the stack so far */
    uint8_t waiting[IG_RULE_DEPTH_MAX];
    uint32_t waiting_count;
    struct ig_err *err;
};

static int shown(struct ig_str text)
{
    return (int)(text.len > SHOWN_MAX ? SHOWN_MAX : text.len);
}

/* ---- tokens ---- */

static bool is_word_byte(unsigned char c)
{
    return c == '_' || c == '.' || c >= 0x80 || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
           (c >= 'A' && c <= 'Z');
}

static enum ig_code read_quoted(struct compile *c, struct token *token, char quote)
{
    char *text = ig_arena_alloc(&c->rules->arena, c->text.len - c->at + 1);
    size_t length = 0;
    if (!text) return ig_fail(c->err, IG_NO_MEMORY, "rule");
    for (c->at++; c->at < c->text.len && c->text.ptr[c->at] != quote; c->at++) {
        if (c->text.ptr[c->at] == '\\' && c->at + 1 < c->text.len) c->at++;
        text[length++] = c->text.ptr[c->at];
    }
    if (c->at == c->text.len)
        return ig_fail_at(c->err, IG_INVALID, token->at,
                          "byte %zu: %c opens a text that has no end", token->at, quote);
    c->at++;
    token->kind = quote == '`' ? TOKEN_QUOTED_NAME : TOKEN_TEXT;
    token->text = (struct ig_str){text, length};
    return IG_OK;
}

static enum ig_code read_word(struct compile *c, struct token *token)
{
    size_t from = c->at;
    while (c->at < c->text.len) {
        char byte = c->text.ptr[c->at];
        bool exponent = c->at > from && (c->text.ptr[c->at - 1] | 32) == 'e' &&
                        strchr("0123456789.+-", c->text.ptr[from]);
        if (!is_word_byte((unsigned char)byte) &&
            !((byte == '-' || byte == '+') && (c->at == from || exponent)))
            break;
        c->at++;
    }
    token->text = (struct ig_str){c->text.ptr + from, c->at - from};
    token->kind = TOKEN_WORD;
    if (!strchr("0123456789.+-", c->text.ptr[from])) return IG_OK;
    token->kind = TOKEN_NUMBER;
    if (ig_str_to_f64(token->text, &token->number) && isfinite(token->number)) return IG_OK;
    return ig_fail_at(c->err, IG_INVALID, from, "byte %zu: '%.*s' is no number", from,
                      shown(token->text), token->text.ptr);
}

static enum ig_code next(struct compile *c)
{
    struct token *token = &c->token;
    while (c->at < c->text.len && strchr(" \t\r\n", c->text.ptr[c->at])) c->at++;
    *token = (struct token){.kind = TOKEN_END, .at = c->at};
    if (c->at == c->text.len) return IG_OK;
    char byte = c->text.ptr[c->at];
    if (byte == '"' || byte == '\'' || byte == '`') return read_quoted(c, token, byte);
    if (is_word_byte((unsigned char)byte) || byte == '-' || byte == '+') return read_word(c, token);
    size_t length = 0;
    if (strchr("(),<>", byte)) length = 1;
    if (c->at + 1 < c->text.len && c->text.ptr[c->at + 1] == '=' && strchr("=!<>", byte))
        length = 2;
    if (!byte || !length)
        return ig_fail_at(c->err, IG_INVALID, c->at, "byte %zu: unexpected '%.*s'%s", c->at,
                          byte >= 0x20 && byte < 0x7f, c->text.ptr + c->at,
                          byte == '=' ? ", equality is ==" : "");
    token->kind = TOKEN_SIGN;
    token->text = (struct ig_str){c->text.ptr + c->at, length};
    c->at += length;
    return IG_OK;
}

static enum ig_code expected(struct compile *c, const char *what)
{
    if (c->err->code != IG_OK) return c->err->code;
    if (c->token.kind == TOKEN_END)
        return ig_fail_at(c->err, IG_INVALID, c->token.at, "it ends where %s is expected", what);
    return ig_fail_at(c->err, IG_INVALID, c->token.at, "byte %zu: '%.*s' where %s is expected",
                      c->token.at, shown(c->token.text), c->token.text.ptr, what);
}

static bool is_word(const struct compile *c, const char *word)
{
    return c->token.kind == TOKEN_WORD && ig_str_is(c->token.text, word);
}

static bool is_sign(const struct compile *c, const char *sign)
{
    return c->token.kind == TOKEN_SIGN && ig_str_is(c->token.text, sign);
}

static bool take_word(struct compile *c, const char *word)
{
    return is_word(c, word) && next(c) == IG_OK;
}

static bool take_sign(struct compile *c, const char *sign)
{
    return is_sign(c, sign) && next(c) == IG_OK;
}

/* ---- sources ---- */

static enum ig_code find_name(struct compile *c, const struct token *token,
                              struct ig_rule_source *out)
{
    const struct ig_rules_spec *spec = c->spec;
    struct ig_str name = token->text;
    for (uint32_t i = 0; i < spec->attributes_count; i++) {
        if (!ig_str_eq(spec->attributes[i].name, name)) continue;
        *out = (struct ig_rule_source){.kind = IG_RULE_ATTRIBUTE,
                                       .index = i,
                                       .name = spec->attributes[i].name,
                                       .is_text = spec->attributes[i].type == IG_RULES_TEXT};
        return IG_OK;
    }
    int32_t index = ig_schema_feature_index(spec->schema, name);
    if (index < 0)
        return ig_fail_at(c->err, IG_INVALID, token->at,
                          "byte %zu: '%.*s' is neither a feature nor declared in graph.context",
                          token->at, shown(name), name.ptr);
    const struct ig_feature *feature = &spec->schema->features[index];
    *out = (struct ig_rule_source){.kind = IG_RULE_FEATURE,
                                   .index = (uint32_t)index,
                                   .name = feature->name,
                                   .feature = ig_feature_takes_text(feature) ? feature : NULL};
    return IG_OK;
}

static enum ig_code read_source_name(struct compile *c, struct ig_rule_source *out)
{
    if (is_word(c, "tenant") && ig_schema_feature_index(c->spec->schema, c->token.text) < 0) {
        *out = (struct ig_rule_source){
            .kind = IG_RULE_TENANT, .name = IG_STR("tenant"), .is_text = true};
        return next(c);
    }
    if (c->token.kind != TOKEN_WORD && c->token.kind != TOKEN_QUOTED_NAME)
        return expected(c, "the name of a feature or attribute");
    struct token name = c->token;
    if (next(c) != IG_OK) return c->err->code;
    bool is_call = name.kind == TOKEN_WORD && ig_str_is(name.text, "header") && is_sign(c, "(");
    if (!is_call) return find_name(c, &name, out);
    if (next(c) != IG_OK || c->token.kind != TOKEN_TEXT || !c->token.text.len)
        return expected(c, "a header's name in quotes");
    *out = (struct ig_rule_source){.kind = IG_RULE_HEADER, .name = c->token.text, .is_text = true};
    if (next(c) != IG_OK || !take_sign(c, ")")) return expected(c, "')'");
    return c->err->code;
}

static enum ig_code read_source(struct compile *c, uint16_t *index)
{
    struct ig_rule_source source;
    struct ig_rules *rules = c->rules;
    if (read_source_name(c, &source) != IG_OK) return c->err->code;
    for (uint32_t i = 0; i < rules->sources_count; i++) {
        const struct ig_rule_source *own = &rules->sources[i];
        bool same_name = source.kind == IG_RULE_HEADER ? ig_str_eq_nocase(own->name, source.name)
                                                       : ig_str_eq(own->name, source.name);
        if (own->kind != source.kind || !same_name) continue;
        *index = (uint16_t)i;
        return IG_OK;
    }
    if (rules->sources_count == IG_RULES_SOURCES_MAX)
        return ig_fail(c->err, IG_INVALID, "more than %d names over all rules",
                       IG_RULES_SOURCES_MAX);
    *index = (uint16_t)rules->sources_count;
    rules->sources[rules->sources_count++] = source;
    return IG_OK;
}

/* ---- tests ---- */

static const struct ig_rule_source *source_of(const struct compile *c,
                                              const struct ig_rule_test *test)
{
    return &c->rules->sources[test->source];
}

static enum ig_code read_number(struct compile *c, const struct ig_rule_test *test, double *out)
{
    const struct ig_rule_source *source = source_of(c, test);
    if (source->is_text || source->feature)
        return ig_fail_at(c->err, IG_INVALID, c->token.at,
                          "byte %zu: '%.*s' is text, it is compared by ==, !=, in and starts_with",
                          c->token.at, shown(source->name), source->name.ptr);
    if (c->token.kind != TOKEN_NUMBER) return expected(c, "a number");
    *out = c->token.number;
    return next(c);
}

/* A value of the source's own type. Of a category, its code. */
static enum ig_code read_value(struct compile *c, const struct ig_rule_test *test, double *number,
                               struct ig_str *text)
{
    const struct ig_rule_source *source = source_of(c, test);
    if (!source->is_text && !source->feature) return read_number(c, test, number);
    if (c->token.kind != TOKEN_TEXT) return expected(c, "a text in quotes");
    *text = c->token.text;
    if (source->feature) {
        int32_t code = ig_feature_category_code(source->feature, *text);
        if (code < 0)
            return ig_fail_at(c->err, IG_INVALID, c->token.at,
                              "byte %zu: feature '%.*s' has no category '%.*s'", c->token.at,
                              shown(source->name), source->name.ptr, shown(*text), text->ptr);
        *number = code;
    }
    return next(c);
}

static int compare_doubles(const void *a, const void *b)
{
    double left = *(const double *)a, right = *(const double *)b;
    return (left > right) - (left < right);
}

static enum ig_code keep_values(struct compile *c, struct ig_rule_test *test, double *numbers,
                                const struct ig_str *texts, uint32_t count)
{
    struct ig_arena *arena = &c->rules->arena;
    bool as_text = source_of(c, test)->is_text;
    void *kept = ig_arena_array(arena, count, as_text ? sizeof *texts : sizeof *numbers);
    if (!kept) return ig_fail(c->err, IG_NO_MEMORY, "rule");
    test->kind = as_text ? IG_RULE_TEXTS : IG_RULE_NUMBERS;
    test->count = count;
    if (as_text) {
        memcpy(kept, texts, count * sizeof *texts);
        test->texts = kept;
    } else {
        qsort(numbers, count, sizeof *numbers, compare_doubles);
        memcpy(kept, numbers, count * sizeof *numbers);
        test->numbers = kept;
    }
    return IG_OK;
}

static enum ig_code read_list(struct compile *c, struct ig_rule_test *test)
{
    double numbers[VALUES_MAX];
    struct ig_str texts[VALUES_MAX];
    uint32_t count = 0;
    if (!take_sign(c, "(")) return expected(c, "'('");
    do {
        if (count == VALUES_MAX)
            return ig_fail(c->err, IG_INVALID, "more than %d values in one list", VALUES_MAX);
        if (read_value(c, test, &numbers[count], &texts[count]) != IG_OK) return c->err->code;
        count++;
    } while (take_sign(c, ","));
    if (c->err->code != IG_OK || !take_sign(c, ")")) return expected(c, "',' or ')'");
    return keep_values(c, test, numbers, texts, count);
}

static enum ig_code read_range(struct compile *c, struct ig_rule_test *test)
{
    test->kind = IG_RULE_RANGE;
    size_t at = c->token.at;
    if (read_number(c, test, &test->low) != IG_OK) return c->err->code;
    if (!take_word(c, "and")) return expected(c, "'and'");
    if (read_number(c, test, &test->high) != IG_OK) return c->err->code;
    if (test->low <= test->high) return IG_OK;
    return ig_fail_at(c->err, IG_INVALID, at, "byte %zu: nothing lies between %g and %g", at,
                      test->low, test->high);
}

static enum ig_code read_prefix(struct compile *c, struct ig_rule_test *test)
{
    const struct ig_rule_source *source = source_of(c, test);
    double codes[VALUES_MAX];
    uint32_t count = 0;
    if (!source->is_text && !source->feature)
        return ig_fail_at(c->err, IG_INVALID, c->token.at, "byte %zu: '%.*s' is a number, not text",
                          c->token.at, shown(source->name), source->name.ptr);
    if (c->token.kind != TOKEN_TEXT || !c->token.text.len) return expected(c, "a text in quotes");
    struct ig_str prefix = c->token.text;
    if (!source->feature) {
        test->kind = IG_RULE_PREFIX;
        struct ig_str *kept = ig_arena_array(&c->rules->arena, 1, sizeof *kept);
        if (!kept) return ig_fail(c->err, IG_NO_MEMORY, "rule");
        *kept = prefix;
        test->texts = kept;
        return next(c);
    }
    if (source->feature->hashed)
        return ig_fail_at(c->err, IG_INVALID, c->token.at,
                          "byte %zu: feature '%.*s' knows hashes of its categories, not how they "
                          "begin",
                          c->token.at, shown(source->name), source->name.ptr);
    for (uint32_t i = 0; i < source->feature->categories_count; i++) {
        if (!ig_str_starts(source->feature->categories[i], prefix)) continue;
        if (count == VALUES_MAX)
            return ig_fail(c->err, IG_INVALID, "more than %d categories begin with '%.*s'",
                           VALUES_MAX, shown(prefix), prefix.ptr);
        codes[count++] = i;
    }
    if (!count)
        return ig_fail_at(c->err, IG_INVALID, c->token.at,
                          "byte %zu: feature '%.*s' has no category that begins with '%.*s'",
                          c->token.at, shown(source->name), source->name.ptr, shown(prefix),
                          prefix.ptr);
    if (next(c) != IG_OK) return c->err->code;
    return keep_values(c, test, codes, NULL, count);
}

/* After a comparison sign. */
static enum ig_code read_compared(struct compile *c, struct ig_rule_test *test, struct ig_str sign)
{
    double number = 0;
    struct ig_str text = IG_STR("");
    if (sign.ptr[0] == '=' || sign.ptr[0] == '!') {
        if (read_value(c, test, &number, &text) != IG_OK) return c->err->code;
        return keep_values(c, test, &number, &text, 1);
    }
    if (read_number(c, test, &number) != IG_OK) return c->err->code;
    bool below = sign.ptr[0] == '<', open = sign.len == 1;
    test->kind = IG_RULE_RANGE;
    test->low = below ? -INFINITY : number;
    test->high = below ? number : INFINITY;
    test->low_open = !below && open;
    test->high_open = below && open;
    return IG_OK;
}

static enum ig_code read_test(struct compile *c, struct ig_rule_test *test, bool *negated)
{
    if (read_source(c, &test->source) != IG_OK) return c->err->code;
    *negated = false;
    if (c->token.kind == TOKEN_SIGN && strchr("=!<>", c->token.text.ptr[0])) {
        struct ig_str sign = c->token.text;
        *negated = sign.ptr[0] == '!';
        return next(c) == IG_OK ? read_compared(c, test, sign) : c->err->code;
    }
    if (take_word(c, "is")) {
        *negated = take_word(c, "not");
        test->kind = IG_RULE_MISSING;
        return take_word(c, "missing") ? IG_OK : expected(c, "'missing'");
    }
    if (take_word(c, "not")) *negated = true;
    if (take_word(c, "in")) return read_list(c, test);
    if (*negated) return expected(c, "'in'");
    if (take_word(c, "between")) return read_range(c, test);
    if (take_word(c, "starts_with")) return read_prefix(c, test);
    return expected(c, "a comparison (==, !=, <, <=, >, >=, in, between, starts_with, is)");
}

/* ---- programs ---- */

static void emit(struct compile *c, enum ig_rule_op_kind kind, uint32_t test)
{
    c->ops[c->ops_count++] = (struct ig_rule_op){(uint16_t)kind, (uint16_t)test};
    if (kind == IG_RULE_TEST) c->depth++;
    if (kind == IG_RULE_AND || kind == IG_RULE_OR) c->depth--;
}

static enum ig_code wait_with(struct compile *c, uint8_t op)
{
    if (c->waiting_count == IG_RULE_DEPTH_MAX)
        return ig_fail_at(c->err, IG_INVALID, c->token.at, "nested deeper than %d",
                          IG_RULE_DEPTH_MAX);
    c->waiting[c->waiting_count++] = op;
    return IG_OK;
}

/* Operators that bind at least as tight go first; `not` binds tightest, then `and`. */
static void release(struct compile *c, enum ig_rule_op_kind upto)
{
    while (c->waiting_count && c->waiting[c->waiting_count - 1] != WAITING_PAREN &&
           c->waiting[c->waiting_count - 1] <= upto)
        emit(c, (enum ig_rule_op_kind)c->waiting[--c->waiting_count], 0);
}

static enum ig_code read_operand(struct compile *c)
{
    while (is_word(c, "not") || is_sign(c, "(")) {
        if (wait_with(c, is_sign(c, "(") ? WAITING_PAREN : IG_RULE_NOT) != IG_OK ||
            next(c) != IG_OK)
            return c->err->code;
    }
    struct ig_rules *rules = c->rules;
    if (rules->tests_count == IG_RULES_TESTS_MAX)
        return ig_fail(c->err, IG_INVALID, "more than %d comparisons over all rules",
                       IG_RULES_TESTS_MAX);
    if (c->depth == IG_RULE_DEPTH_MAX)
        return ig_fail_at(c->err, IG_INVALID, c->token.at, "nested deeper than %d",
                          IG_RULE_DEPTH_MAX);
    bool negated = false;
    struct ig_rule_test test = {0};
    if (read_test(c, &test, &negated) != IG_OK) return c->err->code;
    rules->tests[rules->tests_count] = test;
    emit(c, IG_RULE_TEST, rules->tests_count++);
    if (negated) emit(c, IG_RULE_NOT, 0);
    return IG_OK;
}

static enum ig_code close_parentheses(struct compile *c)
{
    while (is_sign(c, ")")) {
        release(c, IG_RULE_OR);
        if (!c->waiting_count)
            return ig_fail_at(c->err, IG_INVALID, c->token.at, "byte %zu: ')' closes nothing",
                              c->token.at);
        c->waiting_count--;
        if (next(c) != IG_OK) return c->err->code;
    }
    return IG_OK;
}

static enum ig_code read_rule(struct compile *c)
{
    if (next(c) != IG_OK) return c->err->code;
    for (;;) {
        if (read_operand(c) != IG_OK || close_parentheses(c) != IG_OK) return c->err->code;
        if (c->token.kind == TOKEN_END) break;
        if (!is_word(c, "and") && !is_word(c, "or")) return expected(c, "'and', 'or' or the end");
        enum ig_rule_op_kind op = is_word(c, "and") ? IG_RULE_AND : IG_RULE_OR;
        release(c, op);
        if (wait_with(c, (uint8_t)op) != IG_OK || next(c) != IG_OK) return c->err->code;
    }
    release(c, IG_RULE_OR);
    if (c->waiting_count)
        return ig_fail_at(c->err, IG_INVALID, c->text.len, "it ends inside parentheses");
    return IG_OK;
}

enum ig_code ig_rules_compile(struct ig_rules *rules, const struct ig_rules_spec *spec,
                              struct ig_str text, struct ig_err *err)
{
    if (text.len > IG_RULE_MAX_BYTES)
        return ig_fail(err, IG_INVALID, "%zu bytes, at most %d", text.len, IG_RULE_MAX_BYTES);
    struct compile compile = {.rules = rules, .spec = spec, .err = err};
    compile.text = ig_arena_dup(&rules->arena, text);
    /* Every operator and every test takes a byte at least, a negated test two operations. */
    compile.ops = ig_arena_array(&rules->arena, text.len + 2, sizeof *compile.ops);
    if (!compile.text.ptr || !compile.ops) return ig_fail(err, IG_NO_MEMORY, "rule");
    if (read_rule(&compile) != IG_OK) return err->code;
    rules->programs[rules->programs_count++] =
        (struct ig_rule_program){compile.ops, compile.ops_count};
    return IG_OK;
}
