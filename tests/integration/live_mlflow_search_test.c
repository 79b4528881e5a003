/* SPDX-License-Identifier: Apache-2.0 */
/* MLflow's search over HTTP: what was logged is found, in order, page by page, by both forms of the
 * request and below both prefixes. */
#include "support/live.h"

#include <stdio.h>
#include <string.h>

#define API "/api/2.0/mlflow"
enum { RUNS = 5 };

static struct live live;
static char experiment[32];
static char ids[RUNS][40];

static void post(const char *path, const char *body)
{
    if (live_call(&live, "POST", path, body) != 200) fail_msg("%s: %s", path, live_body(&live));
}

static void refuse(const char *path, const char *body, const char *message)
{
    assert_int_equal(live_call(&live, "POST", path, body), 400);
    assert_string_equal(live_text(&live, "error_code"), "INVALID_PARAMETER_VALUE");
    if (!strstr(live_text(&live, "message"), message)) fail_msg("%s", live_body(&live));
}

/* Run i: started at 1000 + i, metrics.m i + 0.5 (of run 3 NaN, of run 4 none), params.p a or b. */
static void make_run(int i)
{
    static const char *const values[] = {"0.5", "1.5", "2.5", "NaN"};
    char body[512], metric[160] = "";
    snprintf(body, sizeof body,
             "{\"experiment_id\":\"%s\",\"start_time\":%d,\"run_name\":\"run %d\"}", experiment,
             1000 + i, i);
    post(API "/runs/create", body);
    snprintf(ids[i], sizeof ids[i], "%s", live_text(&live, "run.info.run_id"));
    if (i < 4)
        snprintf(metric, sizeof metric,
                 "{\"key\":\"m\",\"value\":\"%s\",\"timestamp\":1,\"step\":0}", values[i]);
    snprintf(body, sizeof body,
             "{\"run_id\":\"%s\",\"metrics\":[%s],\"params\":[{\"key\":\"p\",\"value\":\"%s\"}],"
             "\"tags\":[{\"key\":\"a.b\",\"value\":\"Tag %d\"}]}",
             ids[i], metric, i % 2 ? "b" : "a", i);
    post(API "/runs/log-batch", body);
}

static int setup(void **state)
{
    (void)state;
    live_make(&live);
    live_start(&live, NULL);
    post(API "/experiments/create", "{\"name\":\"search\"}");
    snprintf(experiment, sizeof experiment, "%s", live_text(&live, "experiment_id"));
    for (int i = 0; i < RUNS; i++) make_run(i);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

/* Searches with these further members; `order` lists the runs that are to come, as digits. */
static void expect(const char *members, const char *order)
{
    char body[1024], path[64];
    snprintf(body, sizeof body, "{\"experiment_ids\":[\"%s\"]%s}", experiment, members);
    post(API "/runs/search", body);
    size_t i = 0;
    for (; order[i]; i++) {
        snprintf(path, sizeof path, "runs.%zu.info.run_id", i);
        if (strcmp(live_text(&live, path), ids[order[i] - '0']) != 0)
            fail_msg("%s: %zu: %s", members, i, live_body(&live));
    }
    snprintf(path, sizeof path, "runs.%zu.info.run_id", i);
    assert_string_equal(live_text(&live, path), "");
}

static void test_filters(void **state)
{
    (void)state;
    expect("", "43210");
    assert_string_equal(live_text(&live, "runs.0.data.params.0.value"), "a");
    expect(",\"filter\":\"metrics.m > 0.5\"", "21");
    expect(",\"filter\":\"metrics.m != 0.5 AND params.p = 'b'\"", "31");
    expect(",\"filter\":\"tags.`a.b` LIKE 'Tag _' and start_time < 1002\"", "10");
    expect(",\"filter\":\"tags.`a.b` LIKE 'tag _'\"", "");
    assert_string_equal(live_body(&live), "{}");
    expect(",\"filter\":\"attributes.run_name ILIKE 'RUN 4'\"", "4");
    expect(",\"filter\":\"status = 'RUNNING'\",\"run_view_type\":\"DELETED_ONLY\"", "");
}

static void test_orders(void **state)
{
    (void)state;
    expect(",\"order_by\":[\"metrics.m DESC\"]", "21034");
    expect(",\"order_by\":[\"metrics.m\"]", "01234");
    expect(",\"order_by\":[\"params.p\",\"start_time ASC\"]", "02413");
}

static void test_pages(void **state)
{
    static const char *const pages[] = {"01", "23", "4"};
    char members[256], token[64] = "";
    (void)state;
    for (size_t page = 0; page < 3; page++) {
        snprintf(members, sizeof members,
                 ",\"max_results\":2,\"order_by\":[\"metrics.m\"],\"page_token\":\"%s\"", token);
        expect(members, pages[page]);
        snprintf(token, sizeof token, "%s", live_text(&live, "next_page_token"));
        assert_int_equal(strlen(token), page < 2 ? 48 : 0);
    }
    refuse(API "/runs/search", "{\"experiment_ids\":[\"0\"],\"page_token\":\"x\"}",
           "Invalid page token");
}

/* What a page told before is told again by its text, until it changes; between others too. */
static void test_pages_again(void **state)
{
    char first[1 << 14], body[160];
    (void)state;
    expect("", "43210");
    snprintf(first, sizeof first, "%s", live_body(&live));
    expect("", "43210");
    assert_string_equal(live_body(&live), first);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"x\",\"value\":\"new\"}", ids[2]);
    post(API "/runs/set-tag", body);
    expect("", "43210");
    assert_true(strstr(live_body(&live), "\"value\":\"new\"") != NULL);
    snprintf(body, sizeof body, "{\"run_id\":\"%s\",\"key\":\"x\"}", ids[2]);
    post(API "/runs/delete-tag", body);
    expect("", "43210");
    assert_string_equal(live_body(&live), first);
}

static void test_refusals(void **state)
{
    (void)state;
    refuse(API "/runs/search", "{\"filter\":\"metrics.m > 1 OR metrics.m < 0\"}",
           "Invalid clause(s) in filter string: 'OR'");
    refuse(API "/runs/search", "{\"max_results\":50001}", "It must be at most 50000");
    refuse(API "/experiments/search", "{\"max_results\":0}", "It must be a positive integer");
    refuse(API "/runs/search", "{\"order_by\":[\"nope\"]}", "Invalid attribute key 'nope'");
}

/* A body of another type is refused by every path that takes one; HEAD asks as GET does. */
static void test_forms(void **state)
{
    static const char *const paths[] = {API "/runs/search", API "/experiments/search",
                                        API "/runs/update", API "/logged-models/search"};
    static const char *const types[] = {"text/plain", "application/x-www-form-urlencoded", NULL};
    (void)state;
    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++) {
        for (size_t type = 0; type < sizeof types / sizeof types[0]; type++) {
            const struct ig_client_call call = {.method = "POST",
                                                .path = paths[i],
                                                .content_type = types[type],
                                                .body = IG_STR("{}")};
            if (live_send(&live, &call) != 400) fail_msg("%s: %s", paths[i], live_body(&live));
            assert_string_equal(live_text(&live, "error_code"), "INVALID_PARAMETER_VALUE");
            assert_string_equal(live_text(&live, "message"), "Bad Request. Content-Type must be one"
                                                             " of ['application/json'].");
        }
    }
    EXPECT(200, "HEAD", API "/experiments/search?max_results=1", NULL);
    EXPECT(400, "HEAD", API "/experiments/search?max_results=0", NULL);
    EXPECT(200, "HEAD", API "/experiments/get?experiment_id=0", NULL);
    EXPECT(404, "GET", "/ajax-api/v1/models", NULL);
}

/* More than are read at a time: each once, newest first, with its own parameter. */
static void test_many_runs(void **state)
{
    enum { MANY = 120 };
    char body[512], own[32], id[40], param[64];
    (void)state;
    post(API "/experiments/create", "{\"name\":\"many\"}");
    snprintf(own, sizeof own, "%s", live_text(&live, "experiment_id"));
    for (int i = 0; i < MANY; i++) {
        snprintf(body, sizeof body, "{\"experiment_id\":\"%s\",\"start_time\":%d}", own, i + 1);
        post(API "/runs/create", body);
        snprintf(id, sizeof id, "%s", live_text(&live, "run.info.run_id"));
        snprintf(body, sizeof body,
                 "{\"run_id\":\"%s\",\"params\":[{\"key\":\"n\",\"value\":\"%d\"}]}", id, i);
        post(API "/runs/log-batch", body);
    }
    snprintf(body, sizeof body, "{\"experiment_ids\":[\"%s\"],\"max_results\":1000}", own);
    post(API "/runs/search", body);
    const char *at = live_body(&live);
    for (int i = MANY - 1; i >= 0; i--) {
        snprintf(param, sizeof param, "\"key\":\"n\",\"value\":\"%d\"", i);
        at = strstr(at, param);
        assert_non_null(at);
        at++;
    }
    assert_null(strstr(at, "\"key\":\"n\""));
}

static void test_experiments(void **state)
{
    (void)state;
    post("/ajax-api/2.0/mlflow/experiments/search", "{\"filter\":\"name LIKE 'sea%'\"}");
    assert_string_equal(live_text(&live, "experiments.0.name"), "search");
    assert_string_equal(live_text(&live, "experiments.0.experiment_id"), experiment);
    assert_string_equal(live_text(&live, "experiments.1.name"), "");
    assert_int_equal(live_call(&live, "GET",
                               API "/experiments/search?max_results=1&order_by=name+DESC"
                                   "&view_type=ALL",
                               NULL),
                     200);
    assert_string_equal(live_text(&live, "experiments.0.name"), "search");
    assert_true(strlen(live_text(&live, "next_page_token")) > 16);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_filters),     cmocka_unit_test(test_orders),
        cmocka_unit_test(test_pages),       cmocka_unit_test(test_pages_again),
        cmocka_unit_test(test_refusals),    cmocka_unit_test(test_many_runs),
        cmocka_unit_test(test_experiments), cmocka_unit_test(test_forms),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
