/* SPDX-License-Identifier: Apache-2.0 */
/* Deltas as the server writes and a device applies them: on models, on bytes of every kind, in
 * parts of every size, and when they are not what they should be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "formats/edge/edge_delta.h"

#include "ingot_edge_bundle_testing.h"
#include "ingot_edge_delta.h"

#include <string.h>

enum { FLASH = 1 << 20 };

static struct target {
    uint8_t bytes[FLASH];
    size_t size, at;
    int refuse_at; /* the write that fails, from 1; 0: none */
    int writes;
} target;

static int begin(void *context, size_t size)
{
    (void)context;
    target.size = size;
    target.at = 0;
    target.writes = 0;
    return size <= FLASH;
}

static int write(void *context, const void *bytes, size_t size)
{
    (void)context;
    if (++target.writes == target.refuse_at) return 0;
    assert_true(size <= target.size - target.at);
    if (size % 8) assert_int_equal(target.at + size, target.size);
    memcpy(target.bytes + target.at, bytes, size);
    target.at += size;
    return 1;
}

static const struct ige_delta_sink SINK = {.begin = begin, .write = write};

static enum ige_delta_status apply(struct ig_str old, struct ig_str delta, size_t part)
{
    struct ige_delta state;
    ige_delta_start(&state, old.ptr, old.len, &SINK);
    for (size_t at = 0; at < delta.len; at += part)
        if (ige_delta_feed(&state, delta.ptr + at, delta.len - at < part ? delta.len - at : part) !=
            IGE_DELTA_OK)
            break;
    return ige_delta_finish(&state, target.bytes);
}

/* The delta's size, after it has given the new bytes. */
static size_t expect(struct ig_str old, struct ig_str new)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf delta;
    ig_buf_init(&delta, 2 * FLASH);
    if (ig_edge_delta_write(&delta, old, new, &err) != IG_OK) fail_msg("%s", err.message);
    for (size_t part = 1; part < 2000; part = part * 7 + 3) {
        assert_int_equal(apply(old, ig_buf_view(&delta), part), IGE_DELTA_OK);
        assert_int_equal(target.at, new.len);
        assert_memory_equal(target.bytes, new.ptr, new.len);
    }
    size_t size = delta.len;
    ig_buf_deinit(&delta);
    return size;
}

static void test_bytes(void **state)
{
    (void)state;
    static char old[20000], new[20000];
    struct ig_rng rng;
    ig_rng_seed(&rng, 7);
    for (size_t i = 0; i < sizeof old; i++) new[i] = old[i] = (char)ig_rng_u64(&rng);
    struct ig_str before = {old, sizeof old}, after = {new, sizeof new};
    assert_true(expect(before, before) < 90);
    assert_true(expect(before, IG_STR("")) == IG_EDGE_DELTA_HEADER_BYTES);
    assert_true(expect(IG_STR(""), after) < sizeof new + 100);
    for (int i = 0; i < 50; i++) new[ig_rng_below(&rng, sizeof new)] ^= 1;
    assert_true(expect(before, after) < 300);
    memmove(new + 5000, new + 4000, 10000); /* moved, and some of it twice */
    assert_true(expect(before, after) < 400);
    after.len = 12345;
    expect(before, after);
    before.len = 777;
    expect(before, after);
    memset(old, 0, sizeof old);
    memset(new, 0, sizeof new);
    for (size_t i = 0; i < sizeof new; i += 100) new[i] = 1;
    expect((struct ig_str){old, sizeof old}, (struct ig_str){new, sizeof new});
}

/* The same trees with other leaves: half of the bundle, or less, travels. */
static void test_changed_leaves(void **state)
{
    (void)state;
    struct signed_bundle first, second;
    bundle_make(&first, &IG_EDGE_SHAPES[7], IG_COMPACT_WANT_INT16, 1);
    bundle_make(&second, &IG_EDGE_SHAPES[7], IG_COMPACT_WANT_INT16, 1);
    for (size_t i = 600; i < second.bytes.len; i += 6) second.bytes.ptr[i] ^= 0x55;
    size_t size = expect(ig_buf_view(&first.bytes), ig_buf_view(&second.bytes));
    if (size * 2 > second.bytes.len) fail_msg("%zu of %zu bytes", size, second.bytes.len);
    ig_buf_deinit(&first.bytes);
    ig_buf_deinit(&second.bytes);
}

static struct ig_buf delta;
#define OLD "a bundle that the device has, the first"
#define NEW "a bundle that comes, the second"

static enum ige_delta_status changed(size_t at, int flip)
{
    delta.ptr[at] ^= (char)flip;
    enum ige_delta_status status = apply(IG_STR(OLD), ig_buf_view(&delta), 16);
    delta.ptr[at] ^= (char)flip;
    return status;
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_buf_init(&delta, 4096);
    assert_int_equal(ig_edge_delta_write(&delta, IG_STR(OLD), IG_STR(NEW), &err), IG_OK);
    struct ig_str all = ig_buf_view(&delta);
    assert_int_equal(apply(IG_STR(OLD), all, 100), IGE_DELTA_OK);
    assert_int_equal(changed(0, 1), IGE_DELTA_BROKEN);
    assert_int_equal(changed(4, 1), IGE_DELTA_BROKEN);
    assert_int_equal(changed(8, 1), IGE_DELTA_OTHER_BUNDLE);
    assert_int_equal(changed(16, 1), IGE_DELTA_OTHER_BUNDLE);
    assert_int_equal(changed(48, 1), IGE_DELTA_WRONG_RESULT);
    assert_int_equal(changed(all.len - 1, 1), IGE_DELTA_WRONG_RESULT);
    assert_int_equal(changed(14, 1), IGE_DELTA_BROKEN); /* more is promised than comes */
    assert_int_equal(apply(IG_STR(NEW), all, 100), IGE_DELTA_OTHER_BUNDLE);
    for (size_t size = 0; size < all.len; size++)
        assert_int_equal(apply(IG_STR(OLD), (struct ig_str){all.ptr, size}, 100), IGE_DELTA_BROKEN);
    target.refuse_at = 1;
    assert_int_equal(apply(IG_STR(OLD), all, 100), IGE_DELTA_NOT_WRITTEN);
    target.refuse_at = 0;
    assert_int_equal(changed(15, 1), IGE_DELTA_NOT_WRITTEN); /* more than the flash has */
    ig_buf_add_char(&delta, 0x10);
    assert_int_equal(apply(IG_STR(OLD), ig_buf_view(&delta), 100), IGE_DELTA_BROKEN);
    ig_buf_deinit(&delta);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bytes),
        cmocka_unit_test(test_changed_leaves),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
