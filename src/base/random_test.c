/* SPDX-License-Identifier: Apache-2.0 */
/* Ids and generators. */
#include "base/random.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

static void test_ids(void **state)
{
    (void)state;
    char ids[100][IG_ID_SIZE];
    for (int i = 0; i < 100; i++) {
        ig_id_new(ids[i]);
        assert_int_equal(strlen(ids[i]), 26);
        assert_int_equal(strspn(ids[i], "0123456789abcdefghjkmnpqrstvwxyz"), 26);
        if (i) assert_true(strcmp(ids[i], ids[i - 1]) > 0);
    }
}

static void test_generator(void **state)
{
    (void)state;
    struct ig_rng a, b;
    ig_rng_seed(&a, 1);
    ig_rng_seed(&b, 1);
    assert_true(ig_rng_u64(&a) == ig_rng_u64(&b));
    ig_rng_seed(&b, 2);
    assert_true(ig_rng_u64(&a) != ig_rng_u64(&b));
    long counts[7] = {0};
    double sum = 0;
    for (int i = 0; i < 70000; i++) {
        counts[ig_rng_below(&a, 7)]++;
        double unit = ig_rng_unit(&a);
        assert_true(unit >= 0 && unit < 1);
        sum += unit;
    }
    for (int i = 0; i < 7; i++) assert_in_range(counts[i], 9500, 10500);
    assert_true(sum / 70000 > 0.49 && sum / 70000 < 0.51);
    double units[5];
    b = a;
    ig_rng_units(&a, units, 5);
    for (int i = 0; i < 5; i++) assert_true(units[i] == ig_rng_unit(&b));
    assert_true(ig_rng_u64(&a) == ig_rng_u64(&b));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ids),
        cmocka_unit_test(test_generator),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
