/* SPDX-License-Identifier: Apache-2.0 */
/* Clocks. */
#include "base/clock.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

static void test_iso(void **state)
{
    (void)state;
    char text[IG_CLOCK_ISO_SIZE];
    ig_clock_iso(text, 0);
    assert_string_equal(text, "1970-01-01T00:00:00.000Z");
    ig_clock_iso(text, 1769903999123);
    assert_string_equal(text, "2026-01-31T23:59:59.123Z");
    ig_clock_iso(text, -1);
    assert_string_equal(text, "1969-12-31T23:59:59.999Z");
    ig_clock_iso(text, INT64_MAX);
    assert_string_equal(text, "9999-12-31T23:59:59.999Z");
    ig_clock_iso(text, INT64_MIN);
    assert_string_equal(text, "1000-01-01T00:00:00.000Z");
    ig_clock_iso(text, 951782400000);
    assert_string_equal(text, "2000-02-29T00:00:00.000Z");
}

static void test_moves_forward(void **state)
{
    (void)state;
    uint64_t before = ig_clock_ns(), cpu = ig_clock_cpu_ns();
    volatile uint64_t work = 0;
    for (int i = 0; i < 1000000; i++) work += (uint64_t)i;
    assert_true(work > 0);
    assert_true(ig_clock_ns() > before);
    assert_true(ig_clock_cpu_ns() > cpu);
    assert_true(ig_clock_unix_ms() > 1700000000000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_iso),
        cmocka_unit_test(test_moves_forward),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
