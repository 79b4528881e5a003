/* SPDX-License-Identifier: Apache-2.0 */
/* What makes a difference to a digest, and what does not. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/json_digest.h"

static bool same(const char *a, const char *b)
{
    unsigned char first[IG_SHA256_BYTES], second[IG_SHA256_BYTES];
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    if (ig_json_digest(first, ig_str_view(a), &arena, &err) != IG_OK ||
        ig_json_digest(second, ig_str_view(b), &arena, &err) != IG_OK)
        fail_msg("%s, %s: %s", a, b, err.message);
    ig_arena_deinit(&arena);
    return memcmp(first, second, sizeof first) == 0;
}

static void test_same(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {
        {"{\"a\":1,\"b\":[2,{\"c\":null,\"d\":\"x\"}]}",
         " { \"b\" : [ 2 , { \"d\" : \"\\u0078\", \"c\" : null } ] , \"a\" : 1 } "},
        {"1.5", "15e-1"},
        {"[]", "[ ]"},
        {"\"\\u00e9\"", "\"\xC3\xA9\""},
    };
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++)
        if (!same(pairs[i][0], pairs[i][1])) fail_msg("%s", pairs[i][0]);
}

static void test_different(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{}",          "[]",           "null",       "true",          "false",
        "0",           "0.0",          "1",          "1.0",           "\"1\"",
        "\"\"",        "[1,2]",        "[2,1]",      "[[1],2]",       "[[1,2]]",
        "{\"a\":1}",   "{\"a\":2}",    "{\"b\":1}",  "{\"a\":\"1\"}", "{\"a\":[1]}",
        "[\"a\",1]",   "{\"a\":{}}",   "{\"a\":[]}", "[{}]",          "{\"a\":null}",
        "{\"\":null}", "{\"a\":true}", "{\"ab\":1}", "[1]",           "[[],[]]",
    };
    size_t count = sizeof texts / sizeof texts[0];
    for (size_t i = 0; i < count; i++)
        for (size_t j = i + 1; j < count; j++)
            if (same(texts[i], texts[j])) fail_msg("%s and %s", texts[i], texts[j]);
}

static void test_errors(void **state)
{
    (void)state;
    static const char *const texts[] = {"", "{", "[1,]", "{\"a\"}", "1 2"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        unsigned char digest[IG_SHA256_BYTES];
        struct ig_err err = IG_ERR_INIT;
        struct ig_arena arena;
        ig_arena_init(&arena, 4096, 1 << 20);
        if (ig_json_digest(digest, ig_str_view(texts[i]), &arena, &err) == IG_OK)
            fail_msg("%s", texts[i]);
        ig_arena_deinit(&arena);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_same),
                                       cmocka_unit_test(test_different),
                                       cmocka_unit_test(test_errors)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
