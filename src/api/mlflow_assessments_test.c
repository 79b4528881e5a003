/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about assessments, as clients send them. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_traces_testing.h"

#define CREATE(assessment) ask(ig_mlflow_assessment_create, JSON, assessment, "")

static void test_assessments(void **state)
{
    (void)state;
    ask(ig_mlflow_spans_put, JSON, SPANS, "");
    assert_non_null(strstr(
        CREATE("{\"assessment\":{\"assessment_id\":\"one\",\"assessmentName\":\"q\",\"feedback\":{"
               "\"value\":{\"r\":4},\"error\":{\"error_code\":\"C\"}},\"source\":{\"source_type\":"
               "\"HUMAN\",\"source_id\":\"me\"},\"span_id\":\"\",\"metadata\":{\"m\":\"1\"},"
               "\"rationale\":null,\"unknown\":1}}"),
        "\"source\":{\"source_type\":\"HUMAN\",\"source_id\":\"me\"}"));
    assert_non_null(strstr(test.exchange.reply.ptr, "\"feedback\":{\"value\":{\"r\": 4.0},"
                                                    "\"error\":{\"error_code\":\"C\"}}"));
    assert_null(strstr(test.exchange.reply.ptr, "span_id"));
    assert_non_null(strstr(
        CREATE("{\"assessment\":{\"assessment_name\":\"e\",\"expectation\":{\"serialized_value\":{"
               "\"serialization_format\":\"JSON_FORMAT\",\"value\":\"[1,2]\"}},\"source\":{"
               "\"sourceType\":3}}}"),
        "\"expectation\":{\"serialized_value\":{\"serialization_format\":\"JSON_FORMAT\",\"value\":"
        "\"[1, 2]\"}}"));
    assert_non_null(strstr(test.exchange.reply.ptr, "\"source_type\":\"CODE\""));
    assert_non_null(strstr(CREATE("{\"assessment\":{\"assessment_name\":\"i\",\"issue\":{"
                                  "\"issue_name\":\"slow\"}}}"),
                           "\"valid\":true,\"issue\":{\"issue_name\": \"slow\"}}"));
    static const char *const bad[][2] = {
        {"{}", "Missing value for required parameter 'assessment'"},
        {"{\"assessment\":{}}", "Unknown assessment type: None"},
        {"{\"assessment\":{\"feedback\":3}}", "value"},
        {"{\"assessment\":{\"create_time\":\"now\"}}", "parameter 'create_time' supplied"},
        {"{\"assessment\":[]}", "assessment"},
        {"{\"assessment\":{\"feedback\":{\"value\":1},\"overrides\":\"a-no\"}}", "a-no"},
        {"{\"assessment\":{\"expectation\":{\"serialized_value\":{\"value\":\"[\"}}}}", "JSON"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        const char *said = CREATE(bad[i][0]);
        if (test.call.err.code == IG_OK || !strstr(said, bad[i][1]))
            fail_msg("%s: %s", bad[i][0], said);
    }
    assert_non_null(strstr(ask(ig_mlflow_assessment_update, JSON,
                               "{\"assessment\":{\"feedback\":{\"value\":\"good\"},\"rationale\":"
                               "\"why\"},\"update_mask\":\"feedback,rationale\"}",
                               "one"),
                           "\"feedback\":{\"value\":\"good\"},\"rationale\":\"why\",\"metadata\":{"
                           "\"m\":\"1\"}"));
    static const char *const refused[][2] = {
        {"{\"assessment\":{}}", "required parameter 'update_mask'"},
        {"{\"assessment\":{},\"update_mask\":\"valid\"}", "'valid' cannot be set"},
        {"{\"assessment\":{},\"update_mask\":\"feedback\"}", "Missing value for parameter"},
        {"{\"assessment\":{\"expectation\":{\"value\":1}},\"update_mask\":\"expectation\"}",
         "Cannot update expectation value on a Feedback assessment."},
    };
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++) {
        const char *said = ask(ig_mlflow_assessment_update, JSON, refused[i][0], "one");
        if (test.call.err.code == IG_OK || !strstr(said, refused[i][1]))
            fail_msg("%s: %s", refused[i][0], said);
    }
    assert_string_equal(ask(ig_mlflow_assessment_delete, JSON, "", "one"), "{}");
    assert_non_null(strstr(ask(ig_mlflow_assessment_get, JSON, "", "one"),
                           "Assessment with ID 'one' not found"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_assessments, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
