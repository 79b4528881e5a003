/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of networks: holds the forms of their leaves against the portable one, prints a
 * checksum of random layers of every kind, and how many ticks the layers of the MLPerf Tiny
 * networks take, on random numbers. */
#include "firmware.h"

#include "ingot_edge_nn_testing.h"

enum {
    INPUT_BYTES = 49152,
    OUTPUT_BYTES = 37000,
    WEIGHTS_BYTES = 82000,
    CHANNELS = 640,
    ROUNDS = 60
};
enum op { CONV, DEPTHWISE, CONNECTED, AVERAGE, ADD, SOFTMAX, OPS };

struct layer {
    const char *network;
    enum op op;
    int32_t times, in_h, in_w, in_c, out_c, filter_h, filter_w, stride;
};

static const struct layer layers[] = {
    {"kws", CONV, 1, 49, 10, 1, 64, 10, 4, 2},     {"kws", DEPTHWISE, 4, 25, 5, 64, 64, 3, 3, 1},
    {"kws", CONV, 4, 25, 5, 64, 64, 1, 1, 1},      {"kws", AVERAGE, 1, 25, 5, 64, 64, 25, 5, 25},
    {"kws", CONNECTED, 1, 1, 1, 64, 12, 1, 1, 1},  {"kws", SOFTMAX, 1, 1, 1, 12, 12, 1, 1, 1},
    {"vww", CONV, 1, 96, 96, 3, 8, 3, 3, 2},       {"vww", DEPTHWISE, 1, 48, 48, 8, 8, 3, 3, 1},
    {"vww", CONV, 1, 48, 48, 8, 16, 1, 1, 1},      {"vww", DEPTHWISE, 1, 48, 48, 16, 16, 3, 3, 2},
    {"vww", CONV, 1, 24, 24, 16, 32, 1, 1, 1},     {"vww", DEPTHWISE, 1, 24, 24, 32, 32, 3, 3, 1},
    {"vww", CONV, 1, 24, 24, 32, 32, 1, 1, 1},     {"vww", DEPTHWISE, 1, 24, 24, 32, 32, 3, 3, 2},
    {"vww", CONV, 1, 12, 12, 32, 64, 1, 1, 1},     {"vww", DEPTHWISE, 1, 12, 12, 64, 64, 3, 3, 1},
    {"vww", CONV, 1, 12, 12, 64, 64, 1, 1, 1},     {"vww", DEPTHWISE, 1, 12, 12, 64, 64, 3, 3, 2},
    {"vww", CONV, 1, 6, 6, 64, 128, 1, 1, 1},      {"vww", DEPTHWISE, 5, 6, 6, 128, 128, 3, 3, 1},
    {"vww", CONV, 5, 6, 6, 128, 128, 1, 1, 1},     {"vww", DEPTHWISE, 1, 6, 6, 128, 128, 3, 3, 2},
    {"vww", CONV, 1, 3, 3, 128, 256, 1, 1, 1},     {"vww", DEPTHWISE, 1, 3, 3, 256, 256, 3, 3, 1},
    {"vww", CONV, 1, 3, 3, 256, 256, 1, 1, 1},     {"vww", AVERAGE, 1, 3, 3, 256, 256, 3, 3, 3},
    {"vww", CONNECTED, 1, 1, 1, 256, 2, 1, 1, 1},  {"vww", SOFTMAX, 1, 1, 1, 2, 2, 1, 1, 1},
    {"ic", CONV, 1, 32, 32, 3, 16, 3, 3, 1},       {"ic", CONV, 2, 32, 32, 16, 16, 3, 3, 1},
    {"ic", ADD, 1, 32, 32, 16, 16, 1, 1, 1},       {"ic", CONV, 1, 32, 32, 16, 32, 3, 3, 2},
    {"ic", CONV, 1, 16, 16, 32, 32, 3, 3, 1},      {"ic", CONV, 1, 32, 32, 16, 32, 1, 1, 2},
    {"ic", ADD, 1, 16, 16, 32, 32, 1, 1, 1},       {"ic", CONV, 1, 16, 16, 32, 64, 3, 3, 2},
    {"ic", CONV, 1, 8, 8, 64, 64, 3, 3, 1},        {"ic", CONV, 1, 16, 16, 32, 64, 1, 1, 2},
    {"ic", ADD, 1, 8, 8, 64, 64, 1, 1, 1},         {"ic", AVERAGE, 1, 8, 8, 64, 64, 8, 8, 8},
    {"ic", CONNECTED, 1, 1, 1, 64, 10, 1, 1, 1},   {"ic", SOFTMAX, 1, 1, 1, 10, 10, 1, 1, 1},
    {"ad", CONNECTED, 1, 1, 1, 640, 128, 1, 1, 1}, {"ad", CONNECTED, 6, 1, 1, 128, 128, 1, 1, 1},
    {"ad", CONNECTED, 1, 1, 1, 128, 8, 1, 1, 1},   {"ad", CONNECTED, 1, 1, 1, 8, 128, 1, 1, 1},
    {"ad", CONNECTED, 1, 1, 1, 128, 640, 1, 1, 1},
};
static const char *const op_names[OPS] = {"conv",    "depthwise", "connected",
                                          "average", "add",       "softmax"};

static int8_t input[INPUT_BYTES], output[OUTPUT_BYTES], weights[WEIGHTS_BYTES];
static uint32_t bias[CHANNELS], fractions[CHANNELS], scratch[4096];
static int8_t shifts[CHANNELS];
static uint32_t random = 1;

static int32_t below(int32_t bound)
{
    return (int32_t)(ige_nn_random(&random) % (uint32_t)bound);
}

static void put_hex(uint32_t value)
{
    char text[10];
    for (int i = 0; i < 8; i++) text[i] = "0123456789abcdef"[value >> (28 - 4 * i) & 15];
    text[8] = ' ';
    text[9] = 0;
    platform_put(text);
}

static void fill(void)
{
    for (uint32_t i = 0; i < sizeof input; i++) input[i] = (int8_t)ige_nn_random(&random);
    for (uint32_t i = 0; i < sizeof weights; i++) weights[i] = (int8_t)ige_nn_random(&random);
}

static struct ige_nn_finish finish_of(int32_t channels, int32_t depth, uint8_t rounding)
{
    struct ige_nn_finish finish = {bias, fractions, shifts, 1, 26, rounding, -128, -128, 127};
    int32_t shift = -6;
    for (; depth > 8; depth /= 4) shift--;
    for (int32_t c = 0; c < channels; c++) {
        bias[c] = (uint32_t)(below(4000) - 2000);
        fractions[c] = 0x40000000U | ige_nn_random(&random) >> 2;
        shifts[c] = (int8_t)(shift - below(2));
    }
    return finish;
}

static uint32_t run_conv(const struct layer *layer, const struct ige_nn_finish *finish,
                         int32_t same)
{
    struct ige_nn_conv conv = {
        input,
        weights,
        output,
        scratch,
        1,
        layer->in_h,
        layer->in_w,
        layer->in_c,
        0,
        0,
        layer->out_c,
        5,
        {layer->filter_h, layer->filter_w, layer->stride, layer->stride, 1, 1, 0, 0},
        *finish};
    int32_t *pads[2] = {&conv.window.pad_h, &conv.window.pad_w};
    int32_t *sizes[2] = {&conv.out_h, &conv.out_w};
    for (int i = 0; i < 2; i++) {
        int32_t in = i ? layer->in_w : layer->in_h, filter = i ? layer->filter_w : layer->filter_h;
        *sizes[i] = same ? (in + layer->stride - 1) / layer->stride
                         : (in - filter + layer->stride) / layer->stride;
        int32_t pad = (*sizes[i] - 1) * layer->stride + filter - in;
        *pads[i] = pad > 0 ? pad / 2 : 0;
    }
    uint32_t start = platform_ticks();
    if (layer->op == CONV)
        ige_nn_conv(&conv);
    else
        ige_nn_depthwise(&conv);
    return (start - platform_ticks()) & 0xffffffU;
}

static uint32_t run_connected(const struct layer *layer, const struct ige_nn_finish *finish)
{
    struct ige_nn_fully_connected connected = {input,       weights,      output, 1,
                                               layer->in_c, layer->out_c, *finish};
    uint32_t start = platform_ticks();
    ige_nn_fully_connected(&connected);
    return (start - platform_ticks()) & 0xffffffU;
}

static uint32_t run_other(const struct layer *layer, uint8_t rounding)
{
    int32_t count = layer->in_h * layer->in_w * layer->in_c;
    struct ige_nn_multiplier half = {1 << 30, 0}, other = {1518500250, -1},
                             last = {1600000000, -17};
    struct ige_nn_multiplier steps = {1700000000, 23};
    struct ige_nn_pool pool = {
        input,
        output,
        1,
        layer->in_h,
        layer->in_w,
        layer->in_c,
        1,
        1,
        {layer->filter_h, layer->filter_w, layer->stride, layer->stride, 1, 1, 0, 0},
        -128,
        127};
    struct ige_nn_arithmetic add = {input,      weights,  output, count, count, count,
                                    IGE_NN_ADD, rounding, 3,      -5,    -128,  -128,
                                    127,        half,     other,  last};
    struct ige_nn_softmax softmax = {input,    output,      1,     layer->in_c,
                                     rounding, 0x3dcccccdU, steps, 248};
    uint32_t start = platform_ticks();
    if (layer->op == AVERAGE) ige_nn_average_pool(&pool);
    if (layer->op == ADD) ige_nn_arithmetic(&add);
    if (layer->op == SOFTMAX) ige_nn_softmax(&softmax);
    return (start - platform_ticks()) & 0xffffffU;
}

static uint32_t run_layer(const struct layer *layer, uint8_t rounding, int32_t same)
{
    int32_t cells = layer->filter_h * layer->filter_w;
    int32_t depth = cells * (layer->op == DEPTHWISE ? 1 : layer->in_c);
    struct ige_nn_finish finish = finish_of(layer->out_c, depth, rounding);
    finish.per_channel = layer->op != CONNECTED || layer->filter_w > 1;
    if (layer->op == CONV || layer->op == DEPTHWISE) return run_conv(layer, &finish, same);
    if (layer->op == CONNECTED) return run_connected(layer, &finish);
    return run_other(layer, rounding);
}

static uint32_t checksum(void)
{
    uint32_t sum = 0;
    for (uint32_t i = 0; i < 4096; i++) sum = (sum ^ (uint8_t)output[i]) * 16777619U;
    return sum;
}

static void check(void)
{
    uint32_t wrong = 0, sum = 0, state = 7;
    for (int f = 1; f < IGE_NN_FORMS_COUNT; f++)
        for (int i = 0; i < 300 && ige_nn_form_runs(f); i++)
            wrong += (uint32_t)!ige_nn_form_agrees(&ige_nn_forms[f], &state);
    platform_put("forms ");
    put_hex(wrong);
    for (int i = 0; i < ROUNDS; i++) {
        struct layer layer = {"",
                              (enum op)(i % OPS),
                              1,
                              4 + below(6),
                              4 + below(6),
                              1 + below(20),
                              1 + below(20),
                              1 + below(3),
                              1 + below(3),
                              1 + below(2)};
        if (layer.op == DEPTHWISE) layer.out_c = layer.in_c * (1 + below(2));
        for (uint8_t rounding = 0; rounding < 2; rounding++) {
            run_layer(&layer, rounding, below(2));
            sum = sum * 31 + checksum();
        }
    }
    platform_put("layers ");
    put_hex(sum);
    platform_put("\n");
}

static void bench(uint8_t rounding)
{
    for (uint32_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        const struct layer *layer = &layers[i];
        uint32_t ticks = run_layer(layer, rounding, layer->op != AVERAGE);
        const char *words[] = {layer->network, " ", op_names[layer->op], " "};
        for (int k = 0; k < 4; k++) platform_put(words[k]);
        const int32_t numbers[] = {layer->times, layer->in_h,     layer->in_w,     layer->in_c,
                                   layer->out_c, layer->filter_h, layer->filter_w, layer->stride};
        for (int k = 0; k < 8; k++) put_hex((uint32_t)numbers[k]);
        put_hex(ticks);
        platform_put("\n");
    }
}

int main(void)
{
    fill();
    check();
    for (uint8_t rounding = 0; firmware_repeats && rounding < 2; rounding++) bench(rounding);
    platform_put("end\n");
    platform_exit(0);
    return 0;
}
