/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves in plain C, which is the reference of the other forms. Stateless. */
#include "ingot_edge_nn_core.h"

void ige_nn_pair_portable(uint32_t *sums, const int16_t *x, const int8_t *w,
                          const struct ige_nn_rows *rows)
{
    for (int32_t group = rows->groups; group; group--, sums += 4, w += 2 * rows->stride) {
        const int8_t *u = w, *v = w + rows->stride;
        const int16_t *at = x, *end = x + IGE_NN_PAIR_QUAD * rows->quads;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (; at < end; at += IGE_NN_PAIR_QUAD) {
            int32_t y = u[0], z = v[0];
            a += at[0] * y, b += at[4] * y, c += at[0] * z, d += at[4] * z;
            y = u[1], z = v[1];
            a += at[2] * y, b += at[6] * y, c += at[2] * z, d += at[6] * z;
            y = u[2], z = v[2];
            a += at[1] * y, b += at[5] * y, c += at[1] * z, d += at[5] * z;
            y = u[3], z = v[3];
            a += at[3] * y, b += at[7] * y, c += at[3] * z, d += at[7] * z;
            u += IGE_NN_QUAD;
            v += IGE_NN_QUAD;
        }
        sums[0] = (uint32_t)a, sums[1] = (uint32_t)b;
        sums[2] = (uint32_t)c, sums[3] = (uint32_t)d;
    }
}

void ige_nn_row_portable(uint32_t *sums, const int8_t *x, const int8_t *w,
                         const struct ige_nn_rows *rows)
{
    const int8_t *end = x + IGE_NN_QUAD * rows->quads;
    for (int32_t group = rows->groups; group; group--, sums += 4, w += 4 * rows->stride) {
        const int8_t *s = w, *t = s + rows->stride, *u = t + rows->stride, *v = u + rows->stride;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (const int8_t *at = x; at < end; at += IGE_NN_QUAD) {
            int32_t y = at[0];
            a += y * s[0], b += y * t[0], c += y * u[0], d += y * v[0];
            y = at[1];
            a += y * s[1], b += y * t[1], c += y * u[1], d += y * v[1];
            y = at[2];
            a += y * s[2], b += y * t[2], c += y * u[2], d += y * v[2];
            y = at[3];
            a += y * s[3], b += y * t[3], c += y * u[3], d += y * v[3];
            s += IGE_NN_QUAD, t += IGE_NN_QUAD, u += IGE_NN_QUAD, v += IGE_NN_QUAD;
        }
        sums[0] = (uint32_t)a, sums[1] = (uint32_t)b;
        sums[2] = (uint32_t)c, sums[3] = (uint32_t)d;
    }
}

void ige_nn_taps_portable(uint32_t *sums, const int8_t *x, const int8_t *w,
                          const struct ige_nn_taps *taps)
{
    int32_t zero = taps->zero, x_column = taps->x_column, w_column = taps->w_column;
    for (int32_t group = taps->groups; group; group--, sums += 4, x += 4, w += 4) {
        const int8_t *x_row = x, *w_row = w;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (int32_t row = taps->rows; row; row--, x_row += taps->x_row, w_row += taps->w_row) {
            const int8_t *y = x_row, *z = w_row;
            for (int32_t column = taps->columns; column; column--, y += x_column, z += w_column) {
                a += (y[0] - zero) * z[0], b += (y[1] - zero) * z[1];
                c += (y[2] - zero) * z[2], d += (y[3] - zero) * z[3];
            }
        }
        sums[0] = (uint32_t)a, sums[1] = (uint32_t)b;
        sums[2] = (uint32_t)c, sums[3] = (uint32_t)d;
    }
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
