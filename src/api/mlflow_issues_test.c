/* SPDX-License-Identifier: Apache-2.0 */
/* Issues by the bodies that clients send. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_world_testing.h"

#include <stdio.h>
#include <string.h>

#define OF "\"experiment_id\":\"0\",\"name\":\"n\",\"description\":\"d\""

static void test_issues(void **state)
{
    (void)state;
    open_world();
    expect(ig_mlflow_issue_create,
           "{" OF ",\"root_causes\":[\"a\",\"b\"],\"severity\":\"low\",\"created_by\":\"u\"}",
           "\"experiment_id\":\"0\",\"name\":\"n\",\"description\":\"d\",\"status\":\"pending\","
           "\"severity\":\"low\",\"root_causes\":[\"a\",\"b\"],\"created_timestamp\":");
    snprintf(id, sizeof id, "%.36s", strstr(test.exchange.reply.ptr, "issue_id\":\"") + 11);
    expect(ig_mlflow_issue_get, "", id);
    expect(ig_mlflow_issue_update, "{\"status\":\"resolved\",\"name\":\"m\"}",
           "\"name\":\"m\",\"description\":\"d\",\"status\":\"resolved\",\"severity\":\"low\"");
    expect(ig_mlflow_issue_update, "{\"status\":\"done\"}", "parameter 'status' supplied");
    expect(ig_mlflow_issue_create, "{\"experiment_id\":\"0\",\"name\":\"n\"}",
           "required parameter 'description'");
    expect(ig_mlflow_issue_create, "{" OF ",\"experiment_id\":\"7\"}", "No Experiment with id=7");
    expect(ig_mlflow_issues_search, "{}", ",\"created_by\":\"u\"}],\"next_page_token\":\"\"}");
    expect(ig_mlflow_issues_search, "{\"include_trace_count\":true}", ",\"trace_count\":0}],");
    expect(ig_mlflow_issues_search, "{\"include_trace_count\":\"x\"}",
           "parameter 'include_trace_count' supplied: expected true or false");
    expect(ig_mlflow_issues_search, "{\"experiment_id\":\"7\"}", "{\"next_page_token\":\"\"}");
    expect(ig_mlflow_issues_search, "{\"filter_string\":\"status = 'pending'\"}",
           "{\"next_page_token\":\"\"}");
    expect(ig_mlflow_issues_search, "{\"filter_string\":\"x = 'y'\"}", "Invalid filter field 'x'");
    expect(ig_mlflow_issues_search, "{\"max_results\":0}", "parameter 'max_results'");
    close_world();
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_issues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
