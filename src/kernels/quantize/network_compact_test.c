/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "kernels/quantize/network_compact.h"
#include "kernels/quantize/network_testing.h"

#include <string.h>

static struct network_maker begin(uint32_t rank, const uint32_t *dims)
{
    struct network_maker maker = {ig_network_new(1 << 20), 1, 0, IG_NETWORK_NONE};
    maker.last = maker_tensor(&maker, rank, dims, 0.5F, 3);
    ig_network_set_inputs(maker.network, &maker.last, 1);
    return maker;
}

static struct ig_network_compact *end(struct network_maker *maker, struct ig_err *err)
{
    struct ig_network_compact *compact = NULL;
    struct ig_err good = IG_ERR_INIT;
    ig_network_set_outputs(maker->network, &maker->last, 1);
    if (ig_network_check(maker->network, &good) != IG_OK) fail_msg("%s", good.message);
    ig_network_compact_new(&compact, maker->network, err);
    return compact;
}

static int32_t i32_at(const struct ig_network_compact *compact, uint32_t at)
{
    int32_t value;
    memcpy(&value, compact->constants.ptr + at, sizeof value);
    return value;
}

/* One convolution of 1 x 1: its constants, and the output over the input. */
static void constants_stand_in_their_order(void **state)
{
    (void)state;
    struct ig_err err = IG_ERR_INIT;
    static const int8_t weights[] = {1, -2, 127, 0, 5, -127};
    static const int32_t biases[] = {7, -1000, 0};
    const float scales[] = {0.25F, 0.5F, 1e-12F};
    const int32_t zeros[3] = {0};
    struct network_maker maker = begin(4, (const uint32_t[]){1, 4, 4, 2});
    const struct ig_network_tensor w = {.type = IG_NETWORK_I8,
                                        .rank = 4,
                                        .dims = {3, 1, 1, 2},
                                        .data = weights,
                                        .quantization = {scales, zeros, 3, 0}};
    const struct ig_network_tensor b = {
        .type = IG_NETWORK_I32, .rank = 1, .dims = {3}, .data = biases};
    const uint32_t inputs[] = {maker.last, ig_network_add_tensor(maker.network, &w),
                               ig_network_add_tensor(maker.network, &b)};
    struct ig_network_layer layer = {
        .op = IG_NETWORK_CONV_2D,
        .inputs = inputs,
        .inputs_count = 3,
        .activation = IG_NETWORK_ACTIVATION_RELU,
        .window = {.stride_h = 1, .stride_w = 1, .dilation_h = 1, .dilation_w = 1}};
    layer.output = maker_tensor(&maker, 4, (const uint32_t[]){1, 4, 4, 3}, 0.25F, -7);
    ig_network_add_layer(maker.network, &layer);
    maker.last = layer.output;
    struct ig_network_compact *compact = end(&maker, &err);
    if (!compact) fail_msg("%s", err.message);
    const struct ig_compact_layer *made = &compact->layers[0];
    assert_int_equal(compact->constants.len, 3 * 4 + 3 * 5 + 6);
    for (uint32_t c = 0; c < 3; c++) assert_int_equal(i32_at(compact, 4 * c), biases[c]);
    assert_int_equal(i32_at(compact, 12), 1 << 30); /* 0.5 * 0.25 / 0.25 = 0.5 */
    assert_int_equal(compact->constants.ptr[24], 0);
    assert_int_equal(i32_at(compact, 16), 1 << 30); /* 1 */
    assert_int_equal(compact->constants.ptr[25], 1);
    assert_int_equal(i32_at(compact, 20), 0); /* too small */
    assert_int_equal(compact->constants.ptr[26], -2);
    assert_memory_equal(compact->constants.ptr + 27, weights, sizeof weights);
    assert_int_equal(made->sum_bits, 16); /* 255 * (127 + 0) + 1000 = 33385 */
    assert_int_equal(made->least, -7);
    assert_int_equal(made->most, 127);
    assert_int_equal(compact->products, 96);
    assert_int_equal(compact->tensors_count, 2);
    /* The last pair's outputs end where its inputs do, and scratch lies apart. */
    assert_int_equal(made->scratch_bytes, 16);
    assert_int_equal(compact->arena_bytes, 64);
    ig_network_compact_free(compact);
    ig_network_free(maker.network);
}

static void refuse(struct network_maker *maker, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    assert_null(end(maker, &err));
    assert_int_equal(err.code, IG_UNSUPPORTED);
    if (!strstr(err.message, message)) fail_msg("'%s', expected '%s'", err.message, message);
    ig_network_free(maker->network);
}

static void refuses_what_devices_do_not_run(void **state)
{
    (void)state;
    struct network_maker maker = begin(4, (const uint32_t[]){1, 3, 3, 2});
    struct ig_network_layer layer = {.op = IG_NETWORK_MEAN, .inputs_count = 1, .axes = 10};
    layer.inputs = &(const uint32_t){maker.last};
    maker_layer(&maker, &layer, false);
    refuse(&maker, "layer 0 (MEAN): means over dimensions that are no neighbours");
    maker = begin(5, (const uint32_t[]){1, 2, 2, 2, 2});
    maker_plain(&maker, IG_NETWORK_RELU);
    refuse(&maker, "a tensor of rank 5, at most 4");
    maker = begin(2, (const uint32_t[]){1, 70000});
    maker_plain(&maker, IG_NETWORK_RELU);
    refuse(&maker, "dimension 1 is 70000, at most 65535");
    maker = begin(2, (const uint32_t[]){1, 5000});
    maker.network->rounding = IG_NETWORK_ROUNDING_DOUBLE;
    maker_plain(&maker, IG_NETWORK_SOFTMAX);
    refuse(&maker, "5000 classes, at most 4095");
    maker = begin(2, (const uint32_t[]){1, 4});
    const uint32_t input = maker_tensor(&maker, 2, (const uint32_t[]){1, 4}, 0, 0);
    const uint32_t output = maker_tensor(&maker, 2, (const uint32_t[]){1, 4}, 0, 0);
    layer = (struct ig_network_layer){
        .op = IG_NETWORK_RELU, .inputs = &input, .inputs_count = 1, .output = output};
    ig_network_add_layer(maker.network, &layer);
    ig_network_set_inputs(maker.network, &input, 1);
    maker.last = output;
    refuse(&maker, "computes in float32, devices in int8");
}

/* Whatever is random: places within the arena, and a failure of memory is told. */
static void random_networks(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 20; seed++) {
        struct ig_err err = IG_ERR_INIT;
        struct ig_network *network = ig_testing_network(seed);
        struct ig_network_compact *compact = NULL;
        if (ig_network_compact_new(&compact, network, &err) != IG_OK) fail_msg("%s", err.message);
        for (uint32_t i = 0; i < compact->tensors_count; i++) {
            const struct ig_compact_tensor *t = &compact->tensors[i];
            size_t bytes = ig_network_tensor_bytes(t->tensor);
            size_t end = t->constant ? compact->constants.len : compact->arena_bytes;
            assert_true(t->offset + bytes <= end);
        }
        ig_network_compact_free(compact);
        for (uint64_t n = 1; seed == 1; n++) {
            ig_mem_fail_after(n);
            enum ig_code code = ig_network_compact_new(&compact, network, &err);
            bool failed = ig_mem_failed();
            ig_mem_fail_after(0);
            if (code == IG_OK) ig_network_compact_free(compact);
            if (!failed) break;
            assert_int_not_equal(code, IG_OK);
            ig_err_clear(&err);
        }
        ig_network_free(network);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(constants_stand_in_their_order),
        cmocka_unit_test(refuses_what_devices_do_not_run),
        cmocka_unit_test(random_networks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
