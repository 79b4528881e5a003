/* SPDX-License-Identifier: Apache-2.0 */
/* Buffers are placed one by one at the lowest offset that is free. What comes of it depends on the
 * order: the greatest first, the last to live first, and from the best of them on, orders in which
 * one buffer has moved, as long as that makes the arena no larger. Where arenas are equal the one
 * whose buffers lie lower leads on. Stateless. */
#include "kernels/quantize/arena_plan.h"

#include "base/mem.h"

#include <stdbool.h>
#include <string.h>

/* Comparisons of two buffers that a plan may cost. */
static const uint64_t WORK_MAX = UINT64_C(40000000);
enum { TRIALS_MAX = 1000 };

struct cost {
    uint64_t peak, sum; /* of all ends */
};

struct plan {
    struct ig_arena_buffer *buffers;
    uint32_t count;
    const struct ig_arena_overlap *overlaps; /* by output */
    const uint32_t *first_overlap;           /* by buffer, count + 1: of which it is the output */
    uint32_t *order, *best_order, *best_offsets;
    uint64_t random;
};

static uint64_t rounded(uint64_t bytes)
{
    return (bytes + IG_ARENA_PLAN_ALIGNMENT - 1) / IG_ARENA_PLAN_ALIGNMENT *
           IG_ARENA_PLAN_ALIGNMENT;
}

/* The overlap that is allowed between two buffers, or NULL. */
static const struct ig_arena_overlap *allowed(const struct plan *plan, uint32_t input,
                                              uint32_t output)
{
    for (uint32_t i = plan->first_overlap[output]; i < plan->first_overlap[output + 1]; i++)
        if (plan->overlaps[i].input == input) return &plan->overlaps[i];
    return NULL;
}

static bool together(const struct ig_arena_buffer *a, const struct ig_arena_buffer *b)
{
    return a->first <= b->last && b->first <= a->last;
}

/* The least offset above `offset` at which `other` lets the buffer be; `offset` itself when it may
 * be there. */
static uint64_t push(const struct plan *plan, uint32_t index, uint32_t other, uint64_t offset)
{
    const struct ig_arena_buffer *buffer = &plan->buffers[index], *o = &plan->buffers[other];
    uint64_t other_end = (uint64_t)o->offset + o->size_bytes;
    if (!together(buffer, o) || offset >= other_end || offset + buffer->size_bytes <= o->offset)
        return offset;
    const struct ig_arena_overlap *below = allowed(plan, other, index);
    if (below && o->offset >= offset + below->distance) return offset;
    const struct ig_arena_overlap *above = allowed(plan, index, other);
    if (above) {
        uint64_t least = rounded((uint64_t)o->offset + above->distance);
        if (offset >= least) return offset;
        if (least < other_end) return least;
    }
    return rounded(other_end);
}

static uint64_t find_offset(const struct plan *plan, uint32_t placed, uint32_t index)
{
    uint64_t offset = 0;
    for (uint32_t i = 0; i < placed;) {
        uint64_t next = push(plan, index, plan->order[i], offset);
        i = next == offset ? i + 1 : 0;
        offset = next;
    }
    return offset;
}

static struct cost place(struct plan *plan)
{
    struct cost cost = {0, 0};
    for (uint32_t i = 0; i < plan->count; i++) {
        struct ig_arena_buffer *buffer = &plan->buffers[plan->order[i]];
        uint64_t offset = find_offset(plan, i, plan->order[i]);
        buffer->offset = (uint32_t)offset;
        cost.sum += offset + buffer->size_bytes;
        if (offset + buffer->size_bytes > cost.peak) cost.peak = offset + buffer->size_bytes;
    }
    return cost;
}

static bool no_worse(struct cost a, struct cost b)
{
    return a.peak != b.peak ? a.peak < b.peak : a.sum <= b.sum;
}

/* Keeps the order in hand when it is as good as the best. */
static void try_order(struct plan *plan, struct cost *best)
{
    struct cost cost = place(plan);
    if (no_worse(cost, *best)) {
        *best = cost;
        memcpy(plan->best_order, plan->order, plan->count * sizeof *plan->order);
        for (uint32_t i = 0; i < plan->count; i++) plan->best_offsets[i] = plan->buffers[i].offset;
    } else {
        memcpy(plan->order, plan->best_order, plan->count * sizeof *plan->order);
    }
}

static uint32_t next_random(struct plan *plan, uint32_t below)
{
    plan->random = plan->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)((plan->random >> 33) % below);
}

static void move_one(struct plan *plan)
{
    uint32_t from = next_random(plan, plan->count), to = next_random(plan, plan->count);
    uint32_t index = plan->order[from];
    if (from < to)
        memmove(plan->order + from, plan->order + from + 1, (to - from) * sizeof *plan->order);
    else
        memmove(plan->order + to + 1, plan->order + to, (from - to) * sizeof *plan->order);
    plan->order[to] = index;
}

/* Insertion sort: by size, or with `by_time` the last to end first. */
static void sort(struct plan *plan, bool by_time)
{
    const struct ig_arena_buffer *buffers = plan->buffers;
    for (uint32_t i = 0; i < plan->count; i++) {
        uint32_t at = i;
        for (; at > 0; at--) {
            const struct ig_arena_buffer *a = &buffers[plan->order[at - 1]], *b = &buffers[i];
            if (by_time ? a->last >= b->last : a->size_bytes >= b->size_bytes) break;
            plan->order[at] = plan->order[at - 1];
        }
        plan->order[at] = i;
    }
}

static uint32_t search(struct plan *plan)
{
    struct cost best = {UINT64_MAX, UINT64_MAX};
    uint64_t each = (uint64_t)plan->count * plan->count + 1, trials = WORK_MAX / each;
    if (trials > TRIALS_MAX) trials = TRIALS_MAX;
    sort(plan, false);
    try_order(plan, &best);
    sort(plan, true);
    try_order(plan, &best);
    for (uint64_t i = 0; i < trials && plan->count > 1; i++) {
        move_one(plan);
        try_order(plan, &best);
    }
    for (uint32_t i = 0; i < plan->count; i++) plan->buffers[i].offset = plan->best_offsets[i];
    return (uint32_t)best.peak;
}

/* Overlaps by output: counted, then put in their places. */
static void index_overlaps(struct ig_arena_overlap *sorted, uint32_t *first, uint32_t buffers,
                           const struct ig_arena_overlap *overlaps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) first[overlaps[i].output + 1]++;
    for (uint32_t i = 0; i < buffers; i++) first[i + 1] += first[i];
    for (uint32_t i = count; i-- > 0;) {
        uint32_t *end = &first[overlaps[i].output + 1];
        sorted[--*end] = overlaps[i];
    }
    /* Every end has become its buffer's start. */
    memmove(first, first + 1, buffers * sizeof *first);
    first[buffers] = count;
}

enum ig_code ig_arena_plan(uint32_t *out, struct ig_arena_buffer *buffers, uint32_t count,
                           const struct ig_arena_overlap *overlaps, uint32_t overlaps_count,
                           struct ig_err *err)
{
    size_t each = count + (size_t)1;
    struct plan plan = {.buffers = buffers, .count = count, .random = 1};
    struct ig_arena_overlap *sorted = ig_zalloc_array(overlaps_count + (size_t)1, sizeof *sorted);
    uint32_t *numbers = ig_zalloc_array(4 * each, sizeof *numbers);
    if (numbers && sorted) {
        plan.order = numbers;
        plan.best_order = numbers + each;
        plan.best_offsets = numbers + 2 * each;
        index_overlaps(sorted, numbers + 3 * each, count, overlaps, overlaps_count);
        plan.first_overlap = numbers + 3 * each;
        plan.overlaps = sorted;
        *out = search(&plan);
    } else {
        ig_fail(err, IG_NO_MEMORY, "no memory to plan %u buffers", count);
    }
    ig_free(numbers);
    ig_free(sorted);
    return err->code;
}
