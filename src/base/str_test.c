/* SPDX-License-Identifier: Apache-2.0 */
/* Text views and buffers. */
#include "base/mem.h"
#include "base/str.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_views(void **state)
{
    (void)state;
    assert_true(ig_str_eq(IG_STR("a"), ig_str_view("a")));
    assert_false(ig_str_eq(IG_STR("a"), IG_STR("ab")));
    assert_true(ig_str_eq(ig_str_view(NULL), IG_STR("")));
    assert_true(ig_str_eq_nocase(IG_STR("Content-LENGTH"), IG_STR("content-length")));
    assert_false(ig_str_eq_nocase(IG_STR("a["), IG_STR("A{")));
    assert_true(ig_str_starts(IG_STR("models:/x"), IG_STR("models:/")));
    assert_false(ig_str_starts(IG_STR("mod"), IG_STR("models:/")));
    assert_true(ig_str_ends(IG_STR("a.csv.gz"), IG_STR(".gz")));
    assert_true(ig_str_is(ig_str_trim(IG_STR(" \t a b\r\n")), "a b"));
    struct ig_str rest = IG_STR("a,,b");
    assert_true(ig_str_is(ig_str_cut(&rest, ','), "a"));
    assert_true(ig_str_is(ig_str_cut(&rest, ','), ""));
    assert_true(ig_str_is(ig_str_cut(&rest, ','), "b"));
    assert_null(rest.ptr);
}

/* Every pair of bytes, among others: what is read by itself and what is read with seven more. */
static void test_nocase(void **state)
{
    (void)state;
    for (int one = 0; one < 256; one++) {
        for (int other = 0; other < 256; other++) {
            char a[] = "xContent-LENGTHx", b[] = "XcONTENT-lengthX";
            int low = one >= 'A' && one <= 'Z' ? one + 32 : one;
            bool same = low == (other >= 'A' && other <= 'Z' ? other + 32 : other);
            a[3] = a[14] = (char)one;
            b[3] = b[14] = (char)other;
            assert_true(ig_str_eq_nocase((struct ig_str){a, 11}, (struct ig_str){b, 11}) == same);
            assert_true(ig_str_eq_nocase((struct ig_str){a + 8, 7}, (struct ig_str){b + 8, 7}) ==
                        same);
        }
    }
}

static void test_integers(void **state)
{
    (void)state;
    int64_t i = 5;
    uint64_t u = 5;
    assert_true(ig_str_to_i64(IG_STR("-9223372036854775808"), &i));
    assert_true(i == INT64_MIN);
    assert_false(ig_str_to_i64(IG_STR("9223372036854775808"), &i));
    assert_false(ig_str_to_i64(IG_STR("-9223372036854775809"), &i));
    assert_true(ig_str_to_u64(IG_STR("18446744073709551615"), &u));
    assert_true(u == UINT64_MAX);
    assert_false(ig_str_to_u64(IG_STR("18446744073709551616"), &u));
    assert_false(ig_str_to_u64(IG_STR(""), &u));
    assert_false(ig_str_to_u64(IG_STR("+1"), &u));
    assert_false(ig_str_to_i64(IG_STR("-"), &i));
    assert_false(ig_str_to_i64(IG_STR("1 "), &i));
    assert_true(i == INT64_MIN && u == UINT64_MAX);
}

static void test_utf8(void **state)
{
    (void)state;
    assert_true(ig_str_utf8_valid((struct ig_str){NULL, 0}));
    assert_true(ig_str_utf8_valid(IG_STR("a\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80")));
    static const char *const bad[] = {"\x80",         "\xC0\xAF",         "\xE0\x80\xAF",
                                      "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF0\x80\x80\x80",
                                      "\xC3",         "\xE2\x82",         "\xFF"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_false(ig_str_utf8_valid(ig_str_view(bad[i])));
}

static void test_buffer_cap(void **state)
{
    (void)state;
    struct ig_buf buf;
    ig_buf_init(&buf, 10);
    ig_buf_add_cstr(&buf, "12345678");
    ig_buf_add_u64(&buf, 90);
    assert_false(buf.overflowed);
    ig_buf_add_char(&buf, 'x');
    assert_true(buf.overflowed);
    ig_buf_add_cstr(&buf, "");
    assert_string_equal(buf.ptr, "1234567890");
    ig_buf_reset(&buf);
    ig_buf_printf(&buf, "%s", "0123456789");
    assert_false(buf.overflowed);
    ig_buf_printf(&buf, "%s", "a");
    assert_true(buf.overflowed);
    ig_buf_deinit(&buf);
}

static void test_buffer_numbers_and_take(void **state)
{
    (void)state;
    struct ig_buf buf;
    ig_buf_init(&buf, 1000);
    ig_buf_add_i64(&buf, INT64_MIN);
    ig_buf_add_char(&buf, ' ');
    ig_buf_add_u64(&buf, UINT64_MAX);
    assert_string_equal(buf.ptr, "-9223372036854775808 18446744073709551615");
    char *bytes = ig_buf_take(&buf);
    assert_null(buf.ptr);
    ig_free(bytes);
    ig_mem_fail_after(1);
    ig_buf_add_cstr(&buf, "x");
    ig_mem_fail_after(0);
    assert_true(buf.overflowed);
    assert_int_equal(buf.len, 0);
}

static void test_utf8_length(void **state)
{
    (void)state;
    static const struct {
        struct ig_str text;
        size_t length;
    } rows[] = {{{"", 0}, 0},
                {{"a\xC3", 2}, 1},
                {{"\0", 1}, 1},
                {{"\xC3\xA4z", 3}, 2},
                {{"\xC3", 1}, 0},
                {{"\xC1\x81", 2}, 0},
                {{"\xE2\x82\xAC", 3}, 3},
                {{"\xE2\x82", 2}, 0},
                {{"\xE0\x9F\x80", 3}, 0},
                {{"\xED\x9F\xBF", 3}, 3},
                {{"\xED\xA0\x80", 3}, 0},
                {{"\xF0\x9F\x98\x80", 4}, 4},
                {{"\xF0\x8F\xBF\xBF", 4}, 0},
                {{"\xF4\x8F\xBF\xBF", 4}, 4},
                {{"\xF4\x90\x80\x80", 4}, 0},
                {{"\xF5\x80\x80\x80", 4}, 0},
                {{"\x80", 1}, 0}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_int_equal(ig_str_utf8_length(rows[i].text), rows[i].length);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_utf8_length),
        cmocka_unit_test(test_views),
        cmocka_unit_test(test_nocase),
        cmocka_unit_test(test_integers),
        cmocka_unit_test(test_utf8),
        cmocka_unit_test(test_buffer_cap),
        cmocka_unit_test(test_buffer_numbers_and_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
