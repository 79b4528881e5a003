/* SPDX-License-Identifier: Apache-2.0 */
/* Error records and the table of codes. */
#include "base/err.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_first_error_wins(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_fail_at(&err, IG_PARSE, 17, "field '%s'", "age"), IG_PARSE);
    assert_int_equal(ig_fail(&err, IG_IO, "later"), IG_PARSE);
    assert_string_equal(err.message, "field 'age'");
    assert_int_equal(err.at_byte, 17);
    ig_err_prefix(&err, "file %d", 3);
    assert_string_equal(err.message, "file 3: field 'age'");
    assert_int_equal(err.code, IG_PARSE);
    ig_err_clear(&err);
    assert_int_equal(err.code, IG_OK);
    assert_int_equal(err.at_byte, -1);
}

static void test_long_messages_are_cut(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    char longer[2000];
    memset(longer, 'x', sizeof longer - 1);
    longer[sizeof longer - 1] = '\0';
    ig_fail(&err, IG_INVALID, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
    ig_err_prefix(&err, "%s", longer);
    assert_int_equal(strlen(err.message), sizeof err.message - 1);
}

static void test_codes_map_to_protocols(void **state)
{
    (void)state;
    assert_int_equal(ig_code_http_status(IG_NOT_FOUND), 404);
    assert_int_equal(ig_code_grpc_status(IG_NOT_FOUND), 5);
    assert_string_equal(ig_code_mlflow_word(IG_NOT_FOUND), "RESOURCE_DOES_NOT_EXIST");
    assert_string_equal(ig_code_name(IG_DEADLINE), "DEADLINE");
    for (int code = 0; code < IG_CODES_COUNT; code++) {
        int status = ig_code_http_status((enum ig_code)code);
        assert_true(code == IG_OK ? status == 200 : status >= 400 && status < 600);
        assert_in_range(ig_code_grpc_status((enum ig_code)code), 0, 16);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_first_error_wins),
        cmocka_unit_test(test_long_messages_are_cut),
        cmocka_unit_test(test_codes_map_to_protocols),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
