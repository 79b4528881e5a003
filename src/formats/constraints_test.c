/* SPDX-License-Identifier: Apache-2.0 */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/constraints.h"

static struct ig_feature features[] = {
    {.name = {"age", 3}, .type = IG_FEATURE_INTEGER},
    {.name = {"pay", 3}, .type = IG_FEATURE_NUMERIC},
};

static void test_words(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_counterfactual_constraint c = {0};
    static const char *const WORDS[] = {"immutable", "up",        "down",     "missing",
                                        "-1.5..20",  "step:0.25", "scale:1e3"};
    (void)state;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        assert_int_equal(ig_constraint_parse(&c, ig_str_view(WORDS[i]), &err), IG_OK);
    assert_true(c.immutable && c.only_up && c.only_down && c.may_go_missing);
    assert_true(c.has_low && c.low == -1.5 && c.has_high && c.high == 20);
    assert_true(c.step == 0.25 && c.scale == 1000);
    assert_int_equal(ig_constraint_parse(&c, IG_STR("5.."), &err), IG_OK);
    assert_true(c.has_low && c.low == 5 && !c.has_high);
    assert_int_equal(ig_constraint_parse(&c, IG_STR("..7"), &err), IG_OK);
    assert_true(!c.has_low && c.has_high && c.high == 7);
}

static void test_refusals(void **state)
{
    static const struct {
        const char *word, *message;
    } BAD[] = {
        {"fixed", "constraints: 'fixed' is none of immutable, up, down, missing, LOW..HIGH, "
                  "step:X, scale:X"},
        {"a..5", "constraints: 'a' is no number"},
        {"1..b", "constraints: 'b' is no number"},
        {"step:", "constraints: '' is no number"},
        {"10..5", "constraints: '10..5' ends below its beginning"},
        {"step:-1", "constraints: 'step:-1' is below 0"},
        {"scale:-0.5", "constraints: 'scale:-0.5' is below 0"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_counterfactual_constraint c = {0};
        assert_int_equal(ig_constraint_parse(&c, ig_str_view(BAD[i].word), &err), IG_INVALID);
        assert_string_equal(err.message, BAD[i].message);
    }
}

static void test_features(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_schema schema = {.features = features, .features_count = 2};
    struct ig_constraints constraints;
    struct ig_arena arena;
    (void)state;
    ig_arena_init(&arena, 1 << 12, 1 << 16);
    assert_int_equal(ig_schema_index(&schema, &err), IG_OK);
    assert_int_equal(ig_constraints_begin(&constraints, &schema, &arena, &err), IG_OK);
    assert_true(constraints.items[0].step == 1 && constraints.items[1].step == 0);
    assert_ptr_equal(ig_constraints_find(&constraints, IG_STR("pay"), &err), &constraints.items[1]);
    assert_null(ig_constraints_find(&constraints, IG_STR("wage"), &err));
    assert_string_equal(err.message, "constraints: the model has no feature 'wage'");
    ig_schema_deinit(&schema);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_features),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
