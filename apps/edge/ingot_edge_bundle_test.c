/* SPDX-License-Identifier: Apache-2.0 */
/* Bundles: those of every kind of model are taken, and each fault is refused by its own word. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "ingot_edge_bundle_testing.h"

#include <string.h>

enum { ARENA = 16384, MODEL_BYTES_AT = 88, FEATURES_AT = 96, ROWS_AT = 92, ID_AT = 16 };

static uint64_t arena[ARENA / 8];
static uint8_t key[IGE_KEY_BYTES];

static struct ige_device device(void)
{
    bundle_key(key);
    return (struct ige_device){.key = key,
                               .target = "meter",
                               .counter = 4,
                               .now = 1900000000,
                               .arena = arena,
                               .arena_bytes = sizeof arena};
}

static uint32_t word_at(const char *at)
{
    const uint8_t *bytes = (const uint8_t *)at;
    return bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 | (uint32_t)bytes[3] << 24;
}

static enum ige_bundle_status check(const struct signed_bundle *bundle,
                                    const struct ige_device *own)
{
    struct ige_bundle found;
    return ige_bundle_check(&found, bundle->bytes.ptr, bundle->bytes.len, bundle->signature, own);
}

static void test_all_kinds(void **state)
{
    (void)state;
    struct ige_device own = device();
    for (size_t i = 0; i < IG_EDGE_SHAPES_COUNT; i++) {
        struct signed_bundle bundle;
        struct ige_bundle found;
        bundle_make(&bundle, &IG_EDGE_SHAPES[i], (enum ig_compact_want)(i % 4), 5 + i);
        assert_int_equal(check(&bundle, &own), IGE_BUNDLE_OK);
        assert_int_equal(ige_bundle_open(&found, bundle.bytes.ptr, bundle.bytes.len),
                         IGE_BUNDLE_OK);
        assert_string_equal((const char *)found.id, "risk");
        assert_int_equal(found.counter, 5 + i);
        struct ige_model model;
        assert_int_equal(ige_load(&model, found.model, found.model_bytes), IGE_OK);
        assert_int_equal(found.arena_bytes, ige_arena_bytes(&model));
        ig_buf_deinit(&bundle.bytes);
    }
}

static void test_refusals(void **state)
{
    (void)state;
    struct signed_bundle bundle;
    struct ige_device own = device(), other;
    bundle_make(&bundle, &IG_EDGE_SHAPES[0], IG_COMPACT_WANT_INT16, 5);
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_OK);
    other = own;
    other.counter = 5;
    assert_int_equal(check(&bundle, &other), IGE_BUNDLE_REPLAYED);
    other.counter = 6;
    assert_int_equal(check(&bundle, &other), IGE_BUNDLE_REPLAYED);
    other = own;
    other.now = 2000000001;
    assert_int_equal(check(&bundle, &other), IGE_BUNDLE_EXPIRED);
    other.now = 0; /* no clock */
    assert_int_equal(check(&bundle, &other), IGE_BUNDLE_OK);
    other = own;
    other.target = "mete";
    assert_int_equal(check(&bundle, &other), IGE_BUNDLE_WRONG_TARGET);
    other.target = "meters";
    assert_int_equal(check(&bundle, &other), IGE_BUNDLE_WRONG_TARGET);
    other = own;
    other.arena_bytes = 8;
    assert_int_equal(check(&bundle, &other), IGE_BUNDLE_TOO_LARGE);
    key[4] ^= 1;
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_OTHER_KEY);
    key[4] ^= 1;
    key[20] ^= 1;
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_BAD_SIGNATURE);
    key[20] ^= 1;
    bundle.bytes.len--;
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_BROKEN);
    bundle.bytes.len++;
    bundle.bytes.ptr[ID_AT] ^= 1;
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_BAD_SIGNATURE);
    ig_buf_deinit(&bundle.bytes);
}

/* What a signer could get wrong. */
static void test_signed_faults(void **state)
{
    (void)state;
    struct signed_bundle bundle;
    struct ige_device own = device();
    bundle_make(&bundle, &IG_EDGE_SHAPES[2], IG_COMPACT_WANT_EXACT, 9);
    bundle.bytes.ptr[bundle.bytes.len - 3] ^= 1;
    bundle_resign(&bundle);
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_WRONG_ANSWERS);
    bundle.bytes.ptr[bundle.bytes.len - 3] ^= 1;
    bundle.bytes.ptr[200] ^= 1;
    bundle_resign(&bundle);
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_BAD_MODEL);
    bundle.bytes.ptr[200] ^= 1;
    bundle.bytes.ptr[MODEL_BYTES_AT + 3] = 1;
    bundle_resign(&bundle);
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_BROKEN);
    bundle.bytes.ptr[MODEL_BYTES_AT + 3] = 0;
    bundle.bytes.ptr[ROWS_AT + 2] = 1;
    bundle_resign(&bundle);
    assert_int_equal(check(&bundle, &own), IGE_BUNDLE_BROKEN);
    ig_buf_deinit(&bundle.bytes);
}

static void test_networks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 4; seed++) {
        struct signed_bundle bundle;
        struct ige_device own = device();
        own.counter = 0;
        own.arena_bytes = 1 << 16;
        own.arena = ig_alloc_aligned(8, own.arena_bytes);
        bundle_make_network(&bundle, seed);
        assert_int_equal(check(&bundle, &own), IGE_BUNDLE_OK);
        struct ige_bundle found;
        ige_bundle_open(&found, bundle.bytes.ptr, bundle.bytes.len);
        assert_true(found.rows_count >= 2);
        char *word = bundle.bytes.ptr + FEATURES_AT;
        word[0] ^= 1;
        bundle_resign(&bundle);
        assert_int_equal(check(&bundle, &own), IGE_BUNDLE_BROKEN);
        word[0] ^= 1;
        size_t row = (bundle.bytes.len - (size_t)((const char *)found.rows - bundle.bytes.ptr)) /
                     found.rows_count;
        uint32_t words = word_at(bundle.bytes.ptr + FEATURES_AT);
        bundle.bytes.ptr[bundle.bytes.len - row + 4 * (size_t)words] ^= 2; /* an output */
        bundle_resign(&bundle);
        assert_int_equal(check(&bundle, &own), IGE_BUNDLE_WRONG_ANSWERS);
        ig_free(own.arena);
        ig_buf_deinit(&bundle.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_kinds),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_signed_faults),
        cmocka_unit_test(test_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
