/* SPDX-License-Identifier: Apache-2.0 */
/* An isolated deployment through the real program: the same answers as a shared one over every
 * protocol, processes that are killed and replaced, that end with the server, and that hold up no
 * other deployment. */
#include "support/live.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static struct live live;
static struct live_run out;

#define RUN(...) live_run(&out, &live, (const char *const[]){__VA_ARGS__, NULL})
#define PREDICT "/predict-with-explanation"
#define FEATURES "{\"x0\":0.9,\"x1\":0.1,\"colour\":\"green\"}"
#define SLOW                                                                                       \
    "{\"model\":\"apart\",\"method\":\"lime\",\"background\":\"b\",\"samples\":400000,"            \
    "\"features\":" FEATURES "}"

static const char GRAPH[] = "root:\n"
                            "  canary:\n"
                            "    {stable: {model: m, version: 1}, candidate: {model: m}, "
                            "canary_percent: 50, salt: s}\n"
                            "resources: {isolation: process, replicas: {min: 1, max: 2}}\n";

static int setup(void **state)
{
    (void)state;
    char id[64];
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    snprintf(live.headers, sizeof live.headers, "X-Unit-Id: u\r\n"); /* to one arm of a canary */
    live_start(&live, (const char *const[]){"--set", "workers=2", NULL});
    for (int i = 1; i <= 2; i++) {
        snprintf(id, sizeof id, "%s", live_submit(&live, "m", "table.csv", 10 * i));
        if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    }
    live_write(&live, "graph.yaml", GRAPH);
    RUN("deploy", "apart", "--graph", live_path(&live, "graph.yaml"));
    if (out.code != 0) fail_msg("%s", out.err);
    RUN("background", "set", "m", "b", live_path(&live, "table.csv"));
    if (out.code != 0) fail_msg("%s", out.err);
    snprintf(out.out, sizeof out.out, "%.*s", (int)(strstr(GRAPH, "resources") - GRAPH), GRAPH);
    live_write(&live, "graph.yaml", out.out);
    RUN("deploy", "here", "--graph", live_path(&live, "graph.yaml"));
    if (out.code != 0) fail_msg("%s", out.err);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static int first_pid(void)
{
    EXPECT(200, "GET", "/api/v1/deployments/apart", NULL);
    return (int)live_number(&live, "replicas.pids.0");
}

/* The answer but for the ids and times in it. */
static void answer(char *to, size_t size, const char *path, const char *body)
{
    EXPECT(200, "POST", path, body);
    snprintf(to, size, "%s", live_body(&live));
    char *tail = strstr(to, ",\"request_id\"");
    if (tail) *tail = 0;
}

static void assert_same(const char *path, const char *body)
{
    static char one[1 << 14], other[1 << 14], where[256], what[1024];
    for (int i = 0; i < 2; i++) {
        const char *name = i ? "here" : "apart";
        snprintf(where, sizeof where, path, name);
        snprintf(what, sizeof what, body, name);
        answer(i ? one : other, sizeof one, where, what);
        char *at = strstr(i ? one : other, "\"model_name\":\""); /* the one thing that differs */
        if (at) memset(at, ' ', strlen("\"model_name\":\"") + strlen(name));
        if (at) memmove(at, at + strlen(name), strlen(at + strlen(name)) + 1);
    }
    assert_string_equal(one, other);
}

static void test_same_answers(void **state)
{
    (void)state;
    static const char *const METHODS[] = {
        "",
        ",\"method\":\"tree_interventional\",\"background\":\"b\"",
        ",\"method\":\"lime\",\"background\":\"b\",\"samples\":200",
        ",\"method\":\"counterfactual\"",
        ",\"method\":\"tree_interactions\"",
        ",\"method\":\"tree_interactions\",\"interactions\":\"whole\"",
        ",\"method\":\"tree_path_dependent\",\"groups\":{\"x\":[\"x0\",\"x1\"]}"};
    char body[512];
    for (int unit = 0; unit < 4; unit++) /* to either arm of the canary */
        for (size_t i = 0; i < sizeof METHODS / sizeof *METHODS; i++) {
            snprintf(body, sizeof body,
                     "{\"model\":\"%%s\",\"unit_id\":\"u%d\",\"features\":" FEATURES "%s}", unit,
                     METHODS[i]);
            assert_same(PREDICT, body);
        }
    assert_same("/v1/models/%s:predict", "{\"instances\":[[0.9,0.1,\"green\"]]}");
    assert_same("/v1/models/%s:explain", "{\"instances\":[[0.9,0.1,\"green\"]]}");
    assert_same("/models/%s/invoke", "{\"instances\":[[0.9,0.1,\"green\"],[0.1,0.1,\"red\"]]}");
    EXPECT(400, "POST", PREDICT,
           "{\"model\":\"apart\",\"method\":\"lime\",\"features\":" FEATURES "}");
    assert_non_null(strstr(live_body(&live), "background: method lime needs one"));
    EXPECT(400, "POST", PREDICT,
           "{\"model\":\"apart\",\"background\":\"c\",\"features\":" FEATURES "}");
    assert_string_equal(live_text(&live, "error.field"), "background");
    EXPECT(200, "PUT", "/api/v1/deployments/alone",
           "{\"graph\":{\"root\":{\"model\":\"m\"},\"resources\":{\"isolation\":\"process\","
           "\"replicas\":{\"min\":0,\"max\":1}}}}");
    EXPECT(200, "POST", "/api/v1/importance", "{\"deployment\":\"alone\"}");
    assert_string_equal(live_text(&live, "kind"), "gain");
    assert_true(live_number(&live, "features.0.importance") > 0);
    EXPECT(200, "DELETE", "/api/v1/deployments/alone", NULL);
}

/* Both arms of the canary: the processes' answers make the same report. */
static void test_fairness(void **state)
{
    (void)state;
    static char reports[2][1 << 14];
    static const char *const NAMES[] = {"apart", "here"};
    char table[4096] = "x0,x1,colour,team\n", digest[80], request[512];
    for (int i = 0; i < 60; i++)
        snprintf(table + strlen(table), sizeof table - strlen(table), "%.2f,%.2f,%s,%s\n",
                 i % 10 / 10.0, i % 7 / 7.0, i % 3 ? "red" : "green", i % 2 ? "a" : "b");
    EXPECT(201, "POST", "/api/v1/blobs", table);
    snprintf(digest, sizeof digest, "%s", live_text(&live, "digest"));
    for (int i = 0; i < 2; i++) {
        snprintf(request, sizeof request,
                 "{\"data_digest\":\"%s\",\"protected\":[\"team\"],\"deployment\":\"%s\","
                 "\"attributions\":true}",
                 digest, NAMES[i]);
        EXPECT(200, "POST", "/api/v1/fairness", request);
        assert_true(live_number(&live, "answered.0.rows") > 0);
        assert_true(live_number(&live, "answered.1.rows") > 0);
        snprintf(reports[i], sizeof reports[i], "%s", live_body(&live));
    }
    assert_string_equal(reports[0], reports[1]);
}

/* Of every kind: the processes' answers, and what they say of their trees, make the same report. */
static void test_importance(void **state)
{
    (void)state;
    static char reports[2][1 << 14];
    static const char *const NAMES[] = {"apart", "here"};
    static const char *const KINDS[] = {"shap", "permutation", "split", "total_gain", "cover"};
    static const char *const GROUPS[] = {"", ",\"groups\":{\"both\":[\"x0\",\"colour\"]}"};
    char table[4096] = "x0,x1,colour,y\n", digest[80], request[512];
    for (int i = 0; i < 60; i++)
        snprintf(table + strlen(table), sizeof table - strlen(table), "%.2f,%.2f,%s,%s\n",
                 i % 10 / 10.0, i % 7 / 7.0, i % 3 ? "red" : "green", i % 10 > 4 ? "yes" : "no");
    EXPECT(201, "POST", "/api/v1/blobs", table);
    snprintf(digest, sizeof digest, "%s", live_text(&live, "digest"));
    for (size_t k = 0; k < 2 * (sizeof KINDS / sizeof *KINDS); k++) {
        for (int i = 0; i < 2; i++) {
            snprintf(request, sizeof request,
                     "{\"data_digest\":\"%s\",\"kind\":\"%s\",\"label\":\"y\","
                     "\"deployment\":\"%s\"%s}",
                     digest, KINDS[k / 2], NAMES[i], GROUPS[k % 2]);
            EXPECT(200, "POST", "/api/v1/importance", request);
            snprintf(reports[i], sizeof reports[i], "%s", live_body(&live));
        }
        assert_string_equal(reports[0], reports[1]);
        assert_true((strstr(reports[0], "\"feature\":\"both\"") != NULL) == (k % 2 == 1));
        bool of_trees = k / 2 >= 2;
        assert_true(live_number(&live, of_trees ? "models.1.features.0.importance"
                                                : "features.0.importance") > 0);
        assert_true(of_trees || (live_number(&live, "answered.0.rows") > 0 &&
                                 live_number(&live, "answered.1.rows") > 0));
    }
}

static void test_killed_and_replaced(void **state)
{
    (void)state;
    int pid = first_pid();
    assert_true(pid > 1);
    assert_int_equal(kill(pid, SIGKILL), 0);
    EXPECT(200, "POST", PREDICT, "{\"model\":\"apart\",\"features\":" FEATURES "}");
    assert_int_not_equal(first_pid(), pid);
    assert_string_equal(live_text(&live, "replicas.failed"), "1");
    assert_non_null(strstr(live_text(&live, "replicas.last_failure"), "signal 9"));
    EXPECT(200, "GET", "/metrics", NULL);
    assert_non_null(
        strstr(live_body(&live), "ingot_replicas_failed_total{deployment=\"apart\"} 1\n"));
    assert_non_null(strstr(live_body(&live), "ingot_replicas{deployment=\"apart\"} 1\n"));
}

static const char *slow_body = SLOW;

static void *call_slow(void *context)
{
    struct live own = *(const struct live *)context;
    struct ig_err err = IG_ERR_INIT;
    own.client = NULL;
    ig_buf_init(&own.reply.body, 1 << 20);
    if (ig_client_new(&own.client, own.url, NULL, &err) != IG_OK) return (void *)"no client";
    int status = live_try(&own, "POST", PREDICT, slow_body);
    ig_client_free(own.client);
    ig_buf_deinit(&own.reply.body);
    return status == 200 ? NULL : (void *)"no 200";
}

/* Both processes are busy for long; the other deployment has the workers to itself. */
static void assert_none_waits(void)
{
    enum { SLOW_CALLS = 4 };
    pthread_t threads[SLOW_CALLS];
    struct live start = live; /* the calls below write to `live` meanwhile */
    void *result = NULL;
    for (int i = 0; i < SLOW_CALLS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, call_slow, &start), 0);
    for (int i = 0; i < 1000; i++) {
        EXPECT(200, "GET", "/api/v1/deployments/apart", NULL);
        if (strcmp(live_text(&live, "replicas.busy"), "2") == 0) break;
        usleep(5000);
    }
    assert_string_equal(live_text(&live, "replicas.busy"), "2");
    EXPECT(200, "POST", PREDICT,
           "{\"model\":\"here\",\"method\":\"lime\",\"background\":\"b\",\"samples\":200,"
           "\"features\":" FEATURES "}");
    EXPECT(200, "GET", "/api/v1/deployments/apart", NULL);
    assert_true(live_number(&live, "replicas.busy") > 0);
    for (int i = 0; i < SLOW_CALLS; i++) {
        pthread_join(threads[i], &result);
        assert_null(result);
    }
}

static void test_no_other_deployment_waits(void **state)
{
    (void)state;
    assert_none_waits();
}

/* Who is asked is only known once a worker has read the body. */
static void test_nor_behind_long_bodies(void **state)
{
    (void)state;
    static char body[100000];
    snprintf(body, sizeof body, "%s%90000s", SLOW, "");
    slow_body = body;
    assert_none_waits();
}

static void test_ends_with_the_server_and_comes_back(void **state)
{
    (void)state;
    int pid = first_pid();
    live_stop(&live, SIGKILL);
    for (int i = 0; i < 400 && kill(pid, 0) == 0; i++) usleep(5000);
    assert_true(kill(pid, 0) != 0 && errno == ESRCH);
    live_start(&live, NULL);
    EXPECT(200, "POST", PREDICT, "{\"model\":\"apart\",\"features\":" FEATURES "}");
    pid = first_pid();
    int status = live_stop(&live, SIGTERM);
    assert_int_equal(status, 0);
    assert_true(kill(pid, 0) != 0 && errno == ESRCH);
    live_start(&live, NULL);
}

static void test_a_shared_revision_follows(void **state)
{
    (void)state;
    int pid = first_pid();
    RUN("deploy", "apart", "--graph", live_path(&live, "graph.yaml"));
    if (out.code != 0) fail_msg("%s", out.err);
    assert_null(strstr(out.out, "\"pids\""));
    assert_int_equal(kill(pid, 0), 0); /* warm, for a rollback */
    RUN("deploy", "apart", "--rollback");
    assert_int_equal(first_pid(), pid);
    EXPECT(200, "DELETE", "/api/v1/deployments/apart", NULL);
    for (int i = 0; i < 400 && kill(pid, 0) == 0; i++) usleep(5000);
    assert_true(kill(pid, 0) != 0 && errno == ESRCH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_same_answers),
        cmocka_unit_test(test_fairness),
        cmocka_unit_test(test_importance),
        cmocka_unit_test(test_killed_and_replaced),
        cmocka_unit_test(test_no_other_deployment_waits),
        cmocka_unit_test(test_nor_behind_long_bodies),
        cmocka_unit_test(test_ends_with_the_server_and_comes_back),
        cmocka_unit_test(test_a_shared_revision_follows),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
