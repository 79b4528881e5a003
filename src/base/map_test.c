/* SPDX-License-Identifier: Apache-2.0 */
/* Maps against a plain array. */
#include "base/map.h"
#include "base/mem.h"
#include "base/random.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

enum { KEYS = 500 };

static struct ig_str name(char text[16], size_t key)
{
    int length = snprintf(text, 16, "key-%zu", key);
    return (struct ig_str){text, (size_t)length};
}

static void test_random_operations(void **state)
{
    (void)state;
    struct ig_map map;
    ig_map_init(&map, 1000);
    void *expected[KEYS] = {0};
    size_t count = 0;
    struct ig_rng rng;
    ig_rng_seed(&rng, 4);
    static int values[KEYS * 3];
    for (int i = 0; i < 20000; i++) {
        char text[16];
        size_t key = ig_rng_below(&rng, KEYS);
        struct ig_str view = name(text, key);
        if (ig_rng_below(&rng, 2)) {
            void *value = &values[ig_rng_below(&rng, KEYS * 3)];
            assert_true(ig_map_put(&map, view, value));
            count += !expected[key];
            expected[key] = value;
        } else {
            assert_ptr_equal(ig_map_remove(&map, view), expected[key]);
            count -= expected[key] != NULL;
            expected[key] = NULL;
        }
        assert_int_equal(map.count, count);
        view = name(text, ig_rng_below(&rng, KEYS));
        size_t probe;
        sscanf(text, "key-%zu", &probe);
        assert_ptr_equal(ig_map_get(&map, view), expected[probe]);
    }
    size_t at = 0, seen = 0;
    struct ig_str key;
    void *value;
    while (ig_map_each(&map, &at, &key, &value)) seen++;
    assert_int_equal(seen, count);
    ig_map_deinit(&map);
}

static void test_limits(void **state)
{
    (void)state;
    struct ig_map map;
    int value;
    ig_map_init(&map, 2);
    assert_null(ig_map_get(&map, IG_STR("a")));
    assert_true(ig_map_put(&map, IG_STR("a"), &value));
    assert_true(ig_map_put(&map, IG_STR("b"), &value));
    assert_false(ig_map_put(&map, IG_STR("c"), &value));
    assert_true(ig_map_put(&map, IG_STR("a"), &map));
    assert_ptr_equal(ig_map_get(&map, IG_STR("a")), &map);
    ig_map_deinit(&map);
    ig_map_init(&map, 10);
    for (uint64_t n = 1; n <= 2; n++) {
        ig_mem_fail_after(n);
        assert_false(ig_map_put(&map, IG_STR("a"), &value));
        ig_mem_fail_after(0);
        assert_int_equal(map.count, 0);
        ig_map_deinit(&map);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_operations),
        cmocka_unit_test(test_limits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
