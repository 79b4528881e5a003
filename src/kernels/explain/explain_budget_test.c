/* SPDX-License-Identifier: Apache-2.0 */
/* The order of methods, what fits a budget, and what is said about it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/explain/explain_budget.h"
#include "kernels/tree/tree_testing.h"

#include <string.h>

enum { FEATURES = 6, BACKGROUND = 20 };

static const struct ig_explain_options OPTIONS = {.output = IG_EXPLAIN_PREDICTED};

static struct ig_model *model;
static struct ig_engine *engine;
static double rows[BACKGROUND * FEATURES];
static const struct ig_background others = {rows, NULL, BACKGROUND, FEATURES};

static int setup(void **state)
{
    const struct ig_testing_shape shape = {
        .features = FEATURES, .outputs = 1, .trees = 20, .depth = 4, .sum_rule = IG_SUM_F64};
    struct ig_err err = IG_ERR_INIT;
    uint64_t seed = 4;
    (void)state;
    model = ig_testing_model(&shape, 11);
    model->transform = IG_TRANSFORM_SIGMOID;
    model->transform_parameter = 1;
    for (size_t i = 0; i < BACKGROUND * FEATURES; i++) rows[i] = ig_testing_unit(&seed, false);
    return ig_engine_new(&engine, model, &err) != IG_OK;
}

static int teardown(void **state)
{
    (void)state;
    ig_engine_free(engine);
    ig_model_free(model);
    return 0;
}

/* The method that is taken, and why. */
static enum ig_explainer take(struct ig_explain_budget *budget, const struct ig_explain_spec *spec)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_explain *explain = NULL;
    budget->options = &OPTIONS;
    if (ig_explain_new_within(&explain, engine, spec, budget, &err) != IG_OK)
        fail_msg("%s", err.message);
    enum ig_explainer method = ig_explain_method(explain);
    ig_explain_free(explain);
    return method;
}

static void test_best_that_fits(void **state)
{
    const struct ig_explain_spec plain = {0}, against = {.background = &others},
                                 probable = {.background = &others, .probability = true};
    struct ig_explain_budget ample = {.row_ns = 3000000000000};
    (void)state;
    assert_int_equal(take(&ample, &plain), IG_EXPLAINER_TREE_PATH_DEPENDENT);
    assert_int_equal(strncmp(ample.why, "the best that fits: about ", 26), 0);
    assert_non_null(strstr(ample.why, " of 3000000000 us"));
    assert_int_equal(take(&ample, &against), IG_EXPLAINER_TREE_INTERVENTIONAL);
    assert_int_equal(take(&ample, &probable), IG_EXPLAINER_EXACT); /* its own game */
}

/* Each method by the cost that it is offered at. */
static void test_offers(void **state)
{
    char why[IG_EXPLAIN_WHY_SIZE];
    struct ig_err err = IG_ERR_INIT;
    struct ig_explain_search search = {.budget_ns = 50000};
    (void)state;
    assert_false(ig_explain_search_offer(why, &search, IG_EXPLAINER_EXACT, 900000));
    assert_false(ig_explain_search_offer(why, &search, IG_EXPLAINER_LEVERAGE, 600000));
    assert_int_equal(ig_explain_search_fail(&search, &err), IG_INVALID);
    assert_string_equal(err.message, "budget_us: no method explains these rows within 50 us; the "
                                     "cheapest, leverage, takes about 61");
    assert_true(ig_explain_search_offer(why, &search, IG_EXPLAINER_LEVERAGE, 400000));
    assert_string_equal(why, "the best that fits: it samples until 50 us are over");
    search = (struct ig_explain_search){.budget_ns = 50000};
    err = IG_ERR_INIT;
    assert_int_equal(ig_explain_search_fail(&search, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "no method that may be chosen"));
}

static void test_suits(void **state)
{
    size_t count;
    (void)state;
    for (int probability = 0; probability < 2; probability++) {
        const enum ig_explainer *methods = ig_explain_by_quality(&count, probability);
        const struct ig_explain_wish ours = {true, probability, 11}, many = {true, probability, 12},
                                     alone = {false, probability, 11};
        for (size_t i = 0; i < count; i++) {
            bool linear = methods[i] == IG_EXPLAINER_LINEAR;
            bool exact = methods[i] == IG_EXPLAINER_EXACT;
            assert_int_equal(ig_explain_suits(engine, methods[i], &ours), !linear);
            assert_int_equal(ig_explain_suits(engine, methods[i], &many), !linear && !exact);
            assert_int_equal(ig_explain_suits(engine, methods[i], &alone),
                             !linear && !ig_explainer_needs_background(methods[i]));
            if (probability) assert_true(ig_explainer_takes(methods[i], IG_EXPLAINER_PROBABILITY));
        }
    }
    const struct ig_explain_wish wish = {true, true, 3};
    assert_false(ig_explain_suits(engine, IG_EXPLAINER_SAABAS, &wish));
}

static void test_named(void **state)
{
    struct ig_explain_spec spec = {.method = IG_EXPLAINER_EXACT, .background = &others};
    struct ig_explain_budget budget = {.row_ns = 1, .named = true, .options = &OPTIONS};
    struct ig_explain *explain = NULL;
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    assert_int_equal(ig_explain_new_within(&explain, engine, &spec, &budget, &err), IG_INVALID);
    assert_null(explain);
    assert_int_equal(strncmp(err.message, "budget_us: method exact takes about ", 36), 0);
    err = IG_ERR_INIT;
    budget.named = false;
    assert_int_equal(ig_explain_new_within(&explain, engine, &spec, &budget, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "no method explains these rows within 0 us"));
    budget.named = true;
    budget.row_ns = 3000000000000;
    assert_int_equal(take(&budget, &spec), IG_EXPLAINER_EXACT);
    assert_int_equal(strncmp(budget.why, "asked for; it takes about ", 26), 0);
    spec.method = IG_EXPLAINER_LEVERAGE;
    budget.row_ns = 7000;
    assert_int_equal(take(&budget, &spec), IG_EXPLAINER_LEVERAGE);
    assert_string_equal(budget.why, "asked for; it samples until 7 us are over");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_best_that_fits),
        cmocka_unit_test(test_offers),
        cmocka_unit_test(test_suits),
        cmocka_unit_test(test_named),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
