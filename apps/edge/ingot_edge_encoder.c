/* SPDX-License-Identifier: Apache-2.0 */
/* What stands before a network that takes a table's rows: numbers scaled, clipped and ranked,
 * categories as one input each. Float by float as the server does it (kernels/train/encoder.c); a
 * product is never added to, so no compiler can fuse the two and round otherwise. Stateless. */
#include "ingot_edge_file.h"

#ifdef IGE_ENCODERS
#include "ingot_edge_nn_core.h"

enum { FACTS_BYTES = 20, FEATURE_BYTES = 4, VERSION = 1, CATEGORY = 1, MISSING = 2 };
enum { KNOTS_MAX = 33, INPUTS_MAX = 1 << 16, GAINS = 1 };
static const uint32_t GAIN_LEAST = 0x35800000U, GAIN_MOST = 0x49800000U; /* 2^-20, 2^20 */
static const uint32_t INFINITE = 0x7f800000U, SIGN = 0x80000000U;

struct ige_encoded ige_encoded_at(const uint8_t *at)
{
    struct ige_encoded feature = {at + FEATURE_BYTES, NULL, 0, 0, 0, 0};
    feature.missing = (at[0] & MISSING) != 0;
    if (at[0] & CATEGORY) {
        feature.categories = ige_u32(at + FEATURE_BYTES);
        feature.columns = feature.categories + feature.missing;
        feature.next = at + FEATURE_BYTES + 4;
        return feature;
    }
    feature.knots = at[1];
    feature.columns = 1U + (feature.knots != 0) + feature.missing;
    feature.next = at + FEATURE_BYTES + 8 + 4 * feature.knots;
    return feature;
}

/* ---- checks ---- */

static int is_finite(uint32_t bits)
{
    return (bits & ~SIGN) < INFINITE;
}

/* Knots ascend, and none is so far from the first that the difference is no float. */
static int check_knots(const uint8_t *knots, uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        union {
            uint32_t u;
            float f;
        } span;
        span.f = ige_f32(knots + 4 * k) - ige_f32(knots);
        if (!is_finite(ige_u32(knots + 4 * k)) || !is_finite(span.u)) return 0;
        if (k && !(ige_f32(knots + 4 * k) > ige_f32(knots + 4 * k - 4))) return 0;
    }
    return 1;
}

static int check_feature(const uint8_t *at, size_t left)
{
    if (left < FEATURE_BYTES || at[0] > (CATEGORY | MISSING) || at[2] || at[3]) return 0;
    if (at[0] & CATEGORY) {
        if (left < FEATURE_BYTES + 4 || at[1]) return 0;
        uint32_t categories = ige_u32(at + FEATURE_BYTES);
        return categories >= 1 && categories <= INPUTS_MAX;
    }
    uint32_t knots = at[1], deviation;
    if (knots == 1 || knots > KNOTS_MAX || left < FEATURE_BYTES + 8 + 4 * knots) return 0;
    deviation = ige_u32(at + FEATURE_BYTES + 4);
    return is_finite(ige_u32(at + FEATURE_BYTES)) && deviation > 0 && deviation < INFINITE &&
           check_knots(at + FEATURE_BYTES + 8, knots);
}

/* The row lies in the arena, apart from what is made of it. */
static int check_place(const struct ige_network *network, const uint8_t *input, uint32_t bytes)
{
    uint64_t end = (uint64_t)network->row_at + 4 * (uint64_t)network->features;
    uint32_t at = ige_u32(input + 8);
    return network->row_at % 4 == 0 && end <= network->row_arena_bytes &&
           network->row_arena_bytes >= network->arena_bytes &&
           (end <= at || network->row_at >= (uint64_t)at + bytes);
}

enum ige_status ige_encoder_load(struct ige_model *model, const uint8_t *section, size_t size)
{
    struct ige_network *network = &model->network;
    const uint8_t *at = section + FACTS_BYTES, *end = section + size;
    const uint8_t *input = ige_tensor_at(network, ige_u16(network->ends));
    uint32_t columns = 0, inputs = ige_count(input);
    if (size < FACTS_BYTES) return IGE_BAD_FILE;
    if (section[0] != VERSION) return IGE_UNSUPPORTED;
    network->features = ige_u32(section + 4);
    network->row_at = ige_u32(section + 12);
    network->row_arena_bytes = ige_u32(section + 16);
    if (section[1] > GAINS || ige_u16(section + 2) || network->inputs != 1 || !network->features ||
        network->features > INPUTS_MAX || ige_u32(section + 8) != inputs || inputs > INPUTS_MAX ||
        !check_place(network, input, inputs * (input[0] & IGE_TENSOR_I8 ? 1U : 4U)))
        return IGE_BAD_FILE;
    for (uint32_t f = 0; f < network->features; f++) {
        if (!check_feature(at, (size_t)(end - at))) return IGE_BAD_FILE;
        struct ige_encoded feature = ige_encoded_at(at);
        columns += feature.columns;
        if (columns > inputs) return IGE_BAD_FILE;
        at = feature.next;
    }
    if (columns != inputs || (size_t)(end - at) != (section[1] & GAINS ? 4 * (size_t)inputs : 0))
        return IGE_BAD_FILE;
    for (; at < end; at += 4)
        if (ige_u32(at) < GAIN_LEAST || ige_u32(at) > GAIN_MOST) return IGE_BAD_FILE;
    network->encoder = section + FACTS_BYTES;
    network->gains = section[1] & GAINS ? end - 4 * (size_t)inputs : NULL;
    return IGE_OK;
}

/* ---- rows ---- */

/* 2 * y / last. A power of two is taken from the exponent, where that has enough. */
static float scaled(float y, uint32_t last)
{
    uint32_t log = 0, bits = ige_nn_bits_of(y);
    while (1U << log < last) log++;
    if (1U << log == last && bits >> 23 > log) return ige_nn_real_of(bits + ((1 - log) << 23));
    return ige_nn_divide_reals(2 * y, (float)last);
}

static float rank(const struct ige_encoded *feature, float value)
{
    const uint8_t *knots = feature->numbers + 8;
    uint32_t last = feature->knots - 1, k = 0, end = last;
    int32_t key = ige_order_key(ige_nn_bits_of(value));
    if (key <= ige_order_key(ige_u32(knots))) return -1;
    if (key >= ige_order_key(ige_u32(knots + 4 * last))) return 1;
    while (end - k > 1) {
        uint32_t middle = (k + end) / 2;
        if (key >= ige_order_key(ige_u32(knots + 4 * middle)))
            k = middle;
        else
            end = middle;
    }
    float below = ige_f32(knots + 4 * k);
    float part = ige_nn_divide_reals(value - below, ige_f32(knots + 4 * k + 4) - below);
    return scaled((float)k + part, last) - 1;
}

/* In deviations from the mean, 5 at most. */
static float deviations(const struct ige_encoded *feature, float value)
{
    const uint32_t most = 0x40a00000U;
    float mean = ige_f32(feature->numbers), deviation = ige_f32(feature->numbers + 4);
    float real = ige_nn_divide_reals(value - mean, deviation);
    uint32_t bits = ige_nn_bits_of(real);
    return (bits & ~SIGN) > most ? ige_nn_real_of((bits & SIGN) | most) : real;
}

/* The one of the feature's columns that is 1; none: their count. Of a number, that of missing. */
static uint32_t column_of_one(const struct ige_encoded *feature, float value)
{
    uint32_t bits = ige_nn_bits_of(value);
    if ((bits & ~SIGN) > INFINITE || (feature->categories && bits > SIGN))
        return feature->missing ? feature->columns - 1 : feature->columns;
    if (feature->categories && value < (float)feature->categories) return (uint32_t)value;
    return feature->columns;
}

static void put(const struct ige_interpreter *interpreter, const struct ige_tensor *input,
                uint32_t place, float real)
{
    const uint8_t *gain = interpreter->model->network.gains;
    if (gain && ige_nn_bits_of(real)) real *= ige_f32(gain + 4 * place);
    if (input->type != IGE_INT8)
        input->data.f32[place] = real;
    else if (ige_nn_bits_of(real))
        ige_nn_quantize(input->data.i8 + place, &real, 1, input->scale, (int8_t)input->zero_point);
    else
        input->data.i8[place] = (int8_t)input->zero_point;
}

void ige_encoder_run(const struct ige_interpreter *interpreter)
{
    const struct ige_network *network = &interpreter->model->network;
    const float *row = interpreter->input.data.f32;
    const uint8_t *at = network->encoder;
    struct ige_tensor input = ige_network_end(interpreter, 0);
    uint32_t place = 0;
    for (uint32_t f = 0; f < network->features; f++) {
        struct ige_encoded feature = ige_encoded_at(at);
        float value = row[f];
        uint32_t one = column_of_one(&feature, value);
        int is_number = !feature.categories && (ige_nn_bits_of(value) & ~SIGN) <= INFINITE;
        for (uint32_t c = 0; c < feature.columns; c++, place++) {
            float real = c == one;
            if (is_number && c == 0) real = deviations(&feature, value);
            if (is_number && c == 1 && feature.knots) real = rank(&feature, value);
            put(interpreter, &input, place, real);
        }
        at = feature.next;
    }
}
#endif
