/* SPDX-License-Identifier: Apache-2.0 */
/* Loads a section of trees and checks all of it. Each leaf of a tree is reached from its root once,
 * from left to right, which visits every split without a stack. Stateless. */
#include "ingot_edge_file.h"

#ifndef IGE_NO_TREES

enum { FACTS_BYTES = 64, NUMBER_RULES = 31, CATEGORY_RULES = 96 };

struct cursor {
    const uint8_t *at;
    size_t left;
};

/* `count` items of `each` bytes; NULL when the section has fewer. */
static const uint8_t *take(struct cursor *cursor, uint32_t count, uint32_t each)
{
    const uint8_t *at = cursor->at;
    if (each && count > cursor->left / each) return NULL;
    cursor->at += (size_t)count * each;
    cursor->left -= (size_t)count * each;
    return at;
}

struct ige_split ige_read_split(const struct ige_model *model, const uint8_t *at)
{
    struct ige_split split;
    uint64_t word = 0;
    uint32_t bytes = model->node_bytes;
    while (bytes--) word = word << 8 | at[bytes];
    split.threshold = (uint32_t)(word & (((uint64_t)1 << model->threshold_bits) - 1));
    word >>= model->threshold_bits;
    split.skip = (uint32_t)(word & (((uint64_t)1 << model->skip_bits) - 1));
    split.column = (uint32_t)(word >> model->skip_bits & (((uint64_t)1 << model->column_bits) - 1));
    split.left_leaf = at[model->node_bytes - 1] >> 7;
    split.right_leaf = at[model->node_bytes - 1] >> 6 & 1;
    return split;
}

static void read_facts(struct ige_model *model, const uint8_t *at)
{
    model->features = ige_u16(at);
    model->outputs = ige_u16(at + 2);
    model->sources = ige_u16(at + 4);
    model->columns = ige_u16(at + 6);
    model->first_category = ige_u16(at + 8);
    model->missing_rank = ige_u16(at + 10);
    model->trees = ige_u32(at + 12);
    model->nodes_bytes = ige_u32(at + 16);
    model->stumps = 0;
    model->deep = 0;
    model->node_bytes = at[20];
    model->threshold_bits = at[21];
    model->skip_bits = at[22];
    model->column_bits = at[23];
    model->leaf = at[24];
    model->index_bytes = at[25];
    model->flags = at[26];
    model->transform = at[27];
    model->tree_width = at[28];
    model->output_width = at[29];
    model->set_width = at[30];
    model->table_rows = ige_u32(at + 40);
    model->sets = ige_u32(at + 44);
    model->set_pool_bytes = ige_u32(at + 48);
    model->iterations = ige_u32(at + 52);
    model->exponent = (int32_t)ige_u32(at + 56);
    model->leaf_values = (uint16_t)(model->flags & IGE_VECTORS ? model->outputs : 1);
}

static int is_width(uint32_t width)
{
    return width == 1 || width == 2 || width == 4;
}

static enum ige_status check_facts(struct ige_model *model)
{
    static const uint8_t BYTES[] = {4, 8, 2, 1};
    uint32_t bits = 2U + model->threshold_bits + model->skip_bits + model->column_bits;
    int outputs = model->outputs > 1 && model->leaf_values == 1;
    if (!model->features || !model->outputs || model->node_bytes < 2 || model->node_bytes > 8 ||
        bits > 8U * model->node_bytes || model->threshold_bits > 32 || model->skip_bits > 32 ||
        model->column_bits > 32 || model->leaf > IGE_LEAF_I8 || model->index_bytes > 2 ||
        model->exponent < -120 || model->exponent > 120)
        return IGE_BAD_FILE;
    if (!is_width(model->tree_width) || (model->sets && !is_width(model->set_width)) ||
        (outputs ? !is_width(model->output_width) : model->output_width != 0) ||
        ((model->flags & IGE_AVERAGE) && !model->iterations))
        return IGE_BAD_FILE;
    if (!IGE_HAS_FLOAT && model->leaf < IGE_LEAF_I16) return IGE_UNSUPPORTED;
    model->value_bytes = BYTES[model->leaf];
    model->leaf_bytes = model->value_bytes * model->leaf_values;
    if (model->index_bytes) model->leaf_bytes = model->index_bytes;
    return IGE_OK;
}

/* How keys are kept; with buckets they are behind a byte a bucket. */
static int check_form(const uint8_t *source, int category)
{
    uint32_t kept = source[9] & IGE_KEPT, bits = source[9] >> IGE_BUCKET_SHIFT;
    if (source[10] > 31 || source[11] > IGE_GRIDS) return 0;
    if (kept <= IGE_BUCKETS) return !bits;
    return !category && bits && bits <= 16 && kept == IGE_BUCKETS + (bits + 7) / 8 && !source[3];
}

/* Counts of the keys before each bucket, and of all. */
static int check_buckets(const uint8_t *starts, uint32_t buckets, uint32_t count)
{
    uint32_t before = 0;
    for (uint32_t b = 0; b <= buckets; b++) {
        if (starts[b] < before) return 0;
        before = starts[b];
    }
    return starts[0] == 0 && before == count;
}

/* Takes the keys of all numbers, which come before categories. */
static int take_keys(struct ige_model *model, struct cursor *cursor)
{
    model->keys = cursor->at;
    for (uint32_t i = 0; i < model->sources; i++) {
        const uint8_t *source = model->source + (size_t)i * IGE_SOURCE_BYTES, *head;
        uint32_t count = ige_u16(source + 2);
        if (source[8] & CATEGORY_RULES) break;
        if ((source[9] & IGE_KEPT) > IGE_BUCKETS) {
            if (!(head = take(cursor, 1, 1)) || !take(cursor, head[0] + 1U, 1) ||
                !check_buckets(head + 1, head[0], count) ||
                !take(cursor, count, (source[9] & IGE_KEPT) - IGE_BUCKETS))
                return 0;
        } else if (!take(cursor, count, source[9] & IGE_KEPT)) {
            return 0;
        }
    }
    return cursor->at == model->keys || cursor->left >= 3; /* keys are read by four */
}

/* Sums up columns; widest codes and ranks decide how columns are held. */
static int check_sources(struct ige_model *model)
{
    uint32_t columns = 0, most = model->missing_rank;
    for (uint32_t i = 0; i < model->sources; i++) {
        const uint8_t *source = model->source + (size_t)i * IGE_SOURCE_BYTES;
        uint32_t count = ige_u16(source + 2), rules = source[8];
        int category = (rules & CATEGORY_RULES) != 0;
        if (ige_u16(source) >= model->features || !rules || rules > 127 ||
            !check_form(source, category) || (category && (rules & NUMBER_RULES)) ||
            (!category && count >= model->missing_rank) ||
            category != (columns >= model->first_category))
            return 0;
        for (; rules; rules &= rules - 1) columns++;
        if (!category && columns > model->first_category) return 0;
        if (category && count + IGE_CODE - 1 > most) most = count + IGE_CODE - 1;
    }
    if (columns != model->columns || model->first_category > columns || most > 0xffff) return 0;
    model->rank_bytes = most > 255 ? 2 : 1;
    if (model->node_bytes <= 4 && model->threshold_bits && model->skip_bits && model->column_bits &&
        model->first_category == columns && model->missing_rank >> model->threshold_bits == 0)
        model->rank_bytes = 4; /* in the topmost bits of a word, as splits are compared */
    return 1;
}

static int check_sets(const struct ige_model *model)
{
    uint32_t before = 0;
    for (uint32_t i = 0; i <= model->sets; i++) {
        uint32_t start =
            ige_get(model->set_starts + (size_t)i * model->set_width, model->set_width);
        if (i ? start <= before : start != 0) return 0;
        before = start;
    }
    return before <= model->set_pool_bytes;
}

static int take_arrays(struct ige_model *model, struct cursor *cursor)
{
    uint32_t base = model->leaf == IGE_LEAF_F64 ? 8 : 4;
    model->base = take(cursor, model->outputs, base);
    model->source = take(cursor, model->sources, IGE_SOURCE_BYTES);
    if (!model->base || !model->source || !check_sources(model) || !take_keys(model, cursor))
        return 0;
    if (model->sets) {
        if (model->sets == UINT32_MAX) return 0;
        model->set_starts = take(cursor, model->sets + 1, model->set_width);
        model->set_bytes = take(cursor, model->set_pool_bytes, 1);
        if (!model->set_starts || !model->set_bytes || !check_sets(model)) return 0;
    }
    model->tree_bytes = take(cursor, model->trees, model->tree_width);
    model->tree_outputs = take(cursor, model->trees, model->output_width);
    model->tree_shifts = take(cursor, model->flags & IGE_SHIFTS ? model->trees : 0, 1);
    model->table = take(cursor, model->table_rows, model->value_bytes * model->leaf_values);
    model->nodes = take(cursor, model->nodes_bytes, 1);
    return model->tree_bytes && model->tree_outputs && model->tree_shifts && model->table &&
           model->nodes;
}

static int check_leaf(const struct ige_model *model, const uint8_t *at)
{
    return !model->index_bytes || ige_get(at, model->index_bytes) < model->table_rows;
}

static int check_test(const struct ige_model *model, const struct ige_split *split)
{
    if (split->column >= model->columns) return 0;
    if (split->column >= model->first_category) return split->threshold < model->sets;
    return split->threshold > 0 && split->threshold <= model->missing_rank;
}

/* Goes from the root, which ends at `end`, to the leaf that `leaf` lies in; gives where it ends.
 * `depth` becomes that of the leaf where it was more. */
static const uint8_t *check_way(const struct ige_model *model, const uint8_t *at,
                                const uint8_t *end, const uint8_t *leaf, uint32_t *depth)
{
    uint32_t is_leaf = 0, splits = 0;
    for (; !is_leaf; splits++) {
        if ((size_t)(end - at) <= model->node_bytes) return NULL;
        struct ige_split split = ige_read_split(model, at);
        at += model->node_bytes;
        if (!check_test(model, &split) || split.skip >= (size_t)(end - at)) return NULL;
        if (leaf < at + split.skip) {
            end = at + split.skip;
            is_leaf = (uint32_t)split.left_leaf;
        } else {
            at += split.skip;
            is_leaf = (uint32_t)split.right_leaf;
        }
    }
    if (splits < *depth) *depth = splits;
    return (size_t)(end - at) == model->leaf_bytes && check_leaf(model, at) ? end : NULL;
}

static int check_tree(struct ige_model *model, uint32_t tree, const uint8_t *at, const uint8_t *end)
{
    const uint8_t *leaf = at;
    uint32_t depth = IGE_DEEP;
    if ((size_t)(end - at) == model->leaf_bytes) return check_leaf(model, at);
    if (at == end) return 0;
    while (leaf && leaf < end) leaf = check_way(model, at, end, leaf, &depth);
    if (depth == IGE_DEEP && model->deep == tree) model->deep++;
    return leaf == end;
}

static int check_trees(struct ige_model *model)
{
    const uint8_t *at = model->nodes, *end = model->nodes + model->nodes_bytes;
    for (uint32_t t = 0; t < model->trees; t++) {
        uint32_t bytes =
            ige_get(model->tree_bytes + (size_t)t * model->tree_width, model->tree_width);
        if (bytes > (size_t)(end - at) || !check_tree(model, t, at, at + bytes)) return 0;
        if (model->output_width && ige_get(model->tree_outputs + (size_t)t * model->output_width,
                                           model->output_width) >= model->outputs)
            return 0;
        if ((model->flags & IGE_SHIFTS) && model->tree_shifts[t] > 30) return 0;
        if (bytes == model->leaf_bytes) model->stumps = 1;
        at += bytes;
    }
    return at == end;
}

enum ige_status ige_trees_load(struct ige_model *model, const uint8_t *section, size_t size)
{
    struct cursor cursor = {section, size};
    const uint8_t *facts = take(&cursor, 1, FACTS_BYTES);
    if (!facts) return IGE_BAD_FILE;
    ige_set_trees(model);
    read_facts(model, facts);
    enum ige_status status = check_facts(model);
    if (status != IGE_OK) return status;
    return take_arrays(model, &cursor) && check_trees(model) ? IGE_OK : IGE_BAD_FILE;
}
#endif
