/* SPDX-License-Identifier: Apache-2.0 */
/* The command line on files: scores and explanations of golden cases, every way to give rows, and
 * what it says when something is wrong. */
#include "support/live.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <zlib.h>

#define GOLDEN "tests/golden/xgboost/binary_missing/"
#define MODEL GOLDEN "model.json"
#define MULTI "tests/golden/xgboost/one_leaf_multiclass/"

static struct live live;
static struct live_run out;

#define RUN(...) live_run(&out, NULL, (const char *const[]){__VA_ARGS__, NULL})

static int setup(void **state)
{
    (void)state;
    live_make(&live);
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

/* The file's text; static memory. */
static char *slurp(const char *path)
{
    static char text[1 << 18];
    FILE *file = fopen(path, "r");
    if (!file) fail_msg("cannot open %s", path);
    size_t size = fread(text, 1, sizeof text - 1, file);
    fclose(file);
    text[size] = '\0';
    return text;
}

/* Both texts hold the same numbers, within a tolerance (relative above 1). */
static void expect_numbers(const char *a, const char *b, double tolerance)
{
    size_t count = 0;
    while (*a && *b) {
        char *end_a, *end_b;
        double x = strtod(a, &end_a), y = strtod(b, &end_b);
        if (end_a == a || end_b == b) break;
        if (!(fabs(x - y) <= tolerance * fmax(1, fabs(y))))
            fail_msg("number %zu is %.17g, expected %.17g", count, x, y);
        a = end_a + strspn(end_a, ",\r\n");
        b = end_b + strspn(end_b, ",\r\n");
        count++;
    }
    assert_true(count > 0);
    assert_string_equal(a, "");
    assert_string_equal(b, "");
}

static void test_margins_are_exact(void **state)
{
    (void)state;
    RUN("predict", "--model", MODEL, "--input", GOLDEN "input.csv", "--raw");
    expect_ok();
    expect_numbers(out.out, slurp(GOLDEN "margin.csv"), 0);
    RUN("predict", "--model", MODEL, "--input", GOLDEN "input.csv");
    expect_ok();
    expect_numbers(out.out, slurp(GOLDEN "prediction.csv"), 1e-7);
}

static void test_contributions(void **state)
{
    (void)state;
    RUN("explain", "--model", MODEL, "--input", GOLDEN "input.csv", "--format", "csv");
    expect_ok();
    assert_int_equal(strncmp(out.out, "first feature,f1,f2,f3,f4,f5,bias\n", 34), 0);
    expect_numbers(strchr(out.out, '\n') + 1, slurp(GOLDEN "contribs.csv"), 3e-5);
}

static void test_multiclass_blocks(void **state)
{
    (void)state;
    RUN("explain", "--model", MULTI "model.json", "--input", MULTI "input.csv");
    expect_ok();
    char *line = out.out;
    line[strcspn(line, "\n")] = 0;
    assert_non_null(strstr(line, "bias,"));
    assert_string_equal(line + strlen(line) - 5, ",bias");
}

/* Rows in another order of columns, with one column more, gzip, standard input: the same scores. */
static void test_ways_to_give_rows(void **state)
{
    (void)state;
    static char first[sizeof out.out];
    live_write(&live, "named.csv",
               "f5,f4,f3,f2,f1,first feature,id\n-0.5,0.25,,100,3,0.5,a\n"
               ",,,,,,b\n");
    live_write(&live, "plain.csv", "0.5,3,100,NaN,0.25,-0.5\n,,,,,\n");
    live_write(&live, "semicolons.csv",
               "x;first feature;f1;f2;f3;f4;f5\n1;0.5;3;100;;0.25;-0.5\n2;;;;;;\n");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "plain.csv"), "--no-header");
    expect_ok();
    snprintf(first, sizeof first, "%s", out.out);
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "named.csv"), "--drop", "id");
    expect_ok();
    assert_string_equal(out.out, first);
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "semicolons.csv"), "--drop=x",
        "--output", live_path(&live, "out.txt"));
    expect_ok();
    assert_string_equal(out.out, "");
    assert_string_equal(slurp(live_path(&live, "out.txt")), first);
}

/* A label in the first column of a file without header, and the file packed. */
static void test_packed_rows(void **state)
{
    (void)state;
    static char first[sizeof out.out];
    const char *text = "yes,0.5,3,100,,0.25,-0.5\nno,,,,,,\n";
    gzFile packed = gzopen(live_path(&live, "rows.csv.gz"), "wb");
    assert_non_null(packed);
    assert_int_equal(gzputs(packed, text), (int)strlen(text));
    assert_int_equal(gzclose(packed), Z_OK);
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "rows.csv.gz"), "--no-header",
        "--drop", "0", "--raw");
    expect_ok();
    snprintf(first, sizeof first, "%s", out.out);
    live_write(&live, "rows.csv", text);
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "rows.csv"), "--no-header",
        "--drop", "f0", "--raw");
    expect_ok();
    assert_string_equal(out.out, first);
    out.input = live_path(&live, "rows.csv.gz");
    RUN("predict", "--model", MODEL, "--input", "-", "--no-header", "--drop", "0", "--raw");
    out.input = NULL;
    expect_ok();
    assert_string_equal(out.out, first);
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "rows.csv"), "--no-header");
    expect_error(1, "7 columns, the model has 6 features");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "rows.csv"), "--no-header",
        "--drop", "7");
    expect_error(1, "--input: there is no column '7' to drop");
}

static void test_sampled_text_explanation(void **state)
{
    (void)state;
    RUN("explain", "--model", MODEL, "--input", GOLDEN "input.csv", "--background",
        GOLDEN "input.csv", "--method", "leverage", "--samples", "40", "--format", "text");
    expect_ok();
    assert_non_null(strstr(out.out, "\n40 samples, standard errors at most 0.0"));
    RUN("explain", "--model", MODEL, "--input", GOLDEN "input.csv", "--background",
        GOLDEN "input.csv", "--method", "exact", "--format", "text");
    expect_ok();
    assert_null(strstr(out.out, "standard errors"));
}

static void test_text_explanation(void **state)
{
    (void)state;
    RUN("explain", "--model", MODEL, "--input", GOLDEN "input.csv", "--format", "text", "--top",
        "2");
    expect_ok();
    assert_non_null(strstr(out.out, "row 1 "));
    assert_non_null(strstr(out.out, "base value"));
    assert_non_null(strstr(out.out, "4 others"));
    assert_non_null(strstr(out.out, "margin"));
    for (char *line = out.out; *line;) {
        size_t length = strcspn(line, "\n");
        assert_true(length <= 80);
        line += length + 1;
    }
}

static void test_json_explanation(void **state)
{
    (void)state;
    RUN("explain", "--model", MODEL, "--input", GOLDEN "input.csv", "--format", "json");
    expect_ok();
    assert_int_equal(strncmp(out.out, "{\"row\":1,\"prediction\":", 22), 0);
    assert_non_null(strstr(out.out, "\"shap_values\":{\"first feature\":"));
    assert_non_null(strstr(out.out, "\"additivity_error\":"));
}

static void test_inspect(void **state)
{
    (void)state;
    RUN("inspect", MODEL);
    expect_ok();
    assert_non_null(strstr(out.out, "format         xgboost-json"));
    assert_non_null(strstr(out.out, "first feature"));
    RUN("inspect", MODEL, "--format", "json");
    expect_ok();
    assert_non_null(strstr(out.out, "\"features\":[{\"name\":\"first feature\""));
    assert_non_null(strstr(out.out, "{\"method\":\"tree_interventional\",\"table_bytes\":"));
    assert_null(strstr(out.out, "{\"method\":\"tree_interventional\",\"table_bytes\":0}"));
    assert_null(strstr(out.out, "{\"method\":\"linear\"")); /* not of trees */
    live_write(&live, "broken.json", "{\"learner\": {");
    RUN("inspect", live_path(&live, "broken.json"));
    expect_error(1, "ingot inspect: ");
}

static void test_bad_rows(void **state)
{
    (void)state;
    live_write(&live, "a.csv", "first feature,f1,f2,f3,f4\n1,2,3,4,5\n");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "a.csv"));
    expect_error(1, "the header lacks 1 of the model's features: 'f5'");
    live_write(&live, "b.csv", "first feature,f1,f2,f3,f4,f5,who\n1,2,3,4,5,6,7\n");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "b.csv"));
    expect_error(1, "column 'who' is not a feature of the model");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "b.csv"), "--drop", "whom");
    expect_error(1, "--input: there is no column 'whom' to drop");
    live_write(&live, "c.csv", "first feature,f1,f2,f3,f4,f5\n1,2,3,4,5,6\n1,2,3,high,5,6\n");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "c.csv"));
    expect_error(1, "line 3");
    expect_error(1, "f3");
    expect_error(1, "high");
    live_write(&live, "d.csv", "first feature,f1,f2,f3,f4,f5\n1,2,3\n");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "d.csv"));
    expect_error(1, "line 2 has 3 fields, 6 were expected");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "d.csv"), "--no-header");
    assert_int_equal(out.code, 1);
    live_write(&live, "e.csv", "");
    RUN("predict", "--model", MODEL, "--input", live_path(&live, "e.csv"));
    expect_error(1, "the table is empty");
    RUN("predict", "--model", MODEL, "--input", "no such file");
    expect_error(1, "no such file");
}

static void test_usage(void **state)
{
    (void)state;
    RUN("predict", "--input", "x");
    expect_error(2, "--model FILE|models:/NAME/ALIAS is required");
    RUN("predict", "--model", "x", "--input", "y", "--rwa");
    expect_error(2, "unknown option '--rwa'");
    RUN("explain", "--model", "x", "--input", "y", "--top", "many");
    expect_error(2, "--top: 'many' is not a whole number");
    RUN("explain", "--model", "x", "--input", "y", "--format", "xml");
    expect_error(2, "--format: 'xml' is not one of csv|json|text");
    RUN("explain", "--model", "x", "--input", "y", "--method", "lime2");
    expect_error(2, "--method: unknown method 'lime2'");
    RUN("predict", "--raw=yes");
    expect_error(2, "--raw takes no value");
    RUN("inspect");
    expect_error(2, "expected FILE");
    RUN("inspect", "a", "b");
    expect_error(2, "unexpected argument 'b'");
    RUN("frobnicate");
    expect_error(2, "unknown verb 'frobnicate'");
    RUN("job", "frobnicate");
    expect_error(2, "unknown verb 'job frobnicate'; `ingot job --help` lists");
    RUN("job");
    expect_error(2, "usage: ingot job VERB");
    RUN("--help");
    expect_ok();
    assert_non_null(strstr(out.out, "job cancel ID"));
    RUN("job", "--help");
    expect_ok();
    assert_non_null(strstr(out.out, "usage: ingot job VERB"));
    assert_non_null(strstr(out.out, "job logs ID"));
    assert_null(strstr(out.out, "model list"));
    RUN("version");
    expect_ok();
    assert_int_equal(strncmp(out.out, "ingot ", 6), 0);
}

static void test_no_server(void **state)
{
    (void)state;
    RUN("model", "list", "--server", "http://127.0.0.1:1");
    expect_error(1, "hint: is the server running?");
    RUN("model", "list", "--server", "ftp://x");
    expect_error(1, "--server");
    RUN("server", "--data", live_path(&live, "open"), "--listen", "0.0.0.0:0");
    expect_error(1, "there are no API keys");
    RUN("server", "--set", "colour=blue");
    expect_error(1, "--set: 'colour=blue'");
    RUN("server", "--set", "loops=many");
    expect_error(1, "'many' is not a whole number");
    live_write(&live, "config.yaml", "listen: 127.0.0.1:0\nloop: 1\n");
    RUN("server", "--config", live_path(&live, "config.yaml"));
    expect_error(1, "line 2: unknown setting 'loop'");
    RUN("server", "--settings", "--set", "rows_max=7");
    expect_ok();
    assert_non_null(strstr(out.out, "rows_max: 7"));
}

/* Every shared model against the outputs that came with it. */
static void test_shared_models(void **state)
{
    (void)state;
    const char *root = getenv("INGOT_SHARED_DIR");
    char model[512], input[512], expected[512];
    struct stat info;
    if (!root) root = "../shared";
    if (stat(root, &info) != 0) skip();
    snprintf(model, sizeof model, "%s/models/lightgbm/mtpl_poisson.txt", root);
    snprintf(input, sizeof input, "%s/models/lightgbm/mtpl_poisson.inputs.tsv", root);
    snprintf(expected, sizeof expected, "%s/models/lightgbm/mtpl_poisson.pred.txt", root);
    RUN("predict", "--model", model, "--input", input, "--no-header");
    expect_ok();
    expect_numbers(out.out, slurp(expected), 1e-15);
    snprintf(model, sizeof model, "%s/models/xgboost/california_reg.ubj", root);
    snprintf(input, sizeof input, "%s/models/xgboost/california_reg.inputs.csv", root);
    snprintf(expected, sizeof expected, "%s/models/xgboost/california_reg.contribs.csv", root);
    RUN("explain", "--model", model, "--input", input);
    expect_ok();
    expect_numbers(strchr(out.out, '\n') + 1, strchr(slurp(expected), '\n') + 1, 3e-5);
}

/* OpenSSL and libzip are loaded by what needs them alone, and one that cannot be is named. */
static void test_libraries(void **state)
{
    (void)state;
    char dir[] = "/tmp/ingot-cli-XXXXXX", path[64];
    setenv("LD_TRACE_LOADED_OBJECTS", "1", 1);
    RUN("version");
    unsetenv("LD_TRACE_LOADED_OBJECTS");
    assert_non_null(strstr(out.out, "libc.so"));
    assert_null(strstr(out.out, "libcrypto"));
    assert_null(strstr(out.out, "libssl"));
    assert_null(strstr(out.out, "libzip"));

    assert_non_null(mkdtemp(dir));
    snprintf(path, sizeof path, "%s/" INGOT_CRYPTO_SONAME, dir);
    FILE *empty = fopen(path, "w");
    assert_non_null(empty);
    fclose(empty);
    setenv("LD_LIBRARY_PATH", dir, 1);
    RUN("version");
    assert_int_equal(out.code, 0);
    RUN("edge", "keygen", path);
    unsetenv("LD_LIBRARY_PATH");
    unlink(path);
    rmdir(dir);
    assert_int_equal(out.code, 127);
    assert_non_null(strstr(out.err, path));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_margins_are_exact),
        cmocka_unit_test(test_contributions),
        cmocka_unit_test(test_multiclass_blocks),
        cmocka_unit_test(test_ways_to_give_rows),
        cmocka_unit_test(test_packed_rows),
        cmocka_unit_test(test_text_explanation),
        cmocka_unit_test(test_sampled_text_explanation),
        cmocka_unit_test(test_json_explanation),
        cmocka_unit_test(test_inspect),
        cmocka_unit_test(test_bad_rows),
        cmocka_unit_test(test_usage),
        cmocka_unit_test(test_libraries),
        cmocka_unit_test(test_no_server),
        cmocka_unit_test(test_shared_models),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
