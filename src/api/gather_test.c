/* SPDX-License-Identifier: Apache-2.0 */
/* Calls of one turn: what goes together is computed together and answered as ever. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/gather.h"
#include "api/infer_testing.h"
#include "api/route.h"
#include "base/mem.h"

#define MODEL "tests/golden/xgboost/binary_missing/model.json"

enum { CALLS_MAX = 100 };

static struct ig_infer_testing testing;
static bool late; /* the turn is at its end when calls come */
static struct ig_call_testing calls[CALLS_MAX];
static size_t calls_count;

static void redeploy(const char *graph)
{
    assert_int_equal(ig_infer_testing_graph(&testing, graph), IG_OK);
}

static int setup(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    if (ig_infer_testing_open(&testing, MODEL, &err) != IG_OK) return -1;
    redeploy("{\"root\":{\"model\":\"m\"}}");
    return ig_gather_new(&testing.test.app.gather, 1, 0, &err) == IG_OK ? 0 : -1;
}

static int teardown(void **state)
{
    (void)state;
    ig_gather_free(testing.test.app.gather);
    ig_infer_testing_close(&testing);
    return 0;
}

/* `json_bytes`: of a body with raw tensors behind it. */
static enum ig_code ask_with(enum ig_code (*handler)(struct ig_call *), struct ig_str body,
                             const char *json_bytes)
{
    struct ig_call_testing *own = &calls[calls_count++];
    assert_true(calls_count <= CALLS_MAX);
    ig_call_testing_init(own);
    own->app = testing.test.app;
    own->call.may_wait = true;
    own->exchange.turn_is_ending = late;
    own->call.params[0] = IG_STR("d");
    own->exchange.body = body;
    if (json_bytes) ig_call_testing_header(own, "Inference-Header-Content-Length", json_bytes);
    return handler(&own->call);
}

static enum ig_code ask(enum ig_code (*handler)(struct ig_call *), const char *body)
{
    return ask_with(handler, ig_str_view(body), NULL);
}

static size_t end_turn(void)
{
    size_t count = 0;
    for (struct ig_call *call = ig_gather_take(testing.test.app.gather, 0); call;
         call = call->next) {
        call->at_turn_end(call);
        count++;
    }
    return count;
}

static void forget(void)
{
    for (size_t i = 0; i < calls_count; i++) {
        ig_call_release(&calls[i].call);
        ig_call_testing_deinit(&calls[i]);
    }
    calls_count = 0;
}

/* What the same body is answered outside of a turn. */
static void assert_as_ever(enum ig_code (*handler)(struct ig_call *), size_t i)
{
    struct ig_call_testing alone;
    ig_call_testing_init(&alone);
    alone.app = testing.test.app;
    alone.call.params[0] = IG_STR("d");
    alone.exchange.body = calls[i].exchange.body;
    for (size_t h = 0; h < calls[i].exchange.request.headers_count; h++)
        alone.headers[alone.exchange.request.headers_count++] = calls[i].headers[h];
    if (handler(&alone.call) != IG_OK) fail_msg("%s", alone.call.err.message);
    assert_string_equal(alone.exchange.content_type, calls[i].exchange.content_type);
    const char *replies[] = {alone.exchange.reply.ptr, calls[i].exchange.reply.ptr};
    const char *ends[] = {strstr(replies[0], "\"duration_us\""),
                          strstr(replies[1], "\"duration_us\"")};
    size_t length = ends[0] ? (size_t)(ends[0] - replies[0]) : alone.exchange.reply.len;
    assert_true(ends[0] || calls[i].exchange.reply.len == length);
    assert_true(!ends[0] || (size_t)(ends[1] - replies[1]) == length);
    assert_memory_equal(replies[0], replies[1], length);
    assert_int_equal(alone.call.decisions_count, 1);
    assert_int_equal(calls[i].call.decisions_count, 1);
    assert_memory_equal(alone.call.decisions[0].output_digest,
                        calls[i].call.decisions[0].output_digest, IG_SHA256_BYTES);
    assert_memory_equal(alone.call.decisions[0].input_digest,
                        calls[i].call.decisions[0].input_digest, IG_SHA256_BYTES);
    ig_call_testing_deinit(&alone);
}

static void test_together(void **state)
{
    (void)state;
    static const char *const EXPLAINED[] = {
        "{\"features\":{\"f1\":4}}",
        "{\"instances\":[[0.5,4,100,null,0.25,-1],[1,2,3,4,5,6]]}",
        "{\"features\":{\"f1\":-4},\"top\":2}",
        "{\"features\":{\"f2\":1},\"method\":\"tree_path_dependent\"}",
    };
    static const char PREDICTED[] = "{\"instances\":[[6,5,4,3,2,1]]}";
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(ask(ig_infer_explained, EXPLAINED[i]), IG_OK);
        assert_non_null(calls[i].call.at_turn_end);
        assert_int_equal(calls[i].exchange.reply.len, 0);
    }
    for (size_t i = 0; i < 2; i++) assert_int_equal(ask(ig_infer_kserve_predict, PREDICTED), IG_OK);
    assert_int_equal(end_turn(), 6);
    for (size_t i = 0; i < 6; i++) {
        assert_true(calls[i].call.gathered);
        assert_true(calls[i].call.decisions[0].compute_ns > 0);
        assert_as_ever(i < 4 ? ig_infer_explained : ig_infer_kserve_predict, i);
    }
    assert_int_equal(end_turn(), 0);
    forget();
}

/* Tensors as JSON and as raw bytes; one that is refused says so by itself. */
static void test_tensors(void **state)
{
    (void)state;
    static const char JSON[] = "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,6],\"datatype\":\"FP64\","
                               "\"data\":[6,5,4,3,2,1]}]}";
    static const char EXPLAINED[] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,6],\"datatype\":\"FP64\","
        "\"data\":[1,5,4,3,2,1]}],\"outputs\":[{\"name\":\"shap_values\"}]}";
    static const char RAW[] =
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,6],\"datatype\":\"FP64\",\"parameters\":"
        "{\"binary_data_size\":48}}]}";
    static const double ROW[6] = {-1, 2, 30, 4, 5, 6};
    char raw[sizeof RAW + sizeof ROW], json_bytes[24];
    memcpy(raw, RAW, sizeof RAW - 1);
    memcpy(raw + sizeof RAW - 1, ROW, sizeof ROW);
    snprintf(json_bytes, sizeof json_bytes, "%zu", sizeof RAW - 1);
    const struct ig_str raw_body = {raw, sizeof RAW - 1 + sizeof ROW};
    for (size_t i = 0; i < 3; i++) {
        assert_int_equal(ask(ig_oip_infer, JSON), IG_OK);
        assert_int_equal(ask(ig_oip_infer, EXPLAINED), IG_OK);
        assert_int_equal(ask_with(ig_oip_infer, raw_body, json_bytes), IG_OK);
    }
    assert_int_equal(ask(ig_infer_kserve_predict, "{\"instances\":[[6,5,4,3,2,1]]}"), IG_OK);
    assert_int_equal(ask(ig_oip_infer, "{\"inputs\":[]}"), IG_INVALID);
    assert_null(calls[10].call.at_turn_end);
    assert_int_equal(end_turn(), 10);
    for (size_t i = 0; i < 10; i++) {
        assert_true(calls[i].call.gathered);
        assert_as_ever(i < 9 ? ig_oip_infer : ig_infer_kserve_predict, i);
    }
    forget();
}

static void test_alone(void **state)
{
    (void)state;
    assert_int_equal(ask(ig_infer_explained, "{\"features\":{\"f1\":4}}"), IG_OK);
    assert_int_equal(ask(ig_infer_kserve_predict, "{\"instances\":[[6,5,4,3,2,1]]}"), IG_OK);
    assert_int_equal(end_turn(), 2);
    for (size_t i = 0; i < 2; i++) {
        assert_false(calls[i].call.gathered);
        assert_as_ever(i ? ig_infer_kserve_predict : ig_infer_explained, i);
    }
    forget();
}

/* As many wait as may, and a batch takes as many rows as it may; none is lost. */
static void test_many(void **state)
{
    (void)state;
    static char ten[2048] = "{\"instances\":[", sixteen[2048] = "{\"instances\":[";
    size_t waiting = 0;
    for (int i = 0; i < 10; i++)
        snprintf(ten + strlen(ten), sizeof ten - strlen(ten), "[%d,2,3,4,5,6]%s", i,
                 i < 9 ? "," : "]}");
    for (int i = 0; i < 16; i++)
        snprintf(sixteen + strlen(sixteen), sizeof sixteen - strlen(sixteen), "[%d,2,3,4,5,6]%s", i,
                 i < 15 ? "," : "]}");
    for (size_t i = 0; i < 80; i++) {
        assert_int_equal(ask(ig_infer_explained, i == 7  ? sixteen
                                                 : i % 2 ? ten
                                                         : "{\"instances\":[[1,2,3,4,5,6]]}"),
                         IG_OK);
        waiting += calls[i].call.at_turn_end != NULL;
    }
    assert_null(calls[7].call.at_turn_end); /* a batch by itself */
    assert_int_equal(waiting, 64);
    assert_int_equal(end_turn(), 64);
    for (size_t i = 0; i < 80; i++) assert_as_ever(ig_infer_explained, i);
    forget();
}

/* What has an account of its own is computed at once. */
static void test_what_does_not_wait(void **state)
{
    (void)state;
    static const char *const GRAPHS[] = {
        "{\"root\":{\"model\":\"m\"},\"resources\":{\"cpu\":4}}",
        "{\"root\":{\"model\":\"m\"},\"resources\":{\"cache\":{\"max_mb\":1}}}"};
    for (size_t i = 0; i < 2; i++) {
        redeploy(GRAPHS[i]);
        assert_int_equal(ask(ig_infer_kserve_predict, "{\"instances\":[[6,5,4,3,2,1]]}"), IG_OK);
        assert_null(calls[i].call.at_turn_end);
        assert_true(calls[i].exchange.reply.len > 0);
    }
    redeploy("{\"root\":{\"model\":\"m\"}}");
    assert_int_equal(end_turn(), 0);
    forget();
    ig_gather_free(testing.test.app.gather);
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_gather_new(&testing.test.app.gather, 1, UINT64_MAX, &err), IG_OK);
    assert_int_equal(ask(ig_infer_explained, "{\"features\":{\"f1\":4}}"), IG_OK);
    assert_null(calls[0].call.at_turn_end); /* nothing is gained */
    forget();
    ig_gather_free(testing.test.app.gather);
    assert_int_equal(ig_gather_new(&testing.test.app.gather, 1, 0, &err), IG_OK);
}

/* A call that comes at a turn's end is computed in the next one, when what serves may be gone. */
static void test_late(void **state)
{
    (void)state;
    late = true;
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(ask(ig_infer_explained, "{\"features\":{\"f1\":4}}"), IG_OK);
    late = false;
    assert_int_equal(ask(ig_infer_explained, "{\"features\":{\"f1\":4}}"), IG_OK);
    assert_non_null(calls[0].call.at_turn_end);
    assert_ptr_equal(calls[0].call.held, calls[1].call.held);
    assert_non_null(calls[0].call.held);
    assert_null(calls[2].call.held); /* its turn's end is near */
    end_turn();
    forget();
    late = true;
    assert_int_equal(ask(ig_infer_explained, "{\"features\":{\"f1\":4}}"), IG_OK);
    late = false;
    for (int i = 0; i < 4; i++)
        redeploy(i % 2 ? "{\"root\":{\"model\":\"m\"}}"
                       : "{\"root\":{\"model\":\"m\"},\"resources\":{\"concurrency\":9}}");
    usleep(50000); /* the reaper has freed the first */
    assert_int_equal(end_turn(), 1);
    assert_as_ever(ig_infer_explained, 0);
    forget();
}

/* A failing batch leaves each call to itself. */
static void test_no_memory(void **state)
{
    (void)state;
    for (uint64_t n = 1; n < 40; n++) {
        for (int i = 0; i < 3; i++)
            assert_int_equal(ask(ig_infer_explained, "{\"features\":{\"f1\":4}}"), IG_OK);
        ig_mem_fail_after(n);
        struct ig_call *call = ig_gather_take(testing.test.app.gather, 0);
        ig_mem_fail_after(0);
        for (; call; call = call->next) assert_int_equal(call->at_turn_end(call), IG_OK);
        for (size_t i = 0; i < 3; i++) assert_as_ever(ig_infer_explained, i);
        forget();
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_together),
        cmocka_unit_test(test_tensors),
        cmocka_unit_test(test_alone),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_what_does_not_wait),
        cmocka_unit_test(test_late),
        cmocka_unit_test(test_no_memory),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
