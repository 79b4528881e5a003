/* SPDX-License-Identifier: Apache-2.0 */
/* Runs a model's trees: ranks a row's inputs, lets a kernel find each tree's leaf, and adds the
 * leaves' values in the model's order and precision. Only the finding differs between instruction
 * sets, so margins never do.
 *
 * Rows are taken in tiles and trees in chunks that stay in the cache; within a tile four rows are
 * summed side by side, because one row's sum is a chain in which every addition waits for the one
 * before. Owns the lowered trees; immutable after `new`. */
#include "kernels/tree/tree_predict.h"

#include "base/mem.h"
#include "kernels/tree/tree_predict_plan.h"
#include "kernels/tree/tree_predict_walk.h"

#include <string.h>

enum {
    TILE_ROWS = 64,
    ABREAST = 4,
    CHUNK_MAX = 512,          /* trees */
    CHUNK_ONE_ROW = 32,       /* finding overlaps with the sum of the chunk before */
    CHUNK_BYTES = 256 * 1024, /* of a tile's chunk: well inside the second-level cache */
};

static const struct ig_tree_kernel KERNELS[] = {
#define IG_TREE_KERNEL(name, isa, usable, layout, rank, find, doc)                                 \
    {#name, IG_ISA_##isa, usable, IG_TREE_##layout, rank, find},
#include "kernels/tree/kernels.def"
#undef IG_TREE_KERNEL
};

struct ig_tree_predict {
    const struct ig_model *model;
    const struct ig_tree_kernel *kernel; /* NULL: the plain walk */
    struct ig_tree_plan plan;
    struct ig_arena arena;
    uint32_t chunk_groups; /* of a tile */
};

/* What a call needs, laid out in the caller's scratch. */
struct work {
    uint16_t *ranks; /* TILE_ROWS x stride */
    uint32_t *slots; /* rows_abreast x CHUNK_MAX */
    uint64_t *masks; /* CHUNK_MAX */
};

static void choose_chunk(struct ig_tree_predict *predict)
{
    size_t trees = CHUNK_BYTES / (predict->plan.tree_bytes + 1);
    if (trees > CHUNK_MAX) trees = CHUNK_MAX;
    if (trees < IG_TREE_GROUP) trees = IG_TREE_GROUP;
    predict->chunk_groups = (uint32_t)(trees / IG_TREE_GROUP);
}

/* The best kernel; the last one suits all. */
static const struct ig_tree_kernel *choose(const struct ig_tree_plan *plan,
                                           const struct ig_model *model, enum ig_isa isa)
{
    const struct ig_tree_kernel *kernel = KERNELS;
    while (kernel->isa > isa || (kernel->usable && !kernel->usable()) ||
           !ig_tree_plan_fits(plan, model, kernel->layout))
        kernel++;
    return kernel;
}

static enum ig_code prepare(struct ig_tree_predict *predict, struct ig_tree_test *tests,
                            enum ig_isa isa, struct ig_err *err)
{
    const struct ig_model *model = predict->model;
    struct ig_tree_plan *plan = &predict->plan;
    if (ig_tree_rank_init(&plan->rank, model, tests, &predict->arena, err) != IG_OK)
        return err->code;
    plan->sets.first_column = plan->rank.slots_count + 1; /* column 0 is what leaves test */
    if (ig_tree_sets_init(&plan->sets, model, tests, &predict->arena, err) != IG_OK)
        return err->code;
    const struct ig_tree_kernel *kernel = choose(plan, model, isa);
    if (!ig_tree_plan_build(plan, model, tests, kernel->layout, &predict->arena))
        return ig_fail(err, IG_NO_MEMORY, "no memory to lower %u trees", model->trees_count);
    predict->kernel = kernel;
    choose_chunk(predict);
    return IG_OK;
}

/* Leaves predict->kernel NULL when no kernel can hold the model. */
static enum ig_code lower(struct ig_tree_predict *predict, enum ig_isa isa, struct ig_err *err)
{
    size_t nodes = predict->model->nodes_count + (size_t)1;
    struct ig_tree_test *tests = ig_zalloc_array(nodes, sizeof *tests);
    if (!tests) return ig_fail(err, IG_NO_MEMORY, "no memory to lower %zu nodes", nodes);
    struct ig_err own = IG_ERR_INIT;
    enum ig_code code = prepare(predict, tests, isa, &own);
    ig_free(tests);
    if (code == IG_OK || code == IG_TOO_LARGE) return IG_OK;
    return ig_fail(err, code, "%s", own.message);
}

enum ig_code ig_tree_predict_new(struct ig_tree_predict **out, const struct ig_model *model,
                                 enum ig_isa isa, struct ig_err *err)
{
    struct ig_tree_predict *predict = ig_zalloc(sizeof *predict);
    if (!predict) return ig_fail(err, IG_NO_MEMORY, "no memory for a predictor");
    predict->model = model;
    ig_arena_init(&predict->arena, 64 * 1024, SIZE_MAX);
    if (lower(predict, isa, err) != IG_OK) {
        ig_tree_predict_free(predict);
        return err->code;
    }
    *out = predict;
    return IG_OK;
}

void ig_tree_predict_free(struct ig_tree_predict *predict)
{
    if (!predict) return;
    ig_arena_deinit(&predict->arena);
    ig_free(predict);
}

static size_t tile_rows(size_t rows_count)
{
    return rows_count < TILE_ROWS ? rows_count : TILE_ROWS;
}

/* A few rows, of which none is run beside others, have less. */
static size_t rows_abreast(size_t rows_count)
{
    return rows_count < ABREAST ? 1 : ABREAST;
}

size_t ig_tree_predict_scratch_bytes(const struct ig_tree_predict *predict, size_t rows_count)
{
    if (!predict->kernel) return 0;
    return tile_rows(rows_count) * predict->plan.stride * sizeof(uint16_t) +
           rows_abreast(rows_count) * CHUNK_MAX * sizeof(uint32_t) + CHUNK_MAX * sizeof(uint64_t);
}

/* ---- sums ---- */

/* One output, scalar leaves: `count` trees into the margins of `rows` rows. */
static void sum_one_f32(const float *values, const uint32_t *slots, uint32_t count, double *margin)
{
    float sum = (float)*margin;
    for (uint32_t i = 0; i < count; i++) sum += values[slots[i]];
    *margin = (double)sum;
}

static void sum_one_f64(const double *values, const uint32_t *slots, uint32_t count, double *margin)
{
    double sum = *margin;
    for (uint32_t i = 0; i < count; i++) sum += values[slots[i]];
    *margin = sum;
}

static void sum_four_f32(const float *values, const uint32_t *slots, uint32_t count,
                         double *margins)
{
    float sum[ABREAST];
    for (int r = 0; r < ABREAST; r++) sum[r] = (float)margins[r];
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t r = 0; r < ABREAST; r++) sum[r] += values[slots[r * CHUNK_MAX + i]];
    for (int r = 0; r < ABREAST; r++) margins[r] = (double)sum[r];
}

static void sum_four_f64(const double *values, const uint32_t *slots, uint32_t count,
                         double *margins)
{
    double sum[ABREAST];
    for (int r = 0; r < ABREAST; r++) sum[r] = margins[r];
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t r = 0; r < ABREAST; r++) sum[r] += values[slots[r * CHUNK_MAX + i]];
    for (int r = 0; r < ABREAST; r++) margins[r] = sum[r];
}

static double add(bool f64, double sum, double value, double weight)
{
    if (f64) return sum + value * weight;
    return (double)((float)sum + (float)value * (float)weight);
}

/* Leaf vectors and linear leaves. */
static void sum_special(const struct ig_tree_predict *predict, uint32_t first, uint32_t count,
                        const uint32_t *slots, const double *row, double *margins)
{
    const struct ig_model *model = predict->model;
    bool f64 = model->sum_rule == IG_SUM_F64;
    for (uint32_t i = 0; i < count; i++) {
        const struct ig_tree *tree = &model->trees[first + i];
        const struct ig_node *leaf = &model->nodes[predict->plan.leaves[slots[i]]];
        if (model->linear_leaves) {
            double value = ig_tree_linear_leaf(model, leaf, row);
            margins[tree->output] = add(f64, margins[tree->output], value, tree->weight);
            continue;
        }
        const double *values = model->leaf_values + (size_t)leaf->extra * model->outputs_count;
        for (uint32_t o = 0; o < model->outputs_count; o++)
            margins[o] = add(f64, margins[o], values[o], tree->weight);
    }
}

static void sum_outputs(const struct ig_tree_predict *predict, uint32_t first, uint32_t count,
                        const uint32_t *slots, double *margins)
{
    const struct ig_tree *trees = predict->model->trees + first;
    if (predict->plan.values_f64) {
        const double *values = predict->plan.values_f64;
        for (uint32_t i = 0; i < count; i++) margins[trees[i].output] += values[slots[i]];
        return;
    }
    const float *values = predict->plan.values_f32;
    for (uint32_t i = 0; i < count; i++) {
        double *margin = &margins[trees[i].output];
        *margin = (double)((float)*margin + values[slots[i]]);
    }
}

static void sum_row(const struct ig_tree_predict *predict, uint32_t first, uint32_t count,
                    const uint32_t *slots, const double *row, double *margins)
{
    const struct ig_tree_plan *plan = &predict->plan;
    if (plan->leaves)
        sum_special(predict, first, count, slots, row, margins);
    else if (predict->model->outputs_count > 1)
        sum_outputs(predict, first, count, slots, margins);
    else if (plan->values_f64)
        sum_one_f64(plan->values_f64, slots, count, margins);
    else
        sum_one_f32(plan->values_f32, slots, count, margins);
}

/* ---- tiles ---- */

struct tile {
    const struct ig_tree_predict *predict;
    struct work work;
    const double *rows;
    size_t rows_count;
    double *margins;
};

static void find(const struct tile *tile, size_t row, uint32_t group, uint32_t groups,
                 uint32_t *slots)
{
    const struct ig_tree_predict *predict = tile->predict;
    const uint16_t *ranks = tile->work.ranks + row * predict->plan.stride;
    predict->kernel->find(&predict->plan, ranks, group, groups, slots, tile->work.masks);
}

/* Whether four rows can be summed side by side. */
static bool sums_abreast(const struct ig_tree_predict *predict)
{
    return !predict->plan.leaves && predict->model->outputs_count == 1;
}

static void run_four(const struct tile *tile, size_t row, uint32_t group, uint32_t groups,
                     uint32_t count)
{
    const struct ig_tree_plan *plan = &tile->predict->plan;
    for (uint32_t r = 0; r < ABREAST; r++)
        find(tile, row + r, group, groups, tile->work.slots + r * CHUNK_MAX);
    if (plan->values_f64)
        sum_four_f64(plan->values_f64, tile->work.slots, count, tile->margins + row);
    else
        sum_four_f32(plan->values_f32, tile->work.slots, count, tile->margins + row);
}

static void run_chunk(const struct tile *tile, uint32_t group, uint32_t groups)
{
    const struct ig_tree_predict *predict = tile->predict;
    const struct ig_model *model = predict->model;
    uint32_t first = group * IG_TREE_GROUP;
    uint32_t count = groups * IG_TREE_GROUP;
    if (count > model->trees_count - first) count = model->trees_count - first;
    size_t row = 0;
    if (sums_abreast(predict))
        for (; row + ABREAST <= tile->rows_count; row += ABREAST)
            run_four(tile, row, group, groups, count);
    for (; row < tile->rows_count; row++) {
        find(tile, row, group, groups, tile->work.slots);
        sum_row(predict, first, count, tile->work.slots, tile->rows + row * model->features_count,
                tile->margins + row * model->outputs_count);
    }
}

static void run_tile(const struct tile *tile)
{
    const struct ig_tree_predict *predict = tile->predict;
    const struct ig_tree_plan *plan = &predict->plan;
    for (size_t i = 0; i < tile->rows_count; i++) {
        const double *row = tile->rows + i * predict->model->features_count;
        uint16_t *ranks = tile->work.ranks + i * plan->stride;
        ranks[plan->rank.slots_count] = 0; /* leaves test column 0, even where nothing is ranked */
        predict->kernel->rank(&plan->rank, row, ranks);
        ig_tree_sets_row(&plan->sets, row, ranks);
    }
    uint32_t step = predict->chunk_groups;
    if (tile->rows_count == 1) step = CHUNK_ONE_ROW / IG_TREE_GROUP;
    for (uint32_t group = 0; group < plan->groups_count; group += step) {
        uint32_t left = plan->groups_count - group;
        run_chunk(tile, group, left < step ? left : step);
    }
}

/* ---- public ---- */

static void start_margins(const struct ig_model *model, size_t rows_count, double *margins)
{
    if (model->sum_rule != IG_SUM_F32_BASE_FIRST) {
        memset(margins, 0, rows_count * model->outputs_count * sizeof *margins);
        return;
    }
    for (size_t i = 0; i < rows_count; i++)
        memcpy(margins + i * model->outputs_count, model->base_margin,
               model->outputs_count * sizeof *margins);
}

static void end_margins(const struct ig_model *model, size_t rows_count, double *margins)
{
    if (model->sum_rule == IG_SUM_F32_BASE_FIRST && !model->average) return;
    for (size_t i = 0; i < rows_count * model->outputs_count; i++) {
        if (model->average) margins[i] /= (double)model->iterations_count;
        double base = model->base_margin[i % model->outputs_count];
        if (model->sum_rule == IG_SUM_F64)
            margins[i] += base;
        else if (model->sum_rule == IG_SUM_F32_BASE_LAST)
            margins[i] = (double)((float)margins[i] + (float)base);
    }
}

static struct work lay_work(const struct ig_tree_predict *predict, size_t rows, void *scratch)
{
    struct work work = {.ranks = scratch};
    work.slots = (uint32_t *)(void *)(work.ranks + rows * predict->plan.stride);
    work.masks = (uint64_t *)(void *)(work.slots + rows_abreast(rows) * CHUNK_MAX);
    return work;
}

void ig_tree_predict_run(const struct ig_tree_predict *predict, const double *rows,
                         size_t rows_count, double *margins, void *scratch)
{
    const struct ig_model *model = predict->model;
    if (!predict->kernel) {
        for (size_t i = 0; i < rows_count; i++)
            ig_tree_walk_margin(model, rows + i * model->features_count,
                                margins + i * model->outputs_count);
        return;
    }
    start_margins(model, rows_count, margins);
    struct tile tile = {.predict = predict,
                        .work = lay_work(predict, tile_rows(rows_count), scratch)};
    for (size_t row = 0; row < rows_count; row += TILE_ROWS) {
        tile.rows = rows + row * model->features_count;
        tile.rows_count = tile_rows(rows_count - row);
        tile.margins = margins + row * model->outputs_count;
        run_tile(&tile);
    }
    end_margins(model, rows_count, margins);
}

const char *ig_tree_predict_variant(const struct ig_tree_predict *predict)
{
    return predict->kernel ? predict->kernel->name : "walk";
}

enum ig_isa ig_tree_predict_isa(const struct ig_tree_predict *predict)
{
    return predict->kernel ? predict->kernel->isa : IG_ISA_SCALAR;
}

size_t ig_tree_predict_memory_bytes(const struct ig_tree_predict *predict)
{
    return sizeof *predict + predict->arena.held_bytes;
}
