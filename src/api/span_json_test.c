/* SPDX-License-Identifier: Apache-2.0 */
/* Spans as MLflow's clients write them, answered as protobuf's JSON. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/span_json.h"

static struct ig_arena arena;
static struct ig_buf buf;
static struct ig_err err;

static const char *write(const char *content)
{
    struct ig_json_out out;
    ig_err_clear(&err);
    ig_buf_reset(&buf);
    ig_json_out_init(&out, &buf);
    ig_span_json_write(&out, ig_str_view(content), &arena, &err);
    return err.code == IG_OK ? buf.ptr : err.message;
}

static int setup(void **state)
{
    (void)state;
    ig_arena_init(&arena, 1 << 12, 8 << 20);
    ig_buf_init(&buf, 8 << 20);
    err = IG_ERR_INIT;
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    ig_buf_deinit(&buf);
    ig_arena_deinit(&arena);
    return 0;
}

static void test_a_span(void **state)
{
    (void)state;
    assert_string_equal(
        write("{\"trace_id\":\"AA==\",\"span_id\":\"AB==\",\"parent_span_id\":null,\"name\":\"n\","
              "\"start_time_unix_nano\":1,\"end_time_unix_nano\":null,\"events\":[{\"name\":\"e\","
              "\"time_unix_nano\":2,\"attributes\":{\"k\":\"text\"}}],\"status\":{\"code\":"
              "\"STATUS_CODE_ERROR\",\"message\":\"m\"},\"attributes\":{\"a\":\"[1, 2.5, null, {"
              "\\\"x\\\": [true]}]\",\"t\":\"\\\"u\\\"\",\"raw\":\"no json\",\"nan\":\"NaN\","
              "\"big\":\"123456789012345678901\"},\"links\":[{\"trace_id\":"
              "\"tr-000102030405060708090a0b0c0d0e0f\",\"span_id\":\"00000000000000ff\","
              "\"attributes\":null}],\"other\":{}}"),
        "{\"trace_id\":\"AA==\",\"span_id\":\"AB==\",\"name\":\"n\",\"start_time_unix_nano\":1,"
        "\"events\":[{\"name\":\"e\",\"time_unix_nano\":2,\"attributes\":[{\"key\":\"k\",\"value\":"
        "{\"string_value\":\"text\"}}]}],\"status\":{\"message\":\"m\",\"code\":"
        "\"STATUS_CODE_ERROR\"},\"attributes\":[{\"key\":\"a\",\"value\":{\"array_value\":{"
        "\"values\":[{\"int_value\":1},{\"double_value\":2.5},{},{\"kvlist_value\":{\"values\":[{"
        "\"key\":\"x\",\"value\":{\"array_value\":{\"values\":[{\"bool_value\":true}]}}}]}}]}}},{"
        "\"key\":\"t\",\"value\":{\"string_value\":\"u\"}},{\"key\":\"raw\",\"value\":{"
        "\"string_value\":\"no json\"}},{\"key\":\"nan\",\"value\":{\"double_value\":\"NaN\"}},{"
        "\"key\":\"big\",\"value\":{\"double_value\":1.2345678901234568e+20}}],\"links\":[{"
        "\"trace_id\":\"AAECAwQFBgcICQoLDA0ODw==\",\"span_id\":\"AAAAAAAAAP8=\"}]}");
    assert_string_equal(write("{\"status\":{\"code\":\"STATUS_CODE_UNSET\",\"message\":null},"
                              "\"events\":[]}"),
                        "{\"status\":{}}");
}

/* Deeper than an answer may be: it stays a text. */
static void test_depth(void **state)
{
    (void)state;
    char content[256] = "{\"attributes\":{\"k\":\"";
    size_t used = strlen(content);
    for (int i = 0; i < 30; i++) content[used++] = '[';
    for (int i = 0; i < 30; i++) content[used++] = ']';
    memcpy(content + used, "\"}}", 4);
    assert_non_null(strstr(write(content), "{\"string_value\":\"[[["));
}

static void test_what_is_no_span(void **state)
{
    (void)state;
    static const char *const bad[] = {"[]", "{\"name\":", "{\"name\":1}", "{\"trace_id\":[]}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        write(bad[i]);
        if (err.code == IG_OK) fail_msg("%s was taken", bad[i]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_a_span, setup, teardown),
        cmocka_unit_test_setup_teardown(test_depth, setup, teardown),
        cmocka_unit_test_setup_teardown(test_what_is_no_span, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
