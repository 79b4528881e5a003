/* SPDX-License-Identifier: Apache-2.0 */
/* Evaluation datasets by the bodies that clients send, with JSON within their texts. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_evaluations.h"
#include "api/mlflow_world_testing.h"

#include <stdio.h>
#include <string.h>

static int setup(void **state)
{
    (void)state;
    open_world();
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    close_world();
    return 0;
}

static void create(void)
{
    const char *said = ask(ig_mlflow_evaluation_create,
                           "{\"name\":\"n\",\"experiment_ids\":[\"0\"],"
                           "\"tags\":\"{\\\"a\\\": \\\"b\\\", \\\"n\\\": 1, \\\"t\\\": true,"
                           " \\\"x\\\": null}\"}");
    const char *from = strstr(said, "\"dataset_id\":\"");
    assert_non_null(from);
    snprintf(id, sizeof id, "%.34s", from + 14);
    assert_non_null(strstr(said, "\"tags\":\"{\\\"a\\\":\\\"b\\\",\\\"n\\\":\\\"1\\\",\\\"t\\\":"
                                 "\\\"True\\\"}\""));
    assert_non_null(strstr(said, "\"experiment_ids\":[\"0\"]}}"));
}

static void test_datasets(void **state)
{
    (void)state;
    create();
    expect(ig_mlflow_evaluation_get, "{}", "\"name\":\"n\"");
    expect(ig_mlflow_evaluation_experiments, "{}", "{\"experiment_ids\":[\"0\"]}");
    expect(ig_mlflow_evaluation_remove, "{\"experiment_ids\":[\"0\",\"7\"]}", "\"dataset\"");
    expect(ig_mlflow_evaluation_experiments, "{}", "{}");
    expect(ig_mlflow_evaluation_add, "{\"experiment_ids\":[\"7\"]}", "No Experiment with id=7");
    expect(ig_mlflow_evaluations_search, "{\"filter_string\":\"tags.a = 'b'\"}",
           "{\"datasets\":[{\"dataset_id\":\"");
    expect(ig_mlflow_evaluations_search, "{\"experiment_ids\":[\"0\"]}", "{}");
    expect(ig_mlflow_evaluation_tag, "{\"tags\":\"{\\\"a\\\":[]}\"}",
           "tags: a: expected a text, found an array");
    expect(ig_mlflow_evaluation_tag, "{}", "Missing value for required parameter 'tags'");
    expect(ig_mlflow_evaluation_tag, "{\"tags\":\"[\"}", "tags");
    expect(ig_mlflow_evaluation_delete, "", "{}");
    expect(ig_mlflow_evaluation_get, "", "not found");
}

#define RECORDS(text) "{\"records\":\"" text "\"}"

static void test_records(void **state)
{
    (void)state;
    create();
    expect(ig_mlflow_records_upsert,
           RECORDS("[{\\\"inputs\\\": {\\\"q\\\": 1}, \\\"outputs\\\": null, \\\"source\\\":"
                   " {\\\"source_type\\\": \\\"trace\\\", \\\"source_data\\\": {\\\"trace_id\\\":"
                   " \\\"tr-1\\\"}}, \\\"tags\\\": {\\\"mlflow.user\\\": \\\"ada\\\"}}, {}]"),
           "{\"inserted_count\":2,\"updated_count\":0}");
    const char *said = ask(ig_mlflow_records_list, "{\"max_results\":1}");
    assert_non_null(strstr(said, "\\\"inputs\\\":{\\\"q\\\": 1}"));
    assert_null(strstr(said, "outputs"));
    assert_non_null(strstr(said, "\\\"source\\\":{\\\"source_type\\\": \\\"TRACE\\\","));
    assert_non_null(strstr(said, "\\\"source_id\\\":\\\"tr-1\\\",\\\"source_type\\\":\\\"TRACE\\\","
                                 "\\\"created_by\\\":\\\"ada\\\""));
    assert_non_null(strstr(said, "\"next_page_token\":\"1\""));
    expect(ig_mlflow_records_list, "{\"page_token\":\"1\"}", "\\\"outputs\\\":{}");
    expect(ig_mlflow_records_list, "{\"page_token\":\"2\"}", "{\"records\":\"[]\"}");
    expect(ig_mlflow_records_delete, "{\"dataset_record_ids\":[\"dr-1\"]}",
           "{\"deleted_count\":0}");
    static const struct {
        const char *body, *words;
    } bad[] = {
        {"{}", "Missing value for required parameter 'records'"},
        {RECORDS("{}"), "records: list: expected an array, found an object"},
        {RECORDS("[1]"), "records[0]: record: expected an object, found a number"},
        {RECORDS("[{\\\"inputs\\\": 1}]"), "records[0]: inputs: expected an object"},
        {RECORDS("[{\\\"inputs\\\": null}]"), "records[0]: inputs: expected an object"},
        {RECORDS("[{}, {\\\"tags\\\": []}]"), "records[1]: tags: expected an object"},
        {RECORDS("[{\\\"expectations\\\": \\\"x\\\"}]"), "expectations: expected an object"},
        {RECORDS("[{\\\"source\\\": {\\\"source_type\\\": \\\"X\\\"}}]"),
         "Invalid dataset record source type: X. Valid source types"},
        {RECORDS("[{}] x"), "records"},
        {RECORDS("[{"), "records[0]"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        expect(ig_mlflow_records_upsert, bad[i].body, bad[i].words);
        assert_int_equal(test.call.err.code, IG_INVALID);
    }
    expect(ig_mlflow_records_list, "{\"page_token\":\"x\"}", "Invalid page token 'x'");
    expect(ig_mlflow_records_list, "{\"max_results\":-1}", "max_results must be between 1");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_datasets, setup, teardown),
        cmocka_unit_test_setup_teardown(test_records, setup, teardown)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
