/* SPDX-License-Identifier: Apache-2.0 */
/* Issues by the bodies that clients send. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"
#include "services/registry/world_testing.h"
#include "services/tracking/tracking.h"

#include <stdio.h>
#include <string.h>

static struct ig_call_testing test;
static struct ig_world world;
static char id[40];

static void expect(enum ig_code (*handler)(struct ig_call *), const char *body, const char *words)
{
    ig_call_testing_again(&test);
    test.call.who = IG_PRINCIPAL_LOCAL;
    test.call.params[0] = ig_str_view(id);
    ig_call_testing_header(&test, "Content-Type", "application/json");
    test.exchange.request.method = IG_STR("POST");
    test.exchange.body = ig_str_view(body);
    const char *said =
        handler(&test.call) == IG_OK ? test.exchange.reply.ptr : test.call.err.message;
    if (!strstr(said, words)) fail_msg("%s: %s, not %s", body, said, words);
}

#define OF "\"experiment_id\":\"0\",\"name\":\"n\",\"description\":\"d\""

static void test_issues(void **state)
{
    (void)state;
    struct ig_tracking *tracking;
    struct ig_err err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    ig_world_open(&world);
    test.app.db = world.db;
    ASSERT_OK(ig_tracking_open(&tracking, world.db, &err));
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
    ig_tracking_close(tracking);
    ig_world_close(&world);
    ig_call_testing_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_issues)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
