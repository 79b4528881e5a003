/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/tree/tree_predict_plan.h"
#include "kernels/tree/tree_testing.h"

/* Every test of every node against the node's own rule, by every function that ranks. */
static void check_tests(const struct ig_model *model, const struct ig_tree_rank *rank,
                        const struct ig_tree_test *tests, const double *row, const uint16_t *ranks)
{
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF) continue;
        assert_true(tests[i].column < rank->columns_count);
        bool right = ranks[tests[i].column] >= tests[i].threshold;
        assert_int_equal(right, !ig_tree_goes_left(model, node, row[node->feature]));
    }
}

static const struct {
    const char *name;
    enum ig_isa isa;
    ig_tree_rank_one *rank;
} RANKS[] = {
#define IG_TREE_KERNEL(name, isa, usable, layout, rank, find, doc) {#name, IG_ISA_##isa, rank},
#include "kernels/tree/kernels.def"
#undef IG_TREE_KERNEL
};

static void check_shape(const struct ig_testing_shape *shape, uint64_t seed)
{
    struct ig_model *model = ig_testing_model(shape, seed);
    assert_non_null(model);
    struct ig_arena arena;
    struct ig_tree_rank rank;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 65536, 1 << 30);
    struct ig_tree_test *tests = ig_zalloc_array(model->nodes_count, sizeof *tests);
    assert_int_equal(ig_tree_rank_init(&rank, model, tests, &arena, &err), IG_OK);
    double *row = ig_alloc(model->features_count * sizeof *row);
    uint16_t *ranks = ig_alloc(rank.slots_count * sizeof *ranks);
    for (uint64_t i = 0; i < 30; i++) {
        ig_testing_rows(model, seed + i, 1, row);
        for (size_t k = 0; k < sizeof RANKS / sizeof *RANKS; k++) {
            if (RANKS[k].isa > ig_cpu_isa()) continue;
            for (uint32_t s = 0; s < rank.slots_count; s++) ranks[s] = 0x5555;
            RANKS[k].rank(&rank, row, ranks);
            check_tests(model, &rank, tests, row, ranks);
        }
    }
    ig_free(row);
    ig_free(ranks);
    ig_free(tests);
    ig_arena_deinit(&arena);
    ig_model_free(model);
}

static void test_ranks_answer_as_nodes_do(void **state)
{
    (void)state;
    static const struct ig_testing_shape SHAPES[] = {
        {.features = 3, .outputs = 1, .trees = 2, .depth = 2, .f32 = true},
        {.features = 2, .outputs = 1, .trees = 30, .depth = 6, .f32 = true},
        {.features = 2, .outputs = 1, .trees = 10, .depth = 6, .missing_kinds = true},
        {.features = 1, .outputs = 1, .trees = 3, .depth = 9, .missing_kinds = true},
        {.features = 7, .outputs = 1, .trees = 5, .depth = 5, .thresholds = 16},
        {.features = 4, .outputs = 1, .trees = 9, .depth = 7, .thresholds = 256, .f32 = true},
        {.features = 3, .outputs = 1, .trees = 4, .depth = 4, .f32 = true, .missing_kinds = true},
    };
    for (size_t i = 0; i < sizeof SHAPES / sizeof *SHAPES; i++)
        check_shape(&SHAPES[i], 100 * i + 1);
}

/* 70,000 stumps on one feature, each with its own threshold. */
static void test_more_thresholds_than_ranks_are_refused(void **state)
{
    (void)state;
    enum { STUMPS = 70000 };
    struct ig_node *nodes = ig_zalloc_array(STUMPS, sizeof *nodes);
    struct ig_tree_test *tests = ig_zalloc_array(STUMPS, sizeof *tests);
    for (int i = 0; i < STUMPS; i++) {
        nodes[i].op = IG_NODE_LT;
        nodes[i].value = i;
    }
    const struct ig_model model = {.features_count = 1, .nodes = nodes, .nodes_count = STUMPS};
    struct ig_arena arena;
    struct ig_tree_rank rank;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 65536, 1 << 30);
    assert_int_equal(ig_tree_rank_init(&rank, &model, tests, &arena, &err), IG_TOO_LARGE);
    assert_string_equal(err.message, "feature 0 has over 65533 thresholds");
    ig_arena_deinit(&arena);
    ig_free(nodes);
    ig_free(tests);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ranks_answer_as_nodes_do),
        cmocka_unit_test(test_more_thresholds_than_ranks_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
