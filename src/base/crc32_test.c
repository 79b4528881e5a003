/* SPDX-License-Identifier: Apache-2.0 */
/* The check value of the catalogue of CRCs, and zlib's own sums for every length and alignment. */
#include "base/crc32.h"

#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <setjmp.h>
#include <stdint.h>
#include <zlib.h>

#include <cmocka.h>

enum { LENGTH_MAX = 400, SHIFT_MAX = 16 };

static void test_check_value(void **state)
{
    (void)state;
    assert_int_equal(ig_crc32("", 0), 0);
    assert_int_equal(ig_crc32("123456789", 9), 0xCBF43926);
}

static void test_all_lengths(void **state)
{
    unsigned char bytes[LENGTH_MAX + SHIFT_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof bytes; i++) bytes[i] = (unsigned char)(i * i * 31 + i / 7);
    for (size_t shift = 0; shift < SHIFT_MAX; shift++)
        for (size_t length = 0; length <= LENGTH_MAX; length++)
            assert_int_equal(ig_crc32(bytes + shift, length),
                             (uint32_t)crc32(0, bytes + shift, (unsigned)length));
    memset(bytes, 0, sizeof bytes);
    for (size_t length = 0; length <= LENGTH_MAX; length++)
        assert_int_equal(ig_crc32(bytes, length), (uint32_t)crc32(0, bytes, (unsigned)length));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_check_value),
        cmocka_unit_test(test_all_lengths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
