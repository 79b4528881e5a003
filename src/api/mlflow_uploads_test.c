/* SPDX-License-Identifier: Apache-2.0 */
/* What uploads in parts answer without a stream: URLs and headers of parts, what is refused. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/call_testing.h"
#include "api/route.h"
#include "services/registry/world_testing.h"

static struct ig_call_testing test;
static struct ig_world world;

static int setup(void **state)
{
    (void)state;
    ig_call_testing_init(&test);
    ig_world_open(&world);
    test.app.db = world.db;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_world_close(&world);
    ig_call_testing_deinit(&test);
    return 0;
}

static void prepare(const char *directory, const char *body)
{
    ig_call_testing_again(&test);
    ig_call_testing_header(&test, "Content-Type", "application/json");
    test.exchange.request.method = IG_STR("POST");
    test.exchange.request.host = IG_STR("models.example:8080");
    test.exchange.body = ig_str_view(body);
    test.call.params[0] = ig_str_view(directory);
}

static void expect(const char *text)
{
    if (!strstr(test.exchange.reply.ptr, text)) fail_msg("%s", test.exchange.reply.ptr);
}

static void test_urls(void **state)
{
    (void)state;
    prepare("0/r/artifacts", "{\"path\":\"/tmp/a.bin\",\"num_parts\":2}");
    assert_int_equal(ig_mlflow_upload_create(&test.call), IG_OK);
    expect("\"url\":\"http://models.example:8080/api/2.0/mlflow-artifacts/mpu/parts/");
    expect("/2\",\"part_number\":2,\"headers\":{}}]}");
    prepare("0/r/artifacts", "{\"path\":\"a.bin\"}"); /* one part */
    ig_call_testing_header(&test, "Authorization", "Bearer k");
    ig_call_testing_header(&test, "X-Forwarded-Proto", "https");
    assert_int_equal(ig_mlflow_upload_create(&test.call), IG_OK);
    expect("\"url\":\"https://models.example:8080/");
    expect("/1\",\"part_number\":1,\"headers\":{\"Authorization\":\"Bearer k\"}}]}");
    test.app.tls = true;
    prepare("0/r/artifacts", "{\"path\":\"a.bin\"}");
    assert_int_equal(ig_mlflow_upload_create(&test.call), IG_OK);
    expect("\"url\":\"https://");
    test.app.tls = false;
}

static void test_refused(void **state)
{
    (void)state;
    static const struct {
        const char *directory, *body, *message;
    } cases[] = {
        {"0/r", "{}", "'path'"},
        {"0/../r", "{\"path\":\"x\"}", "path"},
        {"0/r", "{\"path\":\"x/..\"}", "path: the segment '..' is not allowed"},
        {"0/r", "{\"path\":\"x\\\\y\"}", "path"},
        {"0/r", "{\"path\":\"x\",\"num_parts\":0}", "num_parts: 0"},
        {"0/r", "{\"path\":\"x\",\"num_parts\":10001}", "num_parts: 10001"},
        {"0/r", "{\"path\":\"x\",\"num_parts\":\"many\"}", "num_parts"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        prepare(cases[i].directory, cases[i].body);
        assert_int_equal(ig_mlflow_upload_create(&test.call), IG_INVALID);
        if (!strstr(test.call.err.message, cases[i].message))
            fail_msg("%s: %s", cases[i].body, test.call.err.message);
    }
    prepare("0/r", "{\"path\":\"x\"}");
    test.exchange.request.host = IG_STR("");
    assert_int_equal(ig_mlflow_upload_create(&test.call), IG_INVALID);
    prepare("0/r", "{\"path\":\"x\",\"upload_id\":\"u\",\"parts\":[{\"part_number\":1}]}");
    assert_int_equal(ig_mlflow_upload_complete(&test.call), IG_INVALID);
    assert_non_null(strstr(test.call.err.message, "parts[0].etag"));
    prepare("0/r",
            "{\"path\":\"x\",\"upload_id\":\"u\",\"parts\":[{\"part_number\":1,\"etag\":\"e\"}]}");
    assert_int_equal(ig_mlflow_upload_complete(&test.call), IG_NOT_FOUND);
    prepare("0/r", "{\"path\":\"x\",\"upload_id\":\"u\"}");
    assert_int_equal(ig_mlflow_upload_abort(&test.call), IG_NOT_FOUND);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_urls, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
