/* SPDX-License-Identifier: Apache-2.0 */
/* Exact SHAP values of tree ensembles: life of the compiled form, and the run over rows.
 *
 * The method is the quadrature form of the Shapley value (QuadratureTreeSHAP, arXiv 2605.04497)
 * with Gauss-Legendre points, which are exact from half the number of different features on a path,
 * in a form without divisions at run time (tree_shap_priv.h). Kernels fill lanes with points for
 * one row and with rows for many; every lane performs the same operations on the same numbers in
 * the same order and none is fused, so that all give the same bits.
 *
 * Thread rule: immutable after `new`; all that changes is in the caller's scratch. */
#include "kernels/tree/tree_shap.h"

#include "base/mem.h"
#include "kernels/tree/tree_shap_compile.h"

#include <math.h>
#include <string.h>

/* Lanes are float up to this sum over trees of the greatest |leaf - mean|, and this root of the sum
 * of its squares. Measured on models of XGBoost and LightGBM: roundings of trees that differ are
 * independent, and values off by at most 1.5e-7 of the root; those of trees that repeat one another
 * add up, to at most 3e-6*max(1,|value|) at the greatest sum. */
static const double FLOAT_SUM_MAX = 128;
static const double FLOAT_ROOT_MAX = 64;

enum ig_code ig_tree_shap_admit(const struct ig_model *model, struct ig_err *err)
{
    if (model->kind != IG_MODEL_TREES)
        return ig_fail(err, IG_INVALID, "model kind: not a tree ensemble");
    for (uint32_t i = 0; model->linear_leaves && i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op != IG_NODE_LEAF || node->extra == IG_MODEL_NONE) continue;
        if (model->linear[node->extra].count > 0)
            return ig_fail(err, IG_UNSUPPORTED,
                           "linear-leaf trees have no exact path-dependent SHAP values: the file "
                           "holds no feature means");
    }
    return IG_OK;
}

static void *keep(struct ig_arena *arena, const void *from, size_t count, size_t size_bytes)
{
    void *to = ig_arena_alloc_aligned(arena, count * size_bytes + 1, IG_SHAP_ALIGN);
    if (to && count) memcpy(to, from, count * size_bytes);
    return to;
}

static float *keep_f32(struct ig_arena *arena, const double *from, size_t count)
{
    float *to = ig_arena_alloc_aligned(arena, count * sizeof *to + 1, IG_SHAP_ALIGN);
    for (size_t i = 0; to && i < count; i++) to[i] = (float)from[i];
    return to;
}

/* Arrays whose sizes are known now go to the arena, the rest to the heap until they are. */
static bool allocate(struct ig_shap_compiler *c)
{
    struct ig_tree_shap *shap = c->shap;
    struct ig_arena *arena = &shap->arena;
    size_t splits = c->splits_count;
    shap->blocks = ig_arena_array(arena, c->blocks_count, sizeof *shap->blocks);
    shap->roots = ig_arena_array(arena, c->jobs_count, sizeof *shap->roots);
    shap->repeats = ig_arena_array(arena, c->repeats_count, sizeof *shap->repeats);
    shap->slot = ig_arena_array(arena, splits, sizeof *shap->slot);
    shap->threshold = ig_arena_array(arena, splits, sizeof *shap->threshold);
    shap->feature = ig_arena_array(arena, splits + IG_SHAP_SLACK, sizeof *shap->feature);
    shap->table = ig_arena_array(arena, splits + IG_SHAP_SLACK, sizeof *shap->table);
    shap->f64.mean = c->mean = ig_arena_array(arena, splits + IG_SHAP_SLACK, sizeof *c->mean);
    shap->f64.left = c->left =
        ig_arena_alloc_aligned(arena, splits * sizeof(double) + 1, IG_SHAP_ALIGN);
    shap->f64.right = c->right =
        ig_arena_alloc_aligned(arena, splits * sizeof(double) + 1, IG_SHAP_ALIGN);
    shap->f64.table = c->table =
        ig_arena_alloc_aligned(arena, c->table_size * sizeof(double) + 1, IG_SHAP_ALIGN);
    c->spans = ig_zalloc_array(c->plain_count, sizeof *c->spans);
    c->children = ig_zalloc_array(c->plain_count + (size_t)IG_SHAP_SLACK, sizeof *c->children);
    c->features = ig_zalloc_array(c->plain_count, sizeof *c->features);
    c->leaves = ig_zalloc_array(c->plain_count + (size_t)IG_SHAP_SLACK, sizeof *c->leaves);
    c->above = ig_zalloc_array(splits, sizeof *c->above);
    return !arena->overflowed && c->spans && c->children && c->features && c->leaves && c->above;
}

static struct ig_shap_split_f32 *records_f32(struct ig_shap_compiler *c)
{
    struct ig_tree_shap *shap = c->shap;
    struct ig_shap_split_f32 *to =
        ig_arena_alloc_aligned(&shap->arena, c->splits_count * sizeof *to + 1, IG_SHAP_ALIGN);
    for (uint32_t i = 0; to && i < c->splits_count; i++) {
        to[i] = (struct ig_shap_split_f32){.slot = shap->slot[i],
                                           .threshold = shap->threshold[i],
                                           .feature = shap->feature[i] / IG_SHAP_PASS,
                                           .above = c->above[i],
                                           .table = shap->table[i],
                                           .left = (float)c->left[i],
                                           .right = (float)c->right[i],
                                           .mean = (float)c->mean[i]};
    }
    return to;
}

static struct ig_shap_split_f64 *records_f64(struct ig_shap_compiler *c)
{
    struct ig_tree_shap *shap = c->shap;
    struct ig_shap_split_f64 *to =
        ig_arena_alloc_aligned(&shap->arena, c->splits_count * sizeof *to + 1, IG_SHAP_ALIGN);
    for (uint32_t i = 0; to && i < c->splits_count; i++) {
        to[i] = (struct ig_shap_split_f64){.slot = shap->slot[i],
                                           .threshold = shap->threshold[i],
                                           .feature = shap->feature[i] / IG_SHAP_PASS,
                                           .above = c->above[i],
                                           .table = shap->table[i],
                                           .left = c->left[i],
                                           .right = c->right[i],
                                           .mean = c->mean[i]};
    }
    return to;
}

/* Moves what is on the heap to the arena, at its size. */
static bool settle(struct ig_shap_compiler *c)
{
    struct ig_tree_shap *shap = c->shap;
    struct ig_arena *arena = &shap->arena;
    size_t spans = 0;
    size_t features = 0;
    for (uint32_t i = 0; i < shap->blocks_count; i++) {
        spans += shap->blocks[i].spans_count;
        features += shap->blocks[i].features_count;
    }
    shap->spans = keep(arena, c->spans, spans, sizeof *shap->spans);
    shap->children =
        keep(arena, c->children, c->children_count + (size_t)IG_SHAP_SLACK, sizeof *shap->children);
    shap->features = keep(arena, c->features, features, sizeof *shap->features);
    shap->f64.leaves =
        keep(arena, c->leaves, c->leaves_count + (size_t)IG_SHAP_SLACK, sizeof *c->leaves);
    for (uint32_t o = 0; o < shap->model->outputs_count; o++)
        shap->is_double |=
            !(c->scales[o].sum <= FLOAT_SUM_MAX) || !(sqrt(c->scales[o].squares) <= FLOAT_ROOT_MAX);
    if (shap->is_double) {
        shap->f64.splits = records_f64(c);
    } else {
        shap->f32.splits = records_f32(c);
        shap->f32.left = keep_f32(arena, c->left, c->splits_count);
        shap->f32.right = keep_f32(arena, c->right, c->splits_count);
        shap->f32.mean = keep_f32(arena, c->mean, c->splits_count + (size_t)IG_SHAP_SLACK);
        shap->f32.leaves = keep_f32(arena, c->leaves, c->leaves_count + (size_t)IG_SHAP_SLACK);
        shap->f32.table = keep_f32(arena, c->table, c->table_count);
    }
    return !arena->overflowed;
}

bool ig_tree_shap_settle_keys(struct ig_shap_compiler *c)
{
    struct ig_tree_shap *shap = c->shap;
    shap->slots = keep(&shap->arena, c->slots, shap->slots_count, sizeof *c->slots);
    shap->ranks = keep(&shap->arena, c->ranks, c->ranks_count, sizeof *c->ranks);
    return !shap->arena.overflowed;
}

void ig_tree_shap_compiler_deinit(struct ig_shap_compiler *c)
{
    void *heap[] = {c->scales, c->infos,    c->jobs,     c->local_of, c->slots, c->ranks,
                    c->spans,  c->children, c->features, c->leaves,   c->above};
    for (size_t i = 0; i < sizeof heap / sizeof *heap; i++) ig_free(heap[i]);
}

static enum ig_code compile(struct ig_tree_shap *shap, struct ig_err *err)
{
    const struct ig_model *model = shap->model;
    struct ig_shap_compiler c = {.shap = shap, .model = model};
    shap->base = ig_arena_array(&shap->arena, model->outputs_count, sizeof *shap->base);
    c.scales = ig_zalloc_array(model->outputs_count, sizeof *c.scales);
    if (!shap->base || !c.scales) goto no_memory;
    if (ig_tree_shap_scan(&c, err) != IG_OK) goto out;
    if (ig_tree_shap_group(&c, err) != IG_OK) goto out;
    if (!ig_tree_shap_settle_keys(&c) || !allocate(&c)) goto no_memory;
    if (ig_tree_shap_build(&c, err) != IG_OK) goto out;
    if (!settle(&c)) goto no_memory;
    for (uint32_t o = 0; o < model->outputs_count; o++)
        shap->base[o] += ig_tree_shap_base_margin(model, o);
    goto out;
no_memory:
    ig_fail(err, IG_NO_MEMORY, "no memory for SHAP values");
out:
    ig_tree_shap_compiler_deinit(&c);
    return err->code;
}

enum ig_code ig_tree_shap_copy_players(struct ig_tree_shap *shap, const struct ig_players *players,
                                       struct ig_err *err)
{
    uint32_t features = shap->model->features_count;
    shap->players.count = features;
    if (!players || !players->of_feature) return IG_OK;
    uint32_t *copy = ig_arena_array(&shap->arena, features, sizeof *copy);
    if (!copy) return ig_fail(err, IG_NO_MEMORY, "no memory for SHAP values");
    for (uint32_t i = 0; i < features; i++) {
        if (players->of_feature[i] >= players->count)
            return ig_fail(err, IG_INVALID, "players: feature %u has number %u of %u", i,
                           players->of_feature[i], players->count);
        copy[i] = players->of_feature[i];
    }
    shap->players = (struct ig_players){copy, players->count};
    return IG_OK;
}

static const struct ig_shap_variant *const VARIANTS[IG_ISAS_COUNT] = {
    &ig_shap_scalar, &ig_shap_avx2, &ig_shap_avx512};

enum ig_code ig_tree_shap_new(struct ig_tree_shap **out, const struct ig_model *model,
                              enum ig_isa isa, struct ig_err *err)
{
    return ig_tree_shap_new_grouped(out, model, NULL, isa, err);
}

enum ig_code ig_tree_shap_new_grouped(struct ig_tree_shap **out, const struct ig_model *model,
                                      const struct ig_players *players, enum ig_isa isa,
                                      struct ig_err *err)
{
    if (ig_tree_shap_admit(model, err) != IG_OK) return err->code;
    struct ig_tree_shap *shap = ig_zalloc(sizeof *shap);
    if (!shap) return ig_fail(err, IG_NO_MEMORY, "no memory for SHAP values");
    shap->model = model;
    shap->variant = VARIANTS[isa];
    ig_arena_init(&shap->arena, 64 * 1024, SIZE_MAX / 2);
    if (ig_tree_shap_copy_players(shap, players, err) != IG_OK || compile(shap, err) != IG_OK) {
        ig_tree_shap_free(shap);
        return err->code;
    }
    *out = shap;
    return IG_OK;
}

void ig_tree_shap_free(struct ig_tree_shap *shap)
{
    if (!shap) return;
    ig_arena_deinit(&shap->arena);
    ig_free(shap);
}

void ig_tree_shap_base(const struct ig_tree_shap *shap, double *base)
{
    memcpy(base, shap->base, shap->model->outputs_count * sizeof *base);
}

bool ig_tree_shap_is_double(const struct ig_tree_shap *shap)
{
    return shap->is_double;
}

size_t ig_tree_shap_memory_bytes(const struct ig_tree_shap *shap)
{
    return sizeof *shap + shap->arena.held_bytes;
}

const char *ig_tree_shap_variant(const struct ig_tree_shap *shap)
{
    return shap->variant->name;
}
