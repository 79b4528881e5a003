/* SPDX-License-Identifier: Apache-2.0 */
/* LightGBM trees: from the lines of a tree to model nodes.
 *
 * A tree of L leaves has L-1 splits; a child >= 0 is a split, a child < 0 is leaf ~child. Here the
 * splits keep their indices and leaf k becomes node L-1+k; LightGBM numbers a child split after its
 * parent, and ig_model_check refuses a file that does not. decision_type: bit 0 categorical, bit 1
 * default left, bits 2-3 missing type (none, zero, NaN). A categorical split's threshold is the
 * index of its bitset; members go left, everything else, NaN too, goes right. Leaf values are
 * final: DART's and the shrinkage's weights are in them.
 *
 * Covers: leaf_count and internal_count where the file has them, else the weights, else each leaf
 * counts as one row. Thresholds, leaf values and linear terms are read exactly, as LightGBM does.
 */
#include "base/num.h"
#include "formats/lightgbm_priv.h"

#include <math.h>

void lgb_builder_deinit(struct lgb_builder *builder)
{
    IG_VEC_FREE(&builder->nodes);
    IG_VEC_FREE(&builder->trees);
    IG_VEC_FREE(&builder->sets);
    IG_VEC_FREE(&builder->words);
    IG_VEC_FREE(&builder->linear_features);
    IG_VEC_FREE(&builder->linear);
    IG_VEC_FREE(&builder->coefficients);
    IG_VEC_FREE(&builder->split_feature);
    IG_VEC_FREE(&builder->threshold);
    IG_VEC_FREE(&builder->decision_type);
    IG_VEC_FREE(&builder->left_child);
    IG_VEC_FREE(&builder->right_child);
    IG_VEC_FREE(&builder->leaf_value);
    IG_VEC_FREE(&builder->gains);
    IG_VEC_FREE(&builder->split_gain);
    IG_VEC_FREE(&builder->leaf_cover);
    IG_VEC_FREE(&builder->internal_cover);
    IG_VEC_FREE(&builder->cat_boundaries);
    IG_VEC_FREE(&builder->cat_threshold);
    IG_VEC_FREE(&builder->leaf_const);
    IG_VEC_FREE(&builder->num_features);
    IG_VEC_FREE(&builder->leaf_features);
    IG_VEC_FREE(&builder->leaf_coeff);
}

/* Short integers, the bulk of a file, without the general parser. */
static bool parse_small(struct ig_str text, double *out)
{
    bool negative = text.len && *text.ptr == '-';
    int32_t value = 0;
    if (text.len == negative || text.len > 9) return false;
    for (size_t i = negative; i < text.len; i++) {
        if (text.ptr[i] < '0' || text.ptr[i] > '9') return false;
        value = value * 10 + (text.ptr[i] - '0');
    }
    *out = negative ? -(double)value : value;
    return true;
}

bool lgb_parse_numbers(struct lgb_numbers *out, struct ig_str line, const char *what,
                       struct ig_err *err)
{
    out->count = 0;
    while (line.ptr) {
        struct ig_str text = ig_str_cut(&line, ' ');
        double value;
        if (text.len == 0) continue;
        if (!parse_small(text, &value) && !ig_num_parse_f64(text, &value)) {
            ig_fail(err, IG_PARSE, "%s: '%.*s' is not a number", what,
                    (int)(text.len < 64 ? text.len : 64), text.ptr);
            return false;
        }
        if (!IG_VEC_PUSH(out, value, SIZE_MAX / 16)) {
            ig_fail(err, IG_NO_MEMORY, "%s: out of memory", what);
            return false;
        }
    }
    return true;
}

static bool no_memory(struct lgb_builder *builder)
{
    ig_fail(builder->err, IG_NO_MEMORY, "out of memory");
    return false;
}

static bool element_fail(struct lgb_builder *builder, const char *field, size_t index,
                         const char *expected, double value)
{
    ig_fail(builder->err, IG_INVALID, "%s[%zu] is %.17g, expected %s", field, index, value,
            expected);
    return false;
}

/* A line of exactly `count` numbers. */
static bool read_line(struct lgb_builder *builder, struct lgb_numbers *out, struct ig_str line,
                      const char *what, size_t count)
{
    if (!line.ptr) {
        ig_fail(builder->err, IG_INVALID, "%s is absent", what);
        return false;
    }
    if (!lgb_parse_numbers(out, line, what, builder->err)) return false;
    if (out->count == count) return true;
    ig_fail(builder->err, IG_INVALID, "%s has %zu elements, expected %zu", what, out->count, count);
    return false;
}

static bool is_index(double value, double limit)
{
    return value >= 0 && value < limit && value == floor(value);
}

static bool read_integer(struct lgb_builder *builder, struct ig_str line, const char *what,
                         int64_t otherwise, int64_t *out)
{
    int64_t value = otherwise;
    if (line.ptr && (!ig_str_to_i64(ig_str_trim(line), &value) || value < 0 || value > INT32_MAX)) {
        ig_fail(builder->err, IG_INVALID, "%s '%.*s' is not a number from 0 to %d", what,
                (int)(line.len < 64 ? line.len : 64), line.ptr, INT32_MAX);
        return false;
    }
    if (value >= 0) *out = value;
    if (value < 0) ig_fail(builder->err, IG_INVALID, "%s is absent", what);
    return value >= 0;
}

static bool any_positive(const struct lgb_numbers *numbers)
{
    for (size_t i = 0; i < numbers->count; i++)
        if (numbers->items[i] > 0) return true;
    return false;
}

/* Fills leaf_cover and, where the file gives it, internal_cover (else its count stays 0). */
static bool read_covers(struct lgb_builder *builder, const struct lgb_tree_lines *lines,
                        size_t leaves)
{
    const struct ig_str leaf[] = {lines->leaf_count, lines->leaf_weight};
    const struct ig_str internal[] = {lines->internal_count, lines->internal_weight};
    builder->internal_cover.count = builder->leaf_cover.count = 0;
    for (size_t i = 0; i < 2; i++) {
        if (!leaf[i].ptr || ig_str_trim(leaf[i]).len == 0) continue;
        if (!read_line(builder, &builder->leaf_cover, leaf[i], "leaf_count or leaf_weight", leaves))
            return false;
        if (!any_positive(&builder->leaf_cover)) continue;
        return leaves == 1 || !internal[i].ptr ||
               read_line(builder, &builder->internal_cover, internal[i],
                         "internal_count or internal_weight", leaves - 1);
    }
    builder->leaf_cover.count = 0;
    return true;
}

static bool read_splits(struct lgb_builder *builder, const struct lgb_tree_lines *lines,
                        size_t splits)
{
    builder->decision_type.count = builder->split_gain.count = 0;
    return (!lines->split_gain.ptr ||
            read_line(builder, &builder->split_gain, lines->split_gain, "split_gain", splits)) &&
           read_line(builder, &builder->split_feature, lines->split_feature, "split_feature",
                     splits) &&
           read_line(builder, &builder->threshold, lines->threshold, "threshold", splits) &&
           read_line(builder, &builder->left_child, lines->left_child, "left_child", splits) &&
           read_line(builder, &builder->right_child, lines->right_child, "right_child", splits) &&
           (!lines->decision_type.ptr || read_line(builder, &builder->decision_type,
                                                   lines->decision_type, "decision_type", splits));
}

/* Adds the tree's bitsets; *first_set is the first one's index. */
static bool read_sets(struct lgb_builder *builder, const struct lgb_tree_lines *lines, size_t sets)
{
    struct lgb_numbers *bounds = &builder->cat_boundaries;
    struct lgb_numbers *words = &builder->cat_threshold;
    if (sets == 0) return true;
    if (!read_line(builder, bounds, lines->cat_boundaries, "cat_boundaries", sets + 1) ||
        !lgb_parse_numbers(words, lines->cat_threshold, "cat_threshold", builder->err))
        return false;
    for (size_t i = 0; i <= sets; i++) {
        double least = i ? bounds->items[i - 1] : 0;
        if (bounds->items[i] < least || !is_index(bounds->items[i], (double)words->count + 1))
            return element_fail(builder, "cat_boundaries", i, "ascending indices of cat_threshold",
                                bounds->items[i]);
    }
    size_t first_word = builder->words.count;
    for (size_t i = 0; i < words->count; i++) {
        if (!is_index(words->items[i], 4294967296.0))
            return element_fail(builder, "cat_threshold", i, "a 32-bit word", words->items[i]);
        if (!IG_VEC_PUSH(&builder->words, (uint32_t)words->items[i], SIZE_MAX / 16))
            return no_memory(builder);
    }
    for (size_t i = 0; i < sets; i++) {
        struct lgb_set set = {first_word + (size_t)bounds->items[i],
                              (uint32_t)(bounds->items[i + 1] - bounds->items[i])};
        if (!IG_VEC_PUSH(&builder->sets, set, INT32_MAX)) return no_memory(builder);
    }
    return true;
}

/* The leaves' linear models; counts are 0 where the tree is not linear. */
static bool read_linear(struct lgb_builder *builder, const struct lgb_tree_lines *lines,
                        size_t leaves)
{
    size_t total = 0;
    if (!read_line(builder, &builder->leaf_const, lines->leaf_const, "leaf_const", leaves) ||
        !read_line(builder, &builder->num_features, lines->num_features, "num_features", leaves))
        return false;
    for (size_t i = 0; i < leaves; i++) {
        double count = builder->num_features.items[i];
        if (!is_index(count, (double)builder->bytes_count))
            return element_fail(builder, "num_features", i, "a count", count);
        total += (size_t)count;
    }
    return read_line(builder, &builder->leaf_features, lines->leaf_features, "leaf_features",
                     total) &&
           read_line(builder, &builder->leaf_coeff, lines->leaf_coeff, "leaf_coeff", total);
}

static bool add_linear_leaves(struct lgb_builder *builder, size_t leaves)
{
    size_t at = 0;
    for (size_t i = 0; i < leaves; i++) {
        uint32_t count = (uint32_t)builder->num_features.items[i];
        struct lgb_linear leaf = {builder->leaf_const.items[i], builder->coefficients.count, count};
        for (size_t end = at + count; at < end; at++) {
            double feature = builder->leaf_features.items[at];
            if (!is_index(feature, INT32_MAX))
                return element_fail(builder, "leaf_features", at, "a feature's index", feature);
            if (!IG_VEC_PUSH(&builder->linear_features, (uint32_t)feature, SIZE_MAX / 16) ||
                !IG_VEC_PUSH(&builder->coefficients, builder->leaf_coeff.items[at], SIZE_MAX / 16))
                return no_memory(builder);
        }
        if (!IG_VEC_PUSH(&builder->linear, leaf, INT32_MAX)) return no_memory(builder);
    }
    return true;
}

/* A child's node index: splits stay, leaf k stands behind them. */
static bool child_index(struct lgb_builder *builder, const struct lgb_numbers *children, size_t at,
                        const char *field, int32_t *out)
{
    double child = children->items[at];
    double splits = (double)children->count;
    double node = child < 0 ? splits - 1 - child : child;
    if (child != floor(child) || child >= splits || child < -splits - 1)
        return element_fail(builder, field, at, "a split or leaf of the tree", child);
    *out = (int32_t)node;
    return true;
}

/* LightGBM's prediction functions drop input values up to 1e-35 as zeros before a tree sees them
 * (src/c_api.cpp). A threshold in that range is moved to the range's edge instead, which sends
 * every such value where 0 goes. */
static double move_from_zero(double threshold)
{
    const double zero = (double)1e-35F;
    if (!(fabs(threshold) <= zero)) return threshold;
    return threshold < 0 ? nextafter(-zero, -1) : zero;
}

static bool fill_decision(struct lgb_builder *builder, size_t at, size_t sets, struct ig_node *node)
{
    static const uint8_t missing[] = {IG_NODE_MISSING_NONE, IG_NODE_MISSING_ZERO,
                                      IG_NODE_MISSING_NAN};
    double type = builder->decision_type.count ? builder->decision_type.items[at] : 0;
    if (!is_index(type, 12))
        return element_fail(builder, "decision_type", at, "a known bit pattern", type);
    uint32_t bits = (uint32_t)type;
    if (bits & 1) {
        double set = builder->threshold.items[at];
        if (!is_index(set, (double)sets))
            return element_fail(builder, "threshold", at, "the index of a category set", set);
        node->op = IG_NODE_IN;
        node->extra = (uint32_t)(builder->sets.count - sets + (size_t)set);
        node->value = 0;
        node->missing = IG_NODE_MISSING_NAN;
        node->flags = IG_NODE_SET_LEFT;
        return true;
    }
    node->op = IG_NODE_LE;
    node->missing = missing[bits >> 2];
    node->flags = bits & 2 ? IG_NODE_DEFAULT_LEFT : 0;
    node->value = move_from_zero(node->value);
    if (isnan(node->value)) return element_fail(builder, "threshold", at, "a number", node->value);
    return true;
}

static bool add_split(struct lgb_builder *builder, size_t at, size_t sets)
{
    struct ig_node node = {
        .value = builder->threshold.items[at],
        .cover = builder->internal_cover.count ? builder->internal_cover.items[at] : 0,
        .extra = IG_MODEL_NONE,
        .source_id = (int32_t)at,
    };
    double feature = builder->split_feature.items[at];
    if (!is_index(feature, INT32_MAX))
        return element_fail(builder, "split_feature", at, "a feature's index", feature);
    node.feature = (uint32_t)feature;
    if (!child_index(builder, &builder->left_child, at, "left_child", &node.left) ||
        !child_index(builder, &builder->right_child, at, "right_child", &node.right) ||
        !fill_decision(builder, at, sets, &node))
        return false;
    double gain = builder->split_gain.count ? builder->split_gain.items[at] : NAN;
    builder->gains_lack = builder->gains_lack || !isfinite(gain);
    if (!IG_VEC_PUSH(&builder->nodes, node, INT32_MAX) ||
        !IG_VEC_PUSH(&builder->gains, gain, INT32_MAX))
        return no_memory(builder);
    return true;
}

static bool add_leaf(struct lgb_builder *builder, size_t at, bool linear, size_t leaves)
{
    struct ig_node node = {
        .value = builder->leaf_value.items[at],
        .cover = builder->leaf_cover.count ? builder->leaf_cover.items[at] : 1,
        .left = -1,
        .right = -1,
        .extra = linear ? (uint32_t)(builder->linear.count - leaves + at) : IG_MODEL_NONE,
        .op = IG_NODE_LEAF,
        .source_id = (int32_t)at,
    };
    if (!IG_VEC_PUSH(&builder->nodes, node, INT32_MAX) ||
        !IG_VEC_PUSH(&builder->gains, 0, INT32_MAX))
        return no_memory(builder);
    return true;
}

/* Splits without a cover of their own: the sum of their children, which stand behind them. A child
 * that does not is left alone, for the model's check to refuse. */
static void sum_covers(struct ig_node *nodes, size_t splits)
{
    for (size_t i = splits; i-- > 0;)
        if ((size_t)nodes[i].left > i && (size_t)nodes[i].right > i)
            nodes[i].cover = nodes[nodes[i].left].cover + nodes[nodes[i].right].cover;
}

static bool read_tree(struct lgb_builder *builder, const struct lgb_tree_lines *lines)
{
    int64_t leaves = 0;
    int64_t sets = 0;
    int64_t linear = 0;
    if (!read_integer(builder, lines->num_leaves, "num_leaves", -1, &leaves) ||
        !read_integer(builder, lines->num_cat, "num_cat", 0, &sets) ||
        !read_integer(builder, lines->is_linear, "is_linear", 0, &linear))
        return false;
    if (leaves < 1 || leaves > INT32_MAX / 2) {
        ig_fail(builder->err, IG_INVALID, "num_leaves %lld: expected at least 1 and below 2^30",
                (long long)leaves);
        return false;
    }
    size_t count = (size_t)leaves;
    if (!read_line(builder, &builder->leaf_value, lines->leaf_value, "leaf_value", count) ||
        !read_covers(builder, lines, count) || (linear && !read_linear(builder, lines, count)) ||
        (linear && !add_linear_leaves(builder, count)))
        return false;
    if (count > 1 &&
        (!read_splits(builder, lines, count - 1) || !read_sets(builder, lines, (size_t)sets)))
        return false;
    size_t first = builder->nodes.count;
    for (size_t i = 0; i + 1 < count; i++)
        if (!add_split(builder, i, (size_t)sets)) return false;
    for (size_t i = 0; i < count; i++)
        if (!add_leaf(builder, i, linear != 0, count)) return false;
    builder->covers_lack = builder->covers_lack || (count > 1 && builder->leaf_cover.count == 0);
    if (builder->internal_cover.count == 0) sum_covers(builder->nodes.items + first, count - 1);
    struct ig_tree tree = {
        .first_node = (uint32_t)first, .nodes_count = (uint32_t)(2 * count - 1), .weight = 1};
    if (!IG_VEC_PUSH(&builder->trees, tree, INT32_MAX)) return no_memory(builder);
    return true;
}

bool lgb_builder_add_tree(struct lgb_builder *builder, const struct lgb_tree_lines *lines)
{
    if (read_tree(builder, lines)) return true;
    ig_err_prefix(builder->err, "tree %zu", builder->trees.count);
    return false;
}

bool lgb_builder_finish(struct lgb_builder *builder, struct ig_model *model)
{
    struct ig_arena *arena = &model->arena;
    uint32_t *words =
        ig_arena_copy(arena, builder->words.items, builder->words.count, sizeof *words);
    uint32_t *features = ig_arena_copy(arena, builder->linear_features.items,
                                       builder->linear_features.count, sizeof *features);
    double *coefficients = ig_arena_copy(arena, builder->coefficients.items,
                                         builder->coefficients.count, sizeof *coefficients);
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
    model->linear = ig_arena_array(arena, builder->linear.count + 1, sizeof *model->linear);
    model->linear_count = (uint32_t)builder->linear.count;
    model->linear_leaves = model->linear_count > 0;
    if (arena->overflowed) return no_memory(builder);
    for (size_t i = 0; i < builder->sets.count; i++) {
        const struct lgb_set *set = &builder->sets.items[i];
        model->sets[i] = (struct ig_category_set){words + set->first_word, set->words_count * 32};
    }
    for (size_t i = 0; i < builder->linear.count; i++) {
        const struct lgb_linear *leaf = &builder->linear.items[i];
        model->linear[i] = (struct ig_linear_leaf){leaf->constant, features + leaf->first,
                                                   coefficients + leaf->first, leaf->count};
    }
    return true;
}
