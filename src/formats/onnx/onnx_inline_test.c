/* SPDX-License-Identifier: Apache-2.0 */
/* Weights in files beside the model, and where they do not fit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/proto.h"
#include "formats/onnx/onnx_inline.h"

#include <string.h>

static struct ig_err err;
static int reads;

static enum ig_code read_beside(struct ig_str *out, void *context, struct ig_str location,
                                struct ig_err *error)
{
    (void)context;
    reads++;
    if (!ig_str_is(location, "w.data")) return ig_fail(error, IG_NOT_FOUND, "no such file");
    *out = IG_STR("0123456789");
    return IG_OK;
}

static void add_entry(struct ig_buf *out, const char *key, const char *value)
{
    size_t at = ig_proto_open(out, 13);
    ig_proto_add_bytes(out, 1, ig_str_view(key));
    ig_proto_add_bytes(out, 2, ig_str_view(value));
    ig_proto_close(out, at);
}

/* Producer, a graph with a tensor inside and two outside, opset; as onnx.proto numbers them. */
static void write_model(struct ig_buf *out, const char *location, const char *offset,
                        const char *length)
{
    ig_buf_reset(out);
    ig_proto_add_bytes(out, 2, IG_STR("test"));
    size_t graph = ig_proto_open(out, 7), tensor;
    for (int i = 0; i < 3; i++) {
        tensor = ig_proto_open(out, 5);
        ig_proto_add_varint(out, 1, 4);
        ig_proto_add_bytes(out, 8, ig_str_view(i ? "outside" : "inside"));
        if (!i) ig_proto_add_bytes(out, 9, IG_STR("abcd"));
        if (i) add_entry(out, "location", location);
        if (i) add_entry(out, "offset", offset);
        if (i && length) add_entry(out, "length", length);
        if (i) ig_proto_add_varint(out, 14, 1);
        ig_proto_close(out, tensor);
    }
    ig_proto_add_bytes(out, 2, IG_STR("graph"));
    ig_proto_close(out, graph);
    ig_proto_add_varint(out, 1, 9);
}

/* The raw data of the three tensors, joined. */
static void expect_data(struct ig_str model, const char *wanted)
{
    struct ig_buf data;
    struct ig_proto top, graph, tensor;
    struct ig_proto_field field, inner, leaf;
    ig_buf_init(&data, 1 << 10);
    ig_proto_init(&top, model);
    while (ig_proto_next(&top, &field)) {
        if (field.number != 7) continue;
        ig_proto_init(&graph, field.bytes);
        while (ig_proto_next(&graph, &inner)) {
            if (inner.number != 5) continue;
            ig_proto_init(&tensor, inner.bytes);
            while (ig_proto_next(&tensor, &leaf)) {
                assert_true(leaf.number != 13 && leaf.number != 14);
                if (leaf.number == 9) ig_buf_add_str(&data, leaf.bytes);
            }
            assert_false(tensor.bad);
        }
        assert_false(graph.bad);
    }
    assert_false(top.bad);
    ig_buf_add_char(&data, '\0');
    assert_string_equal(data.ptr, wanted);
    ig_buf_deinit(&data);
}

static void test_inlined(void **state)
{
    (void)state;
    struct ig_buf model, out;
    err = IG_ERR_INIT;
    reads = 0;
    ig_buf_init(&model, 1 << 16);
    ig_buf_init(&out, 1 << 16);
    write_model(&model, "w.data", "2", "4");
    assert_int_equal(ig_onnx_inline(&out, ig_buf_view(&model), read_beside, NULL, &err), IG_OK);
    expect_data(ig_buf_view(&out), "abcd23452345");
    assert_int_equal(reads, 1);
    write_model(&model, "w.data", "8", NULL);
    assert_int_equal(ig_onnx_inline(&out, ig_buf_view(&model), read_beside, NULL, &err), IG_OK);
    expect_data(ig_buf_view(&out), "abcd8989");
    write_model(&model, "w.data", "10", NULL);
    assert_int_equal(ig_onnx_inline(&out, ig_buf_view(&model), read_beside, NULL, &err), IG_OK);
    /* Once inside, there is nothing more to do. */
    struct ig_buf again;
    ig_buf_init(&again, 1 << 16);
    assert_int_equal(ig_onnx_inline(&again, ig_buf_view(&out), read_beside, NULL, &err), IG_OK);
    assert_int_equal(again.len, 0);
    ig_buf_deinit(&again);
    ig_buf_deinit(&model);
    ig_buf_deinit(&out);
}

static void refuse(const char *location, const char *offset, const char *length, const char *text)
{
    struct ig_buf model, out;
    err = IG_ERR_INIT;
    ig_buf_init(&model, 1 << 16);
    ig_buf_init(&out, 1 << 16);
    write_model(&model, location, offset, length);
    assert_int_not_equal(ig_onnx_inline(&out, ig_buf_view(&model), read_beside, NULL, &err), IG_OK);
    if (!strstr(err.message, text)) fail_msg("%s", err.message);
    assert_int_equal(out.len, 0);
    ig_buf_deinit(&model);
    ig_buf_deinit(&out);
}

static void test_refused(void **state)
{
    (void)state;
    struct ig_buf model, small;
    refuse("../w.data", "0", "4", "tensor 'outside': no such file");
    refuse("w.data", "11", NULL, "tensor 'outside': its data at 11 is beyond the file's 10 bytes");
    refuse("w.data", "8", "3", "its data at 8 is beyond");
    refuse("w.data", "1", "18446744073709551615", "beyond");
    err = IG_ERR_INIT;
    ig_buf_init(&model, 1 << 16);
    ig_buf_init(&small, 40);
    write_model(&model, "w.data", "0", NULL);
    assert_int_equal(ig_onnx_inline(&small, ig_buf_view(&model), read_beside, NULL, &err),
                     IG_TOO_LARGE);
    /* Bytes that are no model are left to the reader of models. */
    err = IG_ERR_INIT;
    assert_int_equal(
        ig_onnx_inline(&small, IG_STR("\x3a\xff\xff\xff\xff"), read_beside, NULL, &err), IG_OK);
    assert_int_equal(small.len, 0);
    ig_buf_deinit(&model);
    ig_buf_deinit(&small);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_inlined),
                                       cmocka_unit_test(test_refused)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
