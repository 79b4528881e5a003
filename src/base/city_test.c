/* SPDX-License-Identifier: Apache-2.0 */
/* The low halves of the hashes as CatBoost 1.2.10 gives them (cat_features_hash of its JSON), at
 * the edges of each length's rule. */
#include "base/city.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

enum { LENGTH_MAX = 255 };

static const struct {
    size_t length;
    uint32_t low;
} CASES[] = {
    {0, 797982799},    {1, 1076941191},  {2, 3871084584},   {3, 43054714},    {4, 1715121786},
    {7, 691446884},    {8, 504067608},   {9, 2110054025},   {15, 2097148540}, {16, 2665501002},
    {17, 3536295015},  {24, 1477128533}, {31, 3004193989},  {32, 3279227363}, {33, 3969297208},
    {48, 2235003981},  {63, 4094338719}, {64, 1960721725},  {65, 2456686140}, {100, 3539819827},
    {127, 4261847293}, {128, 967123780}, {129, 2085735954}, {255, 660745601},
};

static void test_catboost_hashes(void **state)
{
    char text[LENGTH_MAX];
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        size_t length = CASES[i].length;
        for (size_t j = 0; j < length; j++) text[j] = (char)('a' + (length * 7 + j * j) % 26);
        assert_int_equal((uint32_t)ig_city_hash64((struct ig_str){text, length}), CASES[i].low);
    }
    assert_int_equal((uint32_t)ig_city_hash64(IG_STR("blue")), 3431880003);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_catboost_hashes)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
