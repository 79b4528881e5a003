/* SPDX-License-Identifier: Apache-2.0 */
/* Traces as clients write them, and searches for them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/artifacts.h"
#include "services/tracking/tracking_search.h"
#include "services/tracking/tracking_testing.h"
#include "services/tracking/tracking_traces.h"

#include <string.h>

static struct ig_tracking_trace put(const char *id, const char *name, int64_t status,
                                    int64_t start_ms, int64_t duration_ms)
{
    struct ig_tracking_trace made;
    const struct ig_tracking_pair tag = {IG_STR(IG_TRACKING_TRACE_NAME), ig_str_view(name)};
    const struct ig_tracking_pair metadata = {IG_STR("meta"), ig_str_view(id)};
    const struct ig_tracking_trace trace = {.id = ig_str_view(id),
                                            .status = status,
                                            .start_ms = start_ms,
                                            .duration_ms = duration_ms,
                                            .metadata = {&metadata, 1},
                                            .tags = {&tag, 1}};
    ASSERT_OK(ig_tracking_trace_put(&made, db, &trace, &arena, &err));
    return made;
}

static struct ig_str tag_of(const struct ig_tracking_trace *trace, const char *key)
{
    for (size_t i = 0; i < trace->tags.count; i++)
        if (ig_str_is(trace->tags.items[i].key, key)) return trace->tags.items[i].value;
    return IG_STR("none");
}

static void test_a_trace(void **state)
{
    (void)state;
    struct ig_tracking_trace trace = put("tr-1", "f", 1, 1000, 5), again;
    assert_true(ig_str_is(tag_of(&trace, "mlflow.artifactLocation"),
                          "mlflow-artifacts:/0/traces/tr-1/artifacts"));
    assert_true(ig_str_is(tag_of(&trace, IG_TRACKING_TRACE_NAME), "f"));
    assert_int_equal(trace.duration_ms, 5);
    assert_null(trace.client_id.ptr);
    /* told again: what is not told stays */
    const struct ig_tracking_pair tag = {IG_STR("t"), IG_STR("1")};
    const struct ig_tracking_trace more = {.id = IG_STR("tr-1"),
                                           .status = 2,
                                           .start_ms = 1000,
                                           .duration_ms = -1,
                                           .client_id = IG_STR("c"),
                                           .tags = {&tag, 1}};
    ASSERT_OK(ig_tracking_trace_put(&again, db, &more, &arena, &err));
    assert_int_equal(again.status, 2);
    assert_int_equal(again.duration_ms, 5);
    assert_int_equal(again.tags.count, 3);
    assert_int_equal(again.metadata.count, 1);
    assert_true(ig_str_is(again.client_id, "c"));
    ASSERT_OK(ig_tracking_trace_untag(db, IG_STR("tr-1"), IG_STR("t"), &err));
    ASSERT_FAILS(ig_tracking_trace_untag(db, IG_STR("tr-1"), IG_STR("t"), &err), IG_NOT_FOUND,
                 "No trace tag with key 't' for trace with ID 'tr-1'");
    ASSERT_FAILS(ig_tracking_trace_tag(db, IG_STR("no"), tag, &err), IG_NOT_FOUND,
                 "Trace with ID 'no' not found.");
    ASSERT_FAILS(ig_tracking_trace_get(&again, db, IG_STR("no"), &arena, &err), IG_NOT_FOUND,
                 "Trace with ID 'no' not found.");
}

static void test_refusals(void **state)
{
    (void)state;
    int64_t other;
    struct ig_tracking_trace made, trace = put("tr-1", "f", 1, 1000, 5);
    const struct ig_tracking_experiment_spec spec = {.name = IG_STR("other")};
    ASSERT_OK(ig_tracking_experiment_create(&other, tracking, &IG_PRINCIPAL_LOCAL, &spec, &err));
    trace.experiment = other;
    ASSERT_FAILS(ig_tracking_trace_put(&made, db, &trace, &arena, &err), IG_EXISTS,
                 "Trace with ID 'tr-1' is of another experiment.");
    static const char *const bad[] = {
        "../x", "a/b",      "a.b",
        "a b",  "\xC3\xBC", "012345678901234567890123456789012345678901234567890"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        trace.id = ig_str_view(bad[i]);
        ASSERT_FAILS(ig_tracking_trace_put(&made, db, &trace, &arena, &err), IG_INVALID,
                     "for parameter 'trace_id' supplied");
    }
    trace.id = IG_STR("tr-2");
    trace.experiment = 99;
    ASSERT_FAILS(ig_tracking_trace_put(&made, db, &trace, &arena, &err), IG_NOT_FOUND,
                 "No Experiment with id=99 exists");
}

static void test_start_and_end(void **state)
{
    (void)state;
    struct ig_tracking_trace trace = put("", "", 3, 1000, -1), ended;
    assert_int_equal(trace.id.len, IG_TRACKING_TRACE_ID);
    assert_int_equal(trace.duration_ms, -1);
    const struct ig_tracking_pair metadata = {IG_STR("meta"), IG_STR("new")};
    const struct ig_tracking_trace_end end = {
        .id = trace.id, .end_ms = 3000, .status = 1, .metadata = {&metadata, 1}};
    ASSERT_OK(ig_tracking_trace_end(&ended, db, &end, &arena, &err));
    assert_int_equal(ended.status, 1);
    assert_int_equal(ended.duration_ms, 2000);
    assert_true(ig_str_is(ended.metadata.items[0].value, "new"));
}

/* The ids that a search finds, joined by blanks. */
static const char *found(const char *filter, const char *order, int64_t max, struct ig_str *token)
{
    static const int64_t experiment = 0;
    static char text[256];
    struct ig_tracking_found page;
    const struct ig_str orders = ig_str_view(order);
    const struct ig_tracking_search search = {.kind = IG_TRACKING_TRACES,
                                              .experiments = &experiment,
                                              .experiments_count = 1,
                                              .filter = ig_str_view(filter),
                                              .orders = &orders,
                                              .orders_count = *order != 0,
                                              .view = IG_TRACKING_ALL,
                                              .results_max = max,
                                              .token = token ? *token : IG_STR("")};
    ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
    size_t used = 0;
    text[0] = '\0';
    for (size_t i = 0; i < page.count; i++)
        used += (size_t)snprintf(text + used, sizeof text - used, "%s%.*s", i ? " " : "",
                                 IG_STR_ARGS(page.ids[i]));
    if (token) *token = page.token;
    return text;
}

static void test_search(void **state)
{
    (void)state;
    struct ig_tracking_run run;
    const struct ig_tracking_run_spec spec = {.start_ms = 5};
    const struct ig_str linked = IG_STR("a");
    put("b", "second", 2, 2000, 10);
    put("c", "third", 3, 3000, -1);
    ASSERT_OK(ig_tracking_run_create(&run, tracking, &spec, &arena, &err));
    ASSERT_OK(ig_tracking_traces_link(db, &linked, 1, run.id, &err));
    ASSERT_OK(ig_tracking_traces_link(db, &linked, 1, run.id, &err));
    put("a", "first", 1, 1000, 30); /* after it was linked */
    static const struct {
        const char *filter, *order, *ids;
    } cases[] = {
        {"", "", "c b a"},
        {"", "timestamp ASC", "a b c"},
        {"", "execution_time_ms DESC", "a b c"},
        {"", "name DESC", "c b a"},
        {"status = 'OK'", "", "a"},
        {"trace.status != 'OK'", "", "c b"},
        {"timestamp_ms > 1000 AND attributes.execution_time < 20", "", "b"},
        {"end_time = 1030", "", "a"},
        {"name LIKE '%r%d'", "", "c"},
        {"name IN ('first', 'third')", "", "c a"},
        {"tags.`mlflow.traceName` = 'second'", "", "b"},
        {"metadata.meta = 'c'", "", "c"},
        {"request_metadata.none IS NULL", "", "c b a"},
        {"request_id = 'b'", "", "b"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *ids = found(cases[i].filter, cases[i].order, 10, NULL);
        if (strcmp(ids, cases[i].ids) != 0)
            fail_msg("%s, %s: %s", cases[i].filter, cases[i].order, ids);
    }
    assert_string_equal(
        found(ig_arena_printf(&arena, "run_id = '%.*s'", IG_STR_ARGS(run.id)), "", 10, NULL), "a");
}

static size_t remove_traces(const struct ig_tracking_trace_deletion *deletion)
{
    size_t count = 0;
    ASSERT_OK(ig_tracking_traces_delete(&count, db, &IG_PRINCIPAL_LOCAL, deletion, &arena, &err));
    return count;
}

/* The page behind one whose last row was deleted goes on behind it. */
static void test_deletion(void **state)
{
    (void)state;
    struct ig_str token = IG_STR("");
    struct ig_artifact artifact = {.size_bytes = 1};
    const struct ig_str ids[] = {IG_STR("b"), IG_STR("none"), IG_STR("b")};
    memset(artifact.digest, 'a', IG_SHA256_HEX - 1);
    put("a", "first", 1, 1000, 30);
    put("b", "second", 2, 2000, 10);
    put("c", "third", 3, 3000, -1);
    ASSERT_OK(ig_artifacts_put(db, &IG_PRINCIPAL_LOCAL, IG_STR("0/traces/b/artifacts/traces.json"),
                               &artifact, &err));
    assert_string_equal(found("", "", 2, &token), "c b");
    assert_int_equal(
        remove_traces(&(struct ig_tracking_trace_deletion){.ids = ids, .ids_count = 3}), 1);
    ASSERT_FAILS(ig_artifacts_get(&artifact, db, IG_STR("0/traces/b/artifacts/traces.json"), &err),
                 IG_NOT_FOUND, "there is no artifact");
    assert_string_equal(found("", "", 2, &token), "a");
    assert_int_equal(
        remove_traces(&(struct ig_tracking_trace_deletion){.until_ms = 5000, .max = 1}), 1);
    assert_string_equal(found("", "", 2, NULL), "c");
    assert_int_equal(
        remove_traces(&(struct ig_tracking_trace_deletion){.until_ms = 2999, .max = 9}), 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_a_trace), CASE(test_refusals),
                                       CASE(test_start_and_end), CASE(test_search),
                                       CASE(test_deletion)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
