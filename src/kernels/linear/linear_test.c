/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/linear/linear.h"

#include <math.h>

static double WEIGHTS[] = {2, -1, 0.5, 4, /* biases */ 10, 20};
static double BASE[] = {0.25, 0};
static const struct ig_model MODEL = {.kind = IG_MODEL_LINEAR,
                                      .inputs_f32 = true,
                                      .features_count = 2,
                                      .outputs_count = 2,
                                      .weights = WEIGHTS,
                                      .base_margin = BASE};

static void test_missing_is_left_out(void **state)
{
    (void)state;
    double margins[2];
    ig_linear_margin(&MODEL, (double[]){3, 2}, margins);
    assert_true(margins[0] == 17.25 && margins[1] == 25);
    ig_linear_margin(&MODEL, (double[]){NAN, 2}, margins);
    assert_true(margins[0] == 11.25 && margins[1] == 28);
}

static void test_sums_in_float(void **state)
{
    (void)state;
    double margins[2];
    ig_linear_margin(&MODEL, (double[]){1e9, 2}, margins);
    assert_true(margins[0] == 2e9); /* 10.25 and 1 are below half a unit of 2e9 */
    struct ig_model exact = MODEL;
    exact.inputs_f32 = false;
    ig_linear_margin(&exact, (double[]){1e9, 2}, margins);
    assert_true(margins[0] == 2e9 + 11.25);
}

static void test_contributions_add_up(void **state)
{
    (void)state;
    double contributions[6];
    ig_linear_contributions(&MODEL, (double[]){3, NAN}, contributions);
    const double expected[] = {6, 0, 10.25, -3, 0, 20};
    for (int i = 0; i < 6; i++) assert_true(contributions[i] == expected[i]);
    double base[2];
    ig_linear_base(&MODEL, base);
    assert_true(base[0] == 10.25 && base[1] == 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_missing_is_left_out),
        cmocka_unit_test(test_sums_in_float),
        cmocka_unit_test(test_contributions_add_up),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
