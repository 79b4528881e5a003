/* SPDX-License-Identifier: Apache-2.0 */
/* Offline memory plan: the greatest buffer first, each at the lowest offset where no buffer that
 * was placed before and lives at the same time is in the way. Stateless. Source: TensorFlow Lite
 * Micro's greedy_memory_planner.cc; Pisarchyk and Lee, Efficient Memory Management for Deep Neural
 * Net Inference (2020). */
#include "kernels/nn/nn_plan.h"

#include <stdbool.h>

static size_t rounded(size_t bytes)
{
    return (bytes + IG_NN_PLAN_ALIGNMENT - 1) / IG_NN_PLAN_ALIGNMENT * IG_NN_PLAN_ALIGNMENT;
}

/* Whether a is placed before b: the larger, then the earlier. */
static bool before(const struct ig_nn_buffer *buffers, uint32_t a, uint32_t b)
{
    if (buffers[a].size_bytes != buffers[b].size_bytes)
        return buffers[a].size_bytes > buffers[b].size_bytes;
    return a < b;
}

static void sift(const struct ig_nn_buffer *buffers, uint32_t *heap, uint32_t at, uint32_t count)
{
    for (uint32_t child; (child = 2 * at + 1) < count; at = child) {
        if (child + 1 < count && before(buffers, heap[child], heap[child + 1])) child++;
        if (!before(buffers, heap[at], heap[child])) return;
        uint32_t kept = heap[at];
        heap[at] = heap[child];
        heap[child] = kept;
    }
}

/* Heap sort: needs no memory of its own. */
static void sort(const struct ig_nn_buffer *buffers, uint32_t *order, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) order[i] = i;
    for (uint32_t i = count / 2; i-- > 0;) sift(buffers, order, i, count);
    for (uint32_t end = count; end-- > 1;) {
        uint32_t kept = order[0];
        order[0] = order[end];
        order[end] = kept;
        sift(buffers, order, 0, end);
    }
}

static bool together(const struct ig_nn_buffer *a, const struct ig_nn_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* order[0..placed) are placed, by rising offset. */
static size_t find_offset(const struct ig_nn_buffer *buffers, const uint32_t *order,
                          uint32_t placed, const struct ig_nn_buffer *buffer)
{
    size_t offset = 0;
    for (uint32_t i = 0; i < placed; i++) {
        const struct ig_nn_buffer *other = &buffers[order[i]];
        if (!together(other, buffer)) continue;
        if (other->offset >= offset + buffer->size_bytes) break;
        size_t end = rounded(other->offset + other->size_bytes);
        if (end > offset) offset = end;
    }
    return offset;
}

size_t ig_nn_plan(struct ig_nn_buffer *buffers, uint32_t count, uint32_t *order)
{
    size_t peak = 0;
    sort(buffers, order, count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t index = order[i], at = i;
        struct ig_nn_buffer *buffer = &buffers[index];
        if (buffer->size_bytes == 0) break; /* so are all that follow */
        buffer->offset = find_offset(buffers, order, i, buffer);
        if (buffer->offset + buffer->size_bytes > peak) peak = buffer->offset + buffer->size_bytes;
        for (; at > 0 && buffers[order[at - 1]].offset > buffer->offset; at--)
            order[at] = order[at - 1];
        order[at] = index;
    }
    return peak;
}
