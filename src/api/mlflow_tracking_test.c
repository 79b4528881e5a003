/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of experiments and runs, letter by letter. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_tracking.h"

#include <math.h>

static void test_experiment(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_json_out out;
    const struct ig_tracking_pair tag = {IG_STR("k"), IG_STR("v")};
    struct ig_tracking_experiment experiment = {.id = 12,
                                                .name = IG_STR("a"),
                                                .artifact_root = IG_STR("mlflow-artifacts:/12"),
                                                .stage = IG_STR("active"),
                                                .created_ms = 1,
                                                .updated_ms = 2,
                                                .tags = {&tag, 1}};
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&out, &buf);
    ig_mlflow_write_experiment(&out, &experiment);
    assert_string_equal(buf.ptr, "{\"experiment_id\":\"12\",\"name\":\"a\",\"artifact_location\":"
                                 "\"mlflow-artifacts:/12\",\"lifecycle_stage\":\"active\","
                                 "\"last_update_time\":2,\"creation_time\":1,"
                                 "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}]}");
    ig_buf_deinit(&buf);
}

static void test_run(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_json_out out;
    const struct ig_tracking_metric metrics[] = {
        {.key = IG_STR("a"), .value = 0.5, .at_ms = 7, .step = -1},
        {.key = IG_STR("b"), .value = -INFINITY, .at_ms = 7, .step = 0},
        {.key = IG_STR("c"), .value = NAN, .at_ms = 7, .step = 0}};
    struct ig_tracking_run run = {.id = IG_STR("r"),
                                  .name = IG_STR("n"),
                                  .user_id = IG_STR("u"),
                                  .status = IG_TRACKING_KILLED,
                                  .stage = IG_STR("active"),
                                  .start_ms = 3,
                                  .end_ms = -1,
                                  .artifact_root = IG_STR("mlflow-artifacts:/0/r/artifacts"),
                                  .metrics = {metrics, 3}};
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&out, &buf);
    ig_mlflow_write_run(&out, &run);
    assert_string_equal(
        buf.ptr,
        "{\"info\":{\"run_uuid\":\"r\",\"experiment_id\":\"0\",\"run_name\":\"n\",\"user_id\":"
        "\"u\","
        "\"status\":\"KILLED\",\"start_time\":3,\"artifact_uri\":"
        "\"mlflow-artifacts:/0/r/artifacts\",\"lifecycle_stage\":\"active\",\"run_id\":\"r\"},"
        "\"data\":{\"metrics\":[{\"key\":\"a\",\"value\":0.5,\"timestamp\":7,\"step\":-1},"
        "{\"key\":\"b\",\"value\":\"-Infinity\",\"timestamp\":7,\"step\":0},"
        "{\"key\":\"c\",\"value\":\"NaN\",\"timestamp\":7,\"step\":0}]},"
        "\"inputs\":{},\"outputs\":{}}");
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_experiment),
                                       cmocka_unit_test(test_run)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
