/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/schema_map.h"

#include <math.h>
#include <string.h>

static struct ig_str red_green[] = {{"red", 3}, {"green", 5}};
static struct ig_str green_blue_red[] = {{"green", 5}, {"blue", 4}, {"red", 3}};
static struct ig_str yes_no[] = {{"yes", 3}, {"no", 2}};
static struct ig_str no_yes[] = {{"no", 2}, {"yes", 3}};

/* age, colour */
struct sample {
    struct ig_feature features[2];
    struct ig_schema schema;
};

static void make(struct sample *out, struct ig_str *colours, uint32_t count, bool reversed)
{
    struct ig_err err = IG_ERR_INIT;
    *out = (struct sample){0};
    out->features[reversed] =
        (struct ig_feature){.name = IG_STR("age"), .type = IG_FEATURE_NUMERIC};
    out->features[!reversed] = (struct ig_feature){.name = IG_STR("colour"),
                                                   .type = IG_FEATURE_CATEGORICAL,
                                                   .categories = colours,
                                                   .categories_count = count};
    out->schema = (struct ig_schema){.features = out->features,
                                     .features_count = 2,
                                     .task = IG_TASK_BINARY,
                                     .target = IG_STR("target"),
                                     .classes = yes_no,
                                     .classes_count = 2};
    assert_int_equal(ig_schema_index(&out->schema, &err), IG_OK);
}

static void test_maps_order_and_categories(void **state)
{
    (void)state;
    struct sample model, rows;
    struct ig_arena arena;
    struct ig_feature_map map;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    make(&model, red_green, 2, false);
    make(&rows, green_blue_red, 3, true);
    assert_int_equal(ig_schema_map(&map, &model.schema, &rows.schema, &arena, &err), IG_OK);
    assert_false(ig_feature_map_is_identity(&map));
    /* colour, age: green, blue, red, never seen, missing */
    const double given[] = {0, 40, 1, 41, 2, 42, -1, 43, NAN, 44};
    const double expected[] = {40, 1, 41, -1, 42, 0, 43, -1, 44, NAN};
    double out[10];
    ig_feature_map_rows(&map, given, 5, 2, out);
    for (int i = 0; i < 10; i++)
        assert_true(out[i] == expected[i] || (isnan(out[i]) && isnan(expected[i])));

    assert_int_equal(ig_schema_map(&map, &model.schema, &model.schema, &arena, &err), IG_OK);
    assert_true(ig_feature_map_is_identity(&map));
    ig_schema_deinit(&model.schema);
    ig_schema_deinit(&rows.schema);
    ig_arena_deinit(&arena);
}

static void expect_refused(const struct ig_schema *model, const struct ig_schema *rows,
                           const char *message)
{
    struct ig_arena arena;
    struct ig_feature_map map;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_int_equal(ig_schema_map(&map, model, rows, &arena, &err), IG_INVALID);
    assert_string_equal(err.message, message);
    ig_arena_deinit(&arena);
}

static void accept(const struct ig_schema *model, const struct ig_schema *rows)
{
    struct ig_arena arena;
    struct ig_feature_map map;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    if (ig_schema_map(&map, model, rows, &arena, &err) != IG_OK) fail_msg("%s", err.message);
    ig_arena_deinit(&arena);
}

static void test_refuses(void **state)
{
    (void)state;
    struct sample model, rows;
    make(&model, red_green, 2, false);
    make(&rows, red_green, 2, false);
    struct ig_schema other = rows.schema;
    other.task = IG_TASK_REGRESSION;
    expect_refused(&model.schema, &other, "its task is binary, expected regression");
    other = rows.schema;
    other.task = IG_TASK_MULTICLASS; /* of two classes: the same */
    accept(&model.schema, &other);
    other.classes_count = 3;
    expect_refused(&model.schema, &other, "its task is binary, expected multiclass");
    other = rows.schema;
    other.classes = no_yes;
    expect_refused(&model.schema, &other, "its classes are not the same, or in another order");
    rows.features[1].categories_count = 0;
    expect_refused(&model.schema, &rows.schema,
                   "its feature 'colour' has words as categories, unlike the others'");
    rows.features[1].type = IG_FEATURE_NUMERIC;
    expect_refused(&model.schema, &rows.schema,
                   "its feature 'colour' is categorical, expected numeric");
    rows.features[1].categories_count = 2;
    ig_schema_deinit(&rows.schema);
    rows.features[1].name = IG_STR("tint");
    rows.features[1].categories_count = 0;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_schema_index(&rows.schema, &err), IG_OK);
    expect_refused(&model.schema, &rows.schema, "it has a feature 'colour', which the others lack");
    ig_schema_deinit(&rows.schema);
    make(&rows, red_green, 2, false);
    ig_schema_deinit(&model.schema);
    model.schema.features_count = 1;
    assert_int_equal(ig_schema_index(&model.schema, &err), IG_OK);
    expect_refused(&model.schema, &rows.schema, "it lacks the feature 'colour' of the others");
    ig_schema_deinit(&model.schema);
    ig_schema_deinit(&rows.schema);
}

static void test_dup(void **state)
{
    (void)state;
    struct sample from;
    struct ig_schema copy;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    make(&from, red_green, 2, false);
    assert_int_equal(ig_schema_dup(&copy, &from.schema, &arena, &err), IG_OK);
    assert_ptr_not_equal(copy.features, from.schema.features);
    assert_ptr_not_equal(copy.features[1].categories[0].ptr, red_green[0].ptr);
    ig_schema_deinit(&from.schema);
    memset(&from, 0, sizeof from);
    assert_int_equal(copy.features_count, 2);
    assert_int_equal(copy.task, IG_TASK_BINARY);
    assert_true(ig_str_is(copy.target, "target"));
    assert_true(ig_str_is(copy.classes[1], "no"));
    assert_int_equal(ig_schema_feature_index(&copy, IG_STR("colour")), 1);
    assert_int_equal(ig_feature_category_code(&copy.features[1], IG_STR("green")), 1);
    ig_schema_deinit(&copy);
    ig_arena_deinit(&arena);
}

/* A member that codes by hash takes others' words and hashes, but they cannot take its codes. */
static void test_hash_coded(void **state)
{
    (void)state;
    struct ig_str decimal[] = {IG_STR("3052168893")};
    struct sample model, rows, hashed;
    struct ig_arena arena;
    struct ig_feature_map map;
    struct ig_err err = IG_ERR_INIT;
    double out[6];
    ig_arena_init(&arena, 4096, 1 << 20);
    make(&model, NULL, 0, false);
    model.features[1].hashed = model.features[1].hash_coded = true;
    make(&rows, red_green, 2, false);
    assert_int_equal(ig_schema_map(&map, &model.schema, &rows.schema, &arena, &err), IG_OK);
    const double given[] = {40, 0, 41, 1, 42, -1};
    ig_feature_map_rows(&map, given, 3, 2, out);
    assert_true(out[1] == (double)(int32_t)3052168893U && out[3] == 1390465085 && out[5] == -1);
    make(&hashed, decimal, 1, false);
    hashed.features[1].hashed = true;
    assert_int_equal(ig_schema_map(&map, &model.schema, &hashed.schema, &arena, &err), IG_OK);
    ig_feature_map_rows(&map, given, 1, 2, out);
    assert_true(out[1] == (double)(int32_t)3052168893U);
    assert_int_equal(ig_schema_map(&map, &hashed.schema, &model.schema, &arena, &err), IG_INVALID);
    assert_non_null(strstr(err.message, "'colour' tells some categories apart"));
    ig_schema_deinit(&model.schema);
    ig_schema_deinit(&rows.schema);
    ig_schema_deinit(&hashed.schema);
    ig_arena_deinit(&arena);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_hash_coded),
        cmocka_unit_test(test_maps_order_and_categories),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_dup),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
