/* SPDX-License-Identifier: Apache-2.0 */
/* Linear SHAP values: against shap's LinearExplainer, and by hand with groups, missing inputs and
 * weights. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/explain/golden_testing.h"
#include "kernels/linear/linear_shap.h"

#include <math.h>
#include <string.h>

enum { VALUES_MAX = 32 };

static void check_golden(const char *folder, uint32_t outputs)
{
    double *weights, *others, *rows, *expected, base[4] = {0};
    double mean[VALUES_MAX], scratch[VALUES_MAX], got[VALUES_MAX], margins[4];
    size_t count = ig_testing_numbers(&weights, folder, "weights");
    IG_ASSERT(count >= 2 * (size_t)outputs); /* golden files are found */
    uint32_t features = (uint32_t)(count / outputs) - 1;
    const struct ig_model model = {.kind = IG_MODEL_LINEAR,
                                   .features_count = features,
                                   .outputs_count = outputs,
                                   .weights = weights,
                                   .base_margin = base};
    size_t others_count = ig_testing_numbers(&others, folder, "background") / features;
    size_t rows_count = ig_testing_numbers(&rows, folder, "rows") / features;
    size_t each = outputs * (features + (size_t)1);
    assert_true(rows_count > 0 && others_count > 0 && each <= VALUES_MAX);
    assert_int_equal(ig_testing_numbers(&expected, folder, "expected"), rows_count * each);
    IG_ASSERT(expected);
    const struct ig_background background = {others, NULL, others_count, features};
    ig_linear_shap_mean(&model, &background, mean, scratch);
    const struct ig_linear_shap shap = {&model, mean, {NULL, features}};
    for (size_t i = 0; i < rows_count; i++) {
        ig_linear_shap_run(&shap, rows + i * features, got, scratch);
        ig_linear_margin(&model, rows + i * features, margins);
        for (size_t k = 0; k < each; k++)
            assert_true(fabs(got[k] - expected[i * each + k]) < 1e-12);
        for (size_t o = 0; o < outputs; o++) {
            double sum = 0;
            for (uint32_t f = 0; f <= features; f++) sum += got[o * (features + 1) + f];
            assert_true(fabs(sum - margins[o]) < 1e-12);
        }
    }
    ig_free(weights);
    ig_free(others);
    ig_free(rows);
    ig_free(expected);
}

static void test_agrees_with_shap(void **state)
{
    (void)state;
    check_golden("linear_shap/regression", 1);
    check_golden("linear_shap/classes", 3);
}

static double WEIGHTS[] = {2, -1, 0.5, 4, 1, 8, /* biases */ 10, 20};
static double BASE[] = {0.25, 0};
static const struct ig_model MODEL = {.kind = IG_MODEL_LINEAR,
                                      .inputs_f32 = true,
                                      .features_count = 3,
                                      .outputs_count = 2,
                                      .weights = WEIGHTS,
                                      .base_margin = BASE};

static void test_groups_missing_and_weights(void **state)
{
    (void)state;
    static const double OTHERS[] = {4, NAN, 1, 8, 2, NAN};
    static const double SHARES[] = {0.75, 0.25};
    static const uint32_t GROUPS[] = {1, 0, 1};
    const struct ig_background background = {OTHERS, SHARES, 2, 3};
    double mean[8], scratch[8], got[8], grouped[6];
    ig_linear_shap_mean(&MODEL, &background, mean, scratch);
    /* Means of the terms: x0 5, x1 0.5, x2 0.75; missing adds nothing. */
    const double row[] = {3, 2, NAN};
    const struct ig_linear_shap shap = {&MODEL, mean, {NULL, 3}};
    ig_linear_shap_run(&shap, row, got, scratch);
    const double expected[] = {-4, 0.75, -0.75, 21.25, 2, 6, -6, 23};
    for (int i = 0; i < 8; i++) assert_true(got[i] == expected[i]);
    const struct ig_linear_shap by_group = {&MODEL, mean, {GROUPS, 2}};
    ig_linear_shap_run(&by_group, row, grouped, scratch);
    const double sums[] = {0.75, -4.75, 21.25, 6, -4, 23};
    for (int i = 0; i < 6; i++) assert_true(grouped[i] == sums[i]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_shap),
        cmocka_unit_test(test_groups_missing_and_weights),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
