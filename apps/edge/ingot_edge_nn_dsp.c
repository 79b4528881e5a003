/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves for Cortex-M with the DSP extension (M4, M7, M33): SXTB16 takes bytes 0 and 2 of a
 * word as 16-bit halves, with a rotation bytes 1 and 3, and SMLAD multiplies and adds both halves.
 * The two loops that matter need every register, so they are written out, two quads a turn; a turn
 * begins in its middle when the quads are odd. Stateless. */
#include "ingot_edge_nn_core.h"

#if IGE_NN_HAS_DSP

#define IGE_NN_ASSEMBLY __attribute__((naked, noinline, used))
#define IGE_NN_UNUSED __attribute__((unused))

/* r0 sums, r1 x, r2 w, r3 stride; r12 turns, r4..r7 sums, r8..r11 both positions, r0 and lr weights
 */
#define IGE_NN_PAIR_TURN                                                                           \
    "ldmia r1!, {r8-r11}\n"                                                                        \
    "ldr r0, [r2, r3]\n"                                                                           \
    "sxtb16 lr, r0\n"                                                                              \
    "sxtb16 r0, r0, ror #8\n"                                                                      \
    "smlad r6, r8, lr, r6\n"                                                                       \
    "smlad r7, r10, lr, r7\n"                                                                      \
    "smlad r6, r9, r0, r6\n"                                                                       \
    "smlad r7, r11, r0, r7\n"                                                                      \
    "ldr r0, [r2], #4\n"                                                                           \
    "sxtb16 lr, r0\n"                                                                              \
    "sxtb16 r0, r0, ror #8\n"                                                                      \
    "smlad r4, r8, lr, r4\n"                                                                       \
    "smlad r5, r10, lr, r5\n"                                                                      \
    "smlad r4, r9, r0, r4\n"                                                                       \
    "smlad r5, r11, r0, r5\n"

IGE_NN_ASSEMBLY void ige_nn_pair_dsp(IGE_NN_UNUSED uint32_t sums[4], IGE_NN_UNUSED const int16_t *x,
                                     IGE_NN_UNUSED const int8_t *w, IGE_NN_UNUSED int32_t stride,
                                     IGE_NN_UNUSED int32_t quads)
{
    __asm__("push {r0, r4-r11, lr}\n"
            "ldr r12, [sp, #40]\n"
            "ldmia r0, {r4-r7}\n"
            "add r12, r12, #1\n"
            "lsrs r12, r12, #1\n"
            "bcc 2f\n"
            "beq 3f\n"
            "1:\n" IGE_NN_PAIR_TURN "2:\n" IGE_NN_PAIR_TURN "subs r12, r12, #1\n"
            "bne 1b\n"
            "3:\n"
            "pop {r0}\n"
            "stmia r0, {r4-r7}\n"
            "pop {r4-r11, pc}\n");
}

#define IGE_NN_ROW_CHANNEL(address, sum)                                                           \
    "ldr r0, " address "\n"                                                                        \
    "sxtb16 lr, r0\n"                                                                              \
    "sxtb16 r0, r0, ror #8\n"                                                                      \
    "smlad " sum ", r8, lr, " sum "\n"                                                             \
    "smlad " sum ", r9, r0, " sum "\n"

/* The same, but r8 and r9 inputs, r10 twice -zero, r11 three strides. */
#define IGE_NN_ROW_TURN                                                                            \
    "ldr r0, [r1], #4\n"                                                                           \
    "sxtab16 r8, r10, r0\n"                                                                        \
    "sxtab16 r9, r10, r0, ror #8\n" IGE_NN_ROW_CHANNEL("[r2, r3]", "r5")                           \
        IGE_NN_ROW_CHANNEL("[r2, r3, lsl #1]", "r6") IGE_NN_ROW_CHANNEL("[r2, r11]", "r7")         \
            IGE_NN_ROW_CHANNEL("[r2], #4", "r4")

IGE_NN_ASSEMBLY void ige_nn_row_dsp(IGE_NN_UNUSED uint32_t sums[4], IGE_NN_UNUSED const int8_t *x,
                                    IGE_NN_UNUSED const int8_t *w, IGE_NN_UNUSED int32_t stride,
                                    IGE_NN_UNUSED int32_t quads, IGE_NN_UNUSED int32_t zero)
{
    __asm__("push {r0, r4-r11, lr}\n"
            "ldrd r12, r10, [sp, #40]\n"
            "ldmia r0, {r4-r7}\n"
            "rsb r10, r10, #0\n"
            "pkhbt r10, r10, r10, lsl #16\n"
            "add r11, r3, r3, lsl #1\n"
            "add r12, r12, #1\n"
            "lsrs r12, r12, #1\n"
            "bcc 2f\n"
            "beq 3f\n"
            "1:\n" IGE_NN_ROW_TURN "2:\n" IGE_NN_ROW_TURN "subs r12, r12, #1\n"
            "bne 1b\n"
            "3:\n"
            "pop {r0}\n"
            "stmia r0, {r4-r7}\n"
            "pop {r4-r11, pc}\n");
}

static inline uint32_t ige_nn_word(const void *at)
{
    uint32_t word;
    __asm__("ldr %0, %1" : "=r"(word) : "m"(*(const uint32_t *)at));
    return word;
}

/* The halves of bytes 0 and 2, or 1 and 3, added to the halves of `to`. */
static inline uint32_t ige_nn_even(uint32_t to, uint32_t word)
{
    uint32_t halves;
    __asm__("sxtab16 %0, %1, %2" : "=r"(halves) : "r"(to), "r"(word));
    return halves;
}

static inline uint32_t ige_nn_odd(uint32_t to, uint32_t word)
{
    uint32_t halves;
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(halves) : "r"(to), "r"(word));
    return halves;
}

static inline uint32_t ige_nn_bottom(uint32_t sum, uint32_t a, uint32_t b)
{
    __asm__("smlabb %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline uint32_t ige_nn_top(uint32_t sum, uint32_t a, uint32_t b)
{
    __asm__("smlatt %0, %1, %2, %0" : "+r"(sum) : "r"(a), "r"(b));
    return sum;
}

static inline uint32_t ige_nn_twice(int32_t zero)
{
    uint32_t half = (uint32_t)-zero & 0xffffU;
    return half << 16 | half;
}

void ige_nn_taps_dsp(uint32_t sums[4], const int8_t *x, const int8_t *w,
                     const struct ige_nn_taps *taps)
{
    uint32_t a = sums[0], b = sums[1], c = sums[2], d = sums[3], zero = ige_nn_twice(taps->zero);
    for (int32_t row = taps->rows; row; row--) {
        for (int32_t column = taps->columns; column; column--) {
            uint32_t x_word = ige_nn_word(x), w_word = ige_nn_word(w);
            uint32_t x_even = ige_nn_even(zero, x_word), w_even = ige_nn_even(0, w_word);
            uint32_t x_odd = ige_nn_odd(zero, x_word), w_odd = ige_nn_odd(0, w_word);
            a = ige_nn_bottom(a, x_even, w_even);
            b = ige_nn_bottom(b, x_odd, w_odd);
            c = ige_nn_top(c, x_even, w_even);
            d = ige_nn_top(d, x_odd, w_odd);
            x += taps->x_column;
            w += taps->w_column;
        }
        x += taps->x_row;
        w += taps->w_row;
    }
    sums[0] = a, sums[1] = b, sums[2] = c, sums[3] = d;
}

void ige_nn_expand_dsp(int16_t *to, const int8_t *from, int32_t quads, int32_t zero)
{
    uint32_t *halves = (uint32_t *)(void *)to, twice = ige_nn_twice(zero);
    for (; quads; quads--) {
        uint32_t word = ige_nn_word(from);
        halves[0] = ige_nn_even(twice, word);
        halves[1] = ige_nn_odd(twice, word);
        from += IGE_NN_QUAD;
        halves += IGE_NN_PAIR_QUAD / 2;
    }
}

#endif
