/* SPDX-License-Identifier: Apache-2.0 */
/* A scaler in front and two shares out of one behind stay float around the int8 layers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/nn/nn.h"
#include "kernels/quantize/quantize_core.h"

#include <math.h>
#include <string.h>

enum { FEATURES = 3, HIDDEN = 6, ROWS = 400 };

struct builder {
    struct ig_network *network;
    struct ig_rng rng;
    uint32_t at; /* tensor so far */
};

static uint32_t add(struct builder *b, uint32_t rows, uint32_t columns, const float *values)
{
    struct ig_network_tensor tensor = {.type = IG_NETWORK_F32, .rank = 2, .dims = {rows, columns}};
    if (values) tensor.data = ig_network_keep(b->network, values, rows * columns * sizeof *values);
    return ig_network_add_tensor(b->network, &tensor);
}

static void layer(struct builder *b, enum ig_network_op op, const uint32_t *inputs, uint32_t count,
                  uint32_t columns)
{
    struct ig_network_layer made = {.op = op, .inputs = inputs, .inputs_count = count};
    made.output = add(b, 1, columns, NULL);
    if (op == IG_NETWORK_CONCATENATION) made.axis = 1;
    ig_network_add_layer(b->network, &made);
    b->at = made.output;
}

static void dense(struct builder *b, uint32_t from, uint32_t to)
{
    float weights[HIDDEN * HIDDEN], biases[HIDDEN];
    for (uint32_t i = 0; i < from * to; i++) weights[i] = (float)(2 * ig_rng_unit(&b->rng) - 1);
    for (uint32_t i = 0; i < to; i++) biases[i] = (float)(ig_rng_unit(&b->rng) - 0.5);
    const struct ig_network_tensor bias = {
        .type = IG_NETWORK_F32,
        .rank = 1,
        .dims = {to},
        .data = ig_network_keep(b->network, biases, to * sizeof *biases)};
    const uint32_t inputs[] = {b->at, add(b, to, from, weights),
                               ig_network_add_tensor(b->network, &bias)};
    layer(b, IG_NETWORK_FULLY_CONNECTED, inputs, 3, to);
}

/* Numbers about 1000, 0.001 and 5, brought to one size; then [1 - p, p]. */
static struct ig_network *make(bool tail_on_two)
{
    static const float MEANS[] = {1000, 0.001F, 5}, BY[] = {0.01F, 2000, 1}, ONE[] = {1};
    struct builder b = {.network = ig_network_new(1 << 20)};
    struct ig_err err = IG_ERR_INIT;
    assert_non_null(b.network);
    ig_rng_seed(&b.rng, 4);
    uint32_t input = b.at = add(&b, 1, FEATURES, NULL);
    const uint32_t less[] = {b.at, add(&b, 1, FEATURES, MEANS)};
    layer(&b, IG_NETWORK_SUB, less, 2, FEATURES);
    const uint32_t by[] = {b.at, add(&b, 1, FEATURES, BY)};
    layer(&b, IG_NETWORK_MUL, by, 2, FEATURES);
    dense(&b, FEATURES, HIDDEN);
    uint32_t hidden = b.at;
    dense(&b, HIDDEN, 1);
    layer(&b, IG_NETWORK_LOGISTIC, &b.at, 1, 1);
    uint32_t share = b.at;
    const uint32_t rest[] = {add(&b, 1, 1, ONE), share};
    layer(&b, IG_NETWORK_SUB, rest, 2, 1);
    const uint32_t joined[] = {b.at, tail_on_two ? hidden : share};
    layer(&b, IG_NETWORK_CONCATENATION, joined, 2, tail_on_two ? 1 + HIDDEN : 2);
    ig_network_set_inputs(b.network, &input, 1);
    ig_network_set_outputs(b.network, &b.at, 1);
    if (ig_network_check(b.network, &err) != IG_OK) fail_msg("%s", err.message);
    return b.network;
}

static void make_rows(float rows[ROWS * FEATURES])
{
    struct ig_rng rng;
    ig_rng_seed(&rng, 9);
    for (size_t i = 0; i < ROWS * FEATURES; i += FEATURES) {
        rows[i] = (float)(900 + 200 * ig_rng_unit(&rng));
        rows[i + 1] = (float)(0.0005 + 0.001 * ig_rng_unit(&rng));
        rows[i + 2] = (float)(4 + 2 * ig_rng_unit(&rng));
    }
}

static void run(const struct ig_network *network, const float *rows, float *out)
{
    struct ig_err err = IG_ERR_INIT;
    const struct ig_nn_options options = {.isa = IG_ISA_SCALAR};
    struct ig_nn *nn = NULL;
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    void *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn) + 64);
    for (size_t i = 0; i < ROWS; i++) {
        const void *input = rows + i * FEATURES;
        void *output = out + i * 2;
        ig_nn_run(nn, &input, &output, scratch);
    }
    ig_free(scratch);
    ig_nn_free(nn);
}

static uint32_t uses_of(const struct ig_network *network, uint32_t tensor)
{
    uint32_t uses = network->inputs[0] == tensor;
    for (uint32_t i = 0; i < network->layers_count; i++) {
        uses += network->layers[i].output == tensor;
        for (uint32_t k = 0; k < network->layers[i].inputs_count; k++)
            uses += network->layers[i].inputs[k] == tensor;
    }
    return uses;
}

static void ends_stay_float(void **state)
{
    (void)state;
    static float rows[ROWS * FEATURES], want[ROWS * 2], got[ROWS * 2];
    struct ig_network *network = make(false);
    struct ig_quantize_result result;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, 1 << 26);
    make_rows(rows);
    const struct ig_quantize_options options = {.rows = rows, .rows_count = ROWS, .calibrator = -1};
    if (ig_quantize_core_run(&result, &arena, network, &options, &err)) fail_msg("%s", err.message);
    run(network, rows, want);
    run(result.network, rows, got);
    for (size_t i = 0; i < 2 * ROWS; i++) assert_float_equal(got[i], want[i], 0.02);
    static const enum ig_network_op ops[] = {IG_NETWORK_SUB,
                                             IG_NETWORK_MUL,
                                             IG_NETWORK_QUANTIZE,
                                             IG_NETWORK_FULLY_CONNECTED,
                                             IG_NETWORK_FULLY_CONNECTED,
                                             IG_NETWORK_LOGISTIC,
                                             IG_NETWORK_DEQUANTIZE,
                                             IG_NETWORK_SUB,
                                             IG_NETWORK_CONCATENATION};
    assert_int_equal(result.network->layers_count, sizeof ops / sizeof *ops);
    for (size_t i = 0; i < sizeof ops / sizeof *ops; i++)
        assert_int_equal(result.network->layers[i].op, ops[i]);
    assert_int_equal(result.network->tensors[result.network->layers[3].inputs[1]].type,
                     IG_NETWORK_I8);
    for (uint32_t i = 0; i < result.network->tensors_count; i++)
        assert_true(uses_of(result.network, i) > 0);
    assert_int_equal(result.report.layers[0].layer, 2);
    ig_network_free(result.network);
    ig_network_free(network);
    ig_arena_deinit(&arena);
}

/* Zero points of 0 everywhere; the sigmoid, which has another, stays float. */
static void keeps_zero_points_at_zero(void **state)
{
    (void)state;
    static float rows[ROWS * FEATURES], want[ROWS * 2], got[ROWS * 2];
    struct ig_network *network = make(false);
    struct ig_quantize_result result;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    uint32_t seen = 0;
    ig_arena_init(&arena, 1 << 16, 1 << 26);
    make_rows(rows);
    const struct ig_quantize_options options = {
        .rows = rows, .rows_count = ROWS, .calibrator = -1, .symmetric = true};
    if (ig_quantize_core_run(&result, &arena, network, &options, &err)) fail_msg("%s", err.message);
    run(network, rows, want);
    run(result.network, rows, got);
    for (size_t i = 0; i < 2 * ROWS; i++) assert_float_equal(got[i], want[i], 0.03);
    for (uint32_t i = 0; i < result.network->tensors_count; i++) {
        const struct ig_network_tensor *tensor = &result.network->tensors[i];
        if (tensor->type != IG_NETWORK_I8 || tensor->data) continue;
        assert_int_equal(tensor->quantization.zero_points[0], 0);
        seen++;
    }
    assert_int_equal(seen, 3); /* the input and two layers */
    assert_int_equal(result.network->layers[6].op, IG_NETWORK_LOGISTIC);
    assert_int_equal(result.network->layers[5].op, IG_NETWORK_DEQUANTIZE);
    ig_network_free(result.network);
    ig_network_free(network);
    ig_arena_deinit(&arena);
}

static void refuses_a_tail_on_two_tensors(void **state)
{
    (void)state;
    static float rows[ROWS * FEATURES];
    struct ig_network *network = make(true);
    struct ig_quantize_result result;
    struct ig_err err = IG_ERR_INIT;
    struct ig_arena arena;
    ig_arena_init(&arena, 1 << 16, 1 << 26);
    make_rows(rows);
    const struct ig_quantize_options options = {.rows = rows, .rows_count = ROWS, .calibrator = -1};
    assert_int_equal(ig_quantize_core_run(&result, &arena, network, &options, &err),
                     IG_UNSUPPORTED);
    assert_non_null(strstr(err.message, "cannot be trained"));
    ig_network_free(network);
    ig_arena_deinit(&arena);
}

static void says_when_memory_is_out(void **state)
{
    (void)state;
    static float rows[ROWS * FEATURES];
    struct ig_network *network = make(false);
    make_rows(rows);
    const struct ig_quantize_options options = {.rows = rows, .rows_count = 40, .calibrator = 0};
    for (uint64_t n = 1; n < 60; n++) {
        struct ig_quantize_result result = {0};
        struct ig_err err = IG_ERR_INIT;
        struct ig_arena arena;
        ig_arena_init(&arena, 1 << 16, 1 << 26);
        ig_mem_fail_after(n);
        enum ig_code code = ig_quantize_core_run(&result, &arena, network, &options, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
        ig_network_free(result.network);
        ig_arena_deinit(&arena);
        if (!failed) break;
    }
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ends_stay_float),
        cmocka_unit_test(keeps_zero_points_at_zero),
        cmocka_unit_test(refuses_a_tail_on_two_tensors),
        cmocka_unit_test(says_when_memory_is_out),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
