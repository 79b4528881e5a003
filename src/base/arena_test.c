/* SPDX-License-Identifier: Apache-2.0 */
/* Arenas: alignment, caps, reuse. */
#include "base/arena.h"
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_alignment_and_growth(void **state)
{
    (void)state;
    struct ig_arena arena;
    ig_arena_init(&arena, 1024, 1 << 20);
    for (size_t size = 1; size < 3000; size += 37) {
        char *memory = ig_arena_alloc(&arena, size);
        assert_non_null(memory);
        assert_int_equal((uintptr_t)memory % 16, 0);
        memset(memory, 1, size);
        char *wide = ig_arena_alloc_aligned(&arena, size, 64);
        assert_int_equal((uintptr_t)wide % 64, 0);
        memset(wide, 2, size);
        assert_int_equal(memory[size - 1], 1);
    }
    size_t held = arena.held_bytes;
    ig_arena_reset(&arena);
    assert_true(arena.held_bytes <= 1024 && held > 1024);
    ig_arena_deinit(&arena);
}

static void test_cap_is_sticky(void **state)
{
    (void)state;
    struct ig_arena arena;
    ig_arena_init(&arena, 1024, 4096);
    assert_null(ig_arena_alloc(&arena, 5000));
    assert_true(arena.overflowed);
    assert_non_null(ig_arena_alloc(&arena, 100));
    assert_true(arena.overflowed);
    ig_arena_reset(&arena);
    assert_false(arena.overflowed);
    assert_null(ig_arena_array(&arena, SIZE_MAX / 4, 8));
    assert_null(ig_arena_copy(&arena, "", SIZE_MAX / 4, 8));
    assert_memory_equal(ig_arena_copy(&arena, "copied", 3, 2), "copied", 6);
    assert_non_null(ig_arena_copy(&arena, NULL, 0, 8));
    assert_null(ig_arena_alloc(&arena, SIZE_MAX));
    size_t total = 0;
    while (ig_arena_alloc(&arena, 100)) total += 100;
    assert_true(total <= 4096 && total > 2000);
    ig_arena_deinit(&arena);
}

static void test_text(void **state)
{
    (void)state;
    struct ig_arena arena;
    ig_arena_init(&arena, 256, 4096);
    assert_string_equal(ig_arena_cstr(&arena, IG_STR("abc")), "abc");
    assert_string_equal(ig_arena_printf(&arena, "%d-%s", 5, "x"), "5-x");
    struct ig_str copy = ig_arena_dup(&arena, IG_STR("hello"));
    assert_int_equal(copy.len, 5);
    ig_mem_fail_after(1);
    ig_arena_deinit(&arena);
    copy = ig_arena_dup(&arena, IG_STR("hello"));
    ig_mem_fail_after(0);
    assert_null(copy.ptr);
    assert_int_equal(copy.len, 0);
}

static void test_growing_array(void **state)
{
    (void)state;
    struct ig_arena arena;
    int *items = NULL;
    size_t count = 0, cap = 0;
    ig_arena_init(&arena, 256, 4096);
    for (;;) {
        int *grown = ig_arena_grow(&arena, items, count, &cap, sizeof *items);
        if (!grown) break;
        items = grown;
        items[count] = (int)count;
        count++;
    }
    assert_true(arena.overflowed && count == cap && count >= 256);
    for (size_t i = 0; i < count; i++) assert_int_equal(items[i], i);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_alignment_and_growth),
        cmocka_unit_test(test_cap_is_sticky),
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_growing_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
