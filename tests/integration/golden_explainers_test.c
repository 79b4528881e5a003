/* SPDX-License-Identifier: Apache-2.0 */
/* Saabas' values and pairwise interactions of golden models as XGBoost computed them (in float):
 * tests/golden/explainers.csv, by make_explainers.py. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"
#include "formats/package.h"
#include "formats/rows.h"
#include "kernels/explain/explain.h"

#include <math.h>
#include <stdio.h>

enum { ROWS_MAX = 64, FEATURES_MAX = 64 };

static const double TOLERANCE = 5e-5;

/* The case and method of the line before. */
static struct {
    char name[128], method[64];
    struct ig_package *package;
    struct ig_explain *explain;
    double rows[ROWS_MAX * FEATURES_MAX];
    size_t rows_count;
} current;

static struct ig_arena arena;
static struct ig_err err;

static void close_case(void)
{
    ig_explain_free(current.explain);
    ig_package_free(current.package);
    current.explain = NULL;
    current.package = NULL;
}

static void read_rows(void)
{
    char path[256];
    struct ig_rows *rows = NULL;
    struct ig_buf csv;
    ig_buf_init(&csv, 1 << 24);
    snprintf(path, sizeof path, "tests/golden/%s/input.csv", current.name);
    assert_true(current.package->model->features_count <= FEATURES_MAX);
    if (ig_file_read(&csv, IG_FILE_CWD, path, &err) != IG_OK ||
        ig_rows_open_bytes(&rows, ig_buf_view(&csv), &current.package->schema, NULL, &err) !=
            IG_OK ||
        ig_rows_next(rows, current.rows, ROWS_MAX, &current.rows_count, &err) != IG_OK)
        fail_msg("%s: %s", path, err.message);
    ig_rows_close(rows);
    ig_buf_deinit(&csv);
}

static void open_case(struct ig_str name, struct ig_str method)
{
    char path[256];
    struct ig_explain_spec spec = {0};
    if (ig_str_is(name, current.name) && ig_str_is(method, current.method)) return;
    close_case();
    snprintf(current.name, sizeof current.name, "%.*s", IG_STR_ARGS(name));
    snprintf(current.method, sizeof current.method, "%.*s", IG_STR_ARGS(method));
    snprintf(path, sizeof path, "tests/golden/%s/model.json", current.name);
    assert_true(ig_explainer_parse(method, &spec.method));
    if (ig_package_open(&current.package, IG_FILE_CWD, path, NULL, &err) != IG_OK ||
        ig_explain_new(&current.explain, current.package->engine, &spec, &err) != IG_OK)
        fail_msg("%s: %s", path, err.message);
    read_rows();
}

/* case, method, row, values. */
static void check_line(const struct ig_str *fields, size_t count)
{
    struct ig_explanations found;
    uint64_t row;
    open_case(fields[0], fields[1]);
    assert_true(ig_str_to_u64(fields[2], &row) && row < current.rows_count);
    const struct ig_explain_options options = {.output = IG_EXPLAIN_PREDICTED};
    const struct ig_explain_rows rows = {
        current.rows + row * current.package->model->features_count, 1};
    if (ig_explain_run(&found, current.explain, &rows, &options, &arena, &err) != IG_OK)
        fail_msg("%s %s: %s", current.name, current.method, err.message);
    size_t stride = found.players_count + (size_t)1;
    const double *values = found.interactions ? found.interactions : found.contributions;
    assert_int_equal(count - 3, found.values_count * stride * (found.interactions ? stride : 1));
    for (size_t i = 3; i < count; i++) {
        double want, got = values[i - 3];
        assert_true(ig_str_to_f64(fields[i], &want));
        if (!(fabs(got - want) <= TOLERANCE * fmax(1, fabs(want))))
            fail_msg("%s %s, row %d, value %zu: %.9g, expected %.9g", current.name, current.method,
                     (int)row, i - 3, got, want);
    }
}

static void test_xgboost(void **state)
{
    struct ig_csv *csv = NULL;
    struct ig_buf bytes;
    const struct ig_str *fields;
    size_t count, lines = 0;
    (void)state;
    ig_buf_init(&bytes, 1 << 22);
    assert_int_equal(ig_file_read(&bytes, IG_FILE_CWD, "tests/golden/explainers.csv", &err), IG_OK);
    assert_int_equal(ig_csv_open_bytes(&csv, ig_buf_view(&bytes), NULL, &err), IG_OK);
    for (; ig_csv_next(csv, &fields, &count, &err); lines++) {
        check_line(fields, count);
        ig_arena_reset(&arena);
    }
    assert_int_equal(err.code, IG_OK);
    assert_true(lines > 250);
    ig_csv_close(csv);
    ig_buf_deinit(&bytes);
    close_case();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_xgboost)};
    ig_arena_init(&arena, 1 << 16, 1 << 28);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
