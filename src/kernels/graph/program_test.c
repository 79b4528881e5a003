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

#include <math.h>
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

static const char *const isas[] = {"scalar", "avx2", "avx512"};

enum { IMAGES = 2, CHANNELS = 3, HEIGHT = 9, WIDTH = 21 };

struct convolution {
    int64_t groups, out_channels; /* of all groups */
    int64_t kernel[2], strides[2], dilations[2], pads[4];
};

static int64_t out_side(const struct convolution *conv, uint32_t side)
{
    int64_t in = side == 0 ? HEIGHT : WIDTH;
    int64_t reach = (conv->kernel[side] - 1) * conv->dilations[side] + 1;
    return (in + conv->pads[side] + conv->pads[side + 2] - reach) / conv->strides[side] + 1;
}

static size_t convolve(const struct convolution *conv, const float *image, const float *weights,
                       float *out, const char *isa)
{
    struct ig_graph *graph = test_graph();
    struct ig_tensor kernel = {
        IG_TENSOR_F32,
        4,
        {conv->out_channels, CHANNELS / conv->groups, conv->kernel[0], conv->kernel[1]},
        0,
        weights};
    struct ig_attribute attributes[] = {
        {IG_STR("strides"), IG_ATTRIBUTE_I64S, 2, {.i64 = conv->strides}},
        {IG_STR("dilations"), IG_ATTRIBUTE_I64S, 2, {.i64 = conv->dilations}},
        {IG_STR("pads"), IG_ATTRIBUTE_I64S, 4, {.i64 = conv->pads}},
        {IG_STR("group"), IG_ATTRIBUTE_I64, 1, {.i64 = &conv->groups}}};
    kernel.count = (size_t)(kernel.dims[0] * kernel.dims[1] * kernel.dims[2] * kernel.dims[3]);
    uint32_t x =
        test_input(graph, IG_TENSOR_F32, (const int64_t[]){IMAGES, CHANNELS, HEIGHT, WIDTH}, 4);
    test_output(graph,
                test_node(graph, "Conv", INPUTS(x, test_constant(graph, &kernel)), attributes, 4));
    setenv("INGOT_ISA", isa, 1);
    struct ig_program *program = plan(graph, 1);
    unsetenv("INGOT_ISA");
    size_t count = ig_program_output(program, 0)->count;
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
    ig_program_run(program, (const void *[]){image}, (void *[]){out}, scratch);
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
    return count;
}

/* One output by the book. */
static float convolve_at(const struct convolution *conv, const float *image, const float *weights,
                         int64_t channel, int64_t y, int64_t x)
{
    int64_t channels = CHANNELS / conv->groups;
    int64_t first = channel / (conv->out_channels / conv->groups) * channels;
    const float *weight = weights + channel * channels * conv->kernel[0] * conv->kernel[1];
    double sum = 0;
    for (int64_t c = first; c < first + channels; c++)
        for (int64_t i = 0; i < conv->kernel[0]; i++)
            for (int64_t j = 0; j < conv->kernel[1]; j++, weight++) {
                int64_t row = y * conv->strides[0] + i * conv->dilations[0] - conv->pads[0];
                int64_t column = x * conv->strides[1] + j * conv->dilations[1] - conv->pads[1];
                if (row < 0 || row >= HEIGHT || column < 0 || column >= WIDTH) continue;
                sum += (double)*weight * (double)image[(c * HEIGHT + row) * WIDTH + column];
            }
    return (float)sum;
}

/* Strides, dilations, paddings, groups: every instruction set gives the same bits. */
static void convolves_alike(void **state)
{
    (void)state;
    static float image[IMAGES * CHANNELS * HEIGHT * WIDTH], weights[2400], out[12000];
    static const struct convolution cases[] = {
        {1, 6, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
        {1, 5, {1, 1}, {1, 1}, {1, 1}, {0}},
        {1, 2, {2, 5}, {1, 1}, {1, 1}, {0, 2, 1, 0}},
        {1, 11, {3, 3}, {2, 3}, {1, 1}, {1, 1, 1, 1}},
        {1, 1, {1, 1}, {2, 3}, {1, 1}, {0, 2, 1, 0}},
        {3, 3, {3, 3}, {1, 1}, {1, 1}, {1, 1, 1, 1}},
        {3, 6, {3, 3}, {2, 2}, {1, 1}, {1, 1, 1, 1}},
        {1, 16, {3, 2}, {1, 1}, {2, 3}, {0, 4, 0, 9}},
        {1, 9, {2, 4}, {1, 2}, {1, 3}, {0, 25, 0, 30}},
        {1, 4, {1, 3}, {1, 40}, {1, 2}, {0, 30, 0, 33}},
        {1, 4, {9, 21}, {1, 1}, {1, 1}, {0}},
    };
    uint32_t seed = 7;
    for (size_t i = 0; i < sizeof image / sizeof *image; i++)
        image[i] = (float)(seed = seed * 1664525 + 1013904223) / 1e9F - 2;
    for (size_t i = 0; i < sizeof weights / sizeof *weights; i++)
        weights[i] = (float)(seed = seed * 1664525 + 1013904223) / 3e9F - 0.7F;
    for (size_t i = 0; i < sizeof cases / sizeof *cases * 3; i++) {
        const struct convolution *conv = &cases[i / 3];
        int64_t rows = out_side(conv, 0), columns = out_side(conv, 1);
        const float *at = out;
        size_t count = convolve(conv, image, weights, out, isas[i % 3]);
        assert_int_equal(count, IMAGES * conv->out_channels * rows * columns);
        for (int64_t n = 0; n < IMAGES; n++)
            for (int64_t c = 0; c < conv->out_channels; c++)
                for (int64_t k = 0; k < rows * columns; k++)
                    if (*at++ != convolve_at(conv, image + n * CHANNELS * HEIGHT * WIDTH, weights,
                                             c, k / columns, k % columns))
                        fail_msg("case %zu, %s: output %td", i / 3, isas[i % 3], at - out - 1);
    }
}

struct product {
    int64_t rows, depth, columns;
    bool left_turned, right_turned, fixed; /* B is a constant */
};

static void multiply(const struct product *product, const float *numbers, float *out,
                     const char *isa)
{
    struct ig_graph *graph = test_graph();
    int64_t a[] = {product->rows, product->depth}, b[] = {product->depth, product->columns};
    if (product->left_turned) memcpy(a, (int64_t[]){product->depth, product->rows}, sizeof a);
    if (product->right_turned) memcpy(b, (int64_t[]){product->columns, product->depth}, sizeof b);
    const struct ig_tensor right = {
        IG_TENSOR_F32, 2, {b[0], b[1]}, (size_t)(b[0] * b[1]), numbers + 7};
    const struct ig_tensor bias = {
        IG_TENSOR_F32, 1, {product->columns}, (size_t)product->columns, numbers + 70};
    struct ig_attribute attributes[] = {
        {IG_STR("transA"), IG_ATTRIBUTE_I64, 1, {.i64 = &(int64_t){product->left_turned}}},
        {IG_STR("transB"), IG_ATTRIBUTE_I64, 1, {.i64 = &(int64_t){product->right_turned}}}};
    uint32_t x = test_input(graph, IG_TENSOR_F32, a, 2);
    uint32_t w =
        product->fixed ? test_constant(graph, &right) : test_input(graph, IG_TENSOR_F32, b, 2);
    uint32_t c = test_constant(graph, &bias);
    test_output(graph, test_node(graph, "Gemm", INPUTS(x, w, c), attributes, 2));
    setenv("INGOT_ISA", isa, 1);
    struct ig_program *program = plan(graph, 1);
    unsetenv("INGOT_ISA");
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
    ig_program_run(program, (const void *[]){numbers, numbers + 7}, (void *[]){out}, scratch);
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
}

/* Rows, columns and turned sides: one sum in double, in order, whatever the instruction set. */
static void multiplies_alike(void **state)
{
    (void)state;
    static float numbers[6000], got[9 * 150];
    static const struct product products[] = {
        {1, 30, 64, false, true, true},   {1, 17, 150, false, false, true},
        {1, 33, 1, false, true, true},    {1, 5, 21, true, true, false},
        {9, 30, 64, false, true, true},   {6, 11, 13, true, false, false},
        {4, 40, 16, false, false, false}, {5, 20, 7, false, true, false},
        {9, 21, 40, false, false, true},  {3, 12, 5, false, true, true},
    };
    uint32_t seed = 9;
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        numbers[i] = (float)(seed = seed * 1664525 + 1013904223) / 1e9F - 2;
    for (size_t p = 0; p < sizeof products / sizeof *products; p++)
        for (size_t isa = 0; isa < 3; isa++) {
            struct product at = products[p];
            multiply(&at, numbers, got, isas[isa]);
            for (int64_t i = 0; i < at.rows; i++)
                for (int64_t j = 0; j < at.columns; j++) {
                    double sum = 0;
                    for (int64_t k = 0; k < at.depth; k++)
                        sum +=
                            (double)numbers[at.left_turned ? k * at.rows + i : i * at.depth + k] *
                            (double)numbers[7 + (at.right_turned ? j * at.depth + k
                                                                 : k * at.columns + j)];
                    if (got[i * at.columns + j] != (float)(sum + (double)numbers[70 + j]))
                        fail_msg("product %zu, %s: row %d, column %d", p, isas[isa], (int)i,
                                 (int)j);
                }
        }
}

static void maps_negatives(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){1, 6}, 2);
    test_output(graph, test_node(graph, "Relu", INPUTS(x), NULL, 0));
    struct ig_program *program = plan(graph, 1);
    const float in[] = {-1, -0.0F, 0, 2, NAN, -INFINITY};
    float out[6];
    void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
    ig_program_run(program, (const void *[]){in}, (void *[]){out}, scratch);
    assert_true(out[0] == 0 && out[3] == 2 && isnan(out[4]) && out[5] == 0);
    assert_false(signbit(out[1]) || signbit(out[5]));
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
}

/* Windows that reach into the padding, and NaN. */
static void pools(void **state)
{
    (void)state;
    static const float image[] = {1, 2, 3, -4, NAN, 6, 7, 8, -9};
    static const int64_t size[] = {2, 2}, pads[] = {1, 1, 1, 1}, strides[] = {2, 2}, one[] = {1};
    struct ig_attribute attributes[] = {
        {IG_STR("kernel_shape"), IG_ATTRIBUTE_I64S, 2, {.i64 = size}},
        {IG_STR("pads"), IG_ATTRIBUTE_I64S, 4, {.i64 = pads}},
        {IG_STR("strides"), IG_ATTRIBUTE_I64S, 2, {.i64 = strides}},
        {IG_STR("count_include_pad"), IG_ATTRIBUTE_I64, 1, {.i64 = one}}};
    static const float wanted[3][4] = {
        {1, 3, 7, NAN}, {1, 2.5F, 1.5F, NAN}, {0.25F, 1.25F, 0.75F, NAN}};
    for (uint32_t i = 0; i < 3; i++) {
        struct ig_graph *graph = test_graph();
        uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){1, 1, 3, 3}, 4);
        test_output(graph, test_node(graph, i == 0 ? "MaxPool" : "AveragePool", INPUTS(x),
                                     attributes, i == 2 ? 4 : 3));
        struct ig_program *program = plan(graph, 1);
        float out[4];
        void *scratch = ig_alloc_aligned(64, ig_program_scratch_bytes(program));
        ig_program_run(program, (const void *[]){image}, (void *[]){out}, scratch);
        for (size_t k = 0; k < 3; k++) assert_true(out[k] == wanted[i][k]);
        assert_true(isnan(out[3]));
        ig_free(scratch);
        ig_program_free(program);
        ig_graph_free(graph);
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
        cmocka_unit_test(multiplies_alike),
        cmocka_unit_test(maps_negatives),
        cmocka_unit_test(pools),
        cmocka_unit_test(refuses_what_it_cannot_run),
        cmocka_unit_test(refuses_text_rows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
