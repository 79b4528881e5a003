/* SPDX-License-Identifier: Apache-2.0 */
/* XGBoost trees: from the file's parallel arrays to model nodes.
 *
 * A leaf has left_children -1 and its value in split_conditions; with vector leaves the values are
 * rows of leaf_weights, found through right_children, or (2.0 to 3.0) rows of base_weights. A
 * category set lists what goes right; everything else goes left. Pruning leaves unreachable nodes
 * behind and may put a child before its parent, so nodes are found by a walk from the root.
 *
 * Memory: node and leaf counts are bounded by the arrays, hence by the file; category sets, which a
 * short file could blow up through one great code, have a budget of their own. */
#include "formats/xgboost_priv.h"

#include <math.h>

enum { CATEGORY_MAX = (1 << 24) - 1 };

void xgb_builder_deinit(struct xgb_builder *builder)
{
    IG_VEC_FREE(&builder->nodes);
    IG_VEC_FREE(&builder->trees);
    IG_VEC_FREE(&builder->sets);
    IG_VEC_FREE(&builder->words);
    IG_VEC_FREE(&builder->gains);
    IG_VEC_FREE(&builder->leaf_values);
    IG_VEC_FREE(&builder->order);
    IG_VEC_FREE(&builder->new_id);
}

/* The text of a failure, with the tree's number. */
static bool tree_fail(struct xgb_builder *builder, const char *field, size_t index,
                      const char *expected, double value)
{
    ig_fail(builder->err, IG_INVALID, "tree %zu: %s[%zu] is %.17g, expected %s",
            builder->trees.count, field, index, value, expected);
    return false;
}

static bool no_memory(struct xgb_builder *builder)
{
    ig_fail(builder->err, IG_NO_MEMORY, "tree %zu: out of memory", builder->trees.count);
    return false;
}

static bool check_length(struct xgb_builder *builder, const struct xgb_numbers *numbers,
                         const char *field, size_t expected)
{
    if (numbers->count == expected) return true;
    ig_fail(builder->err, IG_INVALID, "tree %zu: %s has %zu elements, expected %zu",
            builder->trees.count, field, numbers->count, expected);
    return false;
}

static bool check_lengths(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays)
{
    size_t count = arrays->left_children.count;
    if (count == 0 || count > INT32_MAX) {
        ig_fail(builder->err, IG_INVALID, "tree %zu: left_children has %zu elements",
                builder->trees.count, count);
        return false;
    }
    if (arrays->nodes_count >= 0 && (uint64_t)arrays->nodes_count != count) {
        ig_fail(builder->err, IG_INVALID, "tree %zu: num_nodes is %lld, left_children has %zu",
                builder->trees.count, (long long)arrays->nodes_count, count);
        return false;
    }
    return check_length(builder, &arrays->right_children, "right_children", count) &&
           check_length(builder, &arrays->split_indices, "split_indices", count) &&
           check_length(builder, &arrays->split_conditions, "split_conditions", count) &&
           check_length(builder, &arrays->default_left, "default_left", count) &&
           (arrays->sum_hessian.count == 0 ||
            check_length(builder, &arrays->sum_hessian, "sum_hessian", count)) &&
           (arrays->loss_changes.count == 0 ||
            check_length(builder, &arrays->loss_changes, "loss_changes", count)) &&
           (arrays->split_type.count == 0 ||
            check_length(builder, &arrays->split_type, "split_type", count));
}

static bool push_order(struct xgb_builder *builder, const char *field, size_t parent, double child)
{
    size_t count = builder->new_id.count;
    if (!(child >= 0 && child < (double)count) || child != floor(child))
        return tree_fail(builder, field, parent, "a node of the tree", child);
    int32_t id = (int32_t)child;
    if (builder->new_id.items[id] != -1)
        return tree_fail(builder, field, parent, "a node without another parent", child);
    builder->new_id.items[id] = 0;
    builder->order.items[builder->order.count++] = id;
    return true;
}

static bool reserve_ids(struct xgb_builder *builder, size_t count)
{
    builder->order.count = builder->new_id.count = 0;
    for (size_t i = 0; i < count; i++)
        if (!IG_VEC_PUSH(&builder->new_id, -1, count) || !IG_VEC_PUSH(&builder->order, 0, count))
            return no_memory(builder);
    builder->order.count = 0;
    return true;
}

/* Breadth first from the root: which nodes are alive, and an order with parents first. */
static bool order_nodes(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays)
{
    size_t count = arrays->left_children.count;
    if (!reserve_ids(builder, count)) return false;
    bool ascending = true;
    builder->order.items[builder->order.count++] = 0;
    builder->new_id.items[0] = 0;
    for (size_t i = 0; i < builder->order.count; i++) {
        size_t id = (size_t)builder->order.items[i];
        double left = arrays->left_children.items[id];
        double right = arrays->right_children.items[id];
        if (left == -1) continue;
        if (!push_order(builder, "left_children", id, left) ||
            !push_order(builder, "right_children", id, right))
            return false;
        ascending = ascending && left > (double)id && right > (double)id;
    }
    if (ascending) {
        builder->order.count = 0;
        for (size_t id = 0; id < count; id++)
            if (builder->new_id.items[id] != -1)
                builder->order.items[builder->order.count++] = (int32_t)id;
    }
    for (size_t i = 0; i < builder->order.count; i++)
        builder->new_id.items[builder->order.items[i]] = (int32_t)i;
    return true;
}

static bool read_code(struct xgb_builder *builder, const struct xgb_numbers *codes, size_t at,
                      uint32_t *out)
{
    double code = codes->items[at];
    if (!(code >= 0 && code < CATEGORY_MAX) || code != floor(code))
        return tree_fail(builder, "categories", at, "a code from 0 to 16777214", code);
    *out = (uint32_t)code;
    return true;
}

static bool add_words(struct xgb_builder *builder, uint32_t bits)
{
    size_t budget = 65536 + builder->bytes_count * 4;
    size_t needed = ((size_t)bits + 31) / 32;
    if (builder->words.count + needed > budget) {
        ig_fail(builder->err, IG_TOO_LARGE,
                "tree %zu: category sets take more than 16 bytes for each byte of the file",
                builder->trees.count);
        return false;
    }
    for (size_t i = 0; i < needed; i++)
        if (!IG_VEC_PUSH(&builder->words, 0, budget)) return no_memory(builder);
    return true;
}

static bool add_set(struct xgb_builder *builder, const struct xgb_numbers *codes, size_t first,
                    size_t count)
{
    uint32_t bits = 0;
    uint32_t code = 0;
    for (size_t i = first; i < first + count; i++) {
        if (!read_code(builder, codes, i, &code)) return false;
        if (code + 1 > bits) bits = code + 1;
    }
    struct xgb_set set = {.first_word = builder->words.count, .bits = bits};
    if (!add_words(builder, bits)) return false;
    if (!IG_VEC_PUSH(&builder->sets, set, INT32_MAX)) return no_memory(builder);
    uint32_t *words = builder->words.items + set.first_word;
    for (size_t i = first; i < first + count; i++) {
        code = (uint32_t)codes->items[i];
        words[code / 32] |= 1U << (code % 32);
    }
    return true;
}

/* The file lists its categorical nodes in any order; each gets a set and keeps its index. */
static bool add_category_node(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays,
                              size_t at, size_t first_node)
{
    double node = arrays->categories_nodes.items[at];
    double first = arrays->categories_segments.items[at];
    double count = arrays->categories_sizes.items[at];
    double all = (double)arrays->categories.count;
    if (!(node >= 0 && node < (double)builder->new_id.count) || node != floor(node))
        return tree_fail(builder, "categories_nodes", at, "a node of the tree", node);
    if (!(first >= 0 && first <= all) || first != floor(first))
        return tree_fail(builder, "categories_segments", at, "an index into categories", first);
    if (!(count >= 1 && count <= all - first) || count != floor(count))
        return tree_fail(builder, "categories_sizes", at, "a count within categories", count);
    int32_t id = builder->new_id.items[(size_t)node];
    if (id == -1) return true;
    if (arrays->split_type.count == 0 || arrays->split_type.items[(size_t)node] != 1)
        return tree_fail(builder, "split_type", (size_t)node, "1 for a node with categories", 0);
    struct ig_node *target = &builder->nodes.items[first_node + (size_t)id];
    if (target->extra != IG_MODEL_NONE)
        return tree_fail(builder, "categories_nodes", at, "each node once", node);
    if (target->op == IG_NODE_LEAF) return true;
    if (!add_set(builder, &arrays->categories, (size_t)first, (size_t)count)) return false;
    target->extra = (uint32_t)(builder->sets.count - 1);
    return true;
}

static bool add_categories(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays,
                           size_t first_node)
{
    size_t count = arrays->categories_nodes.count;
    if (!check_length(builder, &arrays->categories_segments, "categories_segments", count) ||
        !check_length(builder, &arrays->categories_sizes, "categories_sizes", count))
        return false;
    /* Sets share nothing in a real file; without this a short file could ask for long work. */
    double codes_left = (double)arrays->categories.count;
    for (size_t i = 0; i < count; i++) {
        codes_left -= arrays->categories_sizes.items[i];
        if (!add_category_node(builder, arrays, i, first_node)) return false;
        if (codes_left < 0)
            return tree_fail(builder, "categories_sizes", i, "no more than categories holds",
                             arrays->categories_sizes.items[i]);
    }
    for (size_t i = first_node; i < builder->nodes.count; i++) {
        const struct ig_node *node = &builder->nodes.items[i];
        if (node->op == IG_NODE_IN && node->extra == IG_MODEL_NONE)
            return tree_fail(builder, "split_type", (size_t)node->source_id,
                             "a set of categories for the node in categories_nodes", 1);
    }
    return true;
}

static bool fill_split(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays, size_t id,
                       struct ig_node *node)
{
    double feature = arrays->split_indices.items[id];
    double default_left = arrays->default_left.items[id];
    double type = arrays->split_type.count ? arrays->split_type.items[id] : 0;
    if (!(feature >= 0 && feature < INT32_MAX) || feature != floor(feature))
        return tree_fail(builder, "split_indices", id, "a feature's index", feature);
    if (default_left != 0 && default_left != 1)
        return tree_fail(builder, "default_left", id, "0 or 1", default_left);
    if (type != 0 && type != 1) return tree_fail(builder, "split_type", id, "0 or 1", type);
    node->feature = (uint32_t)feature;
    node->left = builder->new_id.items[(size_t)arrays->left_children.items[id]];
    node->right = builder->new_id.items[(size_t)arrays->right_children.items[id]];
    node->op = type == 1 ? IG_NODE_IN : IG_NODE_LT;
    node->missing = IG_NODE_MISSING_NAN;
    node->flags = default_left == 1 ? IG_NODE_DEFAULT_LEFT : 0;
    if (isnan(node->value) && type == 0)
        return tree_fail(builder, "split_conditions", id, "a number", node->value);
    if (type == 1) node->value = 0;
    return true;
}

static bool fill_vector_leaf(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays,
                             size_t id, struct ig_node *node)
{
    size_t size = (size_t)builder->leaf_vector_size;
    bool own = arrays->leaf_weights.count > 0;
    const struct xgb_numbers *weights = own ? &arrays->leaf_weights : &arrays->base_weights;
    double row = own ? arrays->right_children.items[id] : (double)id;
    size_t rows_count = weights->count / size;
    if (!(row >= 0 && row < (double)rows_count) || row != floor(row))
        return tree_fail(builder, own ? "right_children" : "base_weights", id,
                         "a row of leaf values", row);
    node->extra = (uint32_t)(builder->leaf_values.count / size);
    node->value = 0;
    for (size_t i = 0; i < size; i++)
        if (!IG_VEC_PUSH(&builder->leaf_values, weights->items[(size_t)row * size + i],
                         builder->bytes_count))
            return no_memory(builder);
    return true;
}

static bool add_node(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays, size_t id)
{
    struct ig_node node = {
        .value = arrays->split_conditions.items[id],
        .cover = arrays->sum_hessian.count ? arrays->sum_hessian.items[id] : 0,
        .left = -1,
        .right = -1,
        .extra = IG_MODEL_NONE,
        .op = IG_NODE_LEAF,
        .source_id = (int32_t)id,
    };
    bool leaf = arrays->left_children.items[id] == -1;
    if (leaf && builder->leaf_vector_size > 1) {
        if (!fill_vector_leaf(builder, arrays, id, &node)) return false;
    } else if (!leaf && !fill_split(builder, arrays, id, &node)) {
        return false;
    }
    double gain = leaf || !arrays->loss_changes.count ? 0 : arrays->loss_changes.items[id];
    builder->gains_lack = builder->gains_lack || !isfinite(gain);
    if (!IG_VEC_PUSH(&builder->nodes, node, INT32_MAX) ||
        !IG_VEC_PUSH(&builder->gains, gain, INT32_MAX))
        return no_memory(builder);
    return true;
}

/* Without sum_hessian (vector leaves before 3.1) every leaf counts as one row. */
static void count_leaves_as_cover(struct ig_node *nodes, size_t count)
{
    for (size_t i = count; i-- > 0;) {
        struct ig_node *node = &nodes[i];
        node->cover =
            node->op == IG_NODE_LEAF ? 1 : nodes[node->left].cover + nodes[node->right].cover;
    }
}

static bool check_leaf_size(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays)
{
    int64_t size = arrays->size_leaf_vector > 1 ? arrays->size_leaf_vector : 1;
    if (builder->leaf_vector_size == 0) builder->leaf_vector_size = size;
    if (size == builder->leaf_vector_size) return true;
    ig_fail(builder->err, IG_UNSUPPORTED, "tree %zu: leaves of %lld values after leaves of %lld",
            builder->trees.count, (long long)size, (long long)builder->leaf_vector_size);
    return false;
}

bool xgb_builder_add_tree(struct xgb_builder *builder, const struct xgb_tree_arrays *arrays)
{
    size_t first = builder->nodes.count;
    if (!check_lengths(builder, arrays) || !check_leaf_size(builder, arrays) ||
        !order_nodes(builder, arrays))
        return false;
    for (size_t i = 0; i < builder->order.count; i++)
        if (!add_node(builder, arrays, (size_t)builder->order.items[i])) return false;
    if (!add_categories(builder, arrays, first)) return false;
    builder->gains_lack = builder->gains_lack || !arrays->loss_changes.count;
    builder->covers_lack = builder->covers_lack || !arrays->sum_hessian.count;
    if (arrays->sum_hessian.count == 0)
        count_leaves_as_cover(builder->nodes.items + first, builder->order.count);
    struct ig_tree tree = {
        .first_node = (uint32_t)first, .nodes_count = (uint32_t)builder->order.count, .weight = 1};
    if (!IG_VEC_PUSH(&builder->trees, tree, INT32_MAX)) return no_memory(builder);
    return true;
}

bool xgb_builder_finish(struct xgb_builder *builder, struct ig_model *model)
{
    struct ig_arena *arena = &model->arena;
    uint32_t *words =
        ig_arena_copy(arena, builder->words.items, builder->words.count, sizeof *words);
    model->nodes =
        ig_arena_copy(arena, builder->nodes.items, builder->nodes.count, sizeof *model->nodes);
    model->nodes_count = (uint32_t)builder->nodes.count;
    if (!builder->gains_lack)
        model->gains =
            ig_arena_copy(arena, builder->gains.items, builder->gains.count, sizeof(double));
    model->covers_counted = builder->covers_lack;
    model->trees =
        ig_arena_copy(arena, builder->trees.items, builder->trees.count, sizeof *model->trees);
    model->trees_count = (uint32_t)builder->trees.count;
    model->sets = ig_arena_array(arena, builder->sets.count + 1, sizeof *model->sets);
    model->sets_count = (uint32_t)builder->sets.count;
    model->leaf_vectors = builder->leaf_vector_size > 1;
    if (model->leaf_vectors) {
        model->leaf_values = ig_arena_copy(arena, builder->leaf_values.items,
                                           builder->leaf_values.count, sizeof(double));
        model->leaf_values_count =
            (uint32_t)(builder->leaf_values.count / (size_t)builder->leaf_vector_size);
    }
    if (arena->overflowed) return no_memory(builder);
    for (size_t i = 0; i < builder->sets.count; i++) {
        const struct xgb_set *set = &builder->sets.items[i];
        model->sets[i] = (struct ig_category_set){words + set->first_word, set->bits};
    }
    return true;
}
