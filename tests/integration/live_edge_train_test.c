/* SPDX-License-Identifier: Apache-2.0 */
/* From boosted trees to a small int8 network through the real program: distilled, pruned,
 * quantized, registered, deployed; it takes the table's own rows. And what is refused. */
#include "support/live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define SMALL "\"epochs\":20,\"layers\":\"32,16\",\"synthetic_rows\":100"

static struct live live;
static struct live_run out;

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
    live_write_table(&live, "t.csv", 400);
    assert_string_equal(live_wait_job(&live, live_submit(&live, "trees", "t.csv", 5)), "succeeded");
    EXPECT(200, "PUT", "/api/v1/models/trees/aliases/best", "{\"version\":1}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void expect_ok(void)
{
    if (out.code != 0) fail_msg("exit code %d: %s", out.code, out.err);
}

static void expect_error(const char *text)
{
    if (out.code != 1 || !strstr(out.err, text))
        fail_msg("exit code %d, expected 1 with '%s': %s", out.code, text, out.err);
}

/* Submits an edge job over the table with these members of its parameters. */
static int submit(const char *model, const char *params)
{
    static char bytes[1 << 16];
    char body[1024];
    FILE *file = fopen(live_path(&live, "t.csv"), "r");
    assert_non_null(file);
    size_t size = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    snprintf(body, sizeof body,
             "{\"params\":{%s},\"engine\":\"edge\",\"model\":\"%s\",\"target\":\"label\","
             "\"data_digest\":\"%s\"}",
             params, model, live_upload(&live, bytes, size));
    return live_call(&live, "POST", "/api/v1/jobs", body);
}

static void test_distilled_pruned_quantized(void **state)
{
    (void)state;
    char id[64];
    assert_int_equal(
        submit("small",
               "\"teacher\":\"models:/trees/best,models:/trees/1\",\"pruning\":\"polynomial\","
               "\"final_sparsity\":0.5,\"quantization_aware\":\"on\"," SMALL),
        201);
    assert_string_equal(live_text(&live, "engine"), "edge");
    assert_string_equal(live_text(&live, "params.teacher"), "models:/trees/1,models:/trees/1");
    snprintf(id, sizeof id, "%s", live_text(&live, "id"));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    assert_string_equal(live_text(&live, "metrics.stages.0.stage"), "teacher");
    assert_string_equal(live_text(&live, "metrics.stages.1.stage"), "hard_labels");
    assert_string_equal(live_text(&live, "metrics.stages.2.stage"), "student");
    assert_string_equal(live_text(&live, "metrics.stages.3.stage"), "int8");
    assert_float_equal(live_number(&live, "metrics.stages.2.sparsity"), 0.5, 0.02);
    assert_true(live_number(&live, "metrics.accuracy") > 0.6);
    assert_true(live_number(&live, "metrics.bytes") < live_number(&live, "metrics.stages.2.bytes"));
    assert_string_equal(live_text(&live, "metrics.estimate.device"), "cortex-m4");
    assert_true(live_number(&live, "metrics.estimate.ram_bytes") > 0);
    assert_true(live_number(&live, "metrics.estimate.flash_bytes") ==
                live_number(&live, "metrics.bytes"));
    assert_true(live_number(&live, "metrics.estimate.instructions") > 0);
    assert_true(live_number(&live, "metrics.estimate.energy_microjoule") > 0);
    EXPECT(200, "GET", "/api/v1/models/small/versions/1", NULL);
    assert_string_equal(live_text(&live, "format"), "tflite");
    assert_string_equal(live_text(&live, "job_id"), id);
}

/* The deployment reproduces the golden rows at load, and answers rows as the trees do. */
static void test_served(void **state)
{
    (void)state;
    live_write(&live, "rows.csv", "x0,x1,colour\n0.9,0.1,green\n0.9,,green\n0.1,0.5,purple\n");
    EXPECT(200, "PUT", "/api/v1/deployments/d", "{\"model\":\"small\"}");
    RUN("background", "set", "small", "some", live_path(&live, "rows.csv"));
    expect_ok();
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"d\",\"method\":\"exact\",\"background\":\"some\",\"features\":"
           "{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}}");
    assert_true(isfinite(live_number(&live, "explanation.base_value")));
    RUN("inspect", "models:/small/1");
    expect_ok();
    assert_non_null(strstr(out.out, "golden rows    16\n"));
    assert_non_null(strstr(out.out, "encoder        3 columns to "));
    assert_non_null(strstr(out.out, "classes        no, yes\n"));
    RUN("predict", "--model", "models:/small/1", "--input", live_path(&live, "rows.csv"));
    expect_ok();
    double first = strtod(out.out, NULL);
    assert_true(first > 0.5 && first <= 1);
    EXPECT(200, "POST", "/v1/models/d:predict",
           "{\"instances\":[{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}]}");
    assert_true(live_number(&live, "predictions.0") == first ||
                live_number(&live, "predictions.0.1") == first);
    EXPECT(
        200, "PUT", "/api/v1/deployments/apart",
        "{\"graph\":{\"root\":{\"model\":\"small\"},\"resources\":{\"isolation\":\"process\"}}}");
    EXPECT(200, "POST", "/v1/models/apart:predict",
           "{\"instances\":[{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}]}");
    assert_true(live_number(&live, "predictions.0") == first ||
                live_number(&live, "predictions.0.1") == first);
}

/* A registered float network by rows of the table, to a file and to a package. */
static void test_quantize_verb(const char *table)
{
    char package[256];
    const char *file = live_path(&live, "int8.tflite");
    snprintf(package, sizeof package, "%s", live_path(&live, "int8.zip"));
    RUN("edge", "quantize", "--model", "models:/net/1", "--input", table, "--output", file);
    expect_ok();
    assert_non_null(strstr(out.out, "rows           400\n"));
    assert_non_null(strstr(out.out, "  (worst)\n"));
    assert_non_null(strstr(out.out, "\naccuracy       0."));
    assert_non_null(strstr(out.out, "on a device    cortex-m4, estimated\n  RAM          "));
    assert_non_null(strstr(out.out, " uJ a row\n"));
    RUN("edge", "quantize", "--model", "models:/net/1", "--input", table, "--output", package,
        "--device", "cortex-m3", "--format", "json");
    expect_ok();
    assert_non_null(strstr(out.out, "\"before\":{\"accuracy\":0."));
    assert_non_null(strstr(out.out, "\"device\":\"cortex-m3\""));
    assert_null(strstr(out.out, "energy"));
    RUN("inspect", package);
    expect_ok();
    assert_non_null(strstr(out.out, "golden rows    16\n"));
    assert_non_null(strstr(out.out, "encoder        3 columns to "));
    RUN("model", "register", "packed", package);
    expect_ok();
    RUN("edge", "quantize", "--model", "models:/net/1", "--input", table, "--output",
        live_path(&live, "int8.ige"));
    assert_int_equal(out.code, 2);
    assert_non_null(strstr(out.err, "int8.ige': expected NAME.tflite, or NAME.zip"));
    assert_int_equal(access(live_path(&live, "int8.ige"), F_OK), -1);
    RUN("edge", "quantize", "--model", "models:/net/1", "--input", table, "--output", package,
        "--to", "weights", "--label", "none");
    expect_error("label: ");
    RUN("edge", "quantize", "--model", "models:/net/1", "--input", table, "--output", package,
        "--label", "colour");
    expect_error("label: row 1: 'colour' holds a class that the model lacks");
}

/* The compact file has the encoder in it: it takes the table's columns, categories by their codes.
 */
static void test_inputs(void)
{
    char file[256], numbers[256], table[256];
    static char margins[sizeof out.out];
    snprintf(file, sizeof file, "%s", live_path(&live, "small.ige"));
    snprintf(numbers, sizeof numbers, "%s", live_path(&live, "numbers.csv"));
    snprintf(table, sizeof table, "%s", live_path(&live, "rows.csv"));
    RUN("edge", "convert", "models:/small/1", "--output", file);
    expect_ok();
    RUN("edge", "run", "--model", "models:/small/1", "--input", table, "--inputs", "--output",
        numbers);
    expect_ok();
    RUN("edge", "run", "--model", "models:/small/1", "--input", table);
    expect_ok();
    snprintf(margins, sizeof margins, "%s", out.out);
    RUN("edge", "run", "--model", file, "--no-header", "--input", numbers);
    expect_ok();
    assert_string_equal(out.out, margins);
    RUN("edge", "run", "--model", "models:/small/1", "--input", table, "--inputs", "--class");
    assert_non_null(strstr(out.err, "exclude each other"));
    RUN("edge", "keygen", live_path(&live, "key"));
    RUN("edge", "bundle", "models:/small/1", "--output", live_path(&live, "small.igb"), "--secret",
        live_path(&live, "key.pem"), "--counter", "1");
    expect_ok();
    RUN("edge", "verify", live_path(&live, "small.igb"), "--public", live_path(&live, "key.pub"),
        "--target", "any");
    expect_ok();
    RUN("edge", "sketch", live_path(&live, "small.igb"), "--input", numbers, "--output",
        live_path(&live, "small.baseline"));
    expect_ok();
    RUN("edge", "inspect", file);
    expect_ok();
    assert_non_null(strstr(out.out, "input          3 of float32\nencoder        3 columns to "));
}

/* The device runtime gives the bits of the server, for rows of the table. */
static void test_on_a_device(void **state)
{
    (void)state;
    RUN("edge", "run", "--model", "models:/small/1", "--input", live_path(&live, "t.csv"),
        "--compare");
    expect_ok();
    assert_string_equal(out.out, "rows 400, greatest difference of a margin 0, same class 400\n");
    test_inputs();
    RUN("edge", "export", "models:/small/1", "--output", live_path(&live, "x.encoder.c"), "--name",
        "small");
    expect_ok();
    RUN("edge", "export", "models:/trees/1", "--output", live_path(&live, "x.encoder.c"));
    expect_error("the model has no encoder");
}

/* Trees -> float network -> pruned -> int8, verb by verb. */
static void test_verbs(void **state)
{
    (void)state;
    char table[256];
    snprintf(table, sizeof table, "%s", live_path(&live, "t.csv"));
    RUN("edge", "train", "--data", table, "--target", "label", "--teacher", "models:/trees/best",
        "--name", "net", "--param", "epochs=3", "--param", "quantization=none", "--param",
        "synthetic_rows=50", "--param", "hard_label_student=off");
    expect_ok();
    assert_non_null(strstr(out.out, "\n  teacher  "));
    assert_non_null(strstr(out.out, "  on a device, estimated: cortex-m4, "));
    assert_non_null(strstr(out.out, "\n  student  "));
    assert_null(strstr(out.out, "hard_labels"));
    assert_non_null(strstr(out.out, "model    models:/net/1\n"));
    test_quantize_verb(table);
    RUN("edge", "train", "--data", table, "--target", "label", "--source", "models:/net/1",
        "--name", "net", "--param", "epochs=3", "--param", "pruning=constant", "--param",
        "quantization=none");
    expect_ok();
    RUN("edge", "train", "--data", table, "--target", "label", "--source", "models:/net/2",
        "--name", "net", "--param", "epochs=0");
    expect_ok();
    assert_non_null(strstr(out.out, "\n  int8  "));
    assert_non_null(strstr(out.out, "model    models:/net/3\n"));
    RUN("edge", "train", "--data", table, "--target", "label", "--source", "models:/net/3",
        "--param", "epochs=0");
    expect_error("source: it is quantized");
    RUN("edge", "train", "--data", table, "--target", "label", "--teacher", "models:/net/9");
    expect_error("parameter 'teacher': ");
}

/* A few trees that learnt the teacher's answers: registered as XGBoost's, small on a device. */
static void test_tree_student(void **state)
{
    (void)state;
    static const char *const stages[] = {"teacher", "hard_labels", "student_before_pruning",
                                         "student", "compact"};
    char id[64], path[64];
    assert_int_equal(submit("few", "\"student\":\"trees\",\"teacher\":\"models:/trees/best\","
                                   "\"rounds\":8,\"max_depth\":3,\"alpha\":0.25,"
                                   "\"early_stopping\":0,\"pruned_leaves\":0.4"),
                     201);
    snprintf(id, sizeof id, "%s", live_text(&live, "id"));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        snprintf(path, sizeof path, "metrics.stages.%zu.stage", i);
        assert_string_equal(live_text(&live, path), stages[i]);
    }
    assert_true(live_number(&live, "metrics.accuracy") ==
                live_number(&live, "metrics.stages.3.accuracy"));
    assert_true(live_number(&live, "metrics.accuracy") >
                live_number(&live, "metrics.stages.0.accuracy") - 0.05);
    assert_true(live_number(&live, "metrics.rounds") == 8);
    assert_in_range(live_number(&live, "metrics.leaves"), 8, 8 * 8 * 6 / 10);
    assert_true(live_number(&live, "metrics.compact_bytes") * 4 <
                live_number(&live, "metrics.bytes"));
    assert_true(live_number(&live, "metrics.bytes") < live_number(&live, "metrics.stages.2.bytes"));
    EXPECT(200, "GET", "/api/v1/models/few/versions/1", NULL);
    assert_string_equal(live_text(&live, "format"), "xgboost-json");
    RUN("inspect", "models:/few/1");
    expect_ok();
    assert_non_null(strstr(out.out, "golden rows    16\n"));
    RUN("edge", "convert", "models:/few/1", "--output", live_path(&live, "few.ige"));
    expect_ok();
    RUN("edge", "run", "--model", "models:/few/1", "--input", live_path(&live, "t.csv"),
        "--compare");
    expect_ok();
    assert_non_null(strstr(out.out, "same class 400\n"));
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        int status;
        const char *params, *message;
    } cases[] = {
        {400, "\"gamma\":5", "parameter 'gamma' is unknown, expected one of layers"},
        {400, "\"rounds\":5", "parameter 'rounds': student 'network' has none"},
        {400, "\"student\":\"trees\"", "parameter 'student': trees need a teacher"},
        {400, "\"student\":\"trees\",\"teacher\":\"models:/trees/1\",\"epochs\":3",
         "parameter 'epochs': student 'trees' has none"},
        {400, "\"layers\":\"8,conv:3x3\"", "expected input_shape beside windows"},
        {400, "\"epochs\":0", "parameter 'epochs': 0 needs a source"},
        {400, "\"source\":\"models:/net/1\",\"layers\":\"4\"",
         "parameter 'layers': '4': the source has its own"},
        {400, "\"quantization\":\"int4\"", "value 'int4' is not one of int8|float16|weights|none"},
        {404, "\"teacher\":\"models:/none/1\"", "parameter 'teacher': "},
        {404, "\"source\":\"models:/trees/7\"", "parameter 'source': "},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int status = submit("refused", cases[i].params);
        if (status != cases[i].status ||
            !strstr(live_text(&live, "error.message"), cases[i].message))
            fail_msg("%d: %s", status, live_body(&live));
    }
    EXPECT(400, "POST", "/api/v1/jobs",
           "{\"model\":\"m\",\"target\":\"y\",\"engine\":\"magic\",\"data_digest\":\"00\"}");
    assert_string_equal(live_text(&live, "error.field"), "engine");
    EXPECT(200, "GET", "/api/v1/training-parameters?engine=edge", NULL);
    assert_string_equal(live_text(&live, "parameters.0.name"), "layers");
    EXPECT(200, "GET", "/api/v1/training-parameters", NULL);
    assert_string_equal(live_text(&live, "parameters.0.name"), "rounds");
    EXPECT(400, "GET", "/api/v1/training-parameters?engine=x", NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_distilled_pruned_quantized),
        cmocka_unit_test(test_served),
        cmocka_unit_test(test_on_a_device),
        cmocka_unit_test(test_verbs),
        cmocka_unit_test(test_tree_student),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
