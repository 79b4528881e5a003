/* SPDX-License-Identifier: Apache-2.0 */
/* A dense float network to int8, to int8 weights and to halves. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/edge/edge_quantize.h"
#include "stores/temp_testing.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS = 64 };

static struct ig_err err;
static struct ig_package *package;
static double *rows;

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ASSERT_OK(ig_package_open(&package, IG_FILE_CWD,
                              "tests/corpus/tflite/fully_connected_keep_float", NULL, &err));
    size_t count = (size_t)ROWS * package->model->features_count;
    rows = calloc(count, sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < count; i++) rows[i] = (double)(i * 7 % 41) / 10 - 2;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    free(rows);
    ig_package_free(package);
    return 0;
}

static struct ig_edge_quantize options_of(const char *to)
{
    struct ig_edge_quantize options = {.rows = rows, .rows_count = ROWS};
    ASSERT_OK(ig_edge_quantize_parse(&options, to, "auto", "single", "cortex-m4", &err));
    return options;
}

static void test_int8(void **state)
{
    (void)state;
    struct ig_edge_quantize options = options_of("int8");
    struct ig_edge_quantized made;
    struct ig_package *back = NULL;
    struct ig_json_out out;
    struct ig_buf zip, report;
    ASSERT_OK(ig_edge_quantize_run(&made, package, &options, &err));
    assert_true(made.has_int8 && made.int8.int8_bytes < made.int8.float_bytes);
    assert_true(made.estimate.int8 && !made.judged);
    ig_buf_init(&zip, 1 << 20);
    ASSERT_OK(ig_edge_quantized_package(&zip, &made, package, &options, IG_STR("{}"), &err));
    ASSERT_OK(ig_package_open_bytes(&back, ig_buf_view(&zip), NULL, &err));
    assert_int_equal(back->golden_rows_count, 16);
    assert_int_equal(back->model_bytes, made.file.len);
    ig_buf_init(&report, 1 << 16);
    ig_json_out_init(&out, &report);
    ig_json_out_object(&out);
    ig_edge_quantized_write(&out, &made, false);
    ig_json_out_object_end(&out);
    ig_buf_add_char(&report, 0);
    assert_non_null(strstr(report.ptr, "\"worst_layer\":"));
    assert_null(strstr(report.ptr, "\"layers\":"));
    ig_buf_deinit(&report);
    ig_package_free(back);
    ig_buf_deinit(&zip);
    ig_edge_quantized_deinit(&made);
}

static void test_weights(void **state)
{
    (void)state;
    size_t sizes[2];
    static const char *const TO[] = {"weights", "float16"};
    for (int i = 0; i < 2; i++) {
        struct ig_edge_quantize options = options_of(TO[i]);
        struct ig_edge_quantized made;
        options.rows_count = 0;
        ASSERT_OK(ig_edge_quantize_run(&made, package, &options, &err));
        assert_false(made.has_int8);
        sizes[i] = made.file.len;
        ig_edge_quantized_deinit(&made);
    }
    assert_true(sizes[0] < sizes[1]);
}

/* Labels of a column, of the schema's target where it is there, and of none. */
static void test_labels(void **state)
{
    (void)state;
    struct ig_feature features[1] = {{.name = IG_STR("x")}};
    struct ig_str classes[] = {{"no", 2}, {"yes", 3}};
    struct ig_schema schema = {.features = features,
                               .features_count = 1,
                               .task = IG_TASK_BINARY,
                               .target = IG_STR("y"),
                               .classes = classes,
                               .classes_count = 2};
    struct ig_edge_labels labels;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    ASSERT_OK(ig_edge_labels_read(&labels, IG_STR("x,y\n1,yes\n2,no\n3,\n"), IG_STR(""), &schema,
                                  &arena, &err));
    assert_int_equal(labels.count, 3);
    assert_true(labels.values[0] == 1 && labels.values[1] == 0 && isnan(labels.values[2]));
    ASSERT_OK(ig_edge_labels_read(&labels, IG_STR("x\n1\n"), IG_STR(""), &schema, &arena, &err));
    assert_null(labels.values);
    ASSERT_FAILS(
        ig_edge_labels_read(&labels, IG_STR("x,y\n1,maybe\n"), IG_STR("y"), &schema, &arena, &err),
        IG_INVALID, "label: row 1: 'y' holds a class that the model lacks");
    ASSERT_FAILS(ig_edge_labels_read(&labels, IG_STR("x\n1\n"), IG_STR("z"), &schema, &arena, &err),
                 IG_INVALID, "label: ");
    ig_arena_deinit(&arena);
}

static void test_refused(void **state)
{
    (void)state;
    struct ig_edge_quantize options = options_of("int8");
    struct ig_edge_quantized made;
    options.rows_count = 0;
    ASSERT_FAILS(ig_edge_quantize_run(&made, package, &options, &err), IG_INVALID,
                 "int8 needs rows like those to come");
    ig_edge_quantized_deinit(&made);
    options.rows_count = ROWS;
    rows[package->model->features_count] = (double)NAN;
    ASSERT_FAILS(ig_edge_quantize_run(&made, package, &options, &err), IG_INVALID,
                 "row 2: column 1 is no number");
    ig_edge_quantized_deinit(&made);
    ASSERT_FAILS(ig_edge_quantize_parse(&options, "int4", "auto", "single", "cortex-m4", &err),
                 IG_INVALID, "to: 'int4' is unknown");
    ASSERT_FAILS(ig_edge_quantize_parse(&options, "int8", "best", "single", "cortex-m4", &err),
                 IG_INVALID, "calibrator: 'best' is unknown");
    ASSERT_FAILS(ig_edge_quantize_parse(&options, "int8", "auto", "up", "cortex-m4", &err),
                 IG_INVALID, "rounding: 'up' is unknown");
    ASSERT_FAILS(ig_edge_quantize_parse(&options, "int8", "auto", "single", "z80", &err),
                 IG_INVALID, "device: 'z80' is unknown");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_int8), CASE(test_weights), CASE(test_labels),
                                       CASE(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
