/* SPDX-License-Identifier: Apache-2.0 */
/* Variables and arguments of GraphQL, as the bodies of REST's calls. */
#include "api/graphql_plan_priv.h"

#include <stdio.h>

enum { BODY_MAX = 4 << 20 };

/* ---- variables ---- */

static const struct ig_graphql_variable *declared(const struct ig_graphql_planner *planner,
                                                  struct ig_str name)
{
    const struct ig_graphql_variable *variable = planner->operation->variables;
    while (variable && !ig_str_eq(variable->name, name)) variable = variable->next;
    return variable;
}

enum ig_code ig_graphql_declare(struct ig_graphql_planner *planner,
                                const struct ig_graphql_value *given)
{
    struct ig_graphql_value **tail = &planner->variables;
    const struct ig_graphql_variable *variable = planner->operation->variables;
    for (; variable; variable = variable->next) {
        const struct ig_graphql_value *value = ig_graphql_value_named(given, variable->name);
        if (!value) value = variable->fallback;
        if (variable->required && (!value || value->kind == IG_GRAPHQL_NULL))
            return ig_fail(planner->err, IG_INVALID,
                           value ? "Variable '$%.*s' of non-null type '%.*s' must not be null."
                                 : "Variable '$%.*s' of required type '%.*s' was not provided.",
                           IG_STR_ARGS(ig_graphql_shown(variable->name)),
                           IG_STR_ARGS(ig_graphql_shown(variable->type)));
        if (!value) continue;
        *tail = ig_arena_alloc(planner->arena, sizeof **tail);
        if (!*tail) return ig_fail(planner->err, IG_NO_MEMORY, "no memory for the query");
        **tail = *value;
        (*tail)->name = variable->name;
        (*tail)->next = NULL;
        tail = &(*tail)->next;
    }
    return IG_OK;
}

enum ig_code ig_graphql_resolve(const struct ig_graphql_value **out,
                                const struct ig_graphql_planner *planner,
                                const struct ig_graphql_value *value)
{
    *out = value;
    if (value->kind != IG_GRAPHQL_VARIABLE) return IG_OK;
    const struct ig_str name = planner->operation->name;
    if (!declared(planner, value->text) && !name.len)
        return ig_fail(planner->err, IG_INVALID, "Variable '$%.*s' is not defined.",
                       IG_STR_ARGS(ig_graphql_shown(value->text)));
    if (!declared(planner, value->text))
        return ig_fail(
            planner->err, IG_INVALID, "Variable '$%.*s' is not defined by operation '%.*s'.",
            IG_STR_ARGS(ig_graphql_shown(value->text)), IG_STR_ARGS(ig_graphql_shown(name)));
    *out = ig_graphql_value_named(planner->variables, value->text);
    return IG_OK;
}

/* ---- values ---- */

static enum ig_code mismatch(const struct ig_graphql_planner *planner, const char *words,
                             const struct ig_graphql_value *value)
{
    static const struct ig_str signs[] = {[IG_GRAPHQL_NULL] = {"null", 4},
                                          [IG_GRAPHQL_LIST] = {"[...]", 5},
                                          [IG_GRAPHQL_OBJECT] = {"{...}", 5}};
    struct ig_str text = value->text;
    if (value->kind == IG_GRAPHQL_NULL || value->kind >= IG_GRAPHQL_LIST) text = signs[value->kind];
    const char *quote = value->kind == IG_GRAPHQL_STRING ? "\"" : "";
    return ig_fail(planner->err, IG_INVALID, "%s: %s%.*s%s", words, quote,
                   IG_STR_ARGS(ig_graphql_shown(text)), quote);
}

static enum ig_code write_text(struct ig_json_out *out, const struct ig_graphql_planner *planner,
                               const struct ig_graphql_value *value)
{
    if (value->kind != IG_GRAPHQL_STRING)
        return mismatch(planner, "String cannot represent a non string value", value);
    ig_json_out_str(out, value->text);
    return IG_OK;
}

static enum ig_code write_whole(struct ig_json_out *out, const struct ig_graphql_planner *planner,
                                const struct ig_graphql_value *value, bool is_long)
{
    int64_t number;
    bool whole = value->kind == IG_GRAPHQL_INT || (is_long && value->kind == IG_GRAPHQL_STRING);
    if (!whole || !ig_str_to_i64(value->text, &number))
        return mismatch(planner,
                        is_long ? "LongString cannot represent value"
                                : "Int cannot represent non-integer value",
                        value);
    if (!is_long && (number < INT32_MIN || number > INT32_MAX))
        return mismatch(planner, "Int cannot represent non 32-bit signed integer value", value);
    ig_json_out_i64(out, number);
    return IG_OK;
}

static enum ig_code write_view(struct ig_json_out *out, const struct ig_graphql_planner *planner,
                               const struct ig_graphql_value *value)
{
    bool word = value->kind == IG_GRAPHQL_ENUM || value->kind == IG_GRAPHQL_STRING;
    if (!word) return mismatch(planner, "Enum '" IG_GRAPHQL_VIEW "' cannot represent", value);
    if (!ig_graphql_has_word(IG_GRAPHQL_VIEW, value->text))
        return ig_fail(planner->err, IG_INVALID,
                       "Value '%.*s' does not exist in '" IG_GRAPHQL_VIEW "' enum.",
                       IG_STR_ARGS(ig_graphql_shown(value->text)));
    ig_json_out_str(out, value->text);
    return IG_OK;
}

/* One text counts as a list of it. */
static enum ig_code write_texts(struct ig_json_out *out, const struct ig_graphql_planner *planner,
                                const struct ig_graphql_value *value)
{
    const struct ig_graphql_value *item = value->kind == IG_GRAPHQL_LIST ? value->first : value;
    ig_json_out_array(out);
    for (; item; item = value->kind == IG_GRAPHQL_LIST ? item->next : NULL) {
        const struct ig_graphql_value *text;
        if (ig_graphql_resolve(&text, planner, item) != IG_OK) return planner->err->code;
        if (!text) text = &(const struct ig_graphql_value){.kind = IG_GRAPHQL_NULL};
        if (write_text(out, planner, text) != IG_OK) return planner->err->code;
    }
    ig_json_out_array_end(out);
    return IG_OK;
}

/* The members of a call's body. */
static enum ig_code write_fields(struct ig_json_out *out, const struct ig_graphql_planner *planner,
                                 const struct ig_graphql_value *first, const char *type)
{
    for (; first; first = first->next) {
        const struct ig_graphql_input *input = ig_graphql_input_find(type, first->name);
        const struct ig_graphql_value *value;
        if (!input)
            return ig_fail(planner->err, IG_INVALID, "Field '%.*s' is not defined by type '%s'.",
                           IG_STR_ARGS(ig_graphql_shown(first->name)), type);
        if (ig_graphql_resolve(&value, planner, first) != IG_OK) return planner->err->code;
        bool told = value && value->kind != IG_GRAPHQL_NULL;
        if (!told && input->kind == IG_GRAPHQL_IS_NAME)
            return ig_fail(planner->err, IG_INVALID,
                           "Expected value of type 'String!', found null.");
        if (!told) continue;
        ig_json_out_key(out, ig_str_view(input->member));
        if (input->kind == IG_GRAPHQL_IS_STRINGS)
            write_texts(out, planner, value);
        else if (input->kind == IG_GRAPHQL_IS_ENUM)
            write_view(out, planner, value);
        else if (input->kind == IG_GRAPHQL_IS_STRING || input->kind == IG_GRAPHQL_IS_NAME)
            write_text(out, planner, value);
        else
            write_whole(out, planner, value, input->kind == IG_GRAPHQL_IS_LONG);
        if (planner->err->code != IG_OK) return planner->err->code;
    }
    return IG_OK;
}

static enum ig_code write_body(struct ig_json_out *out, const struct ig_graphql_planner *planner,
                               const struct ig_graphql_root *root,
                               const struct ig_graphql_value *arguments)
{
    const struct ig_graphql_value *input;
    const struct ig_graphql_input *lacking;
    bool bare = ig_graphql_is_bare(root);
    for (const struct ig_graphql_value *value = arguments; value; value = value->next)
        if (bare ? !ig_graphql_input_find(root->input, value->name)
                 : !ig_str_is(value->name, "input"))
            return ig_fail(planner->err, IG_INVALID, "Unknown argument '%.*s' on field '%s.%s'.",
                           IG_STR_ARGS(ig_graphql_shown(value->name)), root->operation, root->name);
    lacking = bare ? ig_graphql_input_lacking(root->input, arguments) : NULL;
    if (lacking)
        return ig_fail(planner->err, IG_INVALID,
                       "Field '%s' argument '%s' of type 'String!' is required, but it was not "
                       "provided.",
                       root->name, lacking->name);
    if (bare) return write_fields(out, planner, arguments, root->input);
    if (!arguments || ig_graphql_resolve(&input, planner, arguments) != IG_OK || !input ||
        input->kind == IG_GRAPHQL_NULL)
        return planner->err->code;
    if (input->kind != IG_GRAPHQL_OBJECT) {
        char words[96];
        snprintf(words, sizeof words, "Expected value of type '%s', found", root->input);
        return mismatch(planner, words, input);
    }
    return write_fields(out, planner, input->first, root->input);
}

enum ig_code ig_graphql_body(struct ig_str *out, const struct ig_graphql_planner *planner,
                             const struct ig_graphql_root *root,
                             const struct ig_graphql_value *arguments)
{
    struct ig_json_out json;
    struct ig_buf buf;
    ig_buf_init(&buf, BODY_MAX);
    ig_json_out_init(&json, &buf);
    ig_json_out_object(&json);
    if (write_body(&json, planner, root, arguments) == IG_OK) {
        ig_json_out_object_end(&json);
        *out = ig_arena_dup(planner->arena, ig_buf_view(&buf));
        if (buf.overflowed || !out->ptr)
            ig_fail(planner->err, IG_NO_MEMORY, "no memory for the query");
    }
    ig_buf_deinit(&buf);
    return planner->err->code;
}
