/* SPDX-License-Identifier: Apache-2.0 */
/* Assessments: made, read, changed, overridden, deleted, searched by. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/assessments.h"
#include "services/tracking/tracking_search.h"
#include "services/tracking/tracking_testing.h"
#include "services/tracking/tracking_traces.h"
#include "stores/statement_testing.h"

#include <string.h>

static int setup_traces(void **state)
{
    setup(state);
    const struct ig_tracking_trace traces[] = {{.id = IG_STR("tr-1"), .duration_ms = -1},
                                               {.id = IG_STR("tr-2"), .duration_ms = -1}};
    struct ig_tracking_trace made;
    for (size_t i = 0; i < 2; i++)
        ASSERT_OK(ig_tracking_trace_put(&made, db, &traces[i], &arena, &err));
    return 0;
}

static struct ig_assessment of(enum ig_assessment_kind kind, const char *name, const char *value)
{
    return (struct ig_assessment){.kind = kind,
                                  .id = IG_STR(""),
                                  .trace = IG_STR("tr-1"),
                                  .name = ig_str_view(name),
                                  .value = ig_str_view(value),
                                  .source_type = IG_STR("HUMAN"),
                                  .valid = true};
}

static struct ig_assessment make(struct ig_assessment given)
{
    struct ig_assessment made;
    ASSERT_OK(ig_assessment_create(&made, db, &given, &arena, &err));
    return made;
}

static struct ig_assessment get(struct ig_str id)
{
    struct ig_assessment found;
    ASSERT_OK(ig_assessment_get(&found, db, IG_STR("tr-1"), id, &arena, &err));
    return found;
}

static void test_made_and_changed(void **state)
{
    (void)state;
    const struct ig_tracking_pair old[] = {{IG_STR("a"), IG_STR("1")},
                                           {IG_STR("b"), IG_STR("\"2")}};
    const struct ig_tracking_pair new[] = {{IG_STR("b"), IG_STR("3")}, {IG_STR("c"), IG_STR("4")}};
    struct ig_assessment given = of(IG_ASSESSMENT_FEEDBACK, "q", "{\"r\": 4.0}"), changed;
    given.metadata = (struct ig_tracking_pairs){old, 2};
    given.source_id = IG_STR("me");
    struct ig_assessment made = make(given), found = get(made.id);
    assert_int_equal(made.id.len, 34);
    assert_true(ig_str_is(found.value, "{\"r\": 4.0}"));
    assert_true(ig_str_is(found.metadata.items[1].value, "\"2"));
    assert_true(found.valid && found.source_id.ptr && !found.span.ptr && !found.rationale.ptr);
    const struct ig_assessment value = of(IG_ASSESSMENT_FEEDBACK, "", "5.0");
    const struct ig_assessment_change change = {.trace = IG_STR("tr-1"),
                                                .id = made.id,
                                                .rationale = IG_STR("why"),
                                                .value = &value,
                                                .metadata = {new, 2}};
    ASSERT_OK(ig_assessment_update(&changed, db, &change, &arena, &err));
    found = get(made.id);
    assert_true(ig_str_is(found.name, "q"));
    assert_true(ig_str_is(found.value, "5.0"));
    assert_true(ig_str_is(found.rationale, "why"));
    assert_int_equal(found.metadata.count, 3);
    assert_true(ig_str_is(found.metadata.items[1].value, "3"));
    assert_int_equal(found.created_ms, made.created_ms);
    const struct ig_assessment other = of(IG_ASSESSMENT_EXPECTATION, "", "1");
    const struct ig_assessment_change wrong = {
        .trace = IG_STR("tr-1"), .id = made.id, .value = &other};
    ASSERT_FAILS(ig_assessment_update(&changed, db, &wrong, &arena, &err), IG_INVALID,
                 "Cannot update expectation value on a Feedback assessment.");
}

static void test_one_overrides_another(void **state)
{
    (void)state;
    struct ig_assessment first = make(of(IG_ASSESSMENT_FEEDBACK, "q", "1.0"));
    struct ig_assessment given = of(IG_ASSESSMENT_FEEDBACK, "q", "2.0"), made;
    given.overrides = first.id;
    struct ig_assessment second = make(given);
    assert_false(get(first.id).valid);
    assert_true(get(second.id).valid);
    ASSERT_OK(ig_assessment_delete(db, IG_STR("tr-1"), second.id, &err));
    assert_true(get(first.id).valid);
    ASSERT_OK(ig_assessment_delete(db, IG_STR("tr-1"), second.id, &err)); /* no error */
    given.overrides = IG_STR("a-none");
    ASSERT_FAILS(ig_assessment_create(&made, db, &given, &arena, &err), IG_NOT_FOUND,
                 "Assessment with ID 'a-none' not found for trace 'tr-1'");
    struct ig_tracking_trace trace;
    ASSERT_OK(ig_tracking_trace_get(&trace, db, IG_STR("tr-1"), &arena, &err));
    assert_int_equal(trace.assessments.count, 1); /* nothing of what was refused */
}

static void test_refusals(void **state)
{
    (void)state;
    struct ig_assessment given = of(IG_ASSESSMENT_FEEDBACK, "q", "1.0"), made;
    given.id = IG_STR("mine");
    make(given);
    ASSERT_FAILS(ig_assessment_create(&made, db, &given, &arena, &err), IG_EXISTS,
                 "Assessment with ID 'mine' already exists.");
    ASSERT_FAILS(ig_assessment_get(&made, db, IG_STR("tr-2"), IG_STR("mine"), &arena, &err),
                 IG_NOT_FOUND, "Assessment with ID 'mine' not found for trace 'tr-2'");
    ASSERT_FAILS(ig_assessment_get(&made, db, IG_STR("tr-3"), IG_STR("mine"), &arena, &err),
                 IG_NOT_FOUND, "Trace with request_id 'tr-3' not found");
    const struct ig_assessment again[] = {given};
    struct ig_tracking_trace trace = {
        .id = IG_STR("tr-2"), .duration_ms = -1, .assessments = {again, 1}};
    struct ig_tracking_trace told;
    ASSERT_FAILS(ig_tracking_trace_put(&told, db, &trace, &arena, &err), IG_EXISTS,
                 "Assessment with ID 'mine' is of another trace.");
    char name[300];
    memset(name, 'n', sizeof name);
    given = of(IG_ASSESSMENT_FEEDBACK, "", "1.0");
    given.name = (struct ig_str){name, sizeof name};
    ASSERT_FAILS(ig_assessment_create(&made, db, &given, &arena, &err), IG_INVALID,
                 "assessment_name");
}

static size_t found(const char *filter)
{
    const int64_t experiments[] = {0};
    const struct ig_tracking_search search = {.kind = IG_TRACKING_TRACES,
                                              .view = IG_TRACKING_ALL,
                                              .experiments = experiments,
                                              .experiments_count = 1,
                                              .results_max = 100,
                                              .filter = ig_str_view(filter)};
    struct ig_tracking_found page;
    ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
    return page.count;
}

static void test_search(void **state)
{
    (void)state;
    struct ig_assessment first = make(of(IG_ASSESSMENT_FEEDBACK, "score", "0.75"));
    struct ig_assessment text = of(IG_ASSESSMENT_FEEDBACK, "verdict", "\"yes\"");
    text.trace = IG_STR("tr-2");
    make(text);
    make(of(IG_ASSESSMENT_EXPECTATION, "answer", "\"42\""));
    make(of(IG_ASSESSMENT_ISSUE, "iss-1", "{\"issue_name\": \"slow\"}"));
    static const struct {
        const char *filter;
        size_t count;
    } cases[] = {
        {"feedback.score = '0.75'", 1},     {"feedback.score > 0.5", 1},
        {"feedback.score >= 0.76", 0},      {"feedback.score != '0.75'", 0},
        {"feedback.verdict = 'yes'", 1},    {"feedback.verdict > 0", 0},
        {"feedback.verdict LIKE '%e%'", 1}, {"feedback.score IS NULL", 1},
        {"feedback.none IS NULL", 2},       {"feedback.score IS NOT NULL", 1},
        {"expectation.answer = '42'", 1},   {"feedback.answer = '42'", 0},
        {"issue.id = 'iss-1'", 1},          {"issue.id = 'iss-2'", 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (found(cases[i].filter) != cases[i].count)
            fail_msg("%s: %zu", cases[i].filter, found(cases[i].filter));
    struct ig_assessment better = of(IG_ASSESSMENT_FEEDBACK, "score", "1.0");
    better.overrides = first.id;
    make(better);
    assert_int_equal(found("feedback.score = '0.75'"), 0); /* it is not valid any more */
}

/* ---- those that were told as one text ---- */

static enum ig_code tell_old(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    (void)context;
    return ig_db_exec(tx,
                      "insert into assessments_told(trace, content) values ('gone', '[1]'),"
                      " ('tr-1', 'two'), ('tr-2', 'bad')",
                      NULL, 0, inner);
}

static enum ig_code read_old(struct ig_assessments *out, struct ig_str content,
                             struct ig_arena *into, struct ig_err *inner)
{
    static struct ig_assessment items[2];
    (void)into;
    if (!ig_str_is(content, "two")) return ig_fail(inner, IG_PARSE, "%.*s", IG_STR_ARGS(content));
    items[0] = of(IG_ASSESSMENT_FEEDBACK, "q", "1.0");
    items[0].id = IG_STR("a-1");
    items[0].valid = false;
    items[0].created_ms = 5;
    items[1] = of(IG_ASSESSMENT_FEEDBACK, "q", "2.0");
    items[1].overrides = IG_STR("a-1");
    *out = (struct ig_assessments){items, 2};
    return IG_OK;
}

static void test_told_as_text(void **state)
{
    (void)state;
    struct ig_tracking_trace trace;
    ASSERT_OK(ig_db_write(db, tell_old, NULL, &err));
    for (int again = 0; again < 2; again++) {
        ASSERT_OK(ig_assessments_carry(db, read_old, &err));
        assert_int_equal(ig_statement_number(db, "select count(*) from assessments_told"), 2);
        ASSERT_OK(ig_tracking_trace_get(&trace, db, IG_STR("tr-1"), &arena, &err));
        assert_int_equal(trace.assessments.count, 2);
    }
    assert_true(ig_str_is(trace.assessments.items[0].id, "a-1"));
    assert_true(!trace.assessments.items[0].valid && trace.assessments.items[1].valid);
    assert_true(trace.assessments.items[0].created_ms == 5);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_made_and_changed, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_one_overrides_another, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_search, setup_traces, teardown),
        cmocka_unit_test_setup_teardown(test_told_as_text, setup_traces, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
