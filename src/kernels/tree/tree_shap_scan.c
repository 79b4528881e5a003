/* SPDX-License-Identifier: Apache-2.0 */
/* What SHAP blocks need to know of each split: the split above of the same player and its share,
 * the number of quadrature points of each tree, and how a row is compared (slots, thresholds).
 *
 * Owns its working arrays during one call. All sizes follow the number of nodes, never the number
 * of features that a file claims. */
#include "base/mem.h"
#include "kernels/tree/tree_shap_compile.h"

#include <math.h>
#include <stdlib.h>

enum { VIEWS = 6 }; /* ways of reading a feature: missing type x default direction */

/* The last split of a player, on the way down. */
struct last {
    uint32_t node;
    bool left;
    double zero;
};

struct visit {
    uint32_t node;
    uint32_t stage; /* children already visited */
};

struct threshold {
    double value;
    uint32_t used;
    uint32_t node;
};

/* A split that no threshold can say. */
struct own {
    uint32_t used;
    uint32_t missing;
    uint32_t node;
};

static int compare_own(const void *a, const void *b)
{
    const struct own *x = a;
    const struct own *y = b;
    if (x->used != y->used) return x->used < y->used ? -1 : 1;
    if (x->missing != y->missing) return x->missing < y->missing ? -1 : 1;
    return x->node < y->node ? -1 : x->node > y->node;
}

static bool is_own(const struct ig_node *node)
{
    return node->op == IG_NODE_IN || (node->op == IG_NODE_LT && node->value == -INFINITY);
}

static uint32_t view_of(const struct ig_node *node)
{
    if (node->missing == IG_NODE_MISSING_NONE) return 0;
    return node->missing * 2U + (node->flags & IG_NODE_DEFAULT_LEFT ? 1 : 0);
}

static int compare_u32(const void *a, const void *b)
{
    uint32_t x = *(const uint32_t *)a;
    uint32_t y = *(const uint32_t *)b;
    return x < y ? -1 : x > y;
}

static int compare_thresholds(const void *a, const void *b)
{
    const struct threshold *x = a;
    const struct threshold *y = b;
    if (x->used != y->used) return x->used < y->used ? -1 : 1;
    return x->value < y->value ? -1 : x->value > y->value;
}

static bool no_memory(struct ig_err *err)
{
    ig_fail(err, IG_NO_MEMORY, "no memory to prepare SHAP values");
    return false;
}

/* Sorts and leaves one of each; the number left. */
static uint32_t unique(uint32_t *values, uint32_t count)
{
    uint32_t left = 0;
    if (count) qsort(values, count, sizeof *values, compare_u32);
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || values[i] != values[i - 1]) values[left++] = values[i];
    return left;
}

static uint32_t place_of(uint32_t value, const uint32_t *values, uint32_t count)
{
    const uint32_t *found = bsearch(&value, values, count, sizeof *values, compare_u32);
    return (uint32_t)(found - values);
}

/* Features and players that have splits, numbered in ascending order. */
static bool find_used(struct ig_shap_compiler *c, struct ig_err *err)
{
    const struct ig_model *model = c->model;
    struct ig_tree_shap *shap = c->shap;
    uint32_t *features = ig_zalloc_array(model->nodes_count + (size_t)1, sizeof *features);
    uint32_t count = 0;
    for (uint32_t i = 0; features && i < model->nodes_count; i++)
        if (model->nodes[i].op != IG_NODE_LEAF) features[count++] = model->nodes[i].feature;
    if (features) c->features_count = unique(features, count);
    shap->used = ig_arena_array(&shap->arena, c->features_count, sizeof *shap->used);
    c->local_of = ig_zalloc_array(c->features_count, sizeof *c->local_of);
    bool ok = features && shap->used && c->local_of;
    for (uint32_t i = 0; ok && i < c->features_count; i++) {
        shap->used[i] = ig_player_of(&shap->players, features[i]);
        c->local_of[i] = IG_MODEL_NONE;
    }
    if (ok) shap->used_count = unique(shap->used, c->features_count);
    for (uint32_t i = 0; ok && i < model->nodes_count; i++) {
        uint32_t feature = model->nodes[i].feature;
        if (model->nodes[i].op == IG_NODE_LEAF) continue;
        c->infos[i].used = place_of(feature, features, c->features_count);
        c->infos[i].player =
            place_of(ig_player_of(&shap->players, feature), shap->used, shap->used_count);
    }
    ig_free(features);
    return ok || no_memory(err);
}

static uint32_t add_slot(struct ig_shap_compiler *c, const struct ig_node *node, uint32_t own)
{
    c->slots[c->shap->slots_count] = (struct ig_shap_slot){
        .feature = node->feature, .node = own, .missing = node->missing, .flags = node->flags};
    return c->shap->slots_count++;
}

/* The threshold of "key <= threshold" with the same outcomes. */
static double inclusive(const struct ig_model *model, const struct ig_node *node)
{
    if (node->op == IG_NODE_LE) return node->value;
    if (model->inputs_f32) return (double)nextafterf((float)node->value, -INFINITY);
    return nextafter(node->value, -INFINITY);
}

/* Slots of inputs, those of a feature together: slot_of[used * VIEWS + view], of views in use. */
static void number_slots(struct ig_shap_compiler *c, uint32_t *slot_of)
{
    const struct ig_model *model = c->model;
    const size_t most = (size_t)c->features_count * VIEWS;
    for (size_t i = 0; i < most; i++) slot_of[i] = IG_MODEL_NONE;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF || is_own(node)) continue;
        slot_of[(size_t)c->infos[i].used * VIEWS + view_of(node)] = i;
    }
    for (size_t i = 0; i < most; i++)
        if (slot_of[i] != IG_MODEL_NONE)
            slot_of[i] = add_slot(c, &model->nodes[slot_of[i]], IG_MODEL_NONE);
}

/* A slot each for splits that decide themselves, by feature and what is missing there: keys then
 * read an input once for all sets. `own` has room for every node. */
static void number_own_slots(struct ig_shap_compiler *c, struct own *own)
{
    const struct ig_model *model = c->model;
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op != IG_NODE_LEAF && is_own(node))
            own[count++] = (struct own){c->infos[i].used, node->missing, i};
    }
    if (count) qsort(own, count, sizeof *own, compare_own);
    for (uint32_t i = 0; i < count; i++)
        c->infos[own[i].node].slot = add_slot(c, &model->nodes[own[i].node], own[i].node);
}

static bool find_slots(struct ig_shap_compiler *c, struct ig_err *err)
{
    const struct ig_model *model = c->model;
    size_t most = (size_t)c->features_count * VIEWS;
    uint32_t *slot_of = ig_zalloc_array(most, sizeof *slot_of);
    struct own *own = ig_zalloc_array(model->nodes_count + (size_t)1, sizeof *own);
    c->slots = ig_zalloc_array(model->nodes_count + (size_t)1, sizeof *c->slots);
    bool ok = slot_of && own && c->slots;
    if (ok) number_slots(c, slot_of);
    if (ok) number_own_slots(c, own);
    for (uint32_t i = 0; ok && i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        struct ig_shap_node *info = &c->infos[i];
        if (node->op == IG_NODE_LEAF || is_own(node)) continue;
        info->slot = slot_of[(size_t)info->used * VIEWS + view_of(node)];
        info->threshold = (float)inclusive(model, node);
    }
    ig_free(slot_of);
    ig_free(own);
    return ok || no_memory(err);
}

/* Numbers the feature's different thresholds: a node's threshold becomes its number. */
static void number_thresholds(struct ig_shap_compiler *c, const struct threshold *all,
                              uint32_t count)
{
    uint32_t first = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || all[i].used != all[i - 1].used) first = c->ranks_count;
        if (c->ranks_count == first || all[i].value != c->ranks[c->ranks_count - 1])
            c->ranks[c->ranks_count++] = all[i].value;
        c->infos[all[i].node].threshold = (float)(c->ranks_count - 1 - first);
        struct ig_shap_slot *slot = &c->slots[c->infos[all[i].node].slot];
        slot->ranks = first;
        slot->ranks_count = c->ranks_count - first;
    }
    /* A feature's slots share its whole list, not the part up to their own last threshold. */
    uint32_t end = c->ranks_count;
    for (uint32_t i = c->shap->slots_count; i-- > 0;) {
        struct ig_shap_slot *slot = &c->slots[i];
        if (slot->node != IG_MODEL_NONE) continue;
        bool is_last = i + 1 < c->shap->slots_count && slot[1].node == IG_MODEL_NONE &&
                       slot[1].ranks != slot->ranks;
        if (is_last) end = slot[1].ranks;
        slot->ranks_count = end - slot->ranks;
    }
}

static bool find_ranks(struct ig_shap_compiler *c, struct ig_err *err)
{
    const struct ig_model *model = c->model;
    if (model->inputs_f32) return true;
    if (model->nodes_count >= 1U << 25) {
        ig_fail(err, IG_TOO_LARGE, "%u nodes are more than can be explained exactly",
                model->nodes_count);
        return false;
    }
    struct threshold *all = ig_zalloc_array(model->nodes_count + (size_t)1, sizeof *all);
    c->ranks = ig_zalloc_array(model->nodes_count + (size_t)1, sizeof *c->ranks);
    if (!all || !c->ranks) {
        ig_free(all);
        return no_memory(err);
    }
    uint32_t count = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF || is_own(node)) continue;
        all[count++] = (struct threshold){inclusive(model, node), c->infos[i].used, i};
    }
    if (count) qsort(all, count, sizeof *all, compare_thresholds);
    number_thresholds(c, all, count);
    ig_free(all);
    return true;
}

/* Depth first; returns the greatest number of different players on a path. */
static uint32_t scan_tree(struct ig_shap_compiler *c, const struct ig_tree *tree,
                          struct last *lasts, struct visit *stack)
{
    const struct ig_node *nodes = c->model->nodes + tree->first_node;
    struct ig_shap_node *infos = c->infos + tree->first_node;
    uint32_t different = 0;
    uint32_t greatest = 0;
    uint32_t top = 1;
    stack[0] = (struct visit){0, 0};
    while (top > 0) {
        struct visit *visit = &stack[top - 1];
        const struct ig_node *node = &nodes[visit->node];
        if (node->op == IG_NODE_LEAF) {
            if (different > greatest) greatest = different;
            top--;
            continue;
        }
        struct ig_shap_node *info = &infos[visit->node];
        struct last *last = &lasts[info->player];
        if (visit->stage == 0) {
            info->level = top - 1;
            info->above = last->node;
            info->above_left = last->left;
            info->zero = last->zero;
            different += last->node == IG_MODEL_NONE;
        }
        if (visit->stage == 2) {
            *last = (struct last){info->above, info->above_left, info->zero};
            different -= info->above == IG_MODEL_NONE;
            top--;
            continue;
        }
        bool left = visit->stage++ == 0;
        double share = ig_tree_shap_left_share(nodes, node);
        *last = (struct last){visit->node, left, info->zero * (left ? share : 1 - share)};
        stack[top++] = (struct visit){(uint32_t)(left ? node->left : node->right), 0};
    }
    return greatest;
}

static bool add_jobs(struct ig_shap_compiler *c, uint32_t tree_index, uint32_t different,
                     struct ig_err *err)
{
    const struct ig_model *model = c->model;
    const struct ig_tree *tree = &model->trees[tree_index];
    const struct ig_node *nodes = model->nodes + tree->first_node;
    const struct ig_shap_node *infos = c->infos + tree->first_node;
    struct ig_shap_job job = {.tree = tree_index, .points = (different + 1) / 2};
    if (job.points > IG_SHAP_POINTS_MAX) {
        ig_fail(err, IG_TOO_LARGE,
                "tree %u has %u different features on a path; at most %d can be explained exactly",
                tree_index, different, 2 * IG_SHAP_POINTS_MAX);
        return false;
    }
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        if (nodes[i].op == IG_NODE_LEAF) continue;
        job.splits++;
        job.repeats += infos[i].above != IG_MODEL_NONE;
    }
    for (uint32_t o = 0; o < (model->leaf_vectors ? model->outputs_count : 1); o++) {
        job.output = model->leaf_vectors ? o : tree->output;
        if (job.splits)
            c->jobs[c->jobs_count++] = job;
        else
            c->shap->base[job.output] += ig_tree_shap_leaf_value(model, tree, nodes, o);
    }
    return true;
}

static bool scan_trees(struct ig_shap_compiler *c, struct ig_err *err)
{
    const struct ig_model *model = c->model;
    size_t depth = 0;
    for (uint32_t t = 0; t < model->trees_count; t++)
        if (model->trees[t].depth > depth) depth = model->trees[t].depth;
    struct last *lasts = ig_zalloc_array(c->shap->used_count, sizeof *lasts);
    struct visit *stack = ig_zalloc_array(depth + 1, sizeof *stack);
    bool ok = lasts && stack;
    if (!ok) no_memory(err);
    for (uint32_t i = 0; ok && i < c->shap->used_count; i++)
        lasts[i] = (struct last){IG_MODEL_NONE, false, 1};
    for (uint32_t t = 0; ok && t < model->trees_count; t++)
        ok = add_jobs(c, t, scan_tree(c, &model->trees[t], lasts, stack), err);
    ig_free(lasts);
    ig_free(stack);
    return ok;
}

enum ig_code ig_tree_shap_scan(struct ig_shap_compiler *c, struct ig_err *err)
{
    const struct ig_model *model = c->model;
    size_t copies = model->leaf_vectors ? model->outputs_count : 1;
    size_t jobs;
    if (!ig_mul(&jobs, model->trees_count, copies) || jobs > INT32_MAX)
        return ig_fail(err, IG_TOO_LARGE, "an ensemble too large to be explained exactly");
    c->infos = ig_zalloc_array(model->nodes_count + (size_t)1, sizeof *c->infos);
    c->jobs = ig_zalloc_array(jobs, sizeof *c->jobs);
    if (!c->infos || !c->jobs) {
        no_memory(err);
        return err->code;
    }
    if (find_used(c, err) && find_slots(c, err) && find_ranks(c, err)) scan_trees(c, err);
    return err->code;
}
