/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks in MLflow's JSON, on a real store: what is answered, and that a secret never is. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"
#include "base/file.h"
#include "stores/db_testing.h"

#include <stdio.h>

static struct ig_call_testing test;
static char dir[] = "/tmp/ingot-webhooks-XXXXXX";
static int dirfd = -1;

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_call_testing_init(&test);
    if (!mkdtemp(dir) || ig_dir_open(&dirfd, IG_FILE_CWD, dir, &err) != IG_OK) return -1;
    struct ig_db_options db = ig_db_testing_options(dirfd);
    if (ig_db_open(&test.app.db, &db, &err) != IG_OK) return -1;
    const struct ig_webhooks_options options = {.db = test.app.db};
    return ig_webhooks_open(&test.app.webhooks, &options, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    ig_webhooks_close(test.app.webhooks);
    ig_db_close(test.app.db);
    ig_file_close(&dirfd);
    ig_dir_remove_tree(IG_FILE_CWD, dir, &err);
    ig_call_testing_deinit(&test);
    return 0;
}

static enum ig_code ask(enum ig_code (*handler)(struct ig_call *), const char *method,
                        const char *body, const char *id)
{
    ig_call_testing_again(&test);
    ig_call_testing_header(&test, "Content-Type", "application/json");
    test.exchange.request.method = ig_str_view(method);
    test.exchange.body = ig_str_view(body);
    test.call.params[0] = ig_str_view(id);
    return handler(&test.call);
}

static void expect_reply(const char *text)
{
    if (!strstr(test.exchange.reply.ptr, text)) fail_msg("%s", test.exchange.reply.ptr);
    assert_null(strstr(test.exchange.reply.ptr, "hush"));
}

static void test_forms(void **state)
{
    (void)state;
    char id[64] = "";
    static const char body[] =
        "{\"name\":\"w\",\"url\":\"https://1.1.1.1/x\",\"secret\":\"hush\",\"status\":\"ACTIVE\","
        "\"events\":[{\"entity\":\"MODEL_VERSION_ALIAS\",\"action\":\"DELETED\"},"
        "{\"entity\":8,\"action\":\"4\"}]}";
    assert_int_equal(ask(ig_mlflow_webhook_create, "POST", body, ""), IG_OK);
    expect_reply("\"name\":\"w\",\"url\":\"https://1.1.1.1/x\",\"events\":[{\"entity\":"
                 "\"MODEL_VERSION_ALIAS\",\"action\":\"DELETED\"},{\"entity\":"
                 "\"PROMPT_VERSION_TAG\",\"action\":\"SET\"}],\"status\":\"ACTIVE\","
                 "\"creation_timestamp\":");
    const char *at = strstr(test.exchange.reply.ptr, "\"webhook_id\":\"");
    assert_non_null(at);
    snprintf(id, sizeof id, "%.*s", IG_ID_SIZE - 1, at + 14);
    assert_int_equal(ask(ig_mlflow_webhook_get, "GET", "", id), IG_OK);
    expect_reply("{\"webhook\":{\"webhook_id\":");
    assert_int_equal(
        ask(ig_mlflow_webhook_update, "PATCH", "{\"description\":\"d\",\"status\":2}", id), IG_OK);
    expect_reply("\"description\":\"d\",\"url\"");
    expect_reply("\"status\":\"DISABLED\"");
    assert_int_equal(ask(ig_mlflow_webhook_list, "GET", "", ""), IG_OK);
    expect_reply("{\"webhooks\":[{\"webhook_id\":");
    assert_null(strstr(test.exchange.reply.ptr, "next_page_token"));
    assert_int_equal(ask(ig_mlflow_webhook_delete, "DELETE", "", id), IG_OK);
    assert_int_equal(ask(ig_mlflow_webhook_get, "GET", "", id), IG_NOT_FOUND);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *body, *text;
    } bad[] = {
        {"{}", "Missing value for required parameter 'name'."},
        {"{\"name\":\"w\",\"url\":\"https://1.1.1.1\"}", "parameter 'events'."},
        {"{\"name\":\"w\",\"url\":\"https://1.1.1.1\",\"events\":[]}", "non-empty list"},
        {"{\"name\":\"w\",\"url\":\"https://1.1.1.1\",\"events\":[7]}", "parameter 'events[0]'"},
        {"{\"name\":\"w\",\"url\":\"https://1.1.1.1\",\"events\":[{\"entity\":\"PROMPT\"}]}",
         "'events[0].action'"},
        {"{\"name\":\"w\",\"url\":\"https://1.1.1.1\",\"events\":[{\"entity\":\"BUDGET_POLICY\","
         "\"action\":\"EXCEEDED\"}]}",
         "Unknown entity 'BUDGET_POLICY'"},
        {"{\"name\":1}", "parameter 'name'"},
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(ask(ig_mlflow_webhook_create, "POST", bad[i].body, ""), IG_INVALID);
        if (!strstr(test.call.err.message, bad[i].text)) fail_msg("%s", test.call.err.message);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_forms),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, setup, teardown);
}
