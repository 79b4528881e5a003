/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/registered/source_pattern.h"

#include <string.h>

static bool fits(const char *pattern, struct ig_str source)
{
    struct ig_source_pattern *made = NULL;
    struct ig_err err = IG_ERR_INIT;
    if (ig_source_pattern_new(&made, pattern, &err) != IG_OK) fail_msg("%s", err.message);
    bool fits = ig_source_pattern_fits(made, source);
    ig_source_pattern_free(made);
    return fits;
}

static void test_patterns(void **state)
{
    (void)state;
    static const char PROXIED[] = "^mlflow-artifacts:/.*$";
    assert_true(fits(PROXIED, IG_STR("mlflow-artifacts:/0/a/artifacts/model")));
    assert_false(fits(PROXIED, IG_STR("s3://path/to/model")));
    assert_true(fits("^(s3|gs)://[a-z.]+/", IG_STR("gs://bucket.one/x")));
    assert_true(fits("b", IG_STR("abc"))); /* anywhere */
    assert_true(fits("^a\\.b$", IG_STR("a.b")));
    assert_false(fits("^a\\.b$", IG_STR("acb")));
    assert_true(fits("^ab$", (struct ig_str){"abc", 2})); /* ends where the source does */
    assert_false(fits("^ab", (struct ig_str){"a\0b", 3}));
    assert_false(fits("c$", (struct ig_str){"abc", 2}));
}

static void expect_refusal(const char *pattern, const char *word)
{
    struct ig_source_pattern *made = NULL;
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_source_pattern_new(&made, pattern, &err), IG_INVALID);
    assert_null(made);
    if (!strstr(err.message, word)) fail_msg("%s", err.message);
}

static void test_refusals(void **state)
{
    (void)state;
    expect_refusal("^s3://(", "^s3://(");
    expect_refusal("[", "[");
    expect_refusal("^v\\d+$", "'\\d'");
    expect_refusal("\\\\\\w", "'\\w'");
    assert_true(fits("\\\\d", IG_STR("\\d")));
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_patterns),
                                       cmocka_unit_test(test_refusals)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
