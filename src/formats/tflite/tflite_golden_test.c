/* SPDX-License-Identifier: Apache-2.0 */
/* Small models of every operator, with the answers of LiteRT and of TensorFlow Lite Micro
 * (tests/golden/make_tflite.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/proto.h"
#include "formats/tflite/tflite.h"
#include "kernels/nn/nn.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CASES_MIN = 70 };

struct golden {
    struct ig_str name, model, inputs, lite, micro;
    size_t rows;
};

/* LiteRT's default kernels (XNNPACK) compute these in other ways than TensorFlow Lite's own; they
 * may be a step away. */
static const char *const a_step_away[] = {"mul_int8", "mean_int8", "requantize",
                                          "relu_n1_to_1_int8"};

static struct ig_str read_bundle(void)
{
    char path[512];
    const char *source = getenv("INGOT_SOURCE_DIR");
    snprintf(path, sizeof path, "%s/tests/golden/tflite/small.bin", source ? source : ".");
    FILE *file = fopen(path, "rb");
    if (!file) fail_msg("no %s", path);
    char *bytes = ig_alloc(1 << 20);
    size_t size = fread(bytes, 1, 1 << 20, file);
    fclose(file);
    return (struct ig_str){bytes, size};
}

static struct golden read_case(struct ig_str message)
{
    struct golden golden = {0};
    struct ig_str *const texts[] = {NULL,           &golden.name, &golden.model,
                                    &golden.inputs, &golden.lite, &golden.micro};
    struct ig_proto proto;
    struct ig_proto_field field;
    ig_proto_init(&proto, message);
    while (ig_proto_next(&proto, &field))
        if (field.number <= 5)
            *texts[field.number] = field.bytes;
        else
            golden.rows = (size_t)field.value;
    assert_false(proto.bad);
    return golden;
}

static size_t bytes_of(const struct ig_network *network, const uint32_t *tensors, uint32_t count)
{
    size_t sum = 0;
    for (uint32_t i = 0; i < count; i++)
        sum += ig_network_tensor_bytes(&network->tensors[tensors[i]]);
    return sum;
}

/* Rows through the network, outputs one behind the other; freed by the caller. */
static char *run_rows(const struct ig_network *network, enum ig_isa isa, struct ig_str inputs,
                      size_t rows)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = isa};
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    size_t in = bytes_of(network, network->inputs, network->inputs_count);
    size_t out = bytes_of(network, network->outputs, network->outputs_count);
    assert_int_equal(in * rows, inputs.len);
    char *answers = ig_zalloc(out * rows), *copy = ig_alloc(inputs.len), *to = answers;
    void *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn));
    memcpy(copy, inputs.ptr, inputs.len);
    const char *from = copy;
    for (size_t row = 0; row < rows; row++) {
        const void *ins[4];
        void *outs[4];
        for (uint32_t i = 0; i < network->inputs_count; i++) {
            ins[i] = from;
            from += ig_network_tensor_bytes(&network->tensors[network->inputs[i]]);
        }
        for (uint32_t i = 0; i < network->outputs_count; i++) {
            outs[i] = to;
            to += ig_network_tensor_bytes(&network->tensors[network->outputs[i]]);
        }
        memset(scratch, 0x5a, ig_nn_scratch_bytes(nn));
        ig_nn_run(nn, ins, outs, scratch);
    }
    ig_free(scratch);
    ig_free(copy);
    ig_nn_free(nn);
    return answers;
}

/* The greatest difference: in steps of int8, or relative of floats. */
static double apart(const struct ig_network *network, const char *answers, struct ig_str expected)
{
    double worst = 0;
    bool i8 = network->tensors[network->outputs[0]].type == IG_NETWORK_I8;
    for (size_t i = 0; i < expected.len / (i8 ? 1 : sizeof(float)); i++) {
        float a, b;
        memcpy(&a, answers + i * sizeof a, i8 ? 0 : sizeof a);
        memcpy(&b, expected.ptr + i * sizeof b, i8 ? 0 : sizeof b);
        double difference = i8 ? abs(((const int8_t *)answers)[i] - (int8_t)expected.ptr[i])
                               : fabs((double)a - (double)b) / fmax(1, fabs((double)b));
        if (difference > worst) worst = difference;
    }
    return worst;
}

static double tolerance_of(const struct golden *golden, bool i8)
{
    if (!i8) return 2e-6;
    for (size_t i = 0; i < sizeof a_step_away / sizeof *a_step_away; i++)
        if (ig_str_starts(golden->name, ig_str_view(a_step_away[i]))) return 1;
    return 0;
}

static void check_case(const struct golden *golden)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_network *network;
    if (ig_tflite_network(&network, golden->model, &err) != IG_OK)
        fail_msg("%.*s: %s", IG_STR_ARGS(golden->name), err.message);
    bool i8 = network->tensors[network->outputs[0]].type == IG_NETWORK_I8;
    for (int pass = 0; pass < (golden->micro.len ? 2 : 1); pass++) {
        network->rounding = pass ? IG_NETWORK_ROUNDING_DOUBLE : IG_NETWORK_ROUNDING_SINGLE;
        struct ig_str expected = pass ? golden->micro : golden->lite;
        double tolerance = pass ? 0 : tolerance_of(golden, i8);
        char *scalar = run_rows(network, IG_ISA_SCALAR, golden->inputs, golden->rows);
        for (enum ig_isa isa = IG_ISA_SCALAR + 1; isa <= ig_cpu_isa(); isa++) {
            char *form = run_rows(network, isa, golden->inputs, golden->rows);
            assert_memory_equal(scalar, form, expected.len);
            ig_free(form);
        }
        double worst = apart(network, scalar, expected);
        if (worst > tolerance)
            fail_msg("%.*s: %s is %g away", IG_STR_ARGS(golden->name),
                     pass ? "TensorFlow Lite Micro" : "LiteRT", worst);
        ig_free(scalar);
    }
    ig_network_free(network);
}

static void answers_as_the_field_does(void **state)
{
    (void)state;
    struct ig_str bundle = read_bundle();
    struct ig_proto proto;
    struct ig_proto_field field;
    size_t cases = 0;
    ig_proto_init(&proto, bundle);
    for (; ig_proto_next(&proto, &field); cases++) {
        struct golden golden = read_case(field.bytes);
        check_case(&golden);
    }
    assert_false(proto.bad);
    assert_true(cases >= CASES_MIN);
    ig_free((void *)(uintptr_t)bundle.ptr);
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(answers_as_the_field_does)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
