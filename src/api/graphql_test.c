/* SPDX-License-Identifier: Apache-2.0 */
/* GraphQL's language: what is read, and where a text goes wrong. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/graphql.h"

#include <stdio.h>

static struct ig_arena arena;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 4096, 8 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_arena_deinit(&arena);
    return 0;
}

static struct ig_graphql_definition *parse(const char *text)
{
    struct ig_graphql_definition *first = NULL;
    struct ig_err err = IG_ERR_INIT;
    if (ig_graphql_parse(&first, ig_str_view(text), &arena, &err) != IG_OK)
        fail_msg("%s: %s", text, err.message);
    return first;
}

static void expect(struct ig_str text, const char *wanted)
{
    if (!ig_str_is(text, wanted)) fail_msg("'%.*s', not '%s'", IG_STR_ARGS(text), wanted);
}

static void test_operation(void **state)
{
    (void)state;
    const struct ig_graphql_definition *query =
        parse("\xEF\xBB\xBF# a comment, and { signs }\n"
              "query Q($a: [String!]!, $b: Int = -3 @x) @c(n: \"t\") {\n"
              "  k: field(input: {list: [1, 2.5e3, $a], e: WORD, n: null, t: true, o: {}})\n"
              "  ...F @skip(if: $b) ... on T { x } ... @include(if: true) { y }\n"
              "}\n"
              "fragment F on T { z }");
    assert_int_equal(query->kind, IG_GRAPHQL_QUERY);
    expect(query->name, "Q");
    expect(query->variables->type, "[String!]!");
    assert_true(query->variables->required);
    expect(query->variables->next->type, "Int");
    assert_false(query->variables->next->required);
    expect(query->variables->next->fallback->text, "-3");
    expect(query->directives->arguments->text, "t");
    const struct ig_graphql_selection *at = query->first;
    expect(at->key, "k");
    expect(at->name, "field");
    assert_true(at->aliased);
    const struct ig_graphql_value *value = at->arguments->first;
    assert_int_equal(value->kind, IG_GRAPHQL_LIST);
    assert_int_equal(value->first->kind, IG_GRAPHQL_INT);
    assert_int_equal(value->first->next->kind, IG_GRAPHQL_FLOAT);
    expect(value->first->next->text, "2.5e3");
    assert_int_equal(value->first->next->next->kind, IG_GRAPHQL_VARIABLE);
    assert_null(value->first->next->next->next);
    assert_int_equal(value->next->kind, IG_GRAPHQL_ENUM);
    assert_int_equal(value->next->next->kind, IG_GRAPHQL_NULL);
    assert_int_equal(value->next->next->next->kind, IG_GRAPHQL_BOOL);
    assert_int_equal(value->next->next->next->next->kind, IG_GRAPHQL_OBJECT);
    assert_ptr_equal(ig_graphql_value_named(at->arguments->first, IG_STR("e")), value->next);
    at = at->next;
    assert_int_equal(at->kind, IG_GRAPHQL_SPREAD);
    expect(at->directives->name, "skip");
    at = at->next;
    assert_int_equal(at->kind, IG_GRAPHQL_INLINE);
    expect(at->name, "T");
    at = at->next;
    assert_int_equal(at->name.len, 0);
    expect(at->first->name, "y");
    assert_null(at->next);
    expect(ig_graphql_fragment(query->next, IG_STR("F"))->first->name, "z");
    assert_null(ig_graphql_fragment(query->next, IG_STR("Q")));
}

static void test_strings(void **state)
{
    (void)state;
    expect(parse("{a(s: \"\\u0041\\n\\\\ \\\"x\\\"\")}")->first->arguments->text, "A\n\\ \"x\"");
    expect(parse("{a(s: \"\"\"two\n\"lines\" \"\"\")}")->first->arguments->text, "two\n\"lines\" ");
    expect(parse("{a(s: \"\")}")->first->arguments->text, "");
}

static void test_errors(void **state)
{
    (void)state;
    static const struct {
        const char *text, *words;
    } bad[] = {
        {"", "Expected a definition, found <EOF> at byte 0."},
        {"{", "Expected Name, found <EOF> at byte 1."},
        {"{}", "Expected Name, found } at byte 1."},
        {"{a{}}", "Expected Name, found } at byte 3."},
        {"{a}}", "Expected a definition, found } at byte 3."},
        {"type A {b: C}", "Expected a definition, found type at byte 0."},
        {"{a()}", "Expected Name, found ) at byte 3."},
        {"{a(b)}", "Expected ':', found ) at byte 4."},
        {"{a(b: )}", "Expected a value, found ) at byte 6."},
        {"{a(b: [1}", "Expected a value, found } at byte 8."},
        {"{a(b: {1: 2})}", "Expected Name, found 1 at byte 7."},
        {"{a(b: 01)}", "unexpected digit after 0 at byte 6."},
        {"{a(b: 1.)}", "expected digit"},
        {"{a(b: 1x)}", "Invalid number, unexpected x at byte 7."},
        {"{a(b: \"x)}", "Unterminated string."},
        {"{a(b: \"\"\"x)}", "Unterminated string."},
        {"{a(b: \"\\q\")}", "Invalid string"},
        {"{a ...}", "Expected '{', found } at byte 6."},
        {"{...A {b}}", "Expected a selection, found { at byte 6."},
        {"{a ?}", "Unexpected character ? at byte 3."},
        {"query ($a: [B) {c}", "Expected ']', found ) at byte 13."},
        {"query ($a: B = $b) {c}", "Expected a constant value"},
        {"fragment on on A {b}", "Expected a fragment's name"},
        {"fragment A {b}", "Expected Name, found { at byte 11."},
        {"{a: }", "Expected Name, found } at byte 4."},
        {"{\xff}", "not UTF-8"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ig_graphql_definition *first = NULL;
        struct ig_err err = IG_ERR_INIT;
        enum ig_code code = ig_graphql_parse(&first, ig_str_view(bad[i].text), &arena, &err);
        if (code != IG_INVALID || !strstr(err.message, bad[i].words))
            fail_msg("%s: %s", bad[i].text, err.message);
    }
}

/* `times` of `text` between two ends. */
static enum ig_code parse_many(const char *before, const char *text, size_t times,
                               const char *behind)
{
    struct ig_graphql_definition *first = NULL;
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 20);
    ig_buf_add_cstr(&buf, before);
    for (size_t i = 0; i < times; i++) ig_buf_add_cstr(&buf, text);
    ig_buf_add_cstr(&buf, behind);
    ig_graphql_parse(&first, ig_buf_view(&buf), &arena, &err);
    ig_buf_deinit(&buf);
    return err.code;
}

static void test_caps(void **state)
{
    (void)state;
    assert_int_equal(parse_many("{", "a ", IG_GRAPHQL_SELECTIONS_MAX, "}"), IG_OK);
    assert_int_equal(parse_many("{", "a ", IG_GRAPHQL_SELECTIONS_MAX + 1, "}"), IG_INVALID);
    assert_int_equal(parse_many("{a(b:[", "1 ", IG_GRAPHQL_VALUES_MAX + 1, "])}"), IG_INVALID);
    assert_int_equal(parse_many("", "{a}", IG_GRAPHQL_DEFINITIONS_MAX + 1, ""), IG_INVALID);
    assert_int_equal(parse_many("", "{a", IG_GRAPHQL_NESTED_MAX + 1, ""), IG_INVALID);
    assert_int_equal(parse_many("{a(b:", "[", IG_GRAPHQL_NESTED_MAX + 1, ""), IG_INVALID);
    assert_int_equal(parse_many("query($a:", "[", 100000, ""), IG_INVALID);
    assert_int_equal(parse_many("{a}#", "#", IG_GRAPHQL_BYTES_MAX, ""), IG_TOO_LARGE);
}

static void test_variables(void **state)
{
    (void)state;
    struct ig_graphql_value *first = NULL;
    struct ig_err err = IG_ERR_INIT;
    struct ig_str text = IG_STR("{\"a\":[1,{\"b\":\"x\"}],\"c\":2.0,\"d\":null}");
    assert_int_equal(ig_graphql_variables(&first, text, &arena, &err), IG_OK);
    expect(first->name, "a");
    expect(first->first->next->first->text, "x");
    assert_int_equal(first->next->kind, IG_GRAPHQL_FLOAT);
    assert_int_equal(first->next->next->kind, IG_GRAPHQL_NULL);
    assert_int_equal(ig_graphql_variables(&first, IG_STR("null"), &arena, &err), IG_OK);
    assert_null(first);
    assert_int_equal(ig_graphql_variables(&first, IG_STR(" "), &arena, &err), IG_OK);
    assert_int_equal(ig_graphql_variables(&first, IG_STR("[]"), &arena, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "variables: expected an object"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_operation),
                                       cmocka_unit_test(test_strings),
                                       cmocka_unit_test(test_errors), cmocka_unit_test(test_caps),
                                       cmocka_unit_test(test_variables)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
