/* SPDX-License-Identifier: Apache-2.0 */
/* Texts against those of Python 3.11's json.dumps(json.loads(text)). */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/json_text.h"

static void test_as_python_writes_it(void **state)
{
    (void)state;
    static const struct {
        const char *text, *whole, *doubles;
    } cases[] = {
        {"{\"a\":[1,2.50,-3e2],\"b\":{}}", "{\"a\": [1, 2.5, -300.0], \"b\": {}}",
         "{\"a\": [1.0, 2.5, -300.0], \"b\": {}}"},
        {" [ ] ", "[]", "[]"},
        {"[[],[[]],{\"k\":null}]", "[[], [[]], {\"k\": null}]", "[[], [[]], {\"k\": null}]"},
        {"\"x\\ny\\u0041\"", "\"x\\nyA\"", "\"x\\nyA\""},
        {"true", "true", "true"},
        {"[NaN,Infinity,-Infinity]", "[NaN, Infinity, -Infinity]", "[NaN, Infinity, -Infinity]"},
        {"5", "5", "5.0"},
    };
    struct ig_arena arena;
    struct ig_buf buf;
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    ig_buf_init(&buf, 1 << 12);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        for (int doubles = 0; doubles < 2; doubles++) {
            struct ig_err err = IG_ERR_INIT;
            ig_buf_reset(&buf);
            assert_int_equal(
                ig_json_text_add(&buf, ig_str_view(cases[i].text), doubles, &arena, &err), IG_OK);
            assert_string_equal(buf.ptr, doubles ? cases[i].doubles : cases[i].whole);
        }
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_json_text_add(&buf, IG_STR("[1,]"), false, &arena, &err), IG_PARSE);
    ig_buf_deinit(&buf);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_as_python_writes_it)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
