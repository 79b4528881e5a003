/* SPDX-License-Identifier: Apache-2.0 */
/* Requests to export traces, in JSON and in protobuf's bytes, and those that are none. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/otlp.h"
#include "base/proto.h"

#include <math.h>
#include <string.h>

static struct ig_arena arena;
static struct ig_buf proto;
static struct ig_err err;
static struct ig_trace_span *spans;
static size_t count, groups;

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 1 << 14, 64 << 20);
    ig_buf_init(&proto, 16 << 20);
    err = IG_ERR_INIT;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&proto);
    ig_arena_deinit(&arena);
    return 0;
}

static enum ig_code read_json(const char *json)
{
    ig_err_clear(&err);
    ig_buf_reset(&proto);
    spans = NULL;
    count = groups = 0;
    if (ig_otlp_json_to_proto(&proto, ig_str_view(json), &arena, &err) != IG_OK) return err.code;
    return ig_otlp_read(&spans, &count, &groups, ig_buf_view(&proto), &arena, &err);
}

#define IDS "\"traceId\":\"0123456789abcdef0123456789abcdef\",\"spanId\":\"00000000000000A1\""
#define REQUEST(resource, span)                                                                    \
    "{\"resourceSpans\":[{\"resource\":{\"attributes\":[" resource "]},\"scopeSpans\":[{"          \
    "\"scope\":{\"name\":\"x\"},\"spans\":[{" span "}]}]}]}"
#define ATTRIBUTE(key, type, value) "{\"key\":\"" key "\",\"value\":{\"" type "\":" value "}}"

static void test_a_span(void **state)
{
    (void)state;
    static const char request[] =
        "{\"resourceSpans\":[{\"resource\":{\"attributes\":[{\"key\":\"service.name\",\"v"
        "alue\":{\"stringValue\":\"svc\"}},{\"key\":\"telemetry.sdk.name\",\"value\":{\"s"
        "tringValue\":\"x\"}},{\"key\":\"n\",\"value\":{\"intValue\":\"3\"}}]},\"scopeSpa"
        "ns\":[{\"scope\":{\"name\":\"x\"},\"spans\":[{\"traceId\":\"0123456789abcdef0123"
        "456789abcdef\",\"spanId\":\"00000000000000A1\",\"name\":\"root\",\"kind\":1,\"st"
        "artTimeUnixNano\":\"1700000000000000000\",\"end_time_unix_nano\":170000000150000"
        "0000,\"attributes\":[{\"key\":\"s\",\"value\":{\"stringValue\":\"a\\\"b\"}},{\"k"
        "ey\":\"d\",\"value\":{\"doubleValue\":1}},{\"key\":\"b\",\"value\":{\"boolValue"
        "\":true}},{\"key\":\"arr\",\"value\":{\"arrayValue\":{\"values\":[{\"intValue\":"
        "-1},{},{\"arrayValue\":{}}]}}},{\"key\":\"kv\",\"value\":{\"kvlistValue\":{\"val"
        "ues\":[{\"key\":\"k\",\"value\":{\"bytesValue\":\"AQID\"}}]}}},{\"key\":\"mlflow"
        ".spanInputs\",\"value\":{\"stringValue\":\"{\\\"q\\\":1}\"}},{\"key\":\"mlflow.s"
        "panType\",\"value\":{\"stringValue\":\"\\\"LLM\\\"\"}},{\"key\":\"mlflow.traceTa"
        "g.t\",\"value\":{\"stringValue\":\"v\"}},{\"key\":\"mlflow.traceRequestId\",\"va"
        "lue\":{\"stringValue\":\"tr-forged\"}},{\"key\":\"mlflow.chat.tokenUsage\",\"val"
        "ue\":{\"stringValue\":\"{\\\"input_tokens\\\":5}\"}}],\"events\":[{\"name\":\"e"
        "\",\"timeUnixNano\":\"7\",\"attributes\":[{\"key\":\"k\",\"value\":{\"intValue\""
        ":1}}]}],\"links\":[{\"traceId\":\"ffffffffffffffffffffffffffffffff\",\"spanId\":"
        "\"00000000000000ff\"}],\"status\":{\"code\":2,\"message\":\"bad\"},\"unknown\":["
        "{}]}]}]}]}";
    assert_int_equal(read_json(request), IG_OK);
    assert_int_equal(count, 1);
    assert_true(ig_str_is(spans->trace, "tr-0123456789abcdef0123456789abcdef"));
    assert_true(ig_str_is(spans->id, "00000000000000a1"));
    assert_null(spans->parent.ptr);
    assert_true(ig_str_is(spans->type, "LLM"));
    assert_true(ig_str_is(spans->status, "ERROR"));
    assert_true(ig_str_is(spans->inputs, "{\"q\":1}"));
    assert_int_equal(spans->tokens[IG_TRACE_INPUT_TOKENS], 5);
    assert_int_equal(spans->tokens[IG_TRACE_TOTAL_TOKENS], -1);
    assert_true(isnan(spans->costs[IG_TRACE_TOTAL_COST]));
    assert_int_equal(spans->tags.count, 3);
    assert_true(ig_str_is(spans->tags.items[1].value, "3"));
    assert_true(ig_str_is(spans->tags.items[2].key, "t"));
    assert_string_equal(
        spans->content.ptr,
        "{\"trace_id\": \"ASNFZ4mrze8BI0VniavN7w==\", \"span_id\": \"AAAAAAAAAKE=\","
        " \"parent_span_id\": null, \"name\": \"root\", \"start_time_unix_nano\":"
        " 1700000000000000000, \"end_time_unix_nano\": 1700000001500000000, \"events\":"
        " [{\"name\": \"e\", \"time_unix_nano\": 7, \"attributes\": {\"k\": 1}}], \"status\":"
        " {\"code\": \"STATUS_CODE_ERROR\", \"message\": \"bad\"}, \"attributes\":"
        " {\"s\": \"\\\"a\\\\\\\"b\\\"\", \"d\": \"1.0\", \"b\": \"true\", \"arr\":"
        " \"[-1, null, []]\", \"kv\": \"{\\\"k\\\": \\\"AQID\\\"}\", \"mlflow.spanInputs\":"
        " \"{\\\"q\\\":1}\", \"mlflow.spanType\": \"\\\"LLM\\\"\", \"mlflow.traceTag.t\":"
        " \"\\\"v\\\"\", \"mlflow.traceRequestId\": "
        "\"\\\"tr-0123456789abcdef0123456789abcdef\\\"\","
        " \"mlflow.chat.tokenUsage\": \"{\\\"input_tokens\\\":5}\"}, \"links\":"
        " [{\"trace_id\": \"tr-ffffffffffffffffffffffffffffffff\", \"span_id\":"
        " \"00000000000000ff\", \"attributes\": {}}]}");
}

static void test_refusals(void **state)
{
    (void)state;
    static const struct {
        const char *json;
        enum ig_code code;
    } cases[] = {
        {"{}", IG_OK},
        {"{\"resourceSpans\":[{}]}", IG_OK},
        {"{\"resourceSpans\":null}", IG_OK},
        {"{", IG_PARSE},
        {"[]", IG_INVALID},
        {"{\"resourceSpans\":{}}", IG_PARSE},
        {"{\"resourceSpans\":[null]}", IG_PARSE},
        {REQUEST("", "\"name\":\"x\""), IG_INVALID},
        {REQUEST("", IDS ",\"name\":3"), IG_PARSE},
        {REQUEST("", "\"traceId\":\"0\",\"spanId\":\"00000000000000a1\""), IG_PARSE},
        {REQUEST("", "\"traceId\":\"00\",\"spanId\":\"00000000000000a1\""), IG_INVALID},
        {REQUEST("", IDS ",\"startTimeUnixNano\":\"-1\""), IG_PARSE},
        {REQUEST("", IDS ",\"startTimeUnixNano\":\"9223372036854775808\""), IG_INVALID},
        {REQUEST("", IDS ",\"events\":[{\"timeUnixNano\":\"9223372036854775808\"}]"), IG_INVALID},
        {REQUEST("", IDS ",\"attributes\":[" ATTRIBUTE("a", "intValue", "\"x\"") "]"), IG_PARSE},
        {REQUEST("", IDS ",\"attributes\":[" ATTRIBUTE("a", "boolValue", "1") "]"), IG_PARSE},
        {REQUEST("", IDS ",\"attributes\":[" ATTRIBUTE("a", "bytesValue", "\"?\"") "]"), IG_PARSE},
        {REQUEST("", IDS ",\"links\":[{\"traceId\":\"ff\"}]"), IG_PARSE},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (read_json(cases[i].json) != cases[i].code)
            fail_msg("%s: %d %s", cases[i].json, err.code, err.message);
}

/* Lists within lists: the depth has a cap, and nothing recurses. */
static void test_depth(void **state)
{
    (void)state;
    struct ig_buf span;
    ig_buf_init(&span, 1 << 20);
    for (int depth = IG_OTLP_DEPTH_MAX - 1; depth <= IG_OTLP_DEPTH_MAX + 1; depth += 2) {
        size_t opened[4 * IG_OTLP_DEPTH_MAX], used = 0;
        ig_buf_reset(&span);
        opened[used++] = ig_proto_open(&span, 1);
        opened[used++] = ig_proto_open(&span, 2);
        opened[used++] = ig_proto_open(&span, 2);
        ig_proto_add_bytes(&span, 1, IG_STR("0123456789abcdef"));
        ig_proto_add_bytes(&span, 2, IG_STR("01234567"));
        opened[used++] = ig_proto_open(&span, 9);
        ig_proto_add_bytes(&span, 1, IG_STR("k"));
        opened[used++] = ig_proto_open(&span, 2);
        for (int i = 0; i < depth; i++) {
            opened[used++] = ig_proto_open(&span, 5);
            opened[used++] = ig_proto_open(&span, 1);
        }
        while (used) ig_proto_close(&span, opened[--used]);
        ig_err_clear(&err);
        enum ig_code code = ig_otlp_read(&spans, &count, &groups, ig_buf_view(&span), &arena, &err);
        assert_int_equal(code, depth > IG_OTLP_DEPTH_MAX ? IG_TOO_LARGE : IG_OK);
    }
    ig_buf_deinit(&span);
}

static void test_bytes_that_are_no_request(void **state)
{
    (void)state;
    const struct ig_str bad[] = {
        IG_STR("\x0a\xff"),           IG_STR("\x0a"),
        IG_STR("\x08\x01"),           IG_STR("\x0a\x02\x12\x05"),
        IG_STR("text, not protobuf"),
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        ig_err_clear(&err);
        if (ig_otlp_read(&spans, &count, &groups, bad[i], &arena, &err) != IG_PARSE)
            fail_msg("%zu was taken", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_span, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bytes_that_are_no_request, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
