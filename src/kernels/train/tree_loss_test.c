/* SPDX-License-Identifier: Apache-2.0 */
/* Losses: their derivatives by differences, their least where the labels are, and accuracy. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/train/tree_loss.h"

#include <math.h>

static const struct {
    enum ig_transform transform;
    uint32_t outputs;
    double slope;
} CASES[] = {{IG_TRANSFORM_IDENTITY, 2, 1},  {IG_TRANSFORM_SIGMOID, 1, 1},
             {IG_TRANSFORM_SIGMOID, 1, 0.4}, {IG_TRANSFORM_SIGMOID_EACH, 3, 1},
             {IG_TRANSFORM_SOFTMAX, 3, 1},   {IG_TRANSFORM_ARGMAX, 3, 1},
             {IG_TRANSFORM_EXP, 1, 1},       {IG_TRANSFORM_PROBABILITY, 2, 1}};

static double loss_at(const struct ig_model *model, const double *margins, const double *labels,
                      double *gradients, double *hessians)
{
    const struct ig_tree_loss_batch batch = {model, margins, labels, 1};
    return ig_tree_loss_run(&batch, gradients, hessians);
}

static void check_derivatives(const struct ig_model *model, const double *labels)
{
    const double step = 1e-4;
    double margins[] = {0.3, -0.9, 1.4}, g[3], h[3], up[3], down[3], unused[3];
    loss_at(model, margins, labels, g, h);
    for (uint32_t o = 0; o < model->outputs_count; o++) {
        double middle = margins[o];
        margins[o] = middle + step;
        double above = loss_at(model, margins, labels, up, unused);
        margins[o] = middle - step;
        double below = loss_at(model, margins, labels, down, unused);
        margins[o] = middle;
        assert_true(fabs((above - below) / (2 * step) - g[o]) < 1e-6);
        assert_true(fabs((up[o] - down[o]) / (2 * step) - h[o]) < 1e-6);
    }
}

static void test_derivatives(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct ig_model model = {.transform = CASES[i].transform,
                                       .outputs_count = CASES[i].outputs,
                                       .transform_parameter = CASES[i].slope};
        const double margins[] = {0.7, 0.1, -1.2};
        double labels[3], g[3], h[3];
        ig_tree_loss_answer(&model, margins, labels);
        loss_at(&model, margins, labels, g, h);
        for (uint32_t o = 0; o < model.outputs_count; o++) {
            assert_true(fabs(g[o]) < 1e-12); /* nothing is nearer to one's own answer */
            assert_true(h[o] > 0);
        }
        check_derivatives(&model, labels);
    }
}

static void test_values(void **state)
{
    (void)state;
    const struct ig_model logistic = {
        .transform = IG_TRANSFORM_SIGMOID, .outputs_count = 1, .transform_parameter = 1};
    const struct ig_model softmax = {.transform = IG_TRANSFORM_SOFTMAX, .outputs_count = 3};
    const double one = 1, zero = 0, second[] = {0, 1, 0}, margins[] = {1, 2, 3};
    assert_true(fabs(loss_at(&logistic, &zero, &one, NULL, NULL) - log(2)) < 1e-12);
    double expected = log(exp(-1) + 1 + exp(1));
    assert_true(fabs(loss_at(&softmax, margins, second, NULL, NULL) - expected) < 1e-12);
    const double large[] = {800, -800};
    assert_true(loss_at(&logistic, &large[0], &one, NULL, NULL) == 0);
    assert_true(loss_at(&logistic, &large[1], &one, NULL, NULL) == 800);
}

static void test_accuracy(void **state)
{
    (void)state;
    const struct ig_model binary = {.transform = IG_TRANSFORM_SIGMOID, .outputs_count = 1};
    const struct ig_model three = {.transform = IG_TRANSFORM_ARGMAX, .outputs_count = 3};
    const struct ig_model number = {.transform = IG_TRANSFORM_IDENTITY, .outputs_count = 1};
    const double margins[] = {-1, 2, 0.5, 1, 0, 3}, labels[] = {0, 1, 0, 0, 0, 1};
    struct ig_tree_loss_batch batch = {&binary, margins, labels, 4};
    assert_true(ig_tree_loss_accuracy(&batch) == 0.5);
    batch = (struct ig_tree_loss_batch){&three, margins, labels, 2};
    assert_true(ig_tree_loss_accuracy(&batch) == 1);
    batch.model = &number;
    assert_true(isnan(ig_tree_loss_accuracy(&batch)));
}

static void test_what_takes_labels(void **state)
{
    (void)state;
    struct ig_model model = {.transform = IG_TRANSFORM_IDENTITY, .outputs_count = 1};
    assert_true(ig_tree_loss_takes_labels(&model));
    model.objective = ig_str_view("reg:quantileerror");
    assert_false(ig_tree_loss_takes_labels(&model));
    model.objective = ig_str_view("lambdarank");
    assert_false(ig_tree_loss_takes_labels(&model));
    model.transform = IG_TRANSFORM_HINGE;
    assert_false(ig_tree_loss_takes_labels(&model));
    model.transform = IG_TRANSFORM_PROBABILITY;
    assert_true(ig_tree_loss_takes_labels(&model));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_derivatives),
        cmocka_unit_test(test_values),
        cmocka_unit_test(test_accuracy),
        cmocka_unit_test(test_what_takes_labels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
