/* SPDX-License-Identifier: Apache-2.0 */
#include "base/pack.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void fill(struct ig_buf *out)
{
    const uint32_t odd[3] = {1, 2, 3};
    ig_pack_u64(out, 7);
    ig_pack_text(out, IG_STR("hello"));
    ig_pack_array(out, odd, 3, sizeof *odd);
    ig_pack_f64(out, 0.5);
}

static void test_what_goes_in_comes_out(void **state)
{
    (void)state;
    struct ig_buf bytes;
    ig_buf_init(&bytes, 4096);
    fill(&bytes);
    assert_int_equal(bytes.len % 8, 0);
    struct ig_unpack in = {bytes.ptr, bytes.len, false};
    assert_int_equal(ig_unpack_u64(&in), 7);
    assert_true(ig_str_is(ig_unpack_text(&in), "hello"));
    const uint32_t *odd = ig_unpack_array(&in, 3, sizeof *odd);
    assert_int_equal(odd[2], 3);
    assert_true(ig_unpack_f64(&in) == 0.5);
    assert_false(in.failed);
    assert_int_equal(in.left, 0);
    ig_unpack_u64(&in);
    assert_true(in.failed);
    ig_buf_deinit(&bytes);
}

static void test_cut_bytes_fail_and_stay_failed(void **state)
{
    (void)state;
    struct ig_buf bytes;
    ig_buf_init(&bytes, 4096);
    fill(&bytes);
    for (size_t length = 0; length < bytes.len; length++) {
        struct ig_unpack in = {bytes.ptr, length, false};
        ig_unpack_u64(&in);
        ig_unpack_text(&in);
        ig_unpack_array(&in, 3, sizeof(uint32_t));
        ig_unpack_f64(&in);
        assert_true(in.failed);
        assert_int_equal(ig_unpack_u64(&in), 0);
    }
    ig_buf_deinit(&bytes);
}

static void test_sizes_that_overflow_fail(void **state)
{
    (void)state;
    static const uint64_t LENGTHS[] = {SIZE_MAX, SIZE_MAX - 7, SIZE_MAX / 2};
    for (size_t i = 0; i < 3; i++) {
        struct ig_unpack in = {(const char *)&LENGTHS[i], 8, false};
        assert_int_equal(ig_unpack_text(&in).len, 0);
        assert_true(in.failed);
    }
    struct ig_unpack in = {(const char *)LENGTHS, sizeof LENGTHS, false};
    assert_null(ig_unpack_array(&in, SIZE_MAX / 4, 8));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_what_goes_in_comes_out),
        cmocka_unit_test(test_cut_bytes_fail_and_stay_failed),
        cmocka_unit_test(test_sizes_that_overflow_fail),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
