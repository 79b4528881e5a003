/* SPDX-License-Identifier: Apache-2.0 */
/* Reports that are kept: what is read of them, what is refused, when they are outdated, where they
 * go with their model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/approval/approval_testing.h"
#include "services/approval/report.h"

#include <math.h>
#include <string.h>

#define ONE ((struct ig_gate_subject){IG_STR("m"), 1})
#define FAIRNESS                                                                                   \
    "{\"rows\":7,\"positive\":\"yes\",\"protected\":[{\"column\":\"sex\",\"groups\":[{\"x\":[1,{}" \
    "]}],"                                                                                         \
    "\"demographic_parity\":{\"difference\":{\"value\":0.25,\"low\":0.2,\"high\":0.3},\"ratio\":"  \
    "null,"                                                                                        \
    "\"most\":\"a\",\"least\":\"b\"},\"four_fifths\":\"fail\",\"equalized_odds_difference\":"      \
    "{\"value\":0.1,\"low\":null,\"high\":null}},{\"column\":\"age\",\"demographic_parity\":null}" \
    "]}"
#define IMPORTANCE                                                                                 \
    "{\"kind\":\"gain\",\"features\":[{\"feature\":\"f\",\"importance\":3.5},"                     \
    "{\"feature\":\"g\",\"importance\":1,\"low\":0.5,\"high\":1.5}]}"

static void test_summaries(void **state)
{
    (void)state;
    struct ig_report_summary read;
    ASSERT_OK(ig_report_summarize(&read, IG_REPORT_FAIRNESS, IG_STR(FAIRNESS), &arena, &err));
    assert_int_equal(read.rows, 7);
    assert_true(ig_str_is(read.positive, "yes"));
    assert_int_equal(read.columns_count, 2);
    const struct ig_report_column *column = read.columns;
    assert_true(ig_str_is(column->name, "sex") && ig_str_is(column->four_fifths, "fail"));
    assert_true(ig_str_is(column->most, "a") && ig_str_is(column->least, "b"));
    assert_true(column->parity.known && column->parity.value == 0.25 && column->parity.low == 0.2 &&
                column->parity.high == 0.3);
    assert_true(column->odds.known && column->odds.value == 0.1 && isnan(column->odds.low));
    assert_true(!column[1].parity.known && ig_str_is(column[1].four_fifths, "unknown"));
    ASSERT_OK(ig_report_summarize(&read, IG_REPORT_IMPORTANCE, IG_STR(IMPORTANCE), &arena, &err));
    assert_true(ig_str_is(read.kind, "gain") && read.features_count == 2);
    assert_true(ig_str_is(read.features[0].name, "f"));
    assert_true(read.features[0].importance.value == 3.5 && isnan(read.features[0].importance.low));
    assert_true(read.features[1].importance.high == 1.5);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        enum ig_report_kind kind;
        const char *text, *message;
    } cases[] = {
        {IG_REPORT_FAIRNESS, "", "unexpected end"},
        {IG_REPORT_FAIRNESS, "[]", "report"},
        {IG_REPORT_FAIRNESS, "{}", "protected: missing"},
        {IG_REPORT_FAIRNESS, IMPORTANCE, "protected: missing"},
        {IG_REPORT_IMPORTANCE, FAIRNESS, "features: missing"},
        {IG_REPORT_FAIRNESS, "{\"protected\":{}}", "protected"},
        {IG_REPORT_FAIRNESS, "{\"protected\":[1]}", "protected"},
        {IG_REPORT_FAIRNESS, "{\"protected\":[]} x", ""},
        {IG_REPORT_FAIRNESS, "{\"protected\":[{\"demographic_parity\":3}]}", "demographic_parity"},
        {IG_REPORT_FAIRNESS, "{\"protected\":[{\"equalized_odds_difference\":{\"low\":\"x\"}}]}",
         "low: expected a number"},
        {IG_REPORT_IMPORTANCE, "{\"features\":[{\"importance\":\"x\"}]}", "importance"},
        {IG_REPORT_IMPORTANCE, "{\"features\":[{\"feature\":1}]}", "feature"},
    };
    struct ig_report found;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        ig_err_clear(&err);
        enum ig_code code = ig_report_keep(db, &IG_PRINCIPAL_LOCAL, ONE, cases[i].kind,
                                           ig_str_view(cases[i].text), &err);
        assert_true(code == IG_INVALID || code == IG_PARSE);
        if (!strstr(err.message, cases[i].message)) fail_msg("%s: %s", cases[i].text, err.message);
    }
    ig_err_clear(&err);
    ASSERT_FAILS(ig_report_get(&found, db, ONE, IG_REPORT_FAIRNESS, &arena, &err), IG_NOT_FOUND,
                 "version 1 of model 'm' has no report of fairness");
    const struct ig_gate_subject other = {IG_STR("m"), 2};
    ASSERT_FAILS(
        ig_report_keep(db, &IG_PRINCIPAL_LOCAL, other, IG_REPORT_FAIRNESS, IG_STR(FAIRNESS), &err),
        IG_NOT_FOUND, "");
    enum ig_report_kind kind;
    ASSERT_FAILS(ig_report_kind_parse(&kind, IG_STR("shap"), &err), IG_INVALID,
                 "report: 'shap', expected fairness or importance");
}

static enum ig_code rename_in(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    (void)context;
    ig_db_exec(tx,
               "insert into models(name, description, created_ms, last_version)"
               " values('n', '', 1, 1)",
               NULL, 0, inner);
    ig_db_exec(tx, "update versions set model = 'n'", NULL, 0, inner);
    return ig_gate_rename(tx, IG_STR("m"), IG_STR("n"), inner);
}

static void test_life(void **state)
{
    (void)state;
    struct ig_report found;
    ASSERT_OK(ig_report_keep(db, &IG_PRINCIPAL_LOCAL, ONE, IG_REPORT_IMPORTANCE,
                             IG_STR("{\"features\":[]}"), &err));
    ASSERT_OK(ig_report_keep(db, &IG_PRINCIPAL_LOCAL, ONE, IG_REPORT_IMPORTANCE, IG_STR(IMPORTANCE),
                             &err));
    ASSERT_OK(ig_report_get(&found, db, ONE, IG_REPORT_IMPORTANCE, &arena, &err));
    assert_true(ig_str_is(found.json, IMPORTANCE) && !found.outdated && found.by.len);
    ig_statement_write(db, "update versions set digest = 'd2'");
    ASSERT_OK(ig_report_get(&found, db, ONE, IG_REPORT_IMPORTANCE, &arena, &err));
    assert_true(found.outdated);
    ASSERT_OK(ig_db_write(db, rename_in, NULL, &err));
    const struct ig_gate_subject renamed = {IG_STR("n"), 1};
    ASSERT_OK(ig_report_get(&found, db, renamed, IG_REPORT_IMPORTANCE, &arena, &err));
    ASSERT_OK(ig_report_delete(db, &IG_PRINCIPAL_LOCAL, renamed, IG_REPORT_IMPORTANCE, &err));
    ASSERT_FAILS(ig_report_delete(db, &IG_PRINCIPAL_LOCAL, renamed, IG_REPORT_IMPORTANCE, &err),
                 IG_NOT_FOUND, "no report of importance");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_summaries), CASE(test_refused), CASE(test_life)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
