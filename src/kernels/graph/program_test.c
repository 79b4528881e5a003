/* SPDX-License-Identifier: Apache-2.0 */
/* Planning, memory and refusals of graph programs. The operators' answers are checked against the
 * field by src/formats/onnx/onnx_test.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/graph/graph_testing.h"
#include "kernels/graph/program.h"

#include <stdlib.h>
#include <string.h>

#define INPUTS(...) ((const uint32_t[]){__VA_ARGS__, IG_GRAPH_NONE})

static struct ig_program *plan(const struct ig_graph *graph, int64_t batch)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_program *program = NULL;
    struct ig_program_options options = {.batch = batch};
    assert_int_equal(ig_graph_check(graph, &err), IG_OK);
    if (ig_program_new(&program, graph, &options, &err) != IG_OK) fail_msg("%s", err.message);
    return program;
}

static void expect_refusal(const struct ig_graph *graph, size_t max_bytes, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_program *program = NULL;
    struct ig_program_options options = {.batch = 1, .max_bytes = max_bytes};
    assert_int_not_equal(ig_program_new(&program, graph, &options, &err), IG_OK);
    assert_null(program);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
}

/* x [n, 3] -> MatMul w [3, 2] -> Relu -> Add b -> z. */
static struct ig_graph *network(void)
{
    static const float weights[] = {1, -2, 0.5F, 4, -1, 3};
    static const float bias[] = {10, 20};
    static const struct ig_tensor w = {IG_TENSOR_F32, 2, {3, 2}, 6, weights};
    static const struct ig_tensor b = {IG_TENSOR_F32, 1, {2}, 2, bias};
    struct ig_graph *graph = test_graph();
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1, 3}, 2);
    uint32_t product = test_node(graph, "MatMul", INPUTS(x, test_constant(graph, &w)), NULL, 0);
    uint32_t positive = test_node(graph, "Relu", INPUTS(product), NULL, 0);
    test_output(graph,
                test_node(graph, "Add", INPUTS(positive, test_constant(graph, &b)), NULL, 0));
    return graph;
}

static void binds_the_batch(void **state)
{
    (void)state;
    struct ig_graph *graph = network();
    float rows[5][3] = {{1, 2, 3}, {0, 0, 0}, {-1, 1, 0.5F}, {4, -4, 1}, {9, 9, -9}};
    float all[5][2], one[2];
    struct ig_program *five = plan(graph, 5);
    struct ig_program *single = plan(graph, 1);
    assert_int_equal(ig_program_output(five, 0)->dims[0], 5);
    assert_null(ig_program_output(five, 1));
    assert_null(ig_program_input(five, 1));
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(five));
    ig_program_run(five, (const void *[]){rows}, (void *[]){all}, scratch);
    assert_true(all[0][0] == 10 + 0 && all[0][1] == 20 + 15);
    for (size_t i = 0; i < 5; i++) {
        ig_program_run(single, (const void *[]){rows[i]}, (void *[]){one}, scratch);
        assert_memory_equal(one, all[i], sizeof one);
    }
    ig_free(scratch);
    ig_program_free(five);
    ig_program_free(single);
    ig_graph_free(graph);
}

static void predicts_rows(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = network();
    struct ig_program *program = plan(graph, 1);
    struct ig_predictor predictor;
    double rows[2][3] = {{1, 2, 3}, {-1, 1, 0.5}};
    double values[2][2];
    assert_int_equal(ig_program_predictor(&predictor, program, &err), IG_OK);
    assert_int_equal(predictor.features_count, 3);
    assert_int_equal(predictor.values_count, 2);
    void *scratch = ig_alloc_aligned(64, predictor.scratch_bytes(&predictor, 2));
    predictor.run(&predictor, &rows[0][0], 2, &values[0][0], scratch);
    assert_true(values[0][0] == 10 && values[0][1] == 35);
    assert_true(values[1][0] == 10 && values[1][1] == 27.5);
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
}

/* A chain of operators needs two buffers, however long it is. */
static void reuses_memory(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    uint32_t value = test_input(graph, IG_TENSOR_F32, (const int64_t[]){1000, 16}, 2);
    for (unsigned i = 0; i < TEST_NODES_MAX; i++)
        value = test_node(graph, "Abs", INPUTS(value), NULL, 0);
    test_output(graph, value);
    struct ig_program *program = plan(graph, 1);
    size_t buffer = (size_t)1000 * 16 * sizeof(float);
    assert_in_range(ig_program_scratch_bytes(program), 2 * buffer, 2 * buffer + 2048);
    ig_program_free(program);
    ig_graph_free(graph);
}

/* What depends on constants alone is computed at load and needs no scratch. */
static void folds_constants(void **state)
{
    (void)state;
    static const float numbers[] = {1, 4, 9};
    static const struct ig_tensor tensor = {IG_TENSOR_F32, 1, {3}, 3, numbers};
    struct ig_graph *graph = test_graph();
    uint32_t root = test_node(graph, "Sqrt", INPUTS(test_constant(graph, &tensor)), NULL, 0);
    test_output(graph, test_node(graph, "Neg", INPUTS(root), NULL, 0));
    struct ig_program *program = plan(graph, 1);
    float out[3];
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
    assert_true(ig_program_scratch_bytes(program) <= 256);
    ig_program_run(program, NULL, (void *[]){out}, scratch);
    assert_true(out[0] == -1 && out[1] == -2 && out[2] == -3);
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
}

static void broadcasts(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    uint32_t a = test_input(graph, IG_TENSOR_I64, (const int64_t[]){2, 1, 2}, 3);
    uint32_t b = test_input(graph, IG_TENSOR_I64, (const int64_t[]){3, 1}, 2);
    test_output(graph, test_node(graph, "Sub", INPUTS(a, b), NULL, 0));
    struct ig_program *program = plan(graph, 1);
    const int64_t left[] = {1, 2, 3, 4};
    const int64_t right[] = {10, 20, INT64_MAX};
    int64_t out[12];
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
    ig_program_run(program, (const void *[]){left, right}, (void *[]){out}, scratch);
    assert_true(out[0] == -9 && out[1] == -8 && out[2] == -19 && out[6] == -7);
    assert_true(out[11] == 4 - INT64_MAX);
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
}

static void refuses_what_it_cannot_run(void **state)
{
    (void)state;
    struct ig_graph *graph = network();
    graph->nodes[1].op = IG_STR("Mystery");
    expect_refusal(graph, 0, "node 'node' (Mystery): this operator");
    graph->nodes[1].op = IG_STR("Not");
    expect_refusal(graph, 0, "(Not): not for float32");
    graph->nodes[1].op = IG_STR("Relu");
    expect_refusal(graph, 200, "memory");
    graph->values[0].dims[1] = 4;
    expect_refusal(graph, 0, "A has 4 columns");
    graph->values[0].dims[1] = -1;
    expect_refusal(graph, 0, "a dimension besides the first");
    ig_graph_free(graph);
}

static void refuses_text_rows(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_predictor predictor;
    struct ig_graph *graph = test_graph();
    uint32_t x = test_input(graph, IG_TENSOR_STRING, (const int64_t[]){1, 1}, 2);
    test_output(graph, test_node(graph, "Identity", INPUTS(x), NULL, 0));
    struct ig_program *program = plan(graph, 1);
    assert_int_equal(ig_program_predictor(&predictor, program, &err), IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "text"));
    ig_program_free(program);
    ig_graph_free(graph);
}

static void convolve(const float *image, float *out, const struct ig_tensor *kernel,
                     struct ig_attribute *attributes, const char *isa)
{
    struct ig_graph *graph = test_graph();
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){2, 3, 9, 21}, 4);
    test_output(graph,
                test_node(graph, "Conv", INPUTS(x, test_constant(graph, kernel)), attributes, 2));
    setenv("INGOT_ISA", isa, 1);
    struct ig_program *program = plan(graph, 1);
    unsetenv("INGOT_ISA");
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
    memset(out, 0, (size_t)2 * 6 * 12 * 24 * sizeof *out);
    ig_program_run(program, (const void *[]){image}, (void *[]){out}, scratch);
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
}

/* Strides, paddings and groups: AVX2 gives the scalar form's bits. */
static void convolves_alike(void **state)
{
    (void)state;
    static float image[2 * 3 * 9 * 21], weights[6 * 3 * 9], scalar[2 * 6 * 12 * 24],
        wide[2 * 6 * 12 * 24];
    static const int64_t strides[][2] = {{1, 1}, {2, 3}}, pads[][4] = {{1, 1, 1, 1}, {0, 2, 1, 0}};
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof image / sizeof *image; i++)
        image[i] = (float)(seed = seed * 1664525 + 1013904223) / 1e9F - 2;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = (float)(seed = seed * 1664525 + 1013904223) / 3e9F - 0.7F;
    const struct ig_tensor kernels[] = {{IG_TENSOR_F32, 4, {6, 3, 3, 3}, 162, weights},
                                        {IG_TENSOR_F32, 4, {5, 3, 1, 1}, 15, weights},
                                        {IG_TENSOR_F32, 4, {2, 3, 2, 5}, 60, weights}};
    for (size_t i = 0; i < 12; i++) {
        struct ig_attribute attributes[] = {
            {IG_STR("strides"), IG_ATTRIBUTE_I64S, 2, {.i64 = strides[i / 3 % 2]}},
            {IG_STR("pads"), IG_ATTRIBUTE_I64S, 4, {.i64 = pads[i / 6]}}};
        convolve(image, scalar, &kernels[i % 3], attributes, "scalar");
        convolve(image, wide, &kernels[i % 3], attributes, "avx2");
        size_t filled = 0;
        for (size_t k = 0; k < sizeof scalar / sizeof *scalar; k++) filled += scalar[k] != 0;
        assert_true(filled > 100);
        assert_memory_equal(scalar, wide, sizeof wide);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(binds_the_batch),
        cmocka_unit_test(predicts_rows),
        cmocka_unit_test(reuses_memory),
        cmocka_unit_test(folds_constants),
        cmocka_unit_test(broadcasts),
        cmocka_unit_test(convolves_alike),
        cmocka_unit_test(refuses_what_it_cannot_run),
        cmocka_unit_test(refuses_text_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
