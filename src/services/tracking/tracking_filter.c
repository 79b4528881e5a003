/* SPDX-License-Identifier: Apache-2.0 */
/* Tokens are cut as sqlparse cuts them as far as filters need it: names may be quoted with ` or ",
 * their parts joined by points; a quoted text keeps its inner quotes and backslashes as they stand,
 * as MLflow keeps them. What sqlparse lets pass only because it does not look (AND at either end,
 * comparisons without AND between them) is refused.
 *
 * 1. One pass, no recursion; every value is a view of the text.
 *
 * Thread rule: pure. */
#include "services/tracking/tracking_filter_priv.h"

#include <string.h>

enum token_kind { END, NAME, TEXT, NUMBER, OPERATOR, OPEN, CLOSE, COMMA, OTHER };

struct token {
    enum token_kind kind;
    struct ig_str text;
    size_t at;
};

struct parser {
    enum ig_tracking_kind kind;
    struct ig_str text;
    size_t at;
    struct ig_arena *arena;
    struct ig_err *err;
    struct token left;     /* the comparison's first */
    struct ig_str *values; /* room for VALUES_MAX, made with the first text */
    size_t values_count;
};

static const char *const OPS[IG_TRACKING_OPS_COUNT] = {
    "=", "!=", ">", ">=", "<", "<=", "LIKE", "ILIKE", "IN", "NOT IN", "IS NULL", "IS NOT NULL"};

/* ---- tokens ---- */

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_word(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_' ||
           c == '$' || c == '#' || (unsigned char)c >= 0x80;
}

static char peek(const struct parser *parser, size_t at)
{
    return at < parser->text.len ? parser->text.ptr[at] : '\0';
}

/* Where the text quoted at `at` ends; 0: nowhere. A doubled quote and one behind a backslash belong
 * to it, unless no other quote follows. */
static size_t quoted_end(const struct parser *parser, size_t at)
{
    char quote = peek(parser, at);
    size_t fallback = 0;
    for (size_t i = at + 1; i < parser->text.len; i++) {
        char c = parser->text.ptr[i];
        bool escaped = c == '\\' && quote != '`' && peek(parser, i + 1) == quote;
        bool doubled = c == quote && peek(parser, i + 1) == quote;
        if (c == quote && !doubled) return i + 1;
        if (!escaped && !doubled) continue;
        fallback = doubled ? i + 1 : i + 2;
        i++;
    }
    return fallback;
}

static size_t word_end(const struct parser *parser, size_t at)
{
    while (at < parser->text.len && is_word(parser->text.ptr[at])) at++;
    return at;
}

/* Parts, bare or quoted, joined by points. Returns `at` when there is none. */
static size_t name_end(const struct parser *parser, size_t at)
{
    for (size_t from = at;;) {
        char c = peek(parser, from);
        size_t end = c == '`' || c == '"' || (c == '\'' && from > at) ? quoted_end(parser, from)
                                                                      : word_end(parser, from);
        if (end <= from) return at;
        if (peek(parser, end) != '.') return end;
        from = end + 1;
    }
}

static size_t digits_end(const struct parser *parser, size_t at)
{
    while (is_digit(peek(parser, at))) at++;
    return at;
}

static size_t number_end(const struct parser *parser, size_t at)
{
    size_t whole = at + (peek(parser, at) == '-'), end = digits_end(parser, whole), exponent;
    bool any = end > whole;
    if (peek(parser, end) == '.') {
        size_t fraction = digits_end(parser, end + 1);
        any = any || fraction > end + 1;
        end = fraction;
    }
    if (any && (peek(parser, end) == 'e' || peek(parser, end) == 'E')) {
        exponent = end + 1;
        if (peek(parser, exponent) == '-' || peek(parser, exponent) == '+') exponent++;
        size_t digits = digits_end(parser, exponent);
        if (digits > exponent) end = digits;
    }
    return any && !is_word(peek(parser, end)) ? end : at;
}

static size_t operator_end(const struct parser *parser, size_t at)
{
    while (at < parser->text.len && memchr("<>=~!", parser->text.ptr[at], 5)) at++;
    return at;
}

static size_t token_end(enum token_kind *kind, const struct parser *parser, size_t at)
{
    char c = peek(parser, at);
    size_t end = at;
    *kind = TEXT;
    if (c == '\'' && (end = quoted_end(parser, at)) > at) return end;
    *kind = NUMBER;
    if ((end = number_end(parser, at)) > at) return end;
    *kind = NAME;
    if ((end = name_end(parser, at)) > at) return end;
    *kind = OPERATOR;
    if ((end = operator_end(parser, at)) > at) return end;
    *kind = c == '(' ? OPEN : c == ')' ? CLOSE : c == ',' ? COMMA : OTHER;
    if (*kind != OTHER) return at + 1;
    for (end = at + 1; end < parser->text.len && !is_space(parser->text.ptr[end]);) end++;
    return end;
}

static struct token next(struct parser *parser)
{
    struct token token = {END, IG_STR(""), 0};
    while (parser->at < parser->text.len && is_space(parser->text.ptr[parser->at])) parser->at++;
    token.at = parser->at;
    if (parser->at == parser->text.len) return token;
    parser->at = token_end(&token.kind, parser, token.at);
    token.text = (struct ig_str){parser->text.ptr + token.at, parser->at - token.at};
    return token;
}

static bool is_keyword(const struct token *token, const char *word)
{
    return token->kind == NAME && ig_str_eq_nocase(token->text, ig_str_view(word));
}

/* At the text's end it is the comparison's beginning that has no rest. */
static enum ig_code bad_clause(struct parser *parser, const struct token *token)
{
    if (token->kind == END) token = &parser->left;
    if (token->kind == OTHER && token->text.ptr[0] == ';')
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "Search filter contained multiple expression '%.*s'. Provide AND-ed "
                          "expression list.",
                          IG_STR_ARGS(parser->text));
    return ig_fail_at(parser->err, IG_INVALID, token->at,
                      "Invalid clause(s) in filter string: '%.*s'", IG_STR_ARGS(token->text));
}

/* ---- comparisons ---- */

/* IN, NOT IN, IS NULL and IS NOT NULL are several words to us. */
static enum ig_code read_op(enum ig_tracking_op *out, struct parser *parser)
{
    struct token first = next(parser), second, third;
    size_t after = parser->at;
    for (int op = IG_TRACKING_EQ; op <= IG_TRACKING_IN; op++) {
        bool found = op < IG_TRACKING_LIKE
                         ? first.kind == OPERATOR && ig_str_is(first.text, OPS[op])
                         : is_keyword(&first, OPS[op]);
        *out = (enum ig_tracking_op)op;
        if (found) return IG_OK;
    }
    second = next(parser);
    *out = IG_TRACKING_NOT_IN;
    if (is_keyword(&first, "NOT") && is_keyword(&second, "IN")) return IG_OK;
    *out = IG_TRACKING_IS_NULL;
    if (is_keyword(&first, "IS") && is_keyword(&second, "NULL")) return IG_OK;
    third = next(parser);
    *out = IG_TRACKING_IS_NOT_NULL;
    if (is_keyword(&first, "IS") && is_keyword(&second, "NOT") && is_keyword(&third, "NULL"))
        return IG_OK;
    parser->at = after;
    if (is_keyword(&first, "NOT") && second.kind == NAME)
        first.text.len = second.at + second.text.len - first.at;
    else if (first.kind != OPERATOR)
        return bad_clause(parser, &first);
    return ig_fail_at(parser->err, IG_INVALID, first.at,
                      "Invalid comparator '%.*s' not one of "
                      "'{=, !=, >, >=, <, <=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL}'",
                      IG_STR_ARGS(first.text));
}

/* Of models and their versions. */
static bool is_of_registry(const struct parser *parser)
{
    return parser->kind == IG_TRACKING_MODELS || parser->kind == IG_TRACKING_VERSIONS;
}

static bool takes_list(const struct parser *parser, const struct ig_tracking_identifier *what)
{
    return parser->kind == IG_TRACKING_LOGGED || parser->kind == IG_TRACKING_TRACES ||
           what->entity == IG_TRACKING_DATASET || what->field == IG_TRACKING_BY_RUN_ID ||
           what->field == IG_TRACKING_BY_EXPERIMENT_ID ||
           (what->field == IG_TRACKING_BY_NAME &&
            (is_of_registry(parser) || parser->kind == IG_TRACKING_EVALUATIONS));
}

static bool is_of_assessment(const struct ig_tracking_term *term)
{
    return term->what.entity == IG_TRACKING_FEEDBACK ||
           term->what.entity == IG_TRACKING_EXPECTATION;
}

static const char *allowed_ops(const struct parser *parser, const struct ig_tracking_term *term)
{
    if (term->what.entity == IG_TRACKING_ISSUE) return "=";
    if (term->what.field == IG_TRACKING_BY_SPAN_TEXT) return "LIKE, ILIKE";
    if (term->what.entity == IG_TRACKING_SPAN) return "=, !=, IN, NOT IN, LIKE, ILIKE";
    if (is_of_assessment(term)) return "=, !=, >, >=, <, <=, LIKE, ILIKE, IS NULL, IS NOT NULL";
    if (term->numeric) return "=, !=, >, >=, <, <=";
    if (parser->kind == IG_TRACKING_LOGGED) return "=, !=, LIKE, ILIKE, IN, NOT IN";
    if (is_of_registry(parser))
        return takes_list(parser, &term->what) ? "=, !=, LIKE, ILIKE, IN, NOT IN"
                                               : "=, !=, LIKE, ILIKE";
    if (parser->kind == IG_TRACKING_ISSUES) return "=, !=";
    if (parser->kind == IG_TRACKING_EVALUATIONS)
        return takes_list(parser, &term->what) ? "=, !=, LIKE, ILIKE, IN" : "=, !=, LIKE, ILIKE";
    if (parser->kind == IG_TRACKING_TRACES)
        return "=, !=, LIKE, ILIKE, IN, NOT IN, IS NULL, IS NOT NULL";
    switch (term->what.entity) {
    case IG_TRACKING_PARAM:
    case IG_TRACKING_TAG:
        return "=, !=, LIKE, ILIKE, IS NULL, IS NOT NULL";
    default:
        break;
    }
    if (term->what.field == IG_TRACKING_BY_EXPERIMENT_ID) return "=, !=, IN, NOT IN";
    return parser->kind == IG_TRACKING_RUNS ? "=, !=, LIKE, ILIKE, IN, NOT IN"
                                            : "=, !=, LIKE, ILIKE";
}

static enum ig_code check_op(const struct parser *parser, const struct ig_tracking_term *term)
{
    const char *allowed = allowed_ops(parser, term);
    struct ig_str rest = ig_str_view(allowed);
    while (rest.ptr)
        if (ig_str_is(ig_str_trim(ig_str_cut(&rest, ',')), OPS[term->op])) return IG_OK;
    if (parser->kind == IG_TRACKING_LOGGED)
        return ig_fail(parser->err, IG_INVALID,
                       "Invalid comparison operator for %ss.%.*s: '%s'. Expected one of (%s).",
                       ig_tracking_entity_name(term->what.entity), IG_STR_ARGS(term->what.key),
                       OPS[term->op], allowed);
    if (is_of_registry(parser))
        return ig_fail(parser->err, IG_INVALID, "Invalid comparator for %s%s%.*s: %s",
                       ig_tracking_entity_name(term->what.entity), term->numeric ? " " : "",
                       term->numeric ? (int)term->what.key.len : 0, term->what.key.ptr,
                       OPS[term->op]);
    if (term->what.entity >= IG_TRACKING_SPAN)
        return ig_fail(parser->err, IG_INVALID, "%s.%.*s comparator '%s' not one of '{%s}'",
                       is_of_assessment(term) ? "assessment"
                                              : ig_tracking_entity_name(term->what.entity),
                       IG_STR_ARGS(term->what.key), OPS[term->op], allowed);
    return ig_fail(parser->err, IG_INVALID, "Invalid comparator '%s' not one of '{%s}'",
                   OPS[term->op], allowed);
}

static enum ig_code add_value(struct parser *parser, struct ig_str value)
{
    if (!parser->values)
        parser->values =
            ig_arena_array(parser->arena, IG_TRACKING_VALUES_MAX, sizeof *parser->values);
    if (!parser->values) return ig_fail(parser->err, IG_NO_MEMORY, "filter");
    if (parser->values_count == IG_TRACKING_VALUES_MAX)
        return ig_fail(parser->err, IG_TOO_LARGE, "filter: more than %d values",
                       IG_TRACKING_VALUES_MAX);
    parser->values[parser->values_count++] = value;
    return IG_OK;
}

/* What follows the opening parenthesis. Upstream reads it as Python, in which a backslash begins an
 * escape: no id or name needs one. */
static enum ig_code read_list(struct parser *parser, const struct token *open)
{
    size_t before = parser->values_count;
    struct token token = next(parser);
    while (token.kind == TEXT || token.kind == NAME) {
        struct ig_str value = token.text;
        if (!(ig_tracking_unquote(&value, '\'') || ig_tracking_unquote(&value, '"')) ||
            memchr(value.ptr, '\\', value.len))
            break;
        if (add_value(parser, value) != IG_OK) return parser->err->code;
        token = next(parser);
        if (token.kind == COMMA)
            token = next(parser);
        else if (token.kind != CLOSE)
            break;
    }
    if (token.kind == CLOSE && parser->values_count > before) return IG_OK;
    return ig_fail_at(parser->err, IG_INVALID, token.kind == END ? open->at : token.at,
                      "While parsing a list in the query, expected %s",
                      token.kind == CLOSE ? "a non-empty list of string values, but got empty list"
                      : token.kind == NUMBER || token.kind == NAME
                          ? "string value, punctuation, or whitespace, but got different type in "
                            "list"
                          : "a non-empty list of string values, but got ill-formed list.");
}

static enum ig_code read_number(struct ig_tracking_term *term, struct parser *parser,
                                const struct token *token)
{
    bool metric = term->what.entity == IG_TRACKING_METRIC;
    bool whole = token->kind == NUMBER && !memchr(token->text.ptr, '.', token->text.len) &&
                 !memchr(token->text.ptr, 'e', token->text.len) &&
                 !memchr(token->text.ptr, 'E', token->text.len);
    if (parser->kind == IG_TRACKING_VERSIONS && check_op(parser, term) != IG_OK)
        return parser->err->code;
    if (parser->kind == IG_TRACKING_VERSIONS && (token->kind == TEXT || token->kind == NAME)) {
        struct ig_str text = token->text;
        int64_t number;
        whole = (ig_tracking_unquote(&text, '\'') || ig_tracking_unquote(&text, '"')) &&
                ig_str_to_i64(text, &number);
        term->number = whole ? (double)number : 0;
        if (whole) return IG_OK;
    }
    if (!whole && (parser->kind == IG_TRACKING_VERSIONS ||
                   (token->kind == NUMBER && (parser->kind == IG_TRACKING_EXPERIMENTS ||
                                              parser->kind == IG_TRACKING_EVALUATIONS))))
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          parser->kind == IG_TRACKING_VERSIONS
                              ? "Invalid value for numeric attribute '%.*s': %.*s"
                              : "Invalid value for numeric attribute '%.*s': '%.*s'",
                          IG_STR_ARGS(term->what.key), IG_STR_ARGS(token->text));
    if (token->kind == NUMBER && ig_str_to_f64(token->text, &term->number)) return IG_OK;
    if (is_of_assessment(term))
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "Expected a numeric value for %s when using comparator '%s'. Got value "
                          "%.*s",
                          ig_tracking_entity_name(term->what.entity), OPS[term->op],
                          IG_STR_ARGS(token->text));
    if (metric)
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "Expected numeric value type for metric. Found %.*s",
                          IG_STR_ARGS(token->text));
    return ig_fail_at(parser->err, IG_INVALID, token->at,
                      "Expected numeric value type for numeric attribute: %.*s. Found %.*s",
                      IG_STR_ARGS(term->what.key), IG_STR_ARGS(token->text));
}

static enum ig_code read_text(const struct ig_tracking_term *term, struct parser *parser,
                              const struct token *token)
{
    static const char *const LISTED[IG_TRACKING_KINDS_COUNT] = {
        "run_id", "experiment_id", "name", "name', 'run_id", "", "", "name", ""};
    struct ig_str value = token->text;
    enum ig_tracking_entity entity = term->what.entity;
    bool pattern = term->op == IG_TRACKING_LIKE || term->op == IG_TRACKING_ILIKE;
    if (pattern && value.len > IG_TRACKING_PATTERN_BYTES_MAX + 2)
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "filter: a pattern of %zu bytes, at most %d", value.len - 2,
                          IG_TRACKING_PATTERN_BYTES_MAX);
    if (token->kind == NUMBER && parser->kind == IG_TRACKING_LOGGED)
        return add_value(parser, value);
    if (token->kind == TEXT || token->kind == NAME) {
        if (ig_tracking_unquote(&value, '\'') || ig_tracking_unquote(&value, '"'))
            return add_value(parser, value);
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "Parameter value is either not quoted or unidentified quote types used "
                          "for string value %.*s. Use either single or double quotes.",
                          IG_STR_ARGS(value));
    }
    if (entity == IG_TRACKING_PARAM || entity == IG_TRACKING_TAG || entity >= IG_TRACKING_SPAN)
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "Expected a quoted string value for %s (e.g. 'my-value'). Got value %.*s",
                          ig_tracking_entity_name(entity), IG_STR_ARGS(value));
    if (token->kind == OPEN && !takes_list(parser, &term->what))
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "Only ['%s'] attributes support comparison with a list of quoted string "
                          "values.",
                          LISTED[parser->kind]);
    if (token->kind == NUMBER && parser->kind == IG_TRACKING_VERSIONS)
        return ig_fail_at(parser->err, IG_INVALID, token->at,
                          "Only the '{version_number}' attributes support comparison with numeric "
                          "values.");
    return ig_fail_at(parser->err, IG_INVALID, token->at,
                      "Expected a quoted string value %s. Got value %.*s",
                      entity == IG_TRACKING_DATASET ? "for dataset attributes"
                      : is_of_registry(parser) ? "or a list of quoted string values for attributes"
                                               : "for attributes",
                      IG_STR_ARGS(value));
}

static enum ig_code read_null_test(const struct ig_tracking_term *term, const struct parser *parser)
{
    enum ig_tracking_entity entity = term->what.entity;
    if (is_of_registry(parser) || parser->kind == IG_TRACKING_LOGGED ||
        parser->kind == IG_TRACKING_EVALUATIONS || parser->kind == IG_TRACKING_ISSUES)
        return ig_fail_at(parser->err, IG_INVALID, parser->left.at,
                          "Invalid clause(s) in filter string: '%.*s %s'",
                          IG_STR_ARGS(parser->left.text), OPS[term->op]);
    if (entity == IG_TRACKING_TAG || entity == IG_TRACKING_PARAM || is_of_assessment(term))
        return IG_OK;
    if (entity >= IG_TRACKING_SPAN) return check_op(parser, term);
    return ig_fail(parser->err, IG_INVALID,
                   "IS NULL / IS NOT NULL is only supported for tags%s, not for %s%s%s '%.*s'",
                   parser->kind == IG_TRACKING_RUNS ? " and params" : "",
                   parser->kind == IG_TRACKING_RUNS ? "'" : "", ig_tracking_entity_name(entity),
                   parser->kind == IG_TRACKING_RUNS ? "'" : "", IG_STR_ARGS(term->what.key));
}

/* The id of an experiment is a whole number on the wire as a text. */
static enum ig_code check_ids(const struct ig_tracking_term *term, const struct parser *parser)
{
    int64_t id;
    for (size_t i = 0; i < term->values_count; i++)
        if (!ig_str_to_i64(term->values[i], &id))
            return ig_fail(parser->err, IG_INVALID,
                           "Invalid experiment ID '%.*s'. Expected a number.",
                           IG_STR_ARGS(term->values[i]));
    return IG_OK;
}

static enum ig_code read_value(struct ig_tracking_term *term, struct parser *parser)
{
    size_t before = parser->values_count;
    struct token token = next(parser);
    bool list = term->op == IG_TRACKING_IN || term->op == IG_TRACKING_NOT_IN;
    enum ig_code code;
    if (token.kind == END || token.kind == OTHER || (list && token.kind != OPEN))
        return bad_clause(parser, &token);
    if (term->numeric)
        code = read_number(term, parser, &token);
    else if (list && takes_list(parser, &term->what))
        code = read_list(parser, &token);
    else
        code = read_text(term, parser, &token);
    if (code != IG_OK) return code;
    term->values = parser->values ? parser->values + before : NULL;
    term->values_count = parser->values_count - before;
    return IG_OK;
}

static enum ig_code read_term(struct ig_tracking_term *term, struct parser *parser)
{
    struct token left = next(parser);
    if (left.kind != NAME || is_keyword(&left, "AND")) return bad_clause(parser, &left);
    parser->left = left;
    if (read_op(&term->op, parser) != IG_OK ||
        ig_tracking_identifier_read(&term->what, &term->numeric, parser->kind, left.text, false,
                                    parser->err) != IG_OK)
        return parser->err->code;
    if (is_of_assessment(term)) /* numbers stand in order, all else is compared as a text */
        term->numeric = term->op >= IG_TRACKING_GT && term->op <= IG_TRACKING_LE;
    if (term->op == IG_TRACKING_IS_NULL || term->op == IG_TRACKING_IS_NOT_NULL)
        return read_null_test(term, parser);
    if (read_value(term, parser) != IG_OK || check_op(parser, term) != IG_OK)
        return parser->err->code;
    return term->what.field == IG_TRACKING_BY_EXPERIMENT_ID ? check_ids(term, parser) : IG_OK;
}

/* ---- public ---- */

const char *ig_tracking_op_name(enum ig_tracking_op op)
{
    return OPS[op];
}

enum ig_code ig_tracking_filter_parse(struct ig_tracking_filter *out, enum ig_tracking_kind kind,
                                      struct ig_str text, struct ig_arena *arena,
                                      struct ig_err *err)
{
    struct parser parser = {.kind = kind, .text = text, .arena = arena, .err = err};
    struct ig_tracking_term *terms;
    size_t count = 0;
    *out = (struct ig_tracking_filter){NULL, 0};
    if (text.len > IG_TRACKING_FILTER_BYTES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "filter: %zu bytes, at most %d", text.len,
                       IG_TRACKING_FILTER_BYTES_MAX);
    if (!ig_str_trim(text).len) return IG_OK;
    terms = ig_arena_array(arena, IG_TRACKING_TERMS_MAX, sizeof *terms);
    if (!terms) return ig_fail(err, IG_NO_MEMORY, "filter");
    for (;;) {
        if (count == IG_TRACKING_TERMS_MAX)
            return ig_fail_at(err, IG_TOO_LARGE, parser.at, "filter: more than %d comparisons",
                              IG_TRACKING_TERMS_MAX);
        if (read_term(&terms[count], &parser) != IG_OK) return err->code;
        count++;
        struct token token = next(&parser);
        if (token.kind == END) break;
        if (!is_keyword(&token, "AND")) return bad_clause(&parser, &token);
    }
    *out = (struct ig_tracking_filter){terms, count};
    return IG_OK;
}

enum ig_code ig_tracking_order_parse(struct ig_tracking_order *out, enum ig_tracking_kind kind,
                                     struct ig_str text, struct ig_err *err)
{
    struct parser parser = {.kind = kind, .text = text, .err = err};
    struct ig_tracking_order order = {.descending = false};
    bool numeric;
    if (text.len > IG_TRACKING_ORDER_BYTES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "order_by: a clause of %zu bytes, at most %d", text.len,
                       IG_TRACKING_ORDER_BYTES_MAX);
    struct token key = next(&parser), direction = next(&parser), rest = next(&parser);
    if (key.kind != NAME || rest.kind != END || (direction.kind != NAME && direction.kind != END))
        return ig_fail(err, IG_INVALID, "Invalid order_by clause '%.*s'. Could not be parsed.",
                       IG_STR_ARGS(text));
    order.descending = is_keyword(&direction, "DESC");
    if (direction.kind == NAME && !order.descending && !is_keyword(&direction, "ASC"))
        return ig_fail_at(err, IG_INVALID, direction.at,
                          "Invalid ordering key in order_by clause '%.*s'.", IG_STR_ARGS(text));
    if (ig_tracking_identifier_read(&order.what, &numeric, kind, key.text, true, err) != IG_OK)
        return err->code;
    if (order.what.entity == IG_TRACKING_DATASET)
        return ig_fail(err, IG_INVALID, "Invalid identifier type 'dataset'");
    if (kind != IG_TRACKING_RUNS && kind != IG_TRACKING_TRACES &&
        order.what.entity != IG_TRACKING_ATTRIBUTE)
        return ig_fail(err, IG_INVALID, "Invalid order_by entity: %s",
                       ig_tracking_entity_name(order.what.entity));
    *out = order;
    return IG_OK;
}

enum ig_code ig_tracking_order_read(struct ig_tracking_order *out, struct ig_str field,
                                    bool descending, struct ig_err *err)
{
    struct ig_tracking_order order = {.descending = descending};
    bool numeric;
    if (field.len > IG_TRACKING_ORDER_BYTES_MAX)
        return ig_fail(err, IG_TOO_LARGE, "order_by: a field of %zu bytes, at most %d", field.len,
                       IG_TRACKING_ORDER_BYTES_MAX);
    if (ig_tracking_identifier_read(&order.what, &numeric, IG_TRACKING_LOGGED, field, true, err) !=
        IG_OK)
        return err->code;
    if (order.what.entity == IG_TRACKING_PARAM || order.what.entity == IG_TRACKING_TAG)
        return ig_fail(err, IG_INVALID,
                       "Invalid order by field name: %.*s. Only metrics are supported.",
                       IG_STR_ARGS(field));
    *out = order;
    return IG_OK;
}
