/* SPDX-License-Identifier: Apache-2.0 */
/* A model on ONNX Runtime through the real program, with the fake library
 * (tests/support/ort_testing.c) in its place: deployment, answers, explanations, failures, refusal.
 */
#include "support/live.h"

#include "base/clock.h"
#include "formats/onnx/onnx_testing.h"

#include <arpa/inet.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct live live;
static char setting[600];

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

static void register_as(const char *name, const char *words, int status)
{
    char body[256], path[64];
    struct ig_buf model;
    test_onnx_model(&model, words, "GridSample", (struct ig_str){0});
    snprintf(body, sizeof body, "{\"digest\":\"%s\"}", live_upload(&live, model.ptr, model.len));
    ig_buf_deinit(&model);
    snprintf(path, sizeof path, "/api/v1/models/%s/versions", name);
    EXPECT(status, "POST", path, body);
}

static void register_version(int status)
{
    register_as("seq", "thirteen", status);
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

/* The whole answer to a prediction of one row, with its headers. */
static void predict_plainly(char *reply, size_t size, const char *model, const char *row)
{
    char request[512], body[128];
    struct sockaddr_in address = {.sin_family = AF_INET};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons((uint16_t)strtoul(strrchr(live.url, ':') + 1, NULL, 10));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    snprintf(body, sizeof body, "{\"instances\":[%s]}", row);
    int length = snprintf(request, sizeof request,
                          "POST /v1/models/%s:predict HTTP/1.1\r\nHost: localhost\r\n"
                          "Connection: close\r\nContent-Length: %zu\r\n\r\n%s",
                          model, strlen(body), body);
    assert_int_equal(send(fd, request, (size_t)length, MSG_NOSIGNAL), length);
    size_t filled = 0;
    for (ssize_t got; (got = recv(fd, reply + filled, size - 1 - filled, 0)) > 0;)
        filled += (size_t)got;
    reply[filled] = '\0';
    close(fd);
}

static void expect_skipping(const char *model)
{
    char reply[4096];
    predict_plainly(reply, sizeof reply, model, "[1,2,3]");
    assert_non_null(strstr(reply, "{\"predictions\":[6]}"));
    assert_null(strstr(reply, "X-Skipped-Members"));
    predict_plainly(reply, sizeof reply, model, "[4,13,6]");
    assert_non_null(strstr(reply, "{\"predictions\":[23]}"));
    assert_non_null(strstr(reply, "\r\nX-Skipped-Members: seq/1\r\n"));
}

#define MEMBERS "\"members\":[{\"node\":{\"model\":\"seq\"},\"weight\":3},{\"model\":\"sum\"}]"

static void test_ensembles(void **state)
{
    (void)state;
    EXPECT(201, "POST", "/api/v1/models", "{\"name\":\"sum\"}");
    register_as("sum", "plain", 201);
    EXPECT(200, "PUT", "/api/v1/deployments/strict",
           "{\"graph\":{\"root\":{\"ensemble\":{" MEMBERS "}}}}");
    EXPECT(500, "POST", "/v1/models/strict:predict", "{\"instances\":[[1,2,3],[4,13,6]]}");
    assert_non_null(
        strstr(live_body(&live), "members[0] 'seq': ONNX Runtime 1.99.0: run: thirteen"));
    EXPECT(200, "PUT", "/api/v1/deployments/lenient",
           "{\"graph\":{\"root\":{\"ensemble\":{\"on_failure\":\"skip\"," MEMBERS
           "}},\"resources\":{\"cache\":{\"max_mb\":1}}}}");
    expect_skipping("lenient");
    expect_skipping("lenient"); /* a row that was answered without a member is not kept */
    EXPECT(200, "GET", "/api/v1/deployments/lenient", NULL);
    assert_non_null(strstr(live_body(&live), "\"on_failure\":\"skip\""));
    EXPECT(200, "PUT", "/api/v1/deployments/lenient-apart",
           "{\"graph\":{\"root\":{\"ensemble\":{\"on_failure\":\"skip\"," MEMBERS
           "}},\"resources\":{\"isolation\":\"process\"}}}");
    expect_skipping("lenient-apart");
}

#define TIMED(more)                                                                                \
    "{\"graph\":{\"root\":{\"ensemble\":{\"on_failure\":\"skip\",\"members\":[{\"model\":\"sum\"}" \
    ",{"                                                                                           \
    "\"node\":{\"model\":\"lazy\"},\"timeout_ms\":50}]}}" more "}}"

/* The fake's run of a 17 takes 10 s, unless it is told to end. */
static void test_a_member_has_its_time(void **state)
{
    (void)state;
    char reply[4096];
    EXPECT(201, "POST", "/api/v1/models", "{\"name\":\"lazy\"}");
    register_as("lazy", "slow", 201);
    EXPECT(200, "PUT", "/api/v1/deployments/timed", TIMED(""));
    EXPECT(200, "PUT", "/api/v1/deployments/timed-apart",
           TIMED(",\"resources\":{\"isolation\":\"process\"}"));
    for (int i = 0; i < 2; i++) {
        uint64_t start_ns = ig_clock_ns();
        predict_plainly(reply, sizeof reply, i ? "timed-apart" : "timed", "[4,17,6]");
        assert_true(ig_clock_ns() - start_ns < UINT64_C(5000000000));
        assert_non_null(strstr(reply, "{\"predictions\":[27]}"));
        assert_non_null(strstr(reply, "\r\nX-Skipped-Members: lazy/1\r\n"));
    }
    EXPECT(200, "PUT", "/api/v1/deployments/punctual",
           "{\"graph\":{\"root\":{\"ensemble\":{\"members\":[{\"node\":{\"model\":\"lazy\"},"
           "\"timeout_ms\":50}]}}}}");
    EXPECT(504, "POST", "/v1/models/punctual:predict", "{\"instances\":[[4,17,6]]}");
    assert_non_null(
        strstr(live_body(&live), "members[0] 'lazy': no answer within its timeout of 50 ms"));
    EXPECT(400, "PUT", "/api/v1/deployments/punctual",
           "{\"graph\":{\"root\":{\"ensemble\":{\"members\":[{\"node\":{\"ensemble\":{\"members\":"
           "[{\"model\":\"sum\"}]}},\"timeout_ms\":50}]}}}}");
    assert_non_null(strstr(live_body(&live), "members[0].timeout_ms: 50, but it is an ensemble"));
}

/* An explanation is of all members or of none. */
static void test_explanations_of_ensembles(void **state)
{
    (void)state;
    static const char *const models[] = {"lenient", "lenient-apart"};
    char body[256];
    for (size_t i = 0; i < 2; i++) {
        snprintf(body, sizeof body,
                 "{\"model\":\"%s\",\"instances\":[[4,1,-2]],\"method\":\"exact\",\"background\":"
                 "\"all\"}",
                 models[i]);
        EXPECT(200, "POST", "/predict-with-explanation", body);
        assert_true(fabs(live_number(&live, "results.0.explanation.shap_values.f0") - 2) < 1e-9);
        snprintf(body, sizeof body,
                 "{\"model\":\"%s\",\"instances\":[[4,13,-2]],\"method\":\"exact\",\"background\":"
                 "\"all\"}",
                 models[i]);
        EXPECT(500, "POST", "/predict-with-explanation", body);
        assert_non_null(strstr(live_body(&live), "members[0] 'seq': ONNX Runtime"));
    }
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
        cmocka_unit_test(test_ensembles),
        cmocka_unit_test(test_explanations_of_ensembles),
        cmocka_unit_test(test_a_member_has_its_time),
        cmocka_unit_test(test_it_is_there_after_a_restart),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
