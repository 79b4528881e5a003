/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "services/job/train_data.h"
#include "services/job/train_metrics.h"
#include "stores/temp_testing.h"

#include <math.h>
#include <string.h>

struct reading {
    struct ig_table *table;
    struct ig_arena arena;
    struct ig_train_data data;
};

static enum ig_code open_text(struct reading *reading, const char *text,
                              const struct ig_train_options *options, struct ig_err *err)
{
    struct ig_csv *csv = NULL;
    const struct ig_table_options none = {0};
    memset(reading, 0, sizeof *reading);
    ig_arena_init(&reading->arena, 64 << 10, 16 << 20);
    enum ig_code code = ig_csv_open_bytes(&csv, ig_str_view(text), NULL, err);
    if (code == IG_OK) code = ig_table_read(&reading->table, csv, &none, err);
    ig_csv_close(csv);
    if (code != IG_OK) return code;
    return ig_train_data_init(&reading->data, reading->table, options, &reading->arena, err);
}

static void close_text(struct reading *reading)
{
    ig_train_data_deinit(&reading->data);
    ig_table_free(reading->table);
    ig_arena_deinit(&reading->arena);
}

/* 40 rows "x,colour,y" with y = the targets in turn. */
static const char *table_of(const char *const *targets, size_t count)
{
    static char text[4096];
    size_t at = (size_t)snprintf(text, sizeof text, "x,colour,y\n");
    for (size_t i = 0; i < 40; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%zu%s,%s,%s\n", i, i % 3 ? ".5" : "",
                               i % 2 ? "red" : "", targets[i % count]);
    return text;
}

static const struct ig_train_options STANDARD = {
    .target = {"y", 1}, .objective = "auto", .validation_fraction = 0.25, .seed = 1};

static void test_tasks_and_classes(void **state)
{
    static const struct {
        const char *targets[4];
        size_t count;
        enum ig_task task;
        const char *classes[4];
    } cases[] = {
        {{"yes", "no"}, 2, IG_TASK_BINARY, {"no", "yes"}},
        {{"1", "0", "1", "1"}, 4, IG_TASK_BINARY, {"0", "1"}},
        {{"10", "-3", "7"}, 3, IG_TASK_MULTICLASS, {"-3", "7", "10"}},
        {{"c", "a", "b", "c"}, 4, IG_TASK_MULTICLASS, {"a", "b", "c"}},
        {{"1.5", "2.5"}, 2, IG_TASK_REGRESSION, {0}},
    };
    struct ig_err err = IG_ERR_INIT;
    struct reading reading;
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        ASSERT_OK(open_text(&reading, table_of(cases[i].targets, cases[i].count), &STANDARD, &err));
        const struct ig_schema *schema = &reading.data.schema;
        assert_int_equal(schema->task, cases[i].task);
        for (uint32_t at = 0; at < schema->classes_count; at++)
            assert_true(ig_str_is(schema->classes[at], cases[i].classes[at]));
        for (size_t row = 0; row < 4 && schema->classes_count; row++) {
            size_t label = (size_t)reading.data.labels[row];
            assert_true(ig_str_is(schema->classes[label], cases[i].targets[row % cases[i].count]));
        }
        close_text(&reading);
    }
}

static void test_features_and_rows(void **state)
{
    static const char *const targets[] = {"yes", "no"};
    struct ig_err err = IG_ERR_INIT;
    struct reading reading;
    double row[2];
    (void)state;
    ASSERT_OK(open_text(&reading, table_of(targets, 2), &STANDARD, &err));
    const struct ig_schema *schema = &reading.data.schema;
    assert_int_equal(schema->features_count, 2);
    assert_true(ig_str_is(schema->features[0].name, "x"));
    assert_int_equal(schema->features[0].type, IG_FEATURE_NUMERIC);
    assert_int_equal(schema->features[1].type, IG_FEATURE_CATEGORICAL);
    assert_int_equal(ig_schema_feature_index(schema, IG_STR("colour")), 1);
    assert_int_equal(ig_schema_feature_index(schema, IG_STR("y")), -1);
    ig_train_data_row(&reading.data, 2, row);
    assert_true(row[0] == 2.5 && isnan(row[1]));
    ig_train_data_row(&reading.data, 3, row);
    assert_true(row[0] == 3 && row[1] == 0);
    close_text(&reading);
}

static void test_dropped_columns(void **state)
{
    static const char *const targets[] = {"yes", "no"};
    static const struct ig_str colour[] = {{"colour", 6}}, both[] = {{"x", 1}, {"colour", 6}},
                               unknown[] = {{"x", 1}, {"color", 5}}, target[] = {{"y", 1}};
    struct ig_err err = IG_ERR_INIT;
    struct reading reading;
    struct ig_train_options options = STANDARD;
    double row[1];
    (void)state;
    options.drop = (struct ig_drop){colour, 1};
    ASSERT_OK(open_text(&reading, table_of(targets, 2), &options, &err));
    assert_int_equal(reading.data.schema.features_count, 1);
    assert_true(ig_str_is(reading.data.schema.features[0].name, "x"));
    assert_int_equal(ig_schema_feature_index(&reading.data.schema, IG_STR("colour")), -1);
    ig_train_data_row(&reading.data, 2, row);
    assert_true(row[0] == 2.5);
    close_text(&reading);
    static const struct {
        struct ig_drop drop;
        const char *words;
    } cases[] = {
        {{both, 2}, "no column besides the target 'y' and those that are dropped"},
        {{unknown, 2}, "dropped column 'color' is no column of the table; it has 3: x, colour, y"},
        {{target, 1}, "dropped column 'y' is the target"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        options.drop = cases[i].drop;
        ASSERT_FAILS(open_text(&reading, table_of(targets, 2), &options, &err), IG_INVALID,
                     cases[i].words);
        close_text(&reading);
    }
}

static void test_split(void **state)
{
    static const char *const targets[] = {"yes", "no", "no", ""};
    struct ig_err err = IG_ERR_INIT;
    struct reading reading, again;
    size_t held[2] = {0, 0};
    (void)state;
    ASSERT_OK(open_text(&reading, table_of(targets, 4), &STANDARD, &err));
    assert_int_equal(reading.data.dropped_count, 10);
    assert_int_equal(reading.data.train_count + reading.data.validation_count, 30);
    for (size_t i = 0; i < reading.data.validation_count; i++)
        held[(size_t)reading.data.labels[reading.data.validation[i]]]++;
    assert_int_equal(held[0], 5); /* a quarter of 20 "no" */
    assert_int_equal(held[1], 3); /* of 10 "yes", rounded */
    for (size_t i = 1; i < reading.data.train_count; i++)
        assert_true(reading.data.train[i - 1] < reading.data.train[i]);
    ASSERT_OK(open_text(&again, table_of(targets, 4), &STANDARD, &err)); /* the seed decides */
    assert_memory_equal(again.data.validation, reading.data.validation, 8 * sizeof(size_t));
    close_text(&again);
    struct ig_train_options other = STANDARD;
    other.seed = 2;
    ASSERT_OK(open_text(&again, table_of(targets, 4), &other, &err));
    assert_memory_not_equal(again.data.validation, reading.data.validation, 8 * sizeof(size_t));
    close_text(&again);
    other.validation_fraction = 0;
    ASSERT_OK(open_text(&again, table_of(targets, 4), &other, &err));
    assert_int_equal(again.data.validation_count, 0);
    close_text(&again);
    close_text(&reading);
}

static void test_clear_errors(void **state)
{
    static const char *const constant[] = {"1"}, *const empty[] = {""}, *const text[] = {"a", "b"},
                             *const three[] = {"1", "2", "3"};
    struct ig_err err = IG_ERR_INIT;
    struct reading reading;
    struct ig_train_options options = STANDARD;
    (void)state;
#define REFUSED(table, words)                                                                      \
    ASSERT_FAILS(open_text(&reading, (table), &options, &err), IG_INVALID, (words));               \
    close_text(&reading)
    REFUSED(table_of(constant, 1), "target 'y' is constant");
    REFUSED(table_of(empty, 1), "target 'y' has no values");
    REFUSED("x,y\n1,2\n2,3\n", "2 rows with a value in 'y', at least 20");
    REFUSED("y\n1\n2\n", "no column besides the target 'y'");
    options.target = IG_STR("z");
    REFUSED(table_of(text, 2), "target 'z' is no column of the table; it has 3: x, colour, y");
    options.target = IG_STR("y");
    options.objective = "regression";
    REFUSED(table_of(text, 2), "objective regression does not suit target 'y': it is text");
    options.objective = "binary";
    REFUSED(table_of(three, 3), "more than two values");
#undef REFUSED
}

static void test_nth_allocation_fails(void **state)
{
    static const char *const targets[] = {"yes", "no"};
    struct ig_err err = IG_ERR_INIT;
    struct reading reading;
    bool refused = true;
    (void)state;
    ASSERT_OK(open_text(&reading, table_of(targets, 2), &STANDARD, &err));
    for (uint64_t n = 1; refused; n++) {
        struct ig_train_data data;
        struct ig_arena arena;
        ig_arena_init(&arena, 1024, 1 << 20);
        assert_true(n < 300);
        ig_mem_fail_after(n);
        enum ig_code code = ig_train_data_init(&data, reading.table, &STANDARD, &arena, &err);
        refused = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, refused ? IG_NO_MEMORY : IG_OK);
        if (code == IG_OK) ig_train_data_deinit(&data);
        ig_err_clear(&err);
        ig_arena_deinit(&arena);
    }
    close_text(&reading);
}

static double area(const double *labels, const double *scores, size_t n)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_metrics metrics;
    ASSERT_OK(ig_metrics_binary(&metrics, labels, scores, n, &err));
    return metrics.values[IG_METRIC_AUC];
}

static void test_binary_metrics(void **state)
{
    /* sklearn's documented example: roc_auc_score([0,0,1,1], [0.1,0.4,0.35,0.8]) is 0.75 */
    static const double labels[] = {0, 0, 1, 1}, scores[] = {0.1, 0.4, 0.35, 0.8};
    static const double tied[] = {0.5, 0.5, 0.5, 0.5}, reversed[] = {0.9, 0.8, 0.2, 0.1};
    struct ig_err err = IG_ERR_INIT;
    struct ig_metrics metrics;
    (void)state;
    assert_true(area(labels, scores, 4) == 0.75);
    assert_true(area(labels, tied, 4) == 0.5);
    assert_true(area(labels, reversed, 4) == 0);
    assert_true(isnan(area(labels, scores, 2))); /* one class only */
    ASSERT_OK(ig_metrics_binary(&metrics, labels, scores, 4, &err));
    assert_true(metrics.values[IG_METRIC_ACCURACY] == 0.75);
    double expected = -(log(0.9) + log(0.6) + log(0.35) + log(0.8)) / 4;
    assert_true(fabs(metrics.values[IG_METRIC_LOGLOSS] - expected) < 1e-15);
    assert_true(isnan(metrics.values[IG_METRIC_RMSE]));
    static const double certain[] = {0, 0, 0, 1}; /* wrong and sure: large, not infinite */
    ASSERT_OK(ig_metrics_binary(&metrics, labels, certain, 4, &err));
    assert_true(fabs(metrics.values[IG_METRIC_LOGLOSS] - 34.538776394910684 / 4) < 1e-9);
}

static void test_other_metrics(void **state)
{
    static const double labels[] = {0, 1, 2},
                        rows[] = {0.5, 0.3, 0.2, 0.4, 0.4, 0.2, 0.1, 0.1, 0.8};
    static const double values[] = {3, -0.5, 2, 7}, predictions[] = {2.5, 0, 2, 8};
    struct ig_metrics metrics;
    struct ig_json_out out;
    struct ig_buf text;
    (void)state;
    ig_metrics_multiclass(&metrics, labels, rows, 3, 3);
    assert_true(fabs(metrics.values[IG_METRIC_ACCURACY] - 2.0 / 3) < 1e-15);
    assert_true(fabs(metrics.values[IG_METRIC_LOGLOSS] + (log(0.5) + log(0.4) + log(0.8)) / 3) <
                1e-15);
    /* sklearn's documented example: r2 0.948..., mae 0.5, mse 0.375 */
    ig_metrics_regression(&metrics, values, predictions, 4);
    assert_true(fabs(metrics.values[IG_METRIC_R2] - 0.9486081370449679) < 1e-15);
    assert_true(metrics.values[IG_METRIC_MAE] == 0.5);
    assert_true(fabs(metrics.values[IG_METRIC_RMSE] - sqrt(0.375)) < 1e-15);
    ig_buf_init(&text, 1000);
    ig_json_out_init(&out, &text);
    ig_json_out_object(&out);
    ig_metrics_write(&out, &metrics);
    ig_json_out_object_end(&out);
    assert_string_equal(text.ptr,
                        "{\"rmse\":0.6123724356957945,\"mae\":0.5,\"r2\":0.9486081370449679}");
    ig_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tasks_and_classes), cmocka_unit_test(test_features_and_rows),
        cmocka_unit_test(test_dropped_columns),   cmocka_unit_test(test_split),
        cmocka_unit_test(test_clear_errors),      cmocka_unit_test(test_nth_allocation_fails),
        cmocka_unit_test(test_binary_metrics),    cmocka_unit_test(test_other_metrics),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
