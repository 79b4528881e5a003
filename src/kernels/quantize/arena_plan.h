/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_QUANTIZE_ARENA_PLAN_H
#define IG_KERNELS_QUANTIZE_ARENA_PLAN_H

/* Places of a network's buffers in a device's arena. Unlike kernels/nn's plan it takes time to find
 * a small one, and a layer's output may lie over what the layer has read. */

#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

enum { IG_ARENA_PLAN_ALIGNMENT = 4 };

struct ig_arena_buffer {
    uint32_t size_bytes;  /* at least 1 */
    uint32_t first, last; /* steps of its life, both included */
    uint32_t offset;      /* out: a multiple of IG_ARENA_PLAN_ALIGNMENT */
};

/* Two buffers that live at the same time lie apart, or input.offset - output.offset is at least
 * `distance`. */
struct ig_arena_overlap {
    uint32_t input, output; /* buffers */
    uint32_t distance;
};

/* Gives the arena's bytes in *out. Sums of sizes must fit 32 bits. The same plan for the same
 * arguments, always. */
enum ig_code ig_arena_plan(uint32_t *out, struct ig_arena_buffer *buffers, uint32_t count,
                           const struct ig_arena_overlap *overlaps, uint32_t overlaps_count,
                           struct ig_err *err);

#endif
