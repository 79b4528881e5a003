/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/graph.h"

#include <math.h>
#include <string.h>

/* x -> Relu -> y -> Exp -> z. */
static struct ig_graph *small_graph(void)
{
    static const char *const ops[] = {"Relu", "Exp"};
    struct ig_graph *graph = ig_graph_new(1 << 20);
    assert_non_null(graph);
    struct ig_arena *arena = &graph->arena;
    graph->values = ig_arena_array(arena, 3, sizeof *graph->values);
    graph->values_count = 3;
    graph->inputs = ig_arena_array(arena, 1, sizeof *graph->inputs);
    graph->outputs = ig_arena_array(arena, 1, sizeof *graph->outputs);
    graph->inputs_count = graph->outputs_count = 1;
    graph->outputs[0] = 2;
    graph->nodes = ig_arena_array(arena, 2, sizeof *graph->nodes);
    graph->nodes_count = 2;
    for (uint32_t i = 0; i < 2; i++) {
        struct ig_graph_node *node = &graph->nodes[i];
        node->op = ig_str_view(ops[i]);
        node->inputs = ig_arena_array(arena, 1, sizeof *node->inputs);
        node->outputs = ig_arena_array(arena, 1, sizeof *node->outputs);
        node->inputs_count = node->outputs_count = 1;
        node->inputs[0] = i;
        node->outputs[0] = i + 1;
    }
    return graph;
}

static void expect(const struct ig_graph *graph, enum ig_code code, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_graph_check(graph, &err), code);
    if (code != IG_OK && !strstr(err.message, message))
        fail_msg("'%s', expected '%s'", err.message, message);
}

static void checks_order_and_sources(void **state)
{
    (void)state;
    struct ig_graph *graph = small_graph();
    expect(graph, IG_OK, "");
    graph->nodes[0].inputs[0] = 2;
    expect(graph, IG_INVALID, "no earlier node");
    graph->nodes[0].inputs[0] = 9;
    expect(graph, IG_INVALID, "no earlier node");
    graph->nodes[0].inputs[0] = IG_GRAPH_NONE;
    expect(graph, IG_OK, "");
    graph->nodes[0].outputs[0] = 0;
    expect(graph, IG_INVALID, "given twice");
    graph->nodes[0].outputs[0] = 1;
    graph->outputs[0] = 3;
    expect(graph, IG_INVALID, "output 0");
    graph->outputs_count = 0;
    expect(graph, IG_INVALID, "no output");
    ig_graph_free(graph);
}

static void checks_tensors(void **state)
{
    (void)state;
    struct ig_graph *graph = small_graph();
    float data[6] = {0};
    struct ig_tensor tensor = {IG_TENSOR_F32, 2, {2, 3}, 6, data};
    graph->nodes[1].inputs[0] = 0;
    graph->nodes_count = 1;
    graph->outputs[0] = 1;
    graph->values[2].initialiser = &tensor;
    expect(graph, IG_OK, "");
    tensor.count = 5;
    expect(graph, IG_INVALID, "wrong size or type");
    tensor.count = 6;
    tensor.type = IG_TENSOR_NONE;
    expect(graph, IG_INVALID, "wrong size or type");
    ig_graph_free(graph);
}

static void sizes_are_checked(void **state)
{
    (void)state;
    size_t count = 7;
    assert_true(ig_tensor_size(&count, NULL, 0));
    assert_int_equal(count, 1);
    assert_true(ig_tensor_size(&count, (int64_t[]){3, 0, 5}, 3));
    assert_int_equal(count, 0);
    assert_false(ig_tensor_size(&count, (int64_t[]){3, -1}, 2));
    assert_false(ig_tensor_size(&count, (int64_t[]){INT64_MAX, INT64_MAX}, 2));
    assert_false(ig_tensor_size(&count, (int64_t[]){65536, 65536}, 2));
    assert_int_equal(ig_tensor_type_bytes(IG_TENSOR_I64), 8);
    assert_int_equal(ig_tensor_type_bytes((enum ig_tensor_type)10), 0);
    assert_string_equal(ig_tensor_type_name(IG_TENSOR_BOOL), "bool");
}

static void finds_attributes(void **state)
{
    (void)state;
    const int64_t numbers[] = {4, 5};
    const struct ig_str text = IG_STR("SUM");
    struct ig_attribute attributes[] = {
        {IG_STR("axis"), IG_ATTRIBUTE_I64, 1, {.i64 = numbers}},
        {IG_STR("pads"), IG_ATTRIBUTE_I64S, 2, {.i64 = numbers}},
        {IG_STR("mode"), IG_ATTRIBUTE_STRING, 1, {.strings = &text}},
    };
    struct ig_graph_node node = {.attributes = attributes, .attributes_count = 3};
    size_t count;
    assert_int_equal(ig_graph_i64(&node, "axis", 9), 4);
    assert_int_equal(ig_graph_i64(&node, "pads", 9), 9); /* of another kind */
    assert_int_equal(ig_graph_i64s(&node, "pads", &count)[1], 5);
    assert_int_equal(count, 2);
    assert_null(ig_graph_f32s(&node, "pads", &count));
    assert_int_equal(count, 0);
    assert_true(ig_str_is(ig_graph_string(&node, "mode", ""), "SUM"));
    assert_true(ig_str_is(ig_graph_string(&node, "none", "x"), "x"));
    struct ig_graph_opset opsets[] = {{IG_STR(""), 13}, {IG_STR("ai.onnx.ml"), 3}};
    struct ig_graph graph = {.opsets = opsets, .opsets_count = 2};
    assert_int_equal(ig_graph_opset(&graph, IG_STR("ai.onnx")), 13);
    assert_int_equal(ig_graph_opset(&graph, IG_STR("ai.onnx.ml")), 3);
    assert_int_equal(ig_graph_opset(&graph, IG_STR("other")), 0);
}

static void elements_as_numbers(void **state)
{
    (void)state;
    static const struct {
        enum ig_tensor_type type;
        double in, out;
    } cases[] = {
        {IG_TENSOR_F32, 0.1, (double)0.1F}, {IG_TENSOR_F64, 0.1, 0.1},
        {IG_TENSOR_I64, -3.7, -3},          {IG_TENSOR_I64, 1e30, -0x1p63},
        {IG_TENSOR_I32, 4e9, -0x1p31},      {IG_TENSOR_I32, 12, 12},
        {IG_TENSOR_U8, 200, 200},           {IG_TENSOR_U8, 300, 0},
        {IG_TENSOR_I8, -100, -100},         {IG_TENSOR_BOOL, 7, 1},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        int64_t data[2] = {-1, -1};
        ig_tensor_put(data, cases[i].type, 1, cases[i].in);
        assert_true(ig_tensor_get(data, cases[i].type, 1) == cases[i].out);
    }
    int64_t whole = 0;
    ig_tensor_put(&whole, IG_TENSOR_I64, 0, (double)NAN);
    assert_true(whole == INT64_MIN);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_order_and_sources), cmocka_unit_test(checks_tensors),
        cmocka_unit_test(sizes_are_checked),        cmocka_unit_test(finds_attributes),
        cmocka_unit_test(elements_as_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
