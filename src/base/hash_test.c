/* SPDX-License-Identifier: Apache-2.0 */
/* SHA-256 and SipHash against published vectors. */
#include "base/hash.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_sha256_vectors(void **state)
{
    (void)state;
    char hex[IG_SHA256_HEX];
    ig_sha256_hex("abc", 3, hex);
    assert_string_equal(hex, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    ig_sha256_hex("", 0, hex);
    assert_string_equal(hex, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    struct ig_sha256 *hash = ig_sha256_new();
    ig_sha256_update(hash, "a", 1);
    ig_sha256_update(hash, "bc", 2);
    unsigned char digest[IG_SHA256_BYTES], whole[IG_SHA256_BYTES];
    ig_sha256_final(hash, digest);
    ig_sha256_free(hash);
    ig_sha256("abc", 3, whole);
    assert_true(ig_equal_constant_time(digest, whole, sizeof digest));
    whole[31] ^= 1;
    assert_false(ig_equal_constant_time(digest, whole, sizeof digest));
}

static void test_siphash_vectors(void **state)
{
    (void)state;
    unsigned char key[16], input[15];
    for (unsigned char i = 0; i < 16; i++) key[i] = i;
    for (unsigned char i = 0; i < 15; i++) input[i] = i;
    assert_true(ig_siphash(key, input, 15) == 0xa129ca6149be45e5u);
    assert_true(ig_siphash(key, input, 0) == 0x726fdb47dd0e0e31u);
    static const struct {
        size_t size;
        uint64_t hash;
    } rows[] = {{1, 0x74f839c593dc67fdu}, {2, 0x0d6c8009d9a94f5au}, {3, 0x85676696d7fb7e2du},
                {4, 0xcf2794e0277187b7u}, {5, 0x18765564cd99a68du}, {6, 0xcbc9466e58fee3ceu},
                {7, 0xab0200f58b01d137u}, {8, 0x93f5f5799a932462u}, {9, 0x9e0082df0ba9e4b0u}};
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        assert_true(ig_siphash(key, input, rows[i].size) == rows[i].hash);
    assert_true(ig_hash64("x", 1) == ig_hash64("x", 1));
    assert_true(ig_hash64("x", 1) != ig_hash64("y", 1));
}

/* RFC 4231, cases 1, 2 and 6; a key is longer than a block. */
static void test_hmac_vectors(void **state)
{
    unsigned char key[131], mac[IG_SHA256_BYTES];
    char hex[IG_SHA256_HEX], base64[IG_SHA256_BASE64];
    (void)state;
    memset(key, 0x0b, 20);
    ig_hmac_sha256(mac, (struct ig_str){(char *)key, 20}, IG_STR("Hi There"));
    ig_hex(hex, mac, sizeof mac);
    assert_string_equal(hex, "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7");
    ig_hmac_sha256(mac, IG_STR("Jefe"), IG_STR("what do ya want for nothing?"));
    ig_hex(hex, mac, sizeof mac);
    assert_string_equal(hex, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    memset(key, 0xaa, sizeof key);
    ig_hmac_sha256(mac, (struct ig_str){(char *)key, sizeof key},
                   IG_STR("Test Using Larger Than Block-Size Key - Hash Key First"));
    ig_hex(hex, mac, sizeof mac);
    assert_string_equal(hex, "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54");
    ig_sha256("abc", 3, mac);
    ig_sha256_base64(base64, mac);
    assert_string_equal(base64, "ungWv48Bz+pBQUDeXa4iI7ADYaOWF3qctBD/YfIAFa0=");
}

static void test_hex(void **state)
{
    (void)state;
    char text[9];
    static const char digits[] = "0123456789abcdefABCDEF", others[] = "/:@G`g \xC3";
    ig_hex(text, (const unsigned char[]){0, 0x1f, 0xa0, 0xff}, 4);
    assert_string_equal(text, "001fa0ff");
    for (int i = 0; digits[i]; i++) assert_int_equal(ig_hex_digit(digits[i]), i < 16 ? i : i - 6);
    for (size_t i = 0; i < sizeof others; i++) assert_int_equal(ig_hex_digit(others[i]), -1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256_vectors),
        cmocka_unit_test(test_hmac_vectors),
        cmocka_unit_test(test_siphash_vectors),
        cmocka_unit_test(test_hex),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
