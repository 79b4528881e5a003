/* SPDX-License-Identifier: Apache-2.0 */
/* Deliveries against a listener: what is sent and signed, what is tried again and what is not, what
 * outlives the senders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/hash.h"
#include "services/webhook/webhook_priv.h"
#include "services/webhook/webhook_testing.h"
#include "stores/db_testing.h"
#include "stores/statement_testing.h"
#include "stores/temp_testing.h"

static struct ig_temp temp;
static struct ig_db *db;
static struct ig_webhooks *webhooks;
static struct ig_arena arena;
static struct ig_err err;
static struct ig_listener listener;
static const enum ig_webhook_event EVENT = IG_WEBHOOK_ALIAS_CREATED;

static void open_hooks(bool private_allowed)
{
    const struct ig_webhooks_options options = {.db = db,
                                                .http_allowed = true,
                                                .private_allowed = private_allowed,
                                                .timeout_ms = 600,
                                                .retries = 3,
                                                .retry_first_ms = 5};
    ASSERT_OK(ig_webhooks_open(&webhooks, &options, &err));
}

static int setup(void **state)
{
    (void)state;
    err = IG_ERR_INIT;
    temp = ig_temp_make();
    struct ig_db_options options = ig_db_testing_options(temp.fd);
    ig_arena_init(&arena, 64 << 10, 64 << 20);
    ASSERT_OK(ig_db_open(&db, &options, &err));
    open_hooks(true);
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

static struct ig_str hook(unsigned port, const char *secret)
{
    char url[64];
    struct ig_webhook made = {.id = IG_STR("")};
    snprintf(url, sizeof url, "http://127.0.0.1:%u/hook?k=v", port);
    const struct ig_webhook_spec spec = {.name = IG_STR("w"),
                                         .url = ig_str_view(url),
                                         .secret = ig_str_view(secret),
                                         .events = &EVENT,
                                         .events_count = 1};
    ASSERT_OK(ig_webhook_create(&made, webhooks, &IG_PRINCIPAL_LOCAL, &spec, &arena, &err));
    return made.id;
}

static enum ig_code emit_in(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    bool wanted = false;
    const char *data = context;
    assert_int_equal(ig_webhook_wanted(&wanted, tx, EVENT, inner), IG_OK);
    assert_true(wanted);
    return ig_webhook_emit(tx, EVENT, ig_str_view(data), inner);
}

static void emit(const char *data)
{
    ASSERT_OK(ig_db_write(db, emit_in, (void *)(uintptr_t)data, &err));
    ig_webhooks_wake(webhooks);
}

static int64_t pending(void)
{
    return ig_statement_number(db, "select count(*) from webhook_deliveries");
}

static void wait_for_nothing(void)
{
    for (int i = 0; i < 1000 && pending() > 0; i++) usleep(5000);
    assert_int_equal(pending(), 0);
}

static void test_delivery(void **state)
{
    (void)state;
    static const int statuses[] = {204};
    char content[2048], expected[64];
    unsigned char mac[IG_SHA256_BYTES];
    assert_true(ig_listener_start(&listener, 0, statuses, 1));
    hook(listener.port, "hush");
    emit("{\"name\":\"m\",\"alias\":\"a\",\"version\":\"1\"}");
    assert_true(ig_listener_wait(&listener, 1));
    const char *body = ig_listener_body(&listener, 0);
    assert_int_equal(strncmp(listener.heard[0], "POST /hook?k=v HTTP/1.1\r\n", 25), 0);
    assert_string_equal(ig_listener_header(&listener, 0, "Content-Type"), "application/json");
    assert_non_null(strstr(body, "{\"entity\":\"model_version_alias\",\"action\":\"created\","
                                 "\"timestamp\":\"20"));
    assert_non_null(
        strstr(body, "+00:00\",\"data\":{\"name\":\"m\",\"alias\":\"a\",\"version\":\"1\"}}"));
    int length = snprintf(content, sizeof content, "%s.",
                          ig_listener_header(&listener, 0, "X-MLflow-Delivery-Id"));
    assert_int_equal(length, IG_ID_SIZE);
    snprintf(content + length, sizeof content - (size_t)length, "%s.%s",
             ig_listener_header(&listener, 0, "X-MLflow-Timestamp"), body);
    ig_hmac_sha256(mac, IG_STR("hush"), ig_str_view(content));
    snprintf(expected, sizeof expected, "v1,");
    ig_sha256_base64(expected + 3, mac);
    assert_string_equal(ig_listener_header(&listener, 0, "X-MLflow-Signature"), expected);
    wait_for_nothing();
    ig_listener_stop(&listener);
}

/* Each answer once, then 200: how often it was asked, and whether it came through. */
static void test_answers(void **state)
{
    (void)state;
    static const struct {
        int status;
        unsigned heard;
        bool delivered;
    } cases[] = {
        {200, 1, true}, {429, 2, true},  {500, 2, true},  {503, 2, true},  {0, 2, true},
        {-1, 2, true},  {302, 1, false}, {400, 1, false}, {401, 1, false}, {404, 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int statuses[] = {cases[i].status, 200};
        struct ig_webhooks_stats before, after;
        char id[64];
        ig_webhooks_stats(&before, webhooks);
        assert_true(ig_listener_start(&listener, 0, statuses, 2));
        struct ig_str made = hook(listener.port, "");
        emit("{}");
        wait_for_nothing();
        ig_webhooks_stats(&after, webhooks);
        if (!ig_listener_wait(&listener, cases[i].heard) ||
            atomic_load(&listener.heard_count) != cases[i].heard)
            fail_msg("%d: heard %u", cases[i].status, atomic_load(&listener.heard_count));
        assert_int_equal(after.delivered - before.delivered, cases[i].delivered);
        assert_int_equal(after.given_up - before.given_up, !cases[i].delivered);
        assert_int_equal(after.retried - before.retried, cases[i].heard - 1);
        assert_string_equal(ig_listener_header(&listener, 0, "X-MLflow-Signature"), "");
        snprintf(id, sizeof id, "%s", ig_listener_header(&listener, 0, "X-MLflow-Delivery-Id"));
        if (cases[i].heard == 2) /* the same, for those who must not act twice */
            assert_string_equal(ig_listener_header(&listener, 1, "X-MLflow-Delivery-Id"), id);
        ASSERT_OK(ig_webhook_delete(webhooks, &IG_PRINCIPAL_LOCAL, made, &err));
        ig_listener_stop(&listener);
    }
}

/* A redirect that keeps the POST is followed with the same body, id and signature, within what the
 * settings allow; one that would make it a GET without a body is a failure. */
static void test_redirects(void **state)
{
    (void)state;
    static const struct {
        int first;
        const char *location;
        unsigned heard;
        bool delivered;
    } cases[] = {
        {307, NULL, 2, true},
        {308, "/other", 2, true},
        {301, NULL, 1, false},
        {303, "/other", 1, false},
        {307, "ftp://x/y", 1, false},
        {307, "other", 1, false},
        {307, "https://[bad", 1, false},
        {308, "//u@127.0.0.1", 1, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const int statuses[] = {cases[i].first, 200};
        struct ig_webhooks_stats before, after;
        char signature[64], id[64];
        ig_webhooks_stats(&before, webhooks);
        assert_true(ig_listener_start(&listener, 0, statuses, 2));
        listener.location = cases[i].location;
        struct ig_str made = hook(listener.port, "hush");
        emit("{\"name\":\"m\"}");
        wait_for_nothing();
        ig_webhooks_stats(&after, webhooks);
        if (!ig_listener_wait(&listener, cases[i].heard) ||
            atomic_load(&listener.heard_count) != cases[i].heard)
            fail_msg("%zu: heard %u", i, atomic_load(&listener.heard_count));
        assert_int_equal(after.delivered - before.delivered, cases[i].delivered);
        assert_int_equal(after.given_up - before.given_up, !cases[i].delivered);
        snprintf(signature, sizeof signature, "%s",
                 ig_listener_header(&listener, 0, "X-MLflow-Signature"));
        snprintf(id, sizeof id, "%s", ig_listener_header(&listener, 0, "X-MLflow-Delivery-Id"));
        if (cases[i].heard == 2) {
            assert_non_null(strstr(listener.heard[1], "POST /other HTTP/1.1"));
            assert_string_equal(ig_listener_body(&listener, 1), ig_listener_body(&listener, 0));
            assert_string_equal(ig_listener_header(&listener, 1, "X-MLflow-Delivery-Id"), id);
            assert_string_equal(ig_listener_header(&listener, 1, "X-MLflow-Signature"), signature);
        }
        ASSERT_OK(ig_webhook_delete(webhooks, &IG_PRINCIPAL_LOCAL, made, &err));
        ig_listener_stop(&listener);
    }
}

static void test_redirects_end(void **state)
{
    (void)state;
    static const int statuses[] = {307};
    struct ig_webhooks_stats stats;
    assert_true(ig_listener_start(&listener, 0, statuses, 1));
    hook(listener.port, "");
    emit("{}");
    wait_for_nothing();
    assert_int_equal(atomic_load(&listener.heard_count), 6);
    ig_webhooks_stats(&stats, webhooks);
    assert_true(stats.delivered == 0 && stats.given_up == 1);
    ig_listener_stop(&listener);
}

static void test_tries_end(void **state)
{
    (void)state;
    static const int statuses[] = {500};
    struct ig_webhooks_stats stats;
    assert_true(ig_listener_start(&listener, 0, statuses, 1));
    hook(listener.port, "");
    emit("{}");
    wait_for_nothing();
    assert_int_equal(atomic_load(&listener.heard_count), 4);
    ig_webhooks_stats(&stats, webhooks);
    assert_true(stats.delivered == 0 && stats.retried == 3 && stats.given_up == 1);
    ig_listener_stop(&listener);
}

/* What was emitted while nobody sends is sent by the senders of the next start. */
static void test_outlives_senders(void **state)
{
    (void)state;
    static const int statuses[] = {200};
    assert_true(ig_listener_start(&listener, 0, statuses, 1));
    hook(listener.port, "");
    ig_webhooks_close(webhooks);
    webhooks = NULL;
    for (int i = 0; i < 10; i++) emit("{}");
    assert_int_equal(pending(), 10);
    assert_int_equal(atomic_load(&listener.heard_count), 0);
    open_hooks(true);
    assert_true(ig_listener_wait(&listener, 10));
    wait_for_nothing();
    assert_int_equal(atomic_load(&listener.heard_count), 10);
    ig_listener_stop(&listener);
}

static enum ig_code emit_and_fail(struct ig_db_tx *tx, void *context, struct ig_err *inner)
{
    if (emit_in(tx, context, inner) != IG_OK) return inner->code;
    return ig_fail(inner, IG_CONFLICT, "no");
}

static void test_undone_event(void **state)
{
    (void)state;
    char data[] = "{}";
    hook(9, "");
    ASSERT_FAILS(ig_db_write(db, emit_and_fail, data, &err), IG_CONFLICT, "no");
    assert_int_equal(pending(), 0);
}

/* One that never answers holds up nobody else, nor the end. */
static void test_slow_one(void **state)
{
    (void)state;
    static const int never[] = {-1}, soon[] = {200};
    static struct ig_listener slow;
    assert_true(ig_listener_start(&slow, 0, never, 1));
    assert_true(ig_listener_start(&listener, 0, soon, 1));
    hook(slow.port, "");
    hook(listener.port, "");
    for (int i = 0; i < 3; i++) emit("{}");
    assert_true(ig_listener_wait(&listener, 3));
    assert_true(pending() >= 3);
    ig_webhooks_close(webhooks);
    webhooks = NULL;
    assert_true(pending() > 0);
    ig_listener_stop(&slow);
    ig_listener_stop(&listener);
}

static void test_disabled(void **state)
{
    (void)state;
    struct ig_webhook changed;
    const struct ig_webhook_spec off = {.status = IG_STR("DISABLED")};
    struct ig_str id = hook(9, "");
    ig_webhooks_close(webhooks);
    webhooks = NULL;
    emit("{}");
    assert_int_equal(pending(), 1);
    open_hooks(true);
    const struct ig_webhook_change change = {&IG_PRINCIPAL_LOCAL, id, &off};
    ASSERT_OK(ig_webhook_update(&changed, webhooks, &change, &arena, &err));
    assert_int_equal(pending(), 0);
}

static void test_private_is_refused(void **state)
{
    (void)state;
    static const int statuses[] = {200};
    struct ig_webhooks_stats stats;
    struct ig_webhook_trial trial;
    assert_true(ig_listener_start(&listener, 0, statuses, 1));
    struct ig_str id = hook(listener.port, "");
    ig_webhooks_close(webhooks);
    open_hooks(false);
    emit("{}");
    wait_for_nothing();
    ig_webhooks_stats(&stats, webhooks);
    assert_int_equal(stats.given_up, 1);
    ASSERT_OK(ig_webhook_try(&trial, webhooks, id, NULL, &arena, &err));
    assert_int_equal(trial.status, 0);
    assert_true(ig_str_is(trial.error, "'127.0.0.1' is 127.0.0.1, which is not a public address"));
    assert_int_equal(atomic_load(&listener.heard_count), 0);
    ig_listener_stop(&listener);
}

static void test_trial(void **state)
{
    (void)state;
    static const int statuses[] = {200, 418};
    struct ig_webhook_trial trial;
    const enum ig_webhook_event other = IG_WEBHOOK_PROMPT_CREATED;
    assert_true(ig_listener_start(&listener, 0, statuses, 2));
    struct ig_str id = hook(listener.port, "hush");
    ASSERT_OK(ig_webhook_try(&trial, webhooks, id, NULL, &arena, &err));
    assert_true(trial.status == 200 && ig_str_is(trial.reply, "heard") && !trial.error.len);
    assert_non_null(strstr(ig_listener_body(&listener, 0), "\"alias\":\"example_alias\""));
    ASSERT_OK(ig_webhook_try(&trial, webhooks, id, &other, &arena, &err));
    assert_int_equal(trial.status, 418);
    assert_true(ig_listener_wait(&listener, 2));
    assert_non_null(
        strstr(ig_listener_body(&listener, 1), "\"description\":\"An example prompt\""));
    ig_listener_stop(&listener);
    ASSERT_OK(ig_webhook_try(&trial, webhooks, id, NULL, &arena, &err));
    assert_true(trial.status == 0 && trial.error.len > 0);
    ASSERT_FAILS(ig_webhook_try(&trial, webhooks, IG_STR("x"), NULL, &arena, &err), IG_NOT_FOUND,
                 "Webhook with ID x not found.");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_delivery, setup, teardown),
        cmocka_unit_test_setup_teardown(test_answers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redirects, setup, teardown),
        cmocka_unit_test_setup_teardown(test_redirects_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tries_end, setup, teardown),
        cmocka_unit_test_setup_teardown(test_outlives_senders, setup, teardown),
        cmocka_unit_test_setup_teardown(test_undone_event, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_one, setup, teardown),
        cmocka_unit_test_setup_teardown(test_disabled, setup, teardown),
        cmocka_unit_test_setup_teardown(test_private_is_refused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_trial, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
