/* SPDX-License-Identifier: Apache-2.0 */
/* The heap and its failure switch. */
#include "base/mem.h"

#include <stdarg.h>
#include <stddef.h>

#include <malloc.h>
#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_nth_allocation_fails(void **state)
{
    (void)state;
    ig_mem_fail_after(3);
    void *first = ig_alloc(1), *second = ig_zalloc(1);
    assert_non_null(first);
    assert_non_null(second);
    assert_false(ig_mem_failed());
    assert_null(ig_alloc(1));
    assert_null(ig_zalloc_array(1, 1));
    assert_true(ig_mem_failed());
    ig_mem_fail_after(0);
    assert_false(ig_mem_failed());
    void *third = ig_alloc(1);
    assert_non_null(third);
    ig_free(first);
    ig_free(second);
    ig_free(third);
}

static void test_sizes(void **state)
{
    (void)state;
    size_t out = 7;
    assert_false(ig_mul(&out, SIZE_MAX, 2));
    assert_false(ig_add(&out, SIZE_MAX, 1));
    assert_int_equal(out, 7);
    assert_true(ig_mul(&out, 6, 7));
    assert_int_equal(out, 42);
    assert_null(ig_zalloc_array(SIZE_MAX / 2, 3));
    unsigned char *zeroed = ig_zalloc_array(4, 8);
    for (int i = 0; i < 32; i++) assert_int_equal(zeroed[i], 0);
    ig_free(zeroed);
    void *aligned = ig_alloc_aligned(64, 100);
    assert_int_equal((uintptr_t)aligned % 64, 0);
    ig_free(aligned);
    assert_null(ig_alloc_aligned(64, SIZE_MAX - 3));
}

/* Once kept, what a large answer needs comes from the heap, not from a mapping of its own. */
static void test_large_blocks_are_kept(void **state)
{
    (void)state;
    ig_mem_keep();
    size_t mapped = mallinfo2().hblkhd;
    void *block = ig_alloc(2 << 20);
    assert_non_null(block);
    assert_int_equal(mallinfo2().hblkhd, mapped);
    ig_free(block);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_nth_allocation_fails),
        cmocka_unit_test(test_sizes),
        cmocka_unit_test(test_large_blocks_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
