/* SPDX-License-Identifier: Apache-2.0 */
/* What is left to be told of every change of the registry: MLflow's payloads, letter by letter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/registered/registered_testing.h"

#include <stdio.h>

static struct ig_registered_testing world;
static struct ig_err err;

/* Asks for every event; nobody sends here. */
static enum ig_code subscribe(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    (void)context;
    ig_db_exec(tx,
               "insert into webhooks(id, name, description, url, secret, disabled, created_ms,"
               " updated_ms) values('w', 'w', '', 'https://1.1.1.1', '', 0, 1, 1)",
               NULL, 0, inner);
    for (int i = 0; inner->code == IG_OK && i < IG_WEBHOOK_EVENTS_COUNT; i++)
        ig_db_exec(tx,
                   "insert into webhook_events(webhook, position, entity, action)"
                   " values('w', $1, $2, $3)",
                   IG_DB_VALUES(IG_DB_I(i), IG_DB_C(ig_webhook_entity((enum ig_webhook_event)i)),
                                IG_DB_C(ig_webhook_action((enum ig_webhook_event)i))),
                   inner);
    return inner->code;
}

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    ig_registered_testing_open(&world);
    ASSERT_OK(ig_db_write(world.db, subscribe, NULL, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    return ig_registered_testing_close(&world);
}

static enum ig_code take_all(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    struct ig_buf *out = context;
    struct ig_db_rows *rows = NULL;
    ig_db_query(&rows, tx, "select payload from webhook_deliveries order by id", NULL, 0, inner);
    while (inner->code == IG_OK && ig_db_next(rows, inner)) {
        struct ig_str text = ig_db_text_dup(rows, 0, &world.arena);
        struct ig_str head = text;
        const char *time = strstr(text.ptr, ",\"timestamp\":");
        const char *data = strstr(text.ptr, ",\"data\":");
        assert_true(time && data);
        head.len = (size_t)(time - text.ptr);
        ig_buf_printf(out, "%.*s%s\n", IG_STR_ARGS(head), data);
    }
    ig_db_finish(rows);
    if (inner->code == IG_OK) ig_db_exec(tx, "delete from webhook_deliveries", NULL, 0, inner);
    return inner->code;
}

/* What waits, which goes. */
static void expect_told(const char *expected)
{
    struct ig_buf got;
    ig_buf_init(&got, 1 << 16);
    ASSERT_OK(ig_db_write(world.db, take_all, &got, &err));
    assert_string_equal(got.len ? got.ptr : "", expected);
    ig_buf_deinit(&got);
}

static struct ig_tracking_pair pair(const char *key, const char *value)
{
    return (struct ig_tracking_pair){ig_str_view(key), ig_str_view(value)};
}

static void test_models(void **state)
{
    (void)state;
    const struct ig_tracking_pair tags[] = {pair("k", "a"), pair("k", "\"b\"")};
    ig_registered_testing_model(&world, "m", (struct ig_tracking_pairs){tags, 2});
    expect_told("{\"entity\":\"registered_model\",\"action\":\"created\",\"data\":{\"name\":\"m\","
                "\"tags\":{\"k\":\"\\\"b\\\"\"},\"description\":\"\"}}\n");
    ASSERT_OK(ig_registered_tag(&world.by, IG_STR("m"), tags[0], &err));
    expect_told("");
    ig_registered_testing_version(&world, "m", "s3://b/m", (struct ig_tracking_pairs){tags, 1});
    expect_told("{\"entity\":\"model_version\",\"action\":\"created\",\"data\":{\"name\":\"m\","
                "\"version\":\"1\",\"source\":\"s3://b/m\",\"run_id\":null,\"tags\":{\"k\":\"a\"},"
                "\"description\":null}}\n");
    ASSERT_OK(ig_registered_version_tag(&world.by, IG_STR("m"), IG_STR("1"), tags[0], &err));
    expect_told("{\"entity\":\"model_version_tag\",\"action\":\"set\",\"data\":{\"name\":\"m\","
                "\"version\":\"1\",\"key\":\"k\",\"value\":\"a\"}}\n");
    for (int i = 0; i < 2; i++) /* the second removes nothing */
        ASSERT_OK(
            ig_registered_version_untag(&world.by, IG_STR("m"), IG_STR("1"), IG_STR("k"), &err));
    expect_told("{\"entity\":\"model_version_tag\",\"action\":\"deleted\",\"data\":{\"name\":\"m\","
                "\"version\":\"1\",\"key\":\"k\"}}\n");
    ASSERT_OK(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("best"), IG_STR("1"), &err));
    expect_told("{\"entity\":\"model_version_alias\",\"action\":\"created\",\"data\":{\"name\":"
                "\"m\",\"alias\":\"best\",\"version\":\"1\"}}\n");
    for (int i = 0; i < 2; i++)
        ASSERT_OK(ig_registered_unalias(&world.by, IG_STR("m"), IG_STR("best"), &err));
    expect_told("{\"entity\":\"model_version_alias\",\"action\":\"deleted\",\"data\":{\"name\":"
                "\"m\",\"alias\":\"best\"}}\n");
}

static void test_prompts(void **state)
{
    (void)state;
    const struct ig_tracking_pair tags[] = {pair("mlflow.prompt.is_prompt", "true"),
                                            pair("mlflow.prompt.text", "Hi {{you}}"),
                                            pair("_mlflow_prompt_type", "text"), pair("k", "v")};
    ig_registered_testing_model(&world, "p", (struct ig_tracking_pairs){tags, 4});
    ig_registered_testing_version(&world, "p", "dummy-source", (struct ig_tracking_pairs){tags, 4});
    expect_told("{\"entity\":\"prompt\",\"action\":\"created\",\"data\":{\"name\":\"p\","
                "\"tags\":{\"k\":\"v\"},\"description\":\"\"}}\n"
                "{\"entity\":\"prompt_version\",\"action\":\"created\",\"data\":{\"name\":\"p\","
                "\"version\":\"1\",\"template\":\"Hi {{you}}\",\"tags\":{\"k\":\"v\"},"
                "\"description\":null}}\n");
    ASSERT_OK(ig_registered_tag(&world.by, IG_STR("p"), tags[3], &err));
    ASSERT_OK(ig_registered_untag(&world.by, IG_STR("p"), IG_STR("k"), &err));
    expect_told("{\"entity\":\"prompt_tag\",\"action\":\"set\",\"data\":{\"name\":\"p\","
                "\"key\":\"k\",\"value\":\"v\"}}\n"
                "{\"entity\":\"prompt_tag\",\"action\":\"deleted\",\"data\":{\"name\":\"p\","
                "\"key\":\"k\"}}\n");
    ASSERT_OK(ig_registered_version_tag(&world.by, IG_STR("p"), IG_STR("1"), tags[3], &err));
    ASSERT_OK(ig_registered_version_untag(&world.by, IG_STR("p"), IG_STR("1"), IG_STR("k"), &err));
    expect_told("{\"entity\":\"prompt_version_tag\",\"action\":\"set\",\"data\":{\"name\":\"p\","
                "\"version\":\"1\",\"key\":\"k\",\"value\":\"v\"}}\n"
                "{\"entity\":\"prompt_version_tag\",\"action\":\"deleted\",\"data\":{\"name\":"
                "\"p\",\"version\":\"1\",\"key\":\"k\"}}\n");
    ASSERT_OK(ig_registered_alias(&world.by, IG_STR("p"), IG_STR("a"), IG_STR("1"), &err));
    ASSERT_OK(ig_registered_unalias(&world.by, IG_STR("p"), IG_STR("a"), &err));
    expect_told("{\"entity\":\"prompt_alias\",\"action\":\"created\",\"data\":{\"name\":\"p\","
                "\"alias\":\"a\",\"version\":\"1\"}}\n"
                "{\"entity\":\"prompt_alias\",\"action\":\"deleted\",\"data\":{\"name\":\"p\","
                "\"alias\":\"a\"}}\n");
}

/* A change that is refused is not told. */
static void test_refused(void **state)
{
    (void)state;
    ig_registered_testing_model(&world, "m", (struct ig_tracking_pairs){NULL, 0});
    const struct ig_registered_spec again = {IG_STR("m"), IG_STR(""), {NULL, 0}};
    struct ig_registered_model model;
    expect_told("{\"entity\":\"registered_model\",\"action\":\"created\",\"data\":{\"name\":\"m\","
                "\"tags\":{},\"description\":\"\"}}\n");
    ASSERT_FAILS(ig_registered_create(&model, &world.by, &again, &err), IG_EXISTS, "m");
    ASSERT_FAILS(ig_registered_alias(&world.by, IG_STR("m"), IG_STR("a"), IG_STR("9"), &err),
                 IG_NOT_FOUND, "version=9");
    expect_told("");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_models), CASE(test_prompts), CASE(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
