/* SPDX-License-Identifier: Apache-2.0 */
/* SHAP values: the reference against the definition, every kernel against the reference and, bit
 * for bit, against the others. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap_priv.h"
#include "kernels/tree/tree_testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void assert_near(double value, double expected, double apart)
{
    if (!(fabs(value - expected) <= apart)) fail_msg("%.17g is not %.17g", value, expected);
}

/* A model, rows and what is expected of them. */
struct fixture {
    struct ig_model *model;
    struct ig_players players;
    size_t rows_count;
    size_t stride; /* doubles of a row's contributions */
    double *rows;
    double *margins;
    double *expected; /* by the reference */
};

static struct fixture fixture_grouped(struct ig_model *model, const struct ig_players *players,
                                      size_t rows_count, uint64_t seed)
{
    assert_non_null(model);
    struct fixture x = {.model = model, .rows_count = rows_count};
    x.players = players ? *players : (struct ig_players){NULL, model->features_count};
    x.stride = model->outputs_count * (x.players.count + (size_t)1);
    x.rows = ig_zalloc_array(rows_count * model->features_count + 1, sizeof(double));
    x.margins = ig_zalloc_array(rows_count * model->outputs_count, sizeof(double));
    x.expected = ig_zalloc_array(rows_count * x.stride, sizeof(double));
    ig_testing_rows(model, seed, rows_count, x.rows);
    return x;
}

static struct fixture fixture_new(struct ig_model *model, size_t rows_count, uint64_t seed)
{
    return fixture_grouped(model, NULL, rows_count, seed);
}

static void fixture_solve(struct fixture *x)
{
    struct ig_err err = IG_ERR_INIT;
    for (size_t i = 0; i < x->rows_count; i++) {
        const double *row = x->rows + i * x->model->features_count;
        ig_tree_walk_margin(x->model, row, x->margins + i * x->model->outputs_count);
        assert_int_equal(
            ig_tree_shap_reference(x->model, &x->players, row, x->expected + i * x->stride, &err),
            IG_OK);
    }
}

static void fixture_free(struct fixture *x)
{
    ig_model_free(x->model);
    ig_free(x->rows);
    ig_free(x->margins);
    ig_free(x->expected);
}

/* ---- the definition ---- */

/* The game's value of one tree for a set of known players, as a bit mask. */
static void add_game(const struct fixture *x, const struct ig_tree *tree, const double *row,
                     uint32_t known, double *values)
{
    const struct ig_model *model = x->model;
    const struct ig_node *nodes = model->nodes + tree->first_node;
    double *weight = ig_zalloc_array(tree->nodes_count, sizeof *weight);
    weight[0] = 1;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        const struct ig_node *node = &nodes[i];
        if (node->op == IG_NODE_LEAF) {
            for (uint32_t o = 0; o < model->outputs_count; o++)
                if (model->leaf_vectors || tree->output == o)
                    values[o] += weight[i] * ig_tree_shap_leaf_value(model, tree, node, o);
            continue;
        }
        double covers = nodes[node->left].cover + nodes[node->right].cover;
        double share = covers > 0 ? nodes[node->left].cover / covers : 0.5;
        if (known >> ig_player_of(&x->players, node->feature) & 1)
            share = ig_tree_goes_left(model, node, row[node->feature]) ? 1 : 0;
        weight[node->left] = weight[i] * share;
        weight[node->right] = weight[i] * (1 - share);
    }
    ig_free(weight);
}

static double factorial(uint32_t n)
{
    return n < 2 ? 1 : n * factorial(n - 1);
}

static void brute_force(const struct fixture *x, const double *row, double *contributions)
{
    const struct ig_model *model = x->model;
    const uint32_t features = x->players.count;
    const uint32_t outputs = model->outputs_count;
    const uint32_t sets = 1U << features;
    double *game = ig_zalloc_array((size_t)sets * outputs, sizeof *game);
    for (uint32_t s = 0; s < sets; s++)
        for (uint32_t t = 0; t < model->trees_count; t++)
            add_game(x, &model->trees[t], row, s, game + (size_t)s * outputs);
    memset(contributions, 0, outputs * (features + (size_t)1) * sizeof *contributions);
    for (uint32_t o = 0; o < outputs; o++) {
        double *own = contributions + o * (features + (size_t)1);
        own[features] = game[o] + ig_tree_shap_base_margin(model, o);
        for (uint32_t s = 0; s < sets; s++) {
            uint32_t size = (uint32_t)__builtin_popcount(s);
            for (uint32_t f = 0; f < features; f++) {
                if (s >> f & 1) continue;
                double weight = factorial(size) * factorial(features - size - 1);
                double gain = game[(s | 1U << f) * outputs + o] - game[s * outputs + o];
                own[f] += weight / factorial(features) * gain;
            }
        }
    }
    ig_free(game);
}

static void check_reference(const struct ig_testing_shape *shape, const struct ig_players *players,
                            uint64_t seed)
{
    struct fixture x = fixture_grouped(ig_testing_model(shape, seed), players, 3, seed + 1);
    double *brute = ig_zalloc_array(x.stride, sizeof *brute);
    fixture_solve(&x);
    for (size_t i = 0; i < x.rows_count; i++) {
        brute_force(&x, x.rows + i * x.model->features_count, brute);
        for (size_t k = 0; k < x.stride; k++)
            assert_near(x.expected[i * x.stride + k], brute[k], 1e-10);
    }
    ig_free(brute);
    fixture_free(&x);
}

/* ---- kernels ---- */

static void *scratch_new(const struct ig_tree_shap *shap, size_t rows_count)
{
    void *scratch = ig_alloc_aligned(64, ig_tree_shap_scratch_bytes(shap, rows_count));
    assert_non_null(scratch);
    return scratch;
}

static void run_rows(const struct ig_tree_shap *shap, const struct fixture *x, size_t first,
                     size_t count, double *contributions, double *additivity)
{
    struct ig_tree_shap_io io = {.rows = x->rows + first * x->model->features_count,
                                 .rows_count = count,
                                 .margins = x->margins + first * x->model->outputs_count,
                                 .contributions = contributions + first * x->stride,
                                 .additivity = additivity + first};
    void *scratch = scratch_new(shap, count);
    ig_tree_shap_run(shap, &io, scratch);
    ig_free(scratch);
}

static void assert_close(const struct fixture *x, const double *values)
{
    for (size_t i = 0; i < x->rows_count * x->stride; i++) {
        double allowed = 1e-5 * fmax(1, fabs(x->expected[i]));
        if (fabs(values[i] - x->expected[i]) <= allowed) continue;
        fail_msg("value %zu is %.17g, expected %.17g", i, values[i], x->expected[i]);
    }
}

static void assert_additive(const struct fixture *x, const double *values, const double *additivity)
{
    const uint32_t outputs = x->model->outputs_count;
    for (size_t i = 0; i < x->rows_count; i++) {
        double worst = 0;
        for (uint32_t o = 0; o < outputs; o++) {
            double sum = 0;
            for (uint32_t f = 0; f <= x->players.count; f++)
                sum += values[i * x->stride + o * (size_t)(x->players.count + 1) + f];
            double margin = x->margins[i * outputs + o];
            assert_true(fabs(sum - margin) <= 1e-5 * (1 + fabs(margin)));
            worst = fmax(worst, fabs(sum - margin));
        }
        assert_near(additivity[i], worst, 1e-9);
    }
}

/* Every variant, all rows at once and in pieces, gives the same bits, close to the reference. */
static void check_kernels(const struct fixture *x)
{
    struct ig_err err = IG_ERR_INIT;
    size_t bytes = x->rows_count * x->stride * sizeof(double);
    double *first = ig_zalloc(bytes);
    double *values = ig_zalloc(bytes);
    double *additivity = ig_zalloc_array(x->rows_count, sizeof *additivity);
    for (int isa = IG_ISA_SCALAR; isa <= (int)ig_cpu_isa(); isa++) {
        struct ig_tree_shap *shap = NULL;
        assert_int_equal(
            ig_tree_shap_new_grouped(&shap, x->model, &x->players, (enum ig_isa)isa, &err), IG_OK);
        assert_string_equal(ig_tree_shap_variant(shap), ig_isa_name((enum ig_isa)isa));
        for (size_t piece = 1; piece <= x->rows_count; piece = piece * 2 + 3) {
            memset(values, 0xff, bytes);
            for (size_t i = 0; i < x->rows_count; i += piece) {
                size_t left = x->rows_count - i;
                run_rows(shap, x, i, left < piece ? left : piece, values, additivity);
            }
            if (isa == IG_ISA_SCALAR && piece == 1) {
                memcpy(first, values, bytes);
                assert_close(x, values);
                assert_additive(x, values, additivity);
            }
            assert_memory_equal(values, first, bytes);
        }
        ig_tree_shap_free(shap);
    }
    ig_free(first);
    ig_free(values);
    ig_free(additivity);
}

static void check_shape(const struct ig_testing_shape *shape, uint64_t seed, size_t rows_count)
{
    struct fixture x = fixture_new(ig_testing_model(shape, seed), rows_count, seed + 7);
    fixture_solve(&x);
    check_kernels(&x);
    fixture_free(&x);
}

static const struct ig_testing_shape SHAPES[] = {
    {.features = 1, .outputs = 1, .trees = 3, .depth = 4, .f32 = true},
    {.features = 3, .outputs = 1, .trees = 4, .depth = 5, .leaf_percent = 20, .f32 = true},
    {.features = 6,
     .outputs = 2,
     .trees = 6,
     .depth = 5,
     .leaf_percent = 10,
     .set_percent = 30,
     .f32 = true},
    {.features = 7,
     .outputs = 3,
     .trees = 6,
     .depth = 4,
     .set_percent = 30,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64},
    {.features = 5,
     .outputs = 1,
     .trees = 5,
     .depth = 6,
     .leaf_percent = 15,
     .dart = true,
     .f32 = true,
     .sum_rule = IG_SUM_F32_BASE_LAST},
    {.features = 4,
     .outputs = 1,
     .trees = 5,
     .depth = 3,
     .average = true,
     .thresholds = 3,
     .sum_rule = IG_SUM_F64},
    {.features = 4, .outputs = 2, .trees = 5, .depth = 3, .average = true, .f32 = true},
    {.features = 4, .outputs = 3, .trees = 3, .depth = 4, .leaf_vectors = true, .f32 = true},
    {.features = 4, .outputs = 1, .trees = 3, .depth = 0, .f32 = true},
    {.features = 4, .outputs = 1, .trees = 3, .depth = 1, .f32 = true},
    {.features = 4, .outputs = 1, .trees = 3, .depth = 2, .leaf_percent = 30, .f32 = true},
    {.features = 4, .outputs = 2, .trees = 0, .f32 = true},
};
enum { SHAPES_COUNT = sizeof SHAPES / sizeof *SHAPES };

/* Enough inputs that a row's keys fill one to eight registers and more. */
static const struct ig_testing_shape WIDE[] = {
    {.features = 15, .outputs = 1, .trees = 30, .depth = 5, .leaf_percent = 10, .f32 = true},
    {.features = 31, .outputs = 1, .trees = 40, .depth = 5, .leaf_percent = 10, .f32 = true},
    {.features = 45, .outputs = 2, .trees = 50, .depth = 6, .leaf_percent = 15, .f32 = true},
    {.features = 60, .outputs = 1, .trees = 50, .depth = 6, .leaf_percent = 15},
    {.features = 90, .outputs = 1, .trees = 50, .depth = 6, .leaf_percent = 15, .dart = true},
    {.features = 20, .outputs = 1, .trees = 6, .depth = 13, .leaf_percent = 35, .f32 = true},
    {.features = 60, .outputs = 1, .trees = 6, .depth = 22, .leaf_percent = 42, .f32 = true},
};
enum { WIDE_COUNT = sizeof WIDE / sizeof *WIDE };

static uint64_t rounds(void)
{
    return getenv("INGOT_LONG") ? 60 : 2;
}

static void test_reference_is_the_definition(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < rounds(); seed++)
        for (size_t i = 0; i < SHAPES_COUNT; i++) check_reference(&SHAPES[i], NULL, seed * 100 + i);
}

static void test_kernels_on_small_shapes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < rounds(); seed++)
        for (size_t i = 0; i < SHAPES_COUNT; i++) check_shape(&SHAPES[i], seed * 100 + i, 21);
}

static void test_kernels_on_wide_shapes(void **state)
{
    (void)state;
    for (uint64_t seed = 0; seed < (rounds() + 9) / 10; seed++)
        for (size_t i = 0; i < WIDE_COUNT; i++) check_shape(&WIDE[i], seed * 100 + i, 4);
}

/* ---- hand-made trees ---- */

/* A model of one tree; `nodes` are copied, outputs_count is 1. */
static struct ig_model *model_of(const struct ig_node *nodes, uint32_t count, uint32_t features)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = ig_model_new(1U << 22);
    assert_non_null(model);
    model->features_count = features;
    model->outputs_count = model->predictions_count = 1;
    model->iterations_count = 1;
    model->inputs_f32 = true;
    model->trees_count = 1;
    model->nodes_count = count;
    model->trees = ig_arena_array(&model->arena, 1, sizeof *model->trees);
    model->nodes = ig_arena_array(&model->arena, count, sizeof *model->nodes);
    model->base_margin = ig_arena_array(&model->arena, 1, sizeof(double));
    memcpy(model->nodes, nodes, count * sizeof *nodes);
    *model->trees = (struct ig_tree){.nodes_count = count, .weight = 1};
    if (ig_model_check(model, &err) != IG_OK) fail_msg("%s", err.message);
    return model;
}

static struct ig_node leaf(double value, double cover)
{
    return (struct ig_node){
        .value = value, .cover = cover, .left = -1, .right = -1, .extra = IG_MODEL_NONE};
}

static struct ig_node split(uint32_t feature, double threshold, int32_t left, double cover)
{
    return (struct ig_node){.value = threshold,
                            .cover = cover,
                            .left = left,
                            .right = left + 1,
                            .feature = feature,
                            .extra = IG_MODEL_NONE,
                            .op = IG_NODE_LT,
                            .missing = IG_NODE_MISSING_NAN,
                            .flags = IG_NODE_DEFAULT_LEFT};
}

/* Rows of `features` values each, expected features + 1 each. */
static void check_published(struct ig_model *model, const double *rows, const double *expected,
                            size_t rows_count)
{
    struct fixture x = fixture_new(model, rows_count, 1);
    memcpy(x.rows, rows, rows_count * model->features_count * sizeof *rows);
    fixture_solve(&x);
    for (size_t i = 0; i < rows_count * x.stride; i++)
        assert_near(x.expected[i], expected[i], 1e-6);
    check_kernels(&x);
    fixture_free(&x);
}

/* XGBoost, tests/cpp/predictor/test_shap.cc: the AND of two inputs. */
static void test_and(void **state)
{
    (void)state;
    const struct ig_node nodes[] = {split(0, 0.5, 1, 4), leaf(0, 2), split(1, 0.5, 3, 2),
                                    leaf(0, 1), leaf(1, 1)};
    const double rows[] = {1, 1, 0, 1};
    const double expected[] = {0.375, 0.375, 0.25, -0.375, 0.125, 0.25};
    check_published(model_of(nodes, 5, 2), rows, expected, 2);
}

/* shap, tests/explainers/test_tree.py: 80 times the AND of two fair coins. */
static void test_consistency(void **state)
{
    (void)state;
    const struct ig_node nodes[] = {split(0, 0.5, 1, 4), split(1, 0.5, 3, 2), split(1, 0.5, 5, 2),
                                    leaf(0, 1),          leaf(0, 1),          leaf(0, 1),
                                    leaf(80, 1)};
    const double rows[] = {0, 0, 0, 1, 1, 0, 1, 1};
    const double expected[] = {-10, -10, 20, -30, 10, 20, 10, -30, 20, 30, 30, 20};
    check_published(model_of(nodes, 7, 2), rows, expected, 4);
}

/* gputreeshap, tests/test_gpu_treeshap.cu: BasicPaths, the values of XGBoost. */
static void test_basic_paths(void **state)
{
    (void)state;
    const struct ig_node nodes[] = {split(0, 0.5, 1, 5), leaf(-1, 2),         split(1, 0.5, 3, 3),
                                    leaf(-1, 1),         split(2, 0.5, 5, 2), leaf(1, 1),
                                    leaf(0.5, 1)};
    const double rows[] = {1, 1, 0, 1, 0, 0};
    const double expected[] = {0.6277778,  0.5027776, 0.1694444, -0.3,
                               0.24444449, -1.005555, 0.0611111, -0.3};
    check_published(model_of(nodes, 7, 3), rows, expected, 2);
}

/* One split a level; `features` different ones, then again from the first. */
static struct ig_model *chain(uint32_t splits, uint32_t features)
{
    struct ig_node *nodes = ig_zalloc_array(2 * splits + 1, sizeof *nodes);
    for (uint32_t i = 0; i < splits; i++) {
        double cover = 1000.0 * (splits - i);
        nodes[2 * i] = split(i % features, 0.25 * (i % 3), (int32_t)(2 * i + 1), cover);
        nodes[2 * i + 1] = leaf(i % 7 - 3.0, 1000);
    }
    nodes[2 * splits] = leaf(5, 1000);
    struct ig_model *model = model_of(nodes, 2 * splits + 1, features);
    ig_free(nodes);
    return model;
}

/* Paths of 9 to 40 features: 5 to 20 points, in one pass and in several. */
static void test_long_paths(void **state)
{
    (void)state;
    static const uint32_t FEATURES[] = {9, 15, 17, 31, 33, 40};
    for (size_t i = 0; i < sizeof FEATURES / sizeof *FEATURES; i++) {
        struct fixture x = fixture_new(chain(FEATURES[i] + 12, FEATURES[i]), 5, i);
        for (size_t k = 0; k < 3 * (size_t)FEATURES[i]; k++) x.rows[k] = k % 5 ? 1 : NAN;
        fixture_solve(&x);
        check_kernels(&x);
        fixture_free(&x);
    }
}

static void test_too_long_path(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_shap *shap = NULL;
    struct ig_model *model = chain(2049, 2049);
    assert_int_equal(ig_tree_shap_new(&shap, model, IG_ISA_SCALAR, &err), IG_TOO_LARGE);
    assert_string_equal(err.message, "tree 0 has 2049 different features on a path; at most 2048 "
                                     "can be explained exactly");
    ig_model_free(model);
    /* Paths may be long, but must not make a model many times larger. */
    model = chain(8000, 1000);
    err = IG_ERR_INIT;
    assert_int_equal(ig_tree_shap_new(&shap, model, IG_ISA_SCALAR, &err), IG_TOO_LARGE);
    assert_non_null(strstr(err.message, "paths too long to be explained exactly"));
    assert_null(shap);
    ig_model_free(model);
}

static void test_shares_of_extreme_covers(void **state)
{
    (void)state;
    static const double CASES[][3] = {{0, 0, 0.5},         {5e-324, 0, 1},  {0, 5e-324, 0},
                                      {1e308, 1e308, 0.5}, {1.5e308, 0, 1}, {1, 3, 0.25}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        const struct ig_node nodes[] = {split(0, 0, 1, 0), leaf(0, CASES[i][0]),
                                        leaf(0, CASES[i][1])};
        assert_near(ig_tree_shap_left_share(nodes, nodes), CASES[i][2], 0);
    }
}

/* Where no training row came, both children count the same. */
static void test_zero_covers(void **state)
{
    (void)state;
    const struct ig_node nodes[] = {split(0, 0.5, 1, 5), leaf(-1, 5),          split(1, 0.5, 3, 0),
                                    leaf(-1, 0),         split(0, 0.75, 5, 0), leaf(1, 0),
                                    leaf(0.5, 0)};
    struct ig_testing_shape shape = SHAPES[2];
    struct fixture x = fixture_new(model_of(nodes, 7, 2), 20, 5);
    fixture_solve(&x);
    assert_near(x.expected[2], -1, 0);
    check_kernels(&x);
    fixture_free(&x);
    for (uint32_t every = 1; every < 4; every++) {
        struct ig_model *model = ig_testing_model(&shape, every);
        double brute[14];
        for (uint32_t i = 0; i < model->nodes_count; i += every) model->nodes[i].cover = 0;
        x = fixture_new(model, 9, 6);
        fixture_solve(&x);
        assert_int_equal(x.stride, 14);
        brute_force(&x, x.rows, brute);
        for (size_t k = 0; k < 14; k++) assert_near(x.expected[k], brute[k], 1e-10);
        check_kernels(&x);
        fixture_free(&x);
    }
}

/* Nothing is below -inf, yet what is missing goes left. */
static void test_infinite_thresholds(void **state)
{
    (void)state;
    for (int f32 = 0; f32 < 2; f32++) {
        struct ig_testing_shape shape = SHAPES[1];
        shape.f32 = f32;
        struct ig_model *model = ig_testing_model(&shape, 3);
        for (uint32_t i = 0; i < model->nodes_count; i++) {
            struct ig_node *node = &model->nodes[i];
            if (node->op == IG_NODE_LEAF) continue;
            if (i % 3 == 0) node->value = i % 2 ? INFINITY : -INFINITY;
            node->op = i % 4 < 2 ? IG_NODE_LT : IG_NODE_LE;
        }
        struct fixture x = fixture_new(model, 40, 8);
        fixture_solve(&x);
        check_kernels(&x);
        fixture_free(&x);
    }
}

/* ---- precision, errors ---- */

static void test_large_leaves_take_doubles(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    for (int large = 0; large < 2; large++) {
        struct ig_tree_shap *shap = NULL;
        struct ig_model *model = ig_testing_model(&SHAPES[4], 9);
        for (uint32_t i = 0; large && i < model->nodes_count; i++)
            if (model->nodes[i].op == IG_NODE_LEAF) model->nodes[i].value *= 65536;
        assert_int_equal(ig_tree_shap_new(&shap, model, ig_cpu_isa(), &err), IG_OK);
        assert_int_equal(ig_tree_shap_is_double(shap), large);
        assert_true(ig_tree_shap_memory_bytes(shap) > model->nodes_count);
        ig_tree_shap_free(shap);
        struct fixture x = fixture_new(model, 20, 9);
        fixture_solve(&x);
        check_kernels(&x);
        fixture_free(&x);
    }
}

/* The greatest error, of max(1, |value|), where so many trees are one stump with this leaf. */
static double error_of_repeated(uint32_t trees, float value)
{
    const struct ig_node nodes[] = {split(0, 0, 1, 100), leaf((double)-value, 70),
                                    leaf((double)value / 4, 30)};
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_shap *shap = NULL;
    struct ig_model *model = model_of(nodes, 3, 1);
    struct ig_tree stump = model->trees[0];
    model->trees_count = trees;
    model->trees = ig_arena_array(&model->arena, trees, sizeof *model->trees);
    for (uint32_t i = 0; i < trees; i++) model->trees[i] = stump;
    struct fixture x = fixture_new(model, 2, 1);
    double *values = ig_zalloc_array(2 * x.stride, sizeof *values);
    double additivity[2];
    double worst = 0;
    x.rows[0] = -1;
    x.rows[1] = 1;
    fixture_solve(&x);
    assert_int_equal(ig_tree_shap_new(&shap, model, ig_cpu_isa(), &err), IG_OK);
    assert_false(ig_tree_shap_is_double(shap));
    run_rows(shap, &x, 0, 2, values, additivity);
    for (size_t i = 0; i < 2 * x.stride; i++)
        worst = fmax(worst, fabs(values[i] - x.expected[i]) / fmax(1, fabs(x.expected[i])));
    ig_tree_shap_free(shap);
    ig_free(values);
    fixture_free(&x);
    return worst;
}

/* The same number added thousands of times to a float would round the same way each time. */
static void test_trees_that_repeat_one_another(void **state)
{
    (void)state;
    double worst = 0;
    for (int i = 0; i < 30; i++) {
        double error = error_of_repeated(2000, 0.04F + (float)i * 0.00037F);
        worst = fmax(worst, error);
    }
    assert_true(worst < 3e-6);
}

/* Of two rows, the one whose margin the sum misses is computed again in double. */
static void test_rows_off_the_margin_are_recomputed(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_shap *shap = NULL;
    struct fixture x = fixture_new(ig_testing_model(&WIDE[0], 4), 2, 4);
    double *values = ig_zalloc_array(2 * x.stride, sizeof *values);
    double additivity[2];
    double worst[2] = {0, 0};
    fixture_solve(&x);
    x.margins[1] += 0.5;
    assert_int_equal(ig_tree_shap_new(&shap, x.model, ig_cpu_isa(), &err), IG_OK);
    run_rows(shap, &x, 0, 2, values, additivity);
    for (size_t i = 0; i < 2 * x.stride; i++)
        worst[i / x.stride] = fmax(worst[i / x.stride], fabs(values[i] - x.expected[i]));
    assert_true(worst[0] > 1e-10);
    assert_true(worst[1] < 1e-12);
    assert_true(additivity[0] < 1e-5);
    assert_near(additivity[1], 0.5, 1e-5);
    ig_tree_shap_free(shap);
    ig_free(values);
    fixture_free(&x);
}

static void test_base_values(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    for (size_t i = 0; i < SHAPES_COUNT; i++) {
        struct ig_tree_shap *shap = NULL;
        double base[3];
        struct fixture x = fixture_new(ig_testing_model(&SHAPES[i], i), 1, i);
        fixture_solve(&x);
        assert_int_equal(ig_tree_shap_new(&shap, x.model, IG_ISA_SCALAR, &err), IG_OK);
        ig_tree_shap_base(shap, base);
        for (uint32_t o = 0; o < x.model->outputs_count; o++)
            assert_near(base[o], x.expected[(o + 1) * (x.model->features_count + 1) - 1], 1e-12);
        ig_tree_shap_free(shap);
        fixture_free(&x);
    }
}

static void test_models_without_values(void **state)
{
    (void)state;
    struct ig_tree_shap *shap = NULL;
    struct ig_testing_shape shape = {
        .features = 3, .outputs = 1, .trees = 4, .depth = 3, .linear_leaves = true};
    struct ig_model *model = ig_testing_model(&shape, 1);
    struct ig_err err = IG_ERR_INIT;
    double values[4];
    assert_non_null(model);
    assert_int_equal(ig_tree_shap_new(&shap, model, IG_ISA_SCALAR, &err), IG_UNSUPPORTED);
    assert_string_equal(err.message, "linear-leaf trees have no exact path-dependent SHAP values: "
                                     "the file holds no feature means");
    err = IG_ERR_INIT;
    assert_int_equal(ig_tree_shap_reference(model, NULL, values, values, &err), IG_UNSUPPORTED);
    for (uint32_t i = 0; i < model->linear_count; i++) model->linear[i].count = 0;
    struct fixture x = fixture_new(model, 20, 9); /* constant leaves have values */
    fixture_solve(&x);
    check_kernels(&x);
    err = IG_ERR_INIT;
    model->kind = IG_MODEL_LINEAR;
    assert_int_equal(ig_tree_shap_new(&shap, model, IG_ISA_SCALAR, &err), IG_INVALID);
    assert_null(shap);
    fixture_free(&x);
}

/* Groups that share paths, that repeat on them, and that hold all features. */
static void test_groups(void **state)
{
    static const uint32_t MAPS[][7] = {
        {0, 1, 0, 1, 2, 2, 0}, {0, 0, 1, 2, 3, 4, 5}, {0, 0, 0, 0, 0, 0, 0}, {2, 1, 0, 2, 1, 0, 3}};
    static const uint32_t COUNTS[] = {3, 6, 1, 4};
    (void)state;
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++) {
        if (SHAPES[i].features > 7) continue;
        for (size_t k = 0; k < sizeof COUNTS / sizeof *COUNTS; k++) {
            uint32_t map[7];
            struct ig_players players = {map, 0};
            for (uint32_t f = 0; f < SHAPES[i].features; f++) {
                map[f] = MAPS[k][f];
                if (map[f] >= players.count) players.count = map[f] + 1;
            }
            check_reference(&SHAPES[i], &players, 100 * i + k);
            struct fixture x =
                fixture_grouped(ig_testing_model(&SHAPES[i], 7 * i + k), &players, 37, i);
            fixture_solve(&x);
            check_kernels(&x);
            fixture_free(&x);
        }
    }
}

/* A group each is no group: the same bits. A number out of range is refused. */
static void test_groups_of_one(void **state)
{
    (void)state;
    uint32_t map[7] = {0, 1, 2, 3, 4, 5, 6};
    struct ig_players players = {map, SHAPES[3].features};
    struct fixture x = fixture_new(ig_testing_model(&SHAPES[3], 5), 20, 6);
    double *values[2], additivity[20];
    struct ig_err err = IG_ERR_INIT;
    fixture_solve(&x);
    for (int i = 0; i < 2; i++) {
        struct ig_tree_shap *shap;
        values[i] = ig_zalloc_array(20 * x.stride, sizeof(double));
        assert_int_equal(
            ig_tree_shap_new_grouped(&shap, x.model, i ? &players : NULL, ig_cpu_isa(), &err),
            IG_OK);
        run_rows(shap, &x, 0, 20, values[i], additivity);
        ig_tree_shap_free(shap);
    }
    assert_memory_equal(values[0], values[1], 20 * x.stride * sizeof(double));
    struct ig_tree_shap *none = NULL;
    map[1] = players.count;
    assert_int_equal(ig_tree_shap_new_grouped(&none, x.model, &players, IG_ISA_SCALAR, &err),
                     IG_INVALID);
    assert_null(none);
    ig_free(values[0]);
    ig_free(values[1]);
    fixture_free(&x);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    struct ig_model *model = ig_testing_model(&SHAPES[3], 1);
    double row[7] = {0};
    double values[24];
    enum ig_code code = IG_NO_MEMORY;
    for (uint64_t n = 1; code != IG_OK && n < 200; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tree_shap *shap = NULL;
        ig_mem_fail_after(n);
        code = ig_tree_shap_new(&shap, model, IG_ISA_SCALAR, &err);
        assert_int_equal(code, ig_mem_failed() ? IG_NO_MEMORY : IG_OK);
        ig_tree_shap_free(shap);
    }
    assert_int_equal(code, IG_OK);
    code = IG_NO_MEMORY;
    for (uint64_t n = 1; code != IG_OK && n < 20; n++) {
        struct ig_err err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_tree_shap_reference(model, NULL, row, values, &err);
        assert_int_equal(code, ig_mem_failed() ? IG_NO_MEMORY : IG_OK);
    }
    ig_mem_fail_after(0);
    assert_int_equal(code, IG_OK);
    ig_model_free(model);
}

/* sum of weight * t^power over the points is 1/(power + 1) up to twice their number less one. */
static void test_quadrature_is_exact(void **state)
{
    (void)state;
    double points[64];
    double weights[64];
    for (uint32_t count = 1; count <= 64; count++) {
        ig_tree_shap_quadrature(count, points, weights);
        for (uint32_t power = 0; power < 2 * count; power++) {
            double sum = 0;
            for (uint32_t k = 0; k < count; k++) sum += weights[k] * pow(points[k], power);
            assert_near(sum, 1.0 / (power + 1), 1e-14);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_reference_is_the_definition),
        cmocka_unit_test(test_kernels_on_small_shapes),
        cmocka_unit_test(test_kernels_on_wide_shapes),
        cmocka_unit_test(test_and),
        cmocka_unit_test(test_consistency),
        cmocka_unit_test(test_basic_paths),
        cmocka_unit_test(test_long_paths),
        cmocka_unit_test(test_too_long_path),
        cmocka_unit_test(test_shares_of_extreme_covers),
        cmocka_unit_test(test_zero_covers),
        cmocka_unit_test(test_infinite_thresholds),
        cmocka_unit_test(test_large_leaves_take_doubles),
        cmocka_unit_test(test_trees_that_repeat_one_another),
        cmocka_unit_test(test_rows_off_the_margin_are_recomputed),
        cmocka_unit_test(test_base_values),
        cmocka_unit_test(test_models_without_values),
        cmocka_unit_test(test_groups),
        cmocka_unit_test(test_groups_of_one),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_quadrature_is_exact),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
