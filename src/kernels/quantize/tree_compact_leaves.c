/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves: what the model would add, exactly or as integers. An integer leaf q of a tree with shift
 * k stands for q * 2^(k + scale_exponent); the shift lets the small leaves of late trees keep all
 * their bits, while sums stay exact in 32 bits. Equal rows are kept once where that is shorter.
 * Stateless. */
#include "kernels/quantize/tree_compact_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { EXPONENT_MIN = -120, SHIFT_MAX = 30 };

static bool is_f64(const struct ig_compact_build *build)
{
    return build->model->sum_rule == IG_SUM_F64;
}

/* The leaf's value times its tree's weight, rounded as the model's sum rounds it. */
static double product(const struct ig_compact_build *build, double value, double weight)
{
    return is_f64(build) ? value * weight : (double)((float)value * (float)weight);
}

static void fill_values(struct ig_compact_build *build, double divisor)
{
    const struct ig_model *model = build->model;
    uint32_t width = build->compact->leaf_values;
    uint32_t row = 0;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        for (uint32_t i = 0; i < tree->nodes_count; i++) {
            const struct ig_node *node = &model->nodes[tree->first_node + i];
            if (node->op != IG_NODE_LEAF) continue;
            const double *own = model->leaf_vectors
                                    ? model->leaf_values + (size_t)node->extra * width
                                    : &node->value;
            for (uint32_t o = 0; o < width; o++)
                build->values[(size_t)row * width + o] =
                    product(build, own[o], tree->weight) / divisor;
            build->nodes[tree->first_node + i].leaf = row++;
        }
    }
}

static uint32_t output_of(const struct ig_compact_build *build, uint32_t tree, uint32_t value)
{
    return build->model->leaf_vectors ? value : build->model->trees[tree].output;
}

/* Adds to each output's bound the greatest error among each tree's leaves. */
static void bound_errors(struct ig_compact_build *build, double (*kept)(const void *, size_t),
                         const void *context)
{
    struct ig_tree_compact *compact = build->compact;
    uint32_t width = compact->leaf_values;
    size_t row = 0;
    for (uint32_t t = 0; t < compact->trees_count; t++) {
        for (uint32_t o = 0; o < width; o++) {
            double most = 0;
            for (uint32_t i = 0; i < build->model->trees[t].leaves_count; i++) {
                size_t at = (row + i) * width + o;
                double unit = compact->tree_shifts ? ldexp(1, compact->tree_shifts[t]) : 1;
                most = fmax(most, fabs(build->values[at] - kept(context, at) * unit));
            }
            compact->error_bounds[output_of(build, t, o)] += most;
        }
        row += build->model->trees[t].leaves_count;
    }
}

static double kept_float(const void *context, size_t at)
{
    const struct ig_compact_build *build = context;
    return (double)(float)build->values[at];
}

static void keep_floats(struct ig_compact_build *build, bool exact)
{
    struct ig_tree_compact *compact = build->compact;
    size_t count = (size_t)compact->leaves_count * compact->leaf_values;
    for (size_t i = 0; i < count; i++) {
        float narrow = (float)build->values[i];
        if (compact->value_bytes == 8)
            memcpy(build->rows + i * 8, &build->values[i], 8);
        else
            memcpy(build->rows + i * 4, &narrow, 4);
    }
    for (uint32_t o = 0; o < compact->outputs_count; o++)
        compact->base[o] =
            exact ? build->model->base_margin[o] : (double)(float)build->model->base_margin[o];
    if (!exact) bound_errors(build, kept_float, build);
}

/* Least exponent at which `value` rounds to at most `limit` in size. */
static int exponent_for(double value, double limit)
{
    if (value == 0) return EXPONENT_MIN;
    int exponent = ilogb(value) - ilogb(limit) - 1;
    while (nearbyint(ldexp(value, -exponent)) > limit) exponent++;
    return exponent > EXPONENT_MIN ? exponent : EXPONENT_MIN;
}

/* The greatest size of each tree's leaves, and a bound on any sum. */
static double measure(const struct ig_compact_build *build, double *greatest)
{
    const struct ig_tree_compact *compact = build->compact;
    double total = 0;
    size_t at = 0;
    for (uint32_t o = 0; o < compact->outputs_count; o++)
        total = fmax(total, fabs(build->model->base_margin[o]));
    for (uint32_t t = 0; t < compact->trees_count; t++) {
        size_t count = (size_t)build->model->trees[t].leaves_count * compact->leaf_values;
        greatest[t] = 0;
        for (size_t i = 0; i < count; i++)
            greatest[t] = fmax(greatest[t], fabs(build->values[at + i]));
        at += count;
        total += greatest[t];
    }
    return total;
}

/* A scale and shifts at which no sum passes 31 bits: `total` leaves room for the rounding of each
 * tree and of the base. */
static bool choose_scale(struct ig_compact_build *build, double limit)
{
    struct ig_tree_compact *compact = build->compact;
    uint32_t trees = compact->trees_count;
    double *greatest = ig_arena_array(&build->scratch, (size_t)trees + 1, sizeof *greatest);
    build->tree_shifts = ig_arena_array(&compact->arena, (size_t)trees + 1, 1);
    if (!greatest || !build->tree_shifts) return ig_compact_no_memory(build, "scales");
    double total = measure(build, greatest);
    int exponent = exponent_for(total, (double)(INT32_MAX / 2));
    int least = INT32_MAX, most = exponent;
    for (uint32_t t = 0; t < trees; t++) {
        int own = exponent_for(greatest[t], limit);
        if (greatest[t] > 0 && own < least) least = own;
        if (own > most) most = own;
    }
    if (least != INT32_MAX && least > exponent) exponent = least;
    if (most - exponent > SHIFT_MAX) exponent = most - SHIFT_MAX;
    for (uint32_t t = 0; t < trees; t++) {
        int own = exponent_for(greatest[t], limit);
        build->tree_shifts[t] = own > exponent ? (uint8_t)(own - exponent) : 0;
        if (build->tree_shifts[t]) compact->tree_shifts = build->tree_shifts;
    }
    compact->scale_exponent = exponent;
    return true;
}

static double kept_integer(const void *context, size_t at)
{
    const struct ig_compact_build *build = context;
    const uint8_t *own = build->rows + at * build->compact->value_bytes;
    int32_t value =
        build->compact->value_bytes == 1 ? (int8_t)own[0] : (int16_t)(own[0] | own[1] << 8);
    return ldexp(value, build->compact->scale_exponent);
}

static bool keep_integers(struct ig_compact_build *build)
{
    struct ig_tree_compact *compact = build->compact;
    double limit = compact->leaf == IG_COMPACT_INT8 ? INT8_MAX : INT16_MAX;
    if (!choose_scale(build, limit)) return false;
    size_t at = 0;
    for (uint32_t t = 0; t < compact->trees_count; t++) {
        size_t count = (size_t)build->model->trees[t].leaves_count * compact->leaf_values;
        int exponent = compact->scale_exponent + build->tree_shifts[t];
        for (size_t i = 0; i < count; i++, at++) {
            int32_t value = (int32_t)nearbyint(ldexp(build->values[at], -exponent));
            ig_compact_put(build->rows + at * compact->value_bytes, (uint32_t)value,
                           compact->value_bytes);
        }
    }
    bound_errors(build, kept_integer, build);
    for (uint32_t o = 0; o < compact->outputs_count; o++) {
        double base = build->model->base_margin[o];
        compact->base[o] = nearbyint(ldexp(base, -compact->scale_exponent));
        compact->error_bounds[o] += fabs(base - ldexp(compact->base[o], compact->scale_exponent));
    }
    return true;
}

/* ---- equal rows once ---- */

struct row {
    const uint8_t *bytes;
    uint32_t bytes_count;
    uint32_t index;
};

static int compare_rows(const void *a, const void *b)
{
    const struct row *x = a, *y = b;
    return memcmp(x->bytes, y->bytes, x->bytes_count);
}

/* Replaces rows by their numbers in a table of different ones, where that takes fewer bytes. */
static bool share_rows(struct ig_compact_build *build)
{
    struct ig_tree_compact *compact = build->compact;
    uint32_t count = compact->leaves_count, bytes = compact->leaf_bytes, different = 0;
    struct row *rows = ig_arena_array(&build->scratch, (size_t)count + 1, sizeof *rows);
    if (!rows) return ig_compact_no_memory(build, "leaves");
    for (uint32_t i = 0; i < count; i++)
        rows[i] = (struct row){build->rows + (size_t)i * bytes, bytes, i};
    qsort(rows, count, sizeof *rows, compare_rows);
    for (uint32_t i = 0; i < count; i++)
        different += i == 0 || compare_rows(&rows[i], &rows[i - 1]) != 0;
    uint32_t width = different <= 256 ? 1 : 2;
    if (different > 65536 ||
        (size_t)different * bytes + (size_t)count * width >= (size_t)count * bytes)
        return true;
    uint8_t *numbers = ig_arena_array(&build->scratch, count, width);
    compact->table = ig_arena_array(&compact->arena, different, bytes);
    if (!numbers || !compact->table) return ig_compact_no_memory(build, "leaves");
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || compare_rows(&rows[i], &rows[i - 1]) != 0)
            memcpy(compact->table + (size_t)compact->table_rows++ * bytes, rows[i].bytes, bytes);
        ig_compact_put(numbers + (size_t)rows[i].index * width, compact->table_rows - 1, width);
    }
    build->rows = numbers;
    compact->leaf_bytes = width;
    compact->leaf_indexed = true;
    return true;
}

static enum ig_compact_leaf leaf_for(const struct ig_compact_build *build,
                                     enum ig_compact_want want)
{
    if (want == IG_COMPACT_WANT_INT8) return IG_COMPACT_INT8;
    if (want == IG_COMPACT_WANT_INT16) return IG_COMPACT_INT16;
    return want == IG_COMPACT_WANT_EXACT && is_f64(build) ? IG_COMPACT_FLOAT64 : IG_COMPACT_FLOAT32;
}

bool ig_compact_build_leaves(struct ig_compact_build *build, enum ig_compact_want want)
{
    static const uint8_t BYTES[] = {4, 8, 2, 1};
    struct ig_tree_compact *compact = build->compact;
    const struct ig_model *model = build->model;
    compact->leaf = leaf_for(build, want);
    compact->leaf_values = model->leaf_vectors ? model->outputs_count : 1;
    compact->value_bytes = BYTES[compact->leaf];
    compact->leaf_bytes = compact->value_bytes * compact->leaf_values;
    compact->base_first = model->sum_rule == IG_SUM_F32_BASE_FIRST;
    bool exact = compact->leaf == IG_COMPACT_FLOAT64 || !is_f64(build);
    bool integer = ig_compact_is_integer(compact->leaf);
    compact->average = model->average && exact && !integer;
    size_t count = (size_t)compact->leaves_count * compact->leaf_values;
    build->values = ig_arena_array(&build->scratch, count + 1, sizeof(double));
    build->rows = ig_arena_array(&build->scratch, count + 1, compact->value_bytes);
    compact->base = ig_arena_array(&compact->arena, model->outputs_count, sizeof(double));
    compact->error_bounds = ig_arena_array(&compact->arena, model->outputs_count, sizeof(double));
    if (build->scratch.overflowed || compact->arena.overflowed)
        return ig_compact_no_memory(build, "leaves");
    bool folded = model->average && !compact->average;
    fill_values(build, folded ? (double)model->iterations_count : 1);
    if (!integer)
        keep_floats(build, exact);
    else if (!keep_integers(build))
        return false;
    return share_rows(build);
}
