/* SPDX-License-Identifier: Apache-2.0 */
/* A TensorFlow Lite network through the real program: registration, deployment in the server and in
 * a process of its own, answers, explanations, refusals. */
#include "support/live.h"

#include "base/mem.h"
#include "formats/format.h"
#include "formats/tflite/tflite_testing.h"
#include "kernels/engine.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FEATURES = 20, VALUES = 6 };

static struct live live;
static struct ig_str model_bytes;

static int setup(void **state)
{
    (void)state;
    model_bytes = tflite_sample("float_border"); /* float in, int8 within, float out */
    live_make(&live);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    tflite_sample_free(model_bytes);
    live_remove(&live);
    return 0;
}

static void register_bytes(const char *bytes, size_t size, int status)
{
    char body[256];
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", live_upload(&live, bytes, size));
    EXPECT(status, "POST", "/api/v1/models/net/versions", body);
}

static double feature(int row, int column)
{
    return (row * 7 + column * 3) % 11 / 4.0 - 1;
}

/* {"instances": [[...], ...]} of rows from `first` on. */
static void write_rows(struct ig_buf *body, int first, int count)
{
    ig_buf_init(body, 1 << 16);
    ig_buf_add_cstr(body, "{\"instances\":[");
    for (int row = first; row < first + count; row++)
        for (int column = 0; column < FEATURES; column++)
            ig_buf_printf(body, "%s%.17g%s",
                          column        ? ","
                          : row > first ? ",["
                                        : "[",
                          feature(row, column), column == FEATURES - 1 ? "]" : "");
    ig_buf_add_cstr(body, "]}");
}

static void expected_values(int row, double values[VALUES])
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model;
    struct ig_engine *engine;
    double features[FEATURES];
    if (ig_format_load(&model, model_bytes, NULL, &err) != IG_OK) fail_msg("%s", err.message);
    assert_int_equal(ig_engine_new(&engine, model, &err), IG_OK);
    void *scratch = ig_alloc_aligned(64, ig_engine_scratch_bytes(engine, IG_ENGINE_MARGIN, 1));
    for (int i = 0; i < FEATURES; i++) features[i] = feature(row, i);
    ig_engine_margin(engine, features, 1, values, scratch);
    ig_free(scratch);
    ig_engine_free(engine);
    ig_model_free(model);
}

static void expect_predictions(const char *deployment)
{
    struct ig_buf body;
    char path[64];
    snprintf(path, sizeof path, "/v1/models/%s:predict", deployment);
    write_rows(&body, 0, 3);
    EXPECT(200, "POST", path, body.ptr);
    for (int row = 0; row < 3; row++) {
        double values[VALUES];
        expected_values(row, values);
        for (int i = 0; i < VALUES; i++) {
            snprintf(path, sizeof path, "predictions.%d.%d", row, i);
            assert_true(live_number(&live, path) == values[i]);
        }
    }
    ig_buf_deinit(&body);
}

static void test_registered_and_deployed(void **state)
{
    (void)state;
    live_start(&live, NULL);
    EXPECT(201, "POST", "/api/v1/models", "{\"name\":\"net\"}");
    register_bytes(model_bytes.ptr, model_bytes.len, 201);
    EXPECT(200, "PUT", "/api/v1/deployments/net", "{\"model\":\"net\"}");
    EXPECT(200, "GET", "/api/v1/deployments/net", NULL);
    assert_string_equal(live_text(&live, "engine"), "ingot");
    expect_predictions("net");
}

static void test_in_a_process_of_its_own(void **state)
{
    (void)state;
    EXPECT(200, "PUT", "/api/v1/deployments/apart",
           "{\"graph\":{\"root\":{\"model\":\"net\"},"
           "\"resources\":{\"isolation\":\"process\"}}}");
    expect_predictions("apart");
}

static void test_missing_values_are_refused(void **state)
{
    (void)state;
    EXPECT(400, "POST", "/predict-with-explanation",
           "{\"model\":\"net\",\"features\":{\"f0\":1,\"f1\":2}}");
    assert_non_null(strstr(live_body(&live), "f2"));
}

static void test_damaged_files_are_refused(void **state)
{
    (void)state;
    register_bytes(model_bytes.ptr, model_bytes.len / 2, 400);
    assert_non_null(strstr(live_text(&live, "error.message"), "tflite: "));
}

static void test_on_the_command_line(void **state)
{
    (void)state;
    struct live_run run = {0};
    FILE *file = fopen(live_path(&live, "net.tflite"), "wb");
    assert_non_null(file);
    assert_int_equal(fwrite(model_bytes.ptr, 1, model_bytes.len, file), model_bytes.len);
    fclose(file);
    live_run(&run, &live, (const char *const[]){"inspect", live_path(&live, "net.tflite"), NULL});
    assert_int_equal(run.code, 0);
    assert_non_null(strstr(run.out, "format         tflite\n"));
    assert_non_null(
        strstr(run.out, "network        3 layers, 126 parameters in 144 bytes, int8\n"));
    assert_non_null(strstr(run.out, "rounding       single\n"));
    assert_non_null(strstr(run.out, "input          t0: float32 [1, 20]\n"));
    live_run(
        &run, &live,
        (const char *const[]){"inspect", "--format", "json", live_path(&live, "net.tflite"), NULL});
    assert_non_null(strstr(run.out, "\"network\":{\"layers\":3,\"parameters\":126,"));
}

#define RUN(...) live_run(&run, &live, (const char *const[]){__VA_ARGS__, NULL})

static void write_sample(const char *file, const char *sample)
{
    struct ig_str bytes = tflite_sample(sample);
    FILE *out = fopen(live_path(&live, file), "wb");
    assert_non_null(out);
    assert_int_equal(fwrite(bytes.ptr, 1, bytes.len, out), bytes.len);
    fclose(out);
    tflite_sample_free(bytes);
}

/* A dense layer made int8 answers almost as before. */
static void test_quantized(void **state)
{
    (void)state;
    enum { ROWS = 40, COLUMNS = 60 };
    struct live_run run = {0};
    char dense[256], rows[256], made[256], *before, *other;
    struct ig_buf text;
    write_sample("dense.tflite", "fully_connected_keep_float");
    snprintf(dense, sizeof dense, "%s", live_path(&live, "dense.tflite"));
    snprintf(made, sizeof made, "%s", live_path(&live, "made.tflite"));
    ig_buf_init(&text, 1 << 16);
    for (int row = 0; row < ROWS; row++)
        for (int i = 0; i < COLUMNS; i++)
            ig_buf_printf(&text, "%.3f%c", (row * 7 + i * 5) % 13 / 6.0 - 1,
                          i + 1 < COLUMNS ? ',' : '\n');
    live_write(&live, "rows.csv", text.ptr);
    ig_buf_deinit(&text);
    snprintf(rows, sizeof rows, "%s", live_path(&live, "rows.csv"));
    RUN("edge", "quantize", "--model", dense, "--input", rows, "--no-header", "--output", made);
    if (run.code != 0) fail_msg("%s", run.err);
    assert_non_null(strstr(run.out, "rows           40\n"));
    RUN("inspect", made);
    assert_non_null(strstr(run.out, " int8\n"));
    RUN("predict", "--model", dense, "--input", rows, "--no-header");
    before = strdup(run.out);
    RUN("predict", "--model", made, "--input", rows, "--no-header");
    other = run.out;
    double error = 0, size = 0;
    for (char *at = before; *at && *other; at++, other++) {
        double x = strtod(at, &at), y = strtod(other, &other);
        error += (x - y) * (x - y);
        size += x * x;
        if (!*at || !*other) break;
    }
    assert_true(size > 1 && error < 1e-3 * size);
    free(before);
    RUN("edge", "quantize", "--model", dense, "--to", "float16", "--output", made);
    assert_int_equal(run.code, 0);
    RUN("edge", "quantize", "--model", dense, "--output", made);
    assert_non_null(strstr(run.err, "--to int8 needs --input"));
    RUN("edge", "quantize", "--model", dense, "--input", rows, "--no-header");
    assert_non_null(strstr(run.err, "--output: expected the file to write"));
    ig_buf_init(&text, 1 << 16); /* a missing value, found when the file was begun */
    for (int i = 0; i < COLUMNS; i++) ig_buf_printf(&text, "%s1", i ? "," : "");
    ig_buf_add_cstr(&text, "\n");
    for (int i = 0; i < COLUMNS; i++) ig_buf_add_cstr(&text, i ? "," : "1");
    ig_buf_add_cstr(&text, "\n");
    live_write(&live, "rows.csv", text.ptr);
    ig_buf_deinit(&text);
    RUN("edge", "quantize", "--model", dense, "--input", rows, "--no-header", "--output", made);
    assert_int_not_equal(run.code, 0);
    RUN("inspect", made); /* what was there stays */
    assert_int_equal(run.code, 0);
    live_write_table(&live, "table.csv", 60);
    const char *job = live_submit(&live, "trees", "table.csv", 2);
    assert_string_equal(live_wait_job(&live, job), "succeeded");
    RUN("edge", "quantize", "--model", "models:/trees/1", "--to", "weights", "--output", made);
    assert_non_null(strstr(run.err, "trees are packed by edge convert"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_registered_and_deployed),
        cmocka_unit_test(test_in_a_process_of_its_own),
        cmocka_unit_test(test_missing_values_are_refused),
        cmocka_unit_test(test_damaged_files_are_refused),
        cmocka_unit_test(test_on_the_command_line),
        cmocka_unit_test(test_quantized),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
