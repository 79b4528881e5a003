/* SPDX-License-Identifier: Apache-2.0 */
/* Importances of the golden models next to what their libraries say; over a table; refusals. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/csv.h"
#include "base/file.h"
#include "formats/importance_report.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ig_arena arena;
static struct ig_err err;

static void open_case(struct ig_package **out, struct ig_str name)
{
    static const char *const FILES[] = {"model.json", "model.txt"};
    char path[512];
    bool xgboost = ig_str_starts(name, IG_STR("xgboost"));
    snprintf(path, sizeof path, "tests/golden/%.*s/%s", IG_STR_ARGS(name), FILES[!xgboost]);
    if (ig_package_open(out, IG_FILE_CWD, path, NULL, &err) != IG_OK)
        fail_msg("%s: %s", path, err.message);
}

static double importance_of(const struct ig_importance_report *report, struct ig_str feature)
{
    for (size_t i = 0; i < report->count; i++)
        if (ig_str_eq(report->items[i].name, feature)) return report->items[i].importance;
    fail_msg("no feature %.*s", IG_STR_ARGS(feature));
    return NAN;
}

/* case, kind, values: as tests/golden/make_importance.py wrote them. */
static void check_line(const struct ig_str *fields, size_t count)
{
    struct ig_package *package = NULL;
    struct ig_importance_report report;
    const struct ig_importance_spec spec = {.kind = fields[1]};
    open_case(&package, fields[0]);
    if (ig_importance_report_run(&report, package, &spec, &arena, &err) != IG_OK)
        fail_msg("%.*s: %s", IG_STR_ARGS(fields[0]), err.message);
    assert_int_equal(report.count, count - 2);
    for (size_t i = 0; i < report.count; i++) {
        double want, got = importance_of(&report, package->schema.features[i].name);
        assert_true(ig_str_to_f64(fields[2 + i], &want));
        if (fabs(got - want) > 1e-5 * fmax(1, fabs(want)))
            fail_msg("%.*s %.*s of feature %zu: %g, expected %g", IG_STR_ARGS(fields[0]),
                     IG_STR_ARGS(fields[1]), i, got, want);
    }
    ig_package_free(package);
}

static void test_golden(void **state)
{
    struct ig_csv *csv = NULL;
    struct ig_buf bytes;
    const struct ig_str *fields;
    size_t count, lines = 0;
    (void)state;
    ig_buf_init(&bytes, 1 << 20);
    assert_int_equal(ig_file_read(&bytes, IG_FILE_CWD, "tests/golden/importance.csv", &err), IG_OK);
    assert_int_equal(ig_csv_open_bytes(&csv, ig_buf_view(&bytes), NULL, &err), IG_OK);
    for (; ig_csv_next(csv, &fields, &count, &err); lines++) {
        check_line(fields, count);
        ig_arena_reset(&arena);
    }
    assert_int_equal(err.code, IG_OK);
    assert_true(lines > 200);
    ig_csv_close(csv);
    ig_buf_deinit(&bytes);
}

struct fixture {
    struct ig_package *package;
    struct ig_buf csv;
    struct ig_importance_spec spec;
    struct ig_importance_report report;
};

static enum ig_code run(struct fixture *x)
{
    err = IG_ERR_INIT;
    x->spec.csv = ig_buf_view(&x->csv);
    return ig_importance_report_run(&x->report, x->package, &x->spec, &arena, &err);
}

static void begin(struct fixture *x, const char *name)
{
    char path[512];
    *x = (struct fixture){0};
    open_case(&x->package, ig_str_view(name));
    ig_buf_init(&x->csv, 1 << 24);
    snprintf(path, sizeof path, "tests/golden/%s/input.csv", name);
    assert_int_equal(ig_file_read(&x->csv, IG_FILE_CWD, path, &err), IG_OK);
}

static void end(struct fixture *x)
{
    ig_package_free(x->package);
    ig_buf_deinit(&x->csv);
    ig_arena_reset(&arena);
}

/* The mean size of the library's own contributions. */
static void test_shap(void **state)
{
    struct fixture x;
    struct ig_csv *csv = NULL;
    const struct ig_str *fields;
    struct ig_buf bytes;
    double sums[64] = {0};
    size_t count, rows = 0;
    (void)state;
    begin(&x, "xgboost/binary_missing");
    ig_buf_init(&bytes, 1 << 24);
    assert_int_equal(
        ig_file_read(&bytes, IG_FILE_CWD, "tests/golden/xgboost/binary_missing/contribs.csv", &err),
        IG_OK);
    assert_int_equal(ig_csv_open_bytes(&csv, ig_buf_view(&bytes), NULL, &err), IG_OK);
    for (; ig_csv_next(csv, &fields, &count, &err); rows++)
        for (size_t i = 0; i + 1 < count; i++) {
            double value;
            assert_true(ig_str_to_f64(fields[i], &value));
            sums[i] += fabs(value);
        }
    assert_int_equal(run(&x), IG_OK);
    assert_int_equal(x.report.rows_count, rows);
    assert_string_equal(x.report.method, "tree_path_dependent");
    for (uint32_t i = 0; i < x.package->schema.features_count; i++) {
        double want = sums[i] / (double)rows;
        double got = importance_of(&x.report, x.package->schema.features[i].name);
        assert_true(fabs(got - want) <= 1e-5 * fmax(1, want));
    }
    for (size_t i = 1; i < x.report.count; i++)
        assert_true(x.report.items[i].importance <= x.report.items[i - 1].importance);
    assert_true(x.report.items[0].half > 0);
    ig_csv_close(csv);
    ig_buf_deinit(&bytes);
    end(&x);
}

/* A table labelled by the model itself: error 0, and shuffling what it goes by does harm. */
static void test_permutation(void **state)
{
    struct fixture x;
    struct ig_buf labelled;
    struct ig_str rest;
    double score;
    (void)state;
    begin(&x, "xgboost/binary_missing");
    ig_buf_init(&labelled, 1 << 24);
    rest = ig_buf_view(&x.csv);
    const struct ig_predictor predictor = ig_predictor_response(x.package->engine);
    size_t bytes = predictor.scratch_bytes(&predictor, 1);
    void *scratch = ig_arena_alloc_aligned(&arena, bytes ? bytes : 64, 64);
    double row[64];
    struct ig_str line = ig_str_cut(&rest, '\n');
    ig_buf_printf(&labelled, "%.*s,y\n", IG_STR_ARGS(line));
    while (rest.len) {
        struct ig_str fields = line = ig_str_cut(&rest, '\n');
        for (uint32_t i = 0; i < x.package->schema.features_count; i++)
            if (!ig_str_to_f64(ig_str_cut(&fields, ','), &row[i])) row[i] = NAN;
        predictor.run(&predictor, row, 1, &score, scratch);
        ig_buf_printf(&labelled, "%.*s,%d\n", IG_STR_ARGS(line), score > 0.5);
    }
    ig_buf_reset(&x.csv);
    ig_buf_add(&x.csv, labelled.ptr, labelled.len);
    x.spec.kind = IG_STR("permutation");
    x.spec.label = IG_STR("y");
    x.spec.metric = IG_STR("error");
    if (run(&x) != IG_OK) fail_msg("%s", err.message);
    assert_true(x.report.score == 0);
    assert_true(x.report.items[0].importance > 0.01);
    assert_true(x.report.items[0].half > 0 && x.report.items[0].sd >= 0);
    x.spec.metric = IG_STR("auc");
    assert_int_equal(run(&x), IG_OK);
    assert_true(x.report.score == 1 && isnan(x.report.items[0].half));
    ig_buf_deinit(&labelled);
    end(&x);
}

static void test_refusals(void **state)
{
    struct fixture x;
    (void)state;
    begin(&x, "xgboost/binary_missing");
#define REFUSED(text)                                                                              \
    do {                                                                                           \
        assert_int_not_equal(run(&x), IG_OK);                                                      \
        if (strncmp(err.message, text, strlen(text)) != 0) fail_msg("%s", err.message);            \
    } while (0)
    x.spec.kind = IG_STR("best");
    REFUSED("kind: unknown kind 'best'; known: split, gain, ");
    x.spec.kind = IG_STR("permutation");
    REFUSED("label: missing; the model names no target");
    x.spec.label = IG_STR("y");
    REFUSED("label: 'y' is no column of the table");
    x.spec.label = x.package->schema.features[0].name;
    REFUSED("label: row 1: ");
    x.spec.metric = IG_STR("rmse");
    REFUSED("metric: rmse does not go with this model's task");
    x.spec.metric = IG_STR("f1");
    REFUSED("metric: unknown metric 'f1'");
    x.spec.repeats = 1001;
    REFUSED("repeats: 1001, at most 1000");
    ig_buf_reset(&x.csv);
    x.spec.kind = IG_STR("shap");
    REFUSED("kind: shap importance is of a table, and none is given");
    end(&x);
    err = IG_ERR_INIT;
    begin(&x, "xgboost/gblinear_binary");
    x.spec.kind = IG_STR("gain");
    REFUSED("kind: gain importance is of trees, which this model is not");
    end(&x);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_golden),
        cmocka_unit_test(test_shap),
        cmocka_unit_test(test_permutation),
        cmocka_unit_test(test_refusals),
    };
    err = IG_ERR_INIT;
    ig_arena_init(&arena, 1 << 16, 1 << 28);
    int code = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return code;
}
