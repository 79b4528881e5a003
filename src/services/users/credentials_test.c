/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/users/credentials.h"

#include <stdio.h>

static void digest(unsigned char out[IG_SHA256_BYTES], struct ig_credentials *credentials,
                   const char *name, const char *password)
{
    ig_credentials_digest(out, credentials, ig_str_view(name), ig_str_view(password));
}

static void test_find(void **state)
{
    (void)state;
    unsigned char one[IG_SHA256_BYTES], other[IG_SHA256_BYTES];
    struct ig_credentials *credentials = ig_credentials_new();
    assert_non_null(credentials);
    digest(one, credentials, "ann", "secret of ann");
    digest(other, credentials, "annsecret", " of ann"); /* the border between the two counts */
    assert_memory_not_equal(one, other, sizeof one);
    assert_false(ig_credentials_find(credentials, one, 7));
    ig_credentials_keep(credentials, one, 7);
    assert_true(ig_credentials_find(credentials, one, 7));
    assert_false(ig_credentials_find(credentials, other, 7));
    assert_false(ig_credentials_find(credentials, one, 8)); /* the password was set anew */
    ig_credentials_free(credentials);
}

/* An empty slot is nobody's. */
static void test_nothing(void **state)
{
    (void)state;
    static const unsigned char zeros[IG_SHA256_BYTES];
    struct ig_credentials *credentials = ig_credentials_new();
    assert_false(ig_credentials_find(credentials, zeros, 0));
    ig_credentials_free(credentials);
}

static void test_bounded(void **state)
{
    (void)state;
    unsigned char bytes[IG_SHA256_BYTES];
    struct ig_credentials *credentials = ig_credentials_new();
    size_t found = 0, count = 4 * IG_CREDENTIALS_KEPT;
    char name[32];
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "user %zu", i);
        digest(bytes, credentials, name, "password");
        ig_credentials_keep(credentials, bytes, 1);
    }
    assert_true(ig_credentials_find(credentials, bytes, 1)); /* the last one is kept */
    for (size_t i = 0; i < count; i++) {
        snprintf(name, sizeof name, "user %zu", i);
        digest(bytes, credentials, name, "password");
        found += ig_credentials_find(credentials, bytes, 1);
    }
    assert_in_range(found, IG_CREDENTIALS_KEPT / 2, IG_CREDENTIALS_KEPT);
    ig_credentials_free(credentials);
}

static void test_failures(void **state)
{
    (void)state;
    struct ig_credentials *credentials = ig_credentials_new();
    int64_t now = 1000000;
    for (int i = 0; i < IG_CREDENTIALS_FAILURES; i++) {
        assert_true(ig_credentials_may_try(credentials, IG_STR("ann"), now + i));
        ig_credentials_failed(credentials, IG_STR("ann"), now + i);
    }
    assert_false(ig_credentials_may_try(credentials, IG_STR("ann"), now + 100));
    assert_false(
        ig_credentials_may_try(credentials, IG_STR("ann"), now + IG_CREDENTIALS_MINUTE_MS - 1));
    assert_true(ig_credentials_may_try(credentials, IG_STR("ann"), now + IG_CREDENTIALS_MINUTE_MS));
    ig_credentials_failed(credentials, IG_STR("ann"), now + IG_CREDENTIALS_MINUTE_MS);
    assert_true(
        ig_credentials_may_try(credentials, IG_STR("ann"), now + IG_CREDENTIALS_MINUTE_MS + 1));
    ig_credentials_free(credentials);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_find),
        cmocka_unit_test(test_nothing),
        cmocka_unit_test(test_bounded),
        cmocka_unit_test(test_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
