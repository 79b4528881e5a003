/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP values of any model beside the field's: shap's KernelExplainer and ExactExplainer to the
 * last digits, and errors at equal evaluations at most those of LeverageSHAP and of shap's
 * sampling explainers (tests/golden/README.md). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/explain/any_shap.h"
#include "kernels/explain/golden_testing.h"

#include <math.h>
#include <string.h>

enum { PLAYERS = 12, SEEDS = 60 };

static size_t no_scratch(const struct ig_predictor *predictor, size_t count)
{
    (void)predictor;
    (void)count;
    return 0;
}

static struct ig_any_shap_result solve(const struct ig_any_shap_input *input,
                                       const struct ig_any_shap_options *options,
                                       struct ig_arena *arena)
{
    struct ig_any_shap_result result = {0};
    struct ig_err err = IG_ERR_INIT;
    if (ig_any_shap_run(&result, input, options, arena, &err) != IG_OK) fail_msg("%s", err.message);
    return result;
}

/* ---- exact values ---- */

/* `polynomial` of tests/golden/make_any_shap.py. */
static void polynomial(const struct ig_predictor *predictor, const double *rows, size_t count,
                       double *values, void *scratch)
{
    uint32_t n = predictor->features_count;
    (void)scratch;
    for (size_t i = 0; i < count; i++) {
        const double *x = rows + i * n;
        double sum = 0;
        for (uint32_t f = 0; f < n; f++) {
            double near = x[f] * x[(f + 1) % n];
            sum += x[f] * (f + 1) / n + near + 4 * near * x[(f + 2) % n] * x[(f + 5) % n];
        }
        values[2 * i] = sum + (x[3] > 0 ? x[4] : -x[5]);
        values[2 * i + 1] = tanh(values[2 * i]);
    }
}

static void check_kernel(const char *folder)
{
    double *row, *others, *weights, *numbers, *expected;
    uint32_t of_feature[16], players = 0;
    uint32_t features = (uint32_t)ig_testing_numbers(&row, folder, "row");
    size_t others_count = ig_testing_numbers(&others, folder, "background") / features;
    assert_int_equal(ig_testing_numbers(&weights, folder, "weights"), others_count);
    assert_int_equal(ig_testing_numbers(&numbers, folder, "players"), features);
    for (uint32_t f = 0; f < features; f++) {
        of_feature[f] = (uint32_t)numbers[f];
        if (of_feature[f] >= players) players = of_feature[f] + 1;
    }
    size_t cells = 2 * (players + (size_t)1);
    assert_int_equal(ig_testing_numbers(&expected, folder, "expected"), cells);
    const struct ig_predictor predictor = {features, 2, NULL, polynomial, no_scratch};
    const struct ig_background background = {others, weights, others_count, features};
    const struct ig_players groups = {of_feature, players};
    const struct ig_any_shap_input input = {&predictor, &background, row};
    const struct ig_any_shap_options options = {.players = &groups};
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, 64 << 20);
    struct ig_any_shap_result got = solve(&input, &options, &arena);
    for (size_t i = 0; i < cells; i++)
        if (!(fabs(got.contributions[i] - expected[i]) < 1e-9))
            fail_msg("%s: %.17g is not %.17g", folder, got.contributions[i], expected[i]);
    ig_arena_deinit(&arena);
    ig_free(row);
    ig_free(others);
    ig_free(weights);
    ig_free(numbers);
    ig_free(expected);
}

static void test_agrees_with_kernel_explainer(void **state)
{
    (void)state;
    check_kernel("any_shap/kernel");
    check_kernel("any_shap/kernel_groups");
}

/* ---- errors of sampling ---- */

/* The context is the table of the game's values. */
static void look_up(const struct ig_predictor *predictor, const double *rows, size_t count,
                    double *values, void *scratch)
{
    const double *table = predictor->context;
    (void)scratch;
    for (size_t i = 0; i < count; i++) {
        size_t known = 0;
        for (uint32_t f = 0; f < PLAYERS; f++) known |= (size_t)(rows[i * PLAYERS + f] > 0.5) << f;
        values[i] = table[known];
    }
}

struct contest {
    struct ig_any_shap_input input;
    const double *expected;
    struct ig_arena arena;
    double ratio[3]; /* sums of logarithms: leverage beside LeverageSHAP and KernelExplainer,
                        permutation beside PermutationExplainer */
    uint32_t count, orders_count;
};

/* Root mean square over players and seeds. */
static double error_of(struct contest *contest, enum ig_any_shap_method method, uint64_t evals)
{
    double sum = 0;
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        const struct ig_any_shap_options options = {
            .method = method, .seed = seed, .evals_max = evals};
        ig_arena_reset(&contest->arena);
        struct ig_any_shap_result got = solve(&contest->input, &options, &contest->arena);
        assert_true(got.evals <= evals);
        for (uint32_t p = 0; p < PLAYERS; p++)
            sum += pow(got.contributions[p] - contest->expected[p], 2);
    }
    return sqrt(sum / SEEDS / PLAYERS);
}

static void meet(struct contest *contest, const char *folder, const double peers[4])
{
    uint64_t evals = (uint64_t)peers[0];
    double leverage = error_of(contest, IG_ANY_SHAP_LEVERAGE, evals), permutation = 0;
    /* Of one game both sides are known to some percent. */
    assert_true(leverage < peers[1] * 1.12 && leverage < peers[2]);
    contest->ratio[0] += log(leverage / peers[1]);
    contest->ratio[1] += log(leverage / peers[2]);
    contest->count++;
    if (evals >= ig_any_shap_evals_min(IG_ANY_SHAP_PERMUTATION, PLAYERS)) {
        permutation = error_of(contest, IG_ANY_SHAP_PERMUTATION, evals);
        assert_true(permutation < peers[3] * 1.12);
        contest->ratio[2] += log(permutation / peers[3]);
        contest->orders_count++;
    }
    print_message("%s, %llu coalitions: leverage %.3g (LeverageSHAP %.3g, KernelExplainer %.3g), "
                  "permutation %.3g (PermutationExplainer %.3g)\n",
                  folder, (unsigned long long)evals, leverage, peers[1], peers[2], permutation,
                  peers[3]);
}

static void play(struct contest *contest, const char *folder)
{
    double *table, *expected, *peers, nobody[PLAYERS] = {0}, all[PLAYERS];
    assert_int_equal(ig_testing_numbers(&table, folder, "table"), (size_t)1 << PLAYERS);
    assert_int_equal(ig_testing_numbers(&expected, folder, "expected"), PLAYERS);
    size_t lines = ig_testing_numbers(&peers, folder, "peers") / 4;
    for (uint32_t p = 0; p < PLAYERS; p++) all[p] = 1;
    const struct ig_predictor predictor = {PLAYERS, 1, table, look_up, no_scratch};
    const struct ig_background background = {nobody, NULL, 1, PLAYERS};
    contest->input = (struct ig_any_shap_input){&predictor, &background, all};
    contest->expected = expected;
    struct ig_any_shap_result exact =
        solve(&contest->input, &(struct ig_any_shap_options){0}, &contest->arena);
    for (uint32_t p = 0; p < PLAYERS; p++)
        assert_true(fabs(exact.contributions[p] - expected[p]) < 1e-10);
    assert_true(lines >= 3);
    for (size_t i = 0; i < lines; i++) meet(contest, folder, peers + 4 * i);
    ig_free(table);
    ig_free(expected);
    ig_free(peers);
}

static void test_errors_are_at_most_the_peers(void **state)
{
    (void)state;
    struct contest contest = {0};
    ig_arena_init(&contest.arena, 1 << 20, 64 << 20);
    play(&contest, "any_shap/boosted");
    play(&contest, "any_shap/net");
    play(&contest, "any_shap/forest");
    for (int i = 0; i < 3; i++)
        contest.ratio[i] = exp(contest.ratio[i] / (i < 2 ? contest.count : contest.orders_count));
    print_message("errors beside LeverageSHAP's %.3f, KernelExplainer's %.3f, "
                  "PermutationExplainer's %.3f\n",
                  contest.ratio[0], contest.ratio[1], contest.ratio[2]);
    assert_true(contest.ratio[0] < 1.02 && contest.ratio[1] < 0.8 && contest.ratio[2] < 1);
    ig_arena_deinit(&contest.arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_agrees_with_kernel_explainer),
        cmocka_unit_test(test_errors_are_at_most_the_peers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
