/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "model/foreign.h"

#include <math.h>

static void test_marks(void **state)
{
    (void)state;
    double values[4] = {1, NAN, INFINITY, 0};
    assert_false(ig_foreign_marked(values, 4));
    ig_foreign_mark(values + 3, 1);
    assert_true(isnan(values[3]));
    assert_true(ig_foreign_marked(values, 4));
    assert_false(ig_foreign_marked(values, 3));
    double mean = (2 + -3 * values[3]) / 2;
    assert_true(ig_foreign_marked(&mean, 1));
    assert_false(ig_foreign_marked(values, 0));
}

static void test_marks_of_members(void **state)
{
    (void)state;
    double values[2] = {1, 2};
    assert_int_equal(ig_foreign_marked_member(values, 2), -1);
    ig_foreign_mark(values, 1);
    assert_int_equal(ig_foreign_marked_member(values, 2), -1);
    for (int32_t member = 0; member < 32; member += 31) {
        ig_foreign_mark_member(values, 2, (size_t)member);
        double mean = (2 + -3 * values[1]) / 2;
        assert_true(isnan(mean) && ig_foreign_marked(&mean, 1));
        assert_int_equal(ig_foreign_marked_member(&mean, 1), member);
    }
}

static unsigned freed;

static void count_free(struct ig_foreign *foreign)
{
    freed += foreign != NULL;
}

static void test_a_model_owns_it(void **state)
{
    (void)state;
    struct ig_foreign foreign = {.features_count = 3, .values_count = 2, .free = count_free};
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_model_new(1 << 12);
    assert_non_null(model);
    model->kind = IG_MODEL_FOREIGN;
    model->features_count = 3;
    model->outputs_count = model->predictions_count = 1;
    model->base_margin = ig_arena_zalloc(&model->arena, sizeof(double));
    assert_int_equal(ig_model_check(model, &err), IG_INVALID);
    model->foreign = &foreign;
    err = IG_ERR_INIT;
    assert_int_equal(ig_model_check(model, &err), IG_INVALID);
    assert_string_equal(err.message,
                        "the foreign model takes 3 numbers and gives 2, expected 3 and 1");
    foreign.values_count = 1;
    err = IG_ERR_INIT;
    assert_int_equal(ig_model_check(model, &err), IG_OK);
    ig_model_free(model);
    assert_int_equal(freed, 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_marks),
        cmocka_unit_test(test_marks_of_members),
        cmocka_unit_test(test_a_model_owns_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
