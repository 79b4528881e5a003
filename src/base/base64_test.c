/* SPDX-License-Identifier: Apache-2.0 */
/* RFC 4648's own vectors, and texts that are none. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/base64.h"

static void test_vectors(void **state)
{
    (void)state;
    static const char *const pairs[][2] = {{"", ""},
                                           {"f", "Zg=="},
                                           {"fo", "Zm8="},
                                           {"foo", "Zm9v"},
                                           {"foob", "Zm9vYg=="},
                                           {"fooba", "Zm9vYmE="},
                                           {"foobar", "Zm9vYmFy"},
                                           {"\xfb\xff", "+/8="}};
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 10);
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        ig_buf_reset(&buf);
        ig_base64_add(&buf, ig_str_view(pairs[i][0]));
        assert_true(ig_str_is(ig_buf_view(&buf), pairs[i][1]));
        ig_buf_reset(&buf);
        assert_true(ig_base64_decode(&buf, ig_str_view(pairs[i][1])));
        assert_true(ig_str_is(ig_buf_view(&buf), pairs[i][0]));
    }
    ig_buf_deinit(&buf);
}

static void test_other_forms(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "Z", "Zg=", "Zg===", "Z===", "Zm 9v", "Zg==Zg==", "=", "Zm9v="};
    struct ig_buf buf;
    ig_buf_init(&buf, 1 << 10);
    assert_true(ig_base64_decode(&buf, IG_STR("-_8")));
    assert_true(ig_str_is(ig_buf_view(&buf), "\xfb\xff"));
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        if (ig_base64_decode(&buf, ig_str_view(bad[i]))) fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(buf.len, 2);
    }
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_vectors),
        cmocka_unit_test(test_other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
