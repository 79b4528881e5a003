/* SPDX-License-Identifier: Apache-2.0 */
/* Thresholds, columns and category sets. Every numeric split becomes "right iff x >= t" for the
 * least float t that goes right, so that the rank of x among a feature's different t answers it.
 * Stateless. */
#include "kernels/quantize/tree_compact_priv.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { RANKS_MAX = UINT16_MAX - 1, CODES_MAX = UINT16_MAX - 3, COLUMNS_MAX = UINT16_MAX };
enum { NUMERIC_RULES = 31, CATEGORY_RULES = 96 };

struct item {
    uint32_t feature;
    uint32_t node;
    int32_t key;
};

struct ig_compact_inputs {
    struct ig_compact_build *build;
    struct item *items; /* numeric splits that some number goes right at */
    uint32_t items_count;
    uint8_t *rules;    /* by feature */
    uint32_t *codes;   /* by feature: codes that some set knows */
    uint32_t *numeric; /* by feature: its sources */
    uint32_t *category;
};

static enum ig_compact_rule rule_of(const struct ig_node *node)
{
    bool left = node->flags & IG_NODE_DEFAULT_LEFT;
    if (node->op == IG_NODE_IN)
        return node->missing == IG_NODE_MISSING_ZERO ? IG_COMPACT_CATEGORY_ZERO
                                                     : IG_COMPACT_CATEGORY;
    if (node->missing == IG_NODE_MISSING_NONE) return IG_COMPACT_NAN_ZERO;
    if (node->missing == IG_NODE_MISSING_NAN)
        return left ? IG_COMPACT_NAN_LEFT : IG_COMPACT_NAN_RIGHT;
    return left ? IG_COMPACT_ZERO_LEFT : IG_COMPACT_ZERO_RIGHT;
}

float ig_compact_threshold(const struct ig_node *node)
{
    float nearest = (float)node->value;
    if (node->op == IG_NODE_LT)
        return (double)nearest < node->value ? nextafterf(nearest, INFINITY) : nearest;
    if ((double)nearest > node->value) return nearest;
    return isinf(nearest) && nearest > 0 ? NAN : nextafterf(nearest, INFINITY);
}

static void collect(struct ig_compact_inputs *in)
{
    const struct ig_model *model = in->build->model;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (node->op == IG_NODE_LEAF) continue;
        in->rules[node->feature] |= (uint8_t)rule_of(node);
        if (node->op == IG_NODE_IN) {
            uint32_t bits = model->sets[node->extra].bits;
            if (bits > in->codes[node->feature]) in->codes[node->feature] = bits;
            continue;
        }
        float least = ig_compact_threshold(node);
        if (isnan(least)) continue;
        in->items[in->items_count++] = (struct item){node->feature, i, ig_compact_key(least)};
    }
}

static int compare_items(const void *a, const void *b)
{
    const struct item *x = a, *y = b;
    if (x->feature != y->feature) return x->feature < y->feature ? -1 : 1;
    return (x->key > y->key) - (x->key < y->key);
}

static uint32_t columns_of(uint8_t rules)
{
    return (uint32_t)__builtin_popcount(rules);
}

/* A source for each feature's numbers, then one for each feature's categories. */
static bool lay_sources(struct ig_compact_inputs *in)
{
    struct ig_tree_compact *compact = in->build->compact;
    uint32_t features = compact->features_count;
    IG_ASSERT(features > 0);
    compact->sources =
        ig_arena_array(&compact->arena, (size_t)features * 2 + 1, sizeof *compact->sources);
    if (!compact->sources) return ig_compact_no_memory(in->build, "inputs");
    uint32_t columns = 0;
    for (uint32_t i = 0; i < 2 * features; i++) {
        uint32_t feature = i % features;
        bool category = i >= features;
        uint8_t rules = in->rules[feature] & (category ? CATEGORY_RULES : NUMERIC_RULES);
        if (i == features) compact->first_category = columns;
        if (!rules) continue;
        (category ? in->category : in->numeric)[feature] = compact->sources_count;
        compact->sources[compact->sources_count++] =
            (struct ig_compact_source){.feature = feature,
                                       .rules = rules,
                                       .key_bytes = category,
                                       .keys_count = category ? in->codes[feature] : 0};
        columns += columns_of(rules);
    }
    compact->columns_count = columns;
    if (columns <= COLUMNS_MAX) return true;
    ig_fail(in->build->err, IG_TOO_LARGE, "%u input columns, at most %d", columns, COLUMNS_MAX);
    return false;
}

/* The thresholds of items[0..count), which are one feature's. */
static bool keep_keys(struct ig_compact_inputs *in, struct ig_compact_source *source,
                      const struct item *items, uint32_t count, uint32_t ranks_max)
{
    int32_t *keys = ig_arena_array(&in->build->scratch, count, sizeof *keys);
    uint32_t different = 0;
    if (!keys) return ig_compact_no_memory(in->build, "thresholds");
    for (uint32_t i = 0; i < count; i++)
        if (i == 0 || items[i].key != items[i - 1].key) keys[different++] = items[i].key;
    if (!ig_compact_keep_keys(in->build, source, keys, different, ranks_max)) return false;
    for (uint32_t i = 0, at = 0; i < count; i++) {
        at += i && items[i].key != items[i - 1].key;
        in->build->nodes[items[i].node].threshold = (uint32_t)keys[at];
    }
    return true;
}

static uint32_t end_of_feature(const struct ig_compact_inputs *in, uint32_t first)
{
    uint32_t end = first;
    while (end < in->items_count && in->items[end].feature == in->items[first].feature) end++;
    return end;
}

/* Most different thresholds of a feature; UINT32_MAX when they are too many. */
static uint32_t most_thresholds(const struct ig_compact_inputs *in)
{
    uint32_t most = 0;
    for (uint32_t first = 0, end; first < in->items_count; first = end) {
        uint32_t different = 1;
        end = end_of_feature(in, first);
        for (uint32_t i = first + 1; i < end; i++)
            different += in->items[i].key != in->items[i - 1].key;
        if (different > most) most = different;
        if (most < RANKS_MAX) continue;
        ig_fail(in->build->err, IG_TOO_LARGE, "feature %u has %u different thresholds, at most %d",
                in->items[first].feature, most, RANKS_MAX - 1);
        return UINT32_MAX;
    }
    return most;
}

static uint32_t column_of(const struct ig_compact_source *source, enum ig_compact_rule rule)
{
    return source->first_column + columns_of(source->rules & (uint8_t)(rule - 1));
}

static bool check_codes(struct ig_compact_inputs *in)
{
    struct ig_tree_compact *compact = in->build->compact;
    uint32_t most = compact->missing_rank;
    for (uint32_t i = 0; i < compact->sources_count; i++) {
        const struct ig_compact_source *source = &compact->sources[i];
        if (!(source->rules & CATEGORY_RULES)) continue;
        if (source->keys_count > CODES_MAX) {
            ig_fail(in->build->err, IG_TOO_LARGE, "feature %u has %u categories, at most %d",
                    source->feature, source->keys_count, CODES_MAX);
            return false;
        }
        uint32_t last = source->keys_count + IG_COMPACT_CODE - 1;
        if (last > most) most = last;
    }
    compact->rank_bytes = most > UINT8_MAX ? 2 : 1;
    return true;
}

/* Categories last; sources that are read in the same way side by side, which devices do faster. */
static int compare_sources(const void *a, const void *b)
{
    const struct ig_compact_source *x = a, *y = b;
    const uint32_t facts[][2] = {{x->rules & CATEGORY_RULES, y->rules & CATEGORY_RULES},
                                 {x->grid, y->grid},
                                 {x->bucket_bits, y->bucket_bits},
                                 {x->key_bytes, y->key_bytes},
                                 {x->rules, y->rules},
                                 {x->feature, y->feature}};
    size_t i = 0;
    while (i + 1 < sizeof facts / sizeof *facts && facts[i][0] == facts[i][1]) i++;
    return (facts[i][0] > facts[i][1]) - (facts[i][0] < facts[i][1]);
}

/* Once keys are kept: the order of the sources, and with it their columns and the nodes'. */
static void number_columns(struct ig_compact_inputs *in)
{
    struct ig_tree_compact *compact = in->build->compact;
    uint32_t columns = 0;
    qsort(compact->sources, compact->sources_count, sizeof *compact->sources, compare_sources);
    for (uint32_t i = 0; i < compact->sources_count; i++) {
        struct ig_compact_source *source = &compact->sources[i];
        (source->rules & CATEGORY_RULES ? in->category : in->numeric)[source->feature] = i;
        source->first_column = columns;
        columns += columns_of(source->rules);
    }
    for (uint32_t i = 0; i < in->build->model->nodes_count; i++) {
        const struct ig_node *node = &in->build->model->nodes[i];
        if (node->op == IG_NODE_LEAF) continue;
        uint32_t *sources = node->op == IG_NODE_IN ? in->category : in->numeric;
        in->build->nodes[i].column =
            column_of(&compact->sources[sources[node->feature]], rule_of(node));
    }
}

bool ig_compact_build_inputs(struct ig_compact_build *build)
{
    struct ig_arena *scratch = &build->scratch;
    size_t features = build->model->features_count;
    struct ig_compact_inputs *in = ig_arena_array(scratch, 1, sizeof *in);
    if (!in) return ig_compact_no_memory(build, "inputs");
    build->inputs = in;
    in->build = build;
    in->items =
        ig_arena_array(scratch, (size_t)build->compact->splits_count + 1, sizeof *in->items);
    in->rules = ig_arena_array(scratch, features, 1);
    in->codes = ig_arena_array(scratch, features, sizeof *in->codes);
    in->numeric = ig_arena_array(scratch, features, sizeof *in->numeric);
    in->category = ig_arena_array(scratch, features, sizeof *in->category);
    if (scratch->overflowed) return ig_compact_no_memory(build, "inputs");
    collect(in);
    qsort(in->items, in->items_count, sizeof *in->items, compare_items);
    uint32_t most = most_thresholds(in);
    build->compact->missing_rank = most + 1;
    return most != UINT32_MAX && lay_sources(in) && check_codes(in);
}

bool ig_compact_build_thresholds(struct ig_compact_build *build)
{
    struct ig_compact_inputs *in = build->inputs;
    struct ig_tree_compact *compact = build->compact;
    uint32_t most = compact->missing_rank - 1, ranks_max = RANKS_MAX - 1;
    if (compact->threshold_bits < 16) ranks_max = (1U << compact->threshold_bits) - 2;
    if (compact->rank_bytes == 1 && ranks_max >= UINT8_MAX) ranks_max = UINT8_MAX - 1;
    for (uint32_t first = 0, end; first < in->items_count; first = end) {
        struct ig_compact_source *source = &compact->sources[in->numeric[in->items[first].feature]];
        end = end_of_feature(in, first);
        if (!keep_keys(in, source, in->items + first, end - first, ranks_max)) return false;
        if (source->keys_count > most) most = source->keys_count;
    }
    compact->missing_rank = most + 1;
    number_columns(in);
    for (uint32_t i = 0; i < build->model->nodes_count; i++) {
        bool number =
            build->model->nodes[i].op != IG_NODE_LEAF && build->model->nodes[i].op != IG_NODE_IN;
        if (number && !build->nodes[i].threshold) build->nodes[i].threshold = most + 1;
    }
    return true;
}

/* ---- sets ---- */

struct set {
    const uint8_t *bytes;
    uint32_t bytes_count;
    uint32_t node;
};

static bool is_member(const struct ig_category_set *set, uint32_t code)
{
    return code < set->bits && (set->words[code / 32] >> (code % 32) & 1);
}

/* The set's bits: 1 = right, all flipped where codes that the set does not know go right. */
static bool lay_set(struct ig_compact_build *build, struct set *set, uint32_t index)
{
    const struct ig_node *node = &build->model->nodes[index];
    const struct ig_category_set *codes = &build->model->sets[node->extra];
    bool member_left = node->flags & IG_NODE_SET_LEFT;
    bool missing_left = node->missing == IG_NODE_MISSING_NONE ? is_member(codes, 0) == member_left
                                                              : node->flags & IG_NODE_DEFAULT_LEFT;
    size_t most = ((size_t)codes->bits + IG_COMPACT_CODE + 7) / 8;
    uint8_t *bytes = ig_arena_array(&build->scratch, most, 1);
    if (!bytes) return ig_compact_no_memory(build, "category sets");
    bytes[0] = (uint8_t)(member_left << IG_COMPACT_INVERTED | (!missing_left != member_left)
                                                                  << IG_COMPACT_MISSING);
    uint32_t last = 0;
    for (uint32_t code = 0; code < codes->bits; code++) {
        if (!is_member(codes, code)) continue;
        uint32_t bit = code + IG_COMPACT_CODE;
        bytes[bit / 8] |= (uint8_t)(1U << (bit % 8));
        last = bit;
    }
    *set = (struct set){bytes, last / 8 + 1, index};
    return true;
}

static int compare_sets(const void *a, const void *b)
{
    const struct set *x = a, *y = b;
    if (x->bytes_count != y->bytes_count) return x->bytes_count < y->bytes_count ? -1 : 1;
    return memcmp(x->bytes, y->bytes, x->bytes_count);
}

static bool keep_sets(struct ig_compact_build *build, const struct set *sets, uint32_t count,
                      size_t total)
{
    struct ig_tree_compact *compact = build->compact;
    compact->set_starts = ig_arena_array(&compact->arena, (size_t)count + 1, sizeof(uint32_t));
    compact->set_bytes = ig_arena_array(&compact->arena, total + 1, 1);
    if (compact->arena.overflowed || total > UINT32_MAX)
        return ig_compact_no_memory(build, "category sets");
    uint32_t at = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (i == 0 || compare_sets(&sets[i], &sets[i - 1]) != 0) {
            memcpy(compact->set_bytes + at, sets[i].bytes, sets[i].bytes_count);
            at += sets[i].bytes_count;
            compact->set_starts[++compact->sets_count] = at;
        }
        build->nodes[sets[i].node].threshold = compact->sets_count - 1;
    }
    return true;
}

bool ig_compact_build_sets(struct ig_compact_build *build)
{
    const struct ig_model *model = build->model;
    struct set *sets =
        ig_arena_array(&build->scratch, (size_t)build->compact->splits_count + 1, sizeof *sets);
    if (!sets) return ig_compact_no_memory(build, "category sets");
    uint32_t count = 0;
    size_t total = 0;
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        if (model->nodes[i].op != IG_NODE_IN) continue;
        if (!lay_set(build, &sets[count], i)) return false;
        total += sets[count++].bytes_count;
    }
    qsort(sets, count, sizeof *sets, compare_sets);
    return keep_sets(build, sets, count, total);
}
