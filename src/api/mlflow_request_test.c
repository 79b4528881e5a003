/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's arguments: what is taken, and the words when it is not. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/mlflow_request.h"

#include <math.h>

struct request {
    struct ig_str run_id;
    int64_t step;
    double value;
    struct ig_tracking_pairs tags;
    struct ig_tracking_metrics metrics;
    struct ig_tracking_datasets datasets;
    struct ig_mlflow_texts stages;
    bool archive;
};

static enum ig_code decode(struct request *request, struct ig_call_testing *test, const char *body)
{
    const struct ig_mlflow_field fields[] = {
        {"run_id", IG_MLFLOW_TEXT, &request->run_id, true},
        {"step", IG_MLFLOW_I64, &request->step, false},
        {"value", IG_MLFLOW_F64, &request->value, false},
        {"tags", IG_MLFLOW_PAIRS, &request->tags, false},
        {"metrics", IG_MLFLOW_METRICS, &request->metrics, false},
        {"datasets", IG_MLFLOW_DATASETS, &request->datasets, false},
        {"stages", IG_MLFLOW_TEXTS, &request->stages, false},
        {"archive", IG_MLFLOW_BOOL, &request->archive, false}};
    *request = (struct request){.step = -7};
    ig_call_testing_again(test);
    return ig_mlflow_decode(fields, 8, ig_str_view(body), test->call.arena, &test->call.err);
}

static void test_taken(void **state)
{
    (void)state;
    struct ig_call_testing test;
    struct request got;
    ig_call_testing_init(&test);
    assert_int_equal(decode(&got, &test, "{\"run_uuid\":\"r\",\"new\":[{}],\"step\":null}"), IG_OK);
    assert_true(ig_str_is(got.run_id, "r"));
    assert_int_equal(got.step, -7);
    assert_int_equal(decode(&got, &test, "{\"run_id\":\"r\",\"step\":\"12\",\"value\":\"NaN\"}"),
                     IG_OK);
    assert_int_equal(got.step, 12);
    assert_true(isnan(got.value));
    assert_int_equal(decode(&got, &test, "{\"run_id\":\"r\",\"step\":3.0,\"value\":-Infinity}"),
                     IG_OK);
    assert_int_equal(got.step, 3);
    assert_true(got.value == (double)-INFINITY);
    assert_int_equal(decode(&got, &test, "\"{\\\"run_id\\\":\\\"twice\\\"}\""), IG_OK);
    assert_true(ig_str_is(got.run_id, "twice"));
    assert_int_equal(decode(&got, &test,
                            "{\"run_id\":\"r\",\"tags\":[{\"key\":\"k\"}],\"metrics\":"
                            "[{\"key\":\"m\",\"value\":1,\"timestamp\":\"5\",\"x\":{}}]}"),
                     IG_OK);
    assert_int_equal(got.tags.count, 1);
    assert_int_equal(got.metrics.items[0].at_ms, 5);
    assert_int_equal(
        decode(&got, &test, "{\"run_id\":\"r\",\"stages\":[\"a\",\"b\"],\"archive\":true}"), IG_OK);
    assert_true(got.archive && got.stages.count == 2 && ig_str_is(got.stages.items[1], "b"));
    assert_int_equal(decode(&got, &test, "{\"run_id\":\"r\",\"stages\":[],\"archive\":null}"),
                     IG_OK);
    assert_true(!got.archive && got.stages.count == 0);
    ig_call_testing_deinit(&test);
}

static void test_refused(void **state)
{
    static const struct {
        const char *body, *text;
    } bad[] = {
        {"", "Missing value for required parameter 'run_id'."},
        {"{\"run_id\":\"\"}", "Missing value for required parameter 'run_id'."},
        {"{\"run_id\":5}", "Invalid value 5 for parameter 'run_id' supplied"},
        {"{\"run_id\":\"r\",\"step\":1.5}", "Invalid value 1.5 for parameter 'step'"},
        {"{\"run_id\":\"r\",\"step\":1e300}", "Invalid value 1e300 for parameter 'step'"},
        {"{\"run_id\":\"r\",\"value\":true}", "Value was of type 'bool'"},
        {"{\"run_id\":\"r\",\"tags\":{}}", "parameter 'tags' supplied"},
        {"{\"run_id\":\"r\",\"stages\":\"x\"}", "parameter 'stages' supplied"},
        {"{\"run_id\":\"r\",\"stages\":[\"x\",null]}", "parameter 'stages[1]' supplied"},
        {"{\"run_id\":\"r\",\"archive\":1}", "parameter 'archive' supplied"},
        {"{\"run_id\":\"r\",\"tags\":[{}]}", "required parameter 'tags[0].key'"},
        {"{\"run_id\":\"r\",\"metrics\":[{\"key\":\"m\",\"value\":1}]}",
         "required parameter 'metrics[0].timestamp'"},
        {"{\"run_id\":\"r\",\"metrics\":[5]}", "parameter 'metrics[0]'"},
        {"{\"run_id\":\"r\",\"datasets\":[{}]}", "parameter 'datasets[0].dataset'"},
        {"{\"run_id\":\"r\",\"datasets\":[{\"dataset\":{\"name\":\"d\"}}]}",
         "parameter 'datasets[0].dataset.digest'"},
        {"[]", "body: expected an object"},
        {"{\"run_id\":\"r\"", ""},
        {"{\"run_id\":\"r\"}x", ""},
        {"\"\\\"\\\"\"", "body: expected an object"},
    };
    (void)state;
    struct ig_call_testing test;
    struct request got;
    ig_call_testing_init(&test);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        enum ig_code code = decode(&got, &test, bad[i].body);
        if ((code != IG_INVALID && code != IG_PARSE) || !strstr(test.call.err.message, bad[i].text))
            fail_msg("%s: %d %s", bad[i].body, code, test.call.err.message);
    }
    ig_call_testing_deinit(&test);
}

static void test_query_and_media_type(void **state)
{
    (void)state;
    struct ig_call_testing test;
    struct ig_str id = IG_STR("");
    int64_t most = 0;
    const struct ig_mlflow_field fields[] = {{"run_id", IG_MLFLOW_TEXT, &id, true},
                                             {"max_results", IG_MLFLOW_I64, &most, false}};
    ig_call_testing_init(&test);
    test.exchange.request.query = IG_STR("run_uuid=a%20b&run_id=a%20b&max_results=12&more=1");
    assert_int_equal(ig_mlflow_read(&test.call, fields, 2), IG_OK);
    assert_true(ig_str_is(id, "a b"));
    assert_int_equal(most, 12);
    ig_call_testing_again(&test);
    test.exchange.request.query = IG_STR("run_id=r&max_results=many");
    assert_int_equal(ig_mlflow_read(&test.call, fields, 2), IG_INVALID);
    assert_non_null(strstr(test.call.err.message, "Invalid value \"many\" for parameter"));
    ig_call_testing_again(&test);
    test.exchange.request.method = IG_STR("POST");
    test.exchange.body = IG_STR("{\"run_id\":\"r\"}");
    assert_int_equal(ig_mlflow_read(&test.call, fields, 2), IG_INVALID);
    assert_non_null(strstr(test.call.err.message, "Content-Type must be one of"));
    ig_call_testing_again(&test);
    test.exchange.request.method = IG_STR("POST");
    test.exchange.body = IG_STR("{\"run_id\":\"r\"}");
    ig_call_testing_header(&test, "content-type", "application/json; charset=utf-8");
    test.exchange.request.headers_count = 1;
    assert_int_equal(ig_mlflow_read(&test.call, fields, 2), IG_OK);
    ig_call_testing_deinit(&test);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_taken), cmocka_unit_test(test_refused),
                                       cmocka_unit_test(test_query_and_media_type)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
