/* SPDX-License-Identifier: Apache-2.0 */
/* Spans in and out, as clients send and ask for them. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_traces_testing.h"

static void test_spans(void **state)
{
    (void)state;
    static const struct {
        const char *type, *body, *words;
        int status; /* 0: the code's own */
    } bad[] = {
        {"text/plain", "{}", "Invalid Content-Type: text/plain. Expected:", 0},
        {JSON, "{}", "Invalid OpenTelemetry format - no spans found", 0},
        {JSON, "{", "Invalid OpenTelemetry format: ", 0},
        {"application/x-protobuf", "{", "Invalid OpenTelemetry format: ", 0},
        {JSON, "{\"resourceSpans\":[{\"scopeSpans\":[{\"spans\":[{}]}]}]}",
         "Cannot convert OpenTelemetry span to MLflow span: ", 422},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *said = ask(ig_mlflow_spans_put, bad[i].type, bad[i].body, "");
        if (!strstr(said, bad[i].words) || test.call.status != bad[i].status)
            fail_msg("%s: %s", bad[i].body, said);
    }
    assert_string_equal(ask(ig_mlflow_spans_put, JSON "; charset=utf-8", SPANS, ""), "{}");
    assert_string_equal(ask(ig_mlflow_spans_put, "application/x-protobuf", "\x0a\x02\x18\x01", ""),
                        "");
    const char *whole = by_query(ig_mlflow_trace_whole, "trace_id=" TRACE "&allow_partial=false");
    assert_non_null(strstr(whole, "\"execution_duration\":\"1.500s\",\"state\":\"OK\""));
    assert_non_null(strstr(whole, "\"spans\":[{\"trace_id\":\"ASNFZ4mrze8BI0VniavN7w==\""));
    assert_non_null(strstr(by_query(ig_mlflow_traces_whole, "trace_ids=x&trace_ids=" TRACE),
                           "{\"traces\":[{\"trace_info\":"));
    assert_string_equal(by_query(ig_mlflow_trace_whole, "trace_id=tr-no"),
                        "Trace with ID tr-no is not found.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_spans, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
