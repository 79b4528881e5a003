/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's GraphQL over HTTP, by the queries that its console sends. */
#include "support/live.h"

#include <stdio.h>
#include <string.h>

static struct live live;
static char run[64];

static int ask_as(const char *type, const char *path, const char *body)
{
    const struct ig_client_call sent = {
        .method = "POST", .path = path, .content_type = type, .body = ig_str_view(body)};
    return live_send(&live, &sent);
}

static void rest(const char *path, const char *body)
{
    char url[128];
    snprintf(url, sizeof url, "/api/2.0/mlflow/%s", path);
    int status = ask_as("application/json", url, body);
    if (status != 200) fail_msg("%s: %d %s", path, status, live_body(&live));
}

static void ask(const char *body)
{
    int status = ask_as("application/json", "/graphql", body);
    if (status != 200) fail_msg("%s: %d %s", body, status, live_body(&live));
}

static int setup(void **state)
{
    char body[256];
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
    rest("runs/create", "{\"experiment_id\":\"0\",\"start_time\":5,\"run_name\":\"first\"}");
    snprintf(run, sizeof run, "%s", live_text(&live, "run.info.run_id"));
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"metrics\":[{\"key\":\"a\",\"value\":0.5,\"timestamp\":7,"
             "\"step\":1},{\"key\":\"b\",\"value\":\"NaN\",\"timestamp\":8}],"
             "\"tags\":[{\"key\":\"t\",\"value\":\"a \\\"b\\\" \\u00e9\\n\"}]}",
             run);
    rest("runs/log-batch", body);
    rest("registered-models/create", "{\"name\":\"churn\"}");
    snprintf(body, sizeof body,
             "{\"name\":\"churn\",\"source\":\"runs:/%s/model\",\"run_id\":\"%s\"}", run, run);
    rest("model-versions/create", body);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void test_run(void **state)
{
    char body[1024];
    (void)state;
    snprintf(body, sizeof body,
             "{\"query\":\"query GetRun($data: MlflowGetRunInput!) @component(name: \\\"x\\\") {"
             " mlflowGetRun(input: $data) { apiError { code } run { info { runName status endTime }"
             " experiment { name } modelVersions { name version }"
             " data { metrics { key value timestamp step } params { key } tags { key value } }"
             " __typename } } }\",\"variables\":{\"data\":{\"runId\":\"%s\"}},"
             "\"operationName\":\"GetRun\"}",
             run);
    ask(body);
    const char *said = live_body(&live);
    assert_non_null(strstr(
        said, "{\"data\":{\"mlflowGetRun\":{\"apiError\":null,\"run\":{\"info\":{\"runName\":"
              "\"first\",\"status\":\"RUNNING\",\"endTime\":\"0\"},\"experiment\":{\"name\":"
              "\"Default\"},\"modelVersions\":[{\"name\":\"churn\",\"version\":\"1\"}],"
              "\"data\":{\"metrics\":[{\"key\":\"a\",\"value\":0.5,\"timestamp\":\"7\",\"step\":"
              "\"1\"},{\"key\":\"b\",\"value\":null,\"timestamp\":\"8\",\"step\":\"0\"}],"
              "\"params\":[],\"tags\":["));
    assert_non_null(strstr(said, "{\"key\":\"t\",\"value\":\"a \\\"b\\\" "));
    assert_non_null(strstr(said, "\"__typename\":\"MlflowRunExtension\"}}},\"errors\":null}"));
}

static void test_others(void **state)
{
    char body[1024], wanted[1024];
    (void)state;
    ask("{\"query\":\"mutation { mlflowSearchRuns(input: {experimentIds: [\\\"0\\\"]}) {"
        " runs { info { runId } } nextPageToken } mlflowSearchDatasets(input: {experimentIds:"
        " \\\"0\\\"}) { datasetSummaries { name } } }\"}");
    snprintf(wanted, sizeof wanted,
             "{\"data\":{\"mlflowSearchRuns\":{\"runs\":[{\"info\":{\"runId\":\"%s\"}}],"
             "\"nextPageToken\":\"\"},\"mlflowSearchDatasets\":{\"datasetSummaries\":[]}},"
             "\"errors\":null}",
             run);
    assert_string_equal(live_body(&live), wanted);
    snprintf(body, sizeof body,
             "{\"query\":\"{ mlflowListArtifacts(input: {runId: \\\"%s\\\"}) { rootUri files {"
             " path } } h: mlflowGetMetricHistoryBulkInterval(input: {runIds: [\\\"%s\\\"],"
             " metricKey: \\\"a\\\"}) { metrics { key value runId } } }\"}",
             run, run);
    ask(body);
    snprintf(wanted, sizeof wanted,
             "{\"data\":{\"mlflowListArtifacts\":{\"rootUri\":\"mlflow-artifacts:/0/%s/artifacts\","
             "\"files\":[]},\"h\":{\"metrics\":[{\"key\":\"a\",\"value\":0.5,\"runId\":\"%s\"}]}},"
             "\"errors\":null}",
             run, run);
    assert_string_equal(live_body(&live), wanted);
}

static void test_errors(void **state)
{
    (void)state;
    ask("{\"query\":\"{ a: mlflowGetRun(input: {runId: \\\"no\\\"}) { run { info { status } } }"
        " b: test(inputString: \\\"x\\\") { output } }\"}");
    assert_string_equal(live_body(&live), "{\"data\":{\"a\":null,\"b\":{\"output\":\"x\"}},"
                                          "\"errors\":[\"Run with id=no not found\"]}");
    ask("{\"query\":\"{ a }\",\"variables\":null,\"operationName\":null}");
    assert_string_equal(live_body(&live),
                        "{\"data\":null,\"errors\":[\"Cannot query field 'a' on type 'Query'.\"]}");
    static const struct {
        const char *type, *body, *words;
    } bad[] = {
        {"application/json", "{\"query\":\"{ a\"}", "Syntax Error: Expected Name, found <EOF>"},
        {"application/json", "{}", "Missing value for required parameter 'query'."},
        {"application/json", "{\"query\":1}", "query"},
        {"application/json", "{\"query\":\"{a}\",\"variables\":[]}", "variables"},
        {"application/json", "[", ""},
        {"text/plain", "{\"query\":\"{ a }\"}", "Content-Type must be one of"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        int status = ask_as(bad[i].type, "/graphql", bad[i].body);
        if (status != 400 || !strstr(live_text(&live, "message"), bad[i].words))
            fail_msg("%s: %d %s", bad[i].body, status, live_body(&live));
    }
}

/* As graphql-core 3.2 with graphene answers MLflow's server. */
static void test_introspection(void **state)
{
    (void)state;
    static const char *const cases[][2] = {
        {"{__schema{__typename queryType{name} mutationType{kind} subscriptionType{name} "
         "directives{"
         "name locations args{name type{kind name ofType{name}}}}}}",
         "{\"__schema\":{\"__typename\":\"__Schema\",\"queryType\":{\"name\":\"Query\"},"
         "\"mutationType\":{\"kind\":\"OBJECT\"},\"subscriptionType\":null,\"directives\":[{"
         "\"name\":\"component\",\"locations\":[\"QUERY\",\"MUTATION\"],\"args\":[{\"name\":"
         "\"name\",\"type\":{\"kind\":\"NON_NULL\",\"name\":null,\"ofType\":{\"name\":\"String\"}}"
         "}]}]}}"},
        {"{__type(name:\\\"Mutation\\\"){fields{name description args{name defaultValue type{name}}"
         "type{name}}}}",
         "{\"__type\":{\"fields\":[{\"name\":\"mlflowSearchDatasets\",\"description\":null,"
         "\"args\":"
         "[{\"name\":\"input\",\"defaultValue\":null,\"type\":{\"name\":"
         "\"MlflowSearchDatasetsInput\"}}],\"type\":{\"name\":\"MlflowSearchDatasetsResponse\"}},{"
         "\"name\":\"mlflowSearchRuns\",\"description\":null,\"args\":[{\"name\":\"input\","
         "\"defaultValue\":null,\"type\":{\"name\":\"MlflowSearchRunsInput\"}}],\"type\":{\"name\":"
         "\"MlflowSearchRunsResponse\"}},{\"name\":\"testMutation\",\"description\":"
         "\"Simple echoing field\",\"args\":[{\"name\":\"inputString\",\"defaultValue\":null,"
         "\"type\":{\"name\":\"String\"}}],\"type\":{\"name\":\"TestMutation\"}}]}}"},
        {"{__type(name:\\\"MlflowRunInfo\\\"){fields(includeDeprecated:true){name type{kind name}}"
         "interfaces{name} possibleTypes{name} isOneOf}}",
         "{\"__type\":{\"fields\":[{\"name\":\"runId\",\"type\":{\"kind\":\"SCALAR\",\"name\":"
         "\"String\"}},"},
        {"{__type(name:\\\"MlflowRunInfo\\\"){interfaces{name} possibleTypes{name} isOneOf "
         "enumValues{name} inputFields{name} ofType{name} specifiedByURL}}",
         "{\"__type\":{\"interfaces\":[],\"possibleTypes\":null,\"isOneOf\":null,\"enumValues\":"
         "null,"
         "\"inputFields\":null,\"ofType\":null,\"specifiedByURL\":null}}"},
        {"{__type(name:\\\"MlflowSearchRunsInput\\\"){kind isOneOf inputFields{name defaultValue "
         "type{kind name ofType{name}}}}}",
         "{\"__type\":{\"kind\":\"INPUT_OBJECT\",\"isOneOf\":false,\"inputFields\":[{\"name\":"
         "\"experimentIds\",\"defaultValue\":null,\"type\":{\"kind\":\"LIST\",\"name\":null,"
         "\"ofType\":{\"name\":\"String\"}}},{\"name\":\"filter\",\"defaultValue\":null,\"type\":{"
         "\"kind\":\"SCALAR\",\"name\":\"String\",\"ofType\":null}},{\"name\":\"runViewType\","
         "\"defaultValue\":\"null\",\"type\":{\"kind\":\"ENUM\",\"name\":\"MlflowViewType\","
         "\"ofType\":"
         "null}},"},
        {"{__type(name:\\\"MlflowRunStatus\\\"){enumValues{name isDeprecated deprecationReason}}}",
         "{\"__type\":{\"enumValues\":[{\"name\":\"RUNNING\",\"isDeprecated\":false,"
         "\"deprecationReason\":null},{\"name\":\"SCHEDULED\","},
        {"{__type(name:\\\"Nope\\\"){name}}", "{\"__type\":null}"},
        {"{__type(name:\\\"[String]\\\"){name}}", "{\"__type\":null}"},
        {"{__type(name:\\\"\\\"){name}}", "{\"__type\":null}"},
    };
    char body[512], wanted[1024];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        snprintf(body, sizeof body, "{\"query\":\"%s\"}", cases[i][0]);
        ask(body);
        snprintf(wanted, sizeof wanted, "{\"data\":%s", cases[i][1]);
        if (strncmp(live_body(&live), wanted, strlen(wanted)) != 0)
            fail_msg("%s: %s", cases[i][0], live_body(&live));
    }
    ask("{\"query\":\"{__schema{types{name fields{type{name kind}} inputFields{name} "
        "enumValues{name}"
        "}}}\"}");
    assert_non_null(strstr(live_body(&live), "{\"name\":\"__DirectiveLocation\",\"fields\":null,"));
    assert_string_equal(live_text(&live, "errors"), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_run), cmocka_unit_test(test_others),
                                       cmocka_unit_test(test_errors),
                                       cmocka_unit_test(test_introspection)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
