/* SPDX-License-Identifier: Apache-2.0 */
/* Interventional SHAP values against the definition, by tables, by walks and by both. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/tree/tree_interventional.h"
#include "kernels/tree/tree_predict_walk.h"
#include "kernels/tree/tree_shap_leaf.h"
#include "kernels/tree/tree_testing.h"

#include <math.h>
#include <string.h>

enum { ROWS = 6, BACKGROUND = 9 };

static const struct ig_testing_shape SHAPES[] = {
    {.features = 1, .outputs = 1, .trees = 3, .depth = 4, .f32 = true},
    {.features = 4, .outputs = 1, .trees = 4, .depth = 5, .leaf_percent = 20, .f32 = true},
    {.features = 6,
     .outputs = 1,
     .trees = 3,
     .depth = 7,
     .leaf_percent = 25,
     .set_percent = 30,
     .f32 = true,
     .thresholds = 3},
    {.features = 5,
     .outputs = 3,
     .trees = 6,
     .depth = 4,
     .set_percent = 20,
     .missing_kinds = true,
     .sum_rule = IG_SUM_F64},
    {.features = 5, .outputs = 2, .trees = 4, .depth = 4, .f32 = true, .leaf_vectors = true},
    {.features = 6, .outputs = 1, .trees = 5, .depth = 3, .f32 = true, .dart = true},
    {.features = 4, .outputs = 1, .trees = 5, .depth = 5, .average = true, .sum_rule = IG_SUM_F64},
    {.features = 3, .outputs = 1, .trees = 4, .depth = 0, .f32 = true},
};
enum { SHAPES_COUNT = sizeof SHAPES / sizeof *SHAPES };

struct fixture {
    struct ig_model *model;
    struct ig_players players;
    struct ig_background background;
    double rows[ROWS * 8], others[BACKGROUND * 8], weights[BACKGROUND];
    double margins[ROWS * 3], expected[ROWS * 3 * 9];
    size_t stride;
};

/* ---- the definition ---- */

static void mixed_margin(const struct fixture *x, const double *row, const double *other,
                         uint32_t known, double *margins)
{
    double mixed[8];
    for (uint32_t f = 0; f < x->model->features_count; f++)
        mixed[f] = known >> ig_player_of(&x->players, f) & 1 ? row[f] : other[f];
    ig_tree_walk_margin(x->model, mixed, margins);
}

static double factorial(uint32_t n)
{
    double product = 1;
    for (uint32_t i = 2; i <= n; i++) product *= i;
    return product;
}

/* The path-dependent game of one tree. */
static void add_covers(const struct fixture *x, const struct ig_tree *tree, const double *row,
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
        double share = ig_tree_shap_left_share(nodes, node);
        if (known >> ig_player_of(&x->players, node->feature) & 1)
            share = ig_tree_goes_left(model, node, row[node->feature]) ? 1 : 0;
        weight[node->left] = weight[i] * share;
        weight[node->right] = weight[i] * (1 - share);
    }
    ig_free(weight);
}

static void play(const struct fixture *x, const double *row, bool covers, uint32_t known,
                 double *values)
{
    for (uint32_t o = 0; o < x->model->outputs_count; o++)
        values[o] = covers ? ig_tree_shap_base_margin(x->model, o) : 0;
    for (uint32_t t = 0; covers && t < x->model->trees_count; t++)
        add_covers(x, &x->model->trees[t], row, known, values);
    for (size_t b = 0; !covers && b < BACKGROUND; b++) {
        double margins[3];
        mixed_margin(x, row, x->others + b * x->model->features_count, known, margins);
        for (uint32_t o = 0; o < x->model->outputs_count; o++)
            values[o] += margins[o] * (x->background.weights ? x->weights[b] : 1.0 / BACKGROUND);
    }
}

/* shap's convention, from the definition. matrix: outputs x (players + 1)^2. */
static void brute_interactions(const struct fixture *x, const double *row, bool covers,
                               double *matrix)
{
    uint32_t n = x->players.count, outputs = x->model->outputs_count;
    size_t stride = n + (size_t)1;
    static double game[64][3];
    memset(matrix, 0, outputs * stride * stride * sizeof *matrix);
    for (uint32_t known = 0; known < 1U << n; known++) play(x, row, covers, known, game[known]);
    for (uint32_t o = 0; o < outputs; o++) {
        double *own = matrix + o * stride * stride;
        own[stride * stride - 1] = game[0][o];
        for (uint32_t known = 0; known < 1U << n; known++) {
            uint32_t size = (uint32_t)__builtin_popcount(known);
            for (uint32_t i = 0; i < n; i++) {
                uint32_t with = known | 1U << i;
                if (known >> i & 1) continue;
                own[i * stride + i] += factorial(size) * factorial(n - size - 1) / factorial(n) *
                                       (game[with][o] - game[known][o]);
                for (uint32_t j = 0; j < n; j++) {
                    uint32_t other = known | 1U << j;
                    if (j == i || known >> j & 1) continue;
                    double half =
                        factorial(size) * factorial(n - size - 2) / factorial(n - 1) / 2 *
                        (game[with | other][o] - game[with][o] - game[other][o] + game[known][o]);
                    own[i * stride + j] += half;
                    own[i * stride + i] -= half;
                }
            }
        }
    }
}

static void brute_force(const struct fixture *x, const double *row, double *contributions)
{
    uint32_t players = x->players.count, outputs = x->model->outputs_count;
    double game[64][3];
    memset(contributions, 0, x->stride * sizeof *contributions);
    memset(game, 0, sizeof game);
    for (uint32_t known = 0; known < 1U << players; known++)
        for (size_t b = 0; b < BACKGROUND; b++) {
            double margins[3];
            const double *other = x->others + b * x->model->features_count;
            mixed_margin(x, row, other, known, margins);
            for (uint32_t o = 0; o < outputs; o++)
                game[known][o] +=
                    margins[o] * (x->background.weights ? x->weights[b] : 1.0 / BACKGROUND);
        }
    for (uint32_t o = 0; o < outputs; o++) {
        double *own = contributions + o * (players + (size_t)1);
        own[players] = game[0][o];
        for (uint32_t known = 0; known < 1U << players; known++)
            for (uint32_t p = 0; p < players; p++) {
                uint32_t size = (uint32_t)__builtin_popcount(known);
                if (known >> p & 1) continue;
                own[p] += factorial(size) * factorial(players - size - 1) / factorial(players) *
                          (game[known | 1U << p][o] - game[known][o]);
            }
    }
}

static void fixture_init(struct fixture *x, const struct ig_testing_shape *shape,
                         const struct ig_players *players, uint64_t seed)
{
    memset(x, 0, sizeof *x);
    x->model = ig_testing_model(shape, seed);
    assert_non_null(x->model);
    uint32_t features = x->model->features_count, outputs = x->model->outputs_count;
    x->players = players ? *players : (struct ig_players){NULL, features};
    x->stride = outputs * (x->players.count + (size_t)1);
    ig_testing_rows(x->model, seed + 1, ROWS, x->rows);
    ig_testing_rows(x->model, seed + 2, BACKGROUND, x->others);
    memcpy(x->others, x->rows, features * sizeof(double)); /* one that agrees throughout */
    x->background = (struct ig_background){x->others, NULL, BACKGROUND, features};
    for (size_t b = 0; b < BACKGROUND; b++) x->weights[b] = (double)(b + 1) / 45;
    if (seed % 2) x->background.weights = x->weights;
    for (size_t i = 0; i < ROWS; i++) {
        ig_tree_walk_margin(x->model, x->rows + i * features, x->margins + i * outputs);
        brute_force(x, x->rows + i * features, x->expected + i * x->stride);
    }
}

/* ---- checks ---- */

static struct ig_tree_interventional *prepare(const struct fixture *x, size_t memory)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional *self = NULL;
    const struct ig_tree_interventional_options options = {&x->players, memory, false};
    ig_tree_interventional_new(&self, x->model, &x->background, &options, &err);
    if (err.code != IG_OK) fail_msg("%s", err.message);
    return self;
}

static void run_rows(const struct ig_tree_interventional *self, const struct fixture *x,
                     size_t first, size_t count, double *contributions, double *additivity)
{
    const struct ig_tree_interventional_io io = {.rows = x->rows + first * x->model->features_count,
                                                 .rows_count = count,
                                                 .margins =
                                                     x->margins + first * x->model->outputs_count,
                                                 .contributions = contributions + first * x->stride,
                                                 .additivity = additivity + first};
    void *scratch = ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(self));
    assert_non_null(scratch);
    ig_tree_interventional_run(self, &io, scratch);
    ig_free(scratch);
}

static void check(const struct fixture *x, size_t memory, const char *variant)
{
    double values[2][ROWS * 3 * 9], additivity[2][ROWS], base[3];
    struct ig_tree_interventional *self = prepare(x, memory);
    uint32_t players = x->players.count;
    if (variant) assert_string_equal(ig_tree_interventional_variant(self), variant);
    run_rows(self, x, 0, ROWS, values[0], additivity[0]);
    for (size_t i = 0; i < ROWS; i++) run_rows(self, x, i, 1, values[1], additivity[1]);
    assert_memory_equal(values[0], values[1], ROWS * x->stride * sizeof(double));
    assert_memory_equal(additivity[0], additivity[1], sizeof additivity[0]);
    for (size_t i = 0; i < ROWS * x->stride; i++)
        if (!(fabs(values[0][i] - x->expected[i]) <= 1e-6 * fmax(1, fabs(x->expected[i]))))
            fail_msg("value %zu is %.17g, expected %.17g", i, values[0][i], x->expected[i]);
    for (size_t i = 0; i < ROWS; i++) assert_true(additivity[0][i] <= 2e-6);
    ig_tree_interventional_base(self, base);
    for (uint32_t o = 0; o < x->model->outputs_count; o++)
        assert_true(base[o] == values[0][o * (players + (size_t)1) + players]);
    assert_true(ig_tree_interventional_memory_bytes(self) > sizeof(void *));
    ig_tree_interventional_free(self);
}

static void test_tables(void **state)
{
    (void)state;
    for (size_t i = 0; i < SHAPES_COUNT; i++)
        for (uint64_t seed = 0; seed < 6; seed++) {
            struct fixture x;
            fixture_init(&x, &SHAPES[i], NULL, 10 * i + seed);
            check(&x, 0, "tables");
            ig_model_free(x.model);
        }
}

/* With hardly any memory for tables the leaves are walked; with some, both happen. */
static void test_walks(void **state)
{
    (void)state;
    for (size_t i = 1; i < SHAPES_COUNT - 1; i++)
        for (uint64_t seed = 0; seed < 4; seed++) {
            struct fixture x;
            fixture_init(&x, &SHAPES[i], NULL, 100 + 10 * i + seed);
            struct ig_tree_interventional_plan plan;
            struct ig_err err = IG_ERR_INIT;
            struct ig_tree_interventional_options options = {0};
            assert_int_equal(ig_tree_interventional_plan(&plan, x.model, &options, &err), IG_OK);
            assert_int_equal(plan.walked_count, 0);
            options.memory_max_bytes = plan.table_bytes / 2 + 4096;
            assert_int_equal(ig_tree_interventional_plan(&plan, x.model, &options, &err), IG_OK);
            assert_true(plan.table_bytes <= options.memory_max_bytes);
            check(&x, plan.table_bytes / 2 + 8192, NULL);
            ig_model_free(x.model);
        }
}

/* A chain over more players than a table takes. */
static void test_long_path(void **state)
{
    (void)state;
    const struct ig_testing_shape shape = {
        .features = 13, .outputs = 1, .trees = 1, .depth = 13, .f32 = true};
    struct ig_model *model = NULL;
    struct ig_tree_interventional *self = NULL;
    struct ig_err err = IG_ERR_INIT;
    double rows[8 * 13], contributions[14], additivity, margin, mean = 0;
    for (uint64_t seed = 1; !model; seed++) model = ig_testing_model(&shape, seed);
    for (uint32_t i = 0; i < model->nodes_count; i++) { /* each level its own feature */
        struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF) continue;
        node->op = IG_NODE_LT;
        node->value = 0;
        node->feature = i == 0 ? 0 : node->feature;
        model->nodes[node->left].feature = model->nodes[node->right].feature =
            (node->feature + 1) % 13;
    }
    for (size_t i = 0; i < 8 * 13; i++) rows[i] = (double)(i * 7 % 11) - 5;
    const struct ig_background background = {rows + 13, NULL, 7, 13};
    assert_int_equal(ig_tree_interventional_new(&self, model, &background, NULL, &err), IG_OK);
    assert_string_not_equal(ig_tree_interventional_variant(self), "tables");
    ig_tree_walk_margin(model, rows, &margin);
    for (size_t b = 1; b < 8; b++) {
        double other;
        ig_tree_walk_margin(model, rows + b * 13, &other);
        mean += other / 7;
    }
    const struct ig_tree_interventional_io io = {rows, 1, &margin, contributions, &additivity};
    void *scratch = ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(self));
    ig_tree_interventional_run(self, &io, scratch);
    assert_true(additivity <= 1e-6);
    assert_true(fabs(contributions[13] - mean) <= 1e-6);
    ig_free(scratch);
    ig_tree_interventional_free(self);
    ig_model_free(model);
}

static void test_groups(void **state)
{
    static const uint32_t MAP[8] = {0, 1, 0, 2, 1, 0};
    (void)state;
    for (size_t i = 1; i < SHAPES_COUNT; i++) {
        struct ig_players players = {MAP, 3};
        struct fixture x;
        if (SHAPES[i].features < 4) players.count = 2;
        fixture_init(&x, &SHAPES[i], &players, 200 + i);
        check(&x, 0, "tables");
        check(&x, 16384, NULL);
        ig_model_free(x.model);
    }
}

/* Pairs against the definition, for both games, by tables and by walks. */
static void check_interactions(const struct fixture *x, bool covers, size_t memory)
{
    static double values[ROWS * 3 * 49], wanted[3 * 49];
    double additivity[ROWS];
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional *self = NULL;
    const struct ig_tree_interventional_options options = {&x->players, memory, true};
    size_t each = (x->players.count + (size_t)1) * (x->players.count + (size_t)1);
    each *= x->model->outputs_count;
    ig_tree_interventional_new(&self, x->model, covers ? NULL : &x->background, &options, &err);
    if (err.code != IG_OK) fail_msg("%s", err.message);
    const struct ig_tree_interventional_io io = {x->rows, ROWS, x->margins, values, additivity};
    void *scratch = ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(self));
    ig_tree_interventional_run(self, &io, scratch);
    for (size_t i = 0; i < ROWS; i++) {
        brute_interactions(x, x->rows + i * x->model->features_count, covers, wanted);
        for (size_t k = 0; k < each; k++)
            if (!(fabs(values[i * each + k] - wanted[k]) <= 2e-6 * fmax(1, fabs(wanted[k]))))
                fail_msg("row %zu, entry %zu is %.17g, expected %.17g", i, k, values[i * each + k],
                         wanted[k]);
        assert_true(additivity[i] <= 2e-6);
    }
    ig_free(scratch);
    ig_tree_interventional_free(self);
}

static void test_interactions(void **state)
{
    static const uint32_t MAP[8] = {0, 1, 0, 2, 1, 0};
    const struct ig_players groups = {MAP, 3};
    (void)state;
    for (size_t i = 0; i < SHAPES_COUNT; i++)
        for (uint64_t seed = 0; seed < 3; seed++) {
            struct fixture x;
            bool grouped = seed == 2 && SHAPES[i].features > 3;
            fixture_init(&x, &SHAPES[i], grouped ? &groups : NULL, 300 + 10 * i + seed);
            for (int covers = 0; covers < 2; covers++) {
                check_interactions(&x, covers, 0);
                check_interactions(&x, covers, 20000);
            }
            ig_model_free(x.model);
        }
}

/* Leaves of millions: tables of doubles hold the sum. */
static void test_large_leaves(void **state)
{
    (void)state;
    struct fixture x;
    fixture_init(&x, &SHAPES[1], NULL, 6);
    for (uint32_t i = 0; i < x.model->nodes_count; i++)
        if (x.model->nodes[i].op == IG_NODE_LEAF) x.model->nodes[i].value *= 1e6;
    x.model->sum_rule = IG_SUM_F64;
    for (size_t i = 0; i < ROWS; i++) {
        const double *row = x.rows + i * x.model->features_count;
        ig_tree_walk_margin(x.model, row, &x.margins[i]);
        brute_force(&x, row, x.expected + i * x.stride);
    }
    check(&x, 0, "tables");
    ig_model_free(x.model);
}

static struct ig_node published_leaf(double value)
{
    return (struct ig_node){
        .value = value, .cover = 1, .left = -1, .right = -1, .extra = IG_MODEL_NONE};
}

static struct ig_node published_split(uint32_t feature, double threshold, int32_t left)
{
    return (struct ig_node){.value = threshold,
                            .cover = 1,
                            .left = left,
                            .right = left + 1,
                            .feature = feature,
                            .extra = IG_MODEL_NONE,
                            .op = IG_NODE_LT,
                            .missing = IG_NODE_MISSING_NAN};
}

/* gputreeshap, tests/test_gpu_treeshap.cu: InterventionalBasic. */
static void test_published(void **state)
{
    (void)state;
    const struct ig_node nodes[] = {published_split(0, 5, 1), published_leaf(0),
                                    published_split(1, 5, 3), published_split(2, -5, 5),
                                    published_leaf(8),        published_leaf(5),
                                    published_leaf(6)};
    const double row[] = {10, 0, 10}, others[] = {10, 10, -10, 10, 10, 10}, margin = 6;
    const struct ig_background background = {others, NULL, 2, 3};
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional *self = NULL;
    struct ig_model *model = ig_model_new(1 << 20);
    double values[4], additivity;
    model->features_count = 3;
    model->outputs_count = model->predictions_count = model->iterations_count = 1;
    model->inputs_f32 = true;
    model->trees_count = 1;
    model->nodes_count = 7;
    model->trees = ig_arena_zalloc(&model->arena, sizeof *model->trees);
    model->nodes = ig_arena_alloc(&model->arena, sizeof nodes);
    model->base_margin = ig_arena_zalloc(&model->arena, sizeof(double));
    memcpy(model->nodes, nodes, sizeof nodes);
    *model->trees = (struct ig_tree){.nodes_count = 7, .weight = 1};
    if (ig_model_check(model, &err) != IG_OK ||
        ig_tree_interventional_new(&self, model, &background, NULL, &err) != IG_OK)
        fail_msg("%s", err.message);
    void *scratch = ig_alloc_aligned(64, ig_tree_interventional_scratch_bytes(self));
    ig_tree_interventional_run(
        self, &(struct ig_tree_interventional_io){row, 1, &margin, values, &additivity}, scratch);
    const double expected[] = {0, -2.25, 0.25, 8};
    for (int i = 0; i < 4; i++) assert_true(fabs(values[i] - expected[i]) < 1e-5);
    ig_free(scratch);
    ig_tree_interventional_free(self);
    ig_model_free(model);
}

static void test_refusals(void **state)
{
    (void)state;
    struct fixture x;
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_interventional *self = NULL;
    fixture_init(&x, &SHAPES[1], NULL, 1);
    x.background.features_count++;
    assert_int_equal(ig_tree_interventional_new(&self, x.model, &x.background, NULL, &err),
                     IG_INVALID);
    assert_string_equal(err.message, "background: 5 features, the model has 4");
    x.background.features_count--;
    x.background.rows_count = 0;
    err = IG_ERR_INIT;
    assert_int_equal(ig_tree_interventional_new(&self, x.model, &x.background, NULL, &err),
                     IG_INVALID);
    x.background.rows_count = BACKGROUND;
    x.model->kind = IG_MODEL_LINEAR;
    err = IG_ERR_INIT;
    assert_int_equal(ig_tree_interventional_new(&self, x.model, &x.background, NULL, &err),
                     IG_INVALID);
    assert_null(self);
    x.model->kind = IG_MODEL_TREES;
    enum ig_code code = IG_NO_MEMORY;
    for (uint64_t n = 1; code != IG_OK && n < 200; n++) {
        err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        code = ig_tree_interventional_new(&self, x.model, &x.background, NULL, &err);
        assert_int_equal(code, ig_mem_failed() ? IG_NO_MEMORY : IG_OK);
    }
    ig_mem_fail_after(0);
    assert_int_equal(code, IG_OK);
    ig_tree_interventional_free(self);
    ig_model_free(x.model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tables),       cmocka_unit_test(test_walks),
        cmocka_unit_test(test_long_path),    cmocka_unit_test(test_groups),
        cmocka_unit_test(test_interactions), cmocka_unit_test(test_large_leaves),
        cmocka_unit_test(test_published),    cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
