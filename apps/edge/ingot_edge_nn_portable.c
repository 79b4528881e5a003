/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves in plain C, which is the reference of the other forms. Stateless. */
#include "ingot_edge_nn_core.h"

void ige_nn_pair_portable(uint32_t sums[4], const int16_t *x, const int8_t *w, int32_t stride,
                          int32_t quads)
{
    const int8_t *v = w + stride;
    uint32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    for (; quads; quads--) {
        int32_t y = w[0], z = v[0];
        a += (uint32_t)(x[0] * y), b += (uint32_t)(x[4] * y), c += (uint32_t)(x[0] * z),
            d += (uint32_t)(x[4] * z);
        y = w[1], z = v[1];
        a += (uint32_t)(x[2] * y), b += (uint32_t)(x[6] * y), c += (uint32_t)(x[2] * z),
            d += (uint32_t)(x[6] * z);
        y = w[2], z = v[2];
        a += (uint32_t)(x[1] * y), b += (uint32_t)(x[5] * y), c += (uint32_t)(x[1] * z),
            d += (uint32_t)(x[5] * z);
        y = w[3], z = v[3];
        a += (uint32_t)(x[3] * y), b += (uint32_t)(x[7] * y), c += (uint32_t)(x[3] * z),
            d += (uint32_t)(x[7] * z);
        w += IGE_NN_QUAD;
        v += IGE_NN_QUAD;
        x += IGE_NN_PAIR_QUAD;
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

void ige_nn_row_portable(uint32_t sums[4], const int8_t *x, const int8_t *w, int32_t stride,
                         int32_t quads, int32_t zero)
{
    uint32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    const int8_t *v = w + stride, *end = x + IGE_NN_QUAD * quads;
    const int8_t *u = v + stride, *t = u + stride;
    for (; x < end; x += IGE_NN_QUAD) {
        int32_t y = x[0] - zero;
        a += (uint32_t)(y * w[0]), b += (uint32_t)(y * v[0]), c += (uint32_t)(y * u[0]),
            d += (uint32_t)(y * t[0]);
        y = x[1] - zero;
        a += (uint32_t)(y * w[1]), b += (uint32_t)(y * v[1]), c += (uint32_t)(y * u[1]),
            d += (uint32_t)(y * t[1]);
        y = x[2] - zero;
        a += (uint32_t)(y * w[2]), b += (uint32_t)(y * v[2]), c += (uint32_t)(y * u[2]),
            d += (uint32_t)(y * t[2]);
        y = x[3] - zero;
        a += (uint32_t)(y * w[3]), b += (uint32_t)(y * v[3]), c += (uint32_t)(y * u[3]),
            d += (uint32_t)(y * t[3]);
        w += IGE_NN_QUAD, v += IGE_NN_QUAD, u += IGE_NN_QUAD, t += IGE_NN_QUAD;
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

void ige_nn_taps_portable(uint32_t sums[4], const int8_t *x, const int8_t *w,
                          const struct ige_nn_taps *taps)
{
    uint32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3];
    int32_t zero = taps->zero;
    for (int32_t row = taps->rows; row; row--) {
        for (int32_t column = taps->columns; column; column--) {
            a += (uint32_t)((x[0] - zero) * w[0]), b += (uint32_t)((x[1] - zero) * w[1]);
            c += (uint32_t)((x[2] - zero) * w[2]), d += (uint32_t)((x[3] - zero) * w[3]);
            x += taps->x_column;
            w += taps->w_column;
        }
        x += taps->x_row;
        w += taps->w_row;
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

void ige_nn_expand_portable(int16_t *to, const int8_t *from, int32_t quads, int32_t zero)
{
    for (; quads; quads--) {
        to[0] = (int16_t)(from[0] - zero);
        to[1] = (int16_t)(from[2] - zero);
        to[2] = (int16_t)(from[1] - zero);
        to[3] = (int16_t)(from[3] - zero);
        from += IGE_NN_QUAD;
        to += IGE_NN_PAIR_QUAD;
    }
}
