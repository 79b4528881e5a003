/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP values of any model: exact against the definition by orders, sampled methods against exact
 * ones, their errors against what they claim. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/random.h"
#include "kernels/explain/any_shap.h"
#include "kernels/tree/tree_interventional.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_testing.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum {
    PLAYERS = 12,
    PLAYERS_MAX = 20,
    TERMS_MAX = 2 * PLAYERS_MAX,
    BACKGROUND = 3,
    TREE_FEATURES = 7
};

/* Sums, products of two and of four, a threshold: cheap, and no player's gain the same in every
 * order, nor in the mean of an order and its reverse. */
static void synthetic(const struct ig_predictor *predictor, const double *rows, size_t count,
                      double *values, void *scratch)
{
    uint32_t n = predictor->features_count;
    (void)scratch;
    IG_ASSERT(n > 0);
    for (size_t i = 0; i < count; i++) {
        const double *x = rows + i * n;
        double sum = 0;
        for (uint32_t f = 0; f < n; f++) {
            double other = x[(f + 1) % n];
            sum += x[f] * (f + 1) / n + x[f] * other;
            sum += 4 * x[f] * other * x[(f + 2) % n] * x[(f + 5) % n];
        }
        sum += x[3 % n] > 0 ? x[4 % n] : -x[5 % n];
        values[i * predictor->values_count] = sum;
        if (predictor->values_count > 1) values[i * predictor->values_count + 1] = tanh(sum);
    }
}

static size_t no_scratch(const struct ig_predictor *predictor, size_t count)
{
    (void)predictor;
    (void)count;
    return 0;
}

static struct ig_predictor predictor_of(uint32_t features, uint32_t values)
{
    return (struct ig_predictor){features, values, NULL, synthetic, no_scratch};
}

struct world {
    struct ig_arena arena;
    struct ig_predictor predictor;
    struct ig_background background;
    double row[32], others[BACKGROUND * 32];
};

static void world_init(struct world *world, uint32_t features, uint32_t values, uint64_t seed)
{
    memset(world, 0, sizeof *world);
    ig_arena_init(&world->arena, 1 << 16, 256 << 20);
    world->predictor = predictor_of(features, values);
    world->background = (struct ig_background){world->others, NULL, BACKGROUND, features};
    for (uint32_t i = 0; i < features; i++) world->row[i] = ig_testing_unit(&seed, false);
    for (uint32_t i = 0; i < BACKGROUND * features; i++)
        world->others[i] = ig_testing_unit(&seed, false);
}

static struct ig_any_shap_result solve(struct world *world,
                                       const struct ig_any_shap_options *options)
{
    struct ig_any_shap_result result = {0};
    struct ig_err err = IG_ERR_INIT;
    const struct ig_any_shap_input input = {&world->predictor, &world->background, world->row};
    if (ig_any_shap_run(&result, &input, options, &world->arena, &err) != IG_OK)
        fail_msg("%s", err.message);
    return result;
}

/* ---- the definition: gains along every order ---- */

static double game(const struct world *world, const struct ig_players *players, uint32_t known,
                   uint32_t value)
{
    uint32_t n = world->predictor.features_count;
    double sum = 0, mixed[32], values[2];
    for (size_t b = 0; b < BACKGROUND; b++) {
        for (uint32_t f = 0; f < n; f++)
            mixed[f] =
                known >> ig_player_of(players, f) & 1 ? world->row[f] : world->others[b * n + f];
        world->predictor.run(&world->predictor, mixed, 1, values, NULL);
        sum += values[value] *
               (world->background.weights ? world->background.weights[b] : 1.0 / BACKGROUND);
    }
    return sum;
}

/* All orders of n players by Heap's algorithm. */
static void by_orders(const struct world *world, const struct ig_players *players, uint32_t value,
                      double *out)
{
    uint32_t n = players->count, order[6], swaps[6] = {0}, orders = 0;
    for (uint32_t i = 0; i < n; i++) order[i] = i;
    for (uint32_t i = 0; i <= n; i++) out[i] = 0;
    for (uint32_t at = 0; at < n;) {
        if (at == 0) {
            uint32_t known = 0;
            for (uint32_t i = 0; i < n; i++) {
                uint32_t with = known | 1U << order[i];
                out[order[i]] +=
                    game(world, players, with, value) - game(world, players, known, value);
                known = with;
            }
            orders++;
        }
        if (swaps[at] < at) {
            uint32_t other = at % 2 ? swaps[at] : 0, held = order[other];
            order[other] = order[at];
            order[at] = held;
            swaps[at]++;
            at = 0;
        } else {
            swaps[at++] = 0;
        }
    }
    for (uint32_t i = 0; i < n; i++) out[i] /= orders;
    out[n] = game(world, players, 0, value);
}

static void test_exact_is_the_definition(void **state)
{
    static const uint32_t MAP[7] = {0, 1, 2, 0, 3, 1, 4};
    static const double WEIGHTS[BACKGROUND] = {0.5, 0.3, 0.2};
    (void)state;
    for (int grouped = 0; grouped < 2; grouped++)
        for (uint64_t seed = 1; seed < 4; seed++) {
            struct world world;
            world_init(&world, grouped ? 7 : 5, 2, seed);
            if (seed == 2) world.background.weights = WEIGHTS;
            const struct ig_players players = {grouped ? MAP : NULL, 5};
            const struct ig_any_shap_options options = {.method = IG_ANY_SHAP_EXACT,
                                                        .players = &players};
            struct ig_any_shap_result result = solve(&world, &options);
            assert_int_equal(result.evals, 32);
            assert_int_equal(result.stop, IG_ANY_SHAP_ALL);
            for (uint32_t v = 0; v < 2; v++) {
                double wanted[6];
                by_orders(&world, &players, v, wanted);
                for (uint32_t i = 0; i < 6; i++) {
                    assert_true(fabs(result.contributions[v * 6 + i] - wanted[i]) < 1e-12);
                    assert_true(result.se[v * 6 + i] == 0);
                }
            }
            ig_arena_deinit(&world.arena);
        }
}

/* The definition on a tree ensemble, by its plain walk and all coalitions of one player's rest. */
static double tree_game(const struct ig_model *model, const struct ig_background *background,
                        const double *row, uint32_t known, uint32_t output)
{
    double sum = 0, mixed[TREE_FEATURES], margins[2];
    for (size_t b = 0; b < background->rows_count; b++) {
        const double *other = background->rows + b * TREE_FEATURES;
        for (uint32_t f = 0; f < TREE_FEATURES; f++) mixed[f] = known >> f & 1 ? row[f] : other[f];
        ig_tree_walk_margin(model, mixed, margins);
        sum += margins[output] / (double)background->rows_count;
    }
    return sum;
}

static double tree_value(const struct ig_model *model, const struct ig_background *background,
                         const double *row, uint32_t player, uint32_t output)
{
    double sum = 0;
    for (uint32_t known = 0; known < 1U << TREE_FEATURES; known++) {
        if (known >> player & 1) continue;
        double choose = 1; /* C(M - 1, size) */
        for (uint32_t i = 0; i < (uint32_t)__builtin_popcount(known); i++)
            choose = choose * (TREE_FEATURES - 1 - i) / (i + 1);
        double with = tree_game(model, background, row, known | 1U << player, output);
        sum += (with - tree_game(model, background, row, known, output)) / choose;
    }
    return sum / TREE_FEATURES;
}

static void test_exact_on_trees(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {.features = TREE_FEATURES,
                                           .outputs = 2,
                                           .trees = 12,
                                           .depth = 4,
                                           .set_percent = 20,
                                           .missing_kinds = true,
                                           .sum_rule = IG_SUM_F64};
    for (uint64_t seed = 1; seed < 4; seed++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = ig_testing_model(&shape, seed);
        struct ig_engine *engine;
        double rows[TREE_FEATURES * 5];
        struct ig_arena arena;
        struct ig_any_shap_result result;
        ig_arena_init(&arena, 1 << 16, 64 << 20);
        ig_testing_rows(model, seed + 10, 5, rows);
        const struct ig_background background = {rows + TREE_FEATURES, NULL, 4, TREE_FEATURES};
        assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
        const struct ig_predictor predictor = ig_predictor_margin(engine);
        const struct ig_any_shap_options options = {.method = IG_ANY_SHAP_EXACT};
        const struct ig_any_shap_input input = {&predictor, &background, rows};
        assert_int_equal(ig_any_shap_run(&result, &input, &options, &arena, &err), IG_OK);
        for (uint32_t v = 0; v < 2; v++)
            for (uint32_t p = 0; p < TREE_FEATURES; p++) {
                double wanted = tree_value(model, &background, rows, p, v);
                double got = result.contributions[v * (TREE_FEATURES + 1) + p];
                if (!(fabs(got - wanted) < 1e-12)) fail_msg("%.17g is not %.17g", got, wanted);
            }
        ig_engine_free(engine);
        ig_model_free(model);
        ig_arena_deinit(&arena);
    }
}

/* On a tree ensemble all of it agrees with the kernel that reads the trees. */
static void test_exact_agrees_with_trees(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {.features = 8,
                                           .outputs = 2,
                                           .trees = 20,
                                           .depth = 5,
                                           .set_percent = 20,
                                           .missing_kinds = true,
                                           .sum_rule = IG_SUM_F64};
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_testing_model(&shape, 5);
    struct ig_engine *engine;
    struct ig_tree_interventional *trees;
    double rows[8 * 8], margins[2], contributions[18], additivity;
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, 64 << 20);
    ig_testing_rows(model, 6, 8, rows);
    const struct ig_background background = {rows + 8, NULL, 7, 8};
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    assert_int_equal(ig_tree_interventional_new(&trees, model, &background, NULL, &err), IG_OK);
    const struct ig_predictor predictor = ig_predictor_margin(engine);
    const struct ig_any_shap_options options = {.method = IG_ANY_SHAP_EXACT};
    struct ig_any_shap_result result;
    const struct ig_any_shap_input input = {&predictor, &background, rows};
    assert_int_equal(ig_any_shap_run(&result, &input, &options, &arena, &err), IG_OK);
    memcpy(margins, result.value, sizeof margins);
    const struct ig_tree_interventional_io io = {rows, 1, margins, contributions, &additivity};
    void *scratch = ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(trees));
    ig_tree_interventional_run(trees, &io, scratch);
    for (int i = 0; i < 18; i++)
        assert_true(fabs(result.contributions[i] - contributions[i]) < 1e-6);
    ig_free(scratch);
    ig_tree_interventional_free(trees);
    ig_engine_free(engine);
    ig_model_free(model);
    ig_arena_deinit(&arena);
}

/* ---- sampled methods ---- */

static void assert_adds_up(const struct world *world, const struct ig_any_shap_result *result,
                           uint32_t players)
{
    for (uint32_t v = 0; v < world->predictor.values_count; v++) {
        double sum = 0;
        for (uint32_t i = 0; i <= players; i++) sum += result->contributions[v * (players + 1) + i];
        assert_true(fabs(sum - result->value[v]) < 1e-12 * (1 + fabs(result->value[v])));
    }
}

/* Terms, each the product of its players' inputs: over x of ones and a background of zeros a
 * term is shared evenly by its players, so that the exact values need no enumeration. */
struct terms {
    uint32_t count;
    uint32_t sizes[TERMS_MAX], players[TERMS_MAX][4];
    double factors[TERMS_MAX];
    double exact[PLAYERS_MAX];
};

static void multiply(const struct ig_predictor *predictor, const double *rows, size_t count,
                     double *values, void *scratch)
{
    const struct terms *terms = predictor->context;
    (void)scratch;
    for (size_t i = 0; i < count; i++) {
        const double *x = rows + i * predictor->features_count;
        values[i] = 0;
        for (uint32_t t = 0; t < terms->count; t++) {
            double product = terms->factors[t];
            for (uint32_t k = 0; k < terms->sizes[t]; k++) product *= x[terms->players[t][k]];
            values[i] += product;
        }
    }
}

/* An effect of each player, then as many interactions of two to four. */
static void terms_init(struct terms *terms, uint32_t players, uint64_t seed)
{
    memset(terms, 0, sizeof *terms);
    for (; terms->count < 2 * players; terms->count++) {
        uint32_t t = terms->count, size = t < players ? 1 : 2 + ig_testing_below(&seed, 3);
        uint32_t first = t < players ? t : ig_testing_below(&seed, players);
        uint32_t step = 1 + ig_testing_below(&seed, players / 4);
        terms->sizes[t] = size;
        terms->factors[t] = ig_testing_unit(&seed, false);
        for (uint32_t k = 0; k < size; k++) {
            terms->players[t][k] = (first + k * step) % players;
            terms->exact[terms->players[t][k]] += terms->factors[t] / size;
        }
    }
}

struct tally {
    uint64_t inside, all;
    double error, claimed; /* squares */
};

static void count_inside(struct tally *tally, const struct ig_any_shap_result *got,
                         const double *exact, uint32_t players)
{
    for (uint32_t p = 0; p < players; p++, tally->all++) {
        double apart = got->contributions[p] - exact[p];
        tally->inside += fabs(apart) <= got->quantile * got->se[p] + 1e-13;
        tally->error += apart * apart;
        tally->claimed += got->se[p] * got->se[p];
    }
}

static double share_of(const struct tally *tally, const char *what)
{
    double share = (double)tally->inside / (double)tally->all;
    print_message("%s: %.1f%% of %llu covered, claimed error %.3f of the true one\n", what,
                  share * 100, (unsigned long long)tally->all, sqrt(tally->claimed / tally->error));
    return share;
}

static void play_terms(struct tally *tally, enum ig_any_shap_method method, uint32_t players,
                       uint64_t evals)
{
    double nobody[PLAYERS_MAX] = {0}, all[PLAYERS_MAX];
    for (uint32_t p = 0; p < players; p++) all[p] = 1;
    for (uint64_t seed = 1; seed <= 40; seed++) {
        struct terms terms;
        struct ig_arena arena;
        struct ig_err err = IG_ERR_INIT;
        struct ig_any_shap_result got;
        terms_init(&terms, players, seed * 31 + players);
        ig_arena_init(&arena, 1 << 18, 64 << 20);
        const struct ig_predictor predictor = {players, 1, &terms, multiply, no_scratch};
        const struct ig_background background = {nobody, NULL, 1, players};
        const struct ig_any_shap_input input = {&predictor, &background, all};
        const struct ig_any_shap_options options = {
            .method = method, .seed = seed, .evals_max = evals};
        assert_int_equal(ig_any_shap_run(&got, &input, &options, &arena, &err), IG_OK);
        count_inside(tally, &got, terms.exact, players);
        ig_arena_deinit(&arena);
    }
}

static void test_intervals_cover(void **state)
{
    (void)state;
    for (int method = IG_ANY_SHAP_LEVERAGE; method <= IG_ANY_SHAP_PERMUTATION; method++)
        for (uint64_t times = 1; times <= 4; times *= 4) { /* the fewest evaluations, four times */
            struct tally tally = {0};
            char what[64];
            for (uint32_t players = 12; players <= 20; players += 2) {
                enum ig_any_shap_method own = (enum ig_any_shap_method)method;
                play_terms(&tally, own, players, times * ig_any_shap_evals_min(own, players));
            }
            snprintf(what, sizeof what, "method %d, %llu x fewest", method,
                     (unsigned long long)times);
            double share = share_of(&tally, what);
            assert_true(share >= 0.93 && share <= 0.97);
            assert_true(tally.claimed > 0.9 * tally.error && tally.claimed < 1.15 * tally.error);
        }
}

/* Tree ensembles, whose exact values come from all 4096 coalitions. */
static void test_intervals_cover_trees(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {
        .features = PLAYERS, .outputs = 1, .trees = 20, .depth = 5, .f32 = true};
    struct tally tallies[2] = {{0}, {0}};
    for (uint64_t game = 1; game <= 6; game++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = ig_testing_model(&shape, game);
        struct ig_engine *engine;
        struct ig_arena arena;
        double rows[3 * PLAYERS], exact[PLAYERS];
        uint64_t seed = game;
        for (int i = 0; i < 3 * PLAYERS; i++) rows[i] = ig_testing_unit(&seed, true) * 4;
        assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
        ig_arena_init(&arena, 1 << 18, 64 << 20);
        const struct ig_predictor predictor = ig_predictor_margin(engine);
        const struct ig_background background = {rows + PLAYERS, NULL, 2, PLAYERS};
        const struct ig_any_shap_input input = {&predictor, &background, rows};
        struct ig_any_shap_options options = {.method = IG_ANY_SHAP_EXACT};
        struct ig_any_shap_result got;
        assert_int_equal(ig_any_shap_run(&got, &input, &options, &arena, &err), IG_OK);
        memcpy(exact, got.contributions, sizeof exact);
        for (options.seed = 1; options.seed <= 15; options.seed++)
            for (int i = 0; i < 2; i++) {
                options.method = i ? IG_ANY_SHAP_PERMUTATION : IG_ANY_SHAP_LEVERAGE;
                options.evals_max = 330;
                ig_arena_reset(&arena);
                assert_int_equal(ig_any_shap_run(&got, &input, &options, &arena, &err), IG_OK);
                count_inside(&tallies[i], &got, exact, PLAYERS);
            }
        ig_arena_deinit(&arena);
        ig_engine_free(engine);
        ig_model_free(model);
    }
    for (int i = 0; i < 2; i++) {
        double share = share_of(&tallies[i], i ? "permutation on trees" : "leverage on trees");
        assert_true(share >= 0.93 && share <= 0.97);
    }
}

static void test_seeds_and_limits(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 20, 2, 8);
    for (int method = IG_ANY_SHAP_LEVERAGE; method <= IG_ANY_SHAP_PERMUTATION; method++) {
        struct ig_any_shap_options options = {
            .method = (enum ig_any_shap_method)method, .seed = 5, .evals_max = 1000};
        struct ig_any_shap_result a = solve(&world, &options), b = solve(&world, &options);
        assert_memory_equal(a.contributions, b.contributions, 42 * sizeof(double));
        assert_memory_equal(a.se, b.se, 42 * sizeof(double));
        assert_int_equal(a.stop, IG_ANY_SHAP_EVALS);
        assert_true(a.evals <= 1000 && a.evals > 900);
        options.seed = 6;
        b = solve(&world, &options);
        assert_memory_not_equal(a.contributions, b.contributions, 42 * sizeof(double));
        options.deadline_ns = 1; /* long ago: the fewest evaluations */
        a = solve(&world, &options);
        assert_int_equal(a.stop, IG_ANY_SHAP_DEADLINE);
        assert_int_equal(a.evals, ig_any_shap_evals_min(options.method, 20));
        options.deadline_ns = 0;
        options.evals_max = a.evals;
        b = solve(&world, &options);
        assert_memory_equal(a.contributions, b.contributions, 42 * sizeof(double));
        options.evals_max = 0;
        options.target_se = 0.5;
        a = solve(&world, &options);
        assert_int_equal(a.stop, IG_ANY_SHAP_TARGET);
        for (int i = 0; i < 42; i++) assert_true(a.se[i] <= 0.5);
    }
    ig_arena_deinit(&world.arena);
}

/* What stopped at an error is the beginning of every longer run. */
static void test_replays(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 18, 2, 3);
    for (int method = IG_ANY_SHAP_LEVERAGE; method <= IG_ANY_SHAP_PERMUTATION; method++) {
        struct ig_any_shap_options options = {.method = (enum ig_any_shap_method)method,
                                              .seed = UINT64_MAX,
                                              .evals_max = 100000,
                                              .target_se = 0.2};
        struct ig_any_shap_result a = solve(&world, &options);
        assert_int_equal(a.stop, IG_ANY_SHAP_TARGET);
        options.target_se = 0;
        options.evals_max = a.evals;
        struct ig_any_shap_result b = solve(&world, &options);
        assert_int_equal(b.stop, IG_ANY_SHAP_EVALS);
        assert_int_equal(b.evals, a.evals);
        assert_memory_equal(a.contributions, b.contributions, 38 * sizeof(double));
        assert_memory_equal(a.se, b.se, 38 * sizeof(double));
        assert_true(a.quantile == b.quantile && a.quantile > 1.95);
    }
    ig_arena_deinit(&world.arena);
}

/* A sample without replacement that has taken all coalitions is exact. */
static void test_whole_sample_is_exact(void **state)
{
    (void)state;
    for (uint32_t players = 6; players <= 11; players++) {
        struct world world;
        world_init(&world, players, 2, players);
        const struct ig_any_shap_options exact = {.method = IG_ANY_SHAP_EXACT};
        const struct ig_any_shap_options leverage = {
            .method = IG_ANY_SHAP_LEVERAGE, .seed = 9, .evals_max = 1 << 20, .target_se = 1e-12};
        struct ig_any_shap_result wanted = solve(&world, &exact), got = solve(&world, &leverage);
        assert_int_equal(got.stop, IG_ANY_SHAP_ALL);
        assert_int_equal(got.evals, (1U << players) - 2);
        assert_true(got.quantile == 0);
        for (uint32_t i = 0; i < 2 * (players + 1); i++) {
            assert_true(fabs(got.contributions[i] - wanted.contributions[i]) < 1e-11);
            assert_true(got.se[i] == 0);
        }
        ig_arena_deinit(&world.arena);
    }
}

/* Most of all coalitions: what is left to be wrong about is little, and the errors know. */
static void test_errors_shrink_near_the_whole(void **state)
{
    (void)state;
    struct world world;
    struct tally tally = {0};
    world_init(&world, 10, 1, 6);
    const struct ig_any_shap_options exact = {.method = IG_ANY_SHAP_EXACT};
    struct ig_any_shap_result wanted = solve(&world, &exact);
    for (uint64_t seed = 0; seed < 80; seed++) {
        const struct ig_any_shap_options options = {
            .method = IG_ANY_SHAP_LEVERAGE, .seed = seed, .evals_max = 800};
        struct ig_any_shap_result got = solve(&world, &options);
        assert_int_equal(got.evals, 800);
        count_inside(&tally, &got, wanted.contributions, 10);
    }
    double share = share_of(&tally, "800 of 1022");
    assert_true(share >= 0.93 && share <= 0.97);
    assert_true(tally.claimed > 0.9 * tally.error && tally.claimed < 1.2 * tally.error);
    ig_arena_deinit(&world.arena);
}

/* 16 pairs of 8 players: of some seeds they do not span, and the fit is Horvitz and Thompson's. */
static void test_fewest_pairs_are_unbiased(void **state)
{
    (void)state;
    struct world world;
    double sum[8] = {0}, square[8] = {0};
    world_init(&world, 8, 1, 2);
    const struct ig_any_shap_options exact = {.method = IG_ANY_SHAP_EXACT};
    struct ig_any_shap_result wanted = solve(&world, &exact);
    struct tally tally = {0};
    enum { RUNS = 600 };
    for (uint64_t seed = 0; seed < RUNS; seed++) {
        const struct ig_any_shap_options options = {
            .method = IG_ANY_SHAP_LEVERAGE, .seed = seed, .evals_max = 32};
        struct ig_any_shap_result got = solve(&world, &options);
        assert_int_equal(got.evals, 32);
        assert_adds_up(&world, &got, 8);
        count_inside(&tally, &got, wanted.contributions, 8);
        for (int p = 0; p < 8; p++) {
            double apart = got.contributions[p] - wanted.contributions[p];
            assert_true(isfinite(got.contributions[p]) && got.se[p] > 0 && got.se[p] < 100);
            sum[p] += apart / RUNS;
            square[p] += apart * apart / RUNS;
        }
    }
    assert_true(share_of(&tally, "fewest pairs") >= 0.92);
    for (int p = 0; p < 8; p++) assert_true(fabs(sum[p]) < 4 * sqrt(square[p] / RUNS));
    ig_arena_deinit(&world.arena);
}

/* Features that are the same everywhere have nothing to say, alone or beside others. */
static void test_same_everywhere(void **state)
{
    static const uint32_t MAP[12] = {0, 1, 2, 3, 3, 4, 5, 6, 7, 7, 8, 9};
    (void)state;
    struct world world;
    world_init(&world, 12, 1, 4);
    for (uint32_t f = 0; f < 12; f++)
        for (uint32_t b = 0; b < BACKGROUND && (f == 2 || f == 4 || f == 8 || f == 9); b++)
            world.others[b * 12 + f] = world.row[f];
    world.row[10] = 0.0; /* not the same */
    for (uint32_t b = 0; b < BACKGROUND; b++) world.others[b * 12 + 10] = -0.0;
    const struct ig_players players = {MAP, 11}; /* player 10 has no feature */
    struct ig_any_shap_options options = {.method = IG_ANY_SHAP_EXACT, .players = &players};
    struct ig_any_shap_result result = solve(&world, &options);
    assert_int_equal(result.playing, 8);
    assert_int_equal(result.evals, 256);
    assert_adds_up(&world, &result, 11);
    for (uint32_t p = 0; p < 11; p++) {
        double wanted = 0; /* by the definition over all 11 */
        for (uint32_t known = 0; known < 1U << 11; known++) {
            if (known >> p & 1) continue;
            double choose = 1;
            for (uint32_t i = 0; i < (uint32_t)__builtin_popcount(known); i++)
                choose = choose * (10 - i) / (i + 1);
            wanted +=
                (game(&world, &players, known | 1U << p, 0) - game(&world, &players, known, 0)) /
                choose / 11;
        }
        assert_true(fabs(result.contributions[p] - wanted) < 1e-12);
        if (p == 2 || p == 7 || p == 10) assert_true(result.contributions[p] == 0);
    }
    for (int method = IG_ANY_SHAP_LEVERAGE; method <= IG_ANY_SHAP_PERMUTATION; method++) {
        options.method = (enum ig_any_shap_method)method;
        options.deadline_ns = 1;
        struct ig_any_shap_result sampled = solve(&world, &options);
        assert_int_equal(sampled.playing, 8);
        assert_true(sampled.se[2] == 0 && sampled.contributions[7] == 0 && sampled.se[0] > 0);
        assert_adds_up(&world, &sampled, 11);
    }
    memcpy(world.others, world.row, 12 * sizeof(double));
    world.background.rows_count = 1; /* nobody plays */
    result = solve(&world, &options);
    assert_int_equal(result.playing, 0);
    assert_int_equal(result.stop, IG_ANY_SHAP_ALL);
    assert_adds_up(&world, &result, 11);
    for (uint32_t p = 0; p < 11; p++) assert_true(result.contributions[p] == 0);
    ig_arena_deinit(&world.arena);
}

/* A value that is no number is no error that is small enough. */
static void test_no_number(void **state)
{
    (void)state;
    struct world world;
    world_init(&world, 14, 1, 4);
    world.row[3] = NAN;
    for (int method = IG_ANY_SHAP_LEVERAGE; method <= IG_ANY_SHAP_PERMUTATION; method++) {
        const struct ig_any_shap_options options = {
            .method = (enum ig_any_shap_method)method, .evals_max = 1000, .target_se = 1};
        struct ig_any_shap_result result = solve(&world, &options);
        assert_int_equal(result.stop, IG_ANY_SHAP_EVALS);
        assert_true(isnan(result.contributions[0]));
    }
    ig_arena_deinit(&world.arena);
}

/* So few that all coalitions are asked for. */
static void test_few_players(void **state)
{
    (void)state;
    for (uint32_t players = 1; players <= 4; players++)
        for (int method = 0; method <= IG_ANY_SHAP_PERMUTATION; method++) {
            struct world world;
            world_init(&world, players, 1, players);
            const struct ig_any_shap_options exact = {.method = IG_ANY_SHAP_EXACT};
            const struct ig_any_shap_options options = {.method = (enum ig_any_shap_method)method,
                                                        .seed = 3};
            struct ig_any_shap_result wanted = solve(&world, &exact);
            struct ig_any_shap_result got = solve(&world, &options);
            assert_adds_up(&world, &got, players);
            for (uint32_t p = 0; p < players; p++)
                assert_true(fabs(got.contributions[p] - wanted.contributions[p]) <= 1e-12);
            assert_int_equal(got.stop, IG_ANY_SHAP_ALL);
            ig_arena_deinit(&world.arena);
        }
}

static void test_refusals(void **state)
{
    (void)state;
    struct world world;
    struct ig_any_shap_result result;
    struct ig_err err = IG_ERR_INIT;
    world_init(&world, 17, 1, 1);
    const struct ig_any_shap_input input = {&world.predictor, &world.background, world.row};
    struct ig_any_shap_options options = {.method = IG_ANY_SHAP_EXACT};
    assert_int_equal(ig_any_shap_run(&result, &input, &options, &world.arena, &err), IG_INVALID);
    assert_string_equal(err.message, "method: exact takes at most 16 features or groups, here are "
                                     "17");
    options = (struct ig_any_shap_options){.method = IG_ANY_SHAP_LEVERAGE, .evals_max = 10};
    err = IG_ERR_INIT;
    assert_int_equal(ig_any_shap_run(&result, &input, &options, &world.arena, &err), IG_INVALID);
    assert_string_equal(err.message, "samples: 10 are too few for 17 players, at least 96");
    world.background.features_count = 3;
    err = IG_ERR_INIT;
    assert_int_equal(ig_any_shap_run(&result, &input, &options, &world.arena, &err), IG_INVALID);
    world.background.features_count = 17;
    options.evals_max = 0;
    ig_arena_deinit(&world.arena);
    ig_arena_init(&world.arena, 1 << 12, 1 << 14);
    err = IG_ERR_INIT;
    assert_int_equal(ig_any_shap_run(&result, &input, &options, &world.arena, &err), IG_NO_MEMORY);
    ig_arena_deinit(&world.arena);
}

static void test_memory_runs_out(void **state)
{
    (void)state;
    for (int method = 0; method <= IG_ANY_SHAP_PERMUTATION; method++) {
        enum ig_code code = IG_NO_MEMORY;
        for (uint64_t most = 1; code != IG_OK; most++) {
            struct world world;
            struct ig_err err = IG_ERR_INIT;
            struct ig_any_shap_result result, untouched;
            memset(&result, 0x5a, sizeof result);
            untouched = result;
            world_init(&world, 10, 2, 1);
            ig_arena_init(&world.arena, 64, 16 << 20); /* an allocation of its own each */
            const struct ig_any_shap_input input = {&world.predictor, &world.background, world.row};
            const struct ig_any_shap_options options = {.method = (enum ig_any_shap_method)method,
                                                        .evals_max = 300};
            ig_mem_fail_after(most);
            code = ig_any_shap_run(&result, &input, &options, &world.arena, &err);
            bool failed = ig_mem_failed();
            ig_mem_fail_after(0);
            assert_true(failed == (code == IG_NO_MEMORY));
            if (failed) assert_memory_equal(&result, &untouched, sizeof result);
            ig_arena_deinit(&world.arena);
            assert_true(most < 100);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_is_the_definition),
        cmocka_unit_test(test_exact_on_trees),
        cmocka_unit_test(test_exact_agrees_with_trees),
        cmocka_unit_test(test_intervals_cover),
        cmocka_unit_test(test_intervals_cover_trees),
        cmocka_unit_test(test_seeds_and_limits),
        cmocka_unit_test(test_replays),
        cmocka_unit_test(test_whole_sample_is_exact),
        cmocka_unit_test(test_errors_shrink_near_the_whole),
        cmocka_unit_test(test_fewest_pairs_are_unbiased),
        cmocka_unit_test(test_same_everywhere),
        cmocka_unit_test(test_no_number),
        cmocka_unit_test(test_few_players),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory_runs_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
