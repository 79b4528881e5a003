/* SPDX-License-Identifier: Apache-2.0 */
/* Webhooks over HTTP, as MLflow's client asks for them, and what a killed server still tells. */
#include "support/live.h"

#include "services/webhook/webhook_testing.h"

#include <signal.h>

#define API "/api/2.0/mlflow/webhooks"

static struct live live;
static struct ig_listener listener;
static const int OK_STATUS[] = {200};
static const char *const PRIVATE[] = {"--set", "webhook_http=true", "--set", "webhook_private=true",
                                      NULL};

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, PRIVATE);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static const char *make(unsigned port, const char *events)
{
    static char id[64];
    char body[512];
    snprintf(body, sizeof body,
             "{\"name\":\"w\",\"url\":\"http://127.0.0.1:%u/\",\"secret\":\"hush\",\"events\":%s}",
             port, events);
    EXPECT(200, "POST", API, body);
    snprintf(id, sizeof id, "%s", live_text(&live, "webhook.webhook_id"));
    return id;
}

static void expect_error(int wanted, const char *method, const char *path, const char *body,
                         const char *text)
{
    EXPECT(wanted, method, path, body);
    if (!strstr(live_text(&live, "message"), text)) fail_msg("%s", live_body(&live));
}

static void test_api(void **state)
{
    (void)state;
    char path[128], id[64];
    snprintf(id, sizeof id, "%s",
             make(9, "[{\"entity\":\"MODEL_VERSION\",\"action\":\"CREATED\"}]"));
    assert_string_equal(live_text(&live, "webhook.events.0.entity"), "MODEL_VERSION");
    assert_string_equal(live_text(&live, "webhook.events.0.action"), "CREATED");
    assert_string_equal(live_text(&live, "webhook.status"), "ACTIVE");
    assert_null(strstr(live_body(&live), "hush"));
    snprintf(path, sizeof path, API "/%s", id);
    EXPECT(200, "GET", path, NULL);
    assert_null(strstr(live_body(&live), "hush"));
    EXPECT(200, "PATCH", path,
           "{\"description\":\"d\",\"status\":\"DISABLED\",\"events\":[{\"entity\":\"PROMPT_TAG\","
           "\"action\":\"SET\"}]}");
    assert_string_equal(live_text(&live, "webhook.status"), "DISABLED");
    assert_string_equal(live_text(&live, "webhook.events.0.entity"), "PROMPT_TAG");
    assert_string_equal(live_text(&live, "webhook.name"), "w");
    make(9, "[{\"entity\":2,\"action\":1}]");
    EXPECT(200, "GET", API "?max_results=1", NULL);
    assert_null(strstr(live_body(&live), "hush"));
    snprintf(path, sizeof path, API "?page_token=%s", live_text(&live, "next_page_token"));
    EXPECT(200, "GET", path, NULL);
    assert_string_equal(live_text(&live, "webhooks.0.webhook_id"), id);
    assert_string_equal(live_text(&live, "next_page_token"), "");
    expect_error(400, "GET", API "?page_token=%27%3Bdrop", NULL, "Invalid page token");
    expect_error(400, "GET", API "?max_results=1001", NULL, "between 1 and 1000");
    expect_error(400, "POST", API, "{\"name\":\"w\",\"url\":\"http://127.0.0.1/\"}",
                 "Missing value for required parameter 'events'");
    expect_error(400, "POST", API,
                 "{\"name\":\"w\",\"url\":\"ftp://x\",\"events\":[{\"entity\":\"PROMPT\","
                 "\"action\":\"CREATED\"}]}",
                 "Invalid webhook URL scheme: 'ftp'");
    expect_error(400, "POST", API,
                 "{\"name\":\"w\",\"url\":\"https://1.1.1.1\",\"events\":[{\"entity\":\"PROMPT\","
                 "\"action\":\"SET\"}]}",
                 "Invalid action 'SET' for entity 'prompt'");
    snprintf(path, sizeof path, API "/%s", id);
    EXPECT(200, "DELETE", path, NULL);
    expect_error(404, "GET", path, NULL, "not found.");
    expect_error(404, "PATCH", API "/nonexistent", "{\"name\":\"x\"}",
                 "Webhook with ID nonexistent not found.");
    expect_error(404, "POST", API "/nonexistent/test", "{}",
                 "Webhook with ID nonexistent not found.");
}

static void test_trial(void **state)
{
    (void)state;
    char path[128];
    assert_true(ig_listener_start(&listener, 0, OK_STATUS, 1));
    snprintf(path, sizeof path, API "/%s/test",
             make(listener.port, "[{\"entity\":\"MODEL_VERSION\",\"action\":\"CREATED\"}]"));
    EXPECT(200, "POST", path, "{}");
    assert_int_equal((int)live_number(&live, "result.response_status"), 200);
    assert_string_equal(live_text(&live, "result.response_body"), "heard");
    EXPECT(200, "POST", path, "{\"event\":{\"entity\":\"PROMPT\",\"action\":\"CREATED\"}}");
    ig_listener_stop(&listener);
    assert_int_equal(atomic_load(&listener.heard_count), 2);
    EXPECT(200, "POST", path, "{}");
    assert_non_null(strstr(live_body(&live), "\"success\":false,\"error_message\":\"cannot reach"));
}

/* Killed right behind the answer, with nobody there to be told: the next server tells it. */
static void test_killed(void **state)
{
    (void)state;
    assert_true(ig_listener_start(&listener, 0, OK_STATUS, 1));
    unsigned port = listener.port;
    ig_listener_stop(&listener); /* its port answers nothing */
    make(port, "[{\"entity\":\"REGISTERED_MODEL\",\"action\":\"CREATED\"}]");
    for (int i = 0; i < 5; i++) {
        char body[64];
        snprintf(body, sizeof body, "{\"name\":\"m%d\"}", i);
        EXPECT(200, "POST", "/api/2.0/mlflow/registered-models/create", body);
    }
    live_stop(&live, SIGKILL);
    assert_true(ig_listener_start(&listener, port, OK_STATUS, 1));
    live_start(&live, PRIVATE);
    assert_true(ig_listener_wait(&listener, 5));
    for (int i = 0; i < 5; i++) {
        bool found = false;
        char name[32];
        snprintf(name, sizeof name, "\"name\":\"m%d\"", i);
        for (size_t k = 0; k < 5; k++)
            found |= strstr(ig_listener_body(&listener, k), name) != NULL;
        if (!found) fail_msg("%s was not told", name);
    }
    ig_listener_stop(&listener);
}

/* The registry of this server's own tells its versions and aliases too. */
static void test_own_registry(void **state)
{
    (void)state;
    static const char model[] =
        "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nlabel_index=0\n"
        "max_feature_idx=0\nobjective=binary sigmoid:1\nfeature_names=size\n"
        "feature_infos=[0:9]\ntree_sizes=1\n\nTree=0\nnum_leaves=2\nnum_cat=0\n"
        "split_feature=0\nthreshold=1.5\ndecision_type=8\nleft_child=-1\n"
        "right_child=-2\nleaf_value=1 2\nleaf_count=5 5\ninternal_count=10\n\nend of trees\n";
    char body[256];
    assert_true(ig_listener_start(&listener, 0, OK_STATUS, 1));
    make(listener.port, "[{\"entity\":\"MODEL_VERSION\",\"action\":\"CREATED\"},"
                        "{\"entity\":\"MODEL_VERSION_ALIAS\",\"action\":\"CREATED\"},"
                        "{\"entity\":\"MODEL_VERSION_ALIAS\",\"action\":\"DELETED\"}]");
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", live_upload(&live, model, sizeof model - 1));
    EXPECT(201, "POST", "/api/v1/models/own/versions", body);
    assert_true(ig_listener_wait(&listener, 1));
    EXPECT(200, "PUT", "/api/v1/models/own/aliases/best", "{\"version\":1}");
    assert_true(ig_listener_wait(&listener, 2));
    EXPECT(200, "DELETE", "/api/v1/models/own/aliases/best", NULL);
    assert_true(ig_listener_wait(&listener, 3));
    assert_non_null(strstr(ig_listener_body(&listener, 0),
                           "{\"name\":\"own\",\"version\":\"1\",\"source\":\"models:/own/1\","
                           "\"run_id\":null,\"tags\":{},\"description\":null}"));
    assert_non_null(strstr(ig_listener_body(&listener, 1),
                           "{\"name\":\"own\",\"alias\":\"best\",\"version\":\"1\"}"));
    assert_non_null(
        strstr(ig_listener_body(&listener, 2), "{\"name\":\"own\",\"alias\":\"best\"}"));
    for (int i = 0; i < 500; i++) {
        EXPECT(200, "GET", "/metrics", NULL);
        if (strstr(live_body(&live), "\ningot_webhook_delivered_total 3\n")) break;
        usleep(10000);
    }
    assert_non_null(strstr(live_body(&live), "\ningot_webhook_delivered_total 3\n"));
    ig_listener_stop(&listener);
}

static void test_defaults_refuse(void **state)
{
    (void)state;
    live_stop(&live, SIGTERM);
    live_start(&live, NULL);
    expect_error(400, "POST", API,
                 "{\"name\":\"w\",\"url\":\"http://1.1.1.1/\",\"events\":[{\"entity\":\"PROMPT\","
                 "\"action\":\"CREATED\"}]}",
                 "Allowed schemes are: https.");
    expect_error(
        400, "POST", API,
        "{\"name\":\"w\",\"url\":\"https://localhost/\",\"events\":[{\"entity\":\"PROMPT\","
        "\"action\":\"CREATED\"}]}",
        "must not resolve to a non-public IP address");
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {CASE(test_api), CASE(test_trial), CASE(test_killed),
                                       CASE(test_own_registry), CASE(test_defaults_refuse)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
