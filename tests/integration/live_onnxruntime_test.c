/* SPDX-License-Identifier: Apache-2.0 */
/* A model on ONNX Runtime through the real program, with the fake library
 * (tests/support/ort_testing.c) in its place: deployment, answers, explanations, failures, refusal.
 */
#include "support/live.h"

#include "formats/onnx/onnx_testing.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct live live;
static char setting[600];

#define EXPECT(status, method, path, body)                                                         \
    do {                                                                                           \
        int got = live_call(&live, method, path, body);                                            \
        if (got != (status)) fail_msg("%s %s: %d %s", method, path, got, live_body(&live));        \
    } while (0)

static int setup(void **state)
{
    (void)state;
    const char *build = getenv("INGOT_BUILD_DIR");
    snprintf(setting, sizeof setting, "onnxruntime_library=%s/fake_ort.so", build ? build : "");
    live_make(&live);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void register_version(int status)
{
    char body[256];
    struct ig_buf model;
    test_onnx_model(&model, "thirteen", "GridSample", (struct ig_str){0});
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", live_upload(&live, model.ptr, model.len));
    ig_buf_deinit(&model);
    EXPECT(status, "POST", "/api/v1/models/seq/versions", body);
}

static void test_without_it(void **state)
{
    (void)state;
    live_start(&live, (const char *const[]){"--set", "onnx_engine=ingot", NULL});
    EXPECT(201, "POST", "/api/v1/models", "{\"name\":\"seq\"}");
    register_version(501);
    assert_non_null(strstr(live_text(&live, "error.message"),
                           "(GridSample): this operator is not among Ingot's own"));
    live_stop(&live, 15);
}

static void test_with_it(void **state)
{
    (void)state;
    live_start(&live, (const char *const[]){"--set", "onnx_engine=auto", "--set", setting, NULL});
    register_version(201);
    EXPECT(200, "PUT", "/api/v1/deployments/seq", "{\"model\":\"seq\"}");
    EXPECT(200, "GET", "/api/v1/deployments/seq", NULL);
    assert_string_equal(live_text(&live, "engine"), "onnxruntime");
    assert_string_equal(live_text(&live, "engine_version"), "1.99.0");
    assert_non_null(strstr(live_text(&live, "engine_reason"), "GridSample"));
    EXPECT(200, "GET", "/v2/models/seq", NULL);
    assert_string_equal(live_text(&live, "platform"), "onnxruntime_onnx");
    EXPECT(200, "GET", "/v2/models/seq/config", NULL);
    assert_string_equal(live_text(&live, "backend"), "onnxruntime");
    EXPECT(200, "POST", "/v1/models/seq:predict", "{\"instances\":[[1,2,3],[4,5,6]]}");
    assert_true(live_number(&live, "predictions.0") == 6);
    assert_true(live_number(&live, "predictions.1") == 15);
}

static void test_failures(void **state)
{
    (void)state;
    EXPECT(500, "POST", "/v1/models/seq:predict", "{\"instances\":[[1,2,3],[4,13,6]]}");
    assert_non_null(strstr(live_body(&live), "ONNX Runtime 1.99.0: run: thirteen is no index"));
    EXPECT(200, "POST", "/v1/models/seq:predict", "{\"instances\":[[1,2,3]]}");
}

static void test_explanations(void **state)
{
    (void)state;
    static const char table[] = "f0,f1,f2\n1,0,0\n3,0,2\n";
    char body[256];
    snprintf(body, sizeof body, "{\"data_digest\":\"%s\"}",
             live_upload(&live, table, sizeof table - 1));
    EXPECT(200, "PUT", "/api/v1/models/seq/backgrounds/all", body);
    EXPECT(200, "POST", "/predict-with-explanation",
           "{\"model\":\"seq\",\"instances\":[[4,1,-2]],\"method\":\"exact\","
           "\"background\":\"all\"}");
    assert_true(fabs(live_number(&live, "results.0.explanation.shap_values.f0") - 2) < 1e-9);
    assert_true(fabs(live_number(&live, "results.0.explanation.shap_values.f2") + 3) < 1e-9);
}

/* What a shared deployment does in the server, an isolated one does in its own process. */
static void test_in_a_process_of_its_own(void **state)
{
    (void)state;
    EXPECT(200, "PUT", "/api/v1/deployments/apart",
           "{\"graph\":{\"root\":{\"model\":\"seq\"},"
           "\"resources\":{\"isolation\":\"process\"}}}");
    EXPECT(200, "GET", "/api/v1/deployments/apart", NULL);
    assert_string_equal(live_text(&live, "engine"), "onnxruntime");
    assert_non_null(strstr(live_text(&live, "engine_reason"), "GridSample"));
    EXPECT(200, "GET", "/v2/models/apart", NULL);
    assert_string_equal(live_text(&live, "platform"), "onnxruntime_onnx");
    EXPECT(200, "POST", "/v1/models/apart:predict", "{\"instances\":[[1,2,3],[4,5,6]]}");
    assert_true(live_number(&live, "predictions.1") == 15);
    EXPECT(500, "POST", "/v1/models/apart:predict", "{\"instances\":[[13,2,3]]}");
    assert_non_null(strstr(live_body(&live), "thirteen is no index"));
    EXPECT(200, "POST", "/v1/models/apart:predict", "{\"instances\":[[1,2,3]]}");
}

static void test_it_is_there_after_a_restart(void **state)
{
    (void)state;
    live_stop(&live, 15);
    live_start(&live, (const char *const[]){"--set", "onnx_engine=ingot", NULL});
    EXPECT(200, "GET", "/api/v1/deployments/seq", NULL);
    assert_string_equal(live_text(&live, "state"), "failed");
    assert_non_null(strstr(live_text(&live, "error"), "GridSample"));
    live_stop(&live, 15);
    live_start(&live, (const char *const[]){"--set", "onnx_engine=auto", "--set", setting, NULL});
    EXPECT(200, "POST", "/v1/models/seq:predict", "{\"instances\":[[1,2,3]]}");
    live_stop(&live, 15);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_it),
        cmocka_unit_test(test_with_it),
        cmocka_unit_test(test_failures),
        cmocka_unit_test(test_explanations),
        cmocka_unit_test(test_in_a_process_of_its_own),
        cmocka_unit_test(test_it_is_there_after_a_restart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
