/* SPDX-License-Identifier: Apache-2.0 */
/* Fixed-point multipliers as TensorFlow Lite and TensorFlow Lite Micro apply them, and the choice
 * of a fast way to do the same. Stateless. Source: gemmlowp's fixedpoint.h, TensorFlow Lite's
 * kernels/internal/common.h. */
#include "ingot_edge_nn_core.h"

enum { IGE_NN_RIGHT_MAX = 30 };

/* x / 2^bits, to nearest, half away from zero. */
static int64_t ige_nn_divide(int64_t x, int32_t bits)
{
    if (!bits) return x;
    return (x - (x < 0) + ((int64_t)1 << (bits - 1))) >> bits;
}

IGE_NN_SMALL int32_t ige_nn_scale(int32_t x, struct ige_nn_multiplier multiplier, uint32_t rounding)
{
    const int32_t most = 0x7fffff00;
    int64_t value;
    if (!ige_nn_is_double(rounding)) {
        int32_t bits = 31 - multiplier.shift;
        value = ((int64_t)x * multiplier.fraction + ((int64_t)1 << (bits - 1))) >> bits;
    } else {
        int32_t left = multiplier.shift > 0 ? multiplier.shift : 0;
        int32_t wrapped = (int32_t)((uint32_t)x << left);
        value = ((int64_t)wrapped * multiplier.fraction + ((int64_t)1 << 30)) >> 31;
        value = ige_nn_divide(value, left - multiplier.shift);
    }
    return (int32_t)(value < -most ? -most : value > most ? most : value);
}

/* The high word has the product's bits from 32 on, or with sums shifted by 1 those from 31 on,
 * where the first of two roundings is; the shift after it, which rounds, is by a bit at least. */
IGE_NN_SMALL static void ige_nn_choose(struct ige_nn_ready *ready, int32_t bits, int32_t least,
                                       int32_t greatest)
{
    ready->small = greatest <= -2;
    if (ige_nn_is_double(ready->rounding)) {
        ready->way = bits > 30 || greatest >= 0 || least < -IGE_NN_RIGHT_MAX ? IGE_NN_WAY_WIDE
                                                                             : IGE_NN_WAY_DOUBLE;
        ready->left = 1;
        return;
    }
    ready->way = IGE_NN_WAY_SINGLE;
    ready->left = greatest > -2 ? greatest + 2 : 0;
    if (ready->left + bits > 31 || ready->left - 1 - least > IGE_NN_RIGHT_MAX) {
        ready->way = IGE_NN_WAY_EXACT;
        ready->left = 0;
    }
}

IGE_NN_SMALL void ige_nn_prepare(struct ige_nn_ready *ready, const struct ige_nn_finish *finish,
                                 int32_t channels)
{
    int32_t least = finish->shifts[0], greatest = least;
    ready->bias = finish->bias;
    ready->multipliers = finish->multipliers;
    ready->shifts = finish->shifts;
    ready->channel_mask = finish->per_channel ? 0xffffffffU : 0;
    ready->zero = finish->zero;
    ready->least = finish->least;
    ready->most = finish->most;
    ready->rounding = finish->rounding;
    for (int32_t c = 1; finish->per_channel && c < channels; c++) {
        int32_t shift = finish->shifts[c];
        if (shift > greatest) greatest = shift;
        if (shift < least) least = shift;
    }
    ige_nn_choose(ready, finish->sum_bits, least, greatest);
}

IGE_NN_SMALL struct ige_nn_channel ige_nn_prepare_one(struct ige_nn_ready *ready,
                                                      struct ige_nn_multiplier multiplier,
                                                      int32_t bits, uint32_t rounding)
{
    ready->rounding = (uint8_t)rounding;
    ige_nn_choose(ready, bits, multiplier.shift, multiplier.shift);
    return ige_nn_channel(ready->way, ready, multiplier.fraction, multiplier.shift);
}

/* The loop of a way, with all that it reads in variables: bytes may lie anywhere, for all that a
 * compiler knows. */
IGE_NN_INLINE void ige_nn_bytes_way(uint32_t way, int8_t *out, const uint32_t *sums,
                                    const struct ige_nn_ready *ready, int32_t first, int32_t count)
{
    const struct ige_nn_ready held = *ready;
    const uint8_t *bias = held.bias + 4 * first;
    const uint32_t *end = sums + count;
    uint32_t i = (uint32_t)first & held.channel_mask;
    while (sums < end) {
        struct ige_nn_channel channel =
            ige_nn_channel(way, &held, ige_nn_i32(held.multipliers + 4 * i), held.shifts[i]);
        do { /* one channel, or all that share its multiplier */
            int32_t sum = ige_nn_sum((int32_t)*sums++, ige_nn_i32(bias));
            int32_t value = ige_nn_value(way, &held, &channel, sum);
            *out++ = (int8_t)ige_nn_byte(value + held.zero);
            bias += 4;
        } while (!held.channel_mask && sums < end);
        i++;
    }
}

void ige_nn_bytes(int8_t *out, const uint32_t *sums, const struct ige_nn_ready *ready,
                  int32_t first, int32_t count)
{
    if (ready->way == IGE_NN_WAY_SINGLE && IGE_NN_HAS_SINGLE)
        ige_nn_bytes_way(IGE_NN_WAY_SINGLE, out, sums, ready, first, count);
    else if (ready->way == IGE_NN_WAY_DOUBLE && IGE_NN_HAS_DOUBLE)
        ige_nn_bytes_way(IGE_NN_WAY_DOUBLE, out, sums, ready, first, count);
    else
        ige_nn_bytes_way(IGE_NN_WAY_EXACT, out, sums, ready, first, count);
}

IGE_NN_SMALL void ige_nn_clamp(int8_t *bytes, int32_t count, int32_t least, int32_t most)
{
    if (least == -128 && most == 127) return;
    for (int32_t i = 0; i < count; i++) {
        int32_t value = bytes[i];
        bytes[i] = (int8_t)(value < least ? least : value > most ? most : value);
    }
}
