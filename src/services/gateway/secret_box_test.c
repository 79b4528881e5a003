/* SPDX-License-Identifier: Apache-2.0 */
/* Sealing and opening, PBKDF2 against Python's hashlib, and everything that must not open. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "services/gateway/secret_box.h"

static void test_key(void **state)
{
    (void)state;
    /* hashlib.pbkdf2_hmac('sha256', b'passphrase', bytes(range(16)), 1000) */
    static const unsigned char salt[IG_SECRET_SALT_BYTES] = {0, 1, 2,  3,  4,  5,  6,  7,
                                                             8, 9, 10, 11, 12, 13, 14, 15};
    unsigned char key[IG_SECRET_KEY_BYTES];
    char hex[2 * IG_SECRET_KEY_BYTES + 1];
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_secret_key_derive(key, IG_STR("passphrase"), salt, 1000, &err), IG_OK);
    ig_hex(hex, key, sizeof key);
    assert_string_equal(hex, "d2f225c757ad2915d7fac1d6a29e0730826052d7afdb3035fccbbaf2f7971eca");
}

static void test_sealed_and_opened(void **state)
{
    (void)state;
    static const unsigned char key[IG_SECRET_KEY_BYTES] = {1}, other[IG_SECRET_KEY_BYTES] = {2};
    const struct ig_str secret = IG_STR("{\"api_key\": \"sk-secret\"}");
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf sealed, again, opened;
    ig_buf_init(&sealed, 1 << 10);
    ig_buf_init(&again, 1 << 10);
    ig_buf_init(&opened, 1 << 10);
    assert_int_equal(ig_secret_seal(&sealed, key, IG_STR("s-1"), secret, &err), IG_OK);
    assert_int_equal(ig_secret_seal(&again, key, IG_STR("s-1"), secret, &err), IG_OK);
    assert_string_not_equal(sealed.ptr, again.ptr); /* another nonce */
    assert_null(strstr(sealed.ptr, "secret"));
    assert_int_equal(ig_secret_open(&opened, key, IG_STR("s-1"), ig_buf_view(&sealed), &err),
                     IG_OK);
    assert_true(ig_str_eq(ig_buf_view(&opened), secret));
    const struct {
        const unsigned char *key;
        const char *name;
        size_t changed; /* a byte of the text; SIZE_MAX: none */
    } wrong[] = {{other, "s-1", SIZE_MAX},
                 {key, "s-2", SIZE_MAX},
                 {key, "s-1", 0},
                 {key, "s-1", 24},
                 {key, "s-1", 40}};
    for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
        char kept = wrong[i].changed == SIZE_MAX ? '\0' : sealed.ptr[wrong[i].changed];
        if (kept) sealed.ptr[wrong[i].changed] = kept == 'A' ? 'B' : 'A';
        ig_buf_reset(&opened);
        ig_err_clear(&err);
        assert_int_equal(ig_secret_open(&opened, wrong[i].key, ig_str_view(wrong[i].name),
                                        ig_buf_view(&sealed), &err),
                         IG_DENIED);
        assert_int_equal(opened.len, 0);
        if (kept) sealed.ptr[wrong[i].changed] = kept;
    }
    ig_err_clear(&err);
    assert_int_equal(ig_secret_open(&opened, key, IG_STR("s-1"), IG_STR("AAAA"), &err), IG_DENIED);
    ig_buf_deinit(&sealed);
    ig_buf_deinit(&again);
    ig_buf_deinit(&opened);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_key),
        cmocka_unit_test(test_sealed_and_opened),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
