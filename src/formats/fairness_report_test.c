/* SPDX-License-Identifier: Apache-2.0 */
/* What a table becomes: groups, labels, decisions; a model's decisions and attribution gaps; and
 * refusals that name column and value. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "formats/fairness_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ig_arena arena;
static struct ig_err err;

static const struct ig_str SEX[] = {{"sex", 3}};
static const struct ig_str BOTH[] = {{"sex", 3}, {"age", 3}};

static enum ig_code run(struct ig_fairness_table *out, const char *csv,
                        const struct ig_fairness_spec *spec)
{
    err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    return ig_fairness_table_run(out, ig_str_view(csv), spec, NULL, &arena, &err);
}

static const char TABLE[] = "sex,age,d,p,y\n"
                            "F,30,yes,0.75,1\n"
                            "F,31,no,0.25,0\n"
                            "M,30,yes,0.5,1\n"
                            ",31,no,0.25,\n"
                            "M,31,yes,1,0\n";

static void test_columns(void **state)
{
    (void)state;
    struct ig_fairness_table table;
    struct ig_fairness_spec spec = {.columns = SEX,
                                    .columns_count = 1,
                                    .decision = IG_STR("d"),
                                    .positive = IG_STR("yes"),
                                    .rows_min = 1};
    assert_int_equal(run(&table, TABLE, &spec), IG_OK);
    assert_int_equal(table.rows_count, 5);
    assert_false(table.has_labels || table.has_scores);
    const struct ig_fairness_column *column = &table.columns[0];
    assert_int_equal(column->groups_count, 3);
    assert_string_equal(ig_arena_cstr(&arena, column->group_names[2]), "(missing)");
    assert_true(column->report.groups[0].selection_rate.value == 0.5);
    assert_true(column->report.groups[1].selection_rate.value == 1);
    assert_true(column->report.groups[2].selection_rate.value == 0);
    /* Scores from the threshold on; labels that are numbers, one unknown. */
    spec = (struct ig_fairness_spec){.columns = BOTH,
                                     .columns_count = 2,
                                     .intersections = true,
                                     .score = IG_STR("p"),
                                     .label = IG_STR("y"),
                                     .threshold = 0.5,
                                     .rows_min = 1};
    assert_int_equal(run(&table, TABLE, &spec), IG_OK);
    assert_int_equal(table.columns_count, 3);
    column = &table.columns[0];
    assert_int_equal(column->report.groups[1].selected, 2);
    assert_int_equal(column->report.groups[2].labelled, 0);
    assert_true(column->report.groups[1].mean_score == 0.75);
    assert_string_equal(ig_arena_cstr(&arena, table.columns[1].group_names[1]), "31");
    column = &table.columns[2];
    assert_string_equal(ig_arena_cstr(&arena, column->name), "sex & age");
    assert_int_equal(column->groups_count, 5);
    assert_string_equal(ig_arena_cstr(&arena, column->group_names[0]), "F & 30");
    assert_int_equal(column->report.groups[0].rows, 1);
}

static void test_quartiles(void **state)
{
    (void)state;
    struct ig_fairness_table table;
    struct ig_buf csv;
    const struct ig_str age = IG_STR("age");
    const struct ig_fairness_spec spec = {
        .columns = &age, .columns_count = 1, .decision = IG_STR("d")};
    ig_buf_init(&csv, 1 << 16);
    ig_buf_add_cstr(&csv, "age,d\n");
    for (int i = 1; i <= 100; i++) ig_buf_printf(&csv, "%d,%d\n", i, i > 50);
    assert_int_equal(run(&table, csv.ptr, &spec), IG_OK);
    const struct ig_fairness_column *column = &table.columns[0];
    assert_int_equal(column->groups_count, 4);
    assert_string_equal(ig_arena_cstr(&arena, column->group_names[0]), "up to 25");
    assert_string_equal(ig_arena_cstr(&arena, column->group_names[1]), "above 25 up to 50");
    assert_string_equal(ig_arena_cstr(&arena, column->group_names[3]), "above 75");
    for (uint32_t g = 0; g < 4; g++) {
        assert_int_equal(column->report.groups[g].rows, 25);
        assert_int_equal(column->report.groups[g].selected, g < 2 ? 0 : 25);
        assert_false(column->report.groups[g].compared); /* below 30 rows */
    }
    ig_buf_deinit(&csv);
}

/* Decisions and contributions of a real model equal those asked for row by row. */
static void test_model(void **state)
{
    (void)state;
    static const char CASE[] = "tests/golden/xgboost/binary_missing/";
    struct ig_package *package = NULL;
    struct ig_buf csv;
    struct ig_fairness_table table;
    err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    ig_buf_init(&csv, 1 << 24);
    char path[512];
    snprintf(path, sizeof path, "%smodel.json", CASE);
    assert_int_equal(ig_package_open(&package, IG_FILE_CWD, path, NULL, &err), IG_OK);
    snprintf(path, sizeof path, "%sinput.csv", CASE);
    assert_int_equal(ig_file_read(&csv, IG_FILE_CWD, path, &err), IG_OK);
    const struct ig_fairness_spec spec = {.columns = &package->schema.features[0].name,
                                          .columns_count = 1,
                                          .threshold = 0.5,
                                          .rows_min = 2,
                                          .attributions = true};
    if (ig_fairness_table_run(&table, ig_buf_view(&csv), &spec, package, &arena, &err) != IG_OK)
        fail_msg("%s", err.message);
    const struct ig_fairness_column *column = &table.columns[0];
    size_t rows = 0, selected = 0;
    for (uint32_t g = 0; g < column->groups_count; g++) {
        rows += column->report.groups[g].rows;
        selected += column->report.groups[g].selected;
    }
    assert_int_equal(rows, table.rows_count);
    assert_true(table.has_scores && selected > 0 && selected < rows);
    assert_int_equal(column->attributions_count, package->schema.features_count);
    for (uint32_t i = 1; i < column->attributions_count; i++)
        assert_true(column->attributions[i].difference.value <=
                    column->attributions[i - 1].difference.value);
    assert_true(column->attributions[0].difference.value > 0);
    ig_buf_deinit(&csv);
    ig_package_free(package);
}

/* Odd rows are the second model's, which has the columns the other way round. */
static enum ig_code route(void *context, uint32_t *out, const struct ig_row_span *rows,
                          struct ig_err *error)
{
    (void)context, (void)error;
    for (size_t i = 0; i < rows->count; i++) out[i] = (rows->first + i) % 2;
    return IG_OK;
}

/* The first model decides by its first column, the second against it; contributions are cells. */
static enum ig_code answer(void *context, struct ig_row_answers *out, const struct ig_row_ask *ask,
                           struct ig_arena *own, struct ig_err *error)
{
    (void)context, (void)error;
    double *predictions = ig_arena_array(own, ask->rows_count, sizeof *predictions);
    double *contributions = ig_arena_array(own, ask->rows_count * 3, sizeof *contributions);
    for (size_t i = 0; i < ask->rows_count; i++) {
        double first = ask->rows[i * 2];
        predictions[i] = ask->model ? 1 - first : first;
        memcpy(contributions + i * 3, ask->rows + i * 2, 2 * sizeof(double));
        contributions[i * 3 + 2] = 0;
    }
    *out = (struct ig_row_answers){NULL, predictions, contributions};
    return IG_OK;
}

/* Rows come back in their order, and contributions in that of the table's features, over more than
 * one block; scores fall away where a model that answered gives none. */
static void test_several_models(void **state)
{
    (void)state;
    static const uint32_t SWAPPED[] = {1, 0};
    const struct ig_feature_map map = {.features_count = 2, .source_of = SWAPPED};
    struct ig_feature features[] = {{.name = IG_STR("x")}, {.name = IG_STR("z")}};
    struct ig_schema schema = {.features = features, .features_count = 2, .task = IG_TASK_BINARY};
    struct ig_model shapes[2] = {{.features_count = 2,
                                  .outputs_count = 1,
                                  .predictions_count = 1,
                                  .transform = IG_TRANSFORM_SIGMOID}};
    shapes[1] = shapes[0];
    const struct ig_row_model list[] = {{IG_STR("plain"), &shapes[0], NULL},
                                        {IG_STR("swapped"), &shapes[1], &map},
                                        {IG_STR("never"), NULL, NULL}};
    const struct ig_row_models models = {&schema, list, 3, route, answer, NULL};
    const struct ig_fairness_spec spec = {
        .columns = SEX, .columns_count = 1, .threshold = 0.5, .attributions = true};
    struct ig_fairness_table table;
    struct ig_buf csv;
    ig_buf_init(&csv, 1 << 20);
    ig_buf_add_cstr(&csv, "z,sex,x\n");
    for (int i = 0; i < 600; i++) /* F: even rows, x 0.75; M: odd ones, z 0.875 */
        ig_buf_printf(&csv, i % 2 ? "0.875,M,0.5\n" : "0.25,F,0.75\n");
    err = IG_ERR_INIT;
    ig_arena_reset(&arena);
    assert_int_equal(ig_schema_index(&schema, &err), IG_OK);
    if (ig_fairness_models_run(&table, ig_buf_view(&csv), &spec, &models, &arena, &err) != IG_OK)
        fail_msg("%s", err.message);
    const struct ig_fairness_column *column = &table.columns[0];
    assert_true(table.has_scores);
    assert_true(column->report.groups[0].mean_score == 0.75);
    assert_true(column->report.groups[0].selected == 300);
    assert_true(column->report.groups[1].mean_score == 0.125);
    assert_true(column->report.groups[1].selected == 0);
    assert_string_equal(ig_arena_cstr(&arena, column->attributions[0].feature), "z");
    assert_true(column->attributions[0].difference.value == 0.625);
    assert_int_equal(column->attributions[0].most, 1);
    assert_true(column->attributions[1].difference.value == 0.25);
    assert_int_equal(table.answered_count, 3);
    assert_int_equal(table.answered[0].rows, 300);
    assert_int_equal(table.answered[1].rows, 300);
    assert_int_equal(table.answered[2].rows, 0);
    shapes[1].transform = IG_TRANSFORM_IDENTITY;
    assert_int_equal(
        ig_fairness_models_run(&table, ig_buf_view(&csv), &spec, &models, &arena, &err), IG_OK);
    assert_false(table.has_scores);
    ig_schema_deinit(&schema);
    ig_buf_deinit(&csv);
}

static void test_refusals(void **state)
{
    static const struct {
        struct ig_fairness_spec spec;
        const char *message;
    } BAD[] = {
        {{.columns_count = 0}, "protected: 0 columns, expected 1 to 8"},
        {{.columns = SEX, .columns_count = 1, .decision = {"x", 1}},
         "decision: 'x' is no column of the table"},
        {{.columns = SEX, .columns_count = 1, .decision = {"d", 1}, .positive = {"maybe", 5}},
         "decision: no row of column 'd' has the value 'maybe'"},
        {{.columns = SEX, .columns_count = 1, .score = {"sex", 3}},
         "score: column 'sex' has values that are no numbers"},
        {{.columns = SEX, .columns_count = 1, .score = {"age", 3}},
         "score: row 1: 30 is no probability"},
        {{.columns = SEX, .columns_count = 1, .decision = {"y", 1}}, "decision: row 4 has none"},
        {{.columns = SEX, .columns_count = 1},
         "decision: without a model a column of decisions or scores is needed"},
        {{.columns = SEX, .columns_count = 1, .decision = {"d", 1}, .score = {"p", 1}},
         "score: give either a decision or a score column"},
        {{.columns = SEX, .columns_count = 1, .decision = {"d", 1}, .threshold = NAN},
         "threshold: nan is no number"},
    };
    struct ig_fairness_table table;
    (void)state;
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        assert_int_equal(run(&table, TABLE, &BAD[i].spec), IG_INVALID);
        assert_string_equal(err.message, BAD[i].message);
    }
    const struct ig_str name = IG_STR("race");
    const struct ig_fairness_spec spec = {.columns = &name, .columns_count = 1};
    assert_int_equal(run(&table, TABLE, &spec), IG_INVALID);
    assert_string_equal(err.message, "protected: 'race' is no column of the table");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_columns),  cmocka_unit_test(test_quartiles),
        cmocka_unit_test(test_model),    cmocka_unit_test(test_several_models),
        cmocka_unit_test(test_refusals),
    };
    ig_arena_init(&arena, 1 << 16, 1 << 26);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
