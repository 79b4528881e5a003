/* SPDX-License-Identifier: Apache-2.0 */
/* A buffer laid out by hand: what is there reads back, what is broken makes it bad and empty. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/flat.h"

#include <string.h>

/* root at 16: field 0 i32 = -5, field 1 absent, field 2 vector [7, 8], field 3 text "ab" */
static const unsigned char GOOD[] = {
    16,   0,    0,    0, /* root */
    12,   0,    16,   0,    4,   0,   0, 0,
    8,    0,    12,   0,    /* vtable at 4: its size, the table's, 4 fields */
    12,   0,    0,    0,    /* table at 16: back to 4 */
    0xfb, 0xff, 0xff, 0xff, /* -5 */
    8,    0,    0,    0,    /* at 24: on to 32 */
    16,   0,    0,    0,    /* at 28: on to 44 */
    2,    0,    0,    0,    7,   0,   0, 0,
    8,    0,    0,    0,                     /* vector at 32 */
    2,    0,    0,    0,    'a', 'b', 0, 0}; /* text at 44 */

static struct ig_str bytes_of(const unsigned char *bytes, size_t count)
{
    return (struct ig_str){(const char *)bytes, count};
}

static void test_reads(void **state)
{
    struct ig_flat flat;
    (void)state;
    struct ig_flat_table root = ig_flat_root(&flat, bytes_of(GOOD, sizeof GOOD));
    assert_int_equal(ig_flat_i32(&root, 0, 1), -5);
    assert_int_equal(ig_flat_i32(&root, 1, 42), 42);
    assert_int_equal(ig_flat_i32(&root, 9, 43), 43);
    struct ig_flat_vector vector = ig_flat_vector(&root, 2, 4);
    assert_int_equal(vector.count, 2);
    assert_int_equal(ig_flat_item_u32(&vector, 1, 0), 8);
    assert_true(ig_str_is(ig_flat_str(&root, 3), "ab"));
    assert_null(ig_flat_table(&root, 1).flat);
    assert_false(flat.bad);
}

/* Everything there is, of a buffer cut off at each length: no read outside (the sanitizer sees). */
static void test_cut_off(void **state)
{
    unsigned char copy[sizeof GOOD];
    (void)state;
    for (size_t length = 0; length < sizeof GOOD - 2; length++) {
        struct ig_flat flat;
        unsigned char *exact = length ? memcpy(copy + sizeof copy - length, GOOD, length) : copy;
        struct ig_flat_table root = ig_flat_root(&flat, bytes_of(exact, length));
        ig_flat_i32(&root, 0, 0);
        ig_flat_vector(&root, 2, 4);
        ig_flat_str(&root, 3);
        assert_true(flat.bad);
    }
}

static void expect_bad(size_t at, unsigned char byte)
{
    unsigned char copy[sizeof GOOD];
    struct ig_flat flat;
    memcpy(copy, GOOD, sizeof copy);
    copy[at] = byte;
    struct ig_flat_table root = ig_flat_root(&flat, bytes_of(copy, sizeof copy));
    ig_flat_i32(&root, 0, 0);
    ig_flat_vector(&root, 2, 4);
    ig_flat_str(&root, 3);
    if (!flat.bad) fail_msg("byte %zu as %u", at, byte);
    assert_int_equal(ig_flat_i32(&root, 0, 7), 7);
}

static void test_broken(void **state)
{
    (void)state;
    expect_bad(0, 200);  /* the root outside */
    expect_bad(16, 200); /* the vtable before the buffer */
    expect_bad(4, 255);  /* a vtable longer than the buffer */
    expect_bad(6, 255);  /* a table longer than the buffer */
    expect_bad(8, 14);   /* a field that ends behind its table */
    expect_bad(24, 255); /* a vector outside */
    expect_bad(35, 255); /* a vector of 2^32 - 1 items */
}

/* Looking at one thing over and over ends. */
static void test_charge(void **state)
{
    struct ig_flat flat;
    size_t times = 0;
    (void)state;
    struct ig_flat_table root = ig_flat_root(&flat, bytes_of(GOOD, sizeof GOOD));
    while (ig_flat_vector(&root, 2, 4).count) times++;
    assert_true(flat.bad && times > 100 && times < sizeof GOOD * IG_FLAT_CHARGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reads),
        cmocka_unit_test(test_cut_off),
        cmocka_unit_test(test_broken),
        cmocka_unit_test(test_charge),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
