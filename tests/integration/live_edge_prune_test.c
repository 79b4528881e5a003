/* SPDX-License-Identifier: Apache-2.0 */
/* `ingot edge prune` on golden models: every form of file, every end, and what is refused. */
#include "support/live.h"

#include "base/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MODEL "tests/golden/xgboost/binary_missing/model.json"
#define CLASSES "tests/golden/lightgbm/multiclass/model.txt"

static struct live live;
static struct live_run out;
static char rows[256], classes_rows[256], made[256];

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})

static void copy_rows(char path[256], const char *from, const char *to)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    ig_buf_init(&text, 1 << 20);
    assert_int_equal(ig_file_read(&text, IG_FILE_CWD, from, &err), IG_OK);
    live_write(&live, to, text.ptr);
    ig_buf_deinit(&text);
    snprintf(path, 256, "%s", live_path(&live, to));
}

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    copy_rows(rows, "tests/golden/xgboost/binary_missing/input.csv", "rows.csv");
    copy_rows(classes_rows, "tests/golden/lightgbm/multiclass/input.csv", "classes.csv");
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

/* The number after `name` behind `after` in the report. */
static double figure(const char *after, const char *name)
{
    char key[64];
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(out.out, after);
    at = at ? strstr(at, key) : NULL;
    if (!at) fail_msg("no %s: %s", name, out.out);
    return strtod(at + strlen(key), NULL);
}

static const char *file(const char *name)
{
    snprintf(made, sizeof made, "%s", live_path(&live, name));
    return made;
}

static void test_forms_of_the_file(void **state)
{
    (void)state;
    static const char *const NAMES[] = {"small.json", "small.ige", "small.zip"};
    for (size_t i = 0; i < 3; i++) {
        RUN("edge", "prune", MODEL, "--input", rows, "--leaves-at-most", "20", "--output",
            file(NAMES[i]), "--format", "json");
        expect_ok();
        assert_true(figure("after", "leaves") <= 20);
        assert_true(figure("before", "leaves") > 40);
        assert_true(figure("after", "compact_bytes") < figure("before", "compact_bytes"));
        assert_true(figure("after", "loss") > figure("before", "loss"));
        if (i == 1) continue; /* it has no names for the columns */
        RUN("predict", "--model", made, "--input", rows);
        expect_ok();
    }
    RUN("inspect", made);
    expect_ok();
    assert_non_null(strstr(out.out, "golden rows"));
}

static void test_ends(void **state)
{
    (void)state;
    RUN("edge", "prune", MODEL, "--bytes-at-most", "700", "--output", file("small.ige"));
    expect_ok();
    RUN("edge", "inspect", made, "--format", "json");
    expect_ok();
    assert_true(figure("", "file_bytes") <= 700);
    RUN("edge", "prune", CLASSES, "--input", classes_rows, "--refit", "--loss-at-most", "1.3",
        "--output", file("small.json"), "--format", "json");
    expect_ok();
    assert_true(figure("after", "loss") <= 1.31);
    RUN("edge", "prune", CLASSES, "--input", classes_rows, "--drop-trees", "--output",
        file("small.json"), "--format", "json");
    expect_ok();
    assert_true(figure("after", "loss") <= 1.02 * figure("before", "loss"));
    RUN("edge", "prune", MODEL, "--input", rows, "--output", file("small.json"));
    expect_ok();
    assert_non_null(strstr(out.out, "others judged"));
}

static void test_refusals(void **state)
{
    (void)state;
    RUN("edge", "prune", MODEL, "--output", file("no.json"));
    expect_error(2, "without --input");
    RUN("edge", "prune", MODEL, "--leaves-at-most", "1", "--output", made);
    expect_error(1, "leaves_max 1");
    RUN("edge", "prune", MODEL, "--leaves-at-most", "9", "--bytes-at-most", "9", "--output", made);
    expect_error(2, "exclude each other");
    RUN("edge", "prune", MODEL, "--leaves-at-most", "9", "--refit", "--output", made);
    expect_error(2, "--refit needs");
    RUN("edge", "prune", MODEL, "--input", rows, "--target", "none", "--output", made);
    expect_error(1, "'none' is no column");
    RUN("edge", "prune", MODEL, "--target", "none", "--output", made);
    expect_error(2, "--target is a column of --input");
    RUN("edge", "prune", MODEL, "--input", rows, "--loss-at-most", "x", "--output", made);
    expect_error(1, "--loss-at-most: 'x' is no number");
    RUN("edge", "prune", MODEL, "--leaves-at-most", "0", "--output", made);
    expect_error(2, "--leaves-at-most is 0, expected at least 1");
    RUN("edge", "prune", "tests/golden/xgboost/gblinear_binary/model.json", "--leaves-at-most", "9",
        "--output", made);
    expect_error(1, "only tree ensembles");
    RUN("edge", "prune", "tests/golden/lightgbm/zero_as_missing/model.txt", "--leaves-at-most", "9",
        "--output", made);
    expect_error(1, "zeros that count as missing");
    struct ig_err err = IG_ERR_INIT;
    struct ig_buf text;
    ig_buf_init(&text, 1 << 20);
    assert_int_equal(ig_file_read(&text, IG_FILE_CWD, made, &err), IG_NOT_FOUND);
    ig_buf_deinit(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forms_of_the_file),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_refusals),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
