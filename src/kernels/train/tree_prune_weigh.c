/* SPDX-License-Identifier: Apache-2.0 */
/* What splits are worth, and the order in which they go. Parents come before their children, so
 * sums over subtrees are one pass backward. Owns the pruner's arrays, in the edit's arena. */
#include "kernels/train/tree_prune_priv.h"

#include "base/mem.h"
#include "kernels/tree/tree_predict_walk.h"

#include <math.h>
#include <string.h>

static const double LEAST_SHARE = 1e-9;

/* ---- the rows ---- */

static bool open_part(struct ig_pruner *pruner, struct ig_prune_part *part,
                      const struct ig_tree_rows *rows, bool derives)
{
    const struct ig_model *model = pruner->edit.model;
    struct ig_arena *arena = &pruner->edit.arena;
    part->rows = rows;
    if (!rows) return true;
    size_t count = rows->rows_count, cells = 0, values = 0;
    if (!ig_mul(&cells, count, model->trees_count + 1) ||
        !ig_mul(&values, count, model->outputs_count))
        return false;
    part->leaves = ig_arena_array(arena, cells, sizeof *part->leaves);
    part->margins = ig_arena_array(arena, values, sizeof(double));
    if (derives) {
        part->gradients = ig_arena_array(arena, values, sizeof(double));
        part->hessians = ig_arena_array(arena, values, sizeof(double));
    }
    if (arena->overflowed || !part->leaves || !part->margins) return false;
    return true;
}

static void place_rows(const struct ig_pruner *pruner, struct ig_prune_part *part)
{
    const struct ig_model *model = pruner->edit.model;
    if (!part->rows) return;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        uint32_t *leaves = part->leaves + (size_t)t * part->rows->rows_count;
        for (size_t i = 0; i < part->rows->rows_count; i++)
            leaves[i] =
                model->trees[t].first_node +
                ig_tree_walk(model, &model->trees[t], part->rows->rows + i * model->features_count);
    }
}

void ig_pruner_score(struct ig_pruner *pruner, struct ig_prune_part *part)
{
    const struct ig_tree_edit *edit = &pruner->edit;
    const struct ig_model *model = edit->model;
    if (!part->rows) return;
    size_t count = part->rows->rows_count;
    uint32_t outputs = model->outputs_count, width = edit->width;
    for (size_t i = 0; i < count; i++)
        for (uint32_t o = 0; o < outputs; o++)
            part->margins[i * outputs + o] = ig_tree_edit_base(edit, o);
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const uint32_t *leaves = part->leaves + (size_t)t * count;
        uint32_t output = ig_tree_edit_output(edit, t, 0);
        for (size_t i = 0; i < count; i++)
            for (uint32_t w = 0; w < width; w++)
                part->margins[i * outputs + output + w] +=
                    edit->values[(size_t)leaves[i] * width + w];
    }
}

static void derive(struct ig_pruner *pruner)
{
    struct ig_prune_part *fit = &pruner->fit;
    const struct ig_tree_loss_batch batch = {pruner->edit.model, fit->margins, fit->rows->labels,
                                             fit->rows->rows_count};
    ig_tree_loss_run(&batch, fit->gradients, fit->hessians);
}

/* ---- birth ---- */

/* Covers, or where the file has none the fit rows that come by. */
static void share_training(struct ig_pruner *pruner)
{
    const struct ig_model *model = pruner->edit.model;
    const struct ig_prune_part *fit = &pruner->fit;
    bool count = model->covers_counted && fit->rows;
    double greatest = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++)
        pruner->shares[i] = count ? 0 : model->nodes[i].cover;
    for (size_t i = 0; count && i < fit->rows->rows_count * model->trees_count; i++)
        pruner->shares[fit->leaves[i]] += 1;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        double *shares = pruner->shares + tree->first_node;
        for (uint32_t i = tree->nodes_count; count && i-- > 0;) {
            const struct ig_node *node = &model->nodes[tree->first_node + i];
            if (node->op != IG_NODE_LEAF) shares[i] = shares[node->left] + shares[node->right];
        }
        greatest = fmax(greatest, shares[0]);
    }
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        double *shares = pruner->shares + tree->first_node;
        double whole = fit->rows ? shares[0] : greatest;
        for (uint32_t i = tree->nodes_count; i-- > 0;)
            shares[i] = fmax(whole > 0 ? shares[i] / whole : 0, LEAST_SHARE);
    }
}

/* The means of the training's values, from the leaves up; and where every node hangs. */
static void anchor_nodes(struct ig_pruner *pruner)
{
    const struct ig_tree_edit *edit = &pruner->edit;
    const struct ig_model *model = edit->model;
    uint32_t width = edit->width;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        pruner->parents[tree->first_node] = IG_MODEL_NONE;
        for (uint32_t i = tree->first_node + tree->nodes_count; i-- > tree->first_node;) {
            const struct ig_node *node = &model->nodes[i];
            double *own = pruner->anchors + (size_t)i * width;
            pruner->tree_of[i] = t;
            memcpy(own, edit->values + (size_t)i * width, width * sizeof *own);
            if (node->op == IG_NODE_LEAF) continue;
            uint32_t left = tree->first_node + (uint32_t)node->left;
            uint32_t right = tree->first_node + (uint32_t)node->right;
            double a = pruner->shares[left], b = pruner->shares[right];
            pruner->parents[left] = pruner->parents[right] = i;
            for (uint32_t w = 0; w < width; w++)
                own[w] = (a * pruner->anchors[(size_t)left * width + w] +
                          b * pruner->anchors[(size_t)right * width + w]) /
                         (a + b);
        }
    }
}

/* How much the training counts: as much as the fit rows do, times the prior. */
static void weigh_training(struct ig_pruner *pruner)
{
    const struct ig_prune_part *fit = &pruner->fit;
    uint32_t outputs = pruner->edit.model->outputs_count;
    for (uint32_t o = 0; o < outputs; o++) pruner->totals[o] = fit->rows ? 0 : 1;
    if (!fit->rows) return;
    derive(pruner);
    for (size_t i = 0; i < fit->rows->rows_count * outputs; i++)
        pruner->totals[i % outputs] += fit->hessians[i];
    for (uint32_t o = 0; o < outputs; o++)
        pruner->totals[o] = fmax(pruner->totals[o] * pruner->options->prior, LEAST_SHARE);
}

static bool allocate(struct ig_pruner *pruner)
{
    struct ig_arena *arena = &pruner->edit.arena;
    size_t nodes = (size_t)pruner->edit.model->nodes_count + 1, width = pruner->edit.width;
    pruner->parents = ig_arena_array(arena, nodes, sizeof(uint32_t));
    pruner->tree_of = ig_arena_array(arena, nodes, sizeof(uint32_t));
    pruner->current = ig_arena_array(arena, nodes, sizeof(uint32_t));
    pruner->leaves = ig_arena_array(arena, nodes, sizeof(uint32_t));
    pruner->heap = ig_arena_array(arena, nodes, sizeof(uint32_t));
    pruner->places = ig_arena_array(arena, nodes, sizeof(uint32_t));
    pruner->shares = ig_arena_array(arena, nodes, sizeof(double));
    pruner->costs = ig_arena_array(arena, nodes, sizeof(double));
    pruner->rests = ig_arena_array(arena, nodes, sizeof(double));
    pruner->ratios = ig_arena_array(arena, nodes, sizeof(double));
    pruner->anchors = ig_arena_array(arena, nodes, width * sizeof(double));
    pruner->sums = ig_arena_array(arena, nodes, width * sizeof *pruner->sums);
    pruner->totals = ig_arena_array(arena, pruner->edit.model->outputs_count, sizeof(double));
    return !arena->overflowed && pruner->totals;
}

enum ig_code ig_pruner_init(struct ig_pruner *pruner, const struct ig_model *model,
                            const struct ig_tree_prune_options *options, struct ig_err *err)
{
    *pruner = (struct ig_pruner){.options = options, .err = err};
    if (ig_tree_edit_init(&pruner->edit, model, err) != IG_OK) return err->code;
    if (!allocate(pruner) || !open_part(pruner, &pruner->fit, options->fit, true) ||
        !open_part(pruner, &pruner->judge, options->judge, false))
        return ig_fail(err, IG_NO_MEMORY, "no memory to prune %u nodes", model->nodes_count);
    place_rows(pruner, &pruner->fit);
    ig_pruner_score(pruner, &pruner->fit);
    share_training(pruner);
    anchor_nodes(pruner);
    weigh_training(pruner);
    ig_pruner_reset(pruner);
    return IG_OK;
}

void ig_pruner_deinit(struct ig_pruner *pruner)
{
    ig_tree_edit_deinit(&pruner->edit);
}

void ig_pruner_reset(struct ig_pruner *pruner)
{
    ig_tree_edit_reset(&pruner->edit);
    place_rows(pruner, &pruner->fit);
    place_rows(pruner, &pruner->judge);
    ig_pruner_score(pruner, &pruner->fit);
    ig_pruner_score(pruner, &pruner->judge);
}

/* ---- what splits are worth ---- */

static void sum_leaves(struct ig_pruner *pruner)
{
    const struct ig_tree_edit *edit = &pruner->edit;
    const struct ig_model *model = edit->model;
    uint32_t width = edit->width;
    for (uint32_t i = 0; i < model->nodes_count; i++)
        for (uint32_t w = 0; w < width; w++) {
            size_t at = (size_t)i * width + w;
            double weight = 0, anchor = pruner->anchors[at];
            if (edit->kinds[i] == IG_TREE_LEAF)
                weight = pruner->shares[i] *
                         pruner->totals[ig_tree_edit_output(edit, pruner->tree_of[i], w)];
            pruner->sums[at] = (struct ig_prune_sums){weight, weight * anchor,
                                                      weight * anchor * anchor, weight * anchor};
        }
}

static void add_rows(struct ig_pruner *pruner)
{
    const struct ig_tree_edit *edit = &pruner->edit;
    const struct ig_prune_part *fit = &pruner->fit;
    uint32_t outputs = edit->model->outputs_count, width = edit->width;
    size_t count = fit->rows->rows_count;
    for (uint32_t t = 0; t < edit->model->trees_count; t++) {
        uint32_t output = ig_tree_edit_output(edit, t, 0);
        for (size_t i = 0; i < count; i++) {
            size_t leaf = (size_t)fit->leaves[t * count + i] * width;
            for (uint32_t w = 0; w < width; w++) {
                double g = fit->gradients[i * outputs + output + w];
                double h = fit->hessians[i * outputs + output + w], v = edit->values[leaf + w];
                struct ig_prune_sums *sums = &pruner->sums[leaf + w];
                sums->s0 += h;
                sums->s1 += h * v - g;
                sums->s2 += h * v * v - 2 * g * v;
                sums->values += h * v;
            }
        }
    }
}

static void fold(struct ig_pruner *pruner, uint32_t node)
{
    const struct ig_tree_edit *edit = &pruner->edit;
    uint32_t width = edit->width;
    bool leaf = edit->kinds[node] == IG_TREE_LEAF;
    double cost = 0;
    for (uint32_t w = 0; w < width; w++) {
        const struct ig_prune_sums *sums = &pruner->sums[(size_t)node * width + w];
        double v = leaf ? edit->values[(size_t)node * width + w] : sums->values / sums->s0;
        cost += sums->s0 * v * v - 2 * sums->s1 * v + sums->s2;
    }
    pruner->costs[node] = cost;
    if (leaf) {
        pruner->rests[node] = cost;
        pruner->leaves[node] = 1;
    }
    uint32_t parent = pruner->parents[node];
    if (parent == IG_MODEL_NONE) return;
    pruner->rests[parent] += pruner->rests[node];
    pruner->leaves[parent] += pruner->leaves[node];
    for (uint32_t w = 0; w < width; w++) {
        const struct ig_prune_sums *own = &pruner->sums[(size_t)node * width + w];
        struct ig_prune_sums *up = &pruner->sums[(size_t)parent * width + w];
        up->s0 += own->s0;
        up->s1 += own->s1;
        up->s2 += own->s2;
        up->values += own->values;
    }
}

/* ---- the heap: the least ratio first, of equals the least node ---- */

static bool comes_before(const struct ig_pruner *pruner, uint32_t a, uint32_t b)
{
    double x = pruner->ratios[a], y = pruner->ratios[b];
    return x != y ? x < y : a < b;
}

static void put(struct ig_pruner *pruner, uint32_t place, uint32_t node)
{
    pruner->heap[place] = node;
    pruner->places[node] = place;
}

static void settle(struct ig_pruner *pruner, uint32_t place)
{
    uint32_t node = pruner->heap[place], count = pruner->heap_count;
    while (place > 0 && comes_before(pruner, node, pruner->heap[(place - 1) / 2])) {
        put(pruner, place, pruner->heap[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    for (uint32_t child; (child = 2 * place + 1) < count; place = child) {
        if (child + 1 < count && comes_before(pruner, pruner->heap[child + 1], pruner->heap[child]))
            child++;
        if (!comes_before(pruner, pruner->heap[child], node)) break;
        put(pruner, place, pruner->heap[child]);
    }
    put(pruner, place, node);
}

static void take_out(struct ig_pruner *pruner, uint32_t node)
{
    uint32_t place = pruner->places[node];
    if (place == IG_MODEL_NONE) return;
    pruner->places[node] = IG_MODEL_NONE;
    uint32_t last = pruner->heap[--pruner->heap_count];
    if (last == node) return;
    put(pruner, place, last);
    settle(pruner, place);
}

static double ratio_of(const struct ig_pruner *pruner, uint32_t node)
{
    double gain = pruner->costs[node] - pruner->rests[node];
    uint32_t leaves = pruner->leaves[node];
    return gain / (pruner->options->whole_trees ? leaves : leaves - 1);
}

void ig_pruner_weigh(struct ig_pruner *pruner)
{
    const struct ig_tree_edit *edit = &pruner->edit;
    uint32_t count = edit->model->nodes_count;
    if (pruner->fit.rows) derive(pruner);
    sum_leaves(pruner);
    if (pruner->fit.rows) add_rows(pruner);
    memset(pruner->rests, 0, count * sizeof *pruner->rests);
    memset(pruner->leaves, 0, count * sizeof *pruner->leaves);
    pruner->heap_count = 0;
    for (uint32_t i = count; i-- > 0;)
        if (edit->kinds[i] != IG_TREE_GONE) fold(pruner, i);
    for (uint32_t i = 0; i < count; i++) {
        bool root = pruner->parents[i] == IG_MODEL_NONE;
        pruner->places[i] = IG_MODEL_NONE;
        if (edit->kinds[i] != IG_TREE_SPLIT || (pruner->options->whole_trees && !root)) continue;
        pruner->ratios[i] = ratio_of(pruner, i);
        put(pruner, pruner->heap_count++, i);
        settle(pruner, pruner->heap_count - 1);
    }
}

/* ---- cutting ---- */

static void cut_node(struct ig_pruner *pruner, uint32_t node)
{
    struct ig_tree_edit *edit = &pruner->edit;
    const struct ig_tree *tree = &edit->model->trees[pruner->tree_of[node]];
    uint32_t end = tree->first_node + tree->nodes_count, leaves = pruner->leaves[node];
    double rest = pruner->rests[node];
    for (uint32_t w = 0; w < edit->width; w++) {
        const struct ig_prune_sums *sums = &pruner->sums[(size_t)node * edit->width + w];
        edit->values[(size_t)node * edit->width + w] = sums->values / sums->s0;
    }
    ig_tree_edit_cut(edit, pruner->tree_of[node], node);
    for (uint32_t i = node; i < end; i++)
        if (i == node || edit->kinds[i] == IG_TREE_GONE) take_out(pruner, i);
    pruner->rests[node] = pruner->costs[node];
    pruner->leaves[node] = 1;
    for (uint32_t up = pruner->parents[node]; up != IG_MODEL_NONE; up = pruner->parents[up]) {
        pruner->rests[up] += pruner->costs[node] - rest;
        pruner->leaves[up] -= leaves - 1;
        if (pruner->places[up] == IG_MODEL_NONE) continue;
        pruner->ratios[up] = ratio_of(pruner, up);
        settle(pruner, pruner->places[up]);
    }
}

bool ig_pruner_cut(struct ig_pruner *pruner, double *ratio)
{
    bool last = pruner->edit.trees_count == 1 && !pruner->to_root;
    if (pruner->heap_count && last && pruner->parents[pruner->heap[0]] == IG_MODEL_NONE)
        take_out(pruner, pruner->heap[0]);
    if (pruner->heap_count == 0) return false;
    uint32_t node = pruner->heap[0];
    *ratio = pruner->ratios[node];
    cut_node(pruner, node);
    return true;
}

static void move_part(const struct ig_pruner *pruner, struct ig_prune_part *part)
{
    if (!part->rows) return;
    size_t count = part->rows->rows_count * pruner->edit.model->trees_count;
    for (size_t i = 0; i < count; i++) part->leaves[i] = pruner->current[part->leaves[i]];
}

void ig_pruner_move(struct ig_pruner *pruner)
{
    for (uint32_t i = 0; i < pruner->edit.model->nodes_count; i++)
        pruner->current[i] =
            pruner->edit.kinds[i] == IG_TREE_GONE ? pruner->current[pruner->parents[i]] : i;
    move_part(pruner, &pruner->fit);
    move_part(pruner, &pruner->judge);
    ig_pruner_score(pruner, &pruner->fit);
    ig_pruner_score(pruner, &pruner->judge);
}

/* ---- refitting ---- */

/* All trees learn the same rest, so that each one's training has to hold against all. */
static void step_tree(struct ig_pruner *pruner, uint32_t t)
{
    struct ig_tree_edit *edit = &pruner->edit;
    const struct ig_tree *tree = &edit->model->trees[t];
    const struct ig_prune_part *fit = &pruner->fit;
    uint32_t width = edit->width, outputs = edit->model->outputs_count;
    uint32_t output = ig_tree_edit_output(edit, t, 0);
    size_t count = fit->rows->rows_count;
    double trees = (double)edit->model->trees_count / (edit->width > 1 ? 1 : outputs);
    const uint32_t *leaves = fit->leaves + t * count;
    for (size_t i = (size_t)tree->first_node * width;
         i < (size_t)(tree->first_node + tree->nodes_count) * width; i++)
        pruner->sums[i] = (struct ig_prune_sums){0, 0, 0, 0};
    for (size_t i = 0; i < count; i++)
        for (uint32_t w = 0; w < width; w++) {
            struct ig_prune_sums *sums = &pruner->sums[(size_t)leaves[i] * width + w];
            sums->s0 += fit->hessians[i * outputs + output + w];
            sums->s1 += fit->gradients[i * outputs + output + w];
        }
    for (uint32_t i = tree->first_node; i < tree->first_node + tree->nodes_count; i++)
        for (uint32_t w = 0; w < width && edit->kinds[i] == IG_TREE_LEAF; w++) {
            size_t at = (size_t)i * width + w;
            struct ig_prune_sums *sums = &pruner->sums[at];
            double weight = pruner->shares[i] * pruner->totals[output + w] * trees;
            double pull = weight * (edit->values[at] - pruner->anchors[at]);
            sums->s2 = -(sums->s1 + pull) / (sums->s0 + weight);
            edit->values[at] += sums->s2;
        }
    for (size_t i = 0; i < count; i++)
        for (uint32_t w = 0; w < width; w++)
            fit->margins[i * outputs + output + w] +=
                pruner->sums[(size_t)leaves[i] * width + w].s2;
}

void ig_pruner_refit(struct ig_pruner *pruner)
{
    if (!pruner->fit.rows) return;
    for (uint32_t t = 0; t < pruner->edit.model->trees_count; t++) {
        derive(pruner);
        step_tree(pruner, t);
    }
    ig_pruner_score(pruner, &pruner->judge);
}
