/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/users/password.h"

#include <string.h>

static void test_round_trip(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    char first[IG_PASSWORD_HASH_SIZE], second[IG_PASSWORD_HASH_SIZE];
    struct ig_str password = IG_STR("correct horse battery");
    assert_int_equal(ig_password_hash(first, password, &err), IG_OK);
    assert_int_equal(ig_password_hash(second, password, &err), IG_OK);
    assert_string_not_equal(first, second); /* salted */
    assert_null(strstr(first, "correct"));
    assert_true(ig_password_matches(ig_str_view(first), password));
    assert_false(ig_password_matches(ig_str_view(first), IG_STR("correct horse batterY")));
    assert_false(ig_password_matches(ig_str_view(first), IG_STR("")));
}

/* Made by werkzeug 3.1.9, which MLflow hashes with:
 * generate_password_hash("password1234", method="scrypt"). */
static void test_werkzeug(void **state)
{
    (void)state;
    struct ig_str hash = IG_STR("scrypt:32768:8:1$0mCnO40ksR29yE8v$"
                                "84974e60d15dac1bd501bd9ec4961e96e03ee563020220b20d487d92616dc1d8"
                                "3367344172cfe20366dfbf71d4a55927e4776d5ea1ba04ce1bf38e187b3e121e");
    assert_true(ig_password_matches(hash, IG_STR("password1234")));
    assert_false(ig_password_matches(hash, IG_STR("password1235")));
}

static void test_other_forms(void **state)
{
    (void)state;
    static const char *const bad[] = {"", "scrypt:32768:8:1$", "scrypt:32768:8:1$salt",
                                      "scrypt:32768:8:1$salt$00", "pbkdf2:sha256$x$y"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        if (ig_password_matches(ig_str_view(bad[i]), IG_STR("password1234")))
            fail_msg("%s", bad[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_werkzeug),
        cmocka_unit_test(test_other_forms),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
