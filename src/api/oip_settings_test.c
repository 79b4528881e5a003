/* SPDX-License-Identifier: Apache-2.0 */
/* Settings as they come over HTTP, and over gRPC as Triton's own client sends them. */
#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/oip_proto.h"
#include "base/file.h"

#include <string.h>

static struct ig_arena arena;
static struct ig_err err;
static struct ig_oip_settings settings;

static enum ig_code read_json(const char *body)
{
    err = IG_ERR_INIT;
    return ig_oip_settings_read(&settings, ig_str_view(body), &arena, &err);
}

static enum ig_code read_file(const char *path)
{
    struct ig_buf bytes;
    err = IG_ERR_INIT;
    ig_buf_init(&bytes, 1 << 16);
    assert_int_equal(ig_file_read(&bytes, IG_FILE_CWD, path, &err), IG_OK);
    struct ig_str message = ig_arena_dup(&arena, ig_buf_view(&bytes));
    ig_buf_deinit(&bytes);
    return ig_oip_proto_settings(&settings, message, &arena, &err);
}

static const struct ig_oip_setting *find(const char *name)
{
    for (size_t i = 0; i < settings.count; i++)
        if (ig_str_is(settings.items[i].name, name)) return &settings.items[i];
    fail_msg("no %s", name);
    return NULL;
}

static void check_one(const char *name, const char *value)
{
    const struct ig_oip_setting *setting = find(name);
    assert_int_equal(setting->count, 1);
    assert_true(ig_str_is(setting->values[0], value));
}

static void test_json(void **state)
{
    (void)state;
    bool flag = false;
    int64_t number = 0;
    assert_int_equal(read_json(""), IG_OK);
    assert_int_equal(settings.count, 0);
    assert_int_equal(read_json("{\"a\":true,\"b\":7,\"c\":\"8\",\"d\":null,\"e\":[\"x\",\"y\"]}"),
                     IG_OK);
    check_one("a", "true");
    check_one("c", "8");
    assert_int_equal(find("d")->count, 0);
    assert_true(find("e")->count == 2 && ig_str_is(find("e")->values[1], "y"));
    assert_int_equal(ig_oip_setting_flag(&flag, find("a"), &err), IG_OK);
    assert_true(flag);
    assert_int_equal(ig_oip_setting_number(&number, find("b"), 0, 7, &err), IG_OK);
    assert_int_equal(number, 7);
    assert_int_equal(ig_oip_setting_number(&number, find("c"), 0, 7, &err), IG_INVALID);
    assert_string_equal(err.message, "c: '8', expected a whole number from 0 to 7");
    err = IG_ERR_INIT;
    assert_int_equal(ig_oip_setting_number(&number, find("e"), 0, 7, &err), IG_INVALID);
    assert_string_equal(err.message, "e: 2 values, expected a whole number from 0 to 7");
    err = IG_ERR_INIT;
    assert_int_equal(ig_oip_setting_flag(&flag, find("d"), &err), IG_INVALID);
    assert_string_equal(err.message, "d: 'null', expected true or false");
}

static void test_refuses(void **state)
{
    (void)state;
    static const char *const BODIES[] = {"[]",
                                         "{\"a\":{}}",
                                         "{\"a\":[1]}",
                                         "{\"a\":[\"1\",\"2\",\"3\",\"4\",\"5\"]}",
                                         "{\"a\":1} x",
                                         "{\"a\":",
                                         "{\"1\":1,\"2\":1,\"3\":1,\"4\":1,\"5\":1,\"6\":1,\"7\":1,"
                                         "\"8\":1,\"9\":1,\"10\":1,\"11\":1,\"12\":1,\"13\":1,"
                                         "\"14\":1,\"15\":1,\"16\":1,\"17\":1}"};
    for (size_t i = 0; i < sizeof BODIES / sizeof *BODIES; i++)
        if (read_json(BODIES[i]) == IG_OK || !err.message[0]) fail_msg("%s", BODIES[i]);
}

static void test_protobuf(void **state)
{
    (void)state;
    assert_int_equal(read_file("tests/corpus/oip_proto/log_settings"), IG_OK);
    assert_int_equal(settings.count, 4);
    check_one("log_info", "false");
    check_one("log_verbose_level", "3");
    check_one("log_format", "ISO8601");
    assert_int_equal(find("log_file")->count, 0);
    assert_int_equal(read_file("tests/corpus/oip_proto/trace_setting"), IG_OK);
    assert_true(ig_str_is(settings.model, "m"));
    assert_true(find("trace_level")->count == 2 &&
                ig_str_is(find("trace_level")->values[0], "TIMESTAMPS"));
    check_one("trace_rate", "10");
    assert_int_equal(find("trace_count")->count, 0);
    err = IG_ERR_INIT;
    assert_int_equal(ig_oip_proto_settings(&settings, IG_STR("\x0a\x05\x0a"), &arena, &err),
                     IG_PARSE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_json),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_protobuf),
    };
    ig_arena_init(&arena, 4096, 1 << 20);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    ig_arena_deinit(&arena);
    return failed;
}
