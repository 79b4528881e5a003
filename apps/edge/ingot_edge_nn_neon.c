/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves for Arm's Advanced SIMD: products of 16-bit numbers, added to 32 bits. Stateless. */
#include "ingot_edge_nn_core.h"

#if IGE_NN_HAS_NEON

#include <arm_neon.h>

static inline int16x8_t ige_nn_neon_eight(const int8_t *at)
{
    return vmovl_s8(vld1_s8(at));
}

/* Four bytes as 16-bit numbers. */
static inline int16x4_t ige_nn_neon_four(const int8_t *at)
{
    uint32_t word = (uint32_t)ige_nn_i32((const uint8_t *)at);
    return vget_low_s16(vmovl_s8(vcreate_s8(word)));
}

/* In the order of ige_nn_place: 0, 2, 1, 3. */
static inline int16x4_t ige_nn_neon_place(int16x4_t x)
{
    const uint8x8_t order = vcreate_u8(0x0706030205040100U);
    return vreinterpret_s16_u8(vtbl1_u8(vreinterpret_u8_s16(x), order));
}

static inline uint32_t ige_nn_neon_total(int32x4_t x)
{
    int32x2_t sum = vadd_s32(vget_low_s32(x), vget_high_s32(x));
    return (uint32_t)vget_lane_s32(vpadd_s32(sum, sum), 0);
}

static void ige_nn_neon_pair(uint32_t *sums, const int16_t *x, const int8_t *w, int32_t stride,
                             int32_t quads)
{
    int32x4_t a = vdupq_n_s32(0), b = a, c = a, d = a;
    for (; quads; quads--) {
        int16x8_t y = vld1q_s16(x);
        int16x4_t u = ige_nn_neon_place(ige_nn_neon_four(w));
        int16x4_t v = ige_nn_neon_place(ige_nn_neon_four(w + stride));
        a = vmlal_s16(a, vget_low_s16(y), u);
        b = vmlal_s16(b, vget_high_s16(y), u);
        c = vmlal_s16(c, vget_low_s16(y), v);
        d = vmlal_s16(d, vget_high_s16(y), v);
        x += IGE_NN_PAIR_QUAD;
        w += IGE_NN_QUAD;
    }
    sums[0] = ige_nn_neon_total(a);
    sums[1] = ige_nn_neon_total(b);
    sums[2] = ige_nn_neon_total(c);
    sums[3] = ige_nn_neon_total(d);
}

static void ige_nn_neon_row(uint32_t *sums, const int8_t *x, const int8_t *w,
                            const struct ige_nn_rows *rows)
{
    for (int32_t c = 0; c < 4; c++, w += rows->stride) {
        int32x4_t sum = vdupq_n_s32(0);
        int32_t i = 0;
        for (; i + 2 <= rows->quads; i += 2) {
            int16x8_t y = ige_nn_neon_eight(x + 4 * i);
            int16x8_t v = ige_nn_neon_eight(w + 4 * i);
            sum = vmlal_s16(sum, vget_low_s16(y), vget_low_s16(v));
            sum = vmlal_s16(sum, vget_high_s16(y), vget_high_s16(v));
        }
        if (i < rows->quads) {
            int16x4_t y = ige_nn_neon_four(x + 4 * i);
            sum = vmlal_s16(sum, y, ige_nn_neon_four(w + 4 * i));
        }
        sums[c] = ige_nn_neon_total(sum);
    }
}

static void ige_nn_neon_taps(uint32_t *sums, const int8_t *x, const int8_t *w,
                             const struct ige_nn_taps *taps)
{
    const int16x4_t zero = vdup_n_s16((int16_t)taps->zero);
    int32x4_t sum = vdupq_n_s32(0);
    for (int32_t row = 0; row < taps->rows; row++)
        for (int32_t column = 0; column < taps->columns; column++) {
            const int8_t *at = x + row * taps->x_row + column * taps->x_column;
            const int8_t *v = w + row * taps->w_row + column * taps->w_column;
            sum = vmlal_s16(sum, vsub_s16(ige_nn_neon_four(at), zero), ige_nn_neon_four(v));
        }
    uint32_t four[4];
    vst1q_u32(four, vreinterpretq_u32_s32(sum));
    for (int32_t c = 0; c < 4; c++) sums[2 * c] = four[c];
}

void ige_nn_pair_neon(uint32_t *sums, const int16_t *x, const int8_t *w,
                      const struct ige_nn_rows *rows)
{
    for (int32_t group = 0; group < rows->groups; group++)
        ige_nn_neon_pair(sums + 4 * group, x, w + 2 * group * rows->stride, rows->stride,
                         rows->quads);
}

void ige_nn_row_neon(uint32_t *sums, const int8_t *x, const int8_t *w,
                     const struct ige_nn_rows *rows)
{
    for (int32_t group = 0; group < rows->groups; group++)
        ige_nn_neon_row(sums + 4 * group, x, w + 4 * group * rows->stride, rows);
}

void ige_nn_taps_neon(uint32_t *sums, const int8_t *x, const int8_t *w,
                      const struct ige_nn_taps *taps)
{
    for (int32_t group = 0; group < taps->groups; group++)
        ige_nn_neon_taps(sums + 8 * group, x + 4 * group, w + 4 * group, taps);
}

void ige_nn_expand_neon(int16_t *to, const int8_t *from, int32_t quads, int32_t zero)
{
    const int16x4_t zeros = vdup_n_s16((int16_t)zero);
    for (; quads; quads--) {
        vst1_s16(to, ige_nn_neon_place(vsub_s16(ige_nn_neon_four(from), zeros)));
        from += IGE_NN_QUAD;
        to += IGE_NN_PAIR_QUAD;
    }
}

void ige_nn_finish_neon(int8_t *const out[2], const uint32_t *sums,
                        const struct ige_nn_ready *ready, int32_t first, int32_t count)
{
    ige_nn_finish_portable(out, sums, ready, first, count);
}

#endif
