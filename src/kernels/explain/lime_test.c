/* SPDX-License-Identifier: Apache-2.0 */
/* LIME against the package lime 0.2.0.1: bins and frequencies, selection and fit on the same
 * samples; and its own draws against what they must come to. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/explain/lime_priv.h"

#include <math.h>
#include <string.h>

/* 40 rows: a normal, mostly zeros, three categories. */
static const double TABLE[] = {
    2.041,  0,     2, -2.556, 0.758, 0, 0.418,  0,     1, -0.568, 0,     1, -0.453, 2.04,  2,
    -0.216, 0,     1, -2.02,  0.197, 1, -0.232, 0,     0, -0.865, 0,     1, 3.323,  0,     1,
    0.226,  0,     1, -0.353, 0,     0, -0.281, 0.125, 1, -0.668, 0,     1, -1.055, 0.612, 0,
    -0.391, 0,     1, 0.482,  0,     2, -0.239, 0,     0, 0.958,  0.206, 1, -0.2,   0.187, 1,
    0.024,  0,     2, 1.546,  0.439, 1, 0.545,  0,     0, -0.505, 1.112, 2, -0.183, 0.549, 2,
    0.541,  0,     0, 1.935,  0.082, 0, -0.27,  1.092, 0, -0.244, 0.801, 1, 1.002,  0,     1,
    -0.886, 0.153, 1, -0.292, 0,     1, 0.883,  0,     2, 0.58,   0,     1, 0.092,  0,     0,
    0.67,   0,     0, -2.828, 0,     0, 1.021,  0,     0, -0.96,  0,     2, -1.669, 0,     2};
enum { ROWS = 40, COLUMNS = 3 };

static const struct ig_background BACKGROUND = {TABLE, NULL, ROWS, COLUMNS};
static const bool CATEGORICAL[] = {false, false, true};

static struct ig_lime_space *new_space(void)
{
    struct ig_lime_space *space = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_lime_space_new(&space, &BACKGROUND, CATEGORICAL, &err), IG_OK);
    return space;
}

static void assert_near(double got, double wanted, double apart)
{
    if (!(fabs(got - wanted) <= apart)) fail_msg("%.17g is not %.17g", got, wanted);
}

/* means, stds, mins, maxs, feature_frequencies of LimeTabularExplainer. */
static void test_bins_are_lime_s(void **state)
{
    static const double WANTED[][5] = {
        {-1.4075, 0.7695981094151622, -2.828, -0.52075, 0.25},
        {-0.326, 0.09086803619434813, -0.52075, -0.224, 0.25},
        {0.1729, 0.29632261136458427, -0.224, 0.55375, 0.25},
        {1.3959, 0.7991358395266619, 0.55375, 3.323, 0.25},
        {0, 1e-11, 0, 0, 0.65},
        {0.13675, 0.03848619883503337, 0, 0.1895, 0.1},
        {0.7806, 0.5160736769205745, 0.1895, 2.04, 0.25},
    };
    static const double SHARES[] = {0.325, 0.45, 0.225};
    (void)state;
    struct ig_lime_space *space = new_space();
    assert_int_equal(space->outcomes_count, 10);
    for (size_t i = 0; i < 7; i++) {
        const struct ig_lime_outcome *bin = &space->outcomes[i];
        assert_near(bin->value, WANTED[i][0], 1e-12);
        assert_near(bin->spread, WANTED[i][1], 1e-12);
        assert_near(bin->low, WANTED[i][2], 1e-12);
        assert_near(bin->high, WANTED[i][3], 1e-12);
        assert_near(bin->share, WANTED[i][4], 1e-12);
    }
    for (size_t i = 0; i < 3; i++) assert_near(space->outcomes[7 + i].share, SHARES[i], 1e-12);
    assert_int_equal(ig_lime_outcome_of(space, 0, -0.52075), 0); /* on a cut: below it */
    assert_int_equal(ig_lime_outcome_of(space, 0, nextafter(-0.52075, 0)), 1);
    assert_int_equal(ig_lime_outcome_of(space, 0, 100), 3);
    assert_int_equal(ig_lime_outcome_of(space, 1, -5), 0);
    assert_int_equal(ig_lime_outcome_of(space, 1, 0.1), 1);
    assert_int_equal(ig_lime_outcome_of(space, 2, 1), 1);
    assert_int_equal(ig_lime_outcome_of(space, 2, 7), 3);   /* a category unseen */
    assert_int_equal(ig_lime_outcome_of(space, 0, NAN), 4); /* none is missing in the table */
    assert_true(ig_lime_space_memory_bytes(space) > 100);
    ig_lime_space_free(space);
}

static const char *const Z[] = {
    "11111111", "10001101", "11001111", "01011011", "01011101", "01100100", "01101000", "11100011",
    "01000110", "11101100", "10111101", "11000100", "11001001", "01011101", "11001110", "10101000",
    "10111001", "01110011", "10011010", "00011101", "00111111", "01010101", "10001101", "01110111",
    "10100111", "10011001", "10110010", "01111110", "10101101", "11011001", "10001101", "11100011",
    "11101101", "10011111", "10010111", "10111111", "01110011", "11110011", "11001100", "10110111",
    "01110111", "10110010", "11100010", "01111010", "10001110", "01111000", "11011001", "11111011",
    "01101111", "01101000", "10110101", "00010011", "10110111", "00000101", "01010010", "11111111",
    "11001111", "00100011", "11111111", "11111111"};
static const double Y[] = {
    1.2364,  0.2439,  0.8108, 0.2875,  -1.2431, -0.2631, 0.4879, 2.7641,  -1.9065, 0.4922,
    1.2908,  -1.1031, 1.6303, -1.5817, -0.3259, 1.6449,  2.929,  1.4826,  0.8233,  -0.4161,
    1.2498,  -1.2605, 0.2973, 0.3183,  1.3568,  1.966,   2.2017, -0.3737, 0.8961,  1.8287,
    -0.4839, 2.7822,  1.5503, 0.4781,  0.6593,  1.449,   1.7052, 2.9047,  -0.9559, 1.7597,
    -0.0106, 2.2371,  2.3205, 0.6125,  -0.627,  0.9084,  1.9969, 3.4667,  -0.2854, -0.0331,
    1.126,   1.1224,  1.1813, -0.8153, -0.0502, 2.2526,  0.6061, 1.8372,  1.9139,  1.5294};
enum { SAMPLES = 60, PLAYERS = 8 };

/* Selection and fit on the same z, y and distances as LimeBase.explain_instance_with_data. */
static void test_fit_is_lime_s(void **state)
{
    static const struct {
        uint32_t most, features[7];
        double coefficients[7], intercept, r2, local;
    } cases[] = {
        {3,
         {0, 5, 2},
         {1.2353227511247773, -1.1752737643559994, 1.091652702417856},
         0.17350314157178093,
         0.7857704118051829,
         1.32520483},
        {7,
         {5, 0, 2, 7, 6, 3, 4},
         {-1.2915297497548321, 1.1851264175219633, 1.0002486979724565, 0.7671475967041492,
          0.2880009740588992, 0.18586074246377007, 0.04836601556656142},
         -0.5506443838518985,
         0.9201157396139106,
         1.63257631},
    };
    double sums[(PLAYERS + 2) * (PLAYERS + 2)] = {0}, work[3 * PLAYERS * (PLAYERS + 4)];
    const struct ig_lime_moments moments = {sums, PLAYERS};
    (void)state;
    for (size_t i = 0; i < SAMPLES; i++) {
        double u[PLAYERS + 2] = {1}, flips = 0;
        for (size_t f = 0; f < PLAYERS; f++) {
            u[f + 1] = Z[i][f] == '1';
            flips += Z[i][f] != '1';
        }
        u[PLAYERS + 1] = Y[i];
        double weight = sqrt(exp(-flips / (0.75 * 0.75 * PLAYERS)));
        for (size_t a = 0; a < PLAYERS + 2; a++)
            for (size_t b = 0; b < PLAYERS + 2; b++)
                sums[a * (PLAYERS + 2) + b] += weight * u[a] * u[b];
    }
    for (size_t c = 0; c < 2; c++) {
        uint32_t chosen[PLAYERS];
        double coefficients[PLAYERS], intercept, local;
        uint32_t count = ig_lime_select(chosen, &moments, cases[c].most, work);
        assert_int_equal(count, cases[c].most);
        double r2 = ig_lime_ridge(coefficients, &intercept, &moments,
                                  &(struct ig_lime_ridge){chosen, count, 1}, work);
        assert_near(intercept, cases[c].intercept, 1e-9);
        assert_near(r2, cases[c].r2, 1e-9);
        local = intercept;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t k = 0;
            while (k < count && cases[c].features[k] != chosen[i]) k++;
            assert_true(k < count);
            assert_near(coefficients[i], cases[c].coefficients[k], 1e-9);
            local += coefficients[i];
        }
        assert_near(local, cases[c].local, 1e-7);
    }
}

static void test_quantile(void **state)
{
    (void)state;
    for (double x = -6; x <= 6; x += 0.25) {
        double share = 0.5 * erfc(-x * 0.70710678118654752);
        assert_near(ig_lime_quantile(share), x, 2e-8 + 1e-9 * fabs(x));
    }
}

/* More samples than are taken at a time, more sums than registers hold; the plain sums' bits. */
static void test_moments(void **state)
{
    enum { N = 13, SIZE = N + 2, COUNT = 150 };
    static double wanted[SIZE * SIZE], got[SIZE * SIZE], y[COUNT], weight[COUNT];
    static uint8_t z[COUNT * N];
    struct ig_lime_moments moments = {got, N};
    struct ig_rng rng;
    (void)state;
    ig_rng_seed(&rng, 3);
    for (size_t i = 0; i < COUNT; i++) {
        double u[SIZE] = {1};
        weight[i] = ig_rng_unit(&rng);
        u[N + 1] = y[i] = ig_rng_unit(&rng) - 0.5;
        for (size_t f = 0; f < N; f++) u[f + 1] = z[i * N + f] = ig_rng_below(&rng, 4) > 0;
        for (size_t a = 0; a < SIZE; a++)
            for (size_t b = a; b < SIZE; b++) wanted[a * SIZE + b] += weight[i] * u[b] * u[a];
    }
    void *scratch = ig_alloc_aligned(64, ig_lime_add_bytes(N));
    for (size_t i = 0, count = 1; i < COUNT; i += count, count = COUNT - i) {
        const struct ig_lime_samples samples = {z + i * N, y + i, weight + i, count};
        ig_lime_add(&moments, &samples, scratch);
    }
    ig_lime_mirror(&moments);
    for (size_t a = 0; a < SIZE; a++)
        for (size_t b = 0; b < SIZE; b++)
            assert_true(moments.sums[a * SIZE + b] ==
                        wanted[(a < b ? a : b) * SIZE + (a < b ? b : a)]);
    ig_free(scratch);
}

/* ---- own draws ---- */

/* 2 where the first is in the bin above 0.55, and -1 where the third is category 1. */
static void boxes(const struct ig_predictor *predictor, const double *rows, size_t count,
                  double *values, void *scratch)
{
    (void)predictor;
    (void)scratch;
    for (size_t i = 0; i < count; i++) {
        const double *x = rows + i * COLUMNS;
        values[2 * i] = 0;
        values[2 * i + 1] = 3 + (x[0] > 0.55375 ? 2 : 0) - (x[2] == 1 ? 1 : 0);
        if (x[0] < -2.828 || x[0] > 3.323 || x[1] < 0 || x[1] > 2.04) values[2 * i + 1] = NAN;
    }
}

static size_t no_scratch(const struct ig_predictor *predictor, size_t count)
{
    (void)predictor;
    (void)count;
    return 0;
}

static const struct ig_predictor BOXES = {COLUMNS, 2, NULL, boxes, no_scratch};

/* One sequence, however it is cut; the values are those of the dice by the formula, one by one. */
static void test_draws(void **state)
{
    enum { COUNT = 57 };
    static const uint32_t HOME[] = {1, 0, 1};
    double all[COUNT * COLUMNS], pieces[COUNT * COLUMNS];
    uint8_t z[COUNT * COLUMNS], z_pieces[COUNT * COLUMNS];
    struct ig_arena arena;
    struct ig_lime_draws draws;
    struct ig_rng rng;
    (void)state;
    struct ig_lime_space *space = new_space();
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_true(ig_lime_draws_init(&draws, space, HOME, COUNT, &arena));
    ig_rng_seed(&draws.rng, 9);
    ig_lime_draw(&draws, COUNT, all, z);
    ig_rng_seed(&draws.rng, 9);
    for (size_t i = 0, count = 1; i < COUNT; i += count, count = count * 2 + 1) {
        if (count > COUNT - i) count = COUNT - i;
        ig_lime_draw(&draws, count, pieces + i * COLUMNS, z_pieces + i * COLUMNS);
    }
    assert_memory_equal(all, pieces, sizeof all);
    assert_memory_equal(z, z_pieces, sizeof z);
    ig_rng_seed(&rng, 9);
    for (size_t at = 0; at < COUNT * COLUMNS; at++) {
        const struct ig_lime_feature *feature = &space->features[at % COLUMNS];
        double dice = ig_rng_unit(&rng);
        uint32_t pick = 0;
        while (pick + 1 < feature->count && dice >= space->until[feature->first + pick]) pick++;
        const struct ig_lime_outcome *outcome = &space->outcomes[feature->first + pick];
        double before = pick ? space->until[feature->first + pick - 1] : 0;
        double share = outcome->below + outcome->span * (dice - before) / outcome->share;
        double x = outcome->value;
        if (outcome->span > 0)
            x = fmin(fmax(x + outcome->spread * ig_lime_quantile(share), outcome->low),
                     outcome->high);
        assert_near(all[at], x, 1e-12);
        assert_int_equal(z[at], pick == HOME[at % COLUMNS]);
    }
    ig_arena_deinit(&arena);
    ig_lime_space_free(space);
}

/* A function of z is found: coefficients but for the ridge's pull, R2 near 1, no doubt. Draws stay
 * within their bins. */
static void test_function_of_bins(void **state)
{
    static const double ROW[] = {1, 0, 1};
    struct ig_arena arena;
    struct ig_lime_result result, again;
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    struct ig_lime_space *space = new_space();
    struct ig_lime_options options = {.seed = 5, .features = 3, .value = 1};
    ig_arena_init(&arena, 1 << 16, 64 << 20);
    assert_int_equal(
        ig_lime_run(&result, &(struct ig_lime_input){space, &BOXES, ROW}, &options, &arena, &err),
        IG_OK);
    assert_int_equal(result.count, 3);
    assert_int_equal(result.samples, 5000);
    assert_int_equal(result.features[0], 0);
    assert_int_equal(result.features[1], 2);
    assert_near(result.coefficients[0], 2, 0.01);
    assert_near(result.coefficients[1], -1, 0.01);
    assert_near(result.coefficients[2], 0, 0.01);
    assert_near(result.intercept, 3, 0.01);
    assert_true(result.r2 > 0.9999 && result.prediction == 4);
    assert_near(result.local_prediction, 4, 0.01);
    assert_true(result.se[0] < 0.01);
    assert_true(result.stability > 0.9 && result.stability <= 1);
    assert_near(result.low[0], 0.55375, 1e-12);
    assert_true(result.high[0] == INFINITY && isnan(result.low[1]) && isnan(result.high[1]));
    assert_int_equal(
        ig_lime_run(&again, &(struct ig_lime_input){space, &BOXES, ROW}, &options, &arena, &err),
        IG_OK);
    assert_memory_equal(again.coefficients, result.coefficients, 3 * sizeof(double));
    options.seed = 6;
    assert_int_equal(
        ig_lime_run(&again, &(struct ig_lime_input){space, &BOXES, ROW}, &options, &arena, &err),
        IG_OK);
    assert_true(again.coefficients[0] != result.coefficients[0]);
    ig_arena_deinit(&arena);
    ig_lime_space_free(space);
}

/* The mean of a smooth function: what standard errors promise, over many seeds. */
static void smooth(const struct ig_predictor *predictor, const double *rows, size_t count,
                   double *values, void *scratch)
{
    (void)predictor;
    (void)scratch;
    for (size_t i = 0; i < count; i++) {
        const double *x = rows + i * COLUMNS;
        values[i] = sin(2 * x[0]) + x[1] * (x[2] == 1 ? 2 : -1);
    }
}

static void test_errors_are_true(void **state)
{
    enum { SEEDS = 60 };
    static const double ROW[] = {0.3, 0.1, 1};
    const struct ig_predictor predictor = {COLUMNS, 1, NULL, smooth, no_scratch};
    struct ig_lime_space *space = new_space();
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    double mean[COLUMNS] = {0}, squares[COLUMNS] = {0}, claimed[COLUMNS] = {0};
    (void)state;
    ig_arena_init(&arena, 1 << 16, 64 << 20);
    for (uint64_t seed = 1; seed <= SEEDS; seed++) {
        struct ig_lime_result result;
        struct ig_lime_options options = {.seed = seed, .samples = 1000, .features = 3};
        assert_int_equal(ig_lime_run(&result, &(struct ig_lime_input){space, &predictor, ROW},
                                     &options, &arena, &err),
                         IG_OK);
        for (uint32_t i = 0; i < 3; i++) {
            uint32_t f = result.features[i];
            mean[f] += result.coefficients[i] / SEEDS;
            squares[f] += result.coefficients[i] * result.coefficients[i] / SEEDS;
            claimed[f] += result.se[i] / SEEDS;
        }
        ig_arena_reset(&arena);
    }
    for (uint32_t f = 0; f < COLUMNS; f++) {
        double spread = sqrt(squares[f] - mean[f] * mean[f]);
        if (!(claimed[f] > 0.7 * spread && claimed[f] < 1.4 * spread))
            fail_msg("feature %u: claims %g, spread %g", f, claimed[f], spread);
    }
    ig_arena_deinit(&arena);
    ig_lime_space_free(space);
}

/* Missing values are a bin: drawn, and the row's own when it lacks the value. */
static void count_missing(const struct ig_predictor *predictor, const double *rows, size_t count,
                          double *values, void *scratch)
{
    (void)predictor;
    (void)scratch;
    for (size_t i = 0; i < count; i++) values[i] = isnan(rows[2 * i]) ? 1 : 0;
}

static void test_missing(void **state)
{
    static const double HOLES[] = {NAN, 1, 2, 2, NAN, 3, 4, NAN};
    static const double ROW[] = {NAN, 1};
    const struct ig_background background = {HOLES, NULL, 4, 2};
    const struct ig_predictor predictor = {2, 1, NULL, count_missing, no_scratch};
    const struct ig_lime_options options = {.seed = 2};
    struct ig_lime_space *space = NULL;
    struct ig_lime_result result;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    ig_arena_init(&arena, 1 << 16, 64 << 20);
    assert_int_equal(ig_lime_space_new(&space, &background, NULL, &err), IG_OK);
    assert_int_equal(ig_lime_run(&result, &(struct ig_lime_input){space, &predictor, ROW}, &options,
                                 &arena, &err),
                     IG_OK);
    assert_int_equal(result.features[0], 0);
    assert_near(result.coefficients[0], 1, 0.01);
    assert_true(isnan(result.low[0]) && isnan(result.high[0]));
    ig_arena_deinit(&arena);
    ig_lime_space_free(space);
}

static void test_refusals(void **state)
{
    static const double ROW[] = {1, 0, 1};
    struct ig_lime_space *space = new_space(), *none = NULL;
    struct ig_lime_result result;
    struct ig_lime_options options = {.samples = 99};
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    ig_arena_init(&arena, 1 << 10, 1 << 14);
    assert_int_equal(
        ig_lime_run(&result, &(struct ig_lime_input){space, &BOXES, ROW}, &options, &arena, &err),
        IG_INVALID);
    assert_string_equal(err.message, "samples: 99 are too few for LIME, at least 100");
    err = IG_ERR_INIT;
    options = (struct ig_lime_options){.value = 2};
    assert_int_equal(
        ig_lime_run(&result, &(struct ig_lime_input){space, &BOXES, ROW}, &options, &arena, &err),
        IG_INVALID);
    err = IG_ERR_INIT;
    options.value = 0;
    assert_int_equal(
        ig_lime_run(&result, &(struct ig_lime_input){space, &BOXES, ROW}, &options, &arena, &err),
        IG_NO_MEMORY);
    enum ig_code code = IG_NO_MEMORY;
    for (uint64_t n = 1; code != IG_OK && n < 20; n++) {
        err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_lime_space_new(&none, &BACKGROUND, CATEGORICAL, &err);
        assert_int_equal(code, ig_mem_failed() ? IG_NO_MEMORY : IG_OK);
    }
    ig_mem_fail_after(0);
    ig_lime_space_free(none);
    ig_lime_space_free(space);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_bins_are_lime_s), cmocka_unit_test(test_fit_is_lime_s),
        cmocka_unit_test(test_moments),         cmocka_unit_test(test_draws),
        cmocka_unit_test(test_quantile),        cmocka_unit_test(test_function_of_bins),
        cmocka_unit_test(test_errors_are_true), cmocka_unit_test(test_missing),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
