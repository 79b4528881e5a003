/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_NN_TESTING_H
#define INGOT_EDGE_NN_TESTING_H

/* The leaves' forms that this compiler builds, and random work that holds each against the portable
 * one: for tests on the host and on emulated processors. */

#include "ingot_edge_nn_core.h"

struct ige_nn_form {
    const char *name;
    void (*pair)(uint32_t *, const int16_t *, const int8_t *, const struct ige_nn_rows *);
    void (*row)(uint32_t *, const int8_t *, const int8_t *, const struct ige_nn_rows *);
    void (*taps)(uint32_t *, const int8_t *, const int8_t *, const struct ige_nn_taps *);
    void (*expand)(int16_t *, const int8_t *, int32_t, int32_t);
    void (*finish)(int8_t *const *, const uint32_t *, const struct ige_nn_ready *, int32_t,
                   int32_t);
};

#define IGE_NN_FORM_0(form)
#define IGE_NN_FORM_1(form)                                                                        \
    {#form,                                                                                        \
     ige_nn_pair_##form,                                                                           \
     ige_nn_row_##form,                                                                            \
     ige_nn_taps_##form,                                                                           \
     ige_nn_expand_##form,                                                                         \
     ige_nn_finish_##form},
#define IGE_NN_FORM_IF(form, has) IGE_NN_FORM_##has(form)
#define IGE_NN_FORM_ENTRY(form, has, supported) IGE_NN_FORM_IF(form, has)
static const struct ige_nn_form ige_nn_forms[] = {IGE_NN_FORMS(IGE_NN_FORM_ENTRY)};
enum { IGE_NN_FORMS_COUNT = sizeof ige_nn_forms / sizeof *ige_nn_forms };

/* Whether this machine has a form's instructions. */
#define IGE_NN_SUPPORTS(feature) __builtin_cpu_supports(feature) != 0
#define IGE_NN_RUNS_0(supported)
#define IGE_NN_RUNS_1(supported) supported,
#define IGE_NN_RUNS_IF(has, supported) IGE_NN_RUNS_##has(supported)
#define IGE_NN_RUNS(form, has, supported) IGE_NN_RUNS_IF(has, supported)
static inline int ige_nn_form_runs(int32_t form)
{
    const int runs[] = {IGE_NN_FORMS(IGE_NN_RUNS)};
    return runs[form];
}

static uint32_t ige_nn_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

enum { IGE_NN_QUADS_MAX = 20, IGE_NN_BYTES_MAX = 4 * IGE_NN_QUADS_MAX, IGE_NN_GROUPS_MAX = 3 };

static int ige_nn_same(uint32_t sums[2][8 * IGE_NN_GROUPS_MAX])
{
    for (int32_t i = 0; i < 8 * IGE_NN_GROUPS_MAX; i++)
        if (sums[0][i] != sums[1][i]) return 0;
    return 1;
}

static void ige_nn_fill(int8_t *bytes, uint32_t count, uint32_t *random)
{
    uint32_t extreme = ige_nn_random(random) % 4 == 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t word = ige_nn_random(random);
        bytes[i] = (int8_t)(extreme ? 127 + word % 2 : word);
    }
}

static int32_t ige_nn_below(uint32_t *random, uint32_t bound)
{
    return (int32_t)(ige_nn_random(random) % bound);
}

/* Whether a form makes the portable one's bytes of sums, in any way. */
static inline int ige_nn_form_finishes(const struct ige_nn_form *form, uint32_t *random)
{
    enum { CHANNELS = 9 };
    uint32_t bias[CHANNELS], fractions[CHANNELS], sums[2 * CHANNELS];
    int8_t shifts[CHANNELS], bytes[2][2 * CHANNELS];
    int32_t bits = ige_nn_below(random, 32), shift = ige_nn_below(random, 34) - 32;
    struct ige_nn_finish finish = {bias, fractions, shifts, 0, 0, 0, 0, -128, 127};
    struct ige_nn_ready ready;
    int32_t first = ige_nn_below(random, 3);
    finish.per_channel = (uint8_t)ige_nn_below(random, 4);
    finish.rounding = (uint8_t)ige_nn_below(random, 2);
    finish.sum_bits = (uint8_t)(bits + 1);
    finish.zero = (int8_t)ige_nn_random(random);
    for (int32_t c = 0; c < CHANNELS; c++) {
        bias[c] = (uint32_t)((int32_t)ige_nn_random(random) >> (31 - bits)) / 2;
        fractions[c] = 0x40000000U | ige_nn_random(random) >> 2;
        shifts[c] = (int8_t)(shift > -31 ? shift - ige_nn_below(random, 2) : -31);
        for (int32_t p = 0; p < 2; p++)
            sums[2 * c + p] = (uint32_t)((int32_t)ige_nn_random(random) >> (31 - bits)) / 2;
    }
    ige_nn_prepare(&ready, &finish, CHANNELS);
    for (int32_t i = 0; i < 2; i++) {
        int8_t *const out[2] = {bytes[i], bytes[i] + CHANNELS};
        (i ? form : &ige_nn_forms[0])->finish(out, sums, &ready, first, CHANNELS - first);
    }
    for (int32_t c = 0; c < CHANNELS - first; c++)
        if (bytes[0][c] != bytes[1][c] || bytes[0][CHANNELS + c] != bytes[1][CHANNELS + c])
            return 0;
    return 1;
}

/* Whether a form gives the portable one's sums of one random piece of work. */
static inline int ige_nn_form_agrees(const struct ige_nn_form *form, uint32_t *random)
{
    static int16_t x[2][2 * IGE_NN_BYTES_MAX];
    static int8_t bytes[IGE_NN_BYTES_MAX + 100];
    static int8_t weights[4 * IGE_NN_GROUPS_MAX * IGE_NN_BYTES_MAX + 3];
    const struct ige_nn_form *portable = &ige_nn_forms[0];
    uint32_t sums[2][8 * IGE_NN_GROUPS_MAX];
    int32_t zero = (int8_t)ige_nn_random(random);
    struct ige_nn_rows rows = {ige_nn_below(random, IGE_NN_BYTES_MAX),
                               ige_nn_below(random, IGE_NN_QUADS_MAX + 1),
                               ige_nn_below(random, IGE_NN_GROUPS_MAX) + 1};
    struct ige_nn_taps taps = {
        ige_nn_below(random, 4), ige_nn_below(random, 6), 13, 7, 21, 9, zero, rows.groups};
    int8_t *w = weights + ige_nn_below(random, 4);
    for (int32_t i = 0; i < 8 * IGE_NN_GROUPS_MAX; i++)
        sums[0][i] = sums[1][i] = ige_nn_random(random);
    ige_nn_fill(weights, sizeof weights, random);
    ige_nn_fill(bytes, sizeof bytes, random);
    for (int32_t i = 0; i < 2; i++) {
        const struct ige_nn_form *f = i ? form : portable;
        f->expand(x[i], bytes + 1, rows.quads, zero);
        f->expand(x[i] + IGE_NN_QUAD, weights, rows.quads, zero);
    }
    for (int32_t i = 0; i < IGE_NN_PAIR_QUAD * rows.quads; i++)
        if (x[0][i] != x[1][i]) return 0;
    portable->pair(sums[0], x[0], w, &rows);
    form->pair(sums[1], x[0], w, &rows);
    if (!ige_nn_same(sums)) return 0;
    portable->row(sums[0], bytes + 1, w, &rows);
    form->row(sums[1], bytes + 1, w, &rows);
    if (!ige_nn_same(sums)) return 0;
    portable->taps(sums[0], bytes, w, &taps);
    form->taps(sums[1], bytes, w, &taps);
    return ige_nn_same(sums) && ige_nn_form_finishes(form, random);
}

#endif
