/* SPDX-License-Identifier: Apache-2.0 */
/* Chooses the widths of a node's fields and writes the nodes. Parents come before their children in
 * the model, so one pass backward sizes every subtree and one forward places it. Stateless. */
#include "kernels/quantize/tree_compact_priv.h"

#include <string.h>

enum { NODE_BYTES_MIN = 2, NODE_BYTES_MAX = 8, FLAGS = 2, DEEP = 3 };

/* Widths for which runtimes have code of their own: bytes; threshold, skip, column. */
static const uint8_t USUAL[][4] = {{2, 5, 5, 4}, {3, 8, 8, 6}, {3, 9, 9, 4}, {4, 12, 12, 6}};

static void size_subtrees(struct ig_compact_build *build)
{
    const struct ig_model *model = build->model;
    for (uint32_t t = model->trees_count; t-- > 0;) {
        const struct ig_tree *tree = &model->trees[t];
        struct ig_compact_node *nodes = build->nodes + tree->first_node;
        for (uint32_t i = tree->nodes_count; i-- > 0;) {
            const struct ig_node *node = &model->nodes[tree->first_node + i];
            if (node->op == IG_NODE_LEAF) {
                nodes[i].leaves = 1;
                continue;
            }
            uint32_t left = nodes[node->left].shallow, right = nodes[node->right].shallow;
            nodes[i].shallow = 1 + (left < right ? left : right);
            nodes[i].splits = 1 + nodes[node->left].splits + nodes[node->right].splits;
            nodes[i].leaves = nodes[node->left].leaves + nodes[node->right].leaves;
        }
    }
}

static uint64_t subtree_bytes(const struct ig_tree_compact *compact,
                              const struct ig_compact_node *node, uint32_t node_bytes)
{
    return (uint64_t)node->splits * node_bytes + (uint64_t)node->leaves * compact->leaf_bytes;
}

static uint64_t greatest_skip(const struct ig_compact_build *build, uint32_t node_bytes)
{
    const struct ig_model *model = build->model;
    uint64_t most = 0;
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        for (uint32_t i = 0; i < tree->nodes_count; i++) {
            const struct ig_node *node = &model->nodes[tree->first_node + i];
            if (node->op == IG_NODE_LEAF) continue;
            uint64_t skip = subtree_bytes(
                build->compact, &build->nodes[tree->first_node + (uint32_t)node->left], node_bytes);
            if (skip > most) most = skip;
        }
    }
    return most;
}

/* A usual layout of so many bytes that has room; else just the bits that are needed. */
static void set_widths(struct ig_tree_compact *compact, uint32_t bytes, const uint32_t *bits)
{
    compact->node_bytes = (uint8_t)bytes;
    compact->threshold_bits = (uint8_t)bits[0];
    compact->skip_bits = (uint8_t)bits[1];
    compact->column_bits = (uint8_t)bits[2];
    for (size_t i = sizeof USUAL / sizeof *USUAL; i-- > 0;) {
        const uint8_t *usual = USUAL[i];
        if (usual[0] != bytes || usual[1] < bits[0] || usual[2] < bits[1] || usual[3] < bits[2])
            continue;
        compact->threshold_bits = usual[1];
        compact->skip_bits = usual[2];
        compact->column_bits = usual[3];
    }
    if (bytes <= 4 && compact->first_category == compact->columns_count) compact->rank_bytes = 4;
}

static bool choose_widths(struct ig_compact_build *build)
{
    struct ig_tree_compact *compact = build->compact;
    uint32_t threshold = compact->missing_rank;
    if (compact->sets_count > threshold + 1) threshold = compact->sets_count - 1;
    uint32_t column = compact->columns_count ? compact->columns_count - 1 : 0;
    for (uint32_t bytes = NODE_BYTES_MIN; bytes <= NODE_BYTES_MAX; bytes++) {
        uint64_t skip = greatest_skip(build, bytes);
        if (skip > UINT32_MAX) break;
        uint32_t bits[3] = {ig_compact_bits(threshold), ig_compact_bits((uint32_t)skip),
                            ig_compact_bits(column)};
        if (bits[0] + bits[1] + bits[2] + FLAGS > 8 * bytes) continue;
        set_widths(compact, bytes, bits);
        return true;
    }
    ig_fail(build->err, IG_TOO_LARGE, "a split needs over %d bytes", NODE_BYTES_MAX);
    return false;
}

static void write_split(struct ig_compact_build *build, const struct ig_tree *tree, uint32_t index)
{
    const struct ig_tree_compact *compact = build->compact;
    const struct ig_node *node = &build->model->nodes[tree->first_node + index];
    struct ig_compact_node *nodes = build->nodes + tree->first_node;
    uint64_t skip = subtree_bytes(compact, &nodes[node->left], compact->node_bytes);
    nodes[node->left].at = nodes[index].at + compact->node_bytes;
    nodes[node->right].at = nodes[node->left].at + (uint32_t)skip;
    uint64_t word = nodes[index].threshold | skip << compact->threshold_bits |
                    (uint64_t)nodes[index].column << (compact->threshold_bits + compact->skip_bits);
    uint32_t top = 8U * compact->node_bytes - 1;
    word |= (uint64_t)(nodes[node->left].splits == 0) << top;
    word |= (uint64_t)(nodes[node->right].splits == 0) << (top - 1);
    ig_compact_put(compact->stream + nodes[index].at, word, compact->node_bytes);
}

static void write_tree(struct ig_compact_build *build, const struct ig_tree *tree, uint32_t start)
{
    const struct ig_tree_compact *compact = build->compact;
    struct ig_compact_node *nodes = build->nodes + tree->first_node;
    nodes[0].at = start;
    for (uint32_t i = 0; i < tree->nodes_count; i++) {
        if (build->model->nodes[tree->first_node + i].op != IG_NODE_LEAF)
            write_split(build, tree, i);
        else
            memcpy(compact->stream + nodes[i].at,
                   build->rows + (size_t)nodes[i].leaf * compact->leaf_bytes, compact->leaf_bytes);
    }
}

/* Trees whose leaves are all deep come first, where sums go by any order: runtimes take their first
 * splits without a look for leaves. */
static uint32_t *order_trees(struct ig_compact_build *build)
{
    struct ig_tree_compact *compact = build->compact;
    uint32_t trees = compact->trees_count, count = 0;
    uint32_t *order = ig_arena_array(&build->scratch, (size_t)trees + 1, sizeof *order);
    bool any = ig_compact_is_integer(compact->leaf);
    for (int pass = 0; order && pass < (any ? 2 : 1); pass++)
        for (uint32_t t = 0; t < trees; t++) {
            bool deep = build->nodes[build->model->trees[t].first_node].shallow >= DEEP;
            if (!any || deep == (pass == 0)) order[count++] = t;
        }
    return order;
}

/* What is kept of each tree, in their order. */
static bool place_facts(struct ig_compact_build *build, const uint32_t *order)
{
    struct ig_tree_compact *compact = build->compact;
    size_t trees = compact->trees_count;
    uint32_t *outputs = compact->tree_outputs;
    uint8_t *shifts = compact->tree_shifts;
    uint32_t *old_outputs = ig_arena_array(&build->scratch, trees + 1, sizeof *outputs);
    uint8_t *old_shifts = ig_arena_array(&build->scratch, trees + 1, 1);
    if (!old_outputs || !old_shifts) return false;
    if (outputs) memcpy(old_outputs, outputs, trees * sizeof *outputs);
    if (shifts) memcpy(old_shifts, shifts, trees);
    for (size_t t = 0; t < trees; t++) {
        if (outputs) outputs[t] = old_outputs[order[t]];
        if (shifts) shifts[t] = old_shifts[order[t]];
    }
    return true;
}

bool ig_compact_build_stream(struct ig_compact_build *build)
{
    struct ig_tree_compact *compact = build->compact;
    size_subtrees(build);
    if (!choose_widths(build) || !ig_compact_build_thresholds(build)) return false;
    uint64_t total = (uint64_t)compact->splits_count * compact->node_bytes +
                     (uint64_t)compact->leaves_count * compact->leaf_bytes;
    if (total > INT32_MAX) {
        ig_fail(build->err, IG_TOO_LARGE, "the trees take %llu bytes, at most %d",
                (unsigned long long)total, INT32_MAX);
        return false;
    }
    compact->stream_bytes = (uint32_t)total;
    compact->stream = ig_arena_array(&compact->arena, (size_t)total + 1, 1);
    compact->tree_bytes =
        ig_arena_array(&compact->arena, (size_t)compact->trees_count + 1, sizeof(uint32_t));
    const uint32_t *order = order_trees(build);
    if (compact->arena.overflowed || !order || !place_facts(build, order))
        return ig_compact_no_memory(build, "stream");
    uint32_t at = 0;
    for (uint32_t t = 0; t < compact->trees_count; t++) {
        const struct ig_tree *tree = &build->model->trees[order[t]];
        const struct ig_compact_node *root = &build->nodes[tree->first_node];
        write_tree(build, tree, at);
        compact->tree_bytes[t] = (uint32_t)subtree_bytes(compact, root, compact->node_bytes);
        at += compact->tree_bytes[t];
    }
    return true;
}
