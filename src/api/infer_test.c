/* SPDX-License-Identifier: Apache-2.0 */
/* Inference through a real deployment without a server: on the loop, in the pool, and with every
 * allocation failing in turn. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/infer_testing.h"
#include "api/route.h"
#include "base/mem.h"
#include "services/deploy/residency.h"
#include "services/deploy/responses.h"

#include <sys/stat.h>
#include <unistd.h>

#define MODEL "tests/golden/xgboost/binary_missing/model.json"

static struct ig_infer_testing testing;
#define test testing.test

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    return ig_infer_testing_open(&testing, MODEL, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_infer_testing_close(&testing);
    return 0;
}

static void redeploy(const char *graph)
{
    assert_int_equal(ig_infer_testing_graph(&testing, graph), IG_OK);
}

static enum ig_code call(enum ig_code (*handler)(struct ig_call *), const char *body)
{
    ig_call_testing_again(&test);
    test.exchange.body = ig_str_view(body);
    test.call.params[0] = IG_STR("d");
    return handler(&test.call);
}

static void test_on_the_loop(void **state)
{
    (void)state;
    assert_int_equal(
        call(ig_infer_explained, "{\"model\":\"d\",\"features\":{\"f1\":4},\"top\":1}"), IG_OK);
    assert_null(test.call.in_pool);
    assert_non_null(test.call.decisions);
    assert_int_equal(test.call.decisions[0].rows, 1);
    assert_int_equal(test.call.decisions[0].flags, IG_DECISION_EXPLAINED);
    assert_int_equal(test.call.decisions[0].version, 1);
    assert_true(ig_str_is(test.call.decisions[0].deployment, "d"));
    assert_non_null(strstr(test.exchange.reply.ptr, "\"shap_values\":{\"first feature\":"));
    assert_non_null(strstr(test.exchange.reply.ptr, "\"model\":{\"name\":\"m\",\"version\":1,"));
}

/* Without a model the only deployment answers. */
static void test_only_deployment(void **state)
{
    (void)state;
    assert_int_equal(call(ig_infer_explained, "{\"instances\":[{},[1,2,3,4,5,6]]}"), IG_OK);
    assert_int_equal(strncmp(test.exchange.reply.ptr, "{\"results\":[{\"prediction\":", 26), 0);
    assert_int_equal(call(ig_infer_explained, "{\"model\":\"x\",\"features\":{}}"), IG_NOT_FOUND);
    assert_string_equal(test.call.field, "model");
    assert_null(test.call.decisions);
}

/* Above the bound the call is handed on with a reference, and answers the same there. */
static void test_in_the_pool(void **state)
{
    (void)state;
    const char *body = "{\"instances\":[[0.5,4,100,null,0.25,-1]]}";
    char first[4096];
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    snprintf(first, sizeof first, "%s", test.exchange.reply.ptr);
    test.app.inline_max_ns = 0;
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    assert_non_null(test.call.in_pool);
    assert_non_null(test.call.held);
    assert_int_equal(test.exchange.reply.len, 0);
    assert_int_equal(test.call.in_pool(&test.call), IG_OK);
    assert_string_equal(test.exchange.reply.ptr, first);
    ig_call_release(&test.call);
    test.app.inline_max_ns = UINT64_MAX;
}

/* A deployment has no more calls in the pool than it may; the next one is told at once. */
static void test_concurrency(void **state)
{
    (void)state;
    const char *body = "{\"instances\":[[1,2,3,4,5,6]]}";
    struct ig_call first;
    redeploy("{\"root\":{\"model\":\"m\"},\"resources\":{\"concurrency\":1}}");
    assert_int_equal(call(ig_infer_kserve_predict, body),
                     IG_OK); /* on the loop it takes no place */
    test.app.inline_max_ns = 0;
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    assert_non_null(test.call.in_pool);
    first = test.call;
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_EXHAUSTED);
    assert_null(test.call.in_pool);
    assert_non_null(strstr(test.call.err.message, "1 calls are under way"));
    ig_call_release(&test.call);
    ig_call_release(&first);
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    assert_non_null(test.call.in_pool);
    ig_call_release(&test.call);
    test.app.inline_max_ns = UINT64_MAX;
    redeploy("{\"root\":{\"model\":\"m\",\"version\":1}}");
}

/* A long body is not even decoded on the loop. */
static void test_long_body(void **state)
{
    (void)state;
    static char body[256 << 10];
    size_t length = (size_t)snprintf(body, sizeof body, "{\"features\":{},%200000s", "");
    snprintf(body + length, sizeof body - length, "\"model\":\"d\"}");
    assert_int_equal(call(ig_infer_explained, body), IG_OK);
    assert_non_null(test.call.in_pool);
    assert_int_equal(test.call.in_pool(&test.call), IG_OK);
    assert_non_null(strstr(test.exchange.reply.ptr, "\"shap_values\""));
    ig_call_release(&test.call);
    body[length + 9] = 'x'; /* another name */
    assert_int_equal(call(ig_infer_explained, body), IG_OK);
    assert_int_equal(test.call.in_pool(&test.call), IG_NOT_FOUND);
    ig_call_release(&test.call);
    body[length] = ']';
    assert_int_equal(call(ig_infer_explained, body), IG_OK);
    assert_int_equal(test.call.in_pool(&test.call), IG_PARSE);
    assert_int_equal(test.call.err.at_byte > 200000, 1);
    ig_call_release(&test.call);
}

static void test_kserve(void **state)
{
    (void)state;
    assert_int_equal(call(ig_infer_kserve_list, ""), IG_OK);
    assert_string_equal(test.exchange.reply.ptr, "{\"models\":[\"d\"]}");
    assert_int_equal(call(ig_infer_kserve_ready, ""), IG_OK);
    assert_string_equal(test.exchange.reply.ptr, "{\"name\":\"d\",\"ready\":true}");
    assert_int_equal(call(ig_infer_kserve_explain, "{\"instances\":[{}]}"), IG_OK);
    assert_int_equal(strncmp(test.exchange.reply.ptr, "{\"explanations\":[{\"prediction\":", 31),
                     0);
    assert_int_equal(call(ig_infer_kserve_predict, "{\"rows\":1}"), IG_INVALID);
}

/* The last test: the deployment's package is damaged and the deployments are opened anew. */
static void test_kserve_failed(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_app *app = &test.app;
    char path[256];
    const char *digest = ig_deploy_acquire(app->deploy, IG_STR("d"))->single->digest;
    snprintf(path, sizeof path, "%s/blobs/%.2s/%s", testing.dir, digest, digest);
    ig_deploy_close(app->deploy);
    app->deploy = NULL;
    assert_int_equal(chmod(path, 0600), 0);
    assert_int_equal(truncate(path, 10), 0);
    struct ig_deploy_options options = {
        .db = app->db, .blobs = app->blobs, .registry = app->registry};
    assert_int_equal(ig_deploy_open(&app->deploy, &options, &err), IG_OK);
    assert_int_equal(call(ig_infer_kserve_ready, ""), IG_OK);
    assert_int_equal(test.exchange.status, 503);
    assert_string_equal(test.exchange.reply.ptr, "{\"name\":\"d\",\"ready\":false}");
    ig_call_testing_again(&test);
    test.call.params[0] = IG_STR("e");
    assert_int_equal(ig_infer_kserve_ready(&test.call), IG_NOT_FOUND);
}

static void test_method(void **state)
{
    (void)state;
    assert_int_equal(
        call(ig_infer_explained, "{\"features\":{},\"method\":\"tree_path_dependent\"}"), IG_OK);
    assert_int_equal(call(ig_infer_explained, "{\"features\":{},\"method\":\"guess\"}"),
                     IG_INVALID);
    assert_string_equal(test.call.field, "method");
}

static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1;; n++) {
        ig_call_testing_again(&test);
        test.exchange.body = IG_STR("{\"features\":{\"f1\":4}}");
        ig_mem_fail_after(n);
        enum ig_code code = ig_infer_explained(&test.call);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        if (!failed) {
            assert_int_equal(code, IG_OK);
            assert_true(n > 2);
            break;
        }
        /* What a buffer could not take is found by its flag behind the handler. */
        assert_true(code == IG_NO_MEMORY || code == IG_TOO_LARGE ||
                    (code == IG_OK && test.exchange.reply.overflowed) ||
                    (code == IG_OK && test.exchange.arena.overflowed) ||
                    (code == IG_OK && test.call.decisions));
    }
}

/* Kept answers need neither the pool nor the model, and are the same bytes. */
static void test_cache(void **state)
{
    (void)state;
    struct ig_responses_stats stats;
    char first[256];
    const char *body = "{\"instances\":[[1,2,3,4,5,6],[6,5,4,3,2,1]]}";
    redeploy("{\"root\":{\"model\":\"m\"},\"resources\":{\"cache\":{\"max_mb\":1}}}");
    test.app.inline_max_ns = 0;
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    assert_non_null(test.call.in_pool);
    assert_int_equal(test.call.in_pool(&test.call), IG_OK);
    snprintf(first, sizeof first, "%.*s", IG_STR_ARGS(ig_buf_view(&test.exchange.reply)));
    ig_call_release(&test.call);
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    assert_null(test.call.in_pool);
    assert_true(ig_str_is(ig_buf_view(&test.exchange.reply), first));
    assert_int_equal(test.call.decisions_count, 1);
    assert_int_equal(call(ig_infer_kserve_predict, "{\"instances\":[[1,2,3,4,5,7]]}"), IG_OK);
    assert_non_null(test.call.in_pool);
    ig_call_release(&test.call);
    stats = ig_responses_stats(ig_deploy_acquire(test.app.deploy, IG_STR("d")));
    assert_int_equal(stats.hits, 2);
    assert_int_equal(stats.misses, 2); /* the first call's first row, and the last call's */
    test.app.inline_max_ns = UINT64_MAX;
    redeploy("{\"root\":{\"model\":\"m\",\"version\":1}}");
}

/* A hundredth of a core: the first calls overdraw it, the next one is told how long. */
static void test_cpu_limit(void **state)
{
    (void)state;
    const char *body = "{\"instances\":[[1,2,3,4,5,6]]}";
    redeploy("{\"root\":{\"model\":\"m\"},\"resources\":{\"cpu\":0.01}}");
    enum ig_code code = IG_OK;
    for (int i = 0; i < 100000 && code == IG_OK; i++) {
        code = call(ig_infer_kserve_predict, body);
        ig_call_release(&test.call);
    }
    assert_int_equal(code, IG_EXHAUSTED);
    assert_non_null(strstr(test.call.err.message, "used its CPU time, 0.01 cores on average"));
    redeploy("{\"root\":{\"model\":\"m\",\"version\":1}}");
}

/* What is kept of a call's first part does not carry the second past the limit. */
static void test_cpu_limit_of_a_part(void **state)
{
    (void)state;
    const char *body = "{\"instances\":[[1,1,3,4,5,6]]}";
    redeploy("{\"root\":{\"segment\":{\"rules\":[{\"when\":\"f1 > "
             "3\",\"then\":\"a\"}],\"default\":\"b\"}},\"nodes\":{\"a\":{"
             "\"model\":\"m\"},\"b\":{\"model\":\"m\"}},\"resources\":{"
             "\"cpu\":0.01,\"cache\":{\"max_mb\":1}}}");
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    ig_call_release(&test.call);
    ig_routing_cpu_spend(ig_deploy_acquire(test.app.deploy, IG_STR("d")), 1000000000);
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_OK);
    assert_int_equal(test.call.decisions_count, 1);
    ig_call_release(&test.call);
    body = "{\"instances\":[[1,1,3,4,5,6],[1,4,3,4,5,6]]}";
    assert_int_equal(call(ig_infer_kserve_predict, body), IG_EXHAUSTED);
    assert_non_null(strstr(test.call.err.message, "used its CPU time"));
    ig_call_release(&test.call);
    redeploy("{\"root\":{\"model\":\"m\",\"version\":1}}");
}

/* An ensemble that is not here: the loop hands the call on and loads nothing; once it is here the
 * loop answers the same itself, and holds it no longer than the call. */
static void test_residents(void **state)
{
    (void)state;
    static const char *const BODIES[] = {
        "{\"instances\":[[0.5,4,100,null,0.25,-1]]}",
        "{\"instances\":[[0.5,4,100,null,0.25,-1]],\"groups\":{\"g\":[\"f1\",\"f3\"]}}"};
    char here[2][8192];
    struct ig_err err = IG_ERR_INIT;
    struct ig_residency_stats stats;
    struct ig_app *app = &test.app;
    struct ig_deploy_options options = {.db = app->db,
                                        .blobs = app->blobs,
                                        .registry = app->registry,
                                        .dirfd = testing.dirfd,
                                        .models_max_bytes = 1};
    redeploy("{\"root\":{\"ensemble\":{\"combine\":\"mean_margin\",\"members\":[{\"node\":\"a\","
             "\"weight\":2},\"b\"]}},\"nodes\":{\"a\":{\"model\":\"m\"},\"b\":{\"model\":\"m\"}}}");
    for (int i = 0; i < 2; i++) {
        assert_int_equal(call(i ? ig_infer_kserve_explain : ig_infer_kserve_predict, BODIES[i]),
                         IG_OK);
        if (test.call.in_pool) assert_int_equal(test.call.in_pool(&test.call), IG_OK);
        snprintf(here[i], sizeof here[i], "%s", test.exchange.reply.ptr);
        ig_call_release(&test.call);
    }
    ig_deploy_close(app->deploy);
    assert_int_equal(ig_deploy_open(&app->deploy, &options, &err), IG_OK); /* makes faces */
    for (int i = 0; i < 2; i++) {
        ig_deploy_close(app->deploy);
        assert_int_equal(ig_deploy_open(&app->deploy, &options, &err), IG_OK);
        for (int again = 0; again < 2; again++) {
            assert_int_equal(call(i ? ig_infer_kserve_explain : ig_infer_kserve_predict, BODIES[i]),
                             IG_OK);
            ig_residency_stats(&stats, ig_deploy_residency(app->deploy));
            assert_int_equal(stats.loads, again);
            assert_int_equal(test.call.in_pool != NULL, !again);
            if (!again) assert_int_equal(test.call.in_pool(&test.call), IG_OK);
            assert_string_equal(test.exchange.reply.ptr, here[i]);
            ig_residency_stats(&stats, ig_deploy_residency(app->deploy));
            assert_int_equal(stats.loads, 1); /* both members are one package */
            assert_int_equal(test.call.residents_count, 1);
            ig_call_release(&test.call);
            assert_int_equal(test.call.residents_count, 0);
        }
    }
    ig_deploy_close(app->deploy);
    options.models_max_bytes = 0;
    assert_int_equal(ig_deploy_open(&app->deploy, &options, &err), IG_OK);
    redeploy("{\"root\":{\"model\":\"m\",\"version\":1}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_on_the_loop),
        cmocka_unit_test(test_only_deployment),
        cmocka_unit_test(test_in_the_pool),
        cmocka_unit_test(test_long_body),
        cmocka_unit_test(test_cache),
        cmocka_unit_test(test_cpu_limit),
        cmocka_unit_test(test_cpu_limit_of_a_part),
        cmocka_unit_test(test_concurrency),
        cmocka_unit_test(test_kserve),
        cmocka_unit_test(test_method),
        cmocka_unit_test(test_no_memory),
        cmocka_unit_test(test_residents),
        cmocka_unit_test(test_kserve_failed),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
