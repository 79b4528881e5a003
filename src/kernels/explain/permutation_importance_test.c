/* SPDX-License-Identifier: Apache-2.0 */
/* A model whose importances are known: y = a x0 + b x1 + noise, x2 ignored; metrics by hand; the
 * interval's coverage. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/explain/permutation_importance.h"

#include <math.h>
#include <string.h>

enum { ROWS = 400, FEATURES = 3 };

static struct ig_arena arena;
static double rows[ROWS * FEATURES], labels[ROWS];

static double normal(struct ig_rng *rng)
{
    double sum = 0;
    for (int i = 0; i < 12; i++) sum += ig_rng_unit(rng);
    return sum - 6;
}

static enum ig_code linear(void *context, double *values, const double *x, size_t first,
                           size_t count, struct ig_err *err)
{
    (void)context, (void)first, (void)err;
    for (size_t i = 0; i < count; i++) values[i] = 2 * x[i * FEATURES] + x[i * FEATURES + 1];
    return IG_OK;
}

/* Three classes: the greatest of the features, as probabilities. */
static enum ig_code classes(void *context, double *values, const double *x, size_t first,
                            size_t count, struct ig_err *err)
{
    (void)context, (void)first, (void)err;
    for (size_t i = 0; i < count; i++) {
        double sum = 0;
        for (size_t k = 0; k < 3; k++) sum += values[i * 3 + k] = exp(3 * x[i * FEATURES + k]);
        for (size_t k = 0; k < 3; k++) values[i * 3 + k] /= sum;
    }
    return IG_OK;
}

static const struct ig_permutation_model LINEAR = {FEATURES, 1, linear, NULL};
static const struct ig_permutation_model CLASSES = {FEATURES, 3, classes, NULL};

static void fill(uint64_t seed)
{
    struct ig_rng rng;
    ig_rng_seed(&rng, seed);
    for (size_t i = 0; i < ROWS * FEATURES; i++) rows[i] = normal(&rng);
    for (size_t i = 0; i < ROWS; i++)
        labels[i] = 2 * rows[i * FEATURES] + rows[i * FEATURES + 1] + normal(&rng);
}

static struct ig_permutation_result solve(const struct ig_permutation_model *model,
                                          enum ig_loss metric, uint32_t repeats,
                                          const struct ig_players *players)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_permutation_result result;
    const struct ig_permutation_input input = {model, rows, labels, ROWS, players};
    const struct ig_permutation_options options = {metric, repeats, 3};
    ig_arena_reset(&arena);
    if (ig_permutation_importance_run(&result, &input, &options, &arena, &err) != IG_OK)
        fail_msg("%s", err.message);
    return result;
}

/* E[(f(x') - y)^2] - E[(f(x) - y)^2] = 2 a^2 for a shuffled standard normal. */
static void test_known(void **state)
{
    (void)state;
    fill(1);
    struct ig_permutation_result r = solve(&LINEAR, IG_LOSS_MSE, 20, NULL);
    assert_true(fabs(r.score - 1) < 0.2);
    assert_true(fabs(r.mean[0] - 8) < 1.2 && fabs(r.mean[1] - 2) < 0.4);
    assert_true(r.mean[2] == 0 && r.sd[2] == 0 && r.half[2] == 0);
    struct ig_permutation_result again = solve(&LINEAR, IG_LOSS_MSE, 20, NULL);
    assert_true(again.mean[0] == r.mean[0] && again.sd[0] == r.sd[0]);
    r = solve(&LINEAR, IG_LOSS_R2, 20, NULL);
    assert_true(fabs(r.score - 5.0 / 6) < 0.05 && fabs(r.mean[0] - 8.0 / 6) < 0.25);
    assert_true(r.half[0] > 0);
    r = solve(&LINEAR, IG_LOSS_RMSE, 20, NULL);
    assert_true(fabs(r.mean[0] - 2) < 0.3 && isnan(r.half[0]));
    r = solve(&LINEAR, IG_LOSS_MAE, 20, NULL); /* E|N(0, 9)| - E|N(0, 1)| */
    assert_true(fabs(r.mean[0] - 2 * sqrt(2 / 3.14159265)) < 0.25);
    static const uint32_t OF[] = {0, 0, 1};
    r = solve(&LINEAR, IG_LOSS_MSE, 20, &(struct ig_players){OF, 2});
    assert_int_equal(r.players_count, 2);
    assert_true(fabs(r.mean[0] - 10) < 1.5 && r.mean[1] == 0);
}

static void test_classes(void **state)
{
    (void)state;
    fill(2);
    for (size_t i = 0; i < ROWS; i++) {
        uint32_t best = 0;
        for (uint32_t k = 1; k < 3; k++)
            if (rows[i * FEATURES + k] > rows[i * FEATURES + best]) best = k;
        labels[i] = best;
    }
    struct ig_permutation_result r = solve(&CLASSES, IG_LOSS_ERROR, 10, NULL);
    assert_true(r.score == 0);
    for (int p = 0; p < 3; p++) assert_true(r.mean[p] > 0.3 && r.mean[p] < 0.6);
    r = solve(&CLASSES, IG_LOSS_LOG_LOSS, 10, NULL);
    assert_true(r.score > 0 && r.score < 0.5 && r.mean[0] > 0.5);
}

/* By pairs of rows: how often a positive one has the greater score. */
static void test_auc(void **state)
{
    double wins = 0, pairs = 0;
    (void)state;
    fill(3);
    for (size_t i = 0; i < ROWS; i++) {
        labels[i] = labels[i] > 0;
        for (size_t k = 0; k < FEATURES; k++)
            rows[i * FEATURES + k] = round(rows[i * FEATURES + k]); /* ties */
    }
    for (size_t i = 0; i < ROWS; i++)
        for (size_t k = 0; k < ROWS; k++) {
            double a, b;
            if (labels[i] != 1 || labels[k] != 0) continue;
            linear(NULL, &a, rows + i * FEATURES, 0, 1, NULL);
            linear(NULL, &b, rows + k * FEATURES, 0, 1, NULL);
            wins += a > b ? 1 : a == b ? 0.5 : 0;
            pairs++;
        }
    struct ig_permutation_result r = solve(&LINEAR, IG_LOSS_AUC, 5, NULL);
    assert_true(fabs(r.score - wins / pairs) < 1e-12);
    assert_true(r.mean[0] > r.mean[1] && r.mean[1] > 0 && r.mean[2] == 0);
}

/* The interval of the rise in squared error holds 2 a^2 about 95 times in 100. */
static void test_coverage(void **state)
{
    enum { TRIALS = 300 };
    size_t held = 0;
    (void)state;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        fill(100 + trial);
        struct ig_permutation_result r = solve(&LINEAR, IG_LOSS_MSE, 3, NULL);
        held += fabs(r.mean[1] - 2) <= r.half[1];
    }
    assert_in_range(held, TRIALS * 92 / 100, TRIALS * 99 / 100);
}

static void test_refusals(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_permutation_result result;
    struct ig_permutation_input input = {&CLASSES, rows, labels, ROWS, NULL};
    struct ig_permutation_options options = {IG_LOSS_ERROR, 2, 0};
    (void)state;
    fill(4);
    assert_int_equal(ig_permutation_importance_run(&result, &input, &options, &arena, &err),
                     IG_INVALID);
    assert_non_null(strstr(err.message, "is no class of the model"));
    input.rows_count = 1;
    assert_int_equal(ig_permutation_importance_run(&result, &input, &options, &arena, &err),
                     IG_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_known),    cmocka_unit_test(test_classes),
        cmocka_unit_test(test_auc),      cmocka_unit_test(test_coverage),
        cmocka_unit_test(test_refusals),
    };
    ig_arena_init(&arena, 1 << 16, 1 << 22);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
