/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "model/network.h"

#include <math.h>
#include <string.h>

enum { X, W1, B1, CONV, POOL, FLAT, W2, B2, FC, PROBABILITIES, TENSORS_COUNT };
enum { L_CONV, L_POOL, L_RESHAPE, L_FC, L_SOFTMAX, LAYERS_COUNT };

static void add(struct ig_network *network, struct ig_network_tensor tensor)
{
    uint32_t expected = network->tensors_count;
    assert_int_equal(ig_network_add_tensor(network, &tensor), expected);
}

#define STEPS(scale, zero)                                                                         \
    {                                                                                              \
        (const float[]){scale}, (const int32_t[]){zero}, 1, 0                                      \
    }

/* Image 1 x 6 x 6 x 1 -> conv 3 x 3 of 2 -> mean pool 2 x 2 -> 3 classes, in int8. */
static struct ig_network *small_network(void)
{
    static const int8_t conv_weights[18] = {1, -2, 3}, weights[24] = {5, 6};
    static const int32_t conv_bias[2] = {100, -100}, bias[3] = {1, 2, 3};
    static const float scales[] = {0.02F, 0.01F}, bias_scales[] = {0.001F, 0.0005F};
    static const int32_t zeros[] = {0, 0};
    struct ig_network *network = ig_network_new(1 << 20);
    assert_non_null(network);
    add(network, (struct ig_network_tensor){
                     IG_STR("x"), IG_NETWORK_I8, 4, {1, 6, 6, 1}, NULL, STEPS(0.05F, -3)});
    add(network, (struct ig_network_tensor){IG_STR("conv/weights"),
                                            IG_NETWORK_I8,
                                            4,
                                            {2, 3, 3, 1},
                                            conv_weights,
                                            {scales, zeros, 2, 0}});
    add(network,
        (struct ig_network_tensor){
            IG_STR("conv/bias"), IG_NETWORK_I32, 1, {2}, conv_bias, {bias_scales, zeros, 2, 0}});
    add(network, (struct ig_network_tensor){
                     IG_STR("conv"), IG_NETWORK_I8, 4, {1, 4, 4, 2}, NULL, STEPS(0.1F, -128)});
    add(network, (struct ig_network_tensor){
                     IG_STR("pool"), IG_NETWORK_I8, 4, {1, 2, 2, 2}, NULL, STEPS(0.1F, -128)});
    add(network, (struct ig_network_tensor){
                     IG_STR("flat"), IG_NETWORK_I8, 2, {1, 8}, NULL, STEPS(0.1F, -128)});
    add(network, (struct ig_network_tensor){
                     IG_STR("fc/weights"), IG_NETWORK_I8, 2, {3, 8}, weights, STEPS(0.02F, 0)});
    add(network, (struct ig_network_tensor){
                     IG_STR("fc/bias"), IG_NETWORK_I32, 1, {3}, bias, STEPS(0.002F, 0)});
    add(network,
        (struct ig_network_tensor){IG_STR("fc"), IG_NETWORK_I8, 2, {1, 3}, NULL, STEPS(0.2F, 7)});
    add(network,
        (struct ig_network_tensor){
            IG_STR("probabilities"), IG_NETWORK_I8, 2, {1, 3}, NULL, STEPS(1.0F / 256, -128)});
    const struct ig_network_window conv = {IG_NETWORK_PADDING_VALID, 1, 1, 1, 1, 0, 0};
    const struct ig_network_window pool = {IG_NETWORK_PADDING_SAME, 2, 2, 0, 0, 2, 2};
    const struct ig_network_layer layers[LAYERS_COUNT] = {
        {.op = IG_NETWORK_CONV_2D,
         .inputs = (const uint32_t[]){X, W1, B1},
         .inputs_count = 3,
         .output = CONV,
         .activation = IG_NETWORK_ACTIVATION_RELU,
         .window = conv},
        {.op = IG_NETWORK_AVERAGE_POOL_2D,
         .inputs = (const uint32_t[]){CONV},
         .inputs_count = 1,
         .output = POOL,
         .window = pool},
        {.op = IG_NETWORK_RESHAPE,
         .inputs = (const uint32_t[]){POOL},
         .inputs_count = 1,
         .output = FLAT},
        {.op = IG_NETWORK_FULLY_CONNECTED,
         .inputs = (const uint32_t[]){FLAT, W2, B2},
         .inputs_count = 3,
         .output = FC},
        {.op = IG_NETWORK_SOFTMAX,
         .inputs = (const uint32_t[]){FC},
         .inputs_count = 1,
         .output = PROBABILITIES,
         .beta = 1},
    };
    for (uint32_t i = 0; i < LAYERS_COUNT; i++)
        assert_int_equal(ig_network_add_layer(network, &layers[i]), i);
    assert_true(ig_network_set_inputs(network, (const uint32_t[]){X}, 1));
    assert_true(ig_network_set_outputs(network, (const uint32_t[]){PROBABILITIES}, 1));
    return network;
}

static void expect(const struct ig_network *network, enum ig_code code, const char *message)
{
    struct ig_err err = IG_ERR_INIT;
    enum ig_code got = ig_network_check(network, &err);
    if (got != code || (code != IG_OK && !strstr(err.message, message)))
        fail_msg("%s '%s', expected %s '%s'", ig_code_name(got), err.message, ig_code_name(code),
                 message);
}

/* Sets a place to a value, expects the message, and puts it back. */
#define BREAK(place, value, code, message)                                                         \
    do {                                                                                           \
        __typeof__(place) kept = (place);                                                          \
        (place) = (value);                                                                         \
        expect(network, (code), (message));                                                        \
        (place) = kept;                                                                            \
        expect(network, IG_OK, "");                                                                \
    } while (0)

static void checks_wiring(void **state)
{
    (void)state;
    struct ig_network *network = small_network();
    struct ig_network_layer *layers = network->layers;
    expect(network, IG_OK, "");
    BREAK(layers[L_CONV].inputs, ((const uint32_t[]){POOL, W1, B1}), IG_INVALID,
          "layer 0 (CONV_2D): input 0 (tensor 4) comes from no earlier layer");
    BREAK(layers[L_CONV].inputs, ((const uint32_t[]){X, W1, 99}), IG_INVALID, "tensor 99");
    BREAK(layers[L_CONV].inputs, ((const uint32_t[]){IG_NETWORK_NONE, W1, B1}), IG_INVALID,
          "no earlier layer");
    BREAK(layers[L_CONV].inputs_count, 1, IG_INVALID, "1 inputs, expected 2 to 3");
    BREAK(layers[L_POOL].output, CONV, IG_INVALID, "given twice");
    BREAK(layers[L_POOL].output, X, IG_INVALID, "given twice");
    BREAK(layers[L_POOL].output, W2, IG_INVALID, "given twice");
    BREAK(layers[L_POOL].output, 1000, IG_INVALID, "unknown");
    BREAK(layers[L_POOL].op, IG_NETWORK_OPS_COUNT, IG_INVALID, "layer 1: operator");
    BREAK(layers[L_SOFTMAX].activation, IG_NETWORK_ACTIVATION_RELU, IG_INVALID, "activation 1");
    BREAK(layers[L_CONV].activation, IG_NETWORK_ACTIVATIONS_COUNT, IG_INVALID, "activation 4");
    BREAK(layers[L_SOFTMAX].beta, 0, IG_INVALID, "beta is 0");
    BREAK(layers[L_SOFTMAX].beta, NAN, IG_INVALID, "beta is nan");
    BREAK(network->inputs[0], W1, IG_INVALID, "input 0 is tensor 1");
    BREAK(network->outputs[0], W1, IG_INVALID, "output 0 (tensor 1)");
    BREAK(network->outputs_count, 0, IG_INVALID, "no output");
    BREAK(network->layers_count, 4, IG_INVALID, "output 0");
    BREAK(network->rounding, (enum ig_network_rounding)2, IG_INVALID, "rounding 2");
    BREAK(network->tensors_count, 20000, IG_UNSUPPORTED, "20000 tensors");
    BREAK(network->tensors[W1].data, NULL, IG_INVALID, "but only constants");
    network->layers[L_CONV].inputs = (const uint32_t[]){X, W1, IG_NETWORK_NONE};
    expect(network, IG_OK, "");
    ig_network_free(network);
}

static void checks_shapes(void **state)
{
    (void)state;
    struct ig_network *network = small_network();
    struct ig_network_layer *layers = network->layers;
    struct ig_network_tensor *tensors = network->tensors;
    BREAK(tensors[CONV].dims[1], 6, IG_INVALID, "dimension 1 of the output is 6, expected 4");
    BREAK(tensors[CONV].dims[1], 0, IG_UNSUPPORTED, "tensor 3 'conv'");
    BREAK(tensors[CONV].dims[1], 1U << 31, IG_UNSUPPORTED, "tensor 3 'conv'");
    BREAK(tensors[CONV].rank, 7, IG_UNSUPPORTED, "rank 7");
    BREAK(tensors[FLAT].rank, 1, IG_INVALID, "8 elements become 1");
    BREAK(tensors[FC].rank, 1, IG_INVALID, "rank 1, expected 2");
    BREAK(layers[L_CONV].window.stride_h, 0, IG_INVALID, "stride_h is 0");
    BREAK(layers[L_CONV].window.dilation_w, 0, IG_INVALID, "dilation_w is 0");
    BREAK(layers[L_CONV].window.dilation_w, 3, IG_INVALID, "does not fit");
    BREAK(layers[L_POOL].window.dilation_w, 2, IG_INVALID, "dilation_w is 2");
    BREAK(layers[L_POOL].window.filter_w, 0, IG_INVALID, "filter_w is 0");
    BREAK(layers[L_POOL].window.padding, (enum ig_network_padding)2, IG_INVALID, "padding 2");
    BREAK(tensors[W1].dims[3], 2, IG_UNSUPPORTED, "weights take 2 channels, the input has 1");
    BREAK(tensors[W2].dims[1], 7, IG_INVALID, "no multiple of the weights' 7");
    BREAK(tensors[B2].dims[0], 2, IG_INVALID, "no vector of 3 elements of type int32");
    ig_network_free(network);
}

static void checks_quantization(void **state)
{
    (void)state;
    struct ig_network *network = small_network();
    struct ig_network_tensor *tensors = network->tensors;
    BREAK(tensors[X].quantization.scales, (const float[]){0}, IG_INVALID, "scale 0 is 0");
    BREAK(tensors[X].quantization.scales, (const float[]){INFINITY}, IG_INVALID, "scale 0 is inf");
    BREAK(tensors[X].quantization.zero_points, (const int32_t[]){128}, IG_INVALID,
          "zero point 0 is 128");
    BREAK(tensors[X].quantization.count, 0, IG_INVALID, "int8 without a scale");
    BREAK(tensors[W1].quantization.zero_points, ((const int32_t[]){0, 1}), IG_UNSUPPORTED,
          "zero point 1 of the weights is 1");
    BREAK(tensors[W1].quantization.dimension, 3, IG_INVALID, "2 scales along dimension 3");
    BREAK(tensors[B2].quantization.zero_points, (const int32_t[]){1}, IG_INVALID,
          "zero point 0 is 1");
    BREAK(tensors[B2].quantization.scales, (const float[]){0.02F}, IG_INVALID,
          "expected input * weights");
    BREAK(tensors[B1].quantization.count, 1, IG_INVALID, "1 scales of the bias, 2 of the weights");
    BREAK(tensors[B2].quantization.count, 0, IG_OK, "");
    BREAK(tensors[POOL].quantization.scales, (const float[]){0.2F}, IG_INVALID,
          "scale or zero point of input 0 and output differ");
    BREAK(tensors[PROBABILITIES].quantization.zero_points, (const int32_t[]){0}, IG_INVALID,
          "expected 1/256 and -128");
    BREAK(tensors[X].type, IG_NETWORK_I32, IG_UNSUPPORTED, "int32 is of constants alone");
    BREAK(tensors[W2].type, IG_NETWORK_I32, IG_UNSUPPORTED, "weights of type int32");
    BREAK(tensors[B2].type, IG_NETWORK_F32, IG_INVALID, "scales of type float32");
    tensors[PROBABILITIES].type = IG_NETWORK_F32;
    tensors[PROBABILITIES].quantization.count = 0;
    expect(network, IG_UNSUPPORTED, "input of type int8, output of type float32");
    ig_network_free(network);
}

/* One layer over x and y, and the shape that is expected of it. */
struct shape_case {
    struct ig_network_layer layer;
    uint32_t x_rank, x[IG_NETWORK_RANK_MAX];
    uint32_t y_rank, y[IG_NETWORK_RANK_MAX]; /* rank 0: no second input */
    uint32_t rank, dims[IG_NETWORK_RANK_MAX];
    const char *message; /* or this error */
};

static void infer_case(const struct shape_case *at)
{
    struct ig_network *network = ig_network_new(1 << 16);
    static const float data[64];
    struct ig_network_tensor x = {.type = IG_NETWORK_F32, .rank = at->x_rank};
    struct ig_network_tensor y = {.type = IG_NETWORK_F32, .rank = at->y_rank, .data = data};
    struct ig_network_tensor out = {.type = IG_NETWORK_F32, .rank = at->rank};
    memcpy(x.dims, at->x, sizeof x.dims);
    memcpy(y.dims, at->y, sizeof y.dims);
    memcpy(out.dims, at->dims, sizeof out.dims);
    add(network, x);
    add(network, y);
    add(network, out);
    struct ig_network_layer layer = at->layer;
    layer.inputs = (const uint32_t[]){0, 1};
    layer.inputs_count = at->y_rank ? 2 : 1;
    layer.output = 2;
    assert_int_equal(ig_network_add_layer(network, &layer), 0);
    assert_true(ig_network_set_inputs(network, (const uint32_t[]){0}, 1));
    assert_true(ig_network_set_outputs(network, (const uint32_t[]){2}, 1));
    expect(network, at->message ? IG_INVALID : IG_OK, at->message ? at->message : "");
    ig_network_free(network);
}

static const struct shape_case shape_cases[] = {
    {{.op = IG_NETWORK_CONV_2D, .window = {IG_NETWORK_PADDING_SAME, 2, 2, 1, 1, 0, 0}},
     .x_rank = 4,
     .x = {1, 49, 10, 1},
     .y_rank = 4,
     .y = {2, 10, 3, 1},
     .rank = 4,
     .dims = {1, 25, 5, 2}},
    {{.op = IG_NETWORK_CONV_2D, .window = {IG_NETWORK_PADDING_VALID, 2, 1, 2, 2, 0, 0}},
     .x_rank = 4,
     .x = {1, 9, 9, 1},
     .y_rank = 4,
     .y = {4, 3, 3, 1},
     .rank = 4,
     .dims = {1, 3, 5, 4}},
    {{.op = IG_NETWORK_DEPTHWISE_CONV_2D, .window = {IG_NETWORK_PADDING_VALID, 1, 1, 1, 1, 0, 0}},
     .x_rank = 4,
     .x = {1, 5, 5, 2},
     .y_rank = 4,
     .y = {1, 3, 3, 4},
     .rank = 4,
     .dims = {1, 3, 3, 4}},
    {{.op = IG_NETWORK_DEPTHWISE_CONV_2D, .window = {IG_NETWORK_PADDING_VALID, 1, 1, 1, 1, 0, 0}},
     .x_rank = 4,
     .x = {1, 5, 5, 2},
     .y_rank = 4,
     .y = {1, 3, 3, 3},
     .rank = 4,
     .dims = {1, 3, 3, 3},
     .message = "multiple of 2 channels"},
    {{.op = IG_NETWORK_FULLY_CONNECTED, .keep_dims = true},
     .x_rank = 3,
     .x = {2, 3, 4},
     .y_rank = 2,
     .y = {5, 4},
     .rank = 3,
     .dims = {2, 3, 5}},
    {{.op = IG_NETWORK_FULLY_CONNECTED},
     .x_rank = 3,
     .x = {2, 3, 4},
     .y_rank = 2,
     .y = {5, 4},
     .rank = 2,
     .dims = {6, 5}},
    {{.op = IG_NETWORK_ADD},
     .x_rank = 3,
     .x = {2, 3, 4},
     .y_rank = 2,
     .y = {1, 4},
     .rank = 3,
     .dims = {2, 3, 4}},
    {{.op = IG_NETWORK_MUL},
     .x_rank = 2,
     .x = {2, 1},
     .y_rank = 1,
     .y = {4},
     .rank = 2,
     .dims = {2, 4}},
    {{.op = IG_NETWORK_SUB},
     .x_rank = 2,
     .x = {2, 3},
     .y_rank = 1,
     .y = {4},
     .rank = 2,
     .dims = {2, 4},
     .message = "dimension 0 from behind is 3 and 4"},
    {{.op = IG_NETWORK_PAD, .pads = {{0, 0}, {1, 2}}},
     .x_rank = 2,
     .x = {1, 3},
     .rank = 2,
     .dims = {1, 6}},
    {{.op = IG_NETWORK_PAD, .pads = {{UINT32_MAX, UINT32_MAX}}},
     .x_rank = 2,
     .x = {1, 3},
     .rank = 2,
     .dims = {1, 6},
     .message = "too large"},
    {{.op = IG_NETWORK_MEAN, .axes = 6}, .x_rank = 4, .x = {1, 5, 5, 2}, .rank = 2, .dims = {1, 2}},
    {{.op = IG_NETWORK_MEAN, .axes = 6, .keep_dims = true},
     .x_rank = 4,
     .x = {1, 5, 5, 2},
     .rank = 4,
     .dims = {1, 1, 1, 2}},
    {{.op = IG_NETWORK_MEAN, .axes = 16},
     .x_rank = 4,
     .x = {1, 5, 5, 2},
     .rank = 2,
     .dims = {1, 2},
     .message = "axes 0x10"},
    {{.op = IG_NETWORK_CONCATENATION, .axis = 1},
     .x_rank = 2,
     .x = {2, 3},
     .y_rank = 2,
     .y = {2, 4},
     .rank = 2,
     .dims = {2, 7}},
    {{.op = IG_NETWORK_CONCATENATION, .axis = 1},
     .x_rank = 2,
     .x = {2, 3},
     .y_rank = 2,
     .y = {1, 4},
     .rank = 2,
     .dims = {2, 7},
     .message = "input 1 has another shape"},
    {{.op = IG_NETWORK_CONCATENATION, .axis = 2},
     .x_rank = 2,
     .x = {2, 3},
     .rank = 2,
     .dims = {2, 3},
     .message = "axis 2 of rank 2"},
    {{.op = IG_NETWORK_TANH}, .x_rank = 2, .x = {2, 3}, .rank = 2, .dims = {2, 3}},
};

static void infers_shapes(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof shape_cases / sizeof *shape_cases; i++)
        infer_case(&shape_cases[i]);
    assert_int_equal(ig_network_pad_before(IG_NETWORK_PADDING_SAME, 49, 10, 2, 1), 4);
    assert_int_equal(ig_network_pad_before(IG_NETWORK_PADDING_SAME, 6, 3, 2, 1), 0);
    assert_int_equal(ig_network_pad_before(IG_NETWORK_PADDING_SAME, 6, 3, 1, 2), 2);
    assert_int_equal(ig_network_pad_before(IG_NETWORK_PADDING_VALID, 6, 3, 1, 1), 0);
}

/* float16 weights go through DEQUANTIZE; of nothing else may weights come. */
static void weights_may_be_half(void **state)
{
    (void)state;
    static const uint16_t half[4] = {0x3c00, 0xc000, 0x0001, 0x7c00};
    struct ig_network *network = ig_network_new(1 << 16);
    add(network, (struct ig_network_tensor){.type = IG_NETWORK_F32, .rank = 2, .dims = {1, 2}});
    add(network, (struct ig_network_tensor){
                     .type = IG_NETWORK_F16, .rank = 2, .dims = {2, 2}, .data = half});
    add(network, (struct ig_network_tensor){.type = IG_NETWORK_F32, .rank = 2, .dims = {2, 2}});
    add(network, (struct ig_network_tensor){.type = IG_NETWORK_F32, .rank = 2, .dims = {1, 2}});
    ig_network_add_layer(network, &(struct ig_network_layer){.op = IG_NETWORK_DEQUANTIZE,
                                                             .inputs = (const uint32_t[]){1},
                                                             .inputs_count = 1,
                                                             .output = 2});
    ig_network_add_layer(network, &(struct ig_network_layer){.op = IG_NETWORK_FULLY_CONNECTED,
                                                             .inputs = (const uint32_t[]){0, 2},
                                                             .inputs_count = 2,
                                                             .output = 3});
    assert_true(ig_network_set_inputs(network, (const uint32_t[]){0}, 1));
    assert_true(ig_network_set_outputs(network, (const uint32_t[]){3}, 1));
    expect(network, IG_OK, "");
    network->layers[0].op = IG_NETWORK_RELU;
    network->tensors[1].type = IG_NETWORK_F32;
    expect(network, IG_UNSUPPORTED, "(tensor 2) are no constant");
    ig_network_free(network);
    assert_true(ig_network_f16(half[0]) == 1.0F && ig_network_f16(half[1]) == -2.0F);
    assert_true(ig_network_f16(half[2]) == 0x1p-24F && ig_network_f16(half[3]) == INFINITY);
    assert_true(ig_network_f16(0xfbff) == -65504.0F && isnan(ig_network_f16(0x7e00)));
}

static void copies_share_nothing(void **state)
{
    (void)state;
    struct ig_network *network = small_network();
    network->rounding = IG_NETWORK_ROUNDING_DOUBLE;
    network->description = IG_STR("small");
    struct ig_network *copy = ig_network_dup(network, 1 << 20);
    assert_non_null(copy);
    assert_null(ig_network_dup(network, 100));
    int8_t first = *(const int8_t *)network->tensors[W1].data;
    assert_true(copy->tensors[W1].data != network->tensors[W1].data);
    assert_true(copy->layers[0].inputs != network->layers[0].inputs);
    ig_network_free(network);
    expect(copy, IG_OK, "");
    assert_int_equal(copy->rounding, IG_NETWORK_ROUNDING_DOUBLE);
    assert_int_equal(*(const int8_t *)copy->tensors[W1].data, first);
    assert_true(ig_str_is(copy->tensors[W1].name, "conv/weights"));
    assert_true(ig_str_is(copy->description, "small"));
    assert_int_equal(ig_network_tensor_bytes(&copy->tensors[B2]), 12);
    assert_true(ig_network_bytes(copy) > copy->arena.held_bytes);
    assert_int_equal(ig_network_tensor_count(&copy->tensors[CONV]), 32);
    assert_ptr_equal(ig_network_input(copy, &copy->layers[L_FC], 1), &copy->tensors[W2]);
    assert_null(ig_network_input(copy, &copy->layers[L_POOL], 1));
    assert_string_equal(ig_network_op_name(IG_NETWORK_DEPTHWISE_CONV_2D), "DEPTHWISE_CONV_2D");
    assert_string_equal(ig_network_type_name(IG_NETWORK_I8), "int8");
    assert_string_equal(ig_network_activation_name(IG_NETWORK_ACTIVATION_RELU6), "relu6");
    assert_int_equal(ig_network_type_bytes(IG_NETWORK_TYPES_COUNT), 0);
    ig_network_free(copy);
}

static void limits_stick(void **state)
{
    (void)state;
    struct ig_network *network = ig_network_new(4 << 20);
    const struct ig_network_tensor tensor = {.type = IG_NETWORK_F32, .rank = 1, .dims = {1}};
    for (uint32_t i = 0; i < IG_NETWORK_TENSORS_MAX; i++)
        assert_int_equal(ig_network_add_tensor(network, &tensor), i);
    assert_int_equal(ig_network_add_tensor(network, &tensor), IG_NETWORK_NONE);
    expect(network, IG_NO_MEMORY, "exceeds");
    ig_network_free(network);
    network = small_network();
    ig_mem_fail_after(1);
    struct ig_err err = IG_ERR_INIT;
    assert_int_equal(ig_network_check(network, &err), IG_NO_MEMORY);
    assert_null(ig_network_dup(network, 1 << 20));
    ig_mem_fail_after(0);
    ig_network_free(network);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checks_wiring),       cmocka_unit_test(checks_shapes),
        cmocka_unit_test(checks_quantization), cmocka_unit_test(infers_shapes),
        cmocka_unit_test(weights_may_be_half), cmocka_unit_test(copies_share_nothing),
        cmocka_unit_test(limits_stick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
