/* SPDX-License-Identifier: Apache-2.0 */
/* Derived columns by hand: keys by CatBoost's formula, statistics, ranks, players; rows alone and
 * in batches. CatBoost's own answers are in tests/golden. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/derived_run.h"
#include "model/derived.h"

#include <math.h>
#include <string.h>

enum { FEATURES = 3, COLUMNS = 5, ROWS = 150 }; /* a number, two categories; two statistics */

static const uint32_t HASHES[] = {7, 0xfffffff0U};
static const struct ig_derived_ranks RANKS[FEATURES] = {
    {false, NULL, 0}, {true, HASHES, 2}, {true, NULL, 0}};
static const struct ig_derived_part PARTS[] = {
    {.ask = IG_DERIVED_CATEGORY, .feature = 1},
    {.ask = IG_DERIVED_CATEGORY, .feature = 2},
    {.ask = IG_DERIVED_ABOVE, .feature = 0, .border = 0.5F, .missing_above = true},
    {.ask = IG_DERIVED_EQUAL, .feature = 2, .hash = 4}};
static const struct ig_derived_key KEYS[] = {{PARTS, 2}, {PARTS + 1, 3}};
static const uint32_t PLAYER_FEATURES[] = {0, 1, 2, 1, 2};
static const struct ig_derived_player PLAYERS[] = {{PLAYER_FEATURES, 1},
                                                   {PLAYER_FEATURES + 1, 1},
                                                   {PLAYER_FEATURES + 2, 1},
                                                   {PLAYER_FEATURES + 3, 2}};
static const uint32_t PLAYER_OF[COLUMNS] = {0, 1, 2, 3, 2};
static const float VALUES[] = {2, 3};

struct world {
    struct ig_model *trees, *model;
    struct ig_derived derived;
    struct ig_derived_table tables[2];
    struct ig_derived_column columns[2];
    uint64_t hashes[2][2];
    struct ig_engine *engine;
};

static uint64_t add(uint64_t hash, int64_t part)
{
    const uint64_t m = 0x4906ba494954cb65;
    return m * (hash + m * (uint64_t)part);
}

/* One stump a column, worth 10 to the power of the column where its value is above 1.5 (a rank:
 * in the set of both). */
static void make_trees(struct world *w)
{
    static const uint32_t BOTH[] = {3};
    struct ig_model *model = w->trees = ig_model_new(1 << 16);
    model->features_count = COLUMNS;
    model->outputs_count = model->predictions_count = 1;
    model->sum_rule = IG_SUM_F64;
    model->trees_count = COLUMNS;
    model->nodes_count = 3 * COLUMNS;
    model->trees = ig_arena_array(&model->arena, COLUMNS, sizeof *model->trees);
    model->nodes = ig_arena_array(&model->arena, 3 * COLUMNS, sizeof *model->nodes);
    model->base_margin = ig_arena_array(&model->arena, 1, sizeof *model->base_margin);
    model->sets = ig_arena_array(&model->arena, 1, sizeof *model->sets);
    model->sets[0] = (struct ig_category_set){BOTH, 2};
    model->sets_count = 1;
    double worth = 1;
    for (uint32_t c = 0; c < COLUMNS; c++, worth *= 10) {
        struct ig_node *nodes = &model->nodes[(size_t)3 * c];
        bool rank = c == 1 || c == 2;
        model->trees[c] = (struct ig_tree){.first_node = 3 * c, .nodes_count = 3, .weight = 1};
        nodes[0] = (struct ig_node){.op = rank ? IG_NODE_IN : IG_NODE_LE,
                                    .value = rank ? 0 : 1.5,
                                    .missing = IG_NODE_MISSING_NAN,
                                    .flags = IG_NODE_DEFAULT_LEFT,
                                    .feature = c,
                                    .extra = rank ? 0 : IG_MODEL_NONE,
                                    .left = 1,
                                    .right = 2,
                                    .cover = 4};
        nodes[1] = (struct ig_node){
            .op = IG_NODE_LEAF, .left = -1, .right = -1, .cover = 3, .extra = IG_MODEL_NONE};
        nodes[2] = (struct ig_node){.op = IG_NODE_LEAF,
                                    .left = -1,
                                    .right = -1,
                                    .cover = 1,
                                    .value = worth,
                                    .extra = IG_MODEL_NONE};
    }
}

static void make(struct world *w)
{
    struct ig_err err = IG_ERR_INIT;
    *w = (struct world){0};
    make_trees(w);
    if (ig_model_check(w->trees, &err) != IG_OK) fail_msg("%s", err.message);
    uint64_t pair = add(add(0, 7), -16), other = add(add(0, 7), 4);
    w->hashes[0][0] = pair < other ? pair : other;
    w->hashes[0][1] = pair < other ? other : pair;
    w->hashes[1][0] = add(add(add(0, 4), 1), 1);
    w->tables[0] = (struct ig_derived_table){w->hashes[0], 2, 0};
    w->tables[1] = (struct ig_derived_table){w->hashes[1], 1, 1};
    w->columns[0] = (struct ig_derived_column){VALUES, 1, 0};
    w->columns[1] = (struct ig_derived_column){VALUES, -1, 1};
    w->derived = (struct ig_derived){.trees = w->trees,
                                     .ranks = RANKS,
                                     .keys = KEYS,
                                     .tables = w->tables,
                                     .columns = w->columns,
                                     .players = PLAYERS,
                                     .player_of = PLAYER_OF,
                                     .keys_count = 2,
                                     .tables_count = 2,
                                     .columns_count = 2,
                                     .players_count = 4};
    w->model = ig_model_new(1 << 16);
    w->model->kind = IG_MODEL_DERIVED;
    w->model->features_count = FEATURES;
    w->model->outputs_count = w->model->predictions_count = 1;
    w->model->base_margin = ig_arena_array(&w->model->arena, 1, sizeof(double));
    w->model->derived = &w->derived;
    if (ig_model_check(w->model, &err) != IG_OK ||
        ig_engine_new(&w->engine, w->model, &err) != IG_OK)
        fail_msg("%s", err.message);
}

static void drop(struct world *w)
{
    ig_engine_free(w->engine);
    ig_model_free(w->model); /* and the trees */
}

static double margin(const struct world *w, double x, double a, double b)
{
    const double row[FEATURES] = {x, a, b};
    double value;
    void *scratch = ig_alloc_aligned(64, ig_engine_scratch_bytes(w->engine, IG_ENGINE_MARGIN, 1));
    ig_engine_margin(w->engine, row, 1, &value, scratch);
    ig_free(scratch);
    return value;
}

static void test_margins(void **state)
{
    struct world w;
    (void)state;
    make(&w);
    assert_true(margin(&w, 0, 1, 1) == 0);
    assert_true(margin(&w, 2, 1, 1) == 1);
    assert_true(margin(&w, 0, 7, 1) == 10);     /* rank 0 */
    assert_true(margin(&w, 0, -16, 1) == 10);   /* rank 1: its hash as a signed number */
    assert_true(margin(&w, 0, 7, -16) == 1010); /* the pair */
    assert_true(margin(&w, 0, 7, 4) == 1010);
    assert_true(margin(&w, 0.5, 1, 4) == 0); /* at the border: not above */
    assert_true(margin(&w, 0.6, 1, 4) == 10000);
    assert_true(margin(&w, NAN, 1, 4) == 10000);
    assert_true(margin(&w, 0.5 + 1e-9, 1, 4) == 0); /* the float is 0.5 */
    assert_true(margin(&w, 0, NAN, NAN) == 0);
    assert_true(margin(&w, 0, 1e300, -1e300) == 0);
    drop(&w);
}

/* What a combination gets is divided equally; alone and in a batch a row has the same bits. */
static void test_contributions(void **state)
{
    struct world w;
    struct ig_err err = IG_ERR_INIT;
    double rows[ROWS][FEATURES], got[ROWS][FEATURES + 1], margins[ROWS], additivity[ROWS];
    double one[FEATURES + 1], exact[FEATURES + 1], unused;
    (void)state;
    make(&w);
    for (size_t i = 0; i < ROWS; i++) {
        rows[i][0] = i % 3 ? (double)(i % 3) : NAN;
        rows[i][1] = i % 2 ? 7 : -16;
        rows[i][2] = i % 5 == 4 ? -16 : (double)(i % 5);
    }
    void *scratch =
        ig_alloc_aligned(64, ig_engine_scratch_bytes(w.engine, IG_ENGINE_CONTRIBUTIONS, ROWS));
    const struct ig_engine_io io = {&rows[0][0], ROWS, &got[0][0], additivity, margins};
    ig_engine_explain(w.engine, &io, scratch);
    for (size_t i = 0; i < ROWS; i++) {
        const struct ig_engine_io alone = {rows[i], 1, one, &unused, NULL};
        ig_engine_explain(w.engine, &alone, scratch);
        assert_memory_equal(one, got[i], sizeof one);
        assert_true(margins[i] == margin(&w, rows[i][0], rows[i][1], rows[i][2]));
        assert_int_equal(ig_engine_explain_reference(w.engine, rows[i], exact, &err), IG_OK);
        for (size_t f = 0; f <= FEATURES; f++)
            assert_true(fabs(exact[f] - got[i][f]) <= 1e-5 * 11111);
    }
    /* Each stump gives its player 3/4 or -1/4 of its worth. */
    const double row[FEATURES] = {0, 7, -16};
    const struct ig_engine_io io_of_row = {row, 1, one, &unused, NULL};
    ig_engine_explain(w.engine, &io_of_row, scratch);
    assert_true(fabs(one[0] + 0.25) < 1e-6);
    assert_true(fabs(one[1] - (7.5 + 375)) < 1e-3);
    assert_true(fabs(one[2] - (-25 + 375 - 2500)) < 1e-2);
    ig_free(scratch);
    drop(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_margins),
                                       cmocka_unit_test(test_contributions)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
