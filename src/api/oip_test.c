/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/oip_proto.h"
#include "base/file.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static struct ig_str colours[] = {{"blue", 4}, {"red", 3}};
static struct ig_feature features[] = {
    {.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
    {.name = {"n", 1}, .type = IG_FEATURE_INTEGER},
    {.name = {"colour", 6},
     .type = IG_FEATURE_CATEGORICAL,
     .categories = colours,
     .categories_count = 2},
};
static struct ig_feature numbers[] = {{.name = {"age", 3}, .type = IG_FEATURE_NUMERIC},
                                      {.name = {"n", 1}, .type = IG_FEATURE_INTEGER}};
static struct ig_schema plain = {.features = numbers, .features_count = 2};
static struct ig_schema mixed = {.features = features, .features_count = 3};

struct fixture {
    struct ig_arena arena;
    struct ig_err err;
    struct ig_oip_request request;
    struct ig_oip_rows rows;
};

static int setup(void **state)
{
    static struct fixture fixture;
    struct ig_err err = IG_ERR_INIT;
    ig_schema_index(&plain, &err);
    ig_schema_index(&mixed, &err);
    ig_arena_init(&fixture.arena, 4096, 64 << 20);
    *state = &fixture;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *fixture = *state;
    ig_arena_deinit(&fixture->arena);
    ig_schema_deinit(&plain);
    ig_schema_deinit(&mixed);
    return 0;
}

static enum ig_code read(struct fixture *fixture, const struct ig_schema *schema,
                         struct ig_str body, int64_t json_bytes)
{
    fixture->err = IG_ERR_INIT;
    if (ig_oip_request_read(&fixture->request, body, json_bytes, &fixture->arena, &fixture->err) !=
        IG_OK)
        return fixture->err.code;
    return ig_oip_rows(&fixture->rows, &fixture->request, schema, 4, &fixture->arena,
                       &fixture->err);
}

static enum ig_code read_json(struct fixture *fixture, const struct ig_schema *schema,
                              const char *json)
{
    return read(fixture, schema, ig_str_view(json), IG_OIP_ALL_JSON);
}

static void test_matrix(void **state)
{
    struct fixture *fixture = *state;
    static const char *const BODIES[] = {
        "{\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP32\",\"data\":[1,2,3,4]}]}",
        "{\"inputs\":[{\"data\":[[1,2],[3,4]],\"name\":\"x\",\"shape\":[2,2],\"datatype\":"
        "\"INT64\"}]}",
        "{\"outputs\":[{\"name\":\"margins\",\"parameters\":{\"binary_data\":true}}],\"id\":\"7\","
        "\"inputs\":[{\"name\":\"x\",\"shape\":[2,2],\"datatype\":\"FP64\",\"data\":[[[1],2],3,[4]]"
        "}]}"};
    for (int i = 0; i < 3; i++) {
        assert_int_equal(read_json(fixture, &plain, BODIES[i]), IG_OK);
        assert_int_equal(fixture->rows.rows_count, 2);
        for (int v = 0; v < 4; v++) assert_true(fixture->rows.rows[v] == v + 1);
    }
    assert_true(ig_str_is(fixture->request.id, "7"));
    assert_true(fixture->request.outputs[0].binary);
    assert_int_equal(read_json(fixture, &plain,
                               "{\"inputs\":[{\"name\":\"x\",\"shape\":[2],\"datatype\":\"FP64\","
                               "\"data\":[null,2]}]}"),
                     IG_OK);
    assert_int_equal(fixture->rows.rows_count, 1);
    assert_true(isnan(fixture->rows.rows[0]));
}

static void test_columns(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(
        read_json(
            fixture, &mixed,
            "{\"inputs\":[{\"name\":\"colour\",\"shape\":[2,1],\"datatype\":\"BYTES\",\"data\":["
            "\"red\",\"green\"]},{\"name\":\"age\",\"shape\":[2],\"datatype\":\"INT8\",\"data\":["
            "-3,4]}]}"),
        IG_OK);
    const double *rows = fixture->rows.rows;
    assert_int_equal(fixture->rows.rows_count, 2);
    assert_true(rows[0] == -3 && isnan(rows[1]) && rows[2] == 1);
    assert_true(rows[3] == 4 && isnan(rows[4]) && rows[5] == -1);
    assert_int_equal(
        read_json(fixture, &mixed,
                  "{\"inputs\":[{\"name\":\"all\",\"shape\":[1,3],\"datatype\":\"BYTES\","
                  "\"data\":[\"1.5\",\"\",\"blue\"]}]}"),
        IG_OK);
    rows = fixture->rows.rows;
    assert_true(rows[0] == 1.5 && isnan(rows[1]) && rows[2] == 0);
}

/* Header and tensors as the binary extension lays them out. */
static size_t write_binary(char *out, size_t size, const char *type, const char *shape,
                           const void *bytes, size_t bytes_count)
{
    int head =
        snprintf(out, size,
                 "{\"inputs\":[{\"name\":\"x\",\"shape\":%s,\"datatype\":\"%s\",\"parameters\":"
                 "{\"binary_data_size\":%zu}}],\"parameters\":{\"binary_data_output\":true}}",
                 shape, type, bytes_count);
    memcpy(out + head, bytes, bytes_count);
    return (size_t)head;
}

static void test_binary(void **state)
{
    struct fixture *fixture = *state;
    char body[512];
    const float singles[] = {1.5f, -2};
    const uint16_t halves[] = {0x3e00, 0xc000}, brains[] = {0x3fc0, 0xc000};
    const int32_t integers[] = {3, -4};
    const unsigned char flags[] = {1, 0};
    static const char texts[] = "\x03\0\0\0"
                                "1.5"
                                "\x02\0\0\0"
                                "-2";
    const struct {
        const char *type;
        const void *bytes;
        size_t size;
        double first, second;
    } CASES[] = {{"FP32", singles, 8, 1.5, -2}, {"FP16", halves, 4, 1.5, -2},
                 {"BF16", brains, 4, 1.5, -2},  {"INT32", integers, 8, 3, -4},
                 {"BOOL", flags, 2, 1, 0},      {"BYTES", texts, 13, 1.5, -2}};
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        size_t head =
            write_binary(body, sizeof body, CASES[i].type, "[1,2]", CASES[i].bytes, CASES[i].size);
        struct ig_str all = {body, head + CASES[i].size};
        assert_int_equal(read(fixture, &plain, all, (int64_t)head), IG_OK);
        assert_true(fixture->rows.rows[0] == CASES[i].first);
        assert_true(fixture->rows.rows[1] == CASES[i].second);
        assert_true(fixture->request.binary);
        all.len++; /* a byte too many, one too few */
        assert_int_equal(read(fixture, &plain, all, (int64_t)head), IG_INVALID);
        all.len -= 2;
        assert_int_equal(read(fixture, &plain, all, (int64_t)head), IG_INVALID);
    }
    const double bare[] = {1.5, -2};
    assert_int_equal(read(fixture, &plain, (struct ig_str){(const char *)bare, 16}, 0), IG_OK);
    assert_true(fixture->rows.rows[1] == -2 && fixture->request.binary);
}

#define INPUT(rest) "{\"inputs\":[{\"name\":\"x\"," rest "}]}"

/* 0.1 in JSON is the float that the binary form has. */
static void test_rounding(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_json(fixture, &plain,
                               INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[0.1,1e-60]")),
                     IG_OK);
    assert_true(fixture->rows.rows[0] == (double)0.1F && fixture->rows.rows[1] == 0);
    assert_int_equal(read_json(fixture, &plain,
                               INPUT("\"datatype\":\"FP64\",\"shape\":[1,2],\"data\":[0.1,1e300]")),
                     IG_OK);
    assert_true(fixture->rows.rows[0] == 0.1 && fixture->rows.rows[1] == 1e300);
}

static void test_refuses_values(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *body, *message;
    } CASES[] = {
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,1e39]"),
         "element 1: 1e39 is no FP32"},
        {INPUT("\"datatype\":\"INT8\",\"shape\":[1,2],\"data\":[-128,128]"),
         "element 1: 128 is no INT8"},
        {INPUT("\"datatype\":\"UINT64\",\"shape\":[1,2],\"data\":[1.5,2]"),
         "element 0: 1.5 is no UINT64"},
        {INPUT("\"datatype\":\"UINT8\",\"shape\":[1,2],\"data\":[255,-1]"),
         "element 1: -1 is no UINT8"},
        {INPUT("\"datatype\":\"BOOL\",\"shape\":[1,2],\"data\":[1,2]"), "element 1: 2 is no BOOL"},
        {INPUT("\"datatype\":\"FP16\",\"shape\":[1,2],\"data\":[1,2]"),
         "element 0: 1 is no FP16 in JSON: send it as binary data"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (read_json(fixture, &plain, CASES[i].body) != IG_INVALID ||
            !strstr(fixture->err.message, CASES[i].message))
            fail_msg("%s: %s", CASES[i].body, fixture->err.message);
}

static void test_refuses(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *body, *message;
        enum ig_code code;
    } CASES[] = {
        {"{}", "inputs: missing", IG_INVALID},
        {"{\"inputs\":[]}", "inputs: missing", IG_INVALID},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}],"
         "\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
         "inputs: given twice", IG_INVALID},
        {"{\"inputs\":[{\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
         "inputs[0]: name: missing", IG_INVALID},
        {INPUT("\"shape\":[1,2],\"data\":[1,2]"), "inputs[0]: datatype: missing", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"data\":[1,2]"), "inputs[0]: shape: missing", IG_INVALID},
        {INPUT("\"datatype\":\"FP33\",\"shape\":[1,2],\"data\":[1,2]"),
         "inputs[0]: datatype: unknown 'FP33'", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2]"), "inputs[0]: input 'x': it has no data",
         IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1]"),
         "1 elements, its shape holds 2", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1000,2],\"data\":[1,2]"),
         "too short for the 2000 elements of its shape", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,2,3]"),
         "more than the 2 elements of its shape", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,\"a\"]"),
         "element 1 is a string, expected FP32", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,3],\"data\":[1,2,3]"),
         "expected the shape [rows, 2]", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[-1,2],\"data\":[]"), "shape: -1", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[99999999,99999999],\"data\":[]"),
         "shape: 99999999", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[0,2],\"data\":[]"), "at least one row",
         IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[5,2],\"data\":[1,2,3,4,5,6,7,8,9,0]"),
         "5 rows, at most 4", IG_TOO_LARGE},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"parameters\":{\"binary_data_size\":8}"),
         "binary_data_size 8, 0 bytes are left", IG_INVALID},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,2]") " x", "", IG_PARSE},
        {"{\"inputs\":[{\"name\":\"age\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]},{"
         "\"name\":"
         "\"size\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]}]}",
         "input 'size': the model has no such feature", IG_INVALID},
        {"{\"inputs\":[{\"name\":\"age\",\"shape\":[1],\"datatype\":\"FP32\",\"data\":[1]},{"
         "\"name\":"
         "\"n\",\"shape\":[2],\"datatype\":\"FP32\",\"data\":[1,2]}]}",
         "input 'n': expected the shape [1] or [1, 1]", IG_INVALID},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        enum ig_code code = read_json(fixture, &plain, CASES[i].body);
        if (code != CASES[i].code || !strstr(fixture->err.message, CASES[i].message))
            fail_msg("%s: code %d %s", CASES[i].body, code, fixture->err.message);
    }
    assert_int_equal(read_json(fixture, &mixed,
                               "{\"inputs\":[{\"name\":\"x\",\"shape\":[1,3],\"datatype\":\"FP32\","
                               "\"data\":[1,2,3]}]}"),
                     IG_INVALID);
    assert_non_null(strstr(fixture->err.message, "feature 'colour' is categorical"));
    assert_int_equal(read(fixture, &plain, IG_STR("{}"), 3), IG_INVALID);
}

static struct ig_str read_file(struct fixture *fixture, const char *path)
{
    struct ig_buf bytes;
    fixture->err = IG_ERR_INIT;
    ig_buf_init(&bytes, 1 << 20);
    assert_int_equal(ig_file_read(&bytes, IG_FILE_CWD, path, &fixture->err), IG_OK);
    struct ig_str all = ig_arena_dup(&fixture->arena, ig_buf_view(&bytes));
    ig_buf_deinit(&bytes);
    return all;
}

/* A body as Triton's own Python client writes it; two bytes before it say how much is JSON. */
static enum ig_code read_body(struct fixture *fixture, const char *path)
{
    struct ig_str all = read_file(fixture, path);
    uint16_t json_bytes;
    memcpy(&json_bytes, all.ptr, 2);
    return ig_oip_request_read(&fixture->request, (struct ig_str){all.ptr + 2, all.len - 2},
                               json_bytes == 0xffff ? IG_OIP_ALL_JSON : json_bytes, &fixture->arena,
                               &fixture->err);
}

static const char *path_of(const char *name)
{
    static char path[64];
    snprintf(path, sizeof path, "tests/corpus/oip_proto/%s", name);
    return path;
}

/* Messages as Triton's own Python client serialises them. */
static enum ig_code read_message(struct fixture *fixture, const char *name,
                                 struct ig_oip_names *names)
{
    struct ig_str message = read_file(fixture, path_of(name));
    if (ig_oip_proto_infer(&fixture->request, names, message, &fixture->arena, &fixture->err) !=
        IG_OK)
        return fixture->err.code;
    return ig_oip_rows(&fixture->rows, &fixture->request, &plain, 4, &fixture->arena,
                       &fixture->err);
}

/* Where tensors lie is read; their elements are another's to fetch. */
static void check_memory(const struct ig_oip_request *request)
{
    const struct ig_oip_tensor *input = &request->inputs[0];
    const struct ig_oip_output *output = &request->outputs[0];
    assert_true(ig_str_is(input->memory.region, "in") && !input->numbers);
    assert_int_equal(input->memory.offset, 16);
    assert_int_equal(ig_oip_memory_bytes(request), 8);
    assert_true(ig_str_is(output->name, "margins") && ig_str_is(output->memory.region, "out"));
    assert_int_equal(output->memory.offset, 8);
    assert_int_equal(output->memory.size_bytes, 64);
}

static void test_memory(void **state)
{
    struct fixture *fixture = *state;
    struct ig_oip_names names;
    assert_int_equal(read_body(fixture, "tests/corpus/oip/shared_memory"), IG_OK);
    check_memory(&fixture->request);
    struct ig_str message = read_file(fixture, "tests/corpus/oip_proto/shared_memory");
    assert_int_equal(
        ig_oip_proto_infer(&fixture->request, &names, message, &fixture->arena, &fixture->err),
        IG_OK);
    check_memory(&fixture->request);
}

/* What KServe's and MLServer's own clients send, as JSON, with raw bytes, and over gRPC in both
 * forms (tests/golden/make_oip_requests.py): one tensor of all features, and one each. */
static void test_other_clients(void **state)
{
    struct fixture *fixture = *state;
    static const char *const BODIES[] = {"kserve", "kserve_binary", "mlserver_numpy",
                                         "mlserver_pandas"};
    static const char *const MESSAGES[] = {"kserve",          "kserve_binary",
                                           "mlserver_numpy",  "mlserver_numpy_raw",
                                           "mlserver_pandas", "mlserver_pandas_raw"};
    static const double ROWS[] = {1.5, -2, 2, 6};
    struct ig_oip_names names;
    char path[64];
    for (int i = 0; i < 10; i++) {
        const char *name = i < 4 ? BODIES[i] : MESSAGES[i - 4];
        snprintf(path, sizeof path, "tests/corpus/oip/%s", name);
        enum ig_code code = i < 4 ? read_body(fixture, path) : read_message(fixture, name, &names);
        if (i < 4 && code == IG_OK)
            code = ig_oip_rows(&fixture->rows, &fixture->request, &plain, 4, &fixture->arena,
                               &fixture->err);
        if (code != IG_OK) fail_msg("%s: %s", name, fixture->err.message);
        assert_int_equal(fixture->rows.rows_count, 2);
        assert_memory_equal(fixture->rows.rows, ROWS, sizeof ROWS);
        assert_true(i < 4 || (ig_str_is(names.model, "m") && ig_str_is(names.version, "3")));
    }
}

static void test_classification(void **state)
{
    struct fixture *fixture = *state;
    struct ig_oip_names names;
    for (int i = 0; i < 2; i++) {
        if (i)
            assert_int_equal(read_message(fixture, "classification", &names), IG_OK);
        else
            assert_int_equal(read_body(fixture, "tests/corpus/oip/classification"), IG_OK);
        assert_true(ig_str_is(fixture->request.outputs[0].name, "predictions"));
        assert_int_equal(fixture->request.outputs[0].classes, 3);
        assert_int_equal(fixture->request.outputs[1].classes, 0);
    }
}

static void test_refuses_memory(void **state)
{
    struct fixture *fixture = *state;
    static const struct {
        const char *body, *message;
    } CASES[] = {
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"data\":[1,2],\"parameters\":{"
               "\"shared_memory_region\":\"r\"}"),
         "give one of data, binary_data_size and shared_memory_region"},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"parameters\":{\"shared_memory_region\":"
               "1}"),
         "shared_memory_region"},
        {INPUT("\"datatype\":\"FP32\",\"shape\":[1,2],\"parameters\":{\"shared_memory_region\":"
               "\"r\",\"shared_memory_offset\":-1}"),
         "shared_memory_offset"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}],"
         "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"binary_data\":true,"
         "\"shared_memory_region\":\"r\"}}]}",
         "output 'y': give one of binary_data and shared_memory_region"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}],"
         "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":2,"
         "\"shared_memory_region\":\"r\"}}]}",
         "output 'y': give one of classification and shared_memory_region"},
        {"{\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],\"datatype\":\"FP32\",\"data\":[1,2]}],"
         "\"outputs\":[{\"name\":\"y\",\"parameters\":{\"classification\":2147483648}}]}",
         "classification: 2147483648, expected a number of classes"},
    };
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++)
        if (read_json(fixture, &plain, CASES[i].body) != IG_INVALID ||
            !strstr(fixture->err.message, CASES[i].message))
            fail_msg("%s: %s", CASES[i].body, fixture->err.message);
}

/* Tensors beside the one in memory keep their order among the raw contents. */
static void test_memory_among_raw(void **state)
{
    struct fixture *fixture = *state;
    struct ig_buf out;
    struct ig_oip_names names;
    struct ig_region region;
    ig_buf_init(&out, 4096);
    for (int i = 0; i < 3; i++) {
        size_t input = ig_proto_open(&out, 5);
        ig_proto_add_bytes(&out, 1, IG_STR("x"));
        ig_proto_add_bytes(&out, 2, IG_STR("UINT8"));
        ig_proto_add_varint(&out, 3, 1);
        size_t entry = i == 1 ? ig_proto_open(&out, 4) : 0;
        if (entry) ig_proto_add_bytes(&out, 1, IG_STR("shared_memory_region"));
        size_t value = entry ? ig_proto_open(&out, 2) : 0;
        if (value) ig_proto_add_bytes(&out, 3, IG_STR("r"));
        if (value) ig_proto_close(&out, value);
        if (entry) ig_proto_close(&out, entry);
        ig_proto_close(&out, input);
    }
    ig_proto_add_bytes(&out, 7, IG_STR("\x05"));
    ig_proto_add_bytes(&out, 7, IG_STR("\x07"));
    fixture->err = IG_ERR_INIT;
    assert_int_equal(ig_oip_proto_infer(&fixture->request, &names, ig_buf_view(&out),
                                        &fixture->arena, &fixture->err),
                     IG_OK);
    assert_true(fixture->request.inputs[0].numbers[0] == 5 && !fixture->request.inputs[1].numbers &&
                fixture->request.inputs[2].numbers[0] == 7);
    ig_proto_add_bytes(&out, 7, IG_STR("\x07"));
    assert_int_equal(ig_oip_proto_infer(&fixture->request, &names, ig_buf_view(&out),
                                        &fixture->arena, &fixture->err),
                     IG_INVALID);
    assert_non_null(strstr(fixture->err.message, "there are 2 inputs outside shared memory"));
    ig_buf_reset(&out);
    ig_proto_add_bytes(&out, 1, IG_STR("in"));
    ig_proto_add_bytes(&out, 2, IG_STR("/k"));
    ig_proto_add_varint(&out, 3, 4);
    ig_proto_add_varint(&out, 4, 8);
    fixture->err = IG_ERR_INIT;
    assert_int_equal(ig_oip_proto_region(&region, ig_buf_view(&out), &fixture->err), IG_OK);
    assert_true(ig_str_is(region.name, "in") && ig_str_is(region.key, "/k") && region.offset == 4 &&
                region.size_bytes == 8);
    out.len--;
    assert_int_equal(ig_oip_proto_region(&region, ig_buf_view(&out), &fixture->err), IG_PARSE);
    ig_buf_deinit(&out);
}

static void test_protobuf(void **state)
{
    struct fixture *fixture = *state;
    static const char *const FILES[] = {"typed_fp32", "raw_fp64", "typed_bytes", "typed_int32"};
    struct ig_oip_names names;
    for (int i = 0; i < 4; i++) {
        if (read_message(fixture, FILES[i], &names) != IG_OK)
            fail_msg("%s: %s", FILES[i], fixture->err.message);
        assert_true(ig_str_is(names.model, "m") && ig_str_is(names.version, "3"));
        assert_true(ig_str_is(ig_oip_proto_model(read_file(fixture, path_of(FILES[i]))), "m"));
        assert_true(ig_str_is(fixture->request.id, "7"));
        assert_true(fixture->request.explain);
        assert_true(ig_str_is(fixture->request.unit_id, "42"));
        assert_true(ig_str_is(fixture->request.outputs[0].name, "margins"));
        assert_int_equal(fixture->rows.rows_count, 1);
        assert_true(fixture->rows.rows[0] == (i == 3 ? 3 : 1.5));
        assert_true(fixture->rows.rows[1] == (i == 3 ? -4 : -2));
    }
    assert_int_equal(read_message(fixture, "columns", &names), IG_OK);
    assert_int_equal(fixture->rows.rows_count, 2);
    assert_true(fixture->rows.rows[2] == 2 && fixture->rows.rows[3] == 6);
}

/* One input "input" of the shape [1, 2], its contents two varints in the given field. */
static enum ig_code read_typed(struct fixture *fixture, const char *type, uint32_t field,
                               uint64_t first, uint64_t second)
{
    struct ig_buf out;
    struct ig_oip_names names;
    ig_buf_init(&out, 4096);
    size_t input = ig_proto_open(&out, 5);
    ig_proto_add_bytes(&out, 1, IG_STR("input"));
    ig_proto_add_bytes(&out, 2, ig_str_view(type));
    ig_proto_add_varint(&out, 3, 1);
    ig_proto_add_varint(&out, 3, 2);
    size_t contents = ig_proto_open(&out, 5);
    ig_proto_add_varint(&out, field, first);
    ig_proto_add_varint(&out, field, second);
    ig_proto_close(&out, contents);
    ig_proto_close(&out, input);
    fixture->err = IG_ERR_INIT;
    enum ig_code code = ig_oip_proto_infer(&fixture->request, &names, ig_buf_view(&out),
                                           &fixture->arena, &fixture->err);
    ig_buf_deinit(&out);
    return code;
}

static void test_typed_numbers_fit(void **state)
{
    struct fixture *fixture = *state;
    assert_int_equal(read_typed(fixture, "INT8", 2, (uint64_t)-128, 127), IG_OK);
    assert_true(fixture->request.inputs[0].numbers[0] == -128);
    assert_int_equal(read_typed(fixture, "INT8", 2, 0, 128), IG_INVALID);
    assert_non_null(strstr(fixture->err.message, "are not 2 elements of INT8"));
    assert_int_equal(read_typed(fixture, "UINT8", 4, 0, 256), IG_INVALID);
    assert_int_equal(read_typed(fixture, "BOOL", 1, 0, 2), IG_OK);
    assert_true(fixture->request.inputs[0].numbers[1] == 1);
    assert_int_equal(read_typed(fixture, "FP16", 6, 0, 0), IG_INVALID);
}

/* Every cut of a message, and every byte of it changed, is read or refused. */
static void test_damaged_protobuf(void **state)
{
    struct fixture *fixture = *state;
    struct ig_buf bytes;
    struct ig_oip_names names;
    struct ig_err err = IG_ERR_INIT;
    int refused = 0;
    ig_buf_init(&bytes, 1 << 20);
    assert_int_equal(ig_file_read(&bytes, IG_FILE_CWD, "tests/corpus/oip_proto/typed_fp32", &err),
                     IG_OK);
    for (size_t cut = 0; cut < bytes.len; cut++) {
        struct ig_str part = {bytes.ptr, cut};
        err = IG_ERR_INIT;
        refused +=
            ig_oip_proto_infer(&fixture->request, &names, part, &fixture->arena, &err) != IG_OK;
        bytes.ptr[cut] ^= 0x55;
        err = IG_ERR_INIT;
        ig_oip_proto_infer(&fixture->request, &names, ig_buf_view(&bytes), &fixture->arena, &err);
        bytes.ptr[cut] ^= 0x55;
    }
    assert_true(refused > (int)bytes.len / 2);
    ig_buf_deinit(&bytes);
}

static void test_features_that_must_be_named(void **state)
{
    struct fixture *fixture = *state;
    static const char AGE[] = "{\"inputs\":[{\"name\":\"age\",\"shape\":[1],\"datatype\":\"FP64\","
                              "\"data\":[null]}]}";
    assert_int_equal(read_json(fixture, &plain, AGE), IG_OK);
    numbers[1].named = plain.has_named = true;
    assert_int_equal(read_json(fixture, &plain, AGE), IG_INVALID);
    assert_string_equal(fixture->err.message,
                        "input 'n': is not given, and the model's signature requires it");
    numbers[1].named = false, numbers[0].named = true;
    assert_int_equal(read_json(fixture, &plain, AGE), IG_OK);
    numbers[0].named = plain.has_named = false;
}

static enum ig_code read_parameter(struct fixture *fixture, const char *key)
{
    struct ig_oip_names names;
    struct ig_buf out;
    ig_buf_init(&out, 1 << 10);
    size_t entry = ig_proto_open(&out, 4);
    ig_proto_add_bytes(&out, 1, ig_str_view(key));
    size_t value = ig_proto_open(&out, 2);
    ig_proto_add_varint(&out, 1, 1);
    ig_proto_close(&out, value);
    ig_proto_close(&out, entry);
    ig_proto_add_bytes(&out, 5, IG_STR(""));
    fixture->err = IG_ERR_INIT;
    enum ig_code code = ig_oip_proto_infer(&fixture->request, &names, ig_buf_view(&out),
                                           &fixture->arena, &fixture->err);
    ig_buf_deinit(&out);
    return code;
}

static void test_reserved_parameters(void **state)
{
    struct fixture *fixture = *state;
    static const char GOOD[] = "{\"parameters\":{\"triton_enable_empty_final_response\":true,"
                               "\"own\":1},\"inputs\":[{\"name\":\"x\",\"shape\":[1,2],"
                               "\"datatype\":\"FP32\",\"data\":[1,2]}]}";
    assert_int_equal(read_json(fixture, &plain, GOOD), IG_OK);
    assert_int_equal(read_json(fixture, &plain, "{\"parameters\":{\"triton_x\":1}}"), IG_INVALID);
    assert_string_equal(fixture->err.message, "parameters: 'triton_x': names that begin with "
                                              "'triton_' are reserved");
    assert_int_equal(read_parameter(fixture, "triton_x"), IG_INVALID);
    assert_non_null(strstr(fixture->err.message, "'triton_x'"));
    read_parameter(fixture, "triton_enable_empty_final_response");
    assert_null(strstr(fixture->err.message, "reserved"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_reserved_parameters, setup, teardown),
        cmocka_unit_test_setup_teardown(test_matrix, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_values, setup, teardown),
        cmocka_unit_test_setup_teardown(test_typed_numbers_fit, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rounding, setup, teardown),
        cmocka_unit_test_setup_teardown(test_columns, setup, teardown),
        cmocka_unit_test_setup_teardown(test_features_that_must_be_named, setup, teardown),
        cmocka_unit_test_setup_teardown(test_binary, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_memory_among_raw, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refuses_memory, setup, teardown),
        cmocka_unit_test_setup_teardown(test_classification, setup, teardown),
        cmocka_unit_test_setup_teardown(test_other_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(test_protobuf, setup, teardown),
        cmocka_unit_test_setup_teardown(test_damaged_protobuf, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
