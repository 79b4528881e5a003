/* SPDX-License-Identifier: Apache-2.0 */
/* PAD, CONCATENATION, and what is a table of 256 bytes. Stateless. */
#include "ingot_edge_nn_core.h"

static void ige_nn_copy(int8_t *to, const int8_t *from, int32_t count)
{
    while (count-- > 0) *to++ = *from++;
}

void ige_nn_pad(const struct ige_nn_pad *pad)
{
    int32_t counters[IGE_NN_RANK_MAX], inside, last = pad->rank - 1;
    const int8_t *from = pad->input;
    int8_t *to = pad->output;
    for (int32_t d = 0; d < last; d++) counters[d] = -pad->before[d];
    for (;;) {
        int32_t d = last - 1, width = pad->dims[last];
        inside = 1;
        for (int32_t k = 0; k < last; k++)
            inside = inside && counters[k] >= 0 && counters[k] < pad->dims[k];
        for (int32_t i = 0; i < pad->before[last]; i++) *to++ = pad->zero;
        for (int32_t i = 0; i < width; i++) *to++ = inside ? *from++ : pad->zero;
        for (int32_t i = 0; i < pad->after[last]; i++) *to++ = pad->zero;
        for (; d >= 0; d--) {
            if (++counters[d] < pad->dims[d] + pad->after[d]) break;
            counters[d] = -pad->before[d];
        }
        if (d < 0) return;
    }
}

void ige_nn_lines(const struct ige_nn_lines *lines)
{
    const int8_t *from = lines->input;
    int8_t *to = lines->output + lines->at;
    for (int32_t i = 0; i < lines->lines; i++, from += lines->bytes, to += lines->stride)
        ige_nn_copy(to, from, lines->bytes);
}

void ige_nn_table(const struct ige_nn_table *table)
{
    for (int32_t i = 0; i < table->count; i++)
        table->output[i] = table->table[table->input[i] + 128];
}
