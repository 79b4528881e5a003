/* SPDX-License-Identifier: Apache-2.0 */
/* The first test vectors of RFC 8032 and RFC 7693. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ed25519.h"
#include "base/hash.h"

static void from_hex(unsigned char *out, const char *text)
{
    for (size_t i = 0; text[2 * i]; i++)
        out[i] = (unsigned char)(ig_hex_digit(text[2 * i]) * 16 + ig_hex_digit(text[2 * i + 1]));
}

static void test_rfc_8032(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    unsigned char seed[32], key[32], signature[64];
    char text[129];
    from_hex(seed, "4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb");
    assert_int_equal(ig_ed25519_public(key, seed, &err), IG_OK);
    ig_hex(text, key, 32);
    assert_string_equal(text, "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c");
    assert_int_equal(ig_ed25519_sign(signature, seed, IG_STR("\x72"), &err), IG_OK);
    ig_hex(text, signature, 64);
    assert_string_equal(text, "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da"
                              "085ac1e43e15996e458f3613d0f11d8c387b2eaeb4302aeeb00d291612bb0c00");
}

static void test_verify(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    unsigned char seed[32] = {9}, key[32], signature[64];
    assert_int_equal(ig_ed25519_public(key, seed, &err), IG_OK);
    assert_int_equal(ig_ed25519_sign(signature, seed, IG_STR("a message"), &err), IG_OK);
    assert_true(ig_ed25519_verify(signature, key, IG_STR("a message")));
    assert_false(ig_ed25519_verify(signature, key, IG_STR("a massage")));
    signature[40] ^= 1;
    assert_false(ig_ed25519_verify(signature, key, IG_STR("a message")));
}

static void test_pem(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    unsigned char seed[32] = {1, 2, 3}, read[32];
    struct ig_buf text;
    ig_buf_init(&text, 4096);
    assert_int_equal(ig_ed25519_pem_write(&text, seed, &err), IG_OK);
    assert_true(ig_str_starts(ig_buf_view(&text), IG_STR("-----BEGIN PRIVATE KEY-----\n")));
    assert_int_equal(ig_ed25519_pem_read(read, ig_buf_view(&text), &err), IG_OK);
    assert_memory_equal(read, seed, 32);
    assert_int_equal(ig_ed25519_pem_read(read, IG_STR("no key"), &err), IG_PARSE);
    ig_buf_deinit(&text);
}

static void test_rfc_7693(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    unsigned char digest[64];
    char text[129];
    assert_int_equal(ig_blake2b(digest, IG_STR("abc"), &err), IG_OK);
    ig_hex(text, digest, 64);
    assert_string_equal(text, "ba80a53f981c4d0d6a2797b69f12f6e94c212f14685ac4b74b12bb6fdbffa2d1"
                              "7d87c5392aab792dc252d5de4533cc9518d38aa8dbf1925ab92386edd4009923");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_8032),
        cmocka_unit_test(test_verify),
        cmocka_unit_test(test_pem),
        cmocka_unit_test(test_rfc_7693),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
