/* SPDX-License-Identifier: Apache-2.0 */
/* Networks written as ONNX and read as networks again: the same numbers, int8 within a step, and
 * int8 all the same. Graphs of others, as their exporters write them, the interop suite reads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "formats/format.h"
#include "formats/onnx/onnx.h"
#include "formats/onnx/onnx_testing.h"
#include "kernels/nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

enum { ROWS = 16, FILE_MAX = 1 << 20 };

static struct ig_model *load_file(const char *name)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_model *model = NULL;
    struct ig_buf bytes;
    const char *source = getenv("INGOT_SOURCE_DIR");
    char path[512];
    snprintf(path, sizeof path, "%s/tests/corpus/tflite/%s", source ? source : ".", name);
    ig_buf_init(&bytes, FILE_MAX);
    if (ig_file_read(&bytes, IG_FILE_CWD, path, &err) != IG_OK ||
        ig_format_load(&model, ig_buf_view(&bytes), NULL, &err) != IG_OK)
        fail_msg("%s", err.message);
    ig_buf_deinit(&bytes);
    return model;
}

static struct ig_graph *graph_of(const struct ig_model *model)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_graph *graph = NULL;
    struct ig_buf out;
    ig_buf_init(&out, FILE_MAX);
    if (ig_onnx_write(&out, model, NULL, &err) != IG_OK ||
        ig_onnx_graph(&graph, ig_buf_view(&out), &err) != IG_OK)
        fail_msg("%s", err.message);
    ig_buf_deinit(&out);
    return graph;
}

static double *run(const struct ig_network *network, const double *rows, uint32_t *values)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_nn_options options = {.isa = IG_ISA_SCALAR};
    struct ig_nn *nn = NULL;
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    struct ig_predictor predictor = ig_nn_predictor(nn);
    size_t bytes = (predictor.scratch_bytes(&predictor, ROWS) + 127) & ~(size_t)63;
    void *scratch = aligned_alloc(64, bytes);
    double *out = ig_alloc(ROWS * predictor.values_count * sizeof *out);
    assert_true(scratch && out);
    predictor.run(&predictor, rows, ROWS, out, scratch);
    *values = predictor.values_count;
    free(scratch);
    ig_nn_free(nn);
    return out;
}

static size_t int8_layers(const struct ig_network *network)
{
    size_t count = 0;
    for (uint32_t i = 0; i < network->layers_count; i++)
        count += network->tensors[network->layers[i].output].type == IG_NETWORK_I8;
    return count;
}

static void check_same(const char *name, const struct ig_network *before,
                       const struct ig_network *after)
{
    const struct ig_network_quantization *q = &before->tensors[before->outputs[0]].quantization;
    double step = q->count ? (double)q->scales[0] * 1.001 : 1e-5, worst = 0;
    uint64_t state = 5;
    uint32_t values, again;
    size_t features = 0, sum = 0;
    for (uint32_t i = 0; i < before->inputs_count; i++)
        features += ig_network_tensor_count(&before->tensors[before->inputs[i]]);
    double *rows = ig_alloc(ROWS * features * sizeof *rows);
    assert_non_null(rows);
    for (size_t i = 0; i < ROWS * features; i++) {
        state = state * 6364136223846793005U + 1442695040888963407U;
        rows[i] = (double)(float)((double)(state >> 40) / (1 << 22) - 2);
    }
    double *want = run(before, rows, &values), *got = run(after, rows, &again);
    assert_int_equal(values, again);
    for (size_t i = 0; i < (size_t)ROWS * values; i++) {
        worst = fmax(worst, fabs(got[i] - want[i]));
        sum += fabs(got[i] - want[i]) > step / 2;
    }
    if (!(worst <= step)) fail_msg("%s: %g, at most %g", name, worst, step);
    if (q->count) assert_true(sum * 20 <= (size_t)ROWS * values);
    assert_int_equal(int8_layers(after) >= int8_layers(before), 1);
    ig_free(rows);
    ig_free(want);
    ig_free(got);
}

static void reads_what_was_written(void **state)
{
    (void)state;
    static const char *const names[] = {
        "add_constant_int8", "average_pool_int8",     "concatenation_float",
        "conv_int8",         "depthwise_spread_int8", "half_weights",
        "mean_keep_int8",    "mul_broadcast_float",   "softmax_rows_int8",
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_model *model = load_file(names[i]);
        struct ig_graph *graph = graph_of(model);
        struct ig_onnx_network made;
        if (ig_onnx_network(&made, graph, &err) != IG_OK) fail_msg("%s: %s", names[i], err.message);
        assert_null(made.features); /* the writer keeps channels last outside */
        check_same(names[i], model->network, made.network);
        ig_network_free(made.network);
        ig_graph_free(graph);
        ig_model_free(model);
    }
}

static void refuses_by_name(void **state)
{
    (void)state;
    static const struct {
        const char *ops, *word;
    } cases[] = {
        {"LeakyRelu", "(LeakyRelu): the operator has no place"},
        {"Relu MatMul", "(MatMul): weights or bias are no constants"},
        {"Conv", "(Conv): its input is no image"},
        {"QuantizeLinear", "(QuantizeLinear): scale or zero point"},
        {"DequantizeLinear", "(DequantizeLinear): its input is no int8 codes"},
        {"Reshape", "(Reshape): 3 elements become 1"},
        {"Clip", "between -inf and inf"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_graph *graph = NULL;
        struct ig_onnx_network made;
        struct ig_buf out;
        test_onnx_model(&out, "test", cases[i].ops, (struct ig_str){0});
        if (ig_onnx_graph(&graph, ig_buf_view(&out), &err) != IG_OK) fail_msg("%s", err.message);
        enum ig_code code = ig_onnx_network(&made, graph, &err);
        if (code != IG_UNSUPPORTED || !strstr(err.message, cases[i].word))
            fail_msg("%s: %d %s", cases[i].ops, code, err.message);
        ig_graph_free(graph);
        ig_buf_deinit(&out);
    }
}

static void says_when_memory_is_out(void **state)
{
    (void)state;
    struct ig_model *model = load_file("conv_int8");
    struct ig_graph *graph = graph_of(model);
    for (uint64_t n = 1; n < 200; n++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_onnx_network made = {0};
        ig_mem_fail_after(n);
        enum ig_code code = ig_onnx_network(&made, graph, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
        ig_network_free(made.network);
        if (!failed) break;
    }
    ig_graph_free(graph);
    ig_model_free(model);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_what_was_written),
        cmocka_unit_test(refuses_by_name),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
