/* SPDX-License-Identifier: Apache-2.0 */
/* Bins and frequencies of a table, as lime's QuartileDiscretizer and LimeTabularExplainer find
 * them. Owns its arrays in one arena; immutable after `new`. */
#include "base/mem.h"
#include "kernels/explain/lime_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct column {
    double *values; /* present ones, ascending */
    size_t count, missing;
};

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void read_column(struct column *column, const struct ig_background *background, uint32_t f)
{
    column->count = column->missing = 0;
    for (size_t i = 0; i < background->rows_count; i++) {
        double value = background->rows[i * background->features_count + f];
        if (isnan(value))
            column->missing++;
        else
            column->values[column->count++] = value;
    }
    if (column->count) qsort(column->values, column->count, sizeof(double), compare);
}

/* numpy's default: linear between the two nearest ranks. */
static double percentile(const struct column *column, double share)
{
    double at = share * (double)(column->count - 1);
    size_t low = (size_t)at;
    if (low + 1 >= column->count) return column->values[column->count - 1];
    double part = at - (double)low, a = column->values[low], b = column->values[low + 1];
    return part < 0.5 ? a + (b - a) * part : b - (b - a) * (1 - part);
}

static void add_missing(struct ig_lime_space *space, struct ig_lime_feature *feature,
                        const struct column *column, double rows)
{
    if (!column->missing) return;
    feature->count++;
    space->outcomes[space->outcomes_count++] = (struct ig_lime_outcome){
        .share = (double)column->missing / rows, .value = NAN, .low = NAN, .high = NAN};
}

/* Mean and deviation of the values first .. end - 1. */
static struct ig_lime_outcome bin_of(const struct column *column, size_t first, size_t end)
{
    struct ig_lime_outcome bin = {0};
    size_t count = end - first;
    double sum = 0, squares = 0;
    for (size_t i = first; i < end; i++) sum += column->values[i];
    bin.value = sum / (double)count;
    for (size_t i = first; i < end; i++) {
        double apart = column->values[i] - bin.value;
        squares += apart * apart;
    }
    bin.spread = sqrt(squares / (double)count) + 1e-11;
    return bin;
}

/* Bins that no value falls into are never drawn: they get no outcome. */
static void read_bins(struct ig_lime_space *space, struct ig_lime_feature *feature,
                      const struct column *column, double rows)
{
    static const double SHARES[] = {0.25, 0.5, 0.75};
    for (size_t i = 0; column->count && i < 3; i++) {
        double cut = percentile(column, SHARES[i]);
        if (feature->cuts_count && cut == feature->cuts[feature->cuts_count - 1]) continue;
        feature->cuts[feature->cuts_count++] = cut;
    }
    size_t first = 0;
    for (uint32_t b = 0; column->count && b <= feature->cuts_count; b++) {
        bool last = b == feature->cuts_count;
        size_t end = first;
        while (end < column->count && (last || column->values[end] <= feature->cuts[b])) end++;
        if (end == first) continue;
        struct ig_lime_outcome bin = bin_of(column, first, end);
        bin.share = (double)(end - first) / rows;
        bin.bin = b;
        bin.low = b ? feature->cuts[b - 1] : column->values[0];
        bin.high = last ? column->values[column->count - 1] : feature->cuts[b];
        bin.below = ig_lime_cdf((bin.low - bin.value) / bin.spread);
        bin.span = ig_lime_cdf((bin.high - bin.value) / bin.spread) - bin.below;
        if (bin.low == bin.high) bin.span = 0;
        space->outcomes[space->outcomes_count++] = bin;
        feature->count++;
        first = end;
    }
}

static void read_codes(struct ig_lime_space *space, struct ig_lime_feature *feature,
                       const struct column *column, double rows)
{
    for (size_t first = 0, end; first < column->count; first = end) {
        for (end = first; end < column->count && column->values[end] == column->values[first];)
            end++;
        space->outcomes[space->outcomes_count++] =
            (struct ig_lime_outcome){.share = (double)(end - first) / rows,
                                     .value = column->values[first],
                                     .low = NAN,
                                     .high = NAN};
        feature->count++;
    }
}

/* Outcomes are at most as many as the table has different values. */
static size_t outcomes_of(const struct column *column, bool categorical)
{
    size_t count = 1;
    if (!categorical) return IG_LIME_BINS + 1;
    for (size_t i = 0; i < column->count; i++)
        count += i == 0 || column->values[i] != column->values[i - 1];
    return count;
}

static bool fill(struct ig_lime_space *space, const struct ig_background *background,
                 const bool *categorical, struct column *column)
{
    size_t most = 0;
    for (uint32_t f = 0; f < space->features_count; f++) {
        read_column(column, background, f);
        most += outcomes_of(column, categorical && categorical[f]);
    }
    space->outcomes = ig_arena_array(&space->arena, most, sizeof *space->outcomes);
    space->until = ig_arena_array(&space->arena, most, sizeof *space->until);
    if (!space->outcomes || !space->until) return false;
    for (uint32_t f = 0; f < space->features_count; f++) {
        struct ig_lime_feature *feature = &space->features[f];
        double rows = (double)background->rows_count, sum = 0;
        read_column(column, background, f);
        feature->categorical = categorical && categorical[f];
        feature->first = space->outcomes_count;
        if (feature->categorical)
            read_codes(space, feature, column, rows);
        else
            read_bins(space, feature, column, rows);
        add_missing(space, feature, column, rows);
        for (uint32_t i = 0; i < feature->count; i++)
            space->until[feature->first + i] = sum += space->outcomes[feature->first + i].share;
        space->until[feature->first + feature->count - 1] = INFINITY;
    }
    return true;
}

enum ig_code ig_lime_space_new(struct ig_lime_space **out, const struct ig_background *background,
                               const bool *categorical, struct ig_err *err)
{
    struct column column = {0};
    struct ig_lime_space *space = ig_zalloc(sizeof *space);
    if (!space) return ig_fail(err, IG_NO_MEMORY, "no memory for LIME's bins");
    space->features_count = background->features_count;
    ig_arena_init(&space->arena, 1 << 14, (size_t)4 << 30);
    space->features = ig_arena_array(&space->arena, space->features_count, sizeof *space->features);
    column.values = ig_zalloc_array(background->rows_count, sizeof(double));
    if (!space->features || !column.values || !fill(space, background, categorical, &column))
        ig_fail(err, IG_NO_MEMORY, "no memory for LIME's bins");
    ig_free(column.values);
    if (err->code == IG_OK)
        *out = space;
    else
        ig_lime_space_free(space);
    return err->code;
}

void ig_lime_space_free(struct ig_lime_space *space)
{
    if (!space) return;
    ig_arena_deinit(&space->arena);
    ig_free(space);
}

size_t ig_lime_space_memory_bytes(const struct ig_lime_space *space)
{
    return sizeof *space + space->arena.held_bytes;
}

uint32_t ig_lime_outcome_of(const struct ig_lime_space *space, uint32_t feature, double value)
{
    const struct ig_lime_feature *own = &space->features[feature];
    const struct ig_lime_outcome *outcomes = space->outcomes + own->first;
    uint32_t cuts = 0;
    while (cuts < own->cuts_count && !(value <= own->cuts[cuts])) cuts++;
    for (uint32_t i = 0; i < own->count; i++) {
        if (isnan(outcomes[i].value) || isnan(value)) {
            if (isnan(outcomes[i].value) && isnan(value)) return i;
            continue;
        }
        if (own->categorical ? outcomes[i].value == value : outcomes[i].bin == cuts) return i;
    }
    return own->count;
}

void ig_lime_bounds(double *low, double *high, const struct ig_lime_space *space, uint32_t feature,
                    uint32_t outcome)
{
    const struct ig_lime_feature *own = &space->features[feature];
    const struct ig_lime_outcome *home = &space->outcomes[own->first + outcome];
    *low = *high = NAN;
    if (own->categorical || outcome >= own->count || isnan(home->value)) return;
    *low = home->bin > 0 ? home->low : -INFINITY;
    *high = home->bin < own->cuts_count ? home->high : INFINITY;
}
