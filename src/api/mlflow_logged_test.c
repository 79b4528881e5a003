/* SPDX-License-Identifier: Apache-2.0 */
/* A logged model's JSON; what is absent is left out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_logged.h"

#include <math.h>

static void expect(const struct ig_logged_model *model, const char *wanted)
{
    struct ig_buf text;
    struct ig_json_out out;
    ig_buf_init(&text, 4096);
    ig_json_out_init(&out, &text);
    ig_mlflow_write_logged(&out, model);
    ig_buf_add_char(&text, '\0');
    assert_string_equal(text.ptr, wanted);
    ig_buf_deinit(&text);
}

static void test_json(void **state)
{
    (void)state;
    const struct ig_tracking_pair pair = {IG_STR("k"), IG_STR("v")};
    const struct ig_tracking_metric metric = {.key = IG_STR("m"),
                                              .value = NAN,
                                              .at_ms = 7,
                                              .step = 2,
                                              .model_id = IG_STR("m-1"),
                                              .dataset_name = IG_STR("d"),
                                              .run = IG_STR("r")};
    struct ig_logged_model model = {.id = IG_STR("m-1"),
                                    .name = IG_STR("n"),
                                    .artifact_root = IG_STR("s3://b"),
                                    .model_type = IG_STR(""),
                                    .source_run = IG_STR(""),
                                    .experiment = 3,
                                    .status = IG_LOGGED_PENDING,
                                    .created_ms = 5,
                                    .updated_ms = 6};
    expect(&model, "{\"info\":{\"model_id\":\"m-1\",\"experiment_id\":\"3\",\"name\":\"n\","
                   "\"creation_timestamp_ms\":5,\"last_updated_timestamp_ms\":6,"
                   "\"artifact_uri\":\"s3://b\",\"status\":\"LOGGED_MODEL_PENDING\"},\"data\":{}}");
    model.model_type = IG_STR("tree");
    model.source_run = IG_STR("r");
    model.status = IG_LOGGED_UPLOAD_FAILED;
    model.tags = model.params = (struct ig_tracking_pairs){&pair, 1};
    model.metrics = (struct ig_tracking_metrics){&metric, 1};
    expect(&model,
           "{\"info\":{\"model_id\":\"m-1\",\"experiment_id\":\"3\",\"name\":\"n\","
           "\"creation_timestamp_ms\":5,\"last_updated_timestamp_ms\":6,"
           "\"artifact_uri\":\"s3://b\",\"status\":\"LOGGED_MODEL_UPLOAD_FAILED\","
           "\"model_type\":\"tree\",\"source_run_id\":\"r\","
           "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]},\"data\":{\"params\":[{\"key\":\"k\","
           "\"value\":\"v\"}],\"metrics\":[{\"key\":\"m\",\"value\":\"NaN\",\"timestamp\":7,"
           "\"step\":2,\"dataset_name\":\"d\",\"model_id\":\"m-1\",\"run_id\":\"r\"}]}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_json)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
