/* SPDX-License-Identifier: Apache-2.0 */
/* The leaves for Cortex-M with the DSP extension (M4, M7, M33): SXTB16 takes bytes 0 and 2 of a
 * word as 16-bit halves, with a rotation bytes 1 and 3, and SMLAD multiplies and adds both halves.
 * The loops need every register, so they are written out. Stateless. */
#include "ingot_edge_nn_core.h"

#if IGE_NN_HAS_DSP

/* Nobody but the assembly knows what its function reads. */
#define IGE_NN_ASSEMBLY __attribute__((naked, noinline, used))
#define IGE_NN_READ __attribute__((unused))

/* The sums of groups of 2^bits channels, of which `begin` says how they begin: r0 sums, r1 x, r2 w,
 * r3 the rows, then their stride; r4..r7 a group's sums, r11 three strides, r12 turns left. A turn
 * is two quads, of which the first begins in its middle when they are odd. On the stack: groups
 * left, sums, x, how far the next group's weights are, quads + 1. */
#define IGE_NN_GROUPS(bits, begin, quad)                                                           \
    "push {r4-r11, lr}\n"                                                                          \
    "ldmia r3, {r3, r4, r5}\n"                                                                     \
    "lsl r6, r3, #" bits "\n"                                                                      \
    "sub r6, r6, r4, lsl #2\n"                                                                     \
    "add r4, r4, #1\n"                                                                             \
    "add r11, r3, r3, lsl #1\n"                                                                    \
    "push {r4}\n"                                                                                  \
    "push {r0, r1, r6}\n"                                                                          \
    "push {r5}\n"                                                                                  \
    "0:\n"                                                                                         \
    "ldrd r0, r1, [sp, #4]\n"                                                                      \
    "ldr r12, [sp, #16]\n" begin "lsrs r12, r12, #1\n"                                             \
    "bcc 2f\n"                                                                                     \
    "beq 3f\n"                                                                                     \
    "1:\n" quad "2:\n" quad "subs r12, r12, #1\n"                                                  \
    "bne 1b\n"                                                                                     \
    "3:\n"                                                                                         \
    "ldr r0, [sp, #4]\n"                                                                           \
    "ldr r8, [sp, #12]\n"                                                                          \
    "ldr r9, [sp]\n"                                                                               \
    "stmia r0!, {r4-r7}\n"                                                                         \
    "add r2, r2, r8\n"                                                                             \
    "str r0, [sp, #4]\n"                                                                           \
    "subs r9, r9, #1\n"                                                                            \
    "str r9, [sp]\n"                                                                               \
    "bne 0b\n"                                                                                     \
    "add sp, sp, #20\n"                                                                            \
    "pop {r4-r11, pc}\n"

#define IGE_NN_FROM_ZERO                                                                           \
    "mov r4, #0\n"                                                                                 \
    "mov r5, #0\n"                                                                                 \
    "mov r6, #0\n"                                                                                 \
    "mov r7, #0\n"

#define IGE_NN_WEIGHTS(address)                                                                    \
    "ldr r0, " address "\n"                                                                        \
    "sxtb16 lr, r0\n"                                                                              \
    "sxtb16 r0, r0, ror #8\n"

/* A channel with both positions of r8..r11, and with the one of r8 and r9. */
#define IGE_NN_PAIR_CHANNEL(address, first, second)                                                \
    IGE_NN_WEIGHTS(address)                                                                        \
    "smlad " first ", r8, lr, " first "\n"                                                         \
    "smlad " second ", r10, lr, " second "\n"                                                      \
    "smlad " first ", r9, r0, " first "\n"                                                         \
    "smlad " second ", r11, r0, " second "\n"
#define IGE_NN_ROW_CHANNEL(address, sum)                                                           \
    IGE_NN_WEIGHTS(address)                                                                        \
    "smlad " sum ", r8, lr, " sum "\n"                                                             \
    "smlad " sum ", r9, r0, " sum "\n"
#define IGE_NN_ROW_QUAD                                                                            \
    IGE_NN_ROW_CHANNEL("[r2, r3]", "r5")                                                           \
    IGE_NN_ROW_CHANNEL("[r2, r3, lsl #1]", "r6")                                                   \
    IGE_NN_ROW_CHANNEL("[r2, r11]", "r7")                                                          \
    IGE_NN_ROW_CHANNEL("[r2], #4", "r4")

IGE_NN_ASSEMBLY void ige_nn_pair_dsp(IGE_NN_READ uint32_t *sums, IGE_NN_READ const int16_t *x,
                                     IGE_NN_READ const int8_t *w,
                                     IGE_NN_READ const struct ige_nn_rows *rows)
{
    __asm__(IGE_NN_GROUPS("1", IGE_NN_FROM_ZERO,
                          "ldmia r1!, {r8-r11}\n" IGE_NN_PAIR_CHANNEL("[r2, r3]", "r6", "r7")
                              IGE_NN_PAIR_CHANNEL("[r2], #4", "r4", "r5")));
}

/* Adds to the sums. */
IGE_NN_ASSEMBLY static void ige_nn_row_halves(IGE_NN_READ uint32_t *sums,
                                              IGE_NN_READ const uint32_t *x,
                                              IGE_NN_READ const int8_t *w,
                                              IGE_NN_READ const struct ige_nn_rows *rows)
{
    __asm__(IGE_NN_GROUPS("2", "ldmia r0, {r4-r7}\n", "ldrd r8, r9, [r1], #8\n" IGE_NN_ROW_QUAD));
}

static inline void ige_nn_halves_of(uint32_t halves[2], const int8_t *from, uint32_t to)
{
    uint32_t word, even, odd;
    __asm__("ldr %0, [%1]" : "=r"(word) : "r"(from) : "memory");
    __asm__("sxtab16 %0, %1, %2" : "=r"(even) : "r"(to), "r"(word));
    __asm__("sxtab16 %0, %1, %2, ror #8" : "=r"(odd) : "r"(to), "r"(word));
    halves[0] = even;
    halves[1] = odd;
}

/* Inputs are taken apart once for all groups, so many quads at a time. */
void ige_nn_row_dsp(uint32_t *sums, const int8_t *x, const int8_t *w,
                    const struct ige_nn_rows *rows)
{
    enum { QUADS = 32 };
    uint32_t halves[2 * QUADS];
    struct ige_nn_rows part = *rows;
    for (int32_t i = 0; i < 4 * rows->groups; i++) sums[i] = 0;
    for (int32_t at = 0; at < rows->quads; at += QUADS) {
        part.quads = rows->quads - at < QUADS ? rows->quads - at : QUADS;
        for (int32_t i = 0; i < part.quads; i++, x += IGE_NN_QUAD)
            ige_nn_halves_of(halves + 2 * i, x, 0);
        ige_nn_row_halves(sums, halves, w + IGE_NN_QUAD * at, &part);
    }
}

/* A cell of four channels: r1 x and r2 w of the row, r3 and r12 to the next column, r8 twice -zero.
 */
#define IGE_NN_TAP(x, w)                                                                           \
    "ldr r0, " x "\n"                                                                              \
    "ldr r11, " w "\n"                                                                             \
    "sxtab16 r10, r8, r0\n"                                                                        \
    "sxtb16 lr, r11\n"                                                                             \
    "sxtab16 r0, r8, r0, ror #8\n"                                                                 \
    "sxtb16 r11, r11, ror #8\n"                                                                    \
    "smlabb r4, r10, lr, r4\n"                                                                     \
    "smlatt r6, r10, lr, r6\n"                                                                     \
    "smlabb r5, r0, r11, r5\n"                                                                     \
    "smlatt r7, r0, r11, r7\n"
#define IGE_NN_TAP_0 IGE_NN_TAP("[r1]", "[r2]")
#define IGE_NN_TAP_1 IGE_NN_TAP("[r1, r3]", "[r2, r12]")
#define IGE_NN_TAP_2 IGE_NN_TAP("[r1, r3, lsl #1]", "[r2, r12, lsl #1]")
#define IGE_NN_TAPS_ROWS(label, cells)                                                             \
    label ":\n" cells "ldrd r0, lr, [sp, #12]\n"                                                   \
          "add r1, r1, r0\n"                                                                       \
          "add r2, r2, lr\n"                                                                       \
          "subs r9, r9, #1\n"                                                                      \
          "bne " label "b\n"
/* The rows' rows, columns, x_row, x_column, w_row, w_column, zero and groups to the stack's sums,
 * x, w, x_row, w_row, groups, rows, columns. */
#define IGE_NN_TAPS_BEGIN                                                                          \
    "push {r4-r11, lr}\n"                                                                          \
    "ldmia r3!, {r4-r7, r10, r12}\n"                                                               \
    "ldmia r3, {r8, r9}\n"                                                                         \
    "mov r3, r7\n"                                                                                 \
    "rsb r8, r8, #0\n"                                                                             \
    "pkhbt r8, r8, r8, lsl #16\n"                                                                  \
    "push {r4, r5}\n"                                                                              \
    "push {r9}\n"                                                                                  \
    "push {r10}\n"                                                                                 \
    "push {r6}\n"                                                                                  \
    "push {r0, r1, r2}\n"
#define IGE_NN_TAPS_GROUP                                                                          \
    "ldmia sp, {r0, r1, r2}\n"                                                                     \
    "ldrd r9, r10, [sp, #24]\n" IGE_NN_FROM_ZERO
#define IGE_NN_TAPS_GIVE                                                                           \
    "ldmia sp, {r0, r1, r2}\n"                                                                     \
    "ldr r9, [sp, #20]\n"                                                                          \
    "str r4, [r0], #8\n"                                                                           \
    "str r5, [r0], #8\n"                                                                           \
    "str r6, [r0], #8\n"                                                                           \
    "str r7, [r0], #8\n"                                                                           \
    "add r1, r1, #4\n"                                                                             \
    "add r2, r2, #4\n"                                                                             \
    "stmia sp, {r0, r1, r2}\n"                                                                     \
    "subs r9, r9, #1\n"                                                                            \
    "str r9, [sp, #20]\n"

#define IGE_NN_TAPS_CHOOSE                                                                         \
    "cmp r10, #2\n"                                                                                \
    "beq 2f\n"                                                                                     \
    "bmi 1f\n"
#define IGE_NN_TAPS_ADD                                                                            \
    "ldr r4, [r0]\n"                                                                               \
    "ldr r5, [r0, #8]\n"                                                                           \
    "ldr r6, [r0, #16]\n"                                                                          \
    "ldr r7, [r0, #24]\n"                                                                          \
    "sub r10, r10, #8\n"
#define IGE_NN_TAPS_END                                                                            \
    "bne 0b\n"                                                                                     \
    "add sp, sp, #32\n"                                                                            \
    "pop {r4-r11, pc}\n"

/* One to three columns of at least one row and one group; with 8 more columns it adds. */
IGE_NN_ASSEMBLY static void ige_nn_taps_three(IGE_NN_READ uint32_t *sums,
                                              IGE_NN_READ const int8_t *x,
                                              IGE_NN_READ const int8_t *w,
                                              IGE_NN_READ const struct ige_nn_taps *taps)
{
    __asm__(IGE_NN_TAPS_BEGIN "0:\n" IGE_NN_TAPS_GROUP "5:\n" IGE_NN_TAPS_CHOOSE);
    __asm__("cmp r10, #8\nbhi 6f\n");
    __asm__(IGE_NN_TAPS_ROWS("3", IGE_NN_TAP_2 IGE_NN_TAP_1 IGE_NN_TAP_0) "b 4f\n");
    __asm__(IGE_NN_TAPS_ROWS("2", IGE_NN_TAP_1 IGE_NN_TAP_0) "b 4f\n");
    __asm__(IGE_NN_TAPS_ROWS("1", IGE_NN_TAP_0) "4:\n" IGE_NN_TAPS_GIVE IGE_NN_TAPS_END);
    __asm__("6:\n" IGE_NN_TAPS_ADD "b 5b\n");
}

void ige_nn_taps_dsp(uint32_t *sums, const int8_t *x, const int8_t *w,
                     const struct ige_nn_taps *taps)
{
    struct ige_nn_taps part = *taps;
    int32_t left = taps->rows ? taps->columns : 0;
    if (left <= 0)
        for (int32_t i = 0; i < 4 * taps->groups; i++) sums[2 * i] = 0;
    for (int32_t add = 0; left > 0; left -= 3, add = 8) {
        part.columns = (left < 3 ? left : 3) + add;
        ige_nn_taps_three(sums, x, w, &part);
        x += 3 * taps->x_column;
        w += 3 * taps->w_column;
    }
}

void ige_nn_expand_dsp(int16_t *to, const int8_t *from, int32_t quads, int32_t zero)
{
    uint32_t *halves = (uint32_t *)(void *)to, half = (uint32_t)-zero & 0xffffU;
    for (; quads; quads--) {
        ige_nn_halves_of(halves, from, half << 16 | half);
        from += IGE_NN_QUAD;
        halves += IGE_NN_PAIR_QUAD / 2;
    }
}

/* Where the assembly finds a layer's shift of sums and zero point. */
typedef char ige_nn_ready_is_as_read[offsetof(struct ige_nn_ready, left) == 16 &&
                                             offsetof(struct ige_nn_ready, zero) == 20
                                         ? 1
                                         : -1];

/* Each turn a channel of two positions: r0 and r8 bytes, r1 sums to r7, r2 fractions, r3 shifts, r4
 * biases, r6 zero, r9 left; r10 the shift, r11 the fraction, r12 the bias, then half of what the
 * shift takes away, r5 and lr both values. */
#define IGE_NN_FINISH(right, scale)                                                                \
    "push {r4-r11, lr}\n"                                                                          \
    "ldr r12, [sp, #36]\n"                                                                         \
    "ldrd r10, r11, [r2]\n"                                                                        \
    "ldr lr, [r2, #8]\n"                                                                           \
    "ldrd r9, r6, [r2, #16]\n"                                                                     \
    "add r4, r10, r3, lsl #2\n"                                                                    \
    "add r2, r11, r3, lsl #2\n"                                                                    \
    "add r3, lr, r3\n"                                                                             \
    "add r7, r1, r12, lsl #3\n"                                                                    \
    "ldrd r0, r8, [r0]\n"                                                                          \
    "1:\n"                                                                                         \
    "ldrsb r10, [r3], #1\n"                                                                        \
    "ldr r11, [r2], #4\n"                                                                          \
    "ldr r12, [r4], #4\n"                                                                          \
    "ldrd r5, lr, [r1], #8\n" right "add r5, r5, r12\n"                                            \
    "add lr, lr, r12\n"                                                                            \
    "mov r12, #1\n"                                                                                \
    "lsl r12, r12, r10\n"                                                                          \
    "lsr r12, r12, #1\n" scale("r5") scale("lr") "asr r5, r5, r10\n"                               \
                                                 "asr lr, lr, r10\n"                               \
                                                 "add r5, r5, r6\n"                                \
                                                 "add lr, lr, r6\n"                                \
                                                 "ssat r5, #8, r5\n"                               \
                                                 "ssat lr, #8, lr\n"                               \
                                                 "strb r5, [r0], #1\n"                             \
                                                 "strb lr, [r8], #1\n"                             \
                                                 "cmp r1, r7\n"                                    \
                                                 "bne 1b\n"                                        \
                                                 "pop {r4-r11, pc}\n"
#define IGE_NN_RIGHT                                                                               \
    "sub r10, r9, r10\n"                                                                           \
    "sub r10, r10, #1\n"
#define IGE_NN_SCALE_ONCE(sum)                                                                     \
    "lsl " sum ", " sum ", r9\n"                                                                   \
    "smmla " sum ", " sum ", r11, r12\n"
#define IGE_NN_SCALE_TWICE(sum)                                                                    \
    "lsl " sum ", " sum ", #1\n"                                                                   \
    "smmulr " sum ", " sum ", r11\n"                                                               \
    "add " sum ", " sum ", " sum ", asr #31\n"                                                     \
    "add " sum ", " sum ", r12\n"

/* All of a product's bits from 31 on, then half of them, so that what is added has room. */
#define IGE_NN_SCALE_WIDE(sum)                                                                     \
    "smull r9, " sum ", " sum ", r11\n"                                                            \
    "adds r9, r9, #0x40000000\n"                                                                   \
    "adc " sum ", " sum ", #0\n"                                                                   \
    "lsl " sum ", " sum ", #1\n"                                                                   \
    "orr " sum ", " sum ", r9, lsr #31\n"                                                          \
    "add " sum ", " sum ", " sum ", asr #31\n"                                                     \
    "add " sum ", r12, " sum ", asr #1\n"

/* With one rounding, with two, and with two of any sums by multipliers of less than a quarter. */
IGE_NN_ASSEMBLY static void ige_nn_finish_once(IGE_NN_READ int8_t *const out[2],
                                               IGE_NN_READ const uint32_t *sums,
                                               IGE_NN_READ const struct ige_nn_ready *ready,
                                               IGE_NN_READ int32_t first, IGE_NN_READ int32_t count)
{
    __asm__(IGE_NN_FINISH(IGE_NN_RIGHT, IGE_NN_SCALE_ONCE));
}

IGE_NN_ASSEMBLY static void ige_nn_finish_twice(IGE_NN_READ int8_t *const out[2],
                                                IGE_NN_READ const uint32_t *sums,
                                                IGE_NN_READ const struct ige_nn_ready *ready,
                                                IGE_NN_READ int32_t first,
                                                IGE_NN_READ int32_t count)
{
    __asm__(IGE_NN_FINISH(IGE_NN_RIGHT, IGE_NN_SCALE_TWICE));
}

IGE_NN_ASSEMBLY static void ige_nn_finish_wide(IGE_NN_READ int8_t *const out[2],
                                               IGE_NN_READ const uint32_t *sums,
                                               IGE_NN_READ const struct ige_nn_ready *ready,
                                               IGE_NN_READ int32_t first, IGE_NN_READ int32_t count)
{
    __asm__(IGE_NN_FINISH("mvn r10, r10\n", IGE_NN_SCALE_WIDE));
}

void ige_nn_finish_dsp(int8_t *const out[2], const uint32_t *sums, const struct ige_nn_ready *ready,
                       int32_t first, int32_t count)
{
    if (!ready->channel_mask) { /* one multiplier of all: a channel at a time, each as the first */
        struct ige_nn_ready one = *ready;
        one.channel_mask = 1;
        one.bias += 4 * first;
        for (int32_t c = 0; c < count; c++, one.bias += 4) {
            int8_t *const at[2] = {out[0] + c, out[1] + c};
            ige_nn_finish_dsp(at, sums + 2 * c, &one, 0, 1);
        }
    } else if (IGE_NN_HAS_SINGLE && ready->way == IGE_NN_WAY_SINGLE) {
        ige_nn_finish_once(out, sums, ready, first, count);
    } else if (IGE_NN_HAS_DOUBLE && ready->way == IGE_NN_WAY_DOUBLE) {
        ige_nn_finish_twice(out, sums, ready, first, count);
    } else if (IGE_NN_HAS_DOUBLE && ready->way == IGE_NN_WAY_WIDE && ready->small) {
        ige_nn_finish_wide(out, sums, ready, first, count);
    } else if (IGE_NN_HAS_DOUBLE && ready->way == IGE_NN_WAY_WIDE) {
        ige_nn_finish_way(IGE_NN_WAY_WIDE, out, sums, ready, first, count);
    } else {
        for (int32_t i = 0; i < 2 * count; i++)
            ige_nn_bytes(out[i & 1] + i / 2, sums + i, ready, first + i / 2, 1);
    }
}

#endif
