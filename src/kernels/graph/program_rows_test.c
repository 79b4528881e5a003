/* SPDX-License-Identifier: Apache-2.0 */
/* Which graphs take a block of rows at once, and that a row's values then are what they are alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/graph/graph_testing.h"
#include "kernels/graph/program_rows.h"

#include <stdlib.h>
#include <string.h>

#define INPUTS(...) ((const uint32_t[]){__VA_ARGS__, IG_GRAPH_NONE})

enum { ROWS = 21, COLUMNS_MAX = 12, VALUES_MAX = 18 };

static struct ig_program *plan(const struct ig_graph *graph)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_program *program = NULL;
    struct ig_program_options options = {.batch = 1, .blocks = true};
    if (ig_graph_check(graph, &err) != IG_OK ||
        ig_program_new(&program, graph, &options, &err) != IG_OK)
        fail_msg("%s", err.message);
    return program;
}

static void fill(double *rows, size_t count)
{
    uint32_t seed = 3;
    for (size_t i = 0; i < count; i++)
        rows[i] = (double)((seed = seed * 1664525 + 1013904223) >> 8) / 4e6 - 2;
}

/* Takes blocks, and every number of rows gives each row the bits that it has alone. */
static void expect_blocks(struct ig_graph *graph)
{
    static double rows[ROWS * COLUMNS_MAX], one[ROWS * VALUES_MAX], many[ROWS * VALUES_MAX];
    struct ig_err err = IG_ERR_INIT;
    struct ig_predictor run;
    struct ig_program *program = plan(graph);
    assert_non_null(program->block);
    assert_int_equal(ig_program_predictor(&run, program, &err), IG_OK);
    assert_true(run.features_count <= COLUMNS_MAX && run.values_count <= VALUES_MAX);
    fill(rows, ROWS * (size_t)run.features_count);
    void *scratch = ig_alloc_aligned(64, run.scratch_bytes(&run, ROWS));
    for (size_t i = 0; i < ROWS; i++)
        run.run(&run, rows + i * run.features_count, 1, one + i * run.values_count, scratch);
    for (size_t count = 2; count <= ROWS; count++) {
        memset(many, 0xff, sizeof many);
        run.run(&run, rows, count, many, scratch);
        assert_memory_equal(one, many, count * run.values_count * sizeof *one);
    }
    ig_free(scratch);
    ig_program_free(program);
    ig_graph_free(graph);
}

static void expect_one_by_one(struct ig_graph *graph)
{
    struct ig_program *program = plan(graph);
    assert_null(program->block);
    ig_program_free(program);
    ig_graph_free(graph);
}

static uint32_t matrix(struct ig_graph *graph)
{
    return test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1, 12}, 2);
}

static const float numbers[160] = {0.5F,  -1,   2,     0.25F, 1.5F,  -0.75F, 3,     -2,
                                   0.1F,  0.7F, -0.3F, 1.1F,  -1.7F, 0.9F,   -0.6F, 2.3F,
                                   -1.2F, 0.4F, 0.8F,  -0.9F, 1.3F,  -2.1F,  0.35F, 0.65F,
                                   -0.2F, 1.9F, -1.4F, 0.15F, 2.6F,  -0.45F};

static uint32_t weights(struct ig_graph *graph, struct ig_tensor *tensor)
{
    tensor->type = IG_TENSOR_F32;
    tensor->count = 1;
    for (uint32_t i = 0; i < tensor->rank; i++) tensor->count *= (size_t)tensor->dims[i];
    tensor->data = numbers;
    return test_constant(graph, tensor);
}

static uint32_t integers(struct ig_graph *graph, struct ig_tensor *tensor, const int64_t *list,
                         int64_t count)
{
    *tensor = (struct ig_tensor){IG_TENSOR_I64, 1, {count}, (size_t)count, list};
    return test_constant(graph, tensor);
}

static const int64_t ZERO = 0, ONE = 1;
static struct ig_attribute first_axis = {{"axis", 4}, IG_ATTRIBUTE_I64, 1, {.i64 = &ZERO}};
static struct ig_attribute second_axis = {{"axis", 4}, IG_ATTRIBUTE_I64, 1, {.i64 = &ONE}};
static struct ig_attribute turned = {{"transB", 6}, IG_ATTRIBUTE_I64, 1, {.i64 = &ONE}};

static void takes_perceptrons(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    struct ig_tensor w = {.rank = 2, .dims = {9, 12}}, b = {.rank = 1, .dims = {9}};
    struct ig_tensor v = {.rank = 2, .dims = {9, 5}};
    uint32_t x = matrix(graph), ws = weights(graph, &w), bs = weights(graph, &b);
    uint32_t hidden = test_node(graph, "Gemm", INPUTS(x, ws, bs), &turned, 1);
    hidden = test_node(graph, "Tanh", INPUTS(hidden), NULL, 0);
    uint32_t out = test_node(graph, "MatMul", INPUTS(hidden, weights(graph, &v)), NULL, 0);
    test_output(graph, test_node(graph, "Softmax", INPUTS(out), &second_axis, 1));
    expect_blocks(graph);
}

/* [n, 12] as images of 3 x 4; the file fixes n = 1. */
static void takes_images(void **state)
{
    (void)state;
    static const int64_t shape[] = {-1, 1, 3, 4}, order[] = {0, 2, 3, 1}, kernel[] = {2, 2};
    struct ig_graph *graph = test_graph();
    struct ig_tensor to_image, summed, k = {.rank = 4, .dims = {2, 1, 2, 2}};
    struct ig_attribute perm = {IG_STR("perm"), IG_ATTRIBUTE_I64S, 4, {.i64 = order}};
    struct ig_attribute side = {IG_STR("kernel_shape"), IG_ATTRIBUTE_I64S, 2, {.i64 = kernel}};
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){1, 12}, 2);
    uint32_t dims = integers(graph, &to_image, shape, 4);
    uint32_t image = test_node(graph, "Reshape", INPUTS(x, dims), NULL, 0);
    uint32_t seen = test_node(graph, "Conv", INPUTS(image, weights(graph, &k)), NULL, 0);
    uint32_t greatest = test_node(graph, "MaxPool", INPUTS(image), &side, 1);
    uint32_t mean = test_node(graph, "AveragePool", INPUTS(image), &side, 1);
    uint32_t all = test_node(graph, "Concat", INPUTS(seen, greatest, mean, seen), &second_axis, 1);
    uint32_t channels_last = test_node(graph, "Transpose", INPUTS(all), &perm, 1);
    uint32_t axis = integers(graph, &summed, &ONE, 1);
    uint32_t sums = test_node(graph, "ReduceSum", INPUTS(channels_last, axis), NULL, 0);
    test_output(graph, test_node(graph, "Flatten", INPUTS(sums), NULL, 0));
    expect_blocks(graph);
}

/* Row i of a table for each row, a residual sum, and a scalar for all. */
static void takes_tables(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    struct ig_tensor table = {.rank = 2, .dims = {4, 12}}, half = {.rank = 0};
    struct ig_attribute to = {IG_STR("to"), IG_ATTRIBUTE_I64, 1, {.i64 = &(int64_t){7}}};
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1, 1}, 2);
    uint32_t at = test_node(graph, "Cast", INPUTS(x), &to, 1);
    uint32_t found = test_node(graph, "Gather", INPUTS(weights(graph, &table), at), &first_axis, 1);
    uint32_t row = test_node(graph, "Flatten", INPUTS(found), NULL, 0);
    uint32_t sum = test_node(graph, "Add", INPUTS(row, x), NULL, 0);
    test_output(graph, test_node(graph, "Mul", INPUTS(weights(graph, &half), sum), NULL, 0));
    expect_blocks(graph);
}

/* One step of a graph over [n, 12] that makes rows meet. */
static void mixing(const char *op, struct ig_attribute *attributes, uint32_t count)
{
    struct ig_graph *graph = test_graph();
    test_output(graph, test_node(graph, op, INPUTS(matrix(graph)), attributes, count));
    expect_one_by_one(graph);
}

static void refuses_an_axis_of_rows(void **state)
{
    (void)state;
    static const int64_t kept = 1;
    struct ig_attribute reduced[] = {{IG_STR("axes"), IG_ATTRIBUTE_I64S, 1, {.i64 = &ZERO}},
                                     {IG_STR("keepdims"), IG_ATTRIBUTE_I64, 1, {.i64 = &kept}}};
    mixing("Softmax", &first_axis, 1);
    mixing("LogSoftmax", &first_axis, 1);
    mixing("ArgMax", &first_axis, 1);
    mixing("ReduceMean", reduced, 2);
    mixing("ReduceMean", NULL, 0);
    mixing("Transpose", NULL, 0);
    mixing("Flatten", &first_axis, 1);
    mixing("Squeeze", NULL, 0);
}

/* [n, 1] -> rows of itself by its own numbers: row 0 for one row. */
static void refuses_rows_of_rows(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    struct ig_attribute to = {IG_STR("to"), IG_ATTRIBUTE_I64, 1, {.i64 = &(int64_t){7}}};
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1}, 1);
    uint32_t at = test_node(graph, "Cast", INPUTS(x), &to, 1);
    test_output(graph, test_node(graph, "Gather", INPUTS(x, at), &first_axis, 1));
    expect_one_by_one(graph);
}

/* A row's number of the batch as a column's bias. */
static void refuses_rows_as_columns(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    struct ig_tensor w = {.rank = 2, .dims = {8, 8}};
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1, 8}, 2);
    uint32_t bias = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1}, 1);
    test_output(graph, test_node(graph, "Gemm", INPUTS(x, weights(graph, &w), bias), NULL, 0));
    expect_one_by_one(graph);
    graph = test_graph();
    x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1, 8}, 2);
    bias = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1}, 1);
    test_output(graph, test_node(graph, "Add", INPUTS(x, bias), NULL, 0));
    expect_one_by_one(graph);
}

/* Where the number of rows itself is a value, and where a shape holds it. */
static void refuses_the_count_of_rows(void **state)
{
    (void)state;
    static const int64_t fours[] = {-1, 4};
    struct ig_graph *graph = test_graph();
    struct ig_tensor shape;
    struct ig_attribute to = {IG_STR("to"), IG_ATTRIBUTE_I64, 1, {.i64 = &(int64_t){1}}};
    struct ig_attribute end = {IG_STR("end"), IG_ATTRIBUTE_I64, 1, {.i64 = &ONE}};
    uint32_t x = matrix(graph);
    uint32_t dims = test_node(graph, "Shape", INPUTS(x), &end, 1);
    uint32_t count = test_node(graph, "Cast", INPUTS(dims), &to, 1);
    test_output(graph, test_node(graph, "Mul", INPUTS(x, count), NULL, 0));
    expect_one_by_one(graph);
    graph = test_graph();
    x = matrix(graph);
    uint32_t fixed = integers(graph, &shape, fours, 2);
    test_output(graph, test_node(graph, "Reshape", INPUTS(x, fixed), NULL, 0));
    expect_one_by_one(graph);
}

/* What does not lead to the values may mix; a shape may come of Shape. */
static void looks_at_the_values_alone(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    uint32_t x = matrix(graph);
    uint32_t dims = test_node(graph, "Shape", INPUTS(x), NULL, 0);
    uint32_t same = test_node(graph, "Reshape", INPUTS(x, dims), NULL, 0);
    test_output(graph, test_node(graph, "ReduceMax", INPUTS(x), NULL, 0));
    test_output(graph, test_node(graph, "Sigmoid", INPUTS(same), NULL, 0));
    expect_blocks(graph);
}

/* Tensors of a block that would not stay near the core. */
static void leaves_large_rows_alone(void **state)
{
    (void)state;
    struct ig_graph *graph = test_graph();
    uint32_t x = test_input(graph, IG_TENSOR_F32, (const int64_t[]){-1, 8000}, 2);
    test_output(graph, test_node(graph, "Relu", INPUTS(x), NULL, 0));
    expect_one_by_one(graph);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(takes_perceptrons),
        cmocka_unit_test(takes_images),
        cmocka_unit_test(takes_tables),
        cmocka_unit_test(refuses_an_axis_of_rows),
        cmocka_unit_test(refuses_rows_of_rows),
        cmocka_unit_test(refuses_rows_as_columns),
        cmocka_unit_test(refuses_the_count_of_rows),
        cmocka_unit_test(looks_at_the_values_alone),
        cmocka_unit_test(leaves_large_rows_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
