/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_FORMATS_ONNX_ONNX_TESTING_H
#define IG_FORMATS_ONNX_ONNX_TESTING_H

/* Tests only: small ONNX files, written field by field. */

#include "base/str.h"

static inline void test_onnx_number(struct ig_buf *out, uint64_t value)
{
    for (; value > 127; value >>= 7) ig_buf_add_char(out, (char)(value | 128));
    ig_buf_add_char(out, (char)value);
}

static inline void test_onnx_varint(struct ig_buf *out, uint32_t field, uint64_t value)
{
    test_onnx_number(out, (uint64_t)field << 3);
    test_onnx_number(out, value);
}

static inline void test_onnx_bytes(struct ig_buf *out, uint32_t field, struct ig_str bytes)
{
    test_onnx_number(out, (uint64_t)field << 3 | 2);
    test_onnx_number(out, bytes.len);
    ig_buf_add(out, bytes.ptr, bytes.len);
}

/* A float32 value of [open, columns]; columns 0: open too. */
static inline void test_onnx_value(struct ig_buf *out, uint32_t field, const char *name,
                                   uint64_t columns)
{
    struct ig_buf dim, shape, tensor, type, value;
    struct ig_buf *const all[] = {&dim, &shape, &tensor, &type, &value};
    for (int i = 0; i < 5; i++) ig_buf_init(all[i], 1 << 10);
    test_onnx_bytes(&dim, 2, IG_STR("N"));
    test_onnx_bytes(&shape, 1, ig_buf_view(&dim));
    ig_buf_reset(&dim);
    if (columns) test_onnx_varint(&dim, 1, columns);
    test_onnx_bytes(&shape, 1, ig_buf_view(&dim));
    test_onnx_varint(&tensor, 1, 1);
    test_onnx_bytes(&tensor, 2, ig_buf_view(&shape));
    test_onnx_bytes(&type, 1, ig_buf_view(&tensor));
    test_onnx_bytes(&value, 1, ig_str_view(name));
    test_onnx_bytes(&value, 2, ig_buf_view(&type));
    test_onnx_bytes(out, field, ig_buf_view(&value));
    for (int i = 0; i < 5; i++) ig_buf_deinit(all[i]);
}

/* x [N, 3] -> ops, by spaces between, one after the other -> y [N, 1]; `more` is further fields of
 * the graph, which come first. The caller deinits. */
static inline void test_onnx_model(struct ig_buf *out, const char *producer, const char *ops,
                                   struct ig_str more)
{
    struct ig_buf graph, node, opset;
    struct ig_str rest = ig_str_view(ops);
    char in[2] = "x", made[2] = "a";
    ig_buf_init(out, 1 << 17);
    ig_buf_init(&graph, 1 << 16);
    ig_buf_init(&node, 1 << 12);
    ig_buf_init(&opset, 64);
    if (more.len) ig_buf_add(&graph, more.ptr, more.len);
    while (rest.len) {
        struct ig_str op = ig_str_cut(&rest, ' ');
        ig_buf_reset(&node);
        test_onnx_bytes(&node, 1, ig_str_view(in));
        test_onnx_bytes(&node, 2, rest.len ? ig_str_view(made) : IG_STR("y"));
        test_onnx_bytes(&node, 4, op);
        test_onnx_bytes(&graph, 1, ig_buf_view(&node));
        in[0] = made[0]++;
    }
    test_onnx_value(&graph, 11, "x", 3);
    test_onnx_value(&graph, 12, "y", 1);
    test_onnx_varint(&opset, 2, 17);
    test_onnx_varint(out, 1, 8);
    test_onnx_bytes(out, 2, ig_str_view(producer));
    test_onnx_bytes(out, 7, ig_buf_view(&graph));
    test_onnx_bytes(out, 8, ig_buf_view(&opset));
    ig_buf_deinit(&graph);
    ig_buf_deinit(&node);
    ig_buf_deinit(&opset);
}

#endif
