/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "formats/schema.h"

#include <math.h>

struct fixture {
    struct ig_str colours[3];
    struct ig_feature features[3];
    struct ig_schema schema;
};

static void fill(struct fixture *fixture)
{
    *fixture = (struct fixture){
        .colours = {IG_STR("red"), IG_STR("green"), IG_STR("NA")},
        .features = {{.name = IG_STR("age"), .type = IG_FEATURE_INTEGER},
                     {.name = IG_STR("colour"), .type = IG_FEATURE_CATEGORICAL},
                     {.name = IG_STR("code"), .type = IG_FEATURE_CATEGORICAL}},
    };
    fixture->features[1].categories = fixture->colours;
    fixture->features[1].categories_count = 3;
    fixture->schema.features = fixture->features;
    fixture->schema.features_count = 3;
}

static void test_index_finds_names_and_codes(void **state)
{
    (void)state;
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    fill(&fixture);
    assert_int_equal(ig_schema_index(&fixture.schema, &err), IG_OK);
    assert_int_equal(ig_schema_feature_index(&fixture.schema, IG_STR("code")), 2);
    assert_int_equal(ig_schema_feature_index(&fixture.schema, IG_STR("Code")), -1);
    assert_int_equal(ig_feature_category_code(&fixture.features[1], IG_STR("green")), 1);
    assert_int_equal(ig_feature_category_code(&fixture.features[1], IG_STR("blue")), -1);
    ig_schema_deinit(&fixture.schema);
}

/* CatBoost's files know the hashes of categories; a text has the code of its hash. */
static void test_hashed_categories(void **state)
{
    (void)state;
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    double value;
    fill(&fixture);
    fixture.colours[0] = IG_STR("3052168893"); /* red */
    fixture.colours[1] = IG_STR("1390465085"); /* green */
    fixture.features[1].hashed = fixture.features[2].hashed = true;
    assert_int_equal(ig_schema_index(&fixture.schema, &err), IG_OK);
    assert_int_equal(ig_feature_category_code(&fixture.features[1], IG_STR("green")), 1);
    assert_int_equal(ig_feature_category_code(&fixture.features[1], IG_STR("blue")), -1);
    assert_int_equal(ig_feature_category_code(&fixture.features[1], IG_STR("3052168893")), -1);
    assert_true(ig_feature_takes_text(&fixture.features[2])); /* though it knows no category */
    assert_false(ig_feature_takes_text(&fixture.features[0]));
    assert_int_equal(fixture.schema.numbers_count, 1);
    assert_int_equal(ig_feature_parse_cell(&value, &fixture.features[2], IG_STR("any"), &err),
                     IG_OK);
    assert_true(value == -1);
    assert_int_equal(ig_feature_parse_cell(&value, &fixture.features[2], IG_STR(""), &err), IG_OK);
    assert_true(isnan(value));
    char hash[IG_FEATURE_HASH_SIZE];
    assert_true(ig_str_is(ig_feature_category_text(&fixture.features[1], 1, hash), "1390465085"));
    assert_null(ig_feature_category_text(&fixture.features[1], 9, hash).ptr);
    assert_null(ig_feature_category_text(&fixture.features[2], -7, hash).ptr);
    /* Of a hash-coded feature every text has a code, and none is missing. */
    fixture.features[2].hash_coded = true;
    assert_int_equal(ig_feature_category_code(&fixture.features[2], IG_STR("green")), 1390465085);
    assert_int_equal(ig_feature_category_code(&fixture.features[2], IG_STR("red")),
                     (int32_t)3052168893U);
    assert_int_equal(ig_feature_parse_cell(&value, &fixture.features[2], IG_STR(""), &err), IG_OK);
    assert_true(value == (double)(int32_t)ig_category_hash(IG_STR("")));
    assert_true(ig_str_is(ig_feature_category_text(&fixture.features[2], -7, hash), "4294967289"));
    assert_null(ig_feature_category_text(&fixture.features[2], 1e10, hash).ptr);
    ig_schema_deinit(&fixture.schema);
}

static void test_required_features(void **state)
{
    (void)state;
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    double value;
    const double rows[] = {1, NAN, NAN, NAN, 1, 1};
    fill(&fixture);
    fixture.features[0].required = true;
    assert_int_equal(ig_schema_index(&fixture.schema, &err), IG_OK);
    assert_true(fixture.schema.has_required);
    assert_int_equal(ig_schema_check_rows(&fixture.schema, rows, 1, &err), IG_OK);
    assert_int_equal(ig_schema_check_rows(&fixture.schema, rows, 2, &err), IG_INVALID);
    assert_string_equal(err.message, "row 1: feature 'age' is missing, without which the model has "
                                     "no prediction");
    ig_err_clear(&err);
    assert_int_equal(ig_feature_parse_cell(&value, &fixture.features[0], IG_STR(" "), &err),
                     IG_INVALID);
    ig_schema_deinit(&fixture.schema);
}

static void test_named_features(void **state)
{
    (void)state;
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    double row[8];
    fill(&fixture);
    fixture.features[1].named = true;
    assert_int_equal(ig_schema_index(&fixture.schema, &err), IG_OK);
    assert_true(fixture.schema.has_named && fixture.schema.features_count <= 8);
    ig_schema_begin_row(&fixture.schema, row);
    assert_true(isnan(row[0]) && isnan(row[1]));
    assert_int_equal(ig_schema_unnamed(&fixture.schema, row), 1);
    row[1] = NAN; /* named as missing */
    assert_int_equal(ig_schema_unnamed(&fixture.schema, row), -1);
    ig_schema_deinit(&fixture.schema);
}

static void test_index_refuses_duplicates(void **state)
{
    (void)state;
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    fill(&fixture);
    fixture.colours[2] = IG_STR("red");
    assert_int_equal(ig_schema_index(&fixture.schema, &err), IG_INVALID);
    assert_string_equal(err.message, "feature 'colour': category 'red' stands twice");
    ig_schema_deinit(&fixture.schema);
    fill(&fixture);
    fixture.features[2].name = IG_STR("age");
    ig_err_clear(&err);
    assert_int_equal(ig_schema_index(&fixture.schema, &err), IG_INVALID);
    assert_string_equal(err.message, "feature 'age' stands twice");
    ig_schema_deinit(&fixture.schema);
}

static void expect_cell(const struct ig_feature *feature, const char *cell, double expected)
{
    struct ig_err err = IG_ERR_INIT;
    double value = 77;
    assert_int_equal(ig_feature_parse_cell(&value, feature, ig_str_view(cell), &err), IG_OK);
    if (isnan(expected))
        assert_true(isnan(value));
    else
        assert_true(value == expected);
}

static void test_cells(void **state)
{
    (void)state;
    struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    double value;
    fill(&fixture);
    assert_int_equal(ig_schema_index(&fixture.schema, &err), IG_OK);
    expect_cell(&fixture.features[0], " 42 ", 42);
    expect_cell(&fixture.features[0], "3.5", 3.5);
    expect_cell(&fixture.features[0], "", NAN);
    expect_cell(&fixture.features[0], "NaN", NAN);
    expect_cell(&fixture.features[1], "green", 1);
    expect_cell(&fixture.features[1], " red", 0);
    expect_cell(&fixture.features[1], "blue", -1);
    expect_cell(&fixture.features[1], "1", -1);
    expect_cell(&fixture.features[1], "", NAN);
    expect_cell(&fixture.features[1], "NA", 2); /* a listed category wins over "missing" */
    expect_cell(&fixture.features[2], "7", 7);
    assert_int_equal(ig_feature_parse_cell(&value, &fixture.features[0], IG_STR("old"), &err),
                     IG_INVALID);
    assert_string_equal(err.message, "feature 'age': value 'old' is not a number");
    ig_err_clear(&err);
    assert_int_equal(ig_feature_parse_cell(&value, &fixture.features[2], IG_STR("x"), &err),
                     IG_INVALID);
    assert_string_equal(err.message,
                        "feature 'code': value 'x' is not a number (the code of a category)");
    ig_schema_deinit(&fixture.schema);
}

static void test_every_allocation_may_fail(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        struct fixture fixture;
        struct ig_err err = IG_ERR_INIT;
        fill(&fixture);
        ig_mem_fail_after(n);
        enum ig_code code = ig_schema_index(&fixture.schema, &err);
        bool refused = ig_mem_failed();
        ig_mem_fail_after(0);
        ig_schema_deinit(&fixture.schema);
        if (!refused) {
            assert_int_equal(code, IG_OK);
            assert_true(n > 3);
            return;
        }
        assert_int_equal(code, IG_NO_MEMORY);
    }
}

static void test_names(void **state)
{
    (void)state;
    enum ig_feature_type type;
    enum ig_task task;
    assert_string_equal(ig_feature_type_name(IG_FEATURE_INTEGER), "integer");
    assert_string_equal(ig_task_name(IG_TASK_RANKING), "ranking");
    assert_true(ig_feature_type_parse(IG_STR("categorical"), &type));
    assert_int_equal(type, IG_FEATURE_CATEGORICAL);
    assert_false(ig_feature_type_parse(IG_STR("text"), &type));
    assert_true(ig_task_parse(IG_STR("multiclass"), &task));
    assert_int_equal(task, IG_TASK_MULTICLASS);
    assert_false(ig_task_parse(IG_STR(""), &task));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_index_finds_names_and_codes),
        cmocka_unit_test(test_hashed_categories),
        cmocka_unit_test(test_required_features),
        cmocka_unit_test(test_named_features),
        cmocka_unit_test(test_index_refuses_duplicates),
        cmocka_unit_test(test_cells),
        cmocka_unit_test(test_every_allocation_may_fail),
        cmocka_unit_test(test_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
