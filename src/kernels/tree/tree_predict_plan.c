/* SPDX-License-Identifier: Apache-2.0 */
/* Lowers a model's trees into one of the layouts of tree_predict_plan.h. All memory is the arena's.
 * Relies on the model's check: children after their parents, indexes in range. */
#include "kernels/tree/tree_predict_plan.h"

#include "base/mem.h"

#include <string.h>

enum { LINK_LEVELS = 4, LINK_EXITS = 1 << LINK_LEVELS, LARGEST_BLOCK = 64 };

struct lower {
    struct ig_tree_plan *plan;
    const struct ig_model *model;
    const struct ig_tree_test *tests; /* by model node */
    struct ig_arena *arena;
    uint32_t *order; /* nodes of the tree in hand, in the layout's order; or their depths */
};

static const struct ig_tree_test DEAD_TEST = {0, IG_TREE_RANK_NEVER};

static uint32_t max_depth(const struct ig_model *model)
{
    uint32_t depth = 0;
    for (uint32_t t = 0; t < model->trees_count; t++)
        if (model->trees[t].depth > depth) depth = model->trees[t].depth;
    return depth;
}

static bool is_leaf(const struct lower *lower, uint32_t node)
{
    return lower->model->nodes[node].op == IG_NODE_LEAF;
}

/* Ranks in a byte, at most 64 columns. */
static bool fits_bytes(const struct ig_tree_rank *rank)
{
    for (uint32_t i = 0; i < rank->features_count; i++)
        if (rank->features[i].count >= IG_TREE_BYTE_MAX) return false;
    return rank->columns_count <= LARGEST_BLOCK;
}

bool ig_tree_plan_fits(const struct ig_tree_plan *plan, const struct ig_model *model,
                       enum ig_tree_layout layout)
{
    if (layout == IG_TREE_NODES) return true;
    if (plan->sets.tables_count || plan->rank.columns_count > IG_TREE_BLOCK_COLUMNS) return false;
    uint32_t depth = max_depth(model);
    if (layout == IG_TREE_BLOCK) return depth <= 6;
    if (layout == IG_TREE_BYTE_BLOCK)
        return depth > LINK_LEVELS && depth <= 6 && fits_bytes(&plan->rank);
    if (layout == IG_TREE_LINKED_BLOCKS) return true;
    uint64_t leaves = ((uint64_t)model->nodes_count + model->trees_count) / 2;
    return depth <= 2 * LINK_LEVELS && leaves >= (uint64_t)model->trees_count * 48;
}

static bool alloc_values(struct lower *lower, size_t slots)
{
    struct ig_tree_plan *plan = lower->plan;
    const struct ig_model *model = lower->model;
    if (slots >= IG_TREE_EXIT_LEAF) return false;
    plan->slots_count = (uint32_t)slots;
    if (model->leaf_vectors || model->linear_leaves)
        plan->leaves = ig_arena_array(lower->arena, slots, sizeof *plan->leaves);
    else if (model->sum_rule == IG_SUM_F64)
        plan->values_f64 = ig_arena_array(lower->arena, slots, sizeof *plan->values_f64);
    else
        plan->values_f32 = ig_arena_array(lower->arena, slots, sizeof *plan->values_f32);
    return !lower->arena->overflowed;
}

static void set_leaf(const struct lower *lower, uint32_t tree, size_t slot, uint32_t node)
{
    const struct ig_tree_plan *plan = lower->plan;
    double value = lower->model->nodes[node].value;
    double weight = lower->model->trees[tree].weight;
    if (plan->leaves)
        plan->leaves[slot] = node;
    else if (plan->values_f64)
        plan->values_f64[slot] = value * weight;
    else
        plan->values_f32[slot] = (float)value * (float)weight;
}

/* ---- nodes ---- */

/* Breadth first; a pair of children is placed when its parent is. */
static void place_steps(const struct lower *lower, uint32_t tree, uint32_t first)
{
    const struct ig_tree *source = &lower->model->trees[tree];
    const struct ig_node *nodes = lower->model->nodes + source->first_node;
    uint32_t placed = 1;
    lower->order[0] = 0;
    for (uint32_t i = 0; i < placed; i++) {
        uint32_t at = lower->order[i];
        struct ig_tree_step *step = &lower->plan->steps[first + i];
        if (nodes[at].op == IG_NODE_LEAF) {
            *step = (struct ig_tree_step){DEAD_TEST, first + i};
            set_leaf(lower, tree, first + i, source->first_node + at);
            continue;
        }
        *step = (struct ig_tree_step){lower->tests[source->first_node + at], first + placed};
        lower->order[placed++] = (uint32_t)nodes[at].left;
        lower->order[placed++] = (uint32_t)nodes[at].right;
    }
}

static bool build_nodes(struct lower *lower)
{
    struct ig_tree_plan *plan = lower->plan;
    const struct ig_model *model = lower->model;
    uint32_t padded = plan->groups_count * IG_TREE_GROUP;
    plan->steps = ig_arena_alloc_aligned(
        lower->arena, sizeof *plan->steps * (model->nodes_count + (size_t)1), 64);
    plan->roots = ig_arena_array(lower->arena, padded, sizeof *plan->roots);
    plan->depths = ig_arena_array(lower->arena, plan->groups_count, sizeof *plan->depths);
    if (!alloc_values(lower, model->nodes_count + (size_t)1)) return false;
    plan->steps[model->nodes_count] = (struct ig_tree_step){DEAD_TEST, model->nodes_count};
    for (uint32_t t = 0; t < padded; t++) {
        plan->roots[t] = model->nodes_count;
        if (t >= model->trees_count) continue;
        plan->roots[t] = model->trees[t].first_node;
        place_steps(lower, t, plan->roots[t]);
        uint32_t *depth = &plan->depths[t / IG_TREE_GROUP];
        if (model->trees[t].depth > *depth) *depth = model->trees[t].depth;
    }
    return true;
}

/* ---- blocks ---- */

/* Fills a block from `node` down. Where entry i+1 of `columns` and `thresholds` is `stride` apart
 * is the layout's matter: both are plain arrays of 2^levels. exits[2^levels] are model nodes. */
static void fill_block(const struct lower *lower, uint32_t tree, uint32_t node, uint16_t *columns,
                       uint16_t *thresholds, uint32_t *exits)
{
    const struct ig_model *model = lower->model;
    uint32_t first_node = model->trees[tree].first_node;
    uint32_t width = 1U << lower->plan->levels;
    uint32_t at[2 * LARGEST_BLOCK];
    at[1] = node;
    columns[0] = DEAD_TEST.column;
    thresholds[0] = DEAD_TEST.threshold;
    for (uint32_t i = 1; i < width; i++) {
        bool leaf = is_leaf(lower, at[i]);
        struct ig_tree_test test = leaf ? DEAD_TEST : lower->tests[at[i]];
        columns[i] = test.column;
        thresholds[i] = test.threshold;
        at[2 * i] = leaf ? at[i] : first_node + (uint32_t)model->nodes[at[i]].left;
        at[2 * i + 1] = leaf ? at[i] : first_node + (uint32_t)model->nodes[at[i]].right;
    }
    memcpy(exits, at + width, width * sizeof *exits);
}

static bool alloc_blocks(struct lower *lower, size_t blocks)
{
    size_t bytes;
    size_t block_bytes = sizeof(uint16_t) * 2 << lower->plan->levels;
    if (!ig_mul(&bytes, blocks, block_bytes)) return false;
    lower->plan->blocks = ig_arena_alloc_aligned(lower->arena, bytes, 64);
    if (!lower->plan->blocks) return false;
    memset(lower->plan->blocks, 0, bytes);
    return true;
}

static bool build_block(struct lower *lower)
{
    struct ig_tree_plan *plan = lower->plan;
    uint32_t depth = max_depth(lower->model);
    plan->levels = depth < LINK_LEVELS ? LINK_LEVELS : depth;
    size_t width = (size_t)1 << plan->levels;
    size_t padded = (size_t)plan->groups_count * IG_TREE_GROUP;
    if (!alloc_blocks(lower, padded) || !alloc_values(lower, padded * width)) return false;
    for (uint32_t t = 0; t < plan->trees_count; t++) {
        uint16_t *block = plan->blocks + t * 2 * width;
        uint32_t exits[LARGEST_BLOCK];
        fill_block(lower, t, lower->model->trees[t].first_node, block, block + width, exits);
        for (uint32_t e = 0; e < width; e++) set_leaf(lower, t, t * width + e, exits[e]);
    }
    return true;
}

static uint8_t to_byte(uint16_t value)
{
    return value < IG_TREE_BYTE_MAX ? (uint8_t)value : IG_TREE_BYTE_MAX;
}

static bool build_byte_block(struct lower *lower)
{
    struct ig_tree_plan *plan = lower->plan;
    plan->levels = 6;
    size_t padded = (size_t)plan->groups_count * IG_TREE_GROUP;
    size_t bytes = padded * 2 * LARGEST_BLOCK;
    plan->byte_blocks = ig_arena_alloc_aligned(lower->arena, bytes, 64);
    if (!plan->byte_blocks || !alloc_values(lower, padded * LARGEST_BLOCK)) return false;
    memset(plan->byte_blocks, 0, bytes);
    for (uint32_t t = 0; t < plan->trees_count; t++) {
        uint16_t columns[LARGEST_BLOCK];
        uint16_t thresholds[LARGEST_BLOCK];
        uint32_t exits[LARGEST_BLOCK];
        uint8_t *block = plan->byte_blocks + (size_t)t * 2 * LARGEST_BLOCK;
        fill_block(lower, t, lower->model->trees[t].first_node, columns, thresholds, exits);
        for (uint32_t e = 0; e < LARGEST_BLOCK; e++) {
            block[e] = to_byte(columns[e]);
            block[LARGEST_BLOCK + e] = to_byte(thresholds[e]);
            set_leaf(lower, t, (size_t)t * LARGEST_BLOCK + e, exits[e]);
        }
    }
    return true;
}

/* Upper blocks lie in pairs of trees (columns of both, thresholds of both), lower blocks follow. */
static bool build_two_blocks(struct lower *lower)
{
    struct ig_tree_plan *plan = lower->plan;
    plan->levels = LINK_LEVELS;
    size_t padded = (size_t)plan->groups_count * IG_TREE_GROUP;
    if (!alloc_blocks(lower, padded * (1 + LINK_EXITS)) ||
        !alloc_values(lower, padded * LINK_EXITS * LINK_EXITS))
        return false;
    uint16_t *lowers = plan->blocks + padded * 2 * LINK_EXITS;
    for (uint32_t t = 0; t < plan->trees_count; t++) {
        uint16_t *top = plan->blocks + (size_t)(t / 2) * 4 * LINK_EXITS + t % 2 * LINK_EXITS;
        uint32_t middle[LARGEST_BLOCK];
        fill_block(lower, t, lower->model->trees[t].first_node, top, top + 2 * LINK_EXITS, middle);
        for (uint32_t m = 0; m < LINK_EXITS; m++) {
            size_t number = (size_t)t * LINK_EXITS + m;
            uint16_t *block = lowers + number * 2 * LINK_EXITS;
            uint32_t exits[LARGEST_BLOCK];
            fill_block(lower, t, middle[m], block, block + LINK_EXITS, exits);
            for (uint32_t e = 0; e < LINK_EXITS; e++)
                set_leaf(lower, t, number * LINK_EXITS + e, exits[e]);
        }
    }
    return true;
}

/* How many blocks the model needs: one a tree, one an inner node at depth 4, 8, ... */
static size_t count_links(const struct lower *lower)
{
    const struct ig_model *model = lower->model;
    size_t blocks = 1; /* for the trees that fill up the last group */
    for (uint32_t t = 0; t < model->trees_count; t++) {
        const struct ig_tree *tree = &model->trees[t];
        lower->order[0] = 0;
        blocks++;
        for (uint32_t i = 0; i < tree->nodes_count; i++) {
            const struct ig_node *node = &model->nodes[tree->first_node + i];
            if (node->op == IG_NODE_LEAF) continue;
            lower->order[node->left] = lower->order[node->right] = lower->order[i] + 1;
            blocks += i > 0 && lower->order[i] % LINK_LEVELS == 0;
        }
    }
    return blocks;
}

struct link {
    size_t next_block;
    uint32_t next_slot;
};

/* The tree's blocks are numbered in the order in which their roots are met; `order` queues them. */
static void link_tree(const struct lower *lower, uint32_t t, struct link *link)
{
    const struct ig_tree_plan *plan = lower->plan;
    size_t first = link->next_block++;
    plan->roots[t] = (uint32_t)first;
    lower->order[0] = lower->model->trees[t].first_node;
    for (size_t b = first; b < link->next_block; b++) {
        uint16_t *block = plan->blocks + b * 2 * LINK_EXITS;
        uint32_t nodes[LARGEST_BLOCK];
        fill_block(lower, t, lower->order[b - first], block, block + LINK_EXITS, nodes);
        uint32_t *exits = plan->exits + b * LINK_EXITS;
        for (uint32_t e = 0; e < LINK_EXITS; e++) {
            if (e > 0 && nodes[e] == nodes[e - 1]) {
                exits[e] = exits[e - 1];
            } else if (is_leaf(lower, nodes[e])) {
                set_leaf(lower, t, link->next_slot, nodes[e]);
                exits[e] = link->next_slot++ | IG_TREE_EXIT_LEAF;
            } else {
                lower->order[link->next_block - first] = nodes[e];
                exits[e] = (uint32_t)link->next_block++;
            }
        }
    }
}

static bool build_links(struct lower *lower)
{
    struct ig_tree_plan *plan = lower->plan;
    const struct ig_model *model = lower->model;
    plan->levels = LINK_LEVELS;
    size_t blocks = count_links(lower);
    size_t padded = (size_t)plan->groups_count * IG_TREE_GROUP;
    plan->roots = ig_arena_array(lower->arena, padded, sizeof *plan->roots);
    plan->depths = ig_arena_array(lower->arena, plan->groups_count, sizeof *plan->depths);
    plan->exits = ig_arena_array(lower->arena, blocks * LINK_EXITS, sizeof *plan->exits);
    if (blocks >= IG_TREE_EXIT_LEAF / LINK_EXITS || !alloc_blocks(lower, blocks) ||
        !alloc_values(lower, model->nodes_count + (size_t)1))
        return false;
    for (uint32_t e = 0; e < LINK_EXITS; e++) plan->exits[e] = IG_TREE_EXIT_LEAF;
    struct link link = {.next_block = 1, .next_slot = 1};
    for (uint32_t t = 0; t < plan->trees_count; t++) {
        link_tree(lower, t, &link);
        uint32_t rounds = (model->trees[t].depth + LINK_LEVELS - 1) / LINK_LEVELS;
        uint32_t *depth = &plan->depths[t / IG_TREE_GROUP];
        if (rounds > *depth) *depth = rounds;
    }
    return true;
}

bool ig_tree_plan_build(struct ig_tree_plan *plan, const struct ig_model *model,
                        const struct ig_tree_test *tests, enum ig_tree_layout layout,
                        struct ig_arena *arena)
{
    static bool (*const BUILD[])(struct lower *) = {
        [IG_TREE_NODES] = build_nodes,         [IG_TREE_BYTE_BLOCK] = build_byte_block,
        [IG_TREE_BLOCK] = build_block,         [IG_TREE_TWO_BLOCKS] = build_two_blocks,
        [IG_TREE_LINKED_BLOCKS] = build_links,
    };
    struct ig_arena scratch;
    ig_arena_init(&scratch, 64 * 1024, SIZE_MAX);
    struct lower lower = {.plan = plan, .model = model, .tests = tests, .arena = arena};
    lower.order = ig_arena_array(&scratch, (size_t)model->nodes_count + 1, sizeof(uint32_t));
    plan->layout = layout;
    plan->trees_count = model->trees_count;
    plan->groups_count = (model->trees_count + IG_TREE_GROUP - 1) / IG_TREE_GROUP;
    uint32_t slots = plan->sets.first_column + plan->sets.columns_count;
    if (slots < IG_TREE_BLOCK_COLUMNS) slots = IG_TREE_BLOCK_COLUMNS;
    plan->stride = (slots + 31) / 32 * 32;
    size_t before = arena->held_bytes;
    bool good = lower.order && BUILD[layout](&lower) && !arena->overflowed;
    ig_arena_deinit(&scratch);
    if (good && plan->trees_count)
        plan->tree_bytes = (arena->held_bytes - before) / plan->trees_count + 1;
    return good;
}
