/* SPDX-License-Identifier: Apache-2.0 */
/* Typed growable arrays. */
#include "base/vec.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_push(void **state)
{
    (void)state;
    struct {
        int *items;
        size_t count, cap;
    } vec = {0};
    for (int i = 0; i < 20; i++) {
        bool pushed = IG_VEC_PUSH(&vec, i, 20);
        assert_true(pushed);
    }
    bool pushed = IG_VEC_PUSH(&vec, 20, 20);
    assert_false(pushed);
    assert_int_equal(vec.count, 20);
    for (int i = 0; i < 20; i++) assert_int_equal(vec.items[i], i);
    ig_mem_fail_after(1);
    pushed = IG_VEC_PUSH(&vec, 20, 100);
    assert_false(pushed);
    ig_mem_fail_after(0);
    assert_int_equal(vec.count, 20);
    IG_VEC_FREE(&vec);
    assert_null(vec.items);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_push),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
