/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "base/random.h"
#include "kernels/nn/nn.h"
#include "kernels/nn/nn_fixed.h"
#include "kernels/nn/nn_plan.h"
#include "kernels/nn/nn_product.h"

#include <math.h>
#include <string.h>

static uint32_t tensor(struct ig_network *network, enum ig_network_type type, uint32_t columns,
                       const void *data)
{
    static const float scale = 0.1F;
    static const int32_t zero = 0;
    struct ig_network_tensor made = {.type = type, .rank = 2, .dims = {1, columns}, .data = data};
    if (type == IG_NETWORK_I8)
        made.quantization = (struct ig_network_quantization){&scale, &zero, 1, 0};
    return ig_network_add_tensor(network, &made);
}

static void layer(struct ig_network *network, enum ig_network_op op, uint32_t a, uint32_t b,
                  uint32_t output)
{
    const uint32_t inputs[] = {a, b};
    const struct ig_network_layer made = {
        .op = op, .inputs = inputs, .inputs_count = b == IG_NETWORK_NONE ? 1 : 2, .output = output};
    assert_int_not_equal(ig_network_add_layer(network, &made), IG_NETWORK_NONE);
}

static struct ig_nn *ready(const struct ig_network *network)
{
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn;
    const struct ig_nn_options options = {.isa = ig_cpu_isa()};
    if (ig_network_check(network, &err) != IG_OK) fail_msg("%s", err.message);
    if (ig_nn_new(&nn, network, &options, &err) != IG_OK) fail_msg("%s", err.message);
    return nn;
}

struct seen {
    uint32_t tensors[8], count;
    float first[8];
};

static void see(void *context, uint32_t index, const void *data)
{
    struct seen *seen = context;
    seen->tensors[seen->count] = index;
    memcpy(&seen->first[seen->count++], data, sizeof(float));
}

/* x -> relu -> a; a + constant -> b; reshape(b) -> c; c * a -> y. */
static void shares_memory_by_lifetime(void **state)
{
    (void)state;
    static const float half[2] = {0.5F, 0.5F};
    struct ig_network *network = ig_network_new(1 << 16);
    uint32_t x = tensor(network, IG_NETWORK_F32, 2, NULL);
    uint32_t constant = tensor(network, IG_NETWORK_F32, 2, half);
    uint32_t a = tensor(network, IG_NETWORK_F32, 2, NULL);
    uint32_t b = tensor(network, IG_NETWORK_F32, 2, NULL);
    uint32_t c = tensor(network, IG_NETWORK_F32, 2, NULL);
    uint32_t y = tensor(network, IG_NETWORK_F32, 2, NULL);
    uint32_t folded = tensor(network, IG_NETWORK_F32, 2, NULL);
    layer(network, IG_NETWORK_RELU, constant, IG_NETWORK_NONE, folded);
    layer(network, IG_NETWORK_RELU, x, IG_NETWORK_NONE, a);
    layer(network, IG_NETWORK_ADD, a, folded, b);
    layer(network, IG_NETWORK_RESHAPE, b, IG_NETWORK_NONE, c);
    layer(network, IG_NETWORK_MUL, c, a, y);
    assert_true(ig_network_set_inputs(network, &x, 1));
    assert_true(ig_network_set_outputs(network, &y, 1));
    struct ig_nn *nn = ready(network);
    assert_int_equal(ig_nn_arena_bytes(nn), 40); /* three of 8 bytes, 16 apart */
    assert_int_equal(ig_nn_offset(nn, b), ig_nn_offset(nn, c));
    assert_int_not_equal(ig_nn_offset(nn, a), ig_nn_offset(nn, b));
    assert_int_not_equal(ig_nn_offset(nn, a), ig_nn_offset(nn, y));
    assert_true(ig_nn_offset(nn, constant) == SIZE_MAX && ig_nn_offset(nn, folded) == SIZE_MAX);
    const float in[2] = {-1, 2};
    float out[2];
    struct seen seen = {.count = 0};
    const struct ig_nn_observer observer = {see, &seen};
    void *scratch = ig_alloc_aligned(64, ig_nn_scratch_bytes(nn));
    ig_nn_run_observed(nn, (const void *[]){in}, (void *[]){out}, scratch, &observer);
    assert_true(out[0] == 0 && out[1] == 5);
    const uint32_t order[] = {x, a, b, y};
    assert_int_equal(seen.count, 4);
    assert_memory_equal(seen.tensors, order, sizeof order);
    assert_true(seen.first[0] == -1 && seen.first[1] == 0 && seen.first[2] == 0.5F);
    ig_free(scratch);
    ig_nn_free(nn);
    ig_network_free(network);
}

/* Rows of real numbers through a network of int8. */
static void rows_are_real_numbers(void **state)
{
    (void)state;
    struct ig_network *network = ig_network_new(1 << 16);
    uint32_t x = tensor(network, IG_NETWORK_I8, 3, NULL);
    uint32_t y = tensor(network, IG_NETWORK_I8, 3, NULL);
    layer(network, IG_NETWORK_RELU, x, IG_NETWORK_NONE, y);
    assert_true(ig_network_set_inputs(network, &x, 1));
    assert_true(ig_network_set_outputs(network, (const uint32_t[]){y, x}, 2));
    struct ig_nn *nn = ready(network);
    struct ig_predictor predictor = ig_nn_predictor(nn);
    assert_int_equal(predictor.features_count, 3);
    assert_int_equal(predictor.values_count, 6);
    const double rows[2][3] = {{1.04, -2, 1e30}, {NAN, -INFINITY, 0.25}};
    const double expected[2][6] = {{1, 0, 12.7, 1, -2, 12.7}, {0, 0, 0.3, 0, -12.8, 0.3}};
    double values[2][6];
    void *scratch = ig_alloc_aligned(64, predictor.scratch_bytes(&predictor, 2));
    predictor.run(&predictor, rows[0], 2, values[0], scratch);
    for (int i = 0; i < 12; i++)
        assert_true(fabs(values[i / 6][i % 6] - expected[i / 6][i % 6]) < 1e-6);
    ig_free(scratch);
    ig_nn_free(nn);
    ig_network_free(network);
}

static void refuses_what_is_too_large(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    struct ig_nn *nn = NULL;
    struct ig_network *network = ig_network_new(1 << 16);
    uint32_t x = tensor(network, IG_NETWORK_F32, 1000, NULL);
    uint32_t y = tensor(network, IG_NETWORK_F32, 1000, NULL);
    layer(network, IG_NETWORK_TANH, x, IG_NETWORK_NONE, y);
    assert_true(ig_network_set_inputs(network, &x, 1));
    assert_true(ig_network_set_outputs(network, &y, 1));
    struct ig_nn_options options = {.max_bytes = 100};
    assert_int_equal(ig_nn_new(&nn, network, &options, &err), IG_NO_MEMORY);
    ig_err_clear(&err);
    network->tensors[x].dims[1] = network->tensors[y].dims[1] = 100000;
    options.max_bytes = 600000;
    assert_int_equal(ig_nn_new(&nn, network, &options, &err), IG_TOO_LARGE);
    assert_non_null(strstr(err.message, "would need 800"));
    ig_err_clear(&err);
    options = (struct ig_nn_options){.max_work = 199999};
    assert_int_equal(ig_nn_new(&nn, network, &options, &err), IG_TOO_LARGE);
    assert_non_null(strstr(err.message, "layer 0 (TANH): a run would take too long: 200000"));
    options.max_work = 0;
    for (uint64_t n = 1; n < 20; n++) {
        ig_err_clear(&err);
        ig_mem_fail_after(n);
        options.max_bytes = 0;
        enum ig_code code = ig_nn_new(&nn, network, &options, &err);
        bool failed = ig_mem_failed();
        ig_mem_fail_after(0);
        assert_int_equal(code, failed ? IG_NO_MEMORY : IG_OK);
        if (failed) continue;
        ig_nn_free(nn);
        break;
    }
    ig_network_free(network);
}

static void multipliers_and_roundings(void **state)
{
    (void)state;
    struct nn_multiplier half = nn_multiplier_of(0.5), third = nn_multiplier_of(1.0 / 3);
    assert_int_equal(half.fraction, 1 << 30);
    assert_int_equal(half.shift, 0);
    assert_int_equal(nn_multiplier_of(0.999999999999).fraction, 1 << 30); /* rounds up to 1 */
    assert_int_equal(nn_multiplier_of(0.999999999999).shift, 1);
    assert_int_equal(nn_multiplier_of(1e-12).fraction, 0);
    assert_int_equal(nn_multiplier_of(1e12).shift, 30);
    /* A half goes up, but away from zero where a shift rounds again. */
    assert_int_equal(nn_scale_single(-3, half), -1);
    assert_int_equal(nn_scale_double(-3, half), -1);
    assert_int_equal(nn_scale_single(-6, nn_multiplier_of(0.25)), -1);
    assert_int_equal(nn_scale_double(-6, nn_multiplier_of(0.25)), -2);
    assert_int_equal(nn_scale_single(3, half), 2);
    assert_int_equal(nn_scale_double(3, half), 2);
    assert_int_equal(nn_scale_single(-1000, third), -333);
    assert_int_equal(nn_scale_double(INT32_MAX, third), 715827882);
    assert_int_equal(nn_divide_pot(-5, 1), -3);
    assert_int_equal(nn_divide_pot(-6, 2), -2);
    assert_int_equal(nn_divide_pot(5, 34), 0);
    assert_int_equal(nn_high_product(INT32_MIN, INT32_MIN), INT32_MAX);
    assert_int_equal(nn_quantize(0.25F, 0.1F, 3), 6);
    assert_int_equal(nn_quantize(-0.25F, 0.1F, 3), 0);
    assert_int_equal(nn_quantize(NAN, 0.1F, 3), 3);
}

static void fixed_point_functions(void **state)
{
    (void)state;
    for (int32_t i = -15; i <= 15; i++) {
        double x = i / 2.0;
        int32_t fixed = (int32_t)(x * 0x1p27); /* 4 integer bits */
        assert_true(fabs(nn_logistic(fixed) * 0x1p-31 - 1 / (1 + exp(-x))) < 1e-6);
        assert_true(fabs(nn_tanh(fixed) * 0x1p-31 - tanh(x)) < 1e-6);
        if (x < 0) assert_true(fabs(nn_exp_negative(fixed, 4) * 0x1p-31 - exp(x)) < 1e-6);
    }
    assert_int_equal(nn_exp_negative(0, 5), INT32_MAX);
    assert_true(fabs(nn_reciprocal_plus_one(1 << 30) * 0x1p-31 - 1 / 1.5) < 1e-8);
    assert_true(fabs(nn_one_minus_over_plus(1 << 30) * 0x1p-31 - 0.5 / 1.5) < 1e-8);
    assert_int_equal(nn_input_radius(5, 20), 1984);
}

/* Random buffers: none that live together overlap, and the arena is not larger than their sum nor
 * smaller than the most that lives at once. */
static void plans_do_not_overlap(void **state)
{
    (void)state;
    enum { COUNT = 40, STEPS = 30 };
    struct ig_rng random;
    ig_rng_seed(&random, 7);
    for (int round = 0; round < 50; round++) {
        struct ig_nn_buffer buffers[COUNT];
        uint32_t order[COUNT];
        size_t sum = 0, most = 0;
        for (uint32_t i = 0; i < COUNT; i++) {
            uint32_t first = (uint32_t)(ig_rng_u64(&random) % STEPS);
            uint32_t last = first + (uint32_t)(ig_rng_u64(&random) % 5);
            buffers[i] = (struct ig_nn_buffer){ig_rng_u64(&random) % 300, first, last, 0};
            sum += (buffers[i].size_bytes + 15) / 16 * 16;
        }
        size_t arena = ig_nn_plan(buffers, COUNT, order);
        for (uint32_t step = 0; step < STEPS + 5; step++) {
            size_t alive = 0;
            for (uint32_t i = 0; i < COUNT; i++)
                if (buffers[i].first <= step && step <= buffers[i].last)
                    alive += buffers[i].size_bytes;
            most = alive > most ? alive : most;
        }
        assert_true(arena <= sum && arena >= most);
        for (uint32_t i = 0; i < COUNT; i++)
            for (uint32_t k = 0; k < i; k++) {
                const struct ig_nn_buffer *a = &buffers[i], *b = &buffers[k];
                if (a->first > b->last || b->first > a->last || !a->size_bytes || !b->size_bytes)
                    continue;
                assert_true(a->offset + a->size_bytes <= b->offset ||
                            b->offset + b->size_bytes <= a->offset);
            }
    }
}

static void gives_the_same_bits(const struct nn_products *b)
{
    enum { PAIRS = 37, COUNT = 2 * PAIRS };
    static int16_t rows[NN_ROWS * COUNT];
    static int8_t weights[COUNT * NN_BLOCK];
    static float rows_f32[NN_ROWS * COUNT], weights_f32[COUNT * NN_BLOCK];
    struct ig_rng random;
    ig_rng_seed(&random, 3);
    for (size_t i = 0; i < NN_ROWS * COUNT; i++) {
        rows[i] = (int16_t)(ig_rng_u64(&random) % 511 - 255);
        rows_f32[i] = (float)ig_rng_unit(&random) - 0.5F;
    }
    for (size_t i = 0; i < COUNT * NN_BLOCK; i++) {
        weights[i] = (int8_t)ig_rng_u64(&random);
        weights_f32[i] = (float)ig_rng_unit(&random) - 0.5F;
    }
    const struct nn_products *a = &nn_products_scalar;
    for (size_t n = 0; n <= PAIRS; n++) {
        int32_t x[2][NN_ROWS][NN_BLOCK];
        float y[2][NN_ROWS][NN_BLOCK];
        a->i8(x[0], rows, weights, n);
        b->i8(x[1], rows, weights, n);
        a->f32(y[0], rows_f32, weights_f32, n);
        b->f32(y[1], rows_f32, weights_f32, n);
        assert_memory_equal(x[0], x[1], sizeof x[0]);
        assert_memory_equal(y[0], y[1], sizeof y[0]);
        b->i8_row(x[1][0], rows, weights, n);
        b->f32_row(y[1][0], rows_f32, weights_f32, n);
        assert_memory_equal(x[0][0], x[1][0], sizeof x[0][0]);
        assert_memory_equal(y[0][0], y[1][0], sizeof y[0][0]);
        int32_t sums[2][PAIRS];
        const struct nn_cells cells = {weights,   weights + 300, n % 4,
                                       3,         2 * PAIRS,     PAIRS,
                                       3 * PAIRS, PAIRS,         (int16_t)((int16_t)n - 128)};
        a->depthwise_i8(sums[0], &cells, n);
        b->depthwise_i8(sums[1], &cells, n);
        assert_memory_equal(sums[0], sums[1], n * sizeof sums[0][0]);
    }
}

/* Sums of all sizes through multipliers of all sizes, over 1 too. */
static void finishes_alike(const struct nn_products *products)
{
    enum { CHANNELS = 23 };
    struct ig_rng random;
    ig_rng_seed(&random, 9);
    for (int round = 0; round < 4000; round++) {
        struct nn_multiplier multipliers[CHANNELS];
        int32_t bias[CHANNELS], sums[CHANNELS];
        int8_t out[2][CHANNELS];
        struct nn_finish finish = {bias, multipliers, (int32_t)ig_rng_below(&random, 256) - 128,
                                   -128, 127,         (enum ig_network_rounding)(round & 1),
                                   true, true};
        for (int c = 0; c < CHANNELS; c++) {
            multipliers[c] = nn_multiplier_of(ldexp(ig_rng_unit(&random), 2 - round % 34));
            sums[c] = (int32_t)ig_rng_u64(&random) >> (round % 31);
            bias[c] = (int32_t)ig_rng_u64(&random) >> (round % 29);
            finish.shrinks = finish.shrinks && multipliers[c].shift <= 0;
            finish.small = finish.small && multipliers[c].shift <= -2;
        }
        nn_products_scalar.finish_i8(out[0], sums, &finish, 0, CHANNELS);
        products->finish_i8(out[1], sums, &finish, 0, CHANNELS);
        assert_memory_equal(out[0], out[1], CHANNELS);
    }
}

static void forms_agree(void **state)
{
    (void)state;
    if (ig_cpu_isa() == IG_ISA_SCALAR) skip();
    for (enum ig_isa isa = IG_ISA_SCALAR + 1; isa <= ig_cpu_isa(); isa++) {
        gives_the_same_bits(nn_products_of[isa]);
        finishes_alike(nn_products_of[isa]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(shares_memory_by_lifetime),
        cmocka_unit_test(rows_are_real_numbers),
        cmocka_unit_test(refuses_what_is_too_large),
        cmocka_unit_test(multipliers_and_roundings),
        cmocka_unit_test(fixed_point_functions),
        cmocka_unit_test(plans_do_not_overlap),
        cmocka_unit_test(forms_agree),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
