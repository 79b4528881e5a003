/* SPDX-License-Identifier: Apache-2.0 */
/* How a feature's thresholds are kept: as keys of floats or, where all of them are decimal
 * fractions or next above the middle of two, as whole numbers of their last decimal or its half;
 * not at all where they are their own ranks, in
 * buckets where that is smaller. Stateless. */
#include "kernels/quantize/tree_compact_priv.h"

#include <math.h>

enum { BUCKETS_MAX = 255, BUCKET_BITS_MAX = 16, BUCKETED_MAX = 255, SLACK = 4 };

static const double POWERS[] = {1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7};
enum { POWERS_COUNT = sizeof POWERS / sizeof *POWERS };
_Static_assert((int)POWERS_COUNT == (int)IG_COMPACT_DECIMALS, "a grid without a power");

/* One way to keep a feature's different thresholds. */
struct form {
    int32_t *numbers; /* ascending */
    uint32_t count, last, buckets;
    size_t size;
    uint8_t grid, shift, key_bytes, bucket_bits;
};

static double power_of(uint32_t grid)
{
    return grid > IG_COMPACT_DECIMALS ? 2 * POWERS[grid - IG_COMPACT_DECIMALS - 1]
                                      : POWERS[grid - 1];
}

/* The float that is nearest to number / power, or the least above it. Number and power are floats,
 * so the quotient of doubles rounds as that of the floats; a float times a power is exact. */
static float on_grid(int32_t number, uint32_t grid)
{
    double power = power_of(grid);
    float nearest = (float)(number / power);
    bool below = grid > IG_COMPACT_DECIMALS && (double)nearest * power <= number;
    return below ? nextafterf(nearest, INFINITY) : nearest;
}

int64_t ig_compact_threshold_number(const struct ig_compact_source *source, uint32_t index)
{
    const uint8_t *keys = source->keys;
    uint64_t distance = index, low = 0;
    if (source->key_bytes) distance = 0;
    if (source->bucket_bits) {
        while (keys[distance + 2] <= index) distance++;
        distance <<= source->bucket_bits;
        keys += keys[0] + 2U;
    }
    for (uint32_t i = source->key_bytes; i-- > 0;)
        low = low << 8 | keys[(size_t)index * source->key_bytes + i];
    return source->base + (int64_t)((distance + low) << source->key_shift);
}

int64_t ig_compact_threshold_key(const struct ig_compact_source *source, uint32_t index)
{
    int64_t number = ig_compact_threshold_number(source, index);
    return source->grid ? ig_compact_key(on_grid((int32_t)number, source->grid)) : number;
}

/* The first grid from `grid` to `last` that all thresholds are on; false: there is none. */
static bool find_grid(struct form *form, const int32_t *keys, uint32_t grid, uint32_t last)
{
    for (; grid <= last; grid++) {
        uint32_t i = 0;
        for (; i < form->count; i++) {
            double number = round((double)ig_compact_value(keys[i]) * power_of(grid));
            if (!(fabs(number) < IG_COMPACT_GRID_END)) break;
            form->numbers[i] = (int32_t)number;
            if (ig_compact_key(on_grid(form->numbers[i], grid)) != keys[i]) break;
        }
        form->grid = (uint8_t)grid;
        if (i == form->count) return true;
    }
    return false;
}

static uint8_t bytes_of(uint32_t bits)
{
    return (uint8_t)((bits + 7) / 8);
}

/* Wide buckets are few, narrow ones are searched in fewer steps: the narrowest that cost no more
 * than a SLACK-th of a byte a threshold. */
static void try_buckets(struct form *form)
{
    size_t least = form->size, slack = form->count / SLACK;
    if (form->count > BUCKETED_MAX) return;
    for (uint8_t bits = BUCKET_BITS_MAX; bits > 0; bits--) {
        uint32_t buckets = (form->last >> bits) + 1;
        size_t size = buckets + 2U + (size_t)form->count * bytes_of(bits);
        if (buckets > BUCKETS_MAX || size > least + (form->bucket_bits ? slack : 0)) continue;
        if (size < least) least = size;
        form->bucket_bits = bits;
        form->buckets = buckets;
        form->key_bytes = bytes_of(bits);
        form->size = size;
    }
}

/* Ranks that are at most `ranks_max` need no keys. */
static void choose_form(struct form *form, uint32_t ranks_max)
{
    uint32_t all = 0, base = (uint32_t)form->numbers[0];
    for (uint32_t i = 0; i < form->count; i++) all |= (uint32_t)form->numbers[i] - base;
    form->shift = all ? (uint8_t)__builtin_ctz(all) : 0;
    form->last = ((uint32_t)form->numbers[form->count - 1] - base) >> form->shift;
    if (form->last < ranks_max) return;
    form->key_bytes = bytes_of(ig_compact_bits(form->last));
    form->size = (size_t)form->count * form->key_bytes;
    try_buckets(form);
}

static uint32_t distance_of(const struct form *form, uint32_t index)
{
    return ((uint32_t)form->numbers[index] - (uint32_t)form->numbers[0]) >> form->shift;
}

static void put_keys(uint8_t *keys, const struct form *form)
{
    uint32_t mask = UINT32_MAX;
    if (form->bucket_bits) {
        keys[0] = (uint8_t)form->buckets;
        for (uint32_t i = 0; i < form->count; i++)
            for (uint32_t b = distance_of(form, i) >> form->bucket_bits; b < form->buckets; b++)
                keys[2 + b]++;
        mask = (1U << form->bucket_bits) - 1;
        keys += form->buckets + 2U;
    }
    for (uint32_t i = 0; i < form->count; i++)
        ig_compact_put(keys + (size_t)i * form->key_bytes, distance_of(form, i) & mask,
                       form->key_bytes);
}

static bool keep(struct ig_compact_build *build, struct ig_compact_source *source,
                 const struct form *form)
{
    source->base = form->numbers[0];
    source->grid = form->grid;
    source->key_shift = form->shift;
    source->key_bytes = form->key_bytes;
    source->bucket_bits = form->bucket_bits;
    source->keys_count = form->key_bytes ? form->count : form->last + 1;
    if (!form->key_bytes) return true;
    uint8_t *keys = ig_arena_zalloc(&build->compact->arena, form->size);
    if (!keys) return ig_compact_no_memory(build, "thresholds");
    put_keys(keys, form);
    source->keys = keys;
    source->keys_size = (uint32_t)form->size;
    return true;
}

bool ig_compact_keep_keys(struct ig_compact_build *build, struct ig_compact_source *source,
                          int32_t *keys, uint32_t count, uint32_t ranks_max)
{
    struct form form = {.numbers = keys, .count = count};
    choose_form(&form, ranks_max);
    for (uint32_t first = 1; first < IG_COMPACT_GRIDS; first += IG_COMPACT_DECIMALS) {
        struct form grid = {.count = count};
        grid.numbers = ig_arena_array(&build->scratch, count, sizeof *grid.numbers);
        if (!grid.numbers) return ig_compact_no_memory(build, "thresholds");
        if (!form.key_bytes || !find_grid(&grid, keys, first, first + IG_COMPACT_DECIMALS - 1))
            continue;
        choose_form(&grid, ranks_max);
        if (grid.size < form.size) form = grid;
    }
    if (!keep(build, source, &form)) return false;
    for (uint32_t i = 0, least = (uint32_t)form.numbers[0]; i < count; i++) {
        uint32_t distance = ((uint32_t)form.numbers[i] - least) >> form.shift;
        keys[i] = (int32_t)(form.key_bytes ? i : distance) + 1;
    }
    return true;
}
