/* SPDX-License-Identifier: Apache-2.0 */
/* The Open Inference Protocol through the real program. */
#include "support/live.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct live live;

#define EXPECT(status, method, path, body)                                                         \
    do {                                                                                           \
        int got = live_call(&live, method, path, body);                                            \
        if (got != (status)) fail_msg("%s %s: %d %s", method, path, got, live_body(&live));        \
    } while (0)
#define INPUTS                                                                                     \
    "\"inputs\":[{\"name\":\"x0\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[0.75,0.25]},{"     \
    "\"name\":\"colour\",\"shape\":[2,1],\"datatype\":\"BYTES\",\"data\":[[\"green\"],[\"red\"]]}" \
    "]"
#define INFER "/v2/models/churn/infer"

static int setup(void **state)
{
    (void)state;
    char id[64];
    live_make(&live);
    live_write_table(&live, "table.csv", 400);
    live_start(&live, NULL);
    snprintf(id, sizeof id, "%s", live_submit(&live, "churn", "table.csv", 20));
    if (strcmp(live_wait_job(&live, id), "succeeded") != 0) fail_msg("%s", live_body(&live));
    EXPECT(200, "PUT", "/api/v1/deployments/churn", "{\"model\":\"churn\"}");
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    live_remove(&live);
    return 0;
}

static void test_metadata(void **state)
{
    (void)state;
    EXPECT(200, "GET", "/v2", NULL);
    assert_string_equal(live_text(&live, "name"), "ingot");
    EXPECT(200, "GET", "/v2/health/live", NULL);
    EXPECT(200, "GET", "/v2/health/ready", NULL);
    EXPECT(200, "GET", "/v2/models/churn", NULL);
    assert_string_equal(live_text(&live, "versions.0"), "1");
    assert_string_equal(live_text(&live, "inputs.2.name"), "colour");
    assert_string_equal(live_text(&live, "inputs.2.datatype"), "BYTES");
    assert_string_equal(live_text(&live, "outputs.1.name"), "labels");
    EXPECT(200, "GET", "/v2/models/churn/versions/1/config", NULL);
    assert_string_equal(live_text(&live, "input.0.data_type"), "TYPE_FP64");
    EXPECT(404, "GET", "/v2/models/churn/versions/2", NULL);
    EXPECT(404, "GET", "/v2/models/none", NULL);
    assert_non_null(strstr(live_body(&live), "{\"error\":\"model 'none'"));
}

static void test_infer(void **state)
{
    (void)state;
    double margins[2], sums[2] = {0, 0};
    char path[32];
    EXPECT(200, "POST", INFER, "{" INPUTS "}");
    double first = live_number(&live, "outputs.0.data.0");
    assert_true(first > 0 && first < 1);
    assert_string_equal(live_text(&live, "outputs.1.name"), "labels");
    EXPECT(200, "POST", "/v1/models/churn:predict",
           "{\"instances\":[{\"x0\":0.75,\"colour\":\"green\"}]}");
    assert_true(live_number(&live, "predictions.0") == first);
    EXPECT(200, "POST", INFER,
           "{" INPUTS
           ",\"id\":\"a\",\"outputs\":[{\"name\":\"margins\"},{\"name\":\"shap_values\"},{"
           "\"name\":\"base_value\"}]}");
    assert_string_equal(live_text(&live, "id"), "a");
    assert_string_equal(live_text(&live, "outputs.1.shape.1"), "3");
    for (int row = 0; row < 2; row++) {
        snprintf(path, sizeof path, "outputs.0.data.%d", row);
        margins[row] = live_number(&live, path);
        snprintf(path, sizeof path, "outputs.2.data.%d", row);
        sums[row] += live_number(&live, path);
        for (int f = 0; f < 3; f++) {
            snprintf(path, sizeof path, "outputs.1.data.%d", row * 3 + f);
            sums[row] += live_number(&live, path);
        }
        assert_true(fabs(sums[row] - margins[row]) < 1e-6);
    }
    EXPECT(400, "POST", INFER, "{" INPUTS ",\"outputs\":[{\"name\":\"scores\"}]}");
    assert_non_null(strstr(live_body(&live), "has no such output"));
    EXPECT(404, "POST", "/v2/models/churn/versions/7/infer", "{" INPUTS "}");
    EXPECT(400, "POST", INFER, "{\"inputs\":[]}");
}

static void test_repository(void **state)
{
    (void)state;
    EXPECT(200, "POST", "/v2/repository/index", "");
    assert_string_equal(live_text(&live, "0.state"), "READY");
    EXPECT(200, "POST", "/v2/repository/models/churn/unload", "");
    EXPECT(503, "POST", INFER, "{" INPUTS "}");
    EXPECT(503, "GET", "/v2/models/churn/ready", NULL);
    EXPECT(200, "POST", "/v2/repository/index", "");
    assert_string_equal(live_text(&live, "0.state"), "UNAVAILABLE");
    EXPECT(200, "POST", "/v2/repository/models/churn/load", "");
    EXPECT(200, "GET", "/v2/models/churn/ready", NULL);
    EXPECT(404, "POST", "/v2/repository/models/none/load", "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_metadata),
        cmocka_unit_test(test_infer),
        cmocka_unit_test(test_repository),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
