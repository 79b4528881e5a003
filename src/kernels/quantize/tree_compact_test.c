/* SPDX-License-Identifier: Apache-2.0 */
/* The compact form: keys, what is refused, how leaves are rounded, and what is stored once. That it
 * decides as the model does is tested where it is read (formats/edge/edge_test.c). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/quantize/tree_compact.h"
#include "kernels/tree/tree_testing.h"

#include <float.h>
#include <string.h>

static const struct ig_testing_shape PLAIN = {.features = 4,
                                              .outputs = 2,
                                              .trees = 10,
                                              .depth = 6,
                                              .leaf_percent = 5,
                                              .f32 = true,
                                              .sum_rule = IG_SUM_F32_BASE_FIRST};

static struct ig_tree_compact *compact_of(const struct ig_model *model, enum ig_compact_want want)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_compact *compact = NULL;
    if (ig_tree_compact_new(&compact, model, want, &err) != IG_OK) fail_msg("%s", err.message);
    return compact;
}

static void test_keys_are_in_order(void **state)
{
    (void)state;
    static const float ASCENDING[] = {-INFINITY, -FLT_MAX, -1.5F,   -1, -FLT_MIN, -1e-45F,
                                      0,         1e-45F,   FLT_MIN, 1,  FLT_MAX,  INFINITY};
    for (size_t i = 0; i < sizeof ASCENDING / sizeof *ASCENDING; i++) {
        assert_true(ig_compact_value(ig_compact_key(ASCENDING[i])) == ASCENDING[i]);
        if (i) assert_true(ig_compact_key(ASCENDING[i]) > ig_compact_key(ASCENDING[i - 1]));
    }
    assert_int_equal(ig_compact_key(-0.0F), 0);
}

static void expect_refusal(const struct ig_model *model, enum ig_code code, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_tree_compact *compact = NULL;
    assert_int_equal(ig_tree_compact_new(&compact, model, IG_COMPACT_WANT_INT16, &err), code);
    assert_null(compact);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_testing_shape shape = PLAIN;
    shape.linear_leaves = true;
    shape.f32 = false;
    shape.sum_rule = IG_SUM_F64;
    struct ig_model *linear = ig_testing_model(&shape, 1);
    expect_refusal(linear, IG_UNSUPPORTED, "leaves are linear models");
    ig_model_free(linear);
    struct ig_model *model = ig_testing_model(&PLAIN, 1);
    model->features_count = 70000;
    expect_refusal(model, IG_TOO_LARGE, "70000 features, at most 65535");
    model->features_count = 4;
    model->outputs_count = 70000;
    expect_refusal(model, IG_TOO_LARGE, "70000 outputs, at most 65535");
    model->kind = IG_MODEL_LINEAR;
    expect_refusal(model, IG_UNSUPPORTED, "only tree ensembles");
    model->kind = IG_MODEL_TREES;
    ig_model_free(model);
}

static void test_memory_fails(void **state)
{
    (void)state;
    struct ig_testing_shape shape = PLAIN;
    shape.set_percent = 30;
    struct ig_model *model = ig_testing_model(&shape, 3);
    for (uint64_t n = 1;; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_tree_compact *compact = NULL;
        ig_mem_fail_after(n);
        enum ig_code code = ig_tree_compact_new(&compact, model, IG_COMPACT_WANT_INT8, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_tree_compact_free(compact);
        if (!failed) break;
        assert_int_equal(code, IG_NO_MEMORY);
        assert_null(compact);
    }
    ig_model_free(model);
}

/* Late trees with small leaves keep all the bits of an int8; the bound holds them to it. */
static void test_shifts_follow_the_size_of_leaves(void **state)
{
    (void)state;
    struct ig_model *model = ig_testing_model(&PLAIN, 5);
    double sum = 0;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        model->trees[t].weight = (double)(float)pow(2, -(double)t);
        sum += model->trees[t].weight;
    }
    struct ig_tree_compact *compact = compact_of(model, IG_COMPACT_WANT_INT8);
    assert_non_null(compact->tree_shifts);
    assert_int_equal(compact->value_bytes, 1);
    uint8_t least = UINT8_MAX, most = 0;
    for (uint32_t t = 0; t < compact->trees_count; t++) { /* deep ones first, so in any order */
        if (compact->tree_shifts[t] < least) least = compact->tree_shifts[t];
        if (compact->tree_shifts[t] > most) most = compact->tree_shifts[t];
    }
    assert_int_equal(most - least, 9);
    double total = compact->error_bounds[0] + compact->error_bounds[1];
    assert_true(total > 0 && total < sum / 127 + ldexp(1, compact->scale_exponent));
    ig_tree_compact_free(compact);
    compact = compact_of(model, IG_COMPACT_WANT_EXACT);
    assert_null(compact->tree_shifts);
    assert_true(compact->error_bounds[0] == 0 && compact->leaf == IG_COMPACT_FLOAT32);
    ig_tree_compact_free(compact);
    ig_model_free(model);
}

static void test_equal_things_are_kept_once(void **state)
{
    (void)state;
    struct ig_testing_shape shape = PLAIN;
    shape.thresholds = 3;
    shape.outputs = 1;
    shape.trees = 40;
    struct ig_model *model = ig_testing_model(&shape, 7);
    for (uint32_t i = 0; i < model->nodes_count; i++)
        if (model->nodes[i].op == IG_NODE_LEAF) model->nodes[i].value = i % 5;
    struct ig_tree_compact *compact = compact_of(model, IG_COMPACT_WANT_EXACT);
    assert_true(compact->leaf_indexed);
    assert_int_equal(compact->table_rows, 5);
    assert_int_equal(compact->leaf_bytes, 1);
    for (uint32_t i = 0; i < compact->sources_count; i++)
        assert_true(compact->sources[i].keys_count <= 3);
    assert_int_equal(compact->node_bytes, 2);
    assert_int_equal(compact->stream_bytes, compact->splits_count * 2 + compact->leaves_count);
    ig_tree_compact_free(compact);
    ig_model_free(model);
}

/* Integers are their own ranks, but for a feature whose thresholds lie too far apart. */
static void test_integers_need_no_keys(void **state)
{
    (void)state;
    struct ig_testing_shape shape = PLAIN;
    shape.integers = 40;
    struct ig_model *model = ig_testing_model(&shape, 11);
    struct ig_tree_compact *compact = compact_of(model, IG_COMPACT_WANT_INT16);
    uint8_t threshold_bits = compact->threshold_bits;
    assert_int_equal(compact->sources_count, 4);
    for (uint32_t i = 0; i < 4; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        assert_null(source->keys);
        assert_int_equal(source->key_bytes, 0);
        assert_int_equal(ig_compact_threshold_key(source, source->keys_count - 1),
                         ig_compact_key(40));
    }
    ig_tree_compact_free(compact);
    uint32_t split = 0;
    while (model->nodes[split].op == IG_NODE_LEAF) split++;
    model->nodes[split].value = 1000.5;
    compact = compact_of(model, IG_COMPACT_WANT_INT16);
    assert_int_equal(compact->threshold_bits, threshold_bits);
    for (uint32_t i = 0; i < 4; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        bool far = source->feature == model->nodes[split].feature;
        assert_int_equal(source->key_bytes, far ? 2 : 0);
        assert_int_equal(ig_compact_threshold_key(source, source->keys_count - 1),
                         ig_compact_key(far ? 1000.5F : 40));
    }
    ig_tree_compact_free(compact);
    ig_model_free(model);
}

/* Ascending; gives their count. */
static uint32_t thresholds_of(const struct ig_model *model, uint32_t feature, int32_t *keys)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF || node->feature != feature) continue;
        int32_t key = ig_compact_key(ig_compact_threshold(node));
        uint32_t at = 0;
        while (at < count && keys[at] < key) at++;
        if (at < count && keys[at] == key) continue;
        memmove(keys + at + 1, keys + at, (count - at) * sizeof *keys);
        keys[at] = key;
        count++;
    }
    return count;
}

static void check_keys(const struct ig_model *model, const struct ig_compact_source *source)
{
    int32_t *keys = ig_zalloc_array(model->nodes_count, sizeof *keys);
    uint32_t count = thresholds_of(model, source->feature, keys);
    assert_int_equal(source->keys_count, count);
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(ig_compact_threshold_key(source, i), keys[i]);
    ig_free(keys);
}

/* Whole numbers of the last decimal, in buckets where that is less; but for a feature of which one
 * threshold has more decimals than there are grids, or is too great. */
static void test_decimals_are_kept_on_grids(void **state)
{
    (void)state;
    static const double OTHERS[] = {0.123456789, 2e7};
    struct ig_testing_shape shape = PLAIN;
    shape.decimals = 3;
    struct ig_model *model = ig_testing_model(&shape, 13);
    struct ig_tree_compact *compact = compact_of(model, IG_COMPACT_WANT_INT16);
    for (uint32_t i = 0; i < 4; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        assert_int_equal(source->grid, 4);
        assert_true(source->bucket_bits > 8 && source->key_bytes == 2);
        assert_true(source->keys_size < 3 * source->keys_count);
        check_keys(model, source);
    }
    ig_tree_compact_free(compact);
    uint32_t split = 0;
    while (model->nodes[split].op == IG_NODE_LEAF) split++;
    for (size_t other = 0; other < 2; other++) {
        model->nodes[split].value = OTHERS[other];
        compact = compact_of(model, IG_COMPACT_WANT_INT16);
        for (uint32_t i = 0; i < 4; i++) {
            const struct ig_compact_source *source = &compact->sources[i];
            assert_int_equal(source->grid, source->feature == model->nodes[split].feature ? 0 : 4);
            check_keys(model, source);
        }
        ig_tree_compact_free(compact);
    }
    ig_model_free(model);
}

/* The next doubles above the middles of two decimals: grids of what is above halves. */
static void test_middles_are_kept_on_grids(void **state)
{
    (void)state;
    struct ig_testing_shape shape = PLAIN;
    shape.f32 = false;
    for (shape.decimals = 1; shape.decimals < 5; shape.decimals++) {
        struct ig_model *model = ig_testing_model(&shape, 13);
        struct ig_tree_compact *compact = compact_of(model, IG_COMPACT_WANT_INT16);
        for (uint32_t i = 0; i < 4; i++) {
            const struct ig_compact_source *source = &compact->sources[i];
            assert_int_equal(source->grid, IG_COMPACT_DECIMALS + 1 + shape.decimals);
            assert_true(source->keys_size < 3 * source->keys_count);
            check_keys(model, source);
        }
        ig_tree_compact_free(compact);
        ig_model_free(model);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_keys_are_in_order),
        cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_memory_fails),
        cmocka_unit_test(test_shifts_follow_the_size_of_leaves),
        cmocka_unit_test(test_equal_things_are_kept_once),
        cmocka_unit_test(test_integers_need_no_keys),
        cmocka_unit_test(test_decimals_are_kept_on_grids),
        cmocka_unit_test(test_middles_are_kept_on_grids),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
