/* SPDX-License-Identifier: Apache-2.0 */
#include "base/lru.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

static struct ig_arena arena;

static struct ig_lru *open_table(size_t bytes)
{
    struct ig_lru *lru = NULL;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_lru_new(&lru, bytes, &err), IG_OK);
    return lru;
}

static struct ig_lru_key key_of(const struct ig_lru *lru, const char *context, const char *bytes)
{
    struct ig_lru_key key = {.bytes = ig_str_view(bytes)};
    ig_lru_context(key.context, lru, ig_str_view(context));
    return key;
}

static void test_context_and_bytes_decide(void **state)
{
    (void)state;
    struct ig_lru *lru = open_table(1 << 20);
    struct ig_lru_key key = key_of(lru, "a", "row"), other = key_of(lru, "b", "row");
    struct ig_lru_key longer = key_of(lru, "a", "rows");
    ig_lru_put(lru, &key, IG_STR("value"), 0);
    ig_lru_put(lru, &key, IG_STR("another"), 0); /* what is there stays */
    assert_true(ig_str_is(ig_lru_get(lru, &key, 0, &arena), "value"));
    assert_null(ig_lru_get(lru, &other, 0, &arena).ptr);
    assert_null(ig_lru_get(lru, &longer, 0, &arena).ptr);
    ig_lru_put(lru, &other, IG_STR(""), 0); /* nothing is a value too */
    assert_non_null(ig_lru_get(lru, &other, 0, &arena).ptr);
    struct ig_lru_stats stats;
    ig_lru_stats(lru, &stats);
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 2);
    assert_int_equal(stats.entries, 2);
    ig_lru_free(lru);
    ig_arena_deinit(&arena);
}

static void test_age(void **state)
{
    (void)state;
    struct ig_lru *lru = open_table(1 << 20);
    struct ig_lru_key key = key_of(lru, "a", "row");
    uint64_t before_ns = ig_clock_ns();
    ig_lru_put(lru, &key, IG_STR("old"), 0);
    uint64_t after_ns = ig_clock_ns() + 1;
    assert_true(ig_str_is(ig_lru_get(lru, &key, before_ns, &arena), "old"));
    ig_lru_put(lru, &key, IG_STR("new"), after_ns); /* takes the place of what is too old */
    assert_true(ig_str_is(ig_lru_get(lru, &key, before_ns, &arena), "new"));
    assert_null(ig_lru_get(lru, &key, UINT64_MAX, &arena).ptr);
    struct ig_lru_stats stats;
    ig_lru_stats(lru, &stats);
    assert_int_equal(stats.entries, 0); /* and what is found too old goes */
    assert_int_equal(stats.bytes, 0);
    ig_lru_free(lru);
    ig_arena_deinit(&arena);
}

static void test_bound(void **state)
{
    (void)state;
    enum { COUNT = 4000, BYTES = 64 << 10 };
    struct ig_lru *lru = open_table(BYTES);
    char text[32];
    struct ig_lru_stats stats;
    struct ig_lru_key kept = key_of(lru, "a", "kept");
    ig_lru_put(lru, &kept, IG_STR("v"), 0);
    for (int i = 0; i < COUNT; i++) {
        snprintf(text, sizeof text, "%d", i);
        struct ig_lru_key key = key_of(lru, "a", text);
        ig_lru_put(lru, &key, ig_str_view(text), 0);
        assert_non_null(ig_lru_get(lru, &kept, 0, &arena).ptr); /* used, so it stays */
        ig_arena_reset(&arena);
        ig_lru_stats(lru, &stats);
        assert_true(stats.bytes <= BYTES);
    }
    assert_true(stats.evicted > 0 && stats.entries + stats.evicted == COUNT + 1);
    char large[BYTES];
    memset(large, 'x', sizeof large);
    struct ig_lru_key key = key_of(lru, "a", "large");
    ig_lru_put(lru, &key, (struct ig_str){large, sizeof large}, 0); /* more than a part */
    assert_null(ig_lru_get(lru, &key, 0, &arena).ptr);
    ig_lru_free(lru);
    ig_arena_deinit(&arena);
}

static void test_none_kept(void **state)
{
    (void)state;
    struct ig_lru *lru = open_table(0);
    struct ig_lru_key key = key_of(lru, "a", "row");
    ig_lru_put(lru, &key, IG_STR("v"), 0);
    assert_null(ig_lru_get(lru, &key, 0, &arena).ptr);
    ig_lru_free(lru);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_context_and_bytes_decide),
        cmocka_unit_test(test_age),
        cmocka_unit_test(test_bound),
        cmocka_unit_test(test_none_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
