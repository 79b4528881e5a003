/* SPDX-License-Identifier: Apache-2.0 */
/* Builds the rank tables and ranks rows in plain C.
 *
 * "x < t" is false iff x >= t, "x <= t" is false iff x >= the next number above t, both for any x
 * but NaN; so one comparison serves all. Thresholds are sorted by radix together with their nodes:
 * a model's load must stay within milliseconds. */
#include "kernels/tree/tree_predict_rank.h"

#include "base/mem.h"
#include "kernels/tree/tree_predict_walk.h"

#include <math.h>
#include <string.h>

/* The ways a split treats a missing value; each used one is a column. */
enum rule { NAN_LEFT, NAN_RIGHT, NAN_IS_ZERO, ZERO_LEFT, ZERO_RIGHT, RULES_COUNT };

struct item {
    uint64_t key; /* order-preserving bits of the threshold */
    uint32_t node;
};

struct build {
    struct ig_tree_rank *rank;
    const struct ig_model *model;
    struct ig_tree_test *tests;
    struct ig_arena *arena; /* of the result */
    struct ig_arena scratch;
    struct ig_err *err;
    uint32_t *first;   /* features_count + 1: of each feature's items */
    uint8_t *used;     /* bit of each rule, by feature */
    uint32_t *columns; /* by feature * RULES_COUNT + rule */
    struct item *items;
    struct item *spare;
};

static enum rule rule_of(const struct ig_node *node)
{
    bool left = node->flags & IG_NODE_DEFAULT_LEFT;
    if (node->missing == IG_NODE_MISSING_NONE) return NAN_IS_ZERO;
    if (node->missing == IG_NODE_MISSING_NAN) return left ? NAN_LEFT : NAN_RIGHT;
    return left ? ZERO_LEFT : ZERO_RIGHT;
}

static bool is_numeric(const struct ig_node *node)
{
    return node->op == IG_NODE_LT || node->op == IG_NODE_LE;
}

/* The least number that goes right; NaN where none does. */
static double least_right(const struct ig_model *model, const struct ig_node *node)
{
    double t = node->value;
    if (node->op == IG_NODE_LT) return t;
    if (t == (double)INFINITY) return NAN;
    return model->inputs_f32 ? (double)nextafterf((float)t, INFINITY) : nextafter(t, INFINITY);
}

static uint64_t key_of(double value)
{
    uint64_t bits;
    value += 0.0; /* -0 and 0 are one threshold */
    memcpy(&bits, &value, sizeof bits);
    return bits ^ (bits >> 63 ? UINT64_MAX : (uint64_t)1 << 63);
}

static double value_of(uint64_t key)
{
    double value;
    key ^= key >> 63 ? (uint64_t)1 << 63 : UINT64_MAX;
    memcpy(&value, &key, sizeof value);
    return value;
}

/* Sorts items in place by bytes of the key; bytes that all items share cost nothing. */
static void sort_items(struct item *items, struct item *spare, uint32_t count)
{
    uint32_t histogram[8][256] = {{0}};
    for (uint32_t i = 0; i < count; i++)
        for (uint32_t b = 0; b < 8; b++) histogram[b][items[i].key >> (8 * b) & 255]++;
    struct item *from = items;
    struct item *to = spare;
    for (uint32_t b = 0; b < 8; b++) {
        uint32_t *starts = histogram[b];
        if (count == 0 || starts[items[0].key >> (8 * b) & 255] == count) continue;
        uint32_t sum = 0;
        for (uint32_t v = 0; v < 256; v++) {
            uint32_t own = starts[v];
            starts[v] = sum;
            sum += own;
        }
        for (uint32_t i = 0; i < count; i++) to[starts[from[i].key >> (8 * b) & 255]++] = from[i];
        struct item *other = from;
        from = to;
        to = other;
    }
    if (from != items) memcpy(items, from, count * sizeof *items);
}

/* Groups the numeric nodes by feature and notes which rules each feature needs. */
static bool collect(struct build *build)
{
    const struct ig_model *model = build->model;
    build->first = ig_arena_array(&build->scratch, (size_t)model->features_count + 2, 4);
    build->used = ig_arena_array(&build->scratch, model->features_count, 1);
    build->items = ig_arena_alloc(&build->scratch, sizeof(struct item) * (model->nodes_count + 1U));
    build->spare = ig_arena_alloc(&build->scratch, sizeof(struct item) * (model->nodes_count + 1U));
    build->columns =
        ig_arena_array(&build->scratch, (size_t)model->features_count * RULES_COUNT, 4);
    if (build->scratch.overflowed) return false;
    uint32_t *next = build->first + 1; /* shifted: after filling, first[f] is right */
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (!is_numeric(node)) continue;
        build->used[node->feature] |= (uint8_t)(1U << rule_of(node));
        if (!isnan(least_right(model, node))) next[node->feature + 1]++;
    }
    for (uint32_t f = 0; f < model->features_count; f++) next[f + 1] += next[f];
    for (uint32_t i = 0; i < model->nodes_count; i++) {
        const struct ig_node *node = &model->nodes[i];
        if (!is_numeric(node)) continue;
        double least = least_right(model, node);
        build->tests[i].threshold = IG_TREE_RANK_MISSING;
        if (isnan(least)) continue;
        build->items[next[node->feature]++] = (struct item){key_of(least), i};
    }
    return true;
}

/* Features that some split uses plainly come first, so that their ranks are columns. */
static bool lay_columns(struct build *build)
{
    struct ig_tree_rank *rank = build->rank;
    uint32_t features = build->model->features_count;
    for (uint32_t f = 0; f < features; f++) {
        if (!build->used[f]) continue;
        rank->features_count++;
        rank->plain_count += build->used[f] & 1U;
        rank->rules_count += (uint32_t)__builtin_popcount(build->used[f] & ~1U);
    }
    rank->columns_count = rank->plain_count + rank->rules_count;
    rank->slots_count = rank->rules_count + rank->features_count;
    if (rank->slots_count > UINT16_MAX) {
        ig_fail(build->err, IG_TOO_LARGE, "%u input columns", rank->slots_count);
        return false;
    }
    rank->features = ig_arena_array(build->arena, rank->features_count, sizeof *rank->features);
    rank->rules = ig_arena_array(build->arena, rank->rules_count, sizeof *rank->rules);
    if (build->arena->overflowed) return false;
    uint32_t plain = 0;
    uint32_t hidden = rank->plain_count;
    uint32_t rules = 0;
    for (uint32_t f = 0; f < features; f++) {
        if (!build->used[f]) continue;
        bool plainly = build->used[f] & 1;
        uint32_t index = plainly ? plain++ : hidden++;
        uint32_t slot = plainly ? index : index + rank->rules_count;
        rank->features[index] =
            (struct ig_tree_rank_feature){.feature = f, .rules = rules, .slot = (uint16_t)slot};
        build->columns[f * RULES_COUNT] = index;
        for (uint32_t r = 1; r < RULES_COUNT; r++) {
            if (!(build->used[f] >> r & 1)) continue;
            build->columns[f * RULES_COUNT + r] = rank->plain_count + rules;
            rank->features[index].rules_count++;
            rank->rules[rules++] = (struct ig_tree_rank_rule){
                .value = r == NAN_RIGHT || r == ZERO_RIGHT ? IG_TREE_RANK_MISSING : 0,
                .zero = r == ZERO_LEFT || r == ZERO_RIGHT};
        }
    }
    return true;
}

/* Sorts each feature's thresholds, counts the different ones and numbers the nodes' tests. */
static bool number_tests(struct build *build)
{
    struct ig_tree_rank *rank = build->rank;
    for (uint32_t i = 0; i < rank->features_count; i++) {
        struct ig_tree_rank_feature *feature = &rank->features[i];
        struct item *items = build->items + build->first[feature->feature];
        uint32_t count = build->first[feature->feature + 1] - build->first[feature->feature];
        sort_items(items, build->spare, count);
        uint32_t different = 0;
        for (uint32_t j = 0; j < count; j++) {
            if (j == 0 || items[j].key != items[j - 1].key) different++;
            if (different >= IG_TREE_RANK_MISSING) {
                ig_fail(build->err, IG_TOO_LARGE, "feature %u has over %d thresholds",
                        feature->feature, IG_TREE_RANK_MISSING - 1);
                return false;
            }
            build->tests[items[j].node].threshold = (uint16_t)different;
        }
        feature->count = different;
    }
    for (uint32_t i = 0; i < build->model->nodes_count; i++) {
        const struct ig_node *node = &build->model->nodes[i];
        if (!is_numeric(node)) continue;
        build->tests[i].column =
            (uint16_t)build->columns[node->feature * RULES_COUNT + rule_of(node)];
    }
    return true;
}

/* Places the levels of every search tree; returns the number of entries. */
static size_t place_levels(struct ig_tree_rank *rank)
{
    size_t total = 0;
    for (uint32_t i = 0; i < rank->features_count; i++) {
        struct ig_tree_rank_feature *feature = &rank->features[i];
        uint32_t counts[IG_TREE_RANK_LEVELS];
        uint32_t levels = 0;
        for (uint32_t n = feature->count;; n /= IG_TREE_RANK_FANOUT) {
            counts[levels++] = n;
            if (n < IG_TREE_RANK_FANOUT) break;
        }
        feature->levels = levels;
        for (uint32_t l = 0; l < levels; l++) {
            feature->at[l] = (uint32_t)total;
            total +=
                (size_t)(counts[levels - 1 - l] / IG_TREE_RANK_FANOUT + 1) * IG_TREE_RANK_FANOUT;
        }
    }
    return total;
}

static void store_pivot(struct ig_tree_rank *rank, size_t at, double value)
{
    if (rank->f32)
        rank->pivots_f32[at] = (float)value;
    else
        rank->pivots_f64[at] = value;
}

/* An entry of an upper level is the last one of its block below. */
static void fill_levels(struct build *build, const struct ig_tree_rank_feature *feature)
{
    const struct item *items = build->items + build->first[feature->feature];
    uint32_t count = build->first[feature->feature + 1] - build->first[feature->feature];
    uint32_t position = 0;
    for (uint32_t j = 0; j < count; j++) {
        if (j > 0 && items[j].key == items[j - 1].key) continue;
        uint32_t at = position++;
        for (uint32_t l = feature->levels; l-- > 0;) {
            store_pivot(build->rank, feature->at[l] + at, value_of(items[j].key));
            if (at % IG_TREE_RANK_FANOUT != IG_TREE_RANK_FANOUT - 1) break;
            at /= IG_TREE_RANK_FANOUT;
        }
    }
}

static uint32_t count_f32(const float *block, float x)
{
    uint32_t count = 0;
    for (int i = 0; i < IG_TREE_RANK_FANOUT; i++) count += x >= block[i];
    return count;
}

static uint32_t count_f64(const double *block, double x)
{
    uint32_t count = 0;
    for (int i = 0; i < IG_TREE_RANK_FANOUT; i++) count += x >= block[i];
    return count;
}

static uint32_t rank_of(const struct ig_tree_rank *rank, const struct ig_tree_rank_feature *feature,
                        double x)
{
    size_t at = 0;
    for (uint32_t l = 0; l < feature->levels; l++) {
        size_t block = feature->at[l] + at * IG_TREE_RANK_FANOUT;
        uint32_t reached = rank->f32 ? count_f32(rank->pivots_f32 + block, (float)x)
                                     : count_f64(rank->pivots_f64 + block, x);
        at = at * IG_TREE_RANK_FANOUT + reached;
    }
    return (uint32_t)at;
}

static bool build_levels(struct build *build)
{
    struct ig_tree_rank *rank = build->rank;
    size_t entries = place_levels(rank);
    if (rank->f32)
        rank->pivots_f32 = ig_arena_alloc_aligned(build->arena, entries * sizeof(float), 64);
    else
        rank->pivots_f64 = ig_arena_alloc_aligned(build->arena, entries * sizeof(double), 64);
    if (build->arena->overflowed) return false;
    for (size_t i = 0; i < entries; i++) store_pivot(rank, i, NAN);
    for (uint32_t i = 0; i < rank->features_count; i++) fill_levels(build, &rank->features[i]);
    for (uint32_t i = 0; i < build->model->features_count; i++) {
        if (!(build->used[i] >> NAN_IS_ZERO & 1)) continue;
        uint32_t column = build->columns[i * RULES_COUNT + NAN_IS_ZERO] - rank->plain_count;
        rank->rules[column].value =
            (uint16_t)rank_of(rank, &rank->features[build->columns[i * RULES_COUNT]], 0);
    }
    return true;
}

enum ig_code ig_tree_rank_init(struct ig_tree_rank *rank, const struct ig_model *model,
                               struct ig_tree_test *tests, struct ig_arena *arena,
                               struct ig_err *err)
{
    *rank = (struct ig_tree_rank){.f32 = model->inputs_f32};
    struct build build = {.rank = rank, .model = model, .tests = tests, .arena = arena, .err = err};
    ig_arena_init(&build.scratch, 64 * 1024, SIZE_MAX);
    bool good =
        collect(&build) && lay_columns(&build) && number_tests(&build) && build_levels(&build);
    ig_arena_deinit(&build.scratch);
    if (good) return IG_OK;
    return ig_fail(err, IG_NO_MEMORY, "no memory to rank %u nodes", model->nodes_count);
}

void ig_tree_rank_row(const struct ig_tree_rank *rank, const double *row, uint16_t *ranks)
{
    for (uint32_t i = 0; i < rank->features_count; i++) {
        const struct ig_tree_rank_feature *feature = &rank->features[i];
        double x = rank->f32 ? (double)(float)row[feature->feature] : row[feature->feature];
        ig_tree_rank_store(rank, i, x, rank_of(rank, feature, x), ranks);
    }
}
