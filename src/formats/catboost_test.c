/* SPDX-License-Identifier: Apache-2.0 */
/* The builder: numbers of splits over sources of any length, columns, and the sets that statistics
 * of each type make. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/catboost_priv.h"

#include <stdlib.h>
#include <string.h>

static const float BORDERS[] = {-1, 2, 5};
static const int32_t ONE_HOT[] = {7, -3};
/* The keys of the categories whose hashes are 1, 2, 3. */
static const double COUNTS[3][2] = {{4, 0}, {1, 3}, {0, 2}};

struct fixture {
    struct ig_err err;
    struct ig_arena scratch;
    struct cb_float floats[3];
    struct cb_category categories[2];
    struct cb_one_hot one_hots[1];
    struct cb_ctr ctrs[1];
    struct cb_table tables[1];
    uint64_t keys[3];
    const double *rows[3];
    struct cb_builder builder;
};

static uint64_t key_of(uint32_t hash)
{
    const uint64_t scrambler = 0x4906ba494954cb65;
    return scrambler * (scrambler * (uint64_t)(int64_t)(int32_t)hash);
}

/* Floats of 2, 0 and 1 borders, a one-hot feature of 2 values, a CTR of 1 border; one tree that
 * asks for the split of the number. */
static void fill(struct fixture *f, uint32_t number)
{
    const struct cb_split split = {.numbered = true, .number = number};
    const double weights[] = {2, 3};
    *f = (struct fixture){.err = IG_ERR_INIT};
    ig_arena_init(&f->scratch, 4096, 1 << 20);
    for (uint32_t i = 0; i < 3; i++) f->floats[i] = (struct cb_float){.column = i};
    f->floats[0].borders = f->floats[2].borders = BORDERS;
    f->floats[0].borders_count = 2;
    f->floats[2].borders_count = 1;
    f->categories[0].column = 3;
    f->categories[1].column = 4;
    f->one_hots[0] = (struct cb_one_hot){0, ONE_HOT, 2};
    f->ctrs[0] = (struct cb_ctr){.category = 1,
                                 .key = IG_STR("key"),
                                 .prior_all = 1,
                                 .scale = 1,
                                 .borders = &BORDERS[1],
                                 .borders_count = 1};
    for (uint32_t i = 0; i < 3; i++) {
        f->keys[i] = key_of(i + 1);
        f->rows[i] = COUNTS[i];
    }
    f->tables[0] = (struct cb_table){
        .key = IG_STR("key"), .keys = f->keys, .rows = f->rows, .count = 3, .stride = 2};
    f->builder = (struct cb_builder){.err = &f->err,
                                     .model = ig_model_new(1 << 20),
                                     .scratch = &f->scratch,
                                     .floats = f->floats,
                                     .floats_count = 3,
                                     .categories = f->categories,
                                     .categories_count = 2,
                                     .one_hots = f->one_hots,
                                     .one_hots_count = 1,
                                     .ctrs = f->ctrs,
                                     .ctrs_count = 1,
                                     .tables = f->tables,
                                     .tables_count = 1,
                                     .scale = 1};
    f->builder.model->outputs_count = 1;
    assert_true(IG_VEC_PUSH(&f->builder.values, 10, 2) && IG_VEC_PUSH(&f->builder.values, 20, 2));
    assert_true(cb_builder_add_symmetric(&f->builder, &split, 1, 0, weights));
}

static void empty(struct fixture *f)
{
    cb_builder_deinit(&f->builder);
    ig_model_free(f->builder.model);
    ig_arena_deinit(&f->scratch);
}

static void expect_number(uint32_t number, uint32_t column, enum ig_node_op op, double value)
{
    struct fixture f;
    fill(&f, number);
    if (!cb_builder_finish(&f.builder)) fail_msg("%s", f.err.message);
    const struct ig_node *root = &f.builder.model->nodes[0];
    assert_int_equal(root->feature, column);
    assert_true((root->op == IG_NODE_IN) == (op == IG_NODE_IN) && root->cover == 5);
    if (op == IG_NODE_IN)
        assert_int_equal(f.builder.model->sets[0].words[0], (uint32_t)value);
    else
        assert_true((float)root->value == (float)value);
    empty(&f);
}

static void test_numbers_of_splits(void **state)
{
    (void)state;
    expect_number(0, 0, IG_NODE_LE, -1);
    expect_number(1, 0, IG_NODE_LE, 2);
    expect_number(2, 2, IG_NODE_LE, -1); /* over the float without borders */
    expect_number(3, 3, IG_NODE_IN, 1);  /* 7 is the lower hash, -3 wraps to the higher */
    expect_number(4, 3, IG_NODE_IN, 2);
    struct fixture f;
    fill(&f, 6);
    assert_false(cb_builder_finish(&f.builder));
    assert_string_equal(f.err.message, "splits: split_index 6 is beyond the 6 of features_info");
    empty(&f);
}

static void test_columns(void **state)
{
    struct fixture f;
    (void)state;
    fill(&f, 0);
    f.floats[1].column = 0; /* taken already, and 1 is nobody's */
    assert_false(cb_builder_finish(&f.builder));
    assert_string_equal(f.err.message, "features_info: the columns of the features have gaps");
    empty(&f);
    fill(&f, 0);
    f.categories[1].column = 5;
    assert_false(cb_builder_finish(&f.builder));
    empty(&f);
}

/* The set of the CTR's split, and the flags of its node. */
static void expect_set(enum cb_ctr_type type, float border, uint32_t words, uint8_t flags)
{
    struct fixture f;
    fill(&f, 5);
    f.ctrs[0].type = type;
    f.ctrs[0].borders = &border;
    f.ctrs[0].prior = 0.5F;
    f.tables[0].denominator = 8;
    if (type == CB_CTR_COUNTER) f.tables[0].stride = 1;
    if (!cb_builder_finish(&f.builder)) fail_msg("%s", f.err.message);
    const struct ig_model *model = f.builder.model;
    assert_int_equal(model->nodes[0].feature, 4);
    assert_int_equal(model->sets[0].words[0], words);
    assert_int_equal(model->nodes[0].flags, flags);
    empty(&f);
}

/* Of the three categories: (4, 0), (1, 3), (0, 2), prior 0.5 of 1. */
static void test_statistics(void **state)
{
    const uint8_t right = IG_NODE_DEFAULT_LEFT, left = IG_NODE_SET_LEFT;
    (void)state;
    /* 0.5/5, 3.5/5, 2.5/3; unseen 0.5 */
    expect_set(CB_CTR_BORDERS, 0.6F, 6, right);
    expect_set(CB_CTR_BORDERS, 0.75F, 4, right);
    expect_set(CB_CTR_BORDERS, 0.3F, 1, left);
    /* 4.5/5, 1.5/5, 0.5/3; unseen 0.5 */
    expect_set(CB_CTR_BUCKETS, 0.5F, 1, right);
    expect_set(CB_CTR_BUCKETS, 0.2F, 4, left);
    /* 4.5/1, 1.5/4, 0.5/3; unseen 0.5 */
    expect_set(CB_CTR_MEAN, 1, 1, right);
    expect_set(CB_CTR_MEAN, 0.4F, 6, left);
    /* 4.5/9, 1.5/9, 0.5/9; unseen 0.5/9 */
    expect_set(CB_CTR_COUNTER, 0.1F, 3, right);
    expect_set(CB_CTR_COUNTER, 0.01F, 0, left);
}

static void test_refuses_tables(void **state)
{
    struct fixture f;
    (void)state;
    fill(&f, 5);
    f.ctrs[0].type = CB_CTR_COUNTER; /* but two numbers a category */
    assert_false(cb_builder_finish(&f.builder));
    assert_non_null(strstr(f.err.message, "2 numbers a category for type Counter, expected 1"));
    empty(&f);
    fill(&f, 5);
    f.keys[1]++; /* no category has this key */
    assert_true(cb_builder_finish(&f.builder));
    assert_int_equal(f.builder.model->inputs[4].categories_count, 2);
    empty(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_numbers_of_splits),
        cmocka_unit_test(test_columns),
        cmocka_unit_test(test_statistics),
        cmocka_unit_test(test_refuses_tables),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
