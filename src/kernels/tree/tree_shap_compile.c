/* SPDX-License-Identifier: Apache-2.0 */
/* Blocks of an ensemble for SHAP values: which trees go together, and each block's spans of splits
 * in the order in which the kernels visit them.
 *
 * Owns its working arrays during one call; what it makes belongs to the arena of the result.
 * Invariant: a split's index is greater than that of every split above it. Leaves are taken
 * relative to their tree's mean, which no SHAP value depends on: floats then hold differences. */
#include "kernels/tree/tree_shap_compile.h"
#include "base/mem.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum {
    BLOCK_SPLITS = 2048,
    /* Of one player in a block, unless a tree alone has more: a lane adds so many floats. Trees
     * that repeat one another add the same number again and again, which rounds the same way. */
    PLAYER_SPLITS = 128,
    /* Numbers of the table: so many a split on average, and a fixed allowance. Ensembles of paths
     * with up to 128 different features never reach it. */
    TABLE_OF_SPLIT_MAX = 128,
    TABLE_FREE = 1 << 20,
};

struct entry {
    uint32_t level; /* UINT32_MAX: nothing below needs C */
    uint32_t kind;
    uint32_t repeats;
    uint32_t order; /* job, then node */
    uint32_t job;
    uint32_t node;
};

static int compare_entries(const void *a, const void *b)
{
    const struct entry *x = a;
    const struct entry *y = b;
    if (x->level != y->level) return x->level < y->level ? -1 : 1;
    if (x->kind != y->kind) return x->kind < y->kind ? -1 : 1;
    if (x->repeats != y->repeats) return x->repeats < y->repeats ? -1 : 1;
    return x->order < y->order ? -1 : 1;
}

static int compare_jobs(const void *a, const void *b)
{
    const struct ig_shap_job *x = a;
    const struct ig_shap_job *y = b;
    if (x->output != y->output) return x->output < y->output ? -1 : 1;
    if (x->points != y->points) return x->points < y->points ? -1 : 1;
    return x->tree < y->tree ? -1 : x->tree > y->tree;
}

/* Working state of one block. */
struct builder {
    struct ig_shap_compiler *c;
    struct ig_shap_block *block;
    const struct ig_shap_job *jobs;
    uint32_t jobs_count;
    struct entry *entries;
    uint32_t entries_count;
    double *mean;    /* by job's node */
    uint32_t *value; /* by job's node: index of its C and G */
    uint32_t *split; /* by job's node */
};

static bool is_leaf(const struct ig_node *nodes, int32_t at)
{
    return nodes[at].op == IG_NODE_LEAF;
}

static bool is_bottom(const struct ig_node *nodes, int32_t at)
{
    return !is_leaf(nodes, at) && is_leaf(nodes, nodes[at].left) && is_leaf(nodes, nodes[at].right);
}

static int rank_of_child(const struct ig_node *nodes, int32_t at)
{
    if (is_leaf(nodes, at)) return 2;
    return is_bottom(nodes, at) ? 1 : 0;
}

/* Child a is the one of lower rank: inner, bottom, leaf. */
static bool is_swapped(const struct ig_node *nodes, const struct ig_node *node)
{
    return rank_of_child(nodes, node->right) < rank_of_child(nodes, node->left);
}

static uint32_t kind_of(const struct ig_node *nodes, const struct ig_node *node)
{
    static const uint32_t KINDS[3][3] = {
        {IG_SHAP_INNER_INNER, IG_SHAP_INNER_BOTTOM, IG_SHAP_INNER_LEAF},
        {IG_SHAP_INNER_BOTTOM, IG_SHAP_BOTTOM_BOTTOM, IG_SHAP_BOTTOM_LEAF},
        {IG_SHAP_INNER_LEAF, IG_SHAP_BOTTOM_LEAF, IG_SHAP_BOTTOM}};
    return KINDS[rank_of_child(nodes, node->left)][rank_of_child(nodes, node->right)];
}

static const struct ig_node *job_nodes(const struct builder *b, uint32_t job)
{
    return b->c->model->nodes + b->c->model->trees[b->jobs[job].tree].first_node;
}

static const struct ig_shap_node *job_infos(const struct builder *b, uint32_t job)
{
    return b->c->infos + b->c->model->trees[b->jobs[job].tree].first_node;
}

static void find_means(struct builder *b, uint32_t job)
{
    const struct ig_model *model = b->c->model;
    const struct ig_tree *tree = &model->trees[b->jobs[job].tree];
    const struct ig_node *nodes = job_nodes(b, job);
    double *mean = b->mean + b->jobs[job].nodes_first;
    for (uint32_t i = tree->nodes_count; i-- > 0;) {
        if (nodes[i].op == IG_NODE_LEAF) {
            mean[i] = ig_tree_shap_leaf_value(model, tree, &nodes[i], b->block->output);
        } else {
            double share = ig_tree_shap_left_share(nodes, &nodes[i]);
            mean[i] = share * mean[nodes[i].left] + (1 - share) * mean[nodes[i].right];
        }
    }
    double root = mean[0];
    double greatest = 0;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        mean[i] -= root;
        if (fabs(mean[i]) > greatest) greatest = fabs(mean[i]);
    }
    b->c->shap->base[b->block->output] += root;
    b->c->scales[b->block->output].sum += greatest;
    b->c->scales[b->block->output].squares += greatest * greatest;
}

static bool repeats_below(const struct ig_node *nodes, const struct ig_shap_node *infos, uint32_t i)
{
    if (infos[i].above != IG_MODEL_NONE) return true;
    int32_t children[2] = {nodes[i].left, nodes[i].right};
    for (int k = 0; k < 2; k++) {
        if (is_bottom(nodes, children[k]) && infos[children[k]].above != IG_MODEL_NONE) return true;
    }
    return false;
}

static void collect_entries(struct builder *b, uint32_t job)
{
    const struct ig_node *nodes = job_nodes(b, job);
    const struct ig_shap_node *infos = job_infos(b, job);
    uint32_t count = b->c->model->trees[b->jobs[job].tree].nodes_count;
    for (uint32_t i = 0; i < count; i++) {
        if (is_leaf(nodes, (int32_t)i) || (i > 0 && is_bottom(nodes, (int32_t)i))) continue;
        uint32_t kind = kind_of(nodes, &nodes[i]);
        b->entries[b->entries_count] =
            (struct entry){.level = kind >= IG_SHAP_BOTTOM_BOTTOM ? UINT32_MAX : infos[i].level,
                           .kind = kind,
                           .repeats = repeats_below(nodes, infos, i),
                           .order = b->entries_count,
                           .job = job,
                           .node = i};
        b->entries_count++;
    }
}

/* The block's own number of the player. */
static uint32_t local_feature(struct builder *b, uint32_t used)
{
    struct ig_shap_compiler *c = b->c;
    uint32_t *local = &c->local_of[used];
    if (*local == IG_MODEL_NONE) {
        *local = b->block->features_count++;
        c->features[b->block->features_first + *local] = used;
    }
    return *local;
}

/* tau and sigma of a split whose feature's share above it is `zero`; index into the table. */
static uint32_t add_table(struct builder *b, double zero)
{
    struct ig_shap_compiler *c = b->c;
    const struct ig_shap_block *block = b->block;
    const double *t = c->table + block->table_first + block->padded;
    double *tau = c->table + c->table_count;
    for (uint32_t k = 0; k < block->padded; k++) {
        double factor = zero + t[k] * (1 - zero);
        tau[k] = t[k] / factor;
        tau[block->padded + k] = zero / (factor * factor);
    }
    c->table_count += 2 * block->padded;
    return c->table_count - 2 * block->padded;
}

/* Everything that every split has; `mean`, `left` and `right` depend on its kind. */
static uint32_t add_split(struct builder *b, uint32_t job, uint32_t at)
{
    struct ig_tree_shap *shap = b->c->shap;
    struct ig_shap_block *block = b->block;
    const struct ig_shap_node *info = &job_infos(b, job)[at];
    uint32_t local = block->splits_count++;
    uint32_t split = block->splits_first + local;
    uint32_t *splits = b->split + b->jobs[job].nodes_first;
    splits[at] = local;
    shap->slot[split] = info->slot;
    shap->threshold[split] = info->threshold;
    shap->feature[split] = local_feature(b, info->player) * IG_SHAP_PASS;
    b->c->above[split] = 0;
    shap->table[split] = block->table_first + block->padded;
    if (info->above == IG_MODEL_NONE) return split;
    uint32_t above = splits[info->above];
    b->c->above[split] = 2 * (above + 1) + (info->above_left ? 0 : 1);
    shap->table[split] = add_table(b, info->zero);
    shap->repeats[block->repeats_first + block->repeats_count++] =
        (struct ig_shap_repeat){local, above, info->above_left ? -1 : 0};
    return split;
}

static void add_bottom(struct builder *b, uint32_t job, uint32_t at)
{
    const struct ig_node *nodes = job_nodes(b, job);
    const double *mean = b->mean + b->jobs[job].nodes_first;
    double share = ig_tree_shap_left_share(nodes, &nodes[at]);
    double apart = mean[nodes[at].left] - mean[nodes[at].right];
    uint32_t split = add_split(b, job, at);
    b->c->left[split] = (1 - share) * apart;
    b->c->right[split] = -share * apart;
    b->c->mean[split] = mean[at];
}

static void add_entry(struct builder *b, const struct entry *entry, uint32_t value)
{
    struct ig_shap_compiler *c = b->c;
    const struct ig_node *nodes = job_nodes(b, entry->job);
    const struct ig_node *node = &nodes[entry->node];
    b->value[b->jobs[entry->job].nodes_first + entry->node] = value;
    if (entry->node == 0) c->shap->roots[b->block->roots_first + b->block->roots_count++] = value;
    if (entry->kind == IG_SHAP_BOTTOM) {
        add_bottom(b, entry->job, entry->node);
        return;
    }
    bool swapped = is_swapped(nodes, node);
    double share = ig_tree_shap_left_share(nodes, node);
    uint32_t split = add_split(b, entry->job, entry->node);
    c->mean[split] = swapped ? 1 - share : share;
    c->left[split] = swapped ? share - 1 : 1 - share;
    c->right[split] = swapped ? share : -share;
    int32_t children[2] = {node->left, node->right};
    for (int k = 0; k < 2; k++) {
        int32_t child = children[swapped ? 1 - k : k];
        if (is_bottom(nodes, child)) add_bottom(b, entry->job, (uint32_t)child);
        if (is_leaf(nodes, child))
            c->leaves[c->leaves_count++] = b->mean[b->jobs[entry->job].nodes_first + (size_t)child];
    }
}

static void add_children(struct builder *b, const struct entry *entry)
{
    struct ig_shap_compiler *c = b->c;
    const struct ig_node *nodes = job_nodes(b, entry->job);
    const struct ig_node *node = &nodes[entry->node];
    int32_t children[2] = {node->left, node->right};
    bool swapped = is_swapped(nodes, node);
    for (int k = 0; k < 2; k++) {
        int32_t child = children[swapped ? 1 - k : k];
        if (rank_of_child(nodes, child) == 0)
            c->children[c->children_count++] =
                b->value[b->jobs[entry->job].nodes_first + (size_t)child] * IG_SHAP_PASS;
    }
}

static bool same_span(const struct entry *a, const struct entry *b)
{
    return a->level == b->level && a->kind == b->kind && a->repeats == b->repeats;
}

static void add_spans(struct builder *b)
{
    struct ig_shap_compiler *c = b->c;
    for (uint32_t i = 0; i < b->entries_count; i++) {
        const struct entry *entry = &b->entries[i];
        if (i == 0 || !same_span(entry, entry - 1)) {
            c->spans[b->block->spans_first + b->block->spans_count++] =
                (struct ig_shap_span){.kind = entry->kind,
                                      .repeats = entry->repeats,
                                      .value_first = i,
                                      .split_first = b->block->splits_count,
                                      .leaf_first = c->leaves_count};
        }
        c->spans[b->block->spans_first + b->block->spans_count - 1].count++;
        add_entry(b, entry, i);
    }
    struct ig_shap_span *span = c->spans + b->block->spans_first;
    for (uint32_t i = 0; i < b->entries_count; i++) {
        if (i == span->value_first + span->count) span++;
        if (i == span->value_first) span->child_first = c->children_count;
        add_children(b, &b->entries[i]);
    }
}

static void add_rule(struct builder *b)
{
    struct ig_shap_compiler *c = b->c;
    const struct ig_shap_block *block = b->block;
    double *weights = c->table + block->table_first;
    double *tau = weights + block->padded;
    double *sigma = tau + block->padded;
    for (uint32_t k = 0; k < block->padded; k++) {
        weights[k] = 0;
        tau[k] = 0.5;
        sigma[k] = 1;
    }
    ig_tree_shap_quadrature(block->points, tau, weights);
    c->table_count += 3 * block->padded;
}

static void add_padding(struct builder *b)
{
    struct ig_shap_compiler *c = b->c;
    while (b->block->splits_count % IG_SHAP_SPLITS_ALIGN) {
        uint32_t split = b->block->splits_first + b->block->splits_count++;
        c->shap->slot[split] = c->shap->feature[split] = c->above[split] = 0;
        c->shap->table[split] = b->block->table_first + b->block->padded;
        c->shap->threshold[split] = NAN;
        c->left[split] = c->right[split] = c->mean[split] = 0;
    }
}

static void build_block(struct builder *b)
{
    struct ig_shap_compiler *c = b->c;
    struct ig_shap_block *block = b->block;
    add_rule(b);
    for (uint32_t j = 0; j < b->jobs_count; j++) {
        find_means(b, j);
        collect_entries(b, j);
    }
    if (b->entries_count) qsort(b->entries, b->entries_count, sizeof *b->entries, compare_entries);
    add_spans(b);
    add_padding(b);
    block->values_count = b->entries_count;
    for (uint32_t i = 0; i < block->features_count; i++)
        c->local_of[c->features[block->features_first + i]] = IG_MODEL_NONE;
    struct ig_tree_shap *shap = c->shap;
    if (block->splits_count > shap->splits_max) shap->splits_max = block->splits_count;
    if (block->values_count > shap->values_max) shap->values_max = block->values_count;
    if (block->features_count > shap->features_max) shap->features_max = block->features_count;
}

static uint32_t padded_points(uint32_t points)
{
    if (points <= 4) return 4;
    return points <= 8 ? 8 : (points + 15) / 16 * 16;
}

/* Continues all running indices after `previous` (NULL: the first). */
static struct ig_shap_block next_block(const struct ig_shap_compiler *c,
                                       const struct ig_shap_block *previous,
                                       const struct ig_shap_job *job)
{
    struct ig_shap_block block = {.output = job->output,
                                  .points = job->points,
                                  .padded = padded_points(job->points),
                                  .table_first = c->table_count};
    if (!previous) return block;
    block.spans_first = previous->spans_first + previous->spans_count;
    block.splits_first = previous->splits_first + previous->splits_count;
    block.roots_first = previous->roots_first + previous->roots_count;
    block.features_first = previous->features_first + previous->features_count;
    block.repeats_first = previous->repeats_first + previous->repeats_count;
    return block;
}

/* Counts the splits of the job's tree by player, on top of what is there, or forgets them; the
 * greatest count. */
static uint32_t count_splits(const struct ig_shap_compiler *c, const struct ig_shap_job *job,
                             uint32_t *counts, bool forget)
{
    const struct ig_tree *tree = &c->model->trees[job->tree];
    const struct ig_node *nodes = c->model->nodes + tree->first_node;
    const struct ig_shap_node *infos = c->infos + tree->first_node;
    uint32_t greatest = 0;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        if (nodes[i].op == IG_NODE_LEAF) continue;
        uint32_t *count = &counts[infos[i].player];
        *count = forget ? 0 : *count + 1;
        if (*count > greatest) greatest = *count;
    }
    return greatest;
}

/* How many of the jobs from `first` share a block. `counts`, by used player, are 0 before and
 * after. */
static uint32_t jobs_together(const struct ig_shap_compiler *c, uint32_t first, uint32_t *counts)
{
    const struct ig_shap_job *job = &c->jobs[first];
    uint32_t splits = 0;
    uint32_t count = 0;
    uint32_t end = first;
    while (end < c->jobs_count) {
        const struct ig_shap_job *next = &c->jobs[end];
        if (next->output != job->output || next->points != job->points) break;
        splits += next->splits;
        if (count && splits > BLOCK_SPLITS) break;
        end++;
        if (count_splits(c, next, counts, false) > PLAYER_SPLITS && count) break;
        count++;
    }
    while (end-- > first) count_splits(c, &c->jobs[end], counts, true);
    return count;
}

enum ig_code ig_tree_shap_group(struct ig_shap_compiler *c, struct ig_err *err)
{
    size_t splits = 0;
    bool fits = true;
    uint32_t *counts = ig_zalloc_array(c->shap->used_count + (size_t)1, sizeof *counts);
    if (!counts) return ig_fail(err, IG_NO_MEMORY, "no memory to prepare SHAP values");
    if (c->jobs_count) qsort(c->jobs, c->jobs_count, sizeof *c->jobs, compare_jobs);
    for (uint32_t i = 0; fits && i < c->jobs_count;) {
        c->jobs[i].together = jobs_together(c, i, counts);
        uint32_t end = i + c->jobs[i].together;
        size_t padded = padded_points(c->jobs[i].points);
        size_t block_splits = 0;
        size_t nodes = 0;
        c->blocks_count++;
        c->table_size += 3 * padded;
        for (; i < end; i++) {
            c->jobs[i].nodes_first = (uint32_t)nodes;
            nodes += c->model->trees[c->jobs[i].tree].nodes_count;
            block_splits += c->jobs[i].splits;
            c->repeats_count += c->jobs[i].repeats;
            c->table_size += 2 * padded * c->jobs[i].repeats;
        }
        c->plain_count += (uint32_t)block_splits;
        splits +=
            (block_splits + IG_SHAP_SPLITS_ALIGN - 1) / IG_SHAP_SPLITS_ALIGN * IG_SHAP_SPLITS_ALIGN;
        if (nodes > c->block_nodes_max) c->block_nodes_max = (uint32_t)nodes;
        fits = splits <= INT32_MAX / 4 && c->table_size <= INT32_MAX && nodes <= INT32_MAX;
    }
    ig_free(counts);
    if (!fits) return ig_fail(err, IG_TOO_LARGE, "an ensemble too large to be explained exactly");
    if (c->table_size > TABLE_OF_SPLIT_MAX * splits + TABLE_FREE)
        return ig_fail(err, IG_TOO_LARGE,
                       "paths too long to be explained exactly: %zu numbers for %zu splits",
                       c->table_size, splits);
    c->splits_count = (uint32_t)splits;
    return IG_OK;
}

enum ig_code ig_tree_shap_build(struct ig_shap_compiler *c, struct ig_err *err)
{
    struct ig_tree_shap *shap = c->shap;
    struct builder b = {.c = c};
    b.entries = ig_zalloc_array(c->block_nodes_max, sizeof *b.entries);
    b.mean = ig_zalloc_array(c->block_nodes_max, sizeof *b.mean);
    b.value = ig_zalloc_array(c->block_nodes_max, sizeof *b.value);
    b.split = ig_zalloc_array(c->block_nodes_max, sizeof *b.split);
    if (!b.entries || !b.mean || !b.value || !b.split) {
        ig_fail(err, IG_NO_MEMORY, "no memory for SHAP blocks of %u nodes", c->block_nodes_max);
        goto out;
    }
    for (uint32_t i = 0; i < c->jobs_count; i += b.jobs_count) {
        b.block = &shap->blocks[shap->blocks_count];
        *b.block = next_block(c, shap->blocks_count ? b.block - 1 : NULL, &c->jobs[i]);
        shap->blocks_count++;
        b.jobs = &c->jobs[i];
        b.jobs_count = c->jobs[i].together;
        b.entries_count = 0;
        build_block(&b);
    }
out:
    ig_free(b.entries);
    ig_free(b.mean);
    ig_free(b.value);
    ig_free(b.split);
    return err->code;
}
