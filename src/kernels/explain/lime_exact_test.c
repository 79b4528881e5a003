/* SPDX-License-Identifier: Apache-2.0 */
/* Exact LIME against LIME on many samples, and by hand on a box. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/explain/lime_exact.h"
#include "kernels/explain/lime_priv.h"
#include "kernels/tree/tree_testing.h"

#include <math.h>
#include <string.h>

enum { ROWS = 60, FEATURES = 7 };

struct world {
    struct ig_model *model;
    struct ig_engine *engine;
    struct ig_lime_space *space;
    struct ig_arena arena;
    double rows[ROWS * FEATURES];
    bool categorical[FEATURES];
};

/* The last two features are codes; splits by sets only there. */
static void world_init(struct world *world, const struct ig_testing_shape *shape, uint64_t seed)
{
    struct ig_err err = IG_ERR_INIT;
    memset(world, 0, sizeof *world);
    world->model = ig_testing_model(shape, seed);
    assert_non_null(world->model);
    for (uint32_t i = 0; i < world->model->nodes_count; i++)
        if (world->model->nodes[i].op == IG_NODE_IN) world->model->nodes[i].feature = 5 + i % 2;
    for (size_t i = 0; i < ROWS; i++)
        for (uint32_t f = 0; f < FEATURES; f++) {
            double *cell = &world->rows[i * FEATURES + f];
            *cell = f < 5 ? 3 * ig_testing_unit(&seed, true) : ig_testing_below(&seed, 4);
            if (f == 1 && ig_testing_below(&seed, 3)) *cell = 0; /* a point, not a bin */
            if (f == 2 && ig_testing_below(&seed, 6) == 0) *cell = NAN;
        }
    world->categorical[5] = world->categorical[6] = true;
    const struct ig_background background = {world->rows, NULL, ROWS, FEATURES};
    assert_int_equal(ig_engine_new(&world->engine, world->model, &err), IG_OK);
    assert_int_equal(ig_lime_space_new(&world->space, &background, world->categorical, &err),
                     IG_OK);
    ig_arena_init(&world->arena, 1 << 16, (size_t)1 << 28);
}

static void world_deinit(struct world *world)
{
    ig_arena_deinit(&world->arena);
    ig_lime_space_free(world->space);
    ig_engine_free(world->engine);
    ig_model_free(world->model);
}

static double coefficient_of(const struct ig_lime_result *result, uint32_t feature, double *se)
{
    for (uint32_t i = 0; i < result->count; i++)
        if (result->features[i] == feature) {
            if (se) *se = result->se[i];
            return result->coefficients[i];
        }
    fail_msg("feature %u is not chosen", feature);
    return 0;
}

/* 20,000 samples of every kind of model come within five standard errors. */
static void test_limit_of_samples(void **state)
{
    static const struct ig_testing_shape SHAPES[] = {
        {.features = FEATURES,
         .outputs = 1,
         .trees = 12,
         .depth = 4,
         .f32 = true,
         .set_percent = 20},
        {.features = FEATURES,
         .outputs = 2,
         .trees = 12,
         .depth = 5,
         .leaf_percent = 10,
         .set_percent = 15,
         .missing_kinds = true,
         .sum_rule = IG_SUM_F64},
        {.features = FEATURES,
         .outputs = 2,
         .trees = 5,
         .depth = 4,
         .f32 = true,
         .leaf_vectors = true},
        {.features = FEATURES, .outputs = 1, .trees = 9, .depth = 3, .f32 = true, .dart = true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        struct world world;
        struct ig_err err = IG_ERR_INIT;
        struct ig_lime_exact *exact = NULL;
        struct ig_lime_result limit, sampled;
        struct ig_lime_options options = {
            .seed = 3, .features = FEATURES, .value = SHAPES[i].outputs - 1, .samples = 20000};
        world_init(&world, &SHAPES[i], i + 1);
        const struct ig_predictor margin = ig_predictor_margin(world.engine);
        assert_int_equal(ig_lime_exact_new(&exact, world.model, world.space, 0, &err), IG_OK);
        for (size_t r = 0; r < 2; r++) {
            const double *row = world.rows + r * FEATURES;
            assert_int_equal(ig_lime_run(&sampled,
                                         &(struct ig_lime_input){world.space, &margin, row},
                                         &options, &world.arena, &err),
                             IG_OK);
            assert_int_equal(
                ig_lime_exact_run(&limit, exact,
                                  &(struct ig_lime_exact_input){row, sampled.prediction}, &options,
                                  &world.arena, &err),
                IG_OK);
            assert_int_equal(limit.count, FEATURES);
            for (uint32_t f = 0; f < FEATURES; f++) {
                double se = 0, wanted = coefficient_of(&sampled, f, &se);
                double got = coefficient_of(&limit, f, NULL);
                if (!(fabs(got - wanted) <= 5 * se + 1e-4))
                    fail_msg("shape %zu, feature %u: %g, samples say %g (error %g)", i, f, got,
                             wanted, se);
            }
            for (uint32_t k = 1; k < limit.count; k++)
                assert_true(fabs(limit.coefficients[k]) <= fabs(limit.coefficients[k - 1]));
            assert_true(fabs(limit.local_prediction - sampled.local_prediction) < 0.2);
            assert_true(limit.stability == 1 && isnan(limit.r2) && limit.se[0] == 0);
            assert_true(limit.prediction == sampled.prediction);
        }
        assert_true(ig_lime_exact_memory_bytes(exact) > 1000);
        ig_lime_exact_free(exact);
        world_deinit(&world);
    }
}

/* Over seeds, intervals of the usual 5,000 samples hold the limit 93 to 97 times in 100. */
static void test_intervals_cover(void **state)
{
    enum { SEEDS = 60, FORESTS = 4 };
    size_t inside = 0, all = 0;
    (void)state;
    for (uint64_t forest = 1; forest <= FORESTS; forest++) {
        const struct ig_testing_shape shape = {
            .features = FEATURES, .outputs = 1, .trees = 12, .depth = 4, .f32 = true};
        struct world world;
        struct ig_err err = IG_ERR_INIT;
        struct ig_lime_exact *exact = NULL;
        struct ig_lime_options options = {.features = FEATURES};
        world_init(&world, &shape, 20 + forest);
        const struct ig_predictor margin = ig_predictor_margin(world.engine);
        const struct ig_lime_input input = {world.space, &margin, world.rows};
        assert_int_equal(ig_lime_exact_new(&exact, world.model, world.space, 0, &err), IG_OK);
        for (options.seed = 1; options.seed <= SEEDS; options.seed++) {
            struct ig_lime_result limit, sampled;
            assert_int_equal(ig_lime_run(&sampled, &input, &options, &world.arena, &err), IG_OK);
            assert_int_equal(
                ig_lime_exact_run(&limit, exact,
                                  &(struct ig_lime_exact_input){world.rows, sampled.prediction},
                                  &options, &world.arena, &err),
                IG_OK);
            for (uint32_t f = 0; f < FEATURES; f++) {
                double se = 0, got = coefficient_of(&sampled, f, &se);
                inside += fabs(got - coefficient_of(&limit, f, NULL)) <= 1.959964 * se;
                all++;
            }
            ig_arena_reset(&world.arena);
        }
        ig_lime_exact_free(exact);
        world_deinit(&world);
    }
    double share = (double)inside / (double)all;
    if (!(share >= 0.93 && share <= 0.97)) fail_msg("%zu of %zu: %g", inside, all, share);
}

static void test_refusals(void **state)
{
    const struct ig_testing_shape shape = {
        .features = FEATURES, .outputs = 1, .trees = 6, .depth = 4, .f32 = true, .set_percent = 60};
    struct world world;
    struct ig_err err = IG_ERR_INIT;
    struct ig_lime_exact *exact = NULL;
    (void)state;
    world_init(&world, &shape, 1);
    assert_int_equal(ig_lime_exact_new(&exact, world.model, world.space, 2000, &err), IG_TOO_LARGE);
    err = IG_ERR_INIT;
    ig_lime_space_free(world.space);
    const struct ig_background background = {world.rows, NULL, ROWS, FEATURES};
    err = IG_ERR_INIT;
    assert_int_equal(ig_lime_space_new(&world.space, &background, NULL, &err), IG_OK);
    assert_int_equal(ig_lime_exact_new(&exact, world.model, world.space, 0, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "is split by categories"));
    world.model->kind = IG_MODEL_LINEAR;
    err = IG_ERR_INIT;
    assert_int_equal(ig_lime_exact_new(&exact, world.model, world.space, 0, &err), IG_INVALID);
    world.model->kind = IG_MODEL_TREES;
    assert_null(exact);
    world_deinit(&world);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_limit_of_samples),
        cmocka_unit_test(test_intervals_cover),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
