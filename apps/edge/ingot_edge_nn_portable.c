/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves in plain C, which is the reference of the other forms. Stateless. */
#include "ingot_edge_nn_core.h"

/* Spelt out, since compilers for small devices leave loops as they are. One number of both
 * positions with two channels; of one with four. */
#define IGE_NN_PAIR_ONE(i, place)                                                                  \
    a += x[place] * u[i], b += x[(place) + 4] * u[i], c += x[place] * v[i],                        \
        d += x[(place) + 4] * v[i]
#define IGE_NN_PAIR_QUAD_OF(i)                                                                     \
    IGE_NN_PAIR_ONE(i, 2 * (i)), IGE_NN_PAIR_ONE((i) + 1, 2 * (i) + 2),                            \
        IGE_NN_PAIR_ONE((i) + 2, 2 * (i) + 1), IGE_NN_PAIR_ONE((i) + 3, 2 * (i) + 3)
#define IGE_NN_ROW_ONE(i) a += x[i] * s[i], b += x[i] * t[i], c += x[i] * u[i], d += x[i] * v[i]
#define IGE_NN_ROW_QUAD_OF(i)                                                                      \
    IGE_NN_ROW_ONE(i), IGE_NN_ROW_ONE((i) + 1), IGE_NN_ROW_ONE((i) + 2), IGE_NN_ROW_ONE((i) + 3)

void ige_nn_pair_portable(uint32_t *sums, const int16_t *positions, const int8_t *w,
                          const struct ige_nn_rows *rows)
{
    for (int32_t group = rows->groups; group; group--, sums += 4, w += 2 * rows->stride) {
        const int8_t *u = w, *v = w + rows->stride;
        const int16_t *x = positions;
        int32_t a = 0, b = 0, c = 0, d = 0, quads = rows->quads;
        for (; quads > 1; quads -= 2) {
            IGE_NN_PAIR_QUAD_OF(0), IGE_NN_PAIR_QUAD_OF(4);
            x += 2 * IGE_NN_PAIR_QUAD;
            u += 2 * IGE_NN_QUAD;
            v += 2 * IGE_NN_QUAD;
        }
        if (quads) IGE_NN_PAIR_QUAD_OF(0);
        sums[0] = (uint32_t)a, sums[1] = (uint32_t)b;
        sums[2] = (uint32_t)c, sums[3] = (uint32_t)d;
    }
}

void ige_nn_row_portable(uint32_t *sums, const int8_t *row, const int8_t *w,
                         const struct ige_nn_rows *rows)
{
    for (int32_t group = rows->groups; group; group--, sums += 4, w += 4 * rows->stride) {
        const int8_t *s = w, *t = s + rows->stride, *u = t + rows->stride, *v = u + rows->stride;
        const int8_t *x = row;
        int32_t a = 0, b = 0, c = 0, d = 0, quads = rows->quads;
        for (; quads > 3; quads -= 4) {
            IGE_NN_ROW_QUAD_OF(0), IGE_NN_ROW_QUAD_OF(4);
            IGE_NN_ROW_QUAD_OF(8), IGE_NN_ROW_QUAD_OF(12);
            x += 4 * IGE_NN_QUAD, s += 4 * IGE_NN_QUAD, t += 4 * IGE_NN_QUAD;
            u += 4 * IGE_NN_QUAD, v += 4 * IGE_NN_QUAD;
        }
        for (; quads; quads--) {
            IGE_NN_ROW_QUAD_OF(0);
            x += IGE_NN_QUAD, s += IGE_NN_QUAD, t += IGE_NN_QUAD;
            u += IGE_NN_QUAD, v += IGE_NN_QUAD;
        }
        sums[0] = (uint32_t)a, sums[1] = (uint32_t)b;
        sums[2] = (uint32_t)c, sums[3] = (uint32_t)d;
    }
}

void ige_nn_taps_portable(uint32_t *sums, const int8_t *x, const int8_t *w,
                          const struct ige_nn_taps *taps)
{
    int32_t zero = taps->zero, x_column = taps->x_column, w_column = taps->w_column;
    for (int32_t group = taps->groups; group; group--, sums += 8, x += 4, w += 4) {
        const int8_t *x_row = x, *w_row = w;
        int32_t a = 0, b = 0, c = 0, d = 0;
        for (int32_t row = taps->rows; row; row--, x_row += taps->x_row, w_row += taps->w_row) {
            const int8_t *y = x_row, *z = w_row;
            for (int32_t column = taps->columns; column; column--, y += x_column, z += w_column) {
                a += (y[0] - zero) * z[0], b += (y[1] - zero) * z[1];
                c += (y[2] - zero) * z[2], d += (y[3] - zero) * z[3];
            }
        }
        sums[0] = (uint32_t)a, sums[2] = (uint32_t)b;
        sums[4] = (uint32_t)c, sums[6] = (uint32_t)d;
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

void ige_nn_finish_portable(int8_t *const out[2], const uint32_t *sums,
                            const struct ige_nn_ready *ready, int32_t first, int32_t count)
{
    if (ready->way == IGE_NN_WAY_SINGLE && IGE_NN_HAS_SINGLE)
        ige_nn_finish_way(IGE_NN_WAY_SINGLE, out, sums, ready, first, count);
    else if (ready->way == IGE_NN_WAY_DOUBLE && IGE_NN_HAS_DOUBLE)
        ige_nn_finish_way(IGE_NN_WAY_DOUBLE, out, sums, ready, first, count);
    else
        ige_nn_finish_way(ready->way, out, sums, ready, first, count);
}
