/* SPDX-License-Identifier: Apache-2.0 */
/* Pruning of a golden model to each form and each end. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/edge/edge_prune.h"
#include "stores/temp_testing.h"

#include <math.h>
#include <string.h>

static struct ig_err err;
static struct ig_package *package;
static char csv[8192];

/* Rows of the model's features and a column of the truth. */
static int setup(void **state)
{
    (void)state;
    const struct ig_schema *schema;
    size_t at = 0;
    err = IG_ERR_INIT;
    ASSERT_OK(ig_package_open(&package, IG_FILE_CWD,
                              "tests/golden/xgboost/binary_missing/model.json", NULL, &err));
    schema = &package->schema;
    for (uint32_t f = 0; f < schema->features_count; f++)
        at += (size_t)snprintf(csv + at, sizeof csv - at, "%.*s,",
                               IG_STR_ARGS(schema->features[f].name));
    at += (size_t)snprintf(csv + at, sizeof csv - at, "y\n");
    for (uint32_t i = 0; i < 60; i++) {
        for (uint32_t f = 0; f < schema->features_count; f++)
            at += (size_t)snprintf(csv + at, sizeof csv - at, "%g,",
                                   ((double)(i * 37 % 101) - 50) * (f + 1) / 20);
        at += (size_t)snprintf(csv + at, sizeof csv - at, "%u\n", i % 2);
    }
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_package_free(package);
    return 0;
}

static struct ig_edge_prune options_of(bool rows)
{
    return (struct ig_edge_prune){.csv = rows ? ig_str_view(csv) : (struct ig_str){NULL, 0},
                                  .target = IG_STR(""),
                                  .leaves = IG_COMPACT_WANT_INT16,
                                  .loss_max = (double)NAN};
}

static void test_without_rows(void **state)
{
    (void)state;
    struct ig_edge_pruned pruned;
    struct ig_edge_prune options = options_of(false);
    options.leaves_max = 20;
    ASSERT_OK(ig_edge_prune_run(&pruned, package, &options, &err));
    assert_true(pruned.before.leaves > 20 && pruned.after.leaves <= 20);
    assert_true(isnan(pruned.after.loss) && pruned.judge_rows == 0);
    assert_memory_equal(pruned.file.ptr, "PK", 2);
    ig_edge_pruned_deinit(&pruned);
    options.form = IG_EDGE_PRUNE_COMPACT;
    options.leaves_max = 0;
    options.bytes_max = 600;
    ASSERT_OK(ig_edge_prune_run(&pruned, package, &options, &err));
    assert_true(pruned.file.len <= 600 && pruned.file.len == pruned.after.bytes);
    ig_edge_pruned_deinit(&pruned);
}

/* By the model's own answers the loss stays within a hundredth of its own. */
static void test_with_rows(void **state)
{
    (void)state;
    struct ig_edge_pruned pruned;
    struct ig_json_out out;
    struct ig_buf report;
    struct ig_edge_prune options = options_of(true);
    options.form = IG_EDGE_PRUNE_XGBOOST;
    ASSERT_OK(ig_edge_prune_run(&pruned, package, &options, &err));
    assert_int_equal(pruned.fit_rows, 40);
    assert_int_equal(pruned.judge_rows, 20);
    assert_true(pruned.after.leaves <= pruned.before.leaves);
    assert_true(pruned.after.loss <= pruned.before.loss + 0.01 * fabs(pruned.before.loss) + 1e-9);
    assert_int_equal(pruned.file.ptr[0], '{');
    ig_buf_init(&report, 4096);
    ig_json_out_init(&out, &report);
    ig_json_out_object(&out);
    ig_edge_pruned_write(&out, &pruned);
    ig_json_out_object_end(&out);
    ig_buf_add_char(&report, 0);
    assert_non_null(strstr(report.ptr, "\"judge_rows\":20}"));
    ig_buf_deinit(&report);
    ig_edge_pruned_deinit(&pruned);
}

static void expect_refused(const struct ig_edge_prune *options, const char *message)
{
    struct ig_edge_pruned pruned;
    ASSERT_FAILS(ig_edge_prune_run(&pruned, package, options, &err), IG_INVALID, message);
    ig_edge_pruned_deinit(&pruned);
}

static void test_refused(void **state)
{
    (void)state;
    struct ig_edge_prune options = options_of(false);
    expect_refused(&options, "without rows, a number of leaves or bytes says when to end");
    options.refit = true;
    options.leaves_max = 9;
    expect_refused(&options, "refit needs rows");
    options = options_of(true);
    options.target = IG_STR("none");
    expect_refused(&options, "table: 'none' is no column of the table");
    options.csv = IG_STR("");
    expect_refused(&options, "table: ");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_without_rows), CASE(test_with_rows),
                                       CASE(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
