/* SPDX-License-Identifier: Apache-2.0 */
#ifndef IG_KERNELS_NN_NN_PLAN_H
#define IG_KERNELS_NN_NN_PLAN_H

/* Places of buffers in one arena: two that live at the same time do not overlap. Greedy by size, as
 * TensorFlow Lite Micro plans. */

#include <stddef.h>
#include <stdint.h>

enum { IG_NN_PLAN_ALIGNMENT = 16 };

struct ig_nn_buffer {
    size_t size_bytes;    /* 0: not placed */
    uint32_t first, last; /* steps of its life, both included */
    size_t offset;        /* out: a multiple of IG_NN_PLAN_ALIGNMENT */
};

/* Bytes of the arena. order[count] is working memory. */
size_t ig_nn_plan(struct ig_nn_buffer *buffers, uint32_t count, uint32_t *order);

#endif
