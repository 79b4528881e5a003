/* SPDX-License-Identifier: Apache-2.0 */
/* The plain form of tree ensembles: order, weights, TreeEnsemble of ai.onnx.ml 5, refusals. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/graph/ensemble.h"

#include <math.h>
#include <string.h>

/* One tree, its nodes out of order: 5 (leaf), 7 (root), 6 (leaf). */
struct lists {
    int64_t trees[3], nodes[3], features[3], yes[3], no[3], leaf_trees[2], leaves[2], ids[2];
    float values[3], weights[2];
    struct ig_str modes[3];
    struct ig_attribute attributes[16];
    struct ig_graph_node node;
};

static struct lists regressor(void)
{
    return (struct lists){
        .nodes = {5, 7, 6},
        .features = {0, 3, 0},
        .yes = {0, 6, 0},
        .no = {0, 5, 0},
        .values = {0, 1.5F, 0},
        .modes = {IG_STR("LEAF"), IG_STR("BRANCH_LT"), IG_STR("LEAF")},
        .leaves = {5, 6},
        .weights = {2, -3},
    };
}

static void add(struct lists *lists, const char *name, enum ig_attribute_kind kind, size_t count,
                const void *data)
{
    struct ig_attribute *attribute = &lists->attributes[lists->node.attributes_count++];
    *attribute = (struct ig_attribute){.name = ig_str_view(name), .kind = kind, .count = count};
    memcpy(&attribute->f32, &data, sizeof data);
}

static enum ig_code read_lists(struct lists *lists, struct ig_ensemble *out, struct ig_arena *arena,
                               struct ig_err *err)
{
    lists->node = (struct ig_graph_node){.name = IG_STR("trees"),
                                         .op = IG_STR("TreeEnsembleRegressor"),
                                         .attributes = lists->attributes};
    add(lists, "nodes_treeids", IG_ATTRIBUTE_I64S, 3, lists->trees);
    add(lists, "nodes_nodeids", IG_ATTRIBUTE_I64S, 3, lists->nodes);
    add(lists, "nodes_featureids", IG_ATTRIBUTE_I64S, 3, lists->features);
    add(lists, "nodes_truenodeids", IG_ATTRIBUTE_I64S, 3, lists->yes);
    add(lists, "nodes_falsenodeids", IG_ATTRIBUTE_I64S, 3, lists->no);
    add(lists, "nodes_values", IG_ATTRIBUTE_F32S, 3, lists->values);
    add(lists, "nodes_modes", IG_ATTRIBUTE_STRINGS, 3, lists->modes);
    add(lists, "target_treeids", IG_ATTRIBUTE_I64S, 2, lists->leaf_trees);
    add(lists, "target_nodeids", IG_ATTRIBUTE_I64S, 2, lists->leaves);
    add(lists, "target_ids", IG_ATTRIBUTE_I64S, 2, lists->ids);
    add(lists, "target_weights", IG_ATTRIBUTE_F32S, 2, lists->weights);
    return ig_ensemble_read(out, &lists->node, arena, err);
}

static void lays_nodes_in_order(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_ensemble ensemble;
    struct lists lists = regressor();
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(read_lists(&lists, &ensemble, &arena, &err), IG_OK);
    assert_int_equal(ensemble.nodes_count, 3);
    assert_int_equal(ensemble.trees_count, 1);
    assert_int_equal(ensemble.roots[0], 0);
    assert_int_equal(ensemble.features_count, 4);
    assert_int_equal(ensemble.nodes[0].mode, IG_ENSEMBLE_LT);
    assert_int_equal(ensemble.nodes[0].yes, 1);
    assert_int_equal(ensemble.nodes[0].no, 2);
    assert_true(ensemble.weights[ensemble.nodes[1].first].value == -3);
    assert_true(ensemble.weights[ensemble.nodes[2].first].value == 2);
    assert_false(ensemble.weights_positive);
    ig_arena_deinit(&arena);
}

static void expect_refusal(struct lists lists, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_ensemble ensemble;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(read_lists(&lists, &ensemble, &arena, &err), IG_INVALID);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
    ig_arena_deinit(&arena);
}

static void refuses_what_is_no_tree(void **state)
{
    (void)state;
    struct lists lists = regressor();
    lists.yes[1] = 7; /* itself */
    expect_refusal(lists, "no root reaches");
    lists = regressor();
    lists.yes[1] = 5; /* both children the same */
    expect_refusal(lists, "two parents");
    lists = regressor();
    lists.yes[1] = 4;
    expect_refusal(lists, "no node of its tree");
    lists = regressor();
    lists.nodes[2] = 5;
    expect_refusal(lists, "a node twice");
    lists = regressor();
    lists.modes[1] = IG_STR("BRANCH");
    expect_refusal(lists, "unknown mode");
    lists = regressor();
    lists.leaves[0] = 8;
    expect_refusal(lists, "a weight of no node");
    lists = regressor();
    lists.ids[0] = 1;
    expect_refusal(lists, "out of range");
    lists = regressor();
    lists.features[1] = -1;
    expect_refusal(lists, "feature that is out of range");
}

/* x0 in {1, 4} ? (x1 <= 0.5 ? a : b) : b; the second leaf has two parents. */
static void reads_the_fifth_form(void **state)
{
    (void)state;
    const int64_t features[] = {0, 1}, yes[] = {1, 0}, no[] = {1, 1}, yes_leaf[] = {0, 1},
                  no_leaf[] = {1, 1}, roots[] = {0}, targets[] = {0, 0}, sum = 1;
    const uint8_t modes[] = {6, 0};
    const float splits[] = {0, 0.5F}, weights[] = {7, 9}, members[] = {1, 4, NAN};
    const struct ig_tensor tensors[] = {{IG_TENSOR_U8, 1, {2}, 2, modes},
                                        {IG_TENSOR_F32, 1, {2}, 2, splits},
                                        {IG_TENSOR_F32, 1, {2}, 2, weights},
                                        {IG_TENSOR_F32, 1, {3}, 3, members}};
    struct lists lists = {.node = {.op = IG_STR("TreeEnsemble"), .attributes = lists.attributes}};
    add(&lists, "nodes_featureids", IG_ATTRIBUTE_I64S, 2, features);
    add(&lists, "nodes_truenodeids", IG_ATTRIBUTE_I64S, 2, yes);
    add(&lists, "nodes_falsenodeids", IG_ATTRIBUTE_I64S, 2, no);
    add(&lists, "nodes_trueleafs", IG_ATTRIBUTE_I64S, 2, yes_leaf);
    add(&lists, "nodes_falseleafs", IG_ATTRIBUTE_I64S, 2, no_leaf);
    add(&lists, "tree_roots", IG_ATTRIBUTE_I64S, 1, roots);
    add(&lists, "leaf_targetids", IG_ATTRIBUTE_I64S, 2, targets);
    add(&lists, "aggregate_function", IG_ATTRIBUTE_I64, 1, &sum);
    add(&lists, "nodes_modes", IG_ATTRIBUTE_TENSOR, 1, &tensors[0]);
    add(&lists, "nodes_splits", IG_ATTRIBUTE_TENSOR, 1, &tensors[1]);
    add(&lists, "leaf_weights", IG_ATTRIBUTE_TENSOR, 1, &tensors[2]);
    add(&lists, "membership_values", IG_ATTRIBUTE_TENSOR, 1, &tensors[3]);
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    struct ig_ensemble ensemble;
    ig_arena_init(&arena, 4096, 1 << 20);
    if (ig_ensemble_read(&ensemble, &lists.node, &arena, &err) != IG_OK)
        fail_msg("%s", err.message);
    assert_int_equal(ensemble.nodes_count, 5);
    assert_int_equal(ensemble.nodes[0].mode, IG_ENSEMBLE_MEMBER);
    assert_int_equal(ensemble.nodes[0].count, 2);
    assert_true(ensemble.members[ensemble.nodes[0].first + 1] == 4);
    assert_true(ensemble.weights[ensemble.nodes[ensemble.nodes[0].no].first].value == 9);
    assert_true(ensemble.weights[ensemble.nodes[2].first].value == 7);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lays_nodes_in_order),
        cmocka_unit_test(refuses_what_is_no_tree),
        cmocka_unit_test(reads_the_fifth_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
