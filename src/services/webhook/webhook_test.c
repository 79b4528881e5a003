/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks as rows: what may be one, what is told of them, what goes with them; and every failure
 * of the store. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "services/webhook/webhook_priv.h"
#include "stores/db_testing.h"
#include "stores/temp_testing.h"

static struct ig_temp temp;
static struct ig_db *db;
static struct ig_webhooks *webhooks;
static struct ig_arena arena;
static struct ig_err err;
static const enum ig_webhook_event EVENTS[] = {IG_WEBHOOK_VERSION_CREATED,
                                               IG_WEBHOOK_MODEL_CREATED};

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    temp = ig_temp_make();
    struct ig_db_options options = ig_db_testing_options(temp.fd);
    ig_arena_init(&arena, 64 << 10, 64 << 20);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    const struct ig_webhooks_options hooks = {.db = db, .timeout_ms = 500};
    ASSERT_OK(ig_webhooks_open(&webhooks, &hooks, &err));
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_webhooks_close(webhooks);
    ig_db_close(db);
    ig_arena_deinit(&arena);
    ig_temp_remove(&temp);
    return 0;
}

static enum ig_code make(struct ig_webhook *out, const char *name, const char *url)
{
    const struct ig_webhook_spec spec = {.name = ig_str_view(name),
                                         .url = ig_str_view(url),
                                         .secret = IG_STR("hush"),
                                         .events = EVENTS,
                                         .events_count = 2};
    return ig_webhook_create(out, webhooks, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err);
}

static enum ig_code change(struct ig_webhook *hook, const struct ig_webhook_spec *spec)
{
    const struct ig_webhook_change wanted = {&IG_PRINCIPAL_LOCAL, hook->id, spec};
    return ig_webhook_update(hook, webhooks, &wanted, &arena, &err);
}

static void test_life(void **state)
{
    (void)state;
    struct ig_webhook hook, got;
    ASSERT_OK(make(&hook, "one", "https://1.1.1.1:8443/a?b=c"));
    assert_true(ig_str_is(hook.name, "one") && !hook.disabled && hook.description.len == 0);
    assert_true(hook.events_count == 2 && hook.events[0] == IG_WEBHOOK_VERSION_CREATED);
    const struct ig_webhook_spec described = {.description = IG_STR("d"), .secret = IG_STR("")};
    ASSERT_OK(change(&hook, &described));
    assert_true(hook.updated_ms > hook.created_ms);
    struct ig_str secret;
    ASSERT_OK(ig_webhook_secret(&secret, webhooks, hook.id, &arena, &err));
    assert_int_equal(secret.len, 0);
    const struct ig_webhook_spec more = {.name = IG_STR("two"),
                                         .url = IG_STR("https://8.8.8.8/"),
                                         .events = EVENTS + 1,
                                         .events_count = 1,
                                         .status = IG_STR("DISABLED")};
    ASSERT_OK(change(&hook, &more));
    ASSERT_OK(ig_webhook_get(&got, webhooks, hook.id, &arena, &err));
    assert_true(ig_str_is(got.name, "two") && ig_str_is(got.url, "https://8.8.8.8/"));
    assert_true(ig_str_is(got.description, "d") && got.disabled);
    assert_true(got.events_count == 1 && got.events[0] == IG_WEBHOOK_MODEL_CREATED);
    ASSERT_OK(ig_webhook_delete(webhooks, &IG_PRINCIPAL_LOCAL, hook.id, &err));
    ASSERT_FAILS(ig_webhook_delete(webhooks, &IG_PRINCIPAL_LOCAL, hook.id, &err), IG_NOT_FOUND,
                 "Webhook with ID ");
    ASSERT_FAILS(change(&hook, &described), IG_NOT_FOUND, "not found.");
    ASSERT_FAILS(ig_webhook_get(&got, webhooks, IG_STR("nonexistent"), &arena, &err), IG_NOT_FOUND,
                 "Webhook with ID nonexistent not found.");
    ASSERT_OK(ig_audit_verify(db, &err));
}

static void test_pages(void **state)
{
    (void)state;
    struct ig_webhook hook;
    struct ig_webhook_list list;
    char name[8];
    for (int i = 0; i < 5; i++) {
        snprintf(name, sizeof name, "w%d", i);
        ASSERT_OK(make(&hook, name, "https://1.1.1.1"));
        usleep(2000); /* ids of one millisecond have no order */
    }
    ASSERT_OK(ig_webhook_page(&list, webhooks, IG_STR(""), 2, &arena, &err));
    assert_true(list.count == 2 && list.more && ig_str_is(list.items[0].name, "w4"));
    ASSERT_OK(ig_webhook_page(&list, webhooks, list.items[1].id, 3, &arena, &err));
    assert_true(list.count == 3 && !list.more && ig_str_is(list.items[2].name, "w0"));
    assert_int_equal(list.items[0].events_count, 2);
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *name, *url, *text;
    } bad[] = {
        {"", "https://1.1.1.1", "Webhook name '' is invalid."},
        {"a b", "https://1.1.1.1", "Webhook name 'a b' is invalid."},
        {"-a", "https://1.1.1.1", "must start and end with a letter or digit"},
        {"a.", "https://1.1.1.1", "must start and end with a letter or digit"},
        {"a", "   ", "Webhook URL cannot be empty or just whitespace: '   '"},
        {"a", "ftp://example.com", "Invalid webhook URL scheme: 'ftp'."},
        {"a", "example.com", "Invalid webhook URL scheme: ''."},
        {"a", "http://1.1.1.1", "Invalid webhook URL scheme: 'http'. Allowed schemes are: https."},
        {"a", "http://[invalid", "Invalid webhook URL"},
        {"a", "https://", "Webhook URL must include a hostname"},
        {"a", "https:///x", "Webhook URL must include a hostname"},
        {"a", "https://u:p@1.1.1.1", "it holds a user's name"},
        {"a", "https://1.1.1.1:0", "the port is not a number from 1 to 65535"},
        {"a", "https://1.1.1.1:x", "the port is not a number from 1 to 65535"},
        {"a", "https://1.1.1.1/a b", "it holds what has to be escaped"},
        {"a", "https://1.1.1.1/\r\nX: y", "it holds what has to be escaped"},
        {"a", "https://1.1.1.1/#f", "it has a fragment"},
        {"a", "https://127.0.0.1/", "'127.0.0.1' is 127.0.0.1, which is not a public address"},
        {"a", "https://localhost/", "must not resolve to a non-public IP address."},
        {"a", "https://[::1]/", "'::1' is ::1, which is not a public address"},
        {"a", "https://0x7f.1/", "is 127.0.0.1, which is not a public address"},
        {"a", "https://nobody.invalid/", "Cannot resolve Webhook URL hostname: 'nobody.invalid'"},
        {"a", "https://169.254.169.254/latest", "which is not a public address"},
    };
    struct ig_webhook hook;
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        ASSERT_FAILS(make(&hook, bad[i].name, bad[i].url), IG_INVALID, bad[i].text);
    struct ig_webhook_spec spec = {.name = IG_STR("a"), .url = IG_STR("https://1.1.1.1")};
    ASSERT_FAILS(ig_webhook_create(&hook, webhooks, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err),
                 IG_INVALID, "Webhook events must be a non-empty list");
    spec.events = EVENTS;
    spec.events_count = 1;
    spec.status = IG_STR("PAUSED");
    ASSERT_FAILS(ig_webhook_create(&hook, webhooks, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err),
                 IG_INVALID, "Invalid webhook status 'PAUSED'");
    struct ig_webhook_list list;
    ASSERT_OK(ig_webhook_page(&list, webhooks, IG_STR(""), 10, &arena, &err));
    assert_int_equal(list.count, 0);
}

static void test_events(void **state)
{
    (void)state;
    enum ig_webhook_event event;
    for (int i = 0; i < IG_WEBHOOK_EVENTS_COUNT; i++) {
        enum ig_webhook_event wanted = (enum ig_webhook_event)i;
        ASSERT_OK(ig_webhook_event_parse(&event, ig_str_view(ig_webhook_entity(wanted)),
                                         ig_str_view(ig_webhook_action(wanted)), &err));
        assert_int_equal(event, wanted);
    }
    ASSERT_OK(ig_webhook_event_parse(&event, IG_STR("MODEL_VERSION_TAG"), IG_STR("4"), &err));
    assert_int_equal(event, IG_WEBHOOK_VERSION_TAG_SET);
    ASSERT_FAILS(ig_webhook_event_parse(&event, IG_STR("3"), IG_STR("CREATED"), &err), IG_INVALID,
                 "Invalid action 'CREATED' for entity 'model_version_tag'. Valid actions are: "
                 "['set', 'deleted']");
    ASSERT_FAILS(ig_webhook_event_parse(&event, IG_STR("X"), IG_STR("CREATED"), &err), IG_INVALID,
                 "Unknown entity 'X'");
}

static void test_store_fails(void **state)
{
    (void)state;
    struct ig_webhook hook;
    struct ig_webhook_list list;
    bool failed = true;
    ig_webhooks_close(webhooks); /* its threads would meet the failures */
    struct ig_webhooks still = {.options = {.db = db}};
    webhooks = &still;
    for (uint64_t at = 1; failed && at < 200; at++) {
        ig_db_fail_after(at);
        enum ig_code code = make(&hook, "a", "https://1.1.1.1");
        ig_db_fail_after(0);
        failed = code != IG_OK;
        if (failed) assert_int_equal(code, IG_IO);
        err = IG_ERR_INIT;
        ASSERT_OK(ig_webhook_page(&list, webhooks, IG_STR(""), 10, &arena, &err));
        assert_int_equal(list.count, failed ? 0 : 1);
    }
    assert_false(failed);
    webhooks = NULL;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_life, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_events, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_fails, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
