/* SPDX-License-Identifier: Apache-2.0 */
/* JSON: positions, typed reads, caps, the writer. What is JSON: json_conformance_test.c. */
#include "base/json.h"
#include "base/mem.h"
#include "base/num.h"

#include <stdarg.h>
#include <stddef.h>

#include <setjmp.h>
#include <stdint.h>

#include <cmocka.h>

#include <math.h>
#include <string.h>

struct run {
    struct ig_arena arena;
    struct ig_err err;
    struct ig_json json;
};

static bool accepts(struct run *run, struct ig_str text)
{
    ig_arena_init(&run->arena, 1024, 1 << 20);
    run->err = IG_ERR_INIT;
    ig_json_init(&run->json, text, &run->arena, &run->err);
    enum ig_json_event event;
    do event = ig_json_next(&run->json);
    while (event != IG_JSON_END && event != IG_JSON_ERROR);
    ig_arena_deinit(&run->arena);
    return event == IG_JSON_END;
}

static void test_positions(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        int64_t at;
    } rows[] = {{"[1,x]", 3},      {"{\"a\":}", 5}, {"[1", 2},       {"\"abc", 0},
                {"[\"a\\q\"]", 3}, {"[1]]", 3},     {"\"a\xFF\"", 1}};
    struct run run;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_false(accepts(&run, ig_str_view(rows[i].text)));
        assert_int_equal(run.err.at_byte, rows[i].at);
    }
}

static void test_depth(void **state)
{
    (void)state;
    char text[200000];
    struct run run;
    memset(text, '[', IG_JSON_DEPTH_MAX);
    memset(text + IG_JSON_DEPTH_MAX, ']', IG_JSON_DEPTH_MAX);
    assert_true(accepts(&run, (struct ig_str){text, 2 * (size_t)IG_JSON_DEPTH_MAX}));
    memset(text, '[', sizeof text);
    assert_false(accepts(&run, (struct ig_str){text, sizeof text}));
    assert_int_equal(run.err.at_byte, IG_JSON_DEPTH_MAX);
    for (size_t i = 0; i + 5 <= sizeof text; i += 5) memcpy(text + i, "{\"\":[", 5);
    assert_false(accepts(&run, (struct ig_str){text, sizeof text}));
}

static void test_typed_reads(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    ig_arena_init(&arena, 1024, 4096);
    ig_json_init(&json,
                 IG_STR("{\"name\":\"a\\u00e9\",\"n\":-3,\"x\":[1.5,2],\"skip\":{\"deep\":[1,{}]},"
                        "\"b\":true,\"e\":[]}"),
                 &arena, &err);
    assert_true(ig_json_expect(&json, IG_JSON_OBJECT, "body"));
    struct ig_str name = {0};
    int64_t n = 0;
    double sum = 0, x;
    bool b = false;
    int empty = 0;
    while (ig_json_member(&json)) {
        if (ig_str_is(json.text, "name"))
            assert_true(ig_json_string(&json, &name, "name"));
        else if (ig_str_is(json.text, "n"))
            assert_true(ig_json_i64(&json, &n, "n"));
        else if (ig_str_is(json.text, "b"))
            assert_true(ig_json_bool(&json, &b, "b"));
        else if (ig_str_is(json.text, "x")) {
            assert_true(ig_json_expect(&json, IG_JSON_ARRAY, "x"));
            while (ig_json_element(&json)) {
                assert_true(ig_json_f64(&json, &x, "x"));
                sum += x;
            }
        } else if (ig_str_is(json.text, "e")) {
            assert_true(ig_json_expect(&json, IG_JSON_ARRAY, "e"));
            while (ig_json_element(&json)) empty++;
        } else
            assert_true(ig_json_skip(&json));
    }
    assert_int_equal(ig_json_next(&json), IG_JSON_END);
    assert_int_equal(err.code, IG_OK);
    assert_true(ig_str_is(name, "a\xC3\xA9"));
    assert_true(n == -3 && sum == 3.5 && b && empty == 0);
    ig_arena_deinit(&arena);
}

static void test_element_errors(void **state)
{
    (void)state;
    static const char *const bad[] = {"[1,]", "[,1]", "[1 2]", "[1", "[", "[1}"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct ig_arena arena;
        struct ig_err err = IG_ERR_INIT;
        struct ig_json json;
        double x;
        ig_arena_init(&arena, 1024, 4096);
        ig_json_init(&json, ig_str_view(bad[i]), &arena, &err);
        assert_true(ig_json_expect(&json, IG_JSON_ARRAY, "x"));
        while (ig_json_element(&json) && ig_json_f64(&json, &x, "x")) {
        }
        assert_int_not_equal(err.code, IG_OK);
        ig_arena_deinit(&arena);
    }
}

static size_t numbers_of(struct run *run, const char *text, double *out, size_t count_max)
{
    ig_arena_init(&run->arena, 1024, 1 << 20);
    run->err = IG_ERR_INIT;
    ig_json_init(&run->json, ig_str_view(text), &run->arena, &run->err);
    assert_int_equal(ig_json_next(&run->json), IG_JSON_ARRAY);
    return ig_json_numbers(&run->json, out, count_max);
}

static void test_numbers_at_once(void **state)
{
    (void)state;
    struct run run;
    double out[4] = {0};
    assert_int_equal(numbers_of(&run, "[1, -2.5 ,\n3e1,4]", out, 4), 2);
    assert_true(out[0] == 1 && out[1] == -2.5 && out[2] == 0);
    assert_true(ig_json_element(&run.json));
    assert_int_equal(ig_json_next(&run.json), IG_JSON_NUMBER);
    assert_true(ig_str_is(run.json.text, "3e1"));
    assert_int_equal(ig_json_numbers(&run.json, out, 4), 1);
    assert_true(out[0] == 4);
    assert_int_equal(ig_json_numbers(&run.json, out, 4), 0);
    assert_false(ig_json_element(&run.json));
    assert_int_equal(ig_json_next(&run.json), IG_JSON_END);
    assert_int_equal(numbers_of(&run, "[1,2,3]", out, 2), 2);
    assert_true(ig_json_element(&run.json));
    assert_int_equal(ig_json_numbers(&run.json, out, 1), 1); /* its comma is read already */
    assert_true(out[0] == 3);
    assert_false(ig_json_element(&run.json));
    assert_int_equal(numbers_of(&run, "[]", out, 4), 0);
    assert_false(ig_json_element(&run.json));
    assert_int_equal(run.err.code, IG_OK);
    static const char *const bad[] = {"[1,]",   "[1 2]", "[01]", "[1.]",
                                      "[1,,2]", "[1",    "[1,",  "[1x]"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        numbers_of(&run, bad[i], out, 4);
        while (ig_json_element(&run.json)) (void)ig_json_next(&run.json);
        assert_int_equal(run.err.code, IG_PARSE);
    }
}

static void test_wrong_type_names_the_field(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    double x = 7;
    ig_arena_init(&arena, 1024, 4096);
    ig_json_init(&json, IG_STR("[\"old\"]"), &arena, &err);
    ig_json_next(&json);
    assert_false(ig_json_f64(&json, &x, "features.age"));
    assert_true(x == 7);
    assert_int_equal(err.code, IG_INVALID);
    assert_non_null(strstr(err.message, "features.age: expected a number, found a string"));
    ig_arena_deinit(&arena);
}

static void test_python_numbers(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    double a = 0, b = 0, c = 0;
    ig_arena_init(&arena, 1024, 4096);
    ig_json_init(&json, IG_STR("[NaN,Infinity,-Infinity]"), &arena, &err);
    json.allow_nan = true;
    ig_json_next(&json);
    assert_true(ig_json_f64(&json, &a, "a") && ig_json_f64(&json, &b, "b") &&
                ig_json_f64(&json, &c, "c"));
    assert_true(isnan(a) && isinf(b) && b > 0 && isinf(c) && c < 0);
    ig_arena_deinit(&arena);
}

static void test_out_of_memory(void **state)
{
    (void)state;
    struct run run;
    ig_mem_fail_after(1);
    assert_true(accepts(&run, IG_STR("[\"plain\",1]")));
    assert_false(accepts(&run, IG_STR("[\"\\n\"]")));
    ig_mem_fail_after(0);
    assert_int_equal(run.err.code, IG_NO_MEMORY);
}

static void test_writer(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_json_out out;
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_json_out_kv_str(&out, "a\"\\\n\x01", IG_STR("\xFF\xC3\xA4\xED\xA0\x80x"));
    ig_json_out_key(&out, IG_STR("list"));
    ig_json_out_array(&out);
    ig_json_out_f64(&out, 0.1);
    ig_json_out_f32(&out, 0.1f);
    ig_json_out_f64(&out, NAN);
    ig_json_out_i64(&out, -5);
    ig_json_out_u64(&out, UINT64_MAX);
    ig_json_out_bool(&out, false);
    ig_json_out_null(&out);
    ig_json_out_object(&out);
    ig_json_out_object_end(&out);
    ig_json_out_raw(&out, IG_STR("[1]"));
    ig_json_out_array_end(&out);
    ig_json_out_kv_bool(&out, "t", true);
    ig_json_out_object_end(&out);
    assert_string_equal(
        buf.ptr,
        "{\"a\\\"\\\\\\n\\u0001\":\"\xEF\xBF\xBD\xC3\xA4\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBDx\","
        "\"list\":[0.1,0.1,null,-5,18446744073709551615,false,null,{},[1]],\"t\":true}");
    struct run run;
    assert_true(accepts(&run, ig_buf_view(&buf)));
    ig_buf_deinit(&buf);
}

static void write_sample(struct ig_buf *buf, struct ig_str text)
{
    struct ig_json_out out;
    ig_json_out_init(&out, buf);
    ig_json_out_array(&out);
    ig_json_out_str(&out, text);
    ig_json_out_f64(&out, -0.30000000000000004);
    ig_json_out_object(&out);
    ig_json_out_key(&out, text);
    ig_json_out_f64(&out, 1e-300);
    ig_json_out_key(&out, IG_STR("k"));
    ig_json_out_str(&out, text);
    ig_json_out_object_end(&out);
    ig_json_out_array_end(&out);
}

static void check_sample(struct ig_str text, struct ig_str value)
{
    struct run run = {.err = IG_ERR_INIT};
    struct ig_str first = {0}, last = {0};
    double number = 0;
    ig_arena_init(&run.arena, 1024, 1 << 20);
    ig_json_init(&run.json, text, &run.arena, &run.err);
    assert_true(ig_json_expect(&run.json, IG_JSON_ARRAY, "a"));
    assert_true(ig_json_string(&run.json, &first, "s") && ig_str_eq(first, value));
    assert_true(ig_json_f64(&run.json, &number, "x") && number == -0.30000000000000004);
    assert_true(ig_json_expect(&run.json, IG_JSON_OBJECT, "o"));
    assert_true(ig_json_member(&run.json) && ig_str_eq(run.json.text, value));
    assert_true(ig_json_f64(&run.json, &number, "y") && number == 1e-300);
    assert_true(ig_json_member(&run.json) && ig_str_is(run.json.text, "k"));
    assert_true(ig_json_string(&run.json, &last, "s") && ig_str_eq(last, value));
    ig_arena_deinit(&run.arena);
}

/* Each character at each place, with and without room in the buffer, reads back. */
static void test_writer_escapes_wherever(void **state)
{
    (void)state;
    for (int byte = 0; byte < 128; byte++) {
        for (size_t length = 1; length < 20; length++) {
            char text[20];
            memset(text, 'a', sizeof text);
            text[(size_t)byte % length] = (char)byte;
            text[length - 1] = (char)byte;
            struct ig_buf buf;
            ig_buf_init(&buf, 4096);
            if (length % 2) ig_buf_reserve(&buf, 1000);
            write_sample(&buf, (struct ig_str){text, length});
            check_sample(ig_buf_view(&buf), (struct ig_str){text, length});
            ig_buf_deinit(&buf);
        }
    }
}

static void test_writer_stops_at_the_cap(void **state)
{
    (void)state;
    struct ig_buf whole;
    ig_buf_init(&whole, 4096);
    write_sample(&whole, IG_STR("some text"));
    for (size_t cap = 1; cap <= whole.len + 2; cap++) {
        struct ig_buf buf;
        ig_buf_init(&buf, cap);
        write_sample(&buf, IG_STR("some text"));
        assert_int_equal(buf.overflowed, cap < whole.len);
        assert_true(buf.len <= cap);
        if (!buf.overflowed) assert_true(ig_str_eq(ig_buf_view(&buf), ig_buf_view(&whole)));
        ig_buf_deinit(&buf);
    }
    for (uint64_t n = 1; n < 4; n++) {
        struct ig_buf buf;
        ig_buf_init(&buf, 4096);
        ig_mem_fail_after(n);
        write_sample(&buf, IG_STR("some text"));
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(buf.overflowed, failed);
        ig_buf_deinit(&buf);
    }
    ig_buf_deinit(&whole);
}

static void test_numbers_out_of_range(void **state)
{
    (void)state;
    static const char *const texts[] = {"1e999", "-1e999", "1.8e308"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_json json;
        double x = 7;
        ig_json_init(&json, ig_str_view(texts[i]), NULL, &err);
        assert_false(ig_json_f64(&json, &x, "age"));
        assert_true(x == 7);
        assert_int_equal(err.code, IG_INVALID);
        assert_non_null(strstr(err.message, "age: '"));
        assert_non_null(strstr(err.message, "beyond the range"));
    }
}

static void test_skips_and_positions(void **state)
{
    (void)state;
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    uint64_t big = 0;
    ig_arena_init(&arena, 1024, 4096);
    ig_json_init(&json, IG_STR("[18446744073709551615, {\"a\": [1, {}], \"b\": 2}, 7, -1]"), &arena,
                 &err);
    assert_true(ig_json_expect(&json, IG_JSON_ARRAY, "list"));
    assert_true(ig_json_u64(&json, &big, "big") && big == UINT64_MAX);
    assert_int_equal(ig_json_position(&json), 21);
    assert_true(ig_json_expect(&json, IG_JSON_OBJECT, "object"));
    assert_true(ig_json_member(&json) && ig_json_skip_open(&json));
    assert_int_equal(ig_json_position(&json), 45);
    assert_true(ig_json_u64(&json, &big, "seven") && big == 7);
    assert_false(ig_json_u64(&json, &big, "list.3"));
    assert_int_equal(err.code, IG_INVALID);
    assert_non_null(strstr(err.message, "list.3: expected a non-negative integer"));
    assert_int_equal(big, 7);
    ig_arena_deinit(&arena);
}

static void test_values_as_they_stand(void **state)
{
    (void)state;
    static const char *const values[] = {"{\"b\": [1]}", "\"x,\"", "-1.5e3", "[]", "null"};
    struct ig_arena arena;
    struct ig_err err = IG_ERR_INIT;
    struct ig_json json;
    struct ig_str value;
    ig_arena_init(&arena, 1024, 4096);
    ig_json_init(&json, IG_STR("{\"a\" : [ {\"b\": [1]} ,\"x,\", -1.5e3,\n[], null ] , \"c\":x}"),
                 &arena, &err);
    assert_true(ig_json_expect(&json, IG_JSON_OBJECT, "object") && ig_json_member(&json));
    assert_true(ig_json_expect(&json, IG_JSON_ARRAY, "list"));
    for (size_t i = 0; i < 5; i++) {
        assert_true(ig_json_element(&json) && ig_json_raw(&json, &value));
        assert_true(ig_str_is(value, values[i]));
    }
    assert_false(ig_json_element(&json));
    assert_true(ig_json_member(&json));
    assert_false(ig_json_raw(&json, &value));
    assert_true(ig_str_is(value, "null"));
    ig_arena_deinit(&arena);
}

static void test_pairs(void **state)
{
    (void)state;
    struct ig_buf buf;
    struct ig_json_out out;
    ig_buf_init(&buf, 4096);
    ig_json_out_init(&out, &buf);
    ig_json_out_object(&out);
    ig_json_out_kv_f64(&out, "x", 1.5);
    ig_json_out_kv_i64(&out, "n", INT64_MIN);
    ig_json_out_kv_bool(&out, "b", false);
    ig_json_out_key(&out, IG_STR("f"));
    ig_json_out_f32(&out, INFINITY);
    ig_json_out_object_end(&out);
    assert_string_equal(buf.ptr, "{\"x\":1.5,\"n\":-9223372036854775808,\"b\":false,\"f\":null}");
    ig_buf_deinit(&buf);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_skips_and_positions),
        cmocka_unit_test(test_pairs),
        cmocka_unit_test(test_positions),
        cmocka_unit_test(test_depth),
        cmocka_unit_test(test_typed_reads),
        cmocka_unit_test(test_element_errors),
        cmocka_unit_test(test_numbers_at_once),
        cmocka_unit_test(test_wrong_type_names_the_field),
        cmocka_unit_test(test_python_numbers),
        cmocka_unit_test(test_out_of_memory),
        cmocka_unit_test(test_writer),
        cmocka_unit_test(test_values_as_they_stand),
        cmocka_unit_test(test_writer_escapes_wherever),
        cmocka_unit_test(test_writer_stops_at_the_cap),
        cmocka_unit_test(test_numbers_out_of_range),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
