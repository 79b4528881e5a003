/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/scoring.h"

#include <string.h>

static enum ig_code turn(struct ig_buf *out, const char *body, struct ig_err *err)
{
    struct ig_arena arena;
    *err = IG_ERR_INIT;
    ig_arena_init(&arena, 4096, 1 << 20);
    ig_buf_reset(out);
    ig_scoring_instances(out, ig_str_view(body), &arena, err);
    ig_buf_add_char(out, 0);
    ig_arena_deinit(&arena);
    return err->code;
}

static void test_shapes(void **state)
{
    (void)state;
    static const char *const CASES[][2] = {
        {"{\"dataframe_split\":{\"index\":[0,1],\"columns\":[\"a\",\"b c\"],\"data\":[[1,\"x\"], "
         "[null,"
         " \"y\"]]}}",
         "{\"instances\":[{\"a\":1,\"b c\":\"x\"},{\"a\":null,\"b c\":\"y\"}]}"},
        {"{\"dataframe_split\":{\"data\":[[1]],\"columns\":[\"q\\\"\"]},\"params\":{\"x\":1}}",
         "{\"instances\":[{\"q\\\"\":1}]}"},
        {"{\"client_request_id\":\"7\",\"dataframe_records\":[{\"a\":1,\"b\":[2]},{\"a\":3}]}",
         "{\"instances\":[{\"a\":1,\"b\":[2]},{\"a\":3}]}"},
        {"{\"instances\":[[1,2], [3, 4]]}", "{\"instances\":[[1,2],[3, 4]]}"},
        {"{\"inputs\":{\"a\":[1,2],\"b\":[\"x\",\"y\"]}}",
         "{\"instances\":[{\"a\":1,\"b\":\"x\"},{\"a\":2,\"b\":\"y\"}]}"},
        {"{\"inputs\":[[1.5,NaN]]}", "{\"instances\":[[1.5,NaN]]}"},
        {"{\"inputs\":{\"a\":[]}}", "{\"instances\":[]}"},
    };
    struct ig_buf out;
    struct ig_err err;
    ig_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        if (turn(&out, CASES[i][0], &err) != IG_OK) fail_msg("%s: %s", CASES[i][0], err.message);
        assert_string_equal(out.ptr, CASES[i][1]);
    }
    ig_buf_deinit(&out);
}

static void test_refuses(void **state)
{
    (void)state;
    static const struct {
        enum ig_code code;
        const char *body, *message;
    } CASES[] = {
        {IG_PARSE, "", ""},
        {IG_PARSE, "{}",
         "one of dataframe_split, dataframe_records, instances, inputs is expected"},
        {IG_PARSE, "[]", "body: expected an object, found an array"},
        {IG_PARSE, "{\"instances\":[],\"inputs\":[]}", "give exactly one of"},
        {IG_PARSE, "{\"rows\":[],\"params\":{}}", "rows: unknown member"},
        {IG_PARSE, "{\"dataframe_split\":[1]}", "dataframe_split: expected an object"},
        {IG_INVALID, "{\"dataframe_split\":{\"data\":[]}}", "dataframe_split.columns: missing"},
        {IG_PARSE, "{\"dataframe_split\":{\"columns\":[\"a\"]}}", "dataframe_split.data: missing"},
        {IG_PARSE, "{\"dataframe_split\":{\"columns\":[1],\"data\":[]}}", "expected a string"},
        {IG_PARSE, "{\"dataframe_split\":{\"columns\":[\"a\"],\"data\":5}}", "expected an array"},
        {IG_PARSE, "{\"dataframe_split\":{\"columns\":[\"a\"],\"data\":[],\"rows\":1}}",
         "dataframe_split.rows: unknown member"},
        {IG_PARSE, "{\"dataframe_split\":{\"columns\":[\"a\"],\"data\":[[1,2]]}}",
         "more values than columns"},
        {IG_PARSE, "{\"dataframe_split\":{\"columns\":[\"a\",\"b\"],\"data\":[[1]]}}",
         "fewer values than columns"},
        {IG_PARSE, "{\"dataframe_records\":{}}", "dataframe_records: expected an array"},
        {IG_INVALID, "{\"instances\":5}", "instances: expected an array"},
        {IG_INVALID, "{\"inputs\":{\"a\":[1],\"b\":[]}}", "different lengths"},
        {IG_INVALID, "{\"inputs\":7}", "inputs: expected an object or an array"},
        {IG_PARSE, "{\"instances\":[1,]}", ""},
        {IG_PARSE, "{\"instances\":[1]} x", ""},
    };
    struct ig_buf out;
    struct ig_err err;
    ig_buf_init(&out, 1 << 20);
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        enum ig_code code = turn(&out, CASES[i].body, &err);
        if (code != CASES[i].code || !strstr(err.message, CASES[i].message))
            fail_msg("%s: %d %s", CASES[i].body, code, err.message);
    }
    ig_buf_deinit(&out);
}

static void test_tells_tensors(void **state)
{
    (void)state;
    struct ig_arena arena;
    ig_arena_init(&arena, 4096, 1 << 20);
    assert_true(ig_scoring_is_oip(
        IG_STR("{\"id\":\"1\",\"inputs\":[{\"name\":\"x\",\"datatype\":\"FP32\"}]}"), &arena));
    assert_false(ig_scoring_is_oip(IG_STR("{\"inputs\":[{\"name\":\"x\"}]}"), &arena));
    assert_false(ig_scoring_is_oip(IG_STR("{\"inputs\":[[1]]}"), &arena));
    assert_false(ig_scoring_is_oip(IG_STR("{\"instances\":[]}"), &arena));
    ig_arena_deinit(&arena);
}

static void test_media_type(void **state)
{
    (void)state;
    static const struct {
        const char *type, *message;
        int64_t bytes;
    } CASES[] = {
        {IG_SCORING_BINARY "17", NULL, 17},
        {"Application/VND.sagemaker-triton.binary+json; json-header-size=0", NULL, 0},
        {"application/vnd.sagemaker-triton.binary+json;a=b; JSON-Header-Size=9", NULL, 9},
        {IG_SCORING_BINARY "-1", "'-1' is no length", 0},
        {IG_SCORING_BINARY "1x", "'1x' is no length", 0},
        {IG_SCORING_BINARY "99999999999999999999", "is no length", 0},
        {IG_SCORING_BINARY, "'' is no length", 0},
        {"application/vnd.sagemaker-triton.binary+json;json-header-size", "'' is no length", 0},
        {"application/vnd.sagemaker-triton.binary+json", "is missing", 0}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_str type = ig_str_view(CASES[i].type);
        int64_t bytes = 0;
        assert_true(ig_scoring_is_binary(type));
        enum ig_code code = ig_scoring_json_bytes(&bytes, type, &err);
        if (CASES[i].message) {
            assert_int_equal(code, IG_INVALID);
            assert_non_null(strstr(err.message, CASES[i].message));
        } else {
            assert_int_equal(code, IG_OK);
            assert_int_equal(bytes, CASES[i].bytes);
        }
    }
    assert_false(ig_scoring_is_binary(IG_STR("application/json")));
    assert_false(ig_scoring_is_binary((struct ig_str){NULL, 0}));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_shapes),
        cmocka_unit_test(test_refuses),
        cmocka_unit_test(test_tells_tensors),
        cmocka_unit_test(test_media_type),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
