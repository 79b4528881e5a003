/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/mem.h"
#include "kernels/quantize/arena_plan.h"

#include <stdbool.h>
#include <string.h>

enum { BUFFERS_MAX = 64 };

static uint32_t next_random(uint64_t *random, uint32_t below)
{
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint32_t)(*random >> 33) % below;
}

static uint32_t plan(struct ig_arena_buffer *buffers, uint32_t count,
                     const struct ig_arena_overlap *overlaps, uint32_t overlaps_count)
{
    struct ig_err err = IG_ERR_INIT;
    uint32_t bytes = 0;
    if (ig_arena_plan(&bytes, buffers, count, overlaps, overlaps_count, &err) != IG_OK)
        fail_msg("%s", err.message);
    return bytes;
}

static bool may_overlap(const struct ig_arena_buffer *buffers, uint32_t a, uint32_t b,
                        const struct ig_arena_overlap *overlaps, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        const struct ig_arena_overlap *o = &overlaps[i];
        if (!(o->input == a && o->output == b) && !(o->input == b && o->output == a)) continue;
        int64_t apart = (int64_t)buffers[o->input].offset - (int64_t)buffers[o->output].offset;
        return apart >= o->distance;
    }
    return false;
}

static void check(const struct ig_arena_buffer *buffers, uint32_t count,
                  const struct ig_arena_overlap *overlaps, uint32_t overlaps_count, uint32_t bytes)
{
    uint32_t most = 0;
    for (uint32_t a = 0; a < count; a++) {
        uint32_t end = buffers[a].offset + buffers[a].size_bytes;
        if (end > most) most = end;
        assert_int_equal(buffers[a].offset % IG_ARENA_PLAN_ALIGNMENT, 0);
        for (uint32_t b = 0; b < a; b++) {
            bool together =
                buffers[a].first <= buffers[b].last && buffers[b].first <= buffers[a].last;
            bool apart = end <= buffers[b].offset ||
                         buffers[b].offset + buffers[b].size_bytes <= buffers[a].offset;
            if (together && !apart)
                assert_true(may_overlap(buffers, a, b, overlaps, overlaps_count));
        }
    }
    assert_int_equal(most, bytes);
}

static void random_plans_hold(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed <= 12; seed++) {
        struct ig_arena_buffer buffers[BUFFERS_MAX], again[BUFFERS_MAX];
        struct ig_arena_overlap overlaps[BUFFERS_MAX];
        uint64_t random = seed;
        uint32_t count = 1 + next_random(&random, 30), overlaps_count = 0;
        for (uint32_t i = 0; i < count; i++) {
            uint32_t first = next_random(&random, 20);
            buffers[i] = (struct ig_arena_buffer){1 + next_random(&random, 1000), first,
                                                  first + next_random(&random, 4), 0};
        }
        for (uint32_t i = 1; i < count; i++)
            if (next_random(&random, 2))
                overlaps[overlaps_count++] =
                    (struct ig_arena_overlap){i - 1, i, next_random(&random, 300)};
        memcpy(again, buffers, sizeof again);
        uint32_t bytes = plan(buffers, count, overlaps, overlaps_count);
        check(buffers, count, overlaps, overlaps_count, bytes);
        assert_int_equal(plan(again, count, overlaps, overlaps_count), bytes);
        assert_memory_equal(again, buffers, count * sizeof *buffers);
    }
}

/* Each of a chain lies a little below the one before. */
static void outputs_lie_over_inputs(void **state)
{
    (void)state;
    struct ig_arena_buffer buffers[] = {
        {1000, 0, 1, 0}, {1000, 1, 2, 0}, {1000, 2, 3, 0}, {1000, 3, 4, 0}};
    const struct ig_arena_overlap overlaps[] = {{0, 1, 10}, {1, 2, 0}, {2, 3, 30}};
    assert_int_equal(plan(buffers, 4, NULL, 0), 2000);
    uint32_t bytes = plan(buffers, 4, overlaps, 3);
    check(buffers, 4, overlaps, 3, bytes);
    assert_int_equal(bytes, 1044);
    for (uint64_t n = 1; n < 3; n++) {
        struct ig_err err = IG_ERR_INIT;
        ig_mem_fail_after(n);
        assert_int_equal(ig_arena_plan(&bytes, buffers, 4, overlaps, 3, &err), IG_NO_MEMORY);
        ig_mem_fail_after(0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_plans_hold),
        cmocka_unit_test(outputs_lie_over_inputs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
