/* SPDX-License-Identifier: Apache-2.0 */
/* YAML trees and typed reads. */
#include "base/mem.h"
#include "base/yaml.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_tree(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_yaml *root = NULL;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_yaml_parse(&root,
                                   IG_STR("# c\nname: income\nn: 3\nx: -1.5\nyes: true\nq: \"3\"\n"
                                          "list: [a, b]\nmap:\n  - {k: v}\n  - text\n"),
                                   &arena, &err),
                     IG_OK);
    struct ig_str text;
    int64_t n = 0;
    double x = 0;
    bool b = false;
    assert_int_equal(ig_yaml_str(&text, ig_yaml_get(root, "name"), "name", &err), IG_OK);
    assert_true(ig_str_is(text, "income"));
    assert_int_equal(ig_yaml_i64(&n, ig_yaml_get(root, "n"), "n", &err), IG_OK);
    assert_int_equal(ig_yaml_f64(&x, ig_yaml_get(root, "x"), "x", &err), IG_OK);
    assert_int_equal(ig_yaml_bool(&b, ig_yaml_get(root, "yes"), "yes", &err), IG_OK);
    assert_true(n == 3 && x == -1.5 && b);
    assert_int_equal(ig_yaml_get(root, "list")->count, 2);
    const struct ig_yaml *map = ig_yaml_get(root, "map");
    assert_true(ig_str_is(ig_yaml_get(map->first, "k")->text, "v"));
    assert_true(ig_str_is(map->first->next->text, "text"));
    assert_null(ig_yaml_get(root, "absent"));
    assert_int_equal(ig_yaml_i64(&n, ig_yaml_get(root, "q"), "q", &err), IG_INVALID);
    assert_string_equal(err.message, "q (line 6): '3' is not an integer");
    ig_err_clear(&err);
    assert_int_equal(ig_yaml_f64(&x, ig_yaml_get(root, "absent"), "absent", &err), IG_INVALID);
    assert_string_equal(err.message, "absent: missing, expected a number");
    ig_arena_deinit(&arena);
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *text, *message;
    } rows[] = {{"", "empty"},
                {"a: 1\na: 2\n", "line 2: key 'a' stands twice"},
                {"a: &x 1\nb: *x\n", "anchors"},
                {"a: !!int 1\n", "tags"},
                {"a: 1\n---\nb: 2\n", "more than one document"},
                {"a: [1\n", "line"},
                {"<<: {a: 1}\n", "merge"},
                {"? [a]\n: b\n", "a key must be a scalar"},
                {"a: \xFF\n", "line"}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ig_arena arena;
        struct ig_err err = IG_ERR_INIT;
        const struct ig_yaml *root = NULL;
        ig_arena_init(&arena, 4096, 1 << 20);
        assert_int_equal(ig_yaml_parse(&root, ig_str_view(rows[i].text), &arena, &err), IG_PARSE);
        if (!strstr(err.message, rows[i].message))
            fail_msg("'%s' lacks '%s'", err.message, rows[i].message);
        ig_arena_deinit(&arena);
    }
}

static void test_caps(void **state)
{
    (void)state;
    char deep[200];
    memset(deep, '[', 100);
    memset(deep + 100, ']', 100);
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_yaml *root = NULL;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_yaml_parse(&root, (struct ig_str){deep, sizeof deep}, &arena, &err),
                     IG_PARSE);
    assert_non_null(strstr(err.message, "nested deeper"));
    ig_arena_deinit(&arena);
    ig_err_clear(&err);
    ig_arena_init(&arena, 64, 100);
    assert_int_not_equal(ig_yaml_parse(&root, IG_STR("a: [1,2,3,4,5,6,7,8,9]\n"), &arena, &err),
                         IG_OK);
    ig_arena_deinit(&arena);
    ig_err_clear(&err);
    ig_mem_fail_after(1);
    assert_int_not_equal(ig_yaml_parse(&root, IG_STR("a: b\n"), &arena, &err), IG_OK);
    ig_mem_fail_after(0);
    ig_arena_deinit(&arena);
}

static void test_quoting_round_trips(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "plain",
        "",
        "no",
        "1e5",
        "a: b #c",
        "\"q\" \\ \n\t\x01",
        "\xC3\xA4",
        "- x",
        "{",
        "'",
        "nel\xC2\x85 c1\xC2\x9B ls\xE2\x80\xA8 ps\xE2\x80\xA9 bom\xEF\xBB\xBF",
        "\xF0\x9F\x98\x80 \xEF\xBF\xBE\xEF\xBF\xBF",
        "  spaces  ",
        "\t"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ig_arena arena;
        struct ig_err err = IG_ERR_INIT;
        const struct ig_yaml *root = NULL;
        struct ig_buf buf;
        ig_buf_init(&buf, 1000);
        ig_arena_init(&arena, 4096, 1 << 20);
        ig_buf_add_cstr(&buf, "k: ");
        ig_yaml_add_quoted(&buf, ig_str_view(texts[i]));
        assert_int_equal(ig_yaml_parse(&root, ig_buf_view(&buf), &arena, &err), IG_OK);
        assert_true(ig_str_is(ig_yaml_get(root, "k")->text, texts[i]));
        ig_buf_deinit(&buf);
        ig_arena_deinit(&arena);
    }
}

static void test_quoting_mends_bad_utf8(void **state)
{
    (void)state;
    struct ig_buf buf;
    ig_buf_init(&buf, 1000);
    ig_yaml_add_quoted(&buf, IG_STR("a\xFF"
                                    "b\xED\xA0\x80"));
    assert_string_equal(buf.ptr, "\"a\\uFFFDb\\uFFFD\\uFFFD\\uFFFD\"");
    ig_buf_deinit(&buf);
}

/* Whichever allocation of ours fails, the parser says so and leaks nothing. */
static void test_out_of_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct ig_arena arena;
        struct ig_err err = IG_ERR_INIT;
        const struct ig_yaml *root = NULL;
        ig_arena_init(&arena, 64, 1 << 20);
        ig_mem_fail_after(n);
        enum ig_code code = ig_yaml_parse(&root, IG_STR("a: {b: [1, 2], c: text}\n"), &arena, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code == IG_OK, !failed);
        assert_int_equal(root != NULL, !failed);
        ig_arena_deinit(&arena);
        if (!failed) break;
        assert_true(err.code == IG_NO_MEMORY || err.code == IG_TOO_LARGE);
    }
}

static void test_wrong_kinds_and_many_members(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_yaml *root = NULL;
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 20);
    ig_arena_init(&arena, 4096, 1 << 22);
    for (int i = 0; i < 4097; i++) ig_buf_printf(&buf, "k%d: 1\n", i);
    assert_int_equal(ig_yaml_parse(&root, ig_buf_view(&buf), &arena, &err), IG_PARSE);
    assert_non_null(strstr(err.message, "line 4097: a mapping with more than 4096 members"));
    ig_err_clear(&err);
    assert_int_equal(ig_yaml_parse(&root, IG_STR("a: [1]\nb: maybe\n"), &arena, &err), IG_OK);
    bool flag = true;
    struct ig_str text;
    assert_int_equal(ig_yaml_bool(&flag, ig_yaml_get(root, "b"), "b", &err), IG_INVALID);
    assert_string_equal(err.message, "b (line 2): 'maybe' is not true or false");
    ig_err_clear(&err);
    assert_int_equal(ig_yaml_str(&text, ig_yaml_get(root, "a"), "a", &err), IG_INVALID);
    assert_string_equal(err.message, "a (line 1): expected text");
    assert_null(ig_yaml_get(ig_yaml_get(root, "a"), "x"));
    ig_arena_deinit(&arena);
    ig_buf_deinit(&buf);
}

static void test_as_json(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    const struct ig_yaml *root = NULL;
    struct ig_buf buf;
    struct ig_json_out json;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&json, &buf);
    assert_int_equal(ig_yaml_parse(&root,
                                   IG_STR("a: 1\nb: '1'\nc: 2.50\nd: [x, {e: ~}, [], {}]\nf: true\n"
                                          "g:\nh: age > 3\ni: .inf\nj: 1e400\n"),
                                   &arena, &err),
                     IG_OK);
    ig_yaml_write_json(&json, root);
    ig_buf_add_char(&buf, 0);
    assert_string_equal(buf.ptr, "{\"a\":1,\"b\":\"1\",\"c\":2.5,\"d\":[\"x\",{\"e\":null},[],{}],"
                                 "\"f\":true,\"g\":null,\"h\":\"age > 3\",\"i\":\".inf\","
                                 "\"j\":\"1e400\"}");
    ig_arena_deinit(&arena);
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_wrong_kinds_and_many_members),
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_as_json),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_caps),
        cmocka_unit_test(test_quoting_round_trips),
        cmocka_unit_test(test_quoting_mends_bad_utf8),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
