/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "formats/rows.h"

#include <math.h>
#include <string.h>

static struct ig_str colours[2];
static struct ig_feature features[2];
static struct ig_schema schema = {.features = features, .features_count = 2};

static int setup(void **state)
{
    struct ig_err err = IG_ERR_INIT;
    (void)state;
    colours[0] = IG_STR("blue");
    colours[1] = IG_STR("red");
    schema.target = IG_STR("y");
    features[0] = (struct ig_feature){.name = IG_STR("age")};
    features[1] = (struct ig_feature){.name = IG_STR("colour"),
                                      .type = IG_FEATURE_CATEGORICAL,
                                      .categories = colours,
                                      .categories_count = 2};
    return ig_schema_index(&schema, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_schema_deinit(&schema);
    return 0;
}

/* All rows of `csv`, at most 4; returns how many. */
static size_t read_all(const char *csv, const struct ig_rows_options *options, double *values,
                       struct ig_err *err)
{
    struct ig_rows *rows;
    size_t count = 0;
    *err = IG_ERR_INIT;
    if (ig_rows_open_bytes(&rows, ig_str_view(csv), &schema, options, err) != IG_OK) return 0;
    ig_rows_next(rows, values, 4, &count, err);
    ig_rows_close(rows);
    return count;
}

static void names_in_any_order(void **state)
{
    (void)state;
    double values[8];
    struct ig_err err;
    assert_int_equal(read_all("colour,y,age\nred,1,39\n,0,\ngreen,1,2\n", NULL, values, &err), 3);
    assert_true(values[0] == 39 && values[1] == 1);
    assert_true(isnan(values[2]) && isnan(values[3]));
    assert_true(values[4] == 2 && values[5] == -1);
}

static void options_leave_columns_out(void **state)
{
    (void)state;
    double values[8];
    struct ig_err err;
    const char *drop = "id";
    struct ig_rows_options options = {.drop = &drop, .drop_count = 1};
    assert_int_equal(read_all("id,age,colour\n7,1,blue\n", &options, values, &err), 1);
    assert_true(values[0] == 1 && values[1] == 0);
    assert_int_equal(read_all("age,colour\n1,blue\n", &options, values, &err), 0);
    assert_string_equal(err.message, "there is no column 'id' to drop");
    options = (struct ig_rows_options){.ignore_others = true};
    assert_int_equal(read_all("id,age,colour\n7,1,blue\n", &options, values, &err), 1);
    options = (struct ig_rows_options){.no_header = true};
    assert_int_equal(read_all("5,red\n6,blue\n", &options, values, &err), 2);
    assert_true(values[2] == 6 && values[3] == 0);
}

static void errors_name_what_is_wrong(void **state)
{
    (void)state;
    static const struct {
        const char *csv, *message;
    } cases[] = {
        {"", "the table is empty, a header was expected"},
        {"age,other,colour\n", "column 'other' is not a feature of the model (drop it to ignore "
                               "it)"},
        {"age\n", "the header lacks 1 of the model's features: 'colour'"},
        {"age,colour,age\n", "column 'age' stands twice in the header"},
        {"age,colour\n1\n", "line 2 has 1 fields, 2 were expected"},
        {"age,colour\n1,red\nold,red\n", "line 3: "},
    };
    double values[8];
    struct ig_err err;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        read_all(cases[i].csv, NULL, values, &err);
        assert_int_not_equal(err.code, IG_OK);
        assert_int_equal(strncmp(err.message, cases[i].message, strlen(cases[i].message)), 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_in_any_order),
        cmocka_unit_test(options_leave_columns_out),
        cmocka_unit_test(errors_name_what_is_wrong),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
