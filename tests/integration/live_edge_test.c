/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge` on files and on registered models, and what it says when something is wrong. */
#include "support/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "tests/golden/xgboost/binary_missing/model.json"
#define NETWORK "tests/corpus/tflite/cnn_int8"
#define CATEGORIES "tests/golden/lightgbm/categorical/model.txt"

static struct live live;
static struct live_run out;

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
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

static void expect_error(int code, const char *text)
{
    if (out.code != code || !strstr(out.err, text))
        fail_msg("exit code %d, expected %d with '%s': %s", out.code, code, text, out.err);
}

static void expect_text(const char *text)
{
    expect_ok();
    if (!strstr(out.out, text)) fail_msg("expected '%s': %s", text, out.out);
}

/* Floats alone, so that devices see the same numbers. */
static const char *rows(void)
{
    live_write(&live, "rows.csv",
               "0.5,3,100,NaN,0.25,-0.5\n,,,,,\n1.5,0,7,2,-1,139\n-2,1,18.75,5,0.125,73\n");
    return live_path(&live, "rows.csv");
}

/* Exact leaves give the margins of `predict --raw`, from the model and from its file. */
static void test_exact_leaves(void **state)
{
    (void)state;
    static char margins[sizeof out.out];
    char file[256];
    snprintf(file, sizeof file, "%s", live_path(&live, "model.ige"));
    RUN("predict", "--model", MODEL, "--no-header", "--input", rows(), "--raw");
    expect_ok();
    snprintf(margins, sizeof margins, "%s", out.out);
    RUN("edge", "convert", MODEL, "--output", file, "--leaves", "exact");
    expect_text("float32");
    RUN("edge", "run", "--model", file, "--no-header", "--input", rows());
    expect_ok();
    assert_string_equal(out.out, margins);
    RUN("edge", "run", "--model", MODEL, "--no-header", "--input", rows(), "--leaves", "exact");
    expect_ok();
    assert_string_equal(out.out, margins);
    RUN("predict", "--model", file, "--no-header", "--input", rows(), "--raw");
    expect_ok();
    assert_string_equal(out.out, margins);
}

static void test_integer_leaves(void **state)
{
    (void)state;
    char file[256];
    snprintf(file, sizeof file, "%s", live_path(&live, "model.ige"));
    RUN("edge", "convert", MODEL, "--output", file);
    expect_text("int16, summed in units of 2^-");
    expect_text("margins        off by at most");
    RUN("edge", "inspect", file);
    expect_text("bytes of arena");
    RUN("edge", "inspect", file, "--format", "json");
    expect_text("\"leaves\":\"int16\"");
    RUN("edge", "run", "--model", MODEL, "--no-header", "--input", rows(), "--compare");
    expect_text("greatest difference of a margin ");
    RUN("edge", "run", "--model", MODEL, "--no-header", "--input", rows(), "--inputs");
    expect_text("0.5,3,100,NaN,0.25,-0.5\nNaN,NaN,NaN,NaN,NaN,NaN\n");
    RUN("edge", "run", "--model", CATEGORIES, "--no-header", "--input", rows(), "--compare",
        "--leaves", "exact");
    expect_text("greatest difference of a margin 0,");
    RUN("edge", "run", "--model", file, "--no-header", "--input", rows(), "--class");
    expect_ok();
    assert_int_equal(strspn(out.out, "01\n"), strlen(out.out));
}

static void test_export(void **state)
{
    (void)state;
    const char *file = live_path(&live, "model.c");
    RUN("edge", "export", MODEL, "--output", file, "--name", "risk");
    expect_ok();
    FILE *text = fopen(file, "r");
    assert_non_null(text);
    size_t size = fread(out.out, 1, sizeof out.out - 1, text);
    out.out[size] = 0;
    fclose(text);
    assert_non_null(strstr(out.out, "void risk_margins(const float *features, int32_t *margins);"));
    RUN("edge", "export", MODEL, "--output", file, "--name", "1x");
    expect_error(1, "name: '1x' is no C identifier");
}

/* The ending names the format; a graph in ONNX becomes a network, int8 as it says. */
static void test_other_runtimes(void **state)
{
    (void)state;
    const char *network = "tests/corpus/onnx/network_cnn_int8.onnx";
    char file[256];
    snprintf(file, sizeof file, "%s", live_path(&live, "model.onnx"));
    RUN("edge", "export", MODEL, "--output", file);
    expect_ok();
    RUN("inspect", file);
    expect_text("format         onnx");
    RUN("edge", "export", MODEL, "--output", live_path(&live, "model.mlmodel"));
    expect_ok();
    RUN("edge", "export", CATEGORIES, "--output", live_path(&live, "words.mlmodel"));
    expect_error(1, "it is split by sets of categories; Core ML cannot say so");
    RUN("edge", "export", MODEL, "--output", live_path(&live, "model.bin"));
    expect_error(2, "its ending names no format");
    RUN("edge", "export", MODEL, "--output", live_path(&live, "model.bin"), "--format", "tflite");
    expect_error(1, "the model is no network");
    snprintf(file, sizeof file, "%s", live_path(&live, "net.tflite"));
    RUN("edge", "export", network, "--output", file, "--strip-names");
    expect_ok();
    RUN("inspect", file);
    expect_text("int8 [1, ");
}

static void test_registered(void **state)
{
    (void)state;
    RUN("model", "register", "risk", MODEL);
    expect_ok();
    RUN("edge", "inspect", "models:/risk/1");
    expect_text("RAM            ");
    RUN("edge", "export", "models:/risk/1", "--output", live_path(&live, "risk.c"));
    expect_ok();
    RUN("edge", "convert", "models:/risk/1", "--output", live_path(&live, "risk.ige"));
    expect_ok();
    RUN("model", "register", "small", live_path(&live, "risk.ige"));
    expect_ok();
    RUN("edge", "run", "--model", "models:/small/1", "--no-header", "--input", rows(), "--compare");
    expect_text("greatest difference of a margin 0,");
    RUN("edge", "inspect", "models:/risk/7");
    expect_error(1, "7");
}

/* Rows of 240 numbers. */
static const char *pixels(void)
{
    static char text[8192];
    size_t at = 0;
    for (int i = 0; i < 3 * 240; i++)
        at += (size_t)snprintf(text + at, sizeof text - at, "%g%c", (i * 7 % 41 - 20) / 8.0,
                               i % 240 == 239 ? '\n' : ',');
    live_write(&live, "pixels.csv", text);
    return live_path(&live, "pixels.csv");
}

/* A network on a device gives what the server gives, from every kind of file. */
static void test_networks(void **state)
{
    (void)state;
    static char values[sizeof out.out];
    char file[256], key[256], bundle[256];
    snprintf(file, sizeof file, "%s", live_path(&live, "net.ige"));
    snprintf(key, sizeof key, "%s", live_path(&live, "net"));
    snprintf(bundle, sizeof bundle, "%s", live_path(&live, "net.igb"));
    RUN("predict", "--model", NETWORK, "--no-header", "--input", pixels(), "--raw");
    expect_ok();
    snprintf(values, sizeof values, "%s", out.out);
    RUN("edge", "convert", NETWORK, "--output", file);
    expect_text("rounding       single");
    RUN("predict", "--model", file, "--no-header", "--input", pixels(), "--raw");
    expect_text(values);
    RUN("edge", "run", "--model", file, "--no-header", "--input", pixels(), "--compare");
    expect_text("rows 3, greatest difference of a margin 0, same class 3");
    RUN("model", "register", "net", file);
    expect_ok();
    RUN("edge", "run", "--model", "models:/net/1", "--no-header", "--input", pixels(), "--compare");
    expect_text("greatest difference of a margin 0,");
    RUN("edge", "inspect", NETWORK, "--rounding", "double", "--format", "json");
    expect_text("\"rounding\":\"double\"");
    assert_non_null(strstr(out.out, "\"operators_mask\":"));
    RUN("edge", "export", "models:/net/1", "--output", live_path(&live, "net.c"), "--name", "net");
    expect_ok();
    RUN("edge", "keygen", key);
    expect_ok();
    RUN("edge", "bundle", "models:/net/1", "--output", bundle, "--secret",
        live_path(&live, "net.pem"), "--counter", "1");
    expect_ok();
    RUN("edge", "verify", bundle, "--public", live_path(&live, "net.pub"));
    expect_text("golden rows");
    RUN("edge", "convert", "tests/corpus/tflite/fully_connected_keep_float", "--output", file);
    expect_error(1, "computes in float32, devices in int8: `ingot edge quantize` makes it so");
}

/* `convert` takes what `export` takes; rows stay in the graph's order, `--inputs` turns them into
 * the device's. */
static void test_graph(void **state)
{
    (void)state;
    const char *graph = "tests/corpus/onnx/network_cnn_int8.onnx";
    static char values[sizeof out.out];
    char file[256];
    snprintf(file, sizeof file, "%s", live_path(&live, "graph.ige"));
    RUN("edge", "convert", graph, "--output", file);
    expect_text("  CONV_2D ");
    RUN("edge", "run", "--model", graph, "--no-header", "--input", pixels(), "--compare");
    expect_text("rows 3, greatest difference of a margin 0, same class 3");
    RUN("edge", "run", "--model", graph, "--no-header", "--input", pixels());
    expect_ok();
    snprintf(values, sizeof values, "%s", out.out);
    RUN("edge", "run", "--model", graph, "--no-header", "--input", pixels(), "--inputs");
    expect_ok();
    live_write(&live, "inputs.csv", out.out);
    RUN("edge", "run", "--model", file, "--no-header", "--input", live_path(&live, "inputs.csv"));
    expect_ok();
    assert_string_equal(out.out, values);
}

static void test_delivery(void **state)
{
    (void)state;
    char key[256], secret[256], public_key[256], bundle[256];
    snprintf(key, sizeof key, "%s", live_path(&live, "device"));
    snprintf(secret, sizeof secret, "%s.pem", key);
    snprintf(public_key, sizeof public_key, "%s.pub", key);
    snprintf(bundle, sizeof bundle, "%s", live_path(&live, "model.igb"));
    RUN("edge", "keygen", key);
    expect_ok();
    RUN("edge", "keygen", key);
    expect_error(1, "device.pem' is there already");
    RUN("edge", "keygen", live_path(&live, "nowhere/device"));
    expect_error(1, "nowhere/device.pem': No such file or directory");
    RUN("edge", "bundle", MODEL, "--output", bundle, "--secret", secret, "--counter", "1",
        "--valid-days", "0");
    expect_error(2, "--valid-days is 0, expected at least 1");
    RUN("edge", "bundle", MODEL, "--output", bundle, "--secret", secret);
    expect_error(2, "--counter is missing");
    RUN("edge", "bundle", MODEL, "--output", bundle, "--secret", secret, "--counter", "0");
    expect_error(1, "counter: 0 is not from 1 to 9223372036854775807");
    RUN("edge", "bundle", MODEL, "--output", bundle, "--secret", public_key, "--counter", "1");
    expect_error(1, "--secret: no Ed25519 secret key");
    RUN("edge", "bundle", MODEL, "--output", bundle, "--secret", secret, "--counter", "7", "--id",
        "risk", "--target", "meter");
    expect_ok();
    RUN("edge", "verify", bundle, "--public", public_key, "--target", "meter");
    expect_text("good: risk, counter 7");
    RUN("edge", "verify", bundle, "--public", public_key, "--target", "pump");
    expect_error(1, "for another kind of device");
    RUN("edge", "verify", bundle, "--public", public_key, "--target", "meter-of-the-roof");
    expect_error(1, "--target 'meter-of-the-roof' is longer than 16 bytes");
    RUN("edge", "verify", bundle, "--public", secret, "--target", "meter");
    expect_error(1, "--public: no minisign public key");
    RUN("edge", "verify", bundle, "--public", public_key, "--target", "meter", "--counter", "7");
    expect_error(1, "a counter that is not above the device's");
    FILE *file = fopen(bundle, "r+");
    assert_non_null(file);
    fseek(file, 20, SEEK_SET);
    fputc('X', file);
    fclose(file);
    RUN("edge", "verify", bundle, "--public", public_key, "--target", "meter");
    expect_error(1, "is not what was signed");
}

static void test_refusals(void **state)
{
    (void)state;
    RUN("edge", "inspect", live_path(&live, "nothing.json"));
    expect_error(1, "nothing.json");
    RUN("edge", "convert", "tests/golden/lightgbm/linear_tree/model.txt", "--output",
        live_path(&live, "linear.ige"));
    expect_error(1, "leaves are linear models");
    RUN("edge", "inspect", MODEL, "--leaves", "int4");
    expect_error(2, "int4");
    RUN("edge", "run", "--model", MODEL, "--no-header", "--input", rows(), "--compare", "--class");
    expect_error(2, "exclude each other");
    live_write(&live, "broken.ige", "IGE\x1a broken as can be, and long enough for a header");
    RUN("edge", "inspect", live_path(&live, "broken.ige"));
    expect_error(1, "the device runtime refuses the file");
}

/* Options that the model or the format does not take, by every verb that has them. */
static void test_options_refused(void **state)
{
    (void)state;
    char made[160], refused[160];
    snprintf(made, sizeof made, "%s", live_path(&live, "made.ige"));
    snprintf(refused, sizeof refused, "%s", live_path(&live, "refused"));
    RUN("edge", "inspect", NETWORK, "--leaves", "int16");
    expect_error(1, "--leaves: it is for trees, the model is a network");
    RUN("edge", "convert", MODEL, "--rounding", "double", "--output", refused);
    expect_error(1, "--rounding: it is for networks, the model is trees");
    RUN("edge", "bundle", NETWORK, "--leaves", "int8", "--output", refused, "--counter", "1",
        "--secret", refused);
    expect_error(1, "--leaves: it is for trees");
    RUN("edge", "run", "--model", MODEL, "--no-header", "--input", rows(), "--rounding", "single");
    expect_error(1, "--rounding: it is for networks");
    RUN("edge", "export", MODEL, "--format", "onnx", "--leaves", "int8", "--output", refused);
    expect_error(1, "--leaves: format onnx takes none; it is for c, ige");
    RUN("edge", "export", MODEL, "--format", "ige", "--name", "risk", "--output", refused);
    expect_error(1, "--name: format ige takes none; it is for encoder, c");
    RUN("edge", "export", MODEL, "--format", "c", "--strip-names", "--output", refused);
    expect_error(1, "--strip-names: format c takes none; it is for tflite");
    RUN("edge", "prune", MODEL, "--leaves-at-most", "9", "--rounding", "double", "--output",
        refused);
    expect_error(2, "--rounding");
    RUN("edge", "quantize", "--model", NETWORK, "--to", "weights", "--float-ends", "--output",
        live_path(&live, "small.tflite"));
    expect_error(2, "--float-ends is for int8, --to is weights");
    RUN("edge", "quantize", "--model", NETWORK, "--to", "weights", "--label", "y", "--output",
        live_path(&live, "small.tflite"));
    expect_error(2, "--label is of the rows of --input");
    RUN("edge", "run", "--model", MODEL, "--no-header", "--input", rows(), "--inputs", "--leaves",
        "int8");
    expect_error(2, "--leaves changes nothing that --inputs prints");
    RUN("edge", "convert", MODEL, "--output", made);
    RUN("edge", "inspect", made, "--leaves", "int8");
    expect_error(1, "--leaves: the model is a compact file already");
    RUN("edge", "run", "--model", made, "--no-header", "--input", rows(), "--leaves", "int8");
    expect_error(1, "--leaves: the model is a compact file already");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_exact_leaves), cmocka_unit_test(test_integer_leaves),
        cmocka_unit_test(test_export),       cmocka_unit_test(test_other_runtimes),
        cmocka_unit_test(test_registered),   cmocka_unit_test(test_networks),
        cmocka_unit_test(test_delivery),     cmocka_unit_test(test_refusals),
        cmocka_unit_test(test_graph),        cmocka_unit_test(test_options_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
