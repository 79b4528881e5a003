/* SPDX-License-Identifier: Apache-2.0 */
/* Issues: made, changed, and searched for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/issues.h"
#include "services/tracking/tracking_search.h"
#include "services/tracking/tracking_testing.h"
#include "services/tracking/tracking_traces.h"

#include <stdio.h>
#include <string.h>

static struct ig_issue spec_of(const char *name, const char *status, const char *severity)
{
    return (struct ig_issue){.id = IG_STR(""),
                             .name = ig_str_view(name),
                             .description = IG_STR("what"),
                             .status = ig_str_view(status),
                             .severity = ig_str_view(severity),
                             .source_run = IG_STR(""),
                             .created_by = IG_STR("")};
}

static struct ig_issue make(const char *name, const char *status, const char *severity)
{
    struct ig_issue made, spec = spec_of(name, status, severity);
    ASSERT_OK(ig_issue_create(&made, db, &spec, &arena, &err));
    return made;
}

static void expect_error(enum ig_code wanted, const char *words)
{
    if (err.code != wanted || !strstr(err.message, words))
        fail_msg("%s: %s", ig_code_name(err.code), err.message);
    ig_err_clear(&err);
}

static void test_making_and_changing(void **state)
{
    (void)state;
    const struct ig_tracking_run_spec of_run = {.experiment = 0, .user_id = IG_STR("")};
    struct ig_tracking_run run;
    ASSERT_OK(ig_tracking_run_create(&run, tracking, &of_run, &arena, &err));
    const struct ig_str causes[] = {IG_STR("a \"b\""), IG_STR("c")};
    struct ig_issue spec = spec_of("slow", "", "high"), made, found;
    spec.causes = (struct ig_issue_texts){causes, 2};
    spec.source_run = run.id;
    spec.created_by = IG_STR("ada");
    ASSERT_OK(ig_issue_create(&made, db, &spec, &arena, &err));
    assert_int_equal(made.id.len, 36);
    ASSERT_OK(ig_issue_get(&found, db, made.id, &arena, &err));
    assert_true(ig_str_is(found.status, "pending"));
    assert_true(ig_str_eq(found.source_run, run.id));
    assert_int_equal(found.causes.count, 2);
    assert_true(ig_str_is(found.causes.items[0], "a \"b\""));
    assert_int_equal(found.categories.count, 0);
    struct ig_issue change = spec_of("", "resolved", "");
    change.id = made.id;
    change.description = IG_STR("");
    ASSERT_OK(ig_issue_update(&found, db, &change, &arena, &err));
    assert_true(ig_str_is(found.name, "slow") && ig_str_is(found.description, "what"));
    assert_true(ig_str_is(found.status, "resolved") && ig_str_is(found.severity, "high"));
    change.id = IG_STR("iss-none");
    ig_issue_update(&found, db, &change, &arena, &err);
    expect_error(IG_NOT_FOUND, "Issue with ID 'iss-none' not found");
    ig_issue_get(&found, db, IG_STR("iss-none"), &arena, &err);
    expect_error(IG_NOT_FOUND, "Issue with ID 'iss-none' not found");
}

static void test_bad_ones(void **state)
{
    (void)state;
    struct ig_issue made, spec = spec_of("n", "open", "");
    ig_issue_create(&made, db, &spec, &arena, &err);
    expect_error(IG_INVALID, "Invalid value \"open\" for parameter 'status' supplied: expected one "
                             "of pending rejected resolved");
    spec = spec_of("n", "", "worst");
    ig_issue_create(&made, db, &spec, &arena, &err);
    expect_error(IG_INVALID, "parameter 'severity'");
    spec = spec_of("n", "", "");
    spec.experiment = 99;
    ig_issue_create(&made, db, &spec, &arena, &err);
    expect_error(IG_NOT_FOUND, "No Experiment with id=99");
    spec.experiment = 0;
    spec.source_run = IG_STR("no-run");
    ig_issue_create(&made, db, &spec, &arena, &err);
    expect_error(IG_NOT_FOUND, "no-run");
    char name[IG_ISSUE_NAME_MAX + 2];
    memset(name, 'n', sizeof name);
    spec = spec_of("", "", "");
    spec.name = (struct ig_str){name, IG_ISSUE_NAME_MAX + 1};
    ig_issue_create(&made, db, &spec, &arena, &err);
    expect_error(IG_INVALID, "'name' exceeds the maximum length of 250 characters");
    static struct ig_str many[IG_ISSUE_LIST_MAX + 1];
    spec = spec_of("n", "", "");
    spec.categories = (struct ig_issue_texts){many, IG_ISSUE_LIST_MAX + 1};
    ig_issue_create(&made, db, &spec, &arena, &err);
    expect_error(IG_INVALID, "categories: 101 given, expected at most 100");
}

static struct ig_tracking_found search(const char *filter, const int64_t *in, struct ig_str token,
                                       int64_t max)
{
    struct ig_tracking_found found = {.count = 0};
    const struct ig_tracking_search search = {.kind = IG_TRACKING_ISSUES,
                                              .experiments = in,
                                              .experiments_count = in != NULL,
                                              .filter = ig_str_view(filter),
                                              .view = IG_TRACKING_ALL,
                                              .results_max = max,
                                              .token = token};
    ig_tracking_search(&found, db, &search, &arena, &err);
    return found;
}

static void test_searches(void **state)
{
    (void)state;
    const int64_t zero = 0, one = 1;
    struct ig_issue low = make("low", "", "low"), none = make("none", "resolved", ""),
                    high = make("high", "rejected", "high");
    struct ig_tracking_found found = search("", NULL, IG_STR(""), 2);
    assert_int_equal(found.count, 2);
    assert_true(ig_str_eq(found.ids[0], high.id) && ig_str_eq(found.ids[1], low.id));
    found = search("", NULL, found.token, 2);
    assert_int_equal(found.count, 1);
    assert_true(ig_str_eq(found.ids[0], none.id));
    assert_int_equal(found.token.len, 0);
    assert_int_equal(search("", &zero, IG_STR(""), 9).count, 3);
    assert_int_equal(search("", &one, IG_STR(""), 9).count, 0);
    assert_int_equal(search("status = 'resolved'", &zero, IG_STR(""), 9).count, 1);
    assert_int_equal(
        search("status != 'resolved' AND status != \"rejected\"", NULL, IG_STR(""), 9).count, 1);
    assert_int_equal(search("source_run_id != 'x'", NULL, IG_STR(""), 9).count, 0);
    ASSERT_OK(err.code);
    static const struct {
        const char *filter, *words;
    } bad[] = {{"name = 'x'", "Invalid filter field 'name'. Supported fields: {'source_run_id', "
                              "'status'}"},
               {"tags.a = 'x'", "Invalid filter field 'tags.a'"},
               {"status LIKE 'x'", "Invalid comparator 'LIKE'"},
               {"status IS NULL", "Invalid clause(s)"}};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        search(bad[i].filter, NULL, IG_STR(""), 9);
        expect_error(IG_INVALID, bad[i].words);
    }
}

static struct ig_tracking_found search_counted(struct ig_str token, int64_t max)
{
    struct ig_tracking_found found = {.count = 0};
    const struct ig_tracking_search search = {.kind = IG_TRACKING_ISSUES,
                                              .filter = IG_STR(""),
                                              .traces_counted = true,
                                              .view = IG_TRACKING_ALL,
                                              .results_max = max,
                                              .token = token};
    ig_tracking_search(&found, db, &search, &arena, &err);
    return found;
}

/* The worst first, then those in most traces; a trace counts once. */
static void test_traces_are_counted(void **state)
{
    (void)state;
    const char *const traces[] = {"tr-1", "tr-1", "tr-2"};
    struct ig_tracking_trace trace = {.duration_ms = -1}, kept;
    struct ig_assessment made;
    struct ig_issue two = make("two", "", "low"), none = make("none", "", "low"),
                    worst = make("worst", "", "high"), found_issue;
    for (size_t i = 0; i < 3; i++) {
        trace.id = ig_str_view(traces[i]);
        ASSERT_OK(ig_tracking_trace_put(&kept, db, &trace, &arena, &err));
        const struct ig_assessment given = {.kind = IG_ASSESSMENT_ISSUE,
                                            .id = IG_STR(""),
                                            .trace = trace.id,
                                            .name = two.id,
                                            .value = IG_STR("{}"),
                                            .source_type = IG_STR("HUMAN"),
                                            .valid = true};
        ASSERT_OK(ig_assessment_create(&made, db, &given, &arena, &err));
    }
    ASSERT_OK(ig_issue_get(&found_issue, db, two.id, &arena, &err));
    assert_int_equal(found_issue.traces_count, 2);
    struct ig_tracking_found found = search_counted(IG_STR(""), 2);
    assert_int_equal(found.count, 2);
    assert_true(ig_str_eq(found.ids[0], worst.id) && ig_str_eq(found.ids[1], two.id));
    struct ig_str token = found.token;
    found = search_counted(token, 2);
    assert_int_equal(found.count, 1);
    assert_true(ig_str_eq(found.ids[0], none.id));
    search("", NULL, token, 2);
    expect_error(IG_INVALID, "is of another search");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {TEST(test_making_and_changing), TEST(test_bad_ones),
                                       TEST(test_searches), TEST(test_traces_are_counted)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
