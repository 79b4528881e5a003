/* SPDX-License-Identifier: Apache-2.0 */
/* Search requests as MLflow's client, its console and others write them, and what is wrong. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/mlflow_search_request.h"

#include <string.h>

static struct ig_arena arena;
static struct ig_err err;
static struct ig_tracking_search search;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 1 << 16, 1 << 20);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_arena_deinit(&arena);
    return 0;
}

static void decode(enum ig_tracking_kind kind, const char *body)
{
    err = IG_ERR_INIT;
    if (ig_mlflow_search_decode(&search, kind, ig_str_view(body), &arena, &err) != IG_OK)
        fail_msg("%s: %s", body, err.message);
}

static void refuse(const char *body, const char *message)
{
    err = IG_ERR_INIT;
    assert_int_not_equal(
        ig_mlflow_search_decode(&search, IG_TRACKING_RUNS, ig_str_view(body), &arena, &err), IG_OK);
    if (!strstr(err.message, message)) fail_msg("%s: %s", body, err.message);
}

static void test_bodies(void **state)
{
    (void)state;
    decode(IG_TRACKING_RUNS, "");
    assert_int_equal(search.results_max, 1000);
    assert_int_equal(search.view, IG_TRACKING_ACTIVE);
    assert_int_equal(search.experiments_count, 0);
    decode(IG_TRACKING_RUNS,
           "{\"experiment_ids\": [\"0\", 7], \"filter\": \"metrics.a > 1\", \"run_view_type\":"
           "\"ALL\", \"max_results\": \"5\", \"order_by\": [\"metrics.a DESC\", \"run_id\"],"
           "\"page_token\": \"x\", \"unknown\": {\"a\": [1]}, \"view_type\": 2}");
    assert_int_equal(search.experiments_count, 2);
    assert_int_equal(search.experiments[1], 7);
    assert_int_equal(search.orders_count, 2);
    assert_true(ig_str_is(search.orders[0], "metrics.a DESC"));
    assert_true(ig_str_is(search.filter, "metrics.a > 1") && ig_str_is(search.token, "x"));
    assert_int_equal(search.view, IG_TRACKING_ALL);
    assert_int_equal(search.results_max, 5);
    decode(IG_TRACKING_EXPERIMENTS, "{\"view_type\": 2, \"filter\": null, \"max_results\": 9,"
                                    " \"run_view_type\": 77, \"experiment_ids\": 3}");
    assert_int_equal(search.view, IG_TRACKING_DELETED);
    assert_int_equal(search.results_max, 9);
    assert_int_equal(search.filter.len, 0);
}

static void test_query(void **state)
{
    struct ig_str query = IG_STR("view_type=ALL&max_results=3&order_by=name+DESC&order_by="
                                 "creation_time&filter=name%20%3D%20%27x%27&other=1");
    (void)state;
    err = IG_ERR_INIT;
    assert_int_equal(
        ig_mlflow_search_decode_query(&search, IG_TRACKING_EXPERIMENTS, query, &arena, &err),
        IG_OK);
    assert_int_equal(search.view, IG_TRACKING_ALL);
    assert_int_equal(search.results_max, 3);
    assert_int_equal(search.orders_count, 2);
    assert_true(ig_str_is(search.orders[0], "name DESC"));
    assert_true(ig_str_is(search.filter, "name = 'x'"));
}

static void test_refusals(void **state)
{
    (void)state;
    refuse("[]", "body");
    refuse("{\"filter\": 3}", "for parameter 'filter' supplied: expected a string");
    refuse("{\"max_results\": \"many\"}", "Invalid value many for parameter 'max_results'");
    refuse("{\"max_results\": 1.5}", "Invalid value 1.5 for parameter 'max_results'");
    refuse("{\"run_view_type\": \"SOME\"}", "Invalid value SOME for parameter 'run_view_type'");
    refuse("{\"order_by\": \"name\"}", "order_by");
    refuse("{\"order_by\": [3]}", "for parameter 'order_by'");
    refuse("{\"experiment_ids\": [\"a\"]}", "Invalid experiment ID 'a'");
    refuse("{\"filter\": \"x\"} 1", "");
    refuse("{\"filter\": ", "");
    refuse("{\"order_by\": [\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\",\"a\","
           "\"a\",\"a\",\"a\",\"a\",\"a\",\"a\"]}",
           "order_by: more than 16 clauses");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bodies, setup, teardown),
        cmocka_unit_test_setup_teardown(test_query, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
