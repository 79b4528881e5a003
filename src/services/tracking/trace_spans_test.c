/* SPDX-License-Identifier: Apache-2.0 */
/* Spans that come before, with and after what the client tells of their trace, and the searches,
 * counts and metrics over them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/tracking/trace_spans.h"
#include "services/tracking/tracking_search.h"
#include "services/tracking/tracking_testing.h"

#include <math.h>
#include <string.h>

#define TRACE_A "tr-000000000000000000000000000000aa"
#define TRACE_B "tr-000000000000000000000000000000bb"

static struct ig_trace_span span_of(const char *trace, const char *id, const char *parent)
{
    struct ig_trace_span span = {.trace = ig_str_view(trace),
                                 .id = ig_str_view(id),
                                 .parent = ig_str_view(parent),
                                 .name = ig_str_view(id),
                                 .status = IG_STR("OK"),
                                 .start_ns = 5000000000,
                                 .end_ns = 7000000000};
    span.content = ig_str_view(ig_arena_printf(
        &arena, "{\"name\": \"%s\", \"attributes\": {\"m\": \"\\\"x%%y\\\"\"}}", id));
    for (size_t i = 0; i < IG_TRACE_TOKENS_COUNT; i++) span.tokens[i] = -1;
    for (size_t i = 0; i < IG_TRACE_COSTS_COUNT; i++) span.costs[i] = NAN;
    return span;
}

static void put(const struct ig_trace_span *spans, size_t count)
{
    const struct ig_trace_spans_batch batch = {.spans = spans, .count = count};
    ASSERT_OK(ig_trace_spans_put(db, &batch, &arena, &err));
}

static struct ig_tracking_trace get(const char *trace)
{
    struct ig_tracking_trace found;
    ASSERT_OK(ig_tracking_trace_get(&found, db, ig_str_view(trace), &arena, &err));
    return found;
}

static const char *pair(struct ig_tracking_pairs pairs, const char *key)
{
    for (size_t i = 0; i < pairs.count; i++)
        if (ig_str_is(pairs.items[i].key, key)) return ig_arena_cstr(&arena, pairs.items[i].value);
    return "none";
}

static void test_spans_make_their_trace(void **state)
{
    (void)state;
    struct ig_trace_span child = span_of(TRACE_A, "child", "root");
    struct ig_trace_span root = span_of(TRACE_A, "root", NULL);
    const struct ig_tracking_pair tag = {IG_STR("service.name"), IG_STR("svc")};
    struct ig_trace_spans spans;
    child.end_ns = 0;
    child.tags = (struct ig_tracking_pairs){&tag, 1};
    put(&child, 1);
    struct ig_tracking_trace trace = get(TRACE_A);
    assert_int_equal(trace.status, 3);
    assert_int_equal(trace.start_ms, 5000);
    assert_int_equal(trace.duration_ms, -1);
    assert_string_equal(pair(trace.tags, IG_TRACE_SPANS_TAG), "TRACKING_STORE");
    assert_string_equal(pair(trace.tags, "service.name"), "svc");
    assert_string_equal(pair(trace.tags, "mlflow.artifactLocation"),
                        "mlflow-artifacts:/0/traces/" TRACE_A "/artifacts");
    root.start_ns = 4000000000;
    root.status = IG_STR("ERROR");
    root.inputs = IG_STR("{\"q\":1}");
    root.session = IG_STR("s1");
    put(&root, 1);
    trace = get(TRACE_A);
    assert_int_equal(trace.status, 2);
    assert_int_equal(trace.start_ms, 4000);
    assert_int_equal(trace.duration_ms, 3000);
    assert_true(ig_str_is(trace.request_preview, "{\"q\":1}"));
    assert_string_equal(pair(trace.metadata, "mlflow.trace.session"), "s1");
    put(&child, 1); /* again: replaced */
    ASSERT_OK(ig_trace_spans_read(&spans, db, IG_STR(TRACE_A), &arena, &err));
    assert_int_equal(spans.count, 2);
    assert_true(spans.here && spans.whole);
    assert_non_null(strstr(spans.contents[0].ptr, "\"root\""));
    ASSERT_FAILS(ig_trace_spans_read(&spans, db, IG_STR("tr-none"), &arena, &err), IG_NOT_FOUND,
                 "Trace with ID tr-none is not found.");
}

static void test_what_is_told_stays(void **state)
{
    (void)state;
    const struct ig_tracking_pair stats = {IG_STR("mlflow.trace.sizeStats"),
                                           IG_STR("{\"num_spans\": 2}")};
    const struct ig_tracking_trace told = {.id = IG_STR(TRACE_A),
                                           .status = 1,
                                           .start_ms = 1,
                                           .duration_ms = 2,
                                           .metadata = {&stats, 1}};
    struct ig_tracking_trace trace;
    struct ig_trace_spans spans;
    ASSERT_OK(ig_tracking_trace_put(&trace, db, &told, &arena, &err));
    ASSERT_OK(ig_trace_spans_read(&spans, db, IG_STR(TRACE_A), &arena, &err));
    assert_false(spans.here || spans.whole);
    struct ig_trace_span root = span_of(TRACE_A, "root", NULL);
    put(&root, 1);
    trace = get(TRACE_A);
    assert_int_equal(trace.status, 1);
    assert_int_equal(trace.start_ms, 1);
    assert_int_equal(trace.duration_ms, 2);
    ASSERT_OK(ig_trace_spans_read(&spans, db, IG_STR(TRACE_A), &arena, &err));
    assert_true(spans.here && !spans.whole);
}

/* A parent's number holds its children's, so these do not count again. */
static void test_sums(void **state)
{
    (void)state;
    struct ig_trace_span spans[] = {span_of(TRACE_A, "a", NULL), span_of(TRACE_A, "b", "a"),
                                    span_of(TRACE_A, "c", "b"),  span_of(TRACE_A, "d", "c"),
                                    span_of(TRACE_A, "e", "a"),  span_of(TRACE_A, "x", "y"),
                                    span_of(TRACE_A, "y", "x")};
    spans[1].tokens[IG_TRACE_INPUT_TOKENS] = 10;
    spans[1].tokens[IG_TRACE_TOTAL_TOKENS] = 12;
    spans[3].tokens[IG_TRACE_INPUT_TOKENS] = 10; /* below b */
    spans[4].tokens[IG_TRACE_INPUT_TOKENS] = 5;
    spans[4].tokens[IG_TRACE_CACHE_READ_TOKENS] = 3;
    spans[5].tokens[IG_TRACE_OUTPUT_TOKENS] = 1; /* its own ancestor: no end */
    spans[3].costs[IG_TRACE_TOTAL_COST] = 0.25;
    put(spans + 2, 5);
    put(spans, 2);
    struct ig_tracking_trace trace = get(TRACE_A);
    assert_string_equal(pair(trace.metadata, "mlflow.trace.tokenUsage"),
                        "{\"input_tokens\": 15, \"output_tokens\": 0, \"total_tokens\": 12,"
                        " \"cache_read_input_tokens\": 3}");
    assert_string_equal(pair(trace.metadata, "mlflow.trace.cost"),
                        "{\"input_cost\": 0.0, \"output_cost\": 0.0, \"total_cost\": 0.25}");
}

static void test_all_or_none(void **state)
{
    (void)state;
    struct ig_trace_span spans[] = {span_of(TRACE_A, "a", NULL), span_of("../x", "b", NULL)};
    struct ig_tracking_trace trace;
    const struct ig_trace_spans_batch batch = {.spans = spans, .count = 2};
    const struct ig_trace_spans_batch elsewhere = {.experiment = 99, .spans = spans, .count = 1};
    ASSERT_FAILS(ig_trace_spans_put(db, &batch, &arena, &err), IG_INVALID, "parameter 'trace_id'");
    ASSERT_FAILS(ig_trace_spans_put(db, &elsewhere, &arena, &err), IG_NOT_FOUND,
                 "No Experiment with id=99 exists");
    ASSERT_FAILS(ig_tracking_trace_get(&trace, db, IG_STR(TRACE_A), &arena, &err), IG_NOT_FOUND,
                 "not found");
}

static void test_a_long_preview_is_cut(void **state)
{
    (void)state;
    struct ig_trace_span root = span_of(TRACE_A, "a", NULL);
    char *text = ig_arena_alloc(&arena, 2200);
    for (size_t i = 0; i < 2200; i += 2) memcpy(text + i, "\xC3\xBC", 2);
    root.inputs = (struct ig_str){text, 2000};
    root.outputs = (struct ig_str){text, 2200};
    put(&root, 1);
    struct ig_tracking_trace trace = get(TRACE_A);
    assert_int_equal(trace.request_preview.len, 2000);
    assert_int_equal(trace.response_preview.len, 2 * 997 + 3);
    assert_true(ig_str_utf8_valid(trace.response_preview));
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
    const struct ig_str filters[] = {ig_str_view(filter)};
    int64_t counted;
    const struct ig_tracking_counts counts = {filters, &counted, 1};
    ASSERT_OK(ig_tracking_search(&page, db, &search, &arena, &err));
    ASSERT_OK(ig_tracking_traces_count(&counts, db, &search, &arena, &err));
    assert_int_equal(counted, page.count);
    return page.count;
}

static void test_search(void **state)
{
    (void)state;
    struct ig_trace_span spans[] = {span_of(TRACE_A, "a", NULL), span_of(TRACE_A, "b", "a"),
                                    span_of(TRACE_B, "a", NULL)};
    spans[0].type = IG_STR("LLM");
    spans[2].type = IG_STR("TOOL");
    spans[2].content = IG_STR("{\"attributes\": {\"m\": \"42\", \"mm\": \"\\\"text\\\"\"}}");
    put(spans, 3);
    static const struct {
        const char *filter;
        size_t count;
    } cases[] = {
        {"span.name = 'a'", 2},
        {"span.name = 'b' AND span.type = 'LLM'", 0}, /* no one span is both */
        {"span.name = 'a' AND span.type = 'LLM'", 1},
        {"span.type IN ('LLM', 'TOOL')", 2},
        {"span.status != 'OK'", 0},
        {"trace.text LIKE '%\"b\"%'", 1},
        {"span.content ILIKE '%TEXT%'", 1},
        {"span.attributes.m = 'x%y'", 1},
        {"span.attributes.m = 'x%'", 0},
        {"span.attributes.m = '42'", 1},
        {"span.attributes.m IN ('42', 'x%y')", 2},
        {"span.attributes.m != '42'", 1},
        {"span.attributes.nothing != '42'", 0},
        {"span.attributes.m LIKE '%x%'", 2}, /* as MLflow: of all that follows */
        {"span.attributes.`m` LIKE '%x%'", 2},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (found(cases[i].filter) != cases[i].count)
            fail_msg("%s: %zu", cases[i].filter, found(cases[i].filter));
}

static void test_deleting_takes_all(void **state)
{
    (void)state;
    struct ig_trace_span root = span_of(TRACE_A, "a", NULL);
    const struct ig_str ids[] = {IG_STR(TRACE_A)};
    const struct ig_tracking_trace_deletion deletion = {.ids = ids, .ids_count = 1};
    struct ig_assessment made, assessment = {.trace = IG_STR(TRACE_A),
                                             .id = IG_STR(""),
                                             .name = IG_STR("n"),
                                             .value = IG_STR("1"),
                                             .source_type = IG_STR("CODE"),
                                             .valid = true};
    size_t count;
    put(&root, 1);
    ASSERT_OK(ig_assessment_create(&made, db, &assessment, &arena, &err));
    ASSERT_OK(ig_tracking_traces_delete(&count, db, &IG_PRINCIPAL_LOCAL, &deletion, &arena, &err));
    assert_int_equal(count, 1);
    put(&root, 1);
    assert_int_equal(get(TRACE_A).assessments.count, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spans_make_their_trace, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_told_stays, setup, teardown),
        cmocka_unit_test_setup_teardown(test_sums, setup, teardown),
        cmocka_unit_test_setup_teardown(test_all_or_none, setup, teardown),
        cmocka_unit_test_setup_teardown(test_a_long_preview_is_cut, setup, teardown),
        cmocka_unit_test_setup_teardown(test_search, setup, teardown),
        cmocka_unit_test_setup_teardown(test_deleting_takes_all, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
