/* SPDX-License-Identifier: Apache-2.0 */
/* The JSON of registered models and their versions, letter by letter. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_models.h"

static const struct ig_tracking_pair TAG = {{"k", 1}, {"v", 1}};

static void test_version(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_json_out out;
    const struct ig_str aliases[] = {IG_STR("a"), IG_STR("b")};
    const struct ig_registered_version version = {.name = IG_STR("m"),
                                                  .version = 12,
                                                  .created_ms = 1,
                                                  .updated_ms = 2,
                                                  .description = IG_STR("d"),
                                                  .stage = IG_STR("None"),
                                                  .source = IG_STR("s3://b/m"),
                                                  .run = IG_STR("r"),
                                                  .run_link = IG_STR(""),
                                                  .tags = {&TAG, 1},
                                                  .aliases = aliases,
                                                  .aliases_count = 2};
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&out, &buf);
    ig_mlflow_write_version(&out, &version);
    assert_string_equal(buf.ptr,
                        "{\"name\":\"m\",\"version\":\"12\",\"creation_timestamp\":1,"
                        "\"last_updated_timestamp\":2,\"current_stage\":\"None\","
                        "\"description\":\"d\",\"source\":\"s3://b/m\",\"run_id\":\"r\","
                        "\"status\":\"READY\",\"run_link\":\"\","
                        "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}],\"aliases\":[\"a\",\"b\"]}");
    ig_buf_deinit(&buf);
}

static void test_model(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_json_out out;
    const struct ig_tracking_pair alias = {IG_STR("best"), IG_STR("3")};
    struct ig_registered_model model = {
        .name = IG_STR("m"), .description = IG_STR(""), .created_ms = 1, .updated_ms = 2};
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&out, &buf);
    ig_mlflow_write_model(&out, &model);
    assert_string_equal(buf.ptr, "{\"name\":\"m\",\"creation_timestamp\":1,"
                                 "\"last_updated_timestamp\":2}");
    model.tags = (struct ig_tracking_pairs){&TAG, 1};
    model.aliases = (struct ig_tracking_pairs){&alias, 1};
    model.description = IG_STR("d");
    ig_buf_reset(&buf);
    ig_json_out_init(&out, &buf);
    ig_mlflow_write_model(&out, &model);
    assert_string_equal(buf.ptr, "{\"name\":\"m\",\"creation_timestamp\":1,"
                                 "\"last_updated_timestamp\":2,\"description\":\"d\","
                                 "\"tags\":[{\"key\":\"k\",\"value\":\"v\"}],"
                                 "\"aliases\":[{\"alias\":\"best\",\"version\":\"3\"}]}");
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_version),
                                       cmocka_unit_test(test_model)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
