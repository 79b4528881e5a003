/* SPDX-License-Identifier: Apache-2.0 */
#ifndef INGOT_EDGE_NN_TESTING_H
#define INGOT_EDGE_NN_TESTING_H

/* The leaves' forms that this compiler builds, and random work that holds each against the portable
 * one: for tests on the host and on emulated processors. */

#include "ingot_edge_nn_core.h"

struct ige_nn_form {
    const char *name;
    void (*pair)(uint32_t *, const int16_t *, const int8_t *, int32_t, int32_t);
    void (*row)(uint32_t *, const int8_t *, const int8_t *, int32_t, int32_t, int32_t);
    void (*taps)(uint32_t *, const int8_t *, const int8_t *, const struct ige_nn_taps *);
    void (*expand)(int16_t *, const int8_t *, int32_t, int32_t);
};

#define IGE_NN_FORM_0(form)
#define IGE_NN_FORM_1(form)                                                                        \
    {#form, ige_nn_pair_##form, ige_nn_row_##form, ige_nn_taps_##form, ige_nn_expand_##form},
#define IGE_NN_FORM_IF(form, has) IGE_NN_FORM_##has(form)
#define IGE_NN_FORM_ENTRY(form, has) IGE_NN_FORM_IF(form, has)
static const struct ige_nn_form ige_nn_forms[] = {IGE_NN_FORMS(IGE_NN_FORM_ENTRY)};
enum { IGE_NN_FORMS_COUNT = sizeof ige_nn_forms / sizeof *ige_nn_forms };

static uint32_t ige_nn_random(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

static int ige_nn_same(const uint32_t *a, const uint32_t *b)
{
    return a[0] == b[0] && a[1] == b[1] && a[2] == b[2] && a[3] == b[3];
}

/* Whether a form gives the portable one's sums of one random piece of work. */
static inline int ige_nn_form_agrees(const struct ige_nn_form *form, uint32_t *random)
{
    enum { QUADS = 20, BYTES = 4 * QUADS };
    static int16_t x[2][8 * QUADS];
    static int8_t bytes[BYTES], weights[4 * BYTES + 3];
    uint32_t sums[2][4], extreme = ige_nn_random(random) % 4;
    int32_t quads = (int32_t)(ige_nn_random(random) % (QUADS + 1));
    int32_t zero = (int8_t)ige_nn_random(random), stride = (int32_t)(ige_nn_random(random) % BYTES);
    int8_t *w = weights + ige_nn_random(random) % 4;
    struct ige_nn_taps taps = {(int32_t)(ige_nn_random(random) % 4), 3, 2, 5, 1, 7, zero};
    const struct ige_nn_form *portable = &ige_nn_forms[0];
    for (int32_t i = 0; i < 4; i++) sums[0][i] = sums[1][i] = ige_nn_random(random);
    for (uint32_t i = 0; i < sizeof weights; i++)
        weights[i] =
            (int8_t)(extreme ? ige_nn_random(random) : ige_nn_random(random) % 2 * 255 + 128);
    for (uint32_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (int8_t)(extreme ? ige_nn_random(random) : ige_nn_random(random) % 2 + 127);
    for (int32_t i = 0; i < 2; i++) {
        const struct ige_nn_form *f = i ? form : portable;
        f->expand(x[i], bytes, quads, zero);
        f->expand(x[i] + 4, weights, quads, zero);
    }
    for (int32_t i = 0; i < 8 * quads; i++)
        if (x[0][i] != x[1][i]) return 0;
    portable->pair(sums[0], x[0], w, stride, quads);
    form->pair(sums[1], x[0], w, stride, quads);
    if (!ige_nn_same(sums[0], sums[1])) return 0;
    portable->row(sums[0], bytes, w, stride, quads, zero);
    form->row(sums[1], bytes, w, stride, quads, zero);
    if (!ige_nn_same(sums[0], sums[1])) return 0;
    portable->taps(sums[0], bytes, w, &taps);
    form->taps(sums[1], bytes, w, &taps);
    return ige_nn_same(sums[0], sums[1]);
}

#endif
