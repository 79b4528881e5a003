/* SPDX-License-Identifier: Apache-2.0 */
/* The device's verifier: the vectors of RFC 8032 and RFC 7693, OpenSSL's signatures over messages
 * of many lengths, and what is no signature. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/ed25519.h"
#include "base/hash.h"

#include "ingot_edge_hash.h"

#include <string.h>

static size_t from_hex(uint8_t *out, const char *text)
{
    size_t i = 0;
    for (; text[2 * i]; i++)
        out[i] = (uint8_t)(ig_hex_digit(text[2 * i]) * 16 + ig_hex_digit(text[2 * i + 1]));
    return i;
}

/* RFC 8032, section 7.1: key, message, signature. */
static const char *const VECTORS[][3] = {
    {"d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a", "",
     "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701cf9b"
     "4"
     "6bd25bf5f0595bbe24655141438e7a100b"},
    {"3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c", "72",
     "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d0f11"
     "d"
     "8c387b2eaeb4302aeeb00d291612bb0c00"},
    {"fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025", "af82",
     "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f760984dc"
     "6"
     "594a7c15e9716ed28dc027beceea1ec40a"},
    {"ec172b93ad5e563bf4932c70e1245034c35467ef2efd4d64ebf819683467e2bf",
     "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a2192992a274fc1a836ba3c23a3fee"
     "b"
     "bd454d4423643ce80e2a9ac94fa54ca49f",
     "dc2a4459e7369633a52b1bf277839a00201009a3efbf3ecb69bea2186c26b58909351fc9ac90b3ecfdfbc7c66431e"
     "0"
     "303dca179c138ac17ad9bef1177331a704"},
};

static void test_rfc_8032(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof VECTORS / sizeof *VECTORS; i++) {
        uint8_t key[32], message[64], signature[64];
        from_hex(key, VECTORS[i][0]);
        size_t size = from_hex(message, VECTORS[i][1]);
        from_hex(signature, VECTORS[i][2]);
        assert_true(ige_ed25519_verify(signature, key, message, size));
        signature[i * 13] ^= 4;
        assert_false(ige_ed25519_verify(signature, key, message, size));
    }
}

static void test_hashes(void **state)
{
    (void)state;
    static uint8_t bytes[700];
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (uint8_t)(i * 7);
    for (size_t size = 0; size < sizeof bytes; size += size < 300 ? 1 : 61) {
        struct ig_err err = IG_ERR_INIT;
        uint8_t digest[64], expected[64];
        ige_blake2b(digest, bytes, size);
        ig_blake2b(expected, (struct ig_str){(const char *)bytes, size}, &err);
        assert_memory_equal(digest, expected, 64);
    }
    struct ige_sha512 hash;
    uint8_t digest[64];
    char text[129];
    ige_sha512_init(&hash);
    ige_sha512_update(&hash, "abc", 3);
    ige_sha512_final(&hash, digest);
    ig_hex(text, digest, 64);
    assert_string_equal(text, "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a"
                              "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f");
}

static void test_openssl_signs(void **state)
{
    (void)state;
    static const size_t SIZES[] = {0, 1, 47, 48, 63, 64, 111, 112, 200, 5000};
    static uint8_t message[5000];
    for (size_t i = 0; i < sizeof SIZES / sizeof *SIZES; i++) {
        struct ig_err err = IG_ERR_INIT;
        uint8_t seed[32], key[32], signature[64];
        for (size_t k = 0; k < 32; k++) seed[k] = (uint8_t)(i * 37 + k * 11 + 5);
        message[i] = (uint8_t)i;
        struct ig_str text = {(const char *)message, SIZES[i]};
        assert_int_equal(ig_ed25519_public(key, seed, &err), IG_OK);
        assert_int_equal(ig_ed25519_sign(signature, seed, text, &err), IG_OK);
        assert_true(ige_ed25519_verify(signature, key, message, SIZES[i]));
        signature[63 - i] ^= (uint8_t)(1U << (i % 8));
        assert_false(ige_ed25519_verify(signature, key, message, SIZES[i]));
        signature[63 - i] ^= (uint8_t)(1U << (i % 8));
        key[i] ^= 1;
        assert_false(ige_ed25519_verify(signature, key, message, SIZES[i]));
    }
}

/* s + the order is the same number to the group, and must not be the same signature; a key whose y
 * is not below the prime, or that is no point, is none. */
static void test_what_is_no_signature(void **state)
{
    (void)state;
    static const uint8_t ORDER[32] = {0xed, 0xd3, 0xf5, 0x5c, 0x1a, 0x63, 0x12, 0x58,
                                      0xd6, 0x9c, 0xf7, 0xa2, 0xde, 0xf9, 0xde, 0x14,
                                      0,    0,    0,    0,    0,    0,    0,    0,
                                      0,    0,    0,    0,    0,    0,    0,    0x10};
    uint8_t key[32], signature[64];
    unsigned over = 0;
    from_hex(key, VECTORS[0][0]);
    from_hex(signature, VECTORS[0][2]);
    for (size_t i = 0; i < 32; i++) {
        over += (unsigned)signature[32 + i] + ORDER[i];
        signature[32 + i] = (uint8_t)over;
        over >>= 8;
    }
    assert_false(ige_ed25519_verify(signature, key, "", 0));
    from_hex(signature, VECTORS[0][2]);
    memset(key, 0xff, sizeof key);
    assert_false(ige_ed25519_verify(signature, key, "", 0));
    memset(key, 0, sizeof key);
    key[0] = 2; /* y = 2 has no x */
    assert_false(ige_ed25519_verify(signature, key, "", 0));
}

static void test_minisign_blocks(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    uint8_t seed[32] = {9}, key[IGE_KEY_BYTES] = "Ed12345678", digest[64];
    uint8_t signature[IGE_SIGNATURE_BYTES] = "ED12345678";
    struct ig_str text = IG_STR("a model");
    ig_ed25519_public(key + 10, seed, &err);
    ig_blake2b(digest, text, &err);
    ig_ed25519_sign(signature + 10, seed, (struct ig_str){(const char *)digest, 64}, &err);
    assert_true(ige_minisign_verify(signature, key, text.ptr, text.len));
    assert_false(ige_minisign_verify(signature, key, text.ptr, text.len - 1));
    signature[1] = 'd'; /* the older kind signs the message itself */
    assert_false(ige_minisign_verify(signature, key, text.ptr, text.len));
    ig_ed25519_sign(signature + 10, seed, text, &err);
    assert_true(ige_minisign_verify(signature, key, text.ptr, text.len));
    signature[5] ^= 1; /* another key's number */
    assert_false(ige_minisign_verify(signature, key, text.ptr, text.len));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_rfc_8032),        cmocka_unit_test(test_hashes),
        cmocka_unit_test(test_openssl_signs),   cmocka_unit_test(test_what_is_no_signature),
        cmocka_unit_test(test_minisign_blocks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
